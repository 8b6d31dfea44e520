"""The customers' default billing addresses, from NetSuite into the warehouse, for tenants that let them flow back.

Here: `netsuite.addresses`. Not here: customers themselves (`netsuite.py`). Imports no Dagster.

Address books stand in tables of their own (SuiteQL facts: `customeraddressbook`), which tell no time of change, so they
are read each time.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

import pyarrow as pa

from netsuite_assets.extract.columns import TEXT
from netsuite_assets.extract.rows import Column, Extraction
from resources.netsuite.client import NetSuite
from resources.warehouse import Slice, TenantWarehouse

ADDRESSES: Final = {"customer_id": "VARCHAR", "address": "VARCHAR"}
"""Columns of `netsuite.addresses`: one row for each customer that has a default billing address. `address` is normalised:
one line, its parts as NetSuite keeps them (street, postal code and city, state, country's code), between commas.
"""

_PARTS: Final = ("addr1", "addr2", "addr3", "zip", "city", "state", "country")
_COLUMNS: Final = {
    "customer_id": Column("b.entity", pa.decimal128(18, 0)),
    **{name: Column(f"a.{name}", TEXT) for name in _PARTS},
}
_SOURCE: Final = (
    "customeraddressbook b JOIN customeraddressbookentityaddress a ON a.nkey = b.addressbookaddress"
)


def _plain(part: str) -> str:
    return rf"nullif(trim(regexp_replace(r.{part}, '\s+', ' ', 'g')), '')"


_NORMALISED: Final = (
    f"concat_ws(', ', {', '.join(map(_plain, ('addr1', 'addr2', 'addr3')))},"
    f" nullif(concat_ws(' ', {_plain('zip')}, {_plain('city')}), ''), {_plain('state')}, {_plain('country')})"
)


async def extract_addresses(warehouse: TenantWarehouse, netsuite: NetSuite, now: datetime) -> Slice:
    """Land the default billing address of every customer that has one. Raises `PermissionDenied` where the role does not
    see address books.
    """
    warehouse.ensure_table("netsuite.addresses", ADDRESSES)
    extraction = Extraction(warehouse, netsuite, lambda: now)
    extraction.prepare("addresses", _COLUMNS)
    with extraction.transaction():
        proof = await extraction.read(
            "addresses",
            None,
            "default billing addresses",
            _COLUMNS,
            _SOURCE,
            "b.defaultbilling = 'T'",
            "b.entity",
        )
        return warehouse.replace_slice(
            "netsuite.addresses",
            None,
            f"SELECT r.customer_id::VARCHAR AS customer_id, nullif({_NORMALISED}, '') AS address"
            " FROM netsuite_rows.addresses r",
            key=("customer_id",),
            expected_rows=proof.after.rows,
            source="NetSuite",
            now=now,
        )
