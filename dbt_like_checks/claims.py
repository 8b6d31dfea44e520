"""What a table can be tested for: a closed set of claims, each with the SQL of the rows that break it.

Here: one class a test of the YAML (its fields are the options that the YAML takes), its sentence and its SQL.
Not here: which tables are tested for what (`declared.py`), or asking (`questions.py`).

The SQL reads two relations that the question provides: `tested`, the rows under test, and `other`, those of the
table that `other()` names. Empty values are `not_null`'s matter: every other claim passes over them.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import ClassVar, Final

#: What Python's regular expressions have and RE2 does not: looking around, and back.
_NOT_RE2: Final = re.compile(r"\(\?(=|!|<[=!])|\\[1-9]")

Scalar = str | int | Decimal | bool


@dataclass(frozen=True)
class Sql:
    """The text of a boolean expression as it is written, and where: `file:line`."""

    text: str
    place: str

    @property
    def compiled(self) -> str:
        """The expression, parsed and written anew; raises `ConditionError` for anything else."""
        from dbt_like_checks.conditions import condition

        return condition(self.text).sql

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns it reads; raises as `compiled` does."""
        from dbt_like_checks.conditions import condition

        return condition(self.text).columns


@dataclass(frozen=True)
class Failing:
    """A query for the rows that break a claim, and a heading for each of its columns."""

    sql: str
    headings: tuple[str, ...]


@dataclass(frozen=True)
class Claim(ABC):
    """A statement about each row of a table."""

    kind: ClassVar[str]

    @abstractmethod
    def sentence(self, each: str) -> str:
        """The claim in words, without a full stop; `each` is what a row is called."""

    @abstractmethod
    def failing(self, show: Sequence[str]) -> Failing:
        """The rows that break it; `show` are columns by which people know a row."""

    @abstractmethod
    def reads(self) -> tuple[str, ...]:
        """The columns of the tested table that it needs."""

    def other(self) -> tuple[str, tuple[str, ...]] | None:
        """The other table that it compares with, and the columns that it needs there."""
        return None

    def complaint(self) -> str | None:
        """What is wrong with these options taken together."""
        return None


@dataclass(frozen=True)
class ColumnClaim(Claim):
    """A claim about one column; stands under that column's `tests`."""

    column: str

    def reads(self) -> tuple[str, ...]:
        return (self.column,)

    def _rows(self, show: Sequence[str], condition: str) -> Failing:
        return _rows([*show, self.column], condition)


@dataclass(frozen=True)
class NotNull(ColumnClaim):
    kind = "not_null"

    def sentence(self, each: str) -> str:
        return f"The `{self.column}` of each {each} is filled in"

    def failing(self, show: Sequence[str]) -> Failing:
        return self._rows(show, f"{quote(self.column)} IS NULL")


@dataclass(frozen=True)
class Unique(ColumnClaim):
    kind = "unique"

    def sentence(self, each: str) -> str:
        return f"The `{self.column}` of each {each} occurs once"

    def failing(self, show: Sequence[str]) -> Failing:
        return _repeated([self.column], f" WHERE {quote(self.column)} IS NOT NULL")


@dataclass(frozen=True)
class AcceptedValues(ColumnClaim):
    kind = "accepted_values"
    values: tuple[Scalar, ...]

    def sentence(self, each: str) -> str:
        return f"The `{self.column}` of each {each} is one of: {', '.join(map(str, self.values))}"

    def failing(self, show: Sequence[str]) -> Failing:
        return self._rows(show, f"{quote(self.column)} NOT IN ({', '.join(map(literal, self.values))})")


@dataclass(frozen=True)
class Matches(ColumnClaim):
    """The pattern is searched for (DuckDB's RE2): anchor it with ^ and $ to mean the whole value."""

    kind = "matches"
    pattern: str

    def complaint(self) -> str | None:
        if _NOT_RE2.search(self.pattern):
            return f"`{self.pattern}` looks around or back, which DuckDB's patterns (RE2) cannot"
        try:
            re.compile(self.pattern)
        except re.error as error:
            return f"`{self.pattern}` is no regular expression: {error}"
        return None

    def sentence(self, each: str) -> str:
        return f"The `{self.column}` of each {each} has the form `{self.pattern}`"

    def failing(self, show: Sequence[str]) -> Failing:
        value = f"CAST({quote(self.column)} AS VARCHAR)"
        return self._rows(show, f"NOT regexp_matches({value}, {literal(self.pattern)})")


@dataclass(frozen=True)
class NotNegative(ColumnClaim):
    kind = "not_negative"

    def sentence(self, each: str) -> str:
        return f"The `{self.column}` of each {each} is zero or more"

    def failing(self, show: Sequence[str]) -> Failing:
        return self._rows(show, f"{quote(self.column)} < 0")


@dataclass(frozen=True)
class Between(ColumnClaim):
    """Both bounds are inclusive and one may be absent. A date is written 'YYYY-MM-DD'."""

    kind = "between"
    min: Scalar | None = None
    max: Scalar | None = None

    def complaint(self) -> str | None:
        return "say `min`, `max` or both" if self.min is None and self.max is None else None

    def sentence(self, each: str) -> str:
        bounds = (("at least", self.min), ("at most", self.max))
        told = " and ".join(f"{word} {bound}" for word, bound in bounds if bound is not None)
        return f"The `{self.column}` of each {each} is {told}"

    def failing(self, show: Sequence[str]) -> Failing:
        bounds = (("<", self.min), (">", self.max))
        outside = [
            f"{quote(self.column)} {sign} {literal(bound)}" for sign, bound in bounds if bound is not None
        ]
        return self._rows(show, " OR ".join(outside))


@dataclass(frozen=True)
class Relationships(ColumnClaim):
    """Looks in the same month of the other table when both have months, unless `any_period`."""

    kind = "relationships"
    to: str
    field: str
    any_period: bool = False

    def sentence(self, each: str) -> str:
        return f"The `{self.column}` of each {each} is the `{self.field}` of a row of {self.to}"

    def failing(self, show: Sequence[str]) -> Failing:
        value = f"tested.{quote(self.column)}"
        found = f"SELECT 1 FROM other WHERE other.{quote(self.field)} = {value}"
        return self._rows(show, f"{value} IS NOT NULL AND NOT EXISTS ({found})")

    def other(self) -> tuple[str, tuple[str, ...]]:
        return self.to, (self.field,)


@dataclass(frozen=True)
class UniqueCombination(Claim):
    """Rows in which all the columns are alike, empty ones included, are repeated."""

    kind = "unique_combination"
    columns: tuple[str, ...]

    def sentence(self, each: str) -> str:
        names = [f"`{name}`" for name in self.columns]
        return f"The combination of {' and '.join(names)} of each {each} occurs once"

    def failing(self, show: Sequence[str]) -> Failing:
        return _repeated(self.columns)

    def reads(self) -> tuple[str, ...]:
        return self.columns


@dataclass(frozen=True)
class Expression(Claim):
    """As in a CHECK constraint of SQL, a row for which the expression gives NULL passes."""

    kind = "expression"
    that: Sql

    def sentence(self, each: str) -> str:
        return f"For each {each}: `{self.that.text}`"

    def failing(self, show: Sequence[str]) -> Failing:
        return _rows([*show, *self.that.columns], f"NOT ({self.that.compiled})")

    def reads(self) -> tuple[str, ...]:
        return self.that.columns


@dataclass(frozen=True)
class NotEmpty(Claim):
    kind = "not_empty"

    def sentence(self, each: str) -> str:
        return f"There is at least one {each}"

    def failing(self, show: Sequence[str]) -> Failing:
        return Failing("SELECT count(*) FROM tested HAVING count(*) = 0", ("rows",))

    def reads(self) -> tuple[str, ...]:
        return ()


@dataclass(frozen=True)
class TotalEquals(Claim):
    """`total` of each header against the sum of `amount` over the rows of `lines` whose `lines_key` is its `key`.

    `tolerance` is in the document's currency and inclusive. A header without lines has the sum 0.
    """

    kind = "total_equals"
    total: str
    key: str
    lines: str
    lines_key: str
    amount: str = "amount"
    tolerance: Decimal = Decimal(0)

    def complaint(self) -> str | None:
        return "`tolerance` cannot be negative" if self.tolerance < 0 else None

    def sentence(self, each: str) -> str:
        within = f", within {self.tolerance}" if self.tolerance else ""
        return f"The `{self.total}` of each {each} is the sum of `{self.amount}` in {self.lines}{within}"

    def failing(self, show: Sequence[str]) -> Failing:
        names = tuple(dict.fromkeys([*show, self.total]))
        total, summed = f"tested.{quote(self.total)}", "coalesce(summed.amount, 0)"
        return Failing(
            f"SELECT {_columns(names)}, {summed}, {total} - {summed} FROM tested"
            f" LEFT JOIN (SELECT {quote(self.lines_key)} AS key, sum({quote(self.amount)}) AS amount"
            f" FROM other GROUP BY ALL) AS summed ON summed.key = tested.{quote(self.key)}"
            f" WHERE abs({total} - {summed}) > {self.tolerance:f}",
            (*names, "sum of lines", "difference"),
        )

    def reads(self) -> tuple[str, ...]:
        return (self.total, self.key)

    def other(self) -> tuple[str, tuple[str, ...]]:
        return self.lines, (self.lines_key, self.amount)


@dataclass(frozen=True)
class Proven(Claim):
    """The rows are as many as their source counted itself, with the same least and greatest key and the same sums.

    `proofs` is a table with a row a set: `table_name` (here `of`), `rows`, `low`, `high`, and `sums`, a JSON object from
    column to sum as text. `key` is the column of whole-number keys, `amounts` are decimal columns that were added up.
    """

    kind = "proven"
    proofs: str
    of: str
    key: str = ""
    amounts: tuple[str, ...] = ()

    def sentence(self, each: str) -> str:
        keys = ", the same least and greatest key" if self.key else ""
        sums = (
            f", and the same sum of {' and of '.join(f'`{name}`' for name in self.amounts)}"
            if self.amounts
            else ""
        )
        return f"There is one row for each {each} that the source counted{keys}{sums}"

    def failing(self, show: Sequence[str]) -> Failing:
        figures = {"rows": ("coalesce(sum(rows), 0)", "count(*)")}
        if self.key:
            key = f"CAST({quote(self.key)} AS BIGINT)"
            figures |= {
                "least key": ("min(low)", f"min({key})"),
                "greatest key": ("max(high)", f"max({key})"),
            }
        for name in self.amounts:
            path = literal(f"$.{name}")
            counted = f"sum(CAST(json_extract_string(sums, {path}) AS DECIMAL(38,4)))"
            figures[f"sum of {name}"] = (counted, f"CAST(sum({quote(name)}) AS DECIMAL(38,4))")
        proofs = f"(SELECT * FROM other WHERE table_name = {literal(self.of)})"
        compared = " UNION ALL ".join(
            f"SELECT {literal(figure)} AS figure, (SELECT CAST({counted} AS VARCHAR) FROM {proofs}) AS counted,"
            f" (SELECT CAST({here} AS VARCHAR) FROM tested) AS here"
            for figure, (counted, here) in figures.items()
        )
        return Failing(
            f"SELECT figure, counted, here FROM ({compared}) WHERE counted IS DISTINCT FROM here",
            ("figure", "counted at the source", "here"),
        )

    def reads(self) -> tuple[str, ...]:
        return (*([self.key] if self.key else []), *self.amounts)

    def other(self) -> tuple[str, tuple[str, ...]]:
        return self.proofs, ("table_name", "rows", "low", "high", "sums")


COLUMN_CLAIMS: Final[Mapping[str, type[ColumnClaim]]] = {
    claim.kind: claim
    for claim in (NotNull, Unique, AcceptedValues, Matches, NotNegative, Between, Relationships)
}
TABLE_CLAIMS: Final[Mapping[str, type[Claim]]] = {
    claim.kind: claim for claim in (UniqueCombination, Expression, NotEmpty, TotalEquals, Proven)
}


# `resources.warehouse` quotes alike, but imports DuckDB, which is too slow for where checks are defined.


def quote(name: str) -> str:
    """A DuckDB identifier, quoted."""
    return '"' + name.replace('"', '""') + '"'


def literal(value: Scalar) -> str:
    """A DuckDB literal."""
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, str):
        return "'" + value.replace("'", "''") + "'"
    return f"{value:f}" if isinstance(value, Decimal) else str(value)


def _columns(names: Sequence[str]) -> str:
    return ", ".join(f"tested.{quote(name)}" for name in names)


def _rows(names: Sequence[str], condition: str) -> Failing:
    headings = tuple(dict.fromkeys(names))
    return Failing(f"SELECT {_columns(headings)} FROM tested WHERE {condition}", headings)


def _repeated(names: Sequence[str], where: str = "") -> Failing:
    return Failing(
        f"SELECT {_columns(names)}, count(*) FROM tested{where} GROUP BY ALL HAVING count(*) > 1",
        (*names, "rows"),
    )
