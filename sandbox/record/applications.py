"""Applying credit memos and payments to invoices: amounts, what remains on both sides, and the links in SuiteQL."""

from __future__ import annotations

from decimal import Decimal

from sandbox.errors import invalid_value, user_error
from sandbox.record import lines, settlement
from sandbox.record.context import Context, stamp
from sandbox.record.kinds import INVOICE, Kind
from sandbox.record.values import Body, Values
from sandbox.store.database import Doc

Amounts = dict[int, Decimal]
"""What is applied, by invoice id; in the currency of both sides."""


def apply_lines(context: Context, kind: Kind, credit: Doc) -> list[Values]:
    """The apply sublist of a credit memo or payment; by a switch with the open invoices that it could pay too."""
    rows: list[tuple[int, str, str | None]] = context.database.connection.execute(
        "SELECT applied, amount, applydate FROM application WHERE applying = ? ORDER BY applied",
        (int(credit["id"]),),
    ).fetchall()
    if context.profile.switches.apply_sublist == "open":
        applied = {row[0] for row in rows}
        rows += [(i, "0", None) for i in open_invoices(context, kind, credit) if i not in applied]
    found: list[Values] = []
    for number, (target, amount, day) in enumerate(rows, 1):
        invoice = invoice_of(context, target)
        line = {
            "doc": str(target),
            "line": number,
            "apply": day is not None,
            "amount": Decimal(amount) if day is not None else None,
            "due": invoice["amountRemaining"],
            "total": invoice["total"],
            "applyDate": day or invoice["tranDate"],
            "refNum": invoice["tranId"],
            "currency": context.masters.currencies[invoice["currency"]].symbol,
            "type": "Invoice",
        }
        found.append(line)
    return found


def wanted(context: Context, kind: Kind, credit: Doc, body: Body, before: Amounts) -> Amounts:
    """What is to be applied after the given apply lines and autoApply; not yet checked against the total."""
    amounts = dict(before)
    if "apply" in body.sublists:
        given = body.sublists["apply"]
        if given is None or "apply" in body.replace:
            amounts = {}
        for number, entry in enumerate(given or []):
            _take(context, kind, credit, amounts, before, entry, f"apply.items[{number}]")
    if body.values.get("autoApply"):
        _fill(context, kind, credit, amounts, before)
    return amounts


def asked(context: Context, entries: list[Values]) -> Decimal:
    """What apply lines ask for together: an amount each, or all that remains on the invoice."""
    total = Decimal(0)
    for number, entry in enumerate(entries):
        amount = entry.get("amount")
        if entry.get("apply") is not False and entry.get("doc") is not None:
            path = f"apply.items[{number}].doc"
            total += (
                amount
                if amount is not None
                else invoice_of(context, int(entry["doc"]), path)["amountRemaining"]
            )
    return total


def change(context: Context, kind: Kind, credit: Doc, body: Body, now: str) -> None:
    """Bring a credit's applications up to the given apply lines, then settle the credit and every invoice touched."""
    before = settlement.amounts_by(context, int(credit["id"]))
    settle(context, kind, credit, before, wanted(context, kind, credit, body, before), now)


def settle(context: Context, kind: Kind, credit: Doc, before: Amounts, after: Amounts, now: str) -> None:
    """Put the applications of a saved credit or payment from `before` to `after`; refuses more than its total."""
    if sum(after.values(), Decimal(0)) > credit["total"]:
        raise user_error(context.profile.switches.over_application_text)
    _store(context, kind, credit, before, after, now)
    settlement.balance(context, kind, credit)
    settlement.save(context, kind, credit, lines_too=False)


def withdraw(context: Context, kind: Kind, credit: Doc, now: str) -> None:
    """Take every application of a credit or payment back."""
    before = settlement.amounts_by(context, int(credit["id"]))
    _store(context, kind, credit, before, {}, now)


def open_invoices(context: Context, kind: Kind, credit: Doc) -> list[int]:
    """The customer's open invoices in the credit's currency, the oldest first."""
    rows = context.database.connection.execute(
        "SELECT id FROM q_transaction WHERE type = 'CustInvc' AND entity = ? AND currency = ? AND status = 'A' "
        "ORDER BY duedate, id",
        (int(credit[kind.party]), int(credit["currency"])),
    )
    return [row[0] for row in rows]


def invoice_of(context: Context, identifier: int, path: str = "apply") -> Doc:
    """An invoice; refuses anything else as a value of the `doc` at `path`."""
    found = context.database.get("transaction", identifier)
    if found is None or found[0] != INVOICE.record_type:
        raise invalid_value(identifier, "doc", path)
    return found[1]


def _take(
    context: Context,
    kind: Kind,
    credit: Doc,
    amounts: Amounts,
    before: Amounts,
    entry: Values,
    path: str,
) -> None:
    if entry.get("doc") is None:
        raise invalid_value("", "doc", f"{path}.doc")
    target = int(entry["doc"])
    amount: Decimal | None = entry.get("amount")
    if entry.get("apply") is False or amount == 0:
        amounts.pop(target, None)
        return
    invoice = invoice_of(context, target, f"{path}.doc")
    same = invoice["entity"] == credit[kind.party] and all(
        invoice.get(name) == credit.get(name) for name in ("currency", "subsidiary")
    )
    if not same or invoice["status"] not in ("A", "B"):
        raise invalid_value(target, "doc", f"{path}.doc")
    room = invoice["amountRemaining"] + before.get(target, Decimal(0))
    if amount is None:
        used = sum((value for key, value in amounts.items() if key != target), Decimal(0))
        amount = max(min(room, credit["total"] - used), Decimal(0))
    amount = lines.rounded(amount, context.masters.currencies[credit["currency"]].precision)
    if amount < 0:
        raise user_error(context.profile.switches.over_application_text)
    if amount:
        amounts[target] = amount


def _fill(context: Context, kind: Kind, credit: Doc, amounts: Amounts, before: Amounts) -> None:
    """Apply what is left to the customer's oldest open invoices."""
    for target in open_invoices(context, kind, credit):
        left = credit["total"] - sum(amounts.values(), Decimal(0))
        if left <= 0:
            return
        invoice = invoice_of(context, target)
        if invoice.get("subsidiary") != credit.get("subsidiary"):
            continue
        held = amounts.get(target, Decimal(0))
        room = invoice["amountRemaining"] + before.get(target, Decimal(0)) - held
        if room > 0:
            amounts[target] = held + min(room, left)


def _store(context: Context, kind: Kind, credit: Doc, before: Amounts, after: Amounts, now: str) -> None:
    own, connection = int(credit["id"]), context.database.connection
    for target in sorted(before.keys() | after.keys()):
        if before.get(target) == after.get(target):
            continue
        connection.execute("DELETE FROM application WHERE applying = ? AND applied = ?", (own, target))
        connection.execute(
            "DELETE FROM q_nexttransactionlinelink WHERE previousdoc = ? AND nextdoc = ?", (target, own)
        )
        invoice = invoice_of(context, target)
        if target in after:
            amount = after[target]
            row = (own, target, str(amount), credit["tranDate"])
            connection.execute("INSERT INTO application VALUES (?, ?, ?, ?)", row)
            _link(context, kind, invoice, credit, amount, now)
        settlement.balance(context, INVOICE, invoice)
        if context.profile.switches.apply_touches_invoice:
            invoice["lastModifiedDate"] = now
        settlement.save(context, INVOICE, invoice, lines_too=False)


def _link(context: Context, kind: Kind, invoice: Doc, credit: Doc, amount: Decimal, now: str) -> None:
    context.database.insert(
        "nexttransactionlinelink",
        {
            "previousdoc": int(invoice["id"]),
            "previousline": 0,
            "previoustype": INVOICE.code,
            "previousdate": stamp(invoice["tranDate"]),
            "nextdoc": int(credit["id"]),
            "nextline": 0,
            "nexttype": kind.code,
            "nextdate": stamp(credit["tranDate"]),
            "foreignamount": amount,
            "linktype": context.profile.switches.link_type,
            "lastmodifieddate": context.local(now),
        },
    )
