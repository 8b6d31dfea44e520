"""Journal entries with their lines, and the ledger lines of receivables and revenue, from NetSuite into the warehouse.

Here: the journals that NetSuite dates in a month (`netsuite.journals`, `netsuite.journal_lines`), and what was posted in
the month to the accounts that billing is tied out to (`netsuite.gl_lines`). Not here: tying them out. Imports no Dagster.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

import pyarrow as pa

from netsuite_assets.extract.columns import (
    AMOUNT,
    MODIFIED,
    RATE,
    SYMBOL,
    TEXT,
    TIME,
    column_types,
    comparable,
    if_held,
    landed,
    mapped,
    visible,
)
from netsuite_assets.extract.deposits import extract_deposits, find_prepaid_accounts
from netsuite_assets.extract.rows import Column, Extraction
from netsuite_assets.extract.scopes import (
    ask_permission,
    dated_in,
    held_documents,
    held_in,
    proven,
    read_elsewhere,
    read_together,
)
from netsuite_assets.extract.sight import Reread, account_for_gone
from netsuite_assets.mapping.compiler import MappedField, RecordMapping
from netsuite_assets.tables import ACTUAL_CORE, ACTUAL_LINE_CORE
from resources.ledger.intents import Written
from resources.netsuite.client import NetSuite
from resources.netsuite.errors import Rejected
from resources.netsuite.records import record
from resources.netsuite.sets import Proof
from resources.netsuite.suiteql import in_lists
from resources.warehouse import Slice, TenantWarehouse, literal

JOURNALS: Final = ACTUAL_CORE | {
    "approval_status": "VARCHAR",
    "exchange_rate": "DECIMAL(28,12)",
    "memo": "VARCHAR",
    "is_reversal": "BOOLEAN",
    "reversal_id": "VARCHAR",
    "reversal_date": "DATE",
    "posting_period_id": "VARCHAR",
    "posting_period": "VARCHAR",
    "subsidiary": "VARCHAR",
    "created_by": "VARCHAR",
    "source": "VARCHAR",
    "is_revenue_recognition": "BOOLEAN",
}
"""Columns of `netsuite.journals`. `total` is the total debit in the journal's currency. A journal has no customer
(`name`) and nothing `remaining`. `subsidiary` is the internal id that all lines have; empty where they differ.
"""

JOURNAL_LINES: Final = ACTUAL_LINE_CORE | {
    "account_id": "VARCHAR",
    "account_number": "VARCHAR",
    "account_name": "VARCHAR",
    "debit": "DECIMAL(18,4)",
    "credit": "DECIMAL(18,4)",
    "memo": "VARCHAR",
    "entity_id": "VARCHAR",
    "entity_name": "VARCHAR",
    "subsidiary": "VARCHAR",
    "department": "VARCHAR",
    "class": "VARCHAR",
    "location": "VARCHAR",
    "is_revrec": "BOOLEAN",
}
"""Columns of `netsuite.journal_lines`. A line has one of `debit` and `credit`, positive and in the journal's currency;
`subsidiary`, `department`, `class` and `location` are internal ids.
"""

GL_LINES: Final = {
    "period": "VARCHAR",
    "transaction_id": "VARCHAR",
    "type": "VARCHAR",
    "number": "VARCHAR",
    "external_id": "VARCHAR",
    "line_no": "INTEGER",
    "account_id": "VARCHAR",
    "account_number": "VARCHAR",
    "account_name": "VARCHAR",
    "account_type": "VARCHAR",
    "debit": "DECIMAL(18,4)",
    "credit": "DECIMAL(18,4)",
    "amount": "DECIMAL(18,4)",
    "subsidiary": "VARCHAR",
    "posted_on": "DATE",
    "posting_period_id": "VARCHAR",
    "posting_period": "VARCHAR",
    "last_modified": "VARCHAR",
}
"""Columns of `netsuite.gl_lines`: the primary book, in the subsidiary's currency. `period` is the month of the posting
period, `posted_on` the transaction's date; `amount` is debit less credit, `type` NetSuite's code (`CustInvc`), `line_no`
the transaction's line.
"""

ACCOUNT_TYPES: Final = ("AcctRec", "DeferRevenue", "UnbilledRec", "Income", "OthIncome")
"""The types of the accounts that billing is tied out to, besides those of prepaid balances (`deposits.py`)."""

JOURNAL_COLUMNS: Final = {
    "id": Column("t.id", TEXT),
    "externalid": Column("t.externalid", TEXT),
    "tranid": Column("t.tranid", TEXT),
    "status": Column("t.status", TEXT),
    "approvalstatus": Column("t.approvalstatus", TEXT),
    "currency_id": Column("t.currency", TEXT),
    "exchangerate": Column("t.exchangerate", RATE),
    "memo": Column("t.memo", TEXT),
    "isreversal": Column("t.isreversal", pa.bool_()),
    "reversal": Column("t.reversal", TEXT),
    "reversaldate": Column("TO_CHAR(t.reversaldate, 'YYYY-MM-DD')", pa.date32()),
    "trandate": Column("TO_CHAR(t.trandate, 'YYYY-MM-DD')", pa.date32()),
    "postingperiod": Column("t.postingperiod", TEXT),
    "periodname": Column("BUILTIN.DF(t.postingperiod)", TEXT),
    "lastmodified": Column(MODIFIED, TEXT),
}
_ORIGIN: Final = {"createdby": Column("BUILTIN.DF(t.createdby)", TEXT), "source": Column("t.source", TEXT)}
"""What not every role sees."""

LINE_COLUMNS: Final = {
    "line_key": Column("tl.uniquekey", TEXT),
    "transaction_id": Column("t.id", TEXT),
    "line_no": Column("tl.linesequencenumber", pa.int64()),
    "account_id": Column("tl.expenseaccount", TEXT),
    "acctnumber": Column("a.acctnumber", TEXT),
    "accountname": Column("a.fullname", TEXT),
    "debit": Column("tl.debitforeignamount", AMOUNT),
    "credit": Column("tl.creditforeignamount", AMOUNT),
    "memo": Column("tl.memo", TEXT),
    "entity_id": Column("tl.entity", TEXT),
    "entityname": Column("BUILTIN.DF(tl.entity)", TEXT),
    "isrevrec": Column("tl.isrevrectransaction", pa.bool_()),
    "lastmodified": Column(MODIFIED, TEXT),
}
_SEGMENTS: Final = {name: Column(f"tl.{name}", TEXT) for name in ("department", "class", "location")}
_SUBSIDIARY: Final = {"subsidiary": Column("tl.subsidiary", TEXT)}
"""Accounts without the feature have no such columns."""

_LINES: Final = "transactionline tl JOIN transaction t ON t.id = tl.transaction"
_LINES_WITH_ACCOUNTS: Final = f"{_LINES} LEFT JOIN account a ON a.id = tl.expenseaccount"

GL_COLUMNS: Final = {
    "transaction_id": Column("tal.transaction", TEXT),
    "type": Column("t.type", TEXT),
    "tranid": Column("t.tranid", TEXT),
    "externalid": Column("t.externalid", TEXT),
    "line_no": Column("tal.transactionline", pa.int64()),
    "account_id": Column("tal.account", TEXT),
    "acctnumber": Column("a.acctnumber", TEXT),
    "accountname": Column("a.fullname", TEXT),
    "accttype": Column("a.accttype", TEXT),
    "debit": Column("tal.debit", AMOUNT),
    "credit": Column("tal.credit", AMOUNT),
    "trandate": Column("TO_CHAR(t.trandate, 'YYYY-MM-DD')", pa.date32()),
    "postingperiod": Column("t.postingperiod", TEXT),
    "periodname": Column("p.periodname", TEXT),
    "lastmodified": Column(
        f"TO_CHAR(GREATEST(NVL(tal.lastmodifieddate, t.lastmodifieddate), t.lastmodifieddate), {TIME})", TEXT
    ),
}
_GL: Final = (
    "transactionaccountingline tal JOIN transaction t ON t.id = tal.transaction"
    " JOIN account a ON a.id = tal.account JOIN accountingperiod p ON p.id = t.postingperiod"
)
_GL_LINES: Final = (
    " LEFT JOIN transactionline tl ON tl.transaction = tal.transaction AND tl.id = tal.transactionline"
)
_POSTED: Final = "tal.posting = 'T' AND p.isquarter = 'F' AND p.isyear = 'F'"
_OF_TYPE: Final = f"a.accttype IN ({', '.join(map(literal, ACCOUNT_TYPES))})"


async def extract_journals(
    warehouse: TenantWarehouse,
    netsuite: NetSuite,
    rules: RecordMapping | None,
    period: str,
    now: datetime,
    *,
    written: Sequence[Written] = (),
    accept_as_gone: str = "",
) -> dict[str, Slice]:
    """Land a month's journal entries and their lines. Customers and reference data must have landed before.

    `rules` are those of `journalEntry`, if the tenant maps journals: their fields come along, and so do the journals
    that billing has in the month and NetSuite dates elsewhere. `written` and `accept_as_gone`: see
    `sight.account_for_gone`, by which journals that are not shown any more are explained or refused.
    """
    kind = record("journalEntry")
    fields = [one for one in comparable(rules.fields if rules else ()) if one.name not in JOURNALS]
    line_fields = [
        one for one in comparable(rules.line_fields if rules else ()) if one.name not in JOURNAL_LINES
    ]
    warehouse.ensure_table("netsuite.journals", JOURNALS | column_types(fields))
    warehouse.ensure_table("netsuite.journal_lines", JOURNAL_LINES | column_types(line_fields))
    extraction = Extraction(warehouse, netsuite, lambda: now)
    columns = {**JOURNAL_COLUMNS, **mapped(fields), **await visible(netsuite, kind.source, _ORIGIN)}
    of_lines = await visible(netsuite, _LINES, _SUBSIDIARY | _SEGMENTS)
    line_columns = {**LINE_COLUMNS, **mapped(line_fields), **of_lines}
    extraction.prepare("journals", columns)
    extraction.prepare("journal_lines", line_columns)
    found: dict[str, str] = {}

    async def some_journals(scope: str, name: str, where: str) -> Proof:
        return await extraction.read(
            "journals", scope, name, columns, kind.source, f"{kind.where} AND {where}", kind.row_key,
            modified="lastmodified",
        )  # fmt: skip

    async def journals() -> Sequence[Proof]:
        proofs = [await some_journals(period, f"journals dated in {period}", dated_in("t.trandate", period))]
        found.clear()

        async def elsewhere(scope: str, where: str) -> None:
            name = f"journals expected in {period} that NetSuite dates elsewhere"
            proofs.append(await some_journals(scope, name, where))
            if (within := held_documents(warehouse, "journals", scope)) is not None:
                found[scope] = within

        scopes = (
            await read_elsewhere(warehouse, netsuite, rules, "journals", period, elsewhere) if rules else []
        )
        extraction.forget_but("journals", [period, *scopes], like=f"{period}%")
        return proofs

    async def lines() -> Sequence[Proof]:
        scopes = {period: dated_in("t.trandate", period), **found}
        proofs = [
            await extraction.read(
                "journal_lines", scope, f"lines of the journals of {scope}", line_columns, _LINES_WITH_ACCOUNTS,
                f"{kind.where} AND {where}", "tl.uniquekey", sums=("debit", "credit"), modified="lastmodified",
            )
            for scope, where in scopes.items()
        ]  # fmt: skip
        extraction.forget_but("journal_lines", list(scopes), like=f"{period}%")
        return proofs

    with extraction.transaction():
        what = f"journals of {period} and their lines"
        await read_together(warehouse.tenant, what, [journals, lines])
        if not proven(warehouse, "journals", period):
            await ask_permission(netsuite, "journalEntry")
        present = f"SELECT r.id FROM netsuite_rows.journals r WHERE {held_in(period)}"
        read = Reread("journalEntry", "netsuite.journals", period, present)
        await account_for_gone(extraction, read, written, accept_as_gone)
        return {
            "journals": warehouse.replace_slice(
                "netsuite.journals",
                period,
                _journals_sql(columns, line_columns, fields, period),
                key=("internal_id",),
                expected_rows=proven(warehouse, "journals", period),
                source="NetSuite",
                now=now,
            ),
            "journal_lines": warehouse.replace_slice(
                "netsuite.journal_lines",
                period,
                _journal_lines_sql(line_columns, line_fields, period),
                key=("line_key",),
                expected_rows=proven(warehouse, "journal_lines", period),
                source="NetSuite",
                now=now,
            ),
        }


def _journals_sql(
    columns: Mapping[str, Column],
    line_columns: Mapping[str, Column],
    fields: Sequence[MappedField],
    period: str,
) -> str:
    subsidiary = if_held(line_columns, "subsidiary")
    return f"""WITH of_lines AS (
        SELECT r.transaction_id, sum(r.debit) AS debit, bool_or(r.isrevrec) AS isrevrec,
            CASE WHEN count(DISTINCT {subsidiary}) = 1 THEN max({subsidiary}) END AS subsidiary
        FROM netsuite_rows.journal_lines r WHERE {held_in(period)} GROUP BY r.transaction_id
    )
    SELECT r.id AS internal_id, r.externalid AS external_id, r.tranid AS number, NULL::VARCHAR AS name, r.status,
        {SYMBOL} AS currency, coalesce(l.debit, 0)::DECIMAL(18,4) AS total, NULL::DECIMAL(18,4) AS remaining,
        strftime(r.trandate, '%Y-%m') AS dated_in, r.lastmodified AS last_modified,
        r.approvalstatus AS approval_status, r.exchangerate AS exchange_rate, r.memo,
        coalesce(r.isreversal, false) AS is_reversal, r.reversal AS reversal_id, r.reversaldate AS reversal_date,
        r.postingperiod AS posting_period_id, r.periodname AS posting_period, l.subsidiary,
        {if_held(columns, "createdby")} AS created_by, {if_held(columns, "source")} AS source,
        coalesce(l.isrevrec, false) AS is_revenue_recognition{"".join(landed(field) for field in fields)}
    FROM netsuite_rows.journals r LEFT JOIN of_lines l ON l.transaction_id = r.id WHERE {held_in(period)}"""


def _journal_lines_sql(columns: Mapping[str, Column], fields: Sequence[MappedField], period: str) -> str:
    held = ", ".join(f'{if_held(columns, name)} AS "{name}"' for name in (*_SUBSIDIARY, *_SEGMENTS))
    return f"""SELECT r.transaction_id AS internal_id, r.line_key, r.line_no::INTEGER AS line_no,
        r.account_id, r.acctnumber AS account_number, r.accountname AS account_name, r.debit, r.credit, r.memo,
        r.entity_id, coalesce(c.name, r.entityname) AS entity_name, {held},
        coalesce(r.isrevrec, false) AS is_revrec{"".join(landed(field) for field in fields)}
    FROM netsuite_rows.journal_lines r LEFT JOIN netsuite.customers c ON c.internal_id = r.entity_id
    WHERE {held_in(period)}"""


async def extract_gl_lines(
    warehouse: TenantWarehouse,
    netsuite: NetSuite,
    period: str,
    now: datetime,
    prepaid_accounts: Sequence[str] = (),
) -> dict[str, Slice]:
    """Land what was posted in the month's periods to the accounts of `ACCOUNT_TYPES` and of prepaid balances, adjustment
    periods included, and the month's customer deposits. `prepaid_accounts` are the numbers that the tenant's file names.

    Customers and reference data must have landed before. Raises `deposits.MissingAccount`.
    """
    prepaid = await find_prepaid_accounts(warehouse, netsuite, period, prepaid_accounts, now)
    accounts = " OR ".join([_OF_TYPE, *in_lists("tal.account", [int(one) for one in prepaid])])
    deposits = await extract_deposits(warehouse, netsuite, period, now)
    warehouse.ensure_table("netsuite.gl_lines", GL_LINES)
    extraction = Extraction(warehouse, netsuite, lambda: now)
    by_subsidiary = await visible(netsuite, _LINES, _SUBSIDIARY)
    columns = {**GL_COLUMNS, **by_subsidiary}
    extraction.prepare("gl_lines", columns)
    with extraction.transaction():
        proof = await extraction.read(
            "gl_lines",
            period,
            f"ledger lines posted in {period}",
            columns,
            _GL + _GL_LINES if by_subsidiary else _GL,
            " AND ".join(
                [_POSTED, f"({accounts})", dated_in("p.startdate", period), *await _in_primary_book(netsuite)]
            ),
            "tal.transaction",
            unique=False,
            sums=("debit", "credit"),
            modified="lastmodified",
        )
        posted = warehouse.replace_slice(
            "netsuite.gl_lines",
            period,
            f"""SELECT r.transaction_id, r.type, r.tranid AS number, r.externalid AS external_id,
                r.line_no::INTEGER AS line_no, r.account_id, r.acctnumber AS account_number,
                r.accountname AS account_name, r.accttype AS account_type, r.debit, r.credit,
                (coalesce(r.debit, 0) - coalesce(r.credit, 0))::DECIMAL(18,4) AS amount,
                {if_held(columns, "subsidiary")} AS subsidiary, r.trandate AS posted_on,
                r.postingperiod AS posting_period_id, r.periodname AS posting_period, r.lastmodified AS last_modified
            FROM netsuite_rows.gl_lines r WHERE r.scope = {literal(period)}""",
            key=("transaction_id", "line_no"),
            expected_rows=proof.after.rows,
            source="NetSuite",
            now=now,
        )
        return {"gl_lines": posted, "deposits": deposits}


async def _in_primary_book(netsuite: NetSuite) -> list[str]:
    """The condition that a ledger line is of the primary book; none where the account has one book only."""
    try:
        books = await netsuite.suiteql_rows("SELECT b.id AS id FROM accountingbook b WHERE b.isprimary = 'T'")
    except Rejected as error:
        if "Invalid search type" not in error.said:
            raise
        return []
    return list(in_lists("tal.accountingbook", [int(book["id"]) for book in books]))
