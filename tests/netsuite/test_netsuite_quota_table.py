"""What each asset of a run took of the account's quota: kept, also when it failed, and published."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pytest

from netsuite_assets.publish.mart import publish
from netsuite_assets.quota import QUOTA, Work, quota_recorded, use_of_assets, use_of_runs
from resources.ledger import Ledger
from resources.netsuite.errors import Failure, RateLimited, Unavailable
from resources.netsuite.governor import Backoff, Governor
from resources.warehouse import Warehouse

NOW = datetime(2026, 11, 1, 6, tzinfo=UTC)


def ask(governor: Governor, *answers: Exception | None) -> None:
    """One request, answered so until one is no error."""
    script = list(answers)

    async def request() -> None:
        answer = script.pop(0)
        if answer is not None:
            raise answer

    asyncio.run(governor.run(request))


def governor() -> Governor:
    return Governor(4, 1, backoff=Backoff(base=0.001, attempts=2), draw=lambda: 1.0)


def test_each_asset_of_each_run_has_its_row_and_analysts_see_it(warehouse: Warehouse, tmp_path: Path) -> None:
    shared = governor()
    ask(shared, None)
    with warehouse.open("acme") as held:
        for hours, run, asset in ((0, "r1", "a"), (1, "r2", "a"), (2, "r2", "b")):
            work = Work("acme", "2026-10", run, asset)
            with quota_recorded(held, shared, work, lambda at=NOW + timedelta(hours=hours): at) as figures:
                ask(shared, RateLimited(Failure("x", status=429)), None)
                ask(shared, None)
                assert figures().requests == 3
        runs = use_of_runs(held, "2026-10")
        assert [(use.run_id, use.requests, use.rejections, use.peak) for use in runs] == [
            ("r2", 6, 2, 1),
            ("r1", 3, 1, 1),
        ]
        assert [use.asset for use in use_of_assets(held, "2026-10", "r2")] == ["a", "b"]
        assert use_of_runs(held, "2026-09") == []
        ledger = Ledger(f"sqlite:///{tmp_path}/ledger.sqlite")
        assert publish(warehouse, held, ledger, NOW).rows["quota"] == 3
        ledger.close()
    with duckdb.connect(str(warehouse.published_path), read_only=True) as mart:
        assert [row[0] for row in mart.execute("DESCRIBE quota").fetchall()] == list(QUOTA)
        assert mart.execute(
            "SELECT tenant, period, sum(requests), sum(rejections), sum(retries), min(allowed) >= 1,"
            " sum(backoff_seconds) > 0 FROM quota GROUP BY ALL"
        ).fetchall() == [("acme", "2026-10", 9, 3, 3, True, True)]


def test_a_piece_of_work_that_failed_is_counted_too(warehouse: Warehouse) -> None:
    shared, away = governor(), Unavailable(Failure("x", status=503))
    with warehouse.open("acme") as held:
        with (
            pytest.raises(Unavailable),
            quota_recorded(held, shared, Work("acme", "2026-10", "r", "a"), lambda: NOW),
        ):
            ask(shared, away, away)
        assert held.sql("SELECT run_id, asset, requests, retries FROM meta.quota") == [("r", "a", 2, 1)]
