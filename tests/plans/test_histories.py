"""Random histories of a desktop against what must always hold: engine and premise together, jobs as they would run.

Events come in any order, twice, late and with times that a clock invented; jobs run when they are due, are told of what
is true at that moment, and are judged. Nothing here is a row: tests/connect/test_histories.py does the same with rows.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from plans.engine import POWER, Action, Due, Event, Notice, Step, react
from plans.premise import Facts, JobPremise, Outcome, judge

NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
CUTS = POWER | {Action.LOG_OUT, Action.LOCK, Action.DISCONNECT}
WARN = Notice(2 * MINUTE, "", 1)
PLANS = {
    "strict": [
        Step(Event.DISCONNECTED, Action.STOP), Step(Event.LOGGED_OUT, Action.STOP),
        Step(Event.LOGGED_OUT, Action.RELEASE), Step(Event.CONNECTION_CLOSED, Action.STOP),
        Step(Event.IDLE, Action.LOG_OUT, 5 * MINUTE, notice=WARN), Step(Event.RELEASED, Action.LOG_OUT),
    ],
    "slow": [
        Step(Event.DISCONNECTED, Action.LOG_OUT, 5 * MINUTE), Step(Event.DISCONNECTED, Action.RELEASE, 9 * MINUTE),
        Step(Event.LOGGED_OUT, Action.STOP, 4 * MINUTE), Step(Event.IDLE, Action.STOP, 7 * MINUTE, notice=WARN),
        Step(Event.ASSIGNED, Action.RELEASE, 15 * MINUTE, notice=WARN), Step(Event.STARTED, Action.STOP, 3 * MINUTE),
    ],
    "nothing": [],
}  # fmt: skip
TELLING = [
    Event.CONNECTED, Event.DISCONNECTED, Event.LOGGED_OUT, Event.LOCKED, Event.UNLOCKED, Event.IDLE, Event.ACTIVE,
    Event.CONNECTION_CLOSED, Event.STARTED,
]  # fmt: skip
STATES = frozenset({"none", "active", "left"})
NEEDS: dict[Event, frozenset[str]] = {
    Event.DISCONNECTED: frozenset({"active"}),
    Event.LOGGED_OUT: frozenset({"active", "left"}),
    Event.LOCKED: frozenset({"active"}),
    Event.UNLOCKED: frozenset({"active"}),
    Event.IDLE: frozenset({"active"}),
    Event.ACTIVE: frozenset({"active"}),
    Event.CONNECTION_CLOSED: frozenset({"none", "left"}),
    Event.STARTED: frozenset({"none"}),
}


@dataclass
class Waiting:
    """A job: what was planned, and what it noted."""

    due: Due
    assignment: int | None
    epoch: str
    warned: datetime | None = None


@dataclass
class Model:
    """One desktop: whose it is, who sits there since when, what waits, and what was done to whom."""

    plans: list[Step]
    now: datetime = NOON
    assignment: int | None = 1
    sessions: int = 0
    state: str = "none"
    idle_since: datetime | None = None
    silent: bool = False
    waiting: list[Waiting] = field(default_factory=list)
    done: list[tuple[Action, Event, str, datetime]] = field(default_factory=list)

    def facts(self) -> Facts:
        idle_since = self.idle_since if self.state == "active" else None
        return Facts(
            now=self.now, assignment=self.assignment, epoch=f"b:{self.sessions}", connected=self.state == "active",
            signed_in=self.state != "none", user="alice", idle_since=idle_since,
            agent_heard=self.now - (10 * MINUTE if self.silent else timedelta()), agent_silent=self.silent,
        )  # fmt: skip

    def happens(self, event: Event, at: datetime) -> None:
        """News; what means nothing in this state is ignored, as broker/connect/states.py does."""
        if self.state not in NEEDS.get(event, STATES):
            return
        if event is Event.CONNECTED:
            self.sessions += self.state == "none"
            self.state = "active"
        elif event is Event.DISCONNECTED:
            self.state = "left"
        elif event is Event.LOGGED_OUT:
            self.state = "none"
        if event not in (Event.LOCKED, Event.UNLOCKED):
            self.idle_since = at if event is Event.IDLE else None
        if self.assignment is not None or event is Event.LOGGED_OUT:
            self.plan(event, at)

    def plan(self, event: Event, at: datetime) -> None:
        jobs = {job.due: job for job in self.waiting}
        reaction = react(jobs, self.plans, event, at)
        self.waiting = [jobs[due] for due in reaction.keep]
        self.waiting += [Waiting(due, self.assignment, f"b:{self.sessions}") for due in reaction.add]
        slots = [job.due.slot for job in self.waiting]
        assert len(slots) == len(set(slots))  # at most one for each action and cause

    def passes(self, span: timedelta) -> None:
        for _ in range(int(span / (MINUTE / 4))):
            self.now += MINUTE / 4
            for job in sorted(self.waiting, key=lambda each: each.due.at):
                if job in self.waiting and job.due.looked_at <= self.now:
                    self.run(job)

    def run(self, job: Waiting) -> None:
        verdict = judge(JobPremise(job.due, job.assignment, job.epoch, job.warned), self.facts())
        if verdict.outcome is Outcome.WARN:
            job.warned = self.now
        if verdict.outcome in (Outcome.HOLD, Outcome.WARN):
            assert verdict.until is not None
            assert verdict.until > self.now
            return
        self.waiting.remove(job)
        if verdict.outcome is Outcome.RUN:
            self.act(job)

    def act(self, job: Waiting) -> None:
        due = job.due
        self.check(job)
        self.done.append((due.do, due.because, job.epoch, due.since))
        if due.do is Action.RELEASE:
            self.assignment = None
            self.plan(Event.RELEASED, self.now)
        elif due.do in POWER | {Action.LOG_OUT} and self.state != "none":
            self.state, self.idle_since = "none", None
            self.plan(Event.LOGGED_OUT, self.now)

    def check(self, job: Waiting) -> None:
        """Nobody who sits there is cut off, but by what a plan wants of an idle or a released session; and warned."""
        due = job.due
        if self.state == "active" and due.do in CUTS:
            assert due.because in (Event.IDLE, Event.RELEASED)
            if due.because is Event.IDLE:
                assert self.idle_since is not None
                assert self.now - self.idle_since >= due.wait
        if due.lead and self.state == "active" and not self.silent:
            assert job.warned is not None
            assert self.now - job.warned >= due.lead
        assert not (self.silent and due.do in POWER and due.since <= self.now - 10 * MINUTE)


steps = st.one_of(
    st.tuples(st.sampled_from(TELLING), st.integers(-4, 2)),
    st.tuples(st.just("wait"), st.integers(1, 12)),
    st.tuples(st.sampled_from(["silence", "news"]), st.just(0)),
)


def played(plan: str, history: list[Any]) -> Model:
    """A model after a history; an event's number is by how many minutes its clock was wrong."""
    model = Model(PLANS[plan])
    model.plan(Event.ASSIGNED, model.now)
    for what, number in history:
        if what == "wait":
            model.passes(number * MINUTE)
        elif what in ("silence", "news"):
            model.silent = what == "silence"
        else:
            model.silent = False
            model.happens(
                what, min(model.now, model.now + number * MINUTE)
            )  # events of the future are of now (RULES 18)
    return model


@settings(max_examples=150)
@given(st.sampled_from(sorted(PLANS)), st.lists(steps, max_size=25))
def test_nobody_at_work_is_logged_out_or_stopped_whatever_happens(plan: str, history: Any) -> None:
    played(plan, history).passes(20 * MINUTE)


@settings(max_examples=40)
@given(st.sampled_from(sorted(PLANS)), st.lists(steps, max_size=20))
def test_the_same_history_gives_the_same_jobs(plan: str, history: Any) -> None:
    one, two = played(plan, history), played(plan, history)
    assert (one.waiting, one.done, one.state) == (two.waiting, two.done, two.state)


@settings(max_examples=40)
@given(st.sampled_from(sorted(PLANS)), st.lists(steps, max_size=20), st.integers(0, 19))
def test_an_event_told_twice_is_one_event(plan: str, history: Any, which: int) -> None:
    told = [each for each in history if each[0] in TELLING]
    if not told:
        return
    at = history.index(told[which % len(told)])
    doubled = [*history[: at + 1], history[at], *history[at + 1 :]]
    once, twice = played(plan, history), played(plan, doubled)
    assert sorted(once.waiting, key=slot_of) == sorted(twice.waiting, key=slot_of)  # in whatever order


def slot_of(job: Waiting) -> str:
    """Of one desktop, at most one job waits in a slot."""
    return job.due.slot


@given(st.lists(st.sampled_from(TELLING), max_size=12))
def test_the_last_word_of_the_plan_wins(events: Any) -> None:
    """Of each action and cause the newest wait counts, with the values of the plan at that moment."""
    pending: tuple[Due, ...] = ()
    last: dict[str, datetime] = {}
    for number, event in enumerate(events):
        at = NOON + number * MINUTE
        reaction = react(pending, PLANS["slow"], event, at)
        last |= {f"{step.do}:{step.on}": at for step in PLANS["slow"] if step.on == event}
        pending = reaction.keep + reaction.add
    assert all(due.since == last[due.slot] for due in pending)


@settings(max_examples=40)
@given(st.sampled_from(sorted(PLANS)), st.lists(steps, max_size=20))
def test_nothing_is_done_twice_for_one_cause(plan: str, history: Any) -> None:
    model = played(plan, history)
    model.passes(20 * MINUTE)
    assert len(set(model.done)) == len(model.done)
    assert sum(do is Action.RELEASE for do, *_ in model.done) <= 1
