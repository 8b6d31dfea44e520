"""Each kind of test, passing and failing, over a real DuckDB file; and how an answer reads."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from decimal import Decimal

import pytest
from check_tools import MONTH, Asks
from hypothesis import given, settings
from hypothesis import strategies as st

from dbt_like_checks.claims import NotNull, literal, quote
from dbt_like_checks.declared import Declared
from dbt_like_checks.questions import Answer, Question, Table, ask, ask_all
from resources.warehouse import TenantWarehouse

# The test, a statement that breaks it, and the first rows that are then shown.
CASES = [
    (
        "currency: not_null",
        "UPDATE billing.invoices SET currency = NULL WHERE id = '1'",
        [("A-1", None)],
    ),
    ("number: unique", "UPDATE billing.invoices SET number = 'A-2' WHERE id = '1'", [("A-2", 2)]),
    (
        "currency: {accepted_values: {values: [EUR, USD]}}",
        "UPDATE billing.invoices SET currency = 'GBP' WHERE id = '2'",
        [("A-2", "GBP")],
    ),
    (
        'currency: {matches: {pattern: "^[A-Z]{3}$"}}',
        "UPDATE billing.invoices SET currency = 'eur' WHERE id = '1'",
        [("A-1", "eur")],
    ),
    (
        "total: not_negative",
        "UPDATE billing.invoices SET total = -0.0001 WHERE id = '1'",
        [("A-1", Decimal("-0.0001"))],
    ),
    (
        "total: {between: {min: 10.00, max: 1234.50}}",
        "UPDATE billing.invoices SET total = total + 0.0001 WHERE id = '2'",
        [("A-2", Decimal("1234.5001"))],
    ),
    (
        'issued_on: {between: {max: "2026-10-31"}}',
        "UPDATE billing.invoices SET issued_on = '2026-11-01' WHERE id = '2'",
        [("A-2", date(2026, 11, 1))],
    ),
    (
        "id: {relationships: {to: billing.invoice_lines, field: invoice_id}}",
        "DELETE FROM billing.invoice_lines WHERE invoice_id = '2'",
        [("A-2", "2")],
    ),
    (
        "unique_combination: {columns: [number, currency]}",
        "INSERT INTO billing.invoices VALUES ('3', 'A-1', 'EUR', 1, '2026-10-02', '2026-10')",
        [("A-1", "EUR", 2)],
    ),
    (
        "expression: {name: dated, that: \"strftime(issued_on, '%Y-%m') = period\"}",
        "UPDATE billing.invoices SET issued_on = '2026-11-01' WHERE id = '2'",
        [("A-2", date(2026, 11, 1), "2026-10")],
    ),
    ("not_empty", "DELETE FROM billing.invoices WHERE period = '2026-10'", [(0,)]),
    (
        "total_equals: {total: total, key: id, lines: billing.invoice_lines, lines_key: invoice_id}",
        "UPDATE billing.invoice_lines SET amount = 6.01 WHERE id = '1-2'",
        [("A-1", Decimal("10.0000"), Decimal("10.0100"), Decimal("-0.0100"))],
    ),
    (
        "proven: {proofs: meta.proofs, of: invoices, key: id, amounts: [total]}",
        "DELETE FROM billing.invoices WHERE id = '2'",
        [("greatest key", "2", "1"), ("rows", "2", "1"), ("sum of total", "1244.5000", "10.0000")],
    ),
]


@pytest.mark.parametrize(("test", "breaks", "rows"), CASES, ids=[case[0].split(":")[0] for case in CASES])
def test_a_sound_table_passes_and_a_broken_one_shows_its_rows(
    asked: Asks, working_file: TenantWarehouse, test: str, breaks: str, rows: list[tuple[object, ...]]
) -> None:
    before = asked(test)
    assert (before.passed, before.problem, before.rows) == (True, None, ())

    working_file.connection.execute(breaks)
    after = asked(test)
    assert not after.passed
    assert after.problem is None
    assert after.failing == len(rows)
    assert list(after.rows) == rows
    assert len(after.headings) == len(rows[0])


@pytest.mark.parametrize("test", [case[0] for case in CASES if case[0] != "not_empty"])
def test_a_fault_in_another_month_is_not_this_months(
    asked: Asks, working_file: TenantWarehouse, test: str
) -> None:
    working_file.connection.execute(
        "INSERT INTO billing.invoices VALUES ('8', 'A-9', 'gbp', -1, '2030-01-01', '2026-11'),"
        " ('8', 'A-9', 'gbp', -1, '2030-01-01', '2026-11'), ('7', 'A-7', NULL, 0, NULL, '2026-11')"
    )
    assert asked(test).passed


@pytest.mark.parametrize(
    "test",
    [
        "currency: unique",
        "currency: {accepted_values: {values: [EUR]}}",
        'currency: {matches: {pattern: "^E"}}',
        "total: not_negative",
        "total: {between: {min: 1}}",
        "currency: {relationships: {to: billing.customers, field: name}}",
        "expression: {name: positive, that: total > 0}",
    ],
)
def test_empty_values_are_left_to_not_null(asked: Asks, working_file: TenantWarehouse, test: str) -> None:
    working_file.connection.execute("UPDATE billing.invoices SET currency = NULL, total = NULL")
    assert asked(test).passed
    assert not asked("currency: not_null").passed


def test_where_narrows_the_rows(asked: Asks, working_file: TenantWarehouse) -> None:
    working_file.connection.execute("UPDATE billing.invoices SET number = NULL")
    assert asked("number: {not_null: {where: \"currency = 'EUR'\"}}").failing == 1
    assert asked("number: not_null").failing == 2


def test_or_in_where_cannot_reach_other_months(asked: Asks, working_file: TenantWarehouse) -> None:
    working_file.connection.execute("UPDATE billing.invoices SET number = NULL")
    assert asked("number: {not_null: {where: \"currency = 'USD' OR currency = 'EUR'\"}}").failing == 2


def test_nought_is_not_negative(asked: Asks, working_file: TenantWarehouse) -> None:
    working_file.connection.execute("UPDATE billing.invoices SET total = 0")
    assert asked("total: not_negative").passed


def test_a_relationship_looks_in_the_same_month_unless_told_otherwise(
    asked: Asks, working_file: TenantWarehouse
) -> None:
    working_file.connection.execute("UPDATE billing.invoice_lines SET period = '2026-09' WHERE id = '2-1'")
    to = "to: billing.invoice_lines, field: invoice_id"
    assert asked(f"id: {{relationships: {{{to}}}}}").failing == 1
    assert asked(f"id: {{relationships: {{{to}, any_period: true}}}}").passed


def test_a_tolerance_is_inclusive(asked: Asks, working_file: TenantWarehouse) -> None:
    test = "total_equals: {total: total, key: id, lines: billing.invoice_lines, lines_key: invoice_id, tolerance: 0.01}"
    working_file.connection.execute("UPDATE billing.invoices SET total = 10.01 WHERE id = '1'")
    assert asked(test).passed
    working_file.connection.execute("UPDATE billing.invoices SET total = 10.0101 WHERE id = '1'")
    assert asked(test).failing == 1


def test_a_header_without_lines_has_the_sum_nought(asked: Asks, working_file: TenantWarehouse) -> None:
    working_file.connection.execute("DELETE FROM billing.invoice_lines WHERE invoice_id = '2'")
    answer = asked(
        "total_equals: {total: total, key: id, lines: billing.invoice_lines, lines_key: invoice_id}"
    )
    assert answer.rows == (("A-2", Decimal("1234.5000"), Decimal("0.0000"), Decimal("1234.5000")),)


def test_a_whole_table_is_asked_in_every_month(
    declared: Callable[[str], Declared], working_file: TenantWarehouse
) -> None:
    checks = declared(
        """
        models:
          - name: billing.invoices
            asset: billing_invoices
            whole: true
            columns: [{name: currency, tests: [unique]}]
        """
    )
    answer = ask(checks.questions[0], working_file, "1999-01")
    assert answer.rows == (("EUR", 2),)


def test_ten_rows_are_shown_and_all_are_counted(asked: Asks, working_file: TenantWarehouse) -> None:
    working_file.connection.execute(
        "INSERT INTO billing.invoices SELECT i::VARCHAR, 'B-' || i, 'eur', i, '2026-10-05', '2026-10'"
        " FROM range(100, 1600) t(i)"
    )
    answer = asked('currency: {matches: {pattern: "^[A-Z]{3}$"}}')
    assert (answer.failing, len(answer.rows)) == (1500, 10)
    assert answer.rows[0] == ("B-100", "eur")
    assert answer.markdown().endswith("… and 1,490 more.")
    assert (
        answer.sentence()
        == "1,500 rows break this: The `currency` of each invoice has the form `^[A-Z]{3}$`."
    )


def test_failing_rows_read_as_a_markdown_table(asked: Asks, working_file: TenantWarehouse) -> None:
    working_file.connection.execute(
        "UPDATE billing.invoices SET total = -1234567.5, number = 'A|<b>1</b>' || chr(10) || '*' WHERE id = '1'"
    )
    answer = asked("total: not_negative")
    assert answer.markdown().splitlines() == [
        "| number | total |",
        "| :-- | --: |",
        r"| A\|\<b\>1\</b\> \* | -1,234,567.50 |",
    ]
    assert answer.sentence() == "1 row breaks this: The `total` of each invoice is zero or more."


def test_columns_without_a_number_stand_to_the_left(asked: Asks, working_file: TenantWarehouse) -> None:
    working_file.connection.execute("UPDATE billing.invoices SET currency = NULL WHERE id = '1'")
    assert asked("currency: not_null").markdown().splitlines()[1:] == ["| :-- | :-- |", "| A-1 | – |"]


def test_several_questions_are_answered_in_order_with_one_look_at_each_table(
    declared: Callable[[str], Declared], working_file: TenantWarehouse
) -> None:
    looked: list[str] = []

    class Counting:
        sql = staticmethod(working_file.sql)

        def columns(self, table: str) -> dict[str, str]:
            looked.append(table)
            return working_file.columns(table)

    checks = declared(
        """
        models:
          - name: billing.invoices
            asset: billing_invoices
            tests: [not_empty]
            columns: [{name: currency, tests: [not_null, unique]}, {name: id, tests: [unique]}]
        """
    )
    answers = ask_all(checks.questions, Counting(), "2026-11")
    assert [answer.question.name for answer in answers] == [question.name for question in checks.questions]
    assert all(answer.passed for answer in answers)
    assert looked == ["billing.invoices"]


def test_an_absent_table_fails_and_says_what_to_do(
    asked: Asks, working_file: TenantWarehouse, declared: Callable[[str], Declared]
) -> None:
    working_file.connection.execute("DROP TABLE billing.invoices")
    answer = asked("number: not_null")
    assert not answer.passed
    assert (
        answer.problem == "there is no table billing.invoices. Materialize the asset billing_invoices first."
    )


def test_an_absent_optional_table_passes_with_a_note(
    declared: Callable[[str], Declared], working_file: TenantWarehouse
) -> None:
    checks = declared(
        """
        models:
          - name: billing.payments
            asset: billing_payments
            optional: true
            columns: [{name: id, tests: [not_null]}]
          - name: billing.invoices
            asset: billing_invoices
            columns: [{name: id, tests: [relationships: {to: billing.payments, field: id}]}]
        """
    )
    for question in checks.questions:
        answer = ask(question, working_file, MONTH)
        assert answer.passed
        assert answer.note is not None
        assert answer.note.startswith("this tenant's source has no such table")


def test_an_absent_column_fails_with_the_nearest_name(asked: Asks) -> None:
    answer = asked("curency: not_null")
    assert not answer.passed
    assert answer.problem is not None
    assert "billing.invoices has no column 'curency'. Did you mean 'currency'?" in answer.problem
    assert "checks.yaml:" in answer.problem


def test_a_question_that_duckdb_refuses_fails_in_its_words(asked: Asks) -> None:
    answer = asked("expression: {name: odd, that: issued_on > total}")
    assert not answer.passed
    assert answer.problem is not None
    assert "Binder Error" in answer.problem


def test_the_query_of_an_answer_gives_its_rows_again(asked: Asks, working_file: TenantWarehouse) -> None:
    working_file.connection.execute("UPDATE billing.invoices SET total = -1 WHERE id = '1'")
    answer = asked("total: not_negative")
    assert answer.sql is not None
    assert working_file.sql(answer.sql) == list(answer.rows)


_TEXT = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]))


@settings(deadline=None, max_examples=50)
@given(
    text=_TEXT,
    number=st.decimals(allow_nan=False, allow_infinity=False, places=4, max_value=10**12, min_value=0),
)
def test_names_and_values_reach_duckdb_as_they_are(text: str, number: Decimal) -> None:
    import duckdb

    with duckdb.connect() as connection:
        name = f"c{text}"
        row = connection.execute(f"SELECT {literal(text)} AS {quote(name)}, {literal(number)} = ?", [number])
        assert row.description is not None
        assert row.description[0][0] == name
        assert row.fetchone() == (text, True)


@settings(deadline=None, max_examples=50)
@given(values=st.lists(_TEXT, min_size=1, max_size=3))
def test_no_value_breaks_the_table_it_is_shown_in(values: list[str]) -> None:
    question = Question("n", Table("billing.x", "billing_x", "x"), NotNull("c"), "checks.yaml:1")
    headings = tuple(f"h{place}" for place in range(len(values)))
    answer = Answer(question, MONTH, failing=1, headings=headings, rows=(tuple(values),))
    lines = answer.markdown().split("\n")
    assert len(lines) == 3
    assert lines[2].replace("\\\\", "").replace("\\|", "").count("|") == len(values) + 1


PROVEN = "proven: {proofs: meta.proofs, of: invoices, key: id, amounts: [total]}"


@pytest.mark.parametrize(
    ("breaks", "figures"),
    [
        (
            "INSERT INTO billing.invoices SELECT * FROM billing.invoices WHERE id = '1'",
            ["rows", "sum of total"],
        ),
        ("UPDATE billing.invoices SET total = total + 0.01 WHERE id = '1'", ["sum of total"]),
        ("UPDATE billing.invoices SET id = '3' WHERE id = '1'", ["greatest key", "least key"]),
        ("DELETE FROM meta.proofs", ["greatest key", "least key", "rows", "sum of total"]),
        ("UPDATE meta.proofs SET sums = '{}'", ["sum of total"]),
        ("DELETE FROM meta.proofs WHERE table_name = 'payments' OR period = '2026-11'", []),
    ],
)
def test_what_landed_is_held_against_what_the_source_counted(
    asked: Asks, working_file: TenantWarehouse, breaks: str, figures: list[str]
) -> None:
    working_file.connection.execute(breaks)
    answer = asked(PROVEN)
    assert [row[0] for row in answer.rows] == figures
    assert answer.problem is None


def test_a_month_in_which_there_is_nothing_is_proven_by_nothing(
    asked: Asks, working_file: TenantWarehouse
) -> None:
    working_file.connection.execute("DELETE FROM billing.invoices; DELETE FROM meta.proofs")
    assert asked(PROVEN).passed


def test_the_claim_of_a_proof_reads_as_a_sentence(asked: Asks) -> None:
    assert asked(PROVEN).sentence() == (
        "There is one row for each invoice that the source counted, the same least and greatest key, and the same sum of"
        " `total`."
    )
