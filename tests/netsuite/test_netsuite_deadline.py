"""The deadline of an operation: however many tries and waits it is made of, it ends in time and says how far it came."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest
from fake_account import (
    Clock,
    FakeAccount,
    connect,
    done,
    envelope,
    no_sleep,
    too_many,
)
from hypothesis import given
from hypothesis import strategies as st

from resources.netsuite.deadline import Deadline, Deadlines
from resources.netsuite.errors import (
    Attempt,
    DeadlinePassed,
    Failure,
    InDoubt,
    NetSuiteError,
    RateLimited,
    Unavailable,
    past_deadline,
)
from resources.netsuite.governor import Backoff, Governor
from resources.netsuite.writes import upsert_request

UPSERT = upsert_request("invoice", "inv-7", {"memo": "x"}, label="invoice INV-7 of Acme GmbH")
SOON = Deadlines(read=0.5, write=0.5)


async def silence(request: httpx.Request) -> httpx.Response:
    """An answer that does not come while anybody waits."""
    await asyncio.sleep(60)
    raise AssertionError("nobody waits that long")


def failing(account: FakeAccount, work: Callable[[Any], Awaitable[Any]], **options: Any) -> NetSuiteError:
    """The error that ``work`` ends as."""
    options.setdefault("deadlines", SOON)
    options.setdefault("governor", patient())

    async def run() -> None:
        async with connect(account, **options) as ns:
            await work(ns)

    with pytest.raises(NetSuiteError) as caught:
        asyncio.run(run())
    return caught.value


def patient(**options: Any) -> Governor:
    """A governor that would go on for minutes, with short pauses."""
    return Governor(5, 1, backoff=Backoff(base=0.01, longest=0.02, attempts=10_000), **options)


def test_a_read_that_is_rejected_all_the_time_ends_at_its_deadline_with_the_last_failure() -> None:
    account = FakeAccount([too_many()])
    error = failing(account, lambda ns: ns.get("invoice", "7"), governor=patient())
    assert type(error) is DeadlinePassed
    assert error.transient
    assert not error.in_doubt
    assert len(account.requests) > 3
    said = str(error)
    assert said.startswith("Read invoice 7: its deadline passed (429 CONCURRENCY_LIMIT_EXCEEDED).")
    times = rf"It was tried {len(account.requests)} times in \d+\.\d seconds, of 0\.5 seconds allowed"
    assert re.search(times, said)
    assert "The last failure: the account's concurrency limit was exceeded" in said
    assert "Concurrent request limit exceeded. Request blocked." in said
    assert "netsuite.governance.deadline" in error.what_to_do


def test_a_read_under_way_is_abandoned_at_its_deadline() -> None:
    error = failing(FakeAccount([envelope(503, "", "Down"), silence]), lambda ns: ns.get("invoice", "7"))
    assert type(error) is DeadlinePassed
    assert "It was tried 2 times" in str(error)
    assert "The last try had no answer yet." in str(error)
    assert "The last failure: NetSuite gave no usable answer." in str(error)


def test_a_write_under_way_at_its_deadline_is_in_doubt_and_was_sent_once() -> None:
    account = FakeAccount([too_many(), silence])
    error = failing(account, lambda ns: ns.send(UPSERT))
    assert type(error) is InDoubt
    assert len(account.requests) == 2
    assert "The last try had no answer yet." in str(error)
    assert "It was tried 2 times" in str(error)
    assert "Look invoice INV-7 of Acme GmbH up in NetSuite before it is sent again" in error.what_to_do


def test_a_write_that_waits_between_two_tries_is_not_in_doubt() -> None:
    """A pause that would end after the deadline is not begun."""
    paused: list[float] = []

    async def pause(seconds: float) -> None:
        paused.append(seconds)

    governed = Governor(5, 1, sleep=pause, draw=lambda: 0.999, backoff=Backoff(base=1.0))
    error = failing(
        FakeAccount([too_many()]),
        lambda ns: ns.send(UPSERT),
        governor=governed,
        deadlines=Deadlines(write=3.5),
    )
    assert type(error) is DeadlinePassed
    assert [round(seconds) for seconds in paused] == [1, 2]
    assert "Nothing was changed" in error.what_to_do


def test_a_write_whose_sign_in_hangs_was_never_sent() -> None:
    """The token endpoint takes its time: nothing of the write is on its way yet."""

    class Slow(FakeAccount):
        async def __call__(self, request: httpx.Request) -> httpx.Response:
            if request.url.path.endswith("/token"):
                return await silence(request)
            return await super().__call__(request)

    account = Slow([done()])
    error = failing(account, lambda ns: ns.send(UPSERT))
    assert type(error) is DeadlinePassed
    assert account.requests == []


def test_what_was_abandoned_frees_its_slot_and_is_counted() -> None:
    governed = Governor(1, 0, sleep=no_sleep)
    account = FakeAccount([silence, done()])

    async def run() -> None:
        async with connect(account, governor=governed, deadlines=SOON) as ns:
            with pytest.raises(InDoubt):
                await ns.send(UPSERT)
            assert (await ns.send(UPSERT)).internal_id == "48112"

    asyncio.run(run())
    figures = governed.figures()
    assert (figures.requests, figures.in_flight) == (2, 0)
    assert figures.longest_seconds >= SOON.write


def test_the_wait_for_the_first_slot_is_not_part_of_it() -> None:
    """Many operations asked for at once, of which the last waits much longer than its deadline."""

    async def slowly(request: httpx.Request) -> httpx.Response:
        await asyncio.sleep(0.01)
        return done()

    async def run() -> None:
        governed = Governor(1, 0)
        account = FakeAccount([slowly])
        async with connect(account, governor=governed, deadlines=SOON) as ns:
            began = time.monotonic()
            await asyncio.gather(*(ns.send(UPSERT) for _ in range(60)))
            assert time.monotonic() - began > SOON.write

    asyncio.run(run())


def test_the_wait_for_the_first_slot_is_part_of_a_blocks_deadline() -> None:
    account = FakeAccount([silence])

    async def run() -> None:
        async with connect(account, governor=Governor(1, 0), deadlines=Deadlines()) as ns:
            with ns.deadline(0.2):
                with ns.deadline(60):
                    both = await asyncio.gather(
                        ns.send(UPSERT), ns.get("invoice", "7"), return_exceptions=True
                    )
                assert [type(error) for error in both] == [InDoubt, DeadlinePassed]
                waited = r"waited \d+\.\d seconds for a free request of the account's quota and was not tried"
                assert re.search(waited, str(both[1]))
            assert len(account.requests) == 1

    asyncio.run(run())


def test_a_failure_after_several_tries_says_how_many_and_how_long() -> None:
    clock = Clock(0.0)

    def slow(request: httpx.Request) -> httpx.Response:
        clock.now += 9
        return envelope(503, "", "Down")

    governed = Governor(5, 1, clock=clock, sleep=no_sleep, draw=lambda: 0.0, backoff=Backoff(attempts=4))
    error = failing(
        FakeAccount([slow]), lambda ns: ns.get("invoice", "7"), governor=governed, deadlines=Deadlines()
    )
    assert type(error) is Unavailable
    assert "It was tried 4 times in 36 seconds." in str(error)
    assert isinstance(
        failing(FakeAccount([httpx.ReadError("x")]), lambda ns: ns.get("a", "7")).__cause__, Exception
    )
    once = failing(FakeAccount([envelope(400, "USER_ERROR", "No")]), lambda ns: ns.get("invoice", "7"))
    assert "tried" not in str(once)


SCRIPT = st.lists(st.tuples(st.floats(0, 20), st.booleans()), min_size=1, max_size=30)


@given(script=SCRIPT, allowed=st.floats(1, 100), draws=st.lists(st.floats(0, 1), min_size=30, max_size=30))
def test_no_try_begins_and_no_pause_ends_after_the_deadline(
    script: list[tuple[float, bool]], allowed: float, draws: list[float]
) -> None:
    """Whatever fails for how long: each try takes seconds of a clock of its own, and is rejected or unanswered."""
    clock, begun, left = Clock(0.0), [], list(script)

    async def sleep(seconds: float) -> None:
        clock.now += seconds

    async def request() -> str:
        begun.append(clock.now)
        if not left:
            return "ok"
        seconds, rejected = left.pop(0)
        clock.now += seconds
        kind = RateLimited if rejected else Unavailable
        raise kind(Failure("x", status=429 if rejected else 503))

    governed = Governor(
        clock=clock,
        sleep=sleep,
        draw=iter([*draws, *draws]).__next__,
        backoff=Backoff(patience=1e9, attempts=10_000),
    )
    attempt = Attempt("Read it")
    late = Deadline(allowed, lambda tried: past_deadline(attempt, tried, sent=False))

    async def run() -> str:
        try:
            return await governed.run(request, late)
        except DeadlinePassed as error:
            return str(error)

    said = asyncio.run(run())
    assert (said == "ok" and not left) or f"It was tried {len(begun)} time" in said
    assert all(at < allowed for at in begun[1:])


def test_an_error_that_several_are_told_says_to_each_how_often_it_tried() -> None:
    """One sign-in serves all who wait; its failure is one error."""
    shared = Unavailable(Failure("Sign in", status=503))
    governed, tries = Governor(5, 1, sleep=no_sleep, backoff=Backoff(attempts=3)), [0]

    async def at_once() -> None:
        raise shared

    async def rejected_first() -> None:
        tries[0] += 1
        raise RateLimited(Failure("x", status=429)) if tries[0] < 3 else shared

    async def run() -> list[Any]:
        both = (governed.run(at_once), governed.run(rejected_first))
        return list(await asyncio.gather(*both, return_exceptions=True))

    first, second = asyncio.run(run())
    assert "tried 3 times" in str(first)
    assert f"tried {tries[0]} times" in str(second)
    assert "tried" not in str(shared)
