-- Every movement of receivables that landed up to the month, on each side, one row a document; and the months that landed.
-- {inv}, {memos}, ... are the warehouse's tables; {by_subsidiary} is whether the tenant's mapping tells subsidiaries apart.
-- `amount` raises what customers owe. `key` is the same for the same document on both sides, and for all documents of a
-- group that stand for each other; a document that NetSuite holds and nothing pairs with one of billing's has a key of its own.

-- Records of NetSuite's that the reconciliation took for billing's though their external id does not say so.
CREATE OR REPLACE TEMP TABLE linked AS
SELECT record, internal_id, arg_max(external_id, period) AS external_id FROM {differences}
WHERE kind = 'not_linked' AND period <= $period AND internal_id IS NOT NULL AND external_id IS NOT NULL
GROUP BY record, internal_id;

-- Documents that add up to the same as others on the other side: all of a group are told by one sentence.
CREATE OR REPLACE TEMP TABLE grouped_documents AS
SELECT period, record, CASE WHEN expected IS NULL THEN 'netsuite' ELSE 'billing' END AS side,
    CASE WHEN expected IS NULL THEN internal_id ELSE external_id END AS id, min(record || ' group:' || reason) AS key
FROM {differences} WHERE kind = 'grouped' AND period <= $period GROUP BY ALL;

CREATE OR REPLACE TEMP TABLE customers_known AS
SELECT source_id, any_value(external_id) AS external_id, any_value(name) AS name, any_value(subsidiary) AS subsidiary
FROM {customers} WHERE source_id IS NOT NULL GROUP BY source_id;

CREATE OR REPLACE TEMP TABLE base_currencies AS
SELECT s.internal_id AS subsidiary, c.symbol AS currency
FROM {subsidiaries} s JOIN {currencies} c ON c.internal_id = s.currency_id;

CREATE OR REPLACE TEMP VIEW posted AS
SELECT g.*, coalesce(b.currency, (SELECT min(symbol) FROM {currencies} WHERE is_base), 'unknown') AS currency
FROM {gl} g LEFT JOIN base_currencies b ON b.subsidiary = g.subsidiary
WHERE g.period <= $period;

CREATE OR REPLACE TEMP TABLE on_receivables AS
SELECT period, transaction_id, any_value(type) AS type, any_value(number) AS number, any_value(external_id) AS external_id,
    any_value(subsidiary) AS subsidiary, any_value(currency) AS currency, sum(amount)::DECIMAL(18, 4) AS amount,
    min(posted_on) AS posted_on
FROM posted WHERE account_type = 'AcctRec' GROUP BY period, transaction_id;

-- The accounts of prepaid balances that no other tie-out is about.
CREATE OR REPLACE TEMP TABLE prepaid AS
SELECT DISTINCT internal_id FROM {prepaid_accounts} WHERE period = $period AND coalesce(account_type, '') NOT IN ({tied_types});

CREATE OR REPLACE TEMP TABLE payments_billed AS
SELECT b.id, b.paid_on, p.period, p.external_id, p.number, p.name, p.currency, p.total, p.problem, b.customer_id,
    'customerPayment:' || p.external_id AS key
FROM {payments} p LEFT JOIN {billing_payments} b ON b.id = p.source_id WHERE {maps_payments}
UNION ALL
-- Without a mapping there is no external id: what is the same customer's, amount's and month's is the same payment.
SELECT b.id, b.paid_on, b.period, NULL, coalesce(b.reference, b.id), c.name, b.currency, b.amount, NULL, b.customer_id,
    concat_ws('|', 'customerPayment', coalesce(c.external_id, '?'), b.currency, b.amount, b.period,
        row_number() OVER (PARTITION BY c.external_id, b.currency, b.amount, b.period ORDER BY b.id))
FROM {billing_payments} b LEFT JOIN customers_known c ON c.source_id = b.customer_id
WHERE NOT {maps_payments} AND {is_money};

-- NetSuite may hold a payment of billing's as a customer deposit.
CREATE OR REPLACE TEMP TABLE payments_held AS
SELECT p.* EXCLUDE (customer), CASE WHEN {maps_payments} THEN 'customerPayment:' || coalesce(p.external_id, '#' || p.internal_id)
    ELSE concat_ws('|', 'customerPayment', coalesce(p.customer, '?'), p.currency, p.total, p.period,
        row_number() OVER (PARTITION BY p.customer, p.currency, p.total, p.period ORDER BY p.internal_id)) END AS key
FROM (
    SELECT p.*, coalesce(k.external_id, p.known_as) AS customer FROM (
        SELECT 'customerPayment' AS record, period, dated_in, internal_id, external_id, number, name, currency, total,
            subsidiary, customer_id, customer_external_id AS known_as
        FROM {held_payments} WHERE NOT coalesce(is_voided, false)
        UNION ALL
        SELECT record, period, dated_in, internal_id, external_id, number, name, currency, total, subsidiary, customer_id,
            customer_external_id
        FROM {deposits} WHERE record = 'customerDeposit' AND coalesce(status, '') <> 'V') p
    LEFT JOIN linked k ON k.record = 'customer' AND k.internal_id = p.customer_id) p
WHERE p.dated_in = p.period;

-- The payments of billing's that NetSuite holds as deposits. They lower what is owed when they are applied.
CREATE OR REPLACE TEMP TABLE prepayments AS
SELECT b.key, any_value(b.id) AS payment_id, min(h.internal_id) AS deposit_id
FROM payments_billed b JOIN payments_held h ON h.key = b.key AND h.record = 'customerDeposit' GROUP BY b.key;

CREATE OR REPLACE TEMP TABLE movements AS
WITH receivable_accounts AS (SELECT internal_id FROM {accounts} WHERE account_type = 'AcctRec'),
every AS (
    SELECT 'billing' AS side, e.period AS month, 'invoices' AS part, e.subsidiary, e.currency, e.total AS amount,
        'invoice' AS record, e.external_id, NULL::VARCHAR AS internal_id, e.number, e.name, e.problem,
        'invoice:' || coalesce(e.external_id, '?' || e.source_id) AS key
    FROM {inv} e
    UNION ALL
    SELECT 'billing', e.period, 'credits', coalesce(e.subsidiary, c.subsidiary), e.currency, -e.total, 'creditMemo',
        e.external_id, NULL, e.number, e.name, e.problem, 'creditMemo:' || coalesce(e.external_id, '?' || e.source_id)
    FROM {memos} e LEFT JOIN {credit_notes} b ON b.id = e.source_id LEFT JOIN customers_known c ON c.source_id = b.customer_id
    UNION ALL
    SELECT 'billing', p.period, 'payments', c.subsidiary, p.currency, -p.total, 'customerPayment', p.external_id, NULL,
        p.number, coalesce(p.name, c.name), p.problem, p.key
    FROM payments_billed p LEFT JOIN customers_known c ON c.source_id = p.customer_id
    WHERE p.key NOT IN (SELECT key FROM prepayments)
    UNION ALL
    SELECT 'billing', strftime(coalesce(a.applied_on, p.paid_on), '%Y-%m') AS month, 'payments', any_value(c.subsidiary),
        any_value(p.currency), -sum(a.amount), 'depositApplication', any_value(p.external_id), NULL, any_value(p.number),
        any_value(coalesce(p.name, c.name)), any_value(p.problem), 'depositApplication:' || p.key
    FROM prepayments q JOIN payments_billed p ON p.key = q.key JOIN {billing_applications} a ON a.payment_id = p.id
    LEFT JOIN customers_known c ON c.source_id = p.customer_id GROUP BY p.key, month
    UNION ALL
    SELECT 'billing', j.period, 'adjustments', any_value(j.subsidiary), any_value(j.currency),
        sum(coalesce(l.debit, 0) - coalesce(l.credit, 0)), 'journalEntry', j.external_id, NULL, any_value(j.number),
        any_value(j.name), any_value(j.problem), 'journalEntry:' || j.external_id
    FROM {journals} j JOIN {journal_lines} l ON l.external_id = j.external_id AND l.period = j.period
    WHERE l.account IN (FROM receivable_accounts) GROUP BY j.period, j.external_id
    UNION ALL
    SELECT 'netsuite', d.period, 'invoices', coalesce(d.subsidiary, g.subsidiary), d.currency, d.total, 'invoice',
        d.external_id, d.internal_id, d.number, d.name, NULL, 'invoice:' || coalesce(d.external_id, '#' || d.internal_id)
    FROM {held_inv} d LEFT JOIN on_receivables g ON g.transaction_id = d.internal_id AND g.period = d.period
    WHERE d.dated_in = d.period
    UNION ALL
    SELECT 'netsuite', d.period, 'credits', coalesce(d.subsidiary, g.subsidiary), d.currency, -d.total, 'creditMemo',
        d.external_id, d.internal_id, d.number, d.name, NULL, 'creditMemo:' || coalesce(d.external_id, '#' || d.internal_id)
    FROM {held_memos} d LEFT JOIN on_receivables g ON g.transaction_id = d.internal_id AND g.period = d.period
    WHERE d.dated_in = d.period
    UNION ALL
    SELECT 'netsuite', p.period, 'payments', p.subsidiary, p.currency, -p.total, 'customerPayment', p.external_id,
        p.internal_id, p.number, p.name, NULL, p.key
    FROM payments_held p WHERE p.record = 'customerPayment'
    UNION ALL
    SELECT 'netsuite', d.period, 'payments', d.subsidiary, d.currency, -d.total, 'depositApplication', d.external_id,
        d.internal_id, d.number, d.name, NULL, 'depositApplication:' || coalesce(h.key, '#' || d.internal_id)
    FROM {deposits} d LEFT JOIN payments_held h ON h.record = 'customerDeposit' AND h.internal_id = d.deposit_id
    WHERE d.record = 'depositApplication' AND d.dated_in = d.period AND coalesce(d.status, '') <> 'V'
    UNION ALL
    SELECT 'netsuite', j.period, 'adjustments', l.subsidiary, any_value(j.currency),
        sum(coalesce(l.debit, 0) - coalesce(l.credit, 0)), 'journalEntry', any_value(j.external_id), j.internal_id,
        any_value(j.number), coalesce(any_value(l.entity_name), any_value(j.memo)), NULL,
        'journalEntry:' || coalesce(any_value(j.external_id), '#' || j.internal_id)
    FROM {held_journals} j JOIN {held_journal_lines} l ON l.internal_id = j.internal_id AND l.period = j.period
    WHERE j.dated_in = j.period AND l.account_id IN (FROM receivable_accounts)
        AND coalesce(j.approval_status, '2') NOT IN ('1', '3')
    GROUP BY j.period, j.internal_id, l.subsidiary
    UNION ALL
    SELECT 'general_ledger', g.period,
        CASE g.type WHEN 'CustInvc' THEN 'invoices' WHEN 'CustCred' THEN 'credits'
            WHEN 'CustPymt' THEN 'payments' WHEN 'DepAppl' THEN 'payments' ELSE 'adjustments' END,
        g.subsidiary, g.currency, g.amount,
        CASE g.type WHEN 'CustInvc' THEN 'invoice' WHEN 'CustCred' THEN 'creditMemo' WHEN 'CustPymt' THEN 'customerPayment'
            WHEN 'Journal' THEN 'journalEntry' WHEN 'DepAppl' THEN 'depositApplication' ELSE g.type END,
        g.external_id, g.transaction_id, g.number, NULL, NULL, 'transaction:' || g.transaction_id
    FROM on_receivables g
)
SELECT e.* REPLACE (CASE WHEN {by_subsidiary} THEN subsidiary END AS subsidiary, coalesce(currency, 'unknown') AS currency,
    coalesce(amount, 0)::DECIMAL(18, 4) AS amount,
    coalesce(g.key, CASE WHEN k.external_id IS NOT NULL AND (e.record <> 'customerPayment' OR {maps_payments})
        THEN e.record || ':' || k.external_id ELSE e.key END) AS key)
FROM every e
LEFT JOIN linked k ON e.side = 'netsuite' AND k.record = e.record AND k.internal_id = e.internal_id
LEFT JOIN grouped_documents g ON g.record = e.record AND g.period = e.month AND g.side = e.side
    AND g.id = CASE e.side WHEN 'billing' THEN e.external_id ELSE e.internal_id END
WHERE month <= $period;
