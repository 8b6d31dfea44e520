"""The numbers by which `systemnote` and `deletedrecord` name record types (`recordtypeid`)."""

from __future__ import annotations

from sandbox.profile import Profile
from sandbox.record.schema import space_of

# Documented for entities; for transactions by what others report; the rest are NetSuite's internal list numbers.
_BY_SPACE = {"entity": -9, "transaction": -30, "item": -10}
_BY_TYPE = {
    "account": -112,
    "department": -102,
    "classification": -101,
    "location": -103,
    "subsidiary": -117,
    "term": -199,
}


def type_number(profile: Profile, record_type: str) -> int | None:
    """A custom record type's number is its internal id; None for what has no number here."""
    space = space_of(record_type)
    if space in _BY_SPACE:
        return _BY_SPACE[space]
    custom = [one.script_id for one in profile.custom_record_types]
    return custom.index(record_type) + 1 if record_type in custom else _BY_TYPE.get(record_type)
