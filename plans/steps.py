"""Plans as steps of the engine, and in words: what their rows mean (SPEC 3.3, 3.4)."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import timedelta

from plans.engine import POWER, Action, Event, Notice, Step
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


# What takes a session away from somebody who may sit in it: they hear of it first.
WARNED = frozenset({(Event.IDLE, do) for do in POWER | {Action.LOCK, Action.DISCONNECT, Action.LOG_OUT}}) | {
    (Event.ASSIGNED, Action.RELEASE)
}
URLS: dict[str, Event] = {
    "assigned_url": Event.ASSIGNED,
    "disconnected_url": Event.DISCONNECTED,
    "logged_out_url": Event.LOGGED_OUT,
    "released_url": Event.RELEASED,
}
CLOSED: dict[str, Event] = {
    ReleasePlan.Closed.LOG_OUT: Event.LOGGED_OUT,
    ReleasePlan.Closed.DISCONNECT: Event.DISCONNECTED,
}


def power_steps(plan: PowerControlPlan) -> Iterator[Step]:
    """A power control plan as the engine's steps."""
    for section, event in POWER_SECTIONS.items():
        action = POWER_ACTIONS.get(getattr(plan, f"{section}_action"))
        if action:
            wait = timedelta(seconds=getattr(plan, f"{section}_wait"))
            yield warned(Step(event, action, wait, plan.name), notice_of(plan))


def release_steps(plan: ReleasePlan) -> Iterator[Step]:
    """A release plan as the engine's steps."""
    for column, event, action in RELEASE_SECTIONS:
        seconds = getattr(plan, column)
        if seconds != NEVER:
            yield warned(Step(event, action, timedelta(seconds=seconds), plan.name), notice_of(plan))
    yield from url_steps(plan)
    if plan.released_log_out:
        yield farewell(plan)
    if plan.released_delete:
        yield Step(Event.RELEASED, Action.DELETE, timedelta(seconds=plan.released_delete_after), plan.name)


def url_steps(plan: ReleasePlan) -> Iterator[Step]:
    """The URLs that a release plan calls; how is in its row, which the call reads (SPEC 3.4)."""
    source = f"release_plan:{plan.pk}"
    for column, event in URLS.items():
        if url := getattr(plan, column):
            yield Step(event, Action.CALL_URL, timedelta(), plan.name, url, source)
    if plan.idle_url and plan.idle_url_after != NEVER:
        wait = timedelta(seconds=plan.idle_url_after)
        yield Step(Event.IDLE, Action.CALL_URL, wait, plan.name, plan.idle_url, source)


def farewell(plan: ReleasePlan) -> Step:
    """The log-out at a release: at once, or suspended while a warning is shown (SPEC 3.4)."""
    wait = timedelta(seconds=max(plan.released_warning, 0))
    notice = Notice(wait, plan.released_warning_text) if wait else None
    return Step(Event.RELEASED, Action.LOG_OUT, wait, plan.name, notice=notice)


def notice_of(plan: PowerControlPlan | ReleasePlan) -> Notice | None:
    """The warning that a plan's steps give, or None where it gives none."""
    if plan.warn_before == NEVER:
        return None
    return Notice(timedelta(seconds=plan.warn_before), plan.warn_text, plan.warn_more)


def warned(step: Step, notice: Notice | None) -> Step:
    """The step with its warning, where it is one of those that need it."""
    return replace(step, notice=notice) if (step.on, step.do) in WARNED else step


def with_closed(steps: Sequence[Step], closed_as: str) -> list[Step]:
    """All steps, and those that a connection of which nobody knows how it ended has in common with a log-out or a
    disconnect (SPEC 1.5, 3.4)."""
    alike = CLOSED[closed_as]
    return [*steps, *(replace(step, on=Event.CONNECTION_CLOSED) for step in steps if step.on == alike)]


def power_words(plan: PowerControlPlan) -> list[str]:
    """What a power control plan does, a sentence each."""
    return steps_in_words(power_steps(plan)) or ["Does not change the power state."]


def release_words(plan: ReleasePlan) -> list[str]:
    """What a release plan does, a sentence each; that it never releases is said, too (seed ch. 7)."""
    steps = list(release_steps(plan))
    kept = not any(step.do == Action.RELEASE for step in steps)
    said = ["No event releases the desktop: it stays assigned."] if kept else []
    gone = ["Make the desktop unavailable at the release."] if plan.released_unavailable else []
    closed = f"A connection whose end is unknown counts as a {plan.get_closed_as_display().lower()}."
    return [*said, *steps_in_words(steps), closed, *gone]
