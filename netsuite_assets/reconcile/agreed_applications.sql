-- What differs of payments' applications with what both sides agreed on last, and what they agree on now. Rests on
-- `both_sides` (external_id, doc, billed, held, matched_by, ...): each document that a payment settles on either side.
-- An amount that is NULL settles nothing. {table} has a row without `doc` for each payment that was compared: of what such
-- a payment did not settle, both sides agreed that it does not.
CREATE OR REPLACE TEMP TABLE applied AS
WITH before AS (
    SELECT x.*, coalesce(b.is_known, p.external_id IS NOT NULL) AS was_known, b.amount AS agreed_then,
        b.is_differing AND (x.held IS NOT DISTINCT FROM b.billed) <> (x.billed IS NOT DISTINCT FROM b.held) AS has_met,
        CASE WHEN x.held IS NOT DISTINCT FROM b.billed THEN b.billed ELSE b.held END AS met
    FROM (FROM both_sides WHERE billed IS DISTINCT FROM held) x
    LEFT JOIN (FROM {table} WHERE period = $period AND doc IS NULL) p ON p.external_id = x.external_id
    LEFT JOIN (FROM {table} WHERE period = $period AND doc IS NOT NULL) b
        ON b.external_id = x.external_id AND b.doc = x.doc
),
based AS (
    -- Where one side now has what the other had when they were compared last, they have agreed in between, unseen.
    SELECT * EXCLUDE (was_known, agreed_then, has_met, met), was_known OR coalesce(has_met, false) AS is_known,
        CASE WHEN coalesce(has_met, false) THEN met ELSE agreed_then END AS base
    FROM before
)
SELECT *, is_known AND billed IS DISTINCT FROM base AS billing_changed, is_known AND held IS DISTINCT FROM base AS netsuite_changed,
    -- All that a payment settles is written together.
    bool_or(is_known AND billed IS DISTINCT FROM base) OVER (PARTITION BY external_id)
    AND bool_or(is_known AND held IS DISTINCT FROM base) OVER (PARTITION BY external_id) AS is_persons
FROM based;

CREATE OR REPLACE TEMP TABLE applications_now AS
SELECT external_id, doc, base AS amount, is_known, true AS is_differing, billed, held FROM applied
WHERE matched_by = 'external_id'
UNION ALL
SELECT external_id, doc, billed, true, false, NULL, NULL FROM both_sides
WHERE matched_by = 'external_id' AND doc IS NOT NULL AND billed IS NOT DISTINCT FROM held
UNION ALL
SELECT DISTINCT external_id, NULL, NULL, true, false, NULL, NULL FROM both_sides WHERE matched_by = 'external_id';

-- Payments of which something else is agreed on now, or differs otherwise.
CREATE OR REPLACE TEMP TABLE applications_anew AS
WITH kept AS (
    SELECT external_id, doc, amount, is_known, is_differing, billed, held FROM {table}
    WHERE period = $period AND external_id IN (SELECT external_id FROM applications_now)
)
SELECT DISTINCT external_id FROM (
    (FROM applications_now EXCEPT FROM kept) UNION ALL (FROM kept EXCEPT FROM applications_now));
