"""What people call the records behind internal ids, as far as the tenant's warehouse knows.

Here: the look-up, by which NetSuite's errors show a name beside an id. Not here: which ids an error speaks of
(`resources/netsuite/names.py`). Imports no Dagster.
"""

from __future__ import annotations

from collections.abc import Iterator

import duckdb

from netsuite_assets.extract.reference import MASTERS
from netsuite_assets.mapping.compiler import Mapping as TenantMapping
from netsuite_assets.mapping.model import CUSTOMER
from netsuite_assets.tables import TABLES
from resources.warehouse import TenantWarehouse, literal


class WarehouseNames:
    """The names in a tenant's landed masters, lists, customers and transactions (a client's `names`)."""

    def __init__(self, held: TenantWarehouse, mapping: TenantMapping) -> None:
        self._held = held
        self._lists = {
            field.name.lower(): field.list_name
            for rules in mapping.records.values()
            for field in (*rules.fields, *rules.line_fields)
            if field.list_name is not None
        }

    def __call__(self, what: str, ref: str) -> str | None:
        """The name of the record with this internal or external id; None where nothing of it has landed."""
        for table, shown, where in self._places(what):
            try:
                # A cursor of its own: whatever the run is doing in its transaction is left alone.
                with self._held.connection.cursor() as cursor:
                    found = cursor.execute(
                        f"SELECT {shown} FROM {table} WHERE {where} AND {shown} IS NOT NULL"
                        " ORDER BY internal_id = $ref DESC LIMIT 1",
                        {"ref": ref},
                    ).fetchone()
            except duckdb.Error:
                continue  # The table is not there yet. An error that is being told must not end in another one.
            if found is not None:
                return str(found[0])
        return None

    def _places(self, what: str) -> Iterator[tuple[str, str, str]]:
        """The tables that may know it: each with what to show and the condition on `$ref`."""
        by_id = "(internal_id = $ref OR external_id = $ref)"
        if what == CUSTOMER:
            yield "netsuite.customers", "name", by_id
        elif what == "transaction" or what in TABLES:
            for record, tables in TABLES.items():
                if record != CUSTOMER and what in ("transaction", record):
                    shown = "nullif(concat_ws(' of ', number, name), '')"
                    yield f"netsuite.{tables.name}", shown, "internal_id = $ref"
        else:
            for master in MASTERS:
                if master.look_up == what:
                    shown = (
                        f"nullif(concat_ws(' ', {master.number}, {master.name}), '')"
                        if master.number
                        else master.name
                    )
                    yield (
                        f"netsuite.{master.table}",
                        shown,
                        by_id if master.external_id else "internal_id = $ref",
                    )
            name = self._lists.get(what.lower(), what)
            if name.startswith("customrecord_cseg_"):
                name = name.removeprefix("customrecord_")
            yield "netsuite.reference", "name", f"list = {literal(name)} AND {by_id}"
