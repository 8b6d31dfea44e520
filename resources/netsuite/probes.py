"""What a signed-in role may do in an account, asked one by one: permissions, fields, features, limits, dates.

Here belong the probes and what their answers mean (NetSuite REST facts: role permissions and what a missing one looks
like, SuiteQL errors, governance limits, dates). Reads alone are sent, unless write probes are asked for: see
``preflight``.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final
from zoneinfo import ZoneInfo

import msgspec

from resources.netsuite.client import NetSuite
from resources.netsuite.errors import NetSuiteError, NotFound, PermissionDenied, Rejected
from resources.netsuite.findings import (
    REST,
    WORKBOOK,
    ColumnsNeed,
    Finding,
    Needs,
    Permission,
    RecordNeed,
    Status,
    TableNeed,
    permission_of,
)
from resources.netsuite.writes import create_request, update_request

LIMITS: Final = "/services/rest/system/v1/governanceLimits"
_RECORDS: Final = "/services/rest/record/v1"
_NO_SUCH_ID: Final = "999999999999"
_PROBE_FIELDS: Final = {
    "customer": "terms",
    "invoice": "entity",
    "creditMemo": "entity",
    "customerPayment": "customer",
    "journalEntry": "subsidiary",
}
"""A reference of each record type that may be set when it is made."""

_NAMED: Final = re.compile(r"You need .*?'(?P<tab>[^'>]+?) -> (?P<name>[^']+)' permission")
_UNKNOWN: Final = re.compile(r"Unknown identifier '(?P<a>[^']*)'|Field '(?P<b>[^']*)'")
_NO_TABLE: Final = re.compile(r"Invalid search type")


@dataclass(frozen=True, slots=True)
class _Seen:
    """What a probe met: ``granted``, ``denied`` (the role lacks something), ``absent`` or ``unclear``."""

    kind: str
    words: str = ""
    named: Permission | None = None
    general: bool = False

    @property
    def status(self) -> Status:
        states: dict[str, Status] = {"granted": "ok", "denied": "missing", "absent": "failed"}
        return states.get(self.kind, "unknown")


async def _seen(asked: Awaitable[object]) -> _Seen:
    try:
        await asked
    except NotFound as error:
        return _Seen("granted", error.said)
    except PermissionDenied as error:
        named = _NAMED.search(error.said)
        permission = Permission(named["tab"], named["name"], "View") if named else None
        # NetSuite's words for a lack of REST Web Services or of the Workbook, whatever was asked for.
        general = "current role does not have permission" in error.said
        return _Seen("denied", error.said, permission, general)
    except NetSuiteError as error:
        absent = bool(_NO_TABLE.search(error.said)) or "does not exist" in error.said
        return _Seen("absent" if absent else "unclear", error.said or error.headline)
    return _Seen("granted")


class Probes:
    """The probes of one account, for a client that is signed in."""

    def __init__(self, client: NetSuite, needs: Needs, write_probes: bool) -> None:
        self.client, self.needs, self.write_probes = client, needs, write_probes

    async def findings(self) -> list[Finding]:
        records, tables, query = await asyncio.gather(
            asyncio.gather(*(_seen(self._list(need.record)) for need in self.needs.records)),
            asyncio.gather(*(_seen(self._first(need)) for need in self.needs.tables)),
            _seen(self._query("SELECT 1 AS one FROM DUAL")),
        )
        if records and all(seen.general for seen in records) and query.general:
            return [_lacking(REST, "denied", "Everything", records[0].words), *self._untried(WORKBOOK)]
        found = [Finding("permission", REST.name, "ok", permission=REST)]
        if query.kind == "denied":
            stops = "Reading anything in sets: every extraction, comparison and look-up"
            found.append(_lacking(WORKBOOK, "denied", stops, query.words))
            found += self._records(records)
            found += [self._unasked(need) for need in self.needs.tables]
            return [*found, *await self._writes(), await self._limit()]
        found.append(Finding("permission", WORKBOOK.name, "ok", permission=WORKBOOK))
        found += _merged([*self._records(records), *map(_table_finding, self.needs.tables, tables)])
        found += await self._writes()
        visible = {
            need.table for need, seen in zip(self.needs.tables, tables, strict=True) if seen.kind == "granted"
        }
        if "transaction" in visible and "customer" in visible:
            for columns in await asyncio.gather(*(self._columns(need) for need in self.needs.columns)):
                found += columns
        found += await self._features(visible)
        return [*found, await self._limit(), await self._zone(), await self._dates(visible)]

    # Requests

    async def _query(self, text: str) -> list[dict[str, str]]:
        return await self.client.suiteql_rows(text)

    async def _list(self, record: str) -> object:
        return await self.client.fetch(
            f"{_RECORDS}/{record}", "limit=1", title=f"List {record} records", record=record
        )

    async def _first(self, need: TableNeed) -> object:
        return await self._query(f"SELECT {need.key} FROM {need.table} FETCH FIRST 1 ROWS ONLY")

    # Permissions

    def _records(self, seen: list[_Seen]) -> list[Finding]:
        return [_record_finding(need, one) for need, one in zip(self.needs.records, seen, strict=True)]

    def _untried(self, *more: Permission) -> list[Finding]:
        names = {permission_of(need.record, level=_level(need)) for need in self.needs.records}
        names |= {permission_of(need.table) for need in self.needs.tables}
        return [
            Finding("permission", one.name, "unknown", f"cannot be seen without {REST.name}", permission=one)
            for one in (*more, *sorted(names))
        ]

    def _unasked(self, need: TableNeed) -> Finding:
        permission = permission_of(need.table)
        detail = f"cannot be seen without {WORKBOOK.name}"
        return Finding("permission", permission.name, "unknown", detail, permission=permission)

    async def _writes(self) -> list[Finding]:
        if not self.write_probes:
            return []
        wanted = [need.record for need in self.needs.records if need.writes and need.record in _PROBE_FIELDS]
        found = await asyncio.gather(*(self._write(record) for record in wanted))
        return [finding for each in found for finding in each]

    async def _write(self, record: str) -> list[Finding]:
        """Try to make one, and to change one where there is one; neither can succeed."""
        content = {_PROBE_FIELDS[record]: {"id": _NO_SUCH_ID}}
        probes = [("make", create_request(record, content))]
        try:
            answer = await self.client.fetch(
                f"{_RECORDS}/{record}", "limit=1", title=f"List {record} records", record=record
            )
            items = msgspec.json.decode(answer.content).get("items") or []
            if items:
                probes.append(("change", update_request(record, str(items[0]["id"]), content)))
        except (NetSuiteError, msgspec.DecodeError, KeyError, AttributeError):
            pass  # What cannot be listed was reported already; making one can still be probed.
        found = []
        for verb, request in probes:
            level = "Create" if verb == "make" else "Edit"
            permission = permission_of(record, level=level)
            subject = f"{permission.name}: {verb} ({level})"
            try:
                done = await self.client.send(request)
            except PermissionDenied as error:
                stops = f"Writing {record} records to NetSuite"
                found.append(_lacking(permission, "denied", stops, error.said, subject))
            except Rejected as error:
                found.append(Finding("permission", subject, "ok", f"refused for its content: {error.said}"))
            except NetSuiteError as error:
                found.append(Finding("permission", subject, "unknown", str(error)))
            else:
                step = f"Look at {record} {done.internal_id} in NetSuite and undo it: NetSuite took what it never should."
                found.append(Finding("permission", subject, "failed", "the probe was carried out", step))
        return found

    # Fields

    async def _columns(self, need: ColumnsNeed) -> list[Finding]:
        """The columns that the mapping names; each by itself where all together are refused."""
        everything = ", ".join(f"{expression} AS {name}" for name, expression in need.columns.items())
        seen = await _seen(self._query(f"SELECT {everything} FROM {need.source} FETCH FIRST 1 ROWS ONLY"))
        if seen.kind == "granted":
            return []
        one_by_one = await asyncio.gather(
            *(
                _seen(
                    self._query(f"SELECT {expression} AS {name} FROM {need.source} FETCH FIRST 1 ROWS ONLY")
                )
                for name, expression in need.columns.items()
            )
        )
        found = []
        for name, each in zip(need.columns, one_by_one, strict=True):
            if each.kind == "granted":
                continue
            status: Status = "failed" if _UNKNOWN.search(each.words) else "unknown"
            found.append(
                Finding(
                    "field",
                    f"{name} ({need.written_at.get(name, '')})",
                    status,
                    each.words,
                    "Correct the name in the tenant's file; or, if the field exists, apply it to this record type and"
                    " let the role see it (Customization > Lists, Records, & Fields).",
                    "Reading and comparing this field",
                )
            )
        return found

    # Features, limits, time

    async def _features(self, visible: set[str]) -> list[Finding]:
        found = [Finding("feature", "SuiteAnalytics Workbook", "ok", "on")]
        if "transaction" in visible:
            seen = await _seen(self._query("SELECT t.subsidiary FROM transaction t FETCH FIRST 1 ROWS ONLY"))
            if seen.kind == "granted":
                found.append(Finding("feature", "OneWorld", "ok", "on"))
            elif _UNKNOWN.search(seen.words):
                wrong = self.needs.maps_subsidiary
                step = "Remove the rules for 'subsidiary': this account has one company." if wrong else ""
                found.append(Finding("feature", "OneWorld", "failed" if wrong else "ok", "off", step))
            else:
                found.append(Finding("feature", "OneWorld", "unknown", seen.words))
        if "currency" in visible:
            found.append(await self._currencies())
        return found

    async def _currencies(self) -> Finding:
        try:
            count = int((await self._query("SELECT COUNT(*) AS n FROM currency"))[0]["n"])
        except (NetSuiteError, IndexError, KeyError, ValueError):
            return Finding("feature", "Multiple Currencies", "unknown", "the currencies could not be counted")
        detail = f"{count} currencies" if count > 1 else "one currency"
        return Finding("feature", "Multiple Currencies", "ok", detail)

    async def _limit(self) -> Finding:
        said = self.needs.concurrency
        try:
            answer = await self.client.fetch(LIMITS, title="Read the concurrency limits")
            limits = msgspec.json.decode(answer.content)
            limit = int(limits.get("integrationConcurrencyLimit") or limits["accountConcurrencyLimit"])
        except (NetSuiteError, msgspec.DecodeError, KeyError, TypeError, ValueError):
            detail = f"only an administrator may read it; the tenant's file says {said}"
            step = "Compare with Setup > Integration > Integration Management > Integration Governance."
            return Finding("limit", "Concurrency", "unknown", detail, step)
        if said > limit:
            step = f"Set netsuite.governance.concurrency to {limit} or less: requests over the limit are rejected."
            return Finding("limit", "Concurrency", "failed", f"{limit}; the tenant's file says {said}", step)
        return Finding("limit", "Concurrency", "ok", f"{limit}; the tenant's file uses {said}")

    async def _zone(self) -> Finding:
        try:
            row = (await self._query("SELECT SESSIONTIMEZONE AS tz FROM DUAL"))[0]
        except (NetSuiteError, IndexError):
            return Finding("time zone", "Account", "unknown", "NetSuite does not tell it")
        zone, mine = next(iter(row.values()), ""), self.needs.timezone
        if not mine or _same_zone(zone, mine):
            return Finding("time zone", zone, "ok", "as in the tenant's file" if mine else "")
        step = "Months would begin at another hour than in NetSuite. Set 'timezone' in the tenant's file to the account's."
        return Finding("time zone", zone, "warning", f"the tenant's file says {mine}", step)

    async def _dates(self, visible: set[str]) -> Finding:
        source = "accountingperiod" if "accountingperiod" in visible else "DUAL"
        column = "enddate" if source != "DUAL" else "TO_DATE('2026-10-31', 'YYYY-MM-DD')"
        try:
            row = (
                await self._query(
                    f"SELECT {column} AS bare, TO_CHAR({column}, 'YYYY-MM-DD') AS iso FROM {source}"
                    " FETCH FIRST 1 ROWS ONLY"
                )
            )[0]
            shown = date_format(row["bare"], row["iso"])
        except (NetSuiteError, IndexError, KeyError):
            shown = None
        if shown is None:
            return Finding("date format", "Account", "unknown", "a bare date could not be read")
        return Finding(
            "date format", shown, "ok", "for people; queries ask for dates in one form of their own"
        )


def date_format(bare: str, iso: str) -> str | None:
    """The format in which ``bare`` prints the date ``iso``, ``None`` when it is none that we know.

    >>> date_format("31-Oct-2026", "2026-10-31")
    'DD-Mon-YYYY'
    """
    year, month, day = iso[:4], iso[5:7], iso[8:10]
    name = datetime(int(year), int(month), 1, tzinfo=UTC).strftime("%B")
    shown = bare
    for value, token in ((year, "YYYY"), (name, "Month"), (name[:3], "Mon"), (name[:3].upper(), "MON")):
        shown = shown.replace(value, token, 1)
    numbers = [("DD", day)] if "M" in shown.replace("YYYY", "") else [("DD", day), ("MM", month)]
    for token, value in numbers:
        plain = value.lstrip("0")
        changed = re.sub(rf"(?<!\d)({value}|{plain})(?!\d)", token, shown, count=1)
        if changed == shown:
            return None
        shown = changed
    return shown if "YYYY" in shown else None


def _same_zone(zone: str, mine: str) -> bool:
    """Whether two zones agree in winter and in summer; NetSuite may tell an offset, which is compared now."""
    if zone == mine:
        return True
    try:
        other = ZoneInfo(zone)
    except (OSError, ValueError, LookupError):
        now = datetime.now(ZoneInfo(mine)).strftime("%z")
        return zone.replace(":", "") == now
    moments = [datetime(2026, month, 15, 12, tzinfo=UTC) for month in (1, 7)]
    return all(
        at.astimezone(other).utcoffset() == at.astimezone(ZoneInfo(mine)).utcoffset() for at in moments
    )


def _level(need: RecordNeed) -> str:
    return "Full" if need.writes else "View"


def _record_finding(need: RecordNeed, seen: _Seen) -> Finding:
    permission = permission_of(need.record, level=_level(need))
    if seen.kind == "denied":
        named = seen.named and Permission(seen.named.tab, seen.named.name, permission.level)
        return _lacking(named or permission, "denied", need.stops, seen.words)
    detail = seen.words if seen.kind != "granted" else f"{need.record} records can be listed"
    return Finding("permission", permission.name, seen.status, detail, "", need.stops, permission)


def _table_finding(need: TableNeed, seen: _Seen) -> Finding:
    permission = permission_of(need.table)
    if seen.kind == "denied":
        found = _lacking(permission, "denied", need.stops, seen.words)
        if not need.optional:
            return found
        return replace(found, status="warning", next_step=f"This one is optional. {found.next_step}")
    if seen.kind == "absent":
        if need.optional:
            return Finding("feature", need.table, "ok", "not in this account")
        step = f"The account has no table '{need.table}': its feature is off, or the name is another."
        return Finding("feature", need.table, "failed", seen.words, step, need.stops)
    return Finding("permission", permission.name, seen.status, seen.words, "", need.stops, permission)


def _lacking(permission: Permission, kind: str, stops: str, words: str, subject: str = "") -> Finding:
    return Finding(
        "permission",
        subject or permission.name,
        "missing" if kind == "denied" else "unknown",
        words,
        f"Grant it: {permission.granted_at}",
        stops,
        permission,
    )


def _merged(findings: list[Finding]) -> list[Finding]:
    """One finding a permission, however many probes it took: the worst, with all that it stops."""
    order: list[Status] = ["missing", "failed", "unknown", "warning", "ok"]
    by_name: dict[tuple[str, str], list[Finding]] = {}
    for finding in findings:
        by_name.setdefault((finding.area, finding.subject), []).append(finding)
    merged = []
    for same in by_name.values():
        worst = min(same, key=lambda finding: order.index(finding.status))
        stops = "; ".join(
            dict.fromkeys(one.stops for one in same if one.stops and one.status == worst.status)
        )
        merged.append(replace(worst, stops=stops))
    return merged
