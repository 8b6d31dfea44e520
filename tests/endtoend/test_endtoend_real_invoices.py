"""A real file of invoices takes the same way, and ends in NetSuite to the penny."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from decimal import Decimal
from pathlib import Path
from random import Random

import pytest
from endtoend_planted import assert_found_exactly
from endtoend_tools import (
    REAL_INVOICES,
    View,
    World,
    assert_holds_exactly,
    plain_environment,
    query,
    recon,
    world,
)

from demo.billing_database import fill
from demo.books import make_books
from demo.documents import Facts
from demo.stage import SEED, DemoTenant, retail_tenant

pytestmark = pytest.mark.skipif(
    not REAL_INVOICES.exists(), reason="the real invoices are not beside the project"
)

Opened = Callable[[Path], AbstractContextManager[World]]
DRIVE = Path(__file__).with_name("endtoend_drive.py")
Prepared = Callable[[str, Callable[[Path], None]], Path]
MONTH = "2010-12"

# What the file's own documents are, known before any of this code ran.
INVOICES = Facts(401, 7_608, Decimal("148198.33"))
CREDIT_MEMOS = Facts(43, 100, Decimal("3580.58"))
CUSTOMERS = 323
WITHOUT_A_CUSTOMER = (68, Decimal("36041.50"))


@pytest.fixture(scope="session")
def retail() -> DemoTenant:
    return retail_tenant(REAL_INVOICES)


@pytest.fixture(scope="session")
def ran(prepared: Prepared) -> Path:
    """A folder in which somebody typed `recon demo --invoices FILE`; `demo.out` is what it printed. Not to be changed."""

    def prepare(folder: Path) -> None:
        done = demo(folder, "--invoices", str(REAL_INVOICES))
        assert done.returncode == 0, done.stdout + done.stderr
        (folder / "demo.out").write_text(done.stdout, encoding="utf-8")

    return prepared("retail", prepare)


def demo(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The command, its runs without the checks."""
    return subprocess.run(
        [sys.executable, str(DRIVE), "recon", "demo", *arguments],
        cwd=folder,
        env=plain_environment() | {"RECON_FIRST_MONTH": MONTH},
        capture_output=True,
        text=True,
    )


def write_back(here: World, billing_url: str) -> None:
    # In a process of its own: the months that have partitions are fixed when the definitions are loaded.
    subprocess.run(
        [sys.executable, str(DRIVE), "write_back", "retail", MONTH],
        env=plain_environment() | here.stage.kept_environment() | {"RETAIL_BILLING_URL": billing_url},
        check=True,
        capture_output=True,
    )


def test_the_published_file_has_the_files_figures(ran: Path) -> None:
    assert_published(ran / ".demo" / "warehouse" / "published.duckdb")


def test_every_planted_defect_is_found_and_nothing_else(ran: Path, retail: DemoTenant) -> None:
    published = ran / ".demo" / "warehouse" / "published.duckdb"
    planted = make_books("retail", retail.billing, MONTH, SEED).planted
    assert len({defect.kind for defect in planted}) >= 8
    assert_found_exactly(published, "retail", MONTH, retail.billing, planted)


def test_the_page_has_the_files_figures(ran: Path) -> None:
    assert_printed((ran / "demo.out").read_text(encoding="utf-8"))


def test_netsuite_itself_says_so_and_a_second_run_from_postgres_writes_nothing(
    ran: Path, opened: Opened, retail: DemoTenant, new_postgres_database: Callable[[], str]
) -> None:
    """The same documents from another database are the same to the byte."""
    with opened(ran) as here:
        netsuite, before = here.view("retail"), here.ledger.intents()
        assert_netsuite_holds(netsuite, retail)
        (here.stage.home / "retail-billing.sqlite").unlink()
        url = new_postgres_database()
        fill(url, "retail", retail.billing)
        write_back(here, url)
        assert any("suiteql" in entry["path"] for entry in netsuite.log())
        assert netsuite.log(writes=True) == []
        assert here.ledger.intents() == before
        assert here.query("SELECT * FROM plan") == []
        assert here.query("SELECT * FROM differences") == []
        assert_published(here.published)


@pytest.mark.soak
def test_the_command_with_its_checks_from_postgres(
    tmp_path: Path, new_postgres_database: Callable[[], str], retail: DemoTenant
) -> None:
    done = recon(
        "demo",
        "--invoices",
        str(REAL_INVOICES),
        "--billing-url",
        new_postgres_database(),
        folder=tmp_path,
        environ={},
    )
    assert done.returncode == 0, done.stderr
    assert_printed(done.stdout)
    with world(tmp_path, first_month=MONTH) as here:
        assert_netsuite_holds(here.view("retail"), retail)
        assert_published(here.published)
        assert here.ledger.open() == []
        here.ledger.assert_consistent()


def assert_printed(page: str) -> None:
    """What the page for finance says of the month."""
    text = " ".join(page.replace("│", " ").split())
    for figure in (
        "Invoices, GBP 469 · 184,239.83 68 · 36,041.50",
        "401 · 148,198.33",
        "43 · 3,580.58",
        "68 invoices, GBP 36,041.50: the billing document names no customer",
        "NetSuite holds what billing billed, to the cent, but for what is held back",
    ):
        assert figure in text, page


def assert_published(published: Path) -> None:
    """Billed, held back and held by NetSuite now; each document without a customer an exception with that reason."""
    documents = query(
        published,
        "SELECT record, count(*), sum(billed_total), count(netsuite_internal_id), sum(netsuite_total) FROM documents"
        " WHERE tenant = 'retail' AND period = ? AND problem IS NULL GROUP BY record ORDER BY record",
        MONTH,
    )
    assert documents == [
        (record, facts.documents, facts.total, facts.documents, facts.total)
        for record, facts in (("creditMemo", CREDIT_MEMOS), ("invoice", INVOICES))
    ]
    exceptions = query(
        published,
        "SELECT code, count(*), sum(amount), count(DISTINCT number), count(internal_id) FROM exceptions"
        " WHERE tenant = 'retail' GROUP BY code",
    )
    assert exceptions == [("no_customer", *WITHOUT_A_CUSTOMER, WITHOUT_A_CUSTOMER[0], 0)]
    totals = query(
        published,
        "SELECT record, billed_documents, billed_total, held_back_documents, held_back_total, unexplained FROM totals"
        " WHERE tenant = 'retail' ORDER BY record",
    )
    number, amount = WITHOUT_A_CUSTOMER
    zero = Decimal(0)
    assert totals == [
        ("creditMemo", CREDIT_MEMOS.documents, CREDIT_MEMOS.total, 0, zero, zero),
        ("invoice", INVOICES.documents + number, INVOICES.total + amount, number, amount, zero),
    ]


def assert_netsuite_holds(netsuite: View, retail: DemoTenant) -> None:
    """NetSuite's own counts and sums, every line, and single records read whole."""
    for kind, facts in (("CustInvc", INVOICES), ("CustCred", CREDIT_MEMOS)):
        (held,) = netsuite.suiteql(
            f"SELECT COUNT(*) AS n, SUM(ABS(foreigntotal)) AS total FROM transaction WHERE type = '{kind}'"
        )
        assert (int(held["n"]), Decimal(held["total"])) == (facts.documents, facts.total)
        lines = netsuite.suiteql(
            "SELECT tl.uniquekey, t.externalid, tl.linesequencenumber AS line_no, tl.memo, ABS(tl.quantity) AS quantity,"
            " tl.rate, ABS(tl.foreignamount) AS amount FROM transactionline tl"
            f" JOIN transaction t ON t.id = tl.transaction WHERE t.type = '{kind}' AND tl.mainline = 'F'"
            " AND tl.taxline = 'F' ORDER BY tl.uniquekey"
        )
        assert len(lines) == facts.lines
        assert sum(Decimal(line["amount"]) for line in lines) == facts.total
        assert sorted(line_of(line) for line in lines) == sorted(billed_lines(retail, kind))
    customers = netsuite.suiteql("SELECT COUNT(*) AS n FROM customer")
    assert int(customers[0]["n"]) == CUSTOMERS
    every = [f"inv-{each.id}" for each in retail.billing.invoices if each.customer_id]
    planted = [each.external_id or "" for each in make_books("retail", retail.billing, MONTH, SEED).planted]
    read: Sequence[str] = [*planted, *Random(1).sample(every, 20)]
    assert_holds_exactly(netsuite, "retail", retail.billing, read=read)


def line_of(row: dict[str, str]) -> tuple[str, str, Decimal, Decimal, Decimal]:
    return (
        row["externalid"],
        row.get("memo") or "",
        Decimal(row["quantity"]),
        Decimal(row["rate"]),
        Decimal(row["amount"]),
    )


def billed_lines(retail: DemoTenant, kind: str) -> list[tuple[str, str, Decimal, Decimal, Decimal]]:
    prefix, documents = (
        ("inv", retail.billing.invoices) if kind == "CustInvc" else ("cm", retail.billing.credit_notes)
    )
    return [
        (
            f"{prefix}-{each.id}",
            line.description or "",
            abs(line.quantity),
            line.unit_amount,
            abs(line.amount),
        )
        for each in documents
        if each.customer_id
        for line in each.lines
    ]
