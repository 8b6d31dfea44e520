-- Candidates among what is left unmatched: the same customer and currency, the amount within the tolerance, the date
-- within the days, and no other document number. One is `taken` by a key: the PO number or the memo is exactly the same,
-- but for case and what stands between letters and digits, of these two documents alone. Or it is the only candidate of
-- both, nothing speaks against it, and the amount does not recur: where the customer has it on other days too, it tells
-- nothing apart, for the true counterpart may be lacking. With another PO number on each side, none is.
--
-- A score from 0 to 1000 orders the candidates for a person: 350 for the amount, 200 for the date, 200 for the PO number,
-- 250 for the memo by the words that both have; what is absent on a side counts for two fifths, a PO number that is
-- another one for nothing. PO-778 and 778 are shown as the same PO number, 1778 is another.
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
        count(*) OVER (PARTITION BY b.row_no) > 1 OR count(*) OVER (PARTITION BY h.row_no) > 1 AS recurs
    FROM billed_buckets b JOIN held_buckets h USING (customer, currency, bucket)
    ANTI JOIN crowds c USING (customer, currency, bucket)
    WHERE abs(h.units - b.units) <= {tolerance} AND (h.ref IS NULL OR b.plain IS NULL OR h.plain_ref = b.plain)
),
near AS (
    SELECT
        m.*, {po_billed} AS po_billed, {po_held} AS po_held, {memo_billed} AS memo_billed, {memo_held} AS memo_held,
        coalesce(b.po_borne, 1) <= 1 AND coalesce(h.po_borne, 1) <= 1 AS po_is_own,
        coalesce(b.memo_borne, 1) <= 1 AND coalesce(h.memo_borne, 1) <= 1 AS memo_is_own,
        b.doubtful OR b.row_no IN (SELECT row_no FROM crowded WHERE side = 'billed') AS billed_doubtful,
        h.doubtful OR h.row_no IN (SELECT row_no FROM crowded WHERE side = 'held') AS held_doubtful
    FROM met m JOIN open_billed b ON b.row_no = m.billed_row JOIN open_held h ON h.row_no = m.held_row
    WHERE abs(later) <= {days}
),
likened AS (
    SELECT billed_row, held_row, apart, later, recurs, po_is_own, memo_is_own, billed_doubtful, held_doubtful,
        CASE WHEN po_billed IS NULL OR po_held IS NULL THEN NULL
            WHEN po_billed = po_held
                OR ends_with(po_billed, po_held) AND regexp_matches(po_billed[:-length(po_held) - 1], '[^0-9]$')
                OR ends_with(po_held, po_billed) AND regexp_matches(po_held[:-length(po_billed) - 1], '[^0-9]$')
                THEN 100
            WHEN damerau_levenshtein(po_billed, po_held) = 1 AND length(po_billed) > 5 THEN 60 ELSE 0 END AS po,
        CASE WHEN memo_billed IS NULL OR memo_held IS NULL THEN NULL
            ELSE (100 * len(list_intersect(memo_billed, memo_held)))
                // len(list_distinct(list_concat(memo_billed, memo_held))) END AS memo,
        coalesce(po_billed = po_held, false) AS same_po, coalesce(memo_billed = memo_held, false) AS same_memo
    FROM near
),
scored AS (
    SELECT *,
        CASE WHEN apart = 0 THEN 350 ELSE 300 END + 200 - (200 * abs(later)) // ({days} + 1)
        + 2 * coalesce(po, 40) + (25 * coalesce(memo, 40)) // 10 AS score,
        count(*) OVER of_billed = 1 AND count(*) OVER of_held = 1 AS alone,
        same_po AND po_is_own
        AND count(*) FILTER (same_po) OVER of_billed = 1 AND count(*) FILTER (same_po) OVER of_held = 1
        OR same_memo AND memo_is_own
        AND count(*) FILTER (same_memo) OVER of_billed = 1 AND count(*) FILTER (same_memo) OVER of_held = 1 AS is_key
    FROM likened WINDOW of_billed AS (PARTITION BY billed_row), of_held AS (PARTITION BY held_row)
)
SELECT billed_row, held_row, apart, later, po, memo, score, alone AND recurs AS recurs,
    billed_doubtful AND held_doubtful AS was_undecided,
    NOT billed_doubtful AND NOT held_doubtful AND po IS DISTINCT FROM 0 AND (
        is_key AND count(*) FILTER (is_key) OVER (PARTITION BY billed_row) = 1
        AND count(*) FILTER (is_key) OVER (PARTITION BY held_row) = 1
        OR alone AND NOT recurs AND score >= {alone}) AS taken
FROM scored;
