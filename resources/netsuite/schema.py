"""NetSuite's standard schema as far as billing needs it: customer, invoice, credit memo, payment and journal.

Only tables of facts belong here (NetSuite REST facts: field tables, SuiteQL tables and columns, sign
conventions). An empty SuiteQL expression means that no column with the same value is known.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from resources.netsuite.fields import FieldType, Kind, RecordType, ReferenceTable, SublistType


def printed(kind: str, column: str) -> str:
    """``column`` in the one form that we read: a bare date would come in the account's own date format."""
    if kind == "date":
        return f"TO_CHAR({column}, 'YYYY-MM-DD')"
    if kind == "datetime":
        return f"TO_CHAR({column}, 'YYYY-MM-DD HH24:MI:SS')"
    return column


def _table(*fields: FieldType) -> Mapping[str, FieldType]:
    return MappingProxyType({field.name: field for field in fields})


def _plain(kind: Kind, read_only: bool, columns: Mapping[str, str]) -> tuple[FieldType, ...]:
    """Fields of one kind without a target; dates and date-times are given their printed form."""
    return tuple(
        FieldType(name, kind, None, read_only, printed(kind, column) if column else "")
        for name, column in columns.items()
    )


def _references(columns: Mapping[str, tuple[str, str]], *, read_only: bool = False) -> tuple[FieldType, ...]:
    return tuple(
        FieldType(name, "reference", target, read_only, column) for name, (target, column) in columns.items()
    )


_CUSTOMER_FIELDS = _table(
    *_plain("text", True, {"id": "c.id", "altName": "c.altname", "defaultAddress": ""}),
    *_plain(
        "text",
        False,
        {
            "externalId": "c.externalid",
            "entityId": "c.entityid",
            "companyName": "c.companyname",
            "firstName": "c.firstname",
            "lastName": "c.lastname",
            "email": "c.email",
            "phone": "c.phone",
            "url": "",
            "comments": "",
        },
    ),
    *_plain(
        "boolean",
        False,
        {"autoName": "", "isPerson": "c.isperson", "isInactive": "c.isinactive", "taxable": ""},
    ),
    *_references(
        {
            # The relationship table also holds it; this column is the primary subsidiary and is absent from
            # accounts with a single company.
            "subsidiary": ("subsidiary", "c.subsidiary"),
            "currency": ("currency", "c.currency"),
            "terms": ("term", "c.terms"),
            "receivablesAccount": ("account", "c.receivablesaccount"),
            "parent": ("customer", "c.parent"),
            "category": ("customerCategory", "c.category"),
            "entityStatus": ("customerStatus", "c.entitystatus"),
            "salesRep": ("employee", "c.salesrep"),
            "taxItem": ("salesTaxItem", ""),
        }
    ),
    *_plain("enum", False, {"language": "", "emailPreference": ""}),
    *_plain("amount", False, {"creditLimit": "c.creditlimit"}),
    *_plain("amount", True, {"balance": "c.balancesearch", "overdueBalance": "c.overduebalancesearch"}),
    *_plain("datetime", True, {"dateCreated": "c.datecreated", "lastModifiedDate": "c.lastmodifieddate"}),
)

_TRANSACTION_FIELDS: Final[tuple[FieldType, ...]] = (
    *_plain("text", True, {"id": "t.id", "transactionNumber": "t.transactionnumber"}),
    *_plain("text", False, {"externalId": "t.externalid", "tranId": "t.tranid", "memo": "t.memo"}),
    *_plain("rate", False, {"exchangeRate": "t.exchangerate"}),
    *_plain("date", False, {"tranDate": "t.trandate"}),
    *_plain("datetime", True, {"createdDate": "t.createddate", "lastModifiedDate": "t.lastmodifieddate"}),
    *_references(
        {
            "currency": ("currency", "t.currency"),
            "postingPeriod": ("accountingPeriod", "t.postingperiod"),
            "customForm": ("customForm", "t.customform"),
        }
    ),
)

# The header table has no subsidiary in single-company accounts and no classification at all: the main line has them.
_CLASSIFIED: Final[tuple[FieldType, ...]] = _references(
    {
        "subsidiary": ("subsidiary", "tl.subsidiary"),
        "department": ("department", "tl.department"),
        "class": ("classification", "tl.class"),
        "location": ("location", "tl.location"),
    }
)

_SALES_FIELDS: Final[tuple[FieldType, ...]] = (
    *_TRANSACTION_FIELDS,
    *_CLASSIFIED,
    *_references(
        {
            "entity": ("customer", "t.entity"),
            "account": ("account", "tl.expenseaccount"),
            "createdFrom": ("transaction", "tl.createdfrom"),
            "nexus": ("nexus", "t.nexus"),
            "salesRep": ("employee", ""),
            "job": ("job", ""),
            "discountItem": ("item", ""),
            "billAddressList": ("address", ""),
        }
    ),
    *_plain(
        "text",
        False,
        {"message": "t.message", "email": "t.email", "otherRefNum": "t.otherrefnum", "discountRate": ""},
    ),
    *_plain(
        "boolean", False, {"toBeEmailed": "", "toBePrinted": "", "toBeFaxed": "", "taxDetailsOverride": ""}
    ),
    *_plain("enum", True, {"status": "t.status", "source": "t.source"}),
    *_plain("amount", True, {"subtotal": "", "discountTotal": "", "taxTotal": "", "totalAfterTaxes": ""}),
)

_INVOICE_FIELDS = _table(
    *_SALES_FIELDS,
    *_references({"terms": ("term", "t.terms")}),
    *_plain("date", False, {"dueDate": "t.duedate", "startDate": "t.startdate", "endDate": "t.enddate"}),
    *_plain("date", True, {"asOfDate": ""}),
    *_plain("enum", False, {"approvalStatus": "t.approvalstatus"}),
    *_plain(
        "amount",
        True,
        {
            "total": "t.foreigntotal",
            "amountPaid": "t.foreignamountpaid",
            "amountRemaining": "t.foreignamountunpaid",
        },
    ),
)

_CREDIT_MEMO_FIELDS = _table(
    *_SALES_FIELDS,
    *_references({"salesReturn": ("returnAuthorization", "")}),
    *_plain("boolean", False, {"autoApply": ""}),
    # Sources disagree on the header's sign for credits and payments; REST shows them positive.
    *_plain(
        "amount",
        True,
        {
            "total": "ABS(t.foreigntotal)",
            "applied": "ABS(t.foreignpaymentamountused)",
            "unapplied": "ABS(t.foreignpaymentamountunused)",
            "amountPaid": "",
            "amountRemaining": "",
        },
    ),
)

_PAYMENT_FIELDS = _table(
    *_TRANSACTION_FIELDS,
    *_CLASSIFIED,
    *_references(
        {
            "customer": ("customer", "t.entity"),
            "account": ("account", ""),
            "arAcct": ("account", ""),
            "paymentOption": ("paymentOption", ""),
        }
    ),
    *_plain("text", False, {"checkNumber": ""}),
    *_plain("enum", False, {"undepFunds": ""}),
    *_plain("enum", True, {"status": "t.status"}),
    *_plain("boolean", False, {"autoApply": ""}),
    *_plain("amount", False, {"payment": "ABS(t.foreigntotal)"}),
    *_plain(
        "amount",
        True,
        {
            "total": "ABS(t.foreigntotal)",
            "applied": "ABS(t.foreignpaymentamountused)",
            "unapplied": "ABS(t.foreignpaymentamountunused)",
            "balance": "",
            "pending": "",
        },
    ),
)

_JOURNAL_FIELDS = _table(
    *_TRANSACTION_FIELDS,
    *_references(
        {
            # A journal has no main line to take it from; each of its lines has the subsidiary.
            "subsidiary": ("subsidiary", ""),
            "toSubsidiary": ("subsidiary", "t.tosubsidiary"),
            "accountingBook": ("accountingBook", ""),
            "reversalEntry": ("journalEntry", "t.reversal"),
        }
    ),
    *_plain("date", False, {"reversalDate": "t.reversaldate"}),
    *_plain("boolean", False, {"approved": "", "reversalDefer": "t.reversaldefer", "void": "t.void"}),
    *_plain("boolean", True, {"isReversal": "t.isreversal"}),
    *_plain("enum", False, {"approvalStatus": "t.approvalstatus"}),
)


def _item_lines(sign: str) -> Mapping[str, FieldType]:
    """Item lines; ``sign`` turns the ledger's view of a line (revenue is a credit) into the document's."""
    return _table(
        *_plain("integer", True, {"line": "tl.id", "lineUniqueKey": "tl.uniquekey"}),
        *_plain("text", False, {"description": "tl.memo", "taxDetailsReference": ""}),
        *_plain("quantity", False, {"quantity": "tl.quantity"}),
        *_plain("rate", False, {"rate": "tl.rate", "taxRate1": "", "taxRate2": ""}),
        *_plain(
            "amount",
            False,
            {"amount": f"{sign}tl.foreignamount", "grossAmt": "", "taxAmount": "", "tax1Amt": ""},
        ),
        *_references(
            {
                "item": ("item", "tl.item"),
                "price": ("priceLevel", "tl.price"),
                "units": ("unitsType", "tl.units"),
                "class": ("classification", "tl.class"),
                "department": ("department", "tl.department"),
                "location": ("location", "tl.location"),
                "job": ("job", ""),
                "taxCode": ("salesTaxItem", ""),
                "revRecSchedule": ("revRecSchedule", ""),
                "subscription": ("subscription", ""),
            }
        ),
        *_references(
            {"account": ("account", "tl.expenseaccount"), "orderDoc": ("transaction", "tl.createdfrom")},
            read_only=True,
        ),
        *_plain(
            "boolean",
            False,
            {"isTaxable": "", "deferRevRec": "", "doNotCreateRevenueElement": "", "printItems": ""},
        ),
        *_plain("boolean", True, {"linked": ""}),
        *_plain("date", False, {"revRecStartDate": "", "revRecEndDate": ""}),
        *_plain("enum", True, {"itemType": "tl.itemtype", "itemSubtype": ""}),
    )


_APPLY_LINES = _table(
    *_references({"doc": ("transaction", "l.previousdoc")}),
    *_plain("boolean", False, {"apply": ""}),
    *_plain("amount", False, {"amount": "l.foreignamount"}),
    *_plain("amount", True, {"due": "", "total": ""}),
    *_plain("integer", True, {"line": ""}),
    *_plain("date", True, {"applyDate": ""}),
    *_plain("text", True, {"refNum": "", "currency": "", "type": "l.previoustype"}),
    *_references({"createdFrom": ("transaction", ""), "job": ("job", "")}, read_only=True),
)

_JOURNAL_LINES = _table(
    *_plain("integer", True, {"line": "tl.id"}),
    *_plain(
        "amount",
        False,
        {"debit": "tl.debitforeignamount", "credit": "tl.creditforeignamount", "grossAmt": ""},
    ),
    *_plain("text", False, {"memo": "tl.memo"}),
    *_references(
        {
            "account": ("account", "tl.expenseaccount"),
            "entity": ("customer", "tl.entity"),
            "department": ("department", "tl.department"),
            "class": ("classification", "tl.class"),
            "location": ("location", "tl.location"),
            "revenueRecognitionRule": ("revenueRecognitionRule", ""),
            "lineTaxCode": ("salesTaxItem", ""),
        }
    ),
    *_plain("boolean", False, {"eliminate": ""}),
    *_plain("date", False, {"startDate": "", "endDate": ""}),
)

CUSTOM_RECORD_FIELDS: Final[Mapping[str, FieldType]] = _table(
    *_plain("text", True, {"id": "r.id"}),
    *_plain("text", False, {"externalId": "r.externalid", "name": "r.name"}),
    *_plain("boolean", False, {"isInactive": "r.isinactive"}),
)
"""What every custom record has; the others of its fields are custom ones."""

_LINES_SOURCE: Final = "transactionline tl JOIN transaction t ON t.id = tl.transaction"
_MAIN_LINE_SOURCE: Final = (
    "transaction t JOIN transactionline tl ON tl.transaction = t.id AND tl.mainline = 'T'"
)
_ITEM_LINES_ONLY: Final = "tl.mainline = 'F' AND tl.taxline = 'F' AND NVL(tl.iscogs, 'F') = 'F'"


def _items(type_code: str, sign: str) -> SublistType:
    where = f"t.type = '{type_code}' AND {_ITEM_LINES_ONLY}"
    return SublistType("item", "line", _LINES_SOURCE, where, "t.id", "tl.uniquekey", _item_lines(sign))


def _applications(type_code: str) -> SublistType:
    """Applications have no key of their own: read them grouped by (nextdoc, previousdoc)."""
    source = "NextTransactionLineLink l JOIN transaction t ON t.id = l.nextdoc"
    return SublistType("apply", "doc", source, f"t.type = '{type_code}'", "l.nextdoc", "", _APPLY_LINES)


def _transaction(
    name: str, type_code: str, source: str, fields: Mapping[str, FieldType], *sublists: SublistType
) -> RecordType:
    by_name = MappingProxyType({sublist.name: sublist for sublist in sublists})
    return RecordType(name, type_code, source, f"t.type = '{type_code}'", "t.id", fields, by_name)


_JOURNAL_LINE_LIST = SublistType(
    "line", "line", _LINES_SOURCE, "t.type = 'Journal'", "t.id", "tl.uniquekey", _JOURNAL_LINES
)

RECORDS: Final[Mapping[str, RecordType]] = MappingProxyType(
    {
        record.name: record
        for record in (
            RecordType("customer", None, "customer c", "", "c.id", _CUSTOMER_FIELDS, MappingProxyType({})),
            _transaction("invoice", "CustInvc", _MAIN_LINE_SOURCE, _INVOICE_FIELDS, _items("CustInvc", "-")),
            _transaction(
                "creditMemo",
                "CustCred",
                _MAIN_LINE_SOURCE,
                _CREDIT_MEMO_FIELDS,
                _items("CustCred", ""),
                _applications("CustCred"),
            ),
            _transaction(
                "customerPayment", "CustPymt", _MAIN_LINE_SOURCE, _PAYMENT_FIELDS, _applications("CustPymt")
            ),
            _transaction("journalEntry", "Journal", "transaction t", _JOURNAL_FIELDS, _JOURNAL_LINE_LIST),
        )
    }
)
"""The record types that we write or reconcile, by their REST name."""

REFERENCES: Final[Mapping[str, ReferenceTable]] = MappingProxyType(
    {
        table.target: table
        for table in (
            ReferenceTable("customer", "customer", "companyname", "entityid", "externalid", True),
            ReferenceTable("subsidiary", "subsidiary", "name"),
            ReferenceTable("currency", "currency", "symbol"),
            ReferenceTable("term", "term", "name"),
            ReferenceTable("account", "account", "fullname", "acctnumber", "externalid"),
            ReferenceTable("accountingPeriod", "accountingperiod", "periodname"),
            ReferenceTable("department", "department", "name", "", "externalid", True),
            ReferenceTable("classification", "classification", "name", "", "externalid", True),
            ReferenceTable("location", "location", "name", "", "externalid", True),
            ReferenceTable("item", "item", "itemid", "", "externalid"),
            ReferenceTable("transaction", "transaction", "tranid", "transactionnumber", "externalid"),
        )
    }
)
"""Reference targets whose rows can be listed by SuiteQL; ``reference`` also knows custom segments."""
