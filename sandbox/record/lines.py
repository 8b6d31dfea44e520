"""The item lines of a document: merging given lines into existing ones, amounts, and validity for the subsidiary."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal

from sandbox.errors import incomplete, invalid_value, missing_values
from sandbox.record import headers
from sandbox.record.context import Context
from sandbox.record.schema import ITEM_TYPES
from sandbox.record.values import Values
from sandbox.store.database import Doc

NO_LINES = "You must enter at least one line item for this transaction."


def rounded(amount: Decimal, precision: int) -> Decimal:
    # A whole number that was stored comes back as an int.
    return Decimal(amount).quantize(Decimal(1).scaleb(-precision), ROUND_HALF_UP)


def merge(context: Context, doc: Doc, given: list[Values] | None, replace: bool) -> None:
    """Bring `doc['item']` up to the given lines; numbers of lines that go are never given again."""
    if given is None:
        raise incomplete(NO_LINES)
    existing: list[Values] = [] if replace else [dict(line) for line in doc.get("item", [])]
    by_number = {line["line"]: line for line in existing}
    precision = context.masters.currencies[doc["currency"]].precision
    for number, entry in enumerate(given):
        path = f"item.items[{number}]"
        line = by_number.get(entry.get("line"))
        if line is None:
            line = {"line": next_number(doc), "lineUniqueKey": headers.line_key(context)}
            by_number[line["line"]] = line
            existing.append(line)
        _apply(context, line, entry, path, precision)
    doc["item"] = existing


def next_number(doc: Doc) -> int:
    """A line number of the document that was never given."""
    doc["_lastLine"] = number = int(doc.get("_lastLine", 0)) + 1
    return number


def rate_of(amount: Decimal, quantity: Decimal) -> Decimal:
    return (amount / quantity).quantize(Decimal("0.00000001")).normalize()


def _apply(context: Context, line: Values, entry: Values, path: str, precision: int) -> None:
    changed = {name for name in entry if name != "line"}
    for name in changed:
        if entry[name] is None:
            line.pop(name, None)
        else:
            line[name] = entry[name]
    if "item" not in line:
        raise missing_values(["Item"])
    item = context.masters.items[line["item"]]
    if item.inactive and "item" in changed:
        raise invalid_value(item.id, "item", f"{path}.item")
    line["itemType"] = ITEM_TYPES[item.type][1]
    line["account"] = item.income_account
    line.setdefault("isTaxable", False)
    _amount(context, line, changed, item.rate, precision)


def _amount(
    context: Context, line: Values, changed: set[str], item_rate: Decimal | None, precision: int
) -> None:
    """Amount is quantity times rate unless it is given; a rate that is not given follows from the amount."""
    if "rate" not in line and "amount" not in line and item_rate is not None:
        line["rate"] = item_rate
    quantity, rate = line.get("quantity"), line.get("rate")
    if line.get("grossAmt") is not None and "grossAmt" in changed and "amount" not in changed:
        line["amount"], line["_gross"] = rounded(line["grossAmt"], precision), True
        if quantity:
            line["rate"] = rate_of(line["amount"], quantity)
        return
    keep = context.profile.switches.amount_conflict == "keep_amount"
    if "amount" in changed and line.get("amount") is not None and (keep or rate is None or quantity is None):
        line["amount"] = rounded(line["amount"], precision)
        if quantity and ("rate" not in changed or rate is None):
            line["rate"] = rate_of(line["amount"], quantity)
        return
    if rate is not None and (changed & {"rate", "quantity", "amount", "item"} or "amount" not in line):
        if quantity is None:
            quantity = line["quantity"] = Decimal(1)
        line["amount"] = rounded(quantity * rate, precision)
        return
    if line.get("amount") is None:
        raise missing_values(["Amount"])


def check(context: Context, doc: Doc) -> None:
    """Every line's item, account and segments must be valid for the document's subsidiary."""
    if not doc.get("item"):
        raise incomplete(NO_LINES)
    subsidiary = doc.get("subsidiary")
    masters = context.masters
    for number, line in enumerate(doc["item"]):
        path = f"item.items[{number}]"
        if not masters.valid_for("item", line["item"], subsidiary):
            raise invalid_value(line["item"], "item", f"{path}.item")
        headers.check_account(context, line["account"], subsidiary)
        headers.check_segments(context, line, subsidiary, f"{path}.")
