"""The engine of Linux: the kernel moves the bytes from socket to socket through a pipe; this process never sees them.

No task and no buffer for a connection: two callbacks in the event loop. With no pipe left we copy, and hold nothing.
"""

import asyncio
import os
import socket
from collections.abc import Callable

from gateways.program.ports.engine import Watcher, reset
from gateways.program.ports.pipes import LARGE, Pipe, Pipes
from gateways.program.sessions import By

TURNS = 4  # pipes full for one connection before the others have their turn
MUCH = 65_536  # bytes: where fewer came, that was all, and looking once more costs more than it brings
FLAGS = 0x01 | 0x02  # SPLICE_F_MOVE, SPLICE_F_NONBLOCK: the os module names them only where there is splice


class Splice:
    """All links of a process share its pipes."""

    name = "splice"

    def __init__(self, pipes: Pipes | None = None) -> None:
        self.pipes = pipes or Pipes()

    def join(self, client: socket.socket, desktop: socket.socket, watcher: Watcher) -> "SpliceLink":
        """Begin."""
        return SpliceLink(self.pipes, client, desktop, watcher)


class SpliceLink:
    """Two flows. Whichever side ends first is remembered as who ended it."""

    __slots__ = ("client", "desktop", "down", "first", "loop", "pipes", "up", "watcher")

    def __init__(self, pipes: Pipes, client: socket.socket, desktop: socket.socket, watcher: Watcher) -> None:
        self.loop, self.pipes, self.watcher = asyncio.get_running_loop(), pipes, watcher
        self.client, self.desktop = client, desktop
        self.first: By | None = None
        self.up = Flow(self, client, desktop, watcher.came)
        self.down = Flow(self, desktop, client, watcher.went)

    def cut(self) -> None:
        """Close both at once."""
        self.up.stop()
        self.down.stop()
        reset(self.client)
        reset(self.desktop)

    def ended(self, side: socket.socket) -> None:
        """This side sends no more."""
        self.first = self.first or self._who(side)
        if self.up.over and self.down.over:
            self.client.close()
            self.desktop.close()
            self.watcher.done(self.first)
        else:
            self.watcher.half()

    def failed(self, side: socket.socket) -> None:
        """This side is gone: the other learns it as it would from the side itself."""
        self.first = self.first or self._who(side)
        self.cut()
        self.watcher.done(self.first)

    def _who(self, side: socket.socket) -> By:
        return "user" if side is self.client else "desktop"


class Flow:
    """One direction. It reads whenever the source has bytes and no earlier ones are still in its pipe."""

    __slots__ = ("count", "eof", "held", "into", "link", "out_of", "over", "pipe", "source", "target")

    def __init__(
        self, link: SpliceLink, source: socket.socket, target: socket.socket, count: Callable[[int], None]
    ) -> None:
        self.link, self.source, self.target, self.count = link, source, target, count
        self.pipe: Pipe | None = None
        self.held = 0  # bytes in the pipe
        self.eof = self.over = False
        self.out_of, self.into = source.fileno(), target.fileno()
        link.loop.add_reader(self.out_of, self.read)

    def read(self) -> None:
        """The source has bytes, or its end."""
        if self.over:
            return
        self.pipe = self.pipe or self.link.pipes.take()
        if self.pipe is None:
            self._by_hand()
            return
        for turn in range(TURNS):
            if not self._fill():
                if not turn and not self.over:
                    self._by_hand()  # readable, but not for splice: urgent data stands in front
                break
            much = self.held >= MUCH
            if not self._drain() or not much:
                break
        if not self.held and not self.over:
            self._let_go()

    def _by_hand(self) -> None:
        """Clients who do not read hold all pipes: copy. What the target does not take stays where it is."""
        try:
            data = self.source.recv(MUCH, socket.MSG_PEEK)
        except BlockingIOError:
            return
        except OSError:
            self.link.failed(self.source)
            return
        if data:
            self._hand_over(data)
        else:
            self.eof = True
            self.link.loop.remove_reader(self.out_of)
            self._end()

    def _hand_over(self, data: bytes) -> None:
        try:
            count = self.target.send(data)
        except BlockingIOError:
            self._await_target()
            return
        except OSError:
            self.link.failed(self.target)
            return
        self.source.recv(count)  # seen before, so they are there
        self.count(count)

    def _await_target(self) -> None:
        self.link.loop.remove_reader(self.out_of)
        self.link.loop.add_writer(self.into, self._write)

    def _fill(self) -> bool:
        """Whether there is something to drain, or an end to pass on."""
        assert self.pipe is not None  # noqa: S101 - for the type checker
        try:
            count = os.splice(self.out_of, self.pipe.write, LARGE, None, None, FLAGS)
        except BlockingIOError:
            return False
        except OSError:
            self.link.failed(self.source)
            return False
        self.held += count
        if count:
            self.count(count)
        else:
            self.eof = True
            self.link.loop.remove_reader(self.out_of)
        return not self.over  # the watcher may have cut us

    def _drain(self) -> bool:
        """Whether all is passed on and there may be more to read."""
        assert self.pipe is not None  # noqa: S101 - for the type checker
        while self.held:
            try:
                self.held -= os.splice(self.pipe.read, self.into, self.held, None, None, FLAGS)
            except BlockingIOError:
                self._await_target()
                return False
            except OSError:
                self.link.failed(self.target)
                return False
        if self.eof:
            self._end()
        return not self.eof

    def _write(self) -> None:
        """The target takes bytes again."""
        self.link.loop.remove_writer(self.into)
        if self.pipe is None or self._drain():
            self._let_go()
            self.link.loop.add_reader(self.out_of, self.read)

    def _end(self) -> None:
        self._let_go()
        self.over = True
        try:
            self.target.shutdown(socket.SHUT_WR)
        except OSError:
            self.link.failed(self.target)
            return
        self.link.ended(self.source)

    def _let_go(self) -> None:
        pipe, self.pipe = self.pipe, None
        if pipe is not None:
            empty, self.held = not self.held, 0
            self.link.pipes.give(pipe, empty=empty)

    def stop(self) -> None:
        """Let go of everything but the sockets."""
        self.over = True
        if self.source.fileno() >= 0:
            self.link.loop.remove_reader(self.source.fileno())
        if self.target.fileno() >= 0:
            self.link.loop.remove_writer(self.target.fileno())
        self._let_go()
