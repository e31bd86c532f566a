"""What will happen to a desktop, in the words of its user and of an administrator; only what can happen is said."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from broker.connect.future import UNLESS, WHEN, WHOLE, YOU, Reader, Situation, Waiting, in_brief, outlook
from plans.engine import AWAY, Action, Due, Event, Notice, Step
from plans.words import ORDER

NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
STOP = Step(Event.LOGGED_OUT, Action.STOP, timedelta(minutes=10), "Stop")
RELEASE = Step(Event.DISCONNECTED, Action.RELEASE, timedelta(hours=1), "Release")
LOG_OUT = Step(Event.RELEASED, Action.LOG_OUT, timedelta(), "Release")
CALL = Step(Event.LOGGED_OUT, Action.CALL_URL, timedelta(), "Release", "https://example.test/")
IDLE = Step(Event.IDLE, Action.LOG_OUT, timedelta(hours=2), "Release")
DELETE = Step(Event.RELEASED, Action.DELETE, timedelta(hours=1), "Release")
ALICE = Reader("Alice")


def hers(*steps: Step, **more: Any) -> Situation:
    """A desktop that is assigned to her."""
    return Situation(steps=steps, assigned=True, **more)


def waits(do: Action, because: Event, **more: Any) -> Waiting:
    """A plan's job, due in ten minutes."""
    due = Due(do, NOON + timedelta(minutes=10), because, NOON, "Night")
    return Waiting("power", due.at, due, plan="Night", job=7, **more)


def test_what_follows_a_release_is_left_out_for_the_user_where_nothing_releases() -> None:
    """The user hears instead that the desktop stays theirs; an administrator may release it, so he reads of it."""
    here = hers(LOG_OUT, STOP)
    assert outlook(here, YOU).conditions == ["It is shut down 10 minutes after you log out.", "It stays yours."]
    assert outlook(here, ALICE).conditions == [
        "It is shut down 10 minutes after Alice logs out.",
        "Alice is logged out when it goes back.",
        "It stays with Alice: no plan releases it.",
    ]


def test_a_plan_that_releases_says_so_and_what_follows() -> None:
    """In the order in which a session meets them; calls to URLs are nothing to the user."""
    assert outlook(hers(LOG_OUT, CALL, RELEASE), YOU).conditions == [
        "It goes back to its pool 1 hour after you disconnect.",
        "You are logged out when it goes back.",
    ]


def test_plans_that_do_nothing_say_nothing() -> None:
    """Not even that the desktop is kept: the section is not shown."""
    assert outlook(hers(CALL), YOU).conditions == []


def test_a_warning_is_told_with_what_it_warns_of() -> None:
    warned = replace(IDLE, notice=Notice(timedelta(minutes=5)))
    assert outlook(hers(warned), YOU).conditions[0] == (
        "You are logged out after 2 hours without activity, with a warning 5 minutes before."
    )


def test_what_waits_already_is_told_with_its_time_and_not_twice() -> None:
    found = outlook(hers(STOP, waiting=[waits(Action.STOP, Event.LOGGED_OUT)]), ALICE)
    assert [(each.said, each.unless, each.why) for each in found.coming] == [
        ("shut down", ", unless Alice returns", "plan Night: 10 minutes after log-out")
    ]
    assert found.conditions == ["It stays with Alice: no plan releases it."]
    yours = outlook(hers(waiting=[waits(Action.STOP, Event.LOGGED_OUT)]), YOU).coming[0]
    assert (yours.whole, yours.unless) == ("It is shut down at", ", unless you come back")


def test_the_lease_says_until_when_it_is_hers() -> None:
    lease = waits(Action.RELEASE, Event.ASSIGNED)
    assert outlook(hers(waiting=[lease]), YOU).coming[0].whole == "It is yours until"
    assert outlook(hers(waiting=[lease]), ALICE).coming[0].why == "plan Night: the lease ends"
    again = Step(Event.ASSIGNED, Action.RELEASE, timedelta(hours=8), "Night")
    assert outlook(hers(again, STOP), YOU).conditions == ["It is shut down 10 minutes after you log out."]


def test_a_hold_is_told_to_administrators_with_its_reason_and_keeps_the_time_of_the_action() -> None:
    held = replace(waits(Action.STOP, Event.LOGGED_OUT), reason="held: agent silent", run_at=NOON + timedelta(hours=9))
    line = outlook(hers(waiting=[held]), ALICE).coming[0]
    assert (line.at, line.held) == (NOON + timedelta(minutes=10), "held: agent silent")
    assert outlook(hers(waiting=[held]), YOU).coming[0].held == "on hold for now"


def test_users_hear_nothing_of_the_brokers_own_work() -> None:
    work = [
        Waiting("wait_for_start", NOON, job=1),
        Waiting("power", NOON, op="stop", asked="Admin asked for it", job=2),
    ]
    assert [each.said for each in outlook(hers(waiting=work), ALICE).coming] == [
        "see whether it has started",
        "shut down",
    ]
    assert outlook(hers(waiting=work), YOU).coming == []


def test_a_power_wish_is_told_with_its_deadline() -> None:
    found = outlook(hers(wish="stop", wish_until=NOON), ALICE)
    assert (found.coming[0].at, found.coming[0].job) == (NOON, 0)
    assert found.coming[0].said.startswith("AWS was asked to stop it")


@pytest.mark.parametrize(
    ("more", "note"),
    [
        ({"plans_off": True}, "Plans do not act on this desktop."),
        ({"observes": "Main"}, "Main only observes: nothing is stopped, released or logged out by a plan."),
    ],
)
def test_where_no_plan_acts_the_note_says_why_and_nothing_is_promised(more: dict[str, Any], note: str) -> None:
    assert outlook(hers(STOP, DELETE, **more), ALICE).notes == [note]
    for reader in (YOU, ALICE):
        assert outlook(hers(STOP, **more), reader).conditions == []


def test_a_freeze_delays_and_promises_all_the_same() -> None:
    found = outlook(hers(STOP, frozen="Main"), ALICE)
    assert found.notes == ["Plans are frozen at Main: what falls due waits until the freeze ends."]
    assert found.conditions
    assert outlook(hers(STOP, frozen="Main"), YOU).notes


def test_always_on_is_not_promised_to_be_shut_down() -> None:
    found = outlook(hers(STOP, replace(STOP, do=Action.REBOOT), running_mode="ALWAYS_ON"), ALICE)
    assert found.conditions[0] == "It is restarted 10 minutes after Alice logs out."
    assert "Always On" in found.notes[0]


def test_a_deletion_is_told_only_where_it_may_happen() -> None:
    assert (
        "deleted, with everything on it 1 hour after it went back"
        in outlook(hers(DELETE, deletable=True), ALICE).conditions[0]
    )
    assert outlook(hers(DELETE), ALICE).notes == [
        "It may not be deleted from disk, so the release plan does not do it."
    ]


def test_a_hard_assignment_stays() -> None:
    found = outlook(hers(IDLE, hard=True), ALICE)
    assert found.notes == ["Hard-assigned: it stays with Alice until an administrator changes that."]
    assert outlook(hers(IDLE, hard=True), YOU).conditions[-1] == "It stays yours."


def test_one_line_for_a_list() -> None:
    stop = Due(Action.STOP, NOON, Event.LOGGED_OUT, NOON)
    idle, lease = replace(stop, because=Event.IDLE), replace(stop, do=Action.RELEASE, because=Event.ASSIGNED)
    assert in_brief(stop, NOON, "alice") == "12:00 shut down, unless alice returns"
    assert in_brief(idle, NOON, "alice") == "12:00 shut down, unless alice is active again"
    assert in_brief(lease, NOON, "alice") == "12:00 release to the pool"


def test_everything_has_words() -> None:
    assert set(WHOLE) == set(Action)
    assert set(WHEN) == set(ORDER)
    assert set(UNLESS) <= AWAY
    for reader in (YOU, ALICE):
        said = [reader.says(each, "1 hour") for pair in WHEN.values() for each in pair] + list(
            map(reader.says, WHOLE.values())
        )
        assert not any("{" in each for each in said)
