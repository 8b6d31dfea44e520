"""Tax of a document with items (SuiteTax): the rows of `taxDetails`, and what they make of its lines.

The rows are those that the caller gives with `taxDetailsOverride`; without it, or under an engine that does not honour
one, they are computed line by line from the account's rates.
"""

from __future__ import annotations

from decimal import Decimal

from sandbox.errors import invalid_value, missing_values, user_error
from sandbox.record import headers, lines
from sandbox.record.context import Context
from sandbox.record.values import Body, Values
from sandbox.store.database import Doc

_MANDATORY = (
    ("taxDetailsReference", "Tax Details Reference"),
    ("taxType", "Tax Type"),
    ("taxCode", "Tax Code"),
)
_MOVING = {"entity", "subsidiary", "currency", "tranDate", "taxDetailsOverride"}
"""The body fields whose change has the engine compute anew."""


def settle(context: Context, doc: Doc, body: Body, precision: int) -> None:
    """Bring the tax details, and the lines' amounts, tax and gross amounts, up to a body that was taken into the document."""
    given = body.sublists.get("taxDetails")
    override = doc.get("taxDetailsOverride") is True
    if given and not override:
        raise user_error("Tax details can be set only with Tax Details Override.")
    if override and context.taxes.engine.honours_override:
        rows = _merged(context, doc, body, precision)
    elif "total" not in doc or body.sublists.keys() & {"item", "taxDetails"} or body.values.keys() & _MOVING:
        rows = _computed(context, doc, precision)
    else:
        rows = doc.get("taxDetails", [])
    if rows or "taxDetails" in doc:
        doc["taxDetails"] = rows
    for line in doc["item"]:
        own = [row for row in rows if row["taxDetailsReference"] == _reference(line)]
        line["taxAmount"] = sum((row["taxAmount"] for row in own), Decimal(0))
        line["grossAmt"] = line["amount"] + line["taxAmount"]


def _merged(context: Context, doc: Doc, body: Body, precision: int) -> list[Values]:
    """The rows that stand, and the given ones after them."""
    given = body.sublists.get("taxDetails")
    emptied = "taxDetails" in body.sublists and (given is None or "taxdetails" in body.replace)
    by_reference = {
        line["taxDetailsReference"]: line for line in doc["item"] if "taxDetailsReference" in line
    }
    rows: list[Values] = [] if emptied else list(doc.get("taxDetails", []))
    rows = [row for row in rows if row["taxDetailsReference"] in by_reference]
    for line in doc["item"]:
        if line.pop("_gross", False):
            own = [r for r in [*rows, *(given or [])] if r.get("taxDetailsReference") == _reference(line)]
            share = sum((row.get("taxRate") or Decimal(0) for row in own), Decimal(0))
            fixed = sum(
                (row["taxAmount"] for row in own if not row.get("taxRate") and row.get("taxAmount")),
                Decimal(0),
            )
            _net_of_gross(line, share, fixed, precision)
    for number, entry in enumerate(given or []):
        path = f"taxDetails.items[{number}]"
        if missing := [label for name, label in _MANDATORY if entry.get(name) is None]:
            raise missing_values(missing)
        found = by_reference.get(entry["taxDetailsReference"])
        if found is None:
            raise invalid_value(
                entry["taxDetailsReference"], "taxDetailsReference", f"{path}.taxDetailsReference"
            )
        place: Values = {"_line": lines.next_number(doc), "_key": headers.line_key(context)}
        rows.append(_row(context, found, entry, precision) | place)
    return rows


def _computed(context: Context, doc: Doc, precision: int) -> list[Values]:
    """The rows of the account's rates; a tax that a line had before keeps its place among the lines."""
    earlier = {_identity(row): row for row in doc.get("taxDetails", [])}
    rows: list[Values] = []
    seen: set[str | None] = set()
    for line in doc["item"]:
        schedule, subsidiary = context.masters.items[line["item"]].tax_schedule, doc.get("subsidiary")
        if line.pop("_gross", False):
            share = context.taxes.engine.combined(subsidiary, schedule)
            _net_of_gross(line, share, Decimal(0), precision)
        rates = context.taxes.engine.rates_on(subsidiary, schedule)
        if rates and (_reference(line) is None or _reference(line) in seen):
            line["taxDetailsReference"] = str(line["lineUniqueKey"])
        seen.add(_reference(line))
        for rate in rates:
            entry: Values = {"taxDetailsReference": line["taxDetailsReference"], "taxRate": rate.rate}
            entry |= {"taxType": rate.tax_type, "taxCode": rate.tax_code}
            row = _row(context, line, entry, precision)
            if before := earlier.get(_identity(row)):
                row |= {name: before[name] for name in ("_line", "_key")}
            else:
                row |= {"_line": lines.next_number(doc), "_key": headers.line_key(context)}
            rows.append(row)
    return rows


def _identity(row: Values) -> tuple[str, str, str]:
    return row["taxDetailsReference"], row["taxType"], row["taxCode"]


def _reference(line: Values) -> str | None:
    return line.get("taxDetailsReference")


def _net_of_gross(line: Values, share: Decimal, fixed: Decimal, precision: int) -> None:
    """A gross amount that was given drives the amount: it less its taxes, a share of the amount in percent and a sum."""
    line["amount"] = lines.rounded((line["grossAmt"] - fixed) / (1 + share / 100), precision)
    if line.get("quantity"):
        line["rate"] = lines.rate_of(line["amount"], line["quantity"])


def _row(context: Context, line: Values, entry: Values, precision: int) -> Values:
    """A row of tax details on a line; what is not given of basis, rate and amount follows from the others."""
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
        "_account": context.profile.tax_account,
    }
    return {name: value for name, value in entry.items() if value is not None} | own


def _or(value: Decimal | None, other: Decimal) -> Decimal:
    return other if value is None else value
