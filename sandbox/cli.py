"""The command line: `python -m sandbox --profile FILE ...` serves accounts until it is told to stop."""

from __future__ import annotations

import argparse
import signal
import socket
import sys
from datetime import UTC, datetime
from pathlib import Path

import uvicorn

from sandbox.account import Account
from sandbox.auth.certificates import CertificateError, load_pem, read_pem
from sandbox.auth.tokens import SigningKey
from sandbox.clock import SystemClock
from sandbox.profile import Profile
from sandbox.profile_file import ProfileError, load
from sandbox.server import Application, Protocol
from sandbox.store.database import StateError

_DESCRIPTION = """\
Serve a NetSuite-compatible REST web services endpoint for development, demos and tests.

Each --profile is one account. A client reaches it by host (1234567-sb1.suitetalk.api.netsuite.com pointed at this
server) or by path (http://127.0.0.1:PORT/1234567-sb1/services/rest/...). When it is ready, one line is printed:

    NetSuite sandbox ready at http://127.0.0.1:PORT
"""
_EPILOG = """\
shipped profiles:
  sandbox/profiles/oneworld.yaml   1234567_SB1, OneWorld, USD parent and EUR subsidiary
  sandbox/profiles/single.yaml     TSTDRV7654321, a single company

example:
  openssl req -new -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 365 \\
      -subj /CN=demo -out public.pem -keyout private.pem
  python -m sandbox --profile sandbox/profiles/oneworld.yaml \\
      --certificate 1234567_SB1:billing-integration:cert-1:public.pem --port 8800

exit status: 0 stopped by SIGTERM or SIGINT, 2 a mistake in the arguments, a profile, a state file or the port.
"""


class StartError(Exception):
    """Why the server cannot start; one line."""


def parser() -> argparse.ArgumentParser:
    command = argparse.ArgumentParser(
        prog="python -m sandbox",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_argument(
        "--profile",
        action="append",
        required=True,
        type=Path,
        metavar="FILE",
        help="an account; may be repeated",
    )
    command.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    command.add_argument(
        "--port", type=int, default=0, help="port to listen on; 0 takes a free one (default: 0)"
    )
    command.add_argument(
        "--state",
        type=Path,
        metavar="FILE",
        help="keep records in SQLite: account 1234567_SB1 in FILE with -1234567-sb1 before its suffix "
        "(state.db: state-1234567-sb1.db); without it records live in memory",
    )
    command.add_argument(
        "--certificate",
        action="append",
        default=[],
        metavar="ACCOUNT:CLIENT_ID:CERT_ID:PEMFILE",
        help="give an integration a public key or X.509 certificate; may be repeated",
    )
    return command


def main(arguments: list[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    accounts: list[Account] = []
    try:
        profiles = _profiles(options.profile)
        certificates = [_certificate(text, profiles) for text in options.certificate]
        listener = _listen(options.host, options.port)
        signing_key = SigningKey()
        for profile in profiles:
            accounts.append(Account(profile, state_file(options.state, profile), SystemClock(), signing_key))
        for account_id, client_id, certificate_id, pem in certificates:
            account = next(a for a in accounts if a.profile.account == account_id)
            loaded = load_pem(certificate_id, pem, valid_until=None, today=datetime.now(UTC).date())
            account.auth.mappings.give(client_id, loaded)
    except (ProfileError, StartError, CertificateError, StateError) as error:
        print(f"sandbox: {error}", file=sys.stderr)  # noqa: T201
        return 2
    _run(accounts, listener)
    return 0


def state_file(state: Path | None, profile: Profile) -> Path | None:
    """Each account has a file of its own, so that no query can reach another's records."""
    return None if state is None else state.with_name(f"{state.stem}-{profile.label}{state.suffix}")


def _profiles(paths: list[Path]) -> list[Profile]:
    profiles: list[Profile] = []
    for path in paths:
        profile = load(path)
        if any(profile.label == other.label for other in profiles):
            raise ProfileError(f"{path}:1: account {profile.account} is served by another --profile already")
        profiles.append(profile)
    return profiles


def _certificate(text: str, profiles: list[Profile]) -> tuple[str, str, str, str]:
    parts = text.split(":", 3)
    if len(parts) != 4 or not all(parts):
        raise StartError(f"--certificate {text}: the form is ACCOUNT:CLIENT_ID:CERT_ID:PEMFILE")
    account, client_id, certificate_id, path = parts
    profile = next((p for p in profiles if p.account == account.upper()), None)
    if profile is None:
        raise StartError(f"--certificate {text}: no --profile is of account {account}")
    if all(integration.client_id != client_id for integration in profile.integrations):
        known = ", ".join(i.client_id for i in profile.integrations) or "none"
        raise StartError(
            f"--certificate {text}: {client_id} is no client_id of account {account} (it has: {known})"
        )
    return profile.account, client_id, certificate_id, read_pem(Path(path), certificate_id)


def _listen(host: str, port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(1024)
    except (OSError, OverflowError) as error:
        listener.close()
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise StartError(f"cannot listen on {host}:{port}: {reason}") from error
    return listener


def _run(accounts: list[Account], listener: socket.socket) -> None:
    """Serve until SIGTERM or SIGINT."""
    config = uvicorn.Config(
        Application(accounts),
        http=Protocol,
        loop="uvloop",
        ws="none",
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=3,
    )
    # uvicorn stops on these and raises them again when it has stopped: then they are no news.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    server = _Server(config, f"http://{_shown_host(listener)}:{listener.getsockname()[1]}")
    server.run(sockets=[listener])


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, url: str) -> None:
        super().__init__(config)
        self._url = url

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            print(f"NetSuite sandbox ready at {self._url}", flush=True)  # noqa: T201


def _shown_host(listener: socket.socket) -> str:
    host = str(listener.getsockname()[0])
    return "127.0.0.1" if host == "0.0.0.0" else f"[{host}]" if ":" in host else host
