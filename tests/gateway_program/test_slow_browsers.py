"""Browsers that send or read slowly, from whatever addresses: the connections to the broker are for the others."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
from aiohttp import web

from gateways.program import bodies, house, pages
from gateways.program.bodies import SMALL
from gateways.program.broker import AT_A_TIME, Broker
from gateways.program.doors import WHY_SECONDS
from gateways.program.pages import CROWD, Crowd
from gateways.program.server import application
from gateways.program.turns import Places
from tests.gateway_program.scripted import Request, Scripted
from tests.gateway_program.stage import HERE, PATIENCE, in_loop, until
from tests.gateway_program.world import World, house_of

LARGE = 4_000_000


@dataclass
class Gate:
    """A gateway's pages on a socket, and the browsers before it."""

    port: int
    server: web.Server
    open: list[asyncio.StreamWriter] = field(default_factory=list)

    async def come(self, address: str, head: str, start: bytes = b"") -> asyncio.StreamReader:
        """From an address of this machine, with a request that is not over yet, perhaps."""
        reading, writing = await asyncio.open_connection(HERE, self.port, local_addr=(address, 0))
        self.open.append(writing)
        writing.write(f"{head} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n".encode() + start)
        await writing.drain()
        return reading

    async def post(self, address: str, size: int, start: bytes) -> asyncio.StreamReader:
        """So many bytes are announced, these are sent."""
        return await self.come(address, "POST /", b"Content-Length: %d\r\n\r\n" % size + start)

    async def honest(self) -> bytes:
        """Somebody's page and form, at once."""
        async with asyncio.timeout(PATIENCE / 2):  # the slow ones have longer
            page = await (await self.come("127.0.0.99", "GET /", b"\r\n")).read()
            form = await (await self.come("127.0.0.99", "POST /", b"Content-Length: 3\r\n\r\na=1")).read()
        return page[9:12] + b" " + form[9:12]


@asynccontextmanager
async def gateway(world: World, broker: Scripted, crowd: Crowd | None = None) -> AsyncIterator[Gate]:
    """In this process."""
    house = house_of(world, "--broker", broker.url)
    asked = Broker(house.settings, world.state, world.clock)
    await asked.prepare()
    app = application(house, asked)
    app[CROWD] = crowd or Crowd()
    runner = web.AppRunner(app, shutdown_timeout=0.1, lingering_time=0.1)
    await runner.setup()
    await web.TCPSite(runner, HERE, 0, backlog=512).start()
    assert runner.server is not None
    gate = Gate(runner.addresses[0][1], runner.server)
    try:
        yield gate
    finally:
        for each in gate.open:
            each.transport.abort()
        await runner.cleanup()
        await asked.close()


def told(answer: bytes) -> dict[str, int]:
    """What `counts` said."""
    found: dict[str, int] = json.loads(answer.partition(b"\r\n\r\n")[2])
    return found


@pytest.fixture
def reached(broker: Scripted) -> list[str]:
    """Which requests have reached the broker; it reads what they bring."""
    seen: list[str] = []

    def counts(request: Request) -> None:
        seen.append(request.command)
        request.say_json({"size": len(request.body())})

    broker.page = counts
    return seen


@in_loop
async def test_more_slow_senders_than_connections_to_the_broker_hold_up_nobody(
    world: World, broker: Scripted, reached: list[str]
) -> None:
    async with gateway(world, broker) as gate:
        for number in range(AT_A_TIME + 44):
            await gate.post(f"127.0.0.{2 + number % 10}", 1_000, b"a=")
        assert await gate.honest() == b"200 200"
        assert len(reached) == 2


@in_loop
async def test_large_bodies_stream_and_slow_ones_leave_room(world: World, broker: Scripted, reached: list[str]) -> None:
    async with gateway(world, broker) as gate:
        for number in range(30):
            await gate.post(f"127.0.0.{2 + number % 10}", LARGE, b"x" * SMALL)
        await until(lambda: len(reached) == bodies.LARGE, "the broker has the beginning of some")
        assert await gate.honest() == b"200 200"
        assert len(reached) == bodies.LARGE + 2
    async with gateway(world, broker) as gate:
        sent = [await gate.post("127.0.0.2", LARGE, b"x" * LARGE) for _ in range(6)]
        assert [told(await each.read()) for each in sent] == [{"size": LARGE}] * 6


@in_loop
async def test_of_one_address_few_large_bodies_stream(world: World, broker: Scripted, reached: list[str]) -> None:
    async with gateway(world, broker) as gate:
        for _ in range(10):
            await gate.post("127.0.0.2", LARGE, b"x" * SMALL)
        await until(lambda: len(reached) == bodies.LARGE_OF_ONE, "as many as it may have")
        await gate.post("127.0.0.3", LARGE, b"x" * SMALL)
        await until(lambda: len(reached) == bodies.LARGE_OF_ONE + 1, "another address has its turn")


@pytest.mark.parametrize(("size", "start"), [(1_000, b"a="), (LARGE, b"x" * SMALL)])
def test_what_does_not_get_on_is_ended_in_words(
    world: World, broker: Scripted, reached: list[str], monkeypatch: pytest.MonkeyPatch, size: int, start: bytes
) -> None:
    monkeypatch.setattr(bodies, "SMALL_SECONDS", 0.5)
    monkeypatch.setattr(bodies, "PIECE_SECONDS", 0.2)

    @in_loop
    async def story() -> None:
        async with gateway(world, broker) as gate:
            answer = await (await gate.post("127.0.0.2", size, start)).read()
            assert answer.startswith(b"HTTP/1.1 408")
            assert b"did not come in time" in answer

    story()


@in_loop
async def test_too_many_small_bodies_push_out_the_oldest(world: World, broker: Scripted, reached: list[str]) -> None:
    uploads = bodies.Uploads()
    uploads.small.limit = 2
    async with gateway(world, broker, Crowd(uploads=uploads)) as gate:
        first, *_others = [await gate.post(f"127.0.0.{number}", 1_000, b"a=") for number in (2, 3, 4)]
        assert (await first.read()).startswith(b"HTTP/1.1 408")
        assert await gate.honest() == b"200 200"
        assert len(uploads.small) <= 2


@in_loop
async def test_a_body_that_breaks_off_is_no_trouble_of_the_broker(
    world: World, broker: Scripted, reached: list[str]
) -> None:
    crowd = Crowd()
    async with gateway(world, broker, crowd) as gate:
        await gate.post("127.0.0.2", 1_000, b"a=")
        await until(lambda: len(crowd.uploads.small) == 1, "it has begun")
        gate.open[0].transport.abort()
        await until(lambda: len(crowd.uploads.small) == 0, "it is over")
        assert reached == []


def test_a_browser_that_does_not_read_holds_nothing_of_the_broker(
    world: World, broker: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    content = b"x" * 15_000_000  # more than all buffers of the kernel on the way
    monkeypatch.setattr(pages, "AHEAD", 10_000)

    def large(request: Request) -> None:
        request.say(200, content)
        done.append(request.path)

    @in_loop
    async def story() -> None:
        broker.page = large
        crowd = Crowd()
        async with gateway(world, broker, crowd) as gate:
            slow = await gate.come("127.0.0.2", "GET /large", b"\r\n")
            await until(lambda: done == ["/large"], "the broker has given all of it")
            assert len(crowd.readers) == 1
            assert (await slow.read()).endswith(content)
            await until(lambda: len(crowd.readers) == 0, "the browser has read it")

    story()


@in_loop
async def test_who_reads_slowly_makes_room_for_those_who_come(world: World, broker: Scripted) -> None:
    content = b"x" * 30_000_000  # more than all buffers on the way
    broker.page = lambda request: request.say(200, content if request.path == "/large" else b"")
    crowd = Crowd(readers=Places(2))
    async with gateway(world, broker, crowd) as gate:
        slow = [await gate.come(f"127.0.0.{number}", "GET /large", b"\r\n") for number in (2, 3)]
        await until(lambda: len(crowd.readers) == 2, "both have begun")
        assert await gate.honest() == b"200 200"
        came = [len(await broken(each)) for each in slow]
        assert min(came) < len(content) < max(came)  # whoever of them had got on least lately


def test_who_asks_why_and_does_not_say_of_what_makes_room(
    world: World, broker: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(house, "NEWCOMERS", 2)

    @in_loop
    async def story() -> None:
        async with gateway(world, broker) as gate:
            first, *others = [
                await gate.come(HERE, "POST /viewer/v1/why", b"Content-Length: 9\r\n\r\n") for _ in range(3)
            ]
            async with asyncio.timeout(WHY_SECONDS / 2):
                assert (await first.read())[9:12] == b"403"
            assert not any(each.at_eof() for each in others)

    story()


@pytest.mark.parametrize("size", [60_000, 6_000_000])  # the gateway waits with the end of each, or amid the one
def test_who_stops_reading_is_cut(world: World, broker: Scripted, monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    monkeypatch.setattr(pages, "STALLED", 0.2)
    content = b"x" * size
    broker.page = lambda request: request.say(200, content)

    @in_loop
    async def story() -> None:
        async with gateway(world, broker) as gate:
            with socket.socket() as browser:
                browser.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                browser.connect((HERE, gate.port))
                browser.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n" * (6_000_000 // size))
                await until(lambda: bool(gate.server.connections), "it has come")
                await until(lambda: not gate.server.connections, "it is cut")

    story()


async def broken(answer: asyncio.StreamReader) -> bytes:
    """What came before it broke off."""
    seen = bytearray()
    try:
        while chunk := await answer.read(1 << 20):
            seen += chunk
    except ConnectionError:
        return bytes(seen)
    return bytes(seen)
