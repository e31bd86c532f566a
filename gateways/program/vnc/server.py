"""The beginning of a VNC connection at the server's side (RFC 6143 7.1), for every version of the protocol in use."""

import asyncio
import re
import socket
from dataclasses import dataclass

from gateways.program.viewing import Failed
from gateways.program.vnc.password import response

SECONDS = 10  # for each answer of the server
NONE, VNC = 1, 2  # kinds of security
LONGEST_REASON = 400
NO_VNC = "What answers there is no VNC server."


@dataclass
class Server:
    """A VNC server."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    version: int = 0  # 3, 7 or 8

    async def exactly(self, count: int) -> bytes:
        """So many bytes within the time. Raises Failed."""
        try:
            async with asyncio.timeout(SECONDS):
                return await self.reader.readexactly(count)
        except (TimeoutError, OSError, EOFError):
            raise Failed("The VNC server broke off while it was being signed in to.") from None

    async def number(self) -> int:
        """32 bits."""
        return int.from_bytes(await self.exactly(4), "big")

    async def reason(self) -> str:
        """Why the server says no, fit to be shown."""
        length = min(await self.number(), LONGEST_REASON)
        return "".join(filter(str.isprintable, (await self.exactly(length)).decode("utf-8", "replace")))


async def dial(host: str, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A TCP connection that notices when the other side is gone. Raises Failed."""
    try:
        async with asyncio.timeout(SECONDS):
            reader, writer = await asyncio.open_connection(host, port)
    except (TimeoutError, OSError):
        raise Failed(f"The desktop does not answer on port {port}.", code="unreachable") from None
    line = writer.get_extra_info("socket")
    line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    line.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    line.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 60)
    return reader, writer


async def greet(server: Server, password: str) -> None:
    """Agree on version and security, and sign in. Raises Failed."""
    told = re.fullmatch(rb"RFB (\d{3})\.(\d{3})\n", await server.exactly(12))
    if told is None:
        raise Failed(NO_VNC)
    version = (int(told[1]), int(told[2]))
    server.version = 8 if version >= (3, 8) else 7 if version == (3, 7) else 3
    server.writer.write(b"RFB 003.%03d\n" % server.version)
    if await security(server) == NONE:
        if server.version == 8 and await server.number():
            raise Failed(f"The VNC server refuses: {await server.reason()}")
        return
    await prove(server, password)


async def prove(server: Server, password: str) -> None:
    """VNC authentication. Raises Failed."""
    challenge = await server.exactly(16)
    if not password:
        raise Failed("The VNC server wants its password.", code="password")
    server.writer.write(response(challenge, password))
    if await server.number():
        told = await server.reason() if server.version == 8 else ""
        words = "The VNC server does not accept the password." + (f" It says: {told}" if told else "")
        raise Failed(words, code="password")


async def security(server: Server) -> int:
    """The kind of security that both know. Raises Failed."""
    if server.version == 3:
        offered = [await server.number()]
    else:
        offered = list(await server.exactly((await server.exactly(1))[0]))
    if offered in ([], [0]):
        raise Failed(f"The VNC server refuses: {await server.reason()}")
    chosen = next((each for each in (NONE, VNC) if each in offered), None)
    if chosen is None:
        kinds = ", ".join(str(each) for each in offered)
        raise Failed(f"The VNC server wants a kind of sign-in that the gateway does not know ({kinds}).")
    if server.version != 3:
        server.writer.write(bytes([chosen]))
    return chosen
