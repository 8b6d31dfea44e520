"""Publishing a month from its working file into the file that analysts open."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pytest
from month import Month

from netsuite_assets.publish.mart import Published, publish
from netsuite_assets.reconcile.exceptions import synchronise
from resources.ledger import Ledger
from resources.warehouse import Warehouse

NOW = datetime(2026, 11, 1, 6, tzinfo=UTC)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    opened = Ledger(f"sqlite:///{tmp_path / 'ledger.sqlite'}")
    yield opened
    opened.close()


@pytest.fixture
def published(warehouse: Warehouse, ledger: Ledger) -> Callable[[Month], Published]:
    """Publishes a month as it is now, its exceptions brought up to date as the stages do."""

    def now(month: Month) -> Published:
        stages = ["mapping", "reconcile", "plan"]
        synchronise(month.held, ledger, month.period, stages, NOW, "0123456789")
        return publish(warehouse, month.held, ledger, NOW)

    return now


@pytest.fixture
def ask(warehouse: Warehouse) -> Callable[[str], list[tuple[object, ...]]]:
    """Asks the published file as an analyst does: opened anew, read-only."""

    def answer(query: str) -> list[tuple[object, ...]]:
        with duckdb.connect(str(warehouse.published_path), read_only=True) as connection:
            return connection.execute(query).fetchall()

    return answer
