"""System > Job Queue (SPEC A.5): what waits, runs, and went wrong, with its reason."""

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any, ClassVar

import django_filters
import django_tables2 as tables
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import NoReverseMatch, path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from broker.connect.job_words import LATE
from broker.core.clock import now
from broker.core.filters import PageFilter
from broker.core.models import Job, LogEntry
from broker.core.pages import Action, needs
from broker.core.tables import BriefColumn, NumberColumn, PageTable, StatusColumn, TimeColumn
from broker.resources.job_actions import cancel, retry, run_now
from broker.resources.records import RecordPages

State = Job.State
STATES = {"pending": "moving", "running": "running", "finished": "done", "cancelled": "stopped", "aborted": "problem"}
RECENT = timedelta(hours=24)
PAGES_OF = {
    "desktop": "desktops:edit",
    "center": "centers:edit",
    "user": "users:edit",
    "pool": "pools:edit",
    "image": "images:edit",
}
SECRET = ("secret", "password", "token", "key")


def address_of(subject: str) -> str:
    """The page of what a job or log entry is about ("desktop:12"), or nothing."""
    kind, _, number = subject.partition(":")
    if kind not in PAGES_OF or not number.isdigit():
        return ""
    try:
        return reverse(PAGES_OF[kind], args=[int(number)])
    except NoReverseMatch:
        return ""


def linked(subject: str, name: str) -> SafeString | str:
    """The name of a thing, a link where it has a page."""
    address = address_of(subject)
    return format_html('<a href="{}">{}</a>', address, name or subject) if address else name or subject or "–"


def late(job: Job) -> bool:
    """Whether it should have run by now."""
    return job.state == State.PENDING and job.run_at < now() - LATE


class JobTable(PageTable):
    """One row a job."""

    optional = ("node", "started_at")

    id = BriefColumn(verbose_name="Id")
    kind = tables.Column(verbose_name="Type")
    subject_name = tables.Column(verbose_name="Object", empty_values=())
    node = BriefColumn(verbose_name="Node")
    state = StatusColumn(STATES, note=lambda row: "late" if late(row) else "", verbose_name="Status")
    run_at = TimeColumn(verbose_name="Scheduled")
    started_at = TimeColumn(verbose_name="Started")
    finished_at = TimeColumn(verbose_name="Finished")
    tries = NumberColumn(verbose_name="Tries")
    reason = tables.Column(verbose_name="Reason / Plan", empty_values=(), orderable=False)
    message = tables.Column(verbose_name="Message", orderable=False)

    def render_id(self, record: Job) -> SafeString:
        """The number, a link to its page."""
        return format_html('<a href="{}">{}</a>', reverse("jobs:edit", args=[record.pk]), record.pk)

    def value_id(self, record: Job) -> int:
        """The number alone in files."""
        return record.pk

    def render_subject_name(self, record: Job) -> SafeString | str:
        """What it is about."""
        return linked(record.subject, record.subject_name)

    def value_subject_name(self, record: Job) -> str:
        """The name in files."""
        return record.subject_name or record.subject

    def render_reason(self, record: Job) -> str:
        """Why it waits or ended, and which plan or event asked for it."""
        return because(record)


def because(job: Job) -> str:
    """Reason, plan and cause in one line."""
    cause = job.cause.replace("_", " ")
    asked = ": ".join(part for part in (job.plan, cause) if part)
    return " – ".join(part for part in (job.reason, asked) if part) or "–"


class JobFilter(PageFilter):
    """Status, type, object. Without a status: what waits, what runs, and what was aborted in the last 24 hours."""

    state = django_filters.ChoiceFilter(
        choices=[*State.choices, ("late", "Late"), ("all", "All")], label="Status", method="with_state"
    )
    kind = django_filters.CharFilter(lookup_expr="icontains", label="Type")
    subject = django_filters.CharFilter(label="Object", method="about")

    class Meta:
        model = Job
        fields: ClassVar[list[str]] = []

    def filter_queryset(self, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """The default view, unless a status is chosen."""
        found: QuerySet[Any] = super().filter_queryset(queryset)
        if self.form.cleaned_data.get("state"):
            return found
        return found.filter(
            Q(state__in=[State.PENDING, State.RUNNING]) | Q(state=State.ABORTED, finished_at__gte=now() - RECENT)
        )

    def with_state(self, queryset: QuerySet[Any], name: str, value: str) -> QuerySet[Any]:
        """One status, the late ones, or all."""
        if value == "late":
            return queryset.filter(state=State.PENDING, run_at__lt=now() - LATE)
        return queryset if value == "all" else queryset.filter(state=value)

    def about(self, queryset: QuerySet[Any], name: str, value: str) -> QuerySet[Any]:
        """By "desktop:12", or by a part of the object's name."""
        return queryset.filter(Q(subject=value) | Q(subject_name__icontains=value))


def in_state(state: str) -> Callable[[Job], bool]:
    """Which rows an action is for."""
    return lambda job: job.state == state


class JobPages(RecordPages):
    """The queue."""

    model, area, table, filterset = Job, "jobs", JobTable, JobFilter
    title = "Job Queue"
    intro = (
        "What the broker is doing and will do. Pending, running, and aborted in the last 24 hours, unless you filter."
    )
    empty = "Scans, starts, stops, releases and deployments are listed here while they wait or run."
    search = ["kind", "subject_name", "plan", "cause", "message", "reason"]
    order = "-id"
    actions = {
        "run_now": Action("Run now", run_now, bulk=True, applies=in_state(State.PENDING)),
        "cancel": Action("Cancel", cancel, bulk=True, danger=True, applies=in_state(State.PENDING)),
        "retry": Action("Retry", retry, bulk=True, applies=in_state(State.ABORTED)),
    }


@needs("jobs.view")
def job_page(request: HttpRequest, pk: int) -> HttpResponse:
    """One job: everything that is known of it."""
    job = get_object_or_404(Job, pk=pk)
    visible, menu = JobPages.actions_for(request, job)
    entries = LogEntry.objects.filter(correlation_id=job.correlation_id)[:20] if job.correlation_id else []
    context = JobPages.context(request, job=job, actions=visible + menu, because=because(job), late=late(job))
    context |= {
        "title": f"{job.kind} {job.pk}",
        "object_address": address_of(job.subject),
        "kind_of_state": STATES[job.state],
        "payload": json.dumps(harmless(job.payload), indent=2, sort_keys=True),
        "entries": entries if request.user.has_perm("log.view") else [],
    }
    return render(request, "system/job.html", context)


def harmless(payload: Any) -> Any:
    """A payload for the eye: secrets do not belong there, and would not be shown if one strayed in."""
    if isinstance(payload, dict):
        return {
            name: "•••" if any(word in name.lower() for word in SECRET) else harmless(value)
            for name, value in payload.items()
        }
    return [harmless(each) for each in payload] if isinstance(payload, list) else payload


urlpatterns = [path("<int:pk>/", job_page, name="edit"), *JobPages.urls()]
