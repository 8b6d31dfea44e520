"""A tenant with a billing database of its own and the sandbox's account, and the whole loop between them.

Here: filling the billing database with a few rows, running extract, mapping, reconcile, plan, apply and verify one after
the other over real HTTP, and looking at both sides afterwards. Not here: what must be true (the tests).
"""

from __future__ import annotations

import asyncio
import itertools
import shutil
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml
from writing_tools import QUICK

from netsuite_assets import frames
from netsuite_assets.extract.addresses import extract_addresses
from netsuite_assets.extract.billing import extract_billing
from netsuite_assets.extract.deposits import extract_deposits
from netsuite_assets.extract.journals import extract_journals
from netsuite_assets.extract.known_ids import refill_known_ids
from netsuite_assets.extract.netsuite import extract_customers, extract_documents
from netsuite_assets.extract.payments import extract_payments
from netsuite_assets.extract.reference import extract_reference
from netsuite_assets.mapping.compiler import Mapping as TenantMapping
from netsuite_assets.mapping.compiler import compile_mapping
from netsuite_assets.mapping.expected import fill_expected
from netsuite_assets.reconcile.engine import reconcile
from netsuite_assets.writeback.apply import Applied, apply_plan
from netsuite_assets.writeback.plan import Planned, make_plan
from netsuite_assets.writeback.verify import Verified, verify
from resources.billing import Returns
from resources.billing.canonical import TABLES as CANONICAL
from resources.connections import billing_returns, billing_source, netsuite_client
from resources.ledger import Ledger
from resources.netsuite.client import NetSuite
from resources.netsuite.writes import create_request, delete_request, eid, update_request
from resources.tenants import Tenant, TenantRegistry
from resources.warehouse import TenantWarehouse, Warehouse

ROOT = Path(__file__).parents[2]
_SERIAL = itertools.count(1)
#: Each loop has a month to itself, so that it sees no document of another's.
_MONTHS = (f"{year}-{month:02}" for year in range(2012, 2026) for month in range(1, 11, 3))

#: Each loop's ids begin with a word of its own, so that several may share an account.
TENANT = """
tenant: acme
extends: _journals
timezone: America/New_York
first_month: 2012-01
netsuite:
  account: 1234567_SB1
  base_url: ${{NS_URL}}
  auth: {{method: tba, consumer_key: "${{CK}}", consumer_secret: "${{CS}}", token_id: "${{TK}}", token_secret: "${{TS}}"}}
billing:
  system: sql
  url: ${{BILLING_URL}}
  tables:
    customers: {{table: customers}}
    invoices: {{table: invoices}}
    invoice_lines: {{table: invoice_lines}}
    credit_notes: {{table: credit_notes}}
    credit_note_lines: {{table: credit_note_lines}}
    payments: {{table: payments}}
    payment_applications: {{table: payment_applications}}
    journals: {{table: journals}}
    journal_lines: {{table: journal_lines}}
writeback:
  mode: apply
  approve_automatically: {{operations: 1000, amount: 1000000}}
  circuit_breaker: {{share: 1}}
  only_in_netsuite: delete
records:
  customer:
    external_id: "{word}cus-{{id}}"
    fields: {{subsidiary: {{from: legal_entity, map: {{us: "1", eu: "3"}}}}}}
  invoice:
    external_id: "{word}inv-{{id}}"
    fields: {{subsidiary: {{from: legal_entity, map: {{us: "1", eu: "3"}}}}}}
    lines: {{item: {{value: Usage, lookup: item, by: name}}}}
  creditMemo:
    external_id: "{word}cm-{{id}}"
    fields: {{subsidiary: {{from: legal_entity, map: {{us: "1", eu: "3"}}}}}}
    lines: {{item: {{value: Usage, lookup: item, by: name}}}}
  customerPayment:
    external_id: "{word}pay-{{id}}"
  journalEntry:
    external_id: "{word}je-{{id}}"
    fields: {{subsidiary: {{from: legal_entity, map: {{us: "1", eu: "3"}}}}}}
"""


def _deep(base: Any, over: Any) -> Any:
    if isinstance(base, dict) and isinstance(over, dict):
        return {**base, **{key: _deep(base.get(key), value) for key, value in over.items()}}
    return over


@dataclass
class Round:
    """What one round through the loop did."""

    planned: Planned
    applied: Applied | None
    verified: Verified | None

    @property
    def operations(self) -> list[dict[str, Any]]:
        return frames.records(self.planned.operations)

    @property
    def outcomes(self) -> list[dict[str, Any]]:
        assert self.verified is not None, "nothing was sent"
        return frames.records(self.verified.outcomes)

    def of(self, record: str) -> list[dict[str, Any]]:
        """The operations on one record type, in order."""
        return [row for row in self.operations if row["record"] == record]

    def told(self) -> list[tuple[str, str, str, bool | None]]:
        """Each operation as (record, action, state, verified), in the order of the plan."""
        order = {row["operation_key"]: row["sequence"] for row in self.operations}
        rows = sorted(self.outcomes, key=lambda row: order[row["operation_key"]])
        return [(row["record"], row["action"], row["state"], row["verified"]) for row in rows]


@dataclass
class Loop:
    """One tenant's loop, everything of it below `folder`."""

    folder: Path
    url: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    period: str = field(default_factory=lambda: next(_MONTHS))
    word: str = field(default_factory=lambda: f"l{next(_SERIAL)}-")

    def __post_init__(self) -> None:
        self.database = self.folder / "billing.sqlite"
        if not self.database.exists():
            shutil.copytree(ROOT / "tenants", self.folder / "tenants", dirs_exist_ok=True)
            text = yaml.safe_load(TENANT.format(word=self.word))
            path = self.folder / "tenants" / "acme.yaml"
            path.write_text(
                yaml.safe_dump(_deep(text, dict(self.settings)), sort_keys=False), encoding="utf-8"
            )
            self._make_tables()
        self.environ = {
            "NS_URL": self.url,
            "CK": "billing-integration",
            "CS": "cs_invented_0002",
            "TK": "tk_invented_0003",
            "TS": "ts_invented_0004",
            "BILLING_URL": f"sqlite:///{self.database}",
            "RECON_LEDGER": f"sqlite:///{self.folder / 'ledger.sqlite'}",
        }
        self.ledger = Ledger(self.environ["RECON_LEDGER"])
        self.warehouse = Warehouse(self.folder / "warehouse")

    def set(self, section: str, **settings: Any) -> None:
        """Change keys of a section of the tenant's file."""
        path = self.folder / "tenants" / "acme.yaml"
        text = yaml.safe_load(path.read_text(encoding="utf-8"))
        text[section] |= settings
        path.write_text(yaml.safe_dump(text, sort_keys=False), encoding="utf-8")

    def again(self, folder: Path) -> Loop:
        """The same loop as it is now, in another folder: for a test that changes nothing in NetSuite."""
        shutil.copytree(self.folder, folder)
        return Loop(folder, self.url, self.settings, self.period, self.word)

    @property
    def tenant(self) -> Tenant:
        return TenantRegistry(self.folder / "tenants").load("acme", self.environ)

    def day(self, number: int) -> str:
        """A day of the month, as billing writes it."""
        return f"{self.period}-{number:02}"

    # Billing

    def _make_tables(self) -> None:
        with sqlite3.connect(self.database) as connection:
            for name, table in CANONICAL.items():
                columns = ", ".join(f'"{column}" TEXT' for column in table.schema.names)
                connection.execute(f'CREATE TABLE "{name}" ({columns})')
        connection.close()

    def bill(self, table: str, **row: Any) -> None:
        """Add a row to one of billing's tables."""
        names = ", ".join(f'"{name}"' for name in row)
        self.billing(
            f'INSERT INTO "{table}" ({names}) VALUES ({", ".join("?" * len(row))})', list(row.values())
        )

    def billing(self, statement: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        with sqlite3.connect(self.database) as connection:
            found = connection.execute(statement, list(parameters)).fetchall()
        connection.close()
        return found

    def email(self, key: str) -> str:
        """All loops share one account: another loop's customer must not look like one of these."""
        return f"{key}@{self.word.strip('-')}.example"

    def customer(self, key: str) -> None:
        name, email = f"{self.word}{key}", self.email(key)
        self.bill("customers", id=key, name=name, email=email, currency="USD", legal_entity="us")

    def invoice(self, key: str, amount: str, customer: str = "c1", day: int = 15) -> None:
        self.bill(
            "invoices", id=key, number=f"{self.word}N-{key}", issued_on=self.day(day), due_on=self.day(28), currency="USD",
            total=amount, customer_id=customer, legal_entity="us",
        )  # fmt: skip
        self.bill(
            "invoice_lines", id=f"{key}-1", invoice_id=key, line_no=1, amount=amount, description="Usage",
            quantity="1", unit_amount=amount,
        )  # fmt: skip

    def payment(self, key: str, amount: str, applied: Mapping[str, str], customer: str = "c1") -> None:
        self.bill(
            "payments", id=key, paid_on=self.day(20), currency="USD", amount=amount, customer_id=customer,
            method="card", reference=key,
        )  # fmt: skip
        for invoice, part in applied.items():
            self.bill("payment_applications", payment_id=key, invoice_id=invoice, amount=part)

    # The loop

    def plan(self) -> Planned:
        """Read both sides, compare and plan."""
        with self.warehouse.open("acme") as held:
            return asyncio.run(self._plan(held, billing_returns(self.tenant, self.environ)))

    def is_settled(self) -> bool:
        """Whether both sides, read and compared, leave nothing to do. Half as much work as a run."""
        return len(self.plan().operations) == 0

    def run(self, returns: Returns | None = None) -> Round:
        """Read both sides, compare, plan, apply and verify; `returns` stands for billing's side of what flows back."""

        back = returns or billing_returns(self.tenant, self.environ)

        async def whole(held: TenantWarehouse) -> Round:
            planned = await self._plan(held, back)
            tenant, mapping = self.tenant, compile_mapping(self.tenant)
            source = billing_source(tenant, self.environ)
            try:
                async with self.netsuite() as netsuite:
                    applied = await apply_plan(
                        held, netsuite, tenant, mapping, self.period, self.ledger, now, lambda done, of: None,
                        polling=QUICK, returns=back,
                    )  # fmt: skip
                    verified = await verify(
                        held, netsuite, tenant, mapping, self.period, self.ledger, source.locate, now,
                        pauses=(0.1, 0.3), returns=back,
                    )  # fmt: skip
            finally:
                source.close()
            return Round(planned, applied, verified)

        with self.warehouse.open("acme") as held:
            return asyncio.run(whole(held))

    async def _plan(self, held: TenantWarehouse, back: Returns | None) -> Planned:
        tenant = self.tenant
        mapping = compile_mapping(tenant)
        source = billing_source(tenant, self.environ)
        try:
            extract_billing(held, source, list(CANONICAL), self.period, now())
            async with self.netsuite() as netsuite:
                await extract_reference(held, netsuite, mapping, now())
                fill_expected(held, mapping, self.period, now())
                await self._extract(held, netsuite, mapping)
            reconcile(held, tenant, mapping, self.period, source.locate, self.ledger)
            planned = make_plan(held, tenant, mapping, self.period, self.ledger, now(), back)
            planned.operations  # noqa: B018 - read before the warehouse is closed
            return planned
        finally:
            source.close()

    async def _extract(self, held: TenantWarehouse, netsuite: NetSuite, mapping: TenantMapping) -> None:
        records, at = mapping.records, (self.period, now())
        for record in ("customer", "invoice", "creditMemo", "customerPayment", "journalEntry"):
            refill_known_ids(held, self.ledger, record, monthly=record != "customer")
            written = self.ledger.written("acme", record)
            if record == "customer":
                await extract_customers(held, netsuite, records[record], now(), written=written)
                if self.tenant.writeback.returns("customer", "address"):
                    await extract_addresses(held, netsuite, now())
            elif record == "customerPayment":
                await extract_payments(held, netsuite, records[record], *at, written=written)
                await extract_deposits(held, netsuite, *at)
            elif record == "journalEntry":
                await extract_journals(held, netsuite, records[record], *at, written=written)
            else:
                await extract_documents(held, netsuite, records[record], *at, written=written)

    # NetSuite

    def netsuite(self) -> NetSuite:
        return netsuite_client(self.tenant, self.environ)

    def query(self, text: str) -> list[dict[str, Any]]:
        async def ask() -> list[dict[str, Any]]:
            async with self.netsuite() as netsuite:
                return await netsuite.suiteql_rows(text)

        return asyncio.run(ask())

    def get(self, record: str, external_id: str) -> dict[str, Any]:
        """A record as the record service has it, with its sublists."""

        async def ask() -> dict[str, Any]:
            async with self.netsuite() as netsuite:
                return await netsuite.get(record, eid(f"{self.word}{external_id}"), expand=True)

        return asyncio.run(ask())

    def write(self, path: str, body: Mapping[str, Any]) -> str:
        """Book something by hand: create `customerPayment`, or change `customerPayment/12`; its internal id."""

        async def send() -> str:
            async with self.netsuite() as netsuite:
                record, _, ref = path.partition("/")
                if ref:
                    await netsuite.send(update_request(record, ref, body))
                    return ref
                answer = await netsuite.send(create_request(record, body))
                return str(answer.internal_id)

        return asyncio.run(send())

    def delete(self, record: str, ref: str) -> None:
        """Delete a record by hand."""

        async def send() -> None:
            async with self.netsuite() as netsuite:
                await netsuite.send(delete_request(record, ref))

        asyncio.run(send())

    def close(self) -> None:
        self.ledger.close()


def now() -> datetime:
    return datetime.now(UTC)


def next_month(period: str) -> str:
    """The month after one."""
    year, month = map(int, period.split("-"))
    return f"{year + month // 12}-{month % 12 + 1:02}"
