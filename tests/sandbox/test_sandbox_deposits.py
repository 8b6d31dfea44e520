"""Customer deposits and their applications: the books, what is left, every way to apply, and every view of both."""

from __future__ import annotations

import time
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
import yaml
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sandbox_tools import PROFILES, Api, Integration, Server, start, unique

OVER = "Error while accessing a resource. The amount applied to a transaction may not be more than the amount that remains on it."
LEDGER = (
    "SELECT a.accttype, a.sspecacct, l.debit, l.credit, l.posting, tl.mainline, tl.foreignamount "
    "FROM transactionaccountingline l JOIN account a ON a.id = l.account "
    "JOIN transactionline tl ON tl.transaction = l.transaction AND tl.id = l.transactionline "
    "WHERE l.transaction = ? ORDER BY l.transactionline"
)


def deposit(api: Api, customer: str, amount: float, **changes: Any) -> str:
    body = {"customer": {"id": customer}, "payment": amount, "tranDate": "2026-10-10"}
    return api.write("POST", "customerDeposit", body | changes)


def applied(*pairs: tuple[str, float | None]) -> dict[str, Any]:
    lines = [{"doc": {"id": doc}, "apply": True, "amount": amount} for doc, amount in pairs]
    return {"items": [{k: v for k, v in line.items() if v is not None} for line in lines]}


def apply(api: Api, source: str, *pairs: tuple[str, float | None], **changes: Any) -> str:
    """Transform a deposit into its application to invoices."""
    body = {"apply": applied(*pairs), "tranDate": "2026-10-26"} | changes
    return api.write("POST", f"customerDeposit/{source}/!transform/depositApplication", body)


def left(api: Api, identifier: str) -> tuple[Decimal, Decimal]:
    """Used and unused of a deposit."""
    names = "foreignpaymentamountused AS used, foreignpaymentamountunused AS unused"
    row = api.rows(f"SELECT {names} FROM transaction WHERE id = ?", identifier)[0]
    return Decimal(row["used"]), Decimal(row["unused"])


def _tick() -> None:
    """Wait for the next second: dates of modification show no more."""
    second = int(time.time())
    while int(time.time()) == second:
        time.sleep(0.02)


def test_a_deposit_is_a_liability_and_no_receivable(oneworld: Api) -> None:
    customer = oneworld.customer(subsidiary={"id": "3"})
    oneworld.invoice(customer, "60")
    identifier = deposit(
        oneworld, customer, 250.5, account="11", checkNumber="77", externalId=unique("dep"), currency="2"
    )
    found = oneworld.full(f"customerDeposit/{identifier}")
    assert (found["payment"], found["total"]) == (Decimal("250.5"), Decimal("250.5"))
    assert found["status"] == {"id": "B", "refName": "Deposited"}
    assert (found["customer"]["id"], found["account"]["id"], found["subsidiary"]["id"]) == (
        customer,
        "11",
        "3",
    )
    assert found["refName"] == f"Customer Deposit #{found['tranId']}"
    assert "entity" not in found
    columns = (
        "type, recordtype, status, BUILTIN.DF(status) AS shown, foreigntotal, entity, posting, otherrefnum"
    )
    assert oneworld.rows(f"SELECT {columns} FROM transaction WHERE id = ?", identifier) == [
        {
            "type": "CustDep",
            "recordtype": "customerdeposit",
            "status": "B",
            "shown": "Customer Deposit : Deposited",
            "foreigntotal": "250.5",
            "entity": customer,
            "posting": "T",
            "otherrefnum": "77",
        }
    ]
    amounts = {"debit": "250.5", "posting": "T", "mainline": "T", "foreignamount": "250.5"}
    assert oneworld.rows(LEDGER, identifier) == [
        {"accttype": "Bank", **amounts},
        {
            "accttype": "OthCurrLiab",
            "sspecacct": "CustDep",
            "credit": "250.5",
            "posting": "T",
            "mainline": "F",
            "foreignamount": "-250.5",
        },
    ]
    assert left(oneworld, identifier) == (0, Decimal("250.5"))
    assert oneworld.get(f"customer/{customer}")["balance"] == 60


def test_a_deposit_without_an_account_goes_to_undeposited_funds(oneworld: Api) -> None:
    customer = oneworld.customer()
    identifier = deposit(oneworld, customer, 5)
    found = oneworld.get(f"customerDeposit/{identifier}")
    assert (found["status"]["refName"], found["undepFunds"]["id"]) == ("Not Deposited", "true")
    assert oneworld.rows(LEDGER, identifier)[0]["accttype"] == "OthCurrAsset"
    both = {"customer": customer, "payment": 5, "account": "11", "undepFunds": {"id": "true"}}
    assert "not to both" in oneworld.refused("POST", "customerDeposit", both).detail
    wrong = {"customer": customer, "payment": 5, "account": "598"}
    assert oneworld.refused("POST", "customerDeposit", wrong).error["o:errorPath"] == "account"


def test_an_application_pays_invoices_from_the_liability(oneworld: Api) -> None:
    customer = oneworld.customer()
    full, part = oneworld.invoice(customer, "60"), oneworld.invoice(customer, "80.10")
    source = deposit(oneworld, customer, 100)
    application = apply(oneworld, source, (full, None), (part, 30.05), memo="Prepaid")
    found = oneworld.full(f"depositApplication/{application}")
    assert [found[name] for name in ("total", "applied", "unapplied")] == [
        Decimal("90.05"),
        Decimal("90.05"),
        0,
    ]
    assert (found["deposit"]["id"], found["depositDate"], found["arAcct"]["id"]) == (
        source,
        "2026-10-10",
        "119",
    )
    assert "/customerdeposit/" in found["deposit"]["links"][0]["href"]
    assert "status" not in found
    assert {line["doc"]["id"]: line["amount"] for line in found["apply"]["items"]} == {
        full: 60,
        part: Decimal("30.05"),
    }
    assert oneworld.get(f"invoice/{full}")["status"]["refName"] == "Paid In Full"
    assert oneworld.get(f"invoice/{part}")["amountRemaining"] == Decimal("50.05")
    assert left(oneworld, source) == (Decimal("90.05"), Decimal("9.95"))
    assert oneworld.get(f"customer/{customer}")["balance"] == Decimal("50.05")
    assert oneworld.rows(LEDGER, application) == [
        {
            "accttype": "OthCurrLiab",
            "sspecacct": "CustDep",
            "debit": "90.05",
            "posting": "T",
            "mainline": "T",
            "foreignamount": "90.05",
        },
        {
            "accttype": "AcctRec",
            "credit": "90.05",
            "posting": "T",
            "mainline": "F",
            "foreignamount": "-90.05",
        },
    ]
    columns = (
        "type, foreigntotal, status, foreignpaymentamountused AS used, foreignpaymentamountunused AS unused"
    )
    assert oneworld.rows(f"SELECT {columns} FROM transaction WHERE id = ?", application) == [
        {"type": "DepAppl", "foreigntotal": "90.05", "used": "90.05"}
    ]
    main = "SELECT createdfrom FROM transactionline WHERE transaction = ? AND mainline = 'T'"
    assert oneworld.rows(main, application) == [{"createdfrom": source}]


@pytest.mark.parametrize("table", ["NextTransactionLineLink", "PreviousTransactionLineLink"])
def test_links_lead_from_the_deposit_and_the_invoice_to_the_application(oneworld: Api, table: str) -> None:
    customer = oneworld.customer()
    invoice, source = oneworld.invoice(customer, "60"), deposit(oneworld, customer, 100)
    application = apply(oneworld, source, (invoice, 40))
    columns = "previousdoc, previoustype, nexttype, linktype, foreignamount"
    query = f"SELECT {columns} FROM {table} WHERE nextdoc = ? ORDER BY linktype"
    assert oneworld.rows(query, application) == [
        {
            "previousdoc": source,
            "previoustype": "CustDep",
            "nexttype": "DepAppl",
            "linktype": "DepAppl",
            "foreignamount": "40",
        },
        {
            "previousdoc": invoice,
            "previoustype": "CustInvc",
            "nexttype": "DepAppl",
            "linktype": "Payment",
            "foreignamount": "40",
        },
    ]


def test_a_deposit_is_fully_applied_when_nothing_is_left_and_comes_back(oneworld: Api) -> None:
    customer = oneworld.customer()
    invoice, source = oneworld.invoice(customer, "60"), deposit(oneworld, customer, 50, account="11")
    before = oneworld.get(f"customerDeposit/{source}")["lastModifiedDate"]
    _tick()
    application = apply(oneworld, source, (invoice, None))
    found = oneworld.get(f"customerDeposit/{source}")
    assert found["status"]["refName"] == "Fully Applied"
    assert found["lastModifiedDate"] > before
    assert "dependent" in oneworld.refused("DELETE", f"customerDeposit/{source}").detail
    assert "dependent" in oneworld.refused("DELETE", f"invoice/{invoice}").detail
    oneworld.write("PATCH", f"depositApplication/{application}", {"apply": applied((invoice, 20))})
    assert oneworld.get(f"customerDeposit/{source}")["status"]["refName"] == "Deposited"
    assert left(oneworld, source) == (20, 30)
    assert oneworld.rows(LEDGER, application)[1]["credit"] == "20"
    oneworld.write("DELETE", f"depositApplication/{application}")
    assert left(oneworld, source) == (0, 50)
    assert oneworld.get(f"invoice/{invoice}")["amountPaid"] == 0
    assert oneworld.rows("SELECT nextdoc FROM NextTransactionLineLink WHERE previousdoc = ?", source) == []
    oneworld.write("DELETE", f"customerDeposit/{source}")
    deleted = "SELECT type, scriptid FROM deletedrecord WHERE recordid IN (?, ?) ORDER BY type"
    assert oneworld.rows(deleted, source, application) == [
        {"type": "Customer Deposit", "scriptid": "customerdeposit"},
        {"type": "Deposit Application", "scriptid": "depositapplication"},
    ]


def test_a_deposit_is_applied_along_with_a_payment(oneworld: Api) -> None:
    customer = oneworld.customer()
    invoice, source = oneworld.invoice(customer, "100"), deposit(oneworld, customer, 30)
    body = {"customer": customer, "tranDate": "2026-10-25", "apply": applied((invoice, None))}
    payment = oneworld.write("POST", "customerPayment", body | {"deposit": applied((source, None))})
    found = oneworld.full(f"customerPayment/{payment}")
    assert (found["payment"], found["applied"], found["deposit"]["items"]) == (70, 70, [])
    assert oneworld.get(f"invoice/{invoice}")["status"]["refName"] == "Paid In Full"
    made = oneworld.rows("SELECT nextdoc FROM NextTransactionLineLink WHERE previousdoc = ?", source)
    application = oneworld.full(f"depositApplication/{made[0]['nextdoc']}")
    assert (application["applied"], application["tranDate"]) == (30, "2026-10-25")
    oneworld.write("DELETE", f"customerPayment/{payment}")
    assert oneworld.get(f"invoice/{invoice}")["amountPaid"] == 30


@pytest.mark.parametrize("taken", [30.01, -1])
def test_a_payment_takes_no_more_of_a_deposit_than_is_left(oneworld: Api, taken: float) -> None:
    customer = oneworld.customer()
    invoice, source = oneworld.invoice(customer, "100"), deposit(oneworld, customer, 30)
    body = {"customer": customer, "payment": 70, "apply": applied((invoice, None))}
    assert (
        oneworld.refused("POST", "customerPayment", body | {"deposit": applied((source, taken))}).detail
        == OVER
    )
    assert left(oneworld, source) == (0, 30)
    other = body | {"deposit": applied((deposit(oneworld, oneworld.customer(), 30), 5))}
    assert oneworld.refused("POST", "customerPayment", other).error["o:errorPath"] == "deposit.items[0].doc"


def test_an_application_takes_no_more_than_either_side_has(oneworld: Api) -> None:
    customer = oneworld.customer()
    invoice, source = oneworld.invoice(customer, "100"), deposit(oneworld, customer, 30)
    path = f"customerDeposit/{source}/!transform/depositApplication"
    assert oneworld.refused("POST", path, {"apply": applied((invoice, 30.01))}).detail == OVER
    assert "at least one" in oneworld.refused("POST", path, {}).detail
    foreign = oneworld.invoice(oneworld.customer(), "100")
    assert oneworld.refused("POST", path, {"apply": applied((foreign, 1))}).error["o:errorPath"] == (
        "apply.items[0].doc"
    )
    application = apply(oneworld, source, (invoice, 20))
    more = {"apply": applied((invoice, 30.01))}
    assert oneworld.refused("PATCH", f"depositApplication/{application}", more).detail == OVER
    none = {"apply": {"items": [{"doc": {"id": invoice}, "apply": False}]}}
    assert "at least one" in oneworld.refused("PATCH", f"depositApplication/{application}", none).detail
    assert oneworld.refused("PATCH", f"customerDeposit/{source}", {"payment": 19.99}).detail == OVER
    small = oneworld.invoice(customer, "5")
    assert oneworld.refused("POST", path, {"apply": applied((small, 5.01))}).detail == OVER
    assert left(oneworld, source) == (20, 10)


def test_an_application_is_made_by_a_transformation_alone(oneworld: Api) -> None:
    customer = oneworld.customer()
    invoice, source = oneworld.invoice(customer, "100"), deposit(oneworld, customer, 30)
    body = {"deposit": {"id": source}, "apply": applied((invoice, 5))}
    refused = oneworld.refused("POST", "depositApplication", body)
    assert (refused.status, refused.code) == (400, "USER_ERROR")
    assert oneworld.refused("PUT", f"depositApplication/eid:{unique('da')}", body).code == "USER_ERROR"
    key = unique("da")
    application = apply(oneworld, source, (invoice, 5), externalId=key)
    oneworld.write("PUT", f"depositApplication/eid:{key}", {"memo": "found by its external id"})
    assert oneworld.get(f"depositApplication/{application}")["memo"] == "found by its external id"
    form = oneworld.send(
        "POST",
        f"customerDeposit/{source}/!transform/depositApplication",
        {},
        headers={"Accept": "application/vnd.oracle.resource+json; type=create-form"},
    )
    assert (form.status_code, form.json()["total"], form.json()["unapplied"]) == (200, 25.0, 25.0)
    assert left(oneworld, source) == (5, 25)


def test_a_deposit_keeps_its_customer(oneworld: Api) -> None:
    customer = oneworld.customer()
    source = deposit(oneworld, customer, 30)
    change = {"customer": {"id": oneworld.customer()}}
    assert oneworld.refused("PATCH", f"customerDeposit/{source}", change).error["o:errorPath"] == "customer"
    oneworld.write("PATCH", f"customerDeposit/{source}", {"payment": 40, "memo": "raised"})
    assert oneworld.rows(LEDGER, source)[1]["credit"] == "40"


def test_a_deposit_of_another_currency_is_applied_at_its_own_rate(oneworld: Api) -> None:
    customer = oneworld.customer(currencyList={"items": [{"currency": {"id": "2"}}]})
    invoice = oneworld.invoice(customer, "100", currency="2", exchangeRate=1.25)
    source = deposit(oneworld, customer, 100, currency="2", exchangeRate=1.1)
    application = apply(oneworld, source, (invoice, 40))
    rows = oneworld.rows(LEDGER, application)
    assert [(row.get("debit"), row["foreignamount"]) for row in rows] == [("44", "40"), (None, "-40")]
    dollars = oneworld.invoice(customer, "100")
    path = f"customerDeposit/{source}/!transform/depositApplication"
    assert oneworld.refused("POST", path, {"apply": applied((dollars, 1))}).code == "INVALID_CONTENT"
    change = {"exchangeRate": 1.2}
    assert (
        oneworld.refused("PATCH", f"customerDeposit/{source}", change).error["o:errorPath"] == "exchangeRate"
    )


@pytest.mark.parametrize("day", ["2026-07-10", "2026-08-10"])
def test_a_closed_or_locked_period_takes_neither(oneworld: Api, day: str) -> None:
    customer = oneworld.customer()
    invoice, source = oneworld.invoice(customer, "100"), deposit(oneworld, customer, 30)
    text = "closed or locked period"
    body = {"customer": customer, "payment": 5, "tranDate": day}
    assert text in oneworld.refused("POST", "customerDeposit", body).detail
    path = f"customerDeposit/{source}/!transform/depositApplication"
    assert text in oneworld.refused("POST", path, {"apply": applied((invoice, 5)), "tranDate": day}).detail
    assert left(oneworld, source) == (0, 30)


def test_what_is_posted_in_a_month_that_closes_stays(fresh: Callable[..., tuple[Server, Api]]) -> None:
    _, api = fresh()
    customer = api.customer()
    invoice, source = api.invoice(customer, "100"), deposit(api, customer, 30)
    application = apply(api, source, (invoice, 5))
    spare = deposit(api, customer, 7)
    api.admin("POST", "periods", {"month": "2026-10", "closed": True, "allow_non_gl_changes": True})
    text = "closed or locked period"
    for path in (f"depositApplication/{application}", f"customerDeposit/{spare}"):
        assert text in api.refused("DELETE", path).detail
        api.write("PATCH", path, {"memo": "a remark moves no amount"})
    change = {"apply": applied((invoice, 6))}
    assert text in api.refused("PATCH", f"depositApplication/{application}", change).detail
    assert text in api.refused("PATCH", f"customerDeposit/{spare}", {"payment": 8}).detail
    assert left(api, source) == (5, 25)


def test_a_role_needs_the_permissions(auditor: Api, oneworld: Api) -> None:
    customer = oneworld.customer()
    invoice, source = oneworld.invoice(customer, "100"), deposit(oneworld, customer, 30)
    application = apply(oneworld, source, (invoice, 5))
    for path, name in (
        (f"customerDeposit/{source}", "Customer Deposit"),
        (f"depositApplication/{application}", "Deposit Application"),
    ):
        refused = auditor.refused("GET", path)
        assert refused.status == 403
        assert f"Transactions -> {name}" in refused.detail


def test_who_changed_what_is_noted(oneworld: Api) -> None:
    customer = oneworld.customer()
    invoice, source = oneworld.invoice(customer, "30"), deposit(oneworld, customer, 30)
    application = apply(oneworld, source, (invoice, 30))
    notes = "SELECT field, oldvalue, newvalue FROM systemnote WHERE recordid = ? AND field = ? AND oldvalue IS NOT NULL"
    assert oneworld.rows(notes, source, "STATUS") == [{"field": "STATUS", "oldvalue": "A", "newvalue": "C"}]
    oneworld.write("PATCH", f"depositApplication/{application}", {"apply": applied((invoice, 12))})
    assert oneworld.rows(notes, application, "TOTAL") == [
        {"field": "TOTAL", "oldvalue": "30", "newvalue": "12"}
    ]
    history = "SELECT type FROM transactionhistory WHERE transaction = ? ORDER BY type"
    assert oneworld.rows(history, application) == [{"type": "Create"}, {"type": "Edit"}]


def test_both_are_listed_described_and_found_by_q(oneworld: Api) -> None:
    customer = oneworld.customer()
    source = deposit(oneworld, customer, 30, externalId=unique("dep"))
    page = oneworld.get("customerDeposit", q=f"id EQUAL {source}")
    assert [item["id"] for item in page["items"]] == [source]
    names = {item["name"] for item in oneworld.get("metadata-catalog")["items"]}
    assert {"customerDeposit", "depositApplication"} <= names
    kinds = oneworld.rows("SELECT BUILTIN.DF(type) AS type FROM transaction WHERE id = ?", source)
    assert kinds == [{"type": "Customer Deposit"}]


def test_the_switches_of_deposits(turned: Api) -> None:
    customer = turned.customer()
    invoice, source = turned.invoice(customer, "100"), deposit(turned, customer, 30)
    before = turned.get(f"customerDeposit/{source}")["lastModifiedDate"]
    _tick()
    application = apply(turned, source, (invoice, 20))
    assert turned.get(f"customerDeposit/{source}")["lastModifiedDate"] == before
    columns = "foreigntotal, status FROM transaction WHERE id = ?"
    assert turned.rows(f"SELECT {columns}", application) == [{"foreigntotal": "-20", "status": "A"}]
    assert [(row["accttype"], row["mainline"]) for row in turned.rows(LEDGER, application)] == [
        ("AcctRec", "T"),
        ("OthCurrLiab", "F"),
    ]
    links = "SELECT linktype FROM NextTransactionLineLink WHERE previousdoc = ?"
    assert turned.rows(links, source) == [{"linktype": "Deposit"}]
    assert turned.refused("POST", "depositApplication", {"apply": applied((invoice, 1))}).detail.endswith(
        "Not so."
    )
    payment = turned.write(
        "POST", "customerPayment", {"customer": customer, "payment": 5, "tranDate": "2026-10-25"}
    )
    shown = turned.full(f"customerPayment/{payment}")["deposit"]["items"]
    assert [(line["doc"]["id"], line["apply"], line["remaining"]) for line in shown] == [(source, False, 10)]


def test_an_account_without_a_deposits_account_has_no_deposits(
    tmp_path: Any, public_pem: Any, private_key: Any
) -> None:
    profile = yaml.safe_load((PROFILES / "single.yaml").read_text())
    del profile["customer_deposits_account"]
    (tmp_path / "plain.yaml").write_text(yaml.safe_dump(profile))
    certificate = f"TSTDRV7654321:usage-billing:cert-1:{public_pem}"
    server = start("--profile", str(tmp_path / "plain.yaml"), "--certificate", certificate)
    try:
        api = Api(server.url, "tstdrv7654321", Integration("usage-billing", "cert-1", private_key))
        assert api.refused("POST", "customerDeposit", {"payment": 1}).status == 404
    finally:
        server.stop()


def test_a_fill_makes_deposits_of_which_every_second_is_applied(
    fresh: Callable[..., tuple[Server, Api]],
) -> None:
    _, api = fresh()
    order = {"customers": 3, "invoices": 5, "deposits": 6, "lines": 1, "seed": 3}
    assert api.admin("POST", "fill", order)["filled"]["deposits"] == 6
    counts = "SELECT type, COUNT(*) AS n FROM transaction WHERE type IN ('CustDep', 'DepAppl') GROUP BY type ORDER BY type"
    assert api.rows(counts) == [{"type": "CustDep", "n": "6"}, {"type": "DepAppl", "n": "3"}]
    sums = "SELECT SUM(NVL(debit, 0)) AS debit, SUM(NVL(credit, 0)) AS credit FROM transactionaccountingline"
    [row] = api.rows(sums)
    assert round(Decimal(row["debit"]), 2) == round(Decimal(row["credit"]), 2)


class Prepaid(RuleBasedStateMachine):
    """Whatever is paid, applied, changed and taken back: the liability is what is left, and no cent is used twice."""

    api: Api

    def __init__(self) -> None:
        super().__init__()
        self.customer = self.api.customer()
        self.invoices = {
            self.api.invoice(self.customer, amount): Decimal(amount) for amount in ("30", "45.50")
        }
        self.deposits: dict[str, Decimal] = {}
        self.applications: dict[str, tuple[str, str, Decimal]] = {}

    def _used(self, source: str) -> Decimal:
        return sum((a for s, _, a in self.applications.values() if s == source), Decimal(0))

    def _paid(self, invoice: str) -> Decimal:
        return sum((a for _, i, a in self.applications.values() if i == invoice), Decimal(0))

    @rule(cents=st.integers(100, 6000))
    def receive(self, cents: int) -> None:
        amount = Decimal(cents) / 100
        self.deposits[deposit(self.api, self.customer, float(amount))] = amount

    @precondition(lambda self: self.deposits)
    @rule(data=st.data(), cents=st.integers(1, 5000))
    def use(self, data: st.DataObject, cents: int) -> None:
        source = data.draw(st.sampled_from(sorted(self.deposits)))
        invoice = data.draw(st.sampled_from(sorted(self.invoices)))
        amount = Decimal(cents) / 100
        fits = amount <= self.deposits[source] - self._used(source)
        fits = fits and amount <= self.invoices[invoice] - self._paid(invoice)
        path = f"customerDeposit/{source}/!transform/depositApplication"
        body = {"apply": applied((invoice, float(amount))), "tranDate": "2026-10-26"}
        answer = self.api.send("POST", path, body)
        assert answer.status_code == (204 if fits else 400), answer.text
        if fits:
            made = answer.headers["location"].rpartition("/")[2]
            self.applications[made] = (source, invoice, amount)

    @precondition(lambda self: self.applications)
    @rule(data=st.data())
    def take_back(self, data: st.DataObject) -> None:
        application = data.draw(st.sampled_from(sorted(self.applications)))
        self.api.write("DELETE", f"depositApplication/{application}")
        del self.applications[application]

    @precondition(lambda self: self.deposits)
    @rule(data=st.data())
    def give_back(self, data: st.DataObject) -> None:
        source = data.draw(st.sampled_from(sorted(self.deposits)))
        answer = self.api.send("DELETE", f"customerDeposit/{source}")
        assert answer.status_code == (400 if self._used(source) else 204), answer.text
        if answer.status_code == 204:
            del self.deposits[source]

    @invariant()
    def the_books_are_what_happened(self) -> None:
        unused = sum(self.deposits.values(), Decimal(0)) - sum(
            (amount for _, _, amount in self.applications.values()), Decimal(0)
        )
        liability = self.api.rows(
            "SELECT SUM(NVL(l.credit, 0) - NVL(l.debit, 0)) AS owed FROM transactionaccountingline l "
            "JOIN account a ON a.id = l.account JOIN transaction t ON t.id = l.transaction "
            "WHERE t.entity = ? AND a.sspecacct = 'CustDep'",
            self.customer,
        )[0]
        assert round(Decimal(liability.get("owed", "0")), 2) == unused
        rows = self.api.rows(
            "SELECT id, foreignpaymentamountunused AS unused, status FROM transaction WHERE entity = ? AND type = 'CustDep'",
            self.customer,
        )
        assert {row["id"]: (Decimal(row["unused"]), row["status"]) for row in rows} == {
            source: (left := amount - self._used(source), "A" if left else "C")
            for source, amount in self.deposits.items()
        }
        balance = sum(self.invoices.values(), Decimal(0)) - sum(map(self._paid, self.invoices), Decimal(0))
        assert self.api.get(f"customer/{self.customer}")["balance"] == balance


def test_in_any_order_the_liability_is_what_is_left(oneworld: Api) -> None:
    machine = type("PrepaidHere", (Prepaid,), {"api": oneworld})
    run_state_machine_as_test(
        machine, settings=settings(max_examples=8, stateful_step_count=12, deadline=None, derandomize=True)
    )
