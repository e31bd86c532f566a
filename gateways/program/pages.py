"""The broker's pages, passed on as they come, both ways (DESIGN 9)."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field

import aiohttp
from aiohttp import web
from yarl import URL

from gateways.program.bodies import Body, Trouble, Uploads
from gateways.program.broker import Broker
from gateways.program.headers import to_broker, to_browser
from gateways.program.house import HOUSE, House
from gateways.program.turns import Places, TooMany, Turns
from gateways.wire import FORWARD_HEADER, Call, Visit, sign_forward

log = logging.getLogger(__name__)
BROKER = web.AppKey("broker", Broker)
CHUNK = 65_536
STALLED = 30  # seconds for a browser to read so much
AHEAD = 16  # such chunks are taken from the broker while the browser has not read them yet: 1 MB
READERS = 300  # answers under way; of more the one that got on least lately makes room
OF_ONE_CLIENT, WAITING, PATIENCE = 64, 1_000, 15  # requests under way, more that wait, and for how many seconds
NOT_PASSED_ON = ("/agent/", "/gateway/", "/control/", "/viewer/", "/app/", "/metrics")  # machines do not come this way


@dataclass(frozen=True)
class Crowd:
    """How many requests are on their way: of one address, with a body, and with an answer that is being read."""

    turns: Turns = field(default_factory=lambda: Turns(OF_ONE_CLIENT, WAITING, PATIENCE))
    uploads: Uploads = field(default_factory=Uploads)
    readers: Places = field(default_factory=lambda: Places(READERS))


CROWD = web.AppKey("crowd", Crowd)


async def serve(request: web.Request) -> web.StreamResponse:
    """Whatever is none of our own addresses."""
    try:
        async with request.app[CROWD].turns.of(request.remote or ""):
            return await passed_on(request, request.app[HOUSE], request.app[BROKER])
    except TooMany:
        return page(Trouble(429, "Too many requests from your address at the same time."))
    except Trouble as error:
        return page(error)


async def passed_on(request: web.Request, house: House, broker: Broker) -> web.StreamResponse:
    """Ask the broker, and give its answer as it comes. Raises Trouble as long as nothing was answered."""
    url = target(request, house.settings.broker)
    if broker.http is None:
        raise away(house, "it has not been found yet")
    body = Body(request, request.app[CROWD].uploads)
    try:
        async with (
            body.begun(),
            broker.http.request(
                request.method, url, headers=headers(request, house), data=body.data, allow_redirects=False
            ) as answer,
        ):
            house.figures.pages += 1
            return await answered(request, answer, house.settings.broker)
    except Trouble:
        raise
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        if body.trouble:
            raise body.trouble from None
        raise away(house, str(error) or type(error).__name__) from None


def target(request: web.Request, broker: str) -> URL:
    """Where at the broker. Raises Trouble for what is no page of its."""
    raw = request.raw_path
    if not raw.startswith("/") or "#" in raw:
        raise Trouble(400, "That is no address of a page.")
    if request.path.startswith(NOT_PASSED_ON):
        raise Trouble(404, "There is no such page.")
    if "upgrade" in request.headers.get("Connection", "").lower():
        raise Trouble(400, "Only pages are passed on here.")
    return URL(broker + raw, encoded=True)


def headers(request: web.Request, house: House) -> dict[str, str]:
    """The browser's, and what we vouch for: who it is, and at what address it asked."""
    call = Call(request.method, request.raw_path)
    made = to_broker(request.headers.items())
    made["X-Forwarded-Proto"], made["X-Forwarded-Host"] = "https", request.host
    if house.state.uid:
        visit = Visit(request.remote or "", request.host)
        made[FORWARD_HEADER] = sign_forward(house.state.key, house.state.uid, visit, call, at=house.clock())
    return made  # type: ignore[return-value]


async def answered(request: web.Request, answer: aiohttp.ClientResponse, broker: str) -> web.StreamResponse:
    """The broker's answer, chunk by chunk; from its first byte on there is no other page to show."""
    here = f"https://{request.host}"
    sent = web.StreamResponse(status=answer.status, reason=answer.reason)
    sent.headers.extend(to_browser(answer.headers.items(), broker, here))
    try:
        async with request.app[CROWD].readers.one(request.remote or "") as gets_on:
            await sent.prepare(request)
            await copied(answer, sent, gets_on)
            async with asyncio.timeout(STALLED):
                await sent.write_eof()
                await request.writer.drain()  # aiohttp does not wait at the end of a body whose length it knew
    except* (aiohttp.ClientError, TimeoutError, OSError):
        if request.transport is not None:  # either end is gone: the browser is to see that it is not all
            request.transport.abort()
    return sent


async def copied(answer: aiohttp.ClientResponse, sent: web.StreamResponse, gets_on: Callable[[], None]) -> None:
    """All of the body. A slow browser holds neither a connection to the broker nor a thread of it: what it has not read
    waits here. Raises a group with what went wrong."""
    waiting: asyncio.Queue[bytes] = asyncio.Queue(AHEAD)

    async def take() -> None:
        async for chunk in answer.content.iter_chunked(CHUNK):
            await waiting.put(chunk)
        await waiting.put(b"")

    async with asyncio.TaskGroup() as both:
        both.create_task(take())
        while chunk := await waiting.get():
            async with asyncio.timeout(STALLED):
                await sent.write(chunk)
            gets_on()


def away(house: House, why: str) -> Trouble:
    """The broker does not answer: logged for the administrator, in words for the user."""
    house.figures.pages_failed += 1
    log.warning("page.broker_away", extra={"broker": house.settings.broker, "why": why})
    return Trouble(502, "The connection broker does not answer just now. Open sessions go on. Please try again soon.")


PAGE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<meta name="color-scheme" content="light dark"><title>{title}</title></head>
<body><h1>{title}</h1><p>{words}</p><p><a href="/">To the first page</a></p></body></html>
"""
TITLES = {502: "The broker is away", 404: "Not found", 413: "Too large", 408: "Too slow", 429: "Too many requests"}


def page(error: Trouble) -> web.Response:
    """What a person reads. All the words are our own."""
    text = PAGE.format(title=TITLES.get(error.status, "That does not work"), words=error)
    said = {"Cache-Control": "no-store", "Content-Security-Policy": "default-src 'none'"}
    if error.status in (429, 502):
        said["Retry-After"] = "5"
    answer = web.Response(status=error.status, text=text, content_type="text/html", headers=said)
    if error.status in (400, 408, 413, 429):
        answer.force_close()  # the rest of what was sent is not read
    return answer
