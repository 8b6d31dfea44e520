"""Every mistake of tenants' files as findings for a person or a CI: the file alone, then against the tenant's account.

Here: gathering what loading and compiling say, and holding the mapping against the account's schema and lists as the
warehouse keeps them. Not here: the schema's own comparison (`netsuite_assets/extract/catalog.py`), or printing. Imports
no Dagster and opens nothing.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final, Literal

from netsuite_assets.extract.catalog import broken_rules, latest_version, read_version
from netsuite_assets.mapping.compiler import Mapping as TenantMapping
from netsuite_assets.mapping.compiler import RecordMapping, compile_mapping
from resources.netsuite.catalog import Catalog
from resources.tenants import Place, Problem, Tenant, TenantError, TenantRegistry, nearest, shown
from resources.tenants.source import Node
from resources.warehouse import TenantWarehouse, quote

Level = Literal["error", "warning"]

#: Without these NetSuite saves no such record, where the account has the field at all (NetSuite REST facts: minimum of
#: each record; a customer's subsidiary exists in OneWorld accounts alone).
_MANDATORY: Final[Mapping[str, Sequence[str]]] = {
    "customer": ("companyName", "subsidiary"),
    "invoice": ("entity",),
    "creditMemo": ("entity",),
    "customerPayment": ("customer",),
    "journalEntry": ("subsidiary",),
}
_MANDATORY_LINES: Final[Mapping[str, Sequence[str]]] = {"invoice": ("item",), "creditMemo": ("item",)}
#: Columns of `netsuite.reference` by which a value is found.
_KEYS: Final = ("internal_id", "external_id", "number", "name")


@dataclass(frozen=True, order=True)
class Finding:
    """One thing that is wrong (`error`) or that a reviewer should see (`warning`)."""

    file: str
    line: int
    column: int
    level: Level
    message: str

    @classmethod
    def of(cls, problem: Problem, level: Level = "error") -> Finding:
        return cls(problem.file, problem.line, problem.column, level, problem.message)

    @classmethod
    def at(cls, place: Place, message: str, level: Level = "error") -> Finding:
        return cls(place.file, place.line, place.column, level, message)

    def __str__(self) -> str:
        warning = "warning: " if self.level == "warning" else ""
        return f"{warning}{self.file}:{self.line}:{self.column}: {self.message}"


@dataclass(frozen=True)
class Linted:
    """What was found, in order and each once, and against which schema each tenant could be held.

    `accounts` maps a tenant to when its account's schema was last seen; one that is not in it was checked alone.
    """

    tenants: tuple[str, ...]
    wrong: frozenset[str]
    findings: tuple[Finding, ...]
    accounts: Mapping[str, datetime]

    @property
    def ok(self) -> bool:
        return not any(finding.level == "error" for finding in self.findings)


Account = Callable[[Tenant, TenantMapping], tuple[Sequence[Finding], datetime | None]]
"""Holds a tenant against its account: findings, and when the account's schema was last seen (None: not at all)."""


def lint(registry: TenantRegistry, name: str | None = None, account: Account | None = None) -> Linted:
    """Check one tenant, or all with the base files and file names of the folder. No tenant's mistake hides another's."""
    names = [name] if name is not None else registry.names()
    found: list[Finding] = []
    wrong = set()
    accounts: dict[str, datetime] = {}
    if name is None:
        found += [Finding.of(problem) for problem in (*registry.misnamed(), *registry.base_problems())]
    for each in names:
        try:
            tenant = registry.load(each)
            mapping = compile_mapping(tenant)
        except TenantError as error:
            own = [Finding.of(problem) for problem in error.problems]
        else:
            own = [Finding.of(problem, "warning") for problem in mapping.warnings]
            if account is not None:
                told, seen = account(tenant, mapping)
                own += told
                if seen is not None:
                    accounts[each] = seen
        if any(finding.level == "error" for finding in own):
            wrong.add(each)
        found += own
    # A mistake in a base is every heir's, and is told once.
    return Linted(tuple(names), frozenset(wrong), tuple(sorted(set(found))), accounts)


# Against the account


def lint_account(
    tenant: Tenant, mapping: TenantMapping, held: TenantWarehouse
) -> tuple[Sequence[Finding], datetime | None]:
    """What the account's schema and lists, as they were last read into the warehouse, say against the mapping."""
    version = latest_version(held)
    if version is None:
        return [], None
    catalog = read_version(held, version[0])
    places = _Places(tenant)
    found = [
        Finding.at(places.of(broken.where, broken.field, broken.value), _told(broken.field, broken.why))
        for broken in broken_rules(mapping, catalog)
    ]
    found += _lists(mapping, catalog, places)
    found += _out_of_sight(tenant, mapping, catalog)
    found += _without_rule(tenant, mapping, catalog)
    if held.columns("netsuite.reference"):
        already = {(finding.file, finding.line, finding.column) for finding in found}
        found += [
            finding
            for finding in _look_ups(mapping, held, places)
            if (finding.file, finding.line, finding.column) not in already
        ]
    return sorted(set(found)), version[1]


def _told(field: str, why: str) -> str:
    return f"{field}: {why}" if field else why


class _Places:
    """Where a rule, or a value in it, is written, by the `file:line` of the rule and its field's name."""

    def __init__(self, tenant: Tenant) -> None:
        self._nodes: dict[tuple[str, str], Node] = {}
        self._add(tenant.tree, "")

    def _add(self, node: Node, name: str) -> None:
        self._nodes.setdefault((f"{node.key.file}:{node.key.line}", name.lower()), node)
        if isinstance(node.value, Mapping):
            for key, below in node.value.items():
                self._add(below, key)

    def of(self, where: str, field: str, value: str | None = None) -> Place:
        """The place of the rule's name or, where the rule holds it, of the value."""
        node = self._nodes.get((where, field.lower()))
        if node is None:
            file, _, line = where.rpartition(":")
            return Place(file, int(line), 1)
        return (_scalar(node, value) if value is not None else None) or node.key


def _scalar(node: Node, value: str) -> Place | None:
    if isinstance(node.value, Mapping):
        below: Sequence[Node] = list(node.value.values())
    elif isinstance(node.value, tuple):
        below = node.value
    else:
        return node.place if str(node.value) == value else None
    return next((place for one in below if (place := _scalar(one, value)) is not None), None)


def _lists(mapping: TenantMapping, catalog: Catalog, places: _Places) -> Iterator[Finding]:
    """Custom lists that rules name and the account does not have."""
    if "custom lists" not in catalog.visible():
        return
    known = [entry.name for entry in catalog.entries if entry.kind == "list"]
    for rules in mapping.records.values():
        for field in (*rules.fields, *rules.line_fields):
            name = field.list_name or ""
            if name.startswith("customlist_") and name not in known:
                message = f"the account shows this role no list '{name}'{nearest(name, known)}"
                yield Finding.at(places.of(field.where, field.name, name), _told(field.name, message))


def _out_of_sight(tenant: Tenant, mapping: TenantMapping, catalog: Catalog) -> Iterator[Finding]:
    """Parts of the schema that the role does not see, whose rules can therefore not be checked."""
    for section in catalog.sections:
        record = section.name.removeprefix("fields of ")
        if not section.visible and section.name != record and record in mapping.records:
            yield Finding.at(
                tenant.key_place("records", record),
                f"the role does not see the fields of {record}, so its rules are not checked against the account"
                f" (NetSuite: {shown(section.why, 200)})",
                "warning",
            )


def _without_rule(tenant: Tenant, mapping: TenantMapping, catalog: Catalog) -> Iterator[Finding]:
    """Fields that NetSuite, or this account, wants and no rule gives a value."""
    fields = {(e.owner.lower(), e.name.lower()): e for e in catalog.entries if e.kind == "field"}
    wanted = {e.name.lower() for e in catalog.entries if e.kind == "mandatory"}
    for rules in mapping.written.values():
        record = rules.record.lower()
        sublist = f"{record}.{rules.tables.sublist}" if rules.tables.sublist else ""
        sides = (
            (record, rules.fields, _MANDATORY.get(rules.record, ()), "fields"),
            (sublist, rules.line_fields, _MANDATORY_LINES.get(rules.record, ()), "lines"),
        )
        for owner, mapped, always, key in sides:
            has = {field.name.lower() for field in mapped}
            custom = [entry.name for (of, name), entry in fields.items() if of == owner and name in wanted]
            for name in (*always, *sorted(custom)):
                entry = fields.get((owner, name.lower()))
                if entry is None or name.lower() in has or (name == "companyName" and "isperson" in has):
                    continue
                label = f" ('{shown(entry.label)}')" if entry.label and entry.label != name else ""
                yield Finding.at(
                    tenant.key_place("records", rules.record, key),
                    f"{rules.record}: NetSuite needs {entry.name}{label} in this account, and no rule gives it a value",
                )


def _look_ups(mapping: TenantMapping, held: TenantWarehouse, places: _Places) -> Iterator[Finding]:
    """Values that stand in the file and of which NetSuite's lists, as they were read, have none or several."""
    read = {str(name) for (name,) in held.sql("SELECT DISTINCT list FROM netsuite.reference")}
    for rules in mapping.records.values():
        for field_name, where, list_name, by, value in _named(rules, read):
            message, level = _answer(held, list_name, by, value)
            if message:
                yield Finding.at(places.of(where, field_name, value), _told(field_name, message), level)


def _named(
    rules: RecordMapping, read: Collection[str]
) -> Iterator[tuple[str, str, str, tuple[str, ...], str]]:
    """Field, place, list, keys and value of each value in the file that is to be found in a list that was read."""
    for way in (*rules.rules, *rules.line_rules):
        field = way.field
        if field.list_name is None or field.list_name not in read or field.by_external_id:
            continue
        by = way.lookup.by if way.lookup is not None else ("internal_id",)
        if not set(by) <= set(_KEYS):
            continue
        for value in dict.fromkeys((way.constant, *(way.value_map or {}).values(), way.default)):
            if value is not None:
                yield field.name, field.where, field.list_name, by, value


def _answer(held: TenantWarehouse, name: str, by: Sequence[str], value: str) -> tuple[str, Level]:
    """What is wrong with looking a value up, as the mapping does it: the first key with any active row counts."""
    for key in by:
        rows = held.sql(
            f"SELECT DISTINCT internal_id, subsidiary FROM netsuite.reference WHERE list = ?"
            f" AND is_inactive IS NOT TRUE AND lower(trim({quote(key)})) = lower(trim(?)) ORDER BY ALL",
            [name, value],
        )
        ids = sorted({str(row[0]) for row in rows})
        if len(ids) == 1:
            return "", "warning"
        if ids:
            told = f"NetSuite has several active rows '{shown(value)}' in the list {name}: internal ids {', '.join(ids[:5])}"
            if any(row[1] for row in rows):
                return f"{told}; the one of the record's own subsidiary is taken", "warning"
            return f"{told}; map it to one of them", "error"
    keys = " OR ".join(f"lower(trim({quote(key)})) = lower(trim($2))" for key in by)
    if held.value(f"SELECT count(*) FROM netsuite.reference WHERE list = $1 AND ({keys})", [name, value]):
        return f"'{shown(value)}' of the list {name} is inactive in NetSuite", "error"
    column = quote(by[-1])
    known = held.sql(
        f"SELECT DISTINCT {column} FROM netsuite.reference WHERE list = ? AND is_inactive IS NOT TRUE"
        f" AND {column} IS NOT NULL ORDER BY 1 LIMIT 5000",
        [name],
    )
    hint = nearest(value, [str(row[0]) for row in known])
    what = " or ".join(key.replace("_", " ") for key in by)
    return f"NetSuite has no active '{shown(value)}' in the list {name} (by {what}){hint}", "error"


# As a CI reads it


def as_github(linted: Linted, folder: Path) -> str:
    """Workflow commands that GitHub shows beside the lines of a pull request."""
    lines = []
    for one in linted.findings:
        where = f"file={_property(_path(one, folder))},line={one.line},col={one.column}"
        message = one.message.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
        lines.append(f"::{one.level} {where}::{message}")
    return "\n".join(lines)


def as_json(linted: Linted, folder: Path) -> str:
    """One object: `ok`, `findings` (file, line, column, level, message) and `tenants` (name, ok, account_schema_of)."""
    findings = [
        {
            "file": _path(one, folder),
            "line": one.line,
            "column": one.column,
            "level": one.level,
            "message": one.message,
        }
        for one in linted.findings
    ]
    tenants = [
        {
            "name": name,
            "ok": name not in linted.wrong,
            "account_schema_of": linted.accounts[name].isoformat() if name in linted.accounts else None,
        }
        for name in linted.tenants
    ]
    return json.dumps(
        {"ok": linted.ok, "findings": findings, "tenants": tenants}, indent=2, ensure_ascii=False
    )


def _path(finding: Finding, folder: Path) -> str:
    """The file as a CI finds it: in the folder that was checked."""
    return finding.file if finding.file == str(folder) else (folder / Path(finding.file).name).as_posix()


def _property(text: str) -> str:
    for character, escaped in (("%", "%25"), ("\r", "%0D"), ("\n", "%0A"), (":", "%3A"), (",", "%2C")):
        text = text.replace(character, escaped)
    return text
