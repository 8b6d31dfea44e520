"""A mapping kept as CSV, as rules in YAML: row by row, each checked as `recon lint` would, and none lost silently.

Here: the words that a row's rule may be made of, and what they become. Not here: what a rule does (`rules.py`).

    source,target,rule
    issued_on,tranDate,
    terms,terms,lookup term | default Net 30
    legal_entity,subsidiary,"map us=1, de=3"
    ,memo,template Usage {number}
    product_id,item.item,lookup item by external id

A target `item.x` (or `lines.x`) is a field of the lines. A column `record` may say which record a row is for.
"""

from __future__ import annotations

import csv
import io
import re
import shutil
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from netsuite_assets.mapping.compiler import compile_mapping
from netsuite_assets.mapping.scaffold import flow
from netsuite_assets.tables import TABLES
from resources.netsuite.records import UnknownField
from resources.netsuite.records import field as netsuite_field
from resources.tenants import Tenant, TenantError, TenantRegistry, nearest, shown
from resources.tenants.source import read_document
from resources.tenants.values import RECORD_TYPES

_COLUMNS: Final = ("source", "target", "rule")
_OPTIONAL: Final = ("record",)
_COPY: Final = frozenset({"", "copy", "direct", "1:1", "as is", "="})
_MATCHES: Final = {"internal id": "internal_id", "external id": "external_id", "number": "number", "name": "name", "date": "date"}  # fmt: skip
_TYPES: Final = ("date", "datetime", "amount", "rate", "quantity", "integer", "boolean", "reference", "text")
#: First words of a rule's parts, for the nearest right one.
_WORDS: Final = (
    "copy", "value", "constant", "default", "lookup", "map", "template", "join", "first of", "type", "negate", "absolute",
    "round", "max length", "cut", "owner", "write",
)  # fmt: skip
_EXTERNAL_IDS: Final = {"customer": "cus", "invoice": "inv", "creditMemo": "cm"}


class RowError(Exception):
    """A row that says nothing which a rule could say; the message says why."""


class MappingFileError(Exception):
    """A file that is no mapping at all; the message says why and what to do."""


@dataclass(frozen=True)
class Row:
    """A row of the file, as it stands there; `line` counts from 1."""

    line: int
    source: str
    target: str
    rule: str
    record: str


@dataclass(frozen=True)
class Translated:
    """A row as a rule of `record`'s `part` (fields or lines)."""

    row: Row
    record: str
    part: str
    name: str
    rule: Mapping[str, object]


@dataclass(frozen=True)
class Refused:
    """A row that could not be translated, and why."""

    row: Row
    why: str

    def __str__(self) -> str:
        told = ", ".join(f"{name} '{shown(value)}'" for name, value in (("source", self.row.source), ("target", self.row.target), ("rule", self.row.rule)) if value)  # fmt: skip
        return f"line {self.row.line} ({told}): {self.why}"


@dataclass(frozen=True)
class Imported:
    """Every row of the file: translated or refused."""

    translated: tuple[Translated, ...]
    refused: tuple[Refused, ...]


# Reading


def read_rows(path: Path, record: str) -> list[Row]:
    """The rows of a CSV file (UTF-8, separated by commas, semicolons or tabs). Raises `MappingFileError`."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise MappingFileError(f"{path} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError as error:
        raise MappingFileError(
            f"{path} is not UTF-8 text (at byte {error.start}); save it as CSV with that encoding."
        ) from None
    head = text.partition("\n")[0]
    delimiter = max(",;\t", key=head.count)
    try:
        lines = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
        names = [name.strip().lower() for name in next(lines, [])]
        missing = [name for name in ("source", "target") if name not in names]
        if missing:
            raise MappingFileError(
                f"{path} has no column {' and '.join(missing)}: its first line names {', '.join(names) or 'nothing'};"
                f" it must name {', '.join(_COLUMNS)}, and may name {', '.join(_OPTIONAL)}."
            )
        rows = []
        before = lines.line_num
        for cells in lines:
            line, before = before + 1, lines.line_num
            if not any(cell.strip() for cell in cells):
                continue
            named = dict(zip(names, (cell.strip() for cell in cells), strict=False))
            rows.append(
                Row(
                    line,
                    named.get("source", ""),
                    named.get("target", ""),
                    named.get("rule", ""),
                    named.get("record", "") or record,
                )
            )
    except csv.Error as error:
        raise MappingFileError(f"{path} is no CSV file: {error}.") from None
    return rows


# Translating


def translate(rows: Iterable[Row], tenant: Tenant, folder: Path) -> Imported:
    """The rows as rules of a tenant, each held to all that `recon lint` holds a rule to.

    `folder` is the tenants' folder, for the base files that the tenant extends.
    """
    translated: list[Translated] = []
    refused: list[Refused] = []
    seen: dict[tuple[str, str, str], int] = {}
    check = _Check(tenant, folder)
    for row in rows:
        try:
            one = _translated(row)
            key = (one.record, one.part, one.name.lower())
            if key in seen:
                raise RowError(f"line {seen[key]} gives {one.name} a rule already")
            check(one)
        except RowError as error:
            refused.append(Refused(row, str(error)))
        else:
            seen[key] = row.line
            translated.append(one)
    return Imported(tuple(translated), tuple(refused))


def _translated(row: Row) -> Translated:
    if row.record not in RECORD_TYPES and not row.record.startswith("customrecord_"):
        raise RowError(f"there is no record '{shown(row.record)}'{nearest(row.record, RECORD_TYPES)}")
    if not row.target:
        raise RowError("it has no target")
    before, dot, name = row.target.rpartition(".")
    tables = TABLES.get(row.record)
    sublist = None if tables is None else tables.sublist
    if dot and before.lower() not in ("line", "lines", *([sublist] if sublist else [])):
        raise RowError(f"{row.record} has no lines '{shown(before)}'; a field of its lines is written {sublist or 'lines'}.{name}")  # fmt: skip
    part = "lines" if dot else "fields"
    try:
        name = netsuite_field(row.record, name, sublist if dot else None).name
    except UnknownField as error:
        hint = f"; did you mean '{error.nearest[0]}'?" if error.nearest else ""
        raise RowError(f"{error.where} has no field '{shown(name)}'{hint}") from None
    return Translated(row, row.record, part, name, rule_of(row.source, row.rule))


def rule_of(source: str, words: str) -> dict[str, object]:
    """The rule that a row's words mean; raises `RowError`."""
    rule: dict[str, object] = {}
    for part in words.split("|"):
        for key, value in _part(part.strip(), source).items():
            if key in rule:
                raise RowError(f"its rule says '{key}' twice")
            rule[key] = value
    makes = {"value", "template", "join", "first_of"} & set(rule)
    if source and not makes:
        rule = {"from": source, **rule}
    if source and makes and not ({"join", "first_of"} & makes):
        raise RowError(f"it has a source and a {makes.pop()}; one of them gives the value")
    if not source and not makes:
        raise RowError("it has no source, and its rule gives no value")
    return rule


def _part(part: str, source: str) -> dict[str, object]:
    lowered = part.lower()
    if lowered in _COPY:
        return {}
    found = re.fullmatch(r"(?is)(value|constant|default|template|owner|type|write)\s*[:=]?\s+(.+)", part)
    if found is not None:
        key = found[1].lower()
        return {"value" if key == "constant" else key: _unquoted(found[2].strip())}
    if lowered in _TYPES:
        return {"type": lowered}
    if lowered in ("negate", "absolute"):
        return {"sign": lowered}
    if lowered == "cut":
        return {"cut": True}
    if found := re.fullmatch(r"(?i)round\s+(currency|\d{1,2})", part):
        return {"round": int(found[1]) if found[1].isdecimal() else "currency"}
    if found := re.fullmatch(r"(?i)max[ _]length\s+(\d{1,7})", part):
        return {"max_length": int(found[1])}
    if found := re.fullmatch(r"(?i)lookup\s+(\w+)(?:\s+by\s+(.+))?", part):
        return {"lookup": found[1], **({"by": _by(found[2])} if found[2] else {})}
    if found := re.fullmatch(r"(?is)map\s+(.+)", part):
        return {"map": _pairs(found[1])}
    if found := re.fullmatch(r"(?is)(join|first of)\s+(.+)", part):
        paths = [one.strip() for one in re.split(r"[,;]", found[2]) if one.strip()]
        all_ = [source, *(one for one in paths if one != source)] if source else paths
        return {"join" if found[1].lower() == "join" else "first_of": all_}
    first = re.match(r"[\w ]*", part)
    raise RowError(f"'{shown(part)}' is no rule{nearest((first[0] if first else part).split(' ')[0], _WORDS)}; a rule is {', '.join(_WORDS)}, or nothing")  # fmt: skip


def _by(text: str) -> object:
    keys = []
    for one in re.split(r"[,;]|\bor\b|\bthen\b", text):
        name = " ".join(one.lower().replace("_", " ").split())
        if name not in _MATCHES:
            raise RowError(f"nothing is looked up by '{shown(one.strip())}'{nearest(name, _MATCHES)}; use {', '.join(_MATCHES)}")  # fmt: skip
        keys.append(_MATCHES[name])
    return keys[0] if len(keys) == 1 else keys


def _pairs(text: str) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for one in re.split(r"[,;\n]", text):
        if not one.strip():
            continue
        before, sign, after = next(
            (one.partition(sign) for sign in ("->", "→", "=", ":") if sign in one), (one, "", "")
        )
        key = _unquoted(before.strip())
        if not sign or not key or not after.strip():
            raise RowError(f"'{shown(one.strip())}' is no pair of a map; write a=1, b=2")
        if key in pairs:
            raise RowError(f"its map gives '{shown(key)}' twice")
        pairs[key] = _unquoted(after.strip())
    return pairs


def _unquoted(text: str) -> str:
    return text[1:-1] if len(text) >= 2 and text[0] == text[-1] and text[0] in "'\"" else text


class _Check:
    """Holds each rule, alone in a base file between the tenant's and its former base, to what `recon lint` says."""

    def __init__(self, tenant: Tenant, folder: Path) -> None:
        self._tenant = tenant
        self._folder = folder
        self._own = read_document(tenant.source, f"{folder.name}/{tenant.name}.yaml")
        self._base = base_of(tenant)

    def __call__(self, one: Translated) -> None:
        written = self._own
        for key in ("records", one.record, one.part):
            found = written.get(key)
            if found is None:
                break
            written = found
        else:
            below = written.value if isinstance(written.value, Mapping) else {}
            for name, node in below.items():
                if name.lower() == one.name.lower():
                    raise RowError(f"{node.key.file}:{node.key.line} gives {one.name} a rule, which counts; keep that or this row")  # fmt: skip
        name = f"_{self._tenant.name}-imported"
        with tempfile.TemporaryDirectory() as temporary:
            inside = Path(temporary) / "tenants"
            inside.mkdir()
            for base in self._folder.glob("_*.yaml"):
                shutil.copy(base, inside)
            head = f"extends: {self._base}\n" if self._base is not None else ""
            rules = head + records_text([one], self._tenant)
            (inside / f"{name}.yaml").write_text(rules, encoding="utf-8")
            own = re.sub(r"(?m)^extends\s*:.*\n?", "", self._tenant.source.removeprefix("\ufeff"))
            (inside / f"{self._tenant.name}.yaml").write_text(f"extends: {name}\n{own}", encoding="utf-8")
            try:
                compile_mapping(TenantRegistry(inside).load(self._tenant.name))
            except TenantError as error:
                # Only what is wrong with the rule itself, on the last line: other rows give what the record lacks.
                at = (f"tenants/{name}.yaml", rules.count("\n"))
                mine = [each.message for each in error.problems if (each.file, each.line) == at]
                if mine:
                    raise RowError("; ".join(dict.fromkeys(mine))) from None


def base_of(tenant: Tenant) -> str | None:
    """The base file that the tenant's own file extends."""
    extends = read_document(tenant.source, tenant.name).get("extends")
    return str(extends.value) if extends is not None and extends.value is not None else None


# Writing


def records_text(translated: Sequence[Translated], tenant: Tenant) -> str:
    """The rules as the key `records` of a file, with an external id for records that the tenant does not map yet."""
    lines = ["records:"]
    records = dict.fromkeys(one.record for one in translated)
    for record in records:
        lines.append(f"  {record}:")
        if record not in tenant.records:
            prefix = _EXTERNAL_IDS.get(record, record.lower())
            lines.append(f'    external_id: "{prefix}-{{id}}"')
        for part in ("fields", "lines"):
            own = [one for one in translated if (one.record, one.part) == (record, part)]
            if own:
                lines.append(f"    {part}:")
            lines += [f"      {one.name}: {flow(one.rule)}" for one in own]
    return "\n".join(lines) + "\n"


def file_text(imported: Imported, file: str, tenant: Tenant) -> str:
    """A base file with the rules; what could not be translated stands in it as remarks."""
    lines = [f"# Imported from {shown(file)}: {len(imported.translated)} rows are rules below."]
    if imported.refused:
        lines.append(f"# {len(imported.refused)} rows are not, and wait for a person:")
        lines += [f"#   {shown(str(one), 500)}" for one in imported.refused]
    base = base_of(tenant)
    if base is not None:
        lines.append(f"extends: {base}")
    rules = records_text(imported.translated, tenant) if imported.translated else ""
    return "\n".join(lines) + "\n" + rules
