"""One SELECT: its sources and joins, row numbers, grouping and order."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from sqlglot import exp

from sandbox.query import calls
from sandbox.query.dialect import unsupported
from sandbox.query.expressions import ROWNUM, Expressions
from sandbox.query.join_order import Joined, KeyOrder, as_written
from sandbox.query.limits import limit_of, row_limit
from sandbox.query.scope import Scope, Source, Value

if TYPE_CHECKING:
    from sandbox.query.translate import Translated, Translator

REFUSED = (
    *(
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
    ),
    *("distribute", "cluster", "sort", "settings", "format"),
)
_AGGREGATES = ("COUNT", "SUM", "AVG", "MIN", "MAX")


class Select:
    """Translates one SELECT."""

    def __init__(self, translator: Translator, node: exp.Select, parent: Scope | None) -> None:
        self._translator, self._node, self._parent = translator, node, parent
        self._scope = Scope(parent=parent)
        self._expressions = Expressions(translator, self._scope)
        self._equal: list[tuple[Value, Value]] = []
        """The sides of every equality that all rows meet."""
        self._joined: list[Joined] = []
        """The sources of a FROM clause without Oracle's join marks."""
        self._in_sight: list[str] = []
        """What the rows of the sources must meet for the caller to see them."""

    def translate(self) -> Translated:
        from sandbox.query.translate import Translated

        node = self._node
        if any(node.args.get(name) for name in REFUSED) or node.args.get("from_") is None:
            raise unsupported()
        body = self._body()
        names, columns = self._projection()
        group = node.args.get("group")
        if group is not None and any(value for key, value in group.args.items() if key != "expressions"):
            raise unsupported()
        groups = [self._expressions.value(g) for g in group.expressions] if group is not None else []
        having = node.args.get("having")
        having_sql = self._expressions.condition(having.this) if having is not None else ""
        aggregated = bool(groups or having_sql) or any(c.aggregate for c in columns)
        if aggregated:
            self._check_grouping({g.sql for g in groups})
        distinct = node.args.get("distinct") is not None
        shown = ", ".join(f'{c.sql} AS "{n}"' for n, c in zip(names, columns, strict=True))
        sql = f"SELECT {'DISTINCT ' if distinct else ''}{shown} FROM {body}"
        order, used = self._order(names, columns)
        if groups:
            # Groups made in the order that they are wanted in need no sorting.
            by = [g.sql for g in groups]
            wanted = [v.sql for v in used]
            sql += f" GROUP BY {', '.join(wanted if sorted(wanted) == sorted(by) else by)}"
        if having_sql:
            sql += f" HAVING {having_sql}"
        unique = self._is_unique(used, groups, columns if distinct else [], aggregated)
        return Translated(
            sql,
            columns,
            names,
            order,
            limit_of(node),
            unique_order=unique,
            scatter=self._scatter(aggregated or distinct),
        )

    # FROM and WHERE

    def _body(self) -> str:
        """FROM and WHERE; rows are numbered below the rest when ROWNUM is asked for."""
        where = self._node.args.get("where")
        conjuncts = list(_conjuncts(where.this)) if where is not None else []
        row_conditions = [c for c in conjuncts if self._numbers(c)]
        conjuncts = [c for c in conjuncts if c not in row_conditions]
        sources = self._from(conjuncts)
        conjuncts = [c for c in conjuncts if not _is_marked(c)]
        for conjunct in conjuncts:
            self._note_equality(conjunct)
        conditions = [*(self._expressions.condition(c) for c in conjuncts), *self._in_sight]
        led = self._led_by_key(conjuncts)
        if led is not None:
            sources, conditions = led[0], conditions + led[1]
        condition = " AND ".join(conditions)
        body = f"{sources} WHERE {condition}" if condition else sources
        shown = any(self._numbers(e) for e in self._node.expressions)
        if row_conditions or shown:
            return self._numbered(body, row_limit(row_conditions))
        return body

    def _from(self, conjuncts: list[exp.Expr]) -> str:
        node = self._node
        joins: list[exp.Join] = node.args.get("joins") or []
        first, sql = self._source(node.args["from_"].this)
        self._scope.add(first)
        marked = [c for c in conjuncts if _is_marked(c)]
        if marked:
            return self._oracle_joins(first, sql, joins, marked)
        self._look_at(first)
        self._joined = [Joined(first, sql)]
        for join in joins:
            self._joined.append(self._join(join))
        return as_written(self._joined)

    def _led_by_key(self, conjuncts: list[exp.Expr]) -> tuple[str, list[str]] | None:
        """FROM and further conditions for a page by key, where leading with the key's table is quicker."""
        order, node = self._node.args.get("order"), self._node
        if order is None or not self._joined or node.args.get("group") or node.args.get("distinct"):
            return None
        term = order.expressions[0].this
        key = self._scope.find(term.name.lower(), term.table.lower() or None) if _plain(term) else None
        if key is None or key.source is None or key.column != key.source.key:
            return None
        indexes = {alias: self._translator.indexes(source) for alias, source in self._scope.sources.items()}
        few = self._translator.few
        return KeyOrder(self._expressions, self._joined, key, conjuncts, self._equal, indexes, few).led()

    def _source(self, node: exp.Expr) -> tuple[Source, str]:
        if isinstance(node, exp.Table):
            source = self._translator.table(node)
            return source, self._translator.physical(source)
        if isinstance(node, exp.Subquery):
            return self._translator.derived(node, self._parent)
        raise unsupported()

    def _look_at(self, source: Source) -> None:
        """Leave out the rows of a source that the caller does not see."""
        if seen := self._translator.in_sight(source):
            self._in_sight.append(seen)

    def _join(self, join: exp.Join) -> Joined:
        side, kind = join.side.upper(), join.kind.upper()
        plain = side in ("", "LEFT") and kind in ("", "INNER", "OUTER", "CROSS")
        if join.args.get("using") or join.method or not plain:
            raise unsupported()
        source, sql = self._source(join.this)
        seen = self._translator.in_sight(source)
        if side == "LEFT":
            _make_nullable(source)
        else:
            self._look_at(source)
        self._scope.add(source)
        on = join.args.get("on")
        if on is None:
            if side == "LEFT" or kind == "INNER":
                raise unsupported()
            return Joined(source, sql)
        for conjunct in _conjuncts(on):
            self._note_equality(conjunct)
        condition = self._expressions.condition(on)
        if side == "LEFT":
            # What is out of sight is not there: the row has no partner.
            return Joined(source, sql, True, f"{condition} AND {seen}" if seen else condition)
        return Joined(source, sql, False, condition)

    def _oracle_joins(
        self, first: Source, first_sql: str, joins: list[exp.Join], marked: list[exp.Expr]
    ) -> str:
        """Comma joins with `(+)`: each marked table becomes a LEFT JOIN on its marked conditions."""
        sources = {first.alias: first_sql}
        for join in joins:
            if join.args.get("on") is not None or join.side or join.kind:
                raise unsupported()
            source, sql = self._source(join.this)
            self._scope.add(source)
            sources[source.alias] = sql
        conditions: dict[str, list[exp.Expr]] = {}
        for conjunct in marked:
            tables = {c.table.lower() for c in conjunct.find_all(exp.Column) if c.args.get("join_mark")}
            if len(tables) != 1 or not tables <= sources.keys():
                raise unsupported()
            plain = conjunct.copy()
            for column in plain.find_all(exp.Column):
                column.set("join_mark", False)
            conditions.setdefault(tables.pop(), []).append(plain)
        for alias in sources:
            if alias not in conditions:
                self._look_at(self._scope.sources[alias])
        body = " CROSS JOIN ".join(sql for alias, sql in sources.items() if alias not in conditions)
        placed = sources.keys() - conditions.keys()
        if not placed:
            raise unsupported()
        while len(placed) < len(sources):
            ready = [a for a in sources if a not in placed and _needs(conditions[a]) <= placed | {a}]
            if not ready:
                raise unsupported()
            for alias in ready:
                _make_nullable(self._scope.sources[alias])
                for conjunct in conditions[alias]:
                    self._note_equality(conjunct)
                parts = [self._expressions.condition(c) for c in conditions[alias]]
                seen = self._translator.in_sight(self._scope.sources[alias])
                on = " AND ".join([*parts, seen] if seen else parts)
                body += f" LEFT JOIN {sources[alias]} ON {on}"
                placed = placed | {alias}
        return body

    # ROWNUM

    def _numbers(self, node: exp.Expr) -> bool:
        """Whether an expression of this very SELECT names ROWNUM."""
        return any(
            column.name.lower() == ROWNUM
            and not column.table
            and column.find_ancestor(exp.Select) is self._node
            for column in node.find_all(exp.Column)
        )

    def _numbered(self, body: str, most: int | None) -> str:
        """Rows numbered and cut as ROWNUM does it: after WHERE, before grouping and order."""
        wanted = {column.name.lower() for column in self._node.find_all(exp.Column)}
        everything = any(True for _ in self._node.find_all(exp.Star))
        shown: list[str] = []
        for source in self._scope.sources.values():
            for name, value in source.columns.items():
                if everything or name in wanted:
                    shown.append(f'{value.sql} AS "{source.alias} {name}"')
                    source.columns[name] = replace(value, sql=f'"{ROWNUM} rows"."{source.alias} {name}"')
        shown.append(f'row_number() OVER () AS "{ROWNUM}"')
        self._expressions.row_number = f'"{ROWNUM} rows"."{ROWNUM}"'
        limit = f" LIMIT {most}" if most is not None else ""
        return f'(SELECT {", ".join(shown)} FROM {body}{limit}) AS "{ROWNUM} rows"'

    # SELECT and GROUP BY

    def _projection(self) -> tuple[list[str], list[Value]]:
        found: dict[str, Value] = {}
        unnamed = 0
        for node in self._node.expressions:
            if isinstance(node, exp.Star) or (
                isinstance(node, exp.Column) and isinstance(node.this, exp.Star)
            ):
                for name, value in self._star(node):
                    found.setdefault(name, value)
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
            # Two columns of one name make one JSON key: the later one is what a reader gets.
            found[name] = value
        if not found:
            raise unsupported()
        return list(found), list(found.values())

    def _star(self, node: exp.Expr) -> list[tuple[str, Value]]:
        sources = self._scope.sources
        if isinstance(node, exp.Column):
            source = sources.get(node.table.lower())
            if source is None:
                raise self._scope.unknown(node.table)
            return list(source.columns.items())
        return [pair for source in sources.values() for pair in source.columns.items()]

    def _check_grouping(self, groups: set[str]) -> None:
        """Oracle's rule: outside an aggregate only what is grouped by may be shown."""
        for node in self._node.expressions:
            if not self._is_grouped(node.this if isinstance(node, exp.Alias) else node, groups):
                raise unsupported()

    def _is_grouped(self, node: exp.Expr, groups: set[str]) -> bool:
        if isinstance(node, exp.Star):
            return False
        if isinstance(node, exp.Anonymous) and node.name.upper() in _AGGREGATES:
            return True
        if isinstance(node, exp.Select | exp.SetOperation | exp.Window):
            return True
        if groups and Expressions.knows(node) and self._expressions.sql(node) in groups:
            return True
        if isinstance(node, exp.Column):
            found = self._scope.find(node.name.lower(), node.table.lower() or None)
            return found is None or found.source not in self._scope.sources.values()
        return all(self._is_grouped(child, groups) for child in node.iter_expressions())

    # ORDER BY

    def _order(self, names: list[str], columns: list[Value]) -> tuple[str, list[Value]]:
        order = self._node.args.get("order")
        if order is None:
            return "", []
        used = [self._order_value(node.this, names, columns) for node in order.expressions]
        terms = [calls.order_term(value, node) for value, node in zip(used, order.expressions, strict=True)]
        return " ORDER BY " + ", ".join(terms), used

    def _order_value(self, node: exp.Expr, names: list[str], columns: list[Value]) -> Value:
        position = -1
        if isinstance(node, exp.Literal) and not node.is_string:
            position = int(node.name) - 1 if node.name.isdigit() else -1
            if not 0 <= position < len(columns):
                raise unsupported()
        elif isinstance(node, exp.Column) and not node.table and node.name.lower() in names:
            position = names.index(node.name.lower())
        if position < 0:
            return self._expressions.value(node)
        column = columns[position]
        return column if column.source is not None else replace(column, sql=str(position + 1))

    # Whether pages of the result can be told apart

    def _note_equality(self, node: exp.Expr) -> None:
        if isinstance(node, exp.EQ):
            self._equal.append((self._expressions.value(node.this), self._expressions.value(node.expression)))

    def _is_unique(
        self, used: list[Value], groups: list[Value], distinct: list[Value], aggregated: bool
    ) -> bool:
        """Whether the order decides every row: it names, or joins lead to, a key of every source."""
        if aggregated and not groups:
            return True
        known = {(v.source.alias, v.column) for v in used if v.source is not None}
        sources = list(self._scope.sources.values())
        complete = [source for source in sources if source.unique is None]
        grown = True
        while grown:
            size = len(known), len(complete)
            for left, right in [*self._equal, *((b, a) for a, b in self._equal)]:
                fixed = (
                    left.source is None
                    or (left.source.alias, left.column) in known
                    or left.source in complete
                )
                if fixed and right.source is not None:
                    known.add((right.source.alias, right.column))
            for source in sources:
                if source not in complete and any(
                    all((source.alias, c) in known for c in key) for key in source.unique or ()
                ):
                    complete.append(source)
            grown = (len(known), len(complete)) != size
        shown = groups or distinct
        if shown:
            terms = {v.sql for v in used}
            return all(
                v.sql in terms
                or (v.source is not None and (v.source in complete or (v.source.alias, v.column) in known))
                for v in shown
            )
        return len(complete) == len(sources)

    def _scatter(self, merged: bool) -> str:
        """A number that differs from row to row, to disorder the ties of an order that is not unique."""
        if merged or self._expressions.row_number is not None:
            return ""
        tables = [source.alias for source in self._scope.sources.values() if source.unique is not None]
        return " + ".join(f'ifnull("{alias}".rowid, 0)' for alias in tables)


def _is_marked(node: exp.Expr) -> bool:
    return any(column.args.get("join_mark") for column in node.find_all(exp.Column))


def _plain(node: exp.Expr) -> bool:
    return isinstance(node, exp.Column) and not node.args.get("join_mark")


def _make_nullable(source: Source) -> None:
    for name, value in source.columns.items():
        source.columns[name] = replace(value, nullable=True)


def _needs(conditions: list[exp.Expr]) -> set[str]:
    return {c.table.lower() for condition in conditions for c in condition.find_all(exp.Column) if c.table}


def _conjuncts(node: exp.Expr) -> Iterator[exp.Expr]:
    if isinstance(node, exp.Paren):
        yield from _conjuncts(node.this) if isinstance(node.this, exp.And) else (node,)
    elif isinstance(node, exp.And):
        for child in node.flatten():
            yield from _conjuncts(child)
    else:
        yield node
