"""A desktop's page and its actions."""

from typing import Any

import pytest
from django.test import Client

from agents.models import Agent, AgentCommand
from broker.core.clock import now
from broker.core.jobs import Wish, enqueue
from broker.core.models import Job, LogEntry, ref
from broker.resources.desktops import actions, views
from centers.models import Center, Desktop
from centers.providers.base import Power, ProviderError, RemoteDesktop
from plans.models import ReleasePlan
from pools.models import Assignment
from tests import make
from tests.resources.test_desktops_list import agent, plan_job, session

pytestmark = pytest.mark.django_db
LIST = "/resources/desktops/"


@pytest.fixture
def center() -> Center:
    return make.center()


@pytest.fixture
def admin(client: Client) -> Client:
    make.defaults()
    return make.admin_client(client)


def asked() -> list[Job]:
    """The jobs that touch a machine."""
    return list(Job.objects.filter(kind__in=["power", "delete_desktop", "logout"]))


def post(client: Client, machine: Desktop, action: str, **data: Any) -> str:
    """Do something with one desktop; the page one lands on."""
    answer = client.post(f"{LIST}{machine.pk}/{action}/", {"confirmed": "yes", **data}, follow=True)
    assert answer.status_code == 200
    return answer.content.decode()


def test_start_of_a_stopped_desktop_is_queued(admin: Client, center: Center) -> None:
    machine = make.desktop(center, power="stopped", raw_state="STOPPED")
    assert "Start of" in post(admin, machine, "start")
    job = Job.objects.get(kind="power")
    assert (job.payload["op"], job.subject, job.state) == ("start", ref(machine), "pending")
    assert LogEntry.objects.filter(event="power.start_requested", desktop_ref=ref(machine)).exists()


def test_what_aws_would_refuse_is_said_and_not_queued(admin: Client, center: Center) -> None:
    always = make.desktop(center, running_mode="ALWAYS_ON")
    assert "Always On and cannot be stopped" in post(admin, always, "shutdown")
    assert "it is running" in post(admin, make.desktop(center), "start")
    stopped = make.desktop(center, power="stopped", raw_state="STOPPED")
    assert "cannot be rebooted because it is stopped" in post(admin, stopped, "reboot")
    assert not asked()


def test_a_shutdown_asks_first_and_says_who_is_on_it(admin: Client, center: Center) -> None:
    machine = make.desktop(center)
    session(machine, make.user("judy"))
    page = admin.post(f"{LIST}{machine.pk}/shutdown/").content.decode()
    assert "shuts down 1 desktop" in page
    assert "Judy" in page
    assert not asked()


def test_a_stop_of_a_starting_desktop_waits(admin: Client, center: Center) -> None:
    assert "It waits" in post(admin, make.desktop(center, power="starting", raw_state="STARTING"), "shutdown")
    assert Job.objects.filter(kind="power").count() == 1


def test_power_off_does_not_log_out_first(admin: Client, center: Center) -> None:
    post(admin, make.desktop(center), "power_off")
    assert Job.objects.get(kind="power").payload["hard"] is True


def test_release_frees_the_desktop(admin: Client, center: Center) -> None:
    machine = make.desktop(center)
    make.assignment(make.user("ken"), machine)
    asked = admin.post(f"{LIST}{machine.pk}/release/")
    assert "Ken will no longer have 1 desktop" in admin.get(asked["Location"]).content.decode()
    answer = admin.post(asked["Location"], {"reason": "he left"}, follow=True).content.decode()
    assert "Release: 1 desktop." in answer
    machine.refresh_from_db()
    assert not machine.lent
    assert "released by Admin" in Assignment.objects.get(desktop=machine).close_reason


def test_log_out_needs_an_agent_that_answers(admin: Client, center: Center) -> None:
    machine = make.desktop(center)
    session(machine, make.user("lea"))
    assert "does not answer" in post(admin, machine, "logout")
    agent(machine)
    assert "Lea will be logged out" in post(admin, machine, "logout")
    assert Job.objects.get(kind="logout").subject == ref(machine)
    assert not AgentCommand.objects.exists()


def test_a_stuck_session_is_cleared_only_without_an_agent(admin: Client, center: Center) -> None:
    machine = make.desktop(center)
    stuck = session(machine, make.user("max"))
    one = agent(machine)
    post(admin, machine, "clear")
    stuck.refresh_from_db()
    assert stuck.ended_at is None
    one.delete()
    assert "The session of Max" in post(admin, machine, "clear")
    stuck.refresh_from_db()
    assert stuck.end_reason.startswith("cleared by Admin")


def test_many_rows_are_done_at_once(admin: Client, center: Center) -> None:
    machines = [make.desktop(center, power="stopped", raw_state="STOPPED") for _ in range(3)]
    admin.post(f"{LIST}actions/start/", {"ids": [each.pk for each in machines]})
    assert Job.objects.filter(kind="power").count() == 3


def test_a_desktop_is_assigned_by_hand(admin: Client, center: Center) -> None:
    mia, machine = make.user("mia"), make.desktop(center)
    answer = admin.post(f"{LIST}{machine.pk}/assign/", {"login": "mia", "kind": "policy"})
    assert answer.status_code == 303
    assert Assignment.objects.get(desktop=machine, closed_at=None).user == mia
    noah = make.user("noah")
    page = admin.post(f"{LIST}{machine.pk}/assign/", {"login": noah.login, "kind": "policy"}).content.decode()
    assert "is assigned to somebody else" in page


def test_an_unknown_name_is_told_beside_its_field(admin: Client, center: Center) -> None:
    answer = admin.post(f"{LIST}{make.desktop(center).pk}/assign/", {"login": "nobody", "kind": "policy"})
    assert "Nobody of this name is known here" in str(answer.context["form"].errors["login"])


def test_only_a_confirmed_hard_assignment_overrides_the_binding(admin: Client, center: Center) -> None:
    make.user("olga")
    machine = make.desktop(center, bound_user="peter")
    address = f"{LIST}{machine.pk}/assign/"
    assert "bound this WorkSpace to peter" in admin.post(address, {"login": "olga", "kind": "policy"}).content.decode()
    assert "Confirm that Olga" in admin.post(address, {"login": "olga", "kind": "hard"}).content.decode()
    assert admin.post(address, {"login": "olga", "kind": "hard", "override": "on"}).status_code == 303
    assert Assignment.objects.get(desktop=machine, closed_at=None).kind == "hard"


def test_policy_becomes_hard_and_keeps_its_assignment(admin: Client, center: Center) -> None:
    quinn, machine = make.user("quinn"), make.desktop(center)
    before = make.assignment(quinn, machine)
    admin.post(f"{LIST}{machine.pk}/assign/", {"login": "quinn", "kind": "hard"})
    after = Assignment.objects.get(desktop=machine, closed_at=None)
    assert (after.pk, after.kind) == (before.pk, "hard")


@pytest.mark.parametrize(
    ("state", "because"),
    [
        ({"state": "disconnected"}, {"assigned", "disconnected"}),
        ({"state": "ended", "ended_at": now()}, {"assigned", "logged_out"}),
        ({"state": "active"}, {"assigned"}),
        (None, {"assigned", "no_login"}),
    ],
)
def test_hard_becomes_policy_and_its_plans_act_on_how_things_stand(
    admin: Client, center: Center, state: dict[str, Any] | None, because: set[str]
) -> None:
    quinn, machine = make.user("quinn", at=center.server), make.desktop(center)
    waits = dict.fromkeys(("assigned_release", "assigned_unused_release", "logged_out_release"), 3600)
    plan = ReleasePlan.objects.create(name="An hour", disconnected_release=3600, **waits)
    make.grant(quinn, policy=make.policy(make.pool(center), plans={"release_plan": plan}))
    held = make.assignment(quinn, machine, kind="hard")
    if state is not None:
        session(machine, quinn, assignment=held, **state)
    assert not Job.objects.filter(kind="release").exists()
    admin.post(f"{LIST}{machine.pk}/assign/", {"login": "quinn", "kind": "policy"})
    waiting = Job.objects.filter(kind="release", state="pending")
    assert {job.payload["due"]["because"] for job in waiting} == because


def test_unavailable_needs_a_reason(admin: Client, center: Center) -> None:
    machines = [make.desktop(center) for _ in range(2)]
    answer = admin.post(f"{LIST}actions/unavailable/", {"ids": [each.pk for each in machines]})
    address = answer["Location"]
    assert "reason" in admin.post(address, {"reason": ""}).context["form"].errors
    admin.post(address, {"reason": "new image"})
    assert set(Desktop.objects.values_list("availability", "unavailable_reason")) == {("unavailable", "new image")}
    assert LogEntry.objects.filter(event="admin.object_updated").count() == 2
    post(admin, machines[0], "available")
    machines[0].refresh_from_db()
    assert (machines[0].availability, machines[0].unavailable_reason) == ("available", "")


def test_tags_and_notes_of_many(admin: Client, center: Center) -> None:
    machine = make.desktop(center, tags=["old", "kept"], notes="first")
    admin.post(f"{LIST}change/tags/?ids={machine.pk}", {"add": "new, kept", "remove": "old"})
    admin.post(f"{LIST}change/note/?ids={machine.pk}", {"note": "second"})
    machine.refresh_from_db()
    assert machine.tags == ["kept", "new"]
    assert machine.notes == "first\nsecond"


def test_delete_from_disk_needs_the_flag_and_the_name(admin: Client, center: Center) -> None:
    machine = make.desktop(center, display_name="Design 1", root_gb=80, user_gb=50)
    address = f"{LIST}{machine.pk}/delete_disk/"
    assert admin.get(address).status_code == 303
    Desktop.objects.filter(pk=machine.pk).update(deletable=True)
    page = admin.get(address).content.decode()
    assert "130 GB" in page
    assert "not its name" in admin.post(address, {"typed": "Design"}).content.decode()
    assert not asked()
    assert admin.post(address, {"typed": "Design 1"}).status_code == 303
    assert Job.objects.get(kind="delete_desktop").subject == ref(machine)


def test_bulk_delete_counts_and_asks_for_a_word(admin: Client, center: Center) -> None:
    machine = make.desktop(center, deletable=True)
    make.desktop(center)
    ids = {"ids": list(Desktop.objects.values_list("pk", flat=True))}
    page = admin.post(f"{LIST}actions/delete_disk/", ids).content.decode()
    assert "terminates 1 WorkSpace:" in page
    assert "1 desktop may not be deleted" in page
    admin.post(f"{LIST}actions/delete_disk/", {**ids, "confirmed": "yes", "typed": "delete"})
    assert [job.subject for job in Job.objects.filter(kind="delete_desktop")] == [ref(machine)]


def test_only_gone_rows_are_deleted_from_the_list(admin: Client, center: Center) -> None:
    gone = make.desktop(center, availability="deleted")
    make.assignment(make.user(), make.desktop(center))
    Assignment.objects.update(desktop=gone, closed_at=now(), close_reason="gone")
    here = make.desktop(center)
    post(admin, gone, "delete_list")
    post(admin, here, "delete_list")
    assert not Desktop.objects.filter(pk=gone.pk).exists()
    assert Desktop.objects.filter(pk=here.pk).exists()


class Described:
    """A provider that describes one desktop, or refuses to."""

    def __init__(self, found: list[RemoteDesktop], error: str = "") -> None:
        self.found, self.error = found, error

    def set_running_mode(self, ref: str, mode: str) -> None:
        if self.error:
            raise ProviderError(self.error)

    def describe(self, refs: list[str]) -> list[RemoteDesktop]:
        if self.error:
            raise ProviderError(self.error)
        return self.found


def test_refresh_status_asks_aws_about_one(admin: Client, center: Center, monkeypatch: pytest.MonkeyPatch) -> None:
    machine = make.desktop(center)
    remote = RemoteDesktop(str(machine.ref), "NEW-NAME", "STOPPED", Power.STOPPED)
    monkeypatch.setattr(actions, "provider", lambda _: Described([remote]))
    assert "is stopped (STOPPED)" in post(admin, machine, "refresh")
    machine.refresh_from_db()
    assert (machine.name, machine.power) == ("NEW-NAME", "stopped")
    monkeypatch.setattr(actions, "provider", lambda _: Described([], "The access key is wrong."))
    assert "The access key is wrong." in post(admin, machine, "refresh")


def test_one_click_makes_an_auto_stop_desktop_manual(
    admin: Client, center: Center, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = make.desktop(center, running_mode="AUTO_STOP")
    monkeypatch.setattr(actions, "provider", lambda _: Described([], "Core bundles cannot do that."))
    assert "Core bundles cannot do that." in post(admin, machine, "manual")
    monkeypatch.setattr(actions, "provider", lambda _: Described([]))
    assert "is Manual now" in post(admin, machine, "manual")
    machine.refresh_from_db()
    assert machine.running_mode == "MANUAL"


def test_the_page_shows_plans_future_sessions_history_and_log(admin: Client, center: Center) -> None:
    rita, machine = make.user("rita"), make.desktop(center)
    pool = make.pool(center, name="Designers")
    make.grant(rita, policy=make.policy(pool))
    make.assignment(rita, machine, pool=pool)
    agent(machine, version="1.2.3", skew_seconds=90)
    session(machine, rita)
    plan_job(machine)
    enqueue(Wish("wait_for_start", ref(machine), str(machine), key="x", payload={"reason": "asked"}))
    page = admin.get(f"{LIST}{machine.pk}/").content.decode()
    for words in (
        "What happens next",
        "shut down, unless Rita returns",
        "see whether it has started",
        "Plans in force",
        "pool Designers",
        "Usher Agent",
        "1.2.3",
        "90 seconds",
        "Connected",
        "Policy-assigned",
        "desktop.assigned",
        "Run now",
    ):
        assert words in page, words


def test_saving_the_page_writes_what_changed(admin: Client, center: Center) -> None:
    machine = make.desktop(center, display_name="From AWS")
    data = {"display_name": "Mine", "tags": "a, b", "notes": "", "availability": "available", "address_override": ""}
    assert admin.post(f"{LIST}{machine.pk}/", {**data, "deletable": "on"}).status_code == 303
    machine.refresh_from_db()
    assert (machine.display_name, machine.own_display_name, machine.tags, machine.deletable) == (
        "Mine",
        True,
        ["a", "b"],
        True,
    )
    entry = LogEntry.objects.get(event="admin.object_updated")
    assert entry.changes["display_name"] == ["From AWS", "Mine"]


def test_a_bad_address_is_told_beside_its_field(admin: Client, center: Center) -> None:
    data = {"display_name": "x", "availability": "available", "address_override": "10.0.0.1\r\nfull address"}
    answer = admin.post(f"{LIST}{make.desktop(center).pk}/", data)
    assert "neither an address nor a host name" in str(answer.context["form"].errors["address_override"])


def test_a_waiting_agent_is_approved_or_rejected(admin: Client, center: Center) -> None:
    machine = make.desktop(center)
    first = agent(machine, approved=False, hostname="PC-1")
    second = agent(make.desktop(center), approved=False, hostname="PC-2")
    Agent.objects.update(desktop=None)
    page = admin.get(f"{LIST}waiting/").content.decode()
    assert "PC-1" in page
    assert "PC-2" in page
    admin.post(f"{LIST}waiting/{first.pk}/", {"decision": "approve", f"{first.pk}-desktop": machine.pk})
    admin.post(f"{LIST}waiting/{second.pk}/", {"decision": "reject"})
    first.refresh_from_db()
    second.refresh_from_db()
    assert (first.desktop, first.approved) == (machine, True)
    assert second.revoked_at is not None
    assert "No agent is waiting" in admin.get(f"{LIST}waiting/").content.decode()


def test_two_agents_approved_for_one_desktop_at_once_are_one_and_a_refusal(
    admin: Client, center: Center, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = make.desktop(center)
    first = agent(machine, approved=False, hostname="PC-1")
    second = agent(make.desktop(center), approved=False, hostname="PC-2")
    Agent.objects.update(desktop=None)
    asked = views.ApproveForm.is_valid

    def beaten(form: views.ApproveForm) -> bool:
        valid = asked(form)
        Agent.objects.filter(pk=second.pk).update(desktop=machine, approved=True)
        return valid

    monkeypatch.setattr(views.ApproveForm, "is_valid", beaten)
    choice = {"decision": "approve", f"{first.pk}-desktop": machine.pk}
    page = admin.post(f"{LIST}waiting/{first.pk}/", choice, follow=True).content.decode()
    assert "was given to another agent in this very moment" in page
    first.refresh_from_db()
    assert (first.desktop, first.approved) == (None, False)
