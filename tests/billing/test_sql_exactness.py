"""A number is read exactly as the billing database holds it, or refused with its place; never rounded."""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from billing_tools import INVOICES, OCTOBER, Settings, rows, run, source
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from resources.billing import BillingError
from resources.billing.connect import normalise_url
from resources.billing.tables import Table

quick = settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

CREATE = (
    "CREATE TABLE invoices (id text, number text, issued_on text, currency text, total {kind})",
    "CREATE TABLE lines (id text, invoice_id text, line_no int, amount {kind}, quantity {kind}, price {kind})",
)


def holding(folder: Path, totals: Sequence[object], kind: str = "") -> str:
    """A SQLite database whose invoices 000, 001, ... have these totals, as the driver stores them."""
    url = f"sqlite:///{folder / 'exact.sqlite'}"
    run(url, "DROP TABLE IF EXISTS invoices", CREATE[0].format(kind=kind))
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        for index, total in enumerate(totals):
            connection.exec_driver_sql(
                "INSERT INTO invoices VALUES (?, ?, '2026-10-05', 'GBP', ?)",
                (f"{index:03d}", f"INV-{index}", total),
            )
    engine.dispose()
    return url


def totals(url: str) -> list[Decimal]:
    return [row["total"] for row in rows(url)]


amounts = st.decimals(
    min_value=Decimal("-99999999999999.9999"), max_value=Decimal("99999999999999.9999"), places=4
)


@quick
@given(st.lists(amounts, min_size=1, max_size=30))
def test_every_amount_held_as_text_comes_back_equal(tmp_path: Path, written: list[Decimal]) -> None:
    assert totals(holding(tmp_path, [f"{amount:f}" for amount in written])) == written


@quick
@given(st.lists(amounts, min_size=1, max_size=30))
def test_every_amount_in_a_postgres_numeric_comes_back_equal(
    new_postgres_lines: Any, written: list[Decimal]
) -> None:
    engine, url = new_postgres_lines
    with engine.begin() as connection:
        connection.exec_driver_sql("DELETE FROM invoices")
        connection.exec_driver_sql(
            "INSERT INTO invoices VALUES (%s, 'N', '2026-10-05', 'GBP', %s)",
            [(f"{index:03d}", amount) for index, amount in enumerate(written)],
        )
    assert totals(url) == written


@pytest.fixture(scope="module")
def new_postgres_lines(new_postgres_database: Any) -> Any:
    url = new_postgres_database()
    run(url, CREATE[0].format(kind="numeric(18, 4)"))
    engine = sa.create_engine(normalise_url(url))
    yield engine, url
    engine.dispose()


@quick
@given(
    st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**20), max_value=10**20),
)
def test_an_amount_is_read_exactly_or_refused_with_its_invoice(tmp_path: Path, written: Decimal) -> None:
    url = holding(tmp_path, ["1.00", str(written)])
    fits = written == written.quantize(Decimal("0.0001")) and abs(written) < 10**14
    if fits:
        assert totals(url) == [Decimal(1), written]
    else:
        with pytest.raises(BillingError) as refused:
            totals(url)
        assert refused.value.column == "total"
        assert refused.value.row == "invoice INV-1 (id 001)"
        assert f"'{written}'" in str(refused.value)


@quick
@given(st.integers(-(10**11), 10**11), st.integers(0, 4))
def test_a_binary_float_of_at_most_fifteen_digits_is_its_decimal(
    tmp_path: Path, units: int, places: int
) -> None:
    written = Decimal(units).scaleb(-places)
    assert totals(holding(tmp_path, [float(written)], kind="real")) == [written]


@quick
@given(st.floats(allow_nan=False, min_value=-1e16, max_value=1e16))
def test_any_other_binary_float_is_never_rounded(tmp_path: Path, written: float) -> None:
    url = holding(tmp_path, [written], kind="real")
    shown = Decimal(repr(written))
    if (
        len(shown.normalize().as_tuple().digits) <= 15
        and shown == shown.quantize(Decimal("0.0001"))
        and abs(shown) < 10**14
    ):
        assert totals(url) == [shown]
    else:
        with pytest.raises(BillingError, match=re.escape(repr(written))):
            totals(url)


@pytest.mark.parametrize(
    ("kind", "value", "why"),
    [
        ("real", 0.1 + 0.2, "more than 15 digits"),
        ("decimal(18, 4)", 0.00001, "4 after"),
        ("text", "1.23456", "4 after"),
        ("text", "100000000000000", "14 digits before"),
        ("text", "12,50", "not a number"),
        ("text", "1_000", "not a number"),
        ("text", "NaN", "finite"),
        ("text", "inf", "finite"),
        ("text", "9.2E-222", "more than 12 decimals"),
        ("text", "1." + "0" * 60 + "1", "more than 12 decimals"),
        ("real", 9.2e-222, "more than 12 decimals"),
        ("text", None, "every row must have it"),
        ("text", "", "every row must have it"),
        ("blob", b"1.5", "bytes"),
    ],
)
def test_a_total_that_cannot_be_taken_names_table_column_row_and_value(
    tmp_path: Path, kind: str, value: object, why: str
) -> None:
    url = holding(tmp_path, ["1", value, "2"], kind=kind)
    with pytest.raises(BillingError, match=why) as refused:
        totals(url)
    words = str(refused.value)
    assert (refused.value.table, refused.value.column) == ("invoices", "total")
    assert "INV-1 (id 001)" in words
    assert "billing.tables.invoices" in words
    assert ("NULL" if value is None else repr(value)) in words


def test_zeros_after_the_last_decimal_do_not_count(tmp_path: Path) -> None:
    url = holding(tmp_path, ["12.5000000000", "1." + "0" * 60, "0E-300", "1E+3"])
    assert totals(url) == [Decimal("12.5"), Decimal(1), Decimal(0), Decimal(1000)]


def test_the_rows_before_a_bad_batch_are_still_only_whole_batches(tmp_path: Path) -> None:
    url = holding(tmp_path, ["1", "2", "x"])
    billing = source(url, INVOICES, batch_rows=2)
    stream = billing.read("invoices", *OCTOBER)
    assert next(stream).num_rows == 2
    with pytest.raises(BillingError, match="INV-2"):
        next(stream)
    billing.close()


def test_prices_keep_twelve_decimals_and_quantities_ten(any_database: str) -> None:
    text = "numeric" if any_database.startswith("postgresql") else "text"
    run(
        any_database,
        *(statement.format(kind=text) for statement in CREATE),
        "INSERT INTO invoices VALUES ('1', 'N', '2026-10-05', 'USD', '1')",
        "INSERT INTO lines VALUES ('l', '1', 1, '1', '1234567.0123456789', '0.000000000001')",
    )
    names = Settings(
        {
            "invoices": Table("invoices"),
            "invoice_lines": Table("lines", {"unit_amount": "price"}),
        }
    )
    (line,) = rows(any_database, "invoice_lines", names)
    assert (line["quantity"], line["unit_amount"]) == (
        Decimal("1234567.0123456789"),
        Decimal("0.000000000001"),
    )
