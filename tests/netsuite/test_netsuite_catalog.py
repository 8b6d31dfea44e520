"""The account's schema: read from the sandbox, kept by version, compared, and held against the mapping."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from fake_account import pem
from hypothesis import given
from hypothesis import strategies as st
from month import TenantRules

from netsuite_assets.extract.account_assets import netsuite_catalog
from netsuite_assets.extract.catalog import broken_rules, land_catalog, read_version
from netsuite_assets.mapping.lint import lint_account
from resources.as_dagster import NetSuiteResource, TenantsResource, WarehouseResource
from resources.netsuite.auth import ClientCredentials
from resources.netsuite.catalog import Catalog, Entry, Section, compare, read_catalog
from resources.netsuite.client import NetSuite
from resources.netsuite.governor import Governor
from resources.netsuite.hosts import Hosts
from resources.warehouse import Warehouse

ROOT = Path(__file__).parents[2]
ACCOUNT = "1234567_SB1"
KEY = ec.generate_private_key(ec.SECP256R1())
NOW = datetime(2026, 11, 1, 6, tzinfo=UTC)
Change = Callable[[dict[str, Any]], object]


@dataclass(frozen=True)
class Account:
    """A running account: its address, and a way to read its schema."""

    url: str
    read: Callable[[], Catalog]


@contextmanager
def account(folder: Path, change: Change) -> Iterator[Account]:
    """A sandbox with the shipped account after a change of its profile."""
    profile = yaml.safe_load((ROOT / "sandbox/profiles/oneworld.yaml").read_text(encoding="utf-8"))
    change(profile)
    (folder / "profile.yaml").write_text(yaml.safe_dump(profile, sort_keys=False), encoding="utf-8")
    public = folder / "public.pem"
    public.write_bytes(KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    command = [sys.executable, "-m", "sandbox", "--profile", str(folder / "profile.yaml"), "--port", "0"]
    command += ["--certificate", f"{ACCOUNT}:billing-integration:cert-1:{public}"]
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONUNBUFFERED": "1"}
    ) as process:
        assert process.stdout is not None
        ready = re.search(r"ready at (http://\S+)", process.stdout.readline())
        assert ready is not None, "the sandbox did not start"
        hosts = Hosts(ACCOUNT, f"{ready[1]}/1234567-sb1")

        async def read() -> Catalog:
            auth = ClientCredentials(hosts, "billing-integration", "cert-1", pem(KEY))
            async with NetSuite(hosts, auth, governor=Governor()) as ns:
                return await read_catalog(ns, ("customer", "invoice", "creditMemo"))

        try:
            yield Account(hosts.rest_prefix, lambda: asyncio.run(read()))
        finally:
            process.terminate()
            process.wait(10)


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> Catalog:
    with account(tmp_path_factory.mktemp("shipped"), lambda profile: None) as running:
        first = running.read()
        assert running.read().version == first.version
        return first


def found(catalog: Catalog, kind: str, owner: str = "") -> dict[str, Entry]:
    return {e.name: e for e in catalog.entries if e.kind == kind and e.owner.lower() == owner}


def test_records_fields_lines_lists_and_segments_are_enumerated(shipped: Catalog) -> None:
    assert {"customer", "invoice", "creditMemo", "term"} <= set(found(shipped, "record"))
    fields = found(shipped, "field", "invoice")
    assert fields["tranDate"].type == "date"
    assert fields["custbody_contract_start"].type == "date"
    assert fields["custbody_subscription_ref"].label == "Subscription Reference"
    assert fields["cseg_product"].type.startswith("reference")
    assert fields["item"].type == "lines"
    assert found(shipped, "field", "invoice.item")["custcol_service_start"].type == "date"
    assert found(shipped, "field", "invoice.item")["quantity"].type == "number"
    assert "custentity_region" in found(shipped, "custom field")
    assert set(found(shipped, "list")) == {"customlist_region"}
    assert [e.label for e in found(shipped, "value", "customlist_region").values()] == [
        "Americas",
        "EMEA",
        "APAC",
    ]
    assert {e.label for e in found(shipped, "value", "customrecord_cseg_product").values()} >= {"Metering"}
    assert set(found(shipped, "segment")) == {"cseg_product"}
    assert set(found(shipped, "record type")) == {"customrecord_contract"}
    assert "custrecord_contract_minimum" in found(shipped, "field", "customrecord_contract")
    assert {e.name: e.label for e in found(shipped, "dataset").values()} == {
        "custdataset_open_invoices": "Open invoices by customer"
    }


def test_what_the_role_cannot_see_is_said_and_not_taken_for_empty(shipped: Catalog) -> None:
    why = {section.name: section.why for section in shipped.sections if not section.visible}
    assert "saved searches" in why
    assert all(why.values())


def test_the_shipped_tenant_fits_the_shipped_account(
    shipped: Catalog, acme: TenantRules, warehouse: Warehouse
) -> None:
    assert list(broken_rules(acme.mapping, shipped)) == []
    with warehouse.open("acme") as held:
        assert lint_account(acme.tenant, acme.mapping, held) == ([], None)
        land_catalog(held, shipped, acme.mapping, NOW)
        assert lint_account(acme.tenant, acme.mapping, held) == ([], NOW)


def changed_profile(profile: dict[str, Any]) -> None:
    fields = {field["script_id"]: field for field in profile["custom_fields"]}
    profile["custom_fields"].remove(fields["custbody_subscription_ref"])
    fields["custbody_contract_start"]["type"] = "text"
    fields["custbody_renewal"]["label"] = "Renews"
    fields["custbody_usage_units"]["mandatory"] = True
    profile["custom_fields"].append({"script_id": "custbody_new", "label": "New", "type": "number"})
    profile["custom_segments"][0]["values"][0]["name"] = "Metered"
    profile["custom_lists"][0]["values"][2]["inactive"] = True


def test_a_changed_account_shows_what_changed_and_which_rules_break(
    shipped: Catalog, acme: TenantRules, warehouse: Warehouse, tmp_path: Path
) -> None:
    with account(tmp_path, changed_profile) as running:
        now = running.read()
    with warehouse.open("acme") as held:
        first = land_catalog(held, shipped, acme.mapping, NOW)
        assert (first.previous, bool(first.changes), first.broken) == (None, False, ())
        again = land_catalog(held, shipped, acme.mapping, NOW + timedelta(days=1))
        assert (again.previous, again.version, bool(again.changes)) == (None, first.version, False)
        landed = land_catalog(held, now, acme.mapping, NOW + timedelta(days=2))
        assert (landed.previous, landed.previous_seen) == (first.version, NOW + timedelta(days=1))
        # A run for another month of the same night shows the same, not that nothing has changed since the first.
        assert land_catalog(held, now, acme.mapping, NOW + timedelta(days=2, minutes=1)) == landed
        assert read_version(held, landed.version) == now
        assert held.sql("SELECT count(*) FROM netsuite.catalog_versions") == [(2,)]
        assert held.sql(
            "SELECT first_seen, last_seen FROM netsuite.catalog_versions WHERE version = ?", [first.version]
        ) == [(NOW, NOW + timedelta(days=1))]
    changes = landed.changes
    assert {(e.owner, e.name) for e in changes.removed if e.kind == "field"} == {
        (record, "custbody_subscription_ref") for record in ("invoice", "creditMemo")
    }
    assert [e.name for e in changes.added if e.kind == "mandatory"] == ["custbody_usage_units"]
    assert ("invoice", "custbody_new") in {(e.owner, e.name) for e in changes.added}
    assert {(a.owner, a.name, b.type, a.type) for b, a in changes.retyped if a.kind == "field"} == {
        (record, "custbody_contract_start", "date", "text") for record in ("invoice", "creditMemo")
    }
    assert {(a.name, b.type, a.type) for b, a in changes.retyped if a.kind == "value"} == {
        ("3", "", "inactive")
    }
    assert {"Renews", "Metered"} <= {a.label for _, a in changes.renamed}
    rules = {(b.record, b.field): b for b in landed.broken}
    assert set(rules) == {
        ("invoice", "custbody_subscription_ref"),
        ("creditMemo", "custbody_subscription_ref"),
        ("invoice", "custbody_contract_start"),
        ("invoice", "cseg_product"),
        ("creditMemo", "cseg_product"),
    }
    text = (ROOT / "tenants/acme.yaml").read_text(encoding="utf-8").splitlines()
    for (_, field), broken in rules.items():
        file, _, line = broken.where.rpartition(":")
        assert file.endswith("acme.yaml")
        assert field in text[int(line) - 1]
    assert "'Metering'" in rules["invoice", "cseg_product"].why
    assert "date" in rules["invoice", "custbody_contract_start"].why


def test_the_asset_shows_what_changed_and_which_rules_it_breaks(
    shipped: Catalog, acme: TenantRules, warehouse: Warehouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a person reads it on the asset's page, after the account was changed overnight."""
    with warehouse.open("acme") as held:
        land_catalog(held, shipped, acme.mapping, NOW)
    key = tmp_path / "key.pem"
    key.write_bytes(pem(KEY))
    with account(tmp_path, changed_profile) as running:
        for name, value in {
            "ACME_NS_URL": running.url,
            "ACME_NS_CLIENT_ID": "billing-integration",
            "ACME_NS_CERT_ID": "cert-1",
            "ACME_NS_KEY_FILE": str(key),
            "RECON_LEDGER": f"sqlite:///{tmp_path}/ledger.sqlite",
            "RECON_SECRETS": str(tmp_path / "secrets"),
            "RECON_WAREHOUSE": str(warehouse.root),
            "RECON_TENANTS": str(ROOT / "tenants"),
        }.items():
            monkeypatch.setenv(name, value)
        with dg.DagsterInstance.ephemeral() as instance:
            instance.add_dynamic_partitions("tenants", ["acme"])
            resources = {
                "tenants": TenantsResource(),
                "warehouse": WarehouseResource(),
                "netsuite": NetSuiteResource(),
            }
            done = dg.materialize(
                [netsuite_catalog], instance=instance, partition_key="2026-10-01|acme", resources=resources
            )
    (event,) = done.asset_materializations_for_node("netsuite_catalog")
    shown = {name: str(entry.value) for name, entry in event.metadata.items()}
    assert re.fullmatch(r"\d+ changes since 2026-11-01 06:00 UTC; 5 mapping rules broken", shown["in short"])
    changes = shown["changes"]
    assert "| removed | invoice | custbody_subscription_ref | Subscription Reference | text |" in changes
    assert "| added | invoice | custbody_new | New | number |" in changes
    assert "| retyped | invoice | custbody_contract_start | Contract Start | date → text |" in changes
    assert "| renamed | invoice | custbody_renewal | Renews | was Renewal |" in changes
    line = next(
        number
        for number, text in enumerate(
            (ROOT / "tenants/acme.yaml").read_text(encoding="utf-8").splitlines(), 1
        )
        if "custbody_contract_start" in text
    )
    assert f"acme.yaml:{line} | invoice | custbody_contract_start |" in shown["broken mapping rules"]
    assert (
        "| saved searches | REST web services do not show saved searches. |"
        in shown["not visible to the role"]
    )


def test_a_permission_taken_away_is_no_deleted_schema(
    shipped: Catalog, acme: TenantRules, tmp_path: Path
) -> None:
    def without(profile: dict[str, Any]) -> None:
        del profile["roles"][0]["permissions"]["SuiteAnalytics Workbook"]

    with account(tmp_path, without) as running:
        now = running.read()
    changes = compare(shipped, now)
    assert not changes.removed
    assert not changes.retyped
    assert {"custom fields", "custom lists", "custom segments"} <= set(changes.hidden)
    assert list(broken_rules(acme.mapping, now)) == []
    assert "custom fields" in compare(now, shipped).shown


ENTRIES = st.frozensets(
    st.builds(
        Entry,
        st.sampled_from(["a", "b"]),
        st.just("field"),
        st.sampled_from(["x", "y"]),
        st.sampled_from(["p", "q", "r"]),
        st.sampled_from(["text", "date"]),
    ),
    max_size=8,
)


def catalog(entries: frozenset[Entry], visible: dict[str, bool]) -> Catalog:
    # One entry an identity, as a schema has.
    single = {(entry.kind, entry.owner, entry.name): entry for entry in sorted(entries)}
    kept = tuple(sorted(entry for entry in single.values() if visible[entry.section]))
    return Catalog(tuple(Section(name, seen) for name, seen in sorted(visible.items())), kept)


@given(before=ENTRIES, after=ENTRIES, seen=st.fixed_dictionaries({"a": st.booleans(), "b": st.booleans()}))
def test_a_comparison_turns_the_one_into_the_other(
    before: frozenset[Entry], after: frozenset[Entry], seen: dict[str, bool]
) -> None:
    old, new = catalog(before, {"a": True, "b": True}), catalog(after, seen)
    changes = compare(old, new)
    both = {name for name, visible in seen.items() if visible}
    kept = {e for e in old.entries if e.section in both}
    assert set(changes.removed) <= kept
    rebuilt = (kept - set(changes.removed) - {b for b, _ in changes.retyped}) | set(changes.added)
    rebuilt |= {a for _, a in changes.retyped}
    shape = lambda entries: {(e.owner, e.name, e.type) for e in entries}  # noqa: E731
    assert shape(rebuilt) == shape(e for e in new.entries if e.section in both)
    assert compare(new, old).removed == changes.added
    assert not compare(new, new)
    assert (old.version == new.version) == (old == new)
