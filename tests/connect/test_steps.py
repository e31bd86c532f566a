"""The progress page's steps."""

from broker.connect.steps import ENDS, WAY, WORDS, Step, progress


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
