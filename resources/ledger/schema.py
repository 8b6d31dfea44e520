"""The ledger's tables, as SQLAlchemy Core. Here: columns and keys, as the code knows them. Not here: any statement.

`migrations/` makes them, with the triggers by which the database itself keeps what happened from being changed.
"""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

metadata = sa.MetaData()


class Instant(sa.TypeDecorator[datetime]):
    """An aware instant, stored in UTC; SQLite has no type for it."""

    impl = sa.DateTime
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Any) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("the ledger takes instants with a time zone")
        return value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Any) -> datetime | None:
        return None if value is None else value.replace(tzinfo=UTC)


class Money(sa.TypeDecorator[Decimal]):
    """An exact amount, stored as text: SQLite's numbers are floats."""

    impl = sa.String(40)
    cache_ok = True

    def process_bind_param(self, value: Decimal | None, dialect: Any) -> str | None:
        return None if value is None else f"{value:f}"

    def process_result_value(self, value: str | None, dialect: Any) -> Decimal | None:
        return None if value is None else Decimal(value)


plans = sa.Table(
    "plans",
    metadata,
    sa.Column("plan_id", sa.String(64), primary_key=True),
    sa.Column("tenant", sa.String(100), nullable=False),
    sa.Column("period", sa.String(7), nullable=False),
    sa.Column("made_at", Instant, nullable=False),
    sa.Column("mapping_hash", sa.String(64), nullable=False),
    sa.Column("inputs_hash", sa.String(64), nullable=False),
    sa.Column("operations", sa.Integer, nullable=False),
    sa.Column("amounts", sa.Text, nullable=False),  # what it moves, by currency: "EUR 10.00; USD 99.50"
    sa.Column("held_because", sa.Text),
    sa.Index("plans_of_period", "tenant", "period", "made_at"),
)

approvals = sa.Table(
    "approvals",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("plan_id", sa.ForeignKey("plans.plan_id"), nullable=False),
    sa.Column("approved_by", sa.String(200), nullable=False),
    sa.Column("automatic", sa.Boolean, nullable=False),
    sa.Column("note", sa.Text, nullable=False),
    sa.Column("approved_at", Instant, nullable=False),
    sa.Column("operations", sa.Integer),  # how many of them it is for; NULL for the whole plan
    sa.Index("approvals_of_plan", "plan_id"),
)

#: The operations of an approval that is not for the whole plan.
approved_operations = sa.Table(
    "approved_operations",
    metadata,
    sa.Column("approval_id", sa.ForeignKey("approvals.id"), primary_key=True),
    sa.Column("operation_key", sa.String(64), primary_key=True),
)

intents = sa.Table(
    "intents",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("tenant", sa.String(100), nullable=False),
    sa.Column("period", sa.String(7), nullable=False),
    sa.Column("plan_id", sa.ForeignKey("plans.plan_id"), nullable=False),
    sa.Column("operation_key", sa.String(64), nullable=False),
    sa.Column("attempt", sa.Integer, nullable=False),
    sa.Column("record", sa.String(60), nullable=False),
    sa.Column("target", sa.String(200), nullable=False),
    sa.Column("number", sa.String(200)),
    sa.Column("name", sa.Text),
    sa.Column("action", sa.String(10), nullable=False),
    sa.Column("method", sa.String(6), nullable=False),
    sa.Column("path", sa.Text, nullable=False),
    sa.Column("query", sa.Text, nullable=False),
    sa.Column("body", sa.Text, nullable=False),
    sa.Column("body_hash", sa.String(64), nullable=False),
    sa.Column("intended_at", Instant, nullable=False),
    sa.Column("is_open", sa.Boolean, nullable=False),
    sa.UniqueConstraint("tenant", "operation_key", "attempt", name="one_intent_per_attempt"),
    sa.Index("intents_of_period", "tenant", "period"),
)

#: Two writes to one record can never be under way at once, whatever started them.
_one_open_intent = sa.Index(
    "one_open_intent_per_record",
    intents.c.tenant,
    intents.c.record,
    intents.c.target,
    unique=True,
    sqlite_where=intents.c.is_open.is_(True),
    postgresql_where=intents.c.is_open.is_(True),
)

events = sa.Table(
    "events",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("intent_id", sa.ForeignKey("intents.id"), nullable=False),
    sa.Column("at", Instant, nullable=False),
    sa.Column("kind", sa.String(12), nullable=False),
    sa.Column("status", sa.Integer),
    sa.Column("internal_id", sa.String(40)),
    sa.Column("request_id", sa.String(60)),
    sa.Column("detail", sa.Text),
    sa.Index("events_of_intent", "intent_id", "id"),
)

#: A batch of writes that NetSuite runs by itself, noted before it is sent; it is open until it is known to be over.
jobs = sa.Table(
    "jobs",
    metadata,
    sa.Column("key", sa.String(36), primary_key=True),
    sa.Column("tenant", sa.String(100), nullable=False),
    sa.Column("record", sa.String(60), nullable=False),
    sa.Column("body_hash", sa.String(64), nullable=False),
    sa.Column("address", sa.Text),
    sa.Column("asked_at", Instant, nullable=False),
    sa.Column("ended_at", Instant),
    sa.Index("jobs_of_tenant", "tenant", "ended_at"),
)

job_intents = sa.Table(
    "job_intents",
    metadata,
    sa.Column("key", sa.ForeignKey("jobs.key"), primary_key=True),
    sa.Column("place", sa.Integer, primary_key=True),
    sa.Column("intent_id", sa.ForeignKey("intents.id"), nullable=False),
    sa.Index("jobs_of_intent", "intent_id"),
)

mapping_versions = sa.Table(
    "mapping_versions",
    metadata,
    sa.Column("tenant", sa.String(100), primary_key=True),
    sa.Column("hash", sa.String(64), primary_key=True),
    sa.Column("first_used_at", Instant, nullable=False),
    sa.Column("effective", sa.Text, nullable=False),
)

#: Which version was in use from when on; one that came back has several rows.
mapping_uses = sa.Table(
    "mapping_uses",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("tenant", sa.String(100), nullable=False),
    sa.Column("hash", sa.String(64), nullable=False),
    sa.Column("used_from", Instant, nullable=False),
    sa.Index("mapping_uses_of_tenant", "tenant", "id"),
)

#: One row a cause, for as long as the ledger lives: it opens, is accepted, closes and opens again.
exceptions = sa.Table(
    "exceptions",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("cause", sa.String(64), nullable=False, unique=True),
    sa.Column("tenant", sa.String(100), nullable=False),
    sa.Column("period", sa.String(7), nullable=False),
    sa.Column("stage", sa.String(20), nullable=False),
    sa.Column("code", sa.String(60), nullable=False),
    sa.Column("record", sa.String(60), nullable=False),
    sa.Column("external_id", sa.Text),
    sa.Column("internal_id", sa.Text),
    sa.Column("number", sa.Text),
    sa.Column("name", sa.Text),
    sa.Column("amount", Money, nullable=False),
    sa.Column("currency", sa.Text),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("next_step", sa.Text, nullable=False),
    sa.Column("state", sa.String(10), nullable=False),
    sa.Column("owner", sa.Text),
    sa.Column("comment", sa.Text),
    sa.Column("accepted_by", sa.Text),
    sa.Column("accepted_because", sa.Text),
    sa.Column("accepted_until", sa.Date),  # the last day, where the tenant is
    sa.Column("lapses_at", Instant),  # the end of that day
    sa.Column("first_opened_at", Instant, nullable=False),
    sa.Column("opened_at", Instant, nullable=False),
    sa.Column("times_opened", sa.Integer, nullable=False),
    sa.Column("last_seen_at", Instant, nullable=False),
    sa.Column("closed_at", Instant),
    sa.Index("exceptions_of_period", "tenant", "period"),
)

exception_events = sa.Table(
    "exception_events",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("exception_id", sa.ForeignKey("exceptions.id"), nullable=False),
    sa.Column("at", Instant, nullable=False),
    sa.Column("kind", sa.String(12), nullable=False),
    sa.Column("by", sa.Text, nullable=False),
    sa.Column("detail", sa.Text),
    sa.Column("amount", Money, nullable=False),
    sa.Column("currency", sa.Text),
    sa.Index("events_of_exception", "exception_id", "id"),
)


#: A month's sign-off is its latest event; figures, fingerprint and documents are those that the person saw.
sign_off_events = sa.Table(
    "sign_off_events",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("tenant", sa.String(100), nullable=False),
    sa.Column("period", sa.String(7), nullable=False),
    sa.Column("sequence", sa.Integer, nullable=False),
    sa.Column("at", Instant, nullable=False),
    sa.Column("kind", sa.String(12), nullable=False),
    sa.Column("by", sa.Text, nullable=False),
    sa.Column("note", sa.Text, nullable=False),
    sa.Column("despite", sa.Text),
    sa.Column("fingerprint", sa.String(64)),
    sa.Column("figures", sa.Text),  # JSON
    sa.Column("documents_hash", sa.String(64)),
    sa.Column("changes", sa.Text),  # JSON
    sa.UniqueConstraint("tenant", "period", "sequence", name="one_sign_off_event_at_a_time"),
)

#: Each document's figures of a month that was signed off, under the SHA-256 of their bytes.
signed_documents = sa.Table(
    "signed_documents",
    metadata,
    sa.Column("hash", sa.String(64), primary_key=True),
    sa.Column("content", sa.LargeBinary, nullable=False),
)
