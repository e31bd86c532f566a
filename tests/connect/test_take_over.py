"""Connect on a desktop where one is connected from another device, or where somebody else is (SPEC A.8; RULES 15-17).

The last test is the race of a stop with a Reconnect: AWS hears Stop, then Start, and nobody gets a file in between.
"""

import socket
from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.test import Client

from broker.connect.models import Launch
from broker.core.clock import now
from broker.core.models import Job
from centers.models import Desktop
from plans.models import PORTS, PowerControlPlan, ReleasePlan
from policies.models import PoolAssignment
from tests import make
from tests.aws_simulator import of_user
from tests.connect.talker import Talker
from tests.connect.world import World, world

pytestmark = pytest.mark.django_db
CHROME = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0 Safari/537.36"


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    with world(monkeypatch) as made, socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.setitem(PORTS, "rdp", server.getsockname()[1])
        plan = PowerControlPlan.objects.create(
            name="At once", disconnected_action="shutdown", disconnected_wait=0, logged_out_action="shutdown",
            logged_out_wait=0,
        )  # fmt: skip
        kept = ReleasePlan.objects.create(name="Kept", logged_out_release=-1)
        plans = {"power_plan": plan, "release_plan": kept}
        make.grant(made.person("bob"), policy=make.policy(make.pool(made.center), plans=plans))
        made.scan()
        of_user(made.aws, "bob").ip_address = "127.0.0.1"
        Desktop.objects.filter(bound_user="bob").update(address="127.0.0.1")
        yield made


def device(site: World) -> Client:
    """A browser of bob's, signed in; each is another one."""
    bob = site.person("bob")
    return make.signed_in(Client(), bob, policy_row=bob.access.policy)


def bobs(site: World) -> Desktop:
    return site.of("bob")


def presses(browser: Client, site: World, **fields: str) -> str:
    answer = browser.post(f"/desktops/{bobs(site).pk}/connect/", fields)
    assert answer.status_code == 303
    return str(answer.headers["Location"])


def works(site: World) -> tuple[Client, Talker]:
    """Bob is at work: connected from his first device, by the file that it was given."""
    talker = Talker(site.center, bobs(site))
    first = device(site)
    Launch.objects.all().delete()
    assert presses(first, site).endswith("/file/")
    portal = site.person("bob").portal_sessions.get()
    assert portal.client
    portal.client.user_agent = CHROME
    portal.client.save()
    site.shift(3)
    talker.tell("login", user="CORP\\bob")
    return first, talker


def test_a_launch_ends_when_the_agent_tells_of_the_login(site: World) -> None:
    first, _ = works(site)
    launch = Launch.objects.get()
    assert (launch.step, launch.ended_at is None) == ("done", False)
    assert "You are connected" in first.get(f"/launches/{launch.pk}/").content.decode()
    page = first.get(f"/launches/{launch.pk}/file/", follow=True).content.decode()
    assert "has been used" in page
    assert "take a new file" in page


def test_another_device_is_asked_before_it_takes_over(site: World) -> None:
    works(site)
    second = device(site)
    address = presses(second, site)
    assert address == f"/desktops/{bobs(site).pk}/take-over/"
    page = second.get(address).content.decode()
    assert "You are connected from Chrome on Windows, 127.0.0.1, since" in page
    assert Launch.objects.count() == 1
    assert presses(second, site, take_over="1").endswith("/file/")
    assert Launch.objects.filter(ended_at=None, step="connecting").count() == 1


def test_the_same_device_is_not_asked(site: World) -> None:
    first, _ = works(site)
    assert presses(first, site).endswith("/file/")


def test_who_is_not_connected_elsewhere_is_not_asked(site: World) -> None:
    _, talker = works(site)
    talker.tell("disconnect", user="CORP\\bob")
    second = device(site)
    assert presses(second, site).endswith("/file/")
    assert second.get(f"/desktops/{bobs(site).pk}/take-over/").status_code == 303


def test_a_session_that_no_launch_of_ours_began_is_on_another_device(site: World) -> None:
    Talker(site.center, bobs(site)).tell("login", user="CORP\\bob")
    browser = device(site)
    assert "You are connected from another device, since" in browser.get(presses(browser, site)).content.decode()


@pytest.mark.parametrize("comes_back", [True, False], ids=["taken over", "left"])
def test_a_take_over_stops_nothing_and_a_disconnect_stops_once(site: World, comes_back: bool) -> None:
    _, talker = works(site)
    if comes_back:
        presses(device(site), site, take_over="1")
    talker.tell("disconnect", user="CORP\\bob")
    site.shift(4)
    site.work()
    if comes_back:
        talker.tell("reconnect", user="CORP\\bob")
        assert not Launch.objects.filter(ended_at=None).exists()
    for _ in range(24):
        site.shift(5)
        talker.beat({"session": "2", "user": "CORP\\bob", "state": "active" if comes_back else "disconnected"})
        site.work()
        for asked in talker.commands():
            talker.answer(asked["id"])
    assert site.calls("StopWorkspaces") == (0 if comes_back else 1)


def test_somebody_elses_session_is_said_in_words_and_begins_no_launch(site: World) -> None:
    Talker(site.center, bobs(site)).tell("login", user="CORP\\mallory")
    browser = device(site)
    assert presses(browser, site) == "/desktops/"
    assert "Somebody else is logged in to this desktop just now." in browser.get("/desktops/").content.decode()
    assert not Launch.objects.exists()


def test_a_power_state_that_has_to_be_confirmed_is_asked_of_aws_before_anything(site: World) -> None:
    PoolAssignment.objects.update(confirm_power=True)
    of_user(site.aws, "bob").state = "STOPPED"
    browser = device(site)
    address = presses(browser, site)
    assert address.startswith("/launches/")
    assert not address.endswith("/file/")
    assert not Job.objects.filter(kind="power").exists()
    site.go_on(45)
    assert site.calls("StartWorkspaces") == 1
    assert Launch.objects.get().step in {"done", "connecting"}


def test_a_stopped_desktop_that_the_policy_does_not_start_is_said_after_asking_aws(site: World) -> None:
    PoolAssignment.objects.update(confirm_power=True, start_if_stopped=False)
    of_user(site.aws, "bob").state = "STOPPED"
    browser = device(site)
    address = presses(browser, site)
    site.go_on(5)
    assert "your policy does not start it" in browser.get(address).content.decode()
    assert site.calls("StartWorkspaces") == 0


def test_a_reconnect_while_it_stops_starts_it_again_and_gives_no_file_before_it_runs(site: World) -> None:
    _, talker = works(site)
    talker.tell("logout", user="CORP\\bob")
    site.shift(2)
    site.work()
    assert site.calls("StopWorkspaces") == 1
    assert bobs(site).power == Desktop.Power.STOPPING
    browser = device(site)
    address = presses(browser, site)
    assert address.startswith("/launches/")
    early: set[str] = set()
    for _ in range(60):
        site.shift(2)
        site.work()
        if browser.get(f"{address}file/").status_code == 200:
            break
        early.add(of_user(site.aws, "bob").state)
        if of_user(site.aws, "bob").state == "AVAILABLE" and bobs(site).power == Desktop.Power.RUNNING:
            talker.boot = "boot-2"
            talker.tell("agent_start", user="", session="")
    assert browser.get(f"{address}file/").status_code == 200
    assert of_user(site.aws, "bob").state == "AVAILABLE"
    assert {"STOPPING", "STARTING"} <= early
    order = [each["operation"] for each in site.aws.desk.log() if each["operation"].startswith(("Start", "Stop"))]
    assert order == ["StopWorkspaces", "StartWorkspaces"]
    assert now() - Launch.objects.latest("pk").started_at < timedelta(minutes=5)
