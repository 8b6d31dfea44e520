"""Token info: who the caller of a signed or bearer request is.

That the endpoint exists, its host and path are documented; its fields are not: these are ours.
"""

from __future__ import annotations

from sandbox.auth.directory import Directory
from sandbox.auth.roles import Session
from sandbox.errors import method_not_allowed
from sandbox.wire import JSON, Json, Request, Response, encode

PATH = "/rest/tokeninfo"


def answer(request: Request, session: Session, directory: Directory) -> Response:
    if request.method != "GET":
        raise method_not_allowed(request.method)
    profile = directory.profile
    content: dict[str, Json] = {
        "companyId": profile.account,
        "companyName": profile.name,
        "userId": session.entity,
        "userName": directory.user_name(session.entity),
        "roleId": session.role.id,
        "roleName": session.role.name,
        "clientId": session.client_id,
        "applicationName": session.integration,
        "tokenType": "OAuth 2.0" if session.method == "oauth2" else "TBA",
    }
    if session.method == "oauth2":
        content["scope"] = list(session.scopes)
    return Response(200, encode(content), JSON, [(b"cache-control", b"no-store")], standing=False)
