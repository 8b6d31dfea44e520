"""The page at /sandbox of the server: what each account holds and what it was asked, for people. It changes nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from html import escape

from sandbox.account import Account
from sandbox.request_log import Entry
from sandbox.wire import Json

_STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; margin: 2rem auto; max-width: 68rem; padding: 0 1rem; color: #1d2327; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.2rem; margin-top: 2.5rem; border-top: 1px solid #ccd; padding-top: 1rem; }
h3 { font-size: 1rem; } table { border-collapse: collapse; } caption { text-align: left; font-weight: 600; padding: .4rem 0; }
th, td { text-align: left; padding: .15rem .9rem .15rem 0; vertical-align: top; font-variant-numeric: tabular-nums; }
th { font-weight: 500; color: #50575e; } td.n { text-align: right; } .groups { display: flex; flex-wrap: wrap; gap: 2.5rem; }
code { font-size: .9em; overflow-wrap: anywhere; } .bad { color: #a00; }
"""
_RECENT = 20


def page(accounts: Iterable[tuple[Account, Json]], base: str) -> bytes:
    """The page as UTF-8; `accounts` come with their statistics, `base` is the server's address as the reader knows it."""
    sections = "".join(_account(account, stats, base) for account, stats in accounts)
    text = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>NetSuite sandbox</title>'
        '<meta name="viewport" content="width=device-width"><meta http-equiv="refresh" content="5">'
        f"<style>{_STYLE}</style></head><body><h1>NetSuite sandbox</h1>{sections}</body></html>"
    )
    return text.encode()


def _account(account: Account, stats: Json, base: str) -> str:
    profile = account.profile
    address = f"{base}/{profile.label}"
    figures = {
        "Requests": stats["requests"],
        "Writes": stats["writes"],
        "In flight now": stats["in_flight"],
        "In flight at the peak": stats["in_flight_peak"],
        "Concurrency limit": stats["concurrency_limit"],
        "Rejected for it": stats["rejections"],
        "Faults struck": stats["faults_struck"],
    }
    groups = [
        _table("Use", figures),
        _table("Requests by status", stats["requests_by_status"]),
        _table("Requests by method", stats["requests_by_method"]),
        _table("Records by type", stats["records"]),
    ]
    links = " · ".join(
        f'<a href="{escape(address)}/sandbox/{name}">{name}</a>'
        for name in ("stats", "requests", "logins", "faults", "searches")
    )
    return (
        f"<h2>{escape(profile.account)} — {escape(profile.name)}</h2>"
        f"<p>{escape(profile.edition)}, base address <code>{escape(address)}</code>. As JSON: {links}</p>"
        f'<div class="groups">{"".join(groups)}</div>{_recent(account)}'
    )


def _table(caption: str, values: Mapping[str, object]) -> str:
    rows = "".join(
        f'<tr><th scope="row">{escape(str(name))}</th><td class="n">{escape(str(value))}</td></tr>'
        for name, value in values.items()
    )
    return f"<table><caption>{escape(caption)}</caption>{rows}</table>"


def _recent(account: Account) -> str:
    rows = "".join(_request(entry) for entry in account.log.latest(_RECENT))
    if not rows:
        return "<p>No requests yet.</p>"
    head = "".join(
        f'<th scope="col">{name}</th>' for name in ("Time (UTC)", "Request", "Status", "Fault", "ms")
    )
    return f"<table><caption>Latest requests</caption><tr>{head}</tr>{rows}</table>"


def _request(entry: Entry) -> str:
    mark = ' class="bad"' if entry.status == 0 or entry.status >= 400 else ""
    cells = [
        escape(entry.time),
        f"<code>{escape(entry.method)} {escape(entry.path)}</code>",
        f"<span{mark}>{entry.status}</span>",
        escape(entry.fault),
        f"{entry.milliseconds}",
    ]
    return "<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>"
