"""Usage that no invoice bills by a month's end is a balanced journal of that month, and of no other."""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from resources.billing import BillingError
from resources.billing.accruals import WithAccruals
from resources.billing.canonical import TABLES
from resources.billing.sql import SqlBilling
from resources.billing.tables import Table
from resources.tenants.models import AccrualSettings

OCTOBER = (date(2026, 10, 1), date(2026, 11, 1))
USAGE = AccrualSettings(debit="1150", credit="4000")


def _row(number: int, amount: str, used: str, invoiced: str | None = None, **more: Any) -> dict[str, Any]:
    row = {"id": f"u{number}", "used_on": used, "invoiced_on": invoiced, "amount": amount, "currency": "USD"}
    return {**row, "legal_entity": "us", **more}


def _source(
    folder: Path, *rows: dict[str, Any], journals: tuple[str, ...] = (), **rules: AccrualSettings
) -> WithAccruals:
    """Billing with this usage, journals of its own with these ids, and the rule `usage` unless others are given."""
    path = folder / "billing.sqlite"
    path.unlink(missing_ok=True)
    with sqlite3.connect(path) as connection:
        for name in ("usage", "journals", "journal_lines"):
            columns = ", ".join(f'"{column}"' for column in TABLES[name].schema.names)
            connection.execute(f"CREATE TABLE {name} ({columns})")
        for row in rows:
            names = ", ".join(row)
            connection.execute(
                f"INSERT INTO usage ({names}) VALUES ({', '.join('?' * len(row))})", list(row.values())
            )
        for own in journals:
            connection.execute(
                "INSERT INTO journals (id, number, dated_on, currency) VALUES (?, ?, '2026-10-15', 'USD')",
                [own, own],
            )
    connection.close()
    tables = {name: Table(name) for name in ("usage", "journals", "journal_lines")}

    class Settings:
        pass

    made = Settings()
    made.tables = tables  # type: ignore[attr-defined]
    inner = SqlBilling(made, f"sqlite:///{path}", ZoneInfo("America/New_York"), batch_rows=2)  # type: ignore[arg-type]
    return WithAccruals(inner, rules or {"usage": USAGE})


def _read(source: WithAccruals, table: str, month: tuple[date, date] = OCTOBER) -> list[dict[str, Any]]:
    rows = pa.Table.from_batches(source.read(table, *month), schema=TABLES[table].schema).to_pylist()
    assert len(rows) == source.count(table, *month)
    ids = [row["id"] for row in rows]
    assert ids == sorted(set(ids))
    return rows


def test_what_no_invoice_bills_by_the_end_of_the_month_is_accrued_and_reversed(tmp_path: Path) -> None:
    source = _source(
        tmp_path,
        _row(1, "10.00", "2026-10-05"),
        _row(2, "5.50", "2026-09-30"),  # of an earlier month, still not invoiced
        _row(3, "7.00", "2026-10-31", "2026-11-02"),  # invoiced after the month
        _row(4, "99.00", "2026-10-02", "2026-10-31"),  # invoiced in it
        _row(5, "99.00", "2026-11-01"),  # not used yet
    )
    [journal] = _read(source, "journals")
    assert journal["id"] == "accrual-2026-10-usage-us-USD"
    assert (journal["dated_on"], journal["reverses_on"]) == (date(2026, 10, 31), date(2026, 11, 1))
    assert journal["number"] == "Accrual 2026-10 usage us USD"
    lines = _read(source, "journal_lines")
    assert [(line["account"], line["debit"], line["credit"]) for line in lines] == [
        ("1150", Decimal("22.5"), None),
        ("4000", None, Decimal("22.5")),
    ]
    assert source.locate("journals", [journal["id"], "accrual-2026-10-usage-eu-USD", "x"]) == {
        journal["id"]: date(2026, 10, 31)
    }
    source.close()


def test_nothing_that_is_not_invoiced_is_no_journal(tmp_path: Path) -> None:
    source = _source(tmp_path, _row(1, "10.00", "2026-10-05"), _row(2, "-10.00", "2026-10-06"))
    assert _read(source, "journals") == []
    assert _read(source, "journal_lines") == []
    source.close()


def test_more_corrected_than_used_goes_to_the_other_sides(tmp_path: Path) -> None:
    source = _source(tmp_path, _row(1, "-3.00", "2026-10-05"))
    lines = _read(source, "journal_lines")
    assert [(line["account"], line["debit"], line["credit"]) for line in lines] == [
        ("1150", None, Decimal(3)),
        ("4000", Decimal(3), None),
    ]
    source.close()


def test_journals_of_billings_own_stand_among_them_in_order(tmp_path: Path) -> None:
    own = ("a", "accrual-2026-10-usage-us-EUR", "b", "z", "zz")
    rows = (_row(1, "1", "2026-10-05"), _row(2, "2", "2026-10-05", legal_entity=None))
    source = _source(tmp_path, *rows, journals=own)
    ids = [row["id"] for row in _read(source, "journals")]
    assert ids == sorted([*own, "accrual-2026-10-usage-us-USD", "accrual-2026-10-usage-all-USD"])
    source.close()


def test_usage_goes_to_the_first_rule_that_takes_it_and_none_is_lost(tmp_path: Path) -> None:
    storage = AccrualSettings(debit="1151", credit="4100", where={"product_line": ["Storage", None]})
    metering = AccrualSettings(debit="1150", credit="4000", where={"product_line": ["Metering"]})
    rows = [
        _row(number, "1.00", "2026-10-05", product_line=line)
        for number, line in enumerate(["Storage", None, "Metering"])
    ]
    source = _source(tmp_path, *rows, storage=storage, metering=metering)
    booked = {line["account"]: line["debit"] or line["credit"] for line in _read(source, "journal_lines")}
    assert booked == {"1151": 2, "4100": 2, "1150": 1, "4000": 1}
    source.close()
    source = _source(tmp_path, *rows, metering=metering)
    with pytest.raises(BillingError, match="no rule takes the usage with legal_entity us, currency USD"):
        source.count("journals", *OCTOBER)
    source.close()


def test_a_legal_entity_of_any_name_stands_in_the_id(tmp_path: Path) -> None:
    source = _source(
        tmp_path, _row(1, "1", "2026-10-05", legal_entity="Acme & Söhne"), _row(2, "1", "2026-10-05")
    )
    ids = [row["id"] for row in _read(source, "journals")]
    assert len(set(ids)) == 2
    assert all(one.replace("-", "").replace("_", "").isalnum() and one.isascii() for one in ids)
    source.close()


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.tuples(
            st.integers(-99_999, 99_999), st.integers(0, 60), st.none() | st.integers(0, 60),
            st.sampled_from(["us", "eu", None]), st.sampled_from(["USD", "EUR"]),
        ),
        max_size=12,
    )
)  # fmt: skip
def test_every_journal_balances_and_holds_all_that_is_open(tmp_path: Path, used: list[Any]) -> None:
    """Against sums in plain Python: days are counted from the first of September."""
    first, end = date(2026, 9, 1), OCTOBER[1]
    open_amounts: dict[tuple[str | None, str], Decimal] = defaultdict(Decimal)
    rows = []
    for number, (cents, day, invoiced, entity, currency) in enumerate(used):
        used_on = first + timedelta(days=day)
        invoiced_on = None if invoiced is None else first + timedelta(days=invoiced)
        amount = Decimal(cents) / 100
        rows.append(
            _row(
                number, f"{amount:f}", used_on.isoformat(), invoiced_on and invoiced_on.isoformat(),
                legal_entity=entity, currency=currency,
            )
        )  # fmt: skip
        if used_on < end and (invoiced_on is None or invoiced_on >= end):
            open_amounts[entity, currency] += amount
    source = _source(tmp_path, *rows)
    journals = _read(source, "journals")
    lines = _read(source, "journal_lines")
    source.close()
    booked = {}
    for journal in journals:
        own = [line for line in lines if line["journal_id"] == journal["id"]]
        debits = {line["account"]: line["debit"] or Decimal(0) for line in own}
        credits = {line["account"]: line["credit"] or Decimal(0) for line in own}
        assert sum(debits.values()) == sum(credits.values())
        booked[journal["legal_entity"], journal["currency"]] = debits["1150"] - credits["1150"]
    assert booked == {key: amount for key, amount in open_amounts.items() if amount}
