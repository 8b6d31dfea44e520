"""What a tenant's file says, as validated models.

Here: the settings, their types, defaults and the sentences about what does not fit. Not here: reading YAML
(`source.py`), finding files (`registry.py`), or what a mapping rule means (`netsuite_assets/mapping`): a rule is
checked here for its shape only.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import date
from decimal import Decimal
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin
from urllib.parse import parse_qsl, urlsplit
from zoneinfo import ZoneInfo

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    StrictInt,
    StrictStr,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    field_validator,
    model_validator,
)

from resources.billing.canonical import TABLES
from resources.billing.returns import FACTS, KEYS, RETURNED_TO
from resources.tenants.comparison import RecordComparison
from resources.tenants.matching import MatchSettings
from resources.tenants.source import nearest, shown

REFERENCE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
"""A credential in a tenant's file: the name of the environment variable that holds it."""

RECORD_TYPES = ("customer", "invoice", "creditMemo", "customerPayment", "journalEntry")
"""The standard record types that can be mapped; custom records (`customrecord_x`) can too."""

USAGE_TESTED = ("customer_id", "legal_entity", "currency", "product_id", "product_line")
"""The columns of usage by which an accrual rule chooses."""

_CUSTOM_RECORD = r"customrecord_[a-z0-9_]{1,60}"


def _text(value: Any) -> Any:
    """A scalar as text, so that ids may be written with or without quotes."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, int | Decimal) else value


def _amount(value: Any) -> Any:
    if isinstance(value, bool | float):
        raise ValueError("expected an amount such as 10.00")
    return value


def _one_or_many(value: Any) -> Any:
    return [value] if isinstance(value, str | int | Decimal) else value


def _record_type(value: str) -> str:
    if value in RECORD_TYPES or re.fullmatch(_CUSTOM_RECORD, value):
        return value
    hint = nearest(value, RECORD_TYPES) or f"; use {', '.join(RECORD_TYPES)} or customrecord_…"
    raise ValueError(f"unknown record type '{shown(value)}'{hint}")


def _day(value: Any) -> Any:
    if isinstance(value, date):
        return value
    try:
        return date.fromisoformat(value)
    except (TypeError, ValueError):
        raise ValueError(f"'{shown(str(value))}' is not a day; write it as 2026-01-31") from None


def _currency(value: str) -> str:
    if not re.fullmatch("[A-Z]{3}", value):
        raise ValueError(f"'{shown(value)}' is not an ISO 4217 code such as USD")
    return value


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


def _same_names(value: Any) -> Any:
    """A list of names means that each stands for itself."""
    if isinstance(value, list) and all(isinstance(name, str) for name in value):
        return {name: name for name in value}
    return value


def _secret(value: str) -> str:
    if not REFERENCE.fullmatch(value):
        raise ValueError(
            "a credential never stands in the file: write ${NAME} and set the environment variable NAME"
        )
    return value


def _url(value: str) -> str:
    if "${" in REFERENCE.sub("", value):
        raise ValueError("a reference to the environment is written ${NAME}")
    try:
        parts = urlsplit(value)
        given = [
            parts.password or "",
            *(secret for name, secret in parse_qsl(parts.query) if name == "password"),
        ]
    except ValueError:
        raise ValueError("this is not a URL") from None
    if any(secret and not REFERENCE.fullmatch(secret) for secret in given):
        raise ValueError(
            "a password never stands in the file: write ${NAME} and set the environment variable NAME"
        )
    return value


Text = Annotated[StrictStr, BeforeValidator(_text, json_schema_input_type=str | int | float | bool)]
Texts = Annotated[
    list[Text], BeforeValidator(_one_or_many, json_schema_input_type=Text | list[Text]), Field(min_length=1)
]
Amount = Annotated[
    Decimal, BeforeValidator(_amount), Field(ge=0, max_digits=18, decimal_places=4, allow_inf_nan=False)
]
Secret = Annotated[StrictStr, AfterValidator(_secret)]
Url = Annotated[StrictStr, AfterValidator(_url)]


class Settings(BaseModel):
    """The base of all: no unknown key, no change after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=False)


def _redirect_uri(value: str) -> str:
    try:
        parts = urlsplit(value)
        usable = bool(parts.hostname) and parts.scheme in ("http", "https") and parts.port != 0
    except ValueError:
        usable = False
    if not usable or parts.fragment or parts.username or not value.isascii():
        raise ValueError(
            "a redirect URI is written as on the integration record, such as http://127.0.0.1:8765/callback"
        )
    return value


class ClientCredentialsSettings(Settings):
    """OAuth 2.0 client credentials with a certificate; the private key is a file named by the environment.

    `algorithm` follows from the key when it is left out. `certificate_file` only tells the credential calendar when
    the certificate ends.
    """

    method: Literal["oauth2_client_credentials"]
    client_id: Secret
    certificate_id: Secret
    private_key_file: Secret
    certificate_file: Secret | None = None
    algorithm: Literal["ES256", "ES384", "ES512", "PS256", "PS384", "PS512"] | None = None


class AuthorizationCodeSettings(Settings):
    """OAuth 2.0 authorization code: a person's consent, given by `recon connect`.

    Without `client_secret` the integration record is a public client. `refresh_token_hours` is what the record says,
    for the calendar.
    """

    method: Literal["oauth2_authorization_code"]
    client_id: Secret
    client_secret: Secret | None = None
    redirect_uri: Annotated[StrictStr, AfterValidator(_redirect_uri)] = "http://127.0.0.1:8765/callback"
    refresh_token_hours: StrictInt | None = Field(default=None, ge=1, le=8760)


class TbaSettings(Settings):
    """Token-based authentication, for accounts that have it already: OAuth 1.0a with HMAC-SHA256."""

    method: Literal["tba"]
    consumer_key: Secret
    consumer_secret: Secret
    token_id: Secret
    token_secret: Secret


AuthSettings = ClientCredentialsSettings | AuthorizationCodeSettings | TbaSettings

CHOICES: Mapping[tuple[str, ...], str] = {("netsuite", "auth"): "method"}
"""Where a key of a mapping decides which other keys it has: its path, and that key."""


def untagged(path: tuple[str | int, ...]) -> tuple[str | int, ...]:
    """A path of pydantic's as it stands in the file: without the name of the choice that was taken."""
    for chosen in CHOICES:
        depth = len(chosen)
        if path[:depth] == chosen and len(path) > depth:
            return (*path[:depth], *path[depth + 1 :])
    return path


class DeadlineSettings(Settings):
    """Seconds that one read or write may take from its first try on, with all its tries, pauses and waits."""

    read: StrictInt = Field(default=900, ge=1, le=86_400)
    write: StrictInt = Field(default=1800, ge=1, le=86_400)


class GovernanceSettings(Settings):
    """The account's concurrency limit, how much of it is left to the customer's other integrations, and how long an
    operation may take.
    """

    concurrency: StrictInt = Field(default=5, ge=1, le=500)
    reserve: StrictInt = Field(default=1, ge=0)
    deadline: DeadlineSettings = DeadlineSettings()

    @model_validator(mode="after")
    def _something_left(self) -> GovernanceSettings:
        if self.reserve >= self.concurrency:
            raise ValueError(
                f"reserve {self.reserve} leaves nothing of concurrency {self.concurrency}; it must be less"
            )
        return self


class NetSuiteSettings(Settings):
    """A NetSuite account. `base_url` replaces the account's own host (the sandbox, a proxy)."""

    account: StrictStr
    base_url: Url | None = None
    auth: Annotated[AuthSettings, Field(discriminator="method")]
    governance: GovernanceSettings = GovernanceSettings()

    @field_validator("account")
    @classmethod
    def _account_id(cls, value: str) -> str:
        if not re.fullmatch(r"[A-Za-z0-9]{3,20}(_[A-Za-z0-9]{1,10})?", value):
            raise ValueError(f"'{shown(value)}' is not an account id such as 1234567 or 1234567_SB1")
        return value


class BillingTable(Settings):
    """One canonical table in the tenant's own database.

    `columns` is canonical column to their column (a canonical column that is not listed is read under its own name
    where the table has it), `metadata` lists further columns for the canonical `metadata` object, `where` keeps the
    rows whose column has one of the values (null stands for NULL).
    """

    table: StrictStr = Field(min_length=1)
    columns: Annotated[dict[str, StrictStr], BeforeValidator(_same_names)] = {}
    metadata: list[StrictStr] = []
    where: dict[str, Annotated[list[Text | None], BeforeValidator(_one_or_many)]] = {}


class BillingSettings(Settings):
    """Where the tenant's bills come from."""

    system: Literal["sql"]
    url: Url
    tables: dict[str, BillingTable]

    def mistakes(self) -> Iterator[tuple[tuple[str, ...], str]]:
        """Names that are not of the canonical tables, each with its path below `billing`."""
        for needed in ("customers", "invoices", "invoice_lines"):
            if needed not in self.tables:
                yield ("tables",), f"the table '{needed}' is missing"
        for name, table in self.tables.items():
            path = ("tables", name)
            if name not in TABLES:
                yield path, f"unknown billing table '{shown(name)}'{nearest(name, TABLES)}"
                continue
            known = TABLES[name].schema.names
            for column in table.columns:
                if column not in known:
                    message = f"{name} has no column '{shown(column)}'{nearest(column, known)}"
                    yield (*path, "columns", column), message
            if table.metadata and "metadata" not in known:
                yield (*path, "metadata"), f"{name} has no metadata"
            if table.metadata and "metadata" in table.columns:
                yield (*path, "columns", "metadata"), "metadata is given twice; keep the column or the list"
            parent = TABLES[name].parent
            if parent is not None and parent not in self.tables:
                yield path, f"{name} is given without {parent}, whose rows say to which month it belongs"


class ToleranceSettings(Settings):
    """Differences up to and including this are none: an amount in the document's currency, days of a date."""

    amount: Amount = Decimal("0")
    days: StrictInt = Field(default=0, ge=0, le=31)


class ReconcileSettings(Settings):
    """What is no difference, in all fields and by record type in single ones, and how records are matched.

    `drift` says whether a document that is paid or applied on one side only is an exception, or is reported alone.
    `prepaid_accounts` are the numbers of the accounts on which prepaid balances stand, besides those of customer deposits.
    """

    tolerance: ToleranceSettings = ToleranceSettings()
    compare: dict[str, RecordComparison] = {}
    match: MatchSettings = MatchSettings()
    drift: Literal["exceptions", "report"] = "exceptions"
    prepaid_accounts: list[Text] = []


def _written_type(value: str) -> str:
    kind = value.removeprefix("billing:")
    if kind == value:
        return _record_type(value)
    if kind not in FACTS:
        raise ValueError(f"nothing called '{shown(kind)}' flows back to billing{nearest(kind, FACTS)}")
    return value


class AutomaticRule(Settings):
    """Operations that need no person: of this record type, this action, and touching no other fields than these.

    What is left out allows any. A rule with `fields` is for updates alone; lines are the field `item` (`apply`, `line`).
    What flows back to billing has the record type `billing:invoice` (and so on) and the action `return`.
    """

    record: Annotated[str, AfterValidator(_written_type)] | None = None
    action: Literal["create", "link", "update", "delete", "return"] | None = None
    fields: Annotated[list[StrictStr], Field(min_length=1)] | None = None


class ApprovalSettings(Settings):
    """What needs no person. What `record_amount` and `only` leave must be within the plan's `operations` and `amount`.

    Amounts are what is moved, by currency. Without `only` every kind of operation may go.
    """

    operations: StrictInt = Field(default=0, ge=0)
    amount: Amount = Decimal("0")
    record_amount: Amount | None = None
    only: Annotated[list[AutomaticRule], Field(min_length=1)] | None = None


class CircuitBreakerSettings(Settings):
    """A plan that touches more than this share of the period's records, or moves more, is stopped."""

    share: Annotated[Decimal, BeforeValidator(_amount), Field(gt=0, le=1, allow_inf_nan=False)] = Decimal(
        "0.25"
    )
    amount: Amount | None = None


def _returned_kind(value: str) -> str:
    if value not in FACTS:
        raise ValueError(f"nothing called '{shown(value)}' flows back to billing{nearest(value, FACTS)}")
    return value


def _prefixed(value: Any) -> Any:
    """A list of facts means that each stands in the column of its name after `netsuite_`."""
    if isinstance(value, list) and all(isinstance(name, str) for name in value):
        return {name: f"netsuite_{name}" for name in value}
    return value


class ReturnedFacts(Settings):
    """Where the facts of one kind stand in billing: fact to column.

    Without `table` they are columns of the table that billing's records are read from, and rows are only updated. A
    `table` of its own holds nothing else: rows are made and taken away in it. `key` names its key columns, where they
    are called otherwise than ours.
    """

    table: StrictStr | None = Field(default=None, min_length=1)
    key: dict[str, StrictStr] = {}
    columns: Annotated[
        dict[str, StrictStr],
        BeforeValidator(_prefixed, json_schema_input_type=list[str] | dict[str, str]),
        Field(min_length=1),
    ]


class WritebackSettings(Settings):
    """What may be written to NetSuite, what flows back to billing (`return`), and what waits for a person.

    `paused` stops all writing, or that of some record types, at once. `cut_over` is the first day, by record type, whose
    documents are written. `next_open_period` needs `closed_period_consent`: who agreed that documents of a closed
    month are posted in the next open one.
    """

    mode: Literal["plan_only", "apply"] = "plan_only"
    paused: (
        StrictBool | Annotated[list[Annotated[str, AfterValidator(_record_type)]], Field(min_length=1)]
    ) = False
    cut_over: dict[Annotated[str, AfterValidator(_record_type)], Annotated[date, BeforeValidator(_day)]] = {}
    approve_automatically: ApprovalSettings = ApprovalSettings()
    closed_period: Literal["hold", "fail", "next_open_period"] = "hold"
    closed_period_consent: Annotated[StrictStr, Field(min_length=1)] | None = None
    only_in_netsuite: Literal["hold", "delete"] = "hold"
    duplicate: Literal["hold", "delete"] = "hold"
    not_linked: Literal["hold", "link"] = "hold"
    voided: Literal["hold", "delete", "credit"] = "hold"
    customer_gone: Literal["hold", "deactivate"] = "hold"
    circuit_breaker: CircuitBreakerSettings = CircuitBreakerSettings()
    send: Literal["auto", "single", "batch"] = "auto"
    returned: dict[Annotated[str, AfterValidator(_returned_kind)], ReturnedFacts] = Field(
        default={}, alias="return"
    )

    @model_validator(mode="after")
    def _is_agreed(self) -> WritebackSettings:
        if self.closed_period == "next_open_period" and self.closed_period_consent is None:
            raise ValueError(
                "'closed_period: next_open_period' books a closed month's documents in another one: write under"
                " 'closed_period_consent' who agreed to that, and when"
            )
        return self

    def pauses(self, record: str) -> bool:
        """Whether nothing of this record type is written now."""
        return self.paused if isinstance(self.paused, bool) else record in self.paused

    def returns(self, kind: str, fact: str) -> bool:
        """Whether this fact flows back to billing."""
        return kind in self.returned and fact in self.returned[kind].columns

    def mistakes(self, billing: BillingSettings) -> Iterator[tuple[tuple[str, ...], str]]:
        """What flows back to a place where it cannot, each with its path below `writeback`."""
        for kind, returned in self.returned.items():
            path = ("return", kind)
            for part, given, known in (
                ("columns", returned.columns, FACTS[kind]),
                ("key", returned.key, KEYS[kind]),
            ):
                for name in given:
                    if name not in known:
                        hint = nearest(name, known) or f"; there are: {', '.join(known)}"
                        yield (*path, part, name), f"{kind} has no '{shown(name)}' that flows back{hint}"
            canonical = RETURNED_TO.get(kind)
            if returned.table is not None or canonical is None:
                continue
            table = billing.tables.get(canonical)
            if table is None:
                yield path, f"billing.tables has no {canonical}; say under 'table' where the facts stand"
                continue
            read = {
                *table.metadata,
                *table.where,
                *(table.columns.get(name, name) for name in TABLES[canonical].schema.names),
            }
            for fact, column in returned.columns.items():
                if column in read:
                    message = (
                        f"the column '{shown(column)}' is read as billing's own: what flows back into it would come back"
                        " as a change of billing's"
                    )
                    yield (*path, "columns", fact), message


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
    Annotated[Decimal, BeforeValidator(_amount), Field(gt=0, lt=1, decimal_places=6, allow_inf_nan=False)]
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
            BeforeValidator(_one_or_many, json_schema_input_type=MatchBy | list[MatchBy]),
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


class AccrualSettings(Settings):
    """What was used by a month's end and not invoiced by then, booked as a journal entry and reversed the day after.

    `debit` and `credit` are account numbers. `where` keeps the usage whose column (`product_id`, ...) has one of the
    values; a usage goes to the first rule that takes it.
    """

    debit: Text
    credit: Text
    memo: StrictStr = Field(default="Usage that is not invoiced", min_length=1)
    where: dict[str, Annotated[list[Text | None], BeforeValidator(_one_or_many)]] = {}


class TenantSettings(Settings):
    """A whole tenant, after everything that it extends. `currency_precision` is decimal places by ISO 4217 code, where
    NetSuite's differ from the standard's.
    """

    name: StrictStr = Field(alias="tenant")
    timezone: StrictStr
    first_month: StrictStr
    netsuite: NetSuiteSettings
    billing: BillingSettings
    reconcile: ReconcileSettings = ReconcileSettings()
    writeback: WritebackSettings = WritebackSettings()
    currency_precision: dict[
        Annotated[str, AfterValidator(_currency)], Annotated[StrictInt, Field(ge=0, le=4)]
    ] = {}
    accruals: dict[str, AccrualSettings] = {}
    records: dict[Annotated[str, AfterValidator(_record_type)], RecordRules]

    def mistakes(self) -> Iterator[tuple[tuple[str, ...], str]]:
        """What does not fit between the sections, each with its path."""
        for below, message in self.billing.mistakes():
            yield ("billing", *below), message
        for below, message in self.writeback.mistakes(self.billing):
            yield ("writeback", *below), message
        if self.writeback.voided == "credit" and not {"invoice", "creditMemo"} <= set(self.records):
            message = "records has no creditMemo, as which voided invoices are taken back"
            yield ("writeback", "voided"), message
        if not self.accruals:
            return
        if "usage" not in self.billing.tables:
            yield ("accruals",), "billing.tables has no usage, of which accruals are made"
        if "journalEntry" not in self.records:
            message = (
                "records has no journalEntry, as which accruals are booked; extend _journals, which has it"
            )
            yield ("accruals",), message
        texts = [name for name in TABLES["usage"].schema.names if name in USAGE_TESTED]
        for name, rule in self.accruals.items():
            for column in rule.where:
                if column not in texts:
                    hint = nearest(column, texts) or f"; there are: {', '.join(texts)}"
                    yield (
                        ("accruals", name, "where", column),
                        f"usage has no '{shown(column)}' to choose by{hint}",
                    )

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (OSError, ValueError, LookupError):
            raise ValueError(
                f"'{shown(value)}' is not a time zone such as Europe/London or America/New_York"
            ) from None
        return value

    @field_validator("first_month")
    @classmethod
    def _month(cls, value: str) -> str:
        if not re.fullmatch(r"(19|20)[0-9]{2}-(0[1-9]|1[0-2])", value):
            raise ValueError(f"'{shown(value)}' is not a month; write it as 2024-01")
        return value


def known_keys(path: tuple[str | int, ...]) -> list[str]:
    """The keys that the mapping at `path` (pydantic's) may have; empty where any name may stand."""
    at: list[Any] = [TenantSettings]
    for step in path:
        at = [below for annotation in at for below in _below(annotation, step)]
    return list(dict.fromkeys(key for annotation in at for key in _model_fields(annotation)))


def _below(annotation: Any, step: str | int) -> list[Any]:
    """The types that may stand under a key or at an index of what has this type."""
    fields = annotation if isinstance(annotation, Mapping) else _model_fields(annotation)
    if fields:
        return _choices(fields[str(step)]) if str(step) in fields else []
    inner = get_args(annotation)
    if get_origin(annotation) is dict:
        return _choices(inner[1])
    if get_origin(annotation) is list:
        return _choices(inner[0])
    return []


def _choices(annotation: Any) -> list[Any]:
    """The types that an annotation allows; a mapping of tag to type where a key of the value tells which one it is."""
    if get_origin(annotation) is Annotated:
        return _choices(get_args(annotation)[0])
    if get_origin(annotation) not in (Union, UnionType):
        return [annotation]
    found = [one for inner in get_args(annotation) for one in _choices(inner)]
    tagged = {
        tag: one for one in found for key in CHOICES.values() for tag in get_args(_model_fields(one).get(key))
    }
    return [tagged] if len(tagged) == len(found) else found


def _model_fields(annotation: Any) -> Mapping[str, Any]:
    """Key to annotation for a model; empty for anything else."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return {(field.alias or name): field.annotation for name, field in annotation.model_fields.items()}
    return {}
