"""What people do with exceptions, from the command line or a job: assign, comment, accept until a day, reopen.

Here: what each needs to be told, and the tenant's day. Not here: what becomes of the exception
(`resources/ledger/exceptions.py`). Imports no Dagster.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

from resources.ledger import LastingException, Ledger
from resources.tenants import Tenant

Action = Literal["assign", "comment", "accept", "reopen"]


class HandlingRefused(Exception):
    """Something that is needed was not said, or not in a form that can be read; the message says what."""


@dataclass(frozen=True)
class Handling:
    """One thing done to several exceptions, by a person. `until` is a day, YYYY-MM-DD."""

    action: Action
    exceptions: Sequence[int]
    by: str
    note: str = ""
    owner: str = ""
    until: str = ""


_DONE = {"assign": "assigned", "comment": "commented on", "accept": "accepted", "reopen": "opened again"}


def handle(ledger: Ledger, tenant: Tenant, what: Handling, now: datetime) -> list[LastingException]:
    """Do it, to all of them or to none; gives them as they are afterwards.

    Raises `HandlingRefused` or `resources.ledger.LedgerError` when something is missing, unknown or not possible.
    """
    if what.action == "assign":
        return ledger.assign_exceptions(
            tenant.name, what.exceptions, _said("owner", what.owner), what.by, now
        )  # fmt: skip
    note = _said("note", what.note)
    if what.action == "comment":
        return ledger.comment_exceptions(tenant.name, what.exceptions, note, what.by, now)
    if what.action == "reopen":
        return ledger.reopen_exceptions(tenant.name, what.exceptions, note, what.by, now)
    until = day(_said("until", what.until))
    return ledger.accept_exceptions(
        tenant.name, what.exceptions, note, until, end_of(until, tenant), what.by, now
    )


def told(tenant: str, what: Handling, handled: Sequence[LastingException]) -> str:
    """What was done, in a sentence."""
    numbers = ", ".join(str(one.id) for one in handled)
    more = {
        "assign": f" to {what.owner.strip()}",
        "accept": f" until the end of {what.until.strip()}, after which {'it is' if len(handled) == 1 else 'they are'} open again",
    }.get(what.action, "")
    plural = "" if len(handled) == 1 else "s"
    verb = "is" if len(handled) == 1 else "are"
    return f"Exception{plural} {numbers} of {tenant} {verb} {_DONE[what.action]}{more}, by {what.by.strip()}."


def day(text: str) -> date:
    """A day that a person wrote. Raises `HandlingRefused` when it is none."""
    try:
        return date.fromisoformat(text.strip())
    except ValueError:
        raise HandlingRefused(
            f"{text!r} is no day. Write the last day on which it is accepted as YYYY-MM-DD, for instance 2026-12-31."
        ) from None


def end_of(last: date, tenant: Tenant) -> datetime:
    """When a day is over where the tenant is."""
    return datetime.combine(last + timedelta(days=1), time(), ZoneInfo(tenant.timezone))


def _said(what: str, text: str) -> str:
    if not text.strip():
        needed = {
            "owner": "who shall have the exceptions (owner)",
            "note": "a reason or comment (note)",
            "until": "the last day on which they are accepted (until, YYYY-MM-DD)",
        }[what]
        raise HandlingRefused(f"{needed} is missing, so nothing was done.")
    return text
