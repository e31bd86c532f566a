"""Warnings on the desktop before something is taken from whoever sits there (SPEC 3.4): said by the agent, which may
answer "give me 30 more minutes". What was said, and when, is in the job's payload."""

from datetime import datetime, timedelta
from typing import Any

from django.db import transaction

from agents.models import AgentCommand
from agents.services import agent_of, command
from authservers.models import User
from broker.connect import tags
from broker.connect.models import DesktopSession
from broker.core.clock import now
from broker.core.jobs import Later, note
from broker.core.models import Job
from centers.models import Desktop
from plans.engine import Due
from plans.premise import MORE, Verdict
from plans.tags import render
from plans.words import warning

SNOOZE = "snooze"  # what the agent answers where the user asked for more time
LOOK = timedelta(seconds=15)  # how often the answer is looked for


def warned_at(job: Job) -> datetime | None:
    """When the user was last told of this job, or None."""
    said = job.payload.get("warned")
    return datetime.fromisoformat(said) if said else None


def asked_for_more(job: Job) -> int:
    """After how many of the job's warnings somebody asked for more time; several sessions that ask are one."""
    told: list[list[int]] = job.payload.get("commands", [])
    if not told:
        return 0
    every = [each for group in told for each in group]
    snoozed = set(AgentCommand.objects.filter(pk__in=every, detail=SNOOZE).values_list("pk", flat=True))
    return sum(bool(snoozed & set(group)) for group in told)


def audience(job: Job, desktop: Desktop) -> list[DesktopSession]:
    """Who sits there now; of a job about one session that one alone."""
    found = DesktopSession.objects.filter(desktop=desktop, ended_at=None, state=DesktopSession.State.ACTIVE)
    if "session" in job.payload:
        found = found.filter(pk=job.payload["session"])
    return list(found.exclude(user_name=""))


@transaction.atomic
def give(job: Job, desktop: Desktop, verdict: Verdict) -> Later:
    """Tell everybody who sits there what comes, and when, once; then wait for it, looking for an answer meanwhile.

    Not under the desktop's lock: agents that register take theirs first.
    """
    due = Due.from_json(job.payload["due"])
    agent = agent_of(desktop)
    seconds = (verdict.until - now()).total_seconds() if verdict.until else 0.0
    left = (due.notice.more if due.notice else 0) - asked_for_more(job)
    data: dict[str, Any] = {
        "text": text_of(job, due, desktop, seconds),
        "seconds": round(seconds),
        "snooze": int(MORE.total_seconds() // 60) if left > 0 else 0,
    }
    told = [
        command(agent, "message", f"before {due.do.replace('_', ' ')}", {**data, "session": each.os_session}).pk
        for each in audience(job, desktop)
        if agent is not None
    ]
    if not note(job, warned=now().isoformat(), commands=[*job.payload.get("commands", []), told]):
        transaction.set_rollback(True)  # somebody has taken the job over, and tells them
    return held(job, verdict)


def held(job: Job, verdict: Verdict) -> Later:
    """Later; where the user was told, with a look at the agent's answer in between."""
    soon = now() + LOOK
    looks = job.payload.get("commands") and verdict.until and verdict.until > soon
    return Later(verdict.reason, soon if looks else verdict.until)


def text_of(job: Job, due: Due, desktop: Desktop, seconds: float) -> str:
    """The plan's text with its tags, or what happens, when and why."""
    if not due.notice or not due.notice.text:
        return warning(due, seconds)
    user = User.objects.filter(pk=job.payload.get("user")).first()
    return render(due.notice.text, tags.values(desktop, user))
