"""Pipes for splice. Large ones cost half the CPU of those of the kernel's default size, measured, but an unprivileged
user gets only some: so the first ones are large and kept, and what is wanted beyond them is small and thrown away.
"""

import fcntl
import os
from typing import NamedTuple

LARGE = 1 << 20  # bytes; the most that an unprivileged user may ask for
KEPT = 16
F_SETPIPE_SZ = 1031  # Linux; the fcntl module names it only there


class Pipe(NamedTuple):
    """Its two ends."""

    read: int
    write: int
    kept: bool


class Pipes:
    """A pool. A pipe is held only while bytes are in flight, so a few serve thousands of connections.

    At most `limit` are out: clients who do not read may hold all of them. Who finds none goes on without.
    """

    def __init__(self, limit: int = 512) -> None:
        self.limit, self.out = limit, 0
        self._kept = 0
        self._idle: list[Pipe] = []

    def take(self) -> Pipe | None:
        """An empty pipe, or None: none is left."""
        if self.out >= self.limit:
            return None
        try:
            pipe = self._idle.pop() if self._idle else self._made()
        except OSError:  # no file can be opened any more
            return None
        self.out += 1
        return pipe

    def _made(self) -> Pipe:
        pipe = Pipe(*os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC), kept=self._kept < KEPT)
        if pipe.kept:
            self._kept += 1
            enlarge(pipe)
        return pipe

    def give(self, pipe: Pipe, *, empty: bool) -> None:
        """Take it back; one that still holds somebody's bytes is thrown away."""
        self.out -= 1
        if pipe.kept and empty:
            self._idle.append(pipe)
        else:
            self._kept -= pipe.kept
            shut(pipe)

    def close(self) -> None:
        """Close the idle ones."""
        while self._idle:
            shut(self._idle.pop())
            self._kept -= 1


def enlarge(pipe: Pipe) -> None:
    """As large as the kernel lets us."""
    try:
        fcntl.fcntl(pipe.write, F_SETPIPE_SZ, LARGE)
    except OSError:  # this user has as many as it may: it stays as it is
        return


def shut(pipe: Pipe) -> None:
    """Close both ends."""
    os.close(pipe.read)
    os.close(pipe.write)
