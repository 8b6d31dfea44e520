"""NetSuite's own lines of tax land apart from the lines that the mapping makes, and are proven with them."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from faulty_account import ITEM, NOW, FaultyAccount, faulty_account

from netsuite_assets.extract.netsuite import extract_documents
from resources.netsuite.client import NetSuite
from resources.warehouse import TenantWarehouse, Warehouse

if TYPE_CHECKING:
    from pathlib import Path

    from month import TenantRules

VAT = {"taxDetailsReference": "L1", "taxType": {"id": "2"}, "taxCode": {"id": "21"}}


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory, acme: TenantRules) -> Iterator[FaultyAccount]:
    with faulty_account(tmp_path_factory.mktemp("taxes"), acme.mapping) as running:
        yield running


def taxes(*amounts: str) -> dict[str, Any]:
    rows = [VAT | {"taxAmount": float(amount), "taxRate": 19} for amount in amounts]
    return {"taxDetailsOverride": True, "taxDetails": {"items": rows}}


def land(account: FaultyAccount, held: TenantWarehouse) -> dict[str, tuple[int, int]]:
    """Read October's invoices and credit memos; gives counted and landed rows by table."""

    async def read(netsuite: NetSuite) -> dict[str, tuple[int, int]]:
        found = {}
        for record in ("invoice", "creditMemo"):
            rules = account.mapping.records[record]
            landed = await extract_documents(held, netsuite, rules, "2026-10", NOW)
            found |= {name: (one.expected_rows, one.rows) for name, one in landed.items()}
        return found

    found: dict[str, tuple[int, int]] = account.run(read)
    return found


def test_taxes_land_beside_the_lines_and_follow_them(account: FaultyAccount, tmp_path: Path) -> None:
    account.fill(customers=1, invoices=0)
    (buyer,) = account.records("customer")
    items = {"items": [{"item": {"id": ITEM}, "amount": 100.0, "taxDetailsReference": "L1"}]}
    day = "2026-10-15"
    bill = account.document(buyer["id"], day, "100.00", item=items, **taxes("19.00", "0.50"))
    account.document(buyer["id"], day, "40.00")
    memo = account.document(buyer["id"], day, "100.00", "creditMemo", item=items, **taxes("19.00"))
    with Warehouse(tmp_path).open("acme") as held:
        account.land_first(held)
        counts = land(account, held)
        assert counts["invoice_lines"] == (2, 2)
        assert counts["invoice_taxes"] == (2, 2)
        assert counts["credit_memo_taxes"] == (1, 1)
        rows = "SELECT internal_id, percent, amount FROM netsuite.{}_taxes WHERE period = '2026-10' ORDER BY line_no"
        assert held.sql(rows.format("invoice")) == [
            (bill, Decimal(19), Decimal("19.00")),
            (bill, Decimal(19), Decimal("0.50")),
        ]
        # What is given back is positive, as the credit memo's total is.
        assert held.sql(rows.format("credit_memo")) == [(memo, Decimal(19), Decimal("19.00"))]
        account.assert_landed(held, "2026-10")
        account.write("PATCH", f"invoice/{bill}?replace=taxDetails", taxes("20.00"))
        land(account, held)
        assert [row[2] for row in held.sql(rows.format("invoice"))] == [Decimal("20.00")]
        account.write("PATCH", f"invoice/{bill}", {"taxDetailsOverride": False})
        assert land(account, held)["invoice_taxes"] == (0, 0)
        account.assert_landed(held, "2026-10")
