"""*Adjust time zone* (SPEC 3.5.2): the desktop's time zone becomes that of the device that its user connects from.

The browser says it when it signs in and when it asks for a desktop (static/js/zone.js). The agent is asked once for
each desktop that a launch comes to, just before its way is opened; nobody waits for the answer: it is in the timeline.
"""

from django.db import transaction
from django.http import HttpRequest

from agents import zones
from agents.services import command, knows
from broker.connect import facts
from broker.connect.models import Launch, PortalSession
from broker.core import audit
from centers.models import Desktop
from policies.models import PoolAssignment

FIELD = "time_zone"
KIND = "timezone"


def said(request: HttpRequest) -> str:
    """The zone that a form came with, "" where it has none; what is no time zone is ignored."""
    return zones.known(request.POST.get(FIELD, ""))


def note(portal: PortalSession, zone: str) -> None:
    """What the browser says is kept where it is news."""
    if zone and zone != portal.time_zone:
        portal.time_zone = zone
        portal.save(update_fields=["time_zone"])


def wanted(portal: PortalSession | None, line: PoolAssignment | None) -> str:
    """The zone that a new launch gives its desktop, "" where the policy or the browser says none."""
    return portal.time_zone if portal and line and line.adjust_zone else ""


def renew(launch: Launch, portal: PortalSession | None, line: PoolAssignment | None) -> None:
    """Somebody pressed Connect again, perhaps on another device: the zone of the launch that goes on is that one's."""
    zone = wanted(portal, line)
    if zone == launch.time_zone:
        return
    launch.time_zone, launch.zone_asked_of = zone, None
    launch.save(update_fields=["time_zone", "zone_asked_of"])
    if launch.step == Launch.Step.CONNECTING:  # nobody walks it any more
        adjust(launch, launch.desktop)


def adjust(launch: Launch, desktop: Desktop) -> None:
    """Ask the desktop's agent for the launch's time zone, once; what keeps it from that is only logged."""
    if not launch.time_zone or launch.zone_asked_of == desktop.pk:
        return
    with transaction.atomic():
        mine = Launch.objects.filter(pk=launch.pk, ended_at=None).exclude(zone_asked_of=desktop.pk)
        if mine.update(zone_asked_of=desktop.pk):
            ask(launch, desktop)
    launch.zone_asked_of = desktop.pk


def ask(launch: Launch, desktop: Desktop) -> None:
    """Send the command, or log why there is none."""
    zone, agent = launch.time_zone, facts.reachable(desktop)
    if agent is not None and knows(agent, KIND):
        command(agent, KIND, f"{launch.user} connects from a device in {zone}", zones.told(zone))
        return
    why = "no Usher Agent is heard there" if agent is None else "its Usher Agent is too old for that"
    words = f"The time zone of {desktop} stays as it is, not {zone}: {why}."
    audit.record("conn.zone_kept", words, user=launch.user, desktop=desktop)
