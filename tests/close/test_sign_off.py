"""Signing off: two people, the numbers that they saw, and nothing while something is open unless they say why."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from close_tools import Desk, mapped
from month import Month

from netsuite_assets.close.sign_off import (
    SigningMonth,
    SignOffRefused,
    figures_of,
    look,
    prepare,
    review,
    state_of,
    withdraw,
)
from netsuite_assets.publish.mart import publish
from resources.ledger import Ledger, standing_review
from resources.warehouse import IncompleteSlice, Warehouse


def accept_all(desk: Desk) -> None:
    numbers = [one.id for one in desk.ledger.exceptions("acme", desk.now)]
    lapses = desk.now + timedelta(days=30)
    desk.ledger.accept_exceptions("acme", numbers, "known", lapses.date(), lapses, "Ada", desk.now)


# The numbers


def test_what_they_saw_is_kept(desk: Desk) -> None:
    event, figures = prepare(desk.signing, "Ada", "read", "the bill without a customer is a test", desk.now)
    assert (event.kind, event.by, event.note, event.despite, event.sequence) == (
        "prepared", "Ada", "read", "the bill without a customer is a test", 1
    )  # fmt: skip
    assert {(row.record, row.currency): (row.billed_documents, row.billed, row.held_back, row.netsuite_documents,
                                         row.netsuite, row.difference, row.unexplained)
            for row in figures.totals} == {
        ("invoice", "USD"): (3, Decimal("216.91"), Decimal("36.04"), 2, Decimal("180.87"), 0, 0),
        ("invoice", "EUR"): (2, Decimal("100.00"), 0, 2, Decimal("100.00"), 0, 0),
        ("creditMemo", "USD"): (1, Decimal("12.00"), 0, 1, Decimal("12.00"), 0, 0),
    }  # fmt: skip
    assert (figures.open.exceptions, figures.open.amounts) == (1, {"USD": Decimal("36.04")})
    assert (figures.accepted.exceptions, figures.accepted.amounts) == (0, {})
    assert {(part.side, part.record): (part.documents, part.totals) for part in figures.slices} == {
        ("billing", "invoice"): (5, {"USD": Decimal("216.91"), "EUR": Decimal("100.00")}),
        ("billing", "creditMemo"): (1, {"USD": Decimal("12.00")}),
        ("netsuite", "invoice"): (4, {"USD": Decimal("180.87"), "EUR": Decimal("100.00")}),
        ("netsuite", "creditMemo"): (1, {"USD": Decimal("12.00")}),
    }
    [kept] = desk.events()
    assert figures_of(kept) == figures
    assert kept.fingerprint == figures.fingerprint


def test_a_reviewed_month_is_signed_off_and_ties(desk: Desk) -> None:
    prepare(desk.signing, "Ada", "read", "known", desk.now)
    assert state_of(desk.events()) == "prepared"
    event, _ = review(desk.signing, "Bob", "read too", "known", desk.now, "run")
    assert state_of(desk.events()) == "signed off"
    assert event.fingerprint == desk.events()[0].fingerprint
    found = desk.look()
    assert (found.state, found.changes, found.not_compared) == ("signed off", [], [])
    assert desk.ledger.signed_months() == [("acme", "2026-10")]


def test_two_months_with_the_same_figures_have_one_fingerprint_and_others_another(desk: Desk) -> None:
    _, first = prepare(desk.signing, "Ada", "read", "known", desk.now)
    _, again = prepare(desk.signing, "Ada", "read", "known", desk.now + timedelta(hours=1))
    assert again.fingerprint == first.fingerprint
    desk.month.change("inv-plain", memo="wrong")
    desk.reconcile()
    _, other = prepare(desk.signing, "Ada", "read", "known", desk.now)
    assert other.fingerprint != first.fingerprint
    assert other.totals == first.totals


# Two people


@pytest.mark.parametrize("name", ["Ada", " ada ", "ADA"])
def test_who_prepared_cannot_review(desk: Desk, name: str) -> None:
    prepare(desk.signing, "Ada", "read", "known", desk.now)
    with pytest.raises(SignOffRefused, match="was prepared by Ada, who cannot review it as well"):
        review(desk.signing, name, "read", "known", desk.now, "run")
    assert [event.kind for event in desk.events()] == ["prepared"]


def test_a_name_in_other_words_is_the_same(desk: Desk) -> None:
    prepare(desk.signing, "Ada  Lovelace", "read", "known", desk.now)
    with pytest.raises(SignOffRefused, match="another person must"):
        review(desk.signing, "ada lovelace", "read", "known", desk.now, "run")


@pytest.mark.parametrize(
    ("by", "note", "despite", "told"),
    [(" ", "n", None, "your name"), ("Ada", "", None, "a note"), ("Ada", "n", " ", "the reason to sign")],
)
def test_names_and_reasons_must_be_said(
    desk: Desk, by: str, note: str, despite: str | None, told: str
) -> None:
    with pytest.raises(SignOffRefused, match=told):
        prepare(desk.signing, by, note, despite, desk.now)
    with pytest.raises(SignOffRefused, match=told):
        review(desk.signing, by, note, despite, desk.now, "run")
    assert desk.events() == []


# The order of the steps


def test_nothing_is_reviewed_that_was_not_prepared(desk: Desk) -> None:
    with pytest.raises(SignOffRefused, match="is not signed off: there is nothing to review"):
        review(desk.signing, "Bob", "read", "known", desk.now, "run")


def test_what_is_signed_off_is_not_prepared_again_before_it_is_withdrawn(signed: Desk) -> None:
    with pytest.raises(
        SignOffRefused, match=r"signed off already: prepared by Ada, reviewed by Bob on 2026-11-01"
    ):
        prepare(signed.signing, "Cy", "again", "known", signed.now)
    withdraw(signed.signing, "Cy", "a late bill", signed.now, "run")
    assert state_of(signed.events()) == "withdrawn"
    prepare(signed.signing, "Cy", "again", "known", signed.now)
    assert [event.kind for event in signed.events()] == ["prepared", "reviewed", "withdrawn", "prepared"]


def test_only_what_is_there_is_withdrawn(desk: Desk) -> None:
    with pytest.raises(SignOffRefused, match="there is nothing to withdraw"):
        withdraw(desk.signing, "Ada", "why", desk.now, "run")
    prepare(desk.signing, "Ada", "read", "known", desk.now)
    withdraw(desk.signing, "Ada", "too early", desk.now, "run")
    with pytest.raises(SignOffRefused, match="is withdrawn: there is nothing to withdraw"):
        withdraw(desk.signing, "Ada", "why", desk.now, "run")


# Exceptions


def test_open_exceptions_refuse_the_signing_unless_somebody_says_why(desk: Desk) -> None:
    with pytest.raises(SignOffRefused) as refused:
        prepare(desk.signing, "Ada", "read", None, desk.now)
    assert "1 open exception (USD 36.04)" in str(refused.value)
    assert "recon exceptions list acme 2026-10" in str(refused.value)
    prepare(desk.signing, "Ada", "read", "billed anew in November", desk.now)
    with pytest.raises(SignOffRefused, match="1 open exception"):
        review(desk.signing, "Bob", "read", None, desk.now, "run")
    review(desk.signing, "Bob", "read", "agreed with Ada", desk.now, "run")
    assert [event.despite for event in desk.events()] == ["billed anew in November", "agreed with Ada"]


def test_accepted_exceptions_do_not_refuse_it_and_are_counted(desk: Desk) -> None:
    accept_all(desk)
    _, figures = prepare(desk.signing, "Ada", "read", None, desk.now)
    assert (figures.open.exceptions, figures.accepted.exceptions) == (0, 1)
    assert figures.accepted.amounts == {"USD": Decimal("36.04")}
    review(desk.signing, "Bob", "read", None, desk.now, "run")
    withdraw(desk.signing, "Bob", "again", desk.now, "run")
    with pytest.raises(SignOffRefused, match="1 open exception"):
        prepare(desk.signing, "Ada", "read", None, desk.now + timedelta(days=31))


# What is signed is what was compared


def test_a_month_that_was_never_reconciled_cannot_be_signed(october: Month, ledger: Ledger) -> None:
    desk = Desk(october, ledger)
    with pytest.raises(SignOffRefused, match=r"not reconciled yet.*recon reconcile acme 2026-10"):
        prepare(desk.signing, "Ada", "read", "known", desk.now)


def test_a_month_read_again_since_it_was_compared_cannot_be_signed(desk: Desk) -> None:
    desk.month.change("inv-plain", memo="wrong")
    desk.month.prove()
    with pytest.raises(
        SignOffRefused, match=r"was compared on 2026-11-01 06:00 UTC.*recon reconcile acme 2026-10"
    ):
        prepare(desk.signing, "Ada", "read", "known", desk.now)
    desk.reconcile()
    prepare(desk.signing, "Ada", "read", "known", desk.now)


def test_a_month_compared_by_another_mapping_cannot_be_signed(desk: Desk, tmp_path: Path) -> None:
    signing = desk.signing
    other = mapped(
        tmp_path, "terms: {from: terms, lookup: term}", "terms: {from: terms, lookup: term, owner: netsuite}"
    )
    with pytest.raises(SignOffRefused, match="or the mapping says now"):
        prepare(
            SigningMonth(signing.held, signing.ledger, other.tenant, other.mapping, "2026-10"),
            "Ada", "read", "known", desk.now,
        )  # fmt: skip


def test_figures_that_moved_since_they_were_prepared_must_be_prepared_again(desk: Desk) -> None:
    prepare(desk.signing, "Ada", "read", "known", desk.now)
    desk.month.change_line("inv-plain", 1, amount=Decimal("101.00"))
    desk.month.change("cm-back", memo="otherwise")
    desk.reconcile()
    with pytest.raises(SignOffRefused) as refused:
        review(desk.signing, "Bob", "read", "known", desk.now, "run")
    told = str(refused.value)
    assert "is not as Ada prepared it on 2026-11-01" in told
    assert "netsuite's invoice: 4 of EUR 100.00; USD 180.87 then, 4 of EUR 100.00; USD 181.87 now" in told
    assert (
        "netsuite's creditMemo: 1 of USD 12.00 then, the same number and total, with other figures now"
        in told
    )
    prepare(desk.signing, "Ada", "read again", "known", desk.now)
    review(desk.signing, "Bob", "read", "known", desk.now, "run")


def test_a_signed_month_whose_slices_are_gone_is_told(signed: Desk) -> None:
    signed.month.sql("DELETE FROM meta.slices WHERE table_name = 'netsuite.invoices'")
    with pytest.raises(IncompleteSlice, match=r"netsuite\.invoices \(2026-10\)"):
        look(signed.signing, signed.now, "run")


def test_a_month_that_nobody_signed_asks_for_nothing(october: Month, ledger: Ledger) -> None:
    found = look(Desk(october, ledger).signing, Desk(october, ledger).now, "run")
    assert (found.state, found.changes) == ("not signed off", [])


# For analysts


def test_the_mart_tells_who_signed_what(signed: Desk, warehouse: Warehouse) -> None:
    signed.month.change("inv-plain", total=Decimal("160.87"))
    signed.look()
    publish(warehouse, signed.month.held, signed.ledger, signed.now)
    import duckdb

    with duckdb.connect(str(warehouse.published_path), read_only=True) as connection:
        assert connection.execute(
            "SELECT sequence, event, done_by, despite, is_latest, open_exceptions, changed_documents FROM sign_offs"
            " ORDER BY sequence"
        ).fetchall() == [
            (1, "prepared", "Ada", "known", False, 1, None),
            (2, "reviewed", "Bob", "known", False, 1, None),
            (3, "reopened", "run nightly-", None, True, None, 1),
        ]
        assert connection.execute(
            "SELECT tenant, period, billed, netsuite, difference FROM sign_off_totals"
            " WHERE sequence = 2 AND record = 'invoice' AND currency = 'USD'"
        ).fetchall() == [("acme", "2026-10", Decimal("216.91"), Decimal("180.87"), Decimal(0))]


def test_the_review_that_stands_is_the_one_compared_with(signed: Desk) -> None:
    standing = standing_review(signed.events())
    assert standing is not None
    assert (standing.by, standing.sequence) == ("Bob", 2)
