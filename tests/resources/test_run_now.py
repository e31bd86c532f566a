"""Run now and Cancel: what a plan asked for is judged first, and who may not is refused."""

import re
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from agents.models import Agent
from broker.connect import actions
from broker.core import jobs
from broker.core.clock import now
from broker.core.jobs import Kind, Wish, enqueue
from broker.core.models import Job, LogEntry, ref
from broker.resources.job_actions import why_not
from centers.models import Desktop
from plans.engine import Action, Due, Event
from pools.models import Assignment
from tests import make
from tests.resources.test_desktops_list import agent, session

pytestmark = pytest.mark.django_db
JOBS, DESKTOPS = "/system/jobs/", "/resources/desktops/"


@pytest.fixture
def admin(client: Client) -> Client:
    make.defaults()
    return make.admin_client(client)


@pytest.fixture
def held() -> Assignment:
    center = make.center()
    return make.assignment(make.user("ines", at=center.server), make.desktop(center))


def planned(of: Assignment, do: Action = Action.RELEASE, because: Event = Event.LOGGED_OUT, **more: Any) -> Job:
    """What a plan wants in an hour."""
    due = Due(do, now() + timedelta(hours=1), because, now() - timedelta(minutes=5), "Night")
    payload = {"due": due.as_json(), "assignment": of.pk, "epoch": "", "user": of.user_id, **more}
    kind = "release" if do is Action.RELEASE else "power"
    return enqueue(Wish(kind, ref(of.desktop), str(of.desktop), payload=payload, run_at=due.at, plan="Night"))


def pressed(client: Client, job: Job, action: str = "run_now") -> str:
    """What one is told."""
    return client.post(f"{JOBS}{job.pk}/{action}/", follow=True).content.decode()


def test_run_now_does_not_wait_for_the_plans_time(admin: Client, held: Assignment) -> None:
    job = planned(held)
    assert "runs as soon as a worker is free" in pressed(admin, job)
    assert LogEntry.objects.filter(event="job.run_now", desktop_ref=ref(held.desktop)).exists()
    assert jobs.work({"release": Kind(run=actions.run_release)}) == 1
    job.refresh_from_db()
    held.refresh_from_db()
    assert (job.state, held.closed_at is None) == ("finished", False)


def test_run_now_says_why_not_and_leaves_the_job_as_it_was(admin: Client, held: Assignment) -> None:
    ines = session(held.desktop, held.user)
    job = planned(held, Action.STOP, epoch=f"{ines.boot_id}:{ines.os_session}")
    before = job.run_at
    assert "is connected" in pressed(admin, job)
    job.refresh_from_db()
    assert (job.run_at, job.state, "now" in job.payload) == (before, "pending", False)
    assert not LogEntry.objects.filter(event="job.run_now").exists()


def test_run_now_does_not_stop_under_a_silent_agent(admin: Client, held: Assignment) -> None:
    agent(held.desktop, heard=False)
    job = planned(held, Action.STOP, because=Event.LOGGED_OUT)
    Agent.objects.update(last_seen=now() - timedelta(minutes=3))
    assert "held: agent silent since" in pressed(admin, job)


def test_run_now_judges_once_more_when_the_worker_comes_to_it(admin: Client, held: Assignment) -> None:
    job = planned(held)
    assert "runs as soon as" in pressed(admin, job)
    session(held.desktop, held.user)
    jobs.work({"release": Kind(run=actions.run_release)})
    job.refresh_from_db()
    assert (job.state, job.reason) == ("cancelled", "a newer session has begun")


def test_many_are_run_or_cancelled_at_once_and_each_says_why_not(admin: Client, held: Assignment) -> None:
    stop, let_go = planned(held, Action.STOP), planned(held)
    Desktop.objects.update(power="stopped")
    page = admin.post(f"{JOBS}actions/run_now/", {"ids": [stop.pk, let_go.pk]}, follow=True).content.decode()
    assert f"power {stop.pk} is not run now: it is already stopped or stopping." in page
    assert "Run now: 1 job." in page
    admin.post(f"{JOBS}actions/cancel/", {"ids": [stop.pk, let_go.pk]})
    assert {Job.objects.get(pk=each.pk).state for each in (stop, let_go)} == {"cancelled"}
    assert LogEntry.objects.filter(event="plan.job_cancelled", desktop_ref=ref(held.desktop)).count() == 2


def test_the_desktops_page_leads_back_to_itself_and_refreshes_in_place(admin: Client, held: Assignment) -> None:
    job = planned(held)
    page = f"{DESKTOPS}{held.desktop_id}/"
    part = admin.get(f"{page}next/").content.decode()
    assert "release to the pool, unless Ines returns" in part
    assert "Plan Night: 1 hour 5 minutes after log-out" in part
    assert part.count("<section") == 1
    answer = admin.post(f"{JOBS}{job.pk}/cancel/", {"next": page})
    assert answer["Location"] == page
    assert "Nothing is planned" in admin.get(f"{page}next/").content.decode()


def test_who_may_not_change_jobs_sees_the_future_and_no_buttons(client: Client, held: Assignment) -> None:
    make.defaults()
    job = planned(held)
    viewer = make.client_with(client, desktops="view", jobs="view")
    page = viewer.get(f"{DESKTOPS}{held.desktop_id}/").content.decode()
    assert "release to the pool" in page
    assert "Run now" not in page
    assert viewer.post(f"{JOBS}{job.pk}/run_now/").status_code == 403


def test_a_job_that_no_plan_asked_for_has_no_premise() -> None:
    assert why_not(Job(kind="poll", subject="center:1")) == ""


def test_users_see_when_and_cannot_cancel(client: Client) -> None:
    make.defaults()
    center = make.center()
    person = make.user("karl", at=center.server)
    policy = make.policy(make.pool(center))
    mine = make.assignment(make.grant(person, policy=policy), make.desktop(center))
    job = planned(mine)
    browser = make.signed_in(client, person, policy_row=policy)
    page = browser.get("/desktops/").content.decode()
    assert "It goes back to its pool at <time" in page
    assert "unless you come back" in page
    assert browser.post(f"{JOBS}{job.pk}/cancel/").status_code == 403
    job.refresh_from_db()
    assert job.state == "pending"
    cards = re.search(r"/desktops/states/\?cards=[^\"&]+", page)
    assert cards
    poll = browser.get(cards[0]).content.decode()
    assert f'id="coming-{mine.desktop_id}"' in poll
    assert "It goes back to its pool at <time" in poll
    Assignment.objects.filter(pk=mine.pk).update(user=make.user())
    assert "It goes back" not in browser.get(cards[0]).content.decode()


def test_of_a_hard_assigned_desktop_the_user_hears_of_the_hard_section(client: Client) -> None:
    make.defaults()
    center = make.center()
    policy = make.policy(make.pool(center))
    policy.hard_idle_log_out = 7200
    policy.save()
    person = make.grant(make.user(at=center.server), policy=policy)
    make.assignment(person, make.desktop(center), kind="hard")
    page = make.signed_in(client, person, policy_row=policy).get("/desktops/").content.decode()
    assert "You are logged out after 2 hours without activity, with a warning 2 minutes before." in page
    assert "It stays yours." in page
