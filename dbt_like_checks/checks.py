"""The declared checks as Dagster asset checks: one step for all the checks of an asset.

Here: compiling models into `multi_asset_check`s and showing an answer in the UI. Not here: what is asked
(`questions.py`), or where the tenant's file is (the resource `warehouse`).

A step costs a tenth of a second, so an asset's checks share one; checks of two assets never do, because a blocking
check holds back what is downstream of every asset in its step. Each check has the partitions of its asset: its
status is told apart by tenant and month.
"""

# No `from __future__ import annotations`: Dagster reads the annotation of a step's `context`.

import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import dagster as dg

from dbt_like_checks.declared import Model, read_folder
from dbt_like_checks.questions import Answer, Question, ask_all
from netsuite_assets.partitions import scope, tenant_months

FOLDER = Path(__file__).parent


def build_checks(folder: Path = FOLDER) -> list[dg.AssetChecksDefinition]:
    """The checks that a folder's YAML declares; raises `DeclarationError` with every mistake in it.

    They run with the resource `warehouse`, whose `get()` gives a `resources.warehouse.Warehouse`.
    """
    # SQL is parsed when it is asked (and by the tests): importing the parser would slow every load.
    declared = read_folder(folder, parse_sql=False)
    return [_checks_of(asset, models) for asset, models in declared.by_asset().items()]


def _checks_of(asset: str, models: Sequence[Model]) -> dg.AssetChecksDefinition:
    questions = [question for model in models for question in model.questions]

    @dg.multi_asset_check(
        name=f"{asset}_checks",
        specs=[_spec(question) for question in questions],
        description="\n\n".join(model.description for model in models if model.description) or None,
        required_resource_keys={"warehouse"},
        compute_kind="duckdb",
    )
    def asks(context: dg.AssetCheckExecutionContext) -> Iterator[dg.AssetCheckResult]:
        here = scope(context)
        with context.resources.warehouse.get().open(here.tenant) as database:
            answers = ask_all(questions, database, here.period)
        yield from map(result, answers)

    return asks


def _spec(question: Question) -> dg.AssetCheckSpec:
    table, compared = question.table, question.compared
    # What a question compares with must be there first.
    after = [compared.asset] if compared is not None and compared.asset != table.asset else []
    with warnings.catch_warnings():
        # Partitioned checks are a preview in Dagster 1.13, which our pin of Dagster takes into account.
        warnings.filterwarnings("ignore", category=dg.PreviewWarning)
        return dg.AssetCheckSpec(
            name=question.name,
            asset=table.asset,
            description=question.sentence(),
            additional_deps=after,
            blocking=question.blocking,
            metadata={"declared in": question.place},
            partitions_def=tenant_months,
        )


def result(answer: Answer) -> dg.AssetCheckResult:
    """An answer as Dagster shows it: a sentence, how many rows fail, and the first of them."""
    question = answer.question
    metadata: dict[str, Any] = {"failing rows": answer.failing}
    if answer.rows:
        metadata["first failing rows"] = dg.MetadataValue.md(answer.markdown())
    if answer.note is not None:
        metadata["note"] = answer.note
    if answer.problem is not None:
        metadata["problem"] = answer.problem
    if answer.sql is not None and not answer.passed:
        metadata["query"] = dg.MetadataValue.md(f"```sql\n{answer.sql}\n```")
    severity = dg.AssetCheckSeverity.WARN if question.severity == "warn" else dg.AssetCheckSeverity.ERROR
    return dg.AssetCheckResult(
        asset_key=question.table.asset,
        check_name=question.name,
        passed=answer.passed,
        severity=severity,
        description=answer.sentence(),
        metadata=metadata,
    )
