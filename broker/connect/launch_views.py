"""From the click to the file: Connect, the take-over question, the progress page, the connection file."""

import zlib
from collections.abc import Sequence
from urllib.parse import urlencode

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from broker.connect import connect, elsewhere, files, launches, launching, outlook, rights, zones
from broker.connect.connect import Click, Elsewhere, NotOffered
from broker.connect.future import YOU
from broker.connect.future import outlook as in_words
from broker.connect.launching import Who
from broker.connect.models import Launch, PortalSession, QueuePlace
from broker.connect.plans_in_force import InForce, for_assignment
from broker.connect.portal_request import SeeOther, number, polled, portal_of, whole
from broker.connect.refusals import no_file
from broker.connect.steps import ProgressLine, Step, Walk, progress
from broker.core.clock import now
from broker.core.net import client_address
from gateways.services import Down, came_by
from plans.models import VIEWERS

HANDED_OUT = {Launch.Step.CONNECTING, Launch.Step.DONE}


@require_POST
def click(request: HttpRequest, desktop_id: int) -> HttpResponse:
    """Connect or Reconnect: straight to the file where the desktop is ready, else to the progress page."""
    portal = portal_of(request)
    zones.note(portal, zones.said(request))
    line, held = whole(request, "line"), number(request, "held") or 0
    made = Click(desktop_id, line, held, "take_over" in request.POST, request.POST.get("protocol", "")[:20])
    return pressed(request, portal, made)


def pressed(request: HttpRequest, portal: PortalSession, made: Click) -> HttpResponse:
    """What a click leads to. The probe of the fast path is made here, after the transaction."""
    assert portal.policy  # noqa: S101 - portal_of() saw to it
    who = Who(request.user, portal.policy, portal, portal.address)  # type: ignore[arg-type]
    try:
        came = connect.connect(who, made)
    except NotOffered as refused:
        messages.error(request, str(refused))
        return SeeOther(reverse("desktops"))
    except Elsewhere:
        chosen = f"?{urlencode({'protocol': made.protocol})}" if made.protocol else ""
        return SeeOther(reverse("take-over", args=[made.desktop_id]) + chosen)
    if isinstance(came, QueuePlace):
        return SeeOther(reverse("queue", args=[came.pk]))
    if came.step == Launch.Step.OPENING and not launching.walkers(came).exists():
        launches.at_once(came)
    return SeeOther(way_in(came) if came.step in HANDED_OUT else reverse("launch", args=[came.pk]))


def way_in(launch: Launch) -> str:
    """Where an opened launch leads: to the viewer in the browser, or to the connection file."""
    return reverse("launch-viewer" if launch.protocol in VIEWERS else "launch-file", args=[launch.pk])


@never_cache
@require_GET
def take_over(request: HttpRequest, desktop_id: int) -> HttpResponse:
    """Connected from another device: the question before it is disconnected there (SPEC A.8)."""
    portal = portal_of(request)
    who = Who(request.user, portal.policy, portal)  # type: ignore[arg-type]
    assignment = connect.own(who.user, desktop_id)
    found = elsewhere.session(who, assignment.desktop) if assignment else None
    if assignment is None or found is None:
        return SeeOther(reverse("desktops"))
    page = {"desktop": assignment.desktop, "session": found, "device": elsewhere.device(who.user, found)}
    page["protocol"] = request.GET.get("protocol", "")
    return render(request, "connect/take_over.html", page)


def launch_of(request: HttpRequest, launch_id: int) -> Launch:
    """One of this person's launches; raises Http404."""
    wanted = Launch.objects.select_related("desktop__center", "assignment__pool", "portal_session__policy")
    launch = wanted.filter(pk=launch_id, user_id=request.user.pk or 0).first()
    if launch is None:
        raise Http404
    return launch


@never_cache
@require_GET
def show(request: HttpRequest, launch_id: int) -> HttpResponse:
    """The progress page; htmx asks for its middle every second, and hears nothing while nothing has changed."""
    portal_of(request)
    launch = launch_of(request, launch_id)
    walk = Walk(Step(launch.step), launch.times, launch.usual, launch.ended_at, bool(launch.through))
    lines = progress(walk, now())
    mark = marked(launch.step, launch.step_at, launch.message, lines)
    if polled(request) and request.GET.get("seen") == mark:
        return HttpResponse(status=204)
    page = {"launch": launch, "lines": lines, "mark": mark, "said": said(launch, lines)}
    if launch.step in HANDED_OUT:
        page["file"], page["viewer"] = way_in(launch), launch.protocol in VIEWERS
    if polled(request):
        return render(request, "connect/_progress.html", page)
    page["timers"] = what_follows(launch, for_assignment(launch.assignment))
    page["shared"] = rights.decoupled(launch.desktop)
    return render(request, "connect/progress.html", page)


def what_follows(launch: Launch, in_force: InForce) -> list[str]:
    """What happens when the person leaves the desktop, told before they go in and while they are there."""
    told = in_words(outlook.situation(launch.desktop, launch.assignment, in_force.steps, []), YOU)
    return [*told.conditions, *told.notes]


def marked(*facts: object) -> str:
    """A short mark of what a page shows, by which its poll tells that nothing has changed."""
    return f"{zlib.crc32(repr(facts).encode()):08x}"


def said(launch: Launch, lines: Sequence[ProgressLine]) -> str:
    """What a screen reader says when the page changes: the step, and what is out of the ordinary."""
    if launch.ended_at and launch.step != Launch.Step.DONE:
        return f"{launch.get_step_display()}. {launch.message}"
    if launch.step in HANDED_OUT:
        return "Connected." if launch.ended_at and launch.opened_at != launch.ended_at else "Your desktop is ready."
    place, line = next((number, each) for number, each in enumerate(lines, 1) if each.state == "current")
    late = " It takes longer than usual." if line.late else ""
    return f"Step {place} of {len(lines)}: {line.label}.{late} {launch.message}".strip()


@require_POST
def cancel(request: HttpRequest, launch_id: int) -> HttpResponse:
    """Stop waiting. The desktop stays the user's, and a start that AWS accepted goes on."""
    launching.finish(launch_of(request, launch_id), Launch.Step.CANCELLED, "You cancelled it. The desktop stays yours.")
    return SeeOther(reverse("desktops"))


@never_cache
@require_GET
def file(request: HttpRequest, launch_id: int) -> HttpResponse:
    """The generated .rdp or .dcv file of a launch whose way is open. It never holds a password."""
    portal = portal_of(request)
    launch = launch_of(request, launch_id)
    try:
        refusal = no_file(launch)
        made = None if refusal else files.made(launch, portal, came_by(request), client_address(request) or "")
    except Down as down:
        refusal, made = str(down), None
    if made is None:
        messages.warning(request, refusal or files.NO_FILE)
        return SeeOther(reverse("desktops"))
    if launch.file_at is None:
        Launch.objects.filter(pk=launch.pk, file_at=None).update(file_at=now())
    response = HttpResponse(made.content, made.media_type)
    response["Content-Disposition"] = f'attachment; filename="{made.name}"'
    return response
