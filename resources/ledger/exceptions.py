"""Exceptions that last: one a cause, from when it was first seen until its cause is gone, and again when it returns.

Here: the life of an exception and what people do with it. Not here: what is an exception, or what is the same cause
(`netsuite_assets/reconcile/exceptions.py`).

    open ──accept──► accepted ──its last day is over, its amount changed, or reopen──► open
    open, accepted ──cause gone──► closed ──cause back──► open

Every method first lets the acceptances lapse whose time is over, so that the state it shows is that of `now`. What
happened stays in `exception_events`, which is only ever added to.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final, Literal

import sqlalchemy as sa
from sqlalchemy.engine import Connection
from sqlalchemy.exc import IntegrityError

from resources.ledger.database import Database, LedgerError
from resources.ledger.schema import exception_events, exceptions

ExceptionState = Literal["open", "accepted", "closed"]
ExceptionEventKind = Literal[
    "opened", "changed", "closed", "reopened", "assigned", "commented", "accepted", "expired"
]

#: Who ends an acceptance when its last day is over.
CALENDAR = "calendar"

#: A statement names no more rows than this.
_AT_ONCE = 500


@dataclass(frozen=True)
class SeenException:
    """An exception as a run saw it. `cause` is its identity; the amount is in `currency`."""

    cause: str
    stage: str
    code: str
    record: str
    external_id: str | None
    internal_id: str | None
    number: str | None
    name: str | None
    amount: Decimal
    currency: str | None
    reason: str
    next_step: str


@dataclass(frozen=True)
class LastingException(SeenException):
    """An exception as the ledger holds it. `id` is the number by which people call it.

    `opened_at` is when it opened the last time, `first_opened_at` the first; `accepted_until` is a day of the tenant's.
    """

    id: int
    tenant: str
    period: str
    state: ExceptionState
    owner: str | None
    comment: str | None
    accepted_by: str | None
    accepted_because: str | None
    accepted_until: date | None
    first_opened_at: datetime
    opened_at: datetime
    times_opened: int
    last_seen_at: datetime
    closed_at: datetime | None

    def age(self, now: datetime) -> int:
        """Whole days since it opened; of one that is closed, the days that it was open."""
        return max(((self.closed_at or now) - self.opened_at).days, 0)


@dataclass(frozen=True)
class ExceptionEvent:
    """Something that happened to an exception, with its amount then."""

    exception_id: int
    at: datetime
    kind: ExceptionEventKind
    by: str
    detail: str | None
    amount: Decimal
    currency: str | None


@dataclass(frozen=True)
class Synchronised:
    """How many exceptions a run opened for the first time, opened again, and closed."""

    opened: int
    reopened: int
    closed: int


_COLUMNS = [exceptions.c[name] for name in LastingException.__dataclass_fields__]
_SEEN = tuple(name for name in SeenException.__dataclass_fields__ if name != "cause")
_NOT_ACCEPTED: Mapping[str, Any] = dict.fromkeys(
    ("accepted_by", "accepted_because", "accepted_until", "lapses_at")
)


def _stays_never(_: LastingException) -> bool:
    return False


class Exceptions(Database):
    """The part of the ledger that knows exceptions."""

    def synchronise_exceptions(
        self,
        tenant: str,
        period: str,
        stages: Collection[str],
        seen: Sequence[SeenException],
        now: datetime,
        by: str,
        stays: Callable[[LastingException], bool] = _stays_never,
    ) -> Synchronised:
        """Bring the period's exceptions to what a run saw, in one transaction.

        What was `seen` is open (or stays accepted while its amount is the same). What these `stages` had raised and
        was not seen is closed, but for what `stays`. Exceptions of other stages are left as they are. `by` is the run.
        """
        try:
            with self._transaction() as connection:
                _lapse(connection, tenant, now)
                query = (
                    sa.select(*_COLUMNS)
                    .where(exceptions.c.tenant == tenant, exceptions.c.period == period)
                    .order_by(exceptions.c.id)
                    .with_for_update()
                )
                known = {row.cause: row for row in _read(connection, query)}
                met = {one.cause: one for one in seen}
                new = [one for one in met.values() if one.cause not in known]
                _insert(connection, tenant, period, new, now, by)
                old = [(known[cause], one) for cause, one in met.items() if cause in known]
                _meet_again(connection, old, now, by)
                gone = [
                    row
                    for row in known.values()
                    if row.state != "closed"
                    and row.stage in stages
                    and row.cause not in met
                    and not stays(row)
                ]
                _set_all(connection, [row.id for row in gone], state="closed", closed_at=now, **_NOT_ACCEPTED)
                _tell(connection, [_event(row.id, row, now, "closed", by, None) for row in gone])
        except IntegrityError:
            raise LedgerError(
                f"{tenant}, {period}: another run brings the exceptions of this month up to date at the same moment,"
                " so this one did not. Run it again when the other one has ended."
            ) from None
        returned = sum(row.state == "closed" for row, _ in old)
        return Synchronised(len(new), returned, len(gone))

    def exceptions(
        self,
        tenant: str,
        now: datetime,
        period: str | None = None,
        states: Collection[ExceptionState] = ("open", "accepted"),
    ) -> list[LastingException]:
        """The tenant's exceptions in these states, of a period or of all, the oldest first."""
        query = (
            sa.select(*_COLUMNS)
            .where(exceptions.c.tenant == tenant, exceptions.c.state.in_(list(states)))
            .order_by(exceptions.c.opened_at, exceptions.c.id)
        )
        if period is not None:
            query = query.where(exceptions.c.period == period)
        with self._transaction() as connection:
            _lapse(connection, tenant, now)
            return list(_read(connection, query))

    def exception(self, tenant: str, number: int, now: datetime) -> LastingException:
        """One exception of the tenant. Raises `LedgerError` when it has none of this number."""
        with self._transaction() as connection:
            _lapse(connection, tenant, now)
            return _chosen(connection, tenant, [number])[0]

    def exception_history(self, tenant: str, number: int | None = None) -> list[ExceptionEvent]:
        """What happened to the tenant's exceptions, or to one of them, the oldest first."""
        query = (
            sa.select(*[exception_events.c[name] for name in ExceptionEvent.__dataclass_fields__])
            .join(exceptions, exceptions.c.id == exception_events.c.exception_id)
            .where(exceptions.c.tenant == tenant)
            .order_by(exception_events.c.id)
        )
        if number is not None:
            query = query.where(exceptions.c.id == number)
        with self._transaction() as connection:
            return [ExceptionEvent(**row) for row in connection.execute(query).mappings()]

    # What people do

    def assign_exceptions(
        self, tenant: str, numbers: Sequence[int], owner: str, by: str, now: datetime
    ) -> list[LastingException]:
        """Give exceptions an owner. Raises `LedgerError`, changing nothing, when one of them is closed or unknown."""
        owner = _said("who shall have it", owner)

        def act(connection: Connection, row: LastingException) -> None:
            _require_not_closed(row, "assigned")
            _set(connection, row.id, owner=owner)
            _tell(connection, [_event(row.id, row, now, "assigned", by, owner)])

        return self._act(tenant, numbers, by, now, act)

    def comment_exceptions(
        self, tenant: str, numbers: Sequence[int], comment: str, by: str, now: datetime
    ) -> list[LastingException]:
        """Say something about exceptions, closed ones included; the latest comment is shown beside them."""
        comment = _said("a comment", comment)

        def act(connection: Connection, row: LastingException) -> None:
            _set(connection, row.id, comment=comment)
            _tell(connection, [_event(row.id, row, now, "commented", by, comment)])

        return self._act(tenant, numbers, by, now, act)

    def accept_exceptions(
        self,
        tenant: str,
        numbers: Sequence[int],
        reason: str,
        until: date,
        lapses_at: datetime,
        by: str,
        now: datetime,
    ) -> list[LastingException]:
        """Accept exceptions as they are, with their present amounts, until the end of a day (`lapses_at`).

        Raises `LedgerError`, changing nothing, when that day is over, or one of them is closed or unknown.
        """
        reason = _said("a reason", reason)
        if lapses_at <= now:
            raise LedgerError(
                f"an exception cannot be accepted until {until.isoformat()}: that day is over. Name a day to come;"
                " after it the exception is open again."
            )

        def act(connection: Connection, row: LastingException) -> None:
            _require_not_closed(row, "accepted")
            _set(
                connection,
                row.id,
                state="accepted",
                accepted_by=by.strip(),
                accepted_because=reason,
                accepted_until=until,
                lapses_at=lapses_at,
            )
            _tell(
                connection, [_event(row.id, row, now, "accepted", by, f"until {until.isoformat()}: {reason}")]
            )

        return self._act(tenant, numbers, by, now, act)

    def reopen_exceptions(
        self, tenant: str, numbers: Sequence[int], reason: str, by: str, now: datetime
    ) -> list[LastingException]:
        """Take acceptances back. Raises `LedgerError`, changing nothing, when one of them is not accepted."""
        reason = _said("a reason", reason)

        def act(connection: Connection, row: LastingException) -> None:
            _require_not_closed(row, "opened again")
            if row.state == "open":
                raise LedgerError(f"exception {row.id} of {row.tenant} is open already.")
            _set(connection, row.id, state="open", **_NOT_ACCEPTED)
            _tell(connection, [_event(row.id, row, now, "reopened", by, reason)])

        return self._act(tenant, numbers, by, now, act)

    def _act(
        self,
        tenant: str,
        numbers: Sequence[int],
        by: str,
        now: datetime,
        act: Callable[[Connection, LastingException], None],
    ) -> list[LastingException]:
        """Do the same to several exceptions, all or none; gives them as they are afterwards."""
        _said("your name", by)
        chosen = sorted(set(numbers))
        if not chosen:
            raise LedgerError("no exception was named. Give their numbers: recon exceptions list shows them.")
        with self._transaction() as connection:
            _lapse(connection, tenant, now)
            for row in _chosen(connection, tenant, chosen):
                act(connection, row)
            return _chosen(connection, tenant, chosen)


def _said(what: str, text: str) -> str:
    """What a person gave, without outer spaces; refused when it is nothing."""
    if not text.strip():
        raise LedgerError(f"{what} is missing: the ledger keeps who did what, and why.")
    return text.strip()


def _require_not_closed(row: LastingException, what: str) -> None:
    if row.state == "closed":
        since = f"{row.closed_at:%Y-%m-%d}" if row.closed_at else "some time"
        raise LedgerError(
            f"exception {row.id} of {row.tenant} cannot be {what}: its cause is gone and it is closed since {since}."
            " It opens again by itself when the cause returns."
        )


def _read(connection: Connection, query: sa.Select[Any]) -> Iterator[LastingException]:
    return (LastingException(**row) for row in connection.execute(query).mappings())


def _chosen(connection: Connection, tenant: str, numbers: Sequence[int]) -> list[LastingException]:
    query = (
        sa.select(*_COLUMNS)
        .where(exceptions.c.tenant == tenant, exceptions.c.id.in_(numbers))
        .order_by(exceptions.c.id)
        .with_for_update()
    )
    found = list(_read(connection, query))
    unknown = sorted(set(numbers) - {row.id for row in found})
    if unknown:
        raise LedgerError(
            f"{tenant} has no exception {', '.join(map(str, unknown))}."
            f" List them: recon exceptions list {tenant}"
        )
    return found


def _lapse(connection: Connection, tenant: str, now: datetime) -> None:
    """Open again what was accepted until a day that is over."""
    query = (
        sa.select(*_COLUMNS, exceptions.c.lapses_at)
        .where(
            exceptions.c.tenant == tenant,
            exceptions.c.state == "accepted",
            exceptions.c.lapses_at <= now,
        )
        .order_by(exceptions.c.id)
        .with_for_update()
    )
    for found in connection.execute(query).mappings().all():
        row = LastingException(**{name: found[name] for name in LastingException.__dataclass_fields__})
        _set(connection, row.id, state="open", **_NOT_ACCEPTED)
        until = row.accepted_until.isoformat() if row.accepted_until else ""
        detail = f"accepted by {row.accepted_by} until {until}"
        _tell(connection, [_event(row.id, row, found["lapses_at"], "expired", CALENDAR, detail)])


def _insert(
    connection: Connection,
    tenant: str,
    period: str,
    new: Sequence[SeenException],
    now: datetime,
    by: str,
) -> None:
    if not new:
        return
    common = {
        "tenant": tenant,
        "period": period,
        "state": "open",
        "first_opened_at": now,
        "opened_at": now,
        "times_opened": 1,
        "last_seen_at": now,
    }
    connection.execute(exceptions.insert(), [vars(one) | common for one in new])
    for part in _parts([one.cause for one in new]):
        found = _read(connection, sa.select(*_COLUMNS).where(exceptions.c.cause.in_(part)))
        rows = sorted(found, key=lambda row: row.id)
        _tell(connection, [_event(row.id, row, now, "opened", by, row.reason) for row in rows])


def _meet_again(
    connection: Connection,
    pairs: Sequence[tuple[LastingException, SeenException]],
    now: datetime,
    by: str,
) -> None:
    """Bring exceptions to how they were seen now; those whose cause had gone open again."""
    rows, accepted_no_more, events = [], [], []
    for row, one in pairs:
        changed = any(getattr(one, name) != getattr(row, name) for name in _SEEN)
        amount_changed = (one.amount, one.currency) != (row.amount, row.currency)
        returned = row.state == "closed"
        if changed or returned:
            rows.append(
                {f"new_{name}": getattr(one, name) for name in _SEEN}
                | {
                    "key": row.id,
                    "new_opened_at": now if returned else row.opened_at,
                    "new_times_opened": row.times_opened + returned,
                }
            )
        if returned:
            accepted_no_more.append(row.id)
            events.append(_event(row.id, one, now, "reopened", by, one.reason))
        elif amount_changed and row.state == "accepted":
            accepted_no_more.append(row.id)
            detail = f"was {_amount(row)} when {row.accepted_by} accepted it"
            events.append(_event(row.id, one, now, "reopened", by, detail))
        elif amount_changed:
            events.append(_event(row.id, one, now, "changed", by, f"was {_amount(row)}"))
    if rows:
        connection.execute(_AS_SEEN, rows)
    _set_all(connection, accepted_no_more, state="open", closed_at=None, **_NOT_ACCEPTED)
    _set_all(connection, [row.id for row, _ in pairs], last_seen_at=now)
    _tell(connection, events)


_AS_SEEN: Final = (
    exceptions.update()
    .where(exceptions.c.id == sa.bindparam("key"))
    .values({name: sa.bindparam(f"new_{name}") for name in (*_SEEN, "opened_at", "times_opened")})
)


def _amount(row: SeenException) -> str:
    return f"{row.currency} {row.amount:f}" if row.currency else f"{row.amount:f}"


def _parts(values: Sequence[Any]) -> Iterator[Sequence[Any]]:
    return (values[start : start + _AT_ONCE] for start in range(0, len(values), _AT_ONCE))


def _set(connection: Connection, key: int, /, **values: Any) -> None:
    connection.execute(exceptions.update().where(exceptions.c.id == key).values(**values))


def _set_all(connection: Connection, keys: Sequence[int], /, **values: Any) -> None:
    for part in _parts(sorted(keys)):
        connection.execute(exceptions.update().where(exceptions.c.id.in_(part)).values(**values))


def _tell(connection: Connection, events: Sequence[dict[str, Any]]) -> None:
    if events:
        connection.execute(exception_events.insert(), events)


def _event(
    number: int, row: SeenException, at: datetime, kind: ExceptionEventKind, by: str, detail: str | None
) -> dict[str, Any]:
    """The row of an event; the amount is that of `row`."""
    return {
        "exception_id": number,
        "at": at,
        "kind": kind,
        "by": by.strip(),
        "detail": detail,
        "amount": row.amount,
        "currency": row.currency,
    }
