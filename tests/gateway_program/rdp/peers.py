"""Desktops that behave badly, or just plainly: a few lines of RDP's beginning on a port of the loopback."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from gateways.program.rdp import x224
from tests.gateway_program.rdp.samples import connect_response
from tests.gateway_program.rdp_servers import certificate

Story = Callable[["Peer", asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@dataclass
class Peer:
    """One desktop; `heard` is all that was said to it after TLS."""

    story: Story
    tls: ssl.SSLContext
    fingerprint: str
    port: int = 0
    heard: bytearray = field(default_factory=bytearray)
    gone: asyncio.Event = field(default_factory=asyncio.Event)  # the gateway has hung up, or the story is over
    visits: set["asyncio.Task[None] | None"] = field(default_factory=set)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Somebody has come."""
        self.visits.add(asyncio.current_task())
        try:
            await self.story(self, reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError, ssl.SSLError):
            pass
        finally:
            self.visits.discard(asyncio.current_task())
            self.gone.set()
            writer.transport.abort()

    async def listen(self, reader: asyncio.StreamReader) -> None:
        """Until the gateway hangs up."""
        while data := await reader.read(65_536):
            self.heard += data


@asynccontextmanager
async def peer(folder: Path, story: Story) -> AsyncIterator[Peer]:
    """A desktop with this story, once for everybody who comes."""
    fingerprint = certificate(folder / "peer.crt", folder / "peer.key")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "peer.crt", folder / "peer.key")
    made = Peer(story, context, fingerprint)
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.port = server.sockets[0].getsockname()[1]
    async with server:
        yield made
        if left := [each for each in made.visits if each]:
            await asyncio.wait(left, timeout=2)  # the gateway is about to hang up


async def asked(reader: asyncio.StreamReader) -> bytes:
    """The gateway's X.224 request."""
    head = await reader.readexactly(4)
    return head + await reader.readexactly(x224.length(head) - 4)


async def silent(_peer: Peer, reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    """Takes the connection and says nothing."""
    await reader.read()


async def cut(_peer: Peer, reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    """Hangs up after the first word."""
    await asked(reader)


async def babble(_peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Is an SSH server."""
    writer.write(b"SSH-2.0-OpenSSH_9.2p1\r\n")
    await reader.read()


def saying(confirm: bytes) -> Story:
    """Answers this to the request, and listens."""

    async def story(_peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asked(reader)
        writer.write(confirm)
        await reader.read()

    return story


async def secured(peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Up to TLS, as it should be."""
    await asked(reader)
    writer.write(x224.confirm(x224.TLS, 0))
    await writer.start_tls(peer.tls)


async def plain(peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A desktop that names its channels, and then listens."""
    await secured(peer, reader, writer)
    peer.heard += await reader.read(65_536)
    writer.write(connect_response())
    await peer.listen(reader)


def refusal(code: int) -> bytes:
    """The X.224 answer that refuses."""
    answer = bytearray(x224.confirm(code, 0))
    answer[11] = 3
    return bytes(answer)


async def plain_until_info(peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A desktop that has been told who comes."""
    await secured(peer, reader, writer)
    await reader.read(65_536)
    writer.write(connect_response())
    peer.heard += await reader.read(65_536)
