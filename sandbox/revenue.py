"""Revenue recognition's read side, made from invoices that exist: an arrangement, an element and a plan for each line.

NetSuite's own process makes these; REST only reads them, through SuiteQL.
"""

from __future__ import annotations

from decimal import Decimal

from sandbox.record.context import FIRST_TRANSACTION, Context, stamp
from sandbox.store.database import Doc

_MONTHS = 3
_CENT = Decimal("0.01")


def arrange(context: Context, invoices: int) -> int:
    """Make the arrangements of so many invoices, of those that have none by id; returns how many elements there are."""
    rows = context.database.connection.execute(
        "SELECT id FROM q_transaction WHERE type = 'CustInvc' "
        "AND id NOT IN (SELECT source FROM q_revenueelement) ORDER BY id LIMIT ?",
        (invoices,),
    ).fetchall()
    made = 0
    with context.database.transaction():
        for (identifier,) in rows:
            found = context.database.get("transaction", identifier)
            if found is not None:
                made += _arrangement(context, found[1])
    return made


def _arrangement(context: Context, invoice: Doc) -> int:
    database = context.database
    arrangement = database.next("transaction", FIRST_TRANSACTION)
    number = f"RA{database.next('revenue arrangement')}"
    title = f"Revenue Arrangement #{number}"
    doc = {"id": str(arrangement), "tranId": number, "entity": invoice["entity"], "_title": title}
    database.put("transaction", arrangement, "revenueArrangement", doc)
    database.set_name("transaction", arrangement, title)
    row = {
        "id": arrangement,
        "type": "RevArrng",
        "recordtype": "revenuearrangement",
        "tranid": number,
        "trandisplayname": title,
        "trandate": stamp(invoice["tranDate"]),
        "postingperiod": int(invoice["postingPeriod"]),
        "posting": False,
        "entity": int(invoice["entity"]),
        "currency": int(invoice["currency"]),
        "exchangerate": invoice["exchangeRate"],
        "foreigntotal": invoice["subtotal"],
        "createddate": context.local(invoice["createdDate"]),
        "lastmodifieddate": context.local(invoice["lastModifiedDate"]),
        "void": False,
        "voided": False,
    }
    if context.profile.oneworld:
        row["subsidiary"] = int(invoice["subsidiary"])
    database.insert("transaction", row)
    periods = _periods(context, invoice["tranDate"])
    for line in invoice["item"]:
        _element(context, invoice, line, arrangement, periods)
    return len(invoice["item"])


def _periods(context: Context, day: str) -> list[tuple[int, str, str]]:
    """Id, first and last day of the period of a day and of those after it."""
    return context.database.connection.execute(
        "SELECT id, startdate, enddate FROM q_accountingperiod WHERE enddate >= ? ORDER BY startdate LIMIT ?",
        (f"{day} 00:00:00", _MONTHS),
    ).fetchall()


def _element(
    context: Context, invoice: Doc, line: Doc, arrangement: int, periods: list[tuple[int, str, str]]
) -> None:
    database, amount = context.database, line["amount"]
    element, plan = database.next("revenue element"), database.next("revenue plan")
    span = {"revrecstartdate": periods[0][1], "revrecenddate": periods[-1][2]}
    common = {"item": int(line["item"]), "exchangerate": invoice["exchangeRate"], **span}
    database.insert(
        "revenueelement",
        {
            "id": element,
            "referenceid": f"CustInvc_{line['lineUniqueKey']}",
            "source": int(invoice["id"]),
            "sourceline": line["line"],
            "revenuearrangement": arrangement,
            "entity": int(invoice["entity"]),
            "currency": int(invoice["currency"]),
            "quantity": line.get("quantity"),
            "salesamount": amount,
            "allocationamount": amount,
            "discountedsalesamount": amount,
            "elementdate": stamp(invoice["tranDate"]),
            **common,
        },
    )
    database.set_name("revenueElement", element, str(element))
    database.insert(
        "revenueplan",
        {
            "id": plan,
            "createdfrom": element,
            "amount": amount,
            "initialamount": Decimal(0),
            "amountsource": "Event-Percent based on amount",
            "enddatechangeimpact": "Update Remaining Periods Only",
            "recognitionmethod": "Straight-line, by even periods",
            "parentlinecurrency": int(invoice["currency"]),
            "periodoffset": 0,
            "holdrevenuerecognition": False,
            **common,
        },
    )
    database.set_name("revenuePlan", plan, str(plan))
    share = (amount / len(periods)).quantize(_CENT)
    for number, (period, _, _) in enumerate(periods, 1):
        # The last month takes what rounding left.
        part = share if number < len(periods) else amount - share * (len(periods) - 1)
        database.insert(
            "revenueplanplannedrevenue",
            {
                "id": database.next("planned revenue"),
                "revenueplan": plan,
                "plannedperiod": period,
                "postingperiod": period,
                "amount": part,
                "recognitionaccount": int(line["account"]),
                "isrecognized": False,
            },
        )
