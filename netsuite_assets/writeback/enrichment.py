"""What NetSuite added on its own to the records that we wrote: number, tax, exchange rate, terms, period, address.

Here: reading it in sets after the write, and the table `write_back.enrichment`. Not here: fields that the mapping owns,
which are compared like any other (`verify.py`). Imports no Dagster.

An account or a role may lack a column or a table that others have (NetSuite REST facts: SuiteQL errors): what it lacks is
left out and named, and never fails the verification.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Protocol

import pyarrow as pa

from netsuite_assets.mapping.compiler import Mapping as TenantMapping
from netsuite_assets.writeback.operations import text
from resources.netsuite.client import NetSuite
from resources.netsuite.errors import NetSuiteError
from resources.netsuite.records import record as record_type
from resources.netsuite.suiteql import in_lists
from resources.warehouse import TenantWarehouse

TABLE: Final = "write_back.enrichment"

#: One row a field of a record that we wrote. `intended` is what the write said of it, empty where it said nothing;
#: `netsuite_name` is what the id in `netsuite` is called, where it is one whose name is known.
ENRICHMENT: Final[Mapping[str, str]] = {
    "period": "VARCHAR",
    "record": "VARCHAR",
    "external_id": "VARCHAR",
    "internal_id": "VARCHAR",
    "number": "VARCHAR",
    "field": "VARCHAR",
    "intended": "VARCHAR",
    "netsuite": "VARCHAR",
    "netsuite_name": "VARCHAR",
    "seen_at": "TIMESTAMPTZ",
}

#: The fields that NetSuite fills by itself, as REST calls them, where a record has them.
_FILLED: Final = (
    "tranId",
    "entityId",
    "exchangeRate",
    "terms",
    "dueDate",
    "postingPeriod",
    "account",
    "receivablesAccount",
    "currency",
    "approvalStatus",
)
#: Records whose additions are read, and kept, at once.
_AT_ONCE: Final = 5_000
_TAX: Final = "taxTotal"
_ADDRESS: Final = "billingAddress"
_UNKNOWN: Final = re.compile(r"Unknown identifier '(?:\w+\.)?(\w+)'")


class Bodies(Protocol):
    """Gives what was sent, as JSON text, by the keys of operations."""

    def __call__(self, keys: Sequence[str]) -> Mapping[str, str]: ...


@dataclass
class Enriched:
    """What was found: how many rows the table has of it, and what could not be seen, in words."""

    count: int = 0
    unseen: list[str] = field(default_factory=list)


async def enrich(
    warehouse: TenantWarehouse,
    netsuite: NetSuite,
    mapping: TenantMapping,
    period: str,
    outcomes: Iterable[Mapping[str, Any]],
    bodies: Bodies,
    now: datetime,
) -> Enriched:
    """Record what NetSuite holds in fields of the written records that the mapping does not own.

    `outcomes` are rows of the frame `OUTCOMES`; `bodies` gives the bodies of operations by their keys. What is known of a
    record from an earlier write is replaced.
    """
    ensure_enrichment(warehouse)
    written: dict[str, dict[str, Mapping[str, Any]]] = defaultdict(dict)
    for row in outcomes:
        if row["state"] in ("written", "adopted") and row["action"] != "delete" and row["internal_id"]:
            written[row["record"]][row["internal_id"]] = row
    found = Enriched()
    for record, rows in written.items():
        owned = {mapped.name for mapped in mapping.written[record].fields}
        ids = sorted(rows, key=int)
        for start in range(0, len(ids), _AT_ONCE):
            some = ids[start : start + _AT_ONCE]
            held = await _read(netsuite, record, some, owned, found.unseen)
            sent = bodies([rows[internal_id]["operation_key"] for internal_id in held])
            kept = []
            for internal_id, values in held.items():
                row = rows[internal_id]
                said = json.loads(sent.get(row["operation_key"]) or "{}", parse_float=str, parse_int=str)
                for name, value in values.items():
                    intended = _said(said.get(name))
                    if value != intended:
                        kept.append(_row(netsuite, period, row, name, intended, value, now))
            _keep(warehouse, record, some, kept)
            found.count += len(kept)
    return found


def _row(
    netsuite: NetSuite,
    period: str,
    row: Mapping[str, Any],
    name: str,
    intended: str | None,
    value: str,
    now: datetime,
) -> dict[str, Any]:
    fields = record_type(row["record"]).fields
    target = fields[name].target if name in fields else None
    return {
        "period": period,
        **{key: text(row[key]) for key in ("record", "external_id", "internal_id", "number")},
        "field": name,
        "intended": intended,
        "netsuite": value,
        "netsuite_name": netsuite.names(target, value) if target is not None else None,
        "seen_at": now,
    }


def _said(value: Any) -> str | None:
    """A value of a body as SuiteQL would print it."""
    if isinstance(value, dict):
        value = value.get("id")
    return None if value is None else str(value)


async def _read(
    netsuite: NetSuite, record: str, ids: Sequence[str], owned: Collection[str], unseen: list[str]
) -> dict[str, dict[str, str]]:
    """The values of the fields that NetSuite fills, by internal id; none of them is in `owned`."""
    kind = record_type(record)
    held: dict[str, dict[str, str]] = defaultdict(dict)
    columns = {
        name: kind.fields[name].suiteql
        for name in _FILLED
        if name not in owned and name in kind.fields and kind.fields[name].suiteql
    }
    await _fill(netsuite, record, held, columns, f"{kind.source}", kind.where, kind.row_key, ids, unseen)
    if kind.type_code is None:
        return held
    lines = kind.sublists.get("item")
    if lines is not None and _TAX not in owned:
        amount = lines.fields["amount"].suiteql
        await _fill(
            netsuite, record, held, {_TAX: f"SUM({amount})"}, "transactionline tl", "tl.taxline = 'T'", "tl.transaction",
            ids, unseen, grouped=True,
        )  # fmt: skip
    if _ADDRESS not in owned:
        parts = {part: f"a.{part}" for part in ("addr1", "addr2", "city", "state", "zip", "country")}
        source = "transaction t JOIN transactionbillingaddress a ON a.nkey = t.billingaddress"
        addresses: dict[str, dict[str, str]] = defaultdict(dict)
        await _fill(netsuite, record, addresses, parts, source, "", "t.id", ids, unseen)
        for internal_id, address in addresses.items():
            held[internal_id][_ADDRESS] = ", ".join(address[part] for part in parts if part in address)
    return held


async def _fill(
    netsuite: NetSuite,
    record: str,
    held: dict[str, dict[str, str]],
    columns: dict[str, str],
    source: str,
    where: str,
    key: str,
    ids: Sequence[str],
    unseen: list[str],
    *,
    grouped: bool = False,
) -> None:
    """Read these columns of these records; a column that the account does not know is left out and named, once."""
    columns = dict(columns)
    while columns:
        selected = ", ".join(f"{expression} AS {name.lower()}" for name, expression in columns.items())
        tail = f"GROUP BY {key} ORDER BY {key}" if grouped else f"ORDER BY {key}"
        try:
            for condition in in_lists(key, [int(each) for each in ids]):
                at = f"({where}) AND {condition}" if where else condition
                query = f"SELECT {key} AS record_id, {selected} FROM {source} WHERE {at} {tail}"
                for row in await netsuite.suiteql_rows(query):
                    for name in columns:
                        if (value := row.get(name.lower())) is not None:
                            held[row["record_id"]][name] = value
            return
        except NetSuiteError as error:
            unknown = _UNKNOWN.search(error.said)
            lacking = [
                name
                for name, expression in columns.items()
                if unknown is not None
                and re.search(rf"\b{re.escape(unknown[1])}\b", expression, re.IGNORECASE)
            ]
            for name in lacking:
                del columns[name]
            said = f"{record}.{', '.join(lacking or columns)}: {error.said or error}"
            if said not in unseen:
                unseen.append(said)
            if not lacking:
                return


def _keep(
    warehouse: TenantWarehouse, record: str, ids: Sequence[str], rows: Sequence[dict[str, Any]]
) -> None:
    """Replace what the table has of these records by these rows."""
    kinds = {"seen_at": pa.timestamp("us", "UTC")}
    schema = pa.schema([(name, kinds.get(name, pa.string())) for name in ENRICHMENT])
    run = warehouse.connection.execute
    with warehouse.transaction():
        run(
            f"DELETE FROM {TABLE} WHERE record = ? AND internal_id IN (SELECT unnest(?::VARCHAR[]))",
            [record, list(ids)],
        )
        warehouse.connection.register("rows_in", pa.Table.from_pylist(list(rows), schema=schema))
        run(f"INSERT INTO {TABLE} BY NAME SELECT * FROM rows_in")
        warehouse.connection.unregister("rows_in")


def ensure_enrichment(warehouse: TenantWarehouse) -> None:
    """Make the table where there is none."""
    warehouse.ensure_table(TABLE, ENRICHMENT)
