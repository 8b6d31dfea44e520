"""Expressions: each node of a syntax tree becomes SQLite text and a type. What is not listed here is not SuiteQL."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from sqlglot import exp

from sandbox.query import calls, dates
from sandbox.query.conversions import merged, number, numeric_literal, printed, quoted
from sandbox.query.dialect import unsupported
from sandbox.query.scope import Scope, Value

if TYPE_CHECKING:
    from sandbox.query.translate import Translator

_LONGEST_LIST = 1000
ROWNUM = "rownum"
_SIGNS = {exp.Add: "+", exp.Sub: "-", exp.Mul: "*"}
_EXACT = {"+": "ns_add", "-": "ns_subtract", "*": "ns_multiply"}
"""Decimal arithmetic: on doubles 1234567.91 - 1234567.9 is not 0.01."""
_COMPARISONS = {exp.EQ: "=", exp.NEQ: "<>", exp.GT: ">", exp.GTE: ">=", exp.LT: "<", exp.LTE: "<="}
_CASTS = {"INT": "int", "BIGINT": "int", "DECIMAL": "number", "DOUBLE": "number", "FLOAT": "number"}
_TEXT_CASTS = ("VARCHAR", "CHAR", "NVARCHAR", "NCHAR", "TEXT")


class Expressions:
    """Translates the expressions of one scope."""

    def __init__(self, translator: Translator, scope: Scope) -> None:
        self.translator, self.scope = translator, scope
        self.row_number: str | None = None
        """What ROWNUM is here, when the query numbers its rows."""

    @staticmethod
    def knows(node: exp.Expr) -> bool:
        return type(node) in _HANDLERS

    def value(self, node: exp.Expr) -> Value:
        handler = _HANDLERS.get(type(node))
        if handler is None:
            raise unsupported()
        return handler(self, node)

    def sql(self, node: exp.Expr) -> str:
        return self.value(node).sql

    def condition(self, node: exp.Expr) -> str:
        return self.value(node).sql

    # Leaves

    def _column(self, node: exp.Column) -> Value:
        name = node.name.lower()
        if node.args.get("join_mark"):
            raise unsupported()
        qualifier = node.table.lower() or None
        if name == ROWNUM and qualifier is None and self.row_number is not None:
            return Value(self.row_number, "int", nullable=False)
        found = self.scope.find(name, qualifier)
        if found is not None:
            return found
        if qualifier is None and name in ("sysdate", "current_date", "current_timestamp", "systimestamp"):
            return Value(quoted(self.translator.now), "date", nullable=False)
        if qualifier is None and name in ("sessiontimezone", "dbtimezone"):
            return Value(quoted(self.translator.zone), "text", nullable=False)
        raise self.scope.unknown(node.name)

    def _literal(self, node: exp.Literal) -> Value:
        content = node.name
        if not node.is_string:
            plain = content.lstrip("0") or "0"
            if not plain.replace(".", "", 1).isdigit():
                raise unsupported()
            return Value(
                "0" + plain if plain.startswith(".") else plain,
                "number" if "." in plain else "int",
                nullable=False,
            )
        if content == "":
            return Value("NULL", "null")
        return Value(quoted(content), "text", literal=content, nullable=False)

    def _null(self, node: exp.Null) -> Value:
        return Value("NULL", "null")

    def _placeholder(self, node: exp.Placeholder) -> Value:
        return self.translator.parameter(node)

    def _now(self, node: exp.Expr) -> Value:
        return Value(quoted(self.translator.now), "date", nullable=False)

    # Arithmetic

    def _arithmetic(self, node: exp.Binary) -> Value:
        left, right = self.value(node.this), self.value(node.expression)
        sign = _SIGNS[type(node)]
        if "date" in (left.kind, right.kind):
            return _date_arithmetic(left, right, sign)
        left, right = number(left), number(right)
        whole = left.kind != "number" and right.kind != "number"
        aggregate = left.aggregate or right.aggregate
        if whole:
            return Value(f"({left.sql} {sign} {right.sql})", "int", aggregate=aggregate)
        return Value(f"{_EXACT[sign]}({left.sql}, {right.sql})", "number", aggregate=aggregate)

    def _divide(self, node: exp.Div) -> Value:
        left, right = number(self.value(node.this)), number(self.value(node.expression))
        return Value(
            f"(CAST({left.sql} AS REAL) / {right.sql})", "number", aggregate=left.aggregate or right.aggregate
        )

    def _negative(self, node: exp.Neg) -> Value:
        operand = number(self.value(node.this))
        return Value(
            f"(-{operand.sql})",
            "int" if operand.kind == "id" else operand.kind,
            aggregate=operand.aggregate,
            amount=operand.amount,
        )

    def _join_text(self, node: exp.DPipe) -> Value:
        sides = [self.value(node.this), self.value(node.expression)]
        parts = [f"ifnull({printed(self.translator, side)}, '')" for side in sides]
        return Value(
            f"nullif({parts[0]} || {parts[1]}, '')", "text", aggregate=any(s.aggregate for s in sides)
        )

    # Conditions

    def _compare(self, node: exp.Binary) -> Value:
        left, right = self.matched(self.value(node.this), self.value(node.expression))
        return Value(f"({left} {_COMPARISONS[type(node)]} {right})", "condition")

    def matched(self, left: Value, right: Value) -> tuple[str, str]:
        """Two sides brought to one type, as Oracle converts them."""
        return self._beside(left, right), self._beside(right, left)

    def _beside(self, value: Value, other: Value) -> str:
        if other.kind == "date":
            if value.numeric:
                raise unsupported()
            if value.literal is not None:
                return quoted(self._account_date(value.literal))
            if value.kind in ("text", "any"):
                return f"ns_to_date({value.sql}, {quoted(self.translator.date_format)})"
        if other.numeric and value.literal is not None:
            return numeric_literal(value.literal)
        if value.kind == "any":
            return (
                f"CAST({value.sql} AS {'NUMERIC' if other.numeric else 'TEXT'})"
                if other.kind != "any"
                else value.sql
            )
        if other.numeric and value.kind == "text":
            return f"ns_to_number({value.sql})"
        if value.numeric and other.kind == "text" and other.literal is None:
            return value.sql
        return value.sql

    def _account_date(self, literal: str) -> str:
        """A text beside a date is read in the account's date format; anything else is an error, as in NetSuite."""
        try:
            return dates.to_date(literal, self.translator.date_format)
        except dates.FormatError as error:
            raise unsupported() from error

    def _logic(self, node: exp.Connector) -> Value:
        word = "AND" if isinstance(node, exp.And) else "OR"
        # Long chains arrive as deep left trees: flattened, so that thousands of terms do not exhaust the stack.
        parts = [self.condition(part) for part in node.flatten()]
        return Value("(" + f" {word} ".join(parts) + ")", "condition")

    def _not(self, node: exp.Not) -> Value:
        return Value(f"(NOT {self.condition(node.this)})", "condition")

    def _paren(self, node: exp.Paren) -> Value:
        inner = self.value(node.this)
        return Value(
            f"({inner.sql})",
            inner.kind,
            inner.ref,
            inner.literal,
            nullable=inner.nullable,
            aggregate=inner.aggregate,
        )

    def _is(self, node: exp.Is) -> Value:
        if not isinstance(node.expression, exp.Null):
            raise unsupported()
        return Value(f"({self.sql(node.this)} IS NULL)", "condition")

    def _between(self, node: exp.Between) -> Value:
        subject = self.value(node.this)
        low, high = self.value(node.args["low"]), self.value(node.args["high"])
        # A text between two dates is itself read as a date.
        kind = low if subject.literal is not None or subject.kind == "any" else subject
        left = self._beside(subject, kind) if kind is low else subject.sql
        return Value(
            f"({left} BETWEEN {self._beside(low, subject)} AND {self._beside(high, subject)})", "condition"
        )

    def _in(self, node: exp.In) -> Value:
        query = node.args.get("query")
        if isinstance(node.this, exp.Tuple):
            if query is None:
                raise unsupported()
            left = "(" + ", ".join(self.sql(part) for part in node.this.expressions) + ")"
            return Value(
                f"({left} IN ({self.translator.query(query.unnest(), self.scope).sql}))", "condition"
            )
        subject = self.value(node.this)
        if query is not None:
            inner = self.translator.query(query.unnest(), self.scope)
            if len(inner.columns) != 1:
                raise unsupported()
            return Value(f"({subject.sql} IN ({inner.sql}))", "condition")
        if not node.expressions or len(node.expressions) > _LONGEST_LIST:
            raise unsupported()
        members = [self._beside(self.value(member), subject) for member in node.expressions]
        return Value(f"({subject.sql} IN ({', '.join(members)}))", "condition")

    def _exists(self, node: exp.Exists) -> Value:
        return Value(f"EXISTS ({self.translator.query(node.this.unnest(), self.scope).sql})", "condition")

    def _like(self, node: exp.Like) -> Value:
        left, pattern = self.value(node.this), self.value(node.expression)
        return Value(f"({printed(self.translator, left)} LIKE {pattern.sql})", "condition")

    def _escape(self, node: exp.Escape) -> Value:
        if not isinstance(node.this, exp.Like) or not isinstance(node.expression, exp.Literal):
            raise unsupported()
        return Value(
            f"({self._like(node.this).sql[1:-1]} ESCAPE {quoted(node.expression.name)})", "condition"
        )

    def _subquery(self, node: exp.Subquery) -> Value:
        inner = self.translator.query(node.unnest(), self.scope)
        if len(inner.columns) != 1:
            raise unsupported()
        column = inner.columns[0]
        return Value(f"({inner.sql})", column.kind, column.ref)

    # Conversions and choices

    def _case(self, node: exp.Case) -> Value:
        subject = self.value(node.this) if node.this is not None else None
        parts = ["CASE"]
        results: list[Value] = []
        for branch in node.args["ifs"]:
            if subject is None:
                when = self.condition(branch.this)
            else:
                left, right = self.matched(subject, self.value(branch.this))
                when = f"{left} = {right}"
            results.append(self.value(branch.args["true"]))
            parts.append(f"WHEN {when} THEN {results[-1].sql}")
        default = node.args.get("default")
        if default is not None:
            results.append(self.value(default))
            parts.append(f"ELSE {results[-1].sql}")
        return merged(f"({' '.join(parts)} END)", results)

    def _cast(self, node: exp.Cast) -> Value:
        operand = self.value(node.this)
        target = node.to.this.name
        if target in _CASTS:
            kind = _CASTS[target]
            return Value(
                f"CAST({operand.sql} AS {'INTEGER' if kind == 'int' else 'REAL'})",
                kind,
                aggregate=operand.aggregate,
            )
        if target in _TEXT_CASTS:
            return Value(printed(self.translator, operand), "text", aggregate=operand.aggregate)
        if target in ("DATE", "TIMESTAMP") and operand.kind == "date":
            return operand
        raise unsupported()

    def _extract(self, node: exp.Extract) -> Value:
        part = node.this.name.lower()
        if part not in ("year", "month", "day", "hour", "minute", "second"):
            raise unsupported()
        operand = self.value(node.expression)
        if operand.kind != "date":
            raise unsupported()
        return Value(f"ns_extract('{part}', {operand.sql})", "int", aggregate=operand.aggregate)

    def _trim(self, node: exp.Trim) -> Value:
        operand = self.value(node.this)
        name = {"LEADING": "ltrim", "TRAILING": "rtrim"}.get(
            str(node.args.get("position") or "").upper(), "trim"
        )
        characters = node.args.get("expression")
        extra = f", {self.sql(characters)}" if characters is not None else ""
        return Value(
            f"nullif({name}({printed(self.translator, operand)}{extra}), '')",
            "text",
            aggregate=operand.aggregate,
        )

    def _builtin(self, node: exp.Dot) -> Value:
        call = node.expression
        if node.this.name.upper() != "BUILTIN" or not isinstance(call, exp.Anonymous):
            raise unsupported()
        return calls.builtin(self, call.name.upper(), call.expressions)

    def _call(self, node: exp.Anonymous) -> Value:
        return calls.call(self, node)

    def _window(self, node: exp.Window) -> Value:
        return calls.window(self, node)


def _date_arithmetic(left: Value, right: Value, sign: str) -> Value:
    aggregate = left.aggregate or right.aggregate
    if left.kind == "date" and right.kind == "date" and sign == "-":
        return Value(f"ns_days_between({left.sql}, {right.sql})", "number", aggregate=aggregate)
    if left.kind == "date" and right.kind != "date" and sign in "+-":
        return Value(
            f"ns_add_days({left.sql}, {'-' if sign == '-' else ''}{number(right).sql})",
            "date",
            aggregate=aggregate,
        )
    if right.kind == "date" and sign == "+":
        return Value(f"ns_add_days({right.sql}, {number(left).sql})", "date", aggregate=aggregate)
    raise unsupported()


_Handler = Callable[[Expressions, Any], Value]
_E = Expressions
_HANDLERS: dict[type[exp.Expr], _Handler] = {
    exp.Column: _E._column,
    exp.Literal: _E._literal,
    exp.Null: _E._null,
    exp.Placeholder: _E._placeholder,
    exp.CurrentTimestamp: _E._now,
    exp.CurrentDate: _E._now,
    exp.Add: _E._arithmetic,
    exp.Sub: _E._arithmetic,
    exp.Mul: _E._arithmetic,
    exp.Div: _E._divide,
    exp.Neg: _E._negative,
    exp.DPipe: _E._join_text,
    **dict.fromkeys(_COMPARISONS, _E._compare),
    exp.And: _E._logic,
    exp.Or: _E._logic,
    exp.Not: _E._not,
    exp.Paren: _E._paren,
    exp.Is: _E._is,
    exp.Between: _E._between,
    exp.In: _E._in,
    exp.Exists: _E._exists,
    exp.Like: _E._like,
    exp.Escape: _E._escape,
    exp.Subquery: _E._subquery,
    exp.Case: _E._case,
    exp.Cast: _E._cast,
    exp.Extract: _E._extract,
    exp.Trim: _E._trim,
    exp.Dot: _E._builtin,
    exp.Anonymous: _E._call,
    exp.Window: _E._window,
}
