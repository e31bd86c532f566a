"""The progress page's steps."""

from typing import Any

import pytest

from broker.connect.steps import ENDS, WAY, WORDS, Step, may_follow, progress


@pytest.mark.parametrize(
    ("step", "following", "may"),
    [
        (Step.ASSIGNING, Step.STARTING, True),
        (Step.ASSIGNING, Step.CONNECTING, True),
        (Step.WAITING_FOR_AGENT, Step.STARTING, True),
        (Step.STARTING, Step.STARTING, True),
        (Step.CONNECTING, Step.STARTING, False),
        (Step.CONNECTING, Step.OPENING, False),
        (Step.OPENING, Step.CANCELLED, True),
        (Step.DONE, Step.CONNECTING, False),
        (Step.CANCELLED, Step.FAILED, False),
    ],
)
def test_a_launch_goes_forward(step: Any, following: Any, may: Any) -> None:
    assert may_follow(step, following) is may


def test_the_page_names_its_step() -> None:
    lines = progress(Step.WAITING_FOR_AGENT)
    assert [(line.label, line.state) for line in lines] == [
        ("Assigning", "done"),
        ("Starting", "done"),
        ("Waiting for agent", "current"),
        ("Opening gateway", "todo"),
        ("Connecting", "todo"),
    ]


def test_without_a_gateway_none_is_opened() -> None:
    assert Step.OPENING not in {line.step for line in progress(Step.STARTING, gateway=False)}


def test_at_the_end_all_is_done() -> None:
    assert {line.state for line in progress(Step.DONE)} == {"done"}


def test_a_failure_stands_where_it_happened() -> None:
    states = [line.state for line in progress(Step.FAILED, reached=Step.STARTING)]
    assert states == ["done", "failed", "todo", "todo", "todo"]


def test_every_step_has_words() -> None:
    assert set(WORDS) == set(Step) == {*WAY, *ENDS}
