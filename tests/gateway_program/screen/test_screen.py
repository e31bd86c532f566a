"""Real desktops rendered at the gateway: seen, used, and refused in words."""

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from gateways.program.screen import serve as served
from gateways.program.screen.folders import of_screens, screens
from gateways.program.screen.serve import serve
from gateways.program.sessions import Session
from gateways.program.vnc.clipboard import QEMU_KEYS, RAW
from tests.gateway_program import rdp_servers
from tests.gateway_program.painter import BLUE, RED, Rectangle, many_sizes
from tests.gateway_program.rdp_servers import SETTLED, Server
from tests.gateway_program.screen import leftovers
from tests.gateway_program.stage import PATIENCE, Stage, in_loop, stage, until
from tests.gateway_program.vnc.rfb import Viewer
from tests.gateway_program.vnc.servers import Clipboard
from tests.ports import free_port

pytestmark = pytest.mark.slow
SIZE = {"width": 1024, "height": 768}
PLACE = Rectangle(10, 10, 40, 40)


def login(server: Server, **more: Any) -> dict[str, Any]:
    """What the broker knows."""
    return {
        "port": server.port, "login": server.user, "password": server.password, "pin": server.certificate, **more
    }  # fmt: skip


@asynccontextmanager
async def shown(here: Stage, server: Server, **more: Any) -> AsyncIterator[tuple[Session, Viewer]]:
    """A page that sees the desktop; it is closed at the end, and nothing is left."""
    session, token = here.open(**login(server, **more))
    page = await here.page(token, **SIZE)
    assert page.answer == {"ok": True, **SIZE}
    viewer = Viewer(page)
    await viewer.begin()
    assert (viewer.width, viewer.height) == (1024, 768)
    await viewer.encodings(RAW, QEMU_KEYS)
    displays = leftovers.displays(here.world.state.folder)
    yield session, viewer
    session.close("The test is over.", "broker", here.world.clock())
    await until(lambda: session.connections == 0, "it is over", seconds=1)
    assert leftovers.programs(here.world.state.folder) == []
    assert leftovers.folders(here.world.state.folder) == []
    assert leftovers.dead(displays) == set()


async def painted(viewer: Viewer, server: Server) -> None:
    """Rectangles of many sizes arrive as they were painted."""
    with server.painter() as painter:
        sizes = many_sizes(painter.width, painter.height)
        for each in sizes:
            painter.stripes(each)
        await viewer.look(lambda: not viewer.sheared(sizes[-1]))
        bad = [each for each in sizes if viewer.sheared(each)]
        if bad:  # the last one may come before others do
            await viewer.look(lambda: not any(viewer.sheared(each) for each in sizes))


@in_loop
async def test_a_desktop_that_demands_nla_is_rendered_without_shear_and_leaves_nothing(tmp_path: Path) -> None:
    rdp_servers.need()
    with rdp_servers.shadow(tmp_path) as server:
        deep = tmp_path / ("x" * 100)  # no socket could have such a name
        async with stage(deep, "screen", serve) as here, shown(here, server) as (session, viewer):
            await painted(viewer, server)
            said = leftovers.commands(here.world.state.folder)
            assert len(said) == 2 and not any(server.password in each for each in said)
            assert session.opening.password == "" and session.certificate == server.certificate
            folder = leftovers.folders(here.world.state.folder)[0]
            assert folder.stat().st_mode & 0o777 == 0o700
            assert {(folder / name).stat().st_mode & 0o777 for name in ("authority", "rfb")} == {0o600}


@pytest.fixture(scope="module")
def desktop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One desktop of xrdp, in Xorg; its session goes on from test to test."""
    rdp_servers.need()
    with rdp_servers.xrdp(tmp_path_factory.mktemp("xrdp")) as server:
        yield server


@in_loop
async def test_a_desktop_of_xrdp_is_rendered_without_shear(tmp_path: Path, desktop: Server) -> None:
    async with stage(tmp_path, "screen", serve) as here, shown(here, desktop) as (_session, viewer):
        await signed_in(desktop)
        await painted(viewer, desktop)


@in_loop
async def test_a_desktop_that_sends_classic_bitmaps_is_rendered_without_shear(tmp_path: Path) -> None:
    rdp_servers.need()
    with rdp_servers.xrdp(tmp_path, "Xvnc") as server:
        async with stage(tmp_path, "screen", serve) as here, shown(here, server) as (_session, viewer):
            await signed_in(server)
            await painted(viewer, server)


@in_loop
async def test_keys_arrive_by_their_place_and_the_desktop_knows_its_layout(tmp_path: Path) -> None:
    rdp_servers.need()
    with rdp_servers.xrdp(tmp_path) as server:  # its own: a session keeps the layout that it began with
        async with stage(tmp_path, "screen", serve) as here, shown(here, server, layout=0x407) as (_session, viewer):
            await signed_in(server)
            typed = Path(f"/home/{server.user}/z")
            await until(server.focused, "a terminal is there", seconds=SETTLED)
            # "touch z", on a German keyboard: its Z lies where the Y of the US is.
            for scancode in (0x14, 0x18, 0x16, 0x2E, 0x23, 0x39, 0x15, 0x1C):
                await viewer.key(scancode)
            await until(typed.exists, "what was typed arrives")


async def signed_in(server: Server) -> None:
    """Until the session has a display that can be painted on."""
    await until(lambda: server.desktop.display is not None, "a session", SETTLED)
    there = Path(f"/tmp/.X11-unix/X{server.desktop.display}")
    await until(lambda: there.exists() and Path(f"/home/{server.user}/.Xauthority").exists(), "its X server", SETTLED)
    await until(lambda: server.desktop.connected, "it is shown", SETTLED)


@in_loop
async def test_the_clipboard_passes_as_the_policy_says(tmp_path: Path, desktop: Server) -> None:
    async with stage(tmp_path, "screen", serve) as here:
        for policy in ("in", "out"):  # each shows as well that this desktop has a clipboard
            async with shown(here, desktop, clipboard=policy) as (_session, viewer):
                await signed_in(desktop)
                await clipboard(viewer, desktop, policy)


async def clipboard(viewer: Viewer, server: Server, policy: str) -> None:
    """Both ways, as far as the policy goes; what does not pass has not passed when the next picture has."""
    there = Clipboard(f":{server.desktop.display}", f"/home/{server.user}/.Xauthority")
    goes_in, comes_out = policy in ("in", "both"), policy in ("out", "both")
    await asyncio.to_thread(there.copy, f"from the desktop, {policy}")
    if comes_out:
        await viewer.look(lambda: viewer.texts[-1:] == [f"from the desktop, {policy}"])
    await viewer.cut(f"from the page, {policy}")
    with server.painter() as painter:
        for colour in (RED, BLUE):
            painter.fill(PLACE, colour)
            await viewer.look(lambda colour=colour: viewer.near(20, 20, colour))  # type: ignore[misc]
    if goes_in:
        async with asyncio.timeout(PATIENCE):
            while await asyncio.to_thread(there.paste) != f"from the page, {policy}":
                await asyncio.sleep(0.05)
    else:
        assert await asyncio.to_thread(there.paste) == f"from the desktop, {policy}"
    assert viewer.texts == [] or comes_out
    there.release()


@in_loop
async def test_what_goes_wrong_is_told_in_words_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rdp_servers.need()
    with rdp_servers.shadow(tmp_path) as server:
        async with stage(tmp_path, "screen", serve, screens=1) as here:
            for words, code, more in (
                ("password", "password", {"password": "wrong"}),
                ("certificate has changed", "certificate", {"pin": "0" * 64}),
                ("refuses the connection", "unreachable", {"port": free_port()}),
                ("wants the password before", "password", {"password": ""}),
            ):
                session, token = here.open(**login(server, **more))
                page = await here.page(token, **SIZE)
                assert words in page.answer["error"] and page.answer["code"] == code
                assert session.reason == page.answer["error"]
            async with shown(here, server):
                _session, token = here.open(**login(server))
                assert "renders 1 screens already" in (await here.page(token)).answer["error"]
            monkeypatch.setattr(served, "PATH", "/nowhere")
            _session, token = here.open(**login(server))
            assert "Xtigervnc and xfreerdp are not installed" in (await here.page(token)).answer["error"]
            assert leftovers.folders(here.world.state.folder) == []


@in_loop
async def test_a_program_that_is_killed_or_may_not_have_memory_ends_the_session_in_words(tmp_path: Path) -> None:
    rdp_servers.need()
    with rdp_servers.shadow(tmp_path) as server:
        async with stage(tmp_path, "screen", serve) as here:
            for name, words in (("xfreerdp", "was ended"), ("Xtigervnc", "")):
                session, token = here.open(**login(server))
                page = await here.page(token, **SIZE)
                await Viewer(page).begin()
                await until(lambda: len(leftovers.programs(here.world.state.folder)) == 2, "both run")
                folder = leftovers.folders(here.world.state.folder)[0]
                pid = next(pid for pid in served_pids(here) if name in Path(f"/proc/{pid}/cmdline").read_text())
                os.kill(pid, 9)
                await page.closed()
                assert words in session.reason and session.reason
                assert leftovers.programs(here.world.state.folder) == [] and not folder.exists()
        async with stage(tmp_path, "screen", serve, screen_memory=16) as here:
            session, token = here.open(**login(server))
            page = await here.page(token, **SIZE)
            assert page.answer["error"] == "The program that renders the screen did not start on the gateway."


def served_pids(here: Stage) -> list[int]:
    """Of the programs of its screens."""
    return list(of_screens(screens(here.world.state.folder)))


@in_loop
async def test_a_page_that_leaves_while_it_starts_leaves_nothing(tmp_path: Path) -> None:
    rdp_servers.need()
    with rdp_servers.shadow(tmp_path) as server:
        async with stage(tmp_path, "screen", serve) as here:
            for wait in (0.0, 0.1, 0.2, 0.4):
                session, token = here.open(**login(server))
                socket = await here.connect()
                await socket.send_json({"token": token, **SIZE})
                await until(lambda session=session: session.used_at > 0, "it starts")  # type: ignore[misc]
                await asyncio.sleep(wait)
                session.close("Withdrawn.", "broker", here.world.clock())
                await until(lambda session=session: session.connections == 0, "over", 1)  # type: ignore[misc]
                assert leftovers.programs(here.world.state.folder) == []
                assert leftovers.folders(here.world.state.folder) == []
