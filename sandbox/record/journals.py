"""Journal entries: lines that must balance, accounts that must fit, approval, and the entry that reverses one."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from sandbox.errors import incomplete, invalid_value, missing_values, user_error
from sandbox.profile import Role
from sandbox.record import headers, ledger, lines, periods, settlement
from sandbox.record.context import Context
from sandbox.record.kinds import JOURNAL
from sandbox.record.values import Body, Values
from sandbox.store.database import Doc

_LINE_FIELDS = {"subsidiary", "currency", "exchangeRate", "tranDate", "postingPeriod", "approved"}
"""The body fields that the rows of the lines show."""
_OPPOSITE = {"debit": "credit", "credit": "debit"}


class Journals:
    """The rules of `journalEntry`."""

    def __init__(self, context: Context) -> None:
        self._context, self._database = context, context.database

    def create(self, body: Body, role: Role) -> int:
        doc = headers.begin(self._context, JOURNAL)
        doc |= {"approved": True, "isReversal": False, "reversalDefer": False, "void": False}
        body.show(doc)
        self._settle(doc, None, body, role, doc["createdDate"])
        return int(doc["id"])

    def update(self, identifier: int, doc: Doc, body: Body, role: Role) -> None:
        body.show(doc)
        self._settle(doc, dict(doc), body, role, self._context.now())

    def delete(self, identifier: int, doc: Doc, role: Role) -> None:
        """Delete a journal; its reversal goes with it, and a reversal leaves its journal without one."""
        self._check_periods(doc, None, Body({}), role)
        other = (
            self._database.get("transaction", int(doc["reversalEntry"])) if "reversalEntry" in doc else None
        )
        self._remove(doc)
        if other is None:
            return
        if doc["isReversal"]:
            for name in ("reversalEntry", "reversalDate"):
                other[1].pop(name, None)
            settlement.save(self._context, JOURNAL, other[1], lines_too=False)
        else:
            self._check_periods(other[1], None, Body({}), role)
            self._remove(other[1])

    def present(self, doc: Doc) -> Doc:
        return doc

    def _remove(self, doc: Doc) -> None:
        ledger.remove(self._context, int(doc["id"]))
        self._database.remove("transaction", int(doc["id"]))
        headers.log_deletion(self._context, JOURNAL, doc)

    def _settle(self, doc: Doc, previous: Doc | None, body: Body, role: Role, now: str) -> None:
        """Apply the body, source what is not given, check, save and project; then its reversal."""
        context = self._context
        headers.take(doc, body.values)
        for name in ("approved", "reversalDefer", "void"):
            doc[name] = bool(doc.get(name))
        if context.profile.oneworld and "subsidiary" not in doc:
            raise missing_values(["Subsidiary"])
        subsidiary = doc.get("subsidiary")
        doc.setdefault("currency", context.masters.base_currency(subsidiary).id)
        headers.exchange_rate(context, doc, previous, body)
        headers.check_segments(context, doc, subsidiary, "")
        headers.dates(context, doc, previous, body)
        if "line" in body.sublists:
            self._merge(doc, body.sublists["line"], "line" in body.replace)
        self._check_lines(doc)
        self._check_periods(doc, previous, body, role)
        headers.check_ids(context, JOURNAL, doc, previous)
        headers.number(context, JOURNAL, doc, previous)
        doc["status"] = "B" if doc["approved"] else "A"
        doc["total"] = sum((line.get("debit", Decimal(0)) for line in doc["line"]), Decimal(0))
        doc["lastModifiedDate"] = now
        lines_too = previous is None or "line" in body.sublists or bool(body.values.keys() & _LINE_FIELDS)
        if not doc["isReversal"]:
            self._reverse(doc, role, now)
        settlement.save(context, JOURNAL, doc, lines_too=lines_too)

    def _check_periods(self, doc: Doc, previous: Doc | None, body: Body, role: Role) -> None:
        """A lock of receivables alone stops only a journal that posts to them."""
        accounts = self._context.masters.accounts
        receivables = any(accounts[line["account"]].type == "AcctRec" for line in doc["line"])
        headers.check_periods(self._context, doc, previous, body, role, receivables=receivables)

    def _merge(self, doc: Doc, given: list[Values] | None, replace: bool) -> None:
        """Bring the lines up to the given ones, by `line`."""
        existing: list[Values] = (
            [] if replace or given is None else [dict(line) for line in doc.get("line", [])]
        )
        by_number = {line["line"]: line for line in existing}
        precision = self._context.masters.currencies[doc["currency"]].precision
        for number, entry in enumerate(given or []):
            line = by_number.get(entry.get("line"))
            if line is None:
                line = {"line": lines.next_number(doc), "lineUniqueKey": headers.line_key(self._context)}
                existing.append(line)
            self._change(line, entry, precision, f"line.items[{number}]")
        doc["line"] = existing

    def _change(self, line: Values, entry: Values, precision: int, path: str) -> None:
        for side, other in _OPPOSITE.items():
            # An amount on one side alone moves the line to it; zero on a side is no amount.
            if entry.get(side) and not entry.get(other):
                line.pop(other, None)
        for name, value in entry.items():
            if name == "line":
                continue
            if value is None or (name in _OPPOSITE and value == 0):
                line.pop(name, None)
            else:
                line[name] = lines.rounded(value, precision) if name in _OPPOSITE else value
        for side in _OPPOSITE:
            if line.get(side, Decimal(0)) < 0:
                raise invalid_value(line[side], side, f"{path}.{side}")

    def _check_lines(self, doc: Doc) -> None:
        """Every line has an account that fits and one amount; together they balance."""
        context, subsidiary = self._context, doc.get("subsidiary")
        if not doc.get("line"):
            raise incomplete("You must enter at least one line for this transaction.")
        left = Decimal(0)
        for number, line in enumerate(doc["line"]):
            path = f"line.items[{number}]"
            if "account" not in line:
                raise missing_values(["Account"])
            if ("debit" in line) == ("credit" in line):
                raise user_error("Each journal entry line must have either a debit or a credit amount.")
            headers.check_account(context, line["account"], subsidiary)
            kind = context.masters.accounts[line["account"]].type
            if kind in ("NonPosting", "Stat"):
                raise invalid_value(line["account"], "account", f"{path}.account")
            if kind == "AcctRec" and "entity" not in line:
                raise missing_values(["Name"])
            headers.check_segments(context, line, subsidiary, f"{path}.")
            left += line.get("debit", Decimal(0)) - line.get("credit", Decimal(0))
        if left:
            raise user_error(context.profile.switches.journal_unbalanced_text)

    # The reversal

    def _reverse(self, doc: Doc, role: Role, now: str) -> None:
        """Bring the reversing entry up to an approved journal that has a reversal date; without one it goes."""
        found = (
            self._database.get("transaction", int(doc["reversalEntry"])) if "reversalEntry" in doc else None
        )
        day = doc.get("reversalDate")
        if day is None or not doc["approved"] or self._waits(doc):
            if found is not None:
                self._check_periods(found[1], None, Body({}), role)
                self._remove(found[1])
                doc.pop("reversalEntry")
            return
        if day < doc["tranDate"]:
            raise invalid_value(day, "reversalDate", "reversalDate")
        entry, previous = (found[1], dict(found[1])) if found is not None else (None, None)
        if entry is None:
            entry = headers.begin(self._context, JOURNAL)
            entry |= {"reversalDefer": False, "void": False}
        carried = ("subsidiary", "currency", "exchangeRate", "memo", *headers.SEGMENTS)
        entry |= {name: doc[name] for name in carried if name in doc}
        entry |= {"isReversal": True, "approved": True, "status": "B", "total": doc["total"]}
        entry |= {"tranDate": day, "reversalEntry": doc["id"], "createdFrom": doc["id"]}
        entry["postingPeriod"] = periods.for_date(self._context, day)
        entry["line"] = [self._mirrored(line) for line in doc["line"]]
        self._check_periods(entry, previous, Body({}, {"line": None}), role)
        headers.number(self._context, JOURNAL, entry, previous)
        entry["lastModifiedDate"] = now
        doc["reversalEntry"] = entry["id"]
        settlement.save(self._context, JOURNAL, entry, lines_too=True)

    def _waits(self, doc: Doc) -> bool:
        """A deferred reversal is made when its day has come."""
        return bool(doc["reversalDefer"] and doc["reversalDate"] > self._context.today().isoformat())

    def _mirrored(self, line: Values) -> Values:
        kept: dict[str, Any] = {k: v for k, v in line.items() if k not in _OPPOSITE}
        kept["lineUniqueKey"] = headers.line_key(self._context)
        return kept | {other: line[side] for side, other in _OPPOSITE.items() if side in line}
