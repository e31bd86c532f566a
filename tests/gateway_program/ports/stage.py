"""Forwarded ports in one event loop: real sockets, a clock that stands still, a desktop that does as it is told."""

import asyncio
import random
import secrets
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from gateways.program.ports import Options, Ports
from gateways.program.ports.engine import Engine
from gateways.program.ports.engines import engine_named
from gateways.program.ports.limits import Limits
from gateways.program.ports.pipes import Pipes
from gateways.program.ports.splice import Splice
from gateways.program.registry import Limits as RegistryLimits
from gateways.program.registry import Registry
from gateways.program.sessions import Session
from gateways.wire import Opening
from tests.gateway_program.world import Clock
from tests.ports import MANY

HOME = "127.0.0.1"
OTHER = "127.0.0.2"  # every address of 127/8 is this machine's
Pair = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Act = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def until(condition: Callable[[], bool], what: str, seconds: float = 20.0) -> None:
    """Return as soon as it holds."""
    async with asyncio.timeout(seconds) as patience:
        while not condition():
            assert not patience.expired(), what
            await asyncio.sleep(0.002)


async def turns() -> None:
    """Let the loop do what it has to do anyway."""
    for _ in range(5):
        await asyncio.sleep(0)


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Say everything again; end when the other side does."""
    while data := await reader.read(65_536):
        writer.write(data)
        await writer.drain()


@dataclass
class Desktop:
    """A server of this loop. `came` holds all who have been let in."""

    act: Act = echo
    came: list[Pair] = field(default_factory=list)
    port: int = 0
    tasks: list[asyncio.Task[None]] = field(default_factory=list)

    def come(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """A client."""
        self.came.append((reader, writer))
        self.tasks.append(asyncio.create_task(self._serve(reader, writer)))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self.act(reader, writer)
            writer.close()
            await writer.wait_closed()
        except (ConnectionError, EOFError):
            writer.transport.abort()

    async def close(self) -> None:
        """Let go of everybody; first of all of who is just being let in."""
        await turns()
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        for _, writer in self.came:
            writer.transport.abort()
        await turns()


@dataclass
class Stage:
    """One gateway's ports."""

    desktop: Desktop
    clock: Clock
    registry: Registry
    ports: Ports
    writers: list[asyncio.StreamWriter] = field(default_factory=list)

    def session(self, **more: Any) -> Session:
        """An opening for the desktop, as the broker would ask for it; not listened for yet."""
        said = {
            "id": secrets.token_urlsafe(16), "protocol": "tcp", "host": HOME, "port": self.desktop.port,
            "user": "user:5", "seconds": 60,
        }  # fmt: skip
        return self.registry.add(Opening.from_json({**said, **more}))

    def open(self, **more: Any) -> Session:
        """The same, listened for."""
        session = self.session(**more)
        self.ports.open(session)
        return session

    async def connect(self, session: Session, source: str = HOME) -> Pair:
        """A client from that address."""
        reader, writer = await asyncio.open_connection(HOME, session.port, local_addr=(source, 0))
        self.writers.append(writer)
        return reader, writer

    async def talk(self, session: Session, source: str = HOME) -> Pair:
        """A client who has said something and heard the echo of it."""
        reader, writer = await self.connect(session, source)
        writer.write(b"hello")
        assert await asyncio.wait_for(reader.readexactly(5), 5) == b"hello"
        return reader, writer

    async def refused(self, session: Session, source: str = HOME) -> bool:
        """Whether who comes from there is sent away with RST: before the connection stands, or at once after."""
        try:
            reader, _ = await self.connect(session, source)
            await asyncio.wait_for(reader.read(1), 5)
        except ConnectionError:
            return True
        return False

    def passes(self, seconds: float) -> None:
        """Time goes on, and both see what is over."""
        self.clock.at += seconds
        self.registry.sweep()
        self.ports.sweep()


@asynccontextmanager
async def stage(
    engine: str = "auto", act: Act = echo, limits: Limits | None = None, ports: int = 20, host: str = HOME
) -> AsyncIterator[Stage]:
    """Ports at a random place of ours, and a desktop, which listens where they do."""
    clock, desktop = Clock(), Desktop(act)
    server = await asyncio.start_server(desktop.come, host, 0)
    desktop.port = server.sockets[0].getsockname()[1]
    registry = Registry(RegistryLimits(), clock)
    first = random.choice(MANY[: len(MANY) - ports + 1])
    options = Options(chosen(engine), limits or Limits(), registry.refuse)
    made = Stage(desktop, clock, registry, Ports(first, first + ports - 1, host, clock, options))
    try:
        yield made
    finally:
        registry.close([each.id for each in registry.live()], "The test is over.", "gateway")
        for writer in made.writers:
            writer.transport.abort()
        await desktop.close()
        server.close()


def chosen(engine: str) -> Engine:
    """By name; "no pipe left" is what splice does then."""
    return Splice(Pipes(limit=0)) if engine == "no pipe left" else engine_named(engine)


def listens(port: int, host: str = HOME) -> bool:
    """As a port scan sees it."""
    with socket.socket() as probe:
        probe.settimeout(2)
        return probe.connect_ex((host, port)) == 0


def pipes_of(here: Stage) -> Pipes:
    """The pool of the engine."""
    engine = here.ports.terms.engine
    assert isinstance(engine, Splice)
    return engine.pipes
