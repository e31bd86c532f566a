"""How a page comes to a session that is not RDP: its first message brings the token, then bytes go both ways.

An engine (vnc, ssh, screen) is a function that is given the Visit and returns who ended it, and why. It may end at any
await: when the session ends, whoever ended it, the engine is cancelled.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any

from aiohttp import WSCloseCode, WSMsgType, web

from gateways.program.gate import Refused
from gateways.program.house import HOUSE, House
from gateways.program.sessions import By, Session
from gateways.wire import Protocol

HELLO_SECONDS = 10  # for the first message
PART_SECONDS = 0.5  # for the page to hear of the end
CANCEL_AGAIN = 0.2  # seconds
LARGEST_HELLO = 16_384
LARGEST_MESSAGE = 1 << 20
PIECE = 16_384  # bytes that an engine is given at once: a message full of small orders is work for a while
HEARTBEAT = 30  # seconds between pings
Ending = tuple[str, By]  # in words, and who


class Failed(Exception):
    """It cannot go on. The words are for the person; `by` says whose doing it is.

    `code` is for the page: "password" (ask for it), "certificate" (another than is known), "unreachable", "limit",
    "missing" (a program that the gateway has not got), or "".
    """

    def __init__(self, words: str, by: By = "desktop", code: str = "") -> None:
        super().__init__(words)
        self.by, self.code = by, code


class Gone(Exception):
    """The page has closed the connection, or has said what it may not."""


@dataclass
class Visit:
    """One page at its session. Bytes are counted here."""

    house: House
    session: Session
    socket: web.WebSocketResponse
    hello: Mapping[str, Any]  # the first message
    agreed: bool = False
    on_text: Callable[[Mapping[str, Any]], None] | None = None  # what the page says beside the bytes
    _rest: bytearray = field(default_factory=bytearray)  # of a message that was not read to its end

    async def agree(self, **more: Any) -> None:
        """Tell the page, once, that from here on it is the engine's protocol."""
        if not self.agreed:
            self.agreed = True
            await self.socket.send_str(json.dumps({"ok": True, **more}))

    async def send(self, data: bytes) -> None:
        """To the page; waits where it reads slowly."""
        if data:
            self.session.bytes_out += len(data)
            await self._tried(self.socket.send_bytes(data))

    async def receive(self) -> bytes:
        """The next bytes of the page, not too many; between two pieces of a message others have a turn. Raises Gone."""
        if self._rest:
            await asyncio.sleep(0)
        else:
            self._rest += await self._message()
        data = bytes(self._rest[:PIECE])
        del self._rest[:PIECE]
        return data

    async def _message(self) -> bytes:
        while True:
            message = await self.socket.receive()
            if message.type == WSMsgType.BINARY:
                self.session.bytes_in += len(message.data)
                data: bytes = message.data
                return data
            if message.type != WSMsgType.TEXT or self.on_text is None:
                raise Gone
            self.on_text(read(message.data))

    async def exactly(self, count: int) -> bytes:
        """So many bytes of the page. Raises Gone."""
        data = bytearray()
        while len(data) < count:
            data += await self.receive()
        self.unread(bytes(data[count:]))
        return bytes(data[:count])

    def unread(self, data: bytes) -> None:
        """Give back what `receive` gave: the next one gives it again."""
        self._rest[:0] = data

    async def _tried(self, sending: Awaitable[None]) -> None:
        try:
            await sending
        except ConnectionError:
            raise Gone from None


async def first_of(*ways: Coroutine[Any, Any, Ending]) -> Ending:
    """Run them side by side until one is over: its end is that of all. Raises what it raised."""
    tasks = [asyncio.ensure_future(each) for each in ways]
    try:
        over, _others = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for each in tasks:
            each.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    return next(each for each in tasks if each in over).result()


Engine = Callable[[Visit], Awaitable[Ending]]


def read(text: str) -> Mapping[str, Any]:
    """A JSON object of the page. Raises Gone."""
    try:
        told = json.loads(text)
    except (ValueError, RecursionError):
        raise Gone from None
    if not isinstance(told, dict):
        raise Gone
    return told


def number(told: Mapping[str, Any], name: str, least: int, most: int, usual: int) -> int:
    """A whole number that the page may tell, kept between its limits."""
    value = told.get(name, usual)
    return max(least, min(most, value)) if type(value) is int else usual


async def welcome(request: web.Request, protocol: Protocol, engine: Engine) -> web.WebSocketResponse:
    """Serve one WebSocket from its first message to its end."""
    house = request.app[HOUSE]
    socket = web.WebSocketResponse(max_msg_size=LARGEST_MESSAGE, compress=False, heartbeat=HEARTBEAT)
    await socket.prepare(request)
    try:
        hello = await first_message(socket, house, request.remote or "")
        session = await house.gate.admit(
            str(hello.get("token", "")),
            protocol,
            origin=request.headers.get("Origin", ""),
            client_ip=request.remote or "",
        )
    except Gone:
        await part(request, socket, "The first message has to bring the connection token.")
        return socket
    except Refused as error:
        await part(request, socket, str(error), error.code)
        return socket
    visit = Visit(house, session, socket, hello)
    session.connections += 1
    try:
        await until_ended(visit, engine)
    finally:
        session.connections -= 1
        session.close("The connection broke off.", "gateway", house.clock())  # counts only where nobody did before
    await part(request, socket, "" if visit.agreed else session.reason, session.code)
    return socket


async def first_message(socket: web.WebSocketResponse, house: House, address: str) -> Mapping[str, Any]:
    """What the page begins with. Raises Gone."""
    try:
        async with house.newcomers.one(address), asyncio.timeout(HELLO_SECONDS):
            message = await socket.receive()
    except TimeoutError:
        raise Gone from None
    if message.type != WSMsgType.TEXT or len(message.data) > LARGEST_HELLO:
        raise Gone
    return read(message.data)


async def until_ended(visit: Visit, engine: Engine) -> None:
    """Run the engine until it or the session ends; the session has ended afterwards."""
    session = visit.session
    work = asyncio.ensure_future(engine(visit))
    ended = asyncio.ensure_future(session.ended.wait())
    try:
        await asyncio.wait([work, ended], return_when=asyncio.FIRST_COMPLETED)
    finally:
        ended.cancel()
        await cancelled(work)
        outcome = (await asyncio.gather(work, return_exceptions=True))[0]
    if isinstance(outcome, Failed):
        session.code = outcome.code
    session.close(*ending_of(outcome), visit.house.clock())


async def cancelled(work: "asyncio.Future[Any]") -> None:
    """Cancel it until it is over: before Python 3.12 asyncio.wait_for may swallow it (python/cpython#86296)."""
    while not work.done():
        work.cancel()
        await asyncio.wait([work], timeout=CANCEL_AGAIN)


def ending_of(outcome: Ending | BaseException) -> Ending:
    """Why an engine is over. What is no end that we know is raised."""
    match outcome:
        case Failed():
            return str(outcome), outcome.by
        case Gone():
            return "The viewer was closed.", "user"
        case asyncio.CancelledError():
            return "The connection broke off.", "gateway"
        case BaseException():
            raise outcome
    return outcome


async def part(request: web.Request, socket: web.WebSocketResponse, error: str, code: str = "") -> None:
    """Close, with words where the page still waits for an answer; it does not have to listen."""
    try:
        async with asyncio.timeout(PART_SECONDS):
            if error:
                await socket.send_str(json.dumps({"error": error, "code": code}))
            await socket.close(code=WSCloseCode.OK)
    except (TimeoutError, ConnectionError):
        pass
    if request.transport is not None:
        request.transport.abort()
