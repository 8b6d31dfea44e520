"""Whatever is planted, the differences add up to the gap between the totals, and name what was touched and no more."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from month import Books, Month, TenantRules, line

from resources.warehouse import Warehouse

SEPTEMBER = date(2026, 9, 30)
OTHER_CURRENCY = {"USD": "EUR", "EUR": "USD"}


@dataclass(frozen=True)
class Document:
    """A bill or credit note, what `tax` adds to its lines, and the defects that NetSuite's copy has."""

    credit: bool
    currency: str
    customer: str | None
    lines: tuple[tuple[str, str, str], ...]  # amount, description, product
    tax: str
    defects: tuple[str, ...] = field(default=())


# Each leaves the document where it is, so that several can meet in one.


def _memo(month: Month, key: str) -> None:
    month.change(key, memo="by hand")


def _customer(month: Month, key: str) -> None:
    month.change(key, entity="cus-c3")


def _other_day(month: Month, key: str) -> None:
    month.change(key, tranDate=date(2026, 10, 1))


def _other_month(month: Month, key: str) -> None:
    month.change(key, tranDate=date(2026, 11, 2), dated_in="2026-11")


def _currency(month: Month, key: str) -> None:
    [[now]] = month.sql(f"SELECT currency FROM netsuite.{_table(key)} WHERE external_id = ?", [key])
    month.change(key, currency=OTHER_CURRENCY[now])


def _total(month: Month, key: str) -> None:
    month.sql(f"UPDATE netsuite.{_table(key)} SET total = total + 0.03 WHERE external_id = ?", [key])


def _last_place(month: Month, key: str) -> None:
    month.sql(f"UPDATE netsuite.{_table(key)} SET total = total - 0.0001 WHERE external_id = ?", [key])


def _line_amount(month: Month, key: str) -> None:
    month.change_line(key, 1, amount=Decimal("123.4567"))


def _line_text(month: Month, key: str) -> None:
    month.change_line(key, 1, description="Ω by hand")


def _line_less(month: Month, key: str) -> None:
    month.remove_line(key, 1)


def _line_more(month: Month, key: str) -> None:
    month.add_line(key, like=1)


# Each concerns the document as a whole, and stands alone.


def _missing(month: Month, key: str) -> None:
    month.remove(key)


def _copied(month: Month, key: str) -> None:
    month.copy(key, f"copy of {key}")


def _copied_elsewhere(month: Month, key: str) -> None:
    """A copy in another month is that month's to report; here nothing is amiss."""
    month.copy(key, f"copy of {key}", dated_in="2026-11", tranDate=date(2026, 11, 2))


def _unknown(month: Month, key: str) -> None:
    month.copy(key, f"copy of {key}", otherRefNum=f"not {key}", total=Decimal("0.0101"))


def _of_another_month(month: Month, key: str) -> None:
    prefix, number = key.split("-")
    month.copy(key, f"copy of {key}", external_id=f"{prefix}-old{number}", otherRefNum=f"N-old{number}")


def _unlinked(month: Month, key: str) -> None:
    month.change(key, external_id=None)


FIELDS: dict[str, Callable[[Month, str], None]] = {
    one.__name__: one for one in (_memo, _customer, _other_day, _other_month, _currency, _total, _last_place)
}
LINES = {one.__name__: one for one in (_line_amount, _line_text, _line_less, _line_more)}
WHOLE = {
    one.__name__: one
    for one in (_missing, _copied, _copied_elsewhere, _unknown, _of_another_month, _unlinked)
}
DEFECTS = FIELDS | LINES | WHOLE
TOTALS = {_total.__name__, _last_place.__name__}


def _table(key: str) -> str:
    return "invoices" if key.startswith("inv") else "credit_memos"


AMOUNTS = st.sampled_from(["10.00", "10.01", "0.00", "-2.50", "0.0001", "99999999.99"]) | st.decimals(
    -1000, 1000, places=2
).map(str)

DOCUMENTS = st.builds(
    Document,
    credit=st.booleans(),
    currency=st.sampled_from(["USD", "EUR"]),
    customer=st.sampled_from(["c1", "c1", "c2", None]),
    lines=st.lists(
        st.tuples(
            AMOUNTS,
            st.sampled_from(["API calls", "Größe 株 🎉", "", "API calls"]),
            st.sampled_from(["usage", "seats"]),
        ),
        min_size=1,
        max_size=4,
    ).map(tuple),
    tax=st.sampled_from(["0", "0", "1.23"]),
    defects=st.one_of(
        st.just(()),
        st.sampled_from(sorted(WHOLE)).map(lambda name: (name,)),
        st.tuples(st.sampled_from(sorted(LINES))),
        st.lists(st.sampled_from(sorted(FIELDS)), min_size=1, max_size=3, unique=True).map(tuple),
        st.tuples(st.sampled_from(sorted(LINES)), st.sampled_from(sorted(FIELDS))),
    ),
)
CASES = st.lists(DOCUMENTS, min_size=1, max_size=12)


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory, acme: TenantRules) -> Iterator[Callable[[], Month]]:
    """Makes an empty October of acme, in one working file for the module."""
    with Warehouse(tmp_path_factory.mktemp("explained")).open("acme") as held:

        def made() -> Month:
            month = Month(held, acme, "2026-10")
            month.books = Books()
            return month

        yield made


def _explains(month: Month, documents: list[Document]) -> None:
    for key in ("c1", "c2", "c3"):
        month.customer(key)
    keys = []
    for number, document in enumerate(documents):
        lines = [line(amount, text, product_id=product) for amount, text, product in document.lines]
        total = sum((one["amount"] for one in lines), Decimal(document.tax))
        book = month.credit_note if document.credit else month.invoice
        about = {"customer_id": document.customer, "currency": document.currency, "total": total}
        keys.append(book(str(number), *lines, **about))
        book(f"old{number}", *lines, issued_on=SEPTEMBER, **about)
    month.land()
    names = dict(
        month.sql(
            "SELECT internal_id, external_id FROM netsuite.invoices"
            " UNION ALL SELECT internal_id, external_id FROM netsuite.credit_memos"
        )
    )

    touched: set[str] = set()
    for key, document in zip(keys, documents, strict=True):
        if document.customer is None:
            continue  # held back: NetSuite does not have it
        for name in document.defects:
            DEFECTS[name](month, key)
        if document.defects and document.defects != ("_copied_elsewhere",):
            touched.add(key)

    found = month.reconcile()
    found.assert_adds_up()
    reported = {
        names.get(row["internal_id"]) or (row["internal_id"] or row["external_id"]).removeprefix("copy of ")
        for row in found.differences
    }
    assert reported == touched, found.told
    # Lines explain what they moved: a total is amiss by itself only where it was touched by itself.
    of_totals = {key for key, document in zip(keys, documents, strict=True) if TOTALS & set(document.defects)}
    assert {row["external_id"] for row in found.differences if row["kind"] == "total"} <= of_totals, (
        found.told
    )
    held_back = {key for key, document in zip(keys, documents, strict=True) if document.customer is None}
    assert {row["external_id"] for row in found.exceptions if row["stage"] == "mapping"} == held_back


def _with_every_defect() -> list[Document]:
    """Each defect on a bill and on a credit note, in both currencies by turns."""
    lines = (("10.00", "API calls", "usage"), ("10.00", "API calls", "usage"), ("2.50", "Seats", "seats"))
    return [
        Document(credit, ("USD", "EUR")[index % 2], "c1", lines, "0", (name,))
        for credit in (False, True)
        for index, name in enumerate(sorted(DEFECTS))
    ]


def test_every_planted_defect_is_found_and_explained(fresh: Callable[[], Month]) -> None:
    _explains(fresh(), _with_every_defect())


@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
@given(documents=CASES)
def test_the_differences_add_up(fresh: Callable[[], Month], documents: list[Document]) -> None:
    _explains(fresh(), documents)


@pytest.mark.soak
@settings(max_examples=500, deadline=None, suppress_health_check=list(HealthCheck))
@given(documents=CASES)
def test_the_differences_add_up_for_long(fresh: Callable[[], Month], documents: list[Document]) -> None:
    _explains(fresh(), documents)
