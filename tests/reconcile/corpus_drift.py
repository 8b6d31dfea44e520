"""Documents that are open on one side, or open by another amount: billing's and NetSuite's, made with what must be said.

Here: invoices, payments and credit memos of both sides, and landing them. Not here: differences of fields
(`corpus_defects.py`). Both sides are made from the same few numbers, and what is open is worked out of these alone.

| what is wrong | kind |
|:--|:--|
| paid in billing, open in NetSuite, and the other way round | `paid_in_billing`, `paid_in_netsuite` |
| open on both sides, by different amounts | `open_differs` |
| more applied than the invoice, or than the payment, on either side | `over_applied` |
| a payment or credit memo that NetSuite has not applied as far as billing | `unapplied` |
| a payment or credit memo of NetSuite's that billing does not know | `unknown_payment`, `unknown_credit_memo` |
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from random import Random
from typing import Any, NamedTuple

from corpus_books import NOW, PERIOD
from corpus_tenant import PRECISION

from resources.warehouse import TenantWarehouse

DAY = date(2026, 10, 20)
#: What a case does to what both sides have, by name.
CASES = (
    "nothing", "paid in billing alone", "paid in NetSuite alone", "paid in part on both", "too much in billing",
    "too much in NetSuite", "payment left over in NetSuite", "more than the payment in billing",
    "more than the payment in NetSuite", "unknown payment applied", "unknown payment", "credit memo not applied",
    "unknown credit memo", "two payments, one lacking",
)  # fmt: skip


class Drift(NamedTuple):
    """One row of the drift."""

    kind: str
    record: str
    external_id: str | None
    internal_id: str | None
    currency: str
    amount: Decimal


@dataclass
class Paid:
    """A payment (or credit memo) and what either side applies of it to the invoice; `amount` None where billing lacks it."""

    record: str
    key: str
    total: Decimal
    billed: Decimal | None
    held: Decimal

    @property
    def external_id(self) -> str | None:
        prefix = "pay" if self.record == "customerPayment" else "cm"
        return None if self.billed is None else f"{prefix}-{self.key}"


@dataclass
class Case:
    """An invoice with what settles it."""

    name: str
    key: str
    currency: str
    total: Decimal
    paid: list[Paid] = field(default_factory=list)

    def drift(self) -> list[Drift]:
        """What must be said of it."""
        zero = Decimal(0)
        billing = self.total - sum((one.billed or zero for one in self.paid), zero)
        netsuite = self.total - sum((one.held for one in self.paid), zero)
        own = ("invoice", f"inv-{self.key}", self.key, self.currency)
        found = []
        if max(billing, zero) != max(netsuite, zero):
            kind = (
                "paid_in_billing" if billing <= 0 else "paid_in_netsuite" if netsuite <= 0 else "open_differs"
            )
            found.append(Drift(kind, *own, abs(max(billing, zero) - max(netsuite, zero))))
        if billing < 0 or netsuite < 0:
            found.append(Drift("over_applied", *own, -min(billing, netsuite)))
        for one in self.paid:
            of = (one.record, one.external_id, one.key, self.currency)
            left = max(one.total - one.held, zero)
            if one.held > one.total:
                found.append(Drift("over_applied", *of, one.held - one.total))
            if one.billed is None:
                kind = "unknown_payment" if one.record == "customerPayment" else "unknown_credit_memo"
                found.append(Drift(kind, *of, one.held or left))
                continue
            if one.billed > one.total:
                # Billing alone says so, whatever NetSuite has of it.
                found.append(Drift("over_applied", *of[:2], None, self.currency, one.billed - one.total))
            if left > one.total - one.billed:
                found.append(Drift("unapplied", *of, left - (one.total - one.billed)))
        return found


def make(rng: Random, name: str, key: str, currency: str) -> Case:
    """One case; amounts are of any size, to the currency's last place."""
    unit = Decimal(1).scaleb(-PRECISION[currency])
    total = rng.randint(1_000, 10 ** rng.choice([4, 7, 12])) * unit
    part, bit = (total / 3).quantize(unit), rng.choice([unit, 7 * unit])
    case = Case(name, key, currency, total)

    def pay(amount: Decimal, billed: Decimal | None, held: Decimal, record: str = "customerPayment") -> None:
        case.paid.append(Paid(record, f"{key}-{len(case.paid)}", amount, billed, held))

    match name:
        case "nothing":
            pay(part, part, part)
        case "paid in billing alone":
            pay(total, total, Decimal(0))
        case "paid in NetSuite alone":
            pay(total, Decimal(0), total)
        case "paid in part on both":
            pay(total, part, part + bit)
        case "too much in billing":
            pay(total + bit, total + bit, total)
        case "too much in NetSuite":
            pay(total + bit, total, total + bit)
        case "payment left over in NetSuite":
            pay(total, total - bit, part)
        case "more than the payment in billing":
            pay(part, part + bit, part)
        case "more than the payment in NetSuite":
            pay(part, part, part + bit)
        case "unknown payment applied":
            pay(total, None, part)
        case "unknown payment":
            pay(part, None, Decimal(0))
        case "credit memo not applied":
            pay(part, part, rng.choice([Decimal(0), part - bit]), "creditMemo")
        case "unknown credit memo":
            pay(part, None, rng.choice([Decimal(0), part]), "creditMemo")
        case "two payments, one lacking":
            pay(part, part, part)
            pay(total - part, total - part, Decimal(0))
    return case


def land(held: TenantWarehouse, cases: list[Case]) -> None:
    """Land both sides of these in an empty working file."""
    tables: dict[str, list[dict[str, Any]]] = {}

    def add(table: str, **values: Any) -> None:
        tables.setdefault(table, []).append({"period": PERIOD, **values})

    for case in cases:
        both = {
            "external_id": f"inv-{case.key}",
            "number": f"N-{case.key}",
            "currency": case.currency,
            "total": case.total,
        }
        settled = sum((one.held for one in case.paid), Decimal(0))
        add("expected.invoices", source_id=case.key, **both)
        add("billing.invoices", id=case.key, status="open", issued_on=DAY)
        add(
            "netsuite.invoices", internal_id=case.key, dated_in=PERIOD, remaining=case.total - settled, **both
        )
        for one in case.paid:
            is_payment = one.record == "customerPayment"
            own = {
                "external_id": one.external_id,
                "number": f"N-{one.key}",
                "currency": case.currency,
                "total": one.total,
            }
            held_in = "netsuite.payments" if is_payment else "netsuite.credit_memos"
            add(
                held_in,
                internal_id=one.key,
                dated_in=PERIOD,
                remaining=max(one.total - one.held, Decimal(0)),
                **own,
            )
            if one.held:
                add("netsuite.applications", applying_record=one.record, applying_id=one.key, applying_external_id=one.external_id,
                    invoice_id=case.key, invoice_external_id=f"inv-{case.key}", currency=case.currency, amount=one.held,
                    applied_on=DAY)  # fmt: skip
            if one.billed is None:
                continue
            add("expected.payments" if is_payment else "expected.credit_memos", source_id=one.key, **own)
            if is_payment:
                add(
                    "billing.payments",
                    id=one.key,
                    currency=case.currency,
                    amount=one.total,
                    paid_on=DAY,
                    status="succeeded",
                )
                if one.billed:
                    add(
                        "billing.payment_applications",
                        payment_id=one.key,
                        invoice_id=case.key,
                        amount=one.billed,
                        applied_on=DAY,
                    )
            else:
                add(
                    "billing.credit_notes",
                    id=one.key,
                    invoice_id=case.key,
                    issued_on=DAY,
                    total=one.total,
                    status="issued",
                )
    for table, rows in tables.items():
        _fill(held, table, rows)
    rows = len(tables["billing.payments"])
    held.record_slice(
        "billing.payments", PERIOD, key=("id",), expected_rows=rows, source="the corpus", now=NOW
    )


def _fill(held: TenantWarehouse, table: str, rows: list[Mapping[str, Any]]) -> None:
    schema, _, _ = table.partition(".")
    held.sql(f"CREATE SCHEMA IF NOT EXISTS {schema}")
    kinds = {Decimal: "DECIMAL(18,4)", date: "DATE", str: "VARCHAR"}
    columns: dict[str, str] = {}
    for row in rows:
        columns |= {name: kinds[type(value)] for name, value in row.items() if value is not None}
    held.sql(
        f"CREATE OR REPLACE TABLE {table} ({', '.join(f'{name} {kind}' for name, kind in columns.items())})"
    )
    marks = ", ".join("?" for _ in columns)
    held.connection.executemany(
        f"INSERT INTO {table} VALUES ({marks})", [[row.get(name) for name in columns] for row in rows]
    )
