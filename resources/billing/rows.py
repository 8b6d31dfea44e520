"""The rows of one table, as canonical Arrow batches.

Here: converting whole columns at once, and finding the row to blame when one value cannot be taken.
Not here: the queries that select the rows (`sql.py`), nor the conversion of one value (`values.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa
import sqlalchemy as sa

from resources.billing.canonical import CanonicalTable
from resources.billing.errors import BillingError
from resources.billing.tables import FoundTable
from resources.billing.values import ValueRefused, converter, metadata_object, to_metadata


class RowShape:
    """How the selected columns of one table become a canonical batch, and how one of its rows is named."""

    def __init__(self, found: FoundTable, zone: ZoneInfo) -> None:
        self._found = found
        self._names = list(found.columns)
        real = [found.column(name) for name in self._names]
        self.selected: list[sa.ColumnElement[Any]] = [
            sa.cast(column, sa.Text) if isinstance(found.kinds[column.name], sa.JSON) else column
            for column in [*real, *(found.source.c[name] for name in found.metadata)]
        ]
        schema = found.canonical.schema
        self._converters = {
            name: to_metadata if name == "metadata" else converter(schema.field(name).type, zone)
            for name in self._names
        }

    def position(self, name: str) -> int:
        return self._names.index(name)

    def batch(self, rows: Sequence[Sequence[Any]]) -> pa.RecordBatch:
        columns = list(zip(*rows, strict=True))
        arrays = []
        for field in self._found.canonical.schema:
            try:
                if field.name in self._converters:
                    convert = self._converters[field.name]
                    values = columns[self.position(field.name)]
                    array = pa.array(
                        [None if value is None else convert(value) for value in values], field.type
                    )
                elif field.name == "metadata" and self._found.metadata:
                    listed = columns[len(self._names) :]
                    array = pa.array(
                        [
                            metadata_object(dict(zip(self._found.metadata, values, strict=True)))
                            for values in zip(*listed, strict=True)
                        ],
                        field.type,
                    )
                else:
                    array = pa.nulls(len(rows), field.type)
            except (ValueRefused, pa.ArrowInvalid, OverflowError):
                raise self._first_refusal(rows, field) from None
            if array.null_count and not field.nullable:
                raise self._first_refusal(rows, field)
            arrays.append(array)
        return pa.RecordBatch.from_arrays(arrays, schema=self._found.canonical.schema)

    def _first_refusal(self, rows: Sequence[Sequence[Any]], field: pa.Field) -> BillingError:
        """The error of the first row whose value of `field` cannot be taken."""
        for row in rows:
            if field.name not in self._converters:
                for name, value in zip(self._found.metadata, row[len(self._names) :], strict=True):
                    try:
                        metadata_object({name: value})
                    except ValueRefused as refused:
                        return self.error(row, name, value, str(refused), real=name)
                continue
            value = row[self.position(field.name)]
            try:
                converted = None if value is None else self._converters[field.name](value)
                pa.array([converted], field.type)
            except ValueRefused as refused:
                return self.error(row, field.name, value, str(refused))
            except (pa.ArrowInvalid, OverflowError):
                return self.error(row, field.name, value, _does_not_fit(field.type))
            if converted is None and not field.nullable:
                return self.error(row, field.name, value, "is empty, but every row must have it")
        raise AssertionError(f"no row of the batch explains why '{field.name}' was refused")

    def error(
        self, row: Sequence[Any], name: str, value: object, why: str, *, real: str | None = None
    ) -> BillingError:
        theirs = real or self._found.columns[name]
        table = self._found.source.name
        where = self.named([row[self.position(key)] for key in self._found.canonical.key], self._number(row))
        return BillingError(
            f"Reading {words(self._found.canonical.name)} from the billing database",
            f"{where}: the value {'NULL' if value is None else repr(value)} in '{theirs}' of '{table}' {why}.",
            "Mend the row there, or name another column in "
            f"billing.tables.{self._found.canonical.name} of the tenant's YAML.",
            table=table,
            column=theirs,
            row=where,
        )

    def named(self, key: Sequence[Any], number: str | None = None) -> str:
        parts = [f"{name} {value}" for name, value in zip(self._found.canonical.key, key, strict=True)]
        return f"{_one(self._found.canonical)} {number + ' ' if number else ''}({', '.join(parts)})"

    def _number(self, row: Sequence[Any]) -> str | None:
        for name in ("number", "name"):
            if name in self._converters and (value := row[self.position(name)]) is not None:
                return str(value)
        return None

    def refuse_repeated_keys(
        self, batch: pa.RecordBatch, last: tuple[str, ...] | None
    ) -> tuple[str, ...] | None:
        """Rows come in order of the key, so a key that occurs twice stands beside itself; returns the last one."""
        columns = [batch.column(name).to_pylist() for name in self._found.canonical.key]
        for key in zip(*columns, strict=True):
            if key == last:
                raise BillingError(
                    f"Reading {words(self._found.canonical.name)} from the billing database",
                    f"{self.named(key)} occurs more than once in '{self._found.source.name}'.",
                    "Name the column that is unique, or a view with one row each, in "
                    f"billing.tables.{self._found.canonical.name} of the tenant's YAML.",
                    table=self._found.source.name,
                    row=self.named(key),
                )
            last = key
        return last


def _does_not_fit(kind: pa.DataType) -> str:
    if pa.types.is_decimal(kind):
        return f"does not fit: at most {kind.precision - kind.scale} digits before the point and {kind.scale} after it"
    return f"does not fit the type {kind}"


def words(name: str) -> str:
    """A table's name as words: `credit_notes` is "credit notes"."""
    return name.replace("_", " ")


def _one(table: CanonicalTable) -> str:
    return words(table.name).removesuffix("s")
