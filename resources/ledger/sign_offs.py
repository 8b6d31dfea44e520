"""Sign-offs of months: who prepared, reviewed, withdrew, and what re-opened them, with the figures that they saw.

Here: the events, one after the other, and the documents' figures of a signed month. Not here: who may sign what, or
what a figure is (`netsuite_assets/close`).

A month's state is its latest event. Nothing here is ever changed or deleted.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from resources.ledger.database import Database, LedgerError
from resources.ledger.schema import sign_off_events, signed_documents

SignOffEventKind = Literal["prepared", "reviewed", "withdrawn", "reopened"]


@dataclass(frozen=True)
class SignOffEvent:
    """One step of a month's sign-off; `sequence` counts a month's events from 1.

    `figures` (JSON) and `fingerprint` are what a person saw, `documents_hash` names the documents' figures behind
    them; `changes` (JSON) is why the month was re-opened. `despite` says why it was signed with open exceptions.
    """

    tenant: str
    period: str
    sequence: int
    at: datetime
    kind: SignOffEventKind
    by: str
    note: str
    despite: str | None = None
    fingerprint: str | None = None
    figures: str | None = None
    documents_hash: str | None = None
    changes: str | None = None


def standing_review(events: Sequence[SignOffEvent]) -> SignOffEvent | None:
    """The review with which a month is still compared: the last one, unless it was withdrawn since."""
    for event in reversed(events):
        if event.kind == "withdrawn":
            return None
        if event.kind == "reviewed":
            return event
    return None


class SignOffs(Database):
    """The part of the ledger that knows sign-offs."""

    def sign_off_events(self, tenant: str, period: str | None = None) -> list[SignOffEvent]:
        """The events of a tenant's month, or of all its months by month, the oldest first."""
        query = (
            sa.select(*[sign_off_events.c[name] for name in SignOffEvent.__dataclass_fields__])
            .where(sign_off_events.c.tenant == tenant)
            .order_by(sign_off_events.c.period, sign_off_events.c.sequence)
        )
        if period is not None:
            query = query.where(sign_off_events.c.period == period)
        with self._transaction() as connection:
            return [SignOffEvent(**row) for row in connection.execute(query).mappings()]

    def add_sign_off_event(self, event: SignOffEvent, documents: bytes | None = None) -> SignOffEvent:
        """Add the event that follows the month's last one; `documents` are kept under their hash, which it then has.

        Raises `LedgerError` when another event took its place in the meantime.
        """
        values = dict(vars(event))
        if documents is not None:
            values["documents_hash"] = hashlib.sha256(documents).hexdigest()
        try:
            with self._transaction() as connection:
                if documents is not None:
                    known = sa.select(signed_documents.c.hash).where(
                        signed_documents.c.hash == values["documents_hash"]
                    )
                    if connection.execute(known).first() is None:
                        connection.execute(
                            signed_documents.insert().values(hash=values["documents_hash"], content=documents)
                        )
                connection.execute(sign_off_events.insert().values(values))
        except IntegrityError:
            raise LedgerError(
                f"{event.tenant}, {event.period}: somebody else did something to this month's sign-off at the same"
                f" moment, so this was not done. Look at it: recon sign-off show {event.tenant} {event.period}"
            ) from None
        return SignOffEvent(**values)

    def signed_documents(self, documents_hash: str) -> bytes:
        """The documents' figures of a signed month. Raises `LedgerError` when they are not those that were signed."""
        query = sa.select(signed_documents.c.content).where(signed_documents.c.hash == documents_hash)
        with self._transaction() as connection:
            content = connection.execute(query).scalar()
        if content is None or hashlib.sha256(content).hexdigest() != documents_hash:
            raise LedgerError(
                f"the figures of the documents that were signed ({documents_hash[:12]}) are"
                f" {'missing from the ledger' if content is None else 'damaged in the ledger'}, so nobody can tell what"
                " changed since. Restore the ledger from its backup."
            )
        return bytes(content)

    def signed_months(self) -> list[tuple[str, str]]:
        """Tenant and period of every month with a review that stands, in order."""
        query = sa.select(
            *[sign_off_events.c[name] for name in SignOffEvent.__dataclass_fields__ if name not in _LARGE]
        ).order_by(sign_off_events.c.tenant, sign_off_events.c.period, sign_off_events.c.sequence)
        months: dict[tuple[str, str], list[SignOffEvent]] = {}
        with self._transaction() as connection:
            for row in connection.execute(query).mappings():
                event = SignOffEvent(**row)
                months.setdefault((event.tenant, event.period), []).append(event)
        return [month for month, events in months.items() if standing_review(events) is not None]


_LARGE = ("figures", "changes")
