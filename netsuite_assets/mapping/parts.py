"""Which rows a record and its lines are made of: conditions, sums, line rules, and what differs by legal entity.

Here: a record's rules as a tenant writes them, turned into parts of expected tables, each mistake with its place. Not
here: the rule of one field (`rules.py`), or SQL.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from itertools import count
from typing import Final, Literal

from netsuite_assets.mapping.conditions import ConditionError, When, condition_of
from netsuite_assets.mapping.model import (
    Condition,
    ExternalId,
    FieldRule,
    Grouping,
    OwnRecord,
    Part,
    RowShape,
    Share,
    Source,
    joined_rule,
)
from netsuite_assets.mapping.paths import MONTH, PathError, Scope, is_number
from netsuite_assets.mapping.rules import REQUIRED_FIELDS, Path, PlacedErrors, PlacedRule, RuleCompiler
from netsuite_assets.mapping.sql import RecordPlan
from netsuite_assets.tables import TABLES, RecordTables, record_tables
from resources.billing.canonical import TABLES as BILLING
from resources.tenants import Group, LineRule, Problem, RecordRules, Rule, Tenant, shown

#: Record types that may be made of another billing table than usual, and of sums of its rows.
_FREE: Final = ("journalEntry",)
#: The subsidiary's rule is numbered apart, for it also stands among the rules of lines.
_APART: Final = 100_000


@dataclass(frozen=True)
class RecordParts:
    """A record type, compiled: what its statements share, its headers, the kinds of its lines, and what is left out.

    `unclaimed` are the lines that no line rule takes, where each takes some only. `lines_when` is the condition by
    which lines are left out, of those that `line_rows` are.
    """

    plan: RecordPlan
    header: Part
    lines: tuple[Part, ...]
    unclaimed: Part | None
    when: Condition | None
    lines_when: Condition | None
    line_rows: RowShape | None


@dataclass
class Problems:
    """The mistakes and warnings of a tenant's mapping, as they are found."""

    mistakes: list[Problem] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)


def own_records(tenant: Tenant, problems: Problems) -> dict[str, OwnRecord | None]:
    """The record types that the mapping itself makes; None where they are not of one billing row each."""
    found: dict[str, OwnRecord | None] = {}
    for record, rules in tenant.records.items():
        tables = _tables(record, rules)
        if tables is None or rules.group is not None or BILLING[tables.billing].parent is not None:
            found[record] = None
            continue
        # What is wrong here is told when the record itself is compiled.
        quiet = _Compiler(tenant, record, rules, tables, {}, Problems())
        external_id = quiet.external_id(Scope(record, RowShape(tables.billing, None)), None)
        condition = quiet.condition(rules.when, Scope(record, RowShape(tables.billing, None)), "when")
        found[record] = (
            None if external_id is None else OwnRecord(record, tables.billing, external_id, condition)
        )
    return found


def compile_record(
    tenant: Tenant, record: str, own: Mapping[str, OwnRecord | None], problems: Problems
) -> RecordParts | None:
    """The parts of one record type; None, and told in `problems`, where it cannot be compiled."""
    rules = tenant.records[record]
    tables = _tables(record, rules)
    at = ("records", record)
    if tables is None:
        message = f"say what a {record} is made of: 'from' names the billing table"
        problems.mistakes.append(Problem.at(tenant.key_place(*at), message))
        return None
    usual = TABLES.get(record)
    if usual is not None and record not in _FREE:
        if tables.billing != usual.billing:
            message = f"a {tables.label} is made of {usual.billing}; leave 'from' out"
            problems.mistakes.append(Problem.at(tenant.place(*at, "from"), message))
        if rules.group is not None:
            message = (
                f"a {tables.label} is one billing document; 'group' is for journal entries and custom records"
            )
            problems.mistakes.append(Problem.at(tenant.key_place(*at, "group"), message))
        if tables.billing != usual.billing or rules.group is not None:
            return None
    made = {*tenant.billing.tables, *(("journals",) if tenant.settings.accruals else ())}
    if tables.billing not in made and record not in ("invoice", "creditMemo", "customer"):
        message = f"billing.tables has no {tables.billing}, so that no {tables.label} is ever expected"
        problems.warnings.append(Problem.at(tenant.key_place(*at), message))
    return _Compiler(tenant, record, rules, tables, own, problems).parts()


def _tables(record: str, rules: RecordRules) -> RecordTables | None:
    if record not in TABLES and rules.source is None:
        return None
    return record_tables(record, rules.source)


@dataclass
class _Compiler:
    """Compiles one record type of a tenant."""

    tenant: Tenant
    record: str
    rules: RecordRules
    tables: RecordTables
    own: Mapping[str, OwnRecord | None]
    problems: Problems

    @property
    def path(self) -> tuple[str, str]:
        return ("records", self.record)

    def mistake(self, message: str, *steps: str | int, key: bool = False) -> None:
        """Tell a mistake at the value, or at the key, that `steps` below the record lead to."""
        place = self.tenant.key_place if key else self.tenant.place
        self.problems.mistakes.append(Problem.at(place(*self.path, *steps), message))

    def where(self, *steps: str | int) -> str:
        place = self.tenant.key_place(*self.path, *steps)
        return f"{place.file}:{place.line}"

    # The record

    def parts(self) -> RecordParts | None:
        told = len(self.problems.mistakes)
        rows = RowShape(self.tables.billing, BILLING[self.tables.billing].parent)
        plain = Scope(self.record, rows)
        when = self.condition(self.rules.when, plain, "when")
        rows = replace(rows, expecting=() if when is None else (when,))
        grouping = None
        if self.rules.group is not None:
            grouping = self.grouping(self.rules.group, plain, ("group",), in_document=False)
        header = Scope(self.record, replace(rows, grouping=grouping))
        external_id = self.external_id(header, grouping)
        entity = self.entity(header)
        currency = self.currency(plain, grouping)
        if self.rules.by_subsidiary and entity is None:
            return None
        compiled = self.fields(header, currency, None, self.header_rules())
        plan = RecordPlan(
            record=self.record,
            tables=self.tables,
            external_id=external_id or ExternalId(("",), self.where("external_id")),
            own={name: one for name, one in self.own.items() if one is not None},
            entity=entity,
            currency=currency,
            subsidiary=_apart(next((one for one in compiled if one.field.name == "subsidiary"), None)),
            precision=self.tenant.currency_precision,
        )
        lines_when = None
        if self.rules.lines_when is not None and self.rules.group is not None:
            self.mistake("'when' says which rows are summed; leave 'lines_when' out", "lines_when", key=True)
        elif self.rules.lines_when is not None and self.tables.sublist is not None:
            scope = self.line_scope(rows, None)
            if scope is None:
                self.mistake(f"{self.tables.billing} have no lines to leave out", "lines_when", key=True)
            else:
                lines_when = self.condition(self.rules.lines_when, scope, "lines_when")
        lines, unclaimed = self.all_lines(rows, header, currency, lines_when)
        if len(self.problems.mistakes) > told or external_id is None:
            return None
        part = Part("", header.shape, compiled, "record", self.where())
        billing_lines = self.line_scope(rows, None)
        line_rows = None if billing_lines is None else billing_lines.shape
        return RecordParts(plan, part, lines, unclaimed, when, lines_when, line_rows)

    def condition(self, when: When | None, scope: Scope, *steps: str | int) -> Condition | None:
        if when is None:
            return None
        place = self.tenant.place(*self.path, *steps)
        try:
            return condition_of(when, scope.source, f"{place.file}:{place.line}")
        except ConditionError as error:
            self.mistake(str(error), *steps, *error.steps, key=error.at_key)
            return None

    def external_id(self, scope: Scope, grouping: Grouping | None) -> ExternalId | None:
        place = self.tenant.place(*self.path, "external_id")
        try:
            parts = scope.template(self.rules.external_id)
            sources = [part for part in parts if isinstance(part, Source)]
            if not sources:
                raise PathError(
                    'an external id must differ from record to record: use {id}, as in "inv-{id}"'
                )
            if any(source.alias == "c" for source in sources):
                raise PathError("an external id is made of the record's own values, not of its customer's")
            if grouping is not None and not any(source.column in MONTH for source in sources):
                raise PathError(
                    "an external id must differ from month to month: use {period}, and what 'group.by' names"
                )
            strange = re.sub(r"[A-Za-z0-9_-]", "", "".join(part for part in parts if isinstance(part, str)))
            if strange:
                raise PathError(f"an external id holds letters, digits, '-' and '_' only, not '{strange[0]}'")
        except PathError as error:
            self.problems.mistakes.append(Problem.at(place, str(error)))
            return None
        return ExternalId(parts, f"{place.file}:{place.line}")

    def entity(self, scope: Scope) -> Source | None:
        """Where the record's legal entity stands, if rules differ by it."""
        if not self.rules.by_subsidiary:
            return None
        names = BILLING[scope.shape.document or scope.shape.table].schema.names
        usual = "document.legal_entity" if "legal_entity" in names else "customer.legal_entity"
        if "document" not in scope.tables:
            usual = "legal_entity"
        try:
            return scope.source(self.rules.legal_entity or usual)
        except PathError as error:
            key = "legal_entity" if self.rules.legal_entity is not None else "by_subsidiary"
            said = "" if key == "legal_entity" else "; say in 'legal_entity' where the legal entity stands"
            self.mistake(f"{error}{said}", key, key=key != "legal_entity")
            return None

    def currency(self, plain: Scope, grouping: Grouping | None) -> Source | None:
        """The document's currency; of sums, the one that they are by."""
        if grouping is not None:
            return next((source for source in grouping.by if source.column == "currency"), None)
        names = BILLING[plain.shape.document or plain.shape.table].schema.names
        return Source("currency", "d", "currency", "text") if "currency" in names else None

    def grouping(
        self, group: Group, plain: Scope, steps: Path, *, in_document: bool, by: Sequence[Source] = ()
    ) -> Grouping | None:
        """The checked grouping; None, and told, where it means nothing."""
        if plain.shape.table == "customers":
            self.mistake("customers belong to no month; they are not summed", *steps, key=True)
            return None
        keys = list(by)
        made: dict[tuple[str, str, str | None], Literal["sum", "min", "max", "first"]] = {}
        for how in ("by", "sum", "min", "max", "first"):
            for index, path in enumerate(getattr(group, how)):
                try:
                    source = plain.plain_source(path)
                except PathError as error:
                    self.mistake(str(error), *steps, how, index)
                    return None
                if how == "by":
                    if source.key not in {key.key for key in keys}:
                        keys.append(source)
                    continue
                if source.key in made or source.key in {key.key for key in keys}:
                    self.mistake(f"'{shown(path)}' is named twice in this group", *steps, how, index)
                    return None
                if how == "sum" and not (is_number(source) or source.kind == "json"):
                    self.mistake(f"'{shown(path)}' is {source.kind}; only numbers are summed", *steps, how, index)  # fmt: skip
                    return None
                if how in ("min", "max") and source.kind == "json":
                    self.mistake(f"'{shown(path)}' is text, whose order says nothing", *steps, how, index)
                    return None
                made[source.key] = how  # type: ignore[assignment]
        found = Grouping(tuple(keys), made, in_document)
        if group.when is None:
            return found
        scope = Scope(plain.record, replace(plain.shape, grouping=found))
        return replace(found, having=self.condition(group.when, scope, *steps, "when"))

    # Fields

    def header_rules(self) -> dict[str, dict[str | None, PlacedRule]]:
        """By field and legal entity: the header's rules."""
        return self._by_entity(self.rules.fields, ("fields",), "fields")

    def _by_entity(
        self, rules: Mapping[str, Rule], steps: Path, kind: Literal["fields", "lines"]
    ) -> dict[str, dict[str | None, PlacedRule]]:
        own = {name: PlacedRule(rule, ((*self.path, *steps, name),)) for name, rule in rules.items()}
        found: dict[str, dict[str | None, PlacedRule]] = {name: {None: one} for name, one in own.items()}
        by_name = {name.lower(): name for name in own}
        for entity, differing in self.rules.by_subsidiary.items():
            for name, rule in getattr(differing, kind).items():
                base = own.get(by_name.get(name.lower(), name))
                path = (*self.path, "by_subsidiary", entity, kind, name)
                placed = PlacedRule(
                    joined_rule(None if base is None else base.rule, rule),
                    (path, *(base.paths if base is not None else ())),
                )
                found.setdefault(by_name.get(name.lower(), name), {})[entity] = placed
        return found

    def fields(
        self,
        scope: Scope,
        currency: Source | None,
        sublist: str | None,
        rules: Mapping[str, Mapping[str | None, PlacedRule]],
        needed_at: Path = ("fields",),
    ) -> tuple[FieldRule, ...]:
        """The compiled rules, in the order of the file; what is wrong with them is told."""
        can_be_looked_up = {record: one is not None for record, one in self.own.items()}
        compiler = RuleCompiler(self.tenant, scope, sublist, currency, can_be_looked_up, count())
        compiled: dict[str, FieldRule] = {}
        failed = False
        for name, by_entity in rules.items():
            try:
                made = compiler.compile(name, by_entity, len(compiled))
            except PlacedErrors as error:
                self.problems.mistakes += error.problems
                failed = True
                continue
            placed = next(iter(by_entity.values()))
            if made.field.name in compiled:
                where = compiled[made.field.name].field.where
                message = f"{made.field.name} has a rule already, in {where}"
                self.problems.mistakes.append(Problem.at(compiler.place(placed), message))
                failed = True
                continue
            compiled[made.field.name] = made
            self.warn(compiler, placed, made)
        needed = REQUIRED_FIELDS.get((self.record, sublist is not None))
        if needed is not None and needed not in compiled and not failed:
            label = f"{self.record} line" if sublist is not None and needed_at != ("lines",) else self.record
            message = f"'{needed}' needs a rule: NetSuite has no {label} without it"
            self.problems.mistakes.append(Problem.at(self.tenant.key_place(*self.path, *needed_at), message))
        return tuple(compiled.values())

    def warn(self, compiler: RuleCompiler, placed: PlacedRule, rule: FieldRule) -> None:
        """What is no mistake, but what a reviewer should see."""
        place = compiler.place(placed)
        if not rule.field.suiteql:
            message = f"NetSuite's queries do not show {rule.field.name}: it is written, but not compared"
            self.problems.warnings.append(Problem.at(place, message))
        tables = dict(compiler.scope.tables.values())
        for source in rule.sources:
            table = self.tenant.billing.tables.get(tables.get(source.alias, ""))
            if source.pointer is None or table is None or "metadata" in table.columns:
                continue
            key = source.pointer[1:].split("/")[0].replace("~1", "/").replace("~0", "~")
            if key not in table.metadata:
                message = f"{source.path} is always empty: '{key}' is not in the metadata of billing.tables"
                self.problems.warnings.append(Problem.at(place, message))

    # Lines

    def line_scope(self, rows: RowShape, lines_when: Condition | None) -> Scope | None:
        """The scope of billing lines; None, and told, where the record has none."""
        if self.rules.group is not None:
            return Scope(self.record, rows)
        if self.tables.billing_lines is None:
            return None
        conditions = () if lines_when is None else (lines_when,)
        shape = RowShape(self.tables.billing_lines, self.tables.billing, rows.expecting, conditions)
        return Scope(self.record, shape)

    def all_lines(
        self, rows: RowShape, header: Scope, currency: Source | None, lines_when: Condition | None
    ) -> tuple[tuple[Part, ...], Part | None]:
        rules = self.rules
        given = rules.lines or rules.line_rules or rules.lines_when is not None
        if self.tables.sublist is None:
            if given:
                key = next(k for k, v in (("lines", rules.lines), ("line_rules", rules.line_rules), ("lines_when", rules.lines_when)) if v)  # fmt: skip
                self.mistake(f"a {self.tables.label} has no lines", key, key=True)
            return (), None
        scope = self.line_scope(rows, lines_when)
        if rules.line_rules:
            return self.ruled_lines(scope, header, currency)
        if not rules.lines and not given and (self.record, True) in REQUIRED_FIELDS and self.record == "customerPayment":  # fmt: skip
            return (), None  # A payment need not be applied.
        if scope is None:
            self.mistake(f"{self.tables.billing} have no lines; say in 'line_rules' which there are", "lines", key=True)  # fmt: skip
            return (), None
        compiled = self.fields(scope, currency, self.tables.sublist, self.line_fields({}, ()), ("lines",))
        self.check_sides(compiled, "lines")
        return (Part("", scope.shape, compiled, "line", self.where("lines")),), None

    def line_fields(self, over: Mapping[str, Rule], steps: Path) -> dict[str, dict[str | None, PlacedRule]]:
        """By field and legal entity: the rules of billing lines, with those of a line rule laid over them."""
        found = self._by_entity(self.rules.lines, ("lines",), "lines")
        return self.laid_over(found, over, steps)

    def laid_over(
        self,
        found: dict[str, dict[str | None, PlacedRule]],
        over: Mapping[str, Rule],
        steps: Path,
    ) -> dict[str, dict[str | None, PlacedRule]]:
        by_name = {name.lower(): name for name in found}
        for name, rule in over.items():
            known = by_name.get(name.lower(), name)
            base = found.get(known, {}).get(None)
            path = (*self.path, *steps, name)
            paths = (path, *(base.paths if base is not None else ()))
            found[known] = {None: PlacedRule(joined_rule(None if base is None else base.rule, rule), paths)}
        return found

    def ruled_lines(
        self, scope: Scope | None, header: Scope, currency: Source | None
    ) -> tuple[tuple[Part, ...], Part | None]:
        parts: list[Part] = []
        claims: list[Condition | None] = []
        for name, rule in self.rules.line_rules.items():
            steps = ("line_rules", name)
            if rule.each == "line":
                if scope is None:
                    self.mistake(f"{self.tables.billing} have no lines to take; use 'each: document'", *steps, key=True)  # fmt: skip
                    continue
                condition = self.condition(rule.when, scope, *steps, "when")
                claims.append(condition)
                parts += self.of_lines(name, rule, scope, condition, currency)
            else:
                parts += self.of_document(name, rule, header, currency)
        if sum(part.each == "rest" for part in parts) > 1:
            self.mistake("only one line rule can have what the others leave ('each: rest')", "line_rules", key=True)  # fmt: skip
        names = {one.field.name for part in parts for one in part.rules}
        has_rest = any(part.each == "rest" for part in parts)
        if has_rest and self.record != "journalEntry" and "amount" not in names:
            self.mistake("'each: rest' needs the other lines' 'amount'", "line_rules", key=True)
        self.check_sides([one for part in parts for one in part.rules], "line_rules")
        unclaimed = None
        if scope is not None and claims and None not in claims:
            told = tuple(claim for claim in claims if claim is not None)
            shape = replace(scope.shape, unless=told)
            unclaimed = Part("", shape, (), "line", self.where("line_rules"))
        return tuple(parts), unclaimed

    def of_lines(
        self, name: str, rule: LineRule, scope: Scope, condition: Condition | None, currency: Source | None
    ) -> list[Part]:
        """The parts of a rule for billing lines: one, or those of a split."""
        steps = ("line_rules", name)
        conditions = (*scope.shape.conditions, *(() if condition is None else (condition,)))
        shape = replace(scope.shape, conditions=conditions)
        if rule.group is not None and rule.split is not None:
            self.mistake("a line is grouped with others or split, not both", *steps, "split", key=True)
            return []
        of_sums = self.rules.group is not None
        if rule.group is not None:
            by: Sequence[Source] = ()
            if self.rules.group is not None:
                outer = self.grouping(self.rules.group, scope, ("group",), in_document=False)
                by = () if outer is None else outer.by
            grouping = self.grouping(rule.group, scope, (*steps, "group"), in_document=not of_sums, by=by)
            if grouping is None:
                return []
            shape = replace(shape, grouping=grouping)
        fields = self.line_fields(rule.fields, (*steps, "fields"))
        if rule.split is None:
            return [self.part(name, Scope(self.record, shape), fields, "line", steps, currency)]
        if "amount" not in BILLING[shape.table].schema.names or shape.document is None:
            self.mistake("only billing lines with an amount can be split", *steps, "split", key=True)
            return []
        shares = [part.share for part in rule.split.parts.values() if isinstance(part.share, Decimal)]
        found = []
        for part_name, part in rule.split.parts.items():
            fraction = part.share if isinstance(part.share, Decimal) else None
            columns = tuple(one for one in rule.split.of if one in BILLING[shape.table].schema.names)
            shared = replace(shape, share=Share(columns, fraction, tuple(shares)))
            at = (*steps, "split", "parts", part_name)
            own = self.laid_over(
                {known: dict(by_entity) for known, by_entity in fields.items()}, part.fields, (*at, "fields")
            )
            found.append(self.part(f"{name}/{part_name}", Scope(self.record, shared), own, "line", at, currency))  # fmt: skip
        return found

    def of_document(self, name: str, rule: LineRule, header: Scope, currency: Source | None) -> list[Part]:
        """The part of a rule for one line a document."""
        steps = ("line_rules", name)
        for key in ("group", "split"):
            if getattr(rule, key) is not None:
                self.mistake(f"'{key}' is for billing lines ('each: line')", *steps, key, key=True)
                return []
        shape = replace(header.shape, of_rest=rule.each == "rest")
        condition = self.condition(rule.when, Scope(self.record, shape), *steps, "when")
        if condition is not None:
            if shape.grouping is not None:
                having = _both(shape.grouping.having, condition)
                shape = replace(shape, grouping=replace(shape.grouping, having=having))
            else:
                shape = replace(shape, conditions=(*shape.conditions, condition))
        fields = self.laid_over({}, rule.fields, (*steps, "fields"))
        return [self.part(name, Scope(self.record, shape), fields, rule.each, steps, currency)]

    def part(
        self,
        name: str,
        scope: Scope,
        fields: Mapping[str, Mapping[str | None, PlacedRule]],
        each: Literal["line", "document", "rest"],
        steps: Path,
        currency: Source | None,
    ) -> Part:
        compiled = self.fields(scope, currency, self.tables.sublist, fields, steps)
        return Part(name, scope.shape, compiled, each, self.where(*steps))

    def check_sides(self, rules: Sequence[FieldRule], key: str) -> None:
        """A journal entry without debits, or without credits, never balances."""
        if self.record != "journalEntry" or not rules:
            return
        names = {rule.field.name for rule in rules}
        for side in ("debit", "credit"):
            if side not in names:
                self.mistake(f"'{side}' needs a rule in some line: a journal entry balances", key, key=True)


def _both(first: Condition | None, second: Condition) -> Condition:
    if first is None:
        return second
    cases = tuple((*one, *other) for one in first.cases for other in second.cases)
    return Condition(cases, f"{first.described} and {second.described}", second.where)


def _apart(rule: FieldRule | None) -> FieldRule | None:
    """The rule with numbers of its own, so that it can stand among the rules of lines."""
    if rule is None:
        return None
    branches = tuple(
        replace(branch, ways=tuple(replace(way, index=way.index + _APART) for way in branch.ways))
        for branch in rule.branches
    )
    return replace(rule, index=rule.index + _APART, branches=branches)
