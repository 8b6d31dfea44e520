"""Totals of a document with items: its body discount, its tax details (SuiteTax, override only), and their sum."""

from __future__ import annotations

import re
from decimal import Decimal

from sandbox.errors import invalid_value, missing_values, user_error
from sandbox.record import headers, lines
from sandbox.record.context import Context
from sandbox.record.kinds import INVOICE, Kind
from sandbox.record.values import Body, Values
from sandbox.store.database import Doc

_RATE = re.compile(r"\s*(-?\d+(?:\.\d+)?)\s*(%?)\s*")
_MANDATORY = (
    ("taxDetailsReference", "Tax Details Reference"),
    ("taxType", "Tax Type"),
    ("taxCode", "Tax Code"),
)
FIELDS = {"discountItem", "discountRate", "taxDetailsOverride"}
"""The body fields that totals follow from."""


def settle(context: Context, kind: Kind, doc: Doc, body: Body) -> None:
    """Set subtotal, discountTotal, taxTotal and total from the lines; a document's total is never negative."""
    precision = context.masters.currencies[doc["currency"]].precision
    if context.profile.suite_tax:
        _merge_taxes(context, doc, body, precision)
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


def _merge_taxes(context: Context, doc: Doc, body: Body, precision: int) -> None:
    """Bring the tax details up to the given rows, and the lines' tax and gross amounts up to them."""
    given = body.sublists.get("taxDetails")
    override = doc.get("taxDetailsOverride") is True
    if given and not override:
        raise user_error("Tax details can be set only with Tax Details Override.")
    emptied = "taxDetails" in body.sublists and (given is None or "taxdetails" in body.replace)
    rows: list[Values] = [] if emptied or not override else list(doc.get("taxDetails", []))
    by_reference = {
        line["taxDetailsReference"]: line for line in doc["item"] if "taxDetailsReference" in line
    }
    rows = [row for row in rows if row["taxDetailsReference"] in by_reference]
    for line in doc["item"]:
        if line.pop("_gross", False):
            own = [r for r in [*rows, *(given or [])] if r.get("taxDetailsReference") == _reference(line)]
            _net_of_gross(line, own, precision)
    for number, entry in enumerate(given or []):
        rows.append(_row(context, doc, by_reference, entry, precision, f"taxDetails.items[{number}]"))
    if rows or "taxDetails" in doc:
        doc["taxDetails"] = rows
    for line in doc["item"]:
        own = [row for row in rows if row["taxDetailsReference"] == _reference(line)]
        line["taxAmount"] = sum((row["taxAmount"] for row in own), Decimal(0))
        line["grossAmt"] = line["amount"] + line["taxAmount"]


def _reference(line: Values) -> str | None:
    return line.get("taxDetailsReference")


def _net_of_gross(line: Values, rows: list[Values], precision: int) -> None:
    """A gross amount that was given drives the amount: it less its taxes."""
    share = sum((row.get("taxRate") or Decimal(0) for row in rows), Decimal(0))
    fixed = sum(
        (row["taxAmount"] for row in rows if not row.get("taxRate") and row.get("taxAmount")), Decimal(0)
    )
    line["amount"] = lines.rounded((line["grossAmt"] - fixed) / (1 + share / 100), precision)
    if line.get("quantity"):
        line["rate"] = lines.rate_of(line["amount"], line["quantity"])


def _row(
    context: Context, doc: Doc, by_reference: dict[str, Values], entry: Values, precision: int, path: str
) -> Values:
    if missing := [label for name, label in _MANDATORY if entry.get(name) is None]:
        raise missing_values(missing)
    line = by_reference.get(entry["taxDetailsReference"])
    if line is None:
        raise invalid_value(
            entry["taxDetailsReference"], "taxDetailsReference", f"{path}.taxDetailsReference"
        )
    basis: Decimal = _or(entry.get("taxBasis"), line["amount"])
    amount: Decimal | None = entry.get("taxAmount")
    rate: Decimal | None = entry.get("taxRate")
    if rate is None:
        found = amount / basis * 100 if amount is not None and basis else Decimal(0)
        rate = found.quantize(Decimal("0.00001")).normalize()
    if amount is None:
        amount = basis * rate / 100
    own = {
        "lineType": "Item",
        "lineName": context.masters.items[line["item"]].item_id,
        "netAmount": _or(entry.get("netAmount"), line["amount"]),
        "taxBasis": basis,
        "taxRate": rate,
        "taxAmount": lines.rounded(amount, precision),
        "_line": lines.next_number(doc),
        "_key": headers.line_key(context),
        "_account": context.profile.tax_account,
    }
    return {name: value for name, value in entry.items() if value is not None} | own


def _or(value: Decimal | None, other: Decimal) -> Decimal:
    return other if value is None else value
