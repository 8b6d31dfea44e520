"""The records that a profile declares: written to the store when an account starts, read-only over REST."""

from __future__ import annotations

import calendar
from collections.abc import Iterator
from datetime import date
from decimal import Decimal

from sandbox.profile import Classification, Currency, Profile
from sandbox.record.schema import ENUMS, ITEM_TYPES, space_of
from sandbox.store.database import Database, Doc
from sandbox.wire import Json

_STATUSES = (
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
    ("Journal", "Journal", {"A": "Pending Approval", "B": "Approved for Posting"}),
    ("SalesOrd", "Sales Order", {"F": "Pending Billing", "G": "Billed"}),
)


class Masters:
    """A profile's records by what the accounting rules ask of them."""

    def __init__(self, profile: Profile) -> None:
        self.profile = profile
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

    def currency(self, symbol: str) -> Currency:
        return self._by_symbol[symbol]

    def base_currency(self, subsidiary: str | None) -> Currency:
        """The books' currency of a subsidiary, or of the company."""
        if subsidiary is not None and subsidiary in self.subsidiaries:
            return self._by_symbol[self.subsidiaries[subsidiary].currency]
        return self._by_symbol[self.profile.base_currency]

    def exchange_rate(self, currency: str, subsidiary: str | None) -> Decimal:
        """Units of the subsidiary's currency that one unit of `currency` (an id) buys."""
        base = self.base_currency(subsidiary)
        rate = self.currencies[currency].rate / base.rate
        return rate.quantize(Decimal("0.00000001")).normalize()

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
    """Write every declared record, its display name and its SuiteQL row; what is there is brought up to the profile."""
    with database.transaction():
        for record_type, doc, row, name in _all(masters):
            space = space_of(record_type)
            identifier = int(doc["id"])
            doc["_title"] = name
            database.put(space, identifier, record_type, doc)
            database.set_name(space, identifier, name)
            table = "item" if space == "item" else record_type.lower()
            if table in database.tables:
                database.insert(table, row)
        for kind, title, letters in _STATUSES:
            database.set_name("trantype", kind, title)
            for letter, text in letters.items():
                database.set_name("status", f"{kind}:{letter}", f"{title} : {text}")
        load_catalogue(database, masters.profile)
        for name, values in ENUMS.items():
            for value, text in values.items():
                database.set_name(name, value, text)


_Row = dict[str, Json]


def _all(masters: Masters) -> Iterator[tuple[str, Doc, _Row, str]]:
    profile = masters.profile
    yield from _money(masters)
    yield from _items(masters)
    for record_type, group in (
        ("department", profile.departments),
        ("classification", profile.classes),
        ("location", profile.locations),
    ):
        yield from _tree(record_type, group, profile.oneworld)
    yield from _periods(profile)
    for record_type, values in [
        *((s.record_type, s.values) for s in profile.custom_segments),
        *((c.script_id, c.values) for c in profile.custom_lists),
    ]:
        names = {value.id: value.name for value in values}
        for value in values:
            full = f"{names[value.parent]} : {value.name}" if value.parent else value.name
            doc = {"id": value.id, "name": value.name, "fullName": full, "isInactive": value.inactive}
            doc |= _given(externalId=value.external_id, parent=value.parent)
            row = {
                "id": int(value.id),
                "recordid": int(value.id),
                "name": value.name,
                "isinactive": value.inactive,
            }
            row |= _given(externalid=value.external_id, parent=value.parent and int(value.parent))
            yield record_type, doc, row, full


def _money(masters: Masters) -> Iterator[tuple[str, Doc, _Row, str]]:
    profile = masters.profile
    for c in profile.currencies:
        base = c.symbol == profile.base_currency
        doc: Doc = {
            "id": c.id,
            "name": c.name,
            "symbol": c.symbol,
            "displaySymbol": c.symbol,
            "exchangeRate": c.rate,
        }
        doc |= {"currencyPrecision": c.precision, "isBaseCurrency": base, "isInactive": False}
        row: _Row = {
            "id": int(c.id),
            "name": c.name,
            "symbol": c.symbol,
            "displaysymbol": c.symbol,
            "isinactive": False,
        }
        row |= {"exchangerate": c.rate, "currencyprecision": c.precision, "isbasecurrency": base}
        yield "currency", doc, row, c.symbol
    for s in profile.subsidiaries:
        full, currency = masters.subsidiary_name(s.id), masters.currency(s.currency).id
        doc = {"id": s.id, "name": s.name, "fullName": full, "legalName": s.name, "currency": currency}
        doc |= {"country": s.country, "isElimination": False, "isInactive": False, **_given(parent=s.parent)}
        row = {
            "id": int(s.id),
            "name": s.name,
            "fullname": full,
            "legalname": s.name,
            "currency": int(currency),
        }
        row |= {"country": s.country, "iselimination": False, "isinactive": False}
        row |= _given(parent=s.parent and int(s.parent))
        yield "subsidiary", doc, row, full
    for t in profile.terms:
        doc = {
            "id": t.id,
            "name": t.name,
            "daysUntilNetDue": t.days,
            "dateDriven": False,
            "isInactive": False,
        }
        row = {
            "id": int(t.id),
            "name": t.name,
            "daysuntilnetdue": t.days,
            "datedriven": False,
            "isinactive": False,
        }
        yield "term", doc, row, t.name
    for a in profile.accounts:
        shown = f"{a.number} {a.name}"
        doc = {"id": a.id, "acctNumber": a.number, "acctName": a.name, "fullName": a.name, "acctType": a.type}
        doc |= {
            "isInactive": False,
            "isSummary": False,
            **({"subsidiary": a.subsidiaries} if profile.oneworld else {}),
        }
        row = {
            "id": int(a.id),
            "acctnumber": a.number,
            "fullname": a.name,
            "accttype": a.type,
            "isinactive": False,
        }
        row |= {"accountsearchdisplayname": shown, "displaynamewithhierarchy": shown, "issummary": False}
        yield "account", doc, row, shown


def _items(masters: Masters) -> Iterator[tuple[str, Doc, _Row, str]]:
    for item in masters.profile.items:
        _, kind, subtype = ITEM_TYPES[item.type]
        doc: Doc = {
            "id": item.id,
            "itemId": item.item_id,
            "fullName": item.item_id,
            "displayName": item.display_name,
        }
        doc |= {"incomeAccount": item.income_account, "itemType": kind, "isInactive": item.inactive}
        doc |= _given(rate=item.rate, externalId=item.external_id, subtype=subtype or None)
        if masters.profile.oneworld:
            doc["subsidiary"] = item.subsidiaries or list(masters.subsidiaries)
        row: _Row = {"id": int(item.id), "itemid": item.item_id, "fullname": item.item_id, "itemtype": kind}
        row |= {"displayname": item.display_name or None, "incomeaccount": int(item.income_account)}
        row |= {"subtype": subtype or None, "isinactive": item.inactive}
        row |= _given(rate=item.rate, externalid=item.external_id)
        yield item.type, doc, row, item.item_id


def _tree(
    record_type: str, group: list[Classification], oneworld: bool
) -> Iterator[tuple[str, Doc, _Row, str]]:
    names = {entry.id: entry.name for entry in group}
    for entry in group:
        full = f"{names[entry.parent]} : {entry.name}" if entry.parent else entry.name
        doc: Doc = {"id": entry.id, "name": entry.name, "fullName": full, "isInactive": False}
        doc |= _given(parent=entry.parent, externalId=entry.external_id)
        if oneworld:
            doc["subsidiary"] = entry.subsidiaries
        row: _Row = {"id": int(entry.id), "name": entry.name, "fullname": full, "isinactive": False}
        row |= _given(parent=entry.parent and int(entry.parent), externalid=entry.external_id)
        if oneworld and entry.subsidiaries:
            row["subsidiary"] = int(entry.subsidiaries[0])
        yield record_type, doc, row, full


def _periods(profile: Profile) -> Iterator[tuple[str, Doc, _Row, str]]:
    periods = profile.periods
    for number, first in enumerate(months(periods.first, periods.last)):
        last = first.replace(day=calendar.monthrange(first.year, first.month)[1])
        month, name = first.strftime("%Y-%m"), f"{calendar.month_abbr[first.month]} {first.year}"
        closed = month in periods.closed
        flags = {
            "closed": closed,
            "allLocked": closed,
            "arLocked": closed or month in periods.ar_locked,
            "apLocked": closed,
            "payrollLocked": closed,
            "allowNonGLChanges": month in periods.allow_non_gl_changes,
            "isAdjust": False,
            "isPosting": True,
            "isQuarter": False,
            "isYear": False,
            "isInactive": False,
        }
        identifier = periods.first_id + number
        doc: Doc = {
            "id": str(identifier),
            "periodName": name,
            "startDate": first.isoformat(),
            "endDate": last.isoformat(),
        }
        row: _Row = {
            "id": identifier,
            "periodname": name,
            "startdate": f"{first} 00:00:00",
            "enddate": f"{last} 00:00:00",
        }
        row |= {key.lower(): value for key, value in flags.items()}
        yield "accountingPeriod", doc | flags, row, name


def months(first: str, last: str) -> Iterator[date]:
    """The first day of every month from `YYYY-MM` to `YYYY-MM`."""
    day = date.fromisoformat(f"{first}-01")
    while day.strftime("%Y-%m") <= last:
        yield day
        day = date(day.year + day.month // 12, day.month % 12 + 1, 1)


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
    database.set_name("accountingBook", 1, "Primary Accounting Book")
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
    row: _Row
    owners = {"custbody": "BODY", "custcol_": "COLUMN", "custenti": "ENTITY"}
    for number, field in enumerate(profile.custom_fields, 1):
        row = {
            "internalid": number,
            "scriptid": field.script_id.upper(),
            "name": field.label,
            "isstored": True,
        }
        row |= {"fieldtype": owners[field.script_id[:8]], "fieldvaluetype": kinds[field.type]}
        row |= {"ismandatory": field.mandatory, "isshowinlist": False, "fieldvaluetyperecord": field.choices}
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


def _given(**values: Json) -> dict[str, Json]:
    return {key: value for key, value in values.items() if value is not None}
