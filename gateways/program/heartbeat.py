"""Tells the broker how things stand: every 10 seconds, and at once when a session was used, ended or refused."""

import asyncio
import contextlib
import logging
from collections.abc import Mapping
from itertools import islice

from gateways.program.broker import Away, Broker, Denied
from gateways.program.house import House
from gateways.program.status import status

log = logging.getLogger(__name__)
EVERY = 10.0  # seconds
AT_A_TIME = 2_000  # endings in one heartbeat: a broker that was away hears of all, one after the other
TOGETHER = 0.2  # news within this time travel together
BACK_OFF = (1.0, 2.0, 5.0, 10.0, 30.0)  # while the broker is away; sessions go on
ENDED = "The broker has ended it."
NEW = 2.0  # the longest pause as long as we know no key, or the broker knows us not: somebody waits at its page


class Heartbeat:
    """One loop; `last` for the farewell."""

    def __init__(self, house: House, broker: Broker) -> None:
        self.house, self.broker = house, broker
        self._greeted = False
        self._failures = 0

    async def run(self) -> None:
        """For ever."""
        while True:
            await self._pause(await self._beat())

    async def last(self, seconds: float) -> None:
        """Before the end: what ended is told once more, if the broker listens."""
        with contextlib.suppress(Away, Denied, TimeoutError):
            async with asyncio.timeout(seconds):
                await self._tell()

    async def _beat(self) -> float:
        """Tell; the seconds until the next time."""
        try:
            await self.broker.prepare()
            await self._tell()
        except (Away, Denied) as error:
            return self._failed(error)
        if self._failures:
            log.info("broker.back")
        self._failures = 0
        self.house.figures.broker_reachable = True
        return EVERY

    async def _tell(self) -> None:
        registry = self.house.registry
        if not self.house.state.uid:
            return
        registry.news.clear()
        closed, refused = list(islice(registry.closed, AT_A_TIME)), list(registry.refused)
        path = "/gateway/v1/heartbeat" if self._greeted else "/gateway/v1/hello"
        answer = await self.broker.call(path, status(self.house, closed, refused))
        if self._greeted:
            registry.acknowledged(closed, refused)
            if registry.closed:
                registry.news.set()
            for session, why in ends(answer).items():
                registry.close([session], why, "broker")
        else:
            self._greeted = True
            registry.news.set()

    def _failed(self, error: Away | Denied) -> float:
        if not self._failures:
            log.warning("broker.away", extra={"broker": self.broker.settings.broker, "why": str(error)})
        pause = BACK_OFF[min(self._failures, len(BACK_OFF) - 1)]
        self._failures += 1
        self.house.figures.broker_reachable = isinstance(error, Denied)
        return pause if self._greeted else min(pause, NEW)

    async def _pause(self, seconds: float) -> None:
        """Until it is time, or there is news; news do not shorten a back-off."""
        if self._failures:
            await asyncio.sleep(seconds)
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self.house.registry.news.wait()
                await asyncio.sleep(TOGETHER)


def ends(answer: Mapping[str, object]) -> dict[str, str]:
    """The sessions that the broker wants ended, each with why; nothing where it is no list of texts."""
    told, why = answer.get("close"), answer.get("why")
    reasons = why if isinstance(why, dict) else {}
    found = [each for each in told if isinstance(each, str)] if isinstance(told, list) else []
    return {each: str(reasons.get(each) or ENDED) for each in found}
