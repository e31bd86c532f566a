"""From the click to the file: Connect, the take-over question, the progress page, the connection file."""

import zlib
from collections.abc import Sequence

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.timezone import localtime
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from broker.connect import connect, elsewhere, launches, launching, outlook, rights, tags
from broker.connect.connect import Click, Elsewhere, NotOffered
from broker.connect.future import YOU
from broker.connect.future import outlook as in_words
from broker.connect.launching import UP, Who
from broker.connect.models import Launch, PortalSession, QueuePlace
from broker.connect.plans_in_force import for_assignment
from broker.connect.portal_request import SeeOther, number, polled, portal_of, whole
from broker.connect.steps import LIMITS, ProgressLine, Step, Walk, progress
from broker.core.clock import now
from plans.models import ProtocolChoice
from plans.rdp import DEFAULT_RDP_TEMPLATE, MEDIA_TYPE, file_name, rdp_file

HANDED_OUT = {Launch.Step.CONNECTING, Launch.Step.DONE}
OUTDATED = "That connection file is no longer valid. Press the button below to take a new file."
USED = "The connection file of {at} has been used. Press the button below to take a new file."
NOT_UP = "The desktop does not run any more. Press the button below: it is started, and you get a new file."


@require_POST
def click(request: HttpRequest, desktop_id: int) -> HttpResponse:
    """Connect or Reconnect: straight to the file where the desktop is ready, else to the progress page."""
    portal = portal_of(request)
    line, held = whole(request, "line"), number(request, "held") or 0
    return pressed(request, portal, Click(desktop_id, line, held, "take_over" in request.POST))


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
        return SeeOther(reverse("take-over", args=[made.desktop_id]))
    if isinstance(came, QueuePlace):
        return SeeOther(reverse("queue", args=[came.pk]))
    if came.step == Launch.Step.OPENING and not launching.walkers(came).exists():
        launches.at_once(came)
    return SeeOther(reverse("launch-file" if came.step in HANDED_OUT else "launch", args=[came.pk]))


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
    walk = Walk(Step(launch.step), launch.times, launch.usual, launch.ended_at)
    lines = progress(walk, now())
    mark = marked(launch.step, launch.step_at, launch.message, lines)
    if polled(request) and request.GET.get("seen") == mark:
        return HttpResponse(status=204)
    page = {"launch": launch, "lines": lines, "mark": mark, "said": said(launch, lines)}
    if launch.step in HANDED_OUT:
        page["file"] = reverse("launch-file", args=[launch.pk])
    if polled(request):
        return render(request, "connect/_progress.html", page)
    page["timers"] = what_follows(launch)
    page["shared"] = rights.decoupled(launch.desktop)
    return render(request, "connect/progress.html", page)


def what_follows(launch: Launch) -> list[str]:
    """What happens when the person leaves the desktop, told before they go in."""
    steps = for_assignment(launch.assignment).steps
    return in_words(outlook.situation(launch.desktop, launch.assignment, steps, []), YOU).conditions


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
    """The generated .rdp file of a launch whose way is open. It never holds a password."""
    portal_of(request)
    launch = launch_of(request, launch_id)
    refusal = no_file(launch)
    if refusal:
        messages.warning(request, refusal)
        return SeeOther(reverse("desktops"))
    if launch.file_at is None:
        Launch.objects.filter(pk=launch.pk, file_at=None).update(file_at=now())
    values = tags.values(launch.desktop, request.user, launch, launch.client_ip or "")  # type: ignore[arg-type]
    response = HttpResponse(rdp_file(template_of(launch), values), MEDIA_TYPE)
    name = file_name(launch.desktop.display_name or launch.desktop.name, localtime(now()))
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


def no_file(launch: Launch) -> str:
    """Why no file is handed out, or "": before the way is open, after the login, and when its time is over."""
    if launch.step not in HANDED_OUT or launch.opened_at is None or launch.assignment.closed_at is not None:
        return OUTDATED
    if launch.ended_at is not None and launch.ended_at > launch.opened_at:
        return USED.format(at=localtime(launch.file_at or launch.opened_at).strftime("%H:%M"))
    if now() - launch.opened_at > LIMITS[Step.CONNECTING]:
        return OUTDATED
    return "" if launch.desktop.power in UP and not launch.desktop.wish else NOT_UP


def template_of(launch: Launch) -> str:
    """The file template of the protocol plan in force: the web client's RDP."""
    plan = for_assignment(launch.assignment).protocol
    choice = plan.choices.filter(client=ProtocolChoice.Client.WEB, protocol="rdp").first() if plan else None
    return choice.template if choice and choice.template.strip() else DEFAULT_RDP_TEMPLATE
