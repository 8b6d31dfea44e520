"""Two tables compared by key, hashes first: how a million records a side are compared in about a second.

Here: which rows belong together, which of them differ, and in which fields. Not here: what that means for a document
(`differences.py`), or how two values are compared (`comparison.py`).

1. Narrow: keys, hashes and row ids of both sides meet in one FULL JOIN, and rows with equal hashes are done with.
2. Wide: the values of the differing keys alone are fetched, by their row ids.
3. One SELECT a field over these few finds the values that differ, and those that a rule takes for the same.
4. Conservation: what is left over as matched must be the same number of rows with the same hashes on both sides.

A key that stands on a side more than once is set apart and never compared, a row without a key neither. The result
is temporary tables, named after the comparison:

- `<name>_repeated` (key, left_rows, right_rows): keys set apart; the key NULL counts the rows without a key.
- `<name>_apart` (key, left_row, right_row, left_hash, right_hash, wanted): rows that differ or lack a counterpart;
  where `wanted` is false, only in what normalisation takes for the same.
- `<name>_pairs` (key, what is carried, and of each field `"l.<field>"` and `"r.<field>"` where these are not the same):
  the pairs that differ.
- `<name>_judged` (key, field, rule, left_value, right_value, delta, scope): each pair of values that are not the same as
  they stand; `rule` is that by which they are taken for the same, and where it is NULL they differ.
- `<name>_uses` (field, rule, scope, uses, delta, greatest): the former, added up.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from netsuite_assets.reconcile.comparison import NUMBER_KINDS, Comparison
from netsuite_assets.reconcile.hashes import REPEATED, HashedSlice
from resources.warehouse import WHOLE, TenantWarehouse, literal, quote

#: The share of the rows up to which pairs that only normalisation takes for the same are fetched with the others.
_FEW: Final = 0.05


class NotConserved(Exception):
    """Rows were lost or multiplied while they were compared; nothing that was found can be relied upon."""


def _as_text(value: str) -> str:
    return f"{value}::VARCHAR"


@dataclass(frozen=True, slots=True)
class Field:
    """One compared field: its values on both sides, as SQL over the rows `l` and `r`.

    The rest is SQL over the pairs: `shown` makes of a value the text that people read, `always` holds where the values
    differ however tolerant the comparison is, and by `scope` the uses of tolerances are added up apart.
    """

    name: str
    comparison: Comparison
    left: str
    right: str
    shown: Callable[[str], str] = _as_text
    always: str | None = None
    scope: str = "NULL::VARCHAR"

    @property
    def columns(self) -> tuple[str, str]:
        """The columns of the pairs that hold the values."""
        return quote(f"l.{self.name}"), quote(f"r.{self.name}")

    @property
    def apart(self) -> str:
        """SQL that holds where the values differ as they stand: the cheap question that comes first."""
        return f"{self.columns[0]} IS DISTINCT FROM {self.columns[1]}"

    @property
    def rule(self) -> str:
        """SQL for the rule by which values that are not the same as they stand are; NULL where they differ."""
        rule = self.comparison.rule_used(*self.columns)
        return f"CASE WHEN NOT ({self.always}) THEN {rule} END" if self.always else rule


@dataclass(frozen=True, slots=True)
class Compared:
    """How the rows of both sides were used up; what each table holds is said above.

    `repeated` counts keys, `unkeyed` rows; a pair that differs in its hash may yet differ in no value.
    """

    name: str
    matched: int
    differing: int
    only_left: int
    only_right: int
    repeated: int
    left_unkeyed: int
    right_unkeyed: int


def compare(
    warehouse: TenantWarehouse,
    left: HashedSlice,
    right: HashedSlice,
    fields: Sequence[Field],
    *,
    name: str,
    carried: Mapping[str, str] = MappingProxyType({}),
    where: str = "true",
    besides: str | None = None,
) -> Compared:
    """Compare two slices that `hash_slice` has prepared, with hashes of the same values.

    `carried` is what the pairs hold besides the fields, as SQL over the rows `l` and `r`; `where` is SQL over the pairs
    that holds where values are to be compared; `besides` is SQL giving keys (one column) whose pairs are fetched
    although nothing in them differs. Raises `NotConserved` when the rows do not add up.
    """
    columns = {**carried}
    for field in fields:
        # Most values are the same, and need not be kept.
        where_apart = f"CASE WHEN {field.left} IS DISTINCT FROM {field.right} THEN"
        columns |= {
            f"l.{field.name}": f"{where_apart} {field.left} END",
            f"r.{field.name}": f"{where_apart} {field.right} END",
        }
    # Row ids hold within a transaction.
    with warehouse.transaction():
        _narrow(warehouse, left, right, name, besides)
        compared = _conserved(warehouse, left, right, name)
        of_case = int(warehouse.value(f"SELECT count(*) FROM {name}_apart WHERE NOT wanted"))
        few = of_case <= _FEW * left.rows
        warehouse.connection.execute(
            f"CREATE OR REPLACE TEMP TABLE {name}_pairs AS"
            f" {_fetched(left, right, f'{name}_apart', 'true' if few else 'wanted', columns)}"
        )
        touched = _apart(warehouse, fields, name)
        judge(warehouse, name, "key", [judged(field, f"{name}_pairs", where) for field in touched])
        if not few:
            seen = [field for field in fields if field.comparison.normalises]
            pairs = _fetched(left, right, f"{name}_apart", "NOT wanted", columns)
            _many_uses(warehouse, seen, f"({pairs})", name, where)
    return compared


def _narrow(
    warehouse: TenantWarehouse, left: HashedSlice, right: HashedSlice, name: str, besides: str | None
) -> None:
    run = warehouse.connection.execute
    run(f"""
        CREATE OR REPLACE TEMP TABLE {name}_repeated AS
        SELECT key, coalesce(sum(rows) FILTER (is_left), 0)::BIGINT AS left_rows,
            coalesce(sum(rows) FILTER (NOT is_left), 0)::BIGINT AS right_rows
        FROM ({_repeated(left, "true")} UNION ALL {_repeated(right, "false")})
        GROUP BY key
    """)
    wanted = "l.h IS DISTINCT FROM r.h" + (f" OR coalesce(l.k, r.k) IN ({besides})" if besides else "")
    apart = f"""
        SELECT coalesce(l.k, r.k) AS key, l.i AS left_row, r.i AS right_row, l.h AS left_hash, r.h AS right_hash,
            {wanted} AS wanted
        FROM {_keys(left)} l FULL JOIN {_keys(right)} r ON l.k = r.k
        WHERE l.w IS DISTINCT FROM r.w OR {wanted}
    """
    run(f"""
        CREATE OR REPLACE TEMP TABLE {name}_apart AS
        SELECT * FROM ({apart}) a
        WHERE NOT EXISTS (SELECT 1 FROM {name}_repeated x WHERE x.key = a.key)
    """)


def _repeated(side: HashedSlice, is_left: str) -> str:
    return (
        f"SELECT key::{side.key_type} AS key, rows, {is_left} AS is_left FROM {REPEATED}"
        f" WHERE table_name = {literal(side.table)} AND period = {literal(side.period or WHOLE)}"
    )


def _keys(side: HashedSlice) -> str:
    key = quote(str(side.key))
    return (
        f"(SELECT {key} AS k, row_hash AS h, raw_hash AS w, rowid AS i FROM {side.table}"
        f" WHERE {side.where} AND {key} IS NOT NULL)"
    )


def _conserved(warehouse: TenantWarehouse, left: HashedSlice, right: HashedSlice, name: str) -> Compared:
    """Count how the rows of both sides were used up; what is left over as matched must agree.

    Equal rows have equal hashes, so what is left over must add up to the same hashes too: a pair that was lost on
    the way, differing and so with two hashes, would leave two different sums.
    """
    differing, only_left, only_right, left_sum, right_sum = warehouse.sql(f"""
        SELECT count(*) FILTER (left_row IS NOT NULL AND right_row IS NOT NULL AND left_hash <> right_hash),
            count(*) FILTER (right_row IS NULL), count(*) FILTER (left_row IS NULL),
            coalesce(sum(left_hash) FILTER (left_hash IS DISTINCT FROM right_hash), 0),
            coalesce(sum(right_hash) FILTER (left_hash IS DISTINCT FROM right_hash), 0)
        FROM {name}_apart
    """)[0]
    keys, left_unkeyed, right_unkeyed = warehouse.sql(f"""
        SELECT count(key), coalesce(sum(left_rows) FILTER (key IS NULL), 0)::BIGINT,
            coalesce(sum(right_rows) FILTER (key IS NULL), 0)::BIGINT
        FROM {name}_repeated
    """)[0]
    rest = []
    for side, used, used_sum in (
        (left, differing + only_left, left_sum),
        (right, differing + only_right, right_sum),
    ):
        rows, hashes = _set_apart(warehouse, side, name)
        rest.append((side.rows - rows - used, side.hash_sum - hashes - used_sum))
    if rest[0] != rest[1]:
        raise NotConserved(_lost(warehouse.tenant, left, right, rest[0], rest[1]))
    return Compared(name, rest[0][0], differing, only_left, only_right, keys, left_unkeyed, right_unkeyed)


def _set_apart(warehouse: TenantWarehouse, side: HashedSlice, name: str) -> tuple[int, int]:
    """Rows, and the sum of their hashes, whose key repeats on either side, or that have none."""
    unkeyed = warehouse.sql(
        f"SELECT coalesce(sum(rows), 0)::BIGINT, coalesce(sum(hash_sum), 0) FROM {REPEATED}"
        " WHERE table_name = ? AND period = ? AND key IS NULL",
        [side.table, side.period or WHOLE],
    )[0]
    key = quote(str(side.key))
    repeated = warehouse.sql(
        f"SELECT count(*), coalesce(sum(row_hash), 0) FROM {side.table}"
        f" WHERE {side.where} AND {key} IN (SELECT key FROM {name}_repeated WHERE key IS NOT NULL)"
    )[0]
    return unkeyed[0] + repeated[0], unkeyed[1] + repeated[1]


def _lost(
    tenant: str, left: HashedSlice, right: HashedSlice, of_left: tuple[int, int], of_right: tuple[int, int]
) -> str:
    period = left.period or right.period
    counted = (
        f"{of_left[0]:,} rows of the one and {of_right[0]:,} of the other are left as matched"
        if of_left[0] != of_right[0]
        else f"the {of_left[0]:,} rows that are left as matched do not have the same contents"
    )
    return (
        f"{tenant}: comparing {left.table} with {right.table}{f' of {period}' if period else ''} lost rows on the way:"
        f" {counted}. Nothing of this comparison was kept. Either the rows were changed by something else than an"
        " extraction, or DuckDB lost rows of a join that did not fit into memory. Materialize both slices again; if it"
        " happens again, give DuckDB more memory or set disabled_optimizers = 'join_filter_pushdown', and report it."
    )


def _fetched(
    left: HashedSlice, right: HashedSlice, apart: str, where: str, columns: Mapping[str, str]
) -> str:
    """SQL for the values of both rows of those pairs in a table of row ids of which this holds."""
    key = quote(str(left.key))
    pairs = f"FROM {apart} WHERE left_row IS NOT NULL AND right_row IS NOT NULL AND {where}"
    selected = "".join(f", {value} AS {quote(column)}" for column, value in columns.items())
    return (
        f"SELECT l.{key} AS key{selected}"
        f" FROM (SELECT * FROM {left.table} WHERE rowid IN (SELECT left_row {pairs})) l"
        f" JOIN (SELECT * FROM {right.table} WHERE rowid IN (SELECT right_row {pairs})) r"
        # As text: for numbers close together DuckDB would make a table of their whole range, as wide as the rows.
        f" ON r.{quote(str(right.key))}::VARCHAR = l.{key}::VARCHAR"
    )


def _apart(warehouse: TenantWarehouse, fields: Sequence[Field], name: str) -> list[Field]:
    """The fields that differ as they stand in some pair: found in one pass, so that the others cost nothing more."""
    if not fields:
        return []
    counted = ", ".join(f"count(*) FILTER ({field.apart})" for field in fields)
    counts = warehouse.sql(f"SELECT {counted} FROM {name}_pairs")[0]
    return [field for field, count in zip(fields, counts, strict=True) if count]


def judge(warehouse: TenantWarehouse, name: str, keys: str, parts: Sequence[str]) -> None:
    """Make `<name>_judged` of these queries (see `judged`; `keys` as there), and add up `<name>_uses`."""
    none = ", ".join(f"NULL::VARCHAR AS {key.strip()}" for key in keys.split(","))
    empty = (
        f"SELECT {none}, NULL::VARCHAR AS field, NULL::VARCHAR AS rule, NULL::VARCHAR AS left_value,"
        " NULL::VARCHAR AS right_value, NULL::DECIMAL(38,12) AS delta, NULL::VARCHAR AS scope WHERE false"
    )
    warehouse.connection.execute(
        f"CREATE OR REPLACE TEMP TABLE {name}_judged AS {' UNION ALL '.join(parts) or empty}"
    )
    warehouse.connection.execute(f"""
        CREATE OR REPLACE TEMP TABLE {name}_uses AS
        SELECT field, rule, scope, count(*) AS uses, sum(delta) AS delta, max(abs(delta)) AS greatest
        FROM {name}_judged WHERE rule IS NOT NULL GROUP BY ALL
    """)


def judged(field: Field, pairs: str, where: str = "true", keys: str = "key") -> str:
    """SQL for a field's values that are not the same as they stand, among pairs: keys, field, rule, left_value,
    right_value, delta, scope. The values are those that differ; where a rule takes them for the same they are NULL.
    """
    left, right = field.columns
    shown = [f"CASE WHEN rule IS NULL THEN {field.shown(value)} END" for value in (left, right)]
    scope = field.scope if field.comparison.kind in NUMBER_KINDS else "NULL::VARCHAR"
    return (
        f"SELECT {keys}, {literal(field.name)} AS field, rule, {shown[0]} AS left_value, {shown[1]} AS right_value,"
        f" {field.comparison.delta(left, right)} AS delta, {scope} AS scope"
        f" FROM (SELECT *, {field.rule} AS rule FROM {pairs} WHERE {field.apart} AND ({where}))"
    )


def _many_uses(
    warehouse: TenantWarehouse, fields: Sequence[Field], pairs: str, name: str, where: str
) -> None:
    """Count the uses of normalisations among pairs that are too many to be kept: in one pass."""
    counted = [
        (field.name, rule, f"count(*) FILTER ({field.apart} AND {field.rule} = '{rule}')")
        for field in fields
        for rule in field.comparison.rules
    ]
    counts = warehouse.sql(f"SELECT {', '.join(one for *_, one in counted)} FROM {pairs} WHERE {where}")[0]
    for (field_name, rule, _), uses in zip(counted, counts, strict=True):
        if uses:
            warehouse.connection.execute(
                f"INSERT INTO {name}_uses VALUES (?, ?, NULL, ?, NULL, NULL)", [field_name, rule, uses]
            )
    warehouse.connection.execute(
        f"CREATE OR REPLACE TEMP TABLE {name}_uses AS SELECT field, rule, scope, sum(uses)::BIGINT AS uses,"
        f" sum(delta) AS delta, max(greatest) AS greatest FROM {name}_uses GROUP BY ALL"
    )
