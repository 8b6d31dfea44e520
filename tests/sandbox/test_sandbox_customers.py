"""Customers: what one must have, names, subsidiary and currencies, address book."""

from __future__ import annotations

from sandbox_tools import Api, unique


def test_a_oneworld_customer_needs_its_primary_subsidiary(oneworld: Api) -> None:
    refused = oneworld.refused("POST", "customer", {"companyName": "x"})
    assert (refused.status, refused.code) == (400, "USER_ERROR")
    assert (
        refused.detail == "Error while accessing a resource. Please enter value(s) for: Primary Subsidiary."
    )


def test_every_missing_label_is_named(oneworld: Api) -> None:
    assert oneworld.refused("POST", "customer", {}).detail.endswith(
        "Please enter value(s) for: Company Name, Primary Subsidiary."
    )
    person = {"isPerson": True, "subsidiary": {"id": "1"}, "firstName": "Ada"}
    assert oneworld.refused("POST", "customer", person).detail.endswith(
        "Please enter value(s) for: Last Name."
    )


def test_numbered_customers_show_number_and_name(oneworld: Api) -> None:
    name = unique("Acme")
    found = oneworld.get(f"customer/{oneworld.customer(companyName=name)}")
    assert found["entityId"].startswith("CUST-")
    assert found["altName"] == name
    row = oneworld.rows("SELECT entitytitle, altname FROM entity WHERE id = ?", found["id"])[0]
    assert row == {"altname": name, "entitytitle": f"{found['entityId']} {name}"}


def test_a_person_is_named_by_first_and_last_name(oneworld: Api) -> None:
    customer = oneworld.customer(companyName=None, isPerson=True, firstName="Ada", lastName=unique("L"))
    assert oneworld.get(f"customer/{customer}")["altName"].startswith("Ada L-")


def test_unnumbered_customers_are_named_by_their_company_and_unique(single: Api) -> None:
    name = unique("Bramble")
    assert single.get(f"customer/{single.customer(companyName=name)}")["entityId"] == name
    refused = single.refused("POST", "customer", {"companyName": name})
    assert (refused.status, refused.code) == (400, "USER_ERROR")
    assert refused.detail == "Error while accessing a resource. This entity already exists."


def test_an_external_id_is_taken_once(oneworld: Api) -> None:
    external = unique("cus")
    oneworld.customer(externalId=external)
    refused = oneworld.refused(
        "POST", "customer", {"companyName": "x", "subsidiary": "1", "externalId": external}
    )
    assert refused.status == 400
    assert refused.detail == "Error while accessing a resource. This entity already exists."
    other = oneworld.customer()
    assert oneworld.refused("PATCH", f"customer/{other}", {"externalId": external}).status == 400


def test_a_refused_write_leaves_nothing_behind(oneworld: Api) -> None:
    external = unique("cus")
    body = {
        "companyName": external,
        "subsidiary": "1",
        "currencyList": {"items": [{"currency": {"id": "99"}}]},
    }
    oneworld.refused("PUT", f"customer/eid:{external}", body)
    assert oneworld.refused("GET", f"customer/eid:{external}").status == 404
    assert oneworld.rows("SELECT id FROM customer WHERE companyname = ?", external) == []


def test_the_currency_is_the_subsidiarys_unless_given(oneworld: Api) -> None:
    german = oneworld.full(f"customer/{oneworld.customer(subsidiary={'id': '3'})}")
    assert german["currency"]["refName"] == "EUR"
    assert [line["currency"]["id"] for line in german["currencyList"]["items"]] == ["2"]
    extra = {"items": [{"currency": {"id": "1"}}, {"currency": {"id": "3"}}]}
    many = oneworld.full(f"customer/{oneworld.customer(currency={'id': '2'}, currencyList=extra)}")
    assert many["currency"]["id"] == "2"
    assert [line["currency"]["id"] for line in many["currencyList"]["items"]] == ["2", "1", "3"]


def test_the_subsidiary_is_in_the_relationship_table(oneworld: Api) -> None:
    customer = oneworld.customer(subsidiary={"id": "3"})
    query = "SELECT csr.subsidiary, csr.isprimarysub FROM customer c JOIN customersubsidiaryrelationship csr ON csr.entity = c.id WHERE c.id = ?"
    assert oneworld.rows(query, customer) == [{"isprimarysub": "T", "subsidiary": "3"}]


def test_the_subsidiary_stays_when_there_are_transactions(oneworld: Api) -> None:
    customer = oneworld.customer()
    oneworld.write("PATCH", f"customer/{customer}", {"subsidiary": {"id": "3"}})
    oneworld.invoice(customer)
    assert (
        oneworld.refused("PATCH", f"customer/{customer}", {"subsidiary": {"id": "1"}}).code
        == "INVALID_CONTENT"
    )


def test_the_address_book(oneworld: Api) -> None:
    home = {
        "addressee": "Acme GmbH",
        "addr1": "Ring 5",
        "city": "Wien",
        "zip": "1010",
        "country": {"id": "AT"},
    }
    book = {
        "items": [
            {"defaultBilling": True, "defaultShipping": True, "label": "HQ", "addressBookAddress": home}
        ]
    }
    customer = oneworld.customer(addressBook=book)
    found = oneworld.full(f"customer/{customer}")
    line = found["addressBook"]["items"][0]
    assert isinstance(line["internalId"], int)
    assert (line["defaultBilling"], line["label"]) == (True, "HQ")
    assert line["addressBookAddress"]["addr1"] == "Ring 5"
    assert found["defaultAddress"] == "Acme GmbH\nRing 5\n1010 Wien\nAT"
    key = line["internalId"]
    address = oneworld.get(f"customer/{customer}/addressBook/{key}/addressBookAddress")
    assert (address["city"], address["country"]) == ("Wien", {"id": "AT", "refName": "AT"})

    # A known key changes its line, an unknown one adds a line; the billing default moves.
    second = {"label": "Plant", "defaultBilling": True, "addressBookAddress": {"city": "Graz"}}
    change = {"items": [{"internalId": key, "addressBookAddress": {"addr1": "Ring 6"}}, second]}
    oneworld.write("PATCH", f"customer/{customer}", {"addressBook": change})
    first, added = oneworld.full(f"customer/{customer}")["addressBook"]["items"]
    assert (first["addressBookAddress"]["addr1"], first["addressBookAddress"]["city"]) == ("Ring 6", "Wien")
    assert (first["defaultBilling"], added["defaultBilling"], added["label"]) == (False, True, "Plant")
    query = (
        "SELECT a.city FROM customer c JOIN customeraddressbook b ON b.entity = c.id "
        "JOIN customeraddressbookentityaddress a ON a.nkey = b.addressbookaddress WHERE c.id = ? ORDER BY a.city"
    )
    assert oneworld.rows(query, customer) == [{"city": "Graz"}, {"city": "Wien"}]

    oneworld.send("PATCH", f"customer/{customer}?replace=addressBook", {"addressBook": {"items": [second]}})
    assert [x["label"] for x in oneworld.full(f"customer/{customer}")["addressBook"]["items"]] == ["Plant"]
    oneworld.write("PATCH", f"customer/{customer}", {"addressBook": None})
    assert oneworld.full(f"customer/{customer}")["addressBook"]["totalResults"] == 0


def test_custom_entity_fields(oneworld: Api) -> None:
    customer = oneworld.customer(custentity_billing_id="cus_7H2", custentity_region={"id": "2"})
    found = oneworld.get(f"customer/{customer}")
    assert (found["custentity_billing_id"], found["custentity_region"]) == (
        "cus_7H2",
        {"id": "2", "refName": "EMEA"},
    )
    query = "SELECT custentity_billing_id, custentity_region, BUILTIN.DF(custentity_region) AS shown FROM customer WHERE id = ?"
    assert oneworld.rows(query, customer) == [
        {"custentity_billing_id": "cus_7H2", "custentity_region": "2", "shown": "EMEA"}
    ]


def test_an_inactive_customer_takes_no_new_invoice(oneworld: Api) -> None:
    customer = oneworld.customer()
    invoice = oneworld.invoice(customer)
    oneworld.write("PATCH", f"customer/{customer}", {"isInactive": True})
    body = {"entity": {"id": customer}, "item": {"items": [{"item": "417", "amount": 1}]}}
    assert oneworld.refused("POST", "invoice", body).error["o:errorPath"] == "entity"
    oneworld.write("PATCH", f"invoice/{invoice}", {"memo": "still editable"})
