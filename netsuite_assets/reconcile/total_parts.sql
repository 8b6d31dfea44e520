-- Of what the difference between billing's total of a document and NetSuite's is made, document by document.
-- Reads part_documents, part_lines and document_taxes; adds to total_parts_found. Parameters: {record} is a literal, the others SQL that
-- shows a number of one side (e_ billing's, a_ NetSuite's) to people.

CREATE OR REPLACE TEMP TABLE line_parts AS
WITH priced AS (
    SELECT *,
        (coalesce(e_amount, 0) - coalesce(a_amount, 0))::DECIMAL(38, 4) AS moved,
        -- NULL where a side has no quantity or no rate, or the product is no amount of this world.
        TRY(((e_quantity - a_quantity) * e_rate)::DECIMAL(38, 4)) AS by_quantity,
        TRY(((e_rate - a_rate) * a_quantity)::DECIMAL(38, 4)) AS by_rate
    FROM part_lines
),
judged AS (
    SELECT *,
        CASE
            WHEN a_line IS NULL THEN 'missing'
            WHEN e_line IS NULL THEN 'extra'
            -- Of two products, or of a product and a tax, neither is the other's quantity or rate.
            WHEN e_class IS DISTINCT FROM a_class OR (other_item AND moved <> 0) THEN 'other'
            WHEN e_class IS NOT NULL OR by_quantity IS NULL OR by_rate IS NULL
                -- What a column of amounts cannot hold is not taken apart.
                OR sum(abs(by_quantity) + abs(by_rate)) OVER (PARTITION BY external_id) >= 10000000000000
            THEN 'amount'
            ELSE 'priced'
        END AS how,
        moved - by_quantity - by_rate AS rest
    FROM priced
),
parts AS (
    SELECT external_id, e_line AS line, coalesce(e_class, 'missing_lines') AS part, coalesce(e_amount, 0) AS amount,
        'NetSuite lacks ' || e_what || ' ' || {e_amount} AS detail
    FROM judged WHERE how IN ('missing', 'other')
    UNION ALL
    SELECT external_id, a_line, coalesce(a_class, 'extra_lines'), -coalesce(a_amount, 0),
        'NetSuite has ' || a_what || ' ' || {a_amount} || ' besides'
    FROM judged WHERE how IN ('extra', 'other')
    UNION ALL
    SELECT external_id, e_line, coalesce(e_class, 'amount'), moved,
        e_what || ' ' || {e_amount} || ', NetSuite has ' || {a_amount}
    FROM judged WHERE how = 'amount'
    UNION ALL
    SELECT external_id, e_line, 'quantity', by_quantity,
        e_what || ' ' || {e_quantity} || ', NetSuite has ' || {a_quantity} || ', at ' || {e_rate}
    FROM judged WHERE how = 'priced'
    UNION ALL
    SELECT external_id, e_line, 'rate', by_rate,
        e_what || ' at ' || {e_rate} || ', NetSuite at ' || {a_rate} || ', for ' || {a_quantity}
    FROM judged WHERE how = 'priced'
    UNION ALL
    -- More than rounding can do to both sides is no rounding: somebody wrote another amount.
    SELECT external_id, e_line, CASE WHEN abs(rest) <= unit THEN 'rounding' ELSE 'amount' END, rest,
        e_what || ' ' || {e_quantity} || ' at ' || {e_rate} || ' is ' || {e_amount} || ', in NetSuite '
        || {a_quantity} || ' at ' || {a_rate} || ' is ' || {a_amount}
    FROM judged WHERE how = 'priced'
)
SELECT external_id, part, sum(amount)::DECIMAL(18, 4) AS amount,
    array_to_string(list('line ' || line || ': ' || detail ORDER BY line, detail)[1:3], '; ')
        || CASE WHEN count(*) > 3 THEN '; and ' || count(*) - 3 || ' more' ELSE '' END || '.' AS detail
FROM parts WHERE amount <> 0 GROUP BY external_id, part;

INSERT INTO total_parts_found BY NAME
WITH known AS (
    SELECT external_id, part, amount, detail FROM line_parts
    UNION ALL
    SELECT key, 'tax', tax, told || '.' FROM document_taxes
),
explained AS (
    SELECT external_id, sum(amount) AS amount FROM known GROUP BY external_id
),
parts AS (
    -- Tax that billing has as a line and NetSuite as its own may be one and the same.
    SELECT external_id, currency, part, sum(amount)::DECIMAL(18, 4) AS amount, string_agg(detail, ' ' ORDER BY detail DESC) AS detail
    FROM part_documents JOIN known USING (external_id) WHERE same_currency GROUP BY external_id, currency, part
    UNION ALL
    SELECT external_id, currency, 'unexplained', expected_total - actual_total - coalesce(amount, 0),
        'The total should be ' || {e_total} || '; NetSuite has ' || {a_total} || ', and the lines '
        || CASE WHEN external_id IN (SELECT key FROM document_taxes) THEN 'and taxes ' ELSE '' END
        || CASE WHEN coalesce(amount, 0) = 0 THEN 'do not differ by it.'
            ELSE 'differ by ' || {explained} || '.' END
    FROM part_documents LEFT JOIN explained USING (external_id) WHERE same_currency
    UNION ALL
    SELECT external_id, currency, 'other_month', actual_total - counted,
        'NetSuite dates it in ' || coalesce(dated_in, 'no month') || '.'
    FROM part_documents WHERE same_currency
    UNION ALL
    SELECT external_id, currency, 'other_currency', expected_total,
        'NetSuite has it in ' || coalesce(actual_currency, 'no currency') || ': ' || {a_total} || '.'
    FROM part_documents WHERE NOT same_currency
    UNION ALL
    SELECT external_id, actual_currency, 'other_currency', -counted,
        'Billing has it in ' || coalesce(currency, 'no currency') || ': ' || {e_total} || '.'
    FROM part_documents WHERE NOT same_currency
)
SELECT {record} AS record, external_id, internal_id, number, name, p.currency, part, p.amount, detail
FROM parts p JOIN part_documents d USING (external_id) WHERE p.amount <> 0;
