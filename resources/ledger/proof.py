"""Proving the ledger consistent, and handing its write history to an auditor.

Here: what must be true of the rows as they stand, and one file of a period's. Not here: changing anything.

What is proven is what no constraint of the database holds: that the stories fit together, and that every byte that was
intended is still the one that was hashed.
"""

from __future__ import annotations

import csv
import hashlib
import io
import itertools
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from resources.ledger.database import Database, LedgerError
from resources.ledger.intents import CLOSING
from resources.ledger.migrations import known_versions, version
from resources.ledger.schema import (
    approvals,
    approved_operations,
    events,
    exception_events,
    exceptions,
    intents,
    mapping_versions,
    plans,
    sign_off_events,
    signed_documents,
)

#: A statement reads no more rows at once than this.
_AT_ONCE: Final = 5_000

#: Tables whose history the database itself protects by a trigger.
_KEPT: Final = (
    "approvals", "approved_operations", "events", "exception_events", "intents", "mapping_uses", "mapping_versions",
    "plans", "sign_off_events", "signed_documents",
)  # fmt: skip

#: The first second that a ZIP file can name: the same ledger gives the same file, byte for byte.
_LONG_AGO: Final = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True)
class Finding:
    """Something in the ledger that cannot be: where, and what."""

    table: str
    row: str
    what: str

    def __str__(self) -> str:
        return f"{self.table} {self.row}: {self.what}"


@dataclass(frozen=True)
class Proven:
    """What was looked at, table to rows, and what was found wrong."""

    rows: dict[str, int]
    findings: tuple[Finding, ...]


class Proofs(Database):
    """The part of the ledger that proves and exports it."""

    def verify(self) -> Proven:
        """Look at everything in one transaction, in which nobody else changes it on SQLite."""
        with self._transaction() as connection:
            found = [
                *_of_the_database(connection),
                *_of_plans(connection),
                *_of_intents(connection),
                *_of_exceptions(connection),
                *_of_sign_offs(connection),
            ]
            counted = {
                table.name: connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()
                for table in (
                    plans,
                    approvals,
                    intents,
                    events,
                    exceptions,
                    exception_events,
                    sign_off_events,
                )
            }
        return Proven(counted, tuple(found))

    def export(self, tenant: str, period: str, path: Path) -> dict[str, int]:
        """Write the write history of a tenant's month to one ZIP file of CSV tables; table to rows.

        The same ledger gives the same bytes. Raises `LedgerError` when there is nothing of that month, or the file
        cannot be written.
        """
        with self._transaction() as connection:
            tables = {name: _read(connection, query) for name, query in _exported(tenant, period).items()}
        if not tables["plans"][1]:
            raise LedgerError(
                f"the ledger holds no plan of {tenant} for {period}, so there is nothing to export."
            )
        files = {f"{name}.csv": _csv(columns, rows) for name, (columns, rows) in tables.items()}
        files["README.txt"] = _about(tenant, period, tables)
        sums = "".join(
            f"{hashlib.sha256(content).hexdigest()}  {name}\n" for name, content in sorted(files.items())
        )
        files["SHA256SUMS"] = sums.encode()
        whole = path.with_name(path.name + ".part")
        try:
            with zipfile.ZipFile(whole, "w", zipfile.ZIP_DEFLATED) as archive:
                for name, content in sorted(files.items()):
                    archive.writestr(zipfile.ZipInfo(f"{tenant}-{period}/{name}", _LONG_AGO), content)
            whole.replace(path)
        except OSError as error:
            raise LedgerError(f"{path} cannot be written: {error.strerror}. Name another file.") from None
        return {name: len(rows) for name, (_, rows) in tables.items()}


# Proving


def _of_the_database(connection: Connection) -> Iterator[Finding]:
    at = version(connection)
    if at != known_versions()[-1]:
        yield Finding("ledger_version", str(at), f"it should be {known_versions()[-1]}")
    if connection.dialect.name == "sqlite":
        for (said,) in connection.exec_driver_sql("PRAGMA integrity_check"):
            if said != "ok":
                yield Finding("database", "file", f"SQLite finds it damaged: {said}")
        for table, row, parent, _ in connection.exec_driver_sql("PRAGMA foreign_key_check"):
            yield Finding(table, str(row), f"it names a row of {parent} that is not there")
        query = (
            "SELECT tbl_name FROM sqlite_master WHERE type = 'trigger' GROUP BY tbl_name HAVING count(*) >= 2"
        )
    else:
        query = "SELECT DISTINCT event_object_table FROM information_schema.triggers WHERE trigger_schema = current_schema()"
    protected = {table for (table,) in connection.exec_driver_sql(query)}
    for table in _KEPT:
        if table not in protected:
            yield Finding(table, "all", "the trigger that keeps its history from being changed is gone")


def _of_plans(connection: Connection) -> Iterator[Finding]:
    lacking = (
        sa.select(plans.c.plan_id)
        .outerjoin(
            mapping_versions,
            sa.and_(
                mapping_versions.c.tenant == plans.c.tenant, mapping_versions.c.hash == plans.c.mapping_hash
            ),
        )
        .where(mapping_versions.c.hash.is_(None))
        .order_by(plans.c.plan_id)
    )
    for (plan_id,) in connection.execute(lacking):
        yield Finding("plans", plan_id[:12], "the version of the mapping that made it is not kept")
    of_approval = (
        sa.select(approved_operations.c.approval_id, sa.func.count().label("number"))
        .group_by(approved_operations.c.approval_id)
        .subquery()
    )
    counted = sa.select(
        approvals.c.id, approvals.c.operations, sa.func.coalesce(of_approval.c.number, 0)
    ).outerjoin(of_approval, of_approval.c.approval_id == approvals.c.id)
    for key, operations, number in connection.execute(counted.order_by(approvals.c.id)):
        if number != (operations or 0):
            yield Finding(
                "approvals", str(key), f"it is for {operations or 0:,} operations and {number:,} are kept"
            )


def _of_intents(connection: Connection) -> Iterator[Finding]:
    """Bytes as hashed; sent after an approval that covers it; attempts without gaps; a story from `intended` on."""
    given: dict[str, list[tuple[datetime, int, bool]]] = {}
    columns = (approvals.c.plan_id, approvals.c.approved_at, approvals.c.id, approvals.c.operations)
    for plan_id, at, key, operations in connection.execute(sa.select(*columns).order_by(approvals.c.id)):
        given.setdefault(plan_id, []).append((at, key, operations is None))
    covered = {
        (row.approval_id, row.operation_key) for row in connection.execute(sa.select(approved_operations))
    }
    stories = _stories(connection)
    attempts: dict[tuple[str, str], int] = {}
    open_targets: dict[tuple[str, str, str], int] = {}
    query = sa.select(intents).order_by(intents.c.tenant, intents.c.operation_key, intents.c.attempt)
    for row in connection.execution_options(yield_per=_AT_ONCE).execute(query).mappings():
        at, where = str(row["id"]), (row["tenant"], row["operation_key"])
        if request_hash(row["method"], row["path"], row["query"], row["body"]) != row["body_hash"]:
            yield Finding(
                "intents",
                at,
                f"the request of {row['record']} {row['target']} is not the one that was hashed",
            )
        attempts[where] = attempts.get(where, 0) + 1
        if row["attempt"] != attempts[where]:
            yield Finding(
                "intents", at, f"it is attempt {row['attempt']} where {attempts[where]} should follow"
            )
        if not any(
            when <= row["intended_at"] and (whole or (key, row["operation_key"]) in covered)
            for when, key, whole in given.get(row["plan_id"], [])
        ):
            yield Finding(
                "intents", at, f"nobody had approved the {row['action']} of {row['record']} {row['target']}"
            )
        story = stories.get(row["id"], [])
        if not story or story[0][0] != "intended" or sum(kind == "intended" for kind, _ in story) != 1:
            yield Finding(
                "events", f"of intent {at}", "its story does not begin with its being intended, once"
            )
        if any(later < earlier for (_, earlier), (_, later) in itertools.pairwise(story)):
            yield Finding("events", f"of intent {at}", "its story goes back in time")
        closed = any(kind in CLOSING for kind, _ in story)
        if row["is_open"] == closed:
            state = "open though its outcome is known" if closed else "closed without an outcome"
            yield Finding("intents", at, f"it is {state}")
        if row["is_open"]:
            target = (row["tenant"], row["record"], row["target"])
            if target in open_targets:
                yield Finding(
                    "intents",
                    at,
                    f"{row['record']} {row['target']} has another open one, {open_targets[target]}",
                )
            open_targets[target] = row["id"]


def _stories(connection: Connection) -> dict[int, list[tuple[str, datetime]]]:
    found: dict[int, list[tuple[str, datetime]]] = {}
    query = sa.select(events.c.intent_id, events.c.kind, events.c.at).order_by(
        events.c.intent_id, events.c.id
    )
    for intent, kind, at in connection.execute(query):
        found.setdefault(intent, []).append((kind, at))
    return found


def _of_exceptions(connection: Connection) -> Iterator[Finding]:
    """An exception's state is that of the last event that changes one."""
    states = {
        "opened": "open",
        "reopened": "open",
        "expired": "open",
        "accepted": "accepted",
        "closed": "closed",
    }
    latest: dict[int, str] = {}
    query = sa.select(exception_events.c.exception_id, exception_events.c.kind).order_by(
        exception_events.c.id
    )
    for key, kind in connection.execute(query):
        latest[key] = states.get(kind, latest.get(key, "open"))
    for key, state in connection.execute(
        sa.select(exceptions.c.id, exceptions.c.state).order_by(exceptions.c.id)
    ):
        if latest.get(key) != state:
            yield Finding(
                "exceptions",
                str(key),
                f"it is {state}, and its history leaves it {latest.get(key, 'unknown')}",
            )


def _of_sign_offs(connection: Connection) -> Iterator[Finding]:
    """Steps numbered without gaps, and the figures that were signed still the ones that were hashed."""
    kept = set()
    for name, content in connection.execute(sa.select(signed_documents)):
        kept.add(name)
        if hashlib.sha256(content).hexdigest() != name:
            yield Finding("signed_documents", name[:12], "these are not the figures that were signed")
    last: dict[tuple[str, str], int] = {}
    columns = (sign_off_events.c.tenant, sign_off_events.c.period, sign_off_events.c.sequence)
    query = sa.select(*columns, sign_off_events.c.documents_hash).order_by(*columns)
    for tenant, period, sequence, documents in connection.execute(query):
        last[tenant, period] = last.get((tenant, period), 0) + 1
        if sequence != last[tenant, period]:
            yield Finding(
                "sign_off_events", f"{tenant} {period}", f"step {last[tenant, period]} is not there"
            )
            last[tenant, period] = sequence
        if documents is not None and documents not in kept:
            yield Finding(
                "sign_off_events", f"{tenant} {period}", f"the figures of step {sequence} are not kept"
            )


def request_hash(method: str, path: str, query: str, body: str) -> str:
    """The hash of the exact request: SHA-256 over method, path, query and body, each after its length in bytes and ":"."""
    digest = hashlib.sha256()
    for part in (method, path, query, body):
        encoded = part.encode()
        digest.update(f"{len(encoded)}:".encode() + encoded)
    return digest.hexdigest()


# Exporting


def _exported(tenant: str, period: str) -> dict[str, sa.Select[Any]]:
    """File to query. Bodies are there by their hash: they hold customers' data, and the ledger keeps them."""
    of_month = sa.select(plans.c.plan_id).where(plans.c.tenant == tenant, plans.c.period == period)
    of_intent = sa.select(intents.c.id).where(intents.c.tenant == tenant, intents.c.period == period)
    without_body = [column for column in intents.c if column.name not in ("body", "tenant", "period")]
    return {
        "plans": sa.select(plans)
        .where(plans.c.plan_id.in_(of_month))
        .order_by(plans.c.made_at, plans.c.plan_id),
        "approvals": sa.select(approvals).where(approvals.c.plan_id.in_(of_month)).order_by(approvals.c.id),
        "approved_operations": sa.select(approved_operations)
        .join(approvals, approvals.c.id == approved_operations.c.approval_id)
        .where(approvals.c.plan_id.in_(of_month))
        .order_by(approved_operations.c.approval_id, approved_operations.c.operation_key),
        "intents": sa.select(*without_body).where(intents.c.id.in_(of_intent)).order_by(intents.c.id),
        "answers": sa.select(events)
        .where(events.c.intent_id.in_(of_intent), events.c.kind.not_in(_READ_BACK))
        .order_by(events.c.id),
        "read_backs": sa.select(events)
        .where(events.c.intent_id.in_(of_intent), events.c.kind.in_(_READ_BACK))
        .order_by(events.c.id),
    }


_READ_BACK: Final = ("verified", "mismatch")


def _read(connection: Connection, query: sa.Select[Any]) -> tuple[Sequence[str], list[Sequence[Any]]]:
    found = connection.execute(query)
    return list(found.keys()), [tuple(row) for row in found]


def _csv(columns: Iterable[str], rows: Iterable[Sequence[Any]]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(columns)
    writer.writerows([_cell(value) for value in row] for row in rows)
    # With the mark by which Excel knows that it is UTF-8.
    return text.getvalue().encode("utf-8-sig")


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, bool):
        return "yes" if value else "no"
    text = str(value)
    # A spreadsheet would run what begins like a formula, and a customer's name may.
    return (
        f"'{text}" if isinstance(value, str) and text.startswith(("=", "+", "-", "@", "\t", "\r")) else text
    )


def _about(tenant: str, period: str, tables: dict[str, tuple[Sequence[str], list[Sequence[Any]]]]) -> bytes:
    lines = [
        f"The write history of {tenant} for {period}, as the ledger holds it.",
        "",
        *(f"{name}.csv: {len(rows)} rows" for name, (_, rows) in tables.items()),
        "",
        "plans.csv: every plan that was made, with the hashes of the mapping and of the slices that it rests on.",
        "approvals.csv: who let a plan be sent, when and why; where 'operations' is empty, the whole of it, otherwise",
        "the operations that approved_operations.csv lists.",
        "intents.csv: every write as it was recorded before it was sent. body_hash is the SHA-256 over method, path,",
        "query and body, each after its length in bytes and a colon.",
        "answers.csv: what became of each write; read_backs.csv: what NetSuite showed afterwards.",
        "Instants are UTC. A value that begins like a formula has an apostrophe before it.",
        "SHA256SUMS proves that the files are those that were exported.",
    ]
    return ("\r\n".join(lines) + "\r\n").encode()
