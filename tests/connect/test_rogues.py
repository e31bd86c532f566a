"""Who logs in past the broker: detected, ignored, assigned or sent away (SPEC 2.1.2, 3.5.5; RULES 6, 15)."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client

from broker.connect import offers, strangers
from broker.connect.models import DesktopSession
from broker.core.models import LogEntry
from centers.models import Center
from plans.models import ReleasePlan
from policies.models import Policy
from pools.models import Assignment, Pool
from tests import make
from tests.connect.stage import Stage, staged

pytestmark = pytest.mark.django_db


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    with staged(monkeypatch) as made:
        yield made


def center(stage: Stage, **columns: Any) -> None:
    Center.objects.filter(pk=stage.desktop.center_id).update(**columns)


@pytest.fixture
def free(stage: Stage) -> Stage:
    """The desktop is nobody's; bob is a user of the directory."""
    Assignment.objects.all().delete()
    type(stage.desktop).objects.update(lent=False)
    stage.bob = make.user("bob", at=stage.desktop.center.server)  # type: ignore[attr-defined]
    return stage


def bob(stage: Stage, kind: str = "login", **more: Any) -> None:
    stage.talker.tell(kind, user="CORP\\bob", session="5", **more)


def test_a_center_that_assigns_nobody_only_notes_it(free: Stage) -> None:
    bob(free)
    free.work()
    assert DesktopSession.objects.get().rogue
    assert LogEntry.objects.filter(event="rogue.detected", level="warning").count() == 1
    assert (free.pending(), Assignment.objects.count()) == ([], 0)


def test_a_rogue_session_keeps_the_desktop_from_others_until_it_ends(free: Stage) -> None:
    policy = free.alice.access.policy
    assert policy is not None
    bob(free)
    assert offers.build(free.alice, policy).offers == []
    bob(free, "logout")
    assert len(offers.build(free.alice, policy).offers) == 1


def test_a_center_that_always_assigns_gives_the_desktop_to_the_rogue_under_the_rogue_section(free: Stage) -> None:
    plan = ReleasePlan.objects.create(
        name="Come through the broker", assigned_release=60, warn_before=-1, released_warning=60,
        released_warning_text="Please come through the broker.",
    )  # fmt: skip
    policy = make.policy()
    Policy.objects.filter(pk=policy.pk).update(rogue_release_plan=plan)
    center(free, rogue="assign", rogue_policy=policy)
    bob(free)
    free.work()
    held = Assignment.objects.get(closed_at=None)
    assert (held.user.login, held.origin, held.kind) == ("bob", "rogue", "policy")
    assert not DesktopSession.objects.get().rogue
    assert free.pending() == [("release", "assigned")]
    pass_bob(free, 1.5)
    assert not Assignment.objects.filter(closed_at=None).exists()
    (message,) = free.messages()
    assert (message["data"]["text"], message["data"]["session"]) == ("Please come through the broker.", "5")
    pass_bob(free, 1)
    assert free.asked() == ["message", "logout"]


def pass_bob(stage: Stage, minutes: float) -> None:
    """Time in which bob stays where he is."""
    for _ in range(int(minutes * 2)):
        stage.clock.shift(30)
        stage.talker.beat({"session": "5", "user": "CORP\\bob", "state": "active"})
        stage.work()


def test_somebody_elses_desktop_is_not_given_to_a_rogue(stage: Stage) -> None:
    make.user("bob", at=stage.desktop.center.server)
    center(stage, rogue="assign")
    bob(stage)
    stage.work()
    assert Assignment.objects.get(closed_at=None).user == stage.alice
    assert DesktopSession.objects.get().rogue


def test_who_is_in_no_directory_is_assigned_nothing(free: Stage) -> None:
    center(free, rogue="assign")
    free.talker.tell("login", user="OTHER\\mallory", session="5")
    free.work()
    assert not Assignment.objects.exists()


def test_a_center_that_prevents_it_warns_and_logs_out_that_session_alone(stage: Stage) -> None:
    center(stage, rogue="prevent", rogue_wait=60, rogue_text="Not yours, {USER}.")
    make.user("bob", at=stage.desktop.center.server)
    stage.talker.tell("login")
    bob(stage)
    stage.work()
    (message,) = stage.messages()
    assert message["data"] == {"text": "Not yours, bob.", "seconds": 60, "snooze": 0, "session": "5"}
    stage.clock.shift(61)
    both(stage)
    stage.work()
    (logout,) = [each for each in stage.talker.commands() if each["type"] == "logout"]
    assert logout["data"] == {"session": "5"}
    assert Assignment.objects.get(closed_at=None).user == stage.alice


def both(stage: Stage) -> None:
    """Alice and bob are still there."""
    lines = (("2", "CORP\\alice"), ("5", "CORP\\bob"))
    stage.talker.beat(*({"session": number, "user": user, "state": "active"} for number, user in lines))


def test_a_later_login_of_the_owner_does_not_save_the_rogue(stage: Stage) -> None:
    center(stage, rogue="prevent", rogue_wait=60)
    bob(stage)
    stage.clock.shift(20)
    stage.talker.tell("login")
    stage.work()
    stage.clock.shift(45)
    both(stage)
    stage.work()
    stage.clock.shift(20)
    both(stage)
    stage.work()
    assert "logout" in stage.asked()


def test_a_rogue_who_leaves_or_is_given_the_desktop_is_let_alone(free: Stage) -> None:
    center(free, rogue="prevent", rogue_wait=60)
    bob(free)
    assert free.pending() == [("logout", "rogue")]
    bob(free, "logout")
    assert free.pending() == []
    free.talker.tell("login", user="CORP\\bob", session="6")
    make.assignment(free.bob, free.desktop)  # type: ignore[attr-defined]
    free.talker.tell("unlock", user="CORP\\bob", session="6")
    free.clock.shift(120)
    free.talker.beat({"session": "6", "user": "CORP\\bob", "state": "active"})
    free.work()
    assert "logout" not in free.asked()


@pytest.mark.parametrize(
    ("user", "columns", "rogue"),
    [
        ("CORP\\svc-backup", {"rogue_ignored": "CORP\\svc-*\nroot"}, False),
        ("svc-backup@corp.example.test", {"rogue_ignored": "svc-*"}, False),
        ("CORP\\svc-backup", {"rogue_ignored": "svc-b?ckup"}, False),
        ("CORP\\bob", {"rogue_ignored": "svc-*"}, True),
        ("{machine}\\Administrator", {}, False),
        ("{machine}\\Administrator", {"rogue_ignores_local": False}, True),
    ],
)
def test_a_center_ignores_the_accounts_of_its_list_and_of_the_machine(
    stage: Stage, user: str, columns: Any, rogue: bool
) -> None:
    center(stage, rogue="prevent", **columns)
    stage.talker.tell("login", user=user.format(machine=stage.desktop.computer_name), session="5")
    assert DesktopSession.objects.get().rogue == rogue
    assert LogEntry.objects.filter(event="rogue.detected").exists() == rogue
    assert stage.pending() == ([("logout", "rogue")] if rogue else [])


def test_a_pool_may_count_whoever_logs_in_as_the_assigned_user(stage: Stage) -> None:
    Pool.objects.filter(is_root=False).update(never_rogue=True)
    stage.plan(stage.power, logged_out_action="shutdown", logged_out_wait=600)
    make.user("bob", at=stage.desktop.center.server)
    bob(stage)
    row = DesktopSession.objects.get()
    assert (row.rogue, row.assignment) == (False, stage.held)
    assert strangers.others(stage.desktop, stage.alice) == []
    bob(stage, "logout")
    assert stage.pending() == [("power", "logged_out")]


def test_plans_that_are_off_send_nobody_away(stage: Stage) -> None:
    center(stage, rogue="prevent", observe_only=True)
    bob(stage)
    assert stage.pending() == []


def test_the_desktops_page_names_the_rogue(free: Stage, client: Client) -> None:
    bob(free)
    page = make.admin_client(client).get(f"/resources/desktops/{free.desktop.pk}/").content.decode()
    assert ">rogue</span>" in page
