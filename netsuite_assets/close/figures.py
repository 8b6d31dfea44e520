"""The figures of a month that people sign: totals, open exceptions, and each document's own, on both sides.

Here: reading them from the tenant's working file, their fingerprint, and which documents differ from those that were
signed. Not here: who may sign (`sign_off.py`), or who changed a document (`changes.py`). Imports no Dagster.

A document's figures are what billing says of it (number, currency, total) and what NetSuite holds of it (number, month,
currency, total, every mapped field and line). Not its status, what is still unpaid of it, its customer's name and its
time of change: they move while the month stays as it was.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet
from pydantic import BaseModel, ConfigDict

from netsuite_assets import frames
from netsuite_assets.extract.columns import comparable
from netsuite_assets.mapping.compiler import Mapping as TenantMapping
from netsuite_assets.reconcile.exceptions import amounts
from netsuite_assets.tables import TABLES
from resources.ledger import LastingException
from resources.warehouse import TenantWarehouse, literal, quote

DOCUMENTS: Final = ("invoice", "creditMemo")

#: Columns of a document's figures that are compared, before NetSuite's mapped fields.
_COMPARED: Final = ("external_id", "number", "currency", "total", "month", "lines", "lines_hash")

#: How the columns of NetSuite's mapped fields begin, whose names are those of the fields.
FIELD: Final = "field:"

_KEY: Final = ("side", "record", "document")


class _Figures(BaseModel):
    model_config = ConfigDict(frozen=True)


class Total(_Figures):
    """A record type and currency of the month, as the reconciliation shows it."""

    record: str
    currency: str
    billed_documents: int
    billed: Decimal
    held_back_documents: int
    held_back: Decimal
    netsuite_documents: int
    netsuite: Decimal
    difference: Decimal
    unexplained: Decimal


class Waiting(_Figures):
    """How many exceptions there are, and the documents' amounts by currency."""

    exceptions: int
    amounts: dict[str, Decimal]


class SliceFigures(_Figures):
    """One side of a record type: documents, their totals by currency, and a hash of all their figures."""

    side: str
    record: str
    documents: int
    totals: dict[str, Decimal]
    content: str


class Compared(_Figures):
    """The fields of NetSuite's documents of a record type, and of their lines, that the figures hold."""

    fields: tuple[str, ...]
    lines: tuple[str, ...]


class MonthFigures(_Figures):
    """What people see when they sign a month."""

    totals: tuple[Total, ...]
    open: Waiting
    accepted: Waiting
    slices: tuple[SliceFigures, ...]
    compared: dict[str, Compared]

    @property
    def fingerprint(self) -> str:
        """A hash of the slices' figures: counts, sums and contents. Exceptions and totals follow from those."""
        text = "\n".join(part.model_dump_json() for part in self.slices)
        return hashlib.sha256(text.encode()).hexdigest()


def waiting(exceptions: Sequence[LastingException]) -> Waiting:
    """How many these are, and how much."""
    return Waiting(exceptions=len(exceptions), amounts=amounts(exceptions))


def read_totals(held: TenantWarehouse, period: str) -> tuple[Total, ...]:
    """The totals of the last reconciliation."""
    return tuple(
        Total(
            **{name: row[name] for name in Total.model_fields if name in row},
            billed=row["billed_total"],
            held_back=row["held_back_total"],
            netsuite=row["netsuite_total"],
        )
        for row in frames.records(frames.read(held, frames.TOTALS, period))
    )


def compared(mapping: TenantMapping) -> dict[str, Compared]:
    """The fields that the mapping names now, by record type."""
    return {
        record: Compared(
            fields=tuple(field.name for field in comparable(rules.fields)),
            lines=tuple(field.name for field in comparable(rules.line_fields)),
        )
        for record, rules in mapping.records.items()
        if record in DOCUMENTS
    }


def still_read(held: TenantWarehouse, signed: Mapping[str, Compared]) -> dict[str, Compared]:
    """Of the fields that were signed those that NetSuite's tables still have: the mapping may name others by now."""
    kept = {}
    for record, part in signed.items():
        header = held.columns(f"netsuite.{TABLES[record].name}")
        lines = held.columns(f"netsuite.{TABLES[record].lines}")
        kept[record] = Compared(
            fields=tuple(name for name in part.fields if name in header),
            lines=tuple(name for name in part.lines if name in lines),
        )
    return kept


def require_landed(held: TenantWarehouse, period: str, fields: Mapping[str, Compared]) -> None:
    """Raise `resources.warehouse.IncompleteSlice` unless the slices behind these figures are there."""
    held.require_slices(
        {
            f"{schema}.{table}": period
            for record in fields
            for schema, table in (
                ("expected", TABLES[record].name),
                ("netsuite", TABLES[record].name),
                ("netsuite", TABLES[record].lines),
            )
        }
    )


def read_documents(held: TenantWarehouse, period: str, fields: Mapping[str, Compared]) -> pa.Table:
    """The figures of each document of the month, in order. `require_landed` must have passed.

    Columns: side (billing or netsuite), record, document (its key there), external_id, internal_id, number, name,
    currency, total, month, lines, lines_hash, last_modified, and `field:…` as text.
    """
    parts = [part for record, names in fields.items() for part in _sides(record, period, names)]
    return held.arrow(f"{' UNION ALL BY NAME '.join(parts)} ORDER BY side, record, document")


def _sides(record: str, period: str, names: Compared) -> tuple[str, str]:
    tables = TABLES[record]
    month = literal(period)
    billing = f"""
        (SELECT 'billing' AS side, {literal(record)} AS record, external_id AS document, external_id,
            NULL::VARCHAR AS internal_id, number, name, currency, total, {month} AS month, NULL::BIGINT AS lines,
            NULL::VARCHAR AS lines_hash, NULL::VARCHAR AS last_modified
        FROM expected.{tables.name} WHERE period = {month})"""
    columns = "".join(f", {_text(f'd.{quote(name)}')} AS {quote(FIELD + name)}" for name in names.fields)
    netsuite = f"""
        (SELECT 'netsuite' AS side, {literal(record)} AS record, d.internal_id AS document, d.external_id,
            d.internal_id, d.number, d.name, d.currency, d.total, d.dated_in AS month,
            coalesce(l.lines, 0) AS lines, l.lines_hash, d.last_modified{columns}
        FROM netsuite.{tables.name} d LEFT JOIN (
            SELECT internal_id, count(*) AS lines,
                md5(string_agg({_hash([f"x.{quote(name)}" for name in names.lines])}, ''
                    ORDER BY x.line_no, x.line_key)) AS lines_hash
            FROM netsuite.{tables.lines} x WHERE period = {month} GROUP BY internal_id) l USING (internal_id)
        WHERE d.period = {month})"""
    return billing, netsuite


def _text(value: str) -> str:
    """A value as text by which it is compared: outer spaces do not count, and empty is absent."""
    return f"nullif(trim({value}::VARCHAR), '')"


def _hash(values: Sequence[str]) -> str:
    """A hash of values that does not depend on DuckDB's version; absent is another than any text."""
    texts = [f"coalesce({_text(value)}, chr(30))" for value in values] or ["''"]
    return f"md5(concat_ws(chr(31), {', '.join(texts)}))"


def slices_of(held: TenantWarehouse, documents: pa.Table) -> tuple[SliceFigures, ...]:
    """Count, sums and content of each side and record type."""
    names = [*_COMPARED, *sorted(name for name in documents.schema.names if name.startswith(FIELD))]
    content = _hash(["document", *map(quote, names)])
    held.connection.register("figures_in", documents)
    try:
        contents = held.sql(
            f"SELECT side, record, count(*), sha256(string_agg({content}, '' ORDER BY document))"
            " FROM figures_in GROUP BY ALL ORDER BY ALL"
        )
        sums = held.sql(
            "SELECT side, record, coalesce(currency, ''), coalesce(sum(total), 0)::DECIMAL(38, 4)"
            " FROM figures_in GROUP BY ALL ORDER BY ALL"
        )
    finally:
        held.connection.unregister("figures_in")
    return tuple(
        SliceFigures(
            side=side,
            record=record,
            documents=count,
            totals={currency: total for *of, currency, total in sums if of == [side, record]},
            content=content,
        )
        for side, record, count, content in contents
    )


def columns_of(record: str, fields: Mapping[str, Compared], signed: Mapping[str, Compared]) -> list[str]:
    """The columns by which documents of a record type are compared with those that were signed.

    Lines have one hash, so they are compared when all the fields that were signed are still read.
    """
    names = [
        name for name in _COMPARED if name != "lines_hash" or fields[record].lines == signed[record].lines
    ]
    return [*names, *(FIELD + name for name in fields[record].fields)]


def differing(
    held: TenantWarehouse, signed: pa.Table, now: pa.Table, columns: Mapping[str, Sequence[str]]
) -> list[tuple[dict[str, Any] | None, dict[str, Any] | None]]:
    """The documents whose figures differ, as they were signed and as they are now; None where there is none.

    `columns` are those to compare, by record type.
    """
    conditions = ["s.side IS NULL", "n.side IS NULL"]
    conditions += [
        f"s.record = {literal(record)} AND s.{quote(name)} IS DISTINCT FROM n.{quote(name)}"
        for record, names in columns.items()
        for name in names
    ]
    keys = " AND ".join(f"s.{name} = n.{name}" for name in _KEY)
    order = ", ".join(f"coalesce(s.{name}, n.{name})" for name in _KEY)
    held.connection.register("figures_signed", signed)
    held.connection.register("figures_now", now)
    try:
        rows = held.sql(
            f"SELECT s.side IS NOT NULL, n.side IS NOT NULL, s, n FROM figures_signed s FULL JOIN figures_now n ON {keys}"
            f" WHERE {' OR '.join(f'({each})' for each in conditions)} ORDER BY {order}"
        )
    finally:
        held.connection.unregister("figures_signed")
        held.connection.unregister("figures_now")
    return [(was if had else None, is_ if has else None) for had, has, was, is_ in rows]


def packed(documents: pa.Table) -> bytes:
    """The documents' figures as bytes, to be kept."""
    file = io.BytesIO()
    pyarrow.parquet.write_table(documents, file, compression="zstd")
    return file.getvalue()


def unpacked(content: bytes) -> pa.Table:
    """The documents' figures that `packed` made bytes of."""
    return pyarrow.parquet.read_table(io.BytesIO(content))
