"""Token info, with the PyPI `netsuite` client for signed requests and bearer tokens, and its refusals."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest
from netsuite import Config, NetSuiteRestApi, TokenAuth
from netsuite.exceptions import NetsuiteAPIRequestError
from sandbox_tools import Api


class OnLoopback(NetSuiteRestApi):
    """The PyPI client, whose fixed addresses are turned to the loopback."""

    def __init__(self, api: Api, **changes: str) -> None:
        tokens = {
            "consumer_key": "billing-integration",
            "consumer_secret": "cs_invented_0002",
            "token_id": "tk_invented_0003",
            "token_secret": "ts_invented_0004",
        } | changes
        super().__init__(Config(account="1234567_SB1", auth=TokenAuth(**tokens)))
        self._api = api

    async def _request_impl(self, method: str, subpath: str, **options: Any) -> httpx.Response:
        host = "https://1234567-sb1.restlets.api.netsuite.com"
        assert options["url"] == f"{host}/rest/tokeninfo"
        options["url"] = f"{self._api.server}/{self._api.label}/rest/tokeninfo"
        answer: httpx.Response = await super()._request_impl(method, subpath, **options)
        return answer


@pytest.fixture(autouse=True)
def unlocked(oneworld: Api) -> None:
    oneworld.admin("POST", "logins/unlock")


def test_a_signed_request_learns_who_it_is(oneworld: Api) -> None:
    answer = asyncio.run(OnLoopback(oneworld).token_info())
    assert answer == {
        "companyId": "1234567_SB1",
        "companyName": "Acme Metering, Inc. (sandbox)",
        "userId": "317",
        "userName": "Billing Robot",
        "roleId": "1042",
        "roleName": "Billing Integration",
        "clientId": "billing-integration",
        "applicationName": "Billing Integration",
        "tokenType": "TBA",
    }


def test_a_token_of_another_role_is_another_caller(oneworld: Api) -> None:
    client = OnLoopback(oneworld, token_id="tk_invented_auditor", token_secret="ts_invented_0005")
    assert asyncio.run(client.token_info())["roleName"] == "Billing Auditor"


def test_a_bearer_token_learns_its_scopes_too(oneworld: Api) -> None:
    answer = oneworld.http.get("rest/tokeninfo", headers=oneworld.headers)
    assert answer.status_code == 200
    found = answer.json()
    assert (found["roleId"], found["tokenType"], found["scope"]) == (
        "1042",
        "OAuth 2.0",
        ["rest_webservices"],
    )


def test_it_stands_on_the_restlets_host(oneworld: Api) -> None:
    headers = oneworld.headers | {"Host": "1234567-sb1.restlets.api.netsuite.com"}
    assert httpx.get(f"{oneworld.server}/rest/tokeninfo", headers=headers).json()["userId"] == "317"


def test_refusals_have_the_restlet_hosts_form(oneworld: Api) -> None:
    with pytest.raises(NetsuiteAPIRequestError) as caught:
        asyncio.run(OnLoopback(oneworld, token_secret="wrong").token_info())
    assert "INVALID_LOGIN_ATTEMPT" in str(caught.value)
    for headers in ({}, {"Authorization": "Bearer x"}, {"Authorization": 'OAuth realm="1234567_SB1"'}):
        answer = httpx.get(f"{oneworld.server}/{oneworld.label}/rest/tokeninfo", headers=headers)
        assert answer.status_code == 401
        assert answer.json() == {
            "error": {"code": "INVALID_LOGIN_ATTEMPT", "message": "Invalid login attempt."}
        }
        assert 'realm="1234567_SB1"' in answer.headers["www-authenticate"]
    # The last one misses every parameter: the RESTlet host's word for it.
    assert oneworld.admin("GET", "logins?status=failure")["items"][-1]["detail"] == "parameter_rejected"


def test_only_get(oneworld: Api) -> None:
    assert oneworld.http.post("rest/tokeninfo", headers=oneworld.headers).status_code == 405
