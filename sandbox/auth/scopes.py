"""The scopes of OAuth 2.0: their names, and which of them an integration may be granted."""

from __future__ import annotations

from typing import get_args

from sandbox.auth.refusal import Refused
from sandbox.profile_access import Integration, Scope
from sandbox.wire import Json

KNOWN: tuple[str, ...] = get_args(Scope)
MCP = "mcp"


def granted(asked: Json, integration: Integration) -> tuple[str, ...]:
    """The scopes asked for, as an array, a comma list or a space list; raises `Refused`."""
    names = asked if isinstance(asked, list) else str(asked or "").replace(",", " ").split()
    if not names:
        raise Refused("invalid_scope", "InvalidScope", "scope is missing", integration)
    if unknown := [name for name in names if name not in KNOWN]:
        raise Refused("invalid_scope", "InvalidScope", f"unknown scope {unknown[0]!r}", integration)
    if MCP in names and len(names) > 1:
        why = "the scope mcp can only be used on its own"
        raise Refused("invalid_scope", "InvalidScope", why, integration)
    if missing := [name for name in names if name not in integration.scopes]:
        why = f"scope {missing[0]} is not enabled on {integration.name}"
        raise Refused("invalid_scope", "ScopeMismatched", why, integration)
    return tuple(dict.fromkeys(str(name) for name in names))
