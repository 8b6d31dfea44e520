"""List records and custom records over REST: written, checked, seen in SuiteQL, used by documents, kept in state."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography.hazmat.primitives.asymmetric import ec
from sandbox_tools import PROFILES, Api, Integration, Server, start, unique

Run = Callable[..., tuple[Server, Api]]
ITEM = {"incomeAccount": "598", "subsidiary": {"items": [{"id": "1"}]}}


@pytest.fixture(scope="session")
def wide(
    public_pem: Path, private_key: ec.EllipticCurvePrivateKey, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Api]:
    """The OneWorld account with an administrator's integration and dated rates."""
    profile = yaml.safe_load((PROFILES / "oneworld.yaml").read_text())
    profile["integrations"][0]["role"] = "3"
    profile["currencies"][1]["rates"] = {"2026-10-01": 1.1, "2026-10-16": 1.2}
    path = tmp_path_factory.mktemp("wide") / "wide.yaml"
    path.write_text(yaml.safe_dump(profile))
    server = start(
        *("--profile", str(path), "--certificate", f"1234567_SB1:billing-integration:cert-1:{public_pem}")
    )
    yield Api(server.url, "1234567-sb1", Integration("billing-integration", "cert-1", private_key))
    assert server.stop() == 0


def item(api: Api, **changes: Any) -> str:
    return api.write("POST", "serviceSaleItem", ITEM | {"itemId": unique("Item")} | changes)


def test_an_item_is_made_sold_and_changed(wide: Api) -> None:
    made = item(wide, rate=2.5, displayName="Tokens")
    found = wide.get(f"serviceSaleItem/{made}")
    assert (found["displayName"], found["rate"]) == ("Tokens", Decimal("2.5"))
    assert found["incomeAccount"]["refName"] == "4000 Usage Revenue"
    invoice = wide.write(
        "POST",
        "invoice",
        {
            "entity": {"id": wide.customer()},
            "tranDate": "2026-10-15",
            "item": {"items": [{"item": {"id": made}, "quantity": 4}]},
        },
    )
    assert wide.get(f"invoice/{invoice}")["total"] == Decimal("10.0")
    wide.write("PATCH", f"serviceSaleItem/{made}", {"isInactive": True, "rate": None})
    row = wide.rows("SELECT displayname, isinactive, rate, itemtype, subtype FROM item WHERE id = ?", made)
    assert row == [{"displayname": "Tokens", "isinactive": "T", "itemtype": "Service", "subtype": "Sale"}]
    refused = wide.refused(
        "POST",
        "invoice",
        {
            "entity": {"id": wide.customer()},
            "item": {"items": [{"item": {"id": made}, "quantity": 1, "rate": 1}]},
        },
    )
    assert refused.error["o:errorPath"] == "item.items[0].item"
    assert (
        wide.refused("DELETE", f"serviceSaleItem/{made}").detail
        == "Error while accessing a resource. This record cannot be deleted because it has dependent records."
    )


def test_an_item_is_kept_to_its_subsidiaries_and_their_children(wide: Api) -> None:
    def sold_in_europe(made: str) -> int:
        customer = wide.customer(subsidiary={"id": "3"})
        body = {
            "entity": {"id": customer},
            "tranDate": "2026-10-15",
            "item": {"items": [{"item": {"id": made}, "quantity": 1, "rate": 1}]},
        }
        return wide.send("POST", "invoice", body).status_code

    made = item(wide)
    assert sold_in_europe(made) == 400
    wide.write("PATCH", f"serviceSaleItem/{made}", {"includeChildren": True})
    assert sold_in_europe(made) == 204


@pytest.mark.parametrize(
    ("path", "body", "labels"),
    [
        ("serviceSaleItem", {}, "Item Name/Number, Income Account, Subsidiary"),
        ("department", {}, "Name"),
        ("account", {"acctName": "X"}, "Type"),
        ("subsidiary", {"name": "X"}, "Country, Currency"),
        ("term", {}, "Terms"),
        ("customrecord_contract", {}, "Name"),
    ],
)
def test_what_is_mandatory_is_named_by_its_label(
    wide: Api, path: str, body: dict[str, Any], labels: str
) -> None:
    assert wide.refused("POST", path, body).detail.endswith(f"Please enter value(s) for: {labels}.")


def test_an_account_type_is_one_of_netsuites(wide: Api) -> None:
    refused = wide.refused("POST", "account", {"acctName": "X", "acctType": {"id": "Piggy"}})
    assert (refused.code, refused.error["o:errorPath"]) == ("INVALID_CONTENT", "acctType")


def test_an_items_segments_and_rules_are_kept(wide: Api) -> None:
    given = {"department": "2", "class": "7", "revenueRecognitionRule": {"id": "RULE-7"}, "parent": "412"}
    made = item(wide, **given)
    found = wide.get(f"serviceSaleItem/{made}")
    assert (found["department"]["refName"], found["class"]["refName"]) == ("Sales", "Cloud")
    assert found["revenueRecognitionRule"]["id"] == "RULE-7"
    assert found["fullName"].startswith("API Calls : ")


def test_names_are_unique(wide: Api) -> None:
    name = unique("Item")
    item(wide, itemId=name)
    refused = wide.refused("POST", "nonInventorySaleItem", ITEM | {"itemId": name})
    assert (refused.status, refused.code) == (400, "USER_ERROR")
    assert refused.detail.endswith("This record already exists.")


def test_a_department_tree_and_its_names(wide: Api) -> None:
    top = wide.write("POST", "department", {"name": unique("Top"), "externalId": unique("dep")})
    child = wide.write("PUT", f"department/eid:{unique('dep')}", {"name": "Child", "parent": {"id": top}})
    wide.write("PATCH", f"department/{top}", {"name": "Renamed"})
    assert wide.get(f"department/{child}")["refName"] == "Renamed : Child"
    rows = wide.rows("SELECT fullname, BUILTIN.DF(parent) AS parent FROM department WHERE id = ?", child)
    assert rows == [{"fullname": "Renamed : Child", "parent": "Renamed"}]
    refused = wide.refused("PATCH", f"department/{top}", {"parent": {"id": child}})
    assert refused.error["o:errorPath"] == "parent"
    invoice = wide.invoice(wide.customer(), department={"id": child})
    assert wide.get(f"invoice/{invoice}")["department"]["refName"] == "Renamed : Child"
    wide.refused("DELETE", f"department/{child}")


def test_a_deleted_record_is_gone_and_listed(wide: Api) -> None:
    made = wide.write("POST", "classification", {"name": "Short-lived"})
    assert wide.send("DELETE", f"classification/{made}").status_code == 204
    assert wide.refused("GET", f"classification/{made}").code == "NONEXISTENT_ID"
    assert wide.rows("SELECT id FROM classification WHERE id = ?", made) == []
    row = wide.rows("SELECT name, type FROM deletedrecord WHERE recordid = ? AND type = 'Class'", made)
    assert row == [{"name": "Short-lived", "type": "Class"}]
    again = wide.write("POST", "classification", {"name": "Next"})
    assert again != made


def test_a_new_term_sets_due_dates_and_a_new_account_takes_receivables(wide: Api) -> None:
    term = wide.write("POST", "term", {"name": unique("Net 7"), "daysUntilNetDue": 7})
    account = wide.write(
        "POST",
        "account",
        {"acctName": unique("AR"), "acctNumber": unique("1"), "acctType": {"id": "AcctRec"}},
    )
    customer = wide.customer(terms={"id": term}, receivablesAccount={"id": account})
    invoice = wide.get(f"invoice/{wide.invoice(customer)}")
    assert invoice["dueDate"] == "2026-10-22"
    assert invoice["account"]["id"] == account


def test_a_new_subsidiary_has_its_own_currency(wide: Api) -> None:
    made = wide.write(
        "POST",
        "subsidiary",
        {"name": unique("UK Ltd"), "country": {"id": "GB"}, "currency": "3", "parent": "1"},
    )
    customer = wide.get(f"customer/{wide.customer(subsidiary={'id': made})}")
    assert customer["currency"]["refName"] == "GBP"
    rates = wide.rows(
        "SELECT fromcurrency, tocurrency FROM consolidatedexchangerate WHERE fromsubsidiary = ?", made
    )
    assert set(map(tuple, (row.values() for row in rates))) == {("3", "1")}


@pytest.mark.parametrize("path", ["currency", "accountingPeriod", "customlist_region"])
def test_what_the_ui_alone_keeps_is_read_here(wide: Api, path: str) -> None:
    assert wide.refused("POST", path, {"name": "x"}).status == 405


def test_a_role_writes_what_its_permissions_say(oneworld: Api) -> None:
    assert oneworld.refused("POST", "serviceSaleItem", ITEM | {"itemId": "x"}).status == 403
    assert oneworld.get("serviceSaleItem/412")["itemId"] == "API Calls"


def test_collections_take_q(wide: Api) -> None:
    name = unique("Findable")
    made = item(wide, itemId=name, externalId=unique("item"))
    found = wide.get("serviceSaleItem", q=f'itemId IS "{name}"')
    assert [one["id"] for one in found["items"]] == [made]
    contracts = wide.get(
        "customrecord_contract", q="custrecord_contract_minimum GREATER 1000 AND isInactive IS false"
    )
    assert "1" in [one["id"] for one in contracts["items"]]


def test_custom_records_hold_every_type_of_field(oneworld: Api) -> None:
    customer = oneworld.customer()
    external = unique("contract")
    body = {
        "name": "Acme 2027",
        "custrecord_contract_customer": {"id": customer},
        "custrecord_contract_start": "2027-01-01",
        "custrecord_contract_minimum": 99.95,
        "custrecord_contract_region": {"id": "3"},
        "custrecord_contract_products": {"items": [{"id": "2"}, {"id": "4"}]},
        "custrecord_contract_renews": False,
        "custrecord_contract_seats": 7,
    }
    made = oneworld.write("PUT", f"customrecord_contract/eid:{external}", body)
    assert oneworld.write("PUT", f"customrecord_contract/eid:{external}", {"name": "Acme 27"}) == made
    found = oneworld.get(f"customrecord_contract/eid:{external}")
    assert found["name"] == "Acme 27"
    assert found["custrecord_contract_customer"]["id"] == customer
    assert found["custrecord_contract_region"] == {"id": "3", "refName": "APAC"}
    products = found["custrecord_contract_products"]
    assert [(one["id"], one["refName"]) for one in products["items"]] == [("2", "Storage"), ("4", "Platform")]
    assert (found["custrecord_contract_renews"], found["custrecord_contract_seats"]) == (False, 7)
    row = oneworld.rows(
        "SELECT name, custrecord_contract_start AS start_on, custrecord_contract_minimum AS least, "
        "BUILTIN.DF(custrecord_contract_region) AS region, custrecord_contract_products AS products, "
        "BUILTIN.DF(custrecord_contract_products) AS names, custrecord_contract_renews AS renews "
        "FROM customrecord_contract WHERE externalid = ?",
        external,
    )
    assert row == [
        {
            "name": "Acme 27",
            "start_on": "01/01/2027",
            "least": "99.95",
            "region": "APAC",
            "products": "2, 4",
            "names": "Storage, Platform",
            "renews": "F",
        }
    ]
    invoice = oneworld.invoice(
        customer, custbody_contract={"externalId": external}, custbody_usage_units=12.5
    )
    assert oneworld.get(f"invoice/{invoice}")["custbody_contract"]["refName"] == "Acme 27"
    assert oneworld.refused("DELETE", f"customrecord_contract/{made}").code == "USER_ERROR"
    joined = oneworld.rows(
        "SELECT c.name FROM transaction t JOIN customrecord_contract c ON c.id = t.custbody_contract "
        "WHERE t.id = ?",
        invoice,
    )
    assert joined == [{"name": "Acme 27"}]


def test_custom_records_need_their_permission(auditor: Api) -> None:
    assert auditor.refused("GET", "customrecord_contract/1").status == 403
    assert auditor.query_refused("SELECT id FROM customrecord_contract") == (
        "Record 'customrecord_contract' was not found."
    )


def test_the_catalogue_lists_custom_records_and_their_fields(oneworld: Api) -> None:
    types = oneworld.rows("SELECT internalid, scriptid, name FROM customrecordtype")
    assert types == [{"internalid": "1", "scriptid": "customrecord_contract", "name": "Contract"}]
    fields = oneworld.rows(
        "SELECT scriptid, fieldtype, recordtype FROM customfield WHERE fieldtype = 'RECORD' ORDER BY internalid"
    )
    assert fields[0] == {"scriptid": "CUSTRECORD_CONTRACT_CUSTOMER", "fieldtype": "RECORD", "recordtype": "1"}


def test_segment_values_are_records(wide: Api) -> None:
    made = wide.write("POST", "customrecord_cseg_product", {"name": "Vectors", "parent": {"id": "1"}})
    assert wide.get(f"customrecord_cseg_product/{made}")["refName"] == "Metering : Vectors"
    invoice = wide.invoice(wide.customer(), cseg_product={"id": made})
    assert wide.get(f"invoice/{invoice}")["cseg_product"]["refName"] == "Metering : Vectors"


def test_rates_by_day(wide: Api) -> None:
    rows = wide.rows(
        "SELECT exchangerate, TO_CHAR(effectivedate, 'YYYY-MM-DD') AS day FROM currencyrate "
        "WHERE basecurrency = 1 AND transactioncurrency = 2 ORDER BY effectivedate"
    )
    assert [(row["day"], row["exchangerate"]) for row in rows] == [
        ("2010-01-01", "1.08"),
        ("2026-10-01", "1.1"),
        ("2026-10-16", "1.2"),
    ]
    period = wide.rows(
        "SELECT r.currentrate, r.averagerate, r.historicalrate FROM consolidatedexchangerate r "
        "JOIN accountingperiod p ON p.id = r.postingperiod WHERE p.periodname = 'Oct 2026' "
        "AND r.fromsubsidiary = 3 AND r.tosubsidiary = 1"
    )
    # 15 days at 1.1 and 16 at 1.2.
    assert period == [{"currentrate": "1.2", "averagerate": "1.1516129", "historicalrate": "1.1"}]


def test_changes_survive_a_restart_and_a_reset_undoes_them(
    fresh: Run, tmp_path: Path, private_key: ec.EllipticCurvePrivateKey
) -> None:
    state = ("--state", str(tmp_path / "state.db"))
    server, api = fresh(*state)
    made = api.write("POST", "customrecord_contract", {"name": "Kept"})
    assert api.send("DELETE", "customrecord_contract/1").status_code == 204
    assert server.stop() == 0
    _, api = fresh(*state)
    assert api.get(f"customrecord_contract/{made}")["name"] == "Kept"
    assert api.refused("GET", "customrecord_contract/1").code == "NONEXISTENT_ID"
    api.admin("POST", "reset")
    assert api.get("customrecord_contract/1")["name"] == "Framework 2026"
    assert api.refused("GET", f"customrecord_contract/{made}").code == "NONEXISTENT_ID"
