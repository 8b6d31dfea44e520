"""What the command line prints of rows is whole, however narrow the terminal; and it is about the demo where nothing else is."""

from __future__ import annotations

import os
import shutil
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from month import Month
from rich.console import Console
from typer.testing import CliRunner

from netsuite_assets.cli import app
from netsuite_assets.publish.mart import publish
from netsuite_assets.terminal import print_rows
from resources.ledger import Ledger
from resources.warehouse import Warehouse

HEADINGS = [">no.", "name", "what", "why"]


def printed(width: int, *rows: list[str]) -> list[str]:
    console = Console(file=StringIO(), width=width)
    print_rows(console, HEADINGS, rows, lead=2)
    assert isinstance(console.file, StringIO)
    return [line.rstrip() for line in console.file.getvalue().splitlines()]


def test_rows_that_fit_are_a_table() -> None:
    lines = printed(60, ["1", "Ada [b]", "sent", ""], ["12", "Bob", "held", "closed"])
    assert [line.split() for line in lines if line.strip()][:1] == [["no.", "name", "what", "why"]]
    assert "    1   Ada [b]   sent" in lines
    assert "   12   Bob       held   closed" in lines


def test_rows_that_do_not_fit_are_a_paragraph_each() -> None:
    long = "because " * 9 + "of it"
    assert printed(40, ["1", "Ada [b]", "sent", ""], ["12", "", "held", long]) == [
        "1  Ada [b]",
        "    what: sent",
        "12",
        "    what: held",
        f"    why: {long}",
    ]
    assert printed(40, ["1", "Ada", "x", "y"], ["2", "B" * 60, "sent", "closed"])[1] == "    what: x; why: y"


@given(
    st.lists(
        st.lists(st.from_regex(r"[a-z\[\]/]{0,30}", fullmatch=True), min_size=4, max_size=4), min_size=1
    ),
    st.integers(10, 120),
)
def test_nothing_is_cut_off(rows: list[list[str]], width: int) -> None:
    text = "\n".join(printed(width, *rows))
    for cell in (cell for row in rows for cell in row):
        assert cell in text


# What a command is about


@pytest.fixture
def played(
    october: Month, ledger: Ledger, warehouse: Warehouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """A folder in which nothing ran but a demo; its warehouse is the month's."""
    october.reconcile()
    publish(warehouse, october.held, ledger, datetime(2026, 11, 1, tzinfo=UTC))
    here = tmp_path / "here"
    (here / ".demo" / "warehouse").mkdir(parents=True)
    shutil.copy(warehouse.published_path, here / ".demo" / "warehouse")
    # As of a folder that was moved since.
    (here / ".demo" / "demo.env").write_text("RECON_WAREHOUSE=/nowhere/warehouse\n")
    for name in ("RECON_WAREHOUSE", "RECON_LEDGER"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(here)
    return here


def test_where_only_a_demo_was_played_the_commands_are_about_it(played: Path) -> None:
    before = dict(os.environ)
    done = CliRunner().invoke(app, ["query", "SELECT tenant FROM totals"])
    assert "acme" in done.stdout
    assert "Of the demo, in .demo:" in done.stderr
    assert dict(os.environ) == before


@pytest.mark.parametrize("own", ["named", "published"])
def test_whoever_has_runs_of_their_own_is_never_shown_the_demo(
    played: Path, own: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if own == "named":
        monkeypatch.setenv("RECON_WAREHOUSE", str(played / "elsewhere"))
    else:
        (played / "warehouse").mkdir()
        (played / "warehouse" / "published.duckdb").write_bytes(b"")
    assert "Of the demo" not in CliRunner().invoke(app, ["query", "SELECT 1 FROM totals"]).output


def test_a_command_that_runs_something_is_never_about_the_demo(played: Path) -> None:
    done = CliRunner().invoke(app, ["tenant", "acme"])
    assert "Of the demo" not in done.output
