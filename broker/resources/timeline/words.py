"""What agents and the log say, as lines of a timeline. Pure."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from broker.core.words import duration
from broker.resources.timeline.merge import Origin
from plans.engine import Event

LATE_NEWS = timedelta(seconds=5)
# The origin of a log entry, by the beginning of its event's name (SPEC 13.6); all others are the broker's own.
PREFIXES: dict[str, Origin] = {
    "power.": Origin.AWS,
    "center.": Origin.AWS,
    "deploy.": Origin.AWS,
    "agent.": Origin.AGENT,
    "session.": Origin.AGENT,
    "rogue.": Origin.AGENT,
    "gateway.": Origin.GATEWAY,
}
AGENT_SAYS: dict[str, str] = {
    "agent_start": "The agent started",
    "agent_stop": "The agent stopped",
    "register": "The machine registered",
    "login": "{user} logged in",
    "logout": "{user} logged out",
    "disconnect": "{user} disconnected",
    "reconnect": "{user} reconnected",
    "lock": "{user} locked the session",
    "unlock": "{user} unlocked the session",
    "idle": "{user} has been idle for {idle}",
    "active": "{user} is active again",
    "heartbeat": "The list of sessions changed",
}
COMMANDS: dict[str, str] = {
    "lock": "Asked to lock the session",
    "disconnect": "Asked to disconnect the session",
    "logout": "Asked to log the user out",
    "message": "Asked to show a message",
    "shutdown": "Asked to shut down",
    "reboot": "Asked to restart",
    "grant": "Asked to let the user in",
    "revoke": "Asked to let the user in no more",
    "timezone": "Asked to set the time zone",
}
REQUESTED = "_requested"
PLAIN_OUTCOMES = frozenset({*Event, "noted"})


def origin_of(event: str) -> Origin:
    """Who told of a log entry. What somebody asked for is the broker's; what became of it is told by others."""
    found = next((origin for prefix, origin in PREFIXES.items() if event.startswith(prefix)), Origin.BROKER)
    return Origin.BROKER if event.endswith(REQUESTED) else found


def agent_says(kind: str, user: str, data: Mapping[str, Any]) -> str:
    """An event of an agent."""
    seconds = data.get("seconds")
    idle = duration(seconds) if isinstance(seconds, int | float) and 0 <= seconds < 10**9 else "a while"
    return AGENT_SAYS.get(kind, kind.replace("_", " ").capitalize()).format(user=user or "Somebody", idle=idle)


def worth_saying(outcome: str) -> str:
    """What came of an event, unless that is only its name once more."""
    return "" if outcome in PLAIN_OUTCOMES else outcome


def ignored(outcome: str) -> bool:
    """Whether an event changed nothing because it came late, twice, or from somebody who may not say it."""
    return outcome.startswith(("ignored", "set aside"))


def heard_later(at: datetime, received: datetime) -> datetime | None:
    """When we heard of it, where that is worth saying."""
    return received if received - at > LATE_NEWS else None
