"""What plans do after a user leaves a desktop, said to that user: "It is shut down 10 minutes after you log out."."""

from collections.abc import Iterable

from plans.engine import AWAY, Action, Due, Event, Step
from plans.waits import duration_words
from plans.words import ORDER

DO: dict[Action, str] = {
    Action.STOP: "It is shut down",
    Action.POWER_OFF: "It is powered off",
    Action.REBOOT: "It is restarted",
    Action.RELEASE: "It goes back to its pool",
    Action.LOG_OUT: "You are logged out",
    Action.LOCK: "Your session is locked",
    Action.DISCONNECT: "You are disconnected",
    Action.DELETE: "It is deleted, with everything on it",
}
# The two ways to say when: with a wait, and at once.
WHEN: dict[Event, tuple[str, str]] = {
    Event.DISCONNECTED: ("{wait} after you disconnect", "when you disconnect"),
    Event.LOGGED_OUT: ("{wait} after you log out", "when you log out"),
    Event.RELEASED: ("{wait} after it went back", "when it goes back"),
    Event.IDLE: ("after {wait} without activity", "as soon as you are idle"),
    Event.ASSIGNED: ("{wait} after you first got it", "as soon as you got it"),
    Event.STARTED: ("if nobody logs in within {wait} of its start", "if nobody is logged in when it has started"),
    Event.NO_LOGIN: ("if you do not log in within {wait}", "if you do not log in at once"),
}
KEPT = "It stays yours."


def in_words(steps: Iterable[Step]) -> list[str]:
    """What plans will do, a sentence each, in the order in which a session meets it. What follows a release is left
    out where no plan releases; there the user hears that the desktop stays theirs (seed ch. 7)."""
    found = [step for step in steps if step.do in DO and step.on in WHEN]
    released = any(step.do == Action.RELEASE for step in found)
    shown = [step for step in found if released or step.on != Event.RELEASED]
    shown.sort(key=lambda step: (ORDER.index(step.on), step.after))
    return [f"{DO[step.do]} {_when(step)}." for step in shown] + ([KEPT] if shown and not released else [])


def coming(due: Due) -> tuple[str, str]:
    """What waits to be done, before and after its time: "It is shut down" … ", unless you come back"."""
    return DO.get(due.do, ""), ", unless you come back" if due.because in AWAY else ""


def _when(step: Step) -> str:
    later, at_once = WHEN[step.on]
    seconds = step.after.total_seconds()
    return later.format(wait=duration_words(seconds)) if seconds > 0 else at_once
