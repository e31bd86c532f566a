"""The steps of a launch, from the click to the desktop. Pure (SPEC A.8: the progress page names its step)."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import pairwise


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
LABELS: dict[Step, str] = {
    Step.ASSIGNING: "Assigning",
    Step.STARTING: "Starting",
    Step.WAITING_FOR_AGENT: "Waiting for agent",
    Step.OPENING: "Opening",
    Step.CONNECTING: "Connecting",
}
# How long each may take. A start that comes nowhere fails; an agent that stays away is done without.
LIMITS: dict[Step, timedelta] = {
    Step.STARTING: timedelta(minutes=15),
    Step.WAITING_FOR_AGENT: timedelta(seconds=90),
    Step.OPENING: timedelta(seconds=60),
    Step.CONNECTING: timedelta(minutes=10),
}
# What comes after the deadline, said before it.
AFTERWARDS: dict[Step, str] = {
    Step.STARTING: "then this attempt ends. The desktop stays yours, and its start goes on.",
    Step.WAITING_FOR_AGENT: "then the way is opened without it.",
    Step.OPENING: "then you can try to connect anyway, or another desktop is taken.",
    Step.CONNECTING: "then the file is no longer valid. Press Connect for a new one.",
}
THROUGH_A_GATEWAY: dict[Step, str] = {**LABELS, Step.OPENING: "Opening gateway"}
LATE_AFTER, LATE_FACTOR = timedelta(seconds=10), 1.5


@dataclass(frozen=True, slots=True)
class ProgressLine:
    """One line of the progress page. `state` is done, current, todo or failed; `usual` and `took` are seconds."""

    step: Step
    label: str
    state: str
    since: datetime | None = None
    took: int | None = None
    usual: int | None = None
    until: datetime | None = None
    afterwards: str = ""
    late: bool = False


@dataclass(frozen=True, slots=True)
class Walk:
    """How far a launch has come: its step, when each step began (ISO 8601), and what is usual, in seconds."""

    step: Step
    times: Mapping[str, str]
    usual: Mapping[str, int]
    ended_at: datetime | None = None
    gateway: bool = False

    @property
    def reached(self) -> Step:
        """The step that it stands in, or stood in when it ended."""
        if self.step not in ENDS or self.step == Step.DONE:
            return self.step
        return max((each for each in WAY if each in self.times), key=self._began, default=Step.ASSIGNING)

    def _began(self, step: Step) -> tuple[datetime, int]:
        return datetime.fromisoformat(self.times[step]), WAY.index(step)

    def began(self, step: Step) -> datetime | None:
        """When a step began, None where it was not needed or not reached."""
        return datetime.fromisoformat(self.times[step]) if step in self.times else None


def progress(walk: Walk, moment: datetime) -> list[ProgressLine]:
    """The five lines of the progress page."""
    at = WAY.index(walk.reached)
    took = durations(walk.times, walk.ended_at)
    return [_line(walk, step, at, took, moment) for step in WAY[:-1]]


def _line(walk: Walk, step: Step, at: int, took: Mapping[str, int], moment: datetime) -> ProgressLine:
    place, label = WAY.index(step), (THROUGH_A_GATEWAY if walk.gateway else LABELS)[step]
    if place != at:
        return ProgressLine(step, label, "done" if place < at else "todo", took=took.get(step) if place < at else None)
    since = walk.began(step)
    if walk.step in ENDS:
        return ProgressLine(step, label, "failed", since)
    usual = walk.usual.get(step)
    until = since + LIMITS[step] if since and step in LIMITS else None
    late = is_late(since, usual, moment)
    return ProgressLine(step, label, "current", since, None, usual, until, AFTERWARDS.get(step, ""), late)


def is_late(since: datetime | None, usual: int | None, moment: datetime) -> bool:
    """Whether a step takes clearly longer than it usually does; where nobody knows, it is never late."""
    if since is None or usual is None:
        return False
    return moment - since > LATE_AFTER + LATE_FACTOR * timedelta(seconds=usual)


def durations(times: Mapping[str, str], ended_at: datetime | None = None) -> dict[str, int]:
    """step -> whole seconds, for the steps of a launch that are over."""
    began = sorted((datetime.fromisoformat(at), WAY.index(Step(step)), step) for step, at in times.items())
    ends = [at for at, _, _ in began[1:]] + ([ended_at] if ended_at else [])
    return {step: round((end - at).total_seconds()) for (at, _, step), end in zip(began, ends, strict=False)}


def went_straight(times: Mapping[str, str]) -> bool:
    """Whether no step was gone back to: a launch that did says nothing of what is usual."""
    places = [
        place for _, place in sorted((datetime.fromisoformat(at), WAY.index(Step(step))) for step, at in times.items())
    ]
    return all(one < other for one, other in pairwise(places))
