"""What an administrator does with a job: run it now, cancel it, try it again."""

from collections.abc import Callable

from django.db import transaction
from django.http import HttpRequest

from broker.connect import deploy, facts, launches
from broker.connect.power import number
from broker.core import audit, jobs
from broker.core.clock import now
from broker.core.jobs import URGENT, Wish, enqueue
from broker.core.models import Job
from broker.core.pages import Refused
from centers.models import Desktop
from plans.premise import Outcome

State = Job.State
RECURRING = {
    "poll": "Set the center's refresh interval to 0 instead.",
    "gateway_status": "It ends with its gateway.",
    "port_close": "The gateway has to hear what is closed.",
    "housekeeping": "The broker needs it.",
}
# What else ends when a person cancels a job of this kind; the words say why it is too late for that.
WITH_IT: dict[str, Callable[[Job], str]] = {"deploy": deploy.called_off, "wait_for_start": launches.called_off}


@transaction.atomic
def run_now(request: HttpRequest, job: Job) -> str:
    """Make a waiting job due. What a plan asked for is judged first: its premise must hold now, too (SPEC 13.4)."""
    job = Job.objects.select_for_update(no_key=True).get(pk=job.pk)
    if job.state != State.PENDING:
        raise Refused(f"Job {job.pk} no longer waits.")
    against = why_not(job)
    if against:
        raise Refused(f"{job.kind} {job.pk} is not run now: {against}.")
    if "due" in job.payload:
        job.payload = {**job.payload, "now": True}
    job.run_at, job.priority = now(), URGENT
    job.history = jobs.history(job, State.PENDING, f"{request.user} wants it run now")
    job.save(update_fields=["run_at", "priority", "payload", "history"])
    audit.record("job.run_now", f"{job.kind} {job.pk} is to run now.", subject=job, desktop=desktop_of(job))
    transaction.on_commit(jobs.wake)
    return f"{job.kind} {job.pk} runs as soon as a worker is free."


def why_not(job: Job) -> str:
    """Why a planned action may not run now, in words, or ""."""
    desktop = desktop_of(job) if "due" in job.payload else None
    if desktop is None:
        return ""
    as_if_due = Job(kind=job.kind, subject=job.subject, payload={**job.payload, "now": True})
    verdict = facts.verdict(as_if_due, desktop)
    return "" if verdict.outcome is Outcome.RUN else verdict.reason


def desktop_of(job: Job) -> Desktop | None:
    """The desktop that a job is about, if it is about one."""
    is_one = job.subject.startswith("desktop:")
    return Desktop.objects.select_related("center").filter(pk=number(job)).first() if is_one else None


@transaction.atomic
def cancel(request: HttpRequest, job: Job) -> str:
    """Call off a waiting job, and end what it was about to bring to its end."""
    if job.kind in RECURRING:
        raise Refused(f"{job.kind} {job.pk} is not cancelled: it comes again and again. {RECURRING[job.kind]}")
    if not jobs.cancel(Job.objects.filter(pk=job.pk), f"cancelled by {request.user}"):
        raise Refused(f"Job {job.pk} no longer waits, so it cannot be cancelled.")
    job.refresh_from_db()  # what its last run wrote down; it is ours now
    too_late = WITH_IT[job.kind](job) if job.kind in WITH_IT else ""
    if too_late:
        raise Refused(f"{job.kind} {job.pk} is not cancelled. {too_late}")
    event = "plan.job_cancelled" if "due" in job.payload else "job.cancelled"
    audit.record(
        event, f"{job.kind} for {job.subject_name or job.subject} is cancelled.", subject=job, desktop=desktop_of(job)
    )
    return f"{job.kind} {job.pk} is cancelled."


@transaction.atomic
def retry(request: HttpRequest, job: Job) -> str:
    """File an aborted job once more; the old one stays for the record."""
    again = enqueue(
        Wish(
            job.kind,
            job.subject,
            job.subject_name,
            job.context,
            {name: fact for name, fact in job.payload.items() if name != "called"},  # its calls are counted anew
            key=job.key,
            batch=job.batch,
            cause=job.cause,
            plan=job.plan,
            priority=job.priority,
        )
    )
    audit.record("job.retried", f"{job.kind} {job.pk} is tried again as {again.pk}.", subject=again)
    return f"{job.kind} {job.pk} is tried again as job {again.pk}."
