"""What may you have, and why (SPEC 1.3). The same candidates serve the portal, lending and Test Login.

Pools compile to querysets and the lines of a policy to one UNION ALL, so that 50 pools cost what one costs.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

from django.db.models import Case, Exists, F, OrderBy, OuterRef, QuerySet, Value, When, Window
from django.db.models.fields import BooleanField, CharField, IntegerField
from django.db.models.functions import Cast, Concat, Random, RowNumber

from authservers.models import User
from broker.connect import verdicts
from broker.connect.verdicts import Asker
from broker.core.models import Job
from centers.models import Desktop
from policies.models import Policy, PoolAssignment
from pools import rules
from pools.models import Assignment, Pool
from pools.services import open_of

ALL_OF_THEM = 1000


@dataclass(frozen=True, slots=True)
class Offer:
    """One card: a desktop that is the user's already, or one that the next Connect on this line would give."""

    desktop: Desktop
    name: str
    assignment: Assignment | None = None
    line: PoolAssignment | None = None

    @property
    def assigned(self) -> bool:
        """Whether it is the user's already: then the button says Reconnect (seed ch. 7)."""
        return self.assignment is not None


@dataclass(frozen=True, slots=True)
class Offers:
    """The offer list, and the lines that had nothing to give."""

    offers: list[Offer]
    empty: list[PoolAssignment]
    held: dict[int, int]  # line -> how many of the user's desktops lie in its pool

    def of(self, desktop_id: int) -> Offer | None:
        """The card of a desktop, or None where it is not offered."""
        return next((offer for offer in self.offers if offer.desktop.pk == desktop_id), None)


@dataclass(frozen=True, slots=True)
class Row:
    """What the union says of one desktop in one line."""

    desktop_id: int
    line: int
    mine: bool
    place: int


def lines_of(policy: Policy) -> list[PoolAssignment]:
    """The lines of a policy in order, with pool and plans."""
    plans = ("pool", "protocol_plan", "power_plan", "release_plan")
    return list(PoolAssignment.objects.filter(policy=policy).select_related(*plans).order_by("order", "pk"))


def pools_by_id() -> dict[int, Pool]:
    """Every pool: what a line's pool may be a subset of."""
    return {pool.pk: pool for pool in Pool.objects.all()}


def ordering(line: PoolAssignment, asker: Asker) -> list[Any]:
    """In which order a line offers its desktops; those that are about to be stopped come last (RULES 12)."""
    stopping = Job.objects.filter(
        subject=Concat(Value("desktop:"), Cast(OuterRef("pk"), CharField())), state=Job.State.PENDING, kind="power"
    )
    before = Assignment.objects.filter(desktop=OuterRef("pk"), user_id=asker.user_id, closed_at__isnull=False)
    first: list[Any] = [Exists(stopping).asc()]
    match line.offer_order:
        case PoolAssignment.Order.RANDOM:
            first.append(Random())
        case PoolAssignment.Order.PREVIOUS:
            first.append(Exists(before).desc())
        case PoolAssignment.Order.OLDEST:
            first.append(F("first_seen_at").asc())
        case PoolAssignment.Order.LEAST_OFFERED:
            first.append(F("offered_at").asc(nulls_first=True))
        case PoolAssignment.Order.RUNNING:
            first.append(OrderBy(Case(When(power=Desktop.Power.RUNNING, then=Value(0)), default=Value(1))))
    if line.kiosk:
        first.insert(1, Exists(before).asc())
    return [*first, F("pk").asc()]


def before_all(desktop_id: int) -> OrderBy:
    """An ordering that puts one desktop before the others."""
    return OrderBy(Case(When(pk=desktop_id, then=Value(0)), default=Value(1)))


def in_pool(line: PoolAssignment, pools: Mapping[int, Pool]) -> QuerySet[Desktop]:
    """The line's pool as a queryset."""
    return rules.desktops(pools[line.pool_id], pools)


def free(line: PoolAssignment, asker: Asker, pools: Mapping[int, Pool]) -> QuerySet[Desktop]:
    """The desktops that the line would give to this person now, best first."""
    candidates = in_pool(line, pools).filter(lent=False, availability=Desktop.Availability.AVAILABLE)
    judged = verdicts.judged(candidates, line, asker).filter(verdict=verdicts.OFFERED)
    return judged.order_by(*ordering(line, asker))


def wanted(line: PoolAssignment) -> int:
    """How many desktops a line gives at most."""
    return line.quantity or ALL_OF_THEM


def union(lines: Sequence[PoolAssignment], asker: Asker, pools: Mapping[int, Pool], mine: Sequence[int]) -> list[Row]:
    """The best desktops of every line, and which of the user's own lie in its pool: one statement."""
    parts: list[QuerySet[Any]] = []
    before = 0
    for line in lines:
        before += wanted(line)
        limit = min(before, ALL_OF_THEM)  # an earlier line may take as many of these away
        place = Window(RowNumber(), order_by=ordering(line, asker))
        best = free(line, asker, pools).annotate(place=place).order_by("place")[:limit]
        parts.append(columns(best, line, own=False))
        if mine:
            own = in_pool(line, pools).filter(pk__in=mine).annotate(place=Value(0, IntegerField()))
            parts.append(columns(own, line, own=True))
    if not parts:
        return []
    joined = reduce(lambda one, other: one.union(other, all=True), parts[1:], parts[0])
    rows = [Row(*row) for row in joined]
    return sorted(rows, key=lambda row: row.place)


def columns(found: QuerySet[Desktop], line: PoolAssignment, *, own: bool) -> QuerySet[Any]:
    """A part of the union."""
    marked = found.annotate(line=Value(line.pk, IntegerField()), mine=Value(own, BooleanField()))
    return marked.values_list("pk", "line", "mine", "place")


def build(user: User, policy: Policy) -> Offers:
    """The offer list of a person under a policy."""
    lines = lines_of(policy)
    assignments = list(open_of(user)) if user.pk else []
    own = {each.desktop_id: each for each in assignments}
    rows = union(lines, Asker.of(user), pools_by_id(), list(own))
    held = {line.pk: sum(row.mine and row.line == line.pk for row in rows) for line in lines}
    chosen = choose(lines, rows, held, room(policy, len(own)))
    desktops = {
        each.pk: each
        for each in Desktop.objects.filter(pk__in=[pk for pk, _ in chosen]).select_related("center", "image", "agent")
    }
    offers = [assigned_offer(each, policy, line_for(each, lines, rows)) for each in assignments]
    offers += [Offer(desktops[pk], shown_name(desktops[pk], line), None, line) for pk, line in chosen if pk in desktops]
    given = {line.pk for _, line in chosen}
    empty = [line for line in lines if line.pk not in given and not held[line.pk]]
    return Offers(offers, empty, held)


def room(policy: Policy, held: int) -> int:
    """How many more desktops the policy's maximum allows."""
    return ALL_OF_THEM if policy.max_desktops < 0 else max(0, policy.max_desktops - held)


def choose(
    lines: Sequence[PoolAssignment], rows: Sequence[Row], held: Mapping[int, int], left: int
) -> list[tuple[int, PoolAssignment]]:
    """Which free desktop each line offers: what the user holds of its pool counts, and no desktop comes twice."""
    taken: set[int] = set()
    chosen: list[tuple[int, PoolAssignment]] = []
    for line in lines:
        quantity = min(wanted(line) - held[line.pk], left)
        for row in rows:
            if quantity <= 0:
                break
            if row.line == line.pk and not row.mine and row.desktop_id not in taken:
                taken.add(row.desktop_id)
                chosen.append((row.desktop_id, line))
                quantity, left = quantity - 1, left - 1
    return chosen


def line_for(assignment: Assignment, lines: Sequence[PoolAssignment], rows: Sequence[Row]) -> PoolAssignment | None:
    """The first line whose pool holds an assigned desktop (RULES 11), or None."""
    holding = {row.line for row in rows if row.mine and row.desktop_id == assignment.desktop_id}
    return next((line for line in lines if line.pk in holding), None)


def assigned_offer(assignment: Assignment, policy: Policy, line: PoolAssignment | None) -> Offer:
    """The card of a desktop that is the user's already; it is always offered, wherever they sign in."""
    desktop = assignment.desktop
    if assignment.kind == Assignment.Kind.HARD:
        return Offer(desktop, shown(desktop, policy.hard_display, None), assignment, line)
    return Offer(desktop, shown_name(desktop, line), assignment, line)


def shown_name(desktop: Desktop, line: PoolAssignment | None) -> str:
    """What the user sees as the desktop's name."""
    return shown(desktop, line.display, line.pool) if line else desktop.display_name or desktop.name


def shown(desktop: Desktop, display: int, pool: Pool | None) -> str:
    """The display modes of SPEC 3.5.2."""
    mode = PoolAssignment.Display
    own = {
        mode.NAME: desktop.name,
        mode.DISPLAY_NAME: desktop.display_name or desktop.name,
        mode.MACHINE_NAME: desktop.computer_name or desktop.name,
    }
    if display in own or pool is None:
        return own.get(mode(display), desktop.display_name or desktop.name)
    group = (
        pool.name
        if display in {mode.POOL, mode.POOL_NAME, mode.POOL_DISPLAY_NAME, mode.POOL_MACHINE}
        else pool.display_name
    )
    group = group or pool.name
    part = {
        mode.POOL_NAME: own[mode.NAME],
        mode.SHOWN_POOL_NAME: own[mode.NAME],
        mode.POOL_DISPLAY_NAME: own[mode.DISPLAY_NAME],
        mode.SHOWN_POOL_DISPLAY_NAME: own[mode.DISPLAY_NAME],
        mode.POOL_MACHINE: own[mode.MACHINE_NAME],
        mode.SHOWN_POOL_MACHINE: own[mode.MACHINE_NAME],
    }.get(mode(display), "")
    return f"{group}: {part}" if part else group
