"""A person's own sessions, in plain words and without what administrators and plans are called."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from agents.models import Agent, AgentCommand
from broker.connect.models import DesktopSession, Launch
from broker.core.clock import now
from centers.models import Desktop
from gateways.models import Tunnel
from tests import make

pytestmark = pytest.mark.django_db
PAGE = "/desktops/history/"


@pytest.fixture
def machine() -> Desktop:
    make.defaults()
    return make.desktop(make.center(), display_name="Design 7")


def visit(on: Desktop, person: Any, ended_after: float = 0, **fields: Any) -> DesktopSession:
    """A session that began two hours ago."""
    began = now() - timedelta(hours=2)
    made = {"boot_id": "b", "os_session": str(next(make.numbers)), "user_name": "x", "changed_at": began}
    if ended_after:
        made |= {"ended_at": began + timedelta(minutes=ended_after), "state": "ended", "end_reason": "logged out"}
    return DesktopSession.objects.create(desktop=on, user=person, **{**made, "started_at": began, **fields})


def asked(about: DesktopSession, reason: str) -> None:
    """The log-out that we asked its agent for, shortly before it ended."""
    number = next(make.numbers)
    made = {"uuid": f"00000000-0000-0000-0000-{number:012d}", "key_digest": f"{number:064d}", "approved": True}
    by = Agent.objects.create(**made, desktop=about.desktop, center=about.desktop.center, registered_at=now())
    assert about.ended_at
    AgentCommand.objects.create(
        agent=by, type="logout", data={"session": about.os_session}, reason=reason, expires_at=now(),
        created_at=about.ended_at - timedelta(seconds=20),
    )  # fmt: skip


def words(person: Any, query: str = "") -> str:
    return make.signed_in(Client(), person).get(f"{PAGE}{query}").content.decode()


def test_ones_own_sessions_are_told_and_nobody_elses(machine: Desktop) -> None:
    vic = make.user("vic")
    visit(machine, vic, 90)
    visit(make.desktop(machine.center, display_name="Theirs"), make.user("wim"), 10)
    page = words(vic)
    assert "Design 7" in page
    assert "for 1 hour 30 minutes. You logged out." in page
    assert "Theirs" not in page


@pytest.mark.parametrize(
    ("reason", "said"),
    [
        ("plan Night of the long knives", "You were logged out by the rules for this desktop."),
        ("the desktop is being shut down", "You were logged out because the desktop was shut down."),
        ("Admin17 asked for it", "You were logged out by an administrator."),
    ],
)
def test_a_log_out_that_somebody_else_wanted_says_so_without_names(machine: Desktop, reason: str, said: str) -> None:
    person = make.user()
    asked(visit(machine, person, 30), reason)
    page = words(person)
    assert said in page
    assert "long knives" not in page
    assert "Admin17" not in page


@pytest.mark.parametrize(
    ("stored", "said"),
    [
        ("cleared by Admin17", "Ended by an administrator."),
        ("the machine was restarted", "The desktop was restarted."),
        ("deleted from disk", "The desktop was deleted."),
        ("something new", "It ended."),
    ],
)
def test_ends_are_told_in_plain_words(machine: Desktop, stored: str, said: str) -> None:
    person = make.user()
    visit(machine, person, 30, end_reason=stored)
    page = words(person)
    assert said in page
    assert stored not in page or stored == "the machine was restarted"


def test_what_goes_on_is_told_as_going_on(machine: Desktop) -> None:
    person = make.user()
    visit(machine, person)
    visit(machine, person, state="disconnected")
    page = words(person)
    assert "Going on" in page
    assert "Waiting for you" in page


def test_ones_own_ways_through_gateways_are_told_with_the_gateway(machine: Desktop) -> None:
    person, at = make.user(), now() - timedelta(hours=1)
    held = make.assignment(person, machine)
    launch = Launch.objects.create(
        user=person, desktop=machine, assignment=held, step="done", started_at=at, step_at=at, deadline=at, ended_at=at
    )
    made: dict[str, Any] = {
        "gateway_name": "Edge", "protocol": "rdp", "destination": "10.0.0.4:3389", "opened_at": at, "lease_until": at,
        "subject": f"launch:{launch.pk}", "user": f"user:{person.pk}", "used_at": at,
        "closed_at": at + timedelta(minutes=12),
    }  # fmt: skip
    Tunnel.objects.create(token_id="a", client_ip="192.0.2.7", closed_by="user", close_reason="By Admin17", **made)
    Tunnel.objects.create(token_id="b", **{**made, "gateway_name": "Theirs", "user": "user:0"})
    Tunnel.objects.create(token_id="c", **{**made, "gateway_name": "Nobody came", "used_at": None})
    page = words(person)
    assert "HTML5 RDP, through Edge, from 192.0.2.7. For 12 minutes. You left." in page
    assert page.count("Design 7") == 1
    assert not any(other in page for other in ("Theirs", "Nobody came", "Admin17"))


def test_the_past_goes_on_page_by_page(machine: Desktop) -> None:
    person, began = make.user(), now() - timedelta(days=1)
    for _ in range(60):
        visit(machine, person, 5, started_at=began)
    browser, seen, query = make.signed_in(Client(), person), 0, ""
    while True:
        answer = browser.get(f"{PAGE}{query}")
        seen += len(answer.context["visits"])
        if not answer.context["older"]:
            break
        query = f"?before={answer.context['older']}"
    assert seen == 60


def test_a_strange_key_is_not_found(machine: Desktop) -> None:
    theirs = visit(machine, make.user(), 5)
    browser = make.signed_in(Client(), make.user())
    for key in (theirs.pk, "x", "²", "9" * 40):
        assert browser.get(f"{PAGE}?before={key}").status_code == 404


def test_it_costs_the_same_for_many(machine: Desktop) -> None:
    def statements() -> int:
        with CaptureQueriesContext(connection) as seen:
            assert browser.get(PAGE).status_code == 200
        return len(seen)

    person = make.user()
    visit(machine, person, 5)
    browser = make.signed_in(Client(), person)
    browser.get(PAGE)
    few = statements()
    for _ in range(30):
        visit(make.desktop(machine.center), person, 5)
    assert statements() == few
    assert few <= 9
