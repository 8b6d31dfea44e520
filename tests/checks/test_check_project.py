"""The project's own checks: they fit the tables that the stages make, and the words that the stages use."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from check_tools import MONTH

from dbt_like_checks import checks
from dbt_like_checks.claims import AcceptedValues
from dbt_like_checks.declared import Declared, read_folder
from dbt_like_checks.questions import ask, ask_all
from netsuite_assets import frames
from netsuite_assets.extract.addresses import ADDRESSES
from netsuite_assets.extract.catalog import ENTRIES, SECTIONS, VERSIONS
from netsuite_assets.extract.deposits import DEPOSITS, PREPAID_ACCOUNTS
from netsuite_assets.extract.journals import GL_LINES, JOURNAL_LINES, JOURNALS
from netsuite_assets.extract.payments import APPLICATIONS, PAYMENTS
from netsuite_assets.extract.reference import MASTERS, REFERENCE
from netsuite_assets.extract.revenue import PARTS
from netsuite_assets.extract.rows import PROOFS
from netsuite_assets.extract.sight import GONE
from netsuite_assets.extract.trails import DELETED_RECORDS, SYSTEM_NOTES
from netsuite_assets.mapping.compiler import EXPECTED_CORE, EXPECTED_LINE_CORE, LEFT_OUT
from netsuite_assets.tables import ACTUAL_CORE, ACTUAL_LINE_CORE, ACTUAL_TAXES, TABLES
from resources.billing.canonical import TABLES as CANONICAL
from resources.warehouse import TenantWarehouse, Warehouse, duckdb_type

CONTRACTS = (
    frames.DIFFERENCES,
    frames.TOLERATED,
    frames.TOTALS,
    frames.TIE_OUTS,
    frames.TIE_OUT_ITEMS,
    frames.ROLL_FORWARD,
    frames.DRIFT,
    frames.AGING,
    frames.EXCEPTIONS,
    frames.PLAN,
    frames.OUTCOMES,
)

SETTLEMENT = {
    "payments": PAYMENTS,
    "applications": APPLICATIONS,
    "journals": JOURNALS,
    "journal_lines": JOURNAL_LINES,
    "gl_lines": GL_LINES,
    "deposits": DEPOSITS,
    "prepaid_accounts": PREPAID_ACCOUNTS,
}


@pytest.fixture(scope="module")
def project() -> Declared:
    return read_folder(checks.FOLDER)


@pytest.fixture(scope="module")
def every_table(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TenantWarehouse]:
    """A working file with every table as the stages make it, without rows."""
    with Warehouse(tmp_path_factory.mktemp("project")).open("acme") as opened:
        for name, table in CANONICAL.items():
            columns = {field.name: duckdb_type(field.type) for field in table.schema}
            monthly = {"period": "VARCHAR"} if table.period_column or table.parent else {}
            opened.ensure_table(f"billing.{name}", columns | monthly)
        opened.ensure_table("netsuite.reference", REFERENCE)
        opened.ensure_table("netsuite.addresses", ADDRESSES)
        for master in MASTERS:
            opened.ensure_table(f"netsuite.{master.table}", master.landed)
        for part in PARTS:
            opened.ensure_table(f"netsuite.{part.table}", part.landed)
        for table, columns in SETTLEMENT.items():
            opened.ensure_table(f"netsuite.{table}", columns)
        opened.ensure_table("meta.proofs", PROOFS)
        opened.ensure_table("netsuite.gone", GONE)
        opened.ensure_table("netsuite.system_notes", SYSTEM_NOTES)
        opened.ensure_table("netsuite.deleted_records", DELETED_RECORDS)
        opened.ensure_table("netsuite.catalog", ENTRIES)
        opened.ensure_table("netsuite.catalog_sections", SECTIONS)
        opened.ensure_table("netsuite.catalog_versions", VERSIONS)
        for tables in TABLES.values():
            opened.ensure_table(f"expected.{tables.name}", EXPECTED_CORE)
            if tables.lines is not None:
                opened.ensure_table(f"expected.{tables.lines}", EXPECTED_LINE_CORE)
            if tables.name not in SETTLEMENT:
                opened.ensure_table(f"netsuite.{tables.name}", ACTUAL_CORE)
                if tables.lines is not None:
                    opened.ensure_table(f"netsuite.{tables.lines}", ACTUAL_LINE_CORE)
                if tables.taxes is not None:
                    opened.ensure_table(f"netsuite.{tables.taxes}", ACTUAL_TAXES)
        opened.ensure_table("expected.left_out", LEFT_OUT)
        for contract in CONTRACTS:
            frames.ensure(opened, contract)
        yield opened


def test_every_question_fits_the_tables_that_the_stages_make(
    project: Declared, every_table: TenantWarehouse
) -> None:
    answers = ask_all(project.questions, every_table, MONTH)
    assert {answer.question.name: answer.problem for answer in answers if answer.problem} == {}
    empty = {answer.question.name for answer in answers if not answer.passed}
    assert empty == {"reference_not_empty", "periods_not_empty"}


def test_every_table_that_the_stages_make_is_tested(project: Declared, every_table: TenantWarehouse) -> None:
    made = {
        f"{schema}.{name}"
        for schema, name in every_table.sql(
            "SELECT table_schema, table_name FROM information_schema.tables"
            " WHERE table_catalog = current_database() AND (table_schema <> 'meta' OR table_name = 'proofs')"
        )
    }
    assert {model.table.name for model in project.models} == made


def test_whole_tables_are_those_without_months(project: Declared) -> None:
    whole = {model.table.name for model in project.models if model.table.whole}
    assert whole == {
        "billing.customers",
        "netsuite.reference",
        *(f"netsuite.{master.table}" for master in MASTERS),
        "netsuite.customers",
        "netsuite.addresses",
        "netsuite.gone",
        "netsuite.deleted_records",
        "netsuite.catalog",
        "netsuite.catalog_sections",
        "netsuite.catalog_versions",
        "expected.customers",
    }


def test_accepted_values_are_those_of_the_column_contracts(project: Declared) -> None:
    """The contract of a frame and the YAML name the same values, so neither can grow alone."""
    contracts = {str(contract.name): contract for contract in CONTRACTS}
    compared = set()
    for question in project.questions:
        contract = contracts.get(question.table.name)
        if contract is None or not isinstance(question.claim, AcceptedValues):
            continue
        column = question.claim.column
        allowed = [
            check.statistics["allowed_values"]
            for check in contract.columns[column].checks
            if check.name == "isin"
        ]
        assert [set(values) for values in allowed] == [set(question.claim.values)], question.name
        compared.add((question.table.name, column))
    assert len(compared) == 25


def test_warnings_never_block_and_the_work_itself_only_warns(project: Declared) -> None:
    by_name = {question.name: question for question in project.questions}
    for name in ("netsuite_agrees_with_billing", "nothing_waits_for_a_person", "every_cent_is_explained"):
        assert (by_name[name].severity, by_name[name].blocking) == ("warn", False)
    assert by_name["creates_carry_an_external_id"].blocking


def test_rows_of_work_are_counted_and_shown(project: Declared, every_table: TenantWarehouse) -> None:
    question = next(found for found in project.questions if found.name == "nothing_waits_for_a_person")
    with every_table.transaction():
        every_table.connection.execute(
            "INSERT INTO reconciliation.exceptions BY NAME SELECT '2026-10' AS period, 'invoice' AS record,"
            " 'INV-7' AS number, 'Ada Ltd' AS name, 'It names no customer.' AS reason"
        )
        answer = ask(question, every_table, MONTH)
        every_table.connection.execute("DELETE FROM reconciliation.exceptions")
    assert answer.sentence() == "1 row breaks this: Nothing in the month waits for a person."
    assert answer.rows == (("invoice", "INV-7", "Ada Ltd", "It names no customer."),)


def test_the_files_are_part_of_the_package(project: Declared) -> None:
    assert {Path(model.place.rpartition(":")[0]).name for model in project.models} == {
        "billing.yaml",
        "netsuite.yaml",
        "reconciliation.yaml",
        "write_back.yaml",
    }
