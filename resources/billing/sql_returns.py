"""What flows back from NetSuite, written to a billing platform that is a relational database.

Here: the columns that take the facts, and the statements. Not here: reading the bills (`sql.py`, which cannot write), or
what is returned. Every call has a connection of its own, so that no transaction stays open between two.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC
from functools import cached_property
from pathlib import Path
from typing import Any, Final, Protocol

import sqlalchemy as sa
from sqlalchemy.pool import NullPool

from resources.billing.connect import CONNECT_SECONDS, normalise_url, shown, without_password
from resources.billing.errors import BillingError, ReturnInDoubt
from resources.billing.returns import FACTS, KEYS, FactKind, Facts, Key, ReturnedRow, Taken, as_it_is
from resources.billing.tables import suggestion
from resources.billing.values import ValueRefused, to_day, to_decimal, to_text

#: Rows that are asked for in one statement.
_AT_ONCE: Final = 400


class ReturnSettings(Protocol):
    """Where the facts of one kind go: `columns` is fact to column. With a `table` of its own its rows are made and taken
    away; without, they are columns of the table that the bills are read from.
    """

    @property
    def table(self) -> str | None: ...
    @property
    def key(self) -> Mapping[str, str]: ...
    @property
    def columns(self) -> Mapping[str, str]: ...


@dataclass(frozen=True)
class Place:
    """A table of the database that takes facts: its key's columns and the facts', by our names. `is_ours` tells a table
    that holds nothing else, in which rows are made and deleted, from one of billing's own.
    """

    kind: str
    table: str
    key: Mapping[str, str]
    columns: Mapping[str, str]
    is_ours: bool
    yaml_key: str

    @property
    def kinds(self) -> Mapping[str, FactKind]:
        return {fact: FACTS[self.kind][fact] for fact in self.columns}

    @cached_property
    def source(self) -> sa.TableClause:
        schema, _, name = self.table.rpartition(".")
        names = dict.fromkeys([*self.key.values(), *self.columns.values()])
        return sa.table(name, *(sa.column(column) for column in names), schema=schema or None)


class SqlReturns:
    """`Returns` over one database. `places` are by kind; `url` is a SQLAlchemy URL. Nothing is opened before the first
    question. Calls may come from several threads, one after the other.
    """

    def __init__(self, places: Mapping[str, Place], url: str | sa.URL) -> None:
        self._places = places
        self._url = normalise_url(url)
        self._engine: sa.Engine | None = None
        self._checked: set[str] = set()

    def __repr__(self) -> str:
        return f"SqlReturns({shown(self._url)})"

    def facts(self, kind: str) -> tuple[str, ...]:
        place = self._places.get(kind)
        return tuple(place.columns) if place is not None else ()

    def check(self, kind: str) -> None:
        place = self._places[kind]
        attempted = f"Trying on no row what is written to {place.table}"
        with self._connected(place, attempted) as connection:
            for statement in _trials(place):
                connection.execute(statement)

    def makes_rows(self, kind: str) -> bool:
        return self._places[kind].is_ours

    def held(self, kind: str, ids: Sequence[str]) -> dict[Key, Facts]:
        place = self._places[kind]
        found: dict[Key, Facts] = {}
        with self._connected(place, f"Reading what {place.table} holds of NetSuite's facts") as connection:
            wanted = place.source.c[place.key["invoice_id" if kind == "application" else "id"]]
            for start in range(0, len(ids), _AT_ONCE):
                some = wanted.in_(list(ids[start : start + _AT_ONCE]))
                for key, facts in _rows(connection, place, sa.select(*_selected(place)).where(some)):
                    self._once(place, key, found)
                    found[key] = facts
        return found

    def write(self, rows: Sequence[ReturnedRow]) -> list[Taken]:
        taken: list[Taken] = []
        if not rows:
            return taken
        first = self._places[rows[0].kind]
        with self._connected(first, "Returning facts from NetSuite to the billing database") as connection:
            for row in rows:
                place = self._places[row.kind]
                self._check(connection, place)
                held = self._held_for_update(connection, place, row.key)
                state = as_it_is(row, held)
                if state == "written":
                    _write(connection, place, row)
                taken.append(Taken(row, state, held))
            self._commit(connection, first)
        return taken

    def close(self) -> None:
        if self._engine is not None:
            self._engine.dispose()
        self._engine = None

    # Connection

    @contextmanager
    def _connected(self, place: Place, attempted: str) -> Iterator[sa.Connection]:
        """A connection in a transaction that is rolled back at the end, unless it was committed."""
        opened = False
        try:
            if self._engine is None:
                self._engine = _engine(self._url, place)
            with self._engine.connect() as connection:
                opened = True
                if connection.dialect.name == "sqlite":
                    # From the first look on nobody else writes, so that what is looked at is what is changed.
                    connection.exec_driver_sql("BEGIN IMMEDIATE")
                self._check(connection, place)
                yield connection
        except sa.exc.DBAPIError as error:
            said = without_password(str(error.orig).strip(), self._url)
            what = "refused it" if opened else f"({shown(self._url)}) cannot be opened for writing"
            raise BillingError(
                attempted,
                f"the billing database {what}: {said}. Nothing was written.",
                f"Give the user of billing.url the right to read and update the columns of {place.yaml_key} in"
                f" '{place.table}', and to insert and delete rows where that table is named there; then run again.",
                table=place.table,
                yaml_key=place.yaml_key,
            ) from None

    def _commit(self, connection: sa.Connection, place: Place) -> None:
        try:
            connection.commit()
        except sa.exc.DBAPIError as error:
            if not error.connection_invalidated:
                raise
            raise ReturnInDoubt(
                "Returning facts from NetSuite to the billing database",
                "the connection was lost while the rows were committed:"
                f" {without_password(str(error.orig).strip(), self._url)}.",
                "Nothing to do now: the next run looks up what billing holds.",
                table=place.table,
            ) from None

    def _check(self, connection: sa.Connection, place: Place) -> None:
        """Find the table and its columns, once."""
        if place.kind in self._checked:
            return
        attempted = "Finding the columns that take facts from NetSuite"
        schema, _, name = place.table.rpartition(".")
        inspector = sa.inspect(connection)
        try:
            existing = [str(column["name"]) for column in inspector.get_columns(name, schema=schema or None)]
        except sa.exc.NoSuchTableError:
            existing = []
        if not existing:
            raise BillingError(
                attempted,
                f"there is no table '{place.table}'. {suggestion(name, inspector.get_table_names(schema or None))}",
                f"Correct {place.yaml_key}.table in the tenant's YAML, or create the table.",
                table=place.table,
                yaml_key=f"{place.yaml_key}.table",
            )
        for part, columns in (("key", place.key), ("columns", place.columns)):
            for ours, theirs in columns.items():
                if theirs not in existing:
                    raise BillingError(
                        attempted,
                        f"the table '{place.table}' has no column '{theirs}' for {ours}. {suggestion(theirs, existing)}",
                        f"Correct {place.yaml_key}.{part}.{ours} in the tenant's YAML, or add the column.",
                        table=place.table,
                        column=theirs,
                        yaml_key=f"{place.yaml_key}.{part}.{ours}",
                    )
        self._checked.add(place.kind)

    # Rows

    def _held_for_update(self, connection: sa.Connection, place: Place, key: Key) -> Facts | None:
        statement = sa.select(*_selected(place)).where(*_is(place, key)).with_for_update()
        found: dict[Key, Facts] = {}
        for each, facts in _rows(connection, place, statement):
            self._once(place, each, found)
            found[each] = facts
        return next(iter(found.values()), None)

    def _once(self, place: Place, key: Key, found: Mapping[Key, Facts]) -> None:
        if key in found:
            named = ", ".join(
                f"{column} {value}" for column, value in zip(place.key.values(), key, strict=True)
            )
            raise BillingError(
                "Returning facts from NetSuite to the billing database",
                f"'{place.table}' has more than one row with {named}.",
                f"Name the columns that are unique in {place.yaml_key}.key of the tenant's YAML.",
                table=place.table,
                row=named,
                yaml_key=f"{place.yaml_key}.key",
            )


def _selected(place: Place) -> list[sa.ColumnClause[Any]]:
    return [place.source.c[column] for column in (*place.key.values(), *place.columns.values())]


def _trials(place: Place) -> Iterator[sa.Executable]:
    """The statements that are run on a place's rows, each on none of them: a database refuses them all the same."""
    source, none = place.source, sa.false()
    yield sa.select(*_selected(place)).where(none)
    yield (
        sa.update(source).where(none).values({column: source.c[column] for column in place.columns.values()})
    )
    if place.is_ours:
        names = list(dict.fromkeys([*place.key.values(), *place.columns.values()]))
        yield sa.insert(source).from_select(names, sa.select(*(source.c[name] for name in names)).where(none))
        yield sa.delete(source).where(none)


def _is(place: Place, key: Key) -> list[sa.ColumnElement[bool]]:
    return [place.source.c[column] == value for column, value in zip(place.key.values(), key, strict=True)]


def _rows(connection: sa.Connection, place: Place, statement: sa.Select[Any]) -> Iterator[tuple[Key, Facts]]:
    width = len(place.key)
    for row in connection.execute(statement):
        key = tuple(str(to_text(value)) for value in row[:width])
        facts = zip(place.kinds.items(), zip(place.columns.values(), row[width:], strict=True), strict=True)
        yield key, {fact: _plain(place, column, kind, value) for (fact, kind), (column, value) in facts}


def _plain(place: Place, column: str, kind: FactKind, value: Any) -> str | None:
    """A value of the database as facts are written."""
    try:
        if value is None:
            return None
        if kind == "amount":
            number = to_decimal(value)
            return None if number is None else plain_amount(f"{number:f}")
        if kind == "date":
            day = to_day(value, UTC)
            return None if day is None else day.isoformat()
        return to_text(value)
    except ValueRefused as refused:
        raise BillingError(
            "Reading what billing holds of NetSuite's facts",
            f"the value {value!r} in '{column}' of '{place.table}' {refused}.",
            f"Empty it, or name another column in {place.yaml_key}.columns of the tenant's YAML.",
            table=place.table,
            column=column,
            yaml_key=f"{place.yaml_key}.columns",
        ) from None


def plain_amount(text: str) -> str:
    """A decimal number without trailing zeros: `12.50` is `12.5`."""
    return text.rstrip("0").rstrip(".") if "." in text else text


def _write(connection: sa.Connection, place: Place, row: ReturnedRow) -> None:
    source = place.source
    if row.after is None:
        connection.execute(sa.delete(source).where(*_is(place, row.key)))
        return
    values = {place.columns[fact]: value for fact, value in row.after.items()}
    if row.before is None:
        key = dict(zip(place.key.values(), row.key, strict=True))
        connection.execute(sa.insert(source).values({**key, **values}))
    else:
        connection.execute(sa.update(source).where(*_is(place, row.key)).values(values))


def _engine(url: sa.URL, place: Place) -> sa.Engine:
    if url.get_backend_name() != "sqlite":
        options = {"connect_timeout": CONNECT_SECONDS} if url.get_backend_name() == "postgresql" else {}
        return sa.create_engine(url, poolclass=NullPool, connect_args=options)
    path = Path(url.database or "")
    if not url.database or not path.is_file():
        raise BillingError(
            "Opening the billing database for writing",
            f"there is no SQLite file '{path.absolute() if url.database else ''}'.",
            "Correct billing.url of the tenant.",
            table=place.table,
            yaml_key="billing.url",
        )

    def connect() -> sqlite3.Connection:
        # The transaction is begun by hand: the driver's own would begin at the first change, not at the first look.
        return sqlite3.connect(path, isolation_level=None, timeout=CONNECT_SECONDS, check_same_thread=False)

    return sa.create_engine("sqlite://", creator=connect, poolclass=NullPool)


def places(
    returned: Mapping[str, ReturnSettings], own_tables: Mapping[str, tuple[str, str]]
) -> dict[str, Place]:
    """Where each kind's facts go. `own_tables` gives the table that a kind's bills are read from, and its id column."""
    found = {}
    for kind, settings in returned.items():
        table, identifier = own_tables.get(kind, ("", "id"))
        named = settings.table or ("netsuite_applications" if kind == "application" else None)
        default_key = {name: name for name in KEYS[kind]} if named else {"id": identifier}
        found[kind] = Place(
            kind,
            named or table,
            {**default_key, **settings.key},
            settings.columns,
            named is not None,
            f"writeback.return.{kind}",
        )
    return found


__all__ = ["KEYS", "Place", "ReturnSettings", "SqlReturns", "places", "plain_amount"]
