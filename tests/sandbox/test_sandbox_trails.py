"""What an account keeps besides its records: system notes, history, deletions, addresses, revenue; datasets; hidden fields."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography.hazmat.primitives.asymmetric import ec
from sandbox_tools import PROFILES, Api, Integration, Refused, Server, start

Run = Callable[..., tuple[Server, Api]]
NOTES = (
    "SELECT n.field, n.oldvalue, n.newvalue, n.name, n.context, n.record, n.recordtypeid, n.role FROM systemnote n "
    "WHERE n.recordid = ? AND n.recordtypeid = ? ORDER BY n.date, n.field"
)


def notes(api: Api, record: str, number: int = -30) -> dict[str, tuple[str | None, str | None]]:
    rows = api.rows(NOTES, record, number)
    return {row["field"]: (row.get("oldvalue"), row.get("newvalue")) for row in rows}


def test_a_change_leaves_a_note_of_each_field(oneworld: Api) -> None:
    customer = oneworld.customer(comments="first")
    before = oneworld.rows(NOTES, customer, -9)
    change = {"comments": "second", "terms": {"id": "2"}, "creditLimit": 1500.5, "email": "a@b.example"}
    oneworld.write("PATCH", f"customer/{customer}", change)
    rows = [row for row in oneworld.rows(NOTES, customer, -9) if row not in before]
    found = {row["field"]: (row.get("oldvalue"), row.get("newvalue")) for row in rows}
    assert found == {
        "COMMENTS": ("first", "second"),
        "TERMS": (None, "Net 30"),
        "CREDITLIMIT": (None, "1500.5"),
        "EMAIL": (None, "a@b.example"),
    }
    row = rows[0]
    assert (row["name"], row["role"], row["context"]) == ("317", "1042", "REST Web Services")
    named = f"SELECT DISTINCT BUILTIN.DF(n.name) AS name FROM systemnote n WHERE n.recordid = {customer}"
    assert oneworld.rows(named) == [{"name": "Billing Robot"}]
    assert row["record"] == oneworld.get(f"customer/{customer}")["refName"]


def test_what_changes_nothing_leaves_no_note(oneworld: Api) -> None:
    customer = oneworld.customer(comments="same")
    before = oneworld.rows(NOTES, customer, -9)
    oneworld.write("PATCH", f"customer/{customer}", {"comments": "same"})
    refused = oneworld.refused("PATCH", f"customer/{customer}", {"comments": "other", "terms": {"id": "99"}})
    assert refused.code == "INVALID_CONTENT"
    assert oneworld.rows(NOTES, customer, -9) == before


def test_a_credit_notes_the_status_of_the_invoice_it_pays(oneworld: Api) -> None:
    customer = oneworld.customer()
    invoice = oneworld.invoice(customer, "50.00", memo="October", custbody_contract_start="2026-10-01")
    assert notes(oneworld, invoice)["MEMO"] == (None, "October")
    assert notes(oneworld, invoice)["CUSTBODY_CONTRACT_START"] == (None, "10/01/2026")
    apply = {"items": [{"doc": {"id": invoice}, "apply": True, "amount": 50}]}
    oneworld.credit_memo(customer, "50.00", apply=apply)
    rows = [row for row in oneworld.rows(NOTES, invoice, -30) if row["field"] == "STATUS"]
    assert [(row.get("oldvalue"), row["newvalue"]) for row in rows] == [(None, "A"), ("A", "B")]


def test_transactions_have_a_history_and_deletions_an_author(oneworld: Api) -> None:
    invoice = oneworld.invoice(oneworld.customer())
    oneworld.write("PATCH", f"invoice/{invoice}", {"memo": "x"})
    assert oneworld.send("DELETE", f"invoice/{invoice}").status_code == 204
    rows = oneworld.rows("SELECT type, name FROM transactionhistory WHERE transaction = ?", invoice)
    assert [row["type"] for row in rows] == ["Create", "Edit", "Delete"]
    deleted = oneworld.rows(
        "SELECT deletedby, type, recordtypeid, iscustomrecord, context FROM deletedrecord WHERE recordid = ?",
        invoice,
    )
    assert deleted == [
        {
            "deletedby": "317",
            "type": "Invoice",
            "recordtypeid": "-30",
            "iscustomrecord": "F",
            "context": "REST Web Services",
        }
    ]


def test_an_invoice_keeps_the_address_that_its_customer_had(oneworld: Api) -> None:
    address = {"addr1": "Ring 5", "city": "Wien", "zip": "1010", "country": {"id": "AT"}}
    book = {"items": [{"defaultBilling": True, "label": "HQ", "addressBookAddress": address}]}
    customer = oneworld.customer(addressBook=book)
    invoice = oneworld.invoice(customer)
    key = oneworld.full(f"customer/{customer}")["addressBook"]["items"][0]["internalId"]
    moved = {"items": [{"internalId": key, "addressBookAddress": {"city": "Graz"}}]}
    oneworld.write("PATCH", f"customer/{customer}", {"addressBook": moved})
    query = (
        "SELECT a.city, a.zip, a.country FROM transaction t "
        "JOIN transactionbillingaddress a ON a.nkey = t.billingaddress WHERE t.id = ?"
    )
    assert oneworld.rows(query, invoice) == [{"city": "Wien", "zip": "1010", "country": "AT"}]
    assert oneworld.rows("SELECT shippingaddress FROM transaction WHERE id = ?", invoice) == [{}]


def test_notes_are_read_in_ranges_of_their_records(fresh: Run) -> None:
    """They have no key: an order of several columns, over ranges of the changed transactions, holds every note once."""
    _, api = fresh()
    customer = api.customer()
    invoices = [int(api.invoice(customer, "10.00", memo=f"m{n}")) for n in range(9)]
    for number in (1, 4, 8):
        api.write("PATCH", f"invoice/{invoices[number]}", {"memo": "second", "otherRefNum": f"PO-{number}"})
    shown = "n.recordid, n.field, n.oldvalue, n.newvalue, n.name, n.context, n.recordtypeid, TO_CHAR(n.date, 'YYYY-MM-DD HH24:MI:SS') AS at"
    changed = (
        "FROM systemnote n JOIN transaction t ON t.id = n.recordid WHERE n.recordtypeid = -30 "
        "AND t.lastmodifieddate >= TO_DATE('2020-01-01', 'YYYY-MM-DD')"
    )
    order = "ORDER BY n.recordid, n.date, n.field, n.oldvalue"
    everything = api.rows(f"SELECT {shown} {changed} {order}")
    assert len(everything) > 9 * 5
    assert [row["newvalue"] for row in everything if row["field"] == "MEMO" and "oldvalue" in row] == [
        "second"
    ] * 3
    found: list[dict[str, str]] = []
    for low in range(invoices[0] - 1, invoices[-1], 2):
        where = f"AND n.recordid > {low} AND n.recordid <= {low + 2}"
        pages = [
            api.rows(f"SELECT {shown} {changed} {where} {order}", limit=7, offset=at)
            for at in range(0, 70, 7)
        ]
        found += [row for page in pages for row in page]
    keys = [(row["recordid"], row["at"], row["field"], row.get("oldvalue")) for row in everything]
    assert len(set(keys)) == len(keys)
    assert found == everything


def test_deletions_are_read_by_their_date(fresh: Run) -> None:
    _, api = fresh()
    customer = api.customer()
    gone = [api.invoice(customer, "1.00") for _ in range(3)]
    for invoice in gone:
        api.write("DELETE", f"invoice/{invoice}")
    other = api.customer()
    api.write("DELETE", f"customer/{other}")
    query = (
        "SELECT d.recordid, d.recordtypeid, d.scriptid, TO_CHAR(d.deleteddate, 'YYYY-MM-DD HH24:MI:SS') AS at "
        "FROM deletedrecord d WHERE d.deleteddate {0} SYSDATE {1} 1 ORDER BY d.recordid, d.recordtypeid, d.scriptid"
    )
    rows = api.rows(query.format(">=", "-"))
    assert [(row["recordid"], row["recordtypeid"], row["scriptid"]) for row in rows] == [
        (other, "-9", "customer"),
        *((one, "-30", "invoice") for one in gone),
    ]
    assert api.rows(query.format(">=", "+")) == []


def test_datasets_are_listed_and_run(oneworld: Api) -> None:
    customer = oneworld.customer()
    oneworld.invoice(customer, "10.00", "5.50")
    listed = oneworld.request("GET", "query/v1/dataset/").json()
    assert [(one["id"], one["name"]) for one in listed["items"]] == [
        ("custdataset_open_invoices", "Open invoices by customer")
    ]
    path = "query/v1/dataset/custdataset_open_invoices/result"
    answer = oneworld.request("GET", path)
    rows = {row["customer"]: row for row in answer.json()["items"]}
    assert (rows[customer]["unpaid"], rows[customer]["links"]) == ("15.5", [])
    page = oneworld.request("GET", path, params={"limit": "1"}).json()
    assert (page["count"], page["links"][-1]["method"]) == (1, "GET")
    assert oneworld.request("POST", path).status_code == 405
    missing = Refused.of(oneworld.request("GET", "query/v1/dataset/nope/result"))
    assert (missing.status, missing.code) == (404, "NONEXISTENT_ID")


def test_saved_searches_are_listed_where_people_see_them_and_not_run(oneworld: Api) -> None:
    listed = oneworld.admin("GET", "searches")["items"]
    assert listed == [
        {
            "id": "812",
            "script_id": "customsearch_open_invoices",
            "title": "Open Invoices",
            "type": "Transaction",
            "public": True,
        }
    ]
    assert Refused.of(oneworld.request("GET", "query/v1/savedsearch/812")).code == "INVALID_URL"


@pytest.fixture(scope="module")
def guarded(
    public_pem: Path, private_key: ec.EllipticCurvePrivateKey, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Api, Api, Api]]:
    """The OneWorld account where the auditor does not see one body field and one line field; and its administrator."""
    profile: dict[str, Any] = yaml.safe_load((PROFILES / "oneworld.yaml").read_text())
    for field in profile["custom_fields"]:
        if field["script_id"] in ("custbody_renewal", "custcol_service_start"):
            field["hidden_from"] = [1043]
    everything = {"client_id": "billing-admin", "name": "Billing Admin", "role": 3, "entity": 401}
    profile["integrations"].append(everything)
    path = tmp_path_factory.mktemp("guarded") / "guarded.yaml"
    path.write_text(yaml.safe_dump(profile))
    clients = ("billing-integration", "billing-auditor", "billing-admin")
    certificates = [
        argument
        for client in clients
        for argument in ("--certificate", f"1234567_SB1:{client}:c:{public_pem}")
    ]
    server = start("--profile", str(path), *certificates)
    clerk, auditor, administrator = (
        Api(server.url, "1234567-sb1", Integration(client, "c", private_key)) for client in clients
    )
    yield clerk, auditor, administrator
    assert server.stop() == 0


def test_a_hidden_field_is_nowhere(guarded: tuple[Api, Api, Api]) -> None:
    clerk, auditor, _ = guarded
    customer = clerk.customer()
    line = {"item": {"id": "417"}, "amount": 5, "custcol_service_start": "2026-10-01"}
    body = {"entity": {"id": customer}, "custbody_renewal": True, "item": {"items": [line]}}
    invoice = clerk.write("POST", "invoice", body)
    assert clerk.full(f"invoice/{invoice}")["custbody_renewal"] is True
    seen = auditor.full(f"invoice/{invoice}")
    assert "custbody_renewal" not in seen
    assert "custcol_service_start" not in seen["item"]["items"][0]
    schema = auditor.send(
        "GET", "metadata-catalog/invoice", headers={"Accept": "application/schema+json"}
    ).json()
    assert "custbody_renewal" not in schema["properties"]
    assert "custbody_subscription_ref" in schema["properties"]
    refused = auditor.query_refused("SELECT custbody_renewal FROM transaction")
    assert refused == "Field 'custbody_renewal' for record 'transaction' was not found."
    assert "custbody_renewal" not in auditor.rows("SELECT * FROM transaction WHERE id = ?", invoice)[0]
    assert clerk.rows("SELECT custbody_renewal FROM transaction WHERE id = ?", invoice) == [
        {"custbody_renewal": "T"}
    ]


def test_revenue_is_arranged_from_invoices(fresh: Run) -> None:
    _, api = fresh()
    api.admin("POST", "fill", {"customers": 3, "invoices": 4, "lines": 2})
    assert api.admin("POST", "revenue", {"invoices": 2}) == {"elements": 4}
    arrangements = api.rows(
        "SELECT id, foreigntotal FROM transaction WHERE recordtype = 'revenuearrangement'"
    )
    assert len(arrangements) == 2
    assert api.refused("GET", f"invoice/{arrangements[0]['id']}").detail.endswith(
        "Transaction type specified is incorrect."
    )
    # The three permissions of revenue records are not with the billing role.
    assert "was not found" in api.query_refused("SELECT id FROM revenueelement")


def test_plans_add_up_to_their_elements(guarded: tuple[Api, Api, Api]) -> None:
    *_, api = guarded
    api.admin("POST", "reset")
    api.admin("POST", "fill", {"customers": 2, "invoices": 3, "lines": 2})
    api.admin("POST", "revenue", {"invoices": 1})
    api.admin("POST", "revenue", {"invoices": 9})
    rows = api.rows(
        "SELECT e.id, e.salesamount, p.amount, SUM(r.amount) AS planned, COUNT(*) AS months "
        "FROM revenueelement e JOIN revenueplan p ON p.createdfrom = e.id "
        "JOIN revenueplanplannedrevenue r ON r.revenueplan = p.id "
        "GROUP BY e.id, e.salesamount, p.amount ORDER BY e.id"
    )
    assert len(rows) == 6
    for row in rows:
        assert row["salesamount"] == row["amount"] == row["planned"]
        assert row["months"] == "3"


def test_the_page_shows_accounts_requests_and_records(fresh: Run) -> None:
    server, api = fresh()
    api.invoice(api.customer())
    api.send("GET", "customer/<b>")
    shown = api.http.get(f"{server.url}/sandbox", headers={"Accept": "text/html,*/*"})
    assert shown.headers["content-type"] == "text/html; charset=UTF-8"
    text = shown.text
    stats = api.admin("GET", "stats")
    for caption, value in (
        ("Requests", stats["requests"]),
        ("In flight at the peak", stats["in_flight_peak"]),
        ("Rejected for it", 0),
        ("invoice", 1),
        ("404", 1),
    ):
        assert f'<th scope="row">{caption}</th><td class="n">{value}</td>' in text
    assert "1234567_SB1" in text
    assert "<b>" not in text
    assert "accounts" in api.http.get(f"{server.url}/sandbox").json()
