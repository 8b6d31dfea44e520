"""The columns of NetSuite's sets: those of mapped fields, and those that not every account or role shows.

Here: from a mapped field to its SuiteQL expression and to its landed column, and the expressions that several sets
share. Not here: which rows a set holds (`scopes.py` and the modules that extract). Imports no Dagster.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import pyarrow as pa

from netsuite_assets.extract.rows import Column
from netsuite_assets.extract.visibility import shown
from netsuite_assets.mapping.compiler import MappedField
from netsuite_assets.tables import COLUMN_TYPES
from resources.netsuite.client import NetSuite
from resources.netsuite.errors import Rejected
from resources.warehouse import quote

TIME: Final = "'YYYY-MM-DD HH24:MI:SS'"
"""The form in which times are asked for."""

MODIFIED: Final = f"TO_CHAR(t.lastmodifieddate, {TIME})"
"""A transaction's last change."""

SYMBOL: Final = "(SELECT max(x.name) FROM netsuite.reference x WHERE x.list = 'currency' AND x.internal_id = r.currency_id)"
"""The ISO 4217 code of a held row's currency; the reference data must have landed."""

TEXT: Final = pa.string()
AMOUNT: Final = pa.decimal128(18, 4)
RATE: Final = pa.decimal128(28, 12)

_ARROW: Final[Mapping[str, pa.DataType]] = {
    "text": TEXT,
    "amount": AMOUNT,
    "rate": RATE,
    "quantity": pa.decimal128(28, 10),
    "integer": pa.int64(),
    "date": pa.date32(),
    "datetime": pa.timestamp("us"),
    "boolean": pa.bool_(),
    "enum": TEXT,
    "reference": TEXT,
}


def comparable(fields: Sequence[MappedField]) -> list[MappedField]:
    """The mapped fields that land in columns of their own.

    Not those that SuiteQL cannot show (they are written, but not compared as a set), nor the currency, which is
    a core column of every record.
    """
    return [field for field in fields if field.suiteql and field.column == field.name]


def alias(field: MappedField) -> str:
    """A mapped field's column in `netsuite_rows`."""
    return f"f_{field.name.lower()}"


def mapped(fields: Sequence[MappedField]) -> dict[str, Column]:
    """What is read of mapped fields."""
    return {alias(field): Column(field.suiteql, _ARROW[field.kind]) for field in fields}


def column_types(fields: Sequence[MappedField]) -> dict[str, str]:
    """The columns in which mapped fields land, with their DuckDB types."""
    return {field.name: COLUMN_TYPES[field.kind] for field in fields}


def landed(field: MappedField) -> str:
    """The landed column: a reference to a customer becomes that customer's external id."""
    value = f"r.{alias(field)}"
    if field.target == "customer":
        value = (
            f"(SELECT coalesce(max(c.external_id), 'internal:' || {value}) FROM netsuite.customers c"
            f" WHERE c.internal_id = {value})"
        )
    return f", {value} AS {quote(field.name)}"


async def visible(netsuite: NetSuite, source: str, columns: Mapping[str, Column]) -> Mapping[str, Column]:
    """Those columns that the account has and the role sees: without its feature, a column does not exist.

    All are asked for at once, and again without each that is refused. A table that the role does not see is an error as
    ever (`PermissionDenied`).
    """
    while columns:
        selected = ", ".join(f"{column.expression} AS {name}" for name, column in columns.items())
        try:
            await netsuite.suiteql_rows(f"SELECT {selected} FROM {source} FETCH FIRST 1 ROWS ONLY")
        except Rejected as error:
            fewer = shown(columns, list(columns), error)
            if fewer is None:
                raise
            columns = fewer
        else:
            break
    return columns


def if_held(columns: Mapping[str, Column], name: str) -> str:
    """A held row's text, or NULL where the account does not show the column."""
    return f"r.{name}" if name in columns else "NULL::VARCHAR"
