"""The web client: cards, Connect, the progress page, the file, and what people may do to their own desktops."""

from typing import Any

from django.conf import settings
from django.contrib import messages
from django.core import signing
from django.db.models import OuterRef, Subquery
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render
from django.urls import reverse
from django.utils.timezone import localtime
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from broker.connect import actions, cards, connect, offers, power, steps, tags
from broker.connect.connect import Click, NotOffered, Who
from broker.connect.models import DesktopSession, Launch, PortalSession
from broker.connect.plans_in_force import for_assignment
from broker.core.clock import now
from centers.models import Desktop
from centers.providers.base import PowerOp
from plans.models import ProtocolChoice
from plans.rdp import DEFAULT_RDP_TEMPLATE, MEDIA_TYPE, file_name, rdp_file
from policies.models import PoolAssignment
from pools.models import Assignment

FILE_LASTS = 600  # seconds after the launch in which its file is handed out
SALT = "usher.cards"


class SeeOther(HttpResponse):
    """303: what was posted is done, look there."""

    status_code = 303

    def __init__(self, location: str) -> None:
        super().__init__()
        self["Location"] = location


def portal_of(request: HttpRequest) -> PortalSession:
    """The portal session; only those whose role has the web client have pages here."""
    portal: PortalSession | None = request.portal  # type: ignore[attr-defined]
    if portal is None or portal.role is None or portal.policy is None or not portal.role.web_client:
        raise Http404
    return portal


@never_cache
@require_GET
def desktops(request: HttpRequest) -> HttpResponse:
    """What you may have."""
    portal = portal_of(request)
    assert portal.policy and portal.role  # noqa: S101 - portal_of() saw to it
    found = offers.build(request.user, portal.policy)  # type: ignore[arg-type]
    shown = cards.build(found, portal)
    page = {
        "cards": shown,
        "empty": found.empty if portal.policy.offer_empty_pools else [],
        "poll": signing.dumps([each.offer.desktop.pk for each in shown], salt=SALT),
        "search": len(shown) > 6,
    }
    if portal.policy.auto_launch and len(shown) == 1 and shown[0].connectable:
        page["auto"] = shown[0]
    return render(request, "connect/desktops.html", page)


@never_cache
@require_GET
def states(request: HttpRequest) -> HttpResponse:
    """The poll of the cards: reads the desktops on the page, writes nothing (CONTRACTS 3, Polls)."""
    portal_of(request)
    try:
        shown = signing.loads(request.GET.get("cards", ""), salt=SALT, max_age=24 * 3600)
    except signing.BadSignature:
        return HttpResponse(status=400)
    own = DesktopSession.objects.filter(desktop=OuterRef("pk"), ended_at=None, user=request.user.pk)
    rows = Desktop.objects.filter(pk__in=shown).annotate(own=Subquery(own.order_by("-changed_at").values("state")[:1]))
    return render(request, "connect/_states.html", {"rows": [(row.pk, *cards.state(row, row.own)) for row in rows]})


@require_POST
def click(request: HttpRequest, desktop_id: int) -> HttpResponse:
    """Connect or Reconnect: straight to the file where the desktop is ready, else to the progress page."""
    portal = portal_of(request)
    assert portal.policy  # noqa: S101 - portal_of() saw to it
    who = Who(request.user, portal.policy, portal, portal.address)  # type: ignore[arg-type]
    try:
        launch = connect.connect(who, Click(desktop_id, number(request, "line"), number(request, "held") or 0))
    except NotOffered as refused:
        messages.error(request, str(refused))
        return SeeOther(reverse("desktops"))
    address = "launch-file" if launch.step == Launch.Step.DONE else "launch"
    return SeeOther(reverse(address, args=[launch.pk]))


def number(request: HttpRequest, name: str) -> int | None:
    """A number of the form, or None."""
    text = request.POST.get(name, "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 18 else None


def launch_of(request: HttpRequest, launch_id: int) -> Launch:
    """One of this person's launches; raises Http404."""
    wanted = Launch.objects.select_related("desktop__center", "assignment__pool", "portal_session__policy")
    launch = wanted.filter(pk=launch_id, user_id=request.user.pk or 0).first()
    if launch is None:
        raise Http404
    return launch


@never_cache
@require_GET
def progress(request: HttpRequest, launch_id: int) -> HttpResponse:
    """The progress page; htmx asks for its middle every second."""
    portal_of(request)
    launch = launch_of(request, launch_id)
    reached = (
        steps.Step(list(launch.times)[-1])
        if launch.times and list(launch.times)[-1] in set(steps.Step)
        else steps.Step.STARTING
    )
    page = {
        "launch": launch,
        "lines": steps.progress(steps.Step(launch.step), gateway=False, reached=reached),
        "waited": (launch.ended_at or now()) - launch.started_at,
        "file": reverse("launch-file", args=[launch.pk]) if launch.step == Launch.Step.DONE else "",
    }
    template = "connect/_progress.html" if request.headers.get("HX-Request") else "connect/progress.html"
    return render(request, template, page)


@require_POST
def cancel(request: HttpRequest, launch_id: int) -> HttpResponse:
    """Stop waiting. The desktop stays the user's, and a start that AWS accepted goes on."""
    connect.finish(launch_of(request, launch_id), Launch.Step.CANCELLED, "You cancelled it.")
    return SeeOther(reverse("desktops"))


@never_cache
@require_GET
def file(request: HttpRequest, launch_id: int) -> HttpResponseBase:
    """The generated .rdp file of a launch whose way is open. It never holds a password."""
    portal_of(request)
    launch = launch_of(request, launch_id)
    opened = launch.step == Launch.Step.DONE and launch.ended_at is not None and launch.assignment.closed_at is None
    if not opened or (now() - launch.ended_at).total_seconds() > FILE_LASTS:  # type: ignore[operator]
        messages.warning(request, "That file is no longer valid. Press Connect for a new one.")
        return SeeOther(reverse("desktops"))
    values = tags.values(launch.desktop, request.user, launch, launch.client_ip or "")  # type: ignore[arg-type]
    response = HttpResponse(rdp_file(template_of(launch), values), MEDIA_TYPE)
    name = file_name(launch.desktop.display_name or launch.desktop.name, localtime(now()))
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


def template_of(launch: Launch) -> str:
    """The file template of the protocol plan in force: the web client's RDP."""
    plan = for_assignment(launch.assignment).protocol
    choice = plan.choices.filter(client=ProtocolChoice.Client.WEB, protocol="rdp").first() if plan else None
    return choice.template if choice and choice.template.strip() else DEFAULT_RDP_TEMPLATE


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
    offer = offers.build(request.user, portal.policy).of(desktop_id)  # type: ignore[arg-type]
    if offer is None or offer.assignment is None or action not in cards.actions(offer, portal):
        messages.error(request, "That is not possible with this desktop now.")
    elif action == "release":
        actions.release(offer.assignment.pk, f"{request.user} released it")
        messages.success(request, f"{offer.name} is released.")
    else:
        stop, _ = cards.allowed(portal.policy, offer.line, hard=offer.assignment.kind == Assignment.Kind.HARD)
        abrupt = action == "stop" and stop == PoolAssignment.Stop.POWER_OFF
        power.ask(offer.desktop, OPS[action], f"{request.user} asked for it", urgent=True, hard=abrupt)
        messages.success(request, DOING[action])
    return SeeOther(reverse("desktops"))


def context(request: HttpRequest) -> dict[str, Any]:
    """For the frame: the way to administration, for those who have it."""
    links = []
    if getattr(request, "portal", None) and request.user.has_perm("dashboard.view"):
        links = [("Administration", "/dashboard/"), ("My desktops", "/desktops/")]
        links += [("The demo", "/demo/")] if settings.DEMO else []
    return {"account_links": links}
