"""How fields are compared stands in the tenant's file; what does not fit there is a mistake at its place."""

from __future__ import annotations

import shutil
from decimal import Decimal
from pathlib import Path

import pytest

from netsuite_assets.mapping.compiler import compile_mapping
from resources.tenants import Tenant, TenantError, TenantRegistry


@pytest.fixture
def folder(tmp_path: Path, pytestconfig: pytest.Config) -> Path:
    """The project's tenants, to be changed."""
    return Path(shutil.copytree(pytestconfig.rootpath / "tenants", tmp_path / "tenants"))


def compared(folder: Path, text: str) -> Tenant:
    """Acme with these lines under `reconcile.compare`, compiled."""
    base = folder / "_defaults.yaml"
    whole = base.read_text(encoding="utf-8")
    lines = "".join(f"\n    {line}" for line in text.splitlines())
    tolerance = "  tolerance: {amount: 0.00, days: 0}"
    assert tolerance in whole
    base.write_text(whole.replace(tolerance, f"{tolerance}\n  compare:{lines}"), encoding="utf-8")
    tenant = TenantRegistry(folder).load("acme")
    compile_mapping(tenant)
    return tenant


def test_each_field_may_be_compared_in_its_own_way(folder: Path) -> None:
    tenant = compared(
        folder,
        "invoice:\n"
        "  fields:\n"
        "    memo: {case: ignore, space: collapse, empty: keep, unicode: NFC}\n"
        "    trandate: {days: 2}\n"
        "    total: {amount: 0.05}\n"
        "  lines:\n"
        "    rate: {amount: 0.0000000001, percent: 0.5}",
    )
    fields = tenant.reconcile.compare["invoice"].fields
    assert (fields["memo"].case, fields["memo"].space, fields["trandate"].days) == ("ignore", "collapse", 2)
    rate = tenant.reconcile.compare["invoice"].lines["rate"]
    assert (rate.amount, rate.percent) == (Decimal("0.0000000001"), Decimal("0.5"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("invoice: {fields: {memmo: {case: ignore}}}", "24: invoice: the mapping has no field 'memmo' to compare; did you mean 'memo'?"),
        ("invoice: {lines: {memo: {case: ignore}}}", "23: lines of invoice: the mapping has no field 'memo' to compare"),
        ("invoces: {fields: {memo: {case: ignore}}}", "5: no record type 'invoces' is mapped; did you mean 'invoice'?"),
        ("invoice: {field: {memo: {case: ignore}}}", "15: unknown key 'field'; did you mean 'fields'?"),
        ("invoice: {fields: {memo: {kase: ignore}}}", "31: unknown key 'kase'; did you mean 'case'?"),
        ("invoice: {fields: {memo: {case: lower}}}", "37: unknown value for case: 'lower'; use keep or ignore"),
        ("invoice: {fields: {memo: {unicode: nfc}}}", "40: unknown value for unicode: 'nfc'; did you mean 'NFC'?"),
        ("invoice: {fields: {memo: {days: 1}}}", "31: 'days' is about dates, and memo holds a text"),
        ("invoice: {fields: {dueDate: {amount: 1}}}", "34: 'amount' is about numbers, and dueDate holds a date"),
        ("invoice: {fields: {entity: {case: ignore}}}", "33: 'case' is about text, and entity holds a reference"),
        ("invoice: {lines: {rate: {space: trim}}}", "30: 'space' is about text, and rate holds a rate"),
        ("invoice: {fields: {memo: {case: ignore}, Memo: {case: keep}}}", "46: invoice: memo is given twice"),
        ("customer: {fields: {total: {amount: 1}}}", "25: customer: the mapping has no field 'total' to compare"),
        ("invoice: {lines: {amount: {amount: -0.01}}}", "40: input should be greater than or equal to 0, found '-0.01'"),
        ("invoice: {lines: {amount: {percent: 101}}}", "41: input should be less than or equal to 100, found '101'"),
        ("invoice: {lines: {amount: {amount: much}}}", "40: expected a number, found 'much'"),
        ("invoice: {lines: {amount: {amount: true}}}", "40: expected a number such as 0.01"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_a_mistake_at_its_place(folder: Path, text: str, expected: str) -> None:
    with pytest.raises(TenantError) as caught:
        compared(folder, text)
    lines = (folder / "_defaults.yaml").read_text(encoding="utf-8").splitlines()
    at = f"tenants/_defaults.yaml:{lines.index('  compare:') + 2}"
    assert [str(problem) for problem in caught.value.problems] == [f"{at}:{expected}"]
