"""A small tenant, its billing tables and NetSuite lists in an in-memory DuckDB, and its expected tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import yaml

from netsuite_assets.mapping.compiler import Mapping as TenantMapping
from netsuite_assets.mapping.compiler import compile_mapping
from resources.billing.canonical import TABLES
from resources.tenants import Tenant, TenantError, TenantRegistry
from resources.warehouse import duckdb_type, literal, quote

PERIOD = "2026-10"

SETTINGS: Mapping[str, Any] = {
    "tenant": "acme",
    "timezone": "America/New_York",
    "first_month": "2026-01",
    "netsuite": {
        "account": "1234567_SB1",
        "auth": {
            "method": "oauth2_client_credentials",
            "client_id": "${A}",
            "certificate_id": "${B}",
            "private_key_file": "${C}",
        },
    },
    "billing": {
        "system": "sql",
        "url": "${D}",
        "tables": {name: {"table": name, "columns": {"metadata": "metadata"} if "metadata" in table.schema.names else {}}
                   for name, table in TABLES.items()},
    },
}  # fmt: skip

CUSTOMER = {"external_id": "cus-{id}", "fields": {"companyName": {"from": "name"}}}
ENTITY = {"entity": {"from": "customer_id", "lookup": "customer"}}
ITEM = {"item": {"from": "product_id", "lookup": "item"}}


def tenant(root: Path, records: Mapping[str, Any], text: str | None = None) -> Tenant:
    """Tenant `acme` with these records, written to a file and read again."""
    where = root / "tenants"
    where.mkdir(exist_ok=True)
    written = text or yaml.safe_dump({**SETTINGS, "records": records}, sort_keys=False, allow_unicode=True)
    (where / "acme.yaml").write_text(written, encoding="utf-8")
    return TenantRegistry(where).load("acme")


def invoice_rules(
    fields: Mapping[str, Any] | None = None, lines: Mapping[str, Any] | None = None, **more: Any
) -> dict[str, Any]:
    """Records with customers and invoices: `entity` and `item`, and these rules."""
    invoice = {
        "external_id": "inv-{id}",
        "fields": {**ENTITY, **(fields or {})},
        "lines": {**ITEM, **(lines or {})},
    }
    return {"customer": CUSTOMER, "invoice": {**invoice, **more}}


def mapping(root: Path, records: Mapping[str, Any]) -> TenantMapping:
    return compile_mapping(tenant(root, records))


def mistakes(root: Path, records: Mapping[str, Any]) -> list[str]:
    """The sentences of what is wrong with these records."""
    try:
        mapping(root, records)
    except TenantError as error:
        return [problem.message for problem in error.problems]
    return []


@dataclass
class Account:
    """One tenant's warehouse: billing rows and NetSuite lists to be mapped."""

    con: duckdb.DuckDBPyConnection = field(default_factory=duckdb.connect)

    def __post_init__(self) -> None:
        self.con.execute("SET TimeZone = 'UTC'; SET enable_external_access = false")
        for schema in ("billing", "netsuite", "expected"):
            self.con.execute(f"CREATE SCHEMA {schema}")
        for table in TABLES.values():
            columns = [f"{quote(one.name)} {duckdb_type(one.type)}" for one in table.schema]
            if table.name != "customers":
                columns.append("period VARCHAR")
            self.con.execute(f"CREATE TABLE billing.{table.name} ({', '.join(columns)})")
        self.con.execute(
            "CREATE TABLE netsuite.reference (list VARCHAR, internal_id VARCHAR, external_id VARCHAR, name VARCHAR,"
            " number VARCHAR, subsidiary VARCHAR, currency VARCHAR, is_inactive BOOLEAN)"
        )
        self.con.execute(
            "CREATE TABLE netsuite.periods (internal_id VARCHAR, name VARCHAR, start_date DATE, end_date DATE,"
            " closed BOOLEAN, ar_locked BOOLEAN, all_locked BOOLEAN)"
        )
        self.item("100", "API calls")
        self.customer("1001")

    def insert(self, table: str, row: Mapping[str, Any]) -> None:
        names, marks = ", ".join(map(quote, row)), ", ".join("?" for _ in row)
        self.con.execute(f"INSERT INTO {table} ({names}) VALUES ({marks})", list(row.values()))

    def listed(self, list_name: str, internal_id: str, **columns: Any) -> None:
        self.insert("netsuite.reference", {"list": list_name, "internal_id": internal_id, **columns})

    def item(self, internal_id: str, name: str, **columns: Any) -> None:
        self.listed("item", internal_id, **{"name": name, "number": name, "is_inactive": False, **columns})

    def customer(self, id: str, **columns: Any) -> None:
        self.insert("billing.customers", {"id": id, "name": f"Customer {id}", **columns})

    def invoice(self, id: str = "500", *, lines: Sequence[Mapping[str, Any]] = ({},), **columns: Any) -> None:
        """An invoice of the period with one line for an item that NetSuite has, unless told otherwise."""
        row = {
            "id": id, "number": f"INV-{id}", "issued_on": date(2026, 10, 3), "currency": "USD",
            "total": Decimal("10.50"), "customer_id": "1001", "period": PERIOD, **columns,
        }  # fmt: skip
        self.insert("billing.invoices", row)
        for number, line in enumerate(lines, start=1):
            self.insert(
                "billing.invoice_lines",
                {"id": f"{id}-{number}", "invoice_id": id, "line_no": number, "amount": Decimal("10.50"),
                 "product_id": "API calls", "period": row["period"], **line},
            )  # fmt: skip

    def payment(self, id: str, amount: str, applied: Mapping[str, str] | None = None, **columns: Any) -> None:
        """A payment of the period; `applied` is the invoice's id to the amount that is paid of it."""
        row = {
            "id": id, "paid_on": date(2026, 10, 20), "currency": "USD", "amount": Decimal(amount),
            "customer_id": "1001", "period": PERIOD, **columns,
        }  # fmt: skip
        self.insert("billing.payments", row)
        for invoice_id, part in (applied or {}).items():
            self.insert(
                "billing.payment_applications",
                {
                    "payment_id": id,
                    "invoice_id": invoice_id,
                    "amount": Decimal(part),
                    "period": row["period"],
                },
            )

    def clear(self) -> None:
        """Without documents; customers and lists stay."""
        for table in TABLES:
            if table != "customers":
                self.con.execute(f"DELETE FROM billing.{table}")
        self.con.execute("DROP SCHEMA expected CASCADE; CREATE SCHEMA expected")

    def fill(self, mapped: TenantMapping, period: str = PERIOD) -> None:
        for record in mapped.records:
            for statement in [*mapped.create_table_sql(record), *mapped.fill_sql(record, period)]:
                self.con.execute(statement)

    def expected(self, table: str, period: str | None = PERIOD) -> list[dict[str, Any]]:
        where = f" WHERE period = {literal(period)}" if period is not None else ""
        line = ", line_no" if table.endswith("_lines") or table == "applications" else ""
        found = self.con.execute(
            f"SELECT * FROM expected.{table}{where} ORDER BY external_id, source_id{line}"
        )
        names = [column[0] for column in found.description]
        return [dict(zip(names, row, strict=True)) for row in found.fetchall()]

    def one(self, mapped: TenantMapping, table: str = "invoices") -> dict[str, Any]:
        """Fill, and the only row."""
        self.fill(mapped)
        (row,) = self.expected(table, None if table == "customers" else PERIOD)
        return row

    def lines(
        self, mapped: TenantMapping, *columns: str, table: str = "invoice_lines"
    ) -> list[tuple[Any, ...]]:
        """Fill, and these columns of the expected lines in their order."""
        self.fill(mapped)
        found = sorted(self.expected(table), key=lambda row: (row["external_id"], row["line_no"]))
        return [tuple(row[column] for column in columns) for row in found]
