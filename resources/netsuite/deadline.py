"""How long an operation may take as a whole, whatever tries, pauses and waits it is made of.

Here: the time that is allowed, and how far an operation had come. Keeping to it is the governor's business, the error
that an operation then ends as is in ``errors``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from resources.netsuite.errors import NetSuiteError


@dataclass(frozen=True, slots=True)
class Deadlines:
    """Seconds from an operation's first try to its end: what is tried again, and waited for, in between is part of it.

    A read is given time for its four tries of two minutes each. A write is given NetSuite's own limit of 15 minutes
    for a request, and as much again for being rejected before.

    The wait for the first slot does not count: an operation that stands in a long queue of our own making is not
    late. It cannot last for ever, because all who stand before it have a deadline.
    """

    read: float = 900.0
    write: float = 1800.0


@dataclass(frozen=True, slots=True)
class Tried:
    """How far an operation had come when its time was over.

    ``seconds`` since its first try, or since it was asked for where ``tries`` is 0; ``answered`` tells that no try
    was under way; ``last`` is the last failure, if there was one.
    """

    seconds: float
    allowed: float
    tries: int
    answered: bool
    last: NetSuiteError | None


@dataclass(frozen=True, slots=True)
class Deadline:
    """One operation's time in seconds, and the error that it ends as when that is over."""

    seconds: float
    error: Callable[[Tried], NetSuiteError]
