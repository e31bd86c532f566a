"""The queue: rows of `Job`, taken under a lease, ended by whoever still holds it (DESIGN 3, CONTRACTS 5.3-5.6).

Celery only says "there is work"; which work is decided here. A handler takes the job (or, for a batched kind, the jobs
that are done by one call) and answers with one of the four results below. It may be run again after a crash, so it
checks its premise first and makes its effects repeatable.
"""

import logging
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import reduce
from operator import or_
from typing import Any

from celery import current_app
from django.conf import settings
from django.db import IntegrityError, connection, transaction
from django.db.models import Exists, OuterRef, Q, QuerySet
from kombu.exceptions import OperationalError

from broker.core.clock import now
from broker.core.context import Work, current, working
from broker.core.models import Job

log = logging.getLogger(__name__)

BATCH_WINDOW = timedelta(seconds=1)  # how long a batch collects its items (CONTRACTS X13)
BATCH_SIZE = 25  # what one WorkSpaces call takes (AWS API: StopWorkspaces)
A_MOMENT = timedelta(seconds=1)  # the least that "later" means: no worker spins on one job
HISTORY = 28  # lines of a job's history that are kept between its first and its last
URGENT = 10  # a person waits for it: no window, first in line
REST = 5.0  # seconds without a message after one that failed: the sweep finds the work meanwhile
_away_until = 0.0


@dataclass(frozen=True, slots=True)
class Done:
    """It is done; `again_at` inserts the next run in the same transaction (recurring jobs)."""

    message: str = ""
    again_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Later:
    """Not now: stays Pending with the reason. Without `at` the row's own back-off decides."""

    reason: str
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Moot:
    """No longer wanted: Cancelled with the reason."""

    reason: str


@dataclass(frozen=True, slots=True)
class Failed:
    """It cannot be done: Aborted with the reason."""

    reason: str


Result = Done | Later | Moot | Failed


@dataclass(frozen=True, slots=True)
class Kind:
    """How one kind of job is done. Exactly one of `run` and `run_batch` is given.

    `lease` is the longest network time-out of the kind and 30 s; `gives_up` kinds end Aborted at their deadline, all
    others stay Pending, late and visible. What `rows_only` kinds do is rows and nothing else: it is committed together
    with the job's end, so a worker that dies or has lost its lease leaves nothing half done, and nothing is done twice.
    """

    run: Callable[[Job], Result] | None = None
    run_batch: Callable[[Sequence[Job]], Sequence[Result]] | None = None
    lease: timedelta = timedelta(seconds=60)
    deadline: timedelta = timedelta(hours=1)
    gives_up: bool = False
    rows_only: bool = False


Kinds = Mapping[str, Kind]


@dataclass(frozen=True, slots=True)
class Wish:
    """What somebody wants done. `run_at` None means now."""

    kind: str
    subject: str = ""
    subject_name: str = ""
    context: str = ""
    payload: Mapping[str, Any] = field(default_factory=dict)
    run_at: datetime | None = None
    key: str = ""
    batch: str = ""
    cause: str = ""
    plan: str = ""
    priority: int = 0
    deadline: datetime | None = None


def enqueue(wish: Wish) -> Job:
    """Insert a job in the caller's transaction and wake a worker on commit.

    Where a Pending job of the same key stands already, that one is returned instead: its run is moved forward when
    the new wish is sooner.
    """
    made = now()
    work = current()
    job = Job(
        **{name: getattr(wish, name) for name in ("kind", "subject", "context", "key", "batch", "cause", "plan")},
        subject_name=wish.subject_name[:200],
        payload=dict(wish.payload),
        priority=wish.priority,
        run_at=wish.run_at or made,
        deadline=wish.deadline,
        actor_id=work.actor_id,
        actor_name=work.actor_name,
        correlation_id=work.correlation_id,
        created_at=made,
    )
    stands = insert(job) if wish.key else None
    if stands is None:
        if not wish.key:
            job.save()
        stands = job
    wake_on_commit()
    if stands.batch and stands.priority < URGENT and stands.run_at <= made:
        once_on_commit(wake_when_collected)
    return stands


@transaction.atomic
def insert(job: Job) -> Job | None:
    """Insert a keyed job, or return the Pending one that holds its key."""
    while True:
        try:
            with transaction.atomic():
                job.save(force_insert=True)
                return None
        except IntegrityError:
            job.pk = None
            held = Job.objects.select_for_update(no_key=True).filter(key=job.key, state=Job.State.PENDING).first()
        if held is not None:
            if job.run_at < held.run_at or job.priority > held.priority:
                held.run_at, held.priority = min(job.run_at, held.run_at), max(held.priority, job.priority)
                held.save(update_fields=["run_at", "priority"])
            return held


def wake_on_commit() -> None:
    """Wake a worker when this transaction is committed, once for all that it inserts."""
    once_on_commit(wake)


def once_on_commit(call: Callable[[], None]) -> None:
    """Call it when this transaction is committed, however often it was asked for."""
    if not any(entry[1] is call for entry in connection.run_on_commit):
        transaction.on_commit(call)


def wake() -> None:
    """Tell the workers that there is something to do."""
    send_wake()


def wake_when_collected() -> None:
    """Wake a worker as soon as a batch that begins now has collected its items, and not with the sweep after that."""
    send_wake(BATCH_WINDOW.total_seconds())


def send_wake(after: float = 0) -> None:
    """The message, for after so many seconds. A lost one costs a second, so trouble is swallowed.

    While Redis is away or hangs, each try takes its time-out (CONTRACTS X9): after one that failed, none for a while.
    """
    global _away_until  # noqa: PLW0603 - one memory per process
    if time.monotonic() < _away_until:
        return
    try:
        current_app.send_task("usher.work", countdown=after or None, expires=after + 1, ignore_result=True, retry=False)
    except OperationalError:
        _away_until = time.monotonic() + REST
        log.warning("The queue's messenger is away; the sweep will find the work.")


def cancel(jobs: QuerySet[Job], reason: str) -> int:
    """Cancel those of the jobs that are Pending; returns how many."""
    return jobs.filter(state=Job.State.PENDING).update(state=Job.State.CANCELLED, reason=reason, finished_at=now())


def claim(kinds: Kinds) -> list[Job]:
    """Take what is due, most urgent first: one job, or the due jobs of one batch. Empty where there is nothing.

    A batch is looked at before any of its rows is locked: rivals that held one for a moment would tear it apart.
    """
    with transaction.atomic():
        first = takeable(kinds).first()
        if first is None:
            return []
        jobs = batch_of(kinds, first) if first.batch else []
        if not jobs:
            singles = takeable(kinds).filter(batch="")
            jobs = list(singles.select_for_update(skip_locked=True, of=("self",), no_key=True)[:1])
        return [take(job, kinds[job.kind]) for job in jobs]


def takeable(kinds: Kinds) -> QuerySet[Job]:
    """Due and free: its time has come (and its batch's window is over), or its worker's lease has run out."""
    moment = now()
    others = Job.objects.filter(state=Job.State.RUNNING, leased_until__gte=moment).exclude(pk=OuterRef("pk"))
    due = Q(state=Job.State.PENDING, run_at__lte=moment) & (
        Q(batch="") | Q(priority__gte=URGENT) | Q(run_at__lte=moment - BATCH_WINDOW)
    )
    lapsed = Q(state=Job.State.RUNNING, leased_until__lt=moment)
    same_batch = Q(batch="") | ~Exists(others.filter(batch=OuterRef("batch")))
    found = Job.objects.filter(due | lapsed, key_is_free(), same_batch, kind__in=list(kinds))
    return found.order_by("-priority", "run_at", "pk")


def key_is_free() -> Q:
    """No other job of the same key is running."""
    rivals = Job.objects.filter(state=Job.State.RUNNING, key=OuterRef("key")).exclude(pk=OuterRef("pk"))
    return Q(key="") | Q(~Exists(rivals))


def lock_batch(batch: str) -> bool:
    """Whether this transaction is the one that collects the batch."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(hashtext(%s))", [batch])
        return bool(cursor.fetchone()[0])


def batch_of(kinds: Kinds, first: Job) -> list[Job]:
    """The due jobs of a batch, locked; none where somebody else collects it, or has taken it since the first look."""
    if not lock_batch(first.batch) or not takeable(kinds).filter(pk=first.pk).exists():
        return []
    moment = now()
    due = Q(state=Job.State.PENDING, run_at__lte=moment) | Q(state=Job.State.RUNNING, leased_until__lt=moment)
    found = Job.objects.filter(due, key_is_free(), batch=first.batch, kind=first.kind)
    locked = found.select_for_update(skip_locked=True, of=("self",), no_key=True)
    return list(locked.order_by("-priority", "run_at", "pk")[:BATCH_SIZE])


def take(job: Job, kind: Kind) -> Job:
    """Make a locked job ours, in place: a dead worker's job keeps its row."""
    moment = now()
    job.state, job.tries, job.node = Job.State.RUNNING, job.tries + 1, settings.NODE
    job.leased_until = moment + kind.lease
    job.started_at = job.started_at or moment
    job.deadline = job.deadline or job.run_at + kind.deadline
    job.save(update_fields=["state", "tries", "node", "leased_until", "started_at", "deadline"])
    return job


def mine(job: Job) -> QuerySet[Job]:
    """The row, while this worker still holds it (CONTRACTS 5.4)."""
    return Job.objects.filter(pk=job.pk, tries=job.tries, state=Job.State.RUNNING)


def note(job: Job, **facts: Any) -> bool:
    """Write facts into a running job's payload, for whoever runs it next; False where somebody has taken it over."""
    job.payload = {**job.payload, **facts}
    return bool(mine(job).update(payload=job.payload))


def beat(job: Job, kind: Kind) -> bool:
    """Prolong the lease of a long job; False where somebody else has taken it over: stop."""
    return bool(mine(job).update(leased_until=now() + kind.lease))


def prolong(jobs: Sequence[Job], lease: timedelta) -> None:
    """Give a batch its whole lease again, right before the call that may take long."""
    ours = reduce(or_, (Q(pk=job.pk, tries=job.tries) for job in jobs))
    Job.objects.filter(ours, state=Job.State.RUNNING).update(leased_until=now() + lease)


def work(kinds: Kinds) -> int:
    """Do what is due until nothing is; returns how many jobs were run."""
    count = 0
    while ran := step(kinds):
        count += ran
    return count


def step(kinds: Kinds) -> int:
    """Take one job, or one batch, and run it; returns how many jobs that were."""
    jobs = claim(kinds)
    if jobs:
        run(jobs, kinds[jobs[0].kind])
    return len(jobs)


def run(jobs: Sequence[Job], kind: Kind) -> None:
    """Run the job (or batch) and write each outcome to its own row."""
    first = jobs[0]
    about = Work(first.correlation_id or Work().correlation_id, None, first.actor_id, first.actor_name)
    with working(about):
        try:
            if kind.rows_only:
                run_whole(kind, first)
                return
            results = kind.run_batch(jobs) if kind.run_batch else [done_by(kind, first)]
        except Exception as error:  # noqa: BLE001 - one of the two that CONTRACTS 2.2 names: a job that raises is set aside
            log.exception("Job %s (%s) raised.", first.pk, first.kind)
            results = [Later(f"It raised {type(error).__name__}; the log has the details.")] * len(jobs)
    for job, result in zip(jobs, results, strict=True):
        settle(job, kind, result)


def run_whole(kind: Kind, job: Job) -> None:
    """A job and its end in one transaction; where somebody has taken it over, nothing at all."""
    with transaction.atomic():
        if not settle(job, kind, done_by(kind, job)):
            transaction.set_rollback(True)


def done_by(kind: Kind, job: Job) -> Result:
    """The result of a kind that does one job at a time."""
    if kind.run is None:
        raise TypeError("A kind needs run or run_batch.")
    return kind.run(job)


def settle(job: Job, kind: Kind, result: Result) -> bool:
    """Write what came of a job; False where its lease was lost and a successor will say."""
    match result:
        case Done(message, again_at):
            return finish(job, message, again_at)
        case Moot(reason):
            return bool(end(job, Job.State.CANCELLED, reason))
        case Failed(reason):
            return bool(end(job, Job.State.ABORTED, reason))
        case Later(reason, at):
            if kind.gives_up and job.deadline and now() >= job.deadline:
                return bool(end(job, Job.State.ABORTED, f"Given up at its deadline. {reason}"))
            job.setbacks = 0 if at else job.setbacks + 1
            return postpone(job, reason, max(at, now() + A_MOMENT) if at else now() + back_off(job.setbacks))


def finish(job: Job, message: str, again_at: datetime | None) -> bool:
    """End a job well and, for a recurring one, insert its successor in the same transaction."""
    past = history(job, Job.State.FINISHED, message)
    with transaction.atomic():
        ended = mine(job).update(state=Job.State.FINISHED, message=message, reason="", finished_at=now(), history=past)
        if ended and again_at:
            enqueue(
                Wish(job.kind, job.subject, job.subject_name, job.context, job.payload, again_at, job.key, job.batch,
                     job.cause, job.plan, job.priority)
            )  # fmt: skip
    return bool(ended)


def end(job: Job, state: Job.State, reason: str) -> int:
    """End a job that did not come to its effect."""
    return mine(job).update(state=state, reason=reason, finished_at=now(), history=history(job, state, reason))


def postpone(job: Job, reason: str, at: datetime) -> bool:
    """Back to Pending. Where a newer Pending job holds the key, this one is moot."""
    waits = {"state": Job.State.PENDING, "run_at": at, "leased_until": None, "setbacks": job.setbacks}
    try:
        with transaction.atomic():
            return bool(mine(job).update(**waits, reason=reason, history=history(job, Job.State.PENDING, reason)))
    except IntegrityError:
        return bool(end(job, Job.State.CANCELLED, f"A newer wish took its place. {reason}"))


def history(job: Job, state: str, said: str) -> list[dict[str, Any]]:
    """What a job's tries came to, with this one; the same answer again and again is one line with a count."""
    moment = now().isoformat()
    past: list[dict[str, Any]] = list(job.history)
    if past and (past[-1]["state"], past[-1]["said"]) == (state, said):
        return [*past[:-1], {**past[-1], "until": moment, "times": past[-1]["times"] + 1}]
    line = {"at": moment, "until": moment, "state": str(state), "said": said, "times": 1}
    return [*past[:1], *past[1:][-HISTORY:], line]


def back_off(times: int) -> timedelta:
    """How long to wait after so many setbacks in a row: 2 s, 4 s, 8 s ... up to 5 minutes, with jitter so that a storm
    does not come back as one."""
    seconds = min(300.0, 2.0 ** min(times, 10))
    return timedelta(seconds=seconds * random.uniform(0.8, 1.2))
