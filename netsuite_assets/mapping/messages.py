"""What a person reads about a value that could not be mapped, as SQL that builds the sentence in its row.

Here: words only. `sql.py` says when they are used; the numbers are those of its `PROBLEMS`.
"""

from __future__ import annotations

from netsuite_assets.mapping.model import FieldRule
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
}


def sentence(number: int, rule: FieldRule, value: str) -> str:
    """SQL, to follow the document's name in a `concat`: what is wrong with this field of this row."""
    name, kind = rule.field.name, rule.field.kind
    listed = rule.lookup.list_name if rule.lookup is not None else ""
    thing = _WORDS.get(listed, f"value of {listed}")
    match number:
        case 1:
            return literal("the billing document names no customer.")
        case 2 if listed == "customer":
            return _said(f"{name}: billing has no customer '", value, "'.")
        case 2:
            return _said(f"{name}: NetSuite has no active {thing} '", value, f"' (list {listed}).")
        case 3:
            return _said(f"{name}: NetSuite has several active rows '", value, f"' in the list {listed}.")
        case 4:
            return _said(f"{name}: the mapping does not say what '", value, "' becomes.")
        case 6:
            return _said(
                f"{name}: NetSuite has neither an active {thing} '",
                value,
                f"' nor the default '{rule.default}' (list {listed}).",
            )
        case 7:
            return literal(f"{name} is empty in billing, and NetSuite needs it.")
        case _:
            return _said(f"{name}: '", value, f"' is not {_wanted(kind)}.")


def next_step(number: int, rule: FieldRule, value: str) -> str:
    """SQL of what a person should do about it."""
    where = rule.field.where
    listed = rule.lookup.list_name if rule.lookup is not None else ""
    thing = _WORDS.get(listed, f"value of {listed}")
    match number:
        case 1:
            return literal("Give the document its customer in billing; until then it is not booked.")
        case 2 if listed == "customer":
            return _whole(
                "Add the customer '", value, "' in billing, or correct the document's customer there."
            )
        case 2:
            return _whole(f"Create the {thing} '", value, f"' in NetSuite or map it in {where}.")
        case 3:
            return _whole("Make '", value, f"' unique in NetSuite, or map it to one internal id in {where}.")
        case 4:
            return _whole("Add '", value, f"' to the map in {where}.")
        case 6:
            return _whole(
                f"Create the {thing} '", value, f"' or '{rule.default}' in NetSuite, or map it in {where}."
            )
        case 7:
            return literal(f"Fill it in billing, or give the rule in {where} a default.")
        case _:
            return literal(f"Correct the value in billing, or the rule in {where}.")


def _wanted(kind: str) -> str:
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
