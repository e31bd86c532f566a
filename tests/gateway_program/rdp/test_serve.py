"""A viewer from its first message to its end, at a real server: who is let in, what goes wrong, and in which words."""

import asyncio
import gc
import socket
import struct
from contextlib import suppress
from pathlib import Path

import pytest
from aiohttp import ClientWebSocketResponse, WSMsgType

from gateways.program import viewing
from gateways.program.rdp import cleanpath, dial, serve, updates, x224
from gateways.program.sessions import By, Session
from gateways.wire import Opening
from tests.gateway_program.rdp import peers, samples
from tests.gateway_program.rdp.bridge import answered, ask, read_answer
from tests.gateway_program.rdp.peers import Peer, peer
from tests.gateway_program.stage import PATIENCE, Stage, in_loop, stage
from tests.ports import free_port

PASSWORD = "Süß3r-Secret"
SOON = 1.0


async def ends(session: Session, by: By, words: str) -> None:
    """It ends, and says so."""
    async with asyncio.timeout(PATIENCE):
        await session.ended.wait()
    assert (session.by, words in session.reason) == (by, True), session.reason


async def over(socket: ClientWebSocketResponse) -> bytes:
    """All that still comes, until the gateway has closed."""
    data = b""
    while (message := await socket.receive(PATIENCE)).type == WSMsgType.BINARY:
        data += message.data
    assert message.type in (WSMsgType.CLOSE, WSMsgType.CLOSED, WSMsgType.CLOSING, WSMsgType.ERROR)
    return data


BAD = [
    (peers.silent, {"http": cleanpath.TIMED_OUT}, "does not answer"),
    (peers.cut, {"winsock": cleanpath.RESET}, "ended the connection before"),
    (peers.babble, {"winsock": cleanpath.RESET}, "no RDP server"),
    (peers.saying(x224.confirm(x224.RDP, 0)), {"tls": cleanpath.HANDSHAKE_FAILURE}, "not safe"),
    (peers.saying(x224.confirm(x224.NLA_EX, 0)), {"tls": cleanpath.HANDSHAKE_FAILURE}, "not safe"),
    (peers.saying(peers.refusal(2)), {"tls": cleanpath.HANDSHAKE_FAILURE}, "old encryption"),
    (peers.saying(peers.refusal(3)), {"tls": cleanpath.HANDSHAKE_FAILURE}, "no certificate"),
    (peers.saying(x224.confirm(x224.TLS, 0) + b"no TLS at all"), {"tls": cleanpath.HANDSHAKE_FAILURE}, "TLS"),
]


@pytest.mark.parametrize(
    ("story", "error", "words"), BAD, ids=lambda value: getattr(value, "__name__", str(value))[:30]
)
def test_a_desktop_that_is_none_is_told_in_words_and_in_numbers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, story: peers.Story, error: dict[str, int], words: str
) -> None:
    if story is peers.silent:
        monkeypatch.setattr(dial, "ANSWER_SECONDS", 0.5)

    @in_loop
    async def tell() -> None:
        async with stage(tmp_path, "rdp", serve.serve) as here, peer(tmp_path, story) as desktop:
            session, token = here.open(port=desktop.port, login="alice", password=PASSWORD)
            socket, heard = await answered(here, token)
            assert heard.error == {"code": 1, **error}
            await ends(session, "desktop", words)
            await over(socket)
            await asyncio.wait_for(desktop.gone.wait(), PATIENCE)
            assert PASSWORD not in repr(session)

    tell()


@in_loop
async def test_a_host_that_is_down(tmp_path: Path) -> None:
    async with stage(tmp_path, "rdp", serve.serve) as here:
        session, token = here.open(port=free_port())
        _socket, heard = await answered(here, token)
        assert heard.error == {"code": 1, "winsock": cleanpath.REFUSED_BY_HOST}
        await ends(session, "desktop", "nothing listens")
        assert session.code == "unreachable"


def test_a_host_that_does_not_even_refuse(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dial, "CONNECT_SECONDS", 0.3)

    @in_loop
    async def tell() -> None:
        async with stage(tmp_path, "rdp", serve.serve) as here:
            with socket.socket() as full, socket.socket() as first, socket.socket() as second:
                full.bind(("127.0.0.1", 0))
                full.listen(0)
                for each in (first, second):  # nobody accepts them, so there is no room for a third
                    each.setblocking(False)
                    each.connect_ex(full.getsockname())
                session, token = here.open(port=full.getsockname()[1])
                _socket, heard = await answered(here, token)
            assert heard.error == {"code": 1, "winsock": cleanpath.NO_ANSWER}
            await ends(session, "desktop", "does not answer")

    tell()


@in_loop
async def test_a_desktop_that_sends_nonsense_later_is_told_in_words(tmp_path: Path) -> None:
    async def story(peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await peers.plain_until_info(peer, reader, writer)
        writer.write(b"\x00\x09\x81\x20\x04\x00\x01\x00\x00\x00"[:9])  # a bitmap, compressed as a whole
        await reader.read()

    async with stage(tmp_path, "rdp", serve.serve) as here, peer(tmp_path, story) as desktop:
        session, socket = await working(here, desktop)
        await ends(session, "desktop", "The compatible viewer may show it")
        await over(socket)


@in_loop
async def test_until_the_desktop_draws_each_packet_is_a_message(tmp_path: Path) -> None:
    """What a browser's IronRDP finds behind the last packet of the handshake, in one message, it forgets."""
    font_map = samples.down(samples.MAIN, samples.share(40, struct.pack("<4H", 0, 0, 3, 4)))
    drawn = updates.written(4, updates.SINGLE, bytes(100))

    async def story(peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await peers.plain_until_info(peer, reader, writer)
        writer.write(font_map + drawn)
        await reader.read()

    async with stage(tmp_path, "rdp", serve.serve) as here, peer(tmp_path, story) as desktop:
        _session, socket = await working(here, desktop)
        assert [(await socket.receive(PATIENCE)).data for _ in range(2)] == [font_map, drawn]


@in_loop
async def test_nla_without_a_password_asks_for_one(tmp_path: Path) -> None:
    story = peers.saying(peers.refusal(x224.NLA_REQUIRED))
    async with stage(tmp_path, "rdp", serve.serve) as here, peer(tmp_path, story) as desktop:
        session, token = here.open(port=desktop.port, login="alice")
        _socket, heard = await answered(here, token)
        assert heard.error == {"code": 1, "http": cleanpath.UNAUTHORIZED}
        await ends(session, "desktop", "wants the password")
        assert session.code == "password"


@in_loop
async def test_a_certificate_that_changed_is_told_nothing(tmp_path: Path) -> None:
    async with stage(tmp_path, "rdp", serve.serve) as here, peer(tmp_path, listening) as desktop:
        session, token = here.open(port=desktop.port, login="alice", password=PASSWORD, pin="ab" * 32)
        _socket, heard = await answered(here, token)
        assert heard.error == {"code": 1, "tls": cleanpath.BAD_CERTIFICATE}
        await ends(session, "desktop", f"Expected abababababababab…, found {desktop.fingerprint[:16]}")
        await asyncio.wait_for(desktop.gone.wait(), PATIENCE)
        assert (bytes(desktop.heard), session.certificate, session.code) == (b"", desktop.fingerprint, "certificate")


async def listening(peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await peers.secured(peer, reader, writer)
    await peer.listen(reader)


@in_loop
async def test_the_first_certificate_is_trusted_and_told_and_the_pinned_one_is_good(tmp_path: Path) -> None:
    async with stage(tmp_path, "rdp", serve.serve) as here, peer(tmp_path, peers.plain) as desktop:
        for pin in ("", desktop.fingerprint.upper()):
            session, token = here.open(port=desktop.port, pin=pin)
            socket, heard = await answered(here, token)
            assert heard.address == f"127.0.0.1:{desktop.port}"
            assert x224.read_confirm(heard.x224).protocol == x224.TLS
            assert session.certificate == desktop.fingerprint
            await socket.close()
            await ends(session, "user", "viewer was closed")


async def working(here: Stage, desktop: Peer) -> tuple[Session, ClientWebSocketResponse]:
    """A viewer that has introduced itself."""
    session, token = here.open(port=desktop.port, login="alice", domain="CORP", password=PASSWORD)
    socket, _heard = await answered(here, token)
    await socket.send_bytes(samples.connect_initial())
    assert (await socket.receive(PATIENCE)).data == samples.connect_response()
    await socket.send_bytes(samples.up(samples.MAIN, samples.client_info()))
    async with asyncio.timeout(PATIENCE):
        while PASSWORD.encode("utf-16-le") not in desktop.heard:
            await asyncio.sleep(0)
    assert session.opening.password == ""
    return session, socket


@in_loop
async def test_no_opening_holds_the_password_once_it_was_used(tmp_path: Path) -> None:
    async with stage(tmp_path, "rdp", serve.serve) as here, peer(tmp_path, peers.plain) as desktop:
        session, _socket = await working(here, desktop)
        gc.collect()
        known = [each for each in gc.get_objects() if isinstance(each, Opening) and each.id == session.id]
        assert ([each for each in known if each.password], session.closed_at) == ([], 0.0)


@in_loop
async def test_a_session_that_the_broker_ends_is_over_within_a_second(tmp_path: Path) -> None:
    async with stage(tmp_path, "rdp", serve.serve) as here, peer(tmp_path, peers.plain) as desktop:
        session, socket = await working(here, desktop)
        here.world.registry.close([session.id], "Your rights have ended.", "broker")
        async with asyncio.timeout(SOON):
            assert await over(socket) == b""
            await desktop.gone.wait()
        assert (session.reason, session.by, session.connections) == ("Your rights have ended.", "broker", 0)


@in_loop
async def test_a_desktop_that_hangs_up_is_who_ended_it(tmp_path: Path) -> None:
    async def story(peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await peers.secured(peer, reader, writer)
        await reader.read(65_536)

    async with stage(tmp_path, "rdp", serve.serve) as here, peer(tmp_path, story) as desktop:
        session, token = here.open(port=desktop.port)
        socket, _heard = await answered(here, token)
        await socket.send_bytes(samples.connect_initial())
        await ends(session, "desktop", "The desktop ended the connection.")
        await over(socket)


@in_loop
async def test_a_browser_that_vanishes_is_told_from_one_that_leaves(tmp_path: Path) -> None:
    async with stage(tmp_path, "rdp", serve.serve) as here, peer(tmp_path, peers.plain) as desktop:
        session, socket = await working(here, desktop)
        transport = socket._response.connection.transport  # type: ignore[union-attr]
        transport.abort()  # type: ignore[union-attr]
        await ends(session, "gateway", "to the browser broke off")


def test_a_desktop_that_shows_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serve, "PICTURE_SECONDS", 1)

    @in_loop
    async def tell() -> None:
        async with stage(tmp_path, "rdp", serve.serve) as here, peer(tmp_path, peers.plain) as desktop:
            session, _socket = await working(here, desktop)
            await ends(session, "desktop", "showed nothing within 1 seconds")

    tell()


FIRST_WORDS = [
    b"\x30\x84\xff\xff\xff\xff",  # four gigabytes are promised
    b"\x30\x89" + bytes(20),  # a length that no DER has
    b"GET / HTTP/1.1\r\n\r\n" + bytes(200),
    ask("token")[:30] + b"\xff" * 300,
    ask("x" * 20_000),
    ask("no token at all"),
]


@pytest.mark.parametrize("first", FIRST_WORDS, ids=lambda data: data[:6].hex())
def test_nobody_gets_in_with_garbage(tmp_path: Path, first: bytes) -> None:
    @in_loop
    async def tell() -> None:
        async with stage(tmp_path, "rdp", serve.serve) as here:
            socket = await here.connect()
            await socket.send_bytes(first)
            assert read_answer(await over(socket)).error["http"] in (cleanpath.BAD_REQUEST, cleanpath.FORBIDDEN)

    tell()


@in_loop
async def test_a_token_opens_once(tmp_path: Path) -> None:
    async with stage(tmp_path, "rdp", serve.serve) as here, peer(tmp_path, peers.plain) as desktop:
        _session, token = here.open(port=desktop.port)
        _first, heard = await answered(here, token)
        assert not heard.error
        _second, heard = await answered(here, token)
        assert heard.error == {"code": 1, "http": cleanpath.FORBIDDEN}


def test_who_says_nothing_or_only_half_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serve, "HELLO_SECONDS", 0.3)

    @in_loop
    async def tell() -> None:
        async with stage(tmp_path, "rdp", serve.serve) as here:
            for first in (b"", ask("token")[:-1]):
                socket = await here.connect()
                await socket.send_bytes(first)
                assert read_answer(await over(socket)).error == {"code": 1, "http": cleanpath.BAD_REQUEST}

    tell()


@pytest.mark.parametrize("garbage", [b"\x03\x00\x00\x01", b"\x01", b"\x03\x00\x00\x08\x02\xf0\x80\x7f", b"\x7f" * 100])
def test_garbage_in_the_middle_ends_it_in_words(tmp_path: Path, garbage: bytes) -> None:
    @in_loop
    async def tell() -> None:
        async with stage(tmp_path, "rdp", serve.serve) as here, peer(tmp_path, peers.plain) as desktop:
            session, token = here.open(port=desktop.port)
            socket, _heard = await answered(here, token)
            await socket.send_bytes(garbage + bytes(70_000))
            await ends(session, "gateway", "does not understand")
            await over(socket)

    tell()


@in_loop
async def test_a_huge_message_ends_it(tmp_path: Path) -> None:
    async with stage(tmp_path, "rdp", serve.serve) as here, peer(tmp_path, peers.plain) as desktop:
        session, socket = await working(here, desktop)
        with suppress(ConnectionError):
            await socket.send_bytes(bytes(5 << 20))
        await ends(session, "gateway", "browser")
        socket._response.close()


@in_loop
async def test_a_browser_that_does_not_read_holds_up_its_desktop_and_nothing_else(tmp_path: Path) -> None:
    written = 0
    packet = b"\x00\x90\x00" + b"\x02\xfa\x0f" + bytes(0x0FFA)  # a palette, of 4 kB

    async def story(peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal written
        await peers.plain_until_info(peer, reader, writer)
        while True:
            writer.write(packet * 16)
            await writer.drain()
            written += 16 * len(packet)

    async with stage(tmp_path, "rdp", serve.serve) as here, peer(tmp_path, story) as desktop:
        session, socket = await working(here, desktop)
        socket._response.connection.transport.pause_reading()  # type: ignore[union-attr]
        before = 0
        while written == 0 or written != before:
            before = written
            await asyncio.sleep(0.3)  # long enough for more, if more could come
        assert 0 < written < 16 << 20, "what lies in sockets and buffers"
        here.world.registry.close([session.id], "Your rights have ended.", "broker")
        async with asyncio.timeout(SOON):
            await desktop.gone.wait()
        socket._response.close()  # it has read of no end


@in_loop
async def test_a_desktop_that_does_not_read_holds_up_its_browser(tmp_path: Path) -> None:
    async def story(peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await peers.plain_until_info(peer, reader, writer)
        await asyncio.Event().wait()

    async with stage(tmp_path, "rdp", serve.serve) as here, peer(tmp_path, story) as desktop:
        session, socket = await working(here, desktop)

        async def flood() -> None:
            while True:
                await socket.send_bytes((b"\x04\x80\x80" + bytes(125)) * 500)

        with pytest.raises(TimeoutError):
            await asyncio.wait_for(flood(), 2)
        assert session.bytes_in < 16 << 20
        here.world.registry.close([session.id], "Your rights have ended.", "broker")
        async with asyncio.timeout(SOON + viewing.PART_SECONDS):
            while session.connections:
                await asyncio.sleep(0)
        socket._response.close()
