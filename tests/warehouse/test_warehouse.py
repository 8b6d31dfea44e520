"""A tenant's working file: slices replaced whole or not at all, one process at a time, every value exact."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from decimal import Decimal

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from netsuite_assets import frames
from netsuite_assets.publish.mart import SLICES
from netsuite_assets.tables import COLUMN_TYPES
from resources.warehouse import IncompleteSlice, TenantWarehouse, Warehouse, WarehouseError, duckdb_type

NOW = datetime(2026, 11, 1, 6, 0, tzinfo=UTC)
SCHEMA = pa.schema([("id", pa.string()), ("amount", pa.decimal128(18, 4))])
COLUMNS = {"id": "VARCHAR", "amount": "DECIMAL(18,4)", "period": "VARCHAR"}
BEFORE = [("a", Decimal("1.00")), ("b", Decimal("2.50"))]


@pytest.fixture
def held(warehouse: Warehouse) -> Iterator[TenantWarehouse]:
    """A working file that holds a slice of October and one of September."""
    with warehouse.open("acme") as opened:
        opened.ensure_table("billing.bills", COLUMNS)
        for period, rows in (("2026-09", [("z", Decimal(9))]), ("2026-10", BEFORE)):
            land(opened, rows, period=period)
        yield opened


def batches(*parts: list[tuple[str | None, Decimal]]) -> pa.RecordBatchReader:
    def made() -> Iterator[pa.RecordBatch]:
        for part in parts:
            yield pa.RecordBatch.from_pylist([{"id": key, "amount": amount} for key, amount in part], SCHEMA)

    return pa.RecordBatchReader.from_batches(SCHEMA, made())


def land(
    held: TenantWarehouse,
    rows: list[tuple[str | None, Decimal]],
    *,
    expected: int | None = None,
    period: str | None = "2026-10",
) -> str:
    landed = held.replace_slice(
        "billing.bills",
        period,
        batches(rows[:1], rows[1:]),
        key=["id"],
        expected_rows=len(rows) if expected is None else expected,
        source="the billing source",
        now=NOW,
    )
    return landed.content_hash


def bills(held: TenantWarehouse, period: str = "2026-10") -> list[tuple[str, Decimal]]:
    return held.sql("SELECT id, amount FROM billing.bills WHERE period = ? ORDER BY id", [period])


# Slices


def test_a_slice_replaces_its_period_and_no_other(held: TenantWarehouse) -> None:
    land(held, [("c", Decimal("3.0001"))])
    assert bills(held) == [("c", Decimal("3.0001"))]
    assert bills(held, "2026-09") == [("z", Decimal(9))]


def test_a_slice_may_be_empty_when_the_source_says_so(held: TenantWarehouse) -> None:
    land(held, [])
    assert bills(held) == []
    landed = held.slice("billing.bills", "2026-10")
    assert landed is not None
    assert (landed.expected_rows, landed.rows) == (0, 0)


@pytest.mark.parametrize(
    ("rows", "expected", "words"),
    [
        ([("c", Decimal(3))], 2, ["billing.bills of 2026-10", "counts 2 rows and 1 arrived", "Run again"]),
        ([("c", Decimal(3))], 0, ["counts 0 rows and 1 arrived"]),
        ([("c", Decimal(3)), ("c", Decimal(4))], 2, ["holds 1 rows whose key", '"id"', "read twice"]),
        ([("c", Decimal(3)), (None, Decimal(4))], 2, ["holds 1 rows whose key"]),
    ],
    ids=["fewer", "more", "repeated key", "no key"],
)
def test_an_incomplete_slice_is_refused_and_the_old_one_stays(
    held: TenantWarehouse, rows: list[tuple[str | None, Decimal]], expected: int, words: list[str]
) -> None:
    proof = held.slice("billing.bills", "2026-10")
    with pytest.raises(IncompleteSlice) as refused:
        land(held, rows, expected=expected)
    for word in ["acme: ", "the billing source", *words]:
        assert word in str(refused.value)
    assert bills(held) == BEFORE
    assert held.slice("billing.bills", "2026-10") == proof


def test_a_reader_that_fails_in_the_middle_leaves_the_old_slice(held: TenantWarehouse) -> None:
    def failing() -> Iterator[pa.RecordBatch]:
        yield pa.RecordBatch.from_pylist([{"id": "c", "amount": Decimal(3)}], SCHEMA)
        raise ConnectionResetError("the database went away")

    with pytest.raises(Exception, match="the database went away"):
        held.replace_slice(
            "billing.bills",
            "2026-10",
            pa.RecordBatchReader.from_batches(SCHEMA, failing()),
            key=["id"],
            expected_rows=2,
            source="the billing source",
            now=NOW,
        )
    assert bills(held) == BEFORE
    land(held, [("c", Decimal(3))])
    assert bills(held) == [("c", Decimal(3))]


def test_a_killed_process_leaves_the_old_slice(warehouse: Warehouse) -> None:
    with warehouse.open("acme") as held:
        held.ensure_table("billing.bills", COLUMNS)
        land(held, BEFORE)
    killed = _run(
        f"""
        def dying():
            yield pa.RecordBatch.from_pylist([{{"id": "c", "amount": Decimal(3)}}] * 5000, SCHEMA)
            os.kill(os.getpid(), signal.SIGKILL)
        with Warehouse(Path({str(warehouse.root)!r})).open("acme") as held:
            held.replace_slice("billing.bills", "2026-10", pa.RecordBatchReader.from_batches(SCHEMA, dying()),
                               key=["id"], expected_rows=5000, source="billing", now=datetime.now(UTC))
        """
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    with warehouse.open("acme") as held:
        assert bills(held) == BEFORE


def test_a_slice_can_be_made_of_sql_and_have_no_period(held: TenantWarehouse) -> None:
    held.ensure_table("netsuite.lists", {"list": "VARCHAR", "id": "VARCHAR"})
    for expected in (3, 2):
        held.replace_slice(
            "netsuite.lists",
            None,
            f"SELECT 'item' AS list, range::VARCHAR AS id FROM range({expected})",
            key=["list", "id"],
            expected_rows=expected,
            source="NetSuite",
            now=NOW,
        )
    assert held.value("SELECT count(*) FROM netsuite.lists") == 2
    landed = held.slice("netsuite.lists", None)
    assert landed is not None
    assert landed.period == "all"


@pytest.mark.parametrize("allowed", ["2GiB", "1GB", "1500MB"])
def test_memory_is_bounded_for_a_while_however_often(held: TenantWarehouse, allowed: str) -> None:
    held.sql(f"SET memory_limit = '{allowed}'")
    limit = "SELECT current_setting('memory_limit')"
    before = held.value(limit)
    for _ in range(25):
        with held.bounded_memory("100MiB"):
            assert held.value(limit) == "100.0 MiB"
    with pytest.raises(ZeroDivisionError), held.bounded_memory("100MiB"):
        _ = 1 / 0
    assert held.value(limit) == before


def test_the_content_hash_tells_contents_apart_and_not_their_order(held: TenantWarehouse) -> None:
    straight = land(held, BEFORE)
    assert land(held, BEFORE[::-1]) == straight
    assert land(held, [("a", Decimal("1.00")), ("b", Decimal("2.5001"))]) != straight


def test_missing_slices_are_named(held: TenantWarehouse) -> None:
    with pytest.raises(IncompleteSlice) as missing:
        held.require_slices({"billing.bills": "2026-11", "netsuite.lists": None})
    assert "billing.bills (2026-11), netsuite.lists (all)" in str(missing.value)
    assert [proof.rows for proof in held.require_slices({"billing.bills": "2026-10"})] == [2]


def test_a_transaction_is_all_or_nothing(held: TenantWarehouse) -> None:
    def interrupted() -> None:
        with held.transaction():
            held.sql("DELETE FROM billing.bills")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert bills(held) == BEFORE


# Tables


def test_columns_are_the_same_within_a_transaction_and_a_missing_table_does_not_end_it(
    held: TenantWarehouse,
) -> None:
    kinds = {"id": "VARCHAR", "at": "TIMESTAMPTZ", "amount": "DECIMAL(18,4)", "many": "VARCHAR[]"}
    held.ensure_table("billing.odd", kinds)
    outside = held.columns("billing.odd")
    with held.transaction():
        assert list(held.columns("billing.odd").items()) == list(outside.items())
        assert held.columns("billing.none") == held.columns("nowhere.none") == {}
        held.connection.execute("INSERT INTO billing.odd (id) VALUES ('1')")
    assert held.columns("billing.none") == held.columns("nowhere.none") == {}
    assert held.value("SELECT count(*) FROM billing.odd") == 1


def test_a_table_follows_its_columns(held: TenantWarehouse) -> None:
    held.ensure_table(
        "billing.bills", {"id": "VARCHAR", "amount": "DECIMAL(28,12)", "period": "VARCHAR", "memo": "VARCHAR"}
    )
    assert held.columns("billing.bills") == {
        "id": "VARCHAR",
        "period": "VARCHAR",
        "amount": "DECIMAL(28,12)",
        "memo": "VARCHAR",
    }
    assert held.sql("SELECT id, memo FROM billing.bills ORDER BY id") == [
        ("a", None),
        ("b", None),
        ("z", None),
    ]


def test_slices_that_lack_a_new_column_no_longer_count_as_landed(held: TenantWarehouse) -> None:
    """A field that was mapped since would be empty there, and seem to differ in every record."""
    held.ensure_table("billing.bills", COLUMNS | {"memo": "VARCHAR"})
    assert held.slice("billing.bills", "2026-10") is None
    with pytest.raises(IncompleteSlice, match=r"billing\.bills \(2026-09\)"):
        held.require_slices({"billing.bills": "2026-09"})


def test_a_table_that_has_its_columns_is_left_alone(held: TenantWarehouse) -> None:
    """Whatever their type: a column that is made anew would lose what other months hold in it."""
    kinds = {*map(duckdb_type, EXACT.types), *COLUMN_TYPES.values(), *SLICES.values(), "BOOLEAN", "INTEGER"}
    columns = {f"{number} {kind}": kind for number, kind in enumerate(sorted(kinds))} | {"period": "VARCHAR"}
    held.ensure_table("billing.bills", columns)
    held.sql("INSERT INTO meta.slices VALUES ('billing.bills', '2026-10', 0, 0, 0, '', '', ?)", [NOW])
    held.ensure_table("billing.bills", columns)
    assert list(held.columns("billing.bills"))[1:] == list(columns)[:-1]
    assert held.slice("billing.bills", "2026-10") is not None


def test_slices_keep_counting_when_a_column_goes(held: TenantWarehouse) -> None:
    held.ensure_table("billing.bills", {"id": "VARCHAR", "period": "VARCHAR"})
    assert list(held.columns("billing.bills")) == ["id", "period"]
    assert held.slice("billing.bills", "2026-10") is not None


def test_columns_that_a_later_stage_filled_are_kept_and_are_no_content(held: TenantWarehouse) -> None:
    before = land(held, BEFORE)
    held.connection.execute("ALTER TABLE billing.bills ADD COLUMN row_hash UBIGINT")
    held.connection.execute("UPDATE billing.bills SET row_hash = 7")
    held.ensure_table("billing.bills", COLUMNS)
    assert list(held.columns("billing.bills")) == [*COLUMNS, "row_hash"]
    assert held.slice("billing.bills", "2026-10") is not None
    assert land(held, BEFORE) == before
    assert held.sql("SELECT DISTINCT period, row_hash FROM billing.bills ORDER BY ALL") == [
        ("2026-09", 7),
        ("2026-10", None),
    ]


def test_a_table_may_share_no_column_with_what_it_was(held: TenantWarehouse) -> None:
    held.ensure_table("billing.bills", {"number": "VARCHAR"})
    assert held.columns("billing.bills") == {"number": "VARCHAR"}


def test_strange_column_names_are_only_names(held: TenantWarehouse) -> None:
    odd = 'a"; DROP TABLE billing.bills; --'
    held.ensure_table("billing.odd", {odd: "VARCHAR"})
    assert list(held.columns("billing.odd")) == [odd]
    assert bills(held) == BEFORE


def test_a_value_is_one_value(held: TenantWarehouse) -> None:
    with pytest.raises(WarehouseError, match="expected one value, got 2 rows"):
        held.value("SELECT id FROM billing.bills WHERE period = '2026-10'")


@pytest.mark.parametrize("kind", [pa.float64(), pa.binary(), pa.list_(pa.string())])
def test_types_that_would_lose_something_are_refused(kind: pa.DataType) -> None:
    with pytest.raises(WarehouseError, match="no exact column type"):
        duckdb_type(kind)


# One process


def test_a_second_process_waits_and_is_then_told_why(warehouse: Warehouse) -> None:
    impatient = Warehouse(warehouse.root, lock_seconds=0.2)
    with _elsewhere(f"Warehouse(Path({str(warehouse.root)!r})).open('acme')"):
        with pytest.raises(WarehouseError) as refused, impatient.open("acme"):
            pass
        for word in ("acme: ", str(warehouse.path("acme")), "in use by another run", "terminate it"):
            assert word in str(refused.value)
        with impatient.open("globex") as other:  # tenants are apart
            assert other.tenant == "globex"
    with impatient.open("acme") as held:
        assert held.tenant == "acme"


def test_a_file_that_a_notebook_holds_is_not_waited_for(warehouse: Warehouse) -> None:
    with warehouse.open("acme"):
        pass
    with _elsewhere(f"duckdb.connect({str(warehouse.path('acme'))!r}, read_only=True)"):
        with pytest.raises(WarehouseError) as refused, warehouse.open("acme"):
            pass
        assert str(warehouse.path("acme")) in str(refused.value)
        assert "analysts read the published file" in str(refused.value)
    with warehouse.open("acme"):
        pass


def test_a_failed_run_lets_the_file_go(warehouse: Warehouse) -> None:
    with pytest.raises(ZeroDivisionError), warehouse.open("acme"):
        _ = 1 / 0
    with Warehouse(warehouse.root, lock_seconds=0.1).open("acme") as held:
        assert held.value("SELECT 1") == 1


# The file


def test_older_releases_of_duckdb_can_open_the_file(warehouse: Warehouse) -> None:
    with warehouse.open("acme") as held:
        held.sql("CREATE TABLE billing.rows AS SELECT range AS n, range::VARCHAR AS text FROM range(10000)")
        tags = held.value("SELECT tags FROM duckdb_databases() WHERE NOT internal")
        assert tags["storage_version"].startswith("v1.2.0")
    header = warehouse.path("acme").read_bytes()[:20]
    assert header[8:12] == b"DUCK"
    assert int.from_bytes(header[12:20], "little") <= 65  # 64 is DuckDB 1.0, 65 is 1.2, 67 is 1.4


def test_a_reopened_file_keeps_its_storage_version(warehouse: Warehouse) -> None:
    for _ in range(2):
        with warehouse.open("acme") as held:
            tags = held.value("SELECT tags FROM duckdb_databases() WHERE NOT internal")
            assert tags["storage_version"].startswith("v1.2.0")


def test_a_file_that_is_no_database_is_named(warehouse: Warehouse) -> None:
    path = warehouse.path("acme")
    path.parent.mkdir(parents=True)
    path.write_bytes(b"not a database" * 1000)
    with pytest.raises(WarehouseError, match="cannot be opened") as refused, warehouse.open("acme"):
        pass
    assert str(path) in str(refused.value)


# Exactness


@pytest.fixture(scope="module")
def exact(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TenantWarehouse]:
    with Warehouse(tmp_path_factory.mktemp("exact")).open("acme") as opened:
        opened.ensure_table(
            "billing.exact",
            {name: duckdb_type(kind) for name, kind in zip(EXACT.names, EXACT.types, strict=True)},
        )
        yield opened


EXACT = pa.schema(
    [
        ("id", pa.string()),
        ("amount", pa.decimal128(18, 4)),
        ("quantity", pa.decimal128(28, 10)),
        ("unit_amount", pa.decimal128(28, 12)),
        ("day", pa.date32()),
        ("at", pa.timestamp("us", tz="UTC")),
    ]
)


def decimals(precision: int, places: int) -> st.SearchStrategy[Decimal | None]:
    limit = 10**precision - 1
    return st.none() | st.integers(-limit, limit).map(lambda units: Decimal(units).scaleb(-places))


ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "id": st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8),
            "amount": decimals(18, 4),
            "quantity": decimals(28, 10),
            "unit_amount": decimals(28, 12),
            "day": st.none() | st.dates(date(1900, 1, 1), date(2200, 1, 1)),
            "at": st.none() | st.datetimes(timezones=st.just(UTC)),
        }
    ),
    unique_by=lambda row: row["id"],
    max_size=20,
)


def _comes_back_exactly(exact: TenantWarehouse, rows: list[dict[str, object]]) -> None:
    table = pa.Table.from_pylist(rows, schema=EXACT)
    exact.replace_slice(
        "billing.exact",
        None,
        table.to_reader(max_chunksize=3),
        key=["id"],
        expected_rows=len(rows),
        source="hypothesis",
        now=NOW,
    )
    rows = sorted(rows, key=lambda row: str(row["id"]).encode())
    assert exact.arrow("SELECT * FROM billing.exact ORDER BY id").cast(EXACT).to_pylist() == rows
    money = ["id", "amount", "quantity", "unit_amount"]
    plain = frames.records(
        frames.frame(exact.arrow(f"SELECT {', '.join(money)} FROM billing.exact ORDER BY id"))
    )
    assert plain == [{name: row[name] for name in money} for row in rows]
    assert all(type(row[name]) in (Decimal, type(None)) for row in plain for name in money[1:])


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=ROWS)
def test_every_value_comes_back_exactly(exact: TenantWarehouse, rows: list[dict[str, object]]) -> None:
    _comes_back_exactly(exact, rows)


@pytest.mark.soak
@settings(max_examples=3000, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=ROWS)
def test_every_value_comes_back_exactly_for_long(
    exact: TenantWarehouse, rows: list[dict[str, object]]
) -> None:
    _comes_back_exactly(exact, rows)


# Other processes

_PRELUDE = """
import os, signal, sys
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
import duckdb
import pyarrow as pa
from resources.warehouse import Warehouse
SCHEMA = pa.schema([("id", pa.string()), ("amount", pa.decimal128(18, 4))])
"""


def _run(code: str) -> subprocess.CompletedProcess[str]:
    lines = code.strip("\n").split("\n")
    indent = len(lines[0]) - len(lines[0].lstrip())
    program = _PRELUDE + "\n".join(each[indent:] for each in lines)
    return subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60
    )


@contextmanager
def _elsewhere(opened: str) -> Iterator[None]:
    """Another process holds this open for the length of the block."""
    program = f"{_PRELUDE}\nwith {opened}:\n    print('open', flush=True)\n    sys.stdin.read()\n"
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == "open\n"
            yield
        finally:
            process.stdin.close()
            process.wait(timeout=30)
