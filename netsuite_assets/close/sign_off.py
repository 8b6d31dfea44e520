"""Signing a month off: one prepares, another reviews, and a month that no longer ties is opened again.

Here: who may do what and when, and the look that compares a signed month with what the systems hold now. Not here: the
figures (`figures.py`), the ledger's events (`resources/ledger/sign_offs.py`), or how they are shown. Imports no Dagster.

    nothing ──prepare──► prepared ──review, by another──► signed off ──a document changed──► re-opened ──prepare──► …
    prepared, signed off, re-opened ──withdraw──► withdrawn ──prepare──► …

A review stands, and is compared with, until another review follows or it is withdrawn.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, Literal

import pyarrow as pa

from netsuite_assets import frames
from netsuite_assets.close.changes import Change, summed, tell_changes
from netsuite_assets.close.figures import (
    Compared,
    MonthFigures,
    columns_of,
    compared,
    differing,
    packed,
    read_documents,
    read_totals,
    require_landed,
    slices_of,
    still_read,
    unpacked,
    waiting,
)
from netsuite_assets.mapping.compiler import Mapping as TenantMapping
from netsuite_assets.reconcile.exceptions import synchronise
from netsuite_assets.tell import count, moneys
from netsuite_assets.writeback.plan import inputs_hash
from resources.ledger import LastingException, Ledger, SignOffEvent, standing_review
from resources.tenants import Tenant
from resources.warehouse import TenantWarehouse

STAGE: Final = "sign_off"

#: A month's state by the kind of its latest event.
STATES: Final = {
    "prepared": "prepared",
    "reviewed": "signed off",
    "withdrawn": "withdrawn",
    "reopened": "re-opened",
}
NOT_SIGNED: Final = "not signed off"


class SignOffRefused(Exception):
    """A month cannot be signed as things are; the message says why and what to do."""


@dataclass(frozen=True)
class SigningMonth:
    """A tenant's month at hand, with the working file open."""

    held: TenantWarehouse
    ledger: Ledger
    tenant: Tenant
    mapping: TenantMapping
    period: str

    @property
    def label(self) -> str:
        return f"{self.tenant.name}, {self.period}"

    def events(self) -> list[SignOffEvent]:
        """What happened to the month's sign-off so far."""
        return self.ledger.sign_off_events(self.tenant.name, self.period)


@dataclass(frozen=True)
class Look:
    """A month's sign-off and what changed since the review that stands; `not_compared` are fields no longer read."""

    events: Sequence[SignOffEvent]
    changes: Sequence[Change]
    not_compared: Sequence[str]

    @property
    def state(self) -> str:
        """The month's state in words."""
        return state_of(self.events)


def state_of(events: Sequence[SignOffEvent]) -> str:
    """A month's state in words, by its events."""
    return STATES[events[-1].kind] if events else NOT_SIGNED


def figures_of(event: SignOffEvent) -> MonthFigures:
    """The figures that a person saw who prepared or reviewed."""
    return MonthFigures.model_validate_json(event.figures or "")


def prepare(
    month: SigningMonth, by: str, note: str, despite: str | None, now: datetime
) -> tuple[SignOffEvent, MonthFigures]:
    """Prepare the month in a person's name, with the figures that it has now.

    Raises `SignOffRefused`, and nothing is kept, when the month was not reconciled as it is, is signed off already, or
    has open exceptions and no reason is given to sign `despite` them.
    """
    events = month.events()
    _require_said(by, note, despite)
    if events and events[-1].kind == "reviewed":
        raise SignOffRefused(
            f"{month.label} is signed off already: {_names(events)}. Withdraw that first if it shall be signed anew:"
            f" recon sign-off withdraw {month.tenant.name} {month.period} --by NAME --note WHY"
        )
    figures, _ = _figures(month, now)
    _require_settled(month, figures, despite)
    return _add(month, events, "prepared", by, note, despite, figures, now), figures


def review(
    month: SigningMonth, by: str, note: str, despite: str | None, now: datetime, run_id: str
) -> tuple[SignOffEvent, MonthFigures]:
    """Review what another person prepared; with it the month is signed off.

    Raises `SignOffRefused` when nobody prepared it, the same person did, its figures are not those that were prepared,
    or it has open exceptions and no reason is given to sign `despite` them.
    """
    events = month.events()
    _require_said(by, note, despite)
    again = f"recon sign-off prepare {month.tenant.name} {month.period} --by NAME --note WHY"
    if not events or events[-1].kind != "prepared":
        raise SignOffRefused(
            f"{month.label} is {state_of(events)}: there is nothing to review. It must be prepared first: {again}"
        )
    prepared = events[-1]
    if _person(prepared.by) == _person(by):
        raise SignOffRefused(
            f"{month.label} was prepared by {prepared.by}, who cannot review it as well: another person must."
        )
    figures, documents = _figures(month, now)
    if figures.fingerprint != prepared.fingerprint:
        raise SignOffRefused(
            f"{month.label} is not as {prepared.by} prepared it on {prepared.at:%Y-%m-%d}:"
            f" {_moved(figures_of(prepared), figures)}. It must be prepared again: {again}"
        )
    _require_settled(month, figures, despite)
    event = _add(month, events, "reviewed", by, note, despite, figures, now, packed(documents))
    look(month, now, run_id)
    return event, figures


def withdraw(month: SigningMonth, by: str, note: str, now: datetime, run_id: str) -> SignOffEvent:
    """Take the month's sign-off back. Raises `SignOffRefused` when there is none."""
    events = month.events()
    _require_said(by, note, None)
    if not events or events[-1].kind == "withdrawn":
        raise SignOffRefused(f"{month.label} is {state_of(events)}: there is nothing to withdraw.")
    event = _add(month, events, "withdrawn", by, note, None, None, now)
    look(month, now, run_id)
    return event


def step(
    month: SigningMonth,
    action: Literal["prepare", "review", "withdraw"],
    by: str,
    note: str,
    despite: str | None,
    now: datetime,
    run_id: str,
) -> SignOffEvent:
    """One of the three, by its name."""
    if action == "prepare":
        return prepare(month, by, note, despite, now)[0]
    if action == "review":
        return review(month, by, note, despite, now, run_id)[0]
    return withdraw(month, by, note, now, run_id)


def look(month: SigningMonth, now: datetime, run_id: str) -> Look:
    """Compare the month with what was signed, and open it again when it no longer ties.

    What changed are exceptions of the stage `sign_off`, one a document, until the change is undone or the month is
    signed anew. Raises `resources.warehouse.IncompleteSlice` when a signed month's slices are not there.
    """
    events = month.events()
    standing = standing_review(events)
    changes: list[Change] = []
    lost: list[str] = []
    if standing is not None:
        changes, lost = _changes(month, standing)
        if changes and events[-1].kind == "reviewed":
            told = summed(changes)
            event = SignOffEvent(
                month.tenant.name,
                month.period,
                events[-1].sequence + 1,
                now,
                "reopened",
                f"run {run_id[:8]}",
                f"it no longer ties with what was signed: {told.told}",
                changes=told.model_dump_json(),
            )
            events.append(month.ledger.add_sign_off_event(event))
    rows = [_exception(month, events, standing, change) for change in changes if standing is not None]
    with month.held.transaction():
        table = frames.rows_frame(frames.EXCEPTIONS, rows)
        frames.replace_exceptions(month.held, month.period, (STAGE,), table)
    synchronise(month.held, month.ledger, month.period, [STAGE], now, run_id)
    return Look(events, changes, lost)


def settled_before(exceptions: Sequence[LastingException]) -> list[LastingException]:
    """The exceptions that count when a month is signed: not those which tell that it changed since it was signed last."""
    return [one for one in exceptions if one.stage != STAGE]


# Inside


def _require_said(by: str, note: str, despite: str | None) -> None:
    for what, text in (("your name (by)", by), ("a note", note), ("the reason to sign despite it", despite)):
        if text is not None and not text.strip():
            raise SignOffRefused(f"{what} is missing: the ledger keeps who signed, and why.")


def _person(name: str) -> str:
    return " ".join(name.split()).casefold()


def _names(events: Sequence[SignOffEvent]) -> str:
    """Who prepared and who reviewed last."""
    reviewed = next(event for event in reversed(events) if event.kind == "reviewed")
    prepared = next(
        event for event in reversed(events) if event.kind == "prepared" and event.sequence < reviewed.sequence
    )
    return f"prepared by {prepared.by}, reviewed by {reviewed.by} on {reviewed.at:%Y-%m-%d}"


def _figures(month: SigningMonth, now: datetime) -> tuple[MonthFigures, pa.Table]:
    """The month's figures as they are, refused unless they are those that were compared last."""
    run = f"Run: recon reconcile {month.tenant.name} {month.period}"
    made = month.ledger.plan_ids(month.tenant.name, month.period)
    plan = month.ledger.plan(made[0]) if made else None
    if plan is None:
        raise SignOffRefused(f"{month.label} was not reconciled yet, so there is nothing to sign. {run}")
    inputs = inputs_hash(month.held, month.mapping, month.period)
    if (plan.inputs_hash, plan.mapping_hash) != (inputs, month.mapping.hash):
        raise SignOffRefused(
            f"{month.label} was compared on {plan.made_at:%Y-%m-%d %H:%M} UTC, and what was compared is not what the"
            f" systems hold or the mapping says now. What is signed is what was compared. {run}"
        )
    fields = compared(month.mapping)
    documents = read_documents(month.held, month.period, fields)
    exceptions = settled_before(month.ledger.exceptions(month.tenant.name, now, month.period))
    figures = MonthFigures(
        totals=read_totals(month.held, month.period),
        open=waiting([one for one in exceptions if one.state == "open"]),
        accepted=waiting([one for one in exceptions if one.state == "accepted"]),
        slices=slices_of(month.held, documents),
        compared=fields,
    )
    return figures, documents


def _require_settled(month: SigningMonth, figures: MonthFigures, despite: str | None) -> None:
    if figures.open.exceptions and despite is None:
        name, period = month.tenant.name, month.period
        raise SignOffRefused(
            f"{month.label} has {count(figures.open.exceptions, 'open exception')} ({moneys(figures.open.amounts)})."
            f" Settle or accept them (recon exceptions list {name} {period}), or say why it is signed despite them:"
            " --despite WHY"
        )


def _add(
    month: SigningMonth,
    events: Sequence[SignOffEvent],
    kind: Any,
    by: str,
    note: str,
    despite: str | None,
    figures: MonthFigures | None,
    now: datetime,
    documents: bytes | None = None,
) -> SignOffEvent:
    event = SignOffEvent(
        month.tenant.name,
        month.period,
        events[-1].sequence + 1 if events else 1,
        now,
        kind,
        by.strip(),
        note.strip(),
        despite.strip() if despite is not None else None,
        figures.fingerprint if figures is not None else None,
        figures.model_dump_json() if figures is not None else None,
    )
    return month.ledger.add_sign_off_event(event, documents)


def _moved(then: MonthFigures, now: MonthFigures) -> str:
    """Which slices are not as they were, in words."""
    before = {(part.side, part.record): part for part in then.slices}
    after = {(part.side, part.record): part for part in now.slices}
    told = []
    for key in sorted(before.keys() | after.keys()):
        was, is_ = before.get(key), after.get(key)
        if was != is_:
            shown = [
                f"{part.documents:,} of {moneys(part.totals)}" if part else "none" for part in (was, is_)
            ]
            what = "the same number and total, with other figures" if len(set(shown)) == 1 else shown[1]
            told.append(f"{key[0]}'s {key[1]}: {shown[0]} then, {what} now")
    return "; ".join(told) or "its mapping names other fields"


def _changes(month: SigningMonth, standing: SignOffEvent) -> tuple[list[Change], list[str]]:
    """What differs from the review that stands, and the signed fields that are not read any more."""
    signed = figures_of(standing)
    fields = still_read(month.held, signed.compared)
    require_landed(month.held, month.period, fields)
    now = read_documents(month.held, month.period, fields)
    if fields == signed.compared and slices_of(month.held, now) == signed.slices:
        return [], []
    columns = {record: columns_of(record, fields, signed.compared) for record in fields}
    documents = unpacked(month.ledger.signed_documents(standing.documents_hash or ""))
    pairs = differing(month.held, documents, now, columns)
    return (
        tell_changes(month.held, month.period, standing.at, pairs, columns),
        _lost(signed.compared, fields),
    )


def _lost(signed: dict[str, Compared], fields: dict[str, Compared]) -> list[str]:
    return sorted(
        f"{record}: {name}"
        for record, part in signed.items()
        for name in {*part.fields, *part.lines} - {*fields[record].fields, *fields[record].lines}
    )


def _exception(
    month: SigningMonth, events: Sequence[SignOffEvent], standing: SignOffEvent, change: Change
) -> dict[str, Any]:
    moved = {currency: delta for currency, delta in change.deltas.items() if delta}
    currency, delta = max(moved.items(), key=lambda item: abs(item[1]), default=(None, Decimal(0)))
    return {
        "period": month.period,
        "stage": STAGE,
        "code": "changed_after_sign_off",
        **{
            name: getattr(change, name) for name in ("record", "external_id", "internal_id", "number", "name")
        },
        "amount": abs(delta),
        "currency": currency,
        "reason": f"Changed after the month was signed off ({_names(events)}). {change.told}",
        "next_step": "Undo the change, or sign the month off again: recon sign-off prepare"
        f" {month.tenant.name} {month.period} --by NAME --note WHY",
    }
