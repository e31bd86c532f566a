"""How much one agent, or one address, may ask of us: token buckets in a process's memory, on the monotonic clock."""

import math
import time
from dataclasses import dataclass
from http import HTTPStatus

from agents.calls import Answer, refusal

BUCKETS_KEPT = 50_000  # full buckets need no memory; beyond this many, the oldest is forgotten


@dataclass(frozen=True, slots=True)
class Rate:
    """So much a second in the long run, and so much at once."""

    a_second: float
    at_once: float


class Buckets:
    """One bucket per name, full at first. It may be overdrawn by what nobody could know beforehand."""

    def __init__(self, rate: Rate) -> None:
        self.rate = rate
        self._held: dict[str, tuple[float, float]] = {}

    def wait(self, name: str, moment: float) -> int:
        """Whole seconds until this name may ask again; 0: now."""
        level = self._level(name, moment)
        return 0 if level >= 1 else math.ceil((1 - level) / self.rate.a_second)

    def charge(self, name: str, moment: float, cost: float = 1) -> None:
        """Take so much out of the bucket, below nothing if need be."""
        level = self._level(name, moment) - cost
        self._held.pop(name, None)  # the newest stands last
        self._held[name] = (max(level, -self.rate.at_once), moment)
        if len(self._held) > BUCKETS_KEPT:
            del self._held[next(iter(self._held))]

    def _level(self, name: str, moment: float) -> float:
        level, since = self._held.get(name, (self.rate.at_once, moment))
        return min(self.rate.at_once, level + (moment - since) * self.rate.a_second)

    def __len__(self) -> int:
        return len(self._held)


class Limits:
    """The three limits: calls and events of an agent, registrations from an address (a bad token counts harder)."""

    BAD_TOKEN = 50

    def __init__(self, calls: float, events: float, registrations: float) -> None:
        self.calls = Buckets(Rate(calls, 10 * calls))
        self.events = Buckets(Rate(events, 20 * events))
        self.registrations = Buckets(Rate(registrations, 100 * registrations))

    def enter(self, path: str, who: str, address: str) -> int:
        """Let a call in, and count it: 0; or how many seconds it has to wait."""
        moment = time.monotonic()
        bucket, name = (self.registrations, address) if path == "register" else (self.calls, who)
        wait = bucket.wait(name, moment)
        if path == "events":
            wait = max(wait, self.events.wait(who, moment))
        if not wait:
            bucket.charge(name, moment)
        return wait

    def answered(self, path: str, who: str, address: str, given: Answer) -> int:
        """What an answered call costs besides: a bad token, and so many events; returns how many those were."""
        moment = time.monotonic()
        if path == "register" and given.status == HTTPStatus.UNAUTHORIZED:
            self.registrations.charge(address, moment, self.BAD_TOKEN)
        if path != "events" or given.status != HTTPStatus.ACCEPTED or not isinstance(given.body, dict):
            return 0
        told = sum(len(given.body[part]) for part in ("accepted", "duplicate", "rejected"))
        self.events.charge(who, moment, told)
        return told


def too_much(wait: int) -> Answer:
    """The answer to who has to wait so many seconds."""
    return refusal("slow_down", 429, f"Too much at once. Come again in {wait} seconds.", wait)
