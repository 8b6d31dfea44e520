"""The partitions of every asset: tenant × accounting month, and how their keys are written.

Here: the partition definitions, and `Scope`, which is what a partition means to the rest of the project.
Not here: which tenants there are (a sensor keeps the tenant partitions equal to the registry). Imports Dagster alone.

Dagster joins the keys of a multi-partition in the alphabetical order of its dimensions: `2026-10-01|acme`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import dagster as dg

TENANT_NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]*")
PERIOD: Final = re.compile(r"\d{4}-(0[1-9]|1[0-2])")
_MONTH_KEY: Final = re.compile(r"\d{4}-(0[1-9]|1[0-2])-01")

_FIRST_MONTH: Final = "RECON_FIRST_MONTH"
_TIMEZONE: Final = "RECON_TIMEZONE"


class PartitionError(ValueError):
    """A partition key or a setting of the partitions cannot be used; the message says why and what to write."""


def first_month(environ: Mapping[str, str] = os.environ) -> str:
    """The first month that has a partition, 'YYYY-MM' (RECON_FIRST_MONTH, default 2024-01)."""
    value = environ.get(_FIRST_MONTH, "").strip() or "2024-01"
    if not PERIOD.fullmatch(value):
        raise PartitionError(
            f"{_FIRST_MONTH} is {value!r}, which is no month. Write it as YYYY-MM, for instance 2024-01."
        )
    return value


def timezone(environ: Mapping[str, str] = os.environ) -> str:
    """The time zone in which months begin and schedules run, an IANA name (RECON_TIMEZONE, default UTC)."""
    value = environ.get(_TIMEZONE, "").strip() or "UTC"
    try:
        ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise PartitionError(
            f"{_TIMEZONE} is {value!r}, which is no time zone. Write an IANA name, for instance Europe/Berlin."
        ) from None
    return value


tenants = dg.DynamicPartitionsDefinition(name="tenants")

#: `end_offset=1`: the running month has a partition from its first minute on.
months = dg.MonthlyPartitionsDefinition(start_date=f"{first_month()}-01", timezone=timezone(), end_offset=1)

tenant_months = dg.MultiPartitionsDefinition({"tenant": tenants, "month": months})


@dataclass(frozen=True, order=True)
class Scope:
    """What one partition stands for: a tenant and an accounting month, 'YYYY-MM'."""

    tenant: str
    period: str

    @property
    def partition_key(self) -> str:
        return partition_key(self.tenant, self.period)


def partition_key(tenant: str, period: str) -> str:
    """The key of a tenant's month: `partition_key("acme", "2026-10")` is `2026-10-01|acme`."""
    if not TENANT_NAME.fullmatch(tenant):
        raise PartitionError(
            f"{tenant!r} cannot be a tenant's name: lower-case letters, digits and hyphens, a letter or digit first."
        )
    return f"{month_key(period)}|{tenant}"


def month_key(period: str) -> str:
    """The key of a month: `month_key("2026-10")` is `2026-10-01`."""
    if not PERIOD.fullmatch(period):
        raise PartitionError(f"{period!r} is no accounting month. Write it as YYYY-MM, for instance 2026-10.")
    return f"{period}-01"


def scope_of(key: str) -> Scope:
    """The tenant and period of a partition key such as `2026-10-01|acme`."""
    month, separator, tenant = key.partition("|")
    if not separator or not _MONTH_KEY.fullmatch(month) or not TENANT_NAME.fullmatch(tenant):
        raise PartitionError(
            f"{key!r} is no partition key of a tenant's month."
            " Write the first day of the month, a bar and the tenant: 2026-10-01|acme."
        )
    return Scope(tenant, month[:7])


def scope(
    context: dg.AssetExecutionContext | dg.AssetCheckExecutionContext | dg.OpExecutionContext,
) -> Scope:
    """The tenant and period of the partition that a step runs for."""
    return scope_of(str(context.partition_key))
