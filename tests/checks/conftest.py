"""What the tests of the checks share: a tenant's working file with a few invoices, and YAML written for a test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from textwrap import dedent

import pytest
from check_tools import MONTH, Asks

from dbt_like_checks.claims import TABLE_CLAIMS
from dbt_like_checks.declared import Declared, read_folder
from dbt_like_checks.questions import Answer, ask
from resources.warehouse import TenantWarehouse, Warehouse


@pytest.fixture
def warehouse(tmp_path: Path) -> Warehouse:
    return Warehouse(tmp_path / "warehouse", lock_seconds=1)


@pytest.fixture
def invoices(warehouse: Warehouse) -> None:
    """Acme's file with `billing.invoices` and their lines: two sound invoices in the month, one in the next."""
    with warehouse.open("acme") as opened:
        opened.connection.execute(
            """
            CREATE TABLE billing.invoices (id VARCHAR, number VARCHAR, currency VARCHAR, total DECIMAL(18,4),
                issued_on DATE, period VARCHAR);
            CREATE TABLE billing.invoice_lines (id VARCHAR, invoice_id VARCHAR, line_no INTEGER,
                amount DECIMAL(18,4), period VARCHAR);
            CREATE TABLE billing.customers (id VARCHAR, name VARCHAR);
            CREATE TABLE meta.proofs (table_name VARCHAR, scope VARCHAR, period VARCHAR, rows BIGINT, low BIGINT,
                high BIGINT, sums VARCHAR);
            INSERT INTO meta.proofs VALUES
                ('invoices', '2026-10', '2026-10', 1, 1, 1, '{"total": "10", "none": null}'),
                ('invoices', '2026-10 elsewhere 1', '2026-10', 1, 2, 2, '{"total": "1234.5", "none": null}'),
                ('invoices', '2026-11', '2026-11', 1, 9, 9, '{"total": "5"}'),
                ('payments', '2026-10', '2026-10', 7, 1, 7, '{"total": "5"}');
            INSERT INTO billing.invoices VALUES
                ('1', 'A-1', 'EUR', 10.00, '2026-10-01', '2026-10'), ('2', 'A-2', 'USD', 1234.5, '2026-10-31', '2026-10'),
                ('9', 'A-9', 'EUR', 5.00, '2026-11-01', '2026-11');
            INSERT INTO billing.invoice_lines VALUES ('1-1', '1', 1, 4.00, '2026-10'), ('1-2', '1', 2, 6.00, '2026-10'),
                ('2-1', '2', 1, 1234.5, '2026-10'), ('9-1', '9', 1, 5.00, '2026-11');
            INSERT INTO billing.customers VALUES ('c1', 'Ada'), ('c2', 'Bob');
            """
        )


@pytest.fixture
def working_file(warehouse: Warehouse, invoices: None) -> Iterator[TenantWarehouse]:
    """Acme's file, open."""
    with warehouse.open("acme") as opened:
        yield opened


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Writes `checks.yaml` (or another name) into a folder of checks and gives the folder."""
    folder = tmp_path / "checks"
    folder.mkdir()

    def put(text: str, name: str = "checks.yaml") -> Path:
        (folder / name).write_text(dedent(text), encoding="utf-8")
        return folder

    return put


@pytest.fixture
def declared(write: Callable[..., Path]) -> Callable[[str], Declared]:
    return lambda text: read_folder(write(text))


_MODELS = """
models:
  - name: billing.invoices
    asset: billing_invoices
    each: invoice
    show: [number]
{invoices}
  - name: billing.invoice_lines
    asset: billing_invoices
    each: invoice line
    tests: [not_empty]
  - name: billing.customers
    asset: billing_customers
    each: customer
    tests: [not_empty]
  - name: meta.proofs
    asset: billing_customers
    each: set
    tests: [not_empty]
"""


@pytest.fixture
def asked(declared: Callable[[str], Declared], working_file: TenantWarehouse) -> Asks:
    """The answer to one test about `billing.invoices`: `currency: not_null`, or `unique_combination: {…}` alone."""

    def put(test: str) -> Answer:
        column, _, rest = test.partition(": ")
        if column in TABLE_CLAIMS:
            body = f"    tests: [{{{test}}}]" if rest else f"    tests: [{test}]"
        else:
            body = f"    columns:\n      - name: {column}\n        tests: [{rest}]"
        question = declared(_MODELS.format(invoices=body)).questions[0]
        return ask(question, working_file, MONTH)

    return put
