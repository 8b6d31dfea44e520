"""Conditions on billing values: `when` as a tenant writes it, checked, in words, and as SQL.

Here: what a test means for each kind of value. Not here: what depends on a condition. In SQL a condition always holds
or does not: where there is no value, only `empty: true` and `not` do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

from netsuite_assets.mapping.model import Check, Condition, Source
from netsuite_assets.mapping.paths import PathError, is_number
from netsuite_assets.mapping.values import NUMBER_TYPE, convert, fits, number
from netsuite_assets.mapping.values import is_number as is_number_text
from resources.tenants import ValueTest, shown
from resources.warehouse import literal

When = Sequence[Mapping[str, ValueTest]]

_ORDERS: Final = {"above": ">", "at_least": ">=", "below": "<", "at_most": "<="}
_WORDS: Final = {"above": "above", "at_least": "at least", "below": "below", "at_most": "at most"}


class ConditionError(Exception):
    """A condition that means nothing: why, and the keys below `when` that lead to it; `at_key` where the last key
    itself is wrong.
    """

    def __init__(self, message: str, *steps: str | int, at_key: bool = False) -> None:
        super().__init__(message)
        self.steps = steps
        self.at_key = at_key


def condition_of(when: When, source: Callable[[str], Source], where: str) -> Condition:
    """The checked condition; raises `ConditionError`. `source` is the meaning of a path (or a `PathError`)."""
    cases = [_case(case, source, index) for index, case in enumerate(when)]
    described = " or ".join(" and ".join(map(_described, case)) for case in cases)
    return Condition(tuple(cases), described, where)


def _case(case: Mapping[str, ValueTest], source: Callable[[str], Source], index: int) -> tuple[Check, ...]:
    checks = []
    for path, test in case.items():
        try:
            found = source(path)
        except PathError as error:
            raise ConditionError(str(error), index, path, at_key=True) from None
        checks += [_check(found, key, values, index) for key, values in _tests(test)]
    return tuple(checks)


def _tests(test: ValueTest) -> Iterable[tuple[str, tuple[str, ...]]]:
    for key, value in test.model_dump(by_alias=True, exclude_unset=True).items():
        if value is not None:
            yield (
                key,
                tuple(value)
                if isinstance(value, list)
                else (str(value).lower(),)
                if key == "empty"
                else (value,),
            )


def _check(source: Source, key: str, values: tuple[str, ...], index: int) -> Check:
    if key == "empty":
        return Check(source, "empty", values)
    for value in values:
        if not value.strip():
            raise ConditionError("an empty text is no value; use 'empty: true'", index, source.path, key)
        if (why := _unfit(source, key, value)) is not None:
            raise ConditionError(f"'{shown(value)}' {why}", index, source.path, key)
    return Check(source, key, values)  # type: ignore[arg-type]


def _unfit(source: Source, key: str, value: str) -> str | None:
    """Why a value cannot be compared so with the source's."""
    if is_number(source):
        return None if is_number_text(value) else "is not a number"
    if source.kind in ("date", "datetime"):
        return fits(value, source.kind)
    if key not in _ORDERS:
        return fits(value, "boolean") if source.kind == "boolean" else None
    if source.kind == "boolean":
        return f"is not to be compared: {source.path} is true or false"
    if is_number_text(value) or fits(value, "date") is None:
        return None
    return "is neither a number nor a date, which alone have an order"


def _described(check: Check) -> str:
    path, values = check.source.path, check.values
    if check.operator == "empty":
        return f"{path} is empty" if values == ("true",) else f"{path} is not empty"
    if check.operator in _ORDERS:
        return f"{path} is {_WORDS[check.operator]} {values[0]}"
    one = values[0] if len(values) == 1 else f"one of {', '.join(values)}"
    return f"{path} is {'not ' if check.operator == 'not' else ''}{one}"


def condition_sql(condition: Condition, value: Callable[[Source], str]) -> str:
    """SQL that is true where the condition holds, and false otherwise. `value` gives a source's SQL."""
    cases = [" AND ".join(_sql(check, value(check.source)) for check in case) for case in condition.cases]
    return f"({' OR '.join(cases)})"


def _sql(check: Check, sql: str) -> str:
    operator = check.operator
    if operator == "empty":
        return f"({sql} IS NULL)" if check.values == ("true",) else f"({sql} IS NOT NULL)"
    if operator in _ORDERS:
        (bound,) = check.values
        compared, limit = _ordered(sql, check, bound)
        return f"coalesce({compared} {_ORDERS[operator]} {limit}, false)"
    given = ", ".join(_literal(value, check.source) for value in check.values)
    found = f"coalesce({_plain(sql, check.source)} IN ({given}), false)"
    return f"(NOT {found})" if operator == "not" else found


def _plain(sql: str, source: Source) -> str:
    return f"({sql})::{NUMBER_TYPE}" if is_number(source) else sql


def _literal(value: str, source: Source) -> str:
    """A value of the tenant's file as the source's kind."""
    if is_number(source):
        return f"{literal(value)}::{NUMBER_TYPE}"
    if source.kind == "date":
        return f"{literal(value)}::DATE"
    if source.kind == "datetime":
        return f"{literal(value)}::TIMESTAMPTZ"
    if source.kind == "boolean":
        return str(convert(literal(value), "text", "boolean"))
    return literal(value)


def _ordered(sql: str, check: Check, bound: str) -> tuple[str, str]:
    """Both sides of a comparison; text is taken for what the bound is, and compares with nothing where it is not."""
    source = check.source
    if source.kind not in ("text", "json"):
        return _plain(sql, source), _literal(bound, source)
    if is_number_text(bound):
        return f"({number(sql, source.kind)})", f"{literal(bound)}::{NUMBER_TYPE}"
    return f"({convert(sql, source.kind, 'date')})", f"{literal(bound)}::DATE"
