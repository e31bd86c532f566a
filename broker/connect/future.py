"""What will happen to a desktop, and when, in words, before it happens. Pure (SPEC A.8, 13.4).

Three places say it: the desktop's page, the job queue, and the card of its user. An administrator reads of the user
by name ("alice is logged out"), the user reads "You are logged out"; the sentences are the same otherwise.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from broker.connect.job_words import asked_for
from plans.engine import AWAY, POWER, Action, Due, Event, Step
from plans.waits import duration_words
from plans.words import DO, ORDER, words

# Whole sentences; what stands in braces depends on who reads them (Reader.says).
WHOLE: dict[Action, str] = {
    Action.STOP: "it is shut down",
    Action.POWER_OFF: "it is powered off",
    Action.REBOOT: "it is restarted",
    Action.RELEASE: "it goes back to its pool",
    Action.LOG_OUT: "{who} {is} logged out",
    Action.LOCK: "{whose} session is locked",
    Action.DISCONNECT: "{who} {is} disconnected",
    Action.DELETE: "it is deleted, with everything on it",
    Action.CALL_URL: "a URL is called",
}
# The two ways to say when: with a wait, and at once.
WHEN: dict[Event, tuple[str, str]] = {
    Event.DISCONNECTED: ("{wait} after {who} disconnect{s}", "when {who} disconnect{s}"),
    Event.LOGGED_OUT: ("{wait} after {who} log{s} out", "when {who} log{s} out"),
    Event.RELEASED: ("{wait} after it went back", "when it goes back"),
    Event.IDLE: ("after {wait} without activity", "as soon as {who} {is} idle"),
    Event.LOCKED: ("{wait} after the session is locked", "when the session is locked"),
    Event.CONNECTION_CLOSED: ("{wait} after the connection is closed", "when the connection is closed"),
    Event.ASSIGNED: ("{wait} after {who} first got it", "as soon as {who} {has} it"),
    Event.STARTED: ("if nobody logs in within {wait} of its start", "if nobody is logged in when it has started"),
    Event.NO_LOGIN: ("if {who} do{es} not log in within {wait}", "if {who} do{es} not log in at once"),
    Event.SILENT: ("after {wait} without news of its agent", "when its agent falls silent"),
    Event.ROGUE: ("{wait} after a log-in that nobody allowed", "at a log-in that nobody allowed"),
}
# What averts an action that waits.
UNLESS: dict[Event, str] = {
    Event.IDLE: "{who} {is} active again",
    Event.LOCKED: "{who} unlock{s} the session",
    Event.STARTED: "somebody logs in",
    Event.NO_LOGIN: "{who} log{s} in",
    Event.SILENT: "its agent is heard again",
}
RETURNS = ("{who} returns", "you come back")
NOT_FOR_USERS = frozenset({Action.CALL_URL})
CLOCKS_OF_AN_ASSIGNMENT = frozenset({Event.ASSIGNED, Event.NO_LOGIN})
WISHES = {"start": "start it", "stop": "stop it", "reboot": "reboot it", "rebuild": "rebuild it", "delete": "delete it"}
ALWAYS_ON = "ALWAYS_ON"
KEPT = "It stays yours."


@dataclass(frozen=True, slots=True)
class Reader:
    """Who reads: the user themselves, or somebody who reads of `who`."""

    who: str = "the user"
    you: bool = False

    def says(self, template: str, wait: str = "") -> str:
        """A template in this reader's words."""
        forms = ("you", "are", "have", "", "", "your") if self.you else (self.who, "is", "has", "s", "es", "the")
        return template.format(wait=wait, **dict(zip(("who", "is", "has", "s", "es", "whose"), forms, strict=True)))


YOU = Reader(you=True)


@dataclass(frozen=True, slots=True)
class Waiting:
    """A job that waits or runs, as far as words need it; `due` where a plan asked for it."""

    kind: str
    run_at: datetime
    due: Due | None = None
    op: str = ""
    plan: str = ""
    reason: str = ""
    asked: str = ""
    job: int = 0
    running: bool = False


@dataclass(frozen=True, slots=True)
class Line:
    """One thing that will happen at a time: `said` follows the time in a list, `whole` goes before it in a sentence.

    `unless` averts it, `why` names plan and cause, `held` says what it waits for beyond its time.
    """

    at: datetime
    said: str
    whole: str
    unless: str = ""
    why: str = ""
    held: str = ""
    job: int = 0
    running: bool = False


@dataclass(frozen=True, slots=True)
class Situation:
    """What the future of a desktop depends on. Of `frozen` and `observes` the text is the center's name."""

    steps: Sequence[Step] = ()
    waiting: Sequence[Waiting] = ()
    assigned: bool = False
    hard: bool = False
    deletable: bool = False
    made_unavailable: bool = False
    running_mode: str = ""
    plans_off: bool = False
    observes: str = ""
    frozen: str = ""
    wish: str = ""
    wish_until: datetime | None = None

    @property
    def plans_act(self) -> bool:
        """Whether plans start anything here (RULES 13)."""
        return not self.plans_off and not self.observes


@dataclass(frozen=True, slots=True)
class Outlook:
    """The future: what has a time, what follows when somebody leaves, and what is special here."""

    coming: list[Line] = field(default_factory=list)
    conditions: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def outlook(here: Situation, reader: Reader) -> Outlook:
    """Everything that there is to say."""
    coming = [line(each, reader) for each in here.waiting if shown(each, reader)]
    if here.wish and here.wish_until and not reader.you:
        coming.append(wish_line(here.wish, here.wish_until))
    coming.sort(key=lambda each: (each.at, each.job))
    return Outlook(coming, conditions(here, reader), notes(here, reader))


def wish_line(wish: str, until: datetime) -> Line:
    """What AWS was asked for, and how long that is believed against what AWS shows (RULES 24)."""
    said = f"AWS was asked to {WISHES.get(wish, wish)}; after this time what it shows is believed again"
    return Line(until, said, sentence(said))


def shown(waiting: Waiting, reader: Reader) -> bool:
    """Users read of what plans do to them, not of the broker's own work."""
    return not reader.you or (waiting.due is not None and waiting.due.do not in NOT_FOR_USERS)


def line(waiting: Waiting, reader: Reader) -> Line:
    """One job in words."""
    due = waiting.due
    if due is None:
        said = asked_for(waiting.kind, waiting.op)
        return Line(
            waiting.run_at, said, sentence(said), "", waiting.asked, waiting.reason, waiting.job, waiting.running
        )
    lease = due.because is Event.ASSIGNED and due.do is Action.RELEASE
    whole = "it is yours until" if lease and reader.you else f"{reader.says(WHOLE[due.do])} at"
    why = f"plan {due.plan}: " if due.plan else ""
    why += "the lease ends" if lease else words(due).removeprefix(DO[due.do]).strip()
    why += f", with a warning {duration_words(due.lead.total_seconds())} before" if due.lead else ""
    held = waiting.reason
    if reader.you:
        held = "on hold for now" if held.startswith("held") else ""
    averted = unless(due, reader)
    return Line(due.at, DO[due.do], capital(whole), averted, why, held, waiting.job, waiting.running)


def in_brief(due: Due, local: datetime, who: str) -> str:
    """One line for a list, `local` being `due.at` in the zone to say it in: "14:32 shut down, unless alice returns"."""
    return f"{local:%H:%M} {DO[due.do]}{unless(due, Reader(who))}"


def unless(due: Due, reader: Reader) -> str:
    """ ", unless alice returns", or nothing where only an administrator can avert it."""
    if due.because not in AWAY:
        return ""
    return ", unless " + reader.says(UNLESS.get(due.because) or RETURNS[reader.you])


def conditions(here: Situation, reader: Reader) -> list[str]:
    """What the plans in force do, a sentence each, in the order in which a session meets it."""
    if not here.plans_act:
        return []
    pending = {each.due.slot for each in here.waiting if each.due}
    found = [step for step in here.steps if possible(step, here, reader) and f"{step.do}:{step.on}" not in pending]
    said = [condition(step, reader) for step in sorted(found, key=lambda each: (ORDER.index(each.on), each.after))]
    return said + kept(here, reader, said)


def at_release(here: Situation) -> list[str]:
    """What follows when users give the desktop back themselves, told to them before they do."""
    if not here.plans_act:
        return []
    found = [step for step in here.steps if step.on is Event.RELEASED and step.do not in NOT_FOR_USERS]
    return [condition(step, YOU) for step in found if possible(step, here, Reader())]


def possible(step: Step, here: Situation, reader: Reader) -> bool:
    """Whether a step can still come true here, and is the reader's business."""
    if step.on not in WHEN or step.on is Event.CONNECTION_CLOSED or (reader.you and step.do in NOT_FOR_USERS):
        return False  # a connection that nobody knows the end of has the rules of a disconnect or a log-out
    if step.do is Action.DELETE and not here.deletable:
        return False
    if step.do in POWER - {Action.REBOOT} and here.running_mode == ALWAYS_ON:
        return False
    if here.assigned and step.on in CLOCKS_OF_AN_ASSIGNMENT:
        return False  # its clock began with the assignment: it waits with a time of its own, or is over
    return not reader.you or step.on is not Event.RELEASED or releases(here)


def releases(here: Situation) -> bool:
    """Whether anything ends the assignment by itself."""
    coming = any(each.due and each.due.do is Action.RELEASE for each in here.waiting)
    return coming or any(step.do is Action.RELEASE for step in here.steps)


def condition(step: Step, reader: Reader) -> str:
    """ "You are logged out after 2 hours without activity, with a warning 5 minutes before." """
    later, at_once = WHEN[step.on]
    seconds = step.after.total_seconds()
    occasion = reader.says(later if seconds > 0 else at_once, duration_words(max(seconds, 0)))
    said = f"{reader.says(WHOLE[step.do])} {occasion}"
    warned = min(step.notice.before.total_seconds(), seconds) if step.notice else 0
    if warned:
        said += f", with a warning {duration_words(warned)} before"
    return sentence(said)


def kept(here: Situation, reader: Reader, said: Sequence[str]) -> list[str]:
    """That it stays whose it is, where something is said at all and nothing releases it (seed ch. 7)."""
    if releases(here) or not here.assigned:
        return []
    if reader.you:
        return [KEPT] if said else []
    return [] if here.hard else [f"It stays with {reader.who}: no plan releases it."]


def notes(here: Situation, reader: Reader) -> list[str]:
    """What is special here; of a freeze users hear, too, for something is late."""
    if reader.you:
        return ["Nothing of this happens by itself for now."] if here.frozen and here.plans_act else []
    stops = any(step.do in POWER - {Action.REBOOT} for step in here.steps)
    return [said for said, true in (
        ("Plans do not act on this desktop.", here.plans_off),
        (f"{here.observes} only observes: nothing is stopped, released or logged out by a plan.", here.observes),
        (f"Plans are frozen at {here.frozen}: what falls due waits until the freeze ends.", here.frozen),
        ("Always On: AWS starts it again at once, so no plan shuts it down.", here.running_mode == ALWAYS_ON and stops),
        (f"Hard-assigned: it stays with {reader.who} until an administrator changes that.", here.hard),
        ("It is made unavailable when it goes back to its pool.", here.made_unavailable and here.plans_act),
        ("It may not be deleted from disk, so the release plan does not do it.", undeletable(here)),
    ) if true]  # fmt: skip


def undeletable(here: Situation) -> bool:
    """Whether a plan would delete what must not be deleted."""
    return here.plans_act and not here.deletable and any(step.do is Action.DELETE for step in here.steps)


def capital(said: str) -> str:
    """With a capital letter, whatever follows."""
    return said[:1].upper() + said[1:]


def sentence(said: str) -> str:
    """A whole one."""
    return f"{capital(said)}."
