"""Each mistake around a billing database is one clear message: what, where, the nearest right name, the mend."""

from __future__ import annotations

import re
import socket
from pathlib import Path
from typing import Any

import pytest
from billing_tools import INVOICES, OCTOBER, Settings, rows, run, source

from resources.billing import BillingError, open_billing
from resources.billing.tables import Table

CREATE = "CREATE TABLE invoices (id text, number text, issued_on text, currency text, total text, state text)"


def refusal(url: str, settings: Settings = INVOICES, table: str = "invoices") -> BillingError:
    with pytest.raises(BillingError) as refused:
        rows(url, table, settings)
    return refused.value


@pytest.mark.parametrize(
    ("table", "yaml_key", "words"),
    [
        (
            Table("invoice"),
            "billing.tables.invoices.table",
            "no table or view 'invoice'. Did you mean 'invoices'?",
        ),
        (Table("OTHERS"), "billing.tables.invoices.table", "Did you mean 'other'?"),
        (Table("zzz"), "billing.tables.invoices.table", "There are: invoices, other."),
        (
            Table("invoices", {"number": "nubmer"}),
            "billing.tables.invoices.columns.number",
            "the table 'invoices' has no column 'nubmer' for number. Did you mean 'number'?",
        ),
        (
            Table("invoices", {"memo": "notes"}),
            "billing.tables.invoices.columns.memo",
            "There are: currency, id, issued_on, number, state, total.",
        ),
        (
            Table("other"),
            "billing.tables.invoices.columns.number",
            "has no column 'number', which every row must have. Did you mean 'numbers'?",
        ),
        (
            Table("invoices", metadata=["stat"]),
            "billing.tables.invoices.metadata",
            "no column 'stat' for metadata. Did you mean 'state'?",
        ),
        (
            Table("invoices", where={"status": ["open"]}),
            "billing.tables.invoices.where.status",
            "Did you mean 'state'?",
        ),
        (
            Table("invoices", {"metadata": "state"}, metadata=["state"]),
            "billing.tables.invoices.metadata",
            "metadata is given twice",
        ),
    ],
)
def test_a_wrong_name_says_the_nearest_right_one_and_the_key_to_mend(
    any_database: str, table: Table, yaml_key: str, words: str
) -> None:
    run(any_database, CREATE, "CREATE TABLE other (id text, numbers text)")
    refused = refusal(any_database, Settings({"invoices": table}))
    assert words in str(refused)
    assert refused.yaml_key == yaml_key
    assert yaml_key in str(refused)


def test_check_finds_a_mistake_before_anything_is_read(any_database: str) -> None:
    run(any_database, CREATE)
    billing = source(any_database, Settings({"invoices": Table("invoices"), "payments": Table("paymnts")}))
    with pytest.raises(BillingError, match="paymnts"):
        billing.check()
    billing.close()


@pytest.mark.parametrize(
    ("tables", "words"),
    [
        ({"invoces": Table("invoices")}, "no canonical table 'invoces'. Did you mean 'invoices'?"),
        (
            {"invoices": Table("invoices", {"isued_on": "d"})},
            "no column 'isued_on'. Did you mean 'issued_on'?",
        ),
        ({"invoice_lines": Table("lines")}, "Add billing.tables.invoices"),
    ],
)
def test_a_canonical_name_that_does_not_exist_is_refused_at_once(
    tables: dict[str, Table], words: str
) -> None:
    with pytest.raises(BillingError, match=re.escape(words)):
        source("sqlite:///nowhere.sqlite", Settings(tables))


@pytest.mark.parametrize(
    ("issued_on", "shown"),
    [("'31/10/2026'", "31/10/2026"), ("NULL", "NULL"), ("''", "''"), ("20261031", "20261031")],
)
def test_a_row_without_a_readable_date_stops_the_slice(any_database: str, issued_on: str, shown: str) -> None:
    run(
        any_database,
        CREATE,
        "INSERT INTO invoices VALUES ('1', 'INV-1', '2026-10-01', 'USD', '1', 'x')",
        f"INSERT INTO invoices VALUES ('2', 'INV-2', {issued_on}, 'USD', '1', 'x')",
    )
    refused = refusal(any_database)
    assert shown in str(refused)
    assert "invoice INV-2 (id 2)" in str(refused)
    assert "in which month the row belongs" in str(refused)


def test_a_day_that_no_calendar_has_is_refused(any_database: str) -> None:
    run(any_database, CREATE, "INSERT INTO invoices VALUES ('1', 'INV-1', '2026-10-32', 'USD', '1', 'x')")
    assert "'2026-10-32' in 'issued_on' of 'invoices' is not a date" in str(refusal(any_database))


def test_text_timestamps_that_belong_to_another_month_stop_a_postgres_slice(new_database: Any) -> None:
    url = new_database("postgres")
    run(url, CREATE, "INSERT INTO invoices VALUES ('1', 'I', '2026-10-01T01:00:00Z', 'USD', '1', 'x')")
    assert "falls on 2026-09-30 in America/New_York" in str(refusal(url))


def test_a_date_column_that_is_no_date_is_refused(new_database: Any) -> None:
    url = new_database("postgres")
    run(url, CREATE.replace("issued_on text", "issued_on bigint"))
    assert "has the type BIGINT, which is not a date" in str(refusal(url))


def test_an_id_that_occurs_twice_is_refused(any_database: str) -> None:
    run(any_database, CREATE, *["INSERT INTO invoices VALUES ('7', 'I', '2026-10-01', 'USD', '1', 'x')"] * 2)
    assert "invoice (id 7) occurs more than once in 'invoices'" in str(refusal(any_database))


@pytest.mark.parametrize(("metadata", "why"), [("{", "is not JSON"), ("[1]", "not an object")])
def test_metadata_that_is_not_an_object_is_refused(any_database: str, metadata: str, why: str) -> None:
    run(
        any_database,
        CREATE.replace("state", "metadata"),
        f"INSERT INTO invoices VALUES ('1', 'I', '2026-10-01', 'USD', '1', '{metadata}')",
    )
    assert why in str(refusal(any_database))


def test_a_database_that_does_not_answer_is_named_without_its_password() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound but not listening: refuses
        port = taken.getsockname()[1]
        refused = refusal(f"postgresql://finance:s3cr3t-pw@127.0.0.1:{port}/billing")
    assert f"127.0.0.1:{port}" in str(refused)
    assert "Check that it runs" in str(refused)
    assert "s3cr3t-pw" not in str(refused)


@pytest.mark.parametrize(
    "login", ["finance:s3cr3t-pw@127.0.0.1/b?", "finance@127.0.0.1/b?password=s3cr3t-pw&"]
)
def test_a_password_that_the_driver_repeats_is_not_shown(login: str) -> None:
    refused = refusal(f"postgresql://{login}sslmode=s3cr3t-pw")
    assert 'invalid sslmode value: "***"' in str(refused)
    assert "s3cr3t-pw" not in str(refused)


def test_a_database_that_ends_between_two_questions_is_named_so(new_database: Any) -> None:
    url = new_database("postgres")
    run(url, CREATE)
    billing = source(url)
    assert billing.count("invoices", *OCTOBER) == 0
    run(
        url,
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()",
    )
    with pytest.raises(BillingError, match="cannot be read"):
        billing.count("invoices", *OCTOBER)
    assert billing.count("invoices", *OCTOBER) == 0  # the next question connects anew
    billing.close()


def test_a_missing_file_is_not_made(tmp_path: Path) -> None:
    path = tmp_path / "missing.sqlite"
    assert f"there is no SQLite file '{path}'" in str(refusal(f"sqlite:///{path}"))
    assert not path.exists()


def test_a_file_that_is_not_a_database_is_said_so(tmp_path: Path) -> None:
    path = tmp_path / "notes.sqlite"
    path.write_text("these are notes, not a database " * 100)
    refused = refusal(f"sqlite:///{path}")
    assert "file is not a database" in str(refused)
    assert str(path) in str(refused)


def test_reading_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "b.sqlite"
    run(f"sqlite:///{path}", CREATE)
    before = path.read_bytes()
    rows(f"sqlite:///{path}")
    assert path.read_bytes() == before
    assert [other.name for other in tmp_path.iterdir()] == ["b.sqlite"]


@pytest.mark.parametrize("url", ["", "not a url s3cr3t-pw", "postgresql://u:s3cr3t-pw@host:port/x"])
def test_a_url_that_cannot_be_understood_is_not_repeated(url: str) -> None:
    with pytest.raises(BillingError, match="cannot be understood") as refused:
        source(url)
    assert "s3cr3t-pw" not in str(refused.value)


def test_a_missing_driver_is_said_so() -> None:
    assert "there is no driver for mysql+nosuch" in str(refusal("mysql+nosuch://u:s3cr3t-pw@h/x"))


@pytest.mark.parametrize("url", ["postgresql://u:s3cr3t-pw@h/x", "postgresql://u@h/x?password=s3cr3t-pw"])
def test_the_text_of_a_source_has_no_password(url: str) -> None:
    assert repr(source(url)).startswith("SqlBilling(postgresql+psycopg2://u")
    assert "s3cr3t-pw" not in repr(source(url))


def test_an_unknown_billing_system_is_refused() -> None:
    with pytest.raises(BillingError, match="'abacus' is not a billing system") as refused:
        open_billing(Settings({}, system="abacus"), "sqlite:///x")
    assert refused.value.yaml_key == "billing.system"
