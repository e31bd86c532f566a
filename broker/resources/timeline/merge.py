"""One list out of several, newest first, in pages without gaps or repetitions. Pure."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from heapq import merge as merged
from itertools import islice


class Origin(StrEnum):
    """Who told of it."""

    AWS = "aws"
    AGENT = "agent"
    GATEWAY = "gateway"
    BROKER = "broker"


@dataclass(frozen=True, slots=True)
class Place:
    """Where in the list an item stands: by its time; of equal times, by source, then the newer row first."""

    at: datetime
    source: int
    pk: int

    @property
    def key(self) -> tuple[float, int, int]:
        """What the list is sorted by."""
        return -self.at.timestamp(), self.source, -self.pk

    def __str__(self) -> str:
        """As an address carries it."""
        return f"{self.at.astimezone(UTC).isoformat()}~{self.source}~{self.pk}"

    @classmethod
    def parse(cls, text: str) -> "Place | None":
        """What `str` wrote; None where it is anything else."""
        try:
            moment, source, pk = text.split("~")
            at = datetime.fromisoformat(moment)
            return cls(at, int(source), int(pk)) if at.tzinfo and abs(int(pk)) < 10**18 else None
        except (ValueError, OverflowError):
            return None


@dataclass(frozen=True, slots=True)
class Item:
    """One thing that happened: when by our clock, when we heard of it, who told, what in words, and why or with what
    effect (`note`). `tone` is good, bad, warn, or nothing; `ignored` changed nothing here."""

    place: Place
    origin: Origin
    said: str
    note: str = ""
    tone: str = ""
    by: str = ""
    heard: datetime | None = None
    address: str = ""
    about: tuple[tuple[str, str], ...] = ()
    ignored: bool = False

    @property
    def at(self) -> datetime:
        """When it happened."""
        return self.place.at


@dataclass(frozen=True, slots=True)
class Page:
    """A page of the list, and where the next, older one begins; "" at the end."""

    items: list[Item] = field(default_factory=list)
    older: str = ""


def page(sources: Iterable[Iterable[Item]], size: int, origins: Collection[str] = ()) -> Page:
    """The first `size` items of all sources together. Each source is sorted, and holds at least one item more than
    `size` where it has so many: so nothing that belongs on this page is missing."""
    sorted_ones = merged(*sources, key=lambda item: item.place.key)
    found = list(islice((item for item in sorted_ones if not origins or item.origin in origins), size + 1))
    items = found[:size]
    return Page(items, str(items[-1].place) if len(found) > size else "")
