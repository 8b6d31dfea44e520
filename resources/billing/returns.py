"""What flows back to billing from NetSuite, and the protocol by which a platform takes it.

Here: the facts of each kind, and what every platform must be able to do with them. Not here: how one platform does
(`sql_returns.py`, ...), nor what NetSuite's facts are (`netsuite_assets/writeback/returns.py`).

A row is all that NetSuite is to tell of one record, and it is written only where billing still holds what it held when
that was planned. So a row that is written twice is written once, and nobody's change is overwritten.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, Protocol

FactKind = Literal["text", "amount", "date"]

_RECORD: Final[Mapping[str, FactKind]] = {"internal_id": "text", "number": "text"}
_DOCUMENT: Final[Mapping[str, FactKind]] = {**_RECORD, "subsidiary": "text", "status": "text"}
_SETTLED: Final[Mapping[str, FactKind]] = {**_DOCUMENT, "remaining": "amount"}

#: The facts of each kind: NetSuite's record types, and the applications of payments and credit memos to invoices.
FACTS: Final[Mapping[str, Mapping[str, FactKind]]] = {
    "customer": {**_RECORD, "subsidiary": "text", "address": "text"},
    "invoice": _SETTLED,
    "creditMemo": _SETTLED,
    "customerPayment": _SETTLED,
    "journalEntry": _DOCUMENT,
    "application": {
        "record": "text",
        "number": "text",
        "external_id": "text",
        "amount": "amount",
        "currency": "text",
        "applied_on": "date",
    },
}

#: By what a row is known: billing's own id of the record; of an application, NetSuite's id of what applies and billing's
#: id of the invoice.
KEYS: Final[Mapping[str, tuple[str, ...]]] = {
    kind: ("applying_id", "invoice_id") if kind == "application" else ("id",) for kind in FACTS
}

#: The canonical billing table whose rows a record type's facts belong to.
RETURNED_TO: Final[Mapping[str, str]] = {
    "customer": "customers",
    "invoice": "invoices",
    "creditMemo": "credit_notes",
    "customerPayment": "payments",
    "journalEntry": "journals",
}

Key = tuple[str, ...]
#: Fact to value. An amount is a plain decimal number without trailing zeros, a date is YYYY-MM-DD; None is no value.
Facts = Mapping[str, str | None]


@dataclass(frozen=True)
class ReturnedRow:
    """One row as it was when it was planned, and as it is to be; None where there is no row."""

    kind: str
    key: Key
    before: Facts | None
    after: Facts | None


@dataclass(frozen=True)
class Taken:
    """What became of a row: `changed` is one that billing does not hold any more as it was planned, with what it holds."""

    row: ReturnedRow
    state: Literal["written", "already", "changed"]
    held: Facts | None = None


class Returns(Protocol):
    """The side of a billing platform that takes what flows back. Every method may raise `BillingError`."""

    def facts(self, kind: str) -> tuple[str, ...]:
        """The facts of a kind that the tenant's file returns, in order; none where it returns nothing of it."""
        ...

    def check(self, kind: str) -> None:
        """Try what writing the facts of a kind takes, and change nothing. Raises `BillingError` where it would be refused."""
        ...

    def makes_rows(self, kind: str) -> bool:
        """Whether a row is made where there is none, because the place holds nothing but NetSuite's facts."""
        ...

    def held(self, kind: str, ids: Sequence[str]) -> dict[Key, Facts]:
        """What billing holds now, by key: of these records; of applications, all that it has of these invoices."""
        ...

    def write(self, rows: Sequence[ReturnedRow]) -> list[Taken]:
        """Write these rows, all of them in one transaction, each only where billing holds what it held before.

        Raises `ReturnInDoubt` when it is not known whether they were written, and another `BillingError` when none was.
        """
        ...

    def close(self) -> None: ...


def as_it_is(row: ReturnedRow, held: Facts | None) -> Literal["written", "already", "changed"]:
    """What is to become of a row where billing holds `held` now."""
    known = None if held is None else {fact: held.get(fact) for fact in row.after or row.before or ()}
    if known == row.after:
        return "already"
    return "written" if known == row.before else "changed"


def in_words(facts: Iterable[str], held: Facts | None) -> str:
    """What billing holds, for people: `status open, remaining 12.5`."""
    if held is None:
        return "no such row"
    return ", ".join(f"{fact} {held.get(fact) or 'empty'}" for fact in facts)
