"""Waits and durations in words."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plans.waits import DAY, HOUR, IDLE, IDLE_OR_NO, MINUTE, POWER, REGULAR, duration_words, wait_words


def test_the_regular_list_is_the_one_administrators_know() -> None:
    labels = [label for _, label in REGULAR]
    assert labels[:4] == ["No", "Immediately", "1 minute", "2 minutes"]
    assert labels[10:13] == ["45 minutes", "1 hour", "2 hours"]
    assert labels[-3:] == ["6 days", "7 days", "14 days"]
    assert len(REGULAR) == 28


def test_power_waits_know_no_no() -> None:
    assert POWER[0] == (0, "Immediately")


def test_idle_waits_begin_at_five_minutes() -> None:
    assert IDLE[0] == (5 * MINUTE, "5 minutes")
    assert IDLE[-1] == (7 * DAY, "7 days")
    assert IDLE_OR_NO[0] == (-1, "No")


@pytest.mark.parametrize("choices", [REGULAR, POWER, IDLE, IDLE_OR_NO])
def test_each_list_rises_and_names_each_wait_once(choices: Any) -> None:
    seconds = [value for value, _ in choices]
    assert seconds == sorted(set(seconds))
    assert len({label for _, label in choices}) == len(choices)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 seconds"),
        (1, "1 second"),
        (15, "15 seconds"),
        (MINUTE, "1 minute"),
        (90, "1 minute 30 seconds"),
        (10 * MINUTE, "10 minutes"),
        (HOUR + 30 * MINUTE, "1 hour 30 minutes"),
        (HOUR + 5, "1 hour"),
        (DAY, "1 day"),
        (2 * DAY + 3 * HOUR + 59, "2 days 3 hours"),
    ],
)
def test_a_duration_is_said_as_a_person_would(seconds: Any, words: Any) -> None:
    assert duration_words(seconds) == words


def test_a_negative_duration_is_refused() -> None:
    with pytest.raises(ValueError, match="not negative"):
        duration_words(-1)


@given(st.integers(min_value=-1, max_value=400 * DAY))
def test_every_wait_has_words(seconds: Any) -> None:
    assert wait_words(seconds)
