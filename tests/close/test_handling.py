"""What people do at the command line and in Dagster's jobs is done, told in words, kept, and published at once."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import dagster as dg
import duckdb
import pytest
from click.testing import Result
from close_tools import ROOT, Desk, Files
from month import Landed, Month, TenantRules, line
from typer.testing import CliRunner

from netsuite_assets import cli, cli_exceptions, cli_sign_off
from netsuite_assets.partitions import partition_key
from resources.ledger import LastingException, Ledger
from resources.warehouse import Warehouse, utc_now

MONTH = "2026-10"


@dataclass
class Office:
    """A place where acme's October was reconciled, with the command line and Dagster's jobs at hand."""

    landed: Landed
    rules: TenantRules
    warehouse: Warehouse
    ledger_url: str

    @contextmanager
    def ledger(self) -> Iterator[Ledger]:
        opened = Ledger(self.ledger_url)
        try:
            yield opened
        finally:
            opened.close()

    @contextmanager
    def month(self) -> Iterator[Month]:
        with self.warehouse.open("acme") as held:
            month = Month(held, self.rules, MONTH)
            month.books = copy.deepcopy(self.landed.books)
            yield month

    def reconcile(self, change: Callable[[Month], None] = lambda month: None) -> None:
        with self.month() as month, self.ledger() as ledger:
            change(month)
            Desk(month, ledger, utc_now()).reconcile()

    def exceptions(self, *states: Any) -> dict[str | None, LastingException]:
        with self.ledger() as ledger:
            found = ledger.exceptions("acme", utc_now(), states=states or ("open", "accepted"))
        return {one.number: one for one in found}

    def recon(self, *arguments: object) -> Result:
        return CliRunner().invoke(cli.app, [str(each) for each in arguments])

    def done(self, *arguments: object) -> str:
        """What a command printed that must succeed, its blanks single."""
        result = self.recon(*arguments)
        assert result.exit_code == 0, result.output
        return " ".join(result.stdout.split())

    def job(self, name: str, op: str, **config: Any) -> dg.ExecuteInProcessResult:
        from netsuite_assets.definitions import build_defs

        with dg.DagsterInstance.ephemeral() as instance:
            instance.add_dynamic_partitions("tenants", ["acme"])
            return build_defs().resolve_job_def(name).execute_in_process(
                instance=instance,
                partition_key=partition_key("acme", MONTH),
                run_config={"ops": {op: {"config": config}}},
                raise_on_error=False,
            )  # fmt: skip

    def look(self) -> dict[str, Any]:
        """The metadata of the month's page after a run."""
        from netsuite_assets.close.assets import month_sign_off
        from resources.as_dagster import LedgerResource, TenantsResource, WarehouseResource

        with dg.DagsterInstance.ephemeral() as instance:
            instance.add_dynamic_partitions("tenants", ["acme"])
            result = dg.materialize(
                [month_sign_off],
                instance=instance,
                partition_key=partition_key("acme", MONTH),
                resources={
                    "tenants": TenantsResource(),
                    "warehouse": WarehouseResource(),
                    "ledger": LedgerResource(),
                },
            )
        return shown(result)

    def ask(self, query: str) -> list[tuple[Any, ...]]:
        with duckdb.connect(str(self.warehouse.published_path), read_only=True) as connection:
            return connection.execute(query).fetchall()


def shown(result: dg.ExecuteInProcessResult) -> dict[str, Any]:
    """The metadata of the one asset that was materialized."""
    [event] = result.get_asset_materialization_events()
    metadata = event.step_materialization_data.materialization.metadata
    return {name: value.value for name, value in metadata.items()}


def told(result: dg.ExecuteInProcessResult) -> str:
    """What the step that failed says to a person."""
    [failed] = [event for event in result.all_events if event.is_step_failure]
    data = failed.step_failure_data.user_failure_data
    assert data is not None, failed.step_failure_data.error
    return str(data.description)


@pytest.fixture
def office(
    files_of_today: Files, landed: Landed, acme: TenantRules, monkeypatch: pytest.MonkeyPatch
) -> Office:
    for name, value in {
        "RECON_WAREHOUSE": str(files_of_today.warehouse),
        "RECON_LEDGER": files_of_today.ledger_url,
        "RECON_TENANTS": str(ROOT / "tenants"),
    }.items():
        monkeypatch.setenv(name, value)
    for module in (cli, cli_exceptions, cli_sign_off):
        monkeypatch.setattr(module.out, "width", 240)
    monkeypatch.chdir(files_of_today.folder)
    warehouse = Warehouse(files_of_today.warehouse, lock_seconds=5)
    return Office(landed, acme, warehouse, files_of_today.ledger_url)


def day(days: int) -> str:
    return (datetime.now(UTC) + timedelta(days=days)).date().isoformat()


# Exceptions at the command line


def test_an_exception_is_seen_to_at_the_command_line(office: Office) -> None:
    number = office.exceptions()["N-nobody"].id
    text = office.done("exceptions", "list", "acme")
    assert f"{number} {MONTH} invoice N-nobody USD 36.04 0 (0-1) open no customer" in text
    assert text.endswith("1 open exception, USD 36.04")
    assert office.done("exceptions", "assign", "acme", number, "--to", "Ada", "--by", "Boss") == (
        f"Exception {number} of acme is assigned to Ada, by Boss."
    )
    office.done("exceptions", "comment", "acme", number, "--by", "Ada", "--note", "asked [bold]billing[/]")
    said = office.done(
        "exceptions", "accept", "acme", number, "--by", "Ada", "--note", "known", "--until", day(9)
    )
    assert f"is accepted until the end of {day(9)}, after which it is open again, by Ada." in said
    text = office.done("exceptions", "list", "acme", MONTH, "--owner", "ada")
    assert f"accepted until {day(9)} Ada no customer" in text
    assert text.endswith("1 accepted exception, USD 36.04")
    text = office.done("exceptions", "show", "acme", number)
    assert "the billing document names no customer" in text
    assert "owner: Ada" in text
    assert "Comment: asked [bold]billing[/]" in text
    for event in ("opened run reconcil", "assigned Boss", "commented Ada", "accepted Ada"):
        assert event in text
    assert office.ask("SELECT state, owner, accepted_by FROM exceptions") == [("accepted", "Ada", "Ada")]
    assert "Accepted for now: 1 invoice, USD 36.04." in office.done("page", "acme", MONTH)
    office.done("exceptions", "reopen", "acme", number, "--by", "Bob", "--note", "not so")
    assert office.ask("SELECT state FROM exceptions") == [("open",)]
    assert office.ask("SELECT event FROM exception_history WHERE done_by = 'Bob'") == [("reopened",)]


@pytest.mark.parametrize(
    ("options", "numbers"),
    [
        ((), ["N-anon", "N-nobody"]),
        (("--state", "accepted"), ["N-anon"]),
        (("--state", "closed"), []),
        (("--owner", "Ada"), ["N-nobody"]),
        (("--code", "no_customer"), ["N-anon", "N-nobody"]),
        (("--code", "rejected"), []),
        (("--older-than", "0"), []),
    ],
)
def test_the_list_shows_what_was_asked_for(
    office: Office, options: tuple[str, ...], numbers: list[str]
) -> None:
    def another(month: Month) -> None:
        month.invoice("anon", line("5.00"), customer_id=None)
        month.land()

    office.reconcile(another)
    found = office.exceptions()
    office.done("exceptions", "assign", "acme", found["N-nobody"].id, "--to", "Ada", "--by", "Ada")
    office.done(
        "exceptions", "accept", "acme", found["N-anon"].id, "--by", "A", "--note", "n", "--until", day(1)
    )
    text = office.done("exceptions", "list", "acme", *options)
    assert [number for number in ("N-anon", "N-nobody") if number in text] == numbers
    assert ("acme has no such exception." in text) == (not numbers)


@pytest.mark.parametrize(
    ("arguments", "status", "parts"),
    [
        (("list", "acmee"), 1, ("there is no tenant 'acmee'; did you mean 'acme'?",)),
        (("list", "acme", "October"), 1, ("'October' is no accounting month", "YYYY-MM")),
        (("show", "acme", 99), 1, ("acme has no exception 99", "recon exceptions list acme")),
        (("show", "globex", 1), 1, ("globex has no exception 1",)),
        (("assign", "acme", 1, 99, "--to", "A", "--by", "B"), 1, ("acme has no exception 99",)),
        (("assign", "acme", 1, "--to", " ", "--by", "B"), 1, ("who shall have the exceptions", "nothing was done")),
        (("assign", "acme", 1, "--to", "A", "--by", " "), 1, ("your name is missing",)),
        (("assign", "acme", 1), 2, ("Missing option '--to'",)),
        (("comment", "acme", 1, "--by", "B", "--note", ""), 1, ("a reason or comment (note) is missing",)),
        (("accept", "acme", 1, "--by", "B", "--note", "n", "--until", "2020-01-01"), 1,
         ("cannot be accepted until 2020-01-01", "that day is over")),
        (("accept", "acme", 1, "--by", "B", "--note", "n", "--until", "31.12.2099"), 1,
         ("'31.12.2099' is no day", "YYYY-MM-DD")),
        (("reopen", "acme", 1, "--by", "B", "--note", "n"), 1, ("is open already",)),
        (("list", "acme", "--state", "lost"), 2, ("lost",)),
    ],
    ids=lambda value: " ".join(map(str, value)) if isinstance(value, tuple) else None,
)  # fmt: skip
def test_what_cannot_be_done_is_told_and_not_done(
    office: Office, arguments: tuple[object, ...], status: int, parts: tuple[str, ...]
) -> None:
    before = office.exceptions("open", "accepted", "closed")
    result = office.recon("exceptions", *arguments)
    assert result.exit_code == status, result.output
    assert "Traceback" not in result.output
    said = " ".join(result.stderr.replace("│", " ").split())
    for part in parts:
        assert part in said
    assert office.exceptions("open", "accepted", "closed") == before


def test_a_day_ends_where_the_tenant_is(office: Office) -> None:
    number = office.exceptions()["N-nobody"].id
    office.done("exceptions", "accept", "acme", number, "--by", "A", "--note", "n", "--until", "2099-06-30")
    with office.ledger() as ledger:
        still = datetime(2099, 7, 1, 3, 59, tzinfo=UTC)  # New York is four hours behind
        assert ledger.exception("acme", number, still).state == "accepted"
        assert ledger.exception("acme", number, still + timedelta(minutes=1)).state == "open"


# Signing off at the command line


def test_a_month_is_signed_off_at_the_command_line(office: Office) -> None:
    prepare = ("sign-off", "prepare", "acme", MONTH, "--by", "Ada", "--note", "read")
    result = office.recon(*prepare)
    assert result.exit_code == 1
    assert "acme, 2026-10 has 1 open exception (USD 36.04)." in " ".join(result.stderr.split())
    assert office.done("sign-off", "show", "acme", MONTH) == "acme, 2026-10: not signed off."
    text = office.done(*prepare, "--despite", "billed anew in November")
    assert "acme, 2026-10: prepared." in text
    assert "invoice, USD 3 · 216.91 1 · 36.04 2 · 180.87 0.00 0.00" in text
    assert "Open exceptions: 1 exception, USD 36.04. Accepted exceptions: none." in text
    result = office.recon("sign-off", "review", "acme", MONTH, "--by", "ada", "--note", "x", "--despite", "y")
    assert "was prepared by Ada, who cannot review it as well" in " ".join(result.stderr.split())
    text = office.done(
        "sign-off", "review", "acme", MONTH, "--by", "Bob", "--note", "read too", "--despite", "agreed"
    )
    assert "acme, 2026-10: signed off." in text
    assert "prepared Ada read billed anew in November" in text
    assert "reviewed Bob read too agreed" in text
    assert "Signed off, reviewed by Bob on" in office.done("page", "acme", MONTH)
    assert office.ask("SELECT event, is_latest FROM sign_offs ORDER BY sequence") == [
        ("prepared", False),
        ("reviewed", True),
    ]
    text = office.done("sign-off", "withdraw", "acme", MONTH, "--by", "Cy", "--note", "too early")
    assert "acme, 2026-10: withdrawn." in text
    assert "The sign-off was withdrawn by Cy" in office.done("page", "acme", MONTH)


@pytest.mark.parametrize(
    ("arguments", "status", "parts"),
    [
        (("prepare", "acmee", MONTH, "--by", "A", "--note", "n"), 1, ("did you mean 'acme'?",)),
        (("prepare", "acme", "2026-13", "--by", "A", "--note", "n"), 1, ("'2026-13' is no accounting month",)),
        (("prepare", "acme", "2026-09", "--by", "A", "--note", "n"), 1,
         ("2026-09 was not reconciled yet", "recon reconcile acme 2026-09")),
        (("prepare", "acme", MONTH, "--by", "A", "--note", " "), 1, ("a note is missing",)),
        (("prepare", "acme", MONTH, "--by", "A", "--note", "n", "--despite", " "), 1,
         ("the reason to sign despite it is missing",)),
        (("review", "acme", MONTH, "--by", "B", "--note", "n"), 1, ("must be prepared first",)),
        (("withdraw", "acme", MONTH, "--by", "B", "--note", "n"), 1, ("nothing to withdraw",)),
        (("show", "acme", "x"), 1, ("no accounting month",)),
        (("prepare", "acme", MONTH), 2, ("Missing option",)),
    ],
    ids=lambda value: " ".join(map(str, value[:3])) if isinstance(value, tuple) else None,
)  # fmt: skip
def test_what_cannot_be_signed_is_told(
    office: Office, arguments: tuple[str, ...], status: int, parts: tuple[str, ...]
) -> None:
    result = office.recon("sign-off", *arguments)
    assert result.exit_code == status, result.output
    assert "Traceback" not in result.output
    said = " ".join(result.stderr.replace("│", " ").split())
    for part in parts:
        assert part in said
    with office.ledger() as ledger:
        assert ledger.sign_off_events("acme") == []


# In Dagster


def test_exceptions_are_seen_to_in_a_job(office: Office) -> None:
    number = office.exceptions()["N-nobody"].id
    office.done("exceptions", "comment", "acme", number, "--by", "A", "--note", "first")  # publishes
    op = "handle_exceptions"
    done = office.job("exceptions", op, action="ASSIGN", exceptions=[number], by="Boss", owner="Ada")
    assert done.success
    done = office.job(
        "exceptions", op, action="ACCEPT", exceptions=[number], by="Ada", note="known", until=day(3)
    )
    assert done.success
    assert office.ask("SELECT state, owner, accepted_because FROM exceptions") == [
        ("accepted", "Ada", "known")
    ]
    assert office.job("exceptions", op, action="REOPEN", exceptions=[number], by="Ada", note="not so").success
    assert office.ask("SELECT state FROM exceptions") == [("open",)]


@pytest.mark.parametrize(
    ("config", "part"),
    [
        (
            {"action": "ACCEPT", "note": "n"},
            "the last day on which they are accepted (until, YYYY-MM-DD) is missing",
        ),
        ({"action": "ACCEPT", "note": "n", "until": "2020-01-01"}, "that day is over"),
        ({"action": "ASSIGN"}, "who shall have the exceptions (owner) is missing"),
        ({"action": "COMMENT"}, "a reason or comment (note) is missing"),
        ({"action": "COMMENT", "note": "n", "exceptions": [99]}, "acme has no exception 99"),
        ({"action": "COMMENT", "note": "n", "exceptions": []}, "no exception was named"),
    ],
)
def test_a_job_says_what_is_missing(office: Office, config: dict[str, Any], part: str) -> None:
    number = office.exceptions()["N-nobody"].id
    result = office.job("exceptions", "handle_exceptions", **{"exceptions": [number], "by": "Ada"} | config)
    assert not result.success
    assert part in told(result)


def test_a_month_is_signed_off_in_jobs_and_its_page_follows(office: Office) -> None:
    page = office.look()
    assert (page["in short"], page["state"]) == ("The month is not signed off.", "not signed off")
    op = "record_sign_off"
    refused = office.job("sign_off", op, action="PREPARE", by="Ada", note="read")
    assert not refused.success
    assert "has 1 open exception (USD 36.04)" in told(refused)
    assert office.job("sign_off", op, action="PREPARE", by="Ada", note="read", despite="known").success
    refused = office.job("sign_off", op, action="REVIEW", by="Ada", note="read", despite="known")
    assert "another person must" in told(refused)
    signed = office.job("sign_off", op, action="REVIEW", by="Bob", note="read too", despite="known")
    page = shown(signed)
    assert page["state"] == "signed off"
    assert page["in short"].startswith("The month is signed off, by Bob on")
    assert page["in short"].endswith("read too. It ties with what Bob signed.")
    assert "| invoice, USD | 3 · 216.91 | 1 · 36.04 | 2 · 180.87 | 0.00 | 0.00 |" in page["as signed"]
    assert page["open exceptions then"] == "1 exception, USD 36.04"
    assert page["changed since"] == "Nothing."
    assert office.ask("SELECT event FROM sign_offs WHERE is_latest") == [("reviewed",)]

    with office.month() as month:
        month.change("inv-plain", total=Decimal("160.87"), last_modified="2026-11-20 09:00:00")
        month.prove()
    page = office.look()
    assert page["state"] == "re-opened"
    assert page["changed documents"] == 1
    assert "It does not tie with what Bob signed: 1 document; NetSuite USD 10.00." in page["in short"]
    assert "| invoice | T-N-plain | Nordwind Ltd | NetSuite: total 150.87 → 160.87" in page["changed since"]
    assert "USD 10.00" in page["changed since"]
    assert page["history"].count("reopened") == 1
    assert "changed_after_sign_off" in {one.code for one in office.exceptions().values()}
    text = office.done("sign-off", "show", "acme", MONTH)
    assert "acme, 2026-10: re-opened." in text
    assert "What changed since: 1 document; NetSuite USD 10.00" in text
    assert "invoice T-N-plain: NetSuite: total 150.87 → 160.87, last modified at 2026-11-20 09:00:00" in text


def test_a_tenant_that_nothing_was_read_of_yet_has_nothing_to_publish(office: Office) -> None:
    with office.ledger() as ledger:
        from netsuite_assets.publish.refresh import refresh

        assert refresh(office.warehouse, ledger, "globex", utc_now()) is None
    assert not office.warehouse.path("globex").exists()
