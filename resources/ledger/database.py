"""The ledger's database: opening it, its transactions, and the one error that all of it raises.

Here: SQLite by default, PostgreSQL by its URL alone. Not here: tables (`schema.py`) or statements over them.
SQLite runs in WAL mode with full synchronisation, so that what was committed survives a power cut.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError, NoSuchModuleError

from resources.ledger.migrations import NewerLedger, migrate

#: How long a statement waits for another writer of a SQLite file, and a connection for a server.
BUSY_SECONDS = 60.0
CONNECT_SECONDS = 10

#: Names the transaction in which a PostgreSQL ledger is migrated, so that runs which start together queue.
_MAKING_TABLES = 7_205_759_403


class LedgerError(Exception):
    """The ledger cannot be used, or refuses; the message says why and what to do."""


class Database:
    """The database behind a SQLAlchemy URL; opening it brings its tables up to the code. Safe to share between threads.

    `existing`: it is to be read, so a SQLite file that is not there is an error and is not made.
    """

    def __init__(self, url: str, *, existing: bool = False) -> None:
        self._engine = engine(url, existing=existing)
        with self._transaction() as connection:
            if connection.dialect.name == "postgresql":
                connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_MAKING_TABLES)))
            try:
                migrate(connection)
            except NewerLedger as error:
                raise LedgerError(
                    f"the ledger at {_shown(self._engine.url)} is not opened, because {error}. Install that release,"
                    " or set RECON_LEDGER to another ledger."
                ) from None

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


def _shown(url: sa.URL) -> str:
    """The URL without its password, which may also stand among its options."""
    return url.set(query={}).render_as_string(hide_password=True)


def engine(url: str, *, durable: bool = True, existing: bool = False) -> Engine:
    """The engine for a ledger's URL; raises `LedgerError` when the URL cannot be used, or when it is to be `existing`
    and its SQLite file is not there.

    Not `durable`: a SQLite file may lose the last commits in a power cut, which makes them cheap. For what is
    worth nothing after one.
    """
    try:
        parsed = sa.engine.make_url(url)
        if parsed.drivername in ("postgres", "postgresql"):
            # SQLAlchemy 2.1 reads the bare name as psycopg 3; the project installs psycopg2.
            parsed = parsed.set(drivername="postgresql+psycopg2")
        if parsed.get_backend_name() == "sqlite":
            return _sqlite(parsed, durable, existing)
        options = {"connect_timeout": CONNECT_SECONDS} if parsed.get_backend_name() == "postgresql" else {}
        return sa.create_engine(parsed, pool_pre_ping=True, connect_args=options)
    except (ArgumentError, NoSuchModuleError, ModuleNotFoundError, ValueError) as error:
        # The URL is not repeated: what cannot be read may hold a password.
        why = f": {error}" if isinstance(error, NoSuchModuleError | ModuleNotFoundError) else ""
        raise LedgerError(
            f"the ledger's URL cannot be used{why}. Set RECON_LEDGER to sqlite:///path/to/ledger.sqlite or"
            " postgresql://user:password@host:5432/name (which needs the extra 'postgres' installed)."
        ) from None


def _sqlite(url: sa.URL, durable: bool, existing: bool) -> Engine:
    if url.database and url.database != ":memory:":
        if existing and not Path(url.database).exists():
            raise LedgerError(
                f"there is no ledger at {_shown(url)}: nothing ran here yet. Type this in the folder where the runs are"
                " made, or set RECON_LEDGER to the ledger's URL; recon reconcile TENANT MONTH makes a new one."
            )
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
