"""What is wrong is said in one message: what, where (file, line, column, table, variable), and what to do about it."""

from __future__ import annotations

import contextlib
import re
import socket
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result
from endtoend_tools import World, assert_holds_exactly, definitions, recon, run, tenant
from typer.testing import CliRunner

from netsuite_assets.cli import app

MONTH = "2026-10"
RUN = ("reconcile", "globex", MONTH)

CSV = """InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country
536365,85123A,LANTERN,6,01/12/2010 08:26,2.55,17850,United Kingdom
536366,71053,"HOOK, SMALL",8,01/12/2010 08:28,3.39,17850,United Kingdom
"""


@pytest.fixture(scope="module")
def instance_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the cases that share a world run, so that Dagster makes its databases once."""
    return tmp_path_factory.mktemp("instance")


@pytest.fixture
def command(
    request: pytest.FixtureRequest, tmp_path: Path, instance_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Result]:
    """`recon` in this process, its runs without the checks, which no case here reaches."""
    monkeypatch.chdir(instance_folder if "desk" in request.fixturenames else tmp_path)
    without_checks = definitions()
    monkeypatch.setattr("netsuite_assets.definitions.build_defs", lambda: without_checks)

    def invoke(*arguments: str) -> Result:
        return CliRunner().invoke(app, list(arguments))

    return invoke


def assert_told(result: Result, *parts: str, status: int = 1) -> None:
    """One message with these parts, the right exit status, and no stack trace."""
    assert result.exit_code == status, result.output
    assert isinstance(result.exception, SystemExit), result.exception
    assert "Traceback" not in result.output
    said = " ".join(result.stderr.split())
    for part in parts:
        assert part in said, said
    if status == 1:
        assert result.stderr.count("recon: ") <= 1, result.stderr


def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


# The file of invoices


@pytest.mark.parametrize(
    ("content", "parts"),
    [
        (None, ("there is no such file", "Check the path")),
        (b"PK\x03\x04\0\0\0 a spreadsheet", ("not a text file", "Save it as CSV")),
        (CSV.replace("UnitPrice", "Price").encode(), ("line 1, column UnitPrice", "is missing")),
        (CSV[:-40].encode(), ("line 3", "looks cut short", "export it again")),
        (CSV[:-1].encode(), ("line 3", "may be cut short", "add the line break")),
        (CSV.replace(",6,", ",six,").encode(), ("line 2, column Quantity", "'six' is not a number")),
        (CSV.replace("8,01/12", "8,2010-12").encode(), ("line 3, column InvoiceDate", "day/month/year")),
        (CSV.split("\n")[0].encode() + b"\n", ("no lines", "Export it again")),
    ],
    ids=["absent", "spreadsheet", "column", "half a line", "no end", "number", "date", "empty"],
)
def test_a_bad_invoice_file_leaves_nothing_behind(
    command: Callable[..., Result], tmp_path: Path, content: bytes | None, parts: tuple[str, ...]
) -> None:
    path = tmp_path / "invoices.csv"
    if content is not None:
        path.write_bytes(content)
    assert_told(command("demo", "--invoices", str(path)), str(path), *parts)
    assert not (tmp_path / ".demo").exists()


def test_a_folder_or_a_forbidden_file_is_no_invoice_file(
    command: Callable[..., Result], tmp_path: Path
) -> None:
    assert_told(command("demo", "--invoices", str(tmp_path)), str(tmp_path), "cannot be read")


# The tenant's file and its variables


def test_a_mistake_in_a_tenants_file_has_file_line_and_column(
    globex: World, command: Callable[..., Result]
) -> None:
    globex.change_tenant(
        "globex", "custbody_plan:      {from: metadata.plan", "custbody_plan:      {form: metadata.plan"
    )
    path = globex.stage.home / "tenants" / "globex.yaml"
    line = next(n for n, text in enumerate(path.read_text().splitlines(), 1) if "{form:" in text)
    for arguments in (RUN, ("write-back", "globex", MONTH), ("lint", "globex")):
        result = command(*arguments)
        assert result.exit_code == 1
        assert re.search(rf"tenants/globex\.yaml:{line}:\d+: .*form.*from", result.stderr), result.stderr
        assert "Traceback" not in result.output
    assert command("lint", "acme").exit_code == 0
    assert globex.view("globex").log() == []


@pytest.mark.parametrize("name", ["GLOBEX_NS_KEY_FILE", "GLOBEX_NS_CLIENT_ID", "GLOBEX_BILLING_URL"])
def test_a_missing_variable_is_named_with_the_line_that_names_it(
    desk: World, command: Callable[..., Result], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.delenv(name)
    result = command(*RUN)
    assert_told(result, name, "tenants/globex.yaml:")
    assert re.search(r"globex\.yaml:\d+:\d+", result.stderr)


@pytest.mark.parametrize(
    ("key", "parts"),
    [
        (None, ("cannot be read", "No such file")),
        (
            "-----BEGIN PRIVATE KEY-----\nbm90IGEga2V5\n-----END PRIVATE KEY-----\n",
            ("not a readable PEM file",),
        ),
        ("certificate", ("give the key, not the certificate",)),
        ("another tenant's", ("sign in to NetSuite account TSTDRV7654321", "refused the sign-in")),
    ],
    ids=["absent", "garbage", "certificate", "another's"],
)
def test_a_wrong_key_file(
    desk: World,
    command: Callable[..., Result],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    key: str | None,
    parts: tuple[str, ...],
) -> None:
    path = tmp_path / "key.pem"
    if key == "certificate":
        path = desk.stage.keys("globex").certificate
    elif key == "another tenant's":
        path = desk.stage.keys("acme").private_key
    elif key is not None:
        path.write_text(key)
    monkeypatch.setenv("GLOBEX_NS_KEY_FILE", str(path))
    assert_told(command(*RUN), *parts)


# The systems


def test_a_sandbox_that_is_not_running(
    desk: World, command: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    address = f"http://127.0.0.1:{closed_port()}/tstdrv7654321"
    monkeypatch.setenv("GLOBEX_NS_URL", address)
    assert_told(command(*RUN), address, "no connection could be made", "sandbox")


@pytest.mark.parametrize(
    ("statement", "parts"),
    [
        (
            "ALTER TABLE bills RENAME COLUMN bill_date TO billed_on",
            ("'bills' has no column 'bill_date'", "billed_on", "billing.tables.invoices.columns.issued_on"),
        ),
        (
            "ALTER TABLE bill_lines DROP COLUMN price",
            ("'bill_lines' has no column 'price'", "billing.tables.invoice_lines.columns.unit_amount"),
        ),
        pytest.param(
            "DROP TABLE receipts", ("'receipts'", "billing.tables.payments"), marks=pytest.mark.soak
        ),
    ],
    ids=["renamed", "dropped", "no table"],
)
def test_a_billing_table_without_the_named_column(
    globex: World, command: Callable[..., Result], statement: str, parts: tuple[str, ...]
) -> None:
    with contextlib.closing(sqlite3.connect(globex.stage.home / "globex-billing.sqlite")) as billing, billing:
        billing.execute(statement)
    assert_told(command(*RUN), *parts)


def test_after_any_of_it_the_next_run_heals(globex: World, command: Callable[..., Result]) -> None:
    """Half of a run was done when billing's table broke; then the working file breaks, too, and is deleted."""
    path = globex.stage.home / "globex-billing.sqlite"
    whole = path.read_bytes()
    with contextlib.closing(sqlite3.connect(path)) as billing, billing:
        billing.execute("ALTER TABLE bills RENAME COLUMN bill_date TO billed_on")
    assert_told(command("write-back", "globex", MONTH), "'bill_date'")
    assert globex.view("globex").log(writes=True) == []
    path.write_bytes(whole)
    globex.working("globex").write_bytes(b"not DuckDB" * 1000)
    assert_told(command(*RUN), "globex.duckdb", "cannot be opened")
    globex.working("globex").unlink()

    run("write_back", "globex", MONTH)
    assert_holds_exactly(globex.view("globex"), "globex", tenant("globex").billing)


@pytest.mark.parametrize(
    ("url", "parts"),
    [
        ("sqlite:///{broken}", ("{broken}", "file is not a database")),
        (
            "postgresql://billing:s3cr3t-pw@127.0.0.1:{port}/billing",
            ("127.0.0.1:{port}", "Connection refused"),
        ),
        ("snowflake://billing:s3cr3t-pw@account/billing", ("no driver for snowflake", "Install")),
        ("s3cr3t-pw at the billing server", ("cannot be understood", "sqlite:///path")),
    ],
    ids=["broken file", "no server", "no driver", "no url"],
)
def test_a_billing_database_that_cannot_be_read(
    desk: World,
    command: Callable[..., Result],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    url: str,
    parts: tuple[str, ...],
) -> None:
    broken, port = tmp_path / "billing.sqlite", closed_port()
    broken.write_bytes(b"this is not a database" * 100)
    monkeypatch.setenv("GLOBEX_BILLING_URL", url.format(broken=broken, port=port))
    result = command(*RUN)
    # The assets that read billing fail for the same reason, which is said once.
    failed = "billing_credit_notes, billing_customers, billing_invoices, billing_journals, billing_payments: "
    assert_told(result, failed, *(part.format(broken=broken, port=port) for part in parts))
    assert "s3cr3t-pw" not in result.output


def test_an_error_that_was_not_foreseen_is_told_in_its_own_words(
    desk: World, command: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    def breaks(*_: object) -> None:
        raise ZeroDivisionError("nobody thought of this")

    monkeypatch.setattr("resources.connections.billing_source", breaks)
    result = command(*RUN)
    assert_told(result, "not foreseen: ZeroDivisionError: nobody thought of this", "run ")


# The warehouse, the published file and the ledger


def test_a_broken_published_file(globex: World, command: Callable[..., Result]) -> None:
    globex.published.write_bytes(b"not DuckDB" * 1000)
    for arguments in (("query", "SELECT 1"), ("page", "globex", MONTH)):
        assert_told(command(*arguments), "published.duckdb", "Delete it")
    globex.published.unlink()
    for arguments in (("query", "SELECT 1"), ("page", "globex", MONTH)):
        assert_told(command(*arguments), "nothing is published yet")


def test_a_query_with_a_mistake(desk: World, command: Callable[..., Result]) -> None:
    assert_told(command("query", "SELECT nothing FROM differences"), "DuckDB refuses the query", "nothing")


def test_a_ledger_that_cannot_be_opened(
    desk: World, command: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RECON_LEDGER", f"postgresql://ledger:s3cr3t-pw@127.0.0.1:{closed_port()}/ledger")
    result = command("plan", "globex", MONTH)
    assert_told(result, "ledger", "RECON_LEDGER")
    assert "s3cr3t-pw" not in result.output


# Arguments


@pytest.mark.parametrize(
    ("arguments", "status", "parts"),
    [
        (("reconcile", "globx", MONTH), 1, ("globx", "globex")),
        (("lint", "globx"), 1, ("globx", "globex")),
        (("reconcile", "globex", "2026-13"), 1, ("'2026-13' is no accounting month", "YYYY-MM")),
        (("reconcile", "globex", "October"), 1, ("'October' is no accounting month",)),
        (("reconcile", "globex", "2020-01"), 2, ("before the first month", "RECON_FIRST_MONTH=2020-01")),
        (("reconcile", "globex"), 2, ("Missing argument",)),
        (("reconsile", "globex", MONTH), 2, ("No such command",)),
        (("demo", "--billing-url", "sqlite:///x"), 2, ("--invoices",)),
        (("plan", "globex", "2026-09"), 1, ("no plan for 2026-09", "recon reconcile globex 2026-09")),
        (
            ("approve", "globex", "2026-09", "--by", "A", "--note", "B"),
            1,
            ("globex, 2026-09: there is no plan",),
        ),
        (("approve", "globex", MONTH), 2, ("Missing option",)),
        (("explain", "globex", "order", "x"), 2, ("customer, invoice, creditMemo",)),
        (("explain", "globex", "invoice", "inv-0"), 1, ("no invoice inv-0",)),
        (("page", "globex", "2026-09"), 1, ("globex", "2026-09")),
        (("page", "globx", MONTH), 1, ("globx",)),
    ],
    ids=lambda value: " ".join(value[:3]) if isinstance(value, tuple) else None,
)
def test_wrong_arguments(
    desk: World,
    command: Callable[..., Result],
    arguments: tuple[str, ...],
    status: int,
    parts: tuple[str, ...],
) -> None:
    assert_told(command(*arguments), *parts, status=status)


def test_the_command_itself_ends_with_the_status_and_the_message(desk: World) -> None:
    """One case in a process of its own, as a script sees it."""
    done = recon(
        "reconcile", "globx", MONTH, folder=desk.folder, environ=desk.stage.kept_environment()
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("recon: ")
    assert "globx" in done.stderr
