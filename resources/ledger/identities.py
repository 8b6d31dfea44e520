"""What the ledger can tell again of records that we wrote, for a warehouse that is new: their ids, and what was agreed.

Not here: the intents and their stories (`intents.py`), or what is made of this (`netsuite_assets`).
"""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa

from resources.ledger.database import Database
from resources.ledger.schema import events, intents


@dataclass(frozen=True)
class Identity:
    """The internal id that NetSuite gave, or showed of, a record of ours. `period` is the month of the write."""

    period: str
    external_id: str
    internal_id: str


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
