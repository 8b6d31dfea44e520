"""Sending what flows back to billing, settling what is in doubt of it, and reading it back.

Here: the write protocol towards billing: intents before the first statement, each row only where billing holds what it
held when it was planned. Not here: what flows back (`returns.py`), or what is sent to NetSuite (`sending.py`).
Imports no Dagster.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Final

from netsuite_assets.writeback.book import Book
from netsuite_assets.writeback.returns import RETURN, record_of, row_in
from netsuite_assets.writeback.sending import PLAN_AGAIN, End, intent_of
from resources.billing import BillingError, ReturnInDoubt
from resources.billing.returns import Facts, Key, ReturnedRow, Returns, as_it_is, in_words
from resources.ledger import Event, Intent

#: Rows in one transaction of the billing database.
_AT_ONCE: Final = 200
LOOKED_UP_NEXT: Final = (
    "Nothing to do now: the next run looks up what billing holds before anything else is sent."
)
#: What a row is that the tenant's file does not return any more, so that nobody can look it up.
_NOT_RETURNED: Final = "writeback.return in the tenant's file does not name it any more"


async def send_returns(
    rows: Sequence[Mapping[str, Any]],
    returns: Returns,
    book: Book,
    tenant: str,
    period: str,
    plan_id: str,
    end: End,
) -> None:
    """Write what these operations of a plan tell billing; each is told to `end`.

    Raises `LedgerError` when the ledger does not take an intent; nothing of its rows is sent then.
    """
    for start in range(0, len(rows), _AT_ONCE):
        some = rows[start : start + _AT_ONCE]
        intents = await book.intend(tenant, period, plan_id, [intent_of(row) for row in some])
        try:
            taken = await asyncio.to_thread(returns.write, [row_in(row) for row in some])
        except BillingError as error:
            doubtful = isinstance(error, ReturnInDoubt)
            for row, intent in zip(some, intents, strict=True):
                book.note(Event(intent.id, "in_doubt" if doubtful else "rejected", detail=str(error)))
                end(row, "in_doubt" if doubtful else "rejected", str(error), error.next_step)
            continue
        for row, intent, one in zip(some, intents, taken, strict=True):
            if one.state == "changed":
                detail = f"billing does not hold what it held when this was planned, but {_held(one.row, one.held)}"
                book.note(Event(intent.id, "rejected", detail=detail))
                end(row, "stale", detail, PLAN_AGAIN)
            else:
                already = "billing held it already" if one.state == "already" else None
                book.note(Event(intent.id, "answered", detail=already))
                end(row, "written", already, None)
    await book.noted()


def settle_returns(returns: Returns | None, intents: Sequence[Intent]) -> list[Event]:
    """What became of rows whose outcome is not known, by what billing holds now: written, or not.

    A row that neither holds what was to be written nor what was there before was changed since; it is planned anew.
    Those that the tenant's file does not return any more stay in doubt.
    """
    rows = {intent.id: row_in(vars(intent)) for intent in intents}
    known = {kind for row in rows.values() if returns is not None and returns.facts(kind := row.kind)}
    asked = [row for row in rows.values() if row.kind in known]
    held = _look_up(returns, asked) if returns is not None else {}
    events = []
    for intent in intents:
        row = rows[intent.id]
        if row.kind not in known:
            if intent.is_open:
                events.append(Event(intent.id, "in_doubt", detail=_NOT_RETURNED))
        elif as_it_is(row, held.get((row.kind, row.key))) == "already":
            events.append(Event(intent.id, "adopted", detail="billing holds it"))
        else:
            events.append(
                Event(intent.id, "not_found", detail="billing does not hold it: the write did not arrive")
            )
    return events


def confirm(returns: Returns, operations: Sequence[Mapping[str, Any]]) -> dict[str, str | None]:
    """For each operation of a plan that told billing something: why billing does not hold it now, None where it does."""
    rows = {row["operation_key"]: row_in(row) for row in operations if row["action"] == RETURN}
    held = _look_up(returns, list(rows.values()))
    found: dict[str, str | None] = {}
    for key, row in rows.items():
        now = held.get((row.kind, row.key))
        found[key] = None if as_it_is(row, now) == "already" else f"Billing holds {_held(row, now)}."
    return found


def _look_up(returns: Returns, rows: Sequence[ReturnedRow]) -> dict[tuple[str, Key], Facts]:
    held: dict[tuple[str, Key], Facts] = {}
    for kind in sorted({row.kind for row in rows}):
        # The last part of a key is billing's own id: of the record, or of the invoice that is settled.
        ids = sorted({row.key[-1] for row in rows if row.kind == kind})
        held |= {(kind, key): facts for key, facts in returns.held(kind, ids).items()}
    return held


def _held(row: ReturnedRow, held: Facts | None) -> str:
    return in_words(row.after or row.before or (), held)


__all__ = ["LOOKED_UP_NEXT", "confirm", "record_of", "send_returns", "settle_returns"]
