"""Invoices, credit memos and sales orders: where their values come from, their lines and totals, and their life."""

from __future__ import annotations

from datetime import date, timedelta

from sandbox.errors import invalid_value, user_error
from sandbox.profile import Role
from sandbox.record import applications, headers, ledger, lines, orders, periods, settlement, totals
from sandbox.record.context import Context
from sandbox.record.kinds import INVOICE, SALES_ORDER, Kind
from sandbox.record.values import Body
from sandbox.store.database import Doc

_LINE_FIELDS = {
    *("entity", "subsidiary", "currency", "exchangeRate", "account", "tranDate", "postingPeriod", "memo"),
    *headers.SEGMENTS,
    *totals.FIELDS,
    "approvalStatus",
}
"""The body fields that the rows of the lines show."""
_FIXED = ("entity", "subsidiary", "currency")
"""What cannot change while the document is applied."""


class Documents:
    """The rules of one document type."""

    def __init__(self, context: Context, kind: Kind) -> None:
        self._context, self._kind, self._database = context, kind, context.database

    def create(self, body: Body, role: Role) -> int:
        doc = headers.begin(self._context, self._kind)
        doc |= {"toBeEmailed": False, "toBePrinted": False, "toBeFaxed": False}
        doc["asOfDate"] = self._context.today().isoformat()
        body.show(doc)
        self._settle(doc, None, body, role, doc["createdDate"])
        return int(doc["id"])

    def update(self, identifier: int, doc: Doc, body: Body, role: Role) -> None:
        body.show(doc)
        self._settle(doc, dict(doc), body, role, self._context.now())

    def delete(self, identifier: int, doc: Doc, role: Role) -> None:
        if self._kind.posting:
            periods.check_open(self._context, doc["postingPeriod"], role)
        if settlement.amounts_on(self._context, identifier) or doc.get("_invoices"):
            raise user_error(self._context.profile.switches.dependent_records_text)
        applications.withdraw(self._context, self._kind, doc, self._context.now())
        ledger.remove(self._context, identifier)
        self._database.remove("transaction", identifier)
        headers.log_deletion(self._context, self._kind, doc)
        if self._kind is INVOICE:
            orders.refresh(self._context, doc)

    def present(self, doc: Doc) -> Doc:
        """The document as a GET shows it: a credit memo with its apply lines."""
        if self._kind.applies:
            doc["apply"] = applications.apply_lines(self._context, self._kind, doc)
        return doc

    def _settle(self, doc: Doc, previous: Doc | None, body: Body, role: Role, now: str) -> None:
        """Apply the body, source what is not given, check, compute, save and project."""
        context, kind = self._context, self._kind
        headers.take(doc, body.values)
        self._source(doc, previous, body)
        if kind.posting:
            headers.check_periods(context, doc, previous, body, role)
        if "item" in body.sublists:
            lines.merge(context, doc, body.sublists["item"], "item" in body.replace)
        lines.check(context, doc)
        totals.settle(context, kind, doc, body)
        headers.check_ids(context, kind, doc, previous)
        headers.number(context, kind, doc, previous)
        doc["lastModifiedDate"] = now
        doc.pop("apply", None)
        if kind is SALES_ORDER:
            doc["status"] = doc["orderStatus"] = orders.status(doc)
            settlement.save(context, kind, doc, lines_too=True)
            return
        self._check_fixed(doc, previous)
        applying = kind.applies and ("apply" in body.sublists or bool(body.values.get("autoApply")))
        settlement.balance(context, kind, doc, final=not applying)
        if kind is INVOICE:
            orders.check(context, doc)
        settlement.save(context, kind, doc, lines_too=previous is None or self._moves_lines(body))
        if kind is INVOICE:
            orders.refresh(context, doc, previous)
        if applying:
            applications.change(context, kind, doc, body, now)

    def _check_fixed(self, doc: Doc, previous: Doc | None) -> None:
        """A document that is applied keeps its customer, subsidiary and currency."""
        changed = [n for n in _FIXED if previous is not None and doc.get(n) != previous.get(n)]
        if changed and previous is not None and previous["amountPaid"]:
            raise invalid_value(doc.get(changed[0]), changed[0], changed[0])

    def _source(self, doc: Doc, previous: Doc | None, body: Body) -> None:
        """Values that follow from the customer, the date and the terms."""
        customer = headers.party(self._context, self._kind, doc, previous, body)
        account = customer.get("receivablesAccount") or self._context.profile.receivables_account
        doc.setdefault("account", account)
        invoice = self._kind is INVOICE
        if not self._kind.applies and previous is None and "terms" not in body.values and "terms" in customer:
            doc["terms"] = customer["terms"]
        if self._kind is SALES_ORDER:
            doc.setdefault("tranDate", self._context.today().isoformat())
            return
        moved = headers.dates(self._context, doc, previous, body)
        if not invoice:
            return
        if self._context.profile.features.invoice_approvals:
            doc.setdefault("approvalStatus", "1")
        retermed = previous is None or doc.get("terms") != previous.get("terms")
        if "dueDate" not in doc or ((moved or retermed) and "dueDate" not in body.values):
            term = self._context.masters.terms.get(doc.get("terms", ""))
            due = date.fromisoformat(doc["tranDate"]) + timedelta(days=term.days if term else 0)
            doc["dueDate"] = due.isoformat()

    @staticmethod
    def _moves_lines(body: Body) -> bool:
        """Whether a change reaches the lines of the document or of its ledger."""
        return bool(body.sublists.keys() & {"item", "taxDetails"}) or bool(body.values.keys() & _LINE_FIELDS)
