"""Reading a set in parts and proving it whole: counts and sums by buckets of a key, windows between two keys, the cap."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import pytest
import yaml
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sandbox_tools import PROFILES, Api, Integration, start

WIDTH = 100
"""Keys in a bucket."""
LATEST = "MAX(TO_CHAR({0}, 'YYYY-MM-DD HH24:MI:SS')) AS latest"
LATER = "TO_CHAR(MAX({0}), 'YYYY-MM-DD HH24:MI:SS') AS latest"
OCTOBER = (
    "t.trandate >= TO_DATE('2026-10-01', 'YYYY-MM-DD') AND t.trandate < TO_DATE('2026-11-01', 'YYYY-MM-DD')"
)
MAIN = "transaction t JOIN transactionline tl ON tl.transaction = t.id AND tl.mainline = 'T'"
LINES = "transactionline tl JOIN transaction t ON t.id = tl.transaction"
MONEY = {"total": "t.foreigntotal", "unpaid": "t.foreignamountunpaid"}

Set = tuple[str, str, str, dict[str, str], str]
"""FROM, WHERE, key, columns to sum by name, date to look at."""
SETS: dict[str, Set] = {
    "invoices": (MAIN, f"t.type = 'CustInvc' AND {OCTOBER}", "t.id", MONEY, "t.lastmodifieddate"),
    "invoices of one subsidiary": (
        MAIN,
        "t.type = 'CustInvc' AND tl.subsidiary = 3",
        "t.id",
        MONEY,
        "t.trandate",
    ),
    "invoice lines": (
        LINES,
        f"t.type = 'CustInvc' AND {OCTOBER} AND tl.mainline = 'F' AND tl.taxline = 'F'",
        "tl.uniquekey",
        {"amount": "tl.foreignamount", "quantity": "tl.quantity", "rate": "tl.rate"},
        "tl.linelastmodifieddate",
    ),
    "customers": (
        "customer c",
        "c.isinactive = 'F'",
        "c.id",
        {"owed": "c.balancesearch"},
        "c.lastmodifieddate",
    ),
    "applications": (
        "nexttransactionlinelink l JOIN transaction t ON t.id = l.nextdoc",
        "t.recordtype IN ('customerpayment', 'creditmemo')",
        "l.nextdoc",
        {"applied": "l.foreignamount"},
        "l.lastmodifieddate",
    ),
    "journal lines": (
        LINES,
        "t.type = 'Journal'",
        "tl.uniquekey",
        {"amount": "tl.foreignamount"},
        "t.lastmodifieddate",
    ),
    "ledger lines": (
        "transactionaccountingline g JOIN account a ON a.id = g.account "
        "JOIN accountingbook b ON b.id = g.accountingbook",
        "b.isprimary = 'T' AND g.posting = 'T'",
        "g.transaction",
        {"debit": "g.debit", "credit": "g.credit", "amount": "g.amount"},
        "g.lastmodifieddate",
    ),
}


@pytest.fixture(scope="module")
def both(public_pem: Any, private_key: ec.EllipticCurvePrivateKey) -> Iterator[dict[str, Api]]:
    """Two filled accounts, the second with other switches: of what an application does, of signs, of the cap."""
    content = yaml.safe_load((PROFILES / "oneworld.yaml").read_text())
    content |= {"account": "1234567_SB2"}
    content["switches"] = {"apply_touches_invoice": False, "credit_header_sign": "positive"}
    content["switches"]["suiteql_cap_has_more"] = True
    path = public_pem.with_name("untouched.yaml")
    path.write_text(yaml.safe_dump(content))
    client = "billing-integration"
    certificates = [
        argument
        for account in ("1234567_SB1", "1234567_SB2")
        for argument in ("--certificate", f"{account}:{client}:cert-1:{public_pem}")
    ]
    server = start("--profile", str(PROFILES / "oneworld.yaml"), "--profile", str(path), *certificates)
    try:
        integration = Integration(client, "cert-1", private_key)
        found = {
            name: Api(server.url, label, integration)
            for name, label in (("touched", "1234567-sb1"), ("untouched", "1234567-sb2"))
        }
        order = {
            "customers": 40,
            "invoices": 300,
            "lines": 2,
            "credit_memos": 30,
            "payments": 60,
            "journals": 20,
        }
        for api in found.values():
            api.admin("POST", "fill", order)
        yield found
    finally:
        server.stop()


@pytest.fixture(scope="module", params=["touched", "untouched"])
def books(request: pytest.FixtureRequest, both: dict[str, Api]) -> Api:
    return both[request.param]


def everything(api: Api, found: Set) -> list[dict[str, str]]:
    """Every row of a set, read without buckets or windows."""
    tables, where, key, sums, date = found
    shown = ", ".join([f"{key} AS key", *(f"{column} AS {name}" for name, column in sums.items())])
    stamp = f"TO_CHAR({date}, 'YYYY-MM-DD HH24:MI:SS') AS stamp"
    rows: list[dict[str, str]] = []
    while True:
        page = api.ask(
            f"SELECT {shown}, {stamp} FROM {tables} WHERE {where} ORDER BY {key}",
            limit=1000,
            offset=len(rows),
        )
        rows += page["items"]
        if not page["hasMore"]:
            return rows


def counted(rows: list[dict[str, str]], sums: dict[str, str]) -> dict[int, dict[str, Any]]:
    """What a census of these rows has to say, by bucket."""
    buckets: dict[int, list[dict[str, str]]] = defaultdict(list)
    for row in rows:
        buckets[math.floor(Decimal(row["key"]) / WIDTH)].append(row)
    expected: dict[int, dict[str, Any]] = {}
    for bucket, members in sorted(buckets.items()):
        keys = [int(row["key"]) for row in members]
        expected[bucket] = {
            "row_count": len(keys),
            "distinct_keys": len(set(keys)),
            "low": min(keys),
            "high": max(keys),
            "key_sum": sum(keys),
            "latest": max(row["stamp"] for row in members),
        }
        for name in sums:
            cells = [Decimal(row[name]) for row in members if name in row]
            if cells:
                expected[bucket][name] = sum(cells, Decimal(0))
    return expected


@pytest.mark.parametrize("latest", [LATEST, LATER], ids=["of printed dates", "printed"])
@pytest.mark.parametrize("name", SETS)
def test_a_census_says_what_the_rows_hold(books: Api, name: str, latest: str) -> None:
    tables, where, key, sums, date = SETS[name]
    totals = "".join(f", SUM({column}) AS {total}" for total, column in sums.items())
    rows = books.rows(
        f"SELECT FLOOR({key} / {WIDTH}) AS bucket, COUNT(*) AS row_count, COUNT(DISTINCT {key}) AS distinct_keys, "
        f"MIN({key}) AS low, MAX({key}) AS high, SUM({key}) AS key_sum{totals}, {latest.format(date)} "
        f"FROM {tables} WHERE {where} GROUP BY FLOOR({key} / {WIDTH}) ORDER BY FLOOR({key} / {WIDTH})"
    )
    found = {
        int(row.pop("bucket")): {
            n: text if n == "latest" else Decimal(text) if n in sums else int(text) for n, text in row.items()
        }
        for row in rows
    }
    assert found == counted(everything(books, SETS[name]), sums)
    assert list(found) == sorted(found)
    assert found


def test_buckets_of_negative_keys_round_down(books: Api) -> None:
    rows = books.rows(
        "SELECT FLOOR(k / 100) AS bucket, COUNT(*) AS n, MIN(k) AS low, MAX(k) AS high, SUM(k) AS s "
        "FROM (SELECT p.id - 210 AS k FROM accountingperiod p) x GROUP BY FLOOR(k / 100) ORDER BY FLOOR(k / 100)"
    )
    keys = [number - 210 for number in range(101, 317)]
    assert [
        (int(row["bucket"]), int(row["n"]), int(row["low"]), int(row["high"]), int(row["s"])) for row in rows
    ] == [
        (bucket, len(part), min(part), max(part), sum(part))
        for bucket in (-2, -1, 0, 1)
        for part in [[key for key in keys if math.floor(key / 100) == bucket]]
    ]
    halves = books.rows(
        "SELECT FLOOR(-0.5) AS a, FLOOR(-1 / 1000) AS b, FLOOR(-1000 / 1000) AS c, FLOOR(0.5) AS d FROM dual"
    )
    assert halves == [{"a": "-1", "b": "-1", "c": "-1", "d": "0"}]


@pytest.mark.parametrize("name", [name for name in SETS if name not in ("applications", "ledger lines")])
@pytest.mark.parametrize("step", [37, 100_000])
def test_windows_between_keys_hold_every_row_once(books: Api, name: str, step: int) -> None:
    """From the last key on, a page at a time, in windows of a few keys and in one that is larger than the set."""
    tables, where, key, _, _ = SETS[name]
    wanted = [int(row["key"]) for row in everything(books, SETS[name])]
    found: list[int] = []
    low, end = min(wanted) - 5, max(wanted)
    while low < end:
        page = books.ask(
            f"SELECT {key} AS key FROM {tables} WHERE ({where}) AND {key} > {low} AND {key} <= {low + step} "
            f"ORDER BY {key} FETCH FIRST 50 ROWS ONLY",
            limit=1000,
            offset=0,
        )
        keys = [int(row["key"]) for row in page["items"]]
        assert (page["count"], page["totalResults"], page["hasMore"]) == (len(keys), len(keys), False)
        found += keys
        low = keys[-1] if len(keys) == 50 else low + step
    assert found == wanted


@pytest.mark.parametrize(
    "table",
    [
        *("accountingperiod", "subsidiary", "currency", "item", "term", "account"),
        *("department", "classification", "location", "accountingbook", "customersubsidiaryrelationship"),
    ],
)
def test_lists_are_read_in_windows_too(books: Api, table: str) -> None:
    everything = books.rows(f"SELECT * FROM {table} ORDER BY id")
    keys = [int(row["id"]) for row in everything]
    found: list[dict[str, str]] = []
    low = keys[0] - 1
    while low < keys[-1]:
        found += books.rows(
            f"SELECT * FROM {table} x WHERE x.id > {low} AND x.id <= {low + 50} ORDER BY x.id FETCH FIRST 1000 ROWS ONLY"
        )
        low += 50
    assert found == everything
    counted = books.rows(f"SELECT COUNT(*) AS n, COUNT(DISTINCT id) AS d, SUM(id) AS s FROM {table}")
    assert counted == [{"n": str(len(keys)), "d": str(len(keys)), "s": str(sum(keys))}]


def test_applications_are_grouped_by_what_pays_and_what_is_paid(books: Api) -> None:
    """As fields of links and as sums; in windows of the paying transaction, whichever column bounds them."""
    shown = "l.previousdoc AS invoice_id, l.nextdoc AS applying_id, SUM(l.foreignamount) AS applied"
    tables = "nexttransactionlinelink l JOIN transaction t ON t.id = l.nextdoc"
    which = "t.recordtype IN ('customerpayment', 'creditmemo')"
    group = "GROUP BY l.previousdoc, l.nextdoc"
    wanted = [
        (int(row["nextdoc"]), int(row["previousdoc"]), row["foreignamount"])
        for row in books.rows(f"SELECT l.nextdoc, l.previousdoc, l.foreignamount FROM {tables} WHERE {which}")
    ]
    assert len(wanted) == 90
    for key in ("l.nextdoc", "t.id"):
        found: list[tuple[int, int, str]] = []
        low = min(wanted)[0] - 1
        while low < max(wanted)[0]:
            found += [
                (int(row["applying_id"]), int(row["invoice_id"]), row["applied"])
                for row in books.rows(
                    f"SELECT {shown} FROM {tables} WHERE {which} AND {key} > {low} AND {key} <= {low + 20} {group} "
                    "ORDER BY l.nextdoc, l.previousdoc FETCH FIRST 1000 ROWS ONLY"
                )
            ]
            low += 20
        assert found == sorted(wanted)
    paid = books.rows(
        "SELECT t.id, t.foreignamountpaid AS paid, SUM(l.foreignamount) AS applied FROM transaction t "
        "JOIN nexttransactionlinelink l ON l.previousdoc = t.id GROUP BY t.id, t.foreignamountpaid ORDER BY t.id"
    )
    assert len(paid) == 90
    assert all(row["paid"] == row["applied"] for row in paid)


# Sums


AMOUNTS = st.decimals(min_value=Decimal("-99999"), max_value=Decimal("99999"), allow_nan=False, places=6)


@settings(max_examples=60, deadline=None)
@given(
    numbers=st.lists(st.one_of(AMOUNTS, AMOUNTS.map(lambda n: round(n, 2))), min_size=1, max_size=25),
    back=st.booleans(),
)
@example(numbers=[Decimal("0.1"), Decimal("0.2")], back=True)
@example(numbers=[Decimal("0.1"), Decimal("0.000007"), Decimal("99998.7")], back=True)
def test_sums_are_exact(books: Api, numbers: list[Decimal], back: bool) -> None:
    """Of decimals of any length, together and by rows: no binary remainder, also where they cancel out."""
    if back:
        numbers = [*numbers, -sum(numbers)]
    choices = ", ".join(f"{101 + n}, TO_NUMBER('{value:f}')" for n, value in enumerate(numbers))
    values = f"SELECT id AS place, DECODE(id, {choices}) AS v FROM accountingperiod WHERE id < {101 + len(numbers)}"
    [row] = books.rows(f"SELECT SUM(v) AS s, AVG(v) AS a, COUNT(v) AS n FROM ({values}) x")
    assert Decimal(row["s"]) == sum(numbers)
    assert Decimal(row["a"]) == pytest.approx(
        sum(numbers) / len(numbers), rel=Decimal("1e-13"), abs=Decimal("1e-13")
    )
    running = books.rows(f"SELECT SUM(v) OVER (ORDER BY place) AS s FROM ({values}) x ORDER BY place")
    assert [Decimal(one["s"]) for one in running] == [sum(numbers[: n + 1]) for n in range(len(numbers))]


def test_a_sum_of_nothing_is_null(books: Api) -> None:
    query = (
        "SELECT COUNT(*) AS n, SUM(foreigntotal) AS s, AVG(foreigntotal) AS a FROM transaction WHERE id < 0"
    )
    assert books.rows(query) == [{"n": "0"}]
    assert books.rows(
        "SELECT SUM(debit) AS s, COUNT(debit) AS n FROM transactionaccountingline WHERE debit IS NULL"
    ) == [{"n": "0"}]


# A query's numbers


def test_pages_by_key_differ_in_numbers_alone_and_each_is_its_own(books: Api) -> None:
    """The same query with other numbers, equal numbers in several places, and numbers inside text."""
    template = (
        "SELECT p.id FROM accountingperiod p WHERE p.id > {0} AND p.id <= {1} AND '> 7' = '> 7' ORDER BY p.id"
    )
    for low, high in ((101, 104), (104, 104), (104, 101), (110, 112), (101, 104)):
        found = [int(row["id"]) for row in books.rows(template.format(low, high))]
        assert found == [n for n in range(101, 317) if low < n <= high]
    grouped = (
        "SELECT CASE WHEN p.id > {0} THEN 'later' ELSE 'earlier' END AS part, COUNT(*) AS n FROM accountingperiod p "
        "WHERE p.id > {0} OR p.id = {1} GROUP BY CASE WHEN p.id > {0} THEN 'later' ELSE 'earlier' END ORDER BY part"
    )
    assert books.rows(grouped.format(300, 150)) == [
        {"part": "earlier", "n": "1"},
        {"part": "later", "n": "16"},
    ]
    assert books.rows(grouped.format(310, 310)) == [
        {"part": "earlier", "n": "1"},
        {"part": "later", "n": "6"},
    ]
    assert books.rows("SELECT id FROM accountingperiod WHERE ROWNUM <= 2 AND id >= 105 ORDER BY id") == [
        {"id": "105"},
        {"id": "106"},
    ]
    assert books.rows("SELECT id FROM accountingperiod WHERE id = 105.0 AND id >= -1") == [{"id": "105"}]
    assert books.query_refused("SELECT id FROM accountingperiod WHERE id = :k1")
    assert books.rows("SELECT id FROM accountingperiod WHERE id = ? AND id > 7", 105) == [{"id": "105"}]


def test_a_row_that_is_few_today_may_be_many_tomorrow(fresh: Callable[..., tuple[Any, Api]]) -> None:
    """How a query is carried out follows the number of rows; what it answers does not."""
    _, api = fresh()
    query = (
        "SELECT tl.uniquekey, t.id FROM transactionline tl JOIN transaction t ON t.id = tl.transaction "
        "WHERE t.type = 'CustInvc' AND tl.uniquekey > 0 ORDER BY tl.uniquekey FETCH FIRST 10 ROWS ONLY"
    )
    assert api.rows(query) == []
    api.admin("POST", "fill", {"customers": 2, "invoices": 2500, "lines": 1})
    first = api.rows(query)
    api.admin("POST", "fill", {"customers": 2, "invoices": 10, "lines": 1, "seed": 2})
    assert api.rows(query) == first
    assert [int(row["uniquekey"]) for row in first] == list(range(1_000_001, 1_000_011))


# The cap


@pytest.mark.parametrize(("account", "more"), [("touched", False), ("untouched", True)])
def test_a_query_ends_at_a_hundred_thousand_rows(both: dict[str, Api], account: str, more: bool) -> None:
    """`totalResults` tells how many there are; by a switch `hasMore` goes on saying so, where no page follows."""
    api = both[account]
    query = "SELECT a.id, b.id AS other, c.id AS third FROM accountingperiod a, accountingperiod b, currency c ORDER BY a.id, b.id, c.id"
    every = 216 * 216 * 3
    first = api.ask(query)
    assert (first["totalResults"], first["hasMore"], first["count"]) == (every, True, 1000)
    last = api.ask(query, limit=1000, offset=99_000)
    assert (last["totalResults"], last["hasMore"], last["count"]) == (every, more, 1000)
    assert any(link["rel"] == "next" for link in last["links"]) == more
    beyond = api.ask(query, limit=1000, offset=100_000)
    assert (beyond["totalResults"], beyond["count"], beyond["items"]) == (every, 0, [])
    assert not beyond["hasMore"] or more
    whole = api.ask(
        "SELECT a.id, b.id AS other FROM accountingperiod a, accountingperiod b ORDER BY a.id, b.id",
        limit=1000,
        offset=46_000,
    )
    assert (whole["totalResults"], whole["hasMore"], whole["count"]) == (216 * 216, False, 656)
