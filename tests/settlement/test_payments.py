"""Payments and applications as they land, held against the record service as another client reads it."""

from __future__ import annotations

import random
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from settlement_tools import NOW, Account, Meddle, next_month

from netsuite_assets.extract.payments import extract_payments
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
    customers_too: bool = True,
) -> tuple[Rows, Rows]:
    """Land a month; gives its payments and applications."""

    async def customers(held: TenantWarehouse, netsuite: NetSuite) -> None:
        await account.land_customers(netsuite)

    async def work(held: TenantWarehouse, netsuite: NetSuite) -> None:
        await extract_payments(held, netsuite, None, period, NOW)

    if customers_too:
        account.extract(customers)
    account.extract(work, meddle=meddle, blind=blind)
    return account.landed("netsuite.payments", period), account.landed("netsuite.applications", period)


def applied(account: Account, record: str, ref: str) -> dict[str, Decimal]:
    """What a payment or credit memo settles by its own record: amounts by invoice."""
    lines = account.get(f"{record}/{ref}")["apply"]["items"]
    return {line["doc"]["id"]: Decimal(line["amount"]) for line in lines if line["apply"]}


def pairs(applications: Rows) -> dict[tuple[str, str], Decimal]:
    found = {(row["applying_id"], row["invoice_id"]): row["amount"] for row in applications}
    assert len(found) == len(applications)
    return found


def truth(account: Account, *documents: tuple[str, str]) -> dict[tuple[str, str], Decimal]:
    """What documents (record and id) settle, by their own records."""
    return {
        (ref, invoice): amount
        for record, ref in documents
        for invoice, amount in applied(account, record, ref).items()
    }


def queries(account: Account) -> int:
    """The queries that the sandbox answered so far."""
    entries = account.admin("GET", "requests")["items"]
    return sum("/suiteql" in entry["path"] for entry in entries)


def test_payments_land_as_the_record_service_has_them(account: Account, month: str) -> None:
    buyer = account.customer()
    one = account.invoice(buyer, f"{month}-05", "100.00", "20.55")
    two = account.invoice(buyer, f"{month}-06", "80.00")
    part = account.payment(buyer, f"{month}-07", "60.50", **{f"i{one}": "60.50"})
    both = account.payment(buyer, f"{month}-28", "200.00", **{f"i{one}": "60.05", f"i{two}": "80.00"})
    none = account.payment(buyer, f"{month}-09", "0.01")
    later = account.payment(buyer, f"{next_month(month)}-01", "5.00")
    account.write("PATCH", f"customerPayment/{none}", {"memo": "ACH 99812", "tranId": "P-77"})

    payments, _ = extract(account, month)
    assert [row["internal_id"] for row in payments] == sorted([part, both, none])
    assert later not in {row["internal_id"] for row in payments}
    customer = account.get(f"customer/{buyer}")
    for row in payments:
        record = account.get(f"customerPayment/{row['internal_id']}")
        assert row == row | {
            "period": month,
            "external_id": record["externalId"],
            "number": record["tranId"],
            "customer_id": buyer,
            "customer_external_id": customer["externalId"],
            "name": customer["companyName"],
            "status": record["status"]["id"],
            "total": Decimal(record["total"]),
            "remaining": Decimal(record["unapplied"]),
            "exchange_rate": Decimal(record["exchangeRate"]),
            "dated_in": month,
            "subsidiary": account.masters.subsidiary,
            "memo": record.get("memo"),
            "is_voided": False,
        }
    assert {row["internal_id"]: row["remaining"] for row in payments} == {
        part: Decimal(0), both: Decimal("59.95"), none: Decimal("0.01"),
    }  # fmt: skip


def test_applications_are_one_row_for_two_documents(account: Account, month: str) -> None:
    buyer = account.customer()
    one = account.invoice(buyer, f"{month}-05", "100.00", externalId=f"inv-{month}-1")
    two = account.invoice(buyer, f"{month}-06", "80.00")
    many = account.payment(buyer, f"{month}-07", "90.00", **{f"i{one}": "30.00", f"i{two}": "60.00"})
    more = account.payment(buyer, f"{month}-08", "20.00", **{f"i{one}": "20.00"})
    memo = account.credit_memo(buyer, f"{month}-09", "33.30", **{f"i{one}": "10.30", f"i{two}": "0.01"})
    idle = account.credit_memo(buyer, f"{month}-10", "7.00")

    _, applications = extract(account, month)
    documents = (
        ("customerPayment", many),
        ("customerPayment", more),
        ("creditMemo", memo),
        ("creditMemo", idle),
    )
    assert pairs(applications) == truth(account, *documents)
    assert len(applications) == 5
    for row in applications:
        record = "creditMemo" if row["applying_id"] == memo else "customerPayment"
        applying = account.get(f"{record}/{row['applying_id']}")
        invoice = account.get(f"invoice/{row['invoice_id']}")
        assert row == row | {
            "period": month,
            "applying_record": record,
            "applying_number": applying["tranId"],
            "applying_external_id": applying.get("externalId"),
            "invoice_number": invoice["tranId"],
            "invoice_external_id": f"inv-{month}-1" if row["invoice_id"] == one else None,
            "applied_on": date.fromisoformat(applying["tranDate"]),
        }
        assert row["link_type"]


def test_a_credit_memo_that_a_payment_uses_is_told_apart_from_it(account: Account, month: str) -> None:
    buyer = account.customer()
    invoice = account.invoice(buyer, f"{month}-05", "100.00")
    memo = account.credit_memo(buyer, f"{month}-06", "40.00")
    body = {
        "customer": {"id": buyer},
        "tranDate": f"{month}-07",
        "payment": 60.0,
        "apply": {"items": [{"doc": {"id": invoice}, "apply": True, "amount": 100.0}]},
        "credit": {"items": [{"doc": {"id": memo}, "apply": True, "amount": 40.0}]},
    }
    payment = account.write("POST", "customerPayment", body)
    payments, applications = extract(account, month)
    assert pairs(applications) == {(payment, invoice): Decimal(60), (memo, invoice): Decimal(40)}
    assert [(row["total"], row["remaining"]) for row in payments] == [(Decimal(60), Decimal(0))]


def test_each_currency_keeps_its_own_amounts(account: Account, month: str) -> None:
    found = {}
    for currency, amount, part in (("9", "120000", "119999"), (account.masters.foreign, "10.10", "0.10")):
        buyer = account.customer(currency)
        invoice = account.invoice(buyer, f"{month}-05", amount)
        payment = account.payment(buyer, f"{month}-06", amount, **{f"i{invoice}": part})
        found[payment] = (Decimal(amount), Decimal(amount) - Decimal(part), Decimal(part))
    payments, applications = extract(account, month)
    amounts = pairs(applications)
    assert {
        row["internal_id"]: (
            row["total"],
            row["remaining"],
            sum(v for k, v in amounts.items() if k[0] == row["internal_id"]),
        )
        for row in payments
    } == found
    currencies = {row["internal_id"]: row["currency"] for row in payments}
    assert currencies == {row["applying_id"]: row["currency"] for row in applications}
    assert sorted(currencies.values()) == sorted(
        ["JPY", {"2": {"USD", "EUR"} & {row["symbol"] for row in account.rows("SELECT symbol FROM currency WHERE id = 2")}}["2"].pop()]
    )  # fmt: skip


def test_an_invoice_that_is_paid_later_is_settled_in_both_months(account: Account, month: str) -> None:
    buyer, after = account.customer(), next_month(month)
    invoice = account.invoice(buyer, f"{month}-20", "100.00")
    now = account.payment(buyer, f"{month}-21", "10.00", **{f"i{invoice}": "10.00"})
    later = account.payment(buyer, f"{after}-03", "30.00", **{f"i{invoice}": "30.00"})
    memo = account.credit_memo(buyer, f"{after}-04", "5.00", **{f"i{invoice}": "5.00"})
    amounts = {(now, invoice): Decimal(10), (later, invoice): Decimal(30), (memo, invoice): Decimal(5)}

    _, applications = extract(account, month)
    assert pairs(applications) == amounts
    payments, applications = extract(account, after)
    assert [row["internal_id"] for row in payments] == [later]
    assert pairs(applications) == {key: amount for key, amount in amounts.items() if key[0] != now}
    assert sum(amounts.values()) == Decimal(account.get(f"invoice/{invoice}")["amountPaid"])
    # The first month still holds its own.
    assert pairs(account.landed("netsuite.applications", month)) == amounts


def test_a_deleted_payment_is_gone_with_what_it_settled(account: Account, month: str) -> None:
    buyer = account.customer()
    invoice = account.invoice(buyer, f"{month}-05", "100.00")
    kept = account.payment(buyer, f"{month}-06", "40.00", **{f"i{invoice}": "40.00"})
    gone = account.payment(buyer, f"{month}-07", "60.00", **{f"i{invoice}": "60.00"})
    _, applications = extract(account, month)
    assert len(applications) == 2
    account.write("DELETE", f"customerPayment/{gone}")
    payments, applications = extract(account, month)
    assert [row["internal_id"] for row in payments] == [kept]
    assert pairs(applications) == {(kept, invoice): Decimal(40)}
    account.write("DELETE", f"customerPayment/{kept}")
    assert extract(account, month) == ([], [])


def test_an_application_that_moves_is_noticed_though_nothing_adds_up_otherwise(
    account: Account, month: str
) -> None:
    buyer = account.customer()
    one = account.invoice(buyer, f"{month}-05", "50.00")
    two = account.invoice(buyer, f"{month}-05", "50.00")
    payment = account.payment(buyer, f"{month}-06", "50.00", **{f"i{one}": "50.00"})
    assert pairs(extract(account, month)[1]) == {(payment, one): Decimal(50)}
    account.reapply("customerPayment", payment, **{f"i{one}": "0", f"i{two}": "50.00"})
    assert pairs(extract(account, month)[1]) == {(payment, two): Decimal(50)}


@pytest.fixture
def settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if all changes were older than what could be confused with another change of the same second."""
    monkeypatch.setattr("resources.netsuite.sets.SETTLED_AFTER", 0)


@pytest.mark.usefixtures("settled")
def test_what_has_not_changed_is_asked_about_once_and_not_read(account: Account, month: str) -> None:
    buyer = account.customer()
    invoice = account.invoice(buyer, f"{month}-05", "50.00")
    account.payment(buyer, f"{month}-06", "50.00", **{f"i{invoice}": "20.00"})
    account.payment(buyer, f"{next_month(month)}-06", "10.00", **{f"i{invoice}": "10.00"})
    first = extract(account, month)
    asked: list[str] = []
    before = queries(account)
    second = extract(account, month, meddle=lambda _, query: asked.append(query), customers_too=False)
    assert second == first
    # The three sets' censuses, and before them whether the account shows subsidiaries.
    assert [query.split(" AS ")[0] for query in asked[-3:]] == ["SELECT COUNT(*)"] * 3
    assert queries(account) - before == len(asked) == 4
    proofs = account.held.sql(
        "SELECT table_name, scope, rows, rows_read, unchanged FROM meta.proofs"
        " WHERE scope LIKE ? ORDER BY ALL",
        [f"{month}%"],
    )
    assert proofs == [
        ("applications", month, 1, 0, True),
        ("applications", f"{month} elsewhere 1", 1, 0, True),
        ("payments", month, 1, 0, True),
    ]


def test_payments_and_applications_are_of_one_moment(account: Account, month: str) -> None:
    """Between the payments and their applications someone takes one back and applies another."""
    buyer = account.customer()
    invoice = account.invoice(buyer, f"{month}-05", "500.00")
    first = account.payment(buyer, f"{month}-06", "50.00", **{f"i{invoice}": "50.00"})
    second = account.payment(buyer, f"{month}-07", "70.00")
    extract(account, month)
    account.write("PATCH", f"customerPayment/{second}", {"memo": "so that the payments are read"})
    happened = []

    def meddle(number: int, query: str) -> None:
        if "NextTransactionLineLink" in query and not happened:
            happened.append(number)
            account.reapply("customerPayment", first, **{f"i{invoice}": "0"})
            account.reapply("customerPayment", second, **{f"i{invoice}": "45.00"})

    payments, applications = extract(account, month, meddle=meddle)
    assert happened
    assert pairs(applications) == {(second, invoice): Decimal(45)}
    assert {row["internal_id"]: row["remaining"] for row in payments} == {
        first: Decimal(50), second: Decimal(25),
    }  # fmt: skip


def test_rows_that_change_while_they_are_read_are_read_again(account: Account, month: str) -> None:
    """Someone else deletes the month's credit memos between the count and the rows."""
    buyer = account.customer()
    invoice = account.invoice(buyer, f"{month}-05", "500.00")
    payment = account.payment(buyer, f"{month}-06", "50.00", **{f"i{invoice}": "50.00"})
    for day in range(10, 20):
        account.credit_memo(buyer, f"{month}-{day}", "1.00", **{f"i{invoice}": "1.00"})
    body = "AS applying_id, .*NextTransactionLineLink"
    fault = {"kind": "rows_changed", "record": "creditMemo", "change": "delete", "rows": 1000, "body": body}
    account.admin("POST", "faults", [fault])
    _, applications = extract(account, month)
    assert account.admin("GET", "faults")["items"] == []
    assert pairs(applications) == {(payment, invoice): Decimal(50)}
    assert Decimal(account.get(f"invoice/{invoice}")["amountPaid"]) == 50


def test_a_set_that_does_not_come_to_rest_leaves_what_was_held(account: Account, month: str) -> None:
    buyer = account.customer()
    invoice = account.invoice(buyer, f"{month}-05", "500.00")
    payment = account.payment(buyer, f"{month}-06", "50.00", **{f"i{invoice}": "50.00"})
    before = extract(account, month)
    kept = (
        f"SELECT * FROM meta.slices WHERE period = '{month}' ORDER BY ALL",
        f"SELECT * FROM meta.proofs WHERE scope LIKE '{month}%' ORDER BY ALL",
    )
    records = [account.held.sql(query) for query in kept]

    def meddle(number: int, query: str) -> None:
        if "transaction t" in query:
            account.reapply("customerPayment", payment, **{f"i{invoice}": f"{number + 1}.00"})

    with pytest.raises(
        (Incomplete, IncompleteSlice), match=r"Nothing of it is used|None of these rows is used"
    ):
        extract(account, month, meddle=meddle)
    assert (
        account.landed("netsuite.payments", month),
        account.landed("netsuite.applications", month),
    ) == before
    assert [account.held.sql(query) for query in kept] == records


def test_a_role_that_sees_no_payments_is_told_which_permission_it_lacks(account: Account, month: str) -> None:
    with pytest.raises(PermissionDenied, match="'Customer Payment'"):
        extract(account, month, blind=True)
    assert account.held.sql("SELECT * FROM meta.slices WHERE period = ?", [month]) == []


def test_payments_that_the_role_no_longer_sees_are_refused_and_what_was_held_stays(
    accounts: dict[str, Account], month: str
) -> None:
    account = accounts["usual"]
    buyer = account.customer()
    deleted, hidden = (account.payment(buyer, f"{month}-06", "50.00") for _ in range(2))
    before = extract(account, month)
    number = account.get(f"customerPayment/{hidden}")["tranId"]
    account.write("DELETE", f"customerPayment/{deleted}")
    account.admin("POST", "faults", [{"kind": "rows_hidden", "share": 1, "path": "/suiteql"}])
    try:
        with pytest.raises(Incomplete, match=rf"1 payment, .*{number}.*Subsidiary Restrictions"):
            extract(account, month)
    finally:
        account.admin("DELETE", "faults")
    assert (
        account.landed("netsuite.payments", month),
        account.landed("netsuite.applications", month),
    ) == before
    payments, _ = extract(account, month)
    assert [row["internal_id"] for row in payments] == [hidden]
    gone = account.held.sql("SELECT internal_id, explanation FROM netsuite.gone WHERE period = ?", [month])
    assert gone == [(deleted, "deleted")]


def test_a_month_without_payments_is_proven_to_be_empty(account: Account, month: str) -> None:
    assert extract(account, month) == ([], [])
    proofs = account.held.sql("SELECT table_name, rows FROM meta.slices WHERE period = ? ORDER BY 1", [month])
    assert proofs == [("netsuite.applications", 0), ("netsuite.payments", 0)]


@pytest.mark.usefixtures("settled")
def test_thousands_of_payments_are_read_whole(accounts: dict[str, Account], month: str) -> None:
    account = accounts["turned"]
    order = {"customers": 5, "invoices": 1500, "lines": 1, "payments": 1300, "credit_memos": 100, "seed": 7}
    account.admin("POST", "fill", order | {"first": f"{month}-01", "last": f"{month}-28"})
    payments, applications = extract(account, month)
    assert (len(payments), len(applications)) == (1300, 1400)
    in_month = (
        f"t.trandate BETWEEN TO_DATE('{month}-01', 'YYYY-MM-DD') AND TO_DATE('{month}-28', 'YYYY-MM-DD')"
    )
    rows = account.rows(
        "SELECT l.nextdoc, l.previousdoc, l.foreignamount FROM NextTransactionLineLink l"
        f" JOIN transaction t ON t.id = l.nextdoc WHERE {in_month} ORDER BY l.nextdoc, l.previousdoc"
    )
    assert pairs(applications) == {
        (row["nextdoc"], row["previousdoc"]): Decimal(row["foreignamount"]) for row in rows
    }
    # One application of thousands goes: no more is read again than the part it lay in.
    gone = payments[1000]["internal_id"]
    account.write("DELETE", f"customerPayment/{gone}")
    payments, applications = extract(account, month)
    assert gone not in {row["internal_id"] for row in payments} | {row["applying_id"] for row in applications}
    (read,) = account.held.sql("SELECT max(rows_read) FROM meta.proofs WHERE scope = ?", [month])[0]
    assert read < 100


class Bookkeeper:
    """Books payments and credits of a month at random, and takes them back again."""

    def __init__(self, account: Account, month: str, seed: int) -> None:
        self.account, self.month, self.random = account, month, random.Random(seed)
        self.buyer = account.customer()
        months = (month, next_month(month))
        self.invoices = [
            account.invoice(self.buyer, self._day(self.random.choice(months)), "1000.00") for _ in range(4)
        ]
        self.documents: dict[str, str] = {}

    def _day(self, month: str) -> str:
        return f"{month}-{self.random.randint(1, 28):02}"

    def _applied(self) -> dict[str, str]:
        chosen = self.random.sample(self.invoices, self.random.randint(0, 3))
        return {f"i{one}": f"{self.random.randint(1, 900) / 100:.2f}" for one in chosen}

    def step(self) -> None:
        day = self._day(self.random.choice((self.month, next_month(self.month))))
        match self.random.choice(("pay", "pay", "credit", "change", "delete", "move")):
            case "pay":
                self.documents[self.account.payment(self.buyer, day, "30.00", **self._applied())] = (
                    "customerPayment"
                )
            case "credit":
                self.documents[self.account.credit_memo(self.buyer, day, "30.00", **self._applied())] = (
                    "creditMemo"
                )
            case _ if not self.documents:
                return
            case "change":
                ref = self.random.choice(list(self.documents))
                taken = dict.fromkeys((f"i{one}" for one in self.invoices), "0")
                self.account.reapply(self.documents[ref], ref, **taken | self._applied())
            case "delete":
                ref = self.random.choice(list(self.documents))
                self.account.write("DELETE", f"{self.documents.pop(ref)}/{ref}")
            case "move":
                ref = self.random.choice(list(self.documents))
                self.account.write("PATCH", f"{self.documents[ref]}/{ref}", {"tranDate": day})

    def truth(self) -> tuple[dict[str, Decimal], dict[tuple[str, str], Decimal]]:
        """What a month must hold: payments with what remains of them, and applications."""
        dates = {one: self.account.get(f"invoice/{one}")["tranDate"] for one in self.invoices}
        payments, amounts = {}, {}
        for ref, record in self.documents.items():
            found = self.account.get(f"{record}/{ref}")
            is_here = found["tranDate"].startswith(self.month)
            if is_here and record == "customerPayment":
                payments[ref] = Decimal(found["unapplied"])
            for line in found["apply"]["items"]:
                if line["apply"] and (is_here or dates[line["doc"]["id"]].startswith(self.month)):
                    amounts[ref, line["doc"]["id"]] = Decimal(line["amount"])
        return payments, amounts


def keep_books(account: Account, month: str, steps: int, seed: int) -> None:
    books = Bookkeeper(account, month, seed)
    for step in range(steps):
        books.step()
        if step % 3 == 0:
            payments, applications = extract(account, month)
            found = {row["internal_id"]: row["remaining"] for row in payments}, pairs(applications)
            assert found == books.truth(), f"seed {seed}, step {step}"


def test_whatever_is_booked_is_what_lands(account: Account, month: str) -> None:
    keep_books(account, month, 18, 20261031)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(8))
def test_whatever_is_booked_is_what_lands_at_length(account: Account, month: str, seed: int) -> None:
    keep_books(account, month, 100, seed)
