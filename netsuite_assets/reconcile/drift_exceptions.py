"""Drift of receivables that needs a person, as exceptions: one a document and kind.

Here: which drift that is. Not here: the drift itself (`open_documents.py`), or the life of an exception
(`exceptions.py`). Imports no Dagster.

A document on which a difference or another exception already tells why it is open otherwise is left to that, and so is
what settles it or is settled by it. What either side has since settled as the other says is past. A document that drifts
for months is the exception of the first.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pandas as pd

from netsuite_assets import frames
from netsuite_assets.reconcile.receivables import relations
from resources.warehouse import TenantWarehouse, literal

#: The stage under which these exceptions are kept.
STAGE: Final = "receivables"

_SQL: Final = Path(__file__).with_name("drift_exceptions.sql").read_text(encoding="utf-8")


def drift_exceptions(warehouse: TenantWarehouse, period: str) -> pd.DataFrame:
    """The month's drift that needs a person, as a frame `EXCEPTIONS`. `open_documents` must have run."""
    text = _SQL.format(**relations(warehouse)).replace("$period", literal(period))
    warehouse.connection.execute(text)
    found = warehouse.arrow(f"""
        SELECT period, {literal(STAGE)} AS stage, kind AS code, record, external_id, internal_id, number, name, amount,
            currency, reason, next_step
        FROM drift_for_people ORDER BY code, record, amount DESC, number, external_id, internal_id""")
    return frames.validated(frames.EXCEPTIONS, frames.frame(found))


def no_exceptions() -> pd.DataFrame:
    """None, as a frame `EXCEPTIONS`: for tenants whose drift is only reported."""
    return frames.rows_frame(frames.EXCEPTIONS, [])
