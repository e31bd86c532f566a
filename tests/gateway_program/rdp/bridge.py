"""The browser's part, played by a real RDP client: a bridge from TCP with TLS to the gateway's WebSocket.

FreeRDP connects to the bridge; the bridge brings the token by RDCleanPath, answers as the gateway does, and passes on
what both say. Everything that the gateway sends and gets is kept, so that a test can look for what must not be there.
"""

import asyncio
import ssl
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from aiohttp import ClientWebSocketResponse, WSMsgType

from gateways.program.rdp import bitmaps, der, mcs, updates, x224
from gateways.program.rdp.framing import SLOW, Frames
from tests.gateway_program.rdp_servers import certificate
from tests.gateway_program.stage import PATIENCE, Stage


def ask(token: str, request: bytes = b"") -> bytes:
    """What IronRDP says first."""
    fields = [
        der.field(0, der.integer(3390)),
        der.field(2, der.write(der.TEXT, b"whatever:1")),
        der.field(3, der.write(der.TEXT, token.encode())),
        der.field(6, der.write(der.OCTETS, request or x224.request(x224.TLS))),
    ]
    return der.write(der.SEQUENCE, b"".join(fields))


@dataclass
class Heard:
    """The answer to it."""

    x224: bytes = b""
    certificate: bytes = b""
    address: str = ""
    error: dict[str, int] = field(default_factory=dict)


def read_answer(data: bytes) -> Heard:
    """What the gateway says to it."""
    body = der.fields(der.inside(data, der.SEQUENCE))
    assert der.number(body[0]) == 3390
    if 1 in body:
        names = ("code", "http", "winsock", "tls")
        numbers = der.fields(der.inside(body[1], der.SEQUENCE))
        return Heard(error={names[number]: der.number(value) for number, value in numbers.items()})
    chain = der.inside(der.inside(body[7], der.SEQUENCE), der.OCTETS)
    return Heard(der.inside(body[6], der.OCTETS), chain, der.text(body[9]))


async def answered(stage: Stage, token: str) -> tuple[ClientWebSocketResponse, Heard]:
    """Bring a token; the WebSocket and the answer."""
    socket = await stage.connect()
    await socket.send_bytes(ask(token))
    message = await socket.receive(PATIENCE)
    assert message.type == WSMsgType.BINARY, message
    return socket, read_answer(message.data)


@dataclass
class Bridge:
    """For one client, once."""

    stage: Stage
    token: str
    tls: ssl.SSLContext
    sent: bytearray = field(default_factory=bytearray)  # to the gateway
    got: bytearray = field(default_factory=bytearray)  # from it
    port: int = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """A client has come."""
        head = await reader.readexactly(4)
        await reader.readexactly(x224.length(head) - 4)
        socket, heard = await answered(self.stage, self.token)
        if heard.error:
            writer.transport.abort()
            return
        writer.write(heard.x224)
        await writer.start_tls(self.tls)
        down = asyncio.ensure_future(self._down(socket, writer))
        try:
            while data := await reader.read(65_536):
                self.sent += data
                await socket.send_bytes(data)
        except ConnectionError:
            pass
        finally:
            await socket.close()
            await down
            writer.transport.abort()

    async def _down(self, socket: ClientWebSocketResponse, writer: asyncio.StreamWriter) -> None:
        async for message in socket:
            self.got += message.data
            writer.write(message.data)
            await writer.drain()

    def bitmaps(self) -> list[bitmaps.Bitmap]:
        """All classic bitmaps that the browser was to draw."""
        found = list[bitmaps.Bitmap]()
        for packet in Frames().feed(bytes(self.got)):
            for update in drawn(packet):
                found += bitmaps.read(update)
        return found


def drawn(packet: bytes) -> list[bytes]:
    """The bitmap updates in a packet of a server."""
    if packet[0] != SLOW:
        return [each.data for each in updates.read_fast(packet) if each.code == bitmaps.BITMAP]
    sent = None if packet[7:9] == mcs.CONNECT_RESPONSE else mcs.read_sent(packet)
    share = updates.read_share(sent.data) if sent else None
    is_bitmap = share is not None and share.kind == updates.UPDATE and share.data[:2] == b"\1\0"
    return [share.data] if share and is_bitmap else []


@asynccontextmanager
async def bridge(stage: Stage, token: str, folder: Path) -> AsyncIterator[Bridge]:
    """A port of the loopback that a client may connect to."""
    certificate(folder / "bridge.crt", folder / "bridge.key")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "bridge.crt", folder / "bridge.key")
    made = Bridge(stage, token, context)
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.port = server.sockets[0].getsockname()[1]
    async with server:
        yield made


@asynccontextmanager
async def freerdp(port: int, display: str, folder: Path, *more: str) -> AsyncIterator["subprocess.Popen[bytes]"]:
    """FreeRDP as the client, with a user and a password that are not the desktop's."""
    said = ["/u:nobody", "/p:nothing", "/sec:tls", "/cert:ignore", "/size:800x600", *more]
    there = {"DISPLAY": display, "HOME": str(folder)}
    with (folder / "client.log").open("wb") as log:
        client = subprocess.Popen(["xfreerdp", f"/v:127.0.0.1:{port}", *said], env=there, stdout=log, stderr=log)
    try:
        yield client
    finally:
        client.terminate()
        await asyncio.to_thread(client.wait, 10)
