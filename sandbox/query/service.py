"""The query service: SuiteQL's request rules, pages, and rows as strings."""

from __future__ import annotations

import re
import sqlite3
import time
from collections import OrderedDict
from decimal import Decimal
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from sandbox.auth.roles import REST, WORKBOOK, Session, allows
from sandbox.errors import (
    Refusal,
    invalid_content,
    invalid_parameter,
    invalid_url,
    method_not_allowed,
    nonexistent,
    role_lacks_permission,
)
from sandbox.query import datasets, dates, functions
from sandbox.query.dialect import unsupported
from sandbox.query.rows import Printer
from sandbox.query.shape import shape_of
from sandbox.query.translate import Translated, Translator
from sandbox.record import balances
from sandbox.record.collection import page_links, window
from sandbox.record.context import Context
from sandbox.sight import Sight
from sandbox.store.tables import BALANCE, OVERDUE, Table
from sandbox.wire import COLLECTION, Json, Request, Response, decode, json_response

ROOT = "/services/rest/query/v1"
_MOST_ROWS = 100_000
_LONGEST_SECONDS = 60.0
_KEPT = 256
_SERVER_ZONE = ZoneInfo("America/Los_Angeles")
_READABLE = ("display",)
_ASKS_TIME = re.compile(r"SYSDATE|SYSTIMESTAMP|CURRENT_", re.IGNORECASE)


class QueryService:
    def __init__(self, context: Context) -> None:
        self._context = context
        self._connection = context.database.open_reader()
        functions.register(self._connection)
        for place, name in enumerate((BALANCE, OVERDUE)):
            self._connection.create_function(name, 1, partial(self._owed, place))
        self._connection.execute("PRAGMA case_sensitive_like = 1")
        self._connection.set_authorizer(_authorize)
        self._connection.set_progress_handler(self._overdue, 100_000)
        self._deadline = float("inf")
        self._translations: OrderedDict[tuple[str, str, Sight, str], tuple[Translated, int]] = OrderedDict()
        """Each with the database's version when it was made."""
        self._counts: OrderedDict[tuple[Any, ...], int] = OrderedDict()
        profile = context.profile
        self._printer = Printer(profile.strftime_format, leading_zero=profile.switches.suiteql_leading_zero)

    def _owed(self, place: int, customer: int | None) -> float | None:
        """A customer's balance, or what of it is overdue."""
        if customer is None:
            return None
        return float(balances.of_customer(self._context, str(customer))[place])

    def close(self) -> None:
        self._connection.close()

    def handle(self, request: Request, session: Session) -> Response:
        """Answer a request under the query service's root; raises `Refusal`."""
        if not allows(session.role, REST, "full") or not allows(session.role, WORKBOOK, "edit"):
            raise role_lacks_permission()
        path = request.path.rstrip("/")
        if path == f"{ROOT}/dataset" or path.startswith(f"{ROOT}/dataset/"):
            return self._dataset(request, session, path.removeprefix(f"{ROOT}/dataset").strip("/"))
        if path != f"{ROOT}/suiteql":
            raise invalid_url(request.path)
        if request.method != "POST":
            raise method_not_allowed(request.method)
        if not request.prefers("transient"):
            code = self._context.profile.switches.missing_prefer_code
            text = "The required request header 'Prefer' is missing or invalid. It must be 'transient'."
            raise Refusal(400, code, text, pointer=("o:errorHeader", "Prefer"))
        query, parameters = _body(request)
        response = json_response(self._page(request, session, query, parameters, "suiteql"), COLLECTION)
        response.headers.append((b"preference-applied", b"transient"))
        return response

    def _dataset(self, request: Request, session: Session, rest: str) -> Response:
        """The account's datasets, or the result of one: the rows of the SuiteQL that it amounts to."""
        if request.method != "GET":
            raise method_not_allowed(request.method)
        every = self._context.profile.datasets
        identifier, _, what = rest.partition("/")
        if not rest:
            return json_response(datasets.page(every, request), COLLECTION)
        found = next((one for one in every if one.id.lower() == identifier.lower()), None)
        if what != "result":
            raise invalid_url(request.path)
        if found is None:
            raise nonexistent()
        content = self._page(request, session, found.query, [], f"dataset/{identifier}/result")
        return json_response(content, COLLECTION)

    def _page(
        self, request: Request, session: Session, query: str, parameters: list[Json], path: str
    ) -> Json:
        """One page of a query's rows; `path` is the service's part of the links."""
        limit, offset = window(request)
        shape, numbers = shape_of(query)
        translated = self._translated(shape, len(numbers), session)
        if translated.parameters != len(parameters):
            raise unsupported()
        # A query has parameters of its own or such numbers, never both.
        parameters = parameters or numbers
        rows = self._rows(translated, parameters, limit, offset) if offset < _MOST_ROWS else []
        end = offset + len(rows)
        if rows and (len(rows) < limit or end == translated.most):
            total = end
        elif not rows and offset == 0:
            total = 0
        else:
            total = self._count(translated, parameters)
        items = self._printer.items(translated.names, translated.columns, rows)
        switches = self._context.profile.switches
        reachable = total if switches.suiteql_cap_has_more else min(total, _MOST_ROWS)
        own = {"rel": "self", "href": request.url, "method": request.method}
        base = f"{request.base}{ROOT}/{path}"
        return {
            "links": page_links(base, [], limit, offset, reachable, own, switches.suiteql_buggy_last_link),
            "count": len(items),
            "hasMore": offset + limit < reachable,
            "items": items,
            "offset": offset,
            "totalResults": total,
        }

    def _translated(self, query: str, numbers: int, session: Session) -> Translated:
        now = self._context.clock.now().astimezone(_SERVER_ZONE)
        # SYSDATE is part of the translation: a query that does not ask for it is kept for good.
        stamp = dates.stored(now.replace(tzinfo=None)) if _ASKS_TIME.search(query) else ""
        key = (query, session.role.id, session.sight, stamp)
        version = self._context.database.version
        found = self._translations.get(key)
        if found is not None and (found[0].lasting or found[1] == version):
            return found[0]
        translator = Translator(
            self._context.database.tables,
            lambda table: _visible(table, session),
            lambda sql: int(self._run(sql, [])[0][0]),
            role=session.role.id,
            sight=session.sight,
            date_format=self._context.profile.date_format,
            precision=max(currency.precision for currency in self._context.profile.currencies),
            zone=self._context.profile.timezone,
            now=stamp,
            numbers=numbers,
        )
        try:
            translated = translator.translate(query)
        except RecursionError as error:
            raise unsupported() from error
        self._translations[key] = translated, version
        if len(self._translations) > _KEPT:
            self._translations.popitem(last=False)
        return translated

    def _rows(self, translated: Translated, parameters: list[Json], limit: int, offset: int) -> list[Any]:
        if translated.limit:
            sql = f"SELECT * FROM ({translated.whole}) LIMIT {limit} OFFSET {offset}"
        else:
            sql = (
                f"{translated.sql}{self._page_order(translated, limit, offset)} LIMIT {limit} OFFSET {offset}"
            )
        return self._run(sql, parameters)

    def _page_order(self, translated: Translated, limit: int, offset: int) -> str:
        """The order of one page. Ties of an order that is not unique fall otherwise on each page, as NetSuite's may."""
        unstable = self._context.profile.switches.suiteql_unstable_pages
        if not unstable or translated.unique_order or not translated.scatter or offset == 0:
            return translated.order
        page = offset // limit
        disorder = f"(({translated.scatter}) * 7919 + {page * 104729}) % 1009"
        return f"{translated.order}, {disorder}" if translated.order else f" ORDER BY {disorder}"

    def _count(self, translated: Translated, parameters: list[Json]) -> int:
        key = (translated.sql, translated.limit, tuple(parameters), self._context.database.version)
        found = self._counts.get(key)
        if found is None:
            inner = f"{translated.sql}{translated.limit}"
            found = int(self._run(f"SELECT count(*) FROM ({inner})", parameters)[0][0])
            self._counts[key] = found
            if len(self._counts) > _KEPT:
                self._counts.popitem(last=False)
        return found

    def _run(self, sql: str, parameters: list[Json]) -> list[Any]:
        self._deadline = time.monotonic() + _LONGEST_SECONDS
        try:
            return self._connection.execute(sql, parameters).fetchall()
        except sqlite3.Error as error:
            # A conversion that fails in a row, an expression too deep, a query that takes too long.
            raise unsupported() from error
        finally:
            self._deadline = float("inf")

    def _overdue(self) -> int:
        return int(time.monotonic() > self._deadline)


def _visible(table: Table, session: Session) -> bool:
    return table.permission is None or allows(session.role, table.permission, "view")


def _body(request: Request) -> tuple[str, list[Json]]:
    try:
        content = decode(request.body)
    except msgspec.DecodeError as error:
        raise invalid_content(
            f"Invalid content in the request body. The body is not valid JSON: {error}"
        ) from error
    query = content.get("q") if isinstance(content, dict) else None
    if not isinstance(query, str) or not query.strip():
        raise invalid_parameter("Invalid search query. The query 'q' is missing.", "q")
    parameters = content.get("params") or []
    if not isinstance(parameters, list) or any(isinstance(p, dict | list) for p in parameters):
        raise invalid_parameter(
            "Invalid search query. The parameters 'params' must be a list of values.", "params"
        )
    return query, [_bound(parameter) for parameter in parameters]


def _bound(parameter: Json) -> Json:
    if isinstance(parameter, bool):
        return "T" if parameter else "F"
    if isinstance(parameter, Decimal):
        return float(parameter)
    return parameter or None if isinstance(parameter, str) else parameter


def _authorize(
    action: int, first: str | None, second: str | None, database: str | None, trigger: str | None
) -> int:
    """The second wall: whatever the translator emits, only the account's query tables can be read."""
    if action in (sqlite3.SQLITE_SELECT, sqlite3.SQLITE_FUNCTION):
        return sqlite3.SQLITE_OK
    if (
        action == sqlite3.SQLITE_READ
        and first is not None
        and (first.startswith("q_") or first in _READABLE or first == "")
    ):
        return sqlite3.SQLITE_OK
    return sqlite3.SQLITE_DENY
