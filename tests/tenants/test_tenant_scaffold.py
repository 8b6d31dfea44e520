"""`recon init` proposes a first file from both systems; `recon import` turns a mapping kept as CSV into rules."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tenant_tools import WHOLE
from typer.testing import CliRunner, Result

from demo.stage import Stage, usage_tenants
from netsuite_assets.cli import app
from netsuite_assets.mapping.imported import (
    MappingFileError,
    Refused,
    file_text,
    read_rows,
    rule_of,
    translate,
)
from netsuite_assets.mapping.scaffold import AskedAccount, Connection, tenant_text
from resources.billing.discovery import Discovered, DiscoveredTable
from resources.netsuite.catalog import Catalog, Entry
from resources.tenants import TenantRegistry
from resources.tenants.source import read_document

ROOT = Path(__file__).resolve().parents[2]
SHIPPED = TenantRegistry(ROOT / "tenants")
ACCOUNTS = {"acme": "1234567_SB1", "globex": "TSTDRV7654321"}


def recon(*arguments: str) -> Result:
    done = CliRunner().invoke(app, [*arguments])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Both demo accounts in the sandbox, and their billing databases; the variables that lead there."""
    made = Stage(tmp_path_factory.mktemp("stage"))
    with made.sandbox() as sandbox:
        for tenant in usage_tenants():
            made.fill_billing(tenant)
        former = dict(os.environ)
        made.set_environment(sandbox, "2026-10")
        # Each test takes the variables by itself.
        os.environ.clear()
        os.environ.update(former)
        yield dict(
            line.split("=", 1) for line in made.environment_file.read_text().splitlines() if "=" in line
        )


@pytest.fixture
def home(tmp_path: Path, stage: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder of tenants, beside the shipped base file."""
    folder = tmp_path / "tenants"
    folder.mkdir()
    (folder / "_defaults.yaml").write_text((ROOT / "tenants" / "_defaults.yaml").read_text(encoding="utf-8"))
    for name, value in {
        **stage,
        "RECON_TENANTS": str(folder),
        "RECON_WAREHOUSE": str(tmp_path / "warehouse"),
    }.items():
        monkeypatch.setenv(name, value.strip("'\""))
    monkeypatch.setenv("RECON_SECRETS", str(tmp_path / "secrets"))
    monkeypatch.setenv("RECON_LEDGER", f"sqlite:///{tmp_path / 'ledger.sqlite'}")
    return folder


def init(name: str, prefix: str, *more: str) -> Result:
    return recon("init", name, "--account", ACCOUNTS[prefix], "--prefix", prefix.upper(), *more)


@pytest.mark.parametrize("shipped", ["acme", "globex"])
def test_what_it_proposes_is_what_engineers_wrote_for_the_same_systems(home: Path, shipped: str) -> None:
    done = init("newco", shipped, "--first-month", "2026-08")
    assert done.exit_code == 0, done.output
    made, wanted = TenantRegistry(home).load("newco"), SHIPPED.load(shipped)
    assert made.writeback.mode == "plan_only"
    assert made.netsuite.account == wanted.netsuite.account
    for name, table in wanted.billing.tables.items():
        if name == "usage":
            continue  # Whether usage is accrued is a person's decision.
        proposed = made.billing.tables[name]
        assert (proposed.table, proposed.columns) == (table.table, table.columns), name
        assert set(table.metadata) <= set(proposed.metadata)
    text = (home / "newco.yaml").read_text(encoding="utf-8").splitlines()
    for record, rules in wanted.records.items():
        if record in ("customerPayment", "journalEntry"):
            continue  # Whether billing's payments and accruals are to be written is a person's decision.
        for part in ("fields", "lines"):
            own, theirs = getattr(made.records[record], part), getattr(rules, part)
            for field, rule in theirs.items():
                if (record, field) in (("invoice", "terms"),) and shipped == "globex":
                    continue  # The customer's, which no name tells.
                if field in DECIDED or rule.source is None:
                    continue  # Made of other values, or of none: a person's decision.
                assert field in own, (record, field)
                assert (own[field].source, own[field].type, own[field].lookup) == (
                    rule.source, rule.type, rule.lookup or own[field].lookup,
                ), (record, field)  # fmt: skip
                if field not in SHIPPED_DEFAULTS[record, part]:
                    assert any(f" {field}: " in line and "# review: " in line for line in text), field
    linted = recon("lint", "newco", "--no-catalog")
    assert (linted.exit_code, linted.stderr) == (0, "")


DECIDED = {"startDate", "endDate", "class", "department", "location", "custcol_rated_events"}

SHIPPED_DEFAULTS = {
    (record, part): set(getattr(rules, part)) for record, rules in SHIPPED.load("retail").records.items() for part in ("fields", "lines")
} | {("invoice", "fields"): set(SHIPPED.load("retail").records["invoice"].fields) | {"dueDate"}}  # fmt: skip


def test_what_nobody_gave_and_what_has_no_counterpart_is_for_a_person(home: Path) -> None:
    assert init("newco", "acme").exit_code == 0
    text = (home / "newco.yaml").read_text(encoding="utf-8")
    assert "timezone: UTC  # review: " in text
    assert "{from: product_id, lookup: cseg_product}" not in text, "a row's key is no value of a field"
    assert "no subsidiary is called as billing's legal entities 'eu', 'us'" in text
    assert "secret" not in text.lower().replace("ns_client_secret", "")
    given = init("other", "acme", "--timezone", "Europe/Berlin", "--output", str(home / "elsewhere.txt"))
    assert given.exit_code == 0
    assert "timezone: Europe/Berlin\n" in (home / "elsewhere.txt").read_text(encoding="utf-8")


def test_a_file_is_never_overwritten(home: Path) -> None:
    (home / "newco.yaml").write_text("mine", encoding="utf-8")
    done = init("newco", "acme")
    assert done.exit_code == 1
    assert "is there already and is never overwritten" in done.stderr
    assert (home / "newco.yaml").read_text(encoding="utf-8") == "mine"


def test_a_database_that_is_none_of_ours_still_makes_a_file_that_lints(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with sqlite3.connect(tmp_path / "odd.sqlite") as connection:
        connection.execute('CREATE TABLE "null: {" (a, "b\nc")')
        connection.execute("CREATE TABLE invoices (id, metadata)")
        connection.execute("INSERT INTO invoices VALUES ('1', '{\"subscription\": 1, \"x: {\": 2}')")
    monkeypatch.setenv("ACME_BILLING_URL", f"sqlite:///{tmp_path / 'odd.sqlite'}")
    assert init("newco", "acme").exit_code == 0
    text = (home / "newco.yaml").read_text(encoding="utf-8")
    assert "no table seems to be this one; there are: invoices, null: {" in text
    assert "# review: no column of invoices seems to be total, which is needed: name it in columns" in text
    assert "custbody_subscription_ref: {from: metadata.subscription}  # review: " in text
    assert recon("lint", "newco", "--no-catalog").exit_code == 0


@pytest.mark.parametrize("prefix", ["acme", "globex"])
def test_without_a_base_file_the_proposal_stands_alone(home: Path, prefix: str) -> None:
    (home / "_defaults.yaml").unlink()
    done = init("newco", prefix)
    assert done.exit_code == 0, done.output
    made = TenantRegistry(home).load("newco")
    assert made.records["invoice"].fields["entity"].lookup == "customer"
    assert made.records["invoice"].lines["item"].lookup == "item"
    assert made.records["invoice"].fields["currency"].lookup == "currency"
    assert recon("lint", "--no-catalog").exit_code == 0


_NAMES = st.text(min_size=1, max_size=12)


@settings(max_examples=60, deadline=None)
@given(
    columns=st.lists(st.one_of(_NAMES, st.sampled_from(["total", "amount", "${X}", "x: {", "# y", "metadata", "\u2028"])), max_size=6, unique_by=str.lower),
    keys=st.lists(_NAMES, max_size=3, unique=True),
    label=_NAMES,
    kind=st.sampled_from(["text", "date", "datetime", "number", "boolean", "reference", "lines", "select"]),
    extends=st.sampled_from([None, "_defaults"]),
)  # fmt: skip
def test_whatever_both_sides_hold_the_file_is_right(
    columns: list[str], keys: list[str], label: str, kind: str, extends: str | None
) -> None:
    tables = {
        name: DiscoveredTable(name, ["id", *columns], keys) for name in ("invoices", "invoice_lines", "Ä: {")
    }
    fields = [
        Entry(f"fields of {owner}", "field", owner, name, kind, label)
        for owner in ("invoice", "invoice.item")
        for name in (
            "custbody_x",
            "custcol_x",
            "memo",
            "total",
            "cseg_y",
            *(f"custbody_{key}" for key in keys),
        )
    ]
    account = AskedAccount(Catalog((), tuple(sorted(fields))), {"1": label})
    given_ = Connection("newco", "1234567", "tba", "A", "UTC", "2026-01", extends)
    text = tenant_text(given_, account, Discovered(tables), ROOT / "tenants")
    assert text.startswith("# Proposed by recon init")


@pytest.mark.parametrize(
    ("arguments", "environ", "said"),
    [
        (["init", "New", "--account", "1234567"], {}, "'New' cannot be a tenant's name"),
        (["init", "newco", "--account", "1"], {}, "'1' is not an account id"),
        (["init", "newco", "--account", "1234567"], {}, "the environment variable NEWCO_NS_CLIENT_ID is not set"),
        (["init", "newco", "--account", "1234567", "--timezone", "Mars"], {}, "'Mars' is not a time zone"),
        (["init", "newco", "--account", "1234567", "--extends", "_none"], {}, "there is no base file _none.yaml"),
        (["init", "newco", "--account", "1234567_SB1", "--prefix", "ACME"], {"ACME_BILLING_URL": "sqlite:///nowhere"},
         "there is no SQLite file"),
    ],
)  # fmt: skip
def test_what_cannot_be_asked_is_said_and_nothing_is_written(
    home: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], environ: dict[str, str], said: str
) -> None:
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    done = recon(*arguments)
    assert done.exit_code == 1
    assert said in done.stderr
    assert [path.name for path in home.iterdir()] == ["_defaults.yaml"]


# CSV


@pytest.fixture
def acme(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A tenant with customers alone."""
    folder = tmp_path / "tenants"
    folder.mkdir()
    (folder / "acme.yaml").write_text(WHOLE, encoding="utf-8")
    monkeypatch.setenv("RECON_TENANTS", str(folder))
    return folder


def test_the_example_of_the_page_becomes_rules(acme: Path, tmp_path: Path) -> None:
    page = (ROOT / "docs" / "engineers.md").read_text(encoding="utf-8")
    example = page.split("```csv\n", 1)[1].split("```", 1)[0]
    (tmp_path / "mapping.csv").write_text(example, encoding="utf-8")
    done = recon("import", str(tmp_path / "mapping.csv"), "--tenant", "acme")
    assert (done.exit_code, done.stderr) == (0, "")
    rows = len(example.strip().splitlines()) - 1
    assert f"{rows} of {rows} rows are rules in" in done.stdout.replace("\n", " ")
    (acme / "acme.yaml").write_text(f"extends: _acme-imported\n{WHOLE}", encoding="utf-8")
    invoice = TenantRegistry(acme).load("acme").records["invoice"]
    assert invoice.external_id == "inv-{id}"
    assert invoice.fields["terms"].lookup == "term"
    assert invoice.fields["subsidiary"].map == {"us": "1", "de": "3"}
    assert invoice.fields["memo"].template == "Usage {number}"
    assert invoice.lines["item"].by == ["external_id", "name"]
    assert recon("lint").exit_code == 0


@pytest.mark.parametrize(
    ("source", "words", "rule"),
    [
        ("memo", "", {"from": "memo"}),
        ("memo", "Copy", {"from": "memo"}),
        ("", "constant 7", {"value": "7"}),
        ("", 'value: "two words"', {"value": "two words"}),
        ("terms", "lookup term by external id, name | default Net 30",
         {"from": "terms", "lookup": "term", "by": ["external_id", "name"], "default": "Net 30"}),
        ("a", "map x->1; y=2, 'z z': 3", {"from": "a", "map": {"x": "1", "y": "2", "z z": "3"}}),
        ("a", "first of b, c", {"first_of": ["a", "b", "c"]}),
        ("", "join a; b", {"join": ["a", "b"]}),
        ("a", "date", {"from": "a", "type": "date"}),
        ("a", "negate | round currency", {"from": "a", "sign": "negate", "round": "currency"}),
        ("a", "max length 30 | cut", {"from": "a", "max_length": 30, "cut": True}),
    ],
)  # fmt: skip
def test_a_rows_words_are_a_rule(source: str, words: str, rule: dict[str, object]) -> None:
    assert rule_of(source, words) == rule


def test_every_row_that_is_no_rule_is_told_with_its_reason(acme: Path, tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_text(
        "source;target;rule;record\n"
        "memo;memo;;\n"
        ";;;\n"
        "memmo;otherRefNum;;\n"
        "total;total;;\n"
        "memo;memmo;;\n"
        "memo;message;=VLOOKUP(A1);\n"
        "memo;Memo;;\n"
        "memo;;;\n"
        ";email;;\n"
        "due_on;dueDate;;invoce\n"
        "x;companyName;;customer\n"
        "due_on;dueDate;lookup item;\n"
        "number;apply.doc;;\n"
        '"multi\nline";message;;\n',
        encoding="utf-8",
    )
    done = recon("import", str(tmp_path / "m.csv"), "--tenant", "acme")
    assert done.exit_code == 1
    told = [line.split("m.csv: ", 1)[1] for line in done.stderr.splitlines()]
    for expected in (
        "line 4 (source 'memmo', target 'otherRefNum'): billing invoices have no 'memmo'; did you mean 'memo'?",
        "line 5 (source 'total', target 'total'): total is computed by NetSuite and cannot be written",
        "line 6 (source 'memo', target 'memmo'): invoice has no field 'memmo'; did you mean 'memo'?",
        "line 8 (source 'memo', target 'Memo'): line 2 gives memo a rule already",
        "line 9 (source 'memo'): it has no target",
        "line 10 (target 'email'): it has no source, and its rule gives no value",
        "line 11 (source 'due_on', target 'dueDate'): there is no record 'invoce'; did you mean 'invoice'?",
        "line 12 (source 'x', target 'companyName'): tenants/acme.yaml:22 gives companyName a rule, which counts; keep"
        " that or this row",
        "line 13 (source 'due_on', target 'dueDate', rule 'lookup item'): a lookup gives a reference, but dueDate is"
        " date; leave it out",
        "line 14 (source 'number', target 'apply.doc'): invoice has no lines 'apply'; a field of its lines is written"
        " item.doc",
    ):  # fmt: skip
        assert expected in told, told
    assert any(line.startswith("line 7 ") and "'=VLOOKUP(A1)' is no rule" in line for line in told)
    assert any(line.startswith("line 15 ") for line in told)
    assert len(told) == 12
    text = (acme / "_acme-imported.yaml").read_text(encoding="utf-8")
    assert text.count("\n#   line ") == 12, "what was not translated stands in the file too"
    (acme / "acme.yaml").write_text(f"extends: _acme-imported\n{WHOLE}", encoding="utf-8")
    assert list(TenantRegistry(acme).load("acme").records["invoice"].fields) == ["memo"]
    again = recon("import", str(tmp_path / "m.csv"), "--tenant", "acme")
    assert (again.exit_code, "never overwritten" in again.stderr) == (1, True)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "has no column source and target: its first line names nothing"),
        (b"from,to\n", "has no column source and target: its first line names from, to"),
        (b"source,target\n\xff", "is not UTF-8 text (at byte 14)"),
        (b'source,target\n"a', "is no CSV file"),
    ],
)
def test_a_file_that_is_no_mapping_is_refused(acme: Path, tmp_path: Path, data: bytes, said: str) -> None:
    (tmp_path / "m.csv").write_bytes(data)
    done = recon("import", str(tmp_path / "m.csv"), "--tenant", "acme")
    assert done.exit_code == 1
    assert said in done.stderr
    assert "nowhere.csv cannot be read" in recon("import", "nowhere.csv", "--tenant", "acme").stderr
    assert not (acme / "_acme-imported.yaml").exists()


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.one_of(
    st.binary(max_size=120),
    st.lists(st.lists(st.one_of(
        st.sampled_from(["memo", "tranDate", "item.item", "map a=1", "lookup term | default x", "join a", "round 2", "|", "=",
                         "value", "type date", "by", "invoice", "\0", '"', "first of", "map a", "owner billing", "write x"]),
        st.text(max_size=6)), max_size=5), max_size=6,
    ).map(lambda rows: "\n".join(["source,target,rule,record", *(",".join(row) for row in rows)]).encode()),
))  # fmt: skip
def test_any_csv_file_is_rules_or_reasons(acme: Path, tmp_path: Path, data: bytes) -> None:
    (tmp_path / "any.csv").write_bytes(data)
    tenant = TenantRegistry(acme).load("acme")
    try:
        rows = read_rows(tmp_path / "any.csv", "invoice")
    except MappingFileError:
        return
    done = translate(rows, tenant, acme)
    assert len(done.translated) + len(done.refused) == len(rows)
    read_document(file_text(done, "any.csv", tenant) + "x: 1\n", "tenants/_x.yaml")


def test_no_row_is_lost(acme: Path, tmp_path: Path) -> None:
    rows = ["a,b,c", "memo,memo,", ",,", '"x,y",tranDate,"map ,"', "issued_on,tranDate,"]
    (tmp_path / "m.csv").write_text("source,target,rule\n" + "\n".join(rows), encoding="utf-8")
    read = read_rows(tmp_path / "m.csv", "invoice")
    done = translate(read, TenantRegistry(acme).load("acme"), acme)
    assert len(done.translated) + len(done.refused) == len(read) == 4
    assert all(isinstance(one, Refused) and one.why for one in done.refused)
