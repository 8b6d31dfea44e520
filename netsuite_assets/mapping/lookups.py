"""What a value is looked up in, as SQL: relations with one row a key, to be joined with all rows at once.

Here: NetSuite's lists, its accounting periods by day, and the records that the mapping itself makes. Not here: which
value is looked up (`sql.py`).

Of a list's active rows the first way to match that finds any counts: by internal id, external id, number, name, or as
the rule says. Where several rows match, those of the record's own subsidiary, or of none, come before the others; if
several are left, the answer is ambiguous.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

from netsuite_assets.mapping.conditions import condition_sql
from netsuite_assets.mapping.currencies import PLACES
from netsuite_assets.mapping.model import HOW, ExternalId, Lookup, OwnRecord, Source
from netsuite_assets.mapping.paths import MONTH
from netsuite_assets.mapping.rows import of_month
from netsuite_assets.mapping.values import as_text
from resources.warehouse import literal, quote

_MATCHED: Final = {how: number for number, how in HOW.items()}

_BY_SUBSIDIARY: Final = ("account", "department", "classification", "location")
_CUSTOM: Final = ("cseg_", "customrecord_")


def has_subsidiaries(lookup: Lookup) -> bool:
    """Whether the rows of a list may belong to subsidiaries."""
    return lookup.list_name in _BY_SUBSIDIARY or lookup.list_name.startswith(_CUSTOM)


def list_relation(name: str, lookup: Lookup, *, scoped: bool) -> Iterable[str]:
    """Relation `name` (key, id, answers, how): the answers of the first way to match that has any.

    With `scoped` it also has `scopes`: where several rows match in some way and any belongs to a subsidiary, a map of
    subsidiary to the answer within it; the key '' stands for all that are not named.
    """
    keys = " UNION ALL ".join(
        f"SELECT lower(trim({quote(column)})) AS key, internal_id, subsidiary, {rank} AS rank, {_MATCHED[column]} AS how"
        f" FROM netsuite.reference WHERE list = {literal(lookup.list_name)} AND is_inactive IS NOT TRUE"
        for rank, column in enumerate(lookup.by)
    )
    answer = "min(internal_id) AS id, count(DISTINCT internal_id) AS answers, min(how) AS how"
    if not scoped:
        yield f"""{name} AS MATERIALIZED (
            SELECT key, {answer}
            FROM (SELECT *, min(rank) OVER (PARTITION BY key) AS best FROM ({keys}) WHERE key <> '')
            WHERE rank = best GROUP BY key)"""
        return
    yield f"""{name}_keys AS MATERIALIZED (SELECT * FROM ({keys}) WHERE key <> '')"""
    # Which rows count within each subsidiary that any of a key's rows names, and ('') within the others.
    yield f"""{name}_scopes AS MATERIALIZED (
        WITH several AS (
            SELECT key FROM {name}_keys GROUP BY key HAVING count(DISTINCT internal_id) > 1 AND count(subsidiary) > 0),
        parts AS (
            SELECT key, internal_id, rank, how, trim(unnest(string_split(coalesce(subsidiary, ''), ','))) AS part
            FROM {name}_keys SEMI JOIN several USING (key)),
        within AS (
            SELECT DISTINCT scopes.key, scopes.part AS scope, rows.internal_id, rows.rank, rows.how
            FROM (SELECT DISTINCT key, part FROM parts UNION SELECT key, '' FROM several) AS scopes
            JOIN parts AS rows ON rows.key = scopes.key AND (rows.part = scopes.part OR rows.part = '')),
        best AS (SELECT *, min(rank) OVER (PARTITION BY key, scope) AS best FROM within)
        SELECT key, map(list(scope), list(answer)) AS scopes FROM (
            SELECT key, scope, {{'id': min(internal_id), 'answers': count(DISTINCT internal_id), 'how': min(how)}} AS answer
            FROM best WHERE rank = best GROUP BY key, scope) GROUP BY key)"""
    yield f"""{name} AS MATERIALIZED (
        SELECT key, {answer}, any_value({name}_scopes.scopes) AS scopes
        FROM (SELECT *, min(rank) OVER (PARTITION BY key) AS best FROM {name}_keys)
        LEFT JOIN {name}_scopes USING (key) WHERE rank = best GROUP BY key)"""


def periods_relation(name: str) -> str:
    """Relation `name` (key, id, answers, how): each day, and the accounting period that contains it."""
    return f"""{name} AS MATERIALIZED (
        SELECT key, min(internal_id) AS id, count(DISTINCT internal_id) AS answers, {_MATCHED["date"]} AS how
        FROM (SELECT internal_id, unnest(range(start_date, end_date + 1, INTERVAL 1 DAY))::DATE AS key
            FROM netsuite.periods WHERE start_date <= end_date) GROUP BY key)"""


def own_relation(name: str, own: OwnRecord) -> str:
    """Relation `name` (id, external_id, is_expected): the records that the mapping makes of one billing row each."""
    expected = "true" if own.condition is None else condition_sql(own.condition, own_value)
    customers = ""
    if own.condition is not None and any(source.alias == "c" for source in own.condition.sources):
        customers = " LEFT JOIN billing.customers AS c ON c.id = d.customer_id"
    return (
        f"{name} AS NOT MATERIALIZED (SELECT d.id, {template(own.external_id.parts, own_value)} AS external_id,"
        f" {expected} AS is_expected FROM billing.{quote(own.table)} AS d{customers})"
    )


def own_value(source: Source) -> str:
    """SQL of a billing value in `own_relation`."""
    if source.column in MONTH:
        return of_month(source.column, source.alias)
    if source.pointer is not None:
        return f"nullif(TRY(json_extract_string({source.alias}.metadata, {literal(source.pointer)})), '')"
    column = f"{source.alias}.{quote(source.column)}"
    return f"nullif({column}, '')" if source.kind == "text" else column


def from_id(external_id: ExternalId, id_sql: str) -> str:
    """SQL of an external id that is made of nothing but the billing id."""
    pieces = [literal(part) if isinstance(part, str) else id_sql for part in external_id.parts]
    return f"({' || '.join(pieces)})"


def places_relation(name: str, precision: Mapping[str, int]) -> str:
    """Relation `name` (code, digits): the decimal places of currencies, with a tenant's own."""
    rows = ", ".join(f"({literal(code)}, {digits})" for code, digits in {**PLACES, **precision}.items())
    return f"{name} AS MATERIALIZED (SELECT * FROM (VALUES {rows}) AS known(code, digits))"


def template(parts: Sequence[str | Source], value: Callable[[Source], str]) -> str:
    """SQL of a filled template; NULL when any of its values is: half a text would be a wrong one."""
    pieces = [literal(part) if isinstance(part, str) else as_text(value(part), part.kind) for part in parts]
    return f"({' || '.join(pieces)})" if pieces else "NULL::VARCHAR"
