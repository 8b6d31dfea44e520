"""Billing platforms: one module each, behind the protocol of `canonical.py`.

Here: the factory that picks the module for a tenant. Not here: any platform's details.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol
from zoneinfo import ZoneInfo

from resources.billing.canonical import BillingSource
from resources.billing.errors import BillingError, ReturnInDoubt
from resources.billing.returns import RETURNED_TO, Returns
from resources.billing.sql import SqlBilling
from resources.billing.sql_returns import ReturnSettings, SqlReturns, places
from resources.billing.tables import SqlSettings

__all__ = [
    "BillingError",
    "BillingSettings",
    "BillingSource",
    "ReturnInDoubt",
    "Returns",
    "open_billing",
    "open_returns",
]

SYSTEMS = ("sql",)


class BillingSettings(SqlSettings, Protocol):
    """The tenant's billing settings, as far as a source needs them."""

    @property
    def system(self) -> str: ...


def open_billing(settings: BillingSettings, url: str, timezone: str | ZoneInfo = "UTC") -> BillingSource:
    """The billing source of a tenant; `url` with its credentials in place, `timezone` the tenant's (IANA name).

    Opens nothing yet: the first question does, and `close` ends it. One source is one consistent view, so open it
    for one slice and close it after.
    """
    if settings.system == "sql":
        return SqlBilling(settings, url, ZoneInfo(str(timezone)))
    raise _unknown_system(settings.system)


def open_returns(settings: BillingSettings, returned: Mapping[str, ReturnSettings], url: str) -> Returns:
    """The side of a tenant's billing that takes what flows back from NetSuite; `returned` is by kind (`returns.FACTS`).

    Opens nothing yet: each call has a connection of its own.
    """
    if settings.system == "sql":
        own = {
            kind: (settings.tables[table].table, settings.tables[table].columns.get("id", "id"))
            for kind, table in RETURNED_TO.items()
            if table in settings.tables
        }
        return SqlReturns(places(returned, own), url)
    raise _unknown_system(settings.system)


def _unknown_system(system: str) -> BillingError:
    return BillingError(
        "Opening the tenant's billing source",
        f"'{system}' is not a billing system that can be read. There are: {', '.join(SYSTEMS)}.",
        "Correct billing.system in the tenant's YAML.",
        yaml_key="billing.system",
    )
