"""The sensor that keeps the tenant partitions equal to the tenant files."""

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from resources.as_dagster import TenantsResource
from resources.tenants import TenantError
from sensors.tenants import Changes, build_sensors, changes

NAMES = st.sets(st.text(max_size=6))


@settings(deadline=None, max_examples=50)
@given(NAMES, NAMES)
def test_after_the_changes_the_partitions_are_the_valid_names(
    registered: set[str], partitions: set[str]
) -> None:
    found = changes(registered, partitions)
    after = (partitions | set(found.add)) - set(found.remove)
    assert after == registered - set(found.invalid)
    assert changes(after, after) == Changes(add=(), remove=(), invalid=())


def test_a_name_that_no_tenant_can_have_is_reported_and_not_added() -> None:
    found = changes(["acme", "Globex", "a|b", "_defaults", ""], ["old", "a|b"])
    assert found.add == ("acme",)
    assert found.remove == ("a|b", "old")
    assert found.invalid == ("", "Globex", "_defaults", "a|b")


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("RECON_TENANTS", raising=False)
    folder = tmp_path / "tenants"
    folder.mkdir()
    for name in ("acme.yaml", "globex.yaml", "_defaults.yaml", "notes.txt"):
        (folder / name).write_text("tenant: x\n", encoding="utf-8")
    return folder


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    home = tmp_path / "dagster"
    home.mkdir()
    with dg.DagsterInstance.local_temp(str(home)) as made:
        yield made


def tick(instance: dg.DagsterInstance, files: Path) -> str | None:
    """One tick over real files through the registry's own resource, its requests carried out as the daemon does.

    Gives what Dagster shows as the tick's outcome.
    """
    (sensor,) = build_sensors()
    with dg.build_sensor_context(
        instance=instance, resources={"tenants": TenantsResource(path=str(files))}
    ) as context:
        answer = sensor.evaluate_tick(context)
    for request in answer.dynamic_partitions_requests or []:
        if isinstance(request, dg.AddDynamicPartitionsRequest):
            instance.add_dynamic_partitions(request.partitions_def_name, request.partition_keys)
        else:
            for key in request.partition_keys:
                instance.delete_dynamic_partition(request.partitions_def_name, key)
    return answer.skip_message


def test_partitions_follow_the_files(instance: dg.DagsterInstance, files: Path) -> None:
    instance.add_dynamic_partitions("tenants", ["added-in-the-ui", "globex"])
    assert tick(instance, files) == "Added: acme. Removed: added-in-the-ui."
    assert set(instance.get_dynamic_partitions("tenants")) == {"acme", "globex"}

    assert tick(instance, files) == "The tenants are those of the registry."

    (files / "globex.yaml").unlink()
    (files / "initech.yaml").write_text("tenant: initech\n", encoding="utf-8")
    assert tick(instance, files) == "Added: initech. Removed: globex."
    assert set(instance.get_dynamic_partitions("tenants")) == {"acme", "initech"}


def test_a_file_with_a_bad_name_is_told_and_not_added(instance: dg.DagsterInstance, files: Path) -> None:
    (files / "Bad Name.yaml").write_text("tenant: x\n", encoding="utf-8")
    told = tick(instance, files)
    assert told is not None
    assert told.startswith("Added: acme, globex. Left out: ")
    assert "Bad Name.yaml" in told
    assert set(instance.get_dynamic_partitions("tenants")) == {"acme", "globex"}


def test_a_missing_folder_removes_nobody(instance: dg.DagsterInstance, files: Path) -> None:
    instance.add_dynamic_partitions("tenants", ["acme"])
    with pytest.raises(TenantError, match="cannot be read"):
        tick(instance, files / "nowhere")
    assert instance.get_dynamic_partitions("tenants") == ["acme"]


def test_the_sensor_runs_by_itself_every_minute_and_starts_nothing() -> None:
    (sensor,) = build_sensors()
    assert sensor.default_status == dg.DefaultSensorStatus.RUNNING
    assert sensor.minimum_interval_seconds == 60
    assert list(sensor.targets) == []
