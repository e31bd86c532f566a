"""The way from a click to the file: start, wait for the agent, probe the port, hand the file out (SPEC A.8)."""

import socket
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from agents.models import Agent
from broker.connect import actions, housekeeping, launches
from broker.connect import connect as connecting
from broker.connect.connect import Click, NotOffered
from broker.connect.happenings import Happening
from broker.connect.launching import Who
from broker.connect.models import DesktopSession, Launch
from broker.core.clock import now
from broker.core.models import Job, LogEntry
from centers.models import Desktop
from gateways.models import Gateway
from plans.engine import Event
from plans.models import PORTS, PowerControlPlan
from policies.models import PoolAssignment
from pools.models import Assignment
from tests import make
from tests.aws_simulator import of_user
from tests.connect.world import World, world

pytestmark = pytest.mark.django_db


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    with world(monkeypatch) as made:
        for name in ("bob", "carol", "dave"):
            make.grant(made.person(name), policy=make.policy(make.pool(made.center)))
        made.scan()
        yield made


@pytest.fixture
def listening(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """Something answers at the desktop's RDP port."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.setitem(PORTS, "rdp", server.getsockname()[1])
        yield server.getsockname()[1]


def portal(site: World, name: str) -> Client:
    person = site.person(name)
    return make.signed_in(Client(), person, policy_row=person.access.policy)


def click(site: World, name: str) -> tuple[Client, Launch]:
    """Sign in and press Reconnect."""
    here(site, name)
    browser = portal(site, name)
    answer = browser.post(f"/desktops/{site.of(name).pk}/connect/")
    assert answer.status_code == 303
    return browser, Launch.objects.latest("pk")


def here(site: World, name: str) -> None:
    """The simulated machine is reached at this machine's own address."""
    of_user(site.aws, name).ip_address = "127.0.0.1"
    Desktop.objects.filter(bound_user=name).update(address="127.0.0.1")


def agent_on(desktop: Desktop, seen: Any) -> Agent:
    return Agent.objects.create(
        uuid="00000000-0000-4000-8000-000000000007", key_digest="a" * 64, center=desktop.center, desktop=desktop,
        approved=True, registered_at=now(), last_seen=seen,
    )  # fmt: skip


def stands(launch: Launch) -> tuple[str, str]:
    launch.refresh_from_db()
    return launch.step, launch.message


def test_a_running_desktop_gives_its_file_at_once(site: World, listening: int) -> None:
    browser, launch = click(site, "bob")
    assert stands(launch) == ("done", "")
    file = browser.get(f"/launches/{launch.pk}/file/")
    assert file.headers["Content-Type"] == "application/x-rdp"
    assert b"full address:s:127.0.0.1:%d\r\nusername:s:CORP\\bob\r\n" % listening in file.content
    assert b"password" not in file.content.lower()
    assert site.calls("StartWorkspaces") == 0


def test_a_stopped_desktop_is_started_and_waited_for(site: World, listening: int) -> None:
    browser, launch = click(site, "carol")
    assert stands(launch) == ("starting", "")
    assert "Starting" in browser.get(f"/launches/{launch.pk}/").content.decode()
    assert browser.get(f"/launches/{launch.pk}/file/").status_code == 303
    site.work()
    assert site.calls("StartWorkspaces") == 1
    site.go_on(15)
    assert stands(launch)[0] == "starting"
    site.go_on(30)
    assert stands(launch) == ("done", "")
    assert site.calls("StartWorkspaces") == 1
    assert browser.get(f"/launches/{launch.pk}/file/").status_code == 200
    events = list(LogEntry.objects.order_by("pk").values_list("event", flat=True))
    assert [each for each in events if each.startswith(("conn.", "power."))] == [
        "conn.requested",
        "power.start",
        "conn.started",
    ]


def test_the_address_is_read_again_after_available(site: World, listening: int) -> None:
    browser, launch = click(site, "carol")
    Desktop.objects.filter(bound_user="carol").update(address="10.99.99.99")
    site.go_on(45)
    assert stands(launch) == ("done", "")
    assert b"full address:s:127.0.0.1:%d" % listening in browser.get(f"/launches/{launch.pk}/file/").content


def test_an_agent_that_was_known_is_waited_for(site: World, listening: int) -> None:
    agent = agent_on(site.of("carol"), now() - timedelta(hours=1))
    browser, launch = click(site, "carol")
    site.go_on(40)
    assert stands(launch)[0] == "waiting_for_agent"
    assert "Waiting for agent" in browser.get(f"/launches/{launch.pk}/").content.decode()
    agent.last_seen = now()
    agent.save()
    site.go_on(5)
    assert stands(launch) == ("connecting", "")
    assert browser.get(f"/launches/{launch.pk}/file/").status_code == 200


def test_an_agent_that_stays_away_holds_nobody_up_for_ever(site: World, listening: int) -> None:
    agent_on(site.of("carol"), now() - timedelta(hours=1))
    _, launch = click(site, "carol")
    site.go_on(150, 10)
    assert stands(launch)[0] == "done"


@pytest.fixture
def deaf(monkeypatch: pytest.MonkeyPatch) -> int:
    """Nothing answers at the desktop's RDP port."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = int(server.getsockname()[1])
    monkeypatch.setitem(PORTS, "rdp", port)
    return port


def test_a_refused_port_is_asked_again_until_the_steps_deadline_and_then_a_warning(site: World, deaf: int) -> None:
    browser, launch = click(site, "carol")
    site.go_on(45)
    assert stands(launch)[0] == "opening"
    assert f"127.0.0.1:{deaf} refuses connections" in browser.get(f"/launches/{launch.pk}/").content.decode()
    assert browser.get(f"/launches/{launch.pk}/file/").status_code == 303
    site.go_on(60)
    step, message = stands(launch)
    assert step == "done"
    assert f"127.0.0.1:{deaf} refuses connections" in message
    assert "Connect anyway" in browser.get(f"/launches/{launch.pk}/").content.decode()
    assert browser.get(f"/launches/{launch.pk}/file/").status_code == 200
    assert "refuses connections" in site.of("carol").port_trouble


def test_a_running_desktop_whose_port_is_shut_gives_no_file_at_once(site: World, deaf: int) -> None:
    browser, launch = click(site, "bob")
    assert stands(launch) == ("opening", "")
    assert browser.get(f"/launches/{launch.pk}/file/").status_code == 303
    with socket.create_server(("127.0.0.1", deaf)):
        site.go_on(5)
    assert stands(launch) == ("done", "")
    assert site.of("bob").port_trouble == ""


def test_a_port_that_stays_shut_ends_a_launch_that_goes_through_a_gateway(site: World, deaf: int) -> None:
    plan = make.plan_rows()["protocol_plan"]
    plan.choices.filter(client="web", protocol="rdp").update(gateway=Gateway.objects.create(name="Gate"))
    _, launch = click(site, "bob")
    site.go_on(70)
    step, message = stands(launch)
    assert step == "failed"
    assert "refuses connections" in message
    assert "Try again" in message


def test_the_probe_of_a_click_takes_half_a_second_at_most(site: World, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[float] = []

    def connection(address: tuple[str, int], patience: float) -> socket.socket:
        asked.append(patience)
        raise TimeoutError

    monkeypatch.setattr(socket, "create_connection", connection)
    _, launch = click(site, "bob")
    assert asked == [0.5]
    assert stands(launch)[0] == "opening"


def test_the_probe_tells_open_refused_and_silent_apart(site: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launches, "PROBE_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0), backlog=0) as server:
        port = server.getsockname()[1]
        assert launches.probe("127.0.0.1", port) == ""
        callers = [socket.socket() for _ in range(4)]
        for caller in callers:
            caller.setblocking(False)
            caller.connect_ex(("127.0.0.1", port))
        assert "no answer from 127.0.0.1" in launches.probe("127.0.0.1", port)
        for caller in callers:
            caller.close()
    assert "refuses connections" in launches.probe("127.0.0.1", port)


def test_a_launch_that_comes_nowhere_ends_at_its_deadline_with_the_reason(site: World) -> None:
    site.aws.account.timings.starting = 3 * 3600
    _, launch = click(site, "carol")
    site.go_on(16 * 60, 120)
    step, message = stands(launch)
    assert step == "failed"
    assert "AWS says STARTING." in message
    assert not Job.objects.filter(context=f"launch:{launch.pk}", state="pending").exists()


def test_a_start_that_aws_refuses_for_good_ends_the_launch_with_its_words(site: World) -> None:
    site.trouble("refuse", "StartWorkspaces", code="OperationNotSupportedException", message="not for this machine")
    _, launch = click(site, "carol")
    site.go_on(20, 2)
    step, message = stands(launch)
    assert step == "failed"
    assert "not for this machine" in message
    assert site.calls("StartWorkspaces") == 1


def test_a_desktop_that_falls_into_error_ends_the_launch(site: World) -> None:
    _, launch = click(site, "carol")
    site.work()
    row = of_user(site.aws, "carol")
    row.plan()
    row.state, row.error_code, row.error_message = "ERROR", "X", "The machine is broken."
    site.go_on(70, 10)
    assert stands(launch)[0] == "failed"
    assert "The machine is broken." in stands(launch)[1]


def test_a_cancel_ends_the_waiting_and_keeps_the_desktop(site: World) -> None:
    browser, launch = click(site, "carol")
    browser.post(f"/launches/{launch.pk}/cancel/")
    site.go_on(30)
    assert stands(launch) == ("cancelled", "You cancelled it. The desktop stays yours.")
    assert site.holder(site.of("carol")) == site.person("carol")
    assert browser.get(f"/launches/{launch.pk}/file/").status_code == 303


def test_a_release_during_the_launch_ends_it_and_gives_no_file(site: World) -> None:
    browser, launch = click(site, "carol")
    actions.release(Assignment.objects.get(user=site.person("carol")).pk, "by an administrator")
    site.go_on(60)
    assert stands(launch) == ("cancelled", "The desktop was released: by an administrator")
    assert browser.get(f"/launches/{launch.pk}/file/").status_code == 303


def test_the_file_of_somebody_else_is_404(site: World) -> None:
    _, launch = click(site, "bob")
    stranger = portal(site, "dave")
    assert stranger.get(f"/launches/{launch.pk}/file/").status_code == 404
    assert stranger.get(f"/launches/{launch.pk}/").status_code == 404
    assert stranger.post(f"/launches/{launch.pk}/cancel/").status_code == 404


def test_an_old_file_is_refused(site: World, listening: int) -> None:
    browser, launch = click(site, "bob")
    site.shift(599)
    assert browser.get(f"/launches/{launch.pk}/file/").status_code == 200
    site.shift(2)
    assert browser.get(f"/launches/{launch.pk}/file/").status_code == 303


def test_two_clicks_are_one_launch(site: World) -> None:
    browser, launch = click(site, "carol")
    browser.post(f"/desktops/{site.of('carol').pk}/connect/")
    assert Launch.objects.get() == launch
    site.go_on(30)
    assert site.calls("StartWorkspaces") == 1


def test_the_template_of_the_plan_in_force_makes_the_file(site: World, listening: int) -> None:
    browser, launch = click(site, "bob")
    plan = make.plan_rows()["protocol_plan"]
    template = "alternate shell:s:{USER}@{DOMAIN}\nremoteapplicationname:s:{DISPLAY_NAME}\nfull address:s:{IP}:{PORT}"
    plan.choices.filter(client="web", protocol="rdp").update(template=template)
    text = browser.get(f"/launches/{launch.pk}/file/").content.decode()
    assert "alternate shell:s:bob@CORP\r\n" in text
    assert f"remoteapplicationname:s:{site.of('bob').display_name}" in text


def nobody_came(site: World, name: str) -> list[Job]:
    """What the plans want where nobody logs in after the start."""
    waiting = Job.objects.filter(subject=f"desktop:{site.of(name).pk}", payload__due__because="started")
    return list(waiting.filter(state="pending"))


def stop_where_nobody_comes() -> None:
    PowerControlPlan.objects.update(started_action="shutdown", started_wait=1800)


def test_a_start_that_was_asked_for_begins_the_clock_of_nobody_logs_in(site: World, listening: int) -> None:
    stop_where_nobody_comes()
    agent_on(site.of("carol"), now() - timedelta(hours=1))
    click(site, "carol")
    site.go_on(60)
    planned = nobody_came(site, "carol")
    assert [(job.payload["op"], job.context) for job in planned] == [("stop", "")]
    assert timedelta(minutes=28) < planned[0].run_at - now() <= timedelta(minutes=30)
    site.go_on(60)
    assert [job.pk for job in nobody_came(site, "carol")] == [planned[0].pk]


def test_a_start_says_nothing_of_a_desktop_where_somebody_has_a_session(site: World, listening: int) -> None:
    stop_where_nobody_comes()
    click(site, "carol")
    DesktopSession.objects.create(
        desktop=site.of("carol"), boot_id="b", os_session="2", user_name="CORP\\carol", started_at=now(),
        changed_at=now(),
    )  # fmt: skip
    site.go_on(60)
    assert nobody_came(site, "carol") == []


def test_without_an_agent_nobody_who_was_let_in_is_cut_off(site: World, listening: int) -> None:
    stop_where_nobody_comes()
    _, launch = click(site, "carol")
    site.go_on(60)
    assert stands(launch)[0] == "done"
    job = nobody_came(site, "carol")[0]
    site.go_on(32 * 60, 120)
    job.refresh_from_db()
    assert (job.state, job.reason) == ("cancelled", "Somebody was let in, and no agent could tell of a login.")
    assert site.calls("StopWorkspaces") == 0


def test_cancelling_the_job_of_a_launch_ends_the_launch(site: World, client: Client) -> None:
    _, launch = click(site, "carol")
    job = Job.objects.get(context=f"launch:{launch.pk}")
    make.admin_client(client).post(f"/system/jobs/{job.pk}/cancel/")
    assert stands(launch) == ("cancelled", "An administrator cancelled it.")


@pytest.mark.parametrize("broken", ["the job is gone", "the deadline has passed"])
def test_a_click_begins_anew_what_nobody_walks_any_more(site: World, broken: str) -> None:
    _, launch = click(site, "carol")
    if broken == "the job is gone":
        Job.objects.filter(context=f"launch:{launch.pk}").delete()
    else:
        Launch.objects.update(deadline=now())
    _, second = click(site, "carol")
    assert second != launch
    assert stands(launch)[0] == "failed"
    assert stands(second)[0] == "starting"


def test_housekeeping_ends_a_launch_that_nobody_walked_to_its_deadline(site: World) -> None:
    _, launch = click(site, "carol")
    site.shift(15 * 60 + 30)
    housekeeping.run(Job())
    assert stands(launch)[0] == "starting"
    site.shift(60)
    housekeeping.run(Job())
    assert stands(launch) == ("failed", "The desktop did not become ready in time. Try again.")


def test_two_quick_clicks_start_the_clocks_of_an_assignment_once(site: World, monkeypatch: pytest.MonkeyPatch) -> None:
    person = site.person("dave")
    policy = person.access.policy or make.default_policy()
    told: list[Happening] = []
    free = make.desktop(site.center)
    monkeypatch.setattr(connecting, "happened", told.append)
    line = policy.lines.get()
    who, card = Who(person, policy), Click(free.pk, line.pk, 1)  # he has one already
    site.shift(60)
    PoolAssignment.objects.update(quantity=5)
    first = connecting.connect(who, card)
    assert connecting.connect(who, Click(0, line.pk, 1)) == first
    assert [each.event for each in told] == [Event.ASSIGNED]


def test_a_release_that_had_the_lock_first_leaves_nothing_to_connect_to(
    site: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    person = site.person("bob")
    held = Assignment.objects.select_related("desktop", "user").get(user=person, closed_at=None)
    actions.release(held.pk, "just before")
    monkeypatch.setattr(connecting, "own", lambda *_: held)  # as it was read before the lock was had
    with pytest.raises(NotOffered, match="just been released"):
        connecting.connect(Who(person, person.access.policy or make.default_policy()), Click(held.desktop_id))
    assert not Launch.objects.exists()
