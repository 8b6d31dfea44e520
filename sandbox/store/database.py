"""The SQLite database of one account: a writing connection for the services, a reading one for SuiteQL."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

from sandbox.store.tables import SQL_TYPES, Table
from sandbox.wire import Json, decode, encode

_VERSION = "1"
_SCHEMA = """
CREATE TABLE IF NOT EXISTS setting (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS sequence (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS record (
    space TEXT NOT NULL, id INTEGER NOT NULL, type TEXT NOT NULL, externalid TEXT, doc BLOB NOT NULL,
    UNIQUE (space, id)
);
CREATE INDEX IF NOT EXISTS record_type ON record (type, id);
CREATE UNIQUE INDEX IF NOT EXISTS record_external ON record (type, externalid) WHERE externalid IS NOT NULL;
CREATE TABLE IF NOT EXISTS display (space TEXT NOT NULL, id, name TEXT NOT NULL, PRIMARY KEY (space, id)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS application (
    applying INTEGER NOT NULL, applied INTEGER NOT NULL, amount TEXT NOT NULL, applydate TEXT NOT NULL,
    PRIMARY KEY (applying, applied)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS application_applied ON application (applied);
"""
Doc = dict[str, Any]
"""A record as stored: schema-case field names, references as id strings, amounts Decimal, sublists lists of dicts."""

Watch = Callable[[str, int, str, Doc | None, Doc | None], None]
"""Takes space, id and type of a record, what it was, and what it becomes; None stands for nothing."""


class StateError(Exception):
    """A state file that cannot be used; the message is one line."""


#: 128 MB of pages a connection: SQLite's own 2 MB hold a small part of a large account.
_CACHE = "PRAGMA cache_size=-131072"


class Database:
    """`path` None keeps the state in memory. All work happens on one thread."""

    def __init__(self, label: str, path: Path | None, tables: Mapping[str, Table]) -> None:
        self.tables = tables
        self._uri = f"file:/{label}?vfs=memdb" if path is None else path.absolute().as_uri()
        try:
            self.connection = sqlite3.connect(
                self._uri, uri=True, isolation_level=None, cached_statements=400
            )
            self.connection.execute("PRAGMA journal_mode=WAL")
            self.connection.execute("PRAGMA synchronous=NORMAL")
            self.connection.execute(_CACHE)
            self.connection.execute("BEGIN")
            for statement in _SCHEMA.split(";\n"):
                self.connection.execute(statement)
            self._check_version()
            self._make_tables()
            self.connection.execute("COMMIT")
        except sqlite3.Error as error:
            raise StateError(f"{path or 'memory'}: cannot be used as sandbox state: {error}") from error
        self._sequences: dict[str, int] = dict(self.connection.execute("SELECT name, value FROM sequence"))
        self._names: dict[tuple[str, str], str | None] = {}
        self._types: dict[tuple[str, int], str] = {}
        self._inserts: dict[tuple[str, ...], str] = {}
        self.watch: Watch | None = None
        """Told of every record that is about to be written or removed."""
        self.version = 0
        """Rises with every committed write: what was read under one version still holds under it."""

    def open_reader(self) -> sqlite3.Connection:
        reader = sqlite3.connect(self._uri, uri=True, isolation_level=None, cached_statements=400)
        reader.execute("PRAGMA query_only=1")
        reader.execute(_CACHE)
        return reader

    def close(self) -> None:
        self.connection.close()

    def _check_version(self) -> None:
        found = self.connection.execute("SELECT value FROM setting WHERE name = 'version'").fetchone()
        if found is None:
            self.connection.execute("INSERT INTO setting VALUES ('version', ?)", (_VERSION,))
        elif found[0] != _VERSION:
            raise sqlite3.DatabaseError(f"it was written by another version of the sandbox ({found[0]})")

    def _make_tables(self) -> None:
        for table in self.tables.values():
            parts = [
                f'"{c.name}" {SQL_TYPES[c.type]}{" PRIMARY KEY" if c.name == table.key else ""}'
                for c in table.columns.values()
            ]
            self.connection.execute(f'CREATE TABLE IF NOT EXISTS "{table.physical}" ({", ".join(parts)})')
            present = {row[1] for row in self.connection.execute(f'PRAGMA table_info("{table.physical}")')}
            for column in table.columns.values():
                if column.name not in present:
                    self.connection.execute(
                        f'ALTER TABLE "{table.physical}" ADD COLUMN "{column.name}" {SQL_TYPES[column.type]}'
                    )
            for number, index in enumerate(table.indexes):
                columns = ", ".join(f'"{name.strip()}"' for name in index.split(","))
                self.connection.execute(
                    f'CREATE INDEX IF NOT EXISTS "{table.physical}_{number}" ON "{table.physical}" ({columns})'
                )

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing; sequence numbers that were taken are given back when it fails."""
        if self.connection.in_transaction:
            yield
            return
        sequences = dict(self._sequences)
        self.connection.execute("BEGIN")
        try:
            yield
        except BaseException:
            self.connection.execute("ROLLBACK")
            self._sequences = sequences
            self._names.clear()
            raise
        changed = [(name, value) for name, value in self._sequences.items() if sequences.get(name) != value]
        self.connection.executemany("INSERT OR REPLACE INTO sequence VALUES (?, ?)", changed)
        self.connection.execute("COMMIT")
        self.version += 1

    @contextmanager
    def rehearsal(self) -> Iterator[None]:
        """Whatever is written inside is undone at the end, within a transaction or outside of one."""
        sequences = dict(self._sequences)
        self.connection.execute("SAVEPOINT rehearsal")
        try:
            yield
        finally:
            self.connection.execute("ROLLBACK TO rehearsal")
            self.connection.execute("RELEASE rehearsal")
            self._sequences = sequences
            self._names.clear()
            self._types.clear()

    def next(self, sequence: str, first: int = 1) -> int:
        value = self._sequences.get(sequence, first - 1) + 1
        self._sequences[sequence] = value
        return value

    # Records

    def get(self, space: str, identifier: int) -> tuple[str, Doc] | None:
        """A record's type and document."""
        row = self.connection.execute(
            "SELECT type, doc FROM record WHERE space = ? AND id = ?", (space, identifier)
        ).fetchone()
        return (row[0], decode(row[1])) if row else None

    def find(self, record_type: str, external_id: str) -> int | None:
        row = self.connection.execute(
            "SELECT id FROM record WHERE type = ? AND externalid = ?", (record_type, external_id)
        ).fetchone()
        return int(row[0]) if row else None

    def find_in_space(self, space: str, external_id: str) -> int | None:
        row = self.connection.execute(
            "SELECT id FROM record WHERE space = ? AND externalid = ? LIMIT 1", (space, external_id)
        ).fetchone()
        return int(row[0]) if row else None

    def type_of(self, space: str, identifier: int) -> str | None:
        row = self.connection.execute(
            "SELECT type FROM record WHERE space = ? AND id = ?", (space, identifier)
        ).fetchone()
        return str(row[0]) if row else None

    def known_type(self, space: str, identifier: int) -> str | None:
        """`type_of`, remembered: a record never changes its type, and ids are not used again."""
        key = (space, identifier)
        if key not in self._types:
            if len(self._types) > 50_000:
                self._types.clear()
            found = self.type_of(space, identifier)
            if found is None:
                return None
            self._types[key] = found
        return self._types[key]

    def put(self, space: str, identifier: int, record_type: str, doc: Doc) -> None:
        if self.watch is not None:
            found = self.get(space, identifier)
            self.watch(space, identifier, record_type, found[1] if found is not None else None, doc)
        self.connection.execute(
            "INSERT INTO record (space, id, type, externalid, doc) VALUES (?, ?, ?, ?, ?) "
            "ON CONFLICT (space, id) DO UPDATE SET externalid = excluded.externalid, doc = excluded.doc",
            (space, identifier, record_type, doc.get("externalId"), encode(doc)),
        )

    def remove(self, space: str, identifier: int) -> None:
        if self.watch is not None and (found := self.get(space, identifier)) is not None:
            self.watch(space, identifier, found[0], found[1], None)
        self.connection.execute("DELETE FROM record WHERE space = ? AND id = ?", (space, identifier))
        self.connection.execute("DELETE FROM display WHERE space = ? AND id = ?", (space, identifier))
        self._names.pop((space, str(identifier)), None)

    def change_columns(self, tables: Mapping[str, Table], changed: set[str]) -> None:
        """Make these the tables, with new and empty columns for the `changed` fields; no record keeps their values."""
        for table in self.tables.values():
            for name in changed & table.columns.keys():
                self.connection.execute(f'ALTER TABLE "{table.physical}" DROP COLUMN "{name}"')
        self.tables = tables
        self._make_tables()
        for name in changed:
            rows = self.connection.execute(
                "SELECT space, id, doc FROM record WHERE instr(CAST(doc AS TEXT), ?)", (f'"{name}"',)
            ).fetchall()
            self.connection.executemany(
                "UPDATE record SET doc = ? WHERE space = ? AND id = ?",
                [(encode(_without(decode(doc), name)), space, identifier) for space, identifier, doc in rows],
            )

    def counts(self) -> dict[str, int]:
        """Records by type."""
        return dict(self.connection.execute("SELECT type, count(*) FROM record GROUP BY type ORDER BY type"))

    def clear(self) -> None:
        """Delete everything, sequences included."""
        with self.transaction():
            for name in ("record", "display", "application", "sequence"):
                self.connection.execute(f"DELETE FROM {name}")
            for table in self.tables.values():
                self.connection.execute(f'DELETE FROM "{table.physical}"')
        self._sequences.clear()
        self._names.clear()
        self._types.clear()

    # Display names

    def name(self, space: str, identifier: str) -> str | None:
        """What NetSuite shows for a reference, e.g. `Parent : EU GmbH`."""
        key = (space, identifier)
        if key not in self._names:
            wanted: int | str = int(identifier) if identifier.lstrip("-").isdigit() else identifier
            row = self.connection.execute(
                "SELECT name FROM display WHERE space = ? AND id = ?", (space, wanted)
            ).fetchone()
            if len(self._names) > 50_000:
                self._names.clear()
            self._names[key] = row[0] if row else None
        return self._names[key]

    def set_name(self, space: str, identifier: int | str, name: str) -> None:
        self.connection.execute("INSERT OR REPLACE INTO display VALUES (?, ?, ?)", (space, identifier, name))
        self._names[(space, str(identifier))] = name

    # The tables that SuiteQL reads

    def insert(self, table: str, row: Mapping[str, Json]) -> None:
        """Insert or replace one row by its key. Decimals become doubles of at most 15 digits, exact when printed."""
        names = (table, *row)
        sql = self._inserts.get(names)
        if sql is None:
            columns = ", ".join(f'"{name}"' for name in row)
            marks = ", ".join("?" * len(row))
            sql = f'INSERT OR REPLACE INTO "{self.tables[table].physical}" ({columns}) VALUES ({marks})'
            self._inserts[names] = sql
        self.connection.execute(sql, [_cell(value) for value in row.values()])

    def delete_rows(self, table: str, column: str, value: int | str) -> None:
        self.connection.execute(f'DELETE FROM "{self.tables[table].physical}" WHERE "{column}" = ?', (value,))


def _without(doc: Doc, name: str) -> Doc:
    """A record, and its lines, without one field."""
    return {
        key: [_without(line, name) if isinstance(line, dict) else line for line in value]
        if isinstance(value, list)
        else value
        for key, value in doc.items()
        if key != name
    }


def _cell(value: Json) -> Json:
    kind = type(value)
    if kind is bool:
        return "T" if value else "F"
    return float(value) if kind is Decimal else value
