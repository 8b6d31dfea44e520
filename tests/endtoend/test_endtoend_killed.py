"""A run that is killed at any step between its first intent and the end of the reading back, while NetSuite fails in
every way that it can: the runs after it end with exactly what billing holds, each document and each line once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

import pytest
from endtoend_office import Document, Ended, Line, Office
from endtoend_site import Site, assert_holds, assert_ledger_right, disturb
from endtoend_tools import View

#: So many steps has a run of `the_month` at least, whatever happens to it: its writing about the first hundred, its
#: reading back the others.
STEPS = 140


def few_and_many(few: int, many: int) -> list[Any]:
    return [*range(few), *(pytest.param(seed, marks=pytest.mark.soak) for seed in range(few, many))]


def the_month(random: Random) -> tuple[dict[str, str], list[Document]]:
    """Three customers, seven invoices and three credit notes of one to four lines, some of them alike."""

    def lines() -> tuple[Line, ...]:
        made = [
            Line(
                random.choice(["API calls", "Storage", "Seats"]),
                Decimal(random.randint(1, 900)),
                Decimal(random.randint(1, 99999)).scaleb(-2),
            )
            for _ in range(random.randint(1, 3))
        ]
        return (*made, *random.sample(made, random.randint(0, 1)))

    customers = {f"c{number}": f"Customer {number} of {random.randint(100, 999)}" for number in range(3)}
    keys = sorted(customers)
    documents = [
        Document(record, str(number), random.choice(keys), random.randint(1, 30), lines())
        for record, many in (("invoice", 7), ("creditMemo", 3))
        for number in range(many)
    ]
    return customers, documents


def plant(netsuite: View, customers: dict[str, str], documents: list[Document]) -> None:
    """Let NetSuite hold some of it, most of that wrongly, and an invoice that billing does not know."""
    for key, name in (("c0", "Old name"), ("c1", customers["c1"])):
        body = {"companyName": name, "subsidiary": {"id": "1"}, "currency": {"id": "1"}}
        netsuite.put("customer", f"eid:cus-{key}", body)
    wrong, doubled, unknown = documents[0], documents[1], replace(documents[2], key="gone")
    raised = replace(wrong, lines=tuple(replace(line, rate=line.rate + 1) for line in wrong.lines))
    twice = replace(doubled, lines=(*doubled.lines, *doubled.lines))
    for each in (raised, twice, unknown):
        netsuite.put("invoice", f"eid:{each.external_id}", replace(each, customer="c0").body)


def finish(site: Site, office: Office, runs: int = 10) -> tuple[int, Ended]:
    """Run until there is nothing left to do; how many runs that took, and the last.

    What is left of a seed's faults may strike the same write in one run after the other.
    """
    for number in range(1, runs + 1):
        ended = site.runs.run(office, "plan", "apply")
        assert ended.said["refused"] is None
        if ended.is_done:
            return number, ended
    raise AssertionError(f"after {runs} runs: {ended.said}")


@pytest.mark.parametrize("way", ["single", "batch"])
def test_a_run_that_nobody_disturbs_leaves_nothing_to_do(site: Site, tmp_path: Path, way: str) -> None:
    """What the kills below are measured against: every kind of step, and as many as they need."""
    netsuite = site.clear()
    month = the_month(Random(0))
    office = site.open_office(tmp_path, send=way)
    office.bill(*month)
    plant(netsuite, *month)
    netsuite.forget_log()
    ended = site.runs.run(office, "plan", "apply")
    assert ended.is_done, ended.said
    assert ended.said["states"] == {"written": 13}
    assert len(ended.steps) > STEPS
    seen = Counter(step.partition(":")[0] for step in ended.steps)
    assert (
        seen["request begun"] == seen["request sent"] == seen["answer begun"] == seen["answer received"] > 20
    )
    assert seen["committed"] >= seen["about to commit"] > 15
    assert_holds(netsuite, *month)
    assert_ledger_right(office, netsuite)
    again = site.runs.run(office, "plan")
    assert again.said["operations"] == 0


@pytest.mark.parametrize("seed", few_and_many(4, 300))
def test_a_run_killed_at_any_step_is_finished_by_the_next(
    site: Site, tmp_path: Path, seed: int, record_property: Callable[[str, object], None]
) -> None:
    random = Random(seed)
    netsuite = site.clear()
    month = the_month(random)
    way = ("single", "batch")[seed % 2]
    office = site.open_office(tmp_path, send=way)
    office.bill(*month)
    plant(netsuite, *month)
    netsuite.forget_log()
    disturb(netsuite, random)
    kill_at = random.randint(1, random.choice((60, 100, STEPS)))
    if way == "batch":
        late = random.random() < 0.25
        netsuite.govern(
            # Jobs that begin late, take their time, or are not begun before the run is dead.
            async_processors=0 if late else 1,
            async_delay_ms=random.choice((0, 0, 200)),
            async_task_ms=random.choice((0, 0, 10)),
        )
        kill_at = min(kill_at, 60) if late else kill_at

    killed = [site.runs.run(office, "plan", "apply", kill_at=kill_at)]
    assert killed[0].was_killed, (len(killed[0].steps), killed[0].said)
    netsuite.govern(async_processors=1)
    if random.random() < 0.4:
        # Once more: the run that would settle it, or the same plan sent again.
        parts = random.choice((("plan", "apply"), ("apply",)))
        killed.append(site.runs.run(office, *parts, kill_at=random.randint(1, 60)))
    if random.random() < 0.5:
        netsuite.disarm()

    runs, _ = finish(site, office)
    struck = netsuite.disarm()
    assert_holds(netsuite, *month)
    assert_ledger_right(office, netsuite)
    record_property("killed", [each.steps[-1] for each in killed if each.was_killed])
    record_property("faults", struck)
    record_property("runs", runs)
