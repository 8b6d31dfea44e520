"""A tenant whose file has no rules for a record: nothing of it is read, NetSuite is not asked, and the page says why."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from netsuite_assets.partitions import partition_key
from resources.as_dagster import LedgerResource, NetSuiteResource, TenantsResource, WarehouseResource
from resources.tenants import Tenant
from resources.warehouse import Warehouse

RULES = """
tenant: small
timezone: America/New_York
first_month: 2026-10
netsuite:
  account: "1234567"
  auth: {method: oauth2_client_credentials, client_id: "${ID}", certificate_id: "${CERT}", private_key_file: "${KEY}"}
billing:
  system: sql
  url: "${URL}"
  tables:
    customers: {table: customers}
    invoices: {table: invoices}
    invoice_lines: {table: invoice_lines}
records:
  customer:
    external_id: "cus-{id}"
    fields: {companyName: {from: name}}
  invoice:
    external_id: "inv-{id}"
    fields: {entity: {from: customer_id, lookup: customer}, tranDate: {from: issued_on}}
    lines: {item: {from: product_id, lookup: item}, amount: {from: amount}}
"""


class Unasked(NetSuiteResource):
    """An account that nobody may ask."""

    def client(self, tenant: Tenant) -> Any:
        raise AssertionError(f"NetSuite is asked for {tenant.name}")


def test_nothing_is_read_of_a_record_that_the_file_has_no_rules_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from netsuite_assets.extract.assets import netsuite_credit_memos, netsuite_invoices

    for name in ("RECON_TENANTS", "RECON_WAREHOUSE", "RECON_LEDGER"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("RECON_LEDGER", f"sqlite:///{tmp_path / 'ledger.sqlite'}")
    (tmp_path / "tenants").mkdir()
    (tmp_path / "tenants" / "small.yaml").write_text(RULES, encoding="utf-8")

    def materialized(asset: dg.AssetsDefinition) -> dg.ExecuteInProcessResult:
        with dg.DagsterInstance.ephemeral() as instance:
            instance.add_dynamic_partitions("tenants", ["small"])
            return dg.materialize(
                [asset],
                instance=instance,
                partition_key=partition_key("small", "2026-10"),
                resources={
                    "tenants": TenantsResource(path=str(tmp_path / "tenants")),
                    "warehouse": WarehouseResource(path=str(tmp_path / "warehouse")),
                    "ledger": LedgerResource(),
                    "netsuite": Unasked(),
                },
                run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
                raise_on_error=False,
            )

    done = materialized(netsuite_credit_memos)
    assert done.success
    [event] = done.get_asset_materialization_events()
    shown = event.step_materialization_data.materialization.metadata
    assert shown["why"].value == "Nothing was read: the file of small has no rules for creditMemo."
    assert shown["dagster/row_count"].value == 0
    with Warehouse(tmp_path / "warehouse").open("small") as held:
        assert held.columns("netsuite.credit_memos") == {}
        assert held.slice("netsuite.credit_memos", "2026-10") is None
    # Of a record that it has rules for, NetSuite is asked.
    assert not materialized(netsuite_invoices).success
