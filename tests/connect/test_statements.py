"""What the pages of everybody cost in SQL statements, transactions left out (the main-job issue; CONTRACTS 3, 4.9)."""

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from agents.models import Agent
from authservers.models import User
from broker.connect.models import Launch
from broker.core.clock import now
from broker.demo.directory import seed
from broker.demo.directory.certificates import Certificates
from broker.demo.directory.server import DirectoryServer
from centers.models import Center, Desktop
from policies.models import AssignmentRule, Policy, PoolAssignment, Role
from pools.models import Pool
from tests import make
from tests.connect.directory import directory_row
from tests.connect.listener import Listener
from tests.directory_fixtures import directory_certificates, directory_server

__all__ = ["directory_certificates", "directory_server"]
pytestmark = pytest.mark.django_db
SIGN_IN, PAGE, POLL = 15, 12, 4
CARDS = re.compile(r"/desktops/states/\?cards=[^\"&]+|cards=([A-Za-z0-9:_.-]+)")


@pytest.fixture(autouse=True)
def broker() -> None:
    make.defaults()


def statements(act: Callable[[], Any]) -> list[str]:
    """The SQL of an action without BEGIN, COMMIT and SAVEPOINT."""
    with CaptureQueriesContext(connection) as seen:
        act()
    transaction = ("BEGIN", "COMMIT", "SAVEPOINT", "RELEASE SAVEPOINT", "ROLLBACK")
    return [each["sql"] for each in seen.captured_queries if not each["sql"].startswith(transaction)]


def within(limit: int, done: list[str]) -> int:
    """The number of statements; where it is too large, the statements themselves."""
    assert len(done) <= limit, "\n".join(each[:160] for each in done)
    return len(done)


def pools_of(center: Center, count: int, policy: Policy) -> None:
    """A policy with that many lines, each a pool of its own with a few desktops, two of them lent."""
    plans = make.plan_rows()
    for number in range(count):
        pool = Pool.objects.create(
            name=f"P{center.pk}-{number}", parent=make.root_pool(), defined_by=Pool.By.ATTRIBUTES,
            rules=[{"attribute": "name", "condition": "ct", "value": f"p{number}x"}],
        )  # fmt: skip
        PoolAssignment.objects.create(policy=policy, order=number + 1, pool=pool, quantity=3, **plans)
        for each in range(3):
            desktop = make.desktop(center, name=f"p{number}x{each}")
            Agent.objects.create(
                uuid=f"00000000-0000-4000-8000-{desktop.pk:012d}", key_digest=f"{desktop.pk:064d}", center=center,
                desktop=desktop, approved=True, registered_at=now(), last_seen=now(),
            )  # fmt: skip


def person_with(count: int, home: Any = None) -> User:
    """Somebody whose policy has that many pools, who holds one desktop, and one that is disconnected."""
    center = make.center(home)
    person = make.user(at=home)
    policy = make.policy()
    pools_of(center, count, policy)
    make.grant(person, policy=policy)
    for desktop in Desktop.objects.filter(center=center)[:2]:
        make.assignment(person, desktop)
    return person


def signed_in(person: User) -> Client:
    browser = make.signed_in(Client(), person, policy_row=person.access.policy)
    browser.get("/desktops/")
    return browser


def sign_in(login: str, password: str, browser: Client | None = None) -> Callable[[], Any]:
    browser = browser or Client()
    browser.get("/")

    def act() -> None:
        answer = browser.post("/", {"login": login, "password": password})
        assert answer.status_code == 302, answer.content

    return act


@pytest.mark.parametrize("pools", [1, 50])
def test_the_sign_in_of_a_local_person(pools: int) -> None:
    person = person_with(pools)
    within(SIGN_IN, statements(sign_in(person.login, make.PASSWORD)))


@pytest.mark.parametrize("pools", [1, 50])
def test_the_sign_in_of_a_directorys_person_the_first_time_and_later(
    pools: int, directory_server: DirectoryServer, directory_certificates: Certificates
) -> None:
    home = directory_row(directory_server, directory_certificates)
    policy = make.policy()
    pools_of(make.center(home), pools, policy)
    AssignmentRule.objects.create(server=home, order=1, role=Role.objects.get(builtin="user"), policy=policy)
    browser = Client()
    within(SIGN_IN, statements(sign_in("alice", seed.PASSWORD, browser)))
    browser.post("/sign-out/")
    within(SIGN_IN, statements(sign_in("alice", seed.PASSWORD, browser)))


@pytest.mark.parametrize(("blocks", "more"), [(False, 1), (True, 4)], ids=["told of", "asked"])
def test_the_sign_in_under_a_policy_that_calls_a_url_costs_the_job_or_a_second_look_at_the_rules(
    blocks: bool, more: int, listener: Listener
) -> None:
    person = person_with(1)
    url = f"http://127.0.0.1:{listener.server_port}/"
    assert person.access.policy
    Policy.objects.filter(pk=person.access.policy.pk).update(start_call=True, start_url=url, start_blocks=blocks)
    within(SIGN_IN + more, statements(sign_in(person.login, make.PASSWORD)))


def test_the_page_of_desktops_costs_the_same_for_one_pool_and_fifty() -> None:
    one, fifty = signed_in(person_with(1)), signed_in(person_with(50))
    few = within(PAGE, statements(lambda: one.get("/desktops/")))
    assert within(PAGE, statements(lambda: fifty.get("/desktops/"))) == few


def test_the_page_of_desktops_stays_in_its_budget_with_a_queue() -> None:
    person = person_with(0)
    center = Center.objects.get()
    assert person.access.policy
    pools_of(center, 3, person.access.policy)
    other = make.user(at=center.server)
    for desktop in Desktop.objects.filter(center=center, lent=False):
        make.assignment(other, desktop)
    browser = signed_in(person)
    page = browser.get("/desktops/").content.decode()
    assert page.count("Wait for a desktop") == 3
    within(PAGE, statements(lambda: browser.get("/desktops/")))


def cards_of(page: str) -> str:
    """The signed list of the page's desktops, which its poll sends back."""
    found = re.search(r"cards=([^\"'&\s]+)", page)
    assert found, page
    return found[1]


@pytest.mark.parametrize("pools", [1, 50])
def test_the_poll_of_the_page_reads_little_and_writes_nothing(pools: int) -> None:
    browser = signed_in(person_with(pools))
    cards = cards_of(browser.get("/desktops/").content.decode())

    def poll() -> None:
        answer = browser.get(f"/desktops/states/?cards={cards}", headers={"X-Usher-Poll": "1"})
        assert answer.status_code == 200

    done = statements(poll)
    within(POLL, done)
    assert all(each.startswith("SELECT") for each in done)


def test_the_poll_of_the_progress_page_reads_little_and_writes_nothing() -> None:
    person = person_with(1)
    browser, held = signed_in(person), person.assignments.all()[0]
    launch = Launch.objects.create(
        user=person, desktop=held.desktop, assignment=held, step="starting", step_at=now(), started_at=now(),
        deadline=now() + timedelta(minutes=15), times={"starting": now().isoformat()},
    )  # fmt: skip
    person.portal_sessions.update(active_at=now() - timedelta(minutes=5))

    def poll() -> None:
        headers = {"HX-Request": "true", "X-Usher-Poll": "1"}
        assert browser.get(f"/launches/{launch.pk}/", headers=headers).status_code == 200

    done = statements(poll)
    within(POLL, done)
    assert all(each.startswith("SELECT") for each in done)


def test_connect_costs_the_same_for_one_pool_and_fifty() -> None:
    def cost(pools: int) -> int:
        person = person_with(pools)
        browser, held = signed_in(person), person.assignments.all()[0]
        return len(statements(lambda: browser.post(f"/desktops/{held.desktop_id}/connect/")))

    assert cost(1) == cost(50)
