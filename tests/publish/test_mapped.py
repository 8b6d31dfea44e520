"""Analysts see how each value was found, what the mapping cut, and what it left out."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from month import Month, line, load_rules

from netsuite_assets.publish.mart import Published
from netsuite_assets.writeback.enrichment import TABLE, ensure_enrichment
from resources.warehouse import Warehouse

NOW = datetime(2026, 11, 1, 6, tzinfo=UTC)
Ask = Callable[[str], list[tuple[object, ...]]]

RULES = """
  invoice:
    when: {status: {not: draft}}
    lines_when: {amount: {not: 0}}
    fields:
      memo: {max_length: 7, cut: true}
"""
LINES = """
    lines:
      description: {max_length: 5, cut: true}
"""


def test_what_the_mapping_did_is_published(
    warehouse: Warehouse,
    tmp_path: Path,
    pytestconfig: pytest.Config,
    published: Callable[[Month], Published],
    ask: Ask,
) -> None:
    folder = Path(shutil.copytree(pytestconfig.rootpath / "tenants", tmp_path / "tenants"))
    own = folder / "acme.yaml"
    text = own.read_text(encoding="utf-8")
    before, after = text.split("\n  invoice:\n    fields:\n", 1)
    own.write_text(before + RULES + after.replace("\n    lines:\n", LINES, 1), encoding="utf-8")
    with warehouse.open("acme") as held:
        month = Month(held, load_rules(folder, "acme"), "2026-10")
        month.customer("c1")
        month.invoice("1", line("10.00", "API calls"), line("0.00", "Free"), memo="October usage")
        month.invoice("2", line("3.00", "API"), status="draft")
        month.land()
        month.reconcile()
        published(month)
    assert ask("SELECT record, source_id, line, amount FROM left_out ORDER BY ALL") == [
        ("invoice", "1", "1-2", Decimal(0)),
        ("invoice", "2", None, Decimal(3)),
    ]
    (reason,) = ask("SELECT DISTINCT reason FROM left_out WHERE line IS NULL")[0]
    assert str(reason).startswith("expected only when status is not draft (tenants/acme.yaml:")
    assert ask("SELECT record, external_id, line_no, warning FROM mapping_warnings ORDER BY ALL") == [
        ("invoice", "inv-1", 1, "description is cut from 9 to 5 characters."),
        ("invoice", "inv-1", None, "memo is cut from 13 to 7 characters."),
    ]
    ((warning, via),) = ask("SELECT warning, via FROM documents WHERE external_id = 'inv-1'")
    assert warning == "memo is cut from 13 to 7 characters."
    assert json.loads(str(via))["currency"] == "number"


def test_a_month_mapped_by_an_earlier_version_can_be_published(
    october: Month, published: Callable[[Month], Published], ask: Ask
) -> None:
    for name in ("invoices", "invoice_lines", "customers", "credit_memos", "credit_memo_lines"):
        october.sql(f"ALTER TABLE expected.{name} DROP COLUMN warning")
    published(october)
    assert ask("SELECT count(*), count(warning) FROM documents") == [(6, 0)]
    assert ask("SELECT (SELECT count(*) FROM left_out) + (SELECT count(*) FROM mapping_warnings)") == [(0,)]


def test_what_netsuite_added_to_what_we_wrote_is_published_anew_each_time(
    october: Month, published: Callable[[Month], Published], ask: Ask
) -> None:
    ensure_enrichment(october.held)
    row = ["2026-10", "invoice", "inv-plain", "90", "N-1", "taxTotal", "0", "19", None, NOW]
    october.held.connection.execute(f"INSERT INTO {TABLE} VALUES ({', '.join('?' * len(row))})", row)
    published(october)
    columns = "tenant, period, record, external_id, field, intended, netsuite, netsuite_name, seen_at = '2026-11-01 06:00Z'"
    told = ("acme", "2026-10", "invoice", "inv-plain", "taxTotal", "0", "19", None, True)
    assert ask(f"SELECT {columns} FROM enrichment") == [told]
    october.sql(f"UPDATE {TABLE} SET netsuite = '20'")
    published(october)
    assert ask("SELECT netsuite FROM enrichment") == [("20",)]
