"""What customers owe: computed from their open transactions when asked, in the customer's own currency."""

from __future__ import annotations

from decimal import Decimal

from sandbox.record import lines
from sandbox.record.context import Context


def of_customer(context: Context, identifier: str) -> tuple[Decimal, Decimal]:
    """A customer's balance (invoices open less what credits and payments have left) and what is overdue today.

    A deposit is no part of it: it is owed to the customer, and lowers receivables only as it is applied.

    Amounts in other currencies are brought to the customer's at their transactions' rates.
    """
    found = context.database.get("entity", int(identifier))
    if found is None:
        return Decimal(0), Decimal(0)
    currency = context.masters.currencies[found[1]["currency"]]
    today = f"{context.today()} 00:00:00"
    read = context.database.connection.execute
    # Cells are doubles that stand for decimals: as whole numbers of the smallest unit they add up exactly.
    unit = 10**currency.precision
    left = "coalesce(foreignamountunpaid, -foreignpaymentamountunused)"
    whole = f"CAST(round({left} * {unit}) AS INTEGER)"
    owed, late = read(
        f"SELECT total({whole}), total(CASE WHEN {left} > 0 AND duedate < ? THEN {whole} END) FROM q_transaction "
        "WHERE entity = ? AND posting = 'T' AND currency = ? AND type <> 'CustDep'",
        (today, int(identifier), int(currency.id)),
    ).fetchone()
    balance, overdue = Decimal(int(owed)) / unit, Decimal(int(late)) / unit
    subsidiary = "subsidiary" if context.profile.oneworld else "NULL"
    others = read(
        f"SELECT {left}, exchangerate, duedate, {subsidiary} FROM q_transaction "
        f"WHERE entity = ? AND posting = 'T' AND currency <> ? AND type <> 'CustDep' AND {left} <> 0",
        (int(identifier), int(currency.id)),
    )
    for amount, rate, due, owner in others:
        into = context.masters.exchange_rate(currency.id, str(owner) if owner is not None else None)
        brought = lines.rounded(Decimal(repr(amount)) * Decimal(repr(rate)) / into, currency.precision)
        balance += brought
        if brought > 0 and due < today:
            overdue += brought
    return balance, overdue
