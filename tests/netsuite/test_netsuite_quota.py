"""The budget that processes share through the ledger's database: never more than allowed, fair, and never lost."""

from __future__ import annotations

import asyncio
import json
import logging
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from resources.netsuite.governor import Governor
from resources.quota import Lease, Need, Pace, SharedBudget, adapted, share

WORKER = Path(__file__).with_name("quota_worker.py")
ROOT = Path(__file__).parents[2]
QUICK = Pace(lease=1.0, beat=0.03, turn=0.1, climb_after=0.2)


@dataclass
class Account:
    """A server that counts what is in flight and rejects what is over its limit."""

    limit: int
    seconds: float = 0.02
    in_flight: int = 0
    peak: int = 0
    answered: int = 0
    rejected: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    @contextmanager
    def served(self) -> Iterator[str]:
        account = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                with account.lock:
                    account.in_flight += 1
                    account.peak = max(account.peak, account.in_flight)
                    over = account.in_flight > account.limit
                    account.rejected += over
                    account.answered += not over
                if not over:
                    time.sleep(account.seconds)
                with account.lock:
                    account.in_flight -= 1
                self.send_response(429 if over else 204)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                """Quiet."""

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/"
        finally:
            server.shutdown()
            server.server_close()


@pytest.fixture(params=["sqlite", "postgres"])
def ledger_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The ledger's database: a SQLite file, and a PostgreSQL server where one can be had."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/ledger.sqlite"
    return str(request.getfixturevalue("new_postgres_database")())


def worker(ledger: str, server: str, requests: int, at_once: int, ceiling: int) -> subprocess.Popen[str]:
    arguments = [ledger, server, str(requests), str(at_once), str(ceiling)]
    return subprocess.Popen(
        [sys.executable, str(WORKER), *arguments], cwd=ROOT, text=True, stdout=subprocess.PIPE,
        env={"PYTHONPATH": str(ROOT), "PATH": ""},
    )  # fmt: skip


def told(process: subprocess.Popen[str]) -> dict[str, int]:
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    figures: dict[str, int] = json.loads(out.splitlines()[-1])
    return figures


def test_three_processes_together_stay_within_the_one_budget(ledger_url: str) -> None:
    account = Account(limit=4)
    with account.served() as server:
        figures = [told(each) for each in [worker(ledger_url, server, 60, 20, 4) for _ in range(3)]]
    assert account.answered == 180
    assert account.peak == 4
    assert account.rejected == 0
    assert [each["requests"] for each in figures] == [60, 60, 60]


def test_more_processes_than_slots_take_turns(tmp_path: Path) -> None:
    account = Account(limit=1, seconds=0.01)
    with account.served() as server:
        for each in [worker(f"sqlite:///{tmp_path}/l.sqlite", server, 15, 15, 1) for _ in range(3)]:
            told(each)
    assert (account.answered, account.peak, account.rejected) == (45, 1, 0)


def test_a_killed_processs_slots_come_back(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/ledger.sqlite"
    account = Account(limit=3, seconds=0.2)
    with account.served() as server:
        doomed = worker(url, server, 1000, 10, 3)
        assert doomed.stdout is not None
        doomed.stdout.readline()
        while account.answered < 3:
            time.sleep(0.01)
        doomed.kill()
        doomed.wait()
        assert slots(url) == 3
        began = time.monotonic()
        told(worker(url, server, 6, 6, 3))
        assert 0.2 < time.monotonic() - began < 10
    assert account.peak <= 3
    assert slots(url) == 0


def test_a_rejection_of_one_process_slows_all(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/ledger.sqlite"
    mine, theirs = (SharedBudget(url, "a", 8, pace=QUICK) for _ in range(2))
    for budget in (mine, theirs):
        until(budget.take)
    now = time.monotonic()
    mine.rejected(now, now)
    until(lambda: mine.allowed == 4)
    until(lambda: theirs.allowed <= 5)
    until(lambda: (mine.accepted(0), mine.allowed == 8)[1])
    until(lambda: theirs.allowed == 8)
    mine.close()
    theirs.close()


def test_the_ceiling_that_was_given_last_holds_for_all(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/ledger.sqlite"
    mine, theirs = SharedBudget(url, "a", 4, pace=QUICK), SharedBudget(url, "a", 4, pace=QUICK)
    until(mine.take)
    until(theirs.take)
    theirs.set_ceiling(9)
    until(lambda: mine.allowed == 9)
    mine.set_ceiling(2)
    until(lambda: theirs.allowed == 2)
    mine.close()
    theirs.close()


def test_accounts_do_not_share(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/ledger.sqlite"
    mine, theirs = SharedBudget(url, "a", 1, pace=QUICK), SharedBudget(url, "b", 1, pace=QUICK)
    until(mine.take)
    until(theirs.take)
    assert slots(url) == 2
    mine.close()
    theirs.close()
    assert slots(url) == 0


def test_without_the_database_one_request_at_a_time_goes_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "ledger.sqlite").write_bytes(b"this is no database" * 100)
    caplog.set_level(logging.WARNING)
    budget = SharedBudget(f"sqlite:///{tmp_path}/ledger.sqlite", "a", 4, pace=QUICK)
    governed = Governor(5, 1, budget=budget)
    flying = peak = 0

    async def request() -> None:
        nonlocal flying, peak
        flying += 1
        peak = max(peak, flying)
        await asyncio.sleep(0.002)
        flying -= 1

    async def run() -> None:
        await asyncio.wait_for(asyncio.gather(*(governed.run(request) for _ in range(20))), 20)

    asyncio.run(run())
    budget.close()
    assert peak == 1
    assert "cannot share NetSuite's quota" in caplog.text


def test_a_quiet_process_holds_nothing(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/ledger.sqlite"
    budget = SharedBudget(url, "a", 4, pace=QUICK)
    until(budget.take)
    budget.give_back()
    until(lambda: slots(url) == 0)
    until(budget.take)
    budget.close()


def test_a_slot_costs_no_statement(tmp_path: Path) -> None:
    """Ten thousand requests of a second or so settle the lease a few times, not ten thousand times."""
    url = f"sqlite:///{tmp_path}/ledger.sqlite"
    budget = SharedBudget(url, "a", 4)
    settled = 0
    settle = budget._store.settle

    def counted(need: Need) -> object:
        nonlocal settled
        settled += 1
        return settle(need)

    budget._store.settle = counted  # type: ignore[method-assign, assignment]
    until(budget.take)
    began = time.perf_counter()
    for _ in range(10_000):
        assert budget.take()
        budget.give_back()
    spent = time.perf_counter() - began
    budget.give_back()
    budget.close()
    assert settled <= 4 + spent / 0.1
    assert spent < 2


# The rules, by property


MOMENTS = st.integers(0, 5_000)


@given(
    leases=st.lists(st.tuples(st.integers(0, 4), st.booleans(), MOMENTS), min_size=1, max_size=6),
    allowed=st.integers(1, 8),
    keep=st.integers(0, 8),
    now=st.integers(5_000, 9_000),
)
@settings(max_examples=300, deadline=None)
def test_a_share_never_exceeds_what_the_others_leave(
    leases: list[tuple[int, bool, int]], allowed: int, keep: int, now: int
) -> None:
    mine, *others = (Lease(f"h{number}", *lease) for number, lease in enumerate(leases))
    granted = share(mine, others, allowed, keep, now, 1_000)
    assert 0 <= granted <= max(0, allowed - sum(other.slots for other in others))
    if not others and mine.wants:
        assert granted == allowed


@given(processes=st.integers(1, 7), allowed=st.integers(1, 9), order=st.randoms(use_true_random=False))
@settings(max_examples=100, deadline=None)
def test_those_who_want_all_get_their_part_in_turn(processes: int, allowed: int, order: object) -> None:
    leases = [Lease(f"h{number}", 0, True, number) for number in range(processes)]
    had, now = [0] * processes, 100
    for _ in range(60):
        turns = list(range(processes))
        order.shuffle(turns)  # type: ignore[attr-defined]
        for at in turns:
            now += 10
            mine, others = leases[at], [lease for lease in leases if lease is not leases[at]]
            granted = share(mine, others, allowed, 0, now, 50)
            moved = (granted == 0) != (mine.slots == 0)
            leases[at] = Lease(mine.holder, granted, True, now if moved else mine.since)
            had[at] += granted
            assert sum(lease.slots for lease in leases) <= allowed
    assert all(had), "each has had its turn"
    held = sorted(lease.slots for lease in leases)
    assert sum(held) >= min(allowed, processes) - 1, "no slot lies idle for long"
    if processes <= allowed:
        assert held[0] >= allowed // processes
        assert sum(held) == allowed


@given(steps=st.lists(st.tuples(st.sampled_from("arn"), st.integers(0, 3_000)), max_size=60))
@settings(max_examples=100, deadline=None)
def test_what_is_allowed_stays_between_one_and_the_ceiling(steps: list[tuple[str, int]]) -> None:
    account, now = {"ceiling": 6, "allowed": 6, "changed_at": 0}, 1_000
    for kind, passed in steps:
        now += passed
        need = Need(0, 0, True, None, 0.0 if kind == "r" else None, kind == "a")
        allowed, changed_at = adapted(account, need, now, Pace())
        assert 1 <= allowed <= 6
        assert allowed <= account["allowed"] + 1
        assert allowed == account["allowed"] or changed_at == now
        account |= {"allowed": allowed, "changed_at": changed_at}


def slots(url: str) -> int:
    made = sa.create_engine(url)
    with made.connect() as connection:
        found = connection.execute(sa.text("SELECT coalesce(sum(slots), 0) FROM quota_leases")).scalar_one()
    made.dispose()
    return int(found)


def until(true: Callable[[], object], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.005)
