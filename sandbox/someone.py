"""Someone else who works in an account while a client does: touches, amends, copies and deletes records.

Whatever they do goes through the record service, under a role that may everything; what NetSuite refuses to them too
does not happen.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Callable
from decimal import Decimal
from typing import TYPE_CHECKING

from sandbox.auth.roles import Session
from sandbox.errors import Refusal
from sandbox.faults import Fault
from sandbox.profile import Role
from sandbox.record.service import ROOT
from sandbox.store.database import Doc
from sandbox.wire import Json, Request, encode

if TYPE_CHECKING:
    from sandbox.account import Account

_ROLE = Role(id="3", name="Administrator", administrator=True)
_SESSION = Session("", "Someone else", _ROLE, "-5", "ui")
_REMARK = "Changed by someone else"
_SEGMENTS = ("department", "class", "location")
_HEADER = ("subsidiary", "currency", "exchangeRate", "tranDate", *_SEGMENTS)
_COPIED = {
    "customer": ("subsidiary", "currency"),
    "invoice": ("entity", "terms", *_HEADER),
    "creditMemo": ("entity", *_HEADER),
    "customerPayment": ("customer", "payment", "account", *_HEADER),
    "customerDeposit": ("customer", "payment", "account", *_HEADER),
    "journalEntry": _HEADER,
}
"""Fields of a copy, by record type."""
_LINES = {
    "invoice": ("item", ("item", "quantity", "rate", "amount", *_SEGMENTS)),
    "creditMemo": ("item", ("item", "quantity", "rate", "amount", *_SEGMENTS)),
    "journalEntry": ("line", ("account", "debit", "credit", "entity", "memo", *_SEGMENTS)),
}
"""Sublist and line fields of a copy, by record type."""
_log = logging.getLogger("sandbox")


class Someone:
    def __init__(self, account: Account) -> None:
        self._account = account

    def change_record(self, path: str, values: Json) -> None:
        """Write values, or a remark, to the record that a request's path names."""
        kind, _, rest = path[len(ROOT) + 1 :].partition("/")
        record_type = self._account.context.types.get(kind.lower())
        if record_type is None:
            return
        try:
            self._write(
                "PATCH", f"{kind}/{rest.partition('/')[0]}", values or {_remark(record_type.name): _REMARK}
            )
        except Refusal as refusal:
            _log.warning("a change by someone else did not happen: %s: %s", path, refusal.detail)

    def change_rows(self, fault: Fault, chance: random.Random) -> None:
        """Change as many records as the fault says; one that cannot be changed so is passed over for another."""
        rows = self._account.database.connection.execute(
            "SELECT id FROM record WHERE type = ? ORDER BY id", (fault.record,)
        ).fetchall()
        ids = [int(row[0]) for row in rows]
        chance.shuffle(ids)
        change: Callable[[Fault, int, random.Random], None] = {
            "touch": self._touch,
            "amend": self._amend,
            "add": self._add,
            "delete": self._delete,
        }[fault.change]
        left = fault.rows
        for identifier in ids:
            if left == 0:
                break
            try:
                change(fault, identifier, chance)
            except Refusal:
                continue
            left -= 1
        if left:
            what = f"{fault.change} {fault.record}"
            _log.warning("rows_changed (%s): %d of %d did not happen", what, left, fault.rows)

    def _touch(self, fault: Fault, identifier: int, chance: random.Random) -> None:
        self._write("PATCH", f"{fault.record}/{identifier}", fault.values or {_remark(fault.record): _REMARK})

    def _delete(self, fault: Fault, identifier: int, chance: random.Random) -> None:
        self._write("DELETE", f"{fault.record}/{identifier}", None)

    def _amend(self, fault: Fault, identifier: int, chance: random.Random) -> None:
        """Raise an amount of one line of a document, both sides of a journal, or a payment."""
        doc = self._doc(fault.record, identifier)
        self._write(
            "PATCH", f"{fault.record}/{identifier}", _amended(fault.record, doc, chance) | fault.values
        )

    def _add(self, fault: Fault, identifier: int, chance: random.Random) -> None:
        doc = self._doc(fault.record, identifier)
        copy: dict[str, Json] = {name: doc[name] for name in _COPIED[fault.record] if name in doc}
        if fault.record == "customer":
            copy["companyName"] = f"Another {doc.get('companyName')} {identifier}"
        if fault.record in _LINES:
            sublist, names = _LINES[fault.record]
            lines = [{name: line[name] for name in names if name in line} for line in doc.get(sublist) or []]
            copy[sublist] = {"items": lines}
        self._write("POST", fault.record, copy | fault.values)

    def _doc(self, record: str, identifier: int) -> Doc:
        found = self._account.database.get("entity" if record == "customer" else "transaction", identifier)
        return found[1] if found is not None else {}

    def _write(self, method: str, path: str, body: Json) -> None:
        """Raises `Refusal`."""
        address = f"{ROOT}/{path}"
        content = b"" if body is None else encode(body)
        self._account.perform(
            Request(method, address, address, "", {}, content, "http", "localhost", ""), _SESSION
        )


def _remark(record: str) -> str:
    """The field for a remark, of any record type."""
    return "memo" if record in _COPIED and record != "customer" else "comments"


def _amended(record: str, doc: Doc, chance: random.Random) -> dict[str, Json]:
    if record in ("customerPayment", "customerDeposit"):
        return {"payment": doc["payment"] + 1}
    if record == "journalEntry":
        sides = {side: next(line for line in doc["line"] if side in line) for side in ("debit", "credit")}
        return {
            "line": {"items": [{"line": line["line"], side: line[side] + 1} for side, line in sides.items()]}
        }
    line = chance.choice(doc["item"])
    # Where quantity and rate make the amount, an amount alone would be made anew from them.
    name = "rate" if line.get("quantity") and line.get("rate") is not None else "amount"
    return {"item": {"items": [{"line": line["line"], name: line.get(name, Decimal(0)) + 1}]}}
