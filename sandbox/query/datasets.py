"""The list of an account's SuiteAnalytics datasets. Running one is the query service's."""

from __future__ import annotations

from sandbox.profile_custom import Dataset
from sandbox.record.collection import page_links, window
from sandbox.wire import Json, Request


def page(every: list[Dataset], request: Request) -> Json:
    """One page, in the profile's order."""
    limit, offset = window(request)
    base = f"{request.base}/services/rest/query/v1/dataset"
    shown = every[offset : offset + limit]
    own = {"rel": "self", "href": request.url, "method": "GET"}
    return {
        "links": page_links(base, [], limit, offset, len(every), own, buggy_last=False),
        "count": len(shown),
        "hasMore": offset + limit < len(every),
        "items": [_entry(dataset, base) for dataset in shown],
        "offset": offset,
        "totalResults": len(every),
    }


def _entry(dataset: Dataset, base: str) -> Json:
    entry = {
        "links": [{"rel": "self", "href": f"{base}/{dataset.id}"}],
        "id": dataset.id,
        "name": dataset.name,
    }
    return entry | ({"description": dataset.description} if dataset.description else {})
