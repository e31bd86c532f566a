"""The desktop in the browser: its page, the tokens with which it connects, and what the broker says meanwhile."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.timezone import localtime
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters, sensitive_variables
from django.views.decorators.http import require_GET, require_POST

from broker.connect import credentials, log_in_as, openings, outlook, protocols, viewer_policy
from broker.connect.launch_views import HANDED_OUT, launch_of, what_follows
from broker.connect.models import Launch, PortalSession
from broker.connect.openings import Asked, Withdrawn
from broker.connect.plans_in_force import InForce, for_assignment
from broker.connect.portal_request import SeeOther, number, portal_of
from broker.connect.protocols import Taken
from broker.connect.refusals import no_viewer
from broker.core.clock import now
from gateways.choosing import netloc
from gateways.models import Gateway, GatewayCluster
from gateways.services import Down, came_by, token_for
from plans.models import ProtocolChoice

LARGEST = 8192  # pixels of a side
GOES_ON, SHELL_ENDS = "Your desktop goes on as you left it.", "Your shell ends, with what runs in it."
SOON = timedelta(minutes=5)  # before something that idleness brings about


@never_cache
@require_GET
def page(request: HttpRequest, launch_id: int) -> HttpResponse:
    """The viewer page of a launch whose way is open."""
    portal_of(request)
    launch = launch_of(request, launch_id)
    if launch.step not in HANDED_OUT and launch.ended_at is None:
        return SeeOther(reverse("launch", args=[launch.pk]))
    refusal, in_force = no_viewer(launch), for_assignment(launch.assignment)
    try:
        taken = protocols.for_launch(launch, came_by(request), in_force)
    except Down as down:
        refusal = refusal or str(down)
    if refusal:
        messages.warning(request, refusal)
        return SeeOther(reverse("desktops"))
    protocols.settled(launch, taken.choice)
    if not taken.choice.viewer or taken.way is None:
        for why in taken.skipped:
            messages.info(request, why)
        return SeeOther(reverse("launch-file", args=[launch.pk]))
    gateways = origins(taken, came_by(request))
    shown: dict[str, Any] = {
        "launch": launch, "name": launch.desktop.display_name or launch.desktop.name, "protocol": taken.choice.viewer,
        "token_url": reverse("launch-token", args=[launch.pk]), "state_url": reverse("launch-state", args=[launch.pk]),
        "leave_url": reverse("desktops"), "leaving": on_leaving(launch, taken.choice.viewer, in_force),
        "gateway": gateways[0] if gateways else "",
    }  # fmt: skip
    response = render(request, "connect/viewer.html", shown)
    response["Content-Security-Policy"] = viewer_policy.policy(gateways, taken.choice.viewer)
    return response


def on_leaving(launch: Launch, viewer: str, in_force: InForce) -> str:
    """What becomes of a desktop that its user leaves, told before and after they do (RULES, Users)."""
    follows = what_follows(launch, in_force)
    if viewer == "ssh":
        follows = [SHELL_ENDS, *follows]
    return " ".join(follows or [GOES_ON])


def origins(taken: Taken, came: Gateway | None) -> list[str]:
    """Where the page's WebSocket may go besides its own origin while it is open: to each gateway that may be chosen,
    also one that is down just now."""
    way, through = taken.way, taken.choice.through
    members: Iterable[Gateway] = through.gateways.all() if isinstance(through, GatewayCluster) else ()
    shared = [way.address] if way and way.redeem else []
    several = shared or [each.address for each in members or (way.gateways if way else ()) if each != came]
    return [f"wss://{netloc(address)}" for address in dict.fromkeys(several)]


@never_cache
@require_POST
@sensitive_post_parameters("password")
def token(request: HttpRequest, launch_id: int) -> JsonResponse:
    """A connection token, for one use within a minute: each reload, reconnect and resize asks for another."""
    portal = portal_of(request)
    launch = launch_of(request, launch_id)
    refusal = no_viewer(launch)
    if refusal:
        return refused(refusal, 409)
    if openings.too_many(portal):
        return refused("Too many connections in a minute. Wait a moment, then try again.", 429, again=True)
    try:
        taken = protocols.for_launch(launch, came_by(request))
        if taken.choice.protocol != launch.protocol:
            why = taken.skipped[0] if taken.skipped else "The rules for this desktop were changed."
            return refused(f"{why} Press Connect again: you are connected another way.", 409)
        return issued(request, portal, launch, taken)
    except Withdrawn as gone:
        return refused(str(gone), 409)
    except Down as down:
        return refused(str(down), 503, again=True)


@sensitive_variables("asked")
def issued(request: HttpRequest, portal: PortalSession, launch: Launch, taken: Taken) -> JsonResponse:
    """Open the way and answer its token, or what is missing for that. Raises Down and Withdrawn."""
    asked = signed_on(request, portal, launch, taken.choice)
    if isinstance(asked, JsonResponse):
        credentials.hand_over(request, asked, portal)
        return asked
    opened = openings.viewer(launch, portal, taken, asked)
    came = came_by(request)
    own = came is not None and came.pk in {each.gateway_id for each in opened.tunnels}
    host = request.get_host() if own else opened.netloc
    said = {
        "token": token_for(opened), "url": f"wss://{host}/viewer/v1/{taken.choice.viewer}",
        "protocol": taken.choice.viewer, "clipboard": portal.policy.clipboard if portal.policy else "none",
    }  # fmt: skip
    response = JsonResponse(said)
    credentials.hand_over(request, response, portal)
    return response


@sensitive_variables("password", "typed")
def signed_on(
    request: HttpRequest, portal: PortalSession, launch: Launch, choice: ProtocolChoice
) -> Asked | JsonResponse:
    """How the page wants to connect, with who signs in there: what was typed, else what the vault keeps for the
    desktop. What it has refused is not tried again: the page asks."""
    asked, typed = asked_by(request), request.POST.get("password", "")
    user, domain = openings.sign_on(launch, choice, asked.client_ip) if choice.sign_in else ("", "")
    login = request.POST.get("login", "").strip()
    mine = choice.sign_in and login.casefold() in {"", user.casefold(), f"{domain}\\{user}".casefold()}
    if "refused" in request.POST:
        if mine:
            credentials.forget(request, portal, launch.desktop_id)
        return needs(["login", "password"], login or user)
    if not typed and not choice.sign_in and choice.viewer != "ssh":
        return asked  # the desktop asks by itself
    alone = mine and (choice.viewer == "vnc" or log_in_as.locally(launch.assignment))
    password = typed or (credentials.recall(request, portal, launch.desktop_id, alone=alone) if mine else "")
    name, domain = (user, domain) if mine else parted(login)
    if not password or not (name or choice.viewer == "vnc"):
        return needs(["password"] if user else ["login", "password"], user, vnc=choice.viewer == "vnc")
    if typed and mine:
        credentials.keep(request, portal, launch.desktop_id, typed, alone=alone)
    return replace(asked, login=name, domain=domain, password=password)


def parted(login: str) -> tuple[str, str]:
    """Name and domain of what was typed: DOMAIN\\name, or a name alone."""
    before, slash, after = login.partition("\\")
    return (after, before) if slash else (login, "")


def asked_by(request: HttpRequest) -> Asked:
    """What the page says of itself. A gateway that passed the page on sees the same client come back."""
    origin = request.headers.get("Origin") or f"{request.scheme}://{request.get_host()}"
    side = {name: min(number(request, name) or 0, LARGEST) for name in ("width", "height")}
    address = str(request.client_ip or "") if came_by(request) else ""  # type: ignore[attr-defined]
    return Asked(origin, address, side["width"], side["height"], min(number(request, "layout") or 0, 0xFFFFFFFF))


def needs(names: list[str], login: str, *, vnc: bool = False) -> JsonResponse:
    """What the page has to ask the user for."""
    words = "Enter the password that you sign in to your desktop with." if names == ["password"] else (
        "Enter the user name and the password that you sign in to your desktop with."
    )  # fmt: skip
    words = "Enter the password of the desktop's VNC server." if vnc else words
    return JsonResponse({"needs": names, "login": login, "words": words})


def refused(words: str, status: int, *, again: bool = False) -> JsonResponse:
    """Why there is no token; `again`: whether trying once more may help."""
    return JsonResponse({"error": words, "again": again}, status=status)


@never_cache
@require_GET
def state(request: HttpRequest, launch_id: int) -> JsonResponse:
    """What will happen to the desktop because it is idle, and in how many seconds: for "I am still here"."""
    portal_of(request)
    launch = launch_of(request, launch_id)
    line = outlook.when_idle(launch.desktop)
    if line is None or line.at - now() > SOON:
        return JsonResponse({"notice": None})
    words = f"{line.whole} {localtime(line.at):%H:%M}{line.unless}."
    return JsonResponse({"notice": {"words": words, "seconds": (line.at - now()).total_seconds()}})
