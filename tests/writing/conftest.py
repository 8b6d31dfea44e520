"""A sandbox account to write to, and a writer with a ledger of its own for each test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from writing_tools import REALM, Writing

from demo.sandbox_process import running_sandbox

PROFILE = Path(__file__).parents[2] / "sandbox" / "profiles" / "oneworld.yaml"


@pytest.fixture(scope="session")
def account_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("account")
    with running_sandbox([PROFILE], [], state=folder / "state.sqlite", log=folder / "log") as sandbox:
        yield sandbox.account_url(REALM)


@pytest.fixture
def writing(account_url: str, tmp_path: Path) -> Iterator[Writing]:
    made = Writing(account_url, tmp_path / "ledger.sqlite")
    made.govern(async_delay_ms=0, async_task_ms=0, async_processors=1, latency_ms=0)
    made.admin("DELETE", "faults")
    made.admin("POST", "reset/log")
    yield made
    made.ledger.close()
