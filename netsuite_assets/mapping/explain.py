"""Where each value of one record comes from: the same SQL as the expected tables, for one record.

Here: reading the layers' own columns. Not here: how they are computed (`sql.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import duckdb

from netsuite_assets.mapping.model import HOW, PROBLEMS

if TYPE_CHECKING:
    from netsuite_assets.mapping.compiler import RecordMapping
    from netsuite_assets.mapping.model import FieldRule, ProblemCode


@dataclass(frozen=True)
class Explained:
    """One field of one record: its value, the rule that gave it and what the rule was given.

    `line` is None for a header's field; `source` is the billing value, or the constant or filled template; `found_by`
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


def explain_record(
    con: duckdb.DuckDBPyConnection, mapping: RecordMapping, external_id: str
) -> list[Explained]:
    """Header fields in the order of the tenant's file, then those of each line."""
    explained = _explain(con, mapping, external_id, on_lines=False)
    if mapping.tables.lines is not None:
        explained += _explain(con, mapping, external_id, on_lines=True)
    return explained


def _explain(
    con: duckdb.DuckDBPyConnection, mapping: RecordMapping, external_id: str, *, on_lines: bool
) -> list[Explained]:
    layers = mapping.layers(on_lines=on_lines)
    if not layers.rules:
        return []
    columns = ["line_no" if on_lines else "NULL"]
    for rule in layers.rules:
        i = rule.index
        how = f"h{i}" if _tells_how(rule) else "NULL"
        columns += [f"s{i}::VARCHAR", f"v{i}::VARCHAR", how, f"e{i}"]
    order = " ORDER BY line_no, source_id" if on_lines else " ORDER BY source_id"
    rows = con.execute(
        f"{layers.judged(None)} SELECT {', '.join(columns)} FROM judged WHERE external_id = $external_id{order}",
        {"external_id": external_id},
    ).fetchall()
    found = []
    for row in rows:
        for position, rule in enumerate(layers.rules):
            source, value, how, error = row[1 + 4 * position : 5 + 4 * position]
            found.append(
                Explained(
                    line=row[0],
                    field=rule.field.name,
                    value=value,
                    rule=rule.described,
                    where=rule.field.where,
                    source=source,
                    found_by=HOW.get(how),
                    fallback=rule.default if HOW.get(how) == "default" else None,
                    problem=PROBLEMS.get(error),
                )
            )
    return found


def _tells_how(rule: FieldRule) -> bool:
    return rule.lookup is not None or rule.default is not None
