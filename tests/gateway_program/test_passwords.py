"""A password that was planted is in no line of the gateway's log, however much it logs, whatever goes wrong."""

import asyncio
import base64
import io
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from gateways.program import telling
from gateways.program.rdp import serve as rdp
from gateways.program.rdp import x224
from gateways.program.screen import serve as screen
from gateways.program.ssh import serve as ssh
from gateways.program.vnc import serve as vnc
from tests.gateway_program.rdp import peers
from tests.gateway_program.rdp.bridge import ask
from tests.gateway_program.rdp.peers import Peer, peer
from tests.gateway_program.rdp_servers import need, shadow
from tests.gateway_program.ssh.servers import needed, ssh_server
from tests.gateway_program.stage import HERE, PATIENCE, Stage, in_loop, stage, until
from tests.gateway_program.vnc import servers as vnc_servers
from tests.gateway_program.vnc.servers import vnc_server
from tests.ports import free_port

pytestmark = pytest.mark.slow
Serve = Callable[[web.Request], Awaitable[web.StreamResponse]]


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """All that anything in the gateway says, in the form that its log has."""
    written, root = io.StringIO(), logging.getLogger()
    handler, level = logging.StreamHandler(written), root.level
    handler.setFormatter(telling.Lines())
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield written
    root.removeHandler(handler)
    root.setLevel(level)


@dataclass
class Visits:
    """Pages at one door; every one brings a password of its own, which is remembered."""

    here: Stage
    planted: list[str] = field(default_factory=list)
    ends: list[str] = field(default_factory=list)

    async def visit(self, port: int, password: str, login: str = "alice", origin: str = "", **more: Any) -> str:
        """Until the desktop is there or it has ended; what became of it: "there", or why not."""
        self.planted.append(password)
        session, token = self.here.open(port=port, login=login, password=password, **more)
        socket = await (self.here.connect(origin) if origin else self.here.connect())
        await (socket.send_bytes(ask(token)) if self.here.protocol == "rdp" else socket.send_json({"token": token}))
        answer = await socket.receive(PATIENCE)
        refused = self.here.world.registry.turned_away(session.id)
        if refused is None and not session.closed_at:
            await until(lambda: bool(session.closed_at) or session.bytes_out > 0, "the desktop, or the end")
        there = not session.closed_at and refused is None
        session.close("Enough.", "broker", self.here.world.clock())
        await socket.close()
        await until(lambda: session.connections == 0, "it is over")
        self.ends.append(f"{answer.data!r} {session.reason} {session.code} {refused}")
        return "there" if there else session.code or session.reason if refused is None else refused.code


@asynccontextmanager
async def visits(folder: Path, protocol: str, serve: Serve, log: io.StringIO) -> AsyncIterator[Visits]:
    """The door; afterwards nothing of what was brought is to be read anywhere."""
    async with stage(folder, protocol, serve) as here:
        made = Visits(here)
        await made.visit(9, "planted-Refused1", origin="https://evil.example.test")
        await made.visit(free_port(), "planted-Down1")
        yield made
    told = log.getvalue() + "\n".join(made.ends)
    assert told.count("session.used") + told.count("session.refused") >= len(made.planted)
    assert not [each for each in made.planted for form in forms(each) if form in told]


def forms(secret: str) -> list[str]:
    """As it may be written."""
    wide = secret.encode("utf-16-le")
    return [secret, repr(wide)[2:-1], secret.encode().hex(), wide.hex(), base64.b64encode(secret.encode()).decode()]


async def no_nla(peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Begins as a desktop with NLA, and then answers nonsense."""
    await peers.asked(reader)
    writer.write(x224.confirm(x224.NLA, 0))
    await writer.start_tls(peer.tls)
    await reader.read(65_536)
    writer.write(b"\x30\x05nonsense")
    await peer.listen(reader)


@pytest.mark.parametrize(("protocol", "serve"), [("rdp", rdp.serve), ("screen", screen.serve)])
def test_of_a_desktop_with_nla(tmp_path: Path, log: io.StringIO, protocol: str, serve: Serve) -> None:
    need()

    @in_loop
    async def story() -> None:
        with shadow(tmp_path) as server:
            async with visits(tmp_path, protocol, serve, log) as page, peer(tmp_path, no_nla) as broken:
                assert await page.visit(server.port, server.password, server.user) == "there"
                assert await page.visit(server.port, "planted-Wrong1", server.user) == "password"
                assert await page.visit(server.port, "planted-Pinned1", server.user, pin="ab" * 32) == "certificate"
                assert await page.visit(broken.port, "planted-Broken1") != "there"

    story()


async def garbage(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A server of something else."""
    writer.write(b"\0\1garbage" * 9000)
    writer.close()


@in_loop
async def test_of_a_desktop_by_vnc(tmp_path: Path, log: io.StringIO) -> None:
    vnc_servers.need()
    with vnc_server(tmp_path) as server:
        async with visits(tmp_path, "vnc", vnc.serve, log) as page, await asyncio.start_server(garbage, HERE, 0) as odd:
            assert await page.visit(server.port, vnc_servers.PASSWORD) == "there"
            assert await page.visit(server.port, "plantedW") == "password"
            assert await page.visit(odd.sockets[0].getsockname()[1], "planted-Broken1") != "there"


@in_loop
async def test_of_a_desktop_by_ssh(tmp_path: Path, log: io.StringIO) -> None:
    needed()
    with ssh_server(tmp_path) as server:
        async with visits(tmp_path, "ssh", ssh.serve, log) as page, await asyncio.start_server(garbage, HERE, 0) as odd:
            assert await page.visit(server.port, server.password, server.user) == "there"
            assert await page.visit(server.port, "planted-Wrong1", server.user) == "there"  # the terminal asks
            assert await page.visit(server.port, "planted-Pinned1", server.user, pin="ab" * 32) != "there"
            assert await page.visit(odd.sockets[0].getsockname()[1], "planted-Broken1") != "there"
