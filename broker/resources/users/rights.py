"""Who may change whom: administrators are changed by those who may change roles, and one of them always stays."""

from django.db.models import Q

from authservers.models import LOCAL, User
from policies.models import Access, AssignmentRule


def is_administrator(person: User) -> bool:
    """Whether a role that reaches the administration is theirs, directly or by a rule, wherever they sign in."""
    own = Access.objects.select_related("role").filter(user=person, role__isnull=False).first()
    if own and own.role:
        return own.role.admin_ui
    theirs = Q(group_sid="") | Q(group_sid__in=person.group_sids)
    return AssignmentRule.objects.filter(theirs, server=person.server_id, enabled=True, role__admin_ui=True).exists()


def last_administrator(person: User) -> bool:
    """Whether this is a local user, and no other active one would reach the administration."""
    others = User.objects.filter(server__kind=LOCAL, is_active=True, access__role__admin_ui=True)
    mine = others.filter(pk=person.pk).exists()
    return mine and not others.exclude(pk=person.pk).exists()
