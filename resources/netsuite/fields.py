"""The shapes in which NetSuite's schema is described: fields, sublists, records and the tables behind references.

Only shapes and the error for an unknown name belong here; what the standard schema holds is in ``schema``, and
the way to ask for it in ``records``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

Kind = Literal[
    "text", "amount", "rate", "quantity", "integer", "date", "datetime", "boolean", "reference", "enum"
]
"""How a field's value is written and compared.

``amount``, ``rate`` and ``quantity`` are JSON numbers in REST (always ``Decimal`` here); ``date`` is
``YYYY-MM-DD``; ``datetime`` is UTC in REST and ``YYYY-MM-DD HH24:MI:SS`` in the account's time zone in SuiteQL;
``boolean`` is ``true``/``false`` in REST and ``'T'``/``'F'`` in SuiteQL; ``reference`` and ``enum`` are
``{"id": …}`` in REST and the bare id in SuiteQL.
"""

DECIMAL_KINDS: Final[frozenset[str]] = frozenset({"amount", "rate", "quantity"})
"""The kinds whose values are exact decimals."""


@dataclass(frozen=True, slots=True)
class FieldType:
    """One field of a record or of one of its sublists.

    ``target`` names the record that a reference points to (a key of ``REFERENCES``, or ``customrecord_cseg_…``).
    ``suiteql`` is an expression with the same value and sign as the REST field, over the aliases of the owner's
    ``source``: ``t`` (transaction), ``tl`` (transactionline; the main line where a header is read), ``c``
    (customer), ``l`` (NextTransactionLineLink). It is empty where no SuiteQL column is known: such a field can be
    written, and read back by GET, but not extracted as a set.
    """

    name: str
    kind: Kind
    target: str | None
    read_only: bool
    suiteql: str

    @property
    def in_suiteql(self) -> bool:
        """Whether the field can be read as a set."""
        return bool(self.suiteql)

    @property
    def is_custom(self) -> bool:
        """Whether the account made this field, so that its kind is declared or discovered, not known."""
        return self.name.startswith(tuple(CUSTOM_PREFIXES))


@dataclass(frozen=True, slots=True)
class SublistType:
    """A sublist of a record: its line key in REST and the SuiteQL rows that are its lines.

    ``owner`` is the expression for the record's internal id and ``row_key`` the unique key to page by.
    """

    name: str
    key: str
    source: str
    where: str
    owner: str
    row_key: str
    fields: Mapping[str, FieldType]


@dataclass(frozen=True, slots=True)
class RecordType:
    """A record type: its REST name, SuiteQL type code (``None`` for an entity), rows, fields and sublists.

    ``source`` and ``where`` compose a query with one row a record; ``row_key`` is the unique key to page by.
    """

    name: str
    type_code: str | None
    source: str
    where: str
    row_key: str
    fields: Mapping[str, FieldType]
    sublists: Mapping[str, SublistType]


@dataclass(frozen=True, slots=True)
class ReferenceTable:
    """Where the rows that a reference may point to are listed in SuiteQL, and the columns people know them by.

    ``number`` and ``external_id`` are empty where the table has no such column. ``by_subsidiary`` tells that the
    same name may exist once in each subsidiary.
    """

    target: str
    table: str
    name: str
    number: str = ""
    external_id: str = ""
    by_subsidiary: bool = False


class UnknownField(LookupError):
    """A record, sublist or field name that NetSuite's standard schema does not have.

    ``nearest`` holds the right names that look most like it, the likeliest first.
    """

    def __init__(self, where: str, name: str, nearest: tuple[str, ...] = (), hint: str = "") -> None:
        self.where = where
        self.name = name
        self.nearest = nearest
        self.hint = hint or (f"Did you mean {' or '.join(nearest)}?" if nearest else "")
        super().__init__(f"{where} has no '{name}'. {self.hint}".rstrip())


CUSTOM_PREFIXES: Final[Mapping[str, str]] = {
    "custbody_": "a transaction's header",
    "custcol_": "the item lines of a transaction",
    "custentity_": "a customer",
    "custrecord_": "a custom record",
    "cseg_": "a header or the lines",
}
"""The prefixes of custom fields, and where each stands."""
