"""Applying a plan: settle what is in doubt, look at the targets once more, note the intents, send, note the answers.

Here: the write protocol. The bytes are the plan's. Not here: what to write (`plan.py`), which way it goes out
(`sending.py`), or whether NetSuite holds it afterwards (`verify.py`). Imports no Dagster.

Order of safety: an intent is durably in the ledger before its first byte goes out; an intent without a known
outcome is looked up before anything else happens; nothing is ever sent twice on a guess.
"""

from __future__ import annotations

import logging
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import pandas as pd

from netsuite_assets import frames
from netsuite_assets.extract.lookup import Found, closed_months, find_by_external_id, find_by_internal_id
from netsuite_assets.mapping.compiler import Mapping as TenantMapping
from netsuite_assets.tables import TABLES
from netsuite_assets.writeback.book import Book
from netsuite_assets.writeback.holds import PAUSED, WHEN_PAUSED
from netsuite_assets.writeback.operations import (
    BY_INTERNAL_ID,
    BY_ITS_ID,
    LINK,
    label_of,
    named_as,
    needs_of,
)
from netsuite_assets.writeback.plan import Planned, PlanRefused, load_plan
from netsuite_assets.writeback.returning import send_returns, settle_returns
from netsuite_assets.writeback.returns import RETURN
from netsuite_assets.writeback.sending import PLAN_AGAIN, Sending, Sent, target_of, unfinished
from resources.billing.returns import Returns
from resources.ledger import Event, Intent, Job, Ledger
from resources.ledger.intents import CLOSING
from resources.netsuite.client import NetSuite
from resources.netsuite.errors import NetSuiteError
from resources.netsuite.jobs import Jobs, Polling
from resources.tenants import Tenant
from resources.warehouse import TenantWarehouse, literal

Clock = Callable[[], datetime]
#: Told after each operation: how many are done, of how many.
Progress = Callable[[int, int], None]

_LOG = logging.getLogger(__name__)
#: How long a run waits for a job of an earlier one before it leaves what that carries alone.
_PATIENCE_WITH_EARLIER = 60.0
#: Operations that are looked at and sent at once: so many bodies, and no more, are in memory.
_AT_ONCE = 10_000
_CARRIED = (
    "period",
    "plan_id",
    "operation_key",
    "record",
    "action",
    "external_id",
    "internal_id",
    "number",
    "name",
    "amount",
    "currency",
)


@dataclass(frozen=True)
class Applied:
    """What became of a plan: one row an operation (frame `OUTCOMES`), and what was settled before."""

    plan_id: str
    outcomes: pd.DataFrame
    settled: int
    sent: Sent

    def count(self, *states: str) -> int:
        """How many operations ended in one of these states."""
        return int(self.outcomes["state"].isin(states).sum())


async def settle(
    netsuite: NetSuite,
    tenant: str,
    ledger: Ledger,
    clock: Clock,
    polling: Polling | None = None,
    returns: Returns | None = None,
) -> int:
    """Look up every write of the tenant whose outcome is not known; the number of writes settled.

    A record that is there is adopted, one that is not was not written. Either way the next reconciliation
    compares it anew, so that half of a write is found as a difference like any other. What a job carries that NetSuite
    is still at work on stays open: nothing else may happen to it yet.
    """
    at_work = set()
    for job in ledger.open_jobs(tenant):
        if await _is_at_work(netsuite, job, ledger, polling or Polling()):
            at_work |= set(job.intents)
        else:
            ledger.job_ended(job.key, clock())
    doubtful = [intent for intent in ledger.open_intents(tenant) if intent.id not in at_work]
    back = [intent for intent in doubtful if intent.action == RETURN]
    doubtful = [intent for intent in doubtful if intent.action != RETURN]
    told = settle_returns(returns, back)
    ledger.record(told, clock())
    known = sum(event.kind in CLOSING for event in told)
    if not doubtful:
        return known
    wanted = [(intent.record, intent.action == "delete", intent.target) for intent in doubtful]
    found = await _look_up(netsuite, wanted, confirm=True)
    events = []
    for intent in doubtful:
        there = found[intent.record].get(intent.target)
        gone = intent.action == "delete"
        if _happened(intent.action, intent.path, there):
            detail = "deleted" if gone else "found by its external id"
            internal_id = there.internal_id if there else None
            events.append(Event(intent.id, "adopted", internal_id=internal_id, detail=detail))
        else:
            detail = "still there" if gone else "not there: the write did not arrive"
            events.append(Event(intent.id, "not_found", detail=detail))
    ledger.record(events, clock())
    return known + len(doubtful)


async def _is_at_work(netsuite: NetSuite, job: Job, ledger: Ledger, polling: Polling) -> bool:
    """Whether NetSuite is still at work on a job: found by its address, or by its key where the run was ended before
    it had one.
    """
    jobs = Jobs(netsuite)
    found = None if job.address is not None else await jobs.find(job.key)
    address = job.address if found is None else found.address
    if address is None:
        return False  # it never arrived, and its key is used up
    if job.address is None:
        ledger.job_taken(job.key, address)
    patience = min(polling.patience, _PATIENCE_WITH_EARLIER)
    return not (await jobs.ended(address) or await jobs.wait(address, replace(polling, patience=patience)))


async def apply_plan(
    warehouse: TenantWarehouse,
    netsuite: NetSuite,
    tenant: Tenant,
    mapping: TenantMapping,
    period: str,
    ledger: Ledger,
    clock: Clock,
    progress: Progress,
    *,
    polling: Polling | None = None,
    returns: Returns | None = None,
) -> Applied:
    """Send the approved plan of a period and write its outcomes and exceptions.

    `polling` says how NetSuite's jobs are waited for, where the tenant's `writeback.send` makes any. `returns` takes
    what flows back to billing, where the tenant's file returns anything.

    Raises `PlanRefused`, before anything is sent, when the tenant's policy does not allow writing, the plan is
    not approved, was altered, or rests on what has changed.
    """
    if tenant.writeback.mode != "apply":
        raise PlanRefused(
            f"{tenant.name}: nothing was sent, because the tenant's file says writeback.mode:"
            f" {tenant.writeback.mode}. Set it to apply when the plan reads well."
        )
    if tenant.writeback.paused is True:
        raise PlanRefused(
            f"{tenant.name}: nothing was sent, because {PAUSED} (writeback.paused: true). Take that out when writing may"
            " go on."
        )
    settled = await settle(netsuite, tenant.name, ledger, clock, polling, returns)
    planned = load_plan(warehouse, tenant, mapping, period, ledger)
    kept = f"({planned.judged()})"
    if planned.approval is None and warehouse.value(
        f"SELECT count(*) FROM {kept} WHERE held IS NULL AND kept IS DISTINCT FROM {literal(PAUSED)}"
    ):
        raise _not_approved(tenant, period, planned)
    total = warehouse.value(f"SELECT count(*) FROM {kept} WHERE kept IS NULL")
    parts = []
    async with Book(ledger, clock) as book:
        run = _Run(netsuite, tenant, planned, ledger, book, progress, total, polling, returns)
        for rows in planned.sendable(_AT_ONCE):
            outcomes = await run.all(rows, _not_made(warehouse, kept, rows))
            parts.append(frames.rows_frame(frames.OUTCOMES, outcomes))
    table = pd.concat(parts, ignore_index=True) if parts else frames.rows_frame(frames.OUTCOMES, [])
    with warehouse.transaction():
        frames.replace(warehouse, frames.OUTCOMES, period, table)
        # What was held or not approved has its exception since the plan was made.
        warehouse.connection.execute(
            f"INSERT INTO {frames.OUTCOMES.name} BY NAME SELECT {', '.join(_CARRIED)}, 'held' AS state, kept AS detail,"
            f" CASE WHEN held IS NULL AND kept = {literal(PAUSED)} THEN {literal(WHEN_PAUSED)} END AS next_step"
            f" FROM {kept} WHERE kept IS NOT NULL"
        )
        outcomes_left = unsettled(warehouse, period)
        frames.replace_exceptions(warehouse, period, ("apply",), exceptions_of(period, outcomes_left))
    whole = frames.read(warehouse, frames.OUTCOMES, period)
    return Applied(planned.plan.plan_id, whole, settled, run.sent)


def unsettled(warehouse: TenantWarehouse, period: str) -> pd.DataFrame:
    """The outcomes of a period without those that a plan held, which are said already."""
    names = ", ".join(frames.columns(frames.OUTCOMES))
    table = warehouse.arrow(
        f"SELECT {names} FROM {frames.OUTCOMES.name} WHERE period = ? AND (state <> 'held' OR next_step IS NOT NULL)"
        " ORDER BY ALL",
        [period],
    )
    return frames.validated(frames.OUTCOMES, frames.frame(table.cast(frames.arrow_schema(frames.OUTCOMES))))


def _not_made(
    warehouse: TenantWarehouse, kept: str, rows: Sequence[Mapping[str, Any]]
) -> set[tuple[str, str]]:
    """What of that which these operations need is kept back itself: record types, and names as `needs_of` has them."""
    needed = sorted({target for row in rows for _, target in needs_of(row)})
    if not needed:
        return set()
    found = warehouse.sql(
        f"""SELECT record, target FROM (SELECT record, CASE action
            WHEN 'delete' THEN '{BY_INTERNAL_ID}' || internal_id ELSE external_id END AS target
            FROM {kept} WHERE kept IS NOT NULL AND action NOT IN ('update', '{RETURN}'))
        WHERE target IN (SELECT unnest(?::VARCHAR[]))""",
        [needed],
    )
    return set(found)


def _not_done(record: str, target: str) -> str:
    label = TABLES[record].label
    if target.startswith(BY_INTERNAL_ID):
        return f"the {label} with the internal id {target.removeprefix(BY_INTERNAL_ID)} was not removed"
    return f"its {label} {target} was not written"


def _base_of(row: Mapping[str, Any]) -> str:
    """The id by which the record is found that an operation is based on."""
    return str(row["internal_id"] if row["action"] in BY_ITS_ID else row["external_id"])


def _not_approved(tenant: Tenant, period: str, planned: Planned) -> PlanRefused:
    return PlanRefused(
        f"{tenant.name}, {period}: the plan of {planned.plan.operations:,} operations"
        f" ({planned.plan.amounts or 'no amounts'}) waits for a named person's approval:"
        f" {planned.plan.held_because or 'it was made while no writing was allowed'}. Nothing was sent."
        f" Read it and run: recon approve {tenant.name} {period} --by NAME --note WHY"
    )


async def _look_up(
    netsuite: NetSuite, wanted: Sequence[tuple[str, bool, str]], *, confirm: bool = False
) -> dict[str, dict[str, Found]]:
    """What NetSuite holds now of (record, whether by internal id, that id or external id)."""
    groups: dict[tuple[str, bool], list[str]] = defaultdict(list)
    for record, by_internal_id, target in wanted:
        groups[record, by_internal_id].append(target)
    found: dict[str, dict[str, Found]] = defaultdict(dict)
    for (record, by_internal_id), targets in groups.items():
        unique = sorted(set(targets))
        if by_internal_id:
            found[record].update(await find_by_internal_id(netsuite, record, unique))
        else:
            found[record].update(await find_by_external_id(netsuite, record, unique, confirm=confirm))
    return found


def _happened(action: str, path: str, there: Found | None) -> bool:
    """Whether what is found by an operation's target shows that it was carried out."""
    if action == "delete":
        return there is None
    # An external id that finds another record than the one that was to have it shows nothing.
    return there is not None and (action != LINK or path.endswith(f"/{there.internal_id}"))


class _Run:
    """One apply: its waves, its intents and its outcomes."""

    def __init__(
        self,
        netsuite: NetSuite,
        tenant: Tenant,
        planned: Planned,
        ledger: Ledger,
        book: Book,
        progress: Progress,
        total: int,
        polling: Polling | None,
        returns: Returns | None,
    ) -> None:
        self._netsuite = netsuite
        self._tenant = tenant
        self._planned = planned
        self._period = planned.plan.period
        self._ledger = ledger
        self._book = book
        self._progress = progress
        self._returns = returns
        self._sending = Sending(
            netsuite,
            book,
            tenant.name,
            self._period,
            planned.plan.plan_id,
            tenant.writeback.send,
            self._end,
            polling=polling,
        )
        self._outcomes: dict[str, dict[str, Any]] = {}
        self._not_done: set[tuple[str, str]] = set()
        self._done, self._total = 0, total

    @property
    def sent(self) -> Sent:
        """How much went which way."""
        return self._sending.sent

    async def all(
        self, rows: Sequence[dict[str, Any]], not_made: AbstractSet[tuple[str, str]]
    ) -> list[dict[str, Any]]:
        """The outcome of each of these operations, the next ones in the plan's order; later waves wait for earlier ones,
        and what needs something of `not_made`, or what was not done of those before, waits for another run.
        """
        self._outcomes = {}
        ready = await self._still_as_planned(rows)
        ready_keys = {row["operation_key"] for row in ready}
        not_done = self._not_done
        not_done |= not_made
        for wave in sorted({row["wave"] for row in rows}):
            of_wave = [row for row in rows if row["wave"] == wave]
            sendable = []
            for row in (row for row in of_wave if row["operation_key"] in ready_keys):
                needed = next((need for need in needs_of(row) if need in not_done), None)
                if needed is not None:
                    self._end(row, "waiting", _not_done(*needed), _FIRST)
                else:
                    sendable.append(row)
            back = [row for row in sendable if row["action"] == RETURN]
            sendable = [row for row in sendable if row["action"] != RETURN]
            if back:
                await self._tell_billing(back)
            if sendable:
                await self._look_again(sendable, await self._sending.wave(sendable))
            not_done |= {(row["record"], named_as(row)) for row in of_wave if self._is_missing(row)}
        return [self._outcomes[row["operation_key"]] for row in rows]

    def _is_missing(self, row: Mapping[str, Any]) -> bool:
        """Whether what others wait for has not happened: a creation, or a removal."""
        state = self._outcomes[row["operation_key"]]["state"]
        if row["action"] in ("update", RETURN) or state in ("written", "adopted"):
            return False
        return not (row["action"] == "create" and state == "stale")  # then NetSuite has it

    async def _still_as_planned(self, rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        """Those of the operations whose period is open and whose target is unchanged."""
        candidates = self._not_at_work(rows)
        # Whether billing still holds what it held is asked in the transaction that changes it.
        back = [row for row in candidates if row["action"] == RETURN]
        candidates = [row for row in candidates if row["action"] != RETURN]
        if not candidates:
            return back
        months = {self._period, *(row["posts_in"] for row in candidates if row["posts_in"] is not None)}
        closed = await closed_months(self._netsuite, min(months), max(months))
        wanted = [(row["record"], row["action"] in BY_ITS_ID, _base_of(row)) for row in candidates]
        found = await _look_up(self._netsuite, wanted)
        ready = []
        for row in candidates:
            now = found[row["record"]].get(_base_of(row))
            is_document = TABLES[row["record"]].lines is not None
            month = row["posts_in"] or self._period
            if is_document and month in closed:
                self._end(row, "held", f"the accounting period {month} is {closed[month]} now", _HELD)
            elif row["action"] == "create" and now is not None:
                self._end(row, "stale", f"NetSuite has it now, as internal id {now.internal_id}", PLAN_AGAIN)
            elif row["action"] != "create" and now is None:
                self._end(row, "stale", "NetSuite does not have it any more", PLAN_AGAIN)
            elif now is not None and now.last_modified != row["base_modified"]:
                self._end(row, "stale", f"it was changed in NetSuite at {now.last_modified}", PLAN_AGAIN)
            else:
                ready.append(row)
        return ready + back

    async def _tell_billing(self, rows: Sequence[dict[str, Any]]) -> None:
        if self._returns is None:
            for row in rows:
                self._end(row, "stale", "the tenant's file returns nothing to billing any more", PLAN_AGAIN)
            return
        plan = self._planned.plan
        await send_returns(rows, self._returns, self._book, plan.tenant, plan.period, plan.plan_id, self._end)

    def _not_at_work(self, rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        """These without the ones whose record a job of an earlier run may still write."""
        addresses = {
            intent: job.address for job in self._ledger.open_jobs(self._tenant.name) for intent in job.intents
        }
        open_targets = {
            (intent.record, intent.target): addresses.get(intent.id)
            for intent in self._ledger.open_intents(self._tenant.name)
        }
        free = []
        for row in rows:
            if (row["record"], target_of(row)) in open_targets:
                address = open_targets[row["record"], target_of(row)]
                detail = unfinished(address) if address else "an earlier write to it is not settled yet"
                self._end(row, "in_doubt", detail, LOOKED_UP_NEXT)
            else:
                free.append(row)
        return free

    async def _look_again(self, rows: Sequence[dict[str, Any]], intents: Mapping[str, Intent]) -> None:
        """Adopt at once the creations, links and removals in doubt that turn out to have happened.

        One that does not show stays in doubt, because it may still arrive; so does an update, whose effect only the
        reading back can tell.
        """
        doubtful = [
            (row, intents[row["operation_key"]])
            for row in rows
            if self._outcomes[row["operation_key"]]["state"] == "in_doubt" and row["action"] != "update"
        ]
        if not doubtful:
            return
        wanted = [(row["record"], row["action"] == "delete", target_of(row)) for row, _ in doubtful]
        try:
            found = await _look_up(self._netsuite, wanted, confirm=True)
        except NetSuiteError as error:
            _LOG.warning("What is in doubt could not be looked up now; the next run does: %s", error)
            return
        for row, intent in doubtful:
            there = found[row["record"]].get(target_of(row))
            if _happened(row["action"], row["path"], there):
                internal_id = there.internal_id if there else None
                detail = "the answer was lost; NetSuite shows that it happened"
                self._book.note(Event(intent.id, "adopted", internal_id=internal_id, detail=detail))
                self._end(row, "adopted", detail, None, internal_id)

    def _end(
        self,
        row: Mapping[str, Any],
        state: str,
        detail: str | None,
        next_step: str | None,
        internal_id: str | None = None,
    ) -> None:
        self._done += row["operation_key"] not in self._outcomes
        self._outcomes[row["operation_key"]] = {
            **{name: row[name] for name in _CARRIED},
            "internal_id": internal_id or row["internal_id"],
            "state": state,
            "detail": detail,
            "next_step": next_step,
            "verified": None,
        }
        self._progress(self._done, self._total)


_HELD = "Re-open the period in NetSuite (Setup > Accounting > Manage Accounting Periods), or leave it and book by hand."
_FIRST = "Mend that one's exception first; this follows in the next run."
LOOKED_UP_NEXT = "Nothing to do now: the next run looks it up in NetSuite before anything else is sent."


_CODES = {
    "rejected": "rejected",
    "in_doubt": "in_doubt",
    "stale": "changed_since_planned",
    "held": "period_closed",
    "waiting": "not_sent",
}


def exceptions_of(period: str, outcomes: pd.DataFrame) -> pd.DataFrame:
    """The exceptions that outcomes leave for a person: all that was not written, or not found again afterwards."""
    rows = []
    for row in frames.records(outcomes):
        if row["state"] == "held" and row["next_step"] is None:
            continue  # held since the plan was made: the plan's own exception says why
        if row["state"] in ("written", "adopted"):
            if row["verified"] is not False:
                continue
            code, next_step = "not_verified", row["next_step"] or PLAN_AGAIN
        else:
            code = "paused" if row["detail"] == PAUSED else _CODES[row["state"]]
            next_step = LOOKED_UP_NEXT if code == "in_doubt" else row["next_step"] or PLAN_AGAIN
        rows.append(
            {
                "period": period,
                "stage": "apply",
                "code": code,
                **{name: row[name] for name in ("record", "external_id", "internal_id", "number", "name")},
                "amount": row["amount"],
                "currency": row["currency"],
                "reason": f"The {row['action']} of {label_of(row)}: {row['detail'] or 'not found as written'}",
                "next_step": next_step,
            }
        )
    return frames.rows_frame(frames.EXCEPTIONS, rows)


def states(outcomes: pd.DataFrame) -> Counter[str]:
    """How many operations ended in each state."""
    return Counter(outcomes["state"].tolist())
