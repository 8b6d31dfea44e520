"""An account of one table `t` that really runs the SuiteQL of sets, and in which things happen between two requests.

DuckDB is its engine; what it lacks of NetSuite's dialect is added here, from the published dialect. A NULL is left out of
its row, every value is text, and a page that is not the last says so.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import duckdb
import httpx
from fake_account import rows_page

LOCAL = timedelta(hours=3)
"""How far the account's time zone is ahead of the server's."""

_FIRST_ROWS = re.compile(r"FETCH FIRST (\d+) ROWS ONLY")


@dataclass
class SuiteQLAccount:
    """The table `t` (id, amount, silent, memo, changed): answers queries as NetSuite does.

    `clock` is the server's time; rows are stamped with the account's own, whole seconds of it. `between` are called before the
    requests that follow, one each.
    """

    clock: datetime = datetime(2026, 10, 31, 9, 0, 0)  # noqa: DTZ001
    between: list[Callable[[], None]] = field(default_factory=list)
    queries: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._database = duckdb.connect(":memory:", config={"threads": 1})
        self._database.execute(
            "CREATE TABLE t (id BIGINT, amount DECIMAL(18,4), silent DECIMAL(18,4), memo VARCHAR, changed VARCHAR);"
            " CREATE MACRO to_char(x, model) AS CASE model WHEN 'YYYY-MM-DD HH24:MI:SS' THEN x WHEN 'DDHH24MISS'"
            " THEN x[9:10] || x[12:13] || x[15:16] || x[18:19] END;"
            " CREATE MACRO to_number(x) AS x::DECIMAL(38,0)"
        )

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if self.between:
            self.between.pop(0)()
        query = json.loads(request.content)["q"]
        self.queries.append(query)
        limit, offset = (int(request.url.params[name]) for name in ("limit", "offset"))
        run = _FIRST_ROWS.sub(r"LIMIT \1", query.replace("SYSDATE", f"'{self.clock}'"))
        result = self._database.execute(run)
        assert result.description is not None
        names = [column[0].lower() for column in result.description]
        every = [
            {name: _text(value) for name, value in zip(names, row, strict=True) if value is not None}
            for row in result.fetchall()
        ]
        page = every[offset : offset + limit]
        more = offset + len(page) < len(every)
        return rows_page(page, offset=offset, total=len(every), has_more=more)

    # What happens in the account

    def tick(self, seconds: float = 1) -> None:
        """Time passes."""
        self.clock += timedelta(seconds=seconds)

    @property
    def stamp(self) -> str:
        """The present as a row's time of change has it."""
        return f"{self.clock + LOCAL:%Y-%m-%d %H:%M:%S}"

    def insert(
        self,
        ids: Iterable[int],
        *,
        amount: Decimal | None = Decimal("1.10"),
        silent: Decimal | None = Decimal(0),
        memo: str | None = None,
    ) -> None:
        """Someone makes rows."""
        rows = [(each, amount, silent, memo, self.stamp) for each in ids]
        if rows:
            self._database.executemany("INSERT INTO t VALUES (?, ?, ?, ?, ?)", rows)

    def delete(self, *ids: int) -> None:
        """Someone deletes rows."""
        self._database.execute("DELETE FROM t WHERE list_contains(?::BIGINT[], id)", [list(ids)])

    def touch(self, key: int, memo: str, *, amount: Decimal | None = None, stamp: str | None = None) -> None:
        """Someone saves a row; `stamp` is the time of change that it gets, if not the present."""
        self._database.execute(
            "UPDATE t SET memo = ?, amount = coalesce(?, amount), changed = ? WHERE id = ?",
            [memo, amount, stamp or self.stamp, key],
        )

    def shift(self, giver: int, taker: int, amount: Decimal) -> None:
        """What is silent goes from one row to another, and neither is stamped."""
        self._database.execute("UPDATE t SET silent = silent - ? WHERE id = ?", [amount, giver])
        self._database.execute("UPDATE t SET silent = silent + ? WHERE id = ?", [amount, taker])

    def rows(self, where: str = "true") -> list[tuple[Any, ...]]:
        """The rows as they are now, in order: id, amount, silent, memo, changed."""
        return self._database.execute(f"SELECT * FROM t WHERE {where} ORDER BY ALL").fetchall()

    def close(self) -> None:
        """Forget it."""
        self._database.close()


def _text(value: Any) -> str:
    if isinstance(value, Decimal | float):
        exact = Decimal(str(value)).normalize()
        return f"{exact:f}"
    return str(value)
