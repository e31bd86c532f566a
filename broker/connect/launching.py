"""A launch: from an assigned desktop to the file, step by step (SPEC A.8). Rows only, no network.

`launches.py` walks it; the web request that made it may prove the way itself.
"""

from dataclasses import dataclass
from datetime import timedelta

from django.db.models import QuerySet

from agents.services import agent_of, is_silent
from authservers.models import User
from broker.connect import power, protocols, rights, steps, strangers, usual, zones
from broker.connect.models import Launch, PortalSession
from broker.connect.steps import LIMITS
from broker.core import audit
from broker.core.clock import now
from broker.core.jobs import URGENT, Wish, enqueue
from broker.core.models import Job, ref
from centers.models import Desktop
from centers.providers.base import PowerOp
from plans.models import ProtocolChoice
from policies.models import Policy, PoolAssignment
from pools.models import Assignment

LONGEST = timedelta(hours=1)  # however often a launch goes back a step
PROVING = timedelta(seconds=10)  # for so long the web request that made a launch may be at its probe
Power = Desktop.Power
UP = {Power.RUNNING, Power.UNHEALTHY}


@dataclass(frozen=True, slots=True)
class Who:
    """Who clicks."""

    user: User
    policy: Policy
    portal: PortalSession | None = None
    client_ip: str | None = None


@dataclass(frozen=True, slots=True)
class Start:
    """What a launch begins with; `line` is the first of the policy whose pool holds the desktop."""

    who: Who
    assignment: Assignment
    desktop: Desktop
    line: PoolAssignment | None
    protocol: str = ""  # that the person chose


def confirms(line: PoolAssignment | None) -> bool:
    """Whether the policy wants AWS asked for the power state before anything is decided (SPEC 3.5.2)."""
    return line is not None and line.confirm_power


def starts(policy: Policy, assignment: Assignment, line: PoolAssignment | None) -> bool:
    """Whether the policy powers on what is stopped (SPEC 3.5.2)."""
    if assignment.kind == Assignment.Kind.HARD:
        return policy.hard_start_if_stopped
    return line is None or line.start_if_stopped


def launched(start: Start) -> Launch:
    """The user's open launch of this desktop, or a new one at the step that the desktop is at."""
    who, desktop, moment = start.who, start.desktop, now()
    before = Launch.objects.filter(user=who.user, desktop=desktop, ended_at=None).first()
    choice = protocols.intended(protocols.plan_of(who.policy, start.assignment, start.line), desktop, start.protocol)
    if before and goes_on(before, who) and (not start.protocol or rerouted(before, choice)):
        zones.renew(before, who.portal, start.line)
        return before
    if before and before.step == Launch.Step.CONNECTING:
        finish(before, Launch.Step.CANCELLED, "Begun anew by another press of Connect.")
    elif before:
        finish(before, Launch.Step.FAILED, "Nothing worked on it any more: it was begun anew.")
    step = step_of(start)
    launch = Launch.objects.create(
        user=who.user,
        desktop=desktop,
        assignment=start.assignment,
        portal_session=who.portal,
        client_ip=who.client_ip,
        protocol=choice.protocol,
        through=str(choice.through or ""),
        port=choice.reaches,
        time_zone=zones.wanted(who.portal, start.line),
        step=step,
        step_at=moment,
        started_at=moment,
        deadline=moment + LIMITS[steps.Step(step)],
        times={"assigning": moment.isoformat(), step: moment.isoformat()},
        usual=usual.for_launch(desktop, start.assignment.pool_id),
    )
    audit.record("conn.requested", f"{who.user} connects to {desktop}.", user=who.user, desktop=desktop)
    if step != Launch.Step.OPENING:
        set_out(launch, desktop, confirm=confirms(start.line))
    return launch


def goes_on(launch: Launch, who: Who) -> bool:
    """Whether an open launch answers another click: somebody walks it, or its file is there for the same sign-in."""
    if launch.deadline <= now():
        return False
    if launch.step == Launch.Step.CONNECTING:
        return launch.portal_session_id == (who.portal.pk if who.portal else None)
    proving = launch.step == Launch.Step.OPENING and launch.step_at > now() - PROVING
    return proving or walkers(launch).exists()


def rerouted(launch: Launch, choice: ProtocolChoice) -> bool:
    """Whether a launch that goes on can end by this protocol: before its way is open, or where it is its own."""
    if launch.step == Launch.Step.CONNECTING:
        return launch.protocol == choice.protocol
    protocols.settled(launch, choice)
    return True


def walkers(launch: Launch) -> QuerySet[Job]:
    """The job that brings a launch on; a launch without one comes nowhere."""
    return Job.objects.filter(context=ref(launch), state__in=[Job.State.PENDING, Job.State.RUNNING])


def step_of(start: Start) -> Launch.Step:
    """Where a launch begins. At Opening nothing is missing but the proof, which the web request brings itself."""
    desktop = start.desktop
    if confirms(start.line) or not is_up(desktop) or strangers.to_log_out(desktop, start.who.user, start.line):
        return Launch.Step.STARTING
    agent = agent_of(desktop)
    silent = agent is not None and is_silent(agent)
    return Launch.Step.WAITING if silent or not rights.confirmed(desktop, start.assignment) else Launch.Step.OPENING


def is_up(desktop: Desktop) -> bool:
    """Running, by the last look, with an address, and with nothing under way that changes that."""
    return desktop.power in UP and bool(desktop.destination) and not desktop.wish


def set_out(launch: Launch, desktop: Desktop, *, confirm: bool = False) -> None:
    """Ask for a start where one is needed, unless AWS is asked first, and have a job walk the launch."""
    if not confirm and (desktop.power in {Power.STOPPED, Power.STOPPING} or desktop.wish == "stop"):
        power.ask(desktop, PowerOp.START, f"{launch.user} connects", urgent=True)
    enqueue(
        Wish(
            "wait_for_start",
            ref(desktop),
            str(desktop),
            ref(launch),
            {"launch": launch.pk},
            key=f"launch:{launch.pk}",
            cause="connect",
            priority=URGENT,
        )
    )


def go_to(launch: Launch, step: Launch.Step, message: str | None = None) -> None:
    """The launch has come to another step, or has something else to say in the one it is in."""
    moment, message = now(), launch.message if message is None else message
    if launch.step != step:
        launch.step_at, launch.times = moment, {**launch.times, step: moment.isoformat()}
        launch.deadline = min(moment + LIMITS[steps.Step(step)], launch.started_at + LONGEST)
    elif launch.message == message:
        return
    launch.step, launch.message = step, message
    Launch.objects.filter(pk=launch.pk, ended_at=None).update(
        step=step, step_at=launch.step_at, message=message, times=launch.times, deadline=launch.deadline
    )


def opened(launch: Launch, warning: str = "") -> None:
    """The way is open: the file is handed out, and the launch waits for the login. Without an agent it is over."""
    moment = now()
    agent = agent_of(launch.desktop)
    told = agent is not None and not is_silent(agent)
    step = Launch.Step.CONNECTING if told else Launch.Step.DONE
    launch.times = {**launch.times, "connecting": moment.isoformat()}
    launch.step, launch.step_at, launch.message = step, moment, warning
    launch.opened_at, launch.ended_at = moment, None if told else moment
    changed = Launch.objects.filter(pk=launch.pk, ended_at=None, opened_at=None).update(
        step=step, step_at=moment, message=warning, times=launch.times, opened_at=moment, ended_at=launch.ended_at,
        deadline=moment + LIMITS[steps.Step.CONNECTING],
    )  # fmt: skip
    if changed:
        Desktop.objects.filter(pk=launch.desktop_id).update(last_used_at=moment)
        said = warning or f"The way to {launch.desktop} is open."
        audit.record("conn.started", said, user=launch.user, desktop=launch.desktop)


def logged_in(desktop_id: int, user_id: int | None) -> None:
    """The agent tells of a login or reconnect: who took the file has arrived."""
    here = Launch.objects.filter(desktop=desktop_id, user=user_id, ended_at=None, step=Launch.Step.CONNECTING)
    here.update(step=Launch.Step.DONE, ended_at=now(), step_at=now())


def finish(launch: Launch, step: Launch.Step, message: str = "") -> None:
    """The launch has ended before anybody arrived, and says why."""
    moment = now()
    launch.step, launch.ended_at, launch.message = step, moment, message
    open_one = Launch.objects.filter(pk=launch.pk, ended_at=None)
    if not open_one.update(step=step, step_at=moment, ended_at=moment, message=message):
        return
    failed = step == Launch.Step.FAILED
    audit.record(
        "conn.failed" if failed else "conn.cancelled",
        message,
        user=launch.user,
        desktop=launch.desktop,
        level="warning" if failed else "information",
    )
