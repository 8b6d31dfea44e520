"""Where the money of a payment or a deposit goes: undeposited funds or an account. What it then pays is not here."""

from __future__ import annotations

from sandbox.errors import invalid_value, missing_values, user_error
from sandbox.record import headers, lines
from sandbox.record.context import Context
from sandbox.record.values import Body
from sandbox.store.database import Doc

_TYPES = ("Bank", "OthCurrAsset", "CredCard")


def choose(context: Context, doc: Doc, previous: Doc | None, body: Body) -> None:
    """Set `undepFunds` and `_fundsAccount`: undeposited funds or an account, and the one that was named last."""
    chosen = body.values.get("undepFunds")
    if body.values.get("account") is not None:
        if chosen:
            raise user_error(context.profile.switches.funds_conflict_text)
        doc["undepFunds"] = False
    elif chosen:
        doc.pop("account", None)
    elif chosen is None and previous is None:
        doc["undepFunds"] = True
    doc.setdefault("undepFunds", "account" not in doc)
    if doc["undepFunds"]:
        found: str | None = context.profile.undeposited_funds_account
    else:
        found = doc.get("account")
    if found is None:
        raise missing_values(["Account"])
    if context.masters.accounts[found].type not in _TYPES:
        raise invalid_value(found, "account", "account")
    headers.check_account(context, found, doc.get("subsidiary"))
    doc["_fundsAccount"] = found


def round_amount(context: Context, doc: Doc) -> None:
    """Bring `payment` to its currency's precision and set the total; refuses a negative amount."""
    precision = context.masters.currencies[doc["currency"]].precision
    doc["payment"] = lines.rounded(doc["payment"], precision)
    if doc["payment"] < 0:
        raise invalid_value(doc["payment"], "payment", "payment")
    doc["total"] = doc["payment"]
