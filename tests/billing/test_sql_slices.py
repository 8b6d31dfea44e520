"""A slice read from a billing database is exactly what the tenant billed in the month."""

from __future__ import annotations

import tracemalloc
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

import pytest
import sqlalchemy as sa
from billing_tools import ACME, GLOBEX, INVOICES, NEW_YORK, OCTOBER, Settings, rows, run, source
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from demo import usage
from demo.billing_database import fill
from demo.documents import Billing
from resources.billing.canonical import TABLES
from resources.billing.connect import normalise_url
from resources.billing.tables import Table

TENANTS = {"acme": (ACME, usage.acme(Random(1))), "globex": (GLOBEX, usage.globex(Random(1)))}


def billed(billing: Billing) -> dict[str, list[tuple[Any, ...]]]:
    """What October's slices must hold, straight from the documents."""
    invoices = sorted((i for i in billing.invoices if i.in_month("2026-10")), key=lambda i: i.id)
    notes = sorted((n for n in billing.credit_notes if n.in_month("2026-10")), key=lambda n: n.id)
    return {
        "invoices": [
            (i.id, i.number, i.customer_id, i.issued_on, i.due_on, i.currency, i.total, i.memo, i.po_number)
            for i in invoices
        ],
        "invoice_lines": sorted(
            (x.id, i.id, x.line_no, x.product_id, x.description, x.quantity, x.unit_amount, x.amount)
            for i in invoices
            for x in i.lines
        ),
        "credit_notes": [(n.id, n.number, n.customer_id, n.issued_on, n.total, n.invoice_id) for n in notes],
        "payments": sorted(
            (p.id, p.customer_id, p.paid_on, p.amount, p.reference)
            for p in billing.payments
            if f"{p.paid_on:%Y-%m}" == "2026-10"
        ),
        "payment_applications": sorted(
            (p.id, invoice, amount)
            for p in billing.payments
            for invoice, amount in p.applications
            if f"{p.paid_on:%Y-%m}" == "2026-10"
        ),
        "customers": sorted((c.id, c.name, c.email, c.currency, c.terms) for c in billing.customers),
    }


COLUMNS = {
    "invoices": "id number customer_id issued_on due_on currency total memo po_number",
    "invoice_lines": "id invoice_id line_no product_id description quantity unit_amount amount",
    "credit_notes": "id number customer_id issued_on total invoice_id",
    "payments": "id customer_id paid_on amount reference",
    "payment_applications": "payment_id invoice_id amount",
    "customers": "id name email currency terms",
}


@pytest.mark.parametrize("tenant", TENANTS)
def test_october_holds_what_was_billed_in_october_and_nothing_of_the_months_beside(
    any_database: str, tenant: str
) -> None:
    names, billing = TENANTS[tenant]
    assert fill(any_database, tenant, billing).changed
    assert not fill(any_database, tenant, billing).changed
    for table, expected in billed(billing).items():
        found = rows(any_database, table, names)
        assert [tuple(row[name] for name in COLUMNS[table].split()) for row in found] == expected, table
    assert 0 < len(billed(billing)["invoices"]) < len(billing.invoices)


def test_every_batch_has_the_canonical_schema_and_no_more_rows_than_asked(any_database: str) -> None:
    fill(any_database, "acme", TENANTS["acme"][1])
    for table in ACME.tables:
        canonical = TABLES[table]
        billing = source(any_database, ACME, batch_rows=7)
        batches = list(billing.read(table, *OCTOBER))
        billing.close()
        assert all(batch.schema.equals(canonical.schema) for batch in batches)
        assert [batch.num_rows for batch in batches[:-1]] == [7] * (len(batches) - 1)
        assert 0 < batches[-1].num_rows <= 7
        assert len(batches) > 1


def test_postgres_sends_a_slice_in_portions(new_database: Any) -> None:
    url = new_database("postgres")
    fill(url, "acme", TENANTS["acme"][1])
    billing = source(url, ACME, batch_rows=7)
    stream = billing.read("invoice_lines", *OCTOBER)
    next(stream)
    engine = sa.create_engine(normalise_url(url))
    with engine.connect() as connection:
        asked = connection.exec_driver_sql(
            "SELECT query FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        ).scalar_one()
    engine.dispose()
    assert asked.startswith("FETCH FORWARD ")  # not the SELECT, which would send all at once
    billing.close()


def test_metadata_columns_become_one_json_object(any_database: str) -> None:
    fill(any_database, "globex", TENANTS["globex"][1])
    first = rows(any_database, "invoices", GLOBEX)[0]
    document = next(bill for bill in TENANTS["globex"][1].invoices if bill.id == first["id"])
    plan, usage_run = document.metadata["plan"], document.metadata["usage_run"]
    assert first["metadata"] == f'{{"plan": "{plan}", "usage_run": "{usage_run}"}}'


def test_a_json_column_serves_as_metadata_as_it_is(any_database: str) -> None:
    kind = "jsonb" if any_database.startswith("postgresql") else "text"
    run(
        any_database,
        f"CREATE TABLE invoices (id int, number text, issued_on date, currency text, total text, metadata {kind})",
        """INSERT INTO invoices VALUES (1, 'A', '2026-10-01', 'USD', '1', '{"rate": 0.10000000000000000001}')""",
    )
    assert rows(any_database)[0]["metadata"] == '{"rate": 0.10000000000000000001}'


def test_rows_come_in_the_order_of_the_ids_text_whatever_the_collation(any_database: str) -> None:
    ids = ["10", "9", "B", "a", "é", "Z-1", "_", "ab", "a b"]
    collation = "" if any_database.startswith("postgresql") else "COLLATE NOCASE"
    run(
        any_database,
        CREATE.replace("id text", f"id text {collation}", 1),
        *(insert(id=one) for one in ids),
    )
    assert [row["id"] for row in rows(any_database)] == sorted(ids)


def test_a_filter_keeps_only_its_rows_and_their_lines(any_database: str) -> None:
    run(
        any_database,
        CREATE.replace("total text", "total text, state text"),
        "CREATE TABLE lines (id text, invoice_id text, line_no int, amount text)",
        *(
            f"INSERT INTO invoices VALUES ('{name}', '{name}', '2026-10-05', 'USD', '1', {state})"
            for name, state in (("a", "'open'"), ("b", "'draft'"), ("c", "NULL"), ("d", "'paid'"))
        ),
        *(f"INSERT INTO lines VALUES ('{name}-1', '{name}', 1, '1')" for name in "abcd"),
    )
    settings = Settings(
        {
            "invoices": Table("invoices", where={"state": ["open", "paid", None]}),
            "invoice_lines": Table("lines"),
        }
    )
    assert [row["id"] for row in rows(any_database, "invoices", settings)] == ["a", "c", "d"]
    assert [row["id"] for row in rows(any_database, "invoice_lines", settings)] == ["a-1", "c-1", "d-1"]


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_one_source_is_one_view_of_the_database(kind: str, new_database: Any) -> None:
    url = new_database(kind)
    run(url, *(["PRAGMA journal_mode=WAL"] if kind == "sqlite" else []), CREATE, insert(id="1"))
    billing = source(url)
    assert billing.count("invoices", *OCTOBER) == 1
    run(url, insert(id="2"))
    assert sum(batch.num_rows for batch in billing.read("invoices", *OCTOBER)) == 1
    billing.close()
    assert billing.count("invoices", *OCTOBER) == 2
    billing.close()


def test_a_slice_is_not_held_in_memory(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'large.sqlite'}"
    run(
        url,
        CREATE,
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 40000)"
        " INSERT INTO invoices SELECT printf('%06d', i), 'N' || i, '2026-10-15', 'USD', '1.00' FROM n",
    )

    def peak(bounds: tuple[date, date]) -> int:
        billing = source(url, batch_rows=500)
        tracemalloc.start()
        for _ in billing.read("invoices", *bounds):
            pass
        highest = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        billing.close()
        return highest

    assert rows(url)[-1]["id"] == "040000"
    assert peak(OCTOBER) < 2_000_000  # the slice is some 15 MB as Python rows


CREATE = "CREATE TABLE invoices (id text, number text, issued_on text, currency text, total text)"


def insert(id: str = "1", issued_on: str = "2026-10-05", total: str = "1") -> str:
    return f"INSERT INTO invoices VALUES ('{id}', 'N{id}', '{issued_on}', 'USD', '{total}')"


MONTHS = [
    (date(2026, 9, 1), date(2026, 10, 1)),
    OCTOBER,
    (date(2026, 11, 1), date(2026, 12, 1)),
]

FIRST_MOMENT = datetime(2026, 9, 1, tzinfo=UTC)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    moments=st.lists(
        st.tuples(
            st.integers(0, 90 * 86_400).map(lambda second: FIRST_MOMENT + timedelta(seconds=second)),
            st.integers(-14 * 4, 14 * 4).map(lambda quarters: timedelta(minutes=15 * quarters)),
        ),
        min_size=1,
        max_size=12,
    )
)
def test_a_timestamp_with_an_offset_falls_in_the_month_of_the_tenants_calendar(
    tmp_path: Path, moments: list[tuple[datetime, timedelta]]
) -> None:
    url = f"sqlite:///{tmp_path / 'moments.sqlite'}"
    written = [moment.astimezone(timezone(offset)) for moment, offset in moments]
    run(
        url,
        "DROP TABLE IF EXISTS invoices",
        CREATE,
        *(insert(id=f"{index:02d}", issued_on=moment.isoformat()) for index, moment in enumerate(written)),
    )
    seen = {}
    for bounds in [(date(2026, 8, 1), date(2026, 9, 1)), *MONTHS]:
        for row in rows(url, bounds=bounds):
            assert row["id"] not in seen, "a row in two months"
            assert bounds[0] <= row["issued_on"] < bounds[1]
            seen[row["id"]] = row["issued_on"]
    local = {f"{index:02d}": moment.astimezone(NEW_YORK).date() for index, moment in enumerate(written)}
    assert seen == local


@pytest.mark.parametrize(
    ("kind", "declared", "written", "day"),
    [
        ("sqlite", "text", "2026-10-31", date(2026, 10, 31)),
        ("sqlite", "date", "2026-10-31", date(2026, 10, 31)),
        ("sqlite", "timestamp", "2026-10-01 00:00:00", date(2026, 10, 1)),
        ("sqlite", "text", "2026-11-01T03:59:59Z", date(2026, 10, 31)),
        ("sqlite", "text", "2026-10-01 04:00:00.000000+00:00", date(2026, 10, 1)),
        ("postgres", "date", "2026-10-31", date(2026, 10, 31)),
        ("postgres", "text", "2026-10-31", date(2026, 10, 31)),
        ("postgres", "text", "2026-10-01T00:00:00", date(2026, 10, 1)),
        ("postgres", "timestamp", "2026-10-01 00:00:00", date(2026, 10, 1)),
        ("postgres", "timestamp", "2026-10-31 23:59:59.999", date(2026, 10, 31)),
        ("postgres", "timestamptz", "2026-11-01 03:59:59+00", date(2026, 10, 31)),
        ("postgres", "timestamptz", "2026-10-01 04:00:00+00", date(2026, 10, 1)),
    ],
)
def test_each_way_to_hold_a_date_is_placed(
    new_database: Any, kind: str, declared: str, written: str, day: date
) -> None:
    url = new_database(kind)
    run(url, CREATE.replace("issued_on text", f"issued_on {declared}"), insert(issued_on=written))
    assert [row["issued_on"] for row in rows(url)] == [day]
    for bounds in (MONTHS[0], MONTHS[2]):
        assert rows(url, bounds=bounds) == []


@pytest.mark.parametrize(
    ("declared", "written", "moment"),
    [
        ("timestamptz", "2026-10-05 08:00:00-04", datetime(2026, 10, 5, 12, tzinfo=UTC)),
        ("timestamp", "2026-10-05 08:00:00", datetime(2026, 10, 5, 8, tzinfo=UTC)),
        ("text", "2026-10-05T08:00:00Z", datetime(2026, 10, 5, 8, tzinfo=UTC)),
    ],
)
def test_moments_are_utc(any_database: str, declared: str, written: str, moment: datetime) -> None:
    run(
        any_database,
        CREATE.replace("total text", f"total text, updated_at {declared}"),
        f"INSERT INTO invoices VALUES ('1', 'N', '2026-10-05', 'USD', '1', '{written}')",
    )
    assert rows(any_database)[0]["updated_at"] == moment


def test_customers_have_no_month(any_database: str) -> None:
    settings = Settings({"customers": Table("customers")})
    run(
        any_database,
        "CREATE TABLE customers (id int, name text, is_active int)",
        "INSERT INTO customers VALUES (7, 'Seven', 0)",
    )
    (customer,) = rows(any_database, "customers", settings)
    assert (customer["id"], customer["is_active"], customer["email"]) == ("7", False, None)


def test_what_the_tenant_does_not_have_is_not_provided(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'b.sqlite'}"
    assert source(url, INVOICES).provides == {"invoices"}
    with pytest.raises(KeyError):
        source(url, INVOICES).count("payments", *OCTOBER)


def test_numeric_columns_of_postgres_are_exact(new_database: Any) -> None:
    url = new_database("postgres")
    run(url, CREATE.replace("total text", "total numeric"), insert(total="12345678901234.5678"))
    assert rows(url)[0]["total"] == Decimal("12345678901234.5678")


def test_a_table_may_be_in_another_schema(new_database: Any) -> None:
    url = new_database("postgres")
    run(url, "CREATE SCHEMA ar", CREATE.replace("invoices", "ar.invoices"))
    run(url, insert(id="1").replace("invoices", "ar.invoices"))
    assert [row["id"] for row in rows(url, settings=Settings({"invoices": Table("ar.invoices")}))] == ["1"]


def test_documents_are_located_by_id_in_whatever_month_they_are(any_database: str) -> None:
    billing = TENANTS["globex"][1]
    fill(any_database, "globex", billing)
    located = source(any_database, GLOBEX)
    wanted = {bill.id: bill.issued_on for bill in billing.invoices}
    assert located.locate("invoices", [*wanted, "no such bill"]) == wanted
    assert located.locate("invoices", []) == {}
    located.close()
