"""Which internal id each external id had when NetSuite last showed them together.

Here: keeping them, so that a record whose external id was wiped or overwritten in NetSuite is still known. Not here:
what is made of it (`matching.py`, `matching_customers.py`). The table can be lost with the warehouse: it fills again
with the next comparison.
"""

from __future__ import annotations

from typing import Final

from resources.warehouse import WHOLE, TenantWarehouse, literal

KNOWN_IDS: Final = "meta.known_ids"

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
