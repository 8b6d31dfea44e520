"""How long OAuth 2.0 tokens, codes and consents live, what ends them, and the switches: with a clock that is set."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import jwt
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given, settings
from hypothesis import strategies as st
from oauth2_tools import (
    AUTHORIZE,
    DESKTOP,
    PORTAL,
    REVOKE,
    TOKEN,
    Client,
    Local,
    content,
    new_key,
    oneworld_with,
    query,
    returned,
    ticket_of,
)


def integration(declared: dict[str, Any], client_id: str) -> dict[str, Any]:
    found: dict[str, Any] = next(i for i in declared["integrations"] if i["client_id"] == client_id)
    return found


def switched(**switches: Any) -> Local:
    return oneworld_with(lambda declared: declared.update(switches=switches))


def tokens(local: Local, client: Client = PORTAL) -> tuple[str, str]:
    answer = local.exchange(client)
    assert answer.status == 200, answer.body
    return content(answer)["access_token"], content(answer)["refresh_token"]


def back(local: Local, **changes: str | None) -> dict[str, str]:
    answer = local.ask("GET", f"{AUTHORIZE}?{urlencode(query(**changes))}")
    assert answer.status == 302, answer.body
    return returned(dict(answer.headers)[b"location"].decode())


def test_an_access_token_lives_an_hour() -> None:
    local = oneworld_with()
    access, _ = tokens(local)
    local.clock.forward(seconds=3599)
    assert local.status(access) == 200
    local.clock.forward(seconds=1)
    assert local.status(access) == 401
    assert local.last_failure == "AccessTokenExpired"


def test_a_code_lives_ten_minutes_and_works_once() -> None:
    local = oneworld_with()
    code = local.code()
    local.clock.forward(seconds=600)
    assert content(local.exchange(PORTAL, code)) == {"error": "invalid_grant"}
    assert local.last_failure == "InvalidCode"
    code = local.code()
    local.clock.forward(seconds=599)
    assert local.exchange(PORTAL, code).status == 200
    assert content(local.exchange(PORTAL, code)) == {"error": "invalid_grant"}
    short = switched(authorization_code_seconds=5)
    code = short.code()
    short.clock.forward(seconds=5)
    assert short.exchange(PORTAL, code).status == 400


def test_a_code_that_failed_once_is_gone() -> None:
    local = oneworld_with()
    code = local.code()
    assert local.exchange(PORTAL, code, code_verifier="x" * 43).status == 400
    assert local.exchange(PORTAL, code).status == 400


@pytest.mark.parametrize(("client", "hours"), [(PORTAL, 7 * 24), (DESKTOP, 48)])
def test_a_refresh_token_lives_as_long_as_its_integration_says(client: Client, hours: int) -> None:
    local = oneworld_with()
    _, refresh = tokens(local, client)
    local.clock.forward(hours=hours, seconds=-1)
    assert local.refresh(client, refresh).status == 200
    _, refresh = tokens(local, client)
    local.clock.forward(hours=hours)
    assert content(local.refresh(client, refresh)) == {"error": "invalid_grant"}
    assert local.last_failure == "RefreshTokenExpired"


def test_lives_are_settings() -> None:
    def change(declared: dict[str, Any]) -> None:
        integration(declared, "billing-portal")["refresh_token_days"] = 1
        integration(declared, "billing-desktop")["refresh_token_hours"] = 720

    local = oneworld_with(change)
    confidential, public = tokens(local)[1], tokens(local, DESKTOP)[1]
    local.clock.forward(hours=24)
    assert local.refresh(PORTAL, confidential).status == 400
    local.clock.forward(hours=720 - 24, seconds=-1)
    assert local.refresh(DESKTOP, public).status == 200


@settings(max_examples=40, deadline=None)
@given(steps=st.lists(st.sampled_from(["refresh", "replay", "wait"]), max_size=12))
def test_of_a_public_chain_only_the_newest_token_works_and_has_its_whole_life(steps: list[str]) -> None:
    local = SHARED
    newest, age, used = tokens(local, DESKTOP)[1], 0, []
    for step in [*steps, "refresh"]:
        if step == "wait":
            local.clock.forward(hours=20)
            age += 20
        elif step == "refresh" and age < 48:
            answer = local.refresh(DESKTOP, newest)
            assert answer.status == 200
            used.append(newest)
            newest, age = content(answer)["refresh_token"], 0
        elif step == "refresh":
            assert content(local.refresh(DESKTOP, newest)) == {"error": "invalid_grant"}
            assert local.last_failure == "RefreshTokenExpired"
        for old in used:
            assert content(local.refresh(DESKTOP, old)) == {"error": "invalid_grant"}
            assert local.last_failure == "TokenRejected"


SHARED = oneworld_with()


def test_a_replay_can_end_the_chain() -> None:
    local = switched(refresh_reuse="revoke_chain")
    first = tokens(local, DESKTOP)[1]
    second = content(local.refresh(DESKTOP, first))
    assert local.refresh(DESKTOP, first).status == 400
    assert local.refresh(DESKTOP, second["refresh_token"]).status == 400
    assert local.last_failure == "TokenBlocked"
    assert local.status(second["access_token"]) == 401


def test_tokens_and_codes_belong_to_their_client() -> None:
    def change(declared: dict[str, Any]) -> None:
        second = integration(declared, "billing-portal") | {"client_id": "other", "name": "Other"}
        declared["integrations"].append(second)

    local = oneworld_with(change)
    other = Client("other", "cs_invented_portal")
    assert content(local.exchange(other, local.code())) == {"error": "invalid_grant"}
    assert local.last_failure == "ClientIdMismatch"
    access, refresh = tokens(local)
    assert content(local.refresh(other, refresh)) == {"error": "invalid_grant"}
    assert local.last_failure == "ClientIdMismatch"
    form = {"token": refresh}
    assert local.ask("POST", REVOKE, form, other.headers).status == 400
    assert local.status(access) == 200
    assert local.ask("POST", REVOKE, {"token": "unknown"}, other.headers).status == 200
    assert local.ask("POST", REVOKE, {}, other.headers).status == 400
    assert local.ask("POST", REVOKE, form, {}).status == 401


def test_a_blocked_integration_can_nothing_more() -> None:
    local = oneworld_with()
    access, refresh = tokens(local)
    code = local.code()
    local.account.auth.directory.block("billing-portal", True)
    assert local.status(access) == 401
    assert local.last_failure == "IntegrationBlocked"
    assert content(local.refresh(PORTAL, refresh)) == {"error": "unauthorized_client"}
    assert content(local.exchange(PORTAL, code)) == {"error": "unauthorized_client"}
    assert local.ask("GET", f"{AUTHORIZE}?{urlencode(query())}").status == 400
    assert local.last_failure == "IntegrationBlocked"
    local.account.auth.directory.block("billing-portal", False)
    assert local.status(access) == 200


def lose_permission(declared: dict[str, Any]) -> None:
    for role in declared["roles"]:
        role.get("permissions", {}).pop("Log in using OAuth 2.0 Access Tokens", None)
    declared["users"] = [user for user in declared["users"] if user["id"] != 401]
    integration(declared, "billing-portal")["consent_users"] = [318]


def inactive_users(declared: dict[str, Any]) -> None:
    for user in declared["users"]:
        user["inactive"] = True


def inactive_roles(declared: dict[str, Any]) -> None:
    for role in declared["roles"]:
        role["inactive"] = True


@pytest.mark.parametrize("change", [lose_permission, inactive_users, inactive_roles])
def test_without_a_user_and_role_that_can_log_in_nobody_consents(
    change: Callable[[dict[str, Any]], None],
) -> None:
    local = oneworld_with(change)
    assert back(local)["error"] == "access_denied"
    assert local.last_failure == "EntityOrRoleDisabled"


def test_a_role_that_is_made_inactive_ends_its_tokens() -> None:
    local = oneworld_with()
    access, refresh = tokens(local)
    directory = local.account.auth.directory
    for name, role in directory.roles.items():
        directory.roles[name] = role.model_copy(update={"inactive": True})
    assert local.status(access) == 401
    assert local.last_failure == "EntityOrRoleDisabled"
    assert content(local.refresh(PORTAL, refresh)) == {"error": "invalid_grant"}
    assert local.last_failure == "EntityOrRoleDisabled"


def test_a_scope_that_is_taken_from_the_integration_stops_refreshing() -> None:
    local = oneworld_with()
    refresh = tokens(local)[1]
    directory = local.account.auth.directory
    portal = directory.integrations["billing-portal"]
    directory.integrations["billing-portal"] = portal.model_copy(update={"scopes": ["restlets"]})
    assert content(local.refresh(PORTAL, refresh)) == {"error": "invalid_grant"}
    assert local.last_failure == "ScopeMismatched"


def test_the_feature_can_be_off() -> None:
    local = oneworld_with(lambda declared: declared.update(features={"oauth2": False}))
    assert local.ask("GET", f"{AUTHORIZE}?{urlencode(query())}").status == 400
    assert local.last_failure == "FeatureDisabled"
    assert local.refresh(PORTAL, "x").status == 400
    assert local.last_failure == "FeatureDisabled"


def test_an_access_token_without_the_scope_reads_no_record() -> None:
    local = oneworld_with()
    access = content(local.exchange(PORTAL, local.code(scope="restlets")))["access_token"]
    assert local.status(access) == 401
    assert local.last_failure == "ScopeMismatched"
    assert local.status(access, "/rest/tokeninfo") == 200


def test_pkce_may_be_left_out_by_confidential_clients_until_it_may_not() -> None:
    bare: dict[str, str | None] = {"code_challenge": None, "code_challenge_method": None}
    local = oneworld_with()
    assert local.exchange(PORTAL, local.code(**bare), code_verifier=None).status == 200
    # A verifier for a code that had no challenge is a downgrade.
    assert content(local.exchange(PORTAL, local.code(**bare))) == {"error": "invalid_request"}
    required = switched(confidential_pkce="required")
    assert back(required, **bare)["error"] == "invalid_request"


def test_the_scope_mcp_needs_pkce_and_stands_alone() -> None:
    def change(declared: dict[str, Any]) -> None:
        integration(declared, "billing-portal")["scopes"] = ["rest_webservices", "mcp"]

    local = oneworld_with(change)
    bare: dict[str, str | None] = {"code_challenge": None, "code_challenge_method": None}
    assert back(local, scope="mcp", **bare)["error"] == "invalid_request"
    assert back(local, scope="mcp rest_webservices")["error"] == "invalid_scope"
    assert "code" in back(local, scope="mcp", prompt="none")


def test_prompt_none_can_ask_for_an_earlier_consent() -> None:
    local = switched(prompt_none="consented")
    assert back(local, prompt="none")["error"] == "consent_required"
    page = local.ask("GET", f"{AUTHORIZE}?{urlencode(query())}").body.decode()
    form = {"ticket": ticket_of(page), "decision": "allow", "identity": "401;3"}
    assert local.ask("POST", AUTHORIZE, form).status == 302
    assert back(local, prompt="none")["role"] == "3"
    assert back(local, prompt="none", scope="restlets")["error"] == "consent_required"


def test_auto_consent_answers_whatever_the_prompt() -> None:
    local = oneworld_with(lambda declared: declared.update(auto_consent=True))
    for prompt in (None, "login", "consent"):
        assert back(local, prompt=prompt)["entity"] == "318"


def test_a_profile_without_users_consents_as_the_integrations_entity() -> None:
    def change(declared: dict[str, Any]) -> None:
        del declared["users"]
        del integration(declared, "billing-portal")["consent_users"]

    found = back(oneworld_with(change), prompt="none")
    assert (found["entity"], found["role"]) == ("317", "1042")


def test_refresh_tokens_outlive_a_restart_and_access_tokens_do_not(tmp_path: Path) -> None:
    state = tmp_path / "state.db"
    first = oneworld_with(state=state)
    access, refresh = tokens(first)
    used = tokens(first, DESKTOP)[1]
    live = content(first.refresh(DESKTOP, used))["refresh_token"]
    first.account.close()
    assert refresh.encode() not in state.read_bytes()
    second = oneworld_with(state=state)
    assert second.status(access) == 401
    assert second.refresh(PORTAL, refresh).status == 200
    assert second.refresh(DESKTOP, used).status == 400
    assert second.refresh(DESKTOP, live).status == 200
    second.account.close()


def test_reset_forgets_refresh_tokens_codes_and_open_pages() -> None:
    local = oneworld_with()
    access, refresh = tokens(local)
    code = local.code()
    page = local.ask("GET", f"{AUTHORIZE}?{urlencode(query())}").body.decode()
    local.account.reset()
    assert local.status(access) == 200
    assert local.refresh(PORTAL, refresh).status == 400
    assert local.exchange(PORTAL, code).status == 400
    form = {"ticket": ticket_of(page), "decision": "allow", "identity": "401;3"}
    assert local.ask("POST", AUTHORIZE, form).status == 400


def test_a_bearer_refusal_can_have_no_body() -> None:
    answer = switched(bearer_refusal_body="empty").ask(
        "GET", "/services/rest/record/v1/currency/1", headers={"authorization": "Bearer x"}
    )
    assert (answer.status, answer.body) == (401, b"")
    assert dict(answer.headers)[b"www-authenticate"].startswith(b"Bearer realm=")


def test_an_empty_bearer_token_is_a_malformed_request() -> None:
    local = oneworld_with()
    answer = local.ask("GET", "/services/rest/record/v1/currency/1", headers={"authorization": "Bearer "})
    assert answer.status == 400
    assert b'error="invalid_request"' in dict(answer.headers)[b"www-authenticate"]


def test_a_forged_access_token_is_told_from_an_unknown_one() -> None:
    local = oneworld_with()
    access, _ = tokens(local)
    head, body, signature = access.split(".")
    forged = f"{head}.{body}.{signature[:-4]}{'AAAA' if signature[-4:] != 'AAAA' else 'BBBB'}"
    assert local.status(forged) == 401
    assert local.last_failure == "InvalidSignature"
    assert oneworld_with().status(access) == 401


KEY = new_key()
PUBLIC = KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def mapped(change: Callable[[dict[str, Any]], None] = lambda _: None, **certificate: Any) -> Local:
    """An account whose profile maps a certificate, with more said of it."""

    def map_it(declared: dict[str, Any]) -> None:
        own = {"id": "cert-1", "public_key": PUBLIC} | certificate
        integration(declared, "billing-integration")["certificates"] = [own]
        change(declared)

    return oneworld_with(map_it)


def ask_token(local: Local) -> dict[str, Any]:
    now = int(local.clock.now().timestamp())
    audience = f"https://{local.account.profile.label}.suitetalk.api.netsuite.com{TOKEN}"
    claims = {"iss": "billing-integration", "scope": ["rest_webservices"], "aud": audience}
    assertion = jwt.encode(claims | {"iat": now, "exp": now + 3600}, KEY, "ES256", {"kid": "cert-1"})
    kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
    form = {"grant_type": "client_credentials", "client_assertion_type": kind, "client_assertion": assertion}
    found: dict[str, Any] = content(local.ask("POST", TOKEN, form))
    return found


def test_a_certificate_signs_in_as_its_own_role_and_entity() -> None:
    local = mapped(role="3", entity="401")
    token = ask_token(local)["access_token"]
    info = local.ask("GET", "/rest/tokeninfo", headers={"authorization": f"Bearer {token}"})
    assert (content(info)["roleId"], content(info)["userName"]) == ("3", "Ada Byron")


def test_a_certificate_works_through_its_last_day() -> None:
    local = mapped(valid_until="2026-11-03")
    local.clock.forward(hours=35)
    assert "access_token" in ask_token(local)
    local.clock.forward(hours=1)
    assert ask_token(local) == {"error": "invalid_grant"}
    assert local.last_failure == "MissingKey"


def test_a_certificate_lives_two_years_at_most() -> None:
    local = mapped(valid_until="2036-01-01")
    local.clock.forward(days=730)
    assert "access_token" in ask_token(local)
    local.clock.forward(days=1)
    assert ask_token(local) == {"error": "invalid_grant"}


def test_a_revoked_certificate_of_the_profile_signs_nobody_in() -> None:
    local = mapped(revoked=True)
    assert ask_token(local) == {"error": "invalid_grant"}
    assert local.last_failure == "MissingKey"


@pytest.mark.parametrize(
    ("change", "error", "detail"),
    [
        (inactive_users, "invalid_grant", "EntityOrRoleDisabled"),
        (inactive_roles, "invalid_grant", "EntityOrRoleDisabled"),
        (lose_permission, "invalid_grant", "EntityOrRoleDisabled"),
        (lambda declared: declared.update(features={"oauth2": False}), "invalid_request", "FeatureDisabled"),
    ],
)
def test_client_credentials_need_the_feature_and_a_role_that_can_log_in(
    change: Callable[[dict[str, Any]], None], error: str, detail: str
) -> None:
    local = mapped(change)
    assert ask_token(local) == {"error": error}
    assert local.last_failure == detail


def test_one_manages_ones_own_certificates_and_an_administrator_all() -> None:
    def another(declared: dict[str, Any]) -> None:
        other = {"id": "ada", "public_key": PUBLIC, "entity": "401", "role": "3"}
        integration(declared, "billing-integration")["certificates"].append(other)

    local = mapped(another)
    path = "/services/rest/auth/oauth2/v1/clients/billing-integration/certificates"
    own = {"authorization": f"Bearer {ask_token(local)['access_token']}"}
    assert [row["certificate_id"] for row in content(local.ask("GET", path, headers=own))] == ["cert-1"]
    assert local.ask("POST", f"{path}/ada/revoke", headers=own).status == 404
    page = local.ask("GET", f"{AUTHORIZE}?{urlencode(query())}").body.decode()
    form = {"ticket": ticket_of(page), "decision": "allow", "identity": "401;3"}
    code = returned(dict(local.ask("POST", AUTHORIZE, form).headers)[b"location"].decode())["code"]
    ada = {"authorization": f"Bearer {content(local.exchange(PORTAL, code))['access_token']}"}
    assert len(content(local.ask("GET", path, headers=ada))) == 2
    assert local.ask("POST", f"{path}/cert-1/revoke", headers=ada).status == 200
    assert ask_token(local) == {"error": "invalid_grant"}
