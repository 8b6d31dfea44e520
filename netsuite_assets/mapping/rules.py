"""The meaning of one rule: a tenant's text checked against NetSuite's fields and the billing tables.

Here: every check that needs no account and no data, each mistake with its place. Not here: the file's shape
(`resources/tenants`), or running a rule (`sql.py`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from netsuite_assets.mapping.model import CUSTOMER, FieldRule, Lookup, MappedField, Source
from netsuite_assets.mapping.paths import PathError, Scope
from netsuite_assets.mapping.values import convert, fits
from resources.netsuite.records import (
    CUSTOM_PREFIXES,
    REFERENCES,
    FieldType,
    Kind,
    UnknownField,
    field,
)
from resources.tenants import Place, Problem, Rule, Tenant, nearest, shown

MATCH_ORDER: Final = ("internal_id", "external_id", "number", "name")

#: Without these NetSuite has no such record (NetSuite REST facts: minimum of an invoice).
REQUIRED_FIELDS: Final[Mapping[tuple[str, bool], str]] = {
    ("invoice", False): "entity",
    ("creditMemo", False): "entity",
    ("invoice", True): "item",
    ("creditMemo", True): "item",
}

_CUSTOM_NAME: Final = re.compile(r"(custbody|custcol|custentity|cseg)_[a-z0-9_]{1,60}")
_CUSTOM_LIST: Final = re.compile(r"(customlist|customrecord|cseg)_[a-z0-9_]{1,60}")
_CUSTOM_PLACES: Final = {
    "custbody_": "the fields of a transaction",
    "custcol_": "the lines of a transaction",
    "custentity_": "the fields of a customer",
    "custrecord_": "a custom record",
}


class RuleError(Exception):
    """One mistake of a rule: at one of its keys, or at the field's name."""

    def __init__(self, message: str, key: str | None = None) -> None:
        super().__init__(message)
        self.key = key


@dataclass(frozen=True)
class RuleCompiler:
    """Compiles the rules of one record's fields, or of its lines' fields."""

    tenant: Tenant
    scope: Scope

    def compile(self, name: str, rule: Rule, index: int) -> FieldRule:
        """The checked rule; raises `RuleError` with the first mistake."""
        if name.lower() == "externalid":
            raise RuleError("the external id is made by the record's own key 'external_id', not by a field")
        kind = self._field(name, rule)
        constant, source, template = self._source(rule)
        lookup = self._lookup(rule, kind)
        if rule.map is not None and rule.value is not None:
            raise RuleError("a constant needs no map; write what it becomes", "map")
        if rule.default is not None and rule.value is not None and lookup is None:
            raise RuleError("a constant needs no default", "default")
        self._check_values(rule, None if lookup is not None else kind.kind)
        is_text = rule.map is not None or template is not None or constant is not None
        start = "text" if is_text or source is None else source.kind
        if lookup is None and convert("x", start, kind.kind) is None:
            path = source.path if source is not None else ""
            raise RuleError(
                f"'{shown(path)}' is {start} and {kind.name} is {kind.kind}; no rule makes one of the other"
            )
        place = self._place(name)
        mapped = MappedField(
            name=kind.name,
            kind=kind.kind,
            target=kind.target,
            list_name=_list_name(kind, lookup),
            owner=rule.owner,
            policy="always",
            suiteql=kind.suiteql,
            where=f"{place.file}:{place.line}",
        )
        required = REQUIRED_FIELDS.get((self.scope.record, self.scope.on_line)) == kind.name
        return FieldRule(index, mapped, rule, source, constant, template, lookup, required)

    def problem(self, name: str, error: RuleError) -> Problem:
        """The mistake at its place in the file."""
        if error.key is None:
            return Problem.at(self._place(name), str(error))
        return Problem.at(self.tenant.place(*self.path, name, error.key), str(error))

    @property
    def path(self) -> tuple[str, str, str]:
        return ("records", self.scope.record, "lines" if self.scope.on_line else "fields")

    def _place(self, name: str) -> Place:
        return self.tenant.key_place(*self.path, name)

    def _field(self, name: str, rule: Rule) -> FieldType:
        record_name, sublist = self.scope.record, "item" if self.scope.on_line else None
        custom = name.lower().startswith(tuple(CUSTOM_PREFIXES))
        if custom and not _CUSTOM_NAME.fullmatch(name):
            raise RuleError(
                f"'{shown(name)}' is not the id of a custom field: lower-case letters, digits and underscores"
            )
        declared: Kind | None = rule.type
        target = None
        if custom and rule.lookup is not None:
            if rule.type not in (None, "reference"):
                raise RuleError("a lookup gives a reference; leave 'type' out", "type")
            declared = "reference"
            target = rule.lookup
        try:
            found = field(record_name, name, sublist, kind=declared, target=target)
        except UnknownField as error:
            raise RuleError(_unknown(error, name)) from None
        if found.read_only:
            raise RuleError(f"{found.name} is computed by NetSuite and cannot be written")
        if rule.type is not None and rule.type != found.kind:
            raise RuleError(f"{found.name} is {found.kind} in NetSuite; leave 'type' out", "type")
        return found

    def _source(self, rule: Rule) -> tuple[str | None, Source | None, tuple[str | Source, ...] | None]:
        given = [key for key, value in _sources(rule).items() if value is not None]
        if not given:
            raise RuleError("this rule says no source: give it 'from', 'value' or 'template'")
        if len(given) > 1:
            raise RuleError(f"this rule has {' and '.join(given)}; one of them gives the value", given[-1])
        try:
            if rule.source is not None:
                return None, self.scope.source(rule.source), None
            if rule.template is not None:
                return None, None, self.scope.template(rule.template)
        except PathError as error:
            raise RuleError(str(error), given[0]) from None
        return rule.value, None, None

    def _lookup(self, rule: Rule, kind: FieldType) -> Lookup | None:
        if rule.lookup is None:
            if rule.by is not None:
                raise RuleError("'by' says how a lookup matches; this rule has no lookup", "by")
            if kind.target == CUSTOMER:
                raise RuleError(f"{kind.name} is a customer: give it 'lookup: customer'")
            return None
        name = rule.lookup
        if kind.kind != "reference":
            raise RuleError(
                f"a lookup gives a reference, but {kind.name} is {kind.kind}; leave it out", "lookup"
            )
        if name == CUSTOMER:
            return self._customer(rule, kind)
        known = sorted(set(REFERENCES) - {CUSTOMER})
        if name not in known and not _CUSTOM_LIST.fullmatch(name):
            hint = nearest(name, [CUSTOMER, *known])
            raise RuleError(f"there is no list '{shown(name)}' in NetSuite{hint}", "lookup")
        wanted = _standard_list(kind)
        if wanted is not None and name != wanted:
            raise RuleError(
                f"{kind.name} refers to {wanted}, not to {name}; use 'lookup: {wanted}'", "lookup"
            )
        if rule.map is not None and rule.source is None and rule.template is None:
            raise RuleError("a map needs 'from'", "map")
        return Lookup(name, tuple(rule.by or MATCH_ORDER))

    def _customer(self, rule: Rule, kind: FieldType) -> Lookup:
        if kind.target not in (CUSTOMER, None):
            raise RuleError(f"{kind.name} refers to {kind.target}, not to a customer", "lookup")
        if CUSTOMER not in self.tenant.records:
            raise RuleError(
                "customers are looked up by their external id: map records.customer too", "lookup"
            )
        if rule.default is not None:
            raise RuleError(
                "a document without a customer is an exception; it is never given a default one", "default"
            )
        if rule.by is not None:
            raise RuleError("a customer is looked up by its billing id; leave 'by' out", "by")
        return Lookup(CUSTOMER, ("internal_id",))

    def _check_values(self, rule: Rule, kind: Kind | None) -> None:
        """Values that stand in the file itself must be there and fit the field, if they are not to be looked up."""
        given = [
            ("value", rule.value),
            ("default", rule.default),
            *(("map", text) for text in (rule.map or {}).values()),
        ]
        for key, text in given:
            if text is None:
                continue
            if not text.strip():
                raise RuleError("an empty text is no value; leave the rule out to keep the field empty", key)
            if kind is not None and (why := fits(text, kind)) is not None:
                raise RuleError(f"'{shown(text)}' {why}", key)


def _sources(rule: Rule) -> Mapping[str, str | None]:
    return {"from": rule.source, "value": rule.value, "template": rule.template}


def _unknown(error: UnknownField, name: str) -> str:
    hint = f"; did you mean '{error.nearest[0]}'?" if error.nearest else ""
    for prefix, place in _CUSTOM_PLACES.items():
        if name.startswith(prefix):
            hint = f": {prefix}… fields belong to {place}"
    return f"{error.where} has no field '{shown(name)}'{hint}"


def _standard_list(kind: FieldType) -> str | None:
    """The one list that a field can refer to, when its name or NetSuite's schema says so."""
    if kind.name.startswith("cseg_"):
        return kind.name
    return kind.target if not kind.is_custom else None


def _list_name(kind: FieldType, lookup: Lookup | None) -> str | None:
    if lookup is not None:
        return lookup.list_name
    return _standard_list(kind) if kind.kind == "reference" else None
