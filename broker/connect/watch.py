"""Machines of which nothing is heard: stopped without a boot (RULES 19), running unused in silence (RULES 21)."""

from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Exists, OuterRef

from agents.models import Agent
from broker.connect import actions, plans_in_force
from broker.connect.happenings import Happening, epoch_of, schedule
from broker.connect.models import DesktopSession, Launch
from broker.core import audit
from broker.core.clock import now
from broker.core.models import Job, LogEntry, ref
from centers.models import Center, Desktop
from plans.engine import Action, Due, Event
from plans.waits import duration_words
from pools.models import Assignment
from pools.services import lock_user

HOUR = timedelta(hours=1)
# Why a session ended of which no agent said so; it is believed again when it is heard of (events.heard).
STOPPED = "the machine was stopped"
UNUSED = "agent.silent_unused"


def live(desktops: str = "pk") -> Exists:
    """Somebody's session is there, as far as anybody knows."""
    return Exists(DesktopSession.objects.filter(desktop=OuterRef(desktops), ended_at=None).exclude(user_name=""))


def stopped_without_a_boot() -> int:
    """Release desktops that stopped under a session and did not boot within the wait that their release plan has for
    log-outs; a machine that was only suspended is back by then. Returns how many."""
    off = Desktop.objects.filter(
        live(), power=Desktop.Power.STOPPED, wish="", plans_off=False, center__observe_only=False,
        center__freeze_plans=False,
    )  # fmt: skip
    held = Assignment.objects.filter(desktop__in=off, closed_at=None, kind=Assignment.Kind.POLICY)
    late = [each for each in held.select_related("desktop__center", "user__server") if stopped_too_long(each)]
    return sum(given_up(each) for each in late)


def stopped_too_long(assignment: Assignment) -> bool:
    """Whether its machine is off for longer than its release plan waits."""
    wait, since = release_wait(assignment), assignment.desktop.power_since
    return wait is not None and since is not None and now() - since > wait


@transaction.atomic
def given_up(assignment: Assignment) -> bool:
    """Whether this one was released. Under its user's lock, as Connect is: who comes back meanwhile keeps it."""
    lock_user(assignment.user_id)
    locked = Desktop.objects.select_for_update(no_key=True).filter(pk=assignment.desktop_id)
    desktop = locked.filter(power=Desktop.Power.STOPPED, wish="").first()
    coming = Launch.objects.filter(assignment=assignment, ended_at=None).exists()
    if desktop is None or desktop.power_since is None or coming:
        return False
    stopped = duration_words((now() - desktop.power_since).total_seconds())
    if actions.release(assignment.pk, f"it has been stopped for {stopped}, without a boot") is None:
        return False
    DesktopSession.objects.filter(desktop=desktop, ended_at=None).update(
        ended_at=desktop.power_since, state=DesktopSession.State.ENDED, end_reason=STOPPED
    )
    return True


def release_wait(assignment: Assignment) -> timedelta | None:
    """How long after a log-out the desktop is released, or None where it is not."""
    steps = plans_in_force.for_assignment(assignment).steps
    waits = [step.after for step in steps if (step.on, step.do) == (Event.LOGGED_OUT, Action.RELEASE)]
    return min(waits, default=None)


def silent_and_unused() -> int:
    """The center's rule for machines that run, without a session, while their agent is silent: say so, then stop them.
    Returns of how many it was said now."""
    count = 0
    for center in Center.objects.filter(silent_warn_hours__gt=0, observe_only=False, freeze_plans=False):
        for agent in silent_at(center):
            count += noticed(agent, center)
    return count


def silent_at(center: Center) -> list[Agent]:
    """The agents of a center's machines that run for nobody and were not heard for the center's hours."""
    line = now() - center.silent_warn_hours * HOUR
    let_in = Launch.objects.filter(desktop=OuterRef("desktop"), started_at__gte=OuterRef("last_seen"))
    found = Agent.objects.filter(
        ~live("desktop"), ~Exists(let_in), approved=True, revoked_at=None, last_seen__lt=line, desktop__center=center,
        desktop__power=Desktop.Power.RUNNING, desktop__plans_off=False,
    )  # fmt: skip
    return list(found.select_related("desktop__center"))


def noticed(agent: Agent, center: Center) -> bool:
    """Log it once for each silence and, where the center wants it, plan the stop: visible, to be cancelled by hand."""
    desktop, heard = agent.desktop, agent.last_seen
    if desktop is None or heard is None or said_since(desktop, heard):
        return False
    silence = duration_words((now() - heard).total_seconds())
    audit.record(
        UNUSED, f"Runs without a session, and its agent is silent for {silence}.", desktop=desktop, level="warning"
    )
    if center.silent_stop_hours:
        since = heard + center.silent_warn_hours * HOUR
        at = max(now(), since + center.silent_stop_hours * HOUR)
        assignment = Assignment.objects.filter(desktop=desktop, closed_at=None).first()
        due = Due(Action.STOP, at, Event.SILENT, since, f"of center {center}")
        schedule(due, Happening(desktop, Event.SILENT, since, assignment), epoch_of(desktop))
    return True


def said_since(desktop: Desktop, heard: datetime) -> bool:
    """Whether this silence was told of already."""
    about = ref(desktop)
    planned = Job.objects.filter(subject=about, created_at__gte=heard, cause=Event.SILENT)
    return LogEntry.objects.filter(event=UNUSED, desktop_ref=about, at__gte=heard).exists() or planned.exists()
