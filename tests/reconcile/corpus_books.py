"""The two sides of a corpus month: which record of NetSuite is which of billing's is known, for they were made together.

Here: the records, and landing them in a working file. Not here: what is wrong with them (`corpus_defects.py`), or what
a comparison must say of it (`corpus_truth.py`).
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Any

import pyarrow as pa
from corpus_tenant import CURRENCY_ID, LISTS, PRECISION, Policy
from month import Found, Month, TenantRules

from netsuite_assets.extract.trails import NOTES, SYSTEM_NOTES
from netsuite_assets.reconcile.engine import reconcile, required_slices
from netsuite_assets.tables import COMPARED, TABLES
from resources.warehouse import TenantWarehouse

PERIOD = "2026-10"
NOW = datetime(2026, 11, 1, 6, 0, tzinfo=UTC)
ZONE = "America/New_York"
DOCUMENTS = ("invoice", "creditMemo", "customerPayment", "journalEntry")
PREFIX = {
    "customer": "cus",
    "invoice": "inv",
    "creditMemo": "cm",
    "customerPayment": "pay",
    "journalEntry": "je",
}
CUSTOMERS = {"cus-b1": "Nordwind Ltd", "cus-b2": "Café Zürich 株式会社", "cus-b3": "Ωmega & Söhne"}


@dataclass
class Line:
    """A line of a document; `key` is NetSuite's own."""

    number: int
    values: dict[str, Any]
    key: str = ""


@dataclass
class Record:
    """A record as one side holds it. `values` are the mapped fields, `applied` what a payment settles: external id of
    the invoice to amount.
    """

    kind: str
    external_id: str | None
    number: str
    name: str | None
    currency: str | None
    total: Decimal | None
    values: dict[str, Any]
    internal_id: str = ""
    lines: list[Line] = field(default_factory=list)
    applied: dict[str, Decimal] = field(default_factory=dict)
    problem: str | None = None
    period: str = PERIOD

    @property
    def dated_in(self) -> str:
        """The month of the transaction date."""
        return f"{self.values['tranDate']:%Y-%m}"

    @property
    def settled_then(self) -> dict[str, Decimal]:
        """What a payment settled when it was compared before: of the invoices that were there then."""
        return {doc: settled for doc, settled in self.applied.items() if doc.startswith("inv-base")}

    def move(self, by: Decimal) -> None:
        """Let the total follow."""
        self.total = (self.total or Decimal(0)) + by


@dataclass
class Pair:
    """One record on both sides, what is wrong with it, and what NetSuite holds besides on its account.

    `same_line` is billing's line number to NetSuite's line, of the lines that both hold. `matched_by` is how the two are
    known to be the same; `apart` is what billing's is to be called where NetSuite's counterpart is not taken for it.
    With `former_id` it was compared once before, when it had its external id and this internal id, and both sides had
    what is `agreed_then`, which is billing's of now where nothing is said. What `is_base` is the same in every month of
    the corpus.
    """

    expected: Record | None
    actual: Record | None
    same_line: dict[int, Line] = field(default_factory=dict)
    planted: list[str] = field(default_factory=list)
    besides: list[Besides] = field(default_factory=list)
    matched_by: str = "external_id"
    apart: str | None = None
    former_id: str | None = None
    agreed_then: Record | None = None
    is_base: bool = False

    @property
    def both(self) -> tuple[Record, Record]:
        assert self.expected is not None
        assert self.actual is not None
        return self.expected, self.actual

    @property
    def kind(self) -> str:
        record = self.expected or self.actual
        assert record is not None
        return record.kind

    @property
    def agreed(self) -> Record:
        """Billing's side."""
        assert self.expected is not None
        return self.expected

    @property
    def then(self) -> Record | None:
        """What both sides had when they were compared before, if they were."""
        return None if self.former_id is None else self.agreed_then or self.agreed


@dataclass
class Besides:
    """A record of NetSuite without a counterpart, and what it is to be called."""

    record: Record
    kind: str
    expected: str | None = None
    matched_by: str | None = None


@dataclass(frozen=True)
class Note:
    """One of NetSuite's system notes: local time of the account."""

    record: str
    internal_id: str
    field: str
    changed_by: str
    changed_at: datetime
    sequence: int


@dataclass
class Books:
    """A corpus month. `issued_elsewhere` and `voided` are documents of billing's that are not expected: source id to the
    day of issue, and record type with source id.
    """

    policy: Policy
    pairs: list[Pair] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)
    issued_elsewhere: dict[str, date] = field(default_factory=dict)
    voided: list[tuple[str, str]] = field(default_factory=list)
    _ids: int = 5000

    def new_id(self) -> str:
        """An internal id that nothing has."""
        self._ids += 1
        return str(self._ids)

    def add(self, record: Record) -> Pair:
        """A record that both sides hold, the same."""
        held = replace(copy.deepcopy(record), internal_id=self.new_id(), number=f"T-{record.number}")
        for one in held.lines:
            one.key = f"{held.internal_id}/{one.number}"
        lines = {mine.number: theirs for mine, theirs in zip(record.lines, held.lines, strict=True)}
        pair = Pair(record, held, lines)
        self.pairs.append(pair)
        return pair

    def note(self, record: Record, name: str, by: str, at: datetime) -> None:
        """NetSuite notes that a field was changed."""
        self.notes.append(Note(record.kind, record.internal_id, name, by, at, len(self.notes) + 1))

    def held(self) -> Iterator[Record]:
        """All that NetSuite holds."""
        for pair in self.pairs:
            if pair.actual is not None:
                yield pair.actual
            yield from (one.record for one in pair.besides)

    def billed(self) -> Iterator[Record]:
        """All that billing has."""
        yield from (pair.expected for pair in self.pairs if pair.expected is not None)


# What the records are made of


def amount(rng: Random, currency: str, *, positive: bool = False) -> Decimal:
    """An amount to the currency's last place: of everyday size, or tiny, or huge, or below zero."""
    most = rng.choice([99, 10_000, 10_000_000, 10_000_000, 10**12])
    units = rng.randint(1, most)
    sign = -1 if not positive and rng.random() < 0.1 else 1
    return Decimal(sign * units).scaleb(-PRECISION[currency])


def new_record(rng: Random, kind: str, currency: str, lines: int, key: str) -> Record:
    """What billing has: a record of this kind, its lines unlike one another unless they are meant to be the same."""
    made = {
        "customer": _customer, "invoice": _invoice, "creditMemo": _credit_memo,
        "customerPayment": _payment, "journalEntry": _journal,
    }[kind](rng, currency, lines, key)  # fmt: skip
    made.external_id = f"{PREFIX[kind]}-{key}"
    return made


def _customer(rng: Random, currency: str, lines: int, key: str) -> Record:
    name = f"{rng.choice(['Süd', 'West', 'Ost 株'])}wind {key}"
    values = {
        "companyName": name, "email": f"{key}@example.com", "currency_id": CURRENCY_ID[currency],
        "subsidiary": rng.choice("13"), "terms": "2", "custentity_billing_id": key,
    }  # fmt: skip
    return Record("customer", None, key, name, currency, None, values)


def _header(rng: Random, currency: str, key: str, customer: str, who: str) -> dict[str, Any]:
    return {
        who: customer, "currency_id": CURRENCY_ID[currency], "tranDate": date(2026, 10, rng.choice([1, 31, rng.randint(5, 25)])),
        "memo": f"October Usage {key} é", "subsidiary": rng.choice("13"),
    }  # fmt: skip


def _document(
    rng: Random, kind: str, currency: str, lines: int, key: str, extra: Mapping[str, Any]
) -> Record:
    customer = rng.choice(list(CUSTOMERS))
    values = _header(rng, currency, key, customer, "entity") | {"otherRefNum": f"N-{key}", **extra}
    made = [_line(rng, currency, number, key) for number in range(1, lines + 1)]
    total = sum((one.values["amount"] for one in made), Decimal(0))
    if rng.random() < 0.3:  # tax, which no line has
        total += amount(rng, currency)
    return Record(kind, None, f"N-{key}", CUSTOMERS[customer], currency, total, values, lines=made)


def _line(rng: Random, currency: str, number: int, key: str) -> Line:
    values = {
        "item": rng.choice(["11", "12", "13"]),
        "description": f"Usage {key} No {number} é",
        "quantity": Decimal(rng.randint(100, 10**9)).scaleb(-rng.choice([0, 2, 6])),
        "rate": Decimal(rng.randint(100, 10**9)).scaleb(-rng.choice([2, 6, 10])),
        "amount": amount(rng, currency),
    }  # fmt: skip
    return Line(number, values)


def _invoice(rng: Random, currency: str, lines: int, key: str) -> Record:
    extra = {
        "message": rng.choice(["paid", "open", None]), "terms": "2", "cseg_product": rng.choice(["1", None]),
        "department": "1", "custbody_contract_start": rng.choice([date(2026, 2, 28), None]),
        "custbody_seats": rng.choice([0, 7, None]), "custbody_credit_limit": rng.choice([Decimal("10.5"), None]),
        "custbody_is_trial": rng.choice([True, False, None]),
    }  # fmt: skip
    made = _document(rng, "invoice", currency, lines, key, extra)
    made.values["dueDate"] = made.values["tranDate"] + timedelta(30)
    for one in made.lines:
        one.values |= {
            "custcol_billing_line": f"{key}-{one.number}", "custcol_service_start": date(2026, 9, 1),
            "custcol_rated_events": rng.randint(0, 10**12), "class": "1",
        }  # fmt: skip
    return made


def _credit_memo(rng: Random, currency: str, lines: int, key: str) -> Record:
    made = _document(rng, "creditMemo", currency, lines, key, {"cseg_product": "1"})
    if lines > 2 and rng.random() < 0.4:  # the last two are the same line twice
        made.lines[-1].values = dict(made.lines[-2].values)
        made.total = sum((one.values["amount"] for one in made.lines), Decimal(0))
    return made


def _payment(rng: Random, currency: str, lines: int, key: str) -> Record:
    customer = rng.choice(list(CUSTOMERS))
    values = _header(rng, currency, key, customer, "customer")
    del values["subsidiary"]
    applied = {
        f"inv-base{number}-{currency}": amount(rng, currency, positive=True) for number in range(lines)
    }
    values["payment"] = sum(applied.values(), Decimal(0))
    return Record(
        "customerPayment",
        None,
        key,
        CUSTOMERS[customer],
        currency,
        values["payment"],
        values,
        applied=applied,
    )


def _journal(rng: Random, currency: str, lines: int, key: str) -> Record:
    values = _header(rng, currency, key, "", "entity")
    del values["entity"], values["subsidiary"]
    made = []
    for number in range(1, lines + 1):
        made.append(
            Line(number, {"account": "411", "debit": amount(rng, currency, positive=True), "credit": None})
        )
    total = sum((one.values["debit"] for one in made), Decimal(0))
    made.append(Line(lines + 1, {"account": "598", "debit": None, "credit": total}))
    for one in made:
        one.values["memo"] = f"Accrued {key} No {one.number} é"
    return Record("journalEntry", None, key, None, currency, total, values, lines=made)


def base_records() -> Iterator[Record]:
    """What is never drifted: the customers that documents name, and the invoices that payments settle."""
    for external_id, name in CUSTOMERS.items():
        made = new_record(Random(external_id), "customer", "USD", 0, external_id.removeprefix("cus-"))
        made.name = made.values["companyName"] = name
        yield made
    for currency in PRECISION:
        for number in range(5):
            key = f"base{number}-{currency}"
            yield new_record(Random(key), "invoice", currency, 1, key)


# Landing


class Landing:
    """Lands corpus months in one working file, one after the other."""

    def __init__(self, held: TenantWarehouse, tenant: TenantRules) -> None:
        self.held, self.tenant = held, tenant
        self._landed: dict[str, list[dict[str, Any]]] = {}
        Month(held, tenant, PERIOD).land()  # the tables, with nothing in them
        held.ensure_table(NOTES, SYSTEM_NOTES)
        self._fill("netsuite.reference", [
            {"list": listing, "internal_id": key, "name": name, "number": name, "is_inactive": False}
            for listing, key, name in LISTS
        ])  # fmt: skip

    def reconcile(self, books: Books, tenant: TenantRules, rng: Random) -> Found:
        """What the product finds; rows land in any order.

        Records that are to be known from before were compared once, as they were then.
        """
        self._forget()
        known = [(pair, pair.then) for pair in books.pairs if pair.then is not None]
        if known:
            before = Books(books.policy)
            before.pairs += [pair for pair in books.pairs if pair.is_base]
            for pair, then in known:
                billed = replace(then, applied=then.settled_then)
                before.pairs.append(Pair(billed, replace(billed, internal_id=str(pair.former_id))))
            self._reconcile(before, tenant, rng)
        return self._reconcile(books, tenant, rng)

    def _reconcile(self, books: Books, tenant: TenantRules, rng: Random) -> Found:
        self._land(books, rng)
        mapping = tenant.mapping
        found = reconcile(
            self.held, tenant.tenant, mapping, PERIOD, lambda _, ids: {
                one: books.issued_elsewhere[one] for one in ids if one in books.issued_elsewhere
            },
        )  # fmt: skip
        return Found(found)

    def _land(self, books: Books, rng: Random) -> None:
        tables: dict[str, list[dict[str, Any]]] = {NOTES: []}
        for tables_of in TABLES.values():
            for side in ("expected", "netsuite"):
                tables[f"{side}.{tables_of.name}"] = []
                if tables_of.lines:
                    tables[f"{side}.{tables_of.lines}"] = []
        for record in books.billed():
            of = TABLES[record.kind]
            period = record.period if of.lines else None
            tables[f"expected.{of.name}"].append({
                "period": period, "external_id": record.external_id, "source_id": str(record.external_id).partition("-")[2],
                "number": record.number, "name": record.name, "currency": record.currency, "total": record.total,
                "problem": record.problem, "problem_code": record.problem and "no_customer",
                "next_step": record.problem and "Name the customer in billing.", **record.values,
            })  # fmt: skip
            lines = tables.get(f"expected.{of.lines}")
            own = {"period": period, "external_id": record.external_id}
            for one in record.lines:
                assert lines is not None
                lines.append(
                    {**own, "source_id": f"{record.number}-{one.number}", "line_no": one.number, **one.values}
                )
            for number, (doc, settled) in enumerate(record.applied.items(), 1):
                assert lines is not None
                lines.append(
                    {**own, "source_id": doc, "line_no": number, "doc": doc, "apply": True, "amount": settled}
                )
        invoices = {
            str(pair.agreed.external_id): pair.actual
            for pair in books.pairs
            if pair.kind == "invoice" and pair.actual
        }
        for record in books.held():
            of = TABLES[record.kind]
            own = {"period": record.period if of.lines else None, "internal_id": record.internal_id}
            dated_in = record.dated_in if of.lines else None
            tables[f"netsuite.{of.name}"].append({
                **own, "external_id": record.external_id, "number": record.number, "name": record.name,
                "status": "A", "currency": record.currency, "total": record.total, "dated_in": dated_in,
                "last_modified": "then", **record.values,
            })  # fmt: skip
            lines = tables.get(f"netsuite.{of.lines}")
            for one in record.lines:
                assert lines is not None
                key = one.key or f"{record.internal_id}/{one.number}"
                lines.append({**own, "line_key": key, "line_no": one.number, **one.values})
            for doc, settled in record.applied.items():
                assert lines is not None
                to = invoices[doc]
                lines.append({
                    "period": own["period"], "applying_record": record.kind, "applying_id": record.internal_id,
                    "applying_number": record.number, "applying_external_id": record.external_id,
                    "invoice_id": to.internal_id, "invoice_number": to.number, "invoice_external_id": to.external_id,
                    "currency": record.currency, "amount": settled, "link_type": "Payment", "last_modified": "then",
                })  # fmt: skip
        for kind in DOCUMENTS:
            tables[f"billing.{TABLES[kind].billing}"] = [
                {"period": PERIOD, "id": source, "status": "void"}
                for of, source in books.voided
                if of == kind
            ]
        for note in books.notes:
            tables[NOTES].append({
                "period": PERIOD, "record": note.record, "internal_id": note.internal_id, "note_no": note.sequence,
                "changed_at": note.changed_at, "time_zone": ZONE, "changed_by": note.changed_by, "field": note.field,
            })  # fmt: skip
        changed = {table for table, rows in tables.items() if rows != self._landed.get(table)}
        self._landed |= {table: list(tables[table]) for table in changed}
        for table in sorted(changed):
            rng.shuffle(tables[table])
            self._fill(table, tables[table])
        self._prove(changed)

    def _forget(self) -> None:
        """What was kept of an earlier month of the corpus: each is compared for the first time."""
        for schema, table in self.held.sql(
            "SELECT schema_name, table_name FROM duckdb_tables() WHERE database_name = current_database()"
            " AND (starts_with(table_name, 'agreed_') OR table_name = 'known_ids')"
        ):
            self.held.sql(f"DELETE FROM {schema}.{table}")

    def _fill(self, table: str, rows: Sequence[Mapping[str, Any]]) -> None:
        self.held.sql(f"DELETE FROM {table}")
        if not rows:
            return
        schema = self.held.arrow(f"SELECT * FROM {table} LIMIT 0").schema
        unknown = {name for row in rows for name in row} - set(schema.names)
        used = (
            schema.empty_table()
            .select([name for name in schema.names if any(name in row for row in rows)])
            .schema
        )
        self.held.connection.register("corpus_rows", pa.Table.from_pylist(
            [{name: value for name, value in row.items() if name not in unknown} for row in rows], schema=used
        ))  # fmt: skip
        self.held.sql(f"INSERT INTO {table} BY NAME SELECT * FROM corpus_rows")
        self.held.connection.unregister("corpus_rows")

    def _prove(self, changed: set[str]) -> None:
        slices = required_slices(self.tenant.mapping, PERIOD, COMPARED) | {NOTES: PERIOD}
        for table, period in slices.items():
            if table not in changed and self.held.slice(table, period) is not None:
                continue
            where, at = ("", []) if period is None else (" WHERE period = ?", [period])
            rows = self.held.value(f"SELECT count(*) FROM {table}{where}", at)
            self.held.record_slice(
                table, period, key=_key(table), expected_rows=rows, source="the corpus", now=NOW
            )


def _key(table: str) -> tuple[str, ...]:
    """What tells a table's rows apart."""
    schema, _, name = table.partition(".")
    lines = {of.lines for of in TABLES.values()}
    match schema, name:
        case _, "reference":
            return "list", "internal_id"
        case _, "system_notes":
            return ("note_no",)
        case "netsuite", "applications":
            return "applying_id", "invoice_id"
        case "netsuite", _:
            return ("line_key",) if name in lines else ("internal_id",)
        case "expected", _:
            return ("external_id", "line_no") if name in lines else ("external_id",)
    return ("payment_id", "invoice_id") if name == "payment_applications" else ("id",)
