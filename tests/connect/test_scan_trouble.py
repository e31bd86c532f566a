"""A center in trouble, scans that break, and the next scan: what the center says, and what is not lost (RULES 5)."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from broker.connect import inventory
from broker.connect.models import PortalSession
from broker.core import jobs
from broker.core.clock import now
from broker.core.fields import set_secret
from broker.core.models import Job
from broker.demo.aws import constants
from broker.handlers import HANDLERS
from centers.models import Desktop
from centers.services import ask_for_scan
from tests.connect.world import World, world

pytestmark = pytest.mark.django_db


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    with world(monkeypatch) as made:
        yield made


@pytest.mark.parametrize(
    ("kind", "more", "words"),
    [
        ("garbage", {}, "AWS"),
        ("throttle", {}, "AWS"),
        ("fail", {"code": "UnrecognizedClientException", "message": "The security token is invalid."}, ""),
        ("fail", {"code": "AccessDeniedException", "message": "not authorized"}, ""),
    ],
)
def test_a_center_in_trouble_says_why_and_loses_nothing(
    site: World, kind: str, more: dict[str, Any], words: str
) -> None:
    bob = site.person("bob")
    site.scan()
    site.trouble(kind, **more)
    for _ in range(3):
        site.scan()
    assert site.center.status == "offline"
    assert words in site.center.status_reason
    assert len(site.center.status_reason) > 20
    assert site.holder(site.of("bob")) == bob
    assert set(Desktop.objects.values_list("availability", flat=True)) == {"available"}


def test_a_wrong_secret_key_is_said_on_the_center(site: World) -> None:
    site.scan()
    set_secret(site.center, "secret_key", "wrong/" * 7)
    site.center.save()
    site.scan()
    assert site.center.status == "offline"
    assert "wrong/" not in site.center.status_reason


def test_an_unknown_directory_is_said_on_the_center(site: World) -> None:
    site.center.directory_id = "d-9067ffffff"
    site.center.save()
    site.scan()
    assert "d-9067ffffff" in site.center.status_reason
    assert site.center.status == "offline"


def test_an_unreachable_endpoint_is_said_on_the_center(site: World, monkeypatch: pytest.MonkeyPatch) -> None:
    site.scan()
    monkeypatch.setenv("AWS_ENDPOINT_URL_WORKSPACES", "http://127.0.0.1:9")
    site.scan()
    assert site.center.status == "offline"
    assert Desktop.objects.filter(availability="available").count() == 8


def test_the_next_scan_is_queued_in_the_same_transaction_and_only_one_at_a_time(site: World) -> None:
    Job.objects.all().delete()
    scan = ask_for_scan(site.center)
    site.work()
    scan.refresh_from_db()
    assert scan.state == "finished"
    following = Job.objects.get(kind="poll", state="pending")
    assert following.run_at - now() == timedelta(minutes=site.center.refresh_minutes)
    assert constants.SECRET_KEY not in str(list(Job.objects.values()))
    assert not PortalSession.objects.exists()


def polled(site: World) -> Job:
    """A scan that a worker has taken."""
    ask_for_scan(site.center)
    return next(job for job in jobs.claim(HANDLERS) if job.kind == "poll")


def test_a_scan_that_raises_leaves_no_center_scanning(site: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inventory, "settle_waiting", lambda _: (_ for _ in ()).throw(RuntimeError("a bug")))
    jobs.run([polled(site)], HANDLERS["poll"])
    site.center.refresh_from_db()
    assert (site.center.status, site.center.status_reason) == ("offline", inventory.BROKE_OFF)


def test_a_scan_that_lost_its_lease_says_nothing_of_the_center(site: World) -> None:
    job = polled(site)
    Job.objects.filter(pk=job.pk).update(tries=2)  # another worker has taken it over
    inventory.poll(job)
    site.center.refresh_from_db()
    assert (site.center.status, site.center.scanned_at) == ("scanning", None)
