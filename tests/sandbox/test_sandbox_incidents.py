"""What happens to an account while a client works: lost permissions and tokens, changed fields, records and rows."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from sandbox_tools import PROFILES, Api, Integration, Refused, Server, start, unique
from test_sandbox_jobs import ASYNC, result

REF = "custbody_subscription_ref"
STRICT = {"X-NetSuite-PropertyNameValidation": "Error"}


@pytest.fixture
def api(oneworld: Api) -> Iterator[Api]:
    yield oneworld
    oneworld.admin("DELETE", "faults")


def arm(api: Api, kind: str, **more: Any) -> None:
    api.admin("POST", "faults", {"kind": kind, **more})


def test_a_slow_page_comes_in_pieces(api: Api) -> None:
    arm(api, "slow_page", seconds=0.4, path="/suiteql$")
    headers = api.headers | {"Prefer": "transient"}
    url = f"{api.rest}/query/v1/suiteql"
    started, arrivals, body = time.monotonic(), [], b""
    with httpx.stream("POST", url, headers=headers, json={"q": "SELECT * FROM currency"}) as answer:
        assert answer.status_code == 200
        for chunk in answer.iter_raw():
            arrivals.append(time.monotonic() - started)
            body += chunk
    assert json.loads(body)["count"] == 3
    # However busy the machine is: several pieces, and the last not before its time.
    assert len(arrivals) > 1
    assert arrivals[-1] > 0.35


def test_tokens_are_revoked_in_mid_run(fresh: Callable[..., tuple[Server, Api]]) -> None:
    _, api = fresh()
    arm(api, "tokens_revoked", after=2)
    answers = [api.send("GET", "currency/1").status_code for _ in range(4)]
    assert answers == [200, 200, 401, 401]
    assert api.admin("GET", "requests")["items"][-2]["fault"] == "tokens_revoked"
    api.login()
    assert api.send("GET", "currency/1").status_code == 200


# Permissions


def test_a_role_loses_a_permission_until_the_faults_are_cleared(api: Api) -> None:
    invoice = api.invoice(api.customer())
    arm(api, "permission_lost", permission="Invoice", role="1042", after=1)
    assert api.send("GET", f"invoice/{invoice}").status_code == 200
    refused = Refused.of(api.send("GET", f"invoice/{invoice}"))
    assert (refused.status, refused.code) == (403, "INSUFFICIENT_PERMISSION")
    assert "'Transactions -> Invoice'" in refused.detail
    assert api.send("GET", f"invoice/{invoice}").status_code == 403
    assert api.send("GET", "currency/1").status_code == 200
    api.admin("DELETE", "faults")
    assert api.send("GET", f"invoice/{invoice}").status_code == 200


def test_a_level_may_remain(api: Api) -> None:
    invoice = api.invoice(api.customer())
    arm(api, "permission_lost", permission="Invoice", level="view")
    assert api.send("GET", f"invoice/{invoice}").status_code == 200
    assert api.send("PATCH", f"invoice/{invoice}", {"memo": "x"}).status_code == 403


def test_a_lost_permission_hides_the_table_of_a_query_that_was_read_before(api: Api) -> None:
    query = "SELECT id FROM transaction"
    api.rows(query)
    arm(api, "permission_lost", permission="Find Transaction")
    assert api.query_refused(query) == "Record 'transaction' was not found."
    api.admin("DELETE", "faults")
    api.rows(query)


def test_another_role_keeps_its_permission(api: Api, auditor: Api) -> None:
    invoice = api.invoice(api.customer())
    arm(api, "permission_lost", permission="Invoice", role="1043")
    assert api.send("GET", f"invoice/{invoice}").status_code == 200
    assert auditor.send("GET", f"invoice/{invoice}").status_code == 403


def test_a_job_runs_with_what_its_role_may_when_it_runs(api: Api) -> None:
    customer = api.customer()
    api.admin("POST", "governance", {"async_processors": 0, "async_delay_ms": 0})
    try:
        answer = api.send("PATCH", f"customer/{customer}", {"comments": "x"}, headers=ASYNC)
        arm(api, "permission_lost", permission="Customers")
        api.send("GET", "currency/1")
    finally:
        api.admin("POST", "governance", {"async_processors": 1, "async_delay_ms": 100})
    refused = Refused.of(result(api, answer.headers["location"].removeprefix(f"{api.rest}/")))
    assert refused.code == "INSUFFICIENT_PERMISSION"


# Fields


def test_a_field_is_removed(api: Api) -> None:
    customer = api.customer()
    invoice = api.invoice(customer, **{REF: "S-1"})
    query = f"SELECT {REF} FROM transaction WHERE id = {invoice}"
    assert api.rows(query) == [{REF: "S-1"}]
    arm(api, "field_removed", field=REF, path="/invoice")
    assert REF not in api.get(f"invoice/{invoice}")
    assert api.query_refused(query).startswith(f"Unknown identifier '{REF}'")
    lenient = api.send("PATCH", f"invoice/{invoice}", {REF: "S-2", "memo": "m"})
    assert lenient.status_code == 204
    assert REF in lenient.headers["x-netsuite-warning"]
    strict = Refused.of(api.send("PATCH", f"invoice/{invoice}", {REF: "S-2"}, headers=STRICT))
    assert (strict.code, strict.error["o:errorPath"]) == ("INVALID_CONTENT", REF)
    schema = {"Accept": "application/schema+json"}
    assert REF not in api.send("GET", "metadata-catalog/invoice", headers=schema).json()["properties"]
    listed = "SELECT scriptid FROM customfield WHERE scriptid = 'CUSTBODY_SUBSCRIPTION_REF'"
    assert api.rows(listed) == []

    api.admin("DELETE", "faults")
    assert REF not in api.get(f"invoice/{invoice}")
    assert len(api.rows(listed)) == 1
    assert api.rows(query) == [{}]
    api.write("PATCH", f"invoice/{invoice}", {REF: "S-3"})
    assert api.rows(query) == [{REF: "S-3"}]


def test_a_field_of_lines_is_removed(api: Api) -> None:
    line = {"item": {"id": "417"}, "amount": 1, "custcol_service_start": "2026-10-01"}
    invoice = api.invoice(api.customer(), item={"items": [line]})
    arm(api, "field_removed", field="custcol_service_start")
    assert "custcol_service_start" not in api.full(f"invoice/{invoice}")["item"]["items"][0]
    api.admin("DELETE", "faults")
    assert "custcol_service_start" not in api.full(f"invoice/{invoice}")["item"]["items"][0]


def test_a_field_is_retyped(api: Api) -> None:
    customer = api.customer()
    invoice = api.invoice(customer, **{REF: "S-1"})
    arm(api, "field_retyped", field=REF, type="number")
    assert REF not in api.get(f"invoice/{invoice}")
    assert Refused.of(api.send("PATCH", f"invoice/{invoice}", {REF: "S-2"})).code == "INVALID_CONTENT"
    api.write("PATCH", f"invoice/{invoice}", {REF: 12.5})
    assert str(api.get(f"invoice/{invoice}")[REF]) == "12.5"
    assert api.rows(f"SELECT {REF} FROM transaction WHERE {REF} > 9.5 AND id = {invoice}") == [{REF: "12.5"}]
    schema = {"Accept": "application/schema+json"}
    properties = api.send("GET", "metadata-catalog/invoice", headers=schema).json()["properties"]
    assert properties[REF]["type"] == "number"
    api.admin("DELETE", "faults")
    assert REF not in api.get(f"invoice/{invoice}")
    api.write("PATCH", f"invoice/{invoice}", {REF: "S-2"})
    assert api.get(f"invoice/{invoice}")[REF] == "S-2"


# Records


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("record_locked", "This record has been locked by a user defined workflow."),
        ("record_conflict", "Record has been changed"),
    ],
)
def test_a_record_cannot_be_saved_for_a_while(api: Api, kind: str, text: str) -> None:
    invoice = api.invoice(api.customer())
    arm(api, kind, times=2)
    api.get(f"invoice/{invoice}")
    for _ in range(2):
        refused = Refused.of(api.send("PATCH", f"invoice/{invoice}", {"memo": "mine"}))
        assert (refused.status, refused.code) == (400, "USER_ERROR")
        assert refused.detail == f"Error while accessing a resource. {text}"
    assert "memo" not in api.get(f"invoice/{invoice}")
    api.write("PATCH", f"invoice/{invoice}", {"memo": "mine"})


def test_the_texts_of_a_record_that_cannot_be_saved_are_switches(turned: Api) -> None:
    customer = turned.customer()
    for kind, text in (("record_locked", "Locked."), ("record_conflict", "Changed.")):
        arm(turned, kind)
        assert Refused.of(turned.send("DELETE", f"customer/{customer}")).detail.endswith(f" {text}")
    turned.write("DELETE", f"customer/{customer}")


def test_a_lock_can_meet_reads_and_one_record_alone(api: Api) -> None:
    one, two = api.customer(), api.customer()
    arm(api, "record_locked", methods=["GET"], path=f"/customer/{one}$")
    assert api.send("GET", f"customer/{two}").status_code == 200
    assert api.send("GET", f"customer/{one}").status_code == 400
    assert api.send("GET", f"customer/{one}").status_code == 200


def test_a_lock_meets_the_task_not_the_submission(api: Api) -> None:
    customer = api.customer()
    arm(api, "record_locked")
    answer = api.send("PATCH", f"customer/{customer}", {"comments": "x"}, headers=ASYNC)
    assert answer.status_code == 202
    refused = Refused.of(result(api, answer.headers["location"].removeprefix(f"{api.rest}/")))
    assert "locked" in refused.detail


def test_someone_else_changes_a_record_before_it_is_saved(api: Api) -> None:
    invoice = api.invoice(api.customer(), memo="first")
    arm(api, "record_changed", values={"memo": "theirs", "otherRefNum": "PO-9"})
    api.write("PATCH", f"invoice/{invoice}", {"email": "mine@x.example"})
    found = api.get(f"invoice/{invoice}")
    assert (found["memo"], found["otherRefNum"], found["email"]) == ("theirs", "PO-9", "mine@x.example")


def test_a_change_by_someone_else_stays_though_the_own_one_is_refused(api: Api) -> None:
    external = unique("c")
    api.customer(externalId=external)
    arm(api, "record_changed", times=2)
    assert api.send("PATCH", f"customer/eid:{external}", {"subsidiary": "77"}).status_code == 400
    assert api.get(f"customer/eid:{external}")["comments"] == "Changed by someone else"
    # A record that is not there yet cannot be changed by anyone.
    api.write("PUT", f"customer/eid:{unique('new')}", {"companyName": unique("n"), "subsidiary": "1"})


# Rows between pages


def pages(api: Api, query: str) -> list[list[str]]:
    found = []
    for offset in range(0, 30, 10):
        found.append([row["id"] for row in api.rows(query, limit=10, offset=offset)])
    return found


@pytest.fixture
def filled(fresh: Callable[..., tuple[Server, Api]]) -> Api:
    _, api = fresh()
    api.admin("POST", "fill", {"customers": 3, "invoices": 30, "lines": 1, "seed": 3})
    return api


def test_rows_are_deleted_between_pages_in_a_way_that_can_be_repeated(filled: Api) -> None:
    query = "SELECT id FROM transaction ORDER BY id"

    def run(seed: int) -> list[list[str]]:
        filled.admin("POST", "reset")
        filled.admin("POST", "fill", {"customers": 3, "invoices": 30, "lines": 1, "seed": 3})
        arm(filled, "rows_changed", change="delete", rows=4, after=1, seed=seed)
        return pages(filled, query)

    first = run(5)
    assert len(first[0]) == 10
    assert sum(len(page) for page in first) < 30
    assert filled.admin("GET", "stats")["records"]["invoice"] == 26
    assert run(5) == first
    assert run(6) != first


def test_rows_are_added_and_touched_between_pages(filled: Api) -> None:
    arm(filled, "rows_changed", change="add", rows=5, after=1)
    newest = "SELECT id FROM transaction ORDER BY id DESC"
    found = pages(filled, newest)
    assert len(set(found[0]) & set(found[1])) == 5
    arm(filled, "rows_changed", rows=2, path="/invoice$", values={"memo": "theirs"})
    filled.get("invoice", limit="10")
    assert filled.rows("SELECT count(*) AS n FROM transaction WHERE memo = 'theirs'") == [{"n": "2"}]
    arm(filled, "rows_changed", change="add", record="customer", rows=2)
    assert filled.get("customer")["totalResults"] == 5


# Rules


@pytest.mark.parametrize(
    ("rule", "word"),
    [
        ({"kind": "permission_lost"}, "permission"),
        ({"kind": "field_removed"}, "field"),
        ({"kind": "field_retyped", "field": REF}, "type"),
        ({"kind": "field_removed", "field": "custbody_nothing"}, "custbody_nothing"),
        ({"kind": "permission_lost", "permission": "Invoice", "role": "9"}, "role"),
    ],
)
def test_a_rule_that_says_too_little_or_names_nothing(api: Api, rule: dict[str, Any], word: str) -> None:
    answer = api.http.post("sandbox/faults", json=rule)
    assert answer.status_code == 400
    assert word in answer.json()["error"]
    assert api.admin("GET", "faults")["items"] == []


def test_an_incident_does_not_hide_a_fault_of_the_line(api: Api) -> None:
    customer = api.customer()
    arm(api, "record_changed")
    arm(api, "error_after_commit", methods=["PATCH"])
    assert api.send("PATCH", f"customer/{customer}", {"email": "a@b.example"}).status_code == 500
    found = api.get(f"customer/{customer}")
    assert (found["comments"], found["email"]) == ("Changed by someone else", "a@b.example")
    assert (
        api.admin("GET", "requests?writes=true")["items"][-1]["fault"] == "record_changed error_after_commit"
    )


def test_incidents_are_seeded(api: Api) -> None:
    customer = api.customer()

    def run() -> list[int]:
        api.admin("DELETE", "faults")
        arm(api, "record_locked", times=20, probability=0.5, seed=11)
        return [api.send("PATCH", f"customer/{customer}", {"comments": "x"}).status_code for _ in range(12)]

    first = run()
    assert set(first) == {204, 400}
    assert run() == first


def test_a_profile_can_arm_faults(tmp_path: Path, public_pem: Path, private_key: Any) -> None:
    content = yaml.safe_load((PROFILES / "oneworld.yaml").read_text())
    content["faults"] = [{"kind": "status", "status": 503, "path": "currency", "times": 1}]
    path = tmp_path / "faulty.yaml"
    path.write_text(yaml.safe_dump(content))
    certificate = f"1234567_SB1:billing-integration:cert-1:{public_pem}"
    server = start("--profile", str(path), "--certificate", certificate)
    try:
        own = Api(server.url, "1234567-sb1", Integration("billing-integration", "cert-1", private_key))
        assert [own.send("GET", "currency/1").status_code for _ in range(2)] == [503, 200]
        own.admin("POST", "reset")
        assert [own.send("GET", "currency/1").status_code for _ in range(2)] == [503, 200]
    finally:
        server.stop()
