"""Paths and templates of a rule: which billing value `metadata.plan` or `customer.terms` or `inv-{id}` means.

Here: names and their nearest right ones, no SQL. A path is a canonical column, `metadata.<key>[.<key>…]`, or one
of these of the document's customer (`customer.`) or, for a line, of its document (`document.`, `invoice.`,
`credit_note.`, …). What belongs to months also has `period` (YYYY-MM), `period_start` and `period_end`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from string import Formatter
from typing import Final

import pyarrow as pa

from netsuite_assets.mapping.model import Alias, Grouping, RowShape, Source, SourceKind
from resources.billing.canonical import AMOUNT, DAY, INSTANT, QUANTITY, TEXT, UNIT_AMOUNT
from resources.billing.canonical import TABLES as BILLING
from resources.netsuite.records import DECIMAL_KINDS
from resources.tenants import nearest, shown

_KINDS: Final[Mapping[pa.DataType, SourceKind]] = {
    TEXT: "text",
    AMOUNT: "amount",
    UNIT_AMOUNT: "rate",
    QUANTITY: "quantity",
    DAY: "date",
    INSTANT: "datetime",
    pa.bool_(): "boolean",
    pa.int32(): "integer",
}
_SINGULAR: Final = {
    "customers": "customer",
    "invoices": "invoice",
    "credit_notes": "credit_note",
    "payments": "payment",
    "journals": "journal",
}
MONTH: Final[Mapping[str, SourceKind]] = {"period": "text", "period_start": "date", "period_end": "date"}
"""What a row that belongs to a month knows of it."""

REST: Final = Source("rest", "v", "rest", "number")
"""What the other lines leave of the document's total."""

_NUMBERS: Final = DECIMAL_KINDS | {"integer", "number"}


class PathError(Exception):
    """A path or template that means nothing; the message says why."""


@dataclass(frozen=True)
class Scope:
    """Where a rule stands: the rows that it is for. It knows the names a path may begin with."""

    record: str
    shape: RowShape

    @property
    def tables(self) -> Mapping[str, tuple[Alias, str]]:
        """Prefix to alias and canonical table; the empty prefix is the row itself."""
        name = self.shape.document or self.shape.table
        document: tuple[Alias, str] = ("d", name)
        if name == "customers":
            return {"": document}
        found: dict[str, tuple[Alias, str]] = {"": document, "document": document, _SINGULAR[name]: document}
        if "customer_id" in BILLING[name].schema.names:
            found["customer"] = ("c", "customers")
        if self.shape.document is not None:
            found[""] = ("l", self.shape.table)
        return found

    def source(self, path: str) -> Source:
        """The billing value that `path` means; raises `PathError`."""
        found = self.plain_source(path)
        return found if self.shape.grouping is None else _of_group(found, self.shape.grouping)

    def plain_source(self, path: str) -> Source:
        """The value in a single row, where several are to be taken together too."""
        steps = path.split(".")
        tables = self.tables
        prefix = steps[0] if len(steps) > 1 and steps[0] in tables else ""
        alias, table = tables[prefix]
        rest = steps[1:] if prefix else steps
        column = rest[0]
        if path == REST.path and self.shape.of_rest:
            return REST
        if not prefix and path in MONTH and "" in tables and table != "customers":
            return Source(path, "d", path, MONTH[path])
        schema = BILLING[table].schema
        if column not in schema.names:
            known = [*schema.names, *(name for name in tables if name and not prefix)]
            what = table.replace("_", " ")
            raise PathError(f"billing {what} have no '{shown(column)}'{nearest(column, known)}")
        if column == "metadata":
            keys = rest[1:]
            if not keys or not all(keys):
                raise PathError("name a key of metadata, such as metadata.subscription_id")
            return Source(path, alias, column, "json", _pointer(keys))
        if len(rest) > 1:
            raise PathError(f"'{shown(column)}' is a plain value; only metadata has keys inside it")
        return Source(path, alias, column, _KINDS[schema.field(column).type])

    def template(self, text: str) -> tuple[str | Source, ...]:
        """The parts of a template in order: text, and sources where `{path}` stands; raises `PathError`."""
        parts: list[str | Source] = []
        try:
            for literal, name, form, conversion in Formatter().parse(text):
                if literal:
                    parts.append(literal)
                if name is None:
                    continue
                if form or conversion:
                    raise PathError(
                        f"a template holds plain paths: write {{{shown(name)}}}, without '!' or ':'"
                    )
                if not name:
                    raise PathError("a template's braces need a path: {id}")
                parts.append(self.source(name))
        except ValueError:
            raise PathError(
                "the braces of this template do not match; a brace itself is written twice"
            ) from None
        return tuple(parts)


def _of_group(source: Source, grouping: Grouping) -> Source:
    """The value that several rows have together."""
    if source.alias == REST.alias:
        return source
    made = grouping.made.get(source.key)
    if made == "sum":
        # A number in metadata may turn out to be none; then its text comes through, and is a problem of its field.
        return replace(source, kind="json" if source.kind == "json" else "number")
    if made is not None or source.key in {by.key for by in grouping.by} or source.column in MONTH:
        return source
    if grouping.in_document and source.alias in ("d", "c"):
        return source
    raise PathError(
        f"'{shown(source.path)}' is not one value here, where several rows are taken together: name it in"
        " group.by, or in group.sum, min, max or first"
    )


def is_number(source: Source) -> bool:
    """Whether the value is a number, whatever it holds."""
    return source.kind in _NUMBERS


def _pointer(keys: list[str]) -> str:
    return "".join("/" + key.replace("~", "~0").replace("/", "~1") for key in keys)
