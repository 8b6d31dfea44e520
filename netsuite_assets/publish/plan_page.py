"""A plan for the person who approves it: printed, and as a document with every operation.

Here: its layout; the plan itself is the write-back stage's.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from rich.console import Console

from netsuite_assets import frames
from netsuite_assets.tables import called
from netsuite_assets.tell import count, markdown, money
from netsuite_assets.terminal import print_rows
from netsuite_assets.writeback.operations import label_of
from netsuite_assets.writeback.policy import Approved, Verdict, approved_by
from resources.ledger import Ledger, LedgerError, Plan
from resources.warehouse import TenantWarehouse

#: Operations that are printed; the document has all.
SHOWN: Final = 500
_AT_ONCE: Final = 10_000


def print_plan(console: Console, held: TenantWarehouse, ledger: Ledger, period: str) -> None:
    """Print the latest plan of a period with its operations. Raises `LedgerError` when there is none."""
    plan, approved = _latest(held, ledger, period)
    console.print(
        f"Plan {plan.plan_id[:12]} of {plan.tenant} for {plan.period}, made {plan.made_at:%Y-%m-%d %H:%M} UTC"
    )
    console.print(f"{count(plan.operations, 'operation')} to send; moves {plan.amounts or 'no amount'}.")
    for line in _status(held, plan, approved):
        console.print(line, markup=False)
    print_rows(console, _TOTALS, _totals(held, period), lead=2)
    print_rows(
        console,
        _OPERATIONS,
        [
            [
                str(row["sequence"]),
                row["action"],
                called(row["record"]),
                row["number"] or row["external_id"] or "",
                row["name"] or "",
                "" if called(row["record"]) == "customer" else money(row["amount"], row["currency"]),
                row["changes"],
                row["waits_for"] or "",
                row["held"] or ("" if approved.covers(row["operation_key"]) else row["waits_because"] or ""),
            ]
            for row in _operations(held, period, SHOWN)
        ],
        lead=6,
    )
    more = _count(held, period) - SHOWN
    if more > 0:
        console.print(
            f"… and {more:,} more; all of them: recon plan {plan.tenant} {period} --document plan.md",
            markup=False,
        )


def write_document(path: Path, held: TenantWarehouse, ledger: Ledger, period: str) -> int:
    """Write the latest plan of a period as a Markdown document; the number of its operations.

    Raises `LedgerError` when there is none.
    """
    plan, approved = _latest(held, ledger, period)
    number = 0
    with path.open("w", encoding="utf-8") as file:
        for line in _heading(held, plan, approved):
            file.write(f"{line}\n")
        for row in _operations(held, period):
            number += 1
            for line in _operation(row, approved):
                file.write(f"{line}\n")
    return number


def _latest(held: TenantWarehouse, ledger: Ledger, period: str) -> tuple[Plan, Approved]:
    made = ledger.plan_ids(held.tenant, period)
    plan = ledger.plan(made[0]) if made else None
    if plan is None:
        raise LedgerError(
            f"{held.tenant} has no plan for {period}. Run: recon reconcile {held.tenant} {period}"
        )
    frames.ensure(held, frames.PLAN)
    # As the limits judged it when it was made; sending judges again.
    verdict = Verdict(plan.operations, plan.amounts, plan.held_because, "waits_because")
    return plan, approved_by(held, period, verdict, ledger.approvals(plan.plan_id))


def _status(held: TenantWarehouse, plan: Plan, approved: Approved) -> Iterator[str]:
    """Who approved what of it, and what waits."""
    for one in approved.standing:
        of = (
            ""
            if one.operations is None
            else f" of {len(one.operations):,} of {count(plan.operations, 'operation')}"
        )
        yield f"Approved{of} by {one.approved_by} on {one.approved_at:%Y-%m-%d %H:%M} UTC: {one.note}"
    if plan.held_because and not approved.everything:
        yield f"Waits for approval: {plan.held_because}."
    elif not approved.standing and plan.operations:
        yield "Approved by nobody yet."


_TOTALS: Final = ("record", "do", ">operations", ">to send", ">amount to send")
_OPERATIONS: Final = (
    ">no.", "do", "record", "number", "customer", ">amount", "what changes", "waits for", "held",
)  # fmt: skip


def _totals(held: TenantWarehouse, period: str) -> list[list[str]]:
    rows: list[tuple[str, str, int, int, str | None, Decimal]] = held.sql(
        "SELECT record, action, count(*), count(*) FILTER (held IS NULL),"
        " CASE WHEN record <> 'customer' THEN currency END AS currency, coalesce(sum(amount) FILTER (held IS NULL), 0)"
        " FROM write_back.plan WHERE period = ? GROUP BY ALL ORDER BY min(wave), record, action, 5",
        [period],
    )
    return [
        [
            called(record),
            action,
            f"{number:,}",
            f"{sent:,}",
            money(amount, currency) if currency else "",
        ]
        for record, action, number, sent, currency, amount in rows
    ]


def _heading(held: TenantWarehouse, plan: Plan, approved: Approved) -> Iterator[str]:
    yield f"# Plan {plan.plan_id[:12]} of {plan.tenant} for {plan.period}"
    yield ""
    yield f"Made {plan.made_at:%Y-%m-%d %H:%M} UTC; {count(plan.operations, 'operation')} to send, moving"
    yield f"{plan.amounts or 'no amount'}. It expires when billing, NetSuite or the mapping is read anew and differs."
    yield ""
    yield from (f"- {line}" for line in _status(held, plan, approved))
    yield f"- Plan: {plan.plan_id}"
    yield f"- Mapping: {plan.mapping_hash}"
    yield f"- Inputs: {plan.inputs_hash}"
    yield ""
    yield markdown(["Record", "Do", ">Operations", ">To send", ">Amount to send"], _totals(held, plan.period))
    yield ""


def _operation(row: Mapping[str, Any], approved: Approved) -> Iterator[str]:
    yield f"## {row['sequence']}. {row['action']} {_plain(label_of(row))}"
    yield ""
    if row["record"] != "customer":
        yield f"- Amount: {money(row['amount'], row['currency'])}"
    yield f"- What changes: {_plain(row['changes'])}"
    if row["waits_for"]:
        yield f"- Waits for: {row['waits_for']}"
    if row["posts_in"]:
        yield f"- Posted in: {row['posts_in']}, not {row['period']}"
    if row["held"]:
        yield f"- Held: {_plain(row['held'])}"
    elif not approved.covers(row["operation_key"]):
        yield f"- Waits for approval: {_plain(row['waits_because'] or 'nobody has approved it yet')}"
    yield f"- Request: {row['method']} {row['path']}{'?' + row['query'] if row['query'] else ''}"
    yield f"- SHA-256 of the request: {row['body_hash']}"
    yield ""
    if row["body"]:
        yield from ("```json", row["body"], "```", "")


def _plain(text: str) -> str:
    return text.replace("\n", " ").replace("<", "&lt;")


def _operations(held: TenantWarehouse, period: str, limit: int | None = None) -> Iterator[Mapping[str, Any]]:
    """The operations in order, some at a time."""
    names = list(frames.columns(frames.PLAN))
    last = 0
    while True:
        rows = held.sql(
            f"SELECT {', '.join(names)} FROM write_back.plan WHERE period = ? AND sequence > ? ORDER BY sequence LIMIT ?",
            [period, last, min(_AT_ONCE, limit or _AT_ONCE)],
        )
        yield from (dict(zip(names, row, strict=True)) for row in rows)
        if limit is not None or len(rows) < _AT_ONCE:
            return
        last = rows[-1][names.index("sequence")]


def _count(held: TenantWarehouse, period: str) -> int:
    return int(held.value("SELECT count(*) FROM write_back.plan WHERE period = ?", [period]))
