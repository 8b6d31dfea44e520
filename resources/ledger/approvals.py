"""Plans, and who approved them.

Not here: what a plan holds, or when it needs a person (`netsuite_assets/writeback`).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from resources.ledger.database import Database, LedgerError
from resources.ledger.schema import approvals, plans


@dataclass(frozen=True)
class Plan:
    """A plan that was made: what it rests on and why it waits for a person, if it does."""

    plan_id: str
    tenant: str
    period: str
    made_at: datetime
    mapping_hash: str
    inputs_hash: str
    operations: int
    amounts: str
    held_because: str | None


@dataclass(frozen=True)
class Approval:
    """Who let a plan be applied, and when."""

    plan_id: str
    approved_by: str
    automatic: bool
    note: str
    approved_at: datetime


class Approvals(Database):
    """The part of the ledger that knows plans and approvals."""

    def record_plan(self, plan: Plan) -> None:
        """Note that a plan was made. The same plan made again becomes the latest, with why it waits now."""
        with self._transaction() as connection:
            known = connection.execute(
                sa.select(plans.c.plan_id).where(plans.c.plan_id == plan.plan_id)
            ).first()
            if known is None:
                connection.execute(plans.insert().values(vars(plan)))
            else:
                connection.execute(
                    plans.update()
                    .where(plans.c.plan_id == plan.plan_id)
                    .values(made_at=plan.made_at, held_because=plan.held_because)
                )

    def plan(self, plan_id: str) -> Plan | None:
        """What is known of a plan, or None."""
        query = sa.select(*[plans.c[name] for name in Plan.__dataclass_fields__]).where(
            plans.c.plan_id == plan_id
        )
        with self._transaction() as connection:
            row = connection.execute(query).mappings().first()
        return Plan(**row) if row else None

    def plan_ids(self, tenant: str, period: str) -> list[str]:
        """The plans made for a period, the latest first."""
        query = (
            sa.select(plans.c.plan_id)
            .where(plans.c.tenant == tenant, plans.c.period == period)
            .order_by(plans.c.made_at.desc(), plans.c.plan_id)
        )
        with self._transaction() as connection:
            return list(connection.execute(query).scalars())

    def approve(self, approval: Approval) -> None:
        """Record an approval; a plan that the ledger does not know cannot be approved."""
        with self._transaction() as connection:
            require_plan(connection, approval.plan_id)
            connection.execute(approvals.insert().values(vars(approval)))

    def approval(self, plan_id: str) -> Approval | None:
        """The latest approval of a plan, or None."""
        query = (
            sa.select(*[approvals.c[name] for name in Approval.__dataclass_fields__])
            .where(approvals.c.plan_id == plan_id)
            .order_by(approvals.c.id.desc())
            .limit(1)
        )
        with self._transaction() as connection:
            row = connection.execute(query).mappings().first()
        return Approval(**row) if row else None


def require_plan(connection: Connection, plan_id: str) -> None:
    """Refuse what rests on a plan that nobody made."""
    known = connection.execute(sa.select(plans.c.plan_id).where(plans.c.plan_id == plan_id)).first()
    if known is None:
        raise LedgerError(
            f"the ledger knows no plan {plan_id[:12]}; make the plan first, or list them: recon plan."
        )
