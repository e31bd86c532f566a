"""What the viewer's page tells of the plans: what leaving brings about, and what idleness will."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.utils.timezone import localtime

from agents.models import Agent, AgentCommand
from broker.core.clock import now
from broker.core.models import Job
from gateways.models import Gateway
from plans.models import NEVER, PowerControlPlan, ReleasePlan
from tests.connect.browser_way import Site, site
from tests.gateways.conftest import edge, scripted, tls
from tests.gateways.scripted import Scripted

__all__ = ["edge", "scripted", "tls"]
pytestmark = pytest.mark.django_db


@pytest.fixture
def here(scripted: Scripted, edge: Gateway) -> Iterator[Site]:
    with site(scripted, edge) as made:
        yield made


def idles(here: Site, at: datetime, notice: dict[str, Any] | None = None, **more: Any) -> Job:
    """A plan logs out at that time, because of idleness."""
    due = {"do": "log_out", "at": at.isoformat(), "because": "idle", "since": now().isoformat(), "plan": "Idle",
           "detail": "", "source": "", "notice": notice}  # fmt: skip
    subject = f"desktop:{here.desktop.pk}"
    return Job.objects.create(kind="logout", subject=subject, run_at=at, created_at=now(), payload={"due": due, **more})


def test_the_page_says_what_leaving_brings_about(here: Site) -> None:
    page = here.browser.get(here.connect()).content.decode()
    assert 'data-leaving="It goes back to its pool when you log out. You are logged out when it goes back."' in page
    ReleasePlan.objects.update(logged_out_release=NEVER)
    page = here.browser.get(here.connect()).content.decode()
    assert 'data-leaving="Your desktop goes on as you left it."' in page
    PowerControlPlan.objects.update(disconnected_action="shutdown", disconnected_wait=600)
    page = here.browser.get(here.connect()).content.decode()
    assert 'data-leaving="It is shut down 10 minutes after you disconnect. It stays yours."' in page


def test_the_banner_says_what_idleness_will_bring(here: Site) -> None:
    here.connect()
    address = f"/launches/{here.launch().pk}/state/"
    assert here.browser.get(address).json() == {"notice": None}
    at = now() + timedelta(minutes=3)
    idles(here, at)
    said = here.browser.get(address).json()["notice"]
    assert said["words"] == f"You are logged out at {localtime(at):%H:%M}, unless you are active again."
    assert 170 < said["seconds"] <= 180


@pytest.mark.parametrize(("minutes", "reason"), [(-1, "was active in between"), (3, "held: agent silent")])
def test_the_banner_counts_down_to_nothing_that_does_not_come_at_its_time(
    here: Site, minutes: int, reason: str
) -> None:
    here.connect()
    job = idles(here, now() + timedelta(minutes=minutes))
    Job.objects.filter(pk=job.pk).update(reason=reason)
    assert here.browser.get(f"/launches/{here.launch().pk}/state/").json() == {"notice": None}


def test_the_banner_knows_of_the_time_that_was_asked_for_on_the_desktop(here: Site) -> None:
    here.connect()
    at = now() + timedelta(minutes=-27)
    agent = Agent.objects.create(
        uuid="00000000-0000-4000-8000-000000000009", key_digest="b" * 64, center=here.desktop.center,
        desktop=here.desktop, approved=True, registered_at=now(), last_seen=now(),
    )  # fmt: skip
    answered = AgentCommand.objects.create(
        agent=agent, type="message", detail="snooze", created_at=at, expires_at=at, done_at=at
    )
    idles(here, at, notice={"before": 300, "text": "", "more": 1}, commands=[[answered.pk]])
    said = here.browser.get(f"/launches/{here.launch().pk}/state/").json()["notice"]
    assert said["words"].startswith(f"You are logged out at {localtime(at + timedelta(minutes=30)):%H:%M}")
    assert 170 < said["seconds"] <= 180
