"""Types met in SuiteQL expressions, and how one becomes another: numbers, text, choices between values."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandbox.query.dialect import unsupported
from sandbox.query.scope import Value

if TYPE_CHECKING:
    from sandbox.query.translate import Translator


def quoted(text: str) -> str:
    return "'" + text.replace("'", "''").replace("\x00", "") + "'"


def number(value: Value) -> Value:
    """An operand of arithmetic."""
    if value.literal is not None:
        sql = numeric_literal(value.literal)
        return Value(sql, "number" if "." in sql else "int")
    if value.kind == "any":
        return Value(f"CAST({value.sql} AS NUMERIC)", "number")
    if value.kind == "text":
        return Value(f"ns_to_number({value.sql})", "number", aggregate=value.aggregate)
    if value.kind in ("date", "bool", "condition"):
        raise unsupported()
    return value


def numeric_literal(literal: str) -> str:
    plain = literal.strip()
    if not plain.lstrip("-").replace(".", "", 1).isdigit():
        raise unsupported()
    return plain


def printed(translator: Translator, value: Value) -> str:
    """A value as text."""
    if value.kind == "date":
        return f"ns_to_char({value.sql}, {quoted(translator.date_format)})"
    return value.sql if value.kind in ("text", "bool", "null") else f"ns_text({value.sql})"


def merged(sql: str, results: list[Value]) -> Value:
    """The type of a choice between values."""
    kinds = {r.kind for r in results if r.kind != "null"}
    refs = {r.ref for r in results if r.kind != "null"}
    aggregate = any(r.aggregate for r in results)
    if len(kinds) == 1:
        return Value(sql, kinds.pop(), refs.pop() if len(refs) == 1 else None, aggregate=aggregate)
    if kinds <= {"id", "int", "number", "any"} and kinds:
        return Value(
            sql, "number" if "number" in kinds else "any" if "any" in kinds else "int", aggregate=aggregate
        )
    return Value(sql, "any", aggregate=aggregate)
