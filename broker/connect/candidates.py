"""The candidates of all lines of a policy in one statement, however many its pools (SPEC 1.3; CONTRACTS 4.3).

Lines that judge and sort alike, and whose pools are one center each, are one part of it instead of one each.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from typing import Any

from django.db.models import Case, F, Q, QuerySet, Value, When, Window
from django.db.models.fields import BooleanField, IntegerField
from django.db.models.functions import RowNumber

from broker.connect import verdicts
from broker.connect.askers import Asker
from broker.connect.ordering import ordering
from broker.connect.reach import failing
from broker.connect.sources import in_pool, memberships
from centers.models import Desktop
from policies.models import PoolAssignment
from policies.offer_filters import refusal
from pools.models import Pool

ALL_OF_THEM = 1000
COLUMNS = ("pk", "part", "whose", "place", "bad")


@dataclass(frozen=True, slots=True)
class Row:
    """One desktop in one line (`slot`). `failing`: it cannot be reached, so the line's backup pool stands in."""

    desktop_id: int
    slot: int
    place: int = 0
    failing: bool = False
    mine: bool = False


@dataclass(slots=True)
class Part:
    """Lines that are asked for together, by the center that is their pool; 0 where it is one line of any pool."""

    lines: dict[int, list[PoolAssignment]] = field(default_factory=dict)
    limit: int = 0  # each line gives at most so many

    @property
    def first(self) -> PoolAssignment:
        """All lines of a part judge and sort as this one does."""
        return next(iter(self.lines.values()))[0]


def wanted(line: PoolAssignment) -> int:
    """How many desktops a line gives at most."""
    return line.quantity or ALL_OF_THEM


def free(line: PoolAssignment, asker: Asker, pools: Mapping[int, Pool]) -> QuerySet[Desktop]:
    """The desktops that the line would give to this person now, best first."""
    if refusal(line.offer_filter, asker.person, asker.moment) is not None:
        return Desktop.objects.none()
    return offered(in_pool(line, pools), line, asker).order_by(*ordering(line, asker))


def offered(found: QuerySet[Desktop], line: PoolAssignment, asker: Asker) -> QuerySet[Any]:
    """Those of the desktops whose verdict is that they are offered; the partial index knows the free ones."""
    there = found.filter(lent=False, availability=Desktop.Availability.AVAILABLE)
    there = there.exclude(wish="delete", wish_until__gt=asker.moment)
    return verdicts.judged(there, line, asker).filter(verdict=verdicts.OFFERED)


def rows(lines: Sequence[PoolAssignment], asker: Asker, pools: Mapping[int, Pool], mine: Sequence[int]) -> list[Row]:
    """The best desktops of every line, and which of the user's own lie in its pool."""
    parts = parted(lines, asker, pools)
    asked = [queried(part, number, asker, pools) for number, part in enumerate(parts)]
    joined = reduce(lambda one, other: one.union(other, all=True), asked[1:], asked[0]) if asked else []
    found = [
        Row(pk, line.slot, place, bad) for pk, part, center, place, bad in joined for line in parts[part].lines[center]
    ]
    own = [Row(pk, line.slot, mine=True) for pk, line in memberships(lines, mine, pools)]
    return sorted(found, key=lambda row: row.place) + own


def parted(lines: Iterable[PoolAssignment], asker: Asker, pools: Mapping[int, Pool]) -> list[Part]:
    """The lines that are for this person now, those together that can be asked for together.

    A line may lose desktops to those before it, so its limit counts what they want, too.
    """
    parts: dict[Any, Part] = {}
    before = 0
    for line in lines:
        if refusal(line.offer_filter, asker.person, asker.moment) is not None:
            continue
        before += wanted(line)
        center = only_center(pools[line.pool_id], pools)
        part = parts.setdefault(likeness(line) if center else line.slot, Part())
        part.lines.setdefault(center, []).append(line)
        part.limit = min(before, ALL_OF_THEM)
    return list(parts.values())


def only_center(pool: Pool, pools: Mapping[int, Pool]) -> int:
    """The center whose desktops, all of them, the pool is; 0 where it is anything else."""
    parent = pools.get(pool.parent_id or 0)
    whole = pool.defined_by == Pool.By.CENTERS and (parent is None or parent.defined_by == Pool.By.ALL)
    known: Sequence[int] = getattr(pool, "center_ids", ())
    return known[0] if whole and len(known) == 1 else 0


def likeness(line: PoolAssignment) -> tuple[Any, ...]:
    """Equal for lines that judge and sort desktops alike."""
    reach = (line.backup_if_silent, line.backup_if_closed) if line.backup_pool_id else None
    return (
        line.offer_order, line.kiosk, line.offer_stopped, line.offer_without_agent, line.offer_pending_reboot,
        line.log_out_rogue, json.dumps(line.desktop_filter, sort_keys=True), line.pool.distribute, reach,
    )  # fmt: skip


def queried(part: Part, number: int, asker: Asker, pools: Mapping[int, Pool]) -> Any:
    """A part of the union, a queryset of COLUMNS."""
    line = part.first
    order = ordering(line, asker)
    marks = {"part": Value(number, IntegerField()), "bad": is_bad(failing(line, asker.moment))}
    if 0 in part.lines:
        place = Window(RowNumber(), order_by=order)
        found = offered(in_pool(line, pools), line, asker)
        found = found.annotate(whose=Value(0, IntegerField()), place=place, **marks)
        return found.order_by("place").values_list(*COLUMNS)[: part.limit]
    place = Window(RowNumber(), partition_by=[F("center_id")], order_by=order)
    found = offered(Desktop.objects.filter(center__in=part.lines.keys()), line, asker)
    found = found.annotate(whose=F("center_id"), place=place, **marks)
    return found.filter(place__lte=part.limit).order_by().values_list(*COLUMNS)


def is_bad(condition: Q | None) -> Any:
    """The column that says whether a desktop cannot be reached."""
    if condition is None:
        return Value(False, BooleanField())
    return Case(When(condition, then=Value(True)), default=Value(False), output_field=BooleanField())
