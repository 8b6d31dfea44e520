"""System notes: who changed which field of a record from what to what; the history of transactions; who deleted a record.

Only requests leave notes. What the sandbox makes itself (a profile's records, a fill) has none, as an import in NetSuite
may be told to.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from decimal import Decimal
from typing import Any

from sandbox.auth.roles import Session
from sandbox.record.context import Context
from sandbox.record.schema import ENUMS, Field, space_of
from sandbox.record.type_numbers import type_number
from sandbox.store.database import Doc

_COMPUTED = ("status", "total")
"""Fields that are not written but whose changes are noted."""
_UNNOTED = ("id", "lastModifiedDate", "lastModified", "createdDate", "created", "dateCreated")


class Notes:
    def __init__(self, context: Context) -> None:
        self._context, self._database = context, context.database
        self._seen: set[tuple[int, str]] = set()

    @contextmanager
    def written_by(self, session: Session) -> Iterator[None]:
        """Note what is written meanwhile as the session's doing."""

        def watch(space: str, identifier: int, record_type: str, old: Doc | None, new: Doc | None) -> None:
            self._changed(session, space, identifier, record_type, old, new)

        self._database.watch = watch
        self._seen.clear()
        try:
            yield
        finally:
            self._database.watch = None

    def sign_deletion(self, session: Session, record_type: str, identifier: int) -> None:
        """Put the session's user on the latest deletion of a record."""
        self._database.connection.execute(
            "UPDATE q_deletedrecord SET deletedby = ? WHERE recordid = ? AND scriptid = ?",
            (_number(session.entity), identifier, record_type.lower()),
        )

    def _changed(
        self,
        session: Session,
        space: str,
        identifier: int,
        record_type: str,
        old: Doc | None,
        new: Doc | None,
    ) -> None:
        context, now = self._context, self._context.local(self._context.now())
        what = "Delete" if new is None else "Edit" if old is not None else "Create"
        note: dict[str, Any] = {
            "date": now,
            "name": _number(session.entity),
            "role": _number(session.role.id),
            "context": context.profile.switches.system_note_context,
        }
        if space == "transaction":
            self._history(note, identifier, what)
        fields = context.types.get(record_type.lower())
        if fields is None or new is None:
            return
        note |= {
            "record": new.get("_title"),
            "recordid": identifier,
            "recordtypeid": type_number(context.profile, record_type),
        }
        before = old or {}
        for field in fields.fields.values():
            name = field.name
            if name in _UNNOTED or (field.read_only and name not in _COMPUTED):
                continue
            was, became = before.get(name), new.get(name)
            if was != became:
                values = {"oldvalue": self._text(field, was), "newvalue": self._text(field, became)}
                self._database.insert("systemnote", {**note, "field": name.upper(), **values})

    def _history(self, note: dict[str, Any], identifier: int, what: str) -> None:
        """One row for each request and transaction."""
        if any((identifier, earlier) in self._seen for earlier in ("Create", what)):
            return
        self._seen.add((identifier, what))
        self._database.insert("transactionhistory", {**note, "transaction": identifier, "type": what})

    def _text(self, field: Field, value: Any) -> str | None:
        """A value as NetSuite's UI shows it."""
        if value is None:
            return None
        if field.kind in ("reference", "choice"):
            return self._database.name(space_of(field.target), str(value)) or str(value)
        if field.kind == "multi":
            names = [self._database.name(space_of(field.target), str(one)) or str(one) for one in value]
            return ", ".join(names) or None
        if field.kind == "enum":
            return ENUMS.get(field.target, {}).get(str(value), str(value))
        if field.kind == "date":
            return date.fromisoformat(value).strftime(self._context.profile.strftime_format)
        if isinstance(value, bool):
            return "T" if value else "F"
        return format(value.normalize(), "f") if isinstance(value, Decimal) else str(value)


def _number(identifier: str | None) -> int | None:
    return int(identifier) if identifier is not None and identifier.lstrip("-").isdigit() else None
