"""One account at run time: its store, its services, its slots, its log; and which service answers which path."""

from __future__ import annotations

from pathlib import Path

from sandbox import system
from sandbox.auth.audit import LoginAudit
from sandbox.auth.oauth2 import KEYS_PATH, TOKEN_PATH, OAuth2, SigningKey
from sandbox.auth.roles import Session
from sandbox.auth.tba import TokenBasedAuthentication
from sandbox.clock import Clock
from sandbox.errors import invalid_login, invalid_url, method_not_allowed
from sandbox.faults import Faults
from sandbox.governance import Slots
from sandbox.jobs import batch
from sandbox.jobs.execution import Execution
from sandbox.jobs.processors import Processors
from sandbox.jobs.service import ROOT as ASYNC_ROOT
from sandbox.jobs.service import AsyncService
from sandbox.jobs.store import JobStore
from sandbox.profile import Profile
from sandbox.query.service import ROOT as QUERY_ROOT
from sandbox.query.service import QueryService
from sandbox.record import masters, schema
from sandbox.record.context import Context
from sandbox.record.service import ROOT as RECORD_ROOT
from sandbox.record.service import RecordService
from sandbox.request_log import RequestLog
from sandbox.store import tables
from sandbox.store.database import Database
from sandbox.wire import Request, Response

_AUTH_ROOT = "/services/rest/auth/"


class Account:
    def __init__(self, profile: Profile, state: Path | None, clock: Clock, signing_key: SigningKey) -> None:
        self.profile, self.clock = profile, clock
        self.database = Database(profile.label, state, tables.build(profile))
        self._masters = masters.Masters(profile)
        masters.load(self.database, self._masters)
        self.audit = LoginAudit()
        self.oauth2 = OAuth2(profile, clock, self.audit, signing_key)
        self._tba = TokenBasedAuthentication(profile, clock, self.audit)
        self.context = Context(profile, self.database, self._masters, clock, schema.build(profile))
        self._records = RecordService(self.context)
        self._queries = QueryService(self.context)
        self.slots = Slots(
            profile.concurrency_limit,
            {
                i.client_id: i.concurrency_limit
                for i in profile.integrations
                if i.concurrency_limit is not None
            },
        )
        self.jobs = JobStore(self.database)
        self.processors = Processors(
            self.jobs,
            Execution(self.jobs, clock, lambda: self.context, self._perform),
            clock,
            count=profile.async_processors,
            delay=profile.async_delay_ms / 1000,
            duration=profile.async_task_ms / 1000,
        )
        self._async = AsyncService(self.jobs, self.processors, clock, profile.switches)
        self.latency = profile.latency_ms / 1000
        """Seconds that every request takes at least."""
        self.faults = Faults()
        self.log = RequestLog()

    def start(self) -> None:
        """Go on with the jobs that an earlier run left; call it in the event loop, before any request."""
        self.processors.resume()

    def caller(self, request: Request) -> Session | None:
        """Who sends a request that counts towards the concurrency limit; None where it does not. Raises `Refusal`."""
        return None if request.path.startswith(_AUTH_ROOT) else self._session(request)

    def handle(self, request: Request, session: Session | None) -> Response:
        """Answer a request of NetSuite's own paths, whose caller is `session`; raises `Refusal`."""
        path = request.path
        if session is None:
            return self._authorization(request)
        if path.startswith(RECORD_ROOT + "/"):
            if request.prefers("respond-async"):
                return self._async.submit(request, session)
            return self._perform(request, session)
        if path.startswith(ASYNC_ROOT + "/"):
            return self._async.read(request, session)
        if path.startswith(QUERY_ROOT + "/"):
            return self._queries.handle(request, session)
        if path.startswith(system.ROOT + "/"):
            return system.answer(request, session, self.slots, self.clock)
        raise invalid_url(path)

    def _perform(self, request: Request, session: Session) -> Response:
        """A request of the record service, asked for now or the task of a job."""
        batch.refuse_sync(request, self.profile.switches)
        return self._records.handle(request, session)

    def _authorization(self, request: Request) -> Response:
        if request.path == TOKEN_PATH:
            if request.method != "POST":
                raise method_not_allowed(request.method)
            return self.oauth2.token(request)
        if request.path == KEYS_PATH and request.method == "GET":
            return self.oauth2.keys()
        raise invalid_url(request.path)

    def _session(self, request: Request) -> Session:
        authorization = request.headers.get("authorization", "")
        scheme = authorization.partition(" ")[0].lower()
        if scheme == "bearer":
            return self.oauth2.session(request)
        if scheme == "oauth":
            return self._tba.session(request)
        raise invalid_login(
            f'OAuth realm="{self.profile.account}", error="token_rejected", error_description="Invalid login attempt."'
        )

    def reset(self) -> None:
        """Forget every record but the profile's, every log entry and every fault."""
        self.processors.stop()
        self.jobs.clear()
        self.database.clear()
        masters.load(self.database, self._masters)
        self.forget_log()
        self.faults.clear()

    def forget_log(self) -> None:
        self.log.clear()
        self.audit.clear()
        self.slots.forget()

    def close(self) -> None:
        self.processors.stop()
        self._queries.close()
        self.database.close()
