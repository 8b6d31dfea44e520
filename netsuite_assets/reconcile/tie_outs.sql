-- What must tie, entry by entry: both sides of every tie-out of the month, and the documents in which they differ.
-- Rests on `receivables.sql`. Money of another currency is converted at the rate at which NetSuite posted the document
-- itself; where it did not, at the document's or the currency's rate in NetSuite. No binary fraction is involved.
CREATE OR REPLACE TEMP TABLE held_documents AS
WITH each AS (
    SELECT key, internal_id, sum(amount) AS amount FROM movements
    WHERE side = 'netsuite' AND month = $period GROUP BY key, internal_id
)
SELECT key, any_value(e.internal_id) AS internal_id, sum(e.amount)::DECIMAL(18, 4) AS amount,
    sum(g.amount)::DECIMAL(18, 4) AS posted_amount, any_value(g.currency) AS base
FROM each e LEFT JOIN on_receivables g ON g.transaction_id = e.internal_id AND g.period = $period GROUP BY key;

CREATE OR REPLACE TEMP TABLE rates AS
SELECT symbol AS currency, any_value(exchange_rate) AS rate, any_value(precision) AS places, bool_or(is_base) AS is_base
FROM {currencies} WHERE symbol IS NOT NULL GROUP BY symbol;

-- Each document of the month with what NetSuite posted of it to receivables.
CREATE OR REPLACE TEMP TABLE keyed_postings AS
SELECT p.transaction_id, p.type, p.number, p.external_id, p.account_id, p.account_type, p.subsidiary, p.currency, p.amount,
    coalesce(h.key, 'customerDeposit:' || t.key, k.record || ':' || k.external_id, CASE p.type WHEN 'CustInvc' THEN 'invoice:' WHEN 'CustCred' THEN 'creditMemo:'
    WHEN 'CustPymt' THEN 'customerPayment:' WHEN 'Journal' THEN 'journalEntry:' ELSE p.type || ':' END
    || coalesce(p.external_id, '#' || p.transaction_id)) AS key,
    CASE p.type WHEN 'CustInvc' THEN 'invoice' WHEN 'CustCred' THEN 'creditMemo' WHEN 'CustPymt' THEN 'customerPayment'
        WHEN 'Journal' THEN 'journalEntry' WHEN 'CustDep' THEN 'customerDeposit' WHEN 'DepAppl' THEN 'depositApplication'
        ELSE p.type END AS record
FROM posted p LEFT JOIN (SELECT internal_id, any_value(key) AS key FROM movements
    WHERE side = 'netsuite' AND month = $period GROUP BY internal_id) h ON h.internal_id = p.transaction_id
LEFT JOIN (SELECT * FROM linked WHERE record <> 'customer') k ON k.internal_id = p.transaction_id
LEFT JOIN payments_held t ON p.type = 'CustDep' AND t.record = 'customerDeposit' AND t.internal_id = p.transaction_id
WHERE p.period = $period;

CREATE OR REPLACE TEMP TABLE in_base AS
WITH of_documents AS (
    SELECT m.side, m.subsidiary, m.currency, m.amount, m.record, m.external_id, m.internal_id, m.number, m.name, m.problem,
        m.key, h.internal_id AS held_id, h.amount AS held_amount, h.posted_amount,
        coalesce(h.base, b.currency, (SELECT min(currency) FROM rates WHERE is_base), m.currency) AS base
    FROM movements m LEFT JOIN held_documents h ON h.key = m.key
    LEFT JOIN base_currencies b ON b.subsidiary = m.subsidiary
    WHERE m.month = $period AND m.side <> 'general_ledger'
)
SELECT d.* EXCLUDE (amount, currency), d.base AS currency, d.currency AS own_currency,
    CASE WHEN d.currency = d.base THEN d.amount
         WHEN d.posted_amount <> 0 AND d.held_amount <> 0
         THEN at_posted_rate(d.amount, d.posted_amount, d.held_amount, p.places)
         ELSE to_places(d.amount * coalesce(r.rate, 1)::DECIMAL(18, 8), p.places) END AS amount,
    p.places
FROM of_documents d LEFT JOIN rates r ON r.currency = d.currency LEFT JOIN rates p ON p.currency = d.base;

CREATE OR REPLACE TEMP TABLE billed_lines AS
WITH lines AS (
    SELECT 'invoice' AS record, e.external_id, coalesce(i.deferred_revenue_account, i.income_account) AS account_id, l.amount
    FROM {inv_lines} l JOIN {inv} e ON e.external_id = l.external_id AND e.period = l.period
    LEFT JOIN {items} i ON i.internal_id = l.item WHERE l.period = $period
    UNION ALL
    SELECT 'creditMemo', e.external_id, coalesce(i.deferred_revenue_account, i.income_account), -l.amount
    FROM {memo_lines} l JOIN {memos} e ON e.external_id = l.external_id AND e.period = l.period
    LEFT JOIN {items} i ON i.internal_id = l.item WHERE l.period = $period
),
of_journals AS (
    SELECT 'journalEntry:' || j.external_id AS key, 'journalEntry' AS record, j.external_id, j.problem, l.account AS account_id,
        sum(coalesce(l.credit, 0) - coalesce(l.debit, 0))::DECIMAL(18, 4) AS amount, any_value(j.number) AS number,
        any_value(j.name) AS name, any_value(coalesce(j.subsidiary, h.subsidiary)) AS subsidiary,
        any_value(coalesce(j.currency, h.currency)) AS currency, any_value(h.exchange_rate) AS rate
    FROM {journals} j JOIN {journal_lines} l ON l.external_id = j.external_id AND l.period = j.period
    LEFT JOIN (SELECT external_id, any_value(subsidiary) AS subsidiary, any_value(currency) AS currency,
            any_value(exchange_rate) AS exchange_rate
        FROM (SELECT j.* REPLACE (coalesce(k.external_id, j.external_id) AS external_id) FROM {held_journals} j
            LEFT JOIN linked k ON k.record = 'journalEntry' AND k.internal_id = j.internal_id)
        WHERE period = $period AND external_id IS NOT NULL GROUP BY external_id) h
        ON h.external_id = j.external_id
    WHERE j.period = $period GROUP BY j.external_id, j.problem, l.account
)
SELECT d.key, l.record, l.external_id, d.held_id AS internal_id, d.number, d.name, d.problem, d.subsidiary, d.currency,
    l.account_id, l.lines, d.own_currency <> d.currency AS is_foreign, l.amount AS own_amount, d.own_currency,
    CASE WHEN d.own_currency = d.currency THEN l.amount
         WHEN d.posted_amount <> 0 AND d.held_amount <> 0
         THEN at_posted_rate(l.amount, d.posted_amount, d.held_amount, d.places)
         ELSE to_places(l.amount * coalesce(r.rate, 1)::DECIMAL(18, 8), d.places)
    END::DECIMAL(18, 4) AS amount
FROM (
    -- What an invoice takes from a prepaid balance stays apart from what it adds.
    SELECT record, external_id, account_id, amount < 0 AND account_id IN (FROM prepaid) AS is_used, count(*) AS lines,
        sum(amount)::DECIMAL(18, 4) AS amount
    FROM lines GROUP BY record, external_id, account_id, is_used) l
JOIN in_base d ON d.side = 'billing' AND d.record = l.record AND d.external_id = l.external_id
LEFT JOIN rates r ON r.currency = d.own_currency
UNION ALL
SELECT j.key, j.record, j.external_id, NULL, j.number, j.name, j.problem,
    CASE WHEN {by_subsidiary} THEN j.subsidiary END, coalesce(b.currency, base.currency, j.currency, 'unknown'), j.account_id, 1,
    j.currency <> coalesce(b.currency, base.currency, j.currency), j.amount, coalesce(j.currency, 'unknown'),
    CASE WHEN j.currency = coalesce(b.currency, base.currency, j.currency) THEN j.amount
         ELSE to_places(j.amount * coalesce(j.rate, r.rate, 1)::DECIMAL(18, 8), p.places) END::DECIMAL(18, 4)
FROM of_journals j LEFT JOIN base_currencies b ON b.subsidiary = j.subsidiary
LEFT JOIN (SELECT min(currency) AS currency FROM rates WHERE is_base) base ON true
LEFT JOIN rates r ON r.currency = j.currency LEFT JOIN rates p ON p.currency = coalesce(b.currency, base.currency);

-- Prepaid balances in the documents' currency, and in the subsidiary's as far as billing's side goes (`base_amount`). What
-- customers pay before there is an invoice, or buy by one, raises them; applications and releases lower them.
CREATE OR REPLACE TEMP TABLE prepaid_movements AS
WITH booked AS (
    SELECT transaction_id, min(account_id) AS account_id, any_value(currency) AS base, -sum(amount) AS amount
    FROM posted WHERE account_id IN (FROM prepaid) AND type IN ('CustDep', 'DepAppl') GROUP BY transaction_id
),
of_items AS (
    SELECT internal_id, coalesce(deferred_revenue_account, income_account) AS account_id FROM {items}
    WHERE coalesce(deferred_revenue_account, income_account) IN (FROM prepaid)
),
held_lines AS (
    SELECT 'invoice' AS record, d.internal_id, any_value(d.subsidiary) AS subsidiary, any_value(d.currency) AS currency,
        i.account_id, l.amount < 0 AS is_used, sum(l.amount) AS amount
    FROM {held_inv} d JOIN {held_inv_lines} l ON l.internal_id = d.internal_id AND l.period = d.period
    JOIN of_items i ON i.internal_id = l.item WHERE d.period = $period AND d.dated_in = $period GROUP BY ALL
    UNION ALL
    SELECT 'creditMemo', d.internal_id, any_value(d.subsidiary), any_value(d.currency), i.account_id, l.amount < 0 AS is_used, -sum(l.amount)
    FROM {held_memos} d JOIN {held_memo_lines} l ON l.internal_id = d.internal_id AND l.period = d.period
    JOIN of_items i ON i.internal_id = l.item WHERE d.period = $period AND d.dated_in = $period GROUP BY ALL
)
SELECT 'billing' AS side, 'customerDeposit:' || p.key AS key, 'customerDeposit' AS record, p.external_id,
    NULL::VARCHAR AS internal_id, p.number, coalesce(p.name, c.name) AS name, p.problem,
    CASE WHEN {by_subsidiary} THEN c.subsidiary END AS subsidiary, b.account_id, p.currency, p.total AS amount, b.base,
    CASE WHEN p.currency = b.base THEN p.total WHEN b.amount <> 0 AND h.total <> 0
        THEN at_posted_rate(p.total, b.amount::DECIMAL(18, 4), h.total, r.places) END::DECIMAL(18, 4) AS base_amount
FROM prepayments q JOIN payments_billed p ON p.key = q.key JOIN payments_held h ON h.internal_id = q.deposit_id
LEFT JOIN booked b ON b.transaction_id = q.deposit_id LEFT JOIN rates r ON r.currency = b.base
LEFT JOIN customers_known c ON c.source_id = p.customer_id
WHERE p.period = $period
UNION ALL
SELECT 'billing', m.key, m.record, m.external_id, NULL, m.number, m.name, m.problem, m.subsidiary, b.account_id,
    m.own_currency, o.amount, m.currency, m.amount
FROM in_base m JOIN movements o ON o.side = 'billing' AND o.key = m.key AND o.month = $period
JOIN prepayments q ON m.key = 'depositApplication:' || q.key LEFT JOIN booked b ON b.transaction_id = q.deposit_id
WHERE m.side = 'billing' AND m.record = 'depositApplication'
UNION ALL
SELECT 'billing', l.key, l.record, l.external_id, l.internal_id, l.number, l.name, l.problem, l.subsidiary, l.account_id,
    l.own_currency, l.own_amount, l.currency, l.amount
FROM billed_lines l WHERE l.account_id IN (FROM prepaid)
UNION ALL
SELECT 'netsuite', 'customerDeposit:' || h.key, h.record, h.external_id, h.internal_id, h.number, h.name, NULL,
    CASE WHEN {by_subsidiary} THEN h.subsidiary END, b.account_id, h.currency, h.total, NULL, NULL
FROM payments_held h LEFT JOIN booked b ON b.transaction_id = h.internal_id
WHERE h.record = 'customerDeposit' AND h.period = $period
UNION ALL
SELECT 'netsuite', m.key, m.record, m.external_id, m.internal_id, m.number, m.name, NULL, m.subsidiary, b.account_id,
    m.currency, m.amount, NULL, NULL
FROM movements m LEFT JOIN booked b ON b.transaction_id = m.internal_id
WHERE m.side = 'netsuite' AND m.record = 'depositApplication' AND m.month = $period
UNION ALL
SELECT 'netsuite', m.key, m.record, m.external_id, m.internal_id, m.number, m.name, NULL, m.subsidiary, l.account_id,
    m.currency, l.amount, NULL, NULL
FROM held_lines l JOIN movements m ON m.side = 'netsuite' AND m.record = l.record AND m.internal_id = l.internal_id
    AND m.month = $period
UNION ALL
SELECT 'netsuite', 'journalEntry:' || coalesce(k.external_id, j.external_id, '#' || j.internal_id), 'journalEntry',
    j.external_id, j.internal_id, j.number, coalesce(l.entity_name, j.memo), NULL,
    CASE WHEN {by_subsidiary} THEN l.subsidiary END, l.account_id, j.currency,
    coalesce(l.credit, 0) - coalesce(l.debit, 0), NULL, NULL
FROM {held_journals} j JOIN {held_journal_lines} l ON l.internal_id = j.internal_id AND l.period = j.period
LEFT JOIN linked k ON k.record = 'journalEntry' AND k.internal_id = j.internal_id
WHERE j.period = $period AND j.dated_in = $period AND l.account_id IN (FROM prepaid)
    AND coalesce(j.approval_status, '2') NOT IN ('1', '3');

-- Read more than once and never held: it is the largest of all.
CREATE OR REPLACE TEMP VIEW entries AS
SELECT 'receivables' AS tie_out, 'transaction' AS basis, 'billing' AS left_side, 'netsuite' AS right_side,
    side = 'billing' AS is_left, subsidiary, NULL::VARCHAR AS account_id, currency, key, amount, record, external_id,
    internal_id, number, name, problem, NULL::VARCHAR AS type, false AS is_foreign, 1::BIGINT AS lines
FROM movements WHERE month = $period AND side IN ('billing', 'netsuite')
UNION ALL
SELECT 'receivables', 'base', 'billing', 'general_ledger', true, subsidiary, NULL, currency, key, amount, record,
    external_id, internal_id, number, name, problem, NULL, own_currency <> currency, 1
FROM in_base WHERE side = 'billing'
UNION ALL
SELECT 'control_account', 'base', 'netsuite', 'general_ledger', true, subsidiary, NULL, currency, key, amount, record,
    external_id, internal_id, number, name, problem, NULL, own_currency <> currency, 1
FROM in_base WHERE side = 'netsuite'
UNION ALL
SELECT t.tie_out, 'base', t.left_side, 'general_ledger', false, CASE WHEN {by_subsidiary} THEN g.subsidiary END, NULL, g.currency,
    g.key, g.amount, g.record, g.external_id, g.transaction_id, g.number, NULL, NULL, g.type, false, 1
FROM keyed_postings g, (VALUES ('receivables', 'billing'), ('control_account', 'netsuite')) t(tie_out, left_side)
WHERE g.account_type = 'AcctRec'
UNION ALL
SELECT CASE a.account_type WHEN 'DeferRevenue' THEN 'deferred_revenue' WHEN 'UnbilledRec' THEN 'unbilled' ELSE 'revenue' END,
    'base', 'billing', 'general_ledger', true, l.subsidiary, l.account_id, l.currency, l.key,
    CASE a.account_type WHEN 'UnbilledRec' THEN -l.amount ELSE l.amount END, l.record, l.external_id, l.internal_id, l.number,
    l.name, l.problem, NULL, l.is_foreign, l.lines
FROM billed_lines l LEFT JOIN {accounts} a ON a.internal_id = l.account_id
WHERE l.account_id IS NULL OR a.account_type IN ('Income', 'OthIncome', 'DeferRevenue', 'UnbilledRec')
UNION ALL
SELECT CASE g.account_type WHEN 'DeferRevenue' THEN 'deferred_revenue' WHEN 'UnbilledRec' THEN 'unbilled' ELSE 'revenue' END,
    'base', 'billing', 'general_ledger', false, CASE WHEN {by_subsidiary} THEN g.subsidiary END, g.account_id, g.currency, g.key,
    CASE g.account_type WHEN 'UnbilledRec' THEN g.amount ELSE -g.amount END, g.record, g.external_id, g.transaction_id,
    g.number, NULL, NULL, g.type, false, 1
FROM keyed_postings g WHERE g.account_type IN ('Income', 'OthIncome', 'DeferRevenue', 'UnbilledRec')
UNION ALL
SELECT 'prepaid', 'transaction', 'billing', 'netsuite', side = 'billing', subsidiary, account_id, coalesce(currency, 'unknown'),
    key, amount::DECIMAL(18, 4), record, external_id, internal_id, number, name, problem, NULL, false, 1
FROM prepaid_movements
UNION ALL
SELECT 'prepaid', 'base', 'billing', 'general_ledger', true, subsidiary, account_id, coalesce(base, currency), key,
    coalesce(base_amount, amount)::DECIMAL(18, 4), record, external_id, internal_id, number, name, problem, NULL,
    currency <> base, 1
FROM prepaid_movements WHERE side = 'billing'
UNION ALL
SELECT 'prepaid', 'base', 'billing', 'general_ledger', false, CASE WHEN {by_subsidiary} THEN g.subsidiary END, g.account_id,
    g.currency, g.key, -g.amount, g.record, g.external_id, g.transaction_id, g.number, NULL, NULL, g.type, false, 1
FROM keyed_postings g WHERE g.account_id IN (FROM prepaid);

-- The documents that differ, by their amounts alone; what is told of them is fetched for these few.
CREATE OR REPLACE TEMP TABLE differing AS
SELECT tie_out, basis, subsidiary, account_id, currency, key,
    coalesce(sum(amount) FILTER (is_left), 0)::DECIMAL(18, 4) AS left_amount,
    coalesce(sum(amount) FILTER (NOT is_left), 0)::DECIMAL(18, 4) AS right_amount
FROM entries GROUP BY tie_out, basis, subsidiary, account_id, currency, key
HAVING coalesce(sum(amount) FILTER (is_left), 0) <> coalesce(sum(amount) FILTER (NOT is_left), 0);

CREATE OR REPLACE TEMP TABLE tie_out_items_found AS
WITH of_differing AS (SELECT e.* FROM entries e SEMI JOIN differing d USING (tie_out, basis, key)),
sides AS (
    SELECT d.tie_out, d.basis, any_value(e.left_side) AS left_side, any_value(e.right_side) AS right_side, d.subsidiary,
        d.account_id, d.currency, d.key, d.left_amount, d.right_amount,
        bool_or(e.is_left) AS in_left, bool_or(NOT e.is_left) AS in_right,
        first(e.record ORDER BY e.is_left DESC) AS record, max(e.external_id) AS external_id,
        max(e.internal_id) AS internal_id, max(e.number) FILTER (e.is_left) AS left_number,
        max(e.number) FILTER (NOT e.is_left) AS right_number, max(e.name) AS name, max(e.problem) AS problem,
        max(e.type) AS type, bool_or(e.is_foreign) AS is_foreign, sum(e.lines) AS lines
    FROM differing d JOIN of_differing e ON e.tie_out = d.tie_out AND e.basis = d.basis AND e.key = d.key
        AND e.currency = d.currency AND coalesce(e.subsidiary, '') = coalesce(d.subsidiary, '')
        AND coalesce(e.account_id, '') = coalesce(d.account_id, '')
    GROUP BY ALL
),
elsewhere AS (SELECT DISTINCT tie_out, basis, key, is_left FROM of_differing WHERE amount <> 0),
facts AS (
    SELECT s.*, j.is_revenue_recognition, j.memo, j.created_by, p.posted_on,
        (NOT s.in_left AND EXISTS (FROM elsewhere e WHERE e.is_left AND (e.tie_out, e.basis, e.key) = (s.tie_out, s.basis, s.key)))
            OR (NOT s.in_right AND EXISTS (FROM elsewhere e WHERE NOT e.is_left AND (e.tie_out, e.basis, e.key) = (s.tie_out, s.basis, s.key)))
            AS is_elsewhere
    FROM sides s
    LEFT JOIN (SELECT internal_id, bool_or(is_revenue_recognition) AS is_revenue_recognition, any_value(memo) AS memo,
            any_value(created_by) AS created_by FROM {held_journals} GROUP BY internal_id) j
        ON s.record = 'journalEntry' AND j.internal_id = s.internal_id
    LEFT JOIN (SELECT transaction_id, min(posted_on) AS posted_on FROM posted WHERE period = $period GROUP BY transaction_id) p
        ON p.transaction_id = s.internal_id
)
SELECT tie_out, basis, subsidiary, account_id, currency, record, external_id, internal_id,
    coalesce(left_number, right_number) AS number, coalesce(name, memo) AS name, left_amount, right_amount,
    (left_amount - right_amount)::DECIMAL(18, 4) AS amount,
    CASE
        WHEN is_elsewhere THEN 'elsewhere'
        WHEN NOT in_right AND problem IS NOT NULL THEN 'not_mapped'
        WHEN NOT in_right AND right_side = 'general_ledger' AND internal_id IS NOT NULL THEN 'not_posted'
        WHEN NOT in_right THEN 'missing_in_netsuite'
        WHEN NOT in_left AND coalesce(is_revenue_recognition, false) THEN 'revenue_recognition'
        WHEN NOT in_left AND record = 'journalEntry' THEN 'journal'
        WHEN NOT in_left AND right_side = 'general_ledger' AND strftime(posted_on, '%Y-%m') <> $period THEN 'dated_elsewhere'
        WHEN NOT in_left AND type IS NOT NULL AND type NOT IN ('CustInvc', 'CustCred', 'CustPymt', 'CustDep', 'DepAppl') THEN 'other_transaction'
        WHEN NOT in_left AND left_side = 'netsuite' THEN 'unexplained'
        WHEN NOT in_left THEN 'only_in_netsuite'
        WHEN basis = 'base' AND is_foreign AND abs(left_amount - right_amount) <= 0.01 * lines THEN 'rounding'
        WHEN left_side = 'billing' THEN 'amount'
        ELSE 'unexplained'
    END AS cause,
    created_by, problem, posted_on
FROM facts
