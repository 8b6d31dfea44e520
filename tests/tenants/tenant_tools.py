"""Tenant folders for tests: a small whole tenant, and the mistakes that loading one gives."""

from __future__ import annotations

from pathlib import Path

import pytest

from resources.tenants import TenantError, TenantRegistry

WHOLE = """\
tenant: acme
timezone: America/New_York
first_month: 2026-01
netsuite:
  account: 1234567_SB1
  auth:
    method: oauth2_client_credentials
    client_id: ${NS_CLIENT_ID}
    certificate_id: ${NS_CERT_ID}
    private_key_file: ${NS_KEY_FILE}
billing:
  system: sql
  url: ${BILLING_URL}
  tables:
    customers: {table: customers}
    invoices: {table: invoices, columns: {number: invoice_number}}
    invoice_lines: {table: invoice_lines}
records:
  customer:
    external_id: "cus-{id}"
    fields:
      companyName: {from: name}
"""


def folder(root: Path, **files: str) -> TenantRegistry:
    """A folder `tenants` with these files (`_defaults`, `acme`, …)."""
    where = root / "tenants"
    where.mkdir(exist_ok=True)
    for name, text in files.items():
        (where / f"{name}.yaml").write_text(text, encoding="utf-8")
    return TenantRegistry(where)


def mistakes(root: Path, text: str, **files: str) -> list[str]:
    """What loading tenant `acme` with this text says, one line a mistake."""
    with pytest.raises(TenantError) as caught:
        folder(root, acme=text, **files).load("acme")
    lines = str(caught.value).splitlines()
    assert lines == [str(problem) for problem in caught.value.problems]
    return lines
