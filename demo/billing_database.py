"""A demo tenant's billing database, made and filled.

Here: connecting, and filling once and whole. Not here: the tables and rows (`billing_tables.py`), nor how the product
reads a billing database (`resources/billing`).

Filling is one transaction that ends with a marker: a database that was filled with the same documents is left alone,
also when somebody changed a value in it since; one that was left half-filled is filled again; one that holds tables
that the demo did not make is refused.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.pool import NullPool

from demo.billing_tables import LAYOUTS, Layout
from demo.documents import Billing
from resources.billing.connect import normalise_url

_MARKER = sa.Table(
    "demo_fill",
    sa.MetaData(),
    sa.Column("layout", sa.String(32), primary_key=True),
    sa.Column("fingerprint", sa.String(64), nullable=False),
)

_FILLING = "filling"


class DemoDatabaseError(Exception):
    """A database that the demo cannot or must not fill; the text says why and what to do."""


@dataclass(frozen=True, slots=True)
class Filled:
    """The rows of each table of the billing database now, and whether this call had to write them."""

    rows: Mapping[str, int]
    changed: bool


def fill(url: str | sa.URL, tenant: str, billing: Billing) -> Filled:
    """Make the tables of `tenant` (acme, globex or retail) at the SQLAlchemy URL and fill them with `billing`."""
    layout = LAYOUTS[tenant]
    target = normalise_url(url)
    shown = target.render_as_string(hide_password=True)
    if target.get_backend_name() == "sqlite" and target.database:
        Path(target.database).parent.mkdir(parents=True, exist_ok=True)
    engine = sa.create_engine(target, poolclass=NullPool)
    try:
        return _fill(engine, shown, tenant, layout, billing)
    except sa.exc.DatabaseError as error:
        raise DemoDatabaseError(
            f"Filling the demo billing database {shown}: {str(error.orig).strip()} "
            "Check that the database runs and may be written; a broken SQLite file can be deleted."
        ) from None
    finally:
        engine.dispose()


def _fill(engine: sa.Engine, shown: str, tenant: str, layout: Layout, billing: Billing) -> Filled:
    rows = layout.rows_of(billing)
    wanted = {name: len(these) for name, these in rows.items()}
    columns = {table.name: [column.name for column in table.columns] for table in layout.tables.sorted_tables}
    fingerprint = hashlib.sha256(repr((tenant, columns, rows)).encode()).hexdigest()
    _claim(engine, shown, tenant, layout)
    with engine.begin() as connection:
        marked = connection.scalar(sa.select(_MARKER.c.fingerprint).where(_MARKER.c.layout == tenant))
        held = _row_counts(connection, layout)
        # A table that billing leaves empty may have been filled by what flows back from NetSuite.
        if marked == fingerprint and held and all(held[name] == n for name, n in wanted.items() if n):
            return Filled(wanted, changed=False)
        # The marker first: a write begins the transaction that SQLite then keeps the table changes in too.
        connection.execute(_MARKER.update().where(_MARKER.c.layout == tenant).values(fingerprint=_FILLING))
        layout.tables.drop_all(connection)
        layout.tables.create_all(connection)
        for table in layout.tables.sorted_tables:
            if rows[table.name]:
                connection.execute(sa.insert(table), rows[table.name])
        connection.execute(_MARKER.update().where(_MARKER.c.layout == tenant).values(fingerprint=fingerprint))
    return Filled(wanted, changed=True)


def _claim(engine: sa.Engine, shown: str, tenant: str, layout: Layout) -> None:
    """Mark the tables as the demo's before the first is made; refuse when there are such tables already."""
    with engine.begin() as connection:
        existing = set(sa.inspect(connection).get_table_names())
        if _MARKER.name in existing and connection.scalar(
            sa.select(_MARKER.c.layout).where(_MARKER.c.layout == tenant)
        ):
            return
        if foreign := sorted(existing & set(layout.tables.tables)):
            raise DemoDatabaseError(
                f"Filling the demo billing database {shown}: it holds tables that the demo did not make for "
                f"'{tenant}' ({', '.join(foreign)}), and these would be replaced. Give the URL of an empty database."
            )
        _MARKER.create(connection, checkfirst=True)
        connection.execute(sa.insert(_MARKER).values(layout=tenant, fingerprint=_FILLING))


def _row_counts(connection: sa.Connection, layout: Layout) -> dict[str, int] | None:
    """The rows of each table, or None when a table is missing."""
    existing = set(sa.inspect(connection).get_table_names())
    if not existing >= set(layout.tables.tables):
        return None
    return {
        table.name: connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()
        for table in layout.tables.sorted_tables
    }
