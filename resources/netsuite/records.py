"""What we know of NetSuite's standard records: each REST field, its kind, and where SuiteQL holds the same value.

Here belong the look-up of standard fields and the recognition of custom fields by their prefix. Requests, values
and an account's own discovered schema do not belong here.

The two faces of a value differ in more than the name: the record service says ``"tranDate": "2026-10-31"`` where
SuiteQL prints dates in the account's own format unless told otherwise; a revenue line is positive in REST and
negative in ``transactionline``; a line's ``description`` is SuiteQL's ``memo``. ``FieldType.suiteql`` settles
that once, so that what we plan to write and what we read back compare as equals.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from typing import Final

from resources.netsuite.fields import (
    CUSTOM_PREFIXES,
    DECIMAL_KINDS,
    FieldType,
    Kind,
    RecordType,
    ReferenceTable,
    SublistType,
    UnknownField,
)
from resources.netsuite.schema import CUSTOM_RECORD_FIELDS, RECORDS, REFERENCES, printed

__all__ = [
    "CUSTOM_PREFIXES",
    "DECIMAL_KINDS",
    "RECORDS",
    "REFERENCES",
    "FieldType",
    "Kind",
    "RecordType",
    "ReferenceTable",
    "SublistType",
    "UnknownField",
    "field",
    "record",
    "reference",
]


def reference(target: str) -> ReferenceTable:
    """Where the values of ``target`` are listed; custom segments and custom records are found by their name.

    Raises ``UnknownField`` for a target whose table is not known.
    """
    if (known := REFERENCES.get(target)) is not None:
        return known
    if target.startswith("customrecord_"):
        return ReferenceTable(
            target, target, "name", "", "externalid", target.startswith("customrecord_cseg_")
        )
    raise UnknownField("The list of reference tables", target, _nearest(target, REFERENCES))


def record(name: str) -> RecordType:
    """The record type called ``name`` (any case), custom ones by their script id.

    Raises ``UnknownField`` with the nearest right names.
    """
    found = RECORDS.get(name) or _BY_LOWER.get(name.lower())
    if found is None and _CUSTOM_RECORD.fullmatch(name.lower()):
        script_id = name.lower()
        return RecordType(script_id, None, f"{script_id} r", "", "r.id", CUSTOM_RECORD_FIELDS, {})
    if found is None:
        raise UnknownField("The set of known record types", name, _nearest(name, RECORDS))
    return found


def field(
    record_name: str,
    name: str,
    sublist: str | None = None,
    *,
    kind: Kind | None = None,
    target: str | None = None,
) -> FieldType:
    """The field ``name`` of a record, or of one of its sublists.

    Names are matched without regard to case, as NetSuite does on input. A custom field is recognised by its
    prefix: ``cseg_x`` is a reference to ``customrecord_cseg_x``; any other is ``text`` unless ``kind`` (and
    ``target``, for a reference) says what the tenant's file or the account's schema declares. Raises ``UnknownField`` with the nearest right names.

    >>> field("invoice", "trandate").suiteql
    "TO_CHAR(t.trandate, 'YYYY-MM-DD')"
    >>> field("invoice", "amount", "item").suiteql
    '-tl.foreignamount'
    >>> field("invoice", "cseg_product").target
    'customrecord_cseg_product'
    """
    owner = record(record_name)
    fields, where = owner.fields, owner.name
    if sublist is not None:
        lines = owner.sublists.get(sublist)
        if lines is None:
            raise UnknownField(f"The record {owner.name}", sublist, _nearest(sublist, owner.sublists))
        fields, where = lines.fields, f"{owner.name}.{sublist}"
    if (known := fields.get(name)) is not None:
        return known
    wanted = name.lower()
    for standard in fields.values():
        if standard.name.lower() == wanted:
            return standard
    if (custom := _custom(owner, sublist, wanted, kind, target)) is not None:
        return custom
    for prefix, place in CUSTOM_PREFIXES.items():
        if wanted.startswith(prefix):
            raise UnknownField(where, name, hint=f"A field that begins with {prefix} stands on {place}.")
    raise UnknownField(where, name, _nearest(name, fields))


def _custom(
    owner: RecordType, sublist: str | None, name: str, kind: Kind | None, target: str | None
) -> FieldType | None:
    """A custom field of this place, or ``None`` when the prefix belongs elsewhere (``custcol_`` on a header)."""
    if sublist is not None:
        alias, prefix = ("tl", "custcol_") if sublist != "apply" else ("l", "")
    elif owner.fields is CUSTOM_RECORD_FIELDS:
        alias, prefix = "r", "custrecord_"
    elif owner.type_code is None:
        alias, prefix = "c", "custentity_"
    else:
        alias, prefix = "t", "custbody_"
    if not prefix:
        return None
    column = f"{alias}.{name}"
    if name.startswith("cseg_") and len(name) > len("cseg_"):
        return FieldType(name, "reference", f"customrecord_{name}", False, column)
    if name.startswith(prefix) and len(name) > len(prefix):
        declared: Kind = kind or "text"
        return FieldType(name, declared, target, False, printed(declared, column))
    return None


def _nearest(name: str, among: Mapping[str, object]) -> tuple[str, ...]:
    by_lower = {known.lower(): known for known in among}
    return tuple(
        by_lower[match] for match in difflib.get_close_matches(name.lower(), by_lower, n=3, cutoff=0.6)
    )


_CUSTOM_RECORD: Final = re.compile(r"customrecord_[a-z0-9_]+")
_BY_LOWER: Final[Mapping[str, RecordType]] = {name.lower(): found for name, found in RECORDS.items()}
