"""What a person reads beside each expected row: its problem, the next step, and how its values were found.

Here: the columns problem, problem_code, next_step and via, as SQL over the layers of `sql.py`. Not here: when a
value is wrong (`sql.py`), nor the words about one field (`messages.py`).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from netsuite_assets.mapping.messages import next_step, sentence
from netsuite_assets.mapping.model import CUSTOMER, HOW, PROBLEMS, FieldRule
from netsuite_assets.mapping.sql import Layers, start_kind
from netsuite_assets.mapping.values import as_text
from netsuite_assets.tables import TABLES
from resources.warehouse import literal, quote

_LINES_TOLD: Final = 3


@dataclass(frozen=True)
class _Told:
    """SQL for one possible problem of a row: its sentence, code and next step, each NULL when there is none."""

    sentence: str
    code: str
    next_step: str


def outcome(layers: Layers) -> list[str]:
    """Columns problem, problem_code, next_step and via of the relation `judged`.

    The first problem gives the code: an unusable id, then a field that NetSuite requires, then the rest.
    """
    who = _who(layers)
    told = [
        *_bad_ids(layers, who),
        *_bad_fields(layers, who, required=True),
        *(
            _when(
                f"unreadable_{alias}",
                f"concat({who}, 'its metadata in billing is not JSON.')",
                "Correct the metadata in billing.",
            )
            for alias in layers.keys
        ),
        *_bad_fields(layers, who, required=False),
    ]
    columns = [f"{_via(layers.rules)} AS via"]
    if not told:
        return [*(f"NULL::VARCHAR AS {name}" for name in ("problem", "problem_code", "next_step")), *columns]
    bad = f"CASE WHEN NOT ({_good(layers)}) THEN"
    return [
        f"{bad} concat_ws(' ', {_list(one.sentence for one in told)}) END AS problem",
        f"{bad} coalesce({_list(one.code for one in told)}) END AS problem_code",
        f"{bad} concat_ws(' ', {_list(one.next_step for one in told)}) END AS next_step",
        *columns,
    ]


def line_problems(record: str, period: str) -> str:
    """Relations `line_problems` and `line_steps`, one row a document: the first few in words, and how many there are."""
    lines = f"expected.{quote(str(TABLES[record].lines))}"
    more = f"CASE WHEN count(*) > {_LINES_TOLD} THEN ' Lines with problems in all: ' || count(*) || '.' ELSE '' END"
    return f"""bad_lines AS MATERIALIZED (
        SELECT external_id, source_id, line_no, problem, problem_code, next_step FROM {lines}
        WHERE period = {literal(period)} AND problem IS NOT NULL),
    line_problems AS MATERIALIZED (
        SELECT external_id, first(problem_code ORDER BY line_no, source_id) AS problem_code,
            array_to_string(list(problem ORDER BY line_no, source_id)[1:{_LINES_TOLD}], ' ') || {more} AS problem
        FROM bad_lines GROUP BY external_id),
    line_steps AS MATERIALIZED (
        SELECT external_id,
            array_to_string(list(next_step ORDER BY line_no, next_step)[1:{_LINES_TOLD}], ' ') AS next_step
        FROM (SELECT external_id, next_step, min(line_no) AS line_no FROM bad_lines GROUP BY external_id, next_step)
        GROUP BY external_id)"""


def _bad_fields(layers: Layers, who: str, *, required: bool) -> Iterable[_Told]:
    for rule in layers.rules:
        if rule.required != required:
            continue
        value = f"left(coalesce({_looked_up(rule)}, ''), 80)"
        said = " ".join(f"WHEN {n} THEN concat({who}, {sentence(n, rule, value)})" for n in PROBLEMS)
        code = " ".join(f"WHEN {n} THEN {literal(name)}" for n, name in PROBLEMS.items())
        done = " ".join(f"WHEN {n} THEN {next_step(n, rule, value)}" for n in PROBLEMS)
        yield _Told(*(f"CASE e{rule.index} {cases} END" for cases in (said, code, done)))


def _bad_ids(layers: Layers, who: str) -> Iterable[_Told]:
    if layers.on_lines:
        return
    where = layers.external_id.where
    wrong = literal("' cannot stand in a URL: it may hold letters, digits, '-' and '_' only.")
    its = literal("its external id '")
    step = f"Correct the id in billing, or external_id at {where}."
    yield _when("bad_id", f"concat({who}, {its}, external_id, {wrong})", step)
    if not layers.external_id.only_id:
        twice = literal("' is also that of another record.")
        step = f"Use {{id}} in external_id at {where}."
        yield _when("repeated_id", f"concat({who}, {its}, external_id, {twice})", step)


def _when(condition: str, said: str, step: str) -> _Told:
    """An invalid value, where `condition` holds."""
    return _Told(
        *(f"CASE WHEN {condition} THEN {what} END" for what in (said, "'invalid_value'", literal(step)))
    )


def _good(layers: Layers) -> str:
    tests = [f"e{rule.index} = 0" for rule in layers.rules]
    tests += [f"unreadable_{alias} IS NOT TRUE" for alias in layers.keys]
    if not layers.on_lines:
        tests.append("NOT bad_id")
        if not layers.external_id.only_id:
            tests.append("NOT repeated_id")
    return " AND ".join(tests)


def _who(layers: Layers) -> str:
    label = literal(layers.tables.label.capitalize())
    if layers.record == CUSTOMER:
        return f"concat({label}, ' ', name, ' (', source_id, '): ')"
    line = ", ', line ', line_no" if layers.on_lines else ""
    return f"concat({label}, ' ', number{line}, ': ')"


def _looked_up(rule: FieldRule) -> str:
    start = as_text(f"s{rule.index}", start_kind(rule))
    # Of an unmapped value there is only the source.
    return f"coalesce(m{rule.index}, {start})" if rule.lookup is not None else start


def _via(rules: Sequence[FieldRule]) -> str:
    """A JSON object: field to how its value was found, for the fields that were looked up or defaulted."""
    told = []
    for rule in rules:
        ways = {number: how for number, how in HOW.items() if _possible(rule, how)}
        if ways:
            said = " ".join(
                f"WHEN {number} THEN {literal(_member(rule, how))}" for number, how in ways.items()
            )
            told.append(f"CASE h{rule.index} {said} END")
    if not told:
        return "NULL::VARCHAR"
    return f"nullif('{{' || concat_ws(',', {_list(told)}) || '}}', '{{}}')"


def _possible(rule: FieldRule, how: str) -> bool:
    if how == "default":
        return rule.default is not None
    if how == CUSTOMER:
        return rule.of_customer
    return rule.lookup is not None and not rule.of_customer and how in rule.lookup.by


def _member(rule: FieldRule, how: str) -> str:
    said = f"default {rule.default}" if how == "default" else how
    return f"{json.dumps(rule.field.name)}:{json.dumps(said, ensure_ascii=False)}"


def _list(parts: Iterable[str]) -> str:
    return ", ".join(parts)
