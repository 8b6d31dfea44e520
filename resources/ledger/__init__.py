"""The ledger: what cannot be derived again. It is the one thing to back up.

    ledger = Ledger("sqlite:///ledger/ledger.sqlite")

Parted by responsibility: `intents` (what is written to NetSuite), `approvals` (plans, who let them be applied, mapping
versions). Tables are in `schema`, the connection in `database`. Not here: why anything is recorded (`netsuite_assets`).
"""

from resources.ledger.approvals import Approval, Approvals, Plan
from resources.ledger.database import LedgerError, engine
from resources.ledger.intents import CLOSING, Event, EventKind, Intent, Intents, NewIntent

__all__ = [
    "CLOSING",
    "Approval",
    "Event",
    "EventKind",
    "Intent",
    "Ledger",
    "LedgerError",
    "NewIntent",
    "Plan",
    "engine",
]


class Ledger(Intents, Approvals):
    """The whole ledger behind one URL. Safe to share between threads."""
