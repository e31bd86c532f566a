"""A launch's way is opened at a gateway: for the viewer in the browser, or a port for a connection file.

By the web request itself, outside any transaction, since only it can open the vault (CONTRACTS 5.16).
"""

from dataclasses import dataclass, field
from datetime import timedelta

from django.db import transaction
from django.db.models import Exists, Q
from django.views.decorators.debug import sensitive_variables

from broker.connect import connect, facts, pins, tags
from broker.connect.happenings import Happening, happened
from broker.connect.models import Launch, PortalSession
from broker.connect.protocols import Taken
from broker.core.clock import now
from broker.core.db import assert_outside
from broker.core.models import ref
from centers.models import Desktop
from gateways.models import Gateway, Tunnel
from gateways.services import Down, Opened, Way, check, close_tunnels, new_id, open_tunnel
from gateways.wire import TOKEN_SECONDS, Opening
from plans.engine import Event
from plans.models import ProtocolChoice
from plans.tags import render
from policies.models import Policy
from pools.models import Assignment

WITHDRAWN = "This desktop is no longer yours, or you were signed out."
AT_MOST = 30  # ways that one person opens in a minute: a window that is dragged larger opens some


class Withdrawn(Down):
    """The user may not have this desktop any more; another try does not help."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What a page wants: who the user is on the desktop, and how the picture is to be."""

    origin: str = ""
    client_ip: str = ""
    width: int = 0
    height: int = 0
    layout: int = 0
    login: str = ""
    domain: str = ""
    password: str = field(default="", repr=False)


def too_many(portal: PortalSession) -> bool:
    """Whether a person opens ways faster than anybody would."""
    last_minute = now() - timedelta(minutes=1)
    return Tunnel.objects.filter(user=ref(portal.user), opened_at__gt=last_minute).count() >= AT_MOST


@sensitive_variables("asked")
def viewer(launch: Launch, portal: PortalSession, taken: Taken, asked: Asked) -> Opened:
    """Open a viewer session. Raises Down; then nothing stays open."""
    assert taken.way and portal.policy  # noqa: S101 - a viewer has a way, a sign-in a policy
    assert_outside()
    choice, desktop, policy = taken.choice, launch.desktop, portal.policy
    coming(launch, portal)
    opening = Opening(
        id=new_id(), protocol=choice.viewer, host=desktop.destination, port=choice.reaches,  # type: ignore[arg-type]
        user=ref(launch.user), seconds=TOKEN_SECONDS, longest=longest(policy), origin=asked.origin,
        client_ip=asked.client_ip, pin=pins.pin_of(desktop, choice),
        clipboard=policy.clipboard,  # type: ignore[arg-type]
        layout=asked.layout, width=asked.width, height=asked.height, login=asked.login, domain=asked.domain,
        password=asked.password,
    )  # fmt: skip
    return opened(launch, portal, taken.way, opening)


def port(launch: Launch, portal: PortalSession, taken: Taken, client_ip: str) -> tuple[str, int]:
    """The gateway's address and the port that is open for a connection file; the one of a file that was taken before
    is given again. Raises Down."""
    assert taken.way and portal.policy  # noqa: S101 - see above
    assert_outside()
    may_come = Q(lease_until__gt=now()) | Q(used_at__isnull=False)
    before = Tunnel.objects.filter(may_come, subject=ref(launch), protocol="tcp", closed_at=None)
    here = before.exclude(port=None).filter(gateway__in=taken.way.gateways)  # rows of one that died stay for a while
    standing = here.select_related("gateway").order_by("pk").last()
    if standing is not None and stands(standing):
        return taken.way.host, standing.port or 0
    coming(launch, portal)
    opening = Opening(
        id=new_id(), protocol="tcp", host=launch.desktop.destination, port=taken.choice.reaches,
        user=ref(launch.user), seconds=portal.policy.port_close * 60, longest=longest(portal.policy),
        client_ip=client_ip,
    )  # fmt: skip
    found = opened(launch, portal, taken.way, opening)
    return found.host, found.port


def stands(row: Tunnel) -> bool:
    """Whether a port's gateway is still there, and was not started anew: it may have died since we last heard of it."""
    assert row.gateway is not None  # noqa: S101 - a way leads through one
    check(row.gateway)
    same = Gateway.objects.filter(pk=row.gateway.pk, state=Gateway.State.ONLINE, started_at=row.started_at)
    return same.exists()


def opened(launch: Launch, portal: PortalSession, way: Way, opening: Opening) -> Opened:
    """Open it, unless the right to it has ended; asked before and after, since whoever ends a right closes what was
    open by then. Raises Down, and Withdrawn."""
    if not may(launch, portal):
        raise Withdrawn(WITHDRAWN)
    found = open_tunnel(way, opening, subject=ref(launch))
    if not may(launch, portal):
        close_tunnels(WITHDRAWN, subjects=[ref(launch)])
        raise Withdrawn(WITHDRAWN)
    return found


def may(launch: Launch, portal: PortalSession) -> bool:
    """Whether the desktop is still lent to the launch's user, who is still signed in and may use the web client."""
    lent = Assignment.objects.filter(pk=launch.assignment_id, closed_at=None, user=launch.user_id)
    signed_in = PortalSession.objects.filter(pk=portal.pk, closed_at=None, user__is_active=True, role__web_client=True)
    return lent.filter(Exists(signed_in)).exists()


def longest(policy: Policy) -> int:
    """How many seconds a session may last; 0: no limit."""
    return max(policy.longest, 0) * 60


@transaction.atomic
def coming(launch: Launch, portal: PortalSession) -> None:
    """The user comes, now: what a plan would do to somebody who is away is called off. Where no agent is heard, nobody
    else would say so."""
    Desktop.objects.select_for_update(no_key=True).only("pk").get(pk=launch.desktop_id)
    connect.spared(launch.desktop, f"{launch.user} connects")
    if launch.portal_session_id != portal.pk:
        Launch.objects.filter(pk=launch.pk).update(portal_session=portal)
    if facts.reachable(launch.desktop) is None:
        happened(Happening(launch.desktop, Event.CONNECTED, now(), launch.assignment))


def sign_on(launch: Launch, choice: ProtocolChoice, client_ip: str) -> tuple[str, str]:
    """Who the user is on the desktop, and in which domain, by the plan's templates."""
    values = tags.values(launch.desktop, launch.user, launch, client_ip)
    return render(choice.sso_user, values).strip(), render(choice.sso_domain, values).strip()
