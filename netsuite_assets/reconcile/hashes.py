"""Row hashes: one number a row that is equal where two rows are the same, stored beside the row.

Here: filling the columns `row_hash` and `raw_hash` of a slice, and the keys that stand in it more than once. Not here:
comparing (`keyed.py`).

A slice lands without hashes (its rows are new, so theirs are NULL), and the reconciliation that first reads it fills
them in one UPDATE: what they are made of depends on how fields are compared, which the stages that land slices need
not know. From then on a comparison reads two numbers a row, until the slice lands anew or is compared otherwise. `row_hash` is of the canonical forms of the typed values,
each with its type's fixed scale, never of a text made of them; `raw_hash` is of the texts as they stand, so that a
use of a normalisation can be found without reading them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from netsuite_assets.reconcile.comparison import Comparison
from resources.warehouse import DERIVED, WHOLE, TenantWarehouse, literal, quote

HASHED: Final = "meta.row_hashes"
REPEATED: Final = "meta.repeated_keys"

_TABLES: Final = f"""
CREATE TABLE IF NOT EXISTS {HASHED} (
    table_name VARCHAR NOT NULL, period VARCHAR NOT NULL, spec VARCHAR NOT NULL, content_hash VARCHAR,
    rows BIGINT NOT NULL, hash_sum HUGEINT NOT NULL, PRIMARY KEY (table_name, period));
CREATE TABLE IF NOT EXISTS {REPEATED} (
    table_name VARCHAR NOT NULL, period VARCHAR NOT NULL, key VARCHAR, rows BIGINT NOT NULL, hash_sum HUGEINT NOT NULL);
"""

#: Values of every type that is hashed. What this DuckDB makes of them is part of what a stored hash is of: hash()
#: promises no stability, and hashes of another release must not be taken for this one's.
_GOLDEN: Final = (
    "SELECT hash('a', NULL::VARCHAR, 12.3400::DECIMAL(18,4), 0.5::DECIMAL(28,12), 7::BIGINT, DATE '2026-10-31',"
    " TIMESTAMP '2026-10-31 12:00:00', true)::VARCHAR || hash('é', NULL::VARCHAR)::VARCHAR"
)


@dataclass(frozen=True, slots=True)
class Hashed:
    """A value that takes part in a row's hash: SQL over the row's own columns, and how it is compared."""

    name: str
    value: str
    comparison: Comparison


@dataclass(frozen=True, slots=True)
class HashedSlice:
    """A slice whose rows all have their hashes.

    `key` is the column by which it is compared, and `key_type` its DuckDB type; None for lines, which have no key.
    """

    table: str
    period: str | None
    key: str | None
    key_type: str | None
    rows: int
    hash_sum: int

    @property
    def where(self) -> str:
        """SQL that holds for the slice's rows."""
        return "true" if self.period is None else f"period = {literal(self.period)}"


def hash_slice(
    warehouse: TenantWarehouse, table: str, period: str | None, key: str | None, values: Sequence[Hashed]
) -> HashedSlice:
    """Give every row of a slice its hashes, unless it has them already, made of the same values in the same way.

    `period` None is the whole table. Commits, unless a transaction is open. A number that is a float is refused.
    """
    _refuse_floats(warehouse, table, values)
    warehouse.connection.execute(_TABLES)
    described = warehouse.connection.execute(f"SELECT * FROM {table} LIMIT 0").description or []
    present = {column[0]: str(column[1]) for column in described}
    for column in DERIVED:
        if column not in present:
            warehouse.connection.execute(f"ALTER TABLE {table} ADD COLUMN {column} UBIGINT")
    proof = warehouse.slice(table, period)
    state = (_spec(warehouse, key, values), None if proof is None else proof.content_hash)
    made = HashedSlice(table, period, key, present[key] if key else None, 0, 0)
    at = [table, period or WHOLE]
    rows, hashed = warehouse.sql(f"SELECT count(*), count(row_hash) FROM {table} WHERE {made.where}")[0]
    known = f"SELECT spec, content_hash, rows FROM {HASHED} WHERE table_name = ? AND period = ?"
    if hashed < rows or warehouse.sql(known, at) != [(*state, rows)]:
        _fill(warehouse, made, values, state, at)
    (hash_sum,) = warehouse.sql(f"SELECT hash_sum FROM {HASHED} WHERE table_name = ? AND period = ?", at)[0]
    return replace(made, rows=rows, hash_sum=hash_sum)


def _fill(
    warehouse: TenantWarehouse,
    made: HashedSlice,
    values: Sequence[Hashed],
    state: tuple[str, str | None],
    at: Sequence[str],
) -> None:
    table, where = made.table, made.where
    run = warehouse.connection.execute
    canonical = ", ".join(one.comparison.canonical(one.value) for one in values)
    raw = ", ".join(one.value for one in values if one.comparison.normalises) or "0"
    with warehouse.transaction():
        run(f"UPDATE {table} SET row_hash = hash({canonical}), raw_hash = hash({raw}) WHERE {where}")
        run(f"DELETE FROM {HASHED} WHERE table_name = ? AND period = ?", at)
        run(
            f"INSERT INTO {HASHED} SELECT ?, ?, ?, ?, count(*), coalesce(sum(row_hash), 0)"
            f" FROM {table} WHERE {where}",
            [*at, *state],
        )
        run(f"DELETE FROM {REPEATED} WHERE table_name = ? AND period = ?", at)
        if made.key is not None:
            key = quote(made.key)
            run(
                f"INSERT INTO {REPEATED} SELECT ?, ?, {key}::VARCHAR, count(*), sum(row_hash) FROM {table}"
                f" WHERE {where} GROUP BY {key} HAVING count(*) > 1 OR {key} IS NULL",
                at,
            )


def _spec(warehouse: TenantWarehouse, key: str | None, values: Sequence[Hashed]) -> str:
    """The hash of all that decides what the stored numbers are."""
    made_of = [[one.name, one.value, one.comparison.canonical("x")] for one in values]
    golden = warehouse.value(_GOLDEN)
    text = json.dumps([key, made_of, golden], ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _refuse_floats(warehouse: TenantWarehouse, table: str, values: Sequence[Hashed]) -> None:
    selected = ", ".join(f"typeof({one.value})" for one in values)
    types = warehouse.sql(f"SELECT {selected} FROM {table} LIMIT 1")
    for one, kind in zip(values, types[0] if types else (), strict=False):
        if kind in ("FLOAT", "DOUBLE"):
            raise ValueError(
                f"{table}: {one.name} is {kind}; amounts are compared as DECIMAL, never as floats"
            )
