"""*Send HTTP GET at start of session*: who hears of a sign-in, and who may forbid it (SPEC 1.2, 3.5.1)."""

import socket
from collections.abc import Callable
from typing import Any

import pytest
import time_machine
from django.test import Client

from authservers.models import AuthenticationServer, User
from broker.connect import web_call
from broker.connect.models import PortalSession
from broker.core import jobs
from broker.core.clock import now
from broker.core.models import Job, LogEntry
from broker.handlers import HANDLERS
from policies.models import Access, Policy
from tests import make
from tests.connect.listener import Listener

pytestmark = pytest.mark.django_db


@pytest.fixture
def policy(listener: Listener) -> Policy:
    """Alice's, which calls the listener."""
    make.defaults()
    row = make.policy()
    change(row, start_call=True, start_url=f"http://127.0.0.1:{listener.server_port}/hello?u={{USER}}&p={{POLICY}}")
    make.grant(make.user("alice"), policy=row)
    return row


def change(policy: Policy, **columns: Any) -> None:
    Policy.objects.filter(pk=policy.pk).update(**columns)


def sign_in(client: Client, login: str = "alice") -> Any:
    return client.post("/", {"login": login, "password": make.PASSWORD})


def told() -> Job:
    return Job.objects.get(kind="session_start")


def test_a_sign_in_waits_for_nobody_where_the_answer_decides_nothing(
    client: Client, policy: Policy, listener: Listener
) -> None:
    assert sign_in(client).status_code == 302
    assert (listener.asked, told().state) == ([], "pending")
    jobs.work(HANDLERS)
    assert listener.asked == [f"/hello?u=alice&p=Policy%20{policy.name.removeprefix('Policy ')}"]
    assert (told().state, told().message) == ("finished", "It answered 200.")


def test_what_is_not_answered_well_is_tried_three_times_and_keeps_nobody_out(
    client: Client, policy: Policy, listener: Listener
) -> None:
    listener.answer = 503
    with time_machine.travel(now(), tick=False) as clock:
        assert sign_in(client).status_code == 302
        for _ in range(5):
            jobs.work(HANDLERS)
            clock.shift(60)
    assert (told().state, len(listener.asked)) == ("aborted", 3)
    assert "503" in told().reason


def test_a_policy_that_calls_nothing_any_more_lets_its_calls_lapse(
    client: Client, policy: Policy, listener: Listener
) -> None:
    sign_in(client)
    change(policy, start_call=False)
    jobs.work(HANDLERS)
    assert (told().state, listener.asked) == ("cancelled", [])


def test_who_is_agreed_to_is_let_in_and_told_of_once(client: Client, policy: Policy, listener: Listener) -> None:
    change(policy, start_blocks=True)
    assert sign_in(client).status_code == 302
    jobs.work(HANDLERS)
    assert len(listener.asked) == 1
    assert PortalSession.objects.get(closed_at=None).user.login == "alice"


@pytest.mark.parametrize("answer", [404, 500, 0])
def test_who_is_not_agreed_to_reads_the_policys_message_and_stays_outside(
    client: Client, policy: Policy, listener: Listener, answer: int
) -> None:
    change(policy, start_blocks=True, start_message="Your licence <b>has</b> run out.")
    listener.answer = answer
    page = sign_in(client)
    assert page.status_code == 403
    assert "Your licence &lt;b&gt;has&lt;/b&gt; run out." in page.content.decode()
    assert not PortalSession.objects.exists()
    assert client.get("/desktops/").status_code == 302
    logged = LogEntry.objects.get(event="auth.login_failed").message
    assert f"the URL of policy {policy} did not answer well" in logged


def test_whoever_says_nothing_keeps_people_out_after_the_time_out(client: Client, policy: Policy) -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        url = f"http://127.0.0.1:{mute.getsockname()[1]}/"
        change(policy, start_blocks=True, start_timeout=1, start_url=url)
        page = sign_in(client)
    assert page.status_code == 403
    assert "Unable to initialize session" in page.content.decode()


def test_administrators_come_in_all_the_same(client: Client, policy: Policy, listener: Listener) -> None:
    change(policy, start_blocks=True)
    make.grant(make.user("root"), role=make.role(admin=True), policy=policy)
    listener.answer = 500
    assert sign_in(client, "root").status_code == 302
    assert (listener.asked, told().subject_name) == ([], "Root")


def meanwhile(monkeypatch: pytest.MonkeyPatch, policy: Policy, happens: Callable[[], object]) -> None:
    """While the URL is asked something happens; then it agrees."""

    def slow(*_: object) -> int:
        happens()
        return 200

    change(policy, start_blocks=True)
    monkeypatch.setattr(web_call, "status", slow)


def new_password() -> None:
    alice = User.objects.get(login="alice")
    alice.set_password("another-Secret1")
    alice.save()


@pytest.mark.parametrize(
    "happens",
    [
        lambda: User.objects.filter(login="alice").update(is_active=False),
        lambda: User.objects.filter(login="alice").delete(),
        lambda: AuthenticationServer.objects.update(active=False),
        new_password,
    ],
    ids=["disabled", "deleted", "server off", "new password"],
)
def test_who_loses_the_right_to_sign_in_while_the_url_is_asked_stays_outside(
    client: Client, policy: Policy, monkeypatch: pytest.MonkeyPatch, happens: Callable[[], object]
) -> None:
    meanwhile(monkeypatch, policy, happens)
    page = sign_in(client)
    assert (page.status_code, PortalSession.objects.exists()) == (200, False)
    assert "Ask your administrator" in page.content.decode()


def test_another_policy_that_wants_to_be_asked_is_not_taken_for_this_one(
    client: Client, policy: Policy, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = make.policy()
    change(other, start_call=True, start_blocks=True, start_url="http://127.0.0.1:9/never")
    meanwhile(monkeypatch, policy, lambda: Access.objects.update(policy=other))
    page = sign_in(client)
    assert (page.status_code, PortalSession.objects.exists()) == (503, False)
    assert "Sign in again" in page.content.decode()


def test_a_blocked_sign_in_was_none(client: Client, policy: Policy, listener: Listener) -> None:
    change(policy, start_blocks=True)
    listener.answer = 500
    sign_in(client)
    alice = User.objects.get(login="alice")
    assert (alice.last_sign_in_at, alice.last_location) == (None, None)


def test_the_password_is_in_no_call(client: Client, policy: Policy, listener: Listener) -> None:
    change(policy, start_blocks=True)
    sign_in(client)
    assert make.PASSWORD not in "".join(listener.asked) + str(list(Job.objects.values_list("payload", flat=True)))
