"""Customer deposits and their applications, and the accounts on which prepaid balances stand, from NetSuite.

Here: the deposits and applications that NetSuite dates in a month (`netsuite.deposits`), and which accounts of liabilities
are prepaid balances (`netsuite.prepaid_accounts`). Not here: what is posted to these (`journals.py`), or tying it out.
Imports no Dagster.

A deposit is money that a customer pays before there is an invoice; an application settles invoices with it. Sources do not
say how an application names its deposit: it is taken from the link between the two, and is empty where there is none.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

import pyarrow as pa

from netsuite_assets.extract.columns import AMOUNT, MODIFIED, RATE, SYMBOL, TEXT, if_held, visible
from netsuite_assets.extract.rows import Column, Extraction
from netsuite_assets.extract.scopes import Read, dated_in, read_together
from netsuite_assets.tables import ACTUAL_CORE
from resources.netsuite.client import NetSuite
from resources.netsuite.sets import Proof
from resources.netsuite.suiteql import in_lists, literal
from resources.warehouse import IncompleteSlice, Slice, TenantWarehouse
from resources.warehouse import literal as quoted

DEPOSITS: Final = ACTUAL_CORE | {
    "record": "VARCHAR",
    "customer_id": "VARCHAR",
    "customer_external_id": "VARCHAR",
    "exchange_rate": "DECIMAL(28,12)",
    "subsidiary": "VARCHAR",
    "deposit_id": "VARCHAR",
}
"""Columns of `netsuite.deposits`. `record` is `customerDeposit` or `depositApplication`; `total` is positive and in the
document's currency; `deposit_id` is an application's deposit, and empty where NetSuite shows no link or more than one.
"""

PREPAID_ACCOUNTS: Final = {
    "period": "VARCHAR",
    "internal_id": "VARCHAR",
    "number": "VARCHAR",
    "name": "VARCHAR",
    "account_type": "VARCHAR",
    "is_named": "BOOLEAN",
}
"""Columns of `netsuite.prepaid_accounts`: `is_named` where the tenant's file names the account, else deposits post to it."""

LIABILITIES: Final = ("OthCurrLiab", "LongTermLiab")
"""The types of accounts to which deposits post."""

_RECORDS: Final = {"CustDep": "customerDeposit", "DepAppl": "depositApplication"}
_IS_DEPOSIT: Final = f"t.type IN ({', '.join(map(literal, _RECORDS))})"
_MAIN_LINE: Final = "transaction t JOIN transactionline tl ON tl.transaction = t.id AND tl.mainline = 'T'"
_COLUMNS: Final = {
    "id": Column("t.id", TEXT),
    "type": Column("t.type", TEXT),
    "externalid": Column("t.externalid", TEXT),
    "tranid": Column("t.tranid", TEXT),
    "customer_id": Column("t.entity", TEXT),
    "entityname": Column("BUILTIN.DF(t.entity)", TEXT),
    "status": Column("t.status", TEXT),
    "currency_id": Column("t.currency", TEXT),
    # Accounts print credits with either sign.
    "total": Column("ABS(t.foreigntotal)", AMOUNT),
    "exchangerate": Column("t.exchangerate", RATE),
    "trandate": Column("TO_CHAR(t.trandate, 'YYYY-MM-DD')", pa.date32()),
    "lastmodified": Column(MODIFIED, TEXT),
}
_SUBSIDIARY: Final = {"subsidiary": Column("tl.subsidiary", TEXT)}
"""Single-company accounts have no such column."""

_LINKS: Final = "NextTransactionLineLink l JOIN transaction d ON d.id = l.previousdoc JOIN transaction t ON t.id = l.nextdoc"
_LINK_COLUMNS: Final = {
    "application_id": Column("l.nextdoc", TEXT),
    # A number, so that a census adds the deposits up: a link that moves is noticed.
    "deposit_id": Column("l.previousdoc", pa.decimal128(18, 0)),
    "lastmodified": Column(MODIFIED, TEXT),
}


async def extract_deposits(
    warehouse: TenantWarehouse, netsuite: NetSuite, period: str, now: datetime
) -> Slice:
    """Land a month's customer deposits and applications. Customers and reference data must have landed before."""
    warehouse.ensure_table("netsuite.deposits", DEPOSITS)
    extraction = Extraction(warehouse, netsuite, lambda: now)
    columns = {**_COLUMNS, **await visible(netsuite, _MAIN_LINE, _SUBSIDIARY)}
    extraction.prepare("deposits", columns)
    extraction.prepare("deposit_links", _LINK_COLUMNS)
    in_month = dated_in("t.trandate", period)

    async def deposits() -> Sequence[Proof]:
        name = f"customer deposits and applications dated in {period}"
        where = f"{_IS_DEPOSIT} AND {in_month}"
        return [await extraction.read(
            "deposits", period, name, columns, _MAIN_LINE, where, "t.id", sums=("total",), modified="lastmodified",
            whole=("transaction t", where),
        )]  # fmt: skip

    async def links() -> Sequence[Proof]:
        name = f"deposits of the applications dated in {period}"
        where = f"d.type = 'CustDep' AND t.type = 'DepAppl' AND {in_month}"
        return [await extraction.read(
            "deposit_links", period, name, _LINK_COLUMNS, _LINKS, where, "l.nextdoc", unique=False, sums=("deposit_id",),
            modified="lastmodified",
        )]  # fmt: skip

    cases = " ".join(f"WHEN {quoted(code)} THEN {quoted(name)}" for code, name in _RECORDS.items())
    with extraction.transaction():
        (proof,) = await _both(warehouse, period, deposits, links)
        return warehouse.replace_slice(
            "netsuite.deposits",
            period,
            f"""SELECT r.id AS internal_id, r.externalid AS external_id, r.tranid AS number,
                coalesce(c.name, r.entityname) AS name, r.status, {SYMBOL} AS currency, r.total,
                NULL::DECIMAL(18,4) AS remaining, strftime(r.trandate, '%Y-%m') AS dated_in,
                r.lastmodified AS last_modified, CASE r.type {cases} END AS record, r.customer_id,
                c.external_id AS customer_external_id, r.exchangerate AS exchange_rate,
                {if_held(columns, "subsidiary")} AS subsidiary, l.deposit_id
            FROM netsuite_rows.deposits r LEFT JOIN netsuite.customers c ON c.internal_id = r.customer_id
            LEFT JOIN (
                SELECT application_id, CASE WHEN count(DISTINCT deposit_id) = 1 THEN any_value(deposit_id)::VARCHAR END
                    AS deposit_id
                FROM netsuite_rows.deposit_links WHERE scope = {quoted(period)} GROUP BY application_id) l
                ON l.application_id = r.id
            WHERE r.scope = {quoted(period)}""",
            key=("internal_id",),
            expected_rows=proof.after.rows,
            source="NetSuite",
            now=now,
        )


async def _both(warehouse: TenantWarehouse, period: str, deposits: Read, links: Read) -> Sequence[Proof]:
    """Read deposits and their links until they are of one moment; the proof of the deposits."""
    proofs: list[Proof] = []

    async def kept() -> Sequence[Proof]:
        proofs[:] = await deposits()
        return proofs

    await read_together(
        warehouse.tenant, f"customer deposits of {period} and their applications", [kept, links]
    )
    return proofs


async def find_prepaid_accounts(
    warehouse: TenantWarehouse, netsuite: NetSuite, period: str, named: Sequence[str], now: datetime
) -> list[str]:
    """Land the accounts on which prepaid balances stand: those `named` by number, and the liabilities to which deposits of
    any month post. Gives their internal ids. A number that no account has is a `MissingAccount`.
    """
    warehouse.ensure_table("netsuite.prepaid_accounts", PREPAID_ACCOUNTS)
    columns = "a.id AS id, a.acctnumber AS acctnumber, a.fullname AS fullname, a.accttype AS accttype"
    kinds = ", ".join(map(literal, LIABILITIES))
    rows = await netsuite.suiteql_rows(
        f"SELECT DISTINCT {columns} FROM transactionaccountingline tal JOIN transaction t ON t.id = tal.transaction"
        f" JOIN account a ON a.id = tal.account WHERE t.type = 'CustDep' AND tal.posting = 'T' AND a.accttype IN ({kinds})"
    )
    found = {row["id"]: (row, False) for row in rows}
    for where in in_lists("a.acctnumber", list(named)):
        known = await netsuite.suiteql_rows(f"SELECT {columns} FROM account a WHERE {where}")
        found |= {row["id"]: (row, True) for row in known}
    if missing := sorted(
        set(named) - {row.get("acctnumber") for row, is_named in found.values() if is_named}
    ):
        raise MissingAccount(
            f"{warehouse.tenant}: reconcile.prepaid_accounts names {', '.join(missing)}, and NetSuite shows no account of"
            " that number. Correct the number in the tenant's file, or give the role the permission Lists > Accounts and"
            " the subsidiaries of that account."
        )
    with warehouse.transaction():
        run = warehouse.connection.execute
        run("DELETE FROM netsuite.prepaid_accounts WHERE period = ?", [period])
        for key, (row, is_named) in sorted(found.items()):
            values = [period, key, row.get("acctnumber"), row.get("fullname"), row.get("accttype"), is_named]
            run("INSERT INTO netsuite.prepaid_accounts VALUES (?, ?, ?, ?, ?, ?)", values)
    return sorted(found)


class MissingAccount(IncompleteSlice):
    """An account that the tenant's file names and NetSuite does not show."""
