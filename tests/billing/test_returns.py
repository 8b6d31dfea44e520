"""What flows back to a billing database: each row once, whole or not at all, and only over what it was planned on."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from resources.billing import BillingError
from resources.billing.connect import normalise_url
from resources.billing.returns import ReturnedRow
from resources.billing.sql_returns import Place, SqlReturns
from resources.tenants import TenantError, TenantRegistry

INVOICES = Place(
    "invoice",
    "bills",
    {"id": "bill_id"},
    {"internal_id": "ns_id", "status": "ns_status", "remaining": "ns_open"},
    False,
    "writeback.return.invoice",
)
APPLICATIONS = Place(
    "application",
    "ns_applied",
    {"applying_id": "payment", "invoice_id": "bill"},
    {"amount": "amount", "applied_on": "on_day"},
    True,
    "writeback.return.application",
)
PLACES = {"invoice": INVOICES, "application": APPLICATIONS}


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database with two bills, in both kinds; the types are those that such a database has."""
    if request.param == "sqlite":
        made = f"sqlite:///{tmp_path / 'billing.sqlite'}"
    else:
        new: Callable[[], str] = request.getfixturevalue("new_postgres_database")
        made = new()
    execute(
        made,
        "CREATE TABLE bills (bill_id INTEGER PRIMARY KEY, ns_id TEXT, ns_status VARCHAR(20), ns_open NUMERIC(18, 4))",
        "CREATE TABLE ns_applied (payment TEXT, bill INTEGER, amount NUMERIC(18, 4), on_day DATE, PRIMARY KEY (payment, bill))",
        "INSERT INTO bills (bill_id) VALUES (1), (2)",
    )
    return made


@pytest.fixture
def returns(url: str) -> Iterator[SqlReturns]:
    opened = SqlReturns(PLACES, url)
    yield opened
    opened.close()


def execute(url: str, *statements: str) -> list[Any]:
    engine = sa.create_engine(normalise_url(url))
    with engine.begin() as connection:
        for statement in statements:
            result = connection.exec_driver_sql(statement)
        rows = [tuple(row) for row in result] if result.returns_rows else []
    engine.dispose()
    return rows


EMPTY = {"internal_id": None, "status": None, "remaining": None}
OPEN = {"internal_id": "512", "status": "open", "remaining": "12.5"}


def test_a_row_is_written_once_however_often_it_is_sent(returns: SqlReturns, url: str) -> None:
    row = ReturnedRow("invoice", ("1",), EMPTY, OPEN)
    assert returns.held("invoice", ["1", "2", "3"]) == {("1",): EMPTY, ("2",): EMPTY}
    assert [one.state for one in returns.write([row])] == ["written"]
    assert [one.state for one in returns.write([row])] == ["already"]
    assert returns.held("invoice", ["1", "2"]) == {("1",): OPEN, ("2",): EMPTY}
    [(held,)] = execute(url, "SELECT ns_open FROM bills WHERE bill_id = 1")
    assert str(held).startswith("12.5")


def test_what_was_changed_since_is_left_and_told(returns: SqlReturns, url: str) -> None:
    execute(url, "UPDATE bills SET ns_status = 'disputed' WHERE bill_id = 1")
    [first, second] = returns.write(
        [ReturnedRow("invoice", ("1",), EMPTY, OPEN), ReturnedRow("invoice", ("2",), EMPTY, OPEN)]
    )
    assert (first.state, first.held) == ("changed", EMPTY | {"status": "disputed"})
    assert second.state == "written"
    assert returns.held("invoice", ["1"])[("1",)]["status"] == "disputed"


def test_rows_of_their_own_table_are_made_changed_and_taken_away(returns: SqlReturns) -> None:
    ten = {"amount": "10", "applied_on": "2026-10-20"}
    nine = {"amount": "9.99", "applied_on": "2026-10-21"}
    for before, after in ((None, ten), (ten, nine), (nine, None), (None, ten)):
        [taken] = returns.write([ReturnedRow("application", ("77", "1"), before, after)])
        assert taken.state == "written"
        held = returns.held("application", ["1", "2"])
        assert held == ({("77", "1"): after} if after is not None else {})
    [again] = returns.write([ReturnedRow("application", ("77", "1"), None, nine)])
    assert (again.state, again.held) == ("changed", ten)


def test_a_row_that_billing_lost_is_not_made_in_its_own_table(returns: SqlReturns) -> None:
    [taken] = returns.write([ReturnedRow("invoice", ("9",), EMPTY, OPEN)])
    assert (taken.state, taken.held) == ("changed", None)
    assert returns.held("invoice", ["9"]) == {}


def test_one_row_that_the_database_refuses_takes_all_of_its_transaction_back(
    returns: SqlReturns, url: str
) -> None:
    if url.startswith("sqlite"):
        execute(
            url,
            "CREATE TRIGGER no BEFORE UPDATE ON bills WHEN NEW.bill_id = 2 BEGIN SELECT raise(ABORT, 'frozen'); END",
        )
    else:
        execute(url, "ALTER TABLE bills ADD CONSTRAINT frozen CHECK (bill_id <> 2 OR ns_id IS NULL)")
    rows = [ReturnedRow("invoice", (key,), EMPTY, OPEN) for key in ("1", "2")]
    with pytest.raises(BillingError, match="frozen") as raised:
        returns.write(rows)
    assert "Nothing was written" in raised.value.problem
    assert returns.held("invoice", ["1", "2"]) == {("1",): EMPTY, ("2",): EMPTY}


def test_a_column_or_table_that_is_missing_is_named_with_the_nearest(url: str) -> None:
    place = Place(
        "invoice", "bills", {"id": "bill_id"}, {"status": "ns_statu"}, False, "writeback.return.invoice"
    )
    with pytest.raises(
        BillingError, match=r"no column 'ns_statu' for status\. Did you mean 'ns_status'"
    ) as raised:
        SqlReturns({"invoice": place}, url).held("invoice", ["1"])
    assert raised.value.yaml_key == "writeback.return.invoice.columns.status"
    place = Place(
        "invoice", "bils", {"id": "bill_id"}, {"status": "ns_status"}, False, "writeback.return.invoice"
    )
    with pytest.raises(BillingError, match=r"no table 'bils'\. Did you mean 'bills'"):
        SqlReturns({"invoice": place}, url).held("invoice", ["1"])


_SOME = st.none() | st.builds(
    lambda amount, day: {"amount": amount, "applied_on": day},
    st.sampled_from(["1", "2.5", None]),
    st.sampled_from(["2026-10-01", None]),
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from("12"), _SOME, _SOME), max_size=4),
        max_size=6,
    )
)
def test_whatever_is_sent_the_database_holds_what_a_dictionary_would(
    tmp_path: Path, calls: list[list[tuple[str, str, Any, Any]]]
) -> None:
    url = f"sqlite:///{tmp_path / 'any.sqlite'}"
    execute(
        url,
        "DROP TABLE IF EXISTS ns_applied",
        "CREATE TABLE ns_applied (payment TEXT, bill TEXT, amount NUMERIC, on_day TEXT, PRIMARY KEY (payment, bill))",
    )
    returns, model = SqlReturns(PLACES, url), {}  # type: SqlReturns, dict[Key, Facts]
    for call in calls:
        rows = [ReturnedRow("application", (one, other), before, after) for one, other, before, after in call]
        told = []
        for row in rows:
            held = model.get(row.key)
            state = "already" if held == row.after else "written" if held == row.before else "changed"
            told.append((state, held))
            if state == "written" and row.after is None:
                del model[row.key]
            elif state == "written" and row.after is not None:
                model[row.key] = row.after
        assert [(one.state, one.held) for one in returns.write(rows)] == told
        assert returns.held("application", ["1", "2"]) == model
    returns.close()


# The tenant's file


def test_what_is_to_be_written_is_tried_on_no_row(returns: SqlReturns, url: str) -> None:
    for kind in PLACES:
        returns.check(kind)
    assert execute(url, "SELECT bill_id, ns_id FROM bills ORDER BY 1") == [(1, None), (2, None)]
    assert execute(url, "SELECT * FROM ns_applied") == []


def test_a_table_that_takes_no_changes_is_told_before_any_is_made(returns: SqlReturns, url: str) -> None:
    execute(
        url,
        "ALTER TABLE bills RENAME TO all_bills",
        "CREATE VIEW bills AS SELECT DISTINCT bill_id, ns_id, ns_status, ns_open FROM all_bills",
    )
    with pytest.raises(BillingError) as raised:
        returns.check("invoice")
    assert "view" in raised.value.problem
    assert "the columns of writeback.return.invoice in 'bills'" in raised.value.next_step


def _tenant(folder: Path, returned: str) -> TenantRegistry:
    """Acme, which lets this flow back."""
    root = Path(__file__).parents[2] / "tenants"
    shutil.copy(root / "_defaults.yaml", folder)
    text = yaml.safe_load((root / "acme.yaml").read_text(encoding="utf-8"))
    text["writeback"]["return"] = yaml.safe_load(returned)
    (folder / "acme.yaml").write_text(yaml.safe_dump(text, sort_keys=False), encoding="utf-8")
    return TenantRegistry(folder)


def test_a_list_of_facts_means_columns_of_their_names(tmp_path: Path) -> None:
    tenant = _tenant(tmp_path, "{invoice: {columns: [internal_id, status]}}").load("acme")
    assert tenant.writeback.returned["invoice"].columns == {
        "internal_id": "netsuite_internal_id",
        "status": "netsuite_status",
    }


@pytest.mark.parametrize(
    ("returned", "said"),
    [
        ("{invoic: {columns: [status]}}", "did you mean 'invoice'"),
        ("{invoice: {columns: [statu]}}", "invoice has no 'statu' that flows back; did you mean 'status'"),
        ("{invoice: {columns: {status: status}}}", "the column 'status' is read as billing's own"),
        ("{invoice: {columns: {number: invoice_number}}}", "the column 'invoice_number' is read as billing's own"),
        ("{journalEntry: {columns: [status]}}", "billing.tables has no journals; say under 'table'"),
        ("{invoice: {columns: []}}", "this is empty"),
    ],
)  # fmt: skip
def test_a_mistake_in_what_flows_back_is_said_at_its_line(tmp_path: Path, returned: str, said: str) -> None:
    with pytest.raises(TenantError) as raised:
        _tenant(tmp_path, returned).load("acme")
    assert said in str(raised.value)
    assert "acme.yaml:" in str(raised.value)
