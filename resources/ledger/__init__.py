"""The ledger: what cannot be derived again. It is the one thing to back up.

    ledger = Ledger("sqlite:///ledger/ledger.sqlite")

Parted by responsibility: `intents` (what is written to NetSuite), `identities` (what a new warehouse is told
of it), `jobs` (in which batches), `approvals` (plans, who let them be applied), `mappings` (the versions that ran),
`exceptions` and `sign_offs`. Tables are in `schema`, the connection in `database`. Not here: why anything is recorded (`netsuite_assets`).
"""

from resources.ledger.approvals import Approval, Approvals, Plan
from resources.ledger.database import LedgerError, engine
from resources.ledger.exceptions import (
    ExceptionEvent,
    Exceptions,
    ExceptionState,
    LastingException,
    SeenException,
    Synchronised,
)
from resources.ledger.identities import Identities, Identity, VerifiedBody
from resources.ledger.intents import CLOSING, Event, EventKind, Intent, Intents, NewIntent
from resources.ledger.jobs import Job, WriteJobs
from resources.ledger.mappings import Mappings, MappingUse
from resources.ledger.proof import Finding, Proofs, Proven
from resources.ledger.sign_offs import SignOffEvent, SignOffs, standing_review

__all__ = [
    "CLOSING",
    "Approval",
    "Event",
    "EventKind",
    "ExceptionEvent",
    "ExceptionState",
    "Finding",
    "Identity",
    "Intent",
    "Job",
    "LastingException",
    "Ledger",
    "LedgerError",
    "MappingUse",
    "NewIntent",
    "Plan",
    "Proven",
    "SeenException",
    "SignOffEvent",
    "Synchronised",
    "VerifiedBody",
    "engine",
    "standing_review",
]


class Ledger(Intents, Identities, WriteJobs, Approvals, Mappings, Exceptions, SignOffs, Proofs):
    """The whole ledger behind one URL. Safe to share between threads."""
