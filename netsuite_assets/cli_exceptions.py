"""`recon exceptions`: what needs a person, and what people do about it.

Here: arguments and what is printed. Not here: the work (`netsuite_assets/close/handling.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

if TYPE_CHECKING:
    from netsuite_assets.close.handling import Handling
    from resources.ledger import LastingException, Ledger

out = Console(highlight=False)
Messages = Callable[[], AbstractContextManager[None]]

TenantName = Annotated[
    str, typer.Argument(metavar="TENANT", help="The tenant, as its file in tenants/ is called.")
]
Number = Annotated[int, typer.Argument(metavar="NUMBER", help="Its number, as the list shows it.")]
Numbers = Annotated[
    list[int], typer.Argument(metavar="NUMBER...", help="Their numbers, as the list shows them.")
]
By = Annotated[str, typer.Option(help="Your name, for the auditor.")]


class Shown(StrEnum):
    """Which exceptions are listed."""

    OPEN = "open"
    ACCEPTED = "accepted"
    CLOSED = "closed"
    ALL = "all"


def register(app: typer.Typer, messages: Messages) -> None:
    """Add the commands to `app`; `messages` turns errors into what is printed."""
    group = typer.Typer(no_args_is_help=True, help="List what needs a person; assign, comment on, accept it.")
    app.add_typer(group, name="exceptions")

    @group.command("list")
    def list_(
        tenant: TenantName,
        period: Annotated[
            str | None, typer.Argument(metavar="[MONTH]", help="YYYY-MM; all months when left out.")
        ] = None,
        state: Annotated[
            Shown | None, typer.Option(help="Those in this state; open and accepted ones when left out.")
        ] = None,
        owner: Annotated[str | None, typer.Option(help="Those of this owner.")] = None,
        code: Annotated[str | None, typer.Option(help="Those with this reason code.")] = None,
        older: Annotated[int, typer.Option("--older-than", help="Those open for more days than this.")] = -1,
    ) -> None:
        """List exceptions, the oldest first, with how many and how much they are."""
        with messages():
            print_list(tenant, period, state, owner, code, older)

    @group.command()
    def show(tenant: TenantName, number: Number) -> None:
        """Show one exception with all that happened to it."""
        with messages():
            print_one(tenant, number)

    @group.command()
    def assign(
        tenant: TenantName,
        numbers: Numbers,
        to: Annotated[str, typer.Option(help="Who shall see to them.")],
        by: By,
    ) -> None:
        """Give exceptions an owner."""
        with messages():
            run(tenant, _handling("assign", numbers, by, owner=to))

    @group.command()
    def comment(
        tenant: TenantName,
        numbers: Numbers,
        by: By,
        note: Annotated[str, typer.Option(help="What there is to say.")],
    ) -> None:
        """Say something about exceptions."""
        with messages():
            run(tenant, _handling("comment", numbers, by, note=note))

    @group.command()
    def accept(
        tenant: TenantName,
        numbers: Numbers,
        by: By,
        note: Annotated[str, typer.Option(help="Why they may stay as they are.")],
        until: Annotated[
            str, typer.Option(help="The last day, YYYY-MM-DD; after it they are open again.", metavar="DAY")
        ],
    ) -> None:
        """Accept exceptions as they are until a day. They stay in all totals; a changed amount opens them again."""
        with messages():
            run(tenant, _handling("accept", numbers, by, note=note, until=until))

    @group.command()
    def reopen(
        tenant: TenantName,
        numbers: Numbers,
        by: By,
        note: Annotated[str, typer.Option(help="Why they are not accepted any more.")],
    ) -> None:
        """Take acceptances back."""
        with messages():
            run(tenant, _handling("reopen", numbers, by, note=note))


def _handling(action: Any, numbers: Sequence[int], by: str, **more: str) -> Handling:
    from netsuite_assets.close.handling import Handling

    return Handling(action, numbers, by, **more)


def run(tenant: str, what: Handling) -> None:
    """Do it, say what was done, and publish it."""
    from netsuite_assets.close.handling import handle, told
    from netsuite_assets.publish.refresh import refresh
    from resources.as_dagster import LedgerResource, TenantsResource, WarehouseResource
    from resources.warehouse import utc_now

    known = TenantsResource().get().load(tenant)
    now = utc_now()
    with LedgerResource().open(existing=True) as ledger:
        handled = handle(ledger, known, what, now)
        out.print(told(tenant, what, handled), markup=False, soft_wrap=True)
        refresh(WarehouseResource().get(), ledger, tenant, now)


def print_list(
    tenant: str, period: str | None, state: Shown | None, owner: str | None, code: str | None, older: int
) -> None:
    """Print the exceptions that were asked for."""
    from netsuite_assets.partitions import month_key
    from resources.as_dagster import LedgerResource, TenantsResource
    from resources.warehouse import utc_now

    TenantsResource().get().load(tenant)
    if period is not None:
        month_key(period)
    now = utc_now()
    with LedgerResource().open(existing=True) as ledger:
        found = [
            one
            for one in ledger.exceptions(tenant, now, period, states=_states(state))
            if (owner is None or (one.owner or "").casefold() == owner.strip().casefold())
            and (code is None or one.code == code)
            and one.age(now) > older
        ]
    if not found:
        out.print(f"{tenant} has no such exception.", markup=False)
        return
    print_table(found, now)


def _states(state: Shown | None) -> Any:
    if state is None:
        return ("open", "accepted")
    return ("open", "accepted", "closed") if state is Shown.ALL else (state.value,)


def print_table(found: Sequence[LastingException], now: datetime) -> None:
    """One line an exception, and how many and how much there are in each state."""
    from netsuite_assets.reconcile.exceptions import amounts, bucket
    from netsuite_assets.tables import called
    from netsuite_assets.tell import count, money, moneys
    from netsuite_assets.terminal import print_rows

    print_rows(
        out,
        [">no.", "month", "record", "number", "customer", ">amount", ">days", "state", "owner", "why"],
        [
            [
                str(one.id),
                one.period,
                called(one.record),
                one.number or one.external_id or one.internal_id or "",
                one.name or "",
                money(one.amount, one.currency) if one.record != "customer" else "",
                f"{one.age(now)} ({bucket(one.age(now))})",
                _state(one),
                one.owner or "",
                one.code.replace("_", " "),
            ]
            for one in found
        ],
        lead=6,
    )
    for state in ("open", "accepted", "closed"):
        mine = [one for one in found if one.state == state]
        if mine:
            out.print(
                f"{count(len(mine), f'{state} exception')}, {moneys(amounts(mine))}", markup=False
            )  # fmt: skip


def _state(one: LastingException) -> str:
    return f"accepted until {one.accepted_until}" if one.state == "accepted" else one.state


def print_one(tenant: str, number: int) -> None:
    """Print one exception and its story."""
    from resources.as_dagster import LedgerResource, TenantsResource
    from resources.warehouse import utc_now

    TenantsResource().get().load(tenant)
    now = utc_now()
    with LedgerResource().open(existing=True) as ledger:
        _print_one(ledger, ledger.exception(tenant, number, now), now)


def _print_one(ledger: Ledger, one: LastingException, now: datetime) -> None:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    from netsuite_assets.frames import EXCEPTION_CODES
    from netsuite_assets.reconcile.exceptions import bucket
    from netsuite_assets.tables import called
    from netsuite_assets.tell import count, money

    what = one.number or one.external_id or one.internal_id or ""
    lines = [
        f"Exception {one.id} of {one.tenant}, {one.period}: {called(one.record)} {what}{f' of {one.name}' if one.name else ''}",
        f"{EXCEPTION_CODES.get(one.code, one.code)} ({one.code}, found in {one.stage}); {money(one.amount, one.currency)}",
        f"{_state(one)}, {count(one.age(now), 'day')} ({bucket(one.age(now))}); owner: {one.owner or 'nobody'}",
        *([f"Accepted by {one.accepted_by}: {one.accepted_because}"] if one.state == "accepted" else []),
        *([f"Comment: {one.comment}"] if one.comment else []),
        f"Why: {one.reason}",
        f"Next: {one.next_step}",
    ]
    for line in lines:
        out.print(line, markup=False, soft_wrap=True)
    table = Table("when", "what", "by", "amount", "said", box=box.SIMPLE_HEAD)
    for event in ledger.exception_history(one.tenant, one.id):
        table.add_row(
            f"{event.at:%Y-%m-%d %H:%M} UTC",
            event.kind,
            Text(event.by),
            money(event.amount, event.currency),
            Text(event.detail or ""),
        )
    out.print(table)
