"""How long things usually take: medians of the last launches and of the last waits in the queue (SPEC A.8).

Asked once, when a launch or a wait begins, and kept in its row: the polls of its page read nothing more.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from statistics import median

from broker.connect.models import Launch, QueuePlace
from broker.connect.steps import durations, went_straight
from broker.core.clock import now
from centers.models import Desktop
from policies.models import PoolAssignment

LOOKED_AT = 100  # launches of the center
ENOUGH = 3  # fewer say nothing
RECENT = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Past:
    """A launch that opened its way: of which image and pool, and how long each step took in seconds."""

    image: int | None
    pool: int | None
    took: Mapping[str, int]


def of_steps(past: Sequence[Past], image: int | None, pool: int | None) -> dict[str, int]:
    """step -> seconds: the median over those of the same image and pool, of the image, or of all. Pure.

    The first of these groups with enough launches that knew the step decides; without one the step is left out.
    """
    groups = (
        [each for each in past if (each.image, each.pool) == (image, pool)],
        [each for each in past if each.image == image],
        list(past),
    )
    known = {step for each in past for step in each.took}
    found = {
        step: next((took for group in groups if (took := middle(group, step)) is not None), None) for step in known
    }
    return {step: took for step, took in found.items() if took is not None}


def middle(group: Sequence[Past], step: str) -> int | None:
    """The median of a step, None where too few know it."""
    took = [each.took[step] for each in group if step in each.took]
    return round(median(took)) if len(took) >= ENOUGH else None


def for_launch(desktop: Desktop, pool_id: int | None) -> dict[str, int]:
    """What is usual for a launch of this desktop; one statement."""
    rows = Launch.objects.filter(
        desktop__center=desktop.center_id, opened_at__isnull=False, started_at__gt=now() - RECENT
    ).order_by("-pk")
    columns = rows.values_list("desktop__image", "assignment__pool", "times", "ended_at")[:LOOKED_AT]
    past = [Past(image, pool, durations(times, at)) for image, pool, times, at in columns if went_straight(times)]
    return of_steps(past, desktop.image_id, pool_id)


def for_queue(line: PoolAssignment) -> int | None:
    """How many seconds others waited for a desktop of this pool, None where too few did."""
    given = QueuePlace.objects.filter(line__pool=line.pool_id, launch__isnull=False, ended_at__gt=now() - RECENT)
    last = given.order_by("-ended_at").values_list("since", "ended_at")[:20]
    waited = [(end - since).total_seconds() for since, end in last if end is not None]
    return round(median(waited)) if len(waited) >= ENOUGH else None
