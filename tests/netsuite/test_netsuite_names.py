"""Beside every internal id that an error names stands what people call the record, as far as the warehouse knows it."""

# No `from __future__ import annotations`: Dagster reads the annotation of an asset's `context`.

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import httpx
import pytest
from fake_account import HOSTS, credentials, envelope, governor, rows_page
from hypothesis import given
from hypothesis import strategies as st
from month import NOW, Month

from netsuite_assets import frames
from netsuite_assets.extract.reference import MASTERS
from netsuite_assets.names import WarehouseNames
from netsuite_assets.partitions import tenant_months
from netsuite_assets.runs import TenantRun, quota_counted
from netsuite_assets.writeback.apply import Applied, apply_plan
from netsuite_assets.writeback.plan import make_plan
from resources.ledger import Ledger
from resources.netsuite.client import NetSuite
from resources.netsuite.deadline import Deadlines
from resources.netsuite.errors import InDoubt, NetSuiteError, NotFound, Rejected
from resources.netsuite.names import Names, Subject, known
from resources.netsuite.writes import delete_request, upsert_request
from resources.warehouse import Warehouse

KNOWN = {
    ("item", "9999"): "API Calls",
    ("subsidiary", "3"): "Acme GmbH",
    ("customer", "647"): "Nordwind Ltd",
    ("customer", "cus-1"): "Nordwind Ltd",
    ("account", "119"): "Accounts Receivable",
    ("accountingPeriod", "105"): "Jul 2026",
    ("term", "2"): "Net 30",
    ("customrecord_cseg_product", "4"): "Platform",
    ("custbody_region", "2"): "EMEA",
    ("invoice", "5001"): "INV-7 of Nordwind Ltd",
    ("currency", "1"): "USD",
    ("customerPayment", "900"): "PYMT-1 of Nordwind Ltd",
    ("classification", "7"): "Cloud",
}


def names(what: str, ref: str) -> str | None:
    return KNOWN.get((what, ref))


BODY = {
    "entity": {"externalId": "cus-1"},
    "subsidiary": {"id": "3"},
    "cseg_product": {"id": "4"},
    "item": {"items": [{"item": {"id": "10"}}, {"item": {"id": "9999"}, "amount": 1}]},
}
SUBJECT = Subject("invoice", body=json.dumps(BODY).encode(), names=names)


@pytest.mark.parametrize(
    ("words", "path", "told"),
    [
        ("You have entered an Invalid Field Value 9999 for the following field: item.", "", ["item 9999 is API Calls"]),
        ("You have entered an Invalid Field Value 9999 for the following field: item", "item.items[1].item",
         ["item 9999 is API Calls"]),
        ("Invalid Field Value 4 for the following field: cseg_product", "", ["cseg_product 4 is Platform"]),
        ("Invalid Field Value 2 for the following field: custbody_region.", "", ["custbody_region 2 is EMEA"]),
        ("Invalid Field Value 2 for the following field: terms", "", ["terms 2 is Net 30"]),
        ("Invalid Field Value 7 for the following field: class", "", ["class 7 is Cloud"]),
        ("Invalid Field Value 77 for the following field: terms", "", []),
        ("Invalid entity reference key 647 for subsidiary 3.", "",
         ["entity 647 is Nordwind Ltd", "subsidiary 3 is Acme GmbH"]),
        ("Invalid entity reference key 'cus-1' for subsidiary 3", "",
         ["entity cus-1 is Nordwind Ltd", "subsidiary 3 is Acme GmbH"]),
        ("Invalid account reference key 119.", "", ["account 119 is Accounts Receivable"]),
        ("Invalid postingperiod reference key 105", "", ["postingperiod 105 is Jul 2026"]),
        ("The accounting period 105 is closed.", "", ["accounting period 105 is Jul 2026"]),
        ("Customer 647 has no access to subsidiary with internal id 3 in currency: 1", "",
         ["customer 647 is Nordwind Ltd", "subsidiary 3 is Acme GmbH", "currency 1 is USD"]),
        ("Invoice #5001 is locked.", "", ["invoice 5001 is INV-7 of Nordwind Ltd"]),
        ("Payment 900 does not apply to journal entry 901", "", ["payment 900 is PYMT-1 of Nordwind Ltd"]),
        ("The period 105-2026 and item 9999.50 are none.", "", []),
        ("The Income account cannot be used.", "subsidiary", ["subsidiary 3 is Acme GmbH"]),
        ("Something about the customer.", "entity", ["entity cus-1 is Nordwind Ltd"]),
        ("Something about a line.", "item.items[9].item", []),
        ("Something about a line.", "item.items[1].amount", []),
    ],
)  # fmt: skip
def test_the_ids_in_netsuites_words_and_where_they_point_are_found(
    words: str, path: str, told: list[str]
) -> None:
    assert [str(each) for each in known(SUBJECT, [words], [path] if path else [])] == told


@given(words=st.text(), path=st.text(alphabet="item.s[]0129x"), body=st.binary(), record=st.text(max_size=9))
def test_no_answer_whatever_breaks_the_search_for_names(
    words: str, path: str, body: bytes, record: str
) -> None:
    for sent in (body, b'{"item":{"items":[{"item":"5"}]}}'):
        known(Subject(record, "1", sent, lambda what, ref: None), [words, f"item {words}"], [path])


def failing(
    work: Callable[[NetSuite], Awaitable[Any]], answer: httpx.Response, namer: Names = names
) -> NetSuiteError:
    """The error that ``work`` ends as when the account gives this answer."""

    def respond(request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/token"):
            return httpx.Response(200, json={"access_token": "t", "expires_in": 3600})
        return httpx.Response(answer.status_code, headers=answer.headers, content=answer.content)

    async def run() -> None:
        transport = httpx.MockTransport(respond)
        async with NetSuite(HOSTS, credentials(), governor=governor(attempts=2), transport=transport) as ns:
            ns.names = namer
            await work(ns)

    with pytest.raises(NetSuiteError) as caught:
        asyncio.run(run())
    return caught.value


REFUSED = "Error while accessing a resource. You have entered an Invalid Field Value 9999 for the following field: item."
UPSERT = upsert_request("invoice", "inv-7", BODY, label="invoice INV-7 of Nordwind Ltd (inv-7)")


def test_a_refused_write_keeps_netsuites_words_and_tells_the_name_beside_them_and_in_the_advice() -> None:
    answer = envelope(400, "INVALID_CONTENT", REFUSED, **{"o:errorPath": "item.items[1].item"})
    error = failing(lambda ns: ns.send(UPSERT), answer)
    assert isinstance(error, Rejected)
    assert error.said == f"{REFUSED} (at item.items[1].item)"
    assert f'It said: "{error.said}" (item 9999 is API Calls.)' in str(error)
    assert error.what_to_do.startswith("'9999' (API Calls) cannot be used for item:")


def test_where_netsuite_only_points_the_id_that_was_sent_there_is_named() -> None:
    words = "The account cannot be used with the subsidiary of the transaction."
    answer = envelope(400, "USER_ERROR", words, **{"o:errorPath": "subsidiary"})
    said = str(failing(lambda ns: ns.send(UPSERT), answer))
    assert f'It said: "{words} (at subsidiary)" (subsidiary 3 is Acme GmbH.)' in said


def test_two_records_with_one_external_id_are_named() -> None:
    """An external id that no address can hold is looked up by a query, which gives internal ids."""
    found = httpx.Response(
        200, json={"items": [{"id": "5001"}, {"id": "5002"}], "id": "x", "externalId": "a|b"}
    )
    error = failing(lambda ns: ns.find_by_external_id("invoice", "a|b"), found)
    assert isinstance(error, Rejected)
    assert "records 5001, 5002 all have this external id" in error.said
    assert "(invoice 5001 is INV-7 of Nordwind Ltd.)" in str(error)


def test_the_record_that_was_asked_for_by_its_id_is_named() -> None:
    gone = envelope(404, "NONEXISTENT_ID", "The record instance does not exist.")
    error = failing(lambda ns: ns.get("customer", "647"), gone)
    assert isinstance(error, NotFound)
    assert "(customer 647 is Nordwind Ltd.)" in str(error)
    assert "INV-7" not in str(failing(lambda ns: ns.get("customer", "5001"), gone))


def test_a_record_whose_name_is_told_already_is_not_named_twice() -> None:
    delete = delete_request("invoice", "5001", label="invoice INV-7 of Nordwind Ltd (internal id 5001)")
    error = failing(lambda ns: ns.send(delete), envelope(503, "", "Down"))
    assert isinstance(error, InDoubt)
    assert str(error).count("INV-7 of Nordwind Ltd") == 2  # what was attempted, and what to look up
    unnamed = failing(lambda ns: ns.send(delete_request("invoice", "5001")), envelope(503, "", "Down"))
    assert "(invoice 5001 is INV-7 of Nordwind Ltd.)" in str(unnamed)


# The warehouse's names


def test_the_names_are_those_that_have_landed(october: Month) -> None:
    october.close_period("2026-09")
    october.sql(
        "UPDATE netsuite.reference SET external_id = '3' WHERE list = 'subsidiary' AND internal_id = '1'"
    )
    namer = WarehouseNames(october.held, october.rules.mapping)
    customer = october.internal_id("cus-c1")
    assert namer("customer", customer) == namer("customer", "cus-c1") == "Nordwind Ltd"
    assert namer("item", "11") == "usage"
    assert namer("subsidiary", "3") == "Acme GmbH"  # an internal id before another's external id
    assert namer("customrecord_cseg_product", "2") == namer("cseg_product", "2") == "Storage"
    assert namer("term", "2") == "Net 30"
    number = october.held.value("SELECT number FROM netsuite.invoices WHERE external_id = 'inv-plain'")
    invoice = october.internal_id("inv-plain")
    assert namer("invoice", invoice) == namer("transaction", invoice) == f"{number} of Nordwind Ltd"
    assert namer("creditMemo", invoice) is None
    period = october.held.value("SELECT internal_id FROM netsuite.periods")
    assert namer("accountingPeriod", period) == october.held.value("SELECT name FROM netsuite.periods")
    assert namer("item", "404") is None
    assert namer("account", "119") is None
    masters = {master.look_up: master for master in MASTERS}
    for look_up, row in {
        "account": {"internal_id": "119", "number": "1100", "full_name": "Accounts Receivable"},
        "classification": {"internal_id": "7", "name": "Cloud", "external_id": "cls-cloud"},
        "item": {"internal_id": "11", "item_id": "API Calls"},
    }.items():
        table = f"netsuite.{masters[look_up].table}"
        october.held.ensure_table(table, masters[look_up].landed)
        columns, values = ", ".join(row), ", ".join(f"'{value}'" for value in row.values())
        october.sql(f"INSERT INTO {table} ({columns}) VALUES ({values})")
    assert namer("account", "119") == "1100 Accounts Receivable"
    assert namer("classification", "7") == namer("classification", "cls-cloud") == "Cloud"
    assert namer("item", "11") == "API Calls"
    assert namer("item", "12") == "seats"  # known as a look-up alone
    assert namer("x'); DROP TABLE netsuite.reference; --", "1") is None


def test_nothing_landed_and_a_transaction_that_failed_are_no_failure_of_the_error(
    warehouse: Warehouse, october: Month
) -> None:
    with warehouse.open("globex") as held:
        assert WarehouseNames(held, october.rules.mapping)("item", "11") is None
    namer = WarehouseNames(october.held, october.rules.mapping)
    with pytest.raises(Exception, match="divide"), october.held.transaction():  # noqa: PT012
        october.sql("SELECT error('divide')")
        raise AssertionError
    october.held.connection.execute("BEGIN")
    with pytest.raises(Exception, match="no_such"):
        october.sql("SELECT * FROM no_such")
    assert namer("item", "11") == "usage"
    october.held.connection.execute("ROLLBACK")


# What a person sees


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    opened = Ledger(f"sqlite:///{tmp_path / 'ledger.sqlite'}")
    yield opened
    opened.close()


def applied(month: Month, ledger: Ledger, write: Callable[[httpx.Request], Any]) -> Applied:
    """Plan what differs and send it to an account that answers writes so."""
    month.prove()
    month.reconcile()
    rules = month.rules.with_policy(mode="apply")
    make_plan(month.held, rules.tenant, rules.mapping, month.period, ledger, NOW)

    async def respond(request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/token"):
            return httpx.Response(200, json={"access_token": "t", "expires_in": 3600})
        if request.url.path.endswith("/suiteql"):
            return rows_page([])
        answer = write(request)
        return await answer if isinstance(answer, Awaitable) else answer

    async def run() -> Applied:
        transport = httpx.MockTransport(respond)
        async with NetSuite(
            HOSTS, credentials(), governor=governor(), deadlines=Deadlines(0.2, 0.2), transport=transport
        ) as ns:
            ns.names = WarehouseNames(month.held, rules.mapping)
            return await apply_plan(
                month.held,
                ns,
                rules.tenant,
                rules.mapping,
                month.period,
                ledger,
                lambda: NOW,
                lambda *_: None,
            )

    return asyncio.run(run())


def test_the_exception_of_a_refused_write_names_what_netsuite_names_by_id(
    october: Month, ledger: Ledger
) -> None:
    october.remove("inv-euro")
    words = "Invalid item reference key 11 for subsidiary 3."
    applied(october, ledger, lambda request: envelope(400, "USER_ERROR", words))
    found = frames.records(frames.read(october.held, frames.EXCEPTIONS, october.period))
    (told,) = (row for row in found if row["stage"] == "apply")
    assert (told["code"], told["external_id"]) == ("rejected", "inv-euro")
    assert f'It said: "{words}" (item 11 is usage; subsidiary 3 is Acme GmbH.)' in told["reason"]
    assert "invoice N-euro of Café Zürich 株式会社 (inv-euro)" in told["reason"]


@pytest.mark.parametrize(("way", "state"), [("rejected", "waiting"), ("silent", "in_doubt")])
def test_a_write_whose_deadline_passes_goes_out_later_or_is_looked_up(
    october: Month, ledger: Ledger, way: str, state: str
) -> None:
    october.remove("inv-euro")

    async def silence(request: httpx.Request) -> httpx.Response:
        await asyncio.sleep(60 if request.method == "PUT" else 0)
        return envelope(404, "NONEXISTENT_ID", "The record instance does not exist.")

    busy = envelope(429, "CONCURRENCY_LIMIT_EXCEEDED", "Concurrent request limit exceeded. Request blocked.")
    done = applied(october, ledger, silence if way == "silent" else lambda request: busy)
    (outcome,) = frames.records(done.outcomes)
    assert outcome["state"] == state
    assert "of 0.2 seconds allowed" in outcome["detail"]
    assert bool(ledger.open_intents("acme")) == (state == "in_doubt")


def test_in_a_run_every_asset_that_asks_netsuite_tells_names(october: Month) -> None:
    """Whatever an asset asks within the block that counts its requests."""
    customer = october.internal_id("cus-c1")

    def respond(request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/token"):
            return httpx.Response(200, json={"access_token": "t", "expires_in": 3600})
        return envelope(404, "NONEXISTENT_ID", "The record instance does not exist.")

    @dg.asset(partitions_def=tenant_months)
    def asking(context: dg.AssetExecutionContext) -> None:
        run = TenantRun(october.rules.tenant, october.rules.mapping, "2026-10")

        async def ask() -> None:
            transport = httpx.MockTransport(respond)
            client = NetSuite(HOSTS, credentials(), governor=governor(), transport=transport)
            async with client, quota_counted(context, run, october.held, client):
                await client.get("customer", customer)

        with pytest.raises(NotFound, match=f"customer {customer} is Nordwind Ltd"):
            asyncio.run(ask())

    with dg.DagsterInstance.ephemeral() as instance:
        instance.add_dynamic_partitions("tenants", ["acme"])
        assert dg.materialize([asking], instance=instance, partition_key="2026-10-01|acme").success
