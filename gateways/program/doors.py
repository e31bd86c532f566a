"""Our own addresses beside control and viewers: is it there, figures, and why a session ended."""

import asyncio
import ipaddress
import json

from aiohttp import web

from gateways.program.house import HOUSE, House
from gateways.program.status import metrics
from gateways.wire import Untrusted, verified

WHY_SECONDS = 10
PROXIED = ("Forwarded", "Via", "X-Forwarded-For", "X-Real-IP")


async def ping(request: web.Request) -> web.Response:
    """`ok`; while the gateway is being shut down 503, so that a balancer sends nobody here."""
    if request.app[HOUSE].registry.draining:
        return web.Response(status=503, text="draining")
    return web.Response(text="ok")


async def figures(request: web.Request) -> web.Response:
    """For this machine, and for the networks that the administrator names."""
    house = request.app[HOUSE]
    proxied = any(name in request.headers for name in PROXIED)  # then "this machine" is anybody (CONTRACTS 3)
    if proxied or not may_read_figures(house, request.remote or ""):
        return web.Response(status=404, text="There is no such page.")
    return web.Response(text=metrics(house), headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"})


def may_read_figures(house: House, client: str) -> bool:
    """Whether this address is of this machine, or in --metrics-from."""
    try:
        address = ipaddress.ip_address(client)
    except ValueError:
        return False
    return address.is_loopback or any(address in each for each in house.settings.metrics_from)


async def why(request: web.Request) -> web.Response:
    """Why the session of a token ended or was refused; for the page that had it, and for no other."""
    house = request.app[HOUSE]
    try:
        async with house.newcomers.one(request.remote or ""), asyncio.timeout(WHY_SECONDS):
            told = json.loads(await request.read())
        session_id = named(house, str(told["token"]))
    except (ValueError, TypeError, KeyError, RecursionError, TimeoutError, Untrusted):
        return web.json_response({"error": "bad_token", "detail": "No connection token that holds here."}, status=403)
    origin, reason, code = ending(house, session_id)
    answer = web.json_response({"reason": reason, "code": code}, headers={"Cache-Control": "no-store"})
    return allow(answer, origin)


async def may_ask_why(request: web.Request) -> web.Response:
    """The browser's question before a page of another origin may ask."""
    origin = request.headers.get("Origin", "")
    answer = web.Response(status=204)
    if request.app[HOUSE].registry.knows_origin(origin):
        answer.headers["Access-Control-Allow-Methods"] = "POST"
        answer.headers["Access-Control-Allow-Headers"] = "Content-Type"
        answer.headers["Access-Control-Max-Age"] = "600"
        allow(answer, origin)
    return answer


def named(house: House, token: str) -> str:
    """The session of a token, however old. Raises Untrusted, KeyError."""
    if house.state.broker_key is None:
        raise Untrusted("no broker is known")
    return str(verified(token, house.state.broker_key, [house.state.uid])["jti"])


def ending(house: House, session_id: str) -> tuple[str, str, str]:
    """The origin that may read it, the reason in words, and a code: what went wrong, or who ended or refused it."""
    registry = house.registry
    if past := registry.past(session_id):
        return past.opening.origin, past.reason, past.code or past.by or ""
    live, refusal = registry.get(session_id), registry.turned_away(session_id)
    origin = live.opening.origin if live else ""
    if refusal and not (live and live.used_at):
        return origin, refusal.why, refusal.code
    return (origin, "It is open.", "open") if live else ("", "This gateway does not know the session.", "unknown")


def allow(answer: web.Response, origin: str) -> web.Response:
    """Let a page of this origin read the answer (CORS); none where it is ""."""
    answer.headers["Vary"] = "Origin"
    if origin:
        answer.headers["Access-Control-Allow-Origin"] = origin
    return answer
