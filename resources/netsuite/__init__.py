"""An async client for NetSuite's REST web services: records, SuiteQL, sign-in, quota, and errors that explain.

What is imported here is the public face; everything that knows NetSuite and nothing of our pipeline belongs in
this package, and no Dagster.
"""

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
    "Unreachable",
    "UnreadableValue",
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
