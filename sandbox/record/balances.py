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
    currency = context.masters.currencies[found[1]["currency"]]
    subsidiary = "subsidiary" if context.profile.oneworld else "NULL"
    rows = context.database.connection.execute(
        "SELECT coalesce(foreignamountunpaid, -foreignpaymentamountunused), currency, exchangerate, duedate, "
        f"{subsidiary} FROM q_transaction WHERE entity = ? AND posting = 'T' "
        "AND coalesce(foreignamountunpaid, foreignpaymentamountunused) <> 0",
        (int(identifier),),
    )
    today = f"{context.today()} 00:00:00"
    balance = overdue = Decimal(0)
    for left, own, rate, due, owner in rows:
        # SuiteQL's cells are doubles of at most 15 digits: their shortest spelling is the exact amount.
        amount = Decimal(repr(left))
        if str(own) != currency.id:
            into = context.masters.exchange_rate(currency.id, str(owner) if owner is not None else None)
            amount = lines.rounded(amount * Decimal(repr(rate)) / into, currency.precision)
        balance += amount
        if amount > 0 and due < today:
            overdue += amount
    return balance, overdue
