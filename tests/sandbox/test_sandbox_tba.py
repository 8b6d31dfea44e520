"""Token-based authentication: the known-answer vectors, a client that this project did not write, and every refusal."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import httpx
import pytest
from netsuite import Config, NetSuiteRestApi, TokenAuth
from netsuite.exceptions import NetsuiteAPIRequestError
from sandbox_tools import Api, Refused, unique

from sandbox.auth.tba import base_string, sign

ORACLE = {
    "oauth_consumer_key": "ef40afdd8abaac111b13825dd5e5e2ddddb44f86d5a0dd6dcf38c20aae6b67e4",
    "oauth_token": "2b0ce516420110bcbd36b69e99196d1b7f6de3c6234c5afb799b73d87569f5cc",
    "oauth_nonce": "fjaLirsIcCGVZWzBX0pg",
    "oauth_timestamp": "1508242306",
    "oauth_signature_method": "HMAC-SHA256",
    "oauth_version": "1.0",
}
OURS = {
    "oauth_consumer_key": "ck_invented_0001",
    "oauth_token": "tk_invented_0003",
    "oauth_nonce": "n0nceN0nceN0nceN0nce",
    "oauth_timestamp": "1790000000",
    "oauth_signature_method": "HMAC-SHA256",
    "oauth_version": "1.0",
}
HOST = "https://7654321-sb1.suitetalk.api.netsuite.com/services/rest"


@pytest.fixture(autouse=True)
def unlocked(oneworld: Api) -> None:
    """Let nobody stay locked by the failures of earlier tests."""
    oneworld.admin("POST", "logins/unlock")


def test_oracles_published_signature() -> None:
    base = base_string(
        "GET", "https://123456.suitetalk.api.netsuite.com/services/rest/record/v1/employee/40", [], ORACLE
    )
    consumer_secret = "d26ad321a4b2f23b0741c8d38392ce01c3e23e109df6c96eac6d099e9ab9e8b5"
    token_secret = "c29a677df7d5439a458c063654187e3d678d73aca8e3c9d8bea1478a3eb0d295"
    assert sign(base, consumer_secret, token_secret) == "B5OIWznZ2YP0OB7VrJrGkYsTh+8H+5T9Hag+o92q0zY="


@pytest.mark.parametrize(
    ("method", "path", "query", "signature"),
    [
        (
            "POST",
            "/query/v1/suiteql",
            [("limit", "1000"), ("offset", "0")],
            "nRtOfGppchg2zddQbYGBQIhXUDOGppO3KOjnRjfSARI=",
        ),
        (
            "GET",
            "/record/v1/customer",
            [("q", 'companyName IS "Acme & Sons"')],
            "0QW99EFa4Xydkm/otWlmo/sIk798fUb699/SGkzPY1w=",
        ),
        ("PUT", "/record/v1/customer/eid:CUST-00042", [], "9C1pJz8COHrSwJmoZ46HD8m709PxCbvspeSOQNsacMI="),
    ],
)
def test_known_answers(method: str, path: str, query: list[tuple[str, str]], signature: str) -> None:
    base = base_string(method, HOST + path, query, OURS)
    assert sign(base, "cs_invented_0002", "ts_invented_0004") == signature


def test_the_base_string_is_to_the_byte() -> None:
    base = base_string("POST", HOST + "/query/v1/suiteql", [("limit", "1000"), ("offset", "0")], OURS)
    assert base == (
        "POST&https%3A%2F%2F7654321-sb1.suitetalk.api.netsuite.com%2Fservices%2Frest%2Fquery%2Fv1%2Fsuiteql&"
        "limit%3D1000%26oauth_consumer_key%3Dck_invented_0001%26oauth_nonce%3Dn0nceN0nceN0nceN0nce%26"
        "oauth_signature_method%3DHMAC-SHA256%26oauth_timestamp%3D1790000000%26oauth_token%3Dtk_invented_0003%26"
        "oauth_version%3D1.0%26offset%3D0"
    )


class Independent(NetSuiteRestApi):
    """The PyPI `netsuite` client, sent to the loopback."""

    def __init__(self, config: Config, root: str) -> None:
        super().__init__(config)
        self._root = root

    def _make_url(self, subpath: str) -> str:
        return f"{self._root}{subpath}"


def independent(api: Api, **changes: str) -> Independent:
    tokens = {
        "consumer_key": "billing-integration",
        "consumer_secret": "cs_invented_0002",
        "token_id": "tk_invented_0003",
        "token_secret": "ts_invented_0004",
    } | changes
    return Independent(Config(account="1234567_SB1", auth=TokenAuth(**tokens)), api.rest)


def test_an_independent_client_signs_reads_writes_and_queries(oneworld: Api) -> None:
    client = independent(oneworld)
    external = unique("tba")

    async def use() -> tuple[Any, Any, Any]:
        body = {"companyName": "Independent & Söhne", "subsidiary": {"id": "3"}}
        await client.put(f"/record/v1/customer/eid:{external}", json=body)
        customer = await client.get(
            f"/record/v1/customer/eid:{external}", params={"expandSubResources": "true"}
        )
        found = await client.get("/record/v1/customer", params={"q": 'companyName IS "Independent & Söhne"'})
        rows = await client.suiteql(f"SELECT id, companyname FROM customer WHERE externalid = '{external}'")
        await client.patch(f"/record/v1/customer/eid:{external}", json={"comments": "patched"})
        await client.delete(f"/record/v1/customer/{customer['id']}")
        return customer, found, rows

    customer, found, rows = asyncio.run(use())
    assert customer["companyName"] == "Independent & Söhne"
    assert customer["id"] in [item["id"] for item in found["items"]]
    assert rows["items"] == [{"links": [], "companyname": "Independent & Söhne", "id": customer["id"]}]


@pytest.mark.parametrize(
    ("changes", "detail"),
    [
        ({"consumer_key": "nobody"}, "consumer_key_unknown"),
        ({"consumer_secret": "wrong"}, "InvalidSignature"),
        ({"token_secret": "wrong"}, "InvalidSignature"),
        ({"token_id": "wrong"}, "token_rejected"),
    ],
)
def test_every_bad_credential_looks_the_same(oneworld: Api, changes: dict[str, str], detail: str) -> None:
    with pytest.raises(NetsuiteAPIRequestError) as caught:
        asyncio.run(independent(oneworld, **changes).get("/record/v1/currency/1"))
    assert "INVALID_LOGIN" in str(caught.value)
    assert oneworld.admin("GET", "logins?status=failure")["items"][-1]["detail"] == detail


def signed(api: Api, **changes: str) -> httpx.Response:
    """One signed GET, with parts of the header changed; the signature fits what is sent."""
    oauth = OURS | {
        "oauth_consumer_key": "billing-integration",
        "oauth_nonce": unique("nonce"),
        "oauth_timestamp": str(int(time.time())),
    }
    realm = changes.pop("realm", "1234567_SB1")
    oauth |= changes
    oauth = {name: value for name, value in oauth.items() if value}
    url = f"{api.rest}/record/v1/currency/1"
    signature = sign(base_string("GET", url, [], oauth), "cs_invented_0002", "ts_invented_0004")
    parts = {"realm": realm, **oauth, "oauth_signature": signature}
    header = "OAuth " + ", ".join(
        f'{k}="{httpx.QueryParams({k: v})[k].replace("+", "%2B").replace("=", "%3D").replace("/", "%2F")}"'
        for k, v in parts.items()
    )
    return httpx.get(url, headers={"Authorization": header})


def test_a_signed_request_is_taken_and_its_nonce_only_once(oneworld: Api) -> None:
    nonce = unique("nonce")
    stamp = str(int(time.time()))
    assert signed(oneworld, oauth_nonce=nonce, oauth_timestamp=stamp).status_code == 200
    again = signed(oneworld, oauth_nonce=nonce, oauth_timestamp=stamp)
    assert again.status_code == 401
    assert again.headers["www-authenticate"] == (
        'OAuth realm="1234567_SB1", error="token_rejected", error_description="Invalid login attempt."'
    )
    assert Refused.of(again).code == "INVALID_LOGIN"
    assert oneworld.admin("GET", "logins?status=failure")["items"][-1]["detail"] == "NonceUsed"


@pytest.mark.parametrize(
    ("changes", "detail"),
    [
        ({"oauth_timestamp": "-400"}, "InvalidTimestamp"),
        ({"oauth_timestamp": "+900"}, "InvalidTimestamp"),
        ({"oauth_nonce": "short"}, "nonce_rejected"),
        ({"oauth_signature_method": "HMAC-SHA1"}, "UnknownAlgorithm"),
        ({"oauth_version": "2.0"}, "VersionRejected"),
        ({"oauth_token": ""}, "MissingTokenPassportRequiredFields"),
        ({"realm": "1234567-sb1"}, "InvalidSignature"),
    ],
)
def test_other_refusals(oneworld: Api, changes: dict[str, str], detail: str) -> None:
    if changes.get("oauth_timestamp", "").startswith(("-", "+")):
        changes = {"oauth_timestamp": str(int(time.time()) + int(changes["oauth_timestamp"]))}
    assert signed(oneworld, **changes).status_code == 401
    assert oneworld.admin("GET", "logins?status=failure")["items"][-1]["detail"] == detail


def detail(api: Api) -> str:
    found: str = api.admin("GET", "logins?status=failure")["items"][-1]["detail"]
    return found


@pytest.mark.parametrize("offset", [-298, 298])
def test_the_clock_may_be_five_minutes_off(oneworld: Api, offset: int) -> None:
    assert signed(oneworld, oauth_timestamp=str(int(time.time()) + offset)).status_code == 200


def test_a_cookie_spoils_a_signed_request(oneworld: Api) -> None:
    async def ask(**headers: str) -> Any:
        return await independent(oneworld).get("/record/v1/currency/1", headers=headers)

    assert asyncio.run(ask())["id"] == "1"
    with pytest.raises(NetsuiteAPIRequestError):
        asyncio.run(ask(Cookie="JSESSIONID=x"))
    assert detail(oneworld) == "InvalidSignature"


def test_a_parameter_may_stand_in_the_header_once(oneworld: Api) -> None:
    twice = ", ".join(f'{name}="{value}"' for name, value in [*OURS.items(), ("oauth_nonce", "again-again")])
    header = f'OAuth realm="1234567_SB1", oauth_signature="x", {twice}'
    url = f"{oneworld.rest}/record/v1/currency/1"
    assert httpx.get(url, headers={"Authorization": header}).status_code == 401
    assert detail(oneworld) == "parameter_rejected"


def test_a_blocked_integrations_key_is_refused(oneworld: Api) -> None:
    state = {"client_id": "billing-integration", "blocked": True}
    oneworld.admin("POST", "integrations", state)
    try:
        assert signed(oneworld).status_code == 401
    finally:
        oneworld.admin("POST", "integrations", state | {"blocked": False})
    assert detail(oneworld) == "consumer_key_refused"
    assert signed(oneworld).status_code == 200


def test_five_failures_lock_the_user(oneworld: Api) -> None:
    for _ in range(4):
        assert signed(oneworld, realm="1234567-sb1").status_code == 401
    assert signed(oneworld).status_code == 200
    for _ in range(5):
        assert signed(oneworld, realm="1234567-sb1").status_code == 401
    assert detail(oneworld) == "InvalidSignature"
    assert signed(oneworld).status_code == 401
    assert detail(oneworld) == "temporary_locked"
    # The token of another user is not concerned, nor are bearer tokens.
    assert oneworld.send("GET", "currency/1").status_code == 200
    assert oneworld.admin("POST", "logins/unlock") == {"unlocked": ["317"]}
    assert signed(oneworld).status_code == 200


def test_who_is_unknown_locks_nobody(oneworld: Api) -> None:
    for _ in range(7):
        assert signed(oneworld, oauth_token="unknown").status_code == 401
    assert signed(oneworld).status_code == 200
