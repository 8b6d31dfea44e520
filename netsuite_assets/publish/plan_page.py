"""A plan, printed for the person who approves it. Here: its layout; the plan itself is the write-back stage's."""

from __future__ import annotations

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from netsuite_assets import frames
from netsuite_assets.tables import TABLES
from netsuite_assets.tell import count, money
from netsuite_assets.writeback.plan import standing
from resources.ledger import Ledger, LedgerError
from resources.warehouse import TenantWarehouse


def print_plan(console: Console, held: TenantWarehouse, ledger: Ledger, period: str) -> None:
    """Print the latest plan of a period with its operations. Raises `LedgerError` when there is none."""
    made = ledger.plan_ids(held.tenant, period)
    plan = ledger.plan(made[0]) if made else None
    if plan is None:
        raise LedgerError(
            f"{held.tenant} has no plan for {period}. Run: recon reconcile {held.tenant} {period}"
        )
    approval = standing(ledger.approval(plan.plan_id), plan.held_because)
    table = Table("do", "record", "number", "customer", "amount", "what changes", "held", box=box.SIMPLE_HEAD)
    for row in frames.records(frames.read(held, frames.PLAN, period).sort_values("sequence")):
        table.add_row(
            row["action"],
            TABLES[row["record"]].label,
            Text(row["number"] or ""),
            Text(row["name"] or ""),
            money(row["amount"], row["currency"]) if row["record"] != "customer" else "",
            Text(row["changes"]),
            Text(row["held"] or ""),
        )
    console.print(
        f"Plan {plan.plan_id[:12]} of {plan.tenant} for {plan.period}, made {plan.made_at:%Y-%m-%d %H:%M} UTC"
    )
    console.print(f"{count(plan.operations, 'operation')} to send; moves {plan.amounts or 'no amount'}.")
    if approval is not None:
        console.print(f"Approved by {approval.approved_by}: {approval.note}", markup=False)
    elif plan.held_because:
        console.print(f"Waits for approval: {plan.held_because}.", markup=False)
    console.print(table)
