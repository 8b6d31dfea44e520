"""The ledger's migrations: what makes its tables and brings an older ledger up to the code.

Here: one file a step, `versions/000N_name.py`, and when they run. Not here: the tables as the code knows them
(`../schema.py`); `tests/ledger/test_ledger_migrations.py` proves that both agree.

To change a table: change `schema.py`, add the next file to `versions/` (its `revision` is its number, its
`down_revision` the number before) and commit both. A step that was released is never edited. There is no way back:
restore the backup.
"""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection

FOLDER: Final = Path(__file__).parent

#: Not alembic's usual name: the ledger may share a database with Dagster's own tables.
VERSION_TABLE: Final = "ledger_version"

#: alembic keeps what it is working on in a module, so threads that open different ledgers take turns.
_ONE_AT_A_TIME: Final = threading.Lock()


class NewerLedger(Exception):
    """The ledger is at a version that this code does not know."""


def known_versions() -> list[str]:
    """The versions that this code knows, the first one first."""
    return sorted(path.name[:4] for path in (FOLDER / "versions").glob("[0-9]*_*.py"))


def version(connection: Connection) -> str | None:
    """The version that a ledger is at; None for one that is empty or older than versions are."""
    if not sa.inspect(connection).has_table(VERSION_TABLE):
        return None
    return connection.execute(sa.text(f"SELECT version_num FROM {VERSION_TABLE}")).scalar()


def migrate(connection: Connection, to: str = "head") -> None:
    """Bring the ledger to a version, in the caller's transaction, which no other process may share.

    Raises `NewerLedger`, and changes nothing, when the ledger is newer than the code.
    """
    known = known_versions()
    at = version(connection)
    if at is not None and at not in known:
        raise NewerLedger(
            f"it is at version {at}, and this installation knows versions up to {known[-1]}: a newer one has opened it"
        )
    if at == (known[-1] if to == "head" else to):
        return
    # Only when there is something to do: most openings find the ledger as it should be.
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(FOLDER).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    with _ONE_AT_A_TIME:
        command.upgrade(config, to)
