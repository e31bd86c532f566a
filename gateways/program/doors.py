"""Our own addresses beside control and viewers: is it there, figures, and why a session ended."""

import asyncio
import ipaddress
import json

from aiohttp import web

from gateways.program.gate import UNKNOWN
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
    """Why the session of a token ended or was refused: in words for whoever brings the token, and for nobody else.

    Pages of every origin may read the answer (CORS): it is the token that is asked for, no cookie, and what a page
    without one can read here, a WebSocket of any origin tells as well.
    """
    told = await answer_of(request)
    headers = {"Access-Control-Allow-Origin": "*", "Cache-Control": "no-store"}
    return web.json_response(told, status=403 if "error" in told else 200, headers=headers)


async def answer_of(request: web.Request) -> dict[str, str]:
    """`{"reason", "code"}`, or `{"error", "detail"}`."""
    house = request.app[HOUSE]
    try:
        async with house.newcomers.one(request.remote or ""), asyncio.timeout(WHY_SECONDS):
            told = json.loads(await request.read())
        reason, code = ending(house, named(house, str(told["token"])))
    except (ValueError, TypeError, KeyError, RecursionError, OSError, Untrusted):  # TimeoutError is one, too
        return {"error": "bad_token", "detail": "The connection token does not hold at this gateway."}
    return {"reason": reason, "code": code}


def named(house: House, token: str) -> str:
    """The session of a token, however old. Raises Untrusted, KeyError."""
    if house.state.broker_key is None:
        raise Untrusted("no broker is known")
    return str(verified(token, house.state.broker_key, [house.state.uid])["jti"])


def ending(house: House, session_id: str) -> tuple[str, str]:
    """The reason in words, and a code: what went wrong, or who ended or refused it."""
    registry = house.registry
    if past := registry.past(session_id):
        return past.reason, past.code or past.by or ""
    live, refusal = registry.get(session_id), registry.turned_away(session_id)
    if refusal and not (live and live.used_at):
        return refusal.why, refusal.code
    return ("It is open.", "open") if live else (UNKNOWN, "unknown")
