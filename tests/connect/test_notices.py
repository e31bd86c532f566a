"""Warnings before forced steps, through the agent's protocol: told, answered, put off, called off (SPEC 3.4)."""

from collections.abc import Iterator
from datetime import timedelta

import pytest

from broker.connect import actions
from broker.connect.happenings import Happening, happened
from broker.core import jobs
from broker.core.clock import now
from broker.core.models import Job
from broker.handlers import HANDLERS
from centers.models import Desktop
from plans.engine import Event
from pools.models import Assignment
from tests.connect.stage import NOON, Stage, staged

pytestmark = pytest.mark.django_db


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    with staged(monkeypatch) as made:
        yield made


def test_an_idle_session_is_warned_five_minutes_before_and_logged_out_in_time(stage: Stage) -> None:
    stage.plan(stage.release, idle_log_out=1800)
    stage.talker.tell("login")
    stage.talker.tell("idle", seconds=300)
    stage.pass_time(19.5, idle=300)
    assert stage.asked() == []
    stage.pass_time(0.5, idle=1470)
    (message,) = stage.messages()
    assert message["data"] == {
        "text": "In 5 minutes you will be logged out of this desktop, because nobody has used it for 25 minutes. "
        "Please save your work.",
        "seconds": 300,
        "snooze": 30,
        "session": "2",
    }
    stage.pass_time(4.5, idle=1500)
    assert stage.asked() == ["message"]
    stage.pass_time(0.5, idle=1770)
    assert stage.asked() == ["message", "logout"]


def test_a_sign_of_activity_after_the_warning_calls_the_log_out_off(stage: Stage) -> None:
    stage.plan(stage.release, idle_log_out=1800)
    stage.talker.tell("login")
    stage.talker.tell("idle", seconds=1500)
    stage.work()
    assert len(stage.messages()) == 1
    stage.talker.tell("active")
    stage.pass_time(40)
    assert stage.asked() == ["message"]
    assert Job.objects.get(kind="logout").reason == "Alice is active again"


def test_more_time_puts_the_end_of_the_lease_off_by_half_an_hour_and_only_as_often_as_the_plan_allows(
    stage: Stage,
) -> None:
    stage.plan(stage.release, assigned_release=3600, warn_more=1, warn_text="{USER}, {DISPLAY_NAME} is wanted.")
    happened(Happening(stage.desktop, Event.ASSIGNED, now(), stage.held))
    stage.talker.tell("login")
    stage.pass_time(55)
    (message,) = stage.messages()
    assert (message["data"]["text"], message["data"]["snooze"]) == ("alice, Design 7 is wanted.", 30)
    stage.talker.answer(message["id"], "snooze")
    stage.pass_time(1)
    assert Job.objects.get(kind="release").reason == "comes at 13:30 UTC, asked for more time once"
    stage.pass_time(29)
    (second,) = stage.messages()
    assert second["data"]["snooze"] == 0
    stage.talker.answer(second["id"], "snooze")
    stage.pass_time(4.5)
    assert Assignment.objects.filter(closed_at=None).exists()
    stage.pass_time(1)
    assert not Assignment.objects.filter(closed_at=None).exists()
    assert now() - NOON <= timedelta(minutes=91)


def test_an_idle_power_plan_warns_before_it_stops(stage: Stage) -> None:
    stage.plan(stage.power, idle_action="shutdown", idle_wait=1800)
    stage.talker.tell("login")
    stage.talker.tell("idle", seconds=1500)
    stage.clock.shift(timedelta(seconds=2))
    stage.work()
    (message,) = stage.messages()
    assert message["data"]["text"].startswith("In 5 minutes this desktop will be shut down")
    assert stage.account.asked == []
    stage.pass_time(6, idle=1500)
    assert "logout" in stage.asked()
    stage.talker.tell("logout")
    stage.pass_time(1)
    assert stage.account.asked == [("stop", stage.desktop.ref)]


def test_a_forced_log_out_after_a_disconnect_warns_nobody(stage: Stage) -> None:
    stage.plan(stage.release, disconnected_log_out=600)
    stage.talker.tell("login")
    stage.talker.tell("disconnect")
    stage.pass_time(10.5, state="disconnected")
    assert stage.asked() == ["logout"]


def test_a_release_suspends_the_log_out_while_its_warning_is_shown(stage: Stage) -> None:
    stage.plan(stage.release, released_warning=60, released_warning_text="Use the broker, please.")
    stage.talker.tell("login")
    actions.release(stage.held.pk, "by hand")
    stage.work()
    (message,) = stage.messages()
    assert (message["data"]["text"], message["data"]["seconds"], message["data"]["snooze"]) == (
        "Use the broker, please.", 60, 0,
    )  # fmt: skip
    assert stage.asked() == ["message"]
    stage.pass_time(1)
    assert stage.asked() == ["message", "logout"]


def test_a_warning_survives_a_worker_that_dies_after_it(stage: Stage) -> None:
    """The job is the memory: whoever takes it over knows what was said, and says it once more at most."""
    stage.plan(stage.release, released_warning=60)
    stage.talker.tell("login")
    actions.release(stage.held.pk, "by hand")
    (taken,) = jobs.claim(HANDLERS)
    HANDLERS["logout"].run(taken)  # type: ignore[misc]  # it has one; its result is lost with the worker
    stage.clock.shift(timedelta(seconds=61))
    stage.talker.beat({"session": "2", "user": "CORP\\alice", "state": "active"})
    stage.work()
    assert stage.asked() == ["message", "logout"]


def test_the_desktop_is_not_lost_where_the_agent_never_fetches_the_warning(stage: Stage) -> None:
    stage.plan(stage.release, idle_log_out=1800)
    stage.talker.tell("login")
    stage.talker.tell("idle", seconds=1500)
    stage.work()
    for _ in range(20):
        stage.clock.shift(timedelta(seconds=60))
        stage.work()
    job = Job.objects.get(kind="logout")
    assert (job.state, job.reason[:24]) == ("pending", "held: agent silent since")
    assert Desktop.objects.get().lent
