"""System > Job Queue in words: a sentence a job, what it waits for, what its tries came to."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from broker.connect.job_words import asked_for, why_waiting
from broker.core import jobs
from broker.core.clock import now
from broker.core.jobs import Done, Failed, Kind, Later, Result
from broker.core.models import Job, Node, ref
from broker.handlers import HANDLERS
from tests import make
from tests.resources.test_run_now import planned
from tests.resources.test_system_pages import job

pytestmark = pytest.mark.django_db
JOBS = "/system/jobs/"


@pytest.fixture
def admin(client: Client) -> Client:
    make.defaults()
    Job.objects.all().delete()
    return make.admin_client(client)


def held_by(name: str) -> Any:
    center = make.center()
    return make.assignment(make.user(name, at=center.server), make.desktop(center))


def answering(result: Result) -> Kind:
    """A kind of job that always comes to this."""
    return Kind(run=lambda _: result)


def shown(client: Client, query: str) -> list[str]:
    """The kinds of the jobs of a narrowed list."""
    return sorted(row.record.kind for row in client.get(f"{JOBS}{query}").context["listing"].rows)


def test_a_row_is_a_sentence_with_user_and_plan(admin: Client) -> None:
    planned(held_by("vera"))
    job(kind="poll", plan="")
    page = admin.get(JOBS).content.decode()
    for words in ("Release to the pool, unless Vera returns", "Plan Night: 1 hour 5 minutes after log-out", "Scan the"):
        assert words in page, words
    body = admin.get(f"{JOBS}?format=csv").content.decode()
    assert "release to the pool, unless Vera returns" in body
    assert "<" not in body


def test_the_queue_is_narrowed_by_plan_time_and_hold(admin: Client) -> None:
    planned(held_by("wanda"))
    job(kind="poll", reason="held: agent silent since noon", run_at=now() + timedelta(minutes=1))
    job(kind="call_url", run_at=now() - timedelta(days=2))
    assert shown(admin, "?plan=nig") == ["release"]
    assert shown(admin, "?state=held") == ["poll"]
    assert shown(admin, "?state=late") == ["call_url"]
    assert shown(admin, f"?until={(now() - timedelta(days=1)):%Y-%m-%dT%H:%M}") == ["call_url"]
    assert shown(admin, f"?since={(now() + timedelta(minutes=30)):%Y-%m-%dT%H:%M}") == ["release"]


def test_a_jobs_page_tells_its_tries_with_reasons(admin: Client) -> None:
    answers: list[Result] = [Later("AWS is busy.", now()), Later("AWS is busy.", now()), Failed("AWS said no.")]
    one = job(kind="poll", run_at=now() - timedelta(minutes=1))
    for answer in answers:
        Job.objects.filter(state="pending").update(run_at=now())
        jobs.step({"poll": answering(answer)})
    one.refresh_from_db()
    assert [(each["state"], each["said"], each["times"]) for each in one.history] == [
        ("pending", "AWS is busy.", 2),
        ("aborted", "AWS said no.", 1),
    ]
    page = admin.get(f"{JOBS}{one.pk}/").content.decode()
    assert "Waits again: AWS is busy." in page
    assert "2 times since" in page
    assert page.index("AWS said no.") < page.index("Waits again")


def test_a_history_is_bounded_and_keeps_its_beginning() -> None:
    one = job(kind="poll", run_at=now())
    for number in range(100):
        Job.objects.filter(pk=one.pk).update(run_at=now())
        jobs.step({"poll": answering(Later(f"Try {number}", now()))})
        Job.objects.filter(pk=one.pk).update(run_at=now())
    one.refresh_from_db()
    said = [each["said"] for each in one.history]
    assert (len(said), said[0], said[-1]) == (30, "Try 0", "Try 99")


def test_the_page_of_a_job_leads_to_desktop_user_and_plan(admin: Client) -> None:
    held = held_by("xenia")
    plan = make.plan_rows()["release_plan"]
    one = planned(held)
    Job.objects.filter(pk=one.pk).update(plan=plan.name)
    page = admin.get(f"{JOBS}{one.pk}/").content.decode()
    for address in (
        f"/resources/desktops/{held.desktop_id}/", f"/resources/users/{held.user_id}/",
        f"/configuration/release-plans/{plan.pk}/",
    ):  # fmt: skip
        assert f'href="{address}"' in page, address


def test_a_job_page_refreshes_in_place_until_it_has_ended(admin: Client) -> None:
    one = job(kind="poll", run_at=now() + timedelta(hours=1))
    part = admin.get(f"{JOBS}{one.pk}/", headers={"HX-Request": "true"}).content.decode()
    assert part.count("<html") == 0
    assert "hx-get" in part
    jobs.cancel(Job.objects.all(), "moot")
    assert "hx-get" not in admin.get(f"{JOBS}{one.pk}/", headers={"HX-Request": "true"}).content.decode()


def test_why_a_job_waits_is_said(admin: Client) -> None:
    def why(**fields: Any) -> str:
        return str(admin.get(f"{JOBS}{job(**fields).pk}/").context["waits"])

    assert "no worker has been heard" in why()
    Node.objects.create(name="n1", kind="worker", seen_at=now())
    assert why() == "It is due: a worker takes it in a moment."
    assert why(run_at=now() + timedelta(hours=1)) == "Its time has not come."
    assert why(run_at=now() + timedelta(hours=1), reason="held: frozen") == "held: frozen"
    assert why(run_at=now() - timedelta(hours=1)).startswith("It is late")
    running = job(key="k", state="running", leased_until=now() + timedelta(minutes=1))
    assert f"waits for job {running.pk}" in why(key="k")
    assert "others that one call can do" in why(batch="power:1:stop")


def test_every_kind_has_words() -> None:
    assert all("_" not in asked_for(kind) for kind in HANDLERS)
    assert asked_for("power", "stop") == "shut down"
    assert why_waiting(now(), "", now() + timedelta(hours=1)).startswith("It is late")


def test_what_ended_well_is_told_in_the_history() -> None:
    machine = make.desktop(make.center())
    one = job(kind="poll", subject=ref(machine), run_at=now())
    jobs.step({"poll": answering(Done("All is well."))})
    one.refresh_from_db()
    assert [(each["state"], each["said"]) for each in one.history] == [("finished", "All is well.")]
