"""Which internal id each external id had when NetSuite last showed them together.

Here: keeping them, so that a record whose external id was wiped or overwritten in NetSuite is still known. Not here:
what is made of it (`scopes.py`, and the matching of the stage `reconcile`). Imports no Dagster.

The table can be lost with the warehouse: a new one is filled from the ledger, which knows what we wrote, before anything
is read, and with the next comparison.
"""

from __future__ import annotations

from itertools import islice
from typing import Final

import pyarrow as pa

from resources.ledger import Ledger
from resources.warehouse import WHOLE, TenantWarehouse, literal

KNOWN_IDS: Final = "meta.known_ids"
#: Ids that are put down at once.
_AT_ONCE: Final = 5_000

_TABLE: Final = f"""
CREATE TABLE IF NOT EXISTS {KNOWN_IDS} (
    record VARCHAR NOT NULL, period VARCHAR NOT NULL, external_id VARCHAR NOT NULL, internal_id VARCHAR NOT NULL)
"""


def keep_known_ids(warehouse: TenantWarehouse, record: str, table: str, period: str | None) -> None:
    """Keep the ids of a slice of NetSuite's records; those that it shows otherwise now take the place of what was kept.

    Only external ids that the table `header_repeated` does not name, so that each stands for one record. `period` None
    is the whole table.
    """
    run = warehouse.connection.execute
    run(_TABLE)
    of_slice = f"record = {literal(record)} AND period = {literal(period or WHOLE)}"
    where = "true" if period is None else f"period = {literal(period)}"
    run(f"""
        CREATE OR REPLACE TEMP TABLE ids_shown_anew AS
        SELECT external_id, internal_id FROM {table} WHERE {where} AND external_id IS NOT NULL
        EXCEPT SELECT external_id, internal_id FROM {KNOWN_IDS} WHERE {of_slice}
        EXCEPT SELECT external_id, internal_id FROM {table}
            WHERE {where} AND external_id IN (SELECT key FROM header_repeated WHERE key IS NOT NULL)
    """)
    if not warehouse.value("SELECT count(*) FROM ids_shown_anew"):
        return
    with warehouse.transaction():
        run(
            f"DELETE FROM {KNOWN_IDS} WHERE {of_slice} AND external_id IN (SELECT external_id FROM ids_shown_anew)"
        )
        run(
            f"INSERT INTO {KNOWN_IDS} SELECT {literal(record)}, {literal(period or WHOLE)}, external_id, internal_id"
            " FROM ids_shown_anew"
        )


def refill_known_ids(
    warehouse: TenantWarehouse, ledger: Ledger, record: str, *, monthly: bool = True
) -> None:
    """Where nothing is known of a record type, take what the ledger knows of the records that we wrote."""
    run = warehouse.connection.execute
    run(_TABLE)
    if warehouse.value(f"SELECT count(*) FROM (FROM {KNOWN_IDS} WHERE record = ? LIMIT 1)", [record]):
        return
    names = ("period", "external_id", "internal_id")
    run("CREATE OR REPLACE TEMP TABLE written (period VARCHAR, external_id VARCHAR, internal_id VARCHAR)")
    written = ledger.identities(warehouse.tenant, record)
    while some := list(islice(written, _AT_ONCE)):
        columns = {name: [getattr(one, name) for one in some] for name in names}
        table = pa.table(columns, pa.schema([(name, pa.string()) for name in names]))
        warehouse.connection.register("written_in", table)
        run("INSERT INTO written BY NAME SELECT * FROM written_in")
        warehouse.connection.unregister("written_in")
    period = "period" if monthly else literal(WHOLE)
    run(
        f"INSERT INTO {KNOWN_IDS} SELECT ?, {period}, external_id, last(internal_id ORDER BY rowid)"
        " FROM written GROUP BY ALL",
        [record],
    )
    run("DROP TABLE written")


def ids_known_of(warehouse: TenantWarehouse, record: str, wanted: str) -> list[int]:
    """The internal ids that a query's external ids had, in order."""
    warehouse.connection.execute(_TABLE)
    rows = warehouse.sql(
        f"SELECT DISTINCT internal_id::BIGINT FROM {KNOWN_IDS} WHERE record = ? AND external_id IN ({wanted}) ORDER BY 1",
        [record],
    )
    return [row[0] for row in rows]


def recall_known_ids(warehouse: TenantWarehouse, record: str, wanted: str) -> None:
    """Make the temporary table `known_ids` (external_id, internal_id) of a query's external ids.

    A document that was in several months has one row for each internal id that it had.
    """
    run = warehouse.connection.execute
    run(_TABLE)
    run(f"""
        CREATE OR REPLACE TEMP TABLE known_ids AS
        SELECT DISTINCT external_id, internal_id FROM {KNOWN_IDS}
        WHERE record = {literal(record)} AND external_id IN ({wanted})
    """)


def recall_earlier_ids(warehouse: TenantWarehouse, record: str, shown: str) -> None:
    """Make the temporary table `earlier_ids` (internal_id, external_id) of a query's records (internal_id, external_id):
    the other external ids that they had before.
    """
    run = warehouse.connection.execute
    run(_TABLE)
    run(f"""
        CREATE OR REPLACE TEMP TABLE earlier_ids AS
        SELECT DISTINCT k.internal_id, k.external_id FROM {KNOWN_IDS} k JOIN ({shown}) s ON s.internal_id = k.internal_id
        WHERE k.record = {literal(record)} AND k.external_id IS DISTINCT FROM s.external_id
    """)
