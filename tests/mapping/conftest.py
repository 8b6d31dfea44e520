from __future__ import annotations

from collections.abc import Iterator

import pytest
from mapping_tools import Account


@pytest.fixture
def account() -> Iterator[Account]:
    made = Account()
    yield made
    made.con.close()
