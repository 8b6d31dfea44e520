"""The authorization code grant over HTTP, with Authlib as the application: consent, PKCE, refresh, revocation."""

from __future__ import annotations

import secrets
from typing import Any

import httpx
import jwt
import pytest
from authlib.integrations.httpx_client import OAuth2Client
from oauth2_tools import AUTHORIZE, CALLBACK, STATE, VERIFIER, challenge_of, query, returned, ticket_of
from sandbox_tools import Api


def base(api: Api) -> str:
    return f"{api.server}/{api.label}"


def application(api: Api, public: bool = False, **changes: Any) -> OAuth2Client:
    settings: dict[str, Any] = {
        "client_id": "billing-desktop" if public else "billing-portal",
        "client_secret": None if public else "cs_invented_portal",
        "token_endpoint_auth_method": "none" if public else "client_secret_basic",
        "scope": "rest_webservices",
        "redirect_uri": CALLBACK,
        "code_challenge_method": "S256",
        "token_endpoint": f"{base(api)}/services/rest/auth/oauth2/v1/token",
    }
    return OAuth2Client(**(settings | changes))


def consent(url: str, decision: str = "allow", identity: str = "401;1042") -> httpx.Response:
    """Open the consent page as a browser does, and answer it."""
    page = httpx.get(url)
    assert page.status_code == 200, page.text
    assert page.headers["content-type"] == "text/html; charset=UTF-8"
    action = url.partition(AUTHORIZE)[0] + AUTHORIZE
    assert f'action="{httpx.URL(action).path}"' in page.text
    answer = httpx.post(
        action, data={"ticket": ticket_of(page.text), "decision": decision, "identity": identity}
    )
    assert answer.status_code == 302, answer.text
    return answer


def authorize(api: Api, client: OAuth2Client, **changes: Any) -> dict[str, Any]:
    verifier = secrets.token_urlsafe(48)
    state = secrets.token_urlsafe(24)
    url, _ = client.create_authorization_url(base(api) + AUTHORIZE, state=state, code_verifier=verifier)
    back = consent(url, **changes).headers["location"]
    token: dict[str, Any] = client.fetch_token(
        authorization_response=back, state=state, code_verifier=verifier
    )
    return token


def get_currency(api: Api, token: str) -> int:
    headers = {"Authorization": f"Bearer {token}"}
    return httpx.get(f"{api.rest}/record/v1/currency/1", headers=headers).status_code


@pytest.mark.parametrize("public", [False, True])
def test_an_independent_application_gets_a_token_and_uses_it(oneworld: Api, public: bool) -> None:
    token = authorize(oneworld, application(oneworld, public))
    assert (token["token_type"], token["expires_in"]) == ("bearer", "3600")
    assert get_currency(oneworld, token["access_token"]) == 200
    keys = jwt.PyJWKSet.from_dict(httpx.get(f"{oneworld.rest}/auth/oauth2/v1/keys").json())
    for kind in ("access_token", "refresh_token"):
        header = jwt.get_unverified_header(token[kind])
        claims = jwt.decode(token[kind], keys[header["kid"]], ["PS256"], options={"verify_aud": False})
        assert claims["sub"] == "1042;401"
        assert claims["aud"][1] == ("billing-desktop" if public else "billing-portal")
        assert claims["jti"].startswith("1234567_SB1.a." if kind == "access_token" else "1234567_SB1.r.")
    life = claims["exp"] - claims["iat"]
    assert life == (2 if public else 7) * 86400


def test_the_user_and_role_that_were_chosen_are_the_caller(oneworld: Api) -> None:
    token = authorize(oneworld, application(oneworld), identity="401;3")
    headers = {"Authorization": f"Bearer {token['access_token']}"}
    assert httpx.get(f"{oneworld.rest}/system/v1/governanceLimits", headers=headers).status_code == 200
    other = authorize(oneworld, application(oneworld), identity="318;1043")
    headers = {"Authorization": f"Bearer {other['access_token']}"}
    assert httpx.get(f"{oneworld.rest}/system/v1/governanceLimits", headers=headers).status_code == 400


def test_a_confidential_client_keeps_its_refresh_token(oneworld: Api) -> None:
    client = application(oneworld)
    first = dict(authorize(oneworld, client))
    for _ in range(2):
        answer = client.refresh_token(refresh_token=first["refresh_token"])
        assert answer["access_token"] != first["access_token"]
        assert get_currency(oneworld, answer["access_token"]) == 200
    plain = httpx.post(
        oneworld.token_url,
        auth=("billing-portal", "cs_invented_portal"),
        data={"grant_type": "refresh_token", "refresh_token": first["refresh_token"]},
    )
    assert plain.json().keys() == {"access_token", "expires_in", "token_type"}


def test_a_public_clients_refresh_token_works_once(oneworld: Api) -> None:
    client = application(oneworld, public=True)
    first = dict(authorize(oneworld, client))
    second = dict(client.refresh_token(refresh_token=first["refresh_token"]))
    assert second["refresh_token"] != first["refresh_token"]
    form = {"grant_type": "refresh_token", "client_id": "billing-desktop"}
    again = httpx.post(oneworld.token_url, data=form | {"refresh_token": first["refresh_token"]})
    assert (again.status_code, again.json()) == (400, {"error": "invalid_grant"})
    # By default a replay costs the chain nothing.
    third = client.refresh_token(refresh_token=second["refresh_token"])
    assert get_currency(oneworld, third["access_token"]) == 200
    begun = [
        jwt.decode(t["access_token"], options={"verify_signature": False})["oit"] for t in (first, third)
    ]
    assert begun[0] == begun[1]


def test_revoking_a_refresh_token_ends_its_access_tokens(oneworld: Api) -> None:
    client = application(oneworld)
    token = dict(authorize(oneworld, client))
    kept = dict(authorize(oneworld, application(oneworld)))
    answer = client.revoke_token(
        f"{oneworld.rest}/auth/oauth2/v1/revoke",
        token=token["refresh_token"],
        token_type_hint="refresh_token",
    )
    assert (answer.status_code, answer.content) == (200, b"")
    assert get_currency(oneworld, token["access_token"]) == 401
    assert oneworld.admin("GET", "logins?status=failure")["items"][-1]["detail"] == "TokenBlocked"
    assert get_currency(oneworld, kept["access_token"]) == 200
    form = {"grant_type": "refresh_token", "refresh_token": token["refresh_token"]}
    dead = httpx.post(oneworld.token_url, auth=("billing-portal", "cs_invented_portal"), data=form)
    assert dead.json() == {"error": "invalid_grant"}


def test_who_denies_sends_the_application_away(oneworld: Api) -> None:
    url = f"{base(oneworld)}{AUTHORIZE}?{httpx.QueryParams(query())}"
    back = consent(url, "deny").headers["location"]
    assert back == f"{CALLBACK}?state={STATE}&error=access_denied"
    assert oneworld.admin("GET", "logins?status=failure")["items"][-1]["detail"] == "AccessDenied"


def test_the_way_back_names_state_role_entity_company_and_code(oneworld: Api) -> None:
    url = f"{base(oneworld)}{AUTHORIZE}?{httpx.QueryParams(query())}"
    parameters = returned(consent(url).headers["location"])
    assert list(parameters) == ["state", "role", "entity", "company", "code"]
    assert (parameters["state"], parameters["role"]) == (STATE, "1042")
    assert (parameters["entity"], parameters["company"]) == ("401", "1234567_SB1")


def test_a_redirect_uri_with_a_query_keeps_it(oneworld: Api) -> None:
    uri = "https://portal.example.com/netsuite?tenant=1"
    url = f"{base(oneworld)}{AUTHORIZE}?{httpx.QueryParams(query(redirect_uri=uri, prompt='none'))}"
    back = httpx.get(url).headers["location"]
    assert back.startswith(f"{uri}&state={STATE}&role=")


def test_the_page_offers_the_users_who_may_consent(oneworld: Api) -> None:
    page = httpx.get(f"{base(oneworld)}{AUTHORIZE}", params=query(prompt="login consent")).text
    assert [part.partition('"')[0] for part in page.split('<option value="')[1:]] == [
        "318;1043",
        "401;1042",
        "401;3",
    ]
    assert "Billing Portal" in page
    assert "REST web services" in page


def test_only_an_offered_user_and_role_can_allow(oneworld: Api) -> None:
    url = f"{base(oneworld)}{AUTHORIZE}?{httpx.QueryParams(query())}"
    for identity in ("317;1042", "318;3", "nobody"):
        assert consent(url, identity=identity).headers["location"].endswith("error=access_denied")


def test_a_consent_page_is_answered_once(oneworld: Api) -> None:
    url = f"{base(oneworld)}{AUTHORIZE}"
    form = {"ticket": ticket_of(httpx.get(url, params=query()).text), "decision": "deny", "identity": "401;3"}
    assert httpx.post(url, data=form).status_code == 302
    again = httpx.post(url, data=form | {"decision": "allow"})
    assert again.status_code == 400
    assert "answered before" in again.text


def test_the_page_stands_on_the_accounts_app_host_too(oneworld: Api) -> None:
    headers = {"Host": "1234567-sb1.app.netsuite.com"}
    page = httpx.get(f"{oneworld.server}{AUTHORIZE}", params=query(), headers=headers)
    assert f'action="{AUTHORIZE}"' in page.text
    form = {"ticket": ticket_of(page.text), "decision": "allow", "identity": "401;3"}
    answer = httpx.post(f"{oneworld.server}{AUTHORIZE}", data=form, headers=headers)
    assert returned(answer.headers["location"])["role"] == "3"


@pytest.mark.parametrize(
    ("changes", "detail"),
    [
        ({"client_id": "nobody"}, "UnknownIntegration"),
        ({"client_id": None}, "UnknownIntegration"),
        ({"redirect_uri": None}, "InvalidRedirectUri"),
        ({"redirect_uri": CALLBACK + "/"}, "InvalidRedirectUri"),
        ({"redirect_uri": "https://evil.example.com/<script>"}, "InvalidRedirectUri"),
        ({"client_id": "billing-integration"}, "InvalidRedirectUri"),
    ],
)
def test_who_cannot_be_trusted_is_not_redirected(
    oneworld: Api, changes: dict[str, str | None], detail: str
) -> None:
    answer = httpx.get(f"{base(oneworld)}{AUTHORIZE}", params=query(**changes))
    assert answer.status_code == 400
    assert "location" not in answer.headers
    assert "<script>" not in answer.text
    assert oneworld.admin("GET", "logins?status=failure")["items"][-1]["detail"] == detail


REFUSALS: list[tuple[dict[str, str | None], str, str]] = [
    ({"state": "x" * 21}, "invalid_request", "InvalidState"),
    ({"state": "x" * 1025}, "invalid_request", "InvalidState"),
    ({"state": "ümlaut" * 10}, "invalid_request", "InvalidState"),
    ({"state": "x" * 22 + "\n"}, "invalid_request", "InvalidState"),
    ({"state": None}, "invalid_request", "InvalidState"),
    ({"response_type": None}, "invalid_request", "InvalidRequest"),
    ({"response_type": "token"}, "unsupported_response_type", "InvalidRequest"),
    ({"prompt": "select_account"}, "invalid_request", "InvalidRequest"),
    ({"scope": None}, "invalid_scope", "InvalidScope"),
    ({"scope": "rest_webservices openid"}, "invalid_scope", "InvalidScope"),
    ({"scope": "mcp rest_webservices"}, "invalid_scope", "InvalidScope"),
    ({"scope": "suite_analytics"}, "invalid_scope", "ScopeMismatched"),
    ({"code_challenge_method": "plain"}, "invalid_request", "InvalidRequest"),
    ({"code_challenge_method": None}, "invalid_request", "InvalidRequest"),
    ({"code_challenge": None}, "invalid_request", "InvalidRequest"),
    ({"code_challenge": "too-short"}, "invalid_request", "InvalidRequest"),
    (
        {"client_id": "billing-desktop", "code_challenge": None, "code_challenge_method": None},
        "invalid_request",
        "InvalidRequest",
    ),
]


@pytest.mark.parametrize(("changes", "error", "detail"), REFUSALS)
def test_other_mistakes_are_told_to_the_application(
    oneworld: Api, changes: dict[str, str | None], error: str, detail: str
) -> None:
    answer = httpx.get(f"{base(oneworld)}{AUTHORIZE}", params=query(**changes))
    assert answer.status_code == 302
    assert returned(answer.headers["location"])["error"] == error
    assert "code" not in returned(answer.headers["location"])
    assert oneworld.admin("GET", "logins?status=failure")["items"][-1]["detail"] == detail


@pytest.mark.parametrize("state", ["x" * 22, " ~" * 512])
def test_a_state_at_its_limits_comes_back_unchanged(oneworld: Api, state: str) -> None:
    answer = httpx.get(f"{base(oneworld)}{AUTHORIZE}", params=query(state=state, prompt="none"))
    assert returned(answer.headers["location"])["state"] == state


def code(api: Api, **changes: str | None) -> str:
    answer = httpx.get(f"{base(api)}{AUTHORIZE}", params=query(prompt="none", **changes))
    return returned(answer.headers["location"])["code"]


EXCHANGES: list[tuple[dict[str, str], str, str]] = [
    ({"code": "0" * 64}, "invalid_grant", "InvalidCode"),
    ({"code": ""}, "invalid_request", "InvalidRequest"),
    ({"redirect_uri": ""}, "invalid_request", "InvalidRequest"),
    ({"redirect_uri": "https://portal.example.com/netsuite?tenant=1"}, "invalid_grant", "InvalidRedirectUri"),
    ({"code_verifier": VERIFIER + "x"}, "invalid_grant", "InvalidCodeVerifier"),
    ({"code_verifier": ""}, "invalid_request", "InvalidCodeVerifier"),
    ({"code_verifier": "x" * 42}, "invalid_request", "InvalidCodeVerifier"),
    ({"code_verifier": "x" * 129}, "invalid_request", "InvalidCodeVerifier"),
    ({"code_verifier": challenge_of(VERIFIER)}, "invalid_grant", "InvalidCodeVerifier"),
]


@pytest.mark.parametrize(("changes", "error", "detail"), EXCHANGES)
def test_a_code_is_exchanged_by_the_rules_only(
    oneworld: Api, changes: dict[str, str], error: str, detail: str
) -> None:
    form = {
        "grant_type": "authorization_code",
        "code": code(oneworld),
        "redirect_uri": CALLBACK,
        "code_verifier": VERIFIER,
    }
    answer = httpx.post(
        oneworld.token_url, auth=("billing-portal", "cs_invented_portal"), data=form | changes
    )
    assert (answer.status_code, answer.json()) == (400, {"error": error})
    assert oneworld.admin("GET", "logins?status=failure")["items"][-1]["detail"] == detail


@pytest.mark.parametrize(
    ("auth", "form"),
    [
        (("billing-portal", "wrong"), {}),
        (("billing-portal", ""), {}),
        (("nobody", "cs_invented_portal"), {}),
        (("billing-desktop", "a secret"), {}),
        (None, {"client_id": "billing-portal"}),
        (None, {"client_id": "billing-portal", "client_secret": "cs_invented_portal"}),
        (None, {}),
    ],
)
def test_a_client_that_does_not_prove_itself_is_refused(
    oneworld: Api, auth: tuple[str, str] | None, form: dict[str, str]
) -> None:
    form = form | {"grant_type": "refresh_token", "refresh_token": "x"}
    answer = httpx.post(oneworld.token_url, auth=auth, data=form)  # type: ignore[arg-type]
    assert (answer.status_code, answer.json()) == (401, {"error": "invalid_client"})
    assert answer.headers["www-authenticate"] == 'Basic realm="1234567_SB1"'
    assert (
        oneworld.admin("GET", "logins?status=failure")["items"][-1]["detail"] == "ClientAuthenticationFailed"
    )


def test_the_grant_must_be_enabled(oneworld: Api) -> None:
    form = {"grant_type": "refresh_token", "refresh_token": "x"}
    answer = httpx.post(oneworld.token_url, auth=("billing-integration", "cs_invented_0002"), data=form)
    assert (answer.status_code, answer.json()) == (400, {"error": "unauthorized_client"})
    detail = oneworld.admin("GET", "logins?status=failure")["items"][-1]["detail"]
    assert detail == "AuthorizationCodeGrantRequired"


def test_a_refresh_token_is_no_access_token_nor_the_other_way(oneworld: Api) -> None:
    token = authorize(oneworld, application(oneworld))
    assert get_currency(oneworld, token["refresh_token"]) == 401
    assert oneworld.admin("GET", "logins?status=failure")["items"][-1]["detail"] == "TokenRejected"
    form = {"grant_type": "refresh_token", "refresh_token": token["access_token"]}
    answer = httpx.post(oneworld.token_url, auth=("billing-portal", "cs_invented_portal"), data=form)
    assert answer.json() == {"error": "invalid_grant"}
    assert oneworld.admin("GET", "logins?status=failure")["items"][-1]["detail"] == "InvalidTokenType"
