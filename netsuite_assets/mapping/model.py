"""The compiled mapping as values: mapped fields, compiled rules, which rows they are for, where their values come from.

Here: plain immutable values that the other modules of this package pass on. Not here: checking a rule
(`rules.py`), or making SQL of it (`sql.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Final, Literal

from netsuite_assets.tables import ACTUAL_CORE, COLUMN_TYPES
from resources.netsuite.records import Kind
from resources.tenants import Rule

SourceKind = Literal[
    "text", "json", "amount", "rate", "quantity", "integer", "date", "datetime", "boolean", "number"
]
"""The kind of a billing value; `json` is text out of a metadata object, `number` any exact decimal (`NUMBER_TYPE`)."""

Alias = Literal["d", "l", "c", "v"]
"""Whose column: the document (or the customer, where customers are mapped), its line, the document's customer; `v` is
what the statement itself works out (`rest`).
"""

ProblemCode = Literal[
    "no_customer", "unresolved_reference", "ambiguous_reference", "unmapped_value", "invalid_value"
]

PROBLEMS: Final[Mapping[int, ProblemCode]] = {
    1: "no_customer",
    2: "unresolved_reference",
    3: "ambiguous_reference",
    4: "unmapped_value",
    5: "invalid_value",
    6: "unresolved_reference",  # the default is not found either
    7: "unresolved_reference",  # a field that cannot be empty has no value at all
    8: "unresolved_reference",  # the record that it names is not expected in NetSuite
    9: "invalid_value",  # longer, or with more decimals, than the rule allows
    10: "invalid_value",  # to be rounded in a currency whose precision is not known
}
"""What can be wrong with a value, as the SQL numbers it (0 is nothing), and the code that people see."""

HOW: Final[Mapping[int, str]] = {
    1: "internal_id",
    2: "external_id",
    3: "number",
    4: "name",
    5: "default",
    6: "own",  # a record that the mapping itself makes
    7: "date",
    8: "value",  # no look-up: told where a rule has several ways to a value
}
"""How a value was found, as the SQL numbers it."""

STEP: Final = 20
"""The SQL's number of a problem or of how a value was found is this many times the way's position, plus the above."""

CUSTOMER: Final = "customer"
"""The list that stands for the tenant's own customers, whose external ids the mapping itself makes."""


@dataclass(frozen=True, slots=True)
class MappedField:
    """One NetSuite field of the mapping, named as in NetSuite's REST record service.

    `list_name` is the list that its ids are of (`item`, `cseg_product`, …) or None; `suiteql` is empty where
    NetSuite cannot list the field, which is then written but not compared; `where` is `file:line` of its rule.
    With `by_external_id` the value is the external id of a record that the mapping itself makes.
    """

    name: str
    kind: Kind
    target: str | None
    list_name: str | None
    owner: Literal["billing", "netsuite"]
    policy: Literal["always", "create_only", "if_empty"]
    suiteql: str
    where: str
    by_external_id: bool = False

    @property
    def column(self) -> str:
        """The column that holds the value to be written.

        It is the field's own name but for `currency`: there the core column of that name holds the ISO code, by
        which both sides are compared, and the internal id to be written stands in `currency_id`.
        """
        return f"{self.name}_id" if self.name.lower() in ACTUAL_CORE else self.name

    @property
    def column_type(self) -> str:
        return COLUMN_TYPES[self.kind]


@dataclass(frozen=True, slots=True)
class Source:
    """One billing value: a canonical column of the document, its line or its customer, or a key in its metadata.

    `path` is as the tenant wrote it; `pointer` is a JSON pointer into `metadata`, or None for a column.
    """

    path: str
    alias: Alias
    column: str
    kind: SourceKind
    pointer: str | None = None

    @property
    def key(self) -> tuple[str, str, str | None]:
        """What it is, however the tenant wrote it."""
        return self.alias, self.column, self.pointer


@dataclass(frozen=True, slots=True)
class Check:
    """One comparison of a condition. `values` are as the tenant wrote them, checked against the source's kind."""

    source: Source
    operator: Literal["is", "not", "in", "empty", "above", "at_least", "below", "at_most"]
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Condition:
    """One of `cases` must hold, and of that every check; `described` is the condition in words, `where` `file:line`."""

    cases: tuple[tuple[Check, ...], ...]
    described: str
    where: str

    @property
    def sources(self) -> tuple[Source, ...]:
        return tuple(check.source for case in self.cases for check in case)


@dataclass(frozen=True, slots=True)
class Lookup:
    """A value to be found in one of NetSuite's lists, tried by these keys in order."""

    list_name: str
    by: tuple[str, ...]

    @property
    def of_date(self) -> bool:
        """Whether it is the accounting period that contains a date."""
        return self.by == ("date",)


@dataclass(frozen=True, slots=True)
class Shift:
    """A step from one date to another: months, then days, then the end of the month."""

    months: int
    days: int
    end_of_month: bool


@dataclass(frozen=True, slots=True)
class Way:
    """One way to a field's value: exactly one of `source`, `constant`, `template` and `joined` is given.

    `template` alternates text and sources. `own` marks a look-up among the records that the mapping itself makes.
    `default` is that of the whole rule. `round` is decimal places, or `currency`.
    """

    index: int
    field: MappedField
    where: str
    source: Source | None
    constant: str | None
    template: tuple[str | Source, ...] | None
    joined: tuple[Source, ...] | None
    separator: str
    condition: Condition | None
    value_map: Mapping[str, str] | None
    sign: Literal["negate", "absolute", "positive_part", "negative_part"] | None
    shifts: tuple[Shift, ...]
    round: Literal["currency"] | int | None
    lookup: Lookup | None
    own: bool
    default: str | None
    described: str

    @property
    def sources(self) -> tuple[Source, ...]:
        """The billing values that the value is made of."""
        if self.source is not None:
            return (self.source,)
        return self.joined or tuple(part for part in self.template or () if isinstance(part, Source))

    @property
    def start_kind(self) -> SourceKind:
        """The kind of the value that it starts from."""
        return self.source.kind if self.source is not None else "text"

    @property
    def is_computed(self) -> bool:
        """Whether a number or a date is made of another one."""
        return self.sign is not None or bool(self.shifts) or self.round is not None


@dataclass(frozen=True, slots=True)
class Branch:
    """A field's rule: for one legal entity, or (`entity` None) for all that have no branch of their own.

    The first of `ways` that gives a value counts; with none of them the field stays empty.
    """

    entity: str | None
    condition: Condition | None
    ways: tuple[Way, ...]
    default: str | None
    max_length: int | None
    max_decimals: int | None
    cut: bool
    where: str

    @property
    def is_limited(self) -> bool:
        return self.max_length is not None or self.max_decimals is not None


@dataclass(frozen=True, slots=True)
class FieldRule:
    """All the rules of one field. `required` marks a field without which NetSuite has no record."""

    index: int
    field: MappedField
    branches: tuple[Branch, ...]
    required: bool

    @property
    def ways(self) -> tuple[Way, ...]:
        """Every way to the value, in the order in which the SQL numbers them."""
        return tuple(way for branch in self.branches for way in branch.ways)

    @property
    def sources(self) -> tuple[Source, ...]:
        return tuple(source for way in self.ways for source in way.sources)

    @property
    def conditions(self) -> tuple[Condition, ...]:
        """Every condition by which a rule or a way is for a record or not."""
        given = [*(branch.condition for branch in self.branches), *(way.condition for way in self.ways)]
        return tuple(condition for condition in given if condition is not None)

    @property
    def is_plain(self) -> bool:
        """Whether there is one rule with one way, whatever the record."""
        (first, *others) = self.branches
        return not others and first.entity is None and first.condition is None and len(first.ways) == 1

    @property
    def of_customer(self) -> bool:
        """Whether the value is one of the tenant's own customers."""
        return self.field.by_external_id and self.field.list_name == CUSTOMER


@dataclass(frozen=True, slots=True)
class Grouping:
    """Several rows as one, by these values; `made` says what becomes of the others, by `Source.key`.

    With `in_document` only lines of one document are taken together, so that the document's values remain.
    `having` is a condition on the result.
    """

    by: tuple[Source, ...]
    made: Mapping[tuple[str, str, str | None], Literal["sum", "min", "max", "first"]]
    in_document: bool
    having: Condition | None = None


@dataclass(frozen=True, slots=True)
class Share:
    """The part of each line's `columns` that a row has: `fraction`, or (None) what the `others` leave."""

    columns: tuple[str, ...]
    fraction: Decimal | None
    others: tuple[Decimal, ...] = ()


@dataclass(frozen=True, slots=True)
class RowShape:
    """Which billing rows become rows of an expected table.

    `table` is the canonical table, and `document` that of the documents whose lines its rows are, if they are lines.
    All `conditions` must hold and, if there are any, none of `unless`; those in `expecting` say whether the record is
    expected at all.
    """

    table: str
    document: str | None
    expecting: tuple[Condition, ...] = ()
    conditions: tuple[Condition, ...] = ()
    unless: tuple[Condition, ...] = ()
    grouping: Grouping | None = None
    share: Share | None = None
    of_rest: bool = False


@dataclass(frozen=True, slots=True)
class Part:
    """Rows of one kind in an expected table, and the rules of their fields.

    A table of headers has one; a table of lines one for each line rule, or for each part of a split line. `name` is
    empty where no line rule says which lines there are.
    """

    name: str
    shape: RowShape
    rules: tuple[FieldRule, ...]
    each: Literal["record", "line", "document", "rest"]
    where: str


@dataclass(frozen=True, slots=True)
class ExternalId:
    """The template of a record's external id, and where it is written."""

    parts: tuple[str | Source, ...]
    where: str

    @property
    def sources(self) -> tuple[Source, ...]:
        return tuple(part for part in self.parts if isinstance(part, Source))

    @property
    def only_id(self) -> bool:
        """Whether it is text around the billing id alone, so that it is unique because the id is."""
        return [source.column for source in self.sources] == ["id"]

    def source_id(self, external_id: str) -> str | None:
        """The billing id inside an external id; None when it is not of this form."""
        if not self.only_id:
            return None
        at = next(index for index, part in enumerate(self.parts) if isinstance(part, Source))
        before = "".join(part for part in self.parts[:at] if isinstance(part, str))
        after = "".join(part for part in self.parts[at + 1 :] if isinstance(part, str))
        if len(external_id) <= len(before) + len(after):
            return None
        if not (external_id.startswith(before) and external_id.endswith(after)):
            return None
        return external_id[len(before) : len(external_id) - len(after)]


@dataclass(frozen=True, slots=True)
class OwnRecord:
    """A record type that the mapping itself makes of one billing row each, as a target of look-ups."""

    record: str
    table: str
    external_id: ExternalId
    condition: Condition | None


def joined_rule(base: Rule | None, top: Rule) -> Rule:
    """`top` laid over `base`, key by key; a rule that names another kind of source replaces it whole."""
    if base is None:
        return top
    named = top.model_fields_set & _SOURCES
    if named and not named & base.model_fields_set:
        return top
    return base.model_copy(update={key: getattr(top, key) for key in top.model_fields_set})


_SOURCES: Final = frozenset({"source", "value", "template", "join", "first_of", "empty"})
