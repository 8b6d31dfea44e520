"""A demo tenant's NetSuite account, filled with part of what was billed and with planted defects.

Here: emptying an account, filling it, and knowing that it is filled already. Not here: what is wrong in the books
(`defects.py`), how a document looks (`bodies.py`), nor the protocol (`netsuite_account.py`).

An account is either empty, or filled with exactly these books as its marker file says, or it is emptied and filled
anew: so a filling that was interrupted heals with the next.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from pathlib import Path
from random import Random

from demo import usage
from demo.bodies import (
    BODIES,
    Body,
    Names,
    UnknownName,
    applied_credit,
    journal_body,
    payment_body,
)
from demo.defects import plant
from demo.documents import Billing
from demo.netsuite_account import Account, BooksError, Login
from demo.payments import settle
from demo.planted import (
    DEFECTS,
    DRIFTS,
    PAYMENTS_FROM_BILLING,
    BookedPayment,
    Booking,
    Books,
    Planted,
    accrual_eid,
    customer_eid,
)

#: Called with how many records are written and how many there will be.
Progress = Callable[[int, int], None]

#: SuiteQL's transaction types, in the order in which they can be deleted, and their record names.
_TRANSACTIONS = {
    "Journal": "journalEntry",
    "CustPymt": "customerPayment",
    "CustCred": "creditMemo",
    "CustInvc": "invoice",
}


def make_books(tenant: str, billing: Billing, month: str, seed: int) -> Books:
    """The books of `tenant` for what it billed, with its defects in `month`; the same seed makes the same."""
    random = Random(seed)
    books = settle(
        plant(billing, month, random, DEFECTS[tenant]),
        billing,
        month,
        random,
        from_billing=tenant in PAYMENTS_FROM_BILLING,
        defects=DEFECTS[tenant],
        drifts=DRIFTS.get(tenant, {}),
    )
    return _without_accrual(books, billing, month) if "accrual_missing" in DEFECTS[tenant] else books


def _without_accrual(books: Books, billing: Billing, month: str) -> Books:
    """The same books, which hold no accrual of the month's usage; listed as a defect."""
    amount = billing.not_billed(usage.month_days(month)[1])
    missing = Planted(
        kind="accrual_missing",
        record="journalEntry",
        external_id=accrual_eid(month, "usage"),
        field=None,
        what=f"The usage that no bill has at the end of {month}, USD {amount}, is not accrued",
        number=f"Accrual {month} usage USD",
        billed=str(amount),
    )
    return replace(books, planted=(*books.planted, missing))


def fill_books(
    login: Login, tenant: str, books: Books, marker: Path, progress: Progress | None = None
) -> Sequence[Planted]:
    """Make the account hold exactly `books` unless `marker` says that it was filled with them; returns the defects.

    An account that was filled with these books and changed since (by a reconciliation, say) is left as it is. Raises
    `BooksError`.
    """
    asyncio.run(_fill(login, tenant, books, marker, progress))
    return books.planted


async def _fill(login: Login, tenant: str, books: Books, marker: Path, progress: Progress | None) -> None:
    fingerprint = hashlib.sha256(repr((tenant, books)).encode()).hexdigest()
    async with Account(login, Random(fingerprint)) as account:
        held = await _held(account)
        if held and _marked(marker) == fingerprint:
            return
        names = await _names(account, tenant)
        customers, documents = _bodies(tenant, books, names)
        marker.unlink(missing_ok=True)
        await _empty(account, held)
        await _write(account, customers, documents, books, names, progress)
        marker.parent.mkdir(parents=True, exist_ok=True)
        partial = marker.with_name(f"{marker.name}.partial")
        partial.write_text(json.dumps({"tenant": tenant, "books": fingerprint}) + "\n", encoding="utf-8")
        partial.replace(marker)


def _marked(marker: Path) -> str | None:
    """The fingerprint in the marker file; a missing or broken one marks nothing."""
    try:
        return str(json.loads(marker.read_text(encoding="utf-8"))["books"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


async def _held(account: Account) -> list[tuple[str, str]]:
    """Every transaction and customer of the account, as record name and internal id, in an order of deletion."""
    found = await account.suiteql("SELECT id, type FROM transaction ORDER BY id")
    unknown = sorted({row["type"] for row in found} - set(_TRANSACTIONS))
    if unknown:
        raise BooksError(
            f"The account holds transactions of the types {', '.join(unknown)}, which the demo does not make and will "
            "not delete. Start the sandbox with an empty state."
        )
    ordered = [
        (record, row["id"]) for kind, record in _TRANSACTIONS.items() for row in found if row["type"] == kind
    ]
    customers = await account.suiteql("SELECT id FROM customer ORDER BY id")
    return [*ordered, *(("customer", row["id"]) for row in customers)]


async def _empty(account: Account, held: Sequence[tuple[str, str]]) -> None:
    for record in [*_TRANSACTIONS.values(), "customer"]:
        await _together([account.delete(record, found) for kind, found in held if kind == record])


async def _names(account: Account, tenant: str) -> Names:
    """The account's lists, by name."""
    return Names(
        {
            listing: {row["name"]: row["id"] for row in await account.suiteql(query)}
            for listing, query in BODIES[tenant].lists.items()
        }
    )


def _bodies(
    tenant: str, books: Books, names: Names
) -> tuple[list[tuple[str, Body]], list[tuple[Booking, Body]]]:
    """What to send: customers by external id, and documents; every name looked up in the account."""
    bodies = BODIES[tenant]
    try:
        return (
            [
                (customer_eid(customer.id), bodies.of_customer(customer, names))
                for customer in books.customers
            ],
            [(booking, bodies.of_document(booking, names)) for booking in books.bookings],
        )
    except UnknownName as unknown:
        raise BooksError(
            f"Filling the NetSuite account of '{tenant}': {unknown}. Start the sandbox with this tenant's profile."
        ) from None


async def _write(
    account: Account,
    customers: Sequence[tuple[str, Body]],
    documents: Sequence[tuple[Booking, Body]],
    books: Books,
    names: Names,
    progress: Progress | None,
) -> None:
    total = len(customers) + len(documents) + len(books.payments) + len(books.journals)
    done = 0

    async def counted(write: Awaitable[None]) -> None:
        nonlocal done
        await write
        done += 1
        if progress:
            progress(done, total)

    await _together(
        [counted(account.upsert("customer", external_id, body)) for external_id, body in customers]
    )
    invoices = [(booking, body) for booking, body in documents if booking.record == "invoice"]
    await _together([counted(_book(account, booking, body)) for booking, body in invoices])
    # What settles invoices names them by their internal ids.
    rows = await account.suiteql(
        "SELECT id, externalid FROM transaction WHERE type = 'CustInvc' AND externalid IS NOT NULL ORDER BY id"
    )
    ids = {row["externalid"]: row["id"] for row in rows}
    await _together(
        [
            counted(_book(account, booking, body | applied_credit(booking.document, ids)))
            for booking, body in documents
            if booking.record == "creditMemo"
        ]
    )
    await _together(
        [
            counted(_book_payment(account, one, payment_body(one.payment, names, ids)))
            for one in books.payments
        ]
    )
    await _together(
        [counted(account.create("journalEntry", journal_body(one, names))) for one in books.journals]
    )


def _book_payment(account: Account, booked: BookedPayment, body: Body) -> Awaitable[None]:
    if booked.external_id is None:
        return account.create("customerPayment", body)
    return account.upsert("customerPayment", booked.external_id, body)


def _book(account: Account, booking: Booking, body: Body) -> Awaitable[None]:
    if booking.external_id is None:
        return account.create(booking.record, body)
    return account.upsert(booking.record, booking.external_id, body)


async def _together(work: Sequence[Awaitable[None]]) -> None:
    """Do all; the first failure stops what has not begun, and is raised."""
    tasks = [asyncio.ensure_future(one) for one in work]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
