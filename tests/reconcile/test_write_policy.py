"""A field that is written once, or only where NetSuite has nothing, is NetSuite's afterwards: shown, never repaired."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest
from month import Month, line, load_rules

from resources.warehouse import Warehouse

RULES = """
  invoice:
    fields:
      memo:         {write: create_only}
      otherRefNum:  {write: if_empty}
"""


@pytest.fixture
def written(warehouse: Warehouse, tmp_path: Path, pytestconfig: pytest.Config) -> Iterator[Month]:
    """October of acme, which writes memos once and numbers where there are none."""
    folder = Path(shutil.copytree(pytestconfig.rootpath / "tenants", tmp_path / "tenants"))
    own = folder / "acme.yaml"
    text = own.read_text(encoding="utf-8")
    assert "\n  invoice:\n    fields:\n" in text
    own.write_text(text.replace("\n  invoice:\n    fields:\n", RULES, 1), encoding="utf-8")
    with warehouse.open("acme") as held:
        month = Month(held, load_rules(folder, "acme"), "2026-10")
        month.customer("c1")
        for name in ("1", "2", "3"):
            month.invoice(name, line("10.00"), memo="October")
        yield month.land()


def test_what_people_change_in_netsuite_stays(written: Month) -> None:
    written.change("inv-1", memo="Changed by hand", otherRefNum="PO-9")
    written.change("inv-2", memo=None, otherRefNum=None, dueDate=None)
    found = {
        (row["external_id"], row["field"]): row["owner"]
        for row in written.reconcile().differences
        if row["field"]
    }
    assert found.pop(("inv-2", "dueDate"), None) is None  # billing has no due date either
    assert found == {
        ("inv-1", "memo"): "netsuite",
        ("inv-1", "otherRefNum"): "netsuite",
        ("inv-2", "memo"): "netsuite",
        ("inv-2", "otherRefNum"): "billing",
    }


def test_what_both_sides_change_of_it_is_no_conflict(written: Month) -> None:
    """The tenant's file says whose it is."""
    written.reconcile()
    written.change("inv-1", memo="Changed by hand", otherRefNum=None, tranDate=date(2026, 10, 16))
    for row in written.books.rows["invoices"]:
        row |= {"memo": "Corrected", "number": "N-9", "issued_on": date(2026, 10, 17)}
    written.map_billing()
    found = {row["field"]: row for row in written.reconcile().of("inv-1")}
    assert {name: (found[name]["changed_side"], found[name]["owner"]) for name in ("memo", "otherRefNum", "tranDate")} == {
        "memo": ("both", "netsuite"),
        "otherRefNum": ("both", "billing"),
        "tranDate": ("both", "person"),
    }  # fmt: skip
