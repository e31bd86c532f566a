"""A full pool gives a place in the queue, not a dead end: first come, first served, who has gone loses the place."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.db import IntegrityError, transaction
from django.test import Client

from authservers.models import User
from broker.connect import actions, housekeeping, places, queue
from broker.connect.models import Launch, PortalSession, QueuePlace
from broker.connect.queue_cards import ordinal, place_in_words
from broker.core import jobs
from broker.core.clock import now
from broker.core.models import Job
from centers.models import Center, Desktop
from policies.models import Policy, PoolAssignment
from pools.models import Assignment
from tests import make
from tests.connect.test_statements import POLL, statements, within

pytestmark = pytest.mark.django_db
NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
POLLED = {"HX-Request": "true", "X-Usher-Poll": "1"}
KINDS = {"pool_stats": queue.KIND}


@pytest.fixture
def clock() -> Iterator[Any]:
    with time_machine.travel(NOON, tick=False) as travelling:
        yield travelling


@pytest.fixture
def center(clock: Any) -> Center:
    make.defaults()
    return make.center()


@pytest.fixture
def policy(center: Center) -> Policy:
    """One desktop, lent to somebody who keeps it for now."""
    row = make.policy(make.pool(center, name="Design"))
    make.assignment(make.user("holder", at=center.server), make.desktop(center))
    return row


def arrives(policy: Policy, center: Center, name: str = "") -> tuple[Client, User]:
    person = make.grant(make.user(name, at=center.server), policy=policy)
    return make.signed_in(Client(), person, policy_row=policy), person


def presses(browser: Client, policy: Policy) -> str:
    """Wait for a desktop; the address that the click leads to."""
    answer = browser.post("/desktops/0/connect/", {"line": PoolAssignment.objects.get(policy=policy).pk})
    assert answer.status_code == 303
    return str(answer.headers["Location"])


def frees(desktop: Desktop | None = None) -> None:
    """The holder's desktop comes back."""
    actions.release(Assignment.objects.filter(closed_at=None).earliest("pk").pk, "by the test")


def test_a_full_pool_is_told_of_once_though_the_policy_informs_of_empty_ones(policy: Policy, center: Center) -> None:
    Policy.objects.update(offer_empty_pools=True)
    browser, _ = arrives(policy, center)
    page = browser.get("/desktops/").content.decode()
    assert "All its desktops are in use." in page
    assert "has no free desktop just now" not in page


def looks() -> None:
    """The worker looks at the queue. (Asked for after the commit, which tests/races has: a test here never commits.)"""
    places.look()
    Job.objects.filter(kind="pool_stats", state="pending").update(run_at=now())
    jobs.step(KINDS)


def test_a_full_pool_has_a_card_that_leads_to_a_place_in_the_queue(policy: Policy, center: Center) -> None:
    browser, _ = arrives(policy, center)
    page = browser.get("/desktops/").content.decode()
    assert "All its desktops are in use. Nobody waits yet." in page
    address = presses(browser, policy)
    assert address.startswith("/queue/")
    page = browser.get(address).content.decode()
    assert "You are 1st in the queue." in page
    assert "Assigning" in page
    assert "You are 1st in the queue." in browser.get("/desktops/").content.decode()


def test_who_waits_gets_the_desktop_that_becomes_free_and_goes_on_to_its_launch(
    policy: Policy, center: Center, clock: Any
) -> None:
    browser, person = arrives(policy, center)
    address = presses(browser, policy)
    clock.shift(40)
    browser.get(address, headers=POLLED)
    frees()
    looks()
    launch = Launch.objects.get()
    assert launch.user == person
    answer = browser.get(address, headers=POLLED)
    assert answer.headers["HX-Redirect"] == f"/launches/{launch.pk}/"
    assert browser.get(address).headers["Location"] == f"/launches/{launch.pk}/"
    assert not Job.objects.filter(kind="pool_stats", state="pending").exists()


def test_the_queue_is_served_in_the_order_of_arrival(policy: Policy, center: Center, clock: Any) -> None:
    people = [arrives(policy, center) for _ in range(3)]
    addresses = []
    for browser, _ in people:
        addresses.append(presses(browser, policy))
        clock.shift(1)
    assert "You are 3rd in the queue." in people[2][0].get(addresses[2]).content.decode()
    for _, person in people:
        frees()
        looks()
        assert Assignment.objects.get(closed_at=None).user == person
    assert QueuePlace.objects.filter(ended_at=None).count() == 0


def test_who_comes_while_others_wait_does_not_jump_the_queue(policy: Policy, center: Center, clock: Any) -> None:
    first, early = arrives(policy, center)
    presses(first, policy)
    frees()
    late, _ = arrives(policy, center)
    desktop = Desktop.objects.get()
    answer = late.post(f"/desktops/{desktop.pk}/connect/", {"line": PoolAssignment.objects.get(policy=policy).pk})
    assert answer.headers["Location"].startswith("/queue/")
    looks()
    assert Assignment.objects.get(closed_at=None).user == early


def test_the_job_that_looks_is_asked_for_again_while_anybody_waits(policy: Policy, center: Center) -> None:
    browser, _ = arrives(policy, center)
    housekeeping.run(Job())
    assert not Job.objects.filter(kind="pool_stats").exists()
    presses(browser, policy)
    for _ in range(2):
        housekeeping.run(Job())
    job = Job.objects.get(kind="pool_stats")
    jobs.step(KINDS)
    job.refresh_from_db()
    assert (job.state, job.reason) == ("pending", "1 person waits for a desktop.")


def test_two_clicks_are_one_place(policy: Policy, center: Center) -> None:
    browser, person = arrives(policy, center)
    assert presses(browser, policy) == presses(browser, policy)
    place = QueuePlace.objects.get()
    with pytest.raises(IntegrityError), transaction.atomic():
        QueuePlace.objects.create(user=person, line=place.line, since=now(), seen_at=now())


def test_who_is_away_is_passed_over_and_after_a_while_loses_the_place(
    policy: Policy, center: Center, clock: Any
) -> None:
    gone, _ = arrives(policy, center)
    there, second = arrives(policy, center)
    gone_address = presses(gone, policy)
    clock.shift(1)
    address = presses(there, policy)
    clock.shift(100)
    there.get(address, headers=POLLED)
    frees()
    looks()
    assert Assignment.objects.get(closed_at=None).user == second
    assert "You are 1st" in gone.get(gone_address).content.decode()  # back in time: the place is still there
    clock.shift(301)
    looks()
    page = gone.get(gone_address, follow=True).content.decode()
    assert "You were away: your place in the queue was given up." in page


def test_a_place_can_be_given_up(policy: Policy, center: Center) -> None:
    browser, _ = arrives(policy, center)
    address = presses(browser, policy)
    assert browser.post(f"{address}leave/").status_code == 303
    frees()
    looks()
    assert not Assignment.objects.filter(closed_at=None).exists()
    assert QueuePlace.objects.get().end_reason == "You gave up your place."


def test_who_signs_out_or_gets_another_policy_no_longer_waits(policy: Policy, center: Center) -> None:
    browser, _ = arrives(policy, center)
    presses(browser, policy)
    other, person = arrives(policy, center)
    presses(other, policy)
    browser.post("/sign-out/")
    PortalSession.objects.filter(user=person).update(policy=make.policy())
    frees()
    looks()
    reasons = set(QueuePlace.objects.values_list("end_reason", flat=True))
    assert reasons == {"You have signed out.", "Your policy no longer offers this pool."}
    assert not Assignment.objects.filter(closed_at=None).exists()


def test_the_maximum_of_desktops_holds_in_the_queue(policy: Policy, center: Center) -> None:
    browser, person = arrives(policy, center)
    presses(browser, policy)
    Policy.objects.update(max_desktops=1)
    make.assignment(person, make.desktop(make.center()))
    frees()
    looks()
    assert Assignment.objects.filter(closed_at=None).count() == 1
    assert "as many desktops as your policy allows" in QueuePlace.objects.get().end_reason


def test_a_desktop_that_is_only_for_one_of_them_goes_to_that_one(policy: Policy, center: Center, clock: Any) -> None:
    first, _ = arrives(policy, center)
    second, owner = arrives(policy, center, "owner")
    presses(first, policy)
    clock.shift(1)
    presses(second, policy)
    make.desktop(center, bound_user="owner")
    looks()
    assert Assignment.objects.filter(closed_at=None, user=owner).exists()
    assert QueuePlace.objects.filter(ended_at=None).count() == 1


def test_a_strangers_place_is_404(policy: Policy, center: Center) -> None:
    browser, _ = arrives(policy, center)
    address = presses(browser, policy)
    stranger, _ = arrives(policy, center)
    assert stranger.get(address).status_code == 404
    assert stranger.get(f"{address}card/").status_code == 404
    assert stranger.post(f"{address}leave/").status_code == 404


def test_the_wait_that_is_usual_is_the_median_of_the_last(policy: Policy, center: Center, clock: Any) -> None:
    for seconds in (60, 240, 600):
        browser, _ = arrives(policy, center)
        address = presses(browser, policy)
        for _ in range(seconds // 60):
            clock.shift(60)
            browser.get(address, headers=POLLED)
        frees()
        looks()
    browser, _ = arrives(policy, center)
    page = browser.get(presses(browser, policy)).content.decode()
    assert "the wait is usually 4 minutes" in page


def test_a_pool_without_any_desktop_has_no_queue(center: Center) -> None:
    browser, _ = arrives(make.policy(make.pool(center)), center)
    assert "Wait for a desktop" not in browser.get("/desktops/").content.decode()


def test_the_polls_of_the_queue_read_little_and_write_rarely(policy: Policy, center: Center, clock: Any) -> None:
    browser, _ = arrives(policy, center)
    address = presses(browser, policy)

    def polls(where: str) -> list[str]:
        return statements(lambda: browser.get(where, headers=POLLED))

    within(POLL, polls(address))
    assert all(each.startswith("SELECT") for each in polls(address))
    clock.shift(11)
    done = polls(address)
    within(POLL + 1, done)
    assert sum(each.startswith("UPDATE") for each in done) == 1
    assert all(each.startswith("SELECT") for each in polls(address))
    clock.shift(60)
    assert all(each.startswith("SELECT") for each in polls(f"{address}card/"))
    assert QueuePlace.objects.get().seen_at == NOON + timedelta(seconds=11)


def test_a_poll_that_knows_all_already_is_answered_with_nothing(policy: Policy, center: Center) -> None:
    browser, _ = arrives(policy, center)
    address = presses(browser, policy)
    page = browser.get(address).content.decode()
    mark = page.partition("?seen=")[2][:8]
    assert browser.get(f"{address}?seen={mark}", headers=POLLED).status_code == 204
    assert browser.get(f"{address}?seen=other", headers=POLLED).status_code == 200


def test_the_words_of_a_place() -> None:
    assert [ordinal(each) for each in (1, 2, 3, 4, 11, 12, 13, 21, 112)] == [
        "1st", "2nd", "3rd", "4th", "11th", "12th", "13th", "21st", "112th"
    ]  # fmt: skip
    assert place_in_words(3, 240) == "You are 3rd in the queue; the wait is usually 4 minutes."
    assert place_in_words(1, None) == "You are 1st in the queue."


def test_a_place_that_is_still_there_is_noted_at_most_every_ten_seconds(policy: Policy, center: Center) -> None:
    browser, _ = arrives(policy, center)
    presses(browser, policy)
    place = QueuePlace.objects.get()
    assert statements(lambda: places.seen(place)) == []
