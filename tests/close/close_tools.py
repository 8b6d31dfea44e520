"""Where people sign a month, and a tenant's file with other text in it."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from month import NOW, Month, TenantRules, load_rules

from netsuite_assets.close.sign_off import Look, SigningMonth, look, prepare, review
from netsuite_assets.reconcile.exceptions import synchronise
from netsuite_assets.writeback.plan import make_plan
from resources.ledger import Ledger, SignOffEvent

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Files:
    """A folder with the tenant's working file and a ledger."""

    folder: Path

    @property
    def warehouse(self) -> Path:
        return self.folder / "warehouse"

    @property
    def working(self) -> Path:
        return self.warehouse / "tenants" / "acme.duckdb"

    @property
    def ledger_url(self) -> str:
        return f"sqlite:///{self.folder / 'ledger.sqlite'}"

    def copied(self, folder: Path) -> Files:
        """The same in another folder."""
        made = Files(folder)
        made.working.parent.mkdir(parents=True)
        shutil.copyfile(self.working, made.working)
        shutil.copyfile(self.folder / "ledger.sqlite", folder / "ledger.sqlite")
        return made


@dataclass
class Desk:
    """Where people sign: the month on both sides, the ledger, and a clock that they turn."""

    month: Month
    ledger: Ledger
    now: datetime = NOW

    @property
    def signing(self) -> SigningMonth:
        rules = self.month.rules
        return SigningMonth(self.month.held, self.ledger, rules.tenant, rules.mapping, self.month.period)

    def reconcile(self) -> None:
        """What a run of the job *reconcile* does before the sign-off; it takes an hour."""
        rules, held, period = self.month.rules, self.month.held, self.month.period
        self.month.prove()
        self.month.reconcile()
        make_plan(held, rules.tenant, rules.mapping, period, self.ledger, self.now)
        synchronise(held, self.ledger, period, ["mapping", "reconcile", "plan"], self.now, "reconcile-run")
        self.now += timedelta(hours=1)

    def sign(self, preparer: str = "Ada", reviewer: str = "Bob", despite: str | None = "known") -> None:
        """Both sign, and some days go by."""
        prepare(self.signing, preparer, "read", despite, self.now)
        review(self.signing, reviewer, "read too", despite, self.now, "sign-run")
        self.now += timedelta(days=3)

    def look(self) -> Look:
        """What a nightly run does, on what NetSuite's tables hold now."""
        self.month.prove()
        return look(self.signing, self.now, "nightly-run")

    def events(self) -> list[SignOffEvent]:
        return self.ledger.sign_off_events("acme", self.month.period)


def mapped(folder: Path, old: str, new: str) -> TenantRules:
    """Acme with other text in its file."""
    for name in ("acme.yaml", "_defaults.yaml"):
        text = " ".join((ROOT / "tenants" / name).read_text(encoding="utf-8").split(" "))
        (folder / name).write_text(text, encoding="utf-8")
    path = folder / "acme.yaml"
    text = "\n".join(_squeezed(line) for line in path.read_text(encoding="utf-8").splitlines()) + "\n"
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")
    return load_rules(folder, "acme")


def _squeezed(line: str) -> str:
    """A line without the blanks that align its values."""
    indent = len(line) - len(line.lstrip())
    return line[:indent] + " ".join(line.split())
