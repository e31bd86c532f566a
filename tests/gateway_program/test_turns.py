"""Places: who makes room for those who come."""

import asyncio
from collections.abc import Callable

from gateways.program.turns import Places


class Crowd:
    """People who each hold a place until they are sent away."""

    def __init__(self, limit: int) -> None:
        self.places, self.gone = Places(limit), list[str]()
        self.gets_on: dict[str, Callable[[], None]] = {}
        self.tasks: list[asyncio.Task[None]] = []

    async def comes(self, name: str, address: str) -> None:
        self.tasks.append(asyncio.create_task(self._stays(name, address)))
        for _ in range(3):
            await asyncio.sleep(0)

    async def _stays(self, name: str, address: str) -> None:
        try:
            async with self.places.one(address) as gets_on:
                self.gets_on[name] = gets_on
                await asyncio.Event().wait()
        except TimeoutError:
            self.gone.append(name)

    async def ends(self) -> list[str]:
        """Who was sent away, in order."""
        await asyncio.sleep(0.01)
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        return self.gone


def test_the_address_with_most_places_makes_room_first() -> None:
    async def play() -> list[str]:
        crowd = Crowd(4)
        await crowd.comes("honest", "10.0.0.1")
        for number in range(6):
            await crowd.comes(f"flood {number}", "10.0.0.9")
        return await crowd.ends()

    assert asyncio.run(play()) == ["flood 0", "flood 1", "flood 2"]


def test_among_equals_who_got_on_least_lately_makes_room() -> None:
    async def play() -> list[str]:
        crowd = Crowd(2)
        await crowd.comes("first", "10.0.0.1")
        await crowd.comes("second", "10.0.0.2")
        crowd.gets_on["first"]()
        await crowd.comes("third", "10.0.0.3")
        return await crowd.ends()

    assert asyncio.run(play()) == ["second"]
