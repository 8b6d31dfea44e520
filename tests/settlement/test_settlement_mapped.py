"""What a tenant's mapping adds to payments and journals: fields of its own, and documents that NetSuite dates elsewhere."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from settlement_tools import NOW, ROOT, Account, next_month

from netsuite_assets.extract.journals import extract_journals
from netsuite_assets.extract.payments import extract_payments
from netsuite_assets.mapping.compiler import Mapping, compile_mapping
from resources.netsuite.client import NetSuite
from resources.tenants import TenantRegistry
from resources.warehouse import TenantWarehouse

RECORDS = """
  customerPayment:
    external_id: "pay-{id}"
    fields:
      customer:                   {from: customer_id, lookup: customer}
      memo:                       {from: id}
      custbody_subscription_ref:  {value: "sub-1"}
      cseg_product:               {value: Metering, lookup: cseg_product}

  journalEntry:
    external_id: "je-{id}"
    fields:
      memo:                       {from: number}
      custbody_subscription_ref:  {value: "sub-1"}
    lines:
      account:                    {from: account, lookup: account}
      debit:                      {from: debit}
      credit:                     {from: credit}
      cseg_product:               {value: Metering, lookup: cseg_product}
"""


@pytest.fixture(scope="module")
def mapping(tmp_path_factory: pytest.TempPathFactory) -> Mapping:
    """The shipped tenant of two subsidiaries, which maps payments and journals too."""
    folder = shutil.copytree(ROOT / "tenants", tmp_path_factory.mktemp("registry") / "tenants")
    path = Path(folder) / "acme.yaml"
    path.write_text(path.read_text(encoding="utf-8") + RECORDS, encoding="utf-8")
    return compile_mapping(TenantRegistry(Path(folder)).load("acme"))


@pytest.fixture
def usual(accounts: dict[str, Account]) -> Account:
    return accounts["usual"]


def land(account: Account, mapping: Mapping, period: str, expected: dict[str, str] | None = None) -> None:
    """Land a month; `expected` are external ids of payments and journals that billing has in it, by table."""

    async def work(held: TenantWarehouse, netsuite: NetSuite) -> None:
        await account.land_customers(netsuite)
        for record in ("customerPayment", "journalEntry"):
            rules = mapping.records[record]
            for statement in rules.create_table_sql():
                held.sql(statement)
            table = rules.tables.name
            for external_id in (expected or {}).get(table, ()):
                held.sql(
                    f"INSERT INTO expected.{table} (period, external_id) VALUES (?, ?)", [period, external_id]
                )
        await extract_payments(held, netsuite, mapping.records["customerPayment"], period, NOW)
        await extract_journals(held, netsuite, mapping.records["journalEntry"], period, NOW)

    account.extract(work)


def test_mapped_fields_come_along(usual: Account, mapping: Mapping, month: str) -> None:
    buyer = usual.customer()
    payment = usual.payment(buyer, f"{month}-05", "10.00")
    body = {"memo": "ACH", "custbody_subscription_ref": "sub-7", "cseg_product": {"id": "2"}}
    usual.write("PATCH", f"customerPayment/{payment}", body)
    journal = usual.journal(
        f"{month}-28", ("411", "debit", "5.00"), ("598", "credit", "5.00"), custbody_subscription_ref="sub-8"
    )
    line = usual.get(f"journalEntry/{journal}")["line"]["items"][1]["line"]
    usual.write(
        "PATCH", f"journalEntry/{journal}", {"line": {"items": [{"line": line, "cseg_product": {"id": "3"}}]}}
    )

    land(usual, mapping, month)
    (row,) = usual.landed("netsuite.payments", month)
    assert row == row | {
        "customer": usual.get(f"customer/{buyer}")["externalId"],
        "customer_id": buyer,
        "memo": "ACH",
        "custbody_subscription_ref": "sub-7",
        "cseg_product": "2",
    }
    (row,) = usual.landed("netsuite.journals", month)
    assert (row["internal_id"], row["custbody_subscription_ref"]) == (journal, "sub-8")
    lines = usual.landed("netsuite.journal_lines", month)
    assert {one["account_id"]: one["cseg_product"] for one in lines} == {"411": None, "598": "3"}


def test_what_billing_has_in_the_month_is_found_though_netsuite_dates_it_elsewhere(
    usual: Account, mapping: Mapping, month: str
) -> None:
    after = next_month(month)
    buyer = usual.customer()
    here, there = usual.payment(buyer, f"{month}-05", "1.00"), usual.payment(buyer, f"{after}-05", "2.00")
    unknown = usual.payment(buyer, f"{after}-06", "3.00")
    entry = usual.journal(f"{after}-28", ("411", "debit", "5.00"), ("598", "credit", "5.00"))
    ids = {ref: usual.get(f"customerPayment/{ref}")["externalId"] for ref in (here, there)}
    expected = {
        "payments": [*ids.values(), "pay-nobody-has"],
        "journals": [usual.get(f"journalEntry/{entry}")["externalId"]],
    }
    land(usual, mapping, month, expected)
    payments = {row["internal_id"]: row["dated_in"] for row in usual.landed("netsuite.payments", month)}
    assert payments == {here: month, there: after}
    assert unknown not in payments
    journals = usual.landed("netsuite.journals", month)
    assert [(row["internal_id"], row["dated_in"], row["total"]) for row in journals] == [(entry, after, 5)]
    assert len(usual.landed("netsuite.journal_lines", month)) == 2
    # Billing moves them to the month that NetSuite has: they are no longer this month's.
    usual.held.sql("DELETE FROM expected.payments")
    usual.held.sql("DELETE FROM expected.journals")
    land(usual, mapping, month)
    assert [row["internal_id"] for row in usual.landed("netsuite.payments", month)] == [here]
    assert usual.landed("netsuite.journals", month) == usual.landed("netsuite.journal_lines", month) == []
