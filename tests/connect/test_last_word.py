"""Who has the word, and when: sessions left behind, news that come in between, and random histories of real rows."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agents.models import Agent, AgentEvent
from broker.connect import actions, events, watch
from broker.connect.models import DesktopSession, Launch
from broker.core.clock import now
from broker.core.jobs import Failed, Wish, enqueue
from broker.core.models import Job
from centers.models import Desktop
from centers.providers.base import Outcome, PowerOp
from centers.services import wish_for
from pools.models import Assignment
from pools.services import Terms, lend_this
from tests import make
from tests.connect.stage import Stage, staged
from tests.connect.test_histories import invariants, worked

pytestmark = pytest.mark.django_db


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    with staged(monkeypatch) as made:
        yield made


def test_who_was_left_behind_moves_no_plan_of_whoever_has_the_desktop_now(stage: Stage) -> None:
    """Alice's session outlives her assignment; when it ends, Bob's desktop still stops as his plans want it."""
    stage.plan(stage.power, disconnected_action="shutdown", disconnected_wait=600, logged_out_action="shutdown")
    stage.plan(stage.release, released_log_out=False)
    stage.talker.tell("login")
    stage.talker.tell("disconnect")
    actions.release(stage.held.pk, "by hand")
    bob = make.grant(make.user("bob", at=stage.desktop.center.server), policy=stage.alice.access.policy)
    make.assignment(bob, stage.desktop)
    stage.talker.tell("login", user="CORP\\bob", session="3")
    stage.talker.tell("disconnect", user="CORP\\bob", session="3")
    assert stage.pending() == [("power", "disconnected")]
    stage.talker.tell("logout")
    assert stage.pending() == [("power", "disconnected")]
    stage.clock.shift(timedelta(seconds=601))
    stage.talker.beat({"session": "3", "user": "CORP\\bob", "state": "disconnected"})
    stage.work()
    assert {each["data"]["session"] for each in stage.talker.commands() if each["type"] == "logout"} == {"3"}


def stopped_under_a_session(stage: Stage) -> Assignment:
    """A machine that has been off for long, as the watch read it."""
    stage.plan(stage.release, logged_out_release=60)
    stage.talker.tell("login")
    Desktop.objects.update(power="stopped", power_since=now() - timedelta(hours=1))
    return Assignment.objects.select_related("user__server", "desktop__center").get(closed_at=None)


def test_a_machine_that_stays_off_is_released(stage: Stage) -> None:
    assert watch.given_up(stopped_under_a_session(stage))


def test_who_connects_while_the_watch_makes_its_round_keeps_the_desktop(stage: Stage) -> None:
    held = stopped_under_a_session(stage)
    Launch.objects.create(
        assignment=held,
        user=stage.alice,
        desktop=stage.desktop,
        started_at=now(),
        step_at=now(),
        step="starting",
        deadline=now(),
    )
    assert not watch.given_up(held)
    Launch.objects.all().delete()
    wish_for(stage.desktop.pk, PowerOp.START)
    assert not watch.given_up(held)
    assert Assignment.objects.filter(pk=held.pk, closed_at=None).exists()


def test_a_desktop_whose_deletion_was_sent_is_lent_to_nobody_and_again_where_aws_refuses(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody asks for it at the very moment of the call."""
    actions.release(stage.held.pk, "by hand")
    Desktop.objects.update(deletable=True)
    lent: list[Assignment | None] = []

    def refused(refs: list[str]) -> list[Outcome]:
        lent.append(lend_this(stage.alice, stage.desktop, Terms(origin="admin")))
        return [Outcome(ref, ok=False, message="AWS says no.") for ref in refs]

    monkeypatch.setattr(actions, "provider", lambda center: SimpleNamespace(delete=refused))
    job = enqueue(Wish("delete_desktop", f"desktop:{stage.desktop.pk}"))
    assert actions.run_delete(job) == Failed("AWS says no.")
    assert lent == [None]
    assert lend_this(stage.alice, stage.desktop, Terms(origin="admin")) is not None


# A log-out asks for the ports that are open at gateways, too.
MOST = {"login": 22, "lock": 13, "unlock": 12, "idle": 21, "active": 14, "disconnect": 24, "logout": 29}


def test_what_one_event_costs_in_statements(stage: Stage) -> None:
    stage.plan(stage.release, idle_log_out=300, disconnected_log_out=60, logged_out_release=120)
    stage.plan(stage.power, disconnected_action="shutdown", logged_out_action="shutdown", logged_out_wait=60)
    agent = Agent.objects.get()
    cost: dict[str, int] = {}
    for kind in MOST:
        AgentEvent.objects.create(
            agent=agent, boot_id="boot-1", seq=100 + len(cost), type=kind, user="CORP\\alice", os_session="2",
            at=now(), received_at=now(), told_at=now(), data={"seconds": 60},
        )  # fmt: skip
        Agent.objects.update(waiting=True)
        with CaptureQueriesContext(connection) as seen:
            events.drain_next(0)
        done = [each["sql"] for each in seen.captured_queries]
        cost[kind] = len([each for each in done if not each.startswith(("SAVEPOINT", "RELEASE", "BEGIN", "COMMIT"))])
        stage.clock.shift(timedelta(seconds=1))
    assert not AgentEvent.objects.exclude(error="").exists()
    assert {kind: count for kind, count in cost.items() if count > MOST[kind]} == {}


NEWS = st.sampled_from(("login", "logout", "disconnect", "reconnect", "lock", "unlock", "idle", "active"))
STEPS = st.lists(st.tuples(NEWS, st.sampled_from((1, 5, 30, 70, 200)), st.integers(1, 2)), min_size=1, max_size=9)
LIVE = DesktopSession.objects.filter(ended_at=None)


@contextmanager
def undone() -> Iterator[None]:
    """Take back all that the block does."""
    point = transaction.savepoint()
    try:
        yield
    finally:
        connection.needs_rollback = False
        transaction.savepoint_rollback(point)


def goes_on(stage: Stage, minutes: int) -> None:
    """Nothing happens any more; the agent is heard, tells what is there, and does as it is told."""
    for _ in range(minutes * 2):
        stage.clock.shift(timedelta(seconds=30))
        lines: list[dict[str, Any]] = [
            {"session": "2", "user": "CORP\\alice", "state": row.state} for row in LIVE.all()
        ]
        stage.talker.beat(*lines)
        worked(stage)
        if lines and any(each["type"] == "logout" for each in stage.talker.commands()):
            stage.talker.tell("logout")


@pytest.mark.slow
@settings(max_examples=30, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(steps=STEPS)
def test_in_any_history_the_plan_has_the_last_word_and_nothing_is_left_waiting(
    monkeypatch: pytest.MonkeyPatch, steps: list[tuple[str, int, int]]
) -> None:
    with undone(), monkeypatch.context() as patch, staged(patch) as stage:
        stage.plan(stage.power, disconnected_action="shutdown", logged_out_action="shutdown", logged_out_wait=60)
        stage.talker.tell("login")
        for kind, pause, times in steps:
            stage.clock.shift(timedelta(seconds=pause))
            worked(stage)
            if kind in ("login", "reconnect"):
                Desktop.objects.update(power="running", wish="")  # whoever comes back has had it started
            for _ in range(times):
                stage.talker.tell(kind, seconds=30)
            invariants(stage)
        goes_on(stage, 5)
        seated = LIVE.filter(state="active").exists()
        assert Desktop.objects.get(pk=stage.desktop.pk).power == ("running" if seated else "stopping")
        assert not Job.objects.filter(state__in=["pending", "running"], payload__has_key="due").exists()
        assert not AgentEvent.objects.exclude(error="").exists()
