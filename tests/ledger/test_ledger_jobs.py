"""A batch that NetSuite runs by itself is known from before it is sent until it is known to be over."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy.exc import IntegrityError
from test_ledger import NOW, intent

from resources.ledger import Ledger

ADDRESS = "/services/rest/async/v1/job/118"


def opened(ledger: Ledger, key: str, *targets: str, tenant: str = "acme", hours: int = 0) -> list[int]:
    made = ledger.intend(tenant, "2026-10", "p1", [intent(target) for target in targets], NOW)
    ledger.open_job(tenant, key, "invoice", "hash", made, NOW + timedelta(hours=hours))
    return [each.id for each in made]


def test_a_job_that_is_about_to_be_sent_is_known_with_its_intents_in_their_order(
    ledger: Ledger, url: str
) -> None:
    ids = opened(ledger, "k1", "inv-2", "inv-1")
    again = Ledger(url)
    (job,) = again.open_jobs("acme")
    again.close()
    assert (job.key, job.record, job.body_hash, job.address, job.asked_at) == (
        "k1",
        "invoice",
        "hash",
        None,
        NOW,
    )
    assert list(job.intents) == ids


def test_a_job_is_open_until_it_is_over_whatever_becomes_of_the_others(ledger: Ledger) -> None:
    opened(ledger, "k2", "inv-2", hours=1)
    opened(ledger, "k1", "inv-1")
    opened(ledger, "k3", "inv-3", tenant="globex")
    ledger.job_taken("k2", ADDRESS)
    assert [(job.key, job.address) for job in ledger.open_jobs("acme")] == [("k1", None), ("k2", ADDRESS)]
    ledger.job_ended("k1", NOW)
    assert [job.key for job in ledger.open_jobs("acme")] == ["k2"]
    assert [job.key for job in ledger.open_jobs("globex")] == ["k3"]


def test_one_key_is_one_job(ledger: Ledger) -> None:
    opened(ledger, "k1", "inv-1")
    with pytest.raises(IntegrityError):
        opened(ledger, "k1", "inv-2")
