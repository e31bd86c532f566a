"""All sessions of this gateway: those that live, those that the broker has not heard of ending, those of before."""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import TypeVar

from gateways.program.sessions import By, Session
from gateways.wire import Opening

T = TypeVar("T")
Clock = Callable[[], float]  # Unix seconds
REMEMBERED = 2_000  # ended sessions whose end can still be asked for (`/viewer/v1/why`)
UNTOLD = 10_000  # endings kept for a broker that is away
REFUSALS = 500  # the same of refusals


class Full(Exception):
    """No session more; says why, and the `code` that the broker is told."""

    def __init__(self, words: str, code: str) -> None:
        super().__init__(words)
        self.code = code


@dataclass(frozen=True, slots=True)
class Limits:
    """How many sessions at a time, waiting ones too: of this gateway and of one user."""

    gateway: int = 2_000
    user: int = 30


@dataclass(frozen=True, slots=True)
class Refusal:
    """Somebody who was not let in. `id` is that of the session, "" where none is known.

    `number` counts them since the start, so that the broker knows which it has heard of; the registry gives it.
    """

    at: float
    why: str
    client_ip: str
    id: str = ""
    code: str = ""
    number: int = 0


@dataclass
class Totals:
    """Since the start; bytes of sessions that have ended."""

    ended: int = 0
    refused: int = 0
    bytes_in: int = 0
    bytes_out: int = 0


class Registry:
    """Use `add` for what the broker opens; everything else follows from the sessions themselves."""

    def __init__(self, limits: Limits, clock: Clock) -> None:
        self.limits, self.clock = limits, clock
        self.draining = False
        self.news = asyncio.Event()  # the broker should hear of something at once
        self.closed: deque[Session] = deque(maxlen=UNTOLD)
        self.refused: deque[Refusal] = deque(maxlen=REFUSALS)
        self.totals = Totals()
        self._live: dict[str, Session] = {}
        self._past: dict[str, Session] = {}
        self._turned_away: dict[str, Refusal] = {}

    def __len__(self) -> int:
        return len(self._live)

    def live(self) -> list[Session]:
        """Those that have not ended, the oldest first; waiting ones too."""
        return list(self._live.values())

    def get(self, session_id: str) -> Session | None:
        """One that lives, or None."""
        return self._live.get(session_id)

    def past(self, session_id: str) -> Session | None:
        """One of the last that ended, or None."""
        return self._past.get(session_id)

    def turned_away(self, session_id: str) -> Refusal | None:
        """The last refusal of one that lives or has lived, or None."""
        return self._turned_away.get(session_id)

    def add(self, opening: Opening) -> Session:
        """Take an opening; it waits for who may come. Raises Full."""
        if self.draining:
            raise Full("The gateway is being shut down.", "draining")
        if opening.id in self._live or opening.id in self._past:
            raise Full("That session was opened before.", "known")
        if len(self._live) >= self.limits.gateway:
            raise Full(f"The gateway has {len(self._live)} sessions; more are not allowed.", "full")
        if sum(each.opening.user == opening.user for each in self._live.values()) >= self.limits.user:
            raise Full(f"The user has {self.limits.user} sessions here; more are not allowed.", "user_full")
        session = Session(opening, asked_at=self.clock())
        session.on_use.append(self.news.set)
        session.on_close.append(lambda: self._ended(session))
        self._live[session.id] = session
        return session

    def _ended(self, session: Session) -> None:
        del self._live[session.id]
        remember(self._past, session.id, session)
        self.closed.append(session)
        self.totals.ended += 1
        self.totals.bytes_in += session.bytes_in
        self.totals.bytes_out += session.bytes_out
        self.news.set()

    def close(self, ids: Iterable[str], reason: str, by: By) -> int:
        """End these where they live; how many did."""
        found = [self._live[each] for each in dict.fromkeys(ids) if each in self._live]
        for session in found:
            session.close(reason, by, self.clock())
        return len(found)

    def sweep(self) -> None:
        """End what nobody used in time, and what has lasted as long as it may."""
        at = self.clock()
        for session in self.live():
            longest, waits = session.opening.longest, session.opening.seconds
            if not session.used_at and at >= session.asked_at + waits:
                session.close(f"Nobody came within {waits} seconds.", "limit", at)
            elif session.used_at and longest and at >= session.used_at + longest:
                session.close("The longest time that a session may last is over.", "limit", at)

    def refuse(self, refusal: Refusal) -> None:
        """Keep it for the broker."""
        self.totals.refused += 1
        refusal = replace(refusal, number=self.totals.refused)
        self.refused.append(refusal)
        if refusal.id in self._live or refusal.id in self._past:
            remember(self._turned_away, refusal.id, refusal)
        self.news.set()

    def acknowledged(self, closed: Iterable[Session], refused: Iterable[Refusal]) -> None:
        """The broker has heard of these."""
        heard, known = set(closed), set(refused)
        self.closed = deque((each for each in self.closed if each not in heard), maxlen=UNTOLD)
        self.refused = deque((each for each in self.refused if each not in known), maxlen=REFUSALS)


def remember(kept: dict[str, T], name: str, value: T) -> None:
    """Keep the last REMEMBERED ones."""
    kept[name] = value
    while len(kept) > REMEMBERED:
        del kept[next(iter(kept))]
