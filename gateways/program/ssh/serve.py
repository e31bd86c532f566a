"""`GET /viewer/v1/ssh`: a terminal at the desktop in the page.

Clipboard: a terminal's text is typed and shown; the gateway cannot tell a pasted one. The page keeps to the policy.
"""

import asyncio
import contextlib

import asyncssh
from aiohttp import web

from gateways.program.ssh.client import connect
from gateways.program.ssh.terminal import Terminal
from gateways.program.viewing import Ending, Visit, first_of, welcome

Shell = asyncssh.SSHClientProcess[bytes]
CHUNK = 1 << 15
WINDOW = 1 << 17  # bytes that the server may send ahead
LEFT: Ending = ("The desktop closed the connection.", "desktop")
ENDED: Ending = ("The shell on the desktop has ended.", "desktop")


async def serve(request: web.Request) -> web.WebSocketResponse:
    """The page's WebSocket: token, answer, then a terminal's bytes; `{"resize": [columns, rows]}` as text."""
    return await welcome(request, "ssh", talk)


async def talk(visit: Visit) -> Ending:
    """Sign in, then pass bytes between shell and terminal."""
    terminal = Terminal(visit)
    connection = await connect(visit.session, terminal)
    try:
        shell: Shell = await connection.create_process(
            term_type="xterm-256color", term_size=(terminal.columns, terminal.rows), encoding=None,
            window=WINDOW, max_pktsize=CHUNK,
        )  # fmt: skip
        terminal.on_resize = lambda: shell.change_terminal_size(terminal.columns, terminal.rows)
        await visit.agree()
        return await first_of(up(visit, shell), down(visit, shell))
    except (asyncssh.Error, OSError):
        return LEFT
    finally:
        connection.abort()


async def up(visit: Visit, shell: Shell) -> Ending:
    """What is typed."""
    with contextlib.suppress(OSError):
        while True:
            shell.stdin.write(await visit.receive())
            await shell.stdin.drain()
    await asyncio.Event().wait()  # the other way tells why
    return LEFT


async def down(visit: Visit, shell: Shell) -> Ending:
    """What is shown. A pseudo-terminal has no second stream for errors."""
    while data := await shell.stdout.read(CHUNK):
        await visit.send(data)
    return ENDED
