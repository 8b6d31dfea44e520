"""The published file: whole or not at all, never in a reader's way, each tenant's rows its own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from threading import Barrier

import duckdb
import pytest
from month import Month, TenantRules, line

from netsuite_assets import frames
from netsuite_assets.extract.rows import PROOFS
from netsuite_assets.publish.mart import CONTRACTS, Published, publish
from resources.ledger import Event, Ledger, NewIntent, Plan
from resources.warehouse import Warehouse, WarehouseError, connect

NOW = datetime(2026, 11, 1, 6, tzinfo=UTC)
Publish = Callable[[Month], Published]
Ask = Callable[[str], list[tuple[object, ...]]]


# What is in it


def test_analysts_find_what_the_reconciliation_found(october: Month, published: Publish, ask: Ask) -> None:
    october.remove("inv-plain")
    found = october.reconcile()
    done = published(october)
    assert done.rows["differences"] == 1
    assert ask("SELECT tenant, period, kind, external_id, delta FROM differences") == [
        ("acme", "2026-10", "missing_in_netsuite", "inv-plain", Decimal("150.8700"))
    ]
    assert ask("SELECT sum(unexplained), sum(difference) FROM totals WHERE currency = 'USD'") == [
        (Decimal(0), Decimal("150.8700"))
    ]
    assert ask("SELECT code, amount FROM exceptions") == [("no_customer", Decimal("36.0400"))]
    assert len(found.exceptions) == 1
    lasting = {
        "exceptions": frames.LASTING_EXCEPTIONS,
        "exception_history": frames.EXCEPTION_HISTORY,
        "mapping_versions": frames.MAPPING_VERSIONS,
        "mapping_changes": frames.MAPPING_CHANGES,
    }
    for name, contract in (CONTRACTS | lasting).items():
        assert [row[0] for row in ask(f"DESCRIBE {name}")] == ["tenant", *frames.columns(contract)]


def test_each_document_stands_beside_its_counterpart(october: Month, published: Publish, ask: Ask) -> None:
    october.remove("inv-plain")
    october.copy("inv-same", "41", total=Decimal("30.10"))
    october.change("inv-euro", tranDate=date(2026, 11, 1), dated_in="2026-11")
    published(october)
    assert ask(
        "SELECT external_id, number, billed_total, netsuite_total, netsuite_month, problem IS NOT NULL"
        " FROM documents WHERE record = 'invoice' ORDER BY number NULLS LAST"
    ) == [
        ("inv-euro", "N-euro", Decimal("80.0000"), Decimal("80.0000"), "2026-11", False),
        ("inv-euro2", "N-euro2", Decimal("20.0000"), Decimal("20.0000"), "2026-10", False),
        ("inv-nobody", "N-nobody", Decimal("36.0400"), None, None, True),
        ("inv-plain", "N-plain", Decimal("150.8700"), None, None, False),
        ("inv-same", "N-same", Decimal("30.0000"), Decimal("30.0000"), "2026-10", False),
        (None, None, None, Decimal("30.1000"), "2026-10", False),
    ]
    assert ask("SELECT record, billed_total FROM documents WHERE record = 'creditMemo'") == [
        ("creditMemo", Decimal("12.0000"))
    ]


def test_the_write_history_comes_from_the_ledger(
    october: Month, ledger: Ledger, published: Publish, ask: Ask
) -> None:
    ledger.record_plan(Plan("p1", "acme", "2026-10", NOW, "m", "i", 2, "", None))
    new = [
        NewIntent(
            f"k{name}", "invoice", name, name, "Acme", "create", "PUT", "/", "", '{"secret": 1}', "hash"
        )
        for name in ("inv-1", "inv-2")
    ]
    first, _ = ledger.intend("acme", "2026-10", "p1", new, NOW)
    ledger.intend("globex", "2026-10", "p1", new[:1], NOW)
    ledger.record([Event(first.id, "answered", status=204, internal_id="77")], NOW)
    published(october)
    assert ask(
        "SELECT tenant, target, state, internal_id, intended_at FROM write_history ORDER BY target"
    ) == [
        ("acme", "inv-1", "answered", "77", NOW),
        ("acme", "inv-2", "intended", None, NOW),
    ]


def test_analysts_see_which_version_of_the_mapping_made_which_plans(
    october: Month, ledger: Ledger, published: Publish, ask: Ask
) -> None:
    ledger.record_mapping("acme", "v1", {"records": {"invoice": {"fields": {"memo": {"from": "a"}}}}}, NOW)
    ledger.record_plan(Plan("p1", "acme", "2026-10", NOW, "v1", "i", 2, "", None))
    later = NOW + timedelta(days=1)
    ledger.record_mapping("acme", "v2", {"records": {"invoice": {"fields": {"memo": {"from": "b"}}}}}, later)
    ledger.record_mapping("globex", "w", {}, NOW)
    published(october)
    assert ask(
        "SELECT tenant, period, version, hash, used_until, plans, latest_plan FROM mapping_versions ORDER BY version"
    ) == [
        ("acme", "2026-10", 1, "v1", later, 1, "p1"),
        ("acme", None, 2, "v2", None, 0, None),
    ]
    assert ask("SELECT version, path, change, before, after FROM mapping_changes") == [
        (2, "records.invoice.fields.memo.from", "changed", "a", "b")
    ]


def test_exceptions_have_their_age_their_owner_and_their_story(
    october: Month, ledger: Ledger, published: Publish, ask: Ask, warehouse: Warehouse
) -> None:
    october.invoice("anon", line("5.00"), customer_id=None)
    october.land()
    october.reconcile()
    published(october)
    by_number = {one.number: one.id for one in ledger.exceptions("acme", NOW)}
    ledger.assign_exceptions("acme", [by_number["N-anon"]], "Ada", "Boss", NOW)
    ledger.comment_exceptions("acme", [by_number["N-anon"]], "asked billing", "Ada", NOW)
    later = NOW + timedelta(days=31, hours=1)
    until = datetime(2026, 12, 24, tzinfo=UTC)
    ledger.accept_exceptions("acme", [by_number["N-nobody"]], "known", until.date(), until, "Bob", later)
    publish(warehouse, october.held, ledger, later)
    assert ask(
        "SELECT tenant, period, exception, number, state, age, bucket, owner, comment, accepted_by,"
        " accepted_until, opened_at FROM exceptions ORDER BY number"
    ) == [
        ("acme", "2026-10", by_number["N-anon"], "N-anon", "open", 31, "31-60", "Ada", "asked billing", None, None, NOW),
        ("acme", "2026-10", by_number["N-nobody"], "N-nobody", "accepted", 31, "31-60", None, None, "Bob",
         date(2026, 12, 24), NOW),
    ]  # fmt: skip
    assert ask(
        "SELECT happened_at, event, done_by, detail, amount, code, external_id FROM exception_history"
        " WHERE number = 'N-anon' ORDER BY ALL"
    ) == [
        (NOW, "assigned", "Boss", "Ada", Decimal(5), "no_customer", "inv-anon"),
        (NOW, "commented", "Ada", "asked billing", Decimal(5), "no_customer", "inv-anon"),
        (NOW, "opened", "run 01234567", ask("SELECT reason FROM exceptions WHERE number = 'N-anon'")[0][0],
         Decimal(5), "no_customer", "inv-anon"),
    ]  # fmt: skip


def test_a_closed_exception_is_found_in_the_history_alone(
    october: Month, published: Publish, ask: Ask
) -> None:
    october.reconcile()
    published(october)
    october.books.rows["invoices"] = [row for row in october.books.rows["invoices"] if row["customer_id"]]
    october.land()
    october.reconcile()
    published(october)
    assert ask("SELECT * FROM exceptions") == []
    assert ask("SELECT event, number FROM exception_history ORDER BY ALL") == [
        ("closed", "N-nobody"),
        ("opened", "N-nobody"),
    ]


def test_the_proof_of_each_slice_is_published(october: Month, published: Publish, ask: Ask) -> None:
    published(october)
    assert ask("SELECT period, expected_rows, rows FROM slices WHERE table_name = 'billing.invoices'") == [
        ("2026-10", 5, 5)
    ]


def test_the_proof_of_each_set_of_netsuites_rows_is_published(
    october: Month, published: Publish, ask: Ask
) -> None:
    october.held.ensure_table("meta.proofs", PROOFS)
    proofs = [("invoices", "2026-10", "2026-10", 5), ("customers", "all", "all", 2)]
    for proof in proofs:
        october.sql("INSERT INTO meta.proofs (table_name, scope, period, rows) VALUES (?, ?, ?, ?)", proof)
    published(october)
    assert ask("SELECT tenant, table_name, period, rows FROM proofs ORDER BY rows DESC") == [
        ("acme", table, period, rows) for table, _, period, rows in proofs
    ]
    assert [row[0] for row in ask("DESCRIBE proofs")] == ["tenant", *PROOFS]


def test_publishing_again_changes_nothing(october: Month, published: Publish, ask: Ask) -> None:
    october.remove("inv-plain")
    october.reconcile()
    first = published(october)
    before = {name: ask(f"SELECT * FROM {name} ORDER BY ALL") for name in first.rows}
    assert published(october).rows == first.rows
    assert {name: ask(f"SELECT * FROM {name} ORDER BY ALL") for name in first.rows} == before


def test_a_difference_that_is_gone_is_gone_from_the_file(
    october: Month, published: Publish, ask: Ask
) -> None:
    october.change("inv-plain", memo="wrong")
    october.reconcile()
    published(october)
    assert ask("SELECT count(*) FROM differences") == [(1,)]
    october.change("inv-plain", memo="October usage")
    october.reconcile()
    published(october)
    assert ask("SELECT count(*) FROM differences") == [(0,)]


def test_a_tenant_that_has_nothing_yet_can_be_published(
    warehouse: Warehouse, published: Publish, ask: Ask, acme: TenantRules
) -> None:
    with warehouse.open("acme") as held:
        published(Month(held, acme, "2026-10"))
    assert ask("SELECT (SELECT count(*) FROM differences) + (SELECT count(*) FROM documents)") == [(0,)]


def test_older_releases_of_duckdb_can_open_the_file(
    october: Month, published: Publish, ask: Ask, warehouse: Warehouse
) -> None:
    for _ in range(2):
        published(october)
        [[tags]] = ask("SELECT tags FROM duckdb_databases() WHERE NOT internal")
        assert isinstance(tags, dict)
        assert tags["storage_version"].startswith("v1.2.0")
    assert int.from_bytes(warehouse.published_path.read_bytes()[12:20], "little") <= 65


# Readers

_READER = """
import sys
import duckdb
connection = duckdb.connect(sys.argv[1], read_only=True)
cursor = connection.execute("SELECT d.external_id, n.range FROM documents d, range(200000) n WHERE d.external_id = 'inv-plain'")
rows = len(cursor.fetchmany(10))
print("reading", flush=True)
sys.stdin.readline()
while part := cursor.fetchmany(50000):
    rows += len(part)
    assert all(row[0] == "inv-plain" for row in part)
again = connection.execute("SELECT netsuite_total FROM documents WHERE external_id = 'inv-plain'").fetchall()
print(rows, again, flush=True)
"""


def test_a_reader_and_a_publication_do_not_disturb_each_other(
    october: Month, published: Publish, ask: Ask, warehouse: Warehouse
) -> None:
    published(october)
    held_open = warehouse.published_path.open("rb")
    before = held_open.read()
    command = [sys.executable, "-c", _READER, str(warehouse.published_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as reader:
        assert reader.stdout is not None
        assert reader.stdout.readline() == "reading\n"
        october.remove("inv-plain")
        for _ in range(2):
            published(october)
        now = ask("SELECT netsuite_total FROM documents WHERE external_id = 'inv-plain'")
        said, _ = reader.communicate("go on\n", timeout=60)
    assert now == [(None,)]
    assert said == "200000 [(Decimal('150.8700'),)]\n"
    assert reader.returncode == 0
    # A reader may have little of the file in memory: what it holds open is left as it was, byte for byte.
    with held_open:
        held_open.seek(0)
        assert held_open.read() == before


# Whole or not at all


def _files(warehouse: Warehouse) -> list[str]:
    return sorted(path.name for path in warehouse.root.iterdir() if path.is_file())


def test_a_publication_that_fails_leaves_the_old_file(
    october: Month, published: Publish, warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    published(october)
    before = warehouse.published_path.read_bytes()
    october.remove("inv-plain")
    with monkeypatch.context() as patched:
        patched.setattr("netsuite_assets.publish.mart._documents", lambda *_: "SELECT 1 / 'no number'")
        with pytest.raises(duckdb.Error):
            published(october)
    assert warehouse.published_path.read_bytes() == before
    assert october.held.value("SELECT count(*) FROM expected.invoices") == 5  # the run goes on
    published(october)
    assert warehouse.published_path.read_bytes() != before


def test_what_a_crash_left_half_built_is_healed(
    october: Month, published: Publish, ask: Ask, warehouse: Warehouse
) -> None:
    published(october)
    building = warehouse.published_path.with_name("published.duckdb.building")
    building.write_bytes(warehouse.published_path.read_bytes()[:5000])
    building.with_name(f"{building.name}.wal").write_bytes(b"half a log")
    published(october)
    assert ask("SELECT count(*) FROM documents") == [(6,)]
    assert _files(warehouse) == ["published.duckdb", "published.duckdb.lock"]


def test_nothing_is_left_beside_the_published_file(
    october: Month, published: Publish, warehouse: Warehouse
) -> None:
    published(october)
    assert _files(warehouse) == ["published.duckdb", "published.duckdb.lock"]


def test_a_published_file_that_is_broken_is_named_and_left(
    october: Month, published: Publish, warehouse: Warehouse
) -> None:
    warehouse.published_path.write_bytes(b"not a database" * 1000)
    with pytest.raises(WarehouseError, match="cannot be read") as told:
        published(october)
    assert f"{warehouse.published_path} cannot be read" in str(told.value)
    assert "Delete it" in str(told.value)
    warehouse.published_path.unlink()
    published(october)


def test_a_table_follows_its_columns_and_other_tenants_rows_stay(
    october: Month, published: Publish, ask: Ask, warehouse: Warehouse
) -> None:
    with connect(warehouse.published_path) as connection:
        connection.execute(
            "CREATE TABLE differences (tenant VARCHAR, period VARCHAR, kind VARCHAR, old_name VARCHAR)"
        )
        connection.execute(
            "INSERT INTO differences VALUES ('globex', '2026-09', 'changed', 'x'), ('acme', '2026-10', 'changed', 'x')"
        )
    october.remove("inv-plain")
    october.reconcile()
    published(october)
    assert ask("SELECT tenant, period, kind, delta FROM differences ORDER BY tenant") == [
        ("acme", "2026-10", "missing_in_netsuite", Decimal("150.8700")),
        ("globex", "2026-09", "changed", None),
    ]
    assert "old_name" not in [row[0] for row in ask("DESCRIBE differences")]


# Tenants


def test_tenants_keep_each_others_rows(
    october: Month, retail_month: Month, published: Publish, ask: Ask
) -> None:
    retail_month.customer("17850", currency="GBP")
    retail_month.invoice("536365", line("15.30"), customer_id="17850", currency="GBP")
    retail_month.land()
    retail_month.remove("inv-536365")
    retail_month.reconcile()
    october.remove("inv-plain")
    october.reconcile()
    for month in (october, retail_month, october):
        published(month)
    assert ask("SELECT tenant, period, external_id, currency FROM differences ORDER BY tenant") == [
        ("acme", "2026-10", "inv-plain", "USD"),
        ("retail", "2010-12", "inv-536365", "GBP"),
    ]


def test_tenants_may_publish_at_the_same_time(warehouse: Warehouse, ledger: Ledger, ask: Ask) -> None:
    names = ["acme", "globex", "retail"]
    start = Barrier(len(names))

    def run(name: str) -> None:
        with warehouse.open(name) as held:
            held.sql("INSERT INTO meta.slices VALUES (?, 'all', 1, 1, 1, '', '', ?)", [f"of {name}", NOW])
            start.wait()
            publish(warehouse, held, ledger, NOW)

    with ThreadPoolExecutor(len(names)) as pool:
        list(pool.map(run, names))
    assert ask("SELECT tenant, table_name FROM slices ORDER BY ALL") == [
        (name, f"of {name}") for name in names
    ]
