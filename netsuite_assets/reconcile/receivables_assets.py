"""Assets of the group *reconciliation* about balances: what ties, what does not, and what is open on one side only.

Thin: the figures are made in `subledger.py` beside this module.
"""

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import dagster as dg

from netsuite_assets.extract.assets import netsuite_credit_memos, netsuite_customers, netsuite_invoices
from netsuite_assets.extract.settlement_assets import netsuite_gl, netsuite_journals, netsuite_payments
from netsuite_assets.mapping.assets import expected_records
from netsuite_assets.partitions import tenant_months
from netsuite_assets.runs import tenant_run
from netsuite_assets.tell import SHOWN, count, markdown, money, moneys
from resources.as_dagster import LedgerResource, TenantsResource, WarehouseResource

if TYPE_CHECKING:
    import pandas as pd

_TIE_OUTS = """Billing's receivable against NetSuite's subledger and the accounts of receivables, and revenue, deferred and
unbilled revenue and prepaid balances by account; with the roll-forward of all balances on each side.

Each difference is shown with the documents and journals that explain it, to the cent, and with what nothing explains.
"""

_DRIFT = """What is paid in billing and open in NetSuite at the end of the month, and the reverse; what is not applied, or too
much; payments and credit memos that billing does not know. With the age of what is open on both sides.

What no difference explains is an exception each, unless the tenant's file says `reconcile.drift: report`.
"""

_SIDES = {"billing": "Billing", "netsuite": "NetSuite", "general_ledger": "General ledger"}


@dg.multi_asset(
    specs=[
        dg.AssetSpec(
            name,
            group_name="reconciliation",
            partitions_def=tenant_months,
            kinds={"duckdb", "pandas"},
            description=description,
            deps=[
                expected_records,
                netsuite_customers,
                netsuite_invoices,
                netsuite_credit_memos,
                netsuite_payments,
                netsuite_journals,
                netsuite_gl,
                "differences",
            ],
        )
        for name, description in (("tie_outs", _TIE_OUTS), ("receivables_drift", _DRIFT))
    ],
)
def receivables(
    context: dg.AssetExecutionContext,
    tenants: TenantsResource,
    warehouse: WarehouseResource,
    ledger: LedgerResource,
) -> Iterator[dg.MaterializeResult[None]]:
    """Tie out the month's receivables and revenue, and find what is open on one side only."""
    from netsuite_assets import frames
    from netsuite_assets.reconcile.drift_exceptions import STAGE
    from netsuite_assets.reconcile.exceptions import synchronise
    from netsuite_assets.reconcile.subledger import reconcile_receivables
    from resources.warehouse import utc_now

    with (
        tenant_run(context, tenants) as run,
        warehouse.get().open(run.tenant.name) as held,
        ledger.open() as book,
    ):
        found = reconcile_receivables(held, run.mapping, run.period, run.tenant.reconcile.drift)
        synchronise(held, book, run.period, [STAGE], utc_now(), context.run.run_id)
    ties = frames.records(found.tie_outs)
    drift = frames.records(found.drift)
    yield dg.MaterializeResult(
        asset_key="tie_outs",
        metadata={
            "dagster/row_count": len(ties),
            "in short": _in_short(ties),
            "unexplained": moneys(_by_currency((row["currency"], abs(row["unexplained"])) for row in ties)),
            "tie-outs": dg.MetadataValue.md(ties_table(found.tie_outs)),
            "what stands between": dg.MetadataValue.md(items_table(found.items)),
            "roll-forward": dg.MetadataValue.md(roll_forward_table(found.roll_forward)),
            "dagster/column_schema": frames.column_schema(frames.TIE_OUTS),
        },
    )
    yield dg.MaterializeResult(
        asset_key="receivables_drift",
        metadata={
            "dagster/row_count": len(drift),
            "amount": moneys(_by_currency((row["currency"], row["amount"]) for row in drift)),
            "exceptions": len(found.exceptions),
            "by kind": dg.MetadataValue.md(drift_kinds_table(found.drift)),
            "documents": dg.MetadataValue.md(drift_table(found.drift)),
            "aging": dg.MetadataValue.md(aging_table(found.aging)),
            "dagster/column_schema": frames.column_schema(frames.DRIFT),
        },
    )


def _in_short(ties: Sequence[Mapping[str, Any]]) -> str:
    """How many tie, how many are explained where they do not, and how many are not."""
    apart = [row for row in ties if row["difference"]]
    said = [f"{len(ties) - len(apart):,} of {count(len(ties), 'tie-out')} tie"]
    unexplained = sum(1 for row in apart if row["unexplained"])
    if len(apart) > unexplained:
        said.append(f"{len(apart) - unexplained:,} differ by what is explained below")
    if unexplained:
        said.append(f"{unexplained:,} by what nothing explains")
    return "; ".join(said)


def _by_currency(amounts: "Iterator[tuple[str, Decimal]]") -> dict[str, Decimal]:
    summed: dict[str, Decimal] = {}
    for currency, amount in amounts:
        if amount:
            summed[currency] = summed.get(currency, Decimal(0)) + amount
    return summed


def _account(row: dict[str, object]) -> str:
    return " ".join(str(row[name]) for name in ("account_number", "account_name") if row[name] is not None)


def ties_table(ties: "pd.DataFrame") -> str:
    """Each tie-out with both sides, the difference, and what of it is explained, as Markdown: what differs first."""
    from netsuite_assets import frames

    rows = sorted(frames.records(ties), key=lambda row: row["difference"] == 0)
    return markdown(
        ["What must tie", "Subsidiary", "Account", "Left", ">Amount", "Right", ">Amount", ">Difference", ">Explained",
         ">Unexplained", ">Documents"],
        [
            [f"{frames.TIE_OUT_NAMES[row['tie_out']]}, {row['currency']}", row["subsidiary_name"], _account(row),
             _SIDES[row["left_side"]], money(row["left_amount"], None), _SIDES[row["right_side"]],
             money(row["right_amount"], None), money(row["difference"], None), money(row["explained"], None),
             money(row["unexplained"], None), row["items"]]
            for row in rows
        ],
    )  # fmt: skip


def items_table(items: "pd.DataFrame") -> str:
    """The documents and journals that explain differences, the greatest first, as Markdown."""
    from netsuite_assets import frames
    from netsuite_assets.tables import called

    rows = sorted(frames.records(items), key=lambda row: -abs(row["amount"]))
    return markdown(
        ["What must tie", "Subsidiary", "Account", "Record", "Number", "Customer or memo", ">Difference", "Why"],
        [
            [_between(row), row["subsidiary_name"], _account(row), called(row["record"]), row["number"],
             row["name"], money(row["amount"], row["currency"]), row["reason"]]
            for row in rows[:SHOWN]
        ],
        more=max(len(rows) - SHOWN, 0),
    )  # fmt: skip


def _between(row: Mapping[str, Any]) -> str:
    """Between which sides a document stands: receivables are tied out twice."""
    name = str(row["tie_out"]).replace("_", " ")
    if row["tie_out"] != "receivables":
        return name
    return f"{name}, {'documents' if row['basis'] == 'transaction' else 'general ledger'}"


def roll_forward_table(rolled: "pd.DataFrame") -> str:
    """Opening to closing, one row a side, as Markdown. An opening that is not known is said, and never zero."""
    from netsuite_assets import frames

    return markdown(
        ["Balance", "Account", "Side", "Subsidiary", "Currency", ">Opening", "From", ">Invoices", ">Credits", ">Payments",
         ">Paid in advance", ">Used of it", ">Adjustments", ">Closing"],
        [
            [frames.BALANCES[row["balance"]], _account(row), _SIDES[row["side"]], row["subsidiary_name"],
             row["currency"], _known(row["opening"]), row["opening_from"],
             *(money(row[name], None) for name in ("invoices", "credits", "payments", "prepayments", "applications", "adjustments")),
             _known(row["closing"])]
            for row in frames.records(rolled)
        ],
    )  # fmt: skip


def _known(amount: Decimal | None) -> str:
    return "not known" if amount is None else money(amount, None)


def drift_kinds_table(drift: "pd.DataFrame") -> str:
    """How many documents there are of each kind and what they concern, as Markdown."""
    from netsuite_assets import frames

    grouped: dict[tuple[str, str], list[Decimal]] = {}
    for row in frames.records(drift):
        grouped.setdefault((row["kind"], row["currency"]), []).append(row["amount"])
    return markdown(
        ["What differs", ">Documents", ">Amount"],
        [
            [frames.DRIFT_KINDS[kind], len(amounts), money(sum(amounts, Decimal(0)), currency)]
            for (kind, currency), amounts in grouped.items()
        ],
    )


def drift_table(drift: "pd.DataFrame") -> str:
    """The documents one by one, as Markdown."""
    from netsuite_assets import frames
    from netsuite_assets.tables import called

    return markdown(
        ["Record", "Number", "Customer", "Month", ">Amount", "What differs", "What to do"],
        [
            [called(row["record"]), row["number"], row["name"], row["dated_in"], money(row["amount"], row["currency"]),
             row["reason"], row["next_step"]]
            for row in frames.records(drift.head(SHOWN))
        ],
        more=max(len(drift) - SHOWN, 0),
    )  # fmt: skip


def aging_table(aging: "pd.DataFrame") -> str:
    """What is open by days overdue, on both sides, as Markdown."""
    from netsuite_assets import frames

    return markdown(
        ["Subsidiary", "Currency", "Days overdue", ">In billing", ">Open", ">In NetSuite", ">Open", ">Difference"],
        [
            [row["subsidiary_name"], row["currency"], row["bucket"], row["billing_documents"],
             money(row["billing_open"], None), row["netsuite_documents"], money(row["netsuite_open"], None),
             money(row["difference"], None)]
            for row in frames.records(aging)
        ],
    )  # fmt: skip
