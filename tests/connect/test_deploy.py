"""A deployment: the intent first, never two WorkSpaces, and a slow one is still its user's (SPEC 13.5; RULES 25)."""

from collections.abc import Iterator
from typing import Any

import pytest

from authservers.models import User
from broker.connect import deploy
from broker.connect.models import DesktopSession
from broker.core import jobs
from broker.core.clock import now
from broker.core.jobs import Wish, enqueue
from broker.core.models import Job, LogEntry
from broker.demo.aws import constants
from broker.handlers import HANDLERS
from centers.models import Center, Desktop
from pools.models import Assignment
from tests import make
from tests.aws_simulator import of_user
from tests.connect.world import World, world

pytestmark = pytest.mark.django_db


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    with world(monkeypatch) as made:
        yield made


def wanted(site: World, user: User, **more: Any) -> tuple[Desktop, Job]:
    """The rows that the Deploy form writes."""
    desktop = make.desktop(
        site.center, ref=None, bound_user=user.sam, scan_assigned=True, sighted_at=None, power="starting",
        raw_state="", address="", computer_name="", name=f"Core – {user.sam}",
    )  # fmt: skip
    make.assignment(user, desktop, origin="deploy")
    payload = {"bundle": constants.CORE_STANDARD, "user_name": user.sam, "running_mode": "MANUAL", **more}
    return desktop, enqueue(
        Wish("deploy", f"desktop:{desktop.pk}", str(desktop), payload=payload, key=f"deploy:{desktop.pk}")
    )


def made_for(site: World, user: str) -> int:
    """How many WorkSpaces AWS has for this user."""
    rows = site.aws.account.workspaces.values()
    return len([row for row in rows if row.user_name.lower() == user and not row.gone])


def test_a_deployment_goes_from_pending_to_available(site: World) -> None:
    desktop, job = wanted(site, site.person("alice"))
    site.work()
    desktop.refresh_from_db()
    job.refresh_from_db()
    assert desktop.ref == of_user(site.aws, "alice").id
    assert (job.state, job.reason) == ("pending", "AWS does not describe it yet.")
    site.go_on(10)
    job.refresh_from_db()
    assert job.reason == "AWS says PENDING."
    site.go_on(60)
    job.refresh_from_db()
    desktop.refresh_from_db()
    assert (job.state, desktop.power, desktop.raw_state) == ("finished", "running", "AVAILABLE")
    assert desktop.address == of_user(site.aws, "alice").ip_address
    assert desktop.name == desktop.computer_name
    assert site.holder(desktop) == site.person("alice")
    assert list(LogEntry.objects.filter(event__startswith="deploy.").values_list("event", flat=True)) == [
        "deploy.ready"
    ]
    assert made_for(site, "alice") == 1


def test_a_slow_deployment_keeps_the_assignment_and_says_that_it_is_late(site: World) -> None:
    site.aws.account.timings.pending = 2 * 3600
    Center.objects.update(start_deadline_minutes=30)
    desktop, job = wanted(site, site.person("alice"))
    site.work()
    site.go_on(40 * 60, 300)
    job.refresh_from_db()
    assert (job.state, job.reason) == ("pending", "Provisioning late. AWS says PENDING.")
    assert site.holder(desktop) == site.person("alice")
    assert LogEntry.objects.filter(event="deploy.late").count() == 1
    site.scan()
    site.go_on(90 * 60, 900)
    job.refresh_from_db()
    assert job.state == "finished"
    assert site.holder(desktop) == site.person("alice")


def test_scans_leave_a_deployment_alone_that_aws_does_not_list_yet(site: World) -> None:
    site.aws.account.timings.describe_lag = 3600
    desktop, _ = wanted(site, site.person("alice"))
    site.work()
    for _ in range(4):
        site.shift(120)
        site.scan()
    desktop.refresh_from_db()
    assert (desktop.availability, site.holder(desktop)) == ("available", site.person("alice"))


def test_a_workspace_that_never_shows_up_ends_after_the_deadline(site: World) -> None:
    site.aws.account.timings.describe_lag = 10 * 3600
    desktop, job = wanted(site, site.person("alice"))
    site.work()
    site.shift(61 * 60)
    site.scan()
    site.scan()
    site.scan()
    desktop.refresh_from_db()
    assert (desktop.availability, site.holder(desktop)) == ("deleted", None)
    site.work()
    job.refresh_from_db()
    assert job.state == "cancelled"


def test_a_lost_answer_makes_no_second_workspace(site: World) -> None:
    site.trouble("lose", "CreateWorkspaces", times=1)
    desktop, job = wanted(site, site.person("alice"))
    site.work()
    job.refresh_from_db()
    assert job.state == "pending"
    site.go_on(120, 20)
    desktop.refresh_from_db()
    assert (made_for(site, "alice"), site.calls("CreateWorkspaces")) == (1, 1)
    assert desktop.ref == of_user(site.aws, "alice").id
    assert site.holder(desktop) == site.person("alice")


def test_a_worker_killed_between_answer_and_commit_makes_no_second_workspace(
    site: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    desktop, job = wanted(site, site.person("alice"))
    taken = jobs.claim(HANDLERS)
    with monkeypatch.context() as killed:
        killed.setattr(deploy, "identified", lambda *_: (_ for _ in ()).throw(SystemExit))
        with pytest.raises(SystemExit):
            jobs.run(taken, HANDLERS["deploy"])
    assert (made_for(site, "alice"), Desktop.objects.get(pk=desktop.pk).ref) == (1, None)
    site.shift(200)
    site.work()
    desktop.refresh_from_db()
    job.refresh_from_db()
    assert (made_for(site, "alice"), site.calls("CreateWorkspaces")) == (1, 1)
    assert (desktop.ref, job.state) == (of_user(site.aws, "alice").id, "finished")


def test_a_name_is_looked_for_two_scans_long_before_a_decoupled_one_is_made_again(site: World) -> None:
    desktop = make.desktop(site.center, ref=None, workspace_name="lab-07", sighted_at=None)
    payload = {
        "bundle": constants.CORE_STANDARD, "user_name": "", "workspace_name": "lab-07", "running_mode": "MANUAL",
        "asked_at": now().isoformat(),
    }  # fmt: skip
    job = enqueue(Wish("deploy", f"desktop:{desktop.pk}", payload=payload, key="d"))
    site.work()
    job.refresh_from_db()
    assert (job.reason, site.calls("CreateWorkspaces")) == ("AWS was asked, but does not show it yet.", 0)
    site.go_on(300, 20)
    assert site.calls("CreateWorkspaces") == 1
    desktop.refresh_from_db()
    assert desktop.ref


def test_a_workspace_that_exists_already_is_adopted(site: World) -> None:
    desktop, job = wanted(site, site.person("bob"))
    site.work()
    desktop.refresh_from_db()
    job.refresh_from_db()
    assert (desktop.ref, job.state) == (of_user(site.aws, "bob").id, "finished")
    assert site.holder(desktop) == site.person("bob")
    assert LogEntry.objects.filter(event="deploy.adopted").exists()


def test_a_listed_workspace_takes_the_place_of_the_intent_and_its_user_keeps_one(site: World) -> None:
    site.scan()
    listed = site.of("bob")
    desktop, job = wanted(site, site.person("bob"))
    site.work()
    desktop.refresh_from_db()
    job.refresh_from_db()
    assert (desktop.availability, job.state) == ("deleted", "finished")
    assert Assignment.objects.get(closed_at=None).desktop == listed
    assert site.holder(listed) == site.person("bob")


def test_a_dying_workspace_blocks_and_is_not_adopted(site: World) -> None:
    old = of_user(site.aws, "bob")
    old.state = "TERMINATING"
    desktop, job = wanted(site, site.person("bob"))
    site.work()
    job.refresh_from_db()
    assert (job.state, "still deleting" in job.reason) == ("pending", True)
    del site.aws.account.workspaces[old.id]
    site.go_on(120, 20)
    desktop.refresh_from_db()
    assert desktop.ref
    assert desktop.ref != old.id
    assert site.holder(desktop) == site.person("bob")


def test_a_bundle_that_vanished_is_said_on_job_desktop_and_log(site: World) -> None:
    desktop, job = wanted(site, site.person("alice"), bundle="wsb-0gone0000")
    site.work()
    job.refresh_from_db()
    desktop.refresh_from_db()
    assert job.state == "aborted"
    assert "wsb-0gone0000" in job.reason or "bundle" in job.reason.lower() or "image" in job.reason.lower()
    assert desktop.availability == "deleted"
    assert LogEntry.objects.get(event="deploy.failed").message.endswith(job.reason)
    ended = Assignment.objects.get()
    assert ended.closed_at is not None
    assert "AWS did not create it" in ended.close_reason


def test_auto_stop_for_a_core_image_is_refused_in_words(site: World) -> None:
    desktop, job = wanted(site, site.person("alice"), running_mode="AUTO_STOP")
    site.work()
    job.refresh_from_db()
    assert job.state == "aborted"
    assert len(job.reason) > 20
    assert site.holder(desktop) is None


def test_a_throttled_deployment_comes_later(site: World) -> None:
    site.trouble("throttle", "CreateWorkspaces", times=2)
    desktop, job = wanted(site, site.person("alice"))
    site.work()
    job.refresh_from_db()
    assert (job.state, bool(job.reason)) == ("pending", True)
    site.go_on(120, 20)
    desktop.refresh_from_db()
    assert desktop.power == "running"
    assert site.calls("CreateWorkspaces") == 3


def test_an_error_at_aws_ends_the_assignment_and_keeps_the_row(site: World) -> None:
    desktop, job = wanted(site, site.person("alice"))
    site.work()
    row = of_user(site.aws, "alice")
    row.plan()
    row.state, row.error_code, row.error_message = "ERROR", "DomainJoinError", "The domain could not be joined."
    site.go_on(10)
    desktop.refresh_from_db()
    job.refresh_from_db()
    assert (job.state, desktop.power, desktop.availability) == ("aborted", "error", "available")
    assert "The domain could not be joined." in job.reason
    assert site.holder(desktop) is None
    site.scan()
    assert site.holder(desktop) is None


def test_trouble_with_the_keys_takes_a_made_desktop_from_nobody(site: World) -> None:
    desktop, job = wanted(site, site.person("alice"))
    site.work()
    site.trouble("fail", "DescribeWorkspaces", code="UnrecognizedClientException", times=3)
    site.go_on(30)
    job.refresh_from_db()
    assert job.state == "pending"
    assert site.holder(desktop) == site.person("alice")
    site.go_on(300, 20)
    job.refresh_from_db()
    assert job.state == "finished"
    assert not DesktopSession.objects.exists()


def test_trouble_with_the_keys_after_a_lost_answer_takes_a_desktop_from_nobody(site: World) -> None:
    site.trouble("lose", "CreateWorkspaces", times=1)
    desktop, job = wanted(site, site.person("alice"))
    site.work()
    site.trouble("fail", "DescribeWorkspaces", code="UnrecognizedClientException", times=2)
    site.go_on(20)
    job.refresh_from_db()
    assert (job.state, site.holder(desktop)) == ("pending", site.person("alice"))
    site.calm()
    site.go_on(400, 20)
    job.refresh_from_db()
    desktop.refresh_from_db()
    assert (job.state, desktop.availability, made_for(site, "alice")) == ("finished", "available", 1)
    assert site.holder(desktop) == site.person("alice")


def test_keys_that_aws_refuses_before_it_made_anything_end_the_deployment(site: World) -> None:
    site.trouble("fail", "CreateWorkspaces", code="UnrecognizedClientException")
    desktop, job = wanted(site, site.person("alice"))
    site.work()
    job.refresh_from_db()
    assert (job.state, site.holder(desktop), "asked_at" in job.payload) == ("aborted", None, False)
    site.calm()


def test_a_listed_workspace_takes_over_wholly_or_not_at_all(site: World, monkeypatch: pytest.MonkeyPatch) -> None:
    site.scan()
    listed = site.of("bob")
    desktop, job = wanted(site, site.person("bob"))
    with monkeypatch.context() as broken:
        broken.setattr(deploy, "lend_this", lambda *_: (_ for _ in ()).throw(RuntimeError))
        site.work()
    job.refresh_from_db()
    desktop.refresh_from_db()
    assert (job.state, desktop.availability) == ("pending", "available")
    assert site.holder(desktop) == site.person("bob")
    site.go_on(60, 20)
    assert Assignment.objects.get(closed_at=None).desktop == listed
    assert Desktop.objects.get(pk=desktop.pk).availability == "deleted"
