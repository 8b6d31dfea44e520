"""The credit sublist of payments: credit memos that are applied to invoices along with a payment.

An application that a payment brought about is the memo's own from then on; the payment only remembers it, in `_credits`
(by memo and invoice), to show it and to take it back when asked.
"""

from __future__ import annotations

from decimal import Decimal

from sandbox.errors import invalid_value, user_error
from sandbox.record import applications, lines, settlement
from sandbox.record.applications import Amounts
from sandbox.record.context import Context
from sandbox.record.kinds import CREDIT_MEMO
from sandbox.record.values import Values
from sandbox.store.database import Doc

Shares = dict[int, Amounts]
"""What is applied of each memo to each invoice."""


def credit_lines(context: Context, payment: Doc) -> list[Values]:
    """The credit sublist of a payment; by a switch with the open memos that it could apply too."""
    memos = [int(memo) for memo in payment.get("_credits", {})]
    if context.profile.switches.apply_sublist == "open":
        rows = context.database.connection.execute(
            "SELECT id FROM q_transaction WHERE type = 'CustCred' AND entity = ? AND currency = ? AND status = 'A' "
            "ORDER BY id",
            (int(payment["customer"]), int(payment["currency"])),
        )
        memos += [row[0] for row in rows if row[0] not in memos]
    found: list[Values] = []
    for identifier in memos:
        held = context.database.get("transaction", identifier)
        if held is None:
            continue
        memo, shares = held[1], _standing(context, payment, identifier)
        names = [applications.invoice_of(context, target)["tranId"] for target in shares]
        line = {
            "doc": str(identifier),
            "line": len(found) + 1,
            "apply": bool(shares),
            "amount": sum(shares.values(), Decimal(0)) if shares else None,
            "appliedTo": ", ".join(names) or None,
            "creditDate": memo["tranDate"],
            "currency": context.masters.currencies[memo["currency"]].symbol,
            "due": memo["unapplied"],
            "refNum": memo["tranId"],
            "total": memo["total"],
            "type": "Credit Memo",
        }
        if shares or context.profile.switches.apply_sublist == "open":
            found.append(line)
    return found


def chosen(context: Context, payment: Doc, entries: list[Values]) -> Amounts:
    """What the given credit lines take of each memo; refuses a memo of another party, or more than it has left."""
    taken: Amounts = {}
    for number, entry in enumerate(entries):
        path = f"credit.items[{number}].doc"
        if entry.get("doc") is None:
            raise invalid_value("", "doc", path)
        identifier, amount = int(entry["doc"]), entry.get("amount")
        found = context.database.get("transaction", identifier)
        if found is None or found[0] != CREDIT_MEMO.record_type:
            raise invalid_value(identifier, "doc", path)
        memo = found[1]
        if memo["entity"] != payment["customer"] or any(
            memo.get(name) != payment.get(name) for name in ("currency", "subsidiary")
        ):
            raise invalid_value(identifier, "doc", path)
        if entry.get("apply") is False or amount == 0:
            continue
        precision = context.masters.currencies[payment["currency"]].precision
        taken[identifier] = lines.rounded(memo["unapplied"] if amount is None else amount, precision)
        if not 0 <= taken[identifier] <= memo["unapplied"]:
            raise user_error(context.profile.switches.over_application_text)
    return taken


def split(context: Context, credits: Amounts, wanted: Amounts, before: Amounts) -> tuple[Amounts, Shares]:
    """Part what is to be applied between the payment and the credits: these first, on invoices that are new to it.

    `credits` is what is taken of each memo and deposit. Refuses more than all that is to be applied.
    """
    own, shares = dict(wanted), Shares()
    order = sorted(wanted, key=lambda target: wanted[target] == before.get(target))
    for memo, amount in credits.items():
        left = amount
        for target in order:
            part = min(left, own.get(target, Decimal(0)))
            if part > 0:
                shares.setdefault(memo, {})[target] = part
                own[target] -= part
                left -= part
        if left > 0:
            raise user_error(context.profile.switches.over_application_text)
    return {target: amount for target, amount in own.items() if amount > 0}, shares


def remember(payment: Doc, shares: Shares) -> None:
    kept = payment.setdefault("_credits", {})
    for memo, parts in shares.items():
        kept[str(memo)] = {str(target): amount for target, amount in parts.items()}


def apply(context: Context, shares: Shares, now: str) -> None:
    """Add the shares to what the memos apply."""
    for memo, parts in shares.items():
        _change(context, memo, parts, now)


def release(context: Context, payment: Doc, memos: list[int], now: str) -> None:
    """Take back what the payment applied of the memos, as far as it still stands, and forget it."""
    for memo in memos:
        shares = _standing(context, payment, memo)
        payment.get("_credits", {}).pop(str(memo), None)
        if shares:
            _change(context, memo, {target: -amount for target, amount in shares.items()}, now)


def _change(context: Context, identifier: int, parts: Amounts, now: str) -> None:
    found = context.database.get("transaction", identifier)
    if found is None:
        raise invalid_value(identifier, "doc", "credit")
    before = settlement.amounts_by(context, identifier)
    after = dict(before)
    for target, amount in parts.items():
        after[target] = after.get(target, Decimal(0)) + amount
    after = {target: amount for target, amount in after.items() if amount}
    memo = found[1]
    memo["lastModifiedDate"] = now
    applications.settle(context, CREDIT_MEMO, memo, before, after, now)


def _standing(context: Context, payment: Doc, memo: int) -> Amounts:
    """What the payment applied of a memo and nobody took back since."""
    now = settlement.amounts_by(context, memo)
    kept: dict[str, Decimal] = payment.get("_credits", {}).get(str(memo), {})
    shares = {int(target): min(amount, now.get(int(target), Decimal(0))) for target, amount in kept.items()}
    return {target: Decimal(amount) for target, amount in shares.items() if amount > 0}
