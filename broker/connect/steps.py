"""The steps of a launch, from the click to the desktop. Pure (SPEC A.8: the progress page names its step)."""

from dataclasses import dataclass
from enum import StrEnum


class Step(StrEnum):
    """Where a launch stands."""

    ASSIGNING = "assigning"
    STARTING = "starting"
    WAITING_FOR_AGENT = "waiting_for_agent"
    OPENING = "opening"
    CONNECTING = "connecting"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


WAY = (Step.ASSIGNING, Step.STARTING, Step.WAITING_FOR_AGENT, Step.OPENING, Step.CONNECTING, Step.DONE)
ENDS = frozenset({Step.DONE, Step.FAILED, Step.CANCELLED})
# Each step with its label and how long it usually takes.
WORDS: dict[Step, tuple[str, str]] = {
    Step.ASSIGNING: ("Assigning", "a moment"),
    Step.STARTING: ("Starting", "usually 1 to 3 minutes"),
    Step.WAITING_FOR_AGENT: ("Waiting for agent", "usually under a minute"),
    Step.OPENING: ("Opening gateway", "a few seconds"),
    Step.CONNECTING: ("Connecting", "a few seconds"),
    Step.DONE: ("Connected", ""),
    Step.FAILED: ("Not connected", ""),
    Step.CANCELLED: ("Cancelled", ""),
}


@dataclass(frozen=True, slots=True)
class ProgressLine:
    """One line of the progress page; `state` is done, current, todo or failed."""

    step: Step
    label: str
    usual: str
    state: str


def progress(step: Step, *, gateway: bool = True, reached: Step = Step.ASSIGNING) -> list[ProgressLine]:
    """The progress page's lines for a launch at `step`; `reached` is where one stood that failed or was cancelled.

    Without a gateway its line is left out.
    """
    at = WAY.index(step if step in WAY else reached)
    shown = [each for each in WAY[:-1] if gateway or each != Step.OPENING]
    return [ProgressLine(each, *WORDS[each], _state(WAY.index(each), at, failed=step not in WAY)) for each in shown]


def _state(index: int, at: int, *, failed: bool) -> str:
    if index == at:
        return "failed" if failed else "current"
    return "done" if index < at else "todo"
