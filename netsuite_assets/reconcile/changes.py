"""Who changed what differs: each difference beside NetSuite's own notes of changes.

Here: the columns `changed_by` and `changed_at` of the differences. Not here: reading the notes (the stage `extract`).
"""

from __future__ import annotations

from netsuite_assets.extract.trails import NOTES
from resources.warehouse import TenantWarehouse, literal

#: A note's instant: its local time in the account's time zone, which is named or an offset.
_INSTANT = r"""CASE
    WHEN regexp_full_match(time_zone, '[+-]\d{1,2}:\d{2}') THEN (changed_at - INTERVAL 1 MINUTE
        * (CASE WHEN time_zone LIKE '-%' THEN -1 ELSE 1 END)
        * (split_part(time_zone[2:], ':', 1)::INTEGER * 60 + split_part(time_zone, ':', 2)::INTEGER)) AT TIME ZONE 'UTC'
    WHEN time_zone IN (SELECT name FROM pg_timezone_names()) THEN changed_at AT TIME ZONE time_zone END"""


def say_who_changed(warehouse: TenantWarehouse, period: str) -> None:
    """Fill `changed_by` and `changed_at` of `differences_found` from the month's system notes, where they have landed.

    It is the last change of the field that differs; where no note names it (NetSuite's notes name some fields in their
    own way, and a whole document is not one field), the last change of the document.
    """
    run = warehouse.connection.execute
    # Differences that were found before may have a note by now.
    run("UPDATE differences_found SET changed_by = NULL, changed_at = NULL WHERE changed_by IS NOT NULL")
    if warehouse.slice(NOTES, period) is None:
        return
    run(f"""
        CREATE OR REPLACE TEMP TABLE last_changes AS
        SELECT record, internal_id, field, changed_by, {_INSTANT} AS changed_at
        FROM (SELECT record, internal_id, lower(field) AS field, changed_by, changed_at, time_zone, note_no FROM {NOTES}
            WHERE period = {literal(period)}
            UNION ALL SELECT record, internal_id, NULL, changed_by, changed_at, time_zone, note_no FROM {NOTES}
            WHERE period = {literal(period)})
        QUALIFY row_number() OVER (PARTITION BY record, internal_id, field ORDER BY changed_at DESC, note_no DESC) = 1
    """)
    for same in ("n.field = lower(d.field)", "n.field IS NULL AND d.changed_by IS NULL"):
        run(f"""
            UPDATE differences_found AS d SET changed_by = n.changed_by, changed_at = n.changed_at
            FROM last_changes n WHERE n.record = d.record AND n.internal_id = d.internal_id AND {same}
        """)
