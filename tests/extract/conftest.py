"""One sandbox for the tests of what is extracted: two accounts in which several people are at work."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from trail_tools import Office, running_offices

from resources.warehouse import TenantWarehouse, Warehouse


@pytest.fixture(scope="session")
def offices(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Office]]:
    with running_offices(tmp_path_factory.mktemp("offices")) as running:
        yield running


@pytest.fixture
def oneworld(offices: dict[str, Office]) -> Iterator[Office]:
    """The account of two subsidiaries; put back at the end."""
    yield offices["oneworld"]
    offices["oneworld"].reset()


@pytest.fixture
def single(offices: dict[str, Office]) -> Iterator[Office]:
    """The account of one company."""
    yield offices["single"]
    offices["single"].reset()


@pytest.fixture(params=["oneworld", "single"])
def office(request: pytest.FixtureRequest, offices: dict[str, Office]) -> Iterator[Office]:
    """Each of both accounts."""
    found: Office = offices[request.param]
    yield found
    found.reset()


@pytest.fixture
def held(warehouse: Warehouse) -> Iterator[TenantWarehouse]:
    """An empty working file."""
    with warehouse.open("acme") as opened:
        yield opened
