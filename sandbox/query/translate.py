"""Queries: FROM, joins, grouping, order and limits of a SELECT, translated to SQLite over the account's tables."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sqlglot import exp

from sandbox.query import calls
from sandbox.query.dialect import parse, search_error, unsupported
from sandbox.query.expressions import ROWNUM, Expressions
from sandbox.query.scope import Scope, Source, Value
from sandbox.record.schema import space_of

if TYPE_CHECKING:
    from sandbox.store.tables import Table

_REFUSED = (
    "with_",
    "laterals",
    "pivots",
    "windows",
    "connect",
    "qualify",
    "sample",
    "locks",
    "into",
    "match",
    "hint",
    "distribute",
    "cluster",
    "sort",
    "settings",
    "format",
)


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

    @property
    def whole(self) -> str:
        return f"{self.sql}{self.order}{self.limit}"


class Translator:
    """Translates one query of one caller."""

    def __init__(
        self,
        tables: Mapping[str, Table],
        visible: Callable[[Table], bool],
        *,
        date_format: str,
        zone: str,
        now: str,
    ) -> None:
        self._tables, self._visible = tables, visible
        self.date_format, self.zone, self.now = date_format, zone, now
        self._parameters = 0

    def translate(self, query: str) -> Translated:
        """Raises NetSuite's refusals for what SuiteQL does not take."""
        translated = self.query(parse(query).unnest(), None, top=True)
        return replace(translated, parameters=self._parameters)

    def parameter(self, node: exp.Placeholder) -> str:
        """A bound parameter, by its place in the query as written."""
        name = str(node.this or "")
        if not name.startswith("p") or not name[1:].isdigit():
            raise unsupported()
        self._parameters = max(self._parameters, int(name[1:]))
        return f"?{name[1:]}"

    @staticmethod
    def space_of(record_type: str) -> str:
        return space_of(record_type)

    def query(self, node: exp.Expression, parent: Scope | None, *, top: bool = False) -> Translated:
        if isinstance(node, exp.SetOperation):
            found = self._set_operation(node, parent)
        elif isinstance(node, exp.Select):
            found = _Select(self, node, parent).translate()
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
        if any(node.args.get(name) for name in _REFUSED):
            raise unsupported()
        order = _output_order(node.args.get("order"), left.names, columns)
        return Translated(f"SELECT * FROM ({sql})", columns, left.names, order, _limit(node, self, parent))

    def _member(self, node: exp.Expression, parent: Scope | None) -> Translated:
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
        source = Source(alias, node.name, {}, table.key)
        for column in table.columns.values():
            source.columns[column.name] = Value(
                f'"{alias}"."{column.name}"',
                column.type,
                column.ref,
                source=source,
                column=column.name,
                nullable=column.name != table.key,
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

    def physical(self, source: Source) -> str:
        return f'"{self._tables[source.shown.lower()].physical}" AS "{source.alias}"'


class _Select:
    """One SELECT."""

    def __init__(self, translator: Translator, node: exp.Select, parent: Scope | None) -> None:
        self._translator, self._node = translator, node
        self._scope = Scope(parent=parent)
        self._expressions = Expressions(translator, self._scope)
        self._parent = parent

    def translate(self) -> Translated:
        node = self._node
        if any(node.args.get(name) for name in _REFUSED) or node.args.get("from_") is None:
            raise unsupported()
        body = self._from()
        condition = self._where
        if self._numbers_rows():
            body, condition = self._with_row_numbers(body, condition), self._row_condition
        if condition:
            body += f" WHERE {condition}"
        names, columns = self._projection()
        group = node.args.get("group")
        groups = [self._grouped(g, columns) for g in group.expressions] if group is not None else []
        having = node.args.get("having")
        having_sql = self._expressions.condition(having.this) if having is not None else ""
        if groups or having_sql or any(c.aggregate for c in columns):
            self._check_grouping(node.expressions, groups)
        distinct = "DISTINCT " if node.args.get("distinct") is not None else ""
        shown = ", ".join(f'{c.sql} AS "{n}"' for n, c in zip(names, columns, strict=True))
        sql = f"SELECT {distinct}{shown} FROM {body}"
        if groups:
            sql += f" GROUP BY {', '.join(groups)}"
        if having_sql:
            sql += f" HAVING {having_sql}"
        order, unique = self._order(names, columns, bool(distinct), groups)
        return Translated(
            sql, columns, names, order, _limit(node, self._translator, self._parent), unique_order=unique
        )

    # FROM and WHERE

    def _from(self) -> str:
        """The FROM clause; sets the condition that is left for WHERE."""
        node = self._node
        where = node.args.get("where")
        conjuncts = list(_conjuncts(where.this)) if where is not None else []
        marked = [c for c in conjuncts if any(col.args.get("join_mark") for col in c.find_all(exp.Column))]
        joins: list[exp.Join] = node.args.get("joins") or []
        first_source, first_sql = self._source(node.args["from_"].this)
        self._scope.add(first_source)
        if marked:
            return self._oracle_joins(first_source, first_sql, joins, conjuncts, marked)
        body = first_sql
        for join in joins:
            body += self._join(join)
        self._where = " AND ".join(self._expressions.condition(c) for c in conjuncts)
        return body

    def _source(self, node: exp.Expression) -> tuple[Source, str]:
        if isinstance(node, exp.Table):
            source = self._translator.table(node)
            return source, self._translator.physical(source)
        if isinstance(node, exp.Subquery):
            return self._translator.derived(node, self._parent)
        raise unsupported()

    def _join(self, join: exp.Join) -> str:
        side, kind = join.side.upper(), join.kind.upper()
        if (
            join.args.get("using")
            or join.method
            or side not in ("", "LEFT")
            or kind not in ("", "INNER", "OUTER", "CROSS")
        ):
            raise unsupported()
        source, sql = self._source(join.this)
        source.outer = side == "LEFT"
        if source.outer:
            _make_nullable(source)
        self._scope.add(source)
        on = join.args.get("on")
        if on is None:
            if side == "LEFT" or kind == "INNER":
                raise unsupported()
            return f" CROSS JOIN {sql}"
        word = "LEFT JOIN" if side == "LEFT" else "JOIN"
        return f" {word} {sql} ON {self._expressions.condition(on)}"

    def _oracle_joins(
        self,
        first: Source,
        first_sql: str,
        joins: list[exp.Join],
        conjuncts: list[exp.Expression],
        marked: list[exp.Expression],
    ) -> str:
        """Comma joins with `(+)`: each marked table becomes a LEFT JOIN on its marked conditions."""
        sources = {first.alias: first_sql}
        for join in joins:
            if join.args.get("on") is not None or join.side or join.kind:
                raise unsupported()
            source, sql = self._source(join.this)
            self._scope.add(source)
            sources[source.alias] = sql
        conditions: dict[str, list[exp.Expression]] = {}
        for conjunct in marked:
            tables = {c.table.lower() for c in conjunct.find_all(exp.Column) if c.args.get("join_mark")}
            if len(tables) != 1 or not tables <= sources.keys():
                raise unsupported()
            conditions.setdefault(tables.pop(), []).append(conjunct)
        plain = [alias for alias in sources if alias not in conditions]
        if not plain:
            raise unsupported()
        body, placed = " CROSS JOIN ".join(sources[alias] for alias in plain), set(plain)
        while len(placed) < len(sources):
            ready = [a for a in sources if a not in placed and _needs(conditions[a]) <= placed | {a}]
            if not ready:
                raise unsupported()
            for alias in ready:
                _make_nullable(self._scope.sources[alias])
                for conjunct in conditions[alias]:
                    for column in conjunct.find_all(exp.Column):
                        column.set("join_mark", False)
                on = " AND ".join(self._expressions.condition(c) for c in conditions[alias])
                body += f" LEFT JOIN {sources[alias]} ON {on}"
                placed.add(alias)
        rest = [c for c in conjuncts if c not in marked]
        self._where = " AND ".join(self._expressions.condition(c) for c in rest)
        return body

    # ROWNUM

    def _numbers_rows(self) -> bool:
        return any(
            column.name.lower() == ROWNUM
            and not column.table
            and column.find_ancestor(exp.Select) is self._node
            for column in self._node.find_all(exp.Column)
        )

    def _with_row_numbers(self, body: str, _condition: str) -> str:
        raise unsupported()

    # SELECT, GROUP BY, ORDER BY

    def _projection(self) -> tuple[list[str], list[Value]]:
        names: list[str] = []
        columns: list[Value] = []
        unnamed = 0
        for node in self._node.expressions:
            if isinstance(node, exp.Star) or (
                isinstance(node, exp.Column) and isinstance(node.this, exp.Star)
            ):
                for name, value in self._star(node):
                    if name not in names:
                        names.append(name)
                        columns.append(value)
                continue
            inner = node.this if isinstance(node, exp.Alias) else node
            value = self._expressions.value(inner)
            if value.kind == "condition":
                raise unsupported()
            if isinstance(node, exp.Alias):
                name = node.alias.lower()
            elif isinstance(inner, exp.Column):
                name = inner.name.lower()
            else:
                unnamed += 1
                name = f"expr{unnamed}"
            if name in names:
                # Two columns of one name make one JSON key: the later one is what a reader gets.
                columns[names.index(name)] = value
            else:
                names.append(name)
                columns.append(value)
        if not names:
            raise unsupported()
        return names, columns

    def _star(self, node: exp.Expression) -> list[tuple[str, Value]]:
        sources = self._scope.sources
        if isinstance(node, exp.Column):
            source = sources.get(node.table.lower())
            if source is None:
                raise self._scope.unknown(node.table)
            return list(source.columns.items())
        return [pair for source in sources.values() for pair in source.columns.items()]

    def _grouped(self, node: exp.Expression, columns: list[Value]) -> str:
        return self._expressions.sql(node)

    def _check_grouping(self, projected: list[exp.Expression], groups: list[str]) -> None:
        """Oracle's rule: outside an aggregate only what is grouped by may be shown."""
        for node in projected:
            inner = node.this if isinstance(node, exp.Alias) else node
            if not self._settled(inner, set(groups)):
                raise unsupported()

    def _settled(self, node: exp.Expression, groups: set[str]) -> bool:
        if isinstance(node, exp.Star):
            return False
        if isinstance(node, exp.Anonymous) and node.name.upper() in ("COUNT", "SUM", "AVG", "MIN", "MAX"):
            return True
        if isinstance(node, exp.Select | exp.SetOperation | exp.Window):
            return True
        if not isinstance(node, exp.Identifier | exp.Literal | exp.DataType | exp.Var | exp.If) and groups:
            try:
                if self._expressions.sql(node) in groups:
                    return True
            except Exception:
                pass
        if isinstance(node, exp.Column):
            found = self._scope.find(node.name.lower(), node.table.lower() or None)
            return found is None or found.source not in self._scope.sources.values()
        return all(self._settled(child, groups) for child in node.iter_expressions())

    def _order(
        self, names: list[str], columns: list[Value], distinct: bool, groups: list[str]
    ) -> tuple[str, bool]:
        order = self._node.args.get("order")
        if order is None:
            return "", False
        terms: list[str] = []
        used: list[Value] = []
        for node in order.expressions:
            value = self._order_value(node.this, names, columns)
            used.append(value)
            terms.append(calls.order_term(value, node))
        return " ORDER BY " + ", ".join(terms), self._is_unique(used, groups, distinct, columns)

    def _order_value(self, node: exp.Expression, names: list[str], columns: list[Value]) -> Value:
        if isinstance(node, exp.Literal) and not node.is_string:
            position = int(node.name) - 1
            if not 0 <= position < len(columns):
                raise unsupported()
            return replace(columns[position], sql=str(position + 1))
        if isinstance(node, exp.Column) and not node.table and node.name.lower() in names:
            position = names.index(node.name.lower())
            return (
                replace(columns[position], sql=str(position + 1))
                if columns[position].source is None
                else columns[position]
            )
        return self._expressions.value(node)

    def _is_unique(self, used: list[Value], groups: list[str], distinct: bool, columns: list[Value]) -> bool:
        if groups:
            return set(groups) <= {v.sql for v in used} | {
                c.sql for c in columns if any(v.column == c.column for v in used)
            }
        keys = [
            v for v in used if v.source is not None and v.source.key is not None and v.column == v.source.key
        ]
        return bool(keys)


def _make_nullable(source: Source) -> None:
    source.outer = True
    for name, value in source.columns.items():
        source.columns[name] = replace(value, nullable=True)


def _needs(conditions: list[exp.Expression]) -> set[str]:
    return {c.table.lower() for condition in conditions for c in condition.find_all(exp.Column) if c.table}


def _conjuncts(node: exp.Expression) -> list[exp.Expression]:
    if isinstance(node, exp.And):
        return [part for child in node.flatten() for part in _conjuncts(child)]
    return [node]


def _limit(node: exp.Query, translator: Translator, parent: Scope | None) -> str:
    """FETCH FIRST, TOP and OFFSET with constant numbers."""
    limit, offset = node.args.get("limit"), node.args.get("offset")
    count = ""
    if isinstance(limit, exp.Fetch):
        options = limit.args.get("limit_options")
        if options is not None and (options.args.get("percent") or options.args.get("with_ties")):
            raise unsupported()
        count = _whole_number(limit.args.get("count")) if limit.args.get("count") is not None else "1"
    elif limit is not None:
        count = _whole_number(limit.expression)
    if offset is not None:
        return f" LIMIT {count or -1} OFFSET {_whole_number(offset.expression)}"
    return f" LIMIT {count}" if count else ""


def _whole_number(node: exp.Expression | None) -> str:
    if not isinstance(node, exp.Literal) or node.is_string or not node.name.isdigit():
        raise unsupported()
    return node.name


def _output_order(order: exp.Expression | None, names: list[str], columns: list[Value]) -> str:
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
