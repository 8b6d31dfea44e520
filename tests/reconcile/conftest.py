"""A landed month of acme to plant defects in: made once, copied for each test."""

from __future__ import annotations

import copy
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
from month import Books, Month, TenantRules, line

from resources.warehouse import Warehouse


@dataclass(frozen=True)
class Landed:
    """A working file in which both sides agree, and the books behind it."""

    path: Path
    books: Books


def october_books(month: Month) -> None:
    """Bills in dollars and euros, a credit note, a bill without a customer, and a bill of September."""
    month.customer("c1", "Nordwind Ltd")
    month.customer("c2", "Café Zürich 株式会社", currency="EUR", legal_entity="eu")
    month.invoice(
        "plain",
        line("100.00", "API calls"),
        line("50.50", "Seats", product_id="seats", quantity=Decimal(5), unit_amount=Decimal("10.10")),
        line("0.37", "Storage"),
        memo="October usage",
    )
    month.invoice("same", line("10.00"), line("10.00"), line("10.00"), memo="")
    month.invoice(
        "euro", line("80.00", "Nutzung – Größe Ω"), customer_id="c2", currency="EUR", legal_entity="eu"
    )
    month.invoice("euro2", line("20.00"), customer_id="c2", currency="EUR", legal_entity="eu")
    month.invoice("nobody", line("36.04"), customer_id=None)
    month.invoice("september", line("7.00"), issued_on=date(2026, 9, 30))
    month.credit_note("back", line("12.00", "Goodwill"))


@pytest.fixture(scope="session")
def landed(tmp_path_factory: pytest.TempPathFactory, acme: TenantRules) -> Landed:
    warehouse = Warehouse(tmp_path_factory.mktemp("landed"))
    with warehouse.open("acme") as held:
        month = Month(held, acme, "2026-10")
        october_books(month)
        month.land()
    return Landed(warehouse.path("acme"), month.books)


@pytest.fixture
def october(landed: Landed, acme: TenantRules, warehouse: Warehouse) -> Iterator[Month]:
    """October 2026 of acme; NetSuite holds exactly what `october_books` make of it."""
    path = warehouse.path("acme")
    path.parent.mkdir(parents=True)
    shutil.copyfile(landed.path, path)
    with warehouse.open("acme") as held:
        month = Month(held, acme, "2026-10")
        month.books = copy.deepcopy(landed.books)
        yield month
