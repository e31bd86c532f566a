"""You take one: from the click to an assignment and a launch (SPEC 1.4). One transaction, no network.

What must happen afterwards (start, wait, probe) is one `wait_for_start` job that walks the launch through its steps.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from django.db import transaction
from django.db.models import QuerySet

from agents.services import agent_of, is_silent
from authservers.models import User
from broker.connect import offers, power
from broker.connect.happenings import Happening, call_off, happened, planned
from broker.connect.models import Launch, PortalSession
from broker.connect.plans_in_force import line_of
from broker.connect.strangers import to_log_out
from broker.connect.verdicts import Asker
from broker.core import audit
from broker.core.clock import now
from broker.core.jobs import URGENT, Wish, enqueue
from broker.core.models import Job, ref
from centers.models import Desktop
from centers.providers.base import PowerOp
from plans.engine import POWER, Due, Event
from policies.models import Policy, PoolAssignment
from pools.models import Assignment, Pool
from pools.services import Terms, lend, lock_user, open_of

PATIENCE = timedelta(minutes=15)  # a launch that has come nowhere by then has failed, with its reason
Power = Desktop.Power


class NotOffered(Exception):
    """The desktop cannot be had; the message is for the person who clicked."""


@dataclass(frozen=True, slots=True)
class Click:
    """What a card's button says: this desktop, or "one from this line", and how many I had when I saw the card."""

    desktop_id: int
    line_id: int | None = None
    held: int = 0


@dataclass(frozen=True, slots=True)
class Who:
    """Who clicks."""

    user: User
    policy: Policy
    portal: PortalSession | None = None
    client_ip: str | None = None


@transaction.atomic
def connect(who: Who, click: Click) -> Launch:
    """Assign (unless it is the user's already), cancel what would stop it, and begin a launch; raises NotOffered."""
    assignment = own(who.user, click.desktop_id) or taken(who, click)
    locked = Desktop.objects.select_for_update(of=("self",), no_key=True).select_related("center")
    desktop = locked.get(pk=assignment.desktop_id)
    if not open_of(who.user).filter(pk=assignment.pk).exists():  # a release may have had the lock before us
        raise NotOffered("This desktop has just been released. Choose again.")
    refuse_broken(desktop)
    refuse_stopped(who, assignment, desktop)
    for job in planned(desktop):
        if Due.from_json(job.payload["due"]).do in POWER:
            call_off(job, f"{who.user} connects", desktop)
    return launched(who, assignment, desktop)


def own(user: User, desktop_id: int) -> Assignment | None:
    """The user's open assignment of this desktop, or None."""
    return open_of(user).filter(desktop_id=desktop_id).first()


def taken(who: Who, click: Click) -> Assignment:
    """Lend a desktop of the line, the clicked one first; raises NotOffered.

    Two clicks on one card are one wish: under the user's lock the second finds more desktops held than the card said,
    and gets the newest of them.
    """
    line = next((each for each in offers.lines_of(who.policy) if each.pk == click.line_id), None)
    if line is None:
        raise NotOffered("This desktop is no longer offered to you. Choose another one.")
    pools = offers.pools_by_id()
    asker = Asker.of(who.user)
    lock_user(who.user.pk)
    held = standing(who, line, pools, click)
    if held is not None:
        return held
    terms = Terms(pool=line.pool, line=line.pk, reason=f"policy {who.policy}")
    assignment = lend(who.user, candidates(line, asker, pools, click), terms)
    if assignment is None:
        raise NotOffered("Somebody else was faster, and no other desktop is free just now. Try again in a moment.")
    happened(Happening(assignment.desktop, Event.ASSIGNED, assignment.opened_at, assignment))
    return assignment


def candidates(
    line: PoolAssignment, asker: Asker, pools: dict[int, Pool], click: Click
) -> Callable[[], QuerySet[Desktop]]:
    """The line's free desktops in order, the one on the card before all others."""

    def found() -> QuerySet[Desktop]:
        free = offers.free(line, asker, pools)
        return free.order_by(offers.before_all(click.desktop_id), *offers.ordering(line, asker))

    return found


def standing(who: Who, line: PoolAssignment, pools: dict[int, Pool], click: Click) -> Assignment | None:
    """Asked under the user's lock: the assignment that answers this click already, or None; raises NotOffered."""
    everything = open_of(who.user)
    mine = everything.filter(desktop__in=offers.in_pool(line, pools).values("pk")).order_by("-opened_at")
    held = list(mine)
    if len(held) > click.held or (held and len(held) >= offers.wanted(line)):
        return held[0]
    if 0 <= who.policy.max_desktops <= everything.count():
        raise NotOffered("You have as many desktops as your policy allows. Release one first.")
    return None


def refuse_broken(desktop: Desktop) -> None:
    """A machine in error or maintenance cannot be connected to; its user is told why (SPEC 13.3)."""
    if desktop.availability == Desktop.Availability.MISSING:
        raise NotOffered("AWS no longer lists this desktop. Your administrator is informed by the log.")
    if desktop.power in {Power.MAINTENANCE, Power.SUSPENDED}:
        raise NotOffered("This desktop is in maintenance just now. Try again later.")
    if desktop.power in {Power.ERROR, Power.DELETING}:
        raise NotOffered(f"This desktop has a problem: {desktop.error_message or 'AWS reports an error'}")


def refuse_stopped(who: Who, assignment: Assignment, desktop: Desktop) -> None:
    """Where the policy does not power on what is stopped, say so instead of waiting for nothing (SPEC 3.5.2)."""
    if desktop.power not in {Power.STOPPED, Power.STOPPING}:
        return
    line = line_of(who.policy, desktop)
    hard = assignment.kind == Assignment.Kind.HARD
    starts = who.policy.hard_start_if_stopped if hard else line is None or line.start_if_stopped
    if not starts:
        raise NotOffered("This desktop is stopped, and your policy does not start it. Ask your administrator.")


def launched(who: Who, assignment: Assignment, desktop: Desktop) -> Launch:
    """The user's open launch of this desktop, or a new one: done at once where the desktop is ready."""
    moment = now()
    standing_one = Launch.objects.filter(user=who.user, desktop=desktop, ended_at=None).first()
    if standing_one and standing_one.deadline > moment and walkers(standing_one).exists():
        return standing_one
    if standing_one:
        finish(standing_one, Launch.Step.FAILED, "Nothing worked on it any more: it was begun anew.")
    launch = Launch.objects.create(
        user=who.user,
        desktop=desktop,
        assignment=assignment,
        portal_session=who.portal,
        client_ip=who.client_ip,
        protocol="rdp",
        step=Launch.Step.STARTING,
        step_at=moment,
        started_at=moment,
        deadline=moment + PATIENCE,
        times={"assigning": moment.isoformat(), "starting": moment.isoformat()},
    )
    audit.record("conn.requested", f"{who.user} connects to {desktop}.", user=who.user, desktop=desktop)
    if ready(desktop) and not to_log_out(desktop, who.user, who.policy):
        finish(launch, Launch.Step.DONE)
    else:
        set_out(launch, desktop)
    return launch


def walkers(launch: Launch) -> QuerySet[Job]:
    """The job that brings a launch on; a launch without one comes nowhere."""
    return Job.objects.filter(context=ref(launch), state__in=[Job.State.PENDING, Job.State.RUNNING])


def ready(desktop: Desktop) -> bool:
    """Running, with an address, and with an agent that is heard or never was (CONTRACTS 3, Connect)."""
    if desktop.power not in {Power.RUNNING, Power.UNHEALTHY} or not desktop.destination or desktop.wish:
        return False
    agent = agent_of(desktop)
    return agent is None or not is_silent(agent)


def set_out(launch: Launch, desktop: Desktop) -> None:
    """Ask for a start where one is needed, and have a job walk the launch."""
    if desktop.power in {Power.STOPPED, Power.STOPPING} or desktop.wish == "stop":
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


def go_to(launch: Launch, step: Launch.Step, message: str = "") -> None:
    """The launch has come to another step."""
    launch.step, launch.step_at, launch.message = step, now(), message
    launch.times = {**launch.times, step: launch.step_at.isoformat()}
    Launch.objects.filter(pk=launch.pk, ended_at=None).update(
        step=step, step_at=launch.step_at, message=message, times=launch.times
    )


def finish(launch: Launch, step: Launch.Step, message: str = "") -> None:
    """The launch has ended: the way is open, or it failed and says why."""
    moment = now()
    launch.step, launch.ended_at, launch.message = step, moment, message
    open_one = Launch.objects.filter(pk=launch.pk, ended_at=None)
    if not open_one.update(step=step, step_at=moment, ended_at=moment, message=message):
        return
    if step == Launch.Step.DONE:
        Desktop.objects.filter(pk=launch.desktop_id).update(last_used_at=moment)
    event = {Launch.Step.DONE: "conn.started", Launch.Step.FAILED: "conn.failed"}.get(step, "conn.cancelled")
    level = "warning" if step == Launch.Step.FAILED else "information"
    audit.record(
        event, message or f"The way to {launch.desktop} is open.", user=launch.user, desktop=launch.desktop, level=level
    )
