"""What a tenant's file says, as one validated model.

Here: the whole file, what does not fit between its sections, and which keys may stand where. Not here: the larger
sections (`systems.py`, `writeback.py`, `rules.py`), reading YAML (`source.py`), finding files (`registry.py`), or what a
mapping rule means (`netsuite_assets/mapping`): a rule is checked here for its shape only.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BaseModel, BeforeValidator, Field, StrictInt, StrictStr, field_validator

from resources.billing.canonical import TABLES
from resources.tenants.comparison import RecordComparison
from resources.tenants.matching import MatchSettings
from resources.tenants.rules import RecordRules
from resources.tenants.source import nearest, shown
from resources.tenants.systems import CHOICES, BillingSettings, NetSuiteSettings
from resources.tenants.values import Amount, Settings, Text, known_record_type, one_or_many
from resources.tenants.writeback import WritebackSettings

USAGE_TESTED = ("customer_id", "legal_entity", "currency", "product_id", "product_line")
"""The columns of usage by which an accrual rule chooses."""


def _currency(value: str) -> str:
    if not re.fullmatch("[A-Z]{3}", value):
        raise ValueError(f"'{shown(value)}' is not an ISO 4217 code such as USD")
    return value


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


class AccrualSettings(Settings):
    """What was used by a month's end and not invoiced by then, booked as a journal entry and reversed the day after.

    `debit` and `credit` are account numbers. `where` keeps the usage whose column (`product_id`, ...) has one of the
    values; a usage goes to the first rule that takes it.
    """

    debit: Text
    credit: Text
    memo: StrictStr = Field(default="Usage that is not invoiced", min_length=1)
    where: dict[str, Annotated[list[Text | None], BeforeValidator(one_or_many)]] = {}


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
    records: dict[Annotated[str, AfterValidator(known_record_type)], RecordRules]

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
