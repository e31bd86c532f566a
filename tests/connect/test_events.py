"""What agents tell becomes sessions, and sessions belong to who has the desktop now (RULES 12, 15, 16, 19)."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine

from agents.calls import Request, answer
from agents.drive import drive
from agents.keys import key_hash
from agents.models import Agent, AgentEvent
from authservers.models import User
from broker.connect import actions, events, facts
from broker.connect.models import DesktopSession
from broker.core.clock import now
from broker.core.models import Job, LogEntry
from centers.models import Desktop
from plans.models import PowerControlPlan, ReleasePlan
from tests import make

pytestmark = pytest.mark.django_db
NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
KEY = "c" * 43


@pytest.fixture(autouse=True)
def clock() -> Any:
    make.defaults()
    with time_machine.travel(NOON, tick=False) as stopped:
        yield stopped


@pytest.fixture
def desktop() -> Desktop:
    return make.desktop(make.center())


@pytest.fixture
def alice(desktop: Desktop) -> User:
    plans = {
        "power_plan": PowerControlPlan.objects.create(name="Stop at log-out", logged_out_action="shutdown"),
        "release_plan": ReleasePlan.objects.create(name="Keep", logged_out_release=-1),
    }
    person = make.user("alice", at=desktop.center.server)
    return make.grant(person, policy=make.policy(make.pool(desktop.center), plans=plans))


@pytest.fixture
def agent(desktop: Desktop) -> Agent:
    return Agent.objects.create(
        uuid="00000000-0000-4000-8000-000000000003", key_digest=key_hash(KEY), center=desktop.center, desktop=desktop,
        approved=True, registered_at=now(), last_seen=now(), boot_id="b", boots=["b"],
    )  # fmt: skip


def tell(agent: Agent, kind: str, user: str = "CORP\\alice", session: str = "2", **data: Any) -> AgentEvent:
    told = AgentEvent.objects.create(
        agent=agent, boot_id="b", seq=AgentEvent.objects.count() + 1, type=kind, user=user, os_session=session,
        at=now(), told_at=now(), received_at=now(), data=data,
    )  # fmt: skip
    Agent.objects.filter(pk=agent.pk).update(waiting=True)
    events.drain()
    told.refresh_from_db()
    assert told.error == ""
    return told


def pending() -> list[tuple[str, str]]:
    return list(Job.objects.filter(state="pending").exclude(kind="housekeeping").values_list("kind", "cause"))


def test_a_session_that_outlives_a_release_counts_for_the_next_assignment(
    agent: Agent, desktop: Desktop, alice: User, clock: Any
) -> None:
    first = make.assignment(alice, desktop)
    tell(agent, "login")
    tell(agent, "disconnect")
    actions.release(first.pk, "the plan")
    clock.shift(600)
    second = make.assignment(alice, desktop)
    tell(agent, "reconnect")
    session = DesktopSession.objects.get()
    assert (session.assignment, session.rogue) == (second, False)
    tell(agent, "logout")
    job = Job.objects.get(kind="power", state="pending")
    assert job.payload["assignment"] == second.pk


def test_who_logged_in_before_the_assignment_is_a_rogue_only_until_then(
    agent: Agent, desktop: Desktop, alice: User
) -> None:
    tell(agent, "login")
    assert DesktopSession.objects.get().rogue
    assert LogEntry.objects.filter(event="rogue.detected").count() == 1
    make.assignment(alice, desktop)
    tell(agent, "lock")
    assert not DesktopSession.objects.get().rogue
    tell(agent, "logout")
    assert pending() == [("power", "logged_out")]


def test_a_session_whose_user_has_lost_the_desktop_to_another_moves_none_of_his_plans(
    agent: Agent, desktop: Desktop, alice: User
) -> None:
    first = make.assignment(alice, desktop)
    tell(agent, "login")
    actions.release(first.pk, "by hand")
    bob = make.grant(make.user("bob", at=desktop.center.server), policy=alice.access.policy)
    second = make.assignment(bob, desktop)
    tell(agent, "disconnect")
    assert DesktopSession.objects.get().assignment == first
    assert not Job.objects.filter(state="pending", payload__assignment=second.pk).exists()


def test_a_session_without_a_user_never_counts(agent: Agent, desktop: Desktop, alice: User) -> None:
    make.assignment(alice, desktop)
    tell(agent, "login", user="", session="9")
    assert not DesktopSession.objects.exclude(user=None).exists()
    assert pending() == []


def test_a_local_account_of_the_same_name_is_nobody_we_know(agent: Agent, desktop: Desktop, alice: User) -> None:
    make.assignment(alice, desktop)
    tell(agent, "login", user=f"{desktop.computer_name}\\alice")
    assert (DesktopSession.objects.get().user, DesktopSession.objects.get().rogue) == (None, False)


def test_a_heartbeat_makes_up_for_a_lost_logout(agent: Agent, desktop: Desktop, alice: User) -> None:
    make.assignment(alice, desktop)
    tell(agent, "login")
    told = tell(agent, "heartbeat", user="", session="", sessions=[])
    assert told.outcome == "1 lost events made up for"
    assert DesktopSession.objects.get().ended_at is not None
    assert pending() == [("power", "logged_out")]


def test_a_session_that_a_heartbeat_brings_is_known_by_its_sid_and_not_by_a_local_name(
    agent: Agent, desktop: Desktop, alice: User
) -> None:
    User.objects.filter(pk=alice.pk).update(sid="S-1-5-21-1-2-3-1104")
    make.assignment(alice, desktop)
    lines = [
        {"session": "2", "user": "renamed", "sid": "S-1-5-21-1-2-3-1104"},
        {"session": 0, "sid": "S-1-5-21-1-2-3-1104"},
        {"session": "4", "user": alice.sam, "local": True},
        {"session": "5", "user": alice.sam, "local": False},
    ]
    tell(agent, "heartbeat", user="", session="", sessions=lines)
    found = DesktopSession.objects.order_by("os_session").values_list("os_session", "user", "rogue")
    assert list(found) == [("0", alice.pk, False), ("2", alice.pk, False), ("4", None, False), ("5", alice.pk, False)]


def test_an_idle_rule_counts_from_the_newest_heartbeat(agent: Agent, desktop: Desktop, alice: User) -> None:
    make.assignment(alice, desktop)
    tell(agent, "login")
    tell(agent, "idle", seconds=600)
    desktop = Desktop.objects.select_related("center").get()
    assert facts.of(desktop).idle_since == NOON - timedelta(seconds=600)
    for idle, since in ((597, 600), (20, 20)):
        heartbeat = {"seq": idle, "type": "heartbeat", "data": {"sessions": [{"session": "2", "idle": idle}]}}
        body = json.dumps({"boot_id": "b", "events": [heartbeat]}).encode()
        assert drive(answer(Request("POST", "events", "", f"Bearer {KEY}", body, now()))).status == 202
        assert facts.of(desktop).idle_since == NOON - timedelta(seconds=since)


def test_the_news_of_a_talkative_agent_keep_no_other_waiting(agent: Agent, desktop: Desktop) -> None:
    other = Agent.objects.create(
        uuid="00000000-0000-4000-8000-000000000004", key_digest="d" * 64, center=desktop.center, approved=True,
        desktop=make.desktop(desktop.center), registered_at=now(), last_seen=now(), boot_id="b", boots=["b"],
    )  # fmt: skip
    rows = [
        AgentEvent(agent=each, boot_id="b", seq=number, type="agent_stop", at=now(), received_at=now())
        for each, count in ((agent, 2 * events.AT_ONCE + 1), (other, 1))
        for number in range(count)
    ]
    AgentEvent.objects.bulk_create(rows)
    Agent.objects.update(waiting=True)
    assert events.drain() == 4
    assert not AgentEvent.objects.filter(handled_at=None).exists()
