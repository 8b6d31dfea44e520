"""NetSuite's error envelope and catalogue: every refusal of the REST services is raised as a `Refusal` from here."""

from __future__ import annotations

from sandbox.wire import ERROR, Json, Response, encode

_RFC = "https://www.rfc-editor.org/rfc/rfc9110.html#section-"
_SECTION = {
    400: "15.5.1",
    401: "15.5.2",
    403: "15.5.4",
    404: "15.5.5",
    405: "15.5.6",
    429: "15.5.1",
    500: "15.6.1",
    503: "15.6.4",
}
_TITLE = {
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    429: "Bad Request",
    500: "Internal Server Error",
    503: "Service Unavailable",
}
PREFIX = "Error while accessing a resource. "
INVALID_LOGIN = (
    "Invalid login attempt. For more details, see the Login Audit Trail in the NetSuite UI at "
    "Setup > Users/Roles > User Management > View Login Audit Trail."
)


class Refusal(Exception):
    """An answer of the error kind. `pointer` is one of o:errorPath, o:errorQueryParam, o:errorHeader, o:errorUrl.

    `shown_status` is the body's `status` where it may differ from the answer's.
    """

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        *,
        pointer: tuple[str, str] | None = None,
        headers: list[tuple[bytes, bytes]] | None = None,
        shown_status: int | None = None,
    ) -> None:
        super().__init__(detail)
        self.shown_status = shown_status if shown_status is not None else status
        self.status, self.code, self.detail, self.pointer = status, code, detail, pointer
        self.headers = headers or []

    def envelope(self) -> Json:
        detail: dict[str, str] = {"detail": self.detail}
        if self.pointer is not None:
            detail[self.pointer[0]] = self.pointer[1]
        detail["o:errorCode"] = self.code
        envelope: dict[str, Json] = {
            "type": _RFC + _SECTION.get(self.status, "15.5.1"),
            "title": _TITLE.get(self.status, "Bad Request"),
            "status": self.shown_status,
        }
        if self.status == 429:
            # The one irregular form: a code at the top level as well.
            envelope["o:errorCode"] = "USER_ERROR"
        envelope["o:errorDetails"] = [detail]
        return envelope

    def response(self) -> Response:
        return Response(self.status, encode(self.envelope()), ERROR, list(self.headers))


def user_error(text: str) -> Refusal:
    return Refusal(400, "USER_ERROR", PREFIX + text)


class Incomplete(Refusal):
    """A record that cannot be saved yet because something is missing; a form of it can be shown."""


def incomplete(text: str) -> Incomplete:
    return Incomplete(400, "USER_ERROR", PREFIX + text)


def missing_values(labels: list[str]) -> Incomplete:
    """`labels` are the UI's, not the field names."""
    return incomplete(f"Please enter value(s) for: {', '.join(labels)}.")


def invalid_value(value: object, field: str, path: str) -> Refusal:
    text = f"You have entered an Invalid Field Value {value} for the following field: {field}."
    return Refusal(400, "INVALID_CONTENT", PREFIX + text, pointer=("o:errorPath", path))


def invalid_content(text: str, path: str | None = None) -> Refusal:
    return Refusal(400, "INVALID_CONTENT", PREFIX + text, pointer=("o:errorPath", path) if path else None)


def invalid_parameter(text: str, parameter: str) -> Refusal:
    return Refusal(400, "INVALID_PARAMETER", text, pointer=("o:errorQueryParam", parameter))


def invalid_url(path: str) -> Refusal:
    text = (
        "Invalid request URL. The request URL must be constructed in the following way: "
        "<service>/v1/<recordname>/<recordid>."
    )
    return Refusal(400, "INVALID_URL", text, pointer=("o:errorUrl", path))


def nonexistent() -> Refusal:
    return Refusal(
        404, "NONEXISTENT_ID", "The record instance does not exist. Provide a valid record instance ID."
    )


def unknown_record_type(name: str, path: str) -> Refusal:
    return Refusal(
        404, "NONEXISTENT_ID", f"Record type '{name}' does not exist.", pointer=("o:errorUrl", path)
    )


def wrong_transaction_type() -> Refusal:
    return user_error("Transaction type specified is incorrect.")


def method_not_allowed(method: str) -> Refusal:
    return Refusal(405, "METHOD_NOT_ALLOWED", f"The method {method} is not allowed for this resource.")


def permission_violation(permission: str, status: int) -> Refusal:
    text = (
        f"Permission Violation: You need the '{permission}' permission to access this page. "
        "Please contact your account administrator."
    )
    return Refusal(status, "INSUFFICIENT_PERMISSION" if status == 403 else "USER_ERROR", text)


def role_lacks_permission() -> Refusal:
    return Refusal(400, "USER_ERROR", "Your current role does not have permission to perform this action.")


def concurrency_limit(shown_status: int) -> Refusal:
    """`shown_status` is what the body says of the status."""
    text = "Concurrent request limit exceeded. Request blocked."
    return Refusal(429, "CONCURRENCY_LIMIT_EXCEEDED", text, shown_status=shown_status)


def idempotency_conflict(location: str, *, names_header: bool) -> Refusal:
    """The refusal of a second request with the same idempotency key; `location` is the first one's job."""
    return _Conflict(location, names_header)


class _Conflict(Refusal):
    """Named a conflict, and a 400 all the same."""

    def __init__(self, location: str, names_header: bool) -> None:
        text = (
            "A request with the same idempotency key is already submitted. "
            'See the "Location" header for a link to the previously submitted job.'
        )
        super().__init__(
            400,
            "IDEMPOTENCY_ERROR",
            text,
            pointer=("o:errorHeader", "X-NetSuite-Idempotency-Key") if names_header else None,
            headers=[(b"location", location.encode("latin-1"))],
        )

    def envelope(self) -> Json:
        anchor = "https://www.w3.org/Protocols/rfc2616/rfc2616-sec10.html#sec10.4.10"
        return super().envelope() | {"type": anchor, "title": "Conflict"}


def unexpected(error_id: str) -> Refusal:
    return Refusal(500, "UNEXPECTED_ERROR", f"An unexpected error occurred. Error ID: {error_id}")


def invalid_login(challenge: str) -> Refusal:
    return Refusal(
        401, "INVALID_LOGIN", INVALID_LOGIN, headers=[(b"www-authenticate", challenge.encode("latin-1"))]
    )
