"""An async client for NetSuite's REST web services: records, SuiteQL, sign-in, quota, and errors that explain.

What is named here is the public face; everything that knows NetSuite and nothing of our pipeline belongs in this
package, and no Dagster. Names are loaded when first used, so that reading the schema does not load the network.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from resources.netsuite.arrow import RowReader, UnreadableValue, rows_to_arrow
    from resources.netsuite.auth import Auth, BadKey, ClientCredentials
    from resources.netsuite.client import NetSuite, Timeouts
    from resources.netsuite.errors import (
        Detail,
        Incomplete,
        InDoubt,
        NetSuiteError,
        NotFound,
        PermissionDenied,
        RateLimited,
        Rejected,
        SignInFailed,
        Unavailable,
        Unreachable,
    )
    from resources.netsuite.governor import Backoff, Budget, Figures, Governor
    from resources.netsuite.hosts import Hosts
    from resources.netsuite.pages import Page
    from resources.netsuite.suiteql import Select, in_lists, literal
    from resources.netsuite.writes import (
        ExternalId,
        WriteAnswer,
        WriteRequest,
        create_request,
        delete_request,
        eid,
        update_request,
        upsert_request,
    )

_MODULES = {
    "arrow": ("RowReader", "UnreadableValue", "rows_to_arrow"),
    "auth": ("Auth", "BadKey", "ClientCredentials"),
    "client": ("NetSuite", "Timeouts"),
    "errors": (
        "Detail",
        "InDoubt",
        "Incomplete",
        "NetSuiteError",
        "NotFound",
        "PermissionDenied",
        "RateLimited",
        "Rejected",
        "SignInFailed",
        "Unavailable",
        "Unreachable",
    ),
    "governor": ("Backoff", "Budget", "Figures", "Governor"),
    "hosts": ("Hosts",),
    "pages": ("Page",),
    "suiteql": ("Select", "in_lists", "literal"),
    "writes": (
        "ExternalId",
        "WriteAnswer",
        "WriteRequest",
        "create_request",
        "delete_request",
        "eid",
        "update_request",
        "upsert_request",
    ),
}
_MODULE_OF = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_MODULE_OF[name]}"), name)


__all__ = [
    "Auth",
    "Backoff",
    "BadKey",
    "Budget",
    "ClientCredentials",
    "Detail",
    "ExternalId",
    "Figures",
    "Governor",
    "Hosts",
    "InDoubt",
    "Incomplete",
    "NetSuite",
    "NetSuiteError",
    "NotFound",
    "Page",
    "PermissionDenied",
    "RateLimited",
    "Rejected",
    "RowReader",
    "Select",
    "SignInFailed",
    "Timeouts",
    "Unavailable",
    "UnreadableValue",
    "Unreachable",
    "WriteAnswer",
    "WriteRequest",
    "create_request",
    "delete_request",
    "eid",
    "in_lists",
    "literal",
    "rows_to_arrow",
    "update_request",
    "upsert_request",
]
