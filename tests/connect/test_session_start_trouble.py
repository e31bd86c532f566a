"""*Send HTTP GET at start of session*, where the URL is a bad one: whom it keeps out, and whom it does not hold up."""

import pytest
from django.test import Client

from broker.core import jobs
from broker.core.models import Job, LogEntry
from broker.handlers import HANDLERS
from policies.models import Policy
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
