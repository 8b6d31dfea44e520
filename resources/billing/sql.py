"""A billing platform that is a relational database, read through SQLAlchemy.

Here: the queries of a slice, and the stream of its rows. Not here: which real table stands for which canonical one
(`tables.py`), the connection (`connect.py`), nor how rows become batches (`rows.py`) and values exact (`values.py`).

One `SqlBilling` is one consistent view of the database: all that is counted and read between the first question and
`close` comes from one read-only transaction. Rows are streamed; no slice is ever held whole in memory.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date, datetime, time, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

import pyarrow as pa
import sqlalchemy as sa

from resources.billing.connect import normalise_url, read_only_engine, shown, without_password
from resources.billing.errors import BillingError
from resources.billing.rows import RowShape, words
from resources.billing.tables import FoundTable, SqlSettings, find_table, unknown_names

#: Rows of one Arrow batch: some megabytes, whatever the slice's size.
BATCH_ROWS: Final = 10_000
_IDS_AT_ONCE: Final = 500

_ISO_DAY_GLOB: Final = "[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]"


class SqlBilling:
    """`BillingSource` over one database.

    `url` is a SQLAlchemy URL; a bare `postgresql://` means psycopg2, a SQLite file is opened read-only and must exist.
    `zone` places timestamps that carry an offset on the tenant's calendar. Nothing is opened before the first
    question. Not for use by several threads at once.
    """

    def __init__(
        self, settings: SqlSettings, url: str | sa.URL, zone: ZoneInfo, *, batch_rows: int = BATCH_ROWS
    ) -> None:
        unknown_names(settings)
        self._settings = settings
        self._url = normalise_url(url)
        self._zone = zone
        self._batch_rows = batch_rows
        self._connection: sa.Connection | None = None
        self._engine: sa.Engine | None = None
        self._found: dict[str, FoundTable] = {}

    def __repr__(self) -> str:
        return f"SqlBilling({shown(self._url)})"

    @property
    def provides(self) -> frozenset[str]:
        return frozenset(self._settings.tables)

    def check(self) -> None:
        """Find every table and column that the settings name; the first that is missing is a `BillingError`."""
        for name in self._settings.tables:
            self._table(name)

    def count(self, table: str, start: date, end: date) -> int:
        """The database's own COUNT(*) of the slice; `end` is exclusive."""
        found = self._table(table)
        with self._asking(f"Counting {words(table)} in the billing database", found.source.name):
            self._refuse_undated(found)
            joined, inside = self._slice(found, start, end)
            return int(
                self._connect()
                .execute(sa.select(sa.func.count()).select_from(joined).where(*inside))
                .scalar_one()
            )

    def read(self, table: str, start: date, end: date) -> Iterator[pa.RecordBatch]:
        """The slice in order of the table's key (text, by code point), in batches of the canonical schema.

        A value that does not fit, a missing required value and a key that occurs twice are a `BillingError` that
        names table, column and row.
        """
        found = self._table(table)
        shape = RowShape(found, self._zone)
        with self._asking(f"Reading {words(table)} from the billing database", found.source.name):
            self._refuse_undated(found)
            joined, inside = self._slice(found, start, end)
            statement = (
                sa.select(*shape.selected)
                .select_from(joined)
                .where(*inside)
                .order_by(*self._key_order(found))
            )
            rows = self._connect().execute(statement.execution_options(yield_per=self._batch_rows))
            last_key: tuple[str, ...] | None = None
            with rows:
                for partition in rows.partitions():
                    batch = shape.batch(partition)
                    last_key = shape.refuse_repeated_keys(batch, last_key)
                    self._refuse_outside(found, shape, batch, start, end)
                    yield batch

    def locate(self, table: str, ids: Sequence[str]) -> dict[str, date]:
        """The day of issue of each of these documents that the database holds, whatever its month; by id."""
        found = self._table(table)
        shape = RowShape(found, self._zone)
        dated = str(found.canonical.period_column)
        located: dict[str, date] = {}
        with self._asking(f"Looking {words(table)} up in the billing database", found.source.name):
            for start in range(0, len(ids), _IDS_AT_ONCE):
                wanted = sa.cast(found.column("id"), sa.Text).in_(ids[start : start + _IDS_AT_ONCE])
                statement = (
                    sa.select(*shape.selected).select_from(found.source).where(*_chosen(found), wanted)
                )
                rows = self._connect().execute(statement).fetchall()
                if not rows:
                    continue
                batch = shape.batch(rows)
                days = zip(batch.column("id").to_pylist(), batch.column(dated).to_pylist(), strict=True)
                located.update(days)
        return located

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
        if self._engine is not None:
            self._engine.dispose()
        self._connection = self._engine = None
        self._found.clear()

    # Connection

    def _connect(self) -> sa.Connection:
        if self._connection is None:
            self._engine = read_only_engine(self._url, self._zone)
            self._connection = self._engine.connect()
            if self._url.get_backend_name() == "sqlite":
                self._connection.exec_driver_sql("PRAGMA schema_version")  # reads the file's header
                self._connection.exec_driver_sql("BEGIN")
        return self._connection

    @contextmanager
    def _asking(self, attempted: str, table: str | None = None) -> Iterator[None]:
        """Turn the driver's errors into a `BillingError`, and drop the connection that they leave unusable."""
        opened = self._connection is not None
        try:
            yield
        except sa.exc.DBAPIError as error:
            self.close()
            said = without_password(str(error.orig).strip(), self._url)
            if opened and not error.connection_invalidated:
                raise BillingError(
                    attempted,
                    f"the database refused the query: {said}",
                    "Compare the table with the names in the tenant's YAML (billing.tables).",
                    table=table,
                ) from None
            raise BillingError(
                attempted,
                f"the database {shown(self._url)} cannot be read: {said}",
                "Check that it runs, that its address and password are right, and that this machine may reach it.",
                table=table,
            ) from None

    def _table(self, name: str) -> FoundTable:
        if name not in self._found:
            given = self._settings.tables[name]
            with self._asking("Opening the billing database"):
                connection = self._connect()
            with self._asking("Looking up the tables of the billing database", given.table):
                self._found[name] = find_table(sa.inspect(connection), name, given)
        return self._found[name]

    # Queries

    def _slice(
        self, found: FoundTable, start: date, end: date
    ) -> tuple[sa.FromClause, list[sa.ColumnElement[bool]]]:
        """What to select from, and the conditions: the tenant's own and, but for customers, the period."""
        conditions = _chosen(found)
        canonical = found.canonical
        if canonical.parent is not None and canonical.parent_column is not None:
            parent = self._table(canonical.parent)
            joined = found.source.join(
                parent.source, found.column(canonical.parent_column) == parent.column("id")
            )
            return joined, conditions + _chosen(parent) + self._period(parent, start, end)
        return found.source, conditions + self._period(found, start, end)

    def _period(self, found: FoundTable, start: date, end: date) -> list[sa.ColumnElement[bool]]:
        if found.canonical.period_column is None:
            return []
        column = found.column(found.canonical.period_column)
        kind = found.kind(found.canonical.period_column)
        if self._is_sqlite():
            # The first two conditions can use an index; an offset moves a timestamp by less than a day.
            day = _sqlite_day(column)
            return [
                column >= _shifted(start, -1).isoformat(),
                column < _shifted(end, 1).isoformat(),
                day >= start.isoformat(),
                day < end.isoformat(),
            ]
        if isinstance(kind, sa.DateTime):
            zone = self._zone if kind.timezone else None
            first, last = (datetime.combine(day, time(), zone) for day in (start, end))
            return [column >= first, column < last]
        if isinstance(kind, sa.Date):
            return [column >= start, column < end]
        if isinstance(kind, sa.String):
            day = sa.func.substr(column, 1, 10)
            return [day >= start.isoformat(), day < end.isoformat()]
        raise BillingError(
            f"Choosing the {words(found.canonical.name)} of a period",
            f"the column '{column.name}' of '{found.source.name}' has the type {kind}, which is not a date.",
            "Name a column of dates, timestamps or ISO text in "
            f"billing.tables.{found.canonical.name}.columns.{found.canonical.period_column} of the tenant's YAML.",
            table=found.source.name,
            column=column.name,
            yaml_key=f"billing.tables.{found.canonical.name}.columns.{found.canonical.period_column}",
        )

    def _refuse_undated(self, found: FoundTable) -> None:
        """Rows without a readable date would be in no month, and so lost: they stop the slice."""
        name = found.canonical.period_column
        if name is None:
            return
        column, kind = found.column(name), found.kind(name)
        if self._is_sqlite():
            undated = sa.or_(column.is_(None), _sqlite_day(column).is_(None))
        elif isinstance(kind, sa.String):
            undated = sa.or_(column.is_(None), column.not_like("____-__-__%"))
        elif found.nullable[column.name]:
            undated = column.is_(None)
        else:
            return
        shape = RowShape(found, self._zone)
        statement = (
            sa.select(*shape.selected)
            .where(undated, *_chosen(found))
            .order_by(*self._key_order(found))
            .limit(1)
        )
        row = self._connect().execute(statement).first()
        if row is not None:
            value = row[shape.position(name)]
            raise shape.error(row, name, value, "does not say in which month the row belongs")

    def _refuse_outside(
        self, found: FoundTable, shape: RowShape, batch: pa.RecordBatch, start: date, end: date
    ) -> None:
        """Text timestamps with an offset are chosen by their first ten characters, which may be another day."""
        name = found.canonical.period_column
        if name is None or self._is_sqlite() or not isinstance(found.kind(name), sa.String):
            return
        for position, day in enumerate(batch.column(name).to_pylist()):
            if not start <= day < end:
                row = [batch.column(column)[position].as_py() for column in found.canonical.key]
                raise BillingError(
                    f"Reading {words(found.canonical.name)} from the billing database",
                    f"{shape.named(row)}: the text timestamp in '{found.columns[name]}' of '{found.source.name}' "
                    f"falls on {day} in {self._zone.key}, outside of the month that its first ten characters say.",
                    "Make the column a timestamp with time zone, or read a view that does.",
                    table=found.source.name,
                    column=found.columns[name],
                    row=shape.named(row),
                )

    def _key_order(self, found: FoundTable) -> list[sa.ColumnElement[Any]]:
        """By the key's text and code points, as Python and DuckDB order strings, whatever the column's collation."""
        texts = [sa.cast(found.column(name), sa.Text) for name in found.canonical.key]
        collation = {"sqlite": "BINARY", "postgresql": "C"}.get(self._url.get_backend_name())
        return [sa.collate(text, collation) if collation else text for text in texts]

    def _is_sqlite(self) -> bool:
        return self._url.get_backend_name() == "sqlite"


def _sqlite_day(column: sa.ColumnClause[Any]) -> sa.ColumnElement[Any]:
    """The day of a SQLite value as ISO text, or NULL; plain dates do not pay for the call."""
    return sa.case((column.op("GLOB")(_ISO_DAY_GLOB), column), else_=sa.func.billing_day(column))


def _chosen(found: FoundTable) -> list[sa.ColumnElement[bool]]:
    conditions: list[sa.ColumnElement[bool]] = []
    for name, values in found.where.items():
        column = found.source.c[name]
        matches: list[sa.ColumnElement[bool]] = [column.in_([value for value in values if value is not None])]
        if None in values:
            matches.append(column.is_(None))
        conditions.append(sa.or_(*matches))
    return conditions


def _shifted(day: date, days: int) -> date:
    try:
        return day + timedelta(days=days)
    except OverflowError:
        return day
