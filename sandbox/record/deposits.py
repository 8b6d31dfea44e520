"""Customer deposits: money that a customer pays before an invoice is due, a liability until deposit applications use it."""

from __future__ import annotations

from decimal import Decimal

from sandbox.errors import invalid_value, missing_values, user_error
from sandbox.profile import Role
from sandbox.record import funds, headers, ledger, periods, settlement
from sandbox.record.context import Context, stamp
from sandbox.record.kinds import DEPOSIT, DEPOSIT_APPLICATION
from sandbox.record.values import Body
from sandbox.store.database import Doc

_LINE_FIELDS = {
    *("customer", "subsidiary", "currency", "exchangeRate", "account", "undepFunds", "payment"),
    *("tranDate", "postingPeriod", "memo", *headers.SEGMENTS),
}
"""The body fields that the rows of the lines show."""
_FIXED = ("subsidiary", "currency", "exchangeRate")
"""What cannot change while the deposit is applied."""


class Deposits:
    """The rules of `customerDeposit`."""

    def __init__(self, context: Context) -> None:
        self._context, self._database = context, context.database

    def create(self, body: Body, role: Role) -> int:
        doc = headers.begin(self._context, DEPOSIT)
        doc |= {"_depositsKey": headers.line_key(self._context), "toBeEmailed": False, "_uses": {}}
        doc["_depositsAccount"] = self._context.profile.customer_deposits_account
        body.show(doc)
        self._settle(doc, None, body, role, doc["createdDate"])
        return int(doc["id"])

    def update(self, identifier: int, doc: Doc, body: Body, role: Role) -> None:
        body.show(doc)
        self._settle(doc, dict(doc), body, role, self._context.now())

    def delete(self, identifier: int, doc: Doc, role: Role) -> None:
        """Delete a deposit; refuses one that is applied."""
        periods.check_open(self._context, doc["postingPeriod"], role)
        if doc["_uses"]:
            raise user_error(self._context.profile.switches.dependent_records_text)
        ledger.remove(self._context, identifier)
        self._database.remove("transaction", identifier)
        headers.log_deletion(self._context, DEPOSIT, doc)

    def present(self, doc: Doc) -> Doc:
        return doc

    def _settle(self, doc: Doc, previous: Doc | None, body: Body, role: Role, now: str) -> None:
        """Apply the body, source what is not given, check, save and project."""
        context = self._context
        headers.take(doc, body.values)
        headers.party(context, DEPOSIT, doc, previous, body)
        if previous is not None:
            # Oracle: after the form is saved, the customer cannot be changed.
            fixed = ("customer", *(_FIXED if doc["_uses"] else ()))
            for name in fixed:
                if doc.get(name) != previous.get(name):
                    raise invalid_value(doc.get(name), name, name)
        funds.choose(context, doc, previous, body)
        headers.check_account(context, doc["_depositsAccount"], doc.get("subsidiary"))
        headers.dates(context, doc, previous, body)
        headers.check_periods(context, doc, previous, body, role)
        if "payment" not in doc:
            raise missing_values(["Payment Amount"])
        funds.round_amount(context, doc)
        headers.check_ids(context, DEPOSIT, doc, previous)
        headers.number(context, DEPOSIT, doc, previous)
        doc["lastModifiedDate"] = now
        settlement.balance(context, DEPOSIT, doc)
        lines_too = previous is None or bool(body.values.keys() & _LINE_FIELDS)
        settlement.save(context, DEPOSIT, doc, lines_too=lines_too)


def found(context: Context, identifier: int, path: str = "deposit") -> Doc:
    """A deposit; refuses anything else as a value of the `doc` at `path`."""
    record = context.database.get("transaction", identifier)
    if record is None or record[0] != DEPOSIT.record_type:
        raise invalid_value(identifier, "doc", path)
    return record[1]


def room(deposit: Doc, application: Doc | None = None) -> Decimal:
    """What of a deposit is not applied yet, besides what an application of it already has."""
    own: Decimal = (
        deposit["_uses"].get(application["id"], Decimal(0)) if application is not None else Decimal(0)
    )
    remaining: Decimal = deposit["amountRemaining"]
    return remaining + own


def use(context: Context, application: Doc, amount: Decimal, now: str) -> None:
    """Set what an application uses of its deposit, settle the deposit, and link the two; zero takes it back."""
    identifier, own = int(application["deposit"]), int(application["id"])
    deposit = found(context, identifier)
    if amount:
        deposit["_uses"][application["id"]] = amount
    else:
        deposit["_uses"].pop(application["id"], None)
    settlement.balance(context, DEPOSIT, deposit)
    if context.profile.switches.apply_touches_deposit:
        deposit["lastModifiedDate"] = now
    settlement.save(context, DEPOSIT, deposit, lines_too=False)
    context.database.connection.execute(
        "DELETE FROM q_nexttransactionlinelink WHERE previousdoc = ? AND nextdoc = ?", (identifier, own)
    )
    if amount:
        context.database.insert(
            "nexttransactionlinelink",
            {
                "previousdoc": identifier,
                "previousline": 0,
                "previoustype": DEPOSIT.code,
                "previousdate": stamp(deposit["tranDate"]),
                "nextdoc": own,
                "nextline": 0,
                "nexttype": DEPOSIT_APPLICATION.code,
                "nextdate": stamp(application["tranDate"]),
                "foreignamount": amount,
                "linktype": context.profile.switches.deposit_link_type,
                "lastmodifieddate": context.local(now),
            },
        )
