"""Billing platforms: one module each, behind the protocol of `canonical.py`.

Here: the factory that picks the module for a tenant. Not here: any platform's details.
"""

from __future__ import annotations

from typing import Protocol
from zoneinfo import ZoneInfo

from resources.billing.canonical import BillingSource
from resources.billing.errors import BillingError
from resources.billing.sql import SqlBilling
from resources.billing.tables import SqlSettings

__all__ = ["BillingError", "BillingSettings", "BillingSource", "open_billing"]

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
    raise BillingError(
        "Opening the tenant's billing source",
        f"'{settings.system}' is not a billing system that can be read. There are: {', '.join(SYSTEMS)}.",
        "Correct billing.system in the tenant's YAML.",
        yaml_key="billing.system",
    )
