"""A transaction's own addresses: copies of its customer's default ones, taken when it is made."""

from __future__ import annotations

from sandbox.record.context import Context
from sandbox.store.database import Doc

_TABLES = {"_billTo": "transactionbillingaddress", "_shipTo": "transactionshippingaddress"}
_FLAGS = {"_billTo": "defaultBilling", "_shipTo": "defaultShipping"}


def take(context: Context, doc: Doc, customer: Doc) -> None:
    """Copy the customer's defaults to a new transaction; each copy has a key of its own."""
    for key, flag in _FLAGS.items():
        line = next((line for line in customer.get("addressBook", []) if line.get(flag)), None)
        if line is not None:
            number = context.database.next("address", 101)
            doc[key] = number
            address = {name.lower(): value for name, value in line["addressBookAddress"].items()}
            context.database.insert(_TABLES[key], {"nkey": number, **address})


def cells(doc: Doc) -> dict[str, int | None]:
    """The keys, as the transaction's row has them."""
    return {"billingaddress": doc.get("_billTo"), "shippingaddress": doc.get("_shipTo")}


def remove(context: Context, doc: Doc) -> None:
    for key, table in _TABLES.items():
        if key in doc:
            context.database.delete_rows(table, "nkey", doc[key])
