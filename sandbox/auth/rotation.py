"""The certificate rotation endpoint: an integration lists, uploads and revokes its own M2M certificates.

Follows NetSuite's "Certificate rotation endpoint" of 2026.1. It is documented for the restlets host; here it answers
on every host of the account. What the ids and addresses in answers look like, and every refusal, is ours.
"""

from __future__ import annotations

from urllib.parse import unquote

import msgspec
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from sandbox.auth.certificates import MOST_ACTIVE, CertificateError, LoadedCertificate, load_pem
from sandbox.auth.directory import Directory
from sandbox.auth.mappings import Mappings, certificate_id
from sandbox.auth.oauth2 import ROOT as OAUTH2_ROOT
from sandbox.auth.roles import OWN_CERTIFICATES, Session, allows
from sandbox.clock import Clock
from sandbox.errors import (
    invalid_content,
    invalid_url,
    method_not_allowed,
    nonexistent,
    permission_violation,
    user_error,
)
from sandbox.profile_access import Integration
from sandbox.profile_types import Id
from sandbox.wire import JSON, Json, Request, Response, decode, encode

ROOT = f"{OAUTH2_ROOT}/clients"


class _Upload(BaseModel):
    model_config = ConfigDict(extra="ignore")

    pem: str = Field(alias="fileContent")
    role: Id
    entity: Id


class Rotation:
    def __init__(self, directory: Directory, mappings: Mappings, clock: Clock) -> None:
        self._directory, self._mappings, self._clock = directory, mappings, clock
        self._profile = directory.profile

    def handle(self, request: Request, session: Session) -> Response:
        """Answer a request under `ROOT`; raises `Refusal`."""
        if not allows(session.role, OWN_CERTIFICATES, "full"):
            status = self._profile.switches.missing_permission_status
            raise permission_violation(f"Setup -> {OWN_CERTIFICATES}", status)
        parts = [unquote(part) for part in request.path[len(ROOT) :].split("/") if part]
        if len(parts) < 2 or parts[1] != "certificates":
            raise invalid_url(request.path)
        integration = self._directory.integrations.get(parts[0])
        if integration is None:
            raise nonexistent()
        if len(parts) == 2:
            return self._on_all(request, session, integration)
        if len(parts) == 4 and parts[3] == "revoke":
            if request.method != "POST":
                raise method_not_allowed(request.method)
            return self._revoke(session, integration, parts[2])
        raise invalid_url(request.path)

    def _on_all(self, request: Request, session: Session, integration: Integration) -> Response:
        if request.method == "GET":
            own = [
                certificate
                for certificate in self._mappings.of(integration.client_id).values()
                if self._may_manage(session, integration, certificate)
            ]
            own.sort(key=lambda certificate: (certificate.created, certificate.id))
            return _json([self._row(request, integration, certificate) for certificate in own])
        if request.method == "POST":
            return _json(self._upload(request, session, integration))
        raise method_not_allowed(request.method)

    def _may_manage(self, session: Session, integration: Integration, certificate: LoadedCertificate) -> bool:
        """One's own are those of the caller's entity; an administrator manages all."""
        return session.role.administrator or (certificate.entity or integration.entity) == session.entity

    def _upload(self, request: Request, session: Session, integration: Integration) -> Json:
        try:
            upload = _Upload.model_validate(decode(request.body))
        except msgspec.DecodeError as error:
            raise invalid_content("Invalid content. The body is not JSON.") from error
        except ValidationError as error:
            field = ".".join(str(part) for part in error.errors(include_url=False)[0]["loc"])
            raise invalid_content(f"Invalid content. A value for {field} is needed.", field) from error
        if not integration.client_credentials:
            raise user_error(
                f"The client credentials grant is not enabled on integration {integration.name}."
            )
        if not session.role.administrator and upload.entity != session.entity:
            raise user_error(
                f"Entity {upload.entity} is not yours: only own certificates can be uploaded, entity {session.entity}."
            )
        if not self._directory.has_role(upload.entity, upload.role):
            raise user_error(f"Entity {upload.entity} does not have role {upload.role}.")
        if "BEGIN CERTIFICATE" not in upload.pem:
            raise invalid_content("Invalid content. fileContent is not an X.509 certificate.", "fileContent")
        today = self._clock.now().date()
        name = certificate_id(integration.client_id, upload.pem)
        try:
            certificate = load_pem(name, upload.pem, valid_until=None, today=today)
        except CertificateError as error:
            text = str(error).removeprefix(f"certificate {name}: ")
            raise invalid_content(f"Invalid certificate: {text}.", "fileContent") from error
        if certificate.valid_until < today:
            raise user_error(f"The certificate ended on {certificate.valid_until}.")
        if name in self._mappings.of(integration.client_id):
            raise user_error(
                f"This certificate was uploaded to integration {integration.name} before. Use a new one."
            )
        if self._mappings.active(integration.client_id) >= MOST_ACTIVE:
            raise user_error(
                f"Integration {integration.name} has {MOST_ACTIVE} active certificates, which is the most. Revoke one first."
            )
        certificate.role, certificate.entity = upload.role, upload.entity
        self._mappings.add(integration.client_id, certificate)
        return {
            "entity_role_id": {"com": self._profile.account, "ent": upload.entity, "rol": upload.role},
            "application_id": integration.application_id(self._profile.account),
            "certificate_id": name,
            "certificate": upload.pem,
            "algorithm": certificate.algorithm,
            "created_at": certificate.created.isoformat(),
            "valid_from": certificate.valid_from.isoformat(),
            "valid_until": certificate.valid_until.isoformat(),
            "invalidated": False,
        }

    def _revoke(self, session: Session, integration: Integration, identifier: str) -> Response:
        certificate = self._mappings.of(integration.client_id).get(identifier)
        if certificate is None or not self._may_manage(session, integration, certificate):
            raise nonexistent()
        self._mappings.revoke(integration.client_id, identifier)
        return Response(200, b"Successfully revoked", b"text/plain; charset=UTF-8")

    def _row(self, request: Request, integration: Integration, certificate: LoadedCertificate) -> Json:
        number = 1 + list(self._directory.integrations).index(integration.client_id)
        role_id = certificate.role or integration.role
        entity = certificate.entity or integration.entity
        role = self._directory.roles.get(role_id)
        return {
            "application": {
                "id": str(number),
                "name": integration.name,
                "url": f"{request.base}/app/common/integration/integrapp.nl?id={number}",
                "application_id": integration.application_id(self._profile.account),
            },
            "entity": {
                "id": entity,
                "name": self._directory.user_name(entity),
                "url": f"{request.base}/app/common/entity/employee.nl?id={entity}",
            },
            "role": {
                "id": role_id,
                "name": role.name if role is not None else "",
                "url": f"{request.base}/app/setup/role.nl?id={role_id}",
            },
            "created": certificate.created.isoformat(),
            "valid_from": certificate.valid_from.isoformat(),
            "valid_until": certificate.valid_until.isoformat(),
            "revoked": certificate.revoked,
            "certificate_id": certificate.id,
            "algorithm": certificate.algorithm,
        }


def _json(content: Json) -> Response:
    return Response(200, encode(content), JSON)
