"""What is true of a desktop now, for the question whether a planned action may still run (plans/premise.py)."""

from datetime import datetime, timedelta

from agents.models import Agent
from agents.services import agent_of, is_silent
from broker.connect import notices, tunnels
from broker.connect.happenings import epoch_of
from broker.connect.models import DesktopSession, Launch
from broker.core.clock import now
from broker.core.models import Job
from centers.models import Desktop
from plans.engine import Due
from plans.premise import Facts, JobPremise, Outcome, Verdict, judge
from pools.models import Assignment

JITTER = timedelta(seconds=5)  # agents tell whole seconds, and news travel


def of(desktop: Desktop) -> Facts:
    """The facts of now; `desktop` is read with its center."""
    assignment = Assignment.objects.filter(desktop=desktop, closed_at=None).select_related("user").first()
    live = list(DesktopSession.objects.filter(desktop=desktop, ended_at=None).exclude(user_name=""))
    connected = [each for each in live if each.state == DesktopSession.State.ACTIVE]
    agent = agent_of(desktop)
    idle = [since for each in connected if (since := idle_since(each, agent))]
    return Facts(
        now=now(),
        assignment=assignment.pk if assignment else None,
        holder=str(assignment.user) if assignment else "",
        epoch=epoch_of(desktop),
        connected=bool(connected),
        signed_in=bool(live),
        user=connected[0].user_name if connected else "",
        idle_since=max(idle) if idle and len(idle) == len(connected) else None,
        agent_heard=agent.last_seen if agent else None,
        agent_silent=bool(agent and is_silent(agent)),
        unheard=bool(agent and agent.waiting),
        gateway_bytes=tunnels.last_bytes(desktop),
        launching=bool(assignment and launching(desktop, assignment)),
        power="deleted" if desktop.availability == Desktop.Availability.DELETED else desktop.power,
        raw_power=desktop.raw_state,
        running_mode=desktop.running_mode,
        power_wish=desktop.wish if desktop.wish_until and desktop.wish_until > now() else "",
        plans_off=desktop.plans_off,
        observe_only=desktop.center.observe_only,
        frozen=desktop.center.freeze_plans,
    )


def idle_since(row: DesktopSession, agent: Agent | None) -> datetime | None:
    """Since when a session is idle: by its event, or later where the newest heartbeat knows better (RULES 18)."""
    if row.idle_since is None or agent is None or agent.boot_id != row.boot_id:
        return row.idle_since
    mine = [each for each in agent.sessions if isinstance(each, dict) and str(each.get("session")) == row.os_session]
    told = [datetime.fromisoformat(each["idle_since"]) for each in mine if each.get("idle_since")]
    return max((each for each in told if each - row.idle_since > JITTER), default=row.idle_since)


def launching(desktop: Desktop, assignment: Assignment) -> bool:
    """Whether the assigned user is on the way to it."""
    return Launch.objects.filter(desktop=desktop, user=assignment.user_id, ended_at=None).exists()


def verdict(job: Job, desktop: Desktop) -> Verdict:
    """Whether a planned action may run now. A job that no plan asked for may: a person did."""
    if "due" not in job.payload:
        return Verdict(Outcome.RUN)
    return judge(premise_of(job), of(desktop))


def premise_of(job: Job) -> JobPremise:
    """On what a plan's job rests, and when it comes if nothing happens."""
    said = job.payload
    return JobPremise(
        Due.from_json(said["due"]),
        said.get("assignment"),
        said.get("epoch", ""),
        notices.warned_at(job),
        notices.asked_for_more(job),
        hurried=bool(said.get("now")),
    )


def reachable(desktop: Desktop) -> Agent | None:
    """The agent, where it can be asked to do something now."""
    agent = agent_of(desktop)
    return agent if agent and not is_silent(agent) else None
