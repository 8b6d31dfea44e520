"""Runs one job as `endtoend_drive.py` does, in a process that ends itself at its step number N.

    python endtoend_mortal.py N FILE JOB TENANT PERIOD

The steps are those of `endtoend_office.py`, counted from the first intent on and written to FILE.
"""

from __future__ import annotations

import sys
from pathlib import Path

from endtoend_office import Steps
from endtoend_tools import run

if __name__ == "__main__":
    kill_at, file, *job = sys.argv[1:]
    Steps(Path(file), int(kill_at)).watch()
    run(*job)
