"""The schedules: which months are due on a day, one run for each tenant, and how they behave in Dagster."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import dagster as dg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netsuite_assets.partitions import scope_of, tenant_months
from sensors.schedules import build_schedules, nightly_periods, previous_period, requests_for

# Dagster's own tags of a partitioned run are not what it wants tags to be.
pytestmark = pytest.mark.filterwarnings("ignore:Non-compliant tag keys:DeprecationWarning")


@pytest.mark.parametrize(
    ("day", "periods"),
    [
        (date(2026, 10, 1), ["2026-09", "2026-10"]),
        (date(2026, 10, 10), ["2026-09", "2026-10"]),
        (date(2026, 10, 11), ["2026-10"]),
        (date(2026, 1, 3), ["2025-12", "2026-01"]),
        (date(2028, 2, 29), ["2028-02"]),
    ],
)
def test_a_night_looks_at_the_running_month_and_early_on_at_the_one_before(
    day: date, periods: list[str]
) -> None:
    assert nightly_periods(day) == periods


@settings(deadline=None, max_examples=50)
@given(st.dates(min_value=date(1000, 2, 1)))
def test_the_previous_month_is_the_one_that_ended_last(day: date) -> None:
    year, month = (int(part) for part in previous_period(day).split("-"))
    assert (year * 12 + month) + 1 == day.year * 12 + day.month


def test_a_run_is_asked_for_each_tenant_and_month() -> None:
    asked = requests_for("reconcile", ["globex", "acme"], ["2026-09", "2026-10"], date(2026, 10, 2))
    assert [(request.partition_key, request.run_key) for request in asked] == [
        ("2026-09-01|acme", "reconcile:acme:2026-09:2026-10-02"),
        ("2026-10-01|acme", "reconcile:acme:2026-10:2026-10-02"),
        ("2026-09-01|globex", "reconcile:globex:2026-09:2026-10-02"),
        ("2026-10-01|globex", "reconcile:globex:2026-10:2026-10-02"),
    ]


def test_months_before_the_first_are_not_asked_for() -> None:
    assert requests_for(
        "j", ["a"], ["2023-12", "2024-01"], date(2024, 1, 1), first="2024-01"
    ) == requests_for("j", ["a"], ["2024-01"], date(2024, 1, 1))


@settings(deadline=None, max_examples=50)
@given(
    st.sets(st.from_regex(r"[a-z0-9][a-z0-9-]{0,8}", fullmatch=True), max_size=8),
    st.lists(st.dates(min_value=date(2000, 1, 1)), min_size=2, max_size=2, unique=True),
)
def test_run_keys_differ_from_day_to_day_and_from_run_to_run(names: set[str], days: list[date]) -> None:
    asked = [request for day in days for request in requests_for("j", names, ["2026-10", "2026-11"], day)]
    assert len({request.run_key for request in asked}) == len(asked) == 4 * len(names)


# In Dagster


@dg.asset(partitions_def=tenant_months)
def books() -> None:
    """Stands in for what the jobs materialize."""


reconcile = dg.define_asset_job("reconcile", selection=[books])
write_back = dg.define_asset_job("write_back", selection=[books])
watch_sign_offs = dg.define_asset_job("watch_sign_offs", selection=[books])


class Tenants(dg.ConfigurableResource):  # type: ignore[type-arg]
    """A `tenants` resource with these names."""

    registered: list[str]

    def get(self) -> "Tenants":
        return self

    def names(self) -> list[str]:
        return self.registered


class SignedMonths(dg.ConfigurableResource):  # type: ignore[type-arg]
    """A `ledger` resource that knows these signed months, as `tenant period`."""

    months: list[str] = []  # noqa: RUF012 - pydantic copies it

    @contextmanager
    def open(self) -> Iterator["SignedMonths"]:
        yield self

    def signed_months(self) -> list[tuple[str, str]]:
        return [(month.split()[0], month.split()[1]) for month in self.months]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.local_temp(str(tmp_path_factory.mktemp("dagster"))) as made:
        yield made


@pytest.fixture
def instance(home: dg.DagsterInstance) -> dg.DagsterInstance:
    """An instance without tenants."""
    for name in home.get_dynamic_partitions("tenants"):
        home.delete_dynamic_partition("tenants", name)
    return home


def tick(
    instance: dg.DagsterInstance,
    name: str,
    registered: list[str],
    when: datetime,
    signed: Sequence[str] = (),
) -> list[dg.RunRequest]:
    """What the schedule asks for at an instant, after Dagster has looked up each partition."""
    schedules = build_schedules(reconcile, write_back, watch_sign_offs)
    resources = {"tenants": Tenants(registered=registered), "ledger": SignedMonths(months=list(signed))}
    repository = dg.Definitions(
        assets=[books],
        jobs=[reconcile, write_back, watch_sign_offs],
        schedules=schedules,
        resources=resources,
    ).get_repository_def()
    with dg.build_schedule_context(
        instance=instance,
        scheduled_execution_time=when,
        resources=resources,
        repository_def=repository,
    ) as context:
        return list(repository.get_schedule_def(name).evaluate_tick(context).run_requests or [])


def test_the_schedules_are_off_until_someone_turns_them_on() -> None:
    made = build_schedules(reconcile, write_back, watch_sign_offs)
    schedules = {schedule.name: schedule for schedule in made}
    assert {name: made.default_status for name, made in schedules.items()} == {
        "nightly": dg.DefaultScheduleStatus.STOPPED,
        "month_end": dg.DefaultScheduleStatus.STOPPED,
        "signed_months": dg.DefaultScheduleStatus.STOPPED,
    }
    assert [made.job_name for made in schedules.values()] == ["reconcile", "write_back", "watch_sign_offs"]


def test_the_night_asks_for_a_run_of_every_tenant(instance: dg.DagsterInstance) -> None:
    instance.add_dynamic_partitions("tenants", ["acme", "globex"])
    asked = tick(instance, "nightly", ["acme", "globex"], datetime(2026, 10, 2, 2, tzinfo=UTC))
    assert [
        (scope_of(str(request.partition_key)).tenant, request.partition_key[:7]) for request in asked
    ] == [
        ("acme", "2026-09"),
        ("acme", "2026-10"),
        ("globex", "2026-09"),
        ("globex", "2026-10"),
    ]
    assert asked[0].tags["dagster/partition/tenant"] == "acme"
    assert asked[0].tags["dagster/partition/month"] == "2026-09-01"


def test_the_month_end_asks_for_the_month_that_ended(instance: dg.DagsterInstance) -> None:
    instance.add_dynamic_partitions("tenants", ["acme"])
    asked = tick(instance, "month_end", ["acme"], datetime(2026, 11, 5, 4, tzinfo=UTC))
    assert [request.run_key for request in asked] == ["write_back:acme:2026-10:2026-11-05"]


def test_a_tenant_without_a_partition_does_not_keep_the_others_from_running(
    instance: dg.DagsterInstance,
) -> None:
    instance.add_dynamic_partitions("tenants", ["acme"])
    asked = tick(instance, "nightly", ["acme", "brand-new"], datetime(2026, 10, 20, 2, tzinfo=UTC))
    assert [request.partition_key for request in asked] == ["2026-10-01|acme"]


def test_a_night_without_tenants_says_so(instance: dg.DagsterInstance) -> None:
    assert tick(instance, "nightly", [], datetime(2026, 10, 20, 2, tzinfo=UTC)) == []


def test_the_day_is_that_of_the_schedules_time_zone(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    """02:00 on the 11th in Tokyo, when the month before is no longer looked at, is still the 10th in UTC."""
    monkeypatch.setenv("RECON_TIMEZONE", "Asia/Tokyo")
    instance.add_dynamic_partitions("tenants", ["acme"])
    when = datetime(2026, 10, 11, 2, tzinfo=ZoneInfo("Asia/Tokyo")).astimezone(UTC)
    assert when.day == 10
    asked = tick(instance, "nightly", ["acme"], when)
    assert [request.run_key for request in asked] == ["reconcile:acme:2026-10:2026-10-11"]


def test_every_signed_month_is_looked_at_each_night_however_old(instance: dg.DagsterInstance) -> None:
    instance.add_dynamic_partitions("tenants", ["acme", "globex"])
    signed = ["globex 2026-08", "acme 2024-03", "acme 2026-08", "gone 2026-08", "acme 2023-12"]
    when = datetime(2026, 10, 20, 3, tzinfo=UTC)
    asked = tick(instance, "signed_months", ["acme", "globex"], when, signed)
    # A tenant that left the registry is left out, and so is a month before the first one (2024-01).
    assert [(request.partition_key, request.run_key) for request in asked] == [
        ("2024-03-01|acme", "watch_sign_offs:acme:2024-03:2026-10-20"),
        ("2026-08-01|acme", "watch_sign_offs:acme:2026-08:2026-10-20"),
        ("2026-08-01|globex", "watch_sign_offs:globex:2026-08:2026-10-20"),
    ]
    assert tick(instance, "signed_months", ["acme"], when) == []


def test_five_hundred_tenants_are_asked_for_within_a_tick(instance: dg.DagsterInstance) -> None:
    names = [f"tenant-{place:03}" for place in range(500)]
    instance.add_dynamic_partitions("tenants", names)
    began = datetime.now(UTC)
    asked = tick(instance, "nightly", names, datetime(2026, 10, 2, 2, tzinfo=UTC))
    assert len(asked) == 1000
    assert (datetime.now(UTC) - began).total_seconds() < 20  # Dagster gives a tick 60
