"""Every mistake in a tenant's effective settings, as a sentence at the place that is to be mended.

Here: the way from pydantic's findings to words and places. Not here: what is allowed (`models.py`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from resources.tenants.models import TenantSettings, known_keys
from resources.tenants.source import Node, Problem, TenantError, nearest, shown
from resources.tenants.systems import untagged

Steps = tuple[str | int, ...]

# Where an environment variable may be named; elsewhere `${…}` would silently stay as it is.
_REFERENCES_ALLOWED: Final = frozenset({("netsuite", "base_url"), ("billing", "url")})
_CREDENTIALS: Final = ("netsuite", "auth")
_NOT_CREDENTIALS: Final = frozenset({"method", "algorithm", "redirect_uri", "refresh_token_hours"})


def locate(tree: Node, path: Steps) -> tuple[Node, Steps]:
    """The deepest node on the way to `path`, and the steps that it lacks."""
    node = tree
    for index, step in enumerate(path):
        below = node.get(step) or _understood(node, step)
        if below is None:
            return node, path[index:]
        node = below
    return node, ()


def _understood(node: Node, step: str | int) -> Node | None:
    """The node below where the file says in short what the settings hold at length."""
    if isinstance(node.value, tuple):
        # A list of names stands for a mapping of each to itself; one of values for the test `in`.
        named = next((item for item in node.value if item.value == step), None)
        return named or (node if step == "in" else None)
    if step == 0 or (step in ("is", "from") and not isinstance(node.value, Mapping)):
        return node
    return None


def validated(tree: Node, name: str) -> TenantSettings:
    """The settings of tenant `name`; raises `TenantError` with every mistake."""
    problems = list(_misplaced_references(tree, ()))
    try:
        settings = TenantSettings.model_validate(tree.plain())
    except ValidationError as error:
        problems += [_problem(tree, details) for details in error.errors(include_url=False)]
        raise TenantError(problems) from None
    if settings.name != name:
        message = f"this file is tenant '{name}' by its name, but says '{shown(settings.name)}'"
        problems.append(Problem.at(locate(tree, ("tenant",))[0].place, message))
    for path, message in settings.mistakes():
        node, rest = locate(tree, path)
        problems.append(Problem.at(node.place if rest else node.key, message))
    if problems:
        raise TenantError(problems)
    return settings


def _misplaced_references(node: Node, path: tuple[str, ...]) -> Iterator[Problem]:
    if isinstance(node.value, Mapping):
        for key, value in node.value.items():
            yield from _misplaced_references(value, (*path, key))
    elif isinstance(node.value, tuple):
        for value in node.value:
            yield from _misplaced_references(value, path)
    elif isinstance(node.value, str) and "${" in node.value and not _may_refer(path):
        if path[0] == "records" and path[-1] == "template":
            return  # a dollar sign before a path, as in "Total ${total}"
        allowed = ", ".join(".".join(known) for known in sorted(_REFERENCES_ALLOWED))
        message = f"the environment can be named only in {allowed} and the credentials of netsuite.auth"
        yield Problem.at(node.place, message)


def _may_refer(path: tuple[str, ...]) -> bool:
    return path in _REFERENCES_ALLOWED or (path[:2] == _CREDENTIALS and path[-1] not in _NOT_CREDENTIALS)


def _problem(tree: Node, details: ErrorDetails) -> Problem:
    """One finding of the validation as a sentence at the place that is to be mended."""
    found = tuple(step for step in details["loc"] if step != "[key]")
    path = untagged(found)
    kind = details["type"]
    if kind in ("union_tag_invalid", "union_tag_not_found"):
        return _unchosen(tree, path, details)
    node, rest = locate(tree, path)
    if kind == "extra_forbidden":
        known = known_keys(found[:-1])
        name = str(path[-1])
        hint = nearest(name, known) or f"; known here: {', '.join(known)}"
        return Problem.at(node.key, f"unknown key '{shown(name)}'{hint}")
    if kind == "missing":
        around = ".".join(str(step) for step in path[:-1])
        where = f" in {around}" if around else ""
        return Problem.at(node.key, f"the key '{path[-1]}' is missing{where}")
    if details["loc"][-1:] == ("[key]",):
        return Problem.at(node.key, _sentence(details))
    return Problem.at(node.key if rest else node.place, _sentence(details))


def _unchosen(tree: Node, path: Steps, details: ErrorDetails) -> Problem:
    """The key that decides which other keys there are is missing or unknown."""
    context = details.get("ctx", {})
    key = str(context.get("discriminator", "")).strip("'")
    node, rest = locate(tree, (*path, key))
    if rest or "tag" not in context:
        around = ".".join(str(step) for step in path)
        return Problem.at(locate(tree, path)[0].key, f"the key '{key}' is missing in {around}")
    choices = re.findall(r"'([^']*)'", str(context["expected_tags"]))
    given = str(context["tag"])
    hint = nearest(given, choices) or f"; use {' or '.join(choices)}"
    return Problem.at(node.place, f"unknown value for {key}: '{shown(given)}'{hint}")


def _choice(details: ErrorDetails, what: str) -> str:
    expected = str(details.get("ctx", {}).get("expected", ""))
    choices = re.findall(r"'([^']*)'", expected)
    given = details["input"]
    said = f"'{shown(given)}'" if isinstance(given, str) else _what(given)
    hint = nearest(given, choices) if isinstance(given, str) else ""
    return f"unknown {what} {said}{hint}" + ("" if hint else f"; use {' or '.join(choices)}")


def _what(value: Any) -> str:
    if isinstance(value, Mapping):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    return f"'{shown(str(value))}'"


_EXPECTED: Final = {
    "string_type": "text",
    "int_type": "a whole number",
    "bool_type": "true or false",
    "dict_type": "a mapping of keys to values",
    "model_type": "a mapping of keys to values",
    "list_type": "a list",
    "decimal_type": "a number",
    "decimal_parsing": "a number",
}


def _sentence(details: ErrorDetails) -> str:
    kind = details["type"]
    if kind == "value_error":
        return str(details["ctx"]["error"])
    if kind == "literal_error":
        named = [step for step in details["loc"] if isinstance(step, str)]
        return _choice(details, f"value for {named[-1]}:")
    if kind == "too_short":
        return "this is empty; give it a value, or leave it out"
    if kind in _EXPECTED:
        return f"expected {_EXPECTED[kind]}, found {_what(details['input'])}"
    message = details["msg"]
    return f"{message[0].lower()}{message[1:]}, found {_what(details['input'])}"
