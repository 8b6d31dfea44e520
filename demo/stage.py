"""The demo's stage: the tenants, their keys, databases and accounts, everything below one folder.

Here: what belongs to which tenant, and getting it all ready. Not here: running the pipeline (`run.py`).
Deleting the folder starts anew; what is there already is kept, so that a second run goes on where the first ended.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from random import Random
from typing import Any

import yaml

from demo import usage
from demo.billing_database import Filled, fill
from demo.books import fill_books, make_books
from demo.documents import Billing
from demo.invoice_file import read_invoice_file
from demo.keys import KeyFiles, ensure_keys
from demo.netsuite_account import Login
from demo.planted import Planted
from demo.sandbox_process import Certificate, Sandbox, running_sandbox

ROOT = Path(__file__).resolve().parent.parent
SEED = 20261031
CERTIFICATE_ID = "demo-certificate"
FIRST_MONTH = "RECON_FIRST_MONTH"


@dataclass(frozen=True)
class DemoAccount:
    """A demo tenant's NetSuite account, made by a sandbox profile."""

    tenant: str
    profile: Path

    @cached_property
    def _settings(self) -> Any:
        return yaml.safe_load(self.profile.read_text(encoding="utf-8"))

    @property
    def account(self) -> str:
        """The account id, as the profile has it."""
        return str(self._settings["account"])

    @property
    def client_id(self) -> str:
        """The first integration of the profile, which is the one that may write."""
        return str(self._settings["integrations"][0]["client_id"])


_PROFILES = ROOT / "sandbox" / "profiles"
ACCOUNTS: Mapping[str, DemoAccount] = {
    account.tenant: account
    for account in (
        DemoAccount("acme", _PROFILES / "oneworld.yaml"),
        DemoAccount("globex", _PROFILES / "single.yaml"),
        DemoAccount("retail", ROOT / "demo" / "profiles" / "retail.yaml"),
    )
}


@dataclass(frozen=True, slots=True)
class DemoTenant:
    """A demo tenant at work: what it billed, and the month that is reconciled."""

    name: str
    period: str
    billing: Billing

    @property
    def account(self) -> DemoAccount:
        return ACCOUNTS[self.name]


def usage_tenants() -> list[DemoTenant]:
    """The two tenants that bill by usage: one with two subsidiaries and currencies, one single company."""
    return [
        DemoTenant("acme", "2026-10", usage.acme(Random(SEED))),
        DemoTenant("globex", "2026-10", usage.globex(Random(SEED))),
    ]


def retail_tenant(invoices: Path) -> DemoTenant:
    """The tenant that billed the documents of an invoice file, in the month of its first document.

    Raises `demo.invoice_file.InvoiceFileError`.
    """
    billing = read_invoice_file(invoices)
    days = [document.issued_on for document in (*billing.invoices, *billing.credit_notes)]
    return DemoTenant("retail", min(days).strftime("%Y-%m"), billing)


@dataclass(frozen=True, slots=True)
class Stage:
    """A folder of demo state. `billing_url` puts the billing data of a single tenant elsewhere."""

    home: Path
    billing_url: str | None = None

    @property
    def environment_file(self) -> Path:
        """Every variable that the tenants' files name, as `NAME=value` lines, for `recon ui`."""
        return self.home / "demo.env"

    def database(self, tenant: str) -> str:
        """The billing database's URL: a SQLite file in the folder, unless another was given."""
        return self.billing_url or f"sqlite:///{(self.home / f'{tenant}-billing.sqlite').resolve()}"

    def keys(self, tenant: str) -> KeyFiles:
        """The tenant's key files, made when they are not there."""
        return ensure_keys(self.home / "keys", tenant, datetime.now(UTC))

    @contextmanager
    def sandbox(self) -> Iterator[Sandbox]:
        """The sandbox with every demo account, its state kept in the folder."""
        self.home.mkdir(parents=True, exist_ok=True)
        certificates = [
            Certificate(
                account.account, account.client_id, CERTIFICATE_ID, self.keys(account.tenant).certificate
            )
            for account in ACCOUNTS.values()
        ]
        with running_sandbox(
            [account.profile for account in ACCOUNTS.values()],
            certificates,
            state=self.home / "sandbox.sqlite",
            log=self.home / "sandbox.log",
        ) as sandbox:
            yield sandbox

    def set_environment(self, sandbox: Sandbox, first_month: str) -> None:
        """Set and keep the variables that the tenants' files and the project's settings name.

        `first_month` (YYYY-MM) is the earliest month at hand; an earlier one of a former run stays.
        """
        former = self.kept_environment().get(FIRST_MONTH)
        variables = {
            "RECON_TENANTS": str(ROOT / "tenants"),
            "RECON_WAREHOUSE": str((self.home / "warehouse").resolve()),
            "RECON_LEDGER": f"sqlite:///{(self.home / 'ledger.sqlite').resolve()}",
            FIRST_MONTH: min(first_month, former or first_month),
        }
        for account in ACCOUNTS.values():
            prefix = account.tenant.upper()
            variables |= {
                f"{prefix}_NS_URL": sandbox.account_url(account.account),
                f"{prefix}_NS_CLIENT_ID": account.client_id,
                f"{prefix}_NS_CERT_ID": CERTIFICATE_ID,
                f"{prefix}_NS_KEY_FILE": str(self.keys(account.tenant).private_key.resolve()),
                f"{prefix}_BILLING_URL": self.database(account.tenant),
            }
        partial = self.environment_file.with_suffix(".partial")
        partial.touch(mode=0o600)
        partial.write_text(
            "".join(f"{name}={value}\n" for name, value in variables.items()), encoding="utf-8"
        )
        partial.replace(self.environment_file)
        os.environ.update(variables)

    def kept_environment(self) -> dict[str, str]:
        """The variables of the last run; none before the first."""
        if not self.environment_file.exists():
            return {}
        lines = self.environment_file.read_text(encoding="utf-8").splitlines()
        return dict(line.split("=", 1) for line in lines if "=" in line)

    def fill_billing(self, tenant: DemoTenant) -> Filled:
        """Fill the tenant's billing database, if it is not filled."""
        return fill(self.database(tenant.name), tenant.name, tenant.billing)

    def fill_netsuite(
        self, tenant: DemoTenant, sandbox: Sandbox, progress: Callable[[int, int], None]
    ) -> Sequence[Planted]:
        """Fill the tenant's NetSuite account with part of what was billed and with defects, if it is not filled."""
        account = tenant.account
        login = Login(
            sandbox.account_url(account.account),
            account.client_id,
            CERTIFICATE_ID,
            self.keys(tenant.name).private_key,
        )
        books = make_books(tenant.name, tenant.billing, tenant.period, SEED)
        return fill_books(login, tenant.name, books, self.home / f"{tenant.name}-books.json", progress)
