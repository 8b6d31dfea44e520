"""What NetSuite knows and billing does not flows back: planned, approved, written once, read back, and no change of anyone's."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from decimal import Decimal
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from loop_tools import Loop
from rich.console import Console
from typer.testing import CliRunner

from netsuite_assets import frames
from netsuite_assets.cli import app
from netsuite_assets.publish.plan_page import print_plan, write_document
from netsuite_assets.writeback.assets import to_tell
from netsuite_assets.writeback.plan import PlanRefused
from resources.billing import Returns
from resources.billing.returns import Facts, Key, ReturnedRow, Taken
from resources.connections import billing_returns

RETURN: dict[str, Any] = {
    "customer": {"columns": ["internal_id", "number"]},
    "invoice": {
        "columns": {
            "internal_id": "ns_id",
            "number": "ns_number",
            "status": "ns_status",
            "remaining": "ns_open",
        }
    },
    "application": {
        "table": "ns_applications",
        "columns": {"record": "record", "number": "number", "amount": "amount", "applied_on": "applied_on"},
    },
}


@pytest.fixture(scope="module")
def made(account_url: str, tmp_path_factory: pytest.TempPathFactory) -> Loop:
    return _made(account_url, tmp_path_factory.mktemp("made"))


@pytest.fixture
def loop(made: Loop, tmp_path: Path) -> Iterator[Loop]:
    """One invoice of 100.00 that NetSuite holds, of a tenant that lets facts flow back; NetSuite is not to be changed."""
    again = made.again(tmp_path / "here")
    yield again
    again.close()


@pytest.fixture
def own_loop(account_url: str, tmp_path: Path) -> Iterator[Loop]:
    """The same with an invoice and a customer of its own, which may be changed in NetSuite."""
    own = _made(account_url, tmp_path)
    yield own
    own.close()


def _made(account_url: str, folder: Path) -> Loop:
    made = Loop(folder, account_url, {"writeback": {"return": RETURN}})
    for column in ("netsuite_internal_id", "netsuite_number"):
        made.billing(f"ALTER TABLE customers ADD {column} TEXT")
    for column in ("ns_id", "ns_number", "ns_status"):
        made.billing(f"ALTER TABLE invoices ADD {column} TEXT")
    made.billing("ALTER TABLE invoices ADD ns_open NUMERIC")
    made.billing(
        "CREATE TABLE ns_applications (applying_id TEXT, invoice_id TEXT, record TEXT, number TEXT, amount NUMERIC,"
        " applied_on TEXT, PRIMARY KEY (applying_id, invoice_id))"
    )
    made.customer("c1")
    made.invoice("1", "100.00")
    first = made.run()
    assert [row["action"] for row in first.operations] == ["create", "create"]
    made.close()
    return made


def _invoice(loop: Loop) -> tuple[Any, ...]:
    [row] = loop.billing("SELECT ns_id, ns_number, ns_status, ns_open FROM invoices")
    return row


def _pay(loop: Loop, amount: str, external_id: str = "by-hand") -> str:
    """What a person books in NetSuite: a payment that billing does not know, applied to the invoice."""
    invoice = loop.get("invoice", "inv-1")
    body = {
        "customer": {"id": invoice["entity"]["id"]},
        "tranDate": loop.day(22),
        "payment": Decimal(amount),
        "externalId": f"{loop.word}{external_id}",
        "apply": {"items": [{"doc": {"id": invoice["id"]}, "apply": True, "amount": Decimal(amount)}]},
    }
    return loop.write("customerPayment", body)


def test_ids_and_status_flow_back_and_lead_to_no_change_anywhere(loop: Loop) -> None:
    done = loop.run()
    assert done.told() == [
        ("billing:customer", "return", "written", True),
        ("billing:invoice", "return", "written", True),
    ]
    held = loop.get("invoice", "inv-1")
    assert _invoice(loop) == (held["id"], held["tranId"], "open", 100)
    [customer] = loop.billing("SELECT netsuite_internal_id, netsuite_number FROM customers")
    buyer = loop.get("customer", "cus-c1")
    assert customer == (buyer["id"], buyer["entityId"])
    row = done.of("billing:invoice")[0]
    assert json.loads(row["body"]) == {
        "key": ["1"],
        "before": {"internal_id": None, "number": None, "status": None, "remaining": None},
        "after": {"internal_id": held["id"], "number": held["tranId"], "status": "open", "remaining": "100"},
    }
    assert row["fields"] == "internal_id, number, status, remaining"
    assert "status: empty → open" in row["changes"]
    shown = StringIO()
    with loop.warehouse.open("acme") as held_plan:
        print_plan(Console(file=shown, width=400), held_plan, loop.ledger, loop.period)
        write_document(loop.folder / "plan.md", held_plan, loop.ledger, loop.period)
    assert "status: empty → open" in shown.getvalue()
    document = (loop.folder / "plan.md").read_text(encoding="utf-8")
    assert f"return facts of the invoice {loop.word}N-1 of {loop.word}c1 ({loop.word}inv-1)" in document
    # Nothing was booked, so nothing moves an amount or counts against the circuit breaker.
    assert (row["amount"], done.planned.plan.amounts) == (0, "")
    assert loop.is_settled()


def test_a_run_says_of_how_many_of_its_writes_the_next_one_tells_billing(own_loop: Loop) -> None:
    loop = own_loop
    loop.run()
    loop.invoice("2", "50.00")
    loop.invoice("3", "60.00")
    written = loop.run()
    assert written.applied is not None
    returns = _returns(loop)
    assert to_tell(written.applied.outcomes, returns) == 2
    assert to_tell(written.applied.outcomes, None) == 0
    following = loop.run()
    assert [(row["record"], row["action"]) for row in following.operations] == [
        ("billing:invoice", "return")
    ] * 2
    assert following.applied is not None
    assert to_tell(following.applied.outcomes, returns) == 0
    assert loop.is_settled()


def test_a_payment_and_a_status_that_netsuite_has_flow_back_and_are_taken_back_with_it(
    own_loop: Loop,
) -> None:
    loop = own_loop
    loop.run()
    payment = _pay(loop, "40.00")
    done = loop.run()
    assert [row["record"] for row in done.operations] == ["billing:application", "billing:invoice"]
    assert _invoice(loop)[2:] == ("open", 60)
    number = loop.get("customerPayment", "by-hand").get("tranId")
    rows = loop.billing("SELECT * FROM ns_applications")
    assert rows == [(payment, "1", "customerPayment", number, 40, loop.day(22))]
    assert loop.is_settled()

    loop.write(
        f"customerPayment/{payment}",
        {"apply": {"items": [{"doc": {"id": _invoice(loop)[0]}, "apply": False}]}},
    )
    done = loop.run()
    gone = done.of("billing:application")[0]
    assert (json.loads(gone["body"])["after"], done.told()[0][2:]) == (None, ("written", True))
    assert loop.billing("SELECT * FROM ns_applications") == []
    assert _invoice(loop)[2:] == ("open", 100)


def test_a_payment_of_billings_own_is_not_told_to_it_again(own_loop: Loop) -> None:
    loop = own_loop
    loop.payment("p1", "100.00", {"1": "100.00"})
    loop.run()
    done = loop.run()
    assert [row["record"] for row in done.operations] == ["billing:invoice"]
    assert _invoice(loop)[2:] == ("paid", 0)
    assert loop.billing("SELECT * FROM ns_applications") == []


def test_what_somebody_changed_in_billing_since_is_left_and_planned_anew(loop: Loop) -> None:
    class Meddling(_Between):
        def write(self, rows: Sequence[ReturnedRow]) -> list[Taken]:
            loop.billing("UPDATE invoices SET ns_status = 'by hand'")
            return super().write(rows)

    done = loop.run(Meddling(_returns(loop)))
    assert [row["state"] for row in done.outcomes if row["record"] == "billing:invoice"] == ["stale"]
    assert _invoice(loop) == (None, None, "by hand", None)
    [exception] = _exceptions(loop)
    assert exception["code"] == "changed_since_planned"
    assert "status by hand" in exception["reason"]
    assert loop.run().told() == [("billing:invoice", "return", "written", True)]
    assert _invoice(loop)[2] == "open"


@pytest.mark.parametrize("arrived", [True, False])
def test_a_run_that_is_killed_is_settled_by_what_billing_holds(loop: Loop, arrived: bool) -> None:
    class Killed(BaseException):
        pass

    class Dying(_Between):
        def write(self, rows: Sequence[ReturnedRow]) -> list[Taken]:
            if arrived:
                super().write(rows)
            raise Killed

    with pytest.raises(Killed):
        loop.run(Dying(_returns(loop)))
    doubtful = loop.ledger.open_intents("acme")
    assert {intent.record for intent in doubtful} == {"billing:customer", "billing:invoice"}

    done = loop.run()
    assert done.applied is not None
    assert done.applied.settled == 2
    assert loop.ledger.open_intents("acme") == []
    history = [row for row in loop.ledger.history("acme") if row["action"] == "return"]
    if arrived:
        assert [row["state"] for row in history] == ["adopted", "adopted"]
        assert done.operations == []
    else:
        assert [row["state"] for row in history] == ["not_found", "not_found", "verified", "verified"]
    assert _invoice(loop)[2] == "open"


def test_a_database_that_refuses_says_why_and_nothing_is_half_written(loop: Loop) -> None:
    loop.billing(
        "CREATE TRIGGER no BEFORE UPDATE ON invoices BEGIN SELECT raise(ABORT, 'invoices are frozen'); END"
    )
    done = loop.run()
    assert {row["state"] for row in done.outcomes} == {"rejected"}
    assert loop.billing("SELECT netsuite_internal_id FROM customers") == [(None,)]
    told = _exceptions(loop)
    assert {row["code"] for row in told} == {"rejected"}
    assert "invoices are frozen" in told[0]["reason"]


def test_the_same_limits_count_for_what_flows_back(loop: Loop) -> None:
    limits = {"operations": 1000, "amount": 0, "only": [{"action": "create"}]}
    loop.set("writeback", approve_automatically=limits)
    with pytest.raises(PlanRefused, match="no automatic approval is for the return of billing:customer"):
        loop.run()
    assert _invoice(loop) == (None, None, None, None)
    limits["only"] = [{"record": "billing:invoice"}, {"record": "billing:customer", "action": "return"}]
    loop.set("writeback", approve_automatically=limits)
    assert {row["state"] for row in loop.run().outcomes} == {"written"}


def _returns(loop: Loop) -> Returns:
    returns = billing_returns(loop.tenant, loop.environ)
    assert returns is not None
    return returns


def _exceptions(loop: Loop) -> list[dict[str, Any]]:
    with loop.warehouse.open("acme") as held:
        rows = frames.records(frames.read(held, frames.EXCEPTIONS, loop.period))
    return [row for row in rows if row["stage"] == "apply"]


class _Between:
    """Billing's side of what flows back, with something in between."""

    def __init__(self, inner: Returns) -> None:
        self._inner = inner

    def facts(self, kind: str) -> tuple[str, ...]:
        return self._inner.facts(kind)

    def check(self, kind: str) -> None:
        self._inner.check(kind)

    def makes_rows(self, kind: str) -> bool:
        return self._inner.makes_rows(kind)

    def held(self, kind: str, ids: Sequence[str]) -> dict[Key, Facts]:
        return self._inner.held(kind, ids)

    def write(self, rows: Sequence[ReturnedRow]) -> list[Taken]:
        return self._inner.write(rows)

    def close(self) -> None:
        self._inner.close()


def test_a_customers_subsidiary_flows_back_and_the_address_that_netsuite_bills_to_as_one_line(
    own_loop: Loop,
) -> None:
    loop = own_loop
    for fact in ("subsidiary", "address"):
        loop.billing(f"ALTER TABLE customers ADD netsuite_{fact} TEXT")
    loop.set("writeback", **{"return": {"customer": {"columns": ["subsidiary", "address"]}}})
    customer = loop.get("customer", "cus-c1")["id"]
    address = {
        "addr1": "Ring  5 ",
        "addr2": "Stiege 2",
        "city": "Wien",
        "zip": "1010",
        "country": {"id": "AT"},
    }
    book = {"addressBook": {"items": [{"defaultBilling": True, "addressBookAddress": address}]}}
    loop.write(f"customer/{customer}", book)
    assert loop.run().told() == [("billing:customer", "return", "written", True)]
    told = loop.billing("SELECT netsuite_subsidiary, netsuite_address FROM customers")
    assert told == [("1", "Ring 5, Stiege 2, 1010 Wien, AT")]
    assert loop.is_settled()


def test_the_check_of_a_tenant_tries_what_flows_back(own_loop: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    loop = own_loop
    environ = loop.environ | {
        "RECON_TENANTS": str(loop.folder / "tenants"),
        "RECON_WAREHOUSE": str(loop.folder / "warehouse"),
        "COLUMNS": "300",
    }
    for name, value in environ.items():
        monkeypatch.setenv(name, value)

    monkeypatch.setattr("netsuite_assets.cli_check.out.width", 300)

    def check() -> tuple[int, str]:
        done = CliRunner().invoke(app, ["check", "acme"])
        return done.exit_code, done.output

    status, printed = check()
    assert status == 0, printed
    assert "writeback.return.invoice" in printed
    assert "internal_id in ns_id" in printed
    loop.billing("ALTER TABLE invoices RENAME COLUMN ns_open TO ns_opened")
    status, printed = check()
    assert status == 1
    assert "the table 'invoices' has no column 'ns_open' for remaining. Did you mean 'ns_opened'?" in printed
    assert (
        "Correct writeback.return.invoice.columns.remaining in the tenant's YAML, or add the column."
        in printed
    )
