"""Connecting to a billing database: the URL, the driver, and a connection that cannot write.

Here: what differs between databases at the door. Not here: what is asked of them (`sql.py`).
"""

from __future__ import annotations

import sqlite3
from functools import partial
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from sqlalchemy.pool import NullPool

from resources.billing.errors import BillingError
from resources.billing.values import ValueRefused, to_day

CONNECT_SECONDS: Final = 10


def normalise_url(url: str | sa.URL) -> sa.URL:
    """The URL with the driver that we ship: psycopg2 for a PostgreSQL URL that names none."""
    try:
        parsed = sa.make_url(url)
    except (sa.exc.ArgumentError, ValueError):
        raise BillingError(
            "Opening the billing database",
            "its URL cannot be understood (it is not repeated here, since it may hold a password).",
            "Write it as sqlite:///path/to/file.sqlite or postgresql://user:password@host:5432/name.",
            yaml_key="billing.url",
        ) from None
    if parsed.drivername in ("postgresql", "postgres"):
        return parsed.set(drivername="postgresql+psycopg2")
    return parsed


def shown(url: sa.URL) -> str:
    """The URL without its password, which may also stand among its options."""
    return url.set(query={}).render_as_string(hide_password=True)


def without_password(words: str, url: sa.URL) -> str:
    """A driver's own words, without the URL's password should they repeat it."""
    for secret in (url.password, *_texts(url.query.get("password"))):
        words = words.replace(str(secret), "***") if secret else words
    return words


def _texts(option: str | tuple[str, ...] | None) -> tuple[str, ...]:
    return (option,) if isinstance(option, str) else option or ()


def read_only_engine(url: sa.URL, zone: ZoneInfo) -> sa.Engine:
    backend = url.get_backend_name()
    if backend == "sqlite":
        path = Path(url.database or "")
        if not url.database or not path.is_file():
            raise BillingError(
                "Opening the billing database",
                f"there is no SQLite file '{path.absolute() if url.database else ''}'.",
                "Correct billing.url of the tenant, or make the file first.",
                yaml_key="billing.url",
            )
        return sa.create_engine("sqlite://", creator=partial(_open_sqlite, path, zone), poolclass=NullPool)
    try:
        if backend == "postgresql":
            return sa.create_engine(
                url,
                poolclass=NullPool,
                connect_args={"connect_timeout": CONNECT_SECONDS},
                isolation_level="REPEATABLE READ",
                execution_options={"postgresql_readonly": True},
            )
        return sa.create_engine(url, poolclass=NullPool)
    except (ModuleNotFoundError, sa.exc.NoSuchModuleError) as error:
        raise BillingError(
            "Opening the billing database",
            f"there is no driver for {url.drivername}: {error}.",
            "Install the driver (for PostgreSQL: pip install 'netsuite-billing-reconciliation[postgres]').",
            yaml_key="billing.url",
        ) from None


def _open_sqlite(path: Path, zone: ZoneInfo) -> sqlite3.Connection:
    # Autocommit of the driver is off: the transaction is begun by hand, so that it covers every read.
    connection = sqlite3.connect(
        f"{path.resolve().as_uri()}?mode=ro", uri=True, isolation_level=None, check_same_thread=False
    )

    def day_text(value: object) -> str | None:
        try:
            day = to_day(value, zone)
        except ValueRefused:
            return None
        return day.isoformat() if day else None

    connection.create_function("billing_day", 1, day_text, deterministic=True)
    return connection
