"""Questions about a tenant's working file: each is one SQL query that must return no rows.

Here: a claim about a table with its severity and reach, putting it to DuckDB for a month, and the answer.
Not here: what can be claimed (`claims.py`), the YAML (`declared.py`), Dagster (`checks.py`). Pytest and analysts
use this without Dagster:

    with warehouse.open("acme") as database:
        for answer in ask_all(read_folder(Path("dbt_like_checks")).questions, database, "2026-10"):
            print(answer.sentence())

DuckDB is imported when a question is asked.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from functools import cache
from typing import Any, Final, Literal, Protocol

from dbt_like_checks.claims import Claim, ColumnClaim, Relationships, Sql, literal, quote

Severity = Literal["warn", "error"]

#: How many failing rows an answer carries.
SHOWN_ROWS: Final = 10
_CELL: Final = 80

ABSENT: Final = "this tenant's source has no such table, or its mapping no such record"


class Database(Protocol):
    """What a question is put to; `resources.warehouse.TenantWarehouse` is one."""

    def sql(self, query: str, parameters: Iterable[Any] = ()) -> list[tuple[Any, ...]]:
        """All rows of a query."""
        ...

    def columns(self, table: str) -> dict[str, str]:
        """The columns of `schema.name` and their types; empty when there is no such table."""
        ...


@dataclass(frozen=True)
class Table:
    """A table that is tested.

    `asset` materializes it, `each` is what a row is called, `show` the columns by which people know a row. A
    `whole` table is not divided into months, whatever its columns; an `optional` one may be absent.
    """

    name: str
    asset: str
    each: str
    show: tuple[str, ...] = ()
    whole: bool = False
    optional: bool = False


@dataclass(frozen=True)
class Question:
    """One claim about one table. `where` narrows the rows, `compared` is the claim's other table."""

    name: str
    table: Table
    claim: Claim
    place: str
    compared: Table | None = None
    where: Sql | None = None
    severity: Severity = "error"
    blocking: bool = False
    description: str | None = None
    about_column: str | None = None

    def sentence(self) -> str:
        """The claim in words: the author's, or built from the test."""
        if self.description is not None:
            return self.description
        only = f", where `{self.where.text}`" if self.where else ""
        about = ""
        if self.about_column and isinstance(self.claim, ColumnClaim):
            about = f" `{self.claim.column}`: {self.about_column.rstrip('.')}."
        return f"{self.claim.sentence(self.table.each)}{only}.{about}"

    def sql(self, period: str, *, by_period: bool, other_by_period: bool = False) -> str:
        """The query for the failing rows of a month; raises `ConditionError` for SQL that may not run.

        `by_period` and `other_by_period` say whether the two tables have a column `period`.
        """
        month = f"period = {literal(period)}"
        narrowed = [month] if by_period and not self.table.whole else []
        if self.where is not None:
            narrowed.append(f"({self.where.compiled})")
        relations = [_relation("tested", self.table.name, narrowed)]
        if self.compared is not None:
            any_period = isinstance(self.claim, Relationships) and self.claim.any_period
            monthly = by_period and other_by_period and not (self.table.whole or self.compared.whole)
            relations.append(
                _relation("other", self.compared.name, [month] if monthly and not any_period else [])
            )
        return f"WITH {', '.join(relations)}\n{self.claim.failing(self.table.show).sql}"


@dataclass(frozen=True)
class Answer:
    """What became of a question: how many rows fail, and the first of them.

    `problem` says why it could not be asked (it then counts as failed), `note` why there was nothing to ask.
    """

    question: Question
    period: str
    failing: int = 0
    headings: tuple[str, ...] = ()
    rows: tuple[tuple[Any, ...], ...] = ()
    sql: str | None = None
    problem: str | None = None
    note: str | None = None

    @property
    def passed(self) -> bool:
        return self.failing == 0 and self.problem is None

    def sentence(self) -> str:
        """The outcome in a sentence."""
        claim = self.question.sentence()
        if self.problem is not None:
            return f"Could not be asked: {self.problem} (The claim: {claim})"
        if self.note is not None:
            return f"Nothing to ask: {self.note}. (The claim: {claim})"
        if self.passed:
            return claim
        return f"{self.failing:,} {'row breaks' if self.failing == 1 else 'rows break'} this: {claim}"

    def markdown(self) -> str:
        """The first failing rows as a Markdown table; numbers to the right, with thousands separators."""
        if not self.rows:
            return "None."
        numeric = [any(_is_number(row[place]) for row in self.rows) for place in range(len(self.headings))]
        lines = [
            _line([_escaped(heading) for heading in self.headings]),
            _line(["--:" if right else ":--" for right in numeric]),
            *(_line([_cell(value) for value in row]) for row in self.rows),
        ]
        if self.failing > len(self.rows):
            lines.append(f"\n… and {self.failing - len(self.rows):,} more.")
        return "\n".join(lines)


def ask(question: Question, database: Database, period: str) -> Answer:
    """Put a question about a month, 'YYYY-MM', to a tenant's working file.

    Never raises for what the file holds or lacks: a question that cannot be asked is an answer with a `problem`.
    """
    import duckdb

    from dbt_like_checks.conditions import ConditionError

    try:
        found = database.columns(question.table.name)
        compared = database.columns(question.compared.name) if question.compared else {}
        unaskable = _unaskable(question, period, found, compared)
        if unaskable is not None:
            return unaskable
        failing = question.sql(period, by_period="period" in found, other_by_period="period" in compared)
        rows = database.sql(
            f"WITH failing AS ({failing})\nSELECT (SELECT count(*) FROM failing), * FROM failing"
            f" ORDER BY ALL LIMIT {SHOWN_ROWS}"
        )
    except (ConditionError, duckdb.Error) as error:
        return Answer(question, period, problem=str(error).strip())
    return Answer(
        question,
        period,
        failing=rows[0][0] if rows else 0,
        headings=question.claim.failing(question.table.show).headings,
        rows=tuple(row[1:] for row in rows),
        sql=failing,
    )


def ask_all(questions: Iterable[Question], database: Database, period: str) -> list[Answer]:
    """The answers to several questions, in order; each table's columns are looked up once."""
    remembering = _Remembering(database)
    return [ask(question, remembering, period) for question in questions]


class _Remembering:
    """A database whose tables do not change while it is asked."""

    def __init__(self, database: Database) -> None:
        self.sql = database.sql
        self.columns = cache(database.columns)


def _unaskable(
    question: Question, period: str, found: Mapping[str, str], compared: Mapping[str, str]
) -> Answer | None:
    """The answer when a table or a column that the question reads is not there."""
    where = question.where.columns if question.where else ()
    needed = [(question.table, found, (*question.table.show, *question.claim.reads(), *where))]
    other = question.claim.other()
    if question.compared is not None and other is not None:
        needed.append((question.compared, compared, other[1]))
    for table, present, columns in needed:
        if not present:
            if table.optional:
                return Answer(question, period, note=ABSENT)
            problem = f"there is no table {table.name}. Materialize the asset {table.asset} first."
            return Answer(question, period, problem=problem)
        known = {name.lower() for name in present}
        for column in columns:
            if column.lower() not in known:
                problem = (
                    f"{table.name} has no column {column!r}.{nearest(column, present)} ({question.place})"
                )
                return Answer(question, period, problem=problem)
    return None


def nearest(name: str, among: Iterable[str]) -> str:
    """` Did you mean 'x'?` for the right name most like `name`, or nothing."""
    by_lower = {known.lower(): known for known in among}
    close = difflib.get_close_matches(name.lower(), by_lower, n=1, cutoff=0.6)
    return f" Did you mean {by_lower[close[0]]!r}?" if close else ""


def _relation(alias: str, table: str, conditions: list[str]) -> str:
    name = ".".join(quote(part) for part in table.split("."))
    where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
    return f"{alias} AS (SELECT * FROM {name}{where})"


def _is_number(value: Any) -> bool:
    return isinstance(value, int | Decimal) and not isinstance(value, bool)


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _cell(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, Decimal):
        return _money(value)
    if isinstance(value, datetime):
        return value.isoformat(sep=" ", timespec="seconds")
    if isinstance(value, date):
        return value.isoformat()
    text = " ".join(str(value).split())
    return _escaped(text if len(text) <= _CELL else f"{text[: _CELL - 1]}…")


def _money(value: Decimal) -> str:
    """Two decimals at least; more where they are not zero."""
    whole, _, decimals = f"{value:,f}".partition(".")
    return f"{whole}.{decimals.rstrip('0').ljust(2, '0')}"


def _escaped(text: str) -> str:
    """Text that Markdown shows as it is, on one line of a table."""
    return "".join(f"\\{character}" if character in "\\|`*_<>[]" else character for character in text)
