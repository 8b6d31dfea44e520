-- The drift that needs a person: what no difference and no other exception tells of already, and nothing has settled since.
-- Rests on `open_documents.sql`.
CREATE OR REPLACE TEMP TABLE told AS
SELECT record, external_id, internal_id FROM {differences}
WHERE period <= $period AND kind <> 'grouped' AND (delta <> 0 OR record = 'customerPayment' AND field = 'apply')
UNION
SELECT record, external_id, internal_id FROM {exceptions}
WHERE period <= $period AND stage IN ('mapping', 'reconcile') AND code NOT IN ('not_linked', 'grouped');

CREATE OR REPLACE TEMP TABLE applied_by AS
SELECT a.applying_record AS record, a.applying_id AS internal_id, a.invoice_id,
    coalesce(k.external_id, a.applying_external_id) AS external_id
FROM {applications} a LEFT JOIN linked k ON k.record = a.applying_record AND k.internal_id = a.applying_id;

-- Documents of which something is told by way of what they settle, or are settled by.
INSERT INTO told
SELECT 'invoice', i.external_id, NULL FROM told t JOIN {payments} p ON p.external_id = t.external_id
JOIN {billing_applications} a ON a.payment_id = p.source_id JOIN {inv} i ON i.source_id = a.invoice_id
WHERE t.record = 'customerPayment'
UNION
SELECT 'invoice', i.external_id, NULL FROM told t JOIN {memos} m ON m.external_id = t.external_id
JOIN {credit_notes} c ON c.id = m.source_id JOIN {inv} i ON i.source_id = c.invoice_id
WHERE t.record = 'creditMemo'
UNION
SELECT 'invoice', v.invoice_external_id, NULL FROM told t JOIN {void_credits} v ON v.external_id = t.external_id
WHERE t.record = 'creditMemo'
UNION
SELECT 'invoice', NULL, a.invoice_id FROM told t JOIN applied_by a ON a.record = t.record
    AND (a.internal_id = t.internal_id OR a.external_id = t.external_id)
UNION
SELECT 'customerPayment', p.external_id, NULL FROM told t JOIN {inv} i ON i.external_id = t.external_id
JOIN {billing_applications} a ON a.invoice_id = i.source_id JOIN {payments} p ON p.source_id = a.payment_id
WHERE t.record = 'invoice'
UNION
SELECT 'creditMemo', m.external_id, NULL FROM told t JOIN {inv} i ON i.external_id = t.external_id
JOIN {credit_notes} c ON c.invoice_id = i.source_id JOIN {memos} m ON m.source_id = c.id
WHERE t.record = 'invoice';

CREATE OR REPLACE TEMP TABLE settled_since AS
SELECT internal_id FROM open_pairs
WHERE greatest(netsuite_now, 0) IN (greatest(billing_open, 0), greatest(billing_now, 0))
    OR greatest(billing_now, 0) = greatest(netsuite_open, 0);

CREATE OR REPLACE TEMP TABLE drift_for_people AS
SELECT d.* FROM drift_told d
WHERE NOT EXISTS (FROM told t WHERE t.record = d.record AND (t.external_id = d.external_id OR t.internal_id = d.internal_id))
    AND NOT (d.record = 'invoice' AND d.kind <> 'over_applied' AND d.internal_id IN (FROM settled_since))
    -- It stays the exception of the month that showed it first.
    AND NOT EXISTS (FROM {exceptions} e WHERE e.stage = 'receivables' AND e.period < $period AND e.code = d.kind
        AND e.record = d.record AND (e.external_id = d.external_id OR e.internal_id = d.internal_id));
