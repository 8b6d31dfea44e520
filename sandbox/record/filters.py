"""The `q` parameter of collections: NetSuite's filter grammar, turned into SQL over the record type's SuiteQL table.

AND binds tighter than OR, round brackets group, lists are in square brackets, dates are in the account's format.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal, InvalidOperation

from sandbox.errors import Refusal, invalid_parameter
from sandbox.query import dates
from sandbox.record.context import Context
from sandbox.record.schema import Field, RecordType

_TOKEN = re.compile(r'\s*(?:("(?:[^"\\]|\\.)*")|([()\[\],])|([^\s()\[\],"]+))')
_COLUMN_OF = {
    "dateCreated": "datecreated",
    "createdDate": "createddate",
    "lastModifiedDate": "lastmodifieddate",
}
Condition = tuple[str, list[object]]
"""SQL text and its bound values."""


def _like(text: str) -> str:
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


_TEXT: dict[str, Callable[[str], Condition]] = {
    "CONTAIN": lambda v: ("{c} LIKE ? ESCAPE '\\'", [f"%{_like(v)}%"]),
    "IS": lambda v: ("{c} = ? COLLATE NOCASE", [v]),
    "START_WITH": lambda v: ("{c} LIKE ? ESCAPE '\\'", [f"{_like(v)}%"]),
    "END_WITH": lambda v: ("{c} LIKE ? ESCAPE '\\'", [f"%{_like(v)}"]),
    "ENDWITH": lambda v: ("{c} LIKE ? ESCAPE '\\'", [f"%{_like(v)}"]),
}
_NUMBER = {"EQUAL": "=", "GREATER": ">", "GREATER_OR_EQUAL": ">=", "LESS": "<", "LESS_OR_EQUAL": "<="}
_DATE = {"ON": "=", "AFTER": ">", "ON_OR_AFTER": ">=", "BEFORE": "<", "ON_OR_BEFORE": "<="}
_LISTS = ("ANY_OF", "BETWEEN", "WITHIN")
_OPERATORS = {"EMPTY", "IS", *_TEXT, *_NUMBER, *_DATE, *_LISTS}


class _Parser:
    def __init__(self, context: Context, record_type: RecordType, text: str) -> None:
        self._context, self._type, self._text = context, record_type, text
        self._tokens = self._split(text)
        self._at = 0

    def _split(self, text: str) -> list[str]:
        tokens: list[str] = []
        position = 0
        while position < len(text.rstrip()):
            match = _TOKEN.match(text, position)
            if match is None:
                raise self.invalid(f"Unexpected character at position {position}.")
            tokens.append(match.group(1) or match.group(2) or match.group(3))
            position = match.end()
        return tokens

    def invalid(self, why: str) -> Refusal:
        return invalid_parameter(f"Invalid search query. {why}", "q")

    def _peek(self) -> str:
        return self._tokens[self._at] if self._at < len(self._tokens) else ""

    def _take(self) -> str:
        token = self._peek()
        if not token:
            raise self.invalid("The query ends too early.")
        self._at += 1
        return token

    def parse(self) -> Condition:
        condition = self._either()
        if self._peek():
            raise self.invalid(f"Unexpected '{self._peek()}'.")
        return condition

    def _either(self) -> Condition:
        return self._joined("OR", lambda: self._joined("AND", self._one))

    def _joined(self, word: str, part: Callable[[], Condition]) -> Condition:
        sql, values = part()
        while self._peek().upper() == word:
            self._take()
            more, bound = part()
            sql, values = f"({sql} {word} {more})", values + bound
        return sql, values

    def _one(self) -> Condition:
        if self._peek() == "(":
            self._take()
            condition = self._either()
            if self._take() != ")":
                raise self.invalid("A closing bracket is missing.")
            return condition
        field = self._field(self._take())
        operator = self._take().upper()
        negated = operator.endswith("_NOT")
        operator = operator.removesuffix("_NOT")
        if operator not in _OPERATORS:
            raise self.invalid(f"Unknown operator '{operator}'.")
        sql, values = self._condition(field, operator)
        column = self._column(field)
        sql = sql.replace("{c}", column)
        return (f"({sql}) IS NOT TRUE" if negated else f"({sql})"), values

    def _field(self, name: str) -> Field:
        field = self._type.fields.get(name.lower())
        if field is None or _column_of(self._context, self._type, field) is None:
            raise self.invalid(f"Field '{name}' cannot be used in the query parameter 'q'.")
        return field

    def _column(self, field: Field) -> str:
        return f't."{_column_of(self._context, self._type, field)}"'

    def _condition(self, field: Field, operator: str) -> Condition:
        if operator == "EMPTY":
            return "{c} IS NULL", []
        if field.kind in ("date", "datetime"):
            return self._date(field, operator)
        if field.kind == "boolean":
            if operator != "IS":
                raise self.invalid(f"Operator {operator} does not fit field '{field.name}'.")
            return "{c} = ?", ["T" if self._value().lower() in ("true", "t") else "F"]
        if field.kind in ("number", "integer", "reference", "enum", "choice") or field.name == "id":
            return self._number(field, operator)
        if operator in _TEXT:
            return _TEXT[operator](self._value())
        if operator == "ANY_OF":
            values = self._list()
            return f"{{c}} IN ({', '.join('?' * len(values))})", list(values)
        raise self.invalid(f"Operator {operator} does not fit field '{field.name}'.")

    def _number(self, field: Field, operator: str) -> Condition:
        if operator in _LISTS:
            values = [self._to_number(field, text) for text in self._list()]
            if operator == "ANY_OF":
                return f"{{c}} IN ({', '.join('?' * len(values))})", values
            if len(values) != 2:
                raise self.invalid(f"Operator {operator} needs two values in square brackets.")
            return "{c} BETWEEN ? AND ?", values
        sign = "=" if operator == "IS" else _NUMBER.get(operator)
        if sign is None:
            raise self.invalid(f"Operator {operator} does not fit field '{field.name}'.")
        return f"{{c}} {sign} ?", [self._to_number(field, self._value())]

    def _to_number(self, field: Field, text: str) -> object:
        try:
            found = Decimal(text)
        except InvalidOperation as error:
            raise self.invalid(f"'{text}' is no number for field '{field.name}'.") from error
        return int(found) if found == found.to_integral_value() else float(found)

    def _date(self, field: Field, operator: str) -> Condition:
        if operator in ("BETWEEN", "WITHIN"):
            first, last = [self._to_date(text) for text in self._pair(operator)]
            return "substr({c}, 1, 10) BETWEEN ? AND ?", [first, last]
        sign = _DATE.get(operator)
        if sign is None:
            raise self.invalid(f"Operator {operator} does not fit field '{field.name}'.")
        # Whole days: a date-time counts as the day it falls on in the account's time zone.
        return f"substr({{c}}, 1, 10) {sign} ?", [self._to_date(self._value())]

    def _pair(self, operator: str) -> list[str]:
        values = self._list()
        if len(values) != 2:
            raise self.invalid(f"Operator {operator} needs two values in square brackets.")
        return values

    def _to_date(self, text: str) -> str:
        try:
            return dates.to_date(text, self._context.profile.date_format)[:10]
        except dates.FormatError as error:
            raise self.invalid(
                f"'{text}' is not a date in the format {self._context.profile.date_format}."
            ) from error

    def _value(self) -> str:
        token = self._take()
        if token in ("(", ")", "[", "]", ","):
            raise self.invalid(f"A value is expected, not '{token}'.")
        return re.sub(r"\\(.)", r"\1", token[1:-1]) if token.startswith('"') else token

    def _list(self) -> list[str]:
        if self._peek() != "[":
            return [self._value()]
        self._take()
        values = [self._value()]
        while self._peek() == ",":
            self._take()
            values.append(self._value())
        if self._take() != "]":
            raise self.invalid("A closing square bracket is missing.")
        return values


def _column_of(context: Context, record_type: RecordType, field: Field) -> str | None:
    """The column that a field is filtered by; None: it cannot be."""
    table = context.database.tables.get(record_type.table)
    name = _COLUMN_OF.get(field.name, field.name.lower())
    return name if table is not None and name in table.columns else None


def filterable(context: Context, record_type: RecordType) -> list[str]:
    """The fields that `q` takes, as `x-ns-filterable` lists them."""
    return sorted(
        f.name for f in record_type.fields.values() if _column_of(context, record_type, f) is not None
    )


def condition(context: Context, record_type: RecordType, text: str) -> Condition:
    """The condition on the record type's table, under the alias `t`; raises a 400 that names `q`."""
    return _Parser(context, record_type, text).parse()
