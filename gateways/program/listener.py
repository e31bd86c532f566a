"""Takes connections, and keeps little for those who do not get on: no byte, no handshake, no request.

A connection costs a descriptor until its first byte has come; only then TLS begins. In each of three pens - silent,
shaking hands, not yet asking - there is room for some and for a time, and the oldest goes when a new one finds none:
who means it is through in a moment, so a flood of half-open connections pushes out itself.
"""

import asyncio
import gc
import logging
import socket
import ssl
from asyncio import sslproto
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from aiohttp import web
from aiohttp.typedefs import Handler

log = logging.getLogger(__name__)
T = TypeVar("T")
SILENT = 10.0  # seconds without a byte
SHAKING = 10.0  # seconds for the TLS handshake
ASKING = 10.0  # seconds for the head of a request
RESTING = 80.0  # seconds between two requests; the server hangs up by itself before that (server.KEEP_ALIVE)
AT_ONCE = 200  # connections taken in one turn of the loop
HELLO = b"\x16"  # what TLS begins with
FAILURES = 300  # handshakes whose remains, cycles with buffers in them, are collected at once and not at some time
# asyncio gives each TLS connection a quarter of a megabyte to read into; its time is bounded, its number is large.
sslproto.SSLProtocol.max_size = 65_536


@dataclass(frozen=True, slots=True)
class Room:
    """How many at a time: silent ones, handshakes, those who have not asked yet, and all together."""

    silent: int = 2_000
    shaking: int = 500
    asking: int = 1_000
    all: int = 10_000


class Pen(Generic[T]):
    """Those who have still to do something. `drop` ends one that is too late, or the oldest of too many."""

    def __init__(self, limit: int, seconds: float, drop: Callable[[T], object]) -> None:
        self.limit, self.seconds, self._drop = limit, seconds, drop
        self._since: dict[T, float] = {}  # the oldest first

    def __len__(self) -> int:
        return len(self._since)

    def __contains__(self, one: T) -> bool:
        return one in self._since

    def add(self, one: T, at: float) -> None:
        """It has `seconds` from now on; the oldest makes room."""
        self._since.setdefault(one, at)
        if len(self._since) > self.limit:
            self.drop_oldest()

    def remove(self, one: T) -> None:
        """It has done it, or is gone."""
        self._since.pop(one, None)

    def drop_oldest(self) -> bool:
        """Whether there was one."""
        if not self._since:
            return False
        oldest = next(iter(self._since))
        del self._since[oldest]
        self._drop(oldest)
        return True

    def sweep(self, at: float) -> None:
        """End those who are late."""
        while self._since and next(iter(self._since.values())) + self.seconds <= at:
            self.drop_oldest()


class Guarded(asyncio.Protocol):
    """Stands before aiohttp's protocol, which has no patience limit for the head of a request.

    Between `asked` and `answered` (see `watch`) a request is being served; outside it, the first byte starts the clock.
    """

    def __init__(self, inner: web.RequestHandler, listener: "Listener") -> None:
        self.inner, self.listener = inner, listener
        self.busy = False
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The handshake is done: now ask."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - for the type checker
        self.transport = transport
        self.listener.arrived(self)
        self.inner.connection_made(transport)

    def data_received(self, data: bytes) -> None:
        """Of a request."""
        if not self.busy:
            self.listener.resting.remove(self)
            self.listener.asking.add(self, self.listener.time())
        self.inner.data_received(data)

    def asked(self) -> None:
        """A whole head has come."""
        self.busy = True
        self.listener.asking.remove(self)
        self.listener.resting.remove(self)  # it came together with the one before

    def answered(self) -> None:
        """The next request may begin; until then it may be sent away, should others need the room."""
        self.busy = False
        self.listener.rests(self)

    def hang_up(self) -> None:
        """It took too long."""
        if self.transport is not None:
            self.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Gone."""
        self.listener.gone(self)
        self.inner.connection_lost(exc)

    def eof_received(self) -> bool | None:
        """Half closed: aiohttp decides."""
        self.inner.eof_received()
        return None

    def pause_writing(self) -> None:
        """The other end reads slowly."""
        self.inner.pause_writing()

    def resume_writing(self) -> None:
        """It has caught up."""
        self.inner.resume_writing()


class Listener:
    """`protocols` makes aiohttp's protocol for each connection."""

    def __init__(self, protocols: Callable[[], web.RequestHandler], context: ssl.SSLContext, room: Room) -> None:
        self.protocols, self.context, self.room = protocols, context, room
        self.loop = asyncio.get_running_loop()
        self.time = self.loop.time
        self.silent: Pen[socket.socket] = Pen(room.silent, SILENT, self._forget)
        self.shaking: Pen[asyncio.Task[None]] = Pen(room.shaking, SHAKING, lambda task: task.cancel())
        self.asking: Pen[Guarded] = Pen(room.asking, ASKING, Guarded.hang_up)
        self.resting: Pen[Guarded] = Pen(room.all, RESTING, Guarded.hang_up)
        self.arrivals: set[Guarded] = set()  # through the handshake
        self._failed = 0
        self._sockets: list[socket.socket] = []
        self._sweeper: asyncio.Task[None] | None = None

    def __len__(self) -> int:
        return len(self.silent) + len(self.shaking) + len(self.arrivals)

    def listen(self, host: str, port: int) -> int:
        """Begin; the port (where 0 was asked for, any). Raises OSError."""
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        made = socket.create_server((host, port), family=family, backlog=4_096, dualstack_ipv6=host == "::")
        made.setblocking(False)
        self._sockets.append(made)
        self.loop.add_reader(made, self._accept, made)
        self._sweeper = self._sweeper or self.loop.create_task(self._sweep())
        return int(made.getsockname()[1])

    def close(self) -> None:
        """Take nobody more; who is being served stays."""
        for each in self._sockets:
            self.loop.remove_reader(each)
            each.close()
        self._sockets.clear()
        if self._sweeper:
            self._sweeper.cancel()
        for pen in (self.silent, self.shaking):
            while pen.drop_oldest():
                pass

    def arrived(self, one: Guarded) -> None:
        """Through the handshake."""
        self.arrivals.add(one)
        self.asking.add(one, self.time())

    def gone(self, one: Guarded) -> None:
        """Closed by either side."""
        self.arrivals.discard(one)
        self.asking.remove(one)
        self.resting.remove(one)

    def rests(self, one: Guarded) -> None:
        """It was answered, and has not asked again yet."""
        if one in self.arrivals:
            self.resting.add(one, self.time())

    def _accept(self, listening: socket.socket) -> None:
        for _ in range(AT_ONCE):
            try:
                one, _address = listening.accept()
            except BlockingIOError:
                return
            except OSError as error:  # out of descriptors, or the peer is gone already
                log.error("listener.cannot_accept", extra={"why": str(error)})
                self.silent.drop_oldest()
                return
            if len(self) >= self.room.all and not self._make_room():
                one.close()
                continue
            one.setblocking(False)
            self.silent.add(one, self.time())
            self.loop.add_reader(one, self._spoken, one)

    def _make_room(self) -> bool:
        return any(pen.drop_oldest() for pen in (self.silent, self.asking, self.resting))

    def _forget(self, one: socket.socket) -> None:
        self.loop.remove_reader(one)
        one.close()

    def _spoken(self, one: socket.socket) -> None:
        self.loop.remove_reader(one)
        self.silent.remove(one)
        try:
            begins = one.recv(1, socket.MSG_PEEK)
        except OSError:
            begins = b""
        if begins != HELLO:
            one.close()
            return
        task = self.loop.create_task(self._shake(one))
        self.shaking.add(task, self.time())
        task.add_done_callback(self._shaken)

    def _shaken(self, task: asyncio.Task[None]) -> None:
        """Who does not get through is nobody's trouble: nothing is said, but it leaves something behind."""
        self.shaking.remove(task)
        self._failed += task.cancelled() or task.exception() is not None
        if self._failed >= FAILURES:
            self._failed = 0
            gc.collect()

    async def _shake(self, one: socket.socket) -> None:
        await self.loop.connect_accepted_socket(
            self._guarded, one, ssl=self.context, ssl_handshake_timeout=SHAKING, ssl_shutdown_timeout=2.0
        )

    def _guarded(self) -> Guarded:
        return Guarded(self.protocols(), self)

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(0.5)
            for pen in (self.silent, self.shaking, self.asking, self.resting):
                pen.sweep(self.time())


@web.middleware
async def watch(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Tell the connection's guard when a request begins and ends."""
    transport = request.transport
    guard = transport.get_protocol() if transport is not None else None
    if not isinstance(guard, Guarded):
        return await handler(request)
    guard.asked()
    try:
        return await handler(request)
    finally:
        guard.answered()
