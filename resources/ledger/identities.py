"""What the ledger can tell again of records that we wrote, for a warehouse that is new: their ids, and what was agreed.

Not here: the intents and their stories (`intents.py`), or what is made of this (`netsuite_assets`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import sqlalchemy as sa

from resources.ledger.database import Database
from resources.ledger.schema import events, intents, plans

_AT_ONCE = 5_000


@dataclass(frozen=True)
class Identity:
    """The internal id that NetSuite gave, or showed of, a record of ours. `period` is the month of the write."""

    period: str
    external_id: str
    internal_id: str


@dataclass(frozen=True)
class VerifiedBody:
    """A body that NetSuite was sent and showed to hold when it was read back, as JSON text; a `is_whole` one made the record.

    `mapping_hash` is of the version of the mapping that made it.
    """

    external_id: str
    is_whole: bool
    mapping_hash: str
    body: str


class Identities(Database):
    """The part of the ledger that fills a new warehouse."""

    def identities(self, tenant: str, record: str) -> list[Identity]:
        """The ids of the records of a type that we wrote, in the order of writing; the latest internal id of each month.

        What NetSuite has answered or shown counts, whether or not it was found as intended.
        """
        seen = (
            sa.select(events.c.intent_id, sa.func.max(events.c.internal_id).label("internal_id"))
            .where(events.c.internal_id.is_not(None))
            .group_by(events.c.intent_id)
            .subquery()
        )
        query = (
            sa.select(intents.c.period, intents.c.target, seen.c.internal_id)
            .join(seen, seen.c.intent_id == intents.c.id)
            # A deletion is addressed by the internal id.
            .where(intents.c.tenant == tenant, intents.c.record == record, intents.c.action != "delete")
            .order_by(intents.c.id)
        )
        found: dict[tuple[str, str], Identity] = {}
        with self._transaction() as connection:
            for period, external_id, internal_id in connection.execute(query):
                found[period, external_id] = Identity(period, external_id, internal_id)
        return list(found.values())

    def verified_bodies(self, tenant: str, record: str, period: str | None = None) -> Iterator[VerifiedBody]:
        """What was written of a type, of one month or (None) of all, and found as intended, in the order of writing."""
        story = events.alias("story")
        last = (
            sa.select(sa.func.max(story.c.id))
            .where(story.c.intent_id == intents.c.id)
            .correlate(intents)
            .scalar_subquery()
        )
        query = (
            sa.select(intents.c.id, intents.c.target, intents.c.action, plans.c.mapping_hash, intents.c.body)
            .join(plans, plans.c.plan_id == intents.c.plan_id)
            .join(events, events.c.id == last)
            .where(
                intents.c.tenant == tenant,
                intents.c.record == record,
                intents.c.action.in_(("create", "update")),
                events.c.kind == "verified",
            )
            .order_by(intents.c.id)
            .limit(_AT_ONCE)
        )
        if period is not None:
            query = query.where(intents.c.period == period)
        after = 0
        while True:
            with self._transaction() as connection:
                rows = connection.execute(query.where(intents.c.id > after)).all()
            for _, external_id, action, mapping_hash, body in rows:
                yield VerifiedBody(external_id, action == "create", mapping_hash, body)
            if len(rows) < _AT_ONCE:
                return
            after = rows[-1][0]
