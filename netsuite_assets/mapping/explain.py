"""Where each value of one record comes from: the same SQL as the expected tables, for one record.

Here: reading the layers' own columns. Not here: how they are computed (`sql.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import duckdb

from netsuite_assets.mapping.model import HOW, PROBLEMS, STEP
from netsuite_assets.mapping.outcome import found_by

if TYPE_CHECKING:
    from netsuite_assets.mapping.compiler import RecordMapping
    from netsuite_assets.mapping.model import FieldRule, Part, ProblemCode


@dataclass(frozen=True)
class Explained:
    """One field of one record: its value, the rule that gave it and what the rule was given.

    `line` is None for a header's field, and for a line that no billing line stands for; `line_rule` is the line rule
    that made the line, where there are several. `source` is the billing value, or the constant or filled template; `found_by`
    is how a lookup matched, and `fallback` the default that was used, if one was.
    """

    line: int | None
    field: str
    value: str | None
    rule: str
    where: str
    source: str | None
    found_by: str | None
    fallback: str | None
    problem: ProblemCode | None
    line_rule: str | None = None


def explain_record(
    con: duckdb.DuckDBPyConnection, mapping: RecordMapping, external_id: str
) -> list[Explained]:
    """Header fields in the order of the tenant's file, then those of each line."""
    explained = _explain(con, mapping, mapping.parts.header, external_id)
    lines: list[Explained] = []
    for part in mapping.parts.lines:
        lines += _explain(con, mapping, part, external_id)
    return explained + lines


def _explain(
    con: duckdb.DuckDBPyConnection, mapping: RecordMapping, part: Part, external_id: str
) -> list[Explained]:
    layers = mapping.layers(part)
    if not layers.rules:
        return []
    columns = ["line_no" if layers.on_lines else "NULL"]
    for rule in layers.rules:
        how = f"h{rule.index}" if _tells_how(rule) else "NULL"
        columns += [f"v{rule.index}::VARCHAR", how, f"e{rule.index}"]
        columns += [f"s{way.index}::VARCHAR" for way in rule.ways]
    order = " ORDER BY line_no, source_id" if layers.on_lines else " ORDER BY source_id"
    rows = con.execute(
        f"{layers.judged(None)} SELECT {', '.join(columns)} FROM judged WHERE external_id = $external_id{order}",
        {"external_id": external_id},
    ).fetchall()
    found = []
    for line, *values in rows:
        told = iter(values)
        for rule in layers.rules:
            value, how, error = next(told), next(told), next(told)
            sources = [next(told) for _ in rule.ways]
            found.append(_explained(rule, line, part.name, value, how, error, sources))
    return found


def _explained(
    rule: FieldRule,
    line: int | None,
    line_rule: str,
    value: str | None,
    how: int | None,
    error: int,
    sources: list[str | None],
) -> Explained:
    """One field, told by the way that gave its value, or that failed, or else the first that had anything."""
    code = how if how is not None else error
    given = [position for position, source in enumerate(sources) if source is not None]
    position = code // STEP if code else next(iter(given), 0)
    way = rule.ways[position] if rule.ways else None
    is_default = how is not None and HOW[how % STEP] == "default"
    return Explained(
        line=line,
        line_rule=line_rule or None,
        field=rule.field.name,
        value=value,
        rule=way.described if way is not None else "stays empty",
        where=way.where if way is not None else rule.field.where,
        source=sources[position] if sources else None,
        found_by=found_by(rule, how),
        fallback=way.default if way is not None and is_default else None,
        problem=PROBLEMS.get(error % STEP),
    )


def _tells_how(rule: FieldRule) -> bool:
    if not rule.is_plain:
        return True
    (way,) = rule.ways
    return way.lookup is not None or way.default is not None
