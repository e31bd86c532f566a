"""Both engines pass bytes, ends and resets on as they come, and count them."""

import asyncio
import hashlib
import os
import socket
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateways.program.ports.engines import engine_named
from gateways.program.server import build
from gateways.program.settings import BadSettings, load
from tests.gateway_program.ports.stage import HOME, pipes_of, stage, until

ENGINES = ("splice", "no pipe left", "streams")
MANY = 8_000_000


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest) -> Iterator[str]:
    """Each of them."""
    if request.param != "streams" and not hasattr(os, "splice"):
        pytest.skip("This system has no splice.")
    yield request.param


def test_megabytes_come_through_unaltered_both_ways_at_once_and_are_counted(engine: str) -> None:
    async def play() -> None:
        async with stage(engine) as here:
            session, said = here.open(), os.urandom(MANY)
            reader, writer = await here.connect(session)

            async def send() -> None:
                writer.write(said)
                await writer.drain()
                writer.write_eof()

            sending = asyncio.create_task(send())
            heard = await asyncio.wait_for(reader.read(-1), 20)
            await sending
            assert hashlib.sha256(heard).digest() == hashlib.sha256(said).digest()
            assert (session.bytes_in, session.bytes_out) == (MANY, MANY)
            await until(lambda: session.connections == 0, "the connection is over")
            assert (session.used_at, session.client_ip) == (here.clock(), HOME)

    asyncio.run(play())


def shout(writer: asyncio.StreamWriter) -> None:
    """An urgent byte, which asyncio has no word for."""
    with socket.fromfd(writer.get_extra_info("socket").fileno(), socket.AF_INET, socket.SOCK_STREAM) as same:
        same.send(b"!", socket.MSG_OOB)


@pytest.mark.parametrize("urgent", ["client", "desktop"])
def test_an_urgent_byte_does_not_stop_the_stream(engine: str, urgent: str) -> None:
    async def answers(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(3)
        if urgent == "desktop":
            shout(writer)
        writer.write(b"you")
        await reader.read(-1)

    async def play() -> None:
        async with stage(engine, answers) as here:
            reader, writer = await here.connect(here.open())
            if urgent == "client":
                shout(writer)
            writer.write(b"hey")
            assert await asyncio.wait_for(reader.readexactly(3), 5) == b"you"

    asyncio.run(play())


def test_who_has_said_all_still_hears_the_answer(engine: str) -> None:
    async def after_the_end(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"all of " + await reader.read(-1))

    async def play() -> None:
        async with stage(engine, after_the_end) as here:
            reader, writer = await here.connect(here.open())
            writer.write(b"it")
            writer.write_eof()
            assert await asyncio.wait_for(reader.read(-1), 5) == b"all of it"

    asyncio.run(play())


def test_a_desktop_that_has_said_all_still_hears_the_client(engine: str) -> None:
    heard: list[bytes] = []

    async def says_first(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.readexactly(1))
        writer.write_eof()
        heard.append(await reader.read(-1))

    async def play() -> None:
        async with stage(engine, says_first) as here:
            session = here.open()
            reader, writer = await here.connect(session)
            writer.write(b"?")
            assert await asyncio.wait_for(reader.read(-1), 5) == b"?"
            writer.write(b"later")
            writer.write_eof()
            await until(lambda: heard == [b"later"], "the rest has come")
            await until(lambda: session.connections == 0, "the connection is over")
            here.passes(60)
            assert session.by == "desktop"  # it was first to end it

    asyncio.run(play())


def test_a_reset_of_the_client_reaches_the_desktop(engine: str) -> None:
    reset: list[bool] = []

    async def notes(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.readexactly(1))
        try:
            await reader.read(1)
        except ConnectionResetError:
            reset.append(True)

    async def play() -> None:
        async with stage(engine, notes) as here:
            session = here.open()
            reader, writer = await here.connect(session)
            writer.write(b"?")
            await reader.readexactly(1)
            plug(writer)
            writer.transport.abort()
            await until(lambda: reset == [True], "the desktop sees a reset")
            await until(lambda: session.connections == 0, "the connection is over")
            here.passes(60)
            assert session.by == "user"

    asyncio.run(play())


def test_a_reset_of_the_desktop_reaches_the_client(engine: str) -> None:
    async def pulls_the_plug(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(1)
        plug(writer)
        writer.transport.abort()

    async def play() -> None:
        async with stage(engine, pulls_the_plug) as here:
            session = here.open()
            reader, writer = await here.connect(session)
            writer.write(b"?")
            with pytest.raises(ConnectionResetError):
                await asyncio.wait_for(reader.read(1), 5)
            await until(lambda: session.connections == 0, "the connection is over")
            here.passes(60)
            assert session.by == "desktop"

    asyncio.run(play())


def test_the_end_of_a_session_cuts_who_is_there_and_closes_the_port(engine: str) -> None:
    async def play() -> None:
        async with stage(engine) as here:
            session = here.open()
            pairs = [await here.talk(session) for _ in range(3)]
            assert session.connections == 3
            session.close("The desktop was released.", "broker", here.clock())
            async with asyncio.timeout(1):
                for reader, _ in pairs:
                    with pytest.raises(ConnectionResetError):
                        await reader.read(1)
            assert session.connections == 0
            assert await here.refused(session)
            await until(lambda: all(reader.exception() for reader, _ in here.desktop.came), "the desktop is let go", 1)

    asyncio.run(play())


def test_it_may_end_while_the_desktop_is_dialled_or_in_the_first_callback(engine: str) -> None:
    async def play() -> None:
        async with stage(engine) as here:
            session = here.open()
            session.on_use.append(lambda: session.close("Not any more.", "broker", here.clock()))
            reader, writer = await here.connect(session)
            writer.write(b"first")
            with pytest.raises(ConnectionResetError):
                await asyncio.wait_for(reader.read(1), 5)
            assert session.connections == 0
            dialled = here.open()
            _, writer = await here.connect(dialled)
            await until(lambda: dialled.connections == 1, "it is let in")
            dialled.close("Not any more.", "broker", here.clock())
            await until(lambda: not here.ports.leases, "nothing is left")

    asyncio.run(play())


def test_a_desktop_that_is_being_dialled_is_let_go_when_the_session_ends() -> None:
    async def play() -> None:
        async with stage() as here:
            with socket.create_server((HOME, 0), backlog=0) as full:
                waiting = [socket.socket() for _ in range(3)]
                for each in waiting:  # nobody accepts: from now on the kernel drops who knocks
                    each.setblocking(False)
                    each.connect_ex(full.getsockname())
                session = here.open(port=full.getsockname()[1])
                before = open_files()
                _, writer = await here.connect(session)
                await until(lambda: session.connections == 1, "it is let in")
                session.close("Not any more.", "broker", here.clock())
                writer.close()
                await until(lambda: open_files() < before, "neither end is left, and nobody listens", 2)
                for each in waiting:
                    each.close()

    asyncio.run(play())


def test_who_does_not_read_holds_up_nobody_else(engine: str) -> None:
    async def pours(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if await reader.readexactly(4) == b"pour":
            while True:
                writer.write(bytes(65_536))
                await writer.drain()
        writer.write(b"quick")

    async def play() -> None:
        async with stage(engine, pours) as here:
            stuck = here.open()
            client = socket.create_connection((HOME, stuck.port), 5)  # nobody reads from it
            client.sendall(b"pour")
            await until(lambda: stuck.bytes_out > 65_536, "it pours")
            before = -1
            while before != stuck.bytes_out:  # until every buffer on the way is full
                before = stuck.bytes_out
                for _ in range(20):
                    await asyncio.sleep(0.002)
            reader, writer = await here.connect(here.open())
            writer.write(b"mine")
            assert await asyncio.wait_for(reader.read(-1), 5) == b"quick"
            assert stuck.bytes_out < 50_000_000
            client.close()

    asyncio.run(play())


def test_no_file_is_left_open(engine: str) -> None:
    async def play() -> None:
        async with stage(engine) as here:
            pipes = pipes_of(here) if engine == "splice" else None
            before = open_files()
            for _ in range(3):
                session = here.open()
                reader, writer = await here.talk(session)
                writer.close()
                await here.talk(session)
                session.close("Enough.", "broker", here.clock())
            if pipes:
                pipes.close()
            for writer in here.writers:
                writer.transport.abort()
            await until(lambda: open_files() <= before, "all are closed")

    asyncio.run(play())


def test_the_engine_is_a_choice_by_name() -> None:
    assert engine_named("auto").name == ("splice" if hasattr(os, "splice") else "streams")
    assert engine_named("streams").name == "streams"
    with pytest.raises(BadSettings, match="--engine: There is no engine quick: use one of auto, splice, streams"):
        load(["--broker", "https://desk.example.test", "--engine", "quick"])
    assert load(["--broker", "https://desk.example.test", "--engine", "streams"]).engine == "streams"


def test_the_program_forwards_as_its_settings_say(tmp_path: Path) -> None:
    said = ["--broker", "https://desk.example.test", "--data", str(tmp_path), "--listen", "127.0.0.9:443"]

    async def play() -> None:
        gateway = build(load([*said, "--ports", "20007-20009", "--engine", "streams"]))
        ports = gateway.ports
        assert (ports.terms.engine.name, ports.host, [*ports.range]) == ("streams", "127.0.0.9", [20007, 20008, 20009])
        ports.refusals.note("No.", "192.0.2.1")
        assert [each.why for each in gateway.house.registry.refused] == ["No."]

    asyncio.run(play())


def test_a_system_without_splice_has_streams(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "splice", raising=False)
    assert engine_named("auto").name == "streams"
    with pytest.raises(ValueError, match="no splice"):
        engine_named("splice")


def open_files() -> int:
    """Of this process."""
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def plug(writer: asyncio.StreamWriter) -> None:
    """Let its abort be an RST."""
    linger = struct.pack("ii", 1, 0)
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
