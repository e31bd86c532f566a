"""Plans said in words, for cards, Test Login, the job queue and the log. Pure (SPEC A.4, A.8)."""

from collections.abc import Iterable
from datetime import timedelta

from plans.engine import Action, Due, Event, Step
from plans.waits import duration_words

DO: dict[Action, str] = {
    Action.STOP: "shut down",
    Action.POWER_OFF: "power off",
    Action.REBOOT: "restart",
    Action.RELEASE: "release to the pool",
    Action.LOG_OUT: "log the user out",
    Action.LOCK: "lock the session",
    Action.DISCONNECT: "disconnect the session",
    Action.DELETE: "delete from disk",
    Action.CALL_URL: "call the URL",
}
# The two ways to say when: with a wait, and at once.
WHEN: dict[Event, tuple[str, str]] = {
    Event.DISCONNECTED: ("{wait} after disconnect", "at disconnect"),
    Event.LOGGED_OUT: ("{wait} after log-out", "at log-out"),
    Event.RELEASED: ("{wait} after the release", "at the release"),
    Event.IDLE: ("after {wait} without activity", "as soon as the session is idle"),
    Event.LOCKED: ("{wait} after the session is locked", "when the session is locked"),
    Event.CONNECTION_CLOSED: ("{wait} after the connection is closed", "when the connection is closed"),
    Event.ASSIGNED: ("{wait} after the assignment", "at the assignment"),
    Event.STARTED: ("when nobody logs in within {wait} of the start", "when nobody is logged in at the start"),
    Event.NO_LOGIN: ("when the user does not log in within {wait}", "when the user does not log in at once"),
    Event.SILENT: ("after {wait} without news of its agent", "when its agent falls silent"),
    Event.ROGUE: ("{wait} after a log-in that nobody allowed", "at a log-in that nobody allowed"),
}
# What the user is told that is about to happen to them.
TOLD: dict[Action, str] = {
    Action.STOP: "this desktop will be shut down",
    Action.POWER_OFF: "this desktop will be powered off",
    Action.REBOOT: "this desktop will be restarted",
    Action.RELEASE: "this desktop will go back to its pool",
    Action.LOG_OUT: "you will be logged out of this desktop",
    Action.LOCK: "this desktop will be locked",
    Action.DISCONNECT: "you will be disconnected from this desktop",
}
WHY: dict[Event, str] = {
    Event.IDLE: "nobody has used it for {wait}",
    Event.ASSIGNED: "the time for which you have it is over",
    Event.RELEASED: "it has been released",
    Event.ROGUE: "it was not given to you. Please sign in through the connection broker",
}
SAVE = "Please save your work."
# The sections in the order in which a session meets them.
ORDER = (
    Event.ASSIGNED,
    Event.NO_LOGIN,
    Event.STARTED,
    Event.IDLE,
    Event.LOCKED,
    Event.DISCONNECTED,
    Event.CONNECTION_CLOSED,
    Event.LOGGED_OUT,
    Event.RELEASED,
    Event.SILENT,
    Event.ROGUE,
)


def words(due: Due) -> str:
    """A waiting action as half a sentence: "shut down 10 minutes after log-out"."""
    return _sentence(due.do, due.because, due.wait)


def warning(due: Due, seconds: float) -> str:
    """What the user is told where the plan has no text of its own: what happens, when, and why."""
    why = WHY.get(due.because, "").format(wait=duration_words((due.wait - due.lead).total_seconds()))
    because = f", because {why}" if why else ""
    return f"In {duration_words(seconds)} {TOLD.get(due.do, DO[due.do])}{because}. {SAVE}"


def steps_in_words(steps: Iterable[Step]) -> list[str]:
    """What plans will do, one sentence each, in the order in which a session meets them; empty where nothing."""
    ordered = sorted((step for step in steps if step.on in ORDER), key=lambda step: (ORDER.index(step.on), step.after))
    return [_capital(_sentence(step.do, step.on, step.after)) + "." for step in ordered]


def _sentence(do: Action, on: Event, wait: timedelta) -> str:
    later, at_once = WHEN.get(on, ("{wait} after " + on, "at " + on))
    seconds = wait.total_seconds()
    return f"{DO[do]} {later.format(wait=duration_words(seconds)) if seconds > 0 else at_once}"


def _capital(sentence: str) -> str:
    return sentence[:1].upper() + sentence[1:]
