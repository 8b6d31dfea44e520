"""The meaning of one rule: a tenant's text checked against NetSuite's fields and the billing tables.

Here: every check that needs no account and no data, each mistake with its place. Not here: the file's shape
(`resources/tenants`), which rows a rule is for (`records.py`), or running a rule (`sql.py`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Final

from netsuite_assets.mapping.conditions import ConditionError, condition_of
from netsuite_assets.mapping.model import (
    CUSTOMER,
    Branch,
    Condition,
    FieldRule,
    Lookup,
    MappedField,
    Shift,
    Source,
    SourceKind,
    Way,
)
from netsuite_assets.mapping.paths import PathError, Scope
from netsuite_assets.mapping.values import convert, fits
from netsuite_assets.mapping.values import number as as_number
from netsuite_assets.tables import TABLES
from resources.netsuite.records import (
    CUSTOM_PREFIXES,
    DECIMAL_KINDS,
    REFERENCES,
    FieldType,
    Kind,
    UnknownField,
)
from resources.netsuite.records import field as netsuite_field
from resources.tenants import Place, Problem, Rule, Tenant, ValueRule, nearest, shown
from resources.tenants.checks import locate

MATCH_ORDER: Final = ("internal_id", "external_id", "number", "name")

#: Without these NetSuite has no such record (NetSuite REST facts: minimum of an invoice, payments, journal lines).
REQUIRED_FIELDS: Final[Mapping[tuple[str, bool], str]] = {
    ("invoice", False): "entity",
    ("creditMemo", False): "entity",
    ("customerPayment", False): "customer",
    ("invoice", True): "item",
    ("creditMemo", True): "item",
    ("customerPayment", True): "doc",
    ("journalEntry", True): "account",
}

_CUSTOM_NAME: Final = re.compile(r"(custbody|custcol|custentity|custrecord|cseg)_[a-z0-9_]{1,60}")
_CUSTOM_LIST: Final = re.compile(r"(customlist|customrecord|cseg)_[a-z0-9_]{1,60}")
_CUSTOM_PLACES: Final = {
    "custbody_": "the fields of a transaction",
    "custcol_": "the lines of a transaction",
    "custentity_": "the fields of a customer",
    "custrecord_": "a custom record",
}
_PERIODS: Final = "accountingPeriod"
_NUMERIC: Final = DECIMAL_KINDS | {"integer"}
_SOURCE_KEYS: Final = {
    "source": "from",
    "value": "value",
    "template": "template",
    "join": "join",
    "first_of": "first_of",
    "empty": "empty",
}
#: What stands beside `first_of` and counts for each of its ways.
_SHARED: Final = ("separator", "map", "sign", "shift", "round", "lookup", "by")

Path = tuple[str | int, ...]


class RuleError(Exception):
    """One mistake of a rule: at the value (or with `at_key` the key) that `steps` lead to, or at the field's name."""

    def __init__(self, message: str, *steps: str | int, at_key: bool = False) -> None:
        super().__init__(message)
        self.steps = steps
        self.at_key = at_key


@dataclass(frozen=True)
class PlacedRule:
    """A rule and the places in the file that make it, the one that counts most first."""

    rule: Rule
    paths: tuple[Path, ...]


@dataclass(frozen=True)
class RuleCompiler:
    """Compiles the rules of one record's fields, or of the fields of one kind of its lines.

    `currency` is the billing value by which `round: currency` rounds, if there is one. `own` tells which record types
    the mapping itself makes can be looked up.
    """

    tenant: Tenant
    scope: Scope
    sublist: str | None
    currency: Source | None
    own: Mapping[str, bool]
    _numbers: Iterator[int] = field(default_factory=count)

    def compile(self, name: str, rules: Mapping[str | None, PlacedRule], index: int) -> FieldRule:
        """The checked rules of a field by legal entity (None for all others); raises `PlacedErrors`."""
        first: MappedField | None = None
        branches = []
        problems = []
        for entity, placed in rules.items():
            try:
                mapped, kind = self._mapped(name, placed)
                branches.append(self._branch(mapped, kind, entity, placed))
                first = first or mapped
                if mapped.list_name != first.list_name:
                    raise RuleError(
                        f"{name} is of one list for all subsidiaries, not of {first.list_name} and {mapped.list_name}",
                        "lookup",
                    )
                if (mapped.kind, mapped.owner, mapped.policy) != (first.kind, first.owner, first.policy):
                    raise RuleError(
                        f"'type', 'owner' and 'write' of {name} are the same for all subsidiaries"
                    )
            except RuleError as error:
                problems.append(self.problem(placed, error))
        if problems or first is None:
            raise PlacedErrors(problems)
        required = REQUIRED_FIELDS.get((self.scope.record, self.sublist is not None)) == first.name
        return FieldRule(index, first, tuple(branches), required)

    def problem(self, placed: PlacedRule, error: RuleError) -> Problem:
        """The mistake at its place in the file."""
        return Problem.at(self.place(placed, *error.steps, at_key=error.at_key), str(error))

    def place(self, placed: PlacedRule, *steps: str | int, at_key: bool = False) -> Place:
        """Where a key of a rule is written: its value, or the field's name where no key is meant."""
        if not steps:
            return self.tenant.key_place(*placed.paths[0])
        for path in placed.paths:
            node, rest = locate(self.tenant.tree, (*path, *steps))
            if not rest:
                return node.key if at_key else node.place
        return self.tenant.place(*placed.paths[0], *steps)

    # The field

    def _mapped(self, name: str, placed: PlacedRule) -> tuple[MappedField, FieldType]:
        if name.lower() == "externalid":
            raise RuleError("the external id is made by the record's own key 'external_id', not by a field")
        rule = placed.rule
        lookup, step = _named_lookup(rule)
        kind = self._field(name, rule, lookup)
        if rule.write != "always" and self.sublist is not None:
            raise RuleError("lines are written all together; 'write' is for the fields of a record", "write")
        if lookup is None and any(other is not None for other in _lookups(rule)):
            raise RuleError("either all ways of 'first_of' look up, or none", *step)
        own = lookup if lookup is not None and self._is_own(lookup) else None
        mapped = MappedField(
            name=kind.name,
            kind=kind.kind,
            target=own or kind.target,
            list_name=_list_name(kind, lookup, rule),
            owner=rule.owner,
            policy=rule.write,
            suiteql=kind.suiteql,
            where=self._where(placed),
            by_external_id=own is not None,
        )
        return mapped, kind

    def _field(self, name: str, rule: Rule, lookup: str | None) -> FieldType:
        custom = name.lower().startswith(tuple(CUSTOM_PREFIXES))
        if custom and not _CUSTOM_NAME.fullmatch(name):
            raise RuleError(
                f"'{shown(name)}' is not the id of a custom field: lower-case letters, digits and underscores"
            )
        declared: Kind | None = rule.type
        target = None
        if custom and lookup is not None:
            if rule.type not in (None, "reference"):
                raise RuleError("a lookup gives a reference; leave 'type' out", "type")
            declared = "reference"
            target = lookup
        try:
            found = netsuite_field(self.scope.record, name, self.sublist, kind=declared, target=target)
        except UnknownField as error:
            raise RuleError(_unknown(error, name)) from None
        if found.read_only:
            raise RuleError(f"{found.name} is computed by NetSuite and cannot be written")
        if rule.type is not None and rule.type != found.kind:
            raise RuleError(f"{found.name} is {found.kind} in NetSuite; leave 'type' out", "type")
        return found

    # The rule

    def _branch(self, mapped: MappedField, kind: FieldType, entity: str | None, placed: PlacedRule) -> Branch:
        rule = placed.rule
        given = [key for name, key in _SOURCE_KEYS.items() if getattr(rule, name) is not None]
        if not given:
            raise RuleError("this rule says no source: give it 'from', 'value' or 'template'")
        if len(given) > 1:
            raise RuleError(f"this rule has {' and '.join(given)}; one of them gives the value", given[-1])
        if rule.default is not None and rule.empty:
            raise RuleError("a field that stays empty has no default", "default")
        self._check_limits(rule, kind)
        ways = []
        for one, steps in self._given_ways(rule):
            # What stands beside `first_of` is a condition of the whole rule.
            condition = self._condition(one, placed, *steps, "when") if steps else None
            ways.append(self._way(mapped, kind, placed, one, steps, condition))
        return Branch(
            entity=entity,
            condition=self._condition(rule, placed, "when"),
            ways=tuple(ways),
            default=rule.default,
            max_length=rule.max_length,
            max_decimals=rule.max_decimals,
            cut=rule.cut,
            where=self._where(placed),
        )

    def _where(self, placed: PlacedRule) -> str:
        place = self.place(placed)
        return f"{place.file}:{place.line}"

    def _given_ways(self, rule: Rule) -> list[tuple[ValueRule, Path]]:
        """The ways of a rule, each with the steps to it: several of `first_of`, none of an empty field."""
        if rule.empty:
            return []
        if rule.first_of is None:
            return [(rule, ())]
        found: list[tuple[ValueRule, Path]] = []
        for index, one in enumerate(rule.first_of):
            shared: dict[str, object] = {
                key: getattr(rule, key)
                for key in _SHARED
                if key in rule.model_fields_set - one.model_fields_set
                and not (key == "by" and one.lookup is not None)
            }
            found.append((one.model_copy(update=shared), ("first_of", index)))
        return found

    def _condition(self, rule: ValueRule, placed: PlacedRule, *steps: str | int) -> Condition | None:
        if rule.when is None:
            return None
        place = self.place(placed, *steps)
        try:
            return condition_of(rule.when, self.scope.source, f"{place.file}:{place.line}")
        except ConditionError as error:
            raise RuleError(str(error), *steps, *error.steps, at_key=error.at_key) from None

    def _way(
        self,
        mapped: MappedField,
        kind: FieldType,
        placed: PlacedRule,
        one: ValueRule,
        steps: Path,
        condition: Condition | None,
    ) -> Way:
        rule = placed.rule
        constant, source, template, joined = self._source(one, steps)
        lookup = self._lookup(one, kind, steps, rule.default)
        if one.map is not None and one.value is not None:
            raise RuleError("a constant needs no map; write what it becomes", *steps, "map")
        if rule.default is not None and one.value is not None and lookup is None and not steps:
            raise RuleError("a constant needs no default", "default")
        if one.separator is not None and joined is None and not steps:
            raise RuleError("'separator' stands between the values of 'join'", "separator")
        date_wanted = lookup is not None and lookup.of_date
        self._check_values(
            rule, one, steps, "date" if date_wanted else None if lookup is not None else kind.kind
        )
        is_text = one.map is not None or source is None
        start: SourceKind = "text" if is_text or source is None else source.kind
        self._check_operations(one, kind, steps, start, lookup, is_constant=source is None)
        made_of = as_number("x", start) if kind.kind in _NUMERIC and _computes(one) else None
        if lookup is None and made_of is None and convert("x", start, kind.kind) is None:
            path = source.path if source is not None else ""
            raise RuleError(
                f"'{shown(path)}' is {start} and {kind.name} is {kind.kind}; no rule makes one of the other",
                *steps,
            )
        return Way(
            index=next(self._numbers),
            field=mapped,
            where=self._where(placed),
            source=source,
            constant=constant,
            template=template,
            joined=joined,
            separator=", " if one.separator is None else one.separator,
            condition=condition,
            value_map=one.map,
            sign=one.sign,
            shifts=tuple(Shift(each.months, each.days, each.end_of_month) for each in one.shift or ()),
            round=one.round,
            lookup=lookup,
            own=lookup is not None and self._is_own(lookup.list_name),
            default=rule.default,
            described=_described(one, lookup, rule.default if not steps else None),
        )

    def _source(
        self, one: ValueRule, steps: Path
    ) -> tuple[str | None, Source | None, tuple[str | Source, ...] | None, tuple[Source, ...] | None]:
        given = [key for key in list(_SOURCE_KEYS)[:4] if getattr(one, key) is not None]
        keys = [_SOURCE_KEYS[key] for key in given]
        if len(given) != 1:
            raise RuleError("each way of 'first_of' is a path, or has one of 'from', 'value', 'template', 'join'", *steps)  # fmt: skip
        at: Path = (*steps, keys[0])
        try:
            if one.source is not None:
                return None, self.scope.source(one.source), None, None
            if one.template is not None:
                return None, None, self.scope.template(one.template), None
            if one.join is not None:
                joined = []
                for index, path in enumerate(one.join):
                    at = (*steps, "join", index)
                    joined.append(self.scope.source(path))
                return None, None, None, tuple(joined)
        except PathError as error:
            raise RuleError(str(error), *at) from None
        return one.value, None, None, None

    def _check_operations(
        self,
        one: ValueRule,
        kind: FieldType,
        steps: Path,
        start: SourceKind,
        lookup: Lookup | None,
        *,
        is_constant: bool,
    ) -> None:
        """What computes needs something to compute with, and a field that takes the result."""
        for key in ("sign", "round"):
            if getattr(one, key) is None:
                continue
            if lookup is not None or kind.kind not in _NUMERIC:
                raise RuleError(f"'{key}' is for numbers, and {kind.name} is {kind.kind}", *steps, key)
            if is_constant or as_number("x", start) is None:
                raise RuleError(f"'{key}' needs a number out of 'from'", *steps, key)
        if one.round == "currency" and self.currency is None:
            raise RuleError("there is no currency here to round to; give the number of decimal places", *steps, "round")  # fmt: skip
        if one.shift is not None:
            if kind.kind != "date" and not (lookup is not None and lookup.of_date):
                raise RuleError(f"'shift' is for dates, and {kind.name} is {kind.kind}", *steps, "shift")
            if is_constant or convert("x", start, "date") is None:
                raise RuleError("'shift' needs a date out of 'from'", *steps, "shift")
        if lookup is not None and lookup.of_date and convert("x", start, "date") is None:
            raise RuleError(f"a period is looked up by a date, not by {start}", *steps, "by")

    def _check_limits(self, rule: Rule, kind: FieldType) -> None:
        if rule.max_length is not None and kind.kind not in ("text", "enum"):
            raise RuleError(f"'max_length' is for texts, and {kind.name} is {kind.kind}", "max_length")
        if rule.max_decimals is not None and kind.kind not in DECIMAL_KINDS:
            raise RuleError(f"'max_decimals' is for numbers, and {kind.name} is {kind.kind}", "max_decimals")
        if rule.cut and rule.max_length is None and rule.max_decimals is None:
            raise RuleError("'cut' says to cut at a limit; give 'max_length' or 'max_decimals'", "cut")
        for key, text in (("value", rule.value), ("default", rule.default)):
            if text is None or rule.cut:
                continue
            if rule.max_length is not None and len(text) > rule.max_length:
                raise RuleError(f"'{shown(text)}' is longer than max_length {rule.max_length}", key)
            if rule.max_decimals is not None and _decimals(text) > rule.max_decimals:
                raise RuleError(
                    f"'{shown(text)}' has more decimals than max_decimals {rule.max_decimals}", key
                )

    # Look-ups

    def _is_own(self, name: str) -> bool:
        return name == CUSTOMER or name in TABLES or name in self.own

    def _lookup(self, one: ValueRule, kind: FieldType, steps: Path, default: str | None) -> Lookup | None:
        if one.lookup is None:
            if one.by is not None:
                raise RuleError("'by' says how a lookup matches; this rule has no lookup", *steps, "by")
            if kind.target == CUSTOMER:
                raise RuleError(f"{kind.name} is a customer: give it 'lookup: customer'", *steps)
            return None
        name = one.lookup
        if kind.kind != "reference":
            raise RuleError(
                f"a lookup gives a reference, but {kind.name} is {kind.kind}; leave it out", *steps, "lookup"
            )
        if self._is_own(name):
            return self._own_lookup(one, kind, steps, default)
        known = sorted(set(REFERENCES) - {CUSTOMER})
        if name not in known and not _CUSTOM_LIST.fullmatch(name):
            hint = nearest(name, [CUSTOMER, *self.own, *known])
            raise RuleError(f"there is no list '{shown(name)}' in NetSuite{hint}", *steps, "lookup")
        wanted = _standard_list(kind)
        if wanted is not None and name != wanted:
            raise RuleError(
                f"{kind.name} refers to {wanted}, not to {name}; use 'lookup: {wanted}'", *steps, "lookup"
            )
        by = tuple(one.by or MATCH_ORDER)
        if "date" in by:
            if name != _PERIODS:
                raise RuleError(f"'by: date' finds the period of a date: use 'lookup: {_PERIODS}'", *steps, "by")  # fmt: skip
            if len(by) > 1 or default is not None:
                raise RuleError("the period that contains a date is found by that alone, without a default", *steps, "by")  # fmt: skip
        return Lookup(name, by)

    def _own_lookup(self, one: ValueRule, kind: FieldType, steps: Path, default: str | None) -> Lookup:
        name = str(one.lookup)
        label = TABLES[name].label if name in TABLES else name
        target = kind.target if not kind.is_custom else None
        fits_target = target in (None, name) or (target == "transaction" and name != CUSTOMER)
        if not fits_target:
            raise RuleError(f"{kind.name} refers to {target}, not to {_a(label)}", *steps, "lookup")
        if name not in self.own:
            raise RuleError(
                f"{label}s are looked up by their external id: map records.{name} too", *steps, "lookup"
            )
        if not self.own[name]:
            raise RuleError(f"records.{name} has no billing id to be looked up by", *steps, "lookup")
        if default is not None:
            raise RuleError(
                "a document without a customer is an exception; it is never given a default one"
                if name == CUSTOMER
                else f"which {label} is meant is never a matter of a default",
                "default",
            )
        if one.by is not None:
            raise RuleError(f"{_a(label)} is looked up by its billing id; leave 'by' out", *steps, "by")
        return Lookup(name, ("internal_id",))

    def _check_values(self, rule: Rule, one: ValueRule, steps: Path, kind: Kind | None) -> None:
        """Values that stand in the file itself must be there and fit the field, if they are not to be looked up."""
        given: list[tuple[Path, str | None]] = [
            ((*steps, "value"), one.value),
            (("default",), rule.default),
            *(((*steps, "map"), text) for text in (one.map or {}).values()),
        ]
        for at, text in given:
            if text is None:
                continue
            if not text.strip():
                raise RuleError("an empty text is no value; leave the rule out to keep the field empty", *at)
            if kind is not None and (why := fits(text, kind)) is not None:
                raise RuleError(f"'{shown(text)}' {why}", *at)


class PlacedErrors(Exception):
    """Mistakes with their places in the file."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = problems


def _a(noun: str) -> str:
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"


def _lookups(rule: Rule) -> Sequence[str | None]:
    if rule.first_of is None:
        return [rule.lookup]
    return [one.lookup or rule.lookup for one in rule.first_of]


def _named_lookup(rule: Rule) -> tuple[str | None, Path]:
    """The one list of a rule, and the steps to the first way that says otherwise."""
    found = _lookups(rule)
    for index, other in enumerate(found):
        if other != found[0]:
            return None, ("first_of", index)
    return found[0], ()


def _computes(one: ValueRule) -> bool:
    return one.sign is not None or one.round is not None


def _decimals(text: str) -> int:
    return len(text.partition(".")[2].rstrip("0"))


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


def _list_name(kind: FieldType, lookup: str | None, rule: Rule) -> str | None:
    if lookup is not None:
        # A period that is found by its date is of no list that must be read.
        return None if lookup == _PERIODS and rule.by == ["date"] else lookup
    return _standard_list(kind) if kind.kind == "reference" else None


def _described(one: ValueRule, lookup: Lookup | None, default: str | None) -> str:
    """The rule in words, as `explain` shows it."""
    words = []
    if one.source is not None:
        words.append(f"from {one.source}")
    elif one.template is not None:
        words.append(f"template '{one.template}'")
    elif one.join is not None:
        words.append(f"join {', '.join(one.join)}")
    else:
        words.append(f"value '{one.value}'")
    if one.map is not None:
        words.append(f"map of {len(one.map)}")
    if one.sign is not None:
        words.append(one.sign.replace("_", " "))
    for step in one.shift or ():
        told = [f"{step.months:+d} months"] * bool(step.months) + [f"{step.days:+d} days"] * bool(step.days)
        words.append(", ".join([*told, *(["end of month"] if step.end_of_month else [])]) or "same day")
    if one.round is not None:
        words.append(f"rounded to {'the currency' if one.round == 'currency' else f'{one.round} places'}")
    if lookup is not None:
        words.append(f"lookup {lookup.list_name}" + (" by date" if lookup.of_date else ""))
    if default is not None:
        words.append(f"default '{default}'")
    return ", ".join(words)
