"""People who log in to a desktop past the broker (SPEC 2.1.2, 3.5.5; RULES 6, 15): their center ignores them, gives
them the desktop, or warns them and logs them out."""

from datetime import timedelta
from fnmatch import fnmatchcase

from django.db import transaction

from agents.protocol import Said, Who
from broker.connect import plans_in_force
from broker.connect.happenings import Happening, call_off, epoch_of, happened, planned, schedule
from broker.connect.models import DesktopSession
from broker.core import audit
from broker.core.clock import now
from broker.core.jobs import Done, Moot, Result, Wish, enqueue
from broker.core.models import Job, ref
from centers.models import Center, Desktop
from plans.engine import Action, Due, Event, Notice
from pools.models import Assignment
from pools.services import Terms, lend_this

Rogue = Center.Rogue


def ignored(center: Center, said: Said, who: Who) -> bool:
    """Whether the center wants to know nothing of this account: a service's, or one of the machine itself."""
    names = {said.user.casefold(), said.user.rpartition("\\")[2].casefold()}
    patterns = [line.strip().casefold() for line in center.rogue_ignored.splitlines() if line.strip()]
    listed = any(fnmatchcase(name, pattern) for name in names for pattern in patterns)
    return listed or (center.rogue_ignores_local and who is Who.LOCAL)


def anybody_counts(assignment: Assignment) -> bool:
    """Whether whoever logs in to an assigned desktop counts as its user: by its pool, or by the hard section."""
    in_force = plans_in_force.for_assignment(assignment)
    if assignment.kind == Assignment.Kind.HARD:
        return bool(in_force.policy and in_force.policy.hard_never_rogue)
    return bool(in_force.line and in_force.line.pool.never_rogue)


def react(desktop: Desktop, row: DesktopSession, event: Event) -> None:
    """What the center wants done about a rogue who comes or goes; called under the desktop's lock."""
    if event is Event.LOGGED_OUT:
        for job in planned(desktop).filter(payload__session=row.pk):
            call_off(job, f"{row.user_name} logged out", desktop)
    if event is not Event.CONNECTED or desktop.plans_off or desktop.center.observe_only:
        return
    if desktop.center.rogue == Rogue.PREVENT:
        send_away(desktop, row)
    elif desktop.center.rogue == Rogue.ASSIGN and row.user_id:
        # Not here: who lends locks the user before the desktop.
        payload = {"session": row.pk}
        enqueue(Wish("assign", ref(desktop), str(desktop), payload=payload, key=f"assign:{row.pk}", cause=Event.ROGUE))


def send_away(desktop: Desktop, row: DesktopSession) -> None:
    """Plan the log-out, warned of by the center's text: a job that can be seen and cancelled."""
    center = desktop.center
    wait, moment = timedelta(seconds=center.rogue_wait), now()
    notice = Notice(wait, center.rogue_text) if wait else None
    due = Due(Action.LOG_OUT, moment + wait, Event.ROGUE, moment, f"of center {center}", notice=notice)
    schedule(due, Happening(desktop, Event.ROGUE, moment), epoch_of(desktop), row)


def assign(job: Job) -> Result:
    """Give the desktop to the rogue who sits on it, under the plans of the rogue section."""
    found = DesktopSession.objects.select_related("user", "desktop__center")
    row = found.filter(pk=job.payload["session"], ended_at=None, rogue=True).first()
    if row is None or row.user is None:
        return Moot("That session is no rogue's any more.")
    given = given_to(row)
    return Done(f"Assigned to {row.user}.") if given else Moot("It is assigned to somebody else.")


@transaction.atomic
def given_to(row: DesktopSession) -> bool:
    """Lend it, and let the plans begin."""
    why = f"logged in past the broker, and center {row.desktop.center} assigns rogue users"
    user, desktop = row.user, row.desktop
    held = lend_this(user, desktop, Terms(origin=plans_in_force.ROGUE, reason=why)) if user else None
    if held is None:
        return False
    DesktopSession.objects.filter(pk=row.pk).update(assignment=held, rogue=False)
    Assignment.objects.filter(pk=held.pk, used_at=None).update(used_at=row.started_at)
    happened(Happening(held.desktop, Event.ASSIGNED, held.opened_at, held))
    happened(Happening(held.desktop, Event.CONNECTED, now(), held))
    return True


def detected(row: DesktopSession, desktop: Desktop) -> None:
    """In the log."""
    said = f"{row.user_name} logged in to {desktop} without an assignment."
    audit.record("rogue.detected", said, user=row.user, desktop=desktop, level="warning")
