"""The ASGI application: /agent/v1/, /metrics and /healthz; everything else does not exist here."""

import asyncio
import ipaddress
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from agents.calls import AWAY as AWAY_ANSWER
from agents.calls import Answer, Request, answer
from agents.endpoint import database, figures
from agents.endpoint.bell import Bell
from agents.endpoint.reading import Bodies, Receive, Unread
from agents.keys import key_hash
from agents.limits import Limits, too_much
from broker.core import probes
from broker.core.clock import now
from broker.core.net import FORWARDED, client_behind

log = logging.getLogger(__name__)
PREFIX = "/agent/v1/"
PROXIED = frozenset(name.removeprefix("HTTP_").replace("_", "-").lower().encode() for name in FORWARDED)

Scope = Mapping[str, Any]
Send = Callable[[dict[str, Any]], Awaitable[None]]


@dataclass
class Application:
    """What uvicorn calls for each request."""

    database: database.Database
    limits: Limits
    bell: Bell
    figures: figures.Figures
    ca: Callable[[], bytes]
    bodies: Bodies = field(default_factory=Bodies)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        path = scope["path"]
        if not path.startswith(PREFIX):
            await reply(send, *await self.other(path, scope, dict(scope["headers"])))
            return
        try:
            given, closing = await self.called(path.removeprefix(PREFIX), scope, receive), False
        except Unread as unread:
            given, closing = unread.answer, True
        await reply(send, given.status, *given.content, given.retry_after, closing)

    async def called(self, path: str, scope: Scope, receive: Receive) -> Answer:
        """A call of the protocol, within its limits. Raises Unread."""
        headers = dict(scope["headers"])
        authorization = headers.get(b"authorization", b"").decode("latin-1")
        who, address = key_hash(authorization), address_of(scope, headers)
        length = headers.get(b"content-length", b"")
        headers.clear()  # thousands of these calls wait at a time: keep what uvicorn still looks for
        scope["headers"][:] = [each for each in scope["headers"] if each[0] == b"connection"]
        wait = self.limits.enter(path, who, address)
        body = await self.bodies.read(receive, length)
        if scope["method"] == "GET":  # has none, and a held poll keeps nothing in hand
            self.bodies.done(body)
            body = b""
        try:
            if wait:
                given = too_much(wait)
            else:
                query = scope["query_string"].decode("latin-1")
                call = answer(Request(scope["method"], path, query, authorization, body, now(), self.ca))
                given = await self.database.drive(call)
        except database.AWAY as error:
            log.warning("The database did not answer an agent: %s", type(error).__name__)
            given = AWAY_ANSWER
        finally:
            self.bodies.done(body)
        self.count(path, who, address, given)
        return given

    def count(self, path: str, who: str, address: str, given: Answer) -> None:
        """What the call costs its sender, what the figures tell, and whether the workers have something to do."""
        self.figures.called(path, given.status, self.limits.answered(path, who, address, given))
        if given.news:
            self.bell.ring()

    async def other(self, path: str, scope: Scope, headers: Mapping[bytes, bytes]) -> tuple[int, bytes, str]:
        """Probes: status, content and type."""
        if path == "/healthz":
            return 200, b"ok", "text/plain"
        if path == "/metrics":
            if not probes.may_measure(headers.get(b"authorization", b"").decode("latin-1"), is_local(scope, headers)):
                return 403, probes.NOT_MEASURED.encode(), "text/plain"
            return 200, await asyncio.to_thread(self.figures.text), probes.METRICS_TYPE
        return 404, b'{"error": "not_found", "detail": "Agents call /agent/v1/ here."}', "application/json"


def address_of(scope: Scope, headers: Mapping[bytes, bytes]) -> str:
    """The caller's address; headers count only from a trusted proxy."""
    peer = scope["client"][0] if scope["client"] else ""
    return client_behind(peer, headers.get(b"x-forwarded-for", b"").decode("latin-1")) or peer


def is_local(scope: Scope, headers: Mapping[bytes, bytes]) -> bool:
    """Sent from this very machine, and not passed on by a proxy on it (CONTRACTS 3, "Loopback rule")."""
    peer = scope["client"][0] if scope["client"] else ""
    return bool(peer) and ipaddress.ip_address(peer).is_loopback and PROXIED.isdisjoint(headers)


async def reply(  # noqa: PLR0913 - an HTTP answer has this many parts
    send: Send, status: int, content: bytes, kind: str, retry_after: int = 0, closing: bool = False
) -> None:
    """Send an answer."""
    headers = [(b"content-type", kind.encode()), (b"content-length", str(len(content)).encode())]
    if retry_after:
        headers.append((b"retry-after", str(retry_after).encode()))
    if closing:
        headers.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": content})
