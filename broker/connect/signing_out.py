"""Signing out of the broker with desktops still open, and why something ended while one was away (RULES 22)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import TextChoices
from django.utils.timezone import localtime

from agents.models import AgentCommand
from agents.services import command
from authservers.models import User
from broker.connect import facts, tunnels
from broker.connect.models import DesktopSession, PortalSession
from broker.core import audit
from centers.models import Desktop

BY_THE_USER = "you signed out"
OWN = frozenset({"", "signed out"})
OBEYED_WITHIN = timedelta(minutes=10)  # a log-out so long after the command is its effect
SHOWN = 5


class Choice(TextChoices):
    """What happens to the open desktops at sign-out."""

    LEAVE = "leave", "Leave connected"
    DISCONNECT = "disconnect", "Disconnect: everything stays open"
    LOG_OUT = "logout", "Log out: programs are closed, unsaved work is lost"


@dataclass(frozen=True, slots=True)
class Open:
    """A desktop where the user is now: by the word of its agent, else of a gateway."""

    desktop: Desktop
    since: datetime | None
    session: DesktopSession | None = None


def connected(user: User) -> list[Open]:
    """Where the user is connected now, on desktops that are the user's."""
    live = DesktopSession.objects.filter(user=user, ended_at=None, state=DesktopSession.State.ACTIVE)
    told = live.filter(assignment__user=user, assignment__closed_at=None).select_related("desktop")
    found = {each.desktop_id: Open(each.desktop, each.changed_at, each) for each in told}
    for tunnel in tunnels.open_of(user):
        launch = tunnels.launch_of(tunnel)
        if launch is not None and launch.assignment.closed_at is None:
            found.setdefault(launch.desktop_id, Open(launch.desktop, tunnel.used_at))
    return list(found.values())


@transaction.atomic
def close(user: User, open_ones: Sequence[Open], choice: str) -> list[str]:
    """Ask the agents to disconnect or log out, and end what goes through gateways; the names of the desktops whose
    agent cannot be asked."""
    missed: list[str] = []
    for each in open_ones:
        session, agent = each.session, facts.reachable(each.desktop)
        if agent is None or session is None:
            missed.append(str(each.desktop))
            continue
        command(agent, choice, BY_THE_USER, {"session": session.os_session})
        message = f"Asked the agent to {choice}: {session.user} signed out of the broker."
        audit.record(f"session.{choice}", message, user=session.user, desktop=session.desktop)
    tunnels.close_of_user(user, tunnels.SIGNED_OUT)
    return missed


def forced(portal: PortalSession) -> list[str]:
    """What was ended for the user since the last sign-in, and why: sessions on desktops, and the sign-in itself."""
    before = PortalSession.objects.filter(user=portal.user_id, pk__lt=portal.pk).order_by("-pk").first()
    if before is None:
        return []
    said = [f"You were signed out at {clock(before.closed_at)}: {before.close_reason}."] if was_forced(before) else []
    ended = DesktopSession.objects.filter(user=portal.user_id, ended_at__gt=before.opened_at).select_related("desktop")
    for session in ended.order_by("-ended_at")[:SHOWN]:
        why = reason(session)
        if why:
            said.append(f"You were logged out of {session.desktop} at {clock(session.ended_at)}: {why}.")
    return said


def was_forced(portal: PortalSession) -> bool:
    """Whether somebody or something else ended a sign-in."""
    return portal.closed_at is not None and portal.close_reason not in OWN


def reason(session: DesktopSession) -> str:
    """Why the agent was asked to log a session out before it ended, "" where nobody asked or the user did."""
    if session.ended_at is None:
        return ""
    asked = AgentCommand.objects.filter(agent__desktop=session.desktop_id, type="logout")
    times = (max(session.started_at, session.ended_at - OBEYED_WITHIN), session.ended_at)
    last = asked.filter(data__session=session.os_session, created_at__range=times).order_by("-pk").first()
    return "" if last is None or last.reason == BY_THE_USER else last.reason


def clock(moment: datetime | None) -> str:
    """A time for a sentence, in the broker's zone."""
    return localtime(moment).strftime("%Y-%m-%d %H:%M") if moment else ""
