"""What customers owe: computed from their open transactions when asked, in the customer's own currency."""

from __future__ import annotations

from decimal import Decimal

from sandbox.record import lines
from sandbox.record.context import Context


def of_customer(context: Context, identifier: str) -> tuple[Decimal, Decimal]:
    """A customer's balance (invoices open less what credits and payments have left) and what is overdue today.

    Amounts in other currencies are brought to the customer's at their transactions' rates.
    """
    found = context.database.get("entity", int(identifier))
    if found is None:
        return Decimal(0), Decimal(0)
    customer = found[1]
    currency = context.masters.currencies[customer["currency"]]
    rows = context.database.connection.execute(
        "SELECT id, type FROM q_transaction WHERE entity = ?1 AND "
        "(type = 'CustInvc' AND status = 'A' OR type = 'CustCred' AND status = 'A' OR "
        "type = 'CustPymt' AND foreignpaymentamountunused > 0)",
        (int(identifier),),
    ).fetchall()
    today = context.today().isoformat()
    balance = overdue = Decimal(0)
    for transaction, code in rows:
        held = context.database.get("transaction", transaction)
        if held is None:
            continue
        doc = held[1]
        amount = Decimal(doc["amountRemaining"])
        if doc["currency"] != currency.id:
            own = context.masters.exchange_rate(currency.id, doc.get("subsidiary"))
            amount = lines.rounded(amount * doc["exchangeRate"] / own, currency.precision)
        if code != "CustInvc":
            balance -= amount
            continue
        balance += amount
        if doc["dueDate"] < today:
            overdue += amount
    return balance, overdue
