"""Publishing a tenant anew when only the ledger has changed: after people did something.

Not here: the publication itself (`mart.py`). Imports no Dagster.
"""

from __future__ import annotations

from datetime import datetime

from netsuite_assets.publish.mart import Published, publish
from resources.ledger import Ledger
from resources.warehouse import Warehouse


def refresh(warehouse: Warehouse, ledger: Ledger, tenant: str, now: datetime) -> Published | None:
    """Publish the tenant's part; None where no run of the tenant has made anything to publish yet.

    Waits for a run that has the tenant's working file. Raises `resources.warehouse.WarehouseError` when that does not end.
    """
    if not warehouse.path(tenant).exists():
        return None
    with warehouse.open(tenant) as held:
        return publish(warehouse, held, ledger, now)
