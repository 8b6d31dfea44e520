-- What is open of each invoice at the end of the month on both sides, and what is not applied of payments and credit memos.
-- Rests on `receivables.sql`. {knows_payments}: billing tells its payments, so that both sides are told as of the month's
-- last day ($last); else they are told as of now, by billing's status of the invoice.

CREATE OR REPLACE TEMP TABLE billed_open AS
WITH applied AS (
    SELECT a.invoice_id, sum(a.amount) FILTER (coalesce(a.applied_on, b.paid_on) <= $last) AS amount, sum(a.amount) AS by_now
    FROM {billing_applications} a JOIN {billing_payments} b ON b.id = a.payment_id
    WHERE {is_money} GROUP BY a.invoice_id
),
credited AS (
    SELECT invoice_id, sum(total) FILTER (issued_on <= $last) AS amount, sum(total) AS by_now FROM {credit_notes}
    WHERE invoice_id IS NOT NULL AND coalesce(lower(status), '') NOT IN {not_owed} GROUP BY invoice_id
),
invoices AS (
    SELECT e.external_id, e.number, e.name, e.currency, e.total, e.problem, e.period, e.subsidiary, lower(b.status) AS status,
        coalesce(b.due_on, b.issued_on) AS due_on, coalesce(a.amount, 0) AS applied, coalesce(c.amount, 0) AS credited,
        coalesce(a.by_now, 0) + coalesce(c.by_now, 0) AS settled_by_now,
        CASE WHEN lower(b.status) IN {not_owed} THEN 0 ELSE coalesce(e.total, 0) END AS owed
    FROM {inv} e LEFT JOIN {billing_invoices} b ON b.id = e.source_id AND b.period = e.period
    LEFT JOIN applied a ON a.invoice_id = e.source_id LEFT JOIN credited c ON c.invoice_id = e.source_id
    WHERE e.period <= $period
)
SELECT i.*, coalesce(g.key, i.external_id) AS pair, g.key IS NOT NULL AS is_grouped,
    CASE WHEN {knows_payments} THEN owed - applied - credited
    WHEN status IN {paid} THEN 0 WHEN status IS NOT NULL THEN owed - credited END::DECIMAL(18, 4) AS open,
    -- What is known of it by now, also of later months: NULL without payments, whose status is of now already.
    CASE WHEN {knows_payments} THEN owed - settled_by_now END::DECIMAL(18, 4) AS open_now
FROM invoices i LEFT JOIN grouped_documents g
    ON g.record = 'invoice' AND g.side = 'billing' AND g.period = i.period AND g.id = i.external_id;

CREATE OR REPLACE TEMP TABLE held_open AS
WITH pairs AS (
    -- An application lands with the month of either document: the later reading counts.
    SELECT applying_id, invoice_id, arg_max(amount, coalesce(last_modified, '')) AS amount, min(applied_on) AS applied_on
    FROM {applications} GROUP BY applying_id, invoice_id
),
by_now AS (
    SELECT invoice_id, sum(amount) FILTER (applied_on <= $last) AS amount, sum(amount) AS in_all FROM pairs GROUP BY invoice_id
),
-- What was known when the invoice landed: what else settles it (a journal, a refund) is the rest of what is not open.
then_known AS (SELECT period, invoice_id, sum(amount) AS amount FROM {applications} GROUP BY period, invoice_id)
SELECT d.internal_id, coalesce(k.external_id, d.external_id) AS external_id, g.key IS NOT NULL AS is_grouped,
    coalesce(g.key, k.external_id, d.external_id) AS pair, d.number, d.name, d.currency, d.total, d.period,
    d.subsidiary, d."dueDate" AS due_on,
    CASE WHEN {knows_payments} THEN coalesce(d.remaining, 0) + coalesce(t.amount, 0) - coalesce(n.amount, 0)
        ELSE coalesce(d.remaining, 0) END::DECIMAL(18, 4) AS open,
    (coalesce(d.remaining, 0) + coalesce(t.amount, 0) - coalesce(n.in_all, 0))::DECIMAL(18, 4) AS open_now
FROM {held_inv} d LEFT JOIN linked k ON k.record = 'invoice' AND k.internal_id = d.internal_id
LEFT JOIN grouped_documents g
    ON g.record = 'invoice' AND g.side = 'netsuite' AND g.period = d.period AND g.id = d.internal_id
LEFT JOIN then_known t ON t.invoice_id = d.internal_id AND t.period = d.period
LEFT JOIN by_now n ON n.invoice_id = d.internal_id
WHERE d.period <= $period AND d.dated_in = d.period AND coalesce(d.status, '') <> 'V';

-- Documents of a group are one pair: it is told by its first ones, and adds up.
CREATE OR REPLACE TEMP TABLE open_pairs AS
SELECT b.external_id, h.internal_id, coalesce(b.number, h.number) AS number, coalesce(b.name, h.name) AS name, b.currency,
    h.period AS dated_in, b.open AS billing_open, h.open AS netsuite_open,
    b.open_now AS billing_now, h.open_now AS netsuite_now
FROM (
    SELECT pair, min(external_id) AS external_id, arg_min(number, external_id) AS number, min(name) AS name,
        min(currency) AS currency, CASE WHEN count(open) = count(*) THEN sum(open) END AS open,
        CASE WHEN count(open_now) = count(*) THEN sum(open_now) END AS open_now
    FROM billed_open WHERE pair IS NOT NULL GROUP BY pair HAVING count(*) = 1 OR bool_and(is_grouped)) b
JOIN (
    SELECT pair, min(internal_id) AS internal_id, arg_min(number, internal_id) AS number, min(name) AS name,
        min(currency) AS currency, max(period) AS period, sum(open) AS open, sum(open_now) AS open_now
    FROM held_open WHERE pair IS NOT NULL GROUP BY pair HAVING count(*) = 1 OR bool_and(is_grouped)) h
    ON h.pair = b.pair AND h.currency = b.currency;

-- NetSuite's documents that are billing's too: in the month, or in another one.
CREATE OR REPLACE TEMP TABLE billed_keys AS SELECT DISTINCT key FROM movements WHERE side = 'billing';

CREATE OR REPLACE TEMP TABLE known_documents AS
SELECT n.internal_id FROM movements n SEMI JOIN billed_keys b ON b.key = n.key WHERE n.side = 'netsuite'
UNION
SELECT internal_id FROM {differences}
WHERE period = $period AND kind = 'wrong_period' AND record IN ('creditMemo', 'customerPayment');

CREATE OR REPLACE TEMP TABLE not_applied AS
WITH used AS (
    SELECT applying_id, sum(amount)::DECIMAL(18, 4) AS amount FROM {applications} WHERE period = $period GROUP BY applying_id
),
billed_used AS (SELECT payment_id, sum(amount)::DECIMAL(18, 4) AS amount FROM {billing_applications} GROUP BY payment_id),
billed AS (
    SELECT 'customerPayment' AS record, e.period, e.external_id, (e.total - coalesce(u.amount, 0))::DECIMAL(18, 4) AS open
    FROM {payments} e LEFT JOIN billed_used u ON u.payment_id = e.source_id
    UNION ALL
    SELECT 'creditMemo', e.period, e.external_id, CASE WHEN c.invoice_id IS NULL THEN e.total ELSE 0 END
    FROM {memos} e LEFT JOIN {credit_notes} c ON c.id = e.source_id
),
billed_pairs AS (
    SELECT b.record, coalesce(g.key, b.external_id) AS pair, any_value(b.open) AS open
    FROM billed b LEFT JOIN grouped_documents g
        ON g.record = b.record AND g.side = 'billing' AND g.period = b.period AND g.id = b.external_id
    WHERE g.key IS NULL GROUP BY ALL
    UNION ALL
    SELECT b.record, g.key, sum(b.open) FROM billed b JOIN grouped_documents g
        ON g.record = b.record AND g.side = 'billing' AND g.period = b.period AND g.id = b.external_id GROUP BY ALL
),
all_held AS (
    SELECT 'customerPayment' AS record, internal_id, external_id, number, name, currency, total, remaining FROM {held_payments}
    WHERE period = $period AND dated_in = $period AND NOT coalesce(is_voided, false)
    UNION ALL
    SELECT 'creditMemo', internal_id, external_id, number, name, currency, total, remaining FROM {held_memos}
    WHERE period = $period AND dated_in = $period
),
held AS (
    -- Documents of a group are one: it is told by its first one, and adds up.
    SELECT h.record, coalesce(g.key, k.external_id, h.external_id) AS pair, min(h.internal_id) AS internal_id,
        arg_min(coalesce(k.external_id, h.external_id), h.internal_id) AS external_id, arg_min(h.number, h.internal_id) AS number,
        min(h.name) AS name, min(h.currency) AS currency, sum(h.total) AS total, sum(h.remaining) AS remaining,
        sum(u.amount) AS used
    FROM all_held h LEFT JOIN used u ON u.applying_id = h.internal_id
    LEFT JOIN linked k ON k.record = h.record AND k.internal_id = h.internal_id
    LEFT JOIN grouped_documents g
        ON g.record = h.record AND g.side = 'netsuite' AND g.period = $period AND g.id = h.internal_id
    GROUP BY h.record, pair, CASE WHEN g.key IS NULL THEN h.internal_id END
)
SELECT h.record, h.external_id, h.internal_id, h.number, h.name, h.currency, b.open AS billing_open,
    coalesce(h.remaining, 0)::DECIMAL(18, 4) AS netsuite_open, coalesce(h.used, 0)::DECIMAL(18, 4) AS used, h.total,
    m.internal_id IS NOT NULL AS is_known
FROM held h LEFT JOIN billed_pairs b ON b.record = h.record AND b.pair = h.pair
LEFT JOIN known_documents m ON m.internal_id = h.internal_id;

CREATE OR REPLACE TEMP TABLE over_applied_payments AS
SELECT b.id, b.period, any_value(coalesce(e.external_id, NULL)) AS external_id, any_value(coalesce(e.number, b.reference, b.id)) AS number,
    any_value(coalesce(e.name, c.name)) AS name, any_value(b.currency) AS currency, any_value(b.amount) AS total,
    sum(a.amount)::DECIMAL(18, 4) AS used
FROM {billing_payments} b JOIN {billing_applications} a ON a.payment_id = b.id
LEFT JOIN {payments} e ON e.source_id = b.id AND e.period = b.period
LEFT JOIN customers_known c ON c.source_id = b.customer_id
WHERE b.period = $period GROUP BY b.id, b.period HAVING sum(a.amount) > any_value(b.amount);

CREATE OR REPLACE TEMP TABLE drift_found AS
SELECT CASE WHEN billing_open <= 0 THEN 'paid_in_billing' WHEN netsuite_open <= 0 THEN 'paid_in_netsuite' ELSE 'open_differs' END AS kind,
    'invoice' AS record, external_id, internal_id, number, name, dated_in, currency, greatest(billing_open, 0) AS billing_open,
    greatest(netsuite_open, 0) AS netsuite_open, abs(greatest(billing_open, 0) - greatest(netsuite_open, 0)) AS amount
FROM open_pairs WHERE greatest(billing_open, 0) <> greatest(netsuite_open, 0)
UNION ALL
SELECT 'over_applied', 'invoice', external_id, internal_id, number, name, dated_in, currency, billing_open, netsuite_open,
    -least(billing_open, netsuite_open, 0)
FROM open_pairs WHERE billing_open < 0 OR netsuite_open < 0
UNION ALL
SELECT 'over_applied', 'customerPayment', external_id, NULL, number, name, period, currency, total - used, NULL, used - total
FROM over_applied_payments
UNION ALL
SELECT 'over_applied', record, external_id, internal_id, number, name, $period, currency, billing_open, total - used, used - total
FROM not_applied WHERE used > total
UNION ALL
SELECT 'unapplied', record, external_id, internal_id, number, name, $period, currency, billing_open, netsuite_open,
    netsuite_open - coalesce(billing_open, 0)
FROM not_applied WHERE is_known AND netsuite_open > coalesce(billing_open, 0)
UNION ALL
SELECT CASE record WHEN 'creditMemo' THEN 'unknown_credit_memo' ELSE 'unknown_payment' END, record, external_id, internal_id,
    number, name, $period, currency, NULL, netsuite_open, CASE WHEN used > 0 THEN used ELSE netsuite_open END
FROM not_applied WHERE NOT is_known AND (used > 0 OR netsuite_open > 0);
