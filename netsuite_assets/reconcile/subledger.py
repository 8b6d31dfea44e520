"""Receivables of a tenant and period: tie-outs, roll-forward, drift, aging and exceptions, written in one transaction.

Here: the order of the steps and the refusal to say anything on what is not complete. Not here: the figures themselves
(`tie_outs.py`, `roll_forward.py`, `open_documents.py`, `drift_exceptions.py`). Imports no Dagster.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, Literal

import pandas as pd

from netsuite_assets import frames
from netsuite_assets.mapping.compiler import Mapping as TenantMapping
from netsuite_assets.reconcile.drift_exceptions import STAGE, drift_exceptions, no_exceptions
from netsuite_assets.reconcile.open_documents import open_documents
from netsuite_assets.reconcile.receivables import find_movements, required_slices
from netsuite_assets.reconcile.roll_forward import roll_forward
from netsuite_assets.reconcile.tie_outs import tie_out
from resources.warehouse import TenantWarehouse, quote

MEMORY: Final = "300MB"
"""What DuckDB may take meanwhile; beyond it writes to disk, so that no number of documents fills memory."""


@dataclass(frozen=True)
class Receivables:
    """What was found, as validated frames (`netsuite_assets.frames`)."""

    tie_outs: pd.DataFrame
    items: pd.DataFrame
    roll_forward: pd.DataFrame
    drift: pd.DataFrame
    aging: pd.DataFrame
    exceptions: pd.DataFrame


def reconcile_receivables(
    warehouse: TenantWarehouse,
    mapping: TenantMapping,
    period: str,
    drift_is: Literal["exceptions", "report"] = "exceptions",
) -> Receivables:
    """Tie the month's receivables and revenue out, and write what was found. `drift_is` is the tenant's `reconcile.drift`.

    Raises `resources.warehouse.IncompleteSlice` when a slice was never proven complete; nothing is written then.
    """
    warehouse.require_slices(required_slices(mapping, period))
    with _at_work(warehouse):
        find_movements(warehouse, mapping, period)
        ties, items = tie_out(warehouse, mapping, period)
        rolled = roll_forward(warehouse, period)
        drift, aging = open_documents(warehouse, period)
        exceptions = drift_exceptions(warehouse, period) if drift_is == "exceptions" else no_exceptions()
    with warehouse.transaction():
        frames.replace(warehouse, frames.TIE_OUTS, period, ties)
        frames.replace(warehouse, frames.TIE_OUT_ITEMS, period, items)
        frames.replace(warehouse, frames.ROLL_FORWARD, period, rolled)
        frames.replace(warehouse, frames.DRIFT, period, drift)
        frames.replace(warehouse, frames.AGING, period, aging)
        frames.replace_exceptions(warehouse, period, (STAGE,), exceptions)
    return Receivables(ties, items, rolled, drift, aging, exceptions)


@contextmanager
def _at_work(warehouse: TenantWarehouse) -> Iterator[None]:
    """Bounded memory, of which nothing is kept: the run goes on in this process."""
    before = set(_temporary(warehouse))
    with warehouse.bounded_memory(MEMORY):
        try:
            yield
        finally:
            for kind, name in _temporary(warehouse):
                if (kind, name) not in before:
                    warehouse.connection.execute(f"DROP {kind} temp.main.{quote(name)}")


def _temporary(warehouse: TenantWarehouse) -> list[tuple[str, str]]:
    """Temporary views and tables, the former first: they read the latter."""
    return warehouse.sql("""
        SELECT 'VIEW', view_name FROM duckdb_views() WHERE temporary AND NOT internal
        UNION ALL SELECT 'TABLE', table_name FROM duckdb_tables() WHERE temporary ORDER BY ALL DESC""")
