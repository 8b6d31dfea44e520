"""Each version of a mapping that ran is kept, with what it changed and made; a file that is wrong names the last good."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from mapping_tools import CUSTOMER, SETTINGS, invoice_rules
from typer.testing import CliRunner, Result

from netsuite_assets.cli import app
from netsuite_assets.mapping.compiler import compile_mapping
from netsuite_assets.mapping.versions import UnusableTenant, differences, load_mapping, versions_of
from netsuite_assets.publish.mapping_tables import mapping_changes, mapping_versions
from netsuite_assets.runs import tenant_run
from resources.as_dagster import TenantsResource
from resources.ledger import Ledger, Plan
from resources.tenants import TenantRegistry

NOW = datetime(2026, 11, 1, 6, tzinfo=UTC)


class Home:
    """A folder with tenants and a ledger, in which versions run one day after the other."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.url = f"sqlite:///{root / 'ledger.sqlite'}"
        (root / "tenants").mkdir()
        self.day = 0

    @property
    def registry(self) -> TenantRegistry:
        return TenantRegistry(self.root / "tenants")

    def write(self, records: Mapping[str, Any] | str, name: str = "acme") -> None:
        text = records if isinstance(records, str) else yaml.safe_dump(
            {**SETTINGS, "tenant": name, "records": records}, sort_keys=False
        )  # fmt: skip
        (self.root / "tenants" / f"{name}.yaml").write_text(text, encoding="utf-8")

    def run(self, plan: str | None = None, period: str = "2026-10") -> str:
        """What a run notes of the file as it is now; the version's hash."""
        self.day += 1
        now = NOW + timedelta(days=self.day)
        tenant, mapping = load_mapping(self.registry, "acme", lambda: Ledger(self.url))
        ledger = Ledger(self.url)
        ledger.record_mapping("acme", mapping.hash, tenant.effective, now)
        if plan is not None:
            ledger.record_plan(Plan(plan, "acme", period, now, mapping.hash, "i", 3, "USD 1.00", None))
        ledger.close()
        return mapping.hash

    def recon(self, *arguments: str) -> Result:
        return CliRunner().invoke(app, [*arguments])


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    made = Home(tmp_path)
    monkeypatch.setenv("RECON_TENANTS", str(tmp_path / "tenants"))
    monkeypatch.setenv("RECON_LEDGER", made.url)
    return made


def test_a_changed_file_counts_from_the_next_run_on(home: Home) -> None:
    registry = home.registry
    home.write(invoice_rules())
    first = compile_mapping(registry.load("acme")).hash
    home.write(invoice_rules({"memo": {"from": "memo"}}))
    changed = compile_mapping(registry.load("acme"))
    assert changed.hash != first
    assert "memo" in [field.name for field in changed.records["invoice"].fields]


def test_each_version_tells_what_it_changed_and_which_plans_it_made(home: Home) -> None:
    home.write(invoice_rules({"memo": {"from": "memo"}}))
    first = home.run("p1", "2026-09")
    home.run("p2")
    home.write(invoice_rules({"memo": {"from": "number"}, "otherRefNum": {"from": "number"}}))
    second = home.run("p3")
    home.write(invoice_rules({"memo": {"from": "memo"}}))
    assert home.run("p4") == first
    ledger = Ledger(home.url)
    versions = versions_of(ledger, "acme")
    ledger.close()
    assert [(v.number, v.hash, [p.plan_id for p in v.plans]) for v in versions] == [
        (1, first, ["p1", "p2"]),
        (2, second, ["p3"]),
        (3, first, ["p4"]),
    ]
    assert [v.used_until for v in versions] == [versions[1].used_from, versions[2].used_from, None]
    there = {(c.path, c.kind): (c.before, c.after) for c in versions[1].changes}
    assert there["records.invoice.fields.memo.from", "changed"] == ("memo", "number")
    assert set(there) == {
        ("records.invoice.fields.memo.from", "changed"),
        ("records.invoice.fields.otherRefNum", "added"),
    }
    assert {(c.path, c.kind) for c in versions[2].changes} == {
        ("records.invoice.fields.memo.from", "changed"),
        ("records.invoice.fields.otherRefNum", "removed"),
    }
    rows = mapping_versions(versions).to_dict("records")
    assert [(row["period"], row["version"], row["plans"], row["latest_plan"]) for row in rows] == [
        ("2026-09", 1, 1, "p1"),
        ("2026-10", 1, 1, "p2"),
        ("2026-10", 2, 1, "p3"),
        ("2026-10", 3, 1, "p4"),
    ]
    changes = mapping_changes(versions)
    assert len(changes) == 4
    assert set(changes["change"]) == {"added", "removed", "changed"}


def test_a_person_reads_the_history_and_any_version(home: Home) -> None:
    assert home.recon("mapping", "history", "acme").exit_code == 1
    home.write(invoice_rules({"memo": {"from": "memo"}}))
    first = home.run("p1")
    home.write({"customer": CUSTOMER})
    second = home.run()
    told = home.recon("mapping", "history", "acme")
    assert told.exit_code == 0
    assert told.stdout.index(second[:12]) < told.stdout.index(first[:12]), "the latest first"
    assert "- records.invoice: {" in told.stdout
    assert "plan p1 of 2026-10" in told.stdout
    latest = home.recon("mapping", "show", "acme").stdout
    assert yaml.safe_load(latest)["records"].keys() == {"customer"}
    older = home.recon("mapping", "show", "acme", first[:8])
    assert older.stdout.startswith(f"# acme, version 1, {first}\n")
    assert yaml.safe_load(older.stdout)["records"]["invoice"]["fields"]["memo"]["from"] == "memo"
    unknown = home.recon("mapping", "show", "acme", "zzz")
    assert unknown.exit_code == 1
    assert f"acme has no version 'zzz'. There are: {first[:12]}, {second[:12]}." in unknown.stderr


def test_a_file_with_a_mistake_names_the_version_that_ran_last(home: Home) -> None:
    home.write("tenant: [\n")
    with pytest.raises(UnusableTenant, match=r"acme\.yaml:2:1: .*\nNo version of acme has run yet\."):
        load_mapping(home.registry, "acme", lambda: Ledger(home.url))
    home.write(invoice_rules())
    good = home.run("0123456789abcdef")
    home.write(invoice_rules({"memo": {"from": "mem"}}))
    with pytest.raises(UnusableTenant) as caught:
        load_mapping(home.registry, "acme", lambda: Ledger(home.url))
    mistake, last = str(caught.value).splitlines()
    assert mistake.endswith("billing invoices have no 'mem'; did you mean 'memo'?")
    assert last == (
        f"The last version that ran is {good[:12]}, in use since 2026-11-02 06:00 UTC. Its latest plan is 0123456789ab for"
        " 2026-10, made 2026-11-02 06:00 UTC. Nothing runs for acme until its file is right; compare it with: recon mapping"
        f" show acme {good[:12]}"
    )
    done = home.recon("reconcile", "acme", "2026-10")
    assert done.exit_code == 1
    assert last in done.stderr


def test_a_mistake_is_told_also_when_the_ledger_cannot_be_asked(home: Home) -> None:
    home.write("tenant: [\n")
    (home.root / "file").write_text("")
    url = f"sqlite:///{home.root / 'file' / 'ledger.sqlite'}"
    with pytest.raises(
        UnusableTenant, match=r"acme\.yaml:2:1: .*\nWhich version ran last is not known: the ledger at"
    ):
        load_mapping(home.registry, "acme", lambda: Ledger(url))


def test_a_wrong_file_stops_its_tenant_alone_and_its_run_says_which_version_was_good(home: Home) -> None:
    home.write(invoice_rules())
    good = home.run()
    home.write(invoice_rules(), "globex")
    home.write("tenant: [\n")
    tenants = dg.DynamicPartitionsDefinition(name="tenants")
    months = dg.StaticPartitionsDefinition(["2026-10-01"])

    @dg.asset(partitions_def=dg.MultiPartitionsDefinition({"tenant": tenants, "month": months}))
    def anything(context: dg.AssetExecutionContext, tenants: TenantsResource) -> None:
        with tenant_run(context, tenants):
            pass

    def run(name: str) -> dg.ExecuteInProcessResult:
        with dg.DagsterInstance.ephemeral() as instance:
            instance.add_dynamic_partitions("tenants", ["acme", "globex"])
            return dg.materialize(
                [anything],
                instance=instance,
                partition_key=f"2026-10-01|{name}",
                resources={"tenants": TenantsResource()},
                raise_on_error=False,
            )

    assert run("globex").success
    failed = run("acme")
    assert not failed.success
    (event,) = failed.get_step_failure_events()
    said = str(event.event_specific_data.user_failure_data.description)  # type: ignore[union-attr]
    assert f"The last version that ran is {good[:12]}" in said


LEAVES = st.one_of(st.booleans(), st.integers(), st.text(max_size=3), st.lists(st.integers(), max_size=2))
TREES: st.SearchStrategy[Any] = st.recursive(
    st.dictionaries(st.sampled_from(["a", "b", "c.d"]), LEAVES, max_size=3),
    lambda inner: st.dictionaries(st.sampled_from(["a", "b", "c.d"]), st.one_of(LEAVES, inner), max_size=3),
    max_leaves=8,
)


@given(before=TREES, after=TREES)
def test_differences_are_all_and_only_what_differs(before: dict[str, Any], after: dict[str, Any]) -> None:
    found = differences(before, after)
    assert bool(found) == (before != after)
    assert len({change.path for change in found}) == len(found)
    opposite = {"added": "removed", "removed": "added", "changed": "changed"}
    assert [(c.path, opposite[c.kind], c.after, c.before) for c in found] == [
        (c.path, c.kind, c.before, c.after) for c in differences(after, before)
    ]
