"""Whether what a tenant's file says under `reconcile.compare` and `reconcile.match` fits the fields that it maps.

Here: the mistakes, each at its place. Not here: the shape of the keys (`resources/tenants/comparison.py` and
`matching.py`), or comparing (the stage `reconcile`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Final, Protocol

from netsuite_assets.mapping.model import MappedField
from netsuite_assets.tables import TABLES
from resources.netsuite.records import DECIMAL_KINDS, Kind
from resources.tenants import Problem, Tenant, nearest, shown
from resources.tenants.comparison import FieldComparison

#: What each key of a field's comparison is about: the kinds of field, and how they are called.
_ABOUT: Final[Mapping[str, tuple[frozenset[str], str]]] = {
    **dict.fromkeys(("amount", "percent"), (frozenset({*DECIMAL_KINDS, "integer"}), "numbers")),
    "days": (frozenset({"date", "datetime"}), "dates"),
    **dict.fromkeys(("case", "space", "empty", "unicode"), (frozenset({"text", "enum"}), "text")),
}


class _Compiled(Protocol):
    """The compiled rules of one record type."""

    @property
    def fields(self) -> Sequence[MappedField]: ...
    @property
    def line_fields(self) -> Sequence[MappedField]: ...


def comparison_problems(tenant: Tenant, records: Mapping[str, _Compiled]) -> Iterator[Problem]:
    """What does not fit the compiled rules of the tenant's record types."""
    for record, comparison in tenant.reconcile.compare.items():
        path = ("reconcile", "compare", record)
        if record not in records:
            hint = nearest(record, records) or f"; mapped are {', '.join(records)}"
            yield Problem.at(tenant.key_place(*path), f"no record type '{shown(record)}' is mapped{hint}")
            continue
        rules = records[record]
        headers = {field.name: field.kind for field in rules.fields}
        if record in TABLES and TABLES[record].lines is not None:
            # Computed by NetSuite and mapped by nobody, and compared all the same.
            headers["total"] = "amount"
        lines = {field.name: field.kind for field in rules.line_fields}
        hidden = {field.name for field in (*rules.fields, *rules.line_fields) if not field.suiteql}
        for part, where, known, given in (
            ("fields", record, headers, comparison.fields),
            ("lines", f"lines of {record}", lines, comparison.lines),
        ):
            for steps, message in _mistakes(where, known, hidden, given):
                yield Problem.at(tenant.key_place(*path, part, *steps), message)
    yield from _custom_id_problems(tenant, records)


def _custom_id_problems(tenant: Tenant, records: Mapping[str, _Compiled]) -> Iterator[Problem]:
    """The id of a customer's own must be a mapped field that NetSuite's queries show."""
    written = tenant.reconcile.match.customer.custom_id
    if written is None:
        return
    place = tenant.key_place("reconcile", "match", "customer", "custom_id")
    names = (
        [field.name for field in records["customer"].fields if field.suiteql] if "customer" in records else []
    )
    if written.lower() not in {name.lower() for name in names}:
        hint = nearest(written, names)
        yield Problem.at(
            place,
            f"customer: the mapping has no field '{shown(written)}' that customers can be matched by{hint}",
        )


def _mistakes(
    where: str, known: Mapping[str, Kind], hidden: Collection[str], given: Mapping[str, FieldComparison]
) -> Iterator[tuple[tuple[str, ...], str]]:
    """Mistakes of a record's header or lines, each with its path below; `known` is field to kind."""
    names = {name.lower(): name for name in known}
    seen: set[str] = set()
    for written, comparison in given.items():
        name = names.get(written.lower())
        if name is None:
            hint = nearest(written, list(known))
            yield (written,), f"{where}: the mapping has no field '{shown(written)}' to compare{hint}"
            continue
        if name in seen:
            yield (written,), f"{where}: {name} is given twice"
        seen.add(name)
        if name in hidden:
            yield (written,), f"{where}: NetSuite's queries do not show {name}, so it is never compared"
        for key in comparison.model_fields_set:
            kinds, called = _ABOUT[key]
            if known[name] not in kinds:
                yield (written, key), f"'{key}' is about {called}, and {name} holds {_held(known[name])}"


def _held(kind: str) -> str:
    named = {"boolean": "true or false", "reference": "a reference", "date": "a date", "datetime": "a time"}
    return named.get(kind, f"{'an' if kind[0] in 'aei' else 'a'} {kind}")
