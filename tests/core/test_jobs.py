"""The queue: leases, keys, batches, back-off, fencing."""

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from celery import current_app
from django.db import IntegrityError, transaction
from kombu.exceptions import OperationalError

from broker.core import jobs
from broker.core.clock import now
from broker.core.jobs import Done, Failed, Kind, Later, Moot, Result, Wish, enqueue
from broker.core.models import Job

pytestmark = pytest.mark.django_db


@pytest.fixture
def clock() -> Any:
    with time_machine.travel(now(), tick=False) as stopped:
        yield stopped


def kind(result: Result | Callable[[Job], Result], **options: object) -> dict[str, Kind]:
    """A kind "thing" that always answers the same."""
    run = result if callable(result) else lambda job: result
    return {"thing": Kind(run=run, **options)}  # type: ignore[arg-type]


def only() -> Job:
    return Job.objects.get()


def test_a_due_job_is_run_once(clock: Any) -> None:
    enqueue(Wish("thing"))
    assert jobs.work(kind(Done("well"))) == 1
    assert jobs.work(kind(Done("again"))) == 0
    assert (only().state, only().message, only().tries) == ("finished", "well", 1)


def test_a_job_of_later_waits_for_its_time(clock: Any) -> None:
    enqueue(Wish("thing", run_at=now() + timedelta(minutes=10)))
    assert jobs.work(kind(Done())) == 0
    clock.shift(600)
    assert jobs.work(kind(Done())) == 1


def test_a_kind_that_nobody_knows_is_left_alone() -> None:
    enqueue(Wish("other"))
    assert jobs.work(kind(Done())) == 0


def test_one_pending_job_per_key_and_a_sooner_wish_moves_it_forward(clock: Any) -> None:
    first = enqueue(Wish("thing", key="k", run_at=now() + timedelta(hours=1)))
    second = enqueue(Wish("thing", key="k"))
    assert first.pk == second.pk
    assert only().run_at == now()


def test_a_wish_that_comes_while_one_runs_is_not_lost_and_waits(clock: Any) -> None:
    enqueue(Wish("thing", key="k"))
    running = jobs.claim(kind(Done()))[0]
    later = enqueue(Wish("thing", key="k"))
    assert later.pk != running.pk
    assert jobs.claim(kind(Done())) == []
    jobs.settle(running, Kind(), Done())
    assert jobs.claim(kind(Done()))[0].pk == later.pk


def test_a_dead_workers_job_is_taken_over_in_place_when_its_lease_ends(clock: Any) -> None:
    enqueue(Wish("thing", key="k"))
    dead = jobs.claim(kind(Done()))[0]
    assert jobs.work(kind(Done())) == 0
    clock.shift(61)
    assert jobs.work(kind(Done("by the second"))) == 1
    assert (only().pk, only().tries, only().message) == (dead.pk, 2, "by the second")


def test_a_worker_that_outlived_its_lease_writes_over_nobody(clock: Any) -> None:
    enqueue(Wish("thing"))
    slow = jobs.claim(kind(Done()))[0]
    clock.shift(61)
    jobs.claim(kind(Done()))
    assert not jobs.settle(slow, Kind(), Done("too late"))
    assert not jobs.beat(slow, Kind())
    assert only().state == "running"


def test_a_heartbeat_prolongs_the_lease(clock: Any) -> None:
    enqueue(Wish("thing"))
    job = jobs.claim(kind(Done()))[0]
    clock.shift(50)
    assert jobs.beat(job, Kind())
    clock.shift(50)
    assert jobs.work(kind(Done())) == 0


@pytest.mark.parametrize(("result", "state"), [(Moot("not wanted"), "cancelled"), (Failed("impossible"), "aborted")])
def test_a_job_that_does_not_come_to_its_effect_says_why(result: Result, state: str) -> None:
    enqueue(Wish("thing"))
    jobs.work(kind(result))
    assert (only().state, bool(only().reason), bool(only().finished_at)) == (state, True, True)


def test_the_database_refuses_a_cancelled_job_without_a_reason() -> None:
    enqueue(Wish("thing"))
    with pytest.raises(IntegrityError), transaction.atomic():
        Job.objects.update(state="cancelled")


def test_a_held_job_stays_pending_with_its_reason_and_backs_off(clock: Any) -> None:
    enqueue(Wish("thing"))
    waits = []
    for _ in range(12):
        jobs.work(kind(Later("AWS is busy")))
        waits.append((only().run_at - now()).total_seconds())
        clock.shift(only().run_at - now())
    assert only().state == "pending"
    assert only().reason == "AWS is busy"
    assert waits[0] < 3
    assert all(wait <= 360 for wait in waits)


def test_only_kinds_that_give_up_end_at_their_deadline(clock: Any) -> None:
    enqueue(Wish("thing"))
    jobs.work(kind(Later("no"), deadline=timedelta(minutes=5)))
    clock.shift(600)
    jobs.work(kind(Later("no"), deadline=timedelta(minutes=5)))
    assert only().state == "pending"
    clock.shift(600)
    jobs.work(kind(Later("no"), deadline=timedelta(minutes=5), gives_up=True))
    assert only().state == "aborted"


def test_a_job_that_raises_is_set_aside_and_the_others_go_on() -> None:
    def broken(job: Job) -> Result:
        raise RuntimeError("a bug")

    enqueue(Wish("thing"))
    enqueue(Wish("fine"))
    jobs.work({**kind(broken), "fine": Kind(run=lambda job: Done("fine"))})
    assert set(Job.objects.values_list("state", flat=True)) == {"pending", "finished"}
    assert "RuntimeError" in Job.objects.get(state="pending").reason


def test_a_recurring_job_ends_and_inserts_its_successor(clock: Any) -> None:
    enqueue(Wish("thing", subject="center:1", key="k"))
    jobs.work(kind(lambda job: Done("scanned", now() + timedelta(minutes=2))))
    assert list(Job.objects.order_by("pk").values_list("state", "key", "subject")) == [
        ("finished", "k", "center:1"),
        ("pending", "k", "center:1"),
    ]


def test_a_batch_collects_for_a_second_and_each_item_has_its_own_outcome(clock: Any) -> None:
    seen: list[int] = []

    def call(items: Sequence[Job]) -> list[Result]:
        seen.append(len(items))
        return [Done() if number else Failed("refused") for number, _ in enumerate(items)]

    kinds = {"power": Kind(run_batch=call)}
    for _ in range(30):
        enqueue(Wish("power", batch="power:1:stop"))
    assert jobs.work(kinds) == 0
    clock.shift(1.1)
    jobs.work(kinds)
    assert seen == [25, 5]
    assert Job.objects.filter(state="aborted").count() == 2


def test_a_person_who_waits_skips_the_collect_window(clock: Any) -> None:
    enqueue(Wish("power", batch="power:1:start", priority=jobs.URGENT))
    assert jobs.work({"power": Kind(run_batch=lambda items: [Done() for _ in items])}) == 1


def test_pending_jobs_can_be_cancelled_with_a_reason_and_running_ones_cannot() -> None:
    enqueue(Wish("thing"))
    enqueue(Wish("thing", run_at=now() + timedelta(hours=1)))
    jobs.claim(kind(Done()))
    assert jobs.cancel(Job.objects.all(), "by an administrator") == 1
    assert sorted(Job.objects.values_list("state", flat=True)) == ["cancelled", "running"]


def test_a_messenger_that_is_away_does_not_fail_the_request_and_is_left_alone_for_a_while(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tries = []

    def away(*_: object, **__: object) -> None:
        tries.append(1)
        raise OperationalError("Redis is away")

    monkeypatch.setattr(jobs, "_away_until", 0.0)
    monkeypatch.setattr(current_app, "send_task", away)
    for _ in range(5):
        jobs.wake()
    assert len(tries) == 1
    monkeypatch.setattr(jobs, "REST", -1.0)
    monkeypatch.setattr(jobs, "_away_until", 0.0)  # the while is over
    for _ in range(2):
        jobs.wake()
    assert len(tries) == 3


def test_a_transaction_wakes_the_workers_once(
    monkeypatch: pytest.MonkeyPatch, django_capture_on_commit_callbacks: Any
) -> None:
    with django_capture_on_commit_callbacks() as calls, transaction.atomic():
        for _ in range(3):
            enqueue(Wish("thing"))
    assert calls == [jobs.wake]


def test_a_batch_is_looked_at_when_it_has_collected_its_items_and_not_with_the_next_sweep(
    monkeypatch: pytest.MonkeyPatch, django_capture_on_commit_callbacks: Any
) -> None:
    sent: list[Any] = []
    monkeypatch.setattr(current_app, "send_task", lambda name, **more: sent.append(more["countdown"]))
    with django_capture_on_commit_callbacks(execute=True), transaction.atomic():
        for number in range(3):
            enqueue(Wish("thing", batch="b", key=str(number)))
        enqueue(Wish("thing", batch="b", key="urgent", priority=jobs.URGENT))
    assert sent == [None, jobs.BATCH_WINDOW.total_seconds()]


def test_a_batch_gets_its_whole_lease_again_save_what_a_successor_has_taken(clock: Any) -> None:
    for _ in range(2):
        enqueue(Wish("thing"))
    kinds = kind(Done())
    held, lost = jobs.claim(kinds)[0], jobs.claim(kinds)[0]
    Job.objects.filter(pk=lost.pk).update(tries=2)
    clock.shift(30)
    jobs.prolong([held, lost], timedelta(seconds=60))
    leases = {job.pk: job.leased_until for job in Job.objects.all()}
    assert leases == {held.pk: now() + timedelta(seconds=60), lost.pk: now() + timedelta(seconds=30)}


def test_what_is_only_rows_is_committed_with_the_jobs_end_or_not_at_all(clock: Any) -> None:
    def half(job: Job) -> Result:
        enqueue(Wish("effect"))
        raise RuntimeError("in the middle")

    enqueue(Wish("thing"))
    jobs.work(kind(half, rows_only=True))
    assert not Job.objects.filter(kind="effect").exists()
    assert (only().state, only().reason) == ("pending", "It raised RuntimeError; the log has the details.")


def test_a_worker_that_has_lost_its_lease_leaves_no_rows_behind(clock: Any) -> None:
    def overtaken(job: Job) -> Result:
        enqueue(Wish("effect"))
        Job.objects.filter(pk=job.pk).update(tries=job.tries + 1)  # as its successor does
        return Done()

    made = enqueue(Wish("thing"))
    jobs.step(kind(overtaken, rows_only=True))
    assert list(Job.objects.values_list("pk", "state")) == [(made.pk, "running")]


def test_a_job_that_looked_a_thousand_times_can_still_back_off(clock: Any) -> None:
    enqueue(Wish("thing"))
    Job.objects.update(tries=5000, setbacks=5000)
    jobs.work(kind(Later("AWS is busy")))
    assert only().state == "pending"
    assert only().run_at - now() <= timedelta(minutes=6)


def test_a_job_that_has_looked_every_second_and_raises_once_is_tried_again_soon(clock: Any) -> None:
    def looks(job: Job) -> Result:
        if job.tries % 10 == 0:
            raise RuntimeError("a deadlock")
        return Later("one person waits", now() + jobs.A_MOMENT)

    enqueue(Wish("thing"))
    waits = []
    for _ in range(30):
        jobs.work(kind(looks))
        waits.append((only().run_at - now()).total_seconds())
        clock.shift(only().run_at - now())
    assert all(wait < 3 for wait in waits)


def test_later_is_never_now(clock: Any) -> None:
    enqueue(Wish("thing"))
    jobs.work(kind(lambda job: Later("held", now() - timedelta(hours=1))))
    assert only().run_at == now() + jobs.A_MOMENT


def test_an_urgent_wish_makes_the_one_that_stands_urgent(clock: Any) -> None:
    enqueue(Wish("power", key="k", batch="b"))
    enqueue(Wish("power", key="k", batch="b", priority=jobs.URGENT))
    assert jobs.work({"power": Kind(run_batch=lambda items: [Done() for _ in items])}) == 1


def test_a_batch_that_somebody_else_collects_holds_no_other_job_up(clock: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    enqueue(Wish("power", batch="b", priority=jobs.URGENT))
    enqueue(Wish("thing"))
    monkeypatch.setattr(jobs, "lock_batch", lambda batch: False)
    kinds = {**kind(Done()), "power": Kind(run_batch=lambda items: [Done() for _ in items])}
    assert jobs.work(kinds) == 1
    assert Job.objects.get(kind="thing").state == "finished"


def test_a_note_is_kept_for_whoever_takes_the_job_over(clock: Any) -> None:
    enqueue(Wish("thing", payload={"a": 1}))
    first = jobs.claim(kind(Done()))[0]
    assert jobs.note(first, asked_at="now")
    clock.shift(61)
    second = jobs.claim(kind(Done()))[0]
    assert second.payload == {"a": 1, "asked_at": "now"}
    assert not jobs.note(first, asked_at="late")
