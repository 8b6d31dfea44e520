"""One request: what is put on the wire, what comes back, and when it is sent again."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from contextlib import suppress
from decimal import Decimal
from typing import Any

import httpx
import pytest
from fake_account import (
    HOSTS,
    PREFIX,
    FakeAccount,
    connect,
    done,
    envelope,
    governor,
    invalid_login,
    too_many,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from resources.netsuite.client import NetSuite
from resources.netsuite.errors import (
    InDoubt,
    NetSuiteError,
    NotFound,
    RateLimited,
    Rejected,
    Unavailable,
    Unreachable,
)
from resources.netsuite.writes import (
    WriteAnswer,
    create_request,
    delete_request,
    eid,
    update_request,
    upsert_request,
)

UPSERT = upsert_request(
    "invoice", "inv-7", {"memo": "Ünder 100 %", "item": {"items": [{"rate": Decimal("1.10")}]}}
)
MISSING = envelope(
    404, "NONEXISTENT_ID", "The record instance does not exist. Provide a valid record instance ID."
)


def use(account: FakeAccount, work: Callable[[NetSuite], Any], **options: Any) -> Any:
    """Run ``work`` with a client of ``account``."""

    async def run() -> Any:
        async with connect(account, **options) as ns:
            return await work(ns)

    return asyncio.run(run())


# What goes out


def test_a_write_sends_exactly_the_planned_bytes_and_asks_for_strict_names() -> None:
    account = FakeAccount([done()])
    answer = use(account, lambda ns: ns.send(UPSERT))
    (sent,) = account.requests
    assert sent.method == "PUT"
    assert sent.url.raw_path == f"{PREFIX}/services/rest/record/v1/invoice/eid:inv-7?replace=item".encode()
    assert sent.content == UPSERT.body
    assert sent.headers["content-type"] == "application/json"
    assert sent.headers["x-netsuite-propertynamevalidation"] == "Error"
    assert sent.headers["authorization"] == "Bearer token-1"
    assert answer == WriteAnswer(204, "48112", "job-1", done().headers["location"], ())


def test_a_delete_has_no_body_and_gives_no_id() -> None:
    account = FakeAccount([httpx.Response(204)])
    answer = use(account, lambda ns: ns.send(delete_request("invoice", eid("inv-7"))))
    assert account.requests[0].content == b""
    assert answer.internal_id is None


def test_a_read_asks_for_what_is_wanted() -> None:
    account = FakeAccount([httpx.Response(200, json={"id": "7"})])
    use(account, lambda ns: ns.get("invoice", "7", expand=True, fields=("memo", "tranDate")))
    (sent,) = account.requests
    assert sent.url.query == b"expandSubResources=true&fields=memo,tranDate"
    assert "gzip" in sent.headers["accept-encoding"]
    assert "prefer" not in sent.headers


def test_numbers_are_read_as_exact_decimals() -> None:
    account = FakeAccount([httpx.Response(200, text='{"total":1320.10,"big":12345678901234.56,"line":1}')])
    found = use(account, lambda ns: ns.get("invoice", "7"))
    assert found == {"total": Decimal("1320.10"), "big": Decimal("12345678901234.56"), "line": 1}
    assert type(found["total"]) is Decimal


def test_a_cookie_is_never_sent_back() -> None:
    account = FakeAccount(
        [httpx.Response(200, json={"id": "7"}, headers={"set-cookie": "JSESSIONID=x; Path=/"})]
    )

    async def twice(ns: NetSuite) -> None:
        await ns.get("invoice", "7")
        await ns.get("invoice", "7")

    use(account, twice)
    assert all("cookie" not in request.headers for request in account.requests)


def test_a_redirect_is_not_followed() -> None:
    account = FakeAccount([httpx.Response(302, headers={"location": "http://elsewhere.example/"})])
    with pytest.raises(Unavailable, match="302"):
        use(account, lambda ns: ns.get("invoice", "7"))
    assert {request.url.host for request in account.requests} == {"127.0.0.1"}


def test_the_client_is_used_within_its_context() -> None:
    ns = connect(FakeAccount([done()]))
    with pytest.raises(RuntimeError, match="async with"):
        asyncio.run(ns.send(UPSERT))


# What comes back


@pytest.mark.parametrize(
    ("location", "expected"),
    [
        ("https://x.example/services/rest/record/v1/invoice/48112", "48112"),
        ("/services/rest/record/v1/invoice/48112/", "48112"),
        ("/services/rest/record/v1/customer/-5?x=1", "-5"),
    ],
)
def test_the_internal_id_is_the_last_part_of_the_location(location: str, expected: str) -> None:
    account = FakeAccount([httpx.Response(204, headers={"location": location})])
    assert use(account, lambda ns: ns.send(UPSERT)).internal_id == expected
    assert len(account.requests) == 1


@pytest.mark.parametrize("location", ["/services/rest/record/v1/invoice/eid:inv-7", ""])
def test_a_location_without_an_id_is_resolved_by_the_external_id(location: str) -> None:
    account = FakeAccount(
        [httpx.Response(204, headers={"location": location}), httpx.Response(200, json={"id": "9"})]
    )
    assert use(account, lambda ns: ns.send(UPSERT)).internal_id == "9"
    assert [request.method for request in account.requests] == ["PUT", "GET"]


def test_a_failing_look_up_after_the_write_does_not_unmake_the_write() -> None:
    account = FakeAccount(
        [httpx.Response(204), envelope(500, "UNEXPECTED_ERROR", "An unexpected error occurred.")]
    )
    answer = use(account, lambda ns: ns.send(UPSERT))
    assert (answer.status, answer.internal_id) == (204, None)


def test_an_update_by_internal_id_without_location_keeps_its_id() -> None:
    account = FakeAccount([httpx.Response(204)])
    assert use(account, lambda ns: ns.send(update_request("invoice", "12", {}))).internal_id == "12"


def test_warnings_come_along() -> None:
    answer = httpx.Response(
        204,
        headers=[("location", "/x/1"), ("X-NetSuite-Warning", "a"), ("X-NetSuite-PropertyValidation", "b")],
    )
    assert use(FakeAccount([answer]), lambda ns: ns.send(UPSERT)).warnings == ("a", "b")


@pytest.mark.parametrize(("size", "seconds"), [(100, 120.0), (70_000, 900.0)])
def test_a_write_of_very_many_lines_is_given_more_time(size: int, seconds: float) -> None:
    account = FakeAccount([done()])
    use(account, lambda ns: ns.send(upsert_request("invoice", "inv-7", {"memo": "x" * size})))
    assert account.requests[0].extensions["timeout"]["read"] == seconds
    assert account.requests[0].extensions["timeout"]["connect"] == 10.0


# When it is sent again


@pytest.mark.parametrize(
    "passing",
    [
        too_many(),
        httpx.Response(429),
        httpx.Response(400, json={"error": {"code": "SSS_REQUEST_LIMIT_EXCEEDED", "message": "x"}}),
        httpx.ConnectError("refused"),
        httpx.ConnectTimeout("slow"),
        invalid_login(),
    ],
)
def test_a_write_is_sent_again_where_nothing_can_have_been_done(passing: httpx.Response | Exception) -> None:
    account = FakeAccount([passing, done()])
    assert use(account, lambda ns: ns.send(UPSERT)).internal_id == "48112"
    assert [request.content for request in account.requests] == [UPSERT.body] * 2


@pytest.mark.parametrize(
    "ambiguous",
    [
        httpx.ReadTimeout("late"),
        httpx.WriteTimeout("late"),
        httpx.ReadError("reset"),
        httpx.WriteError("reset"),
        httpx.RemoteProtocolError("closed"),
        httpx.DecodingError("gzip"),
        envelope(500, "UNEXPECTED_ERROR", "An unexpected error occurred. Error ID: x"),
        httpx.Response(502, text="<html>Bad gateway</html>"),
        httpx.Response(503, text="<html>Maintenance</html>"),
        httpx.Response(504),
        httpx.Response(408),
        httpx.Response(302, headers={"location": "/login"}),
        httpx.Response(200, html="<html>Log in</html>"),
        httpx.Response(202, headers={"location": "/services/rest/async/v1/job/1"}),
    ],
)
@pytest.mark.parametrize("request_", [UPSERT, create_request("invoice", {}), delete_request("invoice", "7")])
def test_a_write_of_unknown_outcome_is_in_doubt_and_never_sent_again(
    ambiguous: httpx.Response | Exception, request_: Any
) -> None:
    account = FakeAccount([ambiguous, done()])
    with pytest.raises(InDoubt) as caught:
        use(account, lambda ns: ns.send(request_))
    assert len(account.requests) == 1
    assert caught.value.in_doubt
    assert not caught.value.transient
    assert caught.value.record == request_.record
    assert f"Look {request_.record} up" in caught.value.what_to_do


@pytest.mark.parametrize("status", [400, 403, 404, 405, 409, 413, 415, 422])
def test_a_refused_write_is_not_sent_again_and_not_in_doubt(status: int) -> None:
    account = FakeAccount([envelope(status, "INVALID_CONTENT", "No.")])
    with pytest.raises(NetSuiteError) as caught:
        use(account, lambda ns: ns.send(UPSERT))
    assert not caught.value.in_doubt
    assert len(account.requests) == 1


@pytest.mark.parametrize(
    "passing",
    [
        too_many(),
        httpx.ReadTimeout("late"),
        httpx.RemoteProtocolError("closed"),
        httpx.DecodingError("gzip"),
        httpx.Response(500),
        httpx.Response(503, text="<html>Maintenance</html>"),
        httpx.Response(200, text='{"id": "7'),
        httpx.Response(200, text="[]"),
        httpx.Response(200, html="<html>Log in</html>"),
    ],
)
def test_a_read_is_repeated_after_any_passing_failure(passing: httpx.Response | Exception) -> None:
    account = FakeAccount([passing, httpx.Response(200, json={"id": "7"})])
    assert use(account, lambda ns: ns.get("invoice", "7")) == {"id": "7"}


def test_a_read_that_keeps_failing_ends_after_a_few_tries() -> None:
    account = FakeAccount([httpx.Response(500)])
    with pytest.raises(Unavailable):
        use(account, lambda ns: ns.get("invoice", "7"), governor=governor(attempts=4))
    assert len(account.requests) == 4


def test_a_rejection_for_concurrency_never_fails_a_write_within_its_patience() -> None:
    account = FakeAccount([*([too_many()] * 30), done()])
    assert use(account, lambda ns: ns.send(UPSERT), governor=governor(patience=1e9)).internal_id == "48112"


def test_when_the_patience_is_spent_the_write_is_rate_limited_and_not_in_doubt() -> None:
    account = FakeAccount([too_many()])
    with pytest.raises(RateLimited) as caught:
        use(account, lambda ns: ns.send(UPSERT), governor=governor(patience=20.0))
    assert not caught.value.in_doubt
    assert caught.value.code == "CONCURRENCY_LIMIT_EXCEEDED"
    assert len(account.requests) > 3


def test_a_sandbox_that_is_not_running_is_reported_with_its_address_and_how_to_start_it() -> None:
    account = FakeAccount([httpx.ConnectError("[Errno 111] Connection refused")])
    with pytest.raises(Unreachable) as caught:
        use(account, lambda ns: ns.send(UPSERT))
    assert HOSTS.rest_prefix in str(caught.value)
    assert "recon sandbox" in caught.value.what_to_do
    assert not caught.value.in_doubt


# Looking up


def test_a_record_that_is_not_there() -> None:
    account = FakeAccount([MISSING])
    with pytest.raises(NotFound) as caught:
        use(account, lambda ns: ns.get("invoice", eid("inv-7")))
    assert caught.value.record == "invoice eid:inv-7"
    assert use(FakeAccount([MISSING]), lambda ns: ns.find_by_external_id("invoice", "inv-7")) is None


@pytest.mark.parametrize(
    "answer",
    [
        envelope(404, "NONEXISTENT_ID", "Record type 'invoise' does not exist."),
        httpx.Response(404, text="<html>Not Found</html>"),
        httpx.Response(404),
        envelope(
            400, "USER_ERROR", "Error while accessing a resource. Transaction type specified is incorrect."
        ),
    ],
)
def test_only_netsuites_own_word_counts_as_not_there(answer: httpx.Response) -> None:
    """Taken for absence, each of these would have the record created a second time."""
    with pytest.raises(Rejected):
        use(FakeAccount([answer]), lambda ns: ns.find_by_external_id("invoice", "inv-7"))


@pytest.mark.parametrize("answer", [{}, {"links": []}])
def test_an_answer_without_an_id_is_no_answer(answer: dict[str, Any]) -> None:
    with pytest.raises(Unavailable):
        use(
            FakeAccount([httpx.Response(200, json=answer)]),
            lambda ns: ns.find_by_external_id("invoice", "inv-7"),
        )
    with pytest.raises(Unavailable):
        use(
            FakeAccount([httpx.Response(200, json=answer)]),
            lambda ns: ns.find_by_external_id("invoice", "A|B"),
        )


def test_an_external_id_that_no_address_can_hold_is_looked_up_by_query_and_compared() -> None:
    account = FakeAccount(
        [
            httpx.Response(
                200, json={"count": 2, "hasMore": False, "items": [{"links": [], "id": "5"}, {"id": "6"}]}
            ),
            httpx.Response(200, json={"id": "5", "externalId": "a|b & c"}),
            httpx.Response(200, json={"id": "6", "externalId": "A|B & C"}),
        ]
    )
    assert use(account, lambda ns: ns.find_by_external_id("customer", "A|B & C")) == "6"
    asked = account.requests[0].url
    assert asked.raw_path == (
        f"{PREFIX}/services/rest/record/v1/customer?q=externalId%20IS%20%22A%7CB%20%26%20C%22".encode()
    )


def test_reading_by_such_an_external_id() -> None:
    found = httpx.Response(200, json={"items": [{"id": "6"}]})
    record = httpx.Response(200, json={"id": "6", "externalId": "A|B"})
    assert use(FakeAccount([found, record]), lambda ns: ns.get("customer", eid("A|B")))["id"] == "6"
    with pytest.raises(NotFound, match="A\\|B"):
        use(FakeAccount([httpx.Response(200, json={"items": []})]), lambda ns: ns.get("customer", eid("A|B")))


def test_two_records_with_one_external_id_are_a_persons_matter() -> None:
    found = httpx.Response(200, json={"items": [{"id": "5"}, {"id": "6"}]})
    record = httpx.Response(200, json={"externalId": "A|B"})
    with pytest.raises(Rejected, match="5, 6"):
        use(FakeAccount([found, record]), lambda ns: ns.find_by_external_id("customer", "A|B"))


def test_an_external_id_that_cannot_be_quoted_is_refused() -> None:
    with pytest.raises(ValueError, match="quote"):
        use(FakeAccount([done()]), lambda ns: ns.find_by_external_id("customer", 'A"B'))


# Whatever comes

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda children: (
        st.lists(children, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "items",
                    "id",
                    "count",
                    "hasMore",
                    "offset",
                    "totalResults",
                    "links",
                    "externalId",
                    "access_token",
                    "expires_in",
                ]
            ),
            children,
            max_size=6,
        )
    ),
    max_leaves=15,
)
WORK: list[Callable[[NetSuite], Any]] = [
    lambda ns: ns.get("invoice", "7"),
    lambda ns: ns.find_by_external_id("invoice", "inv-7"),
    lambda ns: ns.find_by_external_id("invoice", "A|B"),
    lambda ns: ns.suiteql_rows("SELECT id FROM t"),
    lambda ns: ns.send(UPSERT),
]


@given(
    content=st.binary(max_size=60) | json_values.map(lambda value: json.dumps(value).encode()),
    status=st.sampled_from([200, 200, 200, 201, 204, 206, 301, 400, 404, 500]),
    work=st.sampled_from(WORK),
    at_sign_in=st.booleans(),
)
@settings(max_examples=300, deadline=None)
def test_whatever_is_answered_the_caller_gets_a_result_or_an_error_of_the_family(
    content: bytes, status: int, work: Callable[[NetSuite], Any], at_sign_in: bool
) -> None:
    odd = httpx.Response(status, content=content, headers={"content-type": "application/json"})
    account = FakeAccount([odd], tokens=[odd] if at_sign_in else [])
    with suppress(NetSuiteError):
        use(account, work, governor=governor(attempts=2))
