"""Numbers and tables as people read them: exact, with the currency's places, and nothing typed breaks a table."""

from __future__ import annotations

from decimal import Decimal

import pytest

from netsuite_assets.tell import count, markdown, money, moneys


@pytest.mark.parametrize(
    ("amount", "currency", "shown"),
    [
        ("1234567.5", "EUR", "EUR 1,234,567.50"),
        ("-3.00", "USD", "USD -3.00"),
        ("1234.0000", "JPY", "JPY 1,234"),
        ("1.5", "KWD", "KWD 1.500"),
        ("7", None, "7.00"),
        ("0.0001", "USD", "USD 0.0001"),
        ("0.5", "JPY", "JPY 0.5"),
        ("99999999999999.9999", "USD", "USD 99,999,999,999,999.9999"),
        ("1E+3", "USD", "USD 1,000.00"),
        ("0.0000", "USD", "USD 0.00"),
    ],
)
def test_an_amount_has_its_currencys_places_and_loses_none(
    amount: str, currency: str | None, shown: str
) -> None:
    assert money(Decimal(amount), currency) == shown


def test_amounts_of_several_currencies_stay_apart() -> None:
    assert moneys({"USD": Decimal(2), "EUR": Decimal(1)}) == "EUR 1.00; USD 2.00"
    assert moneys({}) == "–"


def test_counts_agree_in_number() -> None:
    assert [count(1, "invoice"), count(1204, "invoice"), count(0, "entry", "entries")] == [
        "1 invoice",
        "1,204 invoices",
        "0 entries",
    ]


def test_a_table_keeps_its_shape_whatever_stands_in_it() -> None:
    shown = markdown(
        ["Name", ">Amount", "Held"], [["a|b\n<script>\\", 1204, True], [None, Decimal("1.50"), False]]
    )
    assert shown.splitlines() == [
        "| Name | Amount | Held |",
        "| :-- | --: | :-- |",
        r"| a\|b &lt;script>\\ | 1,204 | yes |",
        "|  | 1.50 | no |",
    ]


def test_a_long_table_says_what_it_leaves_out() -> None:
    shown = markdown(["Name"], [[str(number)] for number in range(1070)], limit=20)
    assert shown.splitlines()[-1] == "… and 1,050 more."
    assert shown.count("\n| ") == 21
    assert markdown(["Name"], []) == "Nothing."
    assert markdown(["Name"], [["a"]], more=1204).splitlines()[-1] == "… and 1,204 more."
