"""One gateway with viewers' endpoints on a socket, and a page in front of it."""

import asyncio
import functools
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ParamSpec

from aiohttp import ClientSession, ClientWebSocketResponse, WSMsgType, web

from gateways.program.house import HOUSE, House
from gateways.program.sessions import Session
from gateways.program.settings import Settings
from gateways.wire import Opening
from tests.gateway_program.world import ORIGIN, World, opening

HERE = "127.0.0.1"
PATIENCE = 30  # seconds
P = ParamSpec("P")


def in_loop(story: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, None]:
    """Run an async test."""

    @functools.wraps(story)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        asyncio.run(story(*args, **kwargs))

    return run


class NoPorts:
    """Nothing is forwarded here."""

    free = refused = 0

    def open(self, session: Session) -> int:
        raise AssertionError("nobody asks for a port")


@dataclass
class Page:
    """A viewer page's WebSocket."""

    socket: ClientWebSocketResponse
    answer: dict[str, Any]
    rest: bytearray

    async def exactly(self, count: int) -> bytes:
        """So many bytes of the engine's protocol."""
        while len(self.rest) < count:
            message = await self.socket.receive(PATIENCE)
            assert message.type == WSMsgType.BINARY, (message, bytes(self.rest))
            self.rest += message.data
        data = bytes(self.rest[:count])
        del self.rest[:count]
        return data

    async def closed(self) -> None:
        """Until the gateway has closed it."""
        while (await self.socket.receive(PATIENCE)).type not in (WSMsgType.CLOSE, WSMsgType.CLOSED, WSMsgType.ERROR):
            pass


@dataclass
class Stage:
    """What a test of an engine needs."""

    world: World
    client: ClientSession
    protocol: str
    place: tuple[str, int]

    def open(self, **more: Any) -> tuple[Session, str]:
        """What the broker does: a session that waits, and the token for it."""
        asked: Opening = opening(**{"protocol": self.protocol, "client_ip": HERE, "host": HERE, **more})
        return self.world.registry.add(asked), self.world.token(asked)

    async def connect(self, origin: str = ORIGIN) -> ClientWebSocketResponse:
        """A page's WebSocket, before its first message."""
        path = f"/viewer/v1/{self.protocol}"
        return await self.client.ws_connect(path, headers={"Origin": origin}, max_msg_size=0)

    async def page(self, token: str, **more: Any) -> Page:
        """A page that has brought its token and heard the answer."""
        socket = await self.connect()
        await socket.send_json({"token": token, **more})
        message = await socket.receive(PATIENCE)
        assert message.type == WSMsgType.TEXT, message
        return Page(socket, json.loads(message.data), bytearray())


@asynccontextmanager
async def stage(
    folder: Path, protocol: str, serve: Callable[[web.Request], Awaitable[web.StreamResponse]], **settings: Any
) -> AsyncIterator[Stage]:
    """The endpoint of one engine."""
    world = World(folder)
    said = Settings(broker="https://broker.example.test", data=world.state.folder, **settings)
    app = web.Application()
    app[HOUSE] = House(said, world.state, world.clock, world.registry, world.gate, NoPorts())
    app.router.add_get(f"/viewer/v1/{protocol}", serve)
    runner = web.AppRunner(app, shutdown_timeout=1)
    await runner.setup()
    site = web.TCPSite(runner, HERE, 0)
    await site.start()
    try:
        place = runner.addresses[0][:2]
        async with ClientSession("http://{}:{}".format(*place)) as client:
            yield Stage(world, client, protocol, place)
    finally:
        await runner.cleanup()


async def until(condition: Callable[[], bool], what: str, seconds: float = PATIENCE) -> None:
    """Wait for a condition."""
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.01)
    assert condition(), what
