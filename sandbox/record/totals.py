"""Totals of a document with items: its subtotal, its body discount, its tax, and their sum. The tax is `taxes`."""

from __future__ import annotations

import re
from decimal import Decimal

from sandbox.errors import invalid_value, missing_values, user_error
from sandbox.record import headers, lines, taxes
from sandbox.record.context import Context
from sandbox.record.kinds import INVOICE, Kind
from sandbox.record.values import Body
from sandbox.store.database import Doc

_RATE = re.compile(r"\s*(-?\d+(?:\.\d+)?)\s*(%?)\s*")
FIELDS = {"discountItem", "discountRate", "taxDetailsOverride"}
"""The body fields that totals follow from."""


def settle(context: Context, kind: Kind, doc: Doc, body: Body) -> None:
    """Set subtotal, discountTotal, taxTotal and total from the lines; a document's total is never negative."""
    precision = context.masters.currencies[doc["currency"]].precision
    if context.profile.suite_tax:
        taxes.settle(context, doc, body, precision)
    doc["subtotal"] = sum((line["amount"] for line in doc["item"]), Decimal(0))
    doc["discountTotal"] = _discount(context, doc, body, precision)
    doc["taxTotal"] = sum((row["taxAmount"] for row in doc.get("taxDetails", [])), Decimal(0))
    doc["total"] = doc["subtotal"] + doc["discountTotal"] + doc["taxTotal"]
    if kind is INVOICE:
        doc["totalAfterTaxes"] = doc["total"]
    if doc["total"] < 0:
        raise user_error("The total can not be negative.")


def _discount(context: Context, doc: Doc, body: Body, precision: int) -> Decimal:
    """The signed amount of the body's discount: a share of the subtotal, or an amount."""
    if "discountItem" not in doc:
        doc.pop("_discount", None)
        if "discountRate" in doc and body.values.get("discountRate") is not None:
            raise missing_values(["Discount Item"])
        doc.pop("discountRate", None)
        return Decimal(0)
    item = context.masters.items.get(doc["discountItem"])
    if (
        item is None
        or item.type != "discountItem"
        or (item.inactive and "discountItem" in body.values)
        or not context.masters.valid_for("item", item.id, doc.get("subsidiary"))
    ):
        raise invalid_value(doc["discountItem"], "discountItem", "discountItem")
    if "discountRate" not in doc:
        if item.rate is None:
            raise missing_values(["Discount Rate"])
        doc["discountRate"] = f"{item.rate:f}"
    match = _RATE.fullmatch(doc["discountRate"])
    if match is None:
        raise invalid_value(doc["discountRate"], "discountRate", "discountRate")
    if "_discount" not in doc:
        doc["_discount"] = {"line": lines.next_number(doc), "key": headers.line_key(context)}
    doc["_discount"]["account"] = item.income_account
    value = Decimal(match.group(1))
    return lines.rounded(doc["subtotal"] * value / 100 if match.group(2) else value, precision)
