"""*Adjust time zone* (SPEC 3.5.2): from what a browser says to the command that the agent's poll fetches."""

import socket
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from django.test import Client

from agents import zones
from agents.models import Agent, AgentCommand
from agents.protocol import COMMANDS
from authservers.models import User
from broker.connect.models import Launch, PortalSession
from broker.core.clock import now
from broker.core.models import LogEntry
from centers.models import Desktop
from plans.models import PORTS
from policies.models import Policy, PoolAssignment
from tests import make
from tests.connect.talker import Talker
from tests.connect.world import World, world

pytestmark = pytest.mark.django_db
BERLIN = {"iana": "Europe/Berlin", "windows": "W. Europe Standard Time"}


@pytest.fixture
def desktop(monkeypatch: pytest.MonkeyPatch) -> Iterator[Desktop]:
    """A running one whose port answers."""
    make.defaults()
    with socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.setitem(PORTS, "rdp", server.getsockname()[1])
        yield make.desktop(make.center(), address="127.0.0.1", display_name="Design 7")


@pytest.fixture
def alice(desktop: Desktop) -> User:
    """Her policy offers it, and adjusts the time zone."""
    policy = make.policy(make.pool(desktop.center), adjust_zone=True)
    return make.grant(make.user("alice"), policy=policy)


@pytest.fixture
def agent(desktop: Desktop) -> Talker:
    return Talker(desktop.center, desktop, sorted(COMMANDS))


def browser_of(person: User) -> Client:
    return make.signed_in(Client(), person, policy_row=person.access.policy)


def presses(browser: Client, person: User, desktop: Desktop, zone: str | None = "Europe/Berlin") -> str:
    """Connect, or Reconnect where it is hers; where it leads to."""
    line = PoolAssignment.objects.filter(policy=person.access.policy).first()
    said: dict[str, Any] = {"line": line.pk} if line else {}
    said |= {"time_zone": zone} if zone is not None else {}
    answer = browser.post(f"/desktops/{desktop.pk}/connect/", said)
    assert answer.status_code == 303
    return str(answer.headers["Location"])


def zones_asked(agent: Talker) -> list[dict[str, Any]]:
    """What its poll brings of our kind."""
    return [each["data"] for each in agent.commands() if each["type"] == "timezone"]


def kept() -> list[str]:
    return list(LogEntry.objects.filter(event="conn.zone_kept").values_list("message", flat=True))


# --- the option ---


def test_who_goes_on_from_another_device_brings_that_ones_zone(desktop: Desktop, alice: User, agent: Talker) -> None:
    make.assignment(alice, desktop)
    Desktop.objects.update(power="stopped", raw_state="STOPPED")
    first = presses(browser_of(alice), alice, desktop)
    assert presses(browser_of(alice), alice, desktop, "Asia/Tokyo") == first
    assert Launch.objects.get(ended_at=None).time_zone == "Asia/Tokyo"


def test_connect_sends_the_devices_zone_to_the_desktops_agent(desktop: Desktop, alice: User, agent: Talker) -> None:
    assert presses(browser_of(alice), alice, desktop).endswith(("/file/", "/viewer/"))
    assert zones_asked(agent) == [BERLIN]
    assert kept() == []


def test_what_the_agent_answers_stands_in_the_desktops_timeline(
    desktop: Desktop, alice: User, agent: Talker, client: Client
) -> None:
    presses(browser_of(alice), alice, desktop)
    agent.answer(AgentCommand.objects.get(type="timezone").pk, "Europe/Berlin")
    page = make.admin_client(client).get(f"/resources/desktops/{desktop.pk}/timeline/").content.decode()
    assert "Asked to set the time zone" in page
    assert f"{alice} connects from a device in Europe/Berlin: done (Europe/Berlin)" in page


def test_without_the_option_nothing_is_sent(desktop: Desktop, alice: User, agent: Talker) -> None:
    PoolAssignment.objects.update(adjust_zone=False)
    presses(browser_of(alice), alice, desktop)
    assert Launch.objects.get().step == "connecting"
    assert zones_asked(agent) == []
    assert kept() == []


def test_a_hard_assigned_desktop_follows_the_hard_section(desktop: Desktop, alice: User, agent: Talker) -> None:
    make.assignment(alice, desktop, kind="hard")
    browser = browser_of(alice)
    presses(browser, alice, desktop)
    assert zones_asked(agent) == []  # the line's option is not its
    Launch.objects.update(step="done", ended_at=now())
    Policy.objects.update(hard_adjust_zone=True)
    presses(browser, alice, desktop)
    assert zones_asked(agent) == [BERLIN]


# --- once, and again ---


def test_one_launch_asks_once_however_often_connect_is_pressed(desktop: Desktop, alice: User, agent: Talker) -> None:
    browser = browser_of(alice)
    for _ in range(3):
        presses(browser, alice, desktop)
    assert Launch.objects.count() == 1
    assert len(zones_asked(agent)) == 1


def test_reconnect_from_elsewhere_sets_the_zone_anew(desktop: Desktop, alice: User, agent: Talker) -> None:
    browser = browser_of(alice)
    presses(browser, alice, desktop)
    Launch.objects.update(step="done", ended_at=now())
    presses(browser, alice, desktop, "Asia/Calcutta")
    assert zones_asked(agent) == [
        BERLIN, {"iana": "Asia/Calcutta", "windows": "India Standard Time", "also": ["Asia/Kolkata"]}
    ]  # fmt: skip


def test_a_browser_that_says_no_zone_this_time_has_said_it_before(
    desktop: Desktop, alice: User, agent: Talker, client: Client
) -> None:
    client.post("/", {"login": "alice", "password": make.PASSWORD, "time_zone": "Europe/Berlin"})
    assert PortalSession.objects.get().time_zone == "Europe/Berlin"
    presses(client, alice, desktop, None)
    assert zones_asked(agent) == [BERLIN]


def test_a_session_that_is_launched_at_sign_in_sets_the_zone_of_the_sign_in(
    desktop: Desktop, alice: User, agent: Talker, client: Client
) -> None:
    Policy.objects.update(auto_launch=True)
    client.post("/", {"login": "alice", "password": make.PASSWORD, "time_zone": "Europe/Berlin"})
    assert client.get("/desktops/").status_code == 303
    assert zones_asked(agent) == [BERLIN]


# --- what keeps it from being sent ---


HOSTILE = ["", "Europe/Nowhere", "../../etc/passwd", "/etc/localtime", "localtime", "posix/Europe/Berlin", "x" * 70_000,
           "Europe/Berlin\n", "europe/berlin", "Europe/Berlin; reboot", "\x00", "<script>"]  # fmt: skip


@pytest.mark.parametrize("said", HOSTILE, ids=range(len(HOSTILE)))
def test_what_is_no_time_zone_is_ignored(said: str, desktop: Desktop, alice: User, agent: Talker) -> None:
    assert presses(browser_of(alice), alice, desktop, said).endswith(("/file/", "/viewer/"))
    assert zones_asked(agent) == []
    assert PortalSession.objects.get().time_zone == ""


def test_nonsense_at_the_sign_in_signs_in_all_the_same(alice: User, client: Client) -> None:
    answer = client.post("/", {"login": "alice", "password": make.PASSWORD, "time_zone": "<script>"})
    assert answer.status_code == 302
    assert PortalSession.objects.get().time_zone == ""


def test_an_old_agent_is_not_asked_and_the_log_says_so(desktop: Desktop, alice: User) -> None:
    old = Talker(desktop.center, desktop)
    assert presses(browser_of(alice), alice, desktop).endswith(("/file/", "/viewer/"))
    assert zones_asked(old) == []
    assert kept() == [
        "The time zone of Design 7 stays as it is, not Europe/Berlin: its Usher Agent is too old for that."
    ]


def test_without_an_agent_the_launch_goes_on_and_the_log_says_so(desktop: Desktop, alice: User) -> None:
    assert presses(browser_of(alice), alice, desktop).endswith(("/file/", "/viewer/"))
    assert Launch.objects.get().step == "done"
    assert "no Usher Agent is heard there" in kept()[0]


# --- a desktop that is to be started first ---


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    with world(monkeypatch) as made:
        policy = make.policy(make.pool(made.center), adjust_zone=True, offer_stopped="any")
        make.grant(made.person("carol"), policy=policy)
        made.scan()
        for row in made.aws.account.workspaces.values():
            row.ip_address = "127.0.0.1"
        yield made


def heard(site: World, seconds: int) -> None:
    """Time passes, the agents heard all the while."""
    for _ in range(seconds // 2):
        Agent.objects.update(last_seen=now())
        site.go_on(2, 2)


def test_a_stopped_desktop_is_asked_once_it_runs_and_once_only(site: World, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = int(server.getsockname()[1])
    monkeypatch.setitem(PORTS, "rdp", port)
    carol, desktop = site.person("carol"), site.of("carol")
    Agent.objects.create(
        uuid="00000000-0000-4000-8000-000000000007", key_digest="a" * 64, center=desktop.center, desktop=desktop,
        approved=True, registered_at=now(), abilities=sorted(COMMANDS),
    )  # fmt: skip
    presses(browser_of(carol), carol, desktop)
    site.go_on(20)
    assert not AgentCommand.objects.exists()
    heard(site, 30)
    assert Launch.objects.get().step == "opening"  # its port does not answer yet
    with socket.create_server(("127.0.0.1", port)):
        heard(site, 6)
    assert Launch.objects.get().step == "connecting"
    assert [(each.type, each.data) for each in AgentCommand.objects.all()] == [("timezone", BERLIN)]


def test_a_launch_that_goes_on_at_another_desktop_asks_there(site: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A shared desktop that will not let its user in is exchanged (RULES 29), and stays in its zone."""
    zoe, first = make.grant(site.person("zoe"), policy=site.person("carol").access.policy), site.of("shared-win11-01")
    Desktop.objects.exclude(pk=first.pk).update(availability="unavailable")
    there = site.aws.account.workspaces
    there[f"{first.ref}0"] = replace(there[first.ref or ""], id=f"{first.ref}0", workspace_name="shared-2")
    site.scan()
    second = site.of("shared-2")
    for desktop in (first, second):
        Agent.objects.create(
            uuid=f"00000000-0000-4000-8000-{desktop.pk:012d}", key_digest=f"{desktop.pk:064d}", desktop=desktop,
            center=desktop.center, approved=True, registered_at=now(), last_seen=now(), abilities=sorted(COMMANDS),
        )  # fmt: skip
    with socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.setitem(PORTS, "rdp", server.getsockname()[1])
        presses(browser_of(zoe), zoe, first)
        for desktop in (first, second):
            heard(site, 6)
            AgentCommand.objects.filter(agent__desktop=desktop).update(done_at=now(), ok=desktop == second)
            heard(site, 6)
    assert Launch.objects.get().desktop == second
    asked = AgentCommand.objects.values_list("agent__desktop", "type").order_by("pk")
    told = [each for each in asked if each[1] != "revoke"]
    assert told == [(first.pk, "grant"), (second.pk, "grant"), (second.pk, "timezone")]


# --- names ---


@pytest.mark.parametrize(
    ("zone", "windows"),
    [
        ("Europe/Berlin", "W. Europe Standard Time"), ("Asia/Calcutta", "India Standard Time"),
        ("Asia/Kolkata", "India Standard Time"), ("Europe/Kiev", "FLE Standard Time"),
        ("Europe/Kyiv", "FLE Standard Time"), ("Europe/Uzhgorod", "FLE Standard Time"), ("UTC", "UTC"),
        ("America/Los_Angeles", "Pacific Standard Time"), ("Pacific/Kanton", "UTC+13"), ("Antarctica/Troll", ""),
    ],
)  # fmt: skip
def test_a_zone_has_its_windows_name_under_its_old_names_too(zone: str, windows: str) -> None:
    assert zones.known(zone) == zone
    assert zones.told(zone)["windows"] == windows


def test_every_renamed_zone_leads_to_one_that_windows_has() -> None:
    assert [zone for pair in zones.RENAMED.items() for zone in pair if not zones.windows(zone)] == []
    assert set(zones.others("Europe/Kyiv")) == {"Europe/Kiev", "Europe/Uzhgorod", "Europe/Zaporozhye"}


def test_old_names_are_taken_where_this_machine_lacks_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zones, "available_timezones", lambda: {"UTC"})
    zones.every.cache_clear()
    try:
        assert zones.known("Asia/Calcutta") == "Asia/Calcutta"
        assert zones.known("Europe/Kiev") == "Europe/Kiev"
    finally:
        zones.every.cache_clear()
