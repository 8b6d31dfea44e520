"""What was compared last, so that slices which have not changed since are not compared again.

Here: the fingerprint of everything that a record type's differences rest on, and the differences that were found then.
Not here: comparing. What is remembered is recorded in the transaction that writes the differences, and counts only as
long as these are still the rows that were written.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import cache
from pathlib import Path
from typing import Final

import pandera.pandas as pa

from netsuite_assets import frames
from netsuite_assets.extract.known_ids import recall_earlier_ids
from netsuite_assets.mapping.compiler import Mapping as TenantMapping
from netsuite_assets.reconcile.differences import Issued
from netsuite_assets.tables import TABLES
from resources.tenants import Tenant
from resources.warehouse import TenantWarehouse, literal

COMPARED: Final = "meta.comparisons"

_TABLE: Final = f"""
CREATE TABLE IF NOT EXISTS {COMPARED} (
    period VARCHAR NOT NULL, record VARCHAR NOT NULL, fingerprint VARCHAR NOT NULL, asked VARCHAR NOT NULL,
    found VARCHAR NOT NULL, PRIMARY KEY (period, record))
"""
"""`asked` is a JSON object of the documents that billing was asked about, with the days on which it had issued them;
`found` is a hash of the rows that were written.
"""

#: What is found, with the temporary table that holds it while it is found.
_FOUND: Final[Mapping[str, pa.DataFrameSchema]] = {
    "differences_found": frames.DIFFERENCES,
    "tolerated_found": frames.TOLERATED,
    "total_parts_found": frames.TOTAL_PARTS,
}


@dataclass
class Asked:
    """Asks billing, and keeps what it was asked and what it said."""

    ask: Issued
    said: dict[str, str | None] = field(default_factory=dict)

    def __call__(self, external_ids: Sequence[str]) -> Mapping[str, date]:
        found = self.ask(external_ids)
        self.said |= {name: found[name].isoformat() if name in found else None for name in external_ids}
        return found

    @property
    def text(self) -> str:
        return json.dumps(self.said, sort_keys=True)


def fingerprint(
    warehouse: TenantWarehouse, tenant: Tenant, mapping: TenantMapping, period: str, record: str
) -> str:
    """A hash of all that decides a record type's differences, but for what billing says of other months.

    It is of the contents of the slices on both sides, of the external ids that their documents had before, of the lists
    by which values are shown to people, of the mapping, of how fields are compared, and of the code that compares.
    """
    tables = TABLES[record]
    scope = None if tables.lines is None else period
    slices = {
        f"{side}.{name}": scope
        for side in ("expected", "netsuite")
        for name in (tables.name, tables.lines)
        if name
    }
    if tables.taxes is not None:
        slices[f"netsuite.{tables.taxes}"] = period
    if tables.lines is not None:
        # Of documents that are not expected it counts whether billing has voided them.
        slices[f"billing.{mapping.compared[record].tables.billing}"] = period
    slices |= {"expected.customers": None, "netsuite.customers": None, "netsuite.reference": None}
    contents = []
    for table, part in sorted(slices.items()):
        proof = warehouse.slice(table, part)
        contents.append([table, None if proof is None else proof.content_hash])
    if tables.lines is not None:
        contents.append(["known ids", _earlier_ids(warehouse, record, f"netsuite.{tables.name}", period)])
    if record == "customerPayment":
        contents += _settled(warehouse, tenant, mapping, period)
    settings = tenant.reconcile.model_dump(mode="json")
    contracts = [frames.columns(contract) for contract in _FOUND.values()]
    text = json.dumps([record, contents, mapping.hash, settings, contracts, _code()])
    return hashlib.sha256(text.encode()).hexdigest()


def _earlier_ids(warehouse: TenantWarehouse, record: str, table: str, period: str) -> str | None:
    """A hash of the other external ids that a slice's documents had before; None where none had another."""
    if not warehouse.columns(table):
        return None
    recall_earlier_ids(
        warehouse, record, f"SELECT internal_id, external_id FROM {table} WHERE period = {literal(period)}"
    )
    found = warehouse.value("SELECT sum(hash(internal_id, external_id)) FROM earlier_ids")
    return None if found is None else str(found)


def _settled(
    warehouse: TenantWarehouse, tenant: Tenant, mapping: TenantMapping, period: str
) -> Iterator[list[str | None]]:
    """What a payment's comparison rests on besides: which documents of this month and of others were found alike."""
    warehouse.connection.execute(_TABLE)
    for record in sorted({"invoice", "creditMemo"} & set(mapping.compared)):
        yield [record, fingerprint(warehouse, tenant, mapping, period, record)]
        others = warehouse.sql(
            f"SELECT period, fingerprint, found FROM {COMPARED} WHERE record = ? AND period <> ? ORDER BY period",
            [record, period],
        )
        for other in others:
            yield [record, *map(str, other)]


@cache
def _code() -> str:
    """A hash of this package's sources: another release may find or say something else."""
    digest = hashlib.sha256()
    for path in sorted([*Path(__file__).parent.glob("*.py"), *Path(__file__).parent.glob("*.sql")]):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def recall(warehouse: TenantWarehouse, period: str, record: str, of: str, issued: Issued) -> str | None:
    """Put what was found then into the tables that a comparison fills, if nothing has changed since.

    Gives what billing said, as `Asked.text`; None when it must be compared again.
    """
    warehouse.connection.execute(_TABLE)
    known = warehouse.sql(
        f"SELECT asked, found FROM {COMPARED} WHERE period = ? AND record = ? AND fingerprint = ?",
        [period, record, of],
    )
    if not known or _found(warehouse, period, record) != known[0][1]:
        return None
    again = Asked(issued)
    said: dict[str, str | None] = json.loads(known[0][0])
    if said:
        again(list(said))
    if again.said != said:
        return None
    for found, contract in _FOUND.items():
        names = ", ".join(name for name in frames.columns(contract) if name != "period")
        warehouse.connection.execute(
            f"INSERT INTO {found} ({names}) SELECT {names} FROM {frames.table_name(contract)}"
            f" WHERE period = {literal(period)} AND record = {literal(record)}"
        )
    return again.text


def remember(warehouse: TenantWarehouse, period: str, record: str, of: str, asked: str) -> None:
    """Record a comparison whose differences have just been written, in the same transaction."""
    warehouse.connection.execute(_TABLE)
    warehouse.connection.execute(
        f"INSERT OR REPLACE INTO {COMPARED} VALUES (?, ?, ?, ?, ?)",
        [period, record, of, asked, _found(warehouse, period, record)],
    )


def forget(warehouse: TenantWarehouse, record: str, period: str | None) -> None:
    """Forget comparisons of a record type, of all months where `period` is None: what they rest on has changed."""
    warehouse.connection.execute(_TABLE)
    warehouse.connection.execute(
        f"DELETE FROM {COMPARED} WHERE record = ? AND coalesce(period = ?, true)", [record, period]
    )


def _found(warehouse: TenantWarehouse, period: str, record: str) -> str:
    """A hash of the differences and uses of rules that are held of a record type and period."""
    parts = []
    for contract in _FOUND.values():
        frames.ensure(warehouse, contract)
        names = ", ".join(frames.columns(contract))
        parts += warehouse.sql(
            f"SELECT count(*), coalesce(sum(hash({names})), 0)::VARCHAR FROM {frames.table_name(contract)}"
            " WHERE period = ? AND record = ?",
            [period, record],
        )
    return json.dumps(parts)
