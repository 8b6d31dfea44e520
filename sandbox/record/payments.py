"""Customer payments: what they pay, and the credit memos and deposits that are applied along with them."""

from __future__ import annotations

from decimal import Decimal

from sandbox.errors import invalid_value, missing_values
from sandbox.profile import Role
from sandbox.record import (
    applications,
    balances,
    credits,
    deposit_applications,
    funds,
    headers,
    ledger,
    periods,
    settlement,
)
from sandbox.record.context import Context
from sandbox.record.kinds import PAYMENT
from sandbox.record.values import Body
from sandbox.store.database import Doc

_LINE_FIELDS = {
    *("customer", "subsidiary", "currency", "exchangeRate", "account", "arAcct", "undepFunds", "payment"),
    *("tranDate", "postingPeriod", "memo", *headers.SEGMENTS),
}
"""The body fields that the rows of the lines show."""
_FIXED = ("customer", "subsidiary", "currency")
"""What cannot change while the payment is applied."""


class Payments:
    """The rules of `customerPayment`."""

    def __init__(self, context: Context) -> None:
        self._context, self._database = context, context.database

    def create(self, body: Body, role: Role) -> int:
        doc = headers.begin(self._context, PAYMENT)
        doc["_receivableKey"] = headers.line_key(self._context)
        body.show(doc)
        self._settle(doc, None, body, role, doc["createdDate"])
        return int(doc["id"])

    def update(self, identifier: int, doc: Doc, body: Body, role: Role) -> None:
        body.show(doc)
        self._settle(doc, dict(doc), body, role, self._context.now())

    def delete(self, identifier: int, doc: Doc, role: Role) -> None:
        """Delete a payment; what it paid is open again. Its credit memos stay applied, unless a switch says otherwise."""
        periods.check_open(self._context, doc["postingPeriod"], role)
        now = self._context.now()
        if self._context.profile.switches.payment_owns_credits:
            credits.release(self._context, doc, [int(memo) for memo in doc.get("_credits", {})], now)
        applications.withdraw(self._context, PAYMENT, doc, now)
        ledger.remove(self._context, identifier)
        self._database.remove("transaction", identifier)
        headers.log_deletion(self._context, PAYMENT, doc)

    def present(self, doc: Doc) -> Doc:
        """The payment as a GET shows it: with its apply and credit lines, and the customer's balance."""
        doc["apply"] = applications.apply_lines(self._context, PAYMENT, doc)
        doc["credit"] = credits.credit_lines(self._context, doc)
        doc["deposit"] = deposit_applications.deposit_lines(self._context, doc)
        doc["balance"] = balances.of_customer(self._context, doc["customer"])[0]
        doc["pending"] = Decimal(0)
        return doc

    def _settle(self, doc: Doc, previous: Doc | None, body: Body, role: Role, now: str) -> None:
        """Apply the body, source what is not given, check, apply, save and project."""
        context = self._context
        headers.take(doc, body.values)
        customer = headers.party(context, PAYMENT, doc, previous, body)
        doc.setdefault("arAcct", customer.get("receivablesAccount") or context.profile.receivables_account)
        if context.masters.accounts[doc["arAcct"]].type != "AcctRec":
            raise invalid_value(doc["arAcct"], "arAcct", "arAcct")
        funds.choose(context, doc, previous, body)
        headers.check_account(context, doc["arAcct"], doc.get("subsidiary"))
        headers.dates(context, doc, previous, body)
        headers.check_periods(context, doc, previous, body, role)
        self._amount(doc, body)
        headers.check_ids(context, PAYMENT, doc, previous)
        headers.number(context, PAYMENT, doc, previous)
        doc["lastModifiedDate"] = now
        before = settlement.amounts_by(context, int(doc["id"]))
        if before and previous is not None and any(doc.get(n) != previous.get(n) for n in _FIXED):
            name = next(n for n in _FIXED if doc.get(n) != previous.get(n))
            raise invalid_value(doc.get(name), name, name)
        applying = bool(body.sublists.keys() & {"apply", "credit", "deposit"}) or bool(
            body.values.get("autoApply")
        )
        settlement.balance(context, PAYMENT, doc, final=not applying)
        lines_too = previous is None or bool(body.values.keys() & _LINE_FIELDS)
        settlement.save(context, PAYMENT, doc, lines_too=lines_too)
        if applying:
            self._apply(doc, body, before, now)

    def _amount(self, doc: Doc, body: Body) -> None:
        """The payment's amount; one that is not given is what the apply lines ask of it."""
        context = self._context
        if "payment" not in doc:
            entries = body.sublists.get("apply")
            if not entries:
                raise missing_values(["Payment Amount"])
            memos = credits.chosen(context, doc, body.sublists.get("credit") or [])
            taken = deposit_applications.chosen(context, doc, body.sublists.get("deposit") or [])
            given = sum((*memos.values(), *taken.values()), Decimal(0))
            doc["payment"] = max(applications.asked(context, entries) - given, Decimal(0))
        funds.round_amount(context, doc)

    def _apply(self, doc: Doc, body: Body, before: applications.Amounts, now: str) -> None:
        """Apply the given credit memos and deposits first, then the payment to what of the invoices they leave."""
        context = self._context
        given = body.sublists.get("credit")
        if "credit" in body.sublists:
            # What earlier requests applied of these memos is taken back first, so that a line says the whole amount.
            memos = [int(entry["doc"]) for entry in given or [] if entry.get("doc") is not None]
            if given is None or "credit" in body.replace:
                memos = [int(memo) for memo in doc.get("_credits", {})]
            credits.release(context, doc, memos, now)
        chosen = credits.chosen(context, doc, given or [])
        taken = deposit_applications.chosen(context, doc, body.sublists.get("deposit") or [])
        spread = sum((*chosen.values(), *taken.values()), Decimal(0))
        money = doc | {"total": doc["total"] + spread}
        wanted = applications.wanted(context, PAYMENT, money, body, before)
        own, shares = credits.split(context, chosen | taken, wanted, before)
        of_memos = {memo: parts for memo, parts in shares.items() if memo in chosen}
        credits.remember(doc, of_memos)
        # The payment's own part goes first: what the others add is then checked against what it leaves.
        applications.settle(context, PAYMENT, doc, before, own, now)
        credits.apply(context, of_memos, now)
        of_deposits = {deposit: parts for deposit, parts in shares.items() if deposit in taken}
        deposit_applications.make(context, doc, of_deposits, now)
