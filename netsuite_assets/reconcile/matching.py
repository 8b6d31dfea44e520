"""Documents that no external id joins, matched in passes: which of both sides belong together, and by what.

Here: the passes over what is left unmatched. Not here: what is said of it (`matched.py`), customers
(`matching_customers.py`), or the search for groups (`matching_groups.py`).

In this order: the internal id that the document had when its external id last joined it; the document number; rules
over customer, currency, amount and date, by which PO number and memo tell candidates apart; and groups. Each pass looks
at what the earlier ones left. Two that fit are a guess, and no pass makes one: they are undecided, and so is a single
one that does not fit well enough. The order of the rows does not matter.

Read are the temporary tables `unmatched_billed` and `unmatched_held` (`UNMATCHED`) and `known_ids`. Made are:

- `matches` (billed_row, held_row, matched_by, evidence): pairs.
- `undecided` (billed_row, held_row, evidence, score): candidates, none of which was taken.
- `crowded` (side, row_no, billed, held): rows that were given up, for so many on both sides are alike.
- `grouped` (group_no, side, row_no): groups that add up to the same.
"""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Final

from netsuite_assets.reconcile.matching_groups import Limits, Unmatched, find_groups
from resources.tenants.matching import DocumentMatching
from resources.warehouse import TenantWarehouse

#: The columns of both tables of unmatched documents. `ref` is the value of the field that carries billing's own number,
#: `customer` is as NetSuite's documents name it, `internal_id` is NetSuite's.
UNMATCHED: Final = {
    "row_no": "BIGINT",
    "external_id": "VARCHAR",
    "internal_id": "VARCHAR",
    "number": "VARCHAR",
    "ref": "VARCHAR",
    "customer": "VARCHAR",
    "currency": "VARCHAR",
    "total": "DECIMAL(18,4)",
    "day": "DATE",
    "po": "VARCHAR",
    "memo": "VARCHAR",
}

#: A candidate is taken from this score on, and where no other of either side comes within the margin; one that never
#: had another on either side, from the lower score on. With another PO number on each side, none is.
SCORE: Final = 650
ALONE: Final = 500
MARGIN: Final = 100
#: Pairs of one customer, currency and amount that are looked at; beyond, nothing tells them apart.
CROWD: Final = 10_000

_RULES: Final = Path(__file__).with_name("matching_rules.sql").read_text(encoding="utf-8")
_ROUNDS: Final = 50


def match_documents(warehouse: TenantWarehouse, settings: DocumentMatching) -> None:
    """Match what is unmatched, by the passes that the settings name; the tables are said above."""
    run = warehouse.connection.execute
    run("""
        CREATE OR REPLACE TEMP TABLE matches (
            billed_row BIGINT, held_row BIGINT, matched_by VARCHAR, evidence VARCHAR);
        CREATE OR REPLACE TEMP TABLE undecided (billed_row BIGINT, held_row BIGINT, evidence VARCHAR, score INTEGER);
        CREATE OR REPLACE TEMP TABLE crowded (side VARCHAR, row_no BIGINT, billed BIGINT, held BIGINT);
        CREATE OR REPLACE TEMP TABLE grouped (group_no INTEGER, side VARCHAR, row_no BIGINT);
    """)
    tolerance = int(settings.amount * 10_000)
    _prepare(warehouse)
    if "internal_id" in settings.passes:
        _open(warehouse)
        _propose(warehouse, "internal_id", _BY_INTERNAL_ID)
    if "number" in settings.passes:
        _open(warehouse)
        _propose(warehouse, "number", _BY_NUMBER.format(tolerance=tolerance))
    if "rules" in settings.passes:
        _open(warehouse)
        _rules(warehouse, settings, tolerance)
    if "groups" in settings.passes:
        _open(warehouse)
        _groups(warehouse, Limits(settings.days, tolerance, settings.group_size))


def _prepare(warehouse: TenantWarehouse) -> None:
    """Make `plain_billed` and `plain_held`: what is unmatched, with its values as they are compared."""
    for side in ("billed", "held"):
        warehouse.connection.execute(rf"""
            CREATE OR REPLACE TEMP TABLE plain_{side} AS
            SELECT *, (total::DECIMAL(38, 4) * 10000)::BIGINT AS units,
                {_plain("number")} AS plain, {_plain("ref")} AS plain_ref, {_plain("po")} AS plain_po,
                nullif(list_filter(
                    string_split_regex(lower(u.memo), '[^\p{{L}}\p{{N}}]+'), lambda x: x <> ''), []) AS plain_memo
            FROM (SELECT * REPLACE (coalesce(total, 0) AS total, nullif(trim(ref), '') AS ref)
                FROM unmatched_{side}) u
        """)


def _open(warehouse: TenantWarehouse) -> None:
    """Make `open_billed` and `open_held`: what no pass has used up yet."""
    for side in ("billed", "held"):
        warehouse.connection.execute(f"""
            CREATE OR REPLACE TEMP TABLE open_{side} AS
            SELECT * FROM plain_{side} u
            WHERE NOT EXISTS (SELECT 1 FROM matches m WHERE m.{side}_row = u.row_no)
                AND NOT EXISTS (SELECT 1 FROM undecided m WHERE m.{side}_row = u.row_no)
                AND NOT EXISTS (SELECT 1 FROM crowded m WHERE m.side = '{side}' AND m.row_no = u.row_no)
        """)


def _plain(column: str) -> str:
    """SQL for a number without what people write in between: PO-778, po 778 and PO778 are one."""
    return rf"nullif(regexp_replace(upper(u.{column}), '[^\p{{L}}\p{{N}}]', '', 'g'), '')"


_BY_INTERNAL_ID: Final = """
    SELECT b.row_no AS billed_row, h.row_no AS held_row, true AS sure,
        'known from before by the internal id ' || h.internal_id AS evidence
    FROM open_billed b JOIN known_ids k ON k.external_id = b.external_id
    JOIN open_held h ON h.internal_id = k.internal_id
"""

#: A number of billing's own in its field may only be somebody else's number, so something else must agree too. That
#: NetSuite numbered another document by itself as billing numbers this one says nothing.
_BY_NUMBER: Final = """
    SELECT billed_row, held_row, same_customer OR same_amount AS sure,
        concat_ws(', ', 'it bears the number ' || number, CASE WHEN same_customer THEN 'the same customer'
            ELSE 'another customer' END, CASE WHEN same_amount THEN 'the same amount' ELSE 'another amount' END) AS evidence
    FROM (
        SELECT b.row_no AS billed_row, h.row_no AS held_row, b.number, true AS in_field,
            b.customer IS NOT NULL AND h.customer IS NOT DISTINCT FROM b.customer AS same_customer,
            h.currency IS NOT DISTINCT FROM b.currency AND abs(h.units - b.units) <= {tolerance} AS same_amount
        FROM open_billed b JOIN open_held h ON h.ref IS NOT NULL AND h.plain_ref = b.plain
        UNION ALL
        SELECT b.row_no, h.row_no, b.number, false,
            b.customer IS NOT NULL AND h.customer IS NOT DISTINCT FROM b.customer,
            h.currency IS NOT DISTINCT FROM b.currency AND abs(h.units - b.units) <= {tolerance}
        FROM open_billed b JOIN open_held h ON h.plain = b.plain AND h.ref IS NULL)
    WHERE in_field OR same_customer OR same_amount
"""


def _propose(warehouse: TenantWarehouse, matched_by: str, pairs: str) -> None:
    """Take the proposed pairs of which neither has another; the others are undecided."""
    run = warehouse.connection.execute
    run(f"""
        CREATE OR REPLACE TEMP TABLE proposed AS
        SELECT *, sure AND count(*) OVER (PARTITION BY billed_row) = 1
            AND count(*) OVER (PARTITION BY held_row) = 1 AS taken
        FROM ({pairs})
    """)
    run(
        f"INSERT INTO matches SELECT billed_row, held_row, '{matched_by}', evidence FROM proposed WHERE taken"
    )
    run("INSERT INTO undecided SELECT billed_row, held_row, evidence, 1000 FROM proposed WHERE NOT taken")


def _rules(warehouse: TenantWarehouse, settings: DocumentMatching, tolerance: int) -> None:
    run = warehouse.connection.execute

    def either(name: str, kind: str) -> dict[str, str]:
        used = name in settings.evidence
        return {
            f"{name}_{side}": f"{side[0]}.plain_{name}" if used else f"NULL::{kind}"
            for side in ("billed", "held")
        }

    run(
        _RULES.format(
            tolerance=tolerance,
            width=max(tolerance, 1),
            buckets="at_bucket - 1, at_bucket, at_bucket + 1" if tolerance else "at_bucket",
            crowd=CROWD,
            days=settings.days,
            **either("po", "VARCHAR"),
            **either("memo", "VARCHAR[]"),
        )
    )
    # Those of which each is clearly the other's best; when these are gone, others may be.
    best = "SELECT {0}, max(score) AS score, list_sort(max(score, 2), 'DESC')[2] AS second FROM alike GROUP BY {0}"
    for _ in range(_ROUNDS):
        run(f"""
            CREATE OR REPLACE TEMP TABLE taken AS
            SELECT a.billed_row, a.held_row FROM alike a
            JOIN ({best.format("billed_row")}) b ON b.billed_row = a.billed_row AND b.score = a.score
            JOIN ({best.format("held_row")}) h ON h.held_row = a.held_row AND h.score = a.score
            WHERE a.score >= CASE WHEN a.alone THEN {ALONE} ELSE {SCORE} END AND a.po IS DISTINCT FROM 0
                AND a.score - coalesce(b.second, 0) >= {MARGIN} AND a.score - coalesce(h.second, 0) >= {MARGIN}
        """)
        if not warehouse.value("SELECT count(*) FROM taken"):
            break
        run(
            f"INSERT INTO matches SELECT billed_row, held_row, 'rules', {_EVIDENCE}"
            " FROM alike JOIN taken USING (billed_row, held_row)"
        )
        run("""
            CREATE OR REPLACE TEMP TABLE alike AS SELECT * FROM alike
            WHERE billed_row NOT IN (SELECT billed_row FROM taken) AND held_row NOT IN (SELECT held_row FROM taken)
        """)
    run(f"INSERT INTO undecided SELECT billed_row, held_row, {_EVIDENCE}, score FROM alike")


_EVIDENCE: Final = """concat_ws(', ', 'the same customer and currency',
    CASE WHEN apart = 0 THEN 'the same amount'
        ELSE rtrim(rtrim((abs(apart)::DECIMAL(24,0) * 0.0001)::VARCHAR, '0'), '.')
            || CASE WHEN apart > 0 THEN ' more' ELSE ' less' END END,
    CASE WHEN later = 0 THEN 'the same day' ELSE abs(later) || CASE WHEN abs(later) = 1 THEN ' day ' ELSE ' days ' END
        || CASE WHEN later > 0 THEN 'later' ELSE 'earlier' END END,
    CASE WHEN po = 100 THEN 'the same PO number' WHEN po > 0 THEN 'a similar PO number'
        WHEN po IS NOT NULL THEN 'another PO number' END,
    CASE WHEN memo = 100 THEN 'the same memo' WHEN memo >= 50 THEN 'a similar memo'
        WHEN memo IS NOT NULL THEN 'another memo' END)"""


def _groups(warehouse: TenantWarehouse, limits: Limits) -> None:
    """Look for groups, customer by customer."""
    by_customer: dict[tuple[str, str], tuple[list[Unmatched], list[Unmatched]]] = defaultdict(
        lambda: ([], [])
    )
    for place, (side, other) in enumerate((("billed", "held"), ("held", "billed"))):
        for customer, currency, day, row, units in warehouse.sql(f"""
            SELECT customer, currency, day, row_no, units FROM open_{side} o
            WHERE customer IS NOT NULL AND day IS NOT NULL AND units <> 0 AND EXISTS (
                SELECT 1 FROM open_{other} x WHERE x.customer = o.customer AND x.currency = o.currency)
            ORDER BY customer, currency, day, row_no
        """):
            by_customer[customer, currency][place].append(Unmatched(day.toordinal(), row, units))
    run = warehouse.connection.execute
    group_no = 0
    for billed, held in by_customer.values():
        found = find_groups(billed, held, limits)
        for group in found.certain:
            group_no += 1
            for side, members in (("billed", group.billed), ("held", group.held)):
                run("INSERT INTO grouped SELECT ?, ?, unnest(?::BIGINT[])", [group_no, side, list(members)])
        if found.undecided:
            run(
                "INSERT INTO undecided SELECT unnest(?::BIGINT[]), unnest(?::BIGINT[]),"
                " 'together with others it may add up to the same', 0",
                [[b for b, _ in found.undecided], [h for _, h in found.undecided]],
            )
        for side, rows in (("billed", found.given_up_billed), ("held", found.given_up_held)):
            if rows:
                run(
                    "INSERT INTO crowded SELECT ?, unnest(?::BIGINT[]), ?, ?",
                    [side, rows, len(billed), len(held)],
                )
