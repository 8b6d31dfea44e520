"""The page that finance reads: its numbers are those of the published file, and its verdict is never too good."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from io import StringIO
from typing import Any

import pytest
from month import Month, line
from rich.console import Console

from netsuite_assets import frames
from netsuite_assets.publish.mart import Published, publish
from netsuite_assets.publish.page import print_page
from netsuite_assets.publish.plan_page import print_plan
from netsuite_assets.publish.summary import TenantSummary, read_summaries
from netsuite_assets.writeback.plan import make_plan
from resources.ledger import Ledger
from resources.warehouse import Warehouse, WarehouseError, utc_now

PUBLISHED_AT = datetime(2026, 11, 1, 6, tzinfo=UTC)
Publish = Callable[[Month], Published]


@pytest.fixture
def summary(warehouse: Warehouse, published: Publish) -> Callable[[Month], TenantSummary]:
    """Reconciles, publishes and reads the month's summary."""

    def made(month: Month) -> TenantSummary:
        month.reconcile()
        published(month)
        [one] = read_summaries(warehouse.published_path, month.period, [month.held.tenant])
        return one

    return made


Summarise = Callable[[Month], TenantSummary]


def page(summary: TenantSummary) -> str:
    """The page as text, its lines joined and its blanks single."""
    console = Console(record=True, width=200, file=StringIO())
    print_page(console, summary)
    return " ".join(console.export_text().replace("│", " ").split())


def test_sides_that_agree(october: Month, summary: Summarise) -> None:
    one = summary(october)
    assert (one.tenant, one.period, one.differences, one.agrees) == ("acme", "2026-10", 0, True)
    dollars = one.totals["USD"]
    assert (dollars.billed, dollars.held_back) == (Decimal("204.91"), Decimal("36.04"))  # less a credit of 12
    assert (dollars.netsuite_before, dollars.netsuite_now, dollars.unexplained) == (
        Decimal("168.87"),
        Decimal("168.87"),
        Decimal(0),
    )
    text = page(one)
    assert "acme · October 2026" in text
    assert "Invoices, USD 3 · 216.91 1 · 36.04 2 · 180.87 2 · 180.87" in text
    assert "Invoices, EUR 2 · 100.00 – 2 · 100.00 2 · 100.00" in text
    assert "Credit memos, USD 1 · 12.00 – 1 · 12.00 1 · 12.00" in text
    assert "Nothing: NetSuite holds what billing billed." in text
    assert "Nothing was sent to NetSuite." in text
    assert "1 invoice, USD 36.04: the billing document names no customer. N-nobody Next: " in text
    assert "to the cent, but for what is held back: EUR 100.00; USD 168.87" in text


def test_what_differs_is_counted_by_kind(october: Month, summary: Summarise) -> None:
    october.remove("inv-plain")
    october.remove("inv-euro")
    october.change("inv-same", memo="wrong")
    one = summary(october)
    assert [(part.record, part.kind, part.number, part.example_of) for part in one.kinds] == [
        ("invoice", "missing_in_netsuite", 2, "N-plain"),
        ("invoice", "changed", 1, "N-same"),
    ]
    assert (one.differences, one.agrees) == (3, False)
    text = page(one)
    assert "2 invoices missing in NetSuite N-plain: NetSuite has no invoice inv-plain." in text
    assert "NetSuite still differs from billing in 2 documents, by EUR 80.00; USD 150.87." in text


def test_differences_that_cancel_each_other_are_not_called_agreement(
    october: Month, summary: Summarise
) -> None:
    october.remove("inv-same")
    october.copy("inv-plain", "41", otherRefNum="other", total=Decimal("30.00"))
    one = summary(october)
    assert one.totals["USD"].billed - one.totals["USD"].held_back == one.totals["USD"].netsuite_now
    assert not one.agrees
    assert (
        "NetSuite still differs from billing in 2 documents, which cancel each other in the totals."
        in page(one)
    )


def test_an_invoice_and_a_credit_memo_that_cancel_each_other_are_not_agreement(
    october: Month, summary: Summarise
) -> None:
    october.invoice("twelve", line("12.00"))
    october.land()
    october.remove("inv-twelve")
    october.remove("cm-back")
    assert not summary(october).agrees


def test_a_document_in_another_currency_counts_there(october: Month, summary: Summarise) -> None:
    october.change("inv-plain", currency="EUR")
    one = summary(october)
    assert not one.agrees
    assert (one.totals["EUR"].netsuite_now, one.totals["EUR"].billed) == (
        Decimal("250.87"),
        Decimal("100.00"),
    )


def test_a_held_back_document_that_netsuite_counts_is_not_agreement(
    october: Month, summary: Summarise
) -> None:
    october.copy("inv-plain", "41", external_id="inv-nobody", otherRefNum="N-nobody", total=Decimal("36.04"))
    assert not summary(october).agrees


def test_what_was_written_and_what_was_not(october: Month, summary: Summarise) -> None:
    def outcome(key: str, state: str, action: str = "create", **more: Any) -> dict[str, Any]:
        made = {
            "period": "2026-10", "plan_id": "p", "operation_key": key, "record": "invoice", "action": action,
            "amount": Decimal(1), "state": state,
        }  # fmt: skip
        return made | more

    outcomes = [
        outcome("1", "written", verified=True),
        outcome("2", "written", verified=True),
        outcome("3", "adopted", verified=False),
        outcome("4", "written", "update", verified=True),
        outcome("5", "written", "delete", verified=True),
        outcome("6", "rejected"),
        outcome("7", "in_doubt"),
        outcome("8", "held"),
        outcome("9", "stale"),
        outcome("10", "waiting"),
        outcome("11", "written", "return", record="billing:journalEntry"),
        outcome("12", "written", "return", record="billing:journalEntry"),
    ]
    frames.replace(october.held, frames.OUTCOMES, "2026-10", frames.rows_frame(frames.OUTCOMES, outcomes))
    one = summary(october)
    assert one.written == {
        ("create", "invoice"): 3,
        ("delete", "invoice"): 1,
        ("update", "invoice"): 1,
        ("return", "billing:journalEntry"): 2,
    }
    assert one.verified == 4
    text = page(one)
    assert "5 writes; 4 read back from NetSuite and found as intended." in text
    assert "3 invoices created" in text
    assert "1 invoice corrected" in text
    assert "1 invoice removed" in text
    assert "Told to billing: 2 journal entries." in text
    for state in ("refused by NetSuite", "outcome unknown", "held by policy", "changed in NetSuite", "wait"):
        assert f"1 {state}" in text or state in text


def test_where_billing_alone_was_told_nothing_was_sent(october: Month, summary: Summarise) -> None:
    told = {
        "period": "2026-10", "plan_id": "p", "operation_key": "1", "record": "billing:invoice", "action": "return",
        "amount": Decimal(0), "state": "written", "verified": True,
    }  # fmt: skip
    frames.replace(october.held, frames.OUTCOMES, "2026-10", frames.rows_frame(frames.OUTCOMES, [told]))
    text = page(summary(october))
    assert "Nothing was sent to NetSuite." in text
    assert "0 writes" not in text


def test_a_plan_that_was_not_sent_is_told(october: Month, summary: Summarise, ledger: Ledger) -> None:
    october.remove("inv-plain")
    october.reconcile()
    make_plan(october.held, october.rules.tenant, october.rules.mapping, "2026-10", ledger, utc_now())
    one = summary(october)
    assert one.planned == 1
    assert "1 operation planned, none sent." in page(one)


def test_many_exceptions_are_grouped_and_the_first_named(october: Month, summary: Summarise) -> None:
    for number in range(9):
        october.invoice(f"anon{number}", line("1.00"), customer_id=None)
    october.land()
    text = page(summary(october))
    assert "10 invoices, USD 45.04: the billing document names no customer." in text
    assert "N-anon0, N-anon1, N-anon2, N-anon3, N-anon4, N-anon5 and 4 more" in text


def test_what_was_accepted_is_counted_with_its_amount_beside_what_is_open(
    october: Month, summary: Summarise, ledger: Ledger
) -> None:
    october.invoice("anon", line("5.00"), customer_id=None)
    october.land()
    summary(october)
    now = PUBLISHED_AT
    [first, second] = ledger.exceptions("acme", now)
    lapses = now + timedelta(days=9)
    accepted = second if second.number == "N-anon" else first
    ledger.accept_exceptions("acme", [accepted.id], "known", lapses.date(), lapses, "Ada", now)
    text = page(summary(october))
    assert "Accepted for now: 1 invoice, USD 5.00." in text
    assert "1 invoice, USD 36.04: the billing document names no customer" in text
    ledger.accept_exceptions("acme", [first.id, second.id], "known", lapses.date(), lapses, "Ada", now)
    one = summary(october)
    assert (len(one.exceptions), len(one.accepted)) == (0, 2)
    text = page(one)
    assert "Accepted for now: 2 invoices, USD 41.04. " in text
    assert "to the cent, but for what is held back: EUR 100.00" in text


def test_it_is_told_since_when_the_oldest_is_open(
    october: Month, summary: Summarise, published: Publish, warehouse: Warehouse, ledger: Ledger
) -> None:
    assert "names no customer. N-nobody" in page(summary(october))
    publish(warehouse, october.held, ledger, PUBLISHED_AT + timedelta(days=9))
    [later] = read_summaries(warehouse.published_path, "2026-10", ["acme"])
    assert "names no customer (for 9 days). N-nobody" in page(later)


STRANGE = "[/bold] [red]x [link=http://x]"


def test_what_people_typed_is_shown_as_they_typed_it(
    october: Month, summary: Summarise, ledger: Ledger
) -> None:
    """Square brackets are no markup."""
    october.change("inv-plain", memo=STRANGE)
    october.invoice("odd", line("1.00"), number=STRANGE, customer_id=None)
    october.invoice("odd2", line("1.00"), number=STRANGE)
    october.land()
    october.change("inv-plain", memo=STRANGE)
    october.remove("inv-odd2")
    text = page(summary(october))
    assert f"NetSuite has {STRANGE}." in text
    assert f"N-nobody, {STRANGE}" in text

    make_plan(october.held, october.rules.tenant, october.rules.mapping, "2026-10", ledger, utc_now())
    console = Console(record=True, width=300, file=StringIO())
    print_plan(console, october.held, ledger, "2026-10")
    assert console.export_text().count(STRANGE) == 2


# Where there is nothing


def test_before_the_first_publication_there_is_no_page(warehouse: Warehouse) -> None:
    with pytest.raises(WarehouseError, match="nothing is published yet") as told:
        read_summaries(warehouse.published_path, "2026-10")
    assert str(warehouse.published_path) in str(told.value)


@pytest.mark.parametrize(("tenant", "period"), [("acme", "2026-12"), ("nobody", "2026-10")])
def test_a_month_that_was_never_run_is_not_called_in_agreement(
    october: Month, published: Publish, warehouse: Warehouse, tenant: str, period: str
) -> None:
    published(october)
    with pytest.raises(WarehouseError, match=f"nothing is published yet of {tenant} for {period}"):
        read_summaries(warehouse.published_path, period, [tenant])


def test_all_tenants_of_a_month_are_summarised(
    october: Month, retail_month: Month, published: Publish, warehouse: Warehouse
) -> None:
    retail_month.land()
    retail_month.reconcile()
    october.reconcile()
    published(october)
    published(retail_month)
    assert [one.tenant for one in read_summaries(warehouse.published_path, "2026-10")] == ["acme"]
    [empty] = read_summaries(warehouse.published_path, "2010-12", ["retail"])
    assert (empty.records, empty.agrees) == ([], True)
