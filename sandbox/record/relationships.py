"""Further subsidiaries of customers, beside the primary one that the customer itself names (OneWorld only)."""

from __future__ import annotations

from sandbox.errors import invalid_value, missing_values, user_error
from sandbox.profile import Role
from sandbox.record.context import Context
from sandbox.record.values import Body
from sandbox.store.database import Doc

SPACE = "customerSubsidiaryRelationship"
TABLE = "customersubsidiaryrelationship"
_FIRST = 2_000_001
"""Primary relationships have the customer's id: these begin beyond every customer's."""


def has(context: Context, customer: Doc, subsidiary: str) -> bool:
    """Whether a customer may trade with a subsidiary."""
    if subsidiary == customer["subsidiary"]:
        return True
    row = context.database.connection.execute(
        f"SELECT 1 FROM q_{TABLE} WHERE entity = ? AND subsidiary = ? AND isinactive = 'F'",
        (int(customer["id"]), int(subsidiary)),
    ).fetchone()
    return row is not None


def remove_all(context: Context, customer: int) -> None:
    """Drop every relationship of a customer that is deleted."""
    rows = context.database.connection.execute(
        f"SELECT id FROM q_{TABLE} WHERE entity = ? AND isprimarysub = 'F'", (customer,)
    ).fetchall()
    for (identifier,) in rows:
        context.database.remove(SPACE, identifier)
    context.database.delete_rows(TABLE, "entity", customer)


class Relationships:
    """The rules of `customerSubsidiaryRelationship`."""

    def __init__(self, context: Context) -> None:
        self._context, self._database = context, context.database

    def create(self, body: Body, role: Role) -> int:
        identifier = self._database.next("relationship", _FIRST)
        doc: Doc = {"id": str(identifier), "isPrimarySub": False, "isInactive": False}
        body.show(doc)
        doc |= {name: value for name, value in body.values.items() if value is not None}
        labels = {"entity": "Customer", "subsidiary": "Subsidiary"}
        if missing := [label for name, label in labels.items() if name not in doc]:
            raise missing_values(missing)
        self._check_new(doc)
        self._save(doc)
        return identifier

    def update(self, identifier: int, doc: Doc, body: Body, role: Role) -> None:
        body.show(doc)
        for name, value in body.values.items():
            if name in ("entity", "subsidiary") and value != doc[name]:
                raise invalid_value(value, name, name)
            if value is None:
                doc.pop(name, None)
            else:
                doc[name] = value
        self._save(doc)

    def delete(self, identifier: int, doc: Doc, role: Role) -> None:
        used = self._database.connection.execute(
            "SELECT 1 FROM q_transaction WHERE entity = ? AND subsidiary = ? LIMIT 1",
            (int(doc["entity"]), int(doc["subsidiary"])),
        ).fetchone()
        if used:
            raise user_error(self._context.profile.switches.dependent_records_text)
        self._database.remove(SPACE, identifier)
        self._database.delete_rows(TABLE, "id", identifier)

    def present(self, doc: Doc) -> Doc:
        return doc

    def _check_new(self, doc: Doc) -> None:
        customer = self._database.get("entity", int(doc["entity"]))
        if customer is None:
            raise invalid_value(doc["entity"], "entity", "entity")
        row = self._database.connection.execute(
            f"SELECT 1 FROM q_{TABLE} WHERE entity = ? AND subsidiary = ?",
            (int(doc["entity"]), int(doc["subsidiary"])),
        ).fetchone()
        if row is not None:
            raise user_error(self._context.profile.switches.duplicate_transaction_text)
        doc.setdefault("primaryCurrency", customer[1]["currency"])

    def _save(self, doc: Doc) -> None:
        context, identifier = self._context, int(doc["id"])
        context.check_external_id(SPACE, SPACE, doc.get("externalId"), identifier)
        doc["lastModifiedDate"] = context.now()
        customer = self._database.name("entity", doc["entity"]) or ""
        doc["name"] = doc["_title"] = f"{customer} : {context.masters.subsidiary_name(doc['subsidiary'])}"
        self._database.put(SPACE, identifier, SPACE, doc)
        self._database.set_name(SPACE, identifier, doc["_title"])
        self._database.insert(
            TABLE,
            {
                "id": identifier,
                "entity": int(doc["entity"]),
                "subsidiary": int(doc["subsidiary"]),
                "name": doc["name"],
                "externalid": doc.get("externalId"),
                "primarycurrency": int(doc["primaryCurrency"]),
                "isprimarysub": False,
                "isinactive": doc.get("isInactive", False),
                "lastmodifieddate": context.local(doc["lastModifiedDate"]),
            },
        )
