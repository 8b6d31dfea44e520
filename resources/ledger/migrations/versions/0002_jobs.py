"""Batches of writes that NetSuite runs by itself, and the intents that each carries."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Make the two tables."""
    op.create_table(
        "jobs",
        sa.Column("key", sa.String(36), primary_key=True),
        sa.Column("tenant", sa.String(100), nullable=False),
        sa.Column("record", sa.String(60), nullable=False),
        sa.Column("body_hash", sa.String(64), nullable=False),
        sa.Column("address", sa.Text),
        sa.Column("asked_at", sa.DateTime, nullable=False),
        sa.Column("ended_at", sa.DateTime),
    )
    op.create_index("jobs_of_tenant", "jobs", ["tenant", "ended_at"])
    op.create_table(
        "job_intents",
        sa.Column("key", sa.String(36), sa.ForeignKey("jobs.key"), primary_key=True),
        sa.Column("place", sa.Integer, primary_key=True),
        sa.Column("intent_id", sa.Integer, sa.ForeignKey("intents.id"), nullable=False),
        sa.Index("jobs_of_intent", "intent_id"),
    )
