"""Opening a ledger brings it up to the code, whatever its age, and never loses what it holds."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from resources.ledger import Ledger, LedgerError, Plan, engine
from resources.ledger.migrations import VERSION_TABLE, known_versions, migrate, version
from resources.ledger.schema import metadata

NOW = datetime(2026, 11, 1, 6, tzinfo=UTC)
PLAN = Plan("p1", "acme", "2026-10", NOW, "m", "i", 2, "USD 3.00", None)


@pytest.fixture
def database(url: str) -> Iterator[sa.Engine]:
    made = engine(url)
    yield made
    made.dispose()


def _ours(_: object, name: str | None, kind: str, *__: object) -> bool:
    return kind != "table" or name in metadata.tables


def test_the_migrations_make_the_tables_that_the_code_knows(url: str, database: sa.Engine) -> None:
    Ledger(url).close()
    with database.connect() as connection:
        context = MigrationContext.configure(
            connection, opts={"include_object": _ours, "compare_type": True, "version_table": VERSION_TABLE}
        )
        assert compare_metadata(context, metadata) == []
        assert set(metadata.tables) <= set(sa.inspect(connection).get_table_names())


def test_the_steps_follow_each_other_without_a_gap() -> None:
    assert known_versions() == [f"{number:04}" for number in range(1, len(known_versions()) + 1)]


def test_a_new_ledger_is_at_the_latest_version(url: str, database: sa.Engine) -> None:
    Ledger(url).close()
    with database.connect() as connection:
        assert version(connection) == known_versions()[-1]


@pytest.mark.parametrize("at", known_versions())
def test_a_ledger_of_any_version_is_brought_up_with_what_it_holds(
    url: str, database: sa.Engine, at: str
) -> None:
    with database.begin() as connection:
        migrate(connection, at)
        connection.execute(
            sa.text(
                "INSERT INTO plans (plan_id, tenant, period, made_at, mapping_hash, inputs_hash, operations, amounts)"
                " VALUES ('p1', 'acme', '2026-10', '2026-11-01 06:00:00.000000', 'm', 'i', 2, 'USD 3.00')"
            )
        )
    ledger = Ledger(url)
    assert ledger.plan("p1") == PLAN
    ledger.close()
    with database.connect() as connection:
        assert version(connection) == known_versions()[-1]


@pytest.mark.parametrize(
    "lacking",
    [[], ["mapping_uses"], ["exception_events", "exceptions", "sign_off_events", "signed_documents"]],
)
def test_a_ledger_from_before_versions_is_brought_up_and_gets_what_it_lacks(
    url: str, database: sa.Engine, lacking: list[str]
) -> None:
    with database.begin() as connection:
        migrate(connection, "0001")
        for name in [VERSION_TABLE, *lacking]:
            connection.execute(sa.text(f"DROP TABLE {name}"))
            if connection.dialect.name == "postgresql":
                connection.execute(sa.text(f"DROP FUNCTION IF EXISTS {name}_kept"))
    ledger = Ledger(url)
    ledger.record_plan(PLAN)
    ledger.record_mapping("acme", "m", {}, NOW)
    ledger.close()
    with database.begin() as connection:
        assert version(connection) == known_versions()[-1]
    with pytest.raises(sa.exc.IntegrityError, match="only ever added to"), database.begin() as connection:
        connection.execute(sa.text("DELETE FROM mapping_uses"))


def test_a_newer_ledger_is_refused_and_left_as_it_is(url: str, database: sa.Engine) -> None:
    Ledger(url).close()
    with database.begin() as connection:
        connection.execute(sa.text(f"UPDATE {VERSION_TABLE} SET version_num = '9999'"))
    with pytest.raises(
        LedgerError, match=r"is at version 9999, and this installation knows versions up to 0.*Install that"
    ):
        Ledger(url)
    with database.connect() as connection:
        assert version(connection) == "9999"


def test_a_step_that_fails_leaves_the_ledger_at_the_version_it_had(url: str, database: sa.Engine) -> None:
    with database.connect() as connection, connection.begin() as begun:
        migrate(connection)
        begun.rollback()
    with database.connect() as connection:
        assert version(connection) is None
        assert not set(metadata.tables) & set(sa.inspect(connection).get_table_names())
    Ledger(url).close()


def test_processes_that_open_an_old_ledger_at_once_bring_it_up_once(url: str, database: sa.Engine) -> None:
    with database.begin() as connection:
        migrate(connection, "0001")
        connection.execute(sa.text(f"DROP TABLE {VERSION_TABLE}"))
    program = f"from resources.ledger import Ledger; print(Ledger({url!r}).plan_ids('acme', '2026-10'))"
    started = [
        subprocess.Popen(
            [sys.executable, "-c", program],
            cwd=Path(__file__).parents[2],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    for process in started:
        said, complained = process.communicate(timeout=120)
        assert (process.returncode, said.strip()) == (0, "[]"), complained
