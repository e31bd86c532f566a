"""You take one: from the click to an assignment and a launch (SPEC 1.4). One transaction, no network.

What must happen afterwards (start, wait, probe) is one `wait_for_start` job that walks the launch through its steps.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from django.db import transaction
from django.db.models import QuerySet

from authservers.models import User
from broker.connect import elsewhere, offers, places, strangers
from broker.connect.askers import Asker
from broker.connect.happenings import Happening, call_off, happened, planned
from broker.connect.launching import Start, Who, confirms, launched, starts
from broker.connect.models import Launch, QueuePlace
from broker.connect.plans_in_force import line_of
from broker.connect.reach import withheld
from centers.models import Desktop
from plans.engine import POWER, Due, Event
from policies.models import PoolAssignment
from pools.models import Assignment, Pool
from pools.services import Terms, lend, lock_user, open_of

NOT_STARTED = "This desktop is stopped, and your policy does not start it. Ask your administrator."
OCCUPIED = "Somebody else is logged in to this desktop just now. Try again later, or ask your administrator."
Power = Desktop.Power


class NotOffered(Exception):
    """The desktop cannot be had; the message is for the person who clicked."""


class Elsewhere(Exception):
    """The person is connected to it from another device: asked first whether to take over."""


@dataclass(frozen=True, slots=True)
class Click:
    """What a card's button says: this desktop, or "one from this line", and how many I had when I saw the card.

    `desktop_id` is 0 where the line has nothing to show; `take_over` is the answer to `Elsewhere`; `protocol` is one
    that the person chose, "" for the plan's first.
    """

    desktop_id: int
    line_id: int | None = None
    held: int = 0
    take_over: bool = False
    protocol: str = ""


@transaction.atomic
def connect(who: Who, click: Click) -> Launch | QueuePlace:
    """Assign (unless it is the user's already), cancel what would stop it, and begin a launch; raises NotOffered.

    Where the line has nothing free, a place in its queue. Raises Elsewhere where a take-over is to be asked for.
    """
    assignment = own(who.user, click.desktop_id) or taken(who, click)
    if isinstance(assignment, QueuePlace):
        return assignment
    return begun(who, assignment, take_over=click.take_over, protocol=click.protocol)


def begun(who: Who, assignment: Assignment, *, take_over: bool = True, protocol: str = "") -> Launch:
    """A launch of an assigned desktop, whose lock is taken here; raises NotOffered and Elsewhere."""
    locked = Desktop.objects.select_for_update(of=("self",), no_key=True).select_related("center")
    desktop = locked.get(pk=assignment.desktop_id)
    if not open_of(who.user).filter(pk=assignment.pk).exists():  # a release may have had the lock before us
        raise NotOffered("This desktop has just been released. Choose again.")
    line = line_of(who.policy, desktop, hard=assignment.kind == Assignment.Kind.HARD)
    if not confirms(line):
        refuse(Start(who, assignment, desktop, line))
    if not strangers.leave(line) and strangers.others(desktop, who.user):
        raise NotOffered(OCCUPIED)
    if not take_over and elsewhere.session(who, desktop):
        raise Elsewhere
    spared(desktop, f"{who.user} connects")
    return launched(Start(who, assignment, desktop, line, protocol))


def spared(desktop: Desktop, why: str) -> None:
    """Call off what plans would do to its power. Under the desktop's lock."""
    for job in planned(desktop):
        if Due.from_json(job.payload["due"]).do in POWER:
            call_off(job, why, desktop)


def own(user: User, desktop_id: int) -> Assignment | None:
    """The user's open assignment of this desktop, or None."""
    return open_of(user).filter(desktop_id=desktop_id).first()


def taken(who: Who, click: Click) -> Assignment | QueuePlace:
    """Lend a desktop of the line, the clicked one first, or give a place in its queue; raises NotOffered.

    Two clicks on one card are one wish: under the user's lock the second finds more desktops held than the card said,
    and gets the newest of them. Who comes while others wait goes to the end of the queue.
    """
    line = offers.source(who.policy, click.line_id)
    if line is None or not offers.is_for(line, Asker.of(who.user, who.portal)):
        raise NotOffered("This desktop is no longer offered to you. Choose another one.")
    pools = offers.pools_by_id()
    lock_user(who.user.pk)
    held = standing(who, line, pools, click.held)
    if held is not None:
        return held
    if not places.others_wait(line, who.user):
        assignment = lent(who, line, pools, click.desktop_id)
        if assignment is not None:
            return assignment
    if line.is_backup:
        raise NotOffered("Somebody else was faster. Choose again.")
    if not places.that_may_give([line], Asker.of(who.user, who.portal)):
        raise NotOffered("This pool has no desktop for you just now. Ask your administrator.")
    return places.taken(who, line, click.held)


def lent(who: Who, line: PoolAssignment, pools: dict[int, Pool], desktop_id: int = 0) -> Assignment | None:
    """Lend the best free desktop of the line, that one before all others; None where none is free."""
    terms = Terms(pool=line.pool, line=line.pk or None, reason=f"policy {who.policy}")
    assignment = lend(who.user, candidates(line, Asker.of(who.user, who.portal), pools, desktop_id), terms)
    if assignment is not None:
        happened(Happening(assignment.desktop, Event.ASSIGNED, assignment.opened_at, assignment))
    return assignment


def candidates(
    line: PoolAssignment, asker: Asker, pools: dict[int, Pool], desktop_id: int = 0, without: Sequence[int] = ()
) -> Callable[[], QuerySet[Desktop]]:
    """The line's free desktops in order, the one on the card before all others."""

    def found() -> QuerySet[Desktop]:
        free = offers.free(line, asker, pools).exclude(pk__in=without)
        return free.order_by(offers.before_all(desktop_id), *offers.ordering(line, asker))

    return found


def standing(who: Who, line: PoolAssignment, pools: dict[int, Pool], had: int) -> Assignment | None:
    """Asked under the user's lock: the assignment that answers this click already, or None; raises NotOffered."""
    everything = open_of(who.user)
    mine = everything.filter(desktop__in=offers.in_pool(line, pools).values("pk")).order_by("-opened_at")
    held = list(mine)
    if len(held) > had or (held and len(held) >= offers.wanted(line)):
        return held[0]
    if 0 <= who.policy.max_desktops <= everything.count():
        raise NotOffered("You have as many desktops as your policy allows. Release one first.")
    return None


def refuse(start: Start) -> None:
    """Refuse what the last look at AWS rules out, and what the hard section withholds; raises NotOffered."""
    refuse_broken(start.desktop)
    if kept := withheld(start.who.policy, start.assignment):
        raise NotOffered(kept)
    off = start.desktop.power in {Power.STOPPED, Power.STOPPING}
    if off and not starts(start.who.policy, start.assignment, start.line):
        raise NotOffered(NOT_STARTED)


def refuse_broken(desktop: Desktop) -> None:
    """A machine in error or maintenance cannot be connected to; its user is told why (SPEC 13.3)."""
    if desktop.availability == Desktop.Availability.MISSING:
        raise NotOffered("AWS no longer lists this desktop. Your administrator is informed by the log.")
    if desktop.power in {Power.MAINTENANCE, Power.SUSPENDED}:
        raise NotOffered("This desktop is in maintenance just now. Try again later.")
    if desktop.power in {Power.ERROR, Power.DELETING}:
        raise NotOffered(f"This desktop has a problem: {desktop.error_message or 'AWS reports an error'}")
