"""The walk of a launch: start, wait for the agent, prove that the port is open (SPEC A.8)."""

import socket
from datetime import timedelta

from django.db import transaction

from agents.services import agent_of
from broker.connect import power
from broker.connect.connect import finish, go_to
from broker.connect.happenings import Happening, happened
from broker.connect.inventory import save_observed
from broker.connect.models import DesktopSession, Launch
from broker.connect.strangers import asked_to_leave
from broker.core.clock import now
from broker.core.db import assert_outside
from broker.core.jobs import Done, Kind, Later, Moot, Result
from broker.core.models import Job
from centers.models import Desktop
from centers.providers.base import PowerOp, ProviderError
from centers.services import port_seen, provider
from plans.engine import Event
from pools.models import Assignment

LOOK_AGAIN = timedelta(seconds=2)
AGENT_TAKES = timedelta(seconds=90)  # after that the person may go on without it
WALKED_BY = timedelta(minutes=1)  # past its deadline: its own job would have ended it
RDP_PORT = 3389
PROBE_SECONDS = 2.0
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
            Launch.objects.select_related("user", "desktop", "portal_session__policy")
            .filter(pk=job.payload["launch"], ended_at=None)
            .first()
        )
        if launch is None:
            return Moot("The launch has ended.")
        if now() > launch.deadline:
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
    if desktop.power in {Power.ERROR, Power.DELETING}:
        finish(launch, Step.FAILED, f"The desktop cannot be started: {desktop.error_message or desktop.raw_state}")
        return Done("The desktop is in error.")
    if desktop.power == Power.STOPPED and not desktop.wish:
        refusal = start_refused(launch, desktop)
        if refusal:
            finish(launch, Step.FAILED, f"The desktop cannot be started: {refusal}")
            return Done("AWS refuses to start it.")
        power.ask(desktop, PowerOp.START, f"{launch.user} connects", urgent=True)
    if (
        desktop.power not in {Power.RUNNING, Power.UNHEALTHY}
        or desktop.wish in {"stop", "start"}
        or not desktop.destination
    ):
        return Later(f"AWS says {desktop.raw_state or 'nothing yet'}.", now() + LOOK_AGAIN)
    if asked_to_leave(launch, desktop):
        return Later("Waits for somebody else's session to be logged out.", now() + LOOK_AGAIN)
    if not agent_is_back(launch, desktop):
        if launch.step != Step.WAITING:
            go_to(launch, Step.WAITING)
        return Later("Waits for the Usher Agent.", now() + LOOK_AGAIN)
    go_to(launch, Step.OPENING)
    trouble = probe(desktop.destination, RDP_PORT)
    port_seen(desktop.pk, trouble)
    finish(launch, Step.DONE, f"The broker could not reach the desktop's RDP port: {trouble}." if trouble else "")
    return Done("The way is open." if not trouble else f"Opened with a warning: {trouble}.")


def start_refused(launch: Launch, desktop: Desktop) -> str:
    """Why the start that this launch asked for was refused for good, or "": it is not asked for every two seconds."""
    starts = Job.objects.filter(key=f"power:{desktop.pk}:{PowerOp.START}", state=Job.State.ABORTED)
    last = starts.filter(finished_at__gte=launch.started_at).order_by("-pk").first()
    return last.reason if last else ""


def agent_is_back(launch: Launch, desktop: Desktop) -> bool:
    """Heard since the launch began, or never seen at all, or waited for long enough."""
    agent = agent_of(desktop)
    if agent is None or (agent.last_seen and agent.last_seen >= launch.started_at):
        return True
    return launch.step == Step.WAITING and now() - launch.step_at > AGENT_TAKES


def probe(address: str, port: int) -> str:
    """ "" where something listens there, else why not, in words."""
    assert_outside()
    try:
        with socket.create_connection((address, port), PROBE_SECONDS):
            return ""
    except TimeoutError:
        return f"no answer from {address}:{port} within {PROBE_SECONDS:.0f} seconds"
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
    overdue = Launch.objects.select_related("user", "desktop").filter(ended_at=None, deadline__lt=now() - WALKED_BY)
    for launch in overdue:
        finish(launch, Step.FAILED, "The desktop did not become ready in time. Try again.")
    return len(overdue)


KIND = Kind(run=run, lease=timedelta(seconds=60), deadline=timedelta(hours=1))
