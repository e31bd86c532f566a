"""The second thread of a simulated agent: holds a poll and does what is asked the moment it is asked (DESIGN 8)."""

import threading
from collections.abc import Callable

from broker.demo.desktops.calls import Away, Refused


class Ear(threading.Thread):
    """`poll` fetches and obeys, held by the broker; it returns how long to pause before the next."""

    def __init__(self, name: str, ready: Callable[[], bool], poll: Callable[[], float], pause: float) -> None:
        super().__init__(name=f"ear of {name}", daemon=True)
        self.ended = threading.Event()
        self._ready, self._poll, self._pause = ready, poll, pause

    def run(self) -> None:
        """Until ended; a poll that is held then ends by itself, and nothing comes of it."""
        while not self.ended.is_set():
            self.ended.wait(self._turn())

    def _turn(self) -> float:
        if not self._ready():
            return self._pause
        try:
            return self._poll()
        except (Away, Refused):  # the other thread meets the same trouble, and knows what to do
            return self._pause
