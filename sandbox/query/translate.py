"""Queries: whole statements, set operations, tables and derived tables, translated to SQLite. One SELECT is `select`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sqlglot import exp

from sandbox.query import calls
from sandbox.query.dialect import parse, search_error, unsupported
from sandbox.query.limits import limit_of
from sandbox.query.scope import Scope, Source, Value
from sandbox.query.select import REFUSED, Select
from sandbox.record.schema import space_of
from sandbox.sight import Sight

if TYPE_CHECKING:
    from sandbox.store.tables import Table


@dataclass(frozen=True, slots=True)
class Translated:
    sql: str
    """Without the order when `order` holds it, so that a page can be cut and the rows counted."""
    columns: list[Value]
    names: list[str]
    order: str = ""
    limit: str = ""
    parameters: int = 0
    unique_order: bool = True
    scatter: str = ""
    """A term that disorders ties; empty when there is none to be had."""
    lasting: bool = True
    """Whether it stays the best when rows are added; it stays right in any case."""

    @property
    def whole(self) -> str:
        return f"{self.sql}{self.order}{self.limit}"

    @property
    def most(self) -> int | None:
        """The rows that the query itself asks for at most."""
        count = int(self.limit.split()[1]) if self.limit else -1
        return count if count >= 0 else None


_FEW = 2000


class Translator:
    """Translates one query of one caller. `count` gives the number of a query in SQLite's language."""

    def __init__(
        self,
        tables: Mapping[str, Table],
        visible: Callable[[Table], bool],
        count: Callable[[str], int],
        *,
        role: str,
        sight: Sight,
        date_format: str,
        precision: int,
        zone: str,
        now: str,
        numbers: int = 0,
    ) -> None:
        """`precision`: decimals of the account's finest currency. `numbers`: how many numbers were taken out of the
        query to make its shape."""
        self._tables, self._visible, self._count = tables, visible, count
        self._lasting = True
        self.date_format, self.zone, self.now = date_format, zone, now
        self.unit = 10**precision
        """How many of the smallest unit one of any currency is."""
        self._role, self._sight = role, sight
        self._parameters, self._numbers = 0, numbers

    def translate(self, query: str) -> Translated:
        """Raises NetSuite's refusals for what SuiteQL does not take."""
        translated = self.query(parse(query).unnest(), None, top=True)
        return replace(translated, parameters=self._parameters, lasting=self._lasting)

    def parameter(self, node: exp.Placeholder) -> Value:
        """A bound parameter, by its place in the query as written, or a number of the query's shape."""
        kind, place = str(node.this or "")[:1], str(node.this or "")[1:]
        if kind not in ("p", "k") or not place.isdigit():
            raise unsupported()
        if kind == "k":
            if int(place) > self._numbers:
                raise unsupported()
            return Value(f"?{place}", "int", nullable=False)
        self._parameters = max(self._parameters, int(place))
        return Value(f"?{place}", "any")

    @staticmethod
    def space_of(record_type: str) -> str:
        return space_of(record_type)

    def query(self, node: exp.Expr, parent: Scope | None, *, top: bool = False) -> Translated:
        if isinstance(node, exp.SetOperation):
            found = self._set_operation(node, parent)
        elif isinstance(node, exp.Select):
            found = Select(self, node, parent).translate()
        else:
            raise unsupported()
        if top:
            return found
        # A sub-query's order decides its row numbers: LIMIT keeps SQLite from dropping it.
        limit = found.limit or (" LIMIT -1" if found.order else "")
        return replace(found, sql=f"{found.sql}{found.order}{limit}", order="", limit="")

    def _set_operation(self, node: exp.SetOperation, parent: Scope | None) -> Translated:
        left = self._member(node.this, parent)
        right = self._member(node.expression, parent)
        if len(left.columns) != len(right.columns):
            raise unsupported()
        if isinstance(node, exp.Union):
            word = "UNION" if node.args.get("distinct") else "UNION ALL"
        elif isinstance(node, exp.Intersect):
            word = "INTERSECT"
        elif isinstance(node, exp.Except):
            word = "EXCEPT"
        else:
            raise unsupported()
        sql = f"SELECT * FROM ({left.sql}) {word} SELECT * FROM ({right.sql})"
        columns = [
            Value(f'"{name}"', a.kind if a.kind == b.kind else "any", a.ref if a.ref == b.ref else None)
            for name, a, b in zip(left.names, left.columns, right.columns, strict=True)
        ]
        if any(node.args.get(name) for name in REFUSED):
            raise unsupported()
        order = _output_order(node.args.get("order"), left.names, columns)
        return Translated(f"SELECT * FROM ({sql})", columns, left.names, order, limit_of(node))

    def _member(self, node: exp.Expr, parent: Scope | None) -> Translated:
        return self.query(node.unnest() if isinstance(node, exp.Subquery) else node, parent)

    def table(self, node: exp.Table) -> Source:
        if node.db or node.catalog or node.args.get("joins"):
            raise search_error(f"Invalid search type: {node.sql()}.")
        name = node.name.lower()
        table = self._tables.get(name)
        if table is None:
            raise search_error(f"Invalid search type: {node.name}.")
        if not self._visible(table):
            raise search_error(f"Record '{node.name}' was not found.")
        alias = (node.alias or name).lower()
        source = Source(alias, node.name, {}, table.key, table.keys)
        never_null = {column for key in table.keys for column in key}
        source.hidden = frozenset(c.name for c in table.columns.values() if self._role in c.hidden_from)
        for column in table.columns.values():
            if column.name in source.hidden:
                continue
            source.columns[column.name] = Value(
                f'{column.function}("{alias}"."id")' if column.function else f'"{alias}"."{column.name}"',
                "number" if column.type == "amount" else column.type,
                column.ref,
                source=source,
                column=column.name,
                amount=column.type == "amount",
                nullable=column.name not in never_null,
            )
        return source

    def derived(self, node: exp.Subquery, parent: Scope | None) -> tuple[Source, str]:
        inner = self.query(node.unnest(), parent)
        alias = node.alias.lower() or f"sub{id(node)}"
        columns = {
            name: Value(f'"{alias}"."{name}"', value.kind, value.ref, column=name)
            for name, value in zip(inner.names, inner.columns, strict=True)
        }
        source = Source(alias, alias, columns)
        for name, value in list(columns.items()):
            source.columns[name] = replace(value, source=source)
        return source, f'({inner.sql}) AS "{alias}"'

    def indexes(self, source: Source) -> tuple[str, ...]:
        table = self._tables.get(source.shown.lower())
        return table.indexes if table is not None else ()

    def few(self, value: Value, wanted: str) -> bool:
        """Whether at most some thousands of a table's rows have this value in a column."""
        if value.source is None or value.source.unique is None:
            return False
        table = self._tables[value.source.shown.lower()].physical
        rows = f'SELECT 1 FROM "{table}" WHERE "{value.column}" = {wanted} LIMIT {_FEW + 1}'
        found = self._count(f"SELECT count(*) FROM ({rows})") <= _FEW
        self._lasting = self._lasting and not found
        return found

    def in_sight(self, source: Source) -> str:
        """What a row of a source must meet to be seen by the caller; empty: nothing."""
        if source.unique is None:
            return ""
        return self._sight.condition(source.shown.lower(), source.alias)

    def physical(self, source: Source) -> str:
        return f'"{self._tables[source.shown.lower()].physical}" AS "{source.alias}"'


def _output_order(order: exp.Expr | None, names: list[str], columns: list[Value]) -> str:
    """The ORDER BY of a set operation: output names and positions only."""
    if order is None:
        return ""
    terms: list[str] = []
    for node in order.expressions:
        inner = node.this
        if isinstance(inner, exp.Literal) and not inner.is_string and 0 < int(inner.name) <= len(names):
            terms.append(calls.order_term(Value(inner.name, "int"), node))
        elif isinstance(inner, exp.Column) and inner.name.lower() in names:
            terms.append(calls.order_term(Value(f'"{inner.name.lower()}"', "any"), node))
        else:
            raise unsupported()
    return " ORDER BY " + ", ".join(terms)
