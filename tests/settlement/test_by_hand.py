"""What people and NetSuite's own processes do, and no client can: the sandbox's state is changed while it is down."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from settlement_tools import NOW, Account, account_of, running_sandbox, shipped_profile

from netsuite_assets.extract.journals import extract_gl_lines, extract_journals
from netsuite_assets.extract.payments import extract_payments
from resources.netsuite.client import NetSuite
from resources.warehouse import TenantWarehouse, Warehouse

MONTH = "2026-10"
LATER = "2026-12-01 10:00:00"


def land(account: Account) -> None:
    """Land the month's payments, journals and ledger lines."""

    async def work(held: TenantWarehouse, netsuite: NetSuite) -> None:
        await account.land_customers(netsuite)
        await extract_payments(held, netsuite, None, MONTH, NOW)
        await extract_journals(held, netsuite, None, MONTH, NOW)
        await extract_gl_lines(held, netsuite, MONTH, NOW)

    account.extract(work)


def test_voids_revenue_recognition_and_other_books(tmp_path: Path, warehouse: Warehouse) -> None:
    profile = shipped_profile("oneworld")
    state = tmp_path / "state.db"
    masters = {"subsidiary": "1", "item": "417", "unbilled": "411", "deferred": "610", "income": "598"}
    with warehouse.open("acme") as held:
        with running_sandbox(tmp_path, {"acme": profile}, "--state", str(state)) as root:
            account = account_of(root, profile, held, **masters)
            buyer = account.customer()
            voided, flagged, ended, kept = (account.payment(buyer, f"{MONTH}-06", "10.00") for _ in range(4))
            recognised, booked = (
                account.journal(f"{MONTH}-30", ("610", "debit", "5.00"), ("598", "credit", "5.00"))
                for _ in range(2)
            )
            land(account)
            assert {row["is_voided"] for row in account.landed("netsuite.payments", MONTH)} == {False}
            ledger = account.landed("netsuite.gl_lines", MONTH)
        with sqlite3.connect(tmp_path / "state-1234567-sb1.db") as books:
            changed = f"lastmodifieddate = '{LATER}'"
            for payment, change in (
                (voided, "voided = 'T'"),
                (flagged, "void = 'T'"),
                (ended, "status = 'V'"),
            ):
                books.execute(f"UPDATE q_transaction SET {change}, {changed} WHERE id = ?", (payment,))
            books.execute(f"UPDATE q_transaction SET {changed} WHERE id = ?", (recognised,))
            books.execute(
                "UPDATE q_transactionline SET isrevrectransaction = 'T' WHERE \"transaction\" = ? AND id = 2",
                (recognised,),
            )
            # Another book takes the same lines at its own amounts.
            books.execute("CREATE TEMP TABLE other AS SELECT * FROM q_transactionaccountingline")
            books.execute("UPDATE other SET accountingbook = 2, debit = debit * 2, credit = credit * 2")
            books.execute("INSERT INTO q_transactionaccountingline SELECT * FROM other")
        with running_sandbox(tmp_path, {"acme": profile}, "--state", str(state)) as root:
            account = account_of(root, profile, held, **masters)
            land(account)
            assert {row["internal_id"]: row["is_voided"] for row in account.landed("netsuite.payments", MONTH)} == {
                voided: True, flagged: True, ended: True, kept: False,
            }  # fmt: skip
            journals = account.landed("netsuite.journals", MONTH)
            assert {row["internal_id"]: row["is_revenue_recognition"] for row in journals} == {
                recognised: True, booked: False,
            }  # fmt: skip
            lines = account.landed("netsuite.journal_lines", MONTH)
            assert [row["internal_id"] for row in lines if row["is_revrec"]] == [recognised]
            amounts = [(row["transaction_id"], row["line_no"], row["amount"]) for row in ledger]
            again = account.landed("netsuite.gl_lines", MONTH)
            assert [(row["transaction_id"], row["line_no"], row["amount"]) for row in again] == amounts
            (there,) = account.rows(
                "SELECT COUNT(*) AS n FROM transactionaccountingline WHERE accountingbook = 2"
            )
            assert int(there["n"]) > 0
