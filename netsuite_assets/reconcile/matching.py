"""Documents that no external id joins, matched in passes: which of both sides belong together, and by what.

Here: the passes over what is left unmatched. Not here: what is said of it (`matched.py`), customers
(`matching_customers.py`), or the search for groups (`matching_groups.py`).

In this order: the internal id that the document had when its external id last joined it; the document number; rules
over customer, currency, amount and date; and groups. Each pass takes of what the earlier ones left. No pass guesses: a
second candidate of either document makes both undecided, also where an earlier pass left that one undecided, and so
does a single one that does not fit well enough. Among several candidates the rules take one only by a key: a PO number
or memo that is exactly the same, and that no other candidate and no other document of the month has. Nor is what is
then left taken because the others are gone. The order of the rows does not matter.

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

from netsuite_assets.mapping.currencies import PLACES
from netsuite_assets.reconcile.matching_groups import Limits, Unmatched, find_groups
from resources.tenants.matching import DocumentMatching
from resources.warehouse import TenantWarehouse

#: The columns of both tables of unmatched documents. `ref` is the value of the field that carries billing's own number,
#: `customer` is as NetSuite's documents name it, `internal_id` is NetSuite's. `po_borne` and `memo_borne` are how many
#: documents of that side's month bear the PO number and the memo: what more than one bears is no key.
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
    "po_borne": "BIGINT",
    "memo_borne": "BIGINT",
}

#: The only candidate of both documents is taken from this score on.
ALONE: Final = 500
#: Pairs of one customer, currency and amount that are looked at; beyond, nothing tells them apart.
CROWD: Final = 10_000

_RULES: Final = Path(__file__).with_name("matching_rules.sql").read_text(encoding="utf-8")


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
        propose(warehouse, "internal_id", BY_INTERNAL_ID)
    if "number" in settings.passes:
        propose(warehouse, "number", _BY_NUMBER.format(tolerance=tolerance))
    if "rules" in settings.passes:
        _rules(warehouse, settings, tolerance)
    if "groups" in settings.passes:
        _groups(warehouse, settings, tolerance)


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


def open_sides(warehouse: TenantWarehouse) -> None:
    """Make `open_billed` and `open_held`: what no pass has taken yet. What is `doubtful` is undecided or was given up: it
    is taken no more, but is a candidate still.
    """
    for side in ("billed", "held"):
        warehouse.connection.execute(f"""
            CREATE OR REPLACE TEMP TABLE open_{side} AS
            SELECT u.*, u.row_no IN (
                    SELECT {side}_row FROM undecided UNION ALL SELECT row_no FROM crowded WHERE side = '{side}')
                AS doubtful
            FROM plain_{side} u WHERE u.row_no NOT IN (SELECT {side}_row FROM matches)
        """)


def _plain(column: str) -> str:
    """SQL for a number without what people write in between: PO-778, po 778 and PO778 are one."""
    return rf"nullif(regexp_replace(upper(u.{column}), '[^\p{{L}}\p{{N}}]', '', 'g'), '')"


BY_INTERNAL_ID: Final = """
    SELECT b.row_no AS billed_row, h.row_no AS held_row, true AS sure,
        'known from before by the internal id ' || h.internal_id AS evidence
    FROM open_billed b JOIN known_ids k ON k.external_id = b.external_id
    JOIN open_held h ON h.internal_id = k.internal_id
"""

#: A number of billing's own in its field may only be somebody else's number, so something else must agree too. NetSuite
#: numbers its documents by itself, from 1001 as billing may: there, both must.
_BY_NUMBER: Final = """
    SELECT billed_row, held_row,
        CASE WHEN in_field THEN same_customer OR same_amount ELSE same_customer AND same_amount END AS sure,
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


def propose(warehouse: TenantWarehouse, matched_by: str, pairs: str) -> None:
    """Take the pairs that a query proposes (billed_row, held_row, sure, evidence) of `open_billed` and `open_held` where
    they are sure and neither has another; the others are undecided.
    """
    open_sides(warehouse)
    run = warehouse.connection.execute
    run(f"""
        CREATE OR REPLACE TEMP TABLE proposed AS
        SELECT p.*, b.doubtful AND h.doubtful AS was_undecided, p.sure AND NOT b.doubtful AND NOT h.doubtful
            AND count(*) OVER (PARTITION BY p.billed_row) = 1 AND count(*) OVER (PARTITION BY p.held_row) = 1 AS taken
        FROM ({pairs}) p JOIN open_billed b ON b.row_no = p.billed_row JOIN open_held h ON h.row_no = p.held_row
    """)
    run(
        f"INSERT INTO matches SELECT billed_row, held_row, '{matched_by}', evidence FROM proposed WHERE taken"
    )
    run(
        "INSERT INTO undecided SELECT billed_row, held_row, evidence, 1000 FROM proposed"
        " WHERE NOT taken AND NOT was_undecided"
    )


def _rules(warehouse: TenantWarehouse, settings: DocumentMatching, tolerance: int) -> None:
    run = warehouse.connection.execute
    open_sides(warehouse)

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
            alone=ALONE,
            **either("po", "VARCHAR"),
            **either("memo", "VARCHAR[]"),
        )
    )
    run(f"INSERT INTO matches SELECT billed_row, held_row, 'rules', {_EVIDENCE} FROM alike WHERE taken")
    run(f"""
        INSERT INTO undecided SELECT billed_row, held_row, {_EVIDENCE} || CASE WHEN recurs
            THEN ', but this customer has the amount more than once' ELSE '' END, score FROM alike
        WHERE NOT was_undecided AND billed_row NOT IN (SELECT billed_row FROM alike WHERE taken)
            AND held_row NOT IN (SELECT held_row FROM alike WHERE taken)
    """)


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


def _groups(warehouse: TenantWarehouse, settings: DocumentMatching, tolerance: int) -> None:
    """Look for groups, customer by customer."""
    open_sides(warehouse)
    # Of each side what may be in a group, and what is undecided.
    sides: dict[tuple[str, str], tuple[list[list[Unmatched]], list[list[Unmatched]]]] = defaultdict(
        lambda: ([[], []], [[], []])
    )
    for place, (side, other) in enumerate((("billed", "held"), ("held", "billed"))):
        for customer, currency, doubtful, *one in warehouse.sql(f"""
            SELECT customer, currency, doubtful, day, row_no, units FROM open_{side} o
            WHERE customer IS NOT NULL AND day IS NOT NULL AND units <> 0 AND (customer, currency) IN (
                SELECT (x.customer, x.currency) FROM open_{other} x WHERE NOT x.doubtful)
                AND (customer, currency) IN (SELECT (x.customer, x.currency) FROM open_{side} x WHERE NOT x.doubtful)
            ORDER BY customer, currency, day, row_no
        """):
            day, row, units = one
            sides[customer, currency][doubtful][place].append(Unmatched(day.toordinal(), row, units))
    run = warehouse.connection.execute
    group_no = 0
    for (_, currency), ((billed, held), doubtful) in sides.items():
        smallest = 10 ** (4 - PLACES.get(currency, 2))
        limits = Limits(settings.days, tolerance, settings.group_size, smallest)
        found = find_groups(billed, held, limits, doubtful=(doubtful[0], doubtful[1]))
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
