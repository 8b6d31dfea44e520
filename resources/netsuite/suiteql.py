"""SuiteQL as text: values quoted safely, lists kept within bounds, and sets that can be read window by window.

Only the building of queries belongs here (NetSuite REST facts: SuiteQL call, dates, dialect); sending them and
reading pages is in ``pages``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Final

IN_LIST_LIMIT: Final = 1000
"""The most values that SuiteQL takes in one IN list."""

ROW_LIMIT: Final = 100_000
"""The most rows of one query that REST web services give; a larger answer is cut without a word."""

PAGE_LIMIT: Final = 1000
"""The most rows in one page."""

TIME_MODEL: Final = "'YYYY-MM-DD HH24:MI:SS'"
"""The format model in which every date-time is asked for, as a literal."""

Value = str | int | Decimal | date | datetime | bool | None
"""What may stand in a query as a value. A ``datetime`` is naive: local time of the account."""

_TOKENS: Final = re.compile(r"'(?:[^']|'')*'|\"[^\"]*\"|--[^\n]*|/\*.*?\*/|\?", re.DOTALL)
_INTEGER: Final = re.compile(r"-?[0-9]+")


def literal(value: Value) -> str:
    """``value`` as a SuiteQL literal; text cannot break out of its quotes.

    >>> literal("O'Neil"), literal(True), literal(Decimal("1E+2"))
    ("'O''Neil'", "'T'", '100')
    """
    match value:
        case None:
            return "NULL"
        case bool():
            return "'T'" if value else "'F'"
        case int():
            return str(value)
        case Decimal():
            if not value.is_finite():
                raise ValueError(f"{value} is no number that a query can hold.")
            return format(value, "f")
        case datetime():
            if value.tzinfo is not None:
                raise ValueError("Give the account's local time without a zone: SuiteQL knows no other.")
            return f"TO_DATE('{value:%Y-%m-%d %H:%M:%S}', 'YYYY-MM-DD HH24:MI:SS')"
        case date():
            return f"TO_DATE('{value:%Y-%m-%d}', 'YYYY-MM-DD')"
        case str():
            if "\x00" in value:
                raise ValueError("A text with a zero byte cannot stand in a query.")
            return "'" + value.replace("'", "''") + "'"


def bind(query: str, params: Sequence[Value]) -> str:
    """``query`` with each ``?`` outside of quotes and comments replaced by its literal.

    For accounts before release 2026.2, which have no bound parameters. Raises ``ValueError`` when the number of
    placeholders differs from the number of values.
    """
    values = iter(params)
    placeholders = 0

    def fill(token: re.Match[str]) -> str:
        nonlocal placeholders
        if token[0] != "?":
            return token[0]
        placeholders += 1
        return literal(next(values, None))

    filled = _TOKENS.sub(fill, query)
    if placeholders != len(params):
        raise ValueError(f"The query has {placeholders} placeholders and was given {len(params)} values.")
    return filled


def bound(value: Value) -> str:
    """``value`` as a bound parameter, which is always text; dates are refused (write ``TO_DATE(?, …)``)."""
    match value:
        case None:
            raise ValueError("NULL cannot be bound; write IS NULL.")
        case bool():
            return "T" if value else "F"
        case date():
            raise ValueError("A date cannot be bound; write TO_DATE(?, 'YYYY-MM-DD') and give text.")
        case Decimal():
            return format(value, "f")
        case _:
            return str(value)


def in_lists(expression: str, values: Sequence[Value], size: int = IN_LIST_LIMIT) -> Iterator[str]:
    """Conditions ``expression IN (…)`` that together cover ``values``, each within SuiteQL's limit.

    Gives nothing for no values. Run one query for each.
    """
    for start in range(0, len(values), size):
        chunk = ", ".join(literal(value) for value in values[start : start + size])
        yield f"{expression} IN ({chunk})"


@dataclass(frozen=True, slots=True)
class Select:
    """A set of rows that can be read in windows of a unique whole-number key.

    ``columns`` maps each row's key (lower case) to its expression and must hold the ``key``'s own expression
    under some name. ``source`` is what follows FROM, ``where`` what follows WHERE (may be empty). Where several rows
    share a key (the applications of a payment) ``unique`` is false: such a set is ordered by all its columns, and a
    window of keys is read by offset.

    >>> invoices = Select({"id": "t.id", "total": "t.foreigntotal"}, "transaction t", "t.type = 'CustInvc'", key="t.id")
    >>> print(invoices.window(after="48112", size=500))
    SELECT t.id AS id, t.foreigntotal AS total FROM transaction t \
WHERE (t.type = 'CustInvc') AND t.id > 48112 ORDER BY t.id FETCH FIRST 500 ROWS ONLY
    """

    columns: Mapping[str, str]
    source: str
    where: str = ""
    key: str = "t.id"
    unique: bool = True

    def __post_init__(self) -> None:
        if self.key not in self.columns.values():
            raise ValueError(f"The columns do not hold the key {self.key}.")
        if wrong := [name for name in self.columns if name != name.lower()]:
            raise ValueError(f"SuiteQL answers in lower case; write {', '.join(wrong)} so.")

    @property
    def key_name(self) -> str:
        """The name under which the key stands in a row."""
        return next(name for name, expression in self.columns.items() if expression == self.key)

    @property
    def text(self) -> str:
        """The query for the whole set, in order: for people, and to tell one set from another."""
        return f"{self._select()}{_where(self._within())} ORDER BY {self._order()}"

    def window(self, *, after: str | None = None, until: str | None = None, size: int = PAGE_LIMIT) -> str:
        """The query for the next ``size`` rows with a key above ``after`` and at most ``until``.

        Without ``after`` it begins at the lowest key, which may be negative (system rows).
        """
        return f"{self.between(after=after, until=until)} FETCH FIRST {size} ROWS ONLY"

    def between(self, *, after: str | None = None, until: str | None = None) -> str:
        """The query for all rows with a key above ``after`` and at most ``until``, to be read by offset."""
        return f"{self._select()}{_where(self._within(after, until))} ORDER BY {self._order()}"

    def census(
        self, sums: Mapping[str, str] | None = None, *, modified: str = "", bucket: int | None = None
    ) -> str:
        """The query that counts the set: one row, or one for each ``bucket`` of so many consecutive keys.

        A row has ``row_count``, ``distinct_keys``, ``low``, ``high``, ``key_sum``, a sum for each of ``sums`` (name
        to expression) and, when ``modified`` is an expression that prints the last change, ``last_modified`` and
        ``clock``: the server's time (SYSDATE, in its own zone) at which the set was counted.
        Held against the rows that were read, it proves that they are all rows.
        """
        wanted = {
            "row_count": "COUNT(*)",
            "distinct_keys": f"COUNT(DISTINCT {self.key})",
            "low": f"MIN({self.key})",
            "high": f"MAX({self.key})",
            "key_sum": f"SUM({self.key})",
            **{name: f"SUM({expression})" for name, expression in (sums or {}).items()},
        }
        if modified:
            wanted["last_modified"] = f"MAX({modified})"
            wanted["clock"] = f"MAX(TO_CHAR(SYSDATE, {TIME_MODEL}))"
        group = ""
        if bucket is not None:
            expression = f"FLOOR({self.key} / {bucket})"
            wanted = {"bucket": expression, **wanted}
            group = f" GROUP BY {expression} ORDER BY {expression}"
        selected = ", ".join(f"{expression} AS {name}" for name, expression in wanted.items())
        return f"SELECT {selected} FROM {self.source}{_where(self._within())}{group}"

    def _select(self) -> str:
        selected = ", ".join(f"{expression} AS {name}" for name, expression in self.columns.items())
        return f"SELECT {selected} FROM {self.source}"

    def _within(self, after: str | None = None, until: str | None = None) -> list[str]:
        bounds = [f"({self.where})"] if self.where else []
        if after is not None:
            bounds.append(f"{self.key} > {_key(after)}")
        if until is not None:
            bounds.append(f"{self.key} <= {_key(until)}")
        return bounds

    def _order(self) -> str:
        if self.unique:
            return self.key
        # Rows that are alike in every column may change places without harm.
        return ", ".join(dict.fromkeys([self.key, *self.columns.values()]))


def _where(conditions: Sequence[str]) -> str:
    return f" WHERE {' AND '.join(conditions)}" if conditions else ""


def _key(value: str) -> str:
    if not _INTEGER.fullmatch(value):
        raise ValueError(f"'{value}' is not a whole-number key.")
    return value
