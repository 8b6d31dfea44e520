"""Where a part of a plan is approved, what needs the rest of it waits, and the rest is not sent."""

from __future__ import annotations

from pathlib import Path

from loop_tools import Loop
from writing_tools import Writing


def test_what_needs_a_record_that_nobody_approved_waits_for_it(writing: Writing, tmp_path: Path) -> None:
    loop = Loop(tmp_path / "loop", writing.url)
    loop.set(
        "writeback",
        approve_automatically={"operations": 1000, "amount": 1000, "only": [{"record": "invoice"}]},
    )
    loop.customer("c1")
    loop.invoice("i1", "10.00")
    done = loop.run()
    assert done.told() == [("customer", "create", "held", None), ("invoice", "create", "waiting", None)]
    held, waiting = sorted(done.outcomes, key=lambda row: row["record"])
    assert "it waits for approval" in held["detail"]
    assert waiting["detail"] == f"its customer {loop.word}cus-c1 was not written"
    assert writing.writes() == []
    # No more is sent of a type that is paused since the plan was made, and that is said.
    loop.set("writeback", approve_automatically={"operations": 1000, "amount": 1000}, paused=["invoice"])
    assert loop.run().told() == [
        ("customer", "create", "written", True),
        ("invoice", "create", "held", None),
    ]
    loop.close()
