"""Requests and responses as values, NetSuite's JSON, media types and standing headers. No routing, no meaning."""

from __future__ import annotations

import uuid
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qsl, quote

import msgspec

Json = Any
"""A decoded JSON value; fractions are Decimal, never float."""

SINGULAR = b"application/vnd.oracle.resource+json; type=singular; charset=UTF-8"
COLLECTION = b"application/vnd.oracle.resource+json; type=collection; charset=UTF-8"
ERROR = b"application/vnd.oracle.resource+json; type=error; charset=UTF-8"
JSON = b"application/json; charset=UTF-8"

_encoder = msgspec.json.Encoder(decimal_format="number")
_decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(float_hook=Decimal)
_GZIP_FROM = 150
"""Bytes below which compression only costs."""

_STANDING: list[tuple[bytes, bytes]] = [
    (b"cache-control", b"No-Cache"),
    (b"pragma", b"No-Cache"),
    (b"expires", b"0"),
    (b"strict-transport-security", b"max-age=31536000"),
    (b"vary", b"User-Agent, Accept-Encoding"),
    (b"x-content-type-options", b"nosniff"),
]


def encode(value: Json) -> bytes:
    return _encoder.encode(value)


def decode(body: bytes | str) -> Json:
    """Decode JSON with exact numbers; raises `msgspec.DecodeError`."""
    return _decoder.decode(body)


@dataclass(slots=True)
class Request:
    method: str
    path: str
    """Decoded path below the account, e.g. `/services/rest/record/v1/customer/647`."""
    raw_path: str
    """The whole path as sent, percent-encoded, with the account's prefix."""
    query_string: str
    headers: dict[str, str]
    """Names in lower case."""
    body: bytes
    scheme: str
    host: str
    prefix: str
    """`/1234567-sb1` for callers that name the account in the path, else empty."""
    client: str = "127.0.0.1"
    warnings: list[str] = field(default_factory=list)
    """Notes for the warning headers of the answer."""
    incidents: list[str] = field(default_factory=list)
    """Kinds of the faults that changed the account before this request was answered."""
    after_answer: list[Callable[[], None]] = field(default_factory=list)
    """What happens once the answer is on its way, whether or not it arrives."""

    @property
    def base(self) -> str:
        """Scheme, host and prefix as the caller reached them; every link begins with it."""
        return f"{self.scheme}://{self.host}{self.prefix}"

    @property
    def records(self) -> str:
        return self.base + "/services/rest/record/v1"

    @property
    def url(self) -> str:
        """The whole URL as sent."""
        query = f"?{self.query_string}" if self.query_string else ""
        return f"{self.scheme}://{self.host}{self.raw_path}{query}"

    @property
    def query_pairs(self) -> list[tuple[str, str]]:
        return parse_qsl(self.query_string, keep_blank_values=True) if self.query_string else []

    @property
    def query(self) -> dict[str, str]:
        return dict(self.query_pairs) if self.query_string else {}

    def flag(self, name: str) -> bool:
        return self.query_string != "" and self.query.get(name, "").lower() == "true"

    def names(self, parameter: str) -> list[str]:
        """A comma list parameter, in order."""
        if not self.query_string:
            return []
        return [name.strip() for name in self.query.get(parameter, "").split(",") if name.strip()]

    def prefers(self, token: str) -> bool:
        return any(part.strip().lower() == token for part in self.headers.get("prefer", "").split(","))

    def preference(self, name: str) -> str:
        """The value of a preference such as `batch-processing="parallel"`, in lower case; empty without it."""
        for part in self.headers.get("prefer", "").split(","):
            key, _, value = part.partition("=")
            if key.strip().lower() == name:
                return value.strip().strip('"').lower()
        return ""


@dataclass(slots=True)
class Response:
    status: int
    body: bytes = b""
    content_type: bytes | None = None
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    standing: bool = True
    """Carries the headers of every REST answer."""

    def add_warnings(self, request: Request) -> None:
        """Put a successful request's notes into the warning headers."""
        if request.warnings and self.status < 300:
            note = " ".join(request.warnings).encode("latin-1", "replace").replace(b"\n", b" ")
            self.headers += [(b"x-netsuite-propertyvalidation", note), (b"x-netsuite-warning", note)]

    def wire_headers(self, accept_encoding: str, compress: bool) -> list[tuple[bytes, bytes]]:
        """The headers to send; compresses the body in place when the caller accepts it."""
        headers = list(self.headers)
        if self.content_type is not None:
            headers.append((b"content-type", self.content_type))
        if self.standing:
            headers += _STANDING
            headers.append((b"x-netsuite-jobid", str(uuid.uuid4()).encode()))
            headers.append((b"x-n-operationid", str(uuid.uuid4()).encode()))
        if compress and len(self.body) >= _GZIP_FROM and "gzip" in accept_encoding:
            packer = zlib.compressobj(1, zlib.DEFLATED, 31)
            self.body = packer.compress(self.body) + packer.flush()
            headers.append((b"content-encoding", b"gzip"))
        if self.status != 204:
            headers.append((b"content-length", str(len(self.body)).encode()))
        return headers


def json_response(value: Json, content_type: bytes = SINGULAR, status: int = 200) -> Response:
    return Response(status, encode(value), content_type)


def no_content(location: str | None = None) -> Response:
    headers = [(b"location", location.encode("latin-1"))] if location else []
    return Response(204, headers=headers)


def link(rel: str, href: str) -> dict[str, str]:
    return {"rel": rel, "href": href}


def query_of(pairs: Iterable[tuple[str, str]]) -> str:
    """A query string with %20 for spaces, as NetSuite prints its links."""
    return "&".join(f"{quote(key, safe='')}={quote(value, safe='')}" for key, value in pairs)


def number(value: Decimal) -> Decimal:
    """A Decimal that prints as NetSuite's doubles do: `1320.0`, `12.5`, never `1.32E+3`."""
    if value == value.to_integral_value():
        return value.quantize(Decimal("0.1"))
    return Decimal(format(value.normalize(), "f"))
