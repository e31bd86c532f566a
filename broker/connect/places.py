"""Places in the queue for a desktop: one for each person and line, first come, first served."""

from collections.abc import Sequence
from datetime import timedelta
from functools import reduce

from django.db import transaction
from django.db.models import Count, IntegerField, OuterRef, Q, QuerySet, Subquery, Value
from django.db.models.functions import Coalesce, Lower

from authservers.models import User
from broker.connect import offers, usual, verdicts
from broker.connect.askers import Asker
from broker.connect.launching import Who
from broker.connect.models import QueuePlace
from broker.core import audit
from broker.core.clock import now
from broker.core.jobs import URGENT, Wish, enqueue
from broker.core.models import Job
from centers.models import Desktop
from policies.models import PoolAssignment

STILL_THERE = timedelta(seconds=90)  # since its page last asked; browsers ask once a minute for a hidden tab
LAPSES = timedelta(minutes=5)  # whose page has not asked for so long has gone
KEY = "queue"
NOTED = timedelta(seconds=10)  # that somebody is still there is written at most this often


def others_wait(line: PoolAssignment, user: User) -> bool:
    """Whether somebody else waits for a desktop of this pool and is still there."""
    waiting = QueuePlace.objects.filter(line__pool=line.pool_id, ended_at=None, seen_at__gt=now() - STILL_THERE)
    return waiting.exclude(user=user).exists()


def that_may_give(lines: Sequence[PoolAssignment], asker: Asker) -> list[PoolAssignment]:
    """Those of the lines whose pool has a desktop that this person might be given, once it is free; one statement."""
    pools = offers.pools_by_id()
    parts = [
        offers.in_pool(line, pools)
        .filter(availability=Desktop.Availability.AVAILABLE)
        .annotate(bound_lower=Lower("bound_user"), line=Value(line.pk, IntegerField()))
        .exclude(verdicts.bound_to_other(asker))
        .order_by()
        .values_list("line")[:1]
        for line in lines
    ]
    found = reduce(lambda one, other: one.union(other, all=True), parts[1:], parts[0]) if parts else []
    some = {pk for (pk,) in found}
    return [line for line in lines if line.pk in some]


def taken(who: Who, line: PoolAssignment, held: int) -> QueuePlace:
    """The user's place in the line's queue, an old one or a new one; and a job that looks until all are served."""
    moment = now()
    about = {"portal_session": who.portal, "client_ip": who.client_ip, "held": held, "seen_at": moment}
    fresh = {**about, "since": moment, "usual": usual.for_queue(line)}
    place, new = QueuePlace.objects.get_or_create(user=who.user, line=line, ended_at=None, defaults=fresh)
    if new:
        audit.record("conn.queued", f"{who.user} waits for a desktop of pool {line.pool}.", user=who.user)
    else:
        QueuePlace.objects.filter(pk=place.pk).update(**about)
    transaction.on_commit(look)
    return place


def look() -> None:
    """See that a job looks for what the waiting can have, until nobody waits.

    After the commit that took the place, so that a storm of people does not stand in line at the job's row; a look
    that is still to come sees the place. Where a process died in between, housekeeping asks again.
    """
    if not Job.objects.filter(key=KEY, state=Job.State.PENDING).exists():
        enqueue(Wish("pool_stats", "queue:", "the queue for desktops", key=KEY, cause="connect", priority=URGENT))


def keep_looking() -> None:
    """For as long as anybody waits there is a job that looks."""
    if QueuePlace.objects.filter(ended_at=None).exists():
        look()


def with_number(found: QuerySet[QueuePlace]) -> QuerySet[QueuePlace]:
    """The places with `ahead`: how many came earlier for a desktop of the same pool and still wait."""
    earlier = Q(since__lt=OuterRef("since")) | Q(since=OuterRef("since"), pk__lt=OuterRef("pk"))
    before = QueuePlace.objects.filter(earlier, ended_at=None, line__pool=OuterRef("line__pool")).order_by()
    counted = before.values("line__pool").annotate(number=Count("pk")).values("number")
    return found.annotate(ahead=Coalesce(Subquery(counted), 0))


def number(place: QueuePlace) -> int:
    """Its place, from 1, of a row that was read with its number."""
    ahead: int = place.ahead  # type: ignore[attr-defined]
    return ahead + 1


def seen(place: QueuePlace) -> None:
    """Its page has asked: the person is still there."""
    if place.ended_at is None and now() - place.seen_at >= NOTED:
        QueuePlace.objects.filter(pk=place.pk, ended_at=None).update(seen_at=now())


def ended(place: QueuePlace, reason: str) -> bool:
    """Give up a place that is still open; `reason` is for the person and the log."""
    moment = now()
    open_one = QueuePlace.objects.filter(pk=place.pk, ended_at=None)
    if not open_one.update(ended_at=moment, end_reason=reason[:200]):
        return False
    place.ended_at, place.end_reason = moment, reason[:200]
    audit.record("conn.unqueued", f"{place.user} no longer waits: {reason}", user=place.user)
    return True
