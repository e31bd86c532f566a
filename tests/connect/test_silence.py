"""What is concluded where nobody tells: closed connections, stopped machines, silent ones; and who is shut out."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from agents.models import Agent
from broker.connect import actions, closing, housekeeping, offers
from broker.connect.models import DesktopSession, Launch, PortalSession
from broker.connect.watch import STOPPED
from broker.core import jobs
from broker.core.clock import now
from broker.core.models import Job, LogEntry
from centers.models import Center, Desktop
from pools.models import Assignment
from tests import make
from tests.connect.stage import Stage, staged

pytestmark = pytest.mark.django_db


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    with staged(monkeypatch) as made:
        yield made


def minute(stage: Stage, times: int = 1, *, beat: bool = False) -> None:
    """Housekeeping, minute after minute, and the worker."""
    for _ in range(times):
        stage.clock.shift(timedelta(minutes=1))
        if beat:
            stage.talker.beat({"session": "2", "user": "CORP\\alice", "state": "active"})
        housekeeping.run(Job())
        stage.work()


@pytest.mark.parametrize(
    ("closed_as", "planned"),
    [("logout", [("release", "connection_closed")]), ("disconnect", [("power", "connection_closed")])],
)
def test_a_connection_of_which_no_agent_tells_counts_as_the_plan_says(
    stage: Stage, closed_as: str, planned: Any
) -> None:
    Agent.objects.all().delete()
    stage.plan(stage.release, closed_as=closed_as, logged_out_release=600)
    stage.plan(stage.power, disconnected_action="shutdown", disconnected_wait=600)
    assert closing.connection_closed(stage.desktop, now())
    assert stage.pending() == planned
    hours(stage, 0.2)
    minute(stage, 1)
    assert stage.account.asked == ([] if closed_as == "logout" else [("stop", stage.desktop.ref)])
    assert Assignment.objects.filter(closed_at=None).exists() == (closed_as == "disconnect")


def test_where_an_agent_answers_a_closed_connection_says_nothing(stage: Stage) -> None:
    stage.plan(stage.release, closed_as="logout", logged_out_release=0)
    stage.talker.tell("login")
    assert not closing.connection_closed(stage.desktop, now())
    assert stage.pending() == []


def test_a_silent_agents_later_word_wins(stage: Stage) -> None:
    stage.plan(stage.release, closed_as="logout", logged_out_release=3600)
    stage.talker.tell("login")
    stage.clock.shift(timedelta(minutes=5))
    assert closing.connection_closed(stage.desktop, now())
    assert stage.pending() == [("release", "connection_closed")]
    stage.talker.tell("disconnect")
    assert stage.pending() == []


def test_who_was_connected_when_the_agent_fell_silent_is_not_stopped_by_a_closed_connection(stage: Stage) -> None:
    stage.plan(stage.power, disconnected_action="shutdown")
    stage.talker.tell("login")
    stage.clock.shift(timedelta(minutes=5))
    closing.connection_closed(stage.desktop, now())
    minute(stage, 3)
    assert stage.account.asked == []
    assert "was connected when the agent fell silent" in Job.objects.get(kind="power").reason
    stage.talker.beat({"session": "2", "user": "CORP\\alice", "state": "active"})
    minute(stage, 2, beat=True)
    assert Job.objects.get(kind="power").state == "cancelled"


def test_a_sign_out_is_the_end_where_no_agent_was_ever_heard_and_an_expired_sign_in_is_not(stage: Stage) -> None:
    Agent.objects.all().delete()
    stage.plan(stage.release, closed_as="logout", logged_out_release=600)
    portal = PortalSession.objects.create(
        user=stage.alice, session_key="k", opened_at=now(), active_at=now(), expires_at=now() + timedelta(seconds=30)
    )
    Launch.objects.create(
        user=stage.alice, desktop=stage.desktop, assignment=stage.held, portal_session=portal, step="done",
        step_at=now(), started_at=now(), deadline=now(), ended_at=now(),
    )  # fmt: skip
    minute(stage, 2)
    assert stage.pending() == []
    PortalSession.objects.update(closed_at=now())
    minute(stage, 2)
    assert stage.pending() == [("release", "connection_closed")]
    hours(stage, 0.2)
    assert not Assignment.objects.filter(closed_at=None).exists()
    assert Job.objects.filter(kind="release").count() == 1


def test_a_machine_that_stopped_and_does_not_boot_within_the_release_wait_is_released_with_that_reason(
    stage: Stage,
) -> None:
    stage.plan(stage.release, logged_out_release=600)
    stage.talker.tell("login")
    Desktop.objects.update(power="stopped", power_since=now())
    hours(stage, 9 / 60)
    assert Assignment.objects.filter(closed_at=None).exists()
    minute(stage, 1)
    assert Assignment.objects.get().close_reason == "it has been stopped for 11 minutes, without a boot"
    assert DesktopSession.objects.get().end_reason == STOPPED


def test_a_machine_that_was_only_suspended_goes_on_where_it_was(stage: Stage) -> None:
    stage.plan(stage.release, logged_out_release=600)
    stage.talker.tell("login")
    Desktop.objects.update(power="stopped", power_since=now())
    hours(stage, 4 / 60)
    Desktop.objects.update(power="running", power_since=now())
    hours(stage, 0.5)
    minute(stage, 1, beat=True)
    assert Assignment.objects.filter(closed_at=None).exists()
    assert DesktopSession.objects.get().ended_at is None


def test_a_session_that_was_given_up_and_is_there_after_all_is_seen_again(stage: Stage) -> None:
    stage.plan(stage.release, logged_out_release=0)
    stage.talker.tell("login")
    Desktop.objects.update(power="stopped", power_since=now())
    minute(stage, 2)
    assert DesktopSession.objects.get().ended_at is not None
    stage.clock.shift(timedelta(minutes=5))
    Desktop.objects.update(power="running", power_since=now())
    stage.talker.beat({"session": "2", "user": "CORP\\alice", "state": "active"})
    assert DesktopSession.objects.filter(ended_at=None).count() == 1


def test_no_release_at_log_out_means_none_for_a_stopped_machine(stage: Stage) -> None:
    stage.talker.tell("login")
    Desktop.objects.update(power="stopped", power_since=now())
    hours(stage, 0.5)
    assert Assignment.objects.filter(closed_at=None).exists()


@pytest.fixture
def silent(stage: Stage) -> Stage:
    """The agent was never heard after noon; nobody is logged in."""
    Center.objects.update(silent_warn_hours=2, silent_stop_hours=1)
    Assignment.objects.all().delete()
    Desktop.objects.update(lent=False)
    return stage


def hours(stage: Stage, count: float) -> None:
    stage.clock.shift(timedelta(hours=count))
    minute(stage, 1)


def test_a_desktop_that_runs_unused_in_silence_is_told_of_once_and_then_stopped(silent: Stage) -> None:
    hours(silent, 1.9)
    assert not LogEntry.objects.filter(event="agent.silent_unused").exists()
    hours(silent, 0.2)
    minute(silent, 5)
    assert LogEntry.objects.filter(event="agent.silent_unused", level="warning").count() == 1
    assert silent.pending() == [("power", "silent")]
    assert silent.account.asked == []
    hours(silent, 1)
    minute(silent, 1)
    assert silent.account.asked == [("stop", silent.desktop.ref)]


def test_an_agent_that_is_heard_again_saves_its_desktop(silent: Stage) -> None:
    hours(silent, 2.1)
    silent.talker.beat()
    hours(silent, 1)
    minute(silent, 1)
    assert (silent.account.asked, Job.objects.get(cause="silent").reason) == ([], "the agent is heard again")


def test_a_cancelled_stop_of_a_silent_desktop_is_not_planned_again(silent: Stage) -> None:
    hours(silent, 2.1)
    Job.objects.filter(cause="silent").update(state="cancelled", reason="by hand")
    hours(silent, 3)
    assert (silent.pending(), silent.account.asked) == ([], [])


def test_who_was_let_in_during_the_silence_may_be_working(silent: Stage) -> None:
    hours(silent, 2.1)
    held = make.assignment(silent.alice, silent.desktop)
    Launch.objects.create(
        user=silent.alice, desktop=silent.desktop, assignment=held, step="done", step_at=now(), started_at=now(),
        deadline=now(), ended_at=now(),
    )  # fmt: skip
    hours(silent, 3)
    assert silent.account.asked == []


@pytest.mark.parametrize("off", [{"observe_only": True}, {"freeze_plans": True}, {"silent_warn_hours": 0}])
def test_a_center_that_observes_is_frozen_or_wants_it_not_does_nothing(silent: Stage, off: Any) -> None:
    Center.objects.update(**off)
    hours(silent, 5)
    assert not LogEntry.objects.filter(event="agent.silent_unused").exists()
    assert silent.pending() == []


def test_somebodys_session_is_nobodys_waste(silent: Stage) -> None:
    silent.talker.tell("login")
    hours(silent, 5)
    assert silent.pending() == []


def test_who_is_shut_out_loses_the_sign_in_the_launch_and_the_view_of_the_desktop(stage: Stage) -> None:
    stage.talker.tell("login")
    PortalSession.objects.create(
        user=stage.alice, session_key="k", opened_at=now(), active_at=now(), expires_at=now() + timedelta(hours=1)
    )
    Launch.objects.create(
        user=stage.alice, desktop=stage.desktop, assignment=stage.held, step="starting", step_at=now(),
        started_at=now(), deadline=now() + timedelta(hours=1),
    )  # fmt: skip
    assert closing.shut_out(stage.alice, "disabled by Ines") == 1
    stage.work()
    assert Launch.objects.get().message == "You were signed out: disabled by Ines"
    assert stage.asked() == ["disconnect"]
    assert DesktopSession.objects.get().ended_at is None


def test_at_wait_0_the_stop_is_sent_before_the_desktop_can_be_lent(stage: Stage) -> None:
    stage.plan(stage.power, logged_out_action="shutdown")
    stage.plan(stage.release, logged_out_release=0)
    policy = stage.alice.access.policy
    assert policy is not None
    bob = make.grant(make.user("bob", at=stage.desktop.center.server), policy=policy)
    stage.talker.tell("login")
    stage.talker.tell("logout")
    assert sorted(stage.pending()) == [("power", "logged_out"), ("release", "logged_out")]
    stage.work()  # the batch collects for a second; the release does not
    assert not Assignment.objects.filter(closed_at=None).exists()
    assert offers.build(bob, policy).offers == []
    stage.clock.shift(timedelta(seconds=2))
    stage.work()
    assert stage.account.asked == [("stop", stage.desktop.ref)]
    assert offers.build(bob, policy).offers == []


def test_a_deletion_at_the_release_waits_for_its_undo_and_never_happens_while_the_agent_is_silent(stage: Stage) -> None:
    stage.plan(stage.release, released_delete=True, released_delete_after=3600)
    actions.release(stage.held.pk, "by hand")
    assert not Job.objects.filter(kind="delete_desktop").exists()  # the desktop does not allow it
    Desktop.objects.update(deletable=True)
    held = make.assignment(stage.alice, stage.desktop)
    actions.release(held.pk, "by hand")
    job = Job.objects.get(kind="delete_desktop")
    assert job.run_at - now() == timedelta(hours=1)
    hours(stage, 1.1)
    job.refresh_from_db()
    assert (job.state, job.reason[:24]) == ("pending", "held: agent silent since")
    assert jobs.cancel(Job.objects.filter(pk=job.pk), "an undo")
    hours(stage, 1)
    assert Desktop.objects.get().availability == "available"
