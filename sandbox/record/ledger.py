"""A transaction's rows in SuiteQL's tables: header, lines and general ledger lines, with NetSuite's signs.

Line amounts are in the ledger's view: an invoice's main line is positive, its revenue lines negative, a credit memo is
the mirror image. A payment's main line is the bank's, its second line the receivables'; a deposit's second line is the
liability's, which its application debits before it credits the receivables. Base amounts are rounded line by
line, and the main line balances them; in a journal the last line does.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

from sandbox.record import addresses, lines
from sandbox.record.context import Context, integer, stamp
from sandbox.record.kinds import CREDIT_MEMO, DEPOSIT, DEPOSIT_APPLICATION, INVOICE, JOURNAL, PAYMENT, Kind
from sandbox.store.database import Doc
from sandbox.wire import Json

Cells = dict[str, Json]
_TWO_LINES = {
    PAYMENT: ("_fundsAccount", "arAcct", "_receivableKey"),
    DEPOSIT: ("_fundsAccount", "_depositsAccount", "_depositsKey"),
    DEPOSIT_APPLICATION: ("_depositsAccount", "arAcct", "_receivableKey"),
}
"""The types that have a debit and a credit: where the document names the two accounts, and the second line's key."""


@dataclass(frozen=True, slots=True)
class _Part:
    """A line beside the main line. `amount` is the document's view: positive raises the total."""

    line: int
    key: int
    account: str
    amount: Decimal
    cells: Cells


def remove(context: Context, identifier: int) -> None:
    _remove_lines(context, identifier)
    context.database.delete_rows("transaction", "id", identifier)


def _remove_lines(context: Context, identifier: int) -> None:
    context.database.delete_rows("transactionline", "transaction", identifier)
    context.database.delete_rows("transactionaccountingline", "transaction", identifier)


def project(context: Context, doc: Doc, kind: Kind, *, lines_too: bool) -> None:
    """Write the header row and, when they changed, the line rows."""
    context.database.insert("transaction", _header(context, doc, kind))
    if lines_too:
        _remove_lines(context, int(doc["id"]))
        if kind is JOURNAL:
            _insert_journal(context, doc)
        else:
            _insert_lines(context, doc, kind)
    elif kind.sign:
        _settle_main(context, doc, kind)


def _posts(kind: Kind, doc: Doc) -> bool:
    """Whether it is in the books: not an order, and not what awaits approval or was rejected."""
    if kind is INVOICE:
        return doc["status"] not in ("D", "E")
    if kind is JOURNAL:
        return bool(doc["status"] == "B")
    return kind.posting


def _header(context: Context, doc: Doc, kind: Kind) -> Cells:
    negative = _negative(context, kind)
    row: Cells = {
        "id": int(doc["id"]),
        "type": kind.code,
        "recordtype": kind.record_type.lower(),
        "abbrevtype": kind.abbreviation,
        "tranid": doc["tranId"],
        "transactionnumber": doc["transactionNumber"],
        "typebaseddocumentnumber": doc["tranId"],
        "trandisplayname": doc["_title"],
        "externalid": doc.get("externalId"),
        "entity": integer(doc.get(kind.party)),
        "trandate": stamp(doc["tranDate"]),
        "duedate": stamp(doc.get("dueDate")),
        "startdate": stamp(doc.get("startDate")),
        "enddate": stamp(doc.get("endDate")),
        "postingperiod": integer(doc.get("postingPeriod")),
        "posting": _posts(kind, doc),
        "currency": int(doc["currency"]),
        "exchangerate": doc["exchangeRate"],
        "foreigntotal": -doc["total"] if negative else doc["total"],
        "terms": integer(doc.get("terms")),
        "status": doc.get("status"),
        "approvalstatus": doc.get("approvalStatus"),
        "memo": doc.get("memo"),
        "message": doc.get("message"),
        "email": doc.get("email"),
        "otherrefnum": doc.get("checkNumber") if kind in (PAYMENT, DEPOSIT) else doc.get("otherRefNum"),
        "source": doc["source"],
        "paymentmethod": doc.get("paymentOption"),
        "customform": integer(doc.get("customForm")),
        "department": integer(doc.get("department")),
        "class": integer(doc.get("class")),
        "location": integer(doc.get("location")),
        "createddate": context.local(doc["createdDate"]),
        "lastmodifieddate": context.local(doc["lastModifiedDate"]),
        "closedate": context.local(doc["lastModifiedDate"]) if _closed(kind, doc) else None,
        "void": False,
        "voided": False,
        "isreversal": bool(doc.get("isReversal")),
        "reversal": integer(doc.get("reversalEntry")),
        "reversaldate": stamp(doc.get("reversalDate")),
        "reversaldefer": bool(doc.get("reversalDefer")),
        "paymenthold": False,
        "foreignamountpaid": doc["amountPaid"] if kind.sign > 0 else None,
        "foreignamountunpaid": doc["amountRemaining"] if kind.sign > 0 else None,
        "foreignpaymentamountused": doc["amountPaid"] if kind.sign < 0 else None,
        "foreignpaymentamountunused": doc["amountRemaining"] if _keeps(kind) else None,
    }
    if context.profile.oneworld:
        row["subsidiary"] = int(doc["subsidiary"])
    row.update(addresses.cells(doc))
    row.update(context.custom_cells("transaction", doc))
    return row


def _negative(context: Context, kind: Kind) -> bool:
    """Whether a header's total is negative."""
    switches = context.profile.switches
    if kind is DEPOSIT_APPLICATION:
        return switches.deposit_application_header_sign == "negative"
    return kind.applies and switches.credit_header_sign == "negative"


def _keeps(kind: Kind) -> bool:
    """Whether it can have something left to apply; a deposit application is no more than what it applies."""
    return kind.sign < 0 and kind is not DEPOSIT_APPLICATION


def _closed(kind: Kind, doc: Doc) -> bool:
    return kind in (INVOICE, CREDIT_MEMO) and bool(doc["status"] == "B")


def _parts(context: Context, doc: Doc, kind: Kind) -> Iterator[_Part]:
    """Every line but the main line, in order."""
    if kind in _TWO_LINES:
        main, second, key = _TWO_LINES[kind]
        account = second if _side(context, kind) > 0 else main
        of_receivables = account == "arAcct"
        cells: Cells = {"accountinglinetype": "ACCOUNTSRECEIVABLE" if of_receivables else None}
        yield _Part(1, doc[key], doc[account], doc["total"], cells | _segments(doc))
        return
    ledger_view = context.profile.switches.line_quantity_sign == "ledger" and kind is not CREDIT_MEMO
    for line in doc["item"]:
        quantity = line.get("quantity")
        cells = {
            "accountinglinetype": "INCOME",
            "item": int(line["item"]),
            "itemtype": line["itemType"],
            "quantity": -quantity if quantity is not None and ledger_view else quantity,
            "quantitybilled": line.get("quantityBilled"),
            "createdfrom": integer(line.get("orderDoc")),
            "rate": line.get("rate"),
            "memo": line.get("description"),
            "price": integer(line.get("price")),
            **_segments(line),
            **context.custom_cells("transactionline", line),
        }
        yield _Part(line["line"], line["lineUniqueKey"], line["account"], line["amount"], cells)
    if "_discount" in doc:
        discount = doc["_discount"]
        cells = {"accountinglinetype": "DISCOUNT", "item": int(doc["discountItem"]), "itemtype": "Discount"}
        cells |= {"transactiondiscount": True, "rateamount": None, "memo": None, **_segments(doc)}
        yield _Part(discount["line"], discount["key"], discount["account"], doc["discountTotal"], cells)
    for row in doc.get("taxDetails", []):
        cells = {
            "accountinglinetype": "TAX",
            "taxline": True,
            "ratepercent": row["taxRate"],
            **_segments(doc),
        }
        yield _Part(row["_line"], row["_key"], row["_account"], row["taxAmount"], cells)


def _insert_lines(context: Context, doc: Doc, kind: Kind) -> None:
    database, modified = context.database, context.local(doc["lastModifiedDate"])
    precision = context.masters.base_currency(doc.get("subsidiary")).precision
    side = _side(context, kind)
    posting, shared = _posts(kind, doc), _shared(context, doc, doc.get(kind.party), modified)
    base_total = Decimal(0)
    for number, part in enumerate(_parts(context, doc, kind), 1):
        base = lines.rounded(part.amount * doc["exchangeRate"], precision)
        base_total += base
        row = {
            **shared,
            "uniquekey": part.key,
            "id": part.line,
            "linesequencenumber": number,
            "mainline": False,
            "expenseaccount": int(part.account),
            **_money(-side * part.amount, -side * base),
            **_FLAGS,
            **part.cells,
        }
        database.insert("transactionline", row)
        gl = _gl(doc, part.line, part.account, -side * base, modified, posting)
        database.insert("transactionaccountingline", gl)
    main = {
        **shared,
        "uniquekey": doc["_mainKey"],
        "id": 0,
        "linesequencenumber": 0,
        "mainline": True,
        "accountinglinetype": _main_type(context, kind),
        "createdfrom": integer(doc.get("deposit")) if kind is DEPOSIT_APPLICATION else None,
        "memo": doc.get("memo"),
        "expenseaccount": int(_main_account(context, doc, kind)),
        **_money(side * doc["total"], side * base_total),
        **(_paid(doc, kind) if kind.sign else {}),
        **_segments(doc),
        **context.custom_cells("transactionline", doc),
        **_FLAGS,
    }
    database.insert("transactionline", main)
    gl = _gl(doc, 0, _main_account(context, doc, kind), side * base_total, modified, posting)
    if kind.sign:
        gl |= _settled(doc, kind, precision)
    database.insert("transactionaccountingline", gl)


def _insert_journal(context: Context, doc: Doc) -> None:
    """A journal's lines: each is its own, and the first may stand as the main line."""
    database, modified = context.database, context.local(doc["lastModifiedDate"])
    precision = context.masters.base_currency(doc.get("subsidiary")).precision
    left, last = Decimal(0), len(doc["line"])
    for number, line in enumerate(doc["line"], 1):
        foreign = line.get("debit", Decimal(0)) - line.get("credit", Decimal(0))
        base = lines.rounded(foreign * doc["exchangeRate"], precision) if number < last else -left
        left += base
        row = {
            **_shared(context, doc, line.get("entity"), modified),
            "uniquekey": line["lineUniqueKey"],
            "id": line["line"],
            "linesequencenumber": number,
            "mainline": number == 1 and context.profile.switches.journal_main_line,
            "memo": line.get("memo"),
            "expenseaccount": int(line["account"]),
            **_money(foreign, base),
            **_segments(line),
            **context.custom_cells("transactionline", line),
            **_FLAGS,
        }
        database.insert("transactionline", row)
        gl = _gl(doc, line["line"], line["account"], base, modified, _posts(JOURNAL, doc))
        database.insert("transactionaccountingline", gl)


def _settle_main(context: Context, doc: Doc, kind: Kind) -> None:
    """Only what is paid and what remains changed: bring the two main lines up to it."""
    identifier = int(doc["id"])
    precision = context.masters.base_currency(doc.get("subsidiary")).precision
    paid, settled = _paid(doc, kind), _settled(doc, kind, precision)
    for table, values, where in (
        ("q_transactionline", paid, '"transaction" = ? AND id = 0'),
        ("q_transactionaccountingline", settled, '"transaction" = ? AND transactionline = 0'),
    ):
        sets = ", ".join(f"{name} = ?" for name in values)
        cells = [float(value) for value in values.values()]
        context.database.connection.execute(f"UPDATE {table} SET {sets} WHERE {where}", (*cells, identifier))


def _side(context: Context, kind: Kind) -> int:
    """1 when the main line is a debit, -1 when it is a credit."""
    swapped = context.profile.switches.deposit_application_main_line == "receivables"
    return -1 if kind is CREDIT_MEMO or (kind is DEPOSIT_APPLICATION and swapped) else 1


def _main_account(context: Context, doc: Doc, kind: Kind) -> str:
    if kind not in _TWO_LINES:
        return str(doc["account"])
    main, second, _ = _TWO_LINES[kind]
    return str(doc[main if _side(context, kind) > 0 else second])


def _main_type(context: Context, kind: Kind) -> str | None:
    """The main line's accounting line type, where one is known."""
    if kind in (PAYMENT, DEPOSIT):
        return "PAYMENT"
    return None if kind is DEPOSIT_APPLICATION and _side(context, kind) > 0 else "ACCOUNTSRECEIVABLE"


def _shared(context: Context, doc: Doc, entity: str | None, modified: str) -> Cells:
    shared: Cells = {
        "transaction": int(doc["id"]),
        "entity": integer(entity),
        "linelastmodifieddate": modified,
    }
    if context.profile.oneworld:
        shared["subsidiary"] = int(doc["subsidiary"])
    return shared


def _money(foreign: Decimal, base: Decimal) -> Cells:
    return {
        "foreignamount": foreign,
        "netamount": base,
        "rateamount": foreign,
        "debitforeignamount": foreign if foreign > 0 else None,
        "creditforeignamount": -foreign if foreign < 0 else None,
    }


def _paid(doc: Doc, kind: Kind) -> dict[str, Decimal]:
    """The main line's paid and unpaid amounts, or used and unused ones."""
    if kind.sign > 0:
        return {"foreignamountpaid": doc["amountPaid"], "foreignamountunpaid": doc["amountRemaining"]}
    used = {"foreignpaymentamountused": doc["amountPaid"]}
    return used | ({"foreignpaymentamountunused": doc["amountRemaining"]} if _keeps(kind) else {})


def _settled(doc: Doc, kind: Kind, precision: int) -> dict[str, Decimal]:
    """The same of the main ledger line, in base currency."""
    return {
        name.removeprefix("foreign"): lines.rounded(value * doc["exchangeRate"], precision)
        for name, value in _paid(doc, kind).items()
    }


def _segments(holder: Doc) -> Cells:
    return {name: integer(holder.get(name)) for name in ("department", "class", "location")}


def _gl(doc: Doc, line: int, account: str, amount: Decimal, modified: str, posting: bool) -> Cells:
    return {
        "transaction": int(doc["id"]),
        "transactionline": line,
        "accountingbook": 1,
        "account": int(account),
        "posting": posting,
        "debit": amount if amount > 0 else None,
        "credit": -amount if amount < 0 else None,
        "amount": amount,
        "netamount": amount,
        "exchangerate": doc["exchangeRate"],
        "lastmodifieddate": modified,
        "processedbyrevcommit": False,
    }


_FLAGS: Cells = {
    "taxline": False,
    "iscogs": False,
    "donotdisplayline": False,
    "transactiondiscount": False,
    "cleared": False,
    "isclosed": False,
    "isrevrectransaction": False,
}
