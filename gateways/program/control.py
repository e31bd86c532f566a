"""What the broker asks for: hello, open, close, status. Everything is signed with its key, and good for one use."""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from gateways.program import VERSION
from gateways.program.house import HOUSE, House
from gateways.program.openings import read_opening
from gateways.program.ports import NoPort
from gateways.program.registry import Full
from gateways.program.status import status
from gateways.wire import BROKER, CALL_SECONDS, SKEW, Call, Untrusted, check_body, check_head, public_text, sign_call

log = logging.getLogger(__name__)
BODY_LIMIT = 256 * 1024
BODY_SECONDS = 10
UNREGISTERED = "gateway"  # the audience of hello: the broker may not have told us who we are
Told = dict[str, Any]
Answer = Callable[[House, Told, Call], Told]


class NotDone(Exception):
    """A call that is refused; the answer's status, code and words."""

    def __init__(self, status: int, code: str, words: str) -> None:
        super().__init__(words)
        self.status, self.code = status, code


class Nonces:
    """Which calls were heard already; each is forgotten when its signature is too old to hold.

    They end with the program. That leaves nothing open: `open` names the program that it is for, `close` knows no
    session of an earlier one, and `hello` and `status` change nothing when they are heard again.
    """

    def __init__(self) -> None:
        self._until: dict[str, float] = {}  # in the order of their ends, nearly

    def spend(self, nonce: str, at: float) -> bool:
        """Whether this is its first use."""
        while self._until and self._until[first := next(iter(self._until))] < at:
            del self._until[first]
        if nonce in self._until:
            return False
        self._until[nonce] = at + CALL_SECONDS + 2 * SKEW + 1
        return True


NONCES = web.AppKey("nonces", Nonces)


def hello(house: House, told: Told, call: Call) -> Told:
    """The broker asks who is there, and is given the proof that our key is ours. Where it names that key, it means us:
    then we are told who we are to it. What was meant for another gateway, and was passed on to us, renames nobody."""
    uid, key = text(told, "gateway"), public_text(house.state.key)
    if told.get("certificate") != house.figures.certificate:
        raise NotDone(421, "in_between", "The broker was shown another certificate than mine.")
    if told.get("key") == key:
        registered(house, uid)
    settings = house.settings
    return {
        "key": key,
        "started_at": house.figures.started_at,
        "version": VERSION,
        "certificate": house.figures.certificate,
        "ports": [settings.first_port, settings.last_port],
        "ports_free": house.ports.free,
        "sessions": len(house.registry),
        "proof": sign_call(house.state.key, uid, BROKER, call, at=house.clock()),
    }


def registered(house: House, uid: str) -> None:
    """The broker knows us by this number."""
    if uid != house.state.uid:
        log.info("gateway.registered", extra={"gateway": uid, "before": house.state.uid})
        house.state.learn(uid=uid)
    house.registry.news.set()


def open_session(house: House, told: Told, _call: Call) -> Told:
    """A session that may come: a viewer's, or a port that listens from now on."""
    program = told.pop("started_at", None)
    try:
        opening = read_opening(told)
        if program != house.figures.started_at:  # it may even be one that the program before us has obeyed
            raise NotDone(409, "restarted", "This gateway was started anew a moment ago.")
        session = house.registry.add(opening)
    except ValueError as error:
        raise NotDone(422, "invalid", str(error)) from None
    except Full as error:
        raise NotDone(409, error.code, str(error)) from None
    if session.opening.protocol == "tcp":
        try:
            session.port = house.ports.open(session)
        except NoPort as error:
            session.close(str(error), "gateway", house.clock())
            raise NotDone(409, "no_port", str(error)) from None
    opening = session.opening
    where = {"protocol": opening.protocol, "host": opening.host, "to": opening.port, "port": session.port}
    log.info("session.opened", extra={"session": session.id, "user": opening.user, **where})
    return {"port": session.port, "started_at": house.figures.started_at}


def close_sessions(house: House, told: Told, _call: Call) -> Told:
    """Sessions end within the second, with these words."""
    ids, words = told.get("ids"), text(told, "reason")
    if not isinstance(ids, list) or not all(isinstance(each, str) for each in ids):
        raise NotDone(422, "invalid", "ids must be a list of texts")
    return {"closed": house.registry.close(ids, words, "broker")}


def tell_status(house: House, _told: Told, _call: Call) -> Told:
    """How things stand."""
    return status(house, house.registry.closed, house.registry.refused)


def text(told: Told, name: str) -> str:
    """A text that is not empty. Raises NotDone."""
    value = told.get(name)
    if not isinstance(value, str) or not value or len(value) > 1_000:
        raise NotDone(422, "invalid", f"{name} must be a text")
    return value


def signed(answer: Answer, audience: str = "") -> Callable[[web.Request], Awaitable[web.Response]]:
    """A handler that obeys the broker alone. `audience`: what the call is for, where it is not our uid."""

    async def handle(request: web.Request) -> web.Response:
        house = request.app[HOUSE]
        try:
            claims = judged(request, audience or house.state.uid)
            call = Call("POST", request.raw_path, await body(request))
            return web.json_response(answer(house, checked(claims, call), call))
        except NotDone as error:
            if error.status != 409:
                extra = {"path": request.path, "client": request.remote, "why": str(error)}
                log.warning("control.refused", extra=extra)
            return web.json_response({"error": error.code, "detail": str(error)}, status=error.status)

    return handle


def judged(request: web.Request, audience: str) -> Told:
    """The claims of a call that the broker has signed for us, now, for the first time; its body may still have to come.

    Nobody else is waited for, so no crowd of strangers takes the broker's place, from whatever address. Raises NotDone.
    """
    house = request.app[HOUSE]
    if house.state.broker_key is None:
        raise NotDone(503, "no_broker", f"{house.settings.broker} has not told its key yet")
    call, at = Call("POST", request.raw_path), house.clock()
    try:
        claims = check_head(request.headers.get("Authorization", ""), house.state.broker_key, audience, call, at=at)
        if claims.get("iss") != BROKER:
            raise Untrusted("it is not from the broker")
        if not request.app[NONCES].spend(str(claims.get("jti", "")), at):
            raise Untrusted("it was used before")
    except Untrusted as error:
        raise NotDone(401, "untrusted", str(error)) from None
    return claims


async def body(request: web.Request) -> bytes:
    """What was sent, in time. Raises NotDone."""
    try:
        async with asyncio.timeout(BODY_SECONDS):
            return await request.read()
    except TimeoutError:
        raise NotDone(408, "too_slow", f"the body did not come within {BODY_SECONDS} seconds") from None
    except web.HTTPRequestEntityTooLarge:
        raise NotDone(413, "too_large", f"more than {BODY_LIMIT} bytes") from None


def checked(claims: Told, call: Call) -> Told:
    """The object that a call brings, where it is what was signed. Raises NotDone."""
    try:
        check_body(claims, call)
        told = json.loads(call.body)
    except Untrusted as error:
        raise NotDone(401, "untrusted", str(error)) from None
    except (ValueError, RecursionError):
        told = None
    if not isinstance(told, dict):
        raise NotDone(400, "bad_json", "the body must be a JSON object")
    return told


def routes(app: web.Application) -> None:
    """Where the broker calls."""
    app[NONCES] = Nonces()
    app.router.add_post("/control/v1/hello", signed(hello, UNREGISTERED))
    app.router.add_post("/control/v1/open", signed(open_session))
    app.router.add_post("/control/v1/close", signed(close_sessions))
    app.router.add_post("/control/v1/status", signed(tell_status))
