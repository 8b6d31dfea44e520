"""What the sandbox does not serve, answered by a scripted account: token information, many datasets, an offset as zone."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any

import httpx
import pytest
from fake_account import HOSTS, START, credentials, governor

from resources.netsuite.catalog import Catalog, read_catalog
from resources.netsuite.client import NetSuite
from resources.netsuite.findings import Needs, RecordNeed, Report, TableNeed
from resources.netsuite.preflight import preflight

NEEDS = Needs((RecordNeed("invoice", "writing invoices"),), (TableNeed("transaction", "invoices"),))
NO_PERMISSION = "Your current role does not have permission to perform this action."


def refused(status: int, code: str, words: str) -> httpx.Response:
    return httpx.Response(
        status, json={"status": status, "o:errorDetails": [{"detail": words, "o:errorCode": code}]}
    )


class Scripted:
    """Answers by the first key that the path, or the query of SuiteQL, contains; anything else is empty."""

    def __init__(self, answers: Mapping[str, Any]) -> None:
        self.answers = answers
        self.asked: list[str] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path
        if path.endswith("/token"):
            return httpx.Response(200, json={"access_token": "opaque", "expires_in": "3600"})
        what = json.loads(request.content)["q"] if path.endswith("/suiteql") else path
        self.asked.append(f"{request.method} {what}")
        for key, answer in self.answers.items():
            if key in what:
                return answer if isinstance(answer, httpx.Response) else self._whole(answer)
        return self._whole([])

    @staticmethod
    def _whole(items: Any) -> httpx.Response:
        date = {"Date": format_datetime(datetime.fromtimestamp(START, UTC), usegmt=True)}
        if isinstance(items, dict):
            return httpx.Response(200, json=items, headers=date)
        page = {"links": [], "count": len(items), "hasMore": False, "items": items, "offset": 0}
        return httpx.Response(200, json={**page, "totalResults": len(items)}, headers=date)


def check(answers: Mapping[str, Any], needs: Needs = NEEDS) -> Report:
    transport = httpx.MockTransport(Scripted(answers))

    async def run() -> Report:
        async with NetSuite(HOSTS, credentials(), governor=governor(), transport=transport) as ns:
            return await preflight(ns, needs, clock=lambda: START, transport=transport)

    return asyncio.run(run())


def test_the_role_is_told_by_name_where_netsuite_tells_it() -> None:
    report = check({"tokeninfo": {"roleId": "1042", "roleName": "Billing Integration"}})
    assert [f.subject for f in report.findings if f.area == "role"] == ["Billing Integration (id 1042)"]


def test_a_role_that_nobody_tells_is_no_failure() -> None:
    report = check({"tokeninfo": refused(404, "INVALID_URL", "no")})
    assert [f.status for f in report.findings if f.area == "role"] == ["unknown"]
    assert report.ok


@pytest.mark.parametrize(
    ("zone", "mine", "status"),
    [
        ("America/New_York", "America/New_York", "ok"),
        ("US/Eastern", "America/New_York", "ok"),
        ("+00:00", "UTC", "ok"),
        ("America/Los_Angeles", "America/New_York", "warning"),
    ],
)
def test_the_zone_is_compared_whatever_its_spelling(zone: str, mine: str, status: str) -> None:
    needs = Needs(NEEDS.records, NEEDS.tables, timezone=mine)
    # The alias may be ignored.
    report = check({"SESSIONTIMEZONE": [{"links": [], "expr1": zone}]}, needs)
    assert [f.status for f in report.findings if f.area == "time zone"] == [status]


def test_a_refusal_with_status_400_for_one_record_is_that_records_and_not_rests() -> None:
    needs = Needs((*NEEDS.records, RecordNeed("customer", "customers")), NEEDS.tables)
    report = check({"/customer": refused(400, "USER_ERROR", NO_PERMISSION)}, needs)
    assert [permission.name for permission in report.missing] == ["Customers"]


def test_a_permission_that_one_of_its_probes_lacks_is_missing() -> None:
    """The table shows, the record service refuses: what the record service is for does not work."""
    needs = Needs((RecordNeed("customer", "writing"),), (TableNeed("customer", "reading"), *NEEDS.tables))
    report = check({"/customer": refused(403, "INSUFFICIENT_PERMISSION", "Permission Violation")}, needs)
    (told,) = (f for f in report.findings if f.permission and f.permission.name == "Customers")
    assert (told.status, told.stops) == ("missing", "writing")
    assert not report.ok


def test_an_account_that_fails_is_not_said_to_have_accepted_the_sign_in() -> None:
    report = check({"governanceLimits": httpx.Response(503, text="<h1>Down</h1>")})
    assert not report.ok
    assert [f.area for f in report.findings if f.status == "failed"] == ["connection"]


@pytest.mark.parametrize("broken", [False, True])
def test_every_page_of_the_datasets_is_read_or_none_of_them_counts(broken: bool) -> None:
    every = [{"id": f"custdataset_{number}", "name": f"Number {number}"} for number in range(1001)]

    def pages(request: httpx.Request) -> httpx.Response:
        if not request.url.path.endswith("/dataset/"):
            return scripted(request)
        offset, limit = int(request.url.params["offset"]), int(request.url.params["limit"])
        assert offset % limit == 0
        if offset and broken:
            return refused(403, "INSUFFICIENT_PERMISSION", "Permission Violation")
        rest = {"hasMore": offset + limit < len(every), "totalResults": len(every)}
        return httpx.Response(200, json={"items": every[offset : offset + limit], "offset": offset, **rest})

    scripted, transport = Scripted({}), httpx.MockTransport(pages)

    async def run() -> Catalog:
        async with NetSuite(HOSTS, credentials(), governor=governor(), transport=transport) as ns:
            return await read_catalog(ns, ("invoice",))

    catalog = asyncio.run(run())
    listed = {entry.name: entry.label for entry in catalog.entries if entry.kind == "dataset"}
    assert listed == ({} if broken else {one["id"]: one["name"] for one in every})
    assert ("datasets" in catalog.visible()) == (not broken)
    assert all("SELECT" in asked or asked.startswith("GET") for asked in scripted.asked)
