"""In which order a line offers its desktops (SPEC 1.3, 2c)."""

from typing import Any

from django.db.models import Case, F, IntegerField, Max, OrderBy, OuterRef, QuerySet, Subquery, Value, When
from django.db.models.fields import BigIntegerField, TextField
from django.db.models.functions import Cast, Random, StrIndex, Substr

from broker.connect.askers import Asker
from broker.core.models import Job
from centers.models import Desktop
from policies.models import PoolAssignment
from pools.models import Assignment, Pool

Order = PoolAssignment.Order
CENTERS = 65_537  # a prime above every salt: the products of two centers fall on different places


def about_to_stop() -> QuerySet[Any]:
    """The desktops whose power is about to change: ids out of the jobs' subjects, read once for a whole list."""
    number = Cast(Substr("subject", StrIndex("subject", Value(":")) + 1, output_field=TextField()), BigIntegerField())
    jobs = Job.objects.filter(state=Job.State.PENDING, kind="power", subject__startswith="desktop:").order_by()
    return jobs.annotate(number=number).values("number")


def had_before(asker: Asker) -> QuerySet[Any]:
    """The desktops that the person has had."""
    past = Assignment.objects.filter(user_id=asker.user_id, closed_at__isnull=False).order_by()
    return past.values("desktop_id")


def first(**condition: Any) -> OrderBy:
    """Those for which it holds before the others."""
    return OrderBy(Case(When(**condition, then=Value(0)), default=Value(1), output_field=IntegerField()))


def last(**condition: Any) -> OrderBy:
    """Those for which it holds after the others."""
    return OrderBy(Case(When(**condition, then=Value(1)), default=Value(0), output_field=IntegerField()))


def before_all(desktop_id: int) -> OrderBy:
    """An ordering that puts one desktop before the others."""
    return first(pk=desktop_id)


def ordering(line: PoolAssignment, asker: Asker) -> list[Any]:
    """Those about to be stopped last (RULES 12); then what the line favours, and the pool's spread over its centers.

    An order that compares desktops one by one (oldest first) goes before a spread at random, and after one that asks
    for the least used center.
    """
    order: list[Any] = [last(pk__in=about_to_stop())]
    if line.kiosk:
        order += [latest_use(asker)]
    elif line.offer_order == Order.PREVIOUS and asker.user_id:
        order += [first(pk__in=had_before(asker))]
    if line.offer_order == Order.RUNNING:
        order += [first(power=Desktop.Power.RUNNING)]
    one_by_one: list[Any] = {
        Order.RANDOM: [Random()],
        Order.OLDEST: [F("first_seen_at").asc()],
        Order.LEAST_OFFERED: [F("offered_at").asc(nulls_first=True)],
    }.get(Order(line.offer_order), [])  # type: ignore[assignment]  # expressions of several kinds
    spread = [over_centers(line.pool, asker)]
    order += one_by_one + spread if line.pool.distribute == Pool.Distribute.RANDOM else spread + one_by_one
    return [*order, F("pk").asc()]


def latest_use(asker: Asker) -> OrderBy:
    """Kiosk: a desktop that the person never had comes first, the one that was theirs last comes last."""
    mine = Assignment.objects.filter(desktop=OuterRef("pk"), user_id=asker.user_id, closed_at__isnull=False)
    latest = mine.order_by().values("desktop").annotate(latest=Max("closed_at")).values("latest")
    return OrderBy(Subquery(latest), nulls_first=True)


def over_centers(pool: Pool, asker: Asker) -> OrderBy:
    """The centers in the order that the pool's *Distribute offers over centers* wants."""
    if pool.distribute == Pool.Distribute.RANDOM:  # at random for each person, and the same at every look
        return OrderBy(F("center_id") * asker.salt % CENTERS)
    lent, free = (0, 1)
    least = pool.distribute == Pool.Distribute.LEAST_ASSIGNED
    ranks = {key: counts[lent] if least else -counts[free] for key, counts in asker.centers().items()}
    whens = [When(center_id=key, then=Value(rank)) for key, rank in ranks.items()]
    return OrderBy(Case(*whens, default=Value(0), output_field=IntegerField()))
