"""Databases to read from: SQLite files, and the session's PostgreSQL server."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture
def new_database(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[str], str]:
    """Makes an empty database of the named kind and gives its URL."""

    def new(kind: str) -> str:
        if kind == "postgres":
            return str(request.getfixturevalue("new_postgres_database")())
        return f"sqlite:///{tmp_path / 'billing.sqlite'}"

    return new


@pytest.fixture(params=["sqlite", "postgres"])
def any_database(request: pytest.FixtureRequest, new_database: Callable[[str], str]) -> str:
    return new_database(request.param)
