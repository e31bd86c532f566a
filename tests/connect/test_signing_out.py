"""Signing out with desktops still open, and what the next sign-in says of what was ended meanwhile (RULES 22)."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from agents.models import Agent
from agents.services import command
from authservers.models import User
from broker.connect.models import PortalSession
from broker.core.clock import now
from centers.models import Center, Desktop
from policies.models import Policy
from tests import make
from tests.connect.talker import Talker

pytestmark = pytest.mark.django_db


@pytest.fixture
def center() -> Center:
    make.defaults()
    return make.center()


@pytest.fixture
def alice(center: Center) -> User:
    person = make.user("alice")
    center.server.kind = "local"
    return make.grant(person, policy=make.policy(make.pool(center)))


@pytest.fixture
def portal(client: Client, alice: User) -> Client:
    return make.signed_in(client, alice, policy_row=alice.access.policy)


@pytest.fixture
def talker(center: Center, alice: User) -> Talker:
    """Her desktop's agent; she is logged in."""
    desktop = make.desktop(center)
    make.assignment(alice, desktop)
    talker = Talker(center, desktop)
    talker.tell("login", user="CORP\\alice")
    desktop.sessions.update(user=alice, assignment=alice.assignments.get())
    return talker


def asked() -> list[tuple[str, str]]:
    return [(each.type, each.data["session"]) for each in Agent.objects.get().commands.all()]


def test_who_is_connected_is_asked_before_the_sign_in_ends(portal: Client, talker: Talker) -> None:
    page = portal.post("/sign-out/").content.decode()
    assert "You are still connected to 1 desktop" in page
    assert str(Desktop.objects.get()) in page
    assert PortalSession.objects.get().closed_at is None
    assert portal.get("/desktops/").status_code == 200


@pytest.mark.parametrize(
    ("choice", "commands"), [("leave", []), ("disconnect", [("disconnect", "2")]), ("logout", [("logout", "2")])]
)
def test_the_answer_is_done_and_the_sign_in_ends(
    portal: Client, talker: Talker, choice: str, commands: list[tuple[str, str]]
) -> None:
    assert portal.post("/sign-out/", {"desktops": choice}).status_code == 302
    assert asked() == commands
    assert PortalSession.objects.get().close_reason == "signed out"


def test_an_answer_that_is_none_is_asked_again(portal: Client, talker: Talker) -> None:
    assert "still connected" in portal.post("/sign-out/", {"desktops": "<script>"}).content.decode()


def test_nobody_is_asked_whose_desktops_are_disconnected_or_somebody_elses(portal: Client, talker: Talker) -> None:
    talker.tell("disconnect", user="CORP\\alice")
    assert portal.post("/sign-out/").status_code == 302


def signs_in(alice: User, policy: Any = None) -> str:
    """Through the front door; what the page of desktops says then."""
    browser = Client()
    answer = browser.post("/", {"login": alice.login, "password": make.PASSWORD}, follow=True)
    return answer.content.decode()


def test_after_a_forced_log_out_the_next_sign_in_says_why_and_says_it_once(
    portal: Client, talker: Talker, alice: User
) -> None:
    command(Agent.objects.get(), "logout", "plan Office hours", {"session": "2"})
    talker.tell("logout", user="CORP\\alice")
    said = f"You were logged out of {Desktop.objects.get()} at"
    page = signs_in(alice)
    assert said in page
    assert "plan Office hours." in page
    assert said not in signs_in(alice)


def test_a_log_out_of_ones_own_needs_no_words(portal: Client, talker: Talker, alice: User) -> None:
    talker.tell("logout", user="CORP\\alice")
    assert "You were logged out" not in signs_in(alice)


def test_who_was_signed_out_by_others_is_told_at_the_next_sign_in(portal: Client, alice: User) -> None:
    PortalSession.objects.update(closed_at=now() - timedelta(minutes=1), close_reason="signed out by root")
    assert "signed out by root." in signs_in(alice)


def test_a_policy_that_launches_by_itself_goes_straight_to_the_only_desktop(alice: User, center: Center) -> None:
    desktop = make.desktop(center, power=Desktop.Power.STARTING, raw_state="STARTING")
    make.assignment(alice, desktop)
    Policy.objects.update(auto_launch=True)
    browser = Client()
    answer = browser.post("/", {"login": alice.login, "password": make.PASSWORD}, follow=True)
    assert answer.redirect_chain[-1][0].startswith("/launches/")
    assert "Starting" in answer.content.decode()
    assert browser.get("/desktops/").status_code == 200  # only after the sign-in, not ever after


def test_with_two_desktops_nothing_is_launched(alice: User, center: Center) -> None:
    for _ in range(2):
        make.assignment(alice, make.desktop(center))
    Policy.objects.update(auto_launch=True)
    answer = Client().post("/", {"login": alice.login, "password": make.PASSWORD}, follow=True)
    assert answer.redirect_chain[-1][0] == "/desktops/"
