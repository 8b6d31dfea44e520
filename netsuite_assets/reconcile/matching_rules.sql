-- Candidates among what is left unmatched: the same customer and currency, the amount within the tolerance, the date
-- within the days, and no other document number. A score from 0 to 1000 orders them: 350 for the amount, 200 for the
-- date, 200 for the PO number, 250 for the memo by the words that both have; what is absent on a side counts for two
-- fifths, a PO number that is another one for nothing. PO-778 and 778 are the same PO number, 1778 is another.
-- {tolerance} is in ten-thousandths, {width} the width of the buckets of amounts in which counterparts meet, {buckets} the
-- neighbours of a bucket; {crowd} is how many pairs of one bucket are looked at.
CREATE OR REPLACE TEMP TABLE billed_buckets AS
SELECT * EXCLUDE at_bucket, unnest([{buckets}]) AS bucket
FROM (SELECT *, (units + 1000000000000000000) // {width} AS at_bucket FROM open_billed WHERE customer IS NOT NULL);
CREATE OR REPLACE TEMP TABLE held_buckets AS
SELECT *, (units + 1000000000000000000) // {width} AS bucket FROM open_held WHERE customer IS NOT NULL;
CREATE OR REPLACE TEMP TABLE crowds AS
SELECT customer, currency, bucket, b.rows AS billed, h.rows AS held
FROM (SELECT customer, currency, bucket, count(*) AS rows FROM billed_buckets GROUP BY ALL) b
JOIN (SELECT customer, currency, bucket, count(*) AS rows FROM held_buckets GROUP BY ALL) h
    USING (customer, currency, bucket)
WHERE b.rows * h.rows > {crowd};
INSERT INTO crowded
SELECT 'billed', row_no, max(c.billed), max(c.held)
FROM billed_buckets JOIN crowds c USING (customer, currency, bucket) GROUP BY row_no
UNION ALL
SELECT 'held', row_no, max(c.billed), max(c.held)
FROM held_buckets JOIN crowds c USING (customer, currency, bucket) GROUP BY row_no;
CREATE OR REPLACE TEMP TABLE alike AS
WITH met AS (
    SELECT
        b.row_no AS billed_row, h.row_no AS held_row, h.units - b.units AS apart, h.day - b.day AS later,
        {po_billed} AS po_billed, {po_held} AS po_held, {memo_billed} AS memo_billed, {memo_held} AS memo_held
    FROM billed_buckets b JOIN held_buckets h USING (customer, currency, bucket)
    WHERE abs(h.units - b.units) <= {tolerance} AND abs(h.day - b.day) <= {days}
        AND (h.ref IS NULL OR b.plain IS NULL OR h.plain_ref = b.plain)
        AND NOT EXISTS (SELECT 1 FROM crowded x WHERE x.side = 'billed' AND x.row_no = b.row_no)
        AND NOT EXISTS (SELECT 1 FROM crowded x WHERE x.side = 'held' AND x.row_no = h.row_no)
),
likened AS (
    SELECT *,
        CASE WHEN po_billed IS NULL OR po_held IS NULL THEN NULL
            WHEN po_billed = po_held
                OR ends_with(po_billed, po_held) AND regexp_matches(po_billed[:-length(po_held) - 1], '[^0-9]$')
                OR ends_with(po_held, po_billed) AND regexp_matches(po_held[:-length(po_billed) - 1], '[^0-9]$')
                THEN 100
            WHEN damerau_levenshtein(po_billed, po_held) = 1 AND length(po_billed) > 5 THEN 60 ELSE 0 END AS po,
        CASE WHEN memo_billed IS NULL OR memo_held IS NULL THEN NULL
            ELSE (100 * len(list_intersect(memo_billed, memo_held)))
                // len(list_distinct(list_concat(memo_billed, memo_held))) END AS memo
    FROM met
)
SELECT billed_row, held_row, apart, later, po, memo,
    CASE WHEN apart = 0 THEN 350 ELSE 300 END + 200 - (200 * abs(later)) // ({days} + 1)
    + 2 * coalesce(po, 40) + (25 * coalesce(memo, 40)) // 10 AS score,
    count(*) OVER (PARTITION BY billed_row) = 1 AND count(*) OVER (PARTITION BY held_row) = 1 AS alone
FROM likened;
