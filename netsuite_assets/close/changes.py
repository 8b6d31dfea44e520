"""What changed in a month after it was signed: which document, from what to what, by how much, and by whom.

Here: telling a document's figures apart and finding NetSuite's own word on who changed them. Not here: which documents
differ (`figures.py`), or what follows from it (`sign_off.py`). Imports no Dagster.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta, timezone, tzinfo
from decimal import Decimal
from typing import Any, Final, Literal
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict

from netsuite_assets.close.figures import FIELD
from netsuite_assets.tell import moneys
from resources.warehouse import TenantWarehouse

_NOTES: Final = "netsuite.system_notes"
_DELETED: Final = "netsuite.deleted_records"
#: The number by which NetSuite's deleted records name transactions of all types.
_TRANSACTIONS: Final = "-30"

_WORDS: Final = {
    "external_id": "external id",
    "month": "month",
    "lines": "number of lines",
    "lines_hash": "lines",
}
_SIDES: Final = {"billing": "billing", "netsuite": "NetSuite"}


class _Told(BaseModel):
    model_config = ConfigDict(frozen=True)


class FieldChange(_Told):
    """One figure of a document, as it was signed and as it is now."""

    name: str
    before: str | None
    after: str | None


class Change(_Told):
    """One document of one side whose figures are not those that were signed.

    `deltas` is what it adds to that side's total of the month, by currency. `changed_by` and `changed_at` (NetSuite's
    local time with its zone) are None where NetSuite does not tell.
    """

    side: Literal["billing", "netsuite"]
    record: str
    external_id: str | None
    internal_id: str | None
    number: str | None
    name: str | None
    what: Literal["changed", "added", "removed"]
    fields: tuple[FieldChange, ...]
    deltas: dict[str, Decimal]
    last_modified: str | None
    changed_by: str | None
    changed_at: str | None

    @property
    def told(self) -> str:
        """The change in a sentence."""
        side = _SIDES[self.side]
        if self.what == "changed":
            parts = [f"{one.name} {_shown(one.before)} → {_shown(one.after)}" for one in self.fields]
            said = f"{side}: {', '.join(parts)}"
        elif self.what == "added":
            said = f"{side} has it now and had it not then"
        else:
            said = f"{side} had it then and has it no more"
        if self.changed_by is not None:
            said += f", by {self.changed_by} at {self.changed_at}"
        elif self.side == "netsuite" and self.last_modified is not None and self.what != "removed":
            said += f", last modified at {self.last_modified}; NetSuite's notes do not tell by whom"
        return said + "."


class Changes(_Told):
    """All that changed, as the sign-off's event keeps it: how many documents, by how much on each side, the first ones."""

    documents: int
    deltas: dict[str, dict[str, Decimal]]
    first: tuple[Change, ...]

    @property
    def told(self) -> str:
        """What it comes to: `2 documents; NetSuite USD 20.00`."""
        by_side = [
            f"{_SIDES[side]} {moneys({name: delta for name, delta in deltas.items() if delta}) if any(deltas.values()) else 'by nothing in total'}"
            for side, deltas in sorted(self.deltas.items())
        ]
        return f"{self.documents:,} document{'' if self.documents == 1 else 's'}; {', '.join(by_side)}"


#: How many changes an event keeps one by one; all of them are exceptions.
KEPT: Final = 1_000


def summed(changes: Sequence[Change]) -> Changes:
    """The changes as an event keeps them."""
    deltas: dict[str, dict[str, Decimal]] = {}
    for change in changes:
        of_side = deltas.setdefault(change.side, {})
        for currency, delta in change.deltas.items():
            of_side[currency] = of_side.get(currency, Decimal(0)) + delta
    documents = {(change.record, change.external_id or change.internal_id) for change in changes}
    return Changes(documents=len(documents), deltas=deltas, first=tuple(changes[:KEPT]))


def tell_changes(
    held: TenantWarehouse,
    period: str,
    signed_at: datetime,
    pairs: Sequence[tuple[Mapping[str, Any] | None, Mapping[str, Any] | None]],
    columns: Mapping[str, Sequence[str]],
) -> list[Change]:
    """The differing documents (`figures.differing`) as changes, with who changed them since `signed_at`."""
    ids = sorted({row["internal_id"] for pair in pairs for row in pair if row and row["internal_id"]})
    people = _people(held, period, signed_at, ids)
    changes = []
    for was, now in pairs:
        row = now or was
        assert row is not None
        who = people.get((row["record"], row["internal_id"])) if row["side"] == "netsuite" else None
        fields = _fields(was, now, columns[row["record"]]) if was and now else ()
        changes.append(
            Change(
                side=row["side"],
                record=row["record"],
                external_id=row["external_id"],
                internal_id=row["internal_id"],
                number=row["number"],
                name=row["name"],
                what="changed" if was and now else "added" if now else "removed",
                fields=fields,
                deltas=_deltas(was, now, period),
                last_modified=row["last_modified"],
                changed_by=who[0] if who else None,
                changed_at=who[1] if who else None,
            )
        )
    return changes


def _fields(
    was: Mapping[str, Any], now: Mapping[str, Any], columns: Sequence[str]
) -> tuple[FieldChange, ...]:
    differing = [name for name in columns if was[name] != now[name]]
    if "lines" in differing and "lines_hash" in differing:
        differing.remove("lines_hash")
    return tuple(
        FieldChange(name="lines", before="as signed", after="otherwise")
        if name == "lines_hash"
        else FieldChange(
            name=_WORDS.get(name, name.removeprefix(FIELD)),
            before=_as_text(was[name]),
            after=_as_text(now[name]),
        )
        for name in differing
    )


def _as_text(value: Any) -> str | None:
    if isinstance(value, Decimal):
        return f"{value:,.2f}" if value == round(value, 2) else f"{value:,f}"
    return None if value is None else str(value)


def _shown(value: str | None) -> str:
    return "nothing" if value is None else value


def _deltas(was: Mapping[str, Any] | None, now: Mapping[str, Any] | None, period: str) -> dict[str, Decimal]:
    """What the document adds to its side's total of the month now, less what it added then."""
    deltas: dict[str, Decimal] = {}
    for row, sign in ((was, -1), (now, 1)):
        if row is not None and row["month"] == period and row["total"] is not None:
            currency = row["currency"] or ""
            deltas[currency] = deltas.get(currency, Decimal(0)) + sign * row["total"]
    return deltas


def _people(
    held: TenantWarehouse, period: str, signed_at: datetime, ids: Sequence[str]
) -> dict[tuple[str, str | None], tuple[str, str]]:
    """Who changed or deleted each NetSuite document since it was signed, and when last, by record and internal id."""
    found: dict[tuple[str, str | None], tuple[str, str]] = {}
    if not ids:
        return found
    if held.columns(_NOTES):
        rows = held.sql(
            f"SELECT record, internal_id, changed_by, changed_at, time_zone FROM {_NOTES}"
            " WHERE period = ? AND list_contains(?::VARCHAR[], internal_id) AND changed_by IS NOT NULL"
            " ORDER BY record, internal_id, changed_at, note_no",
            [period, list(ids)],
        )
        names: dict[tuple[str, str], list[str]] = {}
        for record, internal_id, by, at, zone in rows:
            if _is_after(at, zone, signed_at):
                known = names.setdefault((record, internal_id), [])
                if by not in known:
                    known.append(by)
                found[record, internal_id] = (", ".join(known), _local(at, zone))
    if held.columns(_DELETED):
        rows = held.sql(
            f"SELECT script_id, type_id, internal_id, deleted_by, deleted_at, time_zone FROM {_DELETED}"
            " WHERE list_contains(?::VARCHAR[], internal_id) AND deleted_by IS NOT NULL ORDER BY deleted_at",
            [list(ids)],
        )
        for script_id, type_id, internal_id, by, at, zone in rows:
            for record in ("invoice", "creditMemo"):
                if str(script_id).lower() == record.lower() or (
                    script_id is None and type_id == _TRANSACTIONS
                ):
                    found[record, internal_id] = (by, _local(at, zone))
    return found


def _local(at: datetime, zone: str | None) -> str:
    return f"{at:%Y-%m-%d %H:%M}{f' {zone}' if zone else ''}"


def _is_after(at: datetime, zone: str | None, signed_at: datetime) -> bool:
    """Whether a local time of the account is after the signing; yes where the account's zone is none that is known."""
    known = _zone(zone or "")
    return known is None or at.replace(tzinfo=known) >= signed_at.replace(second=0, microsecond=0)


def _zone(name: str) -> tzinfo | None:
    """The account's zone by its name or its offset (`-08:00`), None where it is neither."""
    offset = _OFFSET.fullmatch(name)
    if offset is not None:
        sign, hours, minutes = offset.groups()
        shift = timedelta(hours=int(hours), minutes=int(minutes))
        return timezone(-shift if sign == "-" else shift)
    try:
        return ZoneInfo(name)
    except (ValueError, KeyError, OSError):  # ZoneInfoNotFoundError is a KeyError
        return None


_OFFSET: Final = re.compile(r"([+-])(\d{1,2}):(\d{2})")
