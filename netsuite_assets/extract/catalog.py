"""The account's schema in the warehouse, by version, and the rules of the mapping that it breaks.

Here: keeping each version, finding the one before, and holding the mapping against the schema. Not here: reading the
schema (`resources/netsuite/catalog.py`). Imports no Dagster.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import pyarrow as pa

from netsuite_assets.mapping.compiler import MappedField, RecordMapping
from netsuite_assets.mapping.compiler import Mapping as TenantMapping
from resources.netsuite.catalog import Catalog, Changes, Entry, Section, compare
from resources.netsuite.fields import CUSTOM_PREFIXES
from resources.tenants import nearest
from resources.warehouse import TenantWarehouse

ENTRIES: Final[Mapping[str, str]] = {
    "version": "VARCHAR",
    "section": "VARCHAR",
    "kind": "VARCHAR",
    "owner": "VARCHAR",
    "name": "VARCHAR",
    "type": "VARCHAR",
    "label": "VARCHAR",
}
SECTIONS: Final[Mapping[str, str]] = {
    "version": "VARCHAR",
    "name": "VARCHAR",
    "visible": "BOOLEAN",
    "why": "VARCHAR",
}
VERSIONS: Final[Mapping[str, str]] = {
    "version": "VARCHAR",
    "first_seen": "TIMESTAMPTZ",
    "last_seen": "TIMESTAMPTZ",
    "entries": "BIGINT",
}

#: The types of the catalog by the kind of a mapped field.
_FITTING: Final[Mapping[str, frozenset[str]]] = {
    "text": frozenset({"text"}),
    "date": frozenset({"date"}),
    "datetime": frozenset({"datetime"}),
    "boolean": frozenset({"boolean"}),
    "reference": frozenset({"reference"}),
    "enum": frozenset({"reference"}),
    **{kind: frozenset({"number"}) for kind in ("amount", "rate", "quantity", "integer")},
}


@dataclass(frozen=True)
class Broken:
    """A rule that the account's schema does not bear: where it is written, and why.

    `value` is the value of a list that is named there and is not one.
    """

    where: str
    record: str
    field: str
    why: str
    value: str | None = None


@dataclass(frozen=True)
class Landed:
    """A version that was kept, and the one before it: the last that was another (None where there is none).

    `previous_seen` is when that one was seen last; `changes` is what has changed since then.
    """

    version: str
    previous: str | None
    previous_seen: datetime | None
    changes: Changes
    broken: tuple[Broken, ...]


def land_catalog(held: TenantWarehouse, catalog: Catalog, mapping: TenantMapping, now: datetime) -> Landed:
    """Keep the catalog under its version, compare it with the one before, and hold the mapping against it.

    The one before stays the same until the schema changes again: several runs of a night all show what changed.
    """
    for table, columns in (
        ("netsuite.catalog", ENTRIES),
        ("netsuite.catalog_sections", SECTIONS),
        ("netsuite.catalog_versions", VERSIONS),
    ):
        held.ensure_table(table, columns)
    version = catalog.version
    with held.transaction():
        if held.sql("SELECT 1 FROM netsuite.catalog_versions WHERE version = ?", [version]):
            held.connection.execute(
                "UPDATE netsuite.catalog_versions SET last_seen = ? WHERE version = ?", [now, version]
            )
        else:
            _keep(held, catalog, version, now)
    before = held.sql(
        "SELECT version, last_seen FROM netsuite.catalog_versions WHERE version <> ?"
        " ORDER BY last_seen DESC, version LIMIT 1",
        [version],
    )
    previous, previous_seen = before[0] if before else (None, None)
    changes = Changes() if previous is None else compare(read_version(held, previous), catalog)
    return Landed(version, previous, previous_seen, changes, tuple(broken_rules(mapping, catalog)))


def latest_version(held: TenantWarehouse) -> tuple[str, datetime] | None:
    """The version that was seen last, and when; None where no schema was ever kept."""
    if not held.columns("netsuite.catalog_versions"):
        return None
    rows = held.sql(
        "SELECT version, last_seen FROM netsuite.catalog_versions ORDER BY last_seen DESC, version LIMIT 1"
    )
    return (str(rows[0][0]), rows[0][1]) if rows else None


def read_version(held: TenantWarehouse, version: str) -> Catalog:
    """A version as it was kept."""
    sections = held.sql(
        "SELECT name, visible, why FROM netsuite.catalog_sections WHERE version = ? ORDER BY ALL", [version]
    )
    entries = held.sql(
        "SELECT section, kind, owner, name, type, label FROM netsuite.catalog WHERE version = ?", [version]
    )
    return Catalog(tuple(Section(*row) for row in sections), tuple(sorted(Entry(*row) for row in entries)))


def broken_rules(mapping: TenantMapping, catalog: Catalog) -> Iterator[Broken]:
    """The rules whose field is not there, has another type, or names a value that its list does not have."""
    visible = catalog.visible()
    fields = {
        (entry.owner.lower(), entry.name.lower()): entry for entry in catalog.entries if entry.kind == "field"
    }
    elsewhere = {entry.name.lower() for entry in catalog.entries if entry.kind == "custom field"}
    values = _values(catalog)
    for rules in mapping.records.values():
        if f"fields of {rules.record}" in visible:
            yield from _broken_fields(rules, fields, elsewhere)
        yield from _broken_values(rules, values)
    if "record types" in visible:
        known = {entry.name.lower() for entry in catalog.entries if entry.kind == "record"}
        for record, rules in mapping.records.items():
            if record.lower() not in known:
                yield Broken(
                    rules.external_id.where, record, "", "the account shows this role no such record type"
                )


def _broken_fields(
    rules: RecordMapping, fields: Mapping[tuple[str, str], Entry], elsewhere: Collection[str]
) -> Iterator[Broken]:
    record = rules.record.lower()
    places = [(field, record) for field in rules.fields]
    # Where the schema does not hold the lines in place, nothing is known of their fields.
    sublist = f"{record}.{rules.tables.sublist}"
    if any(owner == sublist for owner, _ in fields):
        places += [(field, sublist) for field in rules.line_fields]
    for field, owner in places:
        entry = fields.get((owner, field.name.lower()))
        if entry is None:
            why = f"{owner} has no such field"
            if field.name.lower() in elsewhere:
                why = f"the account has this field, but shows this role none such on {owner}"
            else:
                why += nearest(field.name, [entry.name for (of, _), entry in fields.items() if of == owner])
            yield Broken(field.where, rules.record, field.name, why)
        elif field.name.startswith(tuple(CUSTOM_PREFIXES)) and not _fits(field, entry):
            yield Broken(
                field.where,
                rules.record,
                field.name,
                f"the rule takes it for {field.kind}, NetSuite's field is {entry.type}",
            )


def _fits(field: MappedField, entry: Entry) -> bool:
    fitting = _FITTING.get(field.kind, frozenset())
    return entry.type in fitting or entry.type.partition(" ")[0] in fitting


def _values(catalog: Catalog) -> dict[str, dict[str, bool]]:
    """Each visible list's values by name and id, lower case, and whether they are active."""
    found: dict[str, dict[str, bool]] = {
        section.name.removeprefix("values of "): {}
        for section in catalog.sections
        if section.visible and section.name.startswith("values of ")
    }
    for entry in catalog.entries:
        if entry.kind == "value" and entry.owner in found:
            active = entry.type != "inactive"
            for key in (entry.name, entry.label):
                known = found[entry.owner]
                known[key.lower()] = active or known.get(key.lower(), False)
    return found


def _broken_values(rules: RecordMapping, values: Mapping[str, Mapping[str, bool]]) -> Iterator[Broken]:
    for rule in (*rules.rules, *rules.line_rules):
        field = rule.field
        if field.list_name is None:
            continue
        table = f"customrecord_{field.list_name}" if field.list_name.startswith("cseg_") else field.list_name
        known = values.get(table.lower())
        if known is None:
            continue
        by = rule.lookup.by if rule.lookup is not None else ("internal_id",)
        if "external_id" in by and rule.lookup is not None and set(by) <= {"external_id", "number"}:
            continue  # External ids are no part of the catalog.
        named = [*(rule.value_map or {}).values(), rule.constant, rule.default]
        for name in dict.fromkeys(one for one in named if one is not None):
            if name.lower() not in known:
                why = f"{field.list_name} has no value '{name}'{nearest(name, known)}"
                yield Broken(field.where, rules.record, field.name, why, name)
            elif not known[name.lower()]:
                yield Broken(field.where, rules.record, field.name, f"the value '{name}' is inactive", name)


def _keep(held: TenantWarehouse, catalog: Catalog, version: str, now: datetime) -> None:
    entries = [
        {"version": version, **{name: getattr(entry, name) for name in ENTRIES if name != "version"}}
        for entry in catalog.entries
    ]
    sections = [
        {"version": version, "name": one.name, "visible": one.visible, "why": one.why}
        for one in catalog.sections
    ]
    for table, rows in (("netsuite.catalog", entries), ("netsuite.catalog_sections", sections)):
        if rows:
            held.connection.register("catalog_in", pa.Table.from_pylist(rows))
            held.connection.execute(f"INSERT INTO {table} BY NAME SELECT * FROM catalog_in")
            held.connection.unregister("catalog_in")
    held.connection.execute(
        "INSERT INTO netsuite.catalog_versions VALUES (?, ?, ?, ?)", [version, now, now, len(entries)]
    )
