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


def use_of_runs(held: TenantWarehouse, period: str, runs: int = 10) -> list[tuple[object, ...]]:
    """The last runs of a month: when, run, requests, rejected, part of rejected, seconds waited and backed off, peak."""
    ensure_quota(held)
    return held.sql(
        f"""SELECT max("at") AS last, run_id, sum(requests)::BIGINT, sum(rejections)::BIGINT,
            sum(rejections) / greatest(sum(requests), 1), sum(waited_seconds), sum(backoff_seconds), max(peak),
            min(allowed), sum(latency_seconds) / greatest(sum(requests), 1), max(longest_seconds)
        FROM {TABLE} WHERE period = ? GROUP BY run_id ORDER BY last DESC LIMIT ?""",
        [period, runs],
    )


def use_of_assets(held: TenantWarehouse, period: str, run_id: str) -> list[tuple[object, ...]]:
    """One run by asset, in the order of the work: asset, requests, rejected, seconds waited, mean answer, peak."""
    ensure_quota(held)
    return held.sql(
        f"""SELECT asset, requests, rejections, waited_seconds, latency_seconds / greatest(requests, 1), peak
        FROM {TABLE} WHERE period = ? AND run_id = ? ORDER BY "at", asset""",
        [period, run_id],
    )
