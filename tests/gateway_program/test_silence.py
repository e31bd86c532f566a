"""Desktops that take a connection and say nothing, or anything: a viewer's session ends, when told to or in words."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from gateways.program.screen import serve as screen
from gateways.program.ssh import serve as ssh
from gateways.program.viewing import Failed
from gateways.program.vnc import serve as vnc
from gateways.program.vnc import server as vnc_server
from gateways.program.vnc.server import Server, greet
from tests.gateway_program.stage import HERE, PATIENCE, in_loop, stage, until
from tests.gateway_program.vnc.servers import need

Serve = Callable[[web.Request], Awaitable[web.StreamResponse]]
VIEWERS: dict[str, Serve] = {"vnc": vnc.serve, "ssh": ssh.serve, "screen": screen.serve}
NEEDED = {"vnc": ["sh"], "ssh": ["sh"], "screen": ["Xvnc", "xfreerdp"]}
WHO = {"login": "ann", "password": "secret"}


@asynccontextmanager
async def desktop(says: bytes, then_closes: bool) -> AsyncIterator[int]:
    """The port of one that says this to everybody, and after that nothing."""
    over = asyncio.Event()

    async def talk(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(says)
        if not then_closes:
            await over.wait()
        writer.close()

    async with await asyncio.start_server(talk, HERE, 0) as server:
        yield server.sockets[0].getsockname()[1]
        over.set()


@pytest.mark.parametrize("protocol", list(VIEWERS))
def test_a_desktop_that_says_nothing_is_left_within_a_second_when_the_broker_says_so(
    tmp_path: Path, protocol: str
) -> None:
    need(*NEEDED[protocol])

    @in_loop
    async def story() -> None:
        async with desktop(b"", then_closes=False) as port, stage(tmp_path, protocol, VIEWERS[protocol]) as here:
            session, token = here.open(port=port, **WHO)
            socket = await here.connect()
            await socket.send_json({"token": token})
            await until(lambda: session.connections == 1, "the gateway waits")
            session.close("The administrator ended it.", "broker", here.world.clock())
            await until(lambda: session.connections == 0, "it is over", seconds=1)
            told = await socket.receive_json(timeout=PATIENCE)
            assert told == {"error": "The administrator ended it.", "code": ""}

    story()


@pytest.mark.parametrize("protocol", list(VIEWERS))
def test_a_desktop_that_says_garbage_is_refused_in_words(tmp_path: Path, protocol: str) -> None:
    need(*NEEDED[protocol])

    @in_loop
    async def story() -> None:
        async with stage(tmp_path, protocol, VIEWERS[protocol]) as here:
            for says in (b"\0" * 400, b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\xff" * 70_000):
                async with desktop(says, then_closes=True) as port:
                    session, token = here.open(port=port, **WHO)
                    page = await here.page(token)
                    assert len(page.answer["error"]) > 20
                    assert session.by == "desktop" and session.reason == page.answer["error"]

    story()


def test_a_vnc_server_that_is_slow_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vnc_server, "SECONDS", 0.2)

    @in_loop
    async def story() -> None:
        async with desktop(b"RFB 003.0", then_closes=False) as port, stage(tmp_path, "vnc", vnc.serve) as here:
            _session, token = here.open(port=port)
            assert "broke off" in (await here.page(token)).answer["error"]

    story()


class Sink:
    """What is written is nobody's."""

    def write(self, data: bytes) -> None:
        """Forget it."""


@given(st.one_of(st.binary(max_size=80), st.binary(max_size=80).map(lambda rest: b"RFB 003.008\n" + rest)))
def test_whatever_a_vnc_server_begins_with_it_is_signed_in_to_or_refused(says: bytes) -> None:
    async def story() -> None:
        reader = asyncio.StreamReader()
        reader.feed_data(says)
        reader.feed_eof()
        try:
            await greet(Server(reader, Sink()), "secret")  # type: ignore[arg-type]
        except Failed as error:
            assert str(error).isprintable()

    asyncio.run(story())
