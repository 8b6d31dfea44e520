"""Invoices and credit memos: what one must have, where its values come from, numbering, totals and life."""

from __future__ import annotations

from datetime import date, timedelta

from sandbox.errors import invalid_value, missing_values, user_error
from sandbox.profile import Role
from sandbox.record import applications, ledger, lines, periods, settlement
from sandbox.record.context import FIRST_LINE_KEY, FIRST_TRANSACTION, Context
from sandbox.record.kinds import Kind
from sandbox.record.values import Body
from sandbox.store.database import Doc

_NON_GL = {"memo", "message", "email", "otherRefNum", "toBeEmailed", "toBePrinted", "toBeFaxed", "salesRep"}
_CARRIED = ("department", "class", "location")


class Documents:
    """The rules of one document type."""

    space = "transaction"

    def __init__(self, context: Context, kind: Kind) -> None:
        self._context, self._kind, self._database = context, kind, context.database
        self.record_type = kind.record_type

    def create(self, body: Body, role: Role) -> int:
        identifier = self._database.next("transaction", FIRST_TRANSACTION)
        now = self._context.now()
        doc: Doc = {
            "id": str(identifier),
            "createdDate": now,
            "customForm": self._kind.form,
            "source": "restWebServices",
            "toBeEmailed": False,
            "toBePrinted": False,
            "toBeFaxed": False,
            "asOfDate": self._context.today().isoformat(),
            "_mainKey": self._database.next("line key", FIRST_LINE_KEY),
        }
        self._settle(doc, None, body, role, now)
        return identifier

    def update(self, identifier: int, doc: Doc, body: Body, role: Role) -> None:
        previous = dict(doc)
        self._settle(doc, previous, body, role, self._context.now())

    def delete(self, identifier: int, doc: Doc, role: Role) -> None:
        periods.check_open(self._context, doc["postingPeriod"], role)
        if settlement.amounts_on(self._context, identifier):
            raise user_error(self._context.profile.switches.dependent_records_text)
        applications.withdraw(self._context, identifier, self._context.now())
        ledger.remove(self._context, identifier)
        self._database.remove(self.space, identifier)
        self._database.insert(
            "deletedrecord",
            {
                "recordid": identifier,
                "recordtypeid": -30,
                "name": doc.get("_title"),
                "type": self._kind.title,
                "scriptid": self._kind.record_type.lower(),
                "context": "REST Web Services",
                "deleteddate": self._context.local(self._context.now()),
                "iscustomlist": False,
                "iscustomrecord": False,
                "iscustomtransaction": False,
            },
        )

    def present(self, doc: Doc) -> Doc:
        """The document as a GET shows it: a credit memo with its apply lines."""
        if self._kind.applies:
            doc["apply"] = applications.apply_lines(self._context, int(doc["id"]))
        return doc

    def _settle(self, doc: Doc, previous: Doc | None, body: Body, role: Role, now: str) -> None:
        """Apply the body, source what is not given, check, compute, save and project."""
        for name, value in body.values.items():
            if value is None:
                doc.pop(name, None)
            else:
                doc[name] = value
        self._party(doc, previous, body)
        self._dates(doc, previous, body)
        self._check_periods(doc, previous, body, role)
        if "item" in body.sublists:
            lines.merge(self._context, doc, body.sublists["item"], "item" in body.replace)
        lines.check(self._context, doc)
        lines.totals(doc)
        if missing := self._context.mandatory_labels(self._context.types[self.record_type.lower()], doc):
            raise missing_values(missing)
        own = int(doc["id"])
        self._context.check_external_id(
            self.record_type, self.space, doc.get("externalId"), own if previous else None
        )
        self._number(doc, previous)
        doc["lastModifiedDate"] = now
        doc.pop("apply", None)
        settlement.balance(self._context, self._kind, doc)
        settlement.save(self._context, self._kind, doc, lines_too=previous is None or self._moves_lines(body))
        if self._kind.applies and ("apply" in body.sublists or body.values.get("autoApply")):
            applications.change(self._context, self._kind, doc, body, now)

    def _party(self, doc: Doc, previous: Doc | None, body: Body) -> None:
        """Customer, subsidiary, currency, rate, receivables account and segments, and their validity together."""
        if "entity" not in doc:
            raise missing_values(["Customer"])
        found = self._database.get("entity", int(doc["entity"]))
        if found is None or (found[1].get("isInactive") and previous is None):
            raise invalid_value(doc["entity"], "entity", "entity")
        customer = found[1]
        masters, profile = self._context.masters, self._context.profile
        subsidiary: str | None = None
        if profile.oneworld:
            subsidiary = doc.setdefault("subsidiary", customer["subsidiary"])
            if subsidiary != customer["subsidiary"]:
                raise invalid_value(subsidiary, "subsidiary", "subsidiary")
        currency = str(doc.setdefault("currency", customer["currency"]))
        if all(currency != line["currency"] for line in customer["currencyList"]):
            raise invalid_value(currency, "currency", "currency")
        moved = previous is None or any(
            doc.get(name) != previous.get(name) for name in ("currency", "subsidiary", "tranDate")
        )
        if "exchangeRate" not in doc or (moved and "exchangeRate" not in body.values):
            doc["exchangeRate"] = masters.exchange_rate(currency, subsidiary)
        if doc["exchangeRate"] <= 0:
            raise invalid_value(doc["exchangeRate"], "exchangeRate", "exchangeRate")
        doc.setdefault("account", customer.get("receivablesAccount") or profile.receivables_account)
        for name in _CARRIED:
            if name in doc and not masters.valid_for(name, doc[name], subsidiary):
                raise invalid_value(doc[name], name, name)
        if not self._kind.applies and previous is None and "terms" not in body.values and "terms" in customer:
            doc["terms"] = customer["terms"]

    def _dates(self, doc: Doc, previous: Doc | None, body: Body) -> None:
        """The document's date, its period, and the due date that the terms give."""
        doc.setdefault("tranDate", self._context.today().isoformat())
        moved = previous is None or doc["tranDate"] != previous["tranDate"]
        if "postingPeriod" not in doc or (moved and "postingPeriod" not in body.values):
            doc["postingPeriod"] = periods.for_date(self._context, doc["tranDate"])
        periods.check_date(self._context, doc["postingPeriod"], doc["tranDate"])
        if self._kind.applies:
            return
        retermed = previous is None or doc.get("terms") != previous.get("terms")
        if "dueDate" not in doc or ((moved or retermed) and "dueDate" not in body.values):
            term = self._context.masters.terms.get(doc.get("terms", ""))
            due = date.fromisoformat(doc["tranDate"]) + timedelta(days=term.days if term else 0)
            doc["dueDate"] = due.isoformat()

    def _check_periods(self, doc: Doc, previous: Doc | None, body: Body, role: Role) -> None:
        touched = {name for name in body.values if previous is None or doc.get(name) != previous.get(name)}
        gl_impact = (
            previous is None
            or "item" in body.sublists
            or any(name not in _NON_GL and not name.startswith("cust") for name in touched)
        )
        periods.check_open(self._context, doc["postingPeriod"], role, gl_impact=gl_impact)
        if previous is not None and previous["postingPeriod"] != doc["postingPeriod"]:
            periods.check_open(self._context, previous["postingPeriod"], role)

    def _number(self, doc: Doc, previous: Doc | None) -> None:
        numbering = self._context.profile.numbering
        if previous is not None:
            if not self._context.profile.switches.tran_id_override or "tranId" not in doc:
                doc["tranId"] = previous["tranId"]
        else:
            if "tranId" not in doc or not self._context.profile.switches.tran_id_override:
                number = self._database.next(f"{self.record_type} number", numbering.first)
                doc["tranId"] = f"{getattr(numbering, self._kind.numbering)}{number}"
            number = self._database.next(f"{self.record_type} sequence")
            doc["transactionNumber"] = f"{self._kind.sequence}{number}"
        doc["_title"] = f"{self._kind.title} #{doc['tranId']}"

    @staticmethod
    def _moves_lines(body: Body) -> bool:
        """Whether a change reaches the lines of the document or of its ledger."""
        header = {
            "entity",
            "subsidiary",
            "currency",
            "exchangeRate",
            "account",
            "tranDate",
            "postingPeriod",
            "memo",
        }
        return bool(body.sublists.keys() & {"item"}) or bool(body.values.keys() & (header | set(_CARRIED)))
