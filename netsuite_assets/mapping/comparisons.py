"""Whether what a tenant's file says under `reconcile.compare` fits the fields that it maps.

Here: the mistakes, each at its place. Not here: the shape of the keys (`resources/tenants/comparison.py`), or
comparing (the stage `reconcile`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final, Protocol

from netsuite_assets.mapping.model import MappedField
from resources.netsuite.records import DECIMAL_KINDS
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
        yield from _mistakes(tenant, (*path, "fields"), record, rules.fields, comparison.fields)
        yield from _mistakes(
            tenant, (*path, "lines"), f"lines of {record}", rules.line_fields, comparison.lines
        )


def _mistakes(
    tenant: Tenant,
    path: tuple[str, ...],
    where: str,
    mapped: Sequence[MappedField],
    given: Mapping[str, FieldComparison],
) -> Iterator[Problem]:
    known = {field.name.lower(): field for field in mapped}
    seen: set[str] = set()
    for name, comparison in given.items():
        place = tenant.key_place(*path, name)
        field = known.get(name.lower())
        if field is None:
            hint = nearest(name, [one.name for one in mapped])
            yield Problem.at(place, f"{where}: the mapping has no field '{shown(name)}' to compare{hint}")
            continue
        if field.name in seen:
            yield Problem.at(place, f"{where}: {field.name} is given twice")
        seen.add(field.name)
        if not field.suiteql:
            message = f"{where}: NetSuite's queries do not show {field.name}, so it is never compared"
            yield Problem.at(place, message)
        for key in comparison.model_fields_set:
            kinds, called = _ABOUT[key]
            if field.kind not in kinds:
                message = f"'{key}' is about {called}, and {field.name} holds {_held(field.kind)}"
                yield Problem.at(tenant.key_place(*path, name, key), message)


def _held(kind: str) -> str:
    named = {"boolean": "true or false", "reference": "a reference", "date": "a date", "datetime": "a time"}
    return named.get(kind, f"{'an' if kind[0] in 'aei' else 'a'} {kind}")
