"""The sensor that reads the credential calendar and warns before a sign-in to NetSuite stops working.

Here: what a tick says, as a plain function, and the sensor over it. Not here: when credentials end
(`resources/credential_calendar.py`). Nothing is sent to NetSuite, and no run is started.
"""

# No `from __future__ import annotations`: Dagster reads the annotation of a sensor's `context`.

import os
import time
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Final

import dagster as dg

if TYPE_CHECKING:
    from resources.credential_calendar import CredentialDate

INTERVAL_SECONDS: Final = 6 * 3600


def warning(entry: "CredentialDate", today: date) -> str:
    """A credential that is due, in a sentence, and what to do: `acme: the certificate ends on …, in 12 days. Run …`."""
    left = entry.days_left(today)
    if entry.expires_on is None or left is None:
        ends = "nobody here knows when it ends"
    elif left < 0:
        ends = f"it ended on {entry.expires_on.isoformat()}"
    elif left == 0:
        ends = "it ends today"
    else:
        ends = f"it ends on {entry.expires_on.isoformat()}, in {left} day{'' if left == 1 else 's'}"
    return f"{entry.tenant}, {entry.what}: {ends}. {entry.what_to_do}"


def all_well(entries: Sequence["CredentialDate"], tenants: int) -> str:
    """What a tick says when nothing is due: how many tenants were looked at, and which credential ends next."""
    dated = [entry for entry in entries if entry.expires_on is not None]
    said = f"No credential of {tenants} tenant{'' if tenants == 1 else 's'} ends soon."
    if not dated:
        return said
    first = min(dated, key=lambda entry: (entry.expires_on or date.max, entry.tenant, entry.what))
    return f"{said} The next is {first.tenant}, {first.what}, on {first.expires_on}."


def build_credential_sensors(clock: Callable[[], float] = time.time) -> list[dg.SensorDefinition]:
    """The sensors. They need the resource `tenants`; `clock` gives seconds since 1970."""

    @dg.sensor(
        name="credential_calendar",
        minimum_interval_seconds=INTERVAL_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        required_resource_keys={"tenants"},
        description=(
            "Warns before a tenant's sign-in to NetSuite ends: certificates, consents, the end of token-based"
            " authentication. Starts no runs."
        ),
    )
    def credential_calendar_sensor(context: dg.SensorEvaluationContext) -> dg.SkipReason:
        from resources.credential_calendar import credential_calendar
        from resources.tenants import TenantError

        registry = context.resources.tenants.get()
        today = datetime.fromtimestamp(clock(), UTC).date()
        entries: list[CredentialDate] = []
        warnings = []
        names = registry.names()
        for name in names:
            try:
                found = credential_calendar(registry.load(name), os.environ, clock)
            except TenantError as error:  # One tenant's mistake hides no other's certificate.
                warnings.append(f"{name}: its credentials cannot be looked up. {error}")
                continue
            entries += found
            warnings += [warning(entry, today) for entry in found if entry.is_due(today)]
        for each in warnings:
            context.log.warning(each)
        # Dagster shows this as the tick's outcome: no run is ever asked for.
        return dg.SkipReason("\n".join(warnings) or all_well(entries, len(names)))

    return [credential_calendar_sensor]
