"""Tenants load lazily from their files, merge over their bases and keep their secrets."""

from __future__ import annotations

import time
from decimal import Decimal
from pathlib import Path

import pytest
from tenant_tools import WHOLE, folder, mistakes

from resources.tenants import CertificateSecrets, TenantError, TenantRegistry

ENVIRON = {
    "NS_CLIENT_ID": "the-client",
    "NS_CERT_ID": "the-certificate",
    "NS_KEY_FILE": "/keys/acme.pem",
    "BILLING_URL": "postgresql://reader:s3cret@db/billing",
}


def test_names_come_from_the_file_names_alone(tmp_path: Path) -> None:
    registry = folder(tmp_path, _defaults="[", acme="[", **{"globex-eu": "["})
    (tmp_path / "tenants" / "Retail.yaml").write_text("[")
    (tmp_path / "tenants" / "shop.yml").write_text("[")
    (tmp_path / "tenants" / "notes.txt").write_text("[")
    assert registry.names() == ["acme", "globex-eu"]
    assert [str(problem) for problem in registry.misnamed()] == [
        "tenants/Retail.yaml:1:1: 'Retail' cannot be a tenant's name: use lower-case letters, digits and hyphens,"
        " beginning with a letter or digit",
        "tenants/shop.yml:1:1: rename it to shop.yaml to be read",
    ]


@pytest.mark.parametrize("name", ["../acme", "Acme", "_defaults", "", "a b", "acme\n", "x" * 300])
def test_a_name_that_cannot_be_one_reaches_no_file(tmp_path: Path, name: str) -> None:
    with pytest.raises(TenantError, match=r"cannot be a tenant's name|there is no tenant"):
        folder(tmp_path, acme=WHOLE, _defaults=WHOLE).load(name)


def test_an_unknown_tenant_is_told_with_the_nearest_name(tmp_path: Path) -> None:
    with pytest.raises(TenantError, match=r"there is no tenant 'acne'; did you mean 'acme'\?"):
        folder(tmp_path, acme=WHOLE).load("acne")


def test_a_tenant_without_the_optional_keys_writes_nothing(tmp_path: Path) -> None:
    tenant = folder(tmp_path, acme=WHOLE).load("acme")
    assert (tenant.name, tenant.timezone, tenant.first_month) == ("acme", "America/New_York", "2026-01")
    assert tenant.writeback.mode == "plan_only"
    assert tenant.writeback.approve_automatically.operations == 0
    assert (tenant.writeback.only_in_netsuite, tenant.writeback.duplicate) == ("hold", "hold")
    assert tenant.reconcile.tolerance.amount == Decimal(0)
    assert tenant.billing.tables["invoices"].columns == {"number": "invoice_number"}


def test_scalars_mean_what_they_look_like(tmp_path: Path) -> None:
    """YAML 1.2, not 1.1: Norway is no truth, 010 is no octal number, 1.10 is exact, a month is no arithmetic."""
    text = WHOLE.replace(
        "{from: name}",
        "{from: country, map: {NO: 010, yes: 1.10, on: off, 12:30: 1_000, '7': 7, t: true, T: True}}",
    ).replace("records:", "reconcile: {tolerance: {amount: 0.10}}\nrecords:")
    tenant = folder(tmp_path, acme=text).load("acme")
    assert tenant.records["customer"].fields["companyName"].map == {
        "NO": "010", "yes": "1.10", "on": "off", "12:30": "1_000", "7": "7", "t": "true", "T": "true",
    }  # fmt: skip
    assert str(tenant.reconcile.tolerance.amount) == "0.10"


def test_a_list_of_columns_means_the_same_names(tmp_path: Path) -> None:
    text = WHOLE.replace("{number: invoice_number}", "[id, number]")
    text = text.replace(
        "{table: customers}", "{table: customers, where: {state: [open, 1, null], kind: b2b}}"
    )
    tables = folder(tmp_path, acme=text).load("acme").billing.tables
    assert tables["invoices"].columns == {"id": "id", "number": "number"}
    assert tables["customers"].where == {"state": ["open", "1", None], "kind": ["b2b"]}


def test_an_anchor_is_its_value_again(tmp_path: Path) -> None:
    text = WHOLE.replace("{table: customers}", "&same {table: customers}").replace(
        "{table: invoice_lines}", "*same"
    )
    assert folder(tmp_path, acme=text).load("acme").billing.tables["invoice_lines"].table == "customers"


# Bases


def test_a_tenant_is_laid_over_its_bases(tmp_path: Path) -> None:
    own = "extends: _eu\n" + WHOLE.replace(
        "      companyName", "      email: {default: a@b.example}\n      companyName"
    )
    registry = folder(
        tmp_path,
        _all="""\
writeback: {mode: apply, circuit_breaker: {share: 0.5}}
billing: {tables: {customers: {where: {state: [open, paid]}}}}
records: {customer: {fields: {email: {from: email, owner: netsuite}, phone: {value: "1"}}}}
""",
        _eu="""\
extends: _all
writeback: {circuit_breaker: {share: 0.1}}
billing: {tables: {customers: {where: {state: [open]}}}}
timezone: Europe/Paris
""",
        acme=own,
    )
    tenant = registry.load("acme")
    assert tenant.timezone == "America/New_York"
    assert tenant.writeback.mode == "apply"
    assert tenant.writeback.circuit_breaker.share == Decimal("0.1")
    assert tenant.billing.tables["customers"].where == {"state": ["open"]}
    fields = tenant.records["customer"].fields
    assert list(fields) == ["email", "phone", "companyName"]
    assert (fields["email"].source, fields["email"].owner, fields["email"].default) == (
        "email", "netsuite", "a@b.example",
    )  # fmt: skip
    assert str(tenant.place("writeback", "mode")) == "tenants/_all.yaml:1:19"
    assert str(tenant.place("writeback", "circuit_breaker", "share")) == "tenants/_eu.yaml:2:38"
    assert str(tenant.key_place("records", "customer", "fields", "email")) == "tenants/acme.yaml:23:7"
    values = {value.path: (value.value, value.place.file) for value in tenant.effective_values()}
    assert values["records.customer.fields.email.from"] == ("email", "tenants/_all.yaml")
    assert values["records.customer.fields.email.default"] == ("a@b.example", "tenants/acme.yaml")


def test_a_rule_from_another_source_replaces_the_inherited_rule_whole(tmp_path: Path) -> None:
    base = 'records: {customer: {fields: {terms: {from: terms, map: {n30: "2"}}}}}\n'
    text = "extends: _all\n" + WHOLE.replace("companyName: {from: name}", 'terms: {value: "3"}')
    rule = folder(tmp_path, _all=base, acme=text).load("acme").records["customer"].fields["terms"]
    assert (rule.value, rule.source, rule.map) == ("3", None, None)


def test_null_removes_what_is_inherited(tmp_path: Path) -> None:
    base = "records: {customer: {fields: {phone: {value: x}, email: {from: email}}}}\n"
    text = "extends: _all\n" + WHOLE.replace("companyName: {from: name}", "phone: null")
    assert list(folder(tmp_path, _all=base, acme=text).load("acme").records["customer"].fields) == ["email"]


def test_a_mistake_in_a_base_is_told_in_the_base(tmp_path: Path) -> None:
    assert mistakes(tmp_path, "extends: _all\n" + WHOLE, _all="\nwriteback:\n  mod: apply\n") == [
        "tenants/_all.yaml:3:3: unknown key 'mod'; did you mean 'mode'?"
    ]


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        (
            {"_a": "extends: _b\n", "_b": "x: 1\nextends: _a\n"},
            "tenants/_b.yaml:2:10: 'extends' goes round in a circle: _a.yaml -> _b.yaml -> _a.yaml",
        ),
        (
            {"_a": "extends: _a\n"},
            "tenants/_a.yaml:1:10: 'extends' goes round in a circle: _a.yaml -> _a.yaml",
        ),
        ({"_ab": ""}, "tenants/acme.yaml:1:10: there is no base file _a.yaml; did you mean '_ab'?"),
        ({"_a": "{\n"}, "tenants/_a.yaml:2:1: "),
        (
            {"_a": "extends: _a1\n"} | {f"_a{n}": f"extends: _a{n + 1}\n" for n in range(1, 103)},
            "tenants/_a99.yaml:1:10: 'extends' goes more than 100 levels deep",
        ),
    ],
)
def test_a_base_that_cannot_be_used_is_told(tmp_path: Path, files: dict[str, str], expected: str) -> None:
    (line,) = mistakes(tmp_path, "extends: _a\n" + WHOLE, **files)
    assert line.startswith(expected)


@pytest.mark.parametrize("base", ["../acme", "globex", "[_a]", "5", "_a.yaml", "/etc/passwd"])
def test_only_a_base_file_of_the_folder_can_be_extended(tmp_path: Path, base: str) -> None:
    assert mistakes(tmp_path, f"extends: {base}\n" + WHOLE, globex=WHOLE) == [
        "tenants/acme.yaml:1:10: 'extends' names one base file of this folder without its ending, such as _defaults"
    ]


# Versions


def test_the_hash_is_of_the_effective_result(tmp_path: Path) -> None:
    registry = folder(tmp_path, acme=WHOLE)
    first = registry.load("acme").hash
    same = WHOLE.replace("timezone: America/New_York\n", "")
    folder(tmp_path, _zone="timezone: 'America/New_York'  # where we are\n", acme="extends: _zone\n" + same)
    assert registry.load("acme").hash == first
    folder(tmp_path, acme=WHOLE.replace("{from: name}", "{from: email}"))
    assert registry.load("acme").hash != first


def test_a_changed_file_counts_from_the_next_load_on(tmp_path: Path) -> None:
    registry = folder(tmp_path, acme="extends: _all\n" + WHOLE, _all="first_month: 2026-01\n")
    assert registry.load("acme").writeback.mode == "plan_only"
    folder(tmp_path, _all="writeback: {mode: apply}\n")
    assert registry.load("acme").writeback.mode == "apply"


def test_five_hundred_tenants_list_and_load_quickly(tmp_path: Path) -> None:
    """Design bar: under 2 s for 500; the margin is for a busy machine."""
    whole = WHOLE + "".join(f"      custentity_{n}: {{from: metadata.k{n}}}\n" for n in range(25))
    names = [f"t{n:03d}" for n in range(500)]
    registry = folder(
        tmp_path,
        _all="writeback: {mode: apply}\n",
        **{name: "extends: _all\n" + whole.replace("tenant: acme", f"tenant: {name}") for name in names},
    )
    start = time.perf_counter()
    assert registry.names() == names
    listed = time.perf_counter() - start
    assert all(registry.load(name).writeback.mode == "apply" for name in names)
    assert listed < 0.5
    assert time.perf_counter() - start < 8


# Credentials


def test_credentials_are_resolved_when_asked(tmp_path: Path) -> None:
    tenant = folder(tmp_path, acme=WHOLE.replace("  auth:", "  base_url: http://${HOST}:80/\n  auth:")).load(
        "acme"
    )
    found = tenant.load_credentials({**ENVIRON, "HOST": "127.0.0.1"})
    assert found.netsuite_base_url == "http://127.0.0.1:80/"
    assert isinstance(found.netsuite, CertificateSecrets)
    assert found.netsuite.client_id.get_secret_value() == "the-client"
    assert found.netsuite.private_key_file == Path("/keys/acme.pem")
    assert found.billing_url.get_secret_value() == ENVIRON["BILLING_URL"]
    for shown in (repr(found), repr(tenant), str(tenant), repr(tenant.settings)):
        assert "s3cret" not in shown
        assert "the-client" not in shown


def test_the_environment_given_to_load_is_used_later(tmp_path: Path) -> None:
    tenant = folder(tmp_path, acme=WHOLE).load("acme", ENVIRON)
    found = tenant.load_credentials().netsuite
    assert isinstance(found, CertificateSecrets)
    assert found.certificate_id.get_secret_value() == "the-certificate"
    assert "s3cret" not in repr(tenant)
    with pytest.raises(ValueError, match="needs the environment"):
        folder(tmp_path, acme=WHOLE).load("acme").load_credentials()


def test_every_missing_variable_is_named_with_its_place(tmp_path: Path) -> None:
    tenant = folder(tmp_path, acme=WHOLE).load("acme")
    with pytest.raises(TenantError) as caught:
        tenant.load_credentials({**ENVIRON, "NS_CLIENT_ID": "", "BILLING_URL": ""})
    assert str(caught.value).splitlines() == [
        "tenants/acme.yaml:8:16: the environment variable NS_CLIENT_ID is not set; set it before starting"
        " (it gives netsuite.auth.client_id of tenant acme)",
        "tenants/acme.yaml:13:8: the environment variable BILLING_URL is not set; set it before starting"
        " (it gives billing.url of tenant acme)",
    ]


def test_the_demo_tenants_load() -> None:
    registry = TenantRegistry(Path(__file__).resolve().parents[2] / "tenants")
    assert registry.names() == ["acme", "globex", "retail"]
    assert registry.misnamed() == []
    assert {registry.load(name).writeback.mode for name in registry.names()} == {"apply"}
