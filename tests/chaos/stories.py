"""What happens on five hundred desktops, told by their agents: the same every time. Pure.

A story is a row of POSTs. Nothing in it depends on how fast the broker is: where coming back calls something off, it
comes back long before the wait is over; where nobody comes back, the wait may be as short as it likes.
"""

import os
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

SEED = 20261126
WAIT = int(os.environ.get("CHAOS_WAIT", "30"))  # seconds in which one may come back; more on a busy machine
SPREAD = 8.0  # seconds within which all stories begin
SESSION = "2"
AGAIN = "3"


@dataclass(frozen=True)
class Said:
    """One event as the agent numbers it. `seq` follows the order of what happened, not that of the telling."""

    seq: int
    type: str
    session: str = SESSION
    data: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Post:
    """One batch, sent `after` seconds after the one before; `twice` as if its answer had been lost."""

    after: float
    events: tuple[Said, ...]
    twice: bool = False


@dataclass(frozen=True)
class Story:
    """One desktop's afternoon, under the plans of `kind`, and how it has to end."""

    index: int
    kind: str
    name: str
    begins: float
    posts: tuple[Post, ...]
    stops: bool  # how often AWS is asked to stop it: once or never
    kept: bool  # whether it is still its user's
    live: tuple[str, ...] = ()  # the OS sessions that have not ended

    @property
    def user(self) -> str:
        """Its user's name in the directory."""
        return f"person{self.index:05}"


Tale = tuple[str, list[Post], bool, bool, tuple[str, ...]]


def said(seq: int, kind: str, session: str = SESSION, **data: Any) -> Said:
    """An event; `seq` begins at 1."""
    return Said(seq, kind, session, data)


def one(after: float, seq: int, kind: str, session: str = SESSION, **data: Any) -> Post:
    """A batch of one."""
    return Post(after, (said(seq, kind, session, **data),))


def left(dice: random.Random) -> list[Post]:
    """Came and left, the session goes on."""
    return [one(0, 1, "login"), one(dice.uniform(0.3, 2), 2, "disconnect")]


def back(dice: random.Random) -> list[Post]:
    """Left, and back before a disconnect counts."""
    return [*left(dice), one(dice.uniform(0.5, 2), 3, "reconnect")]


def leave(dice: random.Random, turn: int) -> Tale:
    """Shutdown at the disconnect, which keeps the desktop assigned."""
    tales: list[Tale] = [
        ("left for good", left(dice), True, True, ()),
        ("a blip", back(dice), False, True, (SESSION,)),
        ("a blip, then left", [*back(dice), one(0.5, 4, "disconnect")], True, True, ()),
        ("left, then logged out", [*left(dice), one(2, 3, "logout")], False, True, ()),
        (
            "the blip was told in one batch, twice",
            [one(0, 1, "login"), Post(1, (said(2, "disconnect"), said(3, "reconnect")), twice=True)],
            False,
            True,
            (SESSION,),
        ),
    ]
    return tales[turn % len(tales)]


def log_out(dice: random.Random, turn: int) -> Tale:
    """Shutdown and release at the log-out."""
    locked = [one(0, 1, "login"), one(1, 2, "lock"), one(0.5, 3, "unlock")]
    again = (said(2, "logout"), said(3, "login", AGAIN))
    tales: list[Tale] = [
        ("logged out", [one(0, 1, "login"), one(dice.uniform(0.5, 4), 2, "logout")], True, False, ()),
        ("locked, and told twice", [*locked, Post(1, (said(4, "logout"),), twice=True)], True, False, ()),
        ("logged out, and in again at once", [one(0, 1, "login"), Post(1, again)], False, True, (AGAIN,)),
        ("the end is told before what led to it",
         [one(0, 1, "login"), one(1, 3, "logout"), one(0.3, 2, "disconnect")], True, False, ()),
        ("all of it in one batch", [Post(0, (said(1, "login"), said(2, "lock"), said(3, "logout")))], True, False, ()),
    ]  # fmt: skip
    return tales[turn % len(tales)]


def idle(dice: random.Random, turn: int) -> Tale:
    """Logged out when idle, and shut down after the log-out."""
    asleep = [one(0, 1, "login"), one(dice.uniform(0.3, 2), 2, "idle", seconds=2)]
    tales: list[Tale] = [
        ("fell asleep", asleep, True, True, ()),
        ("woke up", [*asleep, one(1, 3, "active")], False, True, (SESSION,)),
        ("fell asleep twice", [*asleep, one(1, 3, "active"), one(1, 4, "idle", seconds=1)], True, True, ()),
    ]
    return tales[turn % len(tales)]


def idle_off(dice: random.Random, turn: int) -> Tale:
    """Powered off when idle, whoever sits there: the session ends with the machine, which no agent tells."""
    asleep = [one(0, 1, "login"), one(dice.uniform(0.3, 2), 2, "idle", seconds=2)]
    tales: list[Tale] = [
        ("fell asleep", asleep, True, True, (SESSION,)),
        ("woke up", [*asleep, one(2, 3, "active")], False, True, (SESSION,)),
    ]
    return tales[turn % len(tales)]


def released(dice: random.Random, turn: int) -> Tale:
    """Released some time after the disconnect; the release logs out and then shuts down."""
    tales: list[Tale] = [
        ("left for good", left(dice), True, False, ()),
        ("a blip", back(dice), False, True, (SESSION,)),
        ("left twice", [*back(dice), Post(1, (said(4, "disconnect"),), twice=True)], True, False, ()),
    ]
    return tales[turn % len(tales)]


def away(dice: random.Random, turn: int) -> Tale:
    """Logged out some time after the disconnect, and shut down after that."""
    tales: list[Tale] = [
        ("left for good", left(dice), True, True, ()),
        ("a blip", back(dice), False, True, (SESSION,)),
    ]
    return tales[turn % len(tales)]


def unused(dice: random.Random, turn: int) -> Tale:
    """Lent in the middle of it all, and never used: released, then shut down."""
    return "nobody came", [], True, False, ()


KINDS: dict[str, Callable[[random.Random, int], Tale]] = {
    "leave": leave,
    "log out": log_out,
    "idle": idle,
    "idle off": idle_off,
    "released": released,
    "away": away,
    "unused": unused,
}


def stories(count: int, spread: float = SPREAD) -> list[Story]:
    """So many stories, all kinds in turn, always the same."""
    dice = random.Random(SEED)
    made = []
    for index in range(count):
        kind = list(KINDS)[index % len(KINDS)]
        name, posts, stops, kept, live = KINDS[kind](dice, index // len(KINDS))
        made.append(Story(index, kind, name, dice.uniform(0, spread), tuple(posts), stops, kept, live))
    return made


def one_of_each(told: list[Story]) -> list[Story]:
    """The first story of each kind and name: what has to come of all the others, too."""
    first = {(story.kind, story.name): story for story in reversed(told)}
    return sorted(first.values(), key=lambda story: story.index)
