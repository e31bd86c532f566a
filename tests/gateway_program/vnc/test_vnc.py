"""A real VNC server through the gateway: who gets in, what passes, and what ends it."""

import asyncio
import struct
from pathlib import Path

import pytest

from gateways.program.vnc.clipboard import EXTENDED_CLIPBOARD, RAW
from gateways.program.vnc.serve import serve
from tests.gateway_program.painter import RED, Rectangle
from tests.gateway_program.stage import HERE, PATIENCE, in_loop, stage, until
from tests.gateway_program.vnc.rfb import CAPS, NOTIFY, PROVIDE, REQUEST, TEXT, Viewer
from tests.gateway_program.vnc.servers import PASSWORD, need, vnc_server
from tests.ports import free_port

pytestmark = pytest.mark.slow


@in_loop
async def test_the_gateway_signs_in_and_the_page_sees_what_is_painted(tmp_path: Path) -> None:
    need()
    with vnc_server(tmp_path) as server:
        async with stage(tmp_path, "vnc", serve) as here:
            session, token = here.open(port=server.port, password=PASSWORD)
            page = await here.page(token)
            assert page.answer == {"ok": True}
            assert session.opening.password == ""
            viewer = Viewer(page)
            await viewer.begin()
            await viewer.encodings(RAW)
            with server.painter() as painter:
                painter.fill(Rectangle(100, 50, 33, 20), RED)
                await viewer.see(110, 60, RED)
            assert session.bytes_out > 4 * 640 * 480 and session.bytes_in > 30
            assert session.connections == 1
            await page.socket.close()
            await until(lambda: session.closed_at > 0, "the session ends")
            assert (session.reason, session.by) == ("The viewer was closed.", "user")
            assert session.connections == 0


@in_loop
async def test_a_wrong_password_a_host_that_is_down_and_a_stranger_are_told_in_words(tmp_path: Path) -> None:
    need()
    async with stage(tmp_path, "vnc", serve) as here:
        with vnc_server(tmp_path) as server:
            session, token = here.open(port=server.port, password="wrong")
            page = await here.page(token)
            assert "does not accept the password" in page.answer["error"] and page.answer["code"] == "password"
            await page.closed()
            assert session.reason == page.answer["error"]
            _session, token = here.open(port=server.port)
            wanted = {"error": "The VNC server wants its password.", "code": "password"}
            assert (await here.page(token)).answer == wanted
        _session, token = here.open(port=free_port())
        assert "does not answer on port" in (await here.page(token)).answer["error"]

        async def other(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"SSH-2.0-a-server\r\n")
            writer.close()

        async with await asyncio.start_server(other, HERE, 0) as stranger:
            _session, token = here.open(port=stranger.sockets[0].getsockname()[1])
            assert (await here.page(token)).answer["error"] == "What answers there is no VNC server."


@in_loop
async def test_a_token_opens_once_and_only_for_its_page(tmp_path: Path) -> None:
    need()
    with vnc_server(tmp_path, "None") as server:
        async with stage(tmp_path, "vnc", serve) as here:
            session, token = here.open(port=server.port)
            socket = await here.connect("https://other.example.test")
            await socket.send_json({"token": token})
            assert "not the one" in (await socket.receive_json(timeout=PATIENCE))["error"]
            assert session.used_at == 0
            first = await here.page(token)
            assert "ok" in first.answer
            assert "used before" in (await here.page(token)).answer["error"]
            assert "does not hold" in (await here.page(token + "x")).answer["error"]
            for garbage in ("", "{", "[]", '"x"', "x" * 20_000):
                socket = await here.connect()
                await socket.send_str(garbage)
                answer = await socket.receive_json(timeout=PATIENCE)
                assert answer["error"] == "The first message has to bring the connection token."


@in_loop
async def test_a_page_that_says_what_it_may_not_is_shown_the_door(tmp_path: Path) -> None:
    need()
    with vnc_server(tmp_path, "None") as server:
        async with stage(tmp_path, "vnc", serve) as here:
            session, token = here.open(port=server.port, clipboard="none")
            viewer = Viewer(await here.page(token))
            await viewer.begin()
            await viewer.send(b"\x63garbage")
            await viewer.page.closed()
            assert "cannot let through message 99 of the viewer" in session.reason and session.by == "gateway"
            session, token = here.open(port=server.port)
            page = await here.page(token)
            await page.socket.send_str("words")
            await page.closed()
            assert session.by == "user"


@in_loop
async def test_what_the_broker_ends_is_over_within_a_second_though_the_page_reads_nothing(tmp_path: Path) -> None:
    need()
    with vnc_server(tmp_path, "None", "1600x1200") as server:
        async with stage(tmp_path, "vnc", serve) as here:
            session, token = here.open(port=server.port)
            viewer = Viewer(await here.page(token))
            await viewer.begin()
            await viewer.encodings(RAW)
            for _ in range(8):
                await viewer.ask()  # tens of megabytes that nobody takes
            await until(lambda: session.bytes_out > 1 << 20, "pictures flow")
            session.close("The administrator ended it.", "broker", here.world.clock())
            await until(lambda: session.connections == 0, "it is over", seconds=1)


@in_loop
async def test_a_page_that_floods_a_server_that_does_not_read_is_held_back(tmp_path: Path) -> None:
    async def deaf(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"RFB 003.008\n")
        await reader.readexactly(12)
        writer.write(b"\1\1")
        await reader.readexactly(1)
        writer.write(b"\0\0\0\0")
        await over.wait()
        writer.transport.abort()

    over = asyncio.Event()
    server = await asyncio.start_server(deaf, HERE, 0, limit=1024)
    async with stage(tmp_path, "vnc", serve) as here:
        session, token = here.open(port=server.sockets[0].getsockname()[1])
        page = await here.page(token)
        await page.exactly(12)
        await page.socket.send_bytes(b"RFB 003.008\n\1\1")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1.5):
                while True:
                    await page.socket.send_bytes(bytes(1 << 19))
        assert session.bytes_in < 64 << 20
        session.close("Enough.", "broker", here.world.clock())
        await until(lambda: session.connections == 0, "it is over", seconds=1)
    over.set()
    server.close()


@pytest.mark.parametrize("policy", ["none", "in", "out", "both"])
def test_the_clipboard_passes_as_the_policy_says(tmp_path: Path, policy: str) -> None:
    need()

    @in_loop
    async def story() -> None:
        async with stage(tmp_path, "vnc", serve) as here:
            _session, token = here.open(port=server.port, clipboard=policy)
            viewer = Viewer(await here.page(token))
            await viewer.begin()
            await viewer.encodings(RAW, 7, 16)  # Tight first: not offered where the stream is read
            await viewer.encodings(RAW)
            await viewer.cut("from the page")
            await viewer.settle()
            allowed_in, comes_out = policy in ("in", "both"), policy in ("out", "both")
            await until(lambda: (server.clipboard.paste() == "from the page") == allowed_in, "the desktop's clipboard")
            server.clipboard.copy("from the desktop")
            if comes_out:
                await viewer.look(lambda: viewer.texts[-1:] == ["from the desktop"])
            with server.painter() as painter:  # about now the text would be sent
                painter.fill(Rectangle(10, 10, 50, 50), RED)
                await viewer.see(20, 20, RED)
            assert bool(viewer.texts) == comes_out

    with vnc_server(tmp_path, "None") as server:
        story()


@pytest.mark.parametrize("policy", ["none", "in", "out", "both"])
def test_the_extended_clipboard_passes_as_the_policy_says(tmp_path: Path, policy: str) -> None:
    need()

    @in_loop
    async def story() -> None:
        async with stage(tmp_path, "vnc", serve) as here:
            _session, token = here.open(port=server.port, clipboard=policy)
            viewer = Viewer(await here.page(token))
            await viewer.begin()
            await viewer.encodings(RAW, EXTENDED_CLIPBOARD)
            await viewer.settle()
            assert viewer.flags, "the server's capabilities"
            await viewer.send(struct.pack(">BxxxiII", 6, -8, CAPS | REQUEST | NOTIFY | PROVIDE | TEXT, 0))
            await viewer.offer("süß from the page")
            await viewer.settle()  # only now somebody can paste it
            pasting = asyncio.create_task(asyncio.to_thread(server.clipboard.paste))
            if policy in ("in", "both"):
                while not viewer.flags[-1] & REQUEST or viewer.flags[-1] & CAPS:
                    await viewer.message()
            assert await pasting == ("süß from the page" if policy in ("in", "both") else "")
            server.clipboard.copy("süß from the desktop")

            def told() -> bool:
                return any(flags & NOTIFY for flags in viewer.flags[1:])

            if policy in ("out", "both"):
                await viewer.look(told)
            with server.painter() as painter:
                painter.fill(Rectangle(10, 10, 50, 50), RED)
                await viewer.see(20, 20, RED)
            assert told() == (policy in ("out", "both")) and not viewer.texts

    with vnc_server(tmp_path, "None") as server:
        story()
