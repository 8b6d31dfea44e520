"""Asynchronous requests: jobs, tasks, results, idempotency keys, and what a restart leaves of them."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from sandbox_tools import Api, Refused, Server, unique

Fresh = Callable[..., tuple[Server, Api]]
ASYNC = {"Prefer": "respond-async"}
KEY = "X-NetSuite-Idempotency-Key"


@pytest.fixture
def api(oneworld: Api) -> Iterator[Api]:
    """The account with its processor free and without delay."""
    oneworld.admin("POST", "governance", {"async_delay_ms": 0})
    yield oneworld
    oneworld.admin("POST", "governance", {"async_processors": 1, "async_delay_ms": 100, "async_task_ms": 0})


def submit(api: Api, method: str, path: str, body: Any = None, **headers: str) -> str:
    """Send asynchronously; returns the job's address below the services' root."""
    answer = api.send(method, path, body, headers=ASYNC | headers)
    assert answer.status_code == 202, answer.text
    assert answer.content == b""
    assert answer.headers["preference-applied"] == "respond-async"
    location = answer.headers["location"]
    assert location.startswith(f"{api.rest}/async/v1/job/")
    return location.removeprefix(f"{api.rest}/")


def read(api: Api, address: str) -> Any:
    answer = api.request("GET", address)
    assert answer.status_code == 200, answer.text
    return answer.json()


def wait(api: Api, job: str) -> Any:
    """The job once it has been completed."""
    for _ in range(400):
        found = read(api, job)
        if found["completed"]:
            return found
        time.sleep(0.01)
    raise AssertionError(f"{job} was not completed: {found}")


def result(api: Api, job: str, task: int = 1) -> httpx.Response:
    wait(api, job)
    return api.request("GET", f"{job}/task/{task}/result")


def customer_body(name: str) -> dict[str, Any]:
    return {"companyName": name, "subsidiary": {"id": "1"}, "externalId": name}


def exists(api: Api, external: str) -> bool:
    return api.send("GET", f"customer/eid:{external}").status_code == 200


def test_a_job_waits_is_processed_and_succeeds(api: Api) -> None:
    api.admin("POST", "governance", {"async_processors": 0, "async_task_ms": 150})
    name = unique("job")
    job = submit(api, "POST", "customer", customer_body(name))
    here, number = f"{api.rest}/{job}", job.rpartition("/")[2]
    waiting = {
        "links": [{"rel": "self", "href": here}],
        "completed": False,
        "id": number,
        "progress": "pending",
        "task": {"links": [{"rel": "self", "href": f"{here}/task"}]},
    }
    assert read(api, job) == waiting
    assert list(read(api, job)) == list(waiting)
    assert read(api, f"{job}/task") == {
        "links": [{"rel": "self", "href": f"{here}/task"}],
        "count": 1,
        "items": [{"links": [{"rel": "self", "href": f"{here}/task/1"}]}],
    }
    own = {"rel": "self", "href": f"{here}/task/1"}
    assert read(api, f"{job}/task/1") == {
        "links": [own],
        "completed": False,
        "id": "1",
        "progress": "pending",
    }
    assert not exists(api, name)
    api.admin("POST", "governance", {"async_processors": 1})
    assert read(api, job)["progress"] == "processing"
    assert read(api, f"{job}/task/1")["progress"] == "processing"
    assert not exists(api, name)
    done = wait(api, job)
    assert (done["progress"], exists(api, name)) == ("succeeded", True)
    task = read(api, f"{job}/task/1")
    assert task["links"] == [{"rel": "related", "href": f"{here}/task/1/result"}, own]
    assert (task["completed"], task["progress"], task["id"]) == (True, "succeeded", "1")
    assert task["startTime"] <= task["endTime"]
    assert time.strptime(task["endTime"], "%Y-%m-%dT%H:%M:%SZ")


def test_a_job_commits_after_its_answer(api: Api) -> None:
    name = unique("after")
    held = {"kind": "timeout_after_commit", "seconds": 0.4, "methods": ["POST"], "path": "/customer$"}
    api.admin("POST", "faults", held)
    with httpx.Client(timeout=0.2) as client, pytest.raises(httpx.ReadTimeout):
        client.post(f"{api.rest}/record/v1/customer", json=customer_body(name), headers=api.headers | ASYNC)
    # It was accepted, and its answer is still under way.
    assert api.admin("GET", "stats")["async"]["tasks_open"] == 1
    assert not exists(api, name)
    for _ in range(100):
        if exists(api, name):
            return
        time.sleep(0.02)
    raise AssertionError("the job was not run")


@pytest.mark.parametrize("end", ["reset_after_commit", "reset_during_commit"])
def test_a_submission_whose_answer_is_lost_runs_all_the_same(api: Api, end: str) -> None:
    name, key = unique("lost"), str(uuid.uuid4())
    fault = {"kind": end, "methods": ["POST"], "path": "/customer$", "seconds": 0.05}
    api.admin("POST", "faults", fault)
    headers = api.headers | ASYNC | {KEY: key}
    with httpx.Client() as client, pytest.raises(httpx.TransportError):
        client.post(f"{api.rest}/record/v1/customer", json=customer_body(name), headers=headers)
    time.sleep(0.2)
    again = api.send("POST", "customer", customer_body(name), headers=ASYNC | {KEY: key})
    assert again.status_code == 400
    job = again.headers["location"].removeprefix(f"{api.rest}/")
    assert wait(api, job)["progress"] == "succeeded"
    assert exists(api, name)


def test_a_result_is_what_the_direct_request_answers(api: Api) -> None:
    name = unique("same")
    created = result(api, submit(api, "POST", "customer", customer_body(name)))
    assert (created.status_code, created.content) == (204, b"")
    identifier = created.headers["location"].rpartition("/")[2]
    assert created.headers["location"] == f"{api.rest}/record/v1/customer/{identifier}"
    for path in (
        f"customer/{identifier}?fields=companyName,email",
        f"customer/{identifier}?expandSubResources=true",
    ):
        later, direct = result(api, submit(api, "GET", path)), api.send("GET", path)
        assert (later.status_code, later.json()) == (200, direct.json())
        assert later.headers["content-type"] == direct.headers["content-type"]
    warned = result(api, submit(api, "PATCH", f"customer/{identifier}", {"nonsense": 1}))
    assert warned.status_code == 204
    assert "nonsense" in warned.headers["x-netsuite-warning"]
    strict = {"X-NetSuite-PropertyNameValidation": "Error"}
    refused = result(api, submit(api, "PATCH", f"customer/{identifier}", {"nonsense": 1}, **strict))
    assert Refused.of(refused).code == "INVALID_CONTENT"
    replaced = result(api, submit(api, "PUT", f"customer/eid:{name}", {"comments": "later"}))
    assert replaced.headers["location"].endswith(f"/customer/{identifier}")
    assert api.get(f"customer/{identifier}")["comments"] == "later"
    assert result(api, submit(api, "DELETE", f"customer/{identifier}")).status_code == 204
    assert not exists(api, name)


def test_a_refused_request_is_a_failed_task(api: Api) -> None:
    job = submit(api, "POST", "customer", {"comments": "no name"})
    direct = Refused.of(api.send("POST", "customer", {"comments": "no name"}))
    assert wait(api, job)["progress"] == "failed"
    assert read(api, f"{job}/task/1")["progress"] == "failed"
    later = Refused.of(result(api, job))
    assert (later.status, later.detail) == (direct.status, direct.detail)
    missing = Refused.of(result(api, submit(api, "GET", "customer/999999")))
    assert (missing.status, missing.code) == (404, "NONEXISTENT_ID")


def test_a_broken_body_is_found_when_the_job_runs(api: Api) -> None:
    answer = api.request(
        "POST", "record/v1/customer", content=b"{", headers=ASYNC | {"Content-Type": "application/json"}
    )
    assert answer.status_code == 202
    refused = Refused.of(result(api, answer.headers["location"].removeprefix(f"{api.rest}/")))
    assert (refused.status, refused.code) == (400, "INVALID_CONTENT")


def test_a_role_without_the_permission_fails_in_its_task(api: Api, auditor: Api) -> None:
    refused = Refused.of(result(auditor, submit(auditor, "GET", f"customer/{api.customer()}")))
    assert (refused.status, refused.code) == (403, "INSUFFICIENT_PERMISSION")


def test_queries_are_not_run_as_jobs(api: Api) -> None:
    headers = {"Prefer": "transient, respond-async"}
    answer = api.request("POST", "query/v1/suiteql", json={"q": "SELECT id FROM term"}, headers=headers)
    assert answer.status_code == 200


@pytest.mark.parametrize(
    "path", ["job/999999", "job/abc", "job/999999/task", "job/999999/task/1", "job/999999/task/1/result"]
)
def test_a_job_that_does_not_exist(api: Api, path: str) -> None:
    refused = Refused.of(api.request("GET", f"async/v1/{path}"))
    assert (refused.status, refused.code) == (404, "NONEXISTENT_ID")


def test_other_addresses_and_methods_of_the_service(api: Api) -> None:
    job = submit(api, "GET", "currency/1")
    assert Refused.of(api.request("DELETE", job)).status == 405
    assert Refused.of(api.request("GET", f"{job}/result")).code == "INVALID_URL"
    assert Refused.of(api.request("GET", "async/v1/job")).code == "INVALID_URL"
    assert Refused.of(api.request("GET", f"{job}/task/2")).status == 404
    assert api.http.get(f"{api.rest}/{job}").status_code == 401


def test_the_result_of_a_task_that_has_not_ended(api: Api) -> None:
    api.admin("POST", "governance", {"async_processors": 0})
    job = submit(api, "GET", "currency/1")
    assert Refused.of(api.request("GET", f"{job}/task/1/result")).status == 404


def test_so_many_jobs_at_once_as_there_are_processors(api: Api) -> None:
    api.admin("POST", "governance", {"async_processors": 0, "async_task_ms": 400})
    jobs = [submit(api, "GET", "currency/1") for _ in range(3)]
    api.admin("POST", "governance", {"async_processors": 2})
    progress = [read(api, job)["progress"] for job in jobs]
    assert progress == ["processing", "processing", "pending"]
    assert api.admin("GET", "stats")["async"]["tasks_processing"] == 2
    assert [wait(api, job)["progress"] for job in jobs] == ["succeeded"] * 3


def test_execution_takes_no_slot_but_submission_does(api: Api) -> None:
    api.admin("POST", "governance", {"async_task_ms": 300, "limit": 1})
    try:
        job = submit(api, "GET", "currency/1")
        assert api.send("GET", "currency/1").status_code == 200
        api.admin("POST", "governance", {"foreign": 1})
        assert api.send("GET", "currency/1", headers=ASYNC).status_code == 429
    finally:
        api.admin("POST", "governance", {"limit": 15, "foreign": 0})
    wait(api, job)


# Idempotency keys


def test_a_key_that_was_given_before_is_a_conflict(api: Api) -> None:
    name, key = unique("key"), str(uuid.uuid4())
    job = submit(api, "POST", "customer", customer_body(name), **{KEY: key})
    for spelling in (key, key.upper()):
        answer = api.send("POST", "customer", customer_body(name), headers=ASYNC | {KEY: spelling})
        assert answer.status_code == 400
        assert answer.headers["location"] == f"{api.rest}/{job}"
        assert answer.json() == {
            "type": "https://www.w3.org/Protocols/rfc2616/rfc2616-sec10.html#sec10.4.10",
            "title": "Conflict",
            "status": 400,
            "o:errorDetails": [
                {
                    "detail": "A request with the same idempotency key is already submitted. "
                    'See the "Location" header for a link to the previously submitted job.',
                    "o:errorHeader": KEY,
                    "o:errorCode": "IDEMPOTENCY_ERROR",
                }
            ],
        }
    assert wait(api, job)["progress"] == "succeeded"
    submit(api, "POST", "customer", customer_body(unique("key")), **{KEY: str(uuid.uuid4())})


def test_a_key_is_ignored_without_respond_async(api: Api) -> None:
    key = str(uuid.uuid4())
    for _ in range(2):
        api.write("POST", "customer", customer_body(unique("sync")), headers={KEY: key})
    submit(api, "POST", "customer", customer_body(unique("sync")), **{KEY: key})


def test_a_refused_submission_does_not_use_its_key_up(api: Api) -> None:
    key = str(uuid.uuid4())
    assert api.send("PUT", "customer", {}, headers=ASYNC | {KEY: key}).status_code == 400
    submit(api, "GET", "currency/1", **{KEY: key})


# A restart


def test_a_restart_goes_on_with_what_was_left(fresh: Fresh, tmp_path: Path) -> None:
    state = str(tmp_path / "state.db")
    server, api = fresh("--state", state)
    done = submit(api, "POST", "customer", customer_body("before"), **{KEY: "k-1"})
    location = result(api, done).headers["location"]
    api.admin("POST", "governance", {"async_task_ms": 60_000})
    left = [
        submit(api, "POST", "customer", customer_body(f"left-{n}"), **{KEY: f"k-{n + 2}"}) for n in range(2)
    ]
    while read(api, left[0])["progress"] != "processing":
        time.sleep(0.01)
    server.process.kill()
    server.process.wait(10)

    _, again = fresh("--state", state)
    for number, job in enumerate(left):
        assert wait(again, job)["progress"] == "succeeded"
        assert exists(again, f"left-{number}")
    kept = result(again, done).headers["location"]
    assert kept.rpartition("/")[2] == location.rpartition("/")[2]
    assert kept.startswith(again.rest)
    conflict = again.send("GET", "currency/1", headers=ASYNC | {KEY: "k-2"})
    assert conflict.headers["location"] == f"{again.rest}/{left[0]}"
    names = [row["externalid"] for row in again.rows("SELECT externalid FROM customer ORDER BY id")]
    assert names == ["before", "left-0", "left-1"]


def test_reset_forgets_jobs_and_keys(fresh: Fresh) -> None:
    _, api = fresh()
    api.admin("POST", "governance", {"async_task_ms": 60_000, "async_delay_ms": 0})
    job = submit(api, "POST", "customer", customer_body("gone"), **{KEY: "k"})
    api.admin("POST", "reset")
    api.admin("POST", "governance", {"async_task_ms": 0})
    assert Refused.of(api.request("GET", job)).status == 404
    assert wait(api, submit(api, "GET", "currency/1", **{KEY: "k"}))["progress"] == "succeeded"
    assert not exists(api, "gone")


# Switches


def test_the_switches_of_jobs(turned: Api) -> None:
    """Turned: relative Location, one list element, no progress but pending and succeeded, 400, short memories, UUIDs."""
    turned.admin("POST", "governance", {"async_processors": 0, "async_delay_ms": 0, "async_task_ms": 200})
    key = {KEY: str(uuid.uuid4())}
    content = {"Content-Type": "application/vnd.oracle.resource+json; type=collection"}
    items = {"items": [{"companyName": unique("t")}, {"comments": "no name"}]}
    answer = turned.send("POST", "customer", items, headers=ASYNC | content | key)
    location = answer.headers["location"]
    job = location.removeprefix(f"/{turned.label}/services/rest/")
    assert job.startswith("async/v1/job/")
    assert Refused.of(turned.send("GET", "term/1", headers=ASYNC | {KEY: "no-uuid"})).code == "INVALID_HEADER"
    again = turned.send("GET", "term/1", headers=ASYNC | key)
    assert again.headers["location"] == location
    assert "o:errorHeader" not in again.json()["o:errorDetails"][0]
    listed = read(turned, f"{job}/task")
    assert (listed["count"], len(listed["items"]), len(listed["items"][0]["links"])) == (1, 1, 2)
    assert Refused.of(turned.request("GET", f"{job}/task/1/result")).status == 400
    turned.admin("POST", "governance", {"async_processors": 1})
    assert read(turned, job)["progress"] == "pending"
    assert wait(turned, job)["progress"] == "failed"
    assert read(turned, f"{job}/task/2")["progress"] == "succeeded"
    assert Refused.of(turned.request("GET", f"{job}/task/2/result")).status == 400
    assert Refused.of(turned.send("PATCH", "customer", items, headers=content)).code == "UNSUPPORTED"
    time.sleep(1.05)
    assert Refused.of(turned.request("GET", job)).status == 404
    assert turned.send("GET", "term/1", headers=ASYNC | key).status_code == 202
    assert turned.get("term", ids="1,77")["totalResults"] == 1
