"""The SQL that a check's YAML may hold: one boolean expression about one row, and nothing that reaches further."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from dbt_like_checks.conditions import ConditionError, condition


@pytest.mark.parametrize(
    ("text", "columns"),
    [
        ("total >= 0", ("total",)),
        ("(total >= 0)", ("total",)),
        ("a = b AND NOT (c IS NULL OR d IN (1, 2))", ("a", "b", "c", "d")),
        ("abs(difference - explained) <= 0.01", ("difference", "explained")),
        ("strftime(issued_on, '%Y-%m') = period", ("issued_on", "period")),
        ("name LIKE 'A!%' ESCAPE '!'", ("name",)),
        ("paid IS NOT DISTINCT FROM due", ("paid", "due")),
        ("total BETWEEN 0 AND 10", ("total",)),
        ("regexp_matches(name, '^x') OR starts_with(name, 'y') OR json_valid(name)", ("name",)),
        ("issued_on - INTERVAL 3 MONTH < due_on", ("issued_on", "due_on")),
        ("CASE WHEN a > 0 THEN b ELSE c END = 1", ("a", "b", "c")),
        ('"custbody weird" IS TRUE', ("custbody weird",)),
        ("metadata ->> 'plan' = 'pro'", ("metadata",)),
        ("false", ()),
        ("total >= 0 -- every one", ("total",)),
    ],
)
def test_a_boolean_expression_over_columns_is_taken(text: str, columns: tuple[str, ...]) -> None:
    assert condition(text).columns == columns


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("total", "is not true or false"),
        ("total + 1", "is not true or false"),
        ("total >= 0; DROP TABLE billing.invoices", "holds 2 expressions"),
        ("", "holds no expression"),
        ("-- nothing", "holds no expression"),
        ("total >=", "cannot be read as SQL"),
        ("total >= 0)", "cannot be read as SQL"),
        ("SELECT 1", "holds a query"),
        ("DROP TABLE billing.invoices", "cannot stand in an expression"),
        ("ATTACH 'other.duckdb'", "cannot stand in an expression"),
        ("COPY billing.invoices TO 'out.csv'", "cannot stand in an expression"),
        ("total IN (SELECT total FROM billing.invoices)", "holds a query"),
        ("EXISTS (SELECT 1 FROM read_csv('/etc/passwd'))", "holds a query"),
        ("id = (FROM 'secret.csv')", "holds a query"),
        ("read_text('/etc/passwd') = 'x'", "calls read_text()"),
        ("getenv('SECRET') = 'x'", "calls getenv()"),
        ("absolute(total) > 0", "calls absolute()"),
        ("sum(total) > 0", "calls sum()"),
        ("row_number() OVER () = 1", "cannot stand in an expression"),
        ("COLUMNS(*) > 1", "calls columns()"),
        ("other.id = id", "without its table"),
        ("total = ?", "cannot stand in an expression"),
        ("total = $period", "cannot stand in an expression"),
        ("total / 3 > 1", "cannot stand in an expression"),
        ("a = 1 AS b", "cannot stand in an expression"),
        ("x = (y := 2)", "cannot stand in an expression"),
        ("list_filter([1], x -> x > 0) = [1]", "calls filter()"),
    ],
)
def test_anything_else_is_refused_with_the_reason(text: str, why: str) -> None:
    with pytest.raises(ConditionError) as raised:
        condition(text)
    assert why in str(raised.value)


def test_an_unknown_function_is_met_with_the_nearest_and_all() -> None:
    with pytest.raises(ConditionError, match=r"Did you mean starts_with\(\)\? It may call: abs, case"):
        condition("start_with(name, 'x')")


def test_a_comment_cannot_swallow_what_follows(tmp_path: Path) -> None:
    with duckdb.connect() as connection:
        sql = condition("a = 1 -- a comment").sql
        assert connection.execute(f"SELECT ({sql}) FROM (SELECT 1 AS a)").fetchone() == (True,)


@pytest.mark.parametrize(
    ("text", "row", "holds"),
    [
        ("total % 2 = 0 AND total <> 3", "SELECT 4 AS total", True),
        ("strftime(d, '%Y-%m') = '2026-10'", "SELECT DATE '2026-10-31' AS d", True),
        ("nullif(trim(t), '') IS NULL", "SELECT '  ' AS t", True),
        ("date_trunc('month', d) = '2026-10-01'", "SELECT DATE '2026-10-31' AS d", True),
        ("regexp_full_match(t, '[A-Z]+')", "SELECT 'Ab' AS t", False),
        ("greatest(a, b, 3) = 3 AND least(a, b) = 1", "SELECT 1 AS a, 2 AS b", True),
        ("m ->> 'plan' = 'pro'", """SELECT '{"plan": "pro"}' AS m""", True),
        ("coalesce(a, 0.01) = 0.01", "SELECT NULL::DECIMAL(18,4) AS a", True),
        ("year(d) = 2026 AND extract(month FROM d) = 10", "SELECT DATE '2026-10-31' AS d", True),
        ("length(upper(t)) = 2 AND lower(t) = 'ab'", "SELECT 'aB' AS t", True),
        ("CAST(t AS DECIMAL(18,4)) = 1.5 AND round(1.25, 1) = 1.3", "SELECT '1.50' AS t", True),
        ("contains(t, 'b') AND ends_with(t, 'c') AND NOT starts_with(t, 'b')", "SELECT 'abc' AS t", True),
        ("json_valid(t)", "SELECT '{' AS t", False),
    ],
)
def test_what_is_written_anew_means_the_same_to_duckdb(text: str, row: str, holds: bool) -> None:
    with duckdb.connect() as connection:
        assert connection.execute(f"SELECT {text} FROM ({row})").fetchone() == (holds,)
        assert connection.execute(f"SELECT {condition(text).sql} FROM ({row})").fetchone() == (holds,)
