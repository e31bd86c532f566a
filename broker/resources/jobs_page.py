"""System > Job Queue (SPEC A.5): what waits, runs, and went wrong, with its reason; and a page for each job."""

import json
from collections.abc import Callable
from datetime import datetime
from typing import Any

from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import path, reverse

from authservers.models import User
from broker.connect.job_words import why_waiting
from broker.core.clock import now
from broker.core.models import Job, LogEntry, Node
from broker.core.pages import Action, needs
from broker.core.probes import WORKER_SILENT_AFTER
from broker.resources.job_actions import cancel, retry, run_now
from broker.resources.job_tables import STATES, JobFilter, JobTable, late, queue, said
from broker.resources.records import RecordPages, address_of
from plans.models import PowerControlPlan, ReleasePlan

State = Job.State
WORDS = {**dict(State.choices), "pending": "Waits again"}
SECRET = ("secret", "password", "token", "key")


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

    @classmethod
    def queryset(cls) -> QuerySet[Any]:
        """Jobs with all that a row shows."""
        return queue()


@needs("jobs.view")
def job_page(request: HttpRequest, pk: int) -> HttpResponse:
    """One job: everything that is known of it."""
    job = get_object_or_404(queue(), pk=pk)
    visible, menu = JobPages.actions_for(request, job)
    context = JobPages.context(request, job=job, actions=visible + menu, line=said(job), late=late(job))
    context |= {
        "title": f"{job.kind} {job.pk}",
        "object_address": address_of(job.subject),
        "kind_of_state": STATES[job.state],
        "payload": json.dumps(harmless(job.payload), indent=2, sort_keys=True),
        "entries": entries_of(job) if request.user.has_perm("log.view") else [],
        "past": past(job),
        "waits": waits(job),
        "user": User.objects.filter(pk=job.payload.get("user") or 0).first(),
        "plan_address": plan_address(job),
    }
    template = "system/_job.html" if request.headers.get("HX-Request") else "system/job.html"
    return render(request, template, context)


def entries_of(job: Job) -> QuerySet[LogEntry]:
    """What the log has of the same request or run."""
    return LogEntry.objects.filter(correlation_id=job.correlation_id or "-").order_by("-at", "-pk")[:20]


def plan_address(job: Job) -> str:
    """The page of the plan that asked for it, if one did and it still has that name."""
    kind: Any = PowerControlPlan if job.kind == "power" else ReleasePlan
    area = "power_control_plans" if job.kind == "power" else "release_plans"
    found = kind.objects.filter(name=job.plan).first() if job.plan else None
    return reverse(f"{area}:edit", args=[found.pk]) if found else ""


def past(job: Job) -> list[dict[str, Any]]:
    """What came of each try, newest first; equal ones in a row are one line."""
    return [
        {**each, "at": datetime.fromisoformat(each["at"]), "until": datetime.fromisoformat(each["until"]),
         "word": WORDS[each["state"]], "kind": STATES[each["state"]]}
        for each in reversed(job.history)
    ]  # fmt: skip


def waits(job: Job) -> str:
    """Why a pending job has not run."""
    if job.state != State.PENDING:
        return ""
    alive = Node.objects.filter(kind="worker", seen_at__gte=now() - WORKER_SILENT_AFTER).exists()
    same = Q(key=job.key) if job.key else Q(pk__in=[])
    same |= Q(batch=job.batch) if job.batch else Q(pk__in=[])
    rival = Job.objects.filter(same, state=State.RUNNING, leased_until__gte=now()).exclude(pk=job.pk).first()
    return why_waiting(
        job.run_at, job.reason, now(), worker_alive=alive, rival=f"job {rival.pk}" if rival else "",
        batch=bool(job.batch),
    )  # fmt: skip


def harmless(payload: Any) -> Any:
    """A payload for the eye: secrets do not belong there, and would not be shown if one strayed in."""
    if isinstance(payload, dict):
        return {
            name: "•••" if any(word in name.lower() for word in SECRET) else harmless(value)
            for name, value in payload.items()
        }
    return [harmless(each) for each in payload] if isinstance(payload, list) else payload


urlpatterns = [path("<int:pk>/", job_page, name="edit"), *JobPages.urls()]
