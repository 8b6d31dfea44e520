"""The nightly and the month-end schedules, and the one that watches signed months: one run for each tenant and month.

Here: which tenants and months are due at an instant, as plain functions, and the schedules over them. Not here:
what the jobs do. All schedules are off until someone turns them on.

A run key is the run's business identity and the day, so that a tick which is repeated starts nothing twice.
"""

# No `from __future__ import annotations`: Dagster reads the annotation of a schedule's `context`.

from collections.abc import Collection, Sequence
from datetime import date, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

import dagster as dg
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

from netsuite_assets.partitions import first_month, partition_key, tenants, timezone

Job = dg.JobDefinition | UnresolvedAssetJobDefinition

NIGHTLY: Final = "0 2 * * *"
MONTH_END: Final = "0 4 1-5 * *"
SIGNED_MONTHS: Final = "0 3 * * *"

#: Until this day of a month the nightly run looks at the month before, too: late invoices and corrections.
LATE_UNTIL_DAY: Final = 10


def nightly_periods(day: date) -> list[str]:
    """The months that a night looks at, 'YYYY-MM': the running one, and until the 10th the one before."""
    running = day.strftime("%Y-%m")
    return [previous_period(day), running] if day.day <= LATE_UNTIL_DAY else [running]


def previous_period(day: date) -> str:
    """The month before the one of `day`, 'YYYY-MM'."""
    return (day.replace(day=1) - timedelta(days=1)).strftime("%Y-%m")


def requests_for(
    job: str, names: Collection[str], periods: Sequence[str], day: date, *, first: str = "0000-00"
) -> list[dg.RunRequest]:
    """A run of `job` for every tenant and month, tenants in order; months before `first` have no partition."""
    due = [period for period in periods if period >= first]
    return [
        dg.RunRequest(
            run_key=f"{job}:{name}:{period}:{day.isoformat()}", partition_key=partition_key(name, period)
        )
        for name in sorted(names)
        for period in due
    ]


def watched(
    job: str,
    signed: Collection[tuple[str, str]],
    names: Collection[str],
    day: date,
    *,
    first: str = "0000-00",
) -> list[dg.RunRequest]:
    """A run of `job` for every signed month (tenant and period) of the tenants `names`, in order."""
    return [
        request
        for name, period in sorted(signed)
        if name in names
        for request in requests_for(job, [name], [period], day, first=first)
    ]


def build_schedules(reconcile: Job, write_back: Job, watch_sign_offs: Job) -> list[dg.ScheduleDefinition]:
    """The schedules over the jobs. They need the resource `tenants`, whose `get().names()` names the tenants, and the
    resource `ledger`, whose `open()` knows the signed months.
    """
    zone = timezone()
    first = first_month()

    @dg.schedule(
        name="nightly",
        job=reconcile,
        cron_schedule=NIGHTLY,
        execution_timezone=zone,
        default_status=dg.DefaultScheduleStatus.STOPPED,
        required_resource_keys={"tenants"},
        description=(
            "Every night at 02:00: compares billing with NetSuite for each tenant's running month, and until the"
            f" {LATE_UNTIL_DAY}th for the month before. Writes nothing to NetSuite."
        ),
    )
    def nightly(context: dg.ScheduleEvaluationContext) -> list[dg.RunRequest] | dg.SkipReason:
        day = _day(context, zone)
        return _answer(
            requests_for(reconcile.name, _known_tenants(context), nightly_periods(day), day, first=first)
        )

    @dg.schedule(
        name="month_end",
        job=write_back,
        cron_schedule=MONTH_END,
        execution_timezone=zone,
        default_status=dg.DefaultScheduleStatus.STOPPED,
        required_resource_keys={"tenants"},
        description=(
            "At 04:00 on the first five days of a month: repairs the month before for each tenant, as far as the"
            " tenant's policy and the approvals given allow."
        ),
    )
    def month_end(context: dg.ScheduleEvaluationContext) -> list[dg.RunRequest] | dg.SkipReason:
        day = _day(context, zone)
        return _answer(
            requests_for(write_back.name, _known_tenants(context), [previous_period(day)], day, first=first)
        )

    @dg.schedule(
        name="signed_months",
        job=watch_sign_offs,
        cron_schedule=SIGNED_MONTHS,
        execution_timezone=zone,
        default_status=dg.DefaultScheduleStatus.STOPPED,
        required_resource_keys={"tenants", "ledger"},
        description=(
            "Every night at 03:00: reads each month that is signed off from NetSuite again, and opens it again when it"
            " no longer ties with what was signed."
        ),
    )
    def signed_months(context: dg.ScheduleEvaluationContext) -> list[dg.RunRequest] | dg.SkipReason:
        with context.resources.ledger.open() as book:
            signed = book.signed_months()
        day = _day(context, zone)
        return watched(
            watch_sign_offs.name, signed, _known_tenants(context), day, first=first
        ) or dg.SkipReason("No month is signed off.")

    return [nightly, month_end, signed_months]


def _day(context: dg.ScheduleEvaluationContext, zone: str) -> date:
    """The day of the tick where the schedule runs."""
    instant: datetime = context.scheduled_execution_time
    return instant.astimezone(ZoneInfo(zone)).date()


def _known_tenants(context: dg.ScheduleEvaluationContext) -> list[str]:
    """The registry's tenants that have a partition already. One without would fail the tick for all the others."""
    names: list[str] = context.resources.tenants.get().names()
    partitions = set(context.instance.get_dynamic_partitions(str(tenants.name)))
    new = [name for name in names if name not in partitions]
    if new:
        context.log.warning(
            f"Left out, because they have no partition yet: {', '.join(new)}. The sensor tenant_partitions adds"
            " them; turn it on if it is off."
        )
    return [name for name in names if name in partitions]


def _answer(requests: list[dg.RunRequest]) -> list[dg.RunRequest] | dg.SkipReason:
    return requests or dg.SkipReason("There is no tenant with a month that is due.")
