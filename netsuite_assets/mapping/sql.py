"""SQL of the compiled mapping: from billing rows to expected rows, set by set.

Here: the statements' text. Not here: which rules are right (`rules.py`), or running anything.

A statement is a tower of layers, each of which computes for every rule once what the next needs:

    source   s<i>  the billing value          (and the row's own ids)
    mapped   m<i>  after the value map, as text, where there is a map or a lookup
    found    r<i>, a<i>, k<i>  the id, number of answers and key of a lookup; f<i> the default's id
    valued   v<i>  the field's value; h<i> how a lookup or default gave it
    judged   e<i>  0, or what is wrong (`PROBLEMS`)

Lookups are joins on relations with one row a key. Names are quoted and values are literals throughout; the only
relations read are the tenant's own billing tables and `netsuite.reference`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

from netsuite_assets.mapping.model import (
    CUSTOMER,
    HOW,
    Alias,
    ExternalId,
    FieldRule,
    Lookup,
    Source,
    SourceKind,
)
from netsuite_assets.mapping.values import as_text, convert
from netsuite_assets.tables import TABLES, RecordTables
from resources.billing.canonical import TABLES as BILLING
from resources.netsuite.records import DECIMAL_KINDS
from resources.warehouse import literal, quote

_MATCHED: Final = {how: number for number, how in HOW.items()}
#: What an external id may hold, so that it can stand in a URL (NetSuite REST facts: `eid:`).
_EXTERNAL_ID: Final = "[A-Za-z0-9_-]+"

#: A number in JSON text (not in quotes) with 17 digits or more.
_LONG_NUMBER: Final = r"[:,\[]\s*-?[0-9.]{18,}"


@dataclass(frozen=True)
class Layers:
    """The layers of one expected table: a record's headers, or its lines."""

    record: str
    rules: Sequence[FieldRule]
    external_id: ExternalId
    customer_id: ExternalId | None
    on_lines: bool = False
    lookups: dict[Lookup, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for rule in self.rules:
            if rule.lookup is not None and rule.lookup.list_name != CUSTOMER:
                self.lookups.setdefault(rule.lookup, f"lookup_{len(self.lookups)}")

    @property
    def tables(self) -> RecordTables:
        return TABLES[self.record]

    def judged(self, period: str | None) -> str:
        """`WITH …` up to the relation `judged`, for one period or (None) for all."""
        layers = [
            *self._lookup_relations(),
            f"source AS NOT MATERIALIZED ({self._source(period)})",
            f"mapped AS NOT MATERIALIZED (SELECT *, {_list(self._mapped())} FROM source)",
            f"found AS NOT MATERIALIZED ({self._found()})",
            f"valued AS NOT MATERIALIZED (SELECT *, {_list(self._valued())} FROM found)",
            f"judged AS NOT MATERIALIZED (SELECT *, {_list(self._judged())} FROM valued)",
        ]
        return "WITH\n" + ",\n".join(layers)

    # Lookup relations

    def _lookup_relations(self) -> Iterable[str]:
        for lookup, name in self.lookups.items():
            keys = " UNION ALL ".join(
                f"SELECT lower(trim({quote(column)})) AS key, internal_id, {rank} AS rank, {_MATCHED[column]} AS how"
                f" FROM netsuite.reference WHERE list = {literal(lookup.list_name)} AND is_inactive IS NOT TRUE"
                for rank, column in enumerate(lookup.by)
            )
            # One row a key: the answers of the first way to match that has any.
            yield f"""{name} AS MATERIALIZED (
                SELECT key, min(internal_id) AS id, count(DISTINCT internal_id) AS answers, min(how) AS how
                FROM (SELECT *, min(rank) OVER (PARTITION BY key) AS best FROM ({keys}) WHERE key <> '')
                WHERE rank = best GROUP BY key)"""
        defaults = [rule for rule in self.rules if rule.lookup is not None and rule.default is not None]
        if defaults:
            values = ", ".join(
                f"(SELECT id FROM {self.lookups[rule.lookup]} WHERE answers = 1"
                f" AND key = lower(trim({literal(rule.default)}))) AS f{rule.index}"
                for rule in defaults
                if rule.lookup is not None and rule.default is not None
            )
            yield f"defaults AS MATERIALIZED (SELECT {values})"
        if self.customer_id is not None and any(rule.of_customer for rule in self.rules):
            yield (
                "own_customers AS NOT MATERIALIZED (SELECT id,"
                f" {_template(self.customer_id.parts, self._customer_value)} AS external_id FROM billing.customers AS d)"
            )

    # Layers

    def _source(self, period: str | None) -> str:
        columns = [*self._identity(), *(f"{self._start(rule)} AS s{rule.index}" for rule in self.rules)]
        columns += [
            f"({alias}.metadata IS NOT NULL AND {alias}.keys_ IS NULL) AS unreadable_{alias}"
            for alias in self.keys
        ]
        columns += [
            f"{self._inexact(rule)} AS x{rule.index}" for rule in self.rules if _needs_exactness(rule)
        ]
        return f"SELECT {_list(columns)} FROM {self._rows(period)}"

    def _identity(self) -> list[str]:
        external_id = f"{_template(self.external_id.parts, self._value)} AS external_id"
        if self.record == CUSTOMER:
            return [
                external_id, "d.id AS source_id", "d.id AS number", "d.name AS name", "d.currency AS currency",
                "NULL::DECIMAL(18,4) AS total",
            ]  # fmt: skip
        if self.on_lines:
            return [
                external_id, "l.id AS source_id", "d.number AS number", "l.line_no AS line_no",
            ]  # fmt: skip
        return [
            external_id, "d.id AS source_id", "d.number AS number", "c.name AS name", "d.currency AS currency",
            "d.total AS total",
        ]  # fmt: skip

    def _rows(self, period: str | None) -> str:
        if self.record == CUSTOMER:
            return self._table("d", "customers", None)
        documents = self._table("d", self.tables.billing, period)
        customers = f" LEFT JOIN {self._table('c', 'customers', None)} ON c.id = d.customer_id"
        if not self.on_lines:
            return documents + customers
        assert self.tables.billing_lines is not None
        parent = BILLING[self.tables.billing_lines].parent_column
        lines = self._table("l", self.tables.billing_lines, period)
        joined = f"{lines} LEFT JOIN {documents} ON d.id = l.{quote(str(parent))}"
        used = {source.alias for rule in self.rules for source in rule.sources}
        return joined + (customers if "c" in used else "")

    def _table(self, alias: Alias, name: str, period: str | None) -> str:
        """A billing table; what the rules need of its metadata is read in one pass, NULL where that is not JSON."""
        where = f" WHERE period = {literal(period)}" if period is not None else ""
        pointers = self.keys.get(alias)
        if pointers is None:
            return f"(SELECT * FROM billing.{quote(name)}{where}) AS {alias}"
        wanted = ", ".join(literal(pointer) for pointer in pointers)
        return (
            f"(SELECT *, TRY(json_extract_string(metadata, [{wanted}])) AS keys_"
            f" FROM billing.{quote(name)}{where}) AS {alias}"
        )

    @cached_property
    def keys(self) -> dict[Alias, list[str]]:
        """The metadata keys that are used, by the row whose they are."""
        found: dict[Alias, list[str]] = {}
        parts = [part for part in self.external_id.parts if isinstance(part, Source)]
        for source in [*parts, *(source for rule in self.rules for source in rule.sources)]:
            if source.pointer is not None:
                pointers = found.setdefault(source.alias, [])
                if source.pointer not in pointers:
                    pointers.append(source.pointer)
        return found

    def _value(self, source: Source) -> str:
        if source.pointer is not None:
            position = self.keys[source.alias].index(source.pointer) + 1
            return f"nullif({source.alias}.keys_[{position}], '')"
        column = f"{source.alias}.{quote(source.column)}"
        return f"nullif({column}, '')" if source.kind == "text" else column

    @staticmethod
    def _customer_value(source: Source) -> str:
        if source.pointer is not None:
            return f"nullif(TRY(json_extract_string(d.metadata, {literal(source.pointer)})), '')"
        return f"d.{quote(source.column)}"

    def _start(self, rule: FieldRule) -> str:
        if rule.source is not None:
            return self._value(rule.source)
        if rule.template is not None:
            return _template(rule.template, self._value)
        return literal(rule.constant or "")

    def _inexact(self, rule: FieldRule) -> str:
        """Whether a number in metadata has more digits than a JSON reader keeps: it would come back rounded.

        What comes back has more than 15 digits, or is short but some number in the object is longer than that.
        """
        source = rule.source
        assert source is not None
        assert source.pointer is not None
        kind = f"TRY(json_type({source.alias}.metadata, {literal(source.pointer)}))"
        digits = f"ltrim(regexp_replace(s{rule.index}, '[^0-9]', '', 'g'), '0')"
        long = f"regexp_matches({source.alias}.metadata, {literal(_LONG_NUMBER)})"
        return f"({kind} = 'DOUBLE' AND (length({digits}) > 15 OR {long}))"

    def _mapped(self) -> list[str]:
        columns = []
        for rule in self.rules:
            if rule.value_map is None and rule.lookup is None:
                continue
            start = as_text(f"s{rule.index}", start_kind(rule))
            if rule.value_map is not None:
                cases = " ".join(
                    f"WHEN {literal(key)} THEN {literal(value)}" for key, value in rule.value_map.items()
                )
                start = f"CASE {start} {cases} END" if cases else "NULL::VARCHAR"
            columns.append(f"{start} AS m{rule.index}")
        return columns

    def _found(self) -> str:
        columns, joins = ["mapped.*"], []
        for rule in self.rules:
            i = rule.index
            if rule.lookup is None:
                continue
            if rule.of_customer:
                columns += [f"k{i}.external_id AS r{i}", f"k{i}.id IS NOT NULL AS a{i}"]
                joins.append(f"LEFT JOIN own_customers AS k{i} ON k{i}.id = mapped.m{i}")
                continue
            columns += [f"k{i}.id AS r{i}", f"k{i}.answers AS a{i}", f"k{i}.how AS k{i}"]
            joins.append(
                f"LEFT JOIN {self.lookups[rule.lookup]} AS k{i} ON k{i}.key = lower(trim(mapped.m{i}))"
            )
            if rule.default is not None:
                columns.append(f"defaults.f{i}")
        cross = " CROSS JOIN defaults" if any("defaults." in column for column in columns) else ""
        return f"SELECT {_list(columns)} FROM mapped{cross} {' '.join(joins)}"

    def _valued(self) -> list[str]:
        columns = []
        for rule in self.rules:
            i = rule.index
            if rule.of_customer:
                columns += [f"r{i} AS v{i}", f"CASE WHEN r{i} IS NOT NULL THEN 6 END AS h{i}"]
            elif rule.lookup is not None:
                one = f"WHEN a{i} = 1 THEN"
                fallback = f" WHEN a{i} IS NULL AND f{i} IS NOT NULL THEN" if rule.default is not None else ""
                columns.append(f"CASE {one} r{i}{fallback and f'{fallback} f{i}'} END AS v{i}")
                columns.append(f"CASE {one} k{i}{fallback and f'{fallback} 5'} END AS h{i}")
            else:
                columns += self._plain_value(rule)
        return columns

    def _plain_value(self, rule: FieldRule) -> list[str]:
        i = rule.index
        start = f"m{i}" if rule.value_map is not None else f"s{i}"
        kind: SourceKind = "text" if rule.value_map is not None else start_kind(rule)
        value = convert(start, kind, rule.field.kind)
        assert value is not None
        if _needs_exactness(rule):
            value = f"CASE WHEN x{i} IS NOT TRUE THEN {value} END"
        if rule.default is None:
            return [f"{value} AS v{i}"]
        fallback = convert(literal(rule.default), "text", rule.field.kind)
        # Only what is absent is defaulted: a value that does not fit stays a problem.
        absent = f"{start} IS NULL"
        return [
            f"CASE WHEN {absent} THEN {fallback} ELSE {value} END AS v{i}",
            f"CASE WHEN {absent} THEN 5 END AS h{i}",
        ]

    def _judged(self) -> list[str]:
        columns = [f"{self._error(rule)} AS e{rule.index}" for rule in self.rules]
        columns.append(
            f"(external_id IS NULL OR NOT regexp_full_match(external_id, {literal(_EXTERNAL_ID)})) AS bad_id"
        )
        if not self.on_lines and not self.external_id.only_id:
            columns.append("(count(*) OVER (PARTITION BY external_id) > 1) AS repeated_id")
        return columns

    @staticmethod
    def _error(rule: FieldRule) -> str:
        i = rule.index
        unmapped = ""
        if rule.value_map is not None and rule.default is None:
            unmapped = f" WHEN s{i} IS NOT NULL AND m{i} IS NULL THEN 4"
        if rule.of_customer:
            nobody = "1" if rule.required else "0"
            return f"CASE WHEN v{i} IS NOT NULL THEN 0{unmapped} WHEN m{i} IS NULL THEN {nobody} ELSE 2 END"
        if rule.lookup is not None:
            absent = "" if rule.required else f" WHEN m{i} IS NULL THEN 0"
            if rule.default is not None:
                absent = ""
            nothing = f" WHEN m{i} IS NULL THEN {6 if rule.default is not None else 7}"
            missing = 6 if rule.default is not None else 2
            return f"CASE WHEN v{i} IS NOT NULL THEN 0 WHEN a{i} > 1 THEN 3{unmapped}{absent}{nothing} ELSE {missing} END"
        start = f"m{i}" if rule.value_map is not None else f"s{i}"
        empty = 7 if rule.required else 0
        return f"CASE WHEN v{i} IS NOT NULL THEN 0{unmapped} WHEN {start} IS NULL THEN {empty} ELSE 5 END"

    def values(self) -> dict[str, str]:
        """Column of the expected table to the expression over `judged` that fills it, mapped fields only."""
        return {rule.field.column: f"v{rule.index}" for rule in self.rules}


def _needs_exactness(rule: FieldRule) -> bool:
    """Whether the rule reads a number straight out of a metadata object."""
    return (
        rule.source is not None
        and rule.source.pointer is not None
        and rule.value_map is None
        and rule.field.kind in DECIMAL_KINDS
    )


def start_kind(rule: FieldRule) -> SourceKind:
    """The kind of `s<i>`."""
    return rule.source.kind if rule.source is not None else "text"


def _template(parts: Sequence[str | Source], value: Callable[[Source], str]) -> str:
    pieces = [literal(part) if isinstance(part, str) else as_text(value(part), part.kind) for part in parts]
    # `||` is NULL when a part is: half a text would be a wrong one.
    return f"({' || '.join(pieces)})" if pieces else "NULL::VARCHAR"


def _list(parts: Iterable[str]) -> str:
    return ", ".join(parts)
