"""What was asked and answered: the request log and the counters of one account."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import asdict, dataclass
from itertools import islice

from sandbox.wire import Json

_KEPT = 50_000
_WRITES = ("POST", "PATCH", "PUT", "DELETE")


@dataclass(slots=True, frozen=True)
class Entry:
    number: int
    time: str
    method: str
    path: str
    status: int
    """0: the connection was cut without an answer."""
    write: bool
    """A change of a record was asked for: not a query, not a token."""
    fault: str
    """The kind of the injected fault, or empty."""
    milliseconds: float


class RequestLog:
    def __init__(self) -> None:
        self._entries: deque[Entry] = deque(maxlen=_KEPT)
        self._count = 0
        self.by_method: Counter[str] = Counter()
        self.by_status: Counter[int] = Counter()
        self.writes = 0

    def add(self, time: str, method: str, path: str, status: int, fault: str, milliseconds: float) -> None:
        self._count += 1
        write = method in _WRITES and "/services/rest/record/" in path
        self.by_method[method] += 1
        self.by_status[status] += 1
        self.writes += write
        self._entries.append(Entry(self._count, time, method, path, status, write, fault, milliseconds))

    def entries(self, *, writes_only: bool = False, after: int = 0) -> list[Json]:
        """Oldest first; `after` leaves out entries up to that number."""
        return [asdict(e) for e in self._entries if e.number > after and (e.write or not writes_only)]

    def latest(self, count: int) -> list[Entry]:
        """The last entries, the newest first."""
        return list(islice(reversed(self._entries), count))

    def clear(self) -> None:
        self._entries.clear()
        self.by_method.clear()
        self.by_status.clear()
        self.writes = 0

    @property
    def total(self) -> int:
        return sum(self.by_method.values())
