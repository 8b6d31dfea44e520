"""The fields of the transaction types, in the notation of `schema`, and the sublists they have. Data only."""

from __future__ import annotations

from dataclasses import dataclass

_BODY = """
    str: id! externalId tranId transactionNumber! memo;
    ref>subsidiary: subsidiary; ref>currency: currency; ref>accountingPeriod: postingPeriod;
    ref>department: department; ref>classification: class; ref>location: location;
    enum>customForm: customForm; enum>source: source!; enum>status: status!; num: exchangeRate;
    date: tranDate; datetime: createdDate! lastModifiedDate!
"""
_DOCUMENT = (
    _BODY
    + """;
    str: message email otherRefNum discountRate; ref>customer: entity; ref>account: account;
    ref>transaction: createdFrom; ref>employee: salesRep; ref>discountItem: discountItem;
    bool: toBeEmailed toBePrinted toBeFaxed taxDetailsOverride; date: asOfDate!;
    num: subtotal! discountTotal! taxTotal! total! amountPaid! amountRemaining!
"""
)
_INVOICE = (
    _DOCUMENT
    + "; ref>term: terms; date: dueDate startDate endDate; num: totalAfterTaxes!; enum>approvalStatus: approvalStatus"
)
_CREDIT_MEMO = _DOCUMENT + "; num: applied! unapplied!; bool: autoApply"
_SALES_ORDER = (
    _DOCUMENT + "; ref>term: terms; date: startDate endDate shipDate; enum>orderStatus: orderStatus!"
)
_PAYMENT = (
    _BODY
    + """;
    str: checkNumber; ref>customer: customer; ref>account: account arAcct; enum>paymentOption: paymentOption;
    truth>undepFunds: undepFunds; bool: autoApply; num: payment applied! unapplied! balance! pending! total!
"""
)
_DEPOSIT = (
    _BODY
    + """;
    str: checkNumber; ref>customer: customer; ref>account: account; enum>paymentOption: paymentOption;
    truth>undepFunds: undepFunds; bool: toBeEmailed; num: payment total!
"""
)
_DEPOSIT_APPLICATION = """
    str: id! externalId tranId transactionNumber! memo;
    ref>customer: customer!; ref>customerDeposit: deposit!; ref>account: arAcct; ref>subsidiary: subsidiary!;
    ref>currency: currency!; ref>accountingPeriod: postingPeriod; ref>department: department; ref>classification: class;
    ref>location: location; enum>customForm: customForm; enum>status: status!; num: exchangeRate! total! applied! unapplied!;
    date: tranDate depositDate!; datetime: createdDate! lastModifiedDate!
"""
_JOURNAL = (
    _BODY
    + """;
    ref>subsidiary: toSubsidiary; ref>accountingBook: accountingBook; date: reversalDate;
    bool: approved isReversal! reversalDefer void!; ref>transaction: reversalEntry! createdFrom!;
    enum>approvalStatus: approvalStatus!
"""
)
_ITEM_LINE = """
    int: line lineUniqueKey! orderLine; ref>transaction: orderDoc; ref>item: item; str: description taxDetailsReference;
    num: quantity rate amount grossAmt taxAmount tax1Amt taxRate1 quantityBilled!; enum>priceLevel: price;
    ref>department: department; ref>classification: class; ref>location: location; ref>account: account!;
    enum>itemType: itemType!; bool: isTaxable linked! deferRevRec; date: revRecStartDate revRecEndDate
"""
_JOURNAL_LINE = """
    int: line lineUniqueKey!; ref>account: account; num: debit credit grossAmt; ref>customer: entity;
    ref>department: department; ref>classification: class; ref>location: location; str: memo; bool: eliminate;
    date: startDate endDate
"""
_APPLY_LINE = """
    ref>transaction: doc; int: line; bool: apply; num: amount due! total!; date: applyDate!;
    str: refNum! currency! type!
"""
_CREDIT_LINE = """
    ref>transaction: doc; int: line; bool: apply; num: amount due! total!; date: creditDate!;
    str: appliedTo! refNum! currency! type!
"""
_DEPOSIT_LINE = """
    ref>transaction: doc; int: line; bool: apply; num: amount remaining! total!; date: depositDate!;
    str: refNum! currency!
"""
_TAX_LINE = """
    str: taxDetailsReference lineType! lineName! calcDetail; num: netAmount taxBasis taxRate taxAmount;
    ref>taxType: taxType; ref>taxCode: taxCode
"""


@dataclass(frozen=True, slots=True)
class TransactionFields:
    title: str
    permission: str
    fields: str
    sublists: tuple[str, ...]


TRANSACTIONS = {
    "invoice": TransactionFields("Invoice", "Transactions -> Invoice", _INVOICE, ("item", "taxDetails")),
    "creditMemo": TransactionFields(
        "Credit Memo", "Transactions -> Credit Memo", _CREDIT_MEMO, ("item", "apply", "taxDetails")
    ),
    "salesOrder": TransactionFields(
        "Sales Order", "Transactions -> Sales Order", _SALES_ORDER, ("item", "taxDetails")
    ),
    "customerPayment": TransactionFields(
        "Customer Payment", "Transactions -> Customer Payment", _PAYMENT, ("apply", "credit", "deposit")
    ),
    "customerDeposit": TransactionFields(
        "Customer Deposit", "Transactions -> Customer Deposit", _DEPOSIT, ()
    ),
    "depositApplication": TransactionFields(
        "Deposit Application", "Transactions -> Deposit Application", _DEPOSIT_APPLICATION, ("apply",)
    ),
    "journalEntry": TransactionFields(
        "Journal Entry", "Transactions -> Make Journal Entry", _JOURNAL, ("line",)
    ),
}
SUBLISTS: dict[str, tuple[str | None, str, bool]] = {
    # name: (key, fields, whether custom columns are on its lines)
    "item": ("line", _ITEM_LINE, True),
    "line": ("line", _JOURNAL_LINE, True),
    "apply": ("doc", _APPLY_LINE, False),
    "credit": ("doc", _CREDIT_LINE, False),
    "deposit": ("doc", _DEPOSIT_LINE, False),
    "taxDetails": (None, _TAX_LINE, False),
}
DEPOSITS = ("customerDeposit", "depositApplication")
"""The types that exist only in an account that has an account for customers' deposits."""
SUITE_TAX = ("taxDetails", "taxDetailsOverride", "taxDetailsReference")
"""What exists only in an account that has SuiteTax."""
