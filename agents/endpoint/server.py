"""uvicorn, with the patience of an endpoint that anybody can reach, and everything that runs beside it."""

import asyncio
import contextlib
import logging
import resource
import signal
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from agents.calls import refusal
from agents.endpoint.app import Application
from agents.endpoint.bell import Bell
from agents.endpoint.database import Database, new_pool
from agents.endpoint.ear import Ear
from agents.endpoint.figures import Figures
from agents.endpoint.waiters import Waiters
from agents.limits import Limits
from agents.views import broker_ca

log = logging.getLogger(__name__)
HEADERS_WITHIN = 10.0  # seconds for the head of a request
HEADERS_LIMIT = 16_384  # bytes
KEEP_ALIVE = 75  # seconds; a proxy in front keeps its connections
ENDING = 3  # seconds for what is under way when we are told to end
OTHER_FILES = 200  # descriptors that are no agents: database, Redis, log


@dataclass(frozen=True)
class Options:
    """Where to listen, with which certificate, how many connections at most, and the limits for one agent."""

    host: str
    port: int
    limits: Limits
    connections: int = 15_000
    certificate: Path | None = None
    key: Path | None = None


class AlwaysOpen(asyncio.Event):
    """For flow control: our answers are small, nobody waits until a peer reads. One for all saves 8 MB in 10,000."""

    def clear(self) -> None:
        """Stays as it is."""


class Loop(asyncio.SelectorEventLoop):
    """Gives a TLS handshake as little time as a request's head: until it is done, nobody counts the connection."""

    async def create_server(self, *args: Any, **kwargs: Any) -> asyncio.Server:
        """As asyncio's, with that limit."""
        if kwargs.get("ssl"):
            kwargs["ssl_handshake_timeout"] = HEADERS_WITHIN
        made: asyncio.Server = await super().create_server(*args, **kwargs)
        return made


class Patient(H11Protocol):
    """Hangs up on who sends no whole request head in time, and on everybody while there are too many."""

    limit = 0
    open = AlwaysOpen()
    _due: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Give it HEADERS_WITHIN for its first request."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - for the type checker
        super().connection_made(transport)
        self.access_log = False
        self.flow._is_writable_event = self.open
        if len(self.connections) > self.limit:
            transport.abort()
        self._watch()

    def data_received(self, data: bytes) -> None:
        """The clock runs between requests as soon as something of the next one has come."""
        super().data_received(data)
        self._watch()

    def _watch(self) -> None:
        busy = self.cycle is not None and not self.cycle.response_complete
        if busy and self._due:
            self._due.cancel()
            self._due = None
        elif not busy and not self._due:
            self._due = self.loop.call_later(HEADERS_WITHIN, self._hang_up)

    def _hang_up(self) -> None:
        self._due = None
        if self.cycle is None or self.conn.their_state is not h11.IDLE or self.conn.trailing_data[0]:
            self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the clock."""
        if self._due:
            self._due.cancel()
        super().connection_lost(exc)

    def send_400_response(self, msg: str) -> None:
        """What is no HTTP gets the protocol's own error form."""
        content, kind = refusal("bad_request", 400, msg).content
        head = h11.Response(
            status_code=400,
            headers=[("content-type", kind), ("content-length", str(len(content))), ("connection", "close")],
        )
        for event in (head, h11.Data(data=content), h11.EndOfMessage()):
            self.transport.write(self.conn.send(event) or b"")
        self.transport.close()


class Server(uvicorn.Server):
    """Answers the polls that it holds before it ends."""

    def __init__(self, config: uvicorn.Config, waiters: Waiters) -> None:
        super().__init__(config)
        self.waiters = waiters

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """In order, within ENDING seconds."""
        self.waiters.end()
        await super().shutdown(sockets)


class Endpoint:
    """All parts together. Make it inside the event loop."""

    def __init__(self, options: Options) -> None:
        limit = min(options.connections, open_files() - OTHER_FILES)
        self.waiters = Waiters(limit * 9 // 10)  # the rest is for events: polls beyond are answered at once
        self.database = Database(new_pool(), self.waiters)
        self.bell, self.ear = Bell(), Ear(self.database)
        figures = Figures(self.waiters.__len__, lambda: len(self.server.server_state.connections))
        self.application = Application(self.database, options.limits, self.bell, figures, broker_ca)
        self.server = Server(config(options, self.application, limit), self.waiters)

    async def serve(self) -> None:
        """Until a signal."""
        await self.database.pool.open(wait=False)
        beside = [asyncio.create_task(each) for each in (self.bell.run(), self.ear.listen(), self.ear.look())]
        for task in beside:
            task.add_done_callback(self._ended)
        try:
            await self.server.serve()
        finally:
            for task in beside:
                task.cancel()
            await asyncio.gather(*beside, return_exceptions=True)
            self.database.threads.shutdown(wait=True)
            await self.database.pool.close()

    def _ended(self, task: asyncio.Task[None]) -> None:
        """What runs for ever has ended: without it agents would wait in vain, so end, and be started anew."""
        if not task.cancelled():
            log.error("A part of the endpoint failed; it ends.", exc_info=task.exception())
            self.server.should_exit = True


def config(options: Options, application: Application, limit: int) -> uvicorn.Config:
    """uvicorn's settings: no access log, no websockets, no header of a proxy believed (we look ourselves)."""
    Patient.open.set()
    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)  # not a line for each stranger's garbage
    return uvicorn.Config(
        application,
        host=options.host,
        port=options.port,
        http=type("Patient", (Patient,), {"limit": limit}),
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE,
        timeout_graceful_shutdown=ENDING,
        h11_max_incomplete_event_size=HEADERS_LIMIT,
        ssl_certfile=options.certificate,
        ssl_keyfile=options.key,
    )


def open_files() -> int:
    """How many descriptors we may have: as many as the system lets us."""
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def serve(options: Options) -> None:
    """Run the endpoint in this process until SIGTERM or SIGINT."""

    async def run() -> None:
        await Endpoint(options).serve()

    for number in (signal.SIGTERM, signal.SIGINT):  # uvicorn raises them again when it is done
        signal.signal(number, lambda *_: None)
    with asyncio.Runner(loop_factory=Loop) as runner:
        runner.run(run())
