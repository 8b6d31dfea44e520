"""Every form of error answer becomes one of a few errors, with NetSuite's words and the next step."""

from __future__ import annotations

import json
import pickle
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resources.netsuite.errors import (
    Attempt,
    InDoubt,
    NetSuiteError,
    NotFound,
    PermissionDenied,
    RateLimited,
    Rejected,
    SignInFailed,
    Unavailable,
    from_answer,
    read_envelope,
)

READ = Attempt("Read invoice 48112", record="invoice 48112", where="https://x.example")
WRITE = Attempt(
    "Upsert invoice eid:inv-7", record="invoice eid:inv-7", is_write=True, where="https://x.example"
)
QUERY = Attempt("Run SuiteQL (SELECT …)", suiteql=True, where="https://x.example")


def body(*details: dict[str, str], status: int = 400, **top: Any) -> bytes:
    return json.dumps(
        {"type": "…", "title": "Bad Request", "status": status, "o:errorDetails": list(details), **top}
    ).encode()


def detail(code: str, text: str, **extra: str) -> dict[str, str]:
    return {"detail": text, "o:errorCode": code, **{f"o:{name}": value for name, value in extra.items()}}


@pytest.mark.parametrize(
    ("attempt", "status", "content", "kind", "code", "says"),
    [
        (
            WRITE,
            400,
            body(
                detail(
                    "INVALID_CONTENT",
                    "Error while accessing a resource. You have entered an Invalid Field Value 9999 for the "
                    "following field: item.",
                    errorPath="item.items[0].item",
                )
            ),
            Rejected,
            "INVALID_CONTENT",
            "'9999' cannot be used for item",
        ),
        (
            WRITE,
            400,
            body(
                detail(
                    "USER_ERROR",
                    "Error while accessing a resource. Please enter value(s) for: Primary Subsidiary.",
                )
            ),
            Rejected,
            "USER_ERROR",
            "mandatory: Primary Subsidiary.",
        ),
        (
            WRITE,
            400,
            body(detail("USER_ERROR", "Error while accessing a resource. This entity already exists.")),
            Rejected,
            "USER_ERROR",
            "Look it up and compare",
        ),
        (
            WRITE,
            400,
            body(
                detail(
                    "USER_ERROR",
                    "Error while accessing a resource. The transaction you are trying to create or edit belongs to "
                    "a closed or locked period.",
                )
            ),
            Rejected,
            "USER_ERROR",
            "Manage Accounting Periods",
        ),
        (
            READ,
            400,
            body(
                detail(
                    "USER_ERROR", "Error while accessing a resource. Transaction type specified is incorrect."
                )
            ),
            Rejected,
            "USER_ERROR",
            "another type",
        ),
        (
            READ,
            400,
            body(detail("USER_ERROR", "Your current role does not have permission to perform this action.")),
            PermissionDenied,
            "USER_ERROR",
            "'REST Web Services' at level Full",
        ),
        (
            QUERY,
            400,
            body(detail("USER_ERROR", "Your current role does not have permission to perform this action.")),
            PermissionDenied,
            "USER_ERROR",
            "'SuiteAnalytics Workbook' at level Edit",
        ),
        (
            READ,
            403,
            body(
                detail(
                    "INSUFFICIENT_PERMISSION",
                    "Permission Violation: You need the 'Transactions -> Invoice' permission to access this page. "
                    "Please contact your account administrator.",
                ),
                status=403,
            ),
            PermissionDenied,
            "INSUFFICIENT_PERMISSION",
            "'Invoice': Setup > Users/Roles > User Management > Manage Roles > (the integration's role) > "
            "Permissions > Transactions",
        ),
        (READ, 403, b"", PermissionDenied, "", "'Invoice' at level Full"),
        (
            QUERY,
            400,
            body(
                detail(
                    "INVALID_PARAMETER",
                    "Invalid search query. Detailed unprocessed description follows. Search error occurred: Record "
                    "'customer' was not found.",
                    errorQueryParam="q",
                )
            ),
            PermissionDenied,
            "INVALID_PARAMETER",
            "cannot see the table 'customer'. Give the role the permission 'Customers'",
        ),
        (
            QUERY,
            400,
            body(
                detail(
                    "INVALID_PARAMETER",
                    "Invalid search query. Detailed unprocessed description follows. Search error occurred: Unknown "
                    "identifier 'subsidiary'. Available identifiers are: {transaction=transaction}.",
                    errorQueryParam="q",
                )
            ),
            Rejected,
            "INVALID_PARAMETER",
            "'subsidiary' does not exist there",
        ),
        (
            READ,
            404,
            body(
                detail(
                    "NONEXISTENT_ID",
                    "The record instance does not exist. Provide a valid record instance ID.",
                ),
                status=404,
            ),
            NotFound,
            "NONEXISTENT_ID",
            "never existed",
        ),
        (
            READ,
            404,
            body(
                detail(
                    "NONEXISTENT_ID",
                    "Record type 'file' does not exist.",
                    errorUrl="/services/rest/record/v1/file",
                ),
                status=404,
            ),
            Rejected,
            "NONEXISTENT_ID",
            "no REST record type 'file'",
        ),
        (
            READ,
            404,
            b"<html><title>Not Found</title></html>",
            Rejected,
            "",
            "does not answer as NetSuite does",
        ),
        (
            WRITE,
            429,
            body(
                detail("CONCURRENCY_LIMIT_EXCEEDED", "Concurrent request limit exceeded. Request blocked."),
                status=429,
                **{"o:errorCode": "USER_ERROR"},
            ),
            RateLimited,
            "CONCURRENCY_LIMIT_EXCEEDED",
            "Nothing was done",
        ),
        (WRITE, 429, b"", RateLimited, "", "Nothing was done"),
        (
            WRITE,
            400,
            b'{"error": {"code": "SSS_REQUEST_LIMIT_EXCEEDED", "message": "Too many"}}',
            RateLimited,
            "SSS_REQUEST_LIMIT_EXCEEDED",
            "Nothing was done",
        ),
        (READ, 401, b"", SignInFailed, "", "Login Audit Trail"),
        (
            WRITE,
            500,
            body(detail("UNEXPECTED_ERROR", "An unexpected error occurred. Error ID: jrgbq2k"), status=500),
            InDoubt,
            "UNEXPECTED_ERROR",
            "Look invoice eid:inv-7 up",
        ),
        (
            READ,
            500,
            body(detail("UNEXPECTED_ERROR", "An unexpected error occurred. Error ID: jrgbq2k"), status=500),
            Unavailable,
            "UNEXPECTED_ERROR",
            "quote the request id",
        ),
        (WRITE, 503, b"<html><body>Maintenance</body></html>", InDoubt, "", "may or may not"),
        (READ, 503, b"", Unavailable, "", "Try again later"),
        (WRITE, 302, b"", InDoubt, "", "may or may not"),
        (READ, 302, b"", Unavailable, "", "sent us elsewhere"),
        (WRITE, 408, b"", InDoubt, "", "may or may not"),
    ],
)
def test_an_answer_becomes_an_error_that_says_what_to_do(
    attempt: Attempt, status: int, content: bytes, kind: type[NetSuiteError], code: str, says: str
) -> None:
    error = from_answer(attempt, status, content, "job-9")
    assert type(error) is kind
    assert (error.status, error.code, error.request_id) == (status, code, "job-9")
    assert says in error.what_to_do
    assert attempt.title in str(error)
    assert error.in_doubt == (kind is InDoubt)
    assert error.transient == (kind in (RateLimited, Unavailable))


def test_several_details_are_all_told_in_order_with_the_first_place() -> None:
    error = from_answer(
        WRITE,
        400,
        body(
            detail("INVALID_CONTENT", "First is wrong."),
            detail("INVALID_CONTENT", "Second is wrong.", errorPath="item.items[1].rate"),
            detail("USER_ERROR", "Third is wrong."),
        ),
    )
    assert [d.message for d in error.details] == ["First is wrong.", "Second is wrong.", "Third is wrong."]
    assert error.path == "item.items[1].rate"
    assert error.said == "First is wrong.; Second is wrong. (at item.items[1].rate); Third is wrong."


def test_an_error_survives_a_pickle() -> None:
    error = from_answer(WRITE, 400, body(detail("INVALID_CONTENT", "No.")), "job-9")
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is Rejected
    assert str(again) == str(error)


def test_html_is_told_as_its_text() -> None:
    page = b"<html><style>b{}</style><script>x()</script><h1>Down</h1> for&nbsp;<b>maintenance</b></html>"
    assert read_envelope(page).said == "Down for maintenance"


@pytest.mark.parametrize(
    ("content", "code", "said"),
    [
        (b'{"error":"invalid_grant"}', "invalid_grant", ""),
        (b'{"error":"invalid_grant","error_description":"expired"}', "invalid_grant", "expired"),
        (b'{"title":"Bad Request","status":400,"o:errorCode":"USER_ERROR"}', "USER_ERROR", "Bad Request"),
        (b'{"title":"Bad Request","status":400,"o:errorDetails":[]}', "", "Bad Request"),
        (b'{"o:errorDetails":[null,3,"x"]}', "", ""),
        (b"", "", ""),
        (b"   ", "", ""),
        (b"[1]", "", "[1]"),
        (b"plain words", "", "plain words"),
        (b"[" * 100_000, "", "[" * 300 + "…"),
    ],
)
def test_other_forms_of_error_bodies(content: bytes, code: str, said: str) -> None:
    found = read_envelope(content)
    assert (found.code, found.said) == (code, said)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda children: (
        st.lists(children, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "detail",
                    "o:errorCode",
                    "o:errorDetails",
                    "error",
                    "title",
                    "message",
                    "status",
                    "o:errorPath",
                ]
            )
            | st.text(),
            children,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(
    content=st.binary(max_size=200) | json_values.map(lambda value: json.dumps(value).encode()),
    status=st.integers(300, 599),
    attempt=st.sampled_from([READ, WRITE, QUERY]),
)
def test_no_body_whatever_breaks_the_reading_of_an_error(
    content: bytes, status: int, attempt: Attempt
) -> None:
    error = from_answer(attempt, status, content)
    assert isinstance(error, NetSuiteError)
    assert str(error)
    assert error.what_to_do
    if status >= 500 and not isinstance(error, RateLimited):
        assert error.in_doubt == attempt.is_write
