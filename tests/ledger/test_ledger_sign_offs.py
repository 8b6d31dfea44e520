"""Sign-offs in the ledger, on SQLite and PostgreSQL: one step after the other, with what was seen, for ever."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from threading import Barrier

import pytest
import sqlalchemy as sa

from resources.ledger import Ledger, LedgerError, SignOffEvent, standing_review

NOW = datetime(2026, 11, 5, 9, tzinfo=UTC)
PREPARED = SignOffEvent(
    "acme", "2026-10", 1, NOW, "prepared", "Ada", "reads well", None, "f" * 64, '{"größe": "1.00"}'
)
DOCUMENTS = bytes(range(256)) * 40


def steps(*kinds: str) -> list[SignOffEvent]:
    return [
        replace(PREPARED, sequence=number, kind=kind)  # type: ignore[arg-type]
        for number, kind in enumerate(kinds, start=1)
    ]


def test_each_step_is_kept_as_it_was(ledger: Ledger, url: str) -> None:
    ledger.add_sign_off_event(PREPARED)
    reviewed = replace(PREPARED, sequence=2, kind="reviewed", by="Bob", despite="paid in December")
    kept = ledger.add_sign_off_event(reviewed, DOCUMENTS)
    assert kept.documents_hash is not None
    ledger.add_sign_off_event(replace(PREPARED, period="2026-09"))
    ledger.add_sign_off_event(replace(PREPARED, tenant="globex"))
    reread = Ledger(url)
    assert reread.sign_off_events("acme", "2026-10") == [PREPARED, kept]
    assert [event.period for event in reread.sign_off_events("acme")] == ["2026-09", "2026-10", "2026-10"]
    assert reread.signed_documents(kept.documents_hash) == DOCUMENTS
    reread.close()
    assert kept == replace(reviewed, documents_hash=kept.documents_hash)


def test_the_same_documents_signed_again_are_kept_once(ledger: Ledger) -> None:
    for number in (1, 2):
        ledger.add_sign_off_event(replace(PREPARED, sequence=number, kind="reviewed"), DOCUMENTS)
    with ledger._engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM signed_documents").scalar() == 1


@pytest.mark.parametrize(
    ("kinds", "standing"),
    [
        ([], None),
        (["prepared"], None),
        (["prepared", "reviewed"], 2),
        (["prepared", "reviewed", "reopened"], 2),
        (["prepared", "reviewed", "reopened", "prepared"], 2),
        (["prepared", "reviewed", "reopened", "prepared", "reviewed"], 5),
        (["prepared", "reviewed", "withdrawn"], None),
        (["prepared", "reviewed", "withdrawn", "prepared"], None),
        (["prepared", "withdrawn"], None),
    ],
)
def test_a_review_stands_until_it_is_withdrawn_or_another_follows(
    ledger: Ledger, kinds: list[str], standing: int | None
) -> None:
    for event in steps(*kinds):
        ledger.add_sign_off_event(event)
    found = standing_review(ledger.sign_off_events("acme", "2026-10"))
    assert (found.sequence if found else None) == standing
    assert ledger.signed_months() == ([("acme", "2026-10")] if standing else [])


def test_of_two_who_do_something_at_once_one_is_refused(ledger: Ledger, url: str) -> None:
    start = Barrier(4)

    def attempt(name: str) -> str:
        own = Ledger(url)
        try:
            start.wait()
            own.add_sign_off_event(replace(PREPARED, by=name))
        except LedgerError as error:
            return "refused" if "somebody else did something" in str(error) else str(error)
        finally:
            own.close()
        return "done"

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(attempt, "abcd")) == ["done", "refused", "refused", "refused"]
    assert len(ledger.sign_off_events("acme")) == 1


@pytest.mark.parametrize("table", ["sign_off_events", "signed_documents"])
@pytest.mark.parametrize("statement", ["DELETE FROM {}", "UPDATE {} SET {} = 'x'"])
def test_what_was_signed_cannot_be_rewritten(ledger: Ledger, table: str, statement: str) -> None:
    ledger.add_sign_off_event(replace(PREPARED, kind="reviewed"), DOCUMENTS)
    column = {"sign_off_events": "note", "signed_documents": "hash"}[table]
    with (
        pytest.raises(sa.exc.DBAPIError, match=f"{table} is only ever added to"),
        ledger._engine.begin() as connection,
    ):
        connection.exec_driver_sql(statement.format(table, column))


def test_documents_that_are_missing_or_damaged_are_told(ledger: Ledger) -> None:
    with pytest.raises(LedgerError, match="missing from the ledger"):
        ledger.signed_documents("0" * 64)
    with ledger._engine.begin() as connection:
        statement = sa.text("INSERT INTO signed_documents (hash, content) VALUES (:hash, :content)")
        connection.execute(statement, {"hash": "1" * 64, "content": b"something else"})
    with pytest.raises(LedgerError, match="damaged in the ledger"):
        ledger.signed_documents("1" * 64)
