"""The versions of a tenant's mapping that ran: what each changed, which plans it made, and which one was the last good.

Here: differences between effective files, and the message of a file that cannot be used. Not here: keeping versions
(`resources/ledger/mappings.py`). Imports no Dagster.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

from resources.ledger import Ledger, LedgerError, Plan
from resources.tenants import Problem, Tenant, TenantError, TenantRegistry

if TYPE_CHECKING:
    from netsuite_assets.mapping.compiler import Mapping as TenantMapping


@dataclass(frozen=True)
class Change:
    """One key path of the effective file that differs; a whole part that is new or gone is one change."""

    path: str
    kind: Literal["added", "removed", "changed"]
    before: str | None
    after: str | None


@dataclass(frozen=True)
class Version:
    """A version in use from `used_from` until `used_until` (None: still), what it changed, and the plans it made."""

    number: int
    hash: str
    used_from: datetime
    used_until: datetime | None
    effective: Mapping[str, Any]
    changes: tuple[Change, ...]
    plans: tuple[Plan, ...]


class UnusableTenant(TenantError):
    """A tenant's file that cannot be used, and the version that ran last, which is still what NetSuite was written by."""

    def __init__(self, problems: list[Problem], last: str) -> None:
        super().__init__(problems)
        self.last = last

    def __str__(self) -> str:
        return f"{super().__str__()}\n{self.last}"


def load_mapping(
    registry: TenantRegistry, name: str, ledger: Callable[[], Ledger]
) -> tuple[Tenant, TenantMapping]:
    """A tenant and its mapping as its file says now.

    Raises `UnusableTenant` with every mistake and the version that ran last, which `ledger` knows.
    """
    from netsuite_assets.mapping.compiler import compile_mapping

    try:
        tenant = registry.load(name)
        return tenant, compile_mapping(tenant)
    except TenantError as error:
        raise UnusableTenant(error.problems, _last_good(ledger, name)) from None


def versions_of(ledger: Ledger, tenant: str) -> list[Version]:
    """Every version that ran, the first one first; each plan belongs to the version that made it last."""
    uses = ledger.mapping_history(tenant)
    plans: dict[int, list[Plan]] = {}
    for plan in ledger.plans_of_tenant(tenant):
        same = [index for index, use in enumerate(uses) if use.hash == plan.mapping_hash]
        before = [index for index in same if uses[index].used_from <= plan.made_at]
        if same:
            plans.setdefault((before or same[:1])[-1], []).append(plan)
    found = []
    for index, use in enumerate(uses):
        changes = differences(uses[index - 1].effective, use.effective) if index else ()
        until = uses[index + 1].used_from if index + 1 < len(uses) else None
        found.append(
            Version(
                index + 1,
                use.hash,
                use.used_from,
                until,
                use.effective,
                tuple(changes),
                tuple(plans.get(index, ())),
            )
        )
    return found


def differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Change]:
    """What differs between two effective files, by path."""
    return list(_differences(before, after, ""))


def _differences(before: Mapping[str, Any], after: Mapping[str, Any], path: str) -> Iterator[Change]:
    for key in sorted({*before, *after}):
        # A dot inside of a key (a path of a condition) is told from one between keys.
        name = f"'{key}'" if "." in key else key
        at = f"{path}.{name}" if path else name
        if key not in after:
            yield Change(at, "removed", _text(before[key]), None)
        elif key not in before:
            yield Change(at, "added", None, _text(after[key]))
        elif isinstance(before[key], Mapping) and isinstance(after[key], Mapping):
            yield from _differences(before[key], after[key], at)
        elif before[key] != after[key]:
            yield Change(at, "changed", _text(before[key]), _text(after[key]))


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True)


def _last_good(ledger: Callable[[], Ledger], name: str) -> str:
    try:
        with closing(ledger()) as opened:
            versions = versions_of(opened, name)
    except LedgerError as error:
        return f"Which version ran last is not known: {error}"
    if not versions:
        return f"No version of {name} has run yet."
    last = versions[-1]
    made = "It made no plan."
    if last.plans:
        plan = last.plans[-1]
        made = f"Its latest plan is {plan.plan_id[:12]} for {plan.period}, made {_instant(plan.made_at)}."
    return (
        f"The last version that ran is {last.hash[:12]}, in use since {_instant(last.used_from)}. {made}"
        f" Nothing runs for {name} until its file is right; compare it with: recon mapping show {name} {last.hash[:12]}"
    )


def _instant(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"
