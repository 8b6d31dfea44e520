"""A filled account holds the planned books to the field, heals when a filling broke off, and is never a real one."""

from __future__ import annotations

import asyncio
import socket
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

import pytest

from demo import usage
from demo.books import fill_books, make_books
from demo.invoice_file import read_invoice_file
from demo.keys import ensure_keys
from demo.netsuite_account import Account, BooksError, Login
from demo.planted import Booking, Books, customer_eid

REAL = Path(__file__).resolve().parents[3] / "shared" / "data" / "online-retail-2010-12.csv"
GLOBEX = usage.globex(Random(11))
GLOBEX_BOOKS = make_books("globex", GLOBEX, "2026-10", 11)
HEADERS = (
    "SELECT t.id, t.recordtype, t.externalid, TO_CHAR(t.trandate, 'YYYY-MM-DD') AS trandate, t.memo, t.otherrefnum,"
    " t.foreigntotal, c.externalid AS customer{custom} FROM transaction t JOIN customer c ON c.id = t.entity"
    " WHERE t.type IN ('CustInvc', 'CustCred') ORDER BY t.id"
)
LINES = (
    "SELECT l.transaction, l.id, BUILTIN.DF(l.item) AS item, l.memo, l.quantity, l.rate, l.foreignamount{custom}"
    " FROM transactionline l JOIN transaction t ON t.id = l.transaction WHERE l.mainline = 'F' AND l.taxline = 'F'"
    " AND t.type IN ('CustInvc', 'CustCred') ORDER BY l.transaction, l.id"
)


def ask(login: Login, *queries: str) -> list[list[dict[str, str]]]:
    async def all_answers() -> list[list[dict[str, str]]]:
        async with Account(login, Random(1)) as account:
            return [await account.suiteql(query) for query in queries]

    return asyncio.run(all_answers())


def held(login: Login, body_field: str = "NULL", line_field: str = "NULL") -> list[tuple[Any, ...]]:
    """Every document of the account with its lines, in a stable order; with one custom field of each."""
    headers, lines = ask(
        login,
        HEADERS.format(custom=f", {body_field} AS custom"),
        LINES.format(custom=f", {line_field} AS custom"),
    )
    by_document: dict[str, list[tuple[Any, ...]]] = {}
    for line in lines:
        by_document.setdefault(line["transaction"], []).append(
            (
                line["item"],
                line.get("memo", ""),
                Decimal(line["quantity"]),
                Decimal(line["rate"]),
                abs(Decimal(line["foreignamount"])),
                line.get("custom", ""),
            )
        )
    return sorted(
        (
            header["recordtype"].lower(),
            header.get("externalid", ""),
            header["otherrefnum"],
            header["trandate"],
            header.get("memo", ""),
            header["customer"],
            abs(Decimal(header["foreigntotal"])),
            header.get("custom", ""),
            *by_document[header["id"]],
        )
        for header in headers
    )


def planned(
    books: Books,
    body: Callable[[Booking], str] = lambda booking: "",
    line_field: str = "",
    item: str | None = None,
) -> list[tuple[Any, ...]]:
    """What `held` must be when the account holds these books."""
    return sorted(
        (
            booking.record.lower(),
            booking.external_id or "",
            booking.document.number,
            booking.document.issued_on.isoformat(),
            booking.document.memo,
            customer_eid(booking.document.customer_id or ""),
            booking.document.total,
            body(booking),
            *(
                (
                    item or line.product_id,
                    line.description or "",
                    line.quantity,
                    line.unit_amount,
                    abs(line.amount),
                    line.metadata.get(line_field, "") if booking.record == "invoice" else "",
                )
                for line in booking.document.lines
            ),
        )
        for booking in books.bookings
    )


def globex_held(login: Login) -> list[tuple[Any, ...]]:
    return held(login, "t.custbody_usage_run", "l.custcol_meter")


GLOBEX_PLANNED = planned(
    GLOBEX_BOOKS,
    lambda booking: booking.document.metadata["usage_run"] if booking.record == "invoice" else "",
    "meter",
)


def test_acmes_account_holds_its_books_with_custom_fields_and_segments(accounts: Any, tmp_path: Path) -> None:
    books = make_books("acme", usage.acme(Random(11)), "2026-10", 11)
    assert fill_books(accounts.acme, "acme", books, tmp_path / "marker.json") == books.planted
    found = held(
        accounts.acme, "t.custbody_subscription_ref", "TO_CHAR(l.custcol_service_start, 'YYYY-MM-DD')"
    )
    wanted = planned(books, lambda booking: booking.document.metadata["subscription_id"])
    assert [without_last_of_lines(one) for one in found] == [without_last_of_lines(one) for one in wanted]
    assert {line[-1] for one in found for line in one[8:]} - {""} == {
        "2026-08-01",
        "2026-09-01",
        "2026-10-01",
    }
    customers, invoices, subsidiaries = ask(
        accounts.acme,
        "SELECT externalid, companyname, email, custentity_billing_id, BUILTIN.DF(terms) AS terms FROM customer"
        " ORDER BY id",
        "SELECT t.externalid, BUILTIN.DF(t.cseg_product) AS segment, TO_CHAR(t.duedate, 'YYYY-MM-DD') AS due,"
        " BUILTIN.DF(t.terms) AS terms FROM transaction t WHERE t.type = 'CustInvc' AND t.externalid IS NOT NULL"
        " ORDER BY t.id",
        "SELECT DISTINCT subsidiary FROM transactionline ORDER BY subsidiary",
    )
    assert {
        (c["externalid"], c["companyname"], c["email"], c["custentity_billing_id"], c["terms"])
        for c in customers
    } == {(customer_eid(c.id), c.name, c.email, c.id, c.terms) for c in books.customers}
    assert {(i["externalid"], i["segment"], i["due"], i["terms"]) for i in invoices} == {
        (b.external_id, b.document.product_line, str(b.document.due_on), b.document.terms)
        for b in books.bookings
        if b.record == "invoice" and b.external_id
    }
    assert [row["subsidiary"] for row in subsidiaries] == ["1", "3"]


def without_last_of_lines(document: tuple[Any, ...]) -> tuple[Any, ...]:
    return (*document[:8], *(line[:-1] for line in document[8:]))


def test_globexs_account_holds_its_books_with_plans_and_meters(accounts: Any, tmp_path: Path) -> None:
    login = accounts.next_single()
    fill_books(login, "globex", GLOBEX_BOOKS, tmp_path / "marker.json")
    assert globex_held(login) == GLOBEX_PLANNED
    (plans,) = ask(
        login,
        "SELECT externalid, BUILTIN.DF(custbody_plan) AS plan FROM transaction"
        " WHERE type = 'CustInvc' AND externalid IS NOT NULL ORDER BY id",
    )
    assert {(row["externalid"], row["plan"]) for row in plans} == {
        (b.external_id, b.document.metadata["plan"])
        for b in GLOBEX_BOOKS.bookings
        if b.record == "invoice" and b.external_id
    }


def paid(login: Login) -> Counter[tuple[str, ...]]:
    """What settles what in the account: payments and credit memos with the invoices' external ids and amounts."""
    (links,) = ask(
        login,
        "SELECT l.nextdoc, p.recordtype, p.externalid, ABS(p.foreigntotal) AS total, i.externalid AS invoice,"
        " l.foreignamount AS amount FROM NextTransactionLineLink l JOIN transaction p ON p.id = l.nextdoc"
        " JOIN transaction i ON i.id = l.previousdoc WHERE l.nextdoc > 0 ORDER BY l.nextdoc, i.id",
    )
    return Counter(
        (
            row["recordtype"].lower(),
            row.get("externalid", ""),
            f"{Decimal(row['total']):.2f}",
            row["invoice"],
            f"{Decimal(row['amount']):.2f}",
        )
        for row in links
    )


def planned_paid(books: Books) -> Counter[tuple[str, ...]]:
    payments = [
        (
            "customerpayment",
            one.external_id or "",
            f"{one.payment.amount:.2f}",
            f"inv-{invoice}",
            f"{amount:.2f}",
        )
        for one in books.payments
        for invoice, amount in one.payment.applications
    ]
    credits = [
        ("creditmemo", one.external_id or "", f"{one.document.total:.2f}", f"inv-{one.document.invoice_id}",
         f"{one.document.total:.2f}")
        for one in books.bookings
        if one.document.invoice_id is not None
    ]  # fmt: skip
    return Counter([*payments, *credits])


def test_an_account_holds_what_settles_its_invoices_and_a_journal_from_elsewhere(
    accounts: Any, tmp_path: Path
) -> None:
    login = accounts.next_single()
    fill_books(login, "globex", GLOBEX_BOOKS, tmp_path / "globex.json")
    assert paid(login) == planned_paid(GLOBEX_BOOKS)
    books = make_books("acme", usage.acme(Random(12)), "2026-10", 12)
    fill_books(accounts.acme, "acme", books, tmp_path / "acme.json")
    assert paid(accounts.acme) == planned_paid(books)
    (journals,) = ask(accounts.acme, "SELECT id, memo FROM transaction WHERE type = 'Journal' ORDER BY id")
    assert [row["memo"] for row in journals] == [one.memo for one in books.journals]
    assert len(journals) == 1


def test_the_real_invoices_are_booked_to_the_generic_item(accounts: Any, tmp_path: Path) -> None:
    if not REAL.exists():
        pytest.skip("the real invoice file is not on this machine")
    books = make_books("retail", read_invoice_file(REAL), "2010-12", 11)
    fill_books(accounts.retail, "retail", books, tmp_path / "marker.json")
    assert held(accounts.retail) == planned(books, item="Merchandise")


def test_a_filling_that_broke_off_heals_with_the_next(accounts: Any, tmp_path: Path) -> None:
    login, marker = accounts.next_single(), tmp_path / "marker.json"

    def break_off(done: int, total: int) -> None:
        if done == total - 60:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fill_books(login, "globex", GLOBEX_BOOKS, marker, break_off)
    assert not marker.exists()
    assert 0 < len(globex_held(login)) < len(GLOBEX_PLANNED)
    fill_books(login, "globex", GLOBEX_BOOKS, marker)
    assert globex_held(login) == GLOBEX_PLANNED


def test_filled_books_are_left_as_they_are(accounts: Any, tmp_path: Path) -> None:
    login, marker = accounts.next_single(), tmp_path / "marker.json"
    fill_books(login, "globex", GLOBEX_BOOKS, marker)
    gone = ask(login, "SELECT id FROM transaction WHERE type = 'CustInvc' ORDER BY id")[0][0]["id"]

    async def repair() -> None:
        async with Account(login, Random(1)) as account:
            await account.delete("invoice", gone)

    asyncio.run(repair())
    writes: list[int] = []
    assert fill_books(login, "globex", GLOBEX_BOOKS, marker, lambda done, total: writes.append(done)) == (
        GLOBEX_BOOKS.planted
    )
    assert writes == []
    assert len(globex_held(login)) == len(GLOBEX_PLANNED) - 1


def test_a_marker_of_an_account_that_is_empty_again_marks_nothing(accounts: Any, tmp_path: Path) -> None:
    marker = tmp_path / "marker.json"
    fill_books(accounts.next_single(), "globex", GLOBEX_BOOKS, marker)
    fresh = accounts.next_single()
    fill_books(fresh, "globex", GLOBEX_BOOKS, marker)
    assert globex_held(fresh) == GLOBEX_PLANNED


@pytest.mark.parametrize("former", ["other books", "broken marker"])
def test_other_books_replace_all_that_was_there(accounts: Any, tmp_path: Path, former: str) -> None:
    login, marker = accounts.next_single(), tmp_path / "marker.json"
    other = make_books("globex", usage.globex(Random(12)), "2026-10", 12)
    fill_books(login, "globex", other, marker)
    if former == "broken marker":
        marker.write_text('{"tenant": "glo')
    fill_books(login, "globex", GLOBEX_BOOKS, marker)
    assert globex_held(login) == GLOBEX_PLANNED


def test_rejections_for_concurrency_are_waited_out(accounts: Any, tmp_path: Path) -> None:
    fill_books(accounts.narrow, "globex", GLOBEX_BOOKS, tmp_path / "marker.json")
    assert globex_held(accounts.narrow) == GLOBEX_PLANNED


@pytest.mark.parametrize(
    "base_url",
    ["https://1234567.suitetalk.api.netsuite.com", "http://10.0.0.1:8000/x", "http://127.0.0.1.example/x"],
)
def test_an_account_that_is_not_on_this_machine_is_never_touched(base_url: str, tmp_path: Path) -> None:
    login = Login(base_url, "client", "certificate", tmp_path / "none.pem")
    with pytest.raises(BooksError, match="is not on this machine"):
        fill_books(login, "globex", GLOBEX_BOOKS, tmp_path / "marker.json")


def test_a_sandbox_that_is_not_running_is_said_so(tmp_path: Path) -> None:
    keys = ensure_keys(tmp_path, "globex", datetime.now(UTC))
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound but not listening: refuses
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/x"
        with pytest.raises(BooksError, match="does not answer") as refused:
            fill_books(
                Login(url, "c", "k", keys.private_key), "globex", GLOBEX_BOOKS, tmp_path / "marker.json"
            )
    assert "Check that the sandbox is running" in str(refused.value)


def test_another_tenants_key_is_refused_in_the_accounts_words(accounts: Any, tmp_path: Path) -> None:
    keys = ensure_keys(tmp_path, "stranger", datetime.now(UTC))
    login = replace(accounts.narrow, private_key=keys.private_key)
    with pytest.raises(BooksError, match=r"Signing in .* it answered 400 .*invalid_grant"):
        fill_books(login, "globex", GLOBEX_BOOKS, tmp_path / "marker.json")


def test_a_name_that_the_account_lacks_is_refused_before_anything_is_replaced(
    accounts: Any, tmp_path: Path
) -> None:
    login = accounts.next_single()
    fill_books(login, "globex", GLOBEX_BOOKS, tmp_path / "marker.json")
    first, *others = GLOBEX_BOOKS.bookings
    unknown = replace(first.document, lines=(replace(first.document.lines[0], product_id="Teapots"),))
    books = replace(GLOBEX_BOOKS, bookings=(replace(first, document=unknown), *others))
    with pytest.raises(
        BooksError, match="the account has no item 'Teapots', only Discount, Merchandise, Usage"
    ):
        fill_books(login, "globex", books, tmp_path / "marker.json")
    assert globex_held(login) == GLOBEX_PLANNED


def test_an_account_without_the_tenants_list_is_refused_in_its_own_words(
    accounts: Any, tmp_path: Path
) -> None:
    books = make_books("acme", usage.acme(Random(1)), "2026-10", 1)
    with pytest.raises(
        BooksError, match="customrecord_cseg_product ORDER BY id: it answered 400: Invalid search"
    ):
        fill_books(accounts.next_single(), "acme", books, tmp_path / "marker.json")
