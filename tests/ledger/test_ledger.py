"""The ledger on SQLite and PostgreSQL: what was intended is known whatever happens, and nothing is intended twice."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from threading import Barrier
from typing import get_args

import pytest
import sqlalchemy as sa

from resources.ledger import CLOSING, Approval, Event, EventKind, Ledger, LedgerError, NewIntent, Plan

NOW = datetime(2026, 11, 1, 6, 30, 15, 123456, tzinfo=UTC)
SECRET = "hunter2-very-secret"


def intent(target: str = "inv-1", **more: str) -> NewIntent:
    made = NewIntent(
        operation_key=f"key-{target}",
        record="invoice",
        target=target,
        number=f"N-{target}",
        name="Café Zürich 株式会社",
        action="create",
        method="PUT",
        path=f"/services/rest/record/v1/invoice/eid:{target}",
        query="replace=item",
        body='{"memo":"größer"}',
        body_hash="h",
    )
    return replace(made, **more)  # type: ignore[arg-type]


def intend(ledger: Ledger, *targets: str, tenant: str = "acme") -> list[int]:
    made = ledger.intend(tenant, "2026-10", "p1", [intent(target) for target in targets], NOW)
    return [each.id for each in made]


def open_targets(ledger: Ledger, tenant: str = "acme") -> list[str]:
    return [each.target for each in ledger.open_intents(tenant)]


# Intents


def test_what_is_intended_is_kept_to_the_byte(ledger: Ledger, url: str) -> None:
    [made] = ledger.intend("acme", "2026-10", "p1", [intent()], NOW)
    reread = Ledger(url)
    assert reread.open_intents("acme") == [made]
    reread.close()
    assert (made.body, made.name, made.attempt) == ('{"memo":"größer"}', "Café Zürich 株式会社", 1)
    assert made.intended_at == NOW
    assert made.is_open


def test_intents_are_recorded_all_or_none(ledger: Ledger) -> None:
    intend(ledger, "inv-2")
    with pytest.raises(
        LedgerError, match="acme: another write to one of the records of this plan is still open"
    ):
        intend(ledger, "inv-1", "inv-2", "inv-3")
    assert open_targets(ledger) == ["inv-2"]
    assert len(ledger.history("acme")) == 1


def test_a_record_twice_in_one_batch_is_refused(ledger: Ledger) -> None:
    with pytest.raises(LedgerError, match="nothing was sent"):
        intend(ledger, "inv-1", "inv-1")
    assert open_targets(ledger) == []


def test_records_types_and_tenants_are_apart(ledger: Ledger) -> None:
    intend(ledger, "inv-1")
    ledger.intend("acme", "2026-10", "p1", [intent("inv-1", record="creditMemo", operation_key="other")], NOW)
    intend(ledger, "inv-1", tenant="globex")
    assert open_targets(ledger) == ["inv-1", "inv-1"]
    assert open_targets(ledger, "globex") == ["inv-1"]
    assert open_targets(ledger, "nobody") == []


@pytest.mark.parametrize("kind", get_args(EventKind))
def test_only_a_known_outcome_closes_an_intent(ledger: Ledger, kind: EventKind) -> None:
    [made] = intend(ledger, "inv-1")
    ledger.record([Event(made, kind)], NOW)
    if kind in {"answered", "rejected", "adopted", "not_found"}:
        assert open_targets(ledger) == []
        [again] = ledger.intend("acme", "2026-10", "p1", [intent("inv-1")], NOW)
        assert again.attempt == 2
    else:
        assert open_targets(ledger) == ["inv-1"]
        with pytest.raises(LedgerError, match="still open"):
            intend(ledger, "inv-1")


def test_the_closing_kinds_are_those_that_say_what_became_of_a_write() -> None:
    assert {"answered", "rejected", "adopted", "not_found"} == CLOSING


def test_a_write_in_doubt_is_closed_by_what_is_found(ledger: Ledger) -> None:
    [made] = intend(ledger, "inv-1")
    ledger.record([Event(made, "in_doubt", detail="timed out")], NOW)
    assert open_targets(ledger) == ["inv-1"]
    ledger.record([Event(made, "adopted", internal_id="812")], NOW + timedelta(minutes=1))
    assert open_targets(ledger) == []
    [row] = ledger.history("acme")
    assert (row["state"], row["internal_id"]) == ("adopted", "812")


def test_an_intent_needs_a_plan_that_is_known(ledger: Ledger) -> None:
    with pytest.raises(LedgerError, match="knows no plan unknown-plan;"):
        ledger.intend("acme", "2026-10", "unknown-plan", [intent()], NOW)
    assert open_targets(ledger) == []


# History


def test_the_history_shows_each_intent_with_its_latest_event(ledger: Ledger) -> None:
    first, second = intend(ledger, "inv-1", "inv-2")
    ledger.intend("acme", "2026-11", "p1", [intent("inv-3")], NOW)
    intend(ledger, "inv-1", tenant="globex")
    later = NOW + timedelta(seconds=9)
    ledger.record([Event(first, "answered", status=204, internal_id="77", request_id="r")], NOW)
    ledger.record([Event(first, "verified")], later)
    ledger.record([Event(second, "rejected", status=400, detail="no such item")], NOW)
    rows = ledger.history("acme", "2026-10")
    assert [(row["target"], row["state"], row["internal_id"], row["detail"]) for row in rows] == [
        ("inv-1", "verified", "77", None),
        ("inv-2", "rejected", None, "no such item"),
    ]
    assert (rows[0]["state_at"], rows[0]["intended_at"]) == (later, NOW)
    assert [row["target"] for row in ledger.history("acme")] == ["inv-1", "inv-2", "inv-3"]


def test_instants_keep_their_moment_and_naive_ones_are_refused(ledger: Ledger) -> None:
    in_tokyo = NOW.astimezone(timezone(timedelta(hours=9)))
    ledger.intend("acme", "2026-10", "p1", [intent()], in_tokyo)
    [row] = ledger.history("acme")
    assert row["intended_at"] == NOW
    assert row["intended_at"].tzinfo is UTC
    with pytest.raises(Exception, match="time zone"):
        ledger.intend("acme", "2026-10", "p1", [intent("inv-2")], NOW.replace(tzinfo=None))
    assert open_targets(ledger) == ["inv-1"]


# Plans and approvals


def test_the_latest_plan_comes_first_also_when_it_was_made_before(ledger: Ledger) -> None:
    first = ledger.plan("p1")
    assert first is not None
    second = replace(first, plan_id="p2", made_at=first.made_at + timedelta(hours=1))
    ledger.record_plan(second)
    assert ledger.plan_ids("acme", "2026-10") == ["p2", "p1"]
    assert ledger.plan_ids("acme", "2026-09") == []
    ledger.record_plan(replace(first, made_at=first.made_at + timedelta(hours=2), held_because="too much"))
    assert ledger.plan_ids("acme", "2026-10") == ["p1", "p2"]
    again = ledger.plan("p1")
    assert again is not None
    assert (again.held_because, again.operations, again.amounts) == ("too much", 2, "USD 3.00")
    assert ledger.plan("p3") is None


def test_an_approval_names_who_and_the_latest_counts(ledger: Ledger) -> None:
    assert ledger.approval("p1") is None
    for who, automatic in (("policy", True), ("Ana Controller", False)):
        ledger.approve(Approval("p1", who, automatic, "month-end", NOW))
    assert ledger.approval("p1") == Approval("p1", "Ana Controller", False, "month-end", NOW)


def test_an_unknown_plan_cannot_be_approved(ledger: Ledger) -> None:
    with pytest.raises(LedgerError, match="knows no plan abcdefghijkl;"):
        ledger.approve(Approval("abcdefghijklmnop", "Ana", False, "", NOW))


def test_a_mapping_version_is_kept_once(ledger: Ledger, url: str) -> None:
    for tenant, version in (("acme", "v1"), ("acme", "v1"), ("acme", "v2"), ("globex", "v1")):
        ledger.record_mapping(tenant, version, {"records": {"größe": 1}}, NOW)
    engine = sa.create_engine(url.replace("postgresql:", "postgresql+psycopg2:"))
    with engine.connect() as connection:
        rows = connection.execute(sa.text("SELECT tenant, hash FROM mapping_versions ORDER BY 1, 2")).all()
    engine.dispose()
    assert [tuple(row) for row in rows] == [("acme", "v1"), ("acme", "v2"), ("globex", "v1")]


def test_versions_are_kept_in_the_order_of_their_use_also_when_one_comes_back(ledger: Ledger) -> None:
    for day, version in enumerate(("v1", "v1", "v2", "v2", "v1")):
        ledger.record_mapping("acme", version, {"is": version}, NOW + timedelta(days=day))
    ledger.record_mapping("globex", "w1", {"is": "w1"}, NOW)
    assert [(use.hash, use.used_from, use.effective) for use in ledger.mapping_history("acme")] == [
        ("v1", NOW, {"is": "v1"}),
        ("v2", NOW + timedelta(days=2), {"is": "v2"}),
        ("v1", NOW + timedelta(days=4), {"is": "v1"}),
    ]
    assert [plan.plan_id for plan in ledger.plans_of_tenant("acme")] == ["p1"]


def test_versions_of_a_ledger_that_noted_no_uses_count_from_their_first(ledger: Ledger, url: str) -> None:
    ledger.record_mapping("acme", "v2", {}, NOW)
    engine = sa.create_engine(url.replace("postgresql:", "postgresql+psycopg2:"))
    with engine.begin() as connection:
        connection.execute(
            sa.text("INSERT INTO mapping_versions VALUES ('acme', 'v1', :at, '{}')"),
            {"at": (NOW - timedelta(days=9)).replace(tzinfo=None)},
        )
    engine.dispose()
    assert [use.hash for use in ledger.mapping_history("acme")] == ["v1", "v2"]


# At the same time


def _race(url: str, batches: Sequence[Sequence[str]]) -> list[str]:
    """Each thread intends its batch through a ledger of its own, all at once: what came of each."""
    start = Barrier(len(batches))

    def attempt(targets: Sequence[str]) -> str:
        own = Ledger(url)
        try:
            start.wait()
            intend(own, *targets)
        except LedgerError as error:
            return "refused" if "nothing was sent" in str(error) else str(error)
        finally:
            own.close()
        return "intended"

    with ThreadPoolExecutor(len(batches)) as pool:
        return list(pool.map(attempt, batches))


def test_of_writes_to_one_record_at_the_same_time_one_is_let_through(ledger: Ledger, url: str) -> None:
    outcomes = _race(url, [["inv-1"]] * 6)
    assert sorted(outcomes) == ["intended"] + ["refused"] * 5
    assert open_targets(ledger) == ["inv-1"]


def test_plans_that_overlap_crosswise_do_not_lock_each_other_for_ever(ledger: Ledger, url: str) -> None:
    names = [f"inv-{number}" for number in range(20)]
    outcomes = _race(url, [names, names[::-1]])
    assert sorted(outcomes) == ["intended", "refused"]
    assert sorted(open_targets(ledger)) == sorted(names)


def test_a_new_ledger_may_be_opened_by_several_runs_at_once(url: str) -> None:
    start = Barrier(6)

    def opened(_: int) -> list[str]:
        start.wait()
        own = Ledger(url)
        try:
            return own.plan_ids("acme", "2026-10")
        finally:
            own.close()

    with ThreadPoolExecutor(6) as pool:
        assert list(pool.map(opened, range(6))) == [[]] * 6


def test_intents_come_back_in_the_order_given(ledger: Ledger) -> None:
    made = ledger.intend("acme", "2026-10", "p1", [intent(name) for name in ("b", "c", "a")], NOW)
    assert [each.target for each in made] == ["b", "c", "a"]


def test_threads_share_one_ledger(ledger: Ledger) -> None:
    def write(number: int) -> None:
        [made] = intend(ledger, f"inv-{number}")
        ledger.record([Event(made, "answered", status=204)], NOW)

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(write, range(24)))
    assert open_targets(ledger) == []
    assert {row["state"] for row in ledger.history("acme")} == {"answered"}
    assert len(ledger.history("acme")) == 24


def test_an_intent_outlives_the_process_that_was_killed_after_it(ledger: Ledger, url: str) -> None:
    program = f"""
import os, signal
from datetime import UTC, datetime
from resources.ledger import Ledger, NewIntent
new = NewIntent("key", "invoice", "inv-9", "N-9", "Acme", "create", "PUT", "/p", "", "{{}}", "h")
Ledger({url!r}).intend("acme", "2026-10", "p1", [new], datetime.now(UTC))
os.kill(os.getpid(), signal.SIGKILL)
"""
    killed = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert open_targets(ledger) == ["inv-9"]
    with pytest.raises(LedgerError, match="still open"):
        intend(ledger, "inv-9")


def test_a_process_killed_before_its_commit_leaves_nothing(ledger: Ledger, url: str) -> None:
    program = f"""
import os, signal
from datetime import UTC, datetime
import sqlalchemy as sa
from resources.ledger import Ledger, NewIntent
new = NewIntent("key", "invoice", "inv-9", "N-9", "Acme", "create", "PUT", "/p", "", "{{}}", "h")
ledger = Ledger({url!r})
sa.event.listen(ledger._engine, "commit", lambda connection: os.kill(os.getpid(), signal.SIGKILL))
ledger.intend("acme", "2026-10", "p1", [new], datetime.now(UTC))
"""
    killed = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert open_targets(ledger) == []
    assert ledger.history("acme") == []
    intend(ledger, "inv-9")


# Durability


def test_sqlite_writes_ahead_and_waits_for_the_disk(sqlite_url: str) -> None:
    ledger = Ledger(sqlite_url)
    with ledger._engine.connect() as connection:
        pragmas = [
            connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys")
        ]
    ledger.close()
    assert pragmas == ["wal", 2, 1]  # 2 is FULL


def test_a_second_open_intent_is_impossible_in_the_database_itself(ledger: Ledger) -> None:
    intend(ledger, "inv-1")
    copied = (
        "INSERT INTO intents (tenant, period, plan_id, operation_key, attempt, record, target, action, method, path,"
        " query, body, body_hash, intended_at, is_open)"
        " SELECT tenant, period, plan_id, operation_key, attempt + 1, record, target, action, method, path,"
        " query, body, body_hash, intended_at, is_open FROM intents"
    )
    with pytest.raises(sa.exc.IntegrityError), ledger._engine.begin() as connection:
        connection.exec_driver_sql(copied)


# What cannot be used


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql://recon:{SECRET}@127.0.0.1:1/ledger",
        f"postgresql://127.0.0.1:1/ledger?user=recon&password={SECRET}",
    ],
)
def test_an_unreachable_server_is_told_without_the_password(url: str) -> None:
    with pytest.raises(LedgerError) as told:
        Ledger(url)
    message = str(told.value)
    assert "127.0.0.1:1/ledger cannot be used" in message
    assert "Connection refused" in message
    assert "RECON_LEDGER" in message
    assert SECRET not in message
    assert "\n" not in message
    assert told.value.__cause__ is None


@pytest.mark.parametrize(
    "url",
    ["nonsense", f"nosuchdatabase://u:{SECRET}@host/x", f"mysql+nosuchdriver://u:{SECRET}@host/x", ""],
)
def test_a_url_that_is_none_is_told(url: str) -> None:
    with pytest.raises(LedgerError, match="RECON_LEDGER") as told:
        Ledger(url)
    assert SECRET not in str(told.value)


def test_a_file_that_is_no_ledger_is_told(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("not a database " * 100)
    with pytest.raises(LedgerError, match="cannot be used") as told:
        Ledger(f"sqlite:///{path}")
    assert str(path) in str(told.value)
    assert path.read_text().startswith("not a database")


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(LedgerError, match="cannot be used") as told:
        Ledger(f"sqlite:///{tmp_path / 'taken' / 'ledger.sqlite'}")
    assert str(tmp_path / "taken") in str(told.value)


def test_a_server_that_goes_away_is_told(new_postgres_database: Callable[[], str]) -> None:
    url = new_postgres_database()
    ledger = Ledger(url)
    ledger.record_plan(Plan("p1", "acme", "2026-10", NOW, "m", "i", 2, "", None))
    parsed = sa.make_url(url).set(drivername="postgresql+psycopg2")
    admin = sa.create_engine(parsed.set(database="postgres"), isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.exec_driver_sql(f"DROP DATABASE {parsed.database} WITH (FORCE)")
    admin.dispose()
    with pytest.raises(LedgerError) as told:
        intend(ledger, "inv-1")
    ledger.close()
    assert "nothing was sent" not in str(told.value)
    assert "the ledger at postgresql" in str(told.value)
    assert "größer" not in str(told.value)


def test_a_locked_file_is_told(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("resources.ledger.database.BUSY_SECONDS", 0.1)
    ledger = Ledger(sqlite_url)
    other = sqlite3.connect(sa.make_url(sqlite_url).database or "", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(LedgerError, match="database is locked"):
        ledger.open_intents("acme")
    other.execute("ROLLBACK")
    other.close()
    assert ledger.open_intents("acme") == []
    ledger.close()
