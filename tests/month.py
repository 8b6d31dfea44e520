"""One tenant's month on both sides, made without any server.

Billing is a list of documents here; the tenant's real mapping makes of them what NetSuite should hold; NetSuite's
slices begin as exactly that, and then a test plants defects in them. Nothing here decides what a difference is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pyarrow as pa

from netsuite_assets import frames
from netsuite_assets.extract.billing import extract_billing, month_bounds
from netsuite_assets.extract.columns import comparable
from netsuite_assets.extract.journals import JOURNALS
from netsuite_assets.extract.payments import APPLICATIONS, PAYMENTS
from netsuite_assets.extract.reference import PERIODS, REFERENCE
from netsuite_assets.mapping.compiler import Mapping as TenantMapping
from netsuite_assets.mapping.compiler import compile_mapping
from netsuite_assets.mapping.expected import fill_expected
from netsuite_assets.reconcile.engine import Reconciliation, reconcile
from netsuite_assets.tables import ACTUAL_CORE, ACTUAL_LINE_CORE, COLUMN_TYPES, TABLES
from resources.billing.canonical import TABLES as BILLING
from resources.tenants import Tenant, TenantRegistry
from resources.tenants.comparison import RecordComparison
from resources.warehouse import TenantWarehouse, quote

NOW = datetime(2026, 11, 1, 6, 0, tzinfo=UTC)

#: What lookups of the demo tenants resolve against: list, internal id, name.
LISTS = [
    ("currency", "1", "USD"), ("currency", "2", "GBP"), ("currency", "4", "EUR"),
    ("subsidiary", "1", "Acme Inc."), ("subsidiary", "3", "Acme GmbH"),
    ("term", "2", "Net 30"),
    ("cseg_product", "1", "Metering"), ("cseg_product", "2", "Storage"),
    ("item", "10", "Merchandise"), ("item", "11", "usage"), ("item", "12", "seats"),
    ("department", "1", "Sales"), ("classification", "1", "Cloud"), ("classification", "2", "Services"),
    ("location", "1", "New York"), ("location", "2", "Berlin"),
]  # fmt: skip


#: NetSuite's internal ids follow these, in the order of the external ids.
_FIRST_IDS = {
    "customer": 100,
    "invoice": 5000,
    "creditMemo": 8000,
    "customerPayment": 11000,
    "journalEntry": 14000,
}

#: What the extraction lands of payments and journals beside what a tenant maps.
_OWN = {"customerPayment": PAYMENTS, "journalEntry": JOURNALS}


@dataclass(frozen=True)
class TenantRules:
    """A tenant's file and its compiled mapping."""

    tenant: Tenant
    mapping: TenantMapping

    def with_tolerance(self, amount: str = "0", days: int = 0) -> TenantRules:
        """The same tenant with another tolerance."""
        reconcile = self.tenant.reconcile
        tolerance = reconcile.tolerance.model_copy(update={"amount": Decimal(amount), "days": days})
        return self._with(reconcile=reconcile.model_copy(update={"tolerance": tolerance}))

    def with_comparison(
        self,
        record: str,
        fields: Mapping[str, Mapping[str, Any]] = MappingProxyType({}),
        lines: Mapping[str, Mapping[str, Any]] = MappingProxyType({}),
    ) -> TenantRules:
        """The same tenant that compares fields of a record, or of its lines, as its file would say."""
        own = RecordComparison.model_validate({"fields": fields, "lines": lines})
        reconcile = self.tenant.reconcile
        return self._with(
            reconcile=reconcile.model_copy(update={"compare": {**reconcile.compare, record: own}})
        )

    def with_policy(
        self,
        *,
        operations: int = 100_000,
        amount: str = "100000000",
        share: str = "1",
        breaker_amount: str | None = None,
        **writeback: Any,
    ) -> TenantRules:
        """The same tenant with another write-back policy; nothing is limited unless a limit is given."""
        policy = self.tenant.writeback
        limits = policy.approve_automatically.model_copy(
            update={"operations": operations, "amount": Decimal(amount)}
        )
        breaker = policy.circuit_breaker.model_copy(
            update={"share": Decimal(share), "amount": breaker_amount and Decimal(breaker_amount)}
        )
        update = {**writeback, "approve_automatically": limits, "circuit_breaker": breaker}
        return self._with(writeback=policy.model_copy(update=update))

    def _with(self, **update: object) -> TenantRules:
        settings = self.tenant.settings.model_copy(update=update)
        return replace(self, tenant=replace(self.tenant, settings=settings))


def load_rules(folder: Path, name: str) -> TenantRules:
    """A tenant of a folder with its mapping."""
    tenant = TenantRegistry(folder).load(name)
    return TenantRules(tenant, compile_mapping(tenant))


def line(amount: str, description: str | None = "Usage", **more: Any) -> dict[str, Any]:
    """A billing line; quantity 1 and the item "usage" unless said otherwise."""
    defaults = {"quantity": Decimal(1), "unit_amount": Decimal(amount), "product_id": "usage"}
    return {"amount": Decimal(amount), "description": description, **defaults, **more}


@dataclass
class Books:
    """A billing source that holds what it was told, of any month."""

    rows: dict[str, list[dict[str, Any]]] = field(default_factory=lambda: {name: [] for name in BILLING})
    provides: frozenset[str] = frozenset(BILLING)

    def customer(self, key: str, name: str | None = None, **more: Any) -> None:
        """A customer, in dollars and of the US company unless said otherwise."""
        defaults = {"email": f"{key}@example.com", "currency": "USD", "legal_entity": "us", "terms": "Net 30"}
        self.rows["customers"].append({"id": key, "name": name or f"Customer {key}", **defaults, **more})

    def invoice(self, key: str, *lines: Mapping[str, Any], **more: Any) -> None:
        """An invoice over these lines; its total is their sum unless said otherwise."""
        self._document("invoices", "invoice_lines", "invoice_id", key, lines, more)

    def credit_note(self, key: str, *lines: Mapping[str, Any], **more: Any) -> None:
        """A credit note over these lines."""
        self._document("credit_notes", "credit_note_lines", "credit_note_id", key, lines, more)

    def _document(
        self,
        table: str,
        line_table: str,
        parent: str,
        key: str,
        lines: Sequence[Mapping[str, Any]],
        more: Mapping[str, Any],
    ) -> None:
        document = {
            "id": key,
            "number": f"N-{key}",
            "issued_on": date(2026, 10, 15),
            "currency": "USD",
            "total": sum((one["amount"] for one in lines), Decimal(0)),
            "customer_id": "c1",
            "legal_entity": "us",
            "terms": "Net 30",
            "product_line": "Metering",
            **more,
        }
        self.rows[table].append(document)
        for number, one in enumerate(lines, start=1):
            self.rows[line_table].append({"id": f"{key}-{number}", parent: key, "line_no": number, **one})

    def count(self, table: str, start: date, end: date) -> int:
        return len(self._slice(table, start, end))

    def read(self, table: str, start: date, end: date) -> Iterator[pa.RecordBatch]:
        key = BILLING[table].key
        rows = sorted(self._slice(table, start, end), key=lambda row: [str(row[name]) for name in key])
        yield pa.RecordBatch.from_pylist(rows, schema=BILLING[table].schema)

    def locate(self, table: str, ids: Sequence[str]) -> Mapping[str, date]:
        return {row["id"]: row["issued_on"] for row in self.rows[table] if row["id"] in ids}

    def close(self) -> None:
        """Nothing is open."""

    def _slice(self, name: str, start: date, end: date) -> list[dict[str, Any]]:
        table = BILLING[name]
        if table.parent is not None:
            parents = {row.get("id") for row in self._slice(table.parent, start, end)}
            return [row for row in self.rows[name] if row[table.parent_column] in parents]
        if table.period_column is None:
            return self.rows[name]
        return [row for row in self.rows[name] if start <= row[table.period_column] < end]


class Month:
    """A tenant's accounting month: `books` is billing, the other methods change what NetSuite holds."""

    def __init__(self, held: TenantWarehouse, rules: TenantRules, period: str) -> None:
        self.held, self.rules, self.period = held, rules, period
        self.books = Books()
        self._day = month_bounds(period)[0] + timedelta(days=14)

    # Billing, of this month unless said otherwise

    def customer(self, key: str, name: str | None = None, **more: Any) -> None:
        self.books.customer(key, name, **more)

    def invoice(self, key: str, *lines: Mapping[str, Any], **more: Any) -> str:
        """A bill; gives the external id that NetSuite's invoice has."""
        self.books.invoice(key, *lines, **{"issued_on": self._day, **more})
        return f"inv-{key}"

    def credit_note(self, key: str, *lines: Mapping[str, Any], **more: Any) -> str:
        """A credit note; gives the external id that NetSuite's credit memo has."""
        self.books.credit_note(key, *lines, **{"issued_on": self._day, **more})
        return f"cm-{key}"

    # Both sides

    def land(self) -> Month:
        """Land billing, map it, and let NetSuite hold exactly what it should."""
        self.map_billing()
        for record, rules in self.rules.mapping.compared.items():
            tables = TABLES[record]
            columns = "".join(f", {quote(one.name)}" for one in comparable(rules.fields))
            dated = "NULL" if tables.lines is None else "strftime(\"tranDate\", '%Y-%m')"
            self._ensure(record)
            self.sql(f"DELETE FROM netsuite.{tables.name}")
            self.sql(
                f"""INSERT INTO netsuite.{tables.name} BY NAME
                SELECT period, ({_FIRST_IDS[record]} + row_number() OVER (ORDER BY external_id))::VARCHAR AS internal_id,
                    external_id, 'T-' || number AS number, name,
                    'A' AS status, currency, total, {dated} AS dated_in, 'then' AS last_modified{columns}
                FROM expected.{tables.name} WHERE problem IS NULL"""
            )
            if record == "customerPayment":
                self._apply()
            elif tables.lines is not None:
                columns = "".join(f", l.{quote(one.name)}" for one in comparable(rules.line_fields))
                self.sql(f"DELETE FROM netsuite.{tables.lines}")
                self.sql(
                    f"""INSERT INTO netsuite.{tables.lines} BY NAME
                    SELECT l.period, n.internal_id, concat_ws('/', l.source_id, nullif(l.line_rule, '')) AS line_key, l.line_no{columns}
                    FROM expected.{tables.lines} l JOIN netsuite.{tables.name} n USING (external_id)"""
                )
        self.prove()
        return self

    def map_billing(self) -> None:
        """Land billing's slices and NetSuite's lists, and map."""
        extract_billing(self.held, self.books, list(BILLING), self.period, NOW)
        self.held.ensure_table("netsuite.reference", REFERENCE)
        self.held.ensure_table("netsuite.periods", PERIODS.landed)
        values = ", ".join(f"('{name}', '{key}', '{shown}', '{shown}', false)" for name, key, shown in LISTS)
        self.sql("DELETE FROM netsuite.reference")
        self.sql(
            f"INSERT INTO netsuite.reference (list, internal_id, name, number, is_inactive) VALUES {values}"
        )
        self._prove("netsuite.reference", None, ("list", "internal_id"))
        fill_expected(self.held, self.rules.mapping, self.period, NOW)

    def prove(self) -> None:
        """Record what NetSuite's tables hold now as the slices that were extracted."""
        self._prove("netsuite.reference", None, ("list", "internal_id"))
        self._prove("netsuite.periods", None, ("internal_id",))
        for record in self.rules.mapping.compared:
            tables = TABLES[record]
            self._prove(f"netsuite.{tables.name}", tables.lines and self.period, ("internal_id",))
            if tables.lines is not None:
                key = ("line_key",) if tables.totalled else ("applying_id", "invoice_id")
                self._prove(f"netsuite.{tables.lines}", self.period, key)

    def reconcile(self) -> Found:
        """What the reconciliation finds in NetSuite's tables as they are now, taken for what was extracted."""
        self.prove()
        found = reconcile(self.held, self.rules.tenant, self.rules.mapping, self.period, self.books.locate)
        return Found(found)

    def sql(self, statement: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        return self.held.sql(statement, parameters)

    def internal_id(self, external_id: str) -> str:
        """NetSuite's own id of a record."""
        name = self._tables(external_id).name
        found = self.held.value(
            f"SELECT internal_id FROM netsuite.{name} WHERE external_id = ?", [external_id]
        )
        return str(found)

    # Defects: what NetSuite holds otherwise

    def remove(self, external_id: str) -> None:
        """NetSuite does not hold the record."""
        tables, owner = self._tables(external_id), self.internal_id(external_id)
        for name in (tables.name, tables.lines):
            if name is not None:
                key = "applying_id" if name == "applications" else "internal_id"
                self.sql(f"DELETE FROM netsuite.{name} WHERE {key} = ?", [owner])

    def change(self, original: str, **values: Any) -> None:
        """NetSuite's record has other values."""
        self._update(self._tables(original).name, "external_id = ?", [original], values)

    def change_line(self, external_id: str, number: int, **values: Any) -> None:
        """One line has other values; the total follows the amounts, as NetSuite's does."""
        where, at = "internal_id = ? AND line_no = ?", [self.internal_id(external_id), number]
        before = self._line_total(external_id)
        self._update(str(self._tables(external_id).lines), where, at, values)
        self._follow(external_id, before)

    def remove_line(self, external_id: str, number: int) -> None:
        """One line is not there; the total follows."""
        before = self._line_total(external_id)
        self.sql(
            f"DELETE FROM netsuite.{self._tables(external_id).lines} WHERE internal_id = ? AND line_no = ?",
            [self.internal_id(external_id), number],
        )
        self._follow(external_id, before)

    def add_line(self, external_id: str, like: int, **values: Any) -> None:
        """A line more, like line number `like` but for these values; the total follows."""
        lines = self._tables(external_id).lines
        before = self._line_total(external_id)
        owner = self.internal_id(external_id)
        last = self.held.value(f"SELECT max(line_no) FROM netsuite.{lines} WHERE internal_id = ?", [owner])
        number = int(last) + 1
        self.sql(
            f"INSERT INTO netsuite.{lines} SELECT * REPLACE (? AS line_no, ? AS line_key)"
            f" FROM netsuite.{lines} WHERE internal_id = ? AND line_no = ?",
            [number, f"{external_id}+{number}", owner, like],
        )
        self._update(str(lines), "internal_id = ? AND line_no = ?", [owner, number], values)
        self._follow(external_id, before)

    def copy(self, original: str, internal_id: str, **values: Any) -> None:
        """NetSuite holds the document once more, under another internal id and (unless given) no external id."""
        tables = self._tables(original)
        self.sql(
            f"INSERT INTO netsuite.{tables.name} SELECT * REPLACE (? AS internal_id, NULL AS external_id)"
            f" FROM netsuite.{tables.name} WHERE external_id = ?",
            [internal_id, original],
        )
        self._update(tables.name, "internal_id = ?", [internal_id], values)

    def close_period(self, month: str, column: str = "closed") -> None:
        """NetSuite's accounting period takes no postings."""
        flags = ", ".join(
            "true" if name == column else "false" for name in ("closed", "ar_locked", "all_locked")
        )
        self.sql(
            "INSERT INTO netsuite.periods (internal_id, name, start_date, end_date, closed, ar_locked, all_locked)"
            f" VALUES (?, ?, ?::DATE, last_day(?::DATE), {flags})",
            [f"p-{month}", month, f"{month}-01", f"{month}-01"],
        )

    # Inside

    def _apply(self) -> None:
        """NetSuite's payments settle what they should."""
        self.sql("DELETE FROM netsuite.applications")
        self.sql(
            """INSERT INTO netsuite.applications BY NAME
            SELECT l.period, 'customerPayment' AS applying_record, p.internal_id AS applying_id,
                p.number AS applying_number, p.external_id AS applying_external_id, i.internal_id AS invoice_id,
                i.number AS invoice_number, i.external_id AS invoice_external_id, p.currency, l.amount,
                'Payment' AS link_type, NULL::DATE AS applied_on, 'then' AS last_modified
            FROM expected.applications l JOIN netsuite.payments p USING (external_id)
            JOIN netsuite.invoices i ON i.external_id = l.doc"""
        )

    @staticmethod
    def _tables(external_id: str) -> Any:
        record = {
            "cus": "customer",
            "inv": "invoice",
            "cm": "creditMemo",
            "pay": "customerPayment",
            "je": "journalEntry",
        }[external_id.split("-")[0]]
        return TABLES[record]

    def _ensure(self, record: str) -> None:
        rules, tables = self.rules.mapping.compared[record], TABLES[record]
        fields = {one.name: COLUMN_TYPES[one.kind] for one in comparable(rules.fields)}
        self.held.ensure_table(f"netsuite.{tables.name}", fields | _OWN.get(record, ACTUAL_CORE))
        if not tables.totalled and tables.lines is not None:
            self.held.ensure_table(f"netsuite.{tables.lines}", APPLICATIONS)
        elif tables.lines is not None:
            fields = {one.name: COLUMN_TYPES[one.kind] for one in comparable(rules.line_fields)}
            self.held.ensure_table(f"netsuite.{tables.lines}", ACTUAL_LINE_CORE | fields)

    def _prove(self, table: str, period: str | None, key: Sequence[str]) -> None:
        where, at = ("", []) if period is None else (" WHERE period = ?", [period])
        rows = self.held.value(f"SELECT count(*) FROM {table}{where}", at)
        self.held.record_slice(table, period, key=key, expected_rows=rows, source="NetSuite", now=NOW)

    def _update(self, table: str, where: str, at: Sequence[Any], values: Mapping[str, Any]) -> None:
        if values:
            assigned = ", ".join(f"{quote(name)} = ?" for name in values)
            changed = self.sql(
                f"UPDATE netsuite.{table} SET {assigned} WHERE {where}", [*values.values(), *at]
            )
            assert changed[0][0] == 1, f"{changed[0][0]} rows of netsuite.{table} where {where} {at}"

    def _line_total(self, external_id: str) -> Decimal:
        lines = self._tables(external_id).lines
        total = self.held.value(
            f"SELECT coalesce(sum(amount), 0)::DECIMAL(18,4) FROM netsuite.{lines} WHERE internal_id = ?",
            [self.internal_id(external_id)],
        )
        assert isinstance(total, Decimal)
        return total

    def _follow(self, external_id: str, before: Decimal) -> None:
        moved = self._line_total(external_id) - before
        self.sql(
            f"UPDATE netsuite.{self._tables(external_id).name} SET total = total + ? WHERE external_id = ?",
            [moved, external_id],
        )


@dataclass(frozen=True)
class Landed:
    """A working file in which both sides agree, and the books behind it."""

    path: Path
    books: Books


def october_books(month: Month) -> None:
    """Bills in dollars and euros, a credit note, a bill without a customer, and a bill of September."""
    month.customer("c1", "Nordwind Ltd")
    month.customer("c2", "Café Zürich 株式会社", currency="EUR", legal_entity="eu")
    month.invoice(
        "plain",
        line("100.00", "API calls"),
        line("50.50", "Seats", product_id="seats", quantity=Decimal(5), unit_amount=Decimal("10.10")),
        line("0.37", "Storage"),
        memo="October usage",
    )
    month.invoice("same", line("10.00"), line("10.00"), line("10.00"), memo="")
    month.invoice(
        "euro", line("80.00", "Nutzung – Größe Ω"), customer_id="c2", currency="EUR", legal_entity="eu"
    )
    month.invoice("euro2", line("20.00"), customer_id="c2", currency="EUR", legal_entity="eu")
    month.invoice("nobody", line("36.04"), customer_id=None)
    month.invoice("september", line("7.00"), issued_on=date(2026, 9, 30))
    month.credit_note("back", line("12.00", "Goodwill"))


class Found:
    """What a reconciliation found, as plain rows."""

    def __init__(self, found: Reconciliation) -> None:
        self.differences = frames.records(found.differences)
        self.tolerated = frames.records(found.tolerated)
        self.totals = {(row["record"], row["currency"]): row for row in frames.records(found.totals)}
        self.total_parts = frames.records(found.total_parts)
        self.exceptions = frames.records(found.exceptions)

    def of(self, external_id: str | None) -> list[dict[str, Any]]:
        """The differences of one record."""
        return [row for row in self.differences if row["external_id"] == external_id]

    def only(self, kind: str) -> dict[str, Any]:
        """The one difference that there is, which is of this kind."""
        assert [row["kind"] for row in self.differences] == [kind], self.told
        return self.differences[0]

    @property
    def kinds(self) -> list[tuple[str | None, str]]:
        """External id and kind of each difference."""
        return [(row["external_id"], row["kind"]) for row in self.differences]

    @property
    def told(self) -> list[str]:
        """The differences in words."""
        return [row["reason"] for row in self.differences]

    def assert_adds_up(self) -> None:
        """Billed less held back less NetSuite is the sum of the differences, for every record and currency, but for
        what the tolerance took of totals.
        """
        deltas: dict[tuple[str, str], Decimal] = {}
        for row in self.differences:
            if row["record"] != "customer":
                key = (row["record"], row["currency"])
                deltas[key] = deltas.get(key, Decimal(0)) + row["delta"]
        forgiven = {
            (row["record"], row["currency"]): row["delta"]
            for row in self.tolerated
            if (row["part"], row["field"]) == ("header", "total")
        }
        for key, row in self.totals.items():
            gap = row["billed_total"] - row["held_back_total"] - row["netsuite_total"]
            assert row["difference"] == gap, key
            unexplained = forgiven.pop(key, Decimal(0))
            assert deltas.pop(key, Decimal(0)) == gap - unexplained, (key, self.told)
            assert row["explained"] == gap - unexplained, key
            assert row["unexplained"] == unexplained, key
        assert not any(deltas.values()), deltas
        assert forgiven == {}
        parts: dict[tuple[str, str], Decimal] = {}
        for row in self.total_parts:
            key = (row["record"], row["currency"])
            parts[key] = parts.get(key, Decimal(0)) + row["amount"]
            assert row["external_id"] or row["internal_id"], row["detail"]
        for key, row in self.totals.items():
            assert parts.pop(key, Decimal(0)) == row["difference"], (key, self.total_parts)
        assert not parts
