"""Sessions as the list reads them: two statements, however many rows."""

from typing import Any

from django.db.models import F, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import JSONObject

from agents.models import Agent
from agents.services import is_silent
from broker.connect.models import DesktopSession, Launch, PortalSession, QueuePlace

LIVE = Q(ended_at=None) & ~Q(user_name="")


def sessions() -> QuerySet[Any]:
    """Sessions of people on desktops, newest first; `way` is how they came: their last launch that began before the
    session did its last thing. Windows' temporary sessions, which nobody sits in, are left out (RULES 16)."""
    came = Launch.objects.filter(
        desktop=OuterRef("desktop"),
        user=OuterRef("user"),
        started_at__lte=OuterRef("changed_at"),
        step=Launch.Step.DONE,
    ).order_by("-pk")
    way = JSONObject(protocol=F("protocol"), client_ip=F("client_ip"))
    found = DesktopSession.objects.exclude(user_name="").annotate(way=Subquery(came.values(said=way)[:1]))
    return found.select_related("desktop__center", "desktop__agent", "user")


def sign_ins() -> QuerySet[Any]:
    """Sign-ins to the broker, with all that a row shows."""
    return PortalSession.objects.select_related("user__server", "client", "role", "policy", "location")


def places() -> QuerySet[Any]:
    """Places in queues for a desktop, with all that a row shows."""
    return QueuePlace.objects.select_related("user", "line__pool", "line__policy", "launch__desktop")


def agent_of(row: DesktopSession) -> Agent | None:
    """The agent that counts for the session's desktop, from the row."""
    agent: Agent | None = getattr(row.desktop, "agent", None)
    return agent if agent and agent.approved and agent.revoked_at is None else None


def answering(row: DesktopSession) -> Agent | None:
    """The agent, where it can be asked to do something now."""
    agent = agent_of(row)
    return agent if agent and not is_silent(agent) else None


def is_live(row: DesktopSession) -> bool:
    """Whether it has not ended."""
    return row.ended_at is None


def is_stuck(row: DesktopSession) -> bool:
    """Whether nobody is there who could say that it has ended."""
    return is_live(row) and answering(row) is None
