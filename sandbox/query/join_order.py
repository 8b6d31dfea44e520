"""The order in which a SELECT's tables are joined, for pages by key: the table whose key orders the page leads.

SQLite, which knows nothing of the number of rows asked for, would start from an index such as that of the transaction
type, join everything and sort it. Led by the key, it reads the page's rows and stops. The result is the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from sqlglot import exp

from sandbox.query.expressions import Expressions
from sandbox.query.scope import Source, Value

_COARSE = ("type", "postingperiod", "trandate", "account", "item", "lastmodifieddate")
"""Indexed columns whose single value still means many rows, as a rule."""


@dataclass(frozen=True, slots=True)
class Joined:
    """One source of a FROM clause, after the first with how it is joined."""

    source: Source
    sql: str
    left: bool = False
    on: str = ""

    @property
    def text(self) -> str:
        if not self.on:
            return f" CROSS JOIN {self.sql}"
        return f" {'LEFT JOIN' if self.left else 'JOIN'} {self.sql} ON {self.on}"


def as_written(joined: list[Joined]) -> str:
    return joined[0].sql + "".join(join.text for join in joined[1:])


@dataclass(frozen=True, slots=True)
class KeyOrder:
    """A SELECT whose order begins with the key of one of its tables."""

    expressions: Expressions
    joined: list[Joined]
    key: Value
    conjuncts: list[exp.Expr]
    equal: list[tuple[Value, Value]]
    indexes: dict[str, tuple[str, ...]]
    """Index declarations by alias."""
    few: Callable[[Value, str], bool]
    """Whether only few rows have this value (as SQL) in an indexed column."""

    def led(self) -> tuple[str, list[str]] | None:
        """FROM and further conditions with the key's table first; None where that is impossible or would not pay."""
        leader = next((j for j in self.joined if j.source is self.key.source and not j.left), None)
        if leader is None or len(self.joined) == 1 or self._has_better():
            return None
        bound = self._bound()
        order = self._connected(leader)
        if bound is None or order is None:
            return None
        conditions = [join.on for join in order if join.on]
        body = " CROSS JOIN ".join(join.sql for join in order)
        body += "".join(join.text for join in self.joined if join.left)
        return body, conditions + ([bound] if bound else [])

    def _has_better(self) -> bool:
        """Whether another table is narrowed to few rows by an index."""
        for node in self.conjuncts:
            if not isinstance(node, exp.EQ | exp.In) or not isinstance(node.this, exp.Column):
                continue
            value = self.expressions.value(node.this)
            if value.source is None or value.source is self.key.source:
                continue
            others = node.expressions if isinstance(node, exp.In) else [node.expression]
            indexed = (value.source.key, *_leading(self.indexes.get(value.source.alias, ())))
            if value.column not in indexed:
                continue
            if value.column in _COARSE:
                alone = isinstance(node, exp.EQ) and isinstance(node.expression, exp.Literal)
                if alone and self.few(value, self.expressions.sql(node.expression)):
                    return True
            elif isinstance(node, exp.In) or _constant(others):
                return True
        return False

    def _bound(self) -> str | None:
        """Where reading may begin: empty when the query says so itself, None when it nowhere does."""
        implied: str | None = None
        for node in self.conjuncts:
            if not isinstance(node, exp.GT | exp.GTE | exp.LT | exp.LTE | exp.Between):
                continue
            if not isinstance(node.this, exp.Column) or (
                not isinstance(node, exp.Between) and not _constant([node.expression])
            ):
                continue
            value = self.expressions.value(node.this)
            if value.source is self.key.source and value.column == self.key.column:
                return ""
            if isinstance(node, exp.GT | exp.GTE):
                sign = ">" if isinstance(node, exp.GT) else ">="
                implied = implied or self._implied(value, sign, self.expressions.sql(node.expression))
        return implied

    def _implied(self, limited: Value, sign: str, limit: str) -> str | None:
        """`transaction.id > n` bounds the keys of lines: a main line's key is given when its transaction is made.

        So every line of a later transaction has a greater key than the main line of any earlier one.
        """
        leader = self.key.source
        if leader is None or leader.shown.lower() != "transactionline" or limited.source is None:
            return None
        for left, right in [*self.equal, *((b, a) for a, b in self.equal)]:
            same = left.source is limited.source and left.column == limited.column == "id"
            if same and right.source is leader and right.column == "transaction":
                table = next(j.sql for j in self.joined if j.source is leader).partition(" AS ")[0]
                earlier = "<=" if sign == ">" else "<"
                last = (
                    f'SELECT "uniquekey" FROM {table} WHERE "transaction" {earlier} {limit} AND "id" = 0 AND "mainline" = \'T\' '
                    'ORDER BY "transaction" DESC LIMIT 1'
                )
                return f"{self.key.sql} > ifnull(({last}), 0)"
        return None

    def _connected(self, leader: Joined) -> list[Joined] | None:
        """The inner sources, each linked by an equality to one before it."""
        placed, waiting = [leader], [j for j in self.joined if not j.left and j is not leader]
        while waiting:
            sources = [join.source for join in placed]
            found = next((j for j in waiting if self._linked(j.source, sources)), None)
            if found is None:
                return None
            placed.append(found)
            waiting.remove(found)
        return placed

    def _linked(self, source: Source, placed: list[Source]) -> bool:
        return any(
            (a.source is source and b.source in placed) or (b.source is source and a.source in placed)
            for a, b in self.equal
        )


def _leading(indexes: Iterable[str]) -> list[str]:
    return [index.partition(",")[0].strip() for index in indexes]


def _constant(nodes: Iterable[exp.Expr]) -> bool:
    return not any(node.find(exp.Column, exp.Select) for node in nodes)
