"""The portable engine: asyncio streams, for systems that have no splice."""

import asyncio
import socket
from collections.abc import Callable

from gateways.program.ports.engine import Watcher, hard
from gateways.program.sessions import By

SIZE = 65_536


class Streams:
    """Two tasks and two buffers for a connection."""

    name = "streams"

    def join(self, client: socket.socket, desktop: socket.socket, watcher: Watcher) -> "StreamsLink":
        """Begin."""
        return StreamsLink(client, desktop, watcher)


class StreamsLink:
    """A task that runs until both sides are done."""

    def __init__(self, client: socket.socket, desktop: socket.socket, watcher: Watcher) -> None:
        self.sockets, self.watcher = (client, desktop), watcher
        self.first: By | None = None
        self._writers: list[asyncio.StreamWriter] = []
        self._task = asyncio.create_task(self._run())
        self._task.add_done_callback(self._close)

    def cut(self) -> None:
        """Close both at once."""
        self._task.cancel()
        self._abort()

    def _abort(self) -> None:
        for each in self.sockets:
            hard(each)
        for writer in self._writers:
            writer.transport.abort()

    def _close(self, _: object) -> None:
        for each in self.sockets:
            each.close()

    async def _run(self) -> None:
        try:
            await self._pass_on()
        except* OSError:
            self._abort()
        self.watcher.done(self.first or "user")

    async def _pass_on(self) -> None:
        client, to_client = await asyncio.open_connection(sock=self.sockets[0], limit=SIZE)
        self._writers.append(to_client)
        desktop, to_desktop = await asyncio.open_connection(sock=self.sockets[1], limit=SIZE)
        self._writers.append(to_desktop)
        async with asyncio.TaskGroup() as both:
            both.create_task(self._copy("user", client, to_desktop, self.watcher.came))
            both.create_task(self._copy("desktop", desktop, to_client, self.watcher.went))
        for writer in self._writers:
            writer.close()
            await writer.wait_closed()

    async def _copy(
        self, side: By, source: asyncio.StreamReader, target: asyncio.StreamWriter, count: Callable[[int], None]
    ) -> None:
        try:
            while data := await source.read(SIZE):
                count(len(data))
                target.write(data)
                await target.drain()
            target.write_eof()
        except OSError:
            other: By = "desktop" if side == "user" else "user"
            self.first = self.first or (side if source.exception() else other)
            raise
        if self.first is None:
            self.first = side
            self.watcher.half()
