"""Every value of a record can be traced: the rule and its line, the source value, and how it was found."""

import shutil
from pathlib import Path

import dagster as dg
import pytest
from month import Landed
from typer.testing import CliRunner, Result

from netsuite_assets.cli import app
from netsuite_assets.mapping.assets import expected_records
from netsuite_assets.mapping.compiler import LEFT_OUT
from resources.as_dagster import LedgerResource, TenantsResource, WarehouseResource
from resources.warehouse import Warehouse

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def october(
    landed: Landed, warehouse: Warehouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Warehouse:
    """A warehouse in which October of acme has landed, as `recon` and Dagster find it."""
    path = warehouse.path("acme")
    path.parent.mkdir(parents=True)
    shutil.copyfile(landed.path, path)
    monkeypatch.setenv("RECON_TENANTS", str(ROOT / "tenants"))
    monkeypatch.setenv("RECON_WAREHOUSE", str(warehouse.root))
    monkeypatch.setenv("RECON_LEDGER", f"sqlite:///{tmp_path / 'ledger.sqlite'}")
    monkeypatch.setattr("netsuite_assets.cli_mapping.out.width", 300)
    return warehouse


def explain(named: str, record: str = "invoice") -> Result:
    return CliRunner().invoke(app, ["explain", "acme", record, named])


def table(text: str) -> dict[str, dict[str, str]]:
    """The printed fields of the header, by name, as the columns stand under their headings."""
    lines = text.splitlines()
    head = next(line for line in lines if "written at" in line)
    starts = {
        name: head.index(name)
        for name in ("field", "value", "from", "rule", "written at", "found by", "problem")
    }
    ends = dict(zip(starts, [*list(starts.values())[1:], None], strict=True))
    rows = [
        {name: line[start : ends[name]].strip() for name, start in starts.items()}
        for line in lines[lines.index(head) + 2 :]
        if line.strip() and not line[: starts["field"]].strip()
    ]
    return {row["field"]: row for row in rows}


def written_at(name: str, rule: str) -> str:
    """The place of a rule in a shipped file, found in its text."""
    lines = (ROOT / "tenants" / f"{name}.yaml").read_text(encoding="utf-8").splitlines()
    start = next(index for index, line in enumerate(lines) if line == "  invoice:")
    number = next(n for n, line in enumerate(lines[start:], start + 1) if line.startswith(f"      {rule}:"))
    return f"tenants/{name}.yaml:{number}"


def test_each_field_tells_its_value_its_rule_its_source_and_its_fallback(october: Warehouse) -> None:
    done = explain("inv-plain")
    assert done.exit_code == 0, done.output
    told = table(done.stdout)
    with october.open("acme") as held:
        ((subsidiary, entity, product, number, issued),) = held.sql(
            'SELECT subsidiary, entity, cseg_product, "otherRefNum", "tranDate"::VARCHAR FROM expected.invoices'
            " WHERE external_id = 'inv-plain'"
        )
        ((legal_entity, customer, line),) = held.sql(
            "SELECT legal_entity, customer_id, product_line FROM billing.invoices WHERE id = 'plain'"
        )
    assert told["tranDate"] == {
        "field": "tranDate", "value": issued, "from": issued, "rule": "from issued_on",
        "written at": written_at("_defaults", "tranDate"), "found by": "", "problem": "",
    }  # fmt: skip
    assert (told["subsidiary"]["value"], told["subsidiary"]["from"]) == (subsidiary, legal_entity)
    assert told["subsidiary"]["written at"] == written_at("acme", "subsidiary")
    assert told["subsidiary"]["rule"] == "from legal_entity, map of 2"
    assert (told["entity"]["value"], told["entity"]["from"], told["entity"]["found by"]) == (
        entity, customer, "customer",
    )  # fmt: skip
    assert told["otherRefNum"]["value"] == number
    segment = told["cseg_product"]
    assert (segment["value"], segment["from"]) == (product, line or "")
    assert segment["found by"] == ("default 'Metering'" if line is None else "number")
    assert segment["written at"] == written_at("acme", "cseg_product")


def test_what_cannot_be_mapped_tells_its_problem(october: Warehouse) -> None:
    assert table(explain("inv-nobody").stdout)["entity"]["problem"] == "no_customer"


def test_a_person_may_name_a_record_by_its_number_or_billings_id(october: Warehouse) -> None:
    by_id = explain("inv-plain").stdout
    assert explain("N-plain").stdout == by_id
    assert explain("plain").stdout == by_id
    unknown = explain("N-nowhere")
    assert unknown.exit_code == 1
    assert "billing has no invoice N-nowhere" in unknown.stderr
    with october.open("acme") as held:
        held.sql(
            "UPDATE expected.invoices SET number = 'twice' WHERE external_id IN ('inv-plain', 'inv-euro')"
        )
    several = explain("twice")
    assert several.exit_code == 1
    assert "2 records are called twice: name one by its external id: inv-euro, inv-plain." in several.stderr
    assert explain("x", "order").exit_code == 2


def test_the_asset_shows_one_record_field_by_field(october: Warehouse) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        instance.add_dynamic_partitions("tenants", ["acme"])
        done = dg.materialize(
            [expected_records],
            instance=instance,
            partition_key="2026-10-01|acme",
            resources={
                "tenants": TenantsResource(), "warehouse": WarehouseResource(), "ledger": LedgerResource(),
            },
        )  # fmt: skip
    (event,) = done.asset_materializations_for_node("expected_records")
    shown = str(event.metadata["one example"].value)
    assert shown.startswith("invoice inv-euro (N-euro)\n\n| line | field | value | from | rule |")
    place = written_at("acme", "subsidiary")
    assert f"| subsidiary | 3 | eu | from legal_entity, map of 2 | {place} |" in shown
    assert "| item |" in shown


@pytest.mark.parametrize("named", ["plain", "N-plain", "inv-plain"])
def test_a_record_that_a_condition_leaves_out_says_so(october: Warehouse, named: str) -> None:
    with october.open("acme") as held:
        held.sql("DELETE FROM expected.invoices WHERE external_id = 'inv-plain'")
        held.ensure_table("expected.left_out", LEFT_OUT)
        held.sql(
            "INSERT INTO expected.left_out (period, record, source_id, number, reason)"
            " VALUES ('2026-10', 'invoice', 'plain', 'N-plain', 'when: status is finalized or paid')"
        )
    told = explain(named)
    assert told.exit_code != 0
    said = " ".join(f"{told.output} {told.exception or ''}".split())
    assert "the invoice N-plain (plain) of 2026-10 is not expected in NetSuite" in said
    assert "when: status is finalized or paid" in said
    assert "expected.left_out" in said
