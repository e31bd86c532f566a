"""How much one gateway, or one stranger, may ask of a process: token buckets on the monotonic clock."""

import math
import time
from threading import Lock

KEPT = 10_000  # names; beyond, the one that asked longest ago is forgotten


class Bucket:
    """So much a second in the long run, and so much at once, for each name."""

    def __init__(self, a_second: float, at_once: float) -> None:
        self.a_second, self.at_once = a_second, at_once
        self._held: dict[str, tuple[float, float]] = {}
        self._lock = Lock()  # requests are threads

    def wait(self, name: str) -> int:
        """In how many seconds this name may ask again; 0: now."""
        with self._lock:
            level = self._level(name, time.monotonic())
        return 0 if level >= 1 else math.ceil((1 - level) / self.a_second)

    def charge(self, name: str, cost: float) -> None:
        """Take so much out, below nothing if need be."""
        moment = time.monotonic()
        with self._lock:
            level = self._level(name, moment) - cost
            self._held.pop(name, None)  # the newest stands last
            self._held[name] = (max(level, -self.at_once), moment)
            if len(self._held) > KEPT:
                del self._held[next(iter(self._held))]

    def _level(self, name: str, moment: float) -> float:
        level, since = self._held.get(name, (self.at_once, moment))
        return min(self.at_once, level + (moment - since) * self.a_second)
