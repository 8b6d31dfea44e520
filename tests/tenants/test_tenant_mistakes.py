"""Every mistake in a tenant's file is one clear sentence at its line and column."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from tenant_tools import WHOLE, folder, mistakes

from resources.tenants import TenantError, TenantRegistry
from resources.tenants import source as yaml_source

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        pytest.param(
            "{from: name}",
            "{form: name}",
            "tenants/acme.yaml:22:21: unknown key 'form'; did you mean 'from'?",
            id="unknown key in a rule",
        ),
        pytest.param(
            "  account:",
            "  acount:",
            "tenants/acme.yaml:5:3: unknown key 'acount'; did you mean 'account'?",
            id="unknown key in settings",
        ),
        pytest.param(
            "first_month: 2026-01",
            "zzz: 1",
            "tenants/acme.yaml:3:1: unknown key 'zzz'; known here: tenant, timezone, first_month, netsuite, billing,"
            " reconcile, writeback, currency_precision, accruals, records",
            id="unknown key like no other",
        ),
        pytest.param(
            "  customer:\n    external",
            "  custommer:\n    external",
            "tenants/acme.yaml:19:3: unknown record type 'custommer'; did you mean 'customer'?",
            id="unknown record type",
        ),
        pytest.param(
            "{table: customers}",
            "{table: [customers]}",
            "tenants/acme.yaml:15:24: expected text, found a list",
            id="a list for text",
        ),
        pytest.param(
            "{from: name}",
            "name",
            "tenants/acme.yaml:22:20: expected a mapping of keys to values, found 'name'",
            id="text for a rule",
        ),
        pytest.param(
            "  auth:",
            "  governance: {concurrency: five}\n  auth:",
            "tenants/acme.yaml:6:29: expected a whole number, found 'five'",
            id="text for a number",
        ),
        pytest.param(
            "  auth:",
            "  governance: {concurrency: true}\n  auth:",
            "tenants/acme.yaml:6:29: expected a whole number, found 'True'",
            id="a truth for a number",
        ),
        pytest.param(
            "  auth:",
            "  governance: {concurrency: 2, reserve: 2}\n  auth:",
            "tenants/acme.yaml:6:15: reserve 2 leaves nothing of concurrency 2; it must be less",
            id="nothing left of the quota",
        ),
        pytest.param(
            "records:",
            "writeback: {mode: aply}\nrecords:",
            "tenants/acme.yaml:18:19: unknown value for mode: 'aply'; did you mean 'apply'?",
            id="unknown choice",
        ),
        pytest.param(
            "records:",
            "reconcile: {tolerance: {amount: -0.01}}\nrecords:",
            "tenants/acme.yaml:18:33: input should be greater than or equal to 0, found '-0.01'",
            id="negative tolerance",
        ),
        pytest.param(
            "records:",
            "reconcile: {tolerance: {amount: 0.00001}}\nrecords:",
            "tenants/acme.yaml:18:33: decimal input should have no more than 4 decimal places, found '0.00001'",
            id="too fine a tolerance",
        ),
        pytest.param(
            "America/New_York",
            "America/Boston",
            "tenants/acme.yaml:2:11: 'America/Boston' is not a time zone such as Europe/London or America/New_York",
            id="unknown time zone",
        ),
        pytest.param(
            "2026-01",
            "2026-13",
            "tenants/acme.yaml:3:14: '2026-13' is not a month; write it as 2024-01",
            id="no such month",
        ),
        pytest.param(
            "tenant: acme",
            "tenant: globex",
            "tenants/acme.yaml:1:9: this file is tenant 'acme' by its name, but says 'globex'",
            id="another tenant's name",
        ),
        pytest.param(
            "timezone: America/New_York\n",
            "",
            "tenants/acme.yaml:1:1: the key 'timezone' is missing",
            id="missing key",
        ),
        pytest.param(
            "    method: oauth2_client_credentials\n",
            "",
            "tenants/acme.yaml:6:3: the key 'method' is missing in netsuite.auth",
            id="missing key below",
        ),
        pytest.param(
            "${NS_CLIENT_ID}",
            "s3cret",
            "tenants/acme.yaml:8:16: a credential never stands in the file: write ${NAME} and set the environment"
            " variable NAME",
            id="a credential in the file",
        ),
        pytest.param(
            "${BILLING_URL}",
            "postgresql://reader:s3cret@db/billing",
            "tenants/acme.yaml:13:8: a password never stands in the file: write ${NAME} and set the environment"
            " variable NAME",
            id="a password in a URL",
        ),
        pytest.param(
            "${BILLING_URL}",
            "${BILLING URL}",
            "tenants/acme.yaml:13:8: a reference to the environment is written ${NAME}",
            id="a reference with a space",
        ),
        pytest.param(
            "{from: name}",
            '{value: "${NAME}"}',
            "tenants/acme.yaml:22:28: the environment can be named only in billing.url, netsuite.base_url and the"
            " credentials of netsuite.auth",
            id="the environment in a rule",
        ),
        pytest.param(
            "{number: invoice_number}",
            "{nummer: invoice_number}",
            "tenants/acme.yaml:16:43: invoices has no column 'nummer'; did you mean 'number'?",
            id="unknown canonical column",
        ),
        pytest.param(
            "columns: {number: invoice_number}",
            "columns: [id, nummer]",
            "tenants/acme.yaml:16:47: invoices has no column 'nummer'; did you mean 'number'?",
            id="unknown canonical column in a list",
        ),
        pytest.param(
            "    invoice_lines:",
            "    invoice_line:",
            "tenants/acme.yaml:14:3: the table 'invoice_lines' is missing\n"
            "tenants/acme.yaml:17:5: unknown billing table 'invoice_line'; did you mean 'invoice_lines'?",
            id="unknown canonical table",
        ),
        pytest.param(
            "    invoice_lines: {table: invoice_lines}",
            "    invoice_lines: {table: invoice_lines}\n    credit_note_lines: {table: x}",
            "tenants/acme.yaml:18:5: credit_note_lines is given without credit_notes, whose rows say to which month it"
            " belongs",
            id="lines without documents",
        ),
        pytest.param(
            "timezone:",
            "tenant: other\ntimezone:",
            "tenants/acme.yaml:2:1: the key 'tenant' is given twice; first in line 1",
            id="duplicate key",
        ),
        pytest.param(
            "  account:",
            "\taccount:",
            "tenants/acme.yaml:5:1: a tab indents this line; YAML wants spaces",
            id="tab",
        ),
        pytest.param(
            "  customer:\n    external",
            "  customer: x:\n    external",
            "tenants/acme.yaml:19:14: a ':' where none can be: check the indentation, or put the value in quotes",
            id="two colons",
        ),
        pytest.param(
            "sql",
            "@sql",
            "tenants/acme.yaml:12:11: '@' cannot begin a value in YAML; put the value in quotes",
            id="a reserved character",
        ),
        pytest.param(
            "sql",
            "!!python/object/apply:os.system ['true']",
            "tenants/acme.yaml:12:11: the tag 'python/object/apply:os.system' is not allowed; use plain text, numbers,"
            " true, false, lists and mappings",
            id="an object",
        ),
        pytest.param(
            "sql",
            "*nowhere",
            "tenants/acme.yaml:12:11: '*nowhere' refers to an anchor that is not defined above it",
            id="unknown anchor",
        ),
        pytest.param(
            "{table: customers}",
            "&loop {table: customers, where: *loop}",
            "tenants/acme.yaml:15:48: '*loop' stands inside of what it refers to",
            id="anchor inside itself",
        ),
        pytest.param(
            "  account:",
            "  <<: {a: 1}\n  account:",
            "tenants/acme.yaml:5:3: merge keys ('<<') are not used here; put what is shared into a base file and name"
            " it with 'extends'",
            id="merge key",
        ),
        pytest.param(
            "  account:",
            "  ? [a, b]\n  : c\n  account:",
            "tenants/acme.yaml:5:5: a key must be plain text",
            id="a key that is a list",
        ),
        pytest.param(
            "{from: name}",
            '{from: "na\\0me"}',
            "tenants/acme.yaml:22:27: the character U+0000 cannot be part of a value",
            id="a control character",
        ),
        pytest.param(
            "records:",
            "writeback: {voided: credit}\nrecords:",
            "tenants/acme.yaml:18:13: records has no creditMemo, as which voided invoices are taken back",
            id="a policy without its record",
        ),
    ],
)
def test_a_mistake_is_told_at_its_place(tmp_path: Path, old: str, new: str, expected: str) -> None:
    assert old in WHOLE
    found = mistakes(tmp_path, WHOLE.replace(old, new, 1))
    # A misspelt key is also one that is missing.
    assert [
        line for line in found if "the key '" not in line or " is missing" not in line or line in expected
    ] == (expected.splitlines())


def test_all_mistakes_are_told_together_in_the_order_of_the_text(tmp_path: Path) -> None:
    text = WHOLE.replace("America/New_York", "Mars").replace("sql\n", "sq\n").replace("from:", "form:")
    assert [line.split(": ")[0] for line in mistakes(tmp_path, text)] == [
        "tenants/acme.yaml:2:11",
        "tenants/acme.yaml:12:11",
        "tenants/acme.yaml:22:21",
    ]


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", "tenants/acme.yaml:1:1: the file is empty"),
        (b"# nothing\n", "tenants/acme.yaml:1:1: the file is empty"),
        (b"- a\n- b\n", "tenants/acme.yaml:1:1: a tenant's file is a mapping of keys to values"),
        (
            b"a: 1\n---\nb: 2\n",
            "tenants/acme.yaml:2:1: a second document begins here; a tenant's file holds one",
        ),
        (
            b"a: 1\nb\xe4: 2\n",
            "tenants/acme.yaml:2:2: the file is not UTF-8 text; save it with that encoding",
        ),
        (b"a: 1\nb: c\0d\n", "tenants/acme.yaml:2:5: the character U+0000 cannot be part of a tenant's file"),
        (
            "a: 1\n".encode("utf-16"),
            "tenants/acme.yaml:1:1: the file is not UTF-8 text; save it with that encoding",
        ),
        (
            "a: 1\n".encode("utf-16-le"),
            "tenants/acme.yaml:1:2: the character U+0000 cannot be part of a tenant's file",
        ),
        (
            "a: 1\nname: Zoë\n".encode("latin-1"),
            "tenants/acme.yaml:2:9: the file is not UTF-8 text; save it with that",
        ),
        (b"a: 1\nb: \x07\n", "tenants/acme.yaml:2:4: the character U+0007 cannot be part of a tenant's file"),
        (b"a: [1, 2\nb: 3\n", "tenants/acme.yaml:2:2: "),
    ],
)
def test_a_file_that_is_no_yaml_mapping_is_refused(tmp_path: Path, data: bytes, expected: str) -> None:
    registry = folder(tmp_path)
    (tmp_path / "tenants" / "acme.yaml").write_bytes(data)
    with pytest.raises(TenantError) as caught:
        registry.load("acme")
    assert str(caught.value).startswith(expected)
    assert len(caught.value.problems) == 1


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    registry = folder(tmp_path)
    (tmp_path / "tenants" / "acme.yaml").mkdir()
    assert registry.names() == []
    with pytest.raises(TenantError, match=r"^tenants/acme\.yaml:1:1: there is no tenant 'acme'$"):
        registry.load("acme")


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("a: " + "[" * 100_000, id="deep nesting"),
        pytest.param("a: " + "x" * 10_000_000, id="ten megabytes"),
        pytest.param("k: {a: 1, b: [2]}\n" * 550_000, id="ten megabytes of keys"),
        pytest.param("a: " + "x" * 1_500_000, id="more than a megabyte"),
        pytest.param(
            "a: &a [x, x, x, x, x, x, x, x, x]\n"
            + "".join(
                f"{b}: &{b} [{', '.join(['*' + a] * 9)}]\n"
                for a, b in zip("abcdefghi", "bcdefghij", strict=True)
            ),
            id="a billion laughs",
        ),
    ],
)
def test_a_file_that_would_exhaust_memory_is_refused(tmp_path: Path, text: str) -> None:
    (line,) = mistakes(tmp_path, text)
    assert line.startswith("tenants/acme.yaml:")
    assert len(line) < 200


def test_the_python_parser_tells_the_same_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = WHOLE.replace("sql\n", "sq\n").replace("from:", "form:")
    with_c = mistakes(tmp_path, text)
    monkeypatch.setattr(yaml_source, "_LOADER", yaml.SafeLoader)
    assert mistakes(tmp_path, text) == with_c


def test_the_folder_must_exist(tmp_path: Path) -> None:
    with pytest.raises(
        TenantError, match=r"nowhere:1:1: the folder of tenants cannot be read \(No such file"
    ):
        TenantRegistry(tmp_path / "nowhere").names()
