"""One desktop is never lent twice: real threads, released together, on real PostgreSQL (PEERS 6.1-6.3)."""

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import connections

from authservers.models import User
from broker.connect.connect import Click, NotOffered, connect
from broker.connect.launching import Who
from broker.connect.models import Launch, QueuePlace
from broker.connect.offers import build
from centers.models import Center, Desktop
from policies.models import Policy
from pools.models import Assignment
from tests import make

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def center() -> Iterator[Center]:
    yield make.center()


def together(count: int, work: Callable[[int], Any]) -> list[Any]:
    """Run the work in that many threads, released at the same moment; returns results and exceptions in order."""
    barrier = threading.Barrier(count)
    results: list[Any] = [None] * count

    def run(number: int) -> None:
        try:
            connections["default"].ensure_connection()
            barrier.wait(30)
            results[number] = work(number)
        except NotOffered as refused:
            results[number] = refused
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    return results


def click_of(person: User, policy: Policy) -> tuple[Who, Click]:
    """What the person's page offers, as the form would post it."""
    offer = build(person, policy).offers[0]
    line = offer.line.pk if offer.line else None
    return Who(person, policy), Click(offer.desktop.pk, line, 0)


def same_click(who: Who, click: Click) -> Callable[[int], int]:
    """Every thread presses the same button."""

    def press(_: int) -> int:
        came = connect(who, click)
        assert isinstance(came, Launch)
        return came.desktop_id

    return press


def open_count(**filters: Any) -> int:
    return Assignment.objects.filter(closed_at=None, **filters).count()


def test_two_clicks_of_one_user_take_one_desktop_in_a_hundred_trials(center: Center) -> None:
    for _ in range(3):
        make.desktop(center)
    policy = make.policy(make.pool(center))
    for _ in range(100):
        person = make.user(at=center.server)
        who, click = click_of(person, policy)
        results = together(2, same_click(who, click))
        assert open_count(user=person) == 1, results
        assert results[0] == results[1]
        Assignment.objects.filter(user=person).update(closed_at=person.created_at, close_reason="next trial")
        Desktop.objects.update(lent=False)


def test_two_clicks_on_a_line_that_gives_two_still_take_one(center: Center) -> None:
    for _ in range(4):
        make.desktop(center)
    policy = make.policy(make.pool(center), quantity=2)
    for _ in range(20):
        person = make.user(at=center.server)
        who, click = click_of(person, policy)
        together(2, same_click(who, click))
        assert open_count(user=person) == 1
        Assignment.objects.filter(user=person).update(closed_at=person.created_at, close_reason="next trial")
        Desktop.objects.update(lent=False)


def test_eight_users_for_two_seats_fill_exactly_two(center: Center) -> None:
    for _ in range(2):
        make.desktop(center)
    policy = make.policy(make.pool(center))
    clicks = [click_of(make.user(at=center.server), policy) for _ in range(8)]
    results = together(8, lambda number: connect(*clicks[number]))
    assert open_count() == 2
    assert sum(isinstance(each, Launch) for each in results) == 2
    assert sum(isinstance(each, QueuePlace) for each in results) == QueuePlace.objects.count() == 6


def test_two_hundred_users_take_fifty_distinct_desktops(center: Center) -> None:
    for _ in range(50):
        make.desktop(center)
    policy = make.policy(make.pool(center))
    clicks = [click_of(make.user(at=center.server), policy) for _ in range(200)]
    results = together(200, lambda number: connect(*clicks[number]))
    lent = [each.desktop_id for each in results if isinstance(each, Launch)]
    assert len(lent) == len(set(lent)) == open_count() == 50
    assert sum(isinstance(each, QueuePlace) for each in results) == QueuePlace.objects.count() == 150
