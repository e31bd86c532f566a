"""The engine of Linux: pipes are shared by all, and nobody has one for long, nor what was in it."""

import asyncio
import os
import socket
from itertools import pairwise

import pytest

from gateways.program.ports import splice
from gateways.program.ports.splice import SpliceLink
from tests.gateway_program.ports.stage import HOME, Stage, echo, pipes_of, stage, until

pytestmark = pytest.mark.skipif(not hasattr(os, "splice"), reason="This system has no splice.")


def test_pipes_are_held_only_while_bytes_are_in_flight() -> None:
    async def play() -> None:
        async with stage("splice") as here:
            session = here.open()
            for _ in range(8):
                await here.talk(session)
            assert pipes_of(here).out == 0

    asyncio.run(play())


async def pours(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Endlessly upon who says so; an echo for the others."""
    if await reader.readexactly(4) == b"pour":
        while True:
            writer.write(bytes(65_536))
            await writer.drain()
    await echo(reader, writer)


def test_what_one_session_leaves_in_a_pipe_never_comes_to_another() -> None:
    async def play() -> None:
        async with stage("splice", pours) as here:
            stuck, pipes = here.open(), pipes_of(here)
            with socket.create_connection((HOME, stuck.port), 5) as client:  # nobody reads from it
                client.sendall(b"pour")
                await until(lambda: pipes.out == 1, "it is stuck")
                await until(lambda: any(each.down.held for each in links(here)), "bytes are in its pipe")
                stuck.close("Released.", "broker", here.clock())
            assert pipes.out == 0
            reader, writer = await here.connect(here.open())
            writer.write(b"echo" + b"mine")
            assert await asyncio.wait_for(reader.readexactly(4), 5) == b"mine"

    asyncio.run(play())


def links(here: Stage) -> list[SpliceLink]:
    """All that are joined."""
    found = [connection.link for lease in here.ports.leases for connection in lease.connections]
    return [each for each in found if isinstance(each, SpliceLink)]


def test_who_has_much_to_say_lets_the_others_have_their_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(splice, "TURNS", 2)
    monkeypatch.setattr(splice, "LARGE", splice.MUCH)

    async def play() -> None:
        async with stage("splice") as here:
            session = here.open()
            _, writer = await here.talk(session)
            with socket.fromfd(writer.get_extra_info("socket").fileno(), socket.AF_INET, socket.SOCK_STREAM) as client:
                sent = client.send(bytes(1_000_000))  # it lies at the gateway now
            seen = [session.bytes_in]
            async with asyncio.timeout(5):
                while seen[-1] < 5 + sent:
                    await asyncio.sleep(0)
                    seen.append(session.bytes_in)
            assert max(after - before for before, after in pairwise(seen)) <= 2 * splice.MUCH

    asyncio.run(play())


def test_clients_who_do_not_read_hold_all_pipes_and_everybody_else_goes_on() -> None:
    async def play() -> None:
        async with stage("splice", pours) as here:
            pipes = pipes_of(here)
            pipes.limit = 2
            earlier = await here.connect(here.open())
            stuck = here.open()
            clients = [socket.create_connection((HOME, stuck.port), 5) for _ in range(3)]  # nobody reads from them
            for each in clients:
                each.sendall(b"pour")
            await until(lambda: pipes.out == 2, "they hold all that there are")
            for reader, writer in (earlier, await here.connect(here.open())):
                said = os.urandom(300_000)
                writer.write(b"echo" + said)
                assert await asyncio.wait_for(reader.readexactly(len(said)), 5) == said
            assert stuck.connections == 3
            for each in clients:
                each.close()
            await until(lambda: pipes.out == 0, "the pipes are back")

    asyncio.run(play())
