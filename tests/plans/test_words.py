"""Plans said in words."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from plans.engine import Action, Due, Event, Step
from plans.words import DO, ORDER, WHEN, steps_in_words, words

NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("do", "because", "minutes", "sentence"),
    [
        (Action.STOP, Event.LOGGED_OUT, 10, "shut down 10 minutes after log-out"),
        (Action.STOP, Event.LOGGED_OUT, 0, "shut down at log-out"),
        (Action.LOCK, Event.IDLE, 5, "lock the session after 5 minutes without activity"),
        (Action.RELEASE, Event.ASSIGNED, 1440, "release to the pool 1 day after the assignment"),
        (Action.STOP, Event.STARTED, 30, "shut down when nobody logs in within 30 minutes of the start"),
        (Action.RELEASE, Event.NO_LOGIN, 60, "release to the pool when the user does not log in within 1 hour"),
    ],
)
def test_a_waiting_action_is_half_a_sentence(do: Any, because: Any, minutes: Any, sentence: Any) -> None:
    assert words(Due(do, NOON + timedelta(minutes=minutes), because, NOON)) == sentence


def test_plans_are_told_in_the_order_in_which_a_session_meets_them() -> None:
    steps = [
        Step(Event.RELEASED, Action.REBOOT),
        Step(Event.LOGGED_OUT, Action.STOP, timedelta(minutes=10)),
        Step(Event.DISCONNECTED, Action.LOG_OUT, timedelta(hours=1)),
    ]
    assert steps_in_words(steps) == [
        "Log the user out 1 hour after disconnect.",
        "Shut down 10 minutes after log-out.",
        "Restart at the release.",
    ]


def test_everything_has_words() -> None:
    assert set(DO) == set(Action)
    assert set(ORDER) == set(WHEN)
