"""One sandbox process with several empty accounts, for the tests that fill books."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from demo.keys import ensure_keys
from demo.netsuite_account import Login
from demo.sandbox_process import Certificate, running_sandbox

ROOT = Path(__file__).parents[2]
SINGLE = ROOT / "sandbox" / "profiles" / "single.yaml"
ONEWORLD = ROOT / "sandbox" / "profiles" / "oneworld.yaml"
RETAIL = ROOT / "demo" / "profiles" / "retail.yaml"
SPARE_ACCOUNTS = 10


@dataclass(frozen=True)
class Accounts:
    """Logins to accounts that no other test of this process uses."""

    acme: Login
    retail: Login
    narrow: Login
    """A single company whose limit of requests is below what the seeder sends at once."""
    next_single: Callable[[], Login]


@pytest.fixture(scope="session")
def accounts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Accounts]:
    folder = tmp_path_factory.mktemp("sandbox")
    keys = ensure_keys(folder / "keys", "tests", datetime.now(UTC))
    single = SINGLE.read_text(encoding="utf-8")
    names = [f"TSTDRV90{number:02d}" for number in range(SPARE_ACCOUNTS + 1)]
    profiles = [ONEWORLD, RETAIL]
    for name in names:
        profile = folder / f"{name}.yaml"
        limit = "concurrency_limit: 2" if name == names[0] else "concurrency_limit: 5"
        text = single.replace("TSTDRV7654321", name).replace("concurrency_limit: 5", limit)
        profile.write_text(text, encoding="utf-8")
        profiles.append(profile)
    clients = {
        "1234567_SB1": "billing-integration",
        "TSTDRV7654322": "retail-billing",
        **dict.fromkeys(names, "usage-billing"),
    }
    certificates = [
        Certificate(account, client, "tests-1", keys.certificate) for account, client in clients.items()
    ]
    with running_sandbox(
        profiles, certificates, state=folder / "state.sqlite", log=folder / "sandbox.log"
    ) as sandbox:

        def login(account: str) -> Login:
            return Login(sandbox.account_url(account), clients[account], "tests-1", keys.private_key)

        spare = iter(names[1:])
        yield Accounts(
            acme=login("1234567_SB1"),
            retail=login("TSTDRV7654322"),
            narrow=login(names[0]),
            next_single=lambda: login(next(spare)),
        )
