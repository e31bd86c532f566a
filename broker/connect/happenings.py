"""Store what the plans want after an event, in place of what they wanted before (DESIGN 5)."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet

from broker.connect import plans_in_force
from broker.connect.models import DesktopSession
from broker.core import audit
from broker.core.jobs import Wish, cancel, enqueue
from broker.core.models import Job, ref
from centers.models import Desktop
from plans.engine import ONLY_UNDO, POWER, Action, Due, Event, Hangs, react
from plans.words import words
from pools.models import Assignment

KINDS: dict[Action, str] = {
    Action.STOP: "power",
    Action.POWER_OFF: "power",
    Action.REBOOT: "power",
    Action.RELEASE: "release",
    Action.LOG_OUT: "logout",
    Action.LOCK: "lock",
    Action.DISCONNECT: "disconnect",
    Action.DELETE: "delete_desktop",
    Action.CALL_URL: "call_url",
}
POWER_OPS = {Action.STOP: "stop", Action.POWER_OFF: "stop", Action.REBOOT: "reboot"}


@dataclass(frozen=True, slots=True)
class Happening:
    """An event on a desktop: when it happened, and whose assignment it concerns (the ended one, of a release)."""

    desktop: Desktop
    event: Event
    at: datetime
    assignment: Assignment | None = None


@transaction.atomic
def happened(happening: Happening) -> None:
    """React to an event: cancel what it makes pointless and schedule what the plans in force want."""
    desktop, event = happening.desktop, happening.event
    Desktop.objects.select_for_update(no_key=True).only("pk").get(pk=desktop.pk)
    waiting = {Due.from_json(job.payload["due"]): job for job in planned(desktop)}
    no_rules = event in ONLY_UNDO or desktop.plans_off or desktop.center.observe_only
    steps = [] if no_rules else plans_in_force.of(desktop, happening.assignment).steps
    who = str(happening.assignment.user) if happening.assignment else "the user"
    settle = timedelta(seconds=settings.SETTLE_SECONDS)
    reaction = react(waiting, steps, event, happening.at, settle=settle, who=who)
    for given_up in reaction.cancel:
        call_off(waiting[given_up.due], given_up.reason, desktop)
    epoch = epoch_of(desktop) if reaction.add else ""
    for due in reaction.add:
        if due.do is not Action.DELETE or desktop.deletable:
            schedule(due, happening, epoch)


def planned(desktop: Desktop) -> QuerySet[Job]:
    """The plans' jobs that wait for this desktop."""
    return Job.objects.filter(subject=ref(desktop), state=Job.State.PENDING, payload__has_key="due")


def call_off(job: Job, reason: str, desktop: Desktop) -> None:
    """Cancel one planned action, in the log too."""
    if cancel(Job.objects.filter(pk=job.pk), reason):
        due = Due.from_json(job.payload["due"])
        audit.record("plan.job_cancelled", f"Will not {words(due)}: {reason}.", desktop=desktop, subject=desktop)


def schedule(due: Due, happening: Happening, epoch: str, session: DesktopSession | None = None) -> None:
    """Insert the job for one planned action; with a `session` it is about that one alone."""
    desktop, assignment = happening.desktop, happening.assignment
    payload: dict[str, Any] = {
        "due": due.as_json(),
        "epoch": epoch,
        "assignment": assignment.pk if assignment and assignment.closed_at is None else None,
        "user": assignment.user_id if assignment else None,
    }
    if session is not None:
        payload |= {"session": session.pk, "user": session.user_id}
    power = due.do in POWER
    op = POWER_OPS.get(due.do, "")
    hangs = assignment is not None and due.hangs is Hangs.ASSIGNMENT
    enqueue(
        Wish(
            KINDS[due.do],
            ref(desktop),
            str(desktop),
            f"assignment:{assignment.pk}" if assignment and hangs else "",
            {**payload, "op": op} if power else payload,
            due.looked_at,
            f"plan:{desktop.pk}:{due.slot}" + (f":{session.pk}" if session else ""),
            f"power:{desktop.center_id}:{op}" if power else "",
            due.because,
            due.plan,
        )
    )
    audit.record(
        "plan.job_scheduled",
        f"Plan {due.plan}: will {words(due)}.",
        desktop=desktop,
        user=assignment.user if assignment else None,
    )


def epoch_of(desktop: Desktop) -> str:
    """The newest OS session of the desktop, ended or not, as jobs compare it; "" where there never was one."""
    newest = DesktopSession.objects.filter(desktop=desktop).order_by("-started_at", "-pk").first()
    return f"{newest.boot_id}:{newest.os_session}" if newest else ""
