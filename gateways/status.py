"""What a gateway tells of itself in hello and heartbeat, looked at before it is believed. Pure."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any

BYS = ("user", "desktop", "gateway", "broker", "limit")
BIGGEST = 2**63 - 1
LATEST = 4e9  # Unix seconds that a date can have


class Malformed(Exception):
    """It is not what a gateway tells; says what is wrong."""


@dataclass(frozen=True, slots=True)
class Told:
    """One session. Times are Unix seconds by the gateway's clock, 0.0: not yet."""

    id: str
    used_at: float
    client_ip: str
    port: int
    bytes_in: int
    bytes_out: int
    connections: int
    certificate: str
    closed_at: float = 0.0
    reason: str = ""
    by: str = ""


@dataclass(frozen=True, slots=True)
class Refused:
    """Somebody who was not let in; `number` counts them since the program's start."""

    at: float
    why: str
    client_ip: str
    id: str
    number: int


@dataclass(frozen=True, slots=True)
class Status:
    """All of it."""

    version: str
    started_at: float
    draining: bool
    ports_free: int
    certificate: str
    sessions: tuple[Told, ...]
    closed: tuple[Told, ...]
    refused: tuple[Refused, ...]


def read(said: Mapping[str, Any]) -> Status:
    """The status of a verified call. Raises Malformed."""
    return Status(
        text(said, "version", 40), moment(said, "started_at"), said.get("draining") is True,
        number(said, "ports_free", 65_536), text(said, "certificate", 64),
        tuple(session(each) for each in rows(said, "sessions")),
        tuple(closed(each) for each in rows(said, "closed")),
        tuple(refused(each) for each in rows(said, "refused")),
    )  # fmt: skip


def session(said: Mapping[str, Any], **more: Any) -> Told:
    """One that lives."""
    return Told(
        text(said, "id", 40), moment(said, "used_at"), address(said), number(said, "port", 65_535),
        number(said, "bytes_in"), number(said, "bytes_out"), number(said, "connections", 65_535),
        text(said, "certificate", 64), **more,
    )  # fmt: skip


def closed(said: Mapping[str, Any]) -> Told:
    """One that has ended."""
    by = said.get("by")
    if by not in BYS:
        raise Malformed(f"by is none of {', '.join(BYS)}")
    return session(said, closed_at=moment(said, "closed_at"), reason=text(said, "reason", 200), by=by)


def refused(said: Mapping[str, Any]) -> Refused:
    """One that did not come about."""
    return Refused(
        moment(said, "at"), text(said, "why", 300), address(said), text(said, "id", 40), number(said, "number")
    )


def rows(said: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    """A list of objects."""
    value = said.get(name)
    if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
        raise Malformed(f"{name} is no list of objects")
    return value


def text(said: Mapping[str, Any], name: str, most: int) -> str:
    """A text, cut to what is kept."""
    value = said.get(name)
    if not isinstance(value, str):
        raise Malformed(f"{name} is no text")
    return plain(value, most)


def plain(words: str, most: int) -> str:
    """What the database can keep of a text: neither NUL nor half of a surrogate pair."""
    return words.replace("\0", "").encode(errors="replace").decode()[:most]


def number(said: Mapping[str, Any], name: str, most: int = BIGGEST) -> int:
    """A whole number that is not negative."""
    value = said.get(name)
    if type(value) is not int or not 0 <= value <= most:
        raise Malformed(f"{name} is no number from 0 to {most}")
    return value


def moment(said: Mapping[str, Any], name: str) -> float:
    """A time."""
    value = said.get(name)
    if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and 0 <= value < LATEST:
        return float(value)
    raise Malformed(f"{name} is no time")


def address(said: Mapping[str, Any]) -> str:
    """The client's address, "" before anybody came."""
    value = text(said, "client_ip", 60)
    try:
        return str(ip_address(value)) if value else ""
    except ValueError:
        raise Malformed("client_ip is no address") from None
