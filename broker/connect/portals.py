"""Sign-ins end here: whoever closes a portal session empties its vault with the same statement."""

from datetime import timedelta

from django.db.models import F, Q, QuerySet

from broker.connect.models import PortalSession
from broker.core.clock import now


def close(sessions: QuerySet[PortalSession], reason: str) -> int:
    """End those that are open, and forget their passwords; returns how many there were."""
    return sessions.filter(closed_at=None).update(closed_at=now(), close_reason=reason[:120], vault="")


def forget_lapsed() -> int:
    """Housekeeping: a sign-in that ran out ends nothing on desktops (RULES 22), but its password is forgotten."""
    moment = now()
    idle = Q(policy__session_expire__gte=0, active_at__lte=moment - F("policy__session_expire") * timedelta(minutes=1))
    held = PortalSession.objects.filter(closed_at=None).exclude(vault="")
    lapsed = held.filter(Q(expires_at__lte=moment) | idle).values("pk")
    return PortalSession.objects.filter(pk__in=lapsed).update(vault="")
