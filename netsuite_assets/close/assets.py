"""The asset that shows a month's sign-off, and opens a signed month again when it no longer ties."""

from typing import TYPE_CHECKING, Any

import dagster as dg

from netsuite_assets.partitions import tenant_months
from netsuite_assets.runs import tenant_run
from resources.as_dagster import LedgerResource, TenantsResource, WarehouseResource

if TYPE_CHECKING:
    from netsuite_assets.close.sign_off import Look

#: All that brings a month's slices up to date, so that it is looked at after them.
_AFTER = (
    "netsuite_invoices",
    "netsuite_credit_memos",
    "netsuite_trails",
    "correction_plan",
    "verified_books",
)


@dg.asset(
    group_name="close",
    partitions_def=tenant_months,
    kinds={"duckdb"},
    deps=[dg.AssetKey(name) for name in _AFTER],
)
def month_sign_off(
    context: dg.AssetExecutionContext,
    tenants: TenantsResource,
    warehouse: WarehouseResource,
    ledger: LedgerResource,
) -> dg.MaterializeResult[None]:
    """Whether the month is signed off, by whom and with which figures, and what changed since.

    A month that no longer ties with what was signed is opened again: each document that changed is an exception, with
    by how much and by whom.
    """
    from netsuite_assets.close.sign_off import SigningMonth, look
    from resources.warehouse import utc_now

    with (
        tenant_run(context, tenants) as run,
        warehouse.get().open(run.tenant.name) as held,
        ledger.open() as book,
    ):
        month = SigningMonth(held, book, run.tenant, run.mapping, run.period)
        return dg.MaterializeResult(
            metadata=sign_off_metadata(look(month, utc_now(), context.run.run_id))
        )  # fmt: skip


def sign_off_metadata(look: "Look") -> dict[str, Any]:
    """What the month's page shows of its sign-off."""
    from netsuite_assets import frames
    from netsuite_assets.close.changes import summed
    from netsuite_assets.close.page import changes_table, history_table, in_short, seen_table, waiting_text
    from netsuite_assets.close.sign_off import figures_of
    from resources.ledger import standing_review

    metadata: dict[str, Any] = {
        "dagster/row_count": len(look.events),
        "in short": in_short(look),
        "state": look.state,
        "changed since": dg.MetadataValue.md(changes_table(look.changes)),
        "as signed": dg.MetadataValue.md(seen_table(look.events)),
        "history": dg.MetadataValue.md(history_table(look.events)),
        "dagster/column_schema": frames.column_schema(frames.SIGN_OFFS),
    }
    if look.changes:
        metadata["changed documents"] = summed(look.changes).documents
    if look.not_compared:
        metadata["no longer read"] = ", ".join(look.not_compared)
    standing = standing_review(look.events)
    if standing is not None:
        figures = figures_of(standing)
        metadata["open exceptions then"] = waiting_text(figures.open)
        metadata["accepted exceptions then"] = waiting_text(figures.accepted)
    return metadata
