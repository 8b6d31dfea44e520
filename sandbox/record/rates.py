"""Exchange rates by day, and the tables that hold them: `currencyrate` and, per period, `consolidatedexchangerate`."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING

from sandbox.profile import Currency
from sandbox.store.database import Database

if TYPE_CHECKING:
    from sandbox.record.masters import Masters

_DIGITS = Decimal("0.00000001")


def at(currency: Currency, day: str | None) -> Decimal:
    """Units of the account's base currency that one unit buys, on an ISO day; None: without regard to dated rates."""
    if day is None:
        return currency.rate
    passed = [since for since in currency.rates if since.isoformat() <= day]
    return currency.rates[max(passed)] if passed else currency.rate


def between(currency: Currency, base: Currency, day: str | None) -> Decimal:
    """Units of `base` that one unit of `currency` buys."""
    return (at(currency, day) / at(base, day)).quantize(_DIGITS).normalize()


def load(database: Database, masters: Masters) -> None:
    """Write both tables anew."""
    for table in ("currencyrate", "consolidatedexchangerate"):
        if table in database.tables:
            database.connection.execute(f'DELETE FROM "{database.tables[table].physical}"')
    _load_rates(database, masters)
    if masters.profile.oneworld:
        _load_consolidated(database, masters)


def _load_rates(database: Database, masters: Masters) -> None:
    """A row for every pair of books' currency and other currency, from the first period on and from every dated rate."""
    first = date.fromisoformat(f"{masters.profile.periods.first}-01")
    bases = {masters.base_currency(subsidiary).id: None for subsidiary in masters.subsidiaries}
    number = 0
    for base_id in bases or {masters.base_currency(None).id: None}:
        base = masters.currencies[base_id]
        for currency in masters.currencies.values():
            if currency.id == base.id:
                continue
            for day in sorted({first, *currency.rates, *base.rates}):
                number += 1
                row = {"id": number, "basecurrency": int(base.id), "transactioncurrency": int(currency.id)}
                rate = between(currency, base, day.isoformat())
                moments = {"effectivedate": f"{day} 00:00:00", "lastmodifieddate": f"{day} 00:00:00"}
                database.insert("currencyrate", {**row, "exchangerate": rate, **moments})


def _load_consolidated(database: Database, masters: Masters) -> None:
    """Rates of every period from each subsidiary to each of its parents: at its end, its mean by days, at its start."""
    periods = database.connection.execute(
        "SELECT id, substr(startdate, 1, 10), substr(enddate, 1, 10) FROM q_accountingperiod ORDER BY id"
    ).fetchall()
    number = 0
    for child, parent in _pairs(masters):
        source, target = masters.base_currency(child), masters.base_currency(parent)
        for period, start, end in periods:
            number += 1
            database.insert(
                "consolidatedexchangerate",
                {
                    "id": number,
                    "postingperiod": period,
                    "fromsubsidiary": int(child),
                    "tosubsidiary": int(parent),
                    "fromcurrency": int(source.id),
                    "tocurrency": int(target.id),
                    "currentrate": between(source, target, end),
                    "averagerate": _mean(source, target, start, end),
                    "historicalrate": between(source, target, start),
                    "accountingbook": 1,
                },
            )


def _pairs(masters: Masters) -> Iterator[tuple[str, str]]:
    for child, subsidiary in masters.subsidiaries.items():
        parent = subsidiary.parent
        while parent is not None:
            yield child, parent
            parent = masters.subsidiaries[parent].parent


def _mean(source: Currency, target: Currency, start: str, end: str) -> Decimal:
    changes = {day.isoformat() for day in (*source.rates, *target.rates) if start < day.isoformat() <= end}
    marks = [start, *sorted(changes)]
    last = date.fromisoformat(end).toordinal() + 1
    edges = [date.fromisoformat(mark).toordinal() for mark in marks] + [last]
    whole = sum(
        (between(source, target, mark) * (edges[n + 1] - edges[n]) for n, mark in enumerate(marks)),
        Decimal(0),
    )
    return (whole / (last - edges[0])).quantize(_DIGITS).normalize()
