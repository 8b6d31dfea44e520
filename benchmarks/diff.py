"""The keyed comparison of two sets of invoices, next to its limit and to other ways.

    python benchmarks/diff.py [--rows 1000000] [--lines 1000000] [--rounds 3] [--full]

Makes two sides of invoices with 25 compared columns: 1 % is missing, 1 % extra, 2 % changed in one or two values, 0.2 %
stands twice on the right and 0.02 % on the left; besides, 1 % differs by exactly the tolerated cent, 1 % in case and
spaces, and 1 % has an empty text for none. Each way runs in a process of its own, one after the other, each round anew;
time is from the opened files to the counts (ours: a DuckDB file as slices land, the peers': Parquet), ratios are
between runs of one round, and the median of the rounds counts. The limit reads and hashes every value of both sides
once, joins the keys and counts; ours may go under it, for its hashes are stored.

Every way must find the same records; one that cannot is shown with what it finds. The peers are in the extra `bench`,
to be installed in an environment of its own (datacompy needs an older pandas); those that are not installed are named.
Exit status 1 when our way misses a bar or a count. `--full` measures 10,000,000 invoices and 5,000,000 lines, which
takes ten minutes and 4 GB of disk.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from decimal import Decimal
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import Any, Final

import duckdb
from rich.console import Console
from rich.table import Table

from netsuite_assets.reconcile.comparison import Comparison
from netsuite_assets.reconcile.hashes import HASHED, Hashed, HashedSlice, hash_slice
from netsuite_assets.reconcile.keyed import Compared, Field, compare
from resources.netsuite.records import Kind
from resources.warehouse import TenantWarehouse, Warehouse, quote

CENT: Final = Decimal("0.01")
PERIOD: Final = "2026-10"
ENOUGH: Final = 1_000_000
"""Rows from which on the bars hold: below, what any query costs outweighs the rows."""


# The two sides. Every value is made of the row's number by a hash, so that all machines make the same.


def _one_of(salt: int, *values: str) -> str:
    listed = ", ".join(f"'{value}'" for value in values)
    return f"[{listed}][1 + {_random(salt, len(values))}]"


def _random(salt: int, below: int) -> str:
    return f"(hash(i, {salt}) % {below})::BIGINT"


def _letters(salt: int, length: int) -> str:
    return f"left(md5((i * 1000 + {salt})::VARCHAR), {length})"


def _money(salt: int, cents: int) -> str:
    return f"({_random(salt, cents)}::DECIMAL(18,2) / 100)::DECIMAL(18,4)"


#: Column to kind and value.
INVOICE: Final[Mapping[str, tuple[Kind, str]]] = {
    "customer": ("text", f"'cus_' || left(md5({_random(1, 60000)}::VARCHAR), 14)"),
    "customer_name": ("text", f"{_one_of(2, 'Nordwind', 'Acme', 'Globex', 'Initech')} || ' ' || {_random(1, 60000)} || {_one_of(3, ' GmbH', ' Inc.', ' Ltd', ' KK')}"),
    "email": ("text", f"'ap' || {_random(1, 60000)} || '@customer.example.com'"),
    "subsidiary": ("text", _one_of(4, "Acme Inc.", "Acme GmbH", "Acme KK")),
    "currency": ("text", _one_of(5, "USD", "EUR", "GBP", "JPY")),
    "status": ("text", _one_of(6, "open", "paid in full", "voided")),
    "terms": ("text", _one_of(7, "Net 30", "Net 60", "Due on receipt")),
    "po_number": ("text", f"'PO-' || {_letters(8, 10)}"),
    "memo": ("text", f"'Usage of ' || {_one_of(9, 'compute', 'storage', 'egress', 'seats')} || ' under contract ' || {_letters(9, 8)}"),
    "subscription": ("text", f"'sub_' || {_letters(10, 20)}"),
    "department": ("text", f"'Department ' || {_random(11, 40)}"),
    "region": ("text", _one_of(12, "EMEA", "APAC", "AMER")),
    "sales_rep": ("text", f"'rep' || {_random(13, 500)} || '@example.com'"),
    "tax_code": ("text", f"'VAT-' || {_random(14, 25)}"),
    "payment": ("text", f"'ch_' || {_letters(15, 24)}"),
    "subtotal": ("amount", _money(20, 100_000_000)),
    "discount": ("amount", _money(21, 100_000)),
    "tax": ("amount", _money(22, 1_000_000)),
    "total": ("amount", _money(23, 100_000_000)),
    "paid": ("amount", _money(24, 100_000_000)),
    "remaining": ("amount", _money(25, 100_000_000)),
    "exchange_rate": ("rate", f"({_random(26, 100_000_000)}::DECIMAL(18,0) / 100000000)::DECIMAL(28,12)"),
    "lines": ("integer", _random(27, 200)),
    "issued_on": ("date", f"DATE '2026-10-01' + {_random(28, 31)}::INTEGER"),
    "due_on": ("date", f"DATE '2026-11-01' + {_random(29, 60)}::INTEGER"),
}  # fmt: skip

LINE: Final[Mapping[str, tuple[Kind, str]]] = {
    "invoice": ("text", "'INV-' || lpad((i // 5)::VARCHAR, 9, '0')"),
    "line_no": ("integer", "i % 5"),
    "item": ("text", f"'item ' || {_random(31, 400)}"),
    "description": ("text", f"'Usage of meter ' || {_random(32, 5000)}"),
    "quantity": ("quantity", f"({_random(33, 1_000_000)}::DECIMAL(18,0) / 100)::DECIMAL(28,10)"),
    "rate": ("rate", f"({_random(34, 100_000_000)}::DECIMAL(18,0) / 1000000)::DECIMAL(28,12)"),
    "amount": ("amount", _money(35, 1_000_000)),
    "tax_code": ("text", f"'VAT-' || {_random(36, 25)}"),
    "department": ("text", f"'Department ' || {_random(37, 40)}"),
    "product": ("text", _one_of(38, "compute", "storage", "egress", "seats")),
    "service_start": ("date", f"DATE '2026-10-01' + {_random(39, 31)}::INTEGER"),
    "service_end": ("date", f"DATE '2026-10-01' + {_random(40, 31)}::INTEGER"),
}

#: What is done to a row of the right side, by `hash(i) % 10000`: the first that is not reached yet applies.
_SHARES: Final = (
    ("missing", 100), ("changed once", 100), ("changed twice", 100), ("cent", 100), ("case", 100), ("empty", 100),
    ("twice right", 20), ("twice left", 2),
)  # fmt: skip


def _class() -> str:
    parts, upto = [], 0
    for name, share in _SHARES:
        upto += share
        parts.append(f"WHEN hash(i, 99) % 10000 < {upto} THEN '{name}'")
    return f"CASE {' '.join(parts)} ELSE 'same' END"


@dataclass(frozen=True)
class Counts:
    """What a comparison finds: pairs that are the same and that differ, records of one side, keys set apart."""

    same: int
    changed: int
    missing: int
    extra: int
    repeated: int


def _values_of(columns: Mapping[str, tuple[Kind, str]]) -> str:
    return ", ".join(f"{value} AS {name}" for name, (_, value) in columns.items())


_INVOICE: Final = (
    f"SELECT '{PERIOD}' AS period, 'INV-' || lpad(i::VARCHAR, 9, '0') AS number, {_values_of(INVOICE)}"
)


def _shuffled(rows: int) -> str:
    """The numbers below `rows` in an order of no meaning, without sorting them."""
    step = next(prime for prime in (7_368_787, 6_700_417, 5_915_587) if rows % prime)
    return f"(SELECT (j * {step} + 11) % {rows} AS i FROM range({rows}) t(j))"


def make_sides(connection: duckdb.DuckDBPyConnection, rows: int) -> Counts:
    """Tables `main.expected` and `main.actual`, and what is the truth about them."""
    run = connection.execute
    both = f"SELECT *, {_class()} AS class FROM"
    run(
        f"""CREATE TABLE main.expected AS SELECT * EXCLUDE (class)
            REPLACE (CASE WHEN class = 'empty' THEN '' ELSE po_number END AS po_number)
        FROM ({_INVOICE}, class FROM ({both} range({rows}) t(i))
            UNION ALL {_INVOICE}, class FROM ({both} range({rows}) t(i)) WHERE class = 'twice left')"""
    )
    run(
        f"""CREATE TABLE main.actual AS SELECT * EXCLUDE (class) REPLACE (
            CASE class WHEN 'cent' THEN total + 0.01 WHEN 'changed twice' THEN total + 12.5 ELSE total END
                ::DECIMAL(18,4) AS total,
            CASE class WHEN 'changed once' THEN memo || ' (amended)' WHEN 'changed twice' THEN 'amended'
                WHEN 'case' THEN '  ' || upper(memo) || ' ' ELSE memo END AS memo,
            CASE class WHEN 'empty' THEN NULL ELSE po_number END AS po_number)
        FROM ({_INVOICE}, class FROM ({both} {_shuffled(rows + rows // 100)}) WHERE class <> 'missing' OR i >= {rows}
            UNION ALL {_INVOICE}, class FROM ({both} range({rows}) t(i)) WHERE class = 'twice right')"""
    )
    classes: dict[str, int] = dict(
        run(f"SELECT class, count(*) FROM ({both} range({rows}) t(i)) GROUP BY 1").fetchall()
    )
    repeated = classes["twice right"] + classes["twice left"]
    changed = classes["changed once"] + classes["changed twice"]
    same = rows - repeated - changed - classes["missing"]
    return Counts(same, changed, classes["missing"], rows // 100, repeated)


def make_few(connection: duckdb.DuckDBPyConnection, rows: int) -> Counts:
    """The same tables where 0.01 % of the right side has another total and nothing else differs."""
    run = connection.execute
    run(f"CREATE TABLE main.expected AS {_INVOICE} FROM range({rows}) t(i)")
    run(
        f"""CREATE TABLE main.actual AS SELECT * REPLACE (
            CASE WHEN hash(number, 98) % 10000 = 0 THEN total + 12.5 ELSE total END::DECIMAL(18,4) AS total)
        FROM ({_INVOICE} FROM {_shuffled(rows)})"""
    )
    count = "SELECT count(*) FROM main.expected WHERE hash(number, 98) % 10000 = 0"
    changed: int = run(count).fetchall()[0][0]
    return Counts(rows - changed, changed, 0, 0, 0)


def make_cents(connection: duckdb.DuckDBPyConnection, rows: int) -> Counts:
    """The same tables where every total on the right is exactly the tolerated cent more."""
    run = connection.execute
    run(f"CREATE TABLE main.expected AS {_INVOICE} FROM range({rows}) t(i)")
    run(
        "CREATE TABLE main.actual AS SELECT * REPLACE ((total + 0.01)::DECIMAL(18,4) AS total) FROM main.expected"
    )
    return Counts(rows, 0, 0, 0, 0)


def make_lines(connection: duckdb.DuckDBPyConnection, lines: int) -> Counts:
    """Tables `main.expected_lines` and `main.actual_lines`: 1 % missing, 2 % with another amount."""
    run = connection.execute
    made = f"SELECT '{PERIOD}' AS period, i AS line_id, {_values_of(LINE)} FROM"
    run(f"CREATE TABLE main.expected_lines AS {made} range({lines}) t(i)")
    run(
        f"""CREATE TABLE main.actual_lines AS SELECT * REPLACE (
            CASE WHEN hash(line_id, 98) % 100 IN (1, 2) THEN amount + 1 ELSE amount END::DECIMAL(18,4) AS amount)
        FROM ({made} {_shuffled(lines)}) WHERE hash(line_id, 98) % 100 <> 0"""
    )
    missing, changed = run(
        "SELECT count(*) FILTER (hash(line_id, 98) % 100 = 0), count(*) FILTER (hash(line_id, 98) % 100 IN (1, 2))"
        " FROM main.expected_lines"
    ).fetchall()[0]
    return Counts(lines - missing - changed, changed, missing, 0, 0)


# How it is compared


def _comparisons(columns: Mapping[str, tuple[Kind, str]]) -> dict[str, Comparison]:
    """A cent is tolerated, memo without regard to case; the rest is as in every tenant."""
    return {
        name: Comparison(kind, amount=CENT if kind == "amount" else Decimal(0), ignore_case=name == "memo")
        for name, (kind, _) in columns.items()
    }


def prepared(
    warehouse: TenantWarehouse, table: str, key: str, columns: Mapping[str, tuple[Kind, str]]
) -> HashedSlice:
    """The table with its rows' hashes, as the reconciliation stores them when a slice is new."""
    values = [Hashed(name, quote(name), how) for name, how in _comparisons(columns).items()]
    return hash_slice(warehouse, f"main.{table}", PERIOD, key, values)


def fields(columns: Mapping[str, tuple[Kind, str]]) -> list[Field]:
    return [
        Field(name, how, f"l.{quote(name)}", f"r.{quote(name)}")
        for name, how in _comparisons(columns).items()
    ]


# Ways. Each opens what it compares and yields; what it does until it yields again is measured.


@dataclass
class Job:
    """What one way's process is told: the folder with the two sides, their tables, and DuckDB's memory limit."""

    folder: Path
    tables: tuple[str, str]
    key: str
    columns: Mapping[str, tuple[Kind, str]]
    memory: str = ""

    @contextmanager
    def opened(self) -> Iterator[TenantWarehouse]:
        with Warehouse(self.folder).open("bench") as warehouse:
            if self.memory:
                warehouse.connection.execute(f"SET memory_limit = '{self.memory}'")
            yield warehouse

    def parquet(self, side: str) -> Path:
        return self.folder / f"{side}.parquet"


def limit(job: Job) -> Iterator[Counts | None]:
    with job.opened() as warehouse:
        yield None
        names = ", ".join(map(quote, (job.key, *job.columns)))
        for table in job.tables:
            warehouse.sql(f"SELECT sum(hash({names})) FROM main.{table}")
        left, right = job.tables
        warehouse.sql(f"SELECT count(*) FROM main.{left} FULL JOIN main.{right} USING ({quote(job.key)})")
        yield None


def ours(job: Job) -> Iterator[Counts | None]:
    with job.opened() as warehouse:
        sides = [prepared(warehouse, table, job.key, job.columns) for table in job.tables]
        wanted = fields(job.columns)
        yield None
        found = compare(warehouse, sides[0], sides[1], wanted, name="compared")
        changed = warehouse.value("SELECT count(DISTINCT key) FROM compared_judged WHERE rule IS NULL")
        yield _counts(found, changed)


def _counts(found: Compared, changed: int) -> Counts:
    same = found.matched + found.differing - changed
    return Counts(same, changed, found.only_left, found.only_right, found.repeated)


def preparing(job: Job) -> Iterator[Counts | None]:
    """What is done once for each slice that lands: hashes, and the keys that repeat."""
    with job.opened() as warehouse:
        warehouse.connection.execute(f"DELETE FROM {HASHED}")
        yield None
        for table in job.tables:
            prepared(warehouse, table, job.key, job.columns)
        yield None


def through_pandas(job: Job) -> Iterator[Counts | None]:
    """A merge of Arrow-backed frames, by hand: exact, with every rule."""
    import pandas as pd
    import pyarrow.parquet as pq

    yield None
    frames = [
        pq.read_table(job.parquet(side)).to_pandas(types_mapper=pd.ArrowDtype) for side in ("left", "right")
    ]
    repeated = pd.Index([])
    for frame in frames:
        repeated = repeated.union(pd.Index(frame.loc[frame[job.key].duplicated(), job.key].unique()))
    left, right = (frame[~frame[job.key].isin(repeated)] for frame in frames)
    merged = left.merge(right, on=job.key, how="outer", suffixes=("", "_r"), indicator=True)
    both = merged[merged["_merge"] == "both"]
    differs = pd.Series(False, index=both.index)
    for name, how in _comparisons(job.columns).items():
        one, other = both[name], both[f"{name}_r"]
        if how.kind == "text":
            one, other = (_canonical(side, how) for side in (one, other))
        apart = (one != other) & ~(one.isna() & other.isna())
        apart = apart.fillna(True).astype(bool) & ~(one.isna() & other.isna())
        if how.amount:
            near = ((one - other).abs() <= how.amount).fillna(False).astype(bool)
            apart &= ~near
        differs |= apart
    side = merged["_merge"]
    changed = int(differs.sum())
    yield Counts(
        len(both) - changed,
        changed,
        int((side == "left_only").sum()),
        int((side == "right_only").sum()),
        len(repeated),
    )


def _canonical(values: Any, how: Comparison) -> Any:
    text = values.str.strip(" ")
    if how.ignore_case:
        text = text.str.lower()
    return text.mask(text == "")


def through_datacompy(job: Job) -> Iterator[Counts | None]:
    """Told of the tolerance, the spaces and the case; it pairs keys that repeat by their order."""
    import logging

    import pyarrow.parquet as pq
    from datacompy import PandasCompare

    logging.disable()
    yield None
    left, right = (pq.read_table(job.parquet(side)).to_pandas() for side in ("left", "right"))
    found = PandasCompare(
        left, right, join_columns=[job.key], abs_tol=float(CENT), ignore_spaces=True, ignore_case=True
    )
    same = int(found.count_matching_rows())
    yield Counts(
        same,
        len(found.intersect_rows) - same,
        len(found.df1_unq_rows),
        len(found.df2_unq_rows),
        0,
    )


def through_polars(job: Job) -> Iterator[Counts | None]:
    """A streaming join of frames, by hand: exact, with every rule."""
    import polars as pl

    yield None
    frames = [pl.scan_parquet(job.parquet(side)).collect() for side in ("left", "right")]
    repeated = pl.concat(
        [frame.group_by(job.key).len().filter(pl.col("len") > 1).select(job.key) for frame in frames]
    ).unique()
    left, right = (frame.lazy().join(repeated.lazy(), on=job.key, how="anti") for frame in frames)
    differs = []
    for name, how in _comparisons(job.columns).items():
        one, other = pl.col(name), pl.col(f"{name}_r")
        if how.kind == "text":
            one, other = (_canonical_polars(side, how) for side in (one, other))
        apart = one.ne_missing(other)
        if how.amount:
            apart &= ~((one - other).abs() <= pl.lit(how.amount)).fill_null(False)
        differs.append(apart)
    both = left.join(right, on=job.key, how="inner", suffix="_r").select(
        pl.any_horizontal(differs).alias("d")
    )
    found = both.select(pl.len().alias("n"), pl.col("d").sum()).collect(engine="streaming")
    missing = left.join(right, on=job.key, how="anti").select(pl.len()).collect(engine="streaming").item()
    extra = right.join(left, on=job.key, how="anti").select(pl.len()).collect(engine="streaming").item()
    pairs, changed = found.row(0)
    yield Counts(pairs - changed, changed, missing, extra, repeated.height)


def _canonical_polars(value: Any, how: Comparison) -> Any:
    import polars as pl

    text = value.str.strip_chars(" ")
    if how.ignore_case:
        text = text.str.to_lowercase()
    return pl.when(text != "").then(text)


WAYS: Final[Mapping[str, Callable[[Job], Iterator[Counts | None]]]] = {
    "limit": limit,
    "ours": ours,
    "preparing": preparing,
    "pandas, by hand": through_pandas,
    "polars, by hand": through_polars,
    "datacompy, pandas": through_datacompy,
}
PEERS: Final = {"pandas, by hand": "pandas", "polars, by hand": "polars", "datacompy, pandas": "datacompy"}
"""Ways that need a package."""


@dataclass(frozen=True)
class Measured:
    """Seconds by the clock and of the cores, the process's peak memory in MB, and what was found."""

    clock: float
    cores: float
    peak: float
    counts: Counts | None


def measure(way: Callable[[Job], Iterator[Counts | None]], job: Job) -> Measured:
    """Run one way in this process."""
    steps = way(job)
    next(steps)
    cores, clock = time.process_time(), time.perf_counter()
    counts = next(steps)
    clock, cores = time.perf_counter() - clock, time.process_time() - cores
    return Measured(clock, cores, peak(), counts)


def peak() -> float:
    """MB that this process held at most; rusage would count what its parent held when it began."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) / 1024


@dataclass(frozen=True)
class Set:
    """Two sides that are compared: how they are made, their tables, their key and their columns."""

    make: Callable[[duckdb.DuckDBPyConnection, int], Counts]
    tables: tuple[str, str]
    key: str
    columns: Mapping[str, tuple[Kind, str]]

    def job(self, folder: Path, memory: str = "") -> Job:
        return Job(folder, self.tables, self.key, self.columns, memory)


_INVOICES: Final = ("expected", "actual")
SETS: Final[Mapping[str, Set]] = {
    "invoices": Set(make_sides, _INVOICES, "number", INVOICE),
    "few": Set(make_few, _INVOICES, "number", INVOICE),
    "cents": Set(make_cents, _INVOICES, "number", INVOICE),
    "lines": Set(make_lines, ("expected_lines", "actual_lines"), "line_id", LINE),
}


def made(name: str, folder: Path, rows: int, *, parquet: bool = False) -> Counts:
    """Make a set's two sides in a folder, with their hashes, and for the peers as Parquet too."""
    one = SETS[name]
    job = one.job(folder)
    with job.opened() as warehouse:
        truth = one.make(warehouse.connection, rows)
        if parquet:
            for side, table in zip(("left", "right"), one.tables, strict=True):
                warehouse.connection.execute(
                    f"COPY (SELECT * EXCLUDE (period) FROM main.{table}) TO '{job.parquet(side)}' (COMPRESSION zstd)"
                )
        for table in one.tables:
            prepared(warehouse, table, one.key, one.columns)
    return truth


def busy() -> float:
    """The share of the machine's time that someone used in the last moment."""

    def read() -> tuple[int, int]:
        numbers = [int(part) for part in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]]
        return sum(numbers), numbers[3] + numbers[4]

    total, idle = read()
    time.sleep(0.5)
    total_now, idle_now = read()
    return 1 - (idle_now - idle) / max(total_now - total, 1)


class Runner:
    """Runs ways in processes of their own, when the machine is quiet or the patience is used up."""

    def __init__(self, patience: float) -> None:
        self.patience, self.busiest = patience, 0.0

    def run(self, way: str, name: str, folder: Path, memory: str = "") -> Measured:
        until = time.monotonic() + self.patience
        while (share := busy()) > 0.1 and time.monotonic() < until:
            pass
        self.busiest = max(self.busiest, share)
        order = ["--way", way, "--set", name, "--work", str(folder), "--memory", memory]
        said = subprocess.run(
            [sys.executable, __file__, *order], check=True, stdout=subprocess.PIPE, text=True
        ).stdout
        found: dict[str, Any] = json.loads(said)
        counts = found.pop("counts")
        return Measured(**found, counts=Counts(**counts) if counts else None)

    def rounds(
        self, ways: Sequence[str], name: str, folder: Path, rounds: int, memory: str = ""
    ) -> list[list[Measured]]:
        """Each way once a round, in turned order every other time."""
        found = []
        for number in range(rounds):
            order = ways if number % 2 == 0 else ways[::-1]
            by_way = {way: self.run(way, name, folder, memory if way == "ours" else "") for way in order}
            found.append([by_way[way] for way in ways])
        return found


# The table


@dataclass
class Report:
    """The figures as they come, and whether each bar was met."""

    table: Table = field(
        default_factory=lambda: Table(
            "figure", "clock", "cores", "peak memory", "ratio", "bar", "met", title_justify="left"
        )
    )
    met: bool = True

    def add(
        self,
        what: str,
        one: Measured,
        ratio: str = "",
        bar: str = "",
        met: bool = True,
    ) -> None:
        self.met &= met
        self.table.add_row(
            what, f"{one.clock:.2f} s", f"{one.cores:.2f} s", f"{one.peak:,.0f} MB", ratio, bar,
            "" if not bar else "yes" if met else "NO",
        )  # fmt: skip

    def note(self, what: str, said: str, bar: str = "", met: bool = True) -> None:
        self.met &= met
        self.table.add_row(what, "", "", "", said, bar, "" if not bar else "yes" if met else "NO")


def against_limit(
    report: Report,
    runner: Runner,
    name: str,
    what: str,
    folder: Path,
    truth: Counts,
    most: float,
    *,
    rounds: int,
    memory: str = "",
    most_mb: float | None = None,
) -> Measured:
    """Our way next to the limit of the same sides; gives our way's middle run."""
    found = runner.rounds(["limit", "ours"], name, folder, rounds, memory)
    ratio = median(ours.clock / lowest.clock for lowest, ours in found)
    of_cores = median(ours.cores / lowest.cores for lowest, ours in found)
    lowest, middle = (
        sorted(runs, key=lambda one: one.clock)[len(runs) // 2] for runs in zip(*found, strict=True)
    )
    is_judged = sum(asdict(truth).values()) >= ENOUGH
    report.add(f"{what}: limit", lowest)
    report.add(
        f"{what}: ours" + (f", memory_limit {memory}" if memory else ""),
        middle,
        f"{ratio:.2f}x the limit ({of_cores:.2f}x of cores)",
        f"{most}x" + (f", {most_mb:,.0f} MB" if most_mb else "") if is_judged else "",
        not is_judged or (ratio <= most and (most_mb is None or middle.peak <= most_mb)),
    )
    right = {ours.counts for _, ours in found} == {truth}
    report.note(f"{what}: finds the truth", str(middle.counts) if not right else "", "all", right)
    return middle


def peers(report: Report, runner: Runner, folder: Path, what: str, truth: Counts, ours: Measured) -> None:
    """The other ways once, beside ours."""
    for way, package in PEERS.items():
        if find_spec(package) is None:
            report.note(f"{what}: {way}", "not installed: the extra 'bench' has it")
            continue
        one = runner.run(way, "invoices", folder)
        times = one.clock / ours.clock
        least = 40.0 if package == "datacompy" and truth.same > 0.9 * ENOUGH else None
        report.add(
            f"{what}: {way}",
            one,
            f"{times:.1f}x ours",
            f"at least {least:.0f}x" if least else "",
            least is None or times >= least,
        )
        if one.counts != truth:
            report.note(f"{what}: {way} finds otherwise", _otherwise(one.counts, truth))


def _otherwise(found: Counts | None, truth: Counts) -> str:
    if found is None:
        return ""
    told = zip(asdict(found).items(), asdict(truth).values(), strict=True)
    return ", ".join(f"{name} {count:,} (truth {true:,})" for (name, count), true in told if count != true)


def cents(report: Report, runner: Runner, folder: Path) -> None:
    """Pairs that are exactly the tolerance apart: none may be called a difference."""
    pairs = 10_000
    truth = made("cents", folder, pairs, parquet=True)
    one = runner.run("ours", "cents", folder)
    found = one.counts.changed if one.counts else -1
    report.note(
        f"{pairs:,} pairs a cent apart, tolerance a cent: ours", f"{found:,} differ", "0", one.counts == truth
    )
    if find_spec("datacompy") is not None:
        other = runner.run("datacompy, pandas", "cents", folder).counts
        report.note("  datacompy, pandas", f"{other.changed if other else -1:,} differ")


def validation(report: Report, rows: int, ours: Measured) -> None:
    """Checking a frame of as many differences against its column contract."""
    from netsuite_assets import frames

    columns = frames.columns(frames.DIFFERENCES)
    given = {
        "period": f"'{PERIOD}'", "record": "'invoice'", "kind": "['changed', 'total'][1 + i % 2]", "amount": "i",
        "delta": "-i", "owner": "'billing'", "reason": "'total should be ' || i || '; NetSuite has nothing.'",
        "external_id": "'inv-' || i", "field": "'total'", "expected": "i::VARCHAR", "currency": "'USD'",
    }  # fmt: skip
    selected = ", ".join(
        f"({given.get(name, 'NULL')})::{kind} AS {quote(name)}" for name, kind in columns.items()
    )
    table = duckdb.connect().sql(f"SELECT {selected} FROM range({rows}) t(i)").to_arrow_table()
    data = frames.frame(table.cast(frames.arrow_schema(frames.DIFFERENCES)))
    found = []
    for _ in range(3):
        cores, clock = time.process_time(), time.perf_counter()
        frames.validated(frames.DIFFERENCES, data)
        found.append((time.perf_counter() - clock, time.process_time() - cores))
    clock, cores = sorted(found)[1]
    one = Measured(clock, cores, 0, None)
    ratio = clock / ours.clock
    report.add(f"validate {rows:,} differences", one, f"{ratio:.2f}x comparing", "1.0x", ratio <= 1)


def work(arguments: argparse.Namespace, folder: Path, console: Console) -> bool:
    report, runner = Report(), Runner(arguments.patience)

    def place(name: str) -> Path:
        console.print(f"making and measuring: {name}")
        return folder / name

    rows = arguments.rows
    where = place("invoices")
    truth = made("invoices", where, rows, parquet=True)
    what = f"{rows:,} invoices a side"
    ours_found = against_limit(
        report,
        runner,
        "invoices",
        what,
        where,
        truth,
        1.3,
        rounds=arguments.rounds,
        most_mb=500,
    )
    report.add(
        f"{what}: hashes and repeated keys, once a landing", runner.run("preparing", "invoices", where)
    )
    peers(report, runner, where, what, truth, ours_found)
    validation(report, rows, ours_found)
    cents(report, runner, place("cents"))
    shutil.rmtree(where)
    lines = 5_000_000 if arguments.full else arguments.lines
    where = place("lines")
    truth = made("lines", where, lines)
    against_limit(
        report, runner, "lines", f"{lines:,} lines a side", where, truth, 1.6, rounds=arguments.rounds
    )
    shutil.rmtree(where)
    if arguments.full:
        many = 10_000_000
        where = place("many invoices")
        truth = made("invoices", where, many)
        what = f"{many:,} invoices a side"
        against_limit(report, runner, "invoices", what, where, truth, 1.2, rounds=2, memory="1GB")
        small = runner.run("ours", "invoices", where, "512MB")
        met = small.counts == truth and small.peak < 700
        report.add(f"{what}: ours, memory_limit 512MB", small, "", "the truth, 700 MB", met)
        shutil.rmtree(where)
        where = place("few changes")
        truth = made("few", where, many)
        against_limit(
            report, runner, "few", f"{what}, 0.01 % changed", where, truth, 1.0, rounds=2, memory="1GB"
        )
    console.print(report.table)
    console.print(f"Others used up to {runner.busiest:.0%} of the machine at the start of a run.")
    return report.met


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=1_000_000, help="invoices a side (1000000)")
    parser.add_argument("--lines", type=int, default=1_000_000, help="lines a side (1000000)")
    parser.add_argument("--rounds", type=int, default=3, help="how often ours and the limit run (3)")
    parser.add_argument("--patience", type=float, default=5, help="seconds to wait for a quiet machine (5)")
    parser.add_argument("--full", action="store_true", help="10,000,000 invoices and 5,000,000 lines besides")
    parser.add_argument("--way", choices=list(WAYS), help=argparse.SUPPRESS)
    parser.add_argument("--set", choices=list(SETS), help=argparse.SUPPRESS)
    parser.add_argument("--work", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--memory", default="", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.way:
        job = SETS[arguments.set].job(arguments.work, arguments.memory)
        sys.stdout.write(json.dumps(asdict(measure(WAYS[arguments.way], job))) + "\n")
        sys.stdout.flush()
        return 0
    with tempfile.TemporaryDirectory() as name:
        return 0 if work(arguments, Path(name), Console(width=170)) else 1


if __name__ == "__main__":
    sys.exit(main())
