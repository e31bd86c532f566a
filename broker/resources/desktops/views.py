"""Desktop pages that are no plain form of one row: assign, delete from disk, waiting agents."""

from datetime import datetime
from typing import Any

from django import forms
from django.contrib import messages
from django.db import IntegrityError, transaction
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.shortcuts import get_object_or_404, render
from django.urls import reverse

from agents.models import Agent
from agents.registration import REJECTED, introduce
from authservers.models import User
from broker.connect.happenings import Happening, happened
from broker.connect.models import DesktopSession
from broker.core import audit
from broker.core.clock import now
from broker.core.forms import PlainForm
from broker.core.pages import Refused, SeeOther, needs
from broker.resources.desktops import actions
from broker.resources.desktops.forms import AssignForm, DeleteForm
from broker.resources.desktops.pages import DesktopPages
from broker.resources.desktops.rows import desktops, waiting_agents
from centers.models import Desktop
from plans.engine import Event
from pools.models import Assignment
from pools.services import Terms, lend_this, make_kind


def page(request: HttpRequest, form: PlainForm, title: str, **more: Any) -> HttpResponse:
    """A form of our own in the frame of the toolkit."""
    back = more.pop("back", DesktopPages.url("list"))
    context = {
        "form": form, "form_title": title, "title": title, "save_label": title, "may_edit": True, "pages": DesktopPages,
        "list_url": DesktopPages.url("list"), "cancel_url": back, **more,
    }  # fmt: skip
    return render(request, "resources/plain_form.html", context)


@needs("desktops.edit")
def assign(request: HttpRequest, pk: int) -> HttpResponse:
    """Give a desktop to a person."""
    row = get_object_or_404(desktops(), pk=pk)
    form = AssignForm(request.POST or None, desktop=row)
    if request.method == "POST" and form.is_valid():
        try:
            messages.success(request, assigned(request, row, form.cleaned_data["user"], form.cleaned_data["kind"]))
            return SeeOther(DesktopPages.page_url(row))
        except Refused as refusal:
            form.add_error(None, str(refusal))
    return page(request, form, "Assign", lead=f"Give {row} to a person.", back=DesktopPages.page_url(row))


@transaction.atomic
def assigned(request: HttpRequest, row: Desktop, user: User, kind: str) -> str:
    """Lend it, or change how firmly it is lent; raises Refused where it is somebody else's."""
    before = Assignment.objects.filter(desktop=row, closed_at=None).first()
    terms = Terms(kind=kind, origin="admin", reason=f"by {request.user}")
    assignment = lend_this(user, row, terms) if actions.present(row) else None
    if assignment is None:
        raise Refused(f"{row} is assigned to somebody else, or gone. Release it first.")
    if before is None or before.pk != assignment.pk:
        happened(Happening(assignment.desktop, Event.ASSIGNED, assignment.opened_at, assignment))
    elif make_kind(assignment.pk, kind):
        refirmed(assignment, kind)
    return f"{row} is {'hard' if kind == Assignment.Kind.HARD else 'policy'}-assigned to {user}."


def refirmed(assignment: Assignment, kind: str) -> None:
    """Policy to hard drops the release jobs and keeps the session; hard to policy lets plans act again (RULES 14)."""
    assignment.refresh_from_db()
    for event, at in [(Event.MADE_HARD, now())] if kind == Assignment.Kind.HARD else stands_at(assignment):
        happened(Happening(assignment.desktop, event, at, assignment))
    message = f"Now {assignment.get_kind_display().lower()} to {assignment.user}."
    audit.record("desktop.assigned", message, user=assignment.user, desktop=assignment.desktop)


def stands_at(assignment: Assignment) -> list[tuple[Event, datetime]]:
    """What plans would have heard of the user so far; waits start now, idleness has its own beginning."""
    row = DesktopSession.objects.filter(assignment=assignment).order_by("-started_at", "-pk").first()
    if row is None:
        return [(Event.ASSIGNED, now())]
    came = [(Event.ASSIGNED, now()), (Event.CONNECTED, now())]  # the lease begins anew; nobody waits for a first log-in
    if row.ended_at is not None:
        return [*came, (Event.LOGGED_OUT, now())]
    if row.state == DesktopSession.State.DISCONNECTED:
        return [*came, (Event.DISCONNECTED, now())]
    return [*came, (Event.IDLE, row.idle_since)] if row.idle_since else came


@needs("desktops.edit")
def delete_disk(request: HttpRequest, pk: int) -> HttpResponse:
    """Ask for the name, say what is lost, then queue the termination."""
    row = get_object_or_404(desktops(), pk=pk)
    if not row.deletable or not actions.present(row):
        messages.error(
            request, f"{row} is not allowed to be permanently deleted from disk. The switch is on this page."
        )
        return SeeOther(DesktopPages.page_url(row))
    form = DeleteForm(request.POST or None, name=str(row))
    if request.method == "POST" and form.is_valid():
        messages.success(request, actions.delete_from_disk(request, row))
        return SeeOther(DesktopPages.page_url(row))
    lost = actions.losses([row])
    return page(request, form, "Delete from disk", danger=lost, back=DesktopPages.page_url(row))


class ApproveForm(PlainForm):
    """Which desktop an agent belongs to."""

    desktop = forms.ModelChoiceField(Desktop.objects.none(), label="Desktop", required=False, empty_label="Choose…")

    def __init__(self, *args: Any, agent: Agent, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field = self.fields["desktop"]
        assert isinstance(field, forms.ModelChoiceField)  # noqa: S101 - for the type checker
        free = Desktop.objects.filter(center=agent.center_id, agent=None)
        field.queryset = free.exclude(availability=Desktop.Availability.DELETED).order_by("name")


@needs("desktops.view")
def waiting(request: HttpRequest) -> HttpResponse:
    """The agents that match no desktop: approve each to one, or reject it (RULES 2)."""
    found = waiting_agents().select_related("center").order_by("pk")
    may_edit = request.user.has_perm("desktops.edit")
    rows = [(agent, ApproveForm(agent=agent, prefix=str(agent.pk))) for agent in found[:50]]
    context = {
        "rows": rows, "more": found.count() - len(rows), "may_edit": may_edit,
        "pages": DesktopPages, "list_url": DesktopPages.url("list"), "title": "Waiting agents",
    }  # fmt: skip
    return render(request, "resources/waiting.html", context)


@needs("desktops.edit")
def decide(request: HttpRequest, pk: int) -> HttpResponse:
    """Approve or reject one waiting agent."""
    if request.method != "POST":
        return HttpResponseNotAllowed(["POST"])
    agent = get_object_or_404(waiting_agents(), pk=pk)
    try:
        messages.success(request, decided(request, agent))
    except Refused as refusal:
        messages.error(request, str(refusal))
    return SeeOther(waiting_address())


def decided(request: HttpRequest, agent: Agent) -> str:
    """Carry out the decision; returns it in words, raises Refused."""
    if request.POST.get("decision") == "reject":
        told(request, agent, "rejected", {"revoked_at": now(), "why": f"{REJECTED} {request.user}."[:200]})
        return (
            f"The agent of {agent} is rejected: it neither works nor registers any more. Should that have been a "
            "mistake, run “usher-agent prepare-image” on its machine; then it registers as a new one."
        )
    form = ApproveForm(request.POST or None, agent=agent, prefix=str(agent.pk))
    desktop = form.cleaned_data.get("desktop") if form.is_valid() else None
    if desktop is None:
        raise Refused("Choose the desktop that this agent runs on.")
    try:
        told(request, agent, "approved", {"desktop": desktop, "approved": True, "why": ""}, desktop)
    except IntegrityError:
        raise Refused(f"{desktop} was given to another agent in this very moment.") from None
    return f"The agent of {agent} belongs to {desktop} now."


@transaction.atomic
def told(request: HttpRequest, agent: Agent, verb: str, change: dict[str, Any], desktop: Desktop | None = None) -> None:
    """Store a decision about an agent, with its log entry; raises Refused or IntegrityError where one was faster."""
    if not Agent.objects.filter(pk=agent.pk, desktop=None, revoked_at=None).update(**change):
        raise Refused(f"The agent of {agent} was decided about already.")
    if desktop is not None:
        desktop.barred_agents.update(barred_from=None)
        introduce(agent, desktop)
    audit.record(f"agent.{verb}", f"Agent of {agent} {verb}.", actor=request.user, subject=agent, desktop=desktop)


def waiting_address() -> str:
    """The approval list."""
    return reverse("desktops:waiting")
