"""The connections as Dagster resources: thin shells that read their settings and open the plain clients.

Here: where each connection's settings come from (environment variables, the tenants' files). Not here: any
behaviour of a connection; the plain modules beside this one have it, and import no Dagster. What is heavy to
import is imported on use, so that definitions load fast.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import dagster as dg

if TYPE_CHECKING:
    from resources.billing import Returns
    from resources.billing.canonical import BillingSource
    from resources.ledger import Ledger
    from resources.netsuite.client import NetSuite
    from resources.tenants import Tenant, TenantRegistry
    from resources.warehouse import Warehouse

TENANTS = "RECON_TENANTS"
WAREHOUSE = "RECON_WAREHOUSE"
LEDGER = "RECON_LEDGER"


class TenantsResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """The tenant registry: the folder of YAML files, read at run time."""

    path: str = "tenants"

    def get(self) -> TenantRegistry:
        """The registry of the folder that RECON_TENANTS names, else of `path`."""
        from resources.tenants import TenantRegistry

        return TenantRegistry(Path(os.environ.get(TENANTS) or self.path))


class WarehouseResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """DuckDB: one working file a tenant and the published file."""

    path: str = "warehouse"

    def get(self) -> Warehouse:
        """The warehouse in the folder that RECON_WAREHOUSE names, else in `path`."""
        from resources.warehouse import Warehouse

        return Warehouse(Path(os.environ.get(WAREHOUSE) or self.path))


class LedgerResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """The ledger's database: SQLite by default, Postgres by its URL."""

    url: str = "sqlite:///ledger/ledger.sqlite"

    @contextmanager
    def open(self, *, existing: bool = False) -> Iterator[Ledger]:
        """The ledger behind the URL in RECON_LEDGER, else `url`; `existing`: it is to be read, and not made."""
        from resources.ledger import Ledger

        ledger = Ledger(os.environ.get(LEDGER) or self.url, existing=existing)
        try:
            yield ledger
        finally:
            ledger.close()


class NetSuiteResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """NetSuite: the account, sign-in and quota that a tenant's file names."""

    def client(self, tenant: Tenant) -> NetSuite:
        """The tenant's client, to be used in `async with`. Raises `TenantError` for a missing credential."""
        from resources.connections import netsuite_client

        return netsuite_client(tenant, os.environ)


class BillingResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """Billing: the platform or database that a tenant's file names."""

    @contextmanager
    def open(self, tenant: Tenant) -> Iterator[BillingSource]:
        """The tenant's billing source. Raises `TenantError` for a missing credential."""
        from resources.connections import billing_source

        source = billing_source(tenant, os.environ)
        try:
            yield source
        finally:
            source.close()

    @contextmanager
    def returns(self, tenant: Tenant) -> Iterator[Returns | None]:
        """The side of the tenant's billing that takes what flows back from NetSuite; None where nothing does."""
        from resources.connections import billing_returns

        returns = billing_returns(tenant, os.environ)
        try:
            yield returns
        finally:
            if returns is not None:
                returns.close()
