"""What NetSuite adds to a record that we wrote is kept apart from what the mapping owns."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from month import TenantRules
from writing_tools import Between, Writing, refused

from netsuite_assets.writeback.enrichment import Enriched, enrich
from resources.netsuite.writes import encode, upsert_request
from resources.warehouse import TenantWarehouse, Warehouse

NOW = datetime(2026, 11, 1, 6, tzinfo=UTC)
PERIOD = "2026-10"


@pytest.fixture
def held(tmp_path: Path) -> Iterator[TenantWarehouse]:
    with Warehouse(tmp_path / "warehouse").open("acme") as opened:
        yield opened


@pytest.fixture
def invoice(writing: Writing) -> dict[str, Any]:
    """An invoice of a customer with an address, as an outcome; its body is in `body`."""
    customer = writing.create(
        "customer",
        terms={"id": "2"},
        addressBook={
            "items": [
                {
                    "defaultBilling": True,
                    "addressBookAddress": {
                        "addr1": "Ring 5",
                        "city": "Wien",
                        "zip": "1010",
                        "country": {"id": "AT"},
                    },
                }
            ]
        },
    )
    external_id = f"{writing.prefix}-invoice"
    content = {
        "entity": {"externalId": customer["external_id"]},
        "tranDate": "2026-10-15",
        "memo": "ours",
        "item": {
            "items": [
                {"item": {"id": "417"}, "quantity": 1, "rate": 10, "amount": 10, "taxDetailsReference": "L1"}
            ]
        },
        "taxDetailsOverride": True,
        "taxDetails": {
            "items": [
                {
                    "taxDetailsReference": "L1",
                    "taxType": {"id": "1"},
                    "taxCode": {"id": "11"},
                    "taxBasis": 10,
                    "taxRate": 20,
                    "taxAmount": 2,
                }
            ]
        },
    }
    writing.send([customer])

    async def write() -> str:
        async with writing.netsuite() as netsuite:
            answer = await netsuite.send(upsert_request("invoice", external_id, content))
            assert answer.internal_id is not None
            return answer.internal_id

    return {
        "record": "invoice", "external_id": external_id, "internal_id": asyncio.run(write()), "number": "INV-1",
        "operation_key": "k1", "action": "create", "state": "written", "body": encode(content).decode(),
    }  # fmt: skip


def enriched(
    writing: Writing,
    held: TenantWarehouse,
    rules: TenantRules,
    *outcomes: Mapping[str, Any],
    transport: httpx.AsyncBaseTransport | None = None,
) -> Enriched:
    async def run() -> Enriched:
        async with writing.netsuite(transport) as netsuite:
            bodies = {row["operation_key"]: row["body"] for row in outcomes}
            return await enrich(held, netsuite, rules.mapping, PERIOD, outcomes, lambda keys: bodies, NOW)

    return asyncio.run(run())


def kept(held: TenantWarehouse) -> dict[str, tuple[str | None, str]]:
    rows = held.sql("SELECT field, intended, netsuite FROM write_back.enrichment ORDER BY field")
    assert len({row[0] for row in rows}) == len(rows)
    return {row[0]: (row[1], row[2]) for row in rows}


def test_number_rate_tax_period_and_address_are_netsuites_addition_and_the_mappings_fields_are_none(
    writing: Writing, held: TenantWarehouse, acme: TenantRules, invoice: dict[str, Any]
) -> None:
    assert enriched(writing, held, acme, invoice).unseen == []
    found = kept(held)
    (there,) = writing.query(
        f"SELECT tranid, postingperiod FROM transaction WHERE id = {invoice['internal_id']}"
    )
    assert found["tranId"] == (None, there["tranid"])
    assert found["postingPeriod"] == (None, there["postingperiod"])
    assert found["exchangeRate"] == (None, "1")
    assert found["taxTotal"] == (None, "2")
    assert found["billingAddress"] == (None, "Ring 5, Wien, 1010, AT")
    owned = {mapped.name for mapped in acme.mapping.written["invoice"].fields}
    assert {"terms", "currency", "subsidiary"} <= owned
    assert not owned & set(found)


def test_what_was_asked_for_and_given_is_no_addition_and_what_was_given_otherwise_tells_both(
    writing: Writing, held: TenantWarehouse, acme: TenantRules, invoice: dict[str, Any]
) -> None:
    (there,) = writing.query(f"SELECT postingperiod FROM transaction WHERE id = {invoice['internal_id']}")
    asked = f'{{"postingPeriod":{{"id":"{there["postingperiod"]}"}},"tranId":"MINE-1"}}'
    enriched(writing, held, acme, invoice | {"body": asked})
    found = kept(held)
    assert "postingPeriod" not in found
    assert found["tranId"][0] == "MINE-1"
    assert found["tranId"][1] != "MINE-1"


def test_a_second_write_replaces_what_was_known_of_the_record_and_of_no_other(
    writing: Writing, held: TenantWarehouse, acme: TenantRules, invoice: dict[str, Any]
) -> None:
    for _ in range(2):
        enriched(writing, held, acme, invoice)
    before = kept(held)
    enriched(writing, held, acme, invoice | {"state": "rejected"})
    enriched(writing, held, acme, invoice | {"action": "delete"})
    assert kept(held) == before


def test_a_column_that_the_account_lacks_and_a_table_that_the_role_does_not_see_are_named(
    writing: Writing, held: TenantWarehouse, acme: TenantRules, invoice: dict[str, Any]
) -> None:
    def lacking(request: httpx.Request, answer: httpx.Response | None) -> httpx.Response | None:
        if answer is None and b"t.exchangerate" in request.content:
            return refused(
                "Search error occurred: Unknown identifier 'exchangerate'. Available identifiers are: {id=id}"
            )
        if answer is None and b"transactionbillingaddress" in request.content:
            return refused("Search error occurred: Record 'transactionbillingaddress' was not found.")
        return None

    unseen = enriched(writing, held, acme, invoice, transport=Between(lacking)).unseen
    assert len(unseen) == 2
    assert unseen[0].startswith("invoice.exchangeRate: ")
    assert "transactionbillingaddress" in unseen[1]
    assert {"tranId", "postingPeriod"} <= set(kept(held))
    assert not {"exchangeRate", "billingAddress"} & set(kept(held))


def test_ids_are_told_with_their_names_where_these_are_known(
    writing: Writing, held: TenantWarehouse, acme: TenantRules, invoice: dict[str, Any]
) -> None:
    async def run() -> None:
        async with writing.netsuite() as netsuite:
            netsuite.names = lambda what, ref: "Oct 2026" if what == "accountingPeriod" else None
            await enrich(held, netsuite, acme.mapping, PERIOD, [invoice], lambda keys: {}, NOW)

    asyncio.run(run())
    assert held.sql("SELECT netsuite_name FROM write_back.enrichment WHERE field = 'postingPeriod'") == [
        ("Oct 2026",)
    ]
