"""The certificates of an integration record, over the account's certificate rotation endpoint.

Here: listing, uploading, revoking (NetSuite REST facts: certificate rotation endpoint). Not here: when to do which
(``rotation``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any, Final

import httpx
import msgspec

from resources.netsuite import errors
from resources.netsuite.auth import Auth
from resources.netsuite.certificates import TenantFiles, remember_last_days
from resources.netsuite.deadline import Deadline, Deadlines
from resources.netsuite.errors import Attempt, PermissionDenied
from resources.netsuite.governor import Governor
from resources.netsuite.hosts import Hosts

_PERMISSION: Final = (
    "Give the role the permission 'Manage own OAuth 2.0 Client Credentials Certificates': Setup > Users/Roles > User "
    "Management > Manage Roles > (the integration's role) > Permissions > Setup. Without it an administrator uploads "
    "the certificate at Setup > Integration > Manage Authentication > OAuth 2.0 Client Credentials (M2M) Setup."
)


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate as the account lists it."""

    certificate_id: str
    entity_id: str
    role_id: str
    valid_until: date | None
    revoked: bool
    algorithm: str = ""

    def is_active(self, today: date) -> bool:
        """Whether it signs in today, as far as its dates and state tell."""
        return not self.revoked and (self.valid_until is None or today <= self.valid_until)


class CertificateEndpoint:
    """The certificates of one integration record, through its own sign-in. Raises ``NetSuiteError``."""

    def __init__(
        self, hosts: Hosts, client_id: str, auth: Auth, http: httpx.AsyncClient, governor: Governor
    ) -> None:
        self._hosts = hosts
        self._url = hosts.certificates_url(client_id)
        self._auth = auth
        self._http = http
        self._governor = governor

    async def list(self) -> list[Certificate]:
        """Every certificate of the integration record, revoked and expired ones too."""
        content = await self._call("GET", self._url, "List the certificates")
        try:
            return [_listed(entry) for entry in msgspec.json.decode(content, type=list[dict[str, Any]])]
        except (msgspec.DecodeError, LookupError, TypeError, ValueError):
            attempt = self._attempt("List the certificates", write=False)
            raise errors.unusable_answer(attempt, 200, b"", "", "(no list of certificates in it)") from None

    async def upload(self, certificate: bytes, entity_id: str, role_id: str) -> tuple[str, date | None]:
        """Upload a PEM certificate; its id and last day. Raises ``InDoubt`` when no answer came."""
        title = "Upload a certificate"
        body = {"fileContent": certificate.decode("ascii"), "role": role_id, "entity": entity_id}
        content = await self._call("POST", self._url, title, body)
        try:
            given = msgspec.json.decode(content, type=dict[str, Any])
            return str(given["certificate_id"]), _day(given.get("valid_until"))
        except (msgspec.DecodeError, LookupError, TypeError, ValueError):
            attempt = self._attempt(title, write=True)
            raise errors.unusable_answer(attempt, 200, b"", "", "(no certificate id in it)") from None

    async def revoke(self, certificate_id: str) -> None:
        """Revoke a certificate; nobody signs in with it any more."""
        await self._call(
            "POST", f"{self._url}/{certificate_id}/revoke", f"Revoke certificate {certificate_id}"
        )

    def _attempt(self, title: str, *, write: bool) -> Attempt:
        return Attempt(
            f"{title} of NetSuite account {self._hosts.realm}",
            is_write=write,
            where=self._hosts.restlets_prefix,
            loopback=self._hosts.is_loopback,
        )

    async def _call(self, method: str, url: str, title: str, body: dict[str, str] | None = None) -> bytes:
        attempt, under_way = self._attempt(title, write=method == "POST"), False

        async def once() -> bytes:
            nonlocal under_way
            for _ in range(2):
                authorization = await self._auth.authorization(method, url, self._http)
                headers = {"Authorization": authorization, "Accept": "application/json"}
                under_way = True
                try:
                    answer = await self._http.request(method, url, json=body, headers=headers)
                except (httpx.ConnectError, httpx.ConnectTimeout, httpx.ProxyError) as error:
                    under_way = False
                    raise errors.not_connected(attempt, str(error)) from error
                except httpx.HTTPError as error:
                    under_way = False
                    raise errors.no_answer(attempt, f"{type(error).__name__}: {error}") from error
                under_way = False
                if answer.status_code != 401:
                    self._auth.accepted(authorization)
                    break
                if not self._auth.refused(authorization):
                    break
            if 200 <= answer.status_code < 300:
                return answer.content
            request_id = str(answer.headers.get("x-netsuite-jobid", ""))
            failed = errors.from_answer(attempt, answer.status_code, answer.content, request_id)
            if isinstance(failed, PermissionDenied):
                raise PermissionDenied(replace(failed.failure, what_to_do=_PERMISSION))
            raise failed

        seconds = Deadlines().write if attempt.is_write else Deadlines().read
        late = Deadline(seconds, lambda tried: errors.past_deadline(attempt, tried, sent=under_way))
        return await self._governor.run(once, late)


def _listed(entry: dict[str, Any]) -> Certificate:
    return Certificate(
        certificate_id=str(entry["certificate_id"]),
        entity_id=str(entry["entity"]["id"]),
        role_id=str(entry["role"]["id"]),
        valid_until=_day(entry.get("valid_until")),
        revoked=entry.get("revoked") in (True, "T", "true"),
        algorithm=str(entry.get("algorithm", "")),
    )


def _day(value: object) -> date | None:
    return date.fromisoformat(value[:10]) if isinstance(value, str) and value else None


def last_days(listed: Sequence[Certificate]) -> dict[str, date]:
    """The last days of those that have one, by id."""
    return {found.certificate_id: found.valid_until for found in listed if found.valid_until is not None}


async def list_certificates(
    hosts: Hosts, client_id: str, auth: Auth, governor: Governor, files: TenantFiles
) -> list[Certificate]:
    """Ask the account for the integration record's certificates, and keep their last days for the calendar."""
    async with httpx.AsyncClient(timeout=60.0) as http:
        listed = await CertificateEndpoint(hosts, client_id, auth, http, governor).list()
    remember_last_days(files, client_id, last_days(listed))
    return listed
