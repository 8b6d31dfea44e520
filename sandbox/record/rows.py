"""A list record's row in SuiteQL's tables, and the name that references to it show. Transactions and customers have their own."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

from sandbox.record.schema import ITEM_TYPES, RecordType
from sandbox.store.database import Doc
from sandbox.store.tables import Column, Table
from sandbox.wire import Json


def title_of(record_type: str, doc: Doc) -> str:
    """What NetSuite shows for a reference, e.g. `Parent : EU GmbH` or `4000 Usage Revenue`."""
    if record_type == "account":
        return f"{doc['acctNumber']} {doc['acctName']}" if doc.get("acctNumber") else str(doc["acctName"])
    if record_type == "currency":
        return str(doc["symbol"])
    names = ("itemId",) if record_type in ITEM_TYPES else ("fullName", "name", "periodName")
    return next((str(doc[name]) for name in names if doc.get(name)), f"#{doc['id']}")


def row_of(record_type: RecordType, table: Table, doc: Doc, zone: ZoneInfo) -> dict[str, Json]:
    """The row: every field whose lower-case name is a column, and what the table adds to them."""
    row: dict[str, Json] = {}
    for field in record_type.fields.values():
        column = table.columns.get(field.name.lower())
        if column is not None and doc.get(field.name) is not None:
            row[column.name] = _cell(column, doc[field.name], zone)
    if record_type.name == "account":
        shown = title_of("account", doc)
        row |= {"accountsearchdisplayname": shown, "displaynamewithhierarchy": shown}
    elif "recordid" in table.columns:
        row["recordid"] = int(doc["id"])
    return row


def _cell(column: Column, value: Json, zone: ZoneInfo) -> Json:
    if isinstance(value, list):
        # Several subsidiaries stand in one column of ids: the first.
        if column.type == "id":
            return int(value[0]) if value else None
        return ", ".join(str(one) for one in value) or None
    if column.type == "id":
        # An open enumeration takes any text; a column of ids holds numbers.
        return int(value) if str(value).lstrip("-").isdigit() else None
    if column.type == "date":
        text = str(value)
        if "T" in text:
            return f"{datetime.fromisoformat(text).astimezone(zone):%Y-%m-%d %H:%M:%S}"
        return f"{text} 00:00:00"
    return value
