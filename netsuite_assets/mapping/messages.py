"""What a person reads about a value that could not be mapped, as SQL that builds the sentence in its row.

Here: words only. `sql.py` says when they are used; the numbers are those of its `PROBLEMS`.
"""

from __future__ import annotations

from netsuite_assets.mapping.model import Branch, FieldRule, Way
from netsuite_assets.tables import TABLES
from resources.warehouse import literal

#: How a list's members are called; others are called by the list's own name.
_WORDS = {
    "item": "item",
    "term": "payment term",
    "subsidiary": "subsidiary",
    "currency": "currency",
    "account": "account",
    "department": "department",
    "classification": "class",
    "location": "location",
    "accountingPeriod": "accounting period",
}


def sentence(number: int, rule: FieldRule, branch: Branch, way: Way | None, value: str) -> str:
    """SQL, to follow the document's name in a `concat`: what is wrong with this field of this row."""
    name, kind = rule.field.name, rule.field.kind
    listed, thing = _listed(way)
    match number:
        case 1:
            return literal("the billing document names no customer.")
        case 2 if way is not None and way.own:
            return _said(f"{name}: billing has no {thing} '", value, "'.")
        case 2 if way is not None and way.lookup is not None and way.lookup.of_date:
            return _said(f"{name}: NetSuite has no accounting period that contains ", value, ".")
        case 2:
            return _said(f"{name}: NetSuite has no active {thing} '", value, f"' (list {listed}).")
        case 3 if way is not None and way.lookup is not None and way.lookup.of_date:
            return _said(f"{name}: several accounting periods of NetSuite contain ", value, ".")
        case 3:
            return _said(f"{name}: NetSuite has several active rows '", value, f"' in the list {listed}.")
        case 4:
            return _said(f"{name}: the mapping does not say what '", value, "' becomes.")
        case 6:
            return _said(
                f"{name}: NetSuite has neither an active {thing} '",
                value,
                f"' nor the default '{branch.default}' (list {listed}).",
            )
        case 7:
            return literal(f"{name} is empty in billing, and NetSuite needs it.")
        case 8:
            return _said(f"{name}: the {thing} '", value, "' is not expected in NetSuite.")
        case 9 if branch.max_length is not None:
            return _said(f"{name}: '", value, f"' has more than the {branch.max_length} characters that it may have.")  # fmt: skip
        case 9:
            return _said(f"{name}: ", value, f" has more than the {branch.max_decimals} decimals that it may have.")  # fmt: skip
        case 10:
            return literal(f"{name} is to be rounded in a currency whose decimal places are not known.")
        case _:
            return _said(f"{name}: '", value, f"' is not {_wanted(kind, way)}.")


def next_step(number: int, rule: FieldRule, branch: Branch, way: Way | None, value: str) -> str:
    """SQL of what a person should do about it."""
    where = branch.where
    _, thing = _listed(way)
    match number:
        case 1:
            return literal("Give the document its customer in billing; until then it is not booked.")
        case 2 if way is not None and way.own:
            return _whole(
                f"Add the {thing} '", value, f"' in billing, or correct the document's {thing} there."
            )
        case 2 if way is not None and way.lookup is not None and way.lookup.of_date:
            return _whole("Set up the accounting period of ", value, " in NetSuite, or correct the date in billing.")  # fmt: skip
        case 2:
            return _whole(f"Create the {thing} '", value, f"' in NetSuite or map it in {where}.")
        case 3:
            return _whole("Make '", value, f"' unique in NetSuite, or map it to one internal id in {where}.")
        case 4:
            return _whole("Add '", value, f"' to the map in {where}.")
        case 6:
            return _whole(
                f"Create the {thing} '", value, f"' or '{branch.default}' in NetSuite, or map it in {where}."
            )
        case 7:
            return literal(f"Fill it in billing, or give the rule in {where} a default.")
        case 8:
            return literal(
                f"See expected.left_out for why, and correct it in billing or the rule in {where}."
            )
        case 9:
            return literal(f"Shorten it in billing, or allow the rule in {where} to cut it (cut: true).")
        case 10:
            return literal("Correct the currency in billing, or name it in currency_precision.")
        case _:
            return literal(f"Correct the value in billing, or the rule in {where}.")


def warning(rule: FieldRule, branch: Branch, value: str) -> str:
    """SQL that tells how a value was cut; `value` is SQL of the whole value."""
    name = rule.field.name
    if branch.max_length is not None:
        return _whole(f"{name} is cut from ", f"length({value})", f" to {branch.max_length} characters.")
    return _whole(f"{name} is rounded from ", value, f" to {branch.max_decimals} decimals.")


def _listed(way: Way | None) -> tuple[str, str]:
    """A lookup's list, and what people call what is in it."""
    listed = way.lookup.list_name if way is not None and way.lookup is not None else ""
    if way is not None and way.own:
        return listed, TABLES[listed].label if listed in TABLES else listed
    return listed, _WORDS.get(listed, f"value of {listed}")


def _wanted(kind: str, way: Way | None) -> str:
    if way is not None and way.lookup is not None and way.lookup.of_date:
        kind = "date"
    return {
        "amount": "an amount with at most 14 digits and 4 decimals",
        "rate": "a price with at most 16 digits and 12 decimals",
        "quantity": "a quantity with at most 18 digits and 10 decimals",
        "integer": "a whole number",
        "date": "a date (YYYY-MM-DD)",
        "datetime": "an instant (YYYY-MM-DDTHH:MM:SSZ)",
        "boolean": "true or false",
        "reference": "an internal id",
    }.get(kind, f"a value of the kind {kind}")


def _said(before: str, value: str, after: str) -> str:
    return f"{literal(before)}, {value}, {literal(after)}"


def _whole(before: str, value: str, after: str) -> str:
    return f"concat({_said(before, value, after)})"
