"""What must hold of plans, with real rows, the agent's protocol and calls counted at the simulated AWS (issue 3)."""

import random
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import transaction
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from broker.connect import events, power
from broker.connect.models import DesktopSession
from broker.core.clock import now
from broker.core.models import Job
from centers.models import Desktop
from centers.providers.base import PowerOp
from plans.models import PowerControlPlan, ReleasePlan
from tests import make
from tests.connect.stage import Stage, staged
from tests.connect.talker import Talker
from tests.connect.world import World, world

pytestmark = pytest.mark.django_db


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    with world(monkeypatch) as made:
        made.scan()
        made.aws.desk.forget()
        yield made


def bobs(site: World, **power_plan: Any) -> Talker:
    """Bob at his own WorkSpace under a power plan; his agent."""
    bob, desktop = site.person("bob"), site.of("bob")
    plans = {
        "power_plan": PowerControlPlan.objects.create(name="Power", started_action="none", **power_plan),
        "release_plan": ReleasePlan.objects.create(name="Keep", logged_out_release=-1),
    }
    make.grant(bob, policy=make.policy(make.pool(site.center), plans=plans))
    make.assignment(bob, desktop)
    talker = Talker(site.center, desktop)
    talker.tell("login", user="CORP\\bob")
    return talker


def seconds(site: World, talker: Talker, count: int, state: str) -> None:
    """Time in which the agent is heard, in steps of five seconds; logged out where it is asked to."""
    for _ in range(count // 5):
        site.shift(5)
        live = DesktopSession.objects.filter(ended_at=None).exists()
        talker.beat(*([{"session": "2", "user": "CORP\\bob", "state": state}] if live else []))
        if live and any(each["type"] == "logout" for each in talker.commands()):
            talker.tell("logout", user="CORP\\bob")
        site.work()


def test_a_disconnect_and_a_reconnect_four_seconds_apart_stop_nothing(site: World) -> None:
    talker = bobs(site, disconnected_action="shutdown")
    talker.tell("disconnect", user="CORP\\bob")
    site.shift(4)
    site.work()
    talker.tell("reconnect", user="CORP\\bob")
    seconds(site, talker, 60, "active")
    assert site.calls("StopWorkspaces") == 0
    assert Job.objects.get(kind="power").reason == "Bob is connected"


def test_a_disconnect_without_a_return_stops_it_exactly_once(site: World) -> None:
    talker = bobs(site, disconnected_action="shutdown")
    talker.tell("disconnect", user="CORP\\bob")
    seconds(site, talker, 10, "disconnected")
    assert site.calls("StopWorkspaces") == 0
    seconds(site, talker, 60, "disconnected")
    assert site.calls("StopWorkspaces") == 1
    assert site.of("bob").power in {"stopping", "stopped"}


def test_log_out_with_wait_0_and_a_return_while_it_stops_is_stop_then_start(site: World) -> None:
    talker = bobs(site, logged_out_action="shutdown")
    talker.tell("logout", user="CORP\\bob")
    site.shift(2)
    site.work()
    assert site.of("bob").power == "stopping"
    power.ask(site.of("bob"), PowerOp.START, "Bob connects", urgent=True)
    site.go_on(120)
    asked = [
        each["operation"] for each in site.aws.desk.log() if each["operation"] in {"StopWorkspaces", "StartWorkspaces"}
    ]
    assert asked == ["StopWorkspaces", "StartWorkspaces"]
    assert site.of("bob").power == "running"


KINDS = ("login", "logout", "disconnect", "reconnect", "lock", "unlock", "idle", "active")


def history(seed: int) -> list[tuple[str, int]]:
    """Random news, each with the seconds that pass before it."""
    chance = random.Random(seed)
    return [("login", 0), *((chance.choice(KINDS), chance.choice((1, 5, 30, 200))) for _ in range(9))]


def told_badly(stage: Stage, kind: str, slow: timedelta, chance: random.Random) -> None:
    """By an agent whose clock is wrong, which sends again what it has sent, and now and then something old."""
    talker = stage.talker
    talker.seq += 1
    at = (now() - slow).isoformat()
    event = {"seq": talker.seq, "type": kind, "user": "CORP\\alice", "session": "2", "at": at, "data": {"seconds": 60}}
    body = {"boot_id": talker.boot, "sent_at": at, "events": [event]}
    for _ in range(chance.choice((1, 2, 3))):
        assert talker.post("events", body, Authorization=f"Bearer {talker.key}").status_code == 202
        if chance.random() < 0.5:
            events.drain()
    events.drain()


def played(monkeypatch: pytest.MonkeyPatch, seed: int, slow: timedelta | None = None) -> list[Any]:
    """What came of a history, told well or, by a clock that is `slow`, badly; in a world that is undone afterwards."""
    chance = random.Random(seed)
    point = transaction.savepoint()
    with monkeypatch.context() as patch, staged(patch) as stage:
        stage.plan(stage.release, idle_log_out=300, disconnected_log_out=60, logged_out_release=120, warn_before=60)
        stage.plan(stage.power, disconnected_action="shutdown", logged_out_action="shutdown", logged_out_wait=60)
        for kind, pause in history(seed):
            stage.clock.shift(timedelta(seconds=pause))
            worked(stage)
            if slow is not None:
                told_badly(stage, kind, slow, chance)
            else:
                stage.talker.tell(kind, seconds=60)
            invariants(stage)
        jobs = Job.objects.exclude(kind="housekeeping").order_by("created_at", "kind", "cause")
        found: list[Any] = list(jobs.values_list("kind", "cause", "state", "run_at", "reason"))
        found.append((stage.asked(), len(stage.account.asked), Desktop.objects.get().lent))
    transaction.savepoint_rollback(point)
    return found


def invariants(stage: Stage) -> None:
    """At most one pending job for each action and cause; nothing waits to stop what its user sits at."""
    waiting = Job.objects.filter(state="pending", payload__has_key="due")
    slots = [job.payload["due"]["do"] + job.cause for job in waiting]
    assert len(slots) == len(set(slots))
    active = DesktopSession.objects.filter(state="active", ended_at=None, rogue=False).exists()
    assert not (active and waiting.filter(kind="power", cause__in=["disconnected", "logged_out"]).exists())


def worked(stage: Stage) -> None:
    """What is due is done; nobody is stopped who sits there, theirs or not."""
    before = len(stage.account.asked)
    active = DesktopSession.objects.filter(state="active", ended_at=None).exists()
    stage.work()
    assert not active or len(stage.account.asked) == before


@settings(max_examples=4, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(seed=st.integers(0, 10**6), slow=st.integers(-240, 240))
@example(seed=0, slow=120)
def test_repetition_and_a_clock_that_is_hours_wrong_change_nothing(
    monkeypatch: pytest.MonkeyPatch, seed: int, slow: int
) -> None:
    good = played(monkeypatch, seed)
    assert played(monkeypatch, seed, timedelta(minutes=slow)) == good
