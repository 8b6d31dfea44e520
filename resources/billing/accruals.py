"""Accruals: what was used by a month's end and not invoiced by then, as journals that billing proposes.

Here: the sums, and the journals of them among those of the source itself. Not here: how usage is read (the platform's
module), or how a journal is booked (the mapping).

An accrual is an entry for each rule, legal entity and currency, on the month's last day, and is reversed on the next. What
is invoiced later still counts in the months before, so a month's accrual stays what it was.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Any, Final, Protocol

import pyarrow as pa
import pyarrow.compute as pc

from resources.billing.canonical import JOURNAL_LINES, JOURNALS, BillingSource
from resources.billing.errors import BillingError

_OURS: Final = frozenset({"journals", "journal_lines"})
#: Usage of any month may still be without its invoice.
_EARLIEST: Final = date(1900, 1, 1)
_ID: Final = re.compile(r"accrual-([0-9]{4})-([0-9]{2})-.*")
_SAFE: Final = re.compile(r"[A-Za-z0-9_]+")


class AccrualRule(Protocol):
    """The accounts that an accrual debits and credits, by number, and whose usage it is: column to values, None for
    no value; all usage that no earlier rule takes, where it is empty.
    """

    @property
    def debit(self) -> str: ...
    @property
    def credit(self) -> str: ...
    @property
    def memo(self) -> str: ...
    @property
    def where(self) -> Mapping[str, Sequence[str | None]]: ...


@dataclass(frozen=True)
class _Accrual:
    rule: str
    legal_entity: str | None
    currency: str
    amount: Decimal


class WithAccruals:
    """A billing source whose journals are its own and those of the accrual `rules`, by name and in the file's order.

    A usage that no rule takes is a `BillingError`: it would be missing from the accrual without a word.
    """

    def __init__(self, source: BillingSource, rules: Mapping[str, AccrualRule]) -> None:
        self._source = source
        self._rules = rules
        self._made: dict[date, list[_Accrual]] = {}

    @property
    def provides(self) -> frozenset[str]:
        return self._source.provides | _OURS

    def count(self, table: str, start: date, end: date) -> int:
        """The source's own number of rows, and for journals those of the accruals besides."""
        own = self._source.count(table, start, end) if table in self._source.provides else 0
        return own + (len(self._rows(table, start, end)) if table in _OURS else 0)

    def read(self, table: str, start: date, end: date) -> Iterator[pa.RecordBatch]:
        """The source's rows, and for journals those of the accruals among them in order of the key."""
        own = self._source.read(table, start, end) if table in self._source.provides else iter(())
        if table not in _OURS:
            yield from own
            return
        schema = JOURNALS if table == "journals" else JOURNAL_LINES
        yield from _merged(own, deque(self._rows(table, start, end)), schema)

    def locate(self, table: str, ids: Sequence[str]) -> Mapping[str, date]:
        """The day of issue of each document that the source, or an accrual of any month, holds."""
        found: dict[str, date] = {}
        if table in self._source.provides:
            found |= self._source.locate(table, ids)
        if table == "journals":
            months = {(int(known[1]), int(known[2])) for one in ids if (known := _ID.fullmatch(one))}
            for year, month in sorted(months):
                start, end = date(year, month, 1), date(year + month // 12, month % 12 + 1, 1)
                held = {row["id"]: row["dated_on"] for row in self._rows(table, start, end)}
                found |= {one: held[one] for one in ids if one in held}
        return found

    def close(self) -> None:
        self._source.close()
        self._made.clear()

    def _rows(self, table: str, start: date, end: date) -> list[dict[str, Any]]:
        """The accruals' rows of the month from `start` to before `end`, in order of their ids."""
        month, last = f"{start:%Y-%m}", end - timedelta(days=1)
        rows: list[dict[str, Any]] = []
        for accrual in self._accruals(end):
            rule = self._rules[accrual.rule]
            entity = _in_id(accrual.legal_entity)
            identifier = f"accrual-{month}-{_in_id(accrual.rule)}-{entity}-{accrual.currency}"
            if table == "journals":
                rows.append(
                    {
                        "id": identifier,
                        "number": " ".join(
                            part
                            for part in (
                                "Accrual",
                                month,
                                accrual.rule,
                                accrual.legal_entity,
                                accrual.currency,
                            )
                            if part
                        ),
                        "dated_on": last,
                        "currency": accrual.currency,
                        "legal_entity": accrual.legal_entity,
                        "memo": rule.memo,
                        "reverses_on": end,
                    }
                )
                continue
            # Corrections may have made more than all of it negative.
            sides = ("debit", "credit") if accrual.amount > 0 else ("credit", "debit")
            for number, (account, side) in enumerate(
                zip((rule.debit, rule.credit), sides, strict=True), start=1
            ):
                rows.append(
                    {
                        "id": f"{identifier}-{number}",
                        "journal_id": identifier,
                        "line_no": number,
                        "account": account,
                        side: abs(accrual.amount),
                        "description": rule.memo,
                    }
                )
        return sorted(rows, key=lambda row: row["id"])

    def _accruals(self, end: date) -> list[_Accrual]:
        if end not in self._made:
            self._made[end] = self._summed(end)
        return self._made[end]

    def _summed(self, end: date) -> list[_Accrual]:
        tested = sorted({column for rule in self._rules.values() for column in rule.where})
        by = list(dict.fromkeys(["legal_entity", "currency", *tested]))
        sums: dict[tuple[str, str | None, str], Decimal] = {}
        for batch in self._source.read("usage", _EARLIEST, end):
            table = pa.Table.from_batches([batch])
            invoiced = table["invoiced_on"]
            later = pc.greater_equal(invoiced, pa.scalar(end, pa.date32()))
            unbilled = table.filter(pc.or_(pc.is_null(invoiced), pc.fill_null(later, False)))
            for row in unbilled.group_by(by).aggregate([("amount", "sum")]).to_pylist():
                amount = row["amount_sum"]
                if amount:
                    key = (self._rule_of(row, amount), row["legal_entity"], row["currency"])
                    sums[key] = sums.get(key, Decimal(0)) + amount
        return [_Accrual(*key, amount) for key, amount in sums.items() if amount]

    def _rule_of(self, row: Mapping[str, Any], amount: Decimal) -> str:
        for name, rule in self._rules.items():
            if all(row[column] in values for column, values in rule.where.items()):
                return name
        shown = ", ".join(
            f"{column} {value}" for column, value in row.items() if column != "amount_sum" and value
        )
        raise BillingError(
            "Accruing the usage that is not invoiced",
            f"no rule takes the usage with {shown} ({row['currency']} {amount:,.2f} in all).",
            "Add a rule for it to accruals in the tenant's YAML; one without 'where' takes all that is left.",
            table="usage",
            yaml_key="accruals",
        )


def _in_id(part: str | None) -> str:
    """A name as it can stand in an external id, different for different names."""
    if part is None:
        return "all"
    return part if _SAFE.fullmatch(part) else "x" + part.encode().hex()


def _merged(
    own: Iterator[pa.RecordBatch], ours: deque[dict[str, Any]], schema: pa.Schema
) -> Iterator[pa.RecordBatch]:
    for batch in own:
        ids, start = batch.column("id").to_pylist(), 0
        while ours and ids and ours[0]["id"] < ids[-1]:
            place = bisect_left(ids, ours[0]["id"])
            if place > start:
                yield batch.slice(start, place - start)
            yield pa.RecordBatch.from_pylist([ours.popleft()], schema=schema)
            start = place
        yield batch.slice(start)
    if ours:
        yield pa.RecordBatch.from_pylist(list(ours), schema=schema)
