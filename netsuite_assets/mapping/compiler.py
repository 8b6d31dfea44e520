"""A tenant's rules, compiled: expected tables, the statements that fill them, and the bodies to send.

Here: `compile_mapping` and what it gives. Nothing here imports Dagster or opens a connection of its own.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Collection, Iterable, Sequence
from collections.abc import Mapping as Mapping_
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Final

import duckdb

from netsuite_assets.mapping.body import record_body
from netsuite_assets.mapping.comparisons import comparison_problems
from netsuite_assets.mapping.explain import Explained, explain_record
from netsuite_assets.mapping.model import Condition, ExternalId, MappedField, Part, Way
from netsuite_assets.mapping.outcome import balances, line_problems, outcome, unclaimed
from netsuite_assets.mapping.parts import Problems, RecordParts, compile_record, own_records
from netsuite_assets.mapping.rows import AMOUNT, NUMBER, Rows
from netsuite_assets.mapping.sql import Layers
from netsuite_assets.tables import COMPARED, TABLES, WRITTEN, RecordTables
from resources.tenants import Problem, Tenant, TenantError
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
    "warning": "VARCHAR",
    "via": "VARCHAR",
}
#: `line_rule` is the name of the rule that made the line, where there are several.
EXPECTED_LINE_CORE: Final[Mapping_[str, str]] = {
    "period": "VARCHAR",
    "external_id": "VARCHAR",
    "source_id": "VARCHAR",
    "line_no": "INTEGER",
    "line_rule": "VARCHAR",
    "problem": "VARCHAR",
    "problem_code": "VARCHAR",
    "next_step": "VARCHAR",
    "warning": "VARCHAR",
    "via": "VARCHAR",
}
#: What a tenant's conditions leave out: a billing document, or (`line`, its id) a line of one; `reason` is the condition.
LEFT_OUT: Final[Mapping_[str, str]] = {
    "period": "VARCHAR",
    "record": "VARCHAR",
    "source_id": "VARCHAR",
    "line": "VARCHAR",
    "number": "VARCHAR",
    "amount": "DECIMAL(18,4)",
    "currency": "VARCHAR",
    "reason": "VARCHAR",
}

_LAST: Final = 2_000_000_000
"""The number of lines that have none of billing's, until all are numbered."""


@dataclass(frozen=True)
class RecordMapping:
    """The compiled rules of one record type."""

    record: str
    parts: RecordParts

    @property
    def tables(self) -> RecordTables:
        return self.parts.plan.tables

    @property
    def external_id(self) -> ExternalId:
        return self.parts.plan.external_id

    @property
    def is_monthly(self) -> bool:
        """Whether the records belong to months."""
        return self.parts.plan.is_monthly

    @cached_property
    def fields(self) -> tuple[MappedField, ...]:
        """The mapped header fields, in the order of the tenant's file."""
        return tuple(rule.field for rule in self.parts.header.rules)

    @cached_property
    def line_fields(self) -> tuple[MappedField, ...]:
        """The mapped fields of the lines, in the order of the tenant's file."""
        found: dict[str, MappedField] = {}
        for part in self.parts.lines:
            for rule in part.rules:
                found.setdefault(rule.field.name, rule.field)
        return tuple(found.values())

    @cached_property
    def rules(self) -> tuple[Way, ...]:
        """Every way to a value of the header's fields."""
        return _ways(self.parts.header)

    @cached_property
    def line_rules(self) -> tuple[Way, ...]:
        """Every way to a value of the lines' fields."""
        return tuple(way for part in self.parts.lines for way in _ways(part))

    @property
    def number_field(self) -> str | None:
        """The NetSuite field that carries billing's own document number, if one does."""
        for rule in self.parts.header.rules:
            if not rule.is_plain:
                continue
            (way,) = rule.ways
            if way.source is not None and way.source.path == "number" and way.value_map is None and way.lookup is None:  # fmt: skip
                return rule.field.name
        return None

    def source_id(self, external_id: str) -> str | None:
        """The billing id inside an external id; None when the external id is not of the mapping's form."""
        if self.parts.header.shape.grouping is not None:
            return None
        return self.external_id.source_id(external_id)

    # Tables

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

    @property
    def leaves_out(self) -> bool:
        """Whether records or lines may be left out, which are then in `expected.left_out`."""
        return self.parts.when is not None or self.parts.lines_when is not None or self._sums_lines

    def create_table_sql(self) -> list[str]:
        """Statements that make the expected tables where they do not exist."""
        made: list[tuple[str, Mapping_[str, str]]] = [(self.tables.name, self.columns)]
        if self.tables.lines is not None:
            made.append((self.tables.lines, self.line_columns))
        if self.leaves_out:
            made.append(("left_out", LEFT_OUT))
        return [
            f"CREATE TABLE IF NOT EXISTS expected.{quote(name)} ("
            + ", ".join(f"{quote(column)} {kind}" for column, kind in columns.items())
            + ")"
            for name, columns in made
        ]

    # Statements

    def fill_sql(self, period: str) -> list[str]:
        """Statements that replace the expected slice of a period, to be run in order in one transaction.

        Customers belong to no month: all of billing's customers replace the whole table, and their `period` is NULL.
        """
        if not _PERIOD.fullmatch(period):
            raise ValueError(f"a period is written YYYY-MM, not {period!r}")
        slice_ = f" WHERE period = {literal(period)}" if self.is_monthly else ""
        statements = []
        if self.leaves_out:
            of_record = f"record = {literal(self.record)}" + slice_.replace("WHERE", "AND")
            statements += [f"DELETE FROM expected.left_out WHERE {of_record}", *self._fill_left_out(period)]
        if self.tables.lines is not None:
            statements.append(f"DELETE FROM expected.{quote(self.tables.lines)}{slice_}")
            statements += [self._fill_lines(part, period) for part in self.parts.lines if part.each != "rest"]
            if self.parts.unclaimed is not None:
                statements.append(self._fill_unclaimed(self.parts.unclaimed, period))
            statements += [self._fill_lines(part, period) for part in self.parts.lines if part.each == "rest"]
            if self._is_numbered:
                statements.append(self._number_lines(period))
        statements += [f"DELETE FROM expected.{quote(self.tables.name)}{slice_}", self._fill(period)]
        return [*statements, *self._drop_empty(period)] if self._sums_lines else statements

    def count_sql(self, period: str, *, lines: bool) -> str:
        """A query for how many rows the slice must have: billing's rows as conditions, groups and line rules take them."""
        parts = self._all_lines if lines else (self.parts.header,)
        where = f" AS made WHERE {self._has_lines('made', period)}" if self._sums_lines and not lines else ""
        counts = [
            f"(SELECT count(*) FROM ({self.layers(part).rows(self._period(period))}){where})"
            for part in parts
        ]
        return f"SELECT {' + '.join(counts) or '0'}"

    def layers(self, part: Part) -> Layers:
        """The SQL layers of a part."""
        return Layers(self.parts.plan, part, self._rest(part) if part.each == "rest" else None)

    @property
    def _sums_lines(self) -> bool:
        """Whether the records are sums that may come to nothing: one without lines is not expected."""
        return self.parts.header.shape.grouping is not None and bool(self.parts.lines)

    def _has_lines(self, alias: str, period: str) -> str:
        lines = f"expected.{quote(str(self.tables.lines))}"
        return (
            f"({alias}.external_id IS NULL OR {alias}.external_id IN"
            f" (SELECT external_id FROM {lines} WHERE period = {literal(period)}))"
        )

    def _drop_empty(self, period: str) -> Iterable[str]:
        """Leave out the sums of which no line is left."""
        table = f"expected.{quote(self.tables.name)}"
        empty = f"period = {literal(period)} AND NOT {self._has_lines('sums', period)}"
        reason = literal(f"no line is left to be booked ({self.parts.header.where})")
        yield (
            f"INSERT INTO expected.left_out ({_names(LEFT_OUT)}) SELECT period, {literal(self.record)}, source_id,"
            f" NULL, number, NULL, currency, {reason} FROM {table} AS sums WHERE {empty}"
        )
        yield f"DELETE FROM {table} AS sums WHERE {empty}"

    @property
    def _all_lines(self) -> tuple[Part, ...]:
        unclaimed = self.parts.unclaimed
        return (*self.parts.lines, *(() if unclaimed is None else (unclaimed,)))

    @property
    def one_line_each(self) -> bool:
        """Whether each billing line is one line, and no line is anything else."""
        (part, *others) = self.parts.lines or (None,)
        return part is not None and not others and not part.name and self.parts.header.shape.grouping is None

    @property
    def _is_numbered(self) -> bool:
        """Whether the lines' numbers are not simply billing's."""
        return not self.one_line_each and bool(self.parts.lines)

    def _period(self, period: str) -> str | None:
        return period if self.is_monthly else None

    def _fill(self, period: str) -> str:
        layers = self.layers(self.parts.header)
        own = layers.judged(self._period(period))
        values = layers.values()
        into = f"INSERT INTO expected.{quote(self.tables.name)} ({_names([*EXPECTED_CORE, *values])})"
        core = ["external_id", "source_id", "number", "name", "currency", "total"]
        of_period = literal(period) if self.is_monthly else "NULL"
        if self.tables.lines is None:
            return f"{into} {own} SELECT {_list([of_period, *core, *outcome(layers), *values.values()])} FROM judged"
        # A problem on a line is a problem of its document.
        told = [f"told.{column}" for column in core]
        relations, joins, also = [line_problems(self.tables.lines, period)], "", _Also()
        if self.record == "journalEntry":
            relations.append(balances(self.tables.lines, period))
            joins = " LEFT JOIN balances ON balances.external_id = told.external_id"
            told[-1] = "balances.debit::DECIMAL(18,4)"
            also = _unbalanced(layers)
        return (
            f"{into} {own},\n" + ",\n".join(relations) + ",\n"
            f"told AS NOT MATERIALIZED (SELECT *, {_list(outcome(layers))} FROM judged)\n"
            f"SELECT {_list([of_period, *told])},"
            f" nullif(concat_ws(' ', told.problem, line_problems.problem{also.sentence}), ''),"
            f" coalesce(told.problem_code, line_problems.problem_code{also.code}),"
            f" nullif(concat_ws(' ', told.next_step, line_steps.next_step{also.next_step}), ''),"
            f" {_list(['told.warning', 'told.via', *values.values()])}"
            " FROM told LEFT JOIN line_problems ON line_problems.external_id = told.external_id"
            f" LEFT JOIN line_steps ON line_steps.external_id = told.external_id{joins}"
        )

    def _fill_lines(self, part: Part, period: str) -> str:
        layers = self.layers(part)
        values = layers.values()
        line_no = f"coalesce(line_no, {_LAST})" if self._is_numbered else "line_no"
        rule = literal(part.name) if part.name else "NULL"
        core = [
            literal(period),
            "external_id",
            "source_id",
            line_no,
            rule,
            *outcome(layers),
            *values.values(),
        ]
        return (
            f"INSERT INTO expected.{quote(str(self.tables.lines))} ({_names([*EXPECTED_LINE_CORE, *values])})"
            f" {layers.judged(period)} SELECT {_list(core)} FROM judged"
        )

    def _fill_unclaimed(self, part: Part, period: str) -> str:
        layers = self.layers(part)
        core = [
            literal(period),
            "external_id",
            "source_id",
            "line_no",
            "NULL",
            *unclaimed(layers, part.where),
        ]
        return (
            f"INSERT INTO expected.{quote(str(self.tables.lines))} ({_names(EXPECTED_LINE_CORE)})"
            f" {layers.judged(period)} SELECT {_list(core)} FROM judged"
        )

    def _rest(self, part: Part) -> str:
        """The relation (external_id, taken) of what the other lines take of each document's total."""
        columns = {field.name for field in self.line_fields}
        taken = "amount" if "amount" in columns else "coalesce(debit, 0) - coalesce(credit, 0)"
        return (
            f"(SELECT external_id, sum({taken}) AS taken FROM expected.{quote(str(self.tables.lines))}"
            f" WHERE line_rule IS DISTINCT FROM {literal(part.name)} GROUP BY external_id)"
        )

    def _number_lines(self, period: str) -> str:
        """Lines are numbered in billing's order; those of one billing line, and those of none, in the order of the file."""
        table = f"expected.{quote(str(self.tables.lines))}"
        of_rule = " ".join(
            f"WHEN {literal(part.name)} THEN {position}" for position, part in enumerate(self.parts.lines)
        )
        return f"""UPDATE {table} AS lines SET line_no = numbered.line_no
            FROM (SELECT rowid AS row_id, row_number() OVER (PARTITION BY external_id
                    ORDER BY line_no, CASE line_rule {of_rule} END, source_id)::INTEGER AS line_no
                FROM {table} WHERE period = {literal(period)}) AS numbered
            WHERE lines.rowid = numbered.row_id AND lines.line_no <> numbered.line_no"""

    def _fill_left_out(self, period: str) -> Iterable[str]:
        if self.parts.when is not None:
            shape = replace(self.parts.header.shape, expecting=(), grouping=None)
            is_line = self.parts.header.shape.grouping is not None and shape.document is not None
            yield self._left_out(Rows(shape), self.parts.when, period, is_line=is_line, of_record=True)
        if self.parts.lines_when is not None and self.parts.line_rows is not None:
            rows = Rows(self.parts.line_rows)
            yield self._left_out(rows, self.parts.lines_when, period, is_line=True, of_record=False)

    def _left_out(
        self, rows: Rows, condition: Condition, period: str, *, is_line: bool, of_record: bool
    ) -> str:
        of_period = literal(period) if self.is_monthly else "NULL::VARCHAR"
        reason = f"expected only when {condition.described} ({condition.where})"
        document, line = ("d.id", rows.row_id()) if is_line else (rows.row_id(), "NULL::VARCHAR")
        amount = (
            "l.amount" if is_line and self.tables.billing_lines != "journal_lines" else rows.document(*AMOUNT)
        )
        selected = [
            of_period, literal(self.record), document, line, str(rows.document(*NUMBER)),
            amount or "NULL::DECIMAL(18,4)", rows.document("currency") or "NULL::VARCHAR", literal(reason),
        ]  # fmt: skip
        from_ = rows.left_out(self._period(period), condition, of_record=of_record)
        return f"INSERT INTO expected.left_out ({_names(LEFT_OUT)}) SELECT {_list(selected)} FROM {from_}"

    # Bodies and explanations

    def body(
        self,
        header: Mapping_[str, Any],
        lines: Sequence[Mapping_[str, Any]] = (),
        *,
        only: Collection[str] | None = None,
        with_lines: bool = True,
    ) -> dict[str, Any]:
        """The REST body for an expected row and its lines (`netsuite_assets.mapping.body.record_body`)."""
        return record_body(
            self.fields,
            self.line_fields,
            header,
            lines,
            sublist=self.tables.sublist or "",
            only=only,
            with_lines=with_lines,
        )


@dataclass(frozen=True)
class Mapping:
    """A tenant's compiled mapping. `warnings` are no mistakes, but what a reviewer should see.

    `records` are all record types that the tenant maps; `compared` those that the reconciliation takes further, and
    `written` those of them that the write-back does (`netsuite_assets.tables`).
    """

    tenant: str
    hash: str
    records: Mapping_[str, RecordMapping]
    warnings: tuple[Problem, ...]

    @property
    def compared(self) -> Mapping_[str, RecordMapping]:
        """The record types that are extracted and compared."""
        return {record: rules for record, rules in self.records.items() if record in COMPARED}

    @property
    def written(self) -> Mapping_[str, RecordMapping]:
        """The record types that the write-back plans and writes."""
        return {record: rules for record, rules in self.records.items() if record in WRITTEN}

    @property
    def lists(self) -> frozenset[str]:
        """The NetSuite lists whose rows the mapping needs in `netsuite.reference`."""
        fields = [
            field for record in self.records.values() for field in (*record.fields, *record.line_fields)
        ]
        return frozenset(
            field.list_name for field in fields if field.list_name is not None and not field.by_external_id
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
        """Where each value of one record comes from, over all landed periods; empty when billing does not have it."""
        return explain_record(con, self.records[record], external_id)


def compile_mapping(tenant: Tenant) -> Mapping:
    """Compile a tenant's rules; raises `TenantError` with every mistake at its place."""
    problems = Problems()
    own = own_records(tenant, problems)
    records: dict[str, RecordMapping] = {}
    for record in tenant.records:
        parts = compile_record(tenant, record, own, problems)
        if parts is not None:
            records[record] = RecordMapping(record, parts)
    mistakes = problems.mistakes or list(comparison_problems(tenant, records))
    if mistakes:
        raise TenantError(mistakes)
    order = {record: position for position, record in enumerate(TABLES)}
    in_order = sorted(records, key=lambda record: order.get(record, len(order)))
    return Mapping(
        tenant.name,
        _hash(tenant),
        {record: records[record] for record in in_order},
        tuple(sorted(set(problems.warnings))),
    )


@dataclass(frozen=True)
class _Also:
    """SQL, to follow in a list, of a problem that a whole document has because of its lines."""

    sentence: str = ""
    code: str = ""
    next_step: str = ""


def _unbalanced(layers: Layers) -> _Also:
    """A journal entry whose debits are not its credits (NetSuite REST facts: journalEntry)."""
    label = layers.plan.tables.label.capitalize()
    amount = "rtrim(rtrim(balances.{}::VARCHAR, '0'), '.')"
    sentence = (
        f"concat({literal(f'{label} ')}, told.number, ': it debits ', {amount.format('debit')}, ' and credits ',"
        f" {amount.format('credit')}, '; NetSuite takes it only when they are the same.')"
    )
    step = literal(
        f"Correct the line rules at {layers.part.where}, or add one with 'each: rest' for what is left by rounding."
    )
    none = (
        f"concat({literal(f'{label} ')}, told.number, ': it has no lines, so that there is nothing to book.')"
    )
    why = literal(f"See what the line rules at {layers.part.where} leave.")
    empty = "balances.external_id IS NULL"
    unequal = "balances.debit <> balances.credit"
    return _Also(
        f", CASE WHEN {empty} THEN {none} WHEN {unequal} THEN {sentence} END",
        f", CASE WHEN {empty} OR {unequal} THEN 'invalid_value' END",
        f", CASE WHEN {empty} THEN {why} WHEN {unequal} THEN {step} END",
    )


def _ways(part: Part) -> tuple[Way, ...]:
    return tuple(way for rule in part.rules for way in rule.ways)


def _hash(tenant: Tenant) -> str:
    """SHA-256 of all that decides what is expected: the rules, the time zone, and the currencies' decimal places."""
    effective = tenant.effective
    decides = [effective["timezone"], effective["records"]]
    if tenant.currency_precision:
        decides.append(effective["currency_precision"])
    text = json.dumps(decides, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _names(columns: Iterable[str]) -> str:
    return ", ".join(quote(column) for column in columns)


def _list(parts: Sequence[str]) -> str:
    return ", ".join(parts)
