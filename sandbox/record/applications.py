"""Applying credit memos to invoices: the amounts applied, what remains on both sides, and the links that SuiteQL shows."""

from __future__ import annotations

from decimal import Decimal

from sandbox.errors import invalid_value, user_error
from sandbox.record import lines, settlement
from sandbox.record.context import Context, stamp
from sandbox.record.kinds import INVOICE, Kind
from sandbox.record.values import Body, Values
from sandbox.store.database import Doc


def apply_lines(context: Context, applying: int) -> list[Values]:
    """The apply sublist of a credit."""
    found: list[Values] = []
    rows = context.database.connection.execute(
        "SELECT applied, amount, applydate FROM application WHERE applying = ? ORDER BY applied", (applying,)
    ).fetchall()
    for number, (applied, amount, day) in enumerate(rows, 1):
        invoice = _invoice(context, applied)
        found.append(
            {
                "doc": str(applied),
                "line": number,
                "apply": True,
                "amount": Decimal(amount),
                "due": invoice["amountRemaining"],
                "total": invoice["total"],
                "applyDate": day,
                "refNum": invoice["tranId"],
                "currency": context.masters.currencies[invoice["currency"]].symbol,
                "type": "Invoice",
            }
        )
    return found


def change(context: Context, kind: Kind, credit: Doc, body: Body, now: str) -> None:
    """Bring a credit's applications up to the given apply lines, then settle the credit and every invoice touched."""
    own = int(credit["id"])
    wanted = settlement.amounts_by(context, own)
    before = dict(wanted)
    if "apply" in body.sublists:
        given = body.sublists["apply"]
        if given is None or "apply" in body.replace:
            wanted = {}
        for number, entry in enumerate(given or []):
            _take(context, credit, wanted, before, entry, f"apply.items[{number}]")
    if body.values.get("autoApply"):
        _fill(context, credit, wanted, before)
    if sum(wanted.values(), Decimal(0)) > credit["total"]:
        raise user_error(context.profile.switches.over_application_text)
    _store(context, credit, before, wanted, now)
    settlement.balance(context, kind, credit)
    settlement.save(context, kind, credit, lines_too=False)


def withdraw(context: Context, applying: int, now: str) -> None:
    """Take every application of a credit back."""
    before = settlement.amounts_by(context, applying)
    found = context.database.get("transaction", applying)
    if before and found is not None:
        _store(context, found[1], before, {}, now)


def _take(
    context: Context,
    credit: Doc,
    wanted: dict[int, Decimal],
    before: dict[int, Decimal],
    entry: Values,
    path: str,
) -> None:
    if entry.get("doc") is None:
        raise invalid_value("", "doc", f"{path}.doc")
    target = int(entry["doc"])
    amount: Decimal | None = entry.get("amount")
    if entry.get("apply") is False or amount == 0:
        wanted.pop(target, None)
        return
    if context.database.type_of("transaction", target) != "invoice":
        raise invalid_value(target, "doc", f"{path}.doc")
    invoice = _invoice(context, target)
    if invoice["entity"] != credit["entity"] or invoice["currency"] != credit["currency"]:
        raise invalid_value(target, "doc", f"{path}.doc")
    room = invoice["amountRemaining"] + before.get(target, Decimal(0))
    if amount is None:
        used = sum((value for key, value in wanted.items() if key != target), Decimal(0))
        amount = min(room, credit["total"] - used)
    amount = lines.rounded(amount, context.masters.currencies[credit["currency"]].precision)
    if amount < 0:
        raise user_error(context.profile.switches.over_application_text)
    wanted[target] = amount


def _fill(context: Context, credit: Doc, wanted: dict[int, Decimal], before: dict[int, Decimal]) -> None:
    """Apply what is left to the customer's oldest open invoices."""
    rows = context.database.connection.execute(
        "SELECT id FROM q_transaction WHERE type = 'CustInvc' AND entity = ? AND currency = ? AND status = 'A' "
        "ORDER BY duedate, id",
        (int(credit["entity"]), int(credit["currency"])),
    ).fetchall()
    for (target,) in rows:
        left = credit["total"] - sum(wanted.values(), Decimal(0))
        if left <= 0:
            return
        room = (
            _invoice(context, target)["amountRemaining"]
            + before.get(target, Decimal(0))
            - wanted.get(target, Decimal(0))
        )
        if room > 0:
            wanted[target] = wanted.get(target, Decimal(0)) + min(room, left)


def _store(
    context: Context, credit: Doc, before: dict[int, Decimal], wanted: dict[int, Decimal], now: str
) -> None:
    own, connection = int(credit["id"]), context.database.connection
    for target in sorted(before.keys() | wanted.keys()):
        if before.get(target) == wanted.get(target):
            continue
        connection.execute("DELETE FROM application WHERE applying = ? AND applied = ?", (own, target))
        connection.execute(
            "DELETE FROM q_nexttransactionlinelink WHERE previousdoc = ? AND nextdoc = ?", (target, own)
        )
        invoice = _invoice(context, target)
        if target in wanted:
            amount = wanted[target]
            row = (own, target, str(amount), credit["tranDate"])
            connection.execute("INSERT INTO application VALUES (?, ?, ?, ?)", row)
            _link(context, invoice, credit, amount, now)
        settlement.balance(context, INVOICE, invoice)
        if context.profile.switches.apply_touches_invoice:
            invoice["lastModifiedDate"] = now
        settlement.save(context, INVOICE, invoice, lines_too=False)


def _link(context: Context, invoice: Doc, credit: Doc, amount: Decimal, now: str) -> None:
    context.database.insert(
        "nexttransactionlinelink",
        {
            "previousdoc": int(invoice["id"]),
            "previousline": 0,
            "previoustype": "CustInvc",
            "previousdate": stamp(invoice["tranDate"]),
            "nextdoc": int(credit["id"]),
            "nextline": 0,
            "nexttype": "CustCred",
            "nextdate": stamp(credit["tranDate"]),
            "foreignamount": amount,
            "linktype": context.profile.switches.link_type,
            "lastmodifieddate": context.local(now),
        },
    )


def _invoice(context: Context, identifier: int) -> Doc:
    found = context.database.get("transaction", identifier)
    if found is None:
        raise invalid_value(identifier, "doc", "apply")
    return found[1]
