"""The client against the sandbox, a NetSuite-compatible server in its own process: the second opinion on both."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from fake_account import pem

from resources.netsuite.arrow import rows_to_arrow
from resources.netsuite.auth import ClientCredentials
from resources.netsuite.client import NetSuite
from resources.netsuite.errors import NotFound, PermissionDenied, Rejected, SignInFailed
from resources.netsuite.governor import Backoff, Governor
from resources.netsuite.hosts import Hosts
from resources.netsuite.records import RECORDS, FieldType, field
from resources.netsuite.suiteql import Select, in_lists
from resources.netsuite.writes import (
    create_request,
    delete_request,
    eid,
    update_request,
    upsert_request,
)

ROOT = Path(__file__).parents[2]
ACCOUNT = "1234567_SB1"
KEYS = {
    "cert-ec": ("billing-integration", ec.generate_private_key(ec.SECP256R1())),
    "cert-rsa": ("billing-integration", rsa.generate_private_key(65537, 3072)),
    "cert-auditor": ("billing-auditor", ec.generate_private_key(ec.SECP384R1())),
}


@dataclass(frozen=True)
class Sandbox:
    """A running sandbox."""

    hosts: Hosts

    def use(
        self, work: Callable[[NetSuite], Awaitable[Any]], certificate: str = "cert-ec", limit: int = 5
    ) -> Any:
        """Run ``work`` with a client that signs in by ``certificate``."""
        client_id, key = KEYS[certificate]

        async def run() -> Any:
            auth = ClientCredentials(self.hosts, client_id, certificate, pem(key))
            governor = Governor(limit, 1, backoff=Backoff(base=0.01, longest=0.1))
            async with NetSuite(self.hosts, auth, governor=governor) as ns:
                return await work(ns)

        return asyncio.run(run())


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    folder = tmp_path_factory.mktemp("keys")
    command = [sys.executable, "-m", "sandbox", "--profile", "sandbox/profiles/oneworld.yaml", "--port", "0"]
    for certificate, (client_id, key) in KEYS.items():
        public = folder / f"{certificate}.pem"
        public.write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
        command += ["--certificate", f"{ACCOUNT}:{client_id}:{certificate}:{public}"]
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONUNBUFFERED": "1"}
    ) as process:
        assert process.stdout is not None
        ready = re.search(r"ready at (http://\S+)", process.stdout.readline())
        assert ready is not None, "the sandbox did not start"
        try:
            yield Sandbox(Hosts(ACCOUNT, f"{ready[1]}/1234567-sb1"))
        finally:
            process.terminate()
            process.wait(10)


def customer(number: str, **more: Any) -> dict[str, Any]:
    return {"companyName": f"Acme {number} GmbH", "subsidiary": {"id": "1"}, "currency": {"id": "1"}, **more}


def invoice(customer_id: str, *lines: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "entity": {"id": customer_id},
        "subsidiary": {"id": "1"},
        "currency": {"id": "1"},
        "tranDate": "2026-10-31",
        "item": {"items": list(lines)},
        **more,
    }


CALLS = {
    "item": {"id": "412"},
    "description": "API calls Oct",
    "quantity": 1200,
    "rate": Decimal("1.10"),
    "amount": Decimal("1320.00"),
}
STORAGE = {
    "item": {"id": "413"},
    "description": "Storage",
    "quantity": 3,
    "rate": Decimal("33.35"),
    "amount": Decimal("100.05"),
}


async def new_customer(ns: NetSuite, external_id: str, **more: Any) -> str:
    answer = await ns.send(upsert_request("customer", external_id, customer(external_id, **more)))
    assert answer.internal_id is not None
    return answer.internal_id


@pytest.mark.parametrize("certificate", ["cert-ec", "cert-rsa"])
def test_signing_in_by_elliptic_curve_and_rsa(sandbox: Sandbox, certificate: str) -> None:
    rows = sandbox.use(lambda ns: ns.suiteql_rows("SELECT COUNT(*) AS n FROM currency"), certificate)
    assert rows == [{"n": "3"}]


@pytest.mark.parametrize(
    ("client_id", "certificate_id", "key"),
    [
        ("billing-integration", "cert-gone", KEYS["cert-ec"][1]),
        ("nobody", "cert-ec", KEYS["cert-ec"][1]),
        ("billing-integration", "cert-ec", ec.generate_private_key(ec.SECP256R1())),
    ],
)
def test_wrong_credentials_are_refused_with_the_place_to_look(
    sandbox: Sandbox, client_id: str, certificate_id: str, key: Any
) -> None:
    async def run() -> None:
        auth = ClientCredentials(sandbox.hosts, client_id, certificate_id, pem(key))
        async with NetSuite(sandbox.hosts, auth, governor=Governor()) as ns:
            await ns.get("customer", "1")

    with pytest.raises(SignInFailed, match="Login Audit Trail"):
        asyncio.run(run())


def test_an_upsert_creates_once_and_then_updates(sandbox: Sandbox) -> None:
    async def work(ns: NetSuite) -> None:
        assert await ns.find_by_external_id("customer", "up-1") is None
        first = await ns.send(upsert_request("customer", "up-1", customer("up-1")))
        second = await ns.send(upsert_request("customer", "up-1", {"email": "ap@acme.example"}))
        assert first.status == second.status == 204
        assert first.internal_id == second.internal_id == await ns.find_by_external_id("customer", "up-1")
        assert first.request_id
        found = await ns.get("customer", eid("up-1"))
        assert found["id"] == first.internal_id
        assert found["externalId"] == "up-1"
        assert found["email"] == "ap@acme.example"
        assert found["companyName"] == "Acme up-1 GmbH"

    sandbox.use(work)


def test_an_invoice_reads_back_to_the_cent_and_replaces_its_lines(sandbox: Sandbox) -> None:
    async def work(ns: NetSuite) -> None:
        buyer = await new_customer(ns, "inv-c1")
        await ns.send(upsert_request("invoice", "inv-1", invoice(buyer, CALLS, STORAGE, memo="October")))
        found = await ns.get("invoice", eid("inv-1"), expand=True)
        assert found["total"] == Decimal("1420.05")
        assert isinstance(found["total"], Decimal)
        assert [line["amount"] for line in found["item"]["items"]] == [Decimal("1320"), Decimal("100.05")]
        await ns.send(upsert_request("invoice", "inv-1", invoice(buyer, STORAGE)))
        found = await ns.get("invoice", eid("inv-1"), expand=True)
        assert [line["item"]["id"] for line in found["item"]["items"]] == ["413"]
        assert found["total"] == Decimal("100.05")
        assert found["memo"] == "October"
        line = found["item"]["items"][0]["line"]
        change = {"memo": None, "item": {"items": [{"line": line, "description": "Renamed"}]}}
        await ns.send(update_request("invoice", found["id"], change))
        found = await ns.get("invoice", found["id"], expand=True)
        assert "memo" not in found
        assert [row["description"] for row in found["item"]["items"]] == ["Renamed"]

    sandbox.use(work)


def plain(value: Any) -> str | None:
    """A REST value as SuiteQL prints it."""
    match value:
        case None:
            return None
        case bool():
            return "T" if value else "F"
        case dict():
            return str(value["id"])
        case _:
            return str(value)


def same(known: FieldType, rest: Any, suiteql: str | None) -> bool:
    if known.kind == "datetime":
        return (rest is None) == (suiteql is None)
    if known.kind in ("amount", "rate", "quantity") and rest is not None and suiteql is not None:
        return Decimal(str(rest)) == Decimal(suiteql)
    return plain(rest) == suiteql


async def compared(
    ns: NetSuite, known: FieldType, source: str, where: str, rest: list[dict[str, Any]]
) -> list[str]:
    """What differs in one field between the record's own values and SuiteQL's, in words."""
    if not known.in_suiteql:
        return []
    rows = await ns.suiteql_rows(f"SELECT {known.suiteql} AS v FROM {source} WHERE {where}")
    assert len(rows) == len(rest), known
    return [
        f"{known.name}: REST {shown.get(known.name)!r}, SuiteQL {row.get('v')!r}"
        for shown, row in zip(rest, rows, strict=True)
        if not same(known, shown.get(known.name), row.get("v"))
    ]


CUSTOM_OF = {
    "customer": ["custentity_billing_id"],
    "invoice": ["custbody_subscription_ref", "cseg_product"],
    "creditMemo": ["custbody_subscription_ref", "cseg_product"],
}


@pytest.mark.parametrize("name", ["customer", "invoice", "creditMemo"])
def test_each_field_of_the_schema_has_the_same_value_by_suiteql_as_in_the_record(
    sandbox: Sandbox, name: str
) -> None:
    """The one table that mapping and extraction rely on, checked field by field."""

    async def work(ns: NetSuite) -> None:
        more = {
            "email": "ap@acme.example",
            "phone": "+1 555",
            "terms": {"id": "2"},
            "custentity_billing_id": "b-1",
        }
        buyer = await new_customer(ns, f"same-{name}", **more)
        record, owner = buyer, RECORDS[name]
        if name != "customer":
            line = {**CALLS, "class": {"id": "7"}, "department": {"id": "2"}, "location": {"id": "5"}}
            content = invoice(
                buyer,
                line,
                {**STORAGE, "cseg_product": {"id": "2"}, "custcol_service_start": "2026-10-01"},
                memo="October",
                otherRefNum="PO-778",
                department={"id": "2"},
                location={"id": "5"},
                cseg_product={"id": "4"},
                custbody_subscription_ref="sub-9",
                **{"class": {"id": "7"}},
            )
            record = (await ns.send(upsert_request(name, f"same-{name}-1", content))).internal_id or ""
        rest = await ns.get(name, record, expand=True)
        differing: list[str] = []
        header = [*owner.fields.values(), *(field(name, custom) for custom in CUSTOM_OF[name])]
        where = f"{owner.where} AND {owner.row_key} = {record}".removeprefix(" AND ")
        for known in header:
            differing += await compared(ns, known, owner.source, where, [rest])
        if lines := owner.sublists.get("item"):
            where = f"{lines.where} AND {lines.owner} = {record} ORDER BY {lines.row_key}"
            of_lines = [
                *lines.fields.values(),
                field(name, "cseg_product", "item"),
                field(name, "custcol_service_start", "item", kind="date"),
            ]
            for known in of_lines:
                differing += await compared(ns, known, lines.source, where, rest["item"]["items"])
        assert differing == []

    sandbox.use(work)


def test_what_is_not_there_and_what_is_another_type(sandbox: Sandbox) -> None:
    async def work(ns: NetSuite) -> None:
        buyer = await new_customer(ns, "type-c")
        bill = (await ns.send(upsert_request("invoice", "type-1", invoice(buyer, CALLS)))).internal_id
        assert bill is not None
        with pytest.raises(NotFound):
            await ns.get("invoice", "99999999")
        with pytest.raises(NotFound):
            await ns.get("invoice", eid("no-such"))
        with pytest.raises(Rejected, match="another type"):
            await ns.get("creditMemo", bill)
        with pytest.raises(Rejected, match="no REST record type 'file'"):
            await ns.get("file", "1")
        assert (await ns.send(delete_request("invoice", bill))).internal_id is None
        with pytest.raises(NotFound):
            await ns.get("invoice", bill)

    sandbox.use(work)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"memmo": "x"}, "memmo"),
        ({"terms": {"id": "77"}}, "'77' cannot be used for terms"),
        ({"item": {"items": [{**CALLS, "item": {"id": "9999"}}]}}, "'9999' cannot be used for item"),
        ({"tranDate": "2026-07-15"}, "Manage Accounting Periods"),
        ({"subsidiary": {"id": "3"}}, "subsidiary"),
    ],
)
def test_what_netsuite_refuses_is_explained(sandbox: Sandbox, change: dict[str, Any], says: str) -> None:
    async def work(ns: NetSuite) -> None:
        buyer = await new_customer(ns, "refuse-c")
        await ns.send(upsert_request("invoice", "refuse-1", {**invoice(buyer, CALLS), **change}))

    with pytest.raises(Rejected, match=re.escape(says)) as caught:
        sandbox.use(work)
    assert caught.value.status == 400
    assert caught.value.request_id


def test_a_missing_subsidiary_is_named(sandbox: Sandbox) -> None:
    with pytest.raises(Rejected, match="mandatory: Primary Subsidiary"):
        sandbox.use(lambda ns: ns.send(upsert_request("customer", "nosub", {"companyName": "No Sub"})))


def test_a_role_without_a_permission_is_told_which(sandbox: Sandbox) -> None:
    with pytest.raises(PermissionDenied, match=r"table 'customer'.*'Customers'"):
        sandbox.use(lambda ns: ns.suiteql_rows("SELECT id FROM customer"), "cert-auditor")
    with pytest.raises(PermissionDenied, match="'Customers'"):
        sandbox.use(lambda ns: ns.send(upsert_request("customer", "x", customer("x"))), "cert-auditor")


def test_a_query_with_a_mistake_is_explained(sandbox: Sandbox) -> None:
    with pytest.raises(Rejected, match="'nosuch' does not exist there"):
        sandbox.use(lambda ns: ns.suiteql_rows("SELECT t.nosuch FROM transaction t"))
    with pytest.raises(Rejected, match="no table 'nosuch'"):
        sandbox.use(lambda ns: ns.suiteql_rows("SELECT x.id FROM nosuch x"))


def test_external_ids_that_no_address_can_hold(sandbox: Sandbox) -> None:
    async def work(ns: NetSuite) -> None:
        made = await ns.send(create_request("customer", customer("odd", externalId="A|B & C")))
        assert await ns.find_by_external_id("customer", "A|B & C") == made.internal_id
        assert (await ns.get("customer", eid("A|B & C")))["id"] == made.internal_id
        assert await ns.find_by_external_id("customer", "A|B & D") is None

    sandbox.use(work)


def test_values_in_queries_are_quoted(sandbox: Sandbox) -> None:
    async def work(ns: NetSuite) -> None:
        name = 'O\'Neil ? "quoted" -- GmbH'
        made = await ns.send(upsert_request("customer", "quoted", customer("quoted") | {"companyName": name}))
        query = "SELECT id, companyname FROM customer WHERE companyname = ?"
        assert await ns.suiteql_rows(query, [name]) == [{"id": made.internal_id, "companyname": name}]
        (condition,) = in_lists("c.externalid", ["quoted", "x'y"])
        assert len(await ns.suiteql_rows(f"SELECT c.id FROM customer c WHERE {condition}")) == 1

    sandbox.use(work)


def test_a_set_is_read_whole_by_key_and_typed(sandbox: Sandbox) -> None:
    async def work(ns: NetSuite) -> None:
        await asyncio.gather(*(new_customer(ns, f"many-{n}") for n in range(57)))
        many = Select(
            {"id": "c.id", "externalid": "c.externalid", "made": "TO_CHAR(c.datecreated, 'YYYY-MM-DD')"},
            "customer c",
            "c.externalid LIKE 'many-%'",
            key="c.id",
        )
        schema = pa.schema([("id", pa.int64()), ("externalid", pa.string()), ("made", pa.date32())])
        batches = [batch async for batch in rows_to_arrow(ns.rows_keyset(many, page_size=10), schema)]
        table = pa.Table.from_batches(batches)
        assert [batch.num_rows for batch in batches] == [10, 10, 10, 10, 10, 7]
        assert sorted(table.column("externalid").to_pylist()) == sorted(f"many-{n}" for n in range(57))
        (census,) = await ns.suiteql_rows(many.census())
        ids = table.column("id").to_pylist()
        assert census == {
            "row_count": "57",
            "distinct_keys": "57",
            "low": str(min(ids)),
            "high": str(max(ids)),
            "key_sum": str(sum(ids)),
        }
        paged = [
            row["id"]
            async for page in ns.suiteql(
                "SELECT id FROM customer WHERE externalid LIKE 'many-%' ORDER BY id", page_size=20
            )
            for row in page.rows()
        ]
        assert paged == [str(i) for i in ids]

    sandbox.use(work)


def test_more_in_flight_than_the_account_allows_fails_nothing(sandbox: Sandbox) -> None:
    async def work(ns: NetSuite) -> tuple[list[str], Any]:
        ids = await asyncio.gather(*(new_customer(ns, f"flood-{n}") for n in range(120)))
        return ids, ns.governor.figures()

    ids, figures = sandbox.use(work, limit=60)
    assert len(set(ids)) == 120
    assert figures.requests == 120 + figures.rejections
    assert figures.peak > 15
    assert figures.in_flight == 0
