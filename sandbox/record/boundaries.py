"""What a caller's sight means for its requests for records: what is out of it does not exist, or may not be touched."""

from __future__ import annotations

from sandbox.auth.roles import Session
from sandbox.errors import Refusal, invalid_value, nonexistent, permission_violation
from sandbox.record.context import Context
from sandbox.record.schema import RecordType, space_of
from sandbox.record.values import Body
from sandbox.store.database import Doc

_NAMING_TRANSACTIONS = ("apply", "credit", "deposit")
"""Sublists whose rows are about other transactions, which `doc` names."""


class Boundaries:
    def __init__(self, context: Context) -> None:
        self._context = context

    def sees(self, session: Session, space: str, identifier: int | str) -> bool:
        condition = session.sight.record(space, "?")
        if not condition:
            return True
        connection = self._context.database.connection
        return bool(connection.execute(f"SELECT {condition}", (int(identifier),)).fetchone()[0])

    def knows(self, session: Session, record_type: RecordType, identifier: int) -> bool:
        """False for a record that is to the caller as if it did not exist, although its external id is taken."""
        as_nothing = self._context.profile.switches.restricted_record == "nonexistent"
        return not as_nothing or self.sees(session, record_type.space, identifier)

    def check(self, session: Session, record_type: RecordType, identifier: int) -> None:
        """Refuse a record that is out of sight."""
        if not self.sees(session, record_type.space, identifier):
            raise self._refusal(record_type)

    def _refusal(self, record_type: RecordType) -> Refusal:
        switches = self._context.profile.switches
        if switches.restricted_record == "nonexistent":
            return nonexistent()
        return permission_violation(record_type.permission, switches.missing_permission_status)

    def check_references(self, session: Session, record_type: RecordType, body: Body) -> None:
        """Refuse a body that refers to what is out of sight: such a reference names nothing."""
        if session.sight.whole:
            return
        holders = [(body.values, record_type.fields, "")]
        for name, lines in body.sublists.items():
            fields = record_type.sublists[name.lower()].fields
            holders += [(line, fields, f"{name}.items[{place}].") for place, line in enumerate(lines or [])]
        for values, fields, path in holders:
            for name, value in values.items():
                field = fields.get(name.lower())
                if field is None or field.kind != "reference" or value is None:
                    continue
                if not self.sees(session, space_of(field.target), value):
                    raise invalid_value(value, name, path + name)

    def check_subsidiary(self, session: Session, record_type: RecordType, identifier: int) -> None:
        """Refuse a record that was just written in a subsidiary that the role is not for."""
        if not session.sight.subsidiaries:
            return
        found = self._context.database.get(record_type.space, identifier)
        subsidiary = found[1].get("subsidiary") if found is not None else None
        if isinstance(subsidiary, str) and not session.sight.may_have(subsidiary):
            raise invalid_value(subsidiary, "subsidiary", "subsidiary")

    def narrow(self, session: Session, doc: Doc) -> Doc:
        """A record without the rows of its sublists that are about what is out of sight."""
        if not session.sight.whole:
            for name in _NAMING_TRANSACTIONS:
                if name in doc:
                    doc[name] = [line for line in doc[name] if self.sees(session, "transaction", line["doc"])]
        return doc
