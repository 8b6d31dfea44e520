"""Functions: what each of SuiteQL's functions becomes in SQLite, and the BUILTIN ones. An unknown name is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from sqlglot import exp

from sandbox.query import dates
from sandbox.query.conversions import merged, number, printed
from sandbox.query.dialect import unsupported
from sandbox.query.scope import Value

if TYPE_CHECKING:
    from sandbox.query.expressions import Expressions

_AGGREGATES = ("COUNT", "SUM", "AVG", "MIN", "MAX")
_RANKS = ("RANK", "DENSE_RANK", "ROW_NUMBER")
_TEXT = {
    # name: (SQLite's name, least arguments, most arguments)
    "LOWER": ("lower", 1, 1),
    "UPPER": ("upper", 1, 1),
    "LTRIM": ("ltrim", 1, 2),
    "RTRIM": ("rtrim", 1, 2),
    "REPLACE": ("replace", 2, 3),
    "INITCAP": ("ns_initcap", 1, 1),
}
_TEXT_AND_NUMBERS = {
    "SUBSTR": ("ns_substr", 2, 3),
    "LPAD": ("ns_lpad", 2, 3),
    "RPAD": ("ns_rpad", 2, 3),
    "REGEXP_SUBSTR": ("ns_regexp_substr", 2, 4),
    "REGEXP_REPLACE": ("ns_regexp_replace", 2, 3),
}
_NUMBER = {
    "ABS": "abs",
    "SIGN": "sign",
    "SQRT": "sqrt",
    "EXP": "exp",
    "LN": "ln",
    "COS": "cos",
    "SIN": "sin",
    "TAN": "tan",
    "ACOS": "acos",
    "ASIN": "asin",
    "ATAN": "atan",
}


def call(x: Expressions, node: exp.Anonymous) -> Value:
    name = node.name.upper()
    if name in _AGGREGATES:
        return _aggregate(x, name, node.expressions)
    handler = _SPECIAL.get(name)
    if handler is not None:
        return handler(x, node.expressions)
    arguments = [x.value(a) for a in node.expressions]
    aggregate = any(a.aggregate for a in arguments)
    if name in _TEXT or name in _TEXT_AND_NUMBERS:
        function, least, most = _TEXT.get(name) or _TEXT_AND_NUMBERS[name]
        _arity(arguments, least, most)
        first, *rest = arguments
        parts = [printed(x.translator, first), *(a.sql for a in rest)]
        if name == "REPLACE" and (len(parts) == 2 or parts[2] == "NULL"):
            parts = [*parts[:2], "''"]
        if function == "ns_regexp_replace" and parts[-1] == "NULL":
            parts[-1] = "''"
        return Value(f"nullif({function}({', '.join(parts)}), '')", "text", aggregate=aggregate)
    if name in _NUMBER:
        _arity(arguments, 1, 1)
        operand = number(arguments[0])
        kind = operand.kind if name in ("ABS",) else "int" if name == "SIGN" else "number"
        return Value(f"{_NUMBER[name]}({operand.sql})", "int" if kind == "id" else kind, aggregate=aggregate)
    raise unsupported()


def _aggregate(x: Expressions, name: str, arguments: list[exp.Expr], over: str = "") -> Value:
    if len(arguments) != 1:
        raise unsupported()
    argument = arguments[0]
    distinct = ""
    if isinstance(argument, exp.Star):
        if name != "COUNT":
            raise unsupported()
        return Value("count(*)", "int", nullable=False, aggregate=True)
    if isinstance(argument, exp.Distinct):
        if len(argument.expressions) != 1:
            raise unsupported()
        distinct, argument = "DISTINCT ", argument.expressions[0]
    operand = x.value(argument)
    if operand.aggregate:
        raise unsupported()
    if name == "COUNT":
        return Value(f"count({distinct}{operand.sql})", "int", nullable=False, aggregate=True)
    if name in ("MIN", "MAX"):
        return Value(f"{name.lower()}({distinct}{operand.sql})", operand.kind, operand.ref, aggregate=True)
    operand = number(operand)
    if name == "SUM" and operand.kind != "number":
        return Value(f"sum({distinct}{operand.sql})", "int", aggregate=True)
    if name == "SUM" and operand.amount and not over and not distinct:
        # Whole numbers add up exactly, and at SQLite's own speed.
        unit = x.translator.unit
        return Value(
            f"(sum(CAST(round({operand.sql} * {unit}) AS INTEGER)) / {unit}.0)", "number", aggregate=True
        )
    return Value(f"ns_{name.lower()}{over}({distinct}{operand.sql})", "number", aggregate=True)


def window(x: Expressions, node: exp.Window) -> Value:
    if node.args.get("over") != "OVER" or not isinstance(node.this, exp.Anonymous):
        raise unsupported()
    name = node.this.name.upper()
    if name in _RANKS:
        if node.this.expressions:
            raise unsupported()
        inner = Value(f"{name.lower()}()", "int")
    elif name in _AGGREGATES:
        inner = _aggregate(x, name, node.this.expressions, over="_over")
    elif name in ("LAG", "LEAD", "FIRST_VALUE", "LAST_VALUE"):
        arguments = [x.value(a) for a in node.this.expressions]
        _arity(arguments, 1, 3)
        inner = Value(
            f"{name.lower()}({', '.join(a.sql for a in arguments)})", arguments[0].kind, arguments[0].ref
        )
    else:
        raise unsupported()
    if node.args.get("spec") is not None:
        raise unsupported()
    parts: list[str] = []
    if node.args.get("partition_by"):
        parts.append("PARTITION BY " + ", ".join(x.sql(p) for p in node.args["partition_by"]))
    if node.args.get("order") is not None:
        parts.append("ORDER BY " + ", ".join(ordered(x, o) for o in node.args["order"].expressions))
    over = f" OVER ({' '.join(parts)})"
    return Value(inner.sql + over, inner.kind, inner.ref)


def ordered(x: Expressions, node: exp.Ordered) -> str:
    """One term of an ORDER BY, with Oracle's place for NULL: after everything, or first when descending."""
    return order_term(x.value(node.this), node)


def order_term(value: Value, node: exp.Ordered) -> str:
    direction = " DESC" if node.args.get("desc") else ""
    nulls = f" NULLS {'FIRST' if node.args.get('nulls_first') else 'LAST'}" if value.nullable else ""
    return f"{value.sql}{direction}{nulls}"


def builtin(x: Expressions, name: str, arguments: list[exp.Expr]) -> Value:
    if not arguments:
        raise unsupported()
    first = x.value(arguments[0])
    if name in ("DF", "HIERARCHY"):
        return _display(x, first)
    if name in ("CF", "CONSOLIDATE"):
        # One primary book and no consolidation: the amount is the subsidiary's own.
        return first
    raise unsupported()


_TEXT_KEYS = ("status", "trantype")


def _display(x: Expressions, value: Value) -> Value:
    if value.ref is None:
        return Value(printed(x.translator, value), "text", aggregate=value.aggregate)
    key = value.sql
    space = value.ref
    if space == "status":
        if value.source is None or "type" not in value.source.columns:
            return Value(value.sql, "text", aggregate=value.aggregate)
        key = f"{value.source.columns['type'].sql} || ':' || {value.sql}"
    space = x.translator.space_of(space)
    if value.kind == "text" and space not in _TEXT_KEYS:
        # Several choices, as `2, 4`: their names, by id.
        chosen = f"instr(', ' || {key} || ',', ', ' || d.id || ',') > 0"
        names = f"SELECT group_concat(d.name, ', ') FROM display AS d WHERE d.space = '{space}' AND {chosen}"
        return Value(f"({names})", "text", aggregate=value.aggregate)
    # Without the plus the key's type would be applied to every id, and the index not used.
    sql = f"(SELECT d.name FROM display AS d WHERE d.space = '{space}' AND d.id = +({key}))"
    return Value(sql, "text", aggregate=value.aggregate)


# Functions with rules of their own


def _coalesce(x: Expressions, nodes: list[exp.Expr]) -> Value:
    values = [x.value(n) for n in nodes]
    _arity(values, 2, 50)
    kept = [_like_first(x, values[0], v) for v in values]
    return merged(f"coalesce({', '.join(v.sql for v in kept)})", kept)


def _like_first(x: Expressions, first: Value, value: Value) -> Value:
    """An alternative brought to the type of the first, as Oracle does."""
    if value is first or value.kind == first.kind or value.kind == "null" or first.kind in ("null", "any"):
        return value
    if first.kind == "text":
        return Value(printed(x.translator, value), "text", aggregate=value.aggregate)
    if first.numeric and value.literal is not None:
        return number(value)
    return value


def _nvl2(x: Expressions, nodes: list[exp.Expr]) -> Value:
    values = [x.value(n) for n in nodes]
    _arity(values, 3, 3)
    test, present, absent = values
    return merged(
        f"(CASE WHEN {test.sql} IS NOT NULL THEN {present.sql} ELSE {absent.sql} END)", [present, absent]
    )


def _nullif(x: Expressions, nodes: list[exp.Expr]) -> Value:
    values = [x.value(n) for n in nodes]
    _arity(values, 2, 2)
    left, right = x.matched(*values)
    return Value(
        f"nullif({left}, {right})", values[0].kind, values[0].ref, aggregate=any(v.aggregate for v in values)
    )


def _decode(x: Expressions, nodes: list[exp.Expr]) -> Value:
    values = [x.value(n) for n in nodes]
    _arity(values, 3, 255)
    subject, *rest = values
    parts, results = [], []
    while len(rest) >= 2:
        left, right = x.matched(subject, rest[0])
        parts.append(f"WHEN {left} IS {right} THEN {rest[1].sql}")
        results.append(rest[1])
        rest = rest[2:]
    default = rest[0] if rest else Value("NULL", "null")
    value = merged(f"(CASE {' '.join(parts)} ELSE {default.sql} END)", [*results, default])
    return value if not subject.aggregate else Value(value.sql, value.kind, value.ref, aggregate=True)


def _extreme(function: str) -> Callable[[Expressions, list[exp.Expr]], Value]:
    def extreme(x: Expressions, nodes: list[exp.Expr]) -> Value:
        values = [x.value(n) for n in nodes]
        _arity(values, 1, 50)
        if len(values) == 1:
            return values[0]
        return merged(f"{function}({', '.join(v.sql for v in values)})", values)

    return extreme


def _to_char(x: Expressions, nodes: list[exp.Expr]) -> Value:
    values = [x.value(n) for n in nodes]
    _arity(values, 1, 2)
    value = values[0]
    if len(values) == 1:
        return Value(printed(x.translator, value), "text", aggregate=value.aggregate)
    model = values[1].literal
    if value.kind == "date" and model is not None:
        # Formats of plain digits need no call: the stored text has them in their places.
        sliced = dates.slices(model)
        if sliced is not None:
            parts = [
                f"substr({value.sql}, {part[0]}, {part[1]})" if isinstance(part, tuple) else f"'{part}'"
                for part in sliced
            ]
            sql = parts[0] if len(parts) == 1 else f"({' || '.join(parts)})"
            return Value(
                sql, "text", aggregate=value.aggregate, digits=all(isinstance(part, tuple) for part in sliced)
            )
    return Value(f"ns_to_char({value.sql}, {values[1].sql})", "text", aggregate=value.aggregate)


def _to_date(x: Expressions, nodes: list[exp.Expr]) -> Value:
    values = [x.value(n) for n in nodes]
    _arity(values, 1, 2)
    model = values[1].literal if len(values) == 2 else x.translator.date_format
    if values[0].kind == "date":
        return values[0]
    if model is None:
        raise unsupported()
    literal = values[0].literal
    if literal is not None:
        try:
            return Value(f"'{dates.to_date(literal, model)}'", "date", nullable=False)
        except dates.FormatError as error:
            raise unsupported() from error
    escaped = model.replace("'", "''")
    return Value(f"ns_to_date({values[0].sql}, '{escaped}')", "date", aggregate=values[0].aggregate)


def _round(function: str) -> Callable[[Expressions, list[exp.Expr]], Value]:
    def rounded(x: Expressions, nodes: list[exp.Expr]) -> Value:
        values = [x.value(n) for n in nodes]
        _arity(values, 1, 2)
        value = values[0]
        rest = f", {values[1].sql}" if len(values) == 2 else ""
        if value.kind == "date":
            if function == "ns_trunc" and not rest:
                return Value(
                    f"(substr({value.sql}, 1, 10) || ' 00:00:00')", "date", aggregate=value.aggregate
                )
            return Value(f"{function}({value.sql}{rest})", "date", aggregate=value.aggregate)
        operand = number(value)
        return Value(
            f"{function}({operand.sql}{rest})", "number" if rest else "int", aggregate=value.aggregate
        )

    return rounded


def _whole(function: str) -> Callable[[Expressions, list[exp.Expr]], Value]:
    def whole(x: Expressions, nodes: list[exp.Expr]) -> Value:
        values = [x.value(n) for n in nodes]
        _arity(values, 1, 1)
        return Value(
            f"CAST({function}({number(values[0]).sql}) AS INTEGER)", "int", aggregate=values[0].aggregate
        )

    return whole


def _numbers(function: str, least: int, most: int) -> Callable[[Expressions, list[exp.Expr]], Value]:
    def numbers(x: Expressions, nodes: list[exp.Expr]) -> Value:
        values = [x.value(n) for n in nodes]
        _arity(values, least, most)
        operands = [number(v) for v in values]
        kind = "number" if any(o.kind == "number" for o in operands) else "int"
        return Value(
            f"{function}({', '.join(o.sql for o in operands)})",
            kind,
            aggregate=any(v.aggregate for v in values),
        )

    return numbers


def _dated(function: str, arity: int, kind: str) -> Callable[[Expressions, list[exp.Expr]], Value]:
    def dated(x: Expressions, nodes: list[exp.Expr]) -> Value:
        values = [x.value(n) for n in nodes]
        _arity(values, arity, arity)
        if values[0].kind != "date":
            raise unsupported()
        parts = ", ".join(v.sql for v in values)
        return Value(f"{function}({parts})", kind, aggregate=any(v.aggregate for v in values))

    return dated


def _length(x: Expressions, nodes: list[exp.Expr]) -> Value:
    values = [x.value(n) for n in nodes]
    _arity(values, 1, 1)
    return Value(f"length({printed(x.translator, values[0])})", "int", aggregate=values[0].aggregate)


def _positions(function: str, most: int) -> Callable[[Expressions, list[exp.Expr]], Value]:
    def position(x: Expressions, nodes: list[exp.Expr]) -> Value:
        values = [x.value(n) for n in nodes]
        _arity(values, 2, most)
        parts = ", ".join([printed(x.translator, values[0]), *(v.sql for v in values[1:])])
        return Value(f"{function}({parts})", "int", aggregate=any(v.aggregate for v in values))

    return position


def _concat(x: Expressions, nodes: list[exp.Expr]) -> Value:
    values = [x.value(n) for n in nodes]
    _arity(values, 2, 2)
    parts = [f"ifnull({printed(x.translator, v)}, '')" for v in values]
    return Value(f"nullif({parts[0]} || {parts[1]}, '')", "text", aggregate=any(v.aggregate for v in values))


def _to_number(x: Expressions, nodes: list[exp.Expr]) -> Value:
    values = [x.value(n) for n in nodes]
    _arity(values, 1, 1)
    if values[0].digits:
        return Value(f"CAST({values[0].sql} AS INTEGER)", "int", aggregate=values[0].aggregate)
    return Value(f"ns_to_number({values[0].sql})", "number", aggregate=values[0].aggregate)


def _now(x: Expressions, nodes: list[exp.Expr]) -> Value:
    if nodes:
        raise unsupported()
    return Value(f"'{x.translator.now}'", "date", nullable=False)


def _regexp_like(x: Expressions, nodes: list[exp.Expr]) -> Value:
    values = [x.value(n) for n in nodes]
    _arity(values, 2, 3)
    parts = ", ".join([printed(x.translator, values[0]), *(v.sql for v in values[1:])])
    return Value(f"ns_regexp_like({parts})", "condition")


_SPECIAL: dict[str, Callable[[Expressions, list[exp.Expr]], Value]] = {
    "NVL": _coalesce,
    "COALESCE": _coalesce,
    "NVL2": _nvl2,
    "NULLIF": _nullif,
    "DECODE": _decode,
    "GREATEST": _extreme("max"),
    "LEAST": _extreme("min"),
    "TO_CHAR": _to_char,
    "TO_DATE": _to_date,
    "TO_TIMESTAMP": _to_date,
    "TO_NUMBER": _to_number,
    "ROUND": _round("ns_round"),
    "TRUNC": _round("ns_trunc"),
    "CEIL": _whole("ceil"),
    "FLOOR": _whole("floor"),
    "MOD": _numbers("ns_mod", 2, 2),
    "POWER": _numbers("pow", 2, 2),
    "ADD_MONTHS": _dated("ns_add_months", 2, "date"),
    "LAST_DAY": _dated("ns_last_day", 1, "date"),
    "NEXT_DAY": _dated("ns_next_day", 2, "date"),
    "MONTHS_BETWEEN": _dated("ns_months_between", 2, "number"),
    "LENGTH": _length,
    "INSTR": _positions("ns_instr", 4),
    "REGEXP_INSTR": _positions("ns_regexp_instr", 2),
    "REGEXP_LIKE": _regexp_like,
    "CONCAT": _concat,
    "SYSDATE": _now,
    "CURRENT_DATE": _now,
}


def _arity(values: list[Value], least: int, most: int) -> None:
    if not least <= len(values) <= most:
        raise unsupported()
