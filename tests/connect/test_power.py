"""Power through the provider: batches, outcomes of their own, premises asked again (DESIGN 3; RULES 12, 13, 23, 24)."""

import uuid
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from agents.models import Agent
from broker.connect import facts, power
from broker.connect.models import DesktopSession, Launch
from broker.core import jobs
from broker.core.clock import now
from broker.core.jobs import Wish, enqueue
from broker.core.models import Job
from broker.handlers import HANDLERS
from centers.models import Center, Desktop
from centers.providers.base import PowerOp
from centers.services import wish_for
from plans.engine import Action, Due, Event
from tests import make
from tests.aws_simulator import of_user
from tests.connect.world import World, world

pytestmark = pytest.mark.django_db
POWER_CALLS = ("StopWorkspaces", "StartWorkspaces", "RebootWorkspaces")


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    with world(monkeypatch) as made:
        made.scan()
        made.aws.desk.forget()
        yield made


def asked(site: World) -> int:
    """How many power calls reached AWS."""
    return sum(site.calls(each) for each in POWER_CALLS)


def outcome(job: Job) -> tuple[str, str]:
    job.refresh_from_db()
    return job.state, job.reason or job.message


def planned_stop(desktop: Desktop, **more: Any) -> Job:
    """The stop that a power plan scheduled at log-out."""
    due = Due(Action.STOP, now(), Event.LOGGED_OUT, now(), "Shutdown on logout")
    payload = {"op": "stop", "due": due.as_json(), "epoch": "", "assignment": None, "user": None, **more}
    return enqueue(
        Wish(
            "power", f"desktop:{desktop.pk}", str(desktop), payload=payload, key=f"plan:{desktop.pk}:stop",
            batch=f"power:{desktop.center_id}:stop", cause="logged_out", plan=due.plan,
        )
    )  # fmt: skip


def agent_on(desktop: Desktop, **fields: Any) -> Agent:
    return Agent.objects.create(
        **{
            "uuid": uuid.uuid4(), "key_digest": f"{desktop.pk:064d}", "center": desktop.center,
            "desktop": desktop, "approved": True, "registered_at": now(), "last_seen": now(), **fields,
        }
    )  # fmt: skip


def session_on(desktop: Desktop, **fields: Any) -> DesktopSession:
    return DesktopSession.objects.create(
        **{
            "desktop": desktop, "boot_id": "b", "os_session": "2", "user_name": "CORP\\bob", "state": "active",
            "started_at": now(), "changed_at": now(), **fields,
        }
    )  # fmt: skip


def test_no_plan_acts_before_what_the_agent_told_is_read(site: World) -> None:
    agent = agent_on(site.of("bob"), waiting=True)
    job = planned_stop(site.of("bob"))
    site.shift(1.1)
    site.work()
    assert outcome(job) == ("pending", "held: the agent's news are being read")
    agent.waiting = False
    agent.save()
    site.shift(3)
    site.work()
    assert (outcome(job)[0], asked(site)) == ("finished", 1)


def test_what_aws_accepted_and_the_jobs_end_are_written_together(site: World) -> None:
    job = power.ask(site.of("bob"), PowerOp.STOP, "x", urgent=True)
    power.run(jobs.claim(HANDLERS))  # and there its worker dies
    assert (outcome(job)[0], site.of("bob").power) == ("finished", "stopping")


def test_who_has_lost_the_lease_writes_nothing_of_what_aws_said(site: World) -> None:
    job = power.ask(site.of("bob"), PowerOp.STOP, "x", urgent=True)
    taken = jobs.claim(HANDLERS)
    Job.objects.filter(pk=job.pk).update(tries=2)  # as its successor does
    power.run(taken)
    assert (outcome(job)[0], site.of("bob").power) == ("running", "running")


def test_thirty_stops_of_one_center_are_two_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    with world(monkeypatch, "many:30") as site:
        site.scan()
        Desktop.objects.update(power="running", raw_state="AVAILABLE", running_mode="MANUAL")
        for row in site.aws.account.workspaces.values():
            row.state, row.running_mode = "AVAILABLE", "MANUAL"
        site.aws.desk.forget()
        for desktop in Desktop.objects.all():
            power.ask(desktop, PowerOp.STOP, "in the test")
        site.work()
        assert asked(site) == 0
        site.shift(1.1)
        site.work()
        assert site.calls("StopWorkspaces") == 2
        assert Job.objects.filter(kind="power", state="finished").count() == 30
        assert set(Desktop.objects.values_list("power", "wish")) == {("stopping", "stop")}


def test_each_item_has_its_own_outcome(site: World) -> None:
    good, bad = power.ask(site.of("bob"), PowerOp.STOP, "x"), power.ask(site.of("frank"), PowerOp.STOP, "x")
    site.trouble("refuse", "StopWorkspaces", ref=str(site.of("frank").ref), code="OperationNotSupportedException",
                 message="not this one")  # fmt: skip
    site.shift(1.1)
    site.work()
    assert outcome(good)[0] == "finished"
    assert outcome(bad)[0] == "aborted"
    assert "not this one" in outcome(bad)[1]
    assert (site.of("bob").wish, site.of("frank").wish) == ("stop", "")
    assert site.calls("StopWorkspaces") == 1


def test_an_always_on_workspace_is_refused_in_words_without_a_call(site: World) -> None:
    job = power.ask(site.of("dave"), PowerOp.STOP, "x", urgent=True)
    site.work()
    assert outcome(job)[0] == "aborted"
    assert "Always On" in outcome(job)[1]
    assert "Reboot" in outcome(job)[1]
    assert asked(site) == 0


def test_a_stop_wanted_while_it_starts_waits_and_then_stops(site: World) -> None:
    row = of_user(site.aws, "bob")
    row.state = "STARTING"
    site.scan()
    job = power.ask(site.of("bob"), PowerOp.STOP, "x", urgent=True)
    site.work()
    assert outcome(job) == ("pending", "It cannot be stopped because it is still starting.")
    row.state = "AVAILABLE"
    site.scan()
    site.shift(6)
    site.work()
    assert outcome(job)[0] == "finished"


def test_a_shutdown_has_the_agent_log_the_user_out_first_and_waits_for_it(site: World) -> None:
    desktop = site.of("bob")
    agent, session = agent_on(desktop), session_on(desktop)
    job = power.ask(desktop, PowerOp.STOP, "x", urgent=True)
    site.work()
    command = agent.commands.get()
    assert (command.type, command.data, outcome(job)[0], asked(site)) == ("logout", {"session": "2"}, "pending", 0)
    session.ended_at, session.state = now(), "ended"
    session.save()
    site.shift(3)
    site.work()
    assert (outcome(job)[0], site.calls("StopWorkspaces"), agent.commands.count()) == ("finished", 1, 1)


def test_the_grace_of_a_shutdown_is_bounded(site: World) -> None:
    desktop = site.of("bob")
    agent = agent_on(desktop)
    session_on(desktop)
    job = power.ask(desktop, PowerOp.STOP, "x", urgent=True)
    site.work()
    for _ in range(13):
        site.shift(5)
        Agent.objects.update(last_seen=now())
        site.work()
    assert (outcome(job)[0], site.calls("StopWorkspaces"), agent.commands.count()) == ("finished", 1, 1)


def test_a_stop_that_was_held_for_long_still_gives_its_grace(site: World) -> None:
    row = of_user(site.aws, "bob")
    row.state = "STARTING"
    site.scan()
    job = power.ask(site.of("bob"), PowerOp.STOP, "x", urgent=True)
    site.go_on(120, 10)
    row.state = "AVAILABLE"
    site.scan()
    agent = agent_on(site.of("bob"))
    session_on(site.of("bob"))
    site.shift(6)
    site.work()
    assert (outcome(job)[0], agent.commands.count(), asked(site)) == ("pending", 1, 0)


def test_power_off_asks_nobody(site: World) -> None:
    desktop = site.of("bob")
    agent = agent_on(desktop)
    session_on(desktop)
    power.ask(desktop, PowerOp.STOP, "x", urgent=True, hard=True)
    site.work()
    assert (agent.commands.count(), site.calls("StopWorkspaces")) == (0, 1)


def test_power_off_and_start_stops_at_once_and_starts_when_it_has_stopped(site: World) -> None:
    desktop = site.of("bob")
    power.power_cycle(desktop, "bob asked for it")
    site.go_on(120)
    desktop.refresh_from_db()
    assert (desktop.power, site.calls("StopWorkspaces"), site.calls("StartWorkspaces")) == ("running", 1, 1)
    assert site.calls("RebootWorkspaces") == 0


def test_a_start_wanted_while_it_stops_comes_after_the_stop(site: World) -> None:
    power.ask(site.of("bob"), PowerOp.STOP, "x", urgent=True)
    site.work()
    job = power.ask(site.of("bob"), PowerOp.START, "y", urgent=True)
    site.work()
    assert outcome(job)[0] == "pending"
    site.go_on(90)
    assert outcome(job)[0] == "finished"
    assert [each["operation"] for each in site.aws.desk.log() if each["operation"] in POWER_CALLS] == [
        "StopWorkspaces",
        "StartWorkspaces",
    ]
    assert site.of("bob").power == "running"


def test_while_a_wish_is_open_nobody_asks_twice(site: World) -> None:
    power.ask(site.of("bob"), PowerOp.STOP, "x", urgent=True)
    site.work()
    second = power.ask(site.of("bob"), PowerOp.STOP, "again", urgent=True)
    site.work()
    assert outcome(second)[0] == "cancelled"
    assert site.calls("StopWorkspaces") == 1


def test_stopping_what_is_stopped_is_no_failure(site: World) -> None:
    job = power.ask(site.of("carol"), PowerOp.STOP, "x", urgent=True)
    site.work()
    assert (*outcome(job), asked(site)) == ("cancelled", "It is stopped already.", 0)


@pytest.mark.parametrize(
    ("on", "state"),
    [({"observe_only": True}, "cancelled"), ({"freeze_plans": True}, "pending")],
)
def test_a_center_that_observes_or_is_frozen_stops_nothing(site: World, on: dict[str, bool], state: str) -> None:
    job = planned_stop(site.of("bob"))
    Center.objects.update(**on)
    site.go_on(10)
    assert (outcome(job)[0], asked(site)) == (state, 0)
    assert outcome(job)[1]


def test_a_desktop_on_which_plans_do_not_act_is_not_stopped(site: World) -> None:
    job = planned_stop(site.of("bob"))
    Desktop.objects.update(plans_off=True)
    site.go_on(5)
    assert (outcome(job)[0], asked(site)) == ("cancelled", 0)


def test_a_lost_cancel_cannot_stop_an_active_user(site: World) -> None:
    desktop = site.of("bob")
    agent_on(desktop)
    session = session_on(desktop)
    job = planned_stop(desktop, epoch=f"{session.boot_id}:{session.os_session}")
    site.go_on(5)
    assert (outcome(job)[0], asked(site)) == ("cancelled", 0)
    assert "connected" in outcome(job)[1]


def test_a_connect_between_taking_a_stop_and_doing_it_wins(site: World) -> None:
    """The job is Running already, so Connect cannot cancel it; under the desktop's lock it sees the launch."""
    bob, desktop = site.person("bob"), site.of("bob")
    held = make.assignment(bob, desktop)
    job = planned_stop(desktop, assignment=held.pk)
    site.shift(1.1)
    taken = jobs.claim(HANDLERS)
    assert [each.pk for each in taken] == [job.pk]
    Launch.objects.create(
        user=bob, desktop=desktop, assignment=held, step="done", step_at=now(), started_at=now(), deadline=now(),
        ended_at=now(),
    )  # fmt: skip
    jobs.run(taken, HANDLERS["power"])
    assert (outcome(job)[0], asked(site)) == ("cancelled", 0)


def test_a_silent_agent_holds_the_stop_until_it_is_heard_again(site: World) -> None:
    desktop = site.of("bob")
    agent = agent_on(desktop, last_seen=now())
    job = planned_stop(desktop)
    site.shift(100)
    site.work()
    assert outcome(job)[0] == "pending"
    assert "held: agent silent since" in outcome(job)[1]
    site.shift(70)
    agent.last_seen = now()
    agent.save()
    site.work()
    assert (outcome(job)[0], site.calls("StopWorkspaces")) == ("finished", 1)


def test_throttling_keeps_the_job_and_the_wish_is_not_held_against_it(site: World) -> None:
    site.trouble("throttle", "StopWorkspaces", times=1)
    job = power.ask(site.of("bob"), PowerOp.STOP, "x", urgent=True)
    site.work()
    assert outcome(job)[0] == "pending"
    assert site.of("bob").wish == ""
    site.go_on(10)
    assert outcome(job)[0] == "finished"


def test_wrong_keys_do_not_lose_what_a_plan_wanted(site: World) -> None:
    site.trouble("fail", "StopWorkspaces", code="UnrecognizedClientException", times=3)
    job = planned_stop(site.of("bob"))
    site.go_on(5)
    assert outcome(job)[0] == "pending"
    assert outcome(job)[1]
    site.go_on(60)
    assert outcome(job)[0] == "finished"


def test_a_worker_that_died_before_the_call_loses_no_stop(site: World) -> None:
    job = power.ask(site.of("bob"), PowerOp.STOP, "x", urgent=True)
    jobs.claim(HANDLERS)
    wish_for(site.of("bob").pk, "stop")
    site.shift(61)
    site.work()
    assert (outcome(job)[0], site.calls("StopWorkspaces")) == ("finished", 1)


def test_a_worker_that_died_after_the_call_has_one_effect(site: World) -> None:
    site.trouble("lose", "StopWorkspaces", times=1)
    job = planned_stop(site.of("bob"))
    site.shift(1.1)
    site.work()
    assert outcome(job)[0] == "pending"
    site.go_on(10)
    assert outcome(job)[0] == "finished"
    assert site.calls("StopWorkspaces") <= 2
    site.go_on(60)
    assert (site.of("bob").power, site.of("bob").wish) == ("stopped", "")
    assert len([each for each in site.aws.desk.log() if each["operation"] == "StopWorkspaces"]) <= 2


def test_a_stop_that_aws_has_under_way_is_not_sent_again(site: World) -> None:
    site.trouble("lose", "StopWorkspaces", times=1)
    job = planned_stop(site.of("bob"))
    site.shift(1.1)
    site.work()
    site.shift(10)
    site.work()
    assert (outcome(job)[0], site.calls("StopWorkspaces")) == ("finished", 1)


def test_a_desktop_without_an_id_waits(site: World) -> None:
    intent = make.desktop(site.center, ref=None, sighted_at=None)
    job = power.ask(intent, PowerOp.STOP, "x", urgent=True)
    site.work()
    assert outcome(job) == ("pending", "It has no id at AWS yet.")
    assert job.run_at - now() <= timedelta(seconds=5)
    assert facts.reachable(intent) is None
