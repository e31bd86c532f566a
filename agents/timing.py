"""When something happened, by our clock, and which boot it belongs to. Pure (RULES 18, CONTRACTS 2.4)."""

from collections.abc import Collection
from datetime import datetime, timedelta
from enum import StrEnum

SKEW_SHOWN = timedelta(seconds=60)
WAIT_LIMIT = 55
OLDEST = timedelta(days=3650)  # what is older was told by a clock that was never set
# 55 and not DESIGN's 25: a poll that long counts as a heartbeat (CONTRACTS 3).


def event_time(received: datetime, sent_at: datetime | None, at: datetime | None, booted: datetime | None) -> datetime:
    """received − (sent_at − at), so that a wrong clock does not matter, clamped to [booted, received] (RULES 18).

    `booted` is by our clock: what this function made of `booted_at`. Without `sent_at`, the agent's clock is believed.
    """
    when = max(_ours(received, sent_at, at), received - OLDEST) if at else received
    earliest = min(booted, received) if booted else when
    return min(max(when, earliest), received)


def _ours(received: datetime, sent_at: datetime | None, at: datetime) -> datetime:
    try:
        return received - (sent_at - at) if sent_at else at
    except OverflowError:
        return received


def skew(received: datetime, sent_at: datetime | None) -> timedelta:
    """How far the agent's clock is ahead of ours; worth showing from SKEW_SHOWN on, either way."""
    return sent_at - received if sent_at else timedelta()


class Boot(StrEnum):
    """What a boot id is to us."""

    OK = "ok"
    NEW = "new"
    UNKNOWN = "unknown_boot"


def boot_rule(known_boots: Collection[str], boot_id: str, first_event_type: str) -> Boot:
    """A boot begins with `register`, or with agent_start as an unseen id's first event; else 409 (CONTRACTS 2.4)."""
    if boot_id in known_boots:
        return Boot.OK
    return Boot.NEW if first_event_type == "agent_start" else Boot.UNKNOWN


def wait_seconds(text: str) -> int:
    """The `wait` of a poll, from 0 to 55; 0 where it is not a number."""
    return min(int(text), WAIT_LIMIT) if text.isascii() and text.isdigit() and len(text) < 10 else 0
