"""A command that reads, typed where nothing ran yet, says so and leaves no empty file behind."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from netsuite_assets.cli import app

TENANTS = Path(__file__).parents[2] / "tenants"


@pytest.mark.parametrize(
    "command",
    [
        "plan acme 2026-10",
        "approve acme 2026-10 --by Ana --note checked",
        "explain acme invoice 1",
        "mapping history acme",
        "exceptions list acme",
        "exceptions show acme 1",
        "exceptions comment acme 1 --by Ana --note checked",
        "sign-off show acme 2026-10",
        "sign-off prepare acme 2026-10 --by Ana --note checked",
        "ledger verify",
        "ledger export acme 2026-10",
        "page acme 2026-10",
        "close-package acme 2026-10",
    ],
)
def test_it_says_so_and_makes_nothing(command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RECON_LEDGER", "RECON_WAREHOUSE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("RECON_TENANTS", str(TENANTS))
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app, command.split())
    assert done.exit_code == 1, done.output
    assert any(
        said in done.output for said in ("nothing ran here yet", "there is no warehouse/published.duckdb")
    ), done.output
    assert "recon reconcile" in done.output
    assert list(tmp_path.iterdir()) == []
