"""What a due job asks before it acts: a lost cancel must never cost anybody their session."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plans.engine import AWAY, POWER, Action, Due, Event
from plans.premise import Facts, JobPremise, Outcome, judge

NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
TEN = timedelta(minutes=10)
NOW = NOON + TEN


def job(
    do: Action = Action.STOP, because: Event = Event.LOGGED_OUT, assignment: int | None = 1, epoch: str = "b:2"
) -> JobPremise:
    return JobPremise(Due(do, NOW, because, NOON), assignment, epoch)


FACTS = Facts(now=NOW, assignment=1, holder="alice", epoch="b:2", agent_heard=NOW, running_mode="MANUAL")


def outcome(premise: JobPremise, **facts: Any) -> tuple[Outcome, str]:
    verdict = judge(premise, replace(FACTS, **facts))
    return verdict.outcome, verdict.reason


RUN = (Outcome.RUN, "")


def test_what_was_planned_runs_where_nothing_has_changed() -> None:
    assert outcome(job()) == RUN


@pytest.mark.parametrize(
    ("premise", "facts", "reason"),
    [
        pytest.param(job(), {"plans_off": True}, "plans do not act on this desktop", id="plans are off here"),
        pytest.param(job(), {"observe_only": True}, "the center only observes", id="observe only"),
        pytest.param(job(), {"power": "deleted"}, "the desktop is deleted", id="deleted"),
        pytest.param(job(), {"assignment": 2, "holder": "bob"}, "lent to bob", id="lent to somebody else"),
        pytest.param(
            job(Action.RELEASE), {"assignment": None}, "the assignment has ended", id="nothing left to release"
        ),
        pytest.param(
            job(Action.DELETE, Event.RELEASED), {"assignment": 2, "holder": "bob"}, "lent to bob", id="lent again"
        ),
        pytest.param(
            job(Action.STOP, Event.RELEASED),
            {},
            "lent to alice",
            id="a released desktop that is lent to the same again",
        ),
        pytest.param(job(), {"epoch": "b:3"}, "a newer session has begun", id="a newer session"),
        pytest.param(job(), {"connected": True, "user": "alice"}, "alice is connected", id="somebody is connected"),
        pytest.param(
            job(Action.LOG_OUT, Event.DISCONNECTED), {"connected": True}, "somebody is connected", id="a lost reconnect"
        ),
        pytest.param(job(Action.LOCK, Event.IDLE), {}, "the session is no longer idle", id="not idle any more"),
        pytest.param(job(), {"power": "stopped"}, "it is already stopped or stopping", id="stopped already"),
        pytest.param(job(), {"power_wish": "stop"}, "it is already stopped or stopping", id="asked already"),
        pytest.param(
            job(),
            {"running_mode": "ALWAYS_ON"},
            "Always On WorkSpaces are started again by AWS; Reboot is possible",
            id="always on",
        ),
        pytest.param(
            job(Action.REBOOT),
            {"power": "unhealthy", "raw_power": "IMPAIRED"},
            "AWS does not reboot an impaired WorkSpace; stop and start it",
            id="impaired",
        ),
        pytest.param(
            job(Action.LOG_OUT, Event.RELEASED),
            {"assignment": None, "power": "stopped"},
            "the desktop is stopped",
            id="nobody can be logged out of a stopped machine",
        ),
        pytest.param(
            job(Action.LOG_OUT, Event.RELEASED),
            {"assignment": None, "signed_in": False},
            "nobody is logged in",
            id="nor where nobody is left",
        ),
    ],
)
def test_a_job_is_cancelled_with_its_reason(premise: Any, facts: Any, reason: Any) -> None:
    assert outcome(premise, **facts) == (Outcome.CANCEL, reason)


@pytest.mark.parametrize(
    ("premise", "facts", "reason"),
    [
        pytest.param(job(), {"frozen": True}, "held: plans are frozen at this center", id="frozen"),
        pytest.param(
            job(), {"unheard": True, "connected": True}, "held: the agent's news are being read", id="unread news"
        ),
        pytest.param(job(), {"power": "starting"}, "held: waits until it has started", id="a stop waits for a start"),
        pytest.param(job(), {"power": "maintenance"}, "held: waits until it has started", id="or an update"),
        pytest.param(job(), {"power_wish": "start"}, "held: waits until it has started", id="or an open wish"),
        pytest.param(
            job(Action.STOP, Event.DISCONNECTED), {"launching": True}, "held: alice is connecting", id="on the way back"
        ),
        pytest.param(
            job(),
            {"agent_silent": True, "agent_heard": NOON + timedelta(minutes=1)},
            "held: agent silent since 2026-11-23 12:01 UTC",
            id="silent since after the log-out",
        ),
        pytest.param(
            job(Action.LOG_OUT, Event.DISCONNECTED),
            {"agent_silent": True, "agent_heard": NOON},
            "held: agent silent since 2026-11-23 12:00 UTC",
            id="the disconnect was its last word",
        ),
        pytest.param(
            job(Action.DELETE, Event.RELEASED),
            {"assignment": None, "agent_silent": True, "agent_heard": NOON - TEN},
            "held: agent silent since 2026-11-23 11:50 UTC",
            id="nothing is deleted on stale knowledge",
        ),
        pytest.param(
            job(),
            {"gateway_bytes": NOW - timedelta(seconds=5)},
            "held: the gateway still carries a session",
            id="bytes flow",
        ),
        pytest.param(
            job(Action.DELETE, Event.RELEASED),
            {"assignment": None, "connected": True, "user": "alice"},
            "held: alice is still connected",
            id="nobody's desktop is deleted under their hands",
        ),
        pytest.param(
            job(Action.STOP, Event.RELEASED),
            {"assignment": None, "connected": True, "user": "alice"},
            "held: alice is still connected",
            id="a release logs out first and stops then",
        ),
    ],
)
def test_a_job_is_held_with_its_reason_and_judged_again(premise: Any, facts: Any, reason: Any) -> None:
    verdict = judge(premise, replace(FACTS, **facts))
    assert (verdict.outcome, verdict.reason) == (Outcome.HOLD, reason)
    assert verdict.until is not None
    assert verdict.until > NOW


@pytest.mark.parametrize(
    ("premise", "facts"),
    [
        pytest.param(job(), {"assignment": None}, id="power outlives the release"),
        pytest.param(job(Action.RELEASE, Event.ASSIGNED), {"connected": True, "epoch": "c:9"}, id="a lease just ends"),
        pytest.param(
            job(Action.LOG_OUT, Event.RELEASED),
            {"assignment": None, "connected": True},
            id="the released are logged out",
        ),
        pytest.param(
            job(Action.RELEASE), {"agent_silent": True, "agent_heard": NOON + TEN / 2}, id="a release needs no agent"
        ),
        pytest.param(
            job(Action.STOP, Event.STARTED, assignment=None, epoch=""),
            {"assignment": None, "epoch": "", "agent_silent": True, "agent_heard": None},
            id="nobody came, and no agent was ever heard",
        ),
        pytest.param(
            job(Action.STOP, Event.STARTED),
            {"agent_silent": True, "agent_heard": NOON - TEN},
            id="silent since before the start",
        ),
        pytest.param(
            job(Action.LOCK, Event.IDLE), {"connected": True, "idle_since": NOON}, id="an idle session is connected"
        ),
        pytest.param(
            job(Action.STOP, Event.IDLE), {"signed_in": False}, id="an idle stop goes on after its own log-out"
        ),
        pytest.param(job(), {"power": "unhealthy", "raw_power": "IMPAIRED"}, id="an impaired one can be stopped"),
        pytest.param(
            job(Action.DELETE, Event.RELEASED),
            {"assignment": None, "power": "stopped", "agent_silent": True, "agent_heard": NOON},
            id="a machine that is off is silent by nature",
        ),
    ],
)
def test_a_job_runs(premise: Any, facts: Any) -> None:
    assert outcome(premise, **facts) == RUN


def test_a_url_that_only_tells_is_called_though_the_desktop_is_released_and_lent() -> None:
    due = Due(Action.CALL_URL, NOON, Event.LOGGED_OUT, NOON)
    assert outcome(JobPremise(due, 1, "b:2"), assignment=2) == RUN


def test_an_idle_job_waits_for_the_newest_idleness() -> None:
    verdict = judge(
        job(Action.LOCK, Event.IDLE), replace(FACTS, connected=True, idle_since=NOON + timedelta(minutes=3))
    )
    assert (verdict.outcome, verdict.until) == (Outcome.HOLD, NOON + timedelta(minutes=13))


def test_a_job_that_is_not_due_yet_waits() -> None:
    verdict = judge(job(), replace(FACTS, now=NOON))
    assert (verdict.outcome, verdict.until) == (Outcome.HOLD, NOW)


facts = st.builds(
    Facts,
    now=st.just(NOW),
    assignment=st.sampled_from([None, 1, 2]),
    epoch=st.sampled_from(["", "b:2", "b:3"]),
    connected=st.booleans(),
    idle_since=st.sampled_from([None, NOON, NOON + TEN / 2]),
    agent_heard=st.sampled_from([None, NOON - TEN, NOON, NOW]),
    agent_silent=st.booleans(),
    gateway_bytes=st.sampled_from([None, NOON, NOW]),
    launching=st.booleans(),
    power=st.sampled_from(["running", "stopped", "starting", "stopping", "maintenance", "error", "unknown", "deleted"]),
    running_mode=st.sampled_from(["", "MANUAL", "ALWAYS_ON", "AUTO_STOP"]),
    power_wish=st.sampled_from(["", "start", "stop", "reboot"]),
    plans_off=st.booleans(),
    observe_only=st.booleans(),
    frozen=st.booleans(),
)
jobs = st.builds(job, st.sampled_from(Action), st.sampled_from(Event), st.sampled_from([None, 1]), st.just("b:2"))


@given(jobs, facts)
def test_nobody_at_work_ever_loses_power(premise: Any, facts: Any) -> None:
    ran = judge(premise, facts).outcome == Outcome.RUN
    if premise.due.do in POWER and premise.due.because != Event.IDLE:
        assert not (ran and facts.connected)


@given(jobs, facts)
def test_a_lost_cancel_does_nothing_to_who_is_back(premise: Any, facts: Any) -> None:
    unknown = premise.due.because == Event.CONNECTION_CLOSED and facts.agent_silent
    if facts.connected and premise.due.because in AWAY - {Event.IDLE, Event.LOCKED} and not unknown:
        assert judge(premise, facts).outcome != Outcome.RUN


@given(jobs, facts)
def test_every_refusal_has_a_reason_and_every_hold_a_later_time(premise: Any, facts: Any) -> None:
    verdict = judge(premise, facts)
    if verdict.outcome != Outcome.RUN:
        assert verdict.reason
    if verdict.outcome == Outcome.HOLD:
        assert verdict.until is not None
        assert verdict.until > facts.now


@given(jobs, facts)
def test_nothing_runs_for_somebody_elses_assignment(premise: Any, facts: Any) -> None:
    rogue = (premise.due.do, premise.due.because) == (Action.LOG_OUT, Event.ROGUE)  # whoever has the desktop
    if facts.assignment == 2 and premise.assignment != 2 and not rogue:
        assert judge(premise, facts).outcome != Outcome.RUN
