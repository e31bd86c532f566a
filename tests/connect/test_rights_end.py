"""Rights end the second they are withdrawn: what is open through gateways is closed, and nothing else is (RULES 22)."""

import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from agents.models import Agent
from broker.connect import actions, housekeeping
from broker.connect.models import Launch, Pin, PortalSession
from broker.core import jobs
from broker.core.clock import now
from broker.core.models import Job, LogEntry
from broker.handlers import HANDLERS
from centers.models import Desktop
from gateways.models import Gateway, Tunnel
from plans.models import ReleasePlan
from policies.models import AssignmentRule, Policy, Role
from tests import make
from tests.connect.browser_way import Site, site
from tests.gateways.conftest import edge, scripted, tls
from tests.gateways.scripted import Scripted

__all__ = ["edge", "scripted", "tls"]
pytestmark = pytest.mark.django_db
Commit = Callable[..., Any]


@pytest.fixture
def here(scripted: Scripted, edge: Gateway) -> Iterator[Site]:
    with site(scripted, edge) as made:
        yield made


@pytest.fixture
def working(here: Site) -> Site:
    """Alice works on her desktop in the browser."""
    here.connect()
    assert here.token().status_code == 200
    Tunnel.objects.update(used_at=now())
    return here


def admin() -> Client:
    return make.admin_client(Client())


def release(here: Site) -> None:
    actions.release(here.held.pk, "in the test")


def disable(here: Site) -> None:
    assert (
        admin().post("/resources/users/actions/disable/", {"ids": [here.alice.pk], "confirmed": "yes"}).status_code
        == 303
    )


def sign_out_of_one(here: Site) -> None:
    portal = PortalSession.objects.get(user=here.alice, closed_at=None)
    answer = admin().post(f"/resources/sessions/sign-ins/{portal.pk}/sign_out/")
    assert answer.status_code == 303


def sign_out_of_all(here: Site) -> None:
    assert admin().post(f"/resources/users/{here.alice.pk}/sign_out/").status_code == 303


def saved(address: str, **said: Any) -> None:
    """An administrator saves a page, and the worker does what follows."""
    answer = admin().post(address, said)
    assert answer.status_code == 303, answer.context["form"].errors
    jobs.work({"session_expire": HANDLERS["session_expire"]})


def shown(address: str) -> dict[str, Any]:
    """What the form of a page holds."""
    initial = admin().get(address).context["form"].initial
    return {name: value for name, value in initial.items() if value not in (None, "")}


def no_access(here: Site) -> None:
    here.alice.access.delete()
    saved(f"/configuration/assignments/{here.alice.server_id}/", unmatched="refuse")


def no_default(here: Site) -> None:
    """By the page of the authentication server itself."""
    here.alice.access.delete()
    page = f"/setup/authentication-servers/{here.alice.server_id}/"
    shown = {
        name: value for name, value in admin().get(page).context["form"].initial.items() if value not in (None, "")
    }
    saved(page, **{**shown, "unmatched": "refuse"})


def no_web_client(here: Site) -> None:
    role = Role.objects.create(name="Terminals", web_client=True)
    make.grant(here.alice, role=role, policy=here.policy)
    saved(f"/configuration/roles/{role.pk}/", name="Terminals")


def another_role_of_their_own(here: Site) -> None:
    role, page = Role.objects.create(name="Terminals", web_client=False), f"/resources/users/{here.alice.pk}/"
    saved(page, **{**shown(page), "role": role.pk})


def another_role(here: Site) -> None:
    role = Role.objects.create(name="Terminals", web_client=False)
    AssignmentRule.objects.create(server=here.alice.server, order=9, role=make.role(), policy=here.policy)
    here.alice.access.delete()
    place = f"/configuration/assignments/{here.alice.server_id}/"
    first = {"enabled": "on", "group": "", "location": "", "role": role.pk, "policy": here.policy.pk}
    saved(place, unmatched="default", **{f"rules-0-{name}": value for name, value in first.items()})


def delete(here: Site) -> None:
    actions.gone(here.desktop, "deleted from disk")


RIGHTS = [release, disable, no_access, no_default, no_web_client, another_role, another_role_of_their_own, delete]


@pytest.mark.parametrize("end", [*RIGHTS, sign_out_of_one, sign_out_of_all])
def test_what_is_withdrawn_ends_within_a_second(
    working: Site, end: Callable[[Site], None], django_capture_on_commit_callbacks: Commit
) -> None:
    began = time.monotonic()
    with django_capture_on_commit_callbacks(execute=True):
        end(working)
    row = Tunnel.objects.get()
    assert row.closed_at is not None
    assert [each["ids"] for each in working.gateway.told("close")] == [[row.token_id]]
    assert row.close_reason.endswith(".")
    assert time.monotonic() - began < 1 + 1  # the requests themselves take their time, too


@pytest.mark.parametrize("end", RIGHTS)
@pytest.mark.parametrize("ran_out", [False, True], ids=["signed out", "ran out"])
def test_it_ends_as_well_where_the_sign_in_is_over_and_the_desktop_was_left_open(
    working: Site, end: Callable[[Site], None], ran_out: bool, django_capture_on_commit_callbacks: Commit
) -> None:
    if ran_out:
        PortalSession.objects.update(expires_at=now())
    else:
        working.browser.post("/sign-out/", {"desktops": "leave"})
    assert working.gateway.told("close") == []
    with django_capture_on_commit_callbacks(execute=True):
        end(working)
    assert [each["ids"] for each in working.gateway.told("close")] == [[Tunnel.objects.get().token_id]]


def test_the_end_of_a_sign_in_that_ran_out_leaves_the_desktop_alone(working: Site) -> None:
    PortalSession.objects.update(expires_at=now())
    assert working.browser.get("/desktops/").status_code == 302
    housekeeping.run(Job())
    assert Tunnel.objects.get().closed_at is None
    assert working.gateway.told("close") == []


def test_somebody_elses_ways_stay_open(working: Site) -> None:
    other = make.user("bob")
    Tunnel.objects.create(
        gateway=working.edge, token_id="other", subject="launch:999", user=f"user:{other.pk}",
        destination="10.0.0.9:3389",        opened_at=now(), lease_until=now(), used_at=now(),
    )  # fmt: skip
    release(working)
    assert Tunnel.objects.get(token_id="other").closed_at is None


def test_signing_out_asks_what_becomes_of_the_desktop_in_the_browser(working: Site) -> None:
    page = working.browser.post("/sign-out/").content.decode()
    assert "You are still connected to 1 desktop" in page
    assert "Design 7" in page
    working.browser.post("/sign-out/", {"desktops": "leave"})
    assert Tunnel.objects.get().closed_at is None
    housekeeping.run(Job())
    assert not Job.objects.filter(payload__has_key="due").exists()


def test_signing_out_asks_nothing_about_a_port_whose_client_has_left(working: Site) -> None:
    Tunnel.objects.update(left_at=now())
    assert working.browser.post("/sign-out/").status_code == 302


def test_signing_out_may_disconnect_it(working: Site) -> None:
    working.browser.post("/sign-out/", {"desktops": "disconnect"})
    row = Tunnel.objects.get()
    assert (row.closed_at is not None, row.close_reason) == (True, "You have signed out.")


def test_bytes_in_the_browser_keep_the_sign_in_alive(working: Site) -> None:
    Policy.objects.filter(pk=working.policy.pk).update(session_expire=10)
    PortalSession.objects.update(active_at=now() - timedelta(minutes=30))
    Tunnel.objects.update(last_traffic_at=now() - timedelta(seconds=20))
    assert working.browser.get("/desktops/").status_code == 200
    PortalSession.objects.update(active_at=now() - timedelta(minutes=9))
    housekeeping.run(Job())
    assert PortalSession.objects.get().active_at > now() - timedelta(minutes=1)
    Tunnel.objects.update(last_traffic_at=now() - timedelta(minutes=11))
    PortalSession.objects.update(active_at=now() - timedelta(minutes=30))
    assert working.browser.get("/desktops/").status_code == 302


def closed_by(here: Site, by: str = "user", ago: int = 0) -> Job:
    """The gateway tells that it is closed."""
    Tunnel.objects.update(closed_at=now() - timedelta(seconds=ago), close_reason="The page was closed.", closed_by=by)
    row = Tunnel.objects.latest("pk")
    return jobs.enqueue(jobs.Wish("tunnel_closed", row.subject, payload={"tunnel": row.pk}))


def outcome(job: Job) -> tuple[str, str]:
    jobs.work({"tunnel_closed": HANDLERS["tunnel_closed"]})
    job.refresh_from_db()
    return job.state, job.message or job.reason


def released_after_ten_minutes(here: Site) -> ReleasePlan:
    plan = ReleasePlan.objects.create(name="Ten minutes", disconnected_release=600, logged_out_release=-1)
    here.policy.lines.update(release_plan=plan)
    return plan


def test_a_closed_connection_counts_by_the_plan_where_no_agent_tells(working: Site) -> None:
    released_after_ten_minutes(working)
    assert outcome(closed_by(working))[1].startswith("The connection is taken as closed")
    assert Job.objects.get(kind="release", state="pending").payload["due"]["because"] == "connection_closed"


def test_who_comes_back_in_the_browser_keeps_the_desktop(working: Site) -> None:
    released_after_ten_minutes(working)
    outcome(closed_by(working))
    assert working.token().status_code == 200
    assert not Job.objects.filter(kind="release", state="pending").exists()


def test_a_reload_is_no_end(working: Site) -> None:
    released_after_ten_minutes(working)
    job = closed_by(working)
    working.token()
    assert outcome(job) == ("finished", "They are connected another way.")
    assert not Job.objects.filter(kind="release").exists()


def test_an_agent_knows_better(working: Site) -> None:
    Agent.objects.create(
        uuid="00000000-0000-4000-8000-000000000009", key_digest="b" * 64, center=working.desktop.center,
        desktop=working.desktop, approved=True, registered_at=now(), last_seen=now(),
    )  # fmt: skip
    assert outcome(closed_by(working))[1] == "The desktop's agent tells what becomes of the session."


def test_a_gateway_that_fell_silent_may_still_carry_it(working: Site) -> None:
    released_after_ten_minutes(working)
    job = closed_by(working, "silence", ago=60)
    assert outcome(job) == ("pending", "Its gateway is silent: nobody knows whether it is still open.")
    Tunnel.objects.update(closed_at=now() - timedelta(minutes=11))
    Job.objects.filter(pk=job.pk).update(run_at=now())
    assert outcome(job)[0] == "finished"
    assert Job.objects.filter(kind="release", state="pending").exists()


def test_traffic_holds_what_a_plan_wants_of_a_desktop_whose_agent_is_silent(working: Site) -> None:
    Agent.objects.create(
        uuid="00000000-0000-4000-8000-000000000009", key_digest="b" * 64, center=working.desktop.center,
        desktop=working.desktop, approved=True, registered_at=now(), last_seen=now() - timedelta(hours=1),
    )  # fmt: skip
    Tunnel.objects.update(last_traffic_at=now() - timedelta(seconds=10))
    moment = now() - timedelta(minutes=5)
    due = {"do": "stop", "at": moment.isoformat(), "because": "disconnected", "since": moment.isoformat(), "plan": "P",
           "detail": "", "source": "", "notice": None}  # fmt: skip
    job = jobs.enqueue(
        jobs.Wish(
            "power",
            f"desktop:{working.desktop.pk}",
            payload={"due": due, "op": "stop", "epoch": "", "assignment": working.held.pk},
        )
    )
    jobs.work({"power": HANDLERS["power"]})
    job.refresh_from_db()
    assert (job.state, job.reason) == ("pending", "held: the gateway still carries a session")


def test_a_changed_certificate_is_told_to_administrators_once(working: Site) -> None:
    Tunnel.objects.update(certificate="cd" * 32)
    outcome(closed_by(working))
    assert Pin.objects.get().sha256 == "cd" * 32
    working.token()
    assert working.opening()["pin"] == "cd" * 32
    for _ in range(2):
        Tunnel.objects.filter(pk=Tunnel.objects.latest("pk").pk).update(certificate="ef" * 32, used_at=now())
        outcome(closed_by(working))
    entry = LogEntry.objects.get(event="conn.certificate_changed")
    assert (entry.level, entry.desktop_name) == ("error", str(working.desktop))
    assert Pin.objects.get().sha256 == "cd" * 32


@pytest.mark.parametrize("told", ["by the agent", "by itself"])
def test_a_changed_certificate_is_over_where_it_was_renewed_or_the_right_one_is_back(working: Site, told: str) -> None:
    pin = Pin.objects.create(desktop=working.desktop, port=working.launch_port(), sha256="cd" * 32, since=now())
    Tunnel.objects.update(certificate="ef" * 32)
    outcome(closed_by(working))
    page = f"/resources/desktops/{working.desktop.pk}/"
    browser = admin()
    assert "shows another certificate than before" in browser.get(page).content.decode()
    if told == "by the agent":
        Desktop.objects.update(rdp_cert_sha256="ef" * 32)
    else:
        working.token()
        Tunnel.objects.filter(pk=Tunnel.objects.latest("pk").pk).update(certificate="cd" * 32, used_at=now())
        outcome(closed_by(working))
        assert Pin.objects.get(pk=pin.pk).other == ""
    assert "shows another certificate than before" not in browser.get(page).content.decode()


def test_the_end_of_an_older_session_says_nothing_about_the_machine_that_answers_now(working: Site) -> None:
    pin = Pin.objects.create(desktop=working.desktop, port=working.launch_port(), sha256="cd" * 32, since=now())
    older = Tunnel.objects.latest("pk")
    Tunnel.objects.update(certificate="cd" * 32, used_at=now() - timedelta(hours=2))
    working.token()
    Tunnel.objects.exclude(pk=older.pk).update(certificate="ef" * 32, used_at=now())
    outcome(closed_by(working))
    assert Pin.objects.get(pk=pin.pk).other == "ef" * 32
    outcome(jobs.enqueue(jobs.Wish("tunnel_closed", older.subject, payload={"tunnel": older.pk})))
    assert Pin.objects.get(pk=pin.pk).other == "ef" * 32


def test_an_administrator_who_has_looked_at_it_trusts_the_new_one(working: Site) -> None:
    page = f"/resources/desktops/{working.desktop.pk}/"
    browser = admin()
    assert "shows another certificate than before" not in browser.get(page).content.decode()
    Pin.objects.create(desktop=working.desktop, port=3389, sha256="cd" * 32, other="ef" * 32, since=now())
    shown = browser.get(page).content.decode()
    assert (
        "at port 3389 it shows another certificate than before" in shown
        and "Trust its new certificate</button>" in shown
    )
    assert "cd" * 32 in shown and "ef" * 32 in shown
    assert browser.post(f"{page}trust/", {"confirmed": "yes"}).status_code == 303
    assert (Pin.objects.get().sha256, Pin.objects.get().other) == ("", "")
    assert LogEntry.objects.filter(event="desktop.certificate_trusted").exists()
    working.token()
    assert working.opening()["pin"] == ""


def test_somebody_who_came_by_the_gateway_has_arrived_though_no_agent_says_so(working: Site) -> None:
    Launch.objects.update(step="connecting", ended_at=None, deadline=now() - timedelta(minutes=5))
    housekeeping.run(Job())
    assert Launch.objects.get().step == "done"
