"""What a job of NetSuite's still carries is left alone by every run, and counted as done by the one that sees it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import loop_tools
import pytest
from loop_tools import Loop
from writing_tools import Writing

from resources.netsuite.jobs import Polling


@pytest.fixture
def loop(writing: Writing, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Loop]:
    """Two customers with an invoice each, sent in batches by runs that do not wait long."""
    monkeypatch.setattr(loop_tools, "QUICK", Polling(first=0.02, patience=0.3))
    made = Loop(tmp_path / "loop", writing.url, {"writeback": {"send": "batch"}})
    for key in ("c1", "c2"):
        made.customer(key)
        made.invoice(key, "10.00", customer=key)
    yield made
    made.close()


@pytest.mark.parametrize("at_once", [10_000, 2])
def test_a_record_in_a_job_that_is_not_over_is_not_written_again_by_the_next_run(
    loop: Loop, writing: Writing, at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many operations are taken at once: with two, the invoices come after what they need."""
    monkeypatch.setattr("netsuite_assets.writeback.apply._AT_ONCE", at_once)
    writing.govern(async_processors=0)
    waiting = [
        ("customer", "create", "in_doubt", None),
        ("customer", "create", "in_doubt", None),
        ("invoice", "create", "waiting", None),
        ("invoice", "create", "waiting", None),
    ]
    assert loop.run().told() == waiting
    again = loop.run()
    assert again.told() == waiting
    (told, *_) = (row["detail"] for row in again.outcomes if row["record"] == "customer")
    assert "has not finished job" in told
    assert writing.writes() == ["PUT customer"]

    writing.govern(async_processors=1)
    done = loop.run()
    # Settled before anything else: the plan was made when they were not seen yet.
    assert done.applied is not None
    assert done.applied.settled == 2
    assert loop.is_settled()
    assert writing.writes().count("PUT customer") == 1
    held = loop.query(
        f"SELECT externalid FROM customer WHERE externalid LIKE '{loop.word}%' ORDER BY externalid"
    )
    assert [row["externalid"] for row in held] == [f"{loop.word}cus-c1", f"{loop.word}cus-c2"]
    assert loop.ledger.open_intents("acme") == []
    assert loop.ledger.open_jobs("acme") == []
