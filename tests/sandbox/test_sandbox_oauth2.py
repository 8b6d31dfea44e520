"""OAuth 2.0 client credentials: what the token endpoint takes and refuses, and what the audit trail says of it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from sandbox_tools import Api, Integration, unique


@pytest.fixture(scope="session")
def rsa_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 3072)


def pem_of(key: Any) -> str:
    public: bytes = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return public.decode()


def with_key(api: Api, key: Any, algorithm: str) -> Integration:
    """An integration whose certificate has just been added."""
    name = unique("cert")
    api.admin(
        "POST", "certificates", {"client_id": api.integration.client_id, "id": name, "pem": pem_of(key)}
    )
    return Integration(api.integration.client_id, name, key, algorithm)


def last_failure(api: Api) -> dict[str, Any]:
    found: dict[str, Any] = api.admin("GET", "logins?status=failure")["items"][-1]
    return found


@pytest.mark.parametrize(
    ("algorithm", "curve"), [("ES256", ec.SECP256R1()), ("ES384", ec.SECP384R1()), ("ES512", ec.SECP521R1())]
)
def test_every_elliptic_curve_is_taken(oneworld: Api, algorithm: str, curve: ec.EllipticCurve) -> None:
    integration = with_key(oneworld, ec.generate_private_key(curve), algorithm)
    assert oneworld.ask_token(integration.assertion(oneworld.token_url)).status_code == 200


@pytest.mark.parametrize("algorithm", ["PS256", "PS384", "PS512"])
def test_every_rsa_pss_algorithm_is_taken(oneworld: Api, rsa_key: rsa.RSAPrivateKey, algorithm: str) -> None:
    integration = with_key(oneworld, rsa_key, algorithm)
    assert oneworld.ask_token(integration.assertion(oneworld.token_url)).status_code == 200


def test_the_answer_has_netsuites_form(oneworld: Api, turned: Api) -> None:
    answer = oneworld.ask_token(oneworld.integration.assertion(oneworld.token_url)).json()
    assert answer.keys() == {"access_token", "expires_in", "token_type"}
    assert (answer["expires_in"], answer["token_type"]) == ("3600", "bearer")
    other = turned.ask_token(turned.integration.assertion(turned.token_url)).json()
    assert (other["expires_in"], other["token_type"]) == (3600, "Bearer")


def test_the_access_token_is_a_jwt_that_the_keys_endpoint_verifies(oneworld: Api) -> None:
    token = oneworld.ask_token(oneworld.integration.assertion(oneworld.token_url)).json()["access_token"]
    key = jwt.PyJWKSet.from_dict(httpx.get(f"{oneworld.rest}/auth/oauth2/v1/keys").json())
    claims = jwt.decode(
        token, key[jwt.get_unverified_header(token)["kid"]], ["PS256"], options={"verify_aud": False}
    )
    assert claims["sub"] == "1042;317"
    assert claims["iss"] == "https://system.netsuite.com"
    assert claims["exp"] - claims["iat"] == 3600
    assert claims["scope"] == ["rest_webservices"]


@pytest.mark.parametrize(
    "scope", [["rest_webservices", "restlets"], "rest_webservices,restlets", "rest_webservices restlets"]
)
def test_scope_comes_in_three_forms(oneworld: Api, scope: object) -> None:
    assert (
        oneworld.ask_token(oneworld.integration.assertion(oneworld.token_url, scope=scope)).status_code == 200
    )


@pytest.mark.parametrize("family", ["suitetalk", "restlets"])
def test_the_canonical_audience_is_taken(oneworld: Api, family: str) -> None:
    audience = f"https://1234567-sb1.{family}.api.netsuite.com/services/rest/auth/oauth2/v1/token"
    assert oneworld.ask_token(oneworld.integration.assertion(audience)).status_code == 200


NOW = time.time()
REFUSALS: list[tuple[dict[str, Any], str, str]] = [
    (
        {"aud": "https://7654321.suitetalk.api.netsuite.com/services/rest/auth/oauth2/v1/token"},
        "invalid_grant",
        "TokenNotAcceptable",
    ),
    ({"aud": None}, "invalid_grant", "TokenNotAcceptable"),
    ({"exp": int(NOW) - 10, "iat": int(NOW) - 60}, "invalid_grant", "TokenExpired"),
    ({"exp": int(NOW) + 7000, "iat": int(NOW)}, "invalid_grant", "TokenValidityTooBroad"),
    ({"iat": int(NOW) + 2000}, "invalid_grant", "TokenNotAcceptable"),
    ({"iat": None}, "invalid_grant", "TokenNotAcceptable"),
    ({"iss": "nobody"}, "invalid_client", "InvalidIssuer"),
    ({"scope": ["suite_analytics"]}, "invalid_scope", "ScopeMismatched"),
    ({"scope": ["everything"]}, "invalid_scope", "InvalidScope"),
    ({"scope": None}, "invalid_scope", "InvalidScope"),
    ({"header": {"kid": "cert-99"}}, "invalid_grant", "MissingKey"),
    ({"header": {"kid": ""}}, "invalid_grant", "MissingKeyId"),
    ({"header": {"typ": "at+jwt"}}, "invalid_grant", "InvalidTokenType"),
    ({"scope": ["mcp", "rest_webservices"]}, "invalid_scope", "InvalidScope"),
    ({"exp": "soon"}, "invalid_grant", "TokenNotAcceptable"),
]


@pytest.mark.parametrize(("changes", "error", "detail"), REFUSALS)
def test_a_bad_assertion_is_refused_and_the_audit_trail_says_why(
    oneworld: Api, changes: dict[str, Any], error: str, detail: str
) -> None:
    answer = oneworld.ask_token(oneworld.integration.assertion(oneworld.token_url, **changes))
    assert answer.json() == {"error": error}
    assert answer.status_code == (401 if error == "invalid_client" else 400)
    if error == "invalid_client":
        assert answer.headers["www-authenticate"] == 'Basic realm="1234567_SB1"'
    assert last_failure(oneworld)["detail"] == detail


def test_the_signature_is_checked(oneworld: Api) -> None:
    forged = replace(oneworld.integration, key=ec.generate_private_key(ec.SECP256R1()))
    assert oneworld.ask_token(forged.assertion(oneworld.token_url)).json() == {"error": "invalid_grant"}
    assert last_failure(oneworld)["detail"] == "InvalidSignature"


def test_rs256_is_not_allowed(oneworld: Api, rsa_key: rsa.RSAPrivateKey) -> None:
    integration = replace(with_key(oneworld, rsa_key, "PS256"), algorithm="RS256")
    assert oneworld.ask_token(integration.assertion(oneworld.token_url)).json() == {"error": "invalid_grant"}
    assert last_failure(oneworld)["detail"] == "UnsupportedAlgo"


def test_an_algorithm_must_fit_its_key(oneworld: Api) -> None:
    integration = with_key(oneworld, ec.generate_private_key(ec.SECP384R1()), "ES384")
    other = replace(oneworld.integration, certificate_id=integration.certificate_id)
    assert oneworld.ask_token(other.assertion(oneworld.token_url)).json() == {"error": "invalid_grant"}
    assert last_failure(oneworld)["detail"] == "UnsupportedAlgo"


def test_a_short_rsa_certificate_cannot_be_added(oneworld: Api) -> None:
    body = {
        "client_id": "billing-integration",
        "id": "short",
        "pem": pem_of(rsa.generate_private_key(65537, 2048)),
    }
    answer = oneworld.http.post("sandbox/certificates", json=body)
    assert answer.status_code == 400
    assert "3072 or 4096" in answer.json()["error"]


def test_malformed_token_requests(oneworld: Api) -> None:
    good = oneworld.integration.assertion(oneworld.token_url)
    assert oneworld.ask_token(good, grant_type="password").json() == {"error": "unsupported_grant_type"}
    assert oneworld.ask_token("no jwt").json() == {"error": "invalid_request"}
    assert last_failure(oneworld)["detail"] == "SignatureValidation"
    assert oneworld.ask_token(good, client_assertion_type="jwt").json() == {"error": "invalid_request"}
    assert oneworld.http.post(oneworld.token_url, json={}).json() == {"error": "invalid_request"}


def test_a_client_id_beside_the_assertion_must_be_its_issuer(oneworld: Api) -> None:
    good = oneworld.integration.assertion(oneworld.token_url)
    assert oneworld.ask_token(good, client_id="billing-integration").status_code == 200
    assert oneworld.ask_token(good, client_id="billing-auditor").json() == {"error": "invalid_grant"}
    assert last_failure(oneworld)["detail"] == "ClientIdMismatch"


def test_the_grant_must_be_enabled_on_the_integration(oneworld: Api) -> None:
    assertion = oneworld.integration.assertion(oneworld.token_url, iss="billing-portal")
    assert oneworld.ask_token(assertion).json() == {"error": "unauthorized_client"}
    assert last_failure(oneworld)["detail"] == "InvalidIntegration"


def test_a_blocked_integration_gets_no_token(fresh: Callable[..., tuple[Any, Api]]) -> None:
    _, api = fresh()
    state = {"client_id": "billing-integration", "blocked": True}
    assert api.admin("POST", "integrations", state) == state
    good = api.integration.assertion(api.token_url)
    assert api.ask_token(good).json() == {"error": "invalid_grant"}
    assert last_failure(api)["detail"] == "IntegrationBlocked"
    assert api.send("GET", "currency/1").status_code == 401
    api.admin("POST", "integrations", state | {"blocked": False})
    assert api.ask_token(good).status_code == 200
    assert api.send("GET", "currency/1").status_code == 200
    answer = api.http.post("sandbox/integrations", json=state | {"client_id": "nobody"})
    assert (answer.status_code, "nobody" in answer.json()["error"]) == (404, True)


def test_access_tokens_can_be_made_to_expire(fresh: Callable[..., tuple[Any, Api]]) -> None:
    _, api = fresh()
    assert api.admin("POST", "tokens/expire") == {"expired": 1}
    assert api.send("GET", "currency/1").status_code == 401
    assert last_failure(api)["detail"] == "AccessTokenExpired"
    assert api.admin("POST", "tokens/revoke?refresh=true") == {"revoked": 1, "refresh_tokens_revoked": 0}


def test_the_error_of_a_bad_assertion_is_a_switch(turned: Api) -> None:
    answer = turned.ask_token(turned.integration.assertion(turned.token_url, aud="elsewhere"))
    assert (answer.status_code, answer.json()) == (401, {"error": "invalid_client"})


def test_a_bad_bearer_token_is_refused_as_netsuite_does(oneworld: Api) -> None:
    refused = oneworld.refused("GET", "invoice/1", headers={"Authorization": "Bearer nonsense"})
    assert (refused.status, refused.code) == (401, "INVALID_LOGIN")
    assert refused.detail.startswith("Invalid login attempt. For more details, see the Login Audit Trail")
    assert refused.answer.headers["www-authenticate"] == (
        'Bearer realm="1234567_SB1", error="invalid_token", error_description="Invalid login attempt."'
    )
    assert last_failure(oneworld)["detail"] == "TokenRejected"


def test_no_credentials_at_all(oneworld: Api) -> None:
    answer = httpx.get(f"{oneworld.rest}/record/v1/invoice/1")
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith('OAuth realm="1234567_SB1", error="token_rejected"')


def test_a_token_of_one_account_is_nothing_to_another(oneworld: Api, single: Api) -> None:
    answer = httpx.get(f"{single.rest}/record/v1/currency/1", headers=oneworld.headers)
    assert answer.status_code == 401


def test_a_revoked_token_stops_working(fresh: Callable[..., tuple[Any, Api]]) -> None:
    _, api = fresh()
    assert api.send("GET", "currency/1").status_code == 200
    assert api.admin("POST", "tokens/revoke") == {"revoked": 1}
    assert api.send("GET", "currency/1").status_code == 401
    api.login()
    assert api.send("GET", "currency/1").status_code == 200
