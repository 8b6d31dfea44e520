"""Ledgers on real databases: a SQLite file and a database of the session's PostgreSQL server."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from resources.ledger import Ledger, Plan


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """A file in a folder that does not exist yet."""
    return f"sqlite:///{tmp_path / 'ledger' / 'ledger.sqlite'}"


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, sqlite_url: str) -> str:
    if request.param == "postgres":
        return str(request.getfixturevalue("new_postgres_database")())
    return sqlite_url


@pytest.fixture
def ledger(url: str) -> Iterator[Ledger]:
    """A ledger that knows the plan `p1` of acme's October."""
    opened = Ledger(url)
    opened.record_plan(
        Plan("p1", "acme", "2026-10", datetime(2026, 11, 1, 6, tzinfo=UTC), "m", "i", 2, "USD 3.00", None)
    )
    yield opened
    opened.close()
