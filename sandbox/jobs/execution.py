"""One task: its call as a request of the record service, run under its owner's role, its answer kept with its writes."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable
from urllib.parse import quote

from sandbox.auth.roles import Session
from sandbox.clock import Clock
from sandbox.errors import Refusal, invalid_content, nonexistent, role_lacks_permission, unexpected
from sandbox.jobs.store import Call, JobStore, Owner
from sandbox.record.context import Context
from sandbox.record.service import ROOT
from sandbox.wire import Request, Response

_log = logging.getLogger("sandbox")
_SCHEME, _HOST = "sandbox", "task"
_BASE = f"{_SCHEME}://{_HOST}".encode()
"""Stands in kept answers for the address that a reader reaches the account by, which a restart may change."""
Perform = Callable[[Request, Session], Response]
"""Answers a request of the record service; raises `Refusal`."""
Meet = Callable[[Request, Session], Session]
"""Lets happen what is due before a request is answered, by others, and returns the caller; raises `Refusal`."""


class Execution:
    def __init__(
        self, store: JobStore, clock: Clock, context: Callable[[], Context], meet: Meet, perform: Perform
    ) -> None:
        self._store, self._clock, self._context = store, clock, context
        self._meet, self._perform = meet, perform

    def run(self, job: int, task: int, started: float) -> None:
        """Run a task and keep its answer: both in one transaction, so that a task is never done twice nor half."""
        owner, call, body = self._store.call(job, task)
        database = self._context().database
        try:
            request, session = self._request(owner, call, body)
            session = self._meet(request, session)
            with database.transaction():
                response = self._perform(request, session)
                response.add_warnings(request)
                self._store.finish(job, task, response, started, self._now())
            return
        except Refusal as refusal:
            response = refusal.response()
        except Exception:
            error_id = secrets.token_hex(8)
            _log.exception(
                "job %s task %s (%s %s) failed, error id %s", job, task, call.method, call.path, error_id
            )
            response = unexpected(error_id).response()
        with database.transaction():
            self._store.finish(job, task, response, started, self._now())

    def _now(self) -> float:
        return self._clock.now().timestamp()

    def _request(self, owner: Owner, call: Call, body: bytes) -> tuple[Request, Session]:
        role = next((role for role in self._context().profile.roles if role.id == owner.role), None)
        if role is None:
            raise role_lacks_permission()
        session = Session(owner.client_id, owner.integration, role, owner.entity, owner.method)
        method, path = self._address(call)
        request = Request(
            method=method,
            path=path,
            raw_path=quote(path),
            query_string=call.query_string,
            headers=call.headers,
            body=body,
            scheme=_SCHEME,
            host=_HOST,
            prefix="",
        )
        return request, session

    def _address(self, call: Call) -> tuple[str, str]:
        """The method and path of one record of a batch. Its external id may have characters that a path may not."""
        if call.key is None or call.method == "POST":
            return call.method, call.path
        if not call.key:
            wanted = "'externalId'" if call.method == "PUT" else "'id' or 'externalId'"
            raise invalid_content(f"An item of this batch operation needs {wanted}.")
        if not call.key.startswith("eid:"):
            if not call.key.removeprefix("-").isdigit():
                raise nonexistent()
            return call.method, f"{call.path}/{call.key}"
        name = call.path[len(ROOT) :].strip("/")
        record_type = self._context().types.get(name.lower())
        if record_type is None:
            return call.method, call.path
        found = self._context().database.find(record_type.name, call.key[len("eid:") :])
        if found is not None:
            return ("PATCH" if call.method == "PUT" else call.method), f"{call.path}/{found}"
        if call.method == "PUT":
            return "POST", call.path
        raise nonexistent()


def as_seen_from(base: str, response: Response) -> Response:
    """A kept answer with its links and Location at the reader's own address."""
    here = base.encode("latin-1")
    response.body = response.body.replace(_BASE, here)
    response.headers = [(name, value.replace(_BASE, here)) for name, value in response.headers]
    return response
