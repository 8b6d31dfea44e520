"""The sensor that keeps the tenant partitions equal to the tenant registry.

Here: the difference between the two, as a plain function, and the sensor over it. Not here: reading tenants' files.

Dagster takes any text for a partition, and its UI lets people add one: the registry decides, not the UI. A tenant
that is removed loses its partitions in the UI but none of its history: its runs and events stay, and come back
with its file.
"""

# No `from __future__ import annotations`: Dagster reads the annotation of a sensor's `context`.

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

import dagster as dg

from netsuite_assets.partitions import TENANT_NAME, tenants

INTERVAL_SECONDS: Final = 60


@dataclass(frozen=True)
class Changes:
    """What makes the partitions equal to the registry; `invalid` names are left out."""

    add: tuple[str, ...]
    remove: tuple[str, ...]
    invalid: tuple[str, ...]


def changes(registered: Collection[str], partitions: Collection[str]) -> Changes:
    """What to add to and remove from the partitions, in order, so that they are the registered tenants."""
    valid = {name for name in registered if TENANT_NAME.fullmatch(name)}
    return Changes(
        add=tuple(sorted(valid - set(partitions))),
        remove=tuple(sorted(set(partitions) - valid)),
        invalid=tuple(sorted(set(registered) - valid)),
    )


def build_sensors() -> list[dg.SensorDefinition]:
    """The sensors. They need the resource `tenants`, whose `get()` gives a `resources.tenants.TenantRegistry`."""

    @dg.sensor(
        name="tenant_partitions",
        minimum_interval_seconds=INTERVAL_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        required_resource_keys={"tenants"},
        description="Keeps the tenants in this UI equal to the files of the tenant registry. Starts no runs.",
    )
    def tenant_partitions(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        registry = context.resources.tenants.get()
        found = changes(registry.names(), context.instance.get_dynamic_partitions(str(tenants.name)))
        left_out = [
            *map(str, registry.misnamed()),
            *(f"{name!r} is no tenant's name" for name in found.invalid),
        ]
        return dg.SensorResult(
            # Dagster shows this as the tick's outcome: no run is ever asked for.
            skip_reason=_told(found, left_out),
            dynamic_partitions_requests=[
                *([tenants.build_add_request(list(found.add))] if found.add else []),
                *([tenants.build_delete_request(list(found.remove))] if found.remove else []),
            ],
        )

    return [tenant_partitions]


def _told(found: Changes, left_out: list[str]) -> str:
    """What a tick did, in a line."""
    parts = (("Added", found.add), ("Removed", found.remove), ("Left out", left_out))
    told = [f"{what}: {', '.join(names)}." for what, names in parts if names]
    return " ".join(told) or "The tenants are those of the registry."
