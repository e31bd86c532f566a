"""The walk of a launch: start, wait for the agent, prove that the port is open (SPEC A.8)."""

import socket
from datetime import timedelta

from django.db import transaction

from agents.services import agent_of, is_silent
from broker.connect import another, power, rights, steps, tunnels, zones
from broker.connect.happenings import Happening, happened
from broker.connect.inventory import save_observed
from broker.connect.launching import finish, go_to, is_up, opened, set_out, starts
from broker.connect.models import DesktopSession, Launch
from broker.connect.plans_in_force import line_of
from broker.connect.steps import LIMITS
from broker.connect.strangers import asked_to_leave
from broker.core.clock import now
from broker.core.db import assert_outside
from broker.core.jobs import A_MOMENT, Done, Kind, Later, Moot, Result
from broker.core.models import Job
from centers.models import Desktop
from centers.providers.base import PowerOp, ProviderError
from centers.services import port_seen, provider
from plans.engine import Event
from pools.models import Assignment

LOOK_AGAIN = timedelta(seconds=2)
WALKED_BY = timedelta(minutes=1)  # past its deadline: its own job would have ended it
PROBE_SECONDS = 2.0
QUICK_SECONDS = 0.5  # a person's request waits for it
GRACE = timedelta(seconds=10)  # a step that knows how to go on without what it waits for comes first
NOT_IN_TIME = "The desktop did not become ready in time. Try again."
NOBODY_CAME = "Nobody logged in with the connection file in time. Press Connect for a new one."
Power = Desktop.Power
Step = Launch.Step


def run(job: Job) -> Result:
    """One look at a launch, or at a machine that was asked to start."""
    desktop = Desktop.objects.select_related("center", "image").filter(pk=power.number(job)).first()
    if desktop is None:
        return Moot("The desktop is gone.")
    launch = None
    if "launch" in job.payload:
        launch = (
            Launch.objects.select_related("user", "desktop", "assignment__user", "portal_session__policy")
            .filter(pk=job.payload["launch"], ended_at=None)
            .first()
        )
        if launch is None:
            return Moot("The launch has ended.")
        if launch.step == Step.CONNECTING:
            return Moot("Its way is open.")
        if now() > launch.deadline + GRACE:
            return given_up(launch, desktop, job.reason)
    desktop, trouble = looked_at(desktop)
    if trouble:
        return Later(trouble, now() + LOOK_AGAIN * 2)
    return walk(launch, desktop) if launch else waited(job, desktop)


def looked_at(desktop: Desktop) -> tuple[Desktop, str]:
    """The desktop as AWS describes it now, and what went wrong; the address is read again after AVAILABLE (RULES 3)."""
    if desktop.ref is None:
        return desktop, "It has no id at AWS yet."
    try:
        found = provider(desktop.center).describe([desktop.ref])
    except ProviderError as error:
        return desktop, str(error)
    return (save_observed(desktop, found[0]), "") if found else (desktop, "AWS does not describe it yet.")


def walk(launch: Launch, desktop: Desktop) -> Result:
    """Bring a launch one step further."""
    against = broken(launch, desktop)
    if against:
        finish(launch, Step.FAILED, f"The desktop cannot be started: {against}")
        return Done("The launch has failed.")
    if desktop.power == Power.STOPPED and not desktop.wish:
        power.ask(desktop, PowerOp.START, f"{launch.user} connects", urgent=True)
    if not is_up(desktop):
        go_to(launch, Step.STARTING)
        return Later(f"AWS says {desktop.raw_state or 'nothing yet'}.", now() + LOOK_AGAIN)
    if asked_to_leave(launch, desktop):
        return Later("Waits for somebody else's session to be logged out.", now() + LOOK_AGAIN)
    if not agent_is_back(launch, desktop):
        go_to(launch, Step.WAITING)
        return Later("Waits for the Usher Agent.", now() + LOOK_AGAIN)
    go_to(launch, Step.OPENING)
    return admitted(launch, desktop) or proven(launch, desktop)


def broken(launch: Launch, desktop: Desktop) -> str:
    """Why the desktop will not run whatever we do, or ""."""
    if desktop.power in {Power.ERROR, Power.DELETING}:
        return desktop.error_message or desktop.raw_state
    if desktop.power != Power.STOPPED or desktop.wish:
        return ""
    policy = launch.portal_session.policy if launch.portal_session else None
    hard = launch.assignment.kind == Assignment.Kind.HARD
    if policy and not starts(policy, launch.assignment, line_of(policy, desktop, hard=hard)):
        return "it is stopped, and your policy does not start it. Ask your administrator."
    return start_refused(launch, desktop)


def admitted(launch: Launch, desktop: Desktop) -> Result | None:
    """None where the user may log on; a desktop that will not let the user in is exchanged for another (RULES 29)."""
    sure, refusal = rights.asked(desktop, launch.assignment)
    if sure:
        return None
    if refusal:
        return exchanged(launch, f"{desktop} refused the right to log on: {refusal}")
    if overdue(launch):
        return exchanged(launch, f"{desktop} did not confirm the right to log on in time")
    return Later("Waits for the right to log on to be confirmed.", now() + A_MOMENT)


def exchanged(launch: Launch, why: str) -> Result:
    """The line's next desktop in place of this one; where there is none, the launch ends with the reason."""
    return Done(f"{why}. {'Another desktop was taken' if another.taken(launch, why) else 'No other one is free'}.")


def proven(launch: Launch, desktop: Desktop) -> Result:
    """Open the way once the port answers. At the deadline: a warning, or the end where a gateway would have to."""
    zones.adjust(launch, desktop)
    trouble = probe(desktop.destination, launch.port)
    port_seen(desktop.pk, trouble)
    if not trouble:
        opened(launch)
        return Done("The way is open.")
    said = f"The broker could not reach the desktop's port: {trouble}."
    if not overdue(launch):
        go_to(launch, Step.OPENING, said)
        return Later(said, now() + LOOK_AGAIN)
    if launch.through:
        finish(launch, Step.FAILED, f"{said} Try again; if it stays so, ask your administrator.")
        return Done(f"Not opened: {trouble}.")
    opened(launch, said)
    return Done(f"Opened with a warning: {trouble}.")


def at_once(launch: Launch) -> bool:
    """In the web request, outside any transaction: whether the port answers within half a second, and so it is open.

    Where it does not, the launch is walked by a job, and its page shows how far it is.
    """
    desktop = launch.desktop
    zones.adjust(launch, desktop)
    trouble = probe(desktop.destination, launch.port, QUICK_SECONDS)
    if trouble:
        set_out(launch, desktop)
        return False
    port_seen(desktop.pk, "")
    opened(launch)
    return True


def overdue(launch: Launch) -> bool:
    """Whether the step that the launch stands in has taken as long as it may."""
    return now() - launch.step_at > LIMITS[steps.Step(launch.step)]


def start_refused(launch: Launch, desktop: Desktop) -> str:
    """Why the start that this launch asked for was refused for good, or "": it is not asked for every two seconds."""
    starts = Job.objects.filter(key=f"power:{desktop.pk}:{PowerOp.START}", state=Job.State.ABORTED)
    last = starts.filter(finished_at__gte=launch.started_at).order_by("-pk").first()
    return last.reason if last else ""


def agent_is_back(launch: Launch, desktop: Desktop) -> bool:
    """Heard since the launch began, or never seen at all, or waited for long enough.

    Of a desktop that did not have to be started it is enough that its agent is not silent: the next heartbeat may be
    half a minute away.
    """
    agent = agent_of(desktop)
    if agent is None or (agent.last_seen and agent.last_seen >= launch.started_at):
        return True
    if Step.STARTING not in launch.times and not is_silent(agent):
        return True
    waited = launch.step == Step.WAITING and overdue(launch)
    return waited or Step.OPENING in launch.times


def probe(address: str, port: int, seconds: float | None = None) -> str:
    """ "" where something listens there, else why not, in words."""
    assert_outside()
    patience = PROBE_SECONDS if seconds is None else seconds
    try:
        with socket.create_connection((address, port), patience):
            return ""
    except TimeoutError:
        return f"no answer from {address}:{port} within {patience:.1f} seconds"
    except ConnectionRefusedError:
        return f"{address}:{port} refuses connections"
    except OSError as error:
        return f"{address}:{port} {error.strerror or error}"


def given_up(launch: Launch, desktop: Desktop, reason: str) -> Result:
    """The deadline has come: an end with a reason instead of a wait without one."""
    why = reason or f"AWS says {desktop.raw_state or 'nothing'}."
    finish(launch, Step.FAILED, f"The desktop did not become ready in time. {why} Try again.")
    return Done("The launch's deadline has passed.")


def waited(job: Job, desktop: Desktop) -> Result:
    """After a start, stop or reboot: look until the state has come to rest."""
    at_rest = {Power.RUNNING, Power.UNHEALTHY, Power.STOPPED, Power.ERROR}
    if desktop.power in at_rest and not desktop.wish:
        if job.cause == PowerOp.START and desktop.power in {Power.RUNNING, Power.UNHEALTHY}:
            arrived(desktop)
        return Done(f"AWS says {desktop.raw_state}.")
    return Later(f"AWS says {desktop.raw_state}.", now() + LOOK_AGAIN * min(job.tries, 8))


@transaction.atomic
def arrived(desktop: Desktop) -> None:
    """A start that we asked for has come true: the clock of "nobody logs in after start" begins (RULES 21)."""
    Desktop.objects.select_for_update(no_key=True).only("pk").get(pk=desktop.pk)
    if DesktopSession.objects.filter(desktop=desktop, ended_at=None).exclude(user_name="").exists():
        return
    assignment = Assignment.objects.select_related("user__server").filter(desktop=desktop, closed_at=None).first()
    happened(Happening(desktop, Event.STARTED, now(), assignment))


def called_off(job: Job) -> str:
    """A person cancelled the job that walks a launch: the launch ends with it. Never too late: ""."""
    for launch in Launch.objects.select_related("user", "desktop").filter(pk=job.payload.get("launch"), ended_at=None):
        finish(launch, Step.CANCELLED, "An administrator cancelled it.")
    return ""


def end_overdue() -> int:
    """End the launches that nobody walked to their deadline; returns how many. Who walks one says why it failed."""
    overdue_ones = Launch.objects.select_related("user", "desktop").filter(
        ended_at=None, deadline__lt=now() - WALKED_BY
    )
    for launch in overdue_ones:
        if launch.step == Step.CONNECTING and tunnels.was_used(launch):
            arrived_unheard(launch)
            continue
        finish(launch, Step.FAILED, NOBODY_CAME if launch.step == Step.CONNECTING else NOT_IN_TIME)
    return len(overdue_ones)


def arrived_unheard(launch: Launch) -> None:
    """Somebody came through the gateway, and no agent told of a login: it is over all the same."""
    Launch.objects.filter(pk=launch.pk, ended_at=None).update(step=Step.DONE, ended_at=now(), step_at=now())


# It only looks, and what it writes is fenced: two at once do no harm, so nobody waits long for a dead one.
KIND = Kind(run=run, lease=timedelta(seconds=30), deadline=timedelta(hours=1))
