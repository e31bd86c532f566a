"""The worker: a sign of life and the inbox between jobs, and threads that stay free for what a person waits for."""

from collections.abc import Iterator

import pytest

from broker import tasks
from broker.connect import events
from broker.core import jobs
from broker.core.jobs import Done, Kind, Wish, enqueue
from broker.core.models import Job, Node
from broker.handlers import HANDLERS

pytestmark = pytest.mark.django_db


@pytest.fixture
def done(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """What was done, in order; every kind is done at once."""
    order: list[str] = []

    def run(job: Job) -> Done:
        order.append(job.kind)
        return Done()

    def hear() -> int:
        order.append("inbox")
        return 0

    for name in ("QUICK", "FIRST", "REST"):
        monkeypatch.setattr(tasks, name, {kind: Kind(run=run) for kind in getattr(tasks, name)})
    monkeypatch.setattr(events, "drain_round", hear)
    yield order


def test_the_inbox_is_heard_and_a_sign_of_life_given_between_two_jobs(done: list[str]) -> None:
    enqueue(Wish("release"))
    enqueue(Wish("lock"))
    tasks.work()
    assert done == ["inbox", "release", "inbox", "lock", "inbox"]
    assert Node.objects.get().kind == "worker"


def test_agents_that_talk_all_the_time_keep_no_job_waiting(done: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    said = iter([3] * 5)
    monkeypatch.setattr(events, "drain_round", lambda: next(said, 0))
    enqueue(Wish("release"))
    tasks.one_round(long=False)
    assert done == ["release"]
    tasks.work()
    assert next(said, None) is None


def test_the_other_threads_leave_long_work_alone_while_two_do_it(done: list[str]) -> None:
    for kind in ("poll", "deploy", "power"):
        enqueue(Wish(kind))
    taken = [tasks.slots.acquire(blocking=False) for _ in range(tasks.LONG_AT_ONCE)]
    try:
        tasks.work()
    finally:
        for _ in taken:
            tasks.slots.release()
    assert [each for each in done if each != "inbox"] == ["power"]
    tasks.work()
    assert sorted(set(done)) == ["deploy", "inbox", "poll", "power"]


def test_a_crowd_that_signs_in_keeps_no_scan_and_no_deployment_waiting(done: list[str]) -> None:
    for _ in range(40):
        enqueue(Wish("session_start"))
    enqueue(Wish("poll"))
    enqueue(Wish("deploy"))
    tasks.work()
    assert [each for each in done if each != "inbox"] == ["poll", "deploy", *["session_start"] * 40]


def test_one_thread_at_a_time_tells_of_sign_ins_and_the_other_long_one_stays_free(
    done: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A scan falls due while a URL of a sign-in hangs, and more sign-ins wait: another thread does the scan alone."""
    monkeypatch.setattr(events, "drain_round", lambda: 0)

    def hang(job: Job) -> Done:
        if not done:
            done.append("hangs")
            enqueue(Wish("poll"))
            tasks.work()
        done.append(job.kind)
        return Done()

    monkeypatch.setattr(tasks, "REST", {"session_start": Kind(run=hang)})
    enqueue(Wish("session_start"))
    enqueue(Wish("session_start"))
    tasks.work()
    assert done == ["hangs", "poll", "session_start", "session_start"]


def test_every_kind_of_job_is_done_by_some_thread() -> None:
    assert {*tasks.FIRST, *tasks.REST} == set(HANDLERS)
    assert not tasks.LONG - set(HANDLERS)


def test_a_round_that_fails_gives_its_place_back(done: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "step", lambda _: (_ for _ in ()).throw(RuntimeError))
    for _ in range(tasks.LONG_AT_ONCE + 1):
        with pytest.raises(RuntimeError):
            tasks.work()
    for held in (tasks.slots, tasks.last):
        assert held.acquire(blocking=False)
        held.release()
