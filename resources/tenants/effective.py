"""The effective result of a tenant's file: every value as it counts after all bases, with the place that gives it.

Here: also what counts for one legal entity, and for each kind of lines, whose rules lie over others of the same file.
Not here: reading files (`registry.py`), or what a rule means.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from resources.tenants.registry import EffectiveValue, Tenant
from resources.tenants.source import Node, Place, merge

_NOWHERE = Place("", 1, 1)
_EMPTY = Node({}, _NOWHERE, _NOWHERE)
_LINE = Node("line", _NOWHERE, _NOWHERE)


def entities(tenant: Tenant) -> list[str]:
    """The legal entities that any record's rules name, in the order of the file."""
    return list(dict.fromkeys(entity for rules in tenant.records.values() for entity in rules.by_subsidiary))


def effective_values(tenant: Tenant, entity: str | None = None) -> list[EffectiveValue]:
    """Every value in the order of the file.

    With `entity` the records' rules are those for this legal entity: what differs for it laid over the others, and
    the rules of lines complete in each line rule. Without, they stand as they are written.
    """
    if entity is None:
        return tenant.effective_values()
    records = tenant.tree.get("records")
    if records is None or not isinstance(records.value, Mapping):
        return tenant.effective_values()
    own = {name: _for_entity(name, node, entity) for name, node in records.value.items()}
    return replace(tenant, tree=_with(tenant.tree, "records", replace(records, value=own))).effective_values()


def _for_entity(record: str, rules: Node, entity: str) -> Node:
    differing = (rules.get("by_subsidiary") or _EMPTY).get(entity) or _EMPTY
    path = ("records", record)
    lines = rules.get("lines")
    found = rules
    for kind in ("fields", "lines"):
        found = _laid_over(found, kind, differing.get(kind), (*path, kind))
    for name, line_rule in _entries(rules.get("line_rules")):
        made = line_rule
        if str((line_rule.get("each") or _LINE).value) == "line" and lines is not None:
            # What a line rule says of its own counts for all entities.
            base = found.get("lines") or lines
            made = _with(made, "fields", _merged(base, line_rule.get("fields"), (*path, "lines")))
        for part, node in _entries((line_rule.get("split") or _EMPTY).get("parts")):
            below = _merged(made.get("fields"), node.get("fields"), (*path, "lines"))
            parts = _with(
                (made.get("split") or _EMPTY).get("parts") or _EMPTY, part, _with(node, "fields", below)
            )
            made = _with(made, "split", _with(made.get("split") or _EMPTY, "parts", parts))
        found = _with(found, "line_rules", _with(found.get("line_rules") or _EMPTY, name, made))
    if isinstance(found.value, Mapping):
        kept = {key: node for key, node in found.value.items() if key != "by_subsidiary"}
        found = replace(found, value=kept)
    return found


def _laid_over(rules: Node, key: str, top: Node | None, path: tuple[str, ...]) -> Node:
    return rules if top is None else _with(rules, key, _merged(rules.get(key), top, path))


def _merged(base: Node | None, top: Node | None, path: tuple[str, ...]) -> Node:
    if base is None or top is None:
        return base or top or _EMPTY
    return merge(base, top, path)


def _entries(node: Node | None) -> list[tuple[str, Node]]:
    return list(node.value.items()) if node is not None and isinstance(node.value, Mapping) else []


def _with(node: Node, key: str, below: Node) -> Node:
    """The node with another value under a key; an empty mapping leaves no trace."""
    if not isinstance(node.value, Mapping) or (below is _EMPTY and key not in node.value):
        return node
    return replace(node, value={**node.value, key: below})
