"""Launches and the ways through gateways that they opened: ended when a right ends, looked at for signs of life.

A way's subject is its launch ("launch:4"), its user "user:5". Rows; gateways hear of it after the commit, at once.
"""

from datetime import datetime, timedelta

from django.db.models import Max, Q, QuerySet

from authservers.models import User
from broker.connect.models import Launch, PortalSession
from broker.core.clock import now
from broker.core.models import ref
from centers.models import Desktop
from gateways.models import Tunnel
from gateways.services import close_tunnels, traffic_since, users
from pools.models import Assignment

LOOKED_AT = 20  # launches of a desktop: older ones have ended with their portal sessions
RECENTLY = timedelta(minutes=2)
SIGNED_OUT = "You have signed out."


def subjects(launches: QuerySet[Launch]) -> list[str]:
    """What their ways are called."""
    return [
        f"launch:{pk}" for pk in launches.filter(opened_at__isnull=False).order_by("-pk").values_list("pk", flat=True)
    ]


def close(launches: QuerySet[Launch], reason: str) -> int:
    """End the ways of these launches; returns how many there were. `reason` is for the user who sits there."""
    found = subjects(launches)
    return close_tunnels(reason, subjects=found) if found else 0


def close_of_assignment(assignment: Assignment, reason: str) -> int:
    """The desktop is no longer theirs."""
    return close(Launch.objects.filter(assignment=assignment), reason)


def close_ports(assignment: Assignment, reason: str) -> int:
    """The forwarded ports for an assignment: their session has ended. Viewers end by themselves."""
    ports = Tunnel.objects.filter(user=f"user:{assignment.user_id}", protocol="tcp", closed_at=None)
    opened = set(ports.values_list("subject", flat=True))  # nearly always none: one statement
    mine = opened and opened & set(subjects(Launch.objects.filter(assignment=assignment)))
    return close_tunnels(reason, subjects=mine) if mine else 0


def close_of_user(user: User, reason: str) -> int:
    """They may use nothing any more (RULES 22)."""
    return close_tunnels(reason, users=[ref(user)])


def close_of_sign_ins(portals: QuerySet[PortalSession], reason: str) -> int:
    """What came from these sign-ins; what the same people opened from others goes on."""
    return close(Launch.objects.filter(portal_session__in=portals), reason)


def open_of(user: User) -> QuerySet[Tunnel]:
    """What a person uses through gateways now; a port that the client has left waits for its end, and is not used."""
    return Tunnel.objects.filter(user=ref(user), closed_at=None, used_at__isnull=False, left_at=None)


def people_inside() -> QuerySet[User]:
    """Who uses something through gateways, or may in the next moment, whatever became of their sign-in."""
    return User.objects.filter(pk__in=[int(each.removeprefix("user:")) for each in users()])


def live(desktop: Desktop) -> QuerySet[Tunnel]:
    """The ways to a desktop that are open, or that somebody may come by in the next moment."""
    found = recent(desktop)
    waiting = Q(used_at=None, lease_until__gt=now()) & ~Q(protocol="tcp")
    return Tunnel.objects.filter(Q(used_at__isnull=False) | waiting, subject__in=found, closed_at=None)


def last_worked(portal: PortalSession) -> datetime | None:
    """When bytes last flowed in the browser of a sign-in: that is activity, though the portal hears nothing of it."""
    found = subjects(Launch.objects.filter(portal_session=portal))[:LOOKED_AT]
    viewers = Tunnel.objects.filter(subject__in=found).exclude(protocol="tcp")
    last: datetime | None = viewers.aggregate(last=Max("last_traffic_at"))["last"]
    return last


def note_work() -> int:
    """Housekeeping: keep the sign-ins alive in whose browser somebody works; returns how many."""
    flowing = Tunnel.objects.filter(closed_at=None, last_traffic_at__gt=now() - RECENTLY).exclude(protocol="tcp")
    count = 0
    for tunnel in flowing.order_by("last_traffic_at"):
        launch = launch_of(tunnel)
        mine = PortalSession.objects.filter(pk=(launch and launch.portal_session_id) or 0, closed_at=None)
        count += mine.filter(active_at__lt=tunnel.last_traffic_at).update(active_at=tunnel.last_traffic_at)
    return count


def was_used(launch: Launch) -> bool:
    """Whether anybody came through a gateway by this launch."""
    return Tunnel.objects.filter(subject=ref(launch), used_at__isnull=False).exists()


def launch_of(tunnel: Tunnel) -> Launch | None:
    """The launch that a way belongs to, None where it is gone."""
    kind, _, number = tunnel.subject.partition(":")
    if kind != "launch" or not number.isdigit():
        return None
    return Launch.objects.select_related("desktop__center", "user", "assignment").filter(pk=int(number)).first()


def last_bytes(desktop: Desktop) -> datetime | None:
    """When bytes last flowed to or from a desktop by a way that is open (RULES 20)."""
    found = recent(desktop)
    return traffic_since(*found) if found else None


def recent(desktop: Desktop) -> list[str]:
    """The subjects of the last launches that opened a way to it."""
    return subjects(Launch.objects.filter(desktop=desktop))[:LOOKED_AT]
