"""Pipes of 64 KiB, the kernel's default: it grants an unprivileged user no more of larger ones (measured)."""

import os
from collections import deque
from collections.abc import Callable

SIZE = 65_536
Pipe = tuple[int, int]  # read end, write end


class Pipes:
    """A pool. A pipe is held only while bytes are in flight, so a few serve thousands of connections.

    At most `limit` are out: who finds none waits in line, and so clients who do not read bound themselves.
    """

    def __init__(self, limit: int = 512, spare: int = 16) -> None:
        self.limit, self.out = limit, 0
        self._spare = spare
        self._idle: list[Pipe] = []
        self._waiting: deque[Callable[[Pipe], bool]] = deque()

    def take(self) -> Pipe | None:
        """An empty pipe, or None: none is left. Raises OSError where no file can be opened any more."""
        if self.out >= self.limit:
            return None
        pipe = self._idle.pop() if self._idle else os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self.out += 1
        return pipe

    def wait(self, ready: Callable[[Pipe], bool]) -> None:
        """Hand the next free one to `ready`, which says whether it still wants it."""
        self._waiting.append(ready)

    def give(self, pipe: Pipe, *, empty: bool) -> None:
        """Take it back and hand it on; one that still holds somebody's bytes is thrown away."""
        self._put(pipe, empty)
        while self._waiting and (free := self.take()):
            if self._waiting.popleft()(free):
                return
            self._put(free, True)

    def _put(self, pipe: Pipe, empty: bool) -> None:
        self.out -= 1
        if empty and len(self._idle) < self._spare:
            self._idle.append(pipe)
        else:
            os.close(pipe[0])
            os.close(pipe[1])

    def close(self) -> None:
        """Close the idle ones."""
        while self._idle:
            for end in self._idle.pop():
                os.close(end)
