"""Collections: pages of ids with NetSuite's own paging links."""

from __future__ import annotations

from sandbox.errors import invalid_parameter
from sandbox.record import filters
from sandbox.record.context import Context
from sandbox.record.schema import RecordType
from sandbox.sight import Sight
from sandbox.wire import Json, Request, query_of

_LARGEST_PAGE = 1000
_MOST_PAGES = 1000


def window(request: Request) -> tuple[int, int]:
    """`limit` and `offset` of a request, checked."""
    query = request.query
    numbers: list[int] = []
    for name, default in (("limit", _LARGEST_PAGE), ("offset", 0)):
        text = query.get(name, str(default))
        if not text.isdigit():
            raise invalid_parameter(f"Invalid value '{text}' for the query parameter '{name}'.", name)
        numbers.append(int(text))
    limit, offset = numbers
    if not 1 <= limit <= _LARGEST_PAGE:
        raise invalid_parameter(f"The limit must be between 1 and {_LARGEST_PAGE}.", "limit")
    if offset % limit:
        raise invalid_parameter("The offset must be divisible by the limit.", "offset")
    return limit, offset


def page_links(
    base: str,
    others: list[tuple[str, str]],
    limit: int,
    offset: int,
    total: int,
    self_link: dict[str, str],
    buggy_last: bool,
) -> list[Json]:
    """previous, first, next, last, self; only `self` on a single page."""

    def to(rel: str, at: int) -> dict[str, str]:
        return {
            "rel": rel,
            "href": f"{base}?{query_of([*others, ('limit', str(limit)), ('offset', str(at))])}",
        }

    links: list[Json] = []
    pages = -(-total // limit)
    if offset > 0:
        links += [to("previous", offset - limit), to("first", 0)]
    if offset + limit < total:
        # Production prints a wrong last page: the page count taken for rows.
        last = (pages - 1) // limit * limit if buggy_last else (pages - 1) * limit
        links += [to("next", offset + limit), to("last", last)]
    return [*links, self_link]


def page(context: Context, request: Request, record_type: RecordType, called: str, sight: Sight) -> Json:
    """One page of the ids that the caller sees."""
    limit, offset = window(request)
    source, values = "FROM record AS r WHERE r.type = ?", list[object]((record_type.name,))
    if request.query.get("q"):
        where, bound = filters.condition(context, record_type, request.query["q"])
        table = context.database.tables[record_type.table].physical
        source = f'FROM record AS r JOIN "{table}" AS t ON t.id = r.id WHERE r.type = ? AND {where}'
        values = [record_type.name, *bound]
    if seen := sight.record(record_type.space, "r.id"):
        source = f"{source} AND {seen}"
    connection = context.database.connection
    total = min(connection.execute(f"SELECT count(*) {source}", values).fetchone()[0], limit * _MOST_PAGES)
    # No order is promised, and none is kept: ids come scattered, but the same way for every page.
    rows = connection.execute(
        f"SELECT r.id {source} ORDER BY r.id % 7, r.id LIMIT ? OFFSET ?", (*values, limit, offset)
    ).fetchall()
    base = f"{request.records}/{record_type.name.lower()}"
    others = [(key, value) for key, value in request.query_pairs if key not in ("limit", "offset")]
    query = f"?{request.query_string}" if request.query_string else ""
    own = {"rel": "self", "href": f"{request.records}/{called}{query}", "method": "GET"}
    return {
        "links": page_links(base, others, limit, offset, total, own, buggy_last=True),
        "count": len(rows),
        "hasMore": offset + limit < total,
        "items": [
            {"links": [{"rel": "self", "href": f"{base}/{row[0]}"}], "id": str(row[0])} for row in rows
        ],
        "offset": offset,
        "totalResults": total,
    }
