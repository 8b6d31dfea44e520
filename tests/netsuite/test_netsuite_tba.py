"""Token-based authentication: signatures against known answers, one nonce an attempt, and nobody locked out."""

from __future__ import annotations

import asyncio
import pickle
import re
from urllib.parse import quote, unquote

import httpx
import pytest
from fake_account import HOSTS, Clock, FakeAccount, connect, governor, invalid_login, too_many
from hypothesis import given, settings
from hypothesis import strategies as st

from resources.netsuite.client import NetSuite
from resources.netsuite.errors import SignInFailed
from resources.netsuite.tba import TbaCredentials, TokenBased, base_string, signed_header

ORACLE = TbaCredentials(
    "ef40afdd8abaac111b13825dd5e5e2ddddb44f86d5a0dd6dcf38c20aae6b67e4",
    "d26ad321a4b2f23b0741c8d38392ce01c3e23e109df6c96eac6d099e9ab9e8b5",
    "2b0ce516420110bcbd36b69e99196d1b7f6de3c6234c5afb799b73d87569f5cc",
    "c29a677df7d5439a458c063654187e3d678d73aca8e3c9d8bea1478a3eb0d295",
)
OURS = TbaCredentials("ck_invented_0001", "cs_invented_0002", "tk_invented_0003", "ts_invented_0004")
REST = "https://7654321-sb1.suitetalk.api.netsuite.com/services/rest"
ANSWER = httpx.Response(200, json={"id": "7"})


def parts(header: str) -> dict[str, str]:
    assert header.startswith("OAuth ")
    return {name: unquote(value) for name, value in re.findall(r'(\w+)="([^"]*)"', header)}


@pytest.mark.parametrize(
    ("method", "url", "expected"),
    [
        (
            "POST",
            f"{REST}/query/v1/suiteql?limit=1000&offset=0",
            "nRtOfGppchg2zddQbYGBQIhXUDOGppO3KOjnRjfSARI=",
        ),
        (
            "GET",
            f"{REST}/record/v1/customer?q=companyName%20IS%20%22Acme%20%26%20Sons%22",
            "0QW99EFa4Xydkm/otWlmo/sIk798fUb699/SGkzPY1w=",
        ),
        ("PUT", f"{REST}/record/v1/customer/eid:CUST-00042", "9C1pJz8COHrSwJmoZ46HD8m709PxCbvspeSOQNsacMI="),
    ],
)
def test_signatures_are_those_computed_elsewhere(method: str, url: str, expected: str) -> None:
    header = signed_header(method, url, "7654321_SB1", OURS, "n0nceN0nceN0nceN0nce", 1790000000)
    assert parts(header) == {
        "realm": "7654321_SB1",
        "oauth_consumer_key": "ck_invented_0001",
        "oauth_token": "tk_invented_0003",
        "oauth_nonce": "n0nceN0nceN0nceN0nce",
        "oauth_timestamp": "1790000000",
        "oauth_signature_method": "HMAC-SHA256",
        "oauth_version": "1.0",
        "oauth_signature": expected,
    }


def test_the_signature_of_oracles_published_sample() -> None:
    url = "https://123456.suitetalk.api.netsuite.com/services/rest/record/v1/employee/40"
    header = signed_header("GET", url, "123456", ORACLE, "fjaLirsIcCGVZWzBX0pg", 1508242306)
    assert parts(header)["oauth_signature"] == "B5OIWznZ2YP0OB7VrJrGkYsTh+8H+5T9Hag+o92q0zY="


def test_the_base_string_encodes_a_query_value_twice_and_leaves_the_realm_out() -> None:
    text = base_string("get", f"{REST}/record/v1/customer?q=companyName%20IS%20%22Acme%20%26%20Sons%22", {})
    assert text.startswith("GET&https%3A%2F%2F7654321-sb1.suitetalk.api.netsuite.com%2Fservices")
    assert text.endswith("&q%3DcompanyName%2520IS%2520%2522Acme%2520%2526%2520Sons%2522")


@settings(max_examples=60, deadline=None)
@given(pairs=st.lists(st.tuples(st.text(min_size=1, max_size=6), st.text(max_size=8)), max_size=6))
def test_base_strings_are_those_of_another_library(pairs: list[tuple[str, str]]) -> None:
    theirs = pytest.importorskip("oauthlib.oauth1.rfc5849.signature")
    pairs = [(name.replace("\0", ""), value) for name, value in pairs]
    pairs = [(f"q{name}", value) for name, value in pairs if not re.search("[\ud800-\udfff]", name + value)]
    query = "&".join(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in pairs)
    url = f"{REST}/record/v1/invoice"
    normal = theirs.normalize_parameters([*pairs, ("oauth_nonce", "n")])
    expected = theirs.signature_base_string("GET", theirs.base_string_uri(url), normal)
    assert base_string("GET", f"{url}?{query}" if query else url, {"oauth_nonce": "n"}) == expected


def signing(clock: Clock | None = None, read: object = None) -> TokenBased:
    return TokenBased(HOSTS, read or (lambda: OURS), clock=clock or Clock())  # type: ignore[arg-type]


async def get(ns: NetSuite) -> object:
    return await ns.get("invoice", "7")


def test_each_attempt_has_a_nonce_and_time_of_its_own() -> None:
    clock = Clock()

    def later(request: httpx.Request) -> httpx.Response:
        clock.now += 7
        return too_many()

    account = FakeAccount([later, later, ANSWER])

    async def run() -> None:
        async with connect(account, auth=signing(clock)) as ns:
            await get(ns)

    asyncio.run(run())
    sent = [parts(request.headers["authorization"]) for request in account.requests]
    assert len({one["oauth_nonce"] for one in sent}) == 3
    assert [int(one["oauth_timestamp"]) - int(clock.now) for one in sent] == [-14, -7, 0]
    assert all(len(one["oauth_nonce"]) >= 20 for one in sent)


def test_a_401_is_tried_once_more_with_a_fresh_signature_and_then_stops() -> None:
    account = FakeAccount([invalid_login(), ANSWER])

    async def run() -> None:
        async with connect(account, auth=signing()) as ns:
            await get(ns)

    asyncio.run(run())
    assert len({parts(request.headers["authorization"])["oauth_nonce"] for request in account.requests}) == 2

    refused = FakeAccount([invalid_login()])

    async def run_refused() -> None:
        async with connect(refused, auth=signing()) as ns:
            await get(ns)

    with pytest.raises(SignInFailed) as caught:
        asyncio.run(run_refused())
    assert len(refused.requests) == 2
    assert caught.value.status == 401


def test_refused_credentials_never_reach_the_fifth_attempt_that_locks_the_user() -> None:
    async def slowly(request: httpx.Request) -> httpx.Response:
        await asyncio.sleep(0.005)
        return invalid_login()

    clock, account = Clock(), FakeAccount([slowly])
    auth = signing(clock)

    async def run() -> list[object]:
        async with connect(account, auth=auth, governor=governor(40)) as ns:
            return await asyncio.gather(*(get(ns) for _ in range(30)), return_exceptions=True)

    errors = asyncio.run(run())
    assert {isinstance(error, SignInFailed) for error in errors} == {True}
    assert len(account.requests) == 4
    assert any("lock the user" in str(error) for error in errors)
    clock.now += 1799
    asyncio.run(run())
    assert len(account.requests) == 4
    clock.now += 2
    asyncio.run(run())
    assert len(account.requests) > 4


def test_credentials_that_changed_are_used_at_once_and_no_request_is_lost() -> None:
    good = TbaCredentials("ck_invented_0001", "cs_invented_0002", "tk_new", "ts_new")
    held = [OURS]
    valid = {"tk_invented_0003"}

    def by_token(request: httpx.Request) -> httpx.Response:
        if len(account.requests) >= 25 and held[0] is OURS:
            valid.clear()
            valid.add("tk_new")
            held[0] = good
        return ANSWER if parts(request.headers["authorization"])["oauth_token"] in valid else invalid_login()

    async def slowly(request: httpx.Request) -> httpx.Response:
        await asyncio.sleep(0.001)
        return by_token(request)

    account = FakeAccount([slowly])
    auth = signing(read=lambda: held[0])

    async def run() -> None:
        async with connect(account, auth=auth, governor=governor(5)) as ns:
            await asyncio.gather(*(get(ns) for _ in range(60)))

    asyncio.run(run())
    used = [parts(request.headers["authorization"])["oauth_token"] for request in account.requests]
    assert used.count("tk_new") >= 30
    assert 60 <= len(used) <= 65


def test_until_one_answer_proves_the_credentials_requests_go_out_one_at_a_time() -> None:
    in_flight, peaks = [0], []

    async def slowly(request: httpx.Request) -> httpx.Response:
        in_flight[0] += 1
        peaks.append(in_flight[0])
        await asyncio.sleep(0.01)
        in_flight[0] -= 1
        return ANSWER

    account = FakeAccount([slowly])

    async def run() -> None:
        async with connect(account, auth=signing(), governor=governor(9)) as ns:
            await asyncio.gather(*(get(ns) for _ in range(20)))

    asyncio.run(run())
    assert peaks[:2] == [1, 1]
    assert max(peaks) == 8
    assert len(peaks) == 20


def test_no_secret_stands_in_a_repr_or_pickle() -> None:
    auth = signing()
    seen = f"{auth!r} {OURS!r}"
    assert "invented" not in seen
    with pytest.raises(TypeError):
        pickle.dumps(auth)
