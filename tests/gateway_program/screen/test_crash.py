"""A gateway that is killed leaves no program and no file of its rendered screens; nor does one that is ended."""

import asyncio
import signal
import ssl
from pathlib import Path

import pytest
from aiohttp import ClientSession, ClientWebSocketResponse

from tests.gateway_program import rdp_servers
from tests.gateway_program.rdp_servers import Server
from tests.gateway_program.running import Program
from tests.gateway_program.screen import leftovers
from tests.gateway_program.scripted import Scripted
from tests.gateway_program.stage import HERE, PATIENCE, Page, in_loop, until
from tests.gateway_program.vnc.rfb import Viewer
from tests.gateway_program.world import ORIGIN, opening

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_nothing_is_left_of_screens_when_the_gateway_ends(
    fresh: tuple[Scripted, Program], tmp_path: Path, number: signal.Signals
) -> None:
    rdp_servers.need()
    broker, program = fresh

    @in_loop
    async def story() -> None:
        async with ClientSession() as client:
            viewer = Viewer(Page(await connected(client, program, server), {}, bytearray()))
            await viewer.begin()
            await until(lambda: len(leftovers.programs(program.data)) == 2, "a screen")
            displays = leftovers.displays(program.data)
            program.process.send_signal(number)
            await until(lambda: program.process.poll() is not None, "the gateway is gone")
            await until(lambda: leftovers.programs(program.data) == [], "the programs are gone")
            await viewer.page.closed()
        if number == signal.SIGKILL:  # its folders stay until it is started anew
            assert len(leftovers.folders(program.data)) == 1
            again = Program(broker, program.data)
            again.kill()
        assert leftovers.folders(program.data) == []
        assert leftovers.dead(displays) == set()

    with rdp_servers.shadow(tmp_path) as server:
        story()


async def connected(client: ClientSession, program: Program, server: Server) -> ClientWebSocketResponse:
    """A page that sees the desktop, through the program's front door."""
    asked = opening(
        protocol="screen", client_ip=HERE, host=HERE, port=server.port, login=server.user, password=server.password,
    )  # fmt: skip
    assert (await asyncio.to_thread(program.control, "open", asked.json())).status == 200
    context = ssl._create_unverified_context()
    url = f"https://{HERE}:{program.port}/viewer/v1/screen"
    socket = await client.ws_connect(url, headers={"Origin": ORIGIN}, ssl=context, max_msg_size=0)
    await socket.send_json({"token": program.token(asked), "width": 640, "height": 480})
    assert (await socket.receive_json(timeout=PATIENCE))["ok"]
    return socket
