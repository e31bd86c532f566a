"""`GET /viewer/v1/vnc`: a VNC server of the desktop in the page."""

from aiohttp import web

from gateways.program.viewing import Ending, Visit, welcome
from gateways.program.vnc.pipe import pipe
from gateways.program.vnc.server import Server, dial, greet


async def serve(request: web.Request) -> web.WebSocketResponse:
    """The page's WebSocket: token, answer, then RFB. The server's password stays here."""
    return await welcome(request, "vnc", talk)


async def talk(visit: Visit) -> Ending:
    """Sign in at the server, then pass bytes."""
    session = visit.session
    server = Server(*await dial(session.opening.host, session.opening.port))
    try:
        await greet(server, session.spend_password())
        await visit.agree()
        return await pipe(visit, server, session.opening.clipboard)
    finally:
        server.writer.transport.abort()
