"""The NetSuite REST client: read a record, send a planned write, run SuiteQL.

Here belongs the way of one request: signed, governed, sent, its answer read or turned into an error. What a
write holds is in ``writes``, which queries there are in ``suiteql``, how often to try in ``governor``
(NetSuite REST facts: common headers, record service, SuiteQL, client checklist).
"""

from __future__ import annotations

import logging
import re
from base64 import urlsafe_b64decode
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from decimal import Decimal
from http.cookiejar import CookieJar, DefaultCookiePolicy
from types import TracebackType
from typing import Any, Final, Self, TypeVar
from urllib.parse import quote

import httpx
import msgspec

from resources.netsuite import errors, pages
from resources.netsuite.auth import Auth
from resources.netsuite.deadline import Deadline, Deadlines
from resources.netsuite.errors import Attempt, Failure, NetSuiteError, NotFound, Rejected
from resources.netsuite.governor import Governor
from resources.netsuite.hosts import Hosts
from resources.netsuite.names import Names, Subject, known, nobody
from resources.netsuite.pages import Page
from resources.netsuite.suiteql import PAGE_LIMIT, Select, Value, bind, bound
from resources.netsuite.writes import (
    RECORD_PATH,
    BatchRequest,
    ExternalId,
    Ref,
    WriteAnswer,
    WriteRequest,
    eid,
    record_path,
)

T = TypeVar("T")
_LOG: Final = logging.getLogger(__name__)
_SUITEQL_PATH: Final = "/services/rest/query/v1/suiteql"
_WARNING_HEADERS: Final = ("X-NetSuite-Warning", "X-NetSuite-PropertyValidation")
_RECORD: Final = msgspec.json.Decoder(dict[str, Any], float_hook=Decimal)
_JOB: Final = re.compile(r"async/v1/job/[A-Za-z0-9_-]+")
_DIGITS: Final = re.compile(r"-?[0-9]+")
_LARGE_BODY: Final = 64 * 1024
"""Bytes from which a write is given the long time-out: some two hundred lines."""

_VERBS: Final = {"PUT": "Upsert", "PATCH": "Update", "POST": "Create", "DELETE": "Delete"}
_COLLECTION: Final = "application/vnd.oracle.resource+json; type=collection"

_NOTHING_SENT: Final = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.ProxyError,
    httpx.UnsupportedProtocol,
)


class _Identified(msgspec.Struct):
    id: str


class _Found(msgspec.Struct):
    items: list[_Identified]


_IDENTIFIED: Final = msgspec.json.Decoder(_Identified)
_FOUND: Final = msgspec.json.Decoder(_Found)


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds to wait: to connect, for an answer, and for the answer to a write of very many lines."""

    connect: float = 10.0
    read: float = 120.0
    read_large: float = 900.0


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer."""

    status: int
    headers: httpx.Headers
    content: bytes

    @property
    def request_id(self) -> str:
        """NetSuite's id of the request, to quote in a support case."""
        return str(self.headers.get("x-netsuite-jobid", ""))


class NetSuite:
    """One account's REST web services, as an async context manager.

    ``auth`` signs in; ``governor`` keeps the quota (by default the account's shared one, with a limit of 5 less 1);
    ``deadlines`` end an operation that does not succeed, however often it is tried and wherever it waits;
    ``bind_parameters`` sends SuiteQL values as bound parameters, which an account has since release 2026.2;
    ``transport`` replaces the network in tests.

    ``names``, which may be set at any time, tells what the ids in an error are called.

    Every method raises a ``NetSuiteError``; reads are repeated on passing failures, writes only where nothing can
    have been done.
    """

    def __init__(
        self,
        hosts: Hosts,
        auth: Auth,
        *,
        governor: Governor | None = None,
        bind_parameters: bool = False,
        timeouts: Timeouts | None = None,
        deadlines: Deadlines | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self.hosts = hosts
        self.governor = governor or Governor.shared(hosts.rest_prefix)
        self.names: Names = nobody
        self._auth = auth
        self._bind_parameters = bind_parameters
        self._timeouts = timeouts or Timeouts()
        self._deadlines = deadlines or Deadlines()
        self._transport = transport
        self._http: httpx.AsyncClient | None = None

    def __repr__(self) -> str:
        return f"NetSuite(account={self.hosts.realm!r})"

    async def __aenter__(self) -> Self:
        self._http = httpx.AsyncClient(
            transport=self._transport,
            timeout=httpx.Timeout(self._timeouts.read, connect=self._timeouts.connect, pool=None),
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=32, keepalive_expiry=30.0),
            follow_redirects=False,
            # A cookie that NetSuite set and we sent back would make signed requests fail.
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
            headers={"Accept": "application/json", "Accept-Encoding": "gzip, deflate"},
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._http is not None:
            await self._http.aclose()
            self._http = None

    def deadline(self, seconds: float) -> AbstractContextManager[None]:
        """End whatever is asked for in the block within ``seconds`` together, the waits for a slot included.

        What has not succeeded by then raises ``DeadlinePassed``, or ``InDoubt`` for a write that is under way.
        """
        return self.governor.within(seconds)

    # Records

    async def get(
        self, record: str, ref: Ref, *, expand: bool = False, fields: Sequence[str] | None = None
    ) -> dict[str, Any]:
        """One record as NetSuite gives it; numbers with a fraction are ``Decimal``, empty fields are absent.

        ``ref`` is an internal id or ``eid("…")``. ``expand`` brings the sublists' lines along; ``fields`` asks for
        these body fields only. Raises ``NotFound``.
        """
        name = f"{record} {ref}"
        if isinstance(ref, ExternalId) and not ref.fits_url:
            found = await self.find_by_external_id(record, ref.value)
            if found is None:
                raise NotFound(
                    Failure(f"Read {name}", record=name, what_to_do=f"No {record} has this external id.")
                )
            ref = found
        parts = ["expandSubResources=true"] if expand else []
        if fields:
            parts.append(f"fields={quote(','.join(fields), safe=',')}")
        attempt = self._attempt(f"Read {name}", name, path=record_path(record, ref))
        return await self._read(record_path(record, ref), "&".join(parts), attempt, _RECORD.decode)

    async def find_by_external_id(self, record: str, external_id: str) -> str | None:
        """The internal id of the record with this external id, ``None`` if there is none.

        Reads the record itself, which sees a write as soon as it is done (SuiteQL may lag behind).
        """
        ref = eid(external_id)
        if not ref.fits_url:
            return await self._find_by_query(record, external_id)
        name = f"{record} {ref}"
        try:
            return (
                await self._read(
                    record_path(record, ref), "", self._attempt(f"Look up {name}", name), _IDENTIFIED.decode
                )
            ).id
        except NotFound:
            return None

    async def _find_by_query(self, record: str, external_id: str) -> str | None:
        """Look an external id up by ``q``, for characters that an ``eid:`` address does not take."""
        name = f"{record} eid:{external_id}"
        if '"' in external_id or "\\" in external_id or not external_id.isprintable():
            raise ValueError(
                f"The external id of {name} cannot be looked up: it holds a quote or control character."
            )
        condition = f'externalId IS "{external_id}"'
        query = f"q={quote(condition, safe='')}"
        attempt = self._attempt(f"Look up {name}", name)
        matches = []
        for item in (await self._read(record_path(record), query, attempt, _FOUND.decode)).items:
            # The operator may ignore case; the record itself tells.
            if (await self.get(record, item.id, fields=("externalId",))).get("externalId") == external_id:
                matches.append(item.id)
        if len(matches) > 1:
            alike = (known(Subject(record, match, names=self.names), ()) for match in matches)
            raise Rejected(
                Failure(
                    attempted=f"Look up {name}",
                    said=f"records {', '.join(matches)} all have this external id",
                    record=name,
                    known=tuple(each for one in alike for each in one),
                    what_to_do="Decide in NetSuite which of them is right and remove the external id from the others.",
                )
            )
        return matches[0] if matches else None

    async def send(self, request: WriteRequest) -> WriteAnswer:
        """Send a planned write, byte for byte, at most once as far as NetSuite can have acted on it.

        It is sent again only after an answer or failure that proves that nothing was done: a rejection for
        concurrency, a connection never made, one renewal of the sign-in. Any other failure after which the
        outcome is unknown raises ``InDoubt``: look the record up before anything else.
        """
        attempt = self._attempt_of(request)
        large = len(request.body) >= _LARGE_BODY
        answer = await self._exchange(
            request.method,
            self.hosts.url(request.path, request.query),
            request.body or None,
            {"Content-Type": "application/json", "X-NetSuite-PropertyNameValidation": "Error"}
            if request.body
            else {},
            attempt,
            lambda answer: _written(attempt, answer),
            read_timeout=self._timeouts.read_large if large else self._timeouts.read,
        )
        location = str(answer.headers.get("location", ""))
        internal_id = await self._internal_id(request, location)
        warnings = tuple(value for name in _WARNING_HEADERS for value in answer.headers.get_list(name))
        for warning in warnings:
            _LOG.warning("%s: NetSuite warns: %s", attempt.title, errors.redacted(warning))
        return WriteAnswer(answer.status, internal_id, answer.request_id, location, warnings)

    async def submit(self, request: BatchRequest | None, key: str) -> Answer:
        """Send a batch to be run as a job, under an idempotency key (a UUID); the answer tells the job in ``Location``.

        Its status is 202, or 400 when a request with this key was taken before: then the job is that one's. Without a
        batch it asks for a reading that changes nothing, to learn whether there is such a job, and if there is none, to
        have the key refused to whoever comes with it later. Raises as ``send`` does (NetSuite REST facts: asynchronous
        requests, idempotency key).
        """
        headers = {"Prefer": "respond-async", "X-NetSuite-Idempotency-Key": key}
        if request is None:
            attempt = self._attempt("Look up a job by its key", "")
            url = self.hosts.url(record_path("currency"), "limit=1")
            return await self._exchange(
                "GET", url, None, headers, attempt, _taken(attempt), also=_is_repeated
            )
        headers |= {"Content-Type": _COLLECTION, "X-NetSuite-PropertyNameValidation": "Error"}
        verb = _VERBS.get(request.method, request.method)
        attempt = self._attempt(f"{verb} {request.record}", request.record, is_write=True, path=request.path)
        url = self.hosts.url(request.path, request.query)
        seconds = self._timeouts.read_large
        return await self._exchange(
            request.method, url, request.body, headers, attempt, _taken(attempt), read_timeout=seconds, also=_is_repeated
        )  # fmt: skip

    def refusal(self, request: WriteRequest, answer: Answer) -> NetSuiteError:
        """The error that an answer of no success to a write means, wherever the answer was found."""
        return errors.from_answer(self._attempt_of(request), answer.status, answer.content, answer.request_id)

    def _attempt_of(self, request: WriteRequest) -> Attempt:
        return self._attempt(
            f"{_VERBS.get(request.method, request.method)} {request.record}",
            request.record,
            is_write=True,
            path=request.path,
            body=request.body,
        )

    async def _internal_id(self, request: WriteRequest, location: str) -> str | None:
        """The id of what was written. The write is done, so a failing look-up only leaves the id unknown."""
        if request.method == "DELETE":
            return None
        last = location.partition("?")[0].rstrip("/").rpartition("/")[2]
        if _DIGITS.fullmatch(last):
            return last
        record, _, ref = request.path.rpartition("/")
        if not ref.startswith("eid:"):
            return ref if _DIGITS.fullmatch(ref) else None
        try:
            return await self.find_by_external_id(record.rpartition("/")[2], ref.removeprefix("eid:"))
        except NetSuiteError as error:
            _LOG.warning("%s was written, but its internal id is not known yet: %s", request.record, error)
            return None

    # SuiteQL

    async def suiteql(
        self, query: str, params: Sequence[Value] = (), *, page_size: int = PAGE_LIMIT
    ) -> AsyncIterator[Page]:
        """All pages of a query of fewer than 100,000 rows, which needs a unique ORDER BY.

        ``params`` fill the ``?`` of the query. Raises ``Incomplete`` when the pages do not add up.
        """
        async for page in pages.by_offset(self._fetcher(params), query, pages.check_page_size(page_size)):
            yield page

    async def suiteql_rows(self, query: str, params: Sequence[Value] = ()) -> list[dict[str, str]]:
        """All rows of a small query (counts, sums, masters), at most one page of 1,000.

        Raises ``Incomplete`` when there are more.
        """
        page = await self._fetcher(params)(query, PAGE_LIMIT, 0)
        if page.has_more or page.total != page.count:
            raise pages.incomplete(query, f"it has {page.total} rows, more than the one page asked for")
        return page.rows()

    async def rows_keyset(
        self,
        select: Select,
        *,
        after: str | None = None,
        until: str | None = None,
        page_size: int = PAGE_LIMIT,
    ) -> AsyncIterator[Page]:
        """All pages of a set in windows of its key, from above ``after`` to ``until``; any number of rows.

        A set whose key is not unique is read by offset instead, and so has fewer than 100,000 rows in these bounds.
        Raises ``Incomplete`` when the keys do not rise or the pages do not add up.
        """
        size = pages.check_page_size(page_size)
        if select.unique:
            read = pages.by_key(self._fetcher(()), select, after=after, until=until, page_size=size)
        else:
            read = pages.by_offset(self._fetcher(()), select.between(after=after, until=until), size)
        async for page in read:
            yield page

    def _fetcher(self, params: Sequence[Value]) -> pages.Fetch:
        async def fetch(query: str, limit: int, offset: int) -> Page:
            content: dict[str, object] = {"q": query}
            if params and self._bind_parameters:
                content["params"] = [bound(value) for value in params]
            elif params:
                content["q"] = bind(query, params)
            attempt = self._attempt(f"Run SuiteQL ({pages.shortened(query)})", "", suiteql=True)
            return await self._exchange(
                "POST",
                self.hosts.url(_SUITEQL_PATH, f"limit={limit}&offset={offset}"),
                msgspec.json.encode(content),
                {"Content-Type": "application/json", "Prefer": "transient"},
                attempt,
                lambda answer: pages.read_page(answer.content, query),
            )

        return fetch

    # Anything else that can be read

    async def fetch(
        self,
        path: str,
        query: str = "",
        *,
        title: str,
        record: str = "",
        accept: str = "",
        restlets: bool = False,
        also: Callable[[Answer], bool] | None = None,
    ) -> Answer:
        """GET a path that begins with ``/services/rest/`` (or, on the RESTlets host, ``/rest/``).

        ``title`` says what is attempted ("Read the concurrency limits"); ``accept`` asks for another media type;
        ``also`` tells which answers of no success are answers all the same.
        """
        prefix = self.hosts.restlets_prefix if restlets else self.hosts.rest_prefix
        headers = {"Accept": accept} if accept else {}
        url = f"{prefix}{path}?{query}" if query else f"{prefix}{path}"
        return await self._exchange(
            "GET", url, None, headers, self._attempt(title, record), lambda answer: answer, also=also
        )

    async def token_claims(self) -> dict[str, Any]:
        """What the access token says of itself; empty where signing in uses no token that can be read.

        Only ever for people: NetSuite documents the content (``sub`` is role and entity), not that it stays.
        """
        if self._http is None:
            raise RuntimeError("Use the client inside `async with NetSuite(…) as ns:`.")
        url = self.hosts.url(_SUITEQL_PATH)
        kind, _, token = (await self._auth.authorization("POST", url, self._http)).partition(" ")
        parts = token.split(".")
        if kind != "Bearer" or len(parts) != 3:
            return {}
        try:
            claims = msgspec.json.decode(urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
        except (ValueError, msgspec.DecodeError):
            return {}
        return claims if isinstance(claims, dict) else {}

    # One request

    def _attempt(
        self,
        title: str,
        record: str,
        *,
        is_write: bool = False,
        suiteql: bool = False,
        path: str = "",
        body: bytes = b"",
    ) -> Attempt:
        kind, _, ref = path.removeprefix(f"{RECORD_PATH}/").partition("/")
        internal_id = ref if _DIGITS.fullmatch(ref) else ""
        return Attempt(
            title,
            record=record,
            is_write=is_write,
            suiteql=suiteql,
            where=self.hosts.rest_prefix,
            loopback=self.hosts.is_loopback,
            subject=Subject(kind, internal_id, body, self.names),
        )

    async def _read(self, path: str, query: str, attempt: Attempt, decode: Callable[[bytes], T]) -> T:
        return await self._exchange(
            "GET", self.hosts.url(path, query), None, {}, attempt, lambda answer: decode(answer.content)
        )

    async def _exchange(
        self,
        method: str,
        url: str,
        body: bytes | None,
        headers: Mapping[str, str],
        attempt: Attempt,
        read: Callable[[Answer], T],
        *,
        read_timeout: float | None = None,
        also: Callable[[Answer], bool] | None = None,
    ) -> T:
        """Send one request under the governor and give what ``read`` makes of an answer of 2xx, or one of ``also``."""
        http = self._http
        if http is None:
            raise RuntimeError("Use the client inside `async with NetSuite(…) as ns:`.")
        timeout = httpx.Timeout(
            read_timeout or self._timeouts.read, connect=self._timeouts.connect, pool=None
        )

        under_way = False

        async def signed() -> tuple[str, Answer]:
            nonlocal under_way
            authorization = await self._auth.authorization(method, url, http)
            signed_headers = {**headers, "Authorization": authorization}
            request = http.build_request(method, url, content=body, headers=signed_headers, timeout=timeout)
            under_way = True
            try:
                answer = await _sent(http, request, attempt)
            except NetSuiteError:
                under_way = False
                raise
            under_way = False
            return authorization, answer

        async def once() -> T:
            for _ in range(2):
                authorization, answer = await signed()
                if answer.status != 401:
                    self._auth.accepted(authorization)
                    break
                if not self._auth.refused(authorization):
                    break
            if not (200 <= answer.status < 300 or (also is not None and also(answer))):
                raise errors.from_answer(attempt, answer.status, answer.content, answer.request_id)
            try:
                return read(answer)
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                raise errors.unusable_answer(
                    attempt,
                    answer.status,
                    answer.content,
                    answer.request_id,
                    "The answer is not what was asked for:",
                ) from None

        seconds = self._deadlines.write if attempt.is_write else self._deadlines.read
        late = Deadline(seconds, lambda tried: errors.past_deadline(attempt, tried, sent=under_way))
        return await self.governor.run(once, late)


async def _sent(http: httpx.AsyncClient, request: httpx.Request, attempt: Attempt) -> Answer:
    """Send once; an answer of any status, or the error that tells whether it may have been acted on."""
    try:
        answer = await http.send(request)
    except _NOTHING_SENT as error:
        raise errors.not_connected(attempt, str(error)) from error
    except httpx.HTTPError as error:
        raise errors.no_answer(attempt, f"{type(error).__name__}: {error}") from error
    _LOG.debug("%s %s -> %d (%s)", request.method, request.url.path, answer.status_code, attempt.title)
    return Answer(answer.status_code, answer.headers, answer.content)


def _written(attempt: Attempt, answer: Answer) -> Answer:
    """The answer to a write, if its status means that it was carried out."""
    if answer.status in (201, 204) or (
        answer.status == 200 and "json" in answer.headers.get("content-type", "")
    ):
        return answer
    raise errors.unusable_answer(
        attempt, answer.status, answer.content, answer.request_id, "NetSuite does not answer a write so:"
    )


def _taken(attempt: Attempt) -> Callable[[Answer], Answer]:
    """The answer to a request to be run as a job, if it tells one."""

    def read(answer: Answer) -> Answer:
        location = str(answer.headers.get("location", ""))
        if (answer.status == 202 or _is_repeated(answer)) and _JOB.search(location):
            return answer
        said = "NetSuite does not answer a request for a job so:"
        raise errors.unusable_answer(attempt, answer.status, answer.content, answer.request_id, said)

    return read


def _is_repeated(answer: Answer) -> bool:
    """Whether a request was refused because its idempotency key was given before."""
    if answer.status not in (400, 409):
        return False
    envelope = errors.read_envelope(answer.content)
    return "IDEMPOTENCY_ERROR" in {envelope.code, *(detail.code for detail in envelope.details)}
