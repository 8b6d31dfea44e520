"""Signs, shifted dates, rounding, joins and limits: against plain Python, on values that bite."""

from __future__ import annotations

import calendar
import json
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mapping_tools import SETTINGS, Account, invoice_rules, mapping, mistakes, tenant

from netsuite_assets.mapping.compiler import compile_mapping
from netsuite_assets.mapping.currencies import PLACES

_SETTINGS = settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
_AMOUNTS = st.decimals(min_value=-(10**13), max_value=10**13, places=4, allow_nan=False)
_PRICES = st.decimals(min_value=-(10**9), max_value=10**9, places=12, allow_nan=False)
_TIES = st.builds(
    lambda whole, places, sign: sign * (Decimal(whole) / 10**places + Decimal(5) / 10 ** (places + 1)),
    st.integers(0, 10**6), st.integers(0, 3), st.sampled_from([1, -1]),
)  # fmt: skip


@pytest.fixture(scope="module")
def held() -> Iterator[Account]:
    made = Account()
    yield made
    made.con.close()


def _values(
    tmp_path: Path, held: Account, rules: dict[str, Any], invoices: list[dict[str, Any]], *names: str
) -> list[tuple[Any, ...]]:
    held.clear()
    for number, invoice in enumerate(invoices):
        held.invoice(f"{number:04}", **invoice)
    held.fill(mapping(tmp_path, invoice_rules(rules)))
    rows = held.expected("invoices")
    assert [row["problem"] for row in rows] == [None] * len(invoices)
    return [tuple(row[name] for name in names) for row in rows]


# Signs


@_SETTINGS
@given(amounts=st.lists(_AMOUNTS, min_size=1, max_size=8))
def test_signs(tmp_path: Path, held: Account, amounts: list[Decimal]) -> None:
    signs = ("negate", "absolute", "positive_part", "negative_part")
    rules = {
        f"custbody_{kind}_{sign}": {"from": source, "type": kind, "sign": sign}
        for sign in signs
        for kind, source in (("amount", "total"), ("rate", "total"), ("quantity", "metadata.n"))
    }
    invoices = [{"total": value, "metadata": json.dumps({"n": f"{value:f}"})} for value in amounts]
    found = _values(tmp_path, held, rules, invoices, *rules)
    for value, row in zip(amounts, found, strict=True):
        told = [-value, abs(value), value if value > 0 else None, -value if value < 0 else None]
        assert list(row) == [one for one in told for _ in range(3)]


def test_a_part_that_is_not_there_is_an_empty_field_and_what_is_no_number_a_problem(
    tmp_path: Path, account: Account
) -> None:
    account.invoice("1", metadata='{"n": "-5"}')
    account.invoice("2", metadata='{"n": "five"}')
    rules = {"custbody_n": {"from": "metadata.n", "type": "amount", "sign": "positive_part", "default": "1"}}
    account.fill(mapping(tmp_path, invoice_rules(rules)))
    absent, wrong = account.expected("invoices")
    assert (absent["problem"], absent["custbody_n"]) == (None, Decimal(1))
    assert wrong["problem"] == (
        "Invoice INV-2: custbody_n: 'five' is not an amount with at most 14 digits and 4 decimals."
    )


# Rounding


@_SETTINGS
@given(
    amounts=st.lists(st.one_of(_AMOUNTS, _TIES), min_size=1, max_size=8),
    prices=st.lists(st.one_of(_PRICES, _TIES), min_size=8, max_size=8),
    places=st.integers(0, 6),
)
def test_numbers_are_rounded_half_up(
    tmp_path: Path, held: Account, amounts: list[Decimal], prices: list[Decimal], places: int
) -> None:
    rules = {
        "custbody_a": {"from": "total", "type": "amount", "round": min(places, 4)},
        "custbody_p": {"from": "metadata.p", "type": "rate", "round": places},
    }
    invoices = [
        {"total": amount, "metadata": json.dumps({"p": f"{price:f}"})}
        for amount, price in zip(amounts, prices, strict=False)
    ]
    found = _values(tmp_path, held, rules, invoices, *rules)
    for invoice, row in zip(invoices, found, strict=True):
        price = Decimal(json.loads(invoice["metadata"])["p"])
        assert row == (_half_up(invoice["total"], min(places, 4)), _half_up(price, places))


def _half_up(value: Decimal, places: int) -> Decimal:
    """Away from zero on a tie, as accountants round."""
    return value.quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP)


@_SETTINGS
@given(
    bills=st.lists(
        st.tuples(st.sampled_from(["USD", "JPY", "KWD", "CLF", "EUR", "ISK"]), st.one_of(_AMOUNTS, _TIES)),
        min_size=1,
        max_size=8,
    )
)
def test_amounts_are_rounded_to_their_currency(
    tmp_path: Path, held: Account, bills: list[tuple[str, Decimal]]
) -> None:
    rules = {
        "custbody_a": {"from": "total", "type": "amount", "round": "currency"},
        "custbody_m": {"from": "metadata.m", "type": "amount", "round": "currency", "sign": "negate"},
    }
    invoices = [
        {"currency": code, "total": value, "metadata": json.dumps({"m": f"{value / 1000:f}"})}
        for code, value in bills
    ]
    found = _values(tmp_path, held, rules, invoices, *rules)
    assert found == [
        (_half_up(value, PLACES[code]), -_half_up(value / 1000, PLACES[code])) for code, value in bills
    ]


def test_known_roundings(tmp_path: Path, held: Account) -> None:
    """The classics, so that the oracle above is not the only one who says so."""
    bills = [
        ("USD", "1.005"),
        ("USD", "-1.005"),
        ("JPY", "1.5"),
        ("JPY", "-0.5"),
        ("KWD", "1.0005"),
        ("EUR", "2.6750"),
    ]
    rules = {"custbody_a": {"from": "total", "type": "amount", "round": "currency"}}
    invoices = [{"currency": code, "total": Decimal(value)} for code, value in bills]
    assert [str(row[0]) for row in _values(tmp_path, held, rules, invoices, "custbody_a")] == [
        "1.0100", "-1.0100", "2.0000", "-1.0000", "1.0010", "2.6800",
    ]  # fmt: skip


def test_a_currency_that_is_not_known_is_a_problem_until_the_file_says_its_places(
    tmp_path: Path, account: Account
) -> None:
    account.invoice(currency="XTS", total=Decimal("1.2345"))
    account.invoice("501", currency="ISK", total=Decimal("1.25"))
    records = invoice_rules({"custbody_a": {"from": "total", "type": "amount", "round": "currency"}})
    account.fill(mapping(tmp_path, records))
    unknown, icelandic = account.expected("invoices")
    assert unknown["problem_code"] == "invalid_value"
    assert unknown["problem"] == (
        "Invoice INV-500: custbody_a is to be rounded in a currency whose decimal places are not known."
    )
    assert icelandic["custbody_a"] == Decimal(1)
    own = {**SETTINGS, "currency_precision": {"XTS": 3, "ISK": 2}, "records": records}
    account.fill(compile_mapping(tenant(tmp_path, {}, json.dumps(own))))
    known, icelandic = account.expected("invoices")
    assert (known["problem"], known["custbody_a"]) == (None, Decimal("1.235"))
    assert icelandic["custbody_a"] == Decimal("1.25")


# Dates


def _months_later(day: date, months: int) -> date:
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    return date(year, month + 1, min(day.day, calendar.monthrange(year, month + 1)[1]))


def _shifted(day: date, steps: list[dict[str, Any]]) -> date:
    for step in steps:
        day = _months_later(day, step.get("months", 0)) + timedelta(days=step.get("days", 0))
        if step.get("end_of_month"):
            day = day.replace(day=calendar.monthrange(day.year, day.month)[1])
    return day


_STEP = st.fixed_dictionaries(
    {},
    optional={
        "months": st.integers(-40, 40),
        "days": st.integers(-800, 800),
        "end_of_month": st.just(True),
    },
)


@_SETTINGS
@given(
    days=st.lists(st.dates(date(1990, 1, 1), date(2090, 12, 31)), min_size=1, max_size=8),
    steps=st.lists(_STEP, min_size=1, max_size=3),
)
def test_dates_are_shifted(
    tmp_path: Path, held: Account, days: list[date], steps: list[dict[str, Any]]
) -> None:
    rules = {
        "dueDate": {"from": "issued_on", "shift": steps},
        "custbody_d": {"from": "metadata.d", "type": "date", "shift": steps if len(steps) > 1 else steps[0]},
    }
    invoices = [{"issued_on": day, "metadata": json.dumps({"d": day.isoformat()})} for day in days]
    found = _values(tmp_path, held, rules, invoices, *rules)
    assert found == [(_shifted(day, steps), _shifted(day, steps)) for day in days]


def test_the_end_of_february_is_shifted_as_people_expect(tmp_path: Path, held: Account) -> None:
    cases = [
        (date(2024, 1, 31), [{"months": 1}], date(2024, 2, 29)),
        (date(2026, 1, 31), [{"months": 1}], date(2026, 2, 28)),
        (date(2024, 2, 29), [{"months": 12}], date(2025, 2, 28)),
        (date(2026, 1, 31), [{"months": 1}, {"months": 1}], date(2026, 3, 28)),
        (date(2026, 10, 3), [{"days": 30, "end_of_month": True}], date(2026, 11, 30)),
        (date(2026, 10, 3), [{"end_of_month": True}, {"days": 15}], date(2026, 11, 15)),
        (date(2026, 3, 1), [{"days": -1}], date(2026, 2, 28)),
    ]
    for day, steps, expected in cases:
        assert _shifted(day, steps) == expected
        assert _values(tmp_path, held, {"dueDate": {"from": "issued_on", "shift": steps}}, [{"issued_on": day}], "dueDate") == [(expected,)]  # fmt: skip


# Periods


def _periods(account: Account) -> None:
    for internal_id, month in (("9", 9), ("10", 10), ("11", 11)):
        last = calendar.monthrange(2026, month)[1]
        account.insert(
            "netsuite.periods",
            {
                "internal_id": internal_id,
                "start_date": date(2026, month, 1),
                "end_date": date(2026, month, last),
            },
        )


def test_the_period_that_contains_a_date_is_found(tmp_path: Path, account: Account) -> None:
    _periods(account)
    account.insert(
        "netsuite.periods",
        {"internal_id": "11b", "start_date": date(2026, 11, 20), "end_date": date(2026, 11, 30)},
    )
    account.invoice("1", issued_on=date(2026, 10, 1))
    account.invoice("2", issued_on=date(2026, 10, 31))
    account.invoice("3", issued_on=date(2026, 12, 1))
    account.invoice("4", issued_on=date(2026, 11, 25))
    period = {"from": "issued_on", "lookup": "accountingPeriod", "by": "date"}
    before = {**period, "shift": {"months": -1, "end_of_month": True}}
    mapped = mapping(tmp_path, invoice_rules({"postingPeriod": period, "custbody_p": before}))
    assert mapped.lists == {"item"}
    account.fill(mapped)
    first, last, outside, doubtful = account.expected("invoices")
    assert (first["postingPeriod"], first["custbody_p"]) == ("10", "9")
    assert (last["postingPeriod"], last["custbody_p"]) == ("10", "9")
    assert json.loads(first["via"])["postingPeriod"] == "date"
    assert (outside["postingPeriod"], outside["problem_code"]) == (None, "unresolved_reference")
    assert outside["problem"] == (
        "Invoice INV-3: postingPeriod: NetSuite has no accounting period that contains 2026-12-01."
        " Invoice INV-3: custbody_p: several accounting periods of NetSuite contain 2026-11-30."
    )
    assert doubtful["problem_code"] == "ambiguous_reference"
    assert mapped.body("invoice", first, only={"postingPeriod"}, with_lines=False) == {
        "postingPeriod": {"id": "10"}
    }


def test_a_text_that_is_no_date_has_no_period(tmp_path: Path, account: Account) -> None:
    _periods(account)
    account.invoice("1", metadata='{"d": "soon"}')
    account.invoice("2", metadata='{"d": "2026-10-05"}')
    account.invoice("3")
    rule = {"from": "metadata.d", "lookup": "accountingPeriod", "by": "date"}
    account.fill(mapping(tmp_path, invoice_rules({"postingPeriod": rule})))
    bad, good, absent = account.expected("invoices")
    assert bad["problem"] == "Invoice INV-1: postingPeriod: 'soon' is not a date (YYYY-MM-DD)."
    assert (good["problem"], good["postingPeriod"]) == (None, "10")
    assert (absent["problem"], absent["postingPeriod"]) == (None, None)


# Joins


_PART = st.one_of(st.none(), st.text(st.characters(exclude_categories=("Cc", "Cs")), max_size=4))
_SEPARATOR = st.text(st.characters(exclude_categories=("Cc", "Cs", "Zl", "Zp")), max_size=3).filter(
    lambda text: "${" not in text and "\ufffe" not in text and "\uffff" not in text
)


@_SETTINGS
@given(parts=st.lists(st.tuples(_PART, _PART, _PART), min_size=1, max_size=6), separator=_SEPARATOR)
def test_values_are_joined_and_absent_ones_left_out(
    tmp_path: Path, held: Account, parts: list[tuple[str | None, str | None, str | None]], separator: str
) -> None:
    rules = {"message": {"join": ["memo", "po_number", "metadata.a"], "separator": separator}}
    invoices = [{"memo": a, "po_number": b, "metadata": json.dumps({"a": c})} for a, b, c in parts]
    found = _values(tmp_path, held, rules, invoices, "message")
    assert [row[0] for row in found] == [separator.join(filter(None, given)) or None for given in parts]


def _text(value: Any) -> str | None:
    """A value as people write it."""
    if isinstance(value, Decimal):
        return f"{value.normalize():f}" if value else "0"
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%dT%H:%M:%SZ}"
    return None if value in (None, "") else str(value)


@_SETTINGS
@given(
    bills=st.lists(
        st.tuples(
            _AMOUNTS,
            st.dates(date(1900, 1, 1), date(2999, 12, 31)),
            st.one_of(st.none(), st.datetimes(datetime(1990, 1, 1), datetime(2090, 1, 1))),  # noqa: DTZ001
            st.one_of(st.none(), st.sampled_from(["", "x", "{y}", " "])),
        ),
        min_size=1,
        max_size=6,
    )
)
def test_a_template_prints_every_kind_of_value_or_nothing(
    tmp_path: Path, held: Account, bills: list[tuple[Decimal, date, datetime | None, str | None]]
) -> None:
    rules = {
        "message": {"template": "{{{total}}} {issued_on}|{updated_at}|{memo}"},
        "memo": {"join": ["total", "issued_on", "updated_at", "memo"], "separator": "|"},
    }
    invoices = [
        {
            "total": total,
            "issued_on": day,
            "updated_at": instant and instant.replace(tzinfo=UTC),
            "memo": memo,
        }
        for total, day, instant, memo in bills
    ]
    found = _values(tmp_path, held, rules, invoices, *rules)
    for bill, (message, joined) in zip(bills, found, strict=True):
        texts = [_text(value) for value in bill]
        whole = None not in texts
        assert message == ("{{{}}} {}|{}|{}".format(*texts) if whole else None)
        assert joined == "|".join(text for text in texts if text is not None)


def test_a_join_prints_numbers_and_dates_as_a_template_does(tmp_path: Path, account: Account) -> None:
    account.invoice(total=Decimal("12.5"), due_on=None)
    rules = {
        "message": {"join": ["number", "total", "issued_on", "due_on"]},
        "memo": {"join": ["memo", "po_number"], "default": "none"},
    }
    row = account.one(mapping(tmp_path, invoice_rules(rules)))
    assert (row["message"], row["memo"]) == ("INV-500, 12.5, 2026-10-03", "none")


# Limits


def test_what_is_too_long_is_a_problem_unless_it_may_be_cut(tmp_path: Path, account: Account) -> None:
    account.invoice("1", memo="12345", number="ABCDE")
    account.invoice("2", memo="123456", number="ABCDEF")
    rules = {
        "memo": {"from": "memo", "max_length": 5},
        "otherRefNum": {"from": "number", "max_length": 5, "cut": True},
    }
    mapped = mapping(tmp_path, invoice_rules(rules))
    account.fill(mapped)
    fits, exceeds = account.expected("invoices")
    assert (fits["problem"], fits["warning"], fits["memo"], fits["otherRefNum"]) == (
        None,
        None,
        "12345",
        "ABCDE",
    )
    assert (exceeds["memo"], exceeds["otherRefNum"], exceeds["problem_code"]) == (
        None,
        "ABCDE",
        "invalid_value",
    )
    assert (
        exceeds["problem"]
        == "Invoice ABCDEF: memo: '123456' has more than the 5 characters that it may have."
    )
    assert exceeds["next_step"] == (
        f"Shorten it in billing, or allow the rule in {mapped.records['invoice'].fields[1].where} to cut it (cut: true)."
    )
    assert exceeds["warning"] == "otherRefNum is cut from 6 to 5 characters."


def test_too_many_decimals_are_a_problem_unless_they_may_be_rounded(tmp_path: Path, account: Account) -> None:
    account.invoice("1", lines=[{"quantity": Decimal("1.25"), "unit_amount": Decimal("0.125")}])
    account.invoice("2", lines=[{"quantity": Decimal("1.255"), "unit_amount": Decimal("0.1255")}])
    rules = {
        "quantity": {"from": "quantity", "max_decimals": 2, "cut": True},
        "rate": {"from": "unit_amount", "max_decimals": 3},
    }
    account.fill(mapping(tmp_path, invoice_rules(lines=rules)))
    fits, exceeds = account.expected("invoice_lines")
    assert (fits["problem"], fits["warning"], fits["quantity"], fits["rate"]) == (
        None,
        None,
        Decimal("1.25"),
        Decimal("0.125"),
    )
    assert (exceeds["quantity"], exceeds["rate"]) == (Decimal("1.26"), None)
    assert exceeds["warning"] == "quantity is rounded from 1.255 to 2 decimals."
    assert (
        exceeds["problem"]
        == "Invoice INV-2, line 1: rate: 0.1255 has more than the 3 decimals that it may have."
    )
    assert account.expected("invoices")[1]["problem_code"] == "invalid_value"


@_SETTINGS
@given(
    texts=st.lists(
        st.text(st.characters(exclude_categories=("Cc", "Cs")), min_size=1, max_size=12),
        min_size=1,
        max_size=6,
    )
)
def test_a_cut_text_is_the_beginning_of_the_whole(tmp_path: Path, held: Account, texts: list[str]) -> None:
    rules = {"memo": {"from": "memo", "max_length": 4, "cut": True}}
    found = _values(tmp_path, held, rules, [{"memo": text} for text in texts], "memo", "warning")
    assert found == [
        (text[:4], f"memo is cut from {len(text)} to 4 characters." if len(text) > 4 else None)
        for text in texts
    ]


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ({"from": "memo", "sign": "negate"}, "'sign' is for numbers, and memo is text"),
        ({"from": "memo", "round": 2}, "'round' is for numbers, and memo is text"),
        ({"from": "issued_on", "shift": {"days": 1}}, "'shift' is for dates, and memo is text"),
        ({"from": "memo", "max_decimals": 2}, "'max_decimals' is for numbers, and memo is text"),
        ({"from": "memo", "cut": True}, "'cut' says to cut at a limit; give 'max_length' or 'max_decimals'"),
        ({"value": "too long", "max_length": 5}, "'too long' is longer than max_length 5"),
        ({"from": "memo", "default": "too long", "max_length": 5}, "'too long' is longer than max_length 5"),
        ({"from": "memo", "separator": "-"}, "'separator' stands between the values of 'join'"),
        ({"join": ["memo", "nummber"]}, "billing invoices have no 'nummber'; did you mean 'number'?"),
        ({"join": ["memo"], "value": "x"}, "this rule has value and join; one of them gives the value"),
        ({"empty": True, "default": "x"}, "a field that stays empty has no default"),
    ],
)  # fmt: skip
def test_a_mistake_in_a_text_rule_is_told(tmp_path: Path, rule: dict[str, Any], expected: str) -> None:
    assert mistakes(tmp_path, invoice_rules({"memo": rule})) == [expected]


@pytest.mark.parametrize(
    ("field", "rule", "expected"),
    [
        ("tranDate", {"from": "issued_on", "sign": "negate"}, "'sign' is for numbers, and tranDate is date"),
        ("tranDate", {"value": "2026-10-01", "shift": {"days": 1}}, "'shift' needs a date out of 'from'"),
        ("tranDate", {"from": "issued_on", "max_length": 5}, "'max_length' is for texts, and tranDate is date"),
        ("exchangeRate", {"value": 1, "sign": "negate"}, "'sign' needs a number out of 'from'"),
        ("exchangeRate", {"from": "issued_on", "round": 2}, "'round' needs a number out of 'from'"),
        ("exchangeRate", {"value": "1.2345", "max_decimals": 2}, "'1.2345' has more decimals than max_decimals 2"),
        ("terms", {"from": "terms", "lookup": "term", "by": "date"}, "'by: date' finds the period of a date: use 'lookup: accountingPeriod'"),
        ("postingPeriod", {"from": "total", "lookup": "accountingPeriod", "by": "date"}, "a period is looked up by a date, not by amount"),
        ("postingPeriod", {"from": "issued_on", "lookup": "accountingPeriod", "by": ["date", "name"]}, "the period that contains a date is found by that alone, without a default"),
        ("postingPeriod", {"from": "issued_on", "lookup": "accountingPeriod", "shift": {"days": 1}}, "'shift' is for dates, and postingPeriod is reference"),
        ("postingPeriod", {"value": "soon", "lookup": "accountingPeriod", "by": "date"}, "'soon' is not a date such as 2026-10-31"),
    ],
)  # fmt: skip
def test_a_mistake_in_a_computed_rule_is_told(
    tmp_path: Path, field: str, rule: dict[str, Any], expected: str
) -> None:
    assert mistakes(tmp_path, invoice_rules({field: rule})) == [expected]
