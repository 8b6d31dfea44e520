"""A tenant's rules, compiled: expected tables, the statements that fill them, and the bodies to send.

Here: `compile_mapping` and what it gives. Nothing here imports Dagster or opens a connection of its own.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Collection, Sequence
from collections.abc import Mapping as Mapping_
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import duckdb

from netsuite_assets.mapping.body import record_body
from netsuite_assets.mapping.comparisons import comparison_problems
from netsuite_assets.mapping.explain import Explained, explain_record
from netsuite_assets.mapping.model import CUSTOMER, ExternalId, FieldRule, MappedField, Source
from netsuite_assets.mapping.outcome import line_problems, outcome
from netsuite_assets.mapping.paths import PathError, Scope
from netsuite_assets.mapping.rules import REQUIRED_FIELDS, RuleCompiler, RuleError
from netsuite_assets.mapping.sql import Layers
from netsuite_assets.tables import TABLES, RecordTables
from resources.tenants import Problem, Rule, Tenant, TenantError
from resources.warehouse import literal, quote

__all__ = ["Explained", "MappedField", "Mapping", "RecordMapping", "compile_mapping"]

_PERIOD: Final = re.compile(r"[0-9]{4}-(0[1-9]|1[0-2])")

#: Columns that every `expected.<record>` table has before its mapped ones.
EXPECTED_CORE: Final[Mapping_[str, str]] = {
    "period": "VARCHAR",
    "external_id": "VARCHAR",
    "source_id": "VARCHAR",
    "number": "VARCHAR",
    "name": "VARCHAR",
    "currency": "VARCHAR",
    "total": "DECIMAL(18,4)",
    "problem": "VARCHAR",
    "problem_code": "VARCHAR",
    "next_step": "VARCHAR",
    "via": "VARCHAR",
}
EXPECTED_LINE_CORE: Final[Mapping_[str, str]] = {
    "period": "VARCHAR",
    "external_id": "VARCHAR",
    "source_id": "VARCHAR",
    "line_no": "INTEGER",
    "problem": "VARCHAR",
    "problem_code": "VARCHAR",
    "next_step": "VARCHAR",
    "via": "VARCHAR",
}


@dataclass(frozen=True)
class RecordMapping:
    """The compiled rules of one record type."""

    record: str
    external_id: ExternalId
    customer_id: ExternalId | None
    rules: tuple[FieldRule, ...]
    line_rules: tuple[FieldRule, ...]

    @property
    def tables(self) -> RecordTables:
        return TABLES[self.record]

    @cached_property
    def fields(self) -> tuple[MappedField, ...]:
        """The mapped header fields, in the order of the tenant's file."""
        return tuple(rule.field for rule in self.rules)

    @cached_property
    def line_fields(self) -> tuple[MappedField, ...]:
        """The mapped fields of the lines, in the order of the tenant's file."""
        return tuple(rule.field for rule in self.line_rules)

    @property
    def number_field(self) -> str | None:
        """The NetSuite field that carries billing's own document number, if one does."""
        for rule in self.rules:
            plain = rule.source is not None and rule.value_map is None and rule.lookup is None
            if plain and rule.source is not None and rule.source.path == "number":
                return rule.field.name
        return None

    def source_id(self, external_id: str) -> str | None:
        """The billing id inside an external id; None when the external id is not of the mapping's form."""
        return self.external_id.source_id(external_id)

    @property
    def columns(self) -> dict[str, str]:
        """Columns and DuckDB types of the expected table of headers."""
        return {**EXPECTED_CORE, **{field.column: field.column_type for field in self.fields}}

    @property
    def line_columns(self) -> dict[str, str]:
        """Columns and DuckDB types of the expected table of lines; empty where the record has none."""
        if self.tables.lines is None:
            return {}
        return {**EXPECTED_LINE_CORE, **{field.column: field.column_type for field in self.line_fields}}

    def create_table_sql(self) -> list[str]:
        """Statements that make the expected tables where they do not exist."""
        made = [(self.tables.name, self.columns)]
        if self.tables.lines is not None:
            made.append((self.tables.lines, self.line_columns))
        return [
            f"CREATE TABLE IF NOT EXISTS expected.{quote(name)} ("
            + ", ".join(f"{quote(column)} {kind}" for column, kind in columns.items())
            + ")"
            for name, columns in made
        ]

    def fill_sql(self, period: str) -> list[str]:
        """Statements that replace the expected slice of a period, to be run in order in one transaction.

        Customers belong to no month: all of billing's customers replace the whole table, and their `period` is NULL.
        """
        if not _PERIOD.fullmatch(period):
            raise ValueError(f"a period is written YYYY-MM, not {period!r}")
        where = f" WHERE period = {literal(period)}"
        statements = []
        if self.tables.lines is not None:
            lines = f"expected.{quote(self.tables.lines)}"
            statements += [f"DELETE FROM {lines}{where}", self._fill_lines(period)]
        whole = "" if self.record == CUSTOMER else where
        return [*statements, f"DELETE FROM expected.{quote(self.tables.name)}{whole}", self._fill(period)]

    def layers(self, *, on_lines: bool) -> Layers:
        """The SQL layers of the headers or of the lines."""
        rules = self.line_rules if on_lines else self.rules
        return Layers(self.record, rules, self.external_id, self.customer_id, on_lines)

    def _fill(self, period: str) -> str:
        layers = self.layers(on_lines=False)
        own = layers.judged(period if self.record != CUSTOMER else None)
        values = layers.values()
        into = f"INSERT INTO expected.{quote(self.tables.name)} ({_names([*EXPECTED_CORE, *values])})"
        core = ["external_id", "source_id", "number", "name", "currency", "total"]
        if self.tables.lines is None:
            return f"{into} {own} SELECT {_list(['NULL', *core, *outcome(layers), *values.values()])} FROM judged"
        # A problem on a line is a problem of its document.
        told = [f"told.{column}" for column in core]
        return (
            f"{into} {own},\n{line_problems(self.record, period)},\n"
            f"told AS NOT MATERIALIZED (SELECT *, {_list(outcome(layers))} FROM judged)\n"
            f"SELECT {_list([literal(period), *told])},"
            " nullif(concat_ws(' ', told.problem, line_problems.problem), ''),"
            " coalesce(told.problem_code, line_problems.problem_code),"
            f" nullif(concat_ws(' ', told.next_step, line_steps.next_step), ''), {_list(['told.via', *values.values()])}"
            " FROM told LEFT JOIN line_problems ON line_problems.external_id = told.external_id"
            " LEFT JOIN line_steps ON line_steps.external_id = told.external_id"
        )

    def _fill_lines(self, period: str) -> str:
        layers = self.layers(on_lines=True)
        values = layers.values()
        core = [literal(period), "external_id", "source_id", "line_no", *outcome(layers), *values.values()]
        return (
            f"INSERT INTO expected.{quote(str(self.tables.lines))} ({_names([*EXPECTED_LINE_CORE, *values])})"
            f" {layers.judged(period)} SELECT {_list(core)} FROM judged"
        )

    def body(
        self,
        header: Mapping_[str, Any],
        lines: Sequence[Mapping_[str, Any]] = (),
        *,
        only: Collection[str] | None = None,
        with_lines: bool = True,
    ) -> dict[str, Any]:
        """The REST body for an expected row and its lines (`netsuite_assets.mapping.body.record_body`)."""
        return record_body(self.fields, self.line_fields, header, lines, only=only, with_lines=with_lines)


@dataclass(frozen=True)
class Mapping:
    """A tenant's compiled mapping. `warnings` are no mistakes, but what a reviewer should see."""

    tenant: str
    hash: str
    records: Mapping_[str, RecordMapping]
    warnings: tuple[Problem, ...]

    @property
    def lists(self) -> frozenset[str]:
        """The NetSuite lists whose rows the mapping needs in `netsuite.reference`."""
        fields = [
            field for record in self.records.values() for field in (*record.fields, *record.line_fields)
        ]
        return frozenset(
            field.list_name for field in fields if field.list_name is not None and field.list_name != CUSTOMER
        )

    def create_table_sql(self, record: str) -> list[str]:
        """See `RecordMapping.create_table_sql`."""
        return self.records[record].create_table_sql()

    def fill_sql(self, record: str, period: str) -> list[str]:
        """See `RecordMapping.fill_sql`."""
        return self.records[record].fill_sql(period)

    def body(
        self,
        record: str,
        header: Mapping_[str, Any],
        lines: Sequence[Mapping_[str, Any]] = (),
        *,
        only: Collection[str] | None = None,
        with_lines: bool = True,
    ) -> dict[str, Any]:
        """See `RecordMapping.body`."""
        return self.records[record].body(header, lines, only=only, with_lines=with_lines)

    def explain(self, con: duckdb.DuckDBPyConnection, record: str, external_id: str) -> list[Explained]:
        """Where each value of one record and of its lines comes from; empty when billing has no such record."""
        return explain_record(con, self.records[record], external_id)


def compile_mapping(tenant: Tenant) -> Mapping:
    """Compile a tenant's rules; raises `TenantError` with every mistake at its place."""
    problems: list[Problem] = []
    warnings: list[Problem] = []
    external_ids = {record: _external_id(tenant, record, problems) for record in tenant.records}
    records: dict[str, RecordMapping] = {}
    for record, rules in tenant.records.items():
        header = _compile(tenant, record, rules.fields, False, problems, warnings)
        lines: tuple[FieldRule, ...] = ()
        if rules.lines and TABLES[record].lines is None:
            place = tenant.key_place("records", record, "lines")
            problems.append(Problem.at(place, f"a {record} has no lines"))
        else:
            lines = _compile(tenant, record, rules.lines, True, problems, warnings)
        external_id = external_ids[record]
        if external_id is not None:
            records[record] = RecordMapping(record, external_id, external_ids.get(CUSTOMER), header, lines)
    problems = problems or list(comparison_problems(tenant, records))
    if problems:
        raise TenantError(problems)
    return Mapping(tenant.name, _hash(tenant), records, tuple(sorted(warnings)))


def _compile(
    tenant: Tenant,
    record: str,
    rules: Mapping_[str, Rule],
    on_lines: bool,
    problems: list[Problem],
    warnings: list[Problem],
) -> tuple[FieldRule, ...]:
    if on_lines and TABLES[record].lines is None:
        return ()
    compiler = RuleCompiler(tenant, Scope(record, on_lines))
    compiled: dict[str, FieldRule] = {}
    failed = False
    for name, rule in rules.items():
        try:
            made = compiler.compile(name, rule, len(compiled))
            if made.field.name in compiled:
                raise RuleError(
                    f"{made.field.name} has a rule already, in {compiled[made.field.name].field.where}"
                )
        except RuleError as error:
            problems.append(compiler.problem(name, error))
            failed = True
            continue
        compiled[made.field.name] = made
        warnings += _warnings(tenant, compiler, name, made)
    needed = REQUIRED_FIELDS.get((record, on_lines))
    if needed is not None and needed not in compiled and not failed:
        place = tenant.key_place(*compiler.path)
        problems.append(Problem.at(place, f"'{needed}' needs a rule: NetSuite has no {record} without it"))
    return tuple(compiled.values())


def _warnings(tenant: Tenant, compiler: RuleCompiler, name: str, rule: FieldRule) -> list[Problem]:
    place = tenant.key_place(*compiler.path, name)
    found = []
    if not rule.field.suiteql:
        message = f"NetSuite's queries do not show {rule.field.name}: it is written, but not compared"
        found.append(Problem.at(place, message))
    for source in rule.sources:
        table = tenant.billing.tables.get(_table_of(compiler.scope, source))
        gathered = table is not None and "metadata" not in table.columns
        if source.pointer is not None and table is not None and gathered:
            key = source.pointer[1:].split("/")[0].replace("~1", "/").replace("~0", "~")
            if key not in table.metadata:
                message = f"{source.path} is always empty: '{key}' is not in the metadata of billing.tables"
                found.append(Problem.at(place, message))
    return found


def _table_of(scope: Scope, source: Source) -> str:
    return next(table for alias, table in scope.tables.values() if alias == source.alias)


def _external_id(tenant: Tenant, record: str, problems: list[Problem]) -> ExternalId | None:
    path = ("records", record, "external_id")
    place = tenant.place(*path)
    text = tenant.records[record].external_id
    try:
        parts = Scope(record, on_line=False).template(text)
        sources = [part for part in parts if isinstance(part, Source)]
        if not sources:
            raise PathError('an external id must differ from record to record: use {id}, as in "inv-{id}"')
        if any(source.alias == "c" for source in sources):
            raise PathError("an external id is made of the record's own values, not of its customer's")
        strange = re.sub(r"[A-Za-z0-9_-]", "", "".join(part for part in parts if isinstance(part, str)))
        if strange:
            raise PathError(f"an external id holds letters, digits, '-' and '_' only, not '{strange[0]}'")
    except PathError as error:
        problems.append(Problem.at(place, str(error)))
        return None
    return ExternalId(parts, f"{place.file}:{place.line}")


def _hash(tenant: Tenant) -> str:
    """SHA-256 of all that decides what is expected: the rules, and the time zone."""
    effective = tenant.effective
    text = json.dumps(
        [effective["timezone"], effective["records"]], ensure_ascii=False, separators=(",", ":")
    )
    return hashlib.sha256(text.encode()).hexdigest()


def _names(columns: Sequence[str]) -> str:
    return ", ".join(quote(column) for column in columns)


def _list(parts: Sequence[str]) -> str:
    return ", ".join(parts)
