"""The form of errors on NetSuite's RESTlet host, where token info is served.

The code `INVALID_LOGIN_ATTEMPT` is documented for RESTlets; the body around it is the RESTlet convention.
"""

from __future__ import annotations

from sandbox.errors import Refusal
from sandbox.wire import JSON, Response, encode


class RestletRefusal(Refusal):
    def response(self) -> Response:
        content = {"error": {"code": self.code, "message": self.detail}}
        return Response(self.status, encode(content), JSON, list(self.headers))


def invalid_login_attempt(challenge: str) -> RestletRefusal:
    headers = [(b"www-authenticate", challenge.encode("latin-1"))]
    return RestletRefusal(401, "INVALID_LOGIN_ATTEMPT", "Invalid login attempt.", headers=headers)
