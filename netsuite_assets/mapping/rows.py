"""Which billing rows become expected rows, as SQL: tables, joins, conditions, groups, and each billing value in them.

Here: everything up to the value that a rule starts from. Not here: what rules make of it (`sql.py`).

Names are quoted and values are literals throughout; the only relations read are the tenant's own billing tables and,
for what is left of a document's total, its own expected lines.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from netsuite_assets.mapping.conditions import condition_sql
from netsuite_assets.mapping.model import Alias, Condition, Grouping, RowShape, Share, Source
from netsuite_assets.mapping.paths import MONTH
from netsuite_assets.mapping.values import NUMBER_TYPE, number
from netsuite_assets.tables import COLUMN_TYPES
from resources.billing.canonical import TABLES as BILLING
from resources.billing.canonical import TEXT
from resources.warehouse import literal, quote

#: A number in JSON text (not in quotes) with 17 digits or more.
_LONG_NUMBER: Final = r"[:,\[]\s*-?[0-9.]{18,}"

NUMBER: Final = ("number", "reference", "id")
"""The columns by which people know a document, the best first."""

AMOUNT: Final = ("total", "amount")

DIGITS: Final = "places.digits"
"""The decimal places of the row's currency, or NULL where they are not known; only with `Rows.rounds`."""


@dataclass(frozen=True)
class Rest:
    """What the other lines leave of each document: a relation with the columns external_id and taken, the SQL of a
    row's external id, and of what is left, in which `rest.taken` stands.
    """

    relation: str
    external_id: str
    amount: str


class Rows:
    """The rows of one shape. Ask for values first; `sql` then reads what they need and no more."""

    def __init__(self, shape: RowShape) -> None:
        self.shape = shape
        self.keys: dict[Alias, list[str]] = {}
        self.rest: Rest | None = None
        self._grouped: dict[str, str] = {}
        self._used: set[Alias] = set()
        self._places: str | None = None
        # First of all, so that what they read is known.
        self._conditions = [
            *(self._expected(condition) for condition in shape.expecting),
            *(condition_sql(condition, self._plain) for condition in shape.conditions),
            *(f"NOT {condition_sql(condition, self._plain)}" for condition in shape.unless),
        ]

    # Values

    def value(self, source: Source) -> str:
        """SQL of a billing value; an empty text is NULL, as is what is absent."""
        if source.alias == "v":
            assert self.rest is not None
            return self.rest.amount
        if self.shape.grouping is not None:
            return self._of_group(source)
        plain = self._plain(source)
        share = self.shape.share
        if (
            share is not None
            and source.alias == "l"
            and source.pointer is None
            and source.column in share.columns
        ):
            return self._shared(plain, source, share)
        return plain

    def flag(self, alias: Alias) -> str:
        """SQL that is true where a row's metadata is there and is not JSON."""
        found = f"({alias}.metadata IS NOT NULL AND {alias}.keys_ IS NULL)"
        return found if self.shape.grouping is None else self._group_column(f"bool_or({found})")

    def inexact(self, source: Source, text: str) -> str:
        """SQL that is true where a number in metadata has more digits than a JSON reader keeps, so that `text`, which
        came back, is rounded: it has more than 15 digits, or is short but some number in the object is longer.
        """
        if self.shape.grouping is not None:
            return "false"  # Where it matters, the group's value has been judged number by number.
        return self._inexact(source, text)

    def rounds(self, currency: Source, places: str) -> None:
        """Read also the decimal places of this currency, from the relation `places` (code, digits)."""
        self._places = f" LEFT JOIN {places} AS places ON places.code = {self.value(currency)}"

    def _inexact(self, source: Source, text: str) -> str:
        metadata = f"{source.alias}.metadata"
        kind = f"TRY(json_type({metadata}, {literal(source.pointer or '')}))"
        digits = f"ltrim(regexp_replace({text}, '[^0-9]', '', 'g'), '0')"
        long = f"regexp_matches({metadata}, {literal(_LONG_NUMBER)})"
        return f"({kind} = 'DOUBLE' AND (length({digits}) > 15 OR {long}))"

    def _plain(self, source: Source) -> str:
        alias = source.alias
        self._used.add(alias)
        if source.pointer is not None:
            pointers = self.keys.setdefault(alias, [])
            if source.pointer not in pointers:
                pointers.append(source.pointer)
            return f"nullif({alias}.keys_[{pointers.index(source.pointer) + 1}], '')"
        if source.column in MONTH and source.alias == "d":
            return of_month(source.column, "l" if self.shape.document is not None else "d")
        column = f"{alias}.{quote(source.column)}"
        return f"nullif({column}, '')" if source.kind == "text" else column

    def _shared(self, amount: str, source: Source, share: Share) -> str:
        """A line's share of an amount, rounded half up; the part with the rest has what the other parts leave."""

        def part(fraction: Decimal) -> str:
            # The product keeps the digits of its first factor, so that must have room for all.
            wide = "DECIMAL(28,4)" if source.column == "amount" else "DECIMAL(28,10)"
            exact = f"({amount}::{wide} * {fraction:f})"
            return (
                rounded(exact, "currency", unknown=4) if source.column == "amount" else f"round({exact}, 10)"
            )

        own = (
            part(share.fraction)
            if share.fraction is not None
            else f"{amount} - {' - '.join(part(other) for other in share.others)}"
        )
        return f"({own})::{COLUMN_TYPES[source.column]}"

    # Groups

    def _of_group(self, source: Source) -> str:
        grouping = self.shape.grouping
        assert grouping is not None
        made = grouping.made.get(source.key)
        plain = self._plain(source)
        if source.column in MONTH and source.alias == "d" and made is None:
            return of_month(source.column, "g")
        if made is None and source.key in self._by:
            return f"g.b{self._by[source.key]}"
        if made is None:
            return self._group_column(f"any_value({plain})")
        if made == "first":
            return self._group_column(f"arg_min({plain}, {self._order})")
        if made != "sum":
            return self._group_column(f"{made}({plain})")
        if source.kind != "json":
            return self._group_column(f"sum({plain})::{NUMBER_TYPE}")
        exact = f"CASE WHEN {self._inexact(source, plain)} IS NOT TRUE THEN {number(plain, 'json')} END"
        # A value that is no number, or none that came whole, is passed on in words: a problem of the field.
        told = f"CASE WHEN {number(plain, 'json')} IS NULL THEN {plain} ELSE 'about ' || {plain} END"
        total = f"sum({exact})::{NUMBER_TYPE}::VARCHAR"
        return self._group_column(
            f"CASE WHEN count({plain}) = count({exact}) THEN {total}"
            f" ELSE coalesce(min({told}) FILTER (WHERE {exact} IS NULL), '') END"
        )

    @property
    def _by(self) -> dict[tuple[str, str, str | None], int]:
        grouping = self.shape.grouping
        return {} if grouping is None else {source.key: index for index, source in enumerate(grouping.by)}

    @property
    def _order(self) -> str:
        """In which order the rows of a group stand."""
        alias = self.row_alias
        return f"({alias}.line_no, {alias}.id)" if alias == "l" else f"{alias}.id"

    def _group_column(self, sql: str) -> str:
        name = self._grouped.setdefault(sql, f"g{len(self._grouped)}")
        return f"g.{name}"

    # Identity

    @property
    def row_alias(self) -> Alias:
        """Whose rows they are: lines, or documents."""
        return "l" if self.shape.document is not None else "d"

    def row_id(self) -> str:
        """SQL of the billing id of the row, or of the first of a group's rows."""
        if self.shape.grouping is None:
            return f"{self.row_alias}.id"
        if self.shape.grouping.in_document:
            return self._group_column(f"min({self.row_alias}.id)")
        keys = ", ".join(f"b{index}::VARCHAR" for index in range(len(self.shape.grouping.by)))
        return f"to_json([{keys}])::VARCHAR"

    def document(self, *columns: str) -> str | None:
        """SQL of the first of these columns that the document has and that is not empty; None when it has none."""
        table = self.shape.document or self.shape.table
        schema = BILLING[table].schema
        found = [
            self.value(Source(name, "d", name, "text" if schema.field(name).type == TEXT else "amount"))
            for name in columns
            if name in schema.names
        ]
        return None if not found else found[0] if len(found) == 1 else f"coalesce({', '.join(found)})"

    def line_no(self) -> str:
        """SQL of the number of the line, or of the first of a group's lines; NULL where rows are no lines."""
        if self.row_alias != "l":
            return "NULL::INTEGER"
        return "l.line_no" if self.shape.grouping is None else self._group_column("min(l.line_no)")

    # Rows

    def sql(self, period: str | None) -> str:
        """`FROM …` of these rows in one period, or (None) in all."""
        grouping = self.shape.grouping
        kept = list(self._conditions)
        rows = ""
        if grouping is not None:
            rows = self._groups(period, grouping, kept)
            kept = [] if grouping.having is None else [condition_sql(grouping.having, self.value)]
        else:
            rows = self._tables(period)
        rows += self._places or ""
        if self.rest is not None:
            rows += f" LEFT JOIN {self.rest.relation} AS rest ON rest.external_id = {self.rest.external_id}"
            kept.append(f"{self.rest.amount} <> 0")
        return f"{rows}{_where(kept)}"

    def _groups(self, period: str | None, grouping: Grouping, kept: Sequence[str]) -> str:
        if grouping.having is not None:
            condition_sql(grouping.having, self.value)  # So that its sums are among the columns.
        keys = [f"{self._plain(source)} AS b{index}" for index, source in enumerate(grouping.by)]
        if grouping.in_document:
            keys.insert(0, f"l.{quote(_parent_column(self.shape.table))} AS owner")
        keys.insert(0, f"{self.row_alias}.period AS period")
        made = [f"{sql} AS {name}" for sql, name in self._grouped.items()]
        groups = ", ".join(str(position) for position in range(1, len(keys) + 1))
        rows = f"{self._tables(period)}{_where(kept)}"
        return f"(SELECT {', '.join([*keys, *made])} FROM {rows} GROUP BY {groups}) AS g"

    def left_out(self, period: str | None, condition: Condition, *, of_record: bool) -> str:
        """`FROM …` of the rows for which a condition (of the whole record, or of a line) does not hold, where all of
        the shape's do.
        """
        held = self._expected(condition) if of_record else condition_sql(condition, self._plain)
        return f"{self._tables(period)}{_where([*self._conditions, f'NOT {held}'])}"

    def _expected(self, condition: Condition) -> str:
        """What cannot be read for a condition of a whole record is a problem of that record, not a reason to drop it."""
        held = condition_sql(condition, self._plain)
        aliases = sorted({source.alias for source in condition.sources if source.pointer is not None})
        broken = [f"({alias}.metadata IS NOT NULL AND {alias}.keys_ IS NULL)" for alias in aliases]
        return f"({' OR '.join([held, *broken])})"

    def _tables(self, period: str | None) -> str:
        shape = self.shape
        if shape.document is None:
            rows = self._table("d", shape.table, period)
        else:
            documents = self._table("d", shape.document, period)
            parent = quote(_parent_column(shape.table))
            rows = f"{self._table('l', shape.table, period)} LEFT JOIN {documents} ON d.id = l.{parent}"
        if "c" in self._used:
            rows += f" LEFT JOIN {self._table('c', 'customers', None)} ON c.id = d.customer_id"
        return rows

    def _table(self, alias: Alias, name: str, period: str | None) -> str:
        """A billing table; what the rules need of its metadata is read in one pass, NULL where that is not JSON."""
        columns = ["*"]
        pointers = self.keys.get(alias)
        if pointers is not None:
            wanted = ", ".join(map(literal, pointers))
            columns.append(f"TRY(json_extract_string(metadata, [{wanted}])) AS keys_")
        if "id" not in BILLING[name].schema.names:
            columns += _numbered(name)
        where = f" WHERE period = {literal(period)}" if period is not None else ""
        return f"(SELECT {', '.join(columns)} FROM billing.{quote(name)}{where}) AS {alias}"


def _where(conditions: Sequence[str]) -> str:
    return f" WHERE {' AND '.join(conditions)}" if conditions else ""


def of_month(column: str, alias: str) -> str:
    """SQL of the month that a row belongs to, or of its first or last day."""
    first = f"({alias}.period || '-01')::DATE"
    return {"period": f"{alias}.period", "period_start": first, "period_end": f"last_day({first})"}[column]


def _parent_column(table: str) -> str:
    return str(BILLING[table].parent_column)


def _numbered(name: str) -> Iterable[str]:
    """An id and a line number for rows that have neither: the parts of their key, and their place among their kind."""
    parent, *others = (quote(column) for column in BILLING[name].key)
    yield f"concat_ws('/', {', '.join([parent, *others])}) AS id"
    yield f"(row_number() OVER (PARTITION BY period, {parent} ORDER BY {', '.join(others)}))::INTEGER AS line_no"


def rounded(sql: str, places: int | str, *, digits: str = DIGITS, unknown: int | None = None) -> str:
    """SQL that rounds a decimal half up (away from zero), to so many places or to those of the row's currency.

    `digits` is SQL of the latter; where they are not known it is rounded to `unknown`, or NULL.
    """
    if isinstance(places, int):
        return f"round({sql}, {places})"
    # One stated type: of several, DuckDB would take one with fewer decimals when all digits do not fit.
    cases = [f"WHEN {known} THEN round({sql}, {known})::{NUMBER_TYPE}" for known in (2, 0, 3, 1, 4)]
    otherwise = "" if unknown is None else f" ELSE round({sql}, {unknown})::{NUMBER_TYPE}"
    return f"CASE {digits} {' '.join(cases)}{otherwise} END"
