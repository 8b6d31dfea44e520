"""The code location: assembles assets, checks, jobs, schedules, sensors and resources.

Avoid putting implementations here; this module stays focused on the assembly. Loading it must stay fast: what is
heavy (pandas, DuckDB, pandera, httpx) is imported by the assets when they run.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import dagster as dg


def build_defs(resources: Mapping[str, Any] | None = None) -> dg.Definitions:
    """A fresh `Definitions`, for production and tests; `resources` replace the standard ones by key."""
    from dbt_like_checks.checks import build_checks
    from netsuite_assets import jobs
    from netsuite_assets.close.assets import month_sign_off
    from netsuite_assets.extract.account_assets import ACCOUNT_ASSETS
    from netsuite_assets.extract.assets import ASSETS
    from netsuite_assets.extract.settlement_assets import SETTLEMENT_ASSETS
    from netsuite_assets.extract.trail_assets import TRAIL_ASSETS
    from netsuite_assets.mapping.assets import expected_records
    from netsuite_assets.publish.assets import month_close, published_mart
    from netsuite_assets.reconcile.assets import differences, open_exceptions
    from netsuite_assets.reconcile.receivables_assets import receivables
    from netsuite_assets.writeback.assets import applied_corrections, correction_plan, verified_books
    from resources.as_dagster import (
        BillingResource,
        LedgerResource,
        NetSuiteResource,
        TenantsResource,
        WarehouseResource,
    )
    from sensors.credentials import build_credential_sensors
    from sensors.returns import build_return_sensors
    from sensors.schedules import build_schedules
    from sensors.tenants import build_sensors

    return dg.Definitions(
        assets=[
            *ASSETS,
            *ACCOUNT_ASSETS,
            *TRAIL_ASSETS,
            *SETTLEMENT_ASSETS,
            expected_records,
            differences,
            receivables,
            open_exceptions,
            correction_plan,
            applied_corrections,
            verified_books,
            month_sign_off,
            published_mart,
            month_close,
        ],
        asset_checks=build_checks(),
        jobs=[
            jobs.reconcile,
            jobs.write_back,
            jobs.close,
            jobs.watch_sign_offs,
            jobs.exceptions,
            jobs.sign_off,
            jobs.approve,
        ],
        schedules=build_schedules(jobs.reconcile, jobs.write_back, jobs.watch_sign_offs),
        sensors=[*build_sensors(), *build_credential_sensors(), *build_return_sensors(jobs.write_back)],
        resources={
            "tenants": TenantsResource(),
            "warehouse": WarehouseResource(),
            "ledger": LedgerResource(),
            "netsuite": NetSuiteResource(),
            "billing": BillingResource(),
            **(resources or {}),
        },
        # One process a run: DuckDB takes one writer per file; parallel work is parallel runs.
        executor=dg.in_process_executor,
    )


@dg.definitions
def defs() -> dg.Definitions:
    """What `workspace.yaml` loads."""
    return build_defs()
