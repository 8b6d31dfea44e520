"""What the ledger can tell again of records that we wrote, for a warehouse that is new: their ids, and what was agreed.

Not here: the intents and their stories (`intents.py`), or what is made of this (`netsuite_assets`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

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

    def identities(self, tenant: str, record: str) -> Iterator[Identity]:
        """The ids of the records of a type that we wrote, one a write, in the order of writing: the latest counts.

        What NetSuite has answered or shown counts, whether or not it was found as intended.
        """
        shown = (
            sa.select(sa.func.max(events.c.internal_id))
            .where(events.c.intent_id == intents.c.id)
            .correlate(intents)
            .scalar_subquery()
        )
        query = (
            sa.select(intents.c.id, intents.c.period, intents.c.target, shown.label("internal_id"))
            # A deletion is addressed by the internal id.
            .where(intents.c.tenant == tenant, intents.c.record == record, intents.c.action != "delete")
        )
        for _, period, external_id, internal_id in self._in_parts(query):
            if internal_id is not None:
                yield Identity(period, external_id, internal_id)

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
        )
        if period is not None:
            query = query.where(intents.c.period == period)
        for _, external_id, action, mapping_hash, body in self._in_parts(query):
            yield VerifiedBody(external_id, action == "create", mapping_hash, body)

    def _in_parts(self, query: sa.Select[Any]) -> Iterator[tuple[Any, ...]]:
        """The rows of a query whose first column is an intent's id, by that, read some at once: a ledger may hold millions."""
        query = query.order_by(intents.c.id).limit(_AT_ONCE)
        after = 0
        while True:
            with self._transaction() as connection:
                rows = connection.execute(query.where(intents.c.id > after)).all()
            yield from map(tuple, rows)
            if len(rows) < _AT_ONCE:
                return
            after = rows[-1][0]
