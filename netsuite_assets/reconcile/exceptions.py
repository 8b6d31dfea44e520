"""Exceptions that last: from what the latest runs saw to one exception a cause in the ledger, with its age.

Here: what is the same cause, bringing the ledger up to date, and the rows that people read. Not here: what is an
exception (each stage says so in `reconciliation.exceptions`), or its life (`resources/ledger/exceptions.py`).
Imports no Dagster.

The same cause is the same reason code about the same record of a tenant's month, whatever the amount, the words or the
run. Another code is another cause: a record that could not be mapped and is then refused by NetSuite has had two. The
plan and the write-back tell of one and the same operation, so that a closed period is one cause in both; the mapping's
codes are its own, because what it cannot resolve is another value than what the plan waits for.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

import pandas as pd

from netsuite_assets import frames
from resources.ledger import LastingException, Ledger, SeenException, Synchronised
from resources.warehouse import TenantWarehouse

#: Stages that tell of the same thing.
_FAMILY: Final = {"plan": "write_back", "apply": "write_back"}

#: By what a record is known, the surest first.
IDENTITY: Final = ("external_id", "internal_id", "number", "name")

_TOLD: Final = 3


def identity(row: Mapping[str, Any]) -> tuple[str, str]:
    """What tells a record from others of its type: its external id, else its internal id, its number or its name."""
    return next(((name, str(row[name])) for name in IDENTITY if row[name] is not None), ("", ""))


def cause_of(tenant: str, period: str, row: Mapping[str, Any]) -> str:
    """The identity of an exception's cause, a SHA-256."""
    family = _FAMILY.get(row["stage"], row["stage"])
    parts = [tenant, period, family, row["code"], row["record"], *identity(row)]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def synchronise(
    warehouse: TenantWarehouse,
    ledger: Ledger,
    period: str,
    stages: Collection[str],
    now: datetime,
    run_id: str,
    *,
    also: Collection[str] = (),
    more: Iterable[Mapping[str, Any]] = (),
    stays: Callable[[LastingException], bool] = lambda row: False,
) -> Synchronised:
    """Bring the period's exceptions in the ledger to what these stages, which have just run, saw.

    To be called when the stages have written `reconciliation.exceptions`. An exception that they raised before and
    do not see any more is closed, but for what `stays`; so are those of the stages `also`, which did not run but whose
    causes these can tell to be gone. `more` are exceptions, as rows of the frame `EXCEPTIONS`, that no stage wrote.
    """
    tenant = warehouse.tenant
    merged: dict[str, Mapping[str, Any]] = {}
    rows = frames.records(frames.read(warehouse, frames.EXCEPTIONS, period))
    for row in (*(row for row in rows if row["stage"] in stages), *more):
        cause = cause_of(tenant, period, row)
        merged[cause] = _merged(merged[cause], row) if cause in merged else row
    seen = [
        SeenException(cause, **{name: row[name] for name in _SEEN if name != "cause"})
        for cause, row in merged.items()
    ]
    by = f"run {run_id[:8]}"
    return ledger.synchronise_exceptions(tenant, period, {*stages, *also}, seen, now, by, stays)


_SEEN: Final = tuple(SeenException.__dataclass_fields__)


def _merged(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """Two sightings of one cause in one run: together they are about both amounts."""
    same = one["currency"] == other["currency"]
    reasons = dict.fromkeys([*one["reason"].split("\n"), other["reason"]])
    return {
        **one,
        "amount": one["amount"] + other["amount"] if same else max(one["amount"], other["amount"]),
        "reason": "\n".join(list(reasons)[:_TOLD]),
    }


# What people read


def bucket(age: int) -> str:
    """The range of days in which an age lies: `8-30`."""
    return next(name for name, last in frames.AGE_BUCKETS.items() if last is None or age <= last)


def lasting(exceptions: Iterable[LastingException], now: datetime) -> pd.DataFrame:
    """Exceptions that are not closed, as rows of the frame `LASTING_EXCEPTIONS`."""
    names = set(frames.columns(frames.LASTING_EXCEPTIONS)) - {"exception", "age", "bucket"}
    rows = [
        {
            **{name: getattr(one, name) for name in names},
            "exception": one.id,
            "age": one.age(now),
            "bucket": bucket(one.age(now)),
        }
        for one in exceptions
    ]
    return frames.rows_frame(frames.LASTING_EXCEPTIONS, rows)


def history(ledger: Ledger, tenant: str, now: datetime) -> pd.DataFrame:
    """What happened to all exceptions of the tenant, as rows of the frame `EXCEPTION_HISTORY`."""
    every = {one.id: one for one in ledger.exceptions(tenant, now, states=("open", "accepted", "closed"))}
    of_exception = ("period", "code", "record", "external_id", "internal_id", "number", "name")
    of_event = ("detail", "amount", "currency")
    rows = [
        {
            "exception": event.exception_id,
            "happened_at": event.at,
            "event": event.kind,
            "done_by": event.by,
            **{name: getattr(every[event.exception_id], name) for name in of_exception},
            **{name: getattr(event, name) for name in of_event},
        }
        for event in ledger.exception_history(tenant)
    ]
    return frames.rows_frame(frames.EXCEPTION_HISTORY, rows)


def amounts(exceptions: Iterable[LastingException]) -> dict[str, Decimal]:
    """What documents' exceptions concern, by currency. A customer has no amount of its own."""
    summed: dict[str, Decimal] = {}
    for one in exceptions:
        if one.record != "customer" and one.currency is not None:
            summed[one.currency] = summed.get(one.currency, Decimal(0)) + one.amount
    return summed
