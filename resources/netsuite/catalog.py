"""The schema of one account as a role sees it: records, fields, lists with their values, segments, datasets.

Here belong reading it, the one form in which it is held, and the comparison of two of them (NetSuite REST facts:
metadata catalog, SuiteQL tables of customisation, datasets). Keeping versions and judging a mapping do not.

What the role may not see is a section that is not visible, which is something else than an empty one: a permission
that was taken away never looks like a schema that was deleted.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

import msgspec

from resources.netsuite.client import NetSuite
from resources.netsuite.errors import NetSuiteError, NotFound, PermissionDenied, Rejected
from resources.netsuite.suiteql import PAGE_LIMIT

_CATALOG: Final = "/services/rest/record/v1/metadata-catalog"
_DATASETS: Final = "/services/rest/query/v1/dataset/"
_HELPERS: Final = frozenset({"links", "nsLink", "nsResource", "nsResourceCollection", "nsError"})
_REFUSED: Final = (PermissionDenied, Rejected, NotFound)
"""Answers by which a section is not visible; anything else is a failure of the reading."""

_CUSTOM: Final[Mapping[str, tuple[str, str]]] = {
    "custom fields": (
        "custom field",
        "SELECT internalid, scriptid, name, fieldtype, fieldvaluetype FROM customfield ORDER BY internalid",
    ),
    "mandatory custom fields": (
        "mandatory",
        "SELECT internalid, scriptid, name FROM customfield WHERE ismandatory = 'T' ORDER BY internalid",
    ),
    "custom lists": ("list", "SELECT internalid, scriptid, name FROM customlist ORDER BY internalid"),
    "custom segments": (
        "segment",
        "SELECT internalid, scriptid, name, recordtype FROM customsegment ORDER BY internalid",
    ),
    "custom record types": (
        "record type",
        "SELECT internalid, scriptid, name FROM customrecordtype ORDER BY internalid",
    ),
}


@dataclass(frozen=True, slots=True, order=True)
class Entry:
    """One thing of the schema. ``owner`` is the record, sublist (``invoice.item``) or list that it belongs to.

    ``kind`` is ``record``, ``field``, ``custom field``, ``mandatory`` (a custom field without which no record is
    saved), ``list``, ``value``, ``segment``, ``record type`` or ``dataset``; ``type`` is a field's (``text``, ``number``, ``date``, ``datetime``, ``boolean``, ``lines``,
    ``reference`` or ``reference <target>``, a custom field's own name for it) or ``inactive`` for a value.
    """

    section: str
    kind: str
    owner: str
    name: str
    type: str = ""
    label: str = ""


@dataclass(frozen=True, slots=True, order=True)
class Section:
    """A part of the schema that is read as one; ``why`` is NetSuite's reason where it is not visible."""

    name: str
    visible: bool
    why: str = ""


@dataclass(frozen=True, slots=True)
class Catalog:
    """A whole schema, in order."""

    sections: tuple[Section, ...]
    entries: tuple[Entry, ...]

    @property
    def version(self) -> str:
        """SHA-256 of all that it holds; the same schema always has the same one."""
        rows = [
            [(section.name, section.visible) for section in self.sections],
            [(e.section, e.kind, e.owner, e.name, e.type, e.label) for e in self.entries],
        ]
        return hashlib.sha256(msgspec.json.encode(rows)).hexdigest()

    def visible(self) -> frozenset[str]:
        """The names of the sections that the role sees."""
        return frozenset(section.name for section in self.sections if section.visible)


@dataclass(frozen=True, slots=True)
class Changes:
    """What differs between two catalogs, in sections that both could see. ``retyped`` pairs before with after."""

    added: tuple[Entry, ...] = ()
    removed: tuple[Entry, ...] = ()
    retyped: tuple[tuple[Entry, Entry], ...] = ()
    renamed: tuple[tuple[Entry, Entry], ...] = ()
    hidden: tuple[str, ...] = ()
    shown: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return any((self.added, self.removed, self.retyped, self.renamed, self.hidden, self.shown))


def compare(before: Catalog, after: Catalog) -> Changes:
    """What was added, removed, retyped or renamed, and which sections can no longer, or now, be seen."""
    both = before.visible() & after.visible()
    old = {_identity(entry): entry for entry in before.entries if entry.section in both}
    new = {_identity(entry): entry for entry in after.entries if entry.section in both}
    kept = [(old[key], new[key]) for key in new if key in old]
    # A section that is gone altogether (a record type, a list) is told by the entry that named it.
    return Changes(
        added=tuple(sorted(new[key] for key in new.keys() - old.keys())),
        removed=tuple(sorted(old[key] for key in old.keys() - new.keys())),
        retyped=tuple(pair for pair in kept if pair[0].type != pair[1].type),
        renamed=tuple(
            pair for pair in kept if pair[0].type == pair[1].type and pair[0].label != pair[1].label
        ),
        hidden=tuple(
            sorted(
                section.name
                for section in after.sections
                if not section.visible and section.name in before.visible()
            )
        ),
        shown=tuple(
            sorted(
                section.name
                for section in before.sections
                if not section.visible and section.name in after.visible()
            )
        ),
    )


def _identity(entry: Entry) -> tuple[str, str, str]:
    return entry.kind, entry.owner.lower(), entry.name.lower()


async def read_catalog(client: NetSuite, records: Sequence[str]) -> Catalog:
    """The account's schema: all record types by name, the fields of ``records`` and of custom ones, all custom lists,
    segments and their values, datasets.

    Raises a ``NetSuiteError`` only for failures that are none of the schema or the role.
    """
    reader = _Reader(client)
    listed = await reader.record_types()
    wanted = {name.lower() for name in records}
    detailed = [name for name in listed if name.lower() in wanted or _is_custom_record(name)]
    await asyncio.gather(
        *(reader.fields(name) for name in detailed),
        *(reader.custom(section) for section in _CUSTOM),
        reader.datasets(),
    )
    await asyncio.gather(*(reader.values(table) for table in sorted(reader.value_tables)))
    reader.sections.append(Section("saved searches", False, "REST web services do not show saved searches."))
    return Catalog(tuple(sorted(reader.sections)), tuple(sorted(reader.entries)))


def _is_custom_record(name: str) -> bool:
    lowered = name.lower()
    return lowered.startswith("customrecord") and not lowered.startswith("customrecord_cseg_")


class _Reader:
    """Collects the entries of one account."""

    def __init__(self, client: NetSuite) -> None:
        self._client = client
        self.sections: list[Section] = []
        self.entries: list[Entry] = []
        self.value_tables: set[str] = set()

    async def record_types(self) -> list[str]:
        content = await self._get("record types", _CATALOG, "List the record types")
        names = [str(item["name"]) for item in _items(content) if item.get("name")]
        self.entries += [Entry("record types", "record", "", name) for name in names]
        return names

    async def fields(self, record: str) -> None:
        section = f"fields of {record}"
        schema = await self._get(
            section,
            f"{_CATALOG}/{quote(record, safe='')}",
            f"Read the schema of {record}",
            accept="application/schema+json",
        )
        self._add_fields(section, record, (schema or {}).get("properties"))

    def _add_fields(self, section: str, owner: str, properties: object) -> None:
        if not isinstance(properties, dict):
            return
        for name, described in properties.items():
            if name in _HELPERS or not isinstance(described, dict):
                continue
            lines = _line_properties(described)
            kind = "lines" if lines is not None else _type(described)
            self.entries.append(Entry(section, "field", owner, name, kind, str(described.get("title", ""))))
            if lines is not None:
                self._add_fields(section, f"{owner}.{name}", lines)

    async def custom(self, section: str) -> None:
        kind, query = _CUSTOM[section]
        rows = await self._rows(section, query)
        for row in rows:
            name = row.get("scriptid", "").lower()
            if not name:
                continue
            type_ = " ".join(filter(None, (row.get("fieldtype", "").lower(), row.get("fieldvaluetype", ""))))
            self.entries.append(Entry(section, kind, "", name, type_, row.get("name", "")))
            if kind == "list":
                self.value_tables.add(name)
            elif kind == "segment":
                self.value_tables.add((row.get("recordtype") or f"customrecord_{name}").lower())

    async def values(self, table: str) -> None:
        if not table.replace("_", "").isalnum():
            self.sections.append(
                Section(f"values of {table}", False, "its name is none that a query can hold")
            )
            return
        section = f"values of {table}"
        for row in await self._rows(section, f"SELECT id, name, isinactive FROM {table} ORDER BY id"):
            inactive = "inactive" if row.get("isinactive") == "T" else ""
            self.entries.append(
                Entry(section, "value", table, row.get("id", ""), inactive, row.get("name", ""))
            )

    async def datasets(self) -> None:
        """All pages of the list; if one cannot be read the whole section is not visible, never a part of it."""
        found: dict[str, str] = {}
        while True:
            query = f"limit={PAGE_LIMIT}&offset={len(found)}"
            content = await self._asked("datasets", _DATASETS, "List the datasets", query=query)
            if content is None:
                return
            before = len(found)
            found |= {name: str(item.get("name", "")) for item in _items(content) if (name := _dataset(item))}
            if not content.get("hasMore") or len(found) == before:
                break
        self.sections.append(Section("datasets", True))
        self.entries += [Entry("datasets", "dataset", "", name, "", label) for name, label in found.items()]

    async def _get(self, section: str, path: str, title: str, *, accept: str = "") -> dict[str, Any] | None:
        """What a path answers, as a section that is visible; ``None``, and one that is not, where it is refused."""
        content = await self._asked(section, path, title, accept=accept)
        if content is not None:
            self.sections.append(Section(section, True))
        return content

    async def _asked(
        self, section: str, path: str, title: str, *, query: str = "", accept: str = ""
    ) -> dict[str, Any] | None:
        try:
            answer = await self._client.fetch(path, query, title=title, accept=accept)
            content = msgspec.json.decode(answer.content)
        except _REFUSED as error:
            self._unseen(section, error)
            return None
        except msgspec.DecodeError:
            content = None
        if not isinstance(content, dict):
            self.sections.append(Section(section, False, "the answer is no JSON object"))
            return None
        return content

    async def _rows(self, section: str, query: str) -> list[dict[str, str]]:
        try:
            rows = [row async for page in self._client.suiteql(query) for row in page.rows()]
        except _REFUSED as error:
            self._unseen(section, error)
            return []
        self.sections.append(Section(section, True))
        return rows

    def _unseen(self, section: str, error: NetSuiteError) -> None:
        self.sections.append(Section(section, False, error.said or error.headline))


def _dataset(item: dict[str, Any]) -> str:
    return str(item.get("id") or item.get("scriptId") or item.get("name") or "")


def _items(content: dict[str, Any] | None) -> list[dict[str, Any]]:
    items = (content or {}).get("items")
    return [item for item in items if isinstance(item, dict)] if isinstance(items, list) else []


def _line_properties(described: dict[str, Any]) -> dict[str, Any] | None:
    """The fields of a sublist's lines, where the schema holds them in place."""
    items = (
        described.get("properties", {}).get("items")
        if isinstance(described.get("properties"), dict)
        else None
    )
    element = items.get("items") if isinstance(items, dict) else None
    properties = element.get("properties") if isinstance(element, dict) else None
    return properties if isinstance(properties, dict) else None


def _type(described: dict[str, Any]) -> str:
    reference = described.get("$ref")
    if isinstance(reference, str):
        return f"reference {reference.rstrip('/').rpartition('/')[2]}"
    match described.get("type"), described.get("format"):
        case "string", "date":
            return "date"
        case "string", "date-time":
            return "datetime"
        case (("number" | "integer"), _):
            return "number"
        case "boolean", _:
            return "boolean"
        case "object", _:
            return "reference"
        case "array", _:
            return "lines"
        case _:
            return "text"
