"""A document's rows in SuiteQL's tables: header, lines and general ledger lines, with NetSuite's signs.

Line amounts are in the ledger's view: an invoice's main line is positive, its revenue lines negative, a credit memo is
the mirror image. Base amounts are rounded line by line, and the main line balances them.
"""

from __future__ import annotations

from decimal import Decimal

from sandbox.record import lines
from sandbox.record.context import Context, integer, stamp
from sandbox.record.kinds import Kind
from sandbox.store.database import Doc
from sandbox.wire import Json


def remove(context: Context, identifier: int) -> None:
    _remove_lines(context, identifier)
    context.database.delete_rows("transaction", "id", identifier)


def _remove_lines(context: Context, identifier: int) -> None:
    context.database.delete_rows("transactionline", "transaction", identifier)
    context.database.delete_rows("transactionaccountingline", "transaction", identifier)


def project(context: Context, doc: Doc, kind: Kind, *, lines_too: bool) -> None:
    """Write the header row and, when they changed, the line rows."""
    context.database.insert("transaction", _header(context, doc, kind))
    identifier = int(doc["id"])
    if lines_too:
        _remove_lines(context, identifier)
        _insert_lines(context, doc, kind)
    else:
        _settle_main(context, doc, kind)


def _header(context: Context, doc: Doc, kind: Kind) -> dict[str, Json]:
    credit = kind.sign < 0
    negative = credit and context.profile.switches.credit_header_sign == "negative"
    total = -doc["total"] if negative else doc["total"]
    row: dict[str, Json] = {
        "id": int(doc["id"]),
        "type": kind.code,
        "recordtype": kind.record_type.lower(),
        "abbrevtype": {"CustInvc": "INV", "CustCred": "CREDMEM"}[kind.code],
        "tranid": doc["tranId"],
        "transactionnumber": doc["transactionNumber"],
        "typebaseddocumentnumber": doc["tranId"],
        "trandisplayname": doc["_title"],
        "externalid": doc.get("externalId"),
        "entity": int(doc["entity"]),
        "trandate": stamp(doc["tranDate"]),
        "duedate": stamp(doc.get("dueDate")),
        "startdate": stamp(doc.get("startDate")),
        "enddate": stamp(doc.get("endDate")),
        "postingperiod": int(doc["postingPeriod"]),
        "posting": True,
        "currency": int(doc["currency"]),
        "exchangerate": doc["exchangeRate"],
        "foreigntotal": total,
        "terms": integer(doc.get("terms")),
        "status": doc["status"],
        "memo": doc.get("memo"),
        "message": doc.get("message"),
        "email": doc.get("email"),
        "otherrefnum": doc.get("otherRefNum"),
        "source": doc["source"],
        "customform": integer(doc.get("customForm")),
        "department": integer(doc.get("department")),
        "class": integer(doc.get("class")),
        "location": integer(doc.get("location")),
        "createddate": context.local(doc["createdDate"]),
        "lastmodifieddate": context.local(doc["lastModifiedDate"]),
        "closedate": context.local(doc["lastModifiedDate"]) if doc["status"] == "B" else None,
        "void": False,
        "voided": False,
        "isreversal": False,
        "paymenthold": False,
        "foreignamountpaid": None if credit else doc["amountPaid"],
        "foreignamountunpaid": None if credit else doc["amountRemaining"],
        "foreignpaymentamountused": doc["amountPaid"] if credit else None,
        "foreignpaymentamountunused": doc["amountRemaining"] if credit else None,
    }
    if context.profile.oneworld:
        row["subsidiary"] = int(doc["subsidiary"])
    row.update(context.custom_cells("transaction", doc))
    return row


def _insert_lines(context: Context, doc: Doc, kind: Kind) -> None:
    database, identifier = context.database, int(doc["id"])
    modified = context.local(doc["lastModifiedDate"])
    precision = context.masters.base_currency(doc.get("subsidiary")).precision
    sign, rate = kind.sign, doc["exchangeRate"]
    quantity_sign = -sign if context.profile.switches.line_quantity_sign == "ledger" else 1
    shared: dict[str, Json] = {
        "transaction": identifier,
        "entity": int(doc["entity"]),
        "linelastmodifieddate": modified,
    }
    if context.profile.oneworld:
        shared["subsidiary"] = int(doc["subsidiary"])
    base_total = Decimal(0)
    for number, line in enumerate(doc["item"], 1):
        base = lines.rounded(line["amount"] * rate, precision)
        base_total += base
        foreign = -sign * line["amount"]
        row = {
            **shared,
            "uniquekey": line["lineUniqueKey"],
            "id": line["line"],
            "linesequencenumber": number,
            "mainline": False,
            "accountinglinetype": "INCOME",
            "item": int(line["item"]),
            "itemtype": line["itemType"],
            "quantity": quantity_sign * line["quantity"] if line.get("quantity") is not None else None,
            "rate": line.get("rate"),
            "memo": line.get("description"),
            "expenseaccount": int(line["account"]),
            "price": integer(line.get("price")),
            **_money(foreign, -sign * base),
            **_segments(line),
            **context.custom_cells("transactionline", line),
            **_FLAGS,
        }
        database.insert("transactionline", row)
        database.insert(
            "transactionaccountingline", _gl(doc, line["line"], line["account"], -sign * base, modified)
        )
    main = {
        **shared,
        "uniquekey": doc["_mainKey"],
        "id": 0,
        "linesequencenumber": 0,
        "mainline": True,
        "accountinglinetype": "ACCOUNTSRECEIVABLE",
        "memo": doc.get("memo"),
        "expenseaccount": int(doc["account"]),
        **_money(sign * doc["total"], sign * base_total),
        **_paid(doc, sign),
        **_segments(doc),
        **context.custom_cells("transactionline", doc),
        **_FLAGS,
    }
    database.insert("transactionline", main)
    gl = _gl(doc, 0, doc["account"], sign * base_total, modified)
    database.insert("transactionaccountingline", gl | _settled(doc, sign, precision))


def _settle_main(context: Context, doc: Doc, kind: Kind) -> None:
    """Only what is paid and what remains changed: bring the two main lines up to it."""
    identifier = int(doc["id"])
    precision = context.masters.base_currency(doc.get("subsidiary")).precision
    paid, settled = _paid(doc, kind.sign), _settled(doc, kind.sign, precision)
    for table, values, where in (
        ("q_transactionline", paid, '"transaction" = ? AND id = 0'),
        ("q_transactionaccountingline", settled, '"transaction" = ? AND transactionline = 0'),
    ):
        sets = ", ".join(f"{name} = ?" for name in values)
        cells = [float(value) for value in values.values()]
        context.database.connection.execute(f"UPDATE {table} SET {sets} WHERE {where}", (*cells, identifier))


def _money(foreign: Decimal, base: Decimal) -> dict[str, Json]:
    return {
        "foreignamount": foreign,
        "netamount": base,
        "rateamount": foreign,
        "debitforeignamount": foreign if foreign > 0 else None,
        "creditforeignamount": -foreign if foreign < 0 else None,
    }


def _paid(doc: Doc, sign: int) -> dict[str, Decimal]:
    names = ("foreignamountpaid", "foreignamountunpaid")
    if sign < 0:
        names = ("foreignpaymentamountused", "foreignpaymentamountunused")
    return {names[0]: doc["amountPaid"], names[1]: doc["amountRemaining"]}


def _settled(doc: Doc, sign: int, precision: int) -> dict[str, Decimal]:
    """The main ledger line's paid and unpaid amounts, in base currency."""
    names = ("amountpaid", "amountunpaid") if sign > 0 else ("paymentamountused", "paymentamountunused")
    rate = doc["exchangeRate"]
    values = (doc["amountPaid"], doc["amountRemaining"])
    return {name: lines.rounded(value * rate, precision) for name, value in zip(names, values, strict=True)}


def _segments(holder: Doc) -> dict[str, Json]:
    return {name: integer(holder.get(name)) for name in ("department", "class", "location")}


def _gl(doc: Doc, line: int, account: str, amount: Decimal, modified: str) -> dict[str, Json]:
    return {
        "transaction": int(doc["id"]),
        "transactionline": line,
        "accountingbook": 1,
        "account": int(account),
        "posting": True,
        "debit": amount if amount > 0 else None,
        "credit": -amount if amount < 0 else None,
        "amount": amount,
        "netamount": amount,
        "exchangerate": doc["exchangeRate"],
        "lastmodifieddate": modified,
        "processedbyrevcommit": False,
    }


_FLAGS: dict[str, Json] = {
    "taxline": False,
    "iscogs": False,
    "donotdisplayline": False,
    "transactiondiscount": False,
    "cleared": False,
    "isclosed": False,
    "isrevrectransaction": False,
}
