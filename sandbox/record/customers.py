"""Customers: what one must have, its subsidiary and currencies, its address book, and its SuiteQL rows."""

from __future__ import annotations

from sandbox.errors import invalid_value, missing_values, user_error
from sandbox.profile import Role
from sandbox.record import balances, relationships
from sandbox.record.context import FIRST_ENTITY, Context, integer
from sandbox.record.values import Body, Values
from sandbox.store.database import Doc


class Customers:
    record_type = "customer"
    space = "entity"

    def __init__(self, context: Context) -> None:
        self._context, self._database = context, context.database

    def create(self, body: Body, role: Role) -> int:
        identifier = self._database.next("entity", FIRST_ENTITY)
        now = self._context.now()
        doc: Doc = {
            "id": str(identifier),
            "isPerson": False,
            "isInactive": False,
            "emailPreference": "DEFAULT",
            "dateCreated": now,
        }
        body.show(doc)
        self._settle(doc, body, now, identifier, created=True)
        return identifier

    def update(self, identifier: int, doc: Doc, body: Body, role: Role) -> None:
        body.show(doc)
        self._settle(doc, body, self._context.now(), identifier, created=False)

    def delete(self, identifier: int, doc: Doc, role: Role) -> None:
        used = self._database.connection.execute(
            "SELECT 1 FROM q_transaction WHERE entity = ? LIMIT 1", (identifier,)
        ).fetchone()
        if used:
            raise user_error(self._context.profile.switches.dependent_records_text)
        self._database.remove(self.space, identifier)
        self._clear_rows(identifier)
        if self._context.profile.oneworld:
            relationships.remove_all(self._context, identifier)
        for table in ("customer", "entity"):
            self._database.delete_rows(table, "id", identifier)
        self._database.insert(
            "deletedrecord",
            {
                "recordid": identifier,
                "recordtypeid": -9,
                "name": doc.get("_title"),
                "type": "Customer",
                "scriptid": "customer",
                "context": "REST Web Services",
                "deleteddate": self._context.local(self._context.now()),
                "iscustomlist": False,
                "iscustomrecord": False,
                "iscustomtransaction": False,
            },
        )

    def present(self, doc: Doc) -> Doc:
        """The customer as a GET shows it: with what it owes."""
        doc["balance"], doc["overdueBalance"] = balances.of_customer(self._context, doc["id"])
        return doc

    def _settle(self, doc: Doc, body: Body, now: str, identifier: int, created: bool) -> None:
        """Apply the body to the document, check the whole, and save it."""
        previous = dict(doc)
        for name, value in body.values.items():
            if value is None:
                doc.pop(name, None)
            else:
                doc[name] = value
        self._check_mandatory(doc)
        self._name(doc, previous, created)
        self._currencies(doc, body, previous)
        if "addressBook" in body.sublists:
            self._address_book(doc, body.sublists["addressBook"], "addressbook" in body.replace)
        self._context.check_external_id(
            "customer", "entity", doc.get("externalId"), None if created else identifier
        )
        self._check_unique_name(doc, identifier)
        doc["lastModifiedDate"] = now
        self._save(doc, identifier)

    def _check_mandatory(self, doc: Doc) -> None:
        missing: list[str] = []
        if doc.get("isPerson"):
            missing += [label for name, label in _PERSON if not doc.get(name)]
        elif not doc.get("companyName") and not doc.get("entityId"):
            missing.append("Company Name")
        if self._context.profile.oneworld and not doc.get("subsidiary"):
            missing.append("Primary Subsidiary")
        missing += self._context.mandatory_labels(self._context.types["customer"], doc)
        if missing:
            raise missing_values(missing)

    def _name(self, doc: Doc, previous: Doc, created: bool) -> None:
        """The entity id: numbered, given or the name itself; and the name that references show."""
        own = f"{doc['firstName']} {doc['lastName']}" if doc.get("isPerson") else doc.get("companyName")
        numbering = self._context.profile.numbering
        if created and "entityId" not in doc:
            if numbering.customer is not None and doc.get("autoName") is not False:
                doc["entityId"] = (
                    f"{numbering.customer}-{self._database.next('customer number', numbering.first):05d}"
                )
                doc["_numbered"] = True
            else:
                doc["entityId"] = own
        elif not doc.get("entityId"):
            doc["entityId"] = previous.get("entityId") or own
        doc["altName"] = own
        numbered = own and own != doc["entityId"]
        doc["_title"] = f"{doc['entityId']} {own}" if numbered else doc["entityId"]

    def _currencies(self, doc: Doc, body: Body, previous: Doc) -> None:
        base = self._context.masters.base_currency(doc.get("subsidiary")).id
        doc["currency"] = doc.get("currency") or previous.get("currency") or base
        listed = [line["currency"] for line in doc.get("currencyList", [])]
        if "currencyList" in body.sublists:
            given = body.sublists["currencyList"] or []
            chosen = [line["currency"] for line in given if line.get("currency")]
            listed = chosen if "currencylist" in body.replace or not chosen else listed + chosen
        doc["currencyList"] = [{"currency": c} for c in dict.fromkeys([doc["currency"], *listed])]
        if previous.get("subsidiary") not in (None, doc.get("subsidiary")) and self._has_transactions(doc):
            raise invalid_value(doc.get("subsidiary"), "subsidiary", "subsidiary")

    def _has_transactions(self, doc: Doc) -> bool:
        row = self._database.connection.execute(
            "SELECT 1 FROM q_transaction WHERE entity = ? LIMIT 1", (int(doc["id"]),)
        ).fetchone()
        return row is not None

    def _check_unique_name(self, doc: Doc, identifier: int) -> None:
        row = self._database.connection.execute(
            "SELECT 1 FROM q_customer WHERE entityid = ? AND id <> ? LIMIT 1", (doc["entityId"], identifier)
        ).fetchone()
        if row:
            raise user_error("This entity already exists.")

    def _address_book(self, doc: Doc, given: list[Values] | None, replace: bool) -> None:
        book: list[Values] = (
            [] if replace or given is None else [dict(line) for line in doc.get("addressBook", [])]
        )
        for entry in given or []:
            wanted = entry.get("internalId") or entry.get("id")
            line = next(
                (old for old in book if wanted is not None and str(old["internalId"]) == str(wanted)), None
            )
            if line is None:
                number = self._database.next("address", 101)
                line = {"internalId": number, "id": str(number), "addressId": str(number)}
                line |= {"defaultBilling": False, "defaultShipping": False, "isResidential": False}
                book.append(line)
            address = {**line.get("addressBookAddress", {}), **(entry.get("addressBookAddress") or {})}
            line |= {k: v for k, v in entry.items() if k not in ("internalId", "id")}
            for flag in ("defaultBilling", "defaultShipping"):
                if entry.get(flag):
                    for other in book:
                        other[flag] = other is line
            address["addrText"] = _address_text(address)
            line["addressBookAddress"] = address
            line["addressBookAddress_text"] = address["addrText"]
        doc["addressBook"] = book
        default = next((line for line in book if line["defaultBilling"]), None)
        if default is not None:
            doc["defaultAddress"] = default["addressBookAddress"]["addrText"]
        else:
            doc.pop("defaultAddress", None)

    def _save(self, doc: Doc, identifier: int) -> None:
        database = self._database
        database.put(self.space, identifier, self.record_type, doc)
        database.set_name("entity", identifier, doc["_title"])
        common = {
            "id": identifier,
            "entityid": doc["entityId"],
            "altname": doc["altName"],
            "externalid": doc.get("externalId"),
            "firstname": doc.get("firstName"),
            "lastname": doc.get("lastName"),
            "email": doc.get("email"),
            "phone": doc.get("phone"),
            "isperson": doc.get("isPerson", False),
            "isinactive": doc.get("isInactive", False),
            "parent": integer(doc.get("parent")),
            "datecreated": self._context.local(doc["dateCreated"]),
            "lastmodifieddate": self._context.local(doc["lastModifiedDate"]),
            **self._context.custom_cells("customer", doc),
        }
        number = doc["entityId"].rpartition("-")[2] if doc.get("_numbered") else ""
        billing = next((line for line in doc.get("addressBook", []) if line["defaultBilling"]), None)
        row = {
            **common,
            "companyname": doc.get("companyName"),
            "comments": doc.get("comments"),
            "url": doc.get("url"),
            "currency": integer(doc["currency"]),
            "terms": integer(doc.get("terms")),
            "receivablesaccount": integer(doc.get("receivablesAccount")),
            "creditlimit": doc.get("creditLimit"),
            "searchstage": "Customer",
            "oncredithold": False,
            "entitynumber": int(number) if number.isdigit() else None,
            "defaultbillingaddress": billing["internalId"] if billing else None,
        }
        if self._context.profile.oneworld:
            row["subsidiary"] = integer(doc["subsidiary"])
        database.insert("customer", row)
        database.insert(
            "entity", {**common, "type": "CustJob", "entitytitle": doc["_title"], "customer": identifier}
        )
        self._clear_rows(identifier)
        self._insert_rows(doc, identifier)

    def _clear_rows(self, identifier: int) -> None:
        self._database.connection.execute(
            "DELETE FROM q_customeraddressbookentityaddress WHERE nkey IN "
            "(SELECT addressbookaddress FROM q_customeraddressbook WHERE entity = ?)",
            (identifier,),
        )
        self._database.delete_rows("customeraddressbook", "entity", identifier)
        self._database.delete_rows("customercurrencies", "customer", identifier)
        if self._context.profile.oneworld:
            self._database.delete_rows("customersubsidiaryrelationship", "id", identifier)

    def _insert_rows(self, doc: Doc, identifier: int) -> None:
        database = self._database
        for line in doc["currencyList"]:
            database.insert("customercurrencies", {"customer": identifier, "currency": int(line["currency"])})
        if self._context.profile.oneworld:
            relation = {
                "id": identifier,
                "entity": identifier,
                "subsidiary": int(doc["subsidiary"]),
                "name": doc["_title"],
                "primarycurrency": int(doc["currency"]),
                "isprimarysub": True,
                "isinactive": False,
                "lastmodifieddate": self._context.local(doc["lastModifiedDate"]),
            }
            database.insert("customersubsidiaryrelationship", relation)
        for line in doc.get("addressBook", []):
            key = line["internalId"]
            flags = {
                name.lower(): line[name] for name in ("defaultBilling", "defaultShipping", "isResidential")
            }
            entry = {
                "internalid": key,
                "entity": identifier,
                "addressbookaddress": key,
                "label": line.get("label"),
            }
            database.insert("customeraddressbook", {**entry, **flags})
            address = {name.lower(): value for name, value in line["addressBookAddress"].items()}
            database.insert("customeraddressbookentityaddress", {"nkey": key, **address})


_PERSON = (("firstName", "First Name"), ("lastName", "Last Name"))


def _address_text(address: Values) -> str:
    place = " ".join(str(address[name]) for name in ("zip", "city", "state") if address.get(name))
    parts = [address.get(name) for name in ("attention", "addressee", "addr1", "addr2", "addr3")]
    return "\n".join(str(part) for part in [*parts, place, address.get("country")] if part)
