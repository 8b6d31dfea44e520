"""Sign-offs as rows for analysts. Here: the frames `SIGN_OFFS` and `SIGN_OFF_TOTALS`. Not here: publishing them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import pandas as pd

from netsuite_assets import frames
from netsuite_assets.close.changes import Changes
from netsuite_assets.close.sign_off import figures_of
from resources.ledger import SignOffEvent


def sign_offs(events: Sequence[SignOffEvent]) -> pd.DataFrame:
    """One row a step; `events` are in order, month by month."""
    rows = []
    for event, following in pairwise([*events, None]):
        assert event is not None
        figures = figures_of(event) if event.figures else None
        changes = Changes.model_validate_json(event.changes) if event.changes else None
        rows.append(
            {
                **{name: getattr(event, name) for name in ("period", "sequence", "note", "despite")},
                "happened_at": event.at,
                "event": event.kind,
                "done_by": event.by,
                "is_latest": following is None or following.period != event.period,
                "open_exceptions": figures.open.exceptions if figures else None,
                "accepted_exceptions": figures.accepted.exceptions if figures else None,
                "changed_documents": changes.documents if changes else None,
                "fingerprint": event.fingerprint,
            }
        )
    return frames.rows_frame(frames.SIGN_OFFS, rows)


def sign_off_totals(events: Sequence[SignOffEvent]) -> pd.DataFrame:
    """One row a step, record type and currency, of the steps at which a person saw totals."""
    rows = [
        {"period": event.period, "sequence": event.sequence, **total.model_dump()}
        for event in events
        if event.figures
        for total in figures_of(event).totals
    ]
    return frames.rows_frame(frames.SIGN_OFF_TOTALS, rows)
