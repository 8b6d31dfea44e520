"""Checks in real Dagster runs: a stand-in asset, a real DuckDB file, and what the UI would show."""

import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import dagster as dg
import pytest
from check_tools import MONTH

from dbt_like_checks.checks import build_checks
from netsuite_assets.partitions import partition_key, tenant_months
from resources.warehouse import Warehouse

YAML = """
models:
  - name: billing.invoices
    asset: billing_invoices
    description: The month's invoices.
    each: invoice
    show: [number]
    columns:
      - name: currency
        tests:
          - not_null
          - matches: {pattern: "^[A-Z]{3}$", severity: warn}
      - name: id
        tests: [unique: {blocking: %s}]
  - name: billing.invoice_lines
    asset: billing_invoices
    columns: [{name: invoice_id, tests: [relationships: {to: billing.invoices, field: id}]}]
  - name: billing.customers
    asset: billing_customers
    tests: [not_empty]
"""


class Files(dg.ConfigurableResource):  # type: ignore[type-arg]
    """A `warehouse` resource over a folder."""

    root: str

    def get(self) -> Warehouse:
        return Warehouse(Path(self.root), lock_seconds=1)


@dg.asset(partitions_def=tenant_months)
def billing_invoices() -> None:
    """Stands in for the extraction."""


@dg.asset(partitions_def=tenant_months)
def billing_customers() -> None:
    """Stands in for the extraction."""


@dg.asset(partitions_def=tenant_months, deps=[billing_invoices])
def differences() -> None:
    """Stands in for what reads the invoices."""


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as made:
        made.add_dynamic_partitions("tenants", ["acme", "globex"])
        yield made


Run = Callable[..., dg.ExecuteInProcessResult]


@pytest.fixture
def run(
    write: Callable[..., Path], invoices: None, warehouse: Warehouse, instance: dg.DagsterInstance
) -> Run:
    """Materialize the assets of a tenant's month with the checks; `breaks` is run on acme's file before."""

    def put(breaks: str = "", *, tenant: str = "acme", blocking: str = "false") -> dg.ExecuteInProcessResult:
        if breaks:
            with warehouse.open("acme") as working_file:
                working_file.connection.execute(breaks)
        return dg.materialize(
            [
                billing_invoices,
                billing_customers,
                differences,
                *build_checks(write(YAML % blocking)),
            ],
            partition_key=partition_key(tenant, MONTH),
            resources={"warehouse": Files(root=str(warehouse.root))},
            instance=instance,
            raise_on_error=False,
        )

    return put


def evaluations(result: dg.ExecuteInProcessResult) -> dict[str, dg.AssetCheckEvaluation]:
    return {evaluation.check_name: evaluation for evaluation in result.get_asset_check_evaluations()}


def test_a_sound_month_passes_every_check(run: Run) -> None:
    result = run()
    assert result.success
    assert {name: check.passed for name, check in evaluations(result).items()} == {
        "invoices_currency_not_null": True,
        "invoices_currency_matches": True,
        "invoices_id_unique": True,
        "invoice_lines_invoice_id_relationships": True,
        "customers_not_empty": True,
    }


def test_a_failing_check_shows_its_sentence_count_rows_and_query(run: Run) -> None:
    result = run("UPDATE billing.invoices SET currency = 'eur' WHERE id = '1'")
    assert result.success
    check = evaluations(result)["invoices_currency_matches"]
    assert not check.passed
    assert check.severity == dg.AssetCheckSeverity.WARN
    assert check.description == (
        "1 row breaks this: The `currency` of each invoice has the form `^[A-Z]{3}$`."
    )
    assert check.metadata["failing rows"].value == 1
    assert check.metadata["first failing rows"].value == "| number | currency |\n| :-- | :-- |\n| A-1 | eur |"
    assert "regexp_matches" in str(check.metadata["query"].value)


def test_a_blocking_check_holds_back_what_is_downstream_in_its_run(run: Run) -> None:
    result = run("UPDATE billing.invoices SET id = '2' WHERE id = '1'", blocking="true")
    assert not result.success
    assert not evaluations(result)["invoices_id_unique"].passed
    materialized = {
        event.asset_key.to_user_string()
        for event in result.get_asset_materialization_events()
        if event.asset_key
    }
    assert materialized == {"billing_invoices", "billing_customers"}


def test_a_check_that_does_not_block_lets_the_run_go_on(run: Run) -> None:
    result = run("UPDATE billing.invoices SET id = '2' WHERE id = '1'", blocking="false")
    assert result.success
    assert not evaluations(result)["invoices_id_unique"].passed


def test_a_check_has_a_status_for_each_tenant_and_month(run: Run, instance: dg.DagsterInstance) -> None:
    run("UPDATE billing.invoices SET currency = NULL WHERE id = '1'")
    evaluated = instance.event_log_storage.get_asset_check_execution_history(
        dg.AssetCheckKey(dg.AssetKey("billing_invoices"), "invoices_currency_not_null"), limit=5
    )
    assert [record.partition for record in evaluated] == [partition_key("acme", MONTH)]


def test_an_absent_table_fails_its_checks_and_not_the_others(run: Run) -> None:
    result = run("DROP TABLE billing.invoice_lines")
    assert result.success
    found = evaluations(result)
    assert found["invoices_currency_not_null"].passed
    check = found["invoice_lines_invoice_id_relationships"]
    assert not check.passed
    assert str(check.metadata["problem"].value).startswith("there is no table billing.invoice_lines.")


def test_another_tenants_file_is_not_read(run: Run) -> None:
    found = evaluations(run(tenant="globex"))
    assert not any(check.passed for check in found.values())
    assert "Materialize the asset billing_customers first" in str(found["customers_not_empty"].description)


def test_an_asset_has_one_step_for_its_checks(write: Callable[..., Path]) -> None:
    checks = build_checks(write(YAML % "false"))
    assert [made.node_def.name for made in checks] == ["billing_invoices_checks", "billing_customers_checks"]
    specs = [spec for made in checks for spec in made.check_specs]
    assert {spec.partitions_def for spec in specs} == {tenant_months}
    assert [spec.metadata["declared in"].rpartition(":")[2] for spec in specs] == [
        "11",
        "12",
        "14",
        "17",
        "20",
    ]


def test_a_check_waits_for_the_asset_that_it_compares_with(write: Callable[..., Path]) -> None:
    compares = """
      - name: number
        tests: [relationships: {to: billing.customers, field: id}]
"""
    text = (YAML % "false").replace(
        "  - name: billing.invoice_lines", f"{compares}  - name: billing.invoice_lines"
    )
    waits = {
        spec.name: [dep.asset_key.to_user_string() for dep in spec.additional_deps]
        for made in build_checks(write(text))
        for spec in made.check_specs
    }
    assert waits["invoices_number_relationships"] == ["billing_customers"]
    assert waits["invoice_lines_invoice_id_relationships"] == []


def test_checks_are_defined_without_heavy_imports_and_without_warnings() -> None:
    code = (
        "import sys, warnings\n"
        "import dagster\n"
        "warnings.simplefilter('error')\n"
        "from dbt_like_checks.checks import build_checks\n"
        "from sensors.tenants import build_sensors; import sensors.schedules\n"
        "assert build_checks() and build_sensors()\n"
        "heavy = {'duckdb', 'pandas', 'pandera', 'pyarrow', 'sqlglot', 'sqlalchemy', 'httpx'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_preview_warning_is_kept_quiet_only_here(write: Callable[..., Path]) -> None:
    folder = write(YAML % "false")
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        build_checks(folder)
        warnings.warn("another", dg.PreviewWarning, stacklevel=1)
    assert [str(warning.message) for warning in seen] == ["another"]
