"""Few seats and many people, with the queue: nobody is lent what somebody has, and all are served in their order.

First in threads, then as people meet it: a web server of two processes, two workers, real sign-ins and clicks.
"""

import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from http.cookiejar import CookieJar
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import HTTPCookieProcessor, HTTPRedirectHandler, Request, build_opener

import pytest
from django.db import connections

from authservers.hashers import Argon2
from authservers.models import User
from broker.connect import actions, queue
from broker.connect.connect import Click, connect
from broker.connect.launching import Who
from broker.connect.models import Launch, PortalSession, QueuePlace
from broker.core import jobs
from broker.core.clock import now
from broker.core.models import Job
from broker.demo.aws.server import Simulator
from broker.embedded.spawn import spawn
from policies.models import Policy, PoolAssignment
from pools.models import Assignment
from tests import make
from tests.connect.world import aws_center
from tests.ports import free_port
from tests.races.test_jobs import aws, environment, worker
from tests.services import wait_for

__all__ = ["aws"]
pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]
KINDS = {"pool_stats": queue.KIND}
DOOR = "127.99.7.1"  # where the desktops of the last test answer at their RDP port


def together(count: int, work: Callable[[int], Any]) -> list[Any]:
    """In so many threads, let go at once; no statement may wait for a lock longer than two seconds."""
    barrier, results, raised = threading.Barrier(count), [None] * count, []

    def run(number: int) -> None:
        try:
            with connections["default"].cursor() as cursor:
                cursor.execute("SET lock_timeout = '2s'")
            barrier.wait(60)
            results[number] = work(number)
        except Exception as error:  # noqa: BLE001 - told to the test, below
            raised.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert raised == []
    return results


def people(count: int, policy: Policy) -> list[Who]:
    """Signed in, all under one policy."""
    found = []
    for _ in range(count):
        person = make.user()
        portal = PortalSession.objects.create(
            user=person, session_key=f"key-{person.pk}", role=make.role(), policy=policy, opened_at=now(),
            active_at=now(), expires_at=now().replace(year=2090),
        )  # fmt: skip
        found.append(Who(person, policy, portal))
    return found


def lent() -> list[int]:
    return list(Assignment.objects.filter(closed_at=None).values_list("desktop", flat=True))


@pytest.mark.parametrize(("seats", "crowd"), [(2, 8), (50, 200)], ids=["few seats", "storm"])
def test_the_seats_are_given_once_and_the_others_stand_in_line_and_are_served_in_order(seats: int, crowd: int) -> None:
    make.defaults()
    center = make.center()
    for _ in range(seats):
        make.desktop(center)
    policy = make.policy(make.pool(center))
    line = PoolAssignment.objects.get(policy=policy).pk
    crowded = people(crowd, policy)
    came = together(crowd, lambda number: connect(crowded[number], Click(0, line)))
    assert sum(isinstance(each, Launch) for each in came) == len(lent()) == len(set(lent())) == seats
    waiting = list(QueuePlace.objects.order_by("since", "pk").values_list("user", flat=True))
    assert len(waiting) == crowd - seats
    for who in Assignment.objects.filter(closed_at=None).order_by("pk"):
        actions.release(who.pk, "by the test")

    def look(_: int) -> None:
        for _ in range(6):
            Job.objects.filter(kind="pool_stats", state="pending").update(run_at=now())
            jobs.step(KINDS)

    together(2, look)
    served = list(QueuePlace.objects.filter(launch__isnull=False).order_by("ended_at").values_list("user", flat=True))
    assert served == waiting[:seats]
    assert len(lent()) == len(set(lent())) == seats
    assert set(Assignment.objects.filter(closed_at=None).values_list("user", flat=True)) == set(served)


def test_two_clicks_of_one_person_are_one_place_in_ten_trials() -> None:
    make.defaults()
    center = make.center()
    make.assignment(make.user(), make.desktop(center))
    policy = make.policy(make.pool(center))
    line = PoolAssignment.objects.get(policy=policy).pk
    for who in people(10, policy):
        pressed = Click(0, line)
        first, second = together(2, lambda _, who=who, pressed=pressed: connect(who, pressed))  # type: ignore[misc]
        assert isinstance(first, QueuePlace)
        assert first == second
    assert QueuePlace.objects.count() == 10


class Stay(HTTPRedirectHandler):
    """A redirect is an answer."""

    def redirect_request(self, *_: Any) -> None:
        return None


class Person:
    """Somebody at a browser, without scripts."""

    def __init__(self, site: str, login: str) -> None:
        self.site, self.login, self.address = site, login, ""
        self.cookies = CookieJar()
        self.opener = build_opener(HTTPCookieProcessor(self.cookies), Stay())

    def ask(
        self, path: str, form: dict[str, str] | None = None, headers: dict[str, str] | None = None
    ) -> tuple[int, dict[str, str], str]:
        """Status, headers and text of an answer."""
        data = None
        if form is not None:
            token = next((each.value or "" for each in self.cookies if each.name.endswith("csrftoken")), "")
            data = urlencode(form | {"csrfmiddlewaretoken": token}).encode()
        request = Request(self.site + path, data, (headers or {}) | {"Referer": self.site})
        try:
            with self.opener.open(request, timeout=60) as answer:
                return answer.status, dict(answer.headers), answer.read().decode()
        except HTTPError as answer:
            with answer:
                return answer.code, dict(answer.headers), answer.read().decode()

    def signs_in(self) -> None:
        self.ask("/")
        status, _, page = self.ask("/", {"login": self.login, "password": make.PASSWORD})
        assert status == 302, page

    def presses(self, line: int) -> str:
        """Wait for a desktop, or get one: where the click leads to."""
        status, headers, page = self.ask("/desktops/0/connect/", {"line": str(line)})
        assert status == 303, page
        return re.sub(r"file/$", "", headers["Location"])

    def polls(self) -> str:
        """What the poll of the queue's page says: where to go on, or ""."""
        polled = {"HX-Request": "true", "X-Usher-Poll": "1"}
        return self.ask(self.address, None, polled)[1].get("HX-Redirect", "")


@contextmanager
def web() -> Iterator[str]:
    """The web server as the supervisor starts it: two processes."""
    port = free_port()
    words = f"--worker-class gthread --workers 2 --threads 8 --bind 127.0.0.1:{port} --log-level error"
    command = [sys.executable, "-m", "gunicorn", *words.split(), "--no-control-socket", "--preload", "broker.wsgi"]
    child = spawn(command, signal.SIGKILL, environment("web"), subprocess.DEVNULL)
    try:
        wait_for(lambda: answers(port) or child.poll() is not None, 90, "the web server")
        yield f"http://127.0.0.1:{port}"
    finally:
        child.terminate()
        child.wait(15)


def answers(port: int) -> bool:
    with socket.socket() as caller:
        return caller.connect_ex(("127.0.0.1", port)) == 0


def crowd_of(count: int, policy: Policy) -> list[User]:
    """With a password that the product's own settings can check."""
    password = Argon2().encode(make.PASSWORD, "salt-of-the-test")
    found = [make.grant(make.user(), policy=policy) for _ in range(count)]
    User.objects.filter(pk__in=[each.pk for each in found]).update(password=password)
    return found


def test_it_holds_with_two_web_processes_and_two_workers(aws: Simulator) -> None:
    make.defaults()
    center = aws_center(refresh_minutes=0)  # no scan: AWS does not know these desktops
    for _ in range(4):
        make.desktop(center, address=DOOR)
    policy = make.policy(make.pool(center))
    line = PoolAssignment.objects.get(policy=policy).pk
    crowd = crowd_of(10, policy)
    with ExitStack() as running:
        running.enter_context(socket.create_server((DOOR, 3389)))
        site = running.enter_context(web())
        running.enter_context(worker("first"))
        running.enter_context(worker("second"))
        persons = [Person(site, each.login) for each in crowd]
        together(10, lambda number: persons[number].signs_in())
        clicked = together(20, lambda number: persons[number // 2].presses(line))  # everybody presses twice
        for person, one, other in zip(persons, clicked[::2], clicked[1::2], strict=True):
            person.address = one if one.startswith("/queue/") else other
        wait_for(settled, 60, "every seat is given")  # who met a locked row a moment ago stands in line for a second
        waiting = list(QueuePlace.objects.filter(ended_at=None).order_by("since", "pk"))
        assert len({place.user_id for place in waiting}) == len(waiting) == 6
        by_address = {person.address: person for person in persons}
        drains([by_address[f"/queue/{place.pk}/"] for place in waiting])
    assert len(lent()) == len(set(lent())) == 4
    ended = QueuePlace.objects.filter(launch__isnull=False).order_by("ended_at", "since")
    assert [each.pk for each in ended][-6:] == [place.pk for place in waiting]


def settled() -> bool:
    """Four people have a desktop each, the other six wait."""
    jobs.wake()
    open_ones = Assignment.objects.filter(closed_at=None)
    holders = set(open_ones.values_list("user", flat=True))
    return len(holders) == len(set(lent())) == len(lent()) == 4


def drains(waiting: list[Person]) -> None:
    """Two desktops come back at a time; those who wait see it on their page, in their order."""
    left = list(waiting)
    while left:
        for each in Assignment.objects.filter(closed_at=None).order_by("pk")[:2]:
            actions.release(each.pk, "by the test")
        began = time.monotonic()
        for person in (left.pop(0), left.pop(0)):
            wait_for(lambda person=person: sees(person), 15, "the next in line is served")  # type: ignore[misc]
        assert time.monotonic() - began < 15
        assert not any(person.polls() for person in left)


def sees(person: Person) -> bool:
    jobs.wake()  # what beat does every second
    time.sleep(0.05)
    return person.polls().startswith("/launches/")
