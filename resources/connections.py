"""A tenant's connections, made from its file and the environment: its NetSuite client and its billing source.

Here: what both Dagster's resources and the command line need to open a tenant. Not here: the clients themselves.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from resources.billing import Returns, open_billing, open_returns
from resources.billing.accruals import WithAccruals
from resources.billing.canonical import BillingSource
from resources.netsuite.client import NetSuite
from resources.netsuite.deadline import Deadlines
from resources.netsuite.governor import Governor
from resources.quota import SharedBudget
from resources.sign_in import netsuite_auth, netsuite_hosts
from resources.tenants import Tenant

DEFAULT_LEDGER: Final = "sqlite:///ledger/ledger.sqlite"


def netsuite_client(tenant: Tenant, environ: Mapping[str, str]) -> NetSuite:
    """The tenant's NetSuite client, to be used in `async with`.

    Raises `TenantError`, naming the line of the tenant's file, for a variable that is not set or a key that
    cannot be read.
    """
    hosts = netsuite_hosts(tenant, environ)
    auth = netsuite_auth(tenant, environ, hosts)
    governance = tenant.netsuite.governance
    governor = Governor.shared(
        hosts.rest_prefix,
        governance.concurrency,
        governance.reserve,
        budget=lambda ceiling: SharedBudget(ledger_url(environ), hosts.rest_prefix, ceiling),
    )
    deadlines = Deadlines(governance.deadline.read, governance.deadline.write)
    return NetSuite(hosts, auth, governor=governor, deadlines=deadlines)


def ledger_url(environ: Mapping[str, str]) -> str:
    """Where the ledger is, whose database also shares out each account's quota among processes."""
    return environ.get("RECON_LEDGER") or DEFAULT_LEDGER


def billing_source(tenant: Tenant, environ: Mapping[str, str]) -> BillingSource:
    """The tenant's billing source, with the journals of its accruals; nothing is opened before the first question."""
    credentials = tenant.load_credentials(environ)
    source = open_billing(tenant.billing, credentials.billing_url.get_secret_value(), tenant.timezone)
    accruals = tenant.settings.accruals
    return WithAccruals(source, accruals) if accruals else source


def billing_returns(tenant: Tenant, environ: Mapping[str, str]) -> Returns | None:
    """The side of the tenant's billing that takes what flows back from NetSuite; None where its file returns nothing."""
    returned = tenant.writeback.returned
    if not returned:
        return None
    credentials = tenant.load_credentials(environ)
    return open_returns(tenant.billing, returned, credentials.billing_url.get_secret_value())
