"""The queue for desktops: while anybody waits, one job looks every second who can have what has become free.

A desktop may become free in many ways (released, started, made available, new): asking the offers again finds them
all. First come, first served, over all lines; who is not there is passed over, and after a while has given up.
"""

from collections import Counter

from django.db import transaction

from broker.connect import places
from broker.connect.connect import NotOffered, begun, lent, standing
from broker.connect.launching import Who, set_out
from broker.connect.models import Launch, QueuePlace
from broker.connect.offers import in_pool, pools_by_id
from broker.core import audit
from broker.core.clock import now
from broker.core.jobs import A_MOMENT, Done, Kind, Later, Result
from broker.core.models import Job
from broker.core.words import count
from centers.models import Desktop
from policies.models import PoolAssignment
from pools.models import Assignment
from pools.services import lock_user

TRIED = 20  # of a line's people: some desktops are only for some of them (bound ones, those with their session)
GONE = "You were away: your place in the queue was given up."
NO_LINE = "Your policy no longer offers this pool."
SIGNED_OUT = "You have signed out."


def run(job: Job) -> Result:
    """One look at the queue."""
    away = QueuePlace.objects.filter(ended_at=None, seen_at__lte=now() - places.LAPSES)
    for place in away.select_related("user"):
        places.ended(place, GONE)
    served = serve()
    left = QueuePlace.objects.filter(ended_at=None).count()
    if left:
        return Later(f"{count(left, 'person waits', 'people wait')} for a desktop.", now() + A_MOMENT)
    return Done(f"Nobody waits any more; {served} were served last.")


def serve() -> int:
    """Lend what is free to those who wait, in order; returns how many were served."""
    waiting = QueuePlace.objects.filter(ended_at=None, seen_at__gt=now() - places.STILL_THERE)
    count_served, missed = 0, Counter[int]()
    for place in list(waiting.select_related("line").order_by("since", "pk")):
        if missed[place.line_id] >= TRIED:
            continue
        if given(place.pk):
            count_served += 1
        else:
            missed[place.line_id] += 1 if something_free(place.line) else TRIED
    return count_served


def something_free(line: PoolAssignment) -> bool:
    """Whether any desktop of the line is nobody's, be it only for some."""
    return in_pool(line, pools_by_id()).filter(lent=False, availability=Desktop.Availability.AVAILABLE).exists()


@transaction.atomic
def given(place_id: int) -> bool:
    """Lend a desktop to one who waits, and begin the launch; False where there is none for this person."""
    found = QueuePlace.objects.filter(pk=place_id, ended_at=None)
    user_id = found.values_list("user", flat=True).first()
    if user_id is None:
        return False
    lock_user(user_id)
    about = ("user__server", "line__pool", "line__policy", "portal_session__policy", "portal_session__client")
    place = found.select_related(*about).first()
    if place is None:
        return False
    refusal = pointless(place)
    if refusal:
        places.ended(place, refusal)
        return False
    try:
        return served(place)
    except NotOffered as refused:
        places.ended(place, str(refused))
        return False


def pointless(place: QueuePlace) -> str:
    """Why nobody waits there any more, or ""."""
    portal = place.portal_session
    if portal is None or portal.closed_at is not None or portal.expires_at <= now():
        return SIGNED_OUT
    return "" if portal.policy_id == place.line.policy_id else NO_LINE


def served(place: QueuePlace) -> bool:
    """Under the user's lock: what the click would do now; raises NotOffered."""
    assert place.portal_session and place.portal_session.policy  # noqa: S101 - pointless() saw to it
    who = Who(place.user, place.portal_session.policy, place.portal_session, place.client_ip)
    pools = pools_by_id()
    assignment = standing(who, place.line, pools, place.held) or lent(who, place.line, pools)
    if assignment is None:
        return False
    launch = begun(who, assignment)
    if launch.step == Launch.Step.OPENING:  # no web request is there to prove it
        set_out(launch, assignment.desktop)
    end(place, assignment, launch)
    return True


def end(place: QueuePlace, assignment: Assignment, launch: Launch) -> None:
    """The wait is over; its page goes on to the launch."""
    QueuePlace.objects.filter(pk=place.pk).update(ended_at=now(), end_reason="served", launch=launch)
    waited = round((now() - place.since).total_seconds())
    message = f"{place.user} gets {assignment.desktop} after {count(waited, 'second')} in the queue."
    audit.record("conn.served", message, user=place.user, desktop=assignment.desktop)


KIND = Kind(run=run)
