"""The record service's paths: which operation a request is, who may do it, and its answer."""

from __future__ import annotations

from typing import Protocol
from urllib.parse import unquote

from sandbox.auth.roles import REST, Session, allows
from sandbox.errors import (
    Refusal,
    invalid_url,
    method_not_allowed,
    nonexistent,
    permission_violation,
    role_lacks_permission,
    unknown_record_type,
    wrong_transaction_type,
)
from sandbox.profile import Role
from sandbox.record import collection, forms, listing, lists, metadata, relationships, transforms
from sandbox.record.boundaries import Boundaries
from sandbox.record.context import Context
from sandbox.record.customers import Customers
from sandbox.record.deposit_applications import DepositApplications
from sandbox.record.deposits import Deposits
from sandbox.record.documents import Documents
from sandbox.record.journals import Journals
from sandbox.record.kinds import DOCUMENTS
from sandbox.record.notes import Notes
from sandbox.record.payments import Payments
from sandbox.record.relationships import Relationships
from sandbox.record.render import Renderer, line_key
from sandbox.record.schema import RecordType, seen_by
from sandbox.record.values import Body, read_body
from sandbox.store.database import Doc
from sandbox.wire import COLLECTION, Json, Request, Response, json_response, no_content

ROOT = "/services/rest/record/v1"
_EXTERNAL_ID = set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-")
_LEVELS = {"GET": "view", "POST": "create", "PATCH": "edit", "PUT": "edit", "DELETE": "full"}


class Rules(Protocol):
    """What a record type that can be written has to say; every method raises `Refusal`."""

    def create(self, body: Body, role: Role) -> int: ...

    def update(self, identifier: int, doc: Doc, body: Body, role: Role) -> None: ...

    def delete(self, identifier: int, doc: Doc, role: Role) -> None: ...

    def present(self, doc: Doc) -> Doc:
        """The record as a GET shows it."""
        ...


class RecordService:
    def __init__(self, context: Context) -> None:
        self._context = context
        self._rules: dict[str, Rules] = {
            "customer": Customers(context),
            "customerPayment": Payments(context),
            "customerDeposit": Deposits(context),
            "depositApplication": DepositApplications(context),
            "journalEntry": Journals(context),
            **{kind.record_type: Documents(context, kind) for kind in DOCUMENTS},
            **lists.rules(context),
            **({relationships.SPACE: Relationships(context)} if context.profile.oneworld else {}),
        }
        self._notes, self._boundaries = Notes(context), Boundaries(context)
        self._seen_types: dict[tuple[str, str], RecordType] = {}
        """By record type and role."""

    def handle(self, request: Request, session: Session) -> Response:
        """Answer any request under the record service's root; raises `Refusal`."""
        if request.method == "GET":
            return self._answer(request, session)
        with self._notes.written_by(session):
            return self._answer(request, session)

    def _answer(self, request: Request, session: Session) -> Response:
        if not allows(session.role, REST, "full"):
            raise role_lacks_permission()
        parts = [part for part in request.path[len(ROOT) :].split("/") if part]
        if not parts:
            raise invalid_url(request.path)
        if parts[0].lower() == "metadata-catalog":
            return metadata.answer(self._context, request, session, parts[1:])
        record_type = self._context.types.get(parts[0].lower())
        if record_type is None:
            raise unknown_record_type(parts[0], f"{ROOT}/{parts[0]}")
        record_type = self._seen(record_type, session.role)
        if len(parts) == 4 and parts[2].lower() == "!transform":
            return self._transform(request, session, record_type, parts[1], parts[3])
        self._check_permission(record_type, request.method, session)
        if len(parts) == 1:
            return self._on_collection(request, session, record_type, parts[0])
        if len(parts) == 2:
            return self._on_record(request, session, record_type, parts[0], parts[1])
        if request.method != "GET":
            raise method_not_allowed(request.method)
        return self._sub_resource(request, session, record_type, parts)

    def _seen(self, record_type: RecordType, role: Role) -> RecordType:
        key = (record_type.name, role.id)
        if key not in self._seen_types:
            self._seen_types[key] = seen_by(record_type, role)
        return self._seen_types[key]

    def _check_permission(self, record_type: RecordType, method: str, session: Session) -> None:
        if not record_type.permission:
            return
        switches = self._context.profile.switches
        level = _LEVELS.get(method, "view")
        if method == "GET" and not switches.view_only_reads:
            level = "edit"
        if not allows(session.role, record_type.permission_name, level):
            raise permission_violation(record_type.permission, switches.missing_permission_status)

    def _on_collection(
        self, request: Request, session: Session, record_type: RecordType, called: str
    ) -> Response:
        if request.method == "GET":
            if listing.asked(request):
                return self._list(request, session, record_type, called)
            page = collection.page(self._context, request, record_type, called, session.sight)
            return json_response(page, COLLECTION)
        if request.method != "POST":
            raise method_not_allowed(request.method)
        self._check_writable(record_type, "POST")
        if forms.asked(request):
            return self._form(request, session, record_type, None)
        with self._context.database.transaction():
            identifier = self._create(request, session, record_type)
        return no_content(f"{request.records}/{called}/{identifier}")

    def _list(self, request: Request, session: Session, record_type: RecordType, called: str) -> Response:
        renderer = Renderer(request, self._context.database)

        def show(identifier: int) -> Json:
            _, doc = self._found(session, record_type, str(identifier))
            doc = self._present(session, record_type, doc)
            return renderer.record(record_type, doc, called)

        page = listing.page(self._context, request, record_type, called, session.sight, show)
        return json_response(page, COLLECTION)

    def _on_record(
        self, request: Request, session: Session, record_type: RecordType, called: str, key: str
    ) -> Response:
        method = request.method
        if method == "PUT":
            return self._upsert(request, session, record_type, called, key)
        if method not in ("GET", "PATCH", "DELETE"):
            raise method_not_allowed(method)
        identifier, doc = self._found(session, record_type, key)
        if method == "GET":
            shown = self._present(session, record_type, doc)
            return json_response(Renderer(request, self._context.database).record(record_type, shown, called))
        self._check_writable(record_type, method)
        if method == "PATCH" and forms.asked(request):
            return self._form(request, session, record_type, doc)
        with self._context.database.transaction():
            if method == "DELETE":
                self._delete(session, record_type, identifier, doc)
                return no_content()
            self._update(request, session, record_type, identifier, doc)
        return no_content(f"{request.records}/{called}/{identifier}")

    def _transform(
        self, request: Request, session: Session, source: RecordType, key: str, called: str
    ) -> Response:
        """Make a new record from another one, or show the form of it."""
        if request.method != "POST":
            raise method_not_allowed(request.method)
        target = self._context.types.get(called.lower())
        if target is None:
            raise unknown_record_type(called, request.path)
        transforms.check(source, target)
        self._check_permission(source, "GET", session)
        self._check_permission(target, "POST", session)
        _, doc = self._found(session, source, key)
        rules, given = self._rules[target.name], self._body(request, session, target)
        body = transforms.prepare(self._context, source, doc, target, given)
        if form := forms.asked(request):
            shown = forms.rehearse(
                self._context, body, lambda: rules.create(body, session.role), rules.present
            )
            return forms.answer(request, self._context, target, shown, given, form, "transform")
        with self._context.database.transaction():
            identifier = rules.create(body, session.role)
            self._boundaries.check_subsidiary(session, target, identifier)
        return no_content(f"{request.records}/{called}/{identifier}")

    def _form(self, request: Request, session: Session, record_type: RecordType, doc: Doc | None) -> Response:
        """A form of a new record or of one that exists, or the options of its fields."""
        rules, form = self._rules[record_type.name], forms.asked(request)
        body = self._body(request, session, record_type)
        if form == "select-options":
            values = (doc or {}) | body.values
            return forms.options(request, self._context, record_type, values, session.sight)
        if (form == "create-form") != (doc is None):
            raise method_not_allowed(request.method)

        def write() -> None:
            if doc is None:
                rules.create(body, session.role)
            else:
                rules.update(int(doc["id"]), doc, body, session.role)

        shown = forms.rehearse(self._context, body, write, rules.present)
        relation = "create" if doc is None else "update"
        return forms.answer(request, self._context, record_type, shown, body, form, relation)

    def _upsert(
        self, request: Request, session: Session, record_type: RecordType, called: str, key: str
    ) -> Response:
        if not key.startswith("eid:"):
            status = self._context.profile.switches.put_internal_id_status
            raise Refusal(
                status,
                "METHOD_NOT_ALLOWED" if status == 405 else "INVALID_REQUEST",
                "PUT addresses a record by its external id: <recordname>/eid:<externalid>.",
            )
        external_id = self._external_id(key)
        self._check_writable(record_type, "PUT")
        with self._context.database.transaction():
            identifier = self._context.database.find(record_type.name, external_id)
            if identifier is None or not self._boundaries.knows(session, record_type, identifier):
                identifier = self._create(request, session, record_type, external_id)
            else:
                _, doc = self._found(session, record_type, str(identifier))
                self._update(request, session, record_type, identifier, doc, external_id)
        return no_content(f"{request.records}/{called}/{identifier}")

    def _external_id(self, key: str) -> str:
        external_id = unquote(key[len("eid:") :])
        if not external_id or not _EXTERNAL_ID.issuperset(external_id):
            raise invalid_url(key)
        return external_id

    def _body(self, request: Request, session: Session, record_type: RecordType) -> Body:
        body = read_body(request, record_type, self._context.database)
        self._boundaries.check_references(session, record_type, body)
        return body

    def _found(self, session: Session, record_type: RecordType, key: str) -> tuple[int, Doc]:
        """A record by `id` or `eid:`; a transaction id of another type has its own refusal."""
        database = self._context.database
        if key.startswith("eid:"):
            by_external = database.find(record_type.name, self._external_id(key))
            if by_external is None:
                raise nonexistent()
            identifier = by_external
        elif key.lstrip("-").isdigit() and len(key) < 19:
            identifier = int(key)
        else:
            raise nonexistent()
        found = database.get(record_type.space, identifier)
        if found is None:
            raise nonexistent()
        self._boundaries.check(session, record_type, identifier)
        if found[0] != record_type.name:
            raise wrong_transaction_type() if record_type.space == "transaction" else nonexistent()
        return identifier, found[1]

    def _present(self, session: Session, record_type: RecordType, doc: Doc) -> Doc:
        rules = self._rules.get(record_type.name)
        return self._boundaries.narrow(session, rules.present(doc) if rules is not None else doc)

    def _check_writable(self, record_type: RecordType, method: str) -> None:
        if record_type.name not in self._rules:
            raise method_not_allowed(method)

    def _create(
        self, request: Request, session: Session, record_type: RecordType, external_id: str | None = None
    ) -> int:
        body = self._body(request, session, record_type)
        if external_id is not None:
            body.values["externalId"] = external_id
        identifier = self._rules[record_type.name].create(body, session.role)
        self._boundaries.check_subsidiary(session, record_type, identifier)
        return identifier

    def _update(
        self,
        request: Request,
        session: Session,
        record_type: RecordType,
        identifier: int,
        doc: Doc,
        external_id: str | None = None,
    ) -> None:
        body = self._body(request, session, record_type)
        if external_id is not None:
            body.values["externalId"] = external_id
        if request.flag("replaceSelectedFields"):
            for name in body.replace:
                field = record_type.fields.get(name)
                if field is not None and not field.read_only:
                    body.values.setdefault(field.name, None)
        self._rules[record_type.name].update(identifier, doc, body, session.role)
        if "subsidiary" in body.values:
            self._boundaries.check_subsidiary(session, record_type, identifier)

    def _delete(self, session: Session, record_type: RecordType, identifier: int, doc: Doc) -> None:
        self._rules[record_type.name].delete(identifier, doc, session.role)
        self._notes.sign_deletion(session, record_type.name, identifier)

    def _sub_resource(
        self, request: Request, session: Session, record_type: RecordType, parts: list[str]
    ) -> Response:
        """A sublist, one of its lines, or a line's subrecord, by address."""
        called, key, name, *rest = parts
        sublist = record_type.sublists.get(name.lower())
        if sublist is None or len(rest) > 2:
            raise invalid_url(request.path)
        _, doc = self._found(session, record_type, key)
        doc = self._present(session, record_type, doc)
        renderer = Renderer(request, self._context.database)
        base = f"{request.records}/{called}/{doc['id']}/{sublist.name}"
        lines = doc.get(sublist.name) or []
        if not rest:
            shown = [
                {"links": [{"rel": "self", "href": f"{base}/{line_key(sublist, line)}"}]} for line in lines
            ]
            if request.flag("expandSubResources"):
                shown = [renderer.line(sublist, line, base) for line in lines]
            answer = {"links": [{"rel": "self", "href": base}], "items": shown, "totalResults": len(lines)}
            return json_response(answer, COLLECTION)
        line = next((line for line in lines if line_key(sublist, line) == rest[0]), None)
        if line is None:
            raise nonexistent()
        if len(rest) == 1:
            return json_response(renderer.line(sublist, line, base))
        if rest[1].lower() != "addressbookaddress":
            raise invalid_url(request.path)
        links = [{"rel": "self", "href": f"{base}/{rest[0]}/{rest[1]}"}]
        return json_response({"links": links, **renderer.address(line["addressBookAddress"])})
