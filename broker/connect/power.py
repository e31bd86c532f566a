"""Power through the provider: one call for the jobs of a center and operation (DESIGN 3; RULES 23, 24)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction

from agents.models import Agent
from agents.services import agent_of, command
from broker.connect import facts, notices
from broker.connect.models import DesktopSession, Launch
from broker.core import audit
from broker.core.clock import now
from broker.core.jobs import URGENT, Done, Failed, Kind, Later, Moot, Result, Wish, enqueue, prolong, settle
from broker.core.models import Job, ref
from centers.models import Desktop
from centers.providers.base import Outcome as ItemOutcome
from centers.providers.base import PowerOp, Provider, ProviderBusy, ProviderError, RemoteDesktop
from centers.providers.states import passing, possible
from centers.services import provider, wish_ended, wish_for
from plans.engine import Due, Event
from plans.premise import Outcome, Verdict

GRACE = timedelta(seconds=60)  # how long a shutdown waits for the agent to log the user out (RULES 23)
ASK_AGAIN = timedelta(seconds=5)
PATIENCE = timedelta(minutes=10)  # how long a person's wish is asked again while AWS cannot be reached
SINCE_CLICK = timedelta(minutes=15)  # how long the click that started a machine may lie before its start
# A dead dispatcher holds its whole center up while its lease runs: so it is short. A write is tried once (3 s to
# connect, 10 s for the answer) and begins with the whole lease; whoever takes over looks at AWS before asking again.
LEASE = timedelta(seconds=20)
MOVING = {
    PowerOp.START: Desktop.Power.STARTING,
    PowerOp.STOP: Desktop.Power.STOPPING,
    PowerOp.REBOOT: Desktop.Power.STARTING,
}
ALREADY = {
    PowerOp.START: (Desktop.Power.STARTING, Desktop.Power.RUNNING, Desktop.Power.UNHEALTHY),
    PowerOp.STOP: (Desktop.Power.STOPPING, Desktop.Power.STOPPED),
}


def ask(desktop: Desktop, op: PowerOp, reason: str, *, urgent: bool = False, hard: bool = False) -> Job:
    """Queue a power operation that a person wants. `hard` stops without logging the user out first."""
    return wanted(desktop, {"op": op, "hard": hard, "reason": reason}, urgent=urgent)


def power_cycle(desktop: Desktop, reason: str) -> Job:
    """Off without a log-out, and on again: the start is asked for once AWS has accepted the stop (SPEC 3.5.2)."""
    about = {"op": PowerOp.STOP, "hard": True, "reason": reason, "then": PowerOp.START}
    return wanted(desktop, about, urgent=True)


def wanted(desktop: Desktop, payload: dict[str, Any], *, urgent: bool) -> Job:
    """The job of a person's wish."""
    op, reason = payload["op"], payload["reason"]
    return enqueue(
        Wish(
            "power",
            ref(desktop),
            str(desktop),
            payload=payload,
            key=f"power:{desktop.pk}:{op}",
            batch=f"power:{desktop.center_id}:{op}",
            cause=reason[:40],
            priority=URGENT if urgent else 0,
        )
    )


def run(jobs: Sequence[Job]) -> list[Result]:
    """Judge each job, ask the provider once for those that stand, and tell each its own outcome."""
    op = PowerOp(jobs[0].payload["op"])
    results: dict[int, Result] = {}
    asked: list[Asked] = []
    for job in jobs:
        found = wished(job, op)
        if isinstance(found, Asked):
            asked.append(found)
        else:
            results[job.pk] = found.say() if isinstance(found, Farewell | Warn) else found
    results.update(call(op, asked))
    return [results[job.pk] for job in jobs]


def number(job: Job) -> int:
    """The id in a job's subject ("desktop:12")."""
    return int(job.subject.partition(":")[2])


@dataclass(frozen=True, slots=True)
class Asked:
    """A job that stands, and its desktop. `again`: asked for before, by a worker that died or got no answer."""

    job: Job
    desktop: Desktop
    again: bool


@dataclass(frozen=True, slots=True)
class Farewell:
    """Sessions that the agent has to end before the stop; none where it was told already and is waited for."""

    agent: Agent
    sessions: list[str]

    def say(self) -> Result:
        """Tell the agent; outside the desktop's lock, for those who register lock the agent first."""
        for session in self.sessions:
            command(self.agent, "logout", "the desktop is being shut down", {"session": session})
        return Later("Waits for the user to be logged out before the shutdown.", now() + timedelta(seconds=2))


@dataclass(frozen=True, slots=True)
class Warn:
    """Somebody is to be warned first, outside the desktop's lock as well."""

    job: Job
    desktop: Desktop
    verdict: Verdict

    def say(self) -> Result:
        """Tell them."""
        return notices.give(self.job, self.desktop, self.verdict)


@transaction.atomic
def wished(job: Job, op: PowerOp) -> Asked | Farewell | Warn | Result:
    """Judge a job and write the wish, so that nobody asks twice; or why the provider is not asked now.

    Under the desktop's lock, which Connect takes too: one of the two sees what the other did.
    """
    locked = Desktop.objects.select_for_update(of=("self",), no_key=True).select_related("center")
    desktop = locked.filter(pk=number(job)).first()
    if desktop is None:
        return Moot("The desktop is gone.")
    again = bool(job.tries > 1 and desktop.wish == op and desktop.wish_at and desktop.wish_at >= begun(job))
    if again:
        desktop.wish = ""  # our own: it says nothing against us
    against: Farewell | Warn | Result | None = judged(job, desktop, op)
    if against is None and op is PowerOp.STOP and graceful(job):
        against = logged_out_first(job, desktop)
    if against is not None:
        return against
    wish_for(desktop.pk, op)
    return Asked(job, desktop, again)


def begun(job: Job) -> datetime:
    """When the job was first taken."""
    return job.started_at or now()


def judged(job: Job, desktop: Desktop, op: PowerOp) -> Warn | Result | None:
    """Why the provider is not asked now, or None where it is; a Warn is still to be said."""
    came = connected_meanwhile(job, desktop) if "due" in job.payload else ""
    if came:
        return Moot(came)
    verdict = facts.verdict(job, desktop)
    match verdict.outcome:
        case Outcome.CANCEL:
            return Moot(verdict.reason)
        case Outcome.WARN:
            return Warn(job, desktop, verdict)
        case Outcome.HOLD:
            return notices.held(job, verdict)
    return not_possible(desktop, op)


def not_possible(desktop: Desktop, op: PowerOp) -> Result | None:
    """Why AWS cannot be asked now, or None where it can."""
    if desktop.ref is None:
        return Later("It has no id at AWS yet.", now() + ASK_AGAIN)
    if desktop.wish == op and desktop.wish_until and desktop.wish_until > now():
        return Moot(f"{op.capitalize()} was asked for already.")
    if desktop.power in ALREADY.get(op, ()) and not desktop.wish:
        return Moot(f"It is {desktop.power} already.")
    refusal = possible(op, desktop.raw_state, desktop.running_mode)
    if refusal:
        waits = passing(desktop.raw_state) or desktop.wish
        return Later(refusal, now() + ASK_AGAIN) if waits else Failed(refusal)
    return None


def connected_meanwhile(job: Job, desktop: Desktop) -> str:
    """Why a planned action comes too late, or "". Without an agent nobody can say that nobody came (RULES 20, 21)."""
    launches = Launch.objects.filter(desktop=desktop)
    if launches.filter(started_at__gte=begun(job)).exists():
        return "Somebody has connected meanwhile."
    due = Due.from_json(job.payload["due"])
    let_in = launches.filter(step=Launch.Step.DONE)
    agent = agent_of(desktop)
    if due.because is Event.STARTED and agent is None and let_in.filter(ended_at__gte=due.since - SINCE_CLICK).exists():
        return "Somebody was let in, and no agent could tell of a login."
    if due.because is Event.SILENT and agent and let_in.filter(ended_at__gte=agent.last_seen).exists():
        return "Somebody was let in while its agent was silent."
    return ""


def graceful(job: Job) -> bool:
    """Whether the user is logged out before the machine stops: Shutdown does, Power off does not."""
    return job.payload.get("due", {}).get("do") != "power_off" and not job.payload.get("hard")


def logged_out_first(job: Job, desktop: Desktop) -> Farewell | None:
    """Who is still there is logged out, for at most a minute; then it stops all the same (RULES 23)."""
    live = DesktopSession.objects.filter(desktop=desktop, ended_at=None).exclude(user_name="")
    agent = facts.reachable(desktop)
    if not live or agent is None:
        return None
    told = {
        each.data.get("session"): each.created_at
        for each in agent.commands.filter(type="logout", created_at__gte=begun(job)).order_by("-created_at")
    }
    if told and now() - min(told.values()) > GRACE:
        return None
    return Farewell(agent, [session.os_session for session in live if session.os_session not in told])


def call(op: PowerOp, asked: Sequence[Asked]) -> dict[int, Result]:
    """Ask the provider for all of them at once."""
    if not asked:
        return {}
    try:
        source = provider(asked[0].desktop.center)
        moved = {each.ref for each in moving(source, op, asked)}
        outcomes = {ref: ItemOutcome(ref, True) for ref in moved}
        left = [str(each.desktop.ref) for each in asked if each.desktop.ref not in moved]
        prolong([each.job for each in asked], LEASE)
        outcomes |= {each.ref: each for each in source.power(op, left)}
    except ProviderError as error:
        return {each.job.pk: not_reached(each, op, error) for each in asked}
    return {each.job.pk: told(each, op, outcomes[str(each.desktop.ref)]) for each in asked}


def moving(source: Provider, op: PowerOp, asked: Sequence[Asked]) -> Iterator[RemoteDesktop]:
    """Of those that were asked for before: the ones that AWS has in motion already. No second call for them."""
    doubtful = [str(each.desktop.ref) for each in asked if each.again]
    for remote in source.describe(doubtful) if doubtful else []:
        if possible(op, remote.raw_state, remote.running_mode):
            yield remote


def not_reached(asked: Asked, op: PowerOp, error: ProviderError) -> Result:
    """The whole call failed. What a plan wants stays pending; what a person wanted is given up after a while.

    Where no answer came, the wish stays: the next try looks at AWS before it asks again.
    """
    if not (isinstance(error, ProviderBusy) and error.maybe_done):
        wish_ended(asked.desktop.pk)
    if "due" not in asked.job.payload and now() - asked.job.created_at > PATIENCE:
        return refused(asked, op, str(error))
    return Later(str(error))


@transaction.atomic
def told(asked: Asked, op: PowerOp, outcome: ItemOutcome) -> Result:
    """What AWS said to this one, and the end of its job: both are written or, where the lease is lost, neither."""
    result = heard(asked, op, outcome)
    if not settle(asked.job, KIND, result):
        transaction.set_rollback(True)
    return result


def heard(asked: Asked, op: PowerOp, outcome: ItemOutcome) -> Result:
    """What its answer means."""
    if outcome.ok:
        return accepted(asked.job, asked.desktop, op)
    if outcome.retry:
        wish_ended(asked.desktop.pk)
        return Later(outcome.message)
    return refused(asked, op, outcome.message)


def accepted(job: Job, desktop: Desktop, op: PowerOp) -> Result:
    """AWS took it: show it at once, and watch until the state has moved (RULES 24)."""
    Desktop.objects.filter(pk=desktop.pk).update(power=MOVING.get(op, Desktop.Power.MAINTENANCE), power_since=now())
    why = job.payload.get("reason") or (f"plan {job.plan}: {job.cause.replace('_', ' ')}" if job.plan else job.cause)
    audit.record(f"power.{op}", f"AWS accepted {op}: {why}", desktop=desktop, subject=desktop)
    watch(desktop, op)
    if "then" in job.payload:
        ask(desktop, PowerOp(job.payload["then"]), str(why), urgent=True)
    return Done(f"AWS accepted {op}.")


def refused(asked: Asked, op: PowerOp, message: str) -> Result:
    """AWS said no."""
    desktop = asked.desktop
    wish_ended(desktop.pk)
    audit.record(f"power.{op}", f"AWS refused {op}: {message}", desktop=desktop, subject=desktop, level="warning")
    return Failed(message)


def watch(desktop: Desktop, op: PowerOp) -> None:
    """Look at AWS until the wish has come true."""
    kind = "wait_for_stop" if op is PowerOp.STOP else "wait_for_start"
    soon = now() + timedelta(seconds=1)
    enqueue(Wish(kind, ref(desktop), str(desktop), key=f"{kind}:{desktop.pk}", run_at=soon, cause=op))


KIND = Kind(run_batch=run, lease=LEASE)
