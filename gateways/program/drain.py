"""The end, in order: nobody new, those who are here go on for a while."""

import asyncio
import contextlib

from gateways.program.house import House

LOOK = 0.2  # seconds between two looks


async def drained(house: House, seconds: float, at_once: asyncio.Event) -> None:
    """Return when no session is left, `seconds` are over or `at_once` is set; no session lives afterwards."""
    registry = house.registry
    registry.draining = True
    registry.news.set()
    for session in registry.live():
        if not session.used_at:
            session.close("The gateway is being shut down.", "gateway", house.clock())
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            while len(registry) and not at_once.is_set():
                await asyncio.sleep(LOOK)
    for session in registry.live():
        session.close("The gateway was shut down.", "gateway", house.clock())
