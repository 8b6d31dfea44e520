"""In a new warehouse the ledger tells what both sides agreed on: who has changed a value since, and what is a conflict."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from loop_tools import Loop
from writing_tools import Writing

from netsuite_assets import frames


@pytest.fixture
def loop(writing: Writing, tmp_path: Path) -> Iterator[Loop]:
    """Invoices that billing wrote, of which the last has been corrected, and on which both sides agree since."""
    made = Loop(tmp_path, writing.url)
    made.customer("c1")
    for key in ("billing", "netsuite", "both", "empty", "lines", "twice"):
        made.invoice(key, "120.00")
    made.payment("p1", "50.00", {"billing": "30.00", "netsuite": "20.00"})
    made.payment("p2", "50.00", {"both": "50.00"})
    made.billing("UPDATE invoices SET memo = 'at first' WHERE id <> 'empty'")
    assert all(verified for *_, verified in made.run().told())
    made.billing("UPDATE invoices SET memo = 'as agreed' WHERE id = 'twice'")
    assert made.run().told() == [("invoice", "update", "written", True)]
    yield made
    made.close()


def change(loop: Loop, key: str, **values: Any) -> None:
    """Somebody changes the invoice in NetSuite."""
    [row] = loop.query(f"SELECT id FROM transaction WHERE externalid = '{loop.word}inv-{key}'")
    loop.write(f"invoice/{row['id']}", values)


def settle(loop: Loop, payment: str, invoice: str, amount: int) -> None:
    """Somebody applies the payment otherwise in NetSuite."""
    [row] = loop.query(f"SELECT id FROM transaction WHERE externalid = '{loop.word}pay-{payment}'")
    element = {"doc": {"externalId": f"{loop.word}inv-{invoice}"}, "apply": True, "amount": amount}
    loop.write(f"customerPayment/{row['id']}", {"apply": {"items": [element]}})


def differences(loop: Loop) -> dict[str, tuple[Any, ...]]:
    """By the record's key: field, base, side that has changed it and whose value counts."""
    with loop.warehouse.open("acme") as held:
        rows = frames.records(frames.read(held, frames.DIFFERENCES, loop.period))
    return {
        row["external_id"].removeprefix(loop.word): (
            row["field"],
            row["base"],
            row["changed_side"],
            row["owner"],
        )
        for row in rows
    }


@pytest.mark.parametrize("at_once", [None, 1])
def test_a_new_warehouse_knows_who_has_changed_what(
    loop: Loop, at_once: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    if at_once is not None:
        monkeypatch.setattr("netsuite_assets.reconcile.agreed_again._AT_ONCE", at_once)
    shutil.rmtree(loop.folder / "warehouse")
    change(loop, "netsuite", memo="by hand")
    change(loop, "both", memo="by hand")
    change(loop, "empty", memo="by hand")
    change(loop, "twice", memo="by hand")
    change(loop, "lines", item={"items": [{"line": 1, "description": "by hand"}]})
    loop.billing("UPDATE invoices SET memo = 'corrected' WHERE id IN ('billing', 'both', 'empty')")
    loop.billing("UPDATE invoice_lines SET description = 'corrected' WHERE invoice_id = 'lines'")
    loop.billing("UPDATE customers SET email = 'corrected@example.com'")
    loop.billing("UPDATE payment_applications SET amount = '25.00' WHERE invoice_id = 'billing'")
    loop.billing("UPDATE payment_applications SET amount = '45.00' WHERE invoice_id = 'both'")
    settle(loop, "p2", "both", 40)
    planned = loop.plan()
    assert differences(loop) == {
        "cus-c1": ("email", loop.email("c1"), "billing", "billing"),
        "inv-billing": ("memo", "at first", "billing", "billing"),
        "inv-netsuite": ("memo", "at first", "netsuite", "billing"),
        "inv-both": ("memo", "at first", "both", "person"),
        "inv-empty": ("memo", None, "both", "person"),
        "inv-twice": ("memo", "as agreed", "netsuite", "billing"),
        "inv-lines": ("description", None, "both", "person"),
        "pay-p1": ("apply", f"USD 30.00 of {loop.word}N-billing", "billing", "billing"),
        "pay-p2": ("apply", f"USD 50.00 of {loop.word}N-both", "both", "person"),
    }
    written = {row["external_id"].removeprefix(loop.word) for row in frames.records(planned.operations)}
    assert written == {"cus-c1", "inv-billing", "inv-netsuite", "inv-twice", "pay-p1"}
    # What was told once is kept from then on like what was compared.
    change(loop, "billing", memo="by hand")
    loop.plan()
    assert differences(loop)["inv-billing"] == ("memo", "at first", "both", "person")

    # Of a field that was not mapped when the records were made nobody has seen that NetSuite's was empty.
    shutil.rmtree(loop.folder / "warehouse")
    path = loop.folder / "tenants" / "acme.yaml"
    text = yaml.safe_load(path.read_text(encoding="utf-8"))
    text["records"]["invoice"]["fields"]["message"] = {"from": "memo"}
    path.write_text(yaml.safe_dump(text, sort_keys=False), encoding="utf-8")
    loop.plan()
    with loop.warehouse.open("acme") as held:
        rows = frames.records(frames.read(held, frames.DIFFERENCES, loop.period))
    told = {(row["field"], row["base"], row["changed_side"], row["owner"]) for row in rows}
    assert {row for row in told if row[0] == "message"} == {("message", None, None, "billing")}
    assert ("memo", "as agreed", "netsuite", "billing") in told
