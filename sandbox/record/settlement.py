"""What is paid on a document and what remains: amounts applied, status, and saving the document with its rows."""

from __future__ import annotations

from decimal import Decimal

from sandbox.errors import user_error
from sandbox.record import ledger
from sandbox.record.context import Context
from sandbox.record.kinds import DEPOSIT, DEPOSIT_APPLICATION, PAYMENT, Kind
from sandbox.store.database import Doc

_UNAPPROVED = {"1": "D", "3": "E"}
"""Statuses of invoices whose approval is pending or was refused."""


def amounts_by(context: Context, applying: int) -> dict[int, Decimal]:
    """What a credit or payment applies, by invoice id."""
    rows = context.database.connection.execute(
        "SELECT applied, amount FROM application WHERE applying = ? ORDER BY applied", (applying,)
    )
    return {row[0]: Decimal(row[1]) for row in rows}


def amounts_on(context: Context, applied: int) -> dict[int, Decimal]:
    """What is applied to an invoice, by the id of the credit or payment."""
    rows = context.database.connection.execute(
        "SELECT applying, amount FROM application WHERE applied = ? ORDER BY applying", (applied,)
    )
    return {row[0]: Decimal(row[1]) for row in rows}


def balance(context: Context, kind: Kind, doc: Doc, *, final: bool = True) -> None:
    """Set what is paid, what remains and the status from the applications.

    Refuses a total below what is applied, unless the applications are about to change (`final` false).
    """
    identifier = int(doc["id"])
    if kind.applies:
        used = sum(amounts_by(context, identifier).values(), Decimal(0))
        doc["applied"], doc["unapplied"] = used, doc["total"] - used
    elif kind is DEPOSIT:
        used = sum(doc["_uses"].values(), Decimal(0))
    else:
        used = sum(amounts_on(context, identifier).values(), Decimal(0))
    doc["amountPaid"], doc["amountRemaining"] = used, doc["total"] - used
    if final and doc["amountRemaining"] < 0:
        raise user_error(context.profile.switches.over_application_text)
    if doc.get("approvalStatus") in _UNAPPROVED:
        if used:
            raise user_error("An invoice that is paid in part or in full cannot go back to approval.")
        doc["status"] = _UNAPPROVED[doc["approvalStatus"]]
    elif kind is PAYMENT:
        doc["status"] = "B" if doc["undepFunds"] else "C"
    elif kind is DEPOSIT:
        spent = used and not doc["amountRemaining"]
        doc["status"] = "C" if spent else "A" if doc["undepFunds"] else "B"
    elif kind is DEPOSIT_APPLICATION:
        letter = context.profile.switches.deposit_application_status
        if letter != "none":
            doc["status"] = letter
    else:
        doc["status"] = "A" if doc["amountRemaining"] > 0 else "B"


def save(context: Context, kind: Kind, doc: Doc, *, lines_too: bool) -> None:
    """Store a document and bring its SuiteQL rows up to it; its lines only when they changed."""
    identifier = int(doc["id"])
    context.database.put("transaction", identifier, kind.record_type, doc)
    context.database.set_name("transaction", identifier, doc["_title"])
    ledger.project(context, doc, kind, lines_too=lines_too)
