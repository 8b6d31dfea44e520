"""Rows that break a contract are named by table, column and row, and are never kept."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from month import Month

from netsuite_assets import frames

GOOD: dict[str, Any] = {
    "period": "2026-10",
    "record": "invoice",
    "external_id": "inv-1",
    "kind": "changed",
    "amount": Decimal("0.00"),
    "delta": Decimal("0.00"),
    "owner": "billing",
    "reason": "memo should be a; NetSuite has b.",
}


def test_good_rows_pass_and_keep_their_decimals() -> None:
    kept = frames.rows_frame(frames.DIFFERENCES, [GOOD | {"amount": Decimal("12345678901234.5678")}])
    [row] = frames.records(kept)
    assert row["amount"] == Decimal("12345678901234.5678")
    assert row["line"] is None
    assert kept["amount"].dtype == pd.ArrowDtype(pa.decimal128(18, 4))


@pytest.mark.parametrize(
    ("column", "value", "shown"),
    [
        ("period", "2026-13", "'2026-13'"),
        ("record", "bill", "'bill'"),
        ("kind", "odd", "'odd'"),
        ("amount", Decimal("-0.01"), "Decimal('-0.0100')"),
        ("delta", None, "<NA>"),
        ("reason", None, "<NA>"),
        ("owner", "nobody", "'nobody'"),
    ],
)
def test_a_broken_contract_names_table_column_and_row(column: str, value: object, shown: str) -> None:
    with pytest.raises(frames.FrameError) as broken:
        frames.rows_frame(frames.DIFFERENCES, [GOOD, GOOD | {column: value}, GOOD])
    message = str(broken.value)
    assert message.startswith("reconciliation.differences: 1 values break the column contract: ")
    assert f"{column} of row 1: {shown} breaks " in message


def test_many_broken_rows_are_counted_and_the_first_shown() -> None:
    with pytest.raises(frames.FrameError) as broken:
        frames.rows_frame(frames.DIFFERENCES, [GOOD | {"kind": "odd"}] * 40)
    assert "40 values break" in str(broken.value)
    assert str(broken.value).count("'odd'") == 5


@pytest.mark.parametrize("change", [{"extra": "x"}, {"kind": None}])
def test_columns_are_exactly_those_of_the_contract(change: dict[str, str | None]) -> None:
    data = frames.rows_frame(frames.DIFFERENCES, [GOOD])
    for name, value in change.items():
        data = data.drop(columns=name) if value is None else data.assign(**{name: value})
    with pytest.raises(frames.FrameError, match=r"reconciliation\.differences") as broken:
        frames.validated(frames.DIFFERENCES, data)
    assert next(iter(change)) in str(broken.value)


def test_floats_are_no_money() -> None:
    data = frames.rows_frame(frames.DIFFERENCES, [GOOD])
    with pytest.raises(frames.FrameError, match="amount"):
        frames.validated(frames.DIFFERENCES, data.assign(amount=[0.1]))


def test_an_operation_stands_in_a_plan_once() -> None:
    row = dict.fromkeys(frames.columns(frames.PLAN)) | {
        "period": "2026-10", "plan_id": "p", "sequence": 1, "wave": 0, "operation_key": "k", "record": "invoice",
        "action": "create", "amount": Decimal(1), "changes": "", "method": "PUT", "path": "/", "query": "",
        "body": "", "body_hash": "h",
    }  # fmt: skip
    assert len(frames.rows_frame(frames.PLAN, [row])) == 1
    with pytest.raises(frames.FrameError, match="operation_key of row 0"):
        frames.rows_frame(frames.PLAN, [row, row | {"sequence": 2}])


def test_a_frame_without_rows_is_a_frame(october: Month) -> None:
    for contract in (
        frames.DIFFERENCES,
        frames.TOLERATED,
        frames.EXCEPTIONS,
        frames.TOTALS,
        frames.PLAN,
        frames.OUTCOMES,
    ):
        frames.replace(october.held, contract, "2026-10", frames.rows_frame(contract, []))
        assert frames.read(october.held, contract, "2026-10").empty


def test_periods_and_stages_are_replaced_apart(october: Month) -> None:
    held = october.held
    for period in ("2026-09", "2026-10"):
        row = GOOD | {"period": period}
        frames.replace(held, frames.DIFFERENCES, period, frames.rows_frame(frames.DIFFERENCES, [row]))
    frames.replace(held, frames.DIFFERENCES, "2026-10", frames.rows_frame(frames.DIFFERENCES, []))
    assert len(frames.read(held, frames.DIFFERENCES, "2026-09")) == 1

    exception = {
        "period": "2026-10", "code": "rejected", "record": "invoice", "amount": Decimal(0), "reason": "r", "next_step": "n"
    }  # fmt: skip
    for stage in ("mapping", "apply"):
        rows = frames.rows_frame(frames.EXCEPTIONS, [exception | {"stage": stage}])
        frames.replace_exceptions(held, "2026-10", (stage,), rows)
    frames.replace_exceptions(held, "2026-10", ("apply",), frames.rows_frame(frames.EXCEPTIONS, []))
    [left] = frames.records(frames.read(held, frames.EXCEPTIONS, "2026-10"))
    assert left["stage"] == "mapping"


def test_rows_that_break_the_contract_leave_what_was_there(october: Month) -> None:
    held = october.held
    good = frames.rows_frame(frames.DIFFERENCES, [GOOD])
    frames.replace(held, frames.DIFFERENCES, "2026-10", good)
    with pytest.raises(frames.FrameError):
        frames.replace(
            held, frames.DIFFERENCES, "2026-10", good.assign(kind=pd.array(["odd"], good["kind"].dtype))
        )
    assert len(frames.read(held, frames.DIFFERENCES, "2026-10")) == 1
