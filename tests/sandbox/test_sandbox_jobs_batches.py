"""Batches: lists of records to add, change, upsert and delete, one task each; and lists of records to read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from sandbox_tools import Api, Refused, unique
from test_sandbox_jobs import ASYNC, exists, read, result, submit, wait

COLLECTION = {"Content-Type": "application/vnd.oracle.resource+json; type=collection"}


@pytest.fixture
def api(oneworld: Api) -> Iterator[Api]:
    oneworld.admin("POST", "governance", {"async_delay_ms": 0})
    yield oneworld
    oneworld.admin("POST", "governance", {"async_processors": 1, "async_delay_ms": 100, "async_task_ms": 0})


def new(external: str, **more: Any) -> dict[str, Any]:
    return {"companyName": external, "externalId": external, "subsidiary": {"id": "1"}} | more


def batch(api: Api, method: str, items: list[Any], path: str = "customer", **headers: str) -> str:
    return submit(api, method, path, {"items": items}, **COLLECTION | headers)


def statuses(api: Api, job: str) -> list[int]:
    """Of every task, in order, found by the links of the task list."""
    wait(api, job)
    links = [link["href"] for item in read(api, f"{job}/task")["items"] for link in item["links"]]
    found = []
    for href in links:
        related = api.http.get(href, headers=api.headers).json()["links"][0]
        assert related["rel"] == "related"
        found.append(api.http.get(related["href"], headers=api.headers).status_code)
    return found


def test_a_list_to_add_has_a_task_and_a_result_for_each_record(api: Api) -> None:
    names = [unique("add") for _ in range(3)]
    job = batch(api, "POST", [new(name) for name in names])
    assert statuses(api, job) == [204] * 3
    assert wait(api, job)["progress"] == "succeeded"
    assert read(api, f"{job}/task")["count"] == 3
    for number, name in enumerate(names, 1):
        identifier = result(api, job, number).headers["location"].rpartition("/")[2]
        assert api.get(f"customer/{identifier}")["externalId"] == name


def test_a_record_that_fails_does_not_fail_the_others(api: Api) -> None:
    first, last = unique("ok"), unique("ok")
    job = batch(api, "POST", [new(first), {"comments": "no name"}, new(first), new(last)])
    assert statuses(api, job) == [204, 400, 400, 204]
    assert wait(api, job)["progress"] == "succeeded"
    assert [read(api, f"{job}/task/{n}")["progress"] for n in (1, 2)] == ["succeeded", "failed"]
    assert "already exists" in Refused.of(result(api, job, 3)).detail
    assert exists(api, last)


def test_a_batch_of_failures_has_failed(api: Api) -> None:
    assert wait(api, batch(api, "POST", [{"comments": "no name"}] * 2))["progress"] == "failed"


def test_a_list_to_update_is_matched_by_id_before_external_id(api: Api) -> None:
    first, second, odd = unique("upd"), unique("upd"), f"{unique('a')}|b c"
    one, two, three = (api.write("POST", "customer", new(name)) for name in (first, second, odd))
    renamed = unique("upd")
    job = batch(
        api,
        "PATCH",
        [
            {"id": one, "externalId": renamed, "comments": "by id"},
            {"EXTERNALID": second, "comments": "by external id"},
            {"externalId": odd, "comments": "odd"},
            {"id": int(three), "email": "a@b.example"},
            {"comments": "whose?"},
            {"id": "999999", "comments": "nobody's"},
            {"externalId": "nobody", "comments": "nobody's"},
        ],
    )
    assert statuses(api, job) == [204, 204, 204, 204, 400, 404, 404]
    found = api.get(f"customer/{one}")
    assert (found["comments"], found["externalId"]) == ("by id", renamed)
    assert api.get(f"customer/{two}")["comments"] == "by external id"
    assert api.get(f"customer/{three}")["comments"] == "odd"
    assert api.get(f"customer/{three}")["email"] == "a@b.example"


def test_a_list_to_upsert_makes_and_changes(api: Api) -> None:
    there, fresh_one = unique("ups"), unique("ups")
    identifier = api.write("POST", "customer", new(there))
    job = batch(
        api, "PUT", [new(there, comments="changed"), new(fresh_one), {"companyName": "no key", "id": "1"}]
    )
    assert statuses(api, job) == [204, 204, 400]
    assert result(api, job, 1).headers["location"].endswith(f"/customer/{identifier}")
    assert api.get(f"customer/{identifier}")["comments"] == "changed"
    assert exists(api, fresh_one)
    again = batch(api, "PUT", [new(fresh_one)])
    assert result(api, again).headers["location"] == result(api, job, 2).headers["location"]


def test_a_list_to_delete(api: Api) -> None:
    names = [unique("del"), f"{unique('del')} 5,6"]
    one, two = (api.write("POST", "customer", new(name)) for name in names)
    three = api.customer()
    job = submit(api, "DELETE", f"customer?ids={one},eid:'{names[1]}',999999,{three}")
    assert statuses(api, job) == [204, 204, 404, 204]
    for identifier in (one, two, three):
        assert api.send("GET", f"customer/{identifier}").status_code == 404


def test_invoices_in_a_batch_replace_their_lines(api: Api) -> None:
    customer = api.customer()
    invoices = [api.invoice(customer, "10.00", "20.00") for _ in range(2)]
    lines = {"items": [{"item": {"id": "417"}, "amount": 5}]}
    items = [{"id": invoice, "item": lines} for invoice in invoices]
    job = batch(api, "PATCH", items, path="invoice?replace=item")
    assert statuses(api, job) == [204, 204]
    assert [api.get(f"invoice/{invoice}")["total"] for invoice in invoices] == [5, 5]


def test_a_hundred_records_and_no_more(api: Api) -> None:
    items = [{"id": "999999"}] * 100
    job = batch(api, "PATCH", items)
    assert read(api, f"{job}/task")["count"] == 100
    for method, path, body in (
        ("PATCH", "customer", {"items": [*items, {"id": "1"}]}),
        ("POST", "customer", {"items": []}),
        ("POST", "customer", {"items": [1]}),
        ("POST", "customer", [{"companyName": "x"}]),
    ):
        refused = Refused.of(api.send(method, path, body, headers=ASYNC | COLLECTION))
        assert (refused.status, refused.code) == (400, "INVALID_CONTENT")
    many = ",".join(str(n) for n in range(101))
    refused = Refused.of(api.send("DELETE", f"customer?ids={many}", headers=ASYNC))
    assert (refused.status, refused.error["o:errorQueryParam"]) == (400, "ids")
    wait(api, job)


def test_a_batch_needs_its_headers(api: Api) -> None:
    items = {"items": [new(unique("head"))]}
    for method, path, body in (
        ("POST", "customer", items),
        ("PATCH", "customer", items),
        ("PUT", "customer", items),
        ("DELETE", "customer?ids=1", None),
    ):
        refused = Refused.of(api.send(method, path, body, headers=COLLECTION if body else {}))
        assert (refused.status, refused.error["o:errorHeader"]) == (400, "Prefer")
    for method in ("PATCH", "PUT"):
        refused = Refused.of(api.send(method, "customer", items, headers=ASYNC))
        assert (refused.status, refused.error["o:errorHeader"]) == (400, "Content-Type")
        assert api.send(method, "customer", items).status_code == 405
    assert api.send("DELETE", "customer", headers=ASYNC).status_code == 405
    # Without the content type it is one customer, without a name.
    assert Refused.of(result(api, submit(api, "POST", "customer", items))).status == 400


def test_tasks_run_in_order_and_one_at_a_time_by_default(api: Api) -> None:
    api.admin("POST", "governance", {"async_processors": 4, "async_task_ms": 60})
    names = [unique("seq") for _ in range(4)]
    job = batch(api, "POST", [new(name) for name in names])
    running = []
    while not read(api, job)["completed"]:
        running.append(api.admin("GET", "stats")["async"]["tasks_processing"])
    assert max(running) == 1
    made = [int(result(api, job, n).headers["location"].rpartition("/")[2]) for n in range(1, 5)]
    assert made == sorted(made)


def test_tasks_of_a_parallel_batch_run_side_by_side_in_no_order(api: Api) -> None:
    api.admin("POST", "governance", {"async_processors": 4, "async_task_ms": 60})
    names = [unique("par") for _ in range(12)]
    # Two headers of one name, as some clients send them.
    headers = [*api.headers.items(), *COLLECTION.items(), ("Prefer", "respond-async")]
    headers.append(("Prefer", 'batch-processing="parallel"'))
    body = {"items": [new(name) for name in names]}
    answer = api.http.post(f"{api.rest}/record/v1/customer", headers=headers, json=body)
    job = answer.headers["location"].removeprefix(f"{api.rest}/")
    running = []
    while not read(api, job)["completed"]:
        running.append(api.admin("GET", "stats")["async"]["tasks_processing"])
    assert max(running) == 4
    made = [int(result(api, job, n).headers["location"].rpartition("/")[2]) for n in range(1, 13)]
    assert sorted(made) != made
    assert [api.get(f"customer/{i}")["externalId"] for i in made] == names


# Lists to read


def test_a_list_of_records_by_ids(api: Api) -> None:
    odd = f"{unique('test')} 5"
    one, two = api.customer(email="x@y.example"), api.write("POST", "customer", new(odd))
    plain = unique("test")
    three = api.write("POST", "customer", new(plain))
    listed = api.get("customer", ids=f"{two},eid:{plain},{one},eid:'{odd}'", expandRecords="true")
    assert [item["id"] for item in listed["items"]] == [two, three, one, two]
    assert (listed["count"], listed["hasMore"], listed["totalResults"]) == (4, False, 4)
    assert listed["items"][2] == api.get(f"customer/{one}")
    assert listed["links"][0]["rel"] == "self"
    fields = api.get("customer", ids=one, expandRecords="true", fields="email")["items"][0]
    assert (fields["email"], "companyName" in fields) == ("x@y.example", False)
    whole = api.get("customer", ids=one, expandRecords="true", expandSubResources="true")["items"][0]
    assert whole == api.full(f"customer/{one}")
    assert api.get("customer", ids=one)["items"] == [
        {"links": [{"rel": "self", "href": f"{api.rest}/record/v1/customer/{one}"}], "id": one}
    ]


def test_a_page_of_whole_records(api: Api) -> None:
    page = api.get("currency", expandRecords="true", limit="2")
    assert [item["symbol"] for item in page["items"]]
    assert page["items"][0] == api.get(f"currency/{page['items'][0]['id']}")
    assert [link["rel"] for link in page["links"]] == ["next", "last", "self"]


@pytest.mark.parametrize("ids", ["999999", "eid:nobody", "abc", "1,999999"])
def test_a_list_with_an_id_of_nothing(api: Api, ids: str) -> None:
    assert Refused.of(api.send("GET", f"currency?ids={ids}&expandRecords=true")).status == 404


@pytest.mark.parametrize("ids", ["", ",".join(["1"] * 101)])
def test_a_list_of_none_and_of_too_many(api: Api, ids: str) -> None:
    refused = Refused.of(api.send("GET", f"currency?ids={ids}"))
    assert (refused.status, refused.code) == (400, "INVALID_PARAMETER")


def test_a_list_of_another_transaction_type(api: Api) -> None:
    invoice = api.invoice(api.customer())
    assert "Transaction type" in Refused.of(api.send("GET", f"creditMemo?ids={invoice}")).detail
