"""Customers that no external id joins, matched in passes: which of both sides are the same, and by what.

Here: the passes over what is left unmatched. Not here: what is said of it (`matched.py`), or documents (`matching.py`).

In this order: the internal id that the customer had when its external id last joined it; the customer into which that
one was merged; an id of the customer's own; and the name within the subsidiary, where the e-mail domain agrees. When
two fit, or one fits by its name alone or by one that is only similar, they are undecided. NetSuite keeps nothing of a customer that is merged into
another but the documents, which are the other's from then on: they tell into which, where they all name the same one.

Read are the temporary tables `unmatched_billed` and `unmatched_held` (`UNMATCHED`), `known_ids` and `moved`
(external_id, held_row, internal_id, name, documents): who has the documents now of a customer that is gone, `held_row`
NULL where that is another of billing's customers. Made are `matches` and `undecided` as `matching.py` does, and `gone`
(billed_row, internal_id, evidence): customers that NetSuite had and has no more.
"""

from __future__ import annotations

from typing import Final

from netsuite_assets.reconcile.matching import BY_INTERNAL_ID, open_sides, propose
from resources.tenants.matching import CustomerMatching
from resources.warehouse import TenantWarehouse

#: The columns of both tables of unmatched customers. `custom` is the id of the customer's own.
UNMATCHED: Final = {
    "row_no": "BIGINT",
    "external_id": "VARCHAR",
    "internal_id": "VARCHAR",
    "number": "VARCHAR",
    "name": "VARCHAR",
    "email": "VARCHAR",
    "subsidiary": "VARCHAR",
    "custom": "VARCHAR",
}

#: Domains that are nobody's own: there, the whole address must agree.
SHARED_DOMAINS: Final = (
    "gmail.com", "googlemail.com", "outlook.com", "hotmail.com", "live.com", "msn.com", "yahoo.com", "icloud.com",
    "me.com", "aol.com", "gmx.com", "gmx.de", "gmx.net", "web.de", "t-online.de", "mail.com", "proton.me",
    "protonmail.com", "qq.com", "163.com", "126.com", "mail.ru", "yandex.ru", "orange.fr", "free.fr", "libero.it",
)  # fmt: skip

#: How like names of one e-mail domain must be for a person to be asked, as Jaro-Winkler similarity: the branches of a
#: company are as like as two spellings of one.
LIKE: Final = 0.92


def match_customers(warehouse: TenantWarehouse, settings: CustomerMatching) -> None:
    """Match what is unmatched, by the passes that the settings name; the tables are said above."""
    run = warehouse.connection.execute
    run("""
        CREATE OR REPLACE TEMP TABLE matches (
            billed_row BIGINT, held_row BIGINT, matched_by VARCHAR, evidence VARCHAR);
        CREATE OR REPLACE TEMP TABLE undecided (billed_row BIGINT, held_row BIGINT, evidence VARCHAR, score INTEGER);
        CREATE OR REPLACE TEMP TABLE crowded (side VARCHAR, row_no BIGINT, billed BIGINT, held BIGINT);
        CREATE OR REPLACE TEMP TABLE gone (billed_row BIGINT, internal_id VARCHAR, evidence VARCHAR);
    """)
    _prepare(warehouse)
    if "internal_id" in settings.passes:
        propose(warehouse, "internal_id", BY_INTERNAL_ID)
        propose(warehouse, "merged", _MERGED)
        open_sides(warehouse)
        run(_GONE)
        run("INSERT INTO crowded SELECT 'billed', billed_row, 1, 0 FROM gone")
    if "custom_id" in settings.passes and settings.custom_id is not None:
        propose(warehouse, "custom_id", _BY_CUSTOM_ID)
    if "name" in settings.passes:
        propose(warehouse, "name", _BY_NAME)
    run("DELETE FROM undecided WHERE billed_row IN (SELECT billed_row FROM gone)")


def _prepare(warehouse: TenantWarehouse) -> None:
    """Make `plain_billed` and `plain_held`: what is unmatched, with its values as they are compared."""
    shared = ", ".join(f"'{domain}'" for domain in SHARED_DOMAINS)
    for side in ("billed", "held"):
        warehouse.connection.execute(rf"""
            CREATE OR REPLACE TEMP TABLE plain_{side} AS
            SELECT *, CASE WHEN domain IN ({shared}) THEN plain_email ELSE domain END AS belongs_to
            FROM (
                SELECT u.*, nullif(regexp_replace(lower(nfc_normalize(u.name)), '[^\p{{L}}\p{{N}}]', '', 'g'), '')
                        AS plain_name,
                    nullif(trim(u.custom), '') AS plain_custom, lower(trim(u.email)) AS plain_email,
                    nullif(split_part(lower(trim(u.email)), '@', 2), '') AS domain
                FROM unmatched_{side} u)
        """)


_MERGED: Final = """
    SELECT b.row_no AS billed_row, m.held_row,
        (SELECT count(*) FROM moved o WHERE o.external_id = b.external_id) = 1 AS sure,
        'merged: its internal id ' || k.internal_id || ' is gone, and its ' || m.documents
            || CASE WHEN m.documents = 1 THEN ' document is' ELSE ' documents are' END || ' now of '
            || coalesce(m.name || ', ', '') || 'internal id ' || m.internal_id AS evidence
    FROM open_billed b JOIN known_ids k ON k.external_id = b.external_id JOIN moved m ON m.external_id = b.external_id
    WHERE m.held_row IS NOT NULL
"""

#: NetSuite had it, has it no more, and nothing tells in whose place it is to be put.
_GONE: Final = """
    INSERT INTO gone
    SELECT b.row_no, string_agg(DISTINCT k.internal_id, ', ' ORDER BY k.internal_id),
        string_agg(DISTINCT coalesce(m.name || ', ', '') || 'internal id ' || m.internal_id, '; ' ORDER BY
            coalesce(m.name || ', ', '') || 'internal id ' || m.internal_id)
    FROM open_billed b JOIN known_ids k ON k.external_id = b.external_id
    LEFT JOIN moved m ON m.external_id = b.external_id
    WHERE NOT b.doubtful
    GROUP BY b.row_no
    HAVING NOT bool_or(EXISTS (SELECT 1 FROM netsuite.customers c WHERE c.internal_id = k.internal_id))
"""

_BY_CUSTOM_ID: Final = """
    SELECT b.row_no AS billed_row, h.row_no AS held_row, true AS sure, 'the same id ' || b.custom AS evidence
    FROM open_billed b JOIN open_held h ON h.plain_custom = b.plain_custom
"""

_BY_NAME: Final = f"""
    SELECT DISTINCT ON (billed_row, held_row) billed_row, held_row, sure, evidence
    FROM (
        SELECT b.row_no AS billed_row, h.row_no AS held_row, h.belongs_to IS NOT NULL
                AND h.belongs_to = b.belongs_to AS sure,
            CASE WHEN h.belongs_to = b.belongs_to THEN 'the same name and e-mail domain' ELSE 'the same name' END
                || CASE WHEN b.subsidiary IS NOT NULL THEN ' in the same subsidiary' ELSE '' END AS evidence
        FROM open_billed b JOIN open_held h ON h.plain_name = b.plain_name
            AND h.subsidiary IS NOT DISTINCT FROM b.subsidiary
        UNION ALL
        SELECT b.row_no, h.row_no, false, 'a similar name and the same e-mail domain'
            || CASE WHEN b.subsidiary IS NOT NULL THEN ' in the same subsidiary' ELSE '' END
        FROM open_billed b JOIN open_held h ON h.belongs_to = b.belongs_to
            AND h.subsidiary IS NOT DISTINCT FROM b.subsidiary AND h.plain_name <> b.plain_name
            AND jaro_winkler_similarity(h.plain_name, b.plain_name) >= {LIKE})
    ORDER BY billed_row, held_row
"""
