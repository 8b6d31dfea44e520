"""Jobs: batches of writes that NetSuite runs by itself, from before they are sent until they are known to be over.

Here: under which key and address a job is found again, and which intents it carries. Not here: the intents' own stories
(`intents.py`), or how a job is asked (`resources/netsuite/jobs.py`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from resources.ledger.database import Database
from resources.ledger.intents import Intent
from resources.ledger.schema import job_intents, jobs


@dataclass(frozen=True)
class Job:
    """A batch that was or is about to be sent.

    `key` is its idempotency key, a UUID; `address` NetSuite's path of the job, None until NetSuite told it; `intents`
    the ids of the intents that it carries, in the order of the batch.
    """

    key: str
    tenant: str
    record: str
    body_hash: str
    address: str | None
    asked_at: datetime
    intents: tuple[int, ...]


class WriteJobs(Database):
    """The part of the ledger that knows which writes NetSuite was given to run by itself."""

    def open_job(
        self, tenant: str, key: str, record: str, body_hash: str, intents: Sequence[Intent], now: datetime
    ) -> None:
        """Note, durably, that these intents are about to be sent as one job."""
        with self._transaction() as connection:
            connection.execute(
                jobs.insert().values(key=key, tenant=tenant, record=record, body_hash=body_hash, asked_at=now)
            )
            connection.execute(
                job_intents.insert(),
                [
                    {"key": key, "place": place, "intent_id": intent.id}
                    for place, intent in enumerate(intents)
                ],
            )

    def job_taken(self, key: str, address: str) -> None:
        """Note where NetSuite runs a job."""
        with self._transaction() as connection:
            connection.execute(jobs.update().where(jobs.c.key == key).values(address=address))

    def job_ended(self, key: str, now: datetime) -> None:
        """Note that a job is over, or never was: nothing more comes of it."""
        with self._transaction() as connection:
            connection.execute(jobs.update().where(jobs.c.key == key).values(ended_at=now))

    def open_jobs(self, tenant: str) -> list[Job]:
        """The tenant's jobs that are not known to be over, the oldest first."""
        with self._transaction() as connection:
            rows = connection.execute(
                sa.select(jobs)
                .where(jobs.c.tenant == tenant, jobs.c.ended_at.is_(None))
                .order_by(jobs.c.asked_at, jobs.c.key)
            ).all()
            carried: dict[str, list[int]] = defaultdict(list)
            for key, intent in connection.execute(
                sa.select(job_intents.c.key, job_intents.c.intent_id)
                .join(jobs, jobs.c.key == job_intents.c.key)
                .where(jobs.c.tenant == tenant, jobs.c.ended_at.is_(None))
                .order_by(job_intents.c.key, job_intents.c.place)
            ):
                carried[key].append(intent)
        return [
            Job(row.key, row.tenant, row.record, row.body_hash, row.address, row.asked_at, tuple(carried[row.key]))
            for row in rows
        ]  # fmt: skip
