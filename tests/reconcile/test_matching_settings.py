"""What a tenant's file may say under `reconcile.match`, and what it is told where that does not fit."""

from __future__ import annotations

import shutil
from decimal import Decimal
from pathlib import Path

import pytest

from netsuite_assets.mapping.compiler import compile_mapping
from resources.tenants import Tenant, TenantError, TenantRegistry
from resources.tenants.matching import DocumentMatching


def matching(folder: Path, text: str) -> Tenant:
    """Acme with this under `reconcile.match`, compiled."""
    base = folder / "_defaults.yaml"
    whole = base.read_text(encoding="utf-8")
    tolerance = "  tolerance: {amount: 0.00, days: 0}"
    assert tolerance in whole
    base.write_text(whole.replace(tolerance, f"{tolerance}\n  match: {text}"), encoding="utf-8")
    tenant = TenantRegistry(folder).load("acme")
    compile_mapping(tenant)
    return tenant


@pytest.fixture
def folder(tmp_path: Path, pytestconfig: pytest.Config) -> Path:
    """The project's tenants, to be changed."""
    return Path(shutil.copytree(pytestconfig.rootpath / "tenants", tmp_path / "tenants"))


def test_each_record_type_is_matched_in_its_own_way(folder: Path) -> None:
    text = (
        "{invoice: {passes: [number], days: 3, amount: 0.05}, customer: {custom_id: CustEntity_Billing_Id}}"
    )
    match = matching(folder, text).reconcile.match
    assert (match.invoice.passes, match.invoice.days, match.invoice.amount) == (
        ("number",),
        3,
        Decimal("0.05"),
    )
    assert match.creditMemo == DocumentMatching()
    assert match.customer.custom_id == "CustEntity_Billing_Id"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{invoice: {pases: [number]}}", "unknown key 'pases'; did you mean 'passes'?"),
        ("{invoice: {passes: [numbers]}}", "did you mean 'number'?"),
        ("{invoice: {days: 63}}", "less than or equal to 62"),
        ("{invoice: {amount: -1}}", "greater than or equal to 0"),
        ("{invoice: {group_size: 1}}", "greater than or equal to 2"),
        ("{invoces: {days: 3}}", "unknown key 'invoces'; did you mean 'invoice'?"),
        (
            "{customer: {custom_id: custentity_biling_id}}",
            "customer: the mapping has no field 'custentity_biling_id' that customers can be matched by; did you mean"
            " 'custentity_billing_id'?",
        ),
    ],
)
def test_what_does_not_fit_is_a_mistake_at_its_place(folder: Path, text: str, told: str) -> None:
    with pytest.raises(TenantError) as caught:
        matching(folder, text)
    (problem,) = map(str, caught.value.problems)
    assert problem.startswith("tenants/_defaults.yaml:")
    assert told in problem
