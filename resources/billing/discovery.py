"""What a billing database holds before any file says so: its tables, their columns, keys inside of JSON, distinct values.

Here: asking the database's own catalogue and a few rows. Not here: which of it is what (`netsuite_assets/mapping`), or
reading bills (`sql.py`).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from resources.billing.connect import normalise_url, read_only_engine, shown, without_password
from resources.billing.errors import BillingError

#: Rows that are read to find the keys of a JSON column, and values of a column that are told at most.
SAMPLED: Final = 200
VALUES: Final = 50
#: The column whose JSON object becomes the canonical `metadata`.
_METADATA: Final = "metadata"


@dataclass(frozen=True)
class DiscoveredTable:
    """A table or view: its columns in order, and the keys found inside of its column `metadata`."""

    name: str
    columns: Sequence[str]
    metadata_keys: Sequence[str] = ()


@dataclass(frozen=True)
class Discovered:
    """A database's tables by name, and the distinct values of the columns that were asked for, by table and column."""

    tables: Mapping[str, DiscoveredTable]
    values: Mapping[tuple[str, str], Sequence[str]] = field(default_factory=dict)


def discover(url: str, timezone: str, values_of: Sequence[str] = ()) -> Discovered:
    """The tables of a database, and the distinct values of every column called as in `values_of`.

    Raises `BillingError` when it cannot be read.
    """
    parsed = normalise_url(url)
    with _asking(parsed):
        engine = read_only_engine(parsed, ZoneInfo(timezone))
        try:
            with engine.connect() as connection:
                inspector = sa.inspect(connection)
                names = sorted({*inspector.get_table_names(), *inspector.get_view_names()})
                tables = {}
                values = {}
                for name in names:
                    columns = [str(column["name"]) for column in inspector.get_columns(name)]
                    keys = _keys(connection, name) if _METADATA in columns else []
                    tables[name] = DiscoveredTable(name, columns, keys)
                    for column in columns:
                        if column in values_of:
                            values[name, column] = _distinct(connection, name, column)
        finally:
            engine.dispose()
    return Discovered(tables, values)


def _keys(connection: sa.Connection, table: str) -> list[str]:
    column: sa.ColumnClause[object] = sa.column(_METADATA)
    query = sa.select(column).select_from(sa.table(table)).where(column.is_not(None)).limit(SAMPLED)
    found: set[str] = set()
    for (value,) in connection.execute(query):
        try:
            held = json.loads(value) if isinstance(value, str | bytes) else value
        except ValueError:
            continue  # Not JSON: reading its bills says so, with the row.
        if isinstance(held, dict):
            found |= set(held)
    return sorted(found)


def _distinct(connection: sa.Connection, table: str, name: str) -> list[str]:
    column: sa.ColumnClause[object] = sa.column(name)
    query = (
        sa.select(column).select_from(sa.table(table)).where(column.is_not(None)).distinct().order_by(column)
    )
    return [str(value) for (value,) in connection.execute(query.limit(VALUES))]


@contextmanager
def _asking(url: sa.URL) -> Iterator[None]:
    try:
        yield
    except sa.exc.DBAPIError as error:
        said = without_password(str(error.orig).strip(), url)
        raise BillingError(
            "Looking at the tables of the billing database",
            f"the database {shown(url)} cannot be read: {said}",
            "Check that it runs, that its address and password are right, and that this machine may reach it.",
        ) from None
