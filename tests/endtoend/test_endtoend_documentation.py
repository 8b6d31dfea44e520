"""Every command that README and the pages for users print can be typed, and does what they say."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import httpx
import pytest
from endtoend_tools import RECON, ROOT, World, definitions, plain_environment, query
from typer.testing import CliRunner

from netsuite_assets.cli import app

Opened = Callable[[Path], AbstractContextManager[World]]
PAGES = [ROOT / "README.md", *(ROOT / "docs" / f"{name}.md" for name in ("finance", "analysts", "engineers"))]


def blocks(page: Path, language: str) -> list[str]:
    """The fenced blocks of a language, without their indentation."""
    found = re.findall(
        rf"^( *)```{language}\n(.*?)^ *```", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE
    )
    return [textwrap.dedent(text) for _, text in found]


def commands(page: Path) -> list[list[str]]:
    """Each command of the page's shell blocks, in words."""
    lines = [line for block in blocks(page, "sh") for line in block.splitlines()]
    return [words for line in lines if (words := shlex.split(line, comments=True))]


EVERY = [(page, words) for page in PAGES for words in commands(page)]
RECON_COMMANDS = [(page, words[1:]) for page, words in EVERY if words[0] == ".venv/bin/recon"]
#: Started by the test at the end of this module (and `recon ui` in Chromium by tests/ui).
SERVERS = [["recon", "ui"], ["dagster", "dev"]]
#: What installs or runs these very tests.
SETUP = [
    ["python3", "-m", "venv", ".venv"],
    [".venv/bin/pip", "install", "-c", "constraints.txt", "-e", ".[test]"],
    [".venv/bin/python", "-m", "pytest", "-n", "2"],
]


def test_no_command_is_left_out() -> None:
    """Whoever adds a command of a new kind to the pages adds its test here."""
    assert len(EVERY) >= 15
    for page, words in EVERY:
        known = (
            words[0] == "make"
            or words[0] == ".venv/bin/recon"
            or words in SETUP
            or [words[0].removeprefix(".venv/bin/"), *words[1:]] in SERVERS
        )
        assert known, (page.name, words)


def test_what_is_installed_is_pinned() -> None:
    """`pip install -c constraints.txt -e '.[test]'` takes a version from constraints.txt for each dependency."""
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = [
        *project["dependencies"],
        *project["optional-dependencies"]["test"],
    ]
    text = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    pinned = {
        name.lower().replace("_", "-") for name in re.findall(r"^([A-Za-z0-9._-]+)==", text, re.MULTILINE)
    }
    names = {re.split(r"[\[<>=! ]", name)[0].lower() for name in wanted} - {project["name"]}
    assert names <= pinned, names - pinned
    assert not re.search(r"https?:|--index|file:", text)


@pytest.mark.skipif(shutil.which("make") is None, reason="there is no make on this machine")
@pytest.mark.parametrize(
    ("arguments", "runs"),
    [
        (["reconcile"], ".venv/bin/recon demo"),
        (["reconcile", "INVOICES=some file.csv"], '.venv/bin/recon demo --invoices "some file.csv"'),
        (["ui"], ".venv/bin/recon ui"),
        (["test"], ".venv/bin/python -m pytest -n 2"),
        (["clean"], "rm -rf .demo .dagster"),
    ],
    ids=lambda value: value[-1] if isinstance(value, list) else None,
)
def test_make_runs_what_the_page_gives_for_those_without_make(arguments: list[str], runs: str) -> None:
    done = subprocess.run(["make", "-n", *arguments], cwd=ROOT, capture_output=True, text=True, check=True)
    assert runs in [line.strip() for line in done.stdout.splitlines()]
    documented = {words[1] for _, words in EVERY if words[0] == "make"}
    assert arguments[0] in documented
    assert (ROOT / ".ci" / "run").read_text(encoding="utf-8").count("make test") == 1


def test_the_demo_is_the_command_of_the_page(demo_ran: Path) -> None:
    """The other tests of this folder rest on `recon demo`, typed so."""
    assert ["demo"] in [words for page, words in RECON_COMMANDS if page.name == "README.md"]
    assert (demo_ran / ".demo" / "warehouse" / "published.duckdb").exists()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_pages_commands_run_in_their_order(
    demo_ran: Path, opened: Opened, page: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = [words for where, words in RECON_COMMANDS if where == page and words[0] not in ("demo", "ui")]
    python = blocks(page, "python")
    if not mine and not python:
        assert page.name == "README.md"
        return
    without_checks = definitions()
    monkeypatch.setattr("netsuite_assets.definitions.build_defs", lambda: without_checks)
    with opened(demo_ran) as here:
        monkeypatch.chdir(here.folder)
        for words in mine:
            done = CliRunner().invoke(app, words)
            assert done.exit_code == 0, (words, done.output)
            assert done.stdout.strip(), words
        for code in python:
            ran = subprocess.run(
                [sys.executable, "-c", code], capture_output=True, text=True, cwd=here.folder
            )
            assert ran.returncode == 0, ran.stderr
            assert "acme" in ran.stdout


def test_the_queries_that_the_demo_prints_run(demo_ran: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    printed = (demo_ran / "demo.out").read_text(encoding="utf-8")
    queries = re.findall(r'^  \.venv/bin/recon (query ".*")$', printed, flags=re.MULTILINE)
    assert len(queries) == 3
    monkeypatch.chdir(demo_ran)
    monkeypatch.delenv("RECON_WAREHOUSE", raising=False)
    for text in queries:
        done = CliRunner().invoke(app, shlex.split(text))
        assert done.exit_code == 0, done.output
        assert re.search(r"\d+ rows", done.stdout), done.stdout


def test_the_tables_that_the_analysts_page_lists_are_those_of_the_file(demo_ran: Path) -> None:
    page = (ROOT / "docs" / "analysts.md").read_text(encoding="utf-8")
    table = page.split("| Table | One row is |", 1)[1].split("\n\n", 1)[0]
    listed = sorted(re.findall(r"^\| `(\w+)` \|", table, flags=re.MULTILINE))
    published = demo_ran / ".demo" / "warehouse" / "published.duckdb"
    tables = query(published, "SELECT table_name FROM duckdb_tables() ORDER BY 1")
    assert listed == [name for (name,) in tables]
    for (name,) in tables:
        columns = [row[0] for row in query(published, f"DESCRIBE {name}")]
        assert {"tenant", "period"} <= set(columns), name


def test_the_names_and_links_in_the_pages_are_right() -> None:
    everything = definitions_by_name()
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for link in re.findall(r"\]\(([^)#:]+)\)", text):
            assert (page.parent / link).exists(), (page.name, link)
        for kind in ("sensor", "schedule", "asset", "job"):
            for name in re.findall(rf"\b{kind}s? [`*]+(\w+)[`*]", text):
                assert name in everything[kind], (page.name, kind, name)


def definitions_by_name() -> dict[str, set[str]]:
    text = Path(__file__).with_name("definitions.txt").read_text(encoding="utf-8")
    return {
        kind: set(re.findall(rf"^{kind} (\w+)", text, flags=re.MULTILINE))
        for kind in ("sensor", "schedule", "asset", "job")
    }


@pytest.mark.soak
@pytest.mark.parametrize("server", SERVERS, ids=" ".join)
def test_the_servers_start_and_stop(server: list[str], tmp_path: Path) -> None:
    assert [server[0], *server[1:]] in [[w[0].removeprefix(".venv/bin/"), *w[1:]] for _, w in EVERY]
    for name in ("workspace.yaml", "dagster.yaml"):
        shutil.copy(ROOT / name, tmp_path)
    shutil.copytree(ROOT / "tenants", tmp_path / "tenants")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [str(RECON.with_name(server[0])), *server[1:], "--port", str(port)]
    process = subprocess.Popen(
        command,
        cwd=tmp_path,
        env=plain_environment(),
        stdout=(tmp_path / "out").open("w"),
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        for _ in range(600):
            assert process.poll() is None, (tmp_path / "out").read_text()
            try:
                if httpx.get(f"http://127.0.0.1:{port}/server_info", trust_env=False).status_code == 200:
                    break
            except httpx.TransportError:
                pass
            time.sleep(0.2)
        else:
            pytest.fail((tmp_path / "out").read_text())
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(60)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
    with pytest.raises(httpx.TransportError):
        httpx.get(f"http://127.0.0.1:{port}/server_info", trust_env=False)
