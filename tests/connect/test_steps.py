"""The progress page's steps: where one stands, since when, what is usual, until when, and what comes after."""

from datetime import UTC, datetime, timedelta

from broker.connect.steps import ENDS, LABELS, LIMITS, WAY, Step, Walk, durations, progress, went_straight
from broker.connect.usual import Past, of_steps

NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


def at(seconds: int) -> str:
    return (NOON + timedelta(seconds=seconds)).isoformat()


WAITED = {"assigning": at(0), "starting": at(0), "waiting_for_agent": at(100)}


def test_the_page_names_its_step_and_how_long_the_others_took() -> None:
    lines = progress(Walk(Step.WAITING_FOR_AGENT, WAITED, {}), NOON + timedelta(seconds=110))
    assert [(line.label, line.state, line.took) for line in lines] == [
        ("Assigning", "done", 0),
        ("Starting", "done", 100),
        ("Waiting for agent", "current", None),
        ("Opening", "todo", None),
        ("Connecting", "todo", None),
    ]


def test_the_current_step_says_since_when_until_when_and_what_comes_then() -> None:
    line = progress(Walk(Step.WAITING_FOR_AGENT, WAITED, {"waiting_for_agent": 20}), NOON + timedelta(seconds=110))[2]
    assert (line.since, line.usual) == (NOON + timedelta(seconds=100), 20)
    assert line.until == NOON + timedelta(seconds=190)
    assert line.afterwards == "then the way is opened without it."


def test_a_step_is_late_only_where_something_is_usual() -> None:
    moment = NOON + timedelta(seconds=141)
    assert progress(Walk(Step.WAITING_FOR_AGENT, WAITED, {"waiting_for_agent": 20}), moment)[2].late
    assert not progress(Walk(Step.WAITING_FOR_AGENT, WAITED, {"waiting_for_agent": 60}), moment)[2].late
    assert not progress(Walk(Step.WAITING_FOR_AGENT, WAITED, {}), moment)[2].late


def test_a_step_that_was_not_needed_has_no_time() -> None:
    times = {"assigning": at(0), "opening": at(1)}
    lines = progress(Walk(Step.OPENING, times, {}), NOON)
    assert [(line.state, line.took) for line in lines[:3]] == [("done", 1), ("done", None), ("done", None)]


def test_at_the_end_all_is_done() -> None:
    assert {line.state for line in progress(Walk(Step.DONE, WAITED, {}), NOON)} == {"done"}


def test_a_failure_stands_where_it_happened() -> None:
    states = [line.state for line in progress(Walk(Step.FAILED, {"assigning": at(0), "starting": at(0)}, {}), NOON)]
    assert states == ["done", "failed", "todo", "todo", "todo"]


def test_every_step_of_the_way_has_words_and_all_but_the_first_a_limit() -> None:
    assert set(Step) == {*WAY, *ENDS}
    assert set(LABELS) == set(WAY[:-1]) == {Step.ASSIGNING, *LIMITS}


def test_a_launch_that_went_back_a_step_says_nothing_of_what_is_usual() -> None:
    assert went_straight(WAITED)
    assert not went_straight({**WAITED, "starting": at(200)})


def test_a_step_that_has_not_ended_has_no_duration() -> None:
    assert durations(WAITED) == {"assigning": 0, "starting": 100}
    assert durations(WAITED, NOON + timedelta(seconds=130))["waiting_for_agent"] == 30


def test_what_is_usual_is_the_median_of_the_nearest_that_know() -> None:
    near = [Past(1, 1, {"starting": seconds}) for seconds in (100, 120, 900)]
    far = [Past(2, 1, {"starting": 10, "opening": seconds}) for seconds in (1, 2, 3)]
    assert of_steps(near + far, 1, 1) == {"starting": 120, "opening": 2}
    assert of_steps(near + far, 3, 3) == {"starting": 55, "opening": 2}


def test_too_few_launches_say_nothing() -> None:
    assert of_steps([Past(1, 1, {"starting": 100})] * 2, 1, 1) == {}
