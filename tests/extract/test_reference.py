"""NetSuite's masters and what look-ups resolve against, as the record service has them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from trail_tools import Office, rows

from netsuite_assets.extract import reference
from netsuite_assets.extract.rows import Column
from netsuite_assets.extract.visibility import not_visible
from resources.netsuite.client import NetSuite
from resources.netsuite.errors import Incomplete, PermissionDenied, Rejected
from resources.netsuite.writes import delete_request
from resources.warehouse import TenantWarehouse


def _id(value: Any) -> str | None:
    return None if value is None else value["id"]


def _day(value: str | None) -> str | None:
    return None if value is None else value[:10]


Read = Callable[[dict[str, Any]], Any]
#: Each landed column, and the same in the record service's answer.
SAME: dict[str, tuple[str, dict[str, Read]]] = {
    "subsidiaries": (
        "subsidiary",
        {
            "name": lambda r: r["name"],
            "parent": lambda r: _id(r.get("parent")),
            "currency_id": lambda r: r["currency"]["id"],
            "country": lambda r: r["country"]["id"],
            "is_elimination": lambda r: r["isElimination"],
            "is_inactive": lambda r: r["isInactive"],
        },
    ),
    "currencies": (
        "currency",
        {
            "name": lambda r: r["name"],
            "symbol": lambda r: r["symbol"],
            "exchange_rate": lambda r: Decimal(str(r["exchangeRate"])),
            "is_base": lambda r: r["isBaseCurrency"],
            "is_inactive": lambda r: r["isInactive"],
        },
    ),
    "periods": (
        "accountingPeriod",
        {
            "name": lambda r: r["periodName"],
            "closed": lambda r: r["closed"],
            "ar_locked": lambda r: r["arLocked"],
            "ap_locked": lambda r: r["apLocked"],
            "all_locked": lambda r: r["allLocked"],
            "allow_non_gl_changes": lambda r: r["allowNonGLChanges"],
            "closed_on": lambda r: _day(r.get("closedOnDate")),
        },
    ),
    "terms": (
        "term",
        {
            "name": lambda r: r["name"],
            "days_until_net_due": lambda r: r["daysUntilNetDue"],
            "is_inactive": lambda r: r["isInactive"],
            "external_id": lambda r: r.get("externalId"),
        },
    ),
    "accounts": (
        "account",
        {
            "number": lambda r: r["acctNumber"],
            "account_type": lambda r: r["acctType"]["id"],
            "parent": lambda r: _id(r.get("parent")),
            "is_summary": lambda r: r.get("isSummary", False),
            "is_inactive": lambda r: r["isInactive"],
            "external_id": lambda r: r.get("externalId"),
        },
    ),
    "departments": (
        "department",
        {"name": lambda r: r["name"], "is_inactive": lambda r: r["isInactive"]},
    ),
    "classes": (
        "classification",
        {"name": lambda r: r["name"], "is_inactive": lambda r: r["isInactive"]},
    ),
    "locations": (
        "location",
        {"name": lambda r: r["name"], "is_inactive": lambda r: r["isInactive"]},
    ),
}


def test_each_master_is_as_the_record_service_has_it(office: Office, held: TenantWarehouse) -> None:
    office.write("term", {"name": "Net 7", "daysUntilNetDue": 7, "externalId": "net-7"}, "ada")
    made = office.write("department", {"name": "Support", "externalId": "support"}, "ada")
    office.write("department", {"name": "Level 2", "parent": {"id": made}, "isInactive": True}, "ada")
    office.admin("POST", "periods", {"month": "2026-09", "closed": True, "allow_non_gl_changes": True})
    office.reference(held)

    async def compare(netsuite: NetSuite) -> list[str]:
        differing = []
        for table, (record, columns) in SAME.items():
            landed = rows(held, f"netsuite.{table}", "internal_id::BIGINT DESC LIMIT 20")
            assert landed or office.subsidiary is None
            there = await asyncio.gather(*(netsuite.get(record, row["internal_id"]) for row in landed))
            for row, found in zip(landed, there, strict=True):
                own = {name: _plain(row[name]) for name in columns}
                other = {name: read(found) for name, read in columns.items()}
                full = (row.get("full_name"), found.get("fullName", found["refName"]))
                if own != other or full[0] not in (None, full[1]):
                    differing.append(
                        f"{table} {row['internal_id']}: {own} {full[0]}, there {other} {full[1]}"
                    )
        return differing

    assert office.use(compare, "ada") == []
    closed = held.sql(
        "SELECT closed, allow_non_gl_changes FROM netsuite.periods WHERE start_date = '2026-09-01'"
    )
    assert closed == [(True, True)]
    levels = held.sql(
        "SELECT name, full_name, parent = ? FROM netsuite.departments WHERE is_inactive", [made]
    )
    assert levels == [("Level 2", "Support : Level 2", True)]


def test_items_of_all_types_land_with_their_accounts(office: Office, held: TenantWarehouse) -> None:
    deferred = office.write(
        "account", {"acctName": "Deferred Support", "acctNumber": "2777", "acctType": "DeferRevenue"}, "ada"
    )
    income = held_account = "598" if office.subsidiary else "31"
    companies = {"subsidiary": {"items": [{"id": "1"}]}} if office.subsidiary else {}
    made = office.write(
        "serviceSaleItem",
        companies
        | {
            "itemId": "Premium Support",
            "displayName": "Premium support",
            "externalId": "premium",
            "incomeAccount": {"id": income},
            "deferredRevenueAccount": {"id": deferred},
        },
        "ada",
    )
    office.reference(held)
    (row,) = held.sql(
        "SELECT item_id, display_name, item_type, subtype, income_account, deferred_revenue_account, external_id,"
        " is_inactive, last_modified IS NOT NULL FROM netsuite.items WHERE internal_id = ?",
        [made],
    )
    assert row == (
        "Premium Support",
        "Premium support",
        "Service",
        "Sale",
        held_account,
        deferred,
        "premium",
        False,
        True,
    )
    everything = office.use(lambda netsuite: netsuite.suiteql_rows("SELECT id FROM item ORDER BY id"))
    assert {row["id"] for row in everything} == {
        row[0] for row in held.sql("SELECT internal_id FROM netsuite.items")
    }


def test_what_is_looked_up_knows_its_subsidiary_and_currency(oneworld: Office, held: TenantWarehouse) -> None:
    oneworld.reference(held)
    found = held.sql("SELECT list, name, number, subsidiary, currency FROM netsuite.reference")
    assert ("currency", "EUR", "EUR", None, "EUR") in found
    assert ("subsidiary", "EU GmbH", "EU GmbH", None, "EUR") in found
    assert ("item", "Usage", "Usage", None, None) in found
    assert ("cseg_product", "Metering", "Metering", None, None) in found
    assert {row[0] for row in found} == oneworld.mapping.lists
    assert held.sql("SELECT name, subsidiary FROM netsuite.locations ORDER BY 1") == [
        ("Berlin", "3"),
        ("New York", "1"),
    ]
    assert held.sql("SELECT name, currency FROM netsuite.subsidiaries ORDER BY 1") == [
        ("Acme Metering Inc", "USD"),
        ("EU GmbH", "EUR"),
    ]


def test_a_list_that_one_page_holds_takes_one_request(oneworld: Office, held: TenantWarehouse) -> None:
    oneworld.reference(held)
    oneworld.queries.clear()
    oneworld.reference(held)
    # One for each of nine masters and the segment, one for the account's time zone.
    assert len(oneworld.queries) == 11


def test_a_change_in_any_list_arrives(oneworld: Office, held: TenantWarehouse) -> None:
    oneworld.reference(held)
    oneworld.change("department", "2", {"isInactive": True}, "ada")
    oneworld.change("account", "598", {"acctName": "Metered Revenue"}, "ada")
    oneworld.change("serviceSaleItem", "417", {"displayName": "Metered"}, "ada")
    oneworld.reference(held)
    assert held.sql("SELECT is_inactive FROM netsuite.departments WHERE internal_id = '2'") == [(True,)]
    assert held.sql("SELECT full_name FROM netsuite.accounts WHERE internal_id = '598'") == [
        ("Metered Revenue",)
    ]
    assert held.sql("SELECT display_name FROM netsuite.items WHERE internal_id = '417'") == [("Metered",)]


def test_a_list_that_nothing_needs_may_stay_out_of_sight(
    oneworld: Office, held: TenantWarehouse, tmp_path: Path
) -> None:
    office = oneworld.without(tmp_path, "department", "location")
    office.reference(held)
    assert not_visible(held, ["netsuite.departments"]) == []
    landed = office.reference(held, "clerk")
    assert "netsuite.departments" not in landed
    assert held.sql("SELECT count(*) FROM netsuite.departments") == [(0,)]
    assert held.slice("netsuite.departments", None) is None
    hidden = not_visible(held, [f"netsuite.{name}" for name in SAME])
    assert [row[:2] for row in hidden] == [
        ("netsuite.departments", "the role does not see it"),
        ("netsuite.locations", "the role does not see it"),
    ]
    assert "'Departments'" in hidden[0][3]
    # Given back, it is read as if nothing had been.
    office.reference(held)
    assert not_visible(held, ["netsuite.departments"]) == []
    assert held.sql("SELECT count(*) FROM netsuite.departments") == [(2,)]


def test_a_list_that_the_mapping_needs_must_be_visible(oneworld: Office, held: TenantWarehouse) -> None:
    oneworld.reference(held)
    before = rows(held, "netsuite.reference")
    with pytest.raises(PermissionDenied, match="'Subsidiaries'"):
        oneworld.reference(held, "stranger")
    assert rows(held, "netsuite.reference") == before


def test_a_single_company_has_no_subsidiaries(single: Office, held: TenantWarehouse) -> None:
    single.queries.clear()
    single.reference(held)
    assert not [query for query in single.queries if "x.subsidiary" in query]
    ((_, why, said, _),) = not_visible(held, ["netsuite.subsidiaries"])
    assert why == "the account has no such table"
    assert "Invalid search type" in said
    assert held.sql("SELECT DISTINCT subsidiary FROM netsuite.departments") == [(None,)]


def test_a_subsidiary_that_the_mapping_names_and_the_role_does_not_list_is_refused(
    oneworld: Office, held: TenantWarehouse
) -> None:
    oneworld.reference(held)
    before = rows(held, "netsuite.reference")
    # The mapping's value map leads to the subsidiaries 1 and 3.
    oneworld.use(_without_europe, "ada")
    with pytest.raises(Incomplete) as caught:
        oneworld.reference(held)
    assert "'3' (tenants/acme.yaml:" in str(caught.value)
    assert "1 Acme Metering Inc" in str(caught.value)
    assert "Subsidiary Restrictions" in str(caught.value)
    assert rows(held, "netsuite.reference") == before


async def _without_europe(netsuite: NetSuite) -> None:
    await netsuite.send(delete_request("location", "6"))
    await netsuite.send(delete_request("subsidiary", "3"))


def _plain(value: Any) -> Any:
    return value.isoformat()[:10] if hasattr(value, "isoformat") else value


def test_a_column_that_an_account_does_not_have_stays_empty(
    oneworld: Office, held: TenantWarehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    terms = next(master for master in reference.MASTERS if master.table == "terms")
    more = {
        "discount": Column("x.discountpercent", pa.decimal128(18, 4)),
        "until": Column("x.nosuch", pa.int64()),
    }
    wider = replace(terms, columns=terms.columns | more)
    others = [master for master in reference.MASTERS if master is not terms]
    monkeypatch.setattr(reference, "MASTERS", (*others, wider))
    oneworld.reference(held)
    found = held.sql(
        "SELECT name, days_until_net_due, discount, until FROM netsuite.terms ORDER BY internal_id"
    )
    assert found[1] == ("Net 30", 30, None, None)
    needed = replace(wider, needed=(*terms.needed, "until"))
    monkeypatch.setattr(reference, "MASTERS", (*others, needed))
    with pytest.raises(ExceptionGroup) as caught:
        oneworld.reference(held)
    assert caught.group_contains(Rejected, match="nosuch")
