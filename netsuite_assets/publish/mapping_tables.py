"""The mart's tables of mapping versions, as frames. Not here: what a version or a change is (`mapping/versions.py`)."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from netsuite_assets import frames
from netsuite_assets.mapping.versions import Version
from resources.ledger import Plan


def mapping_versions(versions: Sequence[Version]) -> pd.DataFrame:
    """One row a version and month of its plans, as rows of the frame `MAPPING_VERSIONS`."""
    rows = []
    for version in versions:
        months: dict[str | None, list[Plan]] = {}
        for plan in version.plans:
            months.setdefault(plan.period, []).append(plan)
        for period, plans in sorted(months.items(), key=lambda item: str(item[0])) or [(None, [])]:
            rows.append(
                {
                    "period": period,
                    "version": version.number,
                    "hash": version.hash,
                    "used_from": version.used_from,
                    "used_until": version.used_until,
                    "changes": len(version.changes),
                    "plans": len(plans),
                    "latest_plan": plans[-1].plan_id if plans else None,
                    "latest_plan_at": plans[-1].made_at if plans else None,
                }
            )
    return frames.rows_frame(frames.MAPPING_VERSIONS, rows)


def mapping_changes(versions: Sequence[Version]) -> pd.DataFrame:
    """What each version changed, as rows of the frame `MAPPING_CHANGES`."""
    rows = [
        {
            "period": None,
            "version": version.number,
            "hash": version.hash,
            "used_from": version.used_from,
            "path": change.path,
            "change": change.kind,
            "before": change.before,
            "after": change.after,
        }
        for version in versions
        for change in version.changes
    ]
    return frames.rows_frame(frames.MAPPING_CHANGES, rows)
