"""The sensor that has billing told, the same night, of what a run wrote to NetSuite."""

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from netsuite_assets.partitions import partition_key, tenant_months
from netsuite_assets.runs import TO_TELL
from sensors.returns import FOLLOWS, build_return_sensors, following

# Dagster's own tags of a partitioned run are not what it wants tags to be.
pytestmark = pytest.mark.filterwarnings("ignore:Non-compliant tag keys:DeprecationWarning")

OCTOBER = partition_key("acme", "2026-10")


class Written(dg.Config):
    records: int


@dg.asset(partitions_def=tenant_months)
def applied_corrections(config: Written) -> dg.MaterializeResult[None]:
    return dg.MaterializeResult(metadata={TO_TELL: config.records})


write_back = dg.define_asset_job("write_back", selection=[applied_corrections])
(sensor,) = build_return_sensors(write_back)
DEFINITIONS = dg.Definitions(assets=[applied_corrections], jobs=[write_back], sensors=[sensor])


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.local_temp(str(tmp_path)) as made:
        made.add_dynamic_partitions("tenants", ["acme"])
        yield made


def wrote(
    instance: dg.DagsterInstance, records: int, tags: dict[str, str] | None = None
) -> dg.ExecuteInProcessResult:
    """A run of the job that wrote that many records of which billing is to be told."""
    done = DEFINITIONS.resolve_job_def("write_back").execute_in_process(
        instance=instance,
        partition_key=OCTOBER,
        tags=tags,
        run_config={"ops": {"applied_corrections": {"config": {"records": records}}}},
    )
    assert done.success
    return done


def tick(instance: dg.DagsterInstance, run: dg.ExecuteInProcessResult) -> list[dg.RunRequest]:
    """What the sensor asks for when this run has ended."""
    context = dg.build_run_status_sensor_context(
        sensor_name=sensor.name,
        dagster_event=run.get_run_success_event(),
        dagster_instance=instance,
        dagster_run=run.dagster_run,
    )
    asked = sensor(context)
    return [asked] if isinstance(asked, dg.RunRequest) else []


def test_it_is_off_until_someone_turns_it_on_and_asks_for_the_job_that_writes() -> None:
    assert sensor.default_status is dg.DefaultSensorStatus.STOPPED
    assert sensor.job_name == "write_back"


def test_a_run_that_wrote_is_followed_by_one_that_tells(instance: dg.DagsterInstance) -> None:
    run = wrote(instance, 3)
    [asked] = tick(instance, run)
    assert asked.partition_key == OCTOBER
    assert asked.tags[FOLLOWS] == run.run_id
    # The same end seen twice starts one run.
    assert [again.run_key for again in tick(instance, run)] == [asked.run_key]


def test_a_run_that_wrote_nothing_is_not_followed(instance: dg.DagsterInstance) -> None:
    assert tick(instance, wrote(instance, 0)) == []


def test_a_run_that_follows_is_followed_by_none(instance: dg.DagsterInstance) -> None:
    first = wrote(instance, 3)
    assert tick(instance, wrote(instance, 1, {FOLLOWS: first.run_id})) == []


def test_a_run_is_not_followed_when_a_later_one_has_run_since(instance: dg.DagsterInstance) -> None:
    earlier, later = wrote(instance, 3), wrote(instance, 2)
    assert tick(instance, earlier) == []
    assert len(tick(instance, later)) == 1


def test_nothing_to_tell_asks_for_nothing() -> None:
    assert following("run", OCTOBER, 0) is None
