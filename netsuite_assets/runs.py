"""What every asset of one tenant and month begins with: its tenant, its mapping, and failures told in words.

Here: the way from a Dagster partition to the plain stages, and from their errors to a message that a finance
person can act on. Not here: what an asset does.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import dagster as dg

from netsuite_assets.partitions import scope
from resources.as_dagster import TenantsResource

if TYPE_CHECKING:
    from netsuite_assets.mapping.compiler import Mapping
    from resources.netsuite.client import NetSuite
    from resources.netsuite.figures import Figures
    from resources.tenants import Tenant
    from resources.warehouse import TenantWarehouse


#: Metadata of `applied_corrections`: how many of its writes billing is to be told of, which the next run plans.
TO_TELL: Final = "for billing to know"


@dataclass(frozen=True)
class TenantRun:
    """One tenant and month at work."""

    tenant: Tenant
    mapping: Mapping
    period: str


@contextmanager
def tenant_run(context: dg.AssetExecutionContext, tenants: TenantsResource) -> Iterator[TenantRun]:
    """The partition's tenant, read and compiled now, so that a changed file counts from the next run on.

    Errors of ours become a `dagster.Failure` that says what happened and what to do, without a stack trace of
    interest only to engineers; they are not retried, because nothing changes by itself.
    """
    with failures():
        from netsuite_assets.mapping.versions import load_mapping
        from resources.connections import ledger_url
        from resources.ledger import Ledger

        where = scope(context)
        tenant, mapping = load_mapping(tenants.get(), where.tenant, lambda: Ledger(ledger_url(os.environ)))
        yield TenantRun(tenant, mapping, where.period)


@asynccontextmanager
async def quota_counted(
    context: dg.AssetExecutionContext, run: TenantRun, held: TenantWarehouse, client: NetSuite
) -> AsyncIterator[Callable[[], Figures]]:
    """What this asset asks of NetSuite within the block is recorded in `meta.quota`, also when it fails.

    Errors within it show the names that the tenant's warehouse knows beside NetSuite's internal ids.
    """
    from netsuite_assets.names import WarehouseNames
    from netsuite_assets.quota import Work, quota_recorded
    from resources.warehouse import utc_now

    client.names = WarehouseNames(held, run.mapping)

    work = Work(run.tenant.name, run.period, context.run.run_id, context.asset_key.to_user_string())
    with quota_recorded(held, client.governor, work, utc_now) as figures:
        yield figures


def told_errors() -> tuple[type[Exception], ...]:
    """The errors of ours whose text is written for people: what happened, to what, and what to do."""
    from netsuite_assets.close.handling import HandlingRefused
    from netsuite_assets.close.sign_off import SignOffRefused
    from netsuite_assets.frames import FrameError
    from netsuite_assets.launch import RunFailed
    from netsuite_assets.partitions import PartitionError
    from netsuite_assets.writeback.plan import PlanRefused
    from resources.billing import BillingError
    from resources.ledger import LedgerError
    from resources.netsuite.arrow import UnreadableValue
    from resources.netsuite.errors import NetSuiteError
    from resources.netsuite.vault import VaultError
    from resources.tenants import TenantError
    from resources.warehouse import WarehouseError

    return (
        BillingError,
        FrameError,
        HandlingRefused,
        LedgerError,
        NetSuiteError,
        PartitionError,
        PlanRefused,
        RunFailed,
        SignOffRefused,
        TenantError,
        UnreadableValue,
        VaultError,
        WarehouseError,
    )


def told(error: Exception, kinds: tuple[type[Exception], ...]) -> list[str]:
    """The messages in an error, or in a group of errors that ended concurrent work; none when it is not one of ours."""
    if isinstance(error, ExceptionGroup):
        ours, others = error.split(kinds)
        return [] if ours is None or others is not None else list(dict.fromkeys(_leaves(ours)))
    return [str(error)] if isinstance(error, kinds) else []


def _leaves(group: BaseExceptionGroup[Exception]) -> Iterator[str]:
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from _leaves(error)
        else:
            yield str(error)


@contextmanager
def failures() -> Iterator[None]:
    """Turn the errors that have a message for people into Dagster's failure with that message."""
    try:
        yield
    except Exception as error:
        messages = told(error, told_errors())
        if not messages:
            raise
        raise dg.Failure(
            description="\n".join(messages),
            metadata={"what happened": dg.MetadataValue.md("\n\n".join(messages))},
            allow_retries=False,
        ) from error
