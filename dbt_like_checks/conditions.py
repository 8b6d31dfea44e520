"""The SQL that a check's YAML may hold: one boolean expression over the columns of one row.

Here: parsing such text and refusing everything else. Not here: the questions it becomes part of.

What is parsed is walked node by node against a closed list, so that no sub-query, table function or setting can
be reached; and what runs is written anew from the parsed tree, never the text itself. sqlglot takes a tenth of a
second to import, so this module is imported when text is parsed, not when the checks are defined.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

#: Functions by the name under which DuckDB knows them. Division is left out: DuckDB's makes floats of decimals.
_FUNCTIONS: Final[dict[str, type[exp.Expr]]] = {
    "abs": exp.Abs,
    "case": exp.Case,
    "cast": exp.Cast,
    "coalesce": exp.Coalesce,
    "contains": exp.Contains,
    "date_trunc": exp.TimestampTrunc,
    "day": exp.Day,
    "ends_with": exp.EndsWith,
    "extract": exp.Extract,
    "greatest": exp.Greatest,
    "if": exp.If,
    "least": exp.Least,
    "length": exp.Length,
    "lower": exp.Lower,
    "month": exp.Month,
    "nullif": exp.Nullif,
    "regexp_full_match": exp.RegexpFullMatch,
    "regexp_matches": exp.RegexpLike,
    "round": exp.Round,
    "starts_with": exp.StartsWith,
    "strftime": exp.TimeToStr,
    "trim": exp.Trim,
    "upper": exp.Upper,
    "year": exp.Year,
}
_NAMED_FUNCTIONS: Final = frozenset({"json_valid"})

_COMPARISONS: Final = (
    exp.EQ,
    exp.NEQ,
    exp.GT,
    exp.GTE,
    exp.LT,
    exp.LTE,
    exp.Is,
    exp.NullSafeEQ,
    exp.NullSafeNEQ,
    exp.In,
    exp.Between,
    exp.Like,
    exp.ILike,
)
_BOOLEANS: Final = (
    *_COMPARISONS,
    exp.And,
    exp.Or,
    exp.Not,
    exp.Escape,  # LIKE … ESCAPE
    exp.Boolean,
    exp.Contains,
    exp.EndsWith,
    exp.StartsWith,
    exp.RegexpLike,
    exp.RegexpFullMatch,
)
_PARTS: Final = (
    *_BOOLEANS,
    exp.Column,
    exp.Identifier,
    exp.Literal,
    exp.Null,
    exp.Paren,
    exp.Add,
    exp.Sub,
    exp.Mul,
    exp.Mod,
    exp.Neg,
    exp.DPipe,
    exp.Interval,
    exp.Var,
    exp.Tuple,
    exp.DataType,
    exp.DataTypeParam,
    exp.JSONExtractScalar,
    exp.JSONPath,
    exp.JSONPathRoot,
    exp.JSONPathKey,
)
_ALLOWED: Final = frozenset((*_PARTS, *_FUNCTIONS.values()))


class ConditionError(ValueError):
    """The text is not one boolean expression over the columns of one row; the message says why."""


@dataclass(frozen=True)
class Condition:
    """A boolean SQL expression, written anew from its parsed form, and the columns that it reads."""

    sql: str
    columns: tuple[str, ...]


@lru_cache(maxsize=512)
def condition(text: str) -> Condition:
    """The one boolean expression that `text` holds, in DuckDB's SQL; raises `ConditionError`."""
    try:
        statements = sqlglot.parse(text, read="duckdb")
    except SqlglotError as error:
        raise ConditionError(f"`{text}` cannot be read as SQL: {_words(error)}") from None
    expressions = [statement for statement in statements if statement is not None]
    if len(expressions) != 1:
        raise ConditionError(
            f"`{text}` holds {len(expressions) or 'no'} expression{'s' if expressions else ''}; write one"
        )
    tree = expressions[0]
    for node in tree.walk():
        _allow(node, text)
    whole = tree
    while isinstance(whole, exp.Paren):
        whole = whole.this
    if not (isinstance(whole, _BOOLEANS) or _is_named_function(whole)):
        raise ConditionError(
            f"`{text}` is not true or false: compare it with something, or write `… IS TRUE`"
        )
    columns = dict.fromkeys(node.name for node in tree.walk(bfs=False) if isinstance(node, exp.Column))
    return Condition(tree.sql(dialect="duckdb", identify=True, comments=False), tuple(columns))


def _allow(node: exp.Expr, text: str) -> None:
    if isinstance(node, exp.Column) and len(node.parts) > 1:
        raise ConditionError(f"`{node.sql()}` in `{text}`: name a column alone, without its table")
    if type(node) in _ALLOWED or _is_named_function(node):
        return
    if isinstance(node, exp.Query | exp.Subquery | exp.Exists):
        raise ConditionError(
            f"`{text}` holds a query; an expression sees one row only. Use `relationships` or `total_equals`"
            " for a question about another table"
        )
    if isinstance(node, exp.Func):
        name = (node.name if isinstance(node, exp.Anonymous) else node.sql_name()).lower()
        known = sorted([*_FUNCTIONS, *_NAMED_FUNCTIONS])
        near = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
        guess = f" Did you mean {near[0]}()?" if near else ""
        raise ConditionError(
            f"`{text}` calls {name}(), which an expression may not.{guess} It may call: {', '.join(known)}"
        )
    raise ConditionError(f"`{node.sql(dialect='duckdb')}` cannot stand in an expression (`{text}`)")


def _is_named_function(node: exp.Expr) -> bool:
    return isinstance(node, exp.Anonymous) and node.name.lower() in _NAMED_FUNCTIONS


def _words(error: SqlglotError) -> str:
    """sqlglot's reason without the colour codes around the place."""
    details = getattr(error, "errors", None)
    if not details:
        return str(error)
    first = details[0]
    return f"{first['description']} at character {first['col']}"
