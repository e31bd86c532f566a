"""The future of a desktop as rows tell it: what `future.py` needs to say it in words."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import CharField, OuterRef, Value
from django.db.models.functions import Cast, Concat, JSONObject

from broker.connect import facts
from broker.connect.future import YOU, Line, Outlook, Reader, Situation, Waiting
from broker.connect.future import outlook as in_words
from broker.connect.plans_in_force import InForce
from broker.core.clock import now
from broker.core.models import Job, ref
from centers.models import Desktop
from plans.engine import Due, Event, Step
from plans.models import ReleasePlan
from pools.models import Assignment

OPEN = (Job.State.PENDING, Job.State.RUNNING)


def of(desktop: Desktop, assignment: Assignment | None, in_force: InForce) -> Outlook:
    """What an administrator reads on the desktop's page; one statement."""
    jobs = Job.objects.filter(subject=ref(desktop), state__in=OPEN).order_by("run_at", "pk")
    reader = Reader(str(assignment.user)) if assignment else Reader()
    return in_words(situation(desktop, assignment, in_force.steps, jobs, in_force.release), reader)


def situation(
    desktop: Desktop,
    assignment: Assignment | None,
    steps: Sequence[Step],
    jobs: Iterable[Job],
    release: ReleasePlan | None = None,
) -> Situation:
    """A desktop with its center, the steps of the plans in force on it, and its open jobs. No statement."""
    wished = bool(desktop.wish and desktop.wish_until and desktop.wish_until > now())
    return Situation(
        steps=steps,
        waiting=[waiting_of(job) for job in jobs],
        assigned=assignment is not None,
        hard=assignment is not None and assignment.kind == Assignment.Kind.HARD,
        deletable=desktop.deletable,
        made_unavailable=bool(release and release.released_unavailable),
        running_mode=desktop.running_mode,
        plans_off=desktop.plans_off,
        observes=str(desktop.center) if desktop.center.observe_only else "",
        frozen=str(desktop.center) if desktop.center.freeze_plans else "",
        wish=desktop.wish if wished else "",
        wish_until=desktop.wish_until if wished else None,
    )


def waiting_of(job: Job) -> Waiting:
    """A job as words need it."""
    return Waiting(
        kind=job.kind,
        run_at=job.run_at,
        due=due_of(job),
        op=str(job.payload.get("op") or ""),
        plan=job.plan,
        reason=job.reason,
        asked=str(job.payload.get("reason") or (f"{job.actor_name} asked for it" if job.actor_name else "")),
        job=job.pk,
        running=job.state == Job.State.RUNNING,
    )


def dues() -> ArraySubquery:
    """What plans want of a desktop, as a column of its row: {due, reason}, soonest first."""
    subject = Concat(Value("desktop:"), Cast(OuterRef("pk"), CharField()))
    waiting = Job.objects.filter(subject=subject, state=Job.State.PENDING, payload__has_key="due").order_by("run_at")
    return ArraySubquery(waiting.values(said=JSONObject(due="payload__due", reason="reason")))


def yours(found: Iterable[Mapping[str, Any]]) -> Sequence[Line]:
    """That column in words, told to the user."""
    waiting = [
        Waiting("", due.at, due, reason=str(each["reason"])) for each in found for due in [Due.from_json(each["due"])]
    ]
    return in_words(Situation(waiting=waiting), YOU).coming


def when_idle(desktop: Desktop) -> Line | None:
    """What comes first because nobody touches the desktop, told to the user, at the time that they were given; None
    where nothing comes, or waits for something else than its time."""
    jobs = Job.objects.filter(subject=ref(desktop), state=Job.State.PENDING, payload__due__because=Event.IDLE)
    situation = Situation(waiting=[as_granted(job) for job in jobs.order_by("run_at")])
    coming = in_words(situation, YOU).coming
    return next((each for each in coming if each.at > now() and not each.held), None)


def as_granted(job: Job) -> Waiting:
    """A plan's job at the time that its user was given: on asking for more, or by a warning that came late."""
    premise = facts.premise_of(job)
    told = premise.warned + premise.due.lead if premise.warned else premise.at
    return replace(waiting_of(job), due=replace(premise.due, at=max(premise.at, told)))


def due_of(job: Job) -> Due | None:
    """What a plan wanted, where one did."""
    return Due.from_json(job.payload["due"]) if "due" in job.payload else None
