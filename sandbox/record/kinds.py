"""The transaction types, as data: what differs between an invoice, a credit memo, a payment, a journal and an order."""

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
    """1 when the transaction raises receivables, -1 when it lowers them, 0 when it is no open item."""
    abbreviation: str
    party: str = "entity"
    """The field that names the customer."""
    posting: bool = True
    """Whether it has general ledger lines."""

    @property
    def applies(self) -> bool:
        """Whether it is applied to invoices, rather than having others applied to it."""
        return self.sign < 0


INVOICE = Kind("invoice", "CustInvc", "Invoice", "invoice", "CUSTINV", "101", 1, "INV")
CREDIT_MEMO = Kind("creditMemo", "CustCred", "Credit Memo", "credit_memo", "CUSTCRED", "102", -1, "CREDMEM")
PAYMENT = Kind("customerPayment", "CustPymt", "Payment", "payment", "CUSTPYMT", "103", -1, "PMT", "customer")
JOURNAL = Kind("journalEntry", "Journal", "Journal", "journal", "JOURNAL", "104", 0, "GENJRNL")
SALES_ORDER = Kind(
    "salesOrder", "SalesOrd", "Sales Order", "sales_order", "SALESORD", "105", 0, "SALESORD", posting=False
)
DOCUMENTS = (INVOICE, CREDIT_MEMO, SALES_ORDER)
"""The types whose lines are items."""
KINDS = {kind.record_type: kind for kind in (*DOCUMENTS, PAYMENT, JOURNAL)}
