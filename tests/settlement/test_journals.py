"""Journals and ledger lines as they land, held against the record service and the ledger as another client reads them."""

from __future__ import annotations

from collections import defaultdict
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from settlement_tools import NOW, Account, Meddle, next_month

from netsuite_assets.extract.journals import extract_gl_lines, extract_journals
from resources.netsuite.client import NetSuite
from resources.netsuite.errors import Incomplete, PermissionDenied
from resources.warehouse import IncompleteSlice, TenantWarehouse

Rows = list[dict[str, Any]]


def extract(
    account: Account,
    period: str,
    *,
    meddle: Meddle | None = None,
    blind: bool = False,
) -> tuple[Rows, Rows]:
    """Land a month; gives its journals and their lines."""

    async def customers(held: TenantWarehouse, netsuite: NetSuite) -> None:
        await account.land_customers(netsuite)

    async def work(held: TenantWarehouse, netsuite: NetSuite) -> None:
        await extract_journals(held, netsuite, None, period, NOW)

    account.extract(customers)
    account.extract(work, meddle=meddle, blind=blind)
    return account.landed("netsuite.journals", period), account.landed("netsuite.journal_lines", period)


def ledger(
    account: Account,
    period: str,
    *,
    meddle: Meddle | None = None,
    blind: bool = False,
) -> Rows:
    """Land a month's ledger lines."""

    async def work(held: TenantWarehouse, netsuite: NetSuite) -> None:
        await extract_gl_lines(held, netsuite, period, NOW)

    account.extract(work, blind=blind, meddle=meddle)
    return account.landed("netsuite.gl_lines", period)


def amount(record: dict[str, Any], name: str) -> Decimal | None:
    return None if record.get(name) is None else Decimal(record[name])


def reference(record: dict[str, Any], name: str) -> str | None:
    return None if record.get(name) is None else str(record[name]["id"])


def signed(row: dict[str, Any]) -> Decimal:
    return Decimal(row.get("debit") or 0) - Decimal(row.get("credit") or 0)


def test_journals_land_as_the_record_service_has_them(account: Account, month: str) -> None:
    m = account.masters
    buyer = account.customer()
    plain = account.journal(
        f"{month}-30", (m.unbilled, "debit", "1320.00"), (m.income, "credit", "1320.00"),
        memo="Usage accrual", reversalDate=f"{next_month(month)}-01",
    )  # fmt: skip
    split = account.journal(
        f"{month}-28", (m.deferred, "debit", "10.10"), (m.deferred, "debit", "0.01"), (m.income, "credit", "10.11"),
    )  # fmt: skip
    yen = account.journal(
        f"{month}-15", (m.unbilled, "debit", "120001"), (m.income, "credit", "120001"), currency={"id": "9"}
    )
    pending = account.journal(
        f"{month}-16", (m.unbilled, "debit", "5.00"), (m.income, "credit", "5.00"), approved=False
    )
    owed = account.journal(f"{month}-17", (m.deferred, "credit", "7.00"), (m.bank, "debit", "7.00"))
    line = account.get(f"journalEntry/{owed}")["line"]["items"][0]["line"]
    segments = {"department": {"id": m.department}, "class": {"id": m.klass}, "entity": {"id": buyer}}
    change = {"line": {"items": [{"line": line, "memo": "For the customer", **segments}]}}
    account.write("PATCH", f"journalEntry/{owed}", change)

    journals, lines = extract(account, month)
    assert {row["internal_id"] for row in journals} == {plain, split, yen, pending, owed}
    for row in journals:
        record = account.get(f"journalEntry/{row['internal_id']}")
        shown = record["line"]["items"]
        assert row == row | {
            "period": month,
            "external_id": record["externalId"],
            "number": record["tranId"],
            "name": None,
            "status": record["status"]["id"],
            "currency": "JPY" if row["internal_id"] == yen else account.base_currency,
            "exchange_rate": Decimal(record["exchangeRate"]),
            "total": sum(amount(one, "debit") or 0 for one in shown),
            "remaining": None,
            "memo": record.get("memo"),
            "is_reversal": False,
            "reversal_id": reference(record, "reversalEntry"),
            "reversal_date": date.fromisoformat(record["reversalDate"]) if "reversalDate" in record else None,
            "dated_in": month,
            "posting_period_id": record["postingPeriod"]["id"],
            "posting_period": record["postingPeriod"]["refName"],
            "subsidiary": m.subsidiary,
            "is_revenue_recognition": False,
        }
        own = sorted(
            (one for one in lines if one["internal_id"] == row["internal_id"]), key=lambda one: one["line_no"]
        )
        for one, other in zip(own, shown, strict=True):
            assert one == one | {
                "account_id": other["account"]["id"],
                "debit": amount(other, "debit"),
                "credit": amount(other, "credit"),
                "memo": other.get("memo"),
                "entity_id": reference(other, "entity"),
                "subsidiary": m.subsidiary,
                "department": reference(other, "department"),
                "class": reference(other, "class"),
                "location": None,
                "is_revrec": False,
            }
    (named,) = (one for one in lines if one["entity_id"] is not None)
    assert named["entity_name"] == account.get(f"customer/{buyer}")["companyName"]
    numbers = {row["id"]: row["acctnumber"] for row in account.rows("SELECT id, acctnumber FROM account")}
    assert all(one["account_number"] == numbers[one["account_id"]] for one in lines)
    assert all(one["account_name"] for one in lines)
    assert {row["internal_id"] for row in journals if row["reversal_id"]} == {plain}
    assert {row["status"] for row in journals if row["internal_id"] == pending} == {"A"}


def test_a_reversal_is_a_journal_of_its_own_month(account: Account, month: str) -> None:
    m, after = account.masters, next_month(month)
    first = account.journal(
        f"{month}-28", (m.unbilled, "debit", "9.00"), (m.income, "credit", "9.00"), reversalDate=f"{after}-01"
    )
    (original,), _ = extract(account, month)
    (reversal,), lines = extract(account, after)
    assert (original["internal_id"], original["reversal_id"]) == (first, reversal["internal_id"])
    assert (reversal["reversal_id"], reversal["is_reversal"], original["is_reversal"]) == (first, True, False)
    assert (reversal["total"], reversal["dated_in"]) == (Decimal(9), after)
    assert {one["account_id"]: signed(one) for one in lines} == {
        m.unbilled: Decimal(-9),
        m.income: Decimal(9),
    }
    # It goes with the journal that it reverses.
    account.write("DELETE", f"journalEntry/{first}")
    assert extract(account, month) == ([], [])
    assert extract(account, after) == ([], [])


def test_journals_and_lines_are_of_one_moment(account: Account, month: str) -> None:
    m = account.masters
    entry = account.journal(f"{month}-28", (m.unbilled, "debit", "9.00"), (m.income, "credit", "9.00"))
    happened = []

    def meddle(number: int, query: str) -> None:
        if "transactionline" in query and "tl.uniquekey" in query and not happened:
            happened.append(number)
            lines = [
                {"line": one["line"], side: 11.0}
                for one in account.get(f"journalEntry/{entry}")["line"]["items"]
                for side in ("debit", "credit")
                if side in one
            ]
            body = {"memo": "Changed meanwhile", "line": {"items": lines}}
            account.write("PATCH", f"journalEntry/{entry}", body)

    (row,), lines = extract(account, month, meddle=meddle)
    assert happened
    assert row["total"] == 11
    assert {signed(one) for one in lines} == {Decimal(11), Decimal(-11)}
    # What changed twice within a second is seen by the next run at the latest.
    (row,), _ = extract(account, month)
    assert (row["memo"], row["total"]) == ("Changed meanwhile", 11)


def test_journals_that_do_not_come_to_rest_leave_what_was_held(account: Account, month: str) -> None:
    m = account.masters
    entry = account.journal(f"{month}-28", (m.unbilled, "debit", "9.00"), (m.income, "credit", "9.00"))
    before = extract(account, month)

    def meddle(number: int, query: str) -> None:
        if "transaction t" in query:
            account.journal(f"{month}-27", (m.unbilled, "debit", "1.00"), (m.income, "credit", "1.00"))

    with pytest.raises(
        (Incomplete, IncompleteSlice), match=r"Nothing of it is used|None of these rows is used"
    ):
        extract(account, month, meddle=meddle)
    assert (
        account.landed("netsuite.journals", month),
        account.landed("netsuite.journal_lines", month),
    ) == before
    assert [row["internal_id"] for row in before[0]] == [entry]


def test_a_role_that_may_not_see_them_is_told_which_permission_it_lacks(account: Account, month: str) -> None:
    # Without the view of accounts no line can say where it is booked.
    with pytest.raises(PermissionDenied, match="'Accounts'"):
        extract(account, month, blind=True)
    with pytest.raises(PermissionDenied, match="'Accounts'"):
        ledger(account, month, blind=True)
    assert account.held.sql("SELECT * FROM meta.slices WHERE period = ?", [month]) == []


def test_journals_that_the_role_no_longer_sees_are_refused_and_what_was_held_stays(
    accounts: dict[str, Account], month: str
) -> None:
    account = accounts["usual"]
    m = account.masters
    account.journal(f"{month}-28", (m.unbilled, "debit", "9.00"), (m.income, "credit", "9.00"))
    before = extract(account, month)
    account.admin("POST", "faults", [{"kind": "rows_hidden", "share": 1, "path": "/suiteql"}])
    try:
        with pytest.raises(Incomplete, match=r"1 journal entry, together USD 9\.00"):
            extract(account, month)
    finally:
        account.admin("DELETE", "faults")
    assert (
        account.landed("netsuite.journals", month),
        account.landed("netsuite.journal_lines", month),
    ) == before


# The ledger


def test_ledger_lines_tie_to_the_documents(account: Account, month: str) -> None:
    m = account.masters
    buyer, abroad, far = account.customer(), account.customer(m.foreign), account.customer("9")
    documents = {}
    for customer, total, part in (
        (buyer, "120.55", "100.00"),
        (abroad, "10.03", "3.01"),
        (far, "99999", "1"),
    ):
        invoice = account.invoice(customer, f"{month}-05", total)
        documents[invoice] = ("invoice", 1)
        documents[account.payment(customer, f"{month}-06", part, **{f"i{invoice}": part})] = (
            "customerPayment",
            -1,
        )
    documents[account.credit_memo(buyer, f"{month}-07", "20.55", **{f"i{invoice}": "0"})] = ("creditMemo", -1)

    rows = ledger(account, month)
    receivables, income = defaultdict(Decimal), defaultdict(Decimal)
    for row in rows:
        side = {"AcctRec": receivables, "Income": income}[row["account_type"]]
        side[row["transaction_id"]] += row["amount"]
    assert receivables.keys() == documents.keys()
    for ref, (record, sign) in documents.items():
        found = account.get(f"{record}/{ref}")
        booked = (Decimal(found["total"]) * Decimal(found["exchangeRate"])).quantize(Decimal("0.01"))
        assert receivables[ref] == sign * booked
        # A payment moves receivables against the bank, which is not among these accounts; all else balances here.
        assert income.get(ref, 0) == (0 if record == "customerPayment" else -receivables[ref])
    codes = {"invoice": "CustInvc", "creditMemo": "CustCred", "customerPayment": "CustPymt"}
    for row in rows:
        record = documents[row["transaction_id"]][0]
        found = account.get(f"{record}/{row['transaction_id']}")
        assert row == row | {
            "type": codes[record],
            "number": found["tranId"],
            "posted_on": date.fromisoformat(found["tranDate"]),
            "posting_period_id": found["postingPeriod"]["id"],
            "posting_period": found["postingPeriod"]["refName"],
            "subsidiary": m.subsidiary,
        }


def test_ledger_lines_are_those_of_the_primary_book_for_these_accounts(account: Account, month: str) -> None:
    m = account.masters
    entry = account.journal(
        f"{month}-20", (m.unbilled, "debit", "8.00"), (m.deferred, "credit", "3.00"), (m.income, "credit", "4.00"),
        (m.bank, "credit", "1.00"),
    )  # fmt: skip
    account.journal(
        f"{month}-21", (m.unbilled, "debit", "5.00"), (m.income, "credit", "5.00"), approved=False
    )
    rows = ledger(account, month)
    whole = account.rows(
        f"SELECT tal.account, tal.debit, tal.credit FROM transactionaccountingline tal WHERE tal.transaction = {entry}"
    )
    assert sum(map(signed, whole)) == 0
    assert {row["transaction_id"] for row in rows} == {entry}
    assert {(row["account_id"], row["amount"]) for row in rows} == {
        (row["account"], signed(row)) for row in whole if row["account"] != m.bank
    }
    assert {row["account_type"] for row in rows} == {"UnbilledRec", "DeferRevenue", "Income"}
    assert all((row["debit"] is None) != (row["credit"] is None) for row in rows)
    assert all(row["account_number"] and row["account_name"] and row["posting_period"] for row in rows)


def test_an_account_of_one_book_needs_no_list_of_books(account: Account, month: str) -> None:
    invoice = account.invoice(account.customer(), f"{month}-05", "1.00")

    def meddle(number: int, query: str) -> str | None:
        return query.replace("accountingbook b", "nosuchtable b") if "accountingbook b" in query else None

    assert {row["transaction_id"] for row in ledger(account, month, meddle=meddle)} == {invoice}


def test_a_line_belongs_to_the_month_of_its_posting_period(accounts: dict[str, Account], month: str) -> None:
    account = accounts["turned"]  # Its preference allows a date outside of the period.
    after = next_month(month)
    (period,) = account.rows(
        f"SELECT id FROM accountingperiod WHERE startdate = TO_DATE('{after}-01', 'YYYY-MM-DD') AND isquarter = 'F'"
        " AND isyear = 'F'"
    )
    here = account.invoice(account.customer(), f"{month}-05", "1.00")
    there = account.invoice(account.customer(), f"{month}-05", "2.00", postingPeriod={"id": period["id"]})
    assert {row["transaction_id"] for row in ledger(account, month)} == {here}
    rows = ledger(account, after)
    assert {(row["transaction_id"], row["posted_on"].strftime("%Y-%m")) for row in rows} == {(there, month)}
    assert {row["posting_period_id"] for row in rows} == {period["id"]}


def test_a_document_that_goes_or_moves_takes_its_ledger_lines_along(account: Account, month: str) -> None:
    buyer = account.customer()
    gone, moved, stays = (account.invoice(buyer, f"{month}-{day}", "1.00") for day in ("05", "06", "07"))
    assert {row["transaction_id"] for row in ledger(account, month)} == {gone, moved, stays}
    account.write("DELETE", f"invoice/{gone}")
    account.write("PATCH", f"invoice/{moved}", {"tranDate": f"{next_month(month)}-06"})
    assert {row["transaction_id"] for row in ledger(account, month)} == {stays}
    assert {row["transaction_id"] for row in ledger(account, next_month(month))} == {moved}


def test_ledger_lines_that_change_while_they_are_read_are_read_again(account: Account, month: str) -> None:
    buyer = account.customer()
    gone, stays = account.invoice(buyer, f"{month}-05", "1.00"), account.invoice(buyer, f"{month}-06", "2.00")
    happened = []

    def meddle(number: int, query: str) -> None:
        if query.startswith("SELECT tal.transaction") and not happened:
            happened.append(number)
            account.write("DELETE", f"invoice/{gone}")

    rows = ledger(account, month, meddle=meddle)
    assert happened
    assert {row["transaction_id"] for row in rows} == {stays}


def test_thousands_of_ledger_lines_are_read_whole(accounts: dict[str, Account], month: str) -> None:
    account = accounts["usual"]
    order = {"customers": 5, "invoices": 1500, "lines": 2, "payments": 400, "journals": 300, "seed": 8}
    account.admin("POST", "fill", order | {"first": f"{month}-01", "last": f"{month}-28"})
    rows = ledger(account, month)
    (found,) = account.rows(
        "SELECT COUNT(*) AS n, SUM(tal.debit) AS debit, SUM(tal.credit) AS credit FROM transactionaccountingline tal"
        " JOIN transaction t ON t.id = tal.transaction JOIN account a ON a.id = tal.account"
        f" WHERE TO_CHAR(t.trandate, 'YYYY-MM') = '{month}' AND tal.posting = 'T'"
        " AND a.accttype IN ('AcctRec', 'DeferRevenue', 'UnbilledRec', 'Income', 'OthIncome')"
    )
    assert len(rows) == int(found["n"]) > 4000
    for side in ("debit", "credit"):
        assert sum(row[side] or 0 for row in rows) == Decimal(found[side])
    journals, lines = extract(account, month)
    assert (len(journals), len(lines)) == (300, 600)
    assert sum(map(signed, lines)) == 0
