"""A signed month is watched: what changes the month opens it again, to the cent and by name; what does not, does not."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from close_tools import Desk, mapped
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from month import Month, line

from netsuite_assets.close.changes import Changes, summed
from netsuite_assets.close.figures import read_documents
from netsuite_assets.close.sign_off import figures_of, prepare, review, withdraw
from netsuite_assets.extract.trails import DELETED, DELETED_RECORDS, NOTES, SYSTEM_NOTES
from resources.ledger import LastingException, LedgerError

USD, EUR = "USD", "EUR"


def exceptions(desk: Desk) -> list[LastingException]:
    return [one for one in desk.ledger.exceptions("acme", desk.now) if one.stage == "sign_off"]


def note(month: Month, external_id: str, by: str, at: str, zone: str = "America/Los_Angeles") -> None:
    """NetSuite's note on a change, at a local time of the account."""
    month.held.ensure_table(NOTES, SYSTEM_NOTES)
    month.sql(
        f"INSERT INTO {NOTES} (period, record, internal_id, note_no, changed_at, time_zone, changed_by, field)"
        f" SELECT ?, 'invoice', ?, 1 + (SELECT count(*) FROM {NOTES}), ?, ?, ?, 'AMOUNT'",
        [month.period, month.internal_id(external_id), at, zone, by],
    )


# What does not change a month


@pytest.mark.parametrize(
    "values",
    [
        {"remaining": Decimal(0), "status": "B", "last_modified": "2026-11-20 10:00:00"},
        {"name": "Nordwind Limited"},
        {"memo": "October usage "},
    ],
    ids=["a payment", "the customer's new name", "an outer space"],
)
def test_a_month_stays_signed_when_only_what_moves_by_itself_moved(
    signed: Desk, values: dict[str, Any]
) -> None:
    signed.month.change("inv-plain", **values)
    found = signed.look()
    assert (found.state, found.changes) == ("signed off", [])
    assert len(signed.events()) == 2


# What does


CHANGES: list[tuple[Callable[[Month], None], str, dict[str, str], str]] = [
    (lambda m: m.change("inv-plain", total=Decimal("170.87")), "inv-plain", {USD: "20.00"},
     "NetSuite: total 150.87 → 170.87"),
    (lambda m: m.change("inv-plain", memo="another"), "inv-plain", {USD: "0"},
     "NetSuite: memo October usage → another"),
    (lambda m: m.change("inv-plain", memo=None), "inv-plain", {USD: "0"}, "memo October usage → nothing"),
    (lambda m: m.change("inv-plain", cseg_product="2"), "inv-plain", {USD: "0"}, "cseg_product 1 → 2"),
    (lambda m: m.change("inv-plain", entity="cus-c2"), "inv-plain", {USD: "0"}, "entity cus-c1 → cus-c2"),
    (lambda m: m.change_line("inv-plain", 1, amount=Decimal("90.00")), "inv-plain", {USD: "-10.00"},
     "NetSuite: total 150.87 → 140.87, lines as signed → otherwise"),
    (lambda m: m.change_line("inv-plain", 1, description="else"), "inv-plain", {USD: "0"},
     "NetSuite: lines as signed → otherwise"),
    (lambda m: m.remove_line("inv-plain", 3), "inv-plain", {USD: "-0.37"},
     "total 150.87 → 150.50, number of lines 3 → 2"),
    (lambda m: m.change("inv-plain", dated_in="2026-11", tranDate=date(2026, 11, 2)), "inv-plain",
     {USD: "-150.87"}, "month 2026-10 → 2026-11, tranDate 2026-10-15 → 2026-11-02"),
    (lambda m: m.change("inv-plain", currency="EUR"), "inv-plain", {USD: "-150.87", EUR: "150.87"},
     "currency USD → EUR"),
    (lambda m: m.remove("inv-euro"), "inv-euro", {EUR: "-80.00"}, "NetSuite had it then and has it no more"),
    (lambda m: m.copy("inv-plain", "41", external_id="inv-late"), "inv-late", {USD: "150.87"},
     "NetSuite has it now and had it not then"),
    (lambda m: m.change("cm-back", total=Decimal("13.00")), "cm-back", {USD: "1.00"}, "total 12.00 → 13.00"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "external_id", "deltas", "told"), CHANGES)
def test_a_document_that_changed_in_netsuite_opens_the_month_again(
    signed: Desk,
    change: Callable[[Month], None],
    external_id: str,
    deltas: dict[str, str],
    told: str,
) -> None:
    change(signed.month)
    found = signed.look()
    [changed] = found.changes
    assert (changed.side, changed.external_id) == ("netsuite", external_id)
    assert changed.deltas == {currency: Decimal(delta) for currency, delta in deltas.items()}
    assert told in changed.told
    assert found.state == "re-opened"
    reopened = signed.events()[-1]
    assert (reopened.kind, reopened.by, reopened.at) == ("reopened", "run nightly-", signed.now)
    assert "it no longer ties with what was signed: 1 document" in reopened.note
    assert Changes.model_validate_json(reopened.changes or "") == summed(found.changes)
    [exception] = exceptions(signed)
    moved = max((abs(Decimal(delta)) for delta in deltas.values()), default=Decimal(0))
    assert (exception.code, exception.external_id) == ("changed_after_sign_off", external_id)
    assert exception.amount == moved
    assert "prepared by Ada, reviewed by Bob on 2026-11-01" in exception.reason
    assert changed.told in exception.reason


def test_a_bill_that_changed_in_billing_opens_the_month_again(signed: Desk) -> None:
    [bill] = [row for row in signed.month.books.rows["invoices"] if row["id"] == "plain"]
    bill["total"] = Decimal("155.87")
    signed.month.invoice("late", line("7.00"), customer_id="c1")
    signed.month.map_billing()
    found = signed.look()
    assert [(one.side, one.number, one.told) for one in found.changes] == [
        ("billing", "N-late", "billing has it now and had it not then."),
        ("billing", "N-plain", "billing: total 150.87 → 155.87."),
    ]
    assert summed(found.changes).deltas == {"billing": {USD: Decimal("12.00")}}
    assert found.state == "re-opened"


def test_a_document_that_changed_on_both_sides_is_one_exception(signed: Desk) -> None:
    [bill] = [row for row in signed.month.books.rows["invoices"] if row["id"] == "plain"]
    bill["total"] = Decimal("155.87")
    signed.month.map_billing()
    signed.month.change("inv-plain", total=Decimal("155.87"))
    found = signed.look()
    assert [one.side for one in found.changes] == ["billing", "netsuite"]
    assert summed(found.changes).documents == 1
    [exception] = exceptions(signed)
    assert "billing: total 150.87 → 155.87" in exception.reason
    assert "NetSuite: total 150.87 → 155.87" in exception.reason


# By whom


@pytest.mark.parametrize("zone", ["America/Los_Angeles", "-07:00"])
def test_who_changed_it_since_it_was_signed_is_named(signed: Desk, zone: str) -> None:
    note(signed.month, "inv-plain", "Early Bird", "2026-10-31 22:59:00", zone)  # an hour before it was signed
    note(signed.month, "inv-plain", "Jane Doe", "2026-11-02 09:00:00", zone)
    note(signed.month, "inv-plain", "John Roe", "2026-11-02 11:30:00", zone)
    note(signed.month, "inv-plain", "Jane Doe", "2026-11-02 12:15:00", zone)
    signed.month.change("inv-plain", total=Decimal("151.87"), last_modified="2026-11-02 12:15:00")
    [change] = signed.look().changes
    assert change.changed_by == "Jane Doe, John Roe"
    assert change.changed_at == f"2026-11-02 12:15 {zone}"
    assert "by Jane Doe, John Roe at 2026-11-02 12:15" in change.told


@pytest.mark.parametrize("zone", ["", "nowhere/at-all"])
def test_an_account_whose_zone_is_not_known_names_all_who_changed_it(signed: Desk, zone: str) -> None:
    note(signed.month, "inv-plain", "Early Bird", "2026-10-31 22:59:00", zone)
    signed.month.change("inv-plain", total=Decimal("151.87"))
    [change] = signed.look().changes
    assert change.changed_by == "Early Bird"


def test_where_netsuite_does_not_tell_who_the_time_is_told(signed: Desk) -> None:
    signed.month.change("inv-plain", total=Decimal("151.87"), last_modified="2026-11-02 12:15:00")
    [change] = signed.look().changes
    assert change.changed_by is None
    assert "last modified at 2026-11-02 12:15:00; NetSuite's notes do not tell by whom" in change.told


@pytest.mark.parametrize(("script_id", "named"), [("invoice", True), (None, True), ("customer", False)])
def test_who_deleted_it_is_named(signed: Desk, script_id: str | None, named: bool) -> None:
    internal_id = signed.month.internal_id("inv-euro")
    signed.month.held.ensure_table(DELETED, DELETED_RECORDS)
    signed.month.sql(
        f"INSERT INTO {DELETED} (script_id, type_id, internal_id, deleted_by, deleted_at, time_zone)"
        " VALUES (?, '-30', ?, 'Jane Doe', TIMESTAMP '2026-11-02 12:15:00', 'UTC')",
        [script_id, internal_id],
    )
    signed.month.remove("inv-euro")
    [change] = signed.look().changes
    assert (change.changed_by, change.changed_at) == (
        ("Jane Doe", "2026-11-02 12:15 UTC") if named else (None, None)
    )


# Afterwards


def test_a_month_is_opened_once_and_its_exceptions_follow_what_differs(signed: Desk) -> None:
    signed.month.change("inv-plain", total=Decimal("151.87"))
    signed.look()
    signed.month.change("inv-euro", memo="new")
    signed.look()
    assert [event.kind for event in signed.events()] == ["prepared", "reviewed", "reopened"]
    assert sorted(str(one.external_id) for one in exceptions(signed)) == ["inv-euro", "inv-plain"]
    signed.month.change("inv-plain", total=Decimal("150.87"))
    signed.month.change("inv-euro", memo=None)
    found = signed.look()
    assert exceptions(signed) == []
    # A person decides whether it is signed again.
    assert (found.state, found.changes) == ("re-opened", [])


def test_a_month_signed_anew_ties_with_what_it_holds_now(signed: Desk) -> None:
    signed.month.change("inv-plain", memo="new")
    signed.look()
    number = exceptions(signed)[0].id
    signed.reconcile()
    # What tells that the month changed does not stand in the way of signing it again.
    _, figures = prepare(signed.signing, "Ada", "read again", "known", signed.now)
    assert figures.open.exceptions == 1  # the bill without a customer
    assert exceptions(signed)
    review(signed.signing, "Bob", "read again", "known", signed.now, "run")
    assert exceptions(signed) == []
    assert signed.look().state == "signed off"
    signed.month.change("inv-plain", memo="October usage")
    signed.look()
    [exception] = exceptions(signed)
    assert (exception.id, exception.times_opened) == (number, 2)


def test_a_withdrawn_month_is_not_watched(signed: Desk) -> None:
    signed.month.change("inv-plain", memo="new")
    signed.look()
    withdraw(signed.signing, "Cy", "signed too early", signed.now, "run")
    assert exceptions(signed) == []
    signed.month.change("inv-euro", memo="new")
    found = signed.look()
    assert (found.state, found.changes, exceptions(signed)) == ("withdrawn", [], [])
    assert signed.ledger.signed_months() == []


def test_what_was_signed_and_damaged_since_is_told(signed: Desk) -> None:
    signed.month.change("inv-plain", memo="new")
    with signed.ledger._engine.begin() as connection:
        connection.exec_driver_sql("DROP TRIGGER signed_documents_update")
        connection.exec_driver_sql("UPDATE signed_documents SET content = X'00'")
    with pytest.raises(LedgerError, match="damaged in the ledger"):
        signed.look()


# Another mapping


def test_a_field_that_the_mapping_names_since_does_not_open_the_month(signed: Desk, tmp_path: Path) -> None:
    signed.month.rules = mapped(
        tmp_path, "custbody_subscription_ref:", "custbody_new: {from: id}\n      custbody_subscription_ref:"
    )
    for table in ("invoices",):
        signed.month.sql(f"ALTER TABLE netsuite.{table} ADD COLUMN custbody_new VARCHAR DEFAULT 'x'")
    assert signed.look().changes == []
    signed.month.change("inv-plain", memo="new")
    [change] = signed.look().changes
    assert [one.name for one in change.fields] == ["memo"]


def test_a_field_that_is_not_read_any_more_is_not_compared_and_is_told(signed: Desk) -> None:
    signed.month.sql("ALTER TABLE netsuite.invoices DROP COLUMN memo")
    signed.month.sql("ALTER TABLE netsuite.invoice_lines DROP COLUMN description")
    found = signed.look()
    assert found.changes == []
    assert found.not_compared == ["invoice: description", "invoice: memo"]
    # Credit memos have theirs still.
    signed.month.change("cm-back", memo="new")
    [change] = signed.look().changes
    assert change.external_id == "cm-back"


# To the cent, whatever happens

_DOCUMENTS = ("inv-plain", "inv-same", "inv-euro", "inv-euro2", "cm-back")
_money = st.decimals(min_value=-1000, max_value=100000, places=4)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    totals=st.dictionaries(st.sampled_from(_DOCUMENTS), _money, max_size=4),
    moved=st.sets(st.sampled_from(_DOCUMENTS), max_size=2),
    removed=st.sets(st.sampled_from(_DOCUMENTS), max_size=2),
    currencies=st.dictionaries(st.sampled_from(_DOCUMENTS), st.sampled_from([USD, EUR, "GBP"]), max_size=2),
    late=st.lists(_money, max_size=2),
)
def test_the_changes_add_up_to_what_the_month_moved(
    signed: Desk,
    totals: dict[str, Decimal],
    moved: set[str],
    removed: set[str],
    currencies: dict[str, str],
    late: list[Decimal],
) -> None:
    month, held = signed.month, signed.month.held
    held.connection.execute("BEGIN")
    held._in_transaction = True
    try:
        for number, total in enumerate(late):
            month.copy("inv-plain", f"9{number}", external_id=f"inv-late{number}", total=total)
        for name, total in totals.items():
            month.change(name, total=total)
        for name in moved:
            month.change(name, dated_in="2026-11")
        for name, currency in currencies.items():
            month.change(name, currency=currency)
        for name in removed:
            month.remove(name)
        found = signed.look()
        fields = figures_of(signed.events()[1]).compared
        now = read_documents(held, "2026-10", fields).to_pylist()
    finally:
        held.connection.execute("ROLLBACK")
        held._in_transaction = False

    expected: dict[str, Decimal] = {}
    for sign, rows in ((-1, read_documents(held, "2026-10", fields).to_pylist()), (1, now)):
        for row in rows:
            if row["side"] == "netsuite" and row["month"] == "2026-10":
                expected[row["currency"]] = expected.get(row["currency"], Decimal(0)) + sign * row["total"]
    got = summed(found.changes).deltas.get("netsuite", {})
    assert {name: delta for name, delta in got.items() if delta} == {
        name: delta for name, delta in expected.items() if delta
    }
    assert bool(found.changes) == (now != read_documents(held, "2026-10", fields).to_pylist())
