"""`GET /viewer/v1/screen`: a desktop rendered here, as RFB in the page. Its folder and programs live as long as it."""

import asyncio
import os
import shutil
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from aiohttp import web

from gateways.program.rdp.cleanpath import BAD_CERTIFICATE, UNAUTHORIZED, Failure
from gateways.program.rdp.conversation import Credentials
from gateways.program.rdp.dial import NoDesktop, connected, secured
from gateways.program.screen.children import end, start
from gateways.program.screen.commands import (
    LARGEST,
    PATH,
    SMALLEST,
    Programs,
    client_command,
    ending,
    environment,
    programs,
    server_command,
)
from gateways.program.screen.folders import folder, note_display
from gateways.program.sessions import Session
from gateways.program.viewing import Ending, Failed, Visit, first_of, number, welcome
from gateways.program.vnc.pipe import pipe
from gateways.program.vnc.server import Server, greet

CODES = {Failure(http=UNAUTHORIZED): "password", Failure(tls=BAD_CERTIFICATE): "certificate"}
START_SECONDS = 10  # for the VNC server
NAMELESS = "A password came without a user name: the desktop needs both."
NO_START = "The program that renders the screen did not start on the gateway."


async def serve(request: web.Request) -> web.WebSocketResponse:
    """The page's WebSocket: token, width and height; answer; then RFB."""
    return await welcome(request, "screen", talk)


async def talk(visit: Visit) -> Ending:
    """Render the desktop, if it is the right one and lets us in, and pass on what is rendered."""
    settings, opening = visit.house.settings, visit.session.opening
    if opening.password and not opening.login:  # FreeRDP would take the first line that it reads for the name
        raise Failed(NAMELESS, "gateway", "password")
    found = programs(lambda name: shutil.which(name, path=PATH))
    running = sum(each.opening.protocol == "screen" and each.used_at > 0 for each in visit.house.registry.live())
    if running > settings.screens:
        raise Failed(f"This gateway renders {settings.screens} screens already. Choose the other viewer.", "limit")
    with folder(settings.data) as path:
        return await rendered(visit, found, path)


async def let_in(session: Session) -> None:
    """Find out whether it is the desktop that is known, and takes name and password. Raises Failed."""
    opening = session.opening
    try:
        async with connected(opening.host, opening.port) as line:
            desktop = await secured(session, Credentials(opening.login, opening.domain, opening.password), line)
            desktop.writer.close()
    except NoDesktop as error:
        raise Failed(str(error), error.by, CODES.get(error.failure, "unreachable")) from None


def size_of(visit: Visit) -> tuple[int, int]:
    """Of the screen: as the page says, else as the broker does."""
    opening = visit.session.opening
    return (
        number(visit.hello, "width", SMALLEST, LARGEST, opening.width or 1280),
        number(visit.hello, "height", SMALLEST, LARGEST, opening.height or 800),
    )


async def rendered(visit: Visit, found: Programs, path: Path) -> Ending:
    """Start both programs, and pass bytes until one of them ends, or the page. Nothing is left.

    The desktop is asked while the VNC server gets ready.
    """
    session, megabytes, size = visit.session, visit.house.settings.screen_memory, size_of(visit)
    async with children() as running:
        server = await start(server_command(found.server, session.opening, size), environment(path), megabytes)
        running.append(server)
        await let_in(session)
        display = await display_of(server)
        note_display(path, display)
        command = client_command(found.client, session.opening, session.certificate, size)
        client = await start(command, environment(path, display), megabytes)
        running.append(client)
        tell(client, session.spend_password())
        async with private(path) as shown:
            await visit.agree(width=size[0], height=size[1])
            return await first_of(pipe(visit, shown, "both"), shown_by(client), rendering(server))


@asynccontextmanager
async def children() -> AsyncIterator[list[Process]]:
    """Programs that end with the block."""
    running: list[Process] = []
    try:
        yield running
    finally:
        gone = asyncio.ensure_future(end(running))
        while not gone.done():  # whoever cancels us again waits as well
            with suppress(asyncio.CancelledError):
                await asyncio.shield(gone)


async def display_of(server: Process) -> int:
    """The number of the display, told when it can be used. Raises Failed."""
    assert server.stdout is not None  # noqa: S101 - for the type checker
    with suppress(TimeoutError, ValueError):
        async with asyncio.timeout(START_SECONDS):
            return int(await server.stdout.readline())
    raise Failed(NO_START, "gateway")


def tell(client: Process, password: str) -> None:
    """The password, once, in a pipe that nobody else reads."""
    assert client.stdin is not None  # noqa: S101 - for the type checker
    client.stdin.write(password.encode() + b"\n")
    client.stdin.close()


@asynccontextmanager
async def private(path: Path) -> AsyncIterator[Server]:
    """RFB at the socket `rfb` of a VNC server of ours. Raises Failed."""
    place = os.open(path, os.O_PATH | os.O_DIRECTORY)  # a socket's own path may have 107 characters only
    try:
        reader, writer = await asyncio.open_unix_connection(f"/proc/self/fd/{place}/rfb")
    except OSError:
        raise Failed(NO_START, "gateway") from None
    finally:
        os.close(place)
    try:
        server = Server(reader, writer)
        await greet(server, "")
        yield server
    finally:
        writer.transport.abort()


async def shown_by(client: Process) -> Ending:
    """Why FreeRDP has ended, once it has."""
    return ending(await over(client))


async def rendering(server: Process) -> Ending:
    """The VNC server has no reason to end."""
    await over(server)
    return "The program that renders the screen has ended on the gateway.", "gateway"


async def over(program: Process) -> int:
    """Its exit code, once it has one. What it says is read and forgotten."""
    assert program.stdout is not None  # noqa: S101 - for the type checker
    while await program.stdout.read(4096):
        pass
    return await program.wait()
