"""Sessions as the list reads them: two statements, however many rows."""

from typing import Any

from django.db.models import (
    BigIntegerField,
    CharField,
    DurationField,
    ExpressionWrapper,
    F,
    OuterRef,
    Q,
    QuerySet,
    Subquery,
    Value,
)
from django.db.models.functions import Cast, Coalesce, Concat, Extract, JSONObject, Now, Substr

from agents.models import Agent
from agents.services import is_silent
from authservers.models import User
from broker.connect.models import DesktopSession, Launch, PortalSession, QueuePlace
from gateways.models import Tunnel

LIVE = Q(ended_at=None) & ~Q(user_name="")
LAUNCH, USER = "launch:", "user:"


def sessions() -> QuerySet[Any]:
    """Sessions of people on desktops, newest first; `way` is how they came: their last launch that began before the
    session did its last thing. Windows' temporary sessions, which nobody sits in, are left out (RULES 16)."""
    came = Launch.objects.filter(
        desktop=OuterRef("desktop"),
        user=OuterRef("user"),
        started_at__lte=OuterRef("changed_at"),
        step=Launch.Step.DONE,
    ).order_by("-pk")
    way = JSONObject(protocol=F("protocol"), client_ip=F("client_ip"), through=gateway_of("pk"))
    found = DesktopSession.objects.exclude(user_name="").annotate(way=Subquery(came.values(said=way)[:1]))
    return found.select_related("desktop__center", "desktop__agent", "user")


def sign_ins() -> QuerySet[Any]:
    """Sign-ins to the broker, with all that a row shows."""
    return PortalSession.objects.select_related("user__server", "client", "role", "policy", "location")


def places() -> QuerySet[Any]:
    """Places in queues for a desktop, with all that a row shows."""
    return QueuePlace.objects.select_related("user", "line__pool", "line__policy", "launch__desktop")


def ways() -> QuerySet[Any]:
    """Ways that somebody used, or may still use, with their user, desktop and length; one statement."""
    launch, user = Launch.objects.filter(pk=OuterRef("launch_pk")), User.objects.filter(pk=OuterRef("user_pk"))
    desktop = JSONObject(pk=F("desktop"), shown=F("desktop__display_name"), name=F("desktop__name"))
    took = ExpressionWrapper(Coalesce("left_at", "closed_at", Now()) - F("used_at"), output_field=DurationField())
    rows = Tunnel.objects.filter(subject__startswith=LAUNCH, user__startswith=USER)
    return rows.exclude(used_at=None, closed_at__isnull=False).annotate(
        launch_pk=Cast(Substr("subject", len(LAUNCH) + 1), BigIntegerField()),
        user_pk=Cast(Substr("user", len(USER) + 1), BigIntegerField()),
        where=Subquery(launch.values(said=desktop)[:1]),
        who=Subquery(user.values(said=JSONObject(shown=F("display_name"), name=F("login")))[:1]),
        lasted=Cast(Extract(took, "epoch"), BigIntegerField()),
    )


def gateway_of(launch: str) -> Subquery:
    """The gateway of a launch's last way; `launch` names the column of the outer queryset that has its key."""
    subject = Concat(Value(LAUNCH), Cast(OuterRef(launch), CharField()))
    return Subquery(Tunnel.objects.filter(subject=subject).order_by("-pk").values("gateway_name")[:1])


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
