"""Power through the provider: one call for the jobs of a center and operation (DESIGN 3; RULES 23, 24)."""

from collections.abc import Sequence
from datetime import timedelta

from agents.services import command
from broker.connect import facts
from broker.connect.models import DesktopSession
from broker.core import audit
from broker.core.clock import now
from broker.core.jobs import URGENT, Done, Failed, Kind, Later, Moot, Result, Wish, enqueue
from broker.core.models import Job, ref
from centers.models import Center, Desktop
from centers.providers.base import PowerOp, ProviderBusy, ProviderError
from centers.providers.states import passing, possible
from centers.services import provider, wish_ended, wish_for
from plans.premise import Outcome

GRACE = timedelta(seconds=60)  # how long a shutdown waits for the agent to log the user out (RULES 23)
ASK_AGAIN = timedelta(seconds=5)
MOVING = {
    PowerOp.START: Desktop.Power.STARTING,
    PowerOp.STOP: Desktop.Power.STOPPING,
    PowerOp.REBOOT: Desktop.Power.STARTING,
}


def ask(desktop: Desktop, op: PowerOp, reason: str, *, urgent: bool = False, hard: bool = False) -> Job:
    """Queue a power operation that a person wants. `hard` stops without logging the user out first."""
    return enqueue(
        Wish(
            "power",
            ref(desktop),
            str(desktop),
            payload={"op": op, "hard": hard, "reason": reason},
            key=f"power:{desktop.pk}:{op}",
            batch=f"power:{desktop.center_id}:{op}",
            cause=reason[:40],
            priority=URGENT if urgent else 0,
        )
    )


def run(jobs: Sequence[Job]) -> list[Result]:
    """Judge each job, ask the provider once for those that stand, and tell each its own outcome."""
    desktops = {
        ref(each): each
        for each in Desktop.objects.filter(pk__in=[number(job) for job in jobs]).select_related("center")
    }
    op = PowerOp(jobs[0].payload["op"])
    results: dict[int, Result] = {}
    asked: list[tuple[Job, Desktop]] = []
    for job in jobs:
        desktop = desktops.get(job.subject)
        against = judged(job, desktop, op) if desktop else Moot("The desktop is gone.")
        if against is not None:
            results[job.pk] = against
        elif desktop is not None:
            asked.append((job, desktop))
    results.update(call(op, asked))
    return [results[job.pk] for job in jobs]


def number(job: Job) -> int:
    """The id in a job's subject ("desktop:12")."""
    return int(job.subject.partition(":")[2])


def judged(job: Job, desktop: Desktop, op: PowerOp) -> Result | None:
    """Why the provider is not asked now, or None where it is."""
    verdict = facts.verdict(job, desktop)
    if verdict.outcome is Outcome.CANCEL:
        return Moot(verdict.reason)
    if verdict.outcome is Outcome.HOLD:
        return Later(verdict.reason, verdict.until)
    if desktop.ref is None:
        return Later("It has no id at AWS yet.", now() + ASK_AGAIN)
    if desktop.wish == op and desktop.wish_until and desktop.wish_until > now():
        return Moot(f"{op.capitalize()} was asked for already.")
    refusal = possible(op, desktop.raw_state, desktop.running_mode)
    if refusal:
        waits = passing(desktop.raw_state) or desktop.wish
        return Later(refusal, now() + ASK_AGAIN) if waits else Failed(refusal)
    return logged_out_first(job, desktop) if op is PowerOp.STOP and graceful(job) else None


def graceful(job: Job) -> bool:
    """Whether the user is logged out before the machine stops: Shutdown does, Power off does not."""
    return job.payload.get("due", {}).get("do") != "power_off" and not job.payload.get("hard")


def logged_out_first(job: Job, desktop: Desktop) -> Result | None:
    """Have the agent log out who is still there, for at most a minute; then stop all the same (RULES 23)."""
    live = list(DesktopSession.objects.filter(desktop=desktop, ended_at=None).exclude(user_name=""))
    agent = facts.reachable(desktop)
    if not live or agent is None:
        return None
    asked_at = job.started_at or now()
    if now() - asked_at > GRACE:
        return None
    for session in live:
        if not agent.commands.filter(
            type="logout", data__session=session.os_session, created_at__gte=asked_at
        ).exists():
            command(agent, "logout", "the desktop is being shut down", {"session": session.os_session})
    return Later("Waits for the user to be logged out before the shutdown.", now() + timedelta(seconds=2))


def call(op: PowerOp, asked: Sequence[tuple[Job, Desktop]]) -> dict[int, Result]:
    """Ask the provider for all of them at once; the wish is written first, so that nobody asks twice."""
    if not asked:
        return {}
    center: Center = asked[0][1].center
    for _, desktop in asked:
        wish_for(desktop.pk, op)
    try:
        outcomes = {each.ref: each for each in provider(center).power(op, [str(desktop.ref) for _, desktop in asked])}
    except ProviderError as error:
        return {job.pk: refused(desktop, op, str(error), isinstance(error, ProviderBusy)) for job, desktop in asked}
    results: dict[int, Result] = {}
    for job, desktop in asked:
        outcome = outcomes[str(desktop.ref)]
        results[job.pk] = (
            accepted(job, desktop, op) if outcome.ok else refused(desktop, op, outcome.message, outcome.retry)
        )
    return results


def accepted(job: Job, desktop: Desktop, op: PowerOp) -> Result:
    """AWS took it: show it at once, and watch until the state has moved (RULES 24)."""
    Desktop.objects.filter(pk=desktop.pk).update(power=MOVING.get(op, Desktop.Power.MAINTENANCE), power_since=now())
    why = job.payload.get("reason") or (f"plan {job.plan}: {job.cause.replace('_', ' ')}" if job.plan else job.cause)
    audit.record(f"power.{op}", f"AWS accepted {op}: {why}", desktop=desktop, subject=desktop)
    watch(desktop, op)
    return Done(f"AWS accepted {op}.")


def refused(desktop: Desktop, op: PowerOp, message: str, again: bool) -> Result:
    """AWS said no, or not now."""
    wish_ended(desktop.pk)
    audit.record(f"power.{op}", f"AWS refused {op}: {message}", desktop=desktop, subject=desktop, level="warning")
    return Later(message) if again else Failed(message)


def watch(desktop: Desktop, op: PowerOp) -> None:
    """Look at AWS until the wish has come true."""
    kind = "wait_for_stop" if op is PowerOp.STOP else "wait_for_start"
    soon = now() + timedelta(seconds=1)
    enqueue(Wish(kind, ref(desktop), str(desktop), key=f"{kind}:{desktop.pk}", run_at=soon, cause=op))


KIND = Kind(run_batch=run, lease=timedelta(seconds=60))
