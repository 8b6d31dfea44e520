"""Writing list records: items, departments, classes, locations, terms, accounts, subsidiaries, segment values, custom records.

Currencies, accounting periods and custom lists are kept in NetSuite's UI: REST reads them here.
"""

from __future__ import annotations

from sandbox.auth.roles import allows
from sandbox.errors import invalid_value, missing_values, permission_violation, user_error
from sandbox.profile import Role
from sandbox.record import masters, rates
from sandbox.record.context import Context
from sandbox.record.schema import ITEM_TYPES, RecordType
from sandbox.record.type_numbers import type_number
from sandbox.record.values import Body
from sandbox.store.database import Doc

_READ_ONLY = ("currency", "accountingPeriod")
_NAMED = (("name", "Name"),)
_REQUIRED = {
    "account": (("acctName", "Name"), ("acctType", "Type")),
    "subsidiary": (("name", "Name"), ("country", "Country"), ("currency", "Currency")),
    "term": (("name", "Terms"),),
}
_ITEM_REQUIRED = (("itemId", "Item Name/Number"), ("incomeAccount", "Income Account"))
_UNIQUE = {"account": "acctNumber", "term": "name", "subsidiary": "name"}
_TREES = ("department", "classification", "location", "subsidiary")
_TERMS = "Setup -> Accounting Lists"
_DERIVED = ("currencyrate", "consolidatedexchangerate")
"""Tables whose rows are no reason to keep a record."""


def writable(record_type: RecordType) -> bool:
    name = record_type.name
    return (
        name not in _READ_ONLY and record_type.space not in ("entity", "transaction") and not _is_list(name)
    )


def _is_list(name: str) -> bool:
    return name.startswith("customlist_")


def _is_segment(name: str) -> bool:
    return name.startswith("customrecord_cseg_")


def rules(context: Context) -> dict[str, Lists]:
    """The rules of every list record that can be written, by record type."""
    return {t.name: Lists(context, t) for t in context.types.values() if writable(t)}


class Lists:
    """The rules of one type of list record."""

    def __init__(self, context: Context, record_type: RecordType) -> None:
        self._context, self._database, self._type = context, context.database, record_type
        self._custom = {custom.script_id: custom for custom in context.profile.custom_record_types}

    def create(self, body: Body, role: Role) -> int:
        self._check_role(role)
        record_type = self._type
        identifier = self._next_id(record_type.space)
        doc: Doc = {"id": str(identifier), "isInactive": False}
        if "createddate" in record_type.fields:
            doc["createdDate"] = self._context.now()
        if "created" in record_type.fields:
            doc["created"] = self._context.now()
        if record_type.name in ITEM_TYPES:
            _, doc["itemType"], subtype = ITEM_TYPES[record_type.name]
            if subtype:
                doc["subtype"] = subtype
        self._settle(record_type, doc, None, body)
        return identifier

    def update(self, identifier: int, doc: Doc, body: Body, role: Role) -> None:
        self._check_role(role)
        self._settle(self._type, doc, dict(doc), body)

    def present(self, doc: Doc) -> Doc:
        return doc

    def delete(self, identifier: int, doc: Doc, role: Role) -> None:
        self._check_role(role)
        record_type = self._type
        if self._is_used(record_type, identifier):
            raise user_error(self._context.profile.switches.dependent_records_text)
        self._database.remove(record_type.space, identifier)
        if record_type.table in self._database.tables:
            self._database.delete_rows(record_type.table, "id", identifier)
        self._context.masters.forget(record_type.name, doc["id"])
        custom = record_type.name in self._custom or _is_segment(record_type.name)
        self._database.insert(
            "deletedrecord",
            {
                "recordid": identifier,
                "recordtypeid": type_number(self._context.profile, record_type.name),
                "name": doc.get("_title"),
                "type": record_type.title,
                "scriptid": record_type.name.lower(),
                "context": "REST Web Services",
                "deleteddate": self._context.local(self._context.now()),
                "iscustomlist": False,
                "iscustomrecord": custom,
                "iscustomtransaction": False,
            },
        )

    def _check_role(self, role: Role) -> None:
        """Every role may read terms; changing them takes a permission of its own."""
        if self._type.name == "term" and not allows(role, _TERMS.rpartition("-> ")[2], "edit"):
            raise permission_violation(_TERMS, self._context.profile.switches.missing_permission_status)

    def _next_id(self, space: str) -> int:
        """Above every id there is; ids of deleted records are not given again."""
        highest = self._database.connection.execute(
            "SELECT max(id) FROM record WHERE space = ?", (space,)
        ).fetchone()[0]
        return self._database.next(f"list {space}", max((highest or 0) + 1, 1))

    def _settle(self, record_type: RecordType, doc: Doc, previous: Doc | None, body: Body) -> None:
        """Apply the body, check the whole, name it, and save it."""
        for name, value in body.values.items():
            if value is None:
                doc.pop(name, None)
            else:
                doc[name] = value
        self._check_mandatory(record_type, doc)
        self._check_parent(record_type, doc)
        self._check_unique(record_type, doc)
        own = int(doc["id"]) if previous is not None else None
        self._context.check_external_id(record_type.name, record_type.space, doc.get("externalId"), own)
        for name in ("lastModifiedDate", "lastModified"):
            if name.lower() in record_type.fields:
                doc[name] = self._context.now()
        doc["_changed"] = True
        self._save(record_type, doc)
        if previous is not None and previous.get("fullName") != doc.get("fullName"):
            self._rename_children(record_type, doc)
        if record_type.name == "subsidiary":
            rates.load(self._database, self._context.masters)

    def _save(self, record_type: RecordType, doc: Doc) -> None:
        self._name(record_type, doc)
        masters.store(self._database, self._context.profile, record_type, doc)
        self._context.masters.learn(record_type.name, doc)

    def _check_mandatory(self, record_type: RecordType, doc: Doc) -> None:
        required = (
            _ITEM_REQUIRED if record_type.name in ITEM_TYPES else _REQUIRED.get(record_type.name, _NAMED)
        )
        custom = self._custom.get(record_type.name)
        if custom is not None and not custom.include_name:
            required = ()
        missing = [label for name, label in required if doc.get(name) is None]
        if record_type.name in ITEM_TYPES and self._context.profile.oneworld and not doc.get("subsidiary"):
            missing.append("Subsidiary")
        if custom is not None:
            missing += [f.label for f in custom.fields if f.mandatory and doc.get(f.script_id) is None]
        if missing:
            raise missing_values(missing)

    def _check_parent(self, record_type: RecordType, doc: Doc) -> None:
        """A record is not its own ancestor."""
        seen, parent = {doc["id"]}, doc.get("parent")
        while parent is not None:
            if parent in seen:
                raise invalid_value(doc["parent"], "parent", "parent")
            seen.add(parent)
            found = self._database.get(record_type.space, int(parent))
            parent = found[1].get("parent") if found is not None else None

    def _check_unique(self, record_type: RecordType, doc: Doc) -> None:
        name = "itemId" if record_type.name in ITEM_TYPES else _UNIQUE.get(record_type.name)
        if name is None or doc.get(name) is None:
            return
        column = {"acctNumber": "acctnumber", "itemId": "itemid"}.get(name, name)
        table = self._database.tables[record_type.table].physical
        row = self._database.connection.execute(
            f'SELECT 1 FROM "{table}" WHERE "{column}" = ? AND id <> ? LIMIT 1', (doc[name], int(doc["id"]))
        ).fetchone()
        if row:
            raise user_error(self._context.profile.switches.duplicate_name_text)

    def _name(self, record_type: RecordType, doc: Doc) -> None:
        """The full name: the parents' names before its own."""
        if record_type.name in ITEM_TYPES:
            own = doc["itemId"]
        elif record_type.name == "account":
            own = doc["acctName"]
        elif "fullname" in record_type.fields:
            own = doc["name"]
        else:
            return
        parent = self._database.get(record_type.space, int(doc["parent"])) if doc.get("parent") else None
        doc["fullName"] = f"{parent[1]['fullName']} : {own}" if parent is not None else own

    def _rename_children(self, record_type: RecordType, doc: Doc) -> None:
        table = self._database.tables[record_type.table]
        if "parent" not in table.columns:
            return
        rows = self._database.connection.execute(
            f'SELECT id FROM "{table.physical}" WHERE parent = ? ORDER BY id', (int(doc["id"]),)
        ).fetchall()
        for (identifier,) in rows:
            found = self._database.get(record_type.space, identifier)
            if found is not None:
                child_type = self._context.types[found[0].lower()]
                found[1]["_changed"] = True
                self._save(child_type, found[1])
                self._rename_children(child_type, found[1])

    def _is_used(self, record_type: RecordType, identifier: int) -> bool:
        """Whether a row of any table refers to the record."""
        targets = {record_type.name, record_type.space}
        for table in self._database.tables.values():
            if table.name in _DERIVED:
                continue
            for column in table.columns.values():
                if column.ref not in targets:
                    continue
                condition = f'"{column.name}" = ?'
                if column.type == "text":
                    condition = f"', ' || \"{column.name}\" || ',' LIKE '%, ' || ? || ',%'"
                row = self._database.connection.execute(
                    f'SELECT 1 FROM "{table.physical}" WHERE {condition} LIMIT 1', (identifier,)
                ).fetchone()
                if row:
                    return True
        return False
