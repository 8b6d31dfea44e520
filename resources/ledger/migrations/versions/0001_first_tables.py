"""The ledger's first tables.

A ledger that is older than versions has some or all of them; those that it lacks are made, the others stay.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

from resources.ledger.migrations.kept import only_add_to

revision = "0001"
down_revision = None

_tables = sa.MetaData()

sa.Table(
    "plans",
    _tables,
    sa.Column("plan_id", sa.String(64), primary_key=True),
    sa.Column("tenant", sa.String(100), nullable=False),
    sa.Column("period", sa.String(7), nullable=False),
    sa.Column("made_at", sa.DateTime, nullable=False),
    sa.Column("mapping_hash", sa.String(64), nullable=False),
    sa.Column("inputs_hash", sa.String(64), nullable=False),
    sa.Column("operations", sa.Integer, nullable=False),
    sa.Column("amounts", sa.Text, nullable=False),
    sa.Column("held_because", sa.Text),
    sa.Index("plans_of_period", "tenant", "period", "made_at"),
)

sa.Table(
    "approvals",
    _tables,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("plan_id", sa.ForeignKey("plans.plan_id"), nullable=False),
    sa.Column("approved_by", sa.String(200), nullable=False),
    sa.Column("automatic", sa.Boolean, nullable=False),
    sa.Column("note", sa.Text, nullable=False),
    sa.Column("approved_at", sa.DateTime, nullable=False),
    sa.Index("approvals_of_plan", "plan_id"),
)

_intents = sa.Table(
    "intents",
    _tables,
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
    sa.Column("intended_at", sa.DateTime, nullable=False),
    sa.Column("is_open", sa.Boolean, nullable=False),
    sa.UniqueConstraint("tenant", "operation_key", "attempt", name="one_intent_per_attempt"),
    sa.Index("intents_of_period", "tenant", "period"),
)

sa.Index(
    "one_open_intent_per_record",
    _intents.c.tenant,
    _intents.c.record,
    _intents.c.target,
    unique=True,
    sqlite_where=_intents.c.is_open.is_(True),
    postgresql_where=_intents.c.is_open.is_(True),
)

sa.Table(
    "events",
    _tables,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("intent_id", sa.ForeignKey("intents.id"), nullable=False),
    sa.Column("at", sa.DateTime, nullable=False),
    sa.Column("kind", sa.String(12), nullable=False),
    sa.Column("status", sa.Integer),
    sa.Column("internal_id", sa.String(40)),
    sa.Column("request_id", sa.String(60)),
    sa.Column("detail", sa.Text),
    sa.Index("events_of_intent", "intent_id", "id"),
)

sa.Table(
    "mapping_versions",
    _tables,
    sa.Column("tenant", sa.String(100), primary_key=True),
    sa.Column("hash", sa.String(64), primary_key=True),
    sa.Column("first_used_at", sa.DateTime, nullable=False),
    sa.Column("effective", sa.Text, nullable=False),
)

sa.Table(
    "mapping_uses",
    _tables,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("tenant", sa.String(100), nullable=False),
    sa.Column("hash", sa.String(64), nullable=False),
    sa.Column("used_from", sa.DateTime, nullable=False),
    sa.Index("mapping_uses_of_tenant", "tenant", "id"),
)

sa.Table(
    "exceptions",
    _tables,
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
    sa.Column("amount", sa.String(40), nullable=False),
    sa.Column("currency", sa.Text),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("next_step", sa.Text, nullable=False),
    sa.Column("state", sa.String(10), nullable=False),
    sa.Column("owner", sa.Text),
    sa.Column("comment", sa.Text),
    sa.Column("accepted_by", sa.Text),
    sa.Column("accepted_because", sa.Text),
    sa.Column("accepted_until", sa.Date),
    sa.Column("lapses_at", sa.DateTime),
    sa.Column("first_opened_at", sa.DateTime, nullable=False),
    sa.Column("opened_at", sa.DateTime, nullable=False),
    sa.Column("times_opened", sa.Integer, nullable=False),
    sa.Column("last_seen_at", sa.DateTime, nullable=False),
    sa.Column("closed_at", sa.DateTime),
    sa.Index("exceptions_of_period", "tenant", "period"),
)

sa.Table(
    "exception_events",
    _tables,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("exception_id", sa.ForeignKey("exceptions.id"), nullable=False),
    sa.Column("at", sa.DateTime, nullable=False),
    sa.Column("kind", sa.String(12), nullable=False),
    sa.Column("by", sa.Text, nullable=False),
    sa.Column("detail", sa.Text),
    sa.Column("amount", sa.String(40), nullable=False),
    sa.Column("currency", sa.Text),
    sa.Index("events_of_exception", "exception_id", "id"),
)


sa.Table(
    "sign_off_events",
    _tables,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("tenant", sa.String(100), nullable=False),
    sa.Column("period", sa.String(7), nullable=False),
    sa.Column("sequence", sa.Integer, nullable=False),
    sa.Column("at", sa.DateTime, nullable=False),
    sa.Column("kind", sa.String(12), nullable=False),
    sa.Column("by", sa.Text, nullable=False),
    sa.Column("note", sa.Text, nullable=False),
    sa.Column("despite", sa.Text),
    sa.Column("fingerprint", sa.String(64)),
    sa.Column("figures", sa.Text),
    sa.Column("documents_hash", sa.String(64)),
    sa.Column("changes", sa.Text),
    sa.UniqueConstraint("tenant", "period", "sequence", name="one_sign_off_event_at_a_time"),
)

sa.Table(
    "signed_documents",
    _tables,
    sa.Column("hash", sa.String(64), primary_key=True),
    sa.Column("content", sa.LargeBinary, nullable=False),
)


def _kept(table: sa.Table, connection: sa.Connection, **_: Any) -> None:
    only_add_to(connection, table.name)


for _history in ("mapping_uses", "exception_events", "sign_off_events", "signed_documents"):
    sa.event.listen(_tables.tables[_history], "after_create", _kept)


def upgrade() -> None:
    """Make the tables that are lacking, with what protects them."""
    _tables.create_all(op.get_bind())
