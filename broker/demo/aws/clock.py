"""The account's clock: real time plus what tests and the control page stepped it by."""

import time
from collections.abc import Callable


class Clock:
    """Seconds since 1970. `source` is replaced by tests that want time to stand still."""

    def __init__(self, source: Callable[[], float] = time.time, offset: float = 0.0) -> None:
        self._source = source
        self.offset = offset

    def now(self) -> float:
        """The account's present."""
        return self._source() + self.offset

    def step(self, seconds: float) -> None:
        """Let `seconds` pass at once."""
        if seconds < 0:
            raise ValueError("time does not run backwards")
        self.offset += seconds
