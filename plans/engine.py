"""What should happen to a desktop, and when. Pure: no database, no clock (DESIGN 5, SPEC 13.4, RULES 11-18)."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any


class Event(StrEnum):
    """What happened to a desktop. `NO_LOGIN` never happens: its clock starts with `ASSIGNED`, and coming stops it.

    `SILENT` is a running desktop whose agent was not heard for long (RULES 21), `ROGUE` a login that nobody allowed.
    """

    ASSIGNED = "assigned"
    CONNECTED = "connected"
    DISCONNECTED = "disconnected"
    LOGGED_OUT = "logged_out"
    LOCKED = "locked"
    UNLOCKED = "unlocked"
    IDLE = "idle"
    ACTIVE = "active"
    RELEASED = "released"
    CONNECTION_CLOSED = "connection_closed"
    STARTED = "started"
    NO_LOGIN = "no_login"
    SILENT = "silent"
    ROGUE = "rogue"
    MADE_HARD = "made_hard"
    DELETED = "deleted"


class Action(StrEnum):
    """What a plan can do; of power only what WorkSpaces allow (SPEC 3.3). STOP logs out first, POWER_OFF does not."""

    STOP = "stop"
    POWER_OFF = "power_off"
    REBOOT = "reboot"
    RELEASE = "release"
    LOG_OUT = "log_out"
    LOCK = "lock"
    DISCONNECT = "disconnect"
    DELETE = "delete"
    CALL_URL = "call_url"


class Hangs(StrEnum):
    """What a waiting action lives and dies with (RULES 12)."""

    DESKTOP = "desktop"
    ASSIGNMENT = "assignment"


POWER = frozenset({Action.STOP, Action.POWER_OFF, Action.REBOOT})
SETTLE = timedelta(seconds=15)
# What may be a blip, so that its rules wait a little (RULES 17).
BLIPS = frozenset({Event.DISCONNECTED, Event.CONNECTION_CLOSED})


@dataclass(frozen=True, slots=True)
class Notice:
    """What whoever sits there is told `before` the action, and how often they may ask for more time."""

    before: timedelta
    text: str = ""
    more: int = 0

    def as_json(self) -> dict[str, Any]:
        """As plain JSON; the time in seconds."""
        return {"before": self.before.total_seconds(), "text": self.text, "more": self.more}

    @classmethod
    def from_json(cls, raw: Mapping[str, Any] | None) -> "Notice | None":
        """What `as_json` wrote, or None. Raises KeyError where it is not."""
        return cls(timedelta(seconds=raw["before"]), raw["text"], raw["more"]) if raw else None


@dataclass(frozen=True, slots=True)
class Step:
    """A plan's line: when `on` happens, do `do` after `after`. `detail` is a URL, `source` the row that says how."""

    on: Event
    do: Action
    after: timedelta = timedelta()
    plan: str = ""
    detail: str = ""
    source: str = ""
    notice: Notice | None = None


@dataclass(frozen=True, slots=True)
class Due:
    """One action that waits for its time; `since` is the moment of its cause, which the wait is counted from."""

    do: Action
    at: datetime
    because: Event
    since: datetime
    plan: str = ""
    detail: str = ""
    source: str = ""
    notice: Notice | None = None

    @property
    def hangs(self) -> Hangs:
        """Power outlives the release of the desktop, everything else ends with the assignment (RULES 12)."""
        return Hangs.DESKTOP if self.do in POWER or self.because == Event.ROGUE else Hangs.ASSIGNMENT

    @property
    def lead(self) -> timedelta:
        """How long before the action the user is warned; never longer than the wait itself."""
        return min(self.notice.before, self.wait) if self.notice else timedelta()

    @property
    def looked_at(self) -> datetime:
        """When the action is first thought of: at its time, or at that of its warning."""
        return self.at - self.lead

    @property
    def wait(self) -> timedelta:
        """How long after its cause the action comes."""
        return self.at - self.since

    @property
    def tells_at_once(self) -> bool:
        """A URL called at the event itself only tells of it; a log-out that releases at once must not swallow it."""
        return self.do == Action.CALL_URL and not self.wait

    @property
    def slot(self) -> str:
        """Of one desktop, at most one action waits in a slot: "stop:logged_out". What a pool assignment has called is
        apart from what its release plan has."""
        return f"{self.do}:{self.because}" + (":line" if self.row("line") else "")

    def row(self, kind: str) -> int:
        """The key of the row of this kind that says how; 0 where another kind does, or none."""
        named, _, number = self.source.partition(":")
        return int(number) if named == kind and number.isdigit() else 0

    def as_json(self) -> dict[str, Any]:
        """The same as plain JSON, for a job's payload."""
        return {
            "do": self.do,
            "at": self.at.astimezone(UTC).isoformat(),
            "because": self.because,
            "since": self.since.astimezone(UTC).isoformat(),
            "plan": self.plan,
            "detail": self.detail,
            "source": self.source,
            "notice": self.notice.as_json() if self.notice else None,
        }

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> "Due":
        """What `as_json` wrote. Raises KeyError or ValueError where it is not."""
        return cls(
            do=Action(raw["do"]),
            at=datetime.fromisoformat(raw["at"]),
            because=Event(raw["because"]),
            since=datetime.fromisoformat(raw["since"]),
            plan=raw.get("plan", ""),
            detail=raw.get("detail", ""),
            source=raw.get("source", ""),
            notice=Notice.from_json(raw.get("notice")),
        )


@dataclass(frozen=True, slots=True)
class Cancelled:
    """An action that no longer waits, and why, in words."""

    due: Due
    reason: str


@dataclass(frozen=True, slots=True)
class Reaction:
    """What stays as it is, what is given up, and what is new; each soonest first."""

    keep: tuple[Due, ...] = ()
    cancel: tuple[Cancelled, ...] = ()
    add: tuple[Due, ...] = ()


# The causes of somebody having left: coming back undoes them. The lease (ASSIGNED) goes on (SPEC 13.4).
AWAY = frozenset(
    {
        Event.DISCONNECTED,
        Event.LOGGED_OUT,
        Event.IDLE,
        Event.LOCKED,
        Event.CONNECTION_CLOSED,
        Event.NO_LOGIN,
        Event.STARTED,
        Event.SILENT,
    }
)
# What an agent reports later makes an unverified "connection closed" pointless, and what the earlier state had started.
UNDOES: dict[Event, frozenset[Event]] = {
    Event.ASSIGNED: frozenset({Event.RELEASED}),
    Event.CONNECTED: AWAY,
    Event.UNLOCKED: frozenset({Event.IDLE, Event.LOCKED}),
    Event.ACTIVE: frozenset({Event.IDLE}),
    Event.DISCONNECTED: frozenset({Event.IDLE, Event.CONNECTION_CLOSED}),
    Event.LOGGED_OUT: frozenset({Event.DISCONNECTED, Event.IDLE, Event.LOCKED, Event.CONNECTION_CLOSED}),
    Event.DELETED: frozenset(Event),
}
# Whoever gets or uses the desktop wants it running, whatever the cause of the pending stop (RULES 12).
KEEPS_RUNNING = frozenset({Event.ASSIGNED, Event.CONNECTED})
# These end everything that hangs on the assignment (RULES 12, 14).
ENDS_ASSIGNMENT_JOBS = frozenset({Event.RELEASED, Event.MADE_HARD})
# Which sections' clocks an event starts, where it is not only its own.
STARTS: dict[Event, frozenset[Event]] = {Event.ASSIGNED: frozenset({Event.ASSIGNED, Event.NO_LOGIN})}

# No plan has a section for these: they only undo, so nobody has to ask which plans are in force.
ONLY_UNDO = frozenset({Event.CONNECTED, Event.LOCKED, Event.UNLOCKED, Event.ACTIVE, Event.MADE_HARD, Event.DELETED})

REASONS: dict[Event, str] = {
    Event.ASSIGNED: "lent to {who}",
    Event.CONNECTED: "{who} is connected",
    Event.UNLOCKED: "{who} unlocked the session",
    Event.ACTIVE: "{who} is active again",
    Event.DISCONNECTED: "{who} disconnected",
    Event.LOGGED_OUT: "{who} logged out, which has its own rules",
    Event.RELEASED: "the desktop was released",
    Event.MADE_HARD: "hard-assigned to {who}: release plans no longer apply",
    Event.DELETED: "the desktop is deleted",
}


def react(  # noqa: PLR0913 - the clock and the settings are arguments, so that it stays pure
    pending: Iterable[Due],
    steps: Iterable[Step],
    event: Event,
    at: datetime,
    *,
    settle: timedelta = SETTLE,
    who: str = "the user",
) -> Reaction:
    """What one desktop's waiting actions become when `event` happens (SPEC 13.4).

    `at` is when it happened, not when it was heard of; of an idle session, when its idleness began (RULES 18).
    `steps` are the power, release and protocol plans in force together; `who` is named in the reasons.
    """
    wanted = {due.slot: due for due in _wanted(steps, event, at, settle)}
    keep: list[Due] = []
    cancel: list[Cancelled] = []
    for due in pending:
        reason = "" if _under_way(due, event, at) else _against(due, wanted, event)
        if reason:
            cancel.append(Cancelled(due, reason.format(who=who)))
        else:
            keep.append(due)
    add = [due for due in wanted.values() if due not in keep]
    return Reaction(tuple(_soonest(keep)), tuple(cancel), tuple(_soonest(add)))


def _wanted(steps: Iterable[Step], event: Event, at: datetime, settle: timedelta) -> Iterable[Due]:
    """What the plans want from now on. A disconnect may be a blip, so its rules wait at least `settle` (RULES 17)."""
    sections = STARTS.get(event, frozenset({event}))
    for step in steps:
        if step.on in sections:
            wait = max(step.after, settle) if step.on in BLIPS else step.after
            yield Due(step.do, at + wait, step.on, at, step.plan, step.detail, step.source, step.notice)


def _under_way(due: Due, event: Event, at: datetime) -> bool:
    """A stop first logs the user out (RULES 23): the log-out that it causes must not call it off."""
    return event == Event.LOGGED_OUT and due.do in POWER and due.at <= at and due.because != Event.LOGGED_OUT


def _against(due: Due, wanted: Mapping[str, Due], event: Event) -> str:
    """Why a waiting action is given up, or "" where it stays: the same wish told twice changes nothing."""
    newer = wanted.get(due.slot)
    if newer is not None:
        return "" if newer == due else "the same happened again: the wait starts anew"
    if event in ENDS_ASSIGNMENT_JOBS and due.hangs == Hangs.ASSIGNMENT and not due.tells_at_once:
        return REASONS[event]
    if event in KEEPS_RUNNING and due.do in POWER:
        return REASONS[event]
    return REASONS[event] if due.because in UNDOES.get(event, frozenset()) else ""


def _soonest(dues: Iterable[Due]) -> list[Due]:
    return sorted(dues, key=lambda due: (due.at, due.do))
