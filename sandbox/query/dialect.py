"""SuiteQL's grammar: Oracle's, with every function left as it is written, and what NetSuite does not support refused."""

from __future__ import annotations

from typing import Any, ClassVar

import sqlglot
from sqlglot import exp
from sqlglot.dialects.oracle import Oracle
from sqlglot.errors import SqlglotError
from sqlglot.tokenizer_core import Token, TokenType

from sandbox.errors import Refusal, invalid_parameter

_KEPT_PARSERS = ("CAST", "EXTRACT", "TRIM")


class SuiteQL(Oracle):
    class Parser(Oracle.Parser):  # type: ignore[misc,valid-type]
        # Functions keep their names: their meaning is this package's, not a translation to another dialect.
        FUNCTIONS: ClassVar[dict[str, Any]] = {}
        FUNCTION_PARSERS = {k: v for k, v in Oracle.Parser.FUNCTION_PARSERS.items() if k in _KEPT_PARSERS}  # noqa: RUF012
        NO_PAREN_FUNCTIONS: ClassVar[dict[Any, Any]] = {}


def search_error(tail: str) -> Refusal:
    return invalid_parameter(
        f"Invalid search query. Detailed unprocessed description follows. Search error occurred: {tail}", "q"
    )


def unsupported() -> Refusal:
    return search_error("Invalid or unsupported search.")


def parse(query: str) -> exp.Query:
    """The syntax tree of one SELECT; raises NetSuite's refusal for anything else."""
    try:
        tokens = sqlglot.tokenize(query, dialect=SuiteQL)
        statements = sqlglot.parse(_numbered(query, tokens), dialect=SuiteQL)
    except (SqlglotError, RecursionError) as error:
        raise unsupported() from error
    refused = (TokenType.LIMIT, TokenType.WITH, TokenType.L_BRACKET)
    if len(statements) != 1 or any(token.token_type in refused for token in tokens):
        raise unsupported()
    statement = statements[0]
    if not isinstance(statement, exp.Select | exp.SetOperation | exp.Subquery):
        raise unsupported()
    return statement


def _numbered(query: str, tokens: list[Token]) -> str:
    """Every `?` becomes `:p1`, `:p2`, ...: a query is not translated in the order in which it is written."""
    marks = [token.start for token in tokens if token.token_type == TokenType.PLACEHOLDER]
    for number, start in reversed(list(enumerate(marks, 1))):
        query = f"{query[:start]}:p{number}{query[start + 1 :]}"
    return query
