"""What every transaction has in common: its parties and their validity, dates and period, numbers, and its deletion."""

from __future__ import annotations

from sandbox.errors import invalid_value, missing_values, user_error
from sandbox.profile import Role
from sandbox.record import addresses, periods, relationships
from sandbox.record.context import FIRST_LINE_KEY, FIRST_TRANSACTION, Context
from sandbox.record.kinds import Kind
from sandbox.record.values import Body, Values
from sandbox.store.database import Doc

NON_GL = {
    *("memo", "message", "email", "otherRefNum", "toBeEmailed", "toBePrinted", "toBeFaxed", "salesRep"),
    *("checkNumber", "paymentOption"),
}
SEGMENTS = ("department", "class", "location")


def begin(context: Context, kind: Kind) -> Doc:
    """A new transaction with its id, and nothing of its own yet."""
    return {
        "id": str(context.database.next("transaction", FIRST_TRANSACTION)),
        "createdDate": context.now(),
        "customForm": kind.form,
        "source": "restWebServices",
        "_mainKey": line_key(context),
    }


def line_key(context: Context) -> int:
    """The next `transactionline.uniquekey`."""
    return context.database.next("line key", FIRST_LINE_KEY)


def take(doc: Doc, values: Values) -> None:
    """Bring the document's body fields up to the given ones; None clears one."""
    for name, value in values.items():
        if value is None:
            doc.pop(name, None)
        else:
            doc[name] = value


def party(context: Context, kind: Kind, doc: Doc, previous: Doc | None, body: Body) -> Doc:
    """Settle subsidiary, currency and rate from the customer, check them together, and return the customer."""
    if kind.party not in doc:
        raise missing_values(["Customer"])
    found = context.database.get("entity", int(doc[kind.party]))
    if found is None or (found[1].get("isInactive") and previous is None):
        raise invalid_value(doc[kind.party], kind.party, kind.party)
    customer = found[1]
    if context.profile.oneworld:
        subsidiary = str(doc.setdefault("subsidiary", customer["subsidiary"]))
        if not relationships.has(context, customer, subsidiary):
            raise invalid_value(subsidiary, "subsidiary", "subsidiary")
    currency = str(doc.setdefault("currency", customer["currency"]))
    if all(currency != line["currency"] for line in customer["currencyList"]):
        raise invalid_value(currency, "currency", "currency")
    if previous is None:
        addresses.take(context, doc, customer)
    exchange_rate(context, doc, previous, body)
    check_segments(context, doc, doc.get("subsidiary"), "")
    return customer


def exchange_rate(context: Context, doc: Doc, previous: Doc | None, body: Body) -> None:
    """Set the rate into the subsidiary's currency, unless it was given or nothing that moves it has changed."""
    moved = previous is None or any(
        doc.get(name) != previous.get(name) for name in ("currency", "subsidiary", "tranDate")
    )
    if "exchangeRate" not in doc or (moved and "exchangeRate" not in body.values):
        day = doc.get("tranDate") or context.today().isoformat()
        doc["exchangeRate"] = context.masters.exchange_rate(doc["currency"], doc.get("subsidiary"), day)
    if doc["exchangeRate"] <= 0:
        raise invalid_value(doc["exchangeRate"], "exchangeRate", "exchangeRate")


def check_segments(context: Context, holder: Values, subsidiary: str | None, path: str) -> None:
    """Refuse a department, class or location that is not for the subsidiary; `path` is the holder's, with its dot."""
    for name in SEGMENTS:
        if name in holder and not context.masters.valid_for(name, holder[name], subsidiary):
            raise invalid_value(holder[name], name, path + name)


def check_account(context: Context, account: str, subsidiary: str | None) -> None:
    """Refuse an account that is not for the subsidiary."""
    masters = context.masters
    if subsidiary is not None and not masters.valid_for("account", account, subsidiary):
        shown = masters.accounts[account]
        raise user_error(
            f"The {shown.number} {shown.name} account cannot be used with the "
            f"{masters.subsidiary_name(subsidiary)} subsidiary."
        )


def dates(context: Context, doc: Doc, previous: Doc | None, body: Body) -> bool:
    """Set the date and its period; returns whether the date is new."""
    doc.setdefault("tranDate", context.today().isoformat())
    moved = previous is None or doc["tranDate"] != previous["tranDate"]
    if "postingPeriod" not in doc or (moved and "postingPeriod" not in body.values):
        doc["postingPeriod"] = periods.for_date(context, doc["tranDate"])
    periods.check_date(context, doc["postingPeriod"], doc["tranDate"])
    return moved


def check_periods(
    context: Context, doc: Doc, previous: Doc | None, body: Body, role: Role, *, receivables: bool = True
) -> None:
    """Refuse a change that the period of the transaction, or the one it leaves, does not take."""
    touched = {name for name in body.values if previous is None or doc.get(name) != previous.get(name)}
    gl_impact = (
        previous is None
        or bool(body.sublists.keys() & {"item", "line", "taxDetails"})
        or any(name not in NON_GL and not name.startswith("cust") for name in touched)
    )
    periods.check_open(context, doc["postingPeriod"], role, gl_impact=gl_impact, receivables=receivables)
    if previous is not None and previous["postingPeriod"] != doc["postingPeriod"]:
        periods.check_open(context, previous["postingPeriod"], role, receivables=receivables)


def number(context: Context, kind: Kind, doc: Doc, previous: Doc | None) -> None:
    """Give the transaction its numbers, and the title that references show."""
    numbering = context.profile.numbering
    if previous is not None:
        if not context.profile.switches.tran_id_override or "tranId" not in doc:
            doc["tranId"] = previous["tranId"]
    else:
        if "tranId" not in doc or not context.profile.switches.tran_id_override:
            count = context.database.next(f"{kind.record_type} number", numbering.first)
            doc["tranId"] = f"{getattr(numbering, kind.numbering)}{count}"
        doc["transactionNumber"] = f"{kind.sequence}{context.database.next(f'{kind.record_type} sequence')}"
    doc["_title"] = f"{kind.title} #{doc['tranId']}"


def check_ids(context: Context, kind: Kind, doc: Doc, previous: Doc | None) -> None:
    """Refuse a missing mandatory custom field, and an external id that another record has."""
    if missing := context.mandatory_labels(context.types[kind.record_type.lower()], doc):
        raise missing_values(missing)
    own = int(doc["id"]) if previous is not None else None
    context.check_external_id(kind.record_type, "transaction", doc.get("externalId"), own)


def log_deletion(context: Context, kind: Kind, doc: Doc) -> None:
    """The row of `deletedrecord`, and the end of what the transaction had to itself."""
    addresses.remove(context, doc)
    context.database.insert(
        "deletedrecord",
        {
            "recordid": int(doc["id"]),
            "recordtypeid": -30,
            "name": doc.get("_title"),
            "type": kind.title,
            "scriptid": kind.record_type.lower(),
            "context": "REST Web Services",
            "deleteddate": context.local(context.now()),
            "iscustomlist": False,
            "iscustomrecord": False,
            "iscustomtransaction": False,
        },
    )
