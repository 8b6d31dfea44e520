"""SQL of the compiled mapping: from billing rows to expected rows, set by set.

Here: the statements' text. Not here: which rules are right (`rules.py`), which rows there are (`rows.py`), what values
are looked up in (`lookups.py`), or running anything.

A statement is a tower of layers, each of which computes once what the next needs. For a way to a value (number w) and
for a field (number f):

    source   s<w>  the billing value, NULL where the way's rule is not for the row; the row's own ids;
             b<f>_<n>  whether the field's rule number n is for the row, where there are several or a condition
    mapped   m<w>  after the value map, as text, where there is a map; what is looked up
             n<w>  the number or date after sign, shift and rounding; u<w> whether no part of it is left
    found    r<w>, a<w>, k<w>  the id, number of answers and key of a lookup; p<w> its answers by subsidiary;
             f<w> the default's id, q<w> by subsidiary
    taken    w<w>, g<w>  the way's value, and 0, -1 (no value) or what is wrong, where a field has several ways
    valued   v<f>  the field's value; h<f> how it was found; z<f> the value before its limits
    judged   e<f>  0, or what is wrong (`PROBLEMS`)

Lookups are joins on relations with one row a key. Names are quoted and values are literals throughout.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

from netsuite_assets.mapping.conditions import condition_sql
from netsuite_assets.mapping.lookups import (
    from_id,
    has_subsidiaries,
    list_relation,
    own_relation,
    periods_relation,
    places_relation,
    template,
)
from netsuite_assets.mapping.model import (
    CUSTOMER,
    HOW,
    STEP,
    Alias,
    Branch,
    ExternalId,
    FieldRule,
    Lookup,
    OwnRecord,
    Part,
    Source,
    SourceKind,
    Way,
)
from netsuite_assets.mapping.rows import AMOUNT, NUMBER, Rest, Rows, rounded
from netsuite_assets.mapping.values import as_text, convert, number
from netsuite_assets.tables import COLUMN_TYPES, RecordTables
from resources.netsuite.records import DECIMAL_KINDS
from resources.warehouse import literal, quote

_CODES: Final = {how: number for number, how in HOW.items()}
#: What an external id may hold, so that it can stand in a URL (NetSuite REST facts: `eid:`).
_EXTERNAL_ID: Final = "[A-Za-z0-9_-]+"

_NUMERIC: Final = DECIMAL_KINDS | {"integer"}
#: What stops the search for a value: it is there, and wrong.
_STOPS: Final = "(3, 5, 8, 10)"


@dataclass(frozen=True)
class RecordPlan:
    """What the statements of a record type have in common, whichever of its rows they are for.

    `entity` is where the legal entity stands, if rules differ by it; `currency` by which amounts are rounded;
    `subsidiary` the rule of the header's field, within which lookups prefer what they find; `own` the record types
    that the mapping itself makes; `precision` the tenant's own decimal places of currencies.
    """

    record: str
    tables: RecordTables
    external_id: ExternalId
    own: Mapping[str, OwnRecord]
    entity: Source | None
    currency: Source | None
    subsidiary: FieldRule | None
    precision: Mapping[str, int]

    @property
    def is_monthly(self) -> bool:
        """Whether the records belong to months."""
        return self.tables.billing != "customers"

    @property
    def one_row_each(self) -> bool:
        """Whether an external id is one billing row's because it is made of nothing but its id."""
        return self.external_id.only_id


@dataclass(frozen=True)
class Layers:
    """The layers of one part of an expected table."""

    plan: RecordPlan
    part: Part
    rest: str | None = None
    lookups: dict[Lookup, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for way in self.ways:
            if way.lookup is not None and not way.own:
                self.lookups.setdefault(way.lookup, f"lookup_{len(self.lookups)}")

    @property
    def rules(self) -> Sequence[FieldRule]:
        return self.part.rules

    @property
    def on_lines(self) -> bool:
        return self.part.each != "record"

    @property
    def ways(self) -> tuple[Way, ...]:
        """Every way to every field's value, and to the subsidiary within which lookups prefer what they find."""
        return tuple(way for rule in self._computed_rules for way in rule.ways)

    @property
    def _computed_rules(self) -> Sequence[FieldRule]:
        """The part's rules, and that of the subsidiary where it is not one of them."""
        scope = self._scope
        if scope is None or any(rule.index == scope.index for rule in self.rules):
            return self.rules
        return [*self.rules, scope]

    @cached_property
    def _scope(self) -> FieldRule | None:
        """The rule of the record's subsidiary, where a list is looked up whose rows may belong to subsidiaries."""
        own = next((rule for rule in self.rules if rule.field.name == "subsidiary"), None)
        ways = [way for rule in self.rules for way in rule.ways]
        listed = any(way.lookup is not None and not way.own and has_subsidiaries(way.lookup) for way in ways)
        return (own or self.plan.subsidiary) if listed else None

    def _is_scoped(self, way: Way) -> bool:
        return (
            self._scope is not None
            and way.lookup is not None
            and not way.own
            and has_subsidiaries(way.lookup)
            and way.index not in {own.index for own in self._scope.ways}
        )

    # The whole

    def judged(self, period: str | None) -> str:
        """`WITH …` up to the relation `judged`, for one period or (None) for all."""
        layers = [
            *self._relations(),
            f"source AS NOT MATERIALIZED ({self.source(period)})",
            self._layer("mapped", "source", self._mapped()),
            f"found AS NOT MATERIALIZED ({self._found()})",
        ]
        above = "found"
        if self._scope is not None:
            layers.append(self._layer("scoped", above, [f"{self._subsidiary(self._scope)} AS subsidiary_"]))
            layers.append(self._layer("chosen", "scoped", self._chosen()))
            above = "chosen"
        for name, columns in (
            ("taken", self._taken()),
            ("valued", self._valued()),
            ("limited", self._limited()),
        ):
            if columns:
                layers.append(self._layer(name, above, columns))
                above = name
        layers.append(self._layer("judged", above, self._judged()))
        return "WITH\n" + ",\n".join(layers)

    def rows(self, period: str | None) -> str:
        """A query for the rows alone, before anything is looked up."""
        places = f"WITH {places_relation('currency_places', self.plan.precision)} " if self._rounds else ""
        return f"{places}{self.source(period)}"

    @staticmethod
    def _layer(name: str, below: str, columns: Sequence[str]) -> str:
        return f"{name} AS NOT MATERIALIZED (SELECT {_list(['*', *columns])} FROM {below})"

    # What values are looked up in

    def _relations(self) -> Iterable[str]:
        for lookup, name in self.lookups.items():
            if lookup.of_date:
                yield periods_relation(name)
            else:
                scoped = self._scope is not None and has_subsidiaries(lookup)
                yield from list_relation(name, lookup, scoped=scoped)
        defaults = [way for way in self.ways if self._looks_up_default(way)]
        if defaults:
            values = []
            for way in defaults:
                assert way.lookup is not None
                assert way.default is not None
                key = f"key = lower(trim({literal(way.default)}))"
                relation = self.lookups[way.lookup]
                values.append(f"(SELECT id FROM {relation} WHERE answers = 1 AND {key}) AS f{way.index}")
                if self._is_scoped(way):
                    values.append(f"(SELECT scopes FROM {relation} WHERE {key}) AS q{way.index}")
            yield f"defaults AS MATERIALIZED (SELECT {_list(values)})"
        for record in dict.fromkeys(way.lookup.list_name for way in self.ways if way.own and way.lookup):
            yield own_relation(_own(record), self.plan.own[record])
        if self._rounds:
            yield places_relation("currency_places", self.plan.precision)

    @staticmethod
    def _looks_up_default(way: Way) -> bool:
        return way.lookup is not None and not way.own and way.default is not None

    @property
    def _rounds(self) -> bool:
        return self.part.shape.share is not None or any(way.round == "currency" for way in self.ways)

    # Layers

    @cached_property
    def _rows(self) -> Rows:
        return Rows(self.part.shape)

    @property
    def metadata(self) -> Sequence[Alias]:
        """The rows whose metadata is read, and whose problem it is if it is no JSON: a line does not answer for what
        decides whether its document is expected.
        """
        read = [source for rule in self.rules for source in rule.sources]
        read += [
            source for rule in self.rules for condition in rule.conditions for source in condition.sources
        ]
        if not self.on_lines:
            read += self.plan.external_id.sources
            read += [source for condition in self.part.shape.expecting for source in condition.sources]
        return list(dict.fromkeys(source.alias for source in read if source.pointer is not None))

    def source(self, period: str | None) -> str:
        """The rows, and the billing value that each way starts from."""
        rows = self._rows
        external_id = template(self.plan.external_id.parts, rows.value)
        if self.rest is not None:
            rows.rest = self._rest(external_id)
        if self._rounds and self.plan.currency is not None:
            rows.rounds(self.plan.currency, "currency_places")
        columns = [f"{external_id} AS external_id", *self._identity(external_id)]
        if self._rounds:
            columns.append("places.digits AS digits_")
        for rule in self._computed_rules:
            for number_, branch in enumerate(rule.branches):
                active = self._active(rule, branch)
                if active:
                    columns.append(f"{active} AS b{rule.index}_{number_}")
                columns += [self._start_column(way, active) for way in branch.ways]
        for way in self.ways:
            if self._needs_exactness(way):
                assert way.source is not None
                columns.append(f"{rows.inexact(way.source, rows.value(way.source))} AS x{way.index}")
        columns += [f"{rows.flag(alias)} AS unreadable_{alias}" for alias in self.metadata]
        return f"SELECT {_list(columns)} FROM {rows.sql(period)}"

    def _rest(self, external_id: str) -> Rest:
        assert self.rest is not None
        if self.plan.record == "journalEntry":
            return Rest(self.rest, external_id, "coalesce(rest.taken, 0)")
        total = self._rows.value(Source("total", "d", "total", "amount"))
        return Rest(self.rest, external_id, f"(coalesce({total}, 0) - coalesce(rest.taken, 0))")

    def _identity(self, external_id: str) -> list[str]:
        """The core columns of the row, by which people know it."""
        rows, grouping = self._rows, self.part.shape.grouping
        is_sum = grouping is not None and not grouping.in_document
        number_ = external_id if is_sum else rows.document(*NUMBER)
        line_no = rows.line_no() if self.part.each == "line" else "NULL::INTEGER"
        if self.on_lines:
            return [f"{rows.row_id()} AS source_id", f"{number_} AS number", f"{line_no} AS line_no"]
        name, total = "NULL::VARCHAR", "NULL::DECIMAL(18,4)"
        if not is_sum:
            total = rows.document(*AMOUNT) or total
            has_customer = rows.document("customer_id") is not None
            name = (
                rows.value(Source("name", "c", "name", "text"))
                if has_customer
                else rows.document("name") or name
            )
        currency = "NULL::VARCHAR" if self.plan.currency is None else rows.value(self.plan.currency)
        return [
            f"{rows.row_id()} AS source_id", f"{number_} AS number", f"{name} AS name",
            f"{currency} AS currency", f"{total} AS total",
        ]  # fmt: skip

    def _active(self, rule: FieldRule, branch: Branch) -> str:
        """SQL that tells whether a rule is for the row; empty where it is for all."""
        tests = []
        others = [other.entity for other in rule.branches if other.entity is not None]
        if others:
            assert self.plan.entity is not None
            entity = self._rows.value(self.plan.entity)
            if branch.entity is not None:
                tests.append(f"coalesce({entity} = {literal(branch.entity)}, false)")
            else:
                tests.append(f"coalesce({entity} NOT IN ({_list(map(literal, others))}), true)")
        if branch.condition is not None:
            tests.append(condition_sql(branch.condition, self._rows.value))
        return f"({' AND '.join(tests)})" if tests else ""

    def _start_column(self, way: Way, active: str) -> str:
        start = self._start(way)
        tests = [active] if active else []
        if way.condition is not None:
            tests.append(condition_sql(way.condition, self._rows.value))
        if tests:
            start = f"CASE WHEN {' AND '.join(tests)} THEN {start} END"
        return f"{start} AS s{way.index}"

    def _start(self, way: Way) -> str:
        value = self._rows.value
        if way.source is not None:
            return value(way.source)
        if way.template is not None:
            return template(way.template, value)
        if way.joined is not None:
            texts = _list(as_text(value(source), source.kind) for source in way.joined)
            return f"nullif(concat_ws({literal(way.separator)}, {texts}), '')"
        return literal(way.constant or "")

    @staticmethod
    def _needs_exactness(way: Way) -> bool:
        """Whether the way reads a number straight out of a metadata object."""
        return (
            way.source is not None
            and way.source.pointer is not None
            and way.value_map is None
            and way.field.kind in DECIMAL_KINDS
        )

    def _mapped(self) -> list[str]:
        columns = []
        for way in self.ways:
            i, kind = way.index, way.start_kind
            start = f"s{i}"
            if way.value_map is not None:
                cases = " ".join(
                    f"WHEN {literal(key)} THEN {literal(value)}" for key, value in way.value_map.items()
                )
                start = f"CASE {as_text(start, kind)} {cases} END" if cases else "NULL::VARCHAR"
                kind = "text"
            if way.lookup is not None and way.lookup.of_date:
                start = self._shifted(str(convert(start, kind, "date")), way)
            elif way.lookup is not None:
                start = as_text(start, kind)
            if way.lookup is not None or way.value_map is not None:
                columns.append(f"{start} AS m{i}")
            if way.lookup is None and way.is_computed:
                columns += self._computed(way, start, kind)
        return columns

    def _computed(self, way: Way, start: str, kind: SourceKind) -> list[str]:
        """n<w>: the number or date that is computed; u<w>: whether nothing of the number is left."""
        if way.shifts:
            return [f"{self._shifted(str(convert(start, kind, 'date')), way)} AS n{way.index}"]
        plain = start if kind == way.field.kind else str(number(start, kind))
        if self._needs_exactness(way):
            plain = f"CASE WHEN x{way.index} IS NOT TRUE THEN {plain} END"
        signed = {
            None: plain,
            "negate": f"-({plain})",
            "absolute": f"abs({plain})",
            "positive_part": f"CASE WHEN ({plain}) > 0 THEN {plain} END",
            "negative_part": f"CASE WHEN ({plain}) < 0 THEN -({plain}) END",
        }[way.sign]
        if way.round is not None:
            signed = rounded(f"({signed})", way.round, digits="digits_")
        columns = [f"{signed} AS n{way.index}"]
        if way.sign in ("positive_part", "negative_part"):
            test = "<=" if way.sign == "positive_part" else ">="
            columns.append(f"coalesce(({plain}) {test} 0, false) AS u{way.index}")
        return columns

    @staticmethod
    def _shifted(day: str, way: Way) -> str:
        for step in way.shifts:
            if step.months:
                day = f"({day} + INTERVAL ({step.months}) MONTH)::DATE"
            if step.days:
                day = f"({day} + {step.days})" if step.days > 0 else f"({day} - {-step.days})"
            if step.end_of_month:
                day = f"last_day({day})"
        return day

    def _found(self) -> str:
        columns, joins = ["mapped.*"], []
        for way in self.ways:
            i = way.index
            if way.lookup is None:
                continue
            if way.own:
                columns += [f"k{i}.external_id AS r{i}", f"k{i}.is_expected AS a{i}"]
                joins.append(f"LEFT JOIN {_own(way.lookup.list_name)} AS k{i} ON k{i}.id = mapped.m{i}")
                continue
            scoped = self._is_scoped(way)
            columns += [f"k{i}.id AS {'i' if scoped else 'r'}{i}"]
            columns += [f"k{i}.answers AS {'c' if scoped else 'a'}{i}"]
            columns += [f"k{i}.how AS {'j' if scoped else 'k'}{i}"]
            columns += [f"k{i}.scopes AS p{i}"] if scoped else []
            key = f"mapped.m{i}" if way.lookup.of_date else f"lower(trim(mapped.m{i}))"
            joins.append(f"LEFT JOIN {self.lookups[way.lookup]} AS k{i} ON k{i}.key = {key}")
            if self._looks_up_default(way):
                columns += [f"defaults.f{i} AS {'d' if scoped else 'f'}{i}"]
                columns += [f"defaults.q{i}"] if scoped else []
        cross = " CROSS JOIN defaults" if any("defaults." in column for column in columns) else ""
        return f"SELECT {_list(columns)} FROM mapped{cross} {' '.join(joins)}"

    def _subsidiary(self, rule: FieldRule) -> str:
        """SQL of the internal id of the record's subsidiary, from the layer `found`."""
        values = [self._way_value(way) for way in rule.ways]
        defaults = [f"f{way.index}" for way in rule.ways if self._looks_up_default(way)]
        return f"coalesce({_list([*values, *defaults, 'NULL'])})"

    def _chosen(self) -> list[str]:
        """What lookups found within the record's subsidiary, where several rows answer."""
        columns = []
        for way in self.ways:
            if not self._is_scoped(way):
                continue
            i = way.index
            within = f"coalesce(p{i}[subsidiary_], p{i}[''])"
            for told, name in (("id", "i"), ("answers", "c"), ("how", "j")):
                given = {"i": "r", "c": "a", "j": "k"}[name]
                columns.append(
                    f"CASE WHEN p{i} IS NULL OR subsidiary_ IS NULL THEN {name}{i}"
                    f" ELSE coalesce({within}.{told}, {name}{i}) END AS {given}{i}"
                )
            if self._looks_up_default(way):
                found = f"coalesce(q{i}[subsidiary_], q{i}[''])"
                columns.append(
                    f"CASE WHEN q{i} IS NULL OR subsidiary_ IS NULL OR {found} IS NULL THEN d{i}"
                    f" WHEN {found}.answers = 1 THEN {found}.id END AS f{i}"
                )
        return columns

    # A way's value, and what is wrong with it

    def _start_name(self, way: Way) -> str:
        """The value of the way before it is converted: NULL where there is none."""
        name = f"m{way.index}" if way.value_map is not None or way.lookup is not None else f"s{way.index}"
        if way.sign in ("positive_part", "negative_part"):
            return f"CASE WHEN NOT u{way.index} THEN {name} END"
        return name

    def _way_value(self, way: Way) -> str:
        i = way.index
        if way.own:
            return self._own_value(way)
        if way.lookup is not None:
            return f"CASE WHEN a{i} = 1 THEN r{i} END"
        if way.is_computed:
            computed: SourceKind = "number"
            start_kind = "text" if way.value_map is not None else way.start_kind
            if way.shifts:
                computed = "date"
            elif start_kind == way.field.kind:
                return f"TRY_CAST(n{i} AS {COLUMN_TYPES[way.field.kind]})"
            return str(convert(f"n{i}", computed, way.field.kind))
        start = f"m{i}" if way.value_map is not None else f"s{i}"
        kind: SourceKind = "text" if way.value_map is not None else way.start_kind
        value = convert(start, kind, way.field.kind)
        assert value is not None
        if self._needs_exactness(way):
            value = f"CASE WHEN x{i} IS NOT TRUE THEN {value} END"
        return value

    def _own_value(self, way: Way) -> str:
        """The external id of the record that is named, if it is expected in NetSuite.

        What is not of the months at hand is still known by its billing id, where an external id is made of that alone.
        """
        i = way.index
        assert way.lookup is not None
        own = self.plan.own[way.lookup.list_name]
        found = f"r{i}" if own.condition is None else f"CASE WHEN a{i} THEN r{i} END"
        if own.record == CUSTOMER or not own.external_id.only_id:
            return found
        return f"CASE WHEN a{i} IS NULL THEN {from_id(own.external_id, f'm{i}')} ELSE {found} END"

    def _way_how(self, way: Way) -> str:
        """SQL of how the value was found, where it was."""
        if way.own:
            return str(_CODES["own"])
        return f"k{way.index}" if way.lookup is not None else str(_CODES["value"])

    def _way_state(self, way: Way, value: str) -> str:
        """SQL of 0 (it has a value), -1 (there is none) or what is wrong; `value` is SQL of the value."""
        i = way.index
        unmapped = ""
        if way.value_map is not None:
            unmapped = f" WHEN s{i} IS NOT NULL AND m{i} IS NULL THEN 4"
        start = self._start_name(way)
        absent = f" WHEN {start} IS NULL THEN -1"
        if way.lookup is not None and way.lookup.of_date:
            # A text that is no date is told as such.
            absent = f" WHEN {start} IS NULL THEN CASE WHEN s{i} IS NULL THEN -1 ELSE 5 END"
        if way.own:
            return (
                f"CASE WHEN {value} IS NOT NULL THEN 0{unmapped}{absent} WHEN a{i} = false THEN 8 ELSE 2 END"
            )
        if way.lookup is not None:
            return f"CASE WHEN a{i} = 1 THEN 0 WHEN a{i} > 1 THEN 3{unmapped}{absent} ELSE 2 END"
        places = " WHEN digits_ IS NULL THEN 10" if way.round == "currency" else ""
        return f"CASE WHEN {value} IS NOT NULL THEN 0{unmapped}{absent}{places} ELSE 5 END"

    def _taken(self) -> list[str]:
        """The value and state of each way, where a field has several ways or conditions."""
        columns = []
        for rule in self.rules:
            if not rule.is_plain:
                for way in rule.ways:
                    value = self._way_value(way)
                    columns += [f"{value} AS w{way.index}", f"{self._way_state(way, value)} AS g{way.index}"]
        return columns

    # A field's value

    def _valued(self) -> list[str]:
        columns = []
        for rule in self.rules:
            limited = any(branch.is_limited for branch in rule.branches)
            name = f"{'z' if limited else 'v'}{rule.index}"
            if rule.is_plain:
                columns += self._plain_value(rule, rule.ways[0], name)
            else:
                columns += self._branched(rule, name)
        return columns

    def _plain_value(self, rule: FieldRule, way: Way, name: str) -> list[str]:
        i, value = way.index, self._way_value(way)
        how = f"h{rule.index}"
        if way.lookup is not None:
            if way.own:
                return [
                    f"{value} AS {name}",
                    f"CASE WHEN {value} IS NOT NULL THEN {_CODES['own']} END AS {how}",
                ]
            found, told = f"WHEN a{i} = 1 THEN r{i}", f"WHEN a{i} = 1 THEN k{i}"
            if way.default is not None:
                fallback = f" WHEN a{i} IS NULL AND f{i} IS NOT NULL THEN"
                found, told = f"{found}{fallback} f{i}", f"{told}{fallback} {_CODES['default']}"
            return [f"CASE {found} END AS {name}", f"CASE {told} END AS {how}"]
        if way.default is None:
            return [f"{value} AS {name}"]
        # Only what is absent is defaulted: a value that does not fit stays a problem.
        absent = f"({self._start_name(way)}) IS NULL"
        return [
            f"CASE WHEN {absent} THEN {self._default(way)} ELSE {value} END AS {name}",
            f"CASE WHEN {absent} THEN {_CODES['default']} END AS {how}",
        ]

    @staticmethod
    def _default(way: Way) -> str:
        return str(convert(literal(way.default or ""), "text", way.field.kind))

    def _branched(self, rule: FieldRule, name: str) -> list[str]:
        """The value of the first way of the row's own rule that has one, or its default."""
        values, hows = [], []
        position = 0
        for number_, branch in enumerate(rule.branches):
            value, how = "", ""
            for at, way in enumerate(branch.ways, position):
                g = f"g{way.index}"
                value += f" WHEN {g} = 0 THEN w{way.index} WHEN {g} IN {_STOPS} THEN NULL"
                how += f" WHEN {g} = 0 THEN {STEP * at} + {self._way_how(way)} WHEN {g} IN {_STOPS} THEN NULL"
            if branch.default is not None:
                found, told = self._branch_default(branch, position)
                value, how = f"{value} ELSE {found}", f"{how} ELSE {told}"
            position += len(branch.ways)
            test = f"WHEN b{rule.index}_{number_} THEN" if self._active(rule, branch) else "ELSE"
            kind = rule.field.column_type
            values.append(f"{test} {f'CASE{value} END' if value else f'NULL::{kind}'}")
            hows.append(f"{test} {f'CASE{how} END' if how else 'NULL'}")
        return [f"{_case(values)} AS {name}", f"{_case(hows)} AS h{rule.index}"]

    def _branch_default(self, branch: Branch, position: int) -> tuple[str, str]:
        """SQL of a rule's default and of how it was found; looked up where its ways look up."""
        way = branch.ways[0]
        code = STEP * position + _CODES["default"]
        if way.lookup is None:
            return self._default(way), str(code)
        return f"f{way.index}", f"CASE WHEN f{way.index} IS NOT NULL THEN {code} END"

    # Limits

    def _limited(self) -> list[str]:
        """v<f>, the value within its limits; l<f>, whether it exceeds them."""
        columns = []
        for rule in self.rules:
            if not any(branch.is_limited for branch in rule.branches):
                continue
            z = f"z{rule.index}"
            values, over = [], []
            for number_, branch in enumerate(rule.branches):
                test = f"WHEN b{rule.index}_{number_} THEN" if self._active(rule, branch) else "ELSE"
                exceeds, cut = self._limits(rule, branch, z)
                values.append(f"{test} CASE WHEN {exceeds} THEN {cut} ELSE {z} END")
                over.append(f"{test} {exceeds}")
            columns += [
                f"{_case(values)} AS v{rule.index}",
                f"coalesce({_case(over)}, false) AS l{rule.index}",
            ]
        return columns

    @staticmethod
    def _limits(rule: FieldRule, branch: Branch, z: str) -> tuple[str, str]:
        """SQL that tells whether a value exceeds a rule's limits, and of what is then written."""
        kind = rule.field.column_type
        if branch.max_length is not None:
            cut = f"left({z}, {branch.max_length})" if branch.cut else f"NULL::{kind}"
            return f"coalesce(length({z}) > {branch.max_length}, false)", cut
        if branch.max_decimals is not None:
            shorter = f"round({z}, {branch.max_decimals})"
            cut = f"TRY_CAST({shorter} AS {kind})" if branch.cut else f"NULL::{kind}"
            return f"coalesce({shorter} <> {z}, false)", cut
        return "false", f"NULL::{kind}"

    # What is wrong

    def _judged(self) -> list[str]:
        columns = [f"{self._error(rule)} AS e{rule.index}" for rule in self.rules]
        columns.append(
            f"(external_id IS NULL OR NOT regexp_full_match(external_id, {literal(_EXTERNAL_ID)})) AS bad_id"
        )
        if not self.on_lines and not self.plan.one_row_each:
            columns.append("(count(*) OVER (PARTITION BY external_id) > 1) AS repeated_id")
        return columns

    def _error(self, rule: FieldRule) -> str:
        error = self._plain_error(rule, rule.ways[0]) if rule.is_plain else self._branched_error(rule)
        limits = [branch for branch in rule.branches if branch.is_limited]
        if any(not branch.cut for branch in limits):
            error = f"CASE WHEN l{rule.index} AND v{rule.index} IS NULL THEN 9 ELSE {error} END"
        return error

    def _plain_error(self, rule: FieldRule, way: Way) -> str:
        value = f"{'z' if rule.branches[0].is_limited else 'v'}{rule.index}"
        state = self._way_state(way, value)
        nothing = self._nothing(rule)
        if way.default is None:
            return f"greatest({state}, 0)" if nothing == 0 else state.replace("THEN -1", f"THEN {nothing}")
        if way.lookup is None:
            # With a default, what the map does not know is taken for absent.
            return f"CASE WHEN {value} IS NOT NULL THEN 0 ELSE 5 END"
        return f"CASE WHEN {value} IS NOT NULL THEN 0 WHEN a{way.index} > 1 THEN 3 ELSE 6 END"

    def _branched_error(self, rule: FieldRule) -> str:
        errors = []
        position = 0
        nothing = self._nothing(rule)
        for number_, branch in enumerate(rule.branches):
            cases, unresolved = "", ""
            for at, way in enumerate(branch.ways, position):
                g = f"g{way.index}"
                cases += f" WHEN {g} = 0 THEN 0 WHEN {g} IN {_STOPS} THEN {STEP * at} + {g}"
                unresolved += f" WHEN {g} > 0 THEN {STEP * at} + {g}"
            otherwise = f"CASE{unresolved} ELSE {nothing} END" if unresolved else str(nothing)
            if branch.default is not None:
                looked_up = branch.ways[0].lookup is not None
                found = f"f{branch.ways[0].index} IS NOT NULL"
                otherwise = f"CASE WHEN {found} THEN 0 ELSE {STEP * position + 6} END" if looked_up else "0"
            position += len(branch.ways)
            test = f"WHEN b{rule.index}_{number_} THEN" if self._active(rule, branch) else "ELSE"
            errors.append(f"{test} {f'CASE{cases} ELSE {otherwise} END' if cases else otherwise}")
        return f"coalesce({_case(errors)}, {nothing})"

    @staticmethod
    def _nothing(rule: FieldRule) -> int:
        """What it means that a field has no value at all."""
        if not rule.required:
            return 0
        return 1 if rule.of_customer else 7

    def values(self) -> dict[str, str]:
        """Column of the expected table to the expression over `judged` that fills it, mapped fields only."""
        return {rule.field.column: f"v{rule.index}" for rule in self.rules}


def _own(record: str) -> str:
    """The relation of a record type that the mapping itself makes."""
    return quote(f"own_{record}")


def _case(branches: Sequence[str]) -> str:
    """`CASE` over these; a single one that is for all rows stands for itself."""
    if len(branches) == 1 and branches[0].startswith("ELSE "):
        return branches[0].removeprefix("ELSE ")
    return f"CASE {' '.join(branches)} END"


def _list(parts: Iterable[str]) -> str:
    return ", ".join(parts)
