"""The close package: a tenant's month for finance and its auditors, in one file that needs no program of ours.

Here: what is in it, as queries on the published file, and its layout: a page for the browser (and its printer), and each
table whole as CSV. Not here: any figure, which the published file has, or who asks for it. Imports no Dagster.
"""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from html import escape
from pathlib import Path
from typing import Any, Final

import duckdb

from netsuite_assets.publish.published import opened
from netsuite_assets.tables import called
from netsuite_assets.tell import count, money
from resources.warehouse import WarehouseError

#: The page in the package, for the browser.
PAGE: Final = "close-package.html"
#: Rows of a table that the page shows; its CSV has all.
SHOWN: Final = 500
_AT_ONCE: Final = 10_000


@dataclass(frozen=True)
class Section:
    """A table of the package: the name of its CSV, what it is, and the query that gives it for `$tenant` and `$period`."""

    name: str
    title: str
    about: str
    sql: str


_OF: Final = "WHERE tenant = $tenant AND period = $period"

SECTIONS: Final = (
    Section(
        "sign_offs",
        "Sign-off",
        "Who prepared, reviewed or withdrew the month, and what re-opened it.",
        f"""SELECT happened_at, event, done_by, note, despite, open_exceptions, accepted_exceptions, changed_documents
        FROM sign_offs {_OF} ORDER BY sequence""",
    ),
    Section(
        "sign_off_totals",
        "What the signers saw",
        "The totals as they were at each step of the sign-off.",
        f"""SELECT s.event, s.done_by, t.record, t.currency, t.billed_documents, t.billed, t.held_back_documents,
            t.held_back, t.netsuite_documents, t.netsuite, t.difference, t.unexplained
        FROM (FROM sign_off_totals {_OF}) t JOIN (FROM sign_offs {_OF}) s USING (sequence)
        ORDER BY sequence, t.record DESC, t.currency""",
    ),
    Section(
        "totals",
        "Billed and in NetSuite",
        "By record and currency: as the last comparison found it, and what NetSuite has now that it was written to.",
        f"""SELECT record, currency, billed_documents, billed_total, held_back_documents, held_back_total,
            netsuite_documents, netsuite_total, difference, explained, unexplained,
            coalesce(documents_now, 0) AS netsuite_documents_now, coalesce(total_now, 0) AS netsuite_total_now
        FROM (FROM totals {_OF}) LEFT JOIN (
            SELECT record, netsuite_currency AS currency, count(*) AS documents_now, sum(netsuite_total) AS total_now
            FROM documents {_OF} AND netsuite_month = $period GROUP BY ALL) USING (record, currency)
        ORDER BY record DESC, currency""",
    ),
    Section(
        "total_parts",
        "Of what the differences are made",
        "Billing's less NetSuite's.",
        f"""SELECT record, currency, part, count(DISTINCT (external_id, internal_id)) AS documents, sum(amount) AS amount
        FROM total_parts {_OF} GROUP BY ALL ORDER BY record DESC, currency, part""",
    ),
    Section(
        "tie_outs",
        "Tie-outs",
        "Two sides that should be the same in what moved in the month.",
        f"""SELECT tie_out, subsidiary_name, account_number, account_name, currency, left_side, left_amount,
            right_side, right_amount, difference, explained, unexplained, items
        FROM tie_outs {_OF} ORDER BY ALL""",
    ),
    Section(
        "tie_out_items",
        "What stands between the sides",
        "The documents and journals in which they differ, the greatest first.",
        f"""SELECT tie_out, basis, subsidiary_name, account_number, record, number, name, currency, left_amount,
            right_amount, amount, cause, reason
        FROM tie_out_items {_OF} ORDER BY abs(amount) DESC, tie_out, basis, number""",
    ),
    Section(
        "roll_forward",
        "Roll-forward",
        "From opening to closing, on each side. An opening that nobody knows is empty, and so is the closing.",
        f"""SELECT * EXCLUDE (tenant, period, subsidiary, account_id) FROM roll_forward {_OF}
        ORDER BY balance, subsidiary_name, account_number, currency, side""",
    ),
    Section(
        "aging",
        "Aging of receivables",
        "What is open of invoices at the month's end by days overdue, in billing and in NetSuite.",
        f"""SELECT subsidiary_name, currency, bucket, billing_documents, billing_open, netsuite_documents, netsuite_open,
            difference
        FROM aging {_OF}
        ORDER BY subsidiary_name, currency, list_position(['not due', '1-30', '31-60', '61-90', '90+'], bucket)""",
    ),
    Section(
        "receivables_drift",
        "Open on one side only",
        "Documents of which another part is open in billing than in NetSuite.",
        f"""SELECT kind, record, number, name, dated_in, currency, billing_open, netsuite_open, amount, reason, next_step
        FROM receivables_drift {_OF} ORDER BY amount DESC, number""",
    ),
    Section(
        "exceptions_by_age",
        "Exceptions by age and owner",
        "What waits for a person, by days since it was opened.",
        f"""SELECT state, bucket, coalesce(owner, 'nobody') AS owner, currency, count(*) AS exceptions,
            sum(amount) AS amount, max(age) AS oldest
        FROM exceptions {_OF} GROUP BY state, bucket, owner, currency ORDER BY state DESC, max(age) DESC, owner, currency""",
    ),
    Section(
        "exceptions",
        "Exceptions",
        "Each that is open or accepted, the oldest first.",
        f"""SELECT exception, state, record, number, name, amount, currency, age, bucket, owner, comment, accepted_by,
            accepted_until, accepted_because, reason, next_step, first_opened_at
        FROM exceptions {_OF} ORDER BY state DESC, age DESC, exception""",
    ),
    Section(
        "exception_history",
        "What happened to exceptions",
        "Closed ones included.",
        f"""SELECT exception, happened_at, event, done_by, code, record, number, name, amount, currency, detail
        FROM exception_history {_OF} ORDER BY happened_at, exception""",
    ),
    Section(
        "plan",
        "The last plan",
        "Every write that it intends, with what it changes, and why it is held or waits, if it does.",
        f"""SELECT p.sequence, p.action, p.record, p.number, p.name, p.amount, p.currency, p.changes, p.posts_in, p.held,
            p.waits_because, o.state, o.verified, p.body_hash
        FROM (FROM plan {_OF}) p LEFT JOIN (FROM outcomes {_OF}) o USING (plan_id, operation_key) ORDER BY p.sequence""",
    ),
    Section(
        "write_history",
        "Write history",
        "Every write that was ever intended for the month, with the last that is known of it.",
        f"""SELECT intended_at, action, record, target, number, name, internal_id, state, state_at, status, attempt, detail,
            plan_id, body_hash
        FROM write_history {_OF} ORDER BY intended_at, target""",
    ),
    Section(
        "slices",
        "Proof that it is complete",
        "Each table as it was counted at its source and landed; `all` belongs to no month.",
        """SELECT table_name, period, expected_rows, rows, distinct_keys, source, landed_at, content_hash
        FROM slices WHERE tenant = $tenant AND period IN ($period, 'all') ORDER BY table_name, period""",
    ),
)


@dataclass(frozen=True)
class Package:
    """A package that was written: where, and the rows of each table in it."""

    path: Path
    rows: Mapping[str, int]


def write_package(published: Path, tenant: str, period: str, path: Path, now: datetime) -> Package:
    """Write the tenant's month, as it is published, to a ZIP file at `path`; it is there whole or not at all.

    Raises `WarehouseError` when nothing of the month is published, or an older version of this project published it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.partial")
    rows: dict[str, int] = {}
    tables: list[str] = []
    where = {"tenant": tenant, "period": period}
    try:
        with opened(published) as connection, zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED) as file:
            _require(connection, where)
            for section in SECTIONS:
                asked = connection.execute(section.sql, where)
                names = [column[0] for column in asked.description or []]
                shown: list[tuple[Any, ...]] = []
                rows[section.name] = 0
                with (
                    file.open(f"{section.name}.csv", "w", force_zip64=True) as raw,
                    # With a byte order mark, by which spreadsheets know that it is UTF-8.
                    io.TextIOWrapper(raw, encoding="utf-8-sig", newline="") as text,
                ):
                    sheet = csv.writer(text)
                    sheet.writerow(names)
                    for row in _rows(asked):
                        sheet.writerow([_cell(value) for value in row])
                        rows[section.name] += 1
                        if len(shown) < SHOWN:
                            shown.append(row)
                tables.append(_table(section, names, shown, rows[section.name]))
            file.writestr(PAGE, _page(tenant, period, tables, now))
    except (duckdb.CatalogException, duckdb.BinderException) as error:
        partial.unlink(missing_ok=True)
        raise WarehouseError(
            f"the published file {published} was made by an older version: {str(error).splitlines()[0]}."
            " Each tenant's next run publishes its part anew."
        ) from None
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    partial.replace(path)
    return Package(path, rows)


def _require(connection: duckdb.DuckDBPyConnection, where: Mapping[str, str]) -> None:
    if not connection.execute(f"SELECT 1 FROM slices {_OF} LIMIT 1", where).fetchall():
        raise WarehouseError(
            f"nothing is published yet of {where['tenant']} for {where['period']}."
            f" Run: recon reconcile {where['tenant']} {where['period']}"
        )


def _rows(asked: duckdb.DuckDBPyConnection) -> Iterator[tuple[Any, ...]]:
    while rows := asked.fetchmany(_AT_ONCE):
        yield from rows


def _cell(value: Any) -> str:
    """A value as CSV has it: numbers exact, times in UTC. A text that a spreadsheet would calculate is quoted by `'`."""
    if value is None:
        return ""
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="seconds")
    text = str(value)
    return (
        f"'{text}" if isinstance(value, str) and text.startswith(("=", "+", "-", "@", "\t", "\r")) else text
    )


_STYLE: Final = """
body { font: 10pt/1.4 system-ui, sans-serif; margin: 2em; color: #222 }
h1 { font-size: 16pt } h2 { font-size: 12pt; margin: 2em 0 0; break-after: avoid }
p { margin: .2em 0 .6em; color: #555 } nav a { margin-right: 1em }
table { border-collapse: collapse; font-size: 8.5pt } thead { display: table-header-group }
th, td { border-bottom: 1px solid #ddd; padding: .2em .6em; text-align: left; vertical-align: top }
th { border-bottom: 1px solid #888; white-space: nowrap } tr { break-inside: avoid }
.n { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums }
@page { size: A4 landscape; margin: 12mm } @media print { body { margin: 0 } nav { display: none } }
"""


#: Columns of words with underscores between them.
_CODES: Final = frozenset(
    ("tie_out", "left_side", "right_side", "part", "cause", "balance", "side", "kind", "code", "state")
)


def _page(tenant: str, period: str, tables: Sequence[str], now: datetime) -> str:
    month = date.fromisoformat(f"{period}-01").strftime("%B %Y")
    title = escape(f"{tenant}, {month}")
    links = "".join(f'<a href="#{section.name}">{escape(section.title)}</a>' for section in SECTIONS)
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>Close package: {title}</title>'
        f"<style>{_STYLE}</style></head><body>\n<h1>Close package: {title}</h1>\n"
        f"<p>As published; written on {now.astimezone(UTC):%Y-%m-%d %H:%M} UTC. Each table is beside this page as a file,"
        f" whole.</p>\n<nav>{links}</nav>\n{''.join(tables)}</body></html>\n"
    )


def _table(section: Section, names: Sequence[str], rows: Sequence[Sequence[Any]], of: int) -> str:
    head = f'<h2 id="{section.name}">{escape(section.title)}</h2>\n<p>{escape(section.about)}</p>\n'
    if not rows:
        return f"{head}<p>Nothing.</p>\n"
    numeric = [any(isinstance(row[at], int | Decimal) and not isinstance(row[at], bool) for row in rows)
               for at in range(len(names))]  # fmt: skip
    currency = names.index("currency") if "currency" in names else None
    titles = "".join(
        f"<th{_class(right)}>{escape(name.replace('_', ' '))}</th>"
        for name, right in zip(names, numeric, strict=True)
    )
    lines = []
    for row in rows:
        of_row = row[currency] if currency is not None else None
        cells = "".join(
            f"<td{_class(right)}>{escape(_shown(name, value, of_row))}</td>"
            for name, value, right in zip(names, row, numeric, strict=True)
        )
        lines.append(f"<tr>{cells}</tr>\n")
    more = f"<p>… and {of - len(rows):,} more, in {section.name}.csv.</p>\n" if of > len(rows) else ""
    return f"{head}<table><thead><tr>{titles}</tr></thead>\n<tbody>\n{''.join(lines)}</tbody></table>\n{more}"


def _class(right: bool) -> str:
    return ' class="n"' if right else ""


def _shown(name: str, value: Any, currency: str | None) -> str:
    """A value as people read it: amounts with their currency's places, records by their names."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Decimal):
        return money(value, currency).removeprefix(f"{currency} ")
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, datetime):
        return f"{value.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
    if name == "record":
        return called(str(value))
    return str(value).replace("_", " ") if name in _CODES else str(value)


def told(package: Package) -> str:
    """What was written, in a sentence."""
    return f"{count(len(package.rows), 'table')} with {count(sum(package.rows.values()), 'row')} written to {package.path}."
