"""How records that no external id joins are found again: the keys of `reconcile.match` in a tenant's file.

Here: which passes are made, and how near two records must be. Not here: the passes (`netsuite_assets/reconcile`).
"""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StrictInt, StrictStr


def _exact(value: Any) -> Any:
    if isinstance(value, bool | float):
        raise ValueError("expected an amount such as 0.01")
    return value


class DocumentMatching(BaseModel):
    """How documents are matched that their external id does not join.

    `passes` are made in the order in which they stand here, whatever the order in the file: the internal id that the
    document had when its external id last joined it; the document number; rules over customer, currency, amount and
    date, in which `evidence` (the PO number, the memo) takes one of several only where it is exactly the same and no
    other document has it; and groups, where documents on one side add up to those on the other. `days` is how far
    dates may be apart and `amount` how far totals may, in the document's currency; both include their bound.
    `group_size` is how many documents may stand for one.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    passes: tuple[Literal["internal_id", "number", "rules", "groups"], ...] = (
        "internal_id",
        "number",
        "rules",
        "groups",
    )
    days: StrictInt = Field(default=7, ge=0, le=62)
    amount: Annotated[
        Decimal, BeforeValidator(_exact), Field(ge=0, max_digits=18, decimal_places=4, allow_inf_nan=False)
    ] = Decimal("0.01")
    evidence: tuple[Literal["po", "memo"], ...] = ("po", "memo")
    group_size: StrictInt = Field(default=4, ge=2, le=6)


class CustomerMatching(BaseModel):
    """How customers are matched that their external id does not join.

    By the internal id that the customer had before; by `custom_id`, a mapped field that holds an id of the customer's
    own (such as accountNumber); and by the same name within the subsidiary, where the e-mail domain agrees too.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    passes: tuple[Literal["internal_id", "custom_id", "name"], ...] = ("internal_id", "custom_id", "name")
    custom_id: StrictStr | None = None


class MatchSettings(BaseModel):
    """How records are matched that their external id does not join, by record type."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    customer: CustomerMatching = CustomerMatching()
    invoice: DocumentMatching = DocumentMatching()
    creditMemo: DocumentMatching = DocumentMatching()  # noqa: N815 - NetSuite's name
    customerPayment: DocumentMatching = DocumentMatching()  # noqa: N815 - NetSuite's name
    # Journals have no customer: nothing but their ids tells them from those that others book.
    journalEntry: DocumentMatching = DocumentMatching(passes=("internal_id",))  # noqa: N815 - NetSuite's name

    def of_document(self, record: str) -> DocumentMatching | None:
        """The settings of a document type; None where it is matched by its external id alone."""
        found = getattr(self, record, None)
        return found if isinstance(found, DocumentMatching) else None
