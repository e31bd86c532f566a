"""Whoever sits there hears of it first, and may ask for more time (SPEC 3.4)."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plans.engine import Action, Due, Event, Notice, Step, react
from plans.premise import MORE, Facts, JobPremise, Outcome, judge
from plans.words import warning

NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
HOUR, FIVE, MINUTE = timedelta(hours=1), timedelta(minutes=5), timedelta(minutes=1)
LEASE = Due(Action.RELEASE, NOON, Event.ASSIGNED, NOON - HOUR, notice=Notice(FIVE, "", 2))
IDLE = Due(Action.LOG_OUT, NOON, Event.IDLE, NOON - HOUR, notice=Notice(FIVE, "", 2))
SEEN: dict[str, Any] = {"assignment": 1, "epoch": "b:2", "connected": True, "user": "alice"}


def at(moment: datetime, due: Due = LEASE, *, facts: dict[str, Any] | None = None, **told: Any) -> tuple[Outcome, Any]:
    """What is decided at a moment, and until when."""
    idle = {"idle_since": NOON - HOUR} if due.because == Event.IDLE else {}
    seen = Facts(now=moment, agent_heard=moment, **{**SEEN, **idle, **(facts or {})})
    verdict = judge(JobPremise(due, 1, "b:2", **told), seen)
    return verdict.outcome, verdict.until


@pytest.mark.parametrize("due", [LEASE, IDLE], ids=["the lease", "an idle session"])
def test_the_user_is_warned_before_the_time_and_the_action_comes_at_it(due: Due) -> None:
    assert due.looked_at == NOON - FIVE
    assert at(NOON - FIVE - MINUTE, due) == (Outcome.HOLD, NOON - FIVE)
    assert at(NOON - FIVE, due) == (Outcome.WARN, NOON)
    assert at(NOON - MINUTE, due, warned=NOON - FIVE) == (Outcome.HOLD, NOON)
    assert at(NOON, due, warned=NOON - FIVE) == (Outcome.RUN, None)


def test_nobody_is_warned_where_nobody_sits_there() -> None:
    gone = {"connected": False, "signed_in": True}
    assert at(NOON - FIVE, facts=gone) == (Outcome.HOLD, NOON)
    assert at(NOON, facts=gone) == (Outcome.RUN, None)


def test_a_job_that_comes_late_warns_first_and_gives_the_whole_time() -> None:
    assert at(NOON + HOUR) == (Outcome.WARN, NOON + HOUR + FIVE)


def test_a_warning_that_lies_long_behind_is_said_anew() -> None:
    assert at(NOON + HOUR, warned=NOON - FIVE) == (Outcome.WARN, NOON + HOUR + FIVE)


def test_more_time_is_thirty_minutes_with_a_warning_of_its_own_and_not_without_end() -> None:
    later = NOON + MORE
    assert at(NOON, warned=NOON - FIVE, more=1) == (Outcome.HOLD, later - FIVE)
    assert at(later - FIVE, warned=NOON - FIVE, more=1) == (Outcome.WARN, later)
    assert at(later, warned=later - FIVE, more=1) == (Outcome.RUN, None)
    assert at(NOON + 2 * MORE, warned=NOON + 2 * MORE - FIVE, more=3) == (Outcome.RUN, None)


def test_the_reason_says_that_more_time_was_asked_for() -> None:
    premise = JobPremise(LEASE, 1, "b:2", warned=NOON + MORE - FIVE, more=1)
    verdict = judge(premise, Facts(now=NOON + MORE - MINUTE, agent_heard=NOON, **SEEN))
    assert verdict.reason == "comes at 12:30 UTC, the user is warned, asked for more time once"


def test_whoever_moves_after_the_warning_is_warned_again_the_next_time() -> None:
    back = {"idle_since": NOON - MINUTE}
    assert at(NOON, IDLE, warned=NOON - FIVE, facts=back) == (Outcome.HOLD, NOON - MINUTE + HOUR - FIVE)
    soon = NOON - MINUTE + HOUR
    assert at(soon - FIVE, IDLE, warned=NOON - FIVE, facts=back) == (Outcome.WARN, soon)


def test_any_sign_of_activity_calls_off_what_the_user_was_warned_of() -> None:
    assert at(NOON, IDLE, warned=NOON - FIVE, facts={"idle_since": None})[0] == Outcome.CANCEL
    assert react([IDLE], [], Event.ACTIVE, NOON - MINUTE).keep == ()


def test_a_silent_agent_warns_nobody_so_that_what_costs_a_session_waits_for_it() -> None:
    silent = {"agent_silent": True}
    assert at(NOON - FIVE, IDLE, facts=silent)[0] == Outcome.HOLD
    assert at(NOON + HOUR, IDLE, facts=silent)[0] == Outcome.HOLD


def test_a_warning_is_never_longer_than_the_wait() -> None:
    (due,) = react([], [Step(Event.IDLE, Action.LOCK, MINUTE, notice=Notice(FIVE))], Event.IDLE, NOON).add
    assert (due.lead, due.looked_at) == (MINUTE, NOON)


def test_an_administrator_who_cannot_wait_waits_for_nothing_but_for_people() -> None:
    assert at(NOON - HOUR, hurried=True) == (Outcome.RUN, None)
    stop = replace(LEASE, do=Action.STOP, because=Event.DISCONNECTED)
    assert at(NOON - HOUR, stop, hurried=True)[0] == Outcome.CANCEL


@pytest.mark.parametrize(
    ("due", "words"),
    [
        (IDLE, "In 5 minutes you will be logged out of this desktop, because nobody has used it for 55"),
        (LEASE, "In 5 minutes this desktop will go back to its pool, because the time for which you have it is over."),
        (replace(IDLE, do=Action.STOP), "In 5 minutes this desktop will be shut down, because nobody has used it"),
        (
            replace(IDLE, because=Event.RELEASED),
            "In 5 minutes you will be logged out of this desktop, because it has been",
        ),
    ],
)
def test_without_a_text_of_its_own_a_warning_says_what_when_and_why(due: Due, words: str) -> None:
    assert warning(due, 300).startswith(words)
    assert warning(due, 300).endswith("Please save your work.")


@given(
    st.sampled_from([LEASE, IDLE]),
    st.integers(-120, 240),
    st.one_of(st.none(), st.integers(-120, 240)),
    st.integers(0, 5),
    st.integers(-120, 240),
)
def test_nobody_who_sits_there_is_ever_cut_off_unwarned(due: Any, now: int, warned: Any, more: int, idle: int) -> None:
    moment = NOON + now * MINUTE
    told = NOON + warned * MINUTE if warned is not None else None
    facts = {"idle_since": min(NOON + idle * MINUTE, moment)} if due is IDLE else None
    outcome, until = at(moment, due, facts=facts, warned=told, more=more)
    if outcome == Outcome.RUN:
        assert told is not None
        assert moment - told >= due.lead
    if outcome in (Outcome.HOLD, Outcome.WARN):
        assert until > moment
