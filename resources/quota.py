"""One budget for an account's requests, shared by all processes that have the same ledger database.

Here: the tables of leased slots, the transaction that shares them out, and the thread that keeps a process's part.
Not here: what a slot is for, and what to do after a rejection (`resources/netsuite/governor.py`), nor the ledger's
own tables.

A process leases the slots that it needs as one row with an expiry, so that a request itself costs no statement: its
slot is taken from the lease in memory. The row is renewed while the slots are used, and settled anew when the process
runs short or another one does. A killed process's slots come back when its lease expires. How many requests may be
in flight falls and climbs in the same transaction, for all processes at once.
"""

from __future__ import annotations

import atexit
import logging
import os
import socket
import sqlite3
import threading
import time
import uuid
import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects import sqlite as sqlite_dialect
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from resources.ledger import engine

_LOG: Final = logging.getLogger(__name__)

#: Names the transaction in which a PostgreSQL database's tables are made, so that runs which start together queue.
_MAKING_TABLES: Final = 7_205_759_404

_metadata = sa.MetaData()

#: Seconds between two warnings that the database cannot be used.
_WARN_EVERY: Final = 60.0

#: One row an account: how many requests all processes together may have in flight. Instants are milliseconds since
#: 1970 of the database's clock (SQLite: of the machine's), so that machines need not agree on the time.
_accounts = sa.Table(
    "quota_accounts",
    _metadata,
    sa.Column("account", sa.String(300), primary_key=True),
    sa.Column("ceiling", sa.Integer, nullable=False),
    sa.Column("allowed", sa.Integer, nullable=False),
    sa.Column("changed_at", sa.BigInteger, nullable=False),
)

_leases = sa.Table(
    "quota_leases",
    _metadata,
    sa.Column("account", sa.String(300), primary_key=True),
    sa.Column("holder", sa.String(200), primary_key=True),
    sa.Column("slots", sa.Integer, nullable=False),
    sa.Column("wants", sa.Boolean, nullable=False),
    sa.Column("since", sa.BigInteger, nullable=False),
    sa.Column("expires_at", sa.BigInteger, nullable=False),
)


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds: how long a lease lasts, how often it is settled, how long a slot is kept while others have none, how
    long nothing must change before one more request is allowed."""

    lease: float = 15.0
    beat: float = 0.2
    turn: float = 1.0
    climb_after: float = 2.0


@dataclass(frozen=True, slots=True)
class Lease:
    """One process's part. `since` is when it got its first slot or, without one, began to want it."""

    holder: str
    slots: int
    wants: bool
    since: int


@dataclass(frozen=True, slots=True)
class Need:
    """What a process needs now: slots in use, slots to keep, whether it wants more, and what NetSuite did to it."""

    taken: int
    keep: int
    wants: bool
    ceiling: int | None = None
    rejected_ago: float | None = None
    accepted: bool = False


@dataclass(frozen=True, slots=True)
class Settled:
    """What a process may use until its lease expires, and what all may use together."""

    granted: int
    allowed: int


def share(mine: Lease, others: Sequence[Lease], allowed: int, keep: int, now: int, turn: int) -> int:
    """How many slots `mine` may hold.

    Never more than the others leave. Who wants none keeps what it uses. Those who want slots get equal parts; where
    there are fewer slots than processes, the one that has held its slot longest passes it on after `turn`, and who
    has waited longest gets it.
    """
    free = max(0, allowed - sum(other.slots for other in others))
    if not mine.wants:
        return min(keep, free)
    hungry = [other for other in others if other.wants]
    busy = 1 + sum(1 for other in others if other.wants or other.slots)
    equal = max(1, allowed // busy)
    reserved = sum(max(0, equal - other.slots) for other in hungry)
    waiting = [other for other in hungry if other.slots == 0]
    if mine.slots == 0:
        ahead = sum(1 for other in waiting if (other.since, other.holder) < (mine.since, mine.holder))
        return max(0, min(free - ahead, max(equal, free - reserved)))
    if waiting and free <= mine.slots <= 1 and now - mine.since >= turn:
        holders = [other for other in others if other.slots] + [mine]
        if min(holders, key=lambda holder: (holder.since, holder.holder)) == mine:
            return 0
    return min(free, max(min(mine.slots, equal), free - reserved))


class SharedBudget:
    """The slots of one account, for `resources.netsuite.governor.Governor`, shared through the ledger's database.

    `account` is the same text in every process (`Hosts.rest_prefix`); `ceiling` the most that all may have in flight.
    The ceiling that was given last, by any process, holds for all. Nothing is opened before the first slot is wanted.
    When the database cannot be used for as long as a lease lasts, the process goes on with one slot and says so.
    """

    def __init__(
        self,
        url: str,
        account: str,
        ceiling: int,
        *,
        pace: Pace | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = _Store(url, account, pace or Pace())
        self._pace = pace or Pace()
        self._clock = clock
        self._lock = threading.Lock()
        self._signal = threading.Event()
        self._thread: threading.Thread | None = None
        self._closing = False
        self._wake: Callable[[], None] = _nobody
        self._allowed = max(1, ceiling)
        self._ceiling: int | None = max(1, ceiling)
        self._granted = 0
        self._valid_until = float("-inf")
        self._taken = 0
        self._most_taken = 0
        self._short = False
        self._wanting = False
        self._rejected_at: float | None = None
        self._accepted = False
        self._failing_since: float | None = None
        self._warned_at = float("-inf")
        atexit.register(_close, weakref.ref(self))

    @property
    def allowed(self) -> int:
        """How many all processes may have in flight, as last heard."""
        return self._allowed

    def listen(self, wake: Callable[[], None]) -> None:
        """Call `wake`, from the thread of this budget, when slots came free."""
        self._wake = wake

    def set_ceiling(self, ceiling: int) -> None:
        """Never allow more than `ceiling`, in any process."""
        with self._lock:
            self._ceiling = max(1, ceiling)
            self._allowed = min(self._allowed, self._ceiling)
            if self._thread is not None:
                self._signal.set()

    def take(self) -> bool:
        """Take a slot of the lease if one is free; otherwise one will be asked for."""
        with self._lock:
            if self._taken < self._granted and self._clock() < self._valid_until:
                self._taken += 1
                self._most_taken = max(self._most_taken, self._taken)
                return True
            self._short = True
            if not self._wanting:
                self._wanting = True
                self._start()
            return False

    def give_back(self) -> None:
        """Free a slot."""
        with self._lock:
            over = self._taken > self._granted
            self._taken -= 1
            if over:
                self._signal.set()

    def rejected(self, started: float, now: float) -> None:
        """NetSuite rejected a request that was sent at `started`: fewer for all, at once for this process."""
        with self._lock:
            if self._rejected_at is None:
                self._granted = min(self._granted, max(1, self._allowed // 2))
            self._rejected_at = max(self._rejected_at or started, started)
            self._start()

    def accepted(self, now: float) -> None:
        """NetSuite took a request."""
        self._accepted = True

    def close(self) -> None:
        """Give the lease back; what is taken stays in use but is no longer counted."""
        with self._lock:
            self._closing = True
            thread, self._granted = self._thread, 0
            self._signal.set()
        if thread is not None:
            thread.join(5)

    def _start(self) -> None:
        if self._thread is None and not self._closing:
            self._thread = threading.Thread(target=self._keep_up, name="netsuite-quota", daemon=True)
            self._thread.start()
        self._signal.set()

    def _keep_up(self) -> None:
        """Settle the lease whenever something changed, and on every beat while it is needed."""
        while not self._closing:
            idle = self._settle()
            # Those who wait take at once what was granted; else a quiet lease is asked for again on the next beat.
            self._signal.wait(None if idle else self._pace.beat)
            self._signal.clear()
        self._store.forget()

    def _settle(self) -> bool:
        """One transaction. Whether the process needs nothing more."""
        with self._lock:
            asked_at = self._clock()
            wants, self._short = self._short, False
            self._wanting = wants
            need = Need(
                self._taken,
                max(self._most_taken, self._taken),
                wants,
                self._ceiling,
                None if self._rejected_at is None else asked_at - self._rejected_at,
                self._accepted,
            )
            self._most_taken = self._taken
            self._accepted = False
        try:
            settled = self._store.settle(need)
        except Exception as error:
            # Whatever it is: if this thread ended, every request of the process would wait for ever.
            self._without(error, asked_at, need)
            return False
        with self._lock:
            self._failing_since = None
            if self._ceiling == need.ceiling:
                self._ceiling = None
            if need.rejected_ago is not None:
                self._rejected_at = None
            self._allowed = settled.allowed
            self._granted = settled.granted
            self._valid_until = asked_at + self._pace.lease
            # A beat passes before it asks again, however many requests wait meanwhile.
            self._wanting = self._wanting or self._short
        if need.wants or settled.granted > need.taken:
            # Those who still find no slot say so again by trying.
            self._wake()
        with self._lock:
            self._wanting = self._wanting or self._short
            return not self._wanting and self._taken == 0 and self._granted == 0

    def _without(self, error: Exception, asked_at: float, need: Need) -> None:
        """Try again on the next beat; after the length of a lease go on with one slot, so that work does not stop."""
        with self._lock:
            self._short = self._short or need.wants
            self._wanting = True
            self._accepted = self._accepted or need.accepted
            if self._failing_since is None:
                self._failing_since = asked_at
            if asked_at - self._failing_since < self._pace.lease:
                return
            self._granted = 1
            self._valid_until = asked_at + self._pace.lease
        words = error.orig if isinstance(error, sa.exc.DBAPIError) else error
        if asked_at - self._warned_at >= _WARN_EVERY:
            self._warned_at = asked_at
            _LOG.warning(
                "The ledger's database cannot share NetSuite's quota (%s). Going on with one request at a time.",
                " ".join(str(words).split()),
            )
        self._wake()


class _Store:
    """The two tables. Used by one thread."""

    def __init__(self, url: str, account: str, pace: Pace) -> None:
        self._url, self._account, self._pace = url, account, pace
        self._holder = f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:12]}"
        self._engine: Engine | None = None

    def settle(self, need: Need) -> Settled:
        """Bring this process's lease up to date with what it needs and what the others leave."""
        with self._opened().begin() as connection:
            account = self._locked_account(connection, need)
            now = _now(connection)
            allowed, changed_at = adapted(account, need, now, self._pace)
            mine_was, others = self._read_leases(connection, now)
            mine = _waiting_since(mine_was, need, self._holder, now)
            granted = share(mine, others, allowed, need.keep, now, _ms(self._pace.turn))
            slots = max(granted, need.taken)
            if (allowed, changed_at) != (account["allowed"], account["changed_at"]):
                connection.execute(
                    _accounts.update()
                    .where(_accounts.c.account == self._account)
                    .values(allowed=allowed, changed_at=changed_at)
                )
            self._write_lease(connection, mine, mine_was, slots, now)
        return Settled(granted, allowed)

    def forget(self) -> None:
        """Give back what is leased; what cannot be given back comes back when the lease expires."""
        if self._engine is None:
            return
        try:
            with self._engine.begin() as connection:
                connection.execute(_leases.delete().where(_leases.c.holder == self._holder))
        except (SQLAlchemyError, sqlite3.Error) as error:
            _LOG.info("The quota's lease is left to expire: %s", error)
        self._engine.dispose()
        self._engine = None

    def _opened(self) -> Engine:
        if self._engine is None:
            made = engine(self._url, durable=False)
            with made.begin() as connection:
                if connection.dialect.name == "postgresql":
                    connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_MAKING_TABLES)))
                _metadata.create_all(connection)
            self._engine = made
        return self._engine

    def _locked_account(self, connection: Connection, need: Need) -> dict[str, Any]:
        """The account's row, held until the transaction ends, with the ceiling that is in force."""
        query = sa.select(_accounts).where(_accounts.c.account == self._account).with_for_update()
        row = connection.execute(query).mappings().first()
        if row is None:
            ceiling = need.ceiling or 1
            insert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite_dialect.insert
            new = {"account": self._account, "ceiling": ceiling, "allowed": ceiling, "changed_at": 0}
            connection.execute(insert(_accounts).values(new).on_conflict_do_nothing())
            row = connection.execute(query).mappings().one()
        account = dict(row)
        if need.ceiling is not None and need.ceiling != account["ceiling"]:
            grown = need.ceiling > account["ceiling"] and account["allowed"] == account["ceiling"]
            allowed = need.ceiling if grown else min(account["allowed"], need.ceiling)
            account |= {"ceiling": need.ceiling, "allowed": allowed}
            connection.execute(
                _accounts.update()
                .where(_accounts.c.account == self._account)
                .values(ceiling=need.ceiling, allowed=allowed)
            )
        return account

    def _read_leases(self, connection: Connection, now: int) -> tuple[Lease | None, list[Lease]]:
        rows = (
            connection.execute(sa.select(_leases).where(_leases.c.account == self._account)).mappings().all()
        )
        if any(row["expires_at"] <= now and row["holder"] != self._holder for row in rows):
            connection.execute(
                _leases.delete().where(
                    _leases.c.account == self._account,
                    _leases.c.expires_at <= now,
                    _leases.c.holder != self._holder,
                )
            )
        valid = [
            Lease(row["holder"], row["slots"], row["wants"], row["since"])
            for row in rows
            if row["expires_at"] > now
        ]
        mine = next((lease for lease in valid if lease.holder == self._holder), None)
        return mine, [lease for lease in valid if lease.holder != self._holder]

    def _write_lease(
        self, connection: Connection, mine: Lease, before: Lease | None, slots: int, now: int
    ) -> None:
        this = (_leases.c.account == self._account) & (_leases.c.holder == self._holder)
        if slots == 0 and not mine.wants:
            connection.execute(_leases.delete().where(this))
            return
        held = before.slots if before is not None else 0
        row = {
            "account": self._account,
            "holder": self._holder,
            "slots": slots,
            "wants": mine.wants,
            "since": now if (held == 0) != (slots == 0) else mine.since,
            "expires_at": now + _ms(self._pace.lease),
        }
        changed = connection.execute(_leases.update().where(this).values(row))
        if changed.rowcount == 0:
            connection.execute(_leases.insert().values(row))


def adapted(account: dict[str, Any], need: Need, now: int, pace: Pace) -> tuple[int, int]:
    """How many all may have in flight now, and since when.

    It is halved once for all the requests that were in flight together, and climbs by one when nothing was rejected
    for a while.
    """
    allowed, changed_at = int(account["allowed"]), int(account["changed_at"])
    if need.rejected_ago is not None and now - _ms(need.rejected_ago) >= changed_at:
        return max(1, allowed // 2), now
    if need.accepted and allowed < account["ceiling"] and now - changed_at >= _ms(pace.climb_after):
        return allowed + 1, now
    return allowed, changed_at


def _waiting_since(before: Lease | None, need: Need, holder: str, now: int) -> Lease:
    if before is None:
        return Lease(holder, 0, need.wants, now)
    begins = before.slots == 0 and need.wants and not before.wants
    return Lease(holder, max(before.slots, need.taken), need.wants, now if begins else before.since)


def _now(connection: Connection) -> int:
    if connection.dialect.name == "postgresql":
        seconds = connection.execute(sa.select(sa.extract("epoch", sa.func.clock_timestamp()))).scalar_one()
        return _ms(float(seconds))
    return _ms(time.time())


def _ms(seconds: float) -> int:
    return int(seconds * 1000)


def _nobody() -> None:
    """Nobody listens yet."""


def _close(budget: weakref.ref[SharedBudget]) -> None:
    if (found := budget()) is not None:
        found.close()
