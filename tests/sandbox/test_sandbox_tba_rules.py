"""Token-based authentication by profile, clock and switch: every detail of the login audit trail that time or the
profile decides."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest
from oauth2_tools import Local, oneworld_with
from sandbox_tools import unique

from sandbox.auth.tba import base_string, sign
from sandbox.wire import Response, decode

PATH = "/services/rest/record/v1/currency/1"


def ask(local: Local, path: str = PATH, headers: dict[str, str] | None = None, **changes: str) -> Response:
    """One well-signed GET, with parts of the header changed."""
    oauth = {
        "oauth_consumer_key": "billing-integration",
        "oauth_token": "tk_invented_0003",
        "oauth_nonce": unique("nonce"),
        "oauth_timestamp": str(int(local.clock.now().timestamp())),
        "oauth_signature_method": "HMAC-SHA256",
        "oauth_version": "1.0",
    } | changes
    signature = sign(
        base_string("GET", f"https://1234567-sb1.x.netsuite.com{path}", [], oauth),
        "cs_invented_0002",
        "ts_invented_0004",
    )
    parts = {"realm": local.account.profile.account, **oauth, "oauth_signature": signature}
    header = "OAuth " + ", ".join(f'{name}="{quote(value, safe="")}"' for name, value in parts.items())
    return local.ask("GET", path, headers={"authorization": header} | (headers or {}))


def challenge(answer: Response) -> str:
    return dict(answer.headers)[b"www-authenticate"].decode()


def test_the_window_is_five_minutes_on_either_side_to_the_second() -> None:
    local = oneworld_with()
    now = int(local.clock.now().timestamp())
    for offset, status in ((-300, 200), (-301, 401), (300, 200), (301, 401)):
        assert ask(local, oauth_timestamp=str(now + offset)).status == status
    for stamp in ("-1", "1e9", "٣", "now"):
        assert ask(local, oauth_timestamp=stamp).status == 401
        assert local.last_failure == "InvalidTimestamp"
        local.account.auth.lock.release()


def test_a_nonce_is_used_with_another_timestamp_or_not_at_all() -> None:
    local = oneworld_with()
    assert ask(local, oauth_nonce="nonce6").status == 200
    assert ask(local, oauth_nonce="nonce6").status == 401
    assert local.last_failure == "NonceUsed"
    local.clock.forward(seconds=1)
    assert ask(local, oauth_nonce="nonce6").status == 200
    assert ask(local, oauth_nonce="five5").status == 401


def test_a_lock_lasts_half_an_hour() -> None:
    local = oneworld_with()
    for _ in range(5):
        ask(local, oauth_version="2.0")
    local.clock.forward(minutes=30, seconds=-1)
    assert ask(local).status == 401
    assert local.last_failure == "temporary_locked"
    local.clock.forward(seconds=1)
    assert ask(local).status == 200


@pytest.mark.parametrize(("failures", "minutes"), [(2, 5), (0, 30)])
def test_the_lock_is_a_switch(failures: int, minutes: int) -> None:
    switches = {"lock_after_failures": failures, "lock_minutes": minutes}
    local = oneworld_with(lambda declared: declared.update(switches=switches))
    for _ in range(10):
        assert ask(local, oauth_version="2.0").status == 401
    assert ask(local).status == (401 if failures else 200)
    local.clock.forward(minutes=minutes)
    assert ask(local).status == 200


def revoke_token(declared: dict[str, Any]) -> None:
    declared["integrations"][0]["tokens"][0]["revoked"] = True


def no_permission(declared: dict[str, Any]) -> None:
    del declared["roles"][0]["permissions"]["Log in using Access Tokens"]


def view_only(declared: dict[str, Any]) -> None:
    declared["roles"][0]["permissions"]["Log in using Access Tokens"] = "view"


def inactive_role(declared: dict[str, Any]) -> None:
    declared["roles"][0]["inactive"] = True


def inactive_user(declared: dict[str, Any]) -> None:
    declared["users"][0]["inactive"] = True


def feature_off(declared: dict[str, Any]) -> None:
    declared["features"] = {"token_based_authentication": False}


def blocked(declared: dict[str, Any]) -> None:
    declared["integrations"][0]["blocked"] = True


def no_secret(declared: dict[str, Any]) -> None:
    del declared["integrations"][0]["client_secret"]


@pytest.mark.parametrize(
    ("change", "detail"),
    [
        (revoke_token, "token_rejected"),
        (no_permission, "permission_denied"),
        (view_only, "permission_denied"),
        (inactive_role, "permission_denied"),
        (inactive_user, "permission_denied"),
        (feature_off, "FeatureDisabled"),
        (blocked, "consumer_key_refused"),
        (no_secret, "consumer_key_unknown"),
    ],
)
def test_what_the_profile_forbids(change: Any, detail: str) -> None:
    local = oneworld_with(change)
    answer = ask(local)
    assert answer.status == 401
    assert decode(answer.body)["o:errorDetails"][0]["o:errorCode"] == "INVALID_LOGIN"
    assert 'error="token_rejected"' in challenge(answer)
    assert local.last_failure == detail


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"oauth_consumer_key": "x"}, "consumer_key_unknown"),
        ({"oauth_token": "x"}, "token_rejected"),
        ({"oauth_timestamp": "1"}, "timestamp_refused"),
        ({"oauth_signature_method": "HMAC-SHA1"}, "signature_method_rejected"),
        ({"oauth_version": "1.1"}, "version_rejected"),
        ({"oauth_nonce": ""}, "parameter_absent"),
    ],
)
def test_the_challenge_can_tell_the_reason(changes: dict[str, str], error: str) -> None:
    local = oneworld_with(lambda declared: declared.update(switches={"tba_challenge_error": "reason"}))
    assert f'error="{error}"' in challenge(ask(local, **changes))


def test_cookies_can_be_allowed() -> None:
    def allow(declared: dict[str, Any]) -> None:
        declared["switches"] = {"tba_refuses_cookies": False}

    assert ask(oneworld_with(), headers={"cookie": "a=b"}).status == 401
    assert ask(oneworld_with(allow), headers={"cookie": "a=b"}).status == 200


def test_the_restlet_host_has_words_of_its_own() -> None:
    local = oneworld_with()
    assert ask(local, "/rest/tokeninfo", oauth_nonce="same-nonce").status == 200
    assert ask(local, "/rest/tokeninfo", oauth_nonce="same-nonce").status == 401
    assert local.last_failure == "nonce_rejected"
