"""The web client: the cards, and what people may do to their own desktops."""

from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.core import signing
from django.db.models import Exists, OuterRef, Subquery
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from broker.connect import actions, cards, launch_views, offers, outlook, power, queue_cards, rights, signing_out
from broker.connect.connect import Click
from broker.connect.models import DesktopSession
from broker.connect.portal_request import ARRIVED, SeeOther, portal_of
from centers.models import Desktop
from centers.providers.base import PowerOp
from policies.models import PoolAssignment
from pools.models import Assignment

SALT = "usher.cards.2"


@never_cache
@require_GET
def desktops(request: HttpRequest) -> HttpResponse:
    """What you may have."""
    portal = portal_of(request)
    assert portal.policy and portal.role  # noqa: S101 - portal_of() saw to it
    found = offers.build(request.user, portal.policy, portal)  # type: ignore[arg-type]
    arrived = request.session.pop(ARRIVED, False)
    for ended in signing_out.forced(portal) if arrived else []:
        messages.info(request, ended)
    if arrived and portal.policy.auto_launch and len(found.offers) == 1 and not found.offers[0].withheld:
        return launch_views.pressed(request, portal, only_click(found))
    shown = cards.build(found, portal)
    queues = queue_cards.build(found, portal)
    queued = [each.line for each in queues]  # these say themselves that they are full
    page = {
        "cards": shown,
        "empty": [line for line in found.empty if line not in queued] if portal.policy.offer_empty_pools else [],
        "poll": signing.dumps(polled(shown), salt=SALT),
        "search": len(shown) > 6,
        "queues": queues,
        "viewer_ahead": any(each.ways.viewer == "rdp" for each in shown),
        "shared": {each.offer.desktop.pk for each in shown if rights.decoupled(each.offer.desktop)},
    }
    return render(request, "connect/desktops.html", page)


def polled(shown: Sequence[cards.Card]) -> list[tuple[int, bool]]:
    """What the cards' poll asks for: (desktop, whether Connect starts it). A card that is withheld keeps its reason."""
    return [(each.offer.desktop.pk, each.offer.starts) for each in shown if not each.offer.withheld]


def only_click(found: offers.Offers) -> Click:
    """The click on the only card."""
    offer = found.offers[0]
    line = offer.line.slot if offer.line and not offer.assigned else None
    return Click(offer.desktop.pk, line, found.held.get(line, 0) if line is not None else 0)


@never_cache
@require_GET
def states(request: HttpRequest) -> HttpResponse:
    """The poll of the cards: reads the desktops on the page, writes nothing (CONTRACTS 3, Polls)."""
    portal_of(request)
    try:
        shown = dict(signing.loads(request.GET.get("cards", ""), salt=SALT, max_age=24 * 3600))
    except signing.BadSignature:
        return HttpResponse(status=400)
    own = DesktopSession.objects.filter(desktop=OuterRef("pk"), ended_at=None, user=request.user.pk)
    rows = Desktop.objects.filter(pk__in=shown).annotate(
        own=Subquery(own.order_by("-changed_at").values("state")[:1]),
        mine=Exists(Assignment.objects.filter(desktop=OuterRef("pk"), closed_at=None, user=request.user.pk)),
        dues=outlook.dues(),
    )
    said = [
        (row.pk, *cards.state(row, row.own, starts=shown[row.pk]), outlook.yours(row.dues) if row.mine else ())
        for row in rows
    ]
    return render(request, "connect/_states.html", {"rows": said})


OPS = {"start": PowerOp.START, "stop": PowerOp.STOP, "restart": PowerOp.REBOOT}
DOING = {
    "start": "The desktop is being started.",
    "stop": "The desktop is being shut down.",
    "restart": "The desktop is being restarted.",
}


@require_POST
def act(request: HttpRequest, desktop_id: int, action: str) -> HttpResponse:
    """Start, shut down, restart or release one's own desktop, where role and policy both allow it."""
    portal = portal_of(request)
    assert portal.policy and portal.role  # noqa: S101 - portal_of() saw to it
    offer = offers.build(request.user, portal.policy, portal).of(desktop_id)  # type: ignore[arg-type]
    if offer is None or offer.assignment is None or action not in cards.actions(offer, portal):
        messages.error(request, "That is not possible with this desktop now.")
    elif action == "release" and "confirmed" not in request.POST:
        return render(request, "connect/release.html", {"offer": offer, "follows": cards.when_released(offer, portal)})
    elif action == "release":
        actions.release(offer.assignment.pk, f"{request.user} released it")
        messages.success(request, f"{offer.name} is released.")
    else:
        hard = offer.assignment.kind == Assignment.Kind.HARD
        move(offer.desktop, action, cards.allowed(portal.policy, offer.line, hard=hard), f"{request.user} asked for it")
        messages.success(request, DOING[action])
    return SeeOther(reverse("desktops"))


def move(desktop: Desktop, action: str, allowed: tuple[int, int], why: str) -> None:
    """Start, stop or restart it in the way that the policy allows: gently, or hard where it says so (SPEC 3.5.2)."""
    stop, restart = allowed
    if action == "restart" and restart == PoolAssignment.Restart.POWER_OFF and desktop.running_mode != "ALWAYS_ON":
        power.power_cycle(desktop, why)
        return
    abrupt = action == "stop" and stop == PoolAssignment.Stop.POWER_OFF
    power.ask(desktop, OPS[action], why, urgent=True, hard=abrupt)


def context(request: HttpRequest) -> dict[str, Any]:
    """For the frame: one's own pages, and the way to administration for those who have it."""
    portal = getattr(request, "portal", None)
    links = []
    if portal and portal.role and portal.role.web_client:
        links = [("My desktops", "/desktops/"), ("My sessions", "/desktops/history/")]
    if portal and request.user.has_perm("dashboard.view"):
        links = [("Administration", "/dashboard/"), *links]
        links += [("The demo", "/demo/")] if settings.DEMO else []
    return {"account_links": links}
