"""The polls that are held: at most one per agent, each ended by its agent's wake-up, by time, or by a newer poll."""

import asyncio


class Waiters:
    """Who waits. One event loop, no locks."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._held: dict[int, asyncio.Future[bool]] = {}
        self._ending = False

    def __len__(self) -> int:
        return len(self._held)

    def agents(self) -> list[int]:
        """Whose polls are held."""
        return list(self._held)

    def listen(self, agent: int) -> asyncio.Future[bool] | None:
        """From now on this agent's wake-up is remembered; None where nothing more can be held. A newer poll wins."""
        older = self._held.get(agent)
        if older is not None:
            settle(older, False)
        if self._ending or (older is None and len(self._held) >= self.limit):
            return None
        waiter = self._held[agent] = asyncio.get_running_loop().create_future()
        return waiter

    def forget(self, agent: int, waiter: asyncio.Future[bool]) -> None:
        """The poll is answered."""
        if self._held.get(agent) is waiter:
            del self._held[agent]

    def wake(self, agent: int) -> None:
        """There is something for this agent."""
        if agent in self._held:
            settle(self._held[agent], True)

    def end(self) -> None:
        """Answer all, hold no more."""
        self._ending = True
        for waiter in self._held.values():
            settle(waiter, True)


def settle(waiter: asyncio.Future[bool], woken: bool) -> None:
    """Say how the wait ended, once."""
    if not waiter.done():
        waiter.set_result(woken)
