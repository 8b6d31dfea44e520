"""Write intents and their stories: what is about to be sent, durably before it is, and what became of it.

Not here: when to write or what an outcome means (`netsuite_assets/writeback`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy.engine import Connection
from sqlalchemy.exc import IntegrityError

from resources.ledger.approvals import require_plan
from resources.ledger.database import Database, LedgerError
from resources.ledger.schema import events, intents

EventKind = Literal[
    "intended", "answered", "rejected", "in_doubt", "adopted", "not_found", "verified", "mismatch"
]

#: An intent is open until one of these is its latest event: until then its outcome is not known.
CLOSING: frozenset[str] = frozenset({"answered", "rejected", "adopted", "not_found"})


@dataclass(frozen=True)
class NewIntent:
    """One write that is about to be sent: what, to which record, and the exact bytes."""

    operation_key: str
    record: str
    target: str
    number: str | None
    name: str | None
    action: str
    method: str
    path: str
    query: str
    body: str
    body_hash: str


@dataclass(frozen=True)
class Intent(NewIntent):
    """An intent as the ledger holds it."""

    id: int
    tenant: str
    period: str
    plan_id: str
    attempt: int
    intended_at: datetime
    is_open: bool


@dataclass(frozen=True)
class Event:
    """What became of an intent: NetSuite's status and id, or our reading of them."""

    intent_id: int
    kind: EventKind
    status: int | None = None
    internal_id: str | None = None
    request_id: str | None = None
    detail: str | None = None


@dataclass(frozen=True)
class Written:
    """A record that we wrote, as the last write to it left it: there, as it was read back, or deleted by us."""

    period: str
    internal_id: str
    external_id: str | None
    number: str | None
    name: str | None
    is_deleted: bool


#: A deletion that NetSuite answered, whatever was seen of it afterwards.
_DELETED = ("answered", "adopted", "verified", "mismatch")

_INTENT_COLUMNS = [intents.c[name] for name in Intent.__dataclass_fields__]
_answered = events.alias("answered")
_INSERT_INTENTS = intents.insert().returning(intents.c.id, sort_by_parameter_order=True)

#: Rows of one statement; together they are one transaction all the same.
_AT_ONCE = 500


class Intents(Database):
    """The part of the ledger that knows what was and is being written."""

    def intend(
        self, tenant: str, period: str, plan_id: str, new: Sequence[NewIntent], now: datetime
    ) -> list[Intent]:
        """Record that these writes are about to be sent, all or none, durably, before the first byte goes out.

        Raises `LedgerError` when another write to one of the records is still open.
        """
        # Always in the same order, so that two that overlap wait for each other once and not crosswise.
        order = sorted(range(len(new)), key=lambda position: (new[position].record, new[position].target))
        made: list[tuple[int, Intent]] = []
        try:
            with self._transaction() as connection:
                require_plan(connection, plan_id)
                for some in _slices(order):
                    attempts = _attempts(
                        connection, tenant, [new[position].operation_key for position in some]
                    )
                    rows: list[dict[str, Any]] = [
                        {
                            **vars(new[position]),
                            "tenant": tenant,
                            "period": period,
                            "plan_id": plan_id,
                            "attempt": attempts.get(new[position].operation_key, 0) + 1,
                            "intended_at": now,
                            "is_open": True,
                        }
                        for position in some
                    ]
                    ids = connection.scalars(_INSERT_INTENTS, rows).all()
                    connection.execute(
                        events.insert(), [{"intent_id": key, "at": now, "kind": "intended"} for key in ids]
                    )
                    made += (
                        (position, Intent(id=key, **row))
                        for position, key, row in zip(some, ids, rows, strict=True)
                    )
        except IntegrityError as error:
            raise LedgerError(
                f"{tenant}: another write to one of the records of this plan is still open, so nothing was sent."
                " Either another run is applying now, or one was interrupted: the next run settles what is in doubt"
                f" first. ({' '.join(str(error.orig).split())})"
            ) from None
        return [intent for _, intent in sorted(made, key=lambda numbered: numbered[0])]

    def record(self, new: Sequence[Event], now: datetime) -> None:
        """Add to the intents' stories, in this order; an event of a closing kind closes its intent."""
        if not new:
            return
        closed = [event.intent_id for event in new if event.kind in CLOSING]
        with self._transaction() as connection:
            connection.execute(events.insert(), [{**vars(event), "at": now} for event in new])
            for some in _slices(closed):
                connection.execute(intents.update().where(intents.c.id.in_(some)).values(is_open=False))

    def open_intents(self, tenant: str) -> list[Intent]:
        """The tenant's intents whose outcome is not known, the oldest first."""
        query = (
            sa.select(*_INTENT_COLUMNS)
            .where(intents.c.tenant == tenant, intents.c.is_open.is_(True))
            .order_by(intents.c.id)
        )
        with self._transaction() as connection:
            return [Intent(**row) for row in connection.execute(query).mappings()]

    def history(self, tenant: str, period: str | None = None) -> list[dict[str, Any]]:
        """Every intent of the tenant with its latest event, the oldest first: the write history."""
        last = (
            sa.select(events.c.intent_id, sa.func.max(events.c.id).label("event_id"))
            .group_by(events.c.intent_id)
            .subquery()
        )
        query = (
            sa.select(
                *_INTENT_COLUMNS,
                events.c.kind.label("state"),
                events.c.at.label("state_at"),
                events.c.status,
                events.c.detail,
                sa.select(sa.func.max(_answered.c.internal_id))
                .where(_answered.c.intent_id == intents.c.id)
                .scalar_subquery()
                .label("internal_id"),
            )
            .join(last, last.c.intent_id == intents.c.id)
            .join(events, events.c.id == last.c.event_id)
            .where(intents.c.tenant == tenant)
            .order_by(intents.c.id)
        )
        if period is not None:
            query = query.where(intents.c.period == period)
        with self._transaction() as connection:
            return [dict(row) for row in connection.execute(query).mappings()]

    def written(self, tenant: str, record: str) -> list[Written]:
        """The records of a type that we know to be in NetSuite because we wrote and read them back, and those that we
        deleted there.

        What is in doubt, was refused or was not found as intended is not among them.
        """
        last = (
            sa.select(
                events.c.intent_id,
                sa.func.max(events.c.id).label("event_id"),
                sa.func.max(events.c.internal_id).label("internal_id"),
            )
            .group_by(events.c.intent_id)
            .subquery()
        )
        query = (
            sa.select(
                *(intents.c[name] for name in ("period", "target", "number", "name", "action")),
                events.c.kind.label("state"),
                last.c.internal_id,
            )
            .join(last, last.c.intent_id == intents.c.id)
            .join(events, events.c.id == last.c.event_id)
            .where(intents.c.tenant == tenant, intents.c.record == record)
            .order_by(intents.c.id)
        )
        found: dict[str, Written] = {}
        with self._transaction() as connection:
            for row in connection.execute(query).mappings():
                is_deletion = row["action"] == "delete"
                internal_id = row["target"] if is_deletion else row["internal_id"]
                # A later write that was refused, or is not read back yet, does not take the record away.
                if row["state"] in (_DELETED if is_deletion else ("verified",)) and internal_id is not None:
                    found[internal_id] = Written(
                        period=row["period"],
                        internal_id=internal_id,
                        external_id=None if is_deletion else row["target"],
                        number=row["number"],
                        name=row["name"],
                        is_deleted=is_deletion,
                    )
        return list(found.values())


def _slices(whole: Sequence[int]) -> Iterator[Sequence[int]]:
    return (whole[start : start + _AT_ONCE] for start in range(0, len(whole), _AT_ONCE))


def _attempts(connection: Connection, tenant: str, operation_keys: Sequence[str]) -> dict[str, int]:
    """How often operations were intended before; what never was is not among them."""
    query = (
        sa.select(intents.c.operation_key, sa.func.max(intents.c.attempt))
        .where(intents.c.tenant == tenant, intents.c.operation_key.in_(operation_keys))
        .group_by(intents.c.operation_key)
    )
    return dict(connection.execute(query).all())
