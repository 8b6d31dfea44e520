"""Partition keys and the settings of the partitions."""

from __future__ import annotations

import subprocess
import sys
from datetime import datetime

import dagster as dg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netsuite_assets.partitions import (
    PartitionError,
    Scope,
    first_month,
    month_key,
    months,
    partition_key,
    scope,
    scope_of,
    tenant_months,
    timezone,
)

TENANTS = st.from_regex(r"[a-z0-9][a-z0-9-]{0,20}", fullmatch=True)
PERIODS = st.dates().map(lambda day: f"{day:%Y-%m}".rjust(7, "0"))


def test_a_key_is_the_month_before_the_tenant() -> None:
    assert partition_key("acme", "2026-10") == "2026-10-01|acme"
    assert Scope("acme", "2026-10").partition_key == "2026-10-01|acme"
    assert month_key("2026-10") == "2026-10-01"


@settings(deadline=None, max_examples=50)
@given(TENANTS, PERIODS)
def test_a_key_read_back_is_what_it_was_made_of(tenant: str, period: str) -> None:
    assert scope_of(partition_key(tenant, period)) == Scope(tenant, period)


@settings(deadline=None, max_examples=50)
@given(TENANTS, PERIODS)
def test_dagster_reads_the_key_alike(tenant: str, period: str) -> None:
    key = tenant_months.get_partition_key_from_str(partition_key(tenant, period))
    assert isinstance(key, dg.MultiPartitionKey)
    assert key.keys_by_dimension == {"month": f"{period}-01", "tenant": tenant}


@pytest.mark.parametrize(
    "key",
    [
        "acme|2026-10-01",
        "2026-10-01",
        "2026-10|acme",
        "2026-13-01|acme",
        "2026-10-02|acme",
        "2026-10-01|",
        "x",
    ],
)
def test_another_text_is_no_key(key: str) -> None:
    with pytest.raises(PartitionError, match=r"is no partition key .* 2026-10-01\|acme"):
        scope_of(key)


@pytest.mark.parametrize("tenant", ["", "Acme", "a|b", "a,b", "_defaults", "-a", "a...b", "acmé", "a\n"])
def test_a_name_that_no_tenant_can_have_makes_no_key(tenant: str) -> None:
    with pytest.raises(PartitionError, match="cannot be a tenant's name"):
        partition_key(tenant, "2026-10")


@pytest.mark.parametrize("period", ["2026-13", "2026-1", "2026-10-01", "10-2026", ""])
def test_what_is_no_month_makes_no_key(period: str) -> None:
    with pytest.raises(PartitionError, match="is no accounting month"):
        partition_key("acme", period)


def test_a_step_knows_its_scope() -> None:
    with dg.build_asset_context(partition_key="2026-10-01|acme") as context:
        assert scope(context) == Scope("acme", "2026-10")


def test_the_running_month_has_a_partition() -> None:
    now = datetime.fromisoformat("2026-11-01T00:00:30+00:00")
    with dg.partition_loading_context(effective_dt=now):
        assert months.get_last_partition_key() == "2026-11-01"


def test_settings_have_defaults_and_mistakes_are_told() -> None:
    assert (first_month({}), timezone({})) == ("2024-01", "UTC")
    assert first_month({"RECON_FIRST_MONTH": "2010-12"}) == "2010-12"
    assert timezone({"RECON_TIMEZONE": "Asia/Tokyo"}) == "Asia/Tokyo"
    with pytest.raises(
        PartitionError, match=r"RECON_FIRST_MONTH is '2024/1', which is no month. Write it as YYYY-MM"
    ):
        first_month({"RECON_FIRST_MONTH": "2024/1"})
    for wrong in ("Mars/Base", "../etc/passwd", "/etc/passwd"):
        with pytest.raises(PartitionError, match=r"RECON_TIMEZONE is .*, which is no time zone"):
            timezone({"RECON_TIMEZONE": wrong})


def test_the_first_month_and_the_time_zone_come_from_the_environment() -> None:
    code = (
        "from datetime import UTC, datetime\n"
        "import dagster as dg\n"
        "from netsuite_assets.partitions import months\n"
        "with dg.partition_loading_context(effective_dt=datetime(2026, 10, 31, 20, tzinfo=UTC)):\n"
        "    print(months.get_first_partition_key(), months.get_last_partition_key())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"RECON_FIRST_MONTH": "2010-12", "RECON_TIMEZONE": "Asia/Tokyo", "PATH": ""},
        capture_output=True,
        text=True,
        check=True,
    )
    # It is already November in Tokyo, and the nightly run asks for that month.
    assert done.stdout.split() == ["2010-12-01", "2026-11-01"]
