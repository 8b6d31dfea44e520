"""SuiteQL rows, which are all text, to Arrow columns of declared types; what cannot be read is an error, not NULL.

Only the typing of values belongs here. Which columns a set has is the caller's schema.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator
from operator import attrgetter
from typing import Any, Final

import msgspec
import pyarrow as pa

from resources.netsuite.pages import Page, incomplete


class UnreadableValue(ValueError):
    """A value that is not of its column's type, or a missing one where there must be one.

    ``row_key`` is the key of the row, ``column`` the column, ``value`` the text that came (``None``: nothing).
    """

    def __init__(self, row_key: str, column: str, value: str | None, wanted: str) -> None:
        self.row_key = row_key
        self.column = column
        self.value = value
        self.wanted = wanted
        came = "has no value" if value is None else f"has '{value}'"
        super().__init__(
            f"The row with key {row_key} {came} in column '{column}', where {wanted} is expected."
        )

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.row_key, self.column, self.value, self.wanted)


_BOOLEANS: Final = {"T": True, "F": False, None: None}


class RowReader:
    """Types the rows of pages by an Arrow schema. Compile once, use for every page.

    The schema's names are the query's lower-case column names. Types: string, int, bool (from ``T``/``F``),
    decimal, date (from ``YYYY-MM-DD``), timestamp without zone (from ``YYYY-MM-DD HH24:MI:SS``, local time of the
    account). A decimal with more places than its column is an error; floats are refused. A column of the answer
    that the schema lacks is an error too, for SuiteQL sometimes answers under another name than asked.
    """

    def __init__(self, schema: pa.Schema, key: str = "id") -> None:
        if key not in schema.names:
            raise ValueError(f"The schema has no key column '{key}'.")
        for column in schema:
            if pa.types.is_floating(column.type):
                raise ValueError(f"The column '{column.name}' is a float; declare a decimal.")
            if pa.types.is_timestamp(column.type) and column.type.tz is not None:
                raise ValueError(
                    f"The column '{column.name}' has a time zone; SuiteQL prints local time without one."
                )
        self.schema = schema
        self.key = key
        names = [f"f{index}" for index in range(len(schema))]
        row = msgspec.defstruct(
            "Row",
            [*((name, str | None, None) for name in names), ("links", msgspec.Raw, msgspec.Raw(b""))],
            rename=dict(zip(names, schema.names, strict=True)),
            forbid_unknown_fields=True,
            gc=False,
        )
        self._decoder: msgspec.json.Decoder[list[Any]] = msgspec.json.Decoder(list[row])  # type: ignore[valid-type]
        self._getters = [attrgetter(name) for name in names]

    def batch(self, page: Page) -> pa.RecordBatch:
        """The page's rows as one record batch.

        Raises ``UnreadableValue`` for a value that is not of its type and ``Incomplete`` for a page whose shape
        is not the one announced.
        """
        try:
            rows = self._decoder.decode(page.items)
        except msgspec.ValidationError as error:
            raise incomplete(page.query, f"the rows do not have the columns asked for: {error}") from None
        if len(rows) != page.count:
            raise incomplete(page.query, f"the page announces {page.count} rows and holds {len(rows)}")
        texts = [list(map(getter, rows)) for getter in self._getters]
        keys = texts[self.schema.get_field_index(self.key)]
        columns = [
            self._column(field, values, keys) for field, values in zip(self.schema, texts, strict=True)
        ]
        return pa.RecordBatch.from_arrays(columns, schema=self.schema)

    def _column(self, field: pa.Field, values: list[str | None], keys: list[str | None]) -> pa.Array:
        if not field.nullable and None in values:
            at = values.index(None)
            raise UnreadableValue(keys[at] or "?", field.name, None, f"a value ({field.type})")
        try:
            return _typed(values, field.type)
        except (pa.ArrowInvalid, KeyError) as error:
            for key, value in zip(keys, values, strict=True):
                try:
                    _typed([value], field.type)
                except (pa.ArrowInvalid, KeyError):
                    raise UnreadableValue(key or "?", field.name, value, str(field.type)) from None
            raise incomplete("", f"the column '{field.name}' could not be typed: {error}") from error


def _typed(values: list[str | None], wanted: pa.DataType) -> pa.Array:
    if pa.types.is_boolean(wanted):
        return pa.array([_BOOLEANS[value] for value in values], wanted)
    return pa.array(values, pa.string()).cast(wanted)


async def rows_to_arrow(
    pages: AsyncIterable[Page], schema: pa.Schema, key: str = "id"
) -> AsyncIterator[pa.RecordBatch]:
    """Each page of ``pages`` as one record batch of ``schema``; at most one page is held at a time."""
    reader = RowReader(schema, key)
    async for page in pages:
        yield reader.batch(page)
