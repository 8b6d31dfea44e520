"""The compiled mapping as values: mapped fields, compiled rules, where a rule's value comes from.

Here: plain immutable values that the other modules of this package pass on. Not here: checking a rule
(`rules.py`), or making SQL of it (`sql.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from netsuite_assets.tables import ACTUAL_CORE, COLUMN_TYPES
from resources.netsuite.records import Kind
from resources.tenants import Rule

SourceKind = Literal["text", "json", "amount", "rate", "quantity", "integer", "date", "datetime", "boolean"]
"""The kind of a billing value; `json` is text out of a metadata object."""

Alias = Literal["d", "l", "c"]
"""Whose column: the document (or the customer, where customers are mapped), its line, the document's customer."""

ProblemCode = Literal[
    "no_customer", "unresolved_reference", "ambiguous_reference", "unmapped_value", "invalid_value"
]

PROBLEMS: Final[Mapping[int, ProblemCode]] = {
    1: "no_customer",
    2: "unresolved_reference",
    3: "ambiguous_reference",
    4: "unmapped_value",
    5: "invalid_value",
    6: "unresolved_reference",  # the default is not found either
    7: "unresolved_reference",  # a field that cannot be empty has no value at all
}
"""What can be wrong with a value, as the SQL numbers it (0 is nothing), and the code that people see."""

HOW: Final[Mapping[int, str]] = {
    1: "internal_id",
    2: "external_id",
    3: "number",
    4: "name",
    5: "default",
    6: "customer",
}
"""How a value was found, as the SQL numbers it."""

CUSTOMER: Final = "customer"
"""The list that stands for the tenant's own customers, whose external ids the mapping itself makes."""


@dataclass(frozen=True, slots=True)
class MappedField:
    """One NetSuite field of the mapping, named as in NetSuite's REST record service.

    `list_name` is the list that its ids are of (`item`, `cseg_product`, …) or None; `suiteql` is empty where
    NetSuite cannot list the field, which is then written but not compared; `where` is `file:line` of its rule.
    """

    name: str
    kind: Kind
    target: str | None
    list_name: str | None
    owner: Literal["billing", "netsuite"]
    policy: Literal["always"]
    suiteql: str
    where: str

    @property
    def column(self) -> str:
        """The column that holds the value to be written.

        It is the field's own name but for `currency`: there the core column of that name holds the ISO code, by
        which both sides are compared, and the internal id to be written stands in `currency_id`.
        """
        return f"{self.name}_id" if self.name.lower() in ACTUAL_CORE else self.name

    @property
    def column_type(self) -> str:
        return COLUMN_TYPES[self.kind]


@dataclass(frozen=True, slots=True)
class Source:
    """One billing value: a canonical column of the document, its line or its customer, or a key in its metadata.

    `path` is as the tenant wrote it; `pointer` is a JSON pointer into `metadata`, or None for a column.
    """

    path: str
    alias: Alias
    column: str
    kind: SourceKind
    pointer: str | None = None


@dataclass(frozen=True, slots=True)
class Lookup:
    """A value to be found in one of NetSuite's lists, tried by these keys in order."""

    list_name: str
    by: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class FieldRule:
    """A checked rule: exactly one of `source`, `constant` and `template` is given.

    `template` alternates text and sources. `required` marks a field without which NetSuite has no record.
    """

    index: int
    field: MappedField
    rule: Rule
    source: Source | None
    constant: str | None
    template: tuple[str | Source, ...] | None
    lookup: Lookup | None
    required: bool

    @property
    def value_map(self) -> Mapping[str, str] | None:
        return self.rule.map

    @property
    def default(self) -> str | None:
        return self.rule.default

    @property
    def of_customer(self) -> bool:
        """Whether the value is one of the tenant's own customers."""
        return self.lookup is not None and self.lookup.list_name == CUSTOMER

    @property
    def sources(self) -> tuple[Source, ...]:
        if self.source is not None:
            return (self.source,)
        return tuple(part for part in self.template or () if isinstance(part, Source))

    @property
    def described(self) -> str:
        """The rule in words, as `explain` shows it."""
        rule = self.rule
        words = []
        if rule.source is not None:
            words.append(f"from {rule.source}")
        elif rule.template is not None:
            words.append(f"template '{rule.template}'")
        else:
            words.append(f"value '{rule.value}'")
        if rule.map is not None:
            words.append(f"map of {len(rule.map)}")
        if self.lookup is not None:
            words.append(f"lookup {self.lookup.list_name}")
        if rule.default is not None:
            words.append(f"default '{rule.default}'")
        return ", ".join(words)


@dataclass(frozen=True, slots=True)
class ExternalId:
    """The template of a record's external id, and where it is written."""

    parts: tuple[str | Source, ...]
    where: str

    @property
    def only_id(self) -> bool:
        """Whether it is text around the billing id alone, so that it is unique because the id is."""
        return [part.path for part in self.parts if isinstance(part, Source)] == ["id"]

    def source_id(self, external_id: str) -> str | None:
        """The billing id inside an external id; None when it is not of this form."""
        if not self.only_id:
            return None
        at = next(index for index, part in enumerate(self.parts) if isinstance(part, Source))
        before = "".join(part for part in self.parts[:at] if isinstance(part, str))
        after = "".join(part for part in self.parts[at + 1 :] if isinstance(part, str))
        if len(external_id) <= len(before) + len(after):
            return None
        if not (external_id.startswith(before) and external_id.endswith(after)):
            return None
        return external_id[len(before) : len(external_id) - len(after)]
