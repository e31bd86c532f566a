"""The main job as one test: offered, connected, used, left; the plans act and the assignment stays."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.test import Client

from agents.models import Agent
from broker.connect import power, strangers
from broker.connect.models import DesktopSession, Launch
from broker.core import jobs
from broker.core.clock import now
from broker.core.models import Job
from broker.handlers import HANDLERS
from centers.models import Center, Desktop
from plans.models import PowerControlPlan, ReleasePlan
from pools.models import Assignment
from tests import make
from tests.connect.talker import Account, Talker

pytestmark = pytest.mark.django_db
NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> Account:
    found = Account()
    monkeypatch.setattr(power, "provider", lambda center: found)
    return found


@pytest.fixture
def center() -> Center:
    make.defaults()
    return make.center()


@pytest.fixture
def desktop(center: Center) -> Desktop:
    return make.desktop(center)


@pytest.fixture
def alice(center: Center) -> Any:
    return make.user("alice", at=center.server)


@pytest.fixture
def portal(client: Client, center: Center, alice: Any) -> Client:
    plans = {
        "power_plan": PowerControlPlan.objects.create(name="Shutdown on logout", logged_out_action="shutdown"),
        "release_plan": ReleasePlan.objects.create(name="Persistent WorkSpaces Assignment", logged_out_release=-1),
    }
    policy = make.policy(make.pool(center), plans=plans)
    make.grant(alice, policy=policy)
    return make.signed_in(client, alice, policy_row=policy)


def pending() -> list[tuple[str, str, timedelta]]:
    return [
        (job.kind, job.cause, job.run_at - now())
        for job in Job.objects.filter(state="pending").exclude(kind="housekeeping").order_by("run_at")
    ]


def test_offered_connected_used_left_stopped_and_still_hers(
    portal: Client, desktop: Desktop, alice: Any, account: Account
) -> None:
    with time_machine.travel(NOON, tick=False) as clock:
        talker = Talker(desktop.center, desktop)
        assert "Connect" in portal.get("/desktops/").content.decode()

        answer = portal.post(
            f"/desktops/{desktop.pk}/connect/", {"line": alice.access.policy.lines.get().pk, "held": 0}
        )
        file = portal.get(answer.headers["Location"])
        assert file.headers["Content-Type"] == "application/x-rdp"
        assert f"full address:s:{desktop.address}:3389\r\nusername:s:CORP\\alice\r\n" in file.content.decode()

        talker.tell("login")
        session = DesktopSession.objects.get()
        assert (session.user, session.rogue, session.state) == (alice, False, "active")

        clock.shift(timedelta(hours=1))
        talker.tell("logout")
        assert pending() == [("power", "logged_out", timedelta())]

        clock.shift(timedelta(seconds=2))
        jobs.work(HANDLERS)
        assert account.asked == [("stop", desktop.ref)]
        assert Assignment.objects.get(closed_at=None).user == alice
        assert "Reconnect" in portal.get("/desktops/").content.decode()


def test_the_default_plans_release_at_log_out(client: Client, desktop: Desktop, alice: Any, account: Account) -> None:
    policy = make.policy(make.pool(desktop.center))
    make.grant(alice, policy=policy)
    make.assignment(alice, desktop)
    talker = Talker(desktop.center, desktop)
    talker.tell("login")
    talker.tell("logout")
    jobs.work(HANDLERS)
    assert not Assignment.objects.filter(closed_at=None).exists()
    assert not Desktop.objects.get().lent
    assert account.asked == []


def test_coming_back_cancels_what_leaving_had_planned(
    portal: Client, desktop: Desktop, alice: Any, account: Account
) -> None:
    PowerControlPlan.objects.filter(name="Shutdown on logout").update(
        disconnected_action="shutdown", disconnected_wait=600
    )
    with time_machine.travel(NOON, tick=False) as clock:
        talker = Talker(desktop.center, desktop)
        make.assignment(alice, desktop)
        talker.tell("login")
        talker.tell("disconnect")
        assert pending() == [("power", "disconnected", timedelta(minutes=10))]
        clock.shift(timedelta(minutes=5))
        talker.tell("reconnect")
        assert pending() == []
        assert Job.objects.get(state="cancelled").reason == "Alice is connected"


def test_reconnect_while_stopping_starts_after_the_stop(
    portal: Client, desktop: Desktop, alice: Any, account: Account
) -> None:
    make.assignment(alice, desktop)
    Desktop.objects.update(
        power="stopping", raw_state="STOPPING", wish="stop", wish_at=now(), wish_until=now() + timedelta(minutes=5)
    )
    answer = portal.post(f"/desktops/{desktop.pk}/connect/")
    launch = Launch.objects.get()
    assert answer.headers["Location"] == f"/launches/{launch.pk}/"
    assert "Starting" in portal.get(answer.headers["Location"]).content.decode()
    assert portal.get(f"/launches/{launch.pk}/file/").status_code == 303
    assert pending()[0][0] == "power"


def test_a_new_boot_ends_the_sessions_of_the_old_one(desktop: Desktop, alice: Any, account: Account) -> None:
    make.assignment(alice, desktop)
    talker = Talker(desktop.center, desktop)
    talker.tell("login")
    talker.boot = "boot-2"
    talker.tell("agent_start", user="", session="")
    assert DesktopSession.objects.get().end_reason == "the machine was restarted"
    talker.boot, talker.seq = "boot-1", 50
    talker.tell("logout")
    assert Agent.objects.get().events.order_by("-pk")[0].outcome == "ignored: it is about an older boot"


def test_a_stranger_on_a_desktop_moves_no_plan(portal: Client, desktop: Desktop, alice: Any, account: Account) -> None:
    make.assignment(alice, desktop)
    talker = Talker(desktop.center, desktop)
    talker.tell("login", user="CORP\\mallory")
    talker.tell("logout", user="CORP\\mallory")
    assert DesktopSession.objects.get().rogue
    assert pending() == []


def test_a_stopped_desktop_is_refused_in_words_where_the_policy_starts_nothing(
    portal: Client, desktop: Desktop, alice: Any
) -> None:
    make.assignment(alice, desktop)
    Desktop.objects.update(power="stopped", raw_state="STOPPED")
    alice.access.policy.lines.update(start_if_stopped=False)
    page = portal.get("/desktops/")
    assert "your policy does not start it" in page.content.decode()
    assert ">Reconnect</button>" not in page.content.decode()
    portal.post(f"/desktops/{desktop.pk}/connect/")
    assert not Launch.objects.exists()
    Desktop.objects.update(power="running")
    poll = portal.get("/desktops/").context["poll"]
    Desktop.objects.update(power="stopped")
    assert "your policy does not start it" in portal.get("/desktops/states/", {"cards": poll}).content.decode()


def test_connect_first_logs_out_a_stranger_where_the_policy_says_so(
    portal: Client, desktop: Desktop, alice: Any
) -> None:
    make.assignment(alice, desktop)
    alice.access.policy.lines.update(log_out_rogue=True)
    talker = Talker(desktop.center, desktop)
    talker.tell("login", user="CORP\\mallory")
    portal.post(f"/desktops/{desktop.pk}/connect/")
    launch = Launch.objects.select_related("user", "desktop", "portal_session__policy").get()
    assert launch.step == Launch.Step.STARTING
    assert strangers.asked_to_leave(launch, desktop)
    assert strangers.asked_to_leave(launch, desktop)
    assert [each.type for each in Agent.objects.get().commands.all()] == ["logout"]
    talker.tell("logout", user="CORP\\mallory")
    assert not strangers.asked_to_leave(launch, desktop)


def test_a_user_may_do_what_role_and_policy_both_allow(
    portal: Client, desktop: Desktop, alice: Any, account: Account
) -> None:
    make.assignment(alice, desktop)
    assert ">Shut down</button>" not in portal.get("/desktops/").content.decode()
    portal.post(f"/desktops/{desktop.pk}/stop/")
    assert not Job.objects.filter(kind="power").exists()
    alice.access.policy.lines.update(allow_stop=1)
    assert ">Shut down</button>" in portal.get("/desktops/").content.decode()
    portal.post(f"/desktops/{desktop.pk}/stop/")
    jobs.work(HANDLERS)
    assert account.asked == [("stop", desktop.ref)]


@pytest.mark.parametrize(("allowed", "op"), [(1, "reboot"), (2, "stop")])
def test_a_restart_is_a_reboot_or_power_off_and_start_as_the_policy_says(
    portal: Client, desktop: Desktop, alice: Any, allowed: int, op: str
) -> None:
    make.assignment(alice, desktop)
    alice.access.policy.lines.update(allow_restart=allowed)
    portal.post(f"/desktops/{desktop.pk}/restart/")
    payload = Job.objects.get(kind="power").payload
    assert (payload["op"], payload.get("then")) == (op, "start" if op == "stop" else None)


def test_a_user_releases_the_desktop_unless_the_policy_forbids_it(portal: Client, desktop: Desktop, alice: Any) -> None:
    make.assignment(alice, desktop)
    alice.access.policy.lines.update(prevent_release=True)
    portal.post(f"/desktops/{desktop.pk}/release/")
    assert Assignment.objects.filter(closed_at=None).exists()
    alice.access.policy.lines.update(prevent_release=False)
    assert "Release this desktop?" in portal.post(f"/desktops/{desktop.pk}/release/").content.decode()
    assert Assignment.objects.filter(closed_at=None).exists(), "it asks first"
    portal.post(f"/desktops/{desktop.pk}/release/", {"confirmed": "yes"})
    assert Assignment.objects.get().close_reason == "Alice released it"


@pytest.mark.parametrize("deletable", [True, False])
def test_a_release_says_before_whether_the_machine_will_be_deleted(
    portal: Client, desktop: Desktop, alice: Any, deletable: bool
) -> None:
    make.assignment(alice, desktop)
    Desktop.objects.update(deletable=deletable)
    plan = ReleasePlan.objects.create(name="Throw away", released_delete=True)
    alice.access.policy.lines.update(release_plan=plan)
    page = portal.post(f"/desktops/{desktop.pk}/release/").content.decode()
    assert "You are logged out when it goes back." in page
    assert ("It is deleted, with everything on it" in page) is deletable


def test_the_card_of_a_desktop_that_aws_does_not_list_has_no_connect(
    portal: Client, desktop: Desktop, alice: Any
) -> None:
    make.assignment(alice, desktop)
    Desktop.objects.update(availability="missing")
    page = portal.get("/desktops/").content.decode()
    assert "AWS does not list this desktop just now." in page
    assert ">Reconnect</button>" not in page
    portal.post(f"/desktops/{desktop.pk}/connect/")
    assert not Launch.objects.exists()


def test_nobody_acts_on_a_desktop_of_somebody_else(portal: Client, desktop: Desktop) -> None:
    other = make.user("bob", at=desktop.center.server)
    make.assignment(other, desktop)
    for action in ("connect", "release", "stop", "start"):
        assert portal.post(f"/desktops/{desktop.pk}/{action}/").status_code == 303
    assert Assignment.objects.get(closed_at=None).user == other
    assert not Launch.objects.exists()
