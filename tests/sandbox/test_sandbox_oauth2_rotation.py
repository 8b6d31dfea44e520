"""Certificates of client credentials: the rotation endpoint, what a sandbox refresh wipes, and what a restart keeps."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from oauth2_tools import certificate_of, new_key
from sandbox_tools import PROFILES, Api, Integration, Refused, Server, start

Restart = Callable[[bool, Integration], Api]
CLIENT = "billing-integration"


def run(public_pem: Path | None, *arguments: str) -> Server:
    given = ["--certificate", f"1234567_SB1:{CLIENT}:cert-1:{public_pem}"] if public_pem else []
    return start("--profile", str(PROFILES / "oneworld.yaml"), *given, *arguments)


@pytest.fixture(scope="module")
def own_server(public_pem: Path) -> Iterator[Server]:
    server = run(public_pem)
    yield server
    server.stop()


@pytest.fixture
def api(own_server: Server, private_key: Any) -> Api:
    """An account that has no certificate but the command line's."""
    httpx.post(f"{own_server.url}/1234567-sb1/sandbox/reset").raise_for_status()
    return Api(own_server.url, "1234567-sb1", Integration(CLIENT, "cert-1", private_key))


def address(api: Api, rest: str = "") -> str:
    return f"{api.rest}/auth/oauth2/v1/clients/{CLIENT}/certificates{rest}"


def yesterday() -> datetime:
    return datetime.now(UTC) - timedelta(days=1)


def upload(api: Api, pem: str, role: Any = "1042", entity: Any = "317", **changes: Any) -> httpx.Response:
    body = {"fileContent": pem, "role": role, "entity": entity} | changes
    return api.http.post(address(api), json=body, headers=api.headers)


def signs_in(api: Api, certificate_id: str, key: Any, algorithm: str = "ES256") -> bool:
    assertion = Integration(CLIENT, certificate_id, key, algorithm).assertion(api.token_url)
    return api.ask_token(assertion).status_code == 200


def active(api: Api) -> list[str]:
    listed = api.http.get(address(api), headers=api.headers).json()
    return [row["certificate_id"] for row in listed if not row["revoked"]]


def test_a_certificate_is_rotated(api: Api) -> None:
    key = new_key()
    pem = certificate_of(key, yesterday(), 365)
    answer = upload(api, pem)
    assert answer.status_code == 200, answer.text
    row = answer.json()
    assert list(row) == [
        *("entity_role_id", "application_id", "certificate_id", "certificate", "algorithm"),
        *("created_at", "valid_from", "valid_until", "invalidated"),
    ]
    assert row["entity_role_id"] == {"com": "1234567_SB1", "ent": "317", "rol": "1042"}
    assert (row["algorithm"], row["certificate"], row["invalidated"]) == ("EC", pem, False)
    assert row["valid_from"] == f"{yesterday():%Y-%m-%d}"
    assert row["valid_until"] == f"{yesterday() + timedelta(days=365):%Y-%m-%d}"
    new = row["certificate_id"]
    assert sorted(active(api)) == sorted(["cert-1", new])
    # Switch over, confirm, revoke the old.
    assert signs_in(api, new, key)
    assert signs_in(api, "cert-1", api.integration.key)
    revoked = api.http.post(address(api, "/cert-1/revoke"), headers=api.headers)
    assert (revoked.status_code, revoked.text) == (200, "Successfully revoked")
    assert active(api) == [new]
    assert not signs_in(api, "cert-1", api.integration.key)
    assert api.admin("GET", "logins?status=failure")["items"][-1]["detail"] == "MissingKey"


def test_the_list_says_whose_and_until_when(api: Api) -> None:
    upload(api, certificate_of(rsa.generate_private_key(65537, 3072), yesterday(), 30))
    rows = api.http.get(address(api), headers=api.headers).json()
    row = next(row for row in rows if row["certificate_id"] != "cert-1")
    assert list(row) == [
        *("application", "entity", "role", "created", "valid_from", "valid_until", "revoked"),
        *("certificate_id", "algorithm"),
    ]
    assert row["application"]["name"] == "Billing Integration"
    assert list(row["application"]) == ["id", "name", "url", "application_id"]
    assert (row["entity"]["id"], row["entity"]["name"]) == ("317", "Billing Robot")
    assert (row["role"]["id"], row["role"]["name"]) == ("1042", "Billing Integration")
    assert row["algorithm"] == "RSA"
    assert row["role"]["url"].startswith(f"{api.server}/{api.label}/")


def test_five_active_certificates_are_the_most(api: Api) -> None:
    made = [upload(api, certificate_of(new_key(), yesterday(), 365)).json() for _ in range(4)]
    last = certificate_of(new_key(), yesterday(), 365)
    refused = Refused.of(upload(api, last))
    assert (refused.status, refused.code) == (400, "USER_ERROR")
    assert "5 active certificates" in refused.detail
    api.http.post(address(api, f"/{made[0]['certificate_id']}/revoke"), headers=api.headers)
    assert upload(api, last).status_code == 200
    assert len(active(api)) == 5


def test_a_life_of_more_than_two_years_is_cut(api: Api) -> None:
    row = upload(api, certificate_of(new_key(), yesterday(), 3650)).json()
    assert row["valid_until"] == f"{datetime.now(UTC) + timedelta(days=730):%Y-%m-%d}"


def test_a_certificate_of_tomorrow_cannot_sign_in_today(api: Api) -> None:
    key = new_key()
    name = upload(api, certificate_of(key, datetime.now(UTC) + timedelta(days=2), 30)).json()[
        "certificate_id"
    ]
    assert not signs_in(api, name, key)
    assert "begins on" in api.admin("GET", "logins?status=failure")["items"][-1]["explanation"]


def test_role_and_entity_may_be_numbers_and_are_the_callers_then(api: Api) -> None:
    key = new_key()
    name = upload(api, certificate_of(key, yesterday(), 30), role=1042, entity=317).json()["certificate_id"]
    assert signs_in(api, name, key)


def test_what_cannot_be_uploaded(api: Api) -> None:
    good = certificate_of(new_key(), yesterday(), 365)
    assert upload(api, good).status_code == 200
    short = certificate_of(rsa.generate_private_key(65537, 2048), yesterday(), 365)
    curve = certificate_of(ec.generate_private_key(ec.SECP256K1()), yesterday(), 365)
    for pem, changes, text in [
        (good, {}, "before"),
        (short, {}, "3072 or 4096"),
        (curve, {}, "P-256"),
        ("no certificate", {}, "X.509"),
        ("-----BEGIN CERTIFICATE-----\nnonsense\n-----END CERTIFICATE-----", {}, "PEM"),
        (certificate_of(new_key(), yesterday() - timedelta(days=30), 5), {}, "ended on"),
        (certificate_of(new_key(), yesterday(), 365), {"entity": "401"}, "not yours"),
        (certificate_of(new_key(), yesterday(), 365), {"role": "3"}, "does not have role 3"),
        (certificate_of(new_key(), yesterday(), 365), {"role": None}, "role"),
    ]:
        refused = Refused.of(upload(api, pem, **changes))
        assert refused.status == 400
        assert text in refused.detail, refused.detail
    answer = api.http.post(address(api), content=b"{", headers=api.headers)
    assert Refused.of(answer).code == "INVALID_CONTENT"


def test_what_is_not_there(api: Api) -> None:
    assert api.http.post(address(api, "/nothing/revoke"), headers=api.headers).status_code == 404
    other = address(api).replace(CLIENT, "nobody")
    assert api.http.get(other, headers=api.headers).status_code == 404
    assert api.http.get(address(api, "/cert-1/revoke"), headers=api.headers).status_code == 405
    assert api.http.delete(address(api), headers=api.headers).status_code == 405


def test_the_permission_is_needed_and_a_bearer_token(oneworld: Api, auditor: Api) -> None:
    refused = Refused.of(auditor.http.get(address(auditor), headers=auditor.headers))
    assert (refused.status, refused.code) == (403, "INSUFFICIENT_PERMISSION")
    assert "Manage own OAuth 2.0 Client Credentials Certificates" in refused.detail
    answer = httpx.get(address(oneworld), headers={"Authorization": "OAuth realm=x"})
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Bearer ")


def test_a_refresh_of_the_sandbox_wipes_every_mapping(api: Api) -> None:
    key = new_key()
    pem = certificate_of(key, yesterday(), 365)
    name = upload(api, pem).json()["certificate_id"]
    assert api.admin("POST", "certificates/wipe") == {"wiped": 2}
    assert not signs_in(api, name, key)
    assert not signs_in(api, "cert-1", api.integration.key)
    assert api.admin("GET", "logins?status=failure")["items"][-1]["detail"] == "MissingKey"
    # Tokens that were issued before go on; reset brings back what the command line gave.
    assert active(api) == []
    api.admin("POST", "reset")
    assert active(api) == ["cert-1"]
    assert signs_in(api, "cert-1", api.integration.key)
    assert not signs_in(api, name, key)


@pytest.fixture
def restart(public_pem: Path, tmp_path: Path) -> Iterator[Restart]:
    """Starts one sandbox after another over one state file, with the command line's certificate or without."""
    running: list[Server] = []

    def again(given: bool, login: Integration) -> Api:
        if running:
            running.pop().stop()
        running.append(run(public_pem if given else None, "--state", str(tmp_path / "state.db")))
        return Api(running[0].url, "1234567-sb1", login)

    yield again
    for one in running:
        one.stop()


def test_the_state_file_keeps_uploads_and_revocations(restart: Restart, private_key: Any) -> None:
    api = restart(True, Integration(CLIENT, "cert-1", private_key))
    key = new_key()
    name = upload(api, certificate_of(key, yesterday(), 365)).json()["certificate_id"]
    api.http.post(address(api, "/cert-1/revoke"), headers=api.headers)
    # The command line gives the revoked certificate again: it stays revoked.
    api = restart(True, Integration(CLIENT, name, key))
    assert active(api) == [name]
    assert not signs_in(api, "cert-1", private_key)
    assert active(restart(False, Integration(CLIENT, name, key))) == [name]
