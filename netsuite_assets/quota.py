"""What a piece of work took of an account's request quota, kept in the warehouse: one row an asset and run.

Here: the table `meta.quota` and the block that fills it. Not here: counting (`resources/netsuite/figures.py`),
sharing the quota out (`resources/quota.py`), or showing it. Imports no Dagster.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from resources.netsuite.figures import Figures
from resources.netsuite.governor import Governor
from resources.warehouse import TenantWarehouse, quote

TABLE: Final = "meta.quota"

#: Times are in seconds; they are measured, not money, and so are no decimals.
QUOTA: Final[Mapping[str, str]] = {
    "tenant": "VARCHAR",
    "period": "VARCHAR",
    "run_id": "VARCHAR",
    "asset": "VARCHAR",
    "at": "TIMESTAMPTZ",
    "requests": "BIGINT",
    "rejections": "BIGINT",
    "retries": "BIGINT",
    "waits": "BIGINT",
    "waited_seconds": "DOUBLE",
    "backoff_seconds": "DOUBLE",
    "latency_seconds": "DOUBLE",
    "longest_seconds": "DOUBLE",
    "peak": "BIGINT",
    "allowed": "BIGINT",
}


@dataclass(frozen=True)
class Work:
    """Whose requests: a tenant's month, a run and the asset that it materializes."""

    tenant: str
    period: str
    run_id: str
    asset: str


@contextmanager
def quota_recorded(
    held: TenantWarehouse, governor: Governor, work: Work, clock: Callable[[], datetime]
) -> Iterator[Callable[[], Figures]]:
    """Record what is asked of NetSuite within the block, also when it fails. Gives a look at the figures so far."""
    ensure_quota(held)
    with governor.metered() as meter:
        try:
            yield lambda: governor.read(meter)
        finally:
            record_quota(held, work, governor.read(meter), clock())


def ensure_quota(held: TenantWarehouse) -> None:
    """Make the table where there is none."""
    held.ensure_table(TABLE, QUOTA)


def record_quota(held: TenantWarehouse, work: Work, figures: Figures, at: datetime) -> None:
    """Add one row."""
    values = {"at": at} | {name: getattr(work, name) for name in ("tenant", "period", "run_id", "asset")}
    values |= {name: getattr(figures, name) for name in QUOTA if name not in values}
    held.connection.execute(
        f"INSERT INTO {TABLE} ({', '.join(map(quote, QUOTA))}) VALUES ({', '.join('?' for _ in QUOTA)})",
        [values[name] for name in QUOTA],
    )


@dataclass(frozen=True)
class Use:
    """What one run, or one asset of it, took of the quota. `mean_seconds` is how long an answer took."""

    at: datetime
    run_id: str
    asset: str
    requests: int
    rejections: int
    waited_seconds: float
    backoff_seconds: float
    peak: int
    mean_seconds: float


def use_of_runs(held: TenantWarehouse, period: str, runs: int = 10) -> list[Use]:
    """The last runs of a month, the latest first."""
    ensure_quota(held)
    rows = held.sql(
        f"""SELECT max("at") AS last, run_id, '' AS asset, sum(requests)::BIGINT, sum(rejections)::BIGINT,
            sum(waited_seconds), sum(backoff_seconds), max(peak),
            sum(latency_seconds) / greatest(sum(requests), 1)
        FROM {TABLE} WHERE period = ? GROUP BY run_id ORDER BY last DESC, run_id LIMIT ?""",
        [period, runs],
    )
    return [Use(*row) for row in rows]


def use_of_assets(held: TenantWarehouse, period: str, run_id: str) -> list[Use]:
    """One run by asset, in the order of the work."""
    ensure_quota(held)
    rows = held.sql(
        f"""SELECT "at", run_id, asset, requests, rejections, waited_seconds, backoff_seconds, peak,
            latency_seconds / greatest(requests, 1)
        FROM {TABLE} WHERE period = ? AND run_id = ? ORDER BY "at", asset""",
        [period, run_id],
    )
    return [Use(*row) for row in rows]
