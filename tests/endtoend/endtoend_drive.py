"""Runs one job in a process of its own, for tests that end the process or need another first month.

    python endtoend_drive.py JOB TENANT PERIOD
    python endtoend_drive.py recon ARGUMENTS...

The second form is the `recon` command, its runs without the checks; set RECON_FIRST_MONTH for it. Exit status 1 and
the message on standard error when the run fails.
"""

from __future__ import annotations

import sys

from endtoend_tools import definitions, run

import netsuite_assets.definitions
from netsuite_assets.cli import app
from netsuite_assets.launch import RunFailed

if __name__ == "__main__":
    job, *arguments = sys.argv[1:]
    if job == "recon":
        without_checks = definitions()
        netsuite_assets.definitions.build_defs = lambda resources=None: without_checks
        app(arguments)
    try:
        run(job, *arguments)
    except RunFailed as failed:
        sys.exit(str(failed))
