"""The column contracts of the frames that pass between stages, as pandera models.

Here: one model a table, its DuckDB columns, its validation and its column schema for the Dagster UI.
Not here: how the rows are made. Frames hold Arrow types, so that money stays decimal: read them with `frame()`.
Canonical billing tables have their contract in `resources/billing/canonical.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd
import pandera.pandas as pa
import pyarrow

from resources.billing.returns import FACTS
from resources.warehouse import TenantWarehouse, duckdb_type

if TYPE_CHECKING:
    import dagster as dg

PERIOD = r"^\d{4}-(0[1-9]|1[0-2])$"
#: The record types that are compared and written, and what flows back to billing.
RECORDS = ["customer", "invoice", "creditMemo", "customerPayment", "journalEntry"]
RETURNED = [f"billing:{kind}" for kind in FACTS]
RECORD_OR_CUSTOM = rf"^({'|'.join(RECORDS + RETURNED)}|customrecord_\w+)$"

DIFFERENCE_KINDS = {
    "missing_in_netsuite": "Billing has it, NetSuite does not",
    "only_in_netsuite": "NetSuite has it, billing does not",
    "duplicate": "NetSuite holds the same document more than once",
    "changed": "A field differs",
    "wrong_customer": "Booked to another customer",
    "wrong_subsidiary": "Booked in another subsidiary",
    "wrong_currency": "Booked in another currency",
    "wrong_period": "Booked in another month",
    "line_missing": "A line is missing in NetSuite",
    "line_extra": "NetSuite has a line that billing does not",
    "line_changed": "A field of a line differs",
    "total": "The totals differ by more than the lines do",
    "not_comparable": "NetSuite has it, but it cannot be compared with billing's",
    "not_linked": "NetSuite has it without billing's external id",
    "ambiguous": "It may be one of several records on the other side",
    "grouped": "Several documents on one side add up to those on the other",
}

#: The rules under which values that differ as they stand are the same, in the order in which they are tried.
TOLERANCE_RULES = {
    "unicode": "Letters composed or decomposed",
    "case": "Upper or lower case",
    "space": "White space",
    "empty": "An empty text for none",
    "amount": "Within the amount",
    "percent": "Within the percentage of billing's value",
    "days": "Within the days",
}

#: Of what the difference between billing's totals and NetSuite's is made.
TOTAL_PARTS_IN_WORDS = {
    "missing_documents": "Documents that NetSuite lacks",
    "extra_documents": "Documents that billing does not have",
    "duplicate_documents": "Documents that NetSuite holds more than once",
    "other_month": "Documents that NetSuite dates in another month, or billing does",
    "other_currency": "Documents in another currency",
    "ambiguous": "Documents that may be one of several",
    "grouped": "Documents that only add up in groups",
    "not_comparable": "Documents that cannot be compared",
    "missing_lines": "Lines that NetSuite lacks",
    "extra_lines": "Lines that billing does not have",
    "quantity": "Quantities of lines, at billing's rates",
    "rate": "Rates of lines, for NetSuite's quantities",
    "rounding": "Amounts of lines by no more than their rounding",
    "amount": "Amounts of lines that are not quantity times rate, or have none",
    "tax": "Tax, of lines or computed by NetSuite",
    "discount": "Lines of discounts",
    "exchange_rate": "Exchange rates, in the base currency",
    "unexplained": "What nothing of this explains",
}

#: How two sides may disagree about what of a document is open.
DRIFT_KINDS = {
    "paid_in_billing": "Paid in billing, open in NetSuite",
    "paid_in_netsuite": "Paid in NetSuite, open in billing",
    "open_differs": "Open on both sides, by different amounts",
    "unapplied": "Not applied in NetSuite as far as in billing",
    "over_applied": "More applied than there is",
    "unknown_payment": "A payment in NetSuite that billing does not know",
    "unknown_credit_memo": "A credit memo in NetSuite that billing does not know",
}

EXCEPTION_CODES = {
    "no_customer": "The billing document names no customer",
    "unresolved_reference": "A value has no counterpart in NetSuite",
    "ambiguous_reference": "A value has several counterparts in NetSuite",
    "unmapped_value": "The mapping does not say what a value becomes",
    "invalid_value": "A value does not fit its NetSuite field",
    "only_in_netsuite": "NetSuite holds a document that billing does not",
    "duplicate": "NetSuite holds the same document more than once",
    "period_closed": "The accounting period does not take postings",
    "paused": "The tenant's file pauses writing",
    "before_cut_over": "It is dated before the day from which on it is written",
    "not_linked": "NetSuite seems to hold it already, without billing's external id",
    "ambiguous": "Several records of NetSuite may be it, or one is not surely it",
    "grouped": "Several documents on one side add up to those on the other",
    "conflict": "Both sides have changed a value since they agreed on it",
    "tax": "NetSuite has computed another tax",
    "total": "The totals differ by what neither lines nor tax explain",
    "not_approved": "A correction waits for approval",
    "rejected": "NetSuite refused a correction",
    "not_sent": "A correction could not be sent",
    "in_doubt": "It is not known whether a correction arrived",
    "changed_since_planned": "The record changed after the plan was made",
    "not_verified": "A correction was answered well but NetSuite shows otherwise",
    "changed_after_sign_off": "It changed after its month was signed off",
    **DRIFT_KINDS,
}


#: The stages that raise exceptions, in the order of a run.
STAGES = ["mapping", "reconcile", "receivables", "plan", "apply", "sign_off"]

#: How long an exception is open, in whole days: the first bucket whose last day is not passed.
AGE_BUCKETS = {"0-1": 1, "2-7": 7, "8-30": 30, "31-60": 60, "61-90": 90, "90+": None}


def _column(kind: pyarrow.DataType) -> Callable[..., pa.Column]:
    def make(description: str, *checks: pa.Check, nullable: bool = False, unique: bool = False) -> pa.Column:
        return pa.Column(
            pd.ArrowDtype(kind), list(checks), nullable=nullable, unique=unique, description=description
        )

    return make


_text = _column(pyarrow.string())
_amount = _column(pyarrow.decimal128(18, 4))
_integer = _column(pyarrow.int64())
_exact = _column(pyarrow.decimal128(38, 12))
_date = _column(pyarrow.date32())
_instant = _column(pyarrow.timestamp("us", tz="UTC"))
_flag = _column(pyarrow.bool_())


def _contract(table: str, columns: Mapping[str, pa.Column]) -> pa.DataFrameSchema:
    """A table's contract: these columns, in this order, and no others."""
    return pa.DataFrameSchema(dict(columns), name=table, strict=True, ordered=True)


#: One field of one record (or a whole record) on which billing and NetSuite disagree.
DIFFERENCES = _contract(
    "reconciliation.differences",
    {
        "period": _text("Accounting month, YYYY-MM", pa.Check.str_matches(PERIOD)),
        "record": _text("NetSuite record type", pa.Check.isin(RECORDS)),
        "external_id": _text("NetSuite external id", nullable=True),
        "internal_id": _text("NetSuite internal id, when it is there", nullable=True),
        "number": _text("Billing document number, or NetSuite's own", nullable=True),
        "name": _text("Customer name", nullable=True),
        "kind": _text("What kind of difference", pa.Check.isin(list(DIFFERENCE_KINDS))),
        "line": _text("The line, by its number, when one line differs", nullable=True),
        "field": _text("NetSuite field, when one field differs", nullable=True),
        "expected": _text("What the mapping says NetSuite should hold", nullable=True),
        "actual": _text("What NetSuite holds", nullable=True),
        "amount": _amount("Amount concerned, in the document's currency", pa.Check.ge(0)),
        "delta": _amount("What it adds to billing's total less NetSuite's"),
        "currency": _text("ISO 4217 currency", nullable=True),
        "owner": _text("Whose value counts", pa.Check.isin(["billing", "netsuite", "person"])),
        "reason": _text("The difference in a sentence"),
        "matched_by": _text("By what the two records were taken for the same", nullable=True),
        "rule": _text("The mapping's rule for what should be there, as file:line", nullable=True),
        "changed_by": _text("Who last changed the field in NetSuite, or else the document", nullable=True),
        "changed_at": _instant("When", nullable=True),
        "base": _text("What both sides agreed on last, where that is known", nullable=True),
        "changed_side": _text(
            "Who has changed it since then, where that is known",
            pa.Check.isin(["billing", "netsuite", "both"]),
            nullable=True,
        ),
    },
)

#: What tolerances and normalisations took for the same, though it is not as it stands.
TOLERATED = _contract(
    "reconciliation.tolerated",
    {
        "period": _text("Accounting month, YYYY-MM", pa.Check.str_matches(PERIOD)),
        "record": _text("NetSuite record type", pa.Check.isin(RECORDS)),
        "part": _text(
            "Whether the field is of the header or of the lines", pa.Check.isin(["header", "line"])
        ),
        "field": _text("NetSuite field"),
        "rule": _text("The rule by which the values are the same", pa.Check.isin(list(TOLERANCE_RULES))),
        "currency": _text("ISO 4217 currency, of amounts", nullable=True),
        "uses": _integer("How many pairs of values", pa.Check.ge(1)),
        "delta": _exact("Billing's less NetSuite's, summed: in the field's unit, or in days", nullable=True),
        "greatest": _exact("The greatest of these differences", pa.Check.ge(0), nullable=True),
    },
)

#: Something that needs a person, as the latest run of a stage saw it: on which record, why, and what to do.
EXCEPTIONS = _contract(
    "reconciliation.exceptions",
    {
        "period": _text("Accounting month, YYYY-MM", pa.Check.str_matches(PERIOD)),
        "stage": _text("Where it was found", pa.Check.isin(STAGES)),
        "code": _text("Reason code", pa.Check.isin(list(EXCEPTION_CODES))),
        "record": _text("NetSuite record type", pa.Check.str_matches(RECORD_OR_CUSTOM)),
        "external_id": _text("NetSuite external id", nullable=True),
        "internal_id": _text("NetSuite internal id, when it is there", nullable=True),
        "number": _text("Document number", nullable=True),
        "name": _text("Customer name", nullable=True),
        "amount": _amount("Amount concerned, in the document's currency"),
        "currency": _text("ISO 4217 currency", nullable=True),
        "reason": _text("What happened, in a sentence"),
        "next_step": _text("What a person should do"),
    },
)

#: One exception that is not closed, as the ledger keeps it: its story so far beside what the latest run saw.
LASTING_EXCEPTIONS = _contract(
    "exceptions",
    {
        "period": _text("Accounting month, YYYY-MM", pa.Check.str_matches(PERIOD)),
        "exception": _integer("The number by which people call it", unique=True),
        "state": _text("Whether somebody accepted it for now", pa.Check.isin(["open", "accepted"])),
        "stage": _text("Where it was found", pa.Check.isin(STAGES)),
        "code": _text("Reason code", pa.Check.isin(list(EXCEPTION_CODES))),
        "record": _text("NetSuite record type"),
        "external_id": _text("NetSuite external id", nullable=True),
        "internal_id": _text("NetSuite internal id, when it is there", nullable=True),
        "number": _text("Document number", nullable=True),
        "name": _text("Customer name", nullable=True),
        "amount": _amount("Amount concerned, in the document's currency"),
        "currency": _text("ISO 4217 currency", nullable=True),
        "age": _integer("Whole days since it opened", pa.Check.ge(0)),
        "bucket": _text("Its age in days, as a range", pa.Check.isin(list(AGE_BUCKETS))),
        "owner": _text("Who shall see to it", nullable=True),
        "comment": _text("The latest comment", nullable=True),
        "accepted_by": _text("Who accepted it", nullable=True),
        "accepted_because": _text("Why", nullable=True),
        "accepted_until": _date("The last day on which it is accepted", nullable=True),
        "reason": _text("What happened, in a sentence"),
        "next_step": _text("What a person should do"),
        "opened_at": _instant("When it opened, the last time"),
        "first_opened_at": _instant("When it opened, the first time"),
        "times_opened": _integer("How often its cause came", pa.Check.ge(1)),
        "last_seen_at": _instant("When a run saw it last"),
    },
)

#: One event in the life of an exception, closed ones included.
EXCEPTION_HISTORY = _contract(
    "exception_history",
    {
        "period": _text("Accounting month, YYYY-MM", pa.Check.str_matches(PERIOD)),
        "exception": _integer("The exception's number"),
        "happened_at": _instant("When"),
        "event": _text("What happened"),
        "done_by": _text("Who did it: a person, or a run"),
        "detail": _text("What was said, or what it was before", nullable=True),
        "amount": _amount("The amount concerned then"),
        "currency": _text("ISO 4217 currency", nullable=True),
        "code": _text("The exception's reason code"),
        "record": _text("NetSuite record type"),
        "external_id": _text("NetSuite external id", nullable=True),
        "internal_id": _text("NetSuite internal id", nullable=True),
        "number": _text("Document number", nullable=True),
        "name": _text("Customer name", nullable=True),
    },
)

#: One step of a month's sign-off: who, when, why, and what they saw of the exceptions.
SIGN_OFFS = _contract(
    "sign_offs",
    {
        "period": _text("Accounting month, YYYY-MM", pa.Check.str_matches(PERIOD)),
        "sequence": _integer("The steps of a month count from 1", pa.Check.ge(1)),
        "happened_at": _instant("When"),
        "event": _text("What was done", pa.Check.isin(["prepared", "reviewed", "withdrawn", "reopened"])),
        "done_by": _text("Who did it: a person, or a run that found a change"),
        "note": _text("What was said"),
        "despite": _text("Why it was signed with open exceptions", nullable=True),
        "is_latest": _flag("Whether it is the month's state now"),
        "open_exceptions": _integer("Exceptions that were open", nullable=True),
        "accepted_exceptions": _integer("Exceptions that were accepted", nullable=True),
        "changed_documents": _integer("Documents that no longer tied, when it re-opened", nullable=True),
        "fingerprint": _text("Hash of the month's figures that were seen", nullable=True),
    },
)

#: What they saw of one record type and currency.
SIGN_OFF_TOTALS = _contract(
    "sign_off_totals",
    {
        "period": _text("Accounting month, YYYY-MM", pa.Check.str_matches(PERIOD)),
        "sequence": _integer("The step of the month's sign-off", pa.Check.ge(1)),
        "record": _text("NetSuite record type"),
        "currency": _text("ISO 4217 currency"),
        "billed_documents": _integer("Documents that billing issued in the month"),
        "billed": _amount("Their total"),
        "held_back_documents": _integer("Of these, documents that cannot be mapped"),
        "held_back": _amount("Their total"),
        "netsuite_documents": _integer("Documents that NetSuite held in the month"),
        "netsuite": _amount("Their total"),
        "difference": _amount("Billed less held back less NetSuite"),
        "unexplained": _amount("The part of it that no difference explained"),
    },
)

#: A version of a tenant's mapping that was in use, and the plans of one month that it made.
MAPPING_VERSIONS = _contract(
    "mapping_versions",
    {
        "period": _text("Accounting month of the plans; empty where it made none", nullable=True),
        "version": _integer("The tenant's versions count from 1, in the order of their use", pa.Check.ge(1)),
        "hash": _text("Hash of all that decides what NetSuite should hold"),
        "used_from": _instant("When a run used it first, after another one"),
        "used_until": _instant("When the next one was used", nullable=True),
        "changes": _integer("Keys that differ from the version before"),
        "plans": _integer("Plans that it made of the month"),
        "latest_plan": _text("The last of them", nullable=True),
        "latest_plan_at": _instant("When that was made", nullable=True),
    },
)

#: One key that a version of a tenant's mapping has otherwise than the one before.
MAPPING_CHANGES = _contract(
    "mapping_changes",
    {
        "period": _text("Always empty: a mapping counts for all months", nullable=True),
        "version": _integer("The version that has it", pa.Check.ge(1)),
        "hash": _text("Its hash"),
        "used_from": _instant("When a run used it first"),
        "path": _text("The key, with those above it"),
        "change": _text("What happened to it", pa.Check.isin(["added", "removed", "changed"])),
        "before": _text("What it was, as JSON where it is no plain value", nullable=True),
        "after": _text("What it is", nullable=True),
    },
)

#: One side-by-side total: what billing billed and what NetSuite held, before any correction.
TOTALS = _contract(
    "reconciliation.totals",
    {
        "period": _text("Accounting month, YYYY-MM", pa.Check.str_matches(PERIOD)),
        "record": _text("NetSuite record type", pa.Check.isin(["invoice", "creditMemo"])),
        "currency": _text("ISO 4217 currency"),
        "billed_documents": _integer("Documents that billing issued in the month", pa.Check.ge(0)),
        "billed_total": _amount("Their total"),
        "held_back_documents": _integer("Of these, documents that cannot be mapped", pa.Check.ge(0)),
        "held_back_total": _amount("Their total"),
        "netsuite_documents": _integer("Documents that NetSuite holds in the month", pa.Check.ge(0)),
        "netsuite_total": _amount("Their total"),
        "difference": _amount("Billed less held back less NetSuite"),
        "explained": _amount("The part of it that the differences add up to"),
        "unexplained": _amount("The rest"),
    },
)

#: A part of the difference of the totals, of one document; `amount` adds up to the month's difference, exactly.
TOTAL_PARTS = _contract(
    "reconciliation.total_parts",
    {
        "period": _text("Accounting month, YYYY-MM", pa.Check.str_matches(PERIOD)),
        "record": _text("NetSuite record type", pa.Check.isin(["invoice", "creditMemo"])),
        "external_id": _text("NetSuite external id", nullable=True),
        "internal_id": _text("NetSuite internal id, when it is there", nullable=True),
        "number": _text("Document number", nullable=True),
        "name": _text("Customer name", nullable=True),
        "currency": _text("ISO 4217 currency"),
        "part": _text("What it is", pa.Check.isin(list(TOTAL_PARTS_IN_WORDS))),
        "amount": _amount("Billing's less NetSuite's, in the document's currency"),
        "base_currency": _text("The subsidiary's base currency, of exchange rates", nullable=True),
        "base_amount": _amount("What the exchange rates move in it", nullable=True),
        "detail": _text("How it comes about, in a sentence"),
    },
)

#: What must tie in a month, in words.
TIE_OUT_NAMES = {
    "receivables": "What customers owe more or less than before",
    "control_account": "NetSuite's documents against the accounts of receivables",
    "revenue": "Revenue by account",
    "deferred_revenue": "Deferred revenue and prepaid balances by account",
    "unbilled": "Unbilled receivables by account",
    "prepaid": "Prepaid balances and customer deposits by account",
}

#: Why a document stands between two sides that should tie.
TIE_OUT_CAUSES = {
    "not_mapped": "Billing has it, it cannot be mapped",
    "missing_in_netsuite": "Only billing has it",
    "only_in_netsuite": "Only NetSuite has it",
    "amount": "The amounts differ",
    "journal": "A journal from elsewhere",
    "revenue_recognition": "A journal of revenue recognition",
    "not_posted": "Dated in the month, not posted in its period",
    "dated_elsewhere": "Posted in the month's period, dated in another month",
    "elsewhere": "In another subsidiary, currency or account",
    "other_transaction": "Another kind of transaction",
    "rounding": "Rounding of what was exchanged",
    "unexplained": "Nothing explains it",
}

SIDES = ["billing", "netsuite", "general_ledger"]

#: Two sides of a month that should be the same, and how much of their difference is explained.
TIE_OUTS = _contract(
    "reconciliation.tie_outs",
    {
        "period": _text("Accounting month, YYYY-MM", pa.Check.str_matches(PERIOD)),
        "tie_out": _text("What must tie", pa.Check.isin(list(TIE_OUT_NAMES))),
        "basis": _text(
            "In the documents' currency, or in the subsidiary's", pa.Check.isin(["transaction", "base"])
        ),
        "subsidiary": _text("NetSuite internal id; empty in a single company", nullable=True),
        "subsidiary_name": _text("Its name", nullable=True),
        "account_number": _text("The account's number, when the tie-out is of one", nullable=True),
        "account_name": _text("Its name", nullable=True),
        "currency": _text("ISO 4217 currency"),
        "left_side": _text("Whose amount is on the left", pa.Check.isin(SIDES)),
        "right_side": _text("Whose amount is on the right", pa.Check.isin(SIDES)),
        "left_amount": _amount("What moved in the month there"),
        "right_amount": _amount("What moved in the month here"),
        "difference": _amount("Left less right"),
        "explained": _amount("The part of it that documents and journals explain"),
        "unexplained": _amount("The rest"),
        "items": _integer("How many documents and journals stand between the sides", pa.Check.ge(0)),
    },
)

#: One document or journal in which two sides that should tie differ.
TIE_OUT_ITEMS = _contract(
    "reconciliation.tie_out_items",
    {
        "period": _text("Accounting month, YYYY-MM", pa.Check.str_matches(PERIOD)),
        "tie_out": _text("What must tie", pa.Check.isin(list(TIE_OUT_NAMES))),
        "basis": _text(
            "In the documents' currency, or in the subsidiary's", pa.Check.isin(["transaction", "base"])
        ),
        "subsidiary": _text("NetSuite internal id; empty in a single company", nullable=True),
        "subsidiary_name": _text("Its name", nullable=True),
        "account_number": _text("The account's number, when the tie-out is of one", nullable=True),
        "account_name": _text("Its name", nullable=True),
        "currency": _text("ISO 4217 currency"),
        "record": _text("NetSuite record type, or its code for a transaction of another kind"),
        "external_id": _text("NetSuite external id", nullable=True),
        "internal_id": _text("NetSuite internal id, when it is there", nullable=True),
        "number": _text("Billing document number, or NetSuite's own", nullable=True),
        "name": _text("Customer name, or a journal's memo", nullable=True),
        "left_amount": _amount("What it moves on the left"),
        "right_amount": _amount("What it moves on the right"),
        "amount": _amount("Left less right"),
        "cause": _text("Why", pa.Check.isin(list(TIE_OUT_CAUSES))),
        "reason": _text("Why, in a sentence"),
    },
)

#: What is rolled forward, in words.
BALANCES = {
    "receivables": "Receivables",
    "deferred_revenue": "Deferred revenue",
    "unbilled": "Unbilled receivables",
    "prepaid": "Prepaid balances",
}

#: A balance from the month's opening to its closing, on one side.
ROLL_FORWARD = _contract(
    "reconciliation.roll_forward",
    {
        "period": _text("Accounting month, YYYY-MM", pa.Check.str_matches(PERIOD)),
        "balance": _text("What is rolled forward", pa.Check.isin(list(BALANCES))),
        "side": _text("Whose", pa.Check.isin(SIDES)),
        "subsidiary": _text("NetSuite internal id; empty in a single company", nullable=True),
        "subsidiary_name": _text("Its name", nullable=True),
        "account_id": _text("NetSuite internal id of the account; empty for receivables", nullable=True),
        "account_number": _text("Its number", nullable=True),
        "account_name": _text("Its name", nullable=True),
        "currency": _text("ISO 4217: of the documents, or the subsidiary's in the general ledger"),
        "opening": _amount("The balance before the month; empty when that is not known", nullable=True),
        "opening_from": _text("Where the opening comes from"),
        "invoices": _amount("Invoiced in the month"),
        "credits": _amount("Credited"),
        "payments": _amount("Paid"),
        "prepayments": _amount("Paid in advance, of prepaid balances"),
        "applications": _amount("Used of what was paid in advance"),
        "adjustments": _amount("What journals and other transactions add"),
        "closing": _amount(
            "Opening with invoices and prepayments, less credits, payments and applications, with adjustments",
            nullable=True,
        ),
    },
)

#: One document of which another part is open in billing than in NetSuite at the end of the month.
DRIFT = _contract(
    "reconciliation.receivables_drift",
    {
        "period": _text("Accounting month, YYYY-MM", pa.Check.str_matches(PERIOD)),
        "kind": _text("How the sides disagree", pa.Check.isin(list(DRIFT_KINDS))),
        "record": _text("NetSuite record type", pa.Check.isin(["invoice", "creditMemo", "customerPayment"])),
        "external_id": _text("NetSuite external id", nullable=True),
        "internal_id": _text("NetSuite internal id, when it is there", nullable=True),
        "number": _text("Billing document number, or NetSuite's own", nullable=True),
        "name": _text("Customer name", nullable=True),
        "dated_in": _text("The document's month"),
        "currency": _text("ISO 4217 currency"),
        "billing_open": _amount(
            "Not paid, or not used, in billing; empty where billing does not tell", nullable=True
        ),
        "netsuite_open": _amount("The same in NetSuite", nullable=True),
        "amount": _amount("Amount concerned", pa.Check.ge(0)),
        "reason": _text("What differs, in a sentence"),
        "next_step": _text("What a person should do"),
    },
)

#: By how many days an invoice is overdue.
OVERDUE = ("not due", "1-30", "31-60", "61-90", "90+")

#: What is open of invoices at the end of the month, by age, on both sides.
AGING = _contract(
    "reconciliation.aging",
    {
        "period": _text("Accounting month, YYYY-MM", pa.Check.str_matches(PERIOD)),
        "subsidiary": _text("NetSuite internal id; empty in a single company", nullable=True),
        "subsidiary_name": _text("Its name", nullable=True),
        "currency": _text("ISO 4217 currency"),
        "bucket": _text("Days overdue at the end of the month", pa.Check.isin(list(OVERDUE))),
        "billing_documents": _integer("Open invoices in billing", pa.Check.ge(0)),
        "billing_open": _amount("What is open of them"),
        "netsuite_documents": _integer("Open invoices in NetSuite", pa.Check.ge(0)),
        "netsuite_open": _amount("What is open of them"),
        "difference": _amount("Billing less NetSuite"),
    },
)

#: One intended write of a plan, with the exact bytes that will be sent.
PLAN = _contract(
    "write_back.plan",
    {
        "period": _text("Accounting month, YYYY-MM", pa.Check.str_matches(PERIOD)),
        "plan_id": _text("Hash of the whole plan"),
        "sequence": _integer("Order of the operation in the plan", pa.Check.ge(1)),
        "wave": _integer("Operations of a wave wait for those of earlier waves", pa.Check.ge(0)),
        "operation_key": _text("Hash of the operation and what it is based on", unique=True),
        "record": _text(
            "NetSuite record type, or what flows back to billing", pa.Check.isin(RECORDS + RETURNED)
        ),
        "action": _text("What is done", pa.Check.isin(["create", "link", "update", "delete", "return"])),
        "external_id": _text("NetSuite external id", nullable=True),
        "internal_id": _text("NetSuite internal id before the write", nullable=True),
        "base_modified": _text("Last change of the record that the plan is based on", nullable=True),
        "waits_for": _text("Records that it needs first: types and external ids", nullable=True),
        "number": _text("Document number", nullable=True),
        "name": _text("Customer name", nullable=True),
        "amount": _amount("Amount that the write moves, in the document's currency", pa.Check.ge(0)),
        "currency": _text("ISO 4217 currency", nullable=True),
        "changes": _text("Before and after, in words"),
        "fields": _text("The fields that an update changes", nullable=True),
        "posts_in": _text("The month that it is posted in, when its own takes no postings", nullable=True),
        "method": _text("HTTP method", pa.Check.isin(["PUT", "PATCH", "POST", "DELETE"])),
        "path": _text("Path under the record service, or of billing's row"),
        "query": _text("Query string"),
        "body": _text("The exact request body"),
        "body_hash": _text("SHA-256 of the request"),
        "held": _text("Why this operation is not sent, when it is not", nullable=True),
        "waits_because": _text("Why a person must approve it, when one must", nullable=True),
    },
)

#: What became of one operation in the latest apply.
OUTCOMES = _contract(
    "write_back.outcomes",
    {
        "period": _text("Accounting month, YYYY-MM", pa.Check.str_matches(PERIOD)),
        "plan_id": _text("Hash of the whole plan"),
        "operation_key": _text("The plan's operation", unique=True),
        "record": _text(
            "NetSuite record type, or what flows back to billing", pa.Check.isin(RECORDS + RETURNED)
        ),
        "action": _text("What was done", pa.Check.isin(["create", "link", "update", "delete", "return"])),
        "external_id": _text("NetSuite external id", nullable=True),
        "internal_id": _text("NetSuite internal id", nullable=True),
        "number": _text("Document number", nullable=True),
        "name": _text("Customer name", nullable=True),
        "amount": _amount("Amount that the write moved", pa.Check.ge(0)),
        "currency": _text("ISO 4217 currency", nullable=True),
        "state": _text(
            "What became of it",
            pa.Check.isin(["written", "adopted", "rejected", "in_doubt", "stale", "held", "waiting"]),
        ),
        "detail": _text("NetSuite's own words, or ours", nullable=True),
        "next_step": _text("What a person should do", nullable=True),
        "verified": _flag("Read back after the write and found as intended", nullable=True),
    },
)


class FrameError(Exception):
    """Rows break a column contract; the message names the table, the columns, the rules and the first rows."""


def table_name(model: pa.DataFrameSchema) -> str:
    """The DuckDB table, `schema.name`, that a contract is for."""
    return str(model.name)


def _arrow(column: pa.Column) -> pyarrow.DataType:
    return column.dtype.type.pyarrow_dtype


def columns(model: pa.DataFrameSchema) -> dict[str, str]:
    """The DuckDB columns of a model's table."""
    return {name: duckdb_type(_arrow(column)) for name, column in model.columns.items()}


def arrow_schema(model: pa.DataFrameSchema) -> pyarrow.Schema:
    """The Arrow schema of a model's rows."""
    return pyarrow.schema([(name, _arrow(column)) for name, column in model.columns.items()])


def frame(table: pyarrow.Table) -> pd.DataFrame:
    """A frame with Arrow types: decimals stay decimals and empty stays empty."""
    held: pd.DataFrame = table.to_pandas(types_mapper=pd.ArrowDtype)
    return held


def validated(model: pa.DataFrameSchema, data: pd.DataFrame) -> pd.DataFrame:
    """The frame, if it keeps its contract; else `FrameError` naming the rows."""
    try:
        checked: pd.DataFrame = model.validate(data, lazy=True)
        return checked
    except pa.errors.SchemaErrors as error:
        cases = error.failure_cases
        shown = "; ".join(
            f"{case.column} of row {case.index}: {case.failure_case!r} breaks {case.check}"
            for case in cases.head(5).itertuples()
        )
        raise FrameError(f"{model.name}: {len(cases)} values break the column contract: {shown}") from error


def records(data: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows as plain values: Decimal, str, int, and None where a value is absent."""
    return [
        {str(name): (None if value is pd.NA else value) for name, value in row.items()}
        for row in data.to_dict("records")
    ]


def rows_frame(model: pa.DataFrameSchema, rows: list[dict[str, Any]]) -> pd.DataFrame:
    """A validated frame from plain rows."""
    return validated(model, frame(pyarrow.Table.from_pylist(rows, schema=arrow_schema(model))))


def ensure(warehouse: TenantWarehouse, model: pa.DataFrameSchema) -> None:
    """Create the model's table, or bring it to the model's columns."""
    warehouse.ensure_table(table_name(model), columns(model))


def read(warehouse: TenantWarehouse, model: pa.DataFrameSchema, period: str) -> pd.DataFrame:
    """The validated rows of a period, in a stable order."""
    ensure(warehouse, model)
    names = ", ".join(f'"{name}"' for name in columns(model))
    table = warehouse.arrow(f"SELECT {names} FROM {model.name} WHERE period = ? ORDER BY ALL", [period])
    return validated(model, frame(table))


def replace(warehouse: TenantWarehouse, model: pa.DataFrameSchema, period: str, data: pd.DataFrame) -> None:
    """Replace the rows of a period with a validated frame, within the caller's transaction if there is one."""
    ensure(warehouse, model)
    table = pyarrow.Table.from_pandas(
        validated(model, data), schema=arrow_schema(model), preserve_index=False
    )
    warehouse.connection.execute(f"DELETE FROM {model.name} WHERE period = ?", [period])
    warehouse.connection.register("rows_in", table)
    warehouse.connection.execute(f"INSERT INTO {model.name} BY NAME SELECT * FROM rows_in")
    warehouse.connection.unregister("rows_in")


def replace_exceptions(
    warehouse: TenantWarehouse, period: str, stages: Sequence[str], data: pd.DataFrame
) -> None:
    """Replace the exceptions that some stages raised in a period; those of other stages stay."""
    ensure(warehouse, EXCEPTIONS)
    table = pyarrow.Table.from_pandas(
        validated(EXCEPTIONS, data), schema=arrow_schema(EXCEPTIONS), preserve_index=False
    )
    warehouse.connection.execute(
        "DELETE FROM reconciliation.exceptions WHERE period = ? AND list_contains(?, stage)",
        [period, list(stages)],
    )
    warehouse.connection.register("rows_in", table)
    warehouse.connection.execute("INSERT INTO reconciliation.exceptions BY NAME SELECT * FROM rows_in")
    warehouse.connection.unregister("rows_in")


def column_schema(model: pa.DataFrameSchema) -> dg.TableSchema:
    """The model as Dagster's column schema, for the asset's page."""
    import dagster as dg

    return dg.TableSchema(
        [
            dg.TableColumn(
                name,
                str(_arrow(column)),
                description=column.description,
                constraints=dg.TableColumnConstraints(
                    nullable=column.nullable,
                    unique=column.unique,
                    other=[check.error or str(check) for check in column.checks],
                ),
            )
            for name, column in model.columns.items()
        ]
    )
