"""Every call of the protocol, written once and without I/O: a generator that asks for steps and ends with an answer.

The web process takes the steps on Django's connection (agents/drive.py), the endpoint process on psycopg's
(agents/endpoint/database.py); so both doors give the same answers. A call raises before it writes.
"""

import json
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import parse_qs

from agents import filing, protocol, statements
from agents.filing import Known
from agents.protocol import Boot, ProtocolError, Registration

RETRY_AFTER = 30  # seconds, for whoever answers a poll without holding it (CONTRACTS 5.2)
ID_DIGITS = 18  # fits PostgreSQL's bigint


@dataclass(frozen=True, slots=True)
class Request:
    """A call as it came in; `path` is what stands behind /agent/v1/, `ca` gives the PEM of the broker's CA, if any."""

    method: str
    path: str
    query: str
    authorization: str
    body: bytes
    received: datetime
    ca: Callable[[], bytes] = lambda: b""

    @property
    def digest(self) -> str:
        """What the agent's key is known by. Raises ProtocolError bad_key."""
        return protocol.key_hash(protocol.bearer_key(self.authorization))


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes back. `news`: a worker has something to do. `retry_after` (seconds) becomes a header."""

    status: int
    body: dict[str, Any] | bytes = field(default_factory=dict)
    news: bool = False
    retry_after: int = 0

    @property
    def content(self) -> tuple[bytes, str]:
        """The body as bytes, and their type."""
        if isinstance(self.body, bytes):
            return self.body, "application/x-pem-file"
        return json.dumps(self.body).encode(), "application/json"


@dataclass(frozen=True, slots=True)
class Ask:
    """A statement; answered with its rows."""

    sql: str
    params: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Together:
    """From here to the end of the call: one transaction."""


@dataclass(frozen=True, slots=True)
class Enrol:
    """Register a machine (rare and long: Django's ORM); answered with the body. May raise ProtocolError."""

    said: Registration
    received: datetime


@dataclass(frozen=True, slots=True)
class Listen:
    """From here on, remember whether this agent is woken: nothing falls between the first look and the hold."""

    agent: int


@dataclass(frozen=True, slots=True)
class Hold:
    """Wait until the agent is woken, or so many seconds; answered with the time then, or None: not held here."""

    seconds: int


Step = Ask | Together | Enrol | Listen | Hold
Call = Generator[Step, Any, Answer]


def refusal(code: str, status: int, detail: str, retry_after: int = 0) -> Answer:
    """An answer that is none of the protocol's own errors."""
    return Answer(status, {"error": code, "detail": detail}, retry_after=retry_after)


TOO_LARGE = refusal("too_large", 413, "The body is larger than 1 MB.")
TOO_SLOW = refusal("too_slow", 408, "The body did not come in time.")
TOO_MANY = refusal("unavailable", 503, "Too many agents have much to say at once. Keep everything and come again.", 5)
AWAY = refusal("unavailable", 503, "The broker's database does not answer. Keep everything and come again.", 5)


def answer(request: Request) -> Call:
    """Route, do, and turn what is wrong into the one error form."""
    first, _slash, rest = request.path.partition("/")
    entry = ROUTES.get((first, bool(_slash)))
    if entry is None:
        return refusal("not_found", 404, "There is no such call.")
    method, do = entry
    if request.method != method:
        return refusal("method", 405, f"Use {method}.")
    try:
        return (yield from do(request, rest))
    except ProtocolError as error:
        return Answer(error.status, error.answer())


def ca(request: Request, _: str) -> Call:
    """The certificate by which agents know the broker; they check it against their enrolment string (RULES 4)."""
    pem = request.ca()
    if not pem:
        return refusal("no_ca", 404, "This broker has no CA of its own.")
    return Answer(200, pem)
    yield  # a generator like its siblings, though it asks for nothing


def register(request: Request, _: str) -> Call:
    """A machine introduces itself with its enrolment token."""
    body = yield Enrol(protocol.parse_register(request.body), request.received)
    return Answer(201, body, news=True)


def events(request: Request, _: str) -> Call:
    """File a batch of events; repeats are told as duplicates."""
    yield Together()
    rows = yield Ask(statements.LOCKED, (request.digest,))
    agent = known(rows)
    batch = protocol.parse_events(request.body)
    if not agent.approved or agent.desktop_id is None:
        raise ProtocolError("not_approved", "This machine waits for an administrator's approval.")
    boot = protocol.boot_rule(agent.boots, batch.boot_id, batch.first_type)
    if boot is Boot.UNKNOWN:
        raise ProtocolError("unknown_boot", "Begin with agent_start, or register.")
    found = filing.file(agent, batch, boot, request.received)
    rows = yield Ask(statements.FILE, filing.params(agent, batch, request.received, found))
    new = {seq for (seq,) in rows}
    duplicate = {row["seq"] for row in found} - new
    body = {
        "accepted": [news.seq for news in batch.events if news.seq not in duplicate],
        "duplicate": sorted(duplicate),
        "rejected": [{"seq": each.seq, "reason": each.reason} for each in batch.rejected],
    }
    return Answer(202, body, news=bool(new) and not agent.waiting)


def known(rows: list[tuple[Any, ...]]) -> Known:
    """The agent that a key belongs to; raises ProtocolError. Looked up by hash: nothing to compare."""
    if not rows:
        raise ProtocolError("bad_key", "The key is unknown. Register again.")
    pk, approved, desktop, revoked, boots, boot, booted, sessions, waiting = rows[0]
    if revoked:
        raise ProtocolError("revoked", "This agent was revoked.")
    return Known(pk, approved, desktop, list(boots), boot, booted, json.loads(sessions), waiting)


def commands(request: Request, _: str) -> Call:
    """What we ask of the agent; a poll is a sign of life. Fetched commands come again until they are answered."""
    wait = protocol.wait_seconds(parse_qs(request.query).get("wait", ["0"])[-1])
    until = request.received + timedelta(seconds=wait) if wait else None
    rows = yield Ask(statements.POLLED, (request.received, until, request.digest))
    if not rows:
        known((yield Ask(statements.KNOWN, (request.digest,))))
    pk, approved = rows[0]
    moment: datetime | None = request.received
    if wait:
        yield Listen(pk)
    found = (yield from fetched(pk, request.received)) if approved else []
    if wait and not found:
        moment = yield Hold(wait)
        found = (yield from fetched(pk, moment)) if approved and moment else []
    held = wait and (found or moment)
    return Answer(200, {"commands": found} if held else {"commands": found, "retry_after": RETRY_AFTER})


def fetched(agent: int, moment: datetime) -> Generator[Step, Any, list[dict[str, Any]]]:
    """The open commands of an agent, marked as fetched."""
    rows = yield Ask(statements.OUTBOX, (agent, moment))
    if any(not fetched for *_, fetched in rows):
        yield Ask(statements.FETCHED, (moment, [pk for pk, *_ in rows]))
    return [{"id": pk, "type": kind, "data": json.loads(data)} for pk, kind, data, _fetched in rows]


def command(request: Request, text: str) -> Call:
    """The answer to a command; a second one changes nothing."""
    rows = yield Ask(statements.KNOWN, (request.digest,))
    agent = known(rows)
    result = protocol.parse_result(request.body)
    pk = int(text) if text.isascii() and text.isdigit() and len(text) <= ID_DIGITS else 0
    mine = yield Ask(statements.ANSWERED, (result.ok, result.detail, request.received, pk, agent.pk))
    if not mine:
        return refusal("unknown_command", 404, "There is no such command.")
    return Answer(200, {}, news=True)


# (first part of the path, whether more follows) -> method and call
ROUTES = {
    ("ca", False): ("GET", ca),
    ("register", False): ("POST", register),
    ("events", False): ("POST", events),
    ("commands", False): ("GET", commands),
    ("commands", True): ("POST", command),
}
