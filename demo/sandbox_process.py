"""The NetSuite sandbox as a process beside the demo: started, awaited, stopped.

Here: its life. Not here: what it serves; the sandbox is a program of its own, reached over HTTP only.
"""

from __future__ import annotations

import re
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

READY_SECONDS = 30.0
STOP_SECONDS = 10.0
_READY = re.compile(r"^NetSuite sandbox ready at (http://\S+)$")


class SandboxError(Exception):
    """The sandbox did not start; the text has its own words."""


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate that an account's integration accepts; `pem` is a file with the public part."""

    account: str
    client_id: str
    certificate_id: str
    pem: Path

    def __str__(self) -> str:
        return f"{self.account}:{self.client_id}:{self.certificate_id}:{self.pem}"


@dataclass(frozen=True, slots=True)
class Sandbox:
    """A running sandbox: its address, below which each account has its own part."""

    url: str
    process: subprocess.Popen[str]

    def account_url(self, account: str) -> str:
        """Where an account is, for `base_url` in a tenant's file."""
        return f"{self.url}/{account.lower().replace('_', '-')}"


@contextmanager
def running_sandbox(
    profiles: Sequence[Path],
    certificates: Sequence[Certificate],
    *,
    state: Path,
    log: Path,
    port: int = 0,
) -> Iterator[Sandbox]:
    """A sandbox on loopback until the block ends. `port` 0 takes a free one; `state` survives, `log` is appended to.

    Raises `SandboxError` with what the sandbox printed when it is not ready in time.
    """
    command = [
        sys.executable,
        "-m",
        "sandbox",
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
        "--state",
        str(state),
    ]
    for profile in profiles:
        command += ["--profile", str(profile)]
    for certificate in certificates:
        command += ["--certificate", str(certificate)]
    state.parent.mkdir(parents=True, exist_ok=True)
    with log.open("a", encoding="utf-8") as errors:
        began = errors.tell()
        process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=errors,
            stdin=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
        )
        try:
            yield Sandbox(_address(process, log, began), process)
        finally:
            _stop(process)


def _address(process: subprocess.Popen[str], log: Path, began: int) -> str:
    """The address in the line that says it is ready."""
    assert process.stdout is not None
    late = threading.Timer(READY_SECONDS, process.kill)
    late.start()
    try:
        for line in process.stdout:
            if found := _READY.match(line.strip()):
                return found[1]
    finally:
        late.cancel()
    process.wait()
    with log.open(encoding="utf-8", errors="replace") as errors:
        errors.seek(began)
        said = errors.read().strip()
    raise SandboxError(
        f"The NetSuite sandbox did not start (exit status {process.returncode}). It said: {said or 'nothing'}\n"
        f"Its whole log is {log}. Delete the demo's folder to begin anew."
    )


def _stop(process: subprocess.Popen[str]) -> None:
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.stdout is not None:
        process.stdout.close()
