"""What agents say: bytes in, values out. Pure, shared by all that serve /agent/v1/ (DESIGN 8, CONTRACTS 3)."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from agents.identity import (
    NETBIOS_LENGTH,
    Claim,
    Identity,
    Machine,
    Match,
    Said,
    Who,
    is_called,
    matches_desktop,
    which_user,
)
from agents.keys import enrolment_string, key_hash, new_key, split_enrolment, wake_signature
from agents.timing import Boot, boot_rule, event_time, skew, wait_seconds
from agents.wire import INTEGER_LIMIT, Fields, ProtocolError, load, storable

__all__ = [
    "FIRST_COMMANDS",
    "NETBIOS_LENGTH",
    "Batch",
    "Boot",
    "Claim",
    "Identity",
    "Machine",
    "Match",
    "News",
    "ProtocolError",
    "Registration",
    "Rejected",
    "Result",
    "Said",
    "SessionLine",
    "Who",
    "bearer_key",
    "boot_rule",
    "enrolment_string",
    "event_time",
    "is_called",
    "key_hash",
    "matches_desktop",
    "new_key",
    "parse_events",
    "parse_register",
    "parse_result",
    "skew",
    "split_enrolment",
    "wait_seconds",
    "wake_signature",
    "which_user",
]

EVENTS_LIMIT = 500
SESSIONS_LIMIT = 200
DATA_LIMIT = 64_000  # bytes: each event is kept for a week
IDLE_LIMIT = 10 * 365 * 86_400
DEFAULT_PORT = 8080
SESSION_EVENTS = frozenset({"login", "logout", "disconnect", "reconnect", "lock", "unlock", "idle", "active"})
EVENTS = SESSION_EVENTS | {"agent_start", "agent_stop", "heartbeat"}
STOP_REASONS = frozenset({"shutdown", "restart", "suspend", "service", "upgrade"})
FIRST_COMMANDS = frozenset({"lock", "disconnect", "logout", "message", "shutdown", "reboot", "grant", "revoke"})
COMMANDS = FIRST_COMMANDS | {"timezone"}  # an agent that does not say what it knows knows the first ones

_WORKSPACE = re.compile(r"ws-[0-9a-z]{8,63}")
_SHA256 = re.compile(r"(?:[0-9a-fA-F]{2}:?){31}[0-9a-fA-F]{2}")
_KEY = re.compile(r"Bearer +([A-Za-z0-9_-]{20,200})", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Registration:
    """The body of `register`; `token` without the CA's hash, optional things empty or None."""

    token: str
    boot_id: str
    hostname: str
    uuid: UUID | None = None
    fingerprint: str = ""
    addresses: tuple[str, ...] = ()
    macs: tuple[str, ...] = ()
    protocols: tuple[str, ...] = ()
    commands: tuple[str, ...] = ()
    os: str = ""
    version: str = ""
    workspace_id: str = ""
    port: int = DEFAULT_PORT
    rdp_cert_sha256: str = ""
    booted_at: datetime | None = None
    sent_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class SessionLine:
    """One session in a heartbeat; `idle` is None where unsaid."""

    session: str
    user: str = ""
    sid: str = ""
    local: bool | None = None
    disconnected: bool = False
    locked: bool | None = None
    idle: int | None = None


@dataclass(frozen=True, slots=True)
class News:
    """One event. `at` is by the agent's clock; `seconds` is idle's; `sessions` None where a heartbeat has no list."""

    seq: int
    type: str
    at: datetime | None = None
    user: str = ""
    sid: str = ""
    local: bool | None = None
    session: str = ""
    data: dict[str, Any] = field(default_factory=dict)
    seconds: int = 0
    reason: str = ""
    booted_at: datetime | None = None
    sessions: tuple[SessionLine, ...] | None = None


@dataclass(frozen=True, slots=True)
class Rejected:
    """An event that is not taken, and why; `seq` is None where it has none."""

    seq: int | None
    reason: str


@dataclass(frozen=True, slots=True)
class Batch:
    """The body of `events`: what is good, in the agent's order, and what is not."""

    boot_id: str
    sent_at: datetime | None = None
    events: tuple[News, ...] = ()
    rejected: tuple[Rejected, ...] = ()

    @property
    def first_type(self) -> str:
        """For `boot_rule`: the type of the first good event, "" where there is none."""
        return self.events[0].type if self.events else ""

    @property
    def booted_at(self) -> datetime | None:
        """When the machine booted by its clock, where an agent_start says so."""
        return next((news.booted_at for news in self.events if news.booted_at), None)


@dataclass(frozen=True, slots=True)
class Result:
    """The answer to a command."""

    ok: bool
    detail: str = ""


def bearer_key(header: str) -> str:
    """The key of an Authorization header. Raises ProtocolError bad_key."""
    match = _KEY.fullmatch(header.strip())
    if match is None:
        raise ProtocolError("bad_key", "The Authorization header carries no agent key.")
    return match[1]


def parse_register(body: bytes) -> Registration:
    """Raises ProtocolError too_large, bad_json, bad_token (none given) or invalid."""
    fields = Fields(load(body))
    token, _ca = split_enrolment(fields.text("token", 400))
    registration = Registration(
        token=token,
        boot_id=fields.text("boot_id", 80, required=True),
        hostname=fields.text("hostname", 255, required=True),
        uuid=_uuid(fields),
        fingerprint=fields.text("fingerprint", 200),
        addresses=fields.addresses("addresses", 64),
        macs=fields.texts("macs", 64, 40),
        protocols=fields.texts("protocols", 16, 20),
        commands=tuple(sorted(COMMANDS.intersection(fields.texts("commands", 64, 40)))),
        os=fields.text("os", 120),
        version=fields.text("version", 40),
        workspace_id=fields.matching("workspace_id", _WORKSPACE, "is not the id of a WorkSpace"),
        port=fields.integer("port", 1, 65_535) or DEFAULT_PORT,
        rdp_cert_sha256=_fingerprint(fields),
        booted_at=fields.moment("booted_at"),
        sent_at=fields.moment("sent_at"),
    )
    fields.check()
    if not token:
        raise ProtocolError("bad_token", "An enrolment token is required.")
    return registration


def _uuid(fields: Fields) -> UUID | None:
    text = fields.text("uuid", 60)
    try:
        return UUID(text) if text else None
    except ValueError:
        fields.wrong("uuid", "is not a UUID")
        return None


def _fingerprint(fields: Fields) -> str:
    return fields.matching("rdp_cert_sha256", _SHA256, "is not a SHA-256 in hex").replace(":", "").lower()


def parse_events(body: bytes) -> Batch:
    """A bad event is rejected with its reason and spoils no other. Raises ProtocolError as `load` does, or invalid."""
    fields = Fields(load(body))
    raw = fields.raw.get("events")
    if not isinstance(raw, list):
        fields.wrong("events", "must be a list")
        raw = []
    boot_id, sent_at = fields.text("boot_id", 80, required=True), fields.moment("sent_at")
    fields.check()
    if len(raw) > EVENTS_LIMIT:
        raise ProtocolError("too_large", f"More than {EVENTS_LIMIT} events.")
    good: dict[int, News] = {}
    rejected: list[Rejected] = []
    for entry in raw:
        news = _event(entry)
        if isinstance(news, News) and news.seq in good:
            news = Rejected(news.seq, "seq is there twice")
        if isinstance(news, News):
            good[news.seq] = news
        else:
            rejected.append(news)
    return Batch(boot_id, sent_at, tuple(good.values()), tuple(rejected))


def _event(entry: object) -> News | Rejected:
    if not isinstance(entry, dict):
        return Rejected(None, "an event must be an object")
    fields = Fields(entry)
    seq = fields.integer("seq", 0, INTEGER_LIMIT)
    if seq is None:
        fields.wrong("seq", "is required")
    kind = fields.text("type", 20, required=True)
    if kind not in EVENTS:
        fields.wrong("type", "is not known")
    news = _news(fields, seq or 0, kind, _data(fields))
    if fields.errors:
        return Rejected(seq, "; ".join(f"{name} {reason}" for name, reason in fields.errors.items()))
    return news


def _news(fields: Fields, seq: int, kind: str, data: dict[str, Any]) -> News:
    inner = Fields(data)
    session = _session(fields)
    if kind in SESSION_EVENTS and not session:
        fields.wrong("session", "is required")
    if kind == "idle" and data.get("seconds") is None:
        fields.wrong("data.seconds", "is required")
    reason = inner.text("reason", 255) if kind == "agent_stop" else ""
    news = News(
        seq=seq,
        type=kind,
        at=fields.moment("at"),
        user=fields.text("user", 255),
        sid=fields.text("sid", 190),
        local=fields.flag("local"),
        session=session,
        data=data,
        seconds=(inner.integer("seconds", 0, IDLE_LIMIT) or 0) if kind == "idle" else 0,
        reason=reason if reason in STOP_REASONS else "",
        booted_at=(fields.moment("booted_at") or inner.moment("booted_at")) if kind == "agent_start" else None,
        sessions=_sessions(inner) if kind == "heartbeat" else None,
    )
    for name, words in inner.errors.items():
        fields.wrong(f"data.{name}", words)
    return news


def _data(fields: Fields) -> dict[str, Any]:
    value = fields.raw.get("data")
    if value is None:
        return {}
    reason = storable(value) if isinstance(value, dict) else "must be an object"
    if not reason and len(json.dumps(value)) > DATA_LIMIT:
        reason = f"is larger than {DATA_LIMIT} bytes"
    if reason:
        fields.wrong("data", reason)
        return {}
    return dict(value)


def _session(fields: Fields) -> str:
    """A session's id, as text or as the number that Windows has."""
    value = fields.raw.get("session")
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) <= INTEGER_LIMIT:
        return str(value)
    return fields.text("session", 80)


def _sessions(inner: Fields) -> tuple[SessionLine, ...] | None:
    value = inner.raw.get("sessions")
    if value is None:
        return None
    if not isinstance(value, list) or len(value) > SESSIONS_LIMIT:
        inner.wrong("sessions", f"must be a list of at most {SESSIONS_LIMIT} sessions")
        return None
    return tuple(_line(inner, entry) for entry in value)


def _line(inner: Fields, entry: object) -> SessionLine:
    fields = Fields(entry if isinstance(entry, Mapping) else {})
    state = fields.text("state", 20).casefold()
    line = SessionLine(
        session=_session(fields),
        user=fields.text("user", 255),
        sid=fields.text("sid", 190),
        local=fields.flag("local"),
        disconnected=state == "disconnected",
        locked=True if state == "locked" else fields.flag("locked"),
        idle=fields.integer("idle", 0, IDLE_LIMIT),
    )
    if not line.session:
        fields.wrong("session", "is required")
    for name, reason in fields.errors.items():
        inner.wrong("sessions", f"has an entry whose {name} {reason}")
    return line


def parse_result(body: bytes) -> Result:
    """The answer to a command. Raises ProtocolError as `load`, or invalid."""
    fields = Fields(load(body))
    ok = fields.flag("ok")
    if ok is None:
        fields.wrong("ok", "is required")
    detail = fields.text("detail", 2000)
    fields.check()
    return Result(bool(ok), detail)
