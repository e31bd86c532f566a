"""The queue on the page of desktops: a card for each line whose desktops are all taken."""

from dataclasses import dataclass

from broker.connect import offers, places
from broker.connect.askers import Asker
from broker.connect.models import PortalSession, QueuePlace
from broker.core.words import count, roughly
from policies.models import PoolAssignment


@dataclass(frozen=True, slots=True)
class QueueCard:
    """One full pool; `place` is the user's own in its queue, `sentence` says how it stands."""

    line: PoolAssignment
    name: str
    sentence: str
    place: QueuePlace | None = None


def build(found: offers.Offers, portal: PortalSession) -> list[QueueCard]:
    """The cards of the lines that have nothing to give now and might later; nothing is asked where there are none."""
    assert portal.policy  # noqa: S101 - portal_of() saw to it
    own = sum(offer.assigned for offer in found.offers)
    if not found.empty or offers.room(portal.policy, own) == 0:
        return []
    lines = places.that_may_give(found.empty, Asker.of(portal.user, portal))
    waiting = QueuePlace.objects.filter(ended_at=None, line__pool__in=[line.pool_id for line in lines])
    standing = list(waiting.select_related("line").order_by("since", "pk")) if lines else []
    return [card(line, standing, portal.user_id) for line in lines]


def card(line: PoolAssignment, standing: list[QueuePlace], user_id: int) -> QueueCard:
    """One card."""
    name = line.pool.display_name or line.pool.name
    before = [each for each in standing if each.line.pool_id == line.pool_id]
    for number, place in enumerate(before, 1):
        if place.user_id == user_id and place.line_id == line.pk:
            return QueueCard(line, name, place_in_words(number, place.usual), place)
    wait = count(len(before), "person waits", "people wait") if before else "Nobody waits yet"
    return QueueCard(line, name, f"All its desktops are in use. {wait}.")


def place_in_words(number: int, usual: int | None) -> str:
    """ "You are 3rd in the queue; usually 4 minutes." """
    return f"You are {ordinal(number)} in the queue{usually(usual)}."


def usually(seconds: int | None) -> str:
    """What is usual, in words that go on a sentence; nothing where it is not known."""
    return "" if seconds is None else f"; the wait is usually {roughly(seconds)}"


def ordinal(number: int) -> str:
    """1st, 2nd, 3rd, 4th, 11th, 21st."""
    ends = {1: "st", 2: "nd", 3: "rd"}
    return f"{number:,}{'th' if number % 100 in (11, 12, 13) else ends.get(number % 10, 'th')}"
