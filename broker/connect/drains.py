"""A pool is emptied: offered to nobody at once, its people told, and logged out at a deadline. Rows and jobs only."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction

from agents.services import command
from broker.connect import facts
from broker.connect.models import DesktopSession
from broker.core import audit, words
from broker.core.clock import now
from broker.core.jobs import Wish, cancel, enqueue
from broker.core.models import Job, ref
from centers.models import Desktop
from pools import rules
from pools.models import Assignment, Drain, Pool

CAUSE = "drain"
WARNED = timedelta(minutes=5)  # at least so long between the message and the log-out, whenever a desktop joins
Availability = Desktop.Availability


@dataclass(frozen=True, slots=True)
class Begun:
    """What a drain did at once: desktops out of the offers, people told, and those who could not be told."""

    emptied: int
    told: int
    not_told: int


def open_of(pool: Pool) -> Drain | None:
    """The drain that goes on, or None."""
    return Drain.objects.filter(pool=pool, ended_at=None).first()


def reason_of(drain: Drain) -> str:
    """What stands at its desktops for as long as it lasts."""
    return f"Pool {drain.pool} is being drained: {drain.message}"[:255]


@transaction.atomic
def begin(pool: Pool, message: str, deadline: datetime, who: str) -> Begun:
    """Take the pool's free and lent desktops out of the offers, tell people, plan the log-outs.

    Raises IntegrityError where the pool is being drained already. Who holds a desktop keeps it, and can reconnect until
    the deadline; what the plans say of a log-out then follows.
    """
    drain = Drain.objects.create(pool=pool, message=message, deadline=deadline, begun_at=now(), begun_by=who)
    begun = take_out(drain, list(rules.desktops(pool).order_by("pk")))
    audit.record(
        "pool.drain_begun", f"Drain of pool {pool} begun by {who}: {words.count(begun.emptied, 'desktop')} out of "
        f"the offers, {words.count(begun.told, 'session')} told, log-out at {deadline:%Y-%m-%d %H:%M} UTC.",
        subject=pool, pool=pool.name, level="warning",
    )  # fmt: skip
    return begun


def take_out(drain: Drain, here: Sequence[Desktop]) -> Begun:
    """Take these desktops out of the offers, tell whoever is on them, and plan the log-outs."""
    offered = [row.pk for row in here if row.availability == Availability.AVAILABLE]
    drain.emptied = [*drain.emptied, *offered]
    drain.save(update_fields=["emptied"])
    still = Desktop.objects.filter(pk__in=offered, availability=Availability.AVAILABLE)
    still.update(availability=Availability.UNAVAILABLE, unavailable_reason=reason_of(drain))
    live = list(DesktopSession.objects.filter(desktop__in=here, ended_at=None).exclude(user_name=""))
    used = {each.desktop_id for each in live}
    used |= set(Assignment.objects.filter(desktop__in=here, closed_at=None).values_list("desktop_id", flat=True))
    for row in here:
        if row.pk in used:
            plan_log_out(drain, row)
    told = tell(live, drain.message)
    return Begun(len(offered), told, len(live) - told)


def follow() -> None:
    """What has joined a pool since its drain began (new, tagged, back from missing) is drained, too; every minute.

    What somebody made available again by hand stays so.
    """
    for pk in Drain.objects.filter(ended_at=None).values_list("pk", flat=True):
        joined(pk)


@transaction.atomic
def joined(drain_id: int) -> None:
    """The same for one drain, unless it ends just now."""
    drain = (
        Drain.objects.select_for_update(of=("self",)).select_related("pool").filter(pk=drain_id, ended_at=None).first()
    )
    if drain is not None:
        here = rules.desktops(drain.pool).filter(availability=Availability.AVAILABLE).exclude(pk__in=drain.emptied)
        take_out(drain, list(here.order_by("pk")))


def plan_log_out(drain: Drain, desktop: Desktop) -> None:
    """The log-out at the deadline; whoever is on the desktop then is logged out, nobody is no harm."""
    enqueue(
        Wish("logout", ref(desktop), str(desktop), ref(drain.pool), {"reason": f"drain of pool {drain.pool}"},
             max(drain.deadline, now() + WARNED), f"drain:{desktop.pk}", cause=CAUSE)
    )  # fmt: skip


def tell(live: list[DesktopSession], message: str) -> int:
    """Show the message in every session whose agent answers; returns in how many."""
    told = 0
    for session in live:
        agent = facts.reachable(session.desktop)
        if agent is not None:
            command(agent, "message", "a pool is drained", {"session": session.os_session, "text": message})
            told += 1
    return told


@transaction.atomic
def end(drain: Drain, who: str) -> int:
    """Put the desktops back among the offers and call the log-outs off; returns how many desktops came back.

    What somebody made unavailable for another reason meanwhile stays so.
    """
    if not Drain.objects.filter(pk=drain.pk, ended_at=None).update(ended_at=now()):
        return 0
    drain.refresh_from_db(fields=["emptied"])
    out = Desktop.objects.filter(pk__in=drain.emptied, availability=Availability.UNAVAILABLE)
    back = out.filter(unavailable_reason=reason_of(drain)).update(
        availability=Availability.AVAILABLE, unavailable_reason=""
    )
    waiting = Job.objects.filter(context=ref(drain.pool), kind="logout", cause=CAUSE, state=Job.State.PENDING)
    cancel(waiting, "the drain was ended")
    audit.record(
        "pool.drain_ended", f"Drain of pool {drain.pool} ended by {who}: {words.count(back, 'desktop')} offered again.",
        subject=drain.pool, pool=drain.pool.name,
    )  # fmt: skip
    return back
