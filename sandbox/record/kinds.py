"""The document types, as data: what differs between an invoice and a credit memo."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Kind:
    """What differs between the document types."""

    record_type: str
    code: str
    """SuiteQL's type code."""
    title: str
    numbering: str
    sequence: str
    """Prefix of the internal transaction number."""
    form: str
    sign: int
    """1 when the document raises receivables, -1 when it lowers them."""

    @property
    def applies(self) -> bool:
        """Whether it is applied to invoices, rather than having others applied to it."""
        return self.sign < 0


INVOICE = Kind("invoice", "CustInvc", "Invoice", "invoice", "CUSTINV", "101", 1)
CREDIT_MEMO = Kind("creditMemo", "CustCred", "Credit Memo", "credit_memo", "CUSTCRED", "102", -1)
KINDS = {kind.record_type: kind for kind in (INVOICE, CREDIT_MEMO)}
