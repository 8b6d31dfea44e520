"""What both sides agreed on before, told by the ledger where the warehouse is new.

Here: what NetSuite was sent and showed to hold when it was read back, as rows of the table that `agreed.py` keeps. Not
here: what is made of them (`agreed.py`), or how a body is written (the write-back stage). Imports no Dagster.

The ledger knows of what we wrote alone, and not what either side has changed since with the other's knowledge. A body
that made a record tells of all fields of its mapping, those that it leaves out being empty; one that changed it tells of
the fields that it names, and of all lines where it has some. Of the total of a document no body tells. NetSuite's value is
taken for exactly the one that it was sent.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import islice
from typing import Any, Final

import pyarrow as pa

from netsuite_assets.mapping.body import INTERNAL
from netsuite_assets.mapping.compiler import MappedField
from netsuite_assets.reconcile import agreed
from netsuite_assets.reconcile.lines import Lines, lines_hash
from netsuite_assets.reconcile.record import ComparedRecord
from resources.ledger import Ledger, VerifiedBody
from resources.warehouse import TenantWarehouse, literal, quote

#: Bodies that are taken at once: so many, and no more, are in memory.
_AT_ONCE: Final = 10_000


@dataclass(frozen=True)
class Told:
    """What the ledger tells of a record type and period of which the warehouse knows nothing yet; without one, nothing.

    `mapping_hash` is of the version of the mapping that is compared by.
    """

    ledger: Ledger | None = None
    mapping_hash: str = ""

    def of_records(self, warehouse: TenantWarehouse, of: ComparedRecord, lines: Lines | None) -> None:
        """Fill the table of what was agreed on; the records and lines must have their hashes."""
        table = agreed.ensured(warehouse, of)
        if self.ledger is None or _knows(warehouse, table, agreed.period_of(of)):
            return
        period = of.period if of.is_document else None
        bodies = enumerate(self.ledger.verified_bodies(warehouse.tenant, of.record, period))
        run = warehouse.connection.execute
        # Aside, and in steps that end: what a transaction drops stays in memory as long as that lasts.
        aside = f"{table}_told"
        run(f"CREATE OR REPLACE TABLE {aside} AS FROM {table} LIMIT 0")
        while some := list(islice(bodies, _AT_ONCE)):
            _read(warehouse, of, lines, some, self.mapping_hash)
            _fill(warehouse, of, lines, aside)
        run(f"INSERT INTO {table} BY NAME FROM {aside}")
        for name in (aside, "told", "told_lines", "told_last"):
            run(f"DROP TABLE IF EXISTS {name}")

    def of_applications(self, warehouse: TenantWarehouse, table: str, period: str) -> None:
        """Fill the table of what payments settle by agreement: the latest that each of them was sent."""
        if self.ledger is None or _knows(warehouse, table, period):
            return
        latest: dict[str, dict[str, Decimal | None]] = {}
        for one in self.ledger.verified_bodies(warehouse.tenant, "customerPayment", period):
            body = json.loads(one.body, parse_float=Decimal, parse_int=Decimal)
            if "apply" in body:
                latest[one.external_id] = _settled(body["apply"]["items"])
            elif one.is_whole and one.mapping_hash == self.mapping_hash:
                latest[one.external_id] = {}
        rows = [
            {
                "place": 0,
                "external_id": payment,
                "doc": doc,
                "amount": None if amount is None else f"{amount:f}",
            }
            for payment, settled in latest.items()
            if None not in settled.values()
            for doc, amount in [(None, None), *settled.items()]
        ]
        run = warehouse.connection.execute
        run(
            "CREATE OR REPLACE TEMP TABLE told (place BIGINT, external_id VARCHAR, doc VARCHAR, amount VARCHAR)"
        )
        _insert(warehouse, "told", rows)
        run(
            f"INSERT INTO {table} BY NAME SELECT ? AS period, external_id, doc, amount::DECIMAL(18, 4) AS amount,"
            " true AS is_known, false AS is_differing FROM told",
            [period],
        )
        run("DROP TABLE told")


def _knows(warehouse: TenantWarehouse, table: str, period: str) -> bool:
    return bool(warehouse.value(f"SELECT count(*) FROM (FROM {table} WHERE period = ? LIMIT 1)", [period]))


def _settled(items: Sequence[Mapping[str, Any]]) -> dict[str, Decimal | None]:
    """What the elements of a payment's `apply` settle, by document; None where an element does not say how much."""
    found: dict[str, Decimal | None] = {}
    for item in items:
        if item.get("apply", True):
            doc = item["doc"]
            amount = item.get("amount")
            named = doc.get("externalId") or f"{INTERNAL}{doc['id']}"
            found[named] = None if amount is None else (found.get(named) or Decimal(0)) + amount
    return found


def _read(
    warehouse: TenantWarehouse,
    of: ComparedRecord,
    lines: Lines | None,
    bodies: Sequence[tuple[int, VerifiedBody]],
    mapping_hash: str,
) -> None:
    """Make `told` (place, external_id, is_whole, names, the fields as text), a row a body, and `told_lines` (place, the
    fields as text).
    """
    fields, of_lines = _mapped(of), _line_fields(of, lines)
    run = warehouse.connection.execute
    texts = "".join(f", {quote(field.name)} VARCHAR" for field in fields)
    run(
        "CREATE OR REPLACE TEMP TABLE told (place BIGINT, external_id VARCHAR, is_whole BOOLEAN, names VARCHAR[]"
        f"{texts})"
    )
    texts = "".join(f", {quote(field.name)} VARCHAR" for field in of_lines)
    run(f"CREATE OR REPLACE TEMP TABLE told_lines (place BIGINT{texts})")
    sublist = str(of.tables.sublist)
    headers, rows = [], []
    for place, one in bodies:
        body = json.loads(one.body, parse_float=Decimal, parse_int=Decimal)
        is_whole = one.is_whole and one.mapping_hash == mapping_hash
        about = {"place": place, "external_id": one.external_id, "is_whole": is_whole, "names": list(body)}
        headers.append(about | {field.name: _text(field, body.get(field.name)) for field in fields})
        if of_lines:
            items = body.get(sublist, {}).get("items", ())
            rows += [
                {"place": place} | {field.name: _text(field, item.get(field.name)) for field in of_lines}
                for item in items
            ]
    _insert(warehouse, "told", headers)
    _insert(warehouse, "told_lines", rows)


def _fill(warehouse: TenantWarehouse, of: ComparedRecord, lines: Lines | None, table: str) -> None:
    """Put the latest that `told` tells of each field into the table of what was agreed on, over what was told before."""
    values, knows = [], {}
    mapped = {field.name: field for field in _mapped(of)}
    for field in of.fields:
        rule = mapped.get(field.name)
        if rule is None:
            continue
        # What a rule sends only once, or where NetSuite has nothing, NetSuite may have filled in itself.
        is_told = f"list_contains(names, {literal(field.name)})"
        is_told = f"({is_told} OR is_whole)" if rule.policy == "always" else is_told
        values.append(
            f"last({quote(field.name)}::{rule.column_type} ORDER BY place) FILTER ({is_told}) AS {agreed.column_of(field)}"
        )
        knows[field.name] = f"bool_or({is_told})"
    hashed, joined = "NULL::UBIGINT", ""
    if lines is not None:
        of_lines = {field.name: field for field in _line_fields(of, lines)}
        if all(one.name in of_lines for one in lines.fields):
            contents = ", ".join(
                one.comparison.canonical(f"{quote(one.name)}::{of_lines[one.name].column_type}")
                for one in lines.fields
            )
            joined = f"""LEFT JOIN (
                SELECT t.external_id, {lines_hash("count(l.place)", "sum(l.content)")} AS hash
                FROM (SELECT external_id, max(place) AS place FROM told
                    WHERE list_contains(names, {literal(str(of.tables.sublist))}) GROUP BY external_id) t
                LEFT JOIN (SELECT place, hash({contents}) AS content FROM told_lines) l USING (place)
                GROUP BY t.external_id) s USING (external_id)"""
            hashed = "s.hash"
    known = [f"CASE WHEN {told} THEN {literal(name)} END" for name, told in knows.items()]
    run = warehouse.connection.execute
    run(f"""
        CREATE OR REPLACE TEMP TABLE told_last AS
        SELECT * EXCLUDE (known), {hashed} AS hash,
            known || CASE WHEN {hashed} IS NULL THEN [] ELSE ['{agreed.LINES}'] END AS known
        FROM (SELECT {", ".join(["external_id", *values, f"[{', '.join(known)}]::VARCHAR[] AS known"])}
            FROM told GROUP BY external_id) {joined}
    """)
    of_period = f"period = {literal(agreed.period_of(of))}"
    columns = {field.name: agreed.column_of(field) for field in of.fields if field.name in mapped}
    told = "".join(
        f", {column} = CASE WHEN list_contains(b.known, {literal(name)}) THEN b.{column} ELSE {table}.{column} END"
        for name, column in columns.items()
    )
    left = f"nullif(list_filter({table}.never, lambda one: NOT list_contains(b.known, one)), [])"
    run(f"""
        UPDATE {table} SET never = {left}, differing = {left},
            billed_lines = coalesce(b.hash, billed_lines), held_lines = coalesce(b.hash, held_lines){told}
        FROM told_last b WHERE {table}.{of_period} AND {table}.external_id = b.external_id
    """)
    every = [*([agreed.TOTAL] if of.is_document else []), *(field.name for field in of.fields)]
    every += [agreed.LINES] if lines is not None else []
    unknown = f"nullif(list_filter({every}::VARCHAR[], lambda one: NOT list_contains(known, one)), [])"
    run(f"""
        INSERT INTO {table} BY NAME
        SELECT {literal(agreed.period_of(of))} AS period, external_id, 0::UBIGINT AS content,
            {literal(agreed.hashes_made_of(warehouse, of))} AS made_of, {unknown} AS differing, {unknown} AS never,
            hash AS billed_lines, hash AS held_lines{"".join(f", {column}" for column in columns.values())}
        FROM told_last
        WHERE external_id IN (SELECT external_id FROM {of.expected} WHERE {of.where})
            AND external_id NOT IN (SELECT external_id FROM {table} WHERE {of_period})
    """)


def _mapped(of: ComparedRecord) -> list[MappedField]:
    """The compared fields of the header that a body shows as they are compared."""
    names = {field.name for field in of.fields}
    return [field for field in of.mapping.fields if field.name in names and field.column == field.name]


def _line_fields(of: ComparedRecord, lines: Lines | None) -> list[MappedField]:
    if lines is None:
        return []
    names = {field.name for field in lines.fields}
    return [field for field in of.mapping.line_fields if field.name in names and field.column == field.name]


def _text(field: MappedField, value: Any) -> str | None:
    """A value of a body as the text of what the warehouse holds of it."""
    match value:
        case None:
            return None
        case {"externalId": external_id}:
            return str(external_id)
        case {"id": internal_id}:
            return f"{INTERNAL if field.by_external_id else ''}{internal_id}"
        case bool():
            return str(value).lower()
        case Decimal():
            return f"{value:f}"
    return str(value)


def _insert(warehouse: TenantWarehouse, table: str, rows: Sequence[dict[str, Any]]) -> None:
    if not rows:
        return
    kinds = {"place": pa.int64(), "is_whole": pa.bool_(), "names": pa.list_(pa.string())}
    schema = pa.schema([(name, kinds.get(name, pa.string())) for name in rows[0]])
    warehouse.connection.register("told_in", pa.Table.from_pylist(list(rows), schema=schema))
    warehouse.connection.execute(f"INSERT INTO {table} BY NAME SELECT * FROM told_in")
    warehouse.connection.unregister("told_in")
