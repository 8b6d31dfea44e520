"""What changes between a named person's approval and the sending: nothing of it goes out, as NetSuite's own log shows."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest
from endtoend_office import Document, Line, Office
from endtoend_site import Site, assert_holds, assert_ledger_right, close_period
from endtoend_tools import LedgerView, View

NOBODY = {"operations": 0, "amount": 0}
CUSTOMERS = {"c0": "Nordwind"}
MONTH = [
    Document(record, str(number), "c0", 5, (Line("API calls", Decimal(3), Decimal("10.10")),))
    for record in ("invoice", "creditMemo")
    for number in range(2)
]


#: The account, and an office whose plan Ada approved and nobody has sent.
Approved = tuple[View, Office]


@pytest.fixture(scope="module")
def approved_once(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Approved:
    return approved(site, tmp_path_factory.mktemp("approved"))


@pytest.fixture
def approved_month(approved_once: Approved, tmp_path: Path) -> Approved:
    """A copy of that office. The account is the same: while nothing is sent, it stays empty."""
    netsuite, office = approved_once
    assert netsuite.log(writes=True) == [], "a test before this one has sent something"
    return netsuite, replace(office, folder=str(shutil.copytree(office.home, tmp_path / "office")))


def plan_table(office: Office, statement: str, *parameters: Any) -> list[Any]:
    with duckdb.connect(str(office.home / "warehouse" / "tenants" / "acme.duckdb")) as connection:
        return connection.execute(statement, list(parameters)).fetchall()


def another_amount_and_its_hash(office: Office, netsuite: View) -> None:
    """Somebody raises an amount, and makes the hash beside it fit."""
    ((sequence, method, path, query, body),) = plan_table(
        office,
        "SELECT sequence, method, path, query, body FROM write_back.plan WHERE record = 'invoice' LIMIT 1",
    )
    assert body.count("10.1") == 1
    body = body.replace("10.1", "9910.1")
    digest = hashlib.sha256()
    for part in (method, path, query, body):
        digest.update(f"{len(part.encode())}:".encode() + part.encode())
    changed = "UPDATE write_back.plan SET body = ?, body_hash = ? WHERE sequence = ?"
    assert plan_table(office, changed, body, digest.hexdigest(), sequence) == [(1,)]


def another_customer(office: Office, netsuite: View) -> None:
    changed = "UPDATE write_back.plan SET path = path || '1' WHERE record = 'customer'"
    assert plan_table(office, changed) == [(1,)]


def one_operation_less(office: Office, netsuite: View) -> None:
    assert plan_table(office, "DELETE FROM write_back.plan WHERE sequence = 2") == [(1,)]


def the_tenant_is_paused(office: Office, netsuite: View) -> None:
    office.open(approve_automatically=NOBODY, paused=True)


def the_tenant_only_plans(office: Office, netsuite: View) -> None:
    office.open(approve_automatically=NOBODY, mode="plan_only")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (another_amount_and_its_hash, "altered since"),
        (another_customer, "altered since"),
        (one_operation_less, "altered since"),
        (the_tenant_is_paused, "pauses writing"),
        (the_tenant_only_plans, "plan_only"),
    ],
    ids=lambda each: getattr(each, "__name__", ""),
)
def test_nothing_is_sent_of_a_plan_that_changed_after_its_approval(
    site: Site, approved_month: Approved, change: Callable[[Office, View], None], said: str
) -> None:
    netsuite, office = approved_month
    change(office, netsuite)
    ended = site.runs.run(office, "apply")
    assert said in ended.said["refused"]
    assert "othing was sent" in ended.said["refused"]
    assert_nothing_written(office, netsuite)


def test_an_approval_ends_with_what_the_plan_rests_on(site: Site, approved_month: Approved) -> None:
    """Billing corrects an amount: the plan that is made of it is another one, which nobody has approved."""
    netsuite, office = approved_month
    corrected = replace(MONTH[0], lines=(Line("API calls", Decimal(3), Decimal("9910.10")),))
    office.bill(CUSTOMERS, [corrected, *MONTH[1:]])
    ended = site.runs.run(office, "plan", "apply")
    assert "waits for a named person's approval" in ended.said["refused"]
    assert_nothing_written(office, netsuite)
    # The first plan comes back with what it rests on, and so does its approval.
    office.bill(CUSTOMERS, MONTH)
    assert site.runs.run(office, "plan", "apply").is_done
    assert_holds(netsuite, CUSTOMERS, MONTH)
    assert_ledger_right(office, netsuite)


def test_no_document_is_sent_into_a_month_that_was_closed_after_the_approval(
    site: Site, tmp_path: Path
) -> None:
    netsuite, office = approved(site, tmp_path)
    close_period(netsuite, True)
    ended = site.runs.run(office, "apply")
    assert [entry["path"].rpartition("/record/v1/")[2] for entry in netsuite.log(writes=True)] == [
        "customer/eid:cus-c0"
    ]
    assert ended.said["states"] == {"written": 1, "held": len(MONTH)}


def approved(site: Site, folder: Path) -> Approved:
    """A plan of one customer and four documents, every operation of which Ada approved."""
    netsuite = site.clear()
    office = site.open_office(folder, approve_automatically=NOBODY)
    office.bill(CUSTOMERS, MONTH)
    ended = site.runs.run(office, "plan", "approve")
    assert ended.said["operations"] == 1 + len(MONTH)
    assert "approved by Ada" in ended.said["approved"]
    return netsuite, office


def assert_nothing_written(office: Office, netsuite: View) -> None:
    assert netsuite.log(), "NetSuite was not even read"
    assert netsuite.log(writes=True) == []
    assert LedgerView(office.ledger).intents() == []
