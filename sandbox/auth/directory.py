"""Who is known to an account: integrations, roles and users, and whether they may be used now."""

from __future__ import annotations

from sandbox.auth.roles import allows
from sandbox.profile import Profile, Role
from sandbox.profile_access import Integration, User


class Directory:
    def __init__(self, profile: Profile) -> None:
        self.profile = profile
        self.integrations = {integration.client_id: integration for integration in profile.integrations}
        self.roles = {role.id: role for role in profile.roles}
        self._users = {user.id: user for user in profile.users}

    def block(self, client_id: str, blocked: bool) -> None:
        """Set an integration record's state to Blocked or Enabled."""
        self.integrations[client_id] = self.integrations[client_id].model_copy(update={"blocked": blocked})

    def user_name(self, entity: str) -> str:
        user = self._users.get(entity)
        return user.name if user is not None else f"Entity {entity}"

    def cannot_log_in(self, role_id: str, entity: str, permission: str) -> str | None:
        """Why an entity cannot log in with a role by a means that needs `permission`, or None."""
        role = self.roles.get(role_id)
        if role is None:
            return f"role {role_id} does not exist"
        if role.inactive:
            return f"role {role.name} is inactive"
        user = self._users.get(entity)
        if user is not None and user.inactive:
            return f"user {user.name} is inactive"
        if not allows(role, permission, "full"):
            return f"role {role.name} lacks the permission {permission}"
        return None

    def has_role(self, entity: str, role_id: str) -> bool:
        """Whether a user holds a role; who is not declared as a user may be given any that exists."""
        user = self._users.get(entity)
        return role_id in (self.roles if user is None else user.roles)

    def consenting(self, integration: Integration, permission: str) -> list[tuple[User, Role]]:
        """The users that may consent to an integration, with each of their roles that can log in."""
        people = [
            user
            for user in self._users.values()
            if not integration.consent_users or user.id in integration.consent_users
        ]
        if not self._users:
            # A profile without users: the integration's own entity is the one that signs in.
            own = User(id=integration.entity, name=f"Entity {integration.entity}", roles=[integration.role])
            people = [own]
        return [
            (user, self.roles[role])
            for user in people
            for role in user.roles
            if not user.inactive and self.cannot_log_in(role, user.id, permission) is None
        ]
