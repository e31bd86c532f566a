"""The right to log on to a desktop that AWS bound to nobody: granted, confirmed, taken away (RULES 29)."""

import socket
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from agents.models import Agent, AgentCommand
from broker.connect import actions, housekeeping, rights
from broker.connect.models import Launch
from broker.connect.rights import Said, superfluous
from broker.core.clock import now
from broker.core.models import Job
from centers.models import Desktop
from plans.models import PORTS
from policies.models import PoolAssignment, Role
from pools.models import Assignment
from tests import make
from tests.connect.world import NOON, World, world

pytestmark = pytest.mark.django_db


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    with world(monkeypatch) as made, socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.setitem(PORTS, "rdp", server.getsockname()[1])
        make.grant(made.person("zoe"), policy=make.policy(make.pool(made.center)))
        made.scan()
        Desktop.objects.exclude(bound_user="").update(availability="unavailable")
        for row in made.aws.account.workspaces.values():
            row.ip_address = "127.0.0.1"
        made.scan()
        yield made


def shared(site: World) -> Desktop:
    return site.of("shared-win11-01")


def agent_on(desktop: Desktop) -> Agent:
    return Agent.objects.create(
        uuid=f"00000000-0000-4000-8000-{desktop.pk:012d}", key_digest=f"{desktop.pk:064d}", center=desktop.center,
        desktop=desktop, approved=True, registered_at=now() - timedelta(hours=1), last_seen=now(),
        booted_at=now() - timedelta(hours=1),
    )  # fmt: skip


def another(site: World) -> Desktop:
    """A second shared desktop, not at AWS: what only the broker asks is enough here."""
    return make.desktop(site.center, workspace_name="shared-2", address="127.0.0.1", ref=f"{shared(site).ref}0")


def presses(site: World) -> tuple[Client, Launch]:
    zoe = site.person("zoe")
    browser = make.signed_in(Client(), zoe, policy_row=zoe.access.policy)
    line = PoolAssignment.objects.get(policy=zoe.access.policy)
    browser.post("/desktops/0/connect/", {"line": line.pk})
    return browser, Launch.objects.latest("pk")


def asked(desktop: Desktop) -> list[AgentCommand]:
    return list(AgentCommand.objects.filter(agent__desktop=desktop).order_by("pk"))


def answers(ok: bool, detail: str = "") -> None:
    AgentCommand.objects.filter(done_at=None).update(done_at=now(), ok=ok, detail=detail)


def stays(site: World, seconds: float) -> None:
    """Time passes, the agents heard all the while."""
    for _ in range(int(seconds / 2)):
        site.shift(2)
        Agent.objects.update(last_seen=now())
        site.work()


def test_no_file_before_the_agent_has_confirmed_the_right(site: World) -> None:
    agent_on(shared(site))
    browser, launch = presses(site)
    stays(site, 6)
    launch.refresh_from_db()
    assert launch.step == "opening"
    assert browser.get(f"/launches/{launch.pk}/file/").status_code == 303
    (command,) = asked(shared(site))
    zoe = site.person("zoe")
    assert command.type == "grant"
    assert {name: command.data[name] for name in ("sid", "name", "group")} == {
        "sid": zoe.sid, "name": "CORP\\zoe", "group": "Remote Desktop Users"
    }  # fmt: skip
    answers(True)
    stays(site, 2)
    launch.refresh_from_db()
    assert launch.step == "connecting"
    assert browser.get(f"/launches/{launch.pk}/file/").status_code == 200
    assert "shared" in browser.get("/desktops/").content.decode().lower()


def test_nobody_waits_for_the_next_heartbeat_of_a_running_desktop(site: World) -> None:
    agent_on(shared(site))
    site.shift(20)
    presses(site)
    site.shift(2)
    site.work()
    assert [each.type for each in asked(shared(site))] == ["grant"]


def test_an_agent_that_is_silent_is_waited_for_before_it_is_asked(site: World) -> None:
    agent_on(shared(site))
    site.shift(100)
    _, launch = presses(site)
    site.shift(2)
    site.work()
    launch.refresh_from_db()
    assert (launch.step, asked(shared(site))) == ("waiting_for_agent", [])


def test_a_confirmed_right_makes_the_next_connect_go_straight_to_the_file(site: World) -> None:
    agent_on(shared(site))
    browser, launch = presses(site)
    stays(site, 4)
    answers(True)
    stays(site, 2)
    Launch.objects.update(step="done", ended_at=now())
    answer = browser.post(f"/desktops/{shared(site).pk}/connect/")
    assert answer.headers["Location"].endswith("/file/")
    assert len(asked(shared(site))) == 1


@pytest.mark.parametrize("refused", [True, False], ids=["refused", "not answered in time"])
def test_who_is_not_let_in_gets_the_next_desktop_of_the_line(site: World, refused: bool) -> None:
    first = shared(site)
    agent_on(first)
    browser, launch = presses(site)
    stays(site, 4)
    second = another(site)
    if refused:
        answers(False, "no such user in the domain")
    stays(site, 4 if refused else 64)
    launch.refresh_from_db()
    assert launch.desktop == second
    assert site.holder(first) is None
    assert site.holder(second) == site.person("zoe")
    assert f"{second} was taken instead" in launch.message
    assert (launch.refused_by, launch.ended_at) == ([first.pk], None)
    assert Assignment.objects.get(desktop=first).close_reason.startswith(f"{first} ")


def test_where_no_other_is_free_the_launch_ends_with_the_agents_reason(site: World) -> None:
    agent_on(shared(site))
    _, launch = presses(site)
    stays(site, 4)
    answers(False, "no such user in the domain")
    stays(site, 4)
    launch.refresh_from_db()
    assert launch.step == "failed"
    assert "no such user in the domain" in launch.message
    assert "no other desktop is free" in launch.message
    assert site.holder(shared(site)) is None


def granted(site: World) -> Assignment:
    """Erin holds the shared desktop, and its agent has let her in."""
    agent_on(shared(site))
    presses(site)
    stays(site, 4)
    answers(True)
    stays(site, 2)
    return Assignment.objects.get(user=site.person("zoe"), closed_at=None)


def test_a_release_takes_the_right_away(site: World, django_capture_on_commit_callbacks: Any) -> None:
    assignment = granted(site)
    with django_capture_on_commit_callbacks(execute=True):
        actions.release(assignment.pk, "by the test")
    assert [(each.type, each.data["name"]) for each in asked(shared(site))] == [
        ("grant", "CORP\\zoe"),
        ("revoke", "CORP\\zoe"),
    ]


def test_a_revoke_that_was_lost_is_asked_again_once_the_machine_is_heard(site: World) -> None:
    assignment = granted(site)
    Agent.objects.update(last_seen=now() - timedelta(minutes=5))
    actions.release(assignment.pk, "while it is stopped")
    rights.settle(shared(site).pk)
    assert len(asked(shared(site))) == 1
    Agent.objects.update(last_seen=now(), silent=False)
    housekeeping.run(Job())
    housekeeping.run(Job())
    assert [each.type for each in asked(shared(site))] == ["grant", "revoke"]


def test_a_new_boot_is_granted_anew_while_it_is_assigned(site: World) -> None:
    granted(site)
    site.shift(60)
    Agent.objects.update(booted_at=now(), last_seen=now())
    housekeeping.run(Job())
    housekeeping.run(Job())
    assert [each.type for each in asked(shared(site))] == ["grant", "grant"]


def test_a_right_that_runs_out_is_prolonged(site: World) -> None:
    granted(site)
    site.shift(13 * 3600)
    Agent.objects.update(last_seen=now())
    housekeeping.run(Job())
    assert [each.type for each in asked(shared(site))] == ["grant", "grant"]


def test_a_bound_desktop_is_granted_to_nobody(site: World) -> None:
    bob = make.grant(site.person("bob"), policy=make.policy(make.pool(site.center)))
    Desktop.objects.filter(bound_user="bob").update(availability="available")
    make.assignment(bob, site.of("bob"))
    agent_on(site.of("bob"))
    browser = make.signed_in(Client(), bob, policy_row=bob.access.policy)
    answer = browser.post(f"/desktops/{site.of('bob').pk}/connect/")
    assert answer.headers["Location"].endswith("/file/")
    housekeeping.run(Job())
    assert asked(site.of("bob")) == []


def said(kind: str, name: str, ok: bool | None, lapsed: bool = False) -> Said:
    return Said(kind, name, "", ok, lapsed, NOON)


@pytest.mark.parametrize(
    ("told", "wanted"),
    [
        ([said("grant", "A", True)], ["A"]),
        ([said("grant", "A", None)], ["A"]),
        ([said("grant", "A", None, True)], ["A"]),
        ([said("grant", "A", False)], []),
        ([said("grant", "a", True), said("revoke", "A", True)], []),
        ([said("grant", "A", True), said("revoke", "A", None)], []),
        ([said("grant", "A", True), said("revoke", "A", None, True)], ["A"]),
        ([said("grant", "A", True), said("revoke", "A", False)], []),
        ([said("grant", "Holder", True)], []),
        ([said("revoke", "A", True), said("grant", "A", True)], ["A"]),
    ],
)  # fmt: skip
def test_whose_right_is_one_too_many(told: list[Said], wanted: list[str]) -> None:
    assert [each.name for each in superfluous(told, "HOLDER")] == wanted


def test_who_logs_in_by_an_account_of_the_machine_is_granted_the_right_for_that_one(site: World) -> None:
    PoolAssignment.objects.update(log_in_as="L")
    desktop = shared(site)
    agent_on(desktop)
    presses(site)
    site.work()
    granted = [each.data for each in asked(desktop) if each.type == "grant"]
    assert [(each["name"], each["sid"]) for each in granted] == [(f"{desktop.computer_name}\\zoe", "")]


@pytest.mark.parametrize("sam", ["zoe", ""])
def test_the_name_is_as_the_machine_knows_it(sam: str) -> None:
    desktop = make.desktop(make.center())
    zoe = make.user("zoe@corp.example.test", netbios="CORP", sam=sam)
    held = make.assignment(zoe, desktop)
    assert rights.name_of(held) == "CORP\\zoe"
    Role.objects.update_or_create(builtin="user", defaults={"local_user": True})
    assert rights.name_of(held) == f"{desktop.computer_name}\\zoe"
