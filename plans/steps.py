"""Plans as steps of the engine, and in words: what their rows mean (SPEC 3.3, 3.4)."""

from collections.abc import Iterator
from datetime import timedelta

from plans.engine import Action, Event, Step
from plans.models import NEVER, PowerAction, PowerControlPlan, ReleasePlan
from plans.words import steps_in_words

POWER_ACTIONS: dict[str, Action] = {
    PowerAction.SHUTDOWN: Action.STOP,
    PowerAction.POWER_OFF: Action.POWER_OFF,
    PowerAction.REBOOT: Action.REBOOT,
}
POWER_SECTIONS: dict[str, Event] = {
    "disconnected": Event.DISCONNECTED,
    "logged_out": Event.LOGGED_OUT,
    "released": Event.RELEASED,
    "idle": Event.IDLE,
    "started": Event.STARTED,
}
RELEASE_SECTIONS: tuple[tuple[str, Event, Action], ...] = (
    ("disconnected_release", Event.DISCONNECTED, Action.RELEASE),
    ("disconnected_log_out", Event.DISCONNECTED, Action.LOG_OUT),
    ("logged_out_release", Event.LOGGED_OUT, Action.RELEASE),
    ("idle_lock", Event.IDLE, Action.LOCK),
    ("idle_disconnect", Event.IDLE, Action.DISCONNECT),
    ("idle_log_out", Event.IDLE, Action.LOG_OUT),
    ("assigned_release", Event.ASSIGNED, Action.RELEASE),
    ("assigned_unused_release", Event.NO_LOGIN, Action.RELEASE),
)


def power_steps(plan: PowerControlPlan) -> Iterator[Step]:
    """A power control plan as the engine's steps."""
    for section, event in POWER_SECTIONS.items():
        action = POWER_ACTIONS.get(getattr(plan, f"{section}_action"))
        if action:
            yield Step(event, action, timedelta(seconds=getattr(plan, f"{section}_wait")), plan.name)


def release_steps(plan: ReleasePlan) -> Iterator[Step]:
    """A release plan as the engine's steps."""
    for column, event, action in RELEASE_SECTIONS:
        seconds = getattr(plan, column)
        if seconds != NEVER:
            yield Step(event, action, timedelta(seconds=seconds), plan.name)
    for url, event in ((plan.disconnected_url, Event.DISCONNECTED), (plan.logged_out_url, Event.LOGGED_OUT)):
        if url:
            yield Step(event, Action.CALL_URL, timedelta(), plan.name, url)
    if plan.idle_url and plan.idle_url_after != NEVER:
        yield Step(Event.IDLE, Action.CALL_URL, timedelta(seconds=plan.idle_url_after), plan.name, plan.idle_url)
    if plan.released_log_out:
        yield Step(Event.RELEASED, Action.LOG_OUT, timedelta(), plan.name)
    if plan.released_delete:
        yield Step(Event.RELEASED, Action.DELETE, timedelta(seconds=plan.released_delete_after), plan.name)


def power_words(plan: PowerControlPlan) -> list[str]:
    """What a power control plan does, a sentence each."""
    return steps_in_words(power_steps(plan)) or ["Does not change the power state."]


def release_words(plan: ReleasePlan) -> list[str]:
    """What a release plan does, a sentence each; that it never releases is said, too (seed ch. 7)."""
    steps = list(release_steps(plan))
    kept = not any(step.do == Action.RELEASE for step in steps)
    said = ["No event releases the desktop: it stays assigned."] if kept else []
    gone = ["Make the desktop unavailable at the release."] if plan.released_unavailable else []
    return said + steps_in_words(steps) + gone
