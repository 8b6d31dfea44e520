"""`recon lint`: every mistake with its place and the nearest right name, for people and for a CI."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tenant_tools import WHOLE, folder
from typer.testing import CliRunner, Result

from netsuite_assets.cli import app
from netsuite_assets.extract.catalog import land_catalog
from netsuite_assets.extract.reference import REFERENCE
from netsuite_assets.mapping.compiler import compile_mapping
from resources.netsuite.catalog import Catalog, Entry, Section
from resources.tenants import TenantRegistry
from resources.warehouse import Warehouse

NOW = datetime(2026, 11, 1, 6, tzinfo=UTC)
RULES = """\
  invoice:
    external_id: "inv-{id}"
    fields:
      entity:                 {from: customer_id, lookup: customer}
      terms:                  {from: terms, lookup: term, map: {n30: Net 30}, default: Net 60}
      custbody_plan:          {from: metadata.plan, lookup: customlist_plan}
      custbody_start:         {from: metadata.start, type: date}
    lines:
      item:                   {from: product_id, lookup: item, default: Usage}
"""
TEXT = (
    WHOLE.replace("{number: invoice_number}}", "{number: invoice_number}, metadata: [plan, start]}") + RULES
)
Lint = Callable[..., Result]


def line(text: str, words: str) -> int:
    return next(number for number, found in enumerate(text.splitlines(), 1) if words in found)


def entries(*, without: Sequence[str] = (), **types: str) -> list[Entry]:
    """An account in which everything that `TEXT` maps is there, less some fields, or with other types."""
    fields = {
        "companyName": ("customer", "text"),
        "entity": ("invoice", "reference customer"),
        "terms": ("invoice", "reference term"),
        "custbody_plan": ("invoice", "reference"),
        "custbody_start": ("invoice", "date"),
        "item": ("invoice.item", "reference item"),
    }
    found = [
        Entry(f"fields of {owner.partition('.')[0]}", "field", owner, name, types.get(name, kind))
        for name, (owner, kind) in fields.items()
        if name not in without
    ]
    return [
        *found,
        Entry("custom lists", "list", "", "customlist_plan"),
        Entry("values of customlist_plan", "value", "customlist_plan", "1", "", "Metered"),
        Entry("record types", "record", "", "customer"),
        Entry("record types", "record", "", "invoice"),
    ]


def catalog(found: Sequence[Entry], *, hidden: Sequence[str] = ()) -> Catalog:
    names = {entry.section for entry in found} | set(hidden)
    sections = [
        Section(name, name not in hidden, "Permission Violation" if name in hidden else "") for name in names
    ]
    kept = [entry for entry in found if entry.section not in hidden]
    return Catalog(tuple(sorted(sections)), tuple(sorted(kept)))


@pytest.fixture
def lint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lint:
    """Writes tenant files, keeps an account's schema and lists, and runs the command."""
    monkeypatch.setenv("RECON_TENANTS", str(tmp_path / "tenants"))
    monkeypatch.setenv("RECON_WAREHOUSE", str(tmp_path / "warehouse"))

    def run(
        *arguments: str,
        files: dict[str, str] | None = None,
        account: Catalog | None = None,
        lists: Sequence[tuple[str, str, str, str | None, bool]] = (),
    ) -> Result:
        registry = folder(tmp_path, **(files or {"acme": TEXT}))
        if account is not None:
            with Warehouse(tmp_path / "warehouse").open("acme") as held:
                land_catalog(held, account, compile_mapping(TenantRegistry(registry.root).load("acme")), NOW)
                held.ensure_table("netsuite.reference", REFERENCE)
                held.connection.execute("DELETE FROM netsuite.reference")
                for name, id_, label, subsidiary, inactive in lists:
                    held.connection.execute(
                        "INSERT INTO netsuite.reference (list, internal_id, name, subsidiary, is_inactive)"
                        " VALUES (?, ?, ?, ?, ?)",
                        [name, id_, label, subsidiary, inactive],
                    )
        return CliRunner().invoke(app, ["lint", *arguments])

    return run


LISTS = [
    ("term", "1", "Net 30", None, False), ("term", "2", "Net 60", None, False), ("item", "9", "Usage", None, False),
]  # fmt: skip


def test_right_files_are_counted_and_the_status_is_zero(lint: Lint) -> None:
    done = lint()
    assert (done.exit_code, done.stdout) == (0, "1 of 1 tenant files are right.\n")


def test_every_tenants_mistakes_and_those_of_the_folder_are_told_once(lint: Lint) -> None:
    files = {
        "acme": "extends: _all\n" + TEXT.replace("{from: name}", "{from: nam}"),
        "globex": "extends: _all\n" + TEXT.replace("tenant: acme", "tenant: globex"),
        "_all": "writeback: {mod: apply}\n",
        "_alone": "records: {\n",
        "Shop": "",
    }
    done = lint(files=files)
    assert done.exit_code == 1
    told = done.stderr.splitlines()
    assert [text for text in told if "_all.yaml:1:13: unknown key 'mod'; did you mean 'mode'?" in text] == [
        "tenants/_all.yaml:1:13: unknown key 'mod'; did you mean 'mode'?"
    ]
    assert any(text.startswith("tenants/_alone.yaml:2:1: not valid YAML") for text in told)
    assert any(text.startswith("tenants/Shop.yaml:1:1: 'Shop' cannot be a tenant's name") for text in told)
    files["_all"] = "timezone: UTC\n"
    assert (
        "tenants/acme.yaml:23:27: billing customers have no 'nam'; did you mean 'name'?"
        in lint(files=files).stderr
    )


def test_one_tenant_alone_is_checked(lint: Lint) -> None:
    files = {"acme": TEXT, "globex": "x: 1\n"}
    assert lint("acme", files=files).exit_code == 0
    assert lint("globex", files=files).exit_code == 1
    unknown = lint("acne", files=files)
    assert (unknown.exit_code, unknown.stderr) == (
        1,
        "tenants/acne.yaml:1:1: there is no tenant 'acne'; did you mean 'acme'?\n",
    )


def test_a_warning_is_told_apart_and_is_no_failure(lint: Lint) -> None:
    text = TEXT.replace("companyName: {from: name}", "email: {from: email}")
    done = lint(files={"acme": text})
    assert done.exit_code == 0
    if done.stderr:
        assert all(told.startswith("warning: tenants/acme.yaml:") for told in done.stderr.splitlines())
    hidden = lint(account=catalog(entries(), hidden=["fields of invoice"]), lists=LISTS)
    assert hidden.exit_code == 0
    assert hidden.stderr == (
        f"warning: tenants/acme.yaml:{line(TEXT, '  invoice:')}:3: the role does not see the fields of invoice, so its"
        " rules are not checked against the account (NetSuite: Permission Violation)\n"
    )


def test_github_shows_a_finding_beside_its_line(lint: Lint, tmp_path: Path) -> None:
    text = TEXT.replace("{from: name}", "{from: 'na,me: 100%'}")
    done = lint("--format", "github", files={"acme": text})
    assert done.exit_code == 1
    file = str(tmp_path / "tenants" / "acme.yaml")
    assert done.stdout == (f"::error file={file},line=22,col=27::billing customers have no 'na,me: 100%25'\n")
    assert done.stderr == ""
    assert lint("--format", "github").stdout == ""


def test_a_program_reads_json(lint: Lint, tmp_path: Path) -> None:
    done = lint("--format", "json", files={"acme": TEXT.replace("{from: name}", "{form: name}")})
    assert done.exit_code == 1
    told = json.loads(done.stdout)
    assert told["ok"] is False
    assert told["tenants"] == [{"name": "acme", "ok": False, "account_schema_of": None}]
    assert told["findings"][0] == {
        "file": (tmp_path / "tenants" / "acme.yaml").as_posix(),
        "line": 22,
        "column": 21,
        "level": "error",
        "message": "unknown key 'form'; did you mean 'from'?",
    }
    right = json.loads(lint("--format", "json", account=catalog(entries()), lists=LISTS).stdout)
    assert right["ok"] is True
    assert right["tenants"][0]["account_schema_of"].startswith("2026-11-01T06:00:00")


def test_wrong_arguments_have_a_status_of_their_own(lint: Lint) -> None:
    assert lint("--format", "xml").exit_code == 2
    assert lint("--nothing").exit_code == 2


# Against the account


def test_a_file_that_fits_its_account_says_when_that_was_read(lint: Lint) -> None:
    done = lint(account=catalog(entries()), lists=LISTS)
    assert (done.exit_code, done.stderr) == (0, "")
    assert (
        "acme: checked against the account's schema as it was last read, 2026-11-01 06:00 UTC." in done.stdout
    )


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        pytest.param(
            entries(custbody_start="text"),
            ("      custbody_start", "7: custbody_start: the rule takes it for date, NetSuite's field is text"),
            id="retyped",
        ),
        pytest.param(
            [*entries(without=["custbody_plan"]), Entry("fields of invoice", "field", "invoice", "custbody_plans", "text")],
            ("      custbody_plan", "7: custbody_plan: invoice has no such field; did you mean 'custbody_plans'?"),
            id="gone",
        ),
        pytest.param(
            [*entries(without=["custbody_plan"]), Entry("custom fields", "custom field", "", "custbody_plan")],
            ("      custbody_plan", "7: custbody_plan: the account has this field, but shows this role none such on invoice"),
            id="out of the role's sight",
        ),
        pytest.param(
            [entry for entry in entries() if entry.kind != "list"]
            + [Entry("custom lists", "list", "", "customlist_plans")],
            ("      custbody_plan", "61: custbody_plan: the account shows this role no list 'customlist_plan'; did you mean"
             " 'customlist_plans'?"),
            id="no such list",
        ),
        pytest.param(
            [*entries(), Entry("fields of customer", "field", "customer", "subsidiary", "reference", "Primary Subsidiary")],
            ("    fields:", "5: customer: NetSuite needs subsidiary ('Primary Subsidiary') in this account, and no rule gives"
             " it a value"),
            id="OneWorld without a subsidiary",
        ),
        pytest.param(
            [*entries(), Entry("fields of invoice", "field", "invoice", "custbody_po", "text", "PO"),
             Entry("mandatory custom fields", "mandatory", "", "custbody_po", "", "PO")],
            ("    fields:\n      entity", "5: invoice: NetSuite needs custbody_po ('PO') in this account, and no rule gives it"
             " a value"),
            id="mandatory custom field",
        ),
    ],
)  # fmt: skip
def test_what_the_account_does_not_bear_is_told_at_the_rule(
    lint: Lint, found: Sequence[Entry], expected: tuple[str, str]
) -> None:
    words, message = expected
    number = TEXT[: TEXT.index(words)].count("\n") + 1
    done = lint(account=catalog(found), lists=LISTS)
    assert done.exit_code == 1
    assert done.stderr == f"tenants/acme.yaml:{number}:{message}\n"
    assert lint("--no-catalog").exit_code == 0


@pytest.mark.parametrize(
    ("lists", "expected", "status"),
    [
        (LISTS[1:], "60: terms: NetSuite has no active 'Net 30' in the list term (by internal id or external id or number or"
         " name); did you mean 'Net 60'?", 1),
        ([*LISTS[1:], ("term", "1", "net 30 ", None, True)], "60: terms: 'Net 30' of the list term is inactive in NetSuite", 1),
        ([*LISTS, ("term", "7", "NET 60", None, False)], "77: terms: NetSuite has several active rows 'Net 60' in the list"
         " term: internal ids 2, 7; map it to one of them", 1),
        ([*LISTS, ("term", "7", "NET 60", "3", False)], "77: terms: NetSuite has several active rows 'Net 60' in the list"
         " term: internal ids 2, 7; the one of the record's own subsidiary is taken", 0),
    ],
)  # fmt: skip
def test_a_value_of_the_file_is_looked_up_in_netsuites_lists(
    lint: Lint, lists: Sequence[tuple[str, str, str, str | None, bool]], expected: str, status: int
) -> None:
    done = lint(account=catalog(entries()), lists=lists)
    assert done.exit_code == status
    warning = "" if status else "warning: "
    told = re.sub(r"\s+", " ", done.stderr)
    column = {"60": TEXT.splitlines()[line(TEXT, "terms:  ") - 1].index("Net 30"),
              "77": TEXT.splitlines()[line(TEXT, "terms:  ") - 1].index("Net 60")}  # fmt: skip
    key, _, message = expected.partition(":")
    assert told == f"{warning}tenants/acme.yaml:{line(TEXT, 'terms:  ')}:{column[key] + 1}:{message} "


def test_an_account_that_was_never_read_is_a_mistake_only_when_it_is_asked_for(lint: Lint) -> None:
    assert lint().exit_code == 0
    done = lint("--catalog")
    assert done.exit_code == 1
    assert (
        "tenants/acme.yaml:5:12: the file is not checked against the account: its schema was never read"
        in done.stderr
    )


def test_a_run_that_holds_the_warehouse_does_not_stop_the_check_of_a_file(
    lint: Lint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert lint(account=catalog(entries()), lists=LISTS).exit_code == 0
    monkeypatch.setattr("netsuite_assets.cli_mapping._LOCK_SECONDS", 0.01)
    with Warehouse(tmp_path / "warehouse").open("acme"):
        done = lint()
        assert done.exit_code == 0
        assert done.stderr.startswith(
            "warning: tenants/acme.yaml:5:12: the file is not checked against the account: acme:"
        )
        assert lint("--catalog").exit_code == 1
