"""Tenants are apart: none stops another, and nobody reads another's records."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from io import StringIO
from pathlib import Path

import duckdb
import pytest
from endtoend_tools import (
    LedgerView,
    World,
    books,
    definitions,
    plain_environment,
    query,
    run,
    tenant,
    world,
)
from rich.console import Console
from typer.testing import CliRunner

from demo.documents import Billing
from demo.run import run_demo
from demo.stage import usage_tenants
from netsuite_assets.cli import app
from netsuite_assets.launch import RunFailed

Opened = Callable[[Path], AbstractContextManager[World]]
MONTH = "2026-10"
OTHERS = {"acme": "globex", "globex": "acme"}


def numbers(billing: Billing) -> set[str]:
    """What belongs to one tenant alone: its documents' numbers and its customers' external ids."""
    return {each.number for each in (*billing.invoices, *billing.credit_notes)} | {
        f"cus-{each.id}" for each in billing.customers
    }


@pytest.mark.parametrize("name", ["acme", "globex"])
def test_a_tenants_published_rows_are_its_own(demo_ran: Path, name: str) -> None:
    published = demo_ran / ".demo" / "warehouse" / "published.duckdb"
    own, others = numbers(tenant(name).billing), numbers(tenant(OTHERS[name]).billing)
    assert not own & others
    tables = [row[0] for row in query(published, "SELECT table_name FROM duckdb_tables() ORDER BY 1")]
    assert len(tables) >= 8
    found_own = 0
    for table in tables:
        texts = query(published, f"SELECT CAST(t AS VARCHAR) FROM {table} t WHERE tenant = ?", name)
        for (text,) in texts:
            assert not any(number in text for number in others), (table, text)
            found_own += any(number in text for number in own)
        assert query(published, f"SELECT count(*) FROM {table} WHERE tenant NOT IN ('acme', 'globex')") == [
            (0,)
        ]
    assert found_own > 100


@pytest.mark.parametrize("name", ["acme", "globex"])
def test_a_tenants_working_file_is_its_own(demo_ran: Path, name: str) -> None:
    working = demo_ran / ".demo" / "warehouse" / "tenants" / f"{name}.duckdb"
    others = numbers(tenant(OTHERS[name]).billing)
    with duckdb.connect(str(working), read_only=True) as connection:
        tables = connection.execute("SELECT schema_name, table_name FROM duckdb_tables()").fetchall()
        for schema, table in tables:
            rows = connection.execute(f'SELECT CAST(t AS VARCHAR) FROM "{schema}"."{table}" t').fetchall()
            assert not [text for (text,) in rows if any(number in text for number in others)], (schema, table)


def test_a_tenants_ledger_rows_are_its_own(demo_ran: Path) -> None:
    ledger = LedgerView(demo_ran / ".demo" / "ledger.sqlite")
    for intent in ledger.intents():
        others = numbers(tenant(OTHERS[intent["tenant"]]).billing)
        assert not any(number in (intent["body"], intent["number"], intent["target"]) for number in others)


def test_one_tenants_broken_file_does_not_stop_another(
    filled: Path, opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened(filled) as here:
        here.change_tenant("acme", "first_month: 2026-08", "first_mnth: 2026-08")
        run("read_billing", "globex", MONTH)
        assert query(here.working("globex"), "SELECT count(*) > 60 FROM billing.invoices") == [(True,)]
        with pytest.raises(RunFailed, match=r"acme\.yaml:\d+:\d+: .*first_mnth"):
            run("read_billing", "acme", MONTH)
        every = CliRunner().invoke(app, ["lint"])
        assert every.exit_code == 1
        assert every.stderr.count("acme.yaml") == 1
        assert "globex" not in every.stderr


def test_the_demo_goes_on_with_the_next_tenant_and_writes_only_when_it_is_asked_to(
    filled: Path, monkeypatch: pytest.MonkeyPatch, opened: Opened
) -> None:
    with opened(filled) as here:
        pass
    monkeypatch.chdir(here.folder)
    without_checks = definitions()
    monkeypatch.setattr("netsuite_assets.definitions.build_defs", lambda: without_checks)
    for name, value in here.stage.kept_environment().items():
        monkeypatch.setenv(name, value)
    here.working("acme").parent.mkdir(parents=True)
    here.working("acme").write_bytes(b"a broken disk" * 1000)
    printed = StringIO()

    with pytest.raises(RunFailed, match=r"^acme: .*acme\.duckdb cannot be opened"):
        run_demo(Console(file=printed, width=200), here.stage, usage_tenants(), apply=False)

    said = printed.getvalue()
    assert "─ globex · October 2026" in said
    assert "─ acme · October 2026" not in said
    planned = len({each.external_id or each.what for each in books("globex").planted})
    assert f"{planned} operations planned, none sent." in said
    assert "NetSuite still differs from billing" in said
    assert here.ledger.intents() == []
    with world(here.folder) as again:
        assert again.query("SELECT DISTINCT tenant FROM totals") == [("globex",)]
        held = again.view("globex").suiteql("SELECT COUNT(*) AS n FROM transaction")
        assert int(held[0]["n"]) == len(books("globex").bookings) + len(books("globex").payments)


@pytest.mark.soak
def test_two_tenants_at_once_are_both_published(filled: Path, opened: Opened) -> None:
    with opened(filled) as here:
        environ = plain_environment() | here.stage.kept_environment()
        drive = str(Path(__file__).with_name("endtoend_drive.py"))
        both = [
            subprocess.Popen(
                [sys.executable, drive, "reconcile", name, MONTH], env=environ, stderr=subprocess.PIPE
            )
            for name in ("acme", "globex")
        ]
        for process in both:
            assert process.communicate(timeout=120)[1] is not None
            assert process.returncode == 0
        counted = here.query("SELECT tenant, count(*) > 10 FROM documents GROUP BY 1 ORDER BY 1")
        assert counted == [("acme", True), ("globex", True)]
