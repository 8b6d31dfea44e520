"""What an account is: the data model of a profile file. Reading the file is `profile_file`; running it is `account`.

Ids are strings everywhere (a bare number in the file is accepted); rates are Decimal.
"""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

from pydantic import BaseModel, Field, field_validator, model_validator

from sandbox import governance, profile_access
from sandbox.faults import Fault
from sandbox.profile_access import Features, Integration, User
from sandbox.profile_custom import (
    CustomField,
    CustomList,
    CustomRecordType,
    CustomSegment,
    Dataset,
    SavedSearch,
)
from sandbox.profile_tax import TaxCode, TaxEngine
from sandbox.profile_types import STRICT, Amount, Id
from sandbox.switches import Switches

Month = Annotated[str, Field(pattern=r"^\d{4}-(0[1-9]|1[0-2])$")]
PermissionLevel = Literal["view", "create", "edit", "full"]
DATE_FORMATS = {
    "MM/DD/YYYY": "%m/%d/%Y",
    "DD/MM/YYYY": "%d/%m/%Y",
    "DD-Mon-YYYY": "%d-%b-%Y",
    "DD.MM.YYYY": "%d.%m.%Y",
    "YYYY-MM-DD": "%Y-%m-%d",
    "YYYY/MM/DD": "%Y/%m/%d",
}


class Section(BaseModel):
    model_config = STRICT


class Subsidiary(Section):
    id: Id
    name: str
    currency: str
    parent: Id | None = None
    country: str = "US"


class Currency(Section):
    id: Id
    symbol: str = Field(pattern=r"^[A-Z]{3}$")
    name: str
    precision: int = Field(2, ge=0, le=6)
    rate: Amount = Decimal(1)
    """Units of the account's base currency that one unit buys."""
    rates: dict[date, Amount] = {}
    """Rates from a day on, where they differ from `rate`, which holds before the first of them."""


class Term(Section):
    id: Id
    name: str
    days: int = Field(ge=0)


class GlAccount(Section):
    id: Id
    number: Id
    name: str
    type: str
    subsidiaries: list[Id] = []


class Item(Section):
    id: Id
    item_id: str
    display_name: str = ""
    type: str = "serviceSaleItem"
    income_account: Id
    rate: Amount | None = None
    tax_schedule: Id | None = None
    subsidiaries: list[Id] = []
    """Empty: every subsidiary may use it."""
    external_id: str | None = None
    inactive: bool = False


class Classification(Section):
    """A department, a class or a location."""

    id: Id
    name: str
    parent: Id | None = None
    subsidiaries: list[Id] = []
    external_id: str | None = None


class Periods(Section):
    """Monthly accounting periods, generated from the first to the last month."""

    first: Month
    last: Month
    first_id: int = 101
    closed: list[Month] = []
    ar_locked: list[Month] = []
    allow_non_gl_changes: list[Month] = []

    @field_validator("first", "last", mode="before")
    @classmethod
    def _month(cls, value: object) -> object:
        return value.strftime("%Y-%m") if isinstance(value, date) else value


class Role(Section):
    id: Id
    name: str
    administrator: bool = False
    inactive: bool = False
    permissions: dict[str, PermissionLevel] = {}
    """Permission name as NetSuite's role screen shows it, e.g. `Invoice: full`."""
    subsidiaries: list[Id] = []
    """Subsidiary Restrictions: whose transactions and customers it sees; empty: all."""


class Numbering(Section):
    invoice: str = "INV"
    credit_memo: str = "CM"
    payment: str = "PYMT"
    deposit: str = "CD"
    deposit_application: str = "DA"
    journal: str = "JE"
    sales_order: str = "SO"
    customer: str | None = None
    """Prefix of automatic customer ids; absent: the entity id is given, or the name."""
    first: int = 1


class Profile(Section):
    account: str = Field(pattern=r"^[A-Z0-9]+(_[A-Z0-9]+)?$")
    name: str
    edition: Literal["oneworld", "single"]
    timezone: str = "America/Los_Angeles"
    date_format: str = "MM/DD/YYYY"
    service_tier: governance.Tier = "standard"
    suitecloud_plus: int = Field(0, ge=0)
    """SuiteCloud Plus licences."""
    concurrency_limit: int = Field(ge=1)
    """Given by the service tier and the licences where it is absent."""
    latency_ms: float = Field(0, ge=0)
    async_processors: int = Field(1, ge=0)
    """Asynchronous jobs, or tasks of parallel batches, that are processed at once; 0 holds them."""
    async_delay_ms: float = Field(100, ge=0)
    """Between the answer to an asynchronous request and its job's place in the queue."""
    async_task_ms: float = Field(0, ge=0)
    """What a task takes before it commits."""
    base_currency: str = "USD"
    currencies: list[Currency] = Field(min_length=1)
    subsidiaries: list[Subsidiary] = []
    terms: list[Term] = []
    accounts: list[GlAccount] = Field(min_length=1)
    items: list[Item] = Field(min_length=1)
    departments: list[Classification] = []
    classes: list[Classification] = []
    locations: list[Classification] = []
    periods: Periods
    custom_lists: list[CustomList] = []
    custom_segments: list[CustomSegment] = []
    custom_fields: list[CustomField] = []
    custom_record_types: list[CustomRecordType] = []
    saved_searches: list[SavedSearch] = []
    """Listed, as NetSuite's UI lists them; REST web services cannot run them."""
    datasets: list[Dataset] = []
    roles: list[Role] = Field(min_length=1)
    users: list[User] = []
    integrations: list[Integration] = []
    features: Features = Features()
    auto_consent: bool = False
    """The OAuth 2.0 consent page answers Allow by itself, for the first user and role that can."""
    numbering: Numbering = Numbering()
    faults: list[Fault] = []
    """Armed when the account starts and when it is reset."""
    receivables_account: Id
    undeposited_funds_account: Id | None = None
    """Where payments go that are not deposited yet; without it a payment must name its account."""
    customer_deposits_account: Id | None = None
    """The liability that customers' deposits are posted to; an account without it has no deposits."""
    tax_account: Id | None = None
    """Where taxes are posted; an account that has it has SuiteTax."""
    tax_types: list[TaxCode] = []
    tax_codes: list[TaxCode] = []
    tax_engine: TaxEngine = TaxEngine()
    """What taxes SuiteTax computes when the account starts and when it is reset."""
    switches: Switches = Switches()

    @model_validator(mode="before")
    @classmethod
    def _limit_of_tier(cls, values: object) -> object:
        if not isinstance(values, dict) or "concurrency_limit" in values:
            return values
        tier, licences = values.get("service_tier", "standard"), values.get("suitecloud_plus", 0)
        if tier not in governance.TIERS or not isinstance(licences, int):
            return values
        return values | {"concurrency_limit": governance.limit_of(tier, licences)}

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (KeyError, ValueError, OSError) as error:
            raise ValueError(f"{value!r} is not an IANA time zone such as America/New_York") from error
        return value

    @field_validator("date_format")
    @classmethod
    def _known_format(cls, value: str) -> str:
        if value not in DATE_FORMATS:
            raise ValueError(f"{value!r} is not one of {', '.join(DATE_FORMATS)}")
        return value

    @model_validator(mode="after")
    def _references(self) -> Profile:
        problems = list(self._reference_problems())
        if problems:
            raise ValueError("; ".join(problems))
        return self

    def _reference_problems(self) -> list[str]:
        problems: list[str] = []
        own = {i.client_id: i.concurrency_limit for i in self.integrations if i.concurrency_limit is not None}
        if problem := governance.allocation_problem(self.concurrency_limit, own):
            problems.append(problem)
        problems += [problem for fault in self.faults if (problem := fault.problem(self))]
        currencies = {c.symbol for c in self.currencies}
        subsidiaries = {s.id for s in self.subsidiaries}
        accounts = {a.id for a in self.accounts}
        roles = {r.id for r in self.roles}
        lists = {value.script_id for value in self.custom_lists} | {
            s.record_type for s in self.custom_segments
        }
        lists |= {record_type.script_id for record_type in self.custom_record_types}
        if self.edition == "oneworld" and not subsidiaries:
            problems.append("a oneworld account needs subsidiaries")
        if self.edition == "single" and subsidiaries:
            problems.append("a single-company account has no subsidiaries")
        if self.base_currency not in currencies:
            problems.append(f"base_currency {self.base_currency} is not among the currencies")
        for sub in self.subsidiaries:
            if sub.currency not in currencies:
                problems.append(f"subsidiary {sub.id} ({sub.name}): currency {sub.currency} is not declared")
            if sub.parent is not None and sub.parent not in subsidiaries:
                problems.append(f"subsidiary {sub.id} ({sub.name}): parent {sub.parent} is not declared")
        if self.receivables_account not in accounts:
            problems.append(f"receivables_account {self.receivables_account} is not among the accounts")
        for name in ("undeposited_funds_account", "customer_deposits_account", "tax_account"):
            if getattr(self, name) is not None and getattr(self, name) not in accounts:
                problems.append(f"{name} {getattr(self, name)} is not among the accounts")
        problems += self.tax_problems(self.tax_engine)
        for item in self.items:
            if item.income_account not in accounts:
                problems.append(f"item {item.item_id}: income_account {item.income_account} is not declared")
            problems += [
                f"item {item.item_id}: subsidiary {s} is not declared"
                for s in item.subsidiaries
                if s not in subsidiaries
            ]
        for field in [*self.custom_fields, *(f for t in self.custom_record_types for f in t.fields)]:
            problems += [
                f"custom field {field.script_id}: role {role} is not declared"
                for role in field.hidden_from
                if role not in roles
            ]
            if (
                field.choices is not None
                and field.choices.startswith(("customlist_", "customrecord_"))
                and field.choices not in lists
            ):
                problems.append(f"custom field {field.script_id}: list {field.choices} is not declared")
        for role in self.roles:
            problems += [
                f"role {role.id} ({role.name}): subsidiary {one} is not declared"
                for one in role.subsidiaries
                if one not in subsidiaries
            ]
            if role.administrator and role.subsidiaries:
                problems.append(f"role {role.id} ({role.name}): an administrator is not restricted")
        problems += profile_access.problems(self.integrations, self.users, roles)
        for group, ids in self._identified().items():
            repeated = {i for i in ids if ids.count(i) > 1}
            problems += [f"{group}: id {i} is used more than once" for i in sorted(repeated)]
        return problems

    def tax_problems(self, engine: TaxEngine) -> list[str]:
        """What of a tax engine this account cannot have."""
        if engine.rates and not self.suite_tax:
            return ["tax_engine: taxes are posted to the tax_account, which is not given"]
        types, codes = {t.id for t in self.tax_types}, {t.id for t in self.tax_codes}
        return engine.problems({s.id for s in self.subsidiaries}, types, codes)

    def _identified(self) -> dict[str, list[str]]:
        groups = (
            "subsidiaries",
            "currencies",
            "terms",
            "accounts",
            "items",
            "departments",
            "classes",
            "locations",
            "roles",
            "users",
            "tax_types",
            "tax_codes",
        )
        found = {group: [entry.id for entry in getattr(self, group)] for group in groups}
        found["integrations"] = [integration.client_id for integration in self.integrations]
        found["custom_fields"] = [field.script_id for field in self.custom_fields]
        found["custom_record_types"] = [t.script_id for t in self.custom_record_types]
        found["datasets"] = [dataset.id for dataset in self.datasets]
        found["saved_searches"] = [search.id for search in self.saved_searches]
        return found

    @property
    def oneworld(self) -> bool:
        return self.edition == "oneworld"

    @property
    def suite_tax(self) -> bool:
        return self.tax_account is not None

    @property
    def label(self) -> str:
        """The account's host label: `1234567_SB1` is `1234567-sb1`."""
        return self.account.lower().replace("_", "-")

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.timezone)

    @property
    def strftime_format(self) -> str:
        return DATE_FORMATS[self.date_format]
