"""`recon ledger verify` finds what was changed past the program, and an export holds a month's writes, byte for byte."""

from __future__ import annotations

import csv
import hashlib
import io
import zipfile
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
import sqlalchemy as sa
from typer.testing import CliRunner

from netsuite_assets.cli import app
from netsuite_assets.writeback.operations import request_hash
from resources.ledger import (
    Approval,
    Event,
    Ledger,
    LedgerError,
    NewIntent,
    Plan,
    SeenException,
    SignOffEvent,
    engine,
)
from resources.netsuite.writes import WriteRequest

NOW = datetime(2026, 11, 1, 6, tzinfo=UTC)
PERIOD = "2026-10"


def write(target: str, key: str | None = None) -> NewIntent:
    path, query, body = f"/services/rest/record/v1/invoice/eid:{target}", "replace=item", '{"memo":"größer"}'
    hashed = request_hash(WriteRequest("PUT", path, query, body.encode()))
    return NewIntent(
        key or f"key-{target}",
        "invoice",
        target,
        "=1+1",
        "Café Zürich",
        "create",
        "PUT",
        path,
        query,
        body,
        hashed,
    )


@pytest.fixture
def written(ledger: Ledger) -> Ledger:
    """A plan approved in part and sent: one write verified, one rejected and sent again, one in doubt."""
    ledger.record_mapping("acme", "m", {"tenant": "acme"}, NOW)
    keys = frozenset({"key-inv-1", "key-inv-2", "key-inv-3"})
    ledger.approve(Approval("p1", "Ana Controller", False, "read", NOW, keys))
    first, second, _ = ledger.intend("acme", PERIOD, "p1", [write(f"inv-{n}") for n in (1, 2, 3)], NOW)
    later = NOW + timedelta(seconds=1)
    ledger.record(
        [Event(first.id, "answered", 204, "77", "r-1"), Event(second.id, "rejected", 400, detail="no item")],
        later,
    )
    ledger.record([Event(first.id, "verified", internal_id="77")], later)
    ledger.intend("acme", PERIOD, "p1", [write("inv-2")], later)
    seen = SeenException(
        "c", "apply", "rejected", "invoice", "inv-2", None, "N-2", "Acme", Decimal(1), "USD", "no", "do"
    )
    ledger.synchronise_exceptions("acme", PERIOD, ["apply"], [seen], NOW, "run")
    [one] = ledger.exceptions("acme", NOW)
    ledger.accept_exceptions(
        "acme", [one.id], "later", (NOW + timedelta(days=9)).date(), NOW + timedelta(days=9), "Ana", NOW
    )
    ledger.add_sign_off_event(
        SignOffEvent("acme", PERIOD, 1, NOW, "prepared", "Ana", "seen", figures="{}"), b"figures"
    )
    return ledger


def found(ledger: Ledger) -> list[str]:
    return [str(finding) for finding in ledger.verify().findings]


def test_what_the_program_wrote_is_consistent(written: Ledger) -> None:
    proven = written.verify()
    assert proven.findings == ()
    assert (proven.rows["intents"], proven.rows["events"], proven.rows["approvals"]) == (4, 7, 1)


def test_an_acceptance_that_lapsed_is_consistent(written: Ledger) -> None:
    assert [one.state for one in written.exceptions("acme", NOW + timedelta(days=10))] == ["open"]
    assert found(written) == []


@pytest.mark.parametrize(
    ("table", "change", "says"),
    [
        ("intents", "UPDATE intents SET body = 'x' WHERE target = 'inv-1'", "invoice inv-1 is not the one that was hashed"),
        ("intents", "UPDATE intents SET plan_id = 'p2' WHERE target = 'inv-3'", "nobody had approved the create of invoice inv-3"),
        ("intents", "UPDATE intents SET attempt = 3 WHERE attempt = 2", "attempt 3 where 2 should follow"),
        ("intents", "UPDATE intents SET is_open = {false} WHERE target = 'inv-3'", "closed without an outcome"),
        ("intents", "UPDATE intents SET is_open = {true} WHERE target = 'inv-1'", "open though its outcome is known"),
        ("events", "DELETE FROM events WHERE kind = 'intended' AND intent_id = 1", "does not begin with its being intended"),
        ("events", "UPDATE events SET at = '2026-10-31 00:00:00.000000' WHERE kind = 'verified'", "goes back in time"),
        ("approvals", "UPDATE approvals SET approved_at = '2026-11-02 00:00:00.000000'", "nobody had approved"),
        ("approved_operations", "DELETE FROM approved_operations WHERE operation_key = 'key-inv-3'", "for 3 operations and 2 are kept"),
        ("mapping_versions", "DELETE FROM mapping_versions", "the version of the mapping that made it is not kept"),
        ("exceptions", "UPDATE exceptions SET state = 'closed'", "it is closed, and its history leaves it accepted"),
        ("sign_off_events", "UPDATE sign_off_events SET sequence = 2", "step 1 is not there"),
        ("signed_documents", "UPDATE signed_documents SET content = {other}", "not the figures that were signed"),
        ("signed_documents", "DELETE FROM signed_documents", "the figures of step 1 are not kept"),
    ],
)  # fmt: skip
def test_what_was_changed_past_the_program_is_found(
    written: Ledger, url: str, table: str, change: str, says: str
) -> None:
    written.record_plan(Plan("p2", "acme", PERIOD, NOW, "m", "i", 0, "", None))
    database = engine(url)
    with database.begin() as connection:
        is_sqlite = connection.dialect.name == "sqlite"
        words = {"true": "1", "false": "0", "other": "x'00'"} if is_sqlite else {
            "true": "true", "false": "false", "other": "'\\x00'::bytea"
        }  # fmt: skip
        for name in [f"{table}_update", f"{table}_delete"] if is_sqlite else [f"{table}_kept"]:
            connection.exec_driver_sql(
                f"DROP TRIGGER IF EXISTS {name}" + ("" if is_sqlite else f" ON {table}")
            )
        connection.exec_driver_sql(change.format(**words))
    database.dispose()
    findings = found(written)
    assert any(says in finding for finding in findings), findings
    if table != "exceptions":
        assert f"{table} all: the trigger that keeps its history from being changed is gone" in findings


@pytest.mark.parametrize(
    "change",
    [
        "DELETE FROM events",
        "UPDATE events SET detail = 'x'",
        "DELETE FROM approvals",
        "UPDATE approvals SET note = 'x'",
        "DELETE FROM approved_operations",
        "DELETE FROM intents",
        "UPDATE intents SET body = '{}'",
        "DELETE FROM plans",
        "UPDATE plans SET operations = 9",
    ],
)
def test_the_database_itself_keeps_what_happened(written: Ledger, url: str, change: str) -> None:
    database = engine(url)
    with pytest.raises(sa.exc.IntegrityError, match="only ever added to"), database.begin() as connection:
        connection.exec_driver_sql(change)
    database.dispose()


def test_an_export_holds_the_month_and_the_same_ledger_gives_the_same_file(
    written: Ledger, tmp_path: Path
) -> None:
    first, second = tmp_path / "first.zip", tmp_path / "second.zip"
    rows = written.export("acme", PERIOD, first)
    written.export("acme", PERIOD, second)
    assert first.read_bytes() == second.read_bytes()
    assert rows == {
        "plans": 1, "approvals": 1, "approved_operations": 3, "intents": 4, "answers": 6, "read_backs": 1,
    }  # fmt: skip
    with zipfile.ZipFile(first) as archive:
        files = {name.split("/")[1]: archive.read(name) for name in archive.namelist()}
    for line in files["SHA256SUMS"].decode().splitlines():
        digest, name = line.split("  ")
        assert hashlib.sha256(files[name]).hexdigest() == digest
    read = list(csv.DictReader(io.StringIO(files["intents.csv"].decode("utf-8-sig"))))
    assert [row["target"] for row in read] == ["inv-1", "inv-2", "inv-3", "inv-2"]
    assert read[0]["body_hash"] == write("inv-1").body_hash
    assert read[0]["name"] == "Café Zürich"
    assert read[0]["number"] == "'=1+1"  # a spreadsheet does not run it
    assert "body" not in read[0]
    assert "Ana Controller" in files["approvals.csv"].decode("utf-8-sig")


def test_a_month_without_a_plan_is_not_exported(written: Ledger, tmp_path: Path) -> None:
    with pytest.raises(LedgerError, match="no plan of globex for 2026-10"):
        written.export("globex", PERIOD, tmp_path / "x.zip")
    with pytest.raises(LedgerError, match="cannot be written"):
        written.export("acme", PERIOD, tmp_path / "nowhere" / "x.zip")
    assert list(tmp_path.glob("*.zip*")) == []


def test_the_commands_say_what_they_found(
    written: Ledger, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RECON_LEDGER", url)
    good = CliRunner().invoke(app, ["ledger", "verify"])
    assert good.exit_code == 0, good.output
    assert "The ledger is consistent." in good.stdout
    path = tmp_path / "october.zip"
    exported = CliRunner().invoke(app, ["ledger", "export", "acme", PERIOD, "--to", str(path)])
    assert exported.exit_code == 0, exported.output
    assert path.exists()
    database = engine(url)
    with database.begin() as connection:
        flag = "1" if connection.dialect.name == "sqlite" else "true"
        connection.exec_driver_sql(f"UPDATE intents SET is_open = {flag} WHERE target = 'inv-1'")
    database.dispose()
    bad = CliRunner().invoke(app, ["ledger", "verify"])
    assert bad.exit_code == 1
    assert "✗ intents 1: it is open though its outcome is known" in bad.stdout
