"""Real desktops through the gateway, a real RDP client in the browser's place: xrdp in Xorg and in Xvnc, and NLA.

FreeRDP draws what the gateway passes on, so what it shows proves that cropped bitmaps are good ones.
"""

import asyncio
import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path

import pytest

from gateways.program.rdp import bitmaps, cleanpath
from gateways.program.rdp.serve import serve
from gateways.program.sessions import Session
from gateways.wire import Clipboard
from tests.agent_program.xrdp_world import screen
from tests.gateway_program import rdp_servers
from tests.gateway_program.painter import RED, Painter, Rectangle, many_sizes, near, picture
from tests.gateway_program.rdp.bridge import Bridge, answered, bridge, freerdp
from tests.gateway_program.rdp_servers import SETTLED, Server
from tests.gateway_program.stage import Stage, in_loop, stage

pytestmark = pytest.mark.slow


KINDS: dict[str, Callable[[Path], AbstractContextManager[Server]]] = {
    "Xorg": lambda folder: rdp_servers.xrdp(folder, "Xorg"),
    "Xvnc": lambda folder: rdp_servers.xrdp(folder, "Xvnc"),
    "Xvnc, 16 bits": lambda folder: rdp_servers.xrdp(folder, "Xvnc", depth=16),
    "shadow": rdp_servers.shadow,
}


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Server]]:
    """Real ones by their names, started when first asked for."""
    rdp_servers.need()
    started: dict[str, Server] = {}
    with ExitStack() as stack:

        def start(name: str) -> Server:
            if name not in started:
                folder = tmp_path_factory.mktemp("server")
                started[name] = stack.enter_context(KINDS[name](folder))
            return started[name]

        yield start


async def until(condition: Callable[[], bool], what: str) -> None:
    """The condition holds; it may block for a moment."""
    try:
        async with asyncio.timeout(SETTLED):
            while not await asyncio.to_thread(condition):
                await asyncio.sleep(0.05)
    except TimeoutError:
        raise AssertionError(f"{what}: not within {SETTLED} s") from None


def opened(here: Stage, server: Server, **more: str | int) -> tuple[Session, str]:
    return here.open(port=server.port, **{"login": server.user, "password": server.password, **more})


async def painted(painter: Painter, sizes: list[Rectangle], session: Session) -> None:
    """One after the other: a server that is in a hurry sends many in one update of the whole screen."""
    for each in sizes:
        before = session.bytes_out
        await asyncio.to_thread(painter.stripes, each)
        await until(lambda before=before: session.bytes_out > before, f"{each} is sent")  # type: ignore[misc]


def silent_about(server: Server, way: Bridge) -> bool:
    """Whether the password is in nothing that the browser heard or said."""
    words = [server.password.encode(each) for each in ("utf-8", "utf-16-le")]
    return not any(word in bytes(heard) for heard in (way.sent, way.got) for word in words)


@pytest.mark.parametrize("name", ["Xvnc", "Xvnc, 16 bits"])
def test_no_picture_leans_whatever_its_width(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, servers: Callable[[str], Server], name: str
) -> None:
    """Xvnc knows classic bitmaps only, and xrdp pads them: in planes of 32 bits, or interleaved."""
    server, cropped = servers(name), list[bitmaps.Bitmap]()
    pieces = bitmaps.pieces

    def counted(bitmap: bitmaps.Bitmap) -> list[bitmaps.Bitmap]:
        cropped.append(bitmap)
        return pieces(bitmap)

    monkeypatch.setattr(bitmaps, "pieces", counted)

    @in_loop
    async def tell() -> None:
        sizes, way = await shown(server, tmp_path, tolerance=8 if "16" in name else 0)
        assert {each.width % 4 for each in sizes} == {0, 1, 2, 3}
        assert len(way.bitmaps()) > len(sizes) and all(each.fits for each in way.bitmaps())
        assert len(cropped) > len(sizes) // 2, "there was something to be cropped"

    tell()


@in_loop
async def test_a_server_that_knows_remotefx_draws_with_nothing_else(
    tmp_path: Path, servers: Callable[[str], Server]
) -> None:
    _sizes, way = await shown(servers("Xorg"), tmp_path, tolerance=40)
    assert way.bitmaps() == []


async def shown(server: Server, folder: Path, tolerance: int) -> tuple[list[Rectangle], Bridge]:
    """Rectangles of many sizes are painted on the desktop, and are to be seen at the client."""
    async with stage(folder, "rdp", serve) as here:
        session, token = opened(here, server)
        async with bridge(here, token, folder) as way, freerdp(way.port, server.desktop.screen, folder):
            with await asyncio.to_thread(server.painter) as painter:
                sizes = many_sizes(painter.width, painter.height)
                await painted(painter, sizes, session)

                def right() -> bool:
                    there = picture(server.desktop.screen)
                    return all(there.shows(each, tolerance) for each in sizes)

                await until(right, "every rectangle is upright")
        assert silent_about(server, way)
        assert session.certificate == server.certificate
    return sizes, way


def test_work_on_a_desktop_until_it_is_logged_off(tmp_path: Path, servers: Callable[[str], Server]) -> None:
    server = servers("Xorg")
    proof = Path(f"/home/{server.user}/proof")

    @in_loop
    async def tell() -> None:
        async with stage(tmp_path, "rdp", serve) as here:
            for layout, final in ((0x407, False), (0x409, True)):
                session, token = opened(here, server, pin=server.certificate, layout=layout)
                async with bridge(here, token, tmp_path) as way, freerdp(way.port, server.desktop.screen, tmp_path):
                    await until(
                        lambda: server.desktop.connected and server.desktop.runs("xterm"), "the session is shown"
                    )
                    if not final:
                        continue  # leave, and come back to the same one
                    await until(lambda: typed(server, proof), "what is typed arrives")
                    assert silent_about(server, way)
                    await asyncio.to_thread(server.run, "pkill", "-u", server.user, "-x", "xterm")
                    await until(session.ended.is_set, "the log-off ends the session")
                    assert (session.by, session.bytes_in > 0) == ("desktop", True), session.reason
            words = (server.desktop.folder / "xrdp.log").read_text()
            assert "keylayout:[0x00000407]" in words and "keylayout:[0x00000409]" in words

    tell()


COPIED = ["xclip", "-selection", "clipboard"]
A_WHILE = 1.0  # longer than it takes where it is allowed


@pytest.mark.parametrize("policy", ["in", "out", "none"])
def test_the_clipboard_goes_where_the_policy_lets_it(
    tmp_path: Path, servers: Callable[[str], Server], policy: Clipboard
) -> None:
    server = servers("Xorg")

    @in_loop
    async def tell() -> None:
        async with stage(tmp_path, "rdp", serve) as here:
            session, token = opened(here, server, clipboard=policy)
            async with (
                bridge(here, token, tmp_path) as way,
                freerdp(way.port, server.desktop.screen, tmp_path, "+clipboard"),
            ):
                await until(lambda: server.desktop.connected and server.desktop.runs("xterm"), "the session is shown")
                ends = {"DISPLAY": server.desktop.screen}, server.inside
                for where, allowed in ((0, policy in ("in", "both")), (1, policy in ("out", "both"))):
                    source, there = ends[where], ends[1 - where]
                    words = f"{policy} {where}"
                    await asyncio.to_thread(copy, source, words)
                    if allowed:
                        await until(lambda there=there, words=words: pasted(there) == words, f"{words} arrives")  # type: ignore[misc]
                    else:
                        await asyncio.sleep(A_WHILE)
                        assert words not in await asyncio.to_thread(pasted, there)
                    assert await asyncio.to_thread(pasted, source) == words, "it is still there, too"
                assert not session.ended.is_set(), session.reason

    tell()


def copy(there: dict[str, str], words: str) -> None:
    """Put it on a display's clipboard."""
    out = subprocess.DEVNULL
    subprocess.run(
        [*COPIED, "-i"], input=words.encode(), env={**os.environ, **there}, check=True, stdout=out, timeout=9
    )


def pasted(there: dict[str, str]) -> str:
    """What is on a display's clipboard."""
    asked = subprocess.run(["timeout", "2", *COPIED, "-o"], env={**os.environ, **there}, capture_output=True, timeout=9)
    return asked.stdout.decode()


def typed(server: Server, proof: Path) -> bool:
    """Type a command into the client's window; whether it was carried out."""
    there = {**os.environ, "DISPLAY": server.desktop.screen}
    window = ["search", "--onlyvisible", "--class", "xfreerdp", "windowfocus", "--sync"]
    words = ["mousemove", "300", "300", "click", "1", "type", "--delay", "40", "touch proof"]
    for each in ([*window, *words], ["key", "Return"]):
        subprocess.run(["xdotool", *each], env=there, check=True, timeout=SETTLED)
    return proof.exists()


def test_nla_with_the_right_password(tmp_path: Path, servers: Callable[[str], Server]) -> None:
    server = servers("shadow")
    display = screen(server.desktop, "1024x768x24")

    @in_loop
    async def tell() -> None:
        async with stage(tmp_path, "rdp", serve) as here:
            session, token = opened(here, server, pin=server.certificate)
            async with bridge(here, token, tmp_path) as way, freerdp(way.port, display, tmp_path, "/size:1024x768"):
                with await asyncio.to_thread(server.painter) as painter:
                    await asyncio.to_thread(painter.fill, Rectangle(100, 100, 200, 150), RED)
                    await until(lambda: near(picture(display).at(200, 170), RED, 10), "what is painted is shown")
                assert silent_about(server, way)
                assert all(each.fits for each in way.bitmaps())
            assert session.certificate == server.certificate

    tell()


@pytest.mark.parametrize(
    ("more", "error", "words"),
    [
        ({"password": "wrong"}, {"http": cleanpath.UNAUTHORIZED}, "does not accept this user name and password"),
        ({"login": "nobody"}, {"http": cleanpath.UNAUTHORIZED}, "does not accept this user name and password"),
        ({"password": ""}, {"http": cleanpath.UNAUTHORIZED}, "wants the password"),
        ({"pin": "00" * 32}, {"tls": cleanpath.BAD_CERTIFICATE}, "certificate has changed"),
    ],
)
def test_nla_without_it(
    tmp_path: Path, servers: Callable[[str], Server], more: dict[str, str], error: dict[str, int], words: str
) -> None:
    server = servers("shadow")

    @in_loop
    async def tell() -> None:
        async with stage(tmp_path, "rdp", serve) as here:
            session, token = opened(here, server, **more)
            _socket, heard = await answered(here, token)
            assert heard.error == {"code": 1, **error}
            await asyncio.wait_for(session.ended.wait(), SETTLED)
            assert (session.by, words in session.reason) == ("desktop", True), session.reason

    tell()
