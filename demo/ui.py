"""The demo in Dagster's pages: the sandbox, and `dagster dev` beside it, until the person stops it.

Here: the life of the two processes. Not here: the stage (`stage.py`).
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from types import FrameType

from rich.console import Console

from demo.stage import FIRST_MONTH, ROOT, Stage, usage_tenants

STOP_SECONDS = 15.0


def run_ui(console: Console, home: Path, port: int) -> int:
    """Serve the pages on loopback at `port`; Dagster's exit status. Fills the demo first where nothing was filled."""
    stage = Stage(home)
    tenants = usage_tenants()
    with stage.sandbox() as sandbox:
        stage.set_environment(sandbox, min(tenant.period for tenant in tenants))
        for tenant in tenants:
            console.print(f"{tenant.name}: making sure that billing and the demo NetSuite account are filled")
            stage.fill_billing(tenant)
            stage.fill_netsuite(tenant, sandbox, lambda done, total: None)
        _add_partitions()
        console.print(
            f"\nDagster's pages: [bold]http://127.0.0.1:{port}[/]  (Ctrl-C stops)\n"
            "Jobs > write_back > Materialize: pick a tenant and the month"
            f" {', '.join(sorted({tenant.period for tenant in tenants}))}.\n"
            f"Months begin with {os.environ[FIRST_MONTH]}."
        )
        return _serve(port)


def _add_partitions() -> None:
    """Show the tenants at once; from then on the sensor keeps them."""
    from netsuite_assets.launch import local_instance
    from netsuite_assets.partitions import tenants
    from resources.as_dagster import TenantsResource

    with local_instance(ROOT) as instance:
        instance.add_dynamic_partitions(str(tenants.name), TenantsResource().get().names())


def _serve(port: int) -> int:
    command = [sys.executable, "-m", "dagster", "dev", "--workspace", str(ROOT / "workspace.yaml")]
    command += ["--host", "127.0.0.1", "--port", str(port), "--log-level", "warning"]
    running: list[subprocess.Popen[bytes]] = []

    def stop(signum: int, frame: FrameType | None) -> None:
        for process in running:
            process.terminate()

    # Handled before Dagster starts: a signal that this process ignored (a background job of a shell ignores Ctrl-C)
    # would be ignored by Dagster, too, which then could not be stopped.
    former = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        # In a session of its own, so that Ctrl-C reaches this process alone and it ends both in order.
        process = subprocess.Popen(
            command, start_new_session=True, env={**os.environ, "PYTHONWARNINGS": "ignore"}
        )
        running.append(process)
        return process.wait()
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)
        for process in running:
            process.terminate()
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
