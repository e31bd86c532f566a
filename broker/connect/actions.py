"""What a plan or an administrator wants done: release, log out, lock, disconnect, delete, call a URL."""

from datetime import timedelta

from django.db import transaction
from django.db.models import QuerySet

from agents.models import Agent
from agents.services import command
from broker.connect import facts, notices, plans_in_force, rights, tunnels
from broker.connect.happenings import Happening, call_off, happened, planned
from broker.connect.models import DesktopSession, Launch
from broker.connect.power import number
from broker.core import audit
from broker.core.clock import now
from broker.core.jobs import Done, Failed, Later, Moot, Result
from broker.core.models import Job
from centers.models import Desktop
from centers.providers.base import ProviderBusy, ProviderError
from centers.services import provider, wish_ended, wish_for
from plans.engine import Event
from plans.premise import Outcome
from pools import services as pools
from pools.models import Assignment

AGENT_IS_BACK = timedelta(seconds=30)


@transaction.atomic
def release(assignment_id: int, reason: str) -> Assignment | None:
    """End an assignment, whoever wants it; then the release section's and the power plan's word (SPEC 3.4)."""
    assignment = pools.release(assignment_id, reason)
    if assignment is None:
        return None
    end_launches(Launch.objects.filter(assignment=assignment), f"The desktop was released: {reason}")
    tunnels.close_of_assignment(assignment, f"The desktop was released: {reason}.")
    set_aside(assignment)
    rights.released(assignment)
    happened(Happening(assignment.desktop, Event.RELEASED, now(), assignment))
    return assignment


def set_aside(assignment: Assignment) -> None:
    """Offer the desktop to nobody else, where the release plan in force says so (seed ch. 7)."""
    desktop = assignment.desktop
    plan = plans_in_force.of(desktop, assignment).release
    if plan is None or not plan.released_unavailable or desktop.plans_off or desktop.center.observe_only:
        return
    kinds = Desktop.Availability
    there = Desktop.objects.filter(pk=desktop.pk, availability__in=[kinds.AVAILABLE, kinds.MISSING])
    if there.update(unavailable_reason=f"by release plan {plan}"):  # also what is missing stays away when it is back
        there.filter(availability=kinds.AVAILABLE).update(availability=kinds.UNAVAILABLE)
        audit.record("desktop.unavailable", f"Made unavailable by release plan {plan}.", desktop=desktop)


def end_launches(launches: QuerySet[Launch], why: str) -> None:
    """Cancel those that are on their way, with a reason for the person who waits."""
    launches.filter(ended_at=None).update(ended_at=now(), step=Launch.Step.CANCELLED, message=why)


def standing(job: Job) -> tuple[Desktop | None, Result | None]:
    """The job's desktop, and why the action is not to be done now (None where it is)."""
    desktop = Desktop.objects.select_related("center").filter(pk=number(job)).first()
    if desktop is None:
        return None, Moot("The desktop is gone.")
    verdict = facts.verdict(job, desktop)
    if verdict.outcome is Outcome.CANCEL:
        return desktop, Moot(verdict.reason)
    if verdict.outcome is Outcome.WARN:
        return desktop, notices.give(job, desktop, verdict)
    if verdict.outcome is Outcome.HOLD:
        return desktop, notices.held(job, verdict)
    return desktop, None


def run_release(job: Job) -> Result:
    """The release that a plan scheduled. Judged under the locks that it takes anyway: nobody comes in between."""
    held = Assignment.objects.filter(pk=job.payload.get("assignment") or 0).first()
    if held is not None:
        pools.lock_user(held.user_id)
        Desktop.objects.select_for_update(no_key=True).only("pk").get(pk=held.desktop_id)
    desktop, against = standing(job)
    if against is not None or desktop is None:
        return against or Moot("The desktop is gone.")
    assignment = job.payload.get("assignment")
    done = release(assignment, f"plan {job.plan}, {job.cause.replace('_', ' ')}") if assignment else None
    return Done(f"Released from {done.user}.") if done else Moot("It was released already.")


def run_session_command(job: Job) -> Result:
    """Lock, disconnect or log out the live sessions, by the agent. Under its lock, which its news are read under too:
    nobody is found to be back between the judgement and the command."""
    list(Agent.objects.select_for_update(no_key=True).only("pk").filter(desktop=number(job), revoked_at=None))
    desktop, against = standing(job)
    if against is not None or desktop is None:
        return against or Moot("The desktop is gone.")
    sessions = meant(job, desktop)
    if not sessions:
        return Moot("Nobody has a session there.")
    agent: Agent | None = facts.reachable(desktop)
    if agent is None:
        return Later("The Usher Agent does not answer.", now() + AGENT_IS_BACK)
    why = f"plan {job.plan}" if job.plan else (job.payload.get("reason") or "an administrator asked for it")
    for session in sessions:
        command(agent, job.kind, why, {"session": session.os_session})
    audit.record(f"session.{job.kind}", f"Asked the agent to {job.kind}: {why}.", desktop=desktop, subject=desktop)
    return Done(f"The agent was asked to {job.kind} {len(sessions)} session{'s' if len(sessions) > 1 else ''}.")


def meant(job: Job, desktop: Desktop) -> list[DesktopSession]:
    """The live sessions that a command is for: all of the desktop, or the one that the job names. One that was a
    rogue's, and is somebody's by now, is no longer meant."""
    found = DesktopSession.objects.filter(desktop=desktop, ended_at=None).exclude(user_name="")
    if "session" in job.payload:
        found = found.filter(pk=job.payload["session"])
    return list(found.filter(rogue=True) if job.cause == Event.ROGUE else found)


def run_delete(job: Job) -> Result:
    """Terminate a desktop for ever."""
    desktop, against = doomed(job)
    if against is not None or desktop is None:
        return against or Moot("The desktop is gone.")
    return terminated(desktop)


@transaction.atomic
def doomed(job: Job) -> tuple[Desktop | None, Result | None]:
    """The job's desktop, and why it stays. Under the lock of those who lend: from the wish on, nobody gets it."""
    Desktop.objects.select_for_update(no_key=True).only("pk").filter(pk=number(job)).first()
    desktop, against = standing(job)
    if desktop is None or against is not None:
        return desktop, against
    if not desktop.deletable:  # it may have been taken away meanwhile
        return desktop, Moot("It is not allowed to be deleted from disk.")
    if "due" in job.payload and Assignment.objects.filter(desktop=desktop, closed_at=None).exists():
        return desktop, Moot("It is assigned again.")
    wish_for(desktop.pk, "delete")
    return desktop, None


def terminated(desktop: Desktop) -> Result:
    """Ask the provider, and write down what came of it."""
    if desktop.ref is None:
        return kept(desktop, "It has no id at AWS: there is nothing to delete.")
    try:
        outcome = provider(desktop.center).delete([desktop.ref])[0]
    except ProviderBusy as busy:
        return Later(str(busy))
    except ProviderError as error:
        return kept(desktop, str(error))
    if not outcome.ok:
        return Later(outcome.message) if outcome.retry else kept(desktop, outcome.message)
    gone(desktop, "deleted from disk")
    return Done("AWS deletes it.")


def kept(desktop: Desktop, why: str) -> Result:
    """It could not be deleted: it may be lent again."""
    wish_ended(desktop.pk)
    return Failed(why)


@transaction.atomic
def gone(desktop: Desktop, reason: str) -> None:
    """A desktop that is no more: its assignment ends, its jobs are cancelled, the row stays for the history.

    Locks the user, then the desktop; an assignment that was made between the two is ended as well.
    """
    let_go(desktop, reason)
    Desktop.objects.select_for_update(no_key=True).only("pk").get(pk=desktop.pk)
    let_go(desktop, reason)
    for job in planned(desktop):
        call_off(job, "the desktop is deleted", desktop)
    DesktopSession.objects.filter(desktop=desktop, ended_at=None).update(
        ended_at=now(), state=DesktopSession.State.ENDED, end_reason=reason
    )
    Desktop.objects.filter(pk=desktop.pk).update(
        availability=Desktop.Availability.DELETED, deleted_at=now(), power=Desktop.Power.DELETING, wish=""
    )
    audit.record("center.desktop_deleted", f"{desktop}: {reason}.", desktop=desktop, subject=desktop)


def let_go(desktop: Desktop, reason: str) -> None:
    """End the assignment and the launches of a desktop that is no more."""
    for assignment in Assignment.objects.filter(desktop=desktop, closed_at=None):
        pools.release(assignment.pk, reason)
    tunnels.close(Launch.objects.filter(desktop=desktop), f"The desktop was deleted: {reason}.")
    end_launches(Launch.objects.filter(desktop=desktop), f"The desktop was deleted: {reason}")
