"""A real month, written into an empty NetSuite by runs of which two are killed on the way, ends there to the penny."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest
from endtoend_tools import REAL_INVOICES, World, plain_environment, world
from test_endtoend_real_invoices import DRIVE, MONTH, assert_netsuite_holds

from demo.stage import DemoTenant, retail_tenant

pytestmark = pytest.mark.skipif(
    not REAL_INVOICES.exists(), reason="the real invoices are not beside the project"
)

#: In the middle of the documents of the first run, and of what is left to the second.
KILLS = (2_000, 900)


def drive(here: World, *arguments: str) -> int:
    """Run the write-back of the month in a process of its own, `endtoend_mortal` or not; its exit status."""
    ended = subprocess.run(
        [sys.executable, *arguments, "write_back", "retail", MONTH],
        env=plain_environment() | here.stage.kept_environment(),
        capture_output=True,
        text=True,
    )
    assert ended.returncode in (0, -signal.SIGKILL), ended.stderr
    return ended.returncode


@pytest.mark.soak
def test_a_real_month_is_written_to_the_penny_by_runs_that_are_killed(tmp_path: Path) -> None:
    retail: DemoTenant = retail_tenant(REAL_INVOICES)
    with world(tmp_path, first_month=MONTH) as here:
        here.stage.fill_billing(retail)
        netsuite = here.view("retail")
        written = []
        for number, kill_at in enumerate(KILLS):
            steps = tmp_path / f"steps-{number}.txt"
            mortal = str(DRIVE.with_name("endtoend_mortal.py"))
            assert drive(here, mortal, str(kill_at), str(steps)) == -signal.SIGKILL
            assert len(steps.read_text(encoding="utf-8").splitlines()) == kill_at
            (held,) = netsuite.suiteql("SELECT COUNT(*) AS n FROM transaction")
            written.append(int(held["n"]))
        documents = [
            each
            for each in (*retail.billing.invoices, *retail.billing.credit_notes)
            if each.customer_id is not None
        ]
        assert 0 < written[0] < written[1] < len(documents)

        assert drive(here, str(DRIVE)) == 0
        assert_netsuite_holds(netsuite, retail)
        assert here.ledger.open() == []
        assert here.ledger.rows("SELECT * FROM jobs WHERE ended_at IS NULL") == []
        here.ledger.assert_consistent()
        proven = here.recon("ledger", "verify")
        assert proven.returncode == 0, proven.stdout

        netsuite.forget_log()
        assert drive(here, str(DRIVE)) == 0
        assert netsuite.log(writes=True) == []
