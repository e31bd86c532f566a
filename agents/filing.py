"""What of a batch becomes rows, and what the agent's own row remembers of it. Pure (CONTRACTS 2.4, 2.5; RULES 18)."""

import json
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol

from agents import protocol
from agents.protocol import Batch, Boot, News

BOOTS_KEPT = 20
# Stands for a session list that may no longer be true: the next heartbeat differs from it, so it is filed and heals.
UNKNOWN_SESSIONS = ["?"]


class Booting(Protocol):
    """What `begin_boot` changes: an agent's row, or what a call knows of it."""

    boots: list[str]
    booted_at: datetime | None
    sessions: list[Any]


@dataclass(slots=True)
class Known:
    """What a call knows of its agent."""

    pk: int
    approved: bool
    desktop_id: int | None
    boots: list[str] = field(default_factory=list)
    boot_id: str = ""
    booted_at: datetime | None = None
    sessions: list[Any] = field(default_factory=list)
    waiting: bool = False


def file(agent: Known, batch: Batch, boot: Boot, received: datetime) -> list[dict[str, Any]]:
    """The rows that a batch becomes, in its order; changes what we know of the agent."""
    if boot is Boot.NEW:
        begin_boot(agent, batch.boot_id, batch.booted_at or batch.events[0].at, batch.sent_at, received)
    return [row(agent, batch, news, received) for news in batch.events if filed(agent, batch, news, received)]


def params(agent: Known, batch: Batch, received: datetime, rows: list[dict[str, Any]]) -> tuple[Any, ...]:
    """The parameters of the statement FILE: the rows, and what the agent's own row remembers."""
    skew = protocol.skew(received, batch.sent_at).total_seconds()
    filed = (agent.pk, batch.boot_id, received, json.dumps(rows))
    return (*filed, agent.boots, agent.booted_at, received, skew, json.dumps(agent.sessions), agent.pk)


def begin_boot(
    agent: Booting, boot_id: str, booted: datetime | None, sent: datetime | None, received: datetime
) -> None:
    """Remember a boot as known; events of it are taken from now on (CONTRACTS 2.4)."""
    if boot_id not in agent.boots:
        agent.boots = [*agent.boots, boot_id][-BOOTS_KEPT:]
        agent.sessions = list(UNKNOWN_SESSIONS)
        agent.booted_at = protocol.event_time(received, sent, booted, None) if booted else received


def filed(agent: Known, batch: Batch, news: News, received: datetime) -> bool:
    """Heartbeats update the agent in place; a row is filed only when its session list changed (CONTRACTS 2.5).

    Changed since the last list or since an event: else a lost event would never be made up for.
    """
    if news.type != "heartbeat":
        agent.sessions = list(UNKNOWN_SESSIONS) if news.type in protocol.SESSION_EVENTS else agent.sessions
        return True
    said = news.data.get("sessions")
    if said is None:
        return False
    changed = agent.sessions == UNKNOWN_SESSIONS or steady(said) != steady(agent.sessions)
    # A boot that is not handled yet may turn out to be an older one, whose list says nothing of now.
    current = batch.boot_id == agent.boot_id
    agent.sessions = dated(agent, batch, news, received) if current else list(UNKNOWN_SESSIONS)
    return changed


def dated(agent: Known, batch: Batch, news: News, received: datetime) -> list[dict[str, Any]]:
    """A heartbeat's session list, with the time by our clock since when each is idle (RULES 18)."""
    at = protocol.event_time(received, batch.sent_at, news.at, agent.booted_at)
    since = [None if each.idle is None else at - timedelta(seconds=each.idle) for each in news.sessions or ()]
    return [
        {**line, "idle_since": idle.isoformat() if idle else None}
        for line, idle in zip(news.data["sessions"], since, strict=True)
    ]


def steady(sessions: list[Any]) -> list[Any]:
    """A session list without what changes with every heartbeat."""
    return sorted(
        (
            {name: value for name, value in each.items() if name not in {"idle", "idle_since"}}
            for each in sessions
            if isinstance(each, dict)
        ),
        key=lambda each: str(each.get("session", "")),
    )


def row(agent: Known, batch: Batch, news: News, received: datetime) -> dict[str, Any]:
    """An event as the statement FILE takes it, its time by our clock."""
    return {
        "seq": news.seq,
        "type": news.type,
        "user": news.user,
        "sid": news.sid,
        "local": news.local,
        "os_session": news.session,
        "at": protocol.event_time(received, batch.sent_at, news.at, agent.booted_at).isoformat(),
        "told_at": news.at.isoformat() if news.at else None,
        "data": news.data,
    }
