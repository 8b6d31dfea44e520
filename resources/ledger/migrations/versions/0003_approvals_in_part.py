"""Approvals of a part of a plan; and what was approved, intended and answered is kept by the database itself."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from resources.ledger.migrations.kept import only_add_to

revision = "0003"
down_revision = "0002"

_INTENT = (
    "id", "tenant", "period", "plan_id", "operation_key", "attempt", "record", "target", "number", "name", "action",
    "method", "path", "query", "body", "body_hash", "intended_at",
)  # fmt: skip
_PLAN = (
    "plan_id", "tenant", "period", "mapping_hash", "inputs_hash", "operations", "amounts",
)  # fmt: skip


def upgrade() -> None:
    """Make the table and the column, and the triggers."""
    op.add_column("approvals", sa.Column("operations", sa.Integer))
    op.create_table(
        "approved_operations",
        sa.Column("approval_id", sa.Integer, sa.ForeignKey("approvals.id"), primary_key=True),
        sa.Column("operation_key", sa.String(64), primary_key=True),
    )
    connection = op.get_bind()
    for table in ("approvals", "approved_operations", "events", "mapping_versions"):
        only_add_to(connection, table)
    only_add_to(connection, "intents", but=("is_open",), fixed=_INTENT)
    only_add_to(connection, "plans", but=("made_at", "held_because"), fixed=_PLAN)
