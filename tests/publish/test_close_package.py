"""The close package: all that finance signs of a month, in one file, and nothing of another tenant or month."""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import dagster as dg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from month import Month, line
from typer.testing import CliRunner

from netsuite_assets import frames
from netsuite_assets.cli import app
from netsuite_assets.publish import close_package
from netsuite_assets.publish.assets import month_close
from netsuite_assets.publish.close_package import PAGE, SECTIONS, write_package
from netsuite_assets.publish.mart import Published
from netsuite_assets.writeback.plan import make_plan
from resources.as_dagster import WarehouseResource
from resources.ledger import Ledger
from resources.warehouse import Warehouse, WarehouseError

NOW = datetime(2026, 11, 1, 6, tzinfo=UTC)
Publish = Callable[[Month], Published]
Ask = Callable[[str], list[tuple[object, ...]]]


class Opened:
    """A package as a person opens it."""

    def __init__(self, path: Path) -> None:
        with zipfile.ZipFile(path) as file:
            assert file.testzip() is None
            self.files = {name: file.read(name) for name in file.namelist()}
        self.page = self.files[PAGE].decode("utf-8")

    def sheet(self, name: str) -> list[dict[str, str]]:
        return list(csv.DictReader(io.StringIO(self.files[f"{name}.csv"].decode("utf-8-sig"))))


@pytest.fixture
def closed(
    october: Month, published: Publish, ledger: Ledger, warehouse: Warehouse, tmp_path: Path
) -> Callable[[], Opened]:
    """The package of the month as it is now."""

    def now() -> Opened:
        published(october)
        package = write_package(warehouse.published_path, "acme", "2026-10", tmp_path / "a" / "acme.zip", NOW)
        made = Opened(package.path)
        assert package.rows == {section.name: len(made.sheet(section.name)) for section in SECTIONS}
        return made

    return now


def test_it_has_every_table_whole_and_a_page(closed: Callable[[], Opened]) -> None:
    made = closed()
    assert sorted(made.files) == sorted([PAGE, *(f"{section.name}.csv" for section in SECTIONS)])
    for section in SECTIONS:
        assert f'<h2 id="{section.name}">' in made.page
    assert "Close package: acme, October 2026" in made.page
    assert "http" not in made.page  # it asks nothing of the outside


def test_what_waits_for_a_person_has_its_owner_age_and_bucket(
    closed: Callable[[], Opened], october: Month, ledger: Ledger
) -> None:
    october.invoice("anon", line("5.00"), customer_id=None)
    october.land()
    october.reconcile()
    closed()
    found = {one.number: one for one in ledger.exceptions("acme", NOW)}
    ledger.assign_exceptions("acme", [found["N-nobody"].id], "Ada", "Boss", NOW)
    until = NOW + timedelta(days=9)
    ledger.accept_exceptions("acme", [found["N-anon"].id], "known", until.date(), until, "Ada", NOW)
    made = closed()
    assert [(row["number"], row["state"], row["owner"], row["age"], row["bucket"], row["amount"], row["accepted_by"])
            for row in made.sheet("exceptions")] == [
        ("N-nobody", "open", "Ada", "0", "0-1", "36.0400", ""),
        ("N-anon", "accepted", "", "0", "0-1", "5.0000", "Ada"),
    ]  # fmt: skip
    assert [(row["state"], row["owner"], row["exceptions"], row["amount"])
            for row in made.sheet("exceptions_by_age")] == [
        ("open", "Ada", "1", "36.0400"), ("accepted", "nobody", "1", "5.0000"),
    ]  # fmt: skip
    assert {row["event"] for row in made.sheet("exception_history")} == {"opened", "assigned", "accepted"}
    assert '<td class="n">36.04</td>' in made.page


def test_its_figures_are_those_of_the_published_file(
    closed: Callable[[], Opened], october: Month, ledger: Ledger, ask: Ask
) -> None:
    october.remove("inv-plain")
    october.reconcile()
    make_plan(october.held, october.rules.tenant, october.rules.mapping, "2026-10", ledger, NOW)
    tie = {
        "period": "2026-10", "tie_out": "receivables", "basis": "transaction", "currency": "USD", "left_side": "billing",
        "right_side": "netsuite", "left_amount": Decimal("150.87"), "right_amount": Decimal(0), "items": 1,
        "difference": Decimal("150.87"), "explained": Decimal("150.87"), "unexplained": Decimal(0),
    }  # fmt: skip
    aged = {
        "period": "2026-10", "currency": "USD", "billing_documents": 1, "billing_open": Decimal("150.87"),
        "netsuite_documents": 0, "netsuite_open": Decimal(0), "difference": Decimal("150.87"),
    }  # fmt: skip
    rolled = {
        "period": "2026-10", "balance": "receivables", "side": "billing", "currency": "USD", "opening_from": "not known",
    }  # fmt: skip
    moved = [
        name
        for name, column in frames.ROLL_FORWARD.columns.items()
        if "decimal" in str(column.dtype) and not column.nullable
    ]
    rolled |= dict.fromkeys(moved, Decimal(0)) | {"invoices": Decimal("150.87")}
    ages = [aged | {"bucket": bucket} for bucket in ("31-60", "not due", "1-30")]
    for contract, rows in ((frames.TIE_OUTS, [tie]), (frames.AGING, ages), (frames.ROLL_FORWARD, [rolled])):
        frames.replace(october.held, contract, "2026-10", frames.rows_frame(contract, rows))
    made = closed()
    [total] = [row for row in made.sheet("totals") if (row["record"], row["currency"]) == ("invoice", "USD")]
    assert (total["billed_total"], total["netsuite_total"], total["difference"]) == (
        "216.9100",
        "30.0000",
        "150.8700",
    )
    assert (total["netsuite_documents_now"], total["netsuite_total_now"]) == ("1", "30.0000")
    assert [(row["part"], row["amount"]) for row in made.sheet("total_parts")] == [
        ("missing_documents", "150.8700")
    ]
    assert "<td>missing documents</td>" in made.page
    assert made.sheet("tie_outs")[0]["explained"] == "150.8700"
    assert [row["bucket"] for row in made.sheet("aging")] == ["not due", "1-30", "31-60"]
    [balance] = made.sheet("roll_forward")
    assert (balance["opening"], balance["opening_from"], balance["invoices"]) == ("", "not known", "150.8700")
    [operation] = made.sheet("plan")
    assert (operation["action"], operation["number"], operation["state"]) == ("create", "N-plain", "")
    [[body_hash]] = ask("SELECT body_hash FROM plan")
    assert operation["body_hash"] == body_hash
    landed = ask("SELECT count(*) FROM slices WHERE period IN ('2026-10', 'all')")
    assert landed == [(len(made.sheet("slices")),)]


def test_a_signed_month_shows_who_signed_what(
    closed: Callable[[], Opened], october: Month, ledger: Ledger
) -> None:
    from netsuite_assets.close.sign_off import SigningMonth, prepare

    october.reconcile()
    closed()
    make_plan(october.held, october.rules.tenant, october.rules.mapping, "2026-10", ledger, NOW)
    month = SigningMonth(october.held, ledger, october.rules.tenant, october.rules.mapping, "2026-10")
    prepare(month, "Ada", "looked at it all", "known", NOW)
    made = closed()
    [step] = made.sheet("sign_offs")
    assert (step["event"], step["done_by"], step["note"], step["despite"]) == (
        "prepared",
        "Ada",
        "looked at it all",
        "known",
    )
    assert {row["billed"] for row in made.sheet("sign_off_totals")} == {
        row["billed_total"] for row in made.sheet("totals")
    }


def test_what_people_typed_is_text_on_the_page_and_in_a_spreadsheet(
    closed: Callable[[], Opened], october: Month
) -> None:
    for key, number in (("odd", "<b>&amp;"), ("sum", "=1+1")):
        october.invoice(key, line("1.00"), number=number, customer_id=None)
    october.land()
    october.reconcile()
    made = closed()
    assert "&lt;b&gt;&amp;amp;" in made.page
    assert "<b>" not in made.page
    assert {row["number"] for row in made.sheet("exceptions")} == {"N-nobody", "<b>&amp;", "'=1+1"}


@given(st.text(max_size=20) | st.decimals(allow_nan=False, allow_infinity=False, places=4))
def test_no_text_is_calculated_and_every_number_is_exact(value: str | Decimal) -> None:
    cell = close_package._cell(value)
    if isinstance(value, Decimal):
        assert Decimal(cell) == value
    else:
        assert not cell.startswith(("=", "+", "-", "@"))
        assert cell.removeprefix("'") == value.removeprefix("'") or cell == value


def test_a_long_table_is_cut_on_the_page_and_whole_beside_it(
    closed: Callable[[], Opened], october: Month, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(4):
        october.invoice(f"anon{number}", line("1.00"), customer_id=None)
    october.land()
    october.reconcile()
    monkeypatch.setattr(close_package, "SHOWN", 3)
    made = closed()
    assert len(made.sheet("exceptions")) == 5
    assert "… and 2 more, in exceptions.csv." in made.page


def test_it_has_nothing_of_another_tenant_or_month(
    closed: Callable[[], Opened],
    october: Month,
    retail_month: Month,
    published: Publish,
    warehouse: Warehouse,
    tmp_path: Path,
) -> None:
    retail_month.land()
    retail_month.reconcile()
    published(retail_month)
    closed()
    retail = write_package(warehouse.published_path, "retail", "2010-12", tmp_path / "retail.zip", NOW)
    made = Opened(retail.path)
    assert made.sheet("exceptions") == []
    assert not any(b"acme" in content for content in made.files.values())


def test_where_nothing_is_published_there_is_no_file(
    october: Month, published: Publish, warehouse: Warehouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    published(october)
    path = tmp_path / "none" / "x.zip"
    with pytest.raises(WarehouseError, match="nothing is published yet of acme for 2026-09"):
        write_package(warehouse.published_path, "acme", "2026-09", path, NOW)
    assert list(path.parent.iterdir()) == []
    monkeypatch.setenv("RECON_WAREHOUSE", str(warehouse.published_path.parent))
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app, ["close-package", "acme", "2026-10"])
    assert "acme-2026-10-close.zip" in done.output
    assert Opened(tmp_path / "acme-2026-10-close.zip").sheet("slices")


def test_the_asset_of_a_month_across_tenants_writes_the_package_of_each(
    october: Month, published: Publish, warehouse: Warehouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    published(october)
    monkeypatch.setenv("RECON_WAREHOUSE", str(warehouse.root))
    by_command = write_package(warehouse.published_path, "acme", "2026-10", tmp_path / "acme.zip", NOW)
    done = dg.materialize(
        [month_close], resources={"warehouse": WarehouseResource()}, partition_key="2026-10-01"
    )
    made = warehouse.root / "close" / "2026-10" / "acme.zip"
    assert [path.name for path in made.parent.iterdir()] == ["acme.zip"]
    sheets = Opened(made).files
    assert {name: sheets[name] for name in sheets if name != PAGE} == {
        name: kept for name, kept in Opened(by_command.path).files.items() if name != PAGE
    }
    [materialized] = done.asset_materializations_for_node("month_close")
    assert materialized.metadata["tenants"].value == 1
    assert str(made.resolve()) in str(materialized.metadata["close packages"].value)
    assert "acme" in str(materialized.metadata["month"].value)


def test_the_asset_of_a_month_says_that_nothing_was_published(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RECON_WAREHOUSE", str(tmp_path))
    with pytest.raises(dg.Failure, match="nothing"):
        dg.materialize(
            [month_close], resources={"warehouse": WarehouseResource()}, partition_key="2026-10-01"
        )
