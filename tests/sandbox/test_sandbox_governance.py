"""Concurrency of the account and of its integrations, service tiers, and governanceLimits."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from cryptography.hazmat.primitives.asymmetric import ec
from sandbox_tools import PROFILES, Api, Integration, Server, start

from sandbox.profile_file import ProfileError, load

Governed = tuple[Server, Api, Api]


def profile(tmp_path: Path, **changes: Any) -> Path:
    """The OneWorld profile with changes; None takes a key away."""
    content = yaml.safe_load((PROFILES / "oneworld.yaml").read_text()) | changes
    path = tmp_path / "changed.yaml"
    path.write_text(yaml.safe_dump({k: v for k, v in content.items() if v is not None}))
    return path


def integrations(public_pem: Path, **own: int) -> list[dict[str, Any]]:
    """A billing and an administrator's integration, with limits of their own."""
    certificates = [{"id": "c", "public_key": public_pem.read_text()}]
    return [
        {"client_id": name, "name": name, "role": role, "certificates": certificates}
        | ({"concurrency_limit": own[name]} if name in own else {})
        for name, role in (("billing", "1042"), ("admin", "3"))
    ]


@pytest.fixture(scope="module")
def governed(
    public_pem: Path, private_key: ec.EllipticCurvePrivateKey, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Governed]:
    """Ten slots, three of them billing's own."""
    folder = tmp_path_factory.mktemp("governed")
    declared = integrations(public_pem, billing=3)
    roles = yaml.safe_load((PROFILES / "oneworld.yaml").read_text())["roles"]
    path = profile(folder, concurrency_limit=10, integrations=declared, roles=roles)
    server = start("--profile", str(path))
    billing, admin = (
        Api(server.url, "1234567-sb1", Integration(name, "c", private_key)) for name in ("billing", "admin")
    )
    yield server, billing, admin
    server.stop()


@pytest.fixture
def pair(governed: Governed) -> Iterator[tuple[Api, Api]]:
    _, billing, admin = governed
    yield billing, admin
    admin.admin(
        "POST",
        "governance",
        {"limit": 10, "foreign": 0, "latency_ms": 0, "integrations": {"billing": 3, "admin": None}},
    )


def limits(api: Api) -> dict[str, Any]:
    answer = api.request("GET", "system/v1/governanceLimits")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def at_once(*wanted: tuple[Api, int]) -> list[list[int]]:
    """Statuses of so many requests of each caller, all at the same time."""
    async with httpx.AsyncClient(limits=httpx.Limits(max_connections=50), timeout=30) as client:
        calls = [(n, api) for n, (api, count) in enumerate(wanted) for _ in range(count)]
        answers = await asyncio.gather(
            *(client.get(f"{api.rest}/record/v1/currency/1", headers=api.headers) for _, api in calls)
        )
    groups: list[list[int]] = [[] for _ in wanted]
    for (n, _), answer in zip(calls, answers, strict=True):
        groups[n].append(answer.status_code)
    return [sorted(group) for group in groups]


def test_governance_limits_as_an_administrator_sees_them(pair: tuple[Api, Api]) -> None:
    billing, admin = pair
    assert limits(admin) == {
        "accountConcurrencyLimit": 10,
        "accountUnallocatedConcurrencyLimit": 7,
        "integrationLimitType": "accountLimit",
    }
    admin.admin("POST", "governance", {"integrations": {"admin": 6}})
    found = limits(admin)
    assert found == {
        "accountConcurrencyLimit": 10,
        "accountUnallocatedConcurrencyLimit": 1,
        "integrationConcurrencyLimit": 6,
        "integrationLimitType": "integrationSpecific",
    }
    refused = billing.request("GET", "system/v1/governanceLimits")
    assert refused.status_code == 400
    assert "does not have permission" in refused.text


def test_an_integrations_own_limit_holds_though_the_account_has_room(pair: tuple[Api, Api]) -> None:
    billing, admin = pair
    admin.admin("POST", "governance", {"latency_ms": 400})
    assert asyncio.run(at_once((billing, 5), (admin, 7))) == [[200] * 3 + [429] * 2, [200] * 7]
    stats = admin.admin("GET", "stats")["integrations"]
    assert stats["billing"]["rejections"] == 2
    assert (stats["billing"]["concurrency_limit"], stats["billing"]["in_flight"]) == (3, 0)
    assert stats["admin"] | {"in_flight_peak": 7} == stats["admin"]


def test_the_others_share_what_is_unallocated(pair: tuple[Api, Api]) -> None:
    billing, admin = pair
    admin.admin("POST", "governance", {"latency_ms": 400, "foreign": 5})
    assert asyncio.run(at_once((admin, 4), (billing, 3))) == [[200] * 2 + [429] * 2, [200] * 3]
    admin.admin("POST", "governance", {"foreign": 7})
    assert asyncio.run(at_once((admin, 1), (billing, 1))) == [[429], [200]]


@pytest.mark.parametrize(
    ("order", "status"),
    [
        ({"integrations": {"admin": 7}}, 400),
        ({"limit": 3}, 400),
        ({"integrations": {"nobody": 1}}, 404),
        ({"integrations": {"admin": 0}}, 400),
        ({"async_processors": -1}, 400),
    ],
)
def test_one_slot_at_least_remains_unallocated(
    pair: tuple[Api, Api], order: dict[str, Any], status: int
) -> None:
    answer = pair[0].http.post("sandbox/governance", json=order)
    assert (answer.status_code, bool(answer.json()["error"])) == (status, True)
    assert limits(pair[1])["accountUnallocatedConcurrencyLimit"] == 7


def test_a_refused_login_takes_no_slot(pair: tuple[Api, Api]) -> None:
    pair[1].admin("POST", "governance", {"foreign": 10})
    assert pair[1].request("GET", "record/v1/currency/1").status_code == 429
    answer = pair[1].http.get(f"{pair[1].rest}/record/v1/currency/1", headers={"Authorization": "Bearer no"})
    assert answer.status_code == 401


def test_the_status_in_the_body_of_a_rejection_is_a_switch(turned: Api) -> None:
    turned.admin("POST", "governance", {"foreign": 5})
    try:
        full = turned.send("GET", "term/1")
    finally:
        turned.admin("POST", "governance", {"foreign": 0})
    turned.admin("POST", "faults", {"kind": "status", "status": 429})
    for answer in (full, turned.send("GET", "term/1")):
        assert (answer.status_code, answer.json()["status"]) == (429, 400)


@pytest.mark.parametrize(
    ("tier", "licences", "limit"),
    [
        (None, None, 5),
        ("standard", 2, 25),
        ("premium", None, 15),
        ("enterprise", 1, 30),
        ("ultimate", None, 20),
        ("tier2", None, 10),
        ("tier1+", None, 15),
        ("developer", 3, 5),
    ],
)
def test_the_service_tier_gives_the_limit(
    tmp_path: Path, tier: str | None, licences: int | None, limit: int
) -> None:
    path = profile(tmp_path, concurrency_limit=None, service_tier=tier, suitecloud_plus=licences)
    assert load(path).concurrency_limit == limit


def test_a_profile_that_allocates_too_much(tmp_path: Path, public_pem: Path) -> None:
    declared = integrations(public_pem, billing=3, admin=2)
    with pytest.raises(ProfileError, match="one at least must remain unallocated"):
        load(profile(tmp_path, concurrency_limit=5, integrations=declared, users=[]))
    assert load(profile(tmp_path, concurrency_limit=6, integrations=declared, users=[]))
    with pytest.raises(ProfileError, match="service_tier"):
        load(profile(tmp_path, concurrency_limit=None, service_tier="platinum"))
