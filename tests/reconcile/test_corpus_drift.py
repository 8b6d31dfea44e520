"""The corpus of drifts: of documents whose every payment is known, exactly what is open otherwise is told, to the last place."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from random import Random

import pytest
from corpus_drift import CASES, Drift, land, make
from corpus_tenant import PRECISION, written_rules

from netsuite_assets import frames
from netsuite_assets.reconcile.open_documents import open_documents
from netsuite_assets.reconcile.receivables import find_movements
from resources.warehouse import Warehouse


@pytest.mark.parametrize("seed", [1, pytest.param(2, marks=pytest.mark.soak)])
def test_every_drift_is_told_and_no_other(tmp_path: Path, seed: int) -> None:
    """In four currencies, several of each."""
    rng = Random(seed)
    cases = [
        make(rng, name, f"{place}{currency}{number}", currency)
        for place, name in enumerate(CASES)
        for currency in PRECISION
        for number in range(3)
    ]
    with Warehouse(tmp_path / "warehouse").open("corpus") as held:
        land(held, cases)
        find_movements(held, written_rules(tmp_path).mapping, "2026-10")
        drift, _ = open_documents(held, "2026-10")
    wanted = Counter(one for case in cases for one in case.drift())
    found = Counter(Drift(*(row[name] for name in Drift._fields)) for row in frames.records(drift))
    assert (wanted - found, found - wanted) == (Counter(), Counter())
    assert {one.kind for one in wanted} == set(frames.DRIFT_KINDS)
