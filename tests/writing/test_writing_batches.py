"""Whichever way a plan goes out, every record has an outcome of its own, and the ledger says the same of it."""

from __future__ import annotations

import json
import sqlite3
import threading
import time
from typing import Any

import httpx
import pytest
from writing_tools import Between, Writing, is_batch, refused, targets

from resources.netsuite.jobs import Polling


def test_a_batch_writes_every_record_once_in_one_request(writing: Writing) -> None:
    rows = writing.creates(12)
    sent = writing.send(rows)
    assert writing.writes() == ["PUT customer"]
    assert writing.held() == targets(rows)
    assert writing.states() == {"written": 12}
    assert writing.stories() == [["intended", "answered"]] * 12
    assert (sent.alone, sent.batches, sent.in_batches) == (0, 1, 12)
    assert writing.ledger.open_intents("acme") == []
    assert writing.ledger.open_jobs("acme") == []


def test_the_ledger_has_netsuites_answer_to_each_record_of_a_batch(writing: Writing) -> None:
    """That of the request which carried it, and of a record that was refused its own."""
    given = []

    def listen(request: httpx.Request, answer: httpx.Response | None) -> None:
        if answer is not None and is_batch(request):
            given.append((202, answer.headers["x-netsuite-jobid"]))

    rows = [*writing.creates(3), writing.create("wrong", subsidiary={"id": "9999"})]
    writing.send(rows, transport=Between(listen))
    answers = dict(writing.answers())
    assert [answers.pop(row["external_id"]) for row in rows[:3]] == given * 3
    ((status, request_id),) = answers.values()
    assert status == 400
    assert request_id not in (None, given[0][1])


def test_the_internal_id_of_each_record_is_its_own(writing: Writing) -> None:
    rows = writing.creates(5)
    writing.send(rows)
    for row in rows:
        (there,) = writing.query(f"SELECT id FROM customer WHERE externalid = '{row['external_id']}'")
        assert writing.outcomes[row["external_id"]]["internal_id"] == there["id"]
    known = {each["target"]: each["internal_id"] for each in writing.ledger.history("acme")}
    assert known == {row["external_id"]: writing.outcomes[row["external_id"]]["internal_id"] for row in rows}


def test_more_than_a_batch_holds_goes_in_several(writing: Writing) -> None:
    rows = writing.creates(230)
    sent = writing.send(rows)
    assert (sent.batches, sent.in_batches) == (3, 230)
    assert writing.held() == targets(rows)


def test_long_records_make_small_batches(writing: Writing, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("netsuite_assets.writeback.sending._BATCH_BYTES", 2_000)
    rows = [writing.create(f"c{number}", comments="x" * 600) for number in range(7)]
    sent = writing.send(rows)
    assert (sent.batches, sent.in_batches) == (2, 6)
    assert sent.alone == 1  # the last one, which needs no batch
    assert writing.held() == targets(rows)


def test_updates_go_in_a_batch_of_their_own_and_removals_alone(writing: Writing) -> None:
    rows = writing.creates(6)
    writing.send(rows)
    time.sleep(1.1)  # a time of change has whole seconds
    writing.admin("POST", "reset/log")
    changes = [writing.update(row, comments="changed") for row in rows[:4]]
    writing.send([*changes, writing.delete(rows[4]), *(fresh := [writing.create("x"), writing.create("y")])])
    assert sorted(writing.writes())[1:] == ["PATCH customer", "PUT customer"]
    assert writing.writes()[0].startswith("DELETE customer/")
    assert writing.states() == {"written": 9}
    changed = writing.query(
        f"SELECT externalid FROM customer WHERE comments = 'changed' AND externalid LIKE '{writing.prefix}-%'"
    )
    assert sorted(row["externalid"] for row in changed) == targets(rows[:4])
    assert writing.held() == targets([*rows[:4], rows[5], *fresh])


WRONG: tuple[dict[str, Any], ...] = (
    {"subsidiary": {"id": "9999"}},
    {"currency": {"id": "7777"}},
    {"terms": {"id": "8888"}},
)


def comparable(writing: Writing) -> dict[str, tuple[Any, ...]]:
    """Outcomes and ledger of each record without what no two writers have alike."""
    stories = dict(
        zip((row["target"] for row in writing.ledger.history("acme")), writing.stories(), strict=True)
    )
    return {
        external_id.removeprefix(writing.prefix): (
            outcome["state"],
            (outcome["detail"] or "").replace(writing.prefix, "").partition(" [NetSuite request")[0],
            (outcome["next_step"] or "").replace(writing.prefix, ""),
            stories[external_id],
        )
        for external_id, outcome in writing.outcomes.items()
    }


def test_what_is_refused_is_told_the_same_in_every_way(
    writing: Writing, account_url: str, tmp_path: Any
) -> None:
    alone = Writing(account_url, tmp_path / "alone.sqlite")
    for writer, way in ((writing, "batch"), (alone, "single")):
        wrong = [writer.create(f"wrong{number}", **more) for number, more in enumerate(WRONG)]
        writer.send([*writer.creates(4), *wrong], way)  # type: ignore[arg-type]
    told = comparable(writing)
    assert told == comparable(alone)
    assert {key: value[0] for key, value in told.items() if key.startswith("-wrong")} == {
        "-wrong0": "rejected",
        "-wrong1": "rejected",
        "-wrong2": "rejected",
    }
    assert "9999" in told["-wrong0"][1]
    assert "8888" in told["-wrong2"][1]
    alone.ledger.close()


def test_one_refusal_in_a_batch_is_its_records_own_and_is_not_sent_again(writing: Writing) -> None:
    wrong = writing.create("wrong", subsidiary={"id": "9999"})
    writing.send([*writing.creates(5), wrong])
    assert writing.writes() == ["PUT customer"]
    assert writing.outcomes[wrong["external_id"]]["state"] == "rejected"
    assert "9999" in writing.outcomes[wrong["external_id"]]["detail"]
    assert writing.states() == {"written": 5, "rejected": 1}


def test_a_refusal_is_never_told_of_another_record_whatever_the_order_of_tasks(writing: Writing) -> None:
    def reversed_tasks(request: httpx.Request, answer: httpx.Response | None) -> httpx.Response | None:
        if answer is None or not request.url.path.endswith("/task"):
            return None
        content = answer.json()
        content["items"].reverse()
        return httpx.Response(200, content=json.dumps(content).encode())

    first = writing.create("first", subsidiary={"id": "9999"})
    last = writing.create("last", terms={"id": "8888"})
    writing.send([first, *writing.creates(3), last], transport=Between(reversed_tasks))
    assert writing.states() == {"written": 3, "rejected": 2}
    assert "9999" in writing.outcomes[first["external_id"]]["detail"]
    assert "8888" in writing.outcomes[last["external_id"]]["detail"]


# Jobs


def test_a_job_that_finishes_later_is_waited_for(writing: Writing) -> None:
    writing.govern(async_processors=0)
    rows = writing.creates(4)
    free = threading.Timer(0.5, lambda: writing.govern(async_processors=1))
    free.start()
    writing.send(rows)
    free.join()
    assert writing.states() == {"written": 4}


def test_a_job_that_is_not_over_in_time_is_left_alone_until_it_is(writing: Writing) -> None:
    writing.govern(async_processors=0)
    rows = writing.creates(4)
    short = Polling(first=0.01, patience=0.05)
    writing.send(rows, polling=short)
    assert writing.states() == {"in_doubt": 4}
    assert "has not finished job" in writing.outcomes[rows[0]["external_id"]]["detail"]
    assert writing.settle(short) == 0
    assert len(writing.ledger.open_intents("acme")) == 4
    writing.govern(async_processors=1)
    assert writing.settle() == 4
    assert [story[-1] for story in writing.stories()] == ["adopted"] * 4
    assert writing.ledger.open_jobs("acme") == []
    assert writing.held() == targets(rows)


@pytest.mark.parametrize("kind", ["reset_after_commit", "reset_before_commit"])
def test_a_submission_whose_answer_is_lost_is_found_by_its_key(writing: Writing, kind: str) -> None:
    writing.arm(kind=kind)
    rows = writing.creates(4)
    writing.send(rows)
    if kind == "reset_after_commit":
        assert writing.states() == {"written": 4}
    else:
        assert writing.states() == {"in_doubt": 4}
        assert writing.settle() == 4
        assert [story[-1] for story in writing.stories()] == ["not_found"] * 4
        writing.send(rows)
    assert writing.states() == {"written": 4}
    assert writing.held() == targets(rows)
    assert writing.ledger.open_jobs("acme") == []


@pytest.mark.parametrize("address", [True, False], ids=["its address", "its key"])
def test_a_run_that_ends_between_submission_and_result_is_settled_by_the_next(
    writing: Writing, address: bool
) -> None:
    """It ends while the job waits: after the ledger has its address, or while the answer is still under way."""
    writing.govern(async_processors=0)
    if not address:
        writing.arm(kind="timeout_after_commit", seconds=2)

    def submitted() -> bool:
        jobs = writing.ledger.open_jobs("acme")
        if address:
            return bool(jobs) and jobs[0].address is not None
        return bool(writing.admin("GET", "stats")["async"]["tasks_open"])

    rows = writing.creates(4)
    writing.send(rows, until=submitted)
    (job,) = writing.ledger.open_jobs("acme")
    assert (job.address is not None) == address
    assert len(job.intents) == len(writing.ledger.open_intents("acme")) == 4
    writing.govern(async_processors=1)
    assert writing.settle() == 4
    assert [story[-1] for story in writing.stories()] == ["adopted"] * 4
    assert writing.held() == targets(rows)
    assert writing.writes().count("PUT customer") == 1


def test_a_key_is_used_up_by_asking_for_it_so_that_a_late_submission_comes_to_nothing(
    writing: Writing,
) -> None:
    late: list[httpx.Request] = []

    def held_back(request: httpx.Request, answer: httpx.Response | None) -> httpx.Response | None:
        if not is_batch(request) or answer is not None:
            return None
        late.append(request)
        raise httpx.ReadTimeout("silence", request=request)

    rows = writing.creates(3)
    writing.send(rows, transport=Between(held_back))
    assert writing.states() == {"in_doubt": 3}
    (request,) = late
    answer = httpx.put(str(request.url), content=request.content, headers=dict(request.headers))
    assert answer.status_code == 400
    assert answer.json()["title"] == "Conflict"
    assert writing.held() == []


def test_results_that_cannot_be_read_cost_a_try_alone_and_no_outcome(writing: Writing) -> None:
    def unreadable(request: httpx.Request, answer: httpx.Response | None) -> httpx.Response | None:
        lost = request.url.path.endswith("/task") and answer is None
        return httpx.Response(404, content=b"{}") if lost else None

    wrong = [writing.create(f"wrong{number}", **more) for number, more in enumerate(WRONG)]
    writing.send([*writing.creates(5), *wrong], transport=Between(unreadable))
    assert writing.states() == {"written": 5, "rejected": 3}
    assert "9999" in writing.outcomes[wrong[0]["external_id"]]["detail"]
    assert [story[-1] for story in writing.stories()] == ["answered"] * 5 + ["rejected"] * 3


# Batches that are refused as a whole


def test_batches_shrink_around_a_record_that_spoils_them(writing: Writing) -> None:
    sizes = []

    def spoiled(request: httpx.Request, answer: httpx.Response | None) -> httpx.Response | None:
        if answer is None and is_batch(request):
            sizes.append(len(json.loads(request.content)["items"]))
            if b"spoils" in request.content:
                return refused("The batch cannot be read.")
        return None

    rows = writing.creates(9)
    rows.insert(5, writing.create("spoils"))
    writing.send(rows, transport=Between(spoiled))
    assert writing.states() == {"written": 10}
    assert writing.held() == targets(rows)
    alone = [each for each in writing.writes() if "eid:" in each]
    assert alone == [f"PUT customer/eid:{rows[5]['external_id']}"]
    assert sizes[0] == 10
    assert sum(sizes) < 30


def test_an_account_without_batches_is_written_to_record_by_record(writing: Writing) -> None:
    batches = []

    def none(request: httpx.Request, answer: httpx.Response | None) -> httpx.Response | None:
        if answer is None and is_batch(request):
            batches.append(request)
            return refused("Asynchronous requests are not available.")
        return None

    rows = writing.creates(130)
    sent = writing.send(rows, transport=Between(none))
    assert writing.states() == {"written": 130}
    assert sent.alone == 130
    assert len(batches) < 10


# Which way


@pytest.mark.parametrize(("many", "batches"), [(60, False), (620, True)])
def test_many_operations_go_both_ways_at_once_and_few_alone(
    writing: Writing, many: int, batches: bool
) -> None:
    writing.govern(latency_ms=10)
    rows = writing.creates(many)
    sent = writing.send(rows, "auto")
    assert (sent.batches > 0) == batches
    assert sent.alone > 0
    assert sent.alone + sent.in_batches == many
    assert writing.held() == targets(rows)


def test_a_slow_batch_is_not_followed_by_another(writing: Writing) -> None:
    writing.govern(async_task_ms=50)
    rows = writing.creates(560)
    sent = writing.send(rows, "auto")
    assert sent.batches == 1
    assert writing.states() == {"written": 560}


# The ledger at work


@pytest.mark.parametrize("way", ["single", "batch"])
def test_nothing_more_is_sent_once_the_ledger_takes_no_answers(writing: Writing, way: Any) -> None:
    with sqlite3.connect(writing.path) as connection:
        connection.execute(
            "CREATE TRIGGER full BEFORE INSERT ON events WHEN NEW.kind = 'answered'"
            " BEGIN SELECT RAISE(ABORT, 'the disk is full'); END"
        )
    connection.close()
    rows = writing.creates(300)
    with pytest.raises(BaseExceptionGroup) as caught:
        writing.send(rows, way)
    assert "the disk is full" in str(leaves(caught.value))
    assert len(writing.held()) < 300 if way == "single" else True
    with sqlite3.connect(writing.path) as connection:
        connection.execute("DROP TRIGGER full")
    connection.close()
    intended = {intent.target for intent in writing.ledger.open_intents("acme")}
    time.sleep(0.2)  # what was under way arrives
    assert set(writing.held()) <= intended
    writing.settle()
    adopted = [story[-1] for story in writing.stories()].count("adopted")
    assert adopted == len(writing.held()) > 0


def leaves(error: BaseException) -> list[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        return [leaf for each in error.exceptions for leaf in leaves(each)]
    return [error]


# The quota


@pytest.mark.parametrize("way", ["single", "batch"])
def test_another_integrations_load_slows_the_writing_and_fails_no_record(writing: Writing, way: Any) -> None:
    writing.govern(latency_ms=10, limit=5, foreign=0)
    rows = writing.creates(250)
    loads = [
        threading.Timer(0.3, lambda: writing.govern(foreign=3)),
        threading.Timer(1.5, lambda: writing.govern(foreign=0)),
    ]
    for load in loads:
        load.start()
    writing.send(rows, way)
    for load in loads:
        load.join()
    assert writing.states() == {"written": 250}
    assert writing.held() == targets(rows)
    assert {story[-1] for story in writing.stories()} == {"answered"}
    if way == "single":
        assert writing.admin("GET", "stats")["rejections"] > 0
