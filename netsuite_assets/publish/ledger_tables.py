"""The mart's tables that come from the ledger alone: exceptions with their history, sign-offs, and mapping
versions.

Here: the rows of one tenant. Not here: putting them into the file (`mart.py`). Imports no Dagster.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import pandas as pd
import pandera.pandas as pa
import pyarrow

from netsuite_assets import frames
from netsuite_assets.close.tables import sign_off_totals, sign_offs
from netsuite_assets.mapping.versions import versions_of
from netsuite_assets.publish.mapping_tables import mapping_changes, mapping_versions
from netsuite_assets.reconcile.exceptions import history, lasting
from resources.ledger import Ledger


def ledger_tables(ledger: Ledger, tenant: str, now: datetime) -> Mapping[str, pyarrow.Table]:
    """Mart table to the tenant's rows of all months as they are at `now`."""
    events = ledger.sign_off_events(tenant)
    versions = versions_of(ledger, tenant)
    rows: list[tuple[pa.DataFrameSchema, pd.DataFrame]] = [
        (frames.LASTING_EXCEPTIONS, lasting(ledger.exceptions(tenant, now), now)),
        (frames.EXCEPTION_HISTORY, history(ledger, tenant, now)),
        (frames.SIGN_OFFS, sign_offs(events)),
        (frames.SIGN_OFF_TOTALS, sign_off_totals(events)),
        (frames.MAPPING_VERSIONS, mapping_versions(versions)),
        (frames.MAPPING_CHANGES, mapping_changes(versions)),
    ]
    return {
        frames.table_name(contract): pyarrow.Table.from_pandas(
            data, schema=frames.arrow_schema(contract), preserve_index=False
        )
        for contract, data in rows
    }
