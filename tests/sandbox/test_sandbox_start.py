"""Starting and stopping: the ready line, mistakes in what it is given, and state that survives."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from sandbox_tools import PROFILES, ROOT, Api, Server, start

from sandbox.cli import main
from sandbox.faults import AccountKind, Fault, LineKind, RecordKind
from sandbox.profile import Role
from sandbox.switches import Switches


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[..., Result]:
    """The command line, in this process: quick, and the same words and status."""

    def call(*arguments: str) -> Result:
        status = main(list(arguments))
        return Result(status, *capsys.readouterr())

    return call


@dataclass
class Result:
    status: int
    stdout: str
    stderr: str


Run = Callable[..., Result]


def profile_with(tmp_path: Path, old: str, new: str) -> Path:
    text = (PROFILES / "oneworld.yaml").read_text()
    assert old in text
    path = tmp_path / "profile.yaml"
    path.write_text(text.replace(old, new, 1))
    return path


def line_of(path: Path, text: str) -> int:
    return next(n for n, line in enumerate(path.read_text().splitlines(), 1) if text in line)


def assert_refused(result: Result, *parts: str) -> None:
    assert result.status == 2
    assert result.stdout == ""
    assert len(result.stderr.strip().splitlines()) == 1, result.stderr
    for part in parts:
        assert part in result.stderr


def test_help_says_how_to_use_it() -> None:
    command = [sys.executable, "-m", "sandbox", "--help"]
    result = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=20)
    assert result.returncode == 0
    for word in ("--profile", "--state", "--certificate", "oneworld.yaml", "ready at", "exit status"):
        assert word in result.stdout


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_it_cleanly(number: signal.Signals) -> None:
    server = start("--profile", str(PROFILES / "single.yaml"))
    assert httpx.get(f"{server.url}/sandbox").json()["accounts"][0]["account"] == "TSTDRV7654321"
    server.process.send_signal(number)
    assert server.process.wait(10) == 0
    assert server.process.stderr is not None
    assert server.process.stderr.read() == ""


def test_a_used_port_is_named(run: Run) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert_refused(
            run("--profile", str(PROFILES / "single.yaml"), "--port", str(port)),
            f"127.0.0.1:{port}",
            "in use",
        )


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("edition: oneworld", "edition: two", "edition"),
        (
            "timezone: America/New_York",
            "timezone: America/Nowhere",
            "'America/Nowhere' is not an IANA time zone",
        ),
        ("concurrency_limit: 15", "concurrency_limit: 0", "concurrency_limit"),
        ("date_format: MM/DD/YYYY", "date_formt: MM/DD/YYYY", "date_formt"),
        ("symbol: EUR, name", "symbol: Euro, name", "currencies.1.symbol"),
    ],
)
def test_a_mistake_in_a_profile_is_named_with_file_and_line(
    run: Run, tmp_path: Path, old: str, new: str, message: str
) -> None:
    path = profile_with(tmp_path, old, new)
    assert_refused(run("--profile", str(path)), f"{path}:{line_of(path, new)}:", message)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("role: 1042", "role: 77", "role 77 is not declared"),
        (
            "display_name: Seats, income_account: 599",
            "display_name: Seats, income_account: 5",
            "income_account 5 is not declared",
        ),
        ("{id: 413, item_id: Storage", "{id: 412, item_id: Storage", "id 412 is used more than once"),
        (
            "    name: Billing Auditor\n",
            "    name: Billing Auditor\n    subsidiaries: [9]\n",
            "subsidiary 9 is not declared",
        ),
        (
            "administrator: true}",
            "administrator: true, subsidiaries: [1]}",
            "an administrator is not restricted",
        ),
    ],
)
def test_a_reference_to_nothing_is_named(run: Run, tmp_path: Path, old: str, new: str, message: str) -> None:
    path = profile_with(tmp_path, old, new)
    assert_refused(run("--profile", str(path)), str(path), message)


def test_what_is_not_yaml_is_named_with_its_line(run: Run, tmp_path: Path) -> None:
    path = profile_with(tmp_path, "currencies:\n", "currencies: [\n")
    assert_refused(run("--profile", str(path)), f"{path}:", "is not YAML")


def test_a_missing_profile_is_named(run: Run, tmp_path: Path) -> None:
    assert_refused(run("--profile", str(tmp_path / "none.yaml")), "none.yaml", "cannot be read")


def test_one_account_is_served_once(run: Run) -> None:
    path = str(PROFILES / "single.yaml")
    assert_refused(run("--profile", path, "--profile", path), "TSTDRV7654321", "another --profile")


def test_a_certificate_must_name_a_known_integration(run: Run, tmp_path: Path, public_pem: Path) -> None:
    profile = ("--profile", str(PROFILES / "single.yaml"))
    assert_refused(
        run(*profile, "--certificate", f"TSTDRV7654321:nobody:c:{public_pem}"), "nobody", "usage-billing"
    )
    assert_refused(run(*profile, "--certificate", f"1234567:usage-billing:c:{public_pem}"), "no --profile")
    assert_refused(
        run(*profile, "--certificate", "TSTDRV7654321:usage-billing:c:/nowhere.pem"), "/nowhere.pem"
    )
    assert_refused(run(*profile, "--certificate", "usage-billing"), "ACCOUNT:CLIENT_ID:CERT_ID:PEMFILE")


def test_a_short_rsa_key_is_refused(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "short.pem"
    key = rsa.generate_private_key(65537, 2048).public_key()
    path.write_bytes(key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    result = run(
        "--profile", str(PROFILES / "single.yaml"), "--certificate", f"TSTDRV7654321:usage-billing:c:{path}"
    )
    assert_refused(result, "3072 or 4096 bits, not 2048")


def test_a_state_file_survives_a_restart(tmp_path: Path, fresh: Callable[..., tuple[Server, Api]]) -> None:
    state = tmp_path / "state.db"
    server, api = fresh("--state", str(state))
    customer = api.customer(externalId="cus-1")
    invoice = api.invoice(customer, "12.34", externalId="inv-1")
    assert server.stop() == 0
    assert (tmp_path / "state-1234567-sb1.db").exists()

    _, again = fresh("--state", str(state))
    assert again.get("invoice/eid:inv-1")["id"] == invoice
    assert again.rows("SELECT foreigntotal FROM transaction WHERE externalid = 'inv-1'") == [
        {"foreigntotal": "12.34"}
    ]
    # Ids go on where they stopped.
    assert int(again.invoice(customer)) > int(invoice)


def test_a_state_file_that_is_something_else_is_named(run: Run, tmp_path: Path) -> None:
    (tmp_path / "state-tstdrv7654321.db").write_text(
        "this is no database at all, but it is long enough " * 20
    )
    result = run("--profile", str(PROFILES / "single.yaml"), "--state", str(tmp_path / "state.db"))
    assert_refused(result, "state-tstdrv7654321.db", "cannot be used")


@pytest.mark.parametrize("name", Switches.model_fields)
def test_every_switch_is_in_the_documentation(name: str) -> None:
    default = Switches.model_fields[name].default
    shown = str(default).lower() if isinstance(default, bool) else str(default)
    assert f"| `{name}` | `{shown}` |" in (ROOT / "docs" / "sandbox.md").read_text()


KINDS = [*get_args(LineKind), *get_args(RecordKind), *get_args(AccountKind)]


@pytest.mark.parametrize("kind", KINDS)
def test_every_fault_is_in_the_documentation(kind: str) -> None:
    rows = re.findall(r"^\| (`.*?) \|", (ROOT / "docs" / "sandbox.md").read_text(), re.MULTILINE)
    assert kind in [name for row in rows for name in re.findall(r"`(\w+)`", row)]


def test_every_setting_of_a_fault_and_of_a_role_is_in_the_documentation() -> None:
    text = (ROOT / "docs" / "sandbox.md").read_text()
    faults = text.partition("A fault rule:")[2].partition("\n## ")[0]
    assert [
        name for name in Fault.model_fields if f"`{name}`" not in faults and f'"{name}"' not in faults
    ] == []
    roles = next(line for line in text.splitlines() if line.startswith("| `roles` |"))
    assert [name for name in Role.model_fields if name not in roles] == []


def test_the_checklist_names_tests_that_exist() -> None:
    text = (ROOT / "docs" / "sandbox.md").read_text()
    table = text.partition("## The checklist")[2].partition("\n## ")[0]
    assert [line.split("**")[1] for line in table.splitlines() if line.startswith("| **")] == [
        str(number) for number in range(1, 21)
    ]
    every = "".join(path.read_text() for path in sorted((ROOT / "tests" / "sandbox").glob("test_*.py")))
    for name in re.findall(r"`(test_\w+)`", table):
        assert f"def {name}(" in every, name
    for name in re.findall(r"\b(test_sandbox_\w+)", table):
        assert (ROOT / "tests" / "sandbox" / f"{name}.py").is_file(), name
