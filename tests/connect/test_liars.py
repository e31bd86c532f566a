"""Agents that lie, err or fall silent change nothing that they should not: over HTTP, then the drain (RULES 15-20)."""

from datetime import datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.test import Client

from agents.models import Agent, AgentEvent
from agents.services import watch
from authservers.models import User
from broker.connect import events
from broker.connect.models import DesktopSession
from broker.core.clock import now
from broker.core.models import Job
from centers.models import Desktop
from plans.models import PowerControlPlan, ReleasePlan
from pools.models import Assignment
from tests import make
from tests.agents.conftest import NOON
from tests.agents.machine import Machine, token_for

pytestmark = pytest.mark.django_db


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
        "power_plan": PowerControlPlan.objects.create(
            name="Stop", logged_out_action="shutdown", logged_out_wait=600, disconnected_action="shutdown"
        ),
        "release_plan": ReleasePlan.objects.create(name="Keep", logged_out_release=-1),
    }
    person = make.user("alice", at=desktop.center.server)
    make.grant(person, policy=make.policy(make.pool(desktop.center), plans=plans))
    make.assignment(person, desktop)
    return person


@pytest.fixture
def machine(desktop: Desktop, alice: User, clock: Any) -> Machine:
    """Alice's desktop, booted an hour ago, and she is on it."""
    made = Machine(token_for(desktop.center), desktop)
    assert made.register(booted_at=(now() - timedelta(hours=1)).isoformat()).status_code == 201
    made.tell("login")
    clock.shift(60)
    return made


def session(machine: Machine) -> DesktopSession:
    return DesktopSession.objects.filter(desktop=machine.desktop, user__isnull=False).order_by("pk").first()  # type: ignore[return-value]


def state(machine: Machine) -> tuple[Any, ...]:
    """Everything that an agent's word may move."""
    live = DesktopSession.objects.filter(desktop=machine.desktop, ended_at=None)
    jobs = Job.objects.filter(state="pending", subject=f"desktop:{machine.desktop.pk}")
    return (
        list(live.order_by("pk").values_list("os_session", "user", "state", "locked", "idle_since", "started_at")),
        list(jobs.order_by("pk").values_list("kind", "run_at")),
        list(Assignment.objects.filter(closed_at=None).values_list("user", "desktop")),
    )


def outcome(machine: Machine) -> str:
    return AgentEvent.objects.filter(agent=machine.row).latest("pk").outcome


def at(moment: datetime) -> str:
    return moment.isoformat()


def test_an_agent_that_lies_about_a_sessions_user_moves_nothing(machine: Machine) -> None:
    make.user("bob", at=machine.desktop.center.server)
    before = state(machine)
    for kind in ("logout", "disconnect", "lock"):
        machine.tell(kind, user="CORP\\bob")
        assert outcome(machine).startswith("ignored")
    assert state(machine) == before


def test_a_user_who_has_no_assignment_moves_no_plan_of_the_one_who_has(machine: Machine, alice: User) -> None:
    before = state(machine)
    machine.tell("login", user="CORP\\bob", session="7")
    machine.tell("logout", user="CORP\\bob", session="7")
    assert state(machine) == before


def test_a_year_old_event_is_of_this_boot_at_the_earliest_and_ends_no_later_session(machine: Machine) -> None:
    machine.tell("lock", at=at(now() - timedelta(days=365)))
    assert AgentEvent.objects.get(type="lock").at >= machine.row.booted_at  # type: ignore[operator]
    before = state(machine)
    machine.tell("logout", session="9", at=at(now() - timedelta(days=365)))
    assert state(machine) == before


def test_an_event_of_the_future_happened_now_at_the_latest(machine: Machine) -> None:
    machine.tell("disconnect", at=at(now() + timedelta(days=365)))
    row = session(machine)
    assert (row.state, row.changed_at) == ("disconnected", now())
    assert all(run_at < now() + timedelta(hours=1) for _kind, run_at in state(machine)[1])


def test_repeats_of_a_whole_story_change_nothing(machine: Machine) -> None:
    story = [machine.event("disconnect"), machine.event("reconnect"), machine.event("lock")]
    machine.send(*story)
    events.drain()
    before = state(machine)
    for _ in range(3):
        said = machine.send(*story).json()
        assert (said["accepted"], len(said["duplicate"])) == ([], 3)
        events.drain()
    assert state(machine) == before


def test_a_logout_that_comes_before_its_login_ends_nothing_else(machine: Machine, clock: Any) -> None:
    before = state(machine)
    machine.tell("logout", session="5", at=at(now() - timedelta(seconds=20)))
    assert state(machine) == before
    machine.tell("unlock", session="2", at=at(now() - timedelta(seconds=50)))
    assert state(machine) == before


def test_a_reboot_amid_a_session_ends_it_once_and_news_of_the_old_boot_say_nothing(
    machine: Machine, clock: Any
) -> None:
    machine.boot = "boot-2"
    assert machine.register(booted_at=at(now())).status_code == 201
    events.drain()
    assert session(machine).end_reason == "the machine was restarted"
    machine.tell("login")
    clock.shift(5)
    before = state(machine)
    assert len(before[0]) == 1
    for kind in ("logout", "disconnect", "idle"):
        more = {"data": {"seconds": 900}} if kind == "idle" else {}
        assert machine.send(machine.event(kind, **more), boot="boot-1").status_code == 202
        events.drain()
    assert state(machine) == before


def test_an_agent_that_falls_silent_is_neither_idle_nor_logged_out(machine: Machine, clock: Any) -> None:
    before = state(machine)
    clock.shift(3600)
    assert watch() == 1
    events.drain()
    assert state(machine) == before
    assert machine.row.silent


@pytest.mark.parametrize("hours", [2, -2], ids=["slow", "fast"])
def test_a_guest_clock_two_hours_wrong_moves_no_timer(machine: Machine, hours: int) -> None:
    machine.slow = timedelta(hours=hours)
    machine.tell("disconnect", at=at(machine.clock() - timedelta(seconds=2)))
    happened = session(machine).changed_at
    assert abs(happened - (now() - timedelta(seconds=2))) <= timedelta(seconds=5)
    for _kind, run_at in state(machine)[1]:
        assert now() - timedelta(seconds=7) <= run_at <= now() + timedelta(seconds=20)


def test_yesterdays_events_from_the_spool_end_no_session_of_today(machine: Machine, clock: Any) -> None:
    """The same boot, the same session number, told a day late: only today's word counts."""
    before = state(machine)
    late = now() - timedelta(days=1)
    for kind in ("logout", "disconnect", "lock"):
        machine.tell(kind, at=at(late))
    after = state(machine)
    assert [row[:3] for row in after[0]] == [row[:3] for row in before[0]]
    assert after[1] == before[1]


HOSTILE = "<script>alert(1)</script>\u202egnp\x07\x1b[31m" + "x" * 9000


def test_hostile_text_is_escaped_on_every_page_that_shows_it(client: Client, machine: Machine) -> None:
    admin = make.admin_client(client)
    short = HOSTILE[:80]
    fields = {"os": short, "version": short[:40], "fingerprint": "f", "workspace_id": "", "addresses": ["10.9.9.9"]}
    stranger = Machine(machine.token, machine.desktop, fingerprint="evil")
    assert stranger.register(**{**fields, "hostname": HOSTILE[:200]}).status_code == 201
    machine.register(os=short, version=short[:40])
    machine.tell("login", user=HOSTILE[:250], session=short)
    machine.send(machine.event("lock", user=HOSTILE[:250], session=short, data={"text": HOSTILE[:9999]}))
    events.drain()
    Agent.objects.filter(pk=machine.row.pk).update(check_detail=HOSTILE[:150])
    pk = machine.desktop.pk
    pages = ["/dashboard/", "/resources/desktops/", f"/resources/desktops/{pk}/", "/resources/desktops/waiting/"]
    shown = 0
    for path in [*pages, "/system/log/", "/system/jobs/", "/resources/desktops/?format=csv"]:
        answer = admin.get(path)
        assert answer.status_code == 200, path
        text = b"".join(answer.streaming_content) if answer.streaming else answer.content  # type: ignore[attr-defined]
        assert path.endswith("csv") or b"<script>alert" not in text, path
        shown += b"&lt;script&gt;alert" in text
    assert shown >= 3
