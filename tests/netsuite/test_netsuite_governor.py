"""The account's quota: never more in flight than allowed, slower after a rejection, faster again later."""

from __future__ import annotations

import asyncio
import random
import threading
import time
from collections.abc import Callable

import httpx
import pytest
from fake_account import Clock, FakeAccount, connect, credentials, done, no_sleep, too_many
from hypothesis import given, settings
from hypothesis import strategies as st

from resources.netsuite.errors import Failure, RateLimited, SignInFailed
from resources.netsuite.governor import Backoff, Governor, LocalBudget
from resources.netsuite.writes import upsert_request

UPSERT = upsert_request("invoice", "inv-7", {"memo": "x"})


class Account:
    """Counts what is in flight and rejects what is over its limit, as NetSuite does."""

    def __init__(self, limit: int, seconds: float = 0.002) -> None:
        self.limit = limit
        self.seconds = seconds
        self.peak = 0
        self.in_flight = 0
        self.done = 0
        self.rejected = 0
        self.lock = threading.Lock()

    async def request(self) -> str:
        with self.lock:
            self.in_flight += 1
            self.peak = max(self.peak, self.in_flight)
            over = self.in_flight > self.limit
        try:
            await asyncio.sleep(0 if over else self.seconds)
            if over:
                self.rejected += 1
                raise RateLimited(Failure("x", status=429))
            self.done += 1
            return "ok"
        finally:
            with self.lock:
                self.in_flight -= 1


def test_no_more_than_the_limit_less_the_reserve_is_in_flight() -> None:
    account, governed = Account(99), Governor(5, 1)

    async def run() -> None:
        await asyncio.gather(*(governed.run(account.request) for _ in range(60)))

    asyncio.run(run())
    figures = governed.figures()
    assert account.peak == figures.peak == 4
    assert figures.requests == account.done == 60
    assert figures.in_flight == 0
    assert figures.waits >= 56
    assert figures.waited_seconds > 0
    assert figures.latency_seconds > figures.longest_seconds > 0


def test_one_budget_for_clients_in_several_threads_and_event_loops() -> None:
    account, governed = Account(99), Governor(4, 1)

    async def run() -> None:
        await asyncio.gather(*(governed.run(account.request) for _ in range(25)))

    threads = [threading.Thread(target=lambda: asyncio.run(run()), daemon=True) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert account.done == 100
    assert account.peak == 3
    assert governed.figures().in_flight == 0


def test_an_account_has_one_governor_in_the_process() -> None:
    first = Governor.shared("test-account-a", 5, 1)
    assert Governor.shared("test-account-a", 7, 1) is first
    assert first.figures().allowed == 6
    assert Governor.shared("test-account-a", 3, 1).figures().allowed == 2
    assert Governor.shared("test-account-a").figures().allowed == 2
    assert Governor.shared("test-account-b") is not first


@pytest.mark.parametrize(("limit", "reserve", "allowed"), [(5, 1, 4), (1, 1, 1), (2, 5, 1), (1, 0, 1)])
def test_at_least_one_request_is_always_allowed(limit: int, reserve: int, allowed: int) -> None:
    assert Governor(limit, reserve).figures().allowed == allowed


def test_an_impossible_limit_is_refused() -> None:
    with pytest.raises(ValueError, match="not possible"):
        Governor(0)


def test_it_falls_by_half_once_for_those_in_flight_together_and_climbs_again_slowly() -> None:
    budget = LocalBudget(8, climb_after=2.0)
    for started in (10.0, 10.1, 10.2):
        budget.rejected(started, 11.0)
    assert budget.allowed == 4
    budget.rejected(11.5, 12.0)
    assert budget.allowed == 2
    budget.accepted(13.0)
    assert budget.allowed == 2
    for now in (14.0, 14.1, 16.0, 18.0):
        budget.accepted(now)
    assert budget.allowed == 5
    for now in range(20, 60):
        budget.accepted(float(now))
    assert budget.allowed == 8


def test_when_others_use_the_quota_every_write_still_succeeds() -> None:
    """The account has room for 2 where we believe in 9; each request may be rejected many times."""
    account = Account(2)
    governed = Governor(10, 1, backoff=Backoff(base=0.004, longest=0.02), draw=random.Random(7).random)

    async def run() -> list[str]:
        return await asyncio.gather(*(governed.run(account.request) for _ in range(80)))

    assert asyncio.run(run()) == ["ok"] * 80
    figures = governed.figures()
    assert figures.rejections == account.rejected > 0
    assert figures.retries == figures.rejections
    assert figures.requests == 80 + figures.rejections
    assert figures.allowed < 9


def test_time_in_our_own_queue_does_not_use_up_the_patience() -> None:
    account = Account(99, seconds=0.01)
    governed = Governor(1, 0, backoff=Backoff(patience=0.05))
    tried: set[int] = set()

    async def rejected_once(number: int) -> str:
        if number not in tried:
            tried.add(number)
            raise RateLimited(Failure("x", status=429))
        return await account.request()

    async def run() -> list[str]:
        sleepless = Governor(1, 0, backoff=Backoff(patience=0.05), sleep=no_sleep, draw=lambda: 0.0)
        return await asyncio.gather(*(sleepless.run(lambda n=n: rejected_once(n)) for n in range(30)))

    began = time.monotonic()
    assert asyncio.run(run()) == ["ok"] * 30
    assert time.monotonic() - began > 0.2
    assert governed.figures().requests == 0


def test_the_pauses_are_drawn_from_a_doubling_range_that_ends_at_the_longest() -> None:
    pauses: list[float] = []

    async def pause(seconds: float) -> None:
        pauses.append(seconds)

    governed = Governor(
        draw=lambda: 0.999, sleep=pause, backoff=Backoff(patience=250, base=1.0, longest=60.0)
    )

    async def never() -> None:
        raise RateLimited(Failure("x", status=429))

    with pytest.raises(RateLimited):
        asyncio.run(governed.run(never))
    assert [round(pause) for pause in pauses] == [1, 2, 4, 8, 16, 32, 60, 60, 60]


def test_slow_rejections_use_up_the_patience_too() -> None:
    clock, tries = Clock(0.0), 0

    async def slowly_rejected() -> None:
        nonlocal tries
        tries += 1
        clock.now += 10
        raise RateLimited(Failure("x", status=429))

    governed = Governor(clock=clock, sleep=no_sleep, draw=lambda: 0.0, backoff=Backoff(patience=25))
    with pytest.raises(RateLimited):
        asyncio.run(governed.run(slowly_rejected))
    assert tries == 3


def test_who_was_rejected_goes_before_those_who_have_not_tried() -> None:
    governed, order, tried = Governor(1, 0, sleep=no_sleep), [], set()

    async def request(name: str) -> None:
        await asyncio.sleep(0)
        if name == "a" and name not in tried:
            tried.add(name)
            raise RateLimited(Failure("x", status=429))
        order.append(name)

    async def run() -> None:
        await asyncio.gather(*(governed.run(lambda name=name: request(name)) for name in "abcd"))

    asyncio.run(run())
    assert order == ["b", "a", "c", "d"]


def test_a_cancelled_wait_gives_its_place_to_the_next() -> None:
    governed, account = Governor(1, 0), Account(9, seconds=0.02)

    async def run() -> None:
        tasks = [asyncio.create_task(governed.run(account.request)) for _ in range(5)]
        await asyncio.sleep(0.005)
        for task in tasks[1:4]:
            task.cancel()
        assert await asyncio.wait_for(tasks[4], 2) == "ok"
        tasks = [asyncio.create_task(governed.run(account.request)) for _ in range(3)]
        await asyncio.sleep(0.005)
        tasks[0].cancel()
        assert await asyncio.wait_for(tasks[2], 2) == "ok"

    asyncio.run(run())
    assert governed.figures().in_flight == 0


@given(seed=st.integers(0, 10_000), limit=st.integers(1, 6))
@settings(max_examples=25, deadline=None)
def test_slots_are_never_lost_nor_doubled_whoever_is_cancelled(seed: int, limit: int) -> None:
    chance, governed, account = random.Random(seed), Governor(limit, 0, sleep=no_sleep), Account(limit, 0.0)

    async def run() -> None:
        tasks = [asyncio.create_task(governed.run(account.request)) for _ in range(25)]
        for _ in range(12):
            await asyncio.sleep(0)
            chance.choice(tasks).cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert await asyncio.wait_for(governed.run(account.request), 5) == "ok"

    asyncio.run(run())
    assert account.peak <= limit
    assert governed.figures().in_flight == 0


class BudgetElsewhere(LocalBudget):
    """Stands for a budget in a database: its slots may be freed by another process."""

    def __init__(self) -> None:
        super().__init__(1)
        self.taken_elsewhere = True
        self.wake: Callable[[], None] | None = None

    def listen(self, wake: Callable[[], None]) -> None:
        self.wake = wake

    def take(self) -> bool:
        return not self.taken_elsewhere and super().take()


def test_a_slot_that_another_process_freed_is_handed_out_from_whatever_thread_tells() -> None:
    budget = BudgetElsewhere()
    governed, account = Governor(budget=budget), Account(9)

    async def run() -> str:
        task = asyncio.create_task(governed.run(account.request))
        await asyncio.sleep(0.02)
        assert not task.done()
        budget.taken_elsewhere = False
        assert budget.wake is not None
        threading.Thread(target=budget.wake, daemon=True).start()
        return await asyncio.wait_for(task, 2)

    assert asyncio.run(run()) == "ok"


def test_a_meter_counts_its_own_block_apart_from_all_else() -> None:
    governed, account = Governor(3, 1), Account(99)

    async def run() -> None:
        async def others() -> None:
            await asyncio.gather(*(governed.run(account.request) for _ in range(10)))

        elsewhere = asyncio.create_task(others())
        with governed.metered() as meter:
            with governed.metered() as inner:
                await asyncio.gather(*(governed.run(account.request) for _ in range(4)))
            await governed.run(account.request)
        await elsewhere
        mine = governed.read(meter)
        assert (mine.requests, governed.read(inner).requests) == (5, 4)
        assert 1 <= mine.peak <= 2
        assert mine.in_flight == 0
        assert mine.waits >= 3
        assert mine.waited_seconds > 0

    asyncio.run(run())
    assert governed.figures().requests == 15


def refused_sign_in(code: str = "INVALID_LOGIN") -> SignInFailed:
    return SignInFailed(Failure("x", status=401, code=code))


def outcome(*answers: Exception | None, login_overruns: int = 1) -> tuple[str, Governor]:
    """What becomes of the last request when the account gives these answers one after the other."""
    governed = Governor(
        5, 1, sleep=no_sleep, draw=lambda: 0.0, backoff=Backoff(login_overruns=login_overruns)
    )
    script = list(answers)

    async def request() -> str:
        answer = script.pop(0)
        if answer is not None:
            raise answer
        return "ok"

    async def run() -> str:
        said = ""
        while script:
            try:
                said = await governed.run(request)
            except SignInFailed:
                said = "refused"
        return said

    return asyncio.run(run()), governed


TOO_MANY = RateLimited(Failure("x", status=429))


def test_a_sign_in_refused_in_the_midst_of_rejections_is_one_of_them() -> None:
    said, governed = outcome(None, TOO_MANY, None, refused_sign_in(), None)
    assert said == "ok"
    assert governed.figures().rejections == 2
    assert governed.figures().allowed == 1


def test_a_sign_in_that_stays_refused_is_told_after_one_more_try() -> None:
    said, governed = outcome(None, TOO_MANY, None, refused_sign_in(), refused_sign_in())
    assert said == "refused"
    assert governed.figures().requests == 5


@pytest.mark.parametrize("before", [(), (None,)], ids=["never worked before", "no overload"])
def test_without_signs_of_overload_a_refused_sign_in_is_final(before: tuple[Exception | None, ...]) -> None:
    _, governed = outcome(*before, refused_sign_in(), None)
    assert governed.figures().retries == governed.figures().rejections == 0


def test_the_switch_makes_every_refused_sign_in_final() -> None:
    _, governed = outcome(None, TOO_MANY, None, refused_sign_in(), None, login_overruns=0)
    assert governed.figures().rejections == 1


def test_a_code_that_names_concurrency_is_an_overrun_whatever_its_status() -> None:
    said, governed = outcome(refused_sign_in("WS_CONCUR_SESSION_DISALLWD"), None)
    assert said == "ok"
    assert governed.figures().rejections == 1


def test_figures_of_two_moments_subtract_to_a_runs_share() -> None:
    clock = Clock(0.0)

    def slow(request: httpx.Request) -> httpx.Response:
        clock.now += 0.5
        return done()

    account = FakeAccount([slow, too_many(), slow])
    governed = Governor(5, 1, clock=clock, sleep=no_sleep, draw=lambda: 0.25)

    async def run() -> None:
        async with connect(account, governor=governed, auth=credentials()) as ns:
            await ns.send(UPSERT)
            before = governed.figures()
            await ns.send(UPSERT)
            share = governed.figures().since(before)
            assert (share.requests, share.rejections, share.retries) == (2, 1, 1)
            assert share.latency_seconds == 0.5
            assert share.backoff_seconds == 0.25
            assert share.allowed == 2

    asyncio.run(run())
