"""Every minute: silent agents are marked, rows past their time are removed, a bounded number each time (SPEC A.6)."""

from datetime import timedelta

import pytest
from django.contrib.sessions.models import Session

from agents.models import Agent
from broker.connect import housekeeping
from broker.core import jobs
from broker.core.clock import now
from broker.core.jobs import Wish, enqueue
from broker.core.models import Attempt, Job, LogEntry
from broker.handlers import HANDLERS
from centers.services import ask_for_scan
from tests import make

pytestmark = pytest.mark.django_db


def test_it_runs_again_a_minute_later() -> None:
    enqueue(Wish("housekeeping", key="housekeeping"))
    jobs.work(HANDLERS)
    following = Job.objects.get(state="pending", kind="housekeeping")
    assert timedelta(seconds=55) < following.run_at - now() <= timedelta(seconds=60)


def test_an_agent_that_was_not_heard_for_95_seconds_is_silent_and_not_idle() -> None:
    desktop = make.desktop(make.center())
    for number, age in enumerate((94, 96)):
        Agent.objects.create(
            uuid=f"00000000-0000-4000-8000-00000000000{number}", key_digest=f"{number:064d}", center=desktop.center,
            approved=True, registered_at=now(), last_seen=now() - timedelta(seconds=age),
        )  # fmt: skip
    housekeeping.run(Job())
    assert list(Agent.objects.order_by("pk").values_list("silent", flat=True)) == [False, True]


def test_machines_that_wait_for_approval_are_forgotten_when_they_ask_no_more() -> None:
    for number, age in enumerate((13, 15)):
        Agent.objects.create(
            uuid=f"00000000-0000-4000-8000-00000000000{number}", key_digest=f"{number:064d}", center=make.center(),
            registered_at=now() - timedelta(days=90), last_seen=now() - timedelta(days=age),
        )  # fmt: skip
    housekeeping.clear()
    assert [agent.key_digest for agent in Agent.objects.all()] == [f"{0:064d}"]


@pytest.mark.parametrize(
    ("level", "days", "kept"),
    [
        ("information", 89, True),
        ("information", 91, False),
        ("warning", 91, True),
        ("warning", 181, False),
        ("error", 364, True),
        ("error", 366, False),
    ],
)
def test_the_log_is_kept_by_its_level(level: str, days: int, kept: bool) -> None:
    entry = LogEntry.objects.create(at=now() - timedelta(days=days), level=level, event="x", message="x")
    housekeeping.clear()
    assert LogEntry.objects.filter(pk=entry.pk).exists() == kept


def test_ended_jobs_go_and_open_ones_stay_however_old() -> None:
    old = now() - timedelta(days=40)
    for state in ("finished", "cancelled", "aborted", "pending"):
        Job.objects.create(
            kind="x", state=state, reason="x", created_at=old, run_at=old,
            finished_at=None if state == "pending" else old,
        )  # fmt: skip
    housekeeping.clear()
    assert list(Job.objects.filter(kind="x").values_list("state", flat=True)) == ["pending"]


def test_failed_sign_ins_are_forgotten_after_a_quarter_of_an_hour(monkeypatch: pytest.MonkeyPatch) -> None:
    Attempt.objects.create(login="x", address="x", at=now() - timedelta(minutes=16))
    assert housekeeping.clear() == 1
    monkeypatch.setattr(housekeeping, "AT_ONCE", 2)
    for _ in range(3):
        LogEntry.objects.create(at=now() - timedelta(days=400), level="error", event="x", message="x")
    assert housekeeping.clear() == 2


def test_expired_browser_sessions_go() -> None:
    for key, hours in (("old", -1), ("open", 1)):
        Session.objects.create(session_key=key, session_data="", expire_date=now() + timedelta(hours=hours))
    housekeeping.clear()
    assert list(Session.objects.values_list("session_key", flat=True)) == ["open"]


def test_a_center_without_a_scan_to_come_gets_one_again() -> None:
    scanned, quiet, waiting = make.center(), make.center(refresh_minutes=0), make.center()
    ask_for_scan(waiting)
    housekeeping.run(Job())
    housekeeping.run(Job())
    keys = Job.objects.filter(kind="poll", state="pending").order_by("key").values_list("key", flat=True)
    assert list(keys) == sorted([f"poll:{scanned.pk}", f"poll:{waiting.pk}"])
    assert f"poll:{quiet.pk}" not in keys
