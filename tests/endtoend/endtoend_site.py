"""A sandbox account that one small tenant has to itself: emptied, disturbed, and looked at from outside.

Here: the account, the ways in which it fails, and what must be true of it and of the ledger afterwards. It is read by a
client that shares nothing with the product's. Not here: the tenant and its runs (`endtoend_office.py`).
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

from endtoend_office import CLIENT, MONTH, Document, Office, Runs
from endtoend_tools import LedgerView, View
from typer.testing import CliRunner

from netsuite_assets.cli import app

WRITES = {"methods": ["PUT", "PATCH", "DELETE"], "path": "/services/rest/record/"}
READS = {"path": "/services/rest/(query/v1/suiteql|async)"}

#: Ways in which a request can end without our knowing whether it happened, or with a refusal that is none.
ENDS: tuple[dict[str, Any], ...] = (
    {"kind": "reset_before_commit"},
    {"kind": "reset_during_commit", "seconds": 0.2},
    {"kind": "reset_after_commit"},
    {"kind": "timeout", "seconds": 0.1},
    {"kind": "timeout_after_commit", "seconds": 0.1},
    {"kind": "latency", "seconds": 0.3},
    {"kind": "error_after_commit"},
    {"kind": "truncate"},
    {"kind": "status", "status": 500},
    {"kind": "status", "status": 503},
    {"kind": "status", "status": 401},
    {"kind": "status", "status": 429},
)
#: Of these, what a reading may meet: it is asked again.
PASSING = ("reset_before_commit", "truncate", "status")


@dataclass(frozen=True)
class Site:
    """A sandbox account, and the server of runs."""

    url: str
    key: Path
    runs: Runs

    def clear(self) -> View:
        """Empty the account and put it right; it is then seen by a client that shares nothing with the product's."""
        view = View(self.url, CLIENT, self.key)
        view.http.post("/sandbox/reset").raise_for_status()
        close_period(view, False)
        view.govern(async_processors=1, async_delay_ms=0, async_task_ms=0, latency_ms=0)
        return view

    def open_office(self, folder: Path, **writeback: Any) -> Office:
        """A tenant in this folder whose account this is, with these settings of its write-back policy."""
        office = Office(str(folder), self.url, str(self.key))
        office.open(**writeback)
        return office


def close_period(netsuite: View, closed: bool) -> None:
    """Close or re-open the month in NetSuite."""
    netsuite.http.post("/sandbox/periods", json={"month": MONTH, "closed": closed}).raise_for_status()


def await_quiet(netsuite: View, seconds: float = 30) -> None:
    """Wait until no request and no job is under way in the account."""
    deadline = time.monotonic() + seconds
    while (stats := netsuite.stats())["in_flight"] or stats["async"]["tasks_open"]:
        assert time.monotonic() < deadline, stats
        time.sleep(0.01)


def disturb(netsuite: View, random: Random) -> None:
    """Let some writes, and now and then a reading, end in any way."""
    faults = [
        {**WRITES, **end, "times": random.randint(1, 2), "after": random.randint(0, 6)}
        for end in random.sample(ENDS, random.randint(3, 7))
    ]
    passing = [end for end in ENDS if end["kind"] in PASSING]
    faults += [
        {**READS, **end, "after": random.randint(0, 20)}
        for end in random.sample(passing, random.randint(0, 2))
    ]
    random.shuffle(faults)
    netsuite.arm(*faults)


def assert_holds(netsuite: View, customers: Mapping[str, str], documents: Iterable[Document]) -> None:
    """The account holds exactly these: none missing, none twice, no line twice, to the cent."""
    held = netsuite.suiteql("SELECT id, externalid, companyname FROM customer ORDER BY id")
    assert sorted((row.get("externalid"), row["companyname"]) for row in held) == sorted(
        (f"cus-{key}", name) for key, name in customers.items()
    )
    named = {row["id"]: row["externalid"] for row in held}
    headers = netsuite.suiteql(
        "SELECT t.type, t.externalid, t.otherrefnum, t.entity, TO_CHAR(t.trandate, 'YYYY-MM-DD') AS day,"
        " ABS(t.foreigntotal) AS total FROM transaction t ORDER BY t.id"
    )
    assert sorted(
        (
            row["type"], row.get("externalid", ""), row.get("otherrefnum", ""), named[row["entity"]], row["day"],
            Decimal(row["total"]),
        )
        for row in headers
    ) == sorted(
        (
            "CustInvc" if each.record == "invoice" else "CustCred", each.external_id, each.number,
            f"cus-{each.customer}", each.issued_on, each.total,
        )
        for each in documents
    )  # fmt: skip
    lines = netsuite.suiteql(
        "SELECT tl.uniquekey, t.externalid, tl.memo, ABS(tl.quantity) AS quantity, tl.rate, ABS(tl.foreignamount) AS amount"
        " FROM transactionline tl JOIN transaction t ON t.id = tl.transaction WHERE tl.mainline = 'F'"
        " AND tl.taxline = 'F' ORDER BY t.externalid, tl.linesequencenumber, tl.uniquekey"
    )
    assert [
        (
            row.get("externalid"), row["memo"], Decimal(row["quantity"]), Decimal(row["rate"]), Decimal(row["amount"]),
        )
        for row in lines
    ] == [
        (each.external_id, line.text, line.quantity, line.rate, line.amount)
        for each in sorted(documents, key=lambda each: each.external_id)
        for line in each.lines
    ]  # fmt: skip


def assert_ledger_right(office: Office, netsuite: View) -> None:
    """Nothing is open, every story is whole, nothing reached NetSuite that was not intended before, and the command
    that proves it agrees.
    """
    ledger = LedgerView(office.ledger)
    assert ledger.open() == []
    assert ledger.rows("SELECT * FROM jobs WHERE ended_at IS NULL") == []
    ledger.assert_consistent()
    writes = netsuite.log(writes=True)
    alone = [each for each in writes if not is_batch(each)]
    ledger.assert_intended_first(alone)
    jobs = [
        row["asked_at"].replace(" ", "T")
        for row in ledger.rows("SELECT asked_at FROM jobs ORDER BY asked_at")
    ]
    # One that was refused for no fault of its own was sent again under the same key.
    sent = sorted(each["time"] for each in writes if is_batch(each) and each["status"] not in (401, 429))
    assert all(sum(at <= when for at in jobs) >= number for number, when in enumerate(sent, 1))
    proven = CliRunner().invoke(app, ["ledger", "verify"], env=office.environ)
    assert proven.exit_code == 0, proven.output


def is_batch(entry: dict[str, Any]) -> bool:
    return entry["path"].partition("?")[0].rpartition("/")[2] in ("customer", "invoice", "creditMemo")
