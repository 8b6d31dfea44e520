"""What the record types' rules work with: one account's profile, store, masters, clock and schema."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime

from sandbox.clock import Clock
from sandbox.errors import Refusal, user_error
from sandbox.profile import Profile
from sandbox.profile_tax import TaxEngine
from sandbox.record.masters import Masters
from sandbox.record.schema import RecordType
from sandbox.store.database import Database, Doc

FIRST_ENTITY = 1001
FIRST_TRANSACTION = 50_001
FIRST_LINE_KEY = 1_000_001


@dataclass(slots=True)
class Taxes:
    """The account's tax engine as it is now."""

    engine: TaxEngine


@dataclass(frozen=True, slots=True)
class Context:
    profile: Profile
    database: Database
    masters: Masters
    clock: Clock
    types: dict[str, RecordType]
    """By lower-case name."""
    taxes: Taxes

    def now(self) -> str:
        """The present as the record service prints it: UTC, whole seconds."""
        return f"{self.clock.now().astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"

    def today(self) -> date:
        """Today in the account's time zone."""
        return self.clock.now().astimezone(self.profile.zone).date()

    def local(self, moment: str) -> str:
        """A record's UTC date-time as SuiteQL holds it: in the account's time zone."""
        return f"{datetime.fromisoformat(moment).astimezone(self.profile.zone):%Y-%m-%d %H:%M:%S}"

    def mandatory_labels(self, record_type: RecordType, doc: Doc) -> list[str]:
        """Labels of the mandatory custom fields that a record lacks."""
        wanted = [f.script_id for f in self.profile.custom_fields if f.mandatory]
        fields = [record_type.fields[name] for name in wanted if name in record_type.fields]
        return [f.label for f in fields if doc.get(f.name) is None]

    def check_external_id(
        self, record_type: str, space: str, external_id: str | None, own: int | None
    ) -> None:
        """Raises NetSuite's refusal when the external id belongs to another record."""
        if external_id is None:
            return
        shared = space == "transaction" and self.profile.switches.transaction_external_ids == "shared"
        found = (
            self.database.find_in_space(space, external_id)
            if shared
            else self.database.find(record_type, external_id)
        )
        if found is not None and found != own:
            raise self.duplicate(space)

    def duplicate(self, space: str) -> Refusal:
        if space == "transaction":
            return user_error(self.profile.switches.duplicate_transaction_text)
        return user_error("This entity already exists.")

    def custom_cells(self, table: str, doc: Doc) -> dict[str, object]:
        """The cells of a table's custom columns."""
        cells: dict[str, object] = {}
        for column in self.database.tables[table].custom:
            value = doc.get(column.name)
            if value is not None:
                if isinstance(value, list):
                    value = ", ".join(str(one) for one in value)
                elif column.type == "date":
                    value = f"{value} 00:00:00"
                elif column.type == "id":
                    value = int(value)
            cells[column.name] = value
        return cells


def integer(identifier: str | None) -> int | None:
    return int(identifier) if identifier is not None else None


def stamp(day: str | None) -> str | None:
    """A date as SuiteQL's tables hold it."""
    return f"{day} 00:00:00" if day is not None else None
