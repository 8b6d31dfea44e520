"""The mapping's statements give the rows that SQL written by hand gives: the benchmark's, on few documents, many bad."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

from resources.warehouse import connect

BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "mapping.py"


@pytest.fixture(scope="module")
def benchmark() -> ModuleType:
    spec = importlib.util.spec_from_file_location("benchmark_of_mapping", BENCHMARK)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_the_rows_are_those_of_sql_written_by_hand(tmp_path: Path, benchmark: ModuleType) -> None:
    path = tmp_path / "acme.duckdb"
    mapped = benchmark.tenant(tmp_path)
    benchmark.make(path, 400, 0.3)
    with connect(path) as con:
        for statement in mapped.create_table_sql("invoice"):
            con.execute(statement)
            con.execute(statement.replace("expected.", "hand."))
        for which in ("mapping", "by hand"):
            for statement in benchmark.statements(mapped, which):
                con.execute(statement)
    assert benchmark.differences(path, mapped) == {"invoice_lines": 0, "invoices": 0}
    invoices, lines, problems = benchmark.counted(path)
    assert (invoices, lines) == (400, 1200)
    assert 100 < problems < 150
