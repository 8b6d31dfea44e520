"""SuiteQL rows, which are all text, to Arrow columns of declared types; what cannot be read is an error, not NULL.

Only the typing of values belongs here. Which columns a set has is the caller's schema.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Callable, Sequence
from itertools import chain
from typing import Any, Final

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from resources.netsuite.pages import Page, shortened


class UnreadableValue(ValueError):
    """A value that is not of its column's type, or a missing one where there must be one.

    ``row_key`` is the key of the row, ``column`` the column, ``value`` the text that came (``None``: nothing),
    ``wanted`` what was expected, in words.
    """

    def __init__(self, row_key: str, column: str, value: str | None, wanted: str) -> None:
        self.row_key = row_key
        self.column = column
        self.value = value
        self.wanted = wanted
        came = "has no value" if value is None else f"has '{shortened(value)}'"
        super().__init__(
            f"The row with key {row_key} {came} in column '{column}', where {wanted} is expected. Nothing of this"
            " set is used. Correct the record in NetSuite; if it is right there, the column's type is declared wrongly."
        )

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.row_key, self.column, self.value, self.wanted)


_BOOLEANS: Final = {"T": True, "F": False, None: None}
_TIMESTAMP_LENGTH: Final = len("2026-10-31 07:15:00")

Texts = Sequence[str | None]


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
        self.schema = schema
        self.key = key
        self._typed = {column.name: _typing(column) for column in schema}
        # A row's keys come in alphabetical order, and a struct whose fields have the same order is read fastest.
        self._names = sorted(schema.names)
        fields = [f"f{number}" for number in range(len(self._names))]
        row = msgspec.defstruct(
            "Row",
            [("links", msgspec.Raw, msgspec.Raw(b"")), *((field, str | None, None) for field in fields)],
            rename=dict(zip(fields, self._names, strict=True)),
            forbid_unknown_fields=True,
            gc=False,
        )
        self._decoder: msgspec.json.Decoder[list[Any]] = msgspec.json.Decoder(list[row])  # type: ignore[valid-type]

    def batch(self, page: Page) -> pa.RecordBatch:
        """The page's rows as one record batch.

        Raises ``UnreadableValue`` for a value that is not of its type and ``Incomplete`` for a page whose shape
        is not the one announced.
        """
        rows = page.decoded(self._decoder)
        # The values of all rows in one list, each column being every width-th: no tuple outlives its row.
        values = list(chain.from_iterable(map(msgspec.structs.astuple, rows)))
        width = len(self._names) + 1
        texts = {name: values[at::width] for at, name in enumerate(self._names, start=1)}
        keys = texts[self.key]
        return pa.RecordBatch.from_arrays(
            [self._column(field, texts[field.name], keys) for field in self.schema], schema=self.schema
        )

    def _column(self, field: pa.Field, texts: Texts, keys: Texts) -> pa.Array:
        typed = self._typed[field.name]
        try:
            column = typed(texts)
        except (ValueError, KeyError):
            at = next(at for at, text in enumerate(texts) if not _is_readable(typed, text))
            raise UnreadableValue(keys[at] or "?", field.name, texts[at], _wanted(field.type)) from None
        if column.null_count and not field.nullable:
            at = texts.index(None)
            raise UnreadableValue(keys[at] or "?", field.name, None, "a value")
        return column


def _typing(column: pa.Field) -> Callable[[Texts], pa.Array]:
    """How a column's texts become its type; what it gives raises ``ValueError`` or ``KeyError``.

    Raises ``ValueError`` for a type that would lose something, or that no text of SuiteQL has.
    """
    kind = column.type
    if pa.types.is_floating(kind):
        raise ValueError(f"The column '{column.name}' is a float; declare a decimal.")
    if pa.types.is_timestamp(kind):
        if kind.tz is not None:
            raise ValueError(
                f"The column '{column.name}' has a time zone; SuiteQL prints local time without one."
            )
        return lambda texts: _timestamps(texts, kind)
    if pa.types.is_boolean(kind):
        return lambda texts: pa.array([_BOOLEANS[text] for text in texts], kind)
    if pa.types.is_string(kind):
        return lambda texts: pa.array(texts, kind)
    if pa.types.is_integer(kind) or pa.types.is_decimal(kind) or pa.types.is_date(kind):
        return lambda texts: pa.array(texts, pa.string()).cast(kind)
    raise ValueError(f"The column '{column.name}' is {kind}, as which no text is read.")


def _wanted(kind: pa.DataType) -> str:
    if pa.types.is_decimal(kind):
        return f"a number with at most {kind.precision - kind.scale} digits before the point and {kind.scale} after"
    if pa.types.is_timestamp(kind):
        return "a date and time like 2026-10-31 07:15:00"
    if pa.types.is_date(kind):
        return "a date like 2026-10-31"
    return "T or F" if pa.types.is_boolean(kind) else "a whole number"


def _timestamps(texts: Texts, kind: pa.DataType) -> pa.Array:
    """A date alone is refused: a date-time column that is not printed by TO_CHAR has lost its time."""
    printed = pa.array(texts, pa.string())
    lengths = pc.min_max(pc.binary_length(printed)).as_py()
    if not {lengths["min"], lengths["max"]} <= {_TIMESTAMP_LENGTH, None}:
        raise ValueError("not a date and time to the second")
    return printed.cast(kind)


def _is_readable(typed: Callable[[Texts], pa.Array], text: str | None) -> bool:
    try:
        typed([text])
    except (ValueError, KeyError):
        return False
    return True


async def rows_to_arrow(
    pages: AsyncIterable[Page], schema: pa.Schema, key: str = "id"
) -> AsyncIterator[pa.RecordBatch]:
    """Each page of ``pages`` as one record batch of ``schema``; at most one page is held at a time."""
    reader = RowReader(schema, key)
    async for page in pages:
        yield reader.batch(page)
