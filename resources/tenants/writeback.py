"""The section `writeback` of a tenant's file: what may be written, what waits for a person, and what flows back to billing.

Not here: how a plan is judged by it (`netsuite_assets/writeback`).
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, StrictBool, StrictInt, StrictStr, model_validator

from resources.billing.canonical import TABLES
from resources.billing.returns import FACTS, KEYS, RETURNED_TO
from resources.tenants.source import nearest, shown
from resources.tenants.systems import BillingSettings
from resources.tenants.values import Amount, Settings, exact_amount, known_record_type


def _day(value: Any) -> Any:
    if isinstance(value, date):
        return value
    try:
        return date.fromisoformat(value)
    except (TypeError, ValueError):
        raise ValueError(f"'{shown(str(value))}' is not a day; write it as 2026-01-31") from None


def _written_type(value: str) -> str:
    kind = value.removeprefix("billing:")
    if kind == value:
        return known_record_type(value)
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

    share: Annotated[Decimal, BeforeValidator(exact_amount), Field(gt=0, le=1, allow_inf_nan=False)] = (
        Decimal("0.25")
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
        StrictBool | Annotated[list[Annotated[str, AfterValidator(known_record_type)]], Field(min_length=1)]
    ) = False
    cut_over: dict[
        Annotated[str, AfterValidator(known_record_type)], Annotated[date, BeforeValidator(_day)]
    ] = {}
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
