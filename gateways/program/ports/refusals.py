"""Who was not let in: counted, and told to the broker without letting a flood of them flood the broker."""

import logging
from collections.abc import Callable

from gateways.program.ports.limits import Bucket
from gateways.program.registry import Clock, Refusal

log = logging.getLogger(__name__)
AGAIN = 60.0  # seconds after which the same refusal is told again
REMEMBERED = 1_000
PACE, BURST = 10.0, 100.0  # told in a second, whoever is refused


class Refusals:
    """`count` is of all since the start."""

    def __init__(self, tell: Callable[[Refusal], None], clock: Clock) -> None:
        self.tell, self.clock, self.count = tell, clock, 0
        self._told: dict[tuple[str, str, str], float] = {}
        self._bucket = Bucket(BURST, clock())

    def note(self, why: str, address: str, session_id: str = "") -> None:
        """One more; told where it is news."""
        self.count += 1
        at, what = self.clock(), (why, address, session_id)
        lately = 0 <= at - self._told.get(what, -AGAIN) < AGAIN  # a clock that was put back has not told it yet
        if lately or not self._bucket.take(PACE, BURST, at):
            return
        self._told.pop(what, None)
        if len(self._told) >= REMEMBERED:
            del self._told[next(iter(self._told))]
        self._told[what] = at
        log.warning("port.refused", extra={"why": why, "client": address, "session": session_id})
        self.tell(Refusal(at, why, address, session_id))
