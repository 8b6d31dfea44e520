"""The record service: addresses, forms of values, validation of names and values, sublists, sub-resources, headers."""

from __future__ import annotations

import gzip
import uuid
from decimal import Decimal
from typing import Any

import httpx
import pytest
from sandbox_tools import Api, unique


def test_create_answers_204_and_where_the_record_is(oneworld: Api) -> None:
    answer = oneworld.send("POST", "customer", {"companyName": unique("Acme"), "subsidiary": {"id": "3"}})
    assert (answer.status_code, answer.content) == (204, b"")
    location = answer.headers["location"]
    assert location.startswith(f"{oneworld.rest}/record/v1/customer/")
    assert location.rpartition("/")[2].isdigit()


def test_upsert_by_external_id_creates_then_updates(oneworld: Api) -> None:
    external = unique("cus")
    body = {"companyName": unique("Acme"), "subsidiary": {"id": "3"}, "email": "a@acme.example"}
    created = oneworld.write("PUT", f"customer/eid:{external}", body)
    updated = oneworld.write("PUT", f"customer/eid:{external}", {"email": "b@acme.example"})
    assert created == updated
    found = oneworld.get(f"customer/eid:{external}")
    assert (found["id"], found["externalId"], found["email"]) == (created, external, "b@acme.example")
    assert oneworld.get(f"customer/{created}")["id"] == created


def test_put_needs_an_external_id(oneworld: Api, turned: Api) -> None:
    assert oneworld.refused("PUT", f"customer/{oneworld.customer()}", {}).status == 405
    assert turned.refused("PUT", f"customer/{turned.customer()}", {}).status == 400


@pytest.mark.parametrize("external", ["a|b", "a b", "a.b", "é"])
def test_external_ids_in_addresses_are_letters_digits_underscore_and_hyphen(
    oneworld: Api, external: str
) -> None:
    refused = oneworld.refused("GET", f"customer/eid:{external}")
    assert (refused.status, refused.code) == (400, "INVALID_URL")


def test_what_is_not_there(oneworld: Api) -> None:
    for path in (
        "customer/999999999",
        "customer/eid:nobody",
        "invoice/999999999",
        "currency/77",
        "customer/abc",
    ):
        refused = oneworld.refused("GET", path)
        assert (refused.status, refused.code) == (404, "NONEXISTENT_ID")
        assert refused.detail == "The record instance does not exist. Provide a valid record instance ID."


def test_an_unknown_record_type(oneworld: Api) -> None:
    refused = oneworld.refused("GET", "file/1")
    assert (refused.status, refused.code) == (404, "NONEXISTENT_ID")
    assert refused.detail == "Record type 'file' does not exist."
    assert refused.error["o:errorUrl"] == "/services/rest/record/v1/file"


def test_a_transaction_of_another_type(oneworld: Api) -> None:
    invoice = oneworld.invoice(oneworld.customer())
    refused = oneworld.refused("GET", f"creditMemo/{invoice}")
    assert (refused.status, refused.code) == (400, "USER_ERROR")
    assert refused.detail == "Error while accessing a resource. Transaction type specified is incorrect."


def test_transactions_share_one_space_of_ids(oneworld: Api) -> None:
    customer = oneworld.customer()
    ids = [
        int(oneworld.invoice(customer)),
        int(oneworld.credit_memo(customer, "1")),
        int(oneworld.invoice(customer)),
    ]
    assert ids[0] < ids[1] < ids[2]


def test_record_types_and_field_names_have_no_case(oneworld: Api) -> None:
    customer = oneworld.write(
        "POST", "CUSTOMER", {"COMPANYNAME": unique("Acme"), "SubSidiary": {"ID": "1", "id": "1"}}
    )
    found = oneworld.get(f"Customer/{customer}")
    assert found["companyName"].startswith("Acme")
    assert found["links"][0]["href"] == f"{oneworld.rest}/record/v1/Customer/{customer}"
    assert found["subsidiary"]["links"][0]["href"] == f"{oneworld.rest}/record/v1/subsidiary/1"


@pytest.mark.parametrize(
    "form", [{"id": "2"}, {"id": 2}, "2", 2, {"id": "2", "refName": "Net 30", "links": []}]
)
def test_references_come_in_many_forms(oneworld: Api, form: object) -> None:
    customer = oneworld.customer(terms=form)
    assert oneworld.get(f"customer/{customer}")["terms"] == {
        "links": [{"rel": "self", "href": f"{oneworld.rest}/record/v1/term/2"}],
        "id": "2",
        "refName": "Net 30",
    }


def test_references_by_external_id(oneworld: Api) -> None:
    external = unique("cus")
    customer = oneworld.customer(externalId=external)
    invoice = oneworld.invoice(
        customer, entity={"externalId": external}, cseg_product={"externalId": "storage"}
    )
    found = oneworld.get(f"invoice/{invoice}")
    assert found["entity"]["id"] == customer
    assert (found["cseg_product"]["id"], found["cseg_product"]["refName"]) == ("2", "Storage")
    assert found["cseg_product"]["links"][0]["href"].endswith("/record/v1/customrecord_cseg_product/2")


BAD_VALUES: list[tuple[str, object, str]] = [
    ("terms", {"id": "999"}, "999"),
    ("terms", "Net 30", "Net 30"),
    ("terms", {"externalId": "none"}, "none"),
    ("isInactive", "perhaps", "perhaps"),
    ("creditLimit", "much", "much"),
    ("email", {"a": 1}, "{...}"),
    ("custentity_region", {"id": "9"}, "9"),
    ("emailPreference", {"id": "FAX"}, "FAX"),
    ("parent", {"id": "1"}, "1"),
]


@pytest.mark.parametrize(("field", "value", "shown"), BAD_VALUES)
def test_a_bad_value_is_refused_with_its_path(oneworld: Api, field: str, value: object, shown: str) -> None:
    body = {"companyName": unique("Acme"), "subsidiary": {"id": "1"}, field: value}
    refused = oneworld.refused("POST", "customer", body)
    assert (refused.status, refused.code) == (400, "INVALID_CONTENT")
    assert refused.detail == (
        f"Error while accessing a resource. You have entered an Invalid Field Value {shown} for the following field: {field}."
    )
    assert refused.error["o:errorPath"] == field


def test_a_bad_value_in_a_line_has_the_lines_path(oneworld: Api) -> None:
    lines = {"items": [{"item": {"id": "417"}, "amount": 1}, {"item": {"id": "9999"}, "amount": 1}]}
    refused = oneworld.refused("POST", "invoice", {"entity": {"id": oneworld.customer()}, "item": lines})
    assert refused.error["o:errorPath"] == "item.items[1].item"
    assert refused.detail.endswith("Invalid Field Value 9999 for the following field: item.")


def test_unknown_names_are_dropped_with_a_warning_by_default(oneworld: Api) -> None:
    customer = oneworld.customer()
    answer = oneworld.send("PATCH", f"customer/{customer}", {"emial": "x@y.z", "comments": "kept"})
    assert answer.status_code == 204
    assert "emial" in answer.headers["x-netsuite-warning"]
    assert "emial" in answer.headers["x-netsuite-propertyvalidation"]
    assert oneworld.get(f"customer/{customer}")["comments"] == "kept"


def test_unknown_names_are_an_error_when_asked_for(oneworld: Api) -> None:
    customer = oneworld.customer()
    strict = {"X-NetSuite-PropertyNameValidation": "Error"}
    refused = oneworld.refused(
        "PATCH", f"customer/{customer}", {"emial": "x", "comments": "lost"}, headers=strict
    )
    assert (refused.status, refused.code, refused.error["o:errorPath"]) == (400, "INVALID_CONTENT", "emial")
    assert "comments" not in oneworld.get(f"customer/{customer}")
    body = {
        "entity": {"id": customer},
        "item": {"items": [{"item": "417", "amount": 1, "custcol_none": "x"}]},
    }
    refused = oneworld.refused("POST", "invoice", body, headers=strict)
    assert refused.error["o:errorPath"] == "item.items[0].custcol_none"


def test_unknown_names_can_be_ignored(oneworld: Api) -> None:
    headers = {"x-netsuite-propertynamevalidation": "ignore"}
    answer = oneworld.send("PATCH", f"customer/{oneworld.customer()}", {"emial": "x"}, headers=headers)
    assert answer.status_code == 204
    assert "x-netsuite-warning" not in answer.headers


def test_bad_values_can_be_let_through_with_a_warning(oneworld: Api) -> None:
    customer = oneworld.customer()
    headers = {"X-NetSuite-PropertyValueValidation": "Warning"}
    answer = oneworld.send(
        "PATCH", f"customer/{customer}", {"terms": "999", "comments": "kept"}, headers=headers
    )
    assert answer.status_code == 204
    assert "999" in answer.headers["x-netsuite-warning"]
    assert oneworld.get(f"customer/{customer}").get("terms") is None


def test_a_custom_field_of_another_account_is_unknown(single: Api) -> None:
    strict = {"X-NetSuite-PropertyNameValidation": "Error"}
    refused = single.refused(
        "POST", "customer", {"companyName": "x", "custentity_billing_id": "1"}, headers=strict
    )
    assert refused.error["o:errorPath"] == "custentity_billing_id"


def test_null_clears_and_empty_is_left_out(oneworld: Api) -> None:
    customer = oneworld.customer(comments="here", phone="1")
    oneworld.write("PATCH", f"customer/{customer}", {"comments": None, "phone": ""})
    found = oneworld.get(f"customer/{customer}")
    assert "comments" not in found
    assert "phone" not in found
    assert None not in found.values()


@pytest.mark.parametrize("body", [b"{", b"[1]", b'"x"', b""])
def test_a_body_that_is_no_object(oneworld: Api, body: bytes) -> None:
    answer = oneworld.request("POST", "record/v1/customer", content=body)
    assert answer.status_code == 400


def test_fields_chooses_what_is_shown(oneworld: Api) -> None:
    customer = oneworld.customer(comments="here")
    found = oneworld.get(f"customer/{customer}", fields="companyName,comments")
    assert found.keys() == {"links", "companyName", "comments"}
    assert found["links"][0]["href"].endswith(f"customer/{customer}?fields=companyName%2Ccomments")


def test_sublists_are_links_until_they_are_expanded(oneworld: Api) -> None:
    invoice = oneworld.invoice(oneworld.customer(), "1.50", "2.25")
    here = f"{oneworld.rest}/record/v1/invoice/{invoice}"
    assert oneworld.get(f"invoice/{invoice}")["item"] == {"links": [{"rel": "self", "href": f"{here}/item"}]}
    expanded = oneworld.full(f"invoice/{invoice}")["item"]
    assert expanded["totalResults"] == 2
    assert [line["line"] for line in expanded["items"]] == [1, 2]
    assert [line["amount"] for line in expanded["items"]] == [Decimal("1.5"), Decimal("2.25")]
    assert expanded["items"][1]["links"] == [{"rel": "self", "href": f"{here}/item/2"}]
    assert expanded["items"][0]["item"]["refName"] == "Usage"
    assert oneworld.get(f"invoice/{invoice}", expand="item")["item"]["totalResults"] == 2


def test_sub_resources_can_be_read_by_address(oneworld: Api) -> None:
    invoice = oneworld.invoice(oneworld.customer(), "1.50", "2.25")
    lines = oneworld.get(f"invoice/{invoice}/item")
    assert [item["links"][0]["href"].rpartition("/")[2] for item in lines["items"]] == ["1", "2"]
    assert oneworld.get(f"invoice/{invoice}/item/2")["amount"] == Decimal("2.25")
    assert oneworld.refused("GET", f"invoice/{invoice}/item/3").status == 404
    assert oneworld.refused("GET", f"invoice/{invoice}/nothing").code == "INVALID_URL"
    assert oneworld.refused("DELETE", f"invoice/{invoice}/item/2").status == 405


def test_simple_enums(oneworld: Api) -> None:
    invoice = oneworld.invoice(oneworld.customer())
    assert oneworld.get(f"invoice/{invoice}")["status"] == {"id": "A", "refName": "Open"}
    assert oneworld.get(f"invoice/{invoice}", simpleEnumFormat="true")["status"] == "A"


def test_numbers_print_as_doubles_and_ids_as_strings(oneworld: Api) -> None:
    text = oneworld.send("GET", f"invoice/{oneworld.invoice(oneworld.customer(), '1320')}").text
    assert '"total":1320.0,' in text
    assert '"exchangeRate":1.0,' in text
    assert '"amountPaid":0.0,' in text


def test_every_answer_carries_netsuites_headers(oneworld: Api) -> None:
    answer = oneworld.send("GET", "currency/1")
    assert (
        answer.headers["content-type"] == "application/vnd.oracle.resource+json; type=singular; charset=UTF-8"
    )
    uuid.UUID(answer.headers["x-netsuite-jobid"])
    uuid.UUID(answer.headers["x-n-operationid"])
    assert answer.headers["cache-control"] == "No-Cache"
    assert answer.headers["pragma"] == "No-Cache"
    assert answer.headers["expires"] == "0"
    assert answer.headers["strict-transport-security"] == "max-age=31536000"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "server" not in answer.headers


def test_answers_are_compressed_when_the_caller_takes_it(oneworld: Api, turned: Api) -> None:
    with httpx.stream("GET", f"{oneworld.rest}/record/v1/account/119", headers=oneworld.headers) as answer:
        assert answer.headers["content-encoding"] == "gzip"
        assert b'"acctNumber":"1100"' in gzip.decompress(b"".join(answer.iter_raw()))
    plain = httpx.get(
        f"{oneworld.rest}/record/v1/account/119", headers=oneworld.headers | {"Accept-Encoding": "identity"}
    )
    assert "content-encoding" not in plain.headers
    assert "content-encoding" not in turned.send("GET", "account/7").headers


def test_masters_can_be_read_and_written_as_the_role_says(oneworld: Api) -> None:
    assert oneworld.get("subsidiary/3")["fullName"] == "Acme Metering Inc : EU GmbH"
    assert oneworld.get("currency/2")["exchangeRate"] == Decimal("1.08")
    assert oneworld.get("serviceSaleItem/412")["incomeAccount"]["refName"] == "4000 Usage Revenue"
    assert oneworld.get("accountingPeriod/302")["periodName"] == "Oct 2026"
    assert oneworld.get("customrecord_cseg_product/1")["name"] == "Metering"
    assert oneworld.refused("PATCH", "term/2", {"name": "x"}).status == 403
    assert oneworld.refused("POST", "currency", {"name": "x"}).status == 403
    assert oneworld.refused("GET", "serviceSaleItem/416").status == 404


def test_a_single_company_has_no_subsidiaries(single: Api) -> None:
    assert single.refused("GET", "subsidiary/1").code == "NONEXISTENT_ID"
    customer = single.customer()
    assert "subsidiary" not in single.get(f"customer/{customer}")
    assert "subsidiary" not in single.get(f"invoice/{single.invoice(customer)}")
    strict = {"X-NetSuite-PropertyNameValidation": "Error"}
    refused = single.refused("PATCH", f"customer/{customer}", {"subsidiary": {"id": "1"}}, headers=strict)
    assert refused.error["o:errorPath"] == "subsidiary"


def test_delete(oneworld: Api) -> None:
    customer = oneworld.customer()
    invoice = oneworld.invoice(customer)
    refused = oneworld.refused("DELETE", f"customer/{customer}")
    assert (
        refused.detail
        == "Error while accessing a resource. This record cannot be deleted because it has dependent records."
    )
    assert oneworld.write("DELETE", f"invoice/{invoice}") == ""
    assert oneworld.refused("GET", f"invoice/{invoice}").status == 404
    assert oneworld.rows("SELECT id FROM transactionline WHERE transaction = ?", invoice) == []
    oneworld.write("DELETE", f"customer/{customer}")
    assert oneworld.rows("SELECT id FROM entity WHERE id = ?", customer) == []
    gone = oneworld.rows(
        "SELECT recordid, type FROM deletedrecord WHERE recordid IN (?, ?) ORDER BY recordid",
        invoice,
        customer,
    )
    assert gone == [{"recordid": customer, "type": "Customer"}, {"recordid": invoice, "type": "Invoice"}]


PERMISSIONS: list[tuple[str, str, Any, str]] = [
    ("GET", "customer/1", None, "Lists -> Customers"),
    ("POST", "invoice", {}, "Transactions -> Invoice"),
    ("GET", "creditMemo/1", None, "Transactions -> Credit Memo"),
    ("GET", "account/119", None, "Lists -> Accounts"),
]


@pytest.mark.parametrize(("method", "path", "body", "permission"), PERMISSIONS)
def test_a_role_without_the_permission_is_refused(
    auditor: Api, method: str, path: str, body: Any, permission: str
) -> None:
    refused = auditor.refused(method, path, body)
    assert (refused.status, refused.code) == (403, "INSUFFICIENT_PERMISSION")
    assert f"You need the '{permission}' permission" in refused.detail


def test_a_role_that_may_view_can_read(auditor: Api, oneworld: Api) -> None:
    assert auditor.get(f"invoice/{oneworld.invoice(oneworld.customer())}")["status"]["id"] == "A"


def test_an_unknown_path_says_how_a_url_is_built(oneworld: Api) -> None:
    answer = oneworld.request("GET", "recrod/v1/customer/1")
    assert answer.status_code == 400
    assert answer.json()["o:errorDetails"][0]["o:errorCode"] == "INVALID_URL"
