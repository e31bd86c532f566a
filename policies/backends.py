"""Who may see and change which page: the role of the sign-in decides (SPEC A.2; CONTRACTS 5.9)."""

from typing import Any

from django.contrib.auth.backends import BaseBackend

from authservers.models import User
from policies.models import Role

AREAS = [
    "dashboard",
    "centers",
    "authentication_servers",
    "gateways",
    "pools",
    "protocol_plans",
    "power_control_plans",
    "release_plans",
    "policies",
    "assignments",
    "roles",
    "locations",
    "desktops",
    "images",
    "users",
    "clients",
    "sessions",
    "jobs",
    "log",
    "settings",
    "maintenance",
]
RANKS = {"view": 1, "execute": 2, "edit": 3}
HELP_DESK = {"desktops", "sessions"}  # pages with something to do to people that changes no setting


class RoleBackend(BaseBackend):
    """Answers `user.has_perm("centers.edit")` from the role that the sign-in gave.

    The middleware puts the role on the user (`user.role`); without a sign-in the one given to the person directly
    counts.
    """

    def get_user(self, user_id: Any) -> User | None:
        """The person of a session, with the role of that session's sign-in."""
        return User.objects.filter(pk=user_id, is_active=True).first()

    def has_perm(self, user_obj: Any, perm: str, obj: object | None = None) -> bool:
        """Each level grants those below it: edit, execute (act on people and their sessions), view (SPEC 13.7)."""
        role = role_of(user_obj)
        area, _, verb = perm.partition(".")
        if role is None or not role.admin_ui:
            return False
        return 0 < RANKS.get(verb, 0) <= RANKS.get(role.pages.get(area, "none"), 0)


def role_of(user: Any) -> Role | None:
    """The role that counts for this person now, or None where nothing gives one."""
    if not hasattr(user, "role"):
        access = getattr(user, "access", None) if isinstance(user, User) else None
        user.role = access.role if access else None
    role: Role | None = user.role
    return role


def beyond(person: Any, role: Role) -> bool:
    """Whether a role opens a page that the role of this person does not."""
    mine = role_of(person)
    held = mine.pages if mine and mine.admin_ui else {}
    asked = role.pages if role.admin_ui else {}
    return any(RANKS.get(level, 0) > RANKS.get(held.get(area, ""), 0) for area, level in asked.items())
