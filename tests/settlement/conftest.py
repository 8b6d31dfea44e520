"""Two sandbox accounts with their warehouses, for the tests of payments, journals and ledger lines."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from settlement_tools import MONTHS, Account, running_accounts


@pytest.fixture(scope="session")
def accounts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Account]]:
    with running_accounts(tmp_path_factory.mktemp("accounts")) as running:
        yield running


@pytest.fixture(params=["usual", "turned"])
def account(request: pytest.FixtureRequest, accounts: dict[str, Account]) -> Account:
    """Each of the two accounts in turn."""
    found: Account = accounts[request.param]
    return found


@pytest.fixture
def month() -> str:
    """A month that no other test uses, and neither its neighbours."""
    return next(MONTHS)
