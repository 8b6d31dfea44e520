"""What the Dagster UI shows: every asset, check, job, schedule and sensor; and what each asset says after a run.

`definitions.txt` beside this file is the list. To renew it after an intended change:

    python tests/endtoend/test_endtoend_definitions.py > tests/endtoend/definitions.txt
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

ROOT = Path(__file__).parents[2]
LIST = Path(__file__).with_name("definitions.txt")
#: In the order of the work; `account` is what belongs to no month.
GROUPS = {"account", "billing", "mapping", "netsuite", "reconciliation", "write_back", "close"}
HEAVY = ("pandas", "duckdb", "pandera", "httpx", "sqlalchemy", "pyarrow", "sqlglot")
#: Assets that hold amounts of money.
MONEY = {
    "applied_corrections",
    "billing_credit_notes",
    "billing_invoices",
    "billing_payments",
    "correction_plan",
    "differences",
    "expected_records",
    "month_close",
    "netsuite_credit_memos",
    "netsuite_gl",
    "netsuite_invoices",
    "open_exceptions",
    "verified_books",
}


def described() -> str:
    """Everything that the code location defines, one line each, in order."""
    from netsuite_assets.definitions import build_defs

    definitions = build_defs()
    graph = definitions.resolve_asset_graph()
    lines = []
    for key in sorted(graph.get_all_asset_keys()):
        node = graph.get(key)
        after = ", ".join(sorted(parent.to_user_string() for parent in node.parent_keys)) or "nothing"
        lines.append(f"asset {key.to_user_string()}, group {node.group_name}, after {after}")
    for check in graph.asset_check_keys:
        spec = graph.get_check_spec(check)
        blocking = ", blocking" if spec.blocking else ""
        lines.append(f"check {check.asset_key.to_user_string()}: {check.name}{blocking}")
    for job in definitions.jobs or []:
        resolved = definitions.resolve_job_def(job.name)
        chosen = ", ".join(sorted(key.to_user_string() for key in resolved.asset_layer.executable_asset_keys))
        lines.append(f"job {job.name}: {chosen}")
    for schedule in definitions.schedules or []:
        lines.append(
            f"schedule {schedule.name}: {schedule.cron_schedule}, {schedule.job_name}, {schedule.default_status.value}"
        )  # type: ignore[union-attr]
    for sensor in definitions.sensors or []:
        lines.append(
            f"sensor {sensor.name}: every {sensor.minimum_interval_seconds} s, {sensor.default_status.value}"
        )
    return "\n".join(sorted(lines)) + "\n"


def test_the_code_location_loads() -> None:
    from netsuite_assets.definitions import build_defs

    dg.Definitions.validate_loadable(build_defs())


def test_loading_imports_nothing_heavy() -> None:
    code = (
        "import sys; import netsuite_assets.definitions as d; d.defs();"
        f"print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert loaded.stdout.strip() == "[]"


def test_what_is_defined_is_what_the_list_says() -> None:
    assert described() == LIST.read_text(encoding="utf-8"), f"Renew it if this is meant: see {__file__}"


def test_every_asset_is_described_for_a_finance_reader() -> None:
    from netsuite_assets.definitions import build_defs

    for spec in build_defs().resolve_all_asset_specs():
        text = spec.description or ""
        assert len(text) > 40, spec.key
        assert not re.search(r"\b(JSON|DataFrame|SQL|API|async)\b", text), spec.key
        assert spec.group_name in GROUPS


@dataclass(frozen=True)
class Remembered:
    """What Dagster remembers of the demo: each asset's latest metadata, and how each check of a tenant's month ended."""

    metadata: Mapping[str, Mapping[str, Any]]
    checks: Mapping[str, Mapping[str, tuple[bool, str]]]


@pytest.fixture(scope="module")
def after_a_run(demo_ran: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Remembered]:
    """The demo's own Dagster instance, after the month across tenants was materialized too."""
    from netsuite_assets.definitions import build_defs
    from netsuite_assets.launch import local_instance

    here = tmp_path_factory.mktemp("instance")
    shutil.copytree(demo_ran / ".dagster", here / ".dagster")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(here)
        patch.setenv("DAGSTER_HOME", "")
        patch.setenv("RECON_WAREHOUSE", str(demo_ran / ".demo" / "warehouse"))
        with local_instance(ROOT) as instance:
            close = build_defs().resolve_job_def("close")
            assert close.execute_in_process(instance=instance, partition_key="2026-10-01").success
            metadata = {
                key.to_user_string(): event.asset_materialization.metadata
                for key in build_defs().resolve_asset_graph().get_all_asset_keys()
                if (event := instance.get_latest_materialization_event(key)) is not None
                and event.asset_materialization is not None
            }
            checks: dict[str, dict[str, tuple[bool, str]]] = {}
            for run in instance.get_runs():
                ended = checks.setdefault(run.tags.get("dagster/partition/tenant", ""), {})
                for entry in instance.all_logs(
                    run.run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION
                ):
                    assert entry.dagster_event is not None
                    found = entry.dagster_event.asset_check_evaluation_data
                    name = f"{found.asset_key.to_user_string()}: {found.check_name}"
                    ended[name] = (found.passed, found.severity.value)
            yield Remembered(metadata, checks)


def test_every_check_ran_in_the_demo_and_only_warnings_failed(after_a_run: Remembered) -> None:
    listed = set(
        re.findall(r"^check (.*?)(?:, blocking)?$", LIST.read_text(encoding="utf-8"), flags=re.MULTILINE)
    )
    for tenant in ("acme", "globex"):
        ended = after_a_run.checks[tenant]
        assert set(ended) == listed
        failed = {name: severity for name, (passed, severity) in ended.items() if not passed}
        assert "ERROR" not in failed.values(), failed
        # There were differences to repair, and documents without a customer are left for a person.
        assert failed, "the demo's books are spoilt: some check must say so"


def test_every_asset_shows_rows_money_columns_and_one_table(after_a_run: Remembered) -> None:
    from netsuite_assets.definitions import build_defs

    assert sorted(after_a_run.metadata) == sorted(
        key.to_user_string() for key in build_defs().resolve_asset_graph().get_all_asset_keys()
    )
    lacking = []
    for name, metadata in sorted(after_a_run.metadata.items()):
        rows = metadata.get("dagster/row_count")
        if not isinstance(getattr(rows, "value", None), int):
            lacking.append(f"{name}: row count")
        schema = metadata.get("dagster/column_schema")
        if not isinstance(schema, dg.TableSchemaMetadataValue) or not schema.schema.columns:
            lacking.append(f"{name}: column schema")
        tables = [value.md_str for value in metadata.values() if isinstance(value, dg.MarkdownMetadataValue)]
        if not any(table.startswith("| ") or table == "Nothing." for table in tables):
            lacking.append(f"{name}: a table")
        texts = [str(value.value) for value in metadata.values() if isinstance(value, dg.TextMetadataValue)]
        if name in MONEY and not any(re.search(r"\d\.\d\d\b", text) for text in [*texts, *tables]):
            lacking.append(f"{name}: money")
    assert lacking == []


def test_every_table_is_whole_markdown(after_a_run: Remembered) -> None:
    for name, metadata in after_a_run.metadata.items():
        for value in metadata.values():
            if isinstance(value, dg.MarkdownMetadataValue) and (value.md_str or "").startswith("| "):
                rows = [row for row in (value.md_str or "").splitlines() if row.startswith("|")]
                widths = {len(re.findall(r"(?<!\\)\|", row)) for row in rows}
                assert len(widths) == 1, (name, rows)


if __name__ == "__main__":
    sys.stdout.write(described())
