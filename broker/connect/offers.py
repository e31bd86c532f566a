"""What may you have, and why (SPEC 1.3). The same candidates serve the portal, lending and Test Login.

Pools compile to querysets and the lines of a policy to one UNION ALL, so that 50 pools cost what one costs.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from authservers.models import User
from broker.connect import candidates
from broker.connect.askers import Asker
from broker.connect.candidates import ALL_OF_THEM, Row, free, wanted
from broker.connect.display import shown, shown_name
from broker.connect.models import PortalSession
from broker.connect.ordering import before_all, ordering
from broker.connect.reach import not_started, starts, unreachable, withheld
from broker.connect.sources import hard_line, hard_spare, in_pool, lines_of, pools_by_id, source, with_backups
from centers.models import Desktop
from policies.models import Policy, PoolAssignment
from policies.offer_filters import refusal
from pools.models import Assignment
from pools.services import open_of

__all__ = [
    "ALL_OF_THEM", "Offer", "Offers", "before_all", "build", "free", "in_pool", "is_for", "lines_of", "ordering",
    "pools_by_id", "room", "shown", "shown_name", "source", "wanted",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Offer:
    """One card: a desktop that is the user's already, or one that the next Connect on this line would give.

    `line` may be the copy of a line that offers its backup pool; `withheld` says why there is no Connect just now,
    `starts` whether Connect would do where the desktop is off.
    """

    desktop: Desktop
    name: str
    assignment: Assignment | None = None
    line: PoolAssignment | None = None
    withheld: str = ""
    starts: bool = True

    @property
    def assigned(self) -> bool:
        """Whether it is the user's already: then the button says Reconnect (seed ch. 7)."""
        return self.assignment is not None


@dataclass(frozen=True, slots=True)
class Offers:
    """The offer list, and the lines that had nothing to give."""

    offers: list[Offer]
    empty: list[PoolAssignment]
    held: dict[int, int]  # line, or its backup pool (`slot`) -> how many of the user's desktops lie in its pool

    def of(self, desktop_id: int) -> Offer | None:
        """The card of a desktop, or None where it is not offered."""
        return next((offer for offer in self.offers if offer.desktop.pk == desktop_id), None)


@dataclass(frozen=True, slots=True)
class Hers:
    """What is the user's already, and which of it cannot be reached by what each line asks."""

    assignments: Sequence[Assignment]
    asker: Asker
    policy: Policy

    def failing(self, line: PoolAssignment, ids: set[int]) -> int:
        """How many of these desktops cannot be reached, so that the line's backup pool stands in for them."""
        silent, closed = line.backup_if_silent, line.backup_if_closed
        kind = Assignment.Kind.POLICY
        return self.count(ids, kind, silent=silent, closed=closed) if line.backup_pool_id else 0

    def failing_hard(self) -> int:
        """The same for the hard-assigned ones."""
        policy = self.policy
        if policy.hard_backup_pool_id is None:
            return 0
        every = {each.desktop_id for each in self.assignments}
        silent, closed = policy.hard_backup_if_silent, policy.hard_backup_if_closed
        return self.count(every, Assignment.Kind.HARD, silent=silent, closed=closed)

    def count(self, ids: set[int], kind: str, *, silent: bool, closed: bool) -> int:
        """How many of one kind cannot be reached."""
        return sum(
            each.kind == kind and each.desktop_id in ids
            and unreachable(each.desktop, self.asker.moment, silent=silent, closed=closed)
            for each in self.assignments
        )  # fmt: skip


def build(
    user: User, policy: Policy, portal: PortalSession | None = None, client: Mapping[str, str] | None = None
) -> Offers:
    """The offer list of a person under a policy, at the client of a portal session or at the one described."""
    lines = lines_of(policy)
    asker = Asker.of(user, portal, client)
    assignments = list(open_of(user)) if user.pk else []
    hers = Hers(assignments, asker, policy)
    spare = hard_spare(policy) if hers.failing_hard() else None
    every = with_backups(lines) + ([spare] if spare else [])
    own = [each.desktop_id for each in assignments]
    rows = candidates.rows(every, asker, pools_by_id(), own)
    held = {line.slot: sum(row.mine and row.slot == line.slot for row in rows) for line in every}
    chosen = choose(Choosing(every, rows, held, hers), room(policy, len(own)))
    desktops = with_all([pk for pk, _ in chosen])
    offers = [assigned_offer(each, policy, line_for(each, every, rows)) for each in assignments]
    offers += [free_offer(desktops[pk], line) for pk, line in chosen if pk in desktops]
    given = {abs(line.slot) for _, line in chosen}
    empty = [line for line in lines if line.pk not in given and not held[line.pk] and not held.get(-line.pk)]
    empty = [line for line in empty if is_for(line, asker)]
    return Offers(offers, empty, held)


def is_for(line: PoolAssignment, asker: Asker) -> bool:
    """Whether a line offers anything to this person at this hour."""
    return refusal(line.offer_filter, asker.person, asker.moment) is None


def with_all(ids: Sequence[int]) -> dict[int, Desktop]:
    """The desktops of the new cards, with what a card shows."""
    found = Desktop.objects.filter(pk__in=ids).select_related("center", "image", "agent") if ids else ()
    return {each.pk: each for each in found}


def room(policy: Policy, held: int) -> int:
    """How many more desktops the policy's maximum allows."""
    return ALL_OF_THEM if policy.max_desktops < 0 else max(0, policy.max_desktops - held)


Chosen = list[tuple[int, PoolAssignment]]


@dataclass(slots=True)
class Choosing:
    """Which free desktop each line offers: what the user holds of its pool counts, and no desktop comes twice."""

    lines: Sequence[PoolAssignment]
    rows: Sequence[Row]
    held: Mapping[int, int]
    hers: Hers
    taken: set[int] = field(default_factory=set)

    def take(self, slot: int, count: int, *, failing: bool | None = None) -> list[int]:
        """The best free desktops of a source that nobody took before."""
        there = (row for row in self.rows if row.slot == slot and not row.mine and row.desktop_id not in self.taken)
        found = [row.desktop_id for row in there if failing is None or row.failing is failing][: max(0, count)]
        self.taken.update(found)
        return found

    def own(self, slot: int) -> set[int]:
        """The user's desktops that lie in a source's pool."""
        return {row.desktop_id for row in self.rows if row.slot == slot and row.mine}

    def of(self, line: PoolAssignment, spare: PoolAssignment | None, left: int) -> Chosen:
        """What a line offers; its backup pool stands in for what cannot be reached, and where the pool has nothing."""
        held, held_spare = self.held[line.slot], self.held.get(-line.slot, 0)
        count = min(wanted(line) - held - held_spare, left)
        good = self.take(line.slot, count, failing=False)
        found: Chosen = [(pk, line) for pk in good]
        missing = count - len(good)
        if spare is not None:
            bad = sum(row.slot == line.slot and not row.mine and row.failing for row in self.rows)
            nothing = not good and not held and not bad and line.backup_if_empty
            stands_in = self.take(spare.slot, missing if nothing else min(missing, bad))
            missing = max(0, missing) - len(stands_in)
            silent = self.hers.failing(line, self.own(line.slot)) - held_spare
            stands_in += self.take(spare.slot, min(silent, left - len(good) - len(stands_in)))
            found += [(pk, spare) for pk in stands_in]
        return found + [(pk, line) for pk in self.take(line.slot, missing)]


def choose(choosing: Choosing, left: int) -> Chosen:
    """All lines in order, within the policy's maximum."""
    chosen: Chosen = []
    spares = {each.slot: each for each in choosing.lines if each.is_backup}
    for line in choosing.lines:
        if not line.is_backup:
            chosen += choosing.of(line, spares.get(-line.slot), left - len(chosen))
    if 0 in spares:
        missing = choosing.hers.failing_hard() - choosing.held[0]
        chosen += [(pk, spares[0]) for pk in choosing.take(0, min(missing, left - len(chosen)))]
    return chosen


def line_for(assignment: Assignment, lines: Sequence[PoolAssignment], rows: Sequence[Row]) -> PoolAssignment | None:
    """The first line whose pool holds an assigned desktop (RULES 11), else the first backup pool, or None."""
    holding = {row.slot for row in rows if row.mine and row.desktop_id == assignment.desktop_id}
    return next((line for line in lines if line.slot in holding), None)


def free_offer(desktop: Desktop, line: PoolAssignment) -> Offer:
    """The card of a desktop that is nobody's."""
    return Offer(desktop, shown_name(desktop, line), None, line, not_started(desktop, line), starts(line))


def assigned_offer(assignment: Assignment, policy: Policy, line: PoolAssignment | None) -> Offer:
    """The card of a desktop that is the user's already; it is always shown, wherever they sign in."""
    desktop = assignment.desktop
    if assignment.kind == Assignment.Kind.HARD:
        name = shown(desktop, policy.hard_display, None)
        rules = hard_line(policy)
        why = withheld(policy, assignment) or not_started(desktop, rules)
        return Offer(desktop, name, assignment, line, why, starts(rules))
    return Offer(desktop, shown_name(desktop, line), assignment, line, not_started(desktop, line), starts(line))
