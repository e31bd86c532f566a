"""A connection that ended, where no agent says how; and people who are shut out (SPEC 1.5, RULES 22)."""

from datetime import datetime

from django.db import transaction
from django.db.models import Exists, OuterRef

from agents.models import Agent
from agents.services import agent_of, is_silent
from authservers.models import User
from broker.connect import actions, portals, tunnels
from broker.connect.happenings import Happening, happened
from broker.connect.models import DesktopSession, Launch, PortalSession
from broker.core.jobs import URGENT, Wish, enqueue
from broker.core.models import ref
from centers.models import Desktop
from plans.engine import Event
from pools.models import Assignment

CLOSED = "closed"  # in a launch's times: when its connection was taken as closed


@transaction.atomic
def connection_closed(desktop: Desktop, at: datetime) -> bool:
    """The gateway saw a connection end, or what stands for it: the release plan says whether that counts as a log-out
    or as a disconnect (SPEC 3.4). False where an agent is heard: it knows better, and its later word wins anyway.
    """
    agent = agent_of(desktop)
    if agent is not None and not is_silent(agent):
        return False
    assignment = Assignment.objects.select_related("user__server", "desktop__center")
    mine = assignment.filter(desktop=desktop, closed_at=None).first()
    if mine is None:
        return False
    happened(Happening(desktop, Event.CONNECTION_CLOSED, at, mine))
    return True


def signed_out() -> int:
    """Desktops on which no agent was ever heard: their user's sign-out is all that can be known of how a connection
    ended. An expired sign-in says nothing, it ends the portal only (RULES 22). Returns how many that concerned.
    """
    agents = Agent.objects.filter(desktop=OuterRef("desktop"), approved=True, revoked_at=None)
    newer = Launch.objects.filter(assignment=OuterRef("assignment"), pk__gt=OuterRef("pk"))
    over = Launch.objects.filter(
        ~Exists(agents), ~Exists(newer), step=Launch.Step.DONE, portal_session__closed_at__isnull=False,
        assignment__closed_at=None,
    ).exclude(times__has_key=CLOSED)  # fmt: skip
    count = 0
    for launch in over.select_related("desktop__center", "portal_session"):
        if not tunnels.was_used(launch):  # its gateway tells when it closes
            count += taken_as_closed(launch)
    return count


@transaction.atomic
def taken_as_closed(launch: Launch) -> bool:
    """Note it once, and let the plans react."""
    portal = launch.portal_session
    if portal is None or portal.closed_at is None:
        return False
    launch.times = {**launch.times, CLOSED: portal.closed_at.isoformat()}
    launch.save(update_fields=["times"])
    return connection_closed(launch.desktop, portal.closed_at)


def locked(user_id: int, at: datetime) -> int:
    """A person's desktop was locked: their sign-ins end where the policy says so, the desktop's session goes on
    (SPEC 3.5.1, 13.4). Who signed in since is left alone. Returns how many ended."""
    before = PortalSession.objects.filter(user=user_id, closed_at=None, opened_at__lte=at)
    ending = before.filter(policy__expire_on_lock=True)
    return portals.close(ending, "the desktop was locked")


@transaction.atomic
def shut_out(user: User, why: str) -> int:
    """End what a person has open, at once: sign-ins, launches, and what they see of their desktops (RULES 22). What
    runs there goes on. Returns how many sign-ins were open.
    """
    closed = portals.close(PortalSession.objects.filter(user=user), why)
    actions.end_launches(Launch.objects.filter(user=user), f"You were signed out: {why}")
    tunnels.close_of_user(user, f"You were signed out: {why}.")
    seen = DesktopSession.objects.filter(user=user, state=DesktopSession.State.ACTIVE, ended_at=None)
    for session in seen.select_related("desktop"):
        about, payload = ref(session.desktop), {"session": session.pk, "reason": why}
        key, name = f"shut_out:{session.pk}", str(session.desktop)
        enqueue(Wish("disconnect", about, name, payload=payload, key=key, cause=why[:40], priority=URGENT))
    return closed
