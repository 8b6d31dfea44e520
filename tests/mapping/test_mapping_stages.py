"""A tenant that maps payments, journals and custom records goes through the other stages as one that does not."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from month import NOW, Month, TenantRules, line, load_rules

from netsuite_assets import frames
from netsuite_assets.extract.catalog import broken_rules
from netsuite_assets.extract.needs import needs_of
from netsuite_assets.publish.mart import publish
from netsuite_assets.tables import WRITTEN
from netsuite_assets.writeback.plan import make_plan
from resources.ledger import Ledger
from resources.netsuite.catalog import Catalog, Entry, Section
from resources.warehouse import Warehouse

MORE = """
  journalEntry:
    from: invoice_lines
    group: {by: [invoice.legal_entity, invoice.currency], sum: [amount]}
    external_id: "accrual-{invoice.legal_entity}-{invoice.currency}-{period}"
    fields:
      tranDate: {from: period_end}
      custbody_note: {value: accrual}
    line_rules:
      both: {each: document, fields: {account: {value: "119"}, debit: {from: amount}}}
      other: {each: document, fields: {account: {value: "411"}, credit: {from: amount}}}
  customrecord_contract:
    from: customers
    external_id: "con-{id}"
    fields:
      name: {from: name}
      custrecord_term: {from: terms, lookup: customrecord_term}
"""


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    opened = Ledger(f"sqlite:///{tmp_path / 'ledger.sqlite'}")
    yield opened
    opened.close()


@pytest.fixture
def everything(tmp_path: Path, pytestconfig: pytest.Config) -> TenantRules:
    """Acme, which maps payments, an accrual and a custom record besides."""
    folder = Path(shutil.copytree(pytestconfig.rootpath / "tenants", tmp_path / "tenants"))
    own = folder / "acme.yaml"
    text = own.read_text(encoding="utf-8")
    assert "extends: _defaults" in text
    own.write_text(text.replace("extends: _defaults", "extends: _payments") + MORE, encoding="utf-8")
    return load_rules(folder, "acme")


def _october(month: Month) -> None:
    month.customer("c1")
    month.invoice("1", line("10.00"), line("5.50"), memo="October")
    month.invoice("2", line("7.00"))
    month.books.rows["payments"].append(
        {
            "id": "p1",
            "paid_on": date(2026, 10, 20),
            "currency": "USD",
            "amount": Decimal("15.50"),
            "customer_id": "c1",
        }
    )
    month.books.rows["payment_applications"].append(
        {"payment_id": "p1", "invoice_id": "1", "amount": Decimal("15.50")}
    )
    month.land()
    month.remove("inv-2")
    month.change("inv-1", memo="other")


def _through(
    warehouse: Warehouse, rules: TenantRules, ledger: Ledger, name: str
) -> tuple[list[dict[str, Any]], list[dict[str, Any]], list[dict[str, Any]]]:
    """Differences, exceptions and operations of the month, without what names the run."""
    with Warehouse(warehouse.root / name).open("acme") as held:
        month = Month(held, rules, "2026-10")
        _october(month)
        month.prove()
        found = month.reconcile()
        planned = make_plan(held, rules.tenant, rules.mapping, "2026-10", ledger, NOW)
        operations = frames.records(planned.operations)
        publish(Warehouse(warehouse.root / name), held, ledger, NOW)
    unnamed = [{key: value for key, value in row.items() if key != "rule"} for row in found.differences]
    kept = [
        {key: row[key] for key in ("record", "action", "external_id", "body", "sequence")}
        for row in operations
    ]
    return unnamed, found.exceptions, kept


def test_the_other_stages_find_and_plan_the_same(
    warehouse: Warehouse, acme: TenantRules, everything: TenantRules, ledger: Ledger
) -> None:
    alone = _through(warehouse, acme, ledger, "alone")
    more = _through(warehouse, everything, ledger, "more")
    assert (alone[0], alone[2]) == (more[0], more[2])
    assert {row["record"] for row in more[2]} == {"invoice"}
    # A custom record that cannot be mapped waits for a person, as any other.
    assert [row for row in more[1] if row["record"] != "customrecord_contract"] == alone[1]
    ((contract,),) = [[row for row in more[1] if row["record"] == "customrecord_contract"]]
    assert (contract["stage"], contract["external_id"]) == ("mapping", "con-c1")
    assert "custrecord_term: NetSuite has no active value" in contract["reason"]


def test_what_more_is_mapped_is_expected(warehouse: Warehouse, everything: TenantRules) -> None:
    with warehouse.open("acme") as held:
        _october(Month(held, everything, "2026-10"))
        assert held.sql("SELECT external_id, problem, total FROM expected.payments") == [
            ("pay-p1", None, Decimal("15.5"))
        ]
        assert held.sql("SELECT doc, amount FROM expected.applications") == [("inv-1", Decimal("15.5"))]
        assert held.sql("SELECT external_id, problem, total FROM expected.journals") == [
            ("accrual-us-USD-2026-10", None, Decimal("22.5"))
        ]
        ((problem,),) = held.sql("SELECT problem FROM expected.customrecord_contract")
        assert "custrecord_term: NetSuite has no active value of customrecord_term 'Net 30'" in str(problem)


def test_the_account_is_asked_only_for_what_the_stages_use(
    acme: TenantRules, everything: TenantRules
) -> None:
    alone, more = (needs_of(rules.tenant, rules.mapping) for rules in (acme, everything))
    assert {need.record for need in more.records} == {need.record for need in alone.records}
    assert {need.record for need in more.records if need.writes} <= WRITTEN
    assert {need.table for need in more.tables} - {need.table for need in alone.tables} == {
        "customrecord_term"
    }


def test_the_schema_is_held_against_every_mapped_record(everything: TenantRules) -> None:
    """A field that the account lacks is told for payments, journals' lines and custom records too."""
    records = (
        "customer",
        "invoice",
        "creditMemo",
        "customerPayment",
        "journalEntry",
        "customrecord_contract",
    )
    owners = [*records, "journalEntry.line", "customerPayment.apply"]
    entries = [Entry("record types", "record", "", record) for record in records]
    entries += [
        Entry(f"fields of {owner.split('.')[0]}", "field", owner, field.name, "text")
        for owner in owners
        for rules in [everything.mapping.records[owner.split(".")[0]]]
        for field in (rules.line_fields if "." in owner else rules.fields)
        if field.name not in ("payment", "debit", "custrecord_term")
    ]
    sections = [Section("record types", True), *(Section(f"fields of {record}", True) for record in records)]
    found = {
        (one.record, one.field)
        for one in broken_rules(everything.mapping, Catalog(tuple(sections), tuple(entries)))
        if "has no such field" in one.why
    }
    assert {
        ("customerPayment", "payment"),
        ("journalEntry", "debit"),
        ("customrecord_contract", "custrecord_term"),
    } <= found
