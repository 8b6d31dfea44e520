"""The transaction types, as data: what differs between an invoice, a credit memo, a payment, a deposit, a journal and an order."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Kind:
    """What differs between the transaction types."""

    record_type: str
    code: str
    """SuiteQL's type code."""
    title: str
    numbering: str
    sequence: str
    """Prefix of the internal transaction number."""
    form: str
    sign: int
    """1 when it is paid, -1 when it pays (or, a deposit, will), 0 when it is no open item."""
    abbreviation: str
    party: str = "entity"
    """The field that names the customer."""
    posting: bool = True
    """Whether it has general ledger lines."""

    @property
    def applies(self) -> bool:
        """Whether it is applied to invoices itself; a deposit is by its deposit applications."""
        return self.sign < 0 and self.record_type != "customerDeposit"


INVOICE = Kind("invoice", "CustInvc", "Invoice", "invoice", "CUSTINV", "101", 1, "INV")
CREDIT_MEMO = Kind("creditMemo", "CustCred", "Credit Memo", "credit_memo", "CUSTCRED", "102", -1, "CREDMEM")
PAYMENT = Kind("customerPayment", "CustPymt", "Payment", "payment", "CUSTPYMT", "103", -1, "PMT", "customer")
JOURNAL = Kind("journalEntry", "Journal", "Journal", "journal", "JOURNAL", "104", 0, "GENJRNL")
SALES_ORDER = Kind(
    "salesOrder", "SalesOrd", "Sales Order", "sales_order", "SALESORD", "105", 0, "SALESORD", posting=False
)
DEPOSIT = Kind(
    *(
        "customerDeposit",
        "CustDep",
        "Customer Deposit",
        "deposit",
        "CUSTDEP",
        "106",
        -1,
        "CUSTDEP",
        "customer",
    )
)
DEPOSIT_APPLICATION = Kind(
    *("depositApplication", "DepAppl", "Deposit Application", "deposit_application", "DEPAPPL", "107", -1),
    *("DEPAPPL", "customer"),
)
DOCUMENTS = (INVOICE, CREDIT_MEMO, SALES_ORDER)
"""The types whose lines are items."""
KINDS = {kind.record_type: kind for kind in (*DOCUMENTS, PAYMENT, DEPOSIT, DEPOSIT_APPLICATION, JOURNAL)}
