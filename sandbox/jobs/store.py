"""Jobs, their tasks, results and idempotency keys, kept in the account's database. Nothing is run from here."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from sandbox.store.database import Database
from sandbox.wire import Response, decode, encode

_SCHEMA = (
    """CREATE TABLE IF NOT EXISTS job (
        id INTEGER PRIMARY KEY, owner BLOB NOT NULL, parallel INTEGER NOT NULL, submitted REAL NOT NULL, ended REAL)""",
    """CREATE TABLE IF NOT EXISTS task (
        job INTEGER NOT NULL, id INTEGER NOT NULL, request BLOB, body BLOB, started REAL, ended REAL,
        status INTEGER, headers BLOB, content_type BLOB, result BLOB, PRIMARY KEY (job, id)) WITHOUT ROWID""",
    "CREATE INDEX IF NOT EXISTS task_unfinished ON task (job) WHERE ended IS NULL",
    """CREATE TABLE IF NOT EXISTS idempotency (
        key TEXT PRIMARY KEY, job INTEGER NOT NULL, submitted REAL NOT NULL) WITHOUT ROWID""",
)
_FIRST_JOB = 101


@dataclass(frozen=True, slots=True)
class Owner:
    """Who submitted a job: its tasks run with this caller's role, as that role is when they run."""

    client_id: str
    integration: str
    role: str
    entity: str
    method: str


@dataclass(frozen=True, slots=True)
class Call:
    """What a task asks of the record service."""

    method: str
    path: str
    query_string: str
    headers: dict[str, str]
    key: str | None = None
    """Of a batch, whose `path` is the collection's: an id, `eid:` and an external id, or empty. None: a plain request."""


@dataclass(frozen=True, slots=True)
class State:
    """How far a task is. Times are Unix seconds, UTC."""

    id: int
    started: float | None
    ended: float | None
    status: int | None


class JobStore:
    def __init__(self, database: Database) -> None:
        self._database = database
        with database.transaction():
            for statement in _SCHEMA:
                database.connection.execute(statement)

    def _rows(self, sql: str, *values: object) -> list[Any]:
        return self._database.connection.execute(sql, values).fetchall()

    # Submitting

    def add(
        self, owner: Owner, calls: list[tuple[Call, bytes]], *, parallel: bool, key: str, now: float
    ) -> int:
        """Keep a job with one task for each call; returns its id. `key` may be empty."""
        with self._database.transaction():
            job = self._database.next("job", _FIRST_JOB)
            execute = self._database.connection.execute
            execute(
                "INSERT INTO job (id, owner, parallel, submitted) VALUES (?, ?, ?, ?)",
                (job, encode(asdict(owner)), parallel, now),
            )
            self._database.connection.executemany(
                "INSERT INTO task (job, id, request, body) VALUES (?, ?, ?, ?)",
                [(job, n, encode(asdict(call)), body) for n, (call, body) in enumerate(calls, 1)],
            )
            if key:
                execute("INSERT OR REPLACE INTO idempotency VALUES (?, ?, ?)", (key, job, now))
        return job

    def of_key(self, key: str, oldest: float) -> int | None:
        """The job that was submitted with an idempotency key since `oldest`."""
        rows = self._rows("SELECT job FROM idempotency WHERE key = ? AND submitted >= ?", key, oldest)
        return int(rows[0][0]) if rows else None

    # Running

    def unfinished(self) -> list[int]:
        return [
            int(row[0])
            for row in self._rows("SELECT DISTINCT job FROM task WHERE ended IS NULL ORDER BY job")
        ]

    def waiting(self, job: int) -> list[int]:
        """The tasks of a job that have not ended, in order."""
        return [
            int(row[0])
            for row in self._rows("SELECT id FROM task WHERE job = ? AND ended IS NULL ORDER BY id", job)
        ]

    def is_parallel(self, job: int) -> bool:
        return bool(self._rows("SELECT parallel FROM job WHERE id = ?", job)[0][0])

    def call(self, job: int, task: int) -> tuple[Owner, Call, bytes]:
        sql = "SELECT j.owner, t.request, t.body FROM task t JOIN job j ON j.id = t.job WHERE t.job = ? AND t.id = ?"
        owner, request, body = self._rows(sql, job, task)[0]
        return Owner(**decode(owner)), Call(**decode(request)), bytes(body or b"")

    def finish(self, job: int, task: int, response: Response, started: float, ended: float) -> None:
        """Keep a task's answer; its request is kept no longer. Call it in the transaction of the task's own writes."""
        headers = [[name.decode("latin-1"), value.decode("latin-1")] for name, value in response.headers]
        execute = self._database.connection.execute
        execute(
            "UPDATE task SET request = NULL, body = NULL, started = ?, ended = ?, status = ?, headers = ?, "
            "content_type = ?, result = ? WHERE job = ? AND id = ?",
            (
                started,
                ended,
                response.status,
                encode(headers),
                response.content_type,
                response.body,
                job,
                task,
            ),
        )
        execute(
            "UPDATE job SET ended = ? WHERE id = ? "
            "AND NOT EXISTS (SELECT 1 FROM task WHERE task.job = job.id AND task.ended IS NULL)",
            (ended, job),
        )

    # Reading

    def exists(self, job: int) -> bool:
        return bool(self._rows("SELECT 1 FROM job WHERE id = ?", job))

    def states(self, job: int) -> list[State]:
        """Every task of a job, in order; empty for a job that does not exist."""
        return [
            State(*row)
            for row in self._rows(
                "SELECT id, started, ended, status FROM task WHERE job = ? ORDER BY id", job
            )
        ]

    def result(self, job: int, task: int) -> Response:
        """The answer of a task that has ended."""
        sql = "SELECT status, headers, content_type, result FROM task WHERE job = ? AND id = ?"
        status, headers, content_type, body = self._rows(sql, job, task)[0]
        pairs = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in decode(headers)]
        return Response(status, bytes(body), bytes(content_type) if content_type is not None else None, pairs)

    def counts(self) -> dict[str, int]:
        """Tasks that wait or run, and tasks that have ended."""
        waiting, ended = self._rows("SELECT coalesce(sum(ended IS NULL), 0), count(ended) FROM task")[0]
        return {
            "jobs": self._rows("SELECT count(*) FROM job")[0][0],
            "tasks_open": waiting,
            "tasks_ended": ended,
        }

    def purge(self, ended_before: float, keyed_before: float) -> None:
        """Forget jobs that ended, and keys that were given, before these times."""
        old = self._rows("SELECT 1 FROM job WHERE ended < ? LIMIT 1", ended_before)
        keys = self._rows("SELECT 1 FROM idempotency WHERE submitted < ? LIMIT 1", keyed_before)
        if not old and not keys:
            return
        with self._database.transaction():
            execute = self._database.connection.execute
            execute("DELETE FROM task WHERE job IN (SELECT id FROM job WHERE ended < ?)", (ended_before,))
            execute("DELETE FROM job WHERE ended < ?", (ended_before,))
            execute("DELETE FROM idempotency WHERE submitted < ?", (keyed_before,))

    def clear(self) -> None:
        with self._database.transaction():
            for table in ("job", "task", "idempotency"):
                self._database.connection.execute(f"DELETE FROM {table}")
