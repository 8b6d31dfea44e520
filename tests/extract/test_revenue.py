"""Revenue elements, plans and planned revenue of a month's invoices."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

from trail_tools import NOW, PERIOD, Office, rows

from netsuite_assets.extract.revenue import PARTS, extract_revenue
from netsuite_assets.extract.visibility import not_visible
from resources.warehouse import Slice, TenantWarehouse

TABLES = [f"netsuite.{part.table}" for part in PARTS]


def extract(office: Office, held: TenantWarehouse, who: str = "robot") -> dict[str, Slice]:
    return office.use(lambda netsuite: extract_revenue(held, netsuite, PERIOD, NOW), who)


def test_elements_plans_and_what_is_planned_add_up(office: Office, held: TenantWarehouse) -> None:
    buyer = office.customer()
    bill = office.invoice(buyer, "100.01", "2026-10-15")
    office.invoice(buyer, "60.00", "2026-10-31")
    office.invoice(buyer, "7.00", "2026-09-30")
    office.admin("POST", "revenue", {"invoices": 10})
    office.documents(held)
    landed = extract(office, held)
    assert {table: part.rows for table, part in landed.items()} == dict(zip(TABLES, (2, 2, 6), strict=True))
    first, _ = rows(held, "netsuite.revenue_elements", "internal_id::BIGINT")
    assert (first["sales_amount"], first["element_date"]) == (Decimal("100.0100"), date(2026, 10, 15))
    assert (first["invoice_id"], first["customer_id"]) == (bill, buyer)
    assert first["currency"] == ("USD" if office.subsidiary else "GBP")
    arranged = office.use(
        lambda netsuite: netsuite.suiteql_rows(
            f"SELECT recordtype FROM transaction WHERE id = {first['arrangement_id']}"
        )
    )
    assert arranged == [{"recordtype": "revenuearrangement"}]
    plans = held.sql(
        """SELECT e.sales_amount, p.amount, sum(r.amount), list(r.planned_period ORDER BY r.planned_period_id::BIGINT),
            bool_or(r.is_recognized)
        FROM netsuite.revenue_elements e JOIN netsuite.revenue_plans p ON p.element_id = e.internal_id
        JOIN netsuite.revenue_planned r ON r.plan_id = p.internal_id GROUP BY 1, 2 ORDER BY 1"""
    )
    months = ["Oct 2026", "Nov 2026", "Dec 2026"]
    assert plans == [
        (amount, amount, amount, months, False) for amount in (Decimal("60.0000"), Decimal("100.0100"))
    ]


def test_nothing_of_another_months_arrangements_and_few_requests(
    office: Office, held: TenantWarehouse
) -> None:
    buyer = office.customer()
    office.invoice(buyer, day="2026-09-30")
    office.admin("POST", "revenue", {"invoices": 10})
    office.documents(held)
    office.queries.clear()
    landed = extract(office, held)
    assert [part.rows for part in landed.values()] == [0, 0, 0]
    assert len(office.queries) <= 4


def test_where_the_role_sees_none_the_tables_are_empty_with_the_reason(
    office: Office, held: TenantWarehouse
) -> None:
    office.invoice(office.customer())
    office.admin("POST", "revenue", {"invoices": 10})
    office.documents(held)
    extract(office, held)
    office.queries.clear()
    assert extract(office, held, "clerk") == {}
    # One refusal is enough: plans are found through their elements.
    assert len(office.queries) == 1
    hidden = not_visible(held, TABLES)
    assert [row[0] for row in hidden] == sorted(TABLES)
    assert {row[1] for row in hidden} == {"the role does not see it"}
    assert all(held.value(f"SELECT count(*) FROM {table}") == 0 for table in TABLES)
    assert all(held.slice(table, PERIOD) is None for table in TABLES)
