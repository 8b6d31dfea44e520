"""Plans, and who approved them.

Not here: what a plan holds, or when it needs a person (`netsuite_assets/writeback`).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from resources.ledger.database import Database, LedgerError
from resources.ledger.schema import approvals, approved_operations, plans


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
    """Who let a plan be applied, and when: all of it, or the `operations` with these keys."""

    plan_id: str
    approved_by: str
    automatic: bool
    note: str
    approved_at: datetime
    operations: frozenset[str] | None = None


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
        """Record an approval. Refused for a plan that the ledger does not know, without a name, or of no operation."""
        if not approval.approved_by.strip():
            raise LedgerError("an approval needs the name of who gives it; nothing was recorded.")
        keys = approval.operations
        if keys is not None and not keys:
            raise LedgerError(
                f"none of the operations of the plan {approval.plan_id[:12]} was named, so nothing was approved."
            )
        values = vars(approval) | {"operations": None if keys is None else len(keys)}
        with self._transaction() as connection:
            require_plan(connection, approval.plan_id)
            made = connection.execute(approvals.insert().values(values)).inserted_primary_key
            assert made is not None
            if keys is not None:
                rows = [{"approval_id": made[0], "operation_key": key} for key in sorted(keys)]
                connection.execute(approved_operations.insert(), rows)

    def approvals(self, plan_id: str) -> list[Approval]:
        """Every approval of a plan, the first one first. Raises `LedgerError` for one whose operations are damaged."""
        query = sa.select(approvals).where(approvals.c.plan_id == plan_id).order_by(approvals.c.id)
        found = []
        with self._transaction() as connection:
            for row in connection.execute(query).mappings().all():
                keys = None
                if row["operations"] is not None:
                    listed = sa.select(approved_operations.c.operation_key).where(
                        approved_operations.c.approval_id == row["id"]
                    )
                    keys = frozenset(connection.execute(listed).scalars())
                    if len(keys) != row["operations"]:
                        raise LedgerError(
                            f"the approval of the plan {plan_id[:12]} by {row['approved_by']} is damaged: it is for"
                            f" {row['operations']:,} operations and {len(keys):,} are there. Restore the ledger from its"
                            " backup, or make the plan again and have it approved."
                        )
                values = {name: row[name] for name in Approval.__dataclass_fields__ if name != "operations"}
                found.append(Approval(**values, operations=keys))
        return found

    def approval(self, plan_id: str) -> Approval | None:
        """The latest approval of a plan, or None."""
        given = self.approvals(plan_id)
        return given[-1] if given else None


def require_plan(connection: Connection, plan_id: str) -> None:
    """Refuse what rests on a plan that nobody made."""
    known = connection.execute(sa.select(plans.c.plan_id).where(plans.c.plan_id == plan_id)).first()
    if known is None:
        raise LedgerError(
            f"the ledger knows no plan {plan_id[:12]}; make the plan first, or list them: recon plan."
        )
