"""A month of acme that was reconciled and planned, ready to be signed, and one that is signed: made once and copied."""

from __future__ import annotations

import copy
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import pytest
from close_tools import Desk, Files
from month import NOW, Landed, Month, TenantRules

from resources.ledger import Ledger
from resources.warehouse import Warehouse, utc_now


@contextmanager
def at_desk(files: Files, rules: TenantRules, books: object, now: datetime) -> Iterator[Desk]:
    """The desk over these files."""
    ledger = Ledger(files.ledger_url)
    with Warehouse(files.warehouse, lock_seconds=5).open("acme") as held:
        month = Month(held, rules, "2026-10")
        month.books = copy.deepcopy(books)  # type: ignore[assignment]
        yield Desk(month, ledger, now)
    ledger.close()


@pytest.fixture(scope="session")
def prepared_files(
    tmp_path_factory: pytest.TempPathFactory, landed: Landed, acme: TenantRules
) -> dict[str, tuple[Files, datetime]]:
    """What the fixtures below begin with, and the time it is then."""

    def reconciled(name: str, now: datetime) -> tuple[Files, datetime]:
        files = Files(tmp_path_factory.mktemp(name))
        files.working.parent.mkdir(parents=True)
        shutil.copyfile(landed.path, files.working)
        with at_desk(files, acme, landed.books, now) as desk:
            desk.reconcile()
            return files, desk.now

    first, reconciled_at = reconciled("reconciled", NOW)
    second = first.copied(tmp_path_factory.mktemp("signed"))
    with at_desk(second, acme, landed.books, reconciled_at) as desk:
        desk.sign()
        signed_at = desk.now
    return {
        "reconciled": (first, reconciled_at),
        "signed": (second, signed_at),
        "today": reconciled("today", utc_now()),
    }


@pytest.fixture
def files_of_today(prepared_files: dict[str, tuple[Files, datetime]], tmp_path: Path) -> Files:
    """The month, reconciled just now, with nothing open: for what looks at the clock itself."""
    return prepared_files["today"][0].copied(tmp_path)


@pytest.fixture
def desk(
    prepared_files: dict[str, tuple[Files, datetime]], tmp_path: Path, landed: Landed, acme: TenantRules
) -> Iterator[Desk]:
    """October, in which NetSuite holds what was billed, and one bill names no customer."""
    files, now = prepared_files["reconciled"]
    with at_desk(files.copied(tmp_path), acme, landed.books, now) as made:
        yield made


@pytest.fixture
def signed(
    prepared_files: dict[str, tuple[Files, datetime]], tmp_path: Path, landed: Landed, acme: TenantRules
) -> Iterator[Desk]:
    """The same, signed off by Ada and Bob three days ago."""
    files, now = prepared_files["signed"]
    with at_desk(files.copied(tmp_path), acme, landed.books, now) as made:
        yield made


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    opened = Ledger(f"sqlite:///{tmp_path / 'empty.sqlite'}")
    yield opened
    opened.close()
