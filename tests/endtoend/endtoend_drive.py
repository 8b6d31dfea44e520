"""Runs one job in a process of its own, for tests that end the process or need another first month.

    python endtoend_drive.py JOB TENANT PERIOD

Exit status 1 and the message on standard error when the run fails.
"""

from __future__ import annotations

import sys

from endtoend_tools import run

from netsuite_assets.launch import RunFailed

if __name__ == "__main__":
    job, name, period = sys.argv[1:]
    try:
        run(job, name, period)
    except RunFailed as failed:
        sys.exit(str(failed))
