"""Whether a waiting action may still run when its time has come. Pure (SPEC 13.4, RULES 11-13, 17, 18, 20, 21, 23, 24).

A lost cancel must never log out, stop or delete under somebody's hands: so the job asks again, with the facts of now.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from plans.engine import AWAY, POWER, Action, Due, Event, Hangs

LOOK_AGAIN = timedelta(minutes=1)
SOON = timedelta(seconds=15)
AT_ONCE = timedelta(seconds=1)
LAUNCH_TAKES = timedelta(seconds=30)
STILL_FLOWING = timedelta(seconds=60)
MORE = timedelta(minutes=30)  # what "give me more time" gives
LATE = timedelta(minutes=5)  # a warning that lies longer behind the action is said anew

# What a silent agent makes us wait with: its session may have changed since (RULES 20).
NEEDS_FRESH_NEWS = POWER | {Action.LOG_OUT, Action.DELETE}
IN_SESSION = frozenset({Action.LOG_OUT, Action.LOCK, Action.DISCONNECT})
NO_LONGER_THERE = frozenset({"deleting", "deleted"})
OFF = frozenset({"stopped", "stopping"})
ENDING = frozenset({"stop", "delete"})
ON_ITS_WAY = frozenset({"starting", "maintenance"})
CANNOT_REBOOT = frozenset({"IMPAIRED"})
ALWAYS_ON = "ALWAYS_ON"
# A lease runs whatever sessions come and go; a rogue's log-out names its own session.
ROGUE_LOG_OUT = f"{Action.LOG_OUT}:{Event.ROGUE}"
ANY_SESSION = frozenset({Event.ASSIGNED, Event.ROGUE})


class Outcome(StrEnum):
    """What becomes of a due job. WARN is to tell the user, and to hold it until the time that they were told."""

    RUN = "run"
    CANCEL = "cancel"
    HOLD = "hold"
    WARN = "warn"


@dataclass(frozen=True, slots=True)
class Verdict:
    """An outcome; all but RUN have a reason in words, HOLD also the time to judge again, WARN that of the action."""

    outcome: Outcome
    reason: str = ""
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class JobPremise:
    """What was true when the action was planned: the open assignment and the last session epoch ("boot:session").

    Since then: when the user was last warned of it, how often they asked for more time, and whether an administrator
    does not want to wait for its time (`hurried`).
    """

    due: Due
    assignment: int | None = None
    epoch: str = ""
    warned: datetime | None = None
    more: int = 0
    hurried: bool = False

    @property
    def granted(self) -> timedelta:
        """The time that the user asked for and is given: not more often than the plan allows."""
        return MORE * min(self.more, self.due.notice.more if self.due.notice else 0)

    @property
    def at(self) -> datetime:
        """When the action comes, if nothing has happened since."""
        return self.due.at + self.granted


@dataclass(frozen=True, slots=True)
class Facts:
    """What is true of the desktop now.

    `power` is centers.Desktop.Power's value, or "deleted"; `raw_power` and `running_mode` are AWS's words;
    `power_wish` is the open wish, "" where none (RULES 24). `assignment` is the open one, `holder` its user's name.
    `epoch` is that of the newest session, ended or not; `connected` says that a person (`user`) sits in it now,
    `signed_in` that there is a live session at all, disconnected ones too.
    `agent_heard` is the agent's last contact of any kind, None where there never was one; `gateway_bytes` likewise.
    `unheard`: the agent has told something that no worker has read yet.
    `launching`: the assigned user has a launch under way.
    """

    now: datetime
    assignment: int | None = None
    holder: str = ""
    epoch: str = ""
    connected: bool = False
    signed_in: bool = True
    user: str = ""
    idle_since: datetime | None = None
    agent_heard: datetime | None = None
    agent_silent: bool = False
    unheard: bool = False
    gateway_bytes: datetime | None = None
    launching: bool = False
    power: str = "running"
    raw_power: str = ""
    running_mode: str = ""
    power_wish: str = ""
    plans_off: bool = False
    observe_only: bool = False
    frozen: bool = False


RUN = Verdict(Outcome.RUN)


def judge(premise: JobPremise, facts: Facts) -> Verdict:
    """Run, cancel or hold a job whose time has come. The first check that has something to say decides."""
    for check in CHECKS:
        verdict = check(premise, facts)
        if verdict is not None:
            return verdict
    return RUN


def _cancel(reason: str) -> Verdict:
    return Verdict(Outcome.CANCEL, reason)


def _hold(reason: str, until: datetime) -> Verdict:
    return Verdict(Outcome.HOLD, reason, until)


def _switches(premise: JobPremise, facts: Facts) -> Verdict | None:
    """RULES 13: what was planned before such a switch was set must not fire after it either."""
    if facts.power in NO_LONGER_THERE:
        return _cancel("the desktop is deleted")
    if facts.plans_off:
        return _cancel("plans do not act on this desktop")
    if facts.observe_only:
        return _cancel("the center only observes")
    if facts.frozen:
        return _hold("held: plans are frozen at this center", facts.now + LOOK_AGAIN)
    return None


def _time(premise: JobPremise, facts: Facts) -> Verdict | None:
    first = premise.at - premise.due.lead
    early = facts.now < first and not premise.hurried
    return _hold(_told(premise, premise.at), first) if early else None


def _unheard(premise: JobPremise, facts: Facts) -> Verdict | None:
    """RULES 20: what lies in the inbox may say that somebody is back; it is read before anything is done."""
    waits = facts.unheard and not premise.due.tells_at_once
    return _hold("held: the agent's news are being read", facts.now + AT_ONCE) if waits else None


def _assignment(premise: JobPremise, facts: Facts) -> Verdict | None:
    """Whose desktop it is: power outlives the release, but nothing outlives being lent to somebody (RULES 12)."""
    if premise.due.tells_at_once or premise.due.slot == ROGUE_LOG_OUT:
        return None
    lent = f"lent to {facts.holder or 'somebody'}"
    if premise.due.because == Event.RELEASED:
        return _cancel(lent) if facts.assignment is not None else None
    if facts.assignment == premise.assignment:
        return None
    if facts.assignment is not None:
        return _cancel(lent)
    return _cancel("the assignment has ended") if premise.due.hangs == Hangs.ASSIGNMENT else None


def _session(premise: JobPremise, facts: Facts) -> Verdict | None:
    """Whether the session it was planned for is still the last one, and a silent agent still silent (RULES 21)."""
    due = premise.due
    heard = facts.agent_heard is not None and facts.agent_heard > due.since
    if due.because == Event.SILENT and (heard or not facts.agent_silent):
        return _cancel("the agent is heard again")
    if due.because not in ANY_SESSION and facts.epoch != premise.epoch:
        return _cancel("a newer session has begun")
    return None


def _presence(premise: JobPremise, facts: Facts) -> Verdict | None:
    """Whether somebody is there now who would be cut off. A release logs its user out first, then power (SPEC 3.4)."""
    due = premise.due
    if due.because == Event.IDLE:
        return _idleness(premise, facts)
    if not facts.connected:
        return None
    if due.because == Event.CONNECTION_CLOSED and facts.agent_silent:
        return _unknown(due, facts)
    who = facts.user or "somebody"
    if due.because == Event.RELEASED and due.do in POWER | {Action.DELETE}:
        return _hold(f"held: {who} is still connected", facts.now + SOON)
    if due.because in AWAY - {Event.LOCKED} or due.do in POWER:
        return _cancel(f"{who} is connected")
    return None


def _unknown(due: Due, facts: Facts) -> Verdict | None:
    """A connection was closed, and the agent that last saw its user connected is silent: the state is unknown. The
    closed connection's rules apply, but nothing that cannot be undone (SPEC 13.4)."""
    if due.do not in NEEDS_FRESH_NEWS:
        return None
    return _hold(f"held: {facts.user or 'somebody'} was connected when the agent fell silent", facts.now + LOOK_AGAIN)


def _idleness(premise: JobPremise, facts: Facts) -> Verdict | None:
    """An idle rule counts from the newest heartbeat's word (RULES 18); who is gone altogether is not active again."""
    due = premise.due
    if not facts.signed_in and due.do in POWER:
        return None
    if facts.idle_since is None:
        return _cancel("the session is no longer idle")
    first = _at(premise, facts) - due.lead
    early = facts.now < first and not premise.hurried
    return _hold("held: was active in between", first) if early else None


def _at(premise: JobPremise, facts: Facts) -> datetime:
    """When the action comes; of an idle session by the newest word on since when it is idle."""
    if premise.due.because == Event.IDLE and facts.idle_since is not None:
        return facts.idle_since + premise.due.wait + premise.granted
    return premise.at


def _launch(premise: JobPremise, facts: Facts) -> Verdict | None:
    """RULES 17: who is on the way back shall not find the door shut."""
    if facts.launching and (premise.due.because in AWAY or premise.due.do in POWER):
        return _hold(f"held: {facts.holder or 'the user'} is connecting", facts.now + LAUNCH_TAKES)
    return None


def _stale(premise: JobPremise, facts: Facts) -> Verdict | None:
    """RULES 20: destructive actions never run on stale knowledge. A machine that is off is silent by nature."""
    due = premise.due
    if due.do not in NEEDS_FRESH_NEWS or facts.power in OFF:
        return None
    heard = facts.agent_heard
    if facts.agent_silent and heard is not None and (due.since <= heard or due.do == Action.DELETE):
        return _hold(f"held: agent silent since {heard:%Y-%m-%d %H:%M} UTC", facts.now + LOOK_AGAIN)
    flowing = facts.gateway_bytes is not None and facts.now - facts.gateway_bytes < STILL_FLOWING
    if flowing and due.because in AWAY - {Event.IDLE, Event.LOCKED}:
        return _hold("held: the gateway still carries a session", facts.now + LOOK_AGAIN)
    return None


def _power(premise: JobPremise, facts: Facts) -> Verdict | None:
    """The state preconditions of stop and reboot (SPEC 13.2, RULES 23, 24), and of what needs a running machine."""
    do = premise.due.do
    if do in IN_SESSION and facts.power in OFF:
        return _cancel("the desktop is stopped")
    if do in IN_SESSION and not facts.signed_in:
        return _cancel("nobody is logged in")
    if do not in POWER:
        return None
    if facts.power in OFF or facts.power_wish in ENDING:
        return _cancel("it is already stopped or stopping")
    if facts.power == "suspended":
        return _cancel("it is suspended by AWS")
    if facts.power in ON_ITS_WAY or facts.power_wish:
        return _hold("held: waits until it has started", facts.now + LOOK_AGAIN)
    return _refused(do, facts)


def _refused(do: Action, facts: Facts) -> Verdict | None:
    if do != Action.REBOOT and facts.running_mode == ALWAYS_ON:
        return _cancel("Always On WorkSpaces are started again by AWS; Reboot is possible")
    if do == Action.REBOOT and facts.raw_power in CANNOT_REBOOT:
        return _cancel("AWS does not reboot an impaired WorkSpace; stop and start it")
    return None


def _warning(premise: JobPremise, facts: Facts) -> Verdict | None:
    """Whoever sits there hears of it first, and again where they asked for more time or came back in between."""
    if premise.hurried:
        return None
    at, lead = _at(premise, facts), premise.due.lead
    if not lead or not facts.connected or facts.agent_silent or facts.agent_heard is None:
        return _hold(_told(premise, at), at) if facts.now < at else None
    warned = premise.warned
    if warned is None or warned < at - lead or facts.now > warned + lead + LATE:
        at = max(at, facts.now + lead)
        return Verdict(Outcome.WARN, _told(premise, at, warned=True), at)
    at = max(at, warned + lead)
    return _hold(_told(premise, at, warned=True), at) if facts.now < at else None


def _told(premise: JobPremise, at: datetime, *, warned: bool = False) -> str:
    """Why it waits: for its time, with what the user was told and asked for."""
    parts = [f"comes at {at.astimezone(UTC):%H:%M} UTC"]
    parts += ["the user is warned"] if warned else []
    if premise.granted:
        times = {1: "once", 2: "twice"}.get(premise.more, f"{premise.more} times")
        parts.append(f"asked for more time {times}")
    return ", ".join(parts)


# In the order in which they decide: what ends a job for good stands before what only delays it.
CHECKS: tuple[Callable[[JobPremise, Facts], Verdict | None], ...] = (
    _switches,
    _time,
    _unheard,
    _assignment,
    _session,
    _presence,
    _power,
    _launch,
    _stale,
    _warning,
)
