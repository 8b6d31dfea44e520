"""What changes in the account between two runs, or between any two requests of one, and what is kept from run to run."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from faulty_account import NOW, FaultyAccount, contents, faulty_account

from netsuite_assets.extract.columns import MODIFIED, TEXT
from netsuite_assets.extract.netsuite import extract_documents
from netsuite_assets.extract.proofs import told
from netsuite_assets.extract.rows import Column, Extraction
from resources.netsuite.sets import STANDARD, Sizes
from resources.warehouse import TenantWarehouse, Warehouse

if TYPE_CHECKING:
    from month import TenantRules

PERIOD = "2026-10"
SIZES = Sizes(page=4, window=4, buckets=3)
COLUMNS = {
    "id": Column("t.id", TEXT),
    "tranid": Column("t.tranid", TEXT),
    "lastmodified": Column(MODIFIED, TEXT),
}
MOST_REQUESTS = 20
"""Where records are added, each reading is longer than the one before."""
OF_MONTH = r"t\.type = 'CustInvc' AND .*t\.trandate >="


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory, acme: TenantRules) -> Iterator[FaultyAccount]:
    """Eight invoices of October. A payment does not touch the invoices that it pays, as it may be in NetSuite."""
    folder = tmp_path_factory.mktemp("changing")
    with faulty_account(folder, acme.mapping, switches={"apply_touches_invoice": False}) as running:
        running.fill(customers=3, invoices=8, lines=2, first="2026-10-05", last="2026-10-25")
        yield running


@pytest.fixture(scope="module")
def landed_once(
    tmp_path_factory: pytest.TempPathFactory, account: FaultyAccount
) -> Iterator[TenantWarehouse]:
    with Warehouse(tmp_path_factory.mktemp("warehouse")).open("acme") as held:
        account.land_first(held)
        yield held


@pytest.fixture
def held(account: FaultyAccount, landed_once: TenantWarehouse) -> TenantWarehouse:
    """The month as the account has it now."""
    account.documents(landed_once, PERIOD, SIZES)
    return landed_once


@pytest.fixture
def settled(account: FaultyAccount, held: TenantWarehouse) -> TenantWarehouse:
    """The same, once nothing is so young any more that a further change could have the same time."""
    come_to_rest(account, held)
    return held


def come_to_rest(account: FaultyAccount, held: TenantWarehouse) -> None:
    """Read until no row was read so soon after its change that it is to be read again."""
    young = "unsettled_since IS NOT NULL AND table_name IN ('customers', 'invoices', 'invoice_lines')"
    while held.sql(f"SELECT 1 FROM meta.proofs WHERE {young}"):
        account.rest()
        account.customers(held)
        account.documents(held, PERIOD, SIZES)


def forget(held: TenantWarehouse) -> None:
    """As in a new warehouse."""
    for table in ("invoices", "invoice_lines"):
        held.connection.execute(f"DELETE FROM netsuite_rows.{table}")
        held.connection.execute("DELETE FROM meta.proofs WHERE table_name = ?", [table])


def some_invoice(account: FaultyAccount, number: int = 0) -> dict[str, Any]:
    """An invoice of the month by its place in the order of ids; a negative place counts from the end."""
    found = sorted(account.records("invoice"), key=lambda one: int(one["id"]))
    return [one for one in found if one["tranDate"].startswith(PERIOD)][number]


def plain(amount: Decimal) -> str:
    """An amount without zeros at its end."""
    return f"{amount.normalize():f}"


# Between any two requests


@pytest.mark.parametrize("change", ["touch", "delete", "add"])
def test_a_change_before_any_request_lands_with_its_lines(
    account: FaultyAccount, held: TenantWarehouse, change: str
) -> None:
    """The change is struck before the first request of a reading, then before the second of another, and so on."""
    customer = account.records("customer")[0]["id"]
    for passed in range(MOST_REQUESTS):
        forget(held)
        if change == "delete":
            # One that is to be deleted, so that there are always enough.
            account.document(customer, "2026-10-09", "12.34")
        account.arm({"kind": "rows_changed", "change": change, "body": OF_MONTH, "after": passed, "seed": 1})
        account.documents(held, PERIOD, SIZES)
        was_struck = not account.admin("GET", "faults")["items"]
        account.calm()
        account.assert_landed(held, PERIOD)
        if not was_struck:
            break
    assert passed >= 12


def test_two_changes_in_one_reading_land(account: FaultyAccount, held: TenantWarehouse) -> None:
    for first in range(4):
        account.arm(
            {
                "kind": "rows_changed",
                "change": "touch",
                "body": OF_MONTH,
                "after": first,
                "rows": 3,
                "seed": 1,
            },
            {"kind": "rows_changed", "change": "add", "body": OF_MONTH, "after": first + 2, "seed": 2},
        )
        account.documents(held, PERIOD, SIZES)
        account.calm()
        account.assert_landed(held, PERIOD)


# Between two runs


def test_a_second_change_within_one_second_is_read_by_the_next_run(
    account: FaultyAccount, held: TenantWarehouse
) -> None:
    """Nothing that NetSuite counts tells of it: neither time, nor sum, nor number of rows."""
    bill = some_invoice(account, 3)["id"]
    for turn in range(20):
        account.write("PATCH", f"invoice/{bill}", {"memo": f"first {turn}"})
        account.documents(held, PERIOD, SIZES)
        before = held.sql("SELECT last_modified FROM netsuite.invoices WHERE internal_id = ?", [bill])
        account.write("PATCH", f"invoice/{bill}", {"memo": f"second {turn}"})
        shown = "TO_CHAR(t.lastmodifieddate, 'YYYY-MM-DD HH24:MI:SS')"
        ((after,),) = [
            (row["v"],)
            for row in account.query(f"SELECT {shown} AS v FROM transaction t WHERE t.id = {bill}")
        ]
        account.documents(held, PERIOD, SIZES)
        account.assert_landed(held, PERIOD)
        if before == [(after,)]:
            return
    pytest.fail("no two changes came within a second")


def test_a_change_whose_time_came_late_is_read_with_its_lines(
    account: FaultyAccount, held: TenantWarehouse
) -> None:
    """The latest time of change was another invoice's, before and after; the lines' amounts are the same too."""
    late, latest = some_invoice(account, 1)["id"], some_invoice(account, -1)["id"]
    account.write("PATCH", f"invoice/{late}", {"memo": "late"})
    account.write("PATCH", f"invoice/{latest}", {"memo": "latest"})
    account.documents(held, PERIOD, SIZES)
    # As if that had been read before the late one was saved, and its time had then come from before the latest.
    old = "'2026-10-05 01:02:03'"
    held.connection.execute(
        f"UPDATE netsuite_rows.invoices SET f_memo = 'older', lastmodified = {old} WHERE id = ?", [late]
    )
    held.connection.execute(
        f"UPDATE netsuite_rows.invoice_lines SET f_description = 'older', lastmodified = {old} WHERE transaction_id = ?",
        [late],
    )
    held.connection.execute("UPDATE meta.proofs SET unsettled_since = NULL")
    account.documents(held, PERIOD, SIZES)
    account.assert_landed(held, PERIOD)


@pytest.mark.parametrize("day", ["2026-11-20", "2026-10-20"])
def test_what_billing_has_in_the_month_is_found_wherever_netsuite_dates_it(
    account: FaultyAccount, held: TenantWarehouse, day: str
) -> None:
    """It is read into a scope of its own, moves into the month's and back, and is never there twice."""
    customer = account.records("customer")[0]["id"]
    bill = account.document(customer, "2026-11-20", "55.00", externalId=f"inv-moving-{day}")
    held.connection.execute(
        "INSERT INTO expected.invoices (period, external_id) VALUES (?, ?)", [PERIOD, f"inv-moving-{day}"]
    )
    for dated in (day, "2026-10-21", "2026-11-21"):
        account.write("PATCH", f"invoice/{bill}", {"tranDate": dated})
        account.documents(held, PERIOD, SIZES)
        found = held.sql(
            "SELECT i.dated_in, count(*) FROM netsuite.invoices i JOIN netsuite.invoice_lines l USING (period, internal_id)"
            " WHERE i.period = ? AND i.internal_id = ? GROUP BY 1",
            [PERIOD, bill],
        )
        assert found == [(dated[:7], 1)]
    account.write("DELETE", f"invoice/{bill}")
    account.documents(held, PERIOD, SIZES)
    assert held.sql("SELECT 1 FROM netsuite.invoices WHERE internal_id = ?", [bill]) == []
    held.connection.execute("DELETE FROM expected.invoices")
    account.documents(held, PERIOD, SIZES)
    assert held.sql("SELECT DISTINCT scope FROM meta.proofs WHERE scope LIKE '%elsewhere%'") == []


def test_a_payment_that_goes_from_one_invoice_to_another_is_seen(
    account: FaultyAccount, settled: TenantWarehouse
) -> None:
    """No total and no time of change moves: only what is unpaid of the one and of the other."""
    customer = account.records("customer")[0]["id"]
    bills = [account.document(customer, "2026-10-11", "80.00") for _ in range(2)]
    applied = {"items": [{"doc": {"id": bills[0]}, "apply": True, "amount": 80}]}
    payment = account.write(
        "POST",
        "customerPayment",
        {"customer": {"id": customer}, "tranDate": "2026-10-12", "payment": 80, "apply": applied},
    )
    account.documents(settled, PERIOD, SIZES)
    come_to_rest(account, settled)
    before = settled.sql("SELECT sums, last_modified FROM meta.proofs WHERE table_name = 'invoices'")
    moved = [
        {"doc": {"id": bills[0]}, "apply": False},
        {"doc": {"id": bills[1]}, "apply": True, "amount": 80},
    ]
    account.write("PATCH", f"customerPayment/{payment}", {"apply": {"items": moved}})
    account.documents(settled, PERIOD, SIZES)
    assert settled.sql("SELECT sums, last_modified FROM meta.proofs WHERE table_name = 'invoices'") == before
    account.assert_landed(settled, PERIOD)


# What is kept


def test_a_run_that_fails_leaves_everything_as_it_was(account: FaultyAccount, held: TenantWarehouse) -> None:
    before = contents(held)
    account.write(
        "PATCH", f"invoice/{some_invoice(account)['id']}", {"memo": "so that there is something to read"}
    )

    async def breaking(ns: Any) -> None:
        rules = account.mapping.records["invoice"]
        with held.transaction():
            await extract_documents(held, ns, rules, PERIOD, NOW)
            raise RuntimeError("the machine stops")

    with pytest.raises(RuntimeError, match="stops"):
        account.run(breaking)
    assert contents(held) == before


def test_a_field_that_goes_from_the_mapping_and_comes_back_is_read_again(
    account: FaultyAccount, held: TenantWarehouse
) -> None:
    """Another month, read without the field, takes the column away from every month that is held."""

    async def read(ns: Any, month: str, names: str) -> None:
        extraction = Extraction(held, ns, lambda: NOW, STANDARD)
        columns = {name: COLUMNS[name] for name in names.split()}
        extraction.prepare("trial", columns)
        with held.transaction():
            await extraction.read(
                "trial", month, f"invoices of {month}", columns, "transaction t",
                f"t.type = 'CustInvc' AND TO_CHAR(t.trandate, 'YYYY-MM') = '{month}'", "t.id", modified="lastmodified",
            )  # fmt: skip

    def in_turn(*readings: tuple[str, str]) -> Callable[[Any], Any]:
        async def work(ns: Any) -> None:
            for month, names in readings:
                await read(ns, month, names)

        return work

    every = "id tranid lastmodified"
    account.run(in_turn((PERIOD, every), ("2026-11", "id lastmodified"), (PERIOD, every)))
    rows = held.sql("SELECT count(*), count(tranid) FROM netsuite_rows.trial WHERE scope = ?", [PERIOD])
    assert rows[0][0] == rows[0][1] > 0


# At rest: these share one wait, until the account's last change is old enough


def test_an_unchanged_month_costs_one_request_for_each_of_its_sets(
    account: FaultyAccount, settled: TenantWarehouse
) -> None:
    with account.watched() as log:
        account.documents(settled, PERIOD)
    assert [entry["status"] for entry in log if "suiteql" in entry["path"]] == [200, 200]
    told = settled.sql(
        "SELECT name, unchanged, rows_read, pages, looks, time_zone FROM meta.proofs"
        " WHERE period = ? AND table_name LIKE 'invoice%' ORDER BY name",
        [PERIOD],
    )
    assert told == [
        (f"{what}invoices dated in 2026-10", True, 0, 0, 0, "America/New_York")
        for what in ("", "lines of the ")
    ]


def test_the_proof_says_what_was_proven(account: FaultyAccount, settled: TenantWarehouse) -> None:
    bills = [one for one in account.records("invoice") if one["tranDate"].startswith(PERIOD)]
    ids = [int(one["id"]) for one in bills]
    (proof,) = settled.arrow("SELECT * FROM meta.proofs WHERE table_name = 'invoices'").to_pylist()
    assert (proof["rows"], proof["distinct_keys"], proof["low"], proof["high"]) == (
        len(ids), len(set(ids)), min(ids), max(ids),
    )  # fmt: skip
    assert json.loads(proof["sums"]) == {
        "total": plain(sum(one["total"] for one in bills)),
        "remaining": plain(sum(one["amountRemaining"] for one in bills)),
    }
    assert (proof["scope"], proof["period"]) == (PERIOD, PERIOD)
    assert proof["last_modified"] == max(
        row[0]
        for row in settled.sql("SELECT last_modified FROM netsuite.invoices WHERE period = ?", [PERIOD])
    )
    assert proof["query"].startswith("SELECT t.id AS id, t.externalid")


def test_a_document_is_named_after_its_customer_as_it_is_now(
    account: FaultyAccount, settled: TenantWarehouse
) -> None:
    bill = some_invoice(account)
    account.write("PATCH", f"customer/{bill['entity']['id']}", {"companyName": "Renamed GmbH"})
    account.customers(settled)
    account.documents(settled, PERIOD, SIZES)
    assert settled.sql("SELECT name FROM netsuite.invoices WHERE internal_id = ?", [bill["id"]]) == [
        ("Renamed GmbH",)
    ]
    account.assert_landed(settled, PERIOD)


def test_an_assets_page_shows_what_proves_each_set(account: FaultyAccount, settled: TenantWarehouse) -> None:
    invoices, lines = told(settled, ["netsuite.invoices", "netsuite.invoice_lines"], PERIOD)
    bills = [one for one in account.records("invoice") if one["tranDate"].startswith(PERIOD)]
    ids = [int(one["id"]) for one in bills]
    total, remaining = (plain(sum(one[name] for one in bills)) for name in ("total", "amountRemaining"))
    assert invoices[:6] == [
        "invoices dated in 2026-10",
        len(ids),
        len(ids),
        len(ids),
        f"{min(ids)} to {max(ids)}",
        f"total {total}; remaining {remaining}",
    ]
    assert str(invoices[6]).endswith(" (America/New_York)")
    assert lines[0] == "lines of the invoices dated in 2026-10"
    assert all(len(str(row[8])) < 170 for row in (invoices, lines))
    account.documents(settled, PERIOD, SIZES)
    assert [row[7] for row in told(settled, ["netsuite.invoices"], PERIOD)] == ["nothing: unchanged"]
    account.write("PATCH", f"invoice/{some_invoice(account)['id']}", {"memo": "seen"})
    account.documents(settled, PERIOD, SIZES)
    (invoices,) = told(settled, ["netsuite.invoices"], PERIOD)
    assert re.fullmatch(r"\d+ rows? in \d+ pages?, \d looks", str(invoices[7]))
    assert "are read again next time" in str(invoices[6])
