"""The errors of the NetSuite connection: one small family, built from whatever NetSuite answered.

Reading an answer and choosing the error belongs here (NetSuite REST facts: error envelope and catalogue). The
plain-words cause and next step are in ``advice``; deciding whether to try again is the governor's.
"""

from __future__ import annotations

import html
import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, ClassVar, Final, Self

import msgspec

from resources.netsuite import advice
from resources.netsuite.names import Known, Subject, known

if TYPE_CHECKING:
    from resources.netsuite.deadline import Tried


@dataclass(frozen=True, slots=True)
class Detail:
    """One entry of NetSuite's ``o:errorDetails``: its words, its code, and where in the request it points."""

    message: str
    code: str = ""
    path: str = ""
    query_param: str = ""
    header: str = ""
    url: str = ""


@dataclass(frozen=True, slots=True)
class Failure:
    """Everything known about a request that failed.

    ``attempted`` says what was tried in words; ``record`` names the record (``invoice eid:inv-7``), empty where
    the request was not about one. ``said`` is the other side's own text when it sent no envelope. ``request_id``
    is NetSuite's, to quote in a support case. ``tried`` tells, in a sentence, how often and how long it was tried;
    ``known`` what the ids of which it speaks are called.
    """

    attempted: str
    status: int | None = None
    code: str = ""
    details: tuple[Detail, ...] = ()
    said: str = ""
    record: str = ""
    request_id: str = ""
    what_to_do: str = ""
    tried: str = ""
    known: tuple[Known, ...] = ()


class NetSuiteError(Exception):
    """A request to NetSuite that did not succeed.

    ``transient``: the same request may succeed later and nothing was done. ``in_doubt``: a write was sent and
    its outcome is unknown; it must be looked up before anything else happens to it.
    """

    headline: ClassVar[str] = "NetSuite answered in an unexpected way"
    transient: ClassVar[bool] = False
    in_doubt: ClassVar[bool] = False

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure)
        self.failure = failure

    @property
    def status(self) -> int | None:
        """The HTTP status, ``None`` when there was no answer."""
        return self.failure.status

    @property
    def code(self) -> str:
        """NetSuite's error code (``INVALID_CONTENT``) or the token endpoint's (``invalid_grant``); may be empty."""
        return self.failure.code

    @property
    def details(self) -> tuple[Detail, ...]:
        """Each of NetSuite's error details, in its order."""
        return self.failure.details

    @property
    def path(self) -> str:
        """Where in the request body the first located detail points, such as ``item.items[0].item``."""
        return next((detail.path for detail in self.failure.details if detail.path), "")

    @property
    def record(self) -> str:
        """The record that the request was about, as ``invoice eid:inv-7``."""
        return self.failure.record

    @property
    def request_id(self) -> str:
        """NetSuite's id of the request (``x-netsuite-jobid``)."""
        return self.failure.request_id

    @property
    def what_to_do(self) -> str:
        """The likely cause and the next step in plain words."""
        return self.failure.what_to_do

    @property
    def said(self) -> str:
        """The other system's own words, all details joined."""
        words = "; ".join(
            f"{detail.message} (at {detail.path})" if detail.path else detail.message
            for detail in self.failure.details
            if detail.message
        )
        return words or self.failure.said

    def after(self, tries: int, seconds: float) -> Self:
        """The same error as the last of several tries. (Itself it may be told to others, who tried otherwise.)"""
        told = replace(self.failure, tried=f"It was tried {tries} times in {_seconds(seconds)}.")
        return type(self)(told).with_traceback(self.__traceback__)

    def __str__(self) -> str:
        failure = self.failure
        answer = " ".join(part for part in (str(failure.status or ""), failure.code) if part)
        parts = [f"{failure.attempted}: {self.headline}{f' ({answer})' if answer else ''}."]
        if failure.tried:
            parts.append(failure.tried)
        if self.said:
            parts.append(f'It said: "{self.said}"')
        # Where the person knows the record by a name already, its id needs no other.
        if told := [str(each) for each in failure.known if each.name not in failure.attempted]:
            parts.append(f"({'; '.join(told)}.)")
        if failure.what_to_do:
            parts.append(failure.what_to_do)
        if failure.request_id:
            parts.append(f"[NetSuite request {failure.request_id}]")
        return " ".join(parts)


class NotFound(NetSuiteError):
    """The record does not exist (or the role cannot see that it does)."""

    headline = "the record does not exist"


class PermissionDenied(NetSuiteError):
    """The role lacks a permission; ``what_to_do`` names it and where it is granted when NetSuite told."""

    headline = "the role is not allowed to do this"


class SignInFailed(NetSuiteError):
    """NetSuite does not accept our credentials."""

    headline = "NetSuite refused the sign-in"


class RateLimited(NetSuiteError):
    """Refused because too many requests were in flight in the account; nothing was done."""

    headline = "the account's concurrency limit was exceeded"
    transient = True


class Rejected(NetSuiteError):
    """NetSuite understood the request and refused it; sending the same again cannot help."""

    headline = "NetSuite refused it"


class Unavailable(NetSuiteError):
    """A read got no usable answer (server error, time-out, broken connection); it may be repeated."""

    headline = "NetSuite gave no usable answer"
    transient = True


class Incomplete(NetSuiteError):
    """Rows came that cannot be proven to be all rows, in order and once each."""

    headline = "the answer cannot be proven complete"


class InDoubt(NetSuiteError):
    """A write was sent and its outcome is unknown."""

    headline = "the outcome of the write is unknown"
    in_doubt = True


class Unreachable(NetSuiteError):
    """No connection could be made; nothing was sent."""

    headline = "no connection could be made"
    transient = True


class DeadlinePassed(NetSuiteError):
    """The time allowed for the operation was over before it succeeded; nothing was done."""

    headline = "its deadline passed"
    transient = True


@dataclass(frozen=True, slots=True)
class Envelope:
    """What an error body says: its details, its first code, and its plain text when it is no envelope."""

    code: str = ""
    details: tuple[Detail, ...] = ()
    said: str = ""


_LONGEST_EXCERPT: Final = 300
CONCURRENCY_CODES: Final = frozenset(
    {
        "CONCURRENCY_LIMIT_EXCEEDED",
        "SSS_REQUEST_LIMIT_EXCEEDED",  # a RESTlet's, with status 400
        "WS_CONCUR_SESSION_DISALLWD",  # the older services', with a status of a refused sign-in
        "WS_REQUEST_BLOCKED",
    }
)
"""The codes by which NetSuite says that too many requests are in flight, whatever the status."""
_UNKNOWN_TYPE: Final = re.compile(r"Record type '[^']*' does not exist")
_HIDDEN_TABLE: Final = re.compile(r"Search error occurred: Record '[^']*' was not found")
_NO_PERMISSION: Final = re.compile(r"does not have permission|Permission Violation")
_TAGS: Final = re.compile(r"<(script|style)\b.*?</\1\s*>|<[^>]*>", re.DOTALL | re.IGNORECASE)
_CREDENTIAL: Final = re.compile(r"(?i)\b(bearer|basic)\s+[A-Za-z0-9._~+/=-]{8,}|\beyJ[A-Za-z0-9._-]{10,}")


def read_envelope(body: bytes) -> Envelope:
    """Read an error body in any of its forms; never fails, whatever the bytes are.

    Known forms: NetSuite's envelope with several, one or no details; a code at the top level; the token
    endpoint's ``{"error": …}``; the RESTlet's ``{"error": {"code": …, "message": …}}``; HTML; plain text; nothing.
    """
    try:
        content: object = msgspec.json.decode(body) if body.strip() else None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return Envelope(said=_plain_text(body))
    if not isinstance(content, dict):
        return Envelope(said=_plain_text(body))
    top_code = _text(content.get("o:errorCode"))
    details = _details(content.get("o:errorDetails"))
    if details:
        return Envelope(next((detail.code for detail in details if detail.code), top_code), details)
    error = content.get("error")
    if isinstance(error, dict):
        return Envelope(_text(error.get("code")), said=_text(error.get("message")))
    if isinstance(error, str):
        return Envelope(_text(error), said=_text(content.get("error_description")))
    words = _text(content.get("detail")) or _text(content.get("title")) or _text(content.get("message"))
    return Envelope(top_code, said=words)


def _details(entries: object) -> tuple[Detail, ...]:
    if isinstance(entries, dict):
        entries = [entries]
    if not isinstance(entries, list):
        return ()
    return tuple(
        Detail(
            message=_text(entry.get("detail")),
            code=_text(entry.get("o:errorCode")),
            path=_text(entry.get("o:errorPath")),
            query_param=_text(entry.get("o:errorQueryParam")),
            header=_text(entry.get("o:errorHeader")),
            url=_text(entry.get("o:errorUrl")) or _text(entry.get("o:urlPath")),
        )
        for entry in entries
        if isinstance(entry, dict)
    )


def _text(value: object) -> str:
    return redacted(value) if isinstance(value, str) else ""


def redacted(text: str) -> str:
    """``text`` without anything that looks like a token."""
    return _CREDENTIAL.sub("[removed]", text)


def _plain_text(body: bytes) -> str:
    text = _TAGS.sub(" ", body[:20_000].decode("utf-8", errors="replace"))
    text = " ".join(redacted(html.unescape(text)).split())
    return text if len(text) <= _LONGEST_EXCERPT else f"{text[:_LONGEST_EXCERPT]}…"


@dataclass(frozen=True, slots=True)
class Attempt:
    """What a request is, for the error that it may become.

    ``title`` reads as the beginning of a sentence ("Update invoice eid:inv-7"); ``where`` is the address asked;
    ``suiteql`` tells a query from a record request; ``subject`` is what names the ids in an error are found by.
    """

    title: str
    record: str = ""
    is_write: bool = False
    suiteql: bool = False
    where: str = ""
    loopback: bool = False
    subject: Subject = field(default_factory=Subject)


def from_answer(attempt: Attempt, status: int, body: bytes, request_id: str = "") -> NetSuiteError:
    """The error for an answer that is no success. The status decides first, then the code."""
    envelope = read_envelope(body)
    words = " ".join(detail.message for detail in envelope.details) or envelope.said
    kind = _kind(attempt, status, envelope, words)
    said = [detail.message for detail in envelope.details] or [envelope.said]
    named = known(attempt.subject, said, [detail.path for detail in envelope.details if detail.path])
    return kind(
        Failure(
            attempted=attempt.title,
            status=status,
            code=envelope.code,
            details=envelope.details,
            said=envelope.said,
            record=attempt.record,
            request_id=request_id,
            what_to_do=advice.for_answer(
                status=status,
                code=envelope.code,
                words=words,
                record=attempt.record,
                suiteql=attempt.suiteql,
                in_doubt=kind.in_doubt,
                where=attempt.where,
                names={each.ref: each.name for each in named},
            ),
            known=named,
        )
    )


def _kind(attempt: Attempt, status: int, envelope: Envelope, words: str) -> type[NetSuiteError]:
    codes = {envelope.code, *(detail.code for detail in envelope.details)}
    if status == 429 or codes & CONCURRENCY_CODES:
        return RateLimited
    if status == 401:
        return SignInFailed
    if status == 403 or (status == 400 and (_NO_PERMISSION.search(words) or _HIDDEN_TABLE.search(words))):
        return PermissionDenied
    if status == 404 and "NONEXISTENT_ID" in codes and not _UNKNOWN_TYPE.search(words):
        return NotFound
    if 400 <= status < 500 and status != 408:
        return Rejected
    return InDoubt if attempt.is_write else Unavailable


def no_answer(attempt: Attempt, cause: str) -> NetSuiteError:
    """The error for a request that was sent, or may have been, and got no whole answer."""
    kind = InDoubt if attempt.is_write else Unavailable
    return kind(
        Failure(
            attempted=attempt.title,
            said=redacted(cause),
            record=attempt.record,
            what_to_do=advice.for_silence(in_doubt=kind.in_doubt, record=attempt.record),
            known=known(attempt.subject, ()),
        )
    )


def unusable_answer(attempt: Attempt, status: int, body: bytes, request_id: str, why: str) -> NetSuiteError:
    """The error for an answer whose status promises success and whose content does not keep it."""
    kind = InDoubt if attempt.is_write else Unavailable
    return kind(
        Failure(
            attempted=attempt.title,
            status=status,
            said=f"{why} {_plain_text(body[:2_000])}".strip(),
            record=attempt.record,
            request_id=request_id,
            what_to_do=advice.for_silence(in_doubt=kind.in_doubt, record=attempt.record),
            known=known(attempt.subject, ()),
        )
    )


def not_connected(attempt: Attempt, cause: str) -> Unreachable:
    """The error for a connection that was never made."""
    return Unreachable(
        Failure(
            attempted=attempt.title,
            said=redacted(cause),
            record=attempt.record,
            what_to_do=advice.for_no_connection(attempt.where, loopback=attempt.loopback),
            known=known(attempt.subject, ()),
        )
    )


def past_deadline(attempt: Attempt, tried: Tried, *, sent: bool) -> NetSuiteError:
    """The error for an operation whose time was over. ``sent``: a try of it was under way and may have been acted on."""
    in_doubt, last = sent and attempt.is_write, tried.last
    times = f"{tried.tries} time{'' if tried.tries == 1 else 's'} in {_seconds(tried.seconds)}"
    told = (
        f"It was tried {times}, of {_seconds(tried.allowed)} allowed."
        if tried.tries
        else f"It waited {_seconds(tried.seconds)} for a free request of the account's quota and was not tried."
    )
    if not tried.answered:
        told += " The last try had no answer yet."
    if last is not None:
        told += f" The last failure: {last.headline}."
    failure = last.failure if last is not None else Failure("")
    what_to_do = advice.for_late(in_doubt=in_doubt, record=attempt.record)
    return (InDoubt if in_doubt else DeadlinePassed)(
        replace(
            failure,
            attempted=attempt.title,
            record=attempt.record,
            what_to_do=what_to_do,
            tried=told,
            known=failure.known or known(attempt.subject, ()),
        )
    )


def _seconds(seconds: float) -> str:
    return f"{seconds:.1f} seconds" if seconds < 10 else f"{seconds:.0f} seconds"
