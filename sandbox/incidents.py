"""What happens to an account while a client is at work: someone else changes records, a role or a field. No faults of
the line: those are in `server`.

A lost permission, hidden rows and a removed or retyped field last until the faults are cleared or the account is reset.
Values of such a field are gone, as they are when someone deletes a custom field and makes another.
"""

from __future__ import annotations

import random
from dataclasses import replace
from typing import TYPE_CHECKING

from sandbox.auth.roles import Session, allows
from sandbox.errors import user_error
from sandbox.faults import Fault
from sandbox.profile import PermissionLevel, Role
from sandbox.sight import Hidden
from sandbox.someone import Someone
from sandbox.wire import Request

if TYPE_CHECKING:
    from sandbox.account import Account


class Incidents:
    def __init__(self, account: Account) -> None:
        self._account, self._someone = account, Someone(account)
        self._lost: list[Fault] = []
        self._hidden: list[Fault] = []
        self._changed: set[str] = set()
        """Script ids of fields that are not as the profile declares them."""

    def meet(self, request: Request, session: Session) -> Session:
        """Let happen what is due before this request is answered; returns the caller as it now is. Raises `Refusal`."""
        for fault, chance in self._account.faults.happenings(request):
            request.incidents.append(fault.kind)
            self._happen(fault, chance, request)
        if self._lost:
            session = replace(session, role=self._left_to(session.role))
        if self._hidden and not session.role.administrator:
            session = replace(session, hidden=self._hidden_from(session.role))
        return session

    def undo(self) -> None:
        """Give back permissions, hidden rows and fields; the fields are empty."""
        self._lost.clear()
        self._hidden.clear()
        if self._changed:
            self._account.change_fields(list(self._account.profile.custom_fields), self._changed)
            self._changed = set()

    def _happen(self, fault: Fault, chance: random.Random, request: Request) -> None:
        switches = self._account.profile.switches
        match fault.kind:
            case "tokens_revoked":
                self._account.auth.access_tokens.revoke_all()
                if request.headers.get("authorization", "").lower().startswith("bearer"):
                    self._account.caller(request)
            case "permission_lost":
                self._lost.append(fault)
                self._account.forget_translations()
            case "rows_hidden":
                self._hidden.append(fault)
            case "field_removed" | "field_retyped":
                self._change_field(fault)
            case "record_locked":
                raise user_error(switches.record_locked_text)
            case "record_conflict":
                raise user_error(switches.record_conflict_text)
            case "record_changed":
                self._someone.change_record(request.path, fault.values)
            case "rows_changed":
                self._someone.change_rows(fault, chance)

    def _left_to(self, role: Role) -> Role:
        """What a role still may do. An administrator may everything, always."""
        permissions: dict[str, PermissionLevel] = dict(role.permissions)
        for fault in self._lost:
            if fault.role in ("", role.id) and fault.permission in permissions:
                if fault.level is None:
                    del permissions[fault.permission]
                elif allows(role, fault.permission, fault.level):
                    permissions[fault.permission] = fault.level
        return role.model_copy(update={"permissions": permissions})

    def _hidden_from(self, role: Role) -> tuple[Hidden, ...]:
        return tuple(
            Hidden(fault.subsidiary, fault.share, fault.seed)
            for fault in self._hidden
            if fault.role in ("", role.id)
        )

    def _change_field(self, fault: Fault) -> None:
        kept = []
        for field in self._account.context.profile.custom_fields:
            if field.script_id != fault.field:
                kept.append(field)
            elif fault.kind == "field_retyped":
                kept.append(field.model_copy(update={"type": fault.type, "choices": None}))
        self._changed.add(fault.field)
        self._account.change_fields(kept, {fault.field})
