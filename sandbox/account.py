"""One account at run time: its store, its services, its slots, its log; and which service answers which path."""

from __future__ import annotations

from pathlib import Path

from sandbox import system
from sandbox.auth.roles import Session
from sandbox.auth.service import Authentication
from sandbox.auth.tokens import SigningKey
from sandbox.clock import Clock
from sandbox.errors import invalid_url
from sandbox.faults import Faults
from sandbox.governance import Slots
from sandbox.incidents import Incidents
from sandbox.jobs import batch
from sandbox.jobs.execution import Execution
from sandbox.jobs.processors import Processors
from sandbox.jobs.service import ROOT as ASYNC_ROOT
from sandbox.jobs.service import AsyncService
from sandbox.jobs.store import JobStore
from sandbox.profile import Profile
from sandbox.profile_custom import CustomField
from sandbox.query.service import ROOT as QUERY_ROOT
from sandbox.query.service import QueryService
from sandbox.record import masters, schema
from sandbox.record.context import Context, Taxes
from sandbox.record.service import ROOT as RECORD_ROOT
from sandbox.record.service import RecordService
from sandbox.request_log import RequestLog
from sandbox.store import tables
from sandbox.store.database import Database
from sandbox.wire import Request, Response


class Account:
    def __init__(self, profile: Profile, state: Path | None, clock: Clock, signing_key: SigningKey) -> None:
        self.profile, self.clock = profile, clock
        self.database = Database(profile.label, state, tables.build(profile))
        self._masters = masters.Masters(profile)
        masters.load(self.database, self._masters)
        self.auth = Authentication(profile, self.database, clock, signing_key)
        self.taxes = Taxes(profile.tax_engine)
        self._serve(profile)
        self.slots = Slots(
            profile.concurrency_limit,
            {
                i.client_id: i.concurrency_limit
                for i in profile.integrations
                if i.concurrency_limit is not None
            },
            profile.switches.concurrency_body_status,
        )
        self.faults = Faults()
        self.incidents = Incidents(self)
        self.jobs = JobStore(self.database)
        self.processors = Processors(
            self.jobs,
            Execution(self.jobs, clock, lambda: self.context, self.incidents.meet, self.perform),
            clock,
            count=profile.async_processors,
            delay=profile.async_delay_ms / 1000,
            duration=profile.async_task_ms / 1000,
        )
        self._async = AsyncService(self.jobs, self.processors, clock, profile.switches)
        self.latency = profile.latency_ms / 1000
        """Seconds that every request takes at least."""
        self.log = RequestLog()
        self._arm()

    def _serve(self, profile: Profile) -> None:
        """Make the services that know records and fields."""
        types = schema.build(profile)
        self.context = Context(profile, self.database, self._masters, self.clock, types, self.taxes)
        self._records = RecordService(self.context)
        self._queries = QueryService(self.context)

    def _arm(self) -> None:
        for fault in self.profile.faults:
            self.faults.arm(fault)

    def start(self) -> None:
        """Go on with the jobs that an earlier run left; call it in the event loop, before any request."""
        self.processors.resume()

    def caller(self, request: Request) -> Session | None:
        """Who sends a request that counts towards the concurrency limit; None where it does not. Raises `Refusal`."""
        return None if self.auth.serves(request.path) else self.auth.session(request)

    def handle(self, request: Request, session: Session | None) -> Response:
        """Answer a request of NetSuite's own paths, whose caller is `session`; raises `Refusal`."""
        path = request.path
        if session is None:
            return self.auth.handle(request)
        session = self.incidents.meet(request, session)
        if path.startswith(RECORD_ROOT + "/"):
            if request.prefers("respond-async"):
                return self._async.submit(request, session)
            return self.perform(request, session)
        if path.startswith(ASYNC_ROOT + "/"):
            return self._async.read(request, session)
        if path.startswith(QUERY_ROOT + "/"):
            return self._queries.handle(request, session)
        if path.startswith(system.ROOT + "/"):
            return system.answer(request, session, self.slots, self.clock)
        raise invalid_url(path)

    def perform(self, request: Request, session: Session) -> Response:
        """A request of the record service, asked for now or the task of a job."""
        batch.refuse_sync(request, self.profile.switches)
        return self._records.handle(request, session)

    def change_fields(self, fields: list[CustomField], changed: set[str]) -> None:
        """Make these the account's custom fields; the values of the `changed` ones (script ids) are lost."""
        profile = self.context.profile.model_copy(update={"custom_fields": fields})
        with self.database.transaction():
            self.database.change_columns(tables.build(profile), changed)
            self.database.connection.execute('DELETE FROM "q_customfield"')
            masters.load_catalogue(self.database, profile)
        self._queries.close()
        self._serve(profile)

    def forget_translations(self) -> None:
        """Let queries be read anew: a role may see less than when they were read."""
        self._queries.close()
        self._queries = QueryService(self.context)

    def clear_faults(self) -> None:
        """Disarm every rule and undo what lasts of those that struck."""
        self.faults.clear()
        self.incidents.undo()

    def reset(self) -> None:
        """Forget every record but the profile's and every log entry; arm the profile's faults alone."""
        self.clear_faults()
        self.processors.stop()
        self.jobs.clear()
        self.database.clear()
        masters.load(self.database, self._masters)
        self.auth.reset()
        self.taxes.engine = self.profile.tax_engine
        self.forget_log()
        self._arm()

    def forget_log(self) -> None:
        self.log.clear()
        self.auth.audit.clear()
        self.slots.forget()

    def close(self) -> None:
        self.processors.stop()
        self._queries.close()
        self.database.close()
