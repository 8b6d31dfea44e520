"""How many rows a query asks for: FETCH, TOP, OFFSET, and conditions on ROWNUM. Constants only."""

from __future__ import annotations

from sqlglot import exp

from sandbox.query.dialect import unsupported


def limit_of(node: exp.Expr) -> str:
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


def _whole_number(node: exp.Expr | None) -> str:
    if not isinstance(node, exp.Literal) or node.is_string or not node.name.isdigit():
        raise unsupported()
    return node.name


def row_limit(conditions: list[exp.Expr]) -> int | None:
    """The rows that conditions on ROWNUM let through; None without any.

    Numbers are given to rows as they pass: what refuses number 1 refuses every row.
    """
    most: int | None = None
    for condition in conditions:
        found = _most(condition)
        most = found if most is None else min(most, found)
    return most


_ENDLESS = 2**62


def _most(node: exp.Expr) -> int:
    if isinstance(node, exp.Paren):
        return _most(node.this)
    if isinstance(node, exp.Between):
        low, high = _constant(node.args["low"]), _constant(node.args["high"])
        return high if low <= 1 else 0
    if not isinstance(node, exp.LT | exp.LTE | exp.GT | exp.GTE | exp.EQ):
        raise unsupported()
    kind: type[exp.Expr] = type(node)
    left, right = node.this, node.expression
    if not isinstance(left, exp.Column):
        mirrored: dict[type[exp.Expr], type[exp.Expr]] = {
            exp.LT: exp.GT,
            exp.LTE: exp.GTE,
            exp.GT: exp.LT,
            exp.GTE: exp.LTE,
            exp.EQ: exp.EQ,
        }
        kind, left, right = mirrored[kind], right, left
    if not isinstance(left, exp.Column):
        raise unsupported()
    number = _constant(right)
    if kind is exp.LT:
        return max(number - 1, 0)
    if kind is exp.LTE:
        return max(number, 0)
    if kind is exp.EQ:
        return 1 if number == 1 else 0
    first = number if kind is exp.GTE else number + 1
    return _ENDLESS if first <= 1 else 0


def _constant(node: exp.Expr) -> int:
    negative = isinstance(node, exp.Neg)
    text = _whole_number(node.this if negative else node)
    return -int(text) if negative else int(text)
