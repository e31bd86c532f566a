"""The queue under real threads, a real worker, kill -9 and a Redis that forgets (DESIGN 3; CONTRACTS X8, X9)."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import pytest
from celery import current_app
from django.db import connection, connections, transaction

from agents.models import Agent, AgentCommand, AgentEvent
from broker.connect import actions, events
from broker.connect.models import DesktopSession
from broker.core import jobs
from broker.core.clock import now
from broker.core.jobs import Done, Kind, Result, Wish, enqueue
from broker.core.models import Job, Node
from broker.demo.aws import constants
from broker.demo.aws.server import Simulator
from broker.demo.aws.trouble import Trouble
from broker.embedded.spawn import spawn
from broker.handlers import HANDLERS
from centers.models import Desktop
from plans.engine import Action, Due, Event
from pools.models import Assignment
from pools.services import Terms, lend_this
from tests import make
from tests.aws_simulator import simulator
from tests.connect.world import aws_center, point_at
from tests.services import FOLDER, wait_for

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]
WORKER = (
    "worker --loglevel WARNING --without-gossip --without-mingle --without-heartbeat --pool threads --concurrency 4"
)


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[Simulator]:
    with simulator() as running:
        point_at(monkeypatch, running.endpoint)
        yield running


def environment(node: str) -> dict[str, str]:
    """The test's own database and Redis, for a child process."""
    url = urlsplit(os.environ["USHER_DATABASE_URL"])
    mine = urlunsplit(url._replace(path="/" + str(connection.settings_dict["NAME"])))
    beat = str(FOLDER / f"beat-{node}")  # a file of its own: Celery deletes what it cannot read, /dev/null, too
    return {**os.environ, "USHER_DATABASE_URL": mine, "USHER_NODE": node, "USHER_BEAT_FILE": beat}


@contextmanager
def celery(words: str, node: str) -> Iterator[subprocess.Popen[bytes]]:
    """A Celery process as the supervisor starts it; killed at the end."""
    command = [sys.executable, "-m", "celery", "-A", "broker.celery", *words.split()]
    child = spawn(command, signal.SIGKILL, environment(node), subprocess.DEVNULL)
    try:
        yield child
    finally:
        child.kill()
        child.wait(10)


@contextmanager
def worker(node: str) -> Iterator[subprocess.Popen[bytes]]:
    """A worker that has said that it is alive."""
    with celery(WORKER, node) as child:

        def alive() -> bool:
            jobs.wake()
            return Node.objects.filter(name=node).exists() or child.poll() is not None

        wait_for(alive, 90, "a worker")
        assert child.poll() is None
        yield child


def ended(job: Job) -> bool:
    job.refresh_from_db()
    return job.state not in {"pending", "running"}


def in_threads(count: int, work: Callable[[int], None], seconds: float = 60) -> None:
    """Run it in that many threads at once; re-raises what any of them raised."""
    failed: list[BaseException] = []
    barrier = threading.Barrier(count)

    def run(number: int) -> None:
        try:
            barrier.wait(30)
            work(number)
        except BaseException as error:  # noqa: BLE001 - a test's thread: told below
            failed.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(seconds)
    assert failed == []


def test_a_worker_killed_in_the_middle_of_a_deployment_has_exactly_one_effect(aws: Simulator) -> None:
    make.defaults()
    center = aws_center()
    alice = make.user("alice", at=center.server)
    desktop = make.desktop(center, ref=None, bound_user="alice", sighted_at=None, power="starting", address="")
    make.assignment(alice, desktop, origin="deploy")
    aws.desk.add(Trouble("slow", "CreateWorkspaces", times=1, seconds=2))
    payload = {"bundle": constants.CORE_STANDARD, "user_name": "alice", "running_mode": "MANUAL"}
    job = enqueue(Wish("deploy", f"desktop:{desktop.pk}", payload=payload, key="d"))
    with worker("first") as child:
        wait_for(lambda: "CreateWorkspaces" in aws.desk.counts(), 60, "the call")
        child.send_signal(signal.SIGKILL)
        child.wait(10)
    job.refresh_from_db()
    assert (job.state, job.node) == ("running", "first")

    def made() -> int:
        with aws.account.at_present():
            return len([row for row in aws.account.workspaces.values() if row.user_name == "alice"])

    wait_for(lambda: made() == 1, 30, "the WorkSpace that nobody was told of")
    Job.objects.filter(pk=job.pk).update(leased_until=now() - timedelta(seconds=1))  # its lease has run out
    aws.account.clock.step(100)
    with worker("second"):

        def done() -> bool:
            jobs.wake()
            return ended(job)

        wait_for(done, 90, "the second worker's end of it")
    desktop.refresh_from_db()
    assert (job.state, job.node, job.tries) == ("finished", "second", 2)
    assert (made(), aws.desk.counts()["CreateWorkspaces"]["calls"], bool(desktop.ref)) == (1, 1, True)
    assert Assignment.objects.get(closed_at=None).user == alice


def test_a_lost_message_costs_a_second_or_two(monkeypatch: pytest.MonkeyPatch) -> None:
    with worker("steady"), celery(f"beat --loglevel WARNING --pidfile= --schedule {FOLDER / 'beat-steady'}", "steady"):
        wait_for(lambda: Node.objects.filter(seen_at__gt=now() - timedelta(seconds=1)).exists(), 90, "the sweep")
        monkeypatch.setattr(jobs, "wake", lambda: None)
        for flushed in (False, True):
            if flushed:
                with current_app.connection_for_write() as messenger:
                    messenger.default_channel.client.flushall()  # type: ignore[attr-defined]
            job, began = enqueue(Wish("poll", "center:999999")), time.monotonic()
            wait_for(lambda job=job: ended(job), 10, "the sweep's finding")  # type: ignore[misc]
            assert time.monotonic() - began < 6  # a second or two, on a machine that does nothing else
            assert (job.state, job.tries) == ("finished", 1)


def test_two_workers_never_run_one_key_at_once() -> None:
    inside, worst, runs = [0], [0], [0]
    lock = threading.Lock()

    def run(job: Job) -> Result:
        with lock:
            inside[0] += 1
            worst[0] = max(worst[0], inside[0])
            runs[0] += 1
            number = runs[0]
        enqueue(Wish("thing", key="one"))  # a wish that comes while one runs
        time.sleep(0.002)
        with lock:
            inside[0] -= 1
        return Done(again_at=now() if number < 60 else None)

    kinds = {"thing": Kind(run=run)}
    enqueue(Wish("thing", key="one"))

    def work(_: int) -> None:
        while runs[0] < 60:
            jobs.work({"thing": Kind(run=lambda job: run(job) if runs[0] < 60 else Done())})

    in_threads(6, work)
    assert kinds
    assert worst[0] == 1
    assert runs[0] >= 60
    assert Job.objects.filter(state="pending", key="one").count() <= 1


def test_one_dispatcher_collects_a_batch() -> None:
    inside, worst, sizes = [0], [0], []
    lock = threading.Lock()

    def call(items: Any) -> list[Result]:
        with lock:
            inside[0] += 1
            worst[0] = max(worst[0], inside[0])
            sizes.append(len(items))
        time.sleep(0.05)
        with lock:
            inside[0] -= 1
        return [Done() for _ in items]

    for number in range(100):
        enqueue(Wish("power", batch="power:1:stop", key=f"p{number}", run_at=now() - timedelta(seconds=5)))

    def work(_: int) -> None:
        while Job.objects.filter(state__in=["pending", "running"]).exists():
            jobs.work({"power": Kind(run_batch=call)})

    in_threads(6, work)
    assert (worst[0], sorted(sizes)) == (1, [25, 25, 25, 25])
    assert set(Job.objects.values_list("state", "tries")) == {("finished", 1)}


def agent_on(desktop: Desktop) -> Agent:
    return Agent.objects.create(
        uuid=f"00000000-0000-4000-8000-{desktop.pk:012d}", key_digest=f"{desktop.pk:064d}", center=desktop.center,
        desktop=desktop, approved=True, registered_at=now(), last_seen=now(), boot_id="b", boots=["b"],
    )  # fmt: skip


def tell(agent: Agent, seq: int, kind: str, session: str) -> None:
    AgentEvent.objects.create(
        agent=agent, boot_id="b", seq=seq, type=kind, user="CORP\\alice", os_session=session, at=now(),
        received_at=now(), told_at=now(),
    )  # fmt: skip
    Agent.objects.filter(pk=agent.pk).update(waiting=True)


def test_two_drains_keep_the_order_of_one_desktop() -> None:
    make.defaults()
    center = make.center()
    make.user("alice", at=center.server)
    agents = [agent_on(make.desktop(center)) for _ in range(3)]
    for agent in agents:
        for number in range(60):
            tell(agent, 2 * number, "login", str(number))
            tell(agent, 2 * number + 1, "logout", str(number))

    def work(_: int) -> None:
        while Agent.objects.filter(waiting=True).exists():
            events.drain()

    in_threads(3, work)
    assert not AgentEvent.objects.exclude(error="").exists()
    assert DesktopSession.objects.count() == 180
    assert not DesktopSession.objects.filter(ended_at=None).exists()
    for agent in agents:
        told = [each.handled_at for each in agent.events.order_by("pk") if each.handled_at]
        assert told == sorted(told)


def test_news_lending_and_releasing_of_one_desktop_never_block_each_other_for_good() -> None:
    """Locks go user, then desktop; the drain, which holds a desktop and inserts its user's sessions, waits for none."""
    make.defaults()
    center = make.center()
    alice, desktop = make.user("alice", at=center.server), make.desktop(center)
    agent = agent_on(desktop)
    over = threading.Event()

    def news(_: int) -> None:
        for number in range(60):
            tell(agent, 3 * number, "login", str(number))
            tell(agent, 3 * number + 1, "disconnect", str(number))
            tell(agent, 3 * number + 2, "logout", str(number))
            events.drain()
        over.set()

    def lend_and_release(_: int) -> None:
        while not over.is_set():
            held = lend_this(alice, desktop, Terms(origin="admin"))
            if held is not None:
                actions.release(held.pk, "by the race")

    in_threads(3, lambda number: (news if number == 0 else lend_and_release)(number), 120)
    while Agent.objects.filter(waiting=True).exists():
        events.drain()
    assert not AgentEvent.objects.exclude(error="").exists()
    assert DesktopSession.objects.count() == 60
    desktop.refresh_from_db()
    assert desktop.lent == Assignment.objects.filter(closed_at=None).exists()


def test_a_planned_log_out_waits_for_news_that_are_being_read_and_then_leaves_who_is_back_alone() -> None:
    """The drain has the reconnect in its hands, not committed, when the worker comes to judge the log-out."""
    make.defaults()
    desktop = make.desktop(make.center())
    alice = make.user("alice", at=desktop.center.server)
    agent, held, moment = agent_on(desktop), make.assignment(alice, desktop), now()
    tell(agent, 1, "login", "2")
    tell(agent, 2, "disconnect", "2")
    events.drain()
    due = Due(Action.LOG_OUT, moment, Event.DISCONNECTED, moment, "Plan")
    payload = {"due": due.as_json(), "epoch": "b:2", "assignment": held.pk, "user": alice.pk}
    job = enqueue(Wish("logout", f"desktop:{desktop.pk}", payload=payload, cause="disconnected", plan="Plan"))
    taken = jobs.claim(HANDLERS)  # it runs already: the reconnect cannot cancel it any more
    applied, go_on = threading.Event(), threading.Event()

    def reading() -> None:
        with transaction.atomic():
            tell(agent, 3, "reconnect", "2")
            events.drain_next(0)
            applied.set()
            go_on.wait(20)

    def working() -> None:
        applied.wait(20)
        threading.Timer(0.3, go_on.set).start()
        jobs.run(taken, HANDLERS["logout"])

    in_threads(2, lambda number: (reading, working)[number]())
    job.refresh_from_db()
    assert (job.state, AgentCommand.objects.count()) == ("cancelled", 0), job.message
