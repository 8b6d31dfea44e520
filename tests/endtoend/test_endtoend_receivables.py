"""A real file of invoices with their due and settled dates: what NetSuite holds otherwise is found, and nothing else.

The invoices are billing's, each settlement a payment of billing's. NetSuite holds them too, some otherwise (a seeded
list). What must be found, what is open and how old it is, is worked out here from the file and that list.
"""

from __future__ import annotations

import asyncio
import csv
import os
import sqlite3
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

import pytest
import yaml
from endtoend_tools import ROOT, plain_environment, query

from demo.keys import ensure_keys
from demo.netsuite_account import Account, Login
from demo.sandbox_process import Certificate, running_sandbox

FILE = ROOT.parent / "shared" / "data" / "accounts-receivable-2012-2013.csv"
pytestmark = pytest.mark.skipif(not FILE.exists(), reason="the real invoices are not beside the project")

#: What the file holds, known before any of this code ran: invoices, their amount, customers.
WHOLE = (2_466, Decimal("147703.18"), 100)
ALL_MONTHS = [f"{year}-{month:02}" for year in (2012, 2013) for month in range(1, 13)] + ["2014-01"]
BUCKETS = ((0, "not due"), (30, "1-30"), (60, "31-60"), (90, "61-90"), (10**6, "90+"))

TENANT = """\
tenant: receivables
extends: _payments
timezone: America/New_York
first_month: 2012-01
netsuite:
  account: TSTDRV7654321
  base_url: ${RECEIVABLES_NS_URL}
  auth:
    method: oauth2_client_credentials
    client_id: ${RECEIVABLES_NS_CLIENT_ID}
    certificate_id: ${RECEIVABLES_NS_CERT_ID}
    private_key_file: ${RECEIVABLES_NS_KEY_FILE}
billing:
  system: sql
  url: ${RECEIVABLES_BILLING_URL}
  tables:
    customers:             {table: customers}
    invoices:              {table: invoices}
    invoice_lines:         {table: invoice_lines}
    credit_notes:          {table: credit_notes}
    credit_note_lines:     {table: credit_note_lines}
    payments:              {table: payments}
    payment_applications:  {table: payment_applications}
"""


@dataclass
class Paid:
    """A payment, or what is applied of it."""

    key: str
    on: date
    amount: Decimal
    applied: Decimal


@dataclass
class Invoice:
    """An invoice of the file with its settlement: `paid` where it is settled by the last month at hand."""

    number: str
    customer: str
    issued: date
    due: date
    amount: Decimal
    paid: Paid | None


@dataclass
class Drift:
    """What NetSuite holds otherwise of one invoice: `found` are the differences, by month. `second`: the invoice twice;
    `unlinked`: the record type of which the external id is not there.
    """

    name: str
    held: Invoice | None
    payment: Paid | None
    found: list[tuple[str, tuple[str, str | None, str, str | None]]] = field(default_factory=list)
    second: bool = False
    unlinked: str | None = None


def month_of(day: date) -> str:
    return f"{day:%Y-%m}"


def last_day(month: str) -> date:
    first = date.fromisoformat(f"{month}-01")
    return (first + timedelta(32)).replace(day=1) - timedelta(1)


def invoices_of(file: Path, until: str) -> list[Invoice]:
    """The file's invoices of the months up to this one; what is settled later is open."""

    def day(text: str) -> date:
        month, day_of_month, year = text.split("/")
        return date(int(year), int(month), int(day_of_month))

    found = []
    with file.open(newline="", encoding="utf-8") as rows:
        for row in csv.DictReader(rows):
            issued, settled, amount = (
                day(row["InvoiceDate"]),
                day(row["SettledDate"]),
                Decimal(row["InvoiceAmount"]),
            )
            if month_of(issued) > until:
                continue
            number = row["invoiceNumber"]
            paid = Paid(f"p{number}", settled, amount, amount) if month_of(settled) <= until else None
            found.append(Invoice(number, row["customerID"], issued, day(row["DueDate"]), amount, paid))
    return sorted(found, key=lambda one: one.number)


# What NetSuite holds otherwise


def planted(invoices: Sequence[Invoice], each: int, seed: int) -> dict[str, Drift]:
    """Some of every kind, by the invoice's number. One kind is billing's own mistake, in `invoices`."""
    rng = Random(seed)
    found: dict[str, Drift] = {}

    def some(kind: str, of: Sequence[Invoice]) -> Iterator[tuple[Invoice, Drift]]:
        for one in rng.sample([one for one in of if one.number not in found], each):
            found[one.number] = Drift(kind, _copy(one), one.paid and Paid(**vars(one.paid)))
            yield one, found[one.number]

    settled = [one for one in invoices if one.paid]
    early = [one for one in settled if one.paid and (one.paid.on - timedelta(one.paid.on.day)) > one.issued]
    for one, drift in some("invoice missing", settled):
        drift.held = None
        _tell(drift, one, "invoice", "missing_in_netsuite")
        _paid(drift).applied = Decimal(0)
        _tell(drift, one, "customerPayment", "line_missing", "apply")
    for one, drift in some("payment missing", settled):
        drift.payment = None
        _tell(drift, one, "customerPayment", "missing_in_netsuite")
    for one, drift in some("not applied", settled):
        _paid(drift).applied = Decimal(0)
        _tell(drift, one, "customerPayment", "line_missing", "apply")
    for one, drift in some("paid less", settled):
        _paid(drift).amount -= 1
        _paid(drift).applied -= 1
        _tell(drift, one, "customerPayment", "changed", "payment")
        _tell(drift, one, "customerPayment", "line_changed", "apply")
    for one, drift in some("applied less", settled):
        _paid(drift).applied -= Decimal("0.01")
        _tell(drift, one, "customerPayment", "line_changed", "apply")
    for one, drift in some("invoiced more", invoices):
        assert drift.held is not None
        drift.held.amount += 5
        _tell(drift, one, "invoice", "line_changed", "amount")
        _tell(drift, one, "invoice", "line_changed", "rate")
    for one, drift in some("due later", invoices):
        assert drift.held is not None
        drift.held.due += timedelta(rng.choice([1, 30, 60]))
        _tell(drift, one, "invoice", "changed", "dueDate")
    for one, drift in some("invoiced twice", invoices):
        drift.second = True
        drift.found.append((month_of(one.issued), ("invoice", None, "duplicate", None)))
    for one, drift in some("applied too much in billing", settled):
        assert one.paid is not None
        one.paid.amount += 2
        one.paid.applied += 2
        _paid(drift).amount += 2
        _tell(drift, one, "customerPayment", "line_changed", "apply")
    for one, drift in some("invoice not linked", settled):
        drift.unlinked = "invoice"
        _tell(drift, one, "invoice", "not_linked", "externalId")
    for one, drift in some("payment not linked", settled):
        drift.unlinked = "customerPayment"
        _tell(drift, one, "customerPayment", "not_linked", "externalId")
    for one, drift in some("paid a month too early", early):
        paid = _paid(drift)
        paid.on = paid.on - timedelta(paid.on.day)
        _tell(drift, one, "customerPayment", "changed", "tranDate")
        _tell(drift, one, "customerPayment", "wrong_period")
        drift.found.append((month_of(paid.on), ("customerPayment", f"pay-{paid.key}", "wrong_period", None)))
    return found


def _copy(one: Invoice) -> Invoice:
    return Invoice(one.number, one.customer, one.issued, one.due, one.amount, None)


def _paid(drift: Drift) -> Paid:
    assert drift.payment is not None
    return drift.payment


def _tell(drift: Drift, one: Invoice, record: str, kind: str, name: str | None = None) -> None:
    if record == "invoice":
        drift.found.append((month_of(one.issued), (record, f"inv-{one.number}", kind, name)))
    else:
        assert one.paid is not None
        drift.found.append((month_of(one.paid.on), (record, f"pay-{one.paid.key}", kind, name)))


# Both systems, filled


def fill_billing(path: Path, invoices: Sequence[Invoice]) -> None:
    """A billing database that holds the invoices and their settlements."""
    with sqlite3.connect(path) as billing:
        billing.executescript("""
            CREATE TABLE customers (id TEXT PRIMARY KEY, name TEXT NOT NULL, email TEXT, currency TEXT, updated_at TEXT);
            CREATE TABLE invoices (id TEXT PRIMARY KEY, number TEXT NOT NULL, customer_id TEXT, issued_on DATE NOT NULL,
                due_on DATE, currency TEXT NOT NULL, total TEXT NOT NULL, status TEXT, updated_at TEXT);
            CREATE TABLE invoice_lines (id TEXT PRIMARY KEY, invoice_id TEXT NOT NULL, line_no INTEGER NOT NULL,
                product_id TEXT, description TEXT, quantity TEXT, unit_amount TEXT, amount TEXT NOT NULL);
            CREATE TABLE credit_notes AS SELECT * FROM invoices;
            CREATE TABLE credit_note_lines AS SELECT id, invoice_id AS credit_note_id, line_no, product_id, description,
                quantity, unit_amount, amount FROM invoice_lines;
            CREATE TABLE payments (id TEXT PRIMARY KEY, paid_on DATE NOT NULL, currency TEXT NOT NULL, amount TEXT NOT NULL,
                customer_id TEXT, method TEXT, reference TEXT, status TEXT, updated_at TEXT);
            CREATE TABLE payment_applications (payment_id TEXT NOT NULL, invoice_id TEXT NOT NULL, amount TEXT NOT NULL);
        """)
        many = billing.executemany
        customers = sorted({one.customer for one in invoices})
        many("INSERT INTO customers VALUES (?, ?, NULL, 'USD', NULL)", [(one, one) for one in customers])
        many("INSERT INTO invoices VALUES (?, ?, ?, ?, ?, 'USD', ?, 'finalized', NULL)", [
            (one.number, one.number, one.customer, str(one.issued), str(one.due), str(one.amount)) for one in invoices
        ])  # fmt: skip
        many("INSERT INTO invoice_lines VALUES (? || '-1', ?, 1, 'Usage', 'Services', '1', ?, ?)", [
            (one.number, one.number, str(one.amount), str(one.amount)) for one in invoices
        ])  # fmt: skip
        payments = [(one, one.paid) for one in invoices if one.paid]
        many("INSERT INTO payments VALUES (?, ?, 'USD', ?, ?, 'check', ?, 'succeeded', NULL)", [
            (paid.key, str(paid.on), str(paid.amount), one.customer, one.number) for one, paid in payments
        ])  # fmt: skip
        many("INSERT INTO payment_applications VALUES (?, ?, ?)", [
            (paid.key, one.number, str(paid.applied)) for one, paid in payments
        ])  # fmt: skip
    billing.close()


async def fill_netsuite(login: Login, invoices: Sequence[Invoice], drifts: dict[str, Drift]) -> None:
    """The same in NetSuite, but for the drift."""
    async with Account(login, Random(1)) as account:
        (currency,) = await account.suiteql("SELECT id FROM currency WHERE symbol = 'USD' ORDER BY id")
        (item,) = await account.suiteql("SELECT id FROM item WHERE itemid = 'Usage' ORDER BY id")

        async def write(record: str, external_id: str | None, body: dict[str, Any]) -> None:
            body = {"currency": {"id": currency["id"]}, **body}
            if external_id is None:
                await account.create(record, body)
            else:
                await account.upsert(record, external_id, body)

        async def write_invoice(one: Invoice, external_id: str | None) -> None:
            line = {"item": {"id": item["id"]}, "description": "Services", "quantity": 1, "rate": one.amount}
            await write("invoice", external_id, {
                "entity": {"externalId": f"cus-{one.customer}"}, "otherRefNum": one.number, "tranDate": str(one.issued),
                "dueDate": str(one.due), "item": {"items": [line | {"amount": one.amount}]},
            })  # fmt: skip

        async with asyncio.TaskGroup() as group:
            for customer in sorted({one.customer for one in invoices}):
                group.create_task(write("customer", f"cus-{customer}", {"companyName": customer}))
        async with asyncio.TaskGroup() as group:
            for one in invoices:
                drift = drifts.get(one.number, Drift("none", one, one.paid))
                if drift.held is not None:
                    linked = drift.unlinked != "invoice"
                    group.create_task(write_invoice(drift.held, f"inv-{one.number}" if linked else None))
        rows = await account.suiteql(
            "SELECT id, otherrefnum FROM transaction WHERE type = 'CustInvc' ORDER BY id"
        )
        ids = {row["otherrefnum"]: row["id"] for row in rows}
        async with asyncio.TaskGroup() as group:
            for one in invoices:
                drift = drifts.get(one.number, Drift("none", one, one.paid))
                if drift.second:
                    group.create_task(write_invoice(one, None))
                if (paid := drift.payment) is None:
                    continue
                body = {
                    "customer": {"externalId": f"cus-{one.customer}"}, "tranDate": str(paid.on), "payment": paid.amount,
                    "memo": f"check {one.number}",
                }  # fmt: skip
                if paid.applied:
                    applied = {"doc": {"id": ids[one.number]}, "apply": True, "amount": paid.applied}
                    body["apply"] = {"items": [applied]}
                linked = drift.unlinked != "customerPayment"
                group.create_task(write("customerPayment", f"pay-{paid.key}" if linked else None, body))


@contextmanager
def account(folder: Path) -> Iterator[Login]:
    """A sandbox with an account that books in dollars from 2012 to 2014."""
    profile = yaml.safe_load((ROOT / "sandbox" / "profiles" / "single.yaml").read_text(encoding="utf-8"))
    profile |= {
        "timezone": "America/New_York",
        "base_currency": "USD",
        "currencies": [{"id": 1, "symbol": "USD", "name": "US Dollar", "precision": 2, "rate": 1}],
        "periods": {"first": "2011-01", "last": "2014-12"},
    }
    path = folder / "profile.yaml"
    path.write_text(yaml.safe_dump(profile), encoding="utf-8")
    keys = ensure_keys(folder / "keys", "receivables", datetime.now(UTC))
    name = profile["integrations"][0]["client_id"]
    certificate = Certificate(profile["account"], name, "receivables", keys.certificate)
    with running_sandbox(
        [path], [certificate], state=folder / "sandbox.sqlite", log=folder / "log"
    ) as sandbox:
        yield Login(sandbox.account_url(profile["account"]), name, "receivables", keys.private_key)


def reconcile(folder: Path, login: Login, months: Sequence[str]) -> Path:
    """Reconcile the months one after the other, as the nightly job does; gives the published file."""
    tenants = folder / "tenants"
    tenants.mkdir()
    for name in ("_defaults.yaml", "_payments.yaml"):
        (tenants / name).write_bytes((ROOT / "tenants" / name).read_bytes())
    (tenants / "receivables.yaml").write_text(TENANT, encoding="utf-8")
    environment = {
        "RECON_TENANTS": str(tenants),
        "RECON_WAREHOUSE": str(folder / "warehouse"),
        "RECON_LEDGER": f"sqlite:///{folder / 'ledger.sqlite'}",
        "RECON_FIRST_MONTH": "2012-01",
        "RECEIVABLES_NS_URL": login.base_url,
        "RECEIVABLES_NS_CLIENT_ID": login.client_id,
        "RECEIVABLES_NS_CERT_ID": login.certificate_id,
        "RECEIVABLES_NS_KEY_FILE": str(login.private_key),
        "RECEIVABLES_BILLING_URL": f"sqlite:///{folder / 'billing.sqlite'}",
    }
    code = "import sys; from endtoend_tools import run; [run('reconcile', 'receivables', month) for month in sys.argv[1:]]"
    path = os.pathsep.join([str(Path(__file__).parent), str(ROOT), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, "-c", code, *months],
        env=plain_environment() | environment | {"PYTHONPATH": path},
        cwd=folder,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return folder / "warehouse" / "published.duckdb"


# What must be found


def billed_open(invoices: Sequence[Invoice], month: str) -> dict[str, Decimal]:
    """What is open in billing at the month's end, by the invoice's number."""
    last = last_day(month)
    return {
        one.number: one.amount - (one.paid.applied if one.paid and one.paid.on <= last else 0)
        for one in invoices
        if one.issued <= last
    }


def held_open(
    invoices: Sequence[Invoice], drifts: dict[str, Drift], month: str
) -> dict[str, tuple[Decimal, date]]:
    """What is open in NetSuite, and when it is due; a second copy has the number with an asterisk."""
    last, found = last_day(month), {}
    for one in invoices:
        if one.issued > last:
            continue
        drift = drifts.get(one.number, Drift("none", one, one.paid))
        paid = drift.payment.applied if drift.payment and drift.payment.on <= last else Decimal(0)
        if drift.held is not None:
            found[one.number] = (drift.held.amount - paid, drift.held.due)
        if drift.second:
            found[f"{one.number}*"] = (one.amount, one.due)
    return found


def aged(open_by: Sequence[tuple[Decimal, date]], month: str) -> dict[str, tuple[int, Decimal]]:
    """Open documents and amounts by days overdue."""
    last = last_day(month)
    found: dict[str, tuple[int, Decimal]] = defaultdict(lambda: (0, Decimal(0)))
    for amount, due in open_by:
        if amount > 0:
            bucket = next(name for most, name in BUCKETS if (last - due).days <= most)
            documents, total = found[bucket]
            found[bucket] = (documents + 1, total + amount)
    return dict(found)


def assert_found_exactly(
    published: Path, invoices: Sequence[Invoice], drifts: dict[str, Drift], months: Sequence[str]
) -> None:
    wanted = Counter((month, *one) for drift in drifts.values() for month, one in drift.found)
    found = Counter(
        query(
            published,
            "SELECT period, record, external_id, kind, field FROM differences WHERE tenant = 'receivables'",
        )
    )
    assert found == wanted
    due = {one.number: one.due for one in invoices}
    for month in months:
        billed, held = billed_open(invoices, month), held_open(invoices, drifts, month)
        drift = query(
            published,
            "SELECT kind, record, coalesce(external_id, number), amount FROM receivables_drift WHERE period = ?",
            month,
        )
        assert Counter(drift) == Counter(drift_of(invoices, drifts, billed, held, month)), month
        mine = aged([(amount, due[number]) for number, amount in billed.items()], month)
        theirs = aged(list(held.values()), month)
        rows = query(
            published,
            "SELECT bucket, billing_documents, billing_open, netsuite_documents, netsuite_open FROM aging WHERE period = ?",
            month,
        )
        nothing = (0, Decimal(0))
        assert {row[0]: row[1:] for row in rows} == {
            name: (*mine.get(name, nothing), *theirs.get(name, nothing)) for name in {*mine, *theirs}
        }, month
    apart = query(
        published,
        "SELECT period, difference - explained - unexplained FROM tie_outs WHERE difference <> explained + unexplained",
    )
    assert apart == []


def drift_of(
    invoices: Sequence[Invoice],
    drifts: dict[str, Drift],
    billed: dict[str, Decimal],
    held: dict[str, tuple[Decimal, date]],
    month: str,
) -> Iterator[tuple[str, str, str, Decimal]]:
    """The documents of which another part is open in billing than in NetSuite."""
    for number, mine in billed.items():
        theirs = held[number][0] if number in held else mine
        if (least := min(mine, theirs)) < 0:
            yield "over_applied", "invoice", f"inv-{number}", -least
        mine, theirs = max(mine, Decimal(0)), max(theirs, Decimal(0))
        if mine != theirs:
            kind = "paid_in_billing" if mine == 0 else "paid_in_netsuite" if theirs == 0 else "open_differs"
            yield kind, "invoice", f"inv-{number}", abs(mine - theirs)
    for one in invoices:
        paid = drifts[one.number].payment if one.number in drifts else None
        if paid is not None and month_of(paid.on) == month and paid.applied < paid.amount:
            yield "unapplied", "customerPayment", f"pay-{paid.key}", paid.amount - paid.applied


def run(folder: Path, months: Sequence[str], each: int) -> tuple[Path, list[Invoice], dict[str, Drift]]:
    invoices = invoices_of(FILE, months[-1])
    drifts = planted(invoices, each, seed=20131130)
    fill_billing(folder / "billing.sqlite", invoices)
    with account(folder) as login:
        asyncio.run(fill_netsuite(login, invoices, drifts))
        return reconcile(folder, login, months), invoices, drifts


def test_two_months_of_receivables(tmp_path: Path) -> None:
    months = ALL_MONTHS[:2]
    assert_found_exactly(*run(tmp_path, months, each=2), months)


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_all_receivables(tmp_path: Path) -> None:
    published, invoices, drifts = run(tmp_path, ALL_MONTHS, each=12)
    assert (
        len(invoices),
        sum(one.amount for one in invoices),
        len({one.customer for one in invoices}),
    ) == WHOLE
    assert all(one.paid for one in invoices)
    assert_found_exactly(published, invoices, drifts, ALL_MONTHS)
