"""What payments and journals need beside what every document's comparison does.

Here: the applications of payments, compared by what each settles of each invoice, with what both sides agreed on last
(`reconciliation.agreed_applications`), and which of NetSuite's journals are billing's at all. Not here: their headers and journals' lines (`differences.py`), nor whether invoices are paid on both
sides (`receivables.py`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from netsuite_assets.mapping.body import INTERNAL
from netsuite_assets.mapping.compiler import RecordMapping
from netsuite_assets.reconcile.agreed import PERSON
from netsuite_assets.reconcile.agreed_again import Told
from netsuite_assets.reconcile.relations import held
from resources.warehouse import TenantWarehouse, literal

AGREED: Final = "reconciliation.agreed_applications"

#: `doc` is the document's external id, or `internal:` and its id; a row without it says that the payment was compared.
#: `amount` is what was agreed on, and is NULL where that is nothing or (`is_known` false) never was; `billed` and `held`
#: are what each side had of what is `is_differing`, when it was last looked at.
_AGREED: Final = {
    "period": "VARCHAR",
    "external_id": "VARCHAR",
    "doc": "VARCHAR",
    "amount": "DECIMAL(18,4)",
    "is_known": "BOOLEAN",
    "is_differing": "BOOLEAN",
    "billed": "DECIMAL(18,4)",
    "held": "DECIMAL(18,4)",
}

_SINCE: Final = Path(__file__).with_name("agreed_applications.sql").read_text(encoding="utf-8")

#: Each payment that both sides hold and NetSuite dates in the month, with what it settles of each document on each
#: side. NetSuite's applications of a payment land with the month that it is dated in. Payments and invoices that were
#: matched without their external id are `linked`: invoices of other months too, as their last reconciliation found them.
_APPLICATIONS = """
CREATE OR REPLACE TEMP TABLE both_sides AS
WITH linked AS (
    SELECT record, external_id, internal_id, matched_by FROM differences_found WHERE kind = 'not_linked'
    UNION ALL
    SELECT record, external_id, internal_id, matched_by FROM {earlier} WHERE kind = 'not_linked' AND period <> $period
),
invoice_ids AS (
    SELECT internal_id, max(external_id) AS external_id FROM linked WHERE record = 'invoice' GROUP BY internal_id
),
payment_ids AS (
    SELECT external_id, internal_id, 'external_id' AS matched_by FROM netsuite.payments
    WHERE period = $period AND dated_in = $period AND external_id IS NOT NULL
    UNION ALL
    SELECT external_id, internal_id, matched_by FROM differences_found
    WHERE record = 'customerPayment' AND kind = 'not_linked'
),
both_hold AS (
    SELECT e.external_id, any_value(a.internal_id) AS internal_id, any_value(coalesce(e.number, a.number)) AS number,
        any_value(coalesce(e.name, a.name)) AS name, any_value(coalesce(e.currency, a.currency)) AS currency,
        any_value(i.matched_by) AS matched_by
    FROM expected.payments e JOIN payment_ids i ON i.external_id = e.external_id
    JOIN netsuite.payments a ON a.internal_id = i.internal_id AND a.period = e.period
    WHERE e.period = $period AND e.problem IS NULL AND a.dated_in = $period
    GROUP BY e.external_id HAVING count(*) = 1
),
billed AS (
    SELECT external_id, doc, min(line_no) AS line_no, sum(amount)::DECIMAL(18, 4) AS amount
    FROM expected.applications
    WHERE period = $period AND problem IS NULL AND doc IS NOT NULL AND amount IS NOT NULL GROUP BY external_id, doc
),
held AS (
    SELECT p.external_id, coalesce(i.external_id, a.invoice_external_id, $internal || a.invoice_id) AS doc,
        max(a.invoice_number) AS number, sum(a.amount)::DECIMAL(18, 4) AS amount
    FROM netsuite.applications a JOIN both_hold p ON p.internal_id = a.applying_id
    LEFT JOIN invoice_ids i ON i.internal_id = a.invoice_id
    WHERE a.period = $period AND a.applying_record = 'customerPayment' GROUP BY p.external_id, 2
),
numbers AS (
    SELECT external_id, max(number) AS number FROM {invoices} WHERE external_id IS NOT NULL GROUP BY external_id
)
SELECT p.*, e.line_no, coalesce(e.doc, a.doc) AS doc, coalesce(n.number, a.number, e.doc, a.doc) AS document,
    e.amount AS billed, a.amount AS held
FROM both_hold p
LEFT JOIN (billed e FULL JOIN held a ON a.external_id = e.external_id AND a.doc = e.doc)
    ON p.external_id = coalesce(e.external_id, a.external_id)
LEFT JOIN numbers n ON n.external_id = coalesce(e.doc, a.doc)
"""

#: An application moves nothing of the payments' total: its `delta` is none.
_DIFFERENCES = """
INSERT INTO differences_found (record, external_id, internal_id, number, name, kind, line, field, expected, actual,
    amount, delta, currency, owner, reason, matched_by, rule, base, changed_side)
SELECT 'customerPayment', external_id, internal_id, number, name,
    CASE WHEN held IS NULL THEN 'line_missing' WHEN billed IS NULL THEN 'line_extra' ELSE 'line_changed' END,
    line_no::VARCHAR, 'apply', shown_billed || ' of ' || document, shown_held || ' of ' || document,
    abs(coalesce(billed, 0) - coalesce(held, 0)), 0, currency, CASE WHEN is_persons THEN $person ELSE 'billing' END,
    CASE WHEN held IS NULL
         THEN 'It should settle ' || shown_billed || ' of invoice ' || document || '; NetSuite does not apply it to that.'
         WHEN billed IS NULL
         THEN 'NetSuite applies ' || shown_held || ' of it to ' || document || '; billing does not.'
         ELSE 'It should settle ' || shown_billed || ' of invoice ' || document || '; NetSuite applies ' || shown_held || '.'
    END,
    matched_by, $rule, shown_base || ' of ' || document,
    CASE WHEN billing_changed AND netsuite_changed THEN 'both' WHEN billing_changed THEN 'billing'
        WHEN netsuite_changed THEN 'netsuite' END
FROM (
    SELECT *, coalesce(currency || ' ', '') || regexp_replace(billed::VARCHAR, '0{1,2}$', '') AS shown_billed,
        coalesce(currency || ' ', '') || regexp_replace(held::VARCHAR, '0{1,2}$', '') AS shown_held,
        coalesce(currency || ' ', '') || regexp_replace(base::VARCHAR, '0{1,2}$', '') AS shown_base
    FROM applied)
"""


def compare_applications(warehouse: TenantWarehouse, rules: RecordMapping, period: str, told: Told) -> bool:
    """Add to `differences_found` what payments settle otherwise in NetSuite than in billing, to the cent, and which side
    has changed it since both agreed; whether they agree on anything that they did not agree on before. `told` is what is
    known of that beside the warehouse.

    A tenant whose mapping does not say what payments settle is not compared in this.
    """
    run = warehouse.connection.execute
    _say_amount_once(warehouse)
    wheres = {field.name: field.where for field in rules.line_fields}
    if not {"doc", "amount"} <= set(wheres):
        return False
    names = ("period", "record", "external_id", "internal_id", "kind", "matched_by")
    others = {
        "invoices": ("expected.invoices", dict.fromkeys(("external_id", "number"), "VARCHAR")),
        "earlier": ("reconciliation.differences", dict.fromkeys(names, "VARCHAR")),
    }
    run(_APPLICATIONS.format(**held(warehouse, others)), {"period": period, "internal": INTERNAL})
    warehouse.ensure_table(AGREED, _AGREED)
    told.of_applications(warehouse, AGREED, period)
    run(_SINCE.format(table=AGREED).replace("$period", literal(period)))
    run(_DIFFERENCES, {"rule": wheres["amount"], "person": PERSON})
    if not warehouse.value("SELECT count(*) FROM applications_anew"):
        return False
    with warehouse.transaction():
        anew = "external_id IN (SELECT external_id FROM applications_anew)"
        run(f"DELETE FROM {AGREED} WHERE period = ? AND {anew}", [period])
        run(
            f"INSERT INTO {AGREED} BY NAME SELECT ? AS period, * FROM applications_now WHERE {anew}", [period]
        )
    return True


def _say_amount_once(warehouse: TenantWarehouse) -> None:
    """A payment's field `payment` is its total: where both differ, the field says so, with what it moves."""
    both = "record = 'customerPayment' AND {0} AND external_id IN (SELECT external_id FROM differences_found WHERE record = 'customerPayment' AND {1})"
    field, total = "field = 'payment'", "kind = 'total'"
    run = warehouse.connection.execute
    run(f"""
        UPDATE differences_found AS d SET amount = t.amount, delta = t.delta
        FROM (SELECT external_id, amount, delta FROM differences_found WHERE record = 'customerPayment' AND {total}) t
        WHERE d.record = 'customerPayment' AND d.{field} AND d.external_id = t.external_id
    """)
    run(f"DELETE FROM differences_found WHERE {both.format(total, field)}")


def leave_out_foreign_journals(warehouse: TenantWarehouse, rules: RecordMapping) -> None:
    """Forget the journals that only NetSuite holds and whose external id is not of the form that the mapping gives:
    they are booked by others. Those that touch billing's accounts are among what explains the tie-outs.
    """
    first = rules.external_id.parts[0]
    begins = first if isinstance(first, str) else ""
    warehouse.connection.execute(
        "DELETE FROM differences_found WHERE record = 'journalEntry'"
        " AND (kind = 'only_in_netsuite' OR kind = 'duplicate' AND external_id IS NOT NULL)"
        f" AND NOT ({literal(begins)} <> '' AND starts_with(coalesce(external_id, ''), {literal(begins)}))"
    )
