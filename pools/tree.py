"""The tree of pools: order of the list, depth, who lies below whom, and how many desktops each holds."""

from collections.abc import Iterable, Mapping
from functools import reduce
from typing import Any

from django.db.models import Count, Q, QuerySet, Value

from centers.models import Desktop
from pools import rules
from pools.models import Pool

COUNTS: dict[str, Q] = {
    "total": Q(),
    "available": Q(lent=False, availability=Desktop.Availability.AVAILABLE),
    "assigned": Q(lent=True),
    "running": Q(power=Desktop.Power.RUNNING),
    "stopped": Q(power=Desktop.Power.STOPPED),
}
NOTHING = dict.fromkeys(COUNTS, 0)


def in_order(pools: Iterable[Pool]) -> list[tuple[Pool, int]]:
    """Every pool with its depth: a parent first, its children by name below it."""
    known = list(pools)
    children: dict[int | None, list[Pool]] = {}
    for pool in sorted(known, key=lambda each: (not each.is_root, each.name.casefold())):
        children.setdefault(pool.parent_id, []).append(pool)
    found: list[tuple[Pool, int]] = []
    waiting = [(pool, 0) for pool in reversed(children.get(None, []))]
    while waiting:
        pool, depth = waiting.pop()
        found.append((pool, depth))
        waiting += [(child, depth + 1) for child in reversed(children.get(pool.pk, []))]
    return found


def below(pool: Pool, pools: Iterable[Pool]) -> set[int]:
    """The ids of a pool and of all its descendants: none of them can be its parent."""
    found = {pool.pk}
    known = list(pools)
    grown = True
    while grown:
        more = {each.pk for each in known if each.parent_id in found} - found
        found |= more
        grown = bool(more)
    return found


def counts(shown: Iterable[Pool], pools: Mapping[int, Pool]) -> dict[int, dict[str, int]]:
    """Pool id -> its numbers (COUNTS), in one statement for however many pools; an empty pool is not in it."""
    parts = [one(pool, pools) for pool in shown]
    if not parts:
        return {}
    rows = reduce(lambda first, other: first.union(other, all=True), parts[1:], parts[0])
    return {key: dict(zip(COUNTS, numbers, strict=True)) for key, *numbers in rows}


def one(pool: Pool, pools: Mapping[int, Pool]) -> QuerySet[Any]:
    """A pool's part of the union."""
    numbers = {name: Count("pk", filter=condition) for name, condition in COUNTS.items()}
    found = rules.desktops(pool, pools).order_by().annotate(pool=Value(pool.pk)).values("pool")
    return found.annotate(**numbers).values_list("pool", *COUNTS)


def as_text(pool: Pool) -> str:
    """How a pool is defined, in words; `centers` must be prefetched."""
    joiner = " and " if pool.match_all else " or "
    match pool.defined_by:
        case Pool.By.ALL:
            return "All desktops"
        case Pool.By.CENTERS:
            return "Centers: " + (", ".join(center.name for center in pool.centers.all()) or "none")
        case Pool.By.ATTRIBUTES:
            return joiner.join(rule_as_text(rule) for rule in pool.rules) or "No rule"
        case Pool.By.TAGS:
            return "Tags: " + (joiner.join(pool.tags) or "none")
    return "Desktops picked by hand"


def rule_as_text(rule: Mapping[str, Any]) -> str:
    """ "Name begins with ws"."""
    attribute, condition = str(rule["attribute"]), str(rule["condition"])
    label = rules.ATTRIBUTES.get(attribute, (attribute, ""))[0]
    return f"{label} {rules.CONDITIONS.get(condition, condition)} “{rule['value']}”"
