"""Prepared folders for the end-to-end tests, made once for all workers and copied for each test."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from endtoend_office import ACCOUNT, CLIENT, Runs
from endtoend_site import Site
from endtoend_tools import ROOT, World, recon, run, tenant, world
from filelock import FileLock

from demo.keys import ensure_keys
from demo.sandbox_process import Certificate, running_sandbox
from demo.stage import CERTIFICATE_ID

Prepare = Callable[[Path], None]


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Callable[[str, Prepare], Path]:
    """The folder of this name; the first worker that asks for it has it made, the others wait for it."""
    base = tmp_path_factory.getbasetemp()
    shared = base if worker_id == "master" else base.parent

    def folder(name: str, prepare: Prepare) -> Path:
        target = shared / f"prepared-{name}"
        with FileLock(shared / f"prepared-{name}.lock"):
            if not target.exists():
                building = shared / f"prepared-{name}.building"
                shutil.rmtree(building, ignore_errors=True)
                building.mkdir()
                prepare(building)
                building.rename(target)
        return target

    return folder


@pytest.fixture(scope="session")
def filled(prepared: Callable[[str, Prepare], Path]) -> Path:
    """Both usage tenants' billing and NetSuite, filled; nothing has run yet."""

    def prepare(folder: Path) -> None:
        with world(folder) as opened:
            for name in ("acme", "globex"):
                opened.stage.fill_billing(tenant(name))
                opened.stage.fill_netsuite(tenant(name), opened.sandbox, lambda done, total: None)

    return prepared("filled", prepare)


@pytest.fixture(scope="session")
def planned(filled: Path, prepared: Callable[[str, Prepare], Path]) -> Path:
    """The same after globex was reconciled: its plan is made, approved by policy, and not yet sent."""

    def prepare(folder: Path) -> None:
        shutil.copytree(filled, folder, dirs_exist_ok=True)
        with world(folder):
            run("reconcile", "globex", "2026-10")

    return prepared("planned", prepare)


@pytest.fixture
def opened(tmp_path: Path) -> Callable[[Path], AbstractContextManager[World]]:
    """Opens a copy of a prepared folder, with a sandbox of its own."""

    def open_copy(folder: Path) -> AbstractContextManager[World]:
        return world(shutil.copytree(folder, tmp_path / "here"))

    return open_copy


@pytest.fixture
def globex(planned: Path, opened: Callable[[Path], AbstractContextManager[World]]) -> Iterator[World]:
    """Globex with a plan that was approved and not yet sent."""
    with opened(planned) as here:
        yield here


@pytest.fixture(scope="session")
def demo_ran(prepared: Callable[[str, Prepare], Path]) -> Path:
    """A folder in which somebody typed `recon demo`; `demo.out` and `demo.err` are what it printed. Not to be changed."""

    def prepare(folder: Path) -> None:
        done = recon("demo", folder=folder, environ={})
        (folder / "demo.out").write_text(done.stdout, encoding="utf-8")
        (folder / "demo.err").write_text(done.stderr, encoding="utf-8")
        assert done.returncode == 0, done.stdout + done.stderr

    return prepared("demo", prepare)


@pytest.fixture(scope="session")
def shared_globex(
    planned: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[World, dict[str, str]]]:
    """One such world and its variables for many tests, none of which changes it: starting a sandbox takes its time."""
    former = dict(os.environ)
    with world(shutil.copytree(planned, tmp_path_factory.mktemp("shared") / "here")) as here:
        # Other tests come between: each takes the variables by itself.
        os.environ.clear()
        os.environ.update(former)
        yield here, here.stage.kept_environment()


@pytest.fixture
def desk(shared_globex: tuple[World, dict[str, str]], monkeypatch: pytest.MonkeyPatch) -> World:
    """The shared world, with its environment. Not to be changed."""
    here, environ = shared_globex
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    return here


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """An account that one small tenant has to itself, and the server of its runs. Empty it first."""
    folder = tmp_path_factory.mktemp("site")
    keys = ensure_keys(folder, "office", datetime.now(UTC))
    certificate = Certificate(ACCOUNT, CLIENT, CERTIFICATE_ID, keys.certificate)
    profile = ROOT / "sandbox" / "profiles" / "oneworld.yaml"
    state, log = folder / "state.sqlite", folder / "sandbox.log"
    with running_sandbox([profile], [certificate], state=state, log=log) as sandbox:
        runs = Runs()
        yield Site(sandbox.account_url(ACCOUNT), keys.private_key, runs)
        runs.close()
