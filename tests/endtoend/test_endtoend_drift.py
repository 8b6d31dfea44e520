"""A field that an account loses in mid-life: the run says so, the catalog shows it, lint finds the rule, explain tells it."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from typer.testing import CliRunner, Result

from demo.stage import Stage, usage_tenants
from netsuite_assets.cli import app
from resources.warehouse import Warehouse

ROOT = Path(__file__).parents[2]
FIELD = "custbody_contract_start"
PERIOD = "2026-10"


def recon(*arguments: str) -> Result:
    return CliRunner().invoke(app, [*arguments])


@pytest.fixture
def account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Acme's billing database and its account, which holds nothing yet; the address of the account's sandbox."""
    made = Stage(tmp_path)
    (acme,) = (tenant for tenant in usage_tenants() if tenant.name == "acme")
    with made.sandbox() as sandbox:
        made.fill_billing(acme)
        former = dict(os.environ)
        made.set_environment(sandbox, PERIOD)
        # The variables are this test's alone.
        os.environ.clear()
        os.environ.update(former)
        for line in made.environment_file.read_text().splitlines():
            name, given, value = line.partition("=")
            if given:
                monkeypatch.setenv(name, value.strip("'\""))
        monkeypatch.setenv("RECON_TENANTS", str(ROOT / "tenants"))
        monkeypatch.setenv("RECON_WAREHOUSE", str(tmp_path / "warehouse"))
        monkeypatch.setenv("RECON_LEDGER", f"sqlite:///{tmp_path / 'ledger.sqlite'}")
        monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
        monkeypatch.setenv("COLUMNS", "200")
        monkeypatch.chdir(tmp_path)
        yield sandbox.account_url("1234567_SB1")


def test_a_field_that_the_account_loses_is_named_by_the_run_the_catalog_and_lint(
    account: str, tmp_path: Path
) -> None:
    text = (ROOT / "tenants" / "acme.yaml").read_text(encoding="utf-8").splitlines()
    line = next(number for number, words in enumerate(text, 1) if FIELD in words)
    wrote = recon("write-back", "acme", PERIOD)
    assert wrote.exit_code == 0
    assert re.search(r"The next run tells billing of [\d,]+ records that this one wrote", wrote.output)
    assert recon("lint", "acme", "--catalog").exit_code == 0

    removed = {"kind": "field_removed", "field": FIELD}
    httpx.post(f"{account}/sandbox/faults", json=removed).raise_for_status()
    done = recon("reconcile", "acme", PERIOD)
    assert done.exit_code == 1, done.output
    assert FIELD in done.output

    with Warehouse(tmp_path / "warehouse").open("acme") as held:
        versions = held.sql(
            "SELECT v.version, bool_or(c.name = ?) FROM netsuite.catalog_versions v"
            " JOIN netsuite.catalog c USING (version) GROUP BY v.version, v.first_seen ORDER BY v.first_seen",
            [FIELD],
        )
    assert [has_field for _, has_field in versions] == [True, False]
    found = recon("lint", "acme", "--catalog")
    assert found.exit_code == 1
    assert f"acme.yaml:{line}:" in found.output
    assert FIELD in found.output

    with Warehouse(tmp_path / "warehouse").open("acme") as held:
        number = held.value(
            f'SELECT min(number) FROM expected.invoices WHERE period = ? AND "{FIELD}" IS NOT NULL', [PERIOD]
        )
    explained = recon("explain", "acme", "invoice", number)
    assert explained.exit_code == 0
    assert FIELD in explained.output
    assert f"acme.yaml:{line}" in explained.output
