"""People as the list reads them, and who has left, or is without a rule."""

from typing import Any

from django.db.models import BooleanField, Count, Exists, F, Func, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce

from authservers.models import LOCAL, User
from broker.connect import portals, tunnels
from broker.connect.models import PortalSession
from policies.models import Access, AssignmentRule
from pools.models import Assignment


class OneOf(Func):
    """Whether a value is in an array."""

    template = "(%(expressions)s))"
    arg_joiner = " = ANY("
    output_field = BooleanField()


RULES = AssignmentRule.objects.filter(server=OuterRef("server"), enabled=True).filter(
    Q(group_sid="") | Q(OneOf(F("group_sid"), OuterRef("group_sids")))
)
GIVEN = Access.objects.filter(user=OuterRef("pk"), policy__isnull=False)
LEFT = Q(is_active=False) | Q(gone_at__isnull=False)
# Whom no rule of their server names, wherever they sign in (RULES 31). Local people are given access directly.
WITHOUT_RULE = Q(is_active=True, gone_at=None) & ~Q(server__kind=LOCAL) & ~Exists(RULES) & ~Exists(GIVEN)


def people() -> QuerySet[Any]:
    """Every person with all that a row shows: one statement."""
    last = PortalSession.objects.filter(user=OuterRef("pk")).order_by("-pk")
    open_ones = Assignment.objects.filter(user=OuterRef("pk"), closed_at=None).order_by().values("user")
    return User.objects.select_related("server").annotate(
        own_role=F("access__role__name"),
        own_policy=F("access__policy__name"),
        last_role=Subquery(last.values("role__name")[:1]),
        last_policy=Subquery(last.values("policy__name")[:1]),
        holds=Coalesce(Subquery(open_ones.annotate(number=Count("pk")).values("number")), 0),
    )


def close_sessions(person: User, reason: str) -> int:
    """End the portal sessions of a person at once, and what goes through gateways (RULES 22); returns how many were
    open."""
    tunnels.close_of_user(person, f"You were signed out: {reason}.")
    return portals.close(PortalSession.objects.filter(user=person), reason)
