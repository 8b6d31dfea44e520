"""A look at two years of months that have not changed asks for NetSuite's figures, and for no row."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest
from faulty_account import NOW, FaultyAccount, faulty_account

from netsuite_assets.extract.netsuite import extract_documents
from resources.netsuite.client import NetSuite
from resources.warehouse import TenantWarehouse, Warehouse

if TYPE_CHECKING:
    from pathlib import Path

    from month import TenantRules

MONTHS = [f"{year}-{month:02}" for year in (2024, 2025, 2026) for month in range(1, 13)][10:34]


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory, acme: TenantRules) -> Iterator[FaultyAccount]:
    open_all = {"first": "2024-10", "last": "2026-12"}
    with faulty_account(tmp_path_factory.mktemp("years"), acme.mapping, periods=open_all) as running:
        yield running


def filled(account: FaultyAccount, invoices: int, **more: Any) -> None:
    account.fill(customers=5, invoices=invoices, first=f"{MONTHS[0]}-01", last=f"{MONTHS[-1]}-31", **more)


def look(account: FaultyAccount, held: TenantWarehouse) -> list[dict[str, Any]]:
    """Look at every month, as the runs of a night do one after another; gives the queries that were asked."""

    async def every_month(ns: NetSuite) -> None:
        for month in MONTHS:
            await extract_documents(held, ns, account.mapping.records["invoice"], month, NOW)

    with account.watched() as log:
        account.run(every_month)
    return [entry for entry in log if "suiteql" in entry["path"]]


def settle(account: FaultyAccount, held: TenantWarehouse) -> None:
    """Look when nothing is so young any more that it must be read again."""
    account.land_first(held)
    account.rest()
    look(account, held)
    while held.sql("SELECT 1 FROM meta.proofs WHERE unsettled_since IS NOT NULL AND period <> 'all'"):
        look(account, held)


def test_unchanged_months_cost_a_count_of_documents_and_one_of_lines_each(
    account: FaultyAccount, tmp_path: Path
) -> None:
    filled(account, 60, lines=2)
    with Warehouse(tmp_path).open("acme") as held:
        settle(account, held)
        assert len(look(account, held)) == 2 * len(MONTHS)
        assert held.sql(
            "SELECT DISTINCT unchanged, rows_read, looks FROM meta.proofs WHERE period <> 'all'"
        ) == [(True, 0, 0)]
        bill = next(one for one in account.records("invoice") if one["tranDate"].startswith(MONTHS[5]))
        account.write("PATCH", f"invoice/{bill['id']}", {"memo": "corrected long after"})
        asked = len(look(account, held))
        assert 2 * len(MONTHS) < asked <= 2 * len(MONTHS) + 8
        assert held.sql(
            "SELECT DISTINCT period FROM meta.proofs WHERE NOT unchanged AND period <> 'all'"
        ) == [(MONTHS[5],)]
        for month in (MONTHS[0], MONTHS[5], MONTHS[-1]):
            account.assert_landed(held, month)


@pytest.mark.soak
@pytest.mark.timeout(1800)
def test_how_long_a_look_at_two_years_takes(account: FaultyAccount, tmp_path: Path) -> None:
    """A thousand invoices of three lines a month, at the latency of a real account; prints the time."""
    filled(account, 1000 * len(MONTHS), lines=3, seed=2)
    with Warehouse(tmp_path).open("acme") as held:
        settle(account, held)
        account.admin("POST", "governance", {"latency_ms": 100})
        began = time.perf_counter()
        asked = look(account, held)
        seconds = time.perf_counter() - began
        account.calm()
        rows = held.sql("SELECT sum(rows) FROM meta.proofs WHERE period <> 'all'")[0][0]
        took = sum(entry["milliseconds"] for entry in asked) / len(asked)
    print(f"\n{len(MONTHS)} months of {rows:,} rows: {len(asked)} requests of {took:.0f} ms, {seconds:.1f} s")  # noqa: T201
    assert len(asked) == 2 * len(MONTHS)
