"""The URL of a plan is called with its tags, three times at most, and never by hook or crook (SPEC 3.4)."""

import hashlib
import hmac
import json
import socket
import threading
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest
import time_machine

from broker.core import jobs
from broker.core.clock import now
from broker.core.fields import set_secret
from broker.core.jobs import Wish, enqueue
from broker.core.models import Job, LogEntry
from broker.handlers import HANDLERS
from centers.models import Center
from plans.engine import Action, Due, Event
from plans.models import ReleasePlan
from pools.models import Assignment
from tests import make
from tests.connect.listener import Listener

pytestmark = pytest.mark.django_db


def planned(url: str, source: str = "") -> Job:
    """A call that a release plan wants at log-out."""
    make.defaults()
    center = make.center()
    alice, desktop = make.user("alice", at=center.server), make.desktop(center, display_name="Büro & more")
    held = make.assignment(alice, desktop)
    moment = now()
    due = Due(Action.CALL_URL, moment, Event.LOGGED_OUT, moment, "Tell the helpdesk", url, source)
    payload = {"due": due.as_json(), "epoch": "", "assignment": held.pk, "user": alice.pk}
    return enqueue(Wish("call_url", f"desktop:{desktop.pk}", payload=payload, cause="logged_out", plan=due.plan))


def worked(job: Job, times: int = 1) -> Job:
    with time_machine.travel(now(), tick=False) as clock:
        for _ in range(times):
            jobs.work(HANDLERS)
            clock.shift(400)
    job.refresh_from_db()
    return job


def test_the_tags_are_replaced_and_quoted(listener: Listener) -> None:
    job = worked(planned(f"http://127.0.0.1:{listener.server_port}/out?who={{USER}}&what={{DISPLAY_NAME}}"))
    assert listener.asked == ["/out?who=alice&what=B%C3%BCro%20%26%20more"]
    assert (job.state, job.message) == ("finished", "It answered 200.")
    assert LogEntry.objects.filter(event="plan.job_executed").count() == 1


def test_a_url_called_at_the_event_is_called_though_the_assignment_has_ended(listener: Listener) -> None:
    job = planned(f"http://127.0.0.1:{listener.server_port}/out")
    Assignment.objects.update(closed_at=now(), close_reason="x")
    worked(job)
    assert (job.state, job.reason, listener.asked) == ("finished", "", ["/out"])


@pytest.mark.parametrize("answer", [500, 404, 0])
def test_a_bad_answer_is_tried_three_times_and_then_given_up_in_words(listener: Listener, answer: int) -> None:
    listener.answer = answer
    job = worked(planned(f"http://127.0.0.1:{listener.server_port}/out"), 5)
    assert (job.state, len(listener.asked)) == ("aborted", 3)
    assert job.reason.startswith("The URL did not answer well: ")


def test_nobody_there_is_given_up_in_words() -> None:
    job = worked(planned("http://127.0.0.1:1/out"), 5)
    assert (job.state, job.tries) == ("aborted", 3)
    assert "refused" in job.reason


def test_a_redirect_is_an_answer_and_is_not_followed(listener: Listener) -> None:
    listener.answer = 302
    job = worked(planned(f"http://127.0.0.1:{listener.server_port}/out"))
    assert (job.state, job.message, listener.asked) == ("finished", "It answered 302.", ["/out"])


@pytest.mark.parametrize("host", ["169.254.169.254", "[fe80::1]", "[::ffff:169.254.169.254]", "[fd00:ec2::254]"])
def test_a_link_local_address_is_never_called(host: str) -> None:
    job = worked(planned(f"http://{host}/latest/meta-data"), 5)
    assert job.state == "aborted"
    assert "link-local" in job.reason


def test_a_name_that_changes_after_the_check_leads_to_the_address_that_was_checked(
    listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DNS rebinding: the first answer is harmless, each later one is the metadata service's."""
    real, asked = socket.getaddrinfo, []

    def rebinding(host: str, *rest: Any, **more: Any) -> Any:
        asked.extend([host] * (host == "rebind.test"))
        address = {"rebind.test": "127.0.0.1" if len(asked) == 1 else "169.254.169.254"}.get(host, host)
        return real(address, *rest, **more)

    monkeypatch.setattr(socket, "getaddrinfo", rebinding)
    monkeypatch.setenv("NO_PROXY", "rebind.test")
    job = worked(planned(f"http://rebind.test:{listener.server_port}/out"))
    assert (job.state, listener.asked, asked) == ("finished", ["/out"], ["rebind.test"])


def test_what_held_a_call_is_no_try_of_it_and_no_reason_to_give_it_up(listener: Listener) -> None:
    listener.answer = 500
    job = planned(f"http://127.0.0.1:{listener.server_port}/out")
    Center.objects.update(freeze_plans=True)
    worked(job, 12)  # more than an hour
    assert (job.state, listener.asked) == ("pending", [])
    Center.objects.update(freeze_plans=False)
    with time_machine.travel(now() + timedelta(hours=2), tick=False):
        worked(job, 5)
    assert (job.state, len(listener.asked)) == ("aborted", 3)


def signing_plan(**columns: Any) -> ReleasePlan:
    """A plan that posts."""
    plan = ReleasePlan(name="Tell the helpdesk", url_method="post", **columns)
    set_secret(plan, "url_secret", "tell-nobody")
    plan.save()
    return plan


def test_a_signed_call_can_be_checked_by_whoever_knows_the_secret(listener: Listener) -> None:
    plan = signing_plan()
    job = worked(planned(f"http://127.0.0.1:{listener.server_port}/hook?u={{USER}}", f"release_plan:{plan.pk}"))
    assert (job.state, listener.asked) == ("finished", ["/hook?u=alice"])
    ((headers, body),) = listener.posted
    moment, number = headers["X-Usher-Timestamp"], headers["X-Usher-Delivery"]
    expected = hmac.new(b"tell-nobody", f"{moment}.{number}.".encode() + body, hashlib.sha256).hexdigest()
    assert headers["X-Usher-Signature"] == f"sha256={expected}"
    told = json.loads(body)
    assert (told["id"], told["event"], told["user"]["login"]) == (number, "logged_out", "alice")
    assert told["desktop"]["display_name"] == "Büro & more"


def test_every_try_of_a_call_has_the_same_id_and_body_and_a_time_of_its_own(listener: Listener) -> None:
    listener.answer = 503
    plan = signing_plan(url_retries=3)
    job = worked(planned(f"http://127.0.0.1:{listener.server_port}/hook", f"release_plan:{plan.pk}"), 6)
    assert (job.state, len(listener.posted)) == ("aborted", 4)
    assert len({(headers["X-Usher-Delivery"], body) for headers, body in listener.posted}) == 1
    assert len({headers["X-Usher-Timestamp"] for headers, _ in listener.posted}) == 4
    assert LogEntry.objects.filter(event="plan.job_failed", level="warning").count() == 4


def test_the_secret_is_in_no_job_and_in_no_log(listener: Listener) -> None:
    plan = signing_plan()
    job = worked(planned(f"http://127.0.0.1:{listener.server_port}/hook", f"release_plan:{plan.pk}"))
    assert "tell-nobody" not in json.dumps(job.payload) + job.message
    assert not LogEntry.objects.filter(message__contains="tell-nobody").exists()


def test_a_plan_that_is_gone_by_now_is_called_plainly(listener: Listener) -> None:
    job = worked(planned(f"http://127.0.0.1:{listener.server_port}/hook", "release_plan:999999"))
    assert (job.state, listener.posted) == ("finished", [])


def test_a_call_that_takes_longer_than_the_plans_time_out_is_given_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:  # takes the call and says nothing
        plan = ReleasePlan.objects.create(name="Tell the helpdesk", url_timeout=1, url_retries=0)
        job = worked(planned(f"http://127.0.0.1:{mute.getsockname()[1]}/", f"release_plan:{plan.pk}"))
    assert (job.state, job.tries) == ("aborted", 1)
    assert "timed out" in job.reason


def drip(door: socket.socket, tired: threading.Event) -> None:
    """Answer a byte at a time, each well within any time-out, until the caller has gone, or for twenty seconds."""
    caller, _ = door.accept()
    with caller, suppress(OSError):
        for _ in range(100):
            caller.sendall(b"H")
            tired.wait(0.2)
        tired.set()


def test_who_drips_its_answer_holds_a_worker_no_longer_than_the_plans_time_out() -> None:
    tired = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as door:
        dripper = threading.Thread(target=drip, args=[door, tired])
        dripper.start()
        plan = ReleasePlan.objects.create(name="Tell the helpdesk", url_timeout=1, url_retries=0)
        job = planned(f"http://127.0.0.1:{door.getsockname()[1]}/", f"release_plan:{plan.pk}")
        jobs.work(HANDLERS)
        dripper.join()
    assert not tired.is_set(), "the call went on for as long as it dripped"
    job.refresh_from_db()
    assert (job.state, job.tries) == ("aborted", 1)
    assert "did not answer well" in job.reason
