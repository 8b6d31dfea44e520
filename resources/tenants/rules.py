"""The section `records` of a tenant's file: how NetSuite's fields and lines get their values.

Here: the shape of a rule. Not here: what a rule means (`netsuite_assets/mapping`).
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    StrictInt,
    StrictStr,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    model_validator,
)

from resources.billing.canonical import TABLES
from resources.tenants.source import nearest, shown
from resources.tenants.values import Settings, Text, Texts, exact_amount, one_or_many


def _canonical_table(value: str) -> str:
    if value not in TABLES:
        raise ValueError(f"there is no billing table '{shown(value)}'{nearest(value, TABLES)}")
    return value


def _one_mapping_or_many(value: Any) -> Any:
    if isinstance(value, Mapping):
        return [value]
    if isinstance(value, list):
        return value
    raise ValueError(f"expected a mapping of keys to values, or a list of them, found '{shown(str(value))}'")


def _true(value: bool) -> bool:
    if not value:
        raise ValueError("'empty: true' leaves a field empty; for anything else leave 'empty' out")
    return value


def _test(value: Any) -> Any:
    """A plain value means equality, a list one of its values."""
    if isinstance(value, Mapping):
        return value
    return {"in": value} if isinstance(value, list) else {"is": value}


def _or_say(sentence: str) -> WrapValidator:
    """One sentence for all that is wrong with a value that may be of several kinds."""

    def check(value: Any, validate: ValidatorFunctionWrapHandler) -> Any:
        try:
            return validate(value)
        except ValidationError:
            raise ValueError(sentence) from None

    return WrapValidator(check)


def _path_as_rule(value: Any) -> Any:
    """A plain path means the billing value there."""
    return {"from": value} if isinstance(value, str) else value


MatchBy = Literal["internal_id", "external_id", "number", "name", "date"]
FieldKind = Literal[
    "text", "date", "datetime", "amount", "rate", "quantity", "integer", "boolean", "reference"
]


class ValueTest(Settings):
    """A test of one billing value; everything that it says must hold. An empty text is no value.

    `is`, `not` and `in` compare as the value is (text exactly, numbers and dates by their worth); `above`, `at_least`,
    `below` and `at_most` are for numbers and dates, and never hold where there is no value.
    """

    equal: Text | None = Field(default=None, alias="is")
    unequal: Texts | None = Field(default=None, alias="not")
    among: Annotated[list[Text], Field(min_length=1)] | None = Field(default=None, alias="in")
    empty: StrictBool | None = None
    above: Text | None = None
    at_least: Text | None = None
    below: Text | None = None
    at_most: Text | None = None

    @model_validator(mode="after")
    def _tests_something(self) -> ValueTest:
        if not self.model_fields_set:
            raise ValueError(
                "this test says nothing: give it a value, a list of values, or a key such as 'empty'"
            )
        return self


_Tests = Annotated[
    dict[
        str,
        Annotated[ValueTest, BeforeValidator(_test, json_schema_input_type=Text | list[Text] | ValueTest)],
    ],
    Field(min_length=1),
]
When = Annotated[
    list[_Tests],
    BeforeValidator(_one_mapping_or_many, json_schema_input_type=_Tests | list[_Tests]),
    Field(min_length=1),
]
"""A condition on billing values: path to test, all of which must hold; of a list of such mappings, one must."""


class Shift(Settings):
    """A step from one date to another: whole months (a day that the month lacks is its last), then days, then the
    last day of that month.
    """

    months: StrictInt = Field(default=0, ge=-1200, le=1200)
    days: StrictInt = Field(default=0, ge=-36600, le=36600)
    end_of_month: StrictBool = False


Rounding = Annotated[
    Literal["currency"] | Annotated[StrictInt, Field(ge=0, le=12)],
    _or_say("'round' is 'currency', or a number of decimal places from 0 to 12"),
]

Share = Annotated[
    Annotated[
        Decimal, BeforeValidator(exact_amount), Field(gt=0, lt=1, decimal_places=6, allow_inf_nan=False)
    ]
    | Literal["rest"],
    _or_say("a share is a number between 0 and 1 with at most 6 decimals, such as 0.25, or 'rest'"),
]


class ValueRule(Settings):
    """One way to a value: where it comes from, and what is made of it; `source` is the key `from`.

    In this order: the condition `when`, the source, `map`, `sign`, `shift`, `round`, `lookup`.
    """

    model_config = ConfigDict(protected_namespaces=())

    source: StrictStr | None = Field(default=None, alias="from", min_length=1)
    value: Text | None = None
    template: StrictStr | None = Field(default=None, min_length=1)
    join: list[StrictStr] | None = Field(default=None, min_length=1)
    separator: StrictStr | None = None
    when: When | None = None
    map: dict[str, Text] | None = None
    sign: Literal["negate", "absolute", "positive_part", "negative_part"] | None = None
    shift: (
        Annotated[
            list[Shift],
            BeforeValidator(_one_mapping_or_many, json_schema_input_type=Shift | list[Shift]),
            Field(min_length=1),
        ]
        | None
    ) = None
    round: Rounding | None = None
    lookup: StrictStr | None = Field(default=None, min_length=1)
    by: (
        Annotated[
            list[MatchBy],
            BeforeValidator(one_or_many, json_schema_input_type=MatchBy | list[MatchBy]),
        ]
        | None
    ) = Field(default=None, min_length=1)


class Rule(ValueRule):
    """How one NetSuite field gets its value.

    `first_of` takes the first of several ways that gives a value; what stands beside it counts for each of them that
    does not say otherwise. `empty` leaves the field without a value. `max_length` (characters) and `max_decimals` are
    limits: what exceeds them is a problem of its record, or with `cut` is cut or rounded with a warning.
    """

    first_of: (
        Annotated[
            list[
                Annotated[ValueRule, BeforeValidator(_path_as_rule, json_schema_input_type=str | ValueRule)]
            ],
            Field(min_length=1),
        ]
        | None
    ) = None
    empty: Annotated[StrictBool, AfterValidator(_true)] | None = None
    default: Text | None = None
    type: FieldKind | None = None
    owner: Literal["billing", "netsuite"] = "billing"
    write: Literal["always", "create_only", "if_empty"] = "always"
    max_length: StrictInt | None = Field(default=None, ge=1, le=1_000_000)
    max_decimals: StrictInt | None = Field(default=None, ge=0, le=12)
    cut: StrictBool = False


class Group(Settings):
    """Several rows as one: by which values, and what becomes of the others; `when` is of the sums, not of the rows."""

    by: list[StrictStr] = Field(min_length=1)
    sum: list[StrictStr] = []
    min: list[StrictStr] = []
    max: list[StrictStr] = []
    first: list[StrictStr] = []
    when: When | None = None


class SplitPart(Settings):
    """One of the lines that a billing line becomes: its share of the amounts, and the fields that are its own."""

    share: Share
    fields: dict[str, Rule] = {}


class Split(Settings):
    """One billing line as several. The shares of `of` are rounded, amounts to the currency's precision; the part with
    the share `rest` has what they leave, so that the parts always add up.
    """

    of: list[Literal["amount", "quantity"]] = Field(default=["amount", "quantity"], min_length=1)
    parts: dict[str, SplitPart]

    @model_validator(mode="after")
    def _adds_up(self) -> Split:
        rests = [name for name, part in self.parts.items() if part.share == "rest"]
        if len(rests) != 1:
            raise ValueError("one part of a split has the share 'rest': what the other parts leave")
        shares = sum(
            (part.share for part in self.parts.values() if isinstance(part.share, Decimal)), Decimal(0)
        )
        if len(self.parts) < 2 or shares >= 1:
            raise ValueError(
                f"the shares of a split are several and leave something; these sum up to {shares}"
            )
        return self


class LineRule(Settings):
    """Lines of one kind. `each` says of what there is one: a billing line, the document, or the `rest` that the other
    lines leave of the document's total (none where they leave nothing).

    Rules of `each: line` lines lie over the record's `lines`; the others stand alone.
    """

    each: Literal["line", "document", "rest"] = "line"
    when: When | None = None
    group: Group | None = None
    split: Split | None = None
    fields: dict[str, Rule] = {}


class SubsidiaryRules(Settings):
    """What differs for one legal entity: rules that lie over the record's own."""

    fields: dict[str, Rule] = {}
    lines: dict[str, Rule] = {}


class RecordRules(Settings):
    """The rules of one record type: its external id, its fields, the fields of its lines.

    `source` (the key `from`) is the billing table that it is made of, where that does not follow from the record
    type; with `group` its rows are summed. Records whose `when`, and lines whose `lines_when` does not hold are not
    expected in NetSuite. `line_rules` says which lines there are; without it, one for each billing line.
    `by_subsidiary` is keyed by the legal entity, which stands in `legal_entity` unless another path is given.
    """

    source: Annotated[StrictStr, AfterValidator(_canonical_table)] | None = Field(default=None, alias="from")
    group: Group | None = None
    external_id: StrictStr = Field(min_length=1)
    legal_entity: StrictStr | None = Field(default=None, min_length=1)
    when: When | None = None
    fields: dict[str, Rule]
    lines: dict[str, Rule] = {}
    lines_when: When | None = None
    line_rules: dict[str, LineRule] = {}
    by_subsidiary: dict[str, SubsidiaryRules] = {}
