"""Running a job of the code location in this process, telling what it does: for the command line and the demo.

Here: one run on the local Dagster instance, so that it appears in the UI like any other. Not here: what is printed.
"""

from __future__ import annotations

import logging
import os
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import dagster as dg

from netsuite_assets.partitions import partition_key, tenants

JobName = Literal["reconcile", "write_back"]
#: Told when an asset starts (False) and when it has been materialized (True).
OnAsset = Callable[[str, bool], None]
#: Told what an asset says in the run's log while it works.
OnMessage = Callable[[str, str], None]


class RunFailed(Exception):
    """A run did not succeed; the message is what the failing asset said."""


@dataclass(frozen=True)
class RunResult:
    """A finished run: its id and each asset's metadata by asset name."""

    run_id: str
    metadata: Mapping[str, Mapping[str, Any]]


def local_instance(home: Path) -> dg.DagsterInstance:
    """The Dagster instance that `dagster.yaml` in `home` describes; its state is in `.dagster` where this process runs.

    It is the one that `dagster dev` uses when it is started in the same folder.
    """
    os.environ["DAGSTER_HOME"] = str(home.resolve())
    return dg.DagsterInstance.get()


def run_job(
    instance: dg.DagsterInstance,
    definitions: dg.Definitions,
    job: JobName,
    tenant: str,
    period: str,
    on_asset: OnAsset,
    on_message: OnMessage = lambda step, message: None,
) -> RunResult:
    """Run a job for one tenant and month. Raises `RunFailed` with the failing asset's own message."""
    instance.add_dynamic_partitions(str(tenants.name), [tenant])
    run_id = str(uuid.uuid4())
    failures: dict[str, str] = {}

    def listen(event: Any) -> None:
        entry = event.dagster_event
        if entry is None and event.step_key is not None and event.level >= logging.INFO:
            on_message(event.step_key, event.user_message)
        if entry is None or entry.step_key is None:
            return
        if entry.is_step_start:
            on_asset(entry.step_key, False)
        elif entry.is_step_success:
            on_asset(entry.step_key, True)
        elif entry.is_step_failure:
            data = entry.step_failure_data
            told = data.user_failure_data.description if data.user_failure_data else None
            failures[entry.step_key] = told or _unforeseen(data.error, run_id)

    instance.add_event_listener(run_id, listen)
    result = definitions.resolve_job_def(job).execute_in_process(
        instance=instance,
        partition_key=partition_key(tenant, period),
        run_id=run_id,
        raise_on_error=False,
        run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
    )
    if not result.success:
        raise RunFailed(_once_each(failures) or "the run failed")
    metadata: dict[str, Mapping[str, Any]] = {}
    for event in result.get_asset_materialization_events():
        materialization = event.step_materialization_data.materialization
        metadata[materialization.asset_key.to_user_string()] = {
            name: value.value for name, value in materialization.metadata.items()
        }
    return RunResult(run_id, metadata)


def _unforeseen(error: Any, run_id: str) -> str:
    """An error that has no message for people: its own words, below those of Dagster that wrap it."""
    while error is not None and error.cause is not None:
        error = error.cause
    words = error.message.strip() if error is not None else "no message"
    return (
        f"an error that was not foreseen: {words} (its stack trace is in Dagster's pages, run {run_id[:8]})"
    )


def _once_each(failures: Mapping[str, str]) -> str:
    """Every message once, with the assets that failed for it."""
    steps: dict[str, list[str]] = {}
    for step, told in failures.items():
        steps.setdefault(told, []).append(step)
    return "\n".join(f"{', '.join(failed)}: {told}" for told, failed in steps.items())
