"""Causes and next steps in plain words, for each way in which NetSuite is known to refuse.

Only words belong here (NetSuite REST facts: error catalogue, role permissions, token endpoint errors). Nothing
decides by them: they are for the person who reads the error.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

ROLES: Final = "Setup > Users/Roles > User Management > Manage Roles > (the integration's role) > Permissions"
AUDIT_TRAIL: Final = "Setup > Users/Roles > User Management > View Login Audit Trail"
M2M_SETUP: Final = "Setup > Integration > Manage Authentication > OAuth 2.0 Client Credentials (M2M) Setup"

# Record type or SuiteQL table (lower case) -> (tab, permission, level) that opens it. No source confirms the one of
# terms.
PERMISSIONS: Final[Mapping[str, tuple[str, str, str]]] = {
    "customer": ("Lists", "Customers", "Full"),
    "entity": ("Lists", "Perform Search", "Edit"),
    "invoice": ("Transactions", "Invoice", "Full"),
    "creditmemo": ("Transactions", "Credit Memo", "Full"),
    "customerpayment": ("Transactions", "Customer Payment", "Full"),
    "journalentry": ("Transactions", "Make Journal Entry", "Full"),
    "transaction": ("Transactions", "Find Transaction", "View"),
    "transactionline": ("Transactions", "Find Transaction", "View"),
    "transactionaccountingline": ("Transactions", "Find Transaction", "View"),
    "currency": ("Lists", "Currency", "View"),
    "subsidiary": ("Lists", "Subsidiaries", "View"),
    "account": ("Lists", "Accounts", "View"),
    "department": ("Lists", "Departments", "View"),
    "classification": ("Lists", "Classes", "View"),
    "location": ("Lists", "Locations", "View"),
    "item": ("Lists", "Items", "View"),
    "term": ("Setup", "Accounting Lists", "View"),
    "accountingperiod": ("Setup", "Manage Accounting Periods", "View"),
    "deletedrecord": ("Setup", "Deleted Records", "View"),
    "systemnote": ("Lists", "System Notes", "View"),
    "revenueelement": ("Transactions", "Revenue Arrangement", "View"),
    "revenueplan": ("Lists", "Revenue Recognition Plan", "View"),
    "customsegment": ("Setup", "Custom Segments", "View"),
}

_BY_WORDS: Final[tuple[tuple[re.Pattern[str], str], ...]] = tuple(
    (re.compile(pattern), text)
    for pattern, text in (
        (
            r"Unknown identifier '(?P<a>[^']*)'",
            "The column '{a}' does not exist there, or the role or a switched-off feature hides it (subsidiary, "
            "for instance, exists only in OneWorld accounts). Check the name in Customization > Records Catalog.",
        ),
        (
            r"Invalid search type: (?P<a>\w+)",
            "SuiteQL has no table '{a}'. Check the name in the Records Catalog.",
        ),
        (
            r"Field '(?P<a>[^']*)'.*not found",
            "The field '{a}' exists but is not open to this role, or its feature is switched off.",
        ),
        (
            r"Invalid or unsupported search",
            "SuiteQL cannot run this query: a function or form is not supported.",
        ),
        (
            r"Please enter value\(s\) for: (?P<a>.+?)\.?$",
            "The account or its custom form makes these fields mandatory: {a}. Map them in the tenant's file, or "
            "make them optional on the form that the integration uses.",
        ),
        (
            r"Invalid Field Value (?P<a>.*?) for the following field: (?P<b>[\w.\[\]]*[\w\]])",
            "'{a}'{name} cannot be used for {b}: it does not exist, is inactive, or is not valid for this record's "
            "subsidiary. Correct the value or its mapping, then plan again.",
        ),
        (
            r"already exists",
            "Another record holds this external id, name or number. Look it up and compare before writing again.",
        ),
        (
            r"Transaction type specified is incorrect",
            "A transaction with this id exists, but as another type. Check which type holds the id or external id.",
        ),
        (
            r"locked by a user defined workflow",
            "A workflow of the account has locked the record. Ask the NetSuite administrator to release it.",
        ),
        (
            r"cannot be used with the .+ subsidiary",
            "The value belongs to another subsidiary than the record. Map a value of the record's subsidiary.",
        ),
        (
            r"date range of your accounting period|period.{0,40}(?:closed|locked)|(?:closed|locked).{0,40}period",
            "The posting period does not take this document: it is closed or locked, or the date lies outside of it. "
            "Reopen the period (Setup > Accounting > Manage Accounting Periods), or let the tenant's closed-period "
            "policy hold the document or move it to the next open one.",
        ),
        (
            r"[Rr]ecord has been changed",
            "Somebody changed the record meanwhile. Read it again and plan again.",
        ),
        (
            r"dependent records",
            "Other records depend on it, so it cannot be deleted. Make it inactive instead, or remove those first.",
        ),
        (
            r"Record type '(?P<a>[^']*)' does not exist",
            "There is no REST record type '{a}' for this account and role. Check the spelling and the features.",
        ),
    )
)

_BY_CODE: Final[Mapping[str, str]] = {
    "INVALID_CONTENT": "The content of the request is not valid for this record. Correct the named field's mapping.",
    "INVALID_URL": "The address is not one of NetSuite's REST paths. Check the record type and the base URL.",
    "METHOD_NOT_ALLOWED": "This record type does not allow the operation.",
    "NONEXISTENT_ID": "It was deleted, never existed, or belongs to another account; or the role cannot see it.",
    "IDEMPOTENCY_ERROR": "The same job was submitted before. Read that job's result instead.",
}

_OVERRUNS: Final = frozenset(
    {
        "CONCURRENCY_LIMIT_EXCEEDED",
        "SSS_REQUEST_LIMIT_EXCEEDED",
        "WS_CONCUR_SESSION_DISALLWD",
        "WS_REQUEST_BLOCKED",
    }
)

TOKEN_ERRORS: Final[Mapping[str, str]] = {
    "invalid_request": (
        "A parameter of the token request is missing or malformed. Check that the certificate id is the one shown "
        f"at {M2M_SETUP}, and that the private key belongs to that certificate."
    ),
    "invalid_client": (
        "NetSuite does not know the client id, or the integration record is blocked. Compare it with the client id "
        "of the integration record (Setup > Integration > Manage Integrations); it is shown only once, when the "
        "record is made or its credentials are reset."
    ),
    "invalid_grant": (
        "The signed assertion was not accepted: the certificate id or private key does not match the mapping, the "
        "certificate has expired or was revoked, the mapping's user or role is inactive, or this machine's clock is "
        f"wrong. Look at {M2M_SETUP}. A sandbox refresh wipes these mappings: after one, upload the certificate "
        "again and use the new certificate id."
    ),
    "unauthorized_client": (
        "The integration record does not allow this way of signing in. Tick 'Client Credentials (Machine to "
        "Machine) Grant' on it: Setup > Integration > Manage Integrations."
    ),
    "unsupported_grant_type": (
        "The account does not offer this way of signing in. Switch on OAuth 2.0: Setup > Company > Enable Features "
        "> SuiteCloud > Manage Authentication."
    ),
    "invalid_scope": (
        "The integration record does not allow a scope that was asked for. Tick 'REST Web Services' under Scope on "
        "it: Setup > Integration > Manage Integrations."
    ),
}

_SIGN_IN: Final = (
    f"NetSuite gives the exact reason only in {AUDIT_TRAIL}. Usual causes: the role lacks 'Log in using OAuth 2.0 "
    "Access Tokens' (for token-based authentication 'Log in using Access Tokens'; Setup, Full), the user or role was "
    "made inactive, the certificate mapping, consent or token was removed, or the account id and the credentials "
    "belong to different accounts."
)


def for_token_error(code: str, skew_seconds: float | None, texts: Mapping[str, str] = TOKEN_ERRORS) -> str:
    """The next step when the token endpoint answered ``code``; ``skew_seconds`` is our clock less NetSuite's.

    ``texts`` are the grant's own: the same code means another thing for an assertion than for a refresh token.
    """
    text = texts.get(code, "The token endpoint gave a reason that is not documented.")
    if skew_seconds is not None and abs(skew_seconds) >= 60:
        ahead = "ahead of" if skew_seconds > 0 else "behind"
        text = f"This machine's clock is {abs(skew_seconds):.0f} seconds {ahead} NetSuite's: set it right. {text}"
    return f"{text} The exact reason is in {AUDIT_TRAIL}."


def for_answer(
    *,
    status: int,
    code: str,
    words: str,
    record: str,
    suiteql: bool,
    in_doubt: bool,
    where: str,
    names: Mapping[str, str],
) -> str:
    """The next step for an answer of NetSuite's REST services. ``names`` are those known of ids in its words."""
    if in_doubt:
        return for_silence(in_doubt=True, record=record)
    if status == 429 or code in _OVERRUNS:
        return (
            "Nothing was done. All integrations of the account share this limit: run later, lower the tenant's "
            "governance.concurrency, or raise the limit (Setup > Integration > Integration Management > "
            "Integration Governance)."
        )
    if status == 401:
        return _SIGN_IN
    if (permission := _permission(status, words, record, suiteql)) is not None:
        return permission
    for pattern, text in _BY_WORDS:
        if match := pattern.search(words):
            parts = {part: value or "" for part, value in match.groupdict().items()}
            known = names.get(parts.get("a", ""))
            return text.format(**parts, name=f" ({known})" if known else "")
    if code in _BY_CODE:
        return _BY_CODE[code]
    if status == 404:
        return (
            f"The server at {where} does not answer as NetSuite does. Check the account id and the base URL."
        )
    if status >= 500:
        return (
            "NetSuite had an error of its own. Try again later; if it stays, quote the request id to support."
        )
    if 300 <= status < 400:
        return f"The server at {where} sent us elsewhere, which NetSuite's REST services do not. Check the base URL."
    return "Nothing was changed. Mend what NetSuite's words name, in the record or in its mapping, and try again."


def _permission(status: int, words: str, record: str, suiteql: bool) -> str | None:
    if match := re.search(r"You need .*?'(?P<tab>[^'>]+?) -> (?P<name>[^']+)' permission", words):
        return _grant(match["tab"], match["name"])
    if match := re.search(r"Search error occurred: Record '(?P<table>[^']*)' was not found", words):
        table = match["table"].lower()
        tab, name, level = PERMISSIONS.get(table, ("Lists", table, "View"))
        return f"The role cannot see the table '{table}'. {_grant(tab, name, level)}"
    if "does not have permission" in words:
        if suiteql:
            return (
                f"{_grant('Reports', 'SuiteAnalytics Workbook', 'Edit')} The features SuiteAnalytics Workbook and REST "
                "Web Services must be on too (Setup > Company > Enable Features)."
            )
        return (
            f"{_grant('Setup', 'REST Web Services', 'Full')} The feature must be on too (Setup > Company > Enable "
            "Features > SuiteCloud)."
        )
    if status != 403:
        return None
    known = PERMISSIONS.get(record.split(" ", 1)[0].lower())
    return _grant(*known) if known else f"The role lacks a permission for this record. Add it at {ROLES}."


def _grant(tab: str, name: str, level: str = "") -> str:
    """How to give a role the permission ``name`` of ``tab``."""
    return f"Give the role the permission '{name}'{f' at level {level}' if level else ''}: {ROLES} > {tab}."


def for_silence(*, in_doubt: bool, record: str) -> str:
    """The next step when no usable answer came."""
    if in_doubt:
        subject = record or "the record"
        return f"It may or may not have been done. Look {subject} up in NetSuite before it is sent again."
    return "Nothing was changed. Try again later; if it stays, see NetSuite's status page for the account."


def for_late(*, in_doubt: bool, record: str) -> str:
    """The next step when the time for an operation was over."""
    if in_doubt:
        return for_silence(in_doubt=True, record=record)
    return (
        "Nothing was changed. Run again when the account is less busy, or allow more time: "
        "netsuite.governance.deadline in the tenant's file."
    )


def for_no_connection(where: str, *, loopback: bool) -> str:
    """The next step when no connection could be made to ``where``."""
    if loopback:
        port = urlsplit(where).port
        return (
            f"Nothing was sent. No sandbox listens at {where}. Start it with "
            f"`recon sandbox{f' --port {port}' if port else ''}`, or correct the tenant's base URL."
        )
    return (
        f"Nothing was sent to {where}. Check the account id (it is the first part of the host name), the network "
        "and any proxy."
    )
