"""System > Job Queue and Log, Resources > Images, the dashboard, the search."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from broker.connect.models import Pin
from broker.core import audit
from broker.core.clock import now
from broker.core.jobs import Wish, enqueue
from broker.core.models import Job, LogEntry, ref
from centers.models import Desktop, Image
from policies.models import AssignmentRule, Policy
from tests import make
from tests.resources.test_desktops_list import agent, session

pytestmark = pytest.mark.django_db
JOBS, LOG, IMAGES = "/system/jobs/", "/system/log/", "/resources/images/"


@pytest.fixture
def admin(client: Client) -> Client:
    return make.admin_client(client)


def job(**fields: Any) -> Job:
    """A job as the queue would hold it."""
    made = {"kind": "poll", "subject": "center:1", "subject_name": "Center", "run_at": now(), "created_at": now()}
    return Job.objects.create(**{**made, **fields})


def statements(client: Client, address: str) -> int:
    """How many statements a page costs."""
    with CaptureQueriesContext(connection) as seen:
        assert client.get(address).status_code == 200
    return len(seen)


def shown(client: Client, address: str) -> set[str]:
    """The kinds of the jobs that a list shows."""
    return {row.record.kind for row in client.get(address).context["listing"].rows}


def test_the_queue_shows_what_waits_runs_and_was_aborted_lately(admin: Client) -> None:
    job(kind="waits")
    job(kind="runs", state="running", leased_until=now())
    job(kind="done", state="finished", finished_at=now())
    job(kind="off", state="cancelled", reason="moot", finished_at=now())
    job(kind="fresh", state="aborted", reason="no", finished_at=now())
    job(kind="old", state="aborted", reason="no", finished_at=now() - timedelta(days=2))
    assert shown(admin, JOBS) == {"waits", "runs", "fresh"}
    assert shown(admin, f"{JOBS}?state=all") == {"waits", "runs", "done", "off", "fresh", "old"}
    assert shown(admin, f"{JOBS}?state=cancelled") == {"off"}
    assert shown(admin, f"{JOBS}?kind=run") == {"runs"}


def test_the_lists_of_system_cost_the_same_for_100_rows(admin: Client) -> None:
    def entry() -> LogEntry:
        return audit.record("auth.login_ok", "x", user=make.user(at=center.server), desktop=make.desktop(center))

    center = make.center()
    job(), entry()
    few = [statements(admin, f"{address}?per_page=100") for address in (JOBS, LOG)]
    for _ in range(100):
        job(), entry()
    assert [statements(admin, f"{address}?per_page=100") for address in (JOBS, LOG)] == few
    assert max(few) <= 9


def test_a_waiting_job_is_run_now_or_cancelled(admin: Client) -> None:
    later = job(kind="call_url", run_at=now() + timedelta(hours=1))
    assert "runs as soon as" in admin.post(f"{JOBS}{later.pk}/run_now/", follow=True).content.decode()
    later.refresh_from_db()
    assert later.run_at <= now()
    admin.post(f"{JOBS}{later.pk}/cancel/")
    later.refresh_from_db()
    assert later.state == "cancelled"
    assert later.reason.startswith("cancelled by Admin")
    assert LogEntry.objects.filter(event="job.cancelled").exists()


@pytest.mark.parametrize("kind", ["poll", "housekeeping", "gateway_status"])
def test_what_comes_again_and_again_is_not_cancelled_and_its_chain_goes_on(admin: Client, kind: str) -> None:
    scan = job(kind=kind)
    said = admin.post(f"{JOBS}{scan.pk}/cancel/", follow=True).content.decode()
    assert f"{kind} {scan.pk} is not cancelled: it comes again and again." in said
    scan.refresh_from_db()
    assert scan.state == "pending"


def test_a_cancelled_deployment_leaves_neither_row_nor_assignment(admin: Client) -> None:
    center = make.center()
    desktop = make.desktop(center, ref=None, sighted_at=None)
    held = make.assignment(make.user(at=center.server), desktop, origin="deploy")
    deployment = job(kind="deploy", subject=ref(desktop), payload={"user_name": "alice"})
    admin.post(f"{JOBS}{deployment.pk}/cancel/")
    for row in (deployment, desktop, held):
        row.refresh_from_db()
    assert (deployment.state, desktop.availability, held.close_reason) == (
        "cancelled", "deleted", "deployment cancelled",
    )  # fmt: skip


@pytest.mark.parametrize("asked", [{"ref": "ws-1"}, {}])
def test_a_deployment_that_aws_was_asked_for_is_not_cancelled(admin: Client, asked: dict[str, str]) -> None:
    desktop = make.desktop(make.center(), **{"ref": None, **asked})
    payload = {} if asked else {"asked_at": now().isoformat()}
    deployment = job(kind="deploy", subject=ref(desktop), payload=payload)
    said = admin.post(f"{JOBS}{deployment.pk}/cancel/", follow=True).content.decode()
    assert "AWS was asked to make this desktop already" in said
    deployment.refresh_from_db()
    desktop.refresh_from_db()
    assert (deployment.state, desktop.availability) == ("pending", "available")


def test_what_was_never_made_is_deleted_from_the_list_once_no_job_works_on_it(admin: Client) -> None:
    ghost = make.desktop(make.center(), ref=None)
    deployment = job(kind="deploy", subject=ref(ghost))
    admin.post(f"/resources/desktops/{ghost.pk}/delete_list/", {"confirmed": "yes"})
    assert Desktop.objects.filter(pk=ghost.pk).exists()
    Job.objects.filter(pk=deployment.pk).update(state="aborted", reason="no")
    admin.post(f"/resources/desktops/{ghost.pk}/delete_list/", {"confirmed": "yes"})
    assert not Desktop.objects.filter(pk=ghost.pk).exists()


def test_an_aborted_job_is_tried_again_as_a_new_one(admin: Client) -> None:
    old = job(state="aborted", reason="AWS said no", finished_at=now(), payload={"op": "start"}, key="power:1:start")
    admin.post(f"{JOBS}{old.pk}/retry/")
    again = Job.objects.get(state="pending")
    assert (again.kind, again.payload, again.key) == (old.kind, old.payload, old.key)
    old.refresh_from_db()
    assert old.state == "aborted"


def test_a_job_page_shows_its_payload_without_secrets(admin: Client) -> None:
    machine = make.desktop(make.center())
    one = enqueue(
        Wish("power", ref(machine), str(machine), payload={"op": "stop", "password": "hunter2"}, plan="Night")
    )
    page = admin.get(f"{JOBS}{one.pk}/").content.decode()
    assert "stop" in page
    assert "Night" in page
    assert f"/resources/desktops/{machine.pk}/" in page
    assert "hunter2" not in page


def test_the_log_is_filtered_and_has_presets(admin: Client) -> None:
    person, machine = make.user("nils"), make.desktop(make.center())
    audit.record("auth.login_failed", "nils: wrong password", level="warning")
    audit.record("desktop.assigned", "Lent", user=person, desktop=machine, pool="Lab")
    audit.record("session.login", "In", desktop=machine)

    def events(query: str) -> list[str]:
        return [row.record.event for row in admin.get(f"{LOG}{query}").context["listing"].rows]

    assert events("?event=auth.login_failed") == ["auth.login_failed"]
    assert events(f"?user=user:{person.pk}") == ["desktop.assigned"]
    assert events("?user=nils") == ["desktop.assigned"]
    assert set(events(f"?desktop=desktop:{machine.pk}")) == {"desktop.assigned", "session.login"}
    assert events("?level=warning") == ["auth.login_failed"]
    assert events("?client=10.") == []
    assert events(f"?since={(now() + timedelta(hours=1)):%Y-%m-%dT%H:%M}") == []
    assert "Failed sign-ins" in admin.get(LOG).content.decode()
    assert "Lab" in admin.get(f"{LOG}?columns=pool_name").content.decode()
    body = admin.get(f"{LOG}?format=csv").content.decode()
    assert "desktop.assigned" in body
    assert "<" not in body


def test_an_entry_shows_before_and_after(admin: Client) -> None:
    entry = audit.record("admin.object_updated", "Updated", changes={"display_name": ("Old", "New")})
    page = admin.get(f"{LOG}{entry.pk}/").content.decode()
    assert "display name" in page
    assert "Old" in page
    assert "New" in page


def image(**fields: Any) -> Image:
    """A custom bundle."""
    number = next(make.numbers)
    return Image.objects.create(
        **{"center": make.center(), "ref": f"wsb-{number:09d}", "name": f"Image {number}", **fields}
    )


def test_images_are_marked_and_lead_to_deploy(admin: Client) -> None:
    one = image(name="Design")
    page = admin.get(IMAGES).content.decode()
    assert "Unknown" in page
    assert f"/setup/centers/{one.center_id}/deploy/?image={one.pk}" in page
    admin.post(f"{IMAGES}{one.pk}/core/")
    one.refresh_from_db()
    assert one.is_core is True
    assert admin.post(f"{IMAGES}{one.pk}/", {"is_core": "unknown"}).status_code == 303
    one.refresh_from_db()
    assert one.is_core is None
    assert [row.record for row in admin.get(f"{IMAGES}?is_core=unknown").context["listing"].rows] == [one]


def test_images_cost_the_same_for_100_rows(admin: Client) -> None:
    first = image()
    few = statements(admin, f"{IMAGES}?per_page=100")
    for _ in range(100):
        make.desktop(first.center, image=image())
    assert statements(admin, f"{IMAGES}?per_page=100") == few


def test_the_dashboard_counts_and_links(admin: Client) -> None:
    make.defaults()
    center, person = make.center(name="Main center", status="offline", status_reason="The keys are wrong."), make.user()
    used, idle = make.desktop(center), make.desktop(center)
    make.desktop(center, power="stopped", raw_state="STOPPED")
    make.assignment(person, used)
    session(used, person, rogue=True)
    agent(idle, heard=False)
    job(run_at=now() - timedelta(hours=1))
    job(run_at=now() + timedelta(hours=1), reason="held: agent silent")
    audit.record("auth.login_failed", "x")
    audit.record("auth.login_ok", "x")
    make.user(at=make.server())
    Pin.objects.create(desktop=used, port=3389, sha256="cd" * 32, other="ef" * 32, since=now())
    tiles = {tile.label: tile.value for tile in admin.get("/dashboard/").context["tiles"]}
    assert tiles == {
        "Desktops": 3, "Assigned": 1, "Free": 2, "Sessions now": 1, "Rogue sessions": 1, "Waiting for a desktop": 0,
        "Jobs held": 1, "Running without a session": 1, "Silent agents": 1, "Changed certificates": 1,
        "Jobs late": 1, "Jobs aborted": 0, "Failed sign-ins": 1, "People without a rule": 1,
    }  # fmt: skip
    answer = admin.get("/dashboard/")
    assert "The keys are wrong." in answer.content.decode()
    assert sum(number for _, number in answer.context["hours"]) == 1
    for tile in answer.context["tiles"]:
        behind = admin.get(tile.address)
        assert behind.status_code == 200
        if tile.label != "Sessions now":
            assert behind.context["listing"].total == tile.value, tile.label


def test_the_dashboard_costs_the_same_whatever_there_is(admin: Client) -> None:
    center = make.center()
    make.desktop(center)
    few = statements(admin, "/dashboard/")
    for _ in range(30):
        (
            make.desktop(center),
            make.user(at=center.server),
            make.center(center.server, directory_id=f"d-{next(make.numbers):010x}"),
            job(),
        )
    assert statements(admin, "/dashboard/") == few
    assert few <= 22


def test_the_first_steps_go_away_when_all_are_done(admin: Client) -> None:
    make.defaults()
    page = admin.get("/dashboard/").content.decode()
    assert "First steps" in page
    assert "Add an authentication server" in page
    server = make.server()
    center = make.center(server)
    make.user(at=server), make.desktop(center), make.pool(center)
    plans = make.plan_rows()
    for plan in (plans["power_plan"], plans["release_plan"]):
        type(plan).objects.create(name="Own")
    AssignmentRule.objects.create(server=server, role=make.role(), policy=Policy.objects.create(name="Own"))
    assert [step.key for step in admin.get("/dashboard/").context["checklist"] if not step.done] == ["test"]
    audit.record("admin.test_login", "x")
    assert "First steps" not in admin.get("/dashboard/").content.decode()


def test_the_search_finds_what_one_may_see(admin: Client) -> None:
    center = make.center(name="Needle center")
    make.desktop(center, display_name="Needle desktop")
    make.user("needle")
    make.pool(center, name="Needle pool")
    Policy.objects.create(name="Needle policy")
    page = admin.get("/search/?q=needle").content.decode()
    for kind in ("desktop", "pool", "policy", "center"):
        assert f"Needle {kind}" in page
    assert admin.get("/search/?search=needle").content.decode().count("Needle") >= 5
    assert "Nothing here matches" in admin.get("/search/?q=haystack").content.decode()
    narrow = make.client_with(Client(), pools="view").get("/search/?q=needle").content.decode()
    assert "Needle pool" in narrow
    assert "Needle desktop" not in narrow
    assert make.signed_in(Client(), make.user()).get("/search/?q=needle").status_code == 403


@pytest.mark.parametrize(
    ("address", "area"), [(JOBS, "jobs"), (LOG, "log"), (IMAGES, "images"), ("/dashboard/", "dashboard")]
)
def test_each_page_needs_its_permission(client: Client, address: str, area: str) -> None:
    assert make.client_with(client, **{area: "view"}).get(address).status_code == 200
    assert make.client_with(Client(), policies="edit").get(address).status_code == 403


def test_whoever_may_only_look_cannot_cancel(client: Client) -> None:
    waiting = job()
    assert make.client_with(client, jobs="view").post(f"{JOBS}{waiting.pk}/cancel/").status_code == 403
