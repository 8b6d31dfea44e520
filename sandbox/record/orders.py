"""What of a sales order is billed: its lines' billed quantities and its status follow the invoices made from it."""

from __future__ import annotations

from decimal import Decimal

from sandbox.errors import invalid_value
from sandbox.record import settlement
from sandbox.record.context import Context
from sandbox.record.kinds import INVOICE, SALES_ORDER
from sandbox.store.database import Doc

PENDING_BILLING, BILLED = "F", "G"


def status(order: Doc) -> str:
    """Billed when every line is; a line without a quantity counts as one."""
    done = all(line.get("quantityBilled", 0) >= line.get("quantity", Decimal(1)) for line in order["item"])
    return BILLED if done else PENDING_BILLING


def check(context: Context, invoice: Doc) -> None:
    """Refuse a line that bills what is not a sales order of the same customer, or no line of it."""
    for number, line in enumerate(invoice["item"]):
        if "orderDoc" not in line:
            continue
        path = f"item.items[{number}].orderDoc"
        found = context.database.get("transaction", int(line["orderDoc"]))
        if (
            found is None
            or found[0] != SALES_ORDER.record_type
            or found[1]["entity"] != invoice["entity"]
            or all(line.get("orderLine") != ordered["line"] for ordered in found[1]["item"])
        ):
            raise invalid_value(line["orderDoc"], "orderDoc", path)


def refresh(context: Context, invoice: Doc, *also: Doc | None) -> None:
    """Settle every order that an invoice bills; `also` is the invoice as it was."""
    named = {
        line["orderDoc"] for doc in (invoice, *also) if doc for line in doc["item"] if "orderDoc" in line
    }
    for identifier in sorted(named, key=int):
        found = context.database.get("transaction", int(identifier))
        if found is None:
            continue
        order = found[1]
        order["_invoices"] = sorted({*order.get("_invoices", []), invoice["id"]}, key=int)
        _count(context, order)
        settlement.save(context, SALES_ORDER, order, lines_too=True)


def _count(context: Context, order: Doc) -> None:
    billed: dict[int, Decimal] = {}
    standing: list[str] = []
    for identifier in order["_invoices"]:
        found = context.database.get("transaction", int(identifier))
        own = [line for line in found[1]["item"] if line.get("orderDoc") == order["id"]] if found else []
        if found is None or found[0] != INVOICE.record_type or not own:
            continue
        standing.append(identifier)
        for line in own:
            number = line["orderLine"]
            billed[number] = billed.get(number, Decimal(0)) + line.get("quantity", Decimal(1))
    order["_invoices"] = standing
    for line in order["item"]:
        line["quantityBilled"] = billed.get(line["line"], Decimal(0))
    order["status"] = order["orderStatus"] = status(order)
