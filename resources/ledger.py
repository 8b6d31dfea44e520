"""The ledger: what cannot be derived again. Write intents and their outcomes, approvals, mapping versions.

Here: the tables (SQLAlchemy Core; SQLite by default, Postgres by its URL alone) and the few statements over them.
Not here: when to write or what an outcome means (`netsuite_assets/writeback`). History is only ever added to:
an intent's story is its rows in `events`.

SQLite runs in WAL mode with full synchronisation, so an intent that was committed survives a power cut.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError, NoSuchModuleError

EventKind = Literal[
    "intended", "answered", "rejected", "in_doubt", "adopted", "not_found", "verified", "mismatch"
]

#: An intent is open until one of these is its latest event: until then its outcome is not known.
CLOSING: frozenset[str] = frozenset({"answered", "rejected", "adopted", "not_found"})

#: How long a statement waits for another writer of a SQLite file, and a connection for a server.
BUSY_SECONDS = 60.0
CONNECT_SECONDS = 10

#: Names the transaction in which a PostgreSQL ledger's tables are made, so that runs which start together queue.
_MAKING_TABLES = 7_205_759_403

metadata = sa.MetaData()


class _Instant(sa.TypeDecorator[datetime]):
    """An aware instant, stored in UTC; SQLite has no type for it."""

    impl = sa.DateTime
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Any) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("the ledger takes instants with a time zone")
        return value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Any) -> datetime | None:
        return None if value is None else value.replace(tzinfo=UTC)


plans = sa.Table(
    "plans",
    metadata,
    sa.Column("plan_id", sa.String(64), primary_key=True),
    sa.Column("tenant", sa.String(100), nullable=False),
    sa.Column("period", sa.String(7), nullable=False),
    sa.Column("made_at", _Instant, nullable=False),
    sa.Column("mapping_hash", sa.String(64), nullable=False),
    sa.Column("inputs_hash", sa.String(64), nullable=False),
    sa.Column("operations", sa.Integer, nullable=False),
    sa.Column("amounts", sa.Text, nullable=False),  # what it moves, by currency: "EUR 10.00; USD 99.50"
    sa.Column("held_because", sa.Text),
    sa.Index("plans_of_period", "tenant", "period", "made_at"),
)

approvals = sa.Table(
    "approvals",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("plan_id", sa.ForeignKey("plans.plan_id"), nullable=False),
    sa.Column("approved_by", sa.String(200), nullable=False),
    sa.Column("automatic", sa.Boolean, nullable=False),
    sa.Column("note", sa.Text, nullable=False),
    sa.Column("approved_at", _Instant, nullable=False),
    sa.Index("approvals_of_plan", "plan_id"),
)

intents = sa.Table(
    "intents",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("tenant", sa.String(100), nullable=False),
    sa.Column("period", sa.String(7), nullable=False),
    sa.Column("plan_id", sa.ForeignKey("plans.plan_id"), nullable=False),
    sa.Column("operation_key", sa.String(64), nullable=False),
    sa.Column("attempt", sa.Integer, nullable=False),
    sa.Column("record", sa.String(60), nullable=False),
    sa.Column("target", sa.String(200), nullable=False),
    sa.Column("number", sa.String(200)),
    sa.Column("name", sa.Text),
    sa.Column("action", sa.String(10), nullable=False),
    sa.Column("method", sa.String(6), nullable=False),
    sa.Column("path", sa.Text, nullable=False),
    sa.Column("query", sa.Text, nullable=False),
    sa.Column("body", sa.Text, nullable=False),
    sa.Column("body_hash", sa.String(64), nullable=False),
    sa.Column("intended_at", _Instant, nullable=False),
    sa.Column("is_open", sa.Boolean, nullable=False),
    sa.UniqueConstraint("tenant", "operation_key", "attempt", name="one_intent_per_attempt"),
    sa.Index("intents_of_period", "tenant", "period"),
)

#: Two writes to one record can never be under way at once, whatever started them.
_one_open_intent = sa.Index(
    "one_open_intent_per_record",
    intents.c.tenant,
    intents.c.record,
    intents.c.target,
    unique=True,
    sqlite_where=intents.c.is_open.is_(True),
    postgresql_where=intents.c.is_open.is_(True),
)

events = sa.Table(
    "events",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("intent_id", sa.ForeignKey("intents.id"), nullable=False),
    sa.Column("at", _Instant, nullable=False),
    sa.Column("kind", sa.String(12), nullable=False),
    sa.Column("status", sa.Integer),
    sa.Column("internal_id", sa.String(40)),
    sa.Column("request_id", sa.String(60)),
    sa.Column("detail", sa.Text),
    sa.Index("events_of_intent", "intent_id", "id"),
)

mapping_versions = sa.Table(
    "mapping_versions",
    metadata,
    sa.Column("tenant", sa.String(100), primary_key=True),
    sa.Column("hash", sa.String(64), primary_key=True),
    sa.Column("first_used_at", _Instant, nullable=False),
    sa.Column("effective", sa.Text, nullable=False),
)


class LedgerError(Exception):
    """The ledger cannot be used, or refuses; the message says why and what to do."""


@dataclass(frozen=True)
class NewIntent:
    """One write that is about to be sent: what, to which record, and the exact bytes."""

    operation_key: str
    record: str
    target: str
    number: str | None
    name: str | None
    action: str
    method: str
    path: str
    query: str
    body: str
    body_hash: str


@dataclass(frozen=True)
class Intent(NewIntent):
    """An intent as the ledger holds it."""

    id: int
    tenant: str
    period: str
    plan_id: str
    attempt: int
    intended_at: datetime
    is_open: bool


@dataclass(frozen=True)
class Event:
    """What became of an intent: NetSuite's status and id, or our reading of them."""

    intent_id: int
    kind: EventKind
    status: int | None = None
    internal_id: str | None = None
    request_id: str | None = None
    detail: str | None = None


@dataclass(frozen=True)
class Plan:
    """A plan that was made: what it rests on and why it waits for a person, if it does."""

    plan_id: str
    tenant: str
    period: str
    made_at: datetime
    mapping_hash: str
    inputs_hash: str
    operations: int
    amounts: str
    held_because: str | None


@dataclass(frozen=True)
class Approval:
    """Who let a plan be applied, and when."""

    plan_id: str
    approved_by: str
    automatic: bool
    note: str
    approved_at: datetime


_INTENT_COLUMNS = [intents.c[name] for name in Intent.__dataclass_fields__]


class Ledger:
    """The ledger behind a SQLAlchemy URL; made on first use. Safe to share between threads."""

    def __init__(self, url: str) -> None:
        self._engine = engine(url)
        with self._transaction() as connection:
            if connection.dialect.name == "postgresql":
                connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_MAKING_TABLES)))
            metadata.create_all(connection)

    def close(self) -> None:
        """Release the connections."""
        self._engine.dispose()

    @contextmanager
    def _transaction(self) -> Iterator[Connection]:
        """All or nothing. Raises `LedgerError` when the database cannot be used; the statement is not repeated."""
        try:
            with self._engine.begin() as connection:
                yield connection
        except IntegrityError:
            raise
        except (DBAPIError, sqlite3.Error, OSError) as error:
            words = error.orig if isinstance(error, DBAPIError) else error
            raise LedgerError(
                f"the ledger at {_shown(self._engine.url)} cannot be used: {' '.join(str(words).split())}."
                " Set RECON_LEDGER to a database that is running and that this user may write to."
            ) from None

    # Plans and approvals

    def record_plan(self, plan: Plan) -> None:
        """Note that a plan was made. The same plan made again becomes the latest, with why it waits now."""
        with self._transaction() as connection:
            known = connection.execute(
                sa.select(plans.c.plan_id).where(plans.c.plan_id == plan.plan_id)
            ).first()
            if known is None:
                connection.execute(plans.insert().values(vars(plan)))
            else:
                connection.execute(
                    plans.update()
                    .where(plans.c.plan_id == plan.plan_id)
                    .values(made_at=plan.made_at, held_because=plan.held_because)
                )

    def plan(self, plan_id: str) -> Plan | None:
        """What is known of a plan, or None."""
        query = sa.select(*[plans.c[name] for name in Plan.__dataclass_fields__]).where(
            plans.c.plan_id == plan_id
        )
        with self._transaction() as connection:
            row = connection.execute(query).mappings().first()
        return Plan(**row) if row else None

    def plan_ids(self, tenant: str, period: str) -> list[str]:
        """The plans made for a period, the latest first."""
        query = (
            sa.select(plans.c.plan_id)
            .where(plans.c.tenant == tenant, plans.c.period == period)
            .order_by(plans.c.made_at.desc(), plans.c.plan_id)
        )
        with self._transaction() as connection:
            return list(connection.execute(query).scalars())

    def approve(self, approval: Approval) -> None:
        """Record an approval; a plan that the ledger does not know cannot be approved."""
        with self._transaction() as connection:
            _require_plan(connection, approval.plan_id)
            connection.execute(approvals.insert().values(vars(approval)))

    def approval(self, plan_id: str) -> Approval | None:
        """The latest approval of a plan, or None."""
        query = (
            sa.select(*[approvals.c[name] for name in Approval.__dataclass_fields__])
            .where(approvals.c.plan_id == plan_id)
            .order_by(approvals.c.id.desc())
            .limit(1)
        )
        with self._transaction() as connection:
            row = connection.execute(query).mappings().first()
        return Approval(**row) if row else None

    # Intents and their story

    def intend(
        self, tenant: str, period: str, plan_id: str, new: Sequence[NewIntent], now: datetime
    ) -> list[Intent]:
        """Record that these writes are about to be sent, all or none, durably, before the first byte goes out.

        Raises `LedgerError` when another write to one of the records is still open.
        """
        made: dict[int, Intent] = {}
        # Always in the same order, so that two that overlap wait for each other once and not crosswise.
        ordered = sorted(enumerate(new), key=lambda numbered: (numbered[1].record, numbered[1].target))
        try:
            with self._transaction() as connection:
                _require_plan(connection, plan_id)
                for position, intent in ordered:
                    attempt = connection.execute(
                        sa.select(sa.func.coalesce(sa.func.max(intents.c.attempt), 0) + 1).where(
                            intents.c.tenant == tenant, intents.c.operation_key == intent.operation_key
                        )
                    ).scalar_one()
                    row: dict[str, Any] = {
                        **vars(intent),
                        "tenant": tenant,
                        "period": period,
                        "plan_id": plan_id,
                        "attempt": attempt,
                        "intended_at": now,
                        "is_open": True,
                    }
                    key = connection.execute(intents.insert().values(row)).inserted_primary_key
                    assert key is not None
                    connection.execute(events.insert().values(intent_id=key[0], at=now, kind="intended"))
                    made[position] = Intent(id=key[0], **row)
        except IntegrityError as error:
            raise LedgerError(
                f"{tenant}: another write to one of the records of this plan is still open, so nothing was sent."
                " Either another run is applying now, or one was interrupted: the next run settles what is in doubt"
                f" first. ({' '.join(str(error.orig).split())})"
            ) from None
        return [made[position] for position in range(len(new))]

    def record(self, new: Sequence[Event], now: datetime) -> None:
        """Add to the intents' stories; an event of a closing kind closes its intent."""
        with self._transaction() as connection:
            for event in new:
                connection.execute(events.insert().values({**vars(event), "at": now}))
                if event.kind in CLOSING:
                    connection.execute(
                        intents.update().where(intents.c.id == event.intent_id).values(is_open=False)
                    )

    def open_intents(self, tenant: str) -> list[Intent]:
        """The tenant's intents whose outcome is not known, the oldest first."""
        query = (
            sa.select(*_INTENT_COLUMNS)
            .where(intents.c.tenant == tenant, intents.c.is_open.is_(True))
            .order_by(intents.c.id)
        )
        with self._transaction() as connection:
            return [Intent(**row) for row in connection.execute(query).mappings()]

    def history(self, tenant: str, period: str | None = None) -> list[dict[str, Any]]:
        """Every intent of the tenant with its latest event, the oldest first: the write history."""
        last = (
            sa.select(events.c.intent_id, sa.func.max(events.c.id).label("event_id"))
            .group_by(events.c.intent_id)
            .subquery()
        )
        query = (
            sa.select(
                *_INTENT_COLUMNS,
                events.c.kind.label("state"),
                events.c.at.label("state_at"),
                events.c.status,
                events.c.detail,
                sa.select(sa.func.max(_answered.c.internal_id))
                .where(_answered.c.intent_id == intents.c.id)
                .scalar_subquery()
                .label("internal_id"),
            )
            .join(last, last.c.intent_id == intents.c.id)
            .join(events, events.c.id == last.c.event_id)
            .where(intents.c.tenant == tenant)
            .order_by(intents.c.id)
        )
        if period is not None:
            query = query.where(intents.c.period == period)
        with self._transaction() as connection:
            return [dict(row) for row in connection.execute(query).mappings()]

    # Mapping versions

    def record_mapping(
        self, tenant: str, mapping_hash: str, effective: Mapping[str, Any], now: datetime
    ) -> None:
        """Keep the effective tenant file of a version that ran."""
        with self._transaction() as connection:
            known = connection.execute(
                sa.select(mapping_versions.c.hash).where(
                    mapping_versions.c.tenant == tenant, mapping_versions.c.hash == mapping_hash
                )
            ).first()
            if known is None:
                connection.execute(
                    mapping_versions.insert().values(
                        tenant=tenant,
                        hash=mapping_hash,
                        first_used_at=now,
                        effective=json.dumps(effective, sort_keys=True, default=str),
                    )
                )


_answered = events.alias("answered")


def _require_plan(connection: Connection, plan_id: str) -> None:
    known = connection.execute(sa.select(plans.c.plan_id).where(plans.c.plan_id == plan_id)).first()
    if known is None:
        raise LedgerError(
            f"the ledger knows no plan {plan_id[:12]}; make the plan first, or list them: recon plan."
        )


def _shown(url: sa.URL) -> str:
    """The URL without its password, which may also stand among its options."""
    return url.set(query={}).render_as_string(hide_password=True)


def engine(url: str, *, durable: bool = True) -> Engine:
    """The engine for a ledger's URL; raises `LedgerError` when the URL cannot be used.

    Not `durable`: a SQLite file may lose the last commits in a power cut, which makes them cheap. For what is
    worth nothing after one.
    """
    try:
        parsed = sa.engine.make_url(url)
        if parsed.drivername in ("postgres", "postgresql"):
            # SQLAlchemy 2.1 reads the bare name as psycopg 3; the project installs psycopg2.
            parsed = parsed.set(drivername="postgresql+psycopg2")
        if parsed.get_backend_name() == "sqlite":
            return _sqlite(parsed, durable)
        options = {"connect_timeout": CONNECT_SECONDS} if parsed.get_backend_name() == "postgresql" else {}
        return sa.create_engine(parsed, pool_pre_ping=True, connect_args=options)
    except (ArgumentError, NoSuchModuleError, ModuleNotFoundError, ValueError) as error:
        # The URL is not repeated: what cannot be read may hold a password.
        why = f": {error}" if isinstance(error, NoSuchModuleError | ModuleNotFoundError) else ""
        raise LedgerError(
            f"the ledger's URL cannot be used{why}. Set RECON_LEDGER to sqlite:///path/to/ledger.sqlite or"
            " postgresql://user:password@host:5432/name (which needs the extra 'postgres' installed)."
        ) from None


def _sqlite(url: sa.URL, durable: bool) -> Engine:
    if url.database and url.database != ":memory:":
        folder = Path(url.database).parent
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise LedgerError(
                f"the ledger at {_shown(url)} cannot be used: the folder {folder} cannot be made ({error.strerror})."
                " Set RECON_LEDGER to a file that this user may write."
            ) from None
    made = sa.create_engine(url, connect_args={"timeout": BUSY_SECONDS})

    @sa.event.listens_for(made, "connect")
    def _durable(connection: Any, _: Any) -> None:
        # Transactions are begun by ourselves, as writers, so that two of them queue instead of deadlocking.
        connection.isolation_level = None
        cursor = connection.cursor()
        cursor.execute("PRAGMA journal_mode = WAL")
        cursor.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
        cursor.execute("PRAGMA foreign_keys = ON")
        cursor.close()

    @sa.event.listens_for(made, "begin")
    def _immediate(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    return made
