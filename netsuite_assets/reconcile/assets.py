"""Assets of the group *reconciliation*: where billing and NetSuite disagree, and what needs a person."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import dagster as dg

from netsuite_assets.extract.assets import netsuite_credit_memos, netsuite_customers, netsuite_invoices
from netsuite_assets.extract.settlement_assets import netsuite_journals, netsuite_payments
from netsuite_assets.mapping.assets import expected_records
from netsuite_assets.partitions import tenant_months
from netsuite_assets.runs import tenant_run
from netsuite_assets.tell import SHOWN, markdown, money, moneys
from resources.as_dagster import BillingResource, LedgerResource, TenantsResource, WarehouseResource

if TYPE_CHECKING:
    import pandas as pd

    from resources.ledger import LastingException


@dg.asset(
    group_name="reconciliation",
    partitions_def=tenant_months,
    kinds={"duckdb", "pandas"},
    deps=[
        expected_records,
        netsuite_customers,
        netsuite_invoices,
        netsuite_credit_memos,
        netsuite_payments,
        netsuite_journals,
    ],
)
def differences(
    context: dg.AssetExecutionContext,
    tenants: TenantsResource,
    warehouse: WarehouseResource,
    billing: BillingResource,
    ledger: LedgerResource,
) -> dg.MaterializeResult[None]:
    """Every field, line and document on which billing and NetSuite disagree in the month.

    The amounts add up: what the differences explain is shown beside the difference of the totals, to the cent.
    """
    from netsuite_assets import frames
    from netsuite_assets.reconcile.engine import reconcile
    from netsuite_assets.reconcile.exceptions import synchronise
    from resources.warehouse import utc_now

    with (
        tenant_run(context, tenants) as run,
        billing.open(run.tenant) as source,
        warehouse.get().open(run.tenant.name) as held,
        ledger.open() as book,
    ):
        found = reconcile(held, run.tenant, run.mapping, run.period, source.locate, book)
        synchronise(held, book, run.period, ["mapping", "reconcile"], utc_now(), context.run.run_id)
    return dg.MaterializeResult(
        metadata={
            "dagster/row_count": len(found.differences),
            "totals": dg.MetadataValue.md(totals_table(found.totals)),
            "totals explained": dg.MetadataValue.md(total_parts_table(found.total_parts)),
            "by kind": dg.MetadataValue.md(kinds_table(found.differences)),
            "differences": dg.MetadataValue.md(differences_table(found.differences)),
            "tolerated": dg.MetadataValue.md(tolerated_table(found.tolerated)),
            "unchanged since compared": ", ".join(found.unchanged) or "–",
            "dagster/column_schema": frames.column_schema(frames.DIFFERENCES),
        },
    )


@dg.asset(
    group_name="reconciliation",
    partitions_def=tenant_months,
    kinds={"duckdb", "pandas"},
    # After all that raises exceptions of a comparison.
    deps=[differences, dg.AssetKey("receivables_drift")],
)
def open_exceptions(
    context: dg.AssetExecutionContext, tenants: TenantsResource, ledger: LedgerResource
) -> dg.MaterializeResult[None]:
    """What needs a person: on which document, why, and what to do next.

    One row a cause, with its age, owner and state. It closes by itself when its cause is gone, and opens again when that
    returns. Accepted ones are listed too, and open again after their last day. Those of the plan and the write-back join
    when those run: the page of the published file has them all.
    """
    from resources.warehouse import utc_now

    with tenant_run(context, tenants) as run, ledger.open() as book:
        now = utc_now()
        return dg.MaterializeResult(
            metadata=exceptions_metadata(book.exceptions(run.tenant.name, now, run.period), now)
        )


def exceptions_metadata(kept: "Sequence[LastingException]", now: datetime) -> dict[str, Any]:
    """What a page shows of a month's open and accepted exceptions."""
    from netsuite_assets import frames
    from netsuite_assets.reconcile.exceptions import amounts, lasting

    open_ones = [one for one in kept if one.state == "open"]
    accepted = [one for one in kept if one.state == "accepted"]
    return {
        "dagster/row_count": len(open_ones),
        "amount": moneys(amounts(open_ones)),
        "accepted": len(accepted),
        "amount accepted": moneys(amounts(accepted)),
        "exceptions": dg.MetadataValue.md(exceptions_table(lasting(kept, now))),
        "dagster/column_schema": frames.column_schema(frames.LASTING_EXCEPTIONS),
    }


def totals_table(totals: "pd.DataFrame") -> str:
    """Billed beside NetSuite, by record and currency, as Markdown."""
    from netsuite_assets import frames
    from netsuite_assets.tables import called

    def side(documents: int, total: Decimal) -> str:
        return f"{documents:,} · {money(total, None)}" if documents else "–"

    return markdown(
        ["Record", ">Billed", ">NetSuite has", ">Difference", ">Unexplained", ">Held back"],
        [
            [
                f"{called(row['record'])}, {row['currency']}",
                side(row["billed_documents"], row["billed_total"]),
                side(row["netsuite_documents"], row["netsuite_total"]),
                money(row["difference"], None),
                money(row["unexplained"], None),
                side(row["held_back_documents"], row["held_back_total"]),
            ]
            for row in frames.records(totals)
        ],
    )


def total_parts_table(parts: "pd.DataFrame") -> str:
    """Of what the differences of the totals are made, by record and currency, as Markdown."""
    from netsuite_assets import frames
    from netsuite_assets.frames import TOTAL_PARTS_IN_WORDS
    from netsuite_assets.tables import called

    order = list(TOTAL_PARTS_IN_WORDS)
    found: dict[tuple[str, str, int], list[dict[str, Any]]] = {}
    for row in frames.records(parts):
        found.setdefault((row["record"], row["currency"], order.index(row["part"])), []).append(row)
    return markdown(
        ["Record", "What differs", ">Documents", ">Billed less NetSuite", "In the base currency"],
        [
            [
                f"{called(record)}, {currency}",
                TOTAL_PARTS_IN_WORDS[order[place]],
                len({(row["external_id"], row["internal_id"]) for row in rows}),
                money(sum((row["amount"] for row in rows), Decimal(0)), None),
                moneys(_by_base_currency(rows)) if order[place] == "exchange_rate" else "",
            ]
            for (record, currency, place), rows in sorted(found.items())
        ],
    )


def _by_base_currency(parts: list[dict[str, Any]]) -> dict[str, Decimal]:
    sums: dict[str, Decimal] = {}
    for row in parts:
        if row["base_amount"] is not None:
            sums[row["base_currency"]] = sums.get(row["base_currency"], Decimal(0)) + row["base_amount"]
    return sums


def kinds_table(differences: "pd.DataFrame") -> str:
    """How many differences there are of each kind, in words, as Markdown."""
    from netsuite_assets import frames
    from netsuite_assets.frames import DIFFERENCE_KINDS
    from netsuite_assets.tables import called

    counted = differences.groupby(["record", "kind"], as_index=False).size()
    return markdown(
        ["Record", ">How many", "What differs"],
        [
            [called(row["record"]), int(row["size"]), DIFFERENCE_KINDS[row["kind"]]]
            for row in frames.records(counted)
        ],
    )


def differences_table(differences: "pd.DataFrame") -> str:
    """The differences one by one, as Markdown."""
    from netsuite_assets import frames
    from netsuite_assets.tables import called

    return markdown(
        ["Record", "Number", "Customer", "What", "Field", "Should be", "NetSuite has", "Agreed before", "Who changed it",
         ">Amount"],
        [
            [
                called(row["record"]),
                row["number"] if row["number"] is not None else row["external_id"],
                row["name"],
                row["kind"].replace("_", " "),
                row["field"],
                row["expected"],
                row["actual"],
                row["base"],
                _who_changed(row),
                money(row["amount"], None),
            ]
            for row in frames.records(differences.head(SHOWN))
        ],
        more=max(len(differences) - SHOWN, 0),
    )  # fmt: skip


def _who_changed(row: Mapping[str, Any]) -> str:
    """Which side has changed it since both agreed, and who it was in NetSuite, as far as either is known."""
    side = {"billing": "billing", "netsuite": "NetSuite", "both": "both sides"}.get(row["changed_side"], "")
    by = row["changed_by"] if row["changed_side"] != "billing" else None
    return f"{side} ({by})" if side and by else side or by or ""


def tolerated_table(tolerated: "pd.DataFrame") -> str:
    """What tolerances and normalisations took for the same, by field and rule, as Markdown."""
    from netsuite_assets import frames
    from netsuite_assets.frames import TOLERANCE_RULES
    from netsuite_assets.tables import called

    def shown(row: dict[str, Any], name: str) -> str:
        if row[name] is None:
            return ""
        return (
            f"{row[name].normalize():f} days" if row["rule"] == "days" else money(row[name], row["currency"])
        )

    return markdown(
        ["Record", "Field", "Taken for the same", ">How often", ">Billing's less NetSuite's", ">Greatest"],
        [
            [
                called(row["record"]),
                row["field"] if row["part"] == "header" else f"{row['field']} of lines",
                TOLERANCE_RULES[row["rule"]],
                row["uses"],
                shown(row, "delta"),
                shown(row, "greatest"),
            ]
            for row in frames.records(tolerated)
        ],
    )


def exceptions_table(exceptions: "pd.DataFrame") -> str:
    """The lasting exceptions with their age, owner and next step, as Markdown: open ones first, then accepted ones."""
    from netsuite_assets import frames
    from netsuite_assets.tables import called

    rows = sorted(frames.records(exceptions), key=lambda row: (row["state"] != "open", -row["age"]))
    return markdown(
        ["No.", "Record", "Number", "Customer", ">Amount", ">Days", "Owner", "State", "Why", "What to do"],
        [
            [str(row["exception"]), called(row["record"]), row["number"] or row["external_id"], row["name"],
             _amount(row), row["age"], row["owner"], state_of(row), row["reason"],
             row["next_step"]]
            for row in rows
        ],
    )  # fmt: skip


def _amount(row: Mapping[str, Any]) -> str:
    """The document's amount; a customer has none."""
    return "" if row["record"] == "customer" else money(row["amount"], row["currency"])


def state_of(row: Mapping[str, Any]) -> str:
    """A lasting exception's state in words: `open`, or who accepted it until when."""
    if row["state"] != "accepted":
        return str(row["state"])
    return f"accepted by {row['accepted_by']} until {row['accepted_until']}: {row['accepted_because']}"
