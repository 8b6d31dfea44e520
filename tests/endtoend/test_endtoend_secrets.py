"""After runs that worked and runs that failed, no secret stands anywhere but where it was given."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import duckdb
import pytest
import sqlalchemy as sa
from endtoend_tools import World, definitions, tenant
from typer.testing import CliRunner

from demo.billing_database import fill
from demo.stage import ACCOUNTS
from netsuite_assets.cli import app

Opened = Callable[[Path], AbstractContextManager[World]]
PASSWORD = "s3cr3t-pw-7f1e"
#: A signed token in its three parts: client assertions and the sandbox's access tokens alike.
TOKEN = re.compile(rb"eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]{8,}")


def secrets(here: World) -> list[bytes]:
    """The body of every private key, line by line, and the password."""
    lines = [
        line
        for name in ACCOUNTS
        for line in here.stage.keys(name).private_key.read_bytes().splitlines()
        if not line.startswith(b"-----")
    ]
    assert len(lines) >= 6
    assert all(len(line) > 20 for line in lines)
    return [*lines, PASSWORD.encode()]


def texts(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Everything that the product wrote below a folder: files as they are, DuckDB's besides row by row.

    Not what was given to it (the keys, the variables), nor the sandbox's own files.
    """
    for path in sorted(folder.rglob("*")):
        shown = str(path.relative_to(folder))
        if not path.is_file() or re.match(r"\.demo/(keys/|demo\.env|sandbox)|sandbox\.log", shown):
            continue
        yield shown, path.read_bytes()
        if path.suffix == ".duckdb":
            with duckdb.connect(str(path), read_only=True) as connection:
                for schema, table in connection.execute(
                    "SELECT schema_name, table_name FROM duckdb_tables()"
                ).fetchall():
                    rows = connection.execute(
                        f'SELECT CAST(t AS VARCHAR) FROM "{schema}"."{table}" t'
                    ).fetchall()
                    yield f"{shown}: {schema}.{table}", "\n".join(text for (text,) in rows).encode()


def assert_no_secret(here: World) -> None:
    wanted = secrets(here)
    read = 0
    for where, text in texts(here.folder):
        read += 1
        for secret in wanted:
            assert secret not in text, where
        assert not TOKEN.search(text), where
    assert read > 20


def test_no_secret_is_in_any_file_message_event_or_log(
    demo_ran: Path, opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_checks = definitions()
    monkeypatch.setattr("netsuite_assets.definitions.build_defs", lambda: without_checks)
    with opened(demo_ran) as here:
        monkeypatch.chdir(here.folder)
        netsuite = here.view("globex")
        assert TOKEN.search(netsuite.bearer["Authorization"].encode()), (
            "tokens look otherwise: mend this test"
        )

        said = []
        broken = here.folder / "broken.pem"
        broken.write_bytes(here.stage.keys("globex").private_key.read_bytes()[:-60])
        billing, keys = "GLOBEX_BILLING_URL", "GLOBEX_NS_KEY_FILE"
        others = str(here.stage.keys("acme").private_key)
        for variables, fault in (
            # Both systems fail at once, so that nothing else takes its time.
            ({billing: f"postgresql://billing:{PASSWORD}@127.0.0.1:9/billing", keys: str(broken)}, None),
            ({billing: f"postgresql://billing:{PASSWORD}@[::bad/billing", keys: others}, None),
            (
                {billing: f"nosuchdriver://billing:{PASSWORD}@host/billing"},
                {"kind": "status", "status": 401, "times": 99, "path": "/services/rest/query"},
            ),
            (
                {
                    billing: f"{PASSWORD} is no URL",
                    "RECON_LEDGER": f"postgresql://l:{PASSWORD}@127.0.0.1:9/l",
                },
                {"kind": "truncate", "times": 99, "path": "/oauth2/v1/token"},
            ),
        ):
            if fault:
                netsuite.arm(fault)
            with monkeypatch.context() as environment:
                for name, value in variables.items():
                    environment.setenv(name, value)
                done = CliRunner().invoke(app, ["write-back", "globex", "2026-10"])
            netsuite.disarm()
            assert done.exit_code == 1, (variables, fault)
            assert isinstance(done.exception, SystemExit), (variables, fault, done.exception)
            said.append(done.output)
        broken.unlink()
        (here.folder / "said.txt").write_text("\n".join(said), encoding="utf-8")
        assert (here.folder / ".dagster").is_dir()
        assert_no_secret(here)


def test_the_file_of_variables_is_its_owners_alone(demo_ran: Path) -> None:
    for name in ("demo.env", *(f"keys/{owner}-private.pem" for owner in ("acme", "globex"))):
        mode = (demo_ran / ".demo" / name).stat().st_mode & 0o777
        assert mode == 0o600, name


def test_a_whole_run_whose_billing_url_has_a_password(
    filled: Path,
    opened: Opened,
    new_postgres_database: Callable[[], str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The one URL of the command line is not in what it printed, nor in what Dagster kept of the run."""
    without_checks = definitions()
    monkeypatch.setattr("netsuite_assets.definitions.build_defs", lambda: without_checks)
    url = sa.make_url(new_postgres_database()).set(password=PASSWORD)
    fill(url, "globex", tenant("globex").billing)
    with opened(filled) as here:
        shown = url.render_as_string(hide_password=False)
        monkeypatch.chdir(here.folder)
        monkeypatch.setenv("GLOBEX_BILLING_URL", shown)
        done = CliRunner().invoke(app, ["reconcile", "globex", "2026-10"])
        assert done.exit_code == 0, done.output
        (here.folder / "said.txt").write_text(done.output, encoding="utf-8")
        assert_no_secret(here)
