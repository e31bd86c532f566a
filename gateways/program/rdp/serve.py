"""`GET /viewer/v1/rdp`: the browser's IronRDP brings its token, the gateway a desktop that has let the user in."""

import asyncio
import logging
import time
from collections.abc import Mapping

from aiohttp import WSMsgType, web

from gateways.program.gate import Refused
from gateways.program.house import HOUSE, House
from gateways.program.rdp import cleanpath, der, x224
from gateways.program.rdp.cleanpath import Failure, Request
from gateways.program.rdp.conversation import Conversation, Credentials
from gateways.program.rdp.dial import READ_SIZE, Desktop, NoDesktop, connected, secured
from gateways.program.rdp.framing import LONGEST_MESSAGE
from gateways.program.rdp.reading import Garbled
from gateways.program.viewing import HEARTBEAT, HELLO_SECONDS, Ending, Gone, Visit, part, until_ended
from gateways.wire import destination

log = logging.getLogger(__name__)
LONG = 0.02  # seconds
PICTURE_SECONDS = 30  # from RDCleanPath's answer to the first picture
PARTINGS: Mapping[int, Ending] = {  # by the close code of the WebSocket
    1006: ("The connection to the browser broke off.", "gateway"),
    1009: ("The browser sent a message that is too long.", "gateway"),
}


async def serve(request: web.Request) -> web.WebSocketResponse:
    """One viewer, from its first message to its end."""
    house = request.app[HOUSE]
    socket = web.WebSocketResponse(max_msg_size=LONGEST_MESSAGE, compress=False, heartbeat=HEARTBEAT)
    await socket.prepare(request)
    try:
        token = (await asked(socket, house, request.remote or "")).token
        origin, client = request.headers.get("Origin", ""), request.remote or ""
        session = await house.gate.admit(token, "rdp", origin=origin, client_ip=client)
    except (Garbled, Refused, Gone) as error:
        known = isinstance(error, Refused)
        await told(socket, Failure(http=cleanpath.FORBIDDEN if known else cleanpath.BAD_REQUEST))
        await part(request, socket, "")
        return socket
    session.connections += 1
    try:
        await until_ended(Visit(house, session, socket, {}), viewed)
    finally:
        session.connections -= 1
        session.close("The connection broke off.", "gateway", house.clock())  # counts only where nobody did before
    log.info("rdp.ended", extra={"session": session.id, "reason": session.reason, "by": session.by})
    await part(request, socket, "")
    return socket


async def asked(socket: web.WebSocketResponse, house: House, address: str) -> Request:
    """The browser's RDCleanPath request, in however many messages. Raises Garbled, Gone."""
    data, total = b"", None
    try:
        async with house.newcomers.one(address), asyncio.timeout(HELLO_SECONDS):
            while total is None or len(data) < total:
                message = await socket.receive()
                if message.type != WSMsgType.BINARY:
                    raise Gone
                data += message.data
                total = der.total(data)
                if max(len(data), total or 0) > cleanpath.LONGEST:
                    raise Garbled("an RDCleanPath request that is too long")
    except TimeoutError:
        raise Gone from None
    return cleanpath.read_request(data)


async def told(socket: web.WebSocketResponse, failure: Failure) -> None:
    """Tell the page, if it is still there, why there is no desktop."""
    try:
        await socket.send_bytes(failure.pdu())
    except ConnectionError:
        log.debug("rdp.page_gone")


async def viewed(visit: Visit) -> Ending:
    """Dial, then pass on what both say. Raises Failed, Gone."""
    session, password = visit.session, visit.session.spend_password()
    opening = session.opening  # from here on without it
    who = Credentials(opening.login, opening.domain, password)
    del password
    try:
        async with connected(opening.host, opening.port) as line:
            desktop = await secured(session, who, line)
            talk = Conversation(who, opening.clipboard, desktop.protocol, opening.layout)
            del who  # from here on only the conversation knows the password, until the desktop is told
            shown = x224.confirm(x224.TLS, desktop.flags)  # the browser has no part in NLA
            address = destination(opening.host, opening.port)
            await visit.send(cleanpath.response(address, shown, desktop.certificate))
            return await relayed(visit, desktop, talk)
    except NoDesktop as error:
        await told(visit.socket, error.failure)
        raise


async def relayed(visit: Visit, desktop: Desktop, talk: Conversation) -> Ending:
    """Both directions, until one of them ends."""
    tasks = [
        asyncio.ensure_future(each) for each in (up(visit, desktop, talk), down(visit, desktop, talk), drawn(talk))
    ]
    try:
        for each in asyncio.as_completed(tasks):
            if ending := await each:
                return ending
    except Gone:
        pass
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    return PARTINGS.get(visit.socket.close_code or 0, ("The viewer was closed.", "user"))


async def up(visit: Visit, desktop: Desktop, talk: Conversation) -> Ending:
    """From the browser to the desktop; waits where the desktop reads slowly. Raises Gone."""
    while True:
        try:
            moves = talk.up(await visit.receive())
        except Garbled as error:
            return f"The browser sent what the gateway does not understand: {error}.", "gateway"
        for each in moves.browser:
            await visit.send(each)
        try:
            desktop.writer.writelines(moves.desktop)
            await desktop.writer.drain()
        except OSError:
            return gone(talk)


async def down(visit: Visit, desktop: Desktop, talk: Conversation) -> Ending:
    """From the desktop to the browser; waits where the browser reads slowly. Raises Gone."""
    while True:
        apart = not talk.shown
        try:
            data = await desktop.reader.read(READ_SIZE)
            begin = time.perf_counter()
            moves = talk.down(data)
            took = time.perf_counter() - begin
        except OSError:
            return gone(talk)
        except Garbled as error:
            words = (
                f"The desktop sent what the gateway does not understand: {error}. The compatible viewer may show it."
            )
            return words, "desktop"
        if not data:
            return gone(talk)
        desktop.writer.writelines(moves.desktop)
        for message in messages(moves.browser, apart):
            await visit.send(message)
        if took > LONG:
            await asyncio.sleep(took)  # a desktop with much to crop leaves half of the time to the others


def messages(packets: list[bytes], apart: bool) -> list[bytes]:
    """What is sent at once. Until the desktop draws, each packet is a message: IronRDP 0.7.0 forgets what came in one
    with the packet that ends the handshake."""
    return packets if apart else [b"".join(packets)]


async def drawn(talk: Conversation) -> Ending | None:
    """Time is up where the desktop has not begun to draw by then."""
    await asyncio.sleep(PICTURE_SECONDS)
    words = f"The desktop showed nothing within {PICTURE_SECONDS} seconds."
    return None if talk.shown else (words, "desktop")


def gone(talk: Conversation) -> Ending:
    """The desktop has hung up."""
    return talk.farewell or "The desktop ended the connection.", "desktop"
