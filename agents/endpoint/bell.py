"""Wakes the workers when agents told something: often enough, and not with every event."""

import asyncio

from broker.core.jobs import wake

PAUSE = 0.1  # seconds between two messages


class Bell:
    """Ring as often as you like. A hung Redis holds a thread of ours, and nobody else."""

    def __init__(self) -> None:
        self._rung = asyncio.Event()

    def ring(self) -> None:
        """There is something in the inbox."""
        self._rung.set()

    async def run(self) -> None:
        """For ever: one message for all that rang meanwhile."""
        while True:
            await self._rung.wait()
            self._rung.clear()
            await asyncio.to_thread(wake)
            await asyncio.sleep(PAUSE)
