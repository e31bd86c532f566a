"""RFB between a server that was signed in to and a page: the page's own beginning, then bytes both ways."""

import asyncio
import contextlib

from gateways.program.viewing import Ending, Failed, Gone, Visit, first_of
from gateways.program.vnc.clipboard import Filter
from gateways.program.vnc.server import NONE, Server
from gateways.program.vnc.stream import NotUnderstood
from gateways.wire import Clipboard

CHUNK = 1 << 17
BEGINNING = 20  # seconds


async def pipe(visit: Visit, server: Server, policy: Clipboard) -> Ending:
    """From the page's handshake to the end of either side."""
    try:
        async with asyncio.timeout(BEGINNING):
            await begin(visit)
    except TimeoutError:
        raise Gone from None
    rules = Filter(policy)
    return await first_of(up(visit, server, rules), down(visit, server, rules))


async def begin(visit: Visit) -> None:
    """Be a server of version 3.8 for the page, that wants no password."""
    await visit.send(b"RFB 003.008\n")
    if await visit.exactly(12) != b"RFB 003.008\n":
        raise Gone
    await visit.send(bytes([1, NONE]))
    if await visit.exactly(1) != bytes([NONE]):
        raise Gone
    await visit.send((0).to_bytes(4, "big"))


async def up(visit: Visit, server: Server, rules: Filter) -> Ending:
    """What the person does."""
    try:
        while True:
            server.writer.write(rules.up(await visit.receive()))
            await server.writer.drain()
    except NotUnderstood as error:
        raise Failed(f"With this clipboard policy the gateway cannot let through {error}.", "gateway") from None
    except OSError:
        return "The desktop closed the connection.", "desktop"


async def down(visit: Visit, server: Server, rules: Filter) -> Ending:
    """What the desktop shows."""
    with contextlib.suppress(OSError):
        while data := await server.reader.read(CHUNK):
            try:
                await visit.send(rules.down(data))
            except NotUnderstood as error:
                words = f"With this clipboard policy the gateway cannot let through {error}."
                raise Failed(words, "gateway") from None
    return "The desktop closed the connection.", "desktop"
