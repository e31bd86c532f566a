"""Which hosts of a directory are down, and how many calls each directory gets at once (CONTRACTS 5.15).

Kept in the memory of one process; losing it costs one slow attempt.
"""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from authservers.directories.base import DirectoryBusy

SIGN_INS_AT_ONCE, LISTS_AT_ONCE = 4, 2
REST_SECONDS = 30.0

Key = tuple[str, int]


class Deadline:
    """The end of an attempt, in seconds from now."""

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.seconds, self._clock, self._end = seconds, clock, clock() + seconds

    def left(self) -> float:
        """Seconds that are left. Raises TimeoutError at the end."""
        left = self._end - self._clock()
        if left <= 0:
            raise TimeoutError("timed out")
        return left


class HostMemory:
    """Hosts that failed lately are tried last; a directory that is full refuses at once."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self._down: dict[Key, float] = {}
        self._busy: dict[tuple[str, tuple[str, ...], int], int] = {}
        self._lock = threading.Lock()

    def order(self, hosts: Sequence[str], port: int) -> list[str]:
        """The hosts in their order, those that failed in the last 30 seconds behind the others."""
        since = self.clock() - REST_SECONDS
        with self._lock:
            return sorted(hosts, key=lambda host: self._down.get((host, port), since) > since)

    def failed(self, host: str, port: int) -> None:
        """This host did not answer."""
        with self._lock:
            self._down[host, port] = self.clock()

    def answered(self, host: str, port: int) -> None:
        """This host is well."""
        with self._lock:
            self._down.pop((host, port), None)

    @contextmanager
    def place(self, hosts: tuple[str, ...], port: int, kind: str) -> Iterator[None]:
        """One of the places for sign-ins ("sign-in") or for lists ("list"). Raises DirectoryBusy when all are taken."""
        key, most = (kind, hosts, port), SIGN_INS_AT_ONCE if kind == "sign-in" else LISTS_AT_ONCE
        with self._lock:
            taken = self._busy.get(key, 0)
            if taken >= most:
                raise DirectoryBusy(f"The directory is busy: {taken} requests wait for {', '.join(hosts)} already.")
            self._busy[key] = taken + 1
        try:
            yield
        finally:
            with self._lock:
                self._busy[key] -= 1


MEMORY = HostMemory()
