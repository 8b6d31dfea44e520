"""`recon demo` as a person types it: one page a tenant, every planted defect found and mended, nothing else touched."""

from __future__ import annotations

import os
import re
import signal
import sqlite3
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import date
from decimal import Decimal
from pathlib import Path
from random import Random

import pytest
from endtoend_planted import assert_drift_is_told_exactly, assert_found_exactly
from endtoend_tools import (
    RECON,
    View,
    World,
    assert_holds_exactly,
    books,
    plain_environment,
    query,
    recon,
    run,
    tenant,
    world,
)

from demo.documents import Document, Facts, rounded
from demo.planted import accrual_eid

Opened = Callable[[Path], AbstractContextManager[World]]
TENANTS = ("acme", "globex")


def page(folder: Path, name: str) -> str:
    """What was printed about one tenant."""
    return page_of((folder / "demo.out").read_text(encoding="utf-8"), name)


def page_of(printed: str, name: str) -> str:
    (found,) = re.findall(rf"╭─ {name} · October 2026 .*?╰─", printed, flags=re.DOTALL)
    return re.sub(r"[│ ]+", " ", found)


def of_month(documents: tuple[Document, ...], currency: str) -> list[Document]:
    return [each for each in documents if each.in_month("2026-10") and each.currency == currency]


def shown(documents: list[Document]) -> str:
    facts = Facts.of(documents)
    return f"{facts.documents:,} · {facts.total:,.2f}" if documents else "–"


@pytest.mark.parametrize(("name", "currencies"), [("acme", ("EUR", "USD")), ("globex", ("USD",))])
def test_the_page_says_what_billed_what_netsuite_had_what_differed_what_was_written_and_what_is_left(
    demo_ran: Path, name: str, currencies: tuple[str, ...]
) -> None:
    text, billing = page(demo_ran, name), tenant(name).billing
    booked = {"invoice": [], "creditMemo": []}  # type: dict[str, list[Document]]
    for booking in books(name).bookings:
        booked[booking.record].append(booking.document)
    for label, record, documents in (
        ("Invoices", "invoice", billing.invoices),
        ("Credit memos", "creditMemo", billing.credit_notes),
    ):
        for currency in currencies:
            billed = of_month(documents, currency)
            held_back = [each for each in billed if each.customer_id is None]
            mapped = [each for each in billed if each.customer_id is not None]
            had = of_month(tuple(booked[record]), currency)
            row = f"{label}, {currency} {shown(billed)} {shown(held_back)} {shown(had)} {shown(mapped)} "
            assert row in text, row

    planted = Counter(each.kind for each in books(name).planted)
    missing = sum(1 for each in books(name).planted if (each.kind, each.record) == ("missing", "invoice"))
    assert f"{missing} invoices missing in NetSuite" in text
    assert f"{planted['duplicate']} invoices in NetSuite twice" in text
    writes = len({each.external_id or each.what for each in books(name).planted})
    assert f"{writes} writes; {writes} read back from NetSuite and found as intended." in text
    orphans = [each for each in billing.invoices if each.in_month("2026-10") and each.customer_id is None]
    assert (
        f"{len(orphans)} invoices, USD {Facts.of(orphans).total:,.2f}: the billing document names no customer"
        in text
    )
    assert all(each.number in text for each in orphans)
    assert "NetSuite holds what billing billed, to the cent, but for what is held back" in text


def test_it_prints_where_the_published_file_is_and_three_queries_and_nothing_odd(demo_ran: Path) -> None:
    printed = (demo_ran / "demo.out").read_text(encoding="utf-8")
    assert "The published file: .demo/warehouse/published.duckdb" in printed
    assert len(re.findall(r'^  \.venv/bin/recon query "SELECT .*"$', printed, flags=re.MULTILINE)) == 3
    for name in TENANTS:
        for told in ("filling the billing database", "filling the demo NetSuite account", "reconciled"):
            assert f"{name}: {told}" in printed
    said = printed + (demo_ran / "demo.err").read_text(encoding="utf-8")
    assert not re.search(r"Warning|Traceback|Error", said), said


@pytest.mark.parametrize("name", TENANTS)
def test_every_planted_defect_is_found_and_nothing_else(demo_ran: Path, name: str) -> None:
    published = demo_ran / ".demo" / "warehouse" / "published.duckdb"
    assert_found_exactly(published, name, "2026-10", tenant(name).billing, books(name).planted)


@pytest.mark.parametrize("name", TENANTS)
def test_every_planted_drift_of_receivables_needs_a_person_and_nothing_else_does(
    demo_ran: Path, name: str
) -> None:
    published = demo_ran / ".demo" / "warehouse" / "published.duckdb"
    assert_drift_is_told_exactly(published, name, "2026-10", books(name).drifts)


@pytest.mark.parametrize("name", TENANTS)
def test_every_difference_of_totals_is_explained_to_the_cent(demo_ran: Path, name: str) -> None:
    published = demo_ran / ".demo" / "warehouse" / "published.duckdb"
    rows = query(
        published,
        "SELECT t.billed_total - t.held_back_total - t.netsuite_total, t.difference, t.explained, t.unexplained,"
        " (SELECT coalesce(sum(delta), 0) FROM differences d WHERE d.tenant = t.tenant AND d.period = t.period"
        "  AND d.record = t.record AND d.currency = t.currency)"
        " FROM totals t WHERE t.tenant = ?",
        name,
    )
    assert rows
    for gap, difference, explained, unexplained, deltas in rows:
        assert gap == difference == explained == deltas
        assert unexplained == Decimal(0)


def test_afterwards_netsuite_holds_the_truth_and_a_second_run_writes_nothing(
    demo_ran: Path, opened: Opened
) -> None:
    with opened(demo_ran) as here:
        before = here.ledger.booked()
        assert len(before) == sum(
            len({each.external_id or each.what for each in books(name).planted}) for name in TENANTS
        )
        for name in TENANTS:
            assert not here.stage.fill_billing(tenant(name)).changed
            here.stage.fill_netsuite(tenant(name), here.sandbox, lambda done, total: None)
            run("write_back", name, "2026-10")
            if name == "acme":
                told = here.ledger.intents()
                # What the demo made in NetSuite was told to billing now; then there is nothing left to tell.
                assert_billing_knows_netsuite(here, here.view(name))
                run("write_back", name, "2026-10")
                assert here.ledger.intents() == told
            netsuite = here.view(name)
            assert any("suiteql" in entry["path"] for entry in netsuite.log())
            assert netsuite.log(writes=True) == []
            assert_holds_exactly(netsuite, name, tenant(name).billing)
        assert here.ledger.booked() == before
        assert here.ledger.open() == []
        here.ledger.assert_consistent()
        assert here.query("SELECT * FROM differences") == []
        assert here.query("SELECT * FROM plan") == []
        others = here.query("SELECT * FROM exceptions WHERE code <> 'no_customer' AND stage <> 'receivables'")
        assert others == []
        for name in TENANTS:
            # NetSuite's own payments are nobody's to mend; those that come from billing are in order now.
            assert_drift_is_told_exactly(here.published, name, "2026-10", books(name).drifts)
        drifted = "SELECT count(*) FROM receivables_drift WHERE tenant = 'globex'"
        assert here.query(drifted) == [(0,)]


def test_what_is_not_billed_at_the_months_end_is_accrued_in_balance_and_reversed(
    demo_ran: Path, opened: Opened
) -> None:
    with opened(demo_ran) as here:
        rows = here.view("globex").suiteql(
            "SELECT t.externalid, TO_CHAR(t.trandate, 'YYYY-MM-DD') AS day, t.exchangerate, a.acctnumber, l.debit, l.credit"
            " FROM transaction t JOIN transactionaccountingline l ON l.transaction = t.id"
            " JOIN account a ON a.id = l.account WHERE t.type = 'Journal' ORDER BY t.id, a.acctnumber"
        )
    booked = [
        (row.get("externalid"), row["day"], row["acctnumber"], row.get("debit"), row.get("credit"))
        for row in rows
    ]
    # What is posted is in the company's own currency.
    amount = tenant("globex").billing.not_billed(date(2026, 10, 31))
    assert amount > 0
    posted = f"{rounded(amount * Decimal(rows[0]['exchangerate'])):f}"
    accrual = accrual_eid("2026-10", "usage")
    assert booked == [
        (accrual, "2026-10-31", "1150", posted, None),
        (accrual, "2026-10-31", "4001", None, posted),
        (None, "2026-11-01", "1150", None, posted),
        (None, "2026-11-01", "4001", posted, None),
    ]


def assert_billing_knows_netsuite(here: World, netsuite: View) -> None:
    """Each invoice of acme's month has NetSuite's id, number, status and what is open of it in billing's own table."""
    rows = netsuite.suiteql(
        "SELECT externalid, id, tranid, status, foreignamountunpaid AS remaining FROM transaction"
        " WHERE type = 'CustInvc' AND TO_CHAR(trandate, 'YYYY-MM') = '2026-10' AND externalid IS NOT NULL ORDER BY id"
    )
    expected = {
        row["externalid"].removeprefix("inv-"): (
            row["id"],
            row["tranid"],
            {"A": "open", "B": "paid"}[row["status"]],
            Decimal(row["remaining"]),
        )
        for row in rows
    }
    with sqlite3.connect(here.folder / ".demo" / "acme-billing.sqlite") as billing:
        held = billing.execute(
            "SELECT id, netsuite_internal_id, netsuite_number, netsuite_status, netsuite_remaining FROM invoices"
            " WHERE netsuite_internal_id IS NOT NULL AND issue_date LIKE '2026-10-%'"
        ).fetchall()
    billing.close()
    assert expected
    assert {key: (*facts, Decimal(remaining)) for key, *facts, remaining in held} == expected


@pytest.mark.soak
def test_the_command_itself_a_second_time(demo_ran: Path, opened: Opened) -> None:
    with opened(demo_ran) as here:
        before = here.ledger.booked()
    again = recon("demo", folder=here.folder, environ={})
    assert again.returncode == 0, again.stderr
    assert again.stdout.count("Nothing: NetSuite holds what billing billed.") == len(TENANTS)
    # What the first run made in NetSuite is told to acme's billing.
    assert again.stdout.count("Nothing was sent to NetSuite.") == len(TENANTS)
    assert "Told to billing: " in page_of(again.stdout, "acme")
    assert here.ledger.booked() == before


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(4))
def test_a_killed_demo_is_healed_by_the_next(tmp_path: Path, seed: int) -> None:
    """Ended while it fills or runs, wherever it is; the sandbox that it leaves behind holds nothing up."""
    process = subprocess.Popen(
        [str(RECON), "demo"],
        cwd=tmp_path,
        env=plain_environment(),
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )
    time.sleep(Random(seed).uniform(1, 20))
    os.killpg(process.pid, signal.SIGKILL)
    process.wait(10)
    again = recon("demo", folder=tmp_path, environ={})
    assert again.returncode == 0, again.stderr
    with world(tmp_path) as here:
        for name in TENANTS:
            assert_holds_exactly(here.view(name), name, tenant(name).billing)
        assert here.ledger.open() == []
        here.ledger.assert_consistent()
