"""A month's sign-off in tables, for its page in Dagster. Here: layout. Not here: what is in it (`sign_off.py`)."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from netsuite_assets.close.changes import Change, summed
from netsuite_assets.close.figures import Total, Waiting
from netsuite_assets.close.sign_off import Look, figures_of
from netsuite_assets.tell import count, markdown, money, moneys
from resources.ledger import SignOffEvent, standing_review


def in_short(look: Look) -> str:
    """The month's sign-off in a sentence."""
    standing = standing_review(look.events)
    if not look.events:
        return "The month is not signed off."
    last = look.events[-1]
    said = f"The month is {look.state}, by {last.by} on {last.at:%Y-%m-%d}: {last.note.rstrip('.')}."
    if standing is None:
        return said
    if look.changes:
        return f"{said} It does not tie with what {standing.by} signed: {summed(look.changes).told}."
    return f"{said} It ties with what {standing.by} signed."


def waiting_text(waiting: Waiting) -> str:
    """`3 exceptions, EUR 10.00; USD 99.50`."""
    return (
        f"{count(waiting.exceptions, 'exception')}, {moneys(waiting.amounts)}"
        if waiting.exceptions
        else "none"
    )


def seen_table(events: Sequence[SignOffEvent]) -> str:
    """What the last person to prepare or review saw, by record and currency, as Markdown."""
    seen = next((event for event in reversed(events) if event.figures), None)
    return totals_table(figures_of(seen).totals if seen is not None else [])


def totals_table(totals: Sequence[Total]) -> str:
    """Billed beside NetSuite, by record and currency, as Markdown."""
    return markdown(
        ["Record", ">Billed", ">Held back", ">NetSuite has", ">Difference", ">Unexplained"],
        [
            [
                f"{row.record}, {row.currency}",
                documents_text(row.billed_documents, row.billed),
                documents_text(row.held_back_documents, row.held_back),
                documents_text(row.netsuite_documents, row.netsuite),
                money(row.difference, None),
                money(row.unexplained, None),
            ]
            for row in totals
        ],
    )


def documents_text(number: int, total: Decimal) -> str:
    """`1,204 · 99,180.20`, or a dash when there are none."""
    return f"{number:,} · {money(total, None)}" if number else "–"


def changes_table(changes: Sequence[Change]) -> str:
    """What changed since the month was signed, document by document, as Markdown."""
    return markdown(
        ["Record", "Number", "Customer", "What changed", ">By how much", "By", "When"],
        [
            [
                change.record,
                change.number or change.external_id or change.internal_id,
                change.name,
                change.told,
                moneys(change.deltas),
                change.changed_by,
                change.changed_at or change.last_modified,
            ]
            for change in changes
        ],
    )


def history_table(events: Sequence[SignOffEvent]) -> str:
    """The steps of the month's sign-off, the latest first, as Markdown."""
    return markdown(
        ["When", "What", "By", "Note", "Despite open exceptions"],
        [
            [f"{event.at:%Y-%m-%d %H:%M} UTC", event.kind, event.by, event.note, event.despite]
            for event in reversed(events)
        ],
    )
