"""What a tenant's file says, as validated models.

Here: the settings, their types, defaults and the sentences about what does not fit. Not here: reading YAML
(`source.py`), finding files (`registry.py`), or what a mapping rule means (`netsuite_assets/mapping`): a rule is
checked here for its shape only.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Annotated, Any, Literal, get_args
from urllib.parse import parse_qsl, urlsplit
from zoneinfo import ZoneInfo

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictInt,
    StrictStr,
    field_validator,
    model_validator,
)

from resources.billing.canonical import TABLES
from resources.tenants.source import nearest, shown

REFERENCE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
"""A credential in a tenant's file: the name of the environment variable that holds it."""

RecordName = Literal["customer", "invoice", "creditMemo"]


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


Text = Annotated[StrictStr, BeforeValidator(_text)]
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
    tolerance: ToleranceSettings = ToleranceSettings()


class ApprovalSettings(Settings):
    """A plan within both limits needs no person; the amount is what the plan moves."""

    operations: StrictInt = Field(default=0, ge=0)
    amount: Amount = Decimal("0")


class CircuitBreakerSettings(Settings):
    """A plan that touches more than this share of the period's records, or moves more, is stopped."""

    share: Annotated[Decimal, BeforeValidator(_amount), Field(gt=0, le=1, allow_inf_nan=False)] = Decimal(
        "0.25"
    )
    amount: Amount | None = None


class WritebackSettings(Settings):
    """What may be written to NetSuite, and what waits for a person."""

    mode: Literal["plan_only", "apply"] = "plan_only"
    approve_automatically: ApprovalSettings = ApprovalSettings()
    closed_period: Literal["hold", "fail"] = "hold"
    only_in_netsuite: Literal["hold", "delete"] = "hold"
    duplicate: Literal["hold", "delete"] = "hold"
    circuit_breaker: CircuitBreakerSettings = CircuitBreakerSettings()


MatchBy = Literal["internal_id", "external_id", "number", "name"]
FieldKind = Literal[
    "text", "date", "datetime", "amount", "rate", "quantity", "integer", "boolean", "reference"
]


class Rule(Settings):
    """How one NetSuite field gets its value; `source` is the key `from`."""

    model_config = ConfigDict(protected_namespaces=())

    source: StrictStr | None = Field(default=None, alias="from", min_length=1)
    value: Text | None = None
    template: StrictStr | None = Field(default=None, min_length=1)
    map: dict[str, Text] | None = None
    lookup: StrictStr | None = Field(default=None, min_length=1)
    by: Annotated[list[MatchBy], BeforeValidator(_one_or_many)] | None = Field(default=None, min_length=1)
    default: Text | None = None
    type: FieldKind | None = None
    owner: Literal["billing", "netsuite"] = "billing"


class RecordRules(Settings):
    """The rules of one record type: its external id, its fields, the fields of its lines."""

    external_id: StrictStr = Field(min_length=1)
    fields: dict[str, Rule]
    lines: dict[str, Rule] = {}


class TenantSettings(Settings):
    """A whole tenant, after everything that it extends."""

    name: StrictStr = Field(alias="tenant")
    timezone: StrictStr
    first_month: StrictStr
    netsuite: NetSuiteSettings
    billing: BillingSettings
    reconcile: ReconcileSettings = ReconcileSettings()
    writeback: WritebackSettings = WritebackSettings()
    records: dict[RecordName, RecordRules]

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
    at: Any = TenantSettings
    for step in path:
        fields = _model_fields(at)
        if fields:
            at = fields.get(str(step))
        else:
            found = [inner for inner in _arguments(at) if _model_fields(inner)]
            chosen = [inner for inner in found if _is_choice(inner, str(step))]
            at = (chosen or found)[-1] if found else None
        if at is None:
            return []
    return list(_model_fields(at))


def _is_choice(annotation: Any, tag: str) -> bool:
    """Whether a model is the choice of that name."""
    fields = _model_fields(annotation)
    return any(tag in get_args(fields.get(key)) for key in CHOICES.values())


def _arguments(annotation: Any) -> list[Any]:
    """Every type inside an annotation, the outermost first."""
    found: list[Any] = []
    for inner in get_args(annotation):
        found += [inner, *_arguments(inner)]
    return found


def _model_fields(annotation: Any) -> Mapping[str, Any]:
    """Key to annotation for a model (or an optional one); empty for anything else."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return {(field.alias or name): field.annotation for name, field in annotation.model_fields.items()}
    return {}
