"""*Send HTTP GET at start of session*, where the URL is a bad one: whom it keeps out, and whom it does not hold up."""

from contextlib import ExitStack

import pytest
from django.test import Client

from broker.connect import session_start
from broker.core import jobs
from broker.core.models import Job, LogEntry
from broker.handlers import HANDLERS
from policies.models import Policy
from tests.connect.listener import Listener
from tests.connect.test_session_start import change, policy, sign_in

__all__ = ["policy"]

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("url", ["http://[::1/", "https://", "http://x.example:abc/", "http://a\tb/", "https://a:b@x/"])
def test_a_stored_url_that_can_never_be_called_keeps_people_out_in_words(
    client: Client, policy: Policy, url: str
) -> None:
    change(policy, start_blocks=True, start_url=url)
    assert sign_in(client).status_code == 403
    assert "did not answer well: " in LogEntry.objects.get(event="auth.login_failed").message
    change(policy, start_blocks=False)
    assert sign_in(client).status_code == 302
    jobs.work(HANDLERS)
    assert Job.objects.get(kind="session_start").reason.startswith("The URL did not answer well: ")


def test_where_many_wait_already_the_next_is_told_so_at_once_and_may_try_again(
    client: Client, policy: Policy, listener: Listener
) -> None:
    change(policy, start_blocks=True, start_message="No")
    with ExitStack() as others:
        for _ in range(session_start.AT_ONCE):
            others.enter_context(session_start.turns)
        assert session_start.BUSY in sign_in(client).content.decode()
    assert listener.asked == []
    assert "wait for the URLs" in LogEntry.objects.get(event="auth.login_failed").message
    assert sign_in(client).status_code == 302


def test_who_was_kept_out_holds_no_turn(client: Client, policy: Policy, listener: Listener) -> None:
    change(policy, start_blocks=True)
    listener.answer = 500
    for _ in range(session_start.AT_ONCE + 1):
        assert sign_in(client).status_code == 403
    listener.answer = 200
    assert sign_in(client).status_code == 302
