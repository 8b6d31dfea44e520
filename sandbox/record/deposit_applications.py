"""Deposit applications: what of a customer deposit pays which invoices, made by transforming a deposit or along with a payment."""

from __future__ import annotations

from decimal import Decimal

from sandbox.errors import incomplete, invalid_value, user_error
from sandbox.profile import Role
from sandbox.record import applications, deposits, headers, ledger, lines, periods, settlement
from sandbox.record.applications import Amounts
from sandbox.record.context import Context
from sandbox.record.kinds import DEPOSIT, DEPOSIT_APPLICATION
from sandbox.record.values import Body, Values
from sandbox.store.database import Doc

_LINE_FIELDS = {"arAcct", "tranDate", "postingPeriod", "memo", *headers.SEGMENTS}
"""The body fields that the rows of the lines show."""


class DepositApplications:
    """The rules of `depositApplication`. Its customer, currency and rate are its deposit's, its total what it applies."""

    def __init__(self, context: Context) -> None:
        self._context, self._database = context, context.database

    def create(self, body: Body, role: Role) -> int:
        """Make one from the deposit that a transformation names; NetSuite makes none otherwise."""
        if "deposit" not in body.values:
            raise user_error(self._context.profile.switches.deposit_application_create_text)
        deposit = deposits.found(self._context, int(body.values["deposit"]))
        doc = _begin(self._context, deposit)
        body.show(doc)
        self._settle(doc, None, body, role, doc["createdDate"])
        return int(doc["id"])

    def update(self, identifier: int, doc: Doc, body: Body, role: Role) -> None:
        body.show(doc)
        self._settle(doc, dict(doc), body, role, self._context.now())

    def delete(self, identifier: int, doc: Doc, role: Role) -> None:
        """Delete an application: what it paid is open again, and the deposit can be applied elsewhere."""
        periods.check_open(self._context, doc["postingPeriod"], role)
        now = self._context.now()
        applications.withdraw(self._context, DEPOSIT_APPLICATION, doc, now)
        deposits.use(self._context, doc, Decimal(0), now)
        ledger.remove(self._context, identifier)
        self._database.remove("transaction", identifier)
        headers.log_deletion(self._context, DEPOSIT_APPLICATION, doc)

    def present(self, doc: Doc) -> Doc:
        """The application as a GET shows it: with its apply lines."""
        doc["apply"] = applications.apply_lines(self._context, DEPOSIT_APPLICATION, doc)
        return doc

    def _settle(self, doc: Doc, previous: Doc | None, body: Body, role: Role, now: str) -> None:
        """Apply the body, check, and save with what it applies."""
        context = self._context
        headers.take(doc, body.values)
        headers.check_segments(context, doc, doc.get("subsidiary"), "")
        if "arAcct" not in doc or context.masters.accounts[doc["arAcct"]].type != "AcctRec":
            raise invalid_value(doc.get("arAcct", ""), "arAcct", "arAcct")
        headers.check_account(context, doc["arAcct"], doc.get("subsidiary"))
        headers.dates(context, doc, previous, body)
        headers.check_periods(context, doc, previous, body, role)
        if "apply" in body.sublists:
            # What is applied is what is posted.
            periods.check_open(context, doc["postingPeriod"], role)
        headers.check_ids(context, DEPOSIT_APPLICATION, doc, previous)
        before = settlement.amounts_by(context, int(doc["id"]))
        doc["total"] = doc["unapplied"] = deposits.room(
            deposits.found(context, int(doc["deposit"])), doc if previous is not None else None
        )
        wanted = applications.wanted(context, DEPOSIT_APPLICATION, doc, body, before)
        if not wanted:
            raise incomplete("You must apply this deposit to at least one transaction.")
        lines_too = bool(body.values.keys() & _LINE_FIELDS)
        _save(context, doc, previous, before, wanted, now, lines_too=lines_too)


def deposit_lines(context: Context, payment: Doc) -> list[Values]:
    """The deposit sublist of a payment: by a switch the open deposits that it could apply, else nothing.

    What a payment applied of a deposit is a deposit application of its own from then on.
    """
    if context.profile.switches.apply_sublist != "open":
        return []
    rows = context.database.connection.execute(
        "SELECT id FROM q_transaction WHERE type = ? AND entity = ? AND currency = ? AND status IN ('A', 'B') ORDER BY id",
        (DEPOSIT.code, int(payment["customer"]), int(payment["currency"])),
    ).fetchall()
    shown: list[Values] = []
    for number, (identifier,) in enumerate(rows, 1):
        deposit = deposits.found(context, identifier)
        line = {"doc": str(identifier), "line": number, "apply": False, "remaining": deposits.room(deposit)}
        line |= {"total": deposit["total"], "depositDate": deposit["tranDate"], "refNum": deposit["tranId"]}
        shown.append(line | {"currency": context.masters.currencies[deposit["currency"]].symbol})
    return shown


def chosen(context: Context, payment: Doc, entries: list[Values]) -> Amounts:
    """What a payment's deposit lines take of each deposit; refuses another party's, or more than it has left."""
    taken: Amounts = {}
    for number, entry in enumerate(entries):
        path = f"deposit.items[{number}].doc"
        if entry.get("doc") is None:
            raise invalid_value("", "doc", path)
        identifier, amount = int(entry["doc"]), entry.get("amount")
        deposit = deposits.found(context, identifier, path)
        if any(deposit.get(name) != payment.get(name) for name in ("customer", "currency", "subsidiary")):
            raise invalid_value(identifier, "doc", path)
        if entry.get("apply") is False or amount == 0:
            continue
        precision = context.masters.currencies[payment["currency"]].precision
        left = deposits.room(deposit)
        taken[identifier] = lines.rounded(left if amount is None else amount, precision)
        if not 0 <= taken[identifier] <= left:
            raise user_error(context.profile.switches.over_application_text)
    return taken


def make(context: Context, payment: Doc, shares: dict[int, Amounts], now: str) -> None:
    """Make an application of each deposit for what a payment takes of it, by invoice; on the payment's date."""
    for identifier, amounts in shares.items():
        doc = _begin(context, deposits.found(context, identifier))
        doc |= {name: payment[name] for name in ("tranDate", "postingPeriod", "arAcct")}
        _save(context, doc, None, {}, amounts, now, lines_too=True)


def _begin(context: Context, deposit: Doc) -> Doc:
    """A new application with what its deposit gives it."""
    doc = headers.begin(context, DEPOSIT_APPLICATION)
    doc["_receivableKey"] = headers.line_key(context)
    taken = ("customer", "subsidiary", "currency", "exchangeRate", "_depositsAccount")
    doc |= {name: deposit[name] for name in taken if name in deposit}
    doc |= {"deposit": deposit["id"], "depositDate": deposit["tranDate"], "applied": Decimal(0)}
    customer = context.database.get("entity", int(deposit["customer"]))
    own = customer[1].get("receivablesAccount") if customer is not None else None
    doc["arAcct"] = own or context.profile.receivables_account
    return doc


def _save(
    context: Context,
    doc: Doc,
    previous: Doc | None,
    before: Amounts,
    after: Amounts,
    now: str,
    *,
    lines_too: bool,
) -> None:
    """Save an application and its rows, apply it to the invoices, and take what it applies from its deposit.

    Refuses more than either side has left.
    """
    doc["total"] = sum(after.values(), Decimal(0))
    headers.number(context, DEPOSIT_APPLICATION, doc, previous)
    doc["lastModifiedDate"] = now
    settlement.balance(context, DEPOSIT_APPLICATION, doc, final=False)
    changed = previous is None or previous["applied"] != doc["total"]
    settlement.save(context, DEPOSIT_APPLICATION, doc, lines_too=lines_too or changed)
    applications.settle(context, DEPOSIT_APPLICATION, doc, before, after, now)
    deposits.use(context, doc, doc["total"], now)
