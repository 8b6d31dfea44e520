"""Accounts, concurrency, injected faults and the sandbox's own endpoints."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from sandbox_tools import Api, Refused, Server, unique

Fresh = Callable[..., tuple[Server, Api]]


# Accounts


def test_the_host_names_the_account_and_links_follow_it(server: Server, oneworld: Api) -> None:
    host = "1234567-sb1.suitetalk.api.netsuite.com"
    headers = oneworld.headers | {"Host": host}
    answer = httpx.get(f"{server.url}/services/rest/record/v1/currency/1", headers=headers)
    assert answer.json()["links"][0]["href"] == f"http://{host}/services/rest/record/v1/currency/1"


@pytest.mark.parametrize(
    "host", ["1234567-sb1.suitetalk.localhost:9000", "1234567-SB1.restlets.api.netsuite.com"]
)
def test_any_domain_will_do(server: Server, oneworld: Api, host: str) -> None:
    headers = oneworld.headers | {"Host": host}
    assert httpx.get(f"{server.url}/services/rest/record/v1/currency/1", headers=headers).status_code == 200


def test_an_audience_is_taken_as_the_caller_reached_it(server: Server, oneworld: Api) -> None:
    token = oneworld.integration.assertion("http://1234567-sb1.here/services/rest/auth/oauth2/v1/token")
    form = {
        "grant_type": "client_credentials",
        "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
    }
    path = f"{server.url}/services/rest/auth/oauth2/v1/token"
    data = form | {"client_assertion": token}
    assert httpx.post(path, data=data, headers={"Host": "1234567-sb1.here"}).status_code == 200
    assert oneworld.ask_token(token).json() == {"error": "invalid_grant"}


def test_an_unknown_account_is_told_what_there_is(server: Server) -> None:
    answer = httpx.get(f"{server.url}/7654321/services/rest/record/v1/currency/1")
    assert answer.status_code == 404
    for account in ("1234567_SB1", "TSTDRV7654321"):
        assert account in answer.json()["error"]


# Concurrency


@pytest.fixture
def governed(oneworld: Api) -> Iterator[Api]:
    yield oneworld
    oneworld.admin("POST", "governance", {"limit": 15, "foreign": 0, "latency_ms": 0})


async def together(api: Api, count: int, path: str = "record/v1/currency/1") -> list[httpx.Response]:
    async with httpx.AsyncClient(headers=api.headers, limits=httpx.Limits(max_connections=count)) as client:
        return await asyncio.gather(*(client.get(f"{api.rest}/{path}") for _ in range(count)))


def test_more_requests_at_once_than_slots_are_rejected_in_netsuites_irregular_form(governed: Api) -> None:
    governed.admin("POST", "governance", {"limit": 3, "latency_ms": 300})
    before = governed.admin("GET", "stats")["rejections"]
    answers = asyncio.run(together(governed, 8))
    assert sorted(a.status_code for a in answers) == [200] * 3 + [429] * 5
    rejected = next(a for a in answers if a.status_code == 429)
    assert rejected.json() == {
        "type": "https://www.rfc-editor.org/rfc/rfc9110.html#section-15.5.1",
        "title": "Bad Request",
        "status": 429,
        "o:errorCode": "USER_ERROR",
        "o:errorDetails": [
            {
                "detail": "Concurrent request limit exceeded. Request blocked.",
                "o:errorCode": "CONCURRENCY_LIMIT_EXCEEDED",
            }
        ],
    }
    assert "retry-after" not in rejected.headers
    stats = governed.admin("GET", "stats")
    assert stats["rejections"] - before == 5
    assert stats["in_flight"] == 0
    assert stats["in_flight_peak"] >= 3


def test_foreign_load_takes_slots_away(governed: Api) -> None:
    governed.admin("POST", "governance", {"limit": 3, "foreign": 3})
    assert governed.send("GET", "currency/1").status_code == 429
    governed.admin("POST", "governance", {"foreign": 2})
    assert governed.send("GET", "currency/1").status_code == 200


def test_tokens_take_no_slot(governed: Api) -> None:
    governed.admin("POST", "governance", {"limit": 1, "foreign": 1})
    assert governed.ask_token(governed.integration.assertion(governed.token_url)).status_code == 200


def test_one_accounts_load_is_not_anothers(governed: Api, single: Api) -> None:
    governed.admin("POST", "governance", {"limit": 1, "foreign": 1})
    assert single.send("GET", "currency/1").status_code == 200


def test_latency(governed: Api) -> None:
    governed.admin("POST", "governance", {"latency_ms": 120})
    started = time.monotonic()
    governed.send("GET", "currency/1")
    assert time.monotonic() - started >= 0.12


def test_the_work_is_part_of_the_latency(governed: Api) -> None:
    governed.admin("POST", "governance", {"latency_ms": 2000})

    def customers() -> int:
        return int(governed.admin("GET", "stats")["records"].get("customer", 0))

    async def done_while_the_answer_waits() -> bool:
        before, external = customers(), unique("early")
        body = {"companyName": external, "subsidiary": {"id": "1"}}
        async with httpx.AsyncClient(headers=governed.headers) as client:
            answer = asyncio.create_task(
                client.put(f"{governed.rest}/record/v1/customer/eid:{external}", json=body)
            )
            while await asyncio.to_thread(customers) == before and not answer.done():
                pass
            waits = not answer.done()
            assert (await answer).status_code == 204
        return waits

    assert asyncio.run(done_while_the_answer_waits())


# Faults


@pytest.fixture
def faulty(oneworld: Api) -> Iterator[Api]:
    yield oneworld
    oneworld.admin("DELETE", "faults")


@pytest.mark.parametrize(
    ("status", "code"),
    [(401, "INVALID_LOGIN"), (429, "CONCURRENCY_LIMIT_EXCEEDED"), (500, "UNEXPECTED_ERROR")],
)
def test_a_burst_of_statuses(faulty: Api, status: int, code: str) -> None:
    faulty.admin("POST", "faults", {"kind": "status", "status": status, "times": 2})
    answers = [faulty.send("GET", "currency/1") for _ in range(3)]
    assert [a.status_code for a in answers] == [status, status, 200]
    assert Refused.of(answers[0]).code == code


def test_a_gateway_answers_html(faulty: Api) -> None:
    faulty.admin("POST", "faults", {"kind": "status", "status": 503})
    answer = faulty.send("GET", "currency/1")
    assert answer.status_code == 503
    assert answer.headers["content-type"].startswith("text/html")


def cut(api: Api, external: str) -> None:
    """Write a customer over a connection that is cut."""
    body = {"companyName": external, "subsidiary": {"id": "1"}}
    with httpx.Client() as client, pytest.raises(httpx.TransportError):
        client.put(f"{api.rest}/record/v1/customer/eid:{external}", json=body, headers=api.headers)


def test_a_reset_before_the_commit_loses_the_write(faulty: Api) -> None:
    external = unique("cut")
    faulty.admin("POST", "faults", {"kind": "reset_before_commit", "methods": ["PUT"]})
    cut(faulty, external)
    assert faulty.send("GET", f"customer/eid:{external}").status_code == 404


def test_a_reset_after_the_commit_keeps_the_write(faulty: Api) -> None:
    external = unique("cut")
    faulty.admin("POST", "faults", {"kind": "reset_after_commit", "methods": ["PUT"]})
    cut(faulty, external)
    assert faulty.get(f"customer/eid:{external}")["companyName"] == external
    assert faulty.admin("GET", "requests?writes=true")["items"][-1]["status"] == 0


def test_a_reset_during_the_commit_shows_the_write_only_later(faulty: Api) -> None:
    external = unique("cut")
    faulty.admin("POST", "faults", {"kind": "reset_during_commit", "methods": ["PUT"], "seconds": 0.5})
    cut(faulty, external)
    assert faulty.send("GET", f"customer/eid:{external}").status_code == 404
    deadline = time.monotonic() + 10
    while faulty.send("GET", f"customer/eid:{external}").status_code == 404 and time.monotonic() < deadline:
        time.sleep(0.05)
    assert faulty.get(f"customer/eid:{external}")["companyName"] == external


def test_an_error_after_the_commit_keeps_the_write(faulty: Api) -> None:
    external = unique("err")
    faulty.admin("POST", "faults", {"kind": "error_after_commit", "methods": ["PUT"]})
    answer = faulty.send("PUT", f"customer/eid:{external}", {"companyName": external, "subsidiary": "1"})
    assert answer.status_code == 500
    assert faulty.get(f"customer/eid:{external}")["companyName"] == external


def test_a_slow_answer(faulty: Api) -> None:
    faulty.admin("POST", "faults", {"kind": "latency", "seconds": 0.3, "path": "currency/1$"})
    with pytest.raises(httpx.ReadTimeout):
        httpx.get(f"{faulty.rest}/record/v1/currency/1", headers=faulty.headers, timeout=0.1)


@pytest.mark.parametrize(("kind", "kept"), [("timeout", False), ("timeout_after_commit", True)])
def test_a_timeout_on_either_side_of_the_commit(faulty: Api, kind: str, kept: bool) -> None:
    external = unique("late")
    faulty.admin("POST", "faults", {"kind": kind, "seconds": 0.2, "methods": ["PUT"]})
    cut(faulty, external)
    assert (faulty.send("GET", f"customer/eid:{external}").status_code == 200) is kept


def test_a_truncated_body(faulty: Api) -> None:
    faulty.admin("POST", "faults", {"kind": "truncate"})
    with httpx.Client() as client, pytest.raises(httpx.RemoteProtocolError):
        client.get(f"{faulty.rest}/record/v1/currency/1", headers=faulty.headers)


def test_a_fault_can_wait_choose_and_be_repeated(faulty: Api) -> None:
    def run() -> list[int]:
        faulty.admin("DELETE", "faults")
        rule = {
            "kind": "status",
            "status": 500,
            "times": 20,
            "after": 2,
            "probability": 0.5,
            "seed": 7,
            "path": "currency",
        }
        faulty.admin("POST", "faults", [rule])
        assert faulty.send("GET", "term/1").status_code == 200
        return [faulty.send("GET", "currency/1").status_code for _ in range(20)]

    first = run()
    assert first[:2] == [200, 200]
    assert 500 in first
    assert 200 in first[2:]
    assert run() == first


def test_a_fault_can_look_at_the_body(faulty: Api) -> None:
    faulty.admin("POST", "faults", {"kind": "status", "status": 500, "body": "poison"})
    assert faulty.send("PATCH", f"customer/{faulty.customer()}", {"comments": "fine"}).status_code == 204
    assert faulty.send("PATCH", f"customer/{faulty.customer()}", {"comments": "poison"}).status_code == 500


@pytest.mark.parametrize(
    "rule", [{"kind": "earthquake"}, {"kind": "status", "status": 418}, {"kind": "status", "path": "("}, {}]
)
def test_a_rule_with_a_mistake_is_refused(faulty: Api, rule: dict[str, Any]) -> None:
    answer = faulty.http.post("sandbox/faults", json=rule)
    assert answer.status_code == 400
    assert answer.json()["error"]


def test_faults_meet_the_token_endpoint_too(faulty: Api) -> None:
    faulty.admin("POST", "faults", {"kind": "status", "status": 503, "path": "/token$"})
    assert faulty.ask_token(faulty.integration.assertion(faulty.token_url)).status_code == 503


# The sandbox's own endpoints


def test_stats_and_the_request_log(fresh: Fresh) -> None:
    _, api = fresh()
    customer = api.customer()
    api.write("PATCH", f"customer/{customer}", {"comments": "x"})
    api.rows("SELECT id FROM term")
    api.send("GET", "customer/999")
    stats = api.admin("GET", "stats")
    assert stats["requests_by_method"] == {"GET": 1, "PATCH": 1, "POST": 3}
    assert stats["requests_by_status"] == {"200": 2, "204": 2, "404": 1}
    assert (stats["writes"], stats["requests"], stats["records"]["customer"]) == (2, 5, 1)
    writes = api.admin("GET", "requests?writes=true")["items"]
    assert [(w["method"], w["path"], w["status"]) for w in writes] == [
        ("POST", "/services/rest/record/v1/customer", 204),
        ("PATCH", f"/services/rest/record/v1/customer/{customer}", 204),
    ]
    assert [w["method"] for w in api.admin("GET", f"requests?after={writes[-1]['number']}")["items"]] == [
        "POST",
        "GET",
    ]


def test_reset_brings_the_account_back_to_its_profile(fresh: Fresh) -> None:
    _, api = fresh()
    first = api.customer()
    api.invoice(first, externalId="inv-1")
    api.admin("POST", "reset/log")
    assert api.admin("GET", "stats")["requests"] == 0
    assert api.admin("GET", "stats")["records"]["invoice"] == 1
    stats = api.admin("POST", "reset")
    assert "customer" not in stats["records"]
    assert stats["records"]["term"] == 5
    assert api.rows("SELECT id FROM transaction") == []
    assert api.customer() == first


def test_unknown_admin_paths_are_named(oneworld: Api) -> None:
    answer = oneworld.http.get("sandbox/nothing")
    assert answer.status_code == 404
    assert "/sandbox/nothing" in answer.json()["error"]


def test_the_login_audit_trail_tells_successes_too(oneworld: Api) -> None:
    entry = oneworld.admin("GET", "logins?status=success")["items"][-1]
    assert (entry["method"], entry["integration"], entry["role"]) == ("oauth2", "Billing Integration", "1042")


def test_fill_makes_the_same_records_from_the_same_seed(fresh: Fresh) -> None:
    _, api = fresh()
    order = {
        "customers": 4,
        "invoices": 30,
        "lines": 2,
        "credit_memos": 6,
        "payments": 9,
        "journals": 5,
        "deposits": 4,
        "seed": 5,
    }
    query = "SELECT externalid, foreigntotal, trandate, status FROM transaction ORDER BY externalid"

    def run() -> list[dict[str, str]]:
        api.admin("POST", "reset")
        stats = api.admin("POST", "fill", order)
        assert stats["filled"] == {
            name: order[name]
            for name in ("customers", "invoices", "credit_memos", "payments", "journals", "deposits")
        }
        assert (stats["records"]["invoice"], stats["records"]["creditMemo"]) == (30, 6)
        return api.rows(query)

    first = run()
    assert run() == first
    assert api.rows("SELECT SUM(debit) - SUM(credit) AS nothing FROM transactionaccountingline") == [
        {"nothing": "0"}
    ]
    assert api.rows("SELECT COUNT(*) AS n FROM NextTransactionLineLink") == [{"n": "19"}]
