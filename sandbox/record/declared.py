"""The list records that a profile declares, as documents: currencies, accounts, items, periods and the like, custom records."""

from __future__ import annotations

import calendar
from collections.abc import Iterable, Iterator
from datetime import date
from decimal import Decimal
from itertools import chain

from sandbox.profile import Classification, Profile
from sandbox.profile_custom import CustomRecordType, ListValue
from sandbox.record.schema import ITEM_TYPES
from sandbox.store.database import Doc
from sandbox.wire import Json


def documents(profile: Profile) -> Iterator[tuple[str, Doc]]:
    """Record type and document of everything that the profile declares."""
    yield from _money(profile)
    yield from _items(profile)
    for record_type, group in (
        ("department", profile.departments),
        ("classification", profile.classes),
        ("location", profile.locations),
    ):
        yield from _tree(record_type, group, profile.oneworld)
    yield from _periods(profile)
    lists = ((custom_list.script_id, custom_list.values) for custom_list in profile.custom_lists)
    segments = ((segment.record_type, segment.values) for segment in profile.custom_segments)
    for record_type, values in chain(segments, lists):
        yield from _values(record_type, values)
    for custom in profile.custom_record_types:
        yield from _instances(custom)


def _full_names(entries: Iterable[tuple[str, str, str | None]]) -> dict[str, str]:
    """`Parent : Child` by id, from ids, names and parents."""
    known = {identifier: (name, parent) for identifier, name, parent in entries}

    def full(identifier: str) -> str:
        name, parent = known[identifier]
        return f"{full(parent)} : {name}" if parent in known else name

    return {identifier: full(identifier) for identifier in known}


def _money(profile: Profile) -> Iterator[tuple[str, Doc]]:
    symbols = {currency.symbol: currency.id for currency in profile.currencies}
    for c in profile.currencies:
        doc: Doc = {"id": c.id, "name": c.name, "symbol": c.symbol, "displaySymbol": c.symbol}
        doc |= {"exchangeRate": c.rate, "currencyPrecision": c.precision}
        yield (
            "currency",
            doc | {"isBaseCurrency": c.symbol == profile.base_currency, "isInactive": False},
        )
    names = _full_names((s.id, s.name, s.parent) for s in profile.subsidiaries)
    for s in profile.subsidiaries:
        doc = {"id": s.id, "name": s.name, "fullName": names[s.id], "legalName": s.name}
        doc |= {"currency": symbols[s.currency], "country": s.country, "isElimination": False}
        yield "subsidiary", doc | {"isInactive": False, **_given(parent=s.parent)}
    for t in profile.terms:
        doc = {"id": t.id, "name": t.name, "daysUntilNetDue": t.days}
        yield "term", doc | {"dateDriven": False, "isInactive": False}
    for a in profile.accounts:
        doc = {"id": a.id, "acctNumber": a.number, "acctName": a.name, "fullName": a.name, "acctType": a.type}
        doc |= {"isInactive": False, "isSummary": False}
        if a.id == profile.customer_deposits_account:
            doc["sSpecAcct"] = "CustDep"
        yield "account", doc | ({"subsidiary": a.subsidiaries} if profile.oneworld else {})


def _items(profile: Profile) -> Iterator[tuple[str, Doc]]:
    everywhere = [subsidiary.id for subsidiary in profile.subsidiaries]
    for item in profile.items:
        _, kind, subtype = ITEM_TYPES[item.type]
        doc: Doc = {"id": item.id, "itemId": item.item_id, "fullName": item.item_id}
        doc |= {"displayName": item.display_name or None, "incomeAccount": item.income_account}
        doc |= {"itemType": kind, "isInactive": item.inactive}
        doc |= _given(rate=item.rate, externalId=item.external_id, subtype=subtype or None)
        doc |= _given(taxSchedule=item.tax_schedule)
        if profile.oneworld:
            doc["subsidiary"] = item.subsidiaries or everywhere
        yield item.type, doc


def _tree(record_type: str, group: list[Classification], oneworld: bool) -> Iterator[tuple[str, Doc]]:
    names = _full_names((entry.id, entry.name, entry.parent) for entry in group)
    for entry in group:
        doc: Doc = {"id": entry.id, "name": entry.name, "fullName": names[entry.id], "isInactive": False}
        doc |= _given(parent=entry.parent, externalId=entry.external_id)
        yield record_type, doc | ({"subsidiary": entry.subsidiaries} if oneworld else {})


def _values(record_type: str, values: list[ListValue]) -> Iterator[tuple[str, Doc]]:
    names = _full_names((value.id, value.name, value.parent) for value in values)
    for value in values:
        doc: Doc = {"id": value.id, "name": value.name, "fullName": names[value.id]}
        doc["isInactive"] = value.inactive
        yield record_type, doc | _given(externalId=value.external_id, parent=value.parent)


def _instances(custom: CustomRecordType) -> Iterator[tuple[str, Doc]]:
    kinds = {field.script_id: field.type for field in custom.fields}
    for instance in custom.instances:
        doc: Doc = {"id": instance.id, "isInactive": instance.inactive}
        doc |= _given(name=instance.name, externalId=instance.external_id)
        yield (
            custom.script_id,
            doc | {name: _stored(kinds[name], v) for name, v in instance.values.items()},
        )


def _stored(kind: str, value: Json) -> Json:
    """A value of a profile as a record holds it."""
    if kind == "number":
        return Decimal(str(value))
    if kind == "multiselect":
        return [str(one) for one in value]
    if kind == "date":
        return value.isoformat() if isinstance(value, date) else str(value)
    return value if kind in ("boolean", "integer") else str(value)


def _periods(profile: Profile) -> Iterator[tuple[str, Doc]]:
    periods = profile.periods
    for number, first in enumerate(months(periods.first, periods.last)):
        last = first.replace(day=calendar.monthrange(first.year, first.month)[1])
        month, name = first.strftime("%Y-%m"), f"{calendar.month_abbr[first.month]} {first.year}"
        closed = month in periods.closed
        doc: Doc = {
            "id": str(periods.first_id + number),
            "periodName": name,
            "startDate": first.isoformat(),
            "endDate": last.isoformat(),
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
        yield "accountingPeriod", doc


def months(first: str, last: str) -> Iterator[date]:
    """The first day of every month from `YYYY-MM` to `YYYY-MM`."""
    day = date.fromisoformat(f"{first}-01")
    while day.strftime("%Y-%m") <= last:
        yield day
        day = date(day.year + day.month // 12, day.month % 12 + 1, 1)


def _given(**values: Json) -> dict[str, Json]:
    return {key: value for key, value in values.items() if value is not None}
