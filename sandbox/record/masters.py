"""List records (currencies, items, accounts, departments, ...): loaded when an account starts, and as accounting asks of them.

What REST changes of them is `lists`.
"""

from __future__ import annotations

from decimal import Decimal

from sandbox.profile import Classification, Currency, GlAccount, Item, Profile, Subsidiary, Term
from sandbox.record import declared, rates, schema
from sandbox.record.rows import row_of, title_of
from sandbox.record.schema import ENUMS, ITEM_TYPES, RecordType, space_of
from sandbox.store.database import Database, Doc
from sandbox.wire import Json, decode

_STATUSES: tuple[tuple[str, str, dict[str, str]], ...] = (
    (
        "CustInvc",
        "Invoice",
        {"A": "Open", "B": "Paid In Full", "D": "Pending Approval", "E": "Rejected", "V": "Voided"},
    ),
    ("CustCred", "Credit Memo", {"A": "Open", "B": "Fully Applied", "V": "Voided"}),
    (
        "CustPymt",
        "Payment",
        {"A": "Unapproved Payment", "B": "Not Deposited", "C": "Deposited", "R": "Rejected"},
    ),
    (
        "CustDep",
        "Customer Deposit",
        {
            "A": "Not Deposited",
            "B": "Deposited",
            "C": "Fully Applied",
            "D": "Unapproved Payment",
            "R": "Rejected",
        },
    ),
    ("DepAppl", "Deposit Application", {}),
    ("Journal", "Journal", {"A": "Pending Approval", "B": "Approved for Posting"}),
    ("SalesOrd", "Sales Order", {"F": "Pending Billing", "G": "Billed"}),
)


class Masters:
    """An account's list records by what the accounting rules ask of them: the profile's, and what REST made of them."""

    def __init__(self, profile: Profile) -> None:
        self.profile = profile
        self.restart()

    def restart(self) -> None:
        """Back to what the profile says."""
        profile = self.profile
        self.currencies = {currency.id: currency for currency in profile.currencies}
        self._by_symbol = {currency.symbol: currency for currency in profile.currencies}
        self.subsidiaries = {subsidiary.id: subsidiary for subsidiary in profile.subsidiaries}
        self.items = {item.id: item for item in profile.items}
        self.terms = {term.id: term for term in profile.terms}
        self.accounts = {account.id: account for account in profile.accounts}
        self._groups = {
            "department": {c.id: c for c in profile.departments},
            "class": {c.id: c for c in profile.classes},
            "location": {c.id: c for c in profile.locations},
        }

    def learn(self, record_type: str, doc: Doc) -> None:
        """Take in a record as REST left it."""
        identifier, name = doc["id"], doc.get("name")
        limits = self._limits(doc)
        if record_type in ITEM_TYPES:
            # Built without checks: an item of REST may lack an income account, which a profile's never does.
            self.items[identifier] = Item.model_construct(
                id=identifier,
                item_id=doc["itemId"],
                type=record_type,
                income_account=doc.get("incomeAccount", ""),
                rate=doc.get("rate"),
                tax_schedule=doc.get("taxSchedule"),
                subsidiaries=limits,
                inactive=bool(doc.get("isInactive")),
            )
        elif record_type == "term":
            self.terms[identifier] = Term(
                id=identifier, name=str(name), days=int(doc.get("daysUntilNetDue", 0))
            )
        elif record_type == "account":
            self.accounts[identifier] = GlAccount(
                id=identifier,
                number=doc.get("acctNumber", ""),
                name=doc["acctName"],
                type=doc["acctType"],
                subsidiaries=limits,
            )
        elif record_type == "subsidiary":
            symbol = self.currencies[doc["currency"]].symbol
            self.subsidiaries[identifier] = Subsidiary(
                id=identifier, name=str(name), currency=symbol, parent=doc.get("parent")
            )
        elif (group := "class" if record_type == "classification" else record_type) in self._groups:
            self._groups[group][identifier] = Classification(
                id=identifier, name=str(name), parent=doc.get("parent"), subsidiaries=limits
            )

    def forget(self, record_type: str, identifier: str) -> None:
        """Drop a record that REST deleted."""
        name = "class" if record_type == "classification" else record_type
        if record_type in ITEM_TYPES:
            self.items.pop(identifier, None)
        elif name in self._groups:
            self._groups[name].pop(identifier, None)
        elif name == "term":
            self.terms.pop(identifier, None)
        elif name == "account":
            self.accounts.pop(identifier, None)
        elif name == "subsidiary":
            self.subsidiaries.pop(identifier, None)

    def _limits(self, doc: Doc) -> list[str]:
        """The subsidiaries that may use a record: the chosen ones, and their children where they are included."""
        chosen = list(doc.get("subsidiary") or []) if isinstance(doc.get("subsidiary"), list) else []
        if doc.get("includeChildren"):
            chosen = [s for s in self.subsidiaries if s in chosen or self._ancestors(s) & set(chosen)]
        return chosen

    def _ancestors(self, subsidiary: str) -> set[str]:
        found: set[str] = set()
        parent = self.subsidiaries[subsidiary].parent
        while parent is not None and parent not in found:
            found.add(parent)
            parent = self.subsidiaries[parent].parent
        return found

    def currency(self, symbol: str) -> Currency:
        return self._by_symbol[symbol]

    def base_currency(self, subsidiary: str | None) -> Currency:
        """The books' currency of a subsidiary, or of the company."""
        if subsidiary is not None and subsidiary in self.subsidiaries:
            return self._by_symbol[self.subsidiaries[subsidiary].currency]
        return self._by_symbol[self.profile.base_currency]

    def exchange_rate(self, currency: str, subsidiary: str | None, day: str | None = None) -> Decimal:
        """Units of the subsidiary's currency that one unit of `currency` (an id) buys, on an ISO day."""
        base = self.base_currency(subsidiary)
        return rates.between(self.currencies[currency], base, day)

    def valid_for(self, kind: str, identifier: str, subsidiary: str | None) -> bool:
        """Whether a department, class, location, item or account may be used with a subsidiary."""
        if subsidiary is None:
            return True
        if kind == "item":
            limits = self.items[identifier].subsidiaries
        elif kind == "account":
            limits = self.accounts[identifier].subsidiaries
        else:
            limits = self._groups[kind][identifier].subsidiaries
        return not limits or subsidiary in limits

    def subsidiary_name(self, identifier: str) -> str:
        """`Parent : EU GmbH`."""
        subsidiary = self.subsidiaries[identifier]
        return (
            f"{self.subsidiary_name(subsidiary.parent)} : {subsidiary.name}"
            if subsidiary.parent
            else subsidiary.name
        )


def load(database: Database, masters: Masters) -> None:
    """Write every declared record, its display name and its SuiteQL row.

    What is there is brought up to the profile, except what REST changed or deleted.
    """
    types = {record_type.name: record_type for record_type in schema.build(masters.profile).values()}
    masters.restart()
    with database.transaction():
        changed = _changed(database)
        deleted = set(database.connection.execute("SELECT scriptid, recordid FROM q_deletedrecord"))
        for record_type, doc in declared.documents(masters.profile):
            space, identifier = space_of(record_type), int(doc["id"])
            if (record_type.lower(), identifier) in deleted:
                masters.forget(record_type, doc["id"])
            elif (space, identifier) not in changed:
                store(database, masters.profile, types[record_type], doc)
        for record_type, doc in changed.values():
            masters.learn(record_type, doc)
        rates.load(database, masters)
        for user in masters.profile.users:
            # Employees are entities; here they can sign in, and are no records of their own.
            database.set_name("entity", int(user.id), user.name)
        for kind, title, letters in _STATUSES:
            database.set_name("trantype", kind, title)
            for letter, text in letters.items():
                database.set_name("status", f"{kind}:{letter}", f"{title} : {text}")
        load_catalogue(database, masters.profile)
        _load_unserved(database, masters.profile)
        for name, values in ENUMS.items():
            for value, text in values.items():
                database.set_name(name, value, text)


def _changed(database: Database) -> dict[tuple[str, int], tuple[str, Doc]]:
    """Type and document of what REST changed, by space and id."""
    rows = database.connection.execute(
        "SELECT space, id, type, doc FROM record WHERE space NOT IN ('transaction', 'entity', 'accountingPeriod')"
    )
    found = {(row[0], row[1]): (row[2], decode(row[3])) for row in rows}
    return {key: value for key, value in found.items() if value[1].get("_changed")}


def store(database: Database, profile: Profile, record_type: RecordType, doc: Doc) -> None:
    """Write a list record, its display name and its SuiteQL row."""
    identifier = int(doc["id"])
    doc["_title"] = title_of(record_type.name, doc)
    database.put(record_type.space, identifier, record_type.name, doc)
    database.set_name(record_type.space, identifier, doc["_title"])
    table = database.tables.get(record_type.table)
    if table is not None:
        database.insert(table.name, row_of(record_type, table, doc, profile.zone))


def load_catalogue(database: Database, profile: Profile) -> None:
    """Rows of the tables without a key, and of the custom field catalogue."""
    for name in ("transactionstatus", "dual"):
        database.connection.execute(f'DELETE FROM "{database.tables[name].physical}"')
    for kind, title, letters in _STATUSES:
        for letter, text in letters.items():
            status = {"id": letter, "fullname": f"{title} : {text}", "name": text, "trantype": kind}
            database.insert("transactionstatus", status)
    database.insert("dual", {"dummy": "X"})
    database.insert(
        "accountingbook", {"id": 1, "name": "Primary Accounting Book", "isprimary": True, "isinactive": False}
    )
    kinds = {
        "text": "Free-Form Text",
        "number": "Decimal Number",
        "integer": "Integer Number",
        "date": "Date",
    }
    kinds |= {
        "boolean": "Check Box",
        "list": "List/Record",
        "record": "List/Record",
        "multiselect": "Multiple Select",
    }
    row: dict[str, Json]
    owners = {"custbody": "BODY", "custcol_": "COLUMN", "custenti": "ENTITY", "custreco": "RECORD"}
    fields = [("", field) for field in profile.custom_fields]
    for number, custom in enumerate(profile.custom_record_types, 1):
        fields += [(str(number), field) for field in custom.fields]
        row = {"internalid": number, "scriptid": custom.script_id, "name": custom.name, "isinactive": False}
        database.insert("customrecordtype", row)
    for number, (owner, field) in enumerate(fields, 1):
        row = {
            "internalid": number,
            "scriptid": field.script_id.upper(),
            "name": field.label,
            "isstored": True,
        }
        row |= {"fieldtype": owners[field.script_id[:8]], "fieldvaluetype": kinds[field.type]}
        row |= {"ismandatory": field.mandatory, "isshowinlist": False, "fieldvaluetyperecord": field.choices}
        row["recordtype"] = owner or None
        database.insert("customfield", row)
    for number, segment in enumerate(profile.custom_segments, 1):
        row = {"internalid": number, "scriptid": segment.script_id, "name": segment.label, "glimpact": False}
        row |= {"recordtype": segment.record_type, "balancing": False, "isinactive": False, "internal": False}
        database.insert("customsegment", row)
    for number, custom_list in enumerate(profile.custom_lists, 1):
        row = {
            "internalid": number,
            "scriptid": custom_list.script_id,
            "name": custom_list.name,
            "isinactive": False,
        }
        database.insert("customlist", row)


def _load_unserved(database: Database, profile: Profile) -> None:
    """Records that others refer to and that have no path of their own."""
    books = [("accountingBook", "1", "Primary Accounting Book")]
    taxes = [("taxType", t.id, t.name) for t in profile.tax_types]
    taxes += [("taxCode", t.id, t.name) for t in profile.tax_codes]
    for record_type, identifier, name in books + taxes:
        database.put(record_type, int(identifier), record_type, {"id": identifier, "name": name})
        database.set_name(record_type, int(identifier), name)
