"""What a person reads beside each expected row: its problem, the next step, warnings, and how its values were found.

Here: the columns problem, problem_code, next_step, warning and via, as SQL over the layers of `sql.py`. Not here: when
a value is wrong (`sql.py`), nor the words about one field (`messages.py`).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from netsuite_assets.mapping.messages import next_step, sentence, warning
from netsuite_assets.mapping.model import HOW, PROBLEMS, STEP, Branch, FieldRule, Way
from netsuite_assets.mapping.sql import Layers
from netsuite_assets.mapping.values import as_text
from netsuite_assets.tables import COLUMN_TYPES
from resources.warehouse import literal, quote

_LINES_TOLD: Final = 3


@dataclass(frozen=True)
class _Told:
    """SQL for one possible problem of a row: its sentence, code and next step, each NULL when there is none."""

    sentence: str
    code: str
    next_step: str


def outcome(layers: Layers) -> list[str]:
    """Columns problem, problem_code, next_step, warning and via of the relation `judged`.

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
            for alias in layers.metadata
        ),
        *_bad_fields(layers, who, required=False),
        *_bad_journal_line(layers, who),
    ]
    columns = [f"{_warnings(layers)} AS warning", f"{_via(layers.rules)} AS via"]
    if not told:
        return [*(f"NULL::VARCHAR AS {name}" for name in ("problem", "problem_code", "next_step")), *columns]
    bad = f"CASE WHEN NOT ({_good(layers)}) THEN"
    return [
        f"{bad} concat_ws(' ', {_list(one.sentence for one in told)}) END AS problem",
        f"{bad} coalesce({_list(one.code for one in told)}) END AS problem_code",
        f"{bad} concat_ws(' ', {_list(one.next_step for one in told)}) END AS next_step",
        *columns,
    ]


def line_problems(lines: str, period: str) -> str:
    """Relations `line_problems` and `line_steps`, one row a document: the first few in words, and how many there are."""
    table = f"expected.{quote(lines)}"
    more = f"CASE WHEN count(*) > {_LINES_TOLD} THEN ' Lines with problems in all: ' || count(*) || '.' ELSE '' END"
    return f"""bad_lines AS MATERIALIZED (
        SELECT external_id, source_id, line_no, problem, problem_code, next_step FROM {table}
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


def balances(lines: str, period: str) -> str:
    """Relation `balances` (external_id, debit, credit): the sums of each journal entry's lines."""
    return f"""balances AS MATERIALIZED (
        SELECT external_id, sum(coalesce(debit, 0)) AS debit, sum(coalesce(credit, 0)) AS credit
        FROM expected.{quote(lines)} WHERE period = {literal(period)} GROUP BY external_id)"""


def unclaimed(layers: Layers, where: str) -> list[str]:
    """The same columns for billing lines that no line rule takes: each is a problem of its document."""
    who = _who(layers)
    return [
        f"concat({who}, 'no line rule takes it.') AS problem",
        "'unmapped_value' AS problem_code",
        f"{literal(f'Add a line rule for it, or widen one, at {where}; lines_when leaves lines out on purpose.')} AS next_step",
        "NULL::VARCHAR AS warning",
        "NULL::VARCHAR AS via",
    ]  # fmt: skip


# Problems of a row


def _bad_fields(layers: Layers, who: str, *, required: bool) -> Iterable[_Told]:
    for rule in layers.rules:
        if rule.required != required:
            continue
        said, code, done = [], [], []
        for number, branch, way, test in _possible(layers, rule):
            value = f"left(coalesce({_shown(rule, way, number)}, ''), 80)"
            problem = number % STEP
            said.append(f"WHEN {test} THEN concat({who}, {sentence(problem, rule, branch, way, value)})")
            code.append(f"WHEN {test} THEN {literal(PROBLEMS[problem])}")
            done.append(f"WHEN {test} THEN {next_step(problem, rule, branch, way, value)}")
        if said:
            yield _Told(*(f"CASE {' '.join(cases)} END" for cases in (said, code, done)))


def _possible(layers: Layers, rule: FieldRule) -> Iterator[tuple[int, Branch, Way | None, str]]:
    """The numbers that may tell what is wrong with a field, each with its rule and way, and the SQL test for it."""
    e = f"e{rule.index}"
    position = 0
    for number, branch in enumerate(rule.branches):
        active = f" AND b{rule.index}_{number}" if len(rule.branches) > 1 else ""
        for at, way in enumerate(branch.ways, position):
            for problem in PROBLEMS:
                if _may_be(problem, way):
                    yield STEP * at + problem, branch, way, f"{e} = {STEP * at + problem}"
        position += len(branch.ways)
        if not branch.cut and branch.is_limited:
            yield 9, branch, None, f"{e} = 9{active}"
        if rule.required:
            nothing = 1 if rule.of_customer else 7
            yield nothing, branch, None, f"{e} = {nothing}{active}"
    if rule.required and len(rule.branches) > 1:
        # No rule is for the row, so that any of them may be named.
        nothing = 1 if rule.of_customer else 7
        yield nothing, rule.branches[-1], None, f"{e} = {nothing}"


def _may_be(problem: int, way: Way) -> bool:
    """Whether this can be wrong with what a way gives."""
    if problem in (2, 3, 6, 8):
        return way.lookup is not None
    if problem == 5:
        return way.lookup is None or way.lookup.of_date
    return (problem == 4 and way.value_map is not None) or (problem == 10 and way.round == "currency")


def _shown(rule: FieldRule, way: Way | None, number: int) -> str:
    """SQL of the value that a person is told about."""
    if number % STEP == 9:
        return as_text(f"z{rule.index}", rule.field.kind if rule.field.kind in COLUMN_TYPES else "text")  # type: ignore[arg-type]
    if way is None:
        return "NULL"
    start = as_text(f"s{way.index}", way.start_kind)
    if way.lookup is None:
        return start
    # Of an unmapped value there is only the source.
    return f"coalesce(m{way.index}::VARCHAR, {start})"


def _bad_ids(layers: Layers, who: str) -> Iterable[_Told]:
    if layers.on_lines:
        return
    where = layers.plan.external_id.where
    wrong = literal("' cannot stand in a URL: it may hold letters, digits, '-' and '_' only.")
    its = literal("its external id '")
    step = f"Correct the id in billing, or external_id at {where}."
    yield _when("bad_id", f"concat({who}, {its}, external_id, {wrong})", step)
    if not layers.plan.one_row_each:
        twice = literal("' is also that of another record.")
        step = f"Use {{id}} in external_id at {where}."
        yield _when("repeated_id", f"concat({who}, {its}, external_id, {twice})", step)


def _bad_journal_line(layers: Layers, who: str) -> Iterable[_Told]:
    """A journal line debits or credits, and neither below zero (NetSuite REST facts: journalEntry)."""
    if _amounts(layers) is None:
        return
    step = (
        f"Correct the rules at {layers.part.where}: 'sign: positive_part' and 'negative_part' part an amount."
    )
    said = literal("it must have one of debit and credit, above zero.")
    yield _when(f"NOT {_one_sided(layers)}", f"concat({who}, {said})", step)


def _amounts(layers: Layers) -> tuple[str, str] | None:
    if layers.plan.record != "journalEntry" or not layers.on_lines:
        return None
    columns = layers.values()
    return columns.get("debit", "NULL"), columns.get("credit", "NULL")


def _one_sided(layers: Layers) -> str:
    debit, credit = _amounts(layers) or ("NULL", "NULL")
    return f"(({debit} IS NULL) <> ({credit} IS NULL) AND coalesce({debit}, 1) > 0 AND coalesce({credit}, 1) > 0)"


def _when(condition: str, said: str, step: str) -> _Told:
    """An invalid value, where `condition` holds."""
    return _Told(
        *(f"CASE WHEN {condition} THEN {what} END" for what in (said, "'invalid_value'", literal(step)))
    )


def _good(layers: Layers) -> str:
    tests = [f"e{rule.index} = 0" for rule in layers.rules]
    tests += [f"unreadable_{alias} IS NOT TRUE" for alias in layers.metadata]
    if not layers.on_lines:
        tests.append("NOT bad_id")
        if not layers.plan.one_row_each:
            tests.append("NOT repeated_id")
    if _amounts(layers) is not None:
        tests.append(_one_sided(layers))
    return " AND ".join(tests or ["true"])


def _who(layers: Layers) -> str:
    label = layers.plan.tables.label
    label = literal(label[0].upper() + label[1:])
    if layers.plan.tables.billing == "customers" and not layers.on_lines:
        return f"concat({label}, ' ', name, ' (', source_id, '): ')"
    line = {
        "record": "",
        "line": ", ', line ', line_no",
        "document": f", {literal(f', line {layers.part.name}')}",
        "rest": f", {literal(f', line {layers.part.name}')}",
    }[layers.part.each]
    return f"concat({label}, ' ', number{line}, ': ')"


# Warnings, and how values were found


def _warnings(layers: Layers) -> str:
    told = []
    for rule in layers.rules:
        cases = [
            f"WHEN {f'b{rule.index}_{number}' if len(rule.branches) > 1 else 'true'}"
            f" THEN {warning(rule, branch, _shown(rule, None, 9))}"
            for number, branch in enumerate(rule.branches)
            if branch.cut and branch.is_limited
        ]
        if cases:
            told.append(
                f"CASE WHEN l{rule.index} AND v{rule.index} IS NOT NULL THEN CASE {' '.join(cases)} END END"
            )
    return f"nullif(concat_ws(' ', {_list(told)}), '')" if told else "NULL::VARCHAR"


def _via(rules: Sequence[FieldRule]) -> str:
    """A JSON object: field to how its value was found, for the fields that were looked up or defaulted, or that have
    several rules or ways.
    """
    told = []
    for rule in rules:
        said = " ".join(
            f"WHEN {number} THEN {literal(_member(rule, told_as))}" for number, told_as in _ways(rule)
        )
        if said:
            told.append(f"CASE h{rule.index} {said} END")
    if not told:
        return "NULL::VARCHAR"
    return f"nullif('{{' || concat_ws(',', {_list(told)}) || '}}', '{{}}')"


def _ways(rule: FieldRule) -> Iterator[tuple[int, str]]:
    """The numbers that may tell how a field's value was found, each with its words."""
    position = 0
    for branch in rule.branches:
        entity = "" if branch.entity is None else f" (by_subsidiary {branch.entity})"
        for at, way in enumerate(branch.ways, position):
            several = len(branch.ways) > 1
            for code, how in HOW.items():
                if not _can_be(way, how, is_plain=rule.is_plain):
                    continue
                words = str(way.lookup.list_name) if how == "own" and way.lookup is not None else how
                if how == "value":
                    words = way.described
                elif several:
                    words = f"{words}, {way.described.partition(', lookup')[0]}"
                yield STEP * at + code, f"{words}{entity}"
        if branch.default is not None:
            yield STEP * position + 5, f"default {branch.default}{entity}"
        position += len(branch.ways)


def _can_be(way: Way, how: str, *, is_plain: bool) -> bool:
    if how == "default":
        return False
    if how == "own":
        return way.own
    if how == "value":
        return way.lookup is None and not is_plain
    return way.lookup is not None and not way.own and how in way.lookup.by


def found_by(rule: FieldRule, number: int | None) -> str | None:
    """How a value was found, in one word; None where nothing was looked up or defaulted."""
    if number is None or HOW[number % STEP] == "value":
        return None
    if HOW[number % STEP] == "own":
        lookup = rule.ways[number // STEP].lookup
        return lookup.list_name if lookup is not None else None
    return HOW[number % STEP]


def _member(rule: FieldRule, told: str) -> str:
    return f"{json.dumps(rule.field.name)}:{json.dumps(told, ensure_ascii=False)}"


def _list(parts: Iterable[str]) -> str:
    return ", ".join(parts)
