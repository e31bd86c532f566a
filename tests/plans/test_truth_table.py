"""SPEC 13.4 row by row, each cell of it: what an event schedules, and which pending jobs it cancels."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from plans.engine import Due, Event, Step, react
from plans.models import PowerControlPlan, ReleasePlan
from plans.steps import power_steps, release_steps, with_closed

NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
URL = "https://example.test/"
ALL_OF_IT = ReleasePlan(
    name="Release", disconnected_release=600, disconnected_log_out=600, disconnected_url=URL, logged_out_release=600,
    logged_out_url=URL, closed_as="disconnect", idle_lock=600, idle_disconnect=600, idle_log_out=600,
    idle_url_after=600, idle_url=URL, assigned_release=600, assigned_unused_release=600, assigned_url=URL,
    released_log_out=True, released_warning=60, released_delete=True, released_delete_after=600, released_url=URL,
)  # fmt: skip
POWER = PowerControlPlan(
    name="Power", disconnected_action="shutdown", disconnected_wait=600, logged_out_action="shutdown",
    logged_out_wait=600, released_action="reboot", released_wait=600, idle_action="shutdown", idle_wait=600,
    started_action="shutdown", started_wait=600,
)  # fmt: skip
STEPS: list[Step] = with_closed([*power_steps(POWER), *release_steps(ALL_OF_IT)], ALL_OF_IT.closed_as)

ASSIGNED = {"release:assigned", "release:no_login", "call_url:assigned"}
DISCONNECTED = {"release:disconnected", "log_out:disconnected", "stop:disconnected", "call_url:disconnected"}
LOGGED_OUT = {"release:logged_out", "stop:logged_out", "call_url:logged_out"}
IDLE = {"lock:idle", "disconnect:idle", "log_out:idle", "call_url:idle", "stop:idle"}
CLOSED = {f"{slot.partition(':')[0]}:connection_closed" for slot in DISCONNECTED}
RELEASED = {"log_out:released", "delete:released", "reboot:released", "call_url:released"}
STARTED = {"stop:started"}
NO_LOGIN = {"release:no_login"}
EVERYTHING = ASSIGNED | DISCONNECTED | LOGGED_OUT | IDLE | CLOSED | RELEASED | STARTED
POWER_JOBS = {slot for slot in EVERYTHING if slot.startswith(("stop:", "reboot:"))}
TOLD_AT_ONCE = {slot for slot in EVERYTHING if slot.startswith("call_url:")} - {"call_url:idle"}

# event: (schedules, cancels of what others have scheduled)
TABLE: dict[Event, tuple[set[str], set[str]]] = {
    Event.ASSIGNED: (ASSIGNED, POWER_JOBS | RELEASED),
    Event.CONNECTED: (set(), DISCONNECTED | IDLE | CLOSED | NO_LOGIN | LOGGED_OUT | STARTED | POWER_JOBS),
    Event.UNLOCKED: (set(), IDLE),
    Event.ACTIVE: (set(), IDLE),
    Event.LOCKED: (set(), set()),
    Event.IDLE: (IDLE, set()),
    Event.DISCONNECTED: (DISCONNECTED, IDLE | CLOSED),
    Event.LOGGED_OUT: (LOGGED_OUT, DISCONNECTED | IDLE | CLOSED),
    Event.CONNECTION_CLOSED: (CLOSED, set()),
    Event.RELEASED: (RELEASED, EVERYTHING - POWER_JOBS - TOLD_AT_ONCE - RELEASED),
    Event.STARTED: (STARTED, set()),
    Event.MADE_HARD: (set(), EVERYTHING - POWER_JOBS - TOLD_AT_ONCE),
    Event.DELETED: (set(), EVERYTHING),
    Event.NO_LOGIN: (NO_LOGIN, set()),
    Event.SILENT: (set(), set()),
    Event.ROGUE: (set(), set()),
}


def test_the_table_knows_every_event() -> None:
    assert set(TABLE) == set(Event)


@pytest.mark.parametrize("event", Event)
def test_what_an_event_schedules(event: Event) -> None:
    assert {due.slot for due in react([], STEPS, event, NOON).add} == TABLE[event][0]


CELLS = [(event, slot) for event in Event for slot in sorted(EVERYTHING - TABLE[event][0])]


@pytest.mark.parametrize(("event", "slot"), CELLS, ids=[f"{event}-{slot}" for event, slot in CELLS])
def test_what_an_event_cancels(event: Event, slot: str) -> None:
    step = next(step for step in STEPS if f"{step.do}:{step.on}" == slot)
    pending = Due(step.do, NOON + max(step.after, timedelta()), step.on, NOON, step.plan)
    reaction = react([pending], STEPS, event, NOON + timedelta(seconds=30))
    assert bool(reaction.cancel) == (slot in TABLE[event][1])
    assert all(gone.reason for gone in reaction.cancel)


def test_every_wait_is_counted_from_the_time_of_the_event() -> None:
    for event in Event:
        for due in react([], STEPS, event, NOON).add:
            step: Any = next(step for step in STEPS if f"{step.do}:{step.on}" == due.slot)
            assert due.since == NOON
            settled = event in {Event.DISCONNECTED, Event.CONNECTION_CLOSED} and not step.after
            assert due.at == NOON + (timedelta(seconds=15) if settled else step.after)
