"""Accounting periods: which one a date falls in, and whether a document may be posted to it."""

from __future__ import annotations

from sandbox.auth.roles import allows
from sandbox.errors import Refusal, user_error
from sandbox.profile import Role
from sandbox.record.context import Context
from sandbox.store.database import Doc

_OUTSIDE = "The transaction date you specified is not within the date range of your accounting period."
OVERRIDE = "Override Period Restrictions"


def for_date(context: Context, day: str) -> str:
    """The id of the base period that holds an ISO date; raises NetSuite's refusal when there is none."""
    row = context.database.connection.execute(
        "SELECT id FROM q_accountingperiod WHERE startdate <= ?1 AND enddate >= ?1 LIMIT 1",
        (f"{day} 00:00:00",),
    ).fetchone()
    if row is None:
        raise user_error(_OUTSIDE)
    return str(row[0])


def check_date(context: Context, period: str, day: str) -> None:
    """Refuse a date outside its period, when the account's preference disallows it."""
    if context.profile.switches.date_outside_period == "allow":
        return
    doc = _period(context, period)
    if not doc["startDate"] <= day <= doc["endDate"]:
        raise user_error(_OUTSIDE)


def check_open(
    context: Context, period: str, role: Role, *, gl_impact: bool = True, receivables: bool = True
) -> None:
    """Refuse a posting to a closed period, or to a locked one without the override permission.

    A lock of receivables alone stops only what touches them.
    """
    doc = _period(context, period)
    if not (doc["closed"] or doc["allLocked"] or (receivables and doc["arLocked"])):
        return
    if not gl_impact and doc["allowNonGLChanges"]:
        return
    if not doc["closed"] and allows(role, OVERRIDE, "view"):
        return
    raise _closed(context)


def change(context: Context, month: str, flags: dict[str, bool]) -> Doc | None:
    """Set flags such as `closed` of the period that begins in a month (`YYYY-MM`), as a person does in the UI.

    Returns the period, or None when the account has no such month.
    """
    row = context.database.connection.execute(
        "SELECT id FROM q_accountingperiod WHERE startdate = ?", (f"{month}-01 00:00:00",)
    ).fetchone()
    if row is None:
        return None
    with context.database.transaction():
        doc = _period(context, str(row[0]))
        doc.update(flags)
        context.database.put("accountingPeriod", row[0], "accountingPeriod", doc)
        for name, value in flags.items():
            context.database.connection.execute(
                f'UPDATE q_accountingperiod SET "{name.lower()}" = ? WHERE id = ?',
                ("T" if value else "F", row[0]),
            )
    return doc


def _period(context: Context, period: str) -> Doc:
    found = context.database.get("accountingPeriod", int(period))
    if found is None:
        raise user_error(_OUTSIDE)
    return found[1]


def _closed(context: Context) -> Refusal:
    return user_error(context.profile.switches.closed_period_text)
