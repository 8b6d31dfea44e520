"""Whatever fails and whatever changes while a month is read: it lands row by row as the account has it, or not at all."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from faulty_account import FaultyAccount, contents, faulty_account

from resources.netsuite.errors import NetSuiteError
from resources.netsuite.sets import Sizes
from resources.warehouse import TenantWarehouse, Warehouse, WarehouseError

if TYPE_CHECKING:
    from pathlib import Path

    from month import TenantRules

PERIOD = "2026-10"
SIZES = Sizes(page=20, window=60, buckets=25)
"""Small, so that a few hundred documents make many windows and pages."""

QUERY = "/suiteql"
#: What asks for the month's documents or their lines, and for all customers: not what is asked besides.
OF_DOCUMENTS = r"t\.type = 'CustInvc' AND .*t\.trandate >="
OF_CUSTOMERS = r"FROM customer c(\"| WHERE c\.id >| GROUP BY| ORDER BY)"

LINE_FAULTS: list[dict[str, Any]] = [
    {"kind": "status", "status": 401},
    {"kind": "status", "status": 429, "times": 4},
    {"kind": "status", "status": 500},
    {"kind": "status", "status": 503},
    {"kind": "reset_before_commit"},
    {"kind": "reset_after_commit"},
    {"kind": "timeout", "seconds": 0.05},
    {"kind": "truncate"},
    {"kind": "slow_page", "seconds": 0.1},
    {"kind": "latency", "seconds": 0.1},
]
HAPPENINGS: list[dict[str, Any]] = [
    {"kind": "tokens_revoked"},
    {"kind": "rows_changed", "change": "touch"},
    {"kind": "rows_changed", "change": "delete"},
    {"kind": "rows_changed", "change": "add"},
    {"kind": "permission_lost"},
]
#: Together these have every kind of fault strike, most of them twice.
SEEDS = (13, 17, 38, 44, 47, 61, 75, 96)
KINDS = [*LINE_FAULTS, *HAPPENINGS, {"kind": "foreign_load"}]


@dataclass
class Bench:
    """The account, and the warehouse that follows it from run to run."""

    account: FaultyAccount
    held: TenantWarehouse
    struck: Counter[str] = field(default_factory=Counter)
    ended: Counter[str] = field(default_factory=Counter)


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory, acme: TenantRules) -> Iterator[Bench]:
    folder = tmp_path_factory.mktemp("faulty")
    with (
        faulty_account(folder, acme.mapping) as account,
        Warehouse(folder / "warehouse").open("acme") as held,
    ):
        account.fill(
            customers=60,
            invoices=250,
            lines=3,
            credit_memos=20,
            payments=60,
            first="2026-10-01",
            last="2026-10-31",
        )
        account.fill(customers=1, invoices=20, lines=2, first="2026-09-01", last="2026-09-30", seed=2)
        account.land_first(held)
        account.documents(held, PERIOD)
        yield Bench(account, held)


def drawn(seed: int, of: str) -> tuple[list[dict[str, Any]], bool, bool]:
    """The faults of a seed, whether others load the account, and whether the warehouse is to begin with nothing read."""
    chance = random.Random(seed)
    chosen = chance.sample(KINDS, chance.randint(2, 5))
    is_cold = chance.random() < 0.6
    latest = 12 if is_cold else 1
    faults = []
    for kind in chosen:
        fault = {"path": QUERY, "after": chance.randint(0, latest), "seed": seed} | kind
        if fault["kind"] == "foreign_load":
            continue
        if fault["kind"] == "permission_lost":
            fault["permission"] = "Find Transaction" if of == "invoice" else "Customers"
        if fault["kind"] == "rows_changed":
            fault |= {"record": of, "rows": chance.randint(1, 3), "times": chance.randint(1, 2)}
            fault["body"] = OF_DOCUMENTS if of == "invoice" else OF_CUSTOMERS
        if "times" not in fault and fault["kind"] not in ("tokens_revoked", "permission_lost"):
            fault["times"] = chance.choice((1, 1, 2, 3))
        faults.append(fault)
    return faults, {"kind": "foreign_load"} in chosen, is_cold


def one_run(bench: Bench, seed: int) -> None:
    """A month's documents or all customers are read while the account fails and changes."""
    account, held = bench.account, bench.held
    of = "customer" if seed % 5 == 4 else "invoice"
    faults, is_loaded, is_cold = drawn(seed, of)
    tables = ("customers",) if of == "customer" else ("invoices", "invoice_lines")
    if is_cold:
        for table in tables:
            held.connection.execute(f"DELETE FROM netsuite_rows.{table}")
            held.connection.execute("DELETE FROM meta.proofs WHERE table_name = ?", [table])
    before = contents(held)
    if is_loaded:
        account.admin("POST", "governance", {"limit": 5, "foreign": 4, "latency_ms": 3})
    account.arm(*faults)
    said = None
    rejected = account.admin("GET", "stats")["rejections"]
    try:
        if of == "customer":
            account.customers(held, SIZES)
        else:
            account.documents(held, PERIOD, SIZES)
    except (NetSuiteError, WarehouseError) as error:
        said = str(error)
    bench.struck.update(struck(faults, account.admin("GET", "faults")["items"]))
    bench.struck["foreign_load"] += account.admin("GET", "stats")["rejections"] - rejected
    account.calm()
    bench.ended["refused" if said else "landed"] += 1

    if said is not None:
        assert_is_clear(said)
        assert contents(held) == before, "what was held before is not untouched"
    else:
        assert_lands(bench, of)
    # In quiet it always succeeds.
    if of == "customer":
        account.customers(held, SIZES)
    else:
        account.customers(held)
        account.documents(held, PERIOD, SIZES)
    assert_lands(bench, of)


def assert_lands(bench: Bench, of: str) -> None:
    if of == "customer":
        bench.account.assert_customers_landed(bench.held)
    else:
        bench.account.assert_landed(bench.held, PERIOD)


def assert_is_clear(said: str) -> None:
    """The message says what was attempted and what to do, and is no traceback."""
    sets = (f"invoices dated in {PERIOD}", f"lines of the invoices dated in {PERIOD}", "customers")
    assert said.startswith(tuple(f"Read all {name}" for name in sets)) or said.startswith("acme: "), said
    assert "Traceback" not in said
    assert "TaskGroup" not in said
    assert any(
        words in said
        for words in ("Run again", "run again", "Grant", "permission", "Login Audit Trail", "later")
    ), said


def struck(armed: list[dict[str, Any]], pending: list[dict[str, Any]]) -> Counter[str]:
    """How often each rule struck, by what the sandbox says is left of them."""
    left = Counter({name_of(rule): rule["left"] for rule in pending})
    return Counter({name_of(rule): rule.get("times", 1) - left[name_of(rule)] for rule in armed})


def name_of(kind: dict[str, Any]) -> str:
    """What a rule is called here: its kind, and the status or change that it is about."""
    more = {"status": "status", "rows_changed": "change"}.get(kind["kind"])
    return f"{kind['kind']} {kind[more]}" if more else str(kind["kind"])


def test_no_row_is_lost_or_doubled_and_every_fault_strikes(bench: Bench) -> None:
    for seed in SEEDS:
        one_run(bench, seed)
    assert {name_of(kind) for kind in KINDS} == set(+bench.struck)
    assert bench.ended["landed"] >= 3
    assert bench.ended["refused"] >= 1


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_no_row_is_lost_or_doubled_in_two_hundred_runs(bench: Bench) -> None:
    bench.struck.clear()
    bench.ended.clear()
    for seed in range(200):
        one_run(bench, seed)
    print(f"\n{dict(bench.ended)}; struck: {dict(bench.struck.most_common())}")  # noqa: T201
    assert bench.ended.total() == 200
    assert {name_of(kind) for kind in KINDS} == set(+bench.struck)


@pytest.mark.soak
@pytest.mark.timeout(1800)
def test_a_month_of_more_documents_than_one_query_gives_lands_row_by_row(
    tmp_path: Path, acme: TenantRules
) -> None:
    """NetSuite gives no more than 100,000 rows of a query. One of them changes while they are read."""
    with (
        faulty_account(tmp_path, acme.mapping) as account,
        Warehouse(tmp_path / "warehouse").open("acme") as held,
    ):
        account.fill(customers=100, invoices=105_000, lines=1, first="2026-10-01", last="2026-10-31")
        account.land_first(held)
        account.arm({"kind": "rows_changed", "change": "touch", "body": OF_DOCUMENTS, "after": 40})
        account.documents(held, PERIOD)
        account.calm()
        assert held.sql("SELECT count(*) FROM netsuite.invoices") == [(105_000,)]
        account.assert_landed(held, PERIOD)
