"""The screens of all machines: only so many at a time, and none for longer than somebody looks now and then."""

import contextlib
import threading
import time
from collections.abc import Callable
from concurrent.futures import CancelledError, ThreadPoolExecutor
from typing import Protocol

from broker.demo.desktops.screen.screen import NoScreen, Screen, sweep_folders

AT_ONCE = 4
IDLE = 600.0  # seconds without a visitor


class Holder(Protocol):
    """Whose screen it is."""

    @property
    def deserted_since(self) -> float | None:
        """When the last visitor left; None while one is there."""

    def stop(self) -> None:
        """Give the screen up."""


class Screens:
    """One thread starts them all: the kernel ends what it started when it ends, and it ends with this program."""

    def __init__(self, log: Callable[[str], None], clock: Callable[[], float] = time.monotonic) -> None:
        self.log, self.clock = log, clock
        self._starter = ThreadPoolExecutor(1, "screens")
        self._held: dict[Holder, Screen] = {}
        self._lock = threading.Lock()
        sweep_folders()

    def start(self, holder: Holder, screen: Screen) -> None:
        """Raises NoScreen; then nothing of it is left."""
        try:
            self._starter.submit(self._start, holder, screen).result()
        except NoScreen:
            screen.stop()
            raise
        except (RuntimeError, CancelledError) as error:
            screen.stop()
            raise NoScreen("the demo ends") from error

    def _start(self, holder: Holder, screen: Screen) -> None:
        with self._lock:
            others = dict(self._held)
        if len(others) >= AT_ONCE:
            self._make_room(others)
        screen.start()
        with self._lock:
            self._held[holder] = screen

    def _make_room(self, others: dict[Holder, Screen]) -> None:
        deserted = [(since, id(each), each) for each in others if (since := each.deserted_since) is not None]
        if not deserted:
            raise NoScreen(f"the demo shows {AT_ONCE} desktops at a time, and somebody is at each of them")
        min(deserted)[2].stop()

    def stop(self, holder: Holder) -> None:
        """End a holder's screen where it has one."""
        with self._lock:
            screen = self._held.pop(holder, None)
        if screen is not None:
            screen.stop()

    def later(self, work: Callable[[], None]) -> None:
        """Do something with a screen that must not be done here and now."""
        with contextlib.suppress(RuntimeError):  # we are ending
            self._starter.submit(work)

    def sweep(self) -> None:
        """End those that nobody has looked at for long."""
        with self._lock:
            held = list(self._held)
        for each in held:
            since = each.deserted_since
            if since is not None and self.clock() >= since + IDLE:
                self.later(each.stop)

    def close(self) -> None:
        """End all, and the thread."""
        with self._lock:
            held = list(self._held)
        for each in held:
            self.stop(each)
        self._starter.shutdown(cancel_futures=True)
