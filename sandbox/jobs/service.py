"""The asynchronous service's paths: submitting with `Prefer: respond-async`, and jobs, tasks and results to read.

Follows NetSuite's "Asynchronous requests, idempotency, batches". Progress values beyond `pending` and `succeeded`,
retention and what an unfinished task's result answers are not documented: switches say them.
"""

from __future__ import annotations

from datetime import UTC, datetime

from sandbox.auth.roles import REST, Session, allows
from sandbox.clock import Clock
from sandbox.errors import (
    Refusal,
    idempotency_conflict,
    invalid_url,
    method_not_allowed,
    nonexistent,
    role_lacks_permission,
)
from sandbox.jobs import batch
from sandbox.jobs.execution import as_seen_from
from sandbox.jobs.processors import Processors
from sandbox.jobs.store import JobStore, Owner, State
from sandbox.switches import Switches
from sandbox.wire import COLLECTION, Json, Request, Response, json_response, link

ROOT = "/services/rest/async/v1"


class AsyncService:
    def __init__(self, store: JobStore, processors: Processors, clock: Clock, switches: Switches) -> None:
        self._store, self._processors, self._clock, self._switches = store, processors, clock, switches

    # Submitting

    def submit(self, request: Request, session: Session) -> Response:
        """Accept a request of the record service to be run after its answer; raises `Refusal`."""
        if not allows(session.role, REST, "full"):
            raise role_lacks_permission()
        now = self._purged()
        key = self._key(request)
        if key:
            life = self._switches.idempotency_retention_seconds
            earlier = self._store.of_key(key, now - life if life else 0)
            if earlier is not None:
                raise idempotency_conflict(
                    self._location(request, earlier), names_header=self._switches.idempotency_error_header
                )
        calls = batch.calls_of(request, self._switches)
        parallel = batch.is_batch(request) and request.preference("batch-processing") == "parallel"
        owner = Owner(session.client_id, session.integration, session.role.id, session.entity, session.method)
        job = self._store.add(owner, calls, parallel=parallel, key=key, now=now)
        request.after_answer.append(lambda: self._processors.release(job))
        headers = [
            (b"preference-applied", b"respond-async"),
            (b"location", self._location(request, job).encode("latin-1")),
        ]
        return Response(202, headers=headers)

    def _key(self, request: Request) -> str:
        key = request.headers.get("x-netsuite-idempotency-key", "").strip().lower()
        if key and self._switches.idempotency_key_form == "uuid" and not _is_uuid(key):
            raise Refusal(
                400,
                "INVALID_HEADER",
                f"Invalid value '{key}' for the request header 'X-NetSuite-Idempotency-Key'. It must be a UUID.",
                pointer=("o:errorHeader", "X-NetSuite-Idempotency-Key"),
            )
        return key

    def _location(self, request: Request, job: int) -> str:
        path = f"{ROOT}/job/{job}"
        return request.base + path if self._switches.job_location == "absolute" else request.prefix + path

    def _purged(self) -> float:
        """The present in Unix seconds, with nothing kept longer than the switches say."""
        now = self._clock.now().timestamp()
        jobs, keys = self._switches.job_retention_seconds, self._switches.idempotency_retention_seconds
        self._store.purge(now - jobs if jobs else 0, now - keys if keys else 0)
        return now

    # Reading

    def read(self, request: Request, session: Session) -> Response:
        """Answer a request below the service's root; raises `Refusal`."""
        if not allows(session.role, REST, "full"):
            raise role_lacks_permission()
        parts = [part for part in request.path[len(ROOT) :].split("/") if part]
        names = [part.lower() for part in parts[0::2]]
        if names not in (["job"], ["job", "task"], ["job", "task", "result"]) or len(parts) < 2:
            raise invalid_url(request.path)
        if request.method != "GET":
            raise method_not_allowed(request.method)
        self._purged()
        job = _number(parts[1])
        states = self._store.states(job)
        if not states:
            raise nonexistent()
        here = f"{request.base}{ROOT}/job/{job}"
        if len(parts) == 2:
            return json_response(self._job(job, states, here))
        if len(parts) == 3:
            return json_response(self._tasks(states, f"{here}/task"), COLLECTION)
        number = _number(parts[3])
        state = next((state for state in states if state.id == number), None)
        if state is None:
            raise nonexistent()
        if len(parts) == 4:
            return json_response(self._task(job, state, f"{here}/task/{number}"))
        if state.ended is None:
            status = self._switches.unfinished_result_status
            raise (
                nonexistent()
                if status == 404
                else Refusal(
                    status, "INVALID_REQUEST", "The result is not available: the task has not been completed."
                )
            )
        return as_seen_from(request.base, self._store.result(job, number))

    def _job(self, job: int, states: list[State], here: str) -> Json:
        return {
            "links": [link("self", here)],
            "completed": all(state.ended is not None for state in states),
            "id": str(job),
            "progress": self._job_progress(job, states),
            "task": {"links": [link("self", f"{here}/task")]},
        }

    def _tasks(self, states: list[State], here: str) -> Json:
        links = [link("self", f"{here}/{state.id}") for state in states]
        if self._switches.task_list == "one_element":
            items: list[Json] = [{"links": links}]
        else:
            items = [{"links": [one]} for one in links]
        return {"links": [link("self", here)], "count": len(items), "items": items}

    def _task(self, job: int, state: State, here: str) -> Json:
        own = [link("self", here)]
        found: dict[str, Json] = {
            "links": own if state.ended is None else [link("related", f"{here}/result"), *own],
            "completed": state.ended is not None,
        }
        if state.ended is not None:
            found["endTime"] = _moment(state.ended)
        found |= {"id": str(state.id), "progress": self._progress(job, state)}
        started = state.started if state.ended is not None else self._processors.running.get((job, state.id))
        if started is not None:
            found["startTime"] = _moment(started)
        return found

    def _progress(self, job: int, state: State) -> str:
        if state.ended is not None:
            return self._switches.failed_progress if _refused(state) else "succeeded"
        return (
            self._switches.processing_progress if (job, state.id) in self._processors.running else "pending"
        )

    def _job_progress(self, job: int, states: list[State]) -> str:
        if all(state.ended is not None for state in states):
            refused = [_refused(state) for state in states]
            if any(refused) and not all(refused):
                return self._switches.partly_failed_progress
            return self._progress(job, states[0])
        begun = any(
            state.ended is not None or (job, state.id) in self._processors.running for state in states
        )
        return self._switches.processing_progress if begun else "pending"


def _refused(state: State) -> bool:
    return state.status is not None and state.status >= 400


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise nonexistent()
    return int(text)


def _moment(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%SZ}"


def _is_uuid(text: str) -> bool:
    groups = text.split("-")
    return [len(group) for group in groups] == [8, 4, 4, 4, 12] and all(
        set(group) <= set("0123456789abcdef") for group in groups
    )
