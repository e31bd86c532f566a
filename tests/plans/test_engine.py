"""SPEC 13.4 as sentences: who schedules, who cancels."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plans.engine import POWER, SETTLE, Action, Due, Event, Hangs, Notice, Step, react

NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
LATER = NOON + timedelta(minutes=2)
TEN = timedelta(minutes=10)
STEPS = [
    Step(Event.ASSIGNED, Action.RELEASE, timedelta(days=7)),
    Step(Event.NO_LOGIN, Action.RELEASE, timedelta(hours=1)),
    Step(Event.STARTED, Action.STOP, timedelta(minutes=30)),
    Step(Event.DISCONNECTED, Action.RELEASE, timedelta(hours=2)),
    Step(Event.DISCONNECTED, Action.LOG_OUT, TEN),
    Step(Event.DISCONNECTED, Action.STOP, TEN),
    Step(Event.DISCONNECTED, Action.CALL_URL),
    Step(Event.LOGGED_OUT, Action.RELEASE, TEN),
    Step(Event.LOGGED_OUT, Action.STOP, TEN),
    Step(Event.IDLE, Action.LOCK, TEN),
    Step(Event.IDLE, Action.DISCONNECT, TEN),
    Step(Event.IDLE, Action.LOG_OUT, TEN),
    Step(Event.IDLE, Action.CALL_URL, TEN),
    Step(Event.IDLE, Action.STOP, TEN),
    Step(Event.CONNECTION_CLOSED, Action.RELEASE, TEN),
    Step(Event.RELEASED, Action.LOG_OUT, timedelta(minutes=1)),
    Step(Event.RELEASED, Action.DELETE, timedelta(hours=1)),
    Step(Event.RELEASED, Action.REBOOT),
]


def waiting(*slots: str) -> list[Due]:
    """Waiting actions by their slots, all due at 13:00."""
    return [
        Due(Action(do), NOON + timedelta(hours=1), Event(on), NOON) for do, on in (slot.split(":") for slot in slots)
    ]


def slots(dues: Iterable[Due]) -> set[str]:
    return {due.slot for due in dues}


@pytest.mark.parametrize(
    ("event", "scheduled"),
    [
        pytest.param(
            Event.ASSIGNED, {"release:assigned", "release:no_login"}, id="assigning starts lease and no-login"
        ),
        pytest.param(Event.CONNECTED, set(), id="coming schedules nothing"),
        pytest.param(
            Event.DISCONNECTED,
            {"release:disconnected", "log_out:disconnected", "stop:disconnected", "call_url:disconnected"},
            id="disconnecting starts release, log-out, power and URL",
        ),
        pytest.param(
            Event.LOGGED_OUT, {"release:logged_out", "stop:logged_out"}, id="log-out starts release and power"
        ),
        pytest.param(
            Event.IDLE,
            {"lock:idle", "disconnect:idle", "log_out:idle", "call_url:idle", "stop:idle"},
            id="idleness starts its five",
        ),
        pytest.param(Event.CONNECTION_CLOSED, {"release:connection_closed"}, id="a closed connection starts its own"),
        pytest.param(
            Event.RELEASED,
            {"log_out:released", "delete:released", "reboot:released"},
            id="releasing starts the release section and power",
        ),
        pytest.param(Event.STARTED, {"stop:started"}, id="a start waits for somebody to log in"),
        pytest.param(Event.LOCKED, set(), id="locking schedules nothing"),
        pytest.param(Event.UNLOCKED, set(), id="unlocking schedules nothing"),
        pytest.param(Event.ACTIVE, set(), id="activity schedules nothing"),
        pytest.param(Event.DELETED, set(), id="deletion schedules nothing"),
    ],
)
def test_who_schedules(event: Any, scheduled: Any) -> None:
    assert slots(react([], STEPS, event, NOON).add) == scheduled


EVERYTHING = (
    "release:assigned",
    "release:no_login",
    "stop:started",
    "log_out:disconnected",
    "stop:disconnected",
    "release:logged_out",
    "stop:logged_out",
    "lock:idle",
    "stop:idle",
    "release:connection_closed",
    "log_out:released",
    "delete:released",
    "reboot:released",
)


@pytest.mark.parametrize(
    ("event", "kept"),
    [
        pytest.param(
            Event.CONNECTED,
            {"release:assigned", "log_out:released", "delete:released"},
            id="coming back undoes leaving, and all power, but not the lease",
        ),
        pytest.param(
            Event.ASSIGNED,
            set(EVERYTHING)
            - {slot for slot in EVERYTHING if slot.startswith(("stop", "reboot")) or slot.endswith(":released")},
            id="lending cancels pending power and what the release had in mind",
        ),
        pytest.param(Event.UNLOCKED, set(EVERYTHING) - {"lock:idle", "stop:idle"}, id="unlocking undoes idleness"),
        pytest.param(Event.ACTIVE, set(EVERYTHING) - {"lock:idle", "stop:idle"}, id="activity undoes idleness"),
        pytest.param(Event.LOCKED, set(EVERYTHING), id="locking undoes nothing"),
        pytest.param(Event.STARTED, set(EVERYTHING), id="a start undoes nothing"),
        pytest.param(
            Event.DISCONNECTED,
            set(EVERYTHING) - {"lock:idle", "stop:idle", "release:connection_closed"},
            id="a disconnect ends idleness and settles what a closed connection meant",
        ),
        pytest.param(
            Event.LOGGED_OUT,
            set(EVERYTHING)
            - {"log_out:disconnected", "stop:disconnected", "lock:idle", "stop:idle", "release:connection_closed"},
            id="log-out replaces disconnect and idle",
        ),
        pytest.param(
            Event.RELEASED,
            {"stop:started", "stop:disconnected", "stop:logged_out", "stop:idle", "reboot:released"},
            id="a release ends all but power",
        ),
        pytest.param(
            Event.MADE_HARD,
            {"stop:started", "stop:disconnected", "stop:logged_out", "stop:idle", "reboot:released"},
            id="a hard assignment drops the release jobs",
        ),
        pytest.param(Event.DELETED, set(), id="deletion ends all"),
    ],
)
def test_who_cancels(event: Any, kept: Any) -> None:
    pending = waiting(*EVERYTHING)
    reaction = react(pending, [], event, LATER)
    assert slots(reaction.keep) == kept
    assert slots(gone.due for gone in reaction.cancel) == set(EVERYTHING) - kept
    assert all(gone.reason for gone in reaction.cancel)


@pytest.mark.parametrize(
    ("event", "reason"),
    [(Event.ASSIGNED, "lent to bob"), (Event.CONNECTED, "bob is connected"), (Event.RELEASED, None)],
)
def test_the_reason_names_who(event: Any, reason: Any) -> None:
    gone = react(waiting("stop:logged_out"), [], event, LATER, who="bob").cancel
    assert [each.reason for each in gone] == ([reason] if reason else [])


def test_a_later_log_out_replaces_the_disconnects_release_with_its_own_delay() -> None:
    first = react([], STEPS, Event.DISCONNECTED, NOON)
    second = react(first.add, STEPS, Event.LOGGED_OUT, LATER)
    assert [(due.slot, due.at) for due in second.add] == [
        ("release:logged_out", LATER + TEN),
        ("stop:logged_out", LATER + TEN),
    ]
    assert second.keep == ()


@pytest.mark.parametrize(
    ("wait", "runs_after"), [(timedelta(), SETTLE), (timedelta(seconds=5), SETTLE), (TEN, TEN)], ids=str
)
def test_a_disconnect_rule_never_runs_before_the_settle_window(wait: Any, runs_after: Any) -> None:
    (due,) = react([], [Step(Event.DISCONNECTED, Action.STOP, wait)], Event.DISCONNECTED, NOON).add
    assert due.at == NOON + runs_after
    assert due.since == NOON


def test_a_log_out_rule_has_no_settle_window() -> None:
    (due,) = react([], [Step(Event.LOGGED_OUT, Action.STOP)], Event.LOGGED_OUT, NOON).add
    assert due.at == NOON


def test_the_settle_window_is_a_setting() -> None:
    step = Step(Event.DISCONNECTED, Action.STOP)
    (due,) = react([], [step], Event.DISCONNECTED, NOON, settle=timedelta(seconds=40)).add
    assert due.at == NOON + timedelta(seconds=40)


def test_an_idle_rule_runs_at_the_beginning_of_idleness_plus_its_wait() -> None:
    idle_since = NOON - timedelta(minutes=4)
    (due,) = react([], [Step(Event.IDLE, Action.LOCK, TEN)], Event.IDLE, idle_since).add
    assert due.at == NOON + timedelta(minutes=6)


def test_the_same_event_told_twice_changes_nothing() -> None:
    first = react([], STEPS, Event.LOGGED_OUT, NOON)
    again = react(first.add, STEPS, Event.LOGGED_OUT, NOON)
    assert (again.keep, again.cancel, again.add) == (first.add, (), ())


def test_a_newer_wish_replaces_the_older_of_its_kind() -> None:
    first = react([], STEPS, Event.LOGGED_OUT, NOON)
    again = react(first.add, STEPS, Event.LOGGED_OUT, LATER)
    assert [gone.due for gone in again.cancel] == list(first.add)
    assert slots(again.add) == slots(first.add)
    assert all("anew" in gone.reason for gone in again.cancel)


def test_a_changed_plan_leaves_what_waits_alone() -> None:
    pending = react([], STEPS, Event.LOGGED_OUT, NOON).add
    assert react(pending, [], Event.LOCKED, LATER).keep == pending


def test_power_hangs_on_the_desktop_and_all_else_on_the_assignment() -> None:
    hangs = {do: Due(do, NOON, Event.RELEASED, NOON).hangs for do in Action}
    assert {do for do, what in hangs.items() if what == Hangs.DESKTOP} == POWER


def test_a_waiting_action_survives_json() -> None:
    notice = Notice(timedelta(minutes=1), "Save your work", 2)
    due = Due(Action.LOG_OUT, LATER, Event.RELEASED, NOON, "Default", source="release_plan:1", notice=notice)
    assert Due.from_json(json.loads(json.dumps(due.as_json()))) == due


def test_a_release_at_log_out_does_not_swallow_the_call_that_tells_of_it() -> None:
    steps = [Step(Event.LOGGED_OUT, Action.CALL_URL), Step(Event.LOGGED_OUT, Action.RELEASE)]
    waiting_now = react([], steps, Event.LOGGED_OUT, NOON).add
    assert slots(react(waiting_now, steps, Event.RELEASED, LATER).keep) == {"call_url:logged_out"}


@pytest.mark.parametrize("cause", [Event.DISCONNECTED, Event.IDLE, Event.RELEASED])
def test_a_stop_is_not_called_off_by_the_log_out_that_it_causes(cause: Any) -> None:
    stop = Due(Action.STOP, LATER, cause, NOON)
    assert react([stop], [], Event.LOGGED_OUT, LATER + timedelta(seconds=5)).keep == (stop,)


def test_the_soonest_comes_first() -> None:
    added = react([], STEPS, Event.DISCONNECTED, NOON).add
    assert [due.at for due in added] == sorted(due.at for due in added)


happenings = st.lists(st.tuples(st.sampled_from(Event), st.integers(0, 3)), max_size=30)


def play(happened: list[tuple[Event, int]]) -> Iterator[tuple[Event, tuple[Due, ...]]]:
    """Let events happen, with duplicates and out of order, and yield what waits after each."""
    pending: tuple[Due, ...] = ()
    for event, minute in happened:
        reaction = react(pending, STEPS, event, NOON + timedelta(minutes=minute))
        assert set(reaction.keep) | {gone.due for gone in reaction.cancel} == set(pending)
        assert not set(reaction.keep) & set(reaction.add)
        pending = reaction.keep + reaction.add
        yield event, pending


@given(happenings)
def test_two_actions_never_wait_in_one_slot(happened: Any) -> None:
    for _, pending in play(happened):
        assert len(slots(pending)) == len(pending)


@given(happenings)
def test_whoever_is_back_is_safe(happened: Any) -> None:
    leaving = {Event.DISCONNECTED, Event.IDLE, Event.LOGGED_OUT, Event.CONNECTION_CLOSED, Event.NO_LOGIN}
    for event, pending in play(happened):
        if event == Event.CONNECTED:
            assert not {due.because for due in pending} & leaving
            assert not {due.do for due in pending} & POWER


@given(happenings)
def test_a_release_leaves_nothing_of_the_old_assignment(happened: Any) -> None:
    for event, pending in play(happened):
        if event == Event.RELEASED:
            left = [due for due in pending if due.hangs == Hangs.ASSIGNMENT and not due.tells_at_once]
            assert {due.because for due in left} <= {Event.RELEASED}


@given(happenings)
def test_every_event_told_twice_in_a_row_is_one_event(happened: Any) -> None:
    pending: tuple[Due, ...] = ()
    for event, minute in happened:
        at = NOON + timedelta(minutes=minute)
        once = react(pending, STEPS, event, at)
        pending = once.keep + once.add
        twice = react(pending, STEPS, event, at)
        assert not twice.add
        assert slots(twice.keep) == slots(pending)


@given(st.lists(st.sampled_from(Event), max_size=20))
def test_nothing_waits_where_no_plan_wants_anything(events: Any) -> None:
    pending: tuple[Due, ...] = ()
    for event in events:
        pending = react(pending, [], event, NOON).keep
    assert pending == ()


def test_a_step_is_a_value() -> None:
    assert replace(STEPS[0], plan="x") != STEPS[0]
