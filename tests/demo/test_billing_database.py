"""A demo billing database is filled once and whole, heals when it was left half-filled, and touches nothing foreign."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from random import Random

import pytest
import sqlalchemy as sa

from demo import usage
from demo.billing_database import DemoDatabaseError, fill
from demo.billing_tables import LAYOUTS

BILLING = {"acme": usage.acme(Random(3)), "globex": usage.globex(Random(3)), "retail": usage.acme(Random(4))}


def contents(url: str) -> dict[str, list[tuple[object, ...]]]:
    engine = sa.create_engine(url)
    with engine.connect() as connection:
        found = {
            name: [tuple(row) for row in connection.exec_driver_sql(f"SELECT * FROM {name} ORDER BY 1, 2")]
            for name in sa.inspect(connection).get_table_names()
        }
    engine.dispose()
    return found


def run(url: str, *statements: str) -> None:
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)
    engine.dispose()


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'new folder' / 'billing.sqlite'}"


@pytest.mark.parametrize("tenant", LAYOUTS)
def test_filling_again_changes_nothing(url: str, tenant: str) -> None:
    first = fill(url, tenant, BILLING[tenant])
    path = Path(url.removeprefix("sqlite:///"))
    before = (path.read_bytes(), path.stat().st_mtime_ns)
    again = fill(url, tenant, BILLING[tenant])
    assert (first.changed, again.changed) == (True, False)
    assert first.rows == again.rows
    assert (path.read_bytes(), path.stat().st_mtime_ns) == before
    held = contents(url)
    assert {name: len(held[name]) for name in first.rows} == first.rows


@pytest.mark.parametrize(
    "damage",
    [
        ["DELETE FROM invoice_lines WHERE line_no = 2"],
        ["DROP TABLE payments"],
        ["UPDATE demo_fill SET fingerprint = 'filling'", "DELETE FROM invoices"],
        [f"DROP TABLE {name}" for name in reversed(list(LAYOUTS["acme"].rows_of(BILLING["acme"])))],
    ],
)
def test_a_half_filled_database_is_filled_again(url: str, damage: list[str]) -> None:
    fill(url, "acme", BILLING["acme"])
    whole = contents(url)
    run(url, *damage)
    assert contents(url) != whole
    assert fill(url, "acme", BILLING["acme"]).changed
    assert contents(url) == whole


def test_a_filling_that_fails_leaves_what_was_there(url: str) -> None:
    fill(url, "acme", BILLING["acme"])
    whole = contents(url)
    twice = replace(BILLING["retail"], payments=BILLING["retail"].payments * 2)
    with pytest.raises(DemoDatabaseError, match="UNIQUE constraint failed"):
        fill(url, "acme", twice)
    assert contents(url) == whole
    assert not fill(url, "acme", BILLING["acme"]).changed


def test_other_documents_replace_those_before(url: str) -> None:
    fill(url, "acme", BILLING["acme"])
    assert fill(url, "acme", BILLING["retail"]).changed
    assert {row[0] for row in contents(url)["customers"]} == {c.id for c in BILLING["retail"].customers}


def test_a_value_that_a_person_changed_stays(url: str) -> None:
    fill(url, "acme", BILLING["acme"])
    run(url, "UPDATE invoices SET memo = 'tried out' WHERE id = '500006'")
    assert not fill(url, "acme", BILLING["acme"]).changed
    assert "tried out" in str(contents(url)["invoices"])


def test_amounts_are_exact_text_in_sqlite(url: str) -> None:
    fill(url, "acme", BILLING["acme"])
    engine = sa.create_engine(url)
    with engine.connect() as connection:
        kinds = connection.exec_driver_sql(
            "SELECT DISTINCT typeof(total), (SELECT typeof(unit_price) FROM invoice_lines) FROM invoices"
        ).all()
        held = dict(connection.exec_driver_sql("SELECT id, total FROM invoices").all())
    engine.dispose()
    assert kinds == [("text", "text")]
    assert held == {invoice.id: str(invoice.total) for invoice in BILLING["acme"].invoices}


def test_tables_that_the_demo_did_not_make_are_refused_and_kept(url: str) -> None:
    Path(url.removeprefix("sqlite:///")).parent.mkdir()
    run(url, "CREATE TABLE customers (id int, name text)", "INSERT INTO customers VALUES (1, 'x')")
    with pytest.raises(
        DemoDatabaseError, match=r"tables that the demo did not make for 'acme' \(customers\)"
    ):
        fill(url, "acme", BILLING["acme"])
    assert contents(url) == {"customers": [(1, "x")]}


def test_another_tenants_tables_are_refused(url: str) -> None:
    fill(url, "acme", BILLING["acme"])
    fill(url, "globex", BILLING["globex"])
    with pytest.raises(DemoDatabaseError, match="did not make for 'retail'"):
        fill(url, "retail", BILLING["retail"])


def test_a_file_that_is_not_a_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "billing.sqlite"
    path.write_text("half a download " * 100)
    with pytest.raises(DemoDatabaseError, match="file is not a database"):
        fill(f"sqlite:///{path}", "acme", BILLING["acme"])
