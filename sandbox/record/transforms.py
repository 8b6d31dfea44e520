"""Transformations: what a new transaction takes over from the record that it is made from. Nothing is saved here."""

from __future__ import annotations

from decimal import Decimal

from sandbox.errors import Refusal
from sandbox.record import lines
from sandbox.record.context import Context
from sandbox.record.kinds import CREDIT_MEMO, DEPOSIT, INVOICE, KINDS, PAYMENT
from sandbox.record.schema import RecordType
from sandbox.record.values import Body, Values
from sandbox.store.database import Doc

TARGETS = {
    "customer": ("invoice", "salesOrder", "customerPayment"),
    "salesOrder": ("invoice",),
    "invoice": ("creditMemo", "customerPayment"),
    "customerDeposit": ("depositApplication",),
}
"""What each type can be transformed to."""
_HEADER = ("subsidiary", "currency", "department", "class", "location")
_DOCUMENT = ("memo", "otherRefNum", "discountItem", "discountRate", "taxDetailsOverride")
_TAX_ROW = ("taxDetailsReference", "taxType", "taxCode", "taxRate", "calcDetail")
_NOT_CARRIED = (
    "line",
    "lineUniqueKey",
    "itemType",
    "account",
    "linked",
    "quantityBilled",
    "grossAmt",
    "taxAmount",
)


def check(source: RecordType, target: RecordType) -> None:
    """Refuse a transformation that does not exist."""
    if target.name not in TARGETS.get(source.name, ()):
        text = f"A record of type {source.name} cannot be transformed to {target.name}."
        raise Refusal(400, "INVALID_REQUEST", text)


def prepare(context: Context, source: RecordType, doc: Doc, target: RecordType, given: Body) -> Body:
    """The new record's values: those of its source, with the given ones over them."""
    kind = KINDS[target.name]
    if source.name == "customer":
        given.values.setdefault(kind.party, doc["id"])
        return given
    if source.name == DEPOSIT.record_type:
        given.values["deposit"] = doc["id"]
        return given
    values: Values = {kind.party: doc["entity"]}
    names = [*_HEADER, *([] if kind is PAYMENT else _DOCUMENT)]
    names += [name for name in doc if name.startswith(("custbody_", "cseg_"))]
    values |= {name: doc[name] for name in names if name in doc and name.lower() in target.fields}
    if kind is PAYMENT:
        values["arAcct"] = doc["account"]
        _pay(context, doc, values, given)
    else:
        if kind is INVOICE and "terms" in doc:
            values["terms"] = doc["terms"]
        if "createdfrom" in target.fields:
            values["createdFrom"] = doc["id"]
        if kind is CREDIT_MEMO:
            values |= {"account": doc["account"], "exchangeRate": doc["exchangeRate"]}
        _carry_lines(context, source, doc, target, given)
    return Body(values | given.values, given.sublists, given.replace - {"item", "apply", "taxdetails"})


def _pay(context: Context, invoice: Doc, values: Values, given: Body) -> None:
    """A payment of an invoice is of all that remains on it, and by a switch applied to it."""
    if "apply" in given.sublists:
        return
    values["payment"] = invoice["amountRemaining"]
    if context.profile.switches.transform_applies_payment:
        given.sublists["apply"] = [{"doc": invoice["id"], "apply": True}]


def _carry_lines(context: Context, source: RecordType, doc: Doc, target: RecordType, given: Body) -> None:
    """Put the source's lines before the given ones, which merge into them by `line` (or an order's `orderLine`)."""
    fields = target.sublists["item"].fields
    own = given.sublists.get("item")
    if "item" in given.sublists and (own is None or "item" in given.replace):
        return
    carried: list[Values] = []
    numbers: dict[int, int] = {}
    for line in doc["item"]:
        copy = {n: v for n, v in line.items() if n.lower() in fields and n not in _NOT_CARRIED}
        if source.name == "salesOrder":
            if not _remaining(context, doc, line, copy):
                continue
            copy |= {"orderDoc": doc["id"], "orderLine": line["line"]}
        carried.append(copy)
        numbers[line["line"]] = len(carried)
    for entry in own or []:
        if entry.get("orderLine") in numbers and "line" not in entry:
            entry["line"] = numbers[entry.pop("orderLine")]
    given.sublists["item"] = carried + (own or [])
    if (
        doc.get("taxDetailsOverride")
        and doc.get("taxDetails")
        and "taxDetails" not in given.sublists
        and "item" not in given.replace
    ):
        rows = [{n: row[n] for n in _TAX_ROW if n in row} for row in doc["taxDetails"]]
        # Tax follows the new lines' amounts; where an amount was given without a rate, the rate was found from it.
        references = {line.get("taxDetailsReference") for line in carried}
        given.sublists["taxDetails"] = [row for row in rows if row["taxDetailsReference"] in references]


def _remaining(context: Context, order: Doc, line: Values, copy: Values) -> bool:
    """Bring a copied order line down to what is not billed yet; False when nothing is left."""
    quantity = line.get("quantity", Decimal(1))
    left = quantity - line.get("quantityBilled", Decimal(0))
    if left <= 0:
        return False
    if left != quantity:
        precision = context.masters.currencies[order["currency"]].precision
        copy["quantity"] = left
        copy["amount"] = lines.rounded(line["amount"] * left / quantity, precision)
    return True
