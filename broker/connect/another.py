"""Another desktop of the same line in place of one that will not let its user in (RULES 29)."""

from django.db import transaction

from broker.connect import offers, sources
from broker.connect.actions import release
from broker.connect.askers import Asker
from broker.connect.connect import candidates
from broker.connect.happenings import Happening, happened
from broker.connect.launching import finish, set_out
from broker.connect.models import Launch
from broker.connect.steps import LIMITS, Step
from broker.core import audit
from broker.core.clock import now
from plans.engine import Event
from policies.models import PoolAssignment
from pools.models import Assignment
from pools.services import Terms, lend, lock_user


@transaction.atomic
def taken(launch: Launch, why: str) -> bool:
    """Lend the next desktop of the line, let the launch go on there, release the old one; False where none is free.

    Then the launch fails with the reason. It moves or ends first: a release ends the launches of its assignment.
    """
    lock_user(launch.user_id)
    old = Assignment.objects.get(pk=launch.assignment_id)
    policy = old.kind == Assignment.Kind.POLICY and old.closed_at is None
    line = sources.lent_from(old) if policy else None
    refused = [*launch.refused_by, launch.desktop_id]
    new = lent(launch, line, refused) if line else None
    if new is not None:
        moved(launch, new, refused, why)
    else:
        finish(launch, Launch.Step.FAILED, f"{why}, and no other desktop is free. Ask your administrator.")
    if policy:
        release(old.pk, why)
    return new is not None


def lent(launch: Launch, line: PoolAssignment, refused: list[int]) -> Assignment | None:
    """The next candidate that has not refused this user yet."""
    found = candidates(line, Asker.of(launch.user, launch.portal_session), offers.pools_by_id(), without=refused)
    return lend(launch.user, found, Terms(pool=line.pool, line=line.pk, reason="another one refused the user"))


def moved(launch: Launch, new: Assignment, refused: list[int], why: str) -> None:
    """The launch goes on at the new desktop, from the start."""
    moment = now()
    launch.desktop, launch.assignment, launch.refused_by = new.desktop, new, refused
    launch.step, launch.step_at, launch.deadline = Launch.Step.STARTING, moment, moment + LIMITS[Step.STARTING]
    launch.times = {"assigning": launch.started_at.isoformat(), "starting": moment.isoformat()}
    launch.message = f"{why}. {new.desktop} was taken instead."
    launch.save()
    audit.record("conn.moved", launch.message, user=launch.user, desktop=new.desktop, level="warning")
    happened(Happening(new.desktop, Event.ASSIGNED, new.opened_at, new))
    set_out(launch, new.desktop)
