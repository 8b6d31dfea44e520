"""The sensor that lets billing know, the same night, of what was written to NetSuite.

Here: which run follows one that wrote, as a plain function, and the sensor over it. Not here: what flows back to
billing, and how (`netsuite_assets/writeback/returns.py`).

What NetSuite gave a record (its id and number, its status) can be planned, approved and sent only when it is known, and
a plan's bytes are fixed before the first write: so what is told of tonight's writes is the next run's plan. This sensor
asks for that run at once.
"""

# No `from __future__ import annotations`: Dagster reads the annotation of a sensor's `context`.

from typing import Final

import dagster as dg
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

from netsuite_assets.runs import TO_TELL

#: The tag of a run that follows another: that one's id.
FOLLOWS: Final = "recon/follows"

_APPLIED: Final = dg.AssetKey("applied_corrections")
_PARTITION: Final = "dagster/partition"


def following(run_id: str, partition_key: str, to_tell: int) -> dg.RunRequest | None:
    """The run that tells billing of `to_tell` writes of a run, or None where there are none."""
    if to_tell == 0:
        return None
    return dg.RunRequest(run_key=f"follows:{run_id}", partition_key=partition_key, tags={FOLLOWS: run_id})


def build_return_sensors(
    write_back: dg.JobDefinition | UnresolvedAssetJobDefinition,
) -> list[dg.SensorDefinition]:
    """The sensor over the job that writes. It needs no resources: what it looks at is the run's own metadata."""

    @dg.run_status_sensor(
        run_status=dg.DagsterRunStatus.SUCCESS,
        name="tell_billing",
        monitored_jobs=[write_back],
        request_job=write_back,
        default_status=dg.DefaultSensorStatus.STOPPED,
        description=(
            "After a run that wrote records to NetSuite: runs write_back once more for the same tenant and month, so that"
            " their ids, numbers and status flow back to billing the same night. Only where the tenant's file has"
            " writeback.return."
        ),
    )
    def tell_billing(context: dg.RunStatusSensorContext) -> dg.RunRequest | dg.SkipReason:
        run = context.dagster_run
        if FOLLOWS in run.tags:
            return dg.SkipReason(
                f"Run {run.run_id[:8]} followed another; what it left is told by the next one."
            )
        partition = run.tags.get(_PARTITION, "")
        to_tell = _to_tell(context.instance, run.run_id, partition)
        return following(run.run_id, partition, to_tell) or dg.SkipReason(
            f"Run {run.run_id[:8]} wrote nothing to NetSuite that billing is told of."
        )

    return [tell_billing]


def _to_tell(instance: dg.DagsterInstance, run_id: str, partition: str) -> int:
    """What a run said of its writes; 0 when a later run of the slice has written since, which says it itself."""
    found = instance.fetch_materializations(
        dg.AssetRecordsFilter(asset_key=_APPLIED, asset_partitions=[partition]), limit=1
    )
    for record in found.records:
        told = record.asset_materialization
        if record.event_log_entry.run_id == run_id and told is not None and TO_TELL in told.metadata:
            return int(str(told.metadata[TO_TELL].value))
    return 0
