"""Paths and templates of a rule: which billing value `metadata.plan` or `customer.terms` or `inv-{id}` means.

Here: names and their nearest right ones, no SQL. A path is a canonical column, `metadata.<key>[.<key>…]`, or one
of these of the document's customer (`customer.`) or, for a line, of its document (`document.`, `invoice.`,
`credit_note.`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from string import Formatter
from typing import Final

import pyarrow as pa

from netsuite_assets.mapping.model import Alias, Source, SourceKind
from netsuite_assets.tables import TABLES
from resources.billing.canonical import AMOUNT, DAY, INSTANT, QUANTITY, TEXT, UNIT_AMOUNT
from resources.billing.canonical import TABLES as BILLING
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
_DOCUMENT_WORDS: Final = {"invoice": "invoice", "creditMemo": "credit_note"}


class PathError(Exception):
    """A path or template that means nothing; the message says why."""


@dataclass(frozen=True)
class Scope:
    """Where a rule stands: the record type, and whether on its lines. It knows the names a path may begin with."""

    record: str
    on_line: bool

    @property
    def tables(self) -> Mapping[str, tuple[Alias, str]]:
        """Prefix to alias and canonical table; the empty prefix is the row itself."""
        names = TABLES[self.record]
        document: tuple[Alias, str] = ("d", names.billing)
        if self.record == "customer":
            return {"": document}
        found: dict[str, tuple[Alias, str]] = {
            "": document,
            "document": document,
            _DOCUMENT_WORDS[self.record]: document,
            "customer": ("c", "customers"),
        }
        if self.on_line and names.billing_lines is not None:
            found[""] = ("l", names.billing_lines)
        return found

    def source(self, path: str) -> Source:
        """The billing value that `path` means; raises `PathError`."""
        steps = path.split(".")
        tables = self.tables
        prefix = steps[0] if len(steps) > 1 and steps[0] in tables else ""
        alias, table = tables[prefix]
        rest = steps[1:] if prefix else steps
        column = rest[0]
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


def _pointer(keys: list[str]) -> str:
    return "".join("/" + key.replace("~", "~0").replace("/", "~1") for key in keys)
