"""A month of acme that was reconciled and planned, ready to be signed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from close_tools import Desk
from month import Month

from resources.ledger import Ledger


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    opened = Ledger(f"sqlite:///{tmp_path / 'ledger.sqlite'}")
    yield opened
    opened.close()


@pytest.fixture
def desk(october: Month, ledger: Ledger) -> Desk:
    """October, in which NetSuite holds what was billed, and one bill names no customer."""
    made = Desk(october, ledger)
    made.reconcile()
    return made


@pytest.fixture
def signed(desk: Desk) -> Desk:
    """The same, signed off by Ada and Bob three days ago."""
    desk.sign()
    return desk
