"""While a plan is sent, somebody who watches is told how far it is, and not too often."""

from __future__ import annotations

from netsuite_assets.writeback.progress import Told


def told(*moments: tuple[float, int], of: int) -> list[str]:
    """What is said when so much is done at these seconds."""
    said: list[str] = []
    at = iter([second for second, _ in moments])
    telling = Told(said.append, every=5, clock=lambda: next(at))
    for _, done in moments:
        telling(done, of)
    return said


def test_it_is_told_at_first_then_every_few_seconds_and_at_the_end() -> None:
    moments = [(float(second), 1 + 50 * second) for second in range(20)] + [(20.0, 1001)]
    assert told(*moments, of=1001) == [
        "1 of 1,001 operations",
        "251 of 1,001 operations, 50.0 a second, about 15 s left",
        "501 of 1,001 operations, 50.0 a second, about 10 s left",
        "751 of 1,001 operations, 50.0 a second, about 5 s left",
        "1,001 of 1,001 operations in 20 s, 50.0 a second",
    ]


def test_a_long_rest_is_told_in_minutes() -> None:
    assert told((0, 1), (10, 2), of=20)[-1] == "2 of 20 operations, 0.1 a second, about 3 min 00 s left"


def test_one_operation_is_one_message() -> None:
    assert told((0, 1), of=1) == ["1 of 1 operations"]
