"""Everybody gets a turn: of one address so many at a time, more wait a while, and too many are sent away.

And places, of which who is slow holds none for long.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial


class TooMany(Exception):
    """No turn came in time."""


class Turns:
    """`at_a_time` for each address; those beyond wait for `patience` seconds, `waiting` of them at most.

    One address may be a whole office: that is why they wait and are not refused at once. Of all addresses together
    `in_line` wait, then the oldest is sent away: waiting is cheap for whoever has many addresses.
    """

    def __init__(self, at_a_time: int, waiting: int, patience: float, in_line: int = 2_000) -> None:
        self.at_a_time, self.most, self.patience = at_a_time, at_a_time + waiting, patience
        self._line = Places(in_line)
        self._doors: dict[str, asyncio.Semaphore] = {}
        self._here: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._here)

    @asynccontextmanager
    async def of(self, address: str) -> AsyncIterator[None]:
        """A turn. Raises TooMany."""
        if self._here.get(address, 0) >= self.most:
            raise TooMany
        self._here[address] = self._here.get(address, 0) + 1
        door = self._doors.setdefault(address, asyncio.Semaphore(self.at_a_time))
        try:
            await self._wait(door, address)
            try:
                yield
            finally:
                door.release()
        finally:
            self._leave(address)

    async def _wait(self, door: asyncio.Semaphore, address: str) -> None:
        try:
            async with self._line.one(address), asyncio.timeout(self.patience):
                await door.acquire()
        except TimeoutError:
            raise TooMany from None

    def _leave(self, address: str) -> None:
        self._here[address] -= 1
        if not self._here[address]:
            del self._here[address], self._doors[address]


class Places:
    """`limit` at a time, who never wait. Where there are more, the address that has most of them makes room, with the
    one of its places that got on least lately; whoever had it finds a TimeoutError there."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._taken: dict[asyncio.Timeout, str] = {}  # by whom; who got on least lately comes first

    def __len__(self) -> int:
        return len(self._taken)

    @asynccontextmanager
    async def one(self, address: str = "") -> AsyncIterator[Callable[[], None]]:
        """A place, and how to say that one gets on. Raises TimeoutError."""
        async with asyncio.timeout(None) as place:
            self._taken[place] = address
            if len(self._taken) > self.limit:
                self._make_room()
            try:
                yield partial(self._gets_on, place)
            finally:
                self._taken.pop(place, None)

    def _gets_on(self, place: asyncio.Timeout) -> None:
        if place in self._taken:
            self._taken[place] = self._taken.pop(place)

    def _make_room(self) -> None:
        held = Counter(self._taken.values())
        most = max(held.values())
        leaving = next(place for place, address in self._taken.items() if held[address] == most)
        del self._taken[leaving]
        if not leaving.expired():
            leaving.reschedule(asyncio.get_running_loop().time())
