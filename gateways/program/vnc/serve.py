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
    opening = visit.session.opening
    server = Server(*await dial(opening.host, opening.port))
    try:
        await greet(server, visit.session.spend_password())
        await visit.agree()
        return await pipe(visit, server, opening.clipboard)
    finally:
        server.writer.transport.abort()
