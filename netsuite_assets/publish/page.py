"""The printed page: one tenant's month as a finance person reads it, on a terminal.

Here: how a summary is laid out. Not here: its numbers (`summary.py`).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date
from decimal import Decimal
from typing import Any

from rich import box
from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from netsuite_assets.frames import EXCEPTION_CODES
from netsuite_assets.publish.summary import SignOffSummary, TenantSummary
from netsuite_assets.tables import called
from netsuite_assets.tell import count, money, moneys, plural

_SHOWN_EXCEPTIONS = 6


def print_page(console: Console, summary: TenantSummary) -> None:
    """Print a tenant's month: totals, what differed, what was written, what is left for a person."""
    parts: list[RenderableType] = [_totals(summary)]
    parts += [Text("What differed", style="bold"), *_differences(summary)]
    parts += [Text("What was written to NetSuite", style="bold"), *_written(summary)]
    parts += [Text("Left for a person", style="bold"), *_exceptions(summary)]
    parts.append(_verdict(summary))
    if summary.sign_off is not None:
        parts.append(Text(_signed(summary.sign_off)))
    month = date.fromisoformat(f"{summary.period}-01").strftime("%B %Y")
    console.print(
        Panel(
            Group(*parts), title=f"[bold]{summary.tenant}[/] · {month}", title_align="left", box=box.ROUNDED
        )
    )


def _totals(summary: TenantSummary) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_footer=False)
    table.add_column("")
    for heading in ("billed", "held back", "NetSuite had", "NetSuite has now"):
        table.add_column(heading, justify="right")
    for row in summary.records:
        table.add_row(
            f"{plural(called(row.record)).capitalize()}, {row.currency}",
            _documents(row.billed_documents, row.billed_total),
            _documents(row.held_back_documents, row.held_back_total),
            _documents(row.netsuite_documents, row.netsuite_total),
            _documents(row.netsuite_documents_now, row.netsuite_total_now),
        )
    return table


def _documents(number: int, total: Decimal) -> str:
    return f"{number:,} · {money(total, None)}" if number else "–"


def _differences(summary: TenantSummary) -> Iterator[RenderableType]:
    if not summary.kinds:
        yield _indented("Nothing: NetSuite holds what billing billed.")
        return
    table = Table.grid(padding=(0, 2))
    table.add_column(justify="right")
    table.add_column(no_wrap=True)
    table.add_column(style="dim")
    for part in summary.kinds:
        table.add_row(
            f"{part.number:,}",
            f"{_of(part.record, part.number)} {_DIFFER[part.kind]}",
            # As text: what people typed in square brackets is no markup.
            Text(f"{part.example_of}: {part.example}" if part.example_of else part.example),
        )
    yield Padding(table, (0, 0, 0, 2))


#: What is wrong, after "2 invoices"; for lines and fields, the number counts those.
_DIFFER = {
    "missing_in_netsuite": "missing in NetSuite",
    "only_in_netsuite": "in NetSuite only",
    "duplicate": "in NetSuite twice",
    "changed": "· fields that differ",
    "wrong_customer": "booked to another customer",
    "wrong_period": "booked in another month",
    "line_missing": "· lines missing in NetSuite",
    "line_extra": "· lines in NetSuite only",
    "line_changed": "· fields of lines that differ",
    "total": "with another total",
    "not_comparable": "that cannot be compared",
    "not_linked": "without billing's external id",
    "ambiguous": "that may be one of several",
    "grouped": "split or put together",
}


def _written(summary: TenantSummary) -> Iterator[RenderableType]:
    if summary.outcomes:
        done = summary.outcomes.get("written", 0) + summary.outcomes.get("adopted", 0)
        yield _indented(
            f"{count(done, 'write')}; {summary.verified:,} read back from NetSuite and found as intended."
        )
    elif summary.planned and not summary.written:
        yield _indented(f"{count(summary.planned, 'operation')} planned, none sent.")
    else:
        yield _indented("Nothing was sent to NetSuite.")
    for (action, record), number in summary.written.items():
        if action != "return":
            yield _indented(f"{number:>6,}  {_of(record, number)} {_PAST[action]}")
    for state, number in summary.outcomes.items():
        if state not in ("written", "adopted"):
            yield _indented(f"{number:>6,}  {_STATES[state]}")
    told = [
        count(number, called(record))
        for (action, record), number in summary.written.items()
        if action == "return"
    ]
    if told:
        yield _indented(f"Told to billing: {', '.join(told)}.")


def _of(record: str, number: int) -> str:
    return called(record) if number == 1 else plural(called(record))


_PAST = {
    "create": "created",
    "link": "linked",
    "update": "corrected",
    "delete": "removed",
}
_STATES = {
    "rejected": "refused by NetSuite",
    "in_doubt": "sent, outcome unknown: the next run looks them up first",
    "stale": "not sent: changed in NetSuite since the plan",
    "held": "not sent: held by policy",
    "waiting": "not sent: they wait for the next run",
}


def _exceptions(summary: TenantSummary) -> Iterator[RenderableType]:
    if summary.accepted:
        yield _indented(f"Accepted for now: {_concerned(summary.accepted)}.")
    elif not summary.exceptions:
        yield _indented("Nothing.")
    grouped: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for exception in summary.exceptions:
        grouped[exception["code"]].append(exception)
    for code, rows in grouped.items():
        yield _indented(f"{_concerned(rows)}: {_lower(EXCEPTION_CODES[code])}{_oldest(rows)}.")
        numbers = [row["number"] or row["external_id"] or row["internal_id"] for row in rows]
        more = f" and {len(numbers) - _SHOWN_EXCEPTIONS:,} more" if len(numbers) > _SHOWN_EXCEPTIONS else ""
        yield _indented(f"{', '.join(numbers[:_SHOWN_EXCEPTIONS])}{more}", 6)
        yield _indented(f"Next: {rows[0]['next_step']}", 6)


def _concerned(rows: Sequence[Mapping[str, Any]]) -> str:
    """How many records of which types exceptions are about, and the documents' amounts."""
    amounts: dict[str, Decimal] = defaultdict(Decimal)
    for row in rows:
        if row["currency"] is not None and row["record"] != "customer":
            amounts[row["currency"]] += row["amount"]
    records = Counter(called(row["record"]) for row in rows)
    what = ", ".join(count(number, label) for label, number in sorted(records.items()))
    return f"{what}, {moneys(amounts)}"


def _oldest(rows: Sequence[Mapping[str, Any]]) -> str:
    """Since when the oldest of them is open, once that is longer than a day."""
    age = max(row["age"] for row in rows)
    return f" (for {count(age, 'day')})" if age > 1 else ""


def _verdict(summary: TenantSummary) -> RenderableType:
    if summary.agrees:
        shown = moneys({name: totals.netsuite_now for name, totals in summary.totals.items()})
        return Text(
            f"\nNetSuite holds what billing billed, to the cent, but for what is held back: {shown} (invoices less credit memos)",
            style="green",
        )
    differing = {
        name: totals.billed - totals.held_back - totals.netsuite_now
        for name, totals in summary.totals.items()
        if totals.billed - totals.held_back != totals.netsuite_now
    }
    by = f"by {moneys(differing)}" if differing else "which cancel each other in the totals"
    return Text(
        f"\nNetSuite still differs from billing in {count(summary.amiss, 'document')}, {by}.", style="yellow"
    )


def _signed(last: SignOffSummary) -> str:
    said = {
        "prepared": "Prepared for sign-off",
        "reviewed": "Signed off, reviewed",
        "withdrawn": "The sign-off was withdrawn",
        "reopened": "Signed off once and re-opened",
    }[last.event]
    return f"{said} by {last.by} on {last.at.astimezone(UTC):%Y-%m-%d}: {last.note}"


def _indented(text: str, by: int = 2) -> RenderableType:
    return Padding(Text(text), (0, 0, 0, by))


def _lower(text: str) -> str:
    return text if text.startswith(("NetSuite", "Billing")) else text[0].lower() + text[1:]
